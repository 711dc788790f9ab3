/* From a GGUF table to a pd_model. Four passes over one description of the
 * network: plan (shapes and convolution forms), list (the tensors it needs),
 * check (the file has exactly those), place and pack. */
#include "model.h"

#include <assert.h>
#include <string.h>

#include "elementary.h"
#include "hash.h"

/* The linear attentions of the reference ignore attn_heads and attn_dim_head. */
#define LINEAR_HEADS 4
#define LINEAR_HEAD_SIZE 32
#define EMBEDDING_FACTOR 4 /* time_dim = classes_dim = 4 dim */

/* Workspace that a forward pass may take for the sake of larger batches. */
#define BATCH_BUDGET_BYTES (12u << 20)
#define MAX_BATCH 8

/* ---- the tensors a network needs ------------------------------------------- */

/* Where the channels of a file go among the stored ones: in groups of `group`
 * that start every `group_stride`, or, for a concatenation of two tensors,
 * with the channels from `split` on moved to split_start. */
typedef struct channel_map {
    int32_t real, stored;
    int32_t group, group_stride;
    int32_t split, split_start;
} channel_map;

static int32_t stored_channel(const channel_map *map, int32_t channel)
{
    if (map->split && channel >= map->split) return map->split_start + channel - map->split;
    return channel / map->group * map->group_stride + channel % map->group;
}

static channel_map plain_map(int32_t channels)
{
    const int32_t stored = pd_round_up_4(channels);
    return (channel_map){channels, stored, channels, stored, 0, 0};
}

/* No rounding: inputs of the direct form may have any number of channels. */
static channel_map exact_map(int32_t channels) { return (channel_map){channels, channels, channels, channels, 0, 0}; }

static channel_map grouped_map(int32_t groups, int32_t size)
{
    const int32_t stride = pd_round_up_4(size);
    return (channel_map){groups * size, groups * stride, size, stride, 0, 0};
}

static channel_map concat_map(int32_t first, int32_t second)
{
    const int32_t start = pd_round_up_4(first);
    return (channel_map){first + second, start + pd_round_up_4(second), first, start, first, start};
}

typedef enum weight_kind {
    WEIGHT_CONVOLUTION, /* rows [out][kernel][kernel][in] for one pd_conv, or two that share the columns */
    WEIGHT_VECTOR,
    WEIGHT_TABLE /* rows as they are */
} weight_kind;

enum { NAME_BYTES = 64 }; /* of a tensor, with the final NUL */

typedef struct weight {
    char name[NAME_BYTES];
    weight_kind kind;
    uint64_t rows, columns; /* in the file; a vector has one row */
    channel_map in, out;    /* a vector uses out */
    pd_conv *convolution, *second_convolution;
    const float **target; /* of vectors and tables */
    float factor;         /* vectors are multiplied by it */
    bool one_plus;        /* the first half of a vector gets 1 added */
} weight;

/* 2 x 6 levels of 2 blocks (11 tensors each) and attention and resampling (8),
 * the middle, the final block and the embeddings stay below this. */
#define MAX_WEIGHTS 480

typedef struct weight_list {
    weight *weights;
    int32_t count;
} weight_list;

/* a, b and c, one after the other; what is ours fits. */
static const char *join(char name[NAME_BYTES], const char *a, const char *b, const char *c)
{
    const char *const parts[] = {a, b, c};
    size_t length = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t part = strlen(parts[i]);
        assert(length + part < NAME_BYTES);
        memcpy(name + length, parts[i], part);
        length += part;
    }
    name[length] = '\0';
    return name;
}

static weight *add_weight(weight_list *list, const char *prefix, const char *name)
{
    assert(list->count < MAX_WEIGHTS);
    weight *added = &list->weights[list->count++];
    *added = (weight){0};
    join(added->name, prefix, name, "");
    return added;
}

static void add_vector(weight_list *list, const char *prefix, const char *name, channel_map map, float factor,
                       const float **target)
{
    weight *added = add_weight(list, prefix, name);
    added->kind = WEIGHT_VECTOR;
    added->rows = 1;
    added->columns = (uint64_t)map.real;
    added->out = map;
    added->factor = factor;
    added->target = target;
}

/* RMSNorm multiplies by sqrt(channels): folded into the gain. */
static void add_gain(weight_list *list, const char *prefix, const char *name, int32_t channels, const float **target)
{
    add_vector(list, prefix, name, plain_map(channels), pd_sqrtf((float)channels), target);
}

static weight *add_convolution(weight_list *list, const char *prefix, const char *name, channel_map in, channel_map out,
                               pd_conv *convolution)
{
    weight *added = add_weight(list, prefix, name);
    const uint64_t taps = (uint64_t)convolution->shape.kernel * (uint64_t)convolution->shape.kernel;
    added->kind = WEIGHT_CONVOLUTION;
    added->rows = (uint64_t)out.real;
    added->columns = taps * (uint64_t)in.real;
    added->in = in;
    added->out = out;
    added->convolution = convolution;
    return added;
}

/* Weights and bias of one layer, tensors `layer`.weight and `layer`.bias. */
static void add_layer(weight_list *list, const char *prefix, const char *layer, channel_map in, channel_map out,
                      pd_conv *convolution)
{
    char name[NAME_BYTES];
    add_convolution(list, prefix, join(name, layer, ".weight", ""), in, out, convolution);
    add_vector(list, prefix, join(name, layer, ".bias", ""), out, 1.0f, &convolution->bias);
}

static void list_resnet(weight_list *list, const char *prefix, int32_t embedding_size, channel_map in, int32_t out,
                        pd_resnet *block)
{
    /* mlp.1 reads [time | class] and writes [scale | shift]. */
    const channel_map scale_shift = grouped_map(2, out);
    weight *mlp = add_convolution(list, prefix, "mlp.1.weight", exact_map(embedding_size), scale_shift,
                                  &block->time_projection);
    mlp->second_convolution = &block->class_projection;
    mlp->columns *= 2;
    add_vector(list, prefix, "mlp.1.bias", scale_shift, 1.0f, &block->class_projection.bias);
    list->weights[list->count - 1].one_plus = true;

    add_layer(list, prefix, "block1.proj", in, plain_map(out), &block->convolution_1);
    add_gain(list, prefix, "block1.norm.g", out, &block->gain_1);
    add_layer(list, prefix, "block2.proj", plain_map(out), plain_map(out), &block->convolution_2);
    add_gain(list, prefix, "block2.norm.g", out, &block->gain_2);
    if (block->has_shortcut) add_layer(list, prefix, "res_conv", in, plain_map(out), &block->shortcut);
}

/* Both attentions: a norm, to_qkv without bias, to_out. */
static void list_attention(weight_list *list, const char *prefix, const char *out_layer, int32_t channels, int32_t heads,
                           int32_t head_size, const float **norm_gain, pd_conv *to_qkv, pd_conv *to_out)
{
    add_gain(list, prefix, "fn.norm.g", channels, norm_gain);
    add_convolution(list, prefix, "fn.fn.to_qkv.weight", plain_map(channels), grouped_map(3 * heads, head_size), to_qkv);
    add_layer(list, prefix, out_layer, grouped_map(heads, head_size), plain_map(channels), to_out);
}

static void list_linear_attention(weight_list *list, const char *prefix, int32_t channels, pd_linear_attention *layer)
{
    list_attention(list, prefix, "fn.fn.to_out.0", channels, layer->heads, layer->head_size, &layer->norm_gain,
                   &layer->to_qkv, &layer->to_out);
    add_gain(list, prefix, "fn.fn.to_out.1.g", channels, &layer->out_gain);
}

/* "downs.2." + "1." and so on; indices are below 10. */
static const char *indexed(char buffer[NAME_BYTES], const char *list_name, int32_t index, const char *rest)
{
    const char digit[2] = {(char)('0' + index), 0};
    return join(buffer, list_name, digit, rest);
}

/* The one table of expected tensors, in the order of Unet.state_dict(). Real
 * channel counts: dims[0] = init_dim, dims[i + 1] = dim * dim_mults[i]. */
static void list_weights(pd_unet *unet, const int32_t *dims, weight_list *list)
{
    const pd_config *config = &unet->config;
    const int32_t embedding = unet->embedding_size, levels = config->level_count;
    char prefix[NAME_BYTES];

    add_vector(list, "", "null_classes_emb", exact_map(config->dim), 1.0f, &unet->null_embedding);
    add_layer(list, "", "init_conv", exact_map(config->channels), plain_map(dims[0]), &unet->stem);
    if (config->fourier_time_embedding)
        add_vector(list, "", "time_mlp.0.weights", exact_map(config->fourier_dim / 2), 1.0f, &unet->frequencies);
    add_layer(list, "", "time_mlp.1", exact_map(unet->time_features), plain_map(embedding), &unet->time_mlp_1);
    add_layer(list, "", "time_mlp.3", exact_map(embedding), plain_map(embedding), &unet->time_mlp_2);
    weight *table = add_weight(list, "", "classes_emb.weight");
    table->kind = WEIGHT_TABLE;
    table->rows = (uint64_t)config->class_count;
    table->columns = (uint64_t)config->dim;
    table->target = &unet->class_table;
    add_layer(list, "", "classes_mlp.0", exact_map(config->dim), plain_map(embedding), &unet->class_mlp_1);
    add_layer(list, "", "classes_mlp.2", exact_map(embedding), plain_map(embedding), &unet->class_mlp_2);

    for (int32_t i = 0; i < levels; i++) {
        pd_level *level = &unet->levels[i];
        list_resnet(list, indexed(prefix, "downs.", i, ".0."), embedding, plain_map(dims[i]), dims[i], &level->down_1);
        list_resnet(list, indexed(prefix, "downs.", i, ".1."), embedding, plain_map(dims[i]), dims[i], &level->down_2);
        list_linear_attention(list, indexed(prefix, "downs.", i, ".2."), dims[i], &level->down_attention);
        add_layer(list, indexed(prefix, "downs.", i, "."), "3", plain_map(dims[i]), plain_map(dims[i + 1]),
                  &level->downsample);
    }
    for (int32_t i = levels - 1; i >= 0; i--) {
        pd_level *level = &unet->levels[i];
        const int32_t up = levels - 1 - i;
        const channel_map concat = concat_map(dims[i + 1], dims[i]);
        list_resnet(list, indexed(prefix, "ups.", up, ".0."), embedding, concat, dims[i + 1], &level->up_1);
        list_resnet(list, indexed(prefix, "ups.", up, ".1."), embedding, concat, dims[i + 1], &level->up_2);
        list_linear_attention(list, indexed(prefix, "ups.", up, ".2."), dims[i + 1], &level->up_attention);
        /* A level that doubles the map holds [Upsample, Conv2d]: the convolution is its element 1. */
        add_layer(list, indexed(prefix, "ups.", up, "."), i ? "3.1" : "3", plain_map(dims[i + 1]), plain_map(dims[i]),
                  &level->upsample);
    }
    list_resnet(list, "mid_block1.", embedding, plain_map(dims[levels]), dims[levels], &unet->middle_1);
    pd_attention_layer *middle = &unet->middle_attention;
    list_attention(list, "mid_attn.", "fn.fn.to_out", dims[levels], middle->heads, middle->head_size, &middle->norm_gain,
                   &middle->to_qkv, &middle->to_out);
    list_resnet(list, "mid_block2.", embedding, plain_map(dims[levels]), dims[levels], &unet->middle_2);
    list_resnet(list, "final_res_block.", embedding, concat_map(dims[0], dims[0]), dims[0], &unet->final_block);
    add_layer(list, "", "final_conv", plain_map(dims[0]), plain_map(config->out_dim), &unet->final_convolution);
}

/* ---- plan --------------------------------------------------------------------- */

static void plan_convolution(pd_conv *convolution, int32_t in, int32_t out, int32_t height, int32_t width,
                             int32_t kernel, int32_t step, bool upsample, int32_t images)
{
    /* Padding keeps the side with step 1 and halves it with kernel 4, step 2. */
    const pd_conv_shape shape = {.in_channels = in, .out_channels = out, .in_height = height, .in_width = width,
                                 .kernel = kernel, .step = step, .padding = (kernel - 1) / 2, .upsample = upsample,
                                 .images = images};
    pd_conv_plan(convolution, &shape);
}

static void plan_linear(pd_conv *convolution, int32_t in, int32_t out)
{
    plan_convolution(convolution, in, out, 1, 1, 1, 1, false, 1);
}

static void plan_resnet(pd_unet *unet, pd_resnet *block, int32_t in, int32_t out, int32_t height, int32_t width,
                        bool has_shortcut)
{
    const int32_t images = unet->max_images;
    plan_convolution(&block->convolution_1, in, out, height, width, 3, 1, false, images);
    plan_convolution(&block->convolution_2, out, out, height, width, 3, 1, false, images);
    block->has_shortcut = has_shortcut;
    if (has_shortcut) plan_convolution(&block->shortcut, in, out, height, width, 1, 1, false, images);
    block->out_channels = out;
    plan_linear(&block->time_projection, unet->embedding_size, 2 * out);
    plan_linear(&block->class_projection, unet->embedding_size, 2 * out);
    block->condition_offset = unet->condition_count;
    unet->condition_count += 2 * out;
}

static void plan_attention(pd_unet *unet, pd_attention_layer *layer, int32_t channels, int32_t height, int32_t width,
                           int32_t heads, int32_t head_size)
{
    const int32_t inner = heads * pd_round_up_4(head_size);
    layer->heads = heads;
    layer->head_size = head_size;
    plan_convolution(&layer->to_qkv, channels, 3 * inner, height, width, 1, 1, false, unet->max_images);
    plan_convolution(&layer->to_out, inner, channels, height, width, 1, 1, false, unet->max_images);
}

static void plan_network(pd_unet *unet, const int32_t *dims)
{
    const pd_config *config = &unet->config;
    const int32_t levels = config->level_count, images = unet->max_images;

    unet->condition_count = 0;
    plan_convolution(&unet->stem, config->channels, unet->init_channels, unet->height, unet->width, 7, 1, false, images);
    plan_linear(&unet->time_mlp_1, unet->time_features, unet->embedding_size);
    plan_linear(&unet->time_mlp_2, unet->embedding_size, unet->embedding_size);
    plan_linear(&unet->class_mlp_1, config->dim, unet->embedding_size);
    plan_linear(&unet->class_mlp_2, unet->embedding_size, unet->embedding_size);

    for (int32_t i = 0; i < levels; i++) {
        pd_level *level = &unet->levels[i];
        const int32_t in = pd_round_up_4(dims[i]), out = pd_round_up_4(dims[i + 1]);
        const int32_t height = unet->height >> i, width = unet->width >> i;
        const bool last = i == levels - 1;
        level->height = height;
        level->width = width;
        level->in_channels = in;
        level->out_channels = out;
        plan_resnet(unet, &level->down_1, in, in, height, width, false);
        plan_resnet(unet, &level->down_2, in, in, height, width, false);
        pd_linear_attention_plan(&level->down_attention, height, width, in, LINEAR_HEADS, LINEAR_HEAD_SIZE);
        plan_convolution(&level->downsample, in, out, height, width, last ? 3 : 4, last ? 1 : 2, false, images);
        plan_resnet(unet, &level->up_1, out + in, out, height, width, true);
        plan_resnet(unet, &level->up_2, out + in, out, height, width, true);
        pd_linear_attention_plan(&level->up_attention, height, width, out, LINEAR_HEADS, LINEAR_HEAD_SIZE);
        plan_convolution(&level->upsample, out, in, height, width, 3, 1, i > 0, images);
    }
    const pd_level *bottom = &unet->levels[levels - 1];
    const int32_t middle = bottom->out_channels;
    plan_resnet(unet, &unet->middle_1, middle, middle, bottom->height, bottom->width, false);
    plan_attention(unet, &unet->middle_attention, middle, bottom->height, bottom->width, config->middle_heads,
                   config->middle_head_size);
    plan_resnet(unet, &unet->middle_2, middle, middle, bottom->height, bottom->width, false);
    plan_resnet(unet, &unet->final_block, 2 * unet->init_channels, unet->init_channels, unet->height, unet->width, true);
    plan_convolution(&unet->final_convolution, unet->init_channels, unet->out_channels, unet->height, unet->width, 1, 1,
                     false, images);
}

void pd_unet_each_resnet(const pd_unet *unet, void (*visit)(void *context, const pd_resnet *block), void *context)
{
    for (int32_t i = 0; i < unet->config.level_count; i++) {
        const pd_level *level = &unet->levels[i];
        visit(context, &level->down_1);
        visit(context, &level->down_2);
        visit(context, &level->up_1);
        visit(context, &level->up_2);
    }
    visit(context, &unet->middle_1);
    visit(context, &unet->middle_2);
    visit(context, &unet->final_block);
}

/* ---- check -------------------------------------------------------------------- */

/* A matrix may be stored as a single row of all its values, which makes whole blocks of them where its rows would not. */
static bool has_shape(const pd_gguf_tensor *tensor, const weight *expected)
{
    if (tensor->dimensions == 1) return tensor->shape[0] == expected->rows * expected->columns;
    return tensor->dimensions == 2 && expected->kind != WEIGHT_VECTOR && tensor->shape[0] == expected->columns &&
           tensor->shape[1] == expected->rows;
}

static pd_status check_weights(const pd_gguf *gguf, const weight_list *list, pd_error *error)
{
    for (int32_t i = 0; i < list->count; i++) {
        const weight *expected = &list->weights[i];
        const pd_gguf_tensor *tensor = pd_gguf_find_tensor(gguf, expected->name);
        if (!tensor) return pd_fail(error, PD_TENSOR, PD_NO_OFFSET, "tensor %s is missing", expected->name);
        if (!has_shape(tensor, expected))
            return pd_fail(error, PD_TENSOR, tensor->offset, "tensor %s is %u x %u (%d dimensions), expected %u x %u",
                           expected->name, tensor->shape[1], tensor->shape[0], (int64_t)tensor->dimensions,
                           expected->rows, expected->columns);
    }
    /* Names differ, and those of the list are there: where the file has more, one of them is not of the list. */
    for (uint64_t k = 0; gguf->tensor_count != (uint64_t)list->count; k++) {
        assert(k < gguf->tensor_count);
        bool known = false;
        for (int32_t i = 0; i < list->count && !known; i++)
            known = pd_bytes_equal(gguf->tensors[k].name, list->weights[i].name);
        if (!known)
            return pd_fail(error, PD_TENSOR, gguf->tensors[k].offset, "tensor %q does not belong to this network",
                           &gguf->tensors[k].name);
    }
    for (uint64_t k = 0; k < gguf->tensor_count; k++) PD_TRY(pd_gguf_check_finite(&gguf->tensors[k], error));
    return PD_OK;
}

/* ---- place -------------------------------------------------------------------- */

static void place_weights(pd_arena *arena, weight_list *list)
{
    for (int32_t i = 0; i < list->count; i++) {
        weight *w = &list->weights[i];
        if (w->kind == WEIGHT_CONVOLUTION) {
            w->convolution->packed = PD_TAKE(arena, float, w->convolution->packed_count);
            if (w->second_convolution)
                w->second_convolution->packed = PD_TAKE(arena, float, w->second_convolution->packed_count);
        } else {
            *w->target = PD_TAKE(arena, float, w->kind == WEIGHT_VECTOR ? (uint64_t)w->out.stored : w->rows * w->columns);
        }
    }
}

static uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* A visitor of pd_unet_each_resnet; context: the uint64_t to raise. */
static void raise_to_resnet_scratch(void *context, const pd_resnet *block)
{
    uint64_t *count = context;
    *count = max_u64(*count, max_u64(block->convolution_1.scratch_count, block->convolution_2.scratch_count));
    *count = max_u64(*count, block->has_shortcut ? block->shortcut.scratch_count : 0);
    *count = max_u64(*count, max_u64(block->time_projection.scratch_count, block->class_projection.scratch_count));
}

static uint64_t largest_scratch(const pd_unet *unet)
{
    const pd_conv *const others[] = {&unet->stem, &unet->final_convolution, &unet->time_mlp_1, &unet->time_mlp_2,
                                     &unet->class_mlp_1, &unet->class_mlp_2};
    const pd_level *bottom = &unet->levels[unet->config.level_count - 1];
    const pd_attention_layer *middle = &unet->middle_attention;
    uint64_t count = pd_attention_scratch_count(bottom->height, bottom->width, middle->heads, middle->head_size);
    count = max_u64(count, max_u64(middle->to_qkv.scratch_count, middle->to_out.scratch_count));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) count = max_u64(count, others[i]->scratch_count);
    pd_unet_each_resnet(unet, raise_to_resnet_scratch, &count);
    for (int32_t i = 0; i < unet->config.level_count; i++) {
        const pd_level *level = &unet->levels[i];
        count = max_u64(count, max_u64(level->down_attention.scratch_count, level->up_attention.scratch_count));
        count = max_u64(count, max_u64(level->downsample.scratch_count, level->upsample.scratch_count));
    }
    return count;
}

static void place_workspace(pd_arena *arena, pd_unet *unet)
{
    pd_workspace *workspace = &unet->workspace;
    const uint64_t images = (uint64_t)unet->max_images;
    const uint64_t pixels = images * (uint64_t)unet->height * (uint64_t)unet->width;
    const pd_level *bottom = &unet->levels[unet->config.level_count - 1];
    const uint64_t bottom_pixels = images * (uint64_t)bottom->height * (uint64_t)bottom->width;
    uint64_t running = pixels * max_u64((uint64_t)unet->init_channels, (uint64_t)unet->out_channels);
    /* The embeddings are computed in the same buffers. */
    running = max_u64(running, max_u64((uint64_t)unet->embedding_size, (uint64_t)unet->time_features));
    const uint64_t qkv = bottom_pixels * (uint64_t)unet->middle_attention.to_qkv.shape.out_channels;

    for (int32_t i = 0; i < unet->config.level_count; i++) {
        pd_level *level = &unet->levels[i];
        const uint64_t level_pixels = images * (uint64_t)level->height * (uint64_t)level->width;
        running = max_u64(running, level_pixels * max_u64((uint64_t)level->in_channels, (uint64_t)level->out_channels));
        level->concat_1 = PD_TAKE(arena, float, level_pixels * (uint64_t)(level->in_channels + level->out_channels));
        level->concat_2 = PD_TAKE(arena, float, level_pixels * (uint64_t)(level->in_channels + level->out_channels));
    }
    workspace->input = PD_TAKE(arena, float, pixels * (uint64_t)unet->config.channels);
    workspace->stem_concat = PD_TAKE(arena, float, pixels * 2 * (uint64_t)unet->init_channels);
    workspace->x = PD_TAKE(arena, float, running);
    workspace->y = PD_TAKE(arena, float, running);
    workspace->hidden_1 = PD_TAKE(arena, float, running);
    workspace->hidden_2 = PD_TAKE(arena, float, running);
    workspace->qkv = PD_TAKE(arena, float, qkv);
    workspace->attended = PD_TAKE(arena, float, qkv / 3);
    workspace->conditions = PD_TAKE(arena, float, images * (uint64_t)unet->condition_count);
    workspace->time_condition = PD_TAKE(arena, float, unet->condition_count);
    workspace->class_condition = PD_TAKE(arena, float, unet->condition_count);
    workspace->scratch = PD_TAKE(arena, float, largest_scratch(unet));
}

static const char *place_text(pd_arena *arena, pd_bytes text)
{
    char *copy = PD_TAKE(arena, char, text.length + 1);
    if (copy && text.length) memcpy(copy, text.data, (size_t)text.length);
    return copy;
}

static void place_description(pd_arena *arena, pd_model *model)
{
    const pd_config *config = &model->unet.config;
    pd_model_info *info = &model->info;
    info->name = place_text(arena, config->name);
    info->description = place_text(arena, config->description);
    info->license = place_text(arena, config->license);
    info->author = place_text(arena, config->author);
    info->source_url = place_text(arena, config->source_url);
    info->schedule_name = place_text(arena, config->schedule_name);

    model->class_names = PD_TAKE(arena, const char *, config->class_count);
    uint64_t cursor = 0;
    for (int32_t i = 0; i < config->class_count; i++) {
        const char *name = place_text(arena, pd_gguf_array_next_string(config->class_names, &cursor));
        if (model->class_names) model->class_names[i] = name;
    }
    double *alphas_cumprod = PD_TAKE(arena, double, config->timesteps);
    for (int32_t t = 0; alphas_cumprod && t < config->timesteps; t++)
        alphas_cumprod[t] = pd_gguf_array_real(config->alphas_cumprod, (uint64_t)t);
    info->alphas_cumprod = alphas_cumprod;
}

static void place_model(pd_arena *arena, pd_model *model, weight_list *list)
{
    place_description(arena, model);
    place_weights(arena, list);
    place_workspace(arena, &model->unet);
    const pd_unet *unet = &model->unet;
    pd_prediction_cache_place(arena, &model->prediction_cache,
                         (uint64_t)unet->config.out_dim * (uint64_t)unet->height * (uint64_t)unet->width);
}

/* ---- pack --------------------------------------------------------------------- */

/* How many channels from `channel` on are neighbours among the stored ones too. */
static int32_t run_of_channels(const channel_map *map, int32_t channel)
{
    int32_t end = (channel / map->group + 1) * map->group;
    if (map->split) end = channel < map->split ? map->split : map->real;
    return (end < map->real ? end : map->real) - channel;
}

/* The columns [first_column, first_column + taps * in.real) of every row, moved
 * to stored channels: [out.stored][taps][in.stored]. Returns `spread`, or `rows`
 * if they are like that already. */
static const float *spread_channels(const weight *w, uint64_t first_column, const float *rows, float *spread)
{
    const int32_t taps = w->convolution->shape.kernel * w->convolution->shape.kernel;
    const bool dense = w->columns == (uint64_t)taps * (uint64_t)w->in.real;
    if (dense && w->in.real == w->in.stored && w->out.real == w->out.stored) return rows;
    memset(spread, 0, sizeof(float) * (size_t)w->out.stored * (size_t)taps * (size_t)w->in.stored);
    for (int32_t out = 0; out < w->out.real; out++) {
        const float *row = rows + (uint64_t)out * w->columns + first_column;
        float *target = spread + (size_t)stored_channel(&w->out, out) * (size_t)taps * (size_t)w->in.stored;
        for (int32_t tap = 0; tap < taps; tap++, row += w->in.real, target += w->in.stored)
            for (int32_t in = 0, count; in < w->in.real; in += count) {
                count = run_of_channels(&w->in, in);
                memcpy(target + stored_channel(&w->in, in), row + in, sizeof(float) * (size_t)count);
            }
    }
    return spread;
}

static void pack_vector(const weight *w, const float *values)
{
    float *target = (float *)(uintptr_t)*w->target;
    for (int32_t i = 0; i < w->out.real; i++) {
        const float one = w->one_plus && i < w->out.real / 2 ? 1.0f : 0.0f;
        target[stored_channel(&w->out, i)] = one + values[i] * w->factor;
    }
}

/* `values` and `spread` have room for the largest weight. */
static void pack_weights(const pd_gguf *gguf, const weight_list *list, float *values, float *spread)
{
    for (int32_t i = 0; i < list->count; i++) {
        const weight *w = &list->weights[i];
        const pd_gguf_tensor *tensor = pd_gguf_find_tensor(gguf, w->name);
        const uint64_t count = w->rows * w->columns;
        if (w->kind == WEIGHT_TABLE) {
            pd_gguf_dequantize(tensor, 0, count, (float *)(uintptr_t)*w->target);
            continue;
        }
        pd_gguf_dequantize(tensor, 0, count, values);
        if (w->kind == WEIGHT_VECTOR) {
            pack_vector(w, values);
            continue;
        }
        pd_conv_pack(w->convolution, spread_channels(w, 0, values, spread), (float *)(uintptr_t)w->convolution->packed);
        if (w->second_convolution) {
            pd_conv_pack(w->second_convolution, spread_channels(w, w->columns / 2, values, spread),
                         (float *)(uintptr_t)w->second_convolution->packed);
        }
    }
}

static pd_status pack_model(const pd_gguf *gguf, const weight_list *list, pd_error *error)
{
    uint64_t largest = 0, largest_spread = 0;
    for (int32_t i = 0; i < list->count; i++) {
        const weight *w = &list->weights[i];
        if (w->kind == WEIGHT_TABLE) continue;
        largest = max_u64(largest, w->rows * w->columns);
        if (w->kind == WEIGHT_CONVOLUTION) {
            const uint64_t taps = (uint64_t)w->convolution->shape.kernel * (uint64_t)w->convolution->shape.kernel;
            largest_spread = max_u64(largest_spread, (uint64_t)w->out.stored * taps * (uint64_t)w->in.stored);
        }
    }
    float *values = pd_allocate((largest + largest_spread) * sizeof(float));
    if (!values) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory to unpack the weights");
    pack_weights(gguf, list, values, values + largest);
    pd_release(values);
    return PD_OK;
}

/* ---- load --------------------------------------------------------------------- */

static void fill_info(pd_model *model, uint64_t file_bytes, const pd_gguf *gguf)
{
    const pd_config *config = &model->unet.config;
    pd_model_info *info = &model->info;
    info->width = config->width;
    info->height = config->height;
    info->channels = config->image_channels;
    info->pixel_unshuffle = config->pixel_unshuffle;
    info->rendering = config->rendering;
    info->network_width = model->unet.width;
    info->network_height = model->unet.height;
    info->network_channels = config->channels;
    info->network_out_channels = config->out_dim;
    info->class_count = config->class_count;
    info->timesteps = config->timesteps;
    info->objective = config->objective;
    info->recommended_sampler = config->sampler;
    info->recommended_steps = config->steps;
    info->recommended_guidance_scale = config->guidance_scale;
    info->recommended_eta = config->eta;
    info->recommended_time_grid = config->time_grid;
    info->recommended_guidance_first = config->guidance_first;
    info->recommended_guidance_last = config->guidance_last;
    info->recommended_rescale = config->rescale;
    info->recommended_projection = config->projection;
    info->file_bytes = file_bytes;
    info->memory_bytes = model->arena.size + sizeof *model;
    info->parameter_count = 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) info->parameter_count += pd_gguf_elements(&gguf->tensors[i]);
}

/* How many images one forward pass takes: two at least (the two predictions of
 * guidance), more where the activations are small. */
static int32_t choose_batch(const pd_unet *unet, const int32_t *dims)
{
    uint64_t floats_per_image = 0;
    for (int32_t i = 0; i < unet->config.level_count; i++) {
        const uint64_t pixels = (uint64_t)(unet->height >> i) * (uint64_t)(unet->width >> i);
        floats_per_image += pixels * 2 * (uint64_t)(dims[i] + dims[i + 1]);
    }
    floats_per_image += (uint64_t)unet->height * (uint64_t)unet->width * (uint64_t)(4 * LINEAR_HEADS * LINEAR_HEAD_SIZE + 6 * dims[0]);
    const uint64_t images = BATCH_BUDGET_BYTES / sizeof(float) / floats_per_image;
    return images < 2 ? 2 : images > MAX_BATCH ? MAX_BATCH : (int32_t)images;
}

static void plan_unet(pd_unet *unet, int32_t *dims)
{
    const pd_config *config = &unet->config;
    dims[0] = config->init_dim;
    for (int32_t i = 0; i < config->level_count; i++) dims[i + 1] = config->dim * config->dim_mults[i];
    unet->height = config->height / config->pixel_unshuffle;
    unet->width = config->width / config->pixel_unshuffle;
    unet->init_channels = pd_round_up_4(config->init_dim);
    unet->out_channels = pd_round_up_4(config->out_dim);
    unet->embedding_size = EMBEDDING_FACTOR * config->dim;
    unet->time_features = config->fourier_time_embedding ? config->fourier_dim + 1 : config->dim;
    unet->max_images = choose_batch(unet, dims);
    plan_network(unet, dims);
}

/* Everything after the file's structure is known to be sound. */
static pd_status build_model(const pd_gguf *gguf, pd_model *model, weight_list *list, pd_error *error)
{
    int32_t dims[PD_MAX_LEVELS + 1] = {0};
    pd_arena measure;
    PD_TRY(pd_config_read(gguf, &model->unet.config, error));
    plan_unet(&model->unet, dims);
    list_weights(&model->unet, dims, list);
    PD_TRY(check_weights(gguf, list, error));

    pd_arena_measure(&measure);
    place_model(&measure, model, list);
    assert(!measure.overflow); /* the limits of pd_config_read keep every size far below 64 bits */
    PD_TRY(pd_arena_create(&model->arena, measure.used, error));
    place_model(&model->arena, model, list);
    assert(!model->arena.overflow);
    PD_TRY(pack_model(gguf, list, error));
    fill_info(model, gguf->size, gguf);

    /* The file is not ours to keep. */
    model->unet.config.alphas_cumprod = model->unet.config.class_names = NULL;
    const pd_bytes none = {"", 0};
    model->unet.config.name = model->unet.config.description = model->unet.config.license = none;
    model->unet.config.author = model->unet.config.source_url = model->unet.config.schedule_name = none;
    return PD_OK;
}

pd_status pd_model_load(const void *bytes, size_t size, pd_model **model, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    *model = NULL;
    if (!bytes) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "bytes is NULL");

    pd_gguf gguf;
    PD_TRY(pd_gguf_open(&gguf, bytes, size, error));
    pd_model *loaded = pd_allocate(sizeof *loaded);
    weight_list list = {pd_allocate(sizeof(weight) * MAX_WEIGHTS), 0};
    if (loaded) *loaded = (pd_model){0};
    const pd_status status = loaded && list.weights ? build_model(&gguf, loaded, &list, error)
                                                    : pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for a model");
    pd_release(list.weights);
    pd_gguf_close(&gguf);
    if (status != PD_OK) {
        pd_model_free(loaded);
        return status;
    }
    loaded->fingerprint = pd_hash(0, bytes, size);
    *model = loaded;
    return PD_OK;
}

void pd_model_free(pd_model *model)
{
    if (!model) return;
    pd_arena_destroy(&model->arena);
    pd_release(model);
}

const pd_model_info *pd_model_get_info(const pd_model *model) { return model ? &model->info : NULL; }

const char *pd_model_class_name(const pd_model *model, int32_t label)
{
    return model && label >= 0 && label < model->info.class_count ? model->class_names[label] : NULL;
}
