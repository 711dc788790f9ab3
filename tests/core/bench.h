/* Shared by the benchmarks: clock, buffers, the machine's multiply-add peak. */
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "simd.h"

/* Processor time of this process: one that waits for a core is not slow. */
static double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 64-byte aligned, filled with numbers in (-0.5, 0.5). */
static float *bench_allocate(size_t count)
{
    void *block = NULL;
    if (posix_memalign(&block, 64, count * sizeof(float) + 64)) {
        fprintf(stderr, "out of memory\n");
        exit(EXIT_FAILURE);
    }
    float *values = (float *)block;
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)((int32_t)state >> 8) * 0x1p-24f;
    }
    return values;
}

/* Independent chains of a multiplication and an addition, x = x f + f: as many
 * as there are registers in V8 on x86-64 beside f, to hide the latency. Short,
 * and a function of its own: an engine replaces baseline code by optimised code
 * between calls. */
enum { BENCH_CHAINS = 14, BENCH_ROUNDS = 2000 };
static __attribute__((noinline)) float bench_multiply_add_chains(float source)
{
    const pd_f32x4 factor = pd_splat(source);
    pd_f32x4 x[BENCH_CHAINS];
    PD_UNROLL
    for (int i = 0; i < BENCH_CHAINS; i++)
        x[i] = pd_splat(source * (float)i);
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        PD_UNROLL
        for (int i = 0; i < BENCH_CHAINS; i++)
            x[i] = pd_add(pd_mul(x[i], factor), factor);
    }
    PD_UNROLL
    for (int i = 1; i < BENCH_CHAINS; i++)
        x[0] = pd_add(x[0], x[i]);
    return pd_sum_lanes(x[0]);
}

/* GFLOP/s, the best of short timings within `duration` seconds. */
static double bench_peak(double duration)
{
    enum { CALLS = 20 };
    volatile float source = 0.5f;
    double best = 0;
    const double end = bench_seconds() + duration;
    do {
        const double start = bench_seconds();
        for (int i = 0; i < CALLS; i++)
            source = bench_multiply_add_chains(source) > 0 ? 0.5f : 0.25f;
        const double rate = 8.0 * (double)(BENCH_CHAINS * BENCH_ROUNDS) * (double)CALLS / (bench_seconds() - start) * 1e-9;
        if (rate > best)
            best = rate;
    } while (bench_seconds() < end);
    return best;
}

#endif
