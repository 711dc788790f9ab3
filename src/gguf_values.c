/* Looking things up in a table that pd_gguf_open has validated. */
#include "gguf_parts.h"

#include <assert.h>

const pd_gguf_value_format pd_gguf_value_types[PD_GGUF_VALUE_TYPE_COUNT] = {
    [PD_GGUF_UINT8] = {"uint8", 1},     [PD_GGUF_INT8] = {"int8", 1},     [PD_GGUF_UINT16] = {"uint16", 2},
    [PD_GGUF_INT16] = {"int16", 2},     [PD_GGUF_UINT32] = {"uint32", 4}, [PD_GGUF_INT32] = {"int32", 4},
    [PD_GGUF_FLOAT32] = {"float32", 4}, [PD_GGUF_BOOL] = {"bool", 1},     [PD_GGUF_STRING] = {"string", 0},
    [PD_GGUF_ARRAY] = {"array", 0},     [PD_GGUF_UINT64] = {"uint64", 8}, [PD_GGUF_INT64] = {"int64", 8},
    [PD_GGUF_FLOAT64] = {"float64", 8},
};

/* ---- names ------------------------------------------------------------------------- */

static pd_bytes name_of(const pd_name_list *list, uint32_t row)
{
    return *(const pd_bytes *)((const char *)list->rows + row * list->row_bytes);
}

static int compare_names(pd_bytes a, pd_bytes b)
{
    if (a.length != b.length) return a.length < b.length ? -1 : 1;
    return memcmp(a.data, b.data, (size_t)a.length);
}

static void sift_down(const pd_name_list *list, uint32_t root, uint32_t count)
{
    uint32_t *order = list->order;
    const uint32_t row = order[root];
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare_names(name_of(list, order[child]), name_of(list, order[child + 1])) < 0) child++;
        if (compare_names(name_of(list, row), name_of(list, order[child])) >= 0) break;
        order[root] = order[child];
    }
    order[root] = row;
}

/* Heapsort (Williams 1964): no recursion, no extra memory, no bad case. */
void pd_names_sort(const pd_name_list *list)
{
    uint32_t *order = list->order;
    for (uint32_t i = 0; i < list->count; i++) order[i] = i;
    for (uint32_t i = list->count / 2; i-- > 0;) sift_down(list, i, list->count);
    for (uint32_t i = list->count; i-- > 1;) {
        const uint32_t last = order[0];
        order[0] = order[i];
        order[i] = last;
        sift_down(list, 0, i);
    }
}

uint32_t pd_names_duplicate(const pd_name_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        const uint32_t a = list->order[i - 1], b = list->order[i];
        if (compare_names(name_of(list, a), name_of(list, b)) == 0) return a > b ? a : b;
    }
    return list->count;
}

uint32_t pd_names_find(const pd_name_list *list, pd_bytes wanted)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = compare_names(wanted, name_of(list, list->order[middle]));
        if (order == 0) return list->order[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return list->count;
}

/* ---- look-up ---------------------------------------------------------------------------- */

const pd_gguf_value *pd_gguf_find(const pd_gguf *gguf, const char *key)
{
    const pd_name_list names = pd_gguf_value_names(gguf);
    const uint32_t row = pd_names_find(&names, (pd_bytes){key, strlen(key)});
    return row < names.count ? &gguf->values[row] : NULL;
}

const pd_gguf_tensor *pd_gguf_find_tensor(const pd_gguf *gguf, const char *name)
{
    return pd_gguf_find_tensor_named(gguf, (pd_bytes){name, strlen(name)});
}

const pd_gguf_tensor *pd_gguf_find_tensor_named(const pd_gguf *gguf, pd_bytes name)
{
    const pd_name_list names = pd_gguf_tensor_names(gguf);
    const uint32_t row = pd_names_find(&names, name);
    return row < names.count ? &gguf->tensors[row] : NULL;
}

static bool is_integer(pd_gguf_value_type type)
{
    return type <= PD_GGUF_INT32 || type == PD_GGUF_UINT64 || type == PD_GGUF_INT64;
}

static bool is_real(pd_gguf_value_type type) { return type == PD_GGUF_FLOAT32 || type == PD_GGUF_FLOAT64; }

static pd_status require(const pd_gguf *gguf, const char *key, const pd_gguf_value **value, pd_error *error)
{
    *value = pd_gguf_find(gguf, key);
    return *value ? PD_OK : pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "required key %s is missing", key);
}

static pd_status wrong_type(const pd_gguf_value *value, const char *expected, pd_error *error)
{
    const bool array = value->type == PD_GGUF_ARRAY;
    return pd_fail(error, PD_CONFIG, value->offset, "key %q has type %s%s, expected %s", &value->key, array ? "array of " : "",
                   pd_gguf_value_types[value->element].name, expected);
}

pd_status pd_gguf_get_integer(const pd_gguf *gguf, const char *key, int64_t minimum, int64_t maximum, int64_t *value,
                              pd_error *error)
{
    const pd_gguf_value *found;
    PD_TRY(require(gguf, key, &found, error));
    if (!is_integer(found->type)) return wrong_type(found, "an integer", error);
    if (found->type == PD_GGUF_UINT64 && pd_load_u64(found->data) > INT64_MAX)
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %u, allowed are %d to %d", key, pd_load_u64(found->data), minimum,
                       maximum);
    const int64_t number = pd_gguf_array_integer(found, 0);
    if (number < minimum || number > maximum)
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %d, allowed are %d to %d", key, number, minimum, maximum);
    *value = number;
    return PD_OK;
}

pd_status pd_gguf_get_real(const pd_gguf *gguf, const char *key, double minimum, double maximum, double *value, pd_error *error)
{
    const pd_gguf_value *found;
    PD_TRY(require(gguf, key, &found, error));
    if (!is_real(found->type)) return wrong_type(found, "float32 or float64", error);
    const double number = pd_gguf_array_real(found, 0);
    if (!(number - number == 0 && number >= minimum && number <= maximum))
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %g, allowed are %g to %g", key, number, minimum, maximum);
    *value = number;
    return PD_OK;
}

pd_status pd_gguf_get_bool(const pd_gguf *gguf, const char *key, bool *value, pd_error *error)
{
    const pd_gguf_value *found;
    PD_TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_BOOL) return wrong_type(found, "bool", error);
    *value = found->data[0] != 0;
    return PD_OK;
}

pd_status pd_gguf_get_string(const pd_gguf *gguf, const char *key, pd_bytes *value, pd_error *error)
{
    const pd_gguf_value *found;
    PD_TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_STRING) return wrong_type(found, "string", error);
    *value = (pd_bytes){(const char *)found->data + 8, pd_load_u64(found->data)};
    return PD_OK;
}

pd_status pd_gguf_get_array(const pd_gguf *gguf, const char *key, pd_gguf_value_type element, const pd_gguf_value **value,
                            pd_error *error)
{
    const pd_gguf_value *found;
    PD_TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_ARRAY || found->element != element) {
        const bool array = found->type == PD_GGUF_ARRAY;
        return pd_fail(error, PD_CONFIG, found->offset, "key %q has type %s%s, expected array of %s", &found->key,
                       array ? "array of " : "", pd_gguf_value_types[found->element].name, pd_gguf_value_types[element].name);
    }
    *value = found;
    return PD_OK;
}

int64_t pd_gguf_array_integer(const pd_gguf_value *array, uint64_t i)
{
    assert(is_integer(array->element) && i < array->count);
    const uint8_t *data = array->data + (size_t)(i * pd_gguf_value_types[array->element].bytes);
    switch (array->element) {
    case PD_GGUF_UINT8: return data[0];
    case PD_GGUF_INT8: return (int8_t)data[0];
    case PD_GGUF_UINT16: return pd_load_u16(data);
    case PD_GGUF_INT16: return (int16_t)pd_load_u16(data);
    case PD_GGUF_UINT32: return pd_load_u32(data);
    case PD_GGUF_INT32: return (int32_t)pd_load_u32(data);
    case PD_GGUF_UINT64: return pd_load_u64(data) > INT64_MAX ? INT64_MAX : (int64_t)pd_load_u64(data);
    default: return (int64_t)pd_load_u64(data);
    }
}

double pd_gguf_array_real(const pd_gguf_value *array, uint64_t i)
{
    assert(is_real(array->element) && i < array->count);
    const uint8_t *data = array->data + (size_t)(i * pd_gguf_value_types[array->element].bytes);
    if (array->element == PD_GGUF_FLOAT32) return (double)pd_float_from_bits(pd_load_u32(data));
    const uint64_t bits = pd_load_u64(data);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

pd_bytes pd_gguf_array_next_string(const pd_gguf_value *array, uint64_t *cursor)
{
    assert(array->element == PD_GGUF_STRING);
    const uint8_t *data = array->data + (size_t)*cursor;
    const pd_bytes string = {(const char *)data + 8, pd_load_u64(data)};
    *cursor += 8 + string.length;
    return string;
}
