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
static const pd_vector_table pd_exp_table[] = {
    PD_EVERY_LANE(-87.0f),          PD_EVERY_LANE(0x1.8p23f),       PD_EVERY_LANE(1.44269504f),    PD_EVERY_LANE(0.693359375f),
    PD_EVERY_LANE(-2.12194440e-4f), PD_EVERY_LANE(0x1.fffffcp-2f),  PD_EVERY_LANE(0x1.555490p-3f), PD_EVERY_LANE(0x1.5558f4p-5f),
    PD_EVERY_LANE(0x1.123a6cp-7f),  PD_EVERY_LANE(0x1.6a2352p-10f), PD_EVERY_LANE(1.0f),
};

/* `table`: pd_table(pd_exp_table), taken outside the loop. */
PD_INLINE pd_f32x4 pd_exp_lanes(const pd_vector_table *table, pd_f32x4 x)
{
    const pd_f32x4 round = pd_entry(table, 1);
    x = pd_max(x, pd_entry(table, 0));
    const pd_f32x4 shifted = pd_multiply_add(round, x, pd_entry(table, 2));
    const pd_f32x4 n = pd_sub(shifted, round);
    const pd_f32x4 r = pd_multiply_subtract(pd_multiply_subtract(x, n, pd_entry(table, 3)), n, pd_entry(table, 4));
    const pd_f32x4 r2 = pd_mul(r, r);
    const pd_f32x4 c01 = pd_multiply_add(pd_entry(table, 5), pd_entry(table, 6), r);
    const pd_f32x4 c23 = pd_multiply_add(pd_entry(table, 7), pd_entry(table, 8), r);
    const pd_f32x4 c234 = pd_multiply_add(c23, pd_entry(table, 9), r2);
    const pd_f32x4 p = pd_multiply_add(c01, c234, r2);
    return pd_scale_exponent(pd_add(pd_multiply_add(r, p, r2), pd_entry(table, 10)), shifted);
}

/* x / (1 + exp(-x)). Below -87, where the quotient is smaller than 2e-36 in
 * magnitude, it stays at that of -87. */
PD_INLINE pd_f32x4 pd_silu_lanes(const pd_vector_table *table, pd_f32x4 x)
{
    x = pd_max(x, pd_entry(table, 0));
    return pd_div(x, pd_add(pd_entry(table, 10), pd_exp_lanes(table, pd_sub(pd_zero(), x))));
}

/* The numerators of a softmax: x[v] = exp(x[v] - highest[v]), `vectors` of them
 * (a constant, 1 or 2), with the values of the table loaded once for all. Made
 * as 2^t, t = (x - highest) log2 e rounded once: no reduction in two parts is
 * needed, for the relative error of exp grows with |t|, but exp falls faster.
 * Error below 2.3 * 2^-24 of the largest numerator, which is exactly 1; below
 * t = -126 the result stays at 2^-126. NaN stays NaN.
 *
 * 2^r, |r| <= 1/2, is 1 + r times a polynomial of least relative error, 9.2e-8,
 * evaluated by Estrin's scheme. */
static const pd_vector_table pd_softmax_table[] = {
    PD_EVERY_LANE(0x1.715476p0f),  PD_EVERY_LANE(0x1.8p23f),      PD_EVERY_LANE(-126.0f),
    PD_EVERY_LANE(1.0f),           PD_EVERY_LANE(0x1.62e42ap-1f), PD_EVERY_LANE(0x1.ebf9bcp-3f),
    PD_EVERY_LANE(0x1.c6b752p-5f), PD_EVERY_LANE(0x1.3cea88p-7f), PD_EVERY_LANE(0x1.5bba14p-10f),
};

/* `table`: pd_table(pd_softmax_table), taken outside the loop. */
PD_INLINE void pd_softmax_lanes(const pd_vector_table *table, int vectors, pd_f32x4 *x, const pd_f32x4 *highest)
{
#define PD_EACH_VECTOR(statement) \
    PD_UNROLL \
    for (int v = 0; v < vectors; v++) statement
    pd_f32x4 shifted[2], r2[2], low[2], high[2];
    PD_EACH_VECTOR(x[v] = pd_mul(pd_sub(x[v], highest[v]), pd_entry(table, 0)));
    PD_EACH_VECTOR(x[v] = pd_max(x[v], pd_entry(table, 2)));
    PD_EACH_VECTOR(shifted[v] = pd_add(x[v], pd_entry(table, 1)));
    PD_EACH_VECTOR(x[v] = pd_sub(x[v], pd_sub(shifted[v], pd_entry(table, 1))));
    PD_EACH_VECTOR(r2[v] = pd_mul(x[v], x[v]));
    PD_EACH_VECTOR(low[v] = pd_multiply_add(pd_entry(table, 4), pd_entry(table, 5), x[v]));
    PD_EACH_VECTOR(high[v] = pd_multiply_add(pd_entry(table, 6), pd_entry(table, 7), x[v]));
    PD_EACH_VECTOR(high[v] = pd_multiply_add(high[v], pd_entry(table, 8), r2[v]));
    PD_EACH_VECTOR(low[v] = pd_multiply_add(low[v], high[v], r2[v]));
    PD_EACH_VECTOR(x[v] = pd_scale_exponent(pd_multiply_add(pd_entry(table, 3), low[v], x[v]), shifted[v]));
#undef PD_EACH_VECTOR
}

#endif
