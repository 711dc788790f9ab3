/* One generation as a state machine: start, step, preview, finish. */
#include <assert.h>
#include <string.h>

#include "edit.h"
#include "image.h"
#include "prediction_cache.h"
#include "run.h"

int32_t pd_run_batch_size(const pd_run *run)
{
    const int32_t most = run->model->network.max_images, needed = run->part_count + 1;
    return most > needed ? most : needed;
}

bool pd_run_has_running(const pd_run *run) { return run->guidance.momentum != 0.0f || run->guidance.norm_threshold != 0.0f; }

void pd_run_free(pd_run *run)
{
    if (!run) return;
    if (run->kept_predictions) pd_arena_destroy(&run->predictions_arena);
    pd_arena_destroy(&run->arena);
    pd_release(run);
}

/* ---- step --------------------------------------------------------------------- */

bool pd_all_finite(const float *values, size_t count)
{
    /* x - x is 0 for every finite x and NaN for the others; NaN survives the sum. */
    float sum = 0.0f;
    for (size_t i = 0; i < count; i++) sum += values[i] - values[i];
    return sum == 0.0f;
}

/* How one network call is guided, and what it takes. */
typedef struct call_plan {
    pd_guidance guidance;
    bool conditional, null;
} call_plan;

static call_plan plan_call(const pd_run *run)
{
    const int32_t t = pd_solver_time(&run->solver, run->evaluation);
    call_plan plan = {.guidance = pd_guidance_at(&run->guidance, run->calls, pd_run_steps_total(run), t)};
    plan.conditional = pd_guidance_process_needs_conditional(&run->guidance, &plan.guidance);
    plan.null = pd_guidance_process_needs_null(&run->guidance, &plan.guidance, t);
    if (plan.null && run->guidance.renoise_with_null) plan.conditional = true; /* the guided one overwrites it, not null */
    return plan;
}

/* RePaint (algorithm 1) and iterated inversion: the next pd_run_step makes the
 * same step again. */
static bool goes_back(const pd_run *run)
{
    return run->pass + 1 < run->resample && pd_solver_completes_step(&run->solver, run->evaluation) &&
           (run->solver.inversion || pd_solver_time(&run->solver, run->evaluation + 1) >= 0);
}

/* After a step: the kept pixels are replaced by the image at the noise level of
 * `next`, and with resampling x goes back to the beginning of the step. */
static void edit_picture(pd_run *run, run_picture *picture)
{
    const pd_solver *solver = &run->solver;
    const size_t count = run->value_count;
    if (!run->is_known || !pd_solver_completes_step(solver, run->evaluation)) return;
    const int32_t next = pd_solver_time(solver, run->evaluation + 1);
    const double abar_next = pd_schedule_alpha_cumprod(&solver->schedule, next);
    const float *known = run->image;
    if (next >= 0) {
        pd_random_normal(&picture->random, count, run->noise);
        pd_edit_diffuse(abar_next, count, run->image, run->noise, run->noise);
        known = run->noise;
    }
    pd_edit_restore(count, run->is_known, known, picture->x);
    pd_edit_restore(count, run->is_known, run->image, picture->x0);
    if (!goes_back(run)) return;
    const int32_t first = run->evaluation + 1 - pd_solver_evaluations_in_step(solver, run->evaluation);
    const double abar = pd_schedule_alpha_cumprod(&solver->schedule, pd_solver_time(solver, first));
    pd_random_normal(&picture->random, count, run->noise);
    pd_edit_diffuse(abar / abar_next, count, picture->x, run->noise, picture->x);
}

static bool advance(pd_run *run, int32_t index, const float *prediction, const float *null)
{
    run_picture *picture = &run->pictures[index];
    const float *noise = NULL;
    if (pd_solver_step_draws_noise(&run->solver, run->evaluation)) {
        pd_random_normal(&picture->random, run->value_count, run->noise);
        noise = run->noise;
    }
    if (run->solver.inversion && run->pass == 0)
        memcpy(picture->history, picture->x, run->value_count * sizeof *picture->history);
    const pd_solver_picture state = {.x = picture->x,
                                     .x0 = picture->x0,
                                     .history = picture->history,
                                     .null_prediction = run->guidance.renoise_with_null ? null : NULL};
    pd_solver_step(&run->solver, run->evaluation, run->value_count, &state, prediction, noise);
    if (!pd_all_finite(prediction, run->value_count) || !pd_all_finite(picture->x, run->value_count)) return false;
    edit_picture(run, picture);
    return true;
}

/* Network calls of the pictures, as images of a batch. */
typedef struct batch {
    int32_t images;
    const float *x[PD_MAX_PICTURES], *conditions[PD_MAX_PICTURES];
    float *predictions[PD_MAX_PICTURES];
    int32_t labels[PD_MAX_PICTURES];
    bool is_class[PD_MAX_PICTURES]; /* conditions are those of the label, not of a mix */
} batch;

/* Whether another guidance scale would need this prediction too. */
static bool is_worth_keeping(const pd_run *run, const batch *all, int32_t image)
{
    return all->is_class[image] && !run->scale_has_entered;
}

static pd_prediction_key key_of(const batch *all, int32_t image, int32_t t)
{
    return (pd_prediction_key){.x = all->x[image], .label = all->labels[image], .t = t};
}

/* Evaluates the network, as long as the scale has not entered only for what the cache does not know. */
static void evaluate(pd_run *run, batch *all)
{
    pd_prediction_cache *cache = &run->model->prediction_cache;
    const int32_t t = pd_run_next_timestep(run);
    batch missing = {0};
    for (int32_t i = 0; i < all->images; i++) {
        const float *known = is_worth_keeping(run, all, i) ? pd_prediction_cache_find(cache, key_of(all, i, t)) : NULL;
        if (known) {
            memcpy(all->predictions[i], known, sizeof(float) * run->value_count);
            continue;
        }
        missing.x[missing.images] = all->x[i];
        missing.conditions[missing.images] = all->conditions[i];
        missing.labels[missing.images] = all->labels[i];
        missing.is_class[missing.images] = all->is_class[i];
        missing.predictions[missing.images++] = all->predictions[i];
    }
    if (missing.images == 0) return;
    pd_network_forward(&run->model->network, missing.images, missing.x, run->time_condition, missing.conditions,
                       missing.predictions);
    for (int32_t i = 0; i < missing.images; i++) {
        if (!is_worth_keeping(run, &missing, i)) continue;
        const pd_prediction_key key = key_of(&missing, i, t);
        if (!pd_prediction_cache_find(cache, key)) /* a picture may be twice in a run */
            pd_prediction_cache_keep(cache, key, missing.predictions[i]);
    }
}

/* The predictions of `count` pictures from `first` on: [call][picture][value_count],
 * the parts of the conditional one first, the null one last, as far as the plan
 * has them. Returns the calls of a picture. */
static int32_t predict_group(pd_run *run, const call_plan *plan, int32_t first, int32_t count)
{
    const pd_network *network = &run->model->network;
    const int32_t parts = plan->conditional ? run->part_count : 0, calls = parts + (plan->null ? 1 : 0);
    for (int32_t from = 0; from < calls * count; from += network->max_images) {
        const int32_t left = calls * count - from;
        batch all = {.images = left < network->max_images ? left : network->max_images};
        for (int32_t k = 0; k < all.images; k++) {
            const int32_t part = (from + k) / count;
            const run_picture *picture = &run->pictures[first + (from + k) % count];
            all.x[k] = picture->x;
            all.conditions[k] = part < parts ? picture->conditions + (size_t)part * network->class_count : run->null_condition;
            all.predictions[k] = run->predictions + (size_t)(from + k) * run->value_count;
            all.labels[k] = part < parts ? picture->label : run->negative_label;
            all.is_class[k] = part >= parts || !run->has_mix;
        }
        evaluate(run, &all);
    }
    return calls;
}

/* The weighted sum of the parts, in the place of the first of them. */
static void sum_parts(const pd_run *run, int32_t count, float *prediction)
{
    for (int32_t part = 0; run->part_count > 1 && part < run->part_count; part++) {
        const float *from = prediction + (size_t)part * (size_t)count * run->value_count;
        const float weight = run->part_weights[part];
        for (size_t k = 0; k < run->value_count; k++)
            prediction[k] = part == 0 ? weight * from[k] : prediction[k] + weight * from[k];
    }
}

static float *kept_prediction(const pd_run *run, int32_t kind, int32_t picture)
{
    return run->kept_predictions + ((size_t)kind * (size_t)run->picture_count + (size_t)picture) * run->value_count;
}

/* What the network made for one picture, before guidance changes it. */
static void keep_predictions(pd_run *run, int32_t picture, const float *conditional, const float *null)
{
    const float *const made[2] = {conditional, null};
    for (int32_t kind = 0; kind < 2; kind++) {
        run->has_kept[kind] = made[kind] != NULL;
        for (size_t i = 0; made[kind] && i < run->value_count; i++) kept_prediction(run, kind, picture)[i] = made[kind][i];
    }
}

/* One network call for `count` pictures from `first` on, and what follows from it.
 * False if a number is not finite. */
static bool advance_group(pd_run *run, const call_plan *plan, int32_t first, int32_t count)
{
    const int32_t calls = predict_group(run, plan, first, count);
    for (int32_t i = 0; i < count; i++) {
        float *guided = run->predictions + (size_t)i * run->value_count; /* the conditional one at first, if there is one */
        float *null = plan->null ? run->predictions + (size_t)((calls - 1) * count + i) * run->value_count : NULL;
        if (plan->conditional) sum_parts(run, count, guided);
        if (run->kept_predictions) keep_predictions(run, first + i, plan->conditional ? guided : NULL, null);
        if (plan->null && plan->conditional)
            pd_guidance_shape_update(&run->guidance, run->value_count, guided, null, run->pictures[first + i].running);
        pd_guidance_apply(&plan->guidance, run->value_count, plan->conditional ? guided : NULL, null, guided);
        if (!advance(run, first + i, guided, null)) return false;
    }
    return true;
}

void pd_run_count_call(pd_run *run)
{
    if (pd_guidance_process_is_guided(&run->guidance, pd_run_next_timestep(run))) run->scale_has_entered = true;
    run->calls++;
    if (goes_back(run)) {
        run->evaluation -= pd_solver_evaluations_in_step(&run->solver, run->evaluation) - 1;
        run->pass++;
    } else {
        if (pd_solver_completes_step(&run->solver, run->evaluation)) run->pass = 0;
        run->evaluation++;
    }
}

pd_status pd_run_step(pd_run *run, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    if (run->failed) return pd_fail(error, PD_STATE, PD_NO_OFFSET, "this run has failed before");
    const int32_t total = pd_run_steps_total(run);
    if (run->calls == total) return pd_fail(error, PD_STATE, PD_NO_OFFSET, "all %d steps have been made", (int64_t)total);

    const call_plan plan = plan_call(run);
    const int32_t t = pd_solver_time(&run->solver, run->evaluation);
    const int32_t calls = (plan.conditional ? run->part_count : 0) + (plan.null ? 1 : 0);
    assert(calls > 0);
    const int32_t group = pd_run_batch_size(run) / calls;
    pd_network_embed_time(&run->model->network, t, run->time_condition);
    for (int32_t first = 0; first < run->picture_count; first += group) {
        const int32_t left = run->picture_count - first, count = left < group ? left : group;
        if (!advance_group(run, &plan, first, count)) {
            run->failed = true;
            return pd_fail(error, PD_NONFINITE, PD_NO_OFFSET, "the network produced NaN or infinity at step %d, t = %d",
                           (int64_t)run->calls + 1, (int64_t)t);
        }
    }
    pd_run_count_call(run);
    return PD_OK;
}

int32_t pd_run_steps_done(const pd_run *run) { return run ? run->calls : 0; }
int32_t pd_run_steps_total(const pd_run *run)
{
    if (!run || run->solver.steps == 0) return 0;
    if (run->solver.inversion) return run->solver.steps * run->resample;
    const int32_t last = pd_solver_evaluations(&run->solver) - 1; /* the evaluation that resampling does not repeat */
    return last * run->resample + 1;
}
int32_t pd_run_next_timestep(const pd_run *run) { return run ? pd_solver_time(&run->solver, run->evaluation) : -1; }

/* ---- results ------------------------------------------------------------------ */

pd_status pd_run_check_picture(const pd_run *run, int32_t picture, const void *buffer, size_t capacity, size_t needed,
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

pd_status pd_run_state(const pd_run *run, int32_t picture, float *state, size_t capacity, pd_error *error)
{
    PD_TRY(pd_run_check_picture(run, picture, state, capacity, run ? run->value_count : 0, error));
    for (size_t i = 0; i < run->value_count; i++) state[i] = run->pictures[picture].x[i];
    return PD_OK;
}

pd_status pd_run_keep_predictions(pd_run *run, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    if (run->kept_predictions) return PD_OK;
    const uint64_t values = 2 * (uint64_t)run->picture_count * run->value_count;
    pd_arena measure;
    pd_arena_measure(&measure);
    PD_TAKE(&measure, float, values);
    PD_TRY(pd_arena_create(&run->predictions_arena, measure.used, error));
    run->kept_predictions = PD_TAKE(&run->predictions_arena, float, values);
    assert(run->kept_predictions);
    return PD_OK;
}

bool pd_run_has_plane(const pd_run *run, int32_t plane)
{
    if (!run || run->failed || run->calls == 0) return false;
    if (plane == PD_PLANE_X0) return true;
    return (plane == PD_PLANE_CONDITIONAL || plane == PD_PLANE_NULL) && run->has_kept[plane - PD_PLANE_CONDITIONAL];
}

pd_status pd_run_plane(const pd_run *run, int32_t picture, int32_t plane, float *values, size_t capacity, pd_error *error)
{
    PD_TRY(pd_run_check_picture(run, picture, values, capacity, run ? run->value_count : 0, error));
    if (plane < 0 || plane >= PD_PLANE_COUNT) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "no plane %d", (int64_t)plane);
    if (!pd_run_has_plane(run, plane))
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "the last network call has left no plane %d", (int64_t)plane);
    const float *source = plane == PD_PLANE_X0 ? run->pictures[picture].x0
                                               : kept_prediction(run, plane - PD_PLANE_CONDITIONAL, picture);
    for (size_t i = 0; i < run->value_count; i++) values[i] = source[i];
    return PD_OK;
}

pd_status pd_run_preview(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error)
{
    PD_TRY(pd_run_check_picture(run, picture, pixels, capacity, run ? pd_model_pixel_bytes(run->model) : 0, error));
    const pd_model_info *info = &run->model->info;
    const run_picture *source = &run->pictures[picture];
    pd_image_to_pixels(run->calls ? source->x0 : source->x, info->width, info->height, info->channels, info->pixel_unshuffle,
                       pixels);
    return PD_OK;
}

pd_status pd_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error)
{
    PD_TRY(pd_run_check_picture(run, picture, pixels, capacity, run ? pd_model_pixel_bytes(run->model) : 0, error));
    if (run->calls < pd_run_steps_total(run))
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "only %d of %d steps have been made", (int64_t)run->calls,
                       (int64_t)pd_run_steps_total(run));
    const pd_model_info *info = &run->model->info;
    pd_image_to_pixels(run->pictures[picture].x, info->width, info->height, info->channels, info->pixel_unshuffle, pixels);
    return PD_OK;
}
