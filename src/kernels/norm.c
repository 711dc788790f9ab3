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
    const pd_f32x4 norm = pd_sqrt(pd_sum_across(pd_add(even, odd)));
    return pd_div(pd_splat(1.0f), pd_max(norm, pd_splat(1e-12f)));
}

/* One pixel. Each flag is a constant where this is called, so that the loop
 * over the channels has no branches. */
PD_INLINE void normalise(bool modulate, bool silu, bool add, int32_t channels, const float *x, const float *gain,
                         const float *scale, const float *shift, const float *residual, float *out)
{
    const pd_f32x4 inverse = inverse_norm(x, channels);
    for (int32_t c = 0; c < channels; c += 4) {
        pd_f32x4 y = pd_mul(pd_mul(pd_load(x + c), inverse), pd_load(gain + c));
        if (modulate)
            y = pd_add(pd_mul(y, pd_load(scale + c)), pd_load(shift + c));
        if (silu)
            y = pd_silu_lanes(y);
        if (add)
            y = pd_add(y, pd_load(residual + c));
        pd_store(out + c, y);
    }
}

void pd_rms_norm(const pd_view *in, const float *gain, const float *const *scale, const float *const *shift, bool silu,
                 const pd_view *residual, const pd_view *out)
{
    assert(in->channels % 4 == 0 && in->channels == out->channels);
    assert(in->images == out->images && in->height == out->height && in->width == out->width);
    if (pd_reference_in_use) {
        pd_reference_rms_norm(in, gain, scale, shift, silu, residual, out);
        return;
    }
    const int32_t channels = in->channels;
    const size_t pixels = (size_t)in->height * (size_t)in->width;
    for (int32_t image = 0; image < in->images; image++) {
        const float *a = scale ? scale[image] : NULL, *b = scale ? shift[image] : NULL;
        for (size_t i = (size_t)image * pixels, end = i + pixels; i < end; i++) {
            const float *x = in->data + i * (size_t)in->stride;
            const float *r = residual ? residual->data + i * (size_t)residual->stride : NULL;
            float *y = out->data + i * (size_t)out->stride;
            switch ((scale ? 4 : 0) + (silu ? 2 : 0) + (residual ? 1 : 0)) {
            case 0: normalise(false, false, false, channels, x, gain, a, b, r, y); break;
            case 1: normalise(false, false, true, channels, x, gain, a, b, r, y); break;
            case 2: normalise(false, true, false, channels, x, gain, a, b, r, y); break;
            case 3: normalise(false, true, true, channels, x, gain, a, b, r, y); break;
            case 4: normalise(true, false, false, channels, x, gain, a, b, r, y); break;
            case 5: normalise(true, false, true, channels, x, gain, a, b, r, y); break;
            case 6: normalise(true, true, false, channels, x, gain, a, b, r, y); break;
            default: normalise(true, true, true, channels, x, gain, a, b, r, y); break;
            }
        }
    }
}

void pd_silu(size_t count, const float *in, float *out)
{
    if (pd_reference_in_use) {
        pd_reference_silu(count, in, out);
        return;
    }
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        pd_store(out + i, pd_silu_lanes(pd_load(in + i)));
    const int32_t rest = (int32_t)(count - i);
    if (rest)
        pd_store_first(out + i, rest, pd_silu_lanes(pd_load_first(in + i, rest, 0.0f)));
}
