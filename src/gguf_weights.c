/* Weights: their formats, whether they are finite, and what they are as float32. */
#include "gguf_parts.h"

#include <assert.h>

/* ---- dequantisation ------------------------------------------------------------------ */

enum { BLOCK_VALUES = 32 }; /* of all types that quantise */

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

static void dequantize_f32(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    memcpy(values, data, blocks * 4);
}

static void dequantize_f16(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    for (size_t i = 0; i < blocks; i++) values[i] = float_from_half(pd_load_u16(data + 2 * i));
}

/* A block: a float16 scale, then 32 int8. */
static void dequantize_q8_0(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    for (size_t block = 0; block < blocks; block++, data += 2 + BLOCK_VALUES, values += BLOCK_VALUES) {
        const float scale = float_from_half(pd_load_u16(data));
        for (size_t i = 0; i < BLOCK_VALUES; i++) values[i] = scale * (float)(int8_t)data[2 + i];
    }
}

/* The types of 4 and 5 bits. A block: a float16 scale; a float16 minimum, if the
 * type has one; the fifth bits of the 32 levels, if it has them, the first level's
 * lowest; 16 bytes, with the other four bits of level i low in byte i and those of
 * level 16 + i high. Without a minimum, levels are signed: 0 stands for the lowest.
 * scale * level is exact (11 + 5 bits), so only the sum with the minimum rounds.
 * Inlined with constants, so that neither condition is left. */
static inline void dequantize_nibbles(const uint8_t *restrict data, size_t blocks, float *restrict values, bool has_minimum,
                                      bool has_fifth_bits)
{
    const size_t fifth_bits_at = has_minimum ? 4 : 2, nibbles_at = fifth_bits_at + (has_fifth_bits ? 4 : 0);
    const int32_t lowest = has_minimum ? 0 : has_fifth_bits ? -16 : -8;
    for (size_t block = 0; block < blocks; block++, data += nibbles_at + BLOCK_VALUES / 2, values += BLOCK_VALUES) {
        const float scale = float_from_half(pd_load_u16(data));
        const float minimum = has_minimum ? float_from_half(pd_load_u16(data + 2)) : 0.0f;
        const uint32_t fifth_bits = has_fifth_bits ? pd_load_u32(data + fifth_bits_at) : 0;
        const uint8_t *nibbles = data + nibbles_at;
        for (size_t i = 0; i < BLOCK_VALUES; i++) {
            const uint32_t nibble = i < BLOCK_VALUES / 2 ? nibbles[i] & 15u : nibbles[i - BLOCK_VALUES / 2] >> 4;
            const int32_t level = (int32_t)(nibble | (fifth_bits >> i & 1) << 4) + lowest;
            const float product = scale * (float)level;
            values[i] = has_minimum ? product + minimum : product; /* adding 0 would lose the sign of -0 */
        }
    }
}

static void dequantize_q4_0(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    dequantize_nibbles(data, blocks, values, false, false);
}

static void dequantize_q4_1(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    dequantize_nibbles(data, blocks, values, true, false);
}

static void dequantize_q5_0(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    dequantize_nibbles(data, blocks, values, false, true);
}

static void dequantize_q5_1(const uint8_t *restrict data, size_t blocks, float *restrict values)
{
    dequantize_nibbles(data, blocks, values, true, true);
}

/* ---- formats ------------------------------------------------------------------------- */

#define SCALE "the scale of block"
#define MINIMUM "the minimum of block"

static const pd_gguf_tensor_format formats[] = {
    {PD_GGUF_TENSOR_F32, "F32", 1, 4, 4, 1, {"element"}, dequantize_f32},
    {PD_GGUF_TENSOR_F16, "F16", 1, 2, 2, 1, {"element"}, dequantize_f16},
    {PD_GGUF_TENSOR_Q4_0, "Q4_0", BLOCK_VALUES, 18, 2, 1, {SCALE}, dequantize_q4_0},
    {PD_GGUF_TENSOR_Q4_1, "Q4_1", BLOCK_VALUES, 20, 2, 2, {SCALE, MINIMUM}, dequantize_q4_1},
    {PD_GGUF_TENSOR_Q5_0, "Q5_0", BLOCK_VALUES, 22, 2, 1, {SCALE}, dequantize_q5_0},
    {PD_GGUF_TENSOR_Q5_1, "Q5_1", BLOCK_VALUES, 24, 2, 2, {SCALE, MINIMUM}, dequantize_q5_1},
    {PD_GGUF_TENSOR_Q8_0, "Q8_0", BLOCK_VALUES, 34, 2, 1, {SCALE}, dequantize_q8_0},
};

const char pd_gguf_tensor_formats_supported[] = "0 (F32), 1 (F16), 2 (Q4_0), 3 (Q4_1), 6 (Q5_0), 7 (Q5_1) and 8 (Q8_0)";

const pd_gguf_tensor_format *pd_gguf_tensor_format_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if ((uint32_t)formats[i].type == type) return &formats[i];
    return NULL;
}

void pd_gguf_dequantize(const pd_gguf_tensor *tensor, uint64_t first, uint64_t count, float *values)
{
    const pd_gguf_tensor_format *format = pd_gguf_tensor_format_of(tensor->type);
    assert(format && first <= pd_gguf_elements(tensor) && count <= pd_gguf_elements(tensor) - first);
    assert(first % format->block_values == 0 && count % format->block_values == 0);
    format->dequantize(tensor->data + (size_t)(first / format->block_values * format->block_bytes),
                       (size_t)(count / format->block_values), values);
}

/* ---- finite -------------------------------------------------------------------------- */

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

static bool all_finite(const pd_gguf_tensor_format *format, const uint8_t *data, size_t blocks)
{
    if (format->float_bytes == 4) return finite_f32(data, blocks);
    for (uint32_t i = 0; i < format->float_count; i++)
        if (!finite_f16(data + i * 2, blocks, format->block_bytes)) return false;
    return true;
}

/* Names the first value that is not finite; there is one. */
static pd_status refuse_nonfinite(const pd_gguf_tensor *tensor, const pd_gguf_tensor_format *format, pd_error *error)
{
    const uint32_t infinity = format->float_bytes == 4 ? F32_INFINITY : F16_INFINITY;
    uint64_t block = 0;
    uint32_t part = 0;
    for (;;) {
        const uint64_t at = block * format->block_bytes + part * format->float_bytes;
        const uint8_t *data = tensor->data + (size_t)at;
        const uint32_t magnitude = format->float_bytes == 4 ? pd_load_u32(data) & 0x7fffffff : pd_load_u16(data) & 0x7fff;
        if (magnitude >= infinity)
            return pd_fail(error, PD_NONFINITE, tensor->data_offset + at, "tensor %q: %s %u is %s", &tensor->name,
                           format->float_names[part], block, magnitude > infinity ? "NaN" : "infinite");
        if (++part == format->float_count) {
            part = 0;
            block++;
        }
    }
}

pd_status pd_gguf_check_finite(const pd_gguf_tensor *tensor, pd_error *error)
{
    const pd_gguf_tensor_format *format = pd_gguf_tensor_format_of(tensor->type);
    assert(format);
    const size_t blocks = (size_t)(tensor->bytes / format->block_bytes);
    return all_finite(format, tensor->data, blocks) ? PD_OK : refuse_nonfinite(tensor, format, error);
}
