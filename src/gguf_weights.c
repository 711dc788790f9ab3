/* Weights: whether they are finite, and what they are as float32. */
#include "gguf_parts.h"

#include <assert.h>

/* ---- finite ------------------------------------------------------------------------ */

enum { F16_INFINITY = 0x7c00, F32_INFINITY = 0x7f800000 };

/* The loops keep the largest magnitude (as bits, which order like the numbers)
 * instead of branching, so that compilers vectorise them: NaN and infinity are
 * the ones from these on. */

static bool finite_f32(const uint8_t *data, size_t count)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t magnitude = pd_load_u32(data + 4 * i) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest < F32_INFINITY;
}

/* Float16 values `stride` bytes apart. */
static bool finite_f16(const uint8_t *data, size_t count, size_t stride)
{
    uint16_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const uint16_t magnitude = pd_load_u16(data + stride * i) & 0x7fff;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest < F16_INFINITY;
}

/* Names the first value that is not finite; there is one. */
static pd_status refuse_nonfinite(const pd_gguf_tensor *tensor, uint32_t stride, pd_error *error)
{
    const bool f32 = tensor->type == PD_GGUF_TENSOR_F32;
    const uint32_t infinity = f32 ? F32_INFINITY : F16_INFINITY;
    const uint8_t *data = tensor->data;
    uint32_t magnitude;
    for (;; data += stride) {
        magnitude = f32 ? pd_load_u32(data) & 0x7fffffff : pd_load_u16(data) & 0x7fff;
        if (magnitude >= infinity) break;
    }
    const uint64_t at = (uint64_t)(data - tensor->data);
    return pd_fail(error, PD_NONFINITE, tensor->data_offset + at, "tensor %q: %s %u is %s", &tensor->name,
                   tensor->type == PD_GGUF_TENSOR_Q8_0 ? "the scale of block" : "element", at / stride,
                   magnitude > infinity ? "NaN" : "infinite");
}

pd_status pd_gguf_check_finite(const pd_gguf_tensor *tensor, pd_error *error)
{
    const uint32_t stride = tensor->type == PD_GGUF_TENSOR_F32 ? 4 : tensor->type == PD_GGUF_TENSOR_F16 ? 2 : PD_Q8_0_BYTES;
    const size_t count = (size_t)(tensor->bytes / stride);
    const bool finite = tensor->type == PD_GGUF_TENSOR_F32   ? finite_f32(tensor->data, count)
                        : tensor->type == PD_GGUF_TENSOR_F16 ? finite_f16(tensor->data, count, 2)
                                                             : finite_f16(tensor->data, count, PD_Q8_0_BYTES);
    return finite ? PD_OK : refuse_nonfinite(tensor, stride, error);
}

/* ---- dequantisation ------------------------------------------------------------------ */

/* Exact. Of a normal number the exponent is rebiased (127 - 15); a subnormal
 * one is m 2^-24, and 2^-24 is the last place of floats in [0.5, 1). */
static inline float float_from_half(uint32_t half)
{
    const uint32_t magnitude = half & 0x7fff;
    const float normal = pd_float_from_bits((magnitude << 13) + (112u << 23));
    const float subnormal = pd_float_from_bits(magnitude + (126u << 23)) - 0.5f;
    const float value = magnitude < 0x400 ? subnormal : normal;
    return half & 0x8000 ? -value : value;
}

static void dequantize_f16(const uint8_t *restrict data, size_t count, float *restrict values)
{
    for (size_t i = 0; i < count; i++) values[i] = float_from_half(pd_load_u16(data + 2 * i));
}

static void dequantize_q8_0(const uint8_t *restrict data, size_t count, float *restrict values)
{
    for (size_t block = 0; block < count / PD_Q8_0_VALUES; block++, data += PD_Q8_0_BYTES, values += PD_Q8_0_VALUES) {
        const float scale = float_from_half(pd_load_u16(data));
        for (size_t i = 0; i < PD_Q8_0_VALUES; i++) values[i] = scale * (float)(int8_t)data[2 + i];
    }
}

void pd_gguf_dequantize(const pd_gguf_tensor *tensor, uint64_t first, uint64_t count, float *values)
{
    assert(first <= pd_gguf_elements(tensor) && count <= pd_gguf_elements(tensor) - first);
    if (tensor->type == PD_GGUF_TENSOR_F32) {
        memcpy(values, tensor->data + (size_t)(first * 4), (size_t)count * 4);
    } else if (tensor->type == PD_GGUF_TENSOR_F16) {
        dequantize_f16(tensor->data + (size_t)(first * 2), (size_t)count, values);
    } else {
        assert(first % PD_Q8_0_VALUES == 0 && count % PD_Q8_0_VALUES == 0);
        dequantize_q8_0(tensor->data + (size_t)(first / PD_Q8_0_VALUES * PD_Q8_0_BYTES), (size_t)count, values);
    }
}
