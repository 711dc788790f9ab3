#include "gguf.h"

#include "gguf_parts.h"
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
    MOST_TENSORS = 4096
};

_Static_assert(MOST_VALUES * (sizeof(pd_gguf_value) + sizeof(uint32_t)) +
                       MOST_TENSORS * (sizeof(pd_gguf_tensor) + sizeof(uint32_t)) <=
                   1u << 20,
               "the tables must fit in 1 MiB");

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
    return pd_fail(r->error, PD_SHORT, r->position, "%s takes %u bytes, but only %u are left: the file is cut short", what, bytes,
                   left(r));
}

static pd_status read_u32(reader *r, const char *what, uint32_t *value)
{
    PD_TRY(need(r, 4, what));
    *value = pd_load_u32(here(r));
    r->position += 4;
    return PD_OK;
}

static pd_status read_u64(reader *r, const char *what, uint64_t *value)
{
    PD_TRY(need(r, 8, what));
    *value = pd_load_u64(here(r));
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
            return pd_fail(r->error, status, (uint64_t)((const uint8_t *)text.data - r->bytes) + i, "%s %q %s", what, &text,
                           count ? "contains NUL" : "is not valid UTF-8");
        i += count;
    }
    return PD_OK;
}

static pd_status read_string(reader *r, const char *what, uint64_t shortest, uint64_t longest, pd_bytes *string)
{
    const uint64_t start = r->position;
    uint64_t length;
    PD_TRY(read_u64(r, what, &length));
    if (length < shortest || length > longest)
        return pd_fail(r->error, PD_STRING, start, "%s has a length of %u bytes, allowed are %u to %u", what, length, shortest,
                       longest);
    if (length > left(r))
        return pd_fail(r->error, PD_STRING, start, "%s has a length of %u bytes, but only %u are left in the file", what, length,
                       left(r));
    *string = (pd_bytes){(const char *)here(r), length};
    r->position += length;
    return check_text(r, *string, PD_STRING, what);
}

/* ---- header ---------------------------------------------------------------------- */

/* `bytes` has at least HEADER_BYTES, no prefix has more. */
static bool starts_with(const uint8_t *bytes, const char *prefix)
{
    assert(strlen(prefix) <= HEADER_BYTES);
    return memcmp(bytes, prefix, strlen(prefix)) == 0;
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
    if (pd_load_u64(bytes) < size && bytes[8] == '{') return "safetensors (export it to GGUF first)";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (starts_with(bytes, known[i].prefix)) return known[i].format;
    /* ModelProto: field 1, ir_version, a small integer; then a length-delimited field */
    if (bytes[0] == 0x08 && bytes[1] > 0 && bytes[1] < 0x40 && (bytes[2] & 7) == 2) return "ONNX";
    uint64_t i = starts_with(bytes, "\xef\xbb\xbf") ? 3 : 0;
    while (i < size && (bytes[i] == ' ' || (bytes[i] >= '\t' && bytes[i] <= '\r'))) i++;
    if (i < size && bytes[i] == '<') return "HTML or XML (does the address lead to the file?)";
    return NULL;
}

static pd_status check_count(const reader *r, const char *field, uint64_t offset, uint64_t count, uint64_t most, uint64_t room,
                             uint64_t smallest)
{
    if (count == 0 || count > most)
        return pd_fail(r->error, PD_COUNT, offset, "%s is %u, allowed are 1 to %u", field, count, most);
    if (count > room / smallest)
        return pd_fail(r->error, PD_COUNT, offset, "%s is %u, which takes at least %u bytes, but only %u are left", field, count,
                       count * smallest, room);
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
    if (!starts_with(r->bytes, "GGUF")) {
        const pd_bytes magic = {(const char *)r->bytes, 4};
        const char *format = guess_format(r->bytes, r->size);
        return pd_fail(r->error, PD_MAGIC, 0, "the file begins with %q instead of \"GGUF\"%s%s", &magic,
                       format ? "; it looks like " : "", format ? format : "");
    }
    const uint32_t version = pd_load_u32(r->bytes + 4);
    if (version != 3)
        return pd_fail(r->error, PD_VERSION, 4, "GGUF version %u, only 3 is supported%s", (uint64_t)version,
                       version == 0x03000000 ? " (this is a big-endian file)" : "");
    *tensor_count = pd_load_u64(r->bytes + 8);
    *value_count = pd_load_u64(r->bytes + 16);
    r->position = HEADER_BYTES;
    PD_TRY(check_count(r, "number of tensors", 8, *tensor_count, MOST_TENSORS, left(r), SMALLEST_TENSOR));
    return check_count(r, "number of metadata entries", 16, *value_count, MOST_VALUES, left(r) - *tensor_count * SMALLEST_TENSOR,
                       SMALLEST_VALUE);
}

/* ---- metadata ---------------------------------------------------------------------- */

static pd_status read_type(reader *r, const pd_bytes *key, const char *what, pd_gguf_value_type *type)
{
    uint32_t number;
    PD_TRY(read_u32(r, what, &number));
    if (number >= PD_GGUF_VALUE_TYPE_COUNT)
        return pd_fail(r->error, PD_TYPE, r->position - 4, "key %q: %s %u is unknown", key, what, (uint64_t)number);
    *type = (pd_gguf_value_type)number;
    return PD_OK;
}

/* Steps over `value->count` elements at value->data, checking each that can be wrong. */
static pd_status read_elements(reader *r, const pd_gguf_value *value)
{
    if (value->element == PD_GGUF_STRING) {
        pd_bytes string;
        for (uint64_t i = 0; i < value->count; i++) PD_TRY(read_string(r, "string value", 0, PD_MAX_FILE_BYTES, &string));
        return PD_OK;
    }
    PD_TRY(need(r, value->count * pd_gguf_value_types[value->element].bytes, "value"));
    if (value->element == PD_GGUF_BOOL) {
        for (uint64_t i = 0; i < value->count; i++)
            if (value->data[i] > 1)
                return pd_fail(r->error, PD_VALUE, r->position + i, "key %q: a bool is %u, allowed are 0 and 1", &value->key,
                               (uint64_t)value->data[i]);
    }
    r->position += value->count * pd_gguf_value_types[value->element].bytes;
    return PD_OK;
}

static pd_status read_value(reader *r, pd_gguf_value *value)
{
    PD_TRY(read_string(r, "metadata key", 1, LONGEST_KEY, &value->key));
    PD_TRY(read_type(r, &value->key, "value type", &value->type));
    value->element = value->type;
    value->count = 1;
    if (value->type == PD_GGUF_ARRAY) {
        PD_TRY(read_type(r, &value->key, "array element type", &value->element));
        if (value->element == PD_GGUF_ARRAY)
            return pd_fail(r->error, PD_TYPE, r->position - 4, "key %q: arrays of arrays are not supported", &value->key);
        PD_TRY(read_u64(r, "array length", &value->count));
        /* a string takes at least its 8-byte length */
        const uint64_t smallest = value->element == PD_GGUF_STRING ? 8 : pd_gguf_value_types[value->element].bytes;
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
    for (uint64_t i = 0; i < gguf->value_count; i++) PD_TRY(read_value(r, &gguf->values[i]));
    const pd_name_list names = pd_gguf_value_names(gguf);
    pd_names_sort(&names);
    const uint32_t duplicate = pd_names_duplicate(&names);
    if (duplicate == names.count) return PD_OK;
    const pd_bytes key = gguf->values[duplicate].key;
    const bool alignment = pd_bytes_equal(key, "general.alignment");
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
                       pd_gguf_value_types[value->type].name);
    *alignment = pd_load_u32(value->data);
    if (*alignment < SMALLEST_ALIGNMENT || *alignment > LARGEST_ALIGNMENT || (*alignment & (*alignment - 1)))
        return pd_fail(r->error, PD_ALIGN, value->offset, "general.alignment is %u, it must be a power of two from %u to %u",
                       *alignment, (uint64_t)SMALLEST_ALIGNMENT, (uint64_t)LARGEST_ALIGNMENT);
    return PD_OK;
}

/* ---- tensor table -------------------------------------------------------------------- */

static pd_status read_name(reader *r, pd_bytes *name)
{
    uint64_t length;
    PD_TRY(read_u64(r, "tensor name", &length));
    if (length == 0 || length > LONGEST_NAME)
        return pd_fail(r->error, PD_NAME, r->position - 8, "a tensor name has a length of %u bytes, allowed are 1 to %u", length,
                       (uint64_t)LONGEST_NAME);
    PD_TRY(need(r, length, "tensor name"));
    *name = (pd_bytes){(const char *)here(r), length};
    r->position += length;
    return check_text(r, *name, PD_NAME, "tensor name");
}

static pd_status read_shape(reader *r, pd_gguf_tensor *tensor, uint64_t *elements)
{
    uint32_t dimensions;
    PD_TRY(read_u32(r, "number of dimensions", &dimensions));
    if (dimensions == 0 || dimensions > MOST_DIMENSIONS)
        return pd_fail(r->error, PD_DIMS, r->position - 4, "tensor %q has %u dimensions, allowed are 1 to %u", &tensor->name,
                       (uint64_t)dimensions, (uint64_t)MOST_DIMENSIONS);
    tensor->dimensions = (int32_t)dimensions;
    *elements = 1;
    for (uint32_t i = 0; i < MOST_DIMENSIONS; i++) {
        tensor->shape[i] = 1;
        if (i >= dimensions) continue;
        PD_TRY(read_u64(r, "dimension", &tensor->shape[i]));
        if (tensor->shape[i] == 0)
            return pd_fail(r->error, PD_DIMS, r->position - 8, "tensor %q: dimension %u is 0", &tensor->name, (uint64_t)i);
        if (!pd_checked_multiply(*elements, tensor->shape[i], elements) || *elements > INT64_MAX)
            return pd_fail(r->error, PD_DIMS, r->position - 8,
                           "tensor %q: the number of elements does not fit in 63 bits, dimension %u is %u", &tensor->name,
                           (uint64_t)i, tensor->shape[i]);
    }
    return PD_OK;
}

static pd_status read_encoding(reader *r, pd_gguf_tensor *tensor, uint64_t elements)
{
    uint32_t type;
    PD_TRY(read_u32(r, "tensor type", &type));
    const pd_gguf_tensor_format *format = pd_gguf_tensor_format_of(type);
    if (!format)
        return pd_fail(r->error, PD_TYPE, r->position - 4, "tensor %q has type %u, supported are %s", &tensor->name,
                       (uint64_t)type, pd_gguf_tensor_formats_supported);
    if (tensor->shape[0] % format->block_values)
        return pd_fail(r->error, PD_DIMS, r->position - 4,
                       "tensor %q: rows of %u elements cannot be %s, which needs a multiple of %u", &tensor->name,
                       tensor->shape[0], format->name, (uint64_t)format->block_values);
    tensor->type = format->type;
    if (!pd_checked_multiply(elements / format->block_values, format->block_bytes, &tensor->bytes))
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
    PD_TRY(read_name(r, &tensor->name));
    PD_TRY(read_shape(r, tensor, &elements));
    PD_TRY(read_encoding(r, tensor, elements));
    PD_TRY(read_u64(r, "tensor offset", &tensor->data_offset));
    const uint64_t offset = tensor->data_offset, expected = *end;
    if (offset != expected)
        return pd_fail(r->error, PD_OFFSET, r->position - 8, "tensor %q: its data offset is %u, expected %u (%s)", &tensor->name,
                       offset, expected,
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
    for (uint64_t i = 0; i < gguf->tensor_count; i++) PD_TRY(read_tensor(r, alignment, &gguf->tensors[i], end));
    const pd_name_list names = pd_gguf_tensor_names(gguf);
    pd_names_sort(&names);
    const uint32_t duplicate = pd_names_duplicate(&names);
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
                       "tensor data reaches from byte %u to byte %u, but the file ends at byte %u: it is cut short", start,
                       start + data_bytes, r->size);
    if (data_bytes < r->size - start)
        return pd_fail(r->error, PD_TRAILING, start + data_bytes, "%u bytes after the last tensor", r->size - start - data_bytes);
    PD_TRY(check_padding(r, r->position, start));
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        pd_gguf_tensor *tensor = &gguf->tensors[i];
        tensor->data_offset += start;
        tensor->data = r->bytes + (size_t)tensor->data_offset;
        const uint64_t next = i + 1 < gguf->tensor_count ? start + gguf->tensors[i + 1].data_offset : r->size;
        PD_TRY(check_padding(r, tensor->data_offset + tensor->bytes, next));
    }
    return PD_OK;
}

static pd_status read_tables(reader *r, pd_gguf *gguf)
{
    uint64_t alignment, data_bytes;
    PD_TRY(read_values(r, gguf));
    PD_TRY(find_alignment(r, gguf, &alignment));
    PD_TRY(read_tensors(r, alignment, gguf, &data_bytes));
    return place_data(r, alignment, data_bytes, gguf);
}

pd_status pd_gguf_open(pd_gguf *gguf, const void *bytes, size_t size, pd_error *error)
{
    if (!gguf) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "no table to fill: gguf is NULL");
    *gguf = (pd_gguf){0};
    if (!bytes && size) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "bytes is NULL, size is %u", (uint64_t)size);

    reader r = {.bytes = bytes, .size = size, .error = error};
    uint64_t tensor_count = 0, value_count = 0;
    PD_TRY(read_header(&r, &tensor_count, &value_count));

    /* both counts are small now: the sum is below 1 MiB */
    const uint64_t table_bytes = value_count * sizeof(pd_gguf_value) + tensor_count * sizeof(pd_gguf_tensor) +
                                 (value_count + tensor_count) * sizeof(uint32_t);
    pd_gguf_value *values = pd_allocate(table_bytes);
    if (!values) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for %u bytes of tables", table_bytes);
    memset(values, 0, (size_t)table_bytes);
    pd_gguf_tensor *tensors = (pd_gguf_tensor *)(values + (size_t)value_count);
    *gguf = (pd_gguf){.bytes = bytes,
                      .size = size,
                      .value_count = value_count,
                      .tensor_count = tensor_count,
                      .values = values,
                      .tensors = tensors,
                      .index = tensors + (size_t)tensor_count};
    const pd_status status = read_tables(&r, gguf);
    if (status != PD_OK) pd_gguf_close(gguf);
    return status;
}

void pd_gguf_close(pd_gguf *gguf)
{
    pd_release(gguf->values); /* the one block: values, tensors, index */
    *gguf = (pd_gguf){0};
}
