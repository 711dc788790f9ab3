/* What a run may be asked for: defaults and limits. */
#include "options.h"

#include "edit.h"
#include "model.h"

#define ROW(field, whole, range, minimum, maximum, status) \
    {#field, minimum, maximum, offsetof(pd_options, field), range, status, whole}
#define WHOLE(field, minimum, maximum) ROW(field, true, PD_RANGE_FIXED, minimum, maximum, PD_OPTION)
#define CHOICE(field, count) WHOLE(field, 0.0, (double)(count) - 1.0)
#define REAL(field, minimum, maximum) ROW(field, false, PD_RANGE_FIXED, minimum, maximum, PD_OPTION)
const pd_option pd_option_table[] = {
    ROW(sampler, true, PD_RANGE_FIXED, 0.0, (double)PD_SAMPLER_COUNT - 1.0, PD_SAMPLER),
    ROW(steps, true, PD_RANGE_STEPS, 0.0, 0.0, PD_STEPS),
    ROW(guidance_scale, false, PD_RANGE_FIXED, 0.0, (double)PD_MAX_GUIDANCE_SCALE, PD_SCALE),
    REAL(eta, 0.0, 1.0),
    REAL(rescale, 0.0, 1.0),
    REAL(keep_parallel, 0.0, 1.0),
    CHOICE(projection, 2),
    CHOICE(time_grid, PD_TIME_GRID_COUNT),
    CHOICE(ddpm_mean, PD_DDPM_MEAN_COUNT),
    CHOICE(ddpm_variance, PD_DDPM_VARIANCE_COUNT),
    REAL(threshold, 0.0, 1.0),
    REAL(momentum, -1.0, 1.0),
    REAL(norm_threshold, 0.0, (double)PD_MAX_NORM_THRESHOLD),
    CHOICE(cfg_plus_plus, 2),
    ROW(guidance_first, true, PD_RANGE_TIMESTEP, 0.0, 0.0, PD_OPTION),
    ROW(guidance_last, true, PD_RANGE_TIMESTEP, 0.0, 0.0, PD_OPTION),
    CHOICE(guidance_schedule, PD_GUIDANCE_SCHEDULE_COUNT),
    ROW(negative_label, true, PD_RANGE_LABEL, 0.0, 0.0, PD_LABEL),
    CHOICE(mix_mode, PD_MIX_COUNT),
    REAL(strength, 0.0, 1.0),
    WHOLE(resample, 1.0, PD_MAX_RESAMPLE),
    REAL(variation_strength, 0.0, 1.0),
    WHOLE(inversion, 0.0, PD_MAX_INVERSION),
};
#undef ROW
#undef WHOLE
#undef CHOICE
#undef REAL
const int32_t pd_option_count = (int32_t)(sizeof pd_option_table / sizeof *pd_option_table);

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
                            .rescale = model->info.recommended_rescale,
                            .projection = model->info.recommended_projection,
                            .negative_label = PD_LABEL_NULL,
                            .strength = 1.0f,
                            .resample = 1};
    return PD_OK;
}

pd_status pd_option_set(const pd_option *option, pd_options *options, double value, pd_error *error)
{
    void *field = (char *)options + option->offset;
    if (!option->whole) {
        *(float *)field = (float)value;
        return PD_OK;
    }
    if (!(value >= (double)INT32_MIN && value <= (double)INT32_MAX && value == (double)(int32_t)value))
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: %g is not a whole number", option->name, value);
    *(int32_t *)field = (int32_t)value;
    return PD_OK;
}

static pd_status check_range(const pd_option *option, const pd_model_info *info, const pd_options *options, pd_error *error)
{
    double minimum = option->minimum, maximum = option->maximum;
    const void *field = (const char *)options + option->offset;
    switch (option->range) {
    case PD_RANGE_FIXED: break;
    case PD_RANGE_STEPS: minimum = 1.0; maximum = (double)info->timesteps; break;
    case PD_RANGE_TIMESTEP: maximum = (double)info->timesteps - 1.0; break;
    case PD_RANGE_LABEL:
        if (*(const int32_t *)field == PD_LABEL_NULL) return PD_OK;
        maximum = (double)info->class_count - 1.0;
        break;
    }
    if (option->whole) {
        const int32_t value = *(const int32_t *)field;
        if ((double)value >= minimum && (double)value <= maximum) return PD_OK;
        return pd_fail(error, option->status, PD_NO_OFFSET, "%s is %d, not within %d and %d", option->name, (int64_t)value,
                       (int64_t)minimum, (int64_t)maximum);
    }
    const double value = (double)*(const float *)field;
    if (value >= minimum && value <= maximum) return PD_OK;
    return pd_fail(error, option->status, PD_NO_OFFSET, "%s is %g, not within %g and %g", option->name, value, minimum, maximum);
}

/* Options that only some samplers and some kinds of guidance have. */
static pd_status check_combination(const pd_options *options, pd_error *error)
{
    const bool ddpm = options->sampler == PD_SAMPLER_DDPM;
    if (options->guidance_first > options->guidance_last)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "guidance_first is %d, after guidance_last, which is %d",
                       (int64_t)options->guidance_first, (int64_t)options->guidance_last);
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
        return pd_fail(error, PD_SCALE, PD_NO_OFFSET, "guidance_scale is %g: the network knows %g to %g",
                       (double)options->guidance_scale, (double)info->guidance_scale_min, (double)info->guidance_scale_max);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i].given)
            return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: not where the guidance scale is an input of the network",
                           given[i].name);
    return PD_OK;
}

/* Guidance away from no class needs that there is such a class. */
static pd_status check_null_class(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    if (info->has_null_class || info->guidance_is_input || options->negative_label != PD_LABEL_NULL) return PD_OK;
    if (options->guidance_scale != 1.0f)
        return pd_fail(error, PD_SCALE, PD_NO_OFFSET, "guidance_scale is %g, but this network was made without a null class: only 1 is possible",
                       (double)options->guidance_scale);
    if (options->cfg_plus_plus)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "cfg_plus_plus: this network was made without a null class");
    return PD_OK;
}

pd_status pd_options_check(const pd_model *model, const pd_options *options, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!options) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "options is NULL");
    if (options->struct_size != sizeof(pd_options))
        return pd_fail(error, PD_ABI, PD_NO_OFFSET, "options take %u bytes, this library has %u",
                       (uint64_t)options->struct_size, (uint64_t)sizeof(pd_options));
    for (int32_t i = 0; i < pd_option_count; i++) PD_TRY(check_range(&pd_option_table[i], &model->info, options, error));
    PD_TRY(check_combination(options, error));
    PD_TRY(check_guidance_input(&model->info, options, error));
    PD_TRY(check_null_class(&model->info, options, error));
    return pd_edit_check(&model->info, options, error);
}
