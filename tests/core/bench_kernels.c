/* Throughput of the convolution forms at the shapes of small UNets, next to the
 * multiply-add peak of the machine measured in the same run. GFLOP/s are
 * counted as work of the direct form, so that a fast algorithm can exceed the
 * peak. Two figures for each form: "hot", the same layer again and again, and
 * "cold", many copies of the packed weights in turn, 48 MiB together, as
 * in a network, where a layer's weights have left the nearer caches before it
 * runs again.
 *
 * bench_kernels [seconds per figure, 0.05] [text in the shape's name]
 * Runs natively and, as a stand-alone WebAssembly module, under WASI. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign, clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "conv.h"

/* Best rate of a few repeated timings: other work on the machine only slows. */
static double measure_conv(pd_conv *conv, const pd_view *in, const pd_view *out, float *scratch, const float *weights,
                           size_t copies, double work, double duration)
{
    double best = 0;
    size_t next = 0;
    /* Blocks of calls of a tenth of the duration each. */
    size_t calls = 1;
    const double end = bench_seconds() + duration;
    do {
        const double start = bench_seconds();
        for (size_t i = 0; i < calls; i++) {
            conv->packed = weights + next * ((conv->packed_count + 15) & ~(uint64_t)15);
            next = (next + 1) % copies;
            pd_conv_run(conv, in, NULL, out, scratch);
        }
        const double elapsed = bench_seconds() - start;
        const double rate = work * (double)calls / elapsed * 1e-9;
        if (rate > best)
            best = rate;
        if (elapsed < duration / 16)
            calls *= 2;
    } while (bench_seconds() < end);
    return best;
}

static void bench_shape(const char *name, const pd_conv_shape *shape, double duration, double peak)
{
    static const char *const forms[PD_CONV_FORMS] = {"direct", "F(2x2)", "F(2x4)", "F(4x4)"};
    pd_conv planned;
    pd_conv_plan(&planned, shape);
    printf("%-26s", name);
    for (int form = 0; form < PD_CONV_FORMS; form++) {
        if (form != PD_CONV_DIRECT && (shape->kernel < 3 || !pd_conv_winograd_pieces(shape)))
            continue;
        pd_conv conv;
        pd_conv_plan_form(&conv, shape, (pd_conv_form)form);
        const size_t padded = (conv.packed_count + 15) & ~(size_t)15;
        const size_t copies = (size_t)12 * 1024 * 1024 / padded + 1;
        float *weights = bench_allocate(padded * copies);
        float *scratch = bench_allocate((size_t)conv.scratch_count);
        pd_view in = {NULL, shape->images, shape->in_height, shape->in_width, shape->in_channels, shape->in_channels};
        pd_view out = {NULL,
                       shape->images,
                       conv.out_height,
                       conv.out_width,
                       shape->out_channels,
                       shape->out_channels};
        in.data = bench_allocate((size_t)in.images * (size_t)(in.height * in.width) * (size_t)in.stride);
        out.data = bench_allocate((size_t)out.images * (size_t)(out.height * out.width) * (size_t)out.stride);
        float *bias = bench_allocate((size_t)shape->out_channels);
        conv.bias = bias;
        const double work = 2.0 * shape->images * conv.out_height * conv.out_width * shape->out_channels *
                            shape->in_channels * shape->kernel * shape->kernel;
        const double hot = measure_conv(&conv, &in, &out, scratch, weights, 1, work, duration);
        const double cold = measure_conv(&conv, &in, &out, scratch, weights, copies, work, duration);
        printf(" | %s %5.1f (%.2f) %5.1f (%.2f)%c", forms[form], hot, hot / peak, cold, cold / peak,
               planned.form == (pd_conv_form)form ? '*' : ' ');
        fflush(stdout);
        free(weights), free(scratch), free(in.data), free(out.data), free(bias);
    }
    printf("\n");
}

/* Microseconds of the other kernels, at 16x16 x 64 and 128 attention channels. */
static void bench_others(double duration)
{
    enum { SIDE = 16, CHANNELS = 64, HEADS = 4, HEAD = 32 };
    pd_view x = {NULL, 2, SIDE, SIDE, CHANNELS, CHANNELS}, qkv = {NULL, 2, SIDE, SIDE, 3 * HEADS * HEAD, 3 * HEADS * HEAD};
    pd_view out = {NULL, 2, SIDE, SIDE, HEADS * HEAD, HEADS * HEAD};
    x.data = bench_allocate(2 * SIDE * SIDE * CHANNELS);
    qkv.data = bench_allocate(2 * SIDE * SIDE * 3 * HEADS * HEAD);
    out.data = bench_allocate(2 * SIDE * SIDE * HEADS * HEAD);
    float *gain = bench_allocate(CHANNELS), *scratch = bench_allocate((size_t)pd_attention_scratch_count(SIDE, SIDE, HEADS, HEAD));
    const float *const vectors[2] = {gain, gain};
    static const char *const names[] = {"rms_norm", "rms_norm + scale-shift + silu", "attention"};
    for (int kernel = 0; kernel < 3; kernel++) {
        double best = 1e9;
        const double end = bench_seconds() + duration;
        do {
            const double start = bench_seconds();
            for (int i = 0; i < 10; i++)
                switch (kernel) {
                case 0: pd_rms_norm(&x, gain, NULL, NULL, false, NULL, &x); break;
                case 1: pd_rms_norm(&x, gain, vectors, vectors, true, NULL, &x); break;
                default: pd_attention(&qkv, HEADS, HEAD, &out, scratch); break;
                }
            const double elapsed = (bench_seconds() - start) / 10;
            if (elapsed < best)
                best = elapsed;
        } while (bench_seconds() < end);
        printf("%-30s 2 x 16x16: %8.1f us\n", names[kernel], best * 1e6);
    }
    free(x.data), free(qkv.data), free(out.data), free(gain), free(scratch);
}

int main(int argc, char **argv)
{
    const double duration = argc > 1 ? atof(argv[1]) : 0.05;
    const char *filter = argc > 2 ? argv[2] : "";
    static const int32_t layers[][3] = {
        /* side, in, out */
        {32, 32, 32},   {32, 64, 64},   {32, 128, 128}, {16, 32, 32},   {16, 64, 64},   {16, 96, 96},
        {16, 128, 128}, {16, 192, 128}, {8, 64, 64},    {8, 128, 128},  {8, 192, 192},  {8, 256, 256},
        {8, 384, 256},  {4, 64, 64},    {4, 128, 128},  {4, 256, 256},  {4, 384, 256},
    };
    double peak = bench_peak(0.2);
    printf("multiply-add peak %.1f GFLOP/s; columns: GFLOP/s hot (ratio to peak) cold (ratio); * planned\n", peak);
    for (int32_t images = 1; images <= 2; images++) {
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
            const pd_conv_shape shape = {layers[i][1], layers[i][2], layers[i][0], layers[i][0], 3, 1, 1, false, images};
            char name[64];
            snprintf(name, sizeof name, "%d x %dx%d %d->%d 3x3", (int)images, (int)shape.in_height, (int)shape.in_width,
                     (int)shape.in_channels, (int)shape.out_channels);
            if (strstr(name, filter))
                bench_shape(name, &shape, duration, peak);
        }
        static const pd_conv_shape others[] = {
            {4, 32, 16, 16, 7, 1, 3, false, 1},   {32, 64, 16, 16, 4, 2, 1, false, 1},
            {64, 128, 8, 8, 4, 2, 1, false, 1},   {32, 384, 16, 16, 1, 1, 0, false, 1},
            {128, 32, 16, 16, 1, 1, 0, false, 1}, {128, 384, 4, 4, 1, 1, 0, false, 1},
            {32, 4, 16, 16, 1, 1, 0, false, 1},   {256, 512, 1, 1, 1, 1, 0, false, 1},
        };
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            pd_conv_shape shape = others[i];
            shape.images = images;
            char name[64];
            snprintf(name, sizeof name, "%d x %dx%d %d->%d %dx%d/%d", (int)images, (int)shape.in_height,
                     (int)shape.in_width, (int)shape.in_channels, (int)shape.out_channels, (int)shape.kernel,
                     (int)shape.kernel, (int)shape.step);
            if (strstr(name, filter))
                bench_shape(name, &shape, duration, peak);
        }
    }
    if (!*filter)
        bench_others(duration);
    const double peak_after = bench_peak(0.2);
    printf("multiply-add peak after %.1f GFLOP/s\n", peak_after);
    return 0;
}
