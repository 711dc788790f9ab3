/* The flat interface of the WebAssembly module: integers, floats and addresses
 * in linear memory. web/library/engine.mjs is the one file that calls it.
 *
 * Functions that return an address return 0 on failure; those that return a
 * status return a pd_status. In both cases pd_wasm_error_* describe the last
 * failure. Addresses of strings are NUL-terminated UTF-8. Any call may grow the
 * memory: views of it must be made anew after every call. Writing to address 0
 * does not trap, so an address of 0 must never be used. */
#include "memory.h"
#include "model.h"
#include "options.h"
#include "solver.h"
#include "status.h"

#include <string.h>

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

/* Pictures of the two modules differ in their last bits. */
#if defined(__wasm_relaxed_simd__)
#define ARITHMETIC "+relaxed"
#else
#define ARITHMETIC ""
#endif
PD_EXPORT(pd_wasm_version) const char *pd_wasm_version(void) { return PD_VERSION_STRING ARITHMETIC; }

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

/* The fields of pd_model_info, which have keys 0 and up. */
typedef enum field_type { INT32, UINT64, FLOAT, BOOL, TEXT } field_type;
static const struct {
    const char *name;
    uint32_t offset;
    field_type type;
} model_fields[] = {
#define FIELD(name, type) {#name, offsetof(pd_model_info, name), type}
    FIELD(name, TEXT),
    FIELD(description, TEXT),
    FIELD(license, TEXT),
    FIELD(author, TEXT),
    FIELD(source_url, TEXT),
    FIELD(schedule_name, TEXT),
    FIELD(width, INT32),
    FIELD(height, INT32),
    FIELD(channels, INT32),
    FIELD(pixel_unshuffle, INT32),
    FIELD(rendering, INT32),
    FIELD(network_width, INT32),
    FIELD(network_height, INT32),
    FIELD(network_channels, INT32),
    FIELD(network_out_channels, INT32),
    FIELD(class_count, INT32),
    FIELD(timesteps, INT32),
    FIELD(objective, INT32),
    FIELD(has_null_class, BOOL),
    FIELD(guidance_is_input, BOOL),
    FIELD(guidance_scale_min, FLOAT),
    FIELD(guidance_scale_max, FLOAT),
    FIELD(format_version, INT32),
    FIELD(multiplications, UINT64),
    FIELD(parameter_count, UINT64),
    FIELD(file_bytes, UINT64),
    FIELD(memory_bytes, UINT64),
    FIELD(recommended_sampler, INT32),
    FIELD(recommended_steps, INT32),
    FIELD(recommended_guidance_scale, FLOAT),
    FIELD(recommended_eta, FLOAT),
    FIELD(recommended_time_grid, INT32),
    FIELD(recommended_guidance_first, INT32),
    FIELD(recommended_guidance_last, INT32),
    FIELD(recommended_rescale, FLOAT),
    FIELD(recommended_projection, INT32),
#undef FIELD
};
_Static_assert(sizeof(pd_sampler) == 4 && sizeof(pd_time_grid) == 4 && sizeof(pd_objective) == 4 && sizeof(pd_rendering) == 4,
               "enumerations are read as INT32");

static bool is_field(int32_t key) { return key >= 0 && key < (int32_t)(sizeof model_fields / sizeof *model_fields); }

/* The name of a field, 0 for a key beyond the last. */
PD_EXPORT(pd_wasm_model_field_name) const char *pd_wasm_model_field_name(int32_t key)
{
    return is_field(key) ? model_fields[key].name : NULL;
}
/* NaN for a field that is a text, and for an unknown key. */
PD_EXPORT(pd_wasm_model_number) double pd_wasm_model_number(const pd_model *model, int32_t key)
{
    const char *info = (const char *)pd_model_get_info(model);
    if (!is_field(key)) return (double)__builtin_nanf("");
    const void *field = info + model_fields[key].offset;
    switch (model_fields[key].type) {
    case INT32: return *(const int32_t *)field;
    case UINT64: return (double)*(const uint64_t *)field;
    case FLOAT: return (double)*(const float *)field;
    case BOOL: return *(const bool *)field;
    default: return (double)__builtin_nanf("");
    }
}
/* 0 for a field that is a number, and for an unknown key. */
PD_EXPORT(pd_wasm_model_text) const char *pd_wasm_model_text(const pd_model *model, int32_t key)
{
    const char *text = NULL;
    if (is_field(key) && model_fields[key].type == TEXT)
        memcpy((void *)&text, (const char *)pd_model_get_info(model) + model_fields[key].offset, sizeof text);
    return text;
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
/* The name of an operation of the network, NULL behind the last. */
PD_EXPORT(pd_wasm_graph_name) const char *pd_wasm_graph_name(const pd_model *model, int32_t index)
{
    const pd_graph *graph = &model->network.graph;
    return index >= 0 && index < graph->count ? graph->nodes[index].operation->name : NULL;
}
/* What there is to know of such an operation: `inputs` by their numbers (-1: absent), `shape` of its value with the channels
 * as the file has them, its `integers`; whether the value depends on the `class`, the `time`, `x`; whether it is `free`. */
enum { INPUTS, SHAPE, INTEGERS, ON_CLASS, ON_TIME, ON_X, FREE, GRAPH_FIELDS };
static const char *const graph_fields[GRAPH_FIELDS] = {
    [INPUTS] = "inputs", [SHAPE] = "shape", [INTEGERS] = "integers", [ON_CLASS] = "class",
    [ON_TIME] = "time",  [ON_X] = "x",      [FREE] = "free",
};
/* The name of a key, 0 beyond the last. */
PD_EXPORT(pd_wasm_graph_field_name) const char *pd_wasm_graph_field_name(int32_t key)
{
    return key >= 0 && key < GRAPH_FIELDS ? graph_fields[key] : NULL;
}
/* Number `at` of what a key stands for; NaN beyond the last, and for an unknown key. */
PD_EXPORT(pd_wasm_graph_number)
double pd_wasm_graph_number(const pd_model *model, int32_t index, int32_t key, int32_t at)
{
    const pd_node *node = &model->network.graph.nodes[index];
    const int32_t last_axis = node->axes.rank - 1;
    const int32_t counts[GRAPH_FIELDS] = {node->input_count, node->axes.rank, node->integer_count, 1, 1, 1, 1};
    if (key < 0 || key >= GRAPH_FIELDS || at < 0 || at >= counts[key]) return (double)__builtin_nanf("");
    switch (key) {
    case INPUTS: return node->inputs[at];
    case SHAPE: return at == last_axis ? node->layout.real : node->axes.length[at];
    case INTEGERS: return node->integers[at];
    case ON_CLASS: return (node->depends & PD_ON_CLASS) != 0;
    case ON_TIME: return (node->depends & PD_ON_TIME) != 0;
    case ON_X: return (node->depends & PD_ON_X) != 0;
    default: return node->aliased;
    }
}
/* label: PD_LABEL_NULL (2147483647) for the null class. */
PD_EXPORT(pd_wasm_model_predict)
int32_t pd_wasm_model_predict(pd_model *model, const float *x, int32_t t, int32_t label, float *prediction)
{
    return (int32_t)pd_model_predict(model, x, t, label, prediction, &last_error);
}
/* capacity in floats */
PD_EXPORT(pd_wasm_model_activations)
int32_t pd_wasm_model_activations(pd_model *model, const float *x, int32_t t, int32_t label, int32_t operation, float *values,
                                  uint32_t capacity)
{
    return (int32_t)pd_model_activations(model, x, t, label, operation, values, capacity, &last_error);
}

/* Options of a run, at their defaults; released with pd_wasm_release. */
PD_EXPORT(pd_wasm_options_create) pd_options *pd_wasm_options_create(const pd_model *model)
{
    pd_options *options = pd_wasm_allocate((uint32_t)sizeof(pd_options));
    if (options) pd_options_init(model, options);
    return options;
}

/* The numbers of pd_options by key, 0 and up: the name of their field, 0 for a
 * key beyond the last. */
PD_EXPORT(pd_wasm_options_name) const char *pd_wasm_options_name(int32_t key)
{
    return key >= 0 && key < pd_option_count ? pd_option_table[key].name : NULL;
}
/* What the table says of it: 0 whether it is whole, 1 a pd_option_range, 2 minimum, 3 maximum, 4 what it
 * needs: bits of pd_option_needs. */
PD_EXPORT(pd_wasm_options_limit) double pd_wasm_options_limit(int32_t key, int32_t limit)
{
    const pd_option *option = &pd_option_table[key];
    return limit == 0   ? (double)option->whole
           : limit == 1 ? (double)option->range
           : limit == 2 ? option->minimum
           : limit == 3 ? option->maximum
                        : (double)option->needs;
}
/* The samplers by pd_sampler: name, 0 beyond the last. */
PD_EXPORT(pd_wasm_sampler_name) const char *pd_wasm_sampler_name(int32_t sampler)
{
    return sampler >= 0 && sampler < PD_SAMPLER_COUNT ? pd_sampler_table[sampler].name : NULL;
}
/* 0 evaluations in a step, 1 draws noise, 2 multistep. */
PD_EXPORT(pd_wasm_sampler_trait) int32_t pd_wasm_sampler_trait(int32_t sampler, int32_t trait)
{
    const pd_sampler_traits *traits = &pd_sampler_table[sampler];
    return trait == 0 ? traits->evaluations : trait == 1 ? traits->draws_noise : traits->multistep;
}
/* Only the type is checked here, the range by pd_wasm_run_start. */
PD_EXPORT(pd_wasm_options_set) int32_t pd_wasm_options_set(pd_options *options, int32_t key, double value)
{
    if (key < 0 || key >= pd_option_count)
        return (int32_t)pd_fail(&last_error, PD_OPTION, PD_NO_OFFSET, "no option %d", (int64_t)key);
    return (int32_t)pd_option_set(&pd_option_table[key], options, value, &last_error);
}

/* Data of a run, which must stay until pd_wasm_run_start has copied it. Keys: 0
 * mix (records of 8 bytes: int32 label, float32 weight), 1 image (bytes), 2 mask
 * (bytes), 3 noise (float32). `size`: records, bytes or numbers. */
PD_EXPORT(pd_wasm_options_set_data)
int32_t pd_wasm_options_set_data(pd_options *options, int32_t key, const void *data, uint32_t size)
{
    switch (key) {
    case 0:
        options->mix = data;
        options->mix_size = (int32_t)size;
        return PD_OK;
    case 1:
        options->image = data;
        options->image_size = size;
        return PD_OK;
    case 2:
        options->mask = data;
        options->mask_size = size;
        return PD_OK;
    case 3:
        options->noise = data;
        options->noise_size = size;
        return PD_OK;
    default: return (int32_t)pd_fail(&last_error, PD_OPTION, PD_NO_OFFSET, "no data %d", (int64_t)key);
    }
}

/* pictures: `count` records of 24 bytes: int32 label, uint32 0, uint64 seed,
 * uint64 variation_seed. */
PD_EXPORT(pd_wasm_run_start)
pd_run *pd_wasm_run_start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count)
{
    pd_run *run = NULL;
    return pd_run_start(model, options, pictures, count, &run, &last_error) == PD_OK ? run : NULL;
}
PD_EXPORT(pd_wasm_run_step) int32_t pd_wasm_run_step(pd_run *run) { return (int32_t)pd_run_step(run, &last_error); }
/* Network calls in all. */
PD_EXPORT(pd_wasm_run_steps_total) int32_t pd_wasm_run_steps_total(const pd_run *run) { return pd_run_steps_total(run); }
PD_EXPORT(pd_wasm_run_steps_done) int32_t pd_wasm_run_steps_done(const pd_run *run) { return pd_run_steps_done(run); }
PD_EXPORT(pd_wasm_run_next_timestep) int32_t pd_wasm_run_next_timestep(const pd_run *run) { return pd_run_next_timestep(run); }
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
PD_EXPORT(pd_wasm_run_has_plane) int32_t pd_wasm_run_has_plane(const pd_run *run, int32_t plane)
{
    return pd_run_has_plane(run, plane);
}
PD_EXPORT(pd_wasm_run_plane)
int32_t pd_wasm_run_plane(const pd_run *run, int32_t picture, int32_t plane, float *values, uint32_t capacity)
{
    return (int32_t)pd_run_plane(run, picture, plane, values, capacity, &last_error);
}
PD_EXPORT(pd_wasm_model_to_pixels)
int32_t pd_wasm_model_to_pixels(const pd_model *model, const float *x, uint8_t *pixels, uint32_t capacity)
{
    return (int32_t)pd_model_to_pixels(model, x, pixels, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_preview) int32_t pd_wasm_run_preview(const pd_run *run, int32_t picture, uint8_t *pixels, uint32_t capacity)
{
    return (int32_t)pd_run_preview(run, picture, pixels, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_finish) int32_t pd_wasm_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels, uint32_t capacity)
{
    return (int32_t)pd_run_finish(run, picture, pixels, capacity, &last_error);
}
/* Of one picture. */
PD_EXPORT(pd_wasm_run_saved_bytes) uint32_t pd_wasm_run_saved_bytes(const pd_run *run)
{
    return (uint32_t)pd_run_saved_bytes(run);
}
PD_EXPORT(pd_wasm_run_save) int32_t pd_wasm_run_save(const pd_run *run, int32_t picture, uint8_t *bytes, uint32_t capacity)
{
    return (int32_t)pd_run_save(run, picture, bytes, capacity, &last_error);
}
PD_EXPORT(pd_wasm_run_restore) int32_t pd_wasm_run_restore(pd_run *run, const uint8_t *bytes, uint32_t size)
{
    return (int32_t)pd_run_restore(run, bytes, size, &last_error);
}
PD_EXPORT(pd_wasm_run_free) void pd_wasm_run_free(pd_run *run) { pd_run_free(run); }

/* `recipe`: `length` bytes of UTF-8 for the file to carry; none if that is 0. */
static pd_png_text recipe_text(const char *recipe, uint32_t length) { return (pd_png_text){PD_RECIPE_KEYWORD, recipe, length}; }
/* 0 for a picture that is refused. */
PD_EXPORT(pd_wasm_png_bound)
uint32_t pd_wasm_png_bound(int32_t width, int32_t height, int32_t channels, const char *recipe, uint32_t length)
{
    const pd_png_text text = recipe_text(recipe, length);
    const size_t bound = pd_png_bound(width, height, channels);
    return (uint32_t)(bound && length ? bound + pd_png_text_bytes(&text) : bound);
}
/* Bytes written, 0 on failure. */
PD_EXPORT(pd_wasm_png_encode)
uint32_t pd_wasm_png_encode(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, const char *recipe,
                            uint32_t length, uint8_t *png, uint32_t capacity)
{
    const pd_png_text text = recipe_text(recipe, length);
    size_t written = 0;
    const pd_status status = pd_png_encode_with_text(pixels, width, height, channels, length ? &text : NULL, png, capacity,
                                                     &written, &last_error);
    return status == PD_OK ? (uint32_t)written : 0;
}
