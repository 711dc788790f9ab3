/* Every function reduces its argument to a small interval by a split constant
 * (Cody and Waite 1980) and sums a Taylor series there. The coefficients are
 * plain rationals, so that nothing here has to be believed: each comment gives
 * the size of the first omitted term. */
#include "elementary.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* ln 2 = LN2_HIGH + LN2_LOW; the high part has 32 significant bits, so that its
 * product with an exponent (11 bits) is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define LOG2_E 0x1.71547652b82fep+0

/* pi / 2 in three parts; the first two have 33 bits, so that their products
 * with a quadrant number (20 bits for |x| <= 1e6) are exact. */
#define HALF_PI_1 0x1.921fb544p+0
#define HALF_PI_2 0x1.0b4611a6p-34
#define HALF_PI_3 0x1.3198a2e037073p-69
#define TWO_OVER_PI 0x1.45f306dc9c883p-1

#define TWO_OVER_SQRT_PI 0x1.20dd750429b6dp+0

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 2^n for a normal result: -1022 <= n <= 1023. */
static double power_of_two(int32_t n) { return from_bits((uint64_t)(n + 1023) << 52); }

/* Nearest integer, halves away from zero; |x| < 2^31. */
static int32_t nearest(double x) { return (int32_t)(x < 0.0 ? x - 0.5 : x + 0.5); }

double pd_exp(double x)
{
    if (x != x) return x;
    if (x > 709.782712893384) /* ln of the largest double */
        return from_bits(0x7ff0000000000000u);
    if (x < -745.1332191019412) /* ln of half the smallest double */
        return 0.0;
    /* e^x = 2^n e^r, |r| <= ln(2)/2 = 0.347; r^14/14! < 5e-18 is left out. */
    const int32_t n = nearest(x * LOG2_E);
    const double r = (x - n * LN2_HIGH) - n * LN2_LOW;
    double sum = 1.0 / 6227020800.0;
    sum = sum * r + 1.0 / 479001600.0;
    sum = sum * r + 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = (sum * r) * r + r + 1.0;
    /* In two factors, because 2^n itself may be too large or subnormal. */
    const int32_t half = n / 2;
    return sum * power_of_two(half) * power_of_two(n - half);
}

double pd_log(double x)
{
    assert(x > 0.0 && x <= 0x1.fffffffffffffp+1023);
    int32_t n = 0;
    if (x < 0x1p-1022) { /* subnormal */
        x *= 0x1p54;
        n = -54;
    }
    uint64_t bits = to_bits(x);
    n += (int32_t)(bits >> 52) - 1023;
    double m = from_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        n++;
    }
    /* x = 2^n m, sqrt(1/2) < m <= sqrt(2). With s = (m - 1) / (m + 1):
     * ln m = 2 artanh s = 2 (s + s^3/3 + s^5/5 + ...), s^2 < 0.0295;
     * the terms left out are below 1e-18 of the sum. */
    const double s = (m - 1.0) / (m + 1.0), q = s * s;
    double sum = 1.0 / 21.0;
    sum = sum * q + 1.0 / 19.0;
    sum = sum * q + 1.0 / 17.0;
    sum = sum * q + 1.0 / 15.0;
    sum = sum * q + 1.0 / 13.0;
    sum = sum * q + 1.0 / 11.0;
    sum = sum * q + 1.0 / 9.0;
    sum = sum * q + 1.0 / 7.0;
    sum = sum * q + 1.0 / 5.0;
    sum = sum * q + 1.0 / 3.0;
    sum = 2.0 * s + (2.0 * s) * (q * sum);
    return n * LN2_HIGH + (sum + n * LN2_LOW);
}

/* sin and cos of |r| <= pi/4 + 1e-9; first omitted terms below 1e-19 and 3e-18. */
static double sin_small(double r)
{
    const double q = r * r;
    double sum = 1.0 / 355687428096000.0;
    sum = sum * q - 1.0 / 1307674368000.0;
    sum = sum * q + 1.0 / 6227020800.0;
    sum = sum * q - 1.0 / 39916800.0;
    sum = sum * q + 1.0 / 362880.0;
    sum = sum * q - 1.0 / 5040.0;
    sum = sum * q + 1.0 / 120.0;
    sum = sum * q - 1.0 / 6.0;
    return r + r * (q * sum);
}

static double cos_small(double r)
{
    const double q = r * r;
    double sum = 1.0 / 20922789888000.0;
    sum = sum * q - 1.0 / 87178291200.0;
    sum = sum * q + 1.0 / 479001600.0;
    sum = sum * q - 1.0 / 3628800.0;
    sum = sum * q + 1.0 / 40320.0;
    sum = sum * q - 1.0 / 720.0;
    sum = sum * q + 1.0 / 24.0;
    sum = sum * q - 0.5;
    return 1.0 + q * sum;
}

/* x = n pi/2 + r; sin x and cos x are one of +-sin r, +-cos r by n modulo 4.
 * `advance` 1 gives the cosine: cos x = sin(x + pi/2). */
static double sin_quadrant(double x, int32_t advance)
{
    assert(x >= -1e6 && x <= 1e6);
    const int32_t n = nearest(x * TWO_OVER_PI);
    const double r = ((x - n * HALF_PI_1) - n * HALF_PI_2) - n * HALF_PI_3;
    const uint32_t quadrant = (uint32_t)(n + advance) & 3u;
    const double value = quadrant & 1u ? cos_small(r) : sin_small(r);
    return quadrant & 2u ? -value : value;
}

double pd_sin(double x) { return sin_quadrant(x, 0); }

double pd_cos(double x) { return sin_quadrant(x, 1); }

/* Abramowitz and Stegun 7.1.6: erf x = 2/sqrt(pi) e^(-x^2) sum of
 * 2^k x^(2k+1) / (1 3 5 ... (2k+1)). All terms have one sign, so that nothing
 * cancels; from |x| = 6 on, erf differs from +-1 by less than 3e-17. At most
 * about 130 terms. */
double pd_erf(double x)
{
    if (x != x) return x;
    if (x >= 6.0) return 1.0;
    if (x <= -6.0) return -1.0;
    const double twice_square = 2.0 * x * x;
    double term = x, sum = x;
    for (int k = 1;; k++) {
        term = term * twice_square / (2 * k + 1);
        const double next = sum + term;
        if (next == sum) break;
        sum = next;
    }
    return TWO_OVER_SQRT_PI * pd_exp(-x * x) * sum;
}

double pd_sqrt(double x) { return __builtin_sqrt(x); }

float pd_sqrtf(float x) { return __builtin_sqrtf(x); }
