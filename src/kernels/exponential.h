/* Single-precision exponential function and the activations made of it, four
 * lanes at a time, with the same bits on every platform. */
#ifndef PD_EXPONENTIAL_H
#define PD_EXPONENTIAL_H

#include "simd.h"

/* exp(x) for x clamped to [-87, 88], so that the result is always a normal
 * number; NaN stays NaN. Error below 1.1 units in the last place.
 *
 * x = n ln 2 + r, |r| <= ln(2) / 2, exp(x) = 2^n exp(r). Adding 1.5 * 2^23
 * rounds to an integer; ln 2 is subtracted in two parts, of which the first has
 * few enough bits that n times it is exact (Cody and Waite 1980, chapter 6).
 * exp(r) is 1 + r + r^2 times a polynomial of least relative error. */
PD_INLINE pd_f32x4 pd_exp_lanes(pd_f32x4 x)
{
    const pd_f32x4 round = pd_splat(0x1.8p23f);
    x = pd_min(pd_max(x, pd_splat(-87.0f)), pd_splat(88.0f));
    const pd_f32x4 shifted = pd_add(pd_mul(x, pd_splat(1.44269504f)), round);
    const pd_f32x4 n = pd_sub(shifted, round);
    const pd_f32x4 r =
        pd_sub(pd_sub(x, pd_mul(n, pd_splat(0.693359375f))), pd_mul(n, pd_splat(-2.12194440e-4f)));
    pd_f32x4 p = pd_splat(0x1.6a2352p-10f);
    p = pd_add(pd_mul(p, r), pd_splat(0x1.123a6cp-7f));
    p = pd_add(pd_mul(p, r), pd_splat(0x1.5558f4p-5f));
    p = pd_add(pd_mul(p, r), pd_splat(0x1.555490p-3f));
    p = pd_add(pd_mul(p, r), pd_splat(0x1.fffffcp-2f));
    p = pd_add(pd_mul(pd_mul(p, r), r), r);
    return pd_scale_exponent(pd_add(p, pd_splat(1.0f)), shifted);
}

/* x / (1 + exp(-x)). Below -87, where the quotient is smaller than 2e-36 in
 * magnitude, it stays at that of -87. */
PD_INLINE pd_f32x4 pd_silu_lanes(pd_f32x4 x)
{
    x = pd_max(x, pd_splat(-87.0f));
    const pd_f32x4 one = pd_splat(1.0f);
    return pd_div(x, pd_add(one, pd_exp_lanes(pd_sub(pd_zero(), x))));
}

#endif
