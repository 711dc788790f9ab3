#include "config.h"

#include "solver.h"

#include <string.h>

#define PREFIX "pocket-diffusion."
#define LAST_FORMAT_VERSION 2

/* Bits: formats that have the key. */
enum { UNET = 1, GRAPH = 2, BOTH = UNET | GRAPH };

static const struct {
    const char *name;
    int32_t formats;
} known_keys[] = {{"format_version", BOTH},
                  {"unet.dim", UNET},
                  {"unet.init_dim", UNET},
                  {"unet.out_dim", UNET},
                  {"unet.dim_mults", UNET},
                  {"unet.channels", UNET},
                  {"unet.num_classes", UNET},
                  {"unet.cond_drop_prob", UNET},
                  {"unet.learned_sinusoidal_cond", UNET},
                  {"unet.random_fourier_features", UNET},
                  {"unet.learned_sinusoidal_dim", UNET},
                  {"unet.attn_dim_head", UNET},
                  {"unet.attn_heads", UNET},
                  {"graph.version", GRAPH},
                  {"graph.operations", GRAPH},
                  {"graph.counts", GRAPH},
                  {"graph.inputs", GRAPH},
                  {"graph.tensors", GRAPH},
                  {"graph.integers", GRAPH},
                  {"graph.reals", GRAPH},
                  {"image.width", BOTH},
                  {"image.height", BOTH},
                  {"image.channels", BOTH},
                  {"image.pixel_unshuffle", BOTH},
                  {"image.value_range", BOTH},
                  {"image.rendering", BOTH},
                  {"class_names", BOTH},
                  {"diffusion.timesteps", BOTH},
                  {"diffusion.beta_schedule", BOTH},
                  {"diffusion.alphas_cumprod", BOTH},
                  {"diffusion.objective", BOTH},
                  {"diffusion.times", GRAPH},
                  {"sampling.sampler", BOTH},
                  {"sampling.steps", BOTH},
                  {"sampling.guidance_scale", BOTH},
                  {"sampling.eta", BOTH},
                  {"sampling.time_grid", BOTH},
                  {"sampling.guidance_interval", BOTH},
                  {"sampling.rescale", BOTH},
                  {"sampling.projection", BOTH},
                  {"guidance.scales", UNET}};

/* A key of ours that this reader does not know could change what the file
 * means, so it is refused. */
static pd_status check_no_unknown_keys(const pd_gguf *gguf, int32_t format_version, pd_error *error)
{
    const size_t prefix_length = strlen(PREFIX);
    for (uint64_t i = 0; i < gguf->value_count; i++) {
        const pd_bytes key = gguf->values[i].key;
        if (key.length < prefix_length || memcmp(key.data, PREFIX, prefix_length) != 0) continue;
        const pd_bytes name = {key.data + prefix_length, key.length - prefix_length};
        bool known = false;
        for (size_t k = 0; k < sizeof known_keys / sizeof known_keys[0] && !known; k++)
            known = known_keys[k].formats & format_version && pd_bytes_equal(name, known_keys[k].name);
        if (!known) return pd_fail(error, PD_CONFIG, gguf->values[i].offset, "unknown key %q", &key);
    }
    return PD_OK;
}

static pd_status read_int32(const pd_gguf *gguf, const char *key, int64_t minimum, int64_t maximum, int32_t *value,
                            pd_error *error)
{
    int64_t wide = 0;
    const pd_status status = pd_gguf_get_integer(gguf, key, minimum, maximum, &wide, error);
    if (status == PD_OK) *value = (int32_t)wide;
    return status;
}

static pd_status read_float(const pd_gguf *gguf, const char *key, double minimum, double maximum, float *value, pd_error *error)
{
    double wide = 0;
    const pd_status status = pd_gguf_get_real(gguf, key, minimum, maximum, &wide, error);
    if (status == PD_OK) *value = (float)wide;
    return status;
}

/* Position of the string value of `key` among `count` choices. */
static pd_status read_choice(const pd_gguf *gguf, const char *key, const char *const *choices, int32_t count, int32_t *choice,
                             pd_error *error)
{
    pd_bytes text;
    const pd_status status = pd_gguf_get_string(gguf, key, &text, error);
    if (status != PD_OK) return status;
    for (int32_t i = 0; i < count; i++)
        if (pd_bytes_equal(text, choices[i])) {
            *choice = i;
            return PD_OK;
        }
    return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, key)->offset, "%s is %q, which is not known", key, &text);
}

static pd_status read_optional_text(const pd_gguf *gguf, const char *key, pd_bytes *text, pd_error *error)
{
    *text = (pd_bytes){"", 0};
    return pd_gguf_find(gguf, key) ? pd_gguf_get_string(gguf, key, text, error) : PD_OK;
}

static pd_status read_network(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    bool learned = false, random = false;
    float cond_drop_prob = 0;
    PD_TRY(read_int32(gguf, PREFIX "unet.dim", 1, PD_MAX_CHANNELS, &config->dim, error));
    PD_TRY(read_int32(gguf, PREFIX "unet.init_dim", 1, PD_MAX_CHANNELS, &config->init_dim, error));
    PD_TRY(read_int32(gguf, PREFIX "unet.out_dim", 1, PD_MAX_CHANNELS, &config->out_dim, error));
    PD_TRY(read_int32(gguf, PREFIX "unet.channels", 1, PD_MAX_CHANNELS, &config->channels, error));
    PD_TRY(read_int32(gguf, PREFIX "unet.num_classes", 1, PD_MAX_CLASSES, &config->class_count, error));
    PD_TRY(read_float(gguf, PREFIX "unet.cond_drop_prob", 0, 1, &cond_drop_prob, error));
    PD_TRY(pd_gguf_get_bool(gguf, PREFIX "unet.learned_sinusoidal_cond", &learned, error));
    PD_TRY(pd_gguf_get_bool(gguf, PREFIX "unet.random_fourier_features", &random, error));
    config->fourier_time_embedding = learned || random;
    PD_TRY(read_int32(gguf, PREFIX "unet.learned_sinusoidal_dim", 2, PD_MAX_CHANNELS, &config->fourier_dim, error));
    if (config->fourier_dim % 2)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, PREFIX "unet.learned_sinusoidal_dim")->offset,
                       PREFIX "unet.learned_sinusoidal_dim is %d, which is odd", (int64_t)config->fourier_dim);
    /* The frequencies of the sinusoidal embedding divide by dim / 2 - 1, and an
     * odd dim would not fill the layer behind it. */
    if (!config->fourier_time_embedding && (config->dim % 2 || config->dim < 4))
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, PREFIX "unet.dim")->offset,
                       PREFIX "unet.dim is %d, but a sinusoidal time embedding needs an even number from 4",
                       (int64_t)config->dim);
    PD_TRY(read_int32(gguf, PREFIX "unet.attn_heads", 1, 64, &config->middle_heads, error));
    PD_TRY(read_int32(gguf, PREFIX "unet.attn_dim_head", 1, 128, &config->middle_head_size, error));

    const pd_gguf_value *mults = NULL;
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "unet.dim_mults", PD_GGUF_UINT32, &mults, error));
    if (mults->count < 1 || mults->count > PD_MAX_LEVELS)
        return pd_fail(error, PD_CONFIG, mults->offset, PREFIX "unet.dim_mults has %u levels, not 1 to %d", mults->count,
                       (int64_t)PD_MAX_LEVELS);
    config->level_count = (int32_t)mults->count;
    for (int32_t i = 0; i < config->level_count; i++) {
        const int64_t mult = pd_gguf_array_integer(mults, (uint64_t)i);
        if (mult < 1 || mult * config->dim > PD_MAX_CHANNELS)
            return pd_fail(error, PD_CONFIG, mults->offset, PREFIX "unet.dim_mults: level %d would have %d x %d channels",
                           (int64_t)i, (int64_t)config->dim, mult);
        config->dim_mults[i] = (int32_t)mult;
    }
    return PD_OK;
}

/* Needs the image's channels. */
static pd_status read_rendering(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    static const char key[] = PREFIX "image.rendering";
    static const char *const renderings[PD_RENDERING_COUNT] = {"smooth", "ink", "pixel"};
    int32_t rendering = PD_RENDERING_SMOOTH;
    if (pd_gguf_find(gguf, key)) PD_TRY(read_choice(gguf, key, renderings, PD_RENDERING_COUNT, &rendering, error));
    if (rendering == PD_RENDERING_INK && config->image_channels != 1)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, key)->offset, "%s is \"ink\", but pictures have %d channels, not 1",
                       key, (int64_t)config->image_channels);
    config->rendering = (pd_rendering)rendering;
    return PD_OK;
}

static pd_status read_image(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    PD_TRY(read_int32(gguf, PREFIX "image.width", 1, PD_MAX_SIDE, &config->width, error));
    PD_TRY(read_int32(gguf, PREFIX "image.height", 1, PD_MAX_SIDE, &config->height, error));
    PD_TRY(read_int32(gguf, PREFIX "image.channels", 1, PD_MAX_CHANNELS, &config->image_channels, error));
    PD_TRY(read_int32(gguf, PREFIX "image.pixel_unshuffle", 1, 32, &config->pixel_unshuffle, error));

    const int32_t r = config->pixel_unshuffle, divisor = config->format_version == 1 ? r << (config->level_count - 1) : r;
    if (config->format_version == 2) config->channels = config->image_channels * r * r;
    if ((int64_t)config->image_channels * r * r != config->channels)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, PREFIX "unet.channels")->offset,
                       PREFIX "unet.channels is %d, but %d image channels unshuffled by %d make %d", (int64_t)config->channels,
                       (int64_t)config->image_channels, (int64_t)r, (int64_t)config->image_channels * r * r);
    if (config->width % divisor)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, PREFIX "image.width")->offset,
                       PREFIX "image.width is %d, not a multiple of %d", (int64_t)config->width, (int64_t)divisor);
    if (config->height % divisor)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, PREFIX "image.height")->offset,
                       PREFIX "image.height is %d, not a multiple of %d", (int64_t)config->height, (int64_t)divisor);

    const pd_gguf_value *range = NULL;
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "image.value_range", PD_GGUF_FLOAT32, &range, error));
    const double expected[2] = {-1.0, 1.0};
    if (range->count != 2)
        return pd_fail(error, PD_CONFIG, range->offset, PREFIX "image.value_range has %u numbers, not 2", range->count);
    for (uint64_t i = 0; i < 2; i++)
        if (pd_gguf_array_real(range, i) < expected[i] || pd_gguf_array_real(range, i) > expected[i] ||
            pd_gguf_array_real(range, i) != pd_gguf_array_real(range, i))
            return pd_fail(error, PD_CONFIG, range->offset, PREFIX "image.value_range is not [-1, 1]");
    return read_rendering(gguf, config, error);
}

/* Needs the timesteps. */
static pd_status read_guidance_interval(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    static const char key[] = PREFIX "sampling.guidance_interval";
    config->guidance_first = 0;
    config->guidance_last = config->timesteps - 1;
    if (!pd_gguf_find(gguf, key)) return PD_OK;
    const pd_gguf_value *interval = NULL;
    PD_TRY(pd_gguf_get_array(gguf, key, PD_GGUF_UINT32, &interval, error));
    if (interval->count != 2)
        return pd_fail(error, PD_CONFIG, interval->offset, "%s has %u numbers, not 2", key, interval->count);
    const int64_t first = pd_gguf_array_integer(interval, 0), last = pd_gguf_array_integer(interval, 1);
    if (first > last || last >= config->timesteps)
        return pd_fail(error, PD_CONFIG, interval->offset, "%s is [%d, %d]: not in order, or not within 0 and %d", key, first,
                       last, (int64_t)config->timesteps - 1);
    config->guidance_first = (int32_t)first;
    config->guidance_last = (int32_t)last;
    return PD_OK;
}

/* Scales at which the network knows each class, if it takes the scale as an input. */
static pd_status read_guidance_scales(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    static const char key[] = PREFIX "guidance.scales";
    if (!pd_gguf_find(gguf, key)) return PD_OK;
    const pd_gguf_value *scales = NULL;
    PD_TRY(pd_gguf_get_array(gguf, key, PD_GGUF_FLOAT32, &scales, error));
    if (scales->count < 2 || scales->count > PD_MAX_GUIDANCE_ROWS)
        return pd_fail(error, PD_CONFIG, scales->offset, "%s has %u numbers, not 2 to %d", key, scales->count,
                       (int64_t)PD_MAX_GUIDANCE_ROWS);
    for (uint64_t i = 0; i < scales->count; i++) {
        const double scale = pd_gguf_array_real(scales, i);
        if (!(scale >= 0.0 && scale <= (double)PD_MAX_GUIDANCE_SCALE) || (i > 0 && !(scale > pd_gguf_array_real(scales, i - 1))))
            return pd_fail(error, PD_CONFIG, scales->offset, "%s[%u] is %g: scales must ascend within 0 and %g", key, i, scale,
                           (double)PD_MAX_GUIDANCE_SCALE);
        config->guidance_scales[i] = (float)scale;
    }
    config->guidance_row_count = (int32_t)scales->count;
    return PD_OK;
}

/* Needs the scales that the network knows. */
static pd_status check_guidance(const pd_gguf *gguf, const pd_config *config, pd_error *error)
{
    static const char interval[] = PREFIX "sampling.guidance_interval", scale[] = PREFIX "sampling.guidance_scale";
    if (config->guidance_row_count == 0) return PD_OK;
    const float low = config->guidance_scales[0], high = config->guidance_scales[config->guidance_row_count - 1];
    if (pd_gguf_find(gguf, interval))
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, interval)->offset,
                       "%s: not where the guidance scale is an input of the network", interval);
    if (config->guidance_scale < low || config->guidance_scale > high)
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, scale)->offset, "%s is %g, the network knows %g to %g", scale,
                       (double)config->guidance_scale, (double)low, (double)high);
    return PD_OK;
}

/* Needs the timesteps. */
static pd_status read_recommendations(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    const char *samplers[PD_SAMPLER_COUNT];
    static const char *const time_grids[PD_TIME_GRID_COUNT] = {"linear", "quadratic", "trailing", "karras"};
    int32_t sampler = 0, time_grid = PD_TIME_GRID_LINEAR;
    for (int32_t i = 0; i < PD_SAMPLER_COUNT; i++) samplers[i] = pd_sampler_table[i].name;
    PD_TRY(read_choice(gguf, PREFIX "sampling.sampler", samplers, PD_SAMPLER_COUNT, &sampler, error));
    config->sampler = (pd_sampler)sampler;
    PD_TRY(read_int32(gguf, PREFIX "sampling.steps", 1, config->timesteps, &config->steps, error));
    PD_TRY(read_float(gguf, PREFIX "sampling.guidance_scale", 0, (double)PD_MAX_GUIDANCE_SCALE, &config->guidance_scale, error));
    PD_TRY(read_float(gguf, PREFIX "sampling.eta", 0, 1, &config->eta, error));
    if (pd_gguf_find(gguf, PREFIX "sampling.time_grid"))
        PD_TRY(read_choice(gguf, PREFIX "sampling.time_grid", time_grids, PD_TIME_GRID_COUNT, &time_grid, error));
    config->time_grid = (pd_time_grid)time_grid;
    if (pd_gguf_find(gguf, PREFIX "sampling.rescale"))
        PD_TRY(read_float(gguf, PREFIX "sampling.rescale", 0, 1, &config->rescale, error));
    if (pd_gguf_find(gguf, PREFIX "sampling.projection"))
        PD_TRY(pd_gguf_get_bool(gguf, PREFIX "sampling.projection", &config->projection, error));
    PD_TRY(read_guidance_scales(gguf, config, error));
    PD_TRY(check_guidance(gguf, config, error));
    return read_guidance_interval(gguf, config, error);
}

static pd_status read_class_names(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "class_names", PD_GGUF_STRING, &config->class_names, error));
    if (config->class_names->count != (uint64_t)config->class_count)
        return pd_fail(error, PD_CONFIG, config->class_names->offset, PREFIX "class_names has %u names for %d classes",
                       config->class_names->count, (int64_t)config->class_count);
    return PD_OK;
}

/* Of a graph: both are optional. */
static pd_status read_classes_and_times(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    if (pd_gguf_find(gguf, PREFIX "class_names")) {
        PD_TRY(pd_gguf_get_array(gguf, PREFIX "class_names", PD_GGUF_STRING, &config->class_names, error));
        if (config->class_names->count < 1 || config->class_names->count > PD_MAX_CLASSES)
            return pd_fail(error, PD_CONFIG, config->class_names->offset, PREFIX "class_names has %u names, not 1 to %d",
                           config->class_names->count, (int64_t)PD_MAX_CLASSES);
        config->class_count = (int32_t)config->class_names->count;
    }
    if (!pd_gguf_find(gguf, PREFIX "diffusion.times")) return PD_OK;
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "diffusion.times", PD_GGUF_FLOAT32, &config->times, error));
    if (config->times->count != (uint64_t)config->timesteps)
        return pd_fail(error, PD_CONFIG, config->times->offset, PREFIX "diffusion.times has %u values for %d timesteps",
                       config->times->count, (int64_t)config->timesteps);
    for (uint64_t t = 0; t < config->times->count; t++) {
        const double time = pd_gguf_array_real(config->times, t);
        if (!(time >= -1e6 && time <= 1e6))
            return pd_fail(error, PD_CONFIG, config->times->offset + 4 * t,
                           PREFIX "diffusion.times[%u] is %g, not within -1e6 and 1e6", t, time);
    }
    return PD_OK;
}

static pd_status read_process(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    static const char *const objectives[] = {"pred_noise", "pred_x0", "pred_v"};
    int32_t objective = 0;

    PD_TRY(read_int32(gguf, PREFIX "diffusion.timesteps", 1, PD_MAX_TIMESTEPS, &config->timesteps, error));
    PD_TRY(pd_gguf_get_string(gguf, PREFIX "diffusion.beta_schedule", &config->schedule_name, error));
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "diffusion.alphas_cumprod", PD_GGUF_FLOAT64, &config->alphas_cumprod, error));
    if (config->alphas_cumprod->count != (uint64_t)config->timesteps)
        return pd_fail(error, PD_CONFIG, config->alphas_cumprod->offset,
                       PREFIX "diffusion.alphas_cumprod has %u values for %d timesteps", config->alphas_cumprod->count,
                       (int64_t)config->timesteps);
    double previous = 1.0;
    for (int32_t t = 0; t < config->timesteps; t++) {
        const double value = pd_gguf_array_real(config->alphas_cumprod, (uint64_t)t);
        if (!(value > 0.0 && value < previous))
            return pd_fail(error, PD_CONFIG, config->alphas_cumprod->offset + 8u * (uint64_t)t,
                           PREFIX "diffusion.alphas_cumprod[%d] is %g: the table must decrease strictly within (0, 1)",
                           (int64_t)t, value);
        previous = value;
    }
    PD_TRY(read_choice(gguf, PREFIX "diffusion.objective", objectives, 3, &objective, error));
    config->objective = (pd_objective)objective;

    PD_TRY(config->format_version == 1 ? read_class_names(gguf, config, error) : read_classes_and_times(gguf, config, error));
    return read_recommendations(gguf, config, error);
}

pd_status pd_config_read(const pd_gguf *gguf, pd_config *config, pd_error *error)
{
    pd_bytes architecture;
    *config = (pd_config){0};
    PD_TRY(pd_gguf_get_string(gguf, "general.architecture", &architecture, error));
    if (!pd_bytes_equal(architecture, "pocket-diffusion"))
        return pd_fail(error, PD_CONFIG, pd_gguf_find(gguf, "general.architecture")->offset,
                       "general.architecture is %q, not \"pocket-diffusion\"", &architecture);
    PD_TRY(read_int32(gguf, PREFIX "format_version", 1, LAST_FORMAT_VERSION, &config->format_version, error));
    PD_TRY(check_no_unknown_keys(gguf, config->format_version, error));
    if (config->format_version == 1) PD_TRY(read_network(gguf, config, error));
    PD_TRY(read_image(gguf, config, error));
    PD_TRY(read_process(gguf, config, error));
    PD_TRY(read_optional_text(gguf, "general.name", &config->name, error));
    PD_TRY(read_optional_text(gguf, "general.description", &config->description, error));
    PD_TRY(read_optional_text(gguf, "general.license", &config->license, error));
    PD_TRY(read_optional_text(gguf, "general.author", &config->author, error));
    return read_optional_text(gguf, "general.source.url", &config->source_url, error);
}
