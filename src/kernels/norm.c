/* RMSNorm (Zhang and Sennrich 2019) fused with scale-shift, SiLU and residual;
 * SiLU alone. */
#include <assert.h>

#include "exponential.h"
#include "kernels.h"
#include "reference.h"

/* 1 / max(||x||_2, 1e-12) of one pixel, in every lane. Two vectors of partial sums, so that
 * one addition need not wait for the one before. */
PD_INLINE pd_f32x4 inverse_norm(const float *x, int32_t channels)
{
    pd_f32x4 even = pd_zero(), odd = pd_zero();
    int32_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        const pd_f32x4 a = pd_load(x + c), b = pd_load(x + c + 4);
        even = pd_multiply_add(even, a, a);
        odd = pd_multiply_add(odd, b, b);
    }
    if (c < channels) {
        const pd_f32x4 a = pd_load(x + c);
        even = pd_multiply_add(even, a, a);
    }
    const pd_f32x4 norm = pd_root(pd_sum_across(pd_add(even, odd)));
    return pd_div(pd_splat(1.0f), pd_max(norm, pd_splat(1e-12f)));
}

/* Pixels that are worked on together: first all their norms, each a chain of
 * additions, a root and a division, which then overlap; then the rest. */
#define NORM_BLOCK 16

/* Rows of up to NORM_BLOCK pixels; the strides are in floats. */
typedef struct norm_rows {
    const float *x, *residual; /* residual: or NULL */
    float *y;
    size_t x_stride, residual_stride, y_stride;
} norm_rows;

/* Four channels of a pixel, before the residual. */
PD_INLINE pd_f32x4 channel_vector(bool modulate, bool silu, const pd_vector_table *table, const float *x, pd_f32x4 factor,
                                  const float *gain, const float *scale, const float *shift)
{
    pd_f32x4 y = pd_mul(pd_mul(pd_load(x), factor), pd_load(gain));
    if (modulate) y = pd_multiply_add(pd_load(shift), y, pd_load(scale));
    return silu ? pd_silu_lanes(table, y) : y;
}

/* Each flag is a constant where this is called, so that the loop over the
 * channels has no branches. */
PD_INLINE void normalise(bool modulate, bool silu, bool add, int32_t channels, size_t pixels, norm_rows rows, const float *gain,
                         const float *scale, const float *shift)
{
    const pd_vector_table *const table = pd_table(pd_exp_table);
    float inverse[4 * NORM_BLOCK];
    for (size_t i = 0; i < pixels; i++) pd_store(inverse + 4 * i, inverse_norm(rows.x + i * rows.x_stride, channels));
    for (size_t i = 0; i < pixels; i++) {
        const float *x = rows.x + i * rows.x_stride;
        const float *residual = add ? rows.residual + i * rows.residual_stride : NULL;
        float *out = rows.y + i * rows.y_stride;
        const pd_f32x4 factor = pd_load(inverse + 4 * i);
        /* Pointers that move: only then is the distance to the second vector part of
         * the instructions. The two vectors share the values of the table. */
        const float *g = gain, *sc = scale, *sh = shift;
        int32_t left = channels;
        for (; left >= 8; left -= 8) {
            const pd_f32x4 y0 = channel_vector(modulate, silu, table, x, factor, g, sc, sh);
            const pd_f32x4 y1 = channel_vector(modulate, silu, table, x + 4, factor, g + 4, modulate ? sc + 4 : NULL,
                                               modulate ? sh + 4 : NULL);
            const pd_f32x4 sum0 = add ? pd_add(y0, pd_load(residual)) : y0;
            const pd_f32x4 sum1 = add ? pd_add(y1, pd_load(residual + 4)) : y1;
            pd_store(out, sum0);
            pd_store(out + 4, sum1);
            x += 8;
            g += 8;
            out += 8;
            if (modulate) {
                sc += 8;
                sh += 8;
            }
            if (add) residual += 8;
        }
        if (left) {
            const pd_f32x4 y = channel_vector(modulate, silu, table, x, factor, g, sc, sh);
            pd_store(out, add ? pd_add(y, pd_load(residual)) : y);
        }
    }
}

#define NORMALISE(name, modulate, silu, add) \
    static PD_NOINLINE void name(int32_t channels, size_t pixels, norm_rows rows, const float *gain, const float *scale, \
                                 const float *shift) \
    { \
        normalise(modulate, silu, add, channels, pixels, rows, gain, scale, shift); \
    }
NORMALISE(normalise_0, false, false, false)
NORMALISE(normalise_1, false, false, true)
NORMALISE(normalise_2, false, true, false)
NORMALISE(normalise_3, false, true, true)
NORMALISE(normalise_4, true, false, false)
NORMALISE(normalise_5, true, false, true)
NORMALISE(normalise_6, true, true, false)
NORMALISE(normalise_7, true, true, true)

void pd_rms_norm(const pd_view *in, const float *gain, const float *const *scale, const float *const *shift, bool silu,
                 const pd_view *residual, const pd_view *out)
{
    typedef void normalise_function(int32_t channels, size_t pixels, norm_rows rows, const float *gain, const float *scale,
                                    const float *shift);
    static normalise_function *const functions[] = {normalise_0, normalise_1, normalise_2, normalise_3,
                                                    normalise_4, normalise_5, normalise_6, normalise_7};
    assert(in->channels % 4 == 0 && in->channels == out->channels);
    assert(in->images == out->images && in->height == out->height && in->width == out->width);
    if (pd_reference_in_use) {
        pd_reference_rms_norm(in, gain, scale, shift, silu, residual, out);
        return;
    }
    normalise_function *const function = functions[(scale ? 4 : 0) + (silu ? 2 : 0) + (residual ? 1 : 0)];
    const size_t pixels = (size_t)in->height * (size_t)in->width;
    norm_rows rows = {.x_stride = (size_t)in->stride, .y_stride = (size_t)out->stride};
    if (residual) rows.residual_stride = (size_t)residual->stride;
    for (size_t image = 0; image < (size_t)in->images; image++)
        for (size_t i = 0; i < pixels; i += NORM_BLOCK) {
            const size_t first = image * pixels + i, count = pixels - i < NORM_BLOCK ? pixels - i : NORM_BLOCK;
            rows.x = in->data + first * rows.x_stride;
            rows.y = out->data + first * rows.y_stride;
            if (residual) rows.residual = residual->data + first * rows.residual_stride;
            function(in->channels, count, rows, gain, scale ? scale[image] : NULL, scale ? shift[image] : NULL);
        }
}

void pd_silu(size_t count, const float *in, float *out)
{
    if (pd_reference_in_use) {
        pd_reference_silu(count, in, out);
        return;
    }
    const pd_vector_table *const table = pd_table(pd_exp_table);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) pd_store(out + i, pd_silu_lanes(table, pd_load(in + i)));
    const int32_t rest = (int32_t)(count - i);
    if (rest) pd_store_first(out + i, rest, pd_silu_lanes(table, pd_load_first(in + i, rest, 0.0f)));
}
