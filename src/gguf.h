/* GGUF v3: from bytes to a validated, read-only table of metadata and tensors.
 * Knows nothing of networks. The bytes must outlive the table. */
#ifndef PD_GGUF_H
#define PD_GGUF_H

#include "pocket_diffusion.h"
#include "status.h"

typedef enum pd_gguf_value_type {
    PD_GGUF_UINT8 = 0,
    PD_GGUF_INT8,
    PD_GGUF_UINT16,
    PD_GGUF_INT16,
    PD_GGUF_UINT32,
    PD_GGUF_INT32,
    PD_GGUF_FLOAT32,
    PD_GGUF_BOOL,
    PD_GGUF_STRING,
    PD_GGUF_ARRAY,
    PD_GGUF_UINT64,
    PD_GGUF_INT64,
    PD_GGUF_FLOAT64
} pd_gguf_value_type;

typedef enum pd_gguf_tensor_type {
    PD_GGUF_TENSOR_F32 = 0,
    PD_GGUF_TENSOR_F16 = 1,
    PD_GGUF_TENSOR_Q4_0 = 2,
    PD_GGUF_TENSOR_Q4_1 = 3,
    PD_GGUF_TENSOR_Q5_0 = 6,
    PD_GGUF_TENSOR_Q5_1 = 7,
    PD_GGUF_TENSOR_Q8_0 = 8
} pd_gguf_tensor_type;

typedef struct pd_gguf_value {
    pd_bytes key;
    pd_gguf_value_type type;    /* PD_GGUF_ARRAY for an array */
    pd_gguf_value_type element; /* of an array; otherwise as type */
    uint64_t count;             /* elements of an array; otherwise 1 */
    const uint8_t *data;        /* first element, unaligned, little-endian */
    uint64_t offset;            /* of data in the file */
} pd_gguf_value;

typedef struct pd_gguf_tensor {
    pd_bytes name;
    int32_t dimensions;   /* 1 .. 4 */
    uint64_t shape[4];    /* GGUF order: shape[0] varies fastest; unused ones are 1 */
    pd_gguf_tensor_type type;
    const uint8_t *data;
    uint64_t bytes;       /* without padding */
    uint64_t offset;      /* of its entry in the tensor table, for error lines */
    uint64_t data_offset; /* of data in the file */
} pd_gguf_tensor;

typedef struct pd_gguf {
    const uint8_t *bytes;
    uint64_t size;
    uint64_t value_count, tensor_count;
    pd_gguf_value *values;   /* in file order */
    pd_gguf_tensor *tensors; /* in file order */
    void *index;             /* name look-up, private */
} pd_gguf;

/* Validates the whole file (structure, not numbers). On failure nothing is
 * held and *gguf is an empty table, which pd_gguf_close accepts. The table
 * itself takes at most the file's size plus 1 MiB. Files have 1 to 4096
 * metadata entries and as many tensors. A field that promises more than the
 * file has left is refused with the status of that field (COUNT, STRING,
 * ARRAY); SHORT is for everything else that a cut file lacks. */
pd_status pd_gguf_open(pd_gguf *gguf, const void *bytes, size_t size, pd_error *error);
void pd_gguf_close(pd_gguf *gguf);

const pd_gguf_value *pd_gguf_find(const pd_gguf *gguf, const char *key); /* NULL: absent */
const pd_gguf_tensor *pd_gguf_find_tensor(const pd_gguf *gguf, const char *name);
const pd_gguf_tensor *pd_gguf_find_tensor_named(const pd_gguf *gguf, pd_bytes name);

/* Required values: PD_CONFIG, naming the key, if absent or of another type.
 * _integer accepts any integer type and checks minimum <= value <= maximum;
 * _real accepts float32 and float64 and refuses NaN and infinity;
 * _array demands an array of that element type and returns it. */
pd_status pd_gguf_get_integer(const pd_gguf *gguf, const char *key, int64_t minimum, int64_t maximum, int64_t *value,
                              pd_error *error);
pd_status pd_gguf_get_real(const pd_gguf *gguf, const char *key, double minimum, double maximum, double *value, pd_error *error);
pd_status pd_gguf_get_bool(const pd_gguf *gguf, const char *key, bool *value, pd_error *error);
pd_status pd_gguf_get_string(const pd_gguf *gguf, const char *key, pd_bytes *value, pd_error *error);
pd_status pd_gguf_get_array(const pd_gguf *gguf, const char *key, pd_gguf_value_type element, const pd_gguf_value **value,
                            pd_error *error);
/* Element i of an array whose element type was checked; uint64 values over
 * INT64_MAX come out as INT64_MAX. */
int64_t pd_gguf_array_integer(const pd_gguf_value *array, uint64_t i);
double pd_gguf_array_real(const pd_gguf_value *array, uint64_t i);
/* Strings have no index: walk them with a cursor that starts at 0. */
pd_bytes pd_gguf_array_next_string(const pd_gguf_value *array, uint64_t *cursor);

/* Elements of the tensor: the product of its shape. */
static inline uint64_t pd_gguf_elements(const pd_gguf_tensor *tensor)
{
    return tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
}
/* PD_NONFINITE, naming the tensor and the element, if a value (of a type in
 * blocks, a block's scale or minimum) is NaN or infinite. */
pd_status pd_gguf_check_finite(const pd_gguf_tensor *tensor, pd_error *error);
/* `count` values of the tensor, from linear element `first`, as float32. For
 * types in blocks both must be multiples of a block's values, 32. */
void pd_gguf_dequantize(const pd_gguf_tensor *tensor, uint64_t first, uint64_t count, float *values);

#endif
