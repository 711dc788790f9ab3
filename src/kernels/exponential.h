/* Single-precision exponential function and the activations made of it, four
 * lanes at a time, with the same bits on every platform. */
#ifndef PD_EXPONENTIAL_H
#define PD_EXPONENTIAL_H

#include "simd.h"

/* exp(x) for x <= 88; below -87 it stays at exp(-87), so that the result is
 * always a normal number. NaN stays NaN. Error below 1.1 units in the last place.
 *
 * x = n ln 2 + r, |r| <= ln(2) / 2, exp(x) = 2^n exp(r). Adding 1.5 * 2^23
 * rounds to an integer; ln 2 is subtracted in two parts, of which the first has
 * few enough bits that n times it is exact (Cody and Waite 1980, chapter 6).
 * exp(r) is 1 + r + r^2 times a polynomial of least relative error, evaluated
 * by Estrin's scheme: fewer operations that wait for each other. */
static const float pd_exp_table[] = {
    -87.0f,          0x1.8p23f,        1.44269504f,      0.693359375f,     -2.12194440e-4f, 0x1.fffffcp-2f,
    0x1.555490p-3f,  0x1.5558f4p-5f,   0x1.123a6cp-7f,   0x1.6a2352p-10f,  1.0f,
};

/* `table`: pd_table(pd_exp_table), taken outside the loop. */
PD_INLINE pd_f32x4 pd_exp_lanes(const float *table, pd_f32x4 x)
{
    const pd_f32x4 round = pd_load_splat(table + 1);
    x = pd_max(x, pd_load_splat(table));
    const pd_f32x4 shifted = pd_add(pd_mul(x, pd_load_splat(table + 2)), round);
    const pd_f32x4 n = pd_sub(shifted, round);
    const pd_f32x4 r =
        pd_sub(pd_sub(x, pd_mul(n, pd_load_splat(table + 3))), pd_mul(n, pd_load_splat(table + 4)));
    const pd_f32x4 r2 = pd_mul(r, r);
    const pd_f32x4 c01 = pd_add(pd_mul(pd_load_splat(table + 6), r), pd_load_splat(table + 5));
    const pd_f32x4 c23 = pd_add(pd_mul(pd_load_splat(table + 8), r), pd_load_splat(table + 7));
    const pd_f32x4 c234 = pd_add(c23, pd_mul(pd_load_splat(table + 9), r2));
    const pd_f32x4 p = pd_add(c01, pd_mul(c234, r2));
    return pd_scale_exponent(pd_add(pd_add(pd_mul(p, r2), r), pd_load_splat(table + 10)), shifted);
}

/* x / (1 + exp(-x)). Below -87, where the quotient is smaller than 2e-36 in
 * magnitude, it stays at that of -87. */
PD_INLINE pd_f32x4 pd_silu_lanes(const float *table, pd_f32x4 x)
{
    x = pd_max(x, pd_load_splat(table));
    return pd_div(x, pd_add(pd_load_splat(table + 10), pd_exp_lanes(table, pd_sub(pd_zero(), x))));
}

#endif
