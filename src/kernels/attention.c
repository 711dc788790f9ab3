/* Full attention over the pixels of an image, head by head. */
#include <assert.h>
#include <string.h>

#include "exponential.h"
#include "kernels.h"
#include "product.h"
#include "reference.h"

/* Query rows of full attention that are worked on together: a block of scores
 * stays in the cache, and scratch does not grow with the square of the pixels. */
#define QUERY_BLOCK 16

static float inverse_sqrt(int32_t head_size)
{
    return PD_LANE(pd_div(pd_splat(1.0f), pd_sqrt(pd_splat((float)head_size))), 0);
}

/* First pixel of an image, from channel `channel` on. */
static float *channels_of(const pd_view *view, int32_t image, int32_t channel)
{
    const size_t pixels = (size_t)view->height * (size_t)view->width;
    return view->data + (size_t)image * pixels * (size_t)view->stride + (size_t)channel;
}

/* Floats from one row of scores to the next: not a power of two, or all rows
 * would share the same few lines of the first-level cache. */
static size_t score_pitch(size_t padded) { return padded + 16; }

static size_t round_up_8(size_t count) { return (count + 7) & ~(size_t)7; }

/* Replaces x[0 .. count - 1] by exp(x - max x) and returns the sum of these.
 * Values up to the next multiple of 8 become zero. */
static PD_NOINLINE float exponentials(float *x, int32_t count)
{
    const pd_vector_table *const table = pd_table(pd_softmax_table);
    for (int32_t i = count; i % 8 != 0; i++)
        x[i] = x[0];
    pd_f32x4 even = pd_load(x), odd = pd_load(x + 4);
    for (int32_t i = 8; i < count; i += 8) {
        even = pd_max(even, pd_load(x + i));
        odd = pd_max(odd, pd_load(x + i + 4));
    }
    const pd_f32x4 maximum = pd_max_across(pd_max(even, odd)), highest[2] = {maximum, maximum};
    pd_f32x4 sum = pd_zero();
    for (int32_t i = 0; i < count; i += 8) {
        pd_f32x4 value[2] = {pd_load(x + i), pd_load(x + i + 4)};
        pd_softmax_lanes(table, 2, value, highest);
        if (count - i < 8) {
            const int32_t rest = count - i;
            pd_store(x + i, value[0]);
            pd_store(x + i + 4, value[1]);
            value[0] = pd_load_first(x + i, rest < 4 ? rest : 4, 0.0f);
            value[1] = pd_load_first(x + i + 4, rest < 4 ? 0 : rest - 4, 0.0f);
        }
        sum = pd_add(sum, pd_add(value[0], value[1]));
        pd_store(x + i, value[0]);
        pd_store(x + i + 4, value[1]);
    }
    return pd_sum_lanes(sum);
}

PD_INLINE void scale_vector(float *x, int32_t count, float factor)
{
    for (int32_t i = 0; i < count; i += 4)
        pd_store(x + i, pd_mul(pd_load(x + i), pd_splat(factor)));
}

/* Scratch of one head, with the pixels rounded up to 8: k and v packed as
 * panels, [pixels][head_stride] each; a block of scores, a block of queries. */
uint64_t pd_attention_scratch_count(int32_t height, int32_t width, int32_t heads, int32_t head_size)
{
    (void)heads;
    const uint64_t pixels = round_up_8((size_t)height * (size_t)width), stride = (uint64_t)pd_round_up_4(head_size);
    return 2 * pixels * stride + QUERY_BLOCK * (score_pitch((size_t)pixels) + stride);
}

/* k as the B of q k^T: panels of 4 pixels, the last ones filled up with zeros. */
static void pack_keys(const float *k, size_t k_stride, size_t pixels, size_t padded, int32_t head_stride, float *panels)
{
    for (size_t first = 0; first < padded; first += PD_PANEL)
        for (int32_t d = 0; d < head_stride; d++)
            for (size_t i = first; i < first + PD_PANEL; i++)
                *panels++ = i < pixels ? k[i * k_stride + (size_t)d] : 0.0f;
}

/* v as the B of scores v: panels of 4 channels. */
static void pack_values(const float *v, size_t v_stride, size_t pixels, int32_t head_stride, float *panels)
{
    for (int32_t e = 0; e < head_stride; e += PD_PANEL)
        for (size_t i = 0; i < pixels; i++, panels += PD_PANEL)
            memcpy(panels, v + i * v_stride + e, sizeof(float) * PD_PANEL);
}

static pd_windows contiguous_rows(const float *data, int32_t rows, int32_t length, size_t pitch)
{
    return (pd_windows){
        .data = data, .width = rows, .height = 1, .step = pitch, .layout = {.taps = 1, .run = length}};
}

static void attention_head(const pd_view *qkv, const float *q, const float *k, const float *v, int32_t head_size,
                           const pd_view *out_view, float *out, float *scratch)
{
    const size_t pixels = (size_t)qkv->height * (size_t)qkv->width, padded = round_up_8(pixels), pitch = score_pitch(padded);
    const size_t stride = (size_t)qkv->stride, out_stride = (size_t)out_view->stride;
    const int32_t head_stride = pd_round_up_4(head_size);
    const size_t row = (size_t)head_stride;
    float *keys = scratch, *values = keys + padded * row, *scores = values + padded * row;
    float *queries = scores + QUERY_BLOCK * pitch;
    const float scale = inverse_sqrt(head_size);
    pack_keys(k, stride, pixels, padded, head_stride, keys);
    pack_values(v, stride, pixels, head_stride, values);
    for (size_t first = 0; first < pixels; first += QUERY_BLOCK) {
        const int32_t rows = (int32_t)(pixels - first < QUERY_BLOCK ? pixels - first : QUERY_BLOCK);
        for (int32_t i = 0; i < rows; i++) {
            memcpy(queries + (size_t)i * row, q + (first + (size_t)i) * stride, row * sizeof(float));
            scale_vector(queries + (size_t)i * row, head_stride, scale);
        }
        const pd_windows query_rows = contiguous_rows(queries, rows, head_stride, row);
        pd_product(&query_rows, rows, keys, PD_PANEL * row, (int32_t)padded,
                   &(pd_product_target){.out = scores, .out_stride = pitch});
        float sums[QUERY_BLOCK];
        for (int32_t i = 0; i < rows; i++)
            sums[i] = exponentials(scores + (size_t)i * pitch, (int32_t)pixels);
        const pd_windows score_rows = contiguous_rows(scores, rows, (int32_t)pixels, pitch);
        float *to = out + first * out_stride;
        pd_product(&score_rows, rows, values, PD_PANEL * pixels, head_stride,
                   &(pd_product_target){.out = to, .out_stride = out_stride});
        for (int32_t i = 0; i < rows; i++)
            scale_vector(to + (size_t)i * out_stride, head_stride, 1.0f / sums[i]);
    }
}

void pd_attention(const pd_view *qkv, int32_t heads, int32_t head_size, const pd_view *out, float *scratch)
{
    const int32_t head_stride = pd_round_up_4(head_size), part = heads * head_stride;
    assert(qkv->channels == 3 * heads * head_stride && out->channels == heads * head_stride);
    assert(qkv->images == out->images && qkv->height == out->height && qkv->width == out->width);
    if (pd_reference_in_use) {
        pd_reference_attention(qkv, heads, head_size, out, scratch);
        return;
    }
    for (int32_t image = 0; image < qkv->images; image++)
        for (int32_t head = 0; head < heads; head++) {
            const float *q = channels_of(qkv, image, head * head_stride);
            attention_head(qkv, q, q + part, q + 2 * part, head_size, out,
                           channels_of(out, image, head * head_stride), scratch);
        }
}
