/* The beginning of a run: what is asked for, checked, planned and placed in one block of memory. */
#include <assert.h>
#include <string.h>

#include "edit.h"
#include "hash.h"
#include "image.h"
#include "run.h"

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
                return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d: a picture of a mix has none",
                               (int64_t)pictures[i].label);
        } else if (model->info.class_count == 0) {
            if (pictures[i].label != PD_LABEL_NULL)
                return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d: the network has no classes", (int64_t)pictures[i].label);
        } else if (pictures[i].label < 0 || pictures[i].label >= model->info.class_count)
            return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "label %d is not within 0 and %d", (int64_t)pictures[i].label,
                           (int64_t)model->info.class_count - 1);
        if (pictures[i].reserved) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "picture %d: reserved is not 0", (int64_t)i);
    }
    return PD_OK;
}

/* Runs twice, to measure and to place. */
static void place_run(pd_arena *arena, pd_run *run, const pd_options *options)
{
    const uint64_t values = run->value_count, conditions = (uint64_t)run->model->network.class_count;
    const int32_t condition_sets = run->has_mix ? 1 : run->picture_count;
    run->pictures = PD_TAKE(arena, run_picture, run->picture_count);
    const uint64_t condition_values = conditions * (uint64_t)run->part_count * (uint64_t)condition_sets;
    run->class_conditions = PD_TAKE(arena, float, condition_values);
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
    run->predictions = PD_TAKE(arena, float, (uint64_t)pd_run_batch_size(run) * values);
    run->noise = PD_TAKE(arena, float, values);
    float *image = PD_TAKE(arena, float, options->image ? values : 0);
    uint8_t *is_known = PD_TAKE(arena, uint8_t, options->mask ? values : 0);
    run->image = options->image ? image : NULL;
    run->is_known = options->mask ? is_known : NULL;
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
        if (!run->has_mix) pd_model_embed_class(model, pictures[i].label, scale, run->class_conditions + (size_t)i * conditions);
    }
    if (run->has_mix && options->mix_mode == PD_MIX_EMBEDDING)
        pd_model_embed_mix(model, mix, options->mix_size, scale, condition);
    for (int32_t i = 0; run->has_mix && options->mix_mode == PD_MIX_PREDICTION && i < options->mix_size; i++) {
        if (mix[i].weight == 0.0f) continue;
        pd_model_embed_class(model, mix[i].label, scale, condition);
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
    } else if (run->image && !(run->is_known && run->solver.steps == options->steps)) {
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
    if (run->is_known)
        pd_image_mask_to_keep(options->mask, info->width, info->height, info->channels, info->pixel_unshuffle, run->is_known);
    if (!info->guidance_is_input && (options->negative_label != PD_LABEL_NULL || pd_network_has_null(network)))
        pd_network_embed_class(network, options->negative_label, run->null_condition);
    embed_classes(run, options, pictures);
    const uint64_t fingerprint = fingerprint_of(run->model, options);
    for (int32_t i = 0; i < run->picture_count; i++) {
        begin_picture(run, options, &pictures[i], &run->pictures[i]);
        run->pictures[i].fingerprint = pd_hash(fingerprint, &pictures[i], sizeof pictures[i]);
    }
}

pd_status pd_run_start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count, pd_run **run,
                       pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    *run = NULL;
    PD_TRY(pd_options_check(model, options, error));
    PD_TRY(check_can_be_sampled(model, error));
    PD_TRY(check_pictures(model, options, pictures, count, error));

    pd_run plan = {.model = model, .picture_count = count};
    plan.solver = (pd_solver){.kind = (pd_sampler)options->sampler,
                              .objective = model->info.objective,
                              .schedule = {model->info.timesteps, model->info.alphas_cumprod},
                              .steps = pd_edit_steps(options),
                              .eta = (double)options->eta,
                              .mean = (pd_ddpm_mean)options->ddpm_mean,
                              .variance = (pd_ddpm_variance)options->ddpm_variance,
                              .threshold = (double)options->threshold,
                              .inversion = options->inversion != 0};
    plan.guidance = (pd_guidance_process){.guidance = {.scale = model->info.guidance_is_input ? 1.0f : options->guidance_scale,
                                                       .rescale = options->rescale,
                                                       .keep_parallel = options->keep_parallel,
                                                       .projection = options->projection == 1},
                                          .schedule = (pd_guidance_schedule)options->guidance_schedule,
                                          .first_time = options->guidance_first,
                                          .last_time = options->guidance_last,
                                          .momentum = options->momentum,
                                          .norm_threshold = options->norm_threshold,
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
