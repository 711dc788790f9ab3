/* Profile of one model file, layer by layer: each layer's shape and chosen form,
 * the time it takes, its rate in GFLOP/s counted as direct-form work, and the
 * ratio of that to the multiply-add peak of the machine measured in the same
 * run. The layers run in the order of the network, round after round, so that
 * each finds the caches as it does in a forward pass; the least time of the
 * rounds counts, because other work on the machine only slows.
 *
 * bench_unet MODEL.gguf [images, 2] [rounds, 40]     "-": from standard input
 * Runs natively and, as a stand-alone WebAssembly module, under WASI. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign, clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "model.h"
#include "unet.h"

/* ---- the layers of a network, in order --------------------------------------- */

typedef enum layer_kind { LAYER_CONVOLUTION, LAYER_LINEAR_ATTENTION, LAYER_ATTENTION, LAYER_NORM } layer_kind;

typedef struct layer {
    char name[48];
    layer_kind kind;
    const pd_conv *convolution;
    const pd_linear_attention *linear_attention;
    const pd_attention_layer *attention;
    const float *gain;       /* of a norm */
    bool modulate, residual; /* of a norm */
    int32_t height, width, channels;
    double best; /* seconds */
} layer;

enum { MAX_LAYERS = 400 };
static layer layers[MAX_LAYERS];
static int layer_count;

static layer *add_layer(layer_kind kind, const char *prefix, const char *name, int32_t height, int32_t width,
                        int32_t channels)
{
    if (layer_count == MAX_LAYERS) abort();
    layer *added = &layers[layer_count++];
    *added = (layer){.kind = kind, .height = height, .width = width, .channels = channels, .best = 1e9};
    snprintf(added->name, sizeof added->name, "%s%s", prefix, name);
    return added;
}

static void add_convolution(const char *prefix, const char *name, const pd_conv *convolution)
{
    const pd_conv_shape *s = &convolution->shape;
    add_layer(LAYER_CONVOLUTION, prefix, name, s->in_height, s->in_width, s->in_channels)->convolution = convolution;
}

static void add_norm(const char *prefix, const char *name, const pd_conv *after, const float *gain, bool modulate)
{
    layer *added = add_layer(LAYER_NORM, prefix, name, after->out_height, after->out_width, after->shape.out_channels);
    added->gain = gain;
    added->modulate = modulate;
    added->residual = !modulate;
}

static void add_resnet(const char *prefix, const pd_resnet *block)
{
    add_convolution(prefix, "block1.proj", &block->convolution_1);
    add_norm(prefix, "block1.norm", &block->convolution_1, block->gain_1, true);
    add_convolution(prefix, "block2.proj", &block->convolution_2);
    if (block->has_shortcut) add_convolution(prefix, "res_conv", &block->shortcut);
    add_norm(prefix, "block2.norm", &block->convolution_2, block->gain_2, false);
}

static void add_linear_attention(const char *prefix, const pd_linear_attention *attention)
{
    add_layer(LAYER_LINEAR_ATTENTION, prefix, "attention", attention->height, attention->width, attention->channels)
        ->linear_attention = attention;
}

static const char *indexed(const char *list, int32_t index, const char *rest)
{
    static char name[32];
    snprintf(name, sizeof name, "%s%d%s", list, (int)index, rest);
    return name;
}

static void list_layers(const pd_unet *unet)
{
    const int32_t levels = unet->config.level_count;
    add_convolution("", "init_conv", &unet->stem);
    for (int32_t i = 0; i < levels; i++) {
        const pd_level *level = &unet->levels[i];
        add_resnet(indexed("downs.", i, ".0."), &level->down_1);
        add_resnet(indexed("downs.", i, ".1."), &level->down_2);
        add_linear_attention(indexed("downs.", i, ".2."), &level->down_attention);
        add_convolution(indexed("downs.", i, "."), "3", &level->downsample);
    }
    const pd_level *bottom = &unet->levels[levels - 1];
    const pd_attention_layer *middle = &unet->middle_attention;
    add_resnet("mid_block1.", &unet->middle_1);
    add_convolution("mid_attn.", "to_qkv", &middle->to_qkv);
    add_layer(LAYER_ATTENTION, "mid_attn.", "attention", bottom->height, bottom->width, middle->to_out.shape.in_channels)
        ->attention = middle;
    add_convolution("mid_attn.", "to_out", &middle->to_out);
    add_resnet("mid_block2.", &unet->middle_2);
    for (int32_t i = levels - 1; i >= 0; i--) {
        const pd_level *level = &unet->levels[i];
        const int32_t up = levels - 1 - i;
        add_resnet(indexed("ups.", up, ".0."), &level->up_1);
        add_resnet(indexed("ups.", up, ".1."), &level->up_2);
        add_linear_attention(indexed("ups.", up, ".2."), &level->up_attention);
        add_convolution(indexed("ups.", up, "."), "3", &level->upsample);
    }
    add_resnet("final_res_block.", &unet->final_block);
    add_convolution("", "final_conv", &unet->final_convolution);
}

/* Multiplications of the layer as the reference computes it, times two. */
static double work_of(const layer *l, int32_t images)
{
    const double pixels = (double)images * l->height * l->width, channels = (double)l->channels;
    switch (l->kind) {
    case LAYER_CONVOLUTION: {
        const pd_conv *c = l->convolution;
        return 2.0 * images * c->out_height * c->out_width * (double)c->shape.out_channels *
               (double)c->shape.in_channels * c->shape.kernel * c->shape.kernel;
    }
    case LAYER_LINEAR_ATTENTION: {
        const double inner = (double)l->linear_attention->heads * l->linear_attention->head_size;
        return 2.0 * pixels * inner * (4 * channels + 2 * l->linear_attention->head_size);
    }
    case LAYER_ATTENTION: return 4.0 * pixels * l->height * l->width * channels;
    default: return 0;
    }
}

/* ---- running them ------------------------------------------------------------------ */

typedef struct buffers {
    float *in, *out, *residual, *scratch;
} buffers;

static pd_view view(float *data, int32_t images, int32_t height, int32_t width, int32_t channels)
{
    return (pd_view){data, images, height, width, channels, channels};
}

static void run_layer(const layer *l, int32_t images, const buffers *b)
{
    const pd_view in = view(b->in, images, l->height, l->width, l->channels);
    const pd_view residual = view(b->residual, images, l->height, l->width, l->channels);
    const pd_view same = view(b->out, images, l->height, l->width, l->channels);
    switch (l->kind) {
    case LAYER_CONVOLUTION: {
        const pd_conv *c = l->convolution;
        const pd_view out = view(b->out, images, c->out_height, c->out_width, c->shape.out_channels);
        pd_conv_run(c, &in, NULL, &out, b->scratch);
        break;
    }
    case LAYER_LINEAR_ATTENTION: pd_linear_attention_run(l->linear_attention, &in, &same, b->scratch); break;
    case LAYER_ATTENTION: {
        const pd_view qkv = view(b->in, images, l->height, l->width, 3 * l->channels);
        pd_attention(&qkv, l->attention->heads, l->attention->head_size, &same, b->scratch);
        break;
    }
    case LAYER_NORM: {
        const float *scale[PD_MAX_PICTURES];
        for (int32_t i = 0; i < images; i++) scale[i] = l->gain;
        pd_rms_norm(&in, l->gain, l->modulate ? scale : NULL, scale, true, l->residual ? &residual : NULL, &same);
        break;
    }
    }
}

static uint64_t largest_buffer(int32_t images)
{
    uint64_t largest = 0;
    for (int i = 0; i < layer_count; i++) {
        const layer *l = &layers[i];
        uint64_t channels = (uint64_t)l->channels * (l->kind == LAYER_ATTENTION ? 3 : 1);
        if (l->kind == LAYER_CONVOLUTION && (uint64_t)l->convolution->shape.out_channels > channels)
            channels = (uint64_t)l->convolution->shape.out_channels;
        /* An upsampled map has four times the pixels. */
        const uint64_t count = (uint64_t)images * 4 * (uint64_t)(l->height * l->width) * channels;
        if (count > largest) largest = count;
    }
    return largest;
}

static void describe(const layer *l, char *text, size_t size)
{
    static const char *const forms[PD_CONV_FORMS] = {"direct", "F(2x2)", "F(2x4)", "F(4x4)"};
    if (l->kind == LAYER_CONVOLUTION) {
        const pd_conv_shape *s = &l->convolution->shape;
        snprintf(text, size, "%dx%d %4d->%-4d %dx%d/%d%s %s", (int)s->in_height, (int)s->in_width, (int)s->in_channels,
                 (int)s->out_channels, (int)s->kernel, (int)s->kernel, (int)s->step, s->upsample ? " up" : "",
                 forms[l->convolution->form]);
    } else {
        snprintf(text, size, "%dx%d %4d%s", (int)l->height, (int)l->width, (int)l->channels,
                 l->kind != LAYER_LINEAR_ATTENTION ? "" : l->linear_attention->folded ? " folded" : " plain");
    }
}

static void print_profile(int32_t images, double peak)
{
    static const char *const kinds[] = {"convolutions", "linear attention", "attention core", "norm + SiLU"};
    double total = 0, of_kind[4] = {0};
    printf("%-28s %-34s %9s %8s %6s\n", "layer", "shape and form", "us", "GFLOP/s", "/peak");
    for (int i = 0; i < layer_count; i++) {
        const layer *l = &layers[i];
        char text[64];
        describe(l, text, sizeof text);
        const double rate = work_of(l, images) / l->best * 1e-9;
        printf("%-28s %-34s %9.1f", l->name, text, l->best * 1e6);
        if (rate > 0) printf(" %8.1f %6.2f", rate, rate / peak);
        printf("\n");
        total += l->best;
        of_kind[l->kind] += l->best;
    }
    for (int k = 0; k < 4; k++)
        printf("%-28s %-34s %9.1f %7.1f%%\n", kinds[k], "", of_kind[k] * 1e6, 100 * of_kind[k] / total);
    printf("%-28s %-34s %9.1f\n", "all layers", "", total * 1e6);
}

/* ---- the whole ------------------------------------------------------------------------ */

/* The whole of a file, or of standard input for "-": a stand-alone module of
 * Emscripten cannot open files. */
static void *read_file(const char *path, size_t *size)
{
    enum { LARGEST = 128 << 20 };
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    void *bytes = malloc(LARGEST);
    if (!file || !bytes) {
        fprintf(stderr, "bench_unet: cannot open %s\n", path);
        exit(EXIT_FAILURE);
    }
    *size = fread(bytes, 1, LARGEST, file);
    fclose(file);
    return bytes;
}

static pd_model *load(const char *path)
{
    pd_error error;
    size_t size;
    void *bytes = read_file(path, &size);
    pd_model *model = NULL;
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        pd_model_free(model);
        const double start = bench_seconds();
        if (pd_model_load(bytes, size, &model, &error) != PD_OK) {
            fprintf(stderr, "bench_unet: %s: %s\n", path, error.message);
            exit(EXIT_FAILURE);
        }
        const double elapsed = bench_seconds() - start;
        if (elapsed < best) best = elapsed;
    }
    free(bytes);
    printf("%s: %.2f MB, loaded in %.1f ms, %.2f MB of memory\n", path, (double)size * 1e-6, best * 1e3,
           (double)model->info.memory_bytes * 1e-6);
    return model;
}

static double time_forward(const pd_model *model, int32_t images, int rounds, const float *input)
{
    const pd_unet *unet = &model->unet;
    const size_t values = (size_t)(unet->height * unet->width);
    const float *x[PD_MAX_PICTURES], *conditions[PD_MAX_PICTURES];
    float *predictions[PD_MAX_PICTURES], *output = bench_allocate((size_t)images * values * (size_t)unet->config.out_dim);
    float *class_condition = bench_allocate((size_t)unet->condition_count);
    float *time_condition = bench_allocate((size_t)unet->condition_count);
    for (int32_t i = 0; i < images; i++) {
        x[i] = input;
        conditions[i] = class_condition;
        predictions[i] = output + (size_t)i * values * (size_t)unet->config.out_dim;
    }
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        const double start = bench_seconds();
        pd_unet_forward(unet, images, x, time_condition, conditions, predictions);
        const double elapsed = bench_seconds() - start;
        if (elapsed < best) best = elapsed;
    }
    free(output), free(class_condition), free(time_condition);
    return best;
}

/* Once per step and once per class of a run. */
static void embed_class(const pd_unet *unet, int32_t label, float *condition) { pd_unet_embed_class(unet, label, 1.0f, condition); }

static double time_embedding(const pd_model *model, int rounds, void (*embed)(const pd_unet *unet, int32_t index, float *condition))
{
    float *condition = bench_allocate((size_t)model->unet.condition_count);
    double best = 1e9;
    for (int round = 0; round < rounds; round++) {
        const double start = bench_seconds();
        embed(&model->unet, 0, condition);
        const double elapsed = bench_seconds() - start;
        if (elapsed < best) best = elapsed;
    }
    free(condition);
    return best;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_unet MODEL.gguf [images] [rounds]\n");
        return 2;
    }
    const pd_model *model = load(argv[1]);
    int32_t images = argc > 2 ? atoi(argv[2]) : 2;
    const int rounds = argc > 3 ? atoi(argv[3]) : 40;
    if (images < 1 || images > model->unet.max_images) images = model->unet.max_images;
    list_layers(&model->unet);

    const size_t count = (size_t)largest_buffer(images);
    const buffers b = {bench_allocate(count), bench_allocate(count), bench_allocate(count), model->unet.workspace.scratch};
    const double peak = bench_peak(0.2);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < layer_count; i++) {
            const double start = bench_seconds();
            run_layer(&layers[i], images, &b);
            const double elapsed = bench_seconds() - start;
            if (elapsed < layers[i].best) layers[i].best = elapsed;
        }
    printf("batch of %d, multiply-add peak %.1f GFLOP/s\n", (int)images, peak);
    print_profile(images, peak);
    printf("%-28s %-34s %9.1f\n", "forward pass", "", time_forward(model, images, rounds, b.in) * 1e6);
    printf("%-28s %-34s %9.1f\n", "embedding of a time", "", time_embedding(model, rounds, pd_unet_embed_time) * 1e6);
    printf("%-28s %-34s %9.1f\n", "embedding of a class", "", time_embedding(model, rounds, embed_class) * 1e6);
    return 0;
}
