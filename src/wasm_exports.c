/* The flat interface of the WebAssembly module: integers, floats and addresses
 * in linear memory. web/engine.mjs is the one file that calls it.
 *
 * Functions that return an address return 0 on failure; those that return a
 * status return a pd_status. In both cases pd_wasm_error_* describe the last
 * failure. Addresses of strings are NUL-terminated UTF-8. Any call may grow the
 * memory: views of it must be made anew after every call. Writing to address 0
 * does not trap, so an address of 0 must never be used. */
#include "memory.h"
#include "status.h"

#define PD_EXPORT(name) __attribute__((export_name(#name), used))

static pd_error last_error;

PD_EXPORT(pd_wasm_error_status) int32_t pd_wasm_error_status(void) { return (int32_t)last_error.status; }
PD_EXPORT(pd_wasm_error_name) const char *pd_wasm_error_name(void) { return pd_status_name(last_error.status); }
PD_EXPORT(pd_wasm_error_message) const char *pd_wasm_error_message(void) { return last_error.message; }
/* Byte offset in the file, -1 if the error has none. */
PD_EXPORT(pd_wasm_error_offset) double pd_wasm_error_offset(void)
{
    return last_error.offset == PD_NO_OFFSET ? -1.0 : (double)last_error.offset;
}

PD_EXPORT(pd_wasm_version) const char *pd_wasm_version(void) { return PD_VERSION_STRING; }

PD_EXPORT(pd_wasm_allocate) void *pd_wasm_allocate(uint32_t size)
{
    void *block = pd_allocate(size);
    if (!block) pd_set_error(&last_error, PD_MEMORY, PD_NO_OFFSET, "no memory for %u bytes", (uint64_t)size);
    return block;
}
PD_EXPORT(pd_wasm_release) void pd_wasm_release(void *block) { pd_release(block); }

PD_EXPORT(pd_wasm_model_load) pd_model *pd_wasm_model_load(const void *bytes, uint32_t size)
{
    pd_model *model = NULL;
    return pd_model_load(bytes, size, &model, &last_error) == PD_OK ? model : NULL;
}
PD_EXPORT(pd_wasm_model_free) void pd_wasm_model_free(pd_model *model) { pd_model_free(model); }

/* Numbers of pd_model_info by key; NaN for an unknown key. */
PD_EXPORT(pd_wasm_model_number) double pd_wasm_model_number(const pd_model *model, int32_t key)
{
    const pd_model_info *info = pd_model_get_info(model);
    switch (key) {
    case 0: return info->width;
    case 1: return info->height;
    case 2: return info->channels;
    case 3: return info->pixel_unshuffle;
    case 4: return info->network_width;
    case 5: return info->network_height;
    case 6: return info->network_channels;
    case 7: return info->network_out_channels;
    case 8: return info->class_count;
    case 9: return info->timesteps;
    case 10: return info->objective;
    case 11: return info->recommended_sampler;
    case 12: return info->recommended_steps;
    case 13: return (double)info->recommended_guidance_scale;
    case 14: return (double)info->recommended_eta;
    case 15: return (double)info->parameter_count;
    case 16: return (double)info->file_bytes;
    case 17: return (double)info->memory_bytes;
    case 18: return info->recommended_time_grid;
    case 19: return info->recommended_guidance_first;
    case 20: return info->recommended_guidance_last;
    default: return (double)__builtin_nanf("");
    }
}

/* Texts of pd_model_info by key: 0 name, 1 description, 2 license, 3 author,
 * 4 source URL, 5 schedule name; 0 for an unknown key. */
PD_EXPORT(pd_wasm_model_text) const char *pd_wasm_model_text(const pd_model *model, int32_t key)
{
    const pd_model_info *info = pd_model_get_info(model);
    switch (key) {
    case 0: return info->name;
    case 1: return info->description;
    case 2: return info->license;
    case 3: return info->author;
    case 4: return info->source_url;
    case 5: return info->schedule_name;
    default: return NULL;
    }
}
/* Address of T float64 values. */
PD_EXPORT(pd_wasm_model_alphas_cumprod) const double *pd_wasm_model_alphas_cumprod(const pd_model *model)
{
    return pd_model_get_info(model)->alphas_cumprod;
}
PD_EXPORT(pd_wasm_model_class_name) const char *pd_wasm_model_class_name(const pd_model *model, int32_t label)
{
    return pd_model_class_name(model, label);
}
/* label: PD_LABEL_NULL (2147483647) for the null class. */
PD_EXPORT(pd_wasm_model_predict) int32_t pd_wasm_model_predict(pd_model *model, const float *x, int32_t t, int32_t label,
                                                               float *prediction)
{
    return (int32_t)pd_model_predict(model, x, t, label, prediction, &last_error);
}

/* Options of a run, at their defaults; released with pd_wasm_release. */
PD_EXPORT(pd_wasm_options_create) pd_options *pd_wasm_options_create(const pd_model *model)
{
    pd_options *options = pd_wasm_allocate((uint32_t)sizeof(pd_options));
    if (options) pd_options_init(model, options);
    return options;
}

static bool is_int32(double value) { return value >= -2147483648.0 && value <= 2147483647.0 && value == (double)(int32_t)value; }

/* Keys: 0 sampler, 1 steps, 2 guidance scale, 3 eta, 4 rescale, 5 keep_parallel,
 * 6 projection, 7 time_grid, 8 ddpm_mean, 9 ddpm_variance, 10 threshold,
 * 11 momentum, 12 norm_threshold, 13 cfg_plus_plus, 14 guidance_first,
 * 15 guidance_last, 16 guidance_schedule, 17 negative_label. Only the type is
 * checked here, the range by pd_wasm_run_start. */
PD_EXPORT(pd_wasm_options_set) int32_t pd_wasm_options_set(pd_options *options, int32_t key, double value)
{
    static const char *const names[] = {"sampler", "steps", "guidance scale", "eta", "rescale", "keep_parallel", "projection",
                                        "time_grid", "ddpm_mean", "ddpm_variance", "threshold", "momentum", "norm_threshold",
                                        "cfg_plus_plus", "guidance_first", "guidance_last", "guidance_schedule",
                                        "negative_label"};
    const bool whole = key < 2 || (key >= 6 && key <= 9) || key >= 13;
    if (key < 0 || key > 17) return (int32_t)pd_fail(&last_error, PD_OPTION, PD_NO_OFFSET, "no option %d", (int64_t)key);
    if (whole && !is_int32(value))
        return (int32_t)pd_fail(&last_error, PD_OPTION, PD_NO_OFFSET, "%s: %g is not a whole number", names[key], value);
    switch (key) {
    case 0: options->sampler = (int32_t)value; break;
    case 1: options->steps = (int32_t)value; break;
    case 2: options->guidance_scale = (float)value; break;
    case 3: options->eta = (float)value; break;
    case 4: options->rescale = (float)value; break;
    case 5: options->keep_parallel = (float)value; break;
    case 6: options->projection = (int32_t)value; break;
    case 7: options->time_grid = (int32_t)value; break;
    case 8: options->ddpm_mean = (int32_t)value; break;
    case 9: options->ddpm_variance = (int32_t)value; break;
    case 10: options->threshold = (float)value; break;
    case 11: options->momentum = (float)value; break;
    case 12: options->norm_threshold = (float)value; break;
    case 13: options->cfg_plus_plus = (int32_t)value; break;
    case 14: options->guidance_first = (int32_t)value; break;
    case 15: options->guidance_last = (int32_t)value; break;
    case 16: options->guidance_schedule = (int32_t)value; break;
    default: options->negative_label = (int32_t)value; break;
    }
    return PD_OK;
}
PD_EXPORT(pd_wasm_options_get) double pd_wasm_options_get(const pd_options *options, int32_t key)
{
    switch (key) {
    case 0: return options->sampler;
    case 1: return options->steps;
    case 2: return (double)options->guidance_scale;
    case 3: return (double)options->eta;
    case 4: return (double)options->rescale;
    case 5: return (double)options->keep_parallel;
    case 6: return options->projection;
    case 7: return options->time_grid;
    case 8: return options->ddpm_mean;
    case 9: return options->ddpm_variance;
    case 10: return (double)options->threshold;
    case 11: return (double)options->momentum;
    case 12: return (double)options->norm_threshold;
    case 13: return options->cfg_plus_plus;
    case 14: return options->guidance_first;
    case 15: return options->guidance_last;
    case 16: return options->guidance_schedule;
    case 17: return options->negative_label;
    default: return (double)__builtin_nanf("");
    }
}

/* pictures: `count` records of 16 bytes: int32 label, uint32 0, uint64 seed. */
PD_EXPORT(pd_wasm_run_start) pd_run *pd_wasm_run_start(pd_model *model, const pd_options *options,
                                                       const pd_picture *pictures, int32_t count)
{
    pd_run *run = NULL;
    return pd_run_start(model, options, pictures, count, &run, &last_error) == PD_OK ? run : NULL;
}
PD_EXPORT(pd_wasm_run_step) int32_t pd_wasm_run_step(pd_run *run) { return (int32_t)pd_run_step(run, &last_error); }
/* Network calls in all. */
PD_EXPORT(pd_wasm_run_steps_total) int32_t pd_wasm_run_steps_total(const pd_run *run) { return pd_run_steps_total(run); }
PD_EXPORT(pd_wasm_run_next_timestep) int32_t pd_wasm_run_next_timestep(const pd_run *run)
{
    return pd_run_next_timestep(run);
}
/* capacity in floats */
PD_EXPORT(pd_wasm_run_state) int32_t pd_wasm_run_state(const pd_run *run, int32_t picture, float *state, uint32_t capacity)
{
    return (int32_t)pd_run_state(run, picture, state, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_keep_predictions) int32_t pd_wasm_run_keep_predictions(pd_run *run)
{
    return (int32_t)pd_run_keep_predictions(run, &last_error);
}
/* plane: a pd_plane */
PD_EXPORT(pd_wasm_run_has_plane) int32_t pd_wasm_run_has_plane(const pd_run *run, int32_t plane) { return pd_run_has_plane(run, plane); }
PD_EXPORT(pd_wasm_run_plane) int32_t pd_wasm_run_plane(const pd_run *run, int32_t picture, int32_t plane, float *values,
                                                     uint32_t capacity)
{
    return (int32_t)pd_run_plane(run, picture, plane, values, capacity, &last_error);
}
PD_EXPORT(pd_wasm_model_to_pixels) int32_t pd_wasm_model_to_pixels(const pd_model *model, const float *x, uint8_t *pixels,
                                                                   uint32_t capacity)
{
    return (int32_t)pd_model_to_pixels(model, x, pixels, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_preview) int32_t pd_wasm_run_preview(const pd_run *run, int32_t picture, uint8_t *pixels,
                                                           uint32_t capacity)
{
    return (int32_t)pd_run_preview(run, picture, pixels, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_finish) int32_t pd_wasm_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels,
                                                         uint32_t capacity)
{
    return (int32_t)pd_run_finish(run, picture, pixels, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_free) void pd_wasm_run_free(pd_run *run) { pd_run_free(run); }

/* `recipe`: `length` bytes of UTF-8 for the file to carry; none if that is 0. */
static pd_png_text recipe_text(const char *recipe, uint32_t length)
{
    return (pd_png_text){PD_RECIPE_KEYWORD, recipe, length};
}
/* 0 for a picture that is refused. */
PD_EXPORT(pd_wasm_png_bound) uint32_t pd_wasm_png_bound(int32_t width, int32_t height, int32_t channels, const char *recipe,
                                                        uint32_t length)
{
    const pd_png_text text = recipe_text(recipe, length);
    const size_t bound = pd_png_bound(width, height, channels);
    return (uint32_t)(bound && length ? bound + pd_png_text_bytes(&text) : bound);
}
/* Bytes written, 0 on failure. */
PD_EXPORT(pd_wasm_png_encode) uint32_t pd_wasm_png_encode(const uint8_t *pixels, int32_t width, int32_t height,
                                                          int32_t channels, const char *recipe, uint32_t length, uint8_t *png,
                                                          uint32_t capacity)
{
    const pd_png_text text = recipe_text(recipe, length);
    size_t written = 0;
    const pd_status status = pd_png_encode_with_text(pixels, width, height, channels, length ? &text : NULL, png, capacity,
                                                     &written, &last_error);
    return status == PD_OK ? (uint32_t)written : 0;
}
