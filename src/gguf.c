#include "gguf.h"

#include "memory.h"

#include <assert.h>
#include <string.h>

/* Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. All sizes
 * are computed in 64 bits, since size_t has 32 on wasm32. */

enum {
    HEADER_BYTES = 24,      /* magic, version, number of tensors, number of metadata entries */
    SMALLEST_VALUE = 14,    /* key of one byte (8 + 1), value type (4), a value of one byte */
    SMALLEST_TENSOR = 33,   /* name of one byte (8 + 1), dimensions (4 + 8), type (4), offset (8) */
    LONGEST_KEY = 65535,    /* limits of the format */
    LONGEST_NAME = 63,
    MOST_DIMENSIONS = 4,
    DEFAULT_ALIGNMENT = 32,
    SMALLEST_ALIGNMENT = 8, /* our limits from here on */
    LARGEST_ALIGNMENT = 4096,
    MOST_VALUES = 4096,
    MOST_TENSORS = 4096,
    Q8_0_VALUES = 32, /* of one block: a float16 scale, then 32 int8 */
    Q8_0_BYTES = 34
};

_Static_assert(MOST_VALUES * (sizeof(pd_gguf_value) + sizeof(uint32_t)) +
                       MOST_TENSORS * (sizeof(pd_gguf_tensor) + sizeof(uint32_t)) <=
                   1u << 20,
               "the tables must fit in 1 MiB");

#define TRY(call)                                \
    do {                                         \
        const pd_status try_status = (call);     \
        if (try_status != PD_OK) return try_status; \
    } while (0)

/* Unaligned little-endian loads; memcpy, so that the loops over weights vectorise. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read in the byte order of the file");

static inline uint16_t load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- value types ------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t bytes; /* 0: not fixed */
} value_types[] = {
    [PD_GGUF_UINT8] = {"uint8", 1},     [PD_GGUF_INT8] = {"int8", 1},     [PD_GGUF_UINT16] = {"uint16", 2},
    [PD_GGUF_INT16] = {"int16", 2},     [PD_GGUF_UINT32] = {"uint32", 4}, [PD_GGUF_INT32] = {"int32", 4},
    [PD_GGUF_FLOAT32] = {"float32", 4}, [PD_GGUF_BOOL] = {"bool", 1},     [PD_GGUF_STRING] = {"string", 0},
    [PD_GGUF_ARRAY] = {"array", 0},     [PD_GGUF_UINT64] = {"uint64", 8}, [PD_GGUF_INT64] = {"int64", 8},
    [PD_GGUF_FLOAT64] = {"float64", 8},
};

enum { VALUE_TYPE_COUNT = sizeof value_types / sizeof value_types[0] };

/* ---- names: sorted for look-up, so that hostile tables cost n log n ------------ */

/* Names are the first member of the table's rows. */
typedef struct name_list {
    const void *rows;
    size_t row_bytes;
    uint32_t count;
    uint32_t *order; /* row numbers, sorted by name */
} name_list;

static pd_bytes name_of(const name_list *list, uint32_t row)
{
    return *(const pd_bytes *)((const char *)list->rows + row * list->row_bytes);
}

static int compare_names(pd_bytes a, pd_bytes b)
{
    if (a.length != b.length) return a.length < b.length ? -1 : 1;
    return memcmp(a.data, b.data, (size_t)a.length);
}

static void sift_down(const name_list *list, uint32_t root, uint32_t count)
{
    uint32_t *order = list->order;
    const uint32_t row = order[root];
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare_names(name_of(list, order[child]), name_of(list, order[child + 1])) < 0)
            child++;
        if (compare_names(name_of(list, row), name_of(list, order[child])) >= 0) break;
        order[root] = order[child];
    }
    order[root] = row;
}

/* Heapsort (Williams 1964): no recursion, no extra memory, no bad case. */
static void sort_names(const name_list *list)
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

/* The later row of a pair with the same name, or `count` if all names differ. */
static uint32_t find_duplicate(const name_list *list)
{
    for (uint32_t i = 1; i < list->count; i++) {
        const uint32_t a = list->order[i - 1], b = list->order[i];
        if (compare_names(name_of(list, a), name_of(list, b)) == 0) return a > b ? a : b;
    }
    return list->count;
}

/* Row of `name`, or `count`. */
static uint32_t find_name(const name_list *list, const char *name)
{
    const pd_bytes wanted = {name, strlen(name)};
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

static name_list value_names(const pd_gguf *gguf)
{
    return (name_list){gguf->values, sizeof *gguf->values, (uint32_t)gguf->value_count, gguf->index};
}

static name_list tensor_names(const pd_gguf *gguf)
{
    return (name_list){gguf->tensors, sizeof *gguf->tensors, (uint32_t)gguf->tensor_count,
                       (uint32_t *)gguf->index + gguf->value_count};
}

/* ---- reading -------------------------------------------------------------------- */

typedef struct reader {
    const uint8_t *bytes;
    uint64_t size, position;
    pd_error *error;
} reader;

static const uint8_t *here(const reader *r) { return r->bytes + (size_t)r->position; }
static uint64_t left(const reader *r) { return r->size - r->position; }

static pd_status need(const reader *r, uint64_t bytes, const char *what)
{
    if (bytes <= left(r)) return PD_OK;
    return pd_fail(r->error, PD_SHORT, r->position, "%s takes %u bytes, but only %u are left: the file is cut short",
                   what, bytes, left(r));
}

static pd_status read_u32(reader *r, const char *what, uint32_t *value)
{
    TRY(need(r, 4, what));
    *value = load_u32(here(r));
    r->position += 4;
    return PD_OK;
}

static pd_status read_u64(reader *r, const char *what, uint64_t *value)
{
    TRY(need(r, 8, what));
    *value = load_u64(here(r));
    r->position += 8;
    return PD_OK;
}

/* Well-formed UTF-8 without NUL; `status` if not. */
static pd_status check_text(const reader *r, pd_bytes text, pd_status status, const char *what)
{
    for (uint64_t i = 0; i < text.length;) {
        uint32_t code_point = 0;
        const uint32_t count = pd_utf8_decode(text.data + i, text.length - i, &code_point);
        if (count == 0 || code_point == 0)
            return pd_fail(r->error, status, (uint64_t)((const uint8_t *)text.data - r->bytes) + i, "%s %q %s", what,
                           &text, count ? "contains NUL" : "is not valid UTF-8");
        i += count;
    }
    return PD_OK;
}

static pd_status read_string(reader *r, const char *what, uint64_t shortest, uint64_t longest, pd_bytes *string)
{
    const uint64_t start = r->position;
    uint64_t length;
    TRY(read_u64(r, what, &length));
    if (length < shortest || length > longest)
        return pd_fail(r->error, PD_STRING, start, "%s has a length of %u bytes, allowed are %u to %u", what, length,
                       shortest, longest);
    if (length > left(r))
        return pd_fail(r->error, PD_STRING, start, "%s has a length of %u bytes, but only %u are left in the file",
                       what, length, left(r));
    *string = (pd_bytes){(const char *)here(r), length};
    r->position += length;
    return check_text(r, *string, PD_STRING, what);
}

/* ---- header ---------------------------------------------------------------------- */

static bool starts_with(const uint8_t *bytes, uint64_t size, const char *prefix)
{
    const size_t length = strlen(prefix);
    return length <= size && memcmp(bytes, prefix, length) == 0;
}

/* What a file of at least HEADER_BYTES without the magic number looks like. */
static const char *guess_format(const uint8_t *bytes, uint64_t size)
{
    static const struct {
        const char *prefix, *format;
    } known[] = {
        {"\x1f\x8b", "gzip data (decompress it first)"},
        {"PK\x03\x04", "a ZIP archive, such as a PyTorch checkpoint (export it to GGUF first)"},
        {"\x80\x02", "a Python pickle, such as an old PyTorch checkpoint"},
        {"version https://git-lfs", "a git-lfs pointer (fetch the file itself with `git lfs pull`)"},
        {"{", "JSON"},
        {"ggml", "a GGML file, the predecessor of GGUF"},
        {"tjgg", "a GGJT file, a predecessor of GGUF"},
    };
    /* the length of a JSON header, then the header; first, since the length may begin like anything else */
    if (load_u64(bytes) < size && bytes[8] == '{') return "safetensors (export it to GGUF first)";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (starts_with(bytes, size, known[i].prefix)) return known[i].format;
    /* ModelProto: field 1, ir_version, a small integer; then a length-delimited field */
    if (bytes[0] == 0x08 && bytes[1] > 0 && bytes[1] < 0x40 && (bytes[2] & 7) == 2) return "ONNX";
    uint64_t i = starts_with(bytes, size, "\xef\xbb\xbf") ? 3 : 0;
    while (i < size && (bytes[i] == ' ' || (bytes[i] >= '\t' && bytes[i] <= '\r'))) i++;
    if (i < size && bytes[i] == '<') return "HTML or XML (does the address lead to the file?)";
    return NULL;
}

static pd_status check_count(const reader *r, const char *field, uint64_t offset, uint64_t count, uint64_t most,
                             uint64_t room, uint64_t smallest)
{
    if (count == 0 || count > most)
        return pd_fail(r->error, PD_COUNT, offset, "%s is %u, allowed are 1 to %u", field, count, most);
    if (count > room / smallest)
        return pd_fail(r->error, PD_COUNT, offset, "%s is %u, which takes at least %u bytes, but only %u are left",
                       field, count, count * smallest, room);
    return PD_OK;
}

static pd_status read_header(reader *r, uint64_t *tensor_count, uint64_t *value_count)
{
    if (r->size > PD_MAX_FILE_BYTES)
        return pd_fail(r->error, PD_TOO_BIG, PD_NO_OFFSET, "the file has %u bytes, at most %u are accepted", r->size,
                       (uint64_t)PD_MAX_FILE_BYTES);
    if (r->size < HEADER_BYTES)
        return pd_fail(r->error, PD_SHORT, r->size, "the file has %u bytes, a GGUF header alone has %u", r->size,
                       (uint64_t)HEADER_BYTES);
    if (!starts_with(r->bytes, r->size, "GGUF")) {
        const pd_bytes magic = {(const char *)r->bytes, 4};
        const char *format = guess_format(r->bytes, r->size);
        return pd_fail(r->error, PD_MAGIC, 0, "the file begins with %q instead of \"GGUF\"%s%s", &magic,
                       format ? "; it looks like " : "", format ? format : "");
    }
    const uint32_t version = load_u32(r->bytes + 4);
    if (version != 3)
        return pd_fail(r->error, PD_VERSION, 4, "GGUF version %u, only 3 is supported%s", (uint64_t)version,
                       version == 0x03000000 ? " (this is a big-endian file)" : "");
    *tensor_count = load_u64(r->bytes + 8);
    *value_count = load_u64(r->bytes + 16);
    r->position = HEADER_BYTES;
    TRY(check_count(r, "number of tensors", 8, *tensor_count, MOST_TENSORS, left(r), SMALLEST_TENSOR));
    return check_count(r, "number of metadata entries", 16, *value_count, MOST_VALUES,
                       left(r) - *tensor_count * SMALLEST_TENSOR, SMALLEST_VALUE);
}

/* ---- metadata ---------------------------------------------------------------------- */

static pd_status read_type(reader *r, const pd_bytes *key, const char *what, pd_gguf_value_type *type)
{
    uint32_t number;
    TRY(read_u32(r, what, &number));
    if (number >= VALUE_TYPE_COUNT)
        return pd_fail(r->error, PD_TYPE, r->position - 4, "key %q: %s %u is unknown", key, what, (uint64_t)number);
    *type = (pd_gguf_value_type)number;
    return PD_OK;
}

/* Steps over `value->count` elements at value->data, checking each that can be wrong. */
static pd_status read_elements(reader *r, const pd_gguf_value *value)
{
    if (value->element == PD_GGUF_STRING) {
        pd_bytes string;
        for (uint64_t i = 0; i < value->count; i++) TRY(read_string(r, "string value", 0, PD_MAX_FILE_BYTES, &string));
        return PD_OK;
    }
    TRY(need(r, value->count * value_types[value->element].bytes, "value"));
    if (value->element == PD_GGUF_BOOL) {
        for (uint64_t i = 0; i < value->count; i++)
            if (value->data[i] > 1)
                return pd_fail(r->error, PD_VALUE, r->position + i, "key %q: a bool is %u, allowed are 0 and 1",
                               &value->key, (uint64_t)value->data[i]);
    }
    r->position += value->count * value_types[value->element].bytes;
    return PD_OK;
}

static pd_status read_value(reader *r, pd_gguf_value *value)
{
    TRY(read_string(r, "metadata key", 1, LONGEST_KEY, &value->key));
    TRY(read_type(r, &value->key, "value type", &value->type));
    value->element = value->type;
    value->count = 1;
    if (value->type == PD_GGUF_ARRAY) {
        TRY(read_type(r, &value->key, "array element type", &value->element));
        if (value->element == PD_GGUF_ARRAY)
            return pd_fail(r->error, PD_TYPE, r->position - 4, "key %q: arrays of arrays are not supported",
                           &value->key);
        TRY(read_u64(r, "array length", &value->count));
        /* a string takes at least its 8-byte length */
        const uint64_t smallest = value->element == PD_GGUF_STRING ? 8 : value_types[value->element].bytes;
        if (value->count > left(r) / smallest)
            return pd_fail(r->error, PD_ARRAY, r->position - 8,
                           "key %q: an array of %u elements does not fit in the %u bytes that are left", &value->key,
                           value->count, left(r));
    }
    value->data = here(r);
    value->offset = r->position;
    return read_elements(r, value);
}

static pd_status read_values(reader *r, pd_gguf *gguf)
{
    for (uint64_t i = 0; i < gguf->value_count; i++) TRY(read_value(r, &gguf->values[i]));
    const name_list names = value_names(gguf);
    sort_names(&names);
    const uint32_t duplicate = find_duplicate(&names);
    if (duplicate == names.count) return PD_OK;
    const pd_bytes key = gguf->values[duplicate].key;
    const bool alignment = compare_names(key, (pd_bytes){"general.alignment", 17}) == 0;
    return pd_fail(r->error, alignment ? PD_ALIGN : PD_DUPLICATE, (uint64_t)((const uint8_t *)key.data - r->bytes) - 8,
                   "key %q is given twice", &key);
}

static pd_status find_alignment(const reader *r, const pd_gguf *gguf, uint64_t *alignment)
{
    *alignment = DEFAULT_ALIGNMENT;
    const pd_gguf_value *value = pd_gguf_find(gguf, "general.alignment");
    if (!value) return PD_OK;
    if (value->type != PD_GGUF_UINT32)
        return pd_fail(r->error, PD_ALIGN, value->offset, "general.alignment has type %s, it must be uint32",
                       value_types[value->type].name);
    *alignment = load_u32(value->data);
    if (*alignment < SMALLEST_ALIGNMENT || *alignment > LARGEST_ALIGNMENT || (*alignment & (*alignment - 1)))
        return pd_fail(r->error, PD_ALIGN, value->offset,
                       "general.alignment is %u, it must be a power of two from %u to %u", *alignment,
                       (uint64_t)SMALLEST_ALIGNMENT, (uint64_t)LARGEST_ALIGNMENT);
    return PD_OK;
}

/* ---- tensor table -------------------------------------------------------------------- */

static pd_status read_name(reader *r, pd_bytes *name)
{
    uint64_t length;
    TRY(read_u64(r, "tensor name", &length));
    if (length == 0 || length > LONGEST_NAME)
        return pd_fail(r->error, PD_NAME, r->position - 8, "a tensor name has a length of %u bytes, allowed are 1 to %u",
                       length, (uint64_t)LONGEST_NAME);
    TRY(need(r, length, "tensor name"));
    *name = (pd_bytes){(const char *)here(r), length};
    r->position += length;
    return check_text(r, *name, PD_NAME, "tensor name");
}

static pd_status read_shape(reader *r, pd_gguf_tensor *tensor, uint64_t *elements)
{
    uint32_t dimensions;
    TRY(read_u32(r, "number of dimensions", &dimensions));
    if (dimensions == 0 || dimensions > MOST_DIMENSIONS)
        return pd_fail(r->error, PD_DIMS, r->position - 4, "tensor %q has %u dimensions, allowed are 1 to %u",
                       &tensor->name, (uint64_t)dimensions, (uint64_t)MOST_DIMENSIONS);
    tensor->dimensions = (int32_t)dimensions;
    *elements = 1;
    for (uint32_t i = 0; i < MOST_DIMENSIONS; i++) {
        tensor->shape[i] = 1;
        if (i >= dimensions) continue;
        TRY(read_u64(r, "dimension", &tensor->shape[i]));
        if (tensor->shape[i] == 0)
            return pd_fail(r->error, PD_DIMS, r->position - 8, "tensor %q: dimension %u is 0", &tensor->name,
                           (uint64_t)i);
        if (!pd_checked_multiply(*elements, tensor->shape[i], elements) || *elements > INT64_MAX)
            return pd_fail(r->error, PD_DIMS, r->position - 8,
                           "tensor %q: the number of elements does not fit in 63 bits, dimension %u is %u",
                           &tensor->name, (uint64_t)i, tensor->shape[i]);
    }
    return PD_OK;
}

static pd_status read_encoding(reader *r, pd_gguf_tensor *tensor, uint64_t elements)
{
    uint32_t type;
    TRY(read_u32(r, "tensor type", &type));
    uint64_t blocks = elements, block_bytes;
    switch (type) {
    case PD_GGUF_TENSOR_F32: block_bytes = 4; break;
    case PD_GGUF_TENSOR_F16: block_bytes = 2; break;
    case PD_GGUF_TENSOR_Q8_0:
        if (tensor->shape[0] % Q8_0_VALUES)
            return pd_fail(r->error, PD_DIMS, r->position - 4,
                           "tensor %q: rows of %u elements cannot be Q8_0, which needs a multiple of %u", &tensor->name,
                           tensor->shape[0], (uint64_t)Q8_0_VALUES);
        blocks = elements / Q8_0_VALUES;
        block_bytes = Q8_0_BYTES;
        break;
    default:
        return pd_fail(r->error, PD_TYPE, r->position - 4,
                       "tensor %q has type %u, supported are 0 (F32), 1 (F16) and 8 (Q8_0)", &tensor->name,
                       (uint64_t)type);
    }
    tensor->type = (pd_gguf_tensor_type)type;
    if (!pd_checked_multiply(blocks, block_bytes, &tensor->bytes))
        return pd_fail(r->error, PD_OVERFLOW, r->position - 4, "tensor %q: the size of %u elements overflows 64 bits",
                       &tensor->name, elements);
    return PD_OK;
}

/* One row of the table. Its data must begin exactly at *end, relative to the
 * data section, where the data of the tensor before it ended. */
static pd_status read_tensor(reader *r, uint64_t alignment, pd_gguf_tensor *tensor, uint64_t *end)
{
    tensor->offset = r->position;
    uint64_t elements, padded;
    TRY(read_name(r, &tensor->name));
    TRY(read_shape(r, tensor, &elements));
    TRY(read_encoding(r, tensor, elements));
    TRY(read_u64(r, "tensor offset", &tensor->data_offset));
    const uint64_t offset = tensor->data_offset, expected = *end;
    if (offset != expected)
        return pd_fail(r->error, PD_OFFSET, r->position - 8, "tensor %q: its data offset is %u, expected %u (%s)",
                       &tensor->name, offset, expected,
                       offset % alignment  ? "not aligned"
                       : offset < expected ? "overlaps the tensor before it, or is out of order"
                                           : "leaves a gap, or is out of order");
    if (!pd_checked_align(tensor->bytes, alignment, &padded) || !pd_checked_add(expected, padded, end))
        return pd_fail(r->error, PD_OVERFLOW, r->position - 8, "tensor %q: its end, %u bytes after %u, overflows 64 bits",
                       &tensor->name, tensor->bytes, expected);
    return PD_OK;
}

/* *end: length of the data section. */
static pd_status read_tensors(reader *r, uint64_t alignment, pd_gguf *gguf, uint64_t *end)
{
    *end = 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) TRY(read_tensor(r, alignment, &gguf->tensors[i], end));
    const name_list names = tensor_names(gguf);
    sort_names(&names);
    const uint32_t duplicate = find_duplicate(&names);
    if (duplicate == names.count) return PD_OK;
    return pd_fail(r->error, PD_NAME, gguf->tensors[duplicate].offset, "two tensors have the name %q",
                   &gguf->tensors[duplicate].name);
}

/* ---- data section --------------------------------------------------------------------- */

static pd_status check_padding(const reader *r, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++)
        if (r->bytes[(size_t)i])
            return pd_fail(r->error, PD_PADDING, i, "a padding byte is %u instead of 0", (uint64_t)r->bytes[(size_t)i]);
    return PD_OK;
}

static pd_status place_data(const reader *r, uint64_t alignment, uint64_t data_bytes, pd_gguf *gguf)
{
    /* neither sum overflows: the position is at most PD_MAX_FILE_BYTES, data_bytes at most PD_MAX_MEMORY_BYTES */
    const uint64_t start = (r->position + alignment - 1) & ~(alignment - 1);
    if (data_bytes > PD_MAX_MEMORY_BYTES)
        return pd_fail(r->error, PD_TOO_BIG, start, "the tensors have %u bytes, at most %u are accepted", data_bytes,
                       PD_MAX_MEMORY_BYTES);
    if (start > r->size || data_bytes > r->size - start)
        return pd_fail(r->error, PD_SHORT, r->size,
                       "tensor data reaches from byte %u to byte %u, but the file ends at byte %u: it is cut short",
                       start, start + data_bytes, r->size);
    if (data_bytes < r->size - start)
        return pd_fail(r->error, PD_TRAILING, start + data_bytes, "%u bytes after the last tensor",
                       r->size - start - data_bytes);
    TRY(check_padding(r, r->position, start));
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        pd_gguf_tensor *tensor = &gguf->tensors[i];
        tensor->data_offset += start;
        tensor->data = r->bytes + (size_t)tensor->data_offset;
        const uint64_t next = i + 1 < gguf->tensor_count ? start + gguf->tensors[i + 1].data_offset : r->size;
        TRY(check_padding(r, tensor->data_offset + tensor->bytes, next));
    }
    return PD_OK;
}

static pd_status read_tables(reader *r, pd_gguf *gguf)
{
    uint64_t alignment, data_bytes;
    TRY(read_values(r, gguf));
    TRY(find_alignment(r, gguf, &alignment));
    TRY(read_tensors(r, alignment, gguf, &data_bytes));
    return place_data(r, alignment, data_bytes, gguf);
}

pd_status pd_gguf_open(pd_gguf *gguf, const void *bytes, size_t size, pd_error *error)
{
    if (!gguf) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "no table to fill: gguf is NULL");
    *gguf = (pd_gguf){0};
    if (!bytes && size) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "bytes is NULL, size is %u", (uint64_t)size);

    reader r = {.bytes = bytes, .size = size, .error = error};
    uint64_t tensor_count = 0, value_count = 0;
    TRY(read_header(&r, &tensor_count, &value_count));

    /* both counts are small now: the sum is below 1 MiB */
    const uint64_t table_bytes = value_count * sizeof(pd_gguf_value) + tensor_count * sizeof(pd_gguf_tensor) +
                                 (value_count + tensor_count) * sizeof(uint32_t);
    pd_gguf_value *values = pd_allocate(table_bytes);
    if (!values) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for %u bytes of tables", table_bytes);
    memset(values, 0, (size_t)table_bytes);
    pd_gguf_tensor *tensors = (pd_gguf_tensor *)(values + (size_t)value_count);
    *gguf = (pd_gguf){.bytes = bytes, .size = size, .value_count = value_count, .tensor_count = tensor_count,
                      .values = values, .tensors = tensors, .index = tensors + (size_t)tensor_count};
    const pd_status status = read_tables(&r, gguf);
    if (status != PD_OK) pd_gguf_close(gguf);
    return status;
}

void pd_gguf_close(pd_gguf *gguf)
{
    pd_release(gguf->values); /* the one block: values, tensors, index */
    *gguf = (pd_gguf){0};
}

/* ---- look-up ---------------------------------------------------------------------------- */

const pd_gguf_value *pd_gguf_find(const pd_gguf *gguf, const char *key)
{
    const name_list names = value_names(gguf);
    const uint32_t row = find_name(&names, key);
    return row < names.count ? &gguf->values[row] : NULL;
}

const pd_gguf_tensor *pd_gguf_find_tensor(const pd_gguf *gguf, const char *name)
{
    const name_list names = tensor_names(gguf);
    const uint32_t row = find_name(&names, name);
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
    return pd_fail(error, PD_CONFIG, value->offset, "key %q has type %s%s, expected %s", &value->key,
                   array ? "array of " : "", value_types[value->element].name, expected);
}

pd_status pd_gguf_get_integer(const pd_gguf *gguf, const char *key, int64_t minimum, int64_t maximum, int64_t *value,
                              pd_error *error)
{
    const pd_gguf_value *found;
    TRY(require(gguf, key, &found, error));
    if (!is_integer(found->type)) return wrong_type(found, "an integer", error);
    if (found->type == PD_GGUF_UINT64 && load_u64(found->data) > INT64_MAX)
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %u, allowed are %d to %d", key, load_u64(found->data),
                       minimum, maximum);
    const int64_t number = pd_gguf_array_integer(found, 0);
    if (number < minimum || number > maximum)
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %d, allowed are %d to %d", key, number, minimum,
                       maximum);
    *value = number;
    return PD_OK;
}

pd_status pd_gguf_get_real(const pd_gguf *gguf, const char *key, double minimum, double maximum, double *value,
                           pd_error *error)
{
    const pd_gguf_value *found;
    TRY(require(gguf, key, &found, error));
    if (!is_real(found->type)) return wrong_type(found, "float32 or float64", error);
    const double number = pd_gguf_array_real(found, 0);
    if (!(number - number == 0 && number >= minimum && number <= maximum))
        return pd_fail(error, PD_CONFIG, found->offset, "%s is %g, allowed are %g to %g", key, number, minimum,
                       maximum);
    *value = number;
    return PD_OK;
}

pd_status pd_gguf_get_bool(const pd_gguf *gguf, const char *key, bool *value, pd_error *error)
{
    const pd_gguf_value *found;
    TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_BOOL) return wrong_type(found, "bool", error);
    *value = found->data[0] != 0;
    return PD_OK;
}

pd_status pd_gguf_get_string(const pd_gguf *gguf, const char *key, pd_bytes *value, pd_error *error)
{
    const pd_gguf_value *found;
    TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_STRING) return wrong_type(found, "string", error);
    *value = (pd_bytes){(const char *)found->data + 8, load_u64(found->data)};
    return PD_OK;
}

pd_status pd_gguf_get_array(const pd_gguf *gguf, const char *key, pd_gguf_value_type element,
                            const pd_gguf_value **value, pd_error *error)
{
    const pd_gguf_value *found;
    TRY(require(gguf, key, &found, error));
    if (found->type != PD_GGUF_ARRAY || found->element != element) {
        const bool array = found->type == PD_GGUF_ARRAY;
        return pd_fail(error, PD_CONFIG, found->offset, "key %q has type %s%s, expected array of %s", &found->key,
                       array ? "array of " : "", value_types[found->element].name, value_types[element].name);
    }
    *value = found;
    return PD_OK;
}

int64_t pd_gguf_array_integer(const pd_gguf_value *array, uint64_t i)
{
    assert(is_integer(array->element) && i < array->count);
    const uint8_t *data = array->data + (size_t)(i * value_types[array->element].bytes);
    switch (array->element) {
    case PD_GGUF_UINT8: return data[0];
    case PD_GGUF_INT8: return (int8_t)data[0];
    case PD_GGUF_UINT16: return load_u16(data);
    case PD_GGUF_INT16: return (int16_t)load_u16(data);
    case PD_GGUF_UINT32: return load_u32(data);
    case PD_GGUF_INT32: return (int32_t)load_u32(data);
    case PD_GGUF_UINT64: return load_u64(data) > INT64_MAX ? INT64_MAX : (int64_t)load_u64(data);
    default: return (int64_t)load_u64(data);
    }
}

double pd_gguf_array_real(const pd_gguf_value *array, uint64_t i)
{
    assert(is_real(array->element) && i < array->count);
    const uint8_t *data = array->data + (size_t)(i * value_types[array->element].bytes);
    if (array->element == PD_GGUF_FLOAT32) return (double)float_from_bits(load_u32(data));
    const uint64_t bits = load_u64(data);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

pd_bytes pd_gguf_array_next_string(const pd_gguf_value *array, uint64_t *cursor)
{
    assert(array->element == PD_GGUF_STRING);
    const uint8_t *data = array->data + (size_t)*cursor;
    const pd_bytes string = {(const char *)data + 8, load_u64(data)};
    *cursor += 8 + string.length;
    return string;
}

/* ---- dequantisation ------------------------------------------------------------------------ */

/* The loops keep the largest magnitude (as bits, which order like the numbers)
 * instead of branching, so that compilers vectorise them: NaN and infinity are
 * the ones from these on. */
enum { F16_INFINITY = 0x7c00, F32_INFINITY = 0x7f800000 };

/* Exact. Of a normal number the exponent is rebiased (127 - 15); a subnormal
 * one is m 2^-24, and 2^-24 is the last place of floats in [0.5, 1). */
static inline float float_from_half(uint32_t half)
{
    const uint32_t magnitude = half & 0x7fff;
    const float normal = float_from_bits((magnitude << 13) + (112u << 23));
    const float subnormal = float_from_bits(magnitude + (126u << 23)) - 0.5f;
    const float value = magnitude < 0x400 ? subnormal : normal;
    return half & 0x8000 ? -value : value;
}

/* All three return whether every value is finite. */

static bool dequantize_f32(const uint8_t *restrict data, size_t count, float *restrict values)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = load_u32(data + 4 * i), magnitude = bits & 0x7fffffff;
        values[i] = float_from_bits(bits);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest < F32_INFINITY;
}

static bool dequantize_f16(const uint8_t *restrict data, size_t count, float *restrict values)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t half = load_u16(data + 2 * i), magnitude = half & 0x7fff;
        values[i] = float_from_half(half);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest < F16_INFINITY;
}

static bool dequantize_q8_0(const uint8_t *restrict data, size_t count, float *restrict values)
{
    uint32_t largest = 0;
    for (size_t block = 0; block < count / Q8_0_VALUES; block++, data += Q8_0_BYTES, values += Q8_0_VALUES) {
        const uint32_t half = load_u16(data), magnitude = half & 0x7fff;
        const float scale = float_from_half(half);
        for (size_t i = 0; i < Q8_0_VALUES; i++) values[i] = scale * (float)(int8_t)data[2 + i];
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest < F16_INFINITY;
}

/* Names the first value that is not finite; there is one. */
static pd_status refuse_nonfinite(const pd_gguf_tensor *tensor, uint64_t first, pd_error *error)
{
    const bool f32 = tensor->type == PD_GGUF_TENSOR_F32, blocks = tensor->type == PD_GGUF_TENSOR_Q8_0;
    const uint32_t stride = f32 ? 4 : blocks ? Q8_0_BYTES : 2, infinity = f32 ? F32_INFINITY : F16_INFINITY;
    for (uint64_t i = blocks ? first / Q8_0_VALUES : first;; i++) {
        const uint8_t *data = tensor->data + (size_t)(i * stride);
        const uint32_t magnitude = f32 ? load_u32(data) & 0x7fffffff : load_u16(data) & 0x7fff;
        if (magnitude < infinity) continue;
        return pd_fail(error, PD_NONFINITE, tensor->data_offset + i * stride, "tensor %q: %s %u is %s", &tensor->name,
                       blocks ? "the scale of block" : "element", i, magnitude > infinity ? "NaN" : "infinite");
    }
}

pd_status pd_gguf_dequantize(const pd_gguf_tensor *tensor, uint64_t first, uint64_t count, float *values,
                             pd_error *error)
{
    const uint64_t elements = tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    assert(first <= elements && count <= elements - first);
    (void)elements;
    bool finite = false;
    switch (tensor->type) {
    case PD_GGUF_TENSOR_F32:
        finite = dequantize_f32(tensor->data + (size_t)(first * 4), (size_t)count, values);
        break;
    case PD_GGUF_TENSOR_F16:
        finite = dequantize_f16(tensor->data + (size_t)(first * 2), (size_t)count, values);
        break;
    case PD_GGUF_TENSOR_Q8_0:
        assert(first % Q8_0_VALUES == 0 && count % Q8_0_VALUES == 0);
        finite = dequantize_q8_0(tensor->data + (size_t)(first / Q8_0_VALUES * Q8_0_BYTES), (size_t)count, values);
        break;
    }
    return finite ? PD_OK : refuse_nonfinite(tensor, first, error);
}
