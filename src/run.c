/* One generation as a state machine: start, step, preview, finish. */
#include <assert.h>
#include <string.h>

#include "edit.h"
#include "hash.h"
#include "image.h"
#include "prediction_cache.h"
#include "run.h"

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

static pd_status check_pictures(const pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count,
                                pd_error *error)
{
    if (!pictures) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "pictures is NULL");
    if (count < 1 || count > PD_MAX_PICTURES)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "%d pictures in one run, not 1 to %d", (int64_t)count,
                       (int64_t)PD_MAX_PICTURES);
    for (int32_t i = 0; i < count; i++) {
        if (options->mix) {
            if (pictures[i].label != PD_LABEL_NULL)
                return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d: a picture of a mix has none", (int64_t)pictures[i].label);
        } else if (model->info.class_count == 0) {
            if (pictures[i].label != PD_LABEL_NULL)
                return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d: the network has no classes", (int64_t)pictures[i].label);
        } else if (pictures[i].label < 0 || pictures[i].label >= model->info.class_count)
            return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)pictures[i].label,
                           (int64_t)model->info.class_count - 1);
        if (pictures[i].reserved)
            return pd_fail(error, PD_ARG, PD_NO_OFFSET, "picture %d: reserved is not 0", (int64_t)i);
    }
    return PD_OK;
}

/* Predictions in one network call of a picture. */
static int32_t batch_size(const pd_run *run)
{
    const int32_t most = run->model->network.max_images, needed = run->part_count + 1;
    return most > needed ? most : needed;
}

bool pd_run_has_running(const pd_run *run)
{
    return run->guidance.momentum != 0.0f || run->guidance.norm_threshold != 0.0f;
}

/* Runs twice, to measure and to place. */
static void place_run(pd_arena *arena, pd_run *run, const pd_options *options)
{
    const uint64_t values = run->value_count, conditions = (uint64_t)run->model->network.class_count;
    const int32_t condition_sets = run->has_mix ? 1 : run->picture_count;
    run->pictures = PD_TAKE(arena, run_picture, run->picture_count);
    run->class_conditions = PD_TAKE(arena, float, (uint64_t)condition_sets * (uint64_t)run->part_count * conditions);
    for (int32_t i = 0; i < run->picture_count; i++) {
        float *x = PD_TAKE(arena, float, values), *x0 = PD_TAKE(arena, float, values);
        float *history = PD_TAKE(arena, float, (uint64_t)pd_solver_history(&run->solver) * values);
        float *running = PD_TAKE(arena, float, pd_run_has_running(run) ? values : 0);
        if (!run->pictures) continue;
        run->pictures[i].x = x;
        run->pictures[i].x0 = x0;
        run->pictures[i].history = history;
        run->pictures[i].running = running;
    }
    run->times = PD_TAKE(arena, int32_t, options->steps + 1);
    run->null_condition = PD_TAKE(arena, float, conditions);
    run->time_condition = PD_TAKE(arena, float, run->model->network.time_count);
    run->predictions = PD_TAKE(arena, float, (uint64_t)batch_size(run) * values);
    run->noise = PD_TAKE(arena, float, values);
    float *image = PD_TAKE(arena, float, options->image ? values : 0);
    uint8_t *keep = PD_TAKE(arena, uint8_t, options->mask ? values : 0);
    run->image = options->image ? image : NULL;
    run->keep = options->mask ? keep : NULL;
}

/* The weights divided by their sum. */
static void normalise_mix(const pd_options *options, pd_class_weight *mix)
{
    double sum = 0.0;
    for (int32_t i = 0; i < options->mix_size; i++) sum += (double)options->mix[i].weight;
    for (int32_t i = 0; i < options->mix_size; i++)
        mix[i] = (pd_class_weight){options->mix[i].label, (float)((double)options->mix[i].weight / sum)};
}

static void plan_mix(pd_run *run, const pd_options *options)
{
    run->has_mix = options->mix != NULL;
    run->part_count = 1;
    run->part_weights[0] = 1.0f;
    if (!run->has_mix || options->mix_mode == PD_MIX_EMBEDDING) return;
    pd_class_weight mix[PD_MAX_MIX];
    normalise_mix(options, mix);
    run->part_count = 0;
    for (int32_t i = 0; i < options->mix_size; i++)
        if (mix[i].weight != 0.0f) run->part_weights[run->part_count++] = mix[i].weight;
}

/* Of a mixture of classes, or one class alone, at a guidance scale. Where that is an input of the network, a class is a
 * mixture itself: of the rows for the two scales next to it. */
static void embed(const pd_model *model, const pd_class_weight *mix, int32_t count, float guidance_scale, float *condition)
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

static void embed_class(const pd_model *model, int32_t label, float guidance_scale, float *condition)
{
    embed(model, &(pd_class_weight){label, 1.0f}, 1, guidance_scale, condition);
}

static void embed_classes(pd_run *run, const pd_options *options, const pd_picture *pictures)
{
    const pd_model *model = run->model;
    const size_t conditions = model->network.class_count;
    const float scale = options->guidance_scale;
    float *condition = run->class_conditions;
    pd_class_weight mix[PD_MAX_MIX];
    normalise_mix(options, mix);
    for (int32_t i = 0; i < run->picture_count; i++) {
        run->pictures[i].conditions = run->class_conditions + (run->has_mix ? 0 : (size_t)i * conditions);
        if (!run->has_mix) embed_class(model, pictures[i].label, scale, run->class_conditions + (size_t)i * conditions);
    }
    if (run->has_mix && options->mix_mode == PD_MIX_EMBEDDING)
        embed(model, mix, options->mix_size, scale, condition);
    for (int32_t i = 0; run->has_mix && options->mix_mode == PD_MIX_PREDICTION && i < options->mix_size; i++) {
        if (mix[i].weight == 0.0f) continue;
        embed_class(model, mix[i].label, scale, condition);
        condition += conditions;
    }
}

/* x of a picture before the first step. */
static void begin_picture(pd_run *run, const pd_options *options, const pd_picture *request, run_picture *picture)
{
    const size_t count = run->value_count;
    pd_random_seed(&picture->random, request->seed);
    pd_random_normal(&picture->random, count, picture->x);
    picture->label = request->label;
    if (options->noise) memcpy(picture->x, options->noise, count * sizeof *picture->x);
    if (options->variation_strength != 0.0f) {
        pd_random other;
        pd_random_seed(&other, request->variation_seed);
        pd_random_normal(&other, count, run->noise);
        pd_edit_interpolate(count, picture->x, run->noise, (double)options->variation_strength, picture->x);
    }
    if (run->image && (run->solver.inversion || run->solver.steps == 0)) {
        memcpy(picture->x, run->image, count * sizeof *picture->x);
    } else if (run->image && !(run->keep && run->solver.steps == options->steps)) {
        const double abar = pd_schedule_alpha_cumprod(&run->solver.schedule, run->solver.times[0]);
        pd_edit_diffuse(abar, count, run->image, picture->x, picture->x);
    }
}

static uint64_t fingerprint_of(const pd_model *model, const pd_options *options)
{
    /* The numbers, which have no padding between them. */
    const size_t first = offsetof(pd_options, sampler), end = offsetof(pd_options, inversion) + sizeof options->inversion;
    uint64_t hash = pd_hash(model->fingerprint, (const uint8_t *)options + first, end - first);
    hash = pd_hash(hash, options->mix, (size_t)options->mix_size * sizeof *options->mix);
    hash = pd_hash(hash, options->image, options->image_size);
    hash = pd_hash(hash, options->mask, options->mask_size);
    return pd_hash(hash, options->noise, options->noise_size * sizeof *options->noise);
}

static void begin(pd_run *run, const pd_options *options, const pd_picture *pictures)
{
    const pd_network *network = &run->model->network;
    const pd_model_info *info = &run->model->info;
    pd_schedule_times(&run->solver.schedule, (pd_time_grid)options->time_grid, options->steps, run->times);
    run->solver.times = run->times + (options->steps - run->solver.steps);
    if (run->image)
        pd_image_from_pixels(options->image, info->width, info->height, info->channels, info->pixel_unshuffle, run->image);
    if (run->keep)
        pd_image_mask_to_keep(options->mask, info->width, info->height, info->channels, info->pixel_unshuffle, run->keep);
    if (!info->guidance_is_input && (options->negative_label != PD_LABEL_NULL || pd_network_has_null(network)))
        pd_network_embed_class(network, options->negative_label, run->null_condition);
    embed_classes(run, options, pictures);
    const uint64_t fingerprint = fingerprint_of(run->model, options);
    for (int32_t i = 0; i < run->picture_count; i++) {
        begin_picture(run, options, &pictures[i], &run->pictures[i]);
        run->pictures[i].fingerprint = pd_hash(fingerprint, &pictures[i], sizeof pictures[i]);
    }
}

pd_status pd_run_start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count,
                       pd_run **run, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    *run = NULL;
    PD_TRY(pd_options_check(model, options, error));
    PD_TRY(check_can_be_sampled(model, error));
    PD_TRY(check_pictures(model, options, pictures, count, error));

    pd_run plan = {.model = model, .picture_count = count};
    plan.solver = (pd_solver){.kind = (pd_sampler)options->sampler, .objective = model->info.objective,
                              .schedule = {model->info.timesteps, model->info.alphas_cumprod},
                              .steps = pd_edit_steps(options), .eta = (double)options->eta,
                              .mean = (pd_ddpm_mean)options->ddpm_mean,
                              .variance = (pd_ddpm_variance)options->ddpm_variance,
                              .threshold = (double)options->threshold, .inversion = options->inversion != 0};
    plan.guidance = (pd_guidance_process){
        .guidance = {.scale = model->info.guidance_is_input ? 1.0f : options->guidance_scale, .rescale = options->rescale,
                     .keep_parallel = options->keep_parallel, .projection = options->projection == 1},
        .schedule = (pd_guidance_schedule)options->guidance_schedule,
        .first_time = options->guidance_first, .last_time = options->guidance_last,
        .momentum = options->momentum, .norm_threshold = options->norm_threshold,
        .renoise_with_null = options->cfg_plus_plus == 1};
    plan.resample = options->inversion ? options->inversion : options->resample;
    plan_mix(&plan, options);
    plan.negative_label = options->negative_label;
    plan.scale_has_entered = model->info.guidance_is_input;
    plan.value_count = (size_t)model->info.network_channels * (size_t)model->info.network_height *
                       (size_t)model->info.network_width;

    pd_arena measure;
    pd_arena_measure(&measure);
    place_run(&measure, &plan, options);
    pd_run *started = pd_allocate(sizeof *started);
    if (!started) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for a run");
    const pd_status status = pd_arena_create(&plan.arena, measure.used, error);
    if (status != PD_OK) {
        pd_release(started);
        return status;
    }
    place_run(&plan.arena, &plan, options);
    assert(!plan.arena.overflow);
    *started = plan;
    begin(started, options, pictures);
    *run = started;
    return PD_OK;
}

void pd_run_free(pd_run *run)
{
    if (!run) return;
    if (run->kept) pd_arena_destroy(&run->kept_arena);
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
    call_plan plan = {.guidance = pd_guidance_at(&run->guidance, run->step, pd_run_steps_total(run), t)};
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
    if (!run->keep || !pd_solver_completes_step(solver, run->evaluation)) return;
    const int32_t next = pd_solver_time(solver, run->evaluation + 1);
    const double abar_next = pd_schedule_alpha_cumprod(&solver->schedule, next);
    const float *known = run->image;
    if (next >= 0) {
        pd_random_normal(&picture->random, count, run->noise);
        pd_edit_diffuse(abar_next, count, run->image, run->noise, run->noise);
        known = run->noise;
    }
    pd_edit_restore(count, run->keep, known, picture->x);
    pd_edit_restore(count, run->keep, run->image, picture->x0);
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
    const pd_solver_picture state = {.x = picture->x, .x0 = picture->x0, .history = picture->history,
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
    pd_network_forward(&run->model->network, missing.images, missing.x, run->time_condition, missing.conditions, missing.predictions);
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
    return run->kept + ((size_t)kind * (size_t)run->picture_count + (size_t)picture) * run->value_count;
}

/* What the network made for one picture, before guidance changes it. */
static void keep_predictions(pd_run *run, int32_t picture, const float *conditional, const float *null)
{
    const float *const made[2] = {conditional, null};
    for (int32_t kind = 0; kind < 2; kind++) {
        run->kept_is_there[kind] = made[kind] != NULL;
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
        if (run->kept) keep_predictions(run, first + i, plan->conditional ? guided : NULL, null);
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
    run->step++;
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
    if (run->step == total) return pd_fail(error, PD_STATE, PD_NO_OFFSET, "all %d steps have been made", (int64_t)total);

    const call_plan plan = plan_call(run);
    const int32_t t = pd_solver_time(&run->solver, run->evaluation);
    const int32_t calls = (plan.conditional ? run->part_count : 0) + (plan.null ? 1 : 0);
    assert(calls > 0);
    const int32_t group = batch_size(run) / calls;
    pd_network_embed_time(&run->model->network, t, run->time_condition);
    for (int32_t first = 0; first < run->picture_count; first += group) {
        const int32_t left = run->picture_count - first, count = left < group ? left : group;
        if (!advance_group(run, &plan, first, count)) {
            run->failed = true;
            return pd_fail(error, PD_NONFINITE, PD_NO_OFFSET, "the network produced NaN or infinity at step %d, t = %d",
                           (int64_t)run->step + 1, (int64_t)t);
        }
    }
    pd_run_count_call(run);
    return PD_OK;
}

int32_t pd_run_steps_done(const pd_run *run) { return run ? run->step : 0; }
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

static size_t pixel_bytes(const pd_model_info *info)
{
    return (size_t)info->width * (size_t)info->height * (size_t)info->channels;
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
    if (run->kept) return PD_OK;
    const uint64_t values = 2 * (uint64_t)run->picture_count * run->value_count;
    pd_arena measure;
    pd_arena_measure(&measure);
    PD_TAKE(&measure, float, values);
    PD_TRY(pd_arena_create(&run->kept_arena, measure.used, error));
    run->kept = PD_TAKE(&run->kept_arena, float, values);
    assert(run->kept);
    return PD_OK;
}

bool pd_run_has_plane(const pd_run *run, int32_t plane)
{
    if (!run || run->failed || run->step == 0) return false;
    if (plane == PD_PLANE_X0) return true;
    return (plane == PD_PLANE_CONDITIONAL || plane == PD_PLANE_NULL) && run->kept_is_there[plane - PD_PLANE_CONDITIONAL];
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
    PD_TRY(pd_run_check_picture(run, picture, pixels, capacity, run ? pixel_bytes(&run->model->info) : 0, error));
    const pd_model_info *info = &run->model->info;
    const run_picture *source = &run->pictures[picture];
    pd_image_to_pixels(run->step ? source->x0 : source->x, info->width, info->height, info->channels, info->pixel_unshuffle,
                       pixels);
    return PD_OK;
}

pd_status pd_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error)
{
    PD_TRY(pd_run_check_picture(run, picture, pixels, capacity, run ? pixel_bytes(&run->model->info) : 0, error));
    if (run->step < pd_run_steps_total(run))
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "only %d of %d steps have been made", (int64_t)run->step,
                       (int64_t)pd_run_steps_total(run));
    const pd_model_info *info = &run->model->info;
    pd_image_to_pixels(run->pictures[picture].x, info->width, info->height, info->channels, info->pixel_unshuffle, pixels);
    return PD_OK;
}

pd_status pd_model_to_pixels(const pd_model *model, const float *x, uint8_t *pixels, size_t capacity, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!x || !pixels) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "x or pixels is NULL");
    const pd_model_info *info = &model->info;
    if (capacity < pixel_bytes(info))
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "the buffer holds %u, needed are %u", (uint64_t)capacity,
                       (uint64_t)pixel_bytes(info));
    pd_image_to_pixels(x, info->width, info->height, info->channels, info->pixel_unshuffle, pixels);
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
    const bool has_null = !model->info.guidance_is_input && pd_network_has_null(&model->network);
    if (label == PD_LABEL_NULL ? !has_null : label < 0 || label >= model->info.class_count)
        return label == PD_LABEL_NULL
                   ? pd_fail(error, PD_LABEL, PD_NO_OFFSET, "the network has no class that stands for none, of %d", (int64_t)model->info.class_count)
                   : pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)label, (int64_t)model->info.class_count - 1);

    const pd_network *network = &model->network;
    const float *const class_state = network->class_state;
    pd_network_embed_time(network, t, network->time_state);
    embed_class(model, label, model->info.recommended_guidance_scale, network->class_state);
    pd_network_forward(network, 1, &x, network->time_state, &class_state, &prediction);
    return PD_OK;
}
