/* Profile of one model file, operation by operation: what each makes, the chosen
 * form of convolutions, the time it takes, its rate in GFLOP/s counted as
 * direct-form work, and the ratio of that to the multiply-add peak of the machine
 * measured in the same run. The operations run in the order of the network, round
 * after round, so that each finds the caches as it does in a forward pass; the least
 * time of the rounds counts, because other work on the machine only slows.
 *
 * bench_network MODEL.gguf [images, 2] [rounds, 40]     "-": from standard input
 * Runs natively and, as a stand-alone WebAssembly module, under WASI. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign, clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "model.h"

static double best_of[PD_MAX_OPERATIONS];

/* Whether the first part of the layer is a pd_conv. */
static bool is_convolution(const pd_node *node)
{
    return node->layer && (!strcmp(node->operation->name, "conv") || !strcmp(node->operation->name, "linear"));
}

static void describe(const pd_graph *graph, const pd_node *node, char *text, size_t size)
{
    static const char *const forms[PD_CONV_FORMS] = {"direct", "F(2x2)", "F(2x4)", "F(4x4)"};
    int at = 0;
    for (int32_t i = 0; i < node->axes.rank && at < (int)size - 8; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%d", i ? "x" : "", (int)node->axes.length[i]);
    if (!is_convolution(node)) return;
    const pd_conv *conv = node->layer;
    snprintf(text + at, size - (size_t)at, " of %d, %dx%d/%d%s %s", (int)pd_channels(pd_input(graph, node, 0)), (int)conv->shape.kernel,
             (int)conv->shape.kernel, (int)conv->shape.step, conv->shape.upsample ? " up" : "", forms[conv->form]);
}

/* Multiplications of a convolution in direct form, times two. */
static double work_of(const pd_node *node, int32_t images)
{
    if (!is_convolution(node)) return 0;
    const pd_conv_shape *s = &((const pd_conv *)node->layer)->shape;
    return 2.0 * images * pd_positions(node) * (double)pd_channels(node) * (double)s->in_channels * s->kernel * s->kernel;
}

static void print_profile(const pd_graph *graph, int32_t images, double peak)
{
    double total = 0;
    printf("%-28s %-34s %9s %8s %6s\n", "operation", "value and form", "us", "GFLOP/s", "/peak");
    for (int32_t i = 0; i < graph->count; i++) {
        const pd_node *node = &graph->nodes[i];
        char name[64], text[96];
        if (node->phase != PD_PHASE_IMAGES || node->aliased) continue;
        describe(graph, node, text, sizeof text);
        snprintf(name, sizeof name, "%d %s", (int)i, node->operation->name);
        const double rate = work_of(node, images) / best_of[i] * 1e-9;
        printf("%-28s %-34s %9.1f", name, text, best_of[i] * 1e6);
        if (rate > 0) printf(" %8.1f %6.2f", rate, rate / peak);
        printf("\n");
        total += best_of[i];
    }
    for (int32_t i = 0; i < graph->count; i++) { /* of each kind of operation, where it comes first */
        const pd_operation *operation = graph->nodes[i].operation;
        double sum = 0;
        bool first = true;
        for (int32_t k = 0; k < graph->count; k++) {
            if (graph->nodes[k].operation != operation) continue;
            first = first && k >= i;
            if (graph->nodes[k].phase == PD_PHASE_IMAGES && !graph->nodes[k].aliased) sum += best_of[k];
        }
        if (first && sum > 0) printf("%-28s %-34s %9.1f %7.1f%%\n", operation->name, "", sum * 1e6, 100 * sum / total);
    }
    printf("%-28s %-34s %9.1f\n", "all operations", "", total * 1e6);
}

/* The whole of a file, or of standard input for "-": a stand-alone module of
 * Emscripten cannot open files. */
static void *read_file(const char *path, size_t *size)
{
    enum { LARGEST = 128 << 20 };
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    void *bytes = malloc(LARGEST);
    if (!file || !bytes) {
        fprintf(stderr, "bench_network: cannot open %s\n", path);
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
            fprintf(stderr, "bench_network: %s: %s\n", path, error.message);
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

/* The calls of a forward pass. */
typedef struct call {
    const float *x[PD_MAX_PICTURES], *states[PD_MAX_PICTURES];
    float *predictions[PD_MAX_PICTURES];
    float *time_state, *class_state;
} call;

static call prepare(const pd_model *model, int32_t images)
{
    const pd_network *network = &model->network;
    const size_t plane = (size_t)(network->graph.height * network->graph.width);
    const size_t values = plane * (size_t)network->graph.channels, out_values = plane * (size_t)network->graph.out_channels;
    float *input = bench_allocate((size_t)images * values), *output = bench_allocate((size_t)images * out_values);
    call c = {.time_state = bench_allocate(network->time_count), .class_state = bench_allocate(network->class_count)};
    pd_network_embed_time(network, 0, c.time_state);
    pd_network_embed_class(network, model->info.class_count ? 0 : PD_LABEL_NULL, c.class_state);
    for (int32_t i = 0; i < images; i++) {
        c.x[i] = input; /* as the predictions of guidance share theirs */
        c.states[i] = c.class_state;
        c.predictions[i] = output + (size_t)i * out_values;
    }
    return c;
}

static void time_operations(const pd_network *network, int32_t images, const call *c)
{
    const pd_execution e = {.graph = &network->graph, .images = images, .distinct = images, .work = network->work,
                            .scratch = network->scratch, .x = c->x, .class_states = c->states, .time_state = c->time_state};
    for (int32_t i = 0; i < network->graph.count; i++) {
        const pd_node *node = &network->graph.nodes[i];
        if (node->phase != PD_PHASE_IMAGES || node->aliased) continue;
        const double start = bench_seconds();
        node->operation->run(&e, node);
        const double elapsed = bench_seconds() - start;
        if (elapsed < best_of[i]) best_of[i] = elapsed;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_network MODEL.gguf [images] [rounds]\n");
        return 2;
    }
    const pd_model *model = load(argv[1]);
    const pd_network *network = &model->network;
    int32_t images = argc > 2 ? atoi(argv[2]) : 2;
    const int rounds = argc > 3 ? atoi(argv[3]) : 40;
    if (images < 1 || images > network->max_images) images = network->max_images;
    const call c = prepare(model, images);
    const double peak = bench_peak(0.2);
    double forward = 1e9, time = 1e9, class = 1e9;
    for (int32_t i = 0; i < network->graph.count; i++) best_of[i] = 1e9;
    for (int round = 0; round < rounds; round++) {
        time_operations(network, images, &c);
        const double start = bench_seconds();
        pd_network_forward(network, images, c.x, c.time_state, c.states, c.predictions);
        const double middle = bench_seconds();
        pd_network_embed_time(network, 0, c.time_state);
        const double end = bench_seconds();
        pd_network_embed_class(network, model->info.class_count ? 0 : PD_LABEL_NULL, c.class_state);
        const double last = bench_seconds();
        if (middle - start < forward) forward = middle - start;
        if (end - middle < time) time = end - middle;
        if (last - end < class) class = last - end;
    }
    printf("batch of %d, multiply-add peak %.1f GFLOP/s\n", (int)images, peak);
    print_profile(&network->graph, images, peak);
    printf("%-28s %-34s %9.1f\n", "forward pass", "", forward * 1e6);
    printf("%-28s %-34s %9.1f\n", "embedding of a time", "", time * 1e6);
    printf("%-28s %-34s %9.1f\n", "embedding of a class", "", class * 1e6);
    return 0;
}
