/* From a GGUF table to a pd_model. */
#include "model.h"

#include <assert.h>
#include <string.h>

#include "hash.h"
#include "image.h"

/* ---- place -------------------------------------------------------------------- */

static const char *place_text(pd_arena *arena, pd_bytes text)
{
    char *copy = PD_TAKE(arena, char, text.length + 1);
    if (copy && text.length) memcpy(copy, text.data, (size_t)text.length);
    return copy;
}

static void place_model(pd_arena *arena, pd_model *model, const pd_config *config)
{
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

    const pd_graph *graph = &model->network.graph;
    pd_prediction_cache_place(arena, &model->prediction_cache,
                              (uint64_t)graph->out_channels * (uint64_t)graph->height * (uint64_t)graph->width);
}

/* ---- load --------------------------------------------------------------------- */

static void fill_info(pd_model *model, const pd_config *config, const pd_gguf *gguf)
{
    pd_model_info *info = &model->info;
    info->width = config->width;
    info->height = config->height;
    info->channels = config->image_channels;
    info->pixel_unshuffle = config->pixel_unshuffle;
    info->rendering = config->rendering;
    info->network_width = model->network.graph.width;
    info->network_height = model->network.graph.height;
    info->network_channels = model->network.graph.channels;
    info->network_out_channels = model->network.graph.out_channels;
    info->class_count = config->class_count;
    info->guidance_is_input = config->guidance_row_count > 0;
    info->has_null_class = config->class_count > 0 && !info->guidance_is_input && pd_network_has_null(&model->network);
    info->format_version = config->format_version;
    info->multiplications = model->network.graph.work;
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
    model->guidance_row_count = config->guidance_row_count;
    memcpy(model->guidance_scales, config->guidance_scales, sizeof model->guidance_scales);
    info->guidance_scale_min = info->guidance_is_input ? config->guidance_scales[0] : 0.0f;
    info->guidance_scale_max = info->guidance_is_input ? config->guidance_scales[config->guidance_row_count - 1]
                                                       : PD_MAX_GUIDANCE_SCALE;
    info->file_bytes = gguf->size;
    info->memory_bytes = model->arena.size + model->network.memory_bytes + sizeof *model;
    info->parameter_count = 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) info->parameter_count += pd_gguf_elements(&gguf->tensors[i]);
}

/* Everything after the file's structure is known to be sound. */
static pd_status build_model(const pd_gguf *gguf, pd_model *model, pd_error *error)
{
    pd_config config;
    pd_arena measure;
    PD_TRY(pd_config_read(gguf, &config, error));
    PD_TRY(pd_network_load(gguf, &config, &model->network, error));
    if ((config.class_count == 0 || !pd_network_has_null(&model->network)) && config.guidance_scale != 1.0f)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET,
                       "a guidance scale of %g is recommended, but without a null class there is only 1",
                       (double)config.guidance_scale);
    pd_arena_measure(&measure);
    place_model(&measure, model, &config);
    assert(!measure.overflow); /* the limits of pd_config_read keep every size far below 64 bits */
    PD_TRY(pd_arena_create(&model->arena, measure.used, error));
    place_model(&model->arena, model, &config);
    assert(!model->arena.overflow);
    fill_info(model, &config, gguf);
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
    if (loaded) *loaded = (pd_model){0};
    const pd_status status = loaded ? build_model(&gguf, loaded, error)
                                    : pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for a model");
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
    pd_network_free(&model->network);
    if (model->arena.block) pd_arena_destroy(&model->arena);
    pd_release(model);
}

const pd_model_info *pd_model_get_info(const pd_model *model) { return model ? &model->info : NULL; }

const char *pd_model_class_name(const pd_model *model, int32_t label)
{
    return model && label >= 0 && label < model->info.class_count ? model->class_names[label] : NULL;
}

/* ---- one evaluation ------------------------------------------------------------- */

void pd_model_embed_mix(const pd_model *model, const pd_class_weight *mix, int32_t count, float guidance_scale, float *condition)
{
    const int32_t rows = model->guidance_row_count;
    const float *scales = model->guidance_scales;
    pd_class_weight all[2 * PD_MAX_MIX];
    int32_t low = 0, used = 0;
    if (rows == 0) {
        if (count == 1) pd_network_embed_class(&model->network, mix->label, condition);
        else pd_network_embed_mix(&model->network, mix, count, condition);
        return;
    }
    while (low + 2 < rows && scales[low + 1] <= guidance_scale) low++;
    const float share = (guidance_scale - scales[low]) / (scales[low + 1] - scales[low]);
    assert(share >= 0.0f && share <= 1.0f);
    for (int32_t i = 0; i < count; i++) {
        all[used++] = (pd_class_weight){mix[i].label * rows + low, mix[i].weight * (1.0f - share)};
        all[used++] = (pd_class_weight){mix[i].label * rows + low + 1, mix[i].weight * share};
    }
    pd_network_embed_mix(&model->network, all, used, condition);
}

void pd_model_embed_class(const pd_model *model, int32_t label, float guidance_scale, float *condition)
{
    pd_model_embed_mix(model, &(pd_class_weight){label, 1.0f}, 1, guidance_scale, condition);
}

static pd_status check_evaluation(const pd_model *model, const float *x, int32_t t, int32_t label, const float *result,
                                  pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!x || !result) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "x or the result is NULL");
    if (t < 0 || t >= model->info.timesteps)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "t is %d, not within 0 and %d", (int64_t)t,
                       (int64_t)model->info.timesteps - 1);
    const bool has_null = !model->info.guidance_is_input && pd_network_has_null(&model->network);
    if (label == PD_LABEL_NULL ? !has_null : label < 0 || label >= model->info.class_count)
        return label == PD_LABEL_NULL
                   ? pd_fail(error, PD_LABEL, PD_NO_OFFSET, "the network has no class that stands for none, of %d",
                             (int64_t)model->info.class_count)
                   : pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)label,
                             (int64_t)model->info.class_count - 1);
    return PD_OK;
}

pd_status pd_model_predict(pd_model *model, const float *x, int32_t t, int32_t label, float *prediction, pd_error *error)
{
    PD_TRY(check_evaluation(model, x, t, label, prediction, error));
    const pd_network *network = &model->network;
    const float *const class_state = network->class_state;
    pd_network_embed_time(network, t, network->time_state);
    pd_model_embed_class(model, label, model->info.recommended_guidance_scale, network->class_state);
    pd_network_forward(network, 1, &x, network->time_state, &class_state, &prediction);
    return PD_OK;
}

pd_status pd_model_activations(pd_model *model, const float *x, int32_t t, int32_t label, int32_t operation, float *values,
                               size_t capacity, pd_error *error)
{
    PD_TRY(check_evaluation(model, x, t, label, values, error));
    pd_network *network = &model->network;
    pd_graph *graph = &network->graph;
    if (operation < 0 || operation >= graph->count)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "operation is %d, not within 0 and %d", (int64_t)operation,
                       (int64_t)graph->count - 1);
    const size_t needed = pd_network_value_count(network, operation);
    if (capacity < needed)
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "the buffer holds %u, needed are %u", (uint64_t)capacity,
                       (uint64_t)needed);
    const pd_phase phase = (pd_phase)graph->nodes[operation].phase;
    graph->end = operation + 1;
    if (phase != PD_PHASE_CLASS) pd_network_embed_time(network, t, network->time_state);
    if (phase != PD_PHASE_TIME) pd_model_embed_class(model, label, model->info.recommended_guidance_scale, network->class_state);
    pd_network_value(network, operation, x, values);
    graph->end = graph->count;
    return PD_OK;
}

size_t pd_model_pixel_bytes(const pd_model *model)
{
    const pd_model_info *info = &model->info;
    return (size_t)info->width * (size_t)info->height * (size_t)info->channels;
}

pd_status pd_model_to_pixels(const pd_model *model, const float *x, uint8_t *pixels, size_t capacity, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!x || !pixels) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "x or pixels is NULL");
    const pd_model_info *info = &model->info;
    if (capacity < pd_model_pixel_bytes(model))
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "the buffer holds %u, needed are %u", (uint64_t)capacity,
                       (uint64_t)pd_model_pixel_bytes(model));
    pd_image_to_pixels(x, info->width, info->height, info->channels, info->pixel_unshuffle, pixels);
    return PD_OK;
}
