/* Operations on arrays with up to six axes: what a network is made of beside the
 * kernels of kernels.h, for graphs of any shape. One image at a time. In plain C,
 * which compilers vectorise; sums run in a fixed order. Nothing allocates.
 *
 * The last axis of an array is its channels, contiguous; its other axes are
 * positions in row-major order, `stride` floats apart. A stride is a multiple of 4
 * and at least the channels rounded up to one: what lies between (padding) is
 * zero, and every function that writes channels writes these zeros too. */
#ifndef PD_ARRAY_H
#define PD_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PD_MAX_RANK 6

typedef struct pd_axes {
    int32_t rank; /* 1 .. PD_MAX_RANK */
    int32_t length[PD_MAX_RANK];
} pd_axes;

typedef struct pd_array {
    float *data;
    pd_axes axes;
    int32_t stride;
} pd_array;

/* Functions of one number, by the numbers of docs/graph.md. */
typedef enum pd_function_kind {
    PD_IDENTITY = 0,
    PD_RELU,
    PD_LEAKY_RELU,
    PD_SILU,
    PD_GELU,
    PD_GELU_TANH,
    PD_QUICK_GELU,
    PD_SIGMOID,
    PD_TANH,
    PD_MISH,
    PD_SOFTPLUS,
    PD_ELU,
    PD_EXP,
    PD_LOG,
    PD_SQRT,
    PD_SIN,
    PD_COS,
    PD_ABS,
    PD_SQUARE,
    PD_RECIPROCAL,
    PD_FLOOR,
    PD_ERF,
    PD_POWER,
    PD_HARD_SWISH,
    PD_FUNCTION_COUNT
} pd_function_kind;

typedef struct pd_function {
    pd_function_kind kind;
    float parameter; /* of those that have one */
} pd_function;

static inline bool pd_function_has_parameter(int32_t kind) { return kind == PD_LEAKY_RELU || kind == PD_ELU || kind == PD_POWER; }

/* out = f(in) + residual; residual may be NULL; out may be in or residual. */
void pd_apply(pd_function function, const pd_array *in, const pd_array *residual, const pd_array *out);

typedef enum pd_binary_kind { PD_ADD, PD_SUB, PD_MUL, PD_DIV, PD_MIN, PD_MAX, PD_BINARY_COUNT } pd_binary_kind;

/* out = a (kind) b; both broadcast to out. out may be a or b where these have its shape. */
void pd_binary(pd_binary_kind kind, const pd_array *a, const pd_array *b, const pd_array *out);
/* out = a + gate * b; gate broadcasts. */
void pd_gated_add(const pd_array *a, const pd_array *b, const pd_array *gate, const pd_array *out);
/* out = factor * in + addend. */
void pd_scale(const pd_array *in, float factor, float addend, const pd_array *out);
/* out = in * gain + bias, of each channel. */
void pd_affine(const pd_array *in, const float *gain, const float *bias, const pd_array *out);

/* What a norm does behind the division. Each may be NULL. */
typedef struct pd_norm_tail {
    const float *gain, *bias, *scale, *shift;
} pd_norm_tail;

/* The norms of docs/graph.md, without function and residual. sums: 2 * channels floats. */
void pd_group_norm(const pd_array *in, int32_t groups, float eps, const pd_norm_tail *tail, const pd_array *out, float *sums);
void pd_layer_norm(const pd_array *in, float eps, const pd_norm_tail *tail, const pd_array *out);
typedef enum pd_rms_kind { PD_RMS_OF_NORM, PD_RMS_OF_MEAN, PD_RMS_OF_ROOT, PD_RMS_KINDS } pd_rms_kind;
void pd_rms_norm_of(pd_rms_kind kind, const pd_array *in, float eps, const pd_norm_tail *tail, const pd_array *out);
void pd_softmax(const pd_array *in, const pd_array *out);

typedef enum pd_reduce_kind { PD_SUM, PD_MEAN, PD_MAXIMUM, PD_VARIANCE, PD_L2_NORM, PD_REDUCE_KINDS } pd_reduce_kind;
/* Over the axes in which out has length 1. */
void pd_reduce(pd_reduce_kind kind, const pd_array *in, const pd_array *out);

/* Floats from a number to the next along each axis of an array of axes `of`, as seen
 * by one of axes `as` that it broadcasts to: 0 along repeated ones. */
void pd_array_steps(const pd_array *of, const pd_axes *as, int64_t steps[PD_MAX_RANK]);
/* out[i][j]... = in[i][j]...; both by their steps. */
void pd_copy_axes(const pd_axes *axes, const float *in, const int64_t *in_steps, float *out, const int64_t *out_steps);
/* The same numbers in row-major order. */
void pd_reshape(const pd_array *in, const pd_array *out);
void pd_clear_padding(const pd_array *out);

/* How the rows and columns beyond the edge of a map are made. */
typedef enum pd_padding_kind {
    PD_PAD_ZEROS,
    PD_PAD_REFLECT,
    PD_PAD_REPLICATE,
    PD_PAD_CIRCULAR,
    PD_PADDING_KINDS
} pd_padding_kind;
/* The map doubled `factor` times (1 or 2), with `top` rows and `left` columns before it and as many behind as fit. */
void pd_pad(const pd_array *in, int32_t factor, int32_t top, int32_t left, pd_padding_kind kind, const pd_array *out);
void pd_bilinear(const pd_array *in, bool align_corners, const pd_array *out);

/* A window that moves over a map: kernel, step and padding, down and across. */
typedef struct pd_window {
    int32_t kernel[2], step[2], padding[2];
} pd_window;
void pd_average_pool(const pd_array *in, const pd_window *window, bool count_padding, const pd_array *out);
void pd_max_pool(const pd_array *in, const pd_window *window, const pd_array *out);

/* Convolutions that the kernels of conv.h do not do: any kernel, step and groups,
 * without padding. weights: [out][kernel][kernel][in / groups], rows of in / groups floats
 * rounded up to 4. bias may be NULL. */
void pd_conv_plain(const pd_array *in, const float *weights, const float *bias, const pd_window *window, int32_t groups,
                   const pd_array *out);
/* The same with as many groups as channels; weights: [kernel][kernel][channels rounded up to 4]. */
void pd_conv_depthwise(const pd_array *in, const float *weights, const float *bias, const pd_window *window, const pd_array *out);

/* out = factor a b, of two matrices by the floats from row to row and from column
 * to column. out: [rows][columns], its padding too. scratch: pd_matmul_scratch floats. */
typedef struct pd_matrix {
    const float *data;
    size_t row_step, column_step;
} pd_matrix;
uint64_t pd_matmul_scratch(int32_t depth, int32_t columns);
void pd_matmul(const pd_matrix *a, const pd_matrix *b, int32_t rows, int32_t depth, int32_t columns, float factor, float *out,
               size_t out_stride, float *scratch);

/* softmax(factor q k^T + mask) v of one head: q rows of `size` floats, k rows as
 * many, v rows of value_size. mask: by its steps, or NULL. */
typedef struct pd_head {
    const float *q, *k, *v, *mask;
    size_t q_stride, k_stride, v_stride;
    int64_t mask_row, mask_column;
    int32_t queries, keys, size, value_size;
    float factor;
    float *out; /* rows of value_size */
    size_t out_stride;
} pd_head;
uint64_t pd_attend_scratch(int32_t keys, int32_t size, int32_t value_size);
void pd_attend(const pd_head *head, float *scratch);
/* Linear attention of one head, docs/graph.md; the mask is not read. */
uint64_t pd_linear_attend_scratch(int32_t keys, int32_t size, int32_t value_size);
void pd_linear_attend(const pd_head *head, bool softmax, float *scratch);

#endif
