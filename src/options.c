/* What a run may be asked for: defaults and limits. */
#include "edit.h"
#include "model.h"

pd_status pd_options_init(const pd_model *model, pd_options *options)
{
    if (!model || !options) return PD_ARG;
    *options = (pd_options){.struct_size = sizeof(pd_options),
                            .sampler = (int32_t)model->info.recommended_sampler,
                            .steps = model->info.recommended_steps,
                            .guidance_scale = model->info.recommended_guidance_scale,
                            .eta = model->info.recommended_eta,
                            .time_grid = (int32_t)model->info.recommended_time_grid,
                            .guidance_first = model->info.recommended_guidance_first,
                            .guidance_last = model->info.recommended_guidance_last,
                            .negative_label = PD_LABEL_NULL,
                            .strength = 1.0f,
                            .resample = 1};
    return PD_OK;
}

static pd_status check_choice(pd_error *error, const char *name, int32_t value, int32_t count)
{
    if (value >= 0 && value < count) return PD_OK;
    return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s is %d, not within 0 and %d", name, (int64_t)value, (int64_t)count - 1);
}

static pd_status check_range(pd_error *error, pd_status status, const char *name, float value, float maximum)
{
    if (value >= 0.0f && value <= maximum) return PD_OK;
    return pd_fail(error, status, PD_NO_OFFSET, "%s is %g, not within 0 and %g", name, (double)value, (double)maximum);
}

/* Options that only some samplers and some kinds of guidance have. */
static pd_status check_combination(const pd_options *options, pd_error *error)
{
    const bool ddpm = options->sampler == PD_SAMPLER_DDPM;
    if (!ddpm && options->ddpm_mean) return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "ddpm_mean: only with the sampler ddpm");
    if (!ddpm && options->ddpm_variance)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "ddpm_variance: only with the sampler ddpm");
    if (options->cfg_plus_plus && options->sampler != PD_SAMPLER_DDIM)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "cfg_plus_plus: only with the sampler ddim");
    if (options->cfg_plus_plus && (options->momentum != 0.0f || options->norm_threshold != 0.0f))
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "cfg_plus_plus: neither with momentum nor with norm_threshold");
    if (options->guidance_schedule != PD_GUIDANCE_CONSTANT && options->guidance_scale < 1.0f)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "guidance_schedule: needs a guidance scale of 1 or more, not %g",
                       (double)options->guidance_scale);
    return PD_OK;
}

/* Where the scale is an input of the network there is no null prediction, and nothing to make of it. */
static pd_status check_guidance_input(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    const struct { const char *name; bool given; } given[] = {
        {"rescale", options->rescale != 0.0f},
        {"projection", options->projection != 0},
        {"momentum", options->momentum != 0.0f},
        {"norm_threshold", options->norm_threshold != 0.0f},
        {"cfg_plus_plus", options->cfg_plus_plus != 0},
        {"guidance_schedule", options->guidance_schedule != PD_GUIDANCE_CONSTANT},
        {"guidance_first", options->guidance_first != 0},
        {"guidance_last", options->guidance_last != info->timesteps - 1},
        {"negative_label", options->negative_label != PD_LABEL_NULL},
    };
    if (!info->guidance_is_input) return PD_OK;
    if (!(options->guidance_scale >= info->guidance_scale_min && options->guidance_scale <= info->guidance_scale_max))
        return pd_fail(error, PD_SCALE, PD_NO_OFFSET, "guidance scale is %g: the network knows %g to %g",
                       (double)options->guidance_scale, (double)info->guidance_scale_min, (double)info->guidance_scale_max);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].given)
            return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: not where the guidance scale is an input of the network",
                           given[i].name);
    return PD_OK;
}

static pd_status check_process(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    PD_TRY(check_choice(error, "time_grid", options->time_grid, PD_TIME_GRID_COUNT));
    PD_TRY(check_choice(error, "ddpm_mean", options->ddpm_mean, PD_DDPM_MEAN_COUNT));
    PD_TRY(check_choice(error, "ddpm_variance", options->ddpm_variance, PD_DDPM_VARIANCE_COUNT));
    PD_TRY(check_choice(error, "guidance_schedule", options->guidance_schedule, PD_GUIDANCE_SCHEDULE_COUNT));
    PD_TRY(check_choice(error, "cfg_plus_plus", options->cfg_plus_plus, 2));
    PD_TRY(check_choice(error, "guidance_first", options->guidance_first, info->timesteps));
    PD_TRY(check_choice(error, "guidance_last", options->guidance_last, info->timesteps));
    if (options->guidance_first > options->guidance_last)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "guidance_first is %d, after guidance_last, which is %d",
                       (int64_t)options->guidance_first, (int64_t)options->guidance_last);
    PD_TRY(check_range(error, PD_OPTION, "threshold", options->threshold, 1.0f));
    PD_TRY(check_range(error, PD_OPTION, "norm_threshold", options->norm_threshold, PD_MAX_NORM_THRESHOLD));
    if (!(options->momentum >= -1.0f && options->momentum <= 1.0f))
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "momentum is %g, not within -1 and 1", (double)options->momentum);
    if (options->negative_label != PD_LABEL_NULL && (options->negative_label < 0 || options->negative_label >= info->class_count))
        return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "negative_label %d is not within 0 and %d",
                       (int64_t)options->negative_label, (int64_t)info->class_count - 1);
    return check_combination(options, error);
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
    PD_TRY(check_process(&model->info, options, error));
    PD_TRY(check_guidance_input(&model->info, options, error));
    return pd_edit_check(&model->info, options, error);
}
