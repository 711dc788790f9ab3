/* One generation as a state machine: start, step, preview, finish. */
#include <assert.h>

#include "guidance.h"
#include "image.h"
#include "model.h"
#include "random.h"
#include "sampler.h"
#include "unet.h"

typedef struct run_picture {
    float *x, *x0;            /* network space */
    float *class_condition;   /* of its label */
    pd_random random;
} run_picture;

struct pd_run {
    pd_model *model;
    pd_arena arena;
    pd_solver solver;
    pd_guidance guidance;
    int32_t step;
    bool failed; /* non-finite values: nothing more can be made of it */
    size_t value_count; /* of one picture in network space */
    int32_t picture_count;
    run_picture *pictures;
    int32_t *times;
    float *null_condition, *time_condition;
    float *predictions; /* [max_images][value_count] */
    float *noise;       /* [value_count] */
};

/* ---- options ------------------------------------------------------------------ */

pd_status pd_options_init(const pd_model *model, pd_options *options)
{
    if (!model || !options) return PD_ARG;
    *options = (pd_options){.struct_size = sizeof(pd_options),
                            .sampler = (int32_t)model->info.recommended_sampler,
                            .steps = model->info.recommended_steps,
                            .guidance_scale = model->info.recommended_guidance_scale,
                            .eta = model->info.recommended_eta};
    return PD_OK;
}

static pd_status check_range(pd_error *error, pd_status status, const char *name, float value, float maximum)
{
    if (value >= 0.0f && value <= maximum) return PD_OK;
    return pd_fail(error, status, PD_NO_OFFSET, "%s is %g, not within 0 and %g", name, (double)value, (double)maximum);
}

pd_status pd_options_check(const pd_model *model, const pd_options *options, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!options) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "options is NULL");
    if (options->struct_size != sizeof(pd_options))
        return pd_fail(error, PD_ABI, PD_NO_OFFSET, "options take %u bytes, this library has %u",
                       (uint64_t)options->struct_size, (uint64_t)sizeof(pd_options));
    if (options->sampler < 0 || options->sampler >= PD_SAMPLER_COUNT)
        return pd_fail(error, PD_SAMPLER, PD_NO_OFFSET, "sampler %d does not exist", (int64_t)options->sampler);
    if (options->steps < 1 || options->steps > model->info.timesteps)
        return pd_fail(error, PD_STEPS, PD_NO_OFFSET, "steps is %d, not within 1 and %d", (int64_t)options->steps,
                       (int64_t)model->info.timesteps);
    PD_TRY(check_range(error, PD_SCALE, "guidance scale", options->guidance_scale, PD_MAX_GUIDANCE_SCALE));
    PD_TRY(check_range(error, PD_OPTION, "eta", options->eta, 1.0f));
    PD_TRY(check_range(error, PD_OPTION, "rescale", options->rescale, 1.0f));
    PD_TRY(check_range(error, PD_OPTION, "keep_parallel", options->keep_parallel, 1.0f));
    if (options->projection != 0 && options->projection != 1)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "projection is %d, not 0 or 1", (int64_t)options->projection);
    return PD_OK;
}

/* ---- start -------------------------------------------------------------------- */

static pd_status check_can_be_sampled(const pd_model *model, pd_error *error)
{
    const pd_model_info *info = &model->info;
    if (info->network_out_channels != info->network_channels)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET,
                       "the network predicts %d channels from %d: it can be evaluated, but not sampled",
                       (int64_t)info->network_out_channels, (int64_t)info->network_channels);
    if (info->channels != 1 && info->channels != 3 && info->channels != 4)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "pictures of %d channels cannot be shown: 1, 3 or 4 can",
                       (int64_t)info->channels);
    return PD_OK;
}

static pd_status check_pictures(const pd_model *model, const pd_picture *pictures, int32_t count, pd_error *error)
{
    if (!pictures) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "pictures is NULL");
    if (count < 1 || count > PD_MAX_PICTURES)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "%d pictures in one run, not 1 to %d", (int64_t)count,
                       (int64_t)PD_MAX_PICTURES);
    for (int32_t i = 0; i < count; i++) {
        if (pictures[i].label < 0 || pictures[i].label >= model->info.class_count)
            return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)pictures[i].label,
                           (int64_t)model->info.class_count - 1);
        if (pictures[i].reserved)
            return pd_fail(error, PD_ARG, PD_NO_OFFSET, "picture %d: reserved is not 0", (int64_t)i);
    }
    return PD_OK;
}

/* Runs twice, to measure and to place. */
static void place_run(pd_arena *arena, pd_run *run)
{
    const uint64_t values = run->value_count, conditions = (uint64_t)run->model->unet.condition_count;
    run->pictures = PD_TAKE(arena, run_picture, run->picture_count);
    for (int32_t i = 0; i < run->picture_count; i++) {
        float *x = PD_TAKE(arena, float, values), *x0 = PD_TAKE(arena, float, values);
        float *condition = PD_TAKE(arena, float, conditions);
        if (!run->pictures) continue;
        run->pictures[i].x = x;
        run->pictures[i].x0 = x0;
        run->pictures[i].class_condition = condition;
    }
    run->times = PD_TAKE(arena, int32_t, run->solver.steps + 1);
    run->null_condition = PD_TAKE(arena, float, conditions);
    run->time_condition = PD_TAKE(arena, float, conditions);
    run->predictions = PD_TAKE(arena, float, (uint64_t)run->model->unet.max_images * values);
    run->noise = PD_TAKE(arena, float, values);
}

static void begin(pd_run *run, const pd_picture *pictures)
{
    const pd_unet *unet = &run->model->unet;
    pd_schedule_time_grid(run->solver.schedule.timesteps, run->solver.steps, run->times);
    run->solver.times = run->times;
    pd_unet_embed_class(unet, PD_LABEL_NULL, run->null_condition);
    for (int32_t i = 0; i < run->picture_count; i++) {
        run_picture *picture = &run->pictures[i];
        pd_unet_embed_class(unet, pictures[i].label, picture->class_condition);
        pd_random_seed(&picture->random, pictures[i].seed);
        pd_random_normal(&picture->random, run->value_count, picture->x);
    }
}

pd_status pd_run_start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count,
                       pd_run **run, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    *run = NULL;
    PD_TRY(pd_options_check(model, options, error));
    PD_TRY(check_can_be_sampled(model, error));
    PD_TRY(check_pictures(model, pictures, count, error));

    pd_run plan = {.model = model, .picture_count = count};
    plan.solver = (pd_solver){.kind = (pd_sampler)options->sampler, .objective = model->info.objective,
                              .schedule = {model->info.timesteps, model->info.alphas_cumprod},
                              .steps = options->steps, .eta = (double)options->eta};
    plan.guidance = (pd_guidance){.scale = options->guidance_scale, .rescale = options->rescale,
                                  .keep_parallel = options->keep_parallel, .projection = options->projection == 1};
    plan.value_count = (size_t)model->info.network_channels * (size_t)model->info.network_height *
                       (size_t)model->info.network_width;

    pd_arena measure;
    pd_arena_measure(&measure);
    place_run(&measure, &plan);
    pd_run *started = pd_allocate(sizeof *started);
    if (!started) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for a run");
    const pd_status status = pd_arena_create(&plan.arena, measure.used, error);
    if (status != PD_OK) {
        pd_release(started);
        return status;
    }
    place_run(&plan.arena, &plan);
    assert(!plan.arena.overflow);
    *started = plan;
    begin(started, pictures);
    *run = started;
    return PD_OK;
}

void pd_run_free(pd_run *run)
{
    if (!run) return;
    pd_arena_destroy(&run->arena);
    pd_release(run);
}

/* ---- step --------------------------------------------------------------------- */

static bool all_finite(const float *values, size_t count)
{
    /* x - x is 0 for every finite x and NaN for the others; NaN survives the sum. */
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) sum += values[i] - values[i];
    return sum == 0.0f;
}

/* The predictions of `count` pictures from `first` on as one batch; afterwards
 * the guided prediction of picture first + i is at predictions + i * value_count. */
static void predict_guided(pd_run *run, int32_t first, int32_t count)
{
    const bool conditional = pd_guidance_needs_conditional(&run->guidance);
    const bool null = pd_guidance_needs_null(&run->guidance);
    const float *x[PD_MAX_PICTURES], *conditions[PD_MAX_PICTURES];
    float *predictions[PD_MAX_PICTURES];
    int32_t images = 0;
    for (int32_t half = 0; half < 2; half++) {
        if (half == 0 ? !conditional : !null) continue;
        for (int32_t i = 0; i < count; i++, images++) {
            x[images] = run->pictures[first + i].x;
            conditions[images] = half == 0 ? run->pictures[first + i].class_condition : run->null_condition;
            predictions[images] = run->predictions + (size_t)images * run->value_count;
        }
    }
    pd_unet_forward(&run->model->unet, images, x, run->time_condition, conditions, predictions);
    for (int32_t i = 0; i < count; i++) {
        float *from_class = predictions[i], *from_null = predictions[images - count + i];
        pd_guidance_apply(&run->guidance, run->value_count, conditional ? from_class : NULL, null ? from_null : NULL,
                          from_class);
    }
}

static bool advance(pd_run *run, int32_t index, const float *prediction)
{
    run_picture *picture = &run->pictures[index];
    const float *noise = NULL;
    if (pd_solver_step_draws_noise(&run->solver, run->step)) {
        pd_random_normal(&picture->random, run->value_count, run->noise);
        noise = run->noise;
    }
    pd_solver_step(&run->solver, run->step, run->value_count, picture->x, prediction, noise, picture->x0);
    return all_finite(prediction, run->value_count) && all_finite(picture->x, run->value_count);
}

pd_status pd_run_step(pd_run *run, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    if (run->failed) return pd_fail(error, PD_STATE, PD_NO_OFFSET, "this run has failed before");
    if (run->step == run->solver.steps)
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "all %d steps have been made", (int64_t)run->solver.steps);

    const bool both = pd_guidance_needs_conditional(&run->guidance) && pd_guidance_needs_null(&run->guidance);
    const int32_t group = both ? run->model->unet.max_images / 2 : run->model->unet.max_images;
    pd_unet_embed_time(&run->model->unet, run->times[run->step], run->time_condition);
    for (int32_t first = 0; first < run->picture_count; first += group) {
        const int32_t left = run->picture_count - first, count = left < group ? left : group;
        predict_guided(run, first, count);
        for (int32_t i = 0; i < count; i++)
            if (!advance(run, first + i, run->predictions + (size_t)i * run->value_count)) {
                run->failed = true;
                return pd_fail(error, PD_NONFINITE, PD_NO_OFFSET, "the network produced NaN or infinity at step %d, t = %d",
                               (int64_t)run->step + 1, (int64_t)run->times[run->step]);
            }
    }
    run->step++;
    return PD_OK;
}

int32_t pd_run_steps_done(const pd_run *run) { return run ? run->step : 0; }
int32_t pd_run_steps_total(const pd_run *run) { return run ? run->solver.steps : 0; }
int32_t pd_run_next_timestep(const pd_run *run) { return run ? run->times[run->step] : -1; }

/* ---- results ------------------------------------------------------------------ */

static pd_status check_picture(const pd_run *run, int32_t picture, const void *buffer, size_t capacity, size_t needed,
                               pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    if (!buffer) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "the buffer is NULL");
    if (picture < 0 || picture >= run->picture_count)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "picture %d of %d", (int64_t)picture, (int64_t)run->picture_count);
    if (capacity < needed)
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "the buffer holds %u, needed are %u", (uint64_t)capacity,
                       (uint64_t)needed);
    if (run->failed) return pd_fail(error, PD_STATE, PD_NO_OFFSET, "this run has failed before");
    return PD_OK;
}

static size_t pixel_bytes(const pd_model_info *info)
{
    return (size_t)info->width * (size_t)info->height * (size_t)info->channels;
}

pd_status pd_run_state(const pd_run *run, int32_t picture, float *state, size_t capacity, pd_error *error)
{
    PD_TRY(check_picture(run, picture, state, capacity, run ? run->value_count : 0, error));
    for (size_t i = 0; i < run->value_count; i++) state[i] = run->pictures[picture].x[i];
    return PD_OK;
}

pd_status pd_run_preview(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error)
{
    PD_TRY(check_picture(run, picture, pixels, capacity, run ? pixel_bytes(&run->model->info) : 0, error));
    const pd_model_info *info = &run->model->info;
    const run_picture *source = &run->pictures[picture];
    pd_image_to_pixels(run->step ? source->x0 : source->x, info->width, info->height, info->channels, info->pixel_unshuffle,
                       pixels);
    return PD_OK;
}

pd_status pd_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error)
{
    PD_TRY(check_picture(run, picture, pixels, capacity, run ? pixel_bytes(&run->model->info) : 0, error));
    if (run->step < run->solver.steps)
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "only %d of %d steps have been made", (int64_t)run->step,
                       (int64_t)run->solver.steps);
    const pd_model_info *info = &run->model->info;
    pd_image_to_pixels(run->pictures[picture].x, info->width, info->height, info->channels, info->pixel_unshuffle, pixels);
    return PD_OK;
}

/* ---- one evaluation ------------------------------------------------------------- */

pd_status pd_model_predict(pd_model *model, const float *x, int32_t t, int32_t label, float *prediction, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!x || !prediction) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "x or prediction is NULL");
    if (t < 0 || t >= model->info.timesteps)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "t is %d, not within 0 and %d", (int64_t)t,
                       (int64_t)model->info.timesteps - 1);
    if (label != PD_LABEL_NULL && (label < 0 || label >= model->info.class_count))
        return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)label,
                       (int64_t)model->info.class_count - 1);

    const pd_workspace *workspace = &model->unet.workspace;
    const float *const class_condition = workspace->class_condition;
    pd_unet_embed_time(&model->unet, t, workspace->time_condition);
    pd_unet_embed_class(&model->unet, label, workspace->class_condition);
    pd_unet_forward(&model->unet, 1, &x, workspace->time_condition, &class_condition, &prediction);
    return PD_OK;
}
