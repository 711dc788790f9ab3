#include "random.h"

#include "elementary.h"

#define SHIFT_WORDS 397

#define PI 0x1.921fb54442d18p+1

void pd_random_seed(pd_random *random, uint64_t seed)
{
    random->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < PD_RANDOM_WORDS; i++) {
        const uint32_t previous = random->state[i - 1];
        random->state[i] = 1812433253u * (previous ^ (previous >> 30)) + i;
    }
    random->index = PD_RANDOM_WORDS;
    random->has_cached = false;
    random->cached = 0.0;
}

/* One word of the recurrence: the top bit of x, the others of y. */
static uint32_t twist(uint32_t x, uint32_t y)
{
    const uint32_t joined = (x & 0x80000000u) | (y & 0x7fffffffu);
    return (joined >> 1) ^ (y & 1u ? 0x9908b0dfu : 0u);
}

static void next_state(uint32_t *state)
{
    int i = 0;
    for (; i < PD_RANDOM_WORDS - SHIFT_WORDS; i++) state[i] = state[i + SHIFT_WORDS] ^ twist(state[i], state[i + 1]);
    for (; i < PD_RANDOM_WORDS - 1; i++) state[i] = state[i + SHIFT_WORDS - PD_RANDOM_WORDS] ^ twist(state[i], state[i + 1]);
    state[i] = state[SHIFT_WORDS - 1] ^ twist(state[i], state[0]);
}

uint32_t pd_random_bits(pd_random *random)
{
    if (random->index == PD_RANDOM_WORDS) {
        next_state(random->state);
        random->index = 0;
    }
    uint32_t y = random->state[random->index++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    y ^= y >> 18;
    return y;
}

/* Uniform in [0, 1): 24 bits of one word as float, 53 bits of two (the first is
 * the high one) as double. All of these numbers are exact. */
static float uniform_float(pd_random *random) { return (float)(pd_random_bits(random) & 0xffffffu) * 0x1p-24f; }

static double uniform_double(pd_random *random)
{
    const uint64_t high = pd_random_bits(random), low = pd_random_bits(random);
    return (double)(((high << 32) | low) & 0x1fffffffffffffu) * 0x1p-53;
}

/* Box-Muller on 16 uniform numbers: the first eight give the radii, the last
 * eight the angles. PyTorch rounds to float after each operation, and its
 * logarithm, sine and cosine differ between processors in the last bit or two.
 * Here every operation is rounded to float too, but from the accurate value,
 * which lies in the middle of those. Rounding the angle matters most: it moves
 * a result by up to 1e-6. */
static void box_muller_16(float *values)
{
    for (int i = 0; i < 8; i++) {
        const float u1 = 1.0f - values[i]; /* (0, 1], exact */
        const float radius = pd_sqrtf(-2.0f * (float)pd_log((double)u1));
        const float theta = (float)(2.0 * PI) * values[i + 8];
        values[i] = radius * (float)pd_cos((double)theta);
        values[i + 8] = radius * (float)pd_sin((double)theta);
    }
}

/* One number by Box-Muller in double precision. The sine half of each pair is
 * kept for the next such request, across requests of 16 or more. */
static double normal_pair(pd_random *random)
{
    if (random->has_cached) {
        random->has_cached = false;
        return random->cached;
    }
    const double u1 = uniform_double(random), u2 = uniform_double(random);
    const double radius = pd_sqrt(-2.0 * pd_log(1.0 - u2)); /* 1 - u2 is exact */
    const double theta = 2.0 * PI * u1;
    random->cached = radius * pd_sin(theta);
    random->has_cached = true;
    return radius * pd_cos(theta);
}

void pd_random_normal(pd_random *random, size_t count, float *values)
{
    if (count < 16) {
        for (size_t i = 0; i < count; i++) values[i] = (float)normal_pair(random);
        return;
    }
    for (size_t i = 0; i < count; i++) values[i] = uniform_float(random);
    for (size_t i = 0; i + 16 <= count; i += 16) box_muller_16(values + i);
    /* What is left over is too short for a group: the last 16 numbers are drawn
     * anew, some of them for the second time. */
    if (count % 16 != 0) {
        float *last = values + (count - 16);
        for (int i = 0; i < 16; i++) last[i] = uniform_float(random);
        box_muller_16(last);
    }
}
