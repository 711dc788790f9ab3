/* Format 1: the Unet of denoising-diffusion-pytorch 2.3.4 (classifier_free_guidance.py)
 * as a graph. Widths are as stored, rounded up to multiples of 4; the layouts of the
 * values say which channels of the tensors go where. */
#include "sources_of_graphs.h"

#include <assert.h>
#include <string.h>

/* The linear attentions of the reference ignore attn_heads and attn_dim_head. */
#define LINEAR_HEADS 4
#define LINEAR_HEAD_SIZE 32
#define EMBEDDING_FACTOR 4 /* time_dim = classes_dim = 4 dim */

extern const pd_operation pd_class_of_unet, pd_sinusoidal_of_unet, pd_fourier_of_unet, pd_attention_of_unet;

enum { NAME_BYTES = 64, NONE = -1 }; /* of a tensor, with the final NUL */

/* Runs twice: to count, when the graph has no nodes yet, and to fill in. */
typedef struct builder {
    const pd_gguf *gguf;
    const pd_config *config;
    pd_graph *graph;
    int32_t *numbers;  /* inputs, tensors and integers of all nodes */
    float *reals;
    int32_t node_count, number_count, real_count;
    int32_t time, classes; /* embeddings, after their SiLU */
    const char *prefix;    /* of the names of tensors */
    pd_status status;
    pd_error *error;
} builder;

/* ---- one node ------------------------------------------------------------------------ */

typedef struct draft {
    const pd_operation *operation;
    int32_t inputs[4], input_count;
    const char *tensors[PD_MAX_TENSORS];
    int32_t tensor_count;
    int32_t integers[13], integer_count;
    float reals[1];
    int32_t real_count;
    uint8_t flags;
    pd_channel_map layout;
} draft;

static int32_t find_tensor(builder *b, const char *name)
{
    char full[NAME_BYTES];
    const size_t prefix = strlen(b->prefix), length = strlen(name);
    assert(prefix + length < sizeof full);
    memcpy(full, b->prefix, prefix);
    memcpy(full + prefix, name, length + 1);
    const pd_gguf_tensor *tensor = pd_gguf_find_tensor(b->gguf, full);
    if (tensor) return (int32_t)(tensor - b->gguf->tensors);
    if (b->status == PD_OK) b->status = pd_fail(b->error, PD_TENSOR, PD_NO_OFFSET, "tensor %s is missing", full);
    return NONE;
}

/* The number of the node. */
static int32_t add(builder *b, const draft *d)
{
    const int32_t index = b->node_count++, first = b->number_count, first_real = b->real_count;
    b->number_count += d->input_count + d->tensor_count + d->integer_count;
    b->real_count += d->real_count;
    if (!b->graph->nodes) return index;
    int32_t *inputs = b->numbers + first, *tensors = inputs + d->input_count, *integers = tensors + d->tensor_count;
    for (int32_t k = 0; k < d->input_count; k++) inputs[k] = d->inputs[k];
    for (int32_t k = 0; k < d->tensor_count; k++) tensors[k] = find_tensor(b, d->tensors[k]);
    for (int32_t k = 0; k < d->integer_count; k++) integers[k] = d->integers[k];
    for (int32_t k = 0; k < d->real_count; k++) b->reals[first_real + k] = d->reals[k];
    b->graph->nodes[index] = (pd_node){.operation = d->operation,
                                       .inputs = inputs,
                                       .tensors = tensors,
                                       .integers = integers,
                                       .reals = b->reals + first_real,
                                       .input_count = (uint8_t)d->input_count,
                                       .tensor_count = (uint8_t)d->tensor_count,
                                       .integer_count = (uint8_t)d->integer_count,
                                       .real_count = (uint8_t)d->real_count,
                                       .flags = d->flags,
                                       .layout = d->layout};
    return index;
}

static int32_t add_plain(builder *b, const char *operation, int32_t input)
{
    const draft d = {.operation = pd_operation_named(operation), .inputs = {input}, .input_count = input == NONE ? 0 : 1};
    return add(b, &d);
}

static int32_t add_linear(builder *b, int32_t input, pd_channel_map out, pd_function_kind function, const char *weight,
                          const char *bias, uint8_t flags)
{
    const draft d = {.operation = pd_operation_named("linear"),
                     .inputs = {input},
                     .input_count = 1,
                     .tensors = {weight, bias},
                     .tensor_count = bias ? 2 : 1,
                     .integers = {out.stored, (int32_t)function},
                     .integer_count = 2,
                     .flags = flags,
                     .layout = out};
    return add(b, &d);
}

static int32_t add_conv(builder *b, int32_t input, int32_t out, int32_t kernel, int32_t step, bool doubled, const char *weight,
                        const char *bias)
{
    const pd_channel_map map = pd_plain_map(out);
    const int32_t padding = (kernel - 1) / 2; /* keeps the side with step 1 and halves it with kernel 4, step 2 */
    const draft d = {.operation = pd_operation_named("conv"),
                     .inputs = {input},
                     .input_count = 1,
                     .tensors = {weight, bias},
                     .tensor_count = 2,
                     .integers = {map.stored, kernel, kernel, step, step, padding, padding, padding, padding, PD_PAD_ZEROS, 1,
                                  doubled ? 2 : 1, PD_IDENTITY},
                     .integer_count = 13,
                     .layout = map};
    return add(b, &d);
}

/* RMSNorm, scale and shift, SiLU, residual. */
static int32_t add_norm(builder *b, int32_t input, int32_t scale, int32_t shift, int32_t residual, bool silu, const char *gain)
{
    const draft d = {.operation = pd_operation_named("rms_norm"),
                     .inputs = {input, scale, shift, residual},
                     .input_count = 4,
                     .tensors = {gain},
                     .tensor_count = 1,
                     .integers = {PD_RMS_OF_NORM, silu ? PD_SILU : PD_IDENTITY},
                     .integer_count = 2,
                     .reals = {1e-12f},
                     .real_count = 1,
                     .flags = PD_GAIN_TIMES_ROOT};
    return add(b, &d);
}

static int32_t add_concat(builder *b, int32_t first, int32_t first_channels, int32_t second, int32_t second_channels)
{
    const draft d = {.operation = pd_operation_named("concat"),
                     .inputs = {first, second},
                     .input_count = 2,
                     .integers = {2},
                     .integer_count = 1,
                     .layout = pd_concat_map(first_channels, second_channels)};
    return add(b, &d);
}

static int32_t add_slice(builder *b, int32_t input, int32_t first, int32_t length)
{
    const draft d = {.operation = pd_operation_named("slice"),
                     .inputs = {input},
                     .input_count = 1,
                     .integers = {0, first, length},
                     .integer_count = 3};
    return add(b, &d);
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* ResnetBlock: two 3x3 convolutions, each followed by RMSNorm and SiLU, the first
 * also by the scale and shift that time and class decide; a 1x1 shortcut where the
 * channel counts differ. [1 + scale | shift] is the sum of the two halves of mlp.1. */
static int32_t add_resnet(builder *b, int32_t input, int32_t out, bool has_shortcut)
{
    const pd_channel_map condition = pd_grouped_map(2, out);
    const int32_t stored = pd_round_up_4(out);
    const int32_t by_time = add_linear(b, b->time, condition, PD_IDENTITY, "mlp.1.weight", NULL, PD_FIRST_COLUMNS);
    const int32_t by_class = add_linear(b, b->classes, condition, PD_IDENTITY, "mlp.1.weight", "mlp.1.bias",
                                        PD_LAST_COLUMNS | PD_ONE_PLUS_FIRST);
    const draft sum = {.operation = pd_operation_named("add"), .inputs = {by_class, by_time}, .input_count = 2};
    const int32_t both = add(b, &sum), scale = add_slice(b, both, 0, stored), shift = add_slice(b, both, stored, stored);
    const int32_t hidden = add_conv(b, input, out, 3, 1, false, "block1.proj.weight", "block1.proj.bias");
    const int32_t normed = add_norm(b, hidden, scale, shift, NONE, true, "block1.norm.g");
    const int32_t second = add_conv(b, normed, out, 3, 1, false, "block2.proj.weight", "block2.proj.bias");
    const int32_t shortcut = has_shortcut ? add_conv(b, input, out, 1, 1, false, "res_conv.weight", "res_conv.bias") : input;
    return add_norm(b, second, NONE, NONE, shortcut, true, "block2.norm.g");
}

static int32_t add_linear_attention(builder *b, int32_t input, int32_t channels)
{
    const draft d = {
        .operation = pd_operation_named("linear_attention_block"),
        .inputs = {input},
        .input_count = 1,
        .tensors = {"fn.norm.g", "fn.fn.to_qkv.weight", "fn.fn.to_out.0.weight", "fn.fn.to_out.0.bias", "fn.fn.to_out.1.g"},
        .tensor_count = 5,
        .integers = {LINEAR_HEADS, LINEAR_HEAD_SIZE},
        .integer_count = 2,
        .flags = PD_GAIN_TIMES_ROOT,
        .layout = pd_plain_map(channels)};
    return add(b, &d);
}

/* PreNorm + Attention, with the residual around it. */
static int32_t add_attention(builder *b, int32_t input, int32_t channels)
{
    const int32_t heads = b->config->middle_heads, size = b->config->middle_head_size;
    const int32_t normed = add_norm(b, input, NONE, NONE, NONE, false, "fn.norm.g");
    const int32_t qkv = add_linear(b, normed, pd_grouped_map(3 * heads, size), PD_IDENTITY, "fn.fn.to_qkv.weight", NULL, 0);
    const draft attention = {.operation = &pd_attention_of_unet,
                             .inputs = {qkv},
                             .input_count = 1,
                             .integers = {heads, size},
                             .integer_count = 2,
                             .layout = pd_grouped_map(heads, size)};
    const int32_t attended = add(b, &attention);
    const draft projection = {.operation = pd_operation_named("linear"),
                              .inputs = {attended, input},
                              .input_count = 2,
                              .tensors = {"fn.fn.to_out.weight", "fn.fn.to_out.bias"},
                              .tensor_count = 2,
                              .integers = {pd_round_up_4(channels), PD_IDENTITY},
                              .integer_count = 2,
                              .layout = pd_plain_map(channels)};
    return add(b, &projection);
}

/* Linear, GELU, Linear, then the SiLU with which every block's mlp begins. */
static int32_t add_embedding(builder *b, int32_t features, const char *const names[4])
{
    const pd_channel_map size = pd_plain_map(EMBEDDING_FACTOR * b->config->dim);
    const int32_t hidden = add_linear(b, features, size, PD_GELU, names[0], names[1], 0);
    return add_linear(b, hidden, size, PD_SILU, names[2], names[3], 0);
}

static int32_t add_time(builder *b)
{
    static const char *const names[4] = {"time_mlp.1.weight", "time_mlp.1.bias", "time_mlp.3.weight", "time_mlp.3.bias"};
    const pd_config *config = b->config;
    const int32_t time = add_plain(b, "time", NONE);
    const bool fourier = config->fourier_time_embedding;
    const draft features = {.operation = fourier ? &pd_fourier_of_unet : &pd_sinusoidal_of_unet,
                            .inputs = {time},
                            .input_count = 1,
                            .tensors = {"time_mlp.0.weights"},
                            .tensor_count = fourier ? 1 : 0,
                            .integers = {fourier ? config->fourier_dim / 2 : config->dim},
                            .integer_count = 1};
    return add_embedding(b, add(b, &features), names);
}

static int32_t add_class(builder *b)
{
    static const char *const names[4] = {"classes_mlp.0.weight", "classes_mlp.0.bias", "classes_mlp.2.weight",
                                         "classes_mlp.2.bias"};
    const draft table = {.operation = &pd_class_of_unet,
                         .tensors = {"classes_emb.weight", "null_classes_emb"},
                         .tensor_count = 2};
    const int32_t index = add(b, &table);
    if (b->graph->nodes) {
        b->graph->nodes[index].rows = pd_config_table_rows(b->config);
        b->graph->nodes[index].columns = b->config->dim;
    }
    return add_embedding(b, index, names);
}

/* ---- the network --------------------------------------------------------------------------- */

/* "downs.2." + "1." and so on; indices are below 10. */
static void begin(builder *b, char name[NAME_BYTES], const char *list, int32_t index, const char *rest)
{
    char *end = name;
    while (*list) *end++ = *list++;
    *end++ = (char)('0' + index);
    while ((*end++ = *rest++)) continue;
    assert(end - name <= NAME_BYTES);
    b->prefix = name;
}

/* Real channel counts: dims[0] = init_dim, dims[i + 1] = dim * dim_mults[i]. */
static void add_unet(builder *b)
{
    const pd_config *config = b->config;
    const int32_t levels = config->level_count;
    int32_t dims[PD_MAX_LEVELS + 1] = {config->init_dim}, skip_1[PD_MAX_LEVELS] = {0}, skip_2[PD_MAX_LEVELS] = {0};
    char name[NAME_BYTES];
    for (int32_t i = 0; i < levels; i++) dims[i + 1] = config->dim * config->dim_mults[i];

    b->prefix = "";
    const int32_t input = add_plain(b, "x", NONE);
    b->time = add_time(b);
    b->classes = add_class(b);
    const int32_t stem = add_conv(b, input, dims[0], 7, 1, false, "init_conv.weight", "init_conv.bias");
    int32_t x = stem;
    for (int32_t i = 0; i < levels; i++) {
        const bool last = i == levels - 1;
        begin(b, name, "downs.", i, ".0.");
        skip_1[i] = add_resnet(b, x, dims[i], false);
        begin(b, name, "downs.", i, ".1.");
        x = add_resnet(b, skip_1[i], dims[i], false);
        begin(b, name, "downs.", i, ".2.");
        skip_2[i] = add_linear_attention(b, x, dims[i]);
        begin(b, name, "downs.", i, ".3.");
        x = add_conv(b, skip_2[i], dims[i + 1], last ? 3 : 4, last ? 1 : 2, false, "weight", "bias");
    }
    b->prefix = "mid_block1.";
    x = add_resnet(b, x, dims[levels], false);
    b->prefix = "mid_attn.";
    x = add_attention(b, x, dims[levels]);
    b->prefix = "mid_block2.";
    x = add_resnet(b, x, dims[levels], false);
    for (int32_t i = levels - 1; i >= 0; i--) {
        const int32_t up = levels - 1 - i;
        begin(b, name, "ups.", up, ".0.");
        x = add_resnet(b, add_concat(b, x, dims[i + 1], skip_2[i], dims[i]), dims[i + 1], true);
        begin(b, name, "ups.", up, ".1.");
        x = add_resnet(b, add_concat(b, x, dims[i + 1], skip_1[i], dims[i]), dims[i + 1], true);
        begin(b, name, "ups.", up, ".2.");
        x = add_linear_attention(b, x, dims[i + 1]);
        /* A level that doubles the map holds [Upsample, Conv2d]: the convolution is its element 1. */
        begin(b, name, "ups.", up, i ? ".3.1." : ".3.");
        x = add_conv(b, x, dims[i], 3, 1, i > 0, "weight", "bias");
    }
    b->prefix = "final_res_block.";
    x = add_resnet(b, add_concat(b, x, dims[0], stem, dims[0]), dims[0], true);
    b->prefix = "";
    add_conv(b, x, config->out_dim, 1, 1, false, "final_conv.weight", "final_conv.bias");
}

pd_status pd_graph_of_unet(const pd_gguf *gguf, const pd_config *config, pd_graph *graph, pd_arena *arena, pd_error *error)
{
    *graph = (pd_graph){.height = config->height / config->pixel_unshuffle,
                        .width = config->width / config->pixel_unshuffle,
                        .channels = config->channels,
                        .out_channels = config->out_dim,
                        .class_count = pd_config_table_rows(config),
                        .timesteps = config->timesteps,
                        .exact_input = true};
    builder b = {.gguf = gguf, .config = config, .graph = graph, .error = error};
    pd_arena measure;
    pd_arena_measure(&measure);
    add_unet(&b);
    for (int pass = 0; pass < 2; pass++) {
        pd_arena *target = pass ? arena : &measure;
        if (pass) PD_TRY(pd_arena_create(arena, measure.used, error));
        graph->nodes = PD_TAKE(target, pd_node, b.node_count);
        b.numbers = PD_TAKE(target, int32_t, b.number_count);
        b.reals = PD_TAKE(target, float, b.real_count);
    }
    graph->count = b.node_count;
    b.node_count = b.number_count = b.real_count = 0;
    add_unet(&b);
    return b.status;
}
