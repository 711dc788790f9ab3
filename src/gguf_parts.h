/* What the files of the GGUF reader share: numbers in the byte order of the
 * file, its types, and names in order. */
#ifndef PD_GGUF_PARTS_H
#define PD_GGUF_PARTS_H

#include "gguf.h"

#include <string.h>

/* ---- numbers ------------------------------------------------------------------- */

/* Unaligned little-endian loads; memcpy, so that the loops over weights vectorise. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read in the byte order of the file");

static inline uint16_t pd_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t pd_load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t pd_load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline float pd_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- types --------------------------------------------------------------------- */

enum { PD_GGUF_VALUE_TYPE_COUNT = PD_GGUF_FLOAT64 + 1 };

typedef struct pd_gguf_value_format {
    const char *name;
    uint32_t bytes; /* 0: not fixed */
} pd_gguf_value_format;

extern const pd_gguf_value_format pd_gguf_value_types[PD_GGUF_VALUE_TYPE_COUNT];

/* How a type stores values: in blocks, of which F32 and F16 have one value each.
 * A block begins with the floats that can be other than finite. */
typedef struct pd_gguf_tensor_format {
    pd_gguf_tensor_type type;
    const char *name;
    uint32_t block_values, block_bytes;
    uint32_t float_bytes;        /* 4 or 2: float32 or float16 */
    uint32_t float_count;        /* at the beginning of a block */
    const char *float_names[2];  /* as an error line calls them, before the number of the block */
    void (*dequantize)(const uint8_t *restrict data, size_t blocks, float *restrict values);
} pd_gguf_tensor_format;

/* NULL: not supported. */
const pd_gguf_tensor_format *pd_gguf_tensor_format_of(uint32_t type);
/* All of them, for error lines. */
extern const char pd_gguf_tensor_formats_supported[];

/* ---- names: sorted for look-up, so that hostile tables cost n log n ------------- */

/* Names are the first member of the table's rows. */
typedef struct pd_name_list {
    const void *rows;
    size_t row_bytes;
    uint32_t count;
    uint32_t *order; /* row numbers, sorted by name */
} pd_name_list;

void pd_names_sort(const pd_name_list *list);
/* The later row of a pair with the same name, or `count` if all names differ. */
uint32_t pd_names_duplicate(const pd_name_list *list);
/* Row of the name `wanted`, or `count`. */
uint32_t pd_names_find(const pd_name_list *list, pd_bytes wanted);

static inline pd_name_list pd_gguf_value_names(const pd_gguf *gguf)
{
    return (pd_name_list){gguf->values, sizeof *gguf->values, (uint32_t)gguf->value_count, gguf->index};
}

static inline pd_name_list pd_gguf_tensor_names(const pd_gguf *gguf)
{
    return (pd_name_list){gguf->tensors, sizeof *gguf->tensors, (uint32_t)gguf->tensor_count,
                          (uint32_t *)gguf->index + gguf->value_count};
}

#endif
