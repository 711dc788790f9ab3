/* What a run may be asked for: defaults and limits. */
#include "options.h"

#include "edit.h"
#include "model.h"

#define ROW(field, whole, range, minimum, maximum, status, needs) \
    {#field, minimum, maximum, offsetof(pd_options, field), range, status, needs, whole}
#define WHOLE(field, minimum, maximum, needs) ROW(field, true, PD_RANGE_FIXED, minimum, maximum, PD_OPTION, PD_NEEDS_##needs)
#define CHOICE(field, count, needs) WHOLE(field, 0.0, (double)(count) - 1.0, needs)
#define REAL(field, minimum, maximum, needs) ROW(field, false, PD_RANGE_FIXED, minimum, maximum, PD_OPTION, PD_NEEDS_##needs)
#define TIMESTEP(field, needs) ROW(field, true, PD_RANGE_TIMESTEP, 0.0, 0.0, PD_OPTION, PD_NEEDS_##needs)
const pd_option pd_option_table[] = {
    ROW(sampler, true, PD_RANGE_FIXED, 0.0, (double)PD_SAMPLER_COUNT - 1.0, PD_SAMPLER, PD_NEEDS_NOTHING),
    ROW(steps, true, PD_RANGE_STEPS, 0.0, 0.0, PD_STEPS, PD_NEEDS_NOTHING),
    ROW(guidance_scale, false, PD_RANGE_FIXED, 0.0, (double)PD_MAX_GUIDANCE_SCALE, PD_SCALE, PD_NEEDS_NOTHING),
    REAL(eta, 0.0, 1.0, NOTHING),
    REAL(rescale, 0.0, 1.0, TWO_PREDICTIONS),
    REAL(keep_parallel, 0.0, 1.0, NOTHING),
    CHOICE(projection, 2, TWO_PREDICTIONS),
    CHOICE(time_grid, PD_TIME_GRID_COUNT, NOTHING),
    CHOICE(ddpm_mean, PD_DDPM_MEAN_COUNT, DDPM),
    CHOICE(ddpm_variance, PD_DDPM_VARIANCE_COUNT, DDPM),
    REAL(threshold, 0.0, 1.0, NOTHING),
    REAL(momentum, -1.0, 1.0, TWO_PREDICTIONS),
    REAL(norm_threshold, 0.0, (double)PD_MAX_NORM_THRESHOLD, TWO_PREDICTIONS),
    CHOICE(cfg_plus_plus, 2, DDIM | PD_NEEDS_TWO_PREDICTIONS),
    TIMESTEP(guidance_first, TWO_PREDICTIONS),
    TIMESTEP(guidance_last, TWO_PREDICTIONS),
    CHOICE(guidance_schedule, PD_GUIDANCE_SCHEDULE_COUNT, TWO_PREDICTIONS),
    ROW(negative_label, true, PD_RANGE_LABEL, 0.0, 0.0, PD_LABEL, PD_NEEDS_TWO_PREDICTIONS),
    CHOICE(mix_mode, PD_MIX_COUNT, NOTHING),
    REAL(strength, 0.0, 1.0, NOTHING),
    WHOLE(resample, 1.0, PD_MAX_RESAMPLE, NOTHING),
    REAL(variation_strength, 0.0, 1.0, NOTHING),
    WHOLE(inversion, 0.0, PD_MAX_INVERSION, NOTHING),
};
#undef ROW
#undef WHOLE
#undef CHOICE
#undef REAL
#undef TIMESTEP
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
    case PD_RANGE_STEPS:
        minimum = 1.0;
        maximum = (double)info->timesteps;
        break;
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

/* Whether it is where it does nothing. */
static bool is_neutral(const pd_option *option, const pd_model_info *info, const pd_options *options)
{
    const void *field = (const char *)options + option->offset;
    if (!option->whole) return *(const float *)field == 0.0f;
    const int32_t value = *(const int32_t *)field;
    if (option->range == PD_RANGE_LABEL) return value == PD_LABEL_NULL;
    return value == (option->offset == offsetof(pd_options, guidance_last) ? info->timesteps - 1 : 0);
}

/* What the table says that an option needs. Where the scale is an input of the network there is no null prediction, and
 * nothing to make of it. */
static pd_status check_needs(const pd_option *option, const pd_model_info *info, const pd_options *options, pd_error *error)
{
    if (!option->needs || is_neutral(option, info, options)) return PD_OK;
    if (option->needs & PD_NEEDS_DDPM && options->sampler != PD_SAMPLER_DDPM)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: only with the sampler ddpm", option->name);
    if (option->needs & PD_NEEDS_DDIM && options->sampler != PD_SAMPLER_DDIM)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: only with the sampler ddim", option->name);
    if (option->needs & PD_NEEDS_TWO_PREDICTIONS && info->guidance_is_input)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s: not where the guidance scale is an input of the network",
                       option->name);
    return PD_OK;
}

static pd_status check_combination(const pd_options *options, pd_error *error)
{
    if (options->guidance_first > options->guidance_last)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "guidance_first is %d, after guidance_last, which is %d",
                       (int64_t)options->guidance_first, (int64_t)options->guidance_last);
    if (options->cfg_plus_plus && (options->momentum != 0.0f || options->norm_threshold != 0.0f))
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "cfg_plus_plus: neither with momentum nor with norm_threshold");
    if (options->guidance_schedule != PD_GUIDANCE_CONSTANT && options->guidance_scale < 1.0f)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "guidance_schedule: needs a guidance scale of 1 or more, not %g",
                       (double)options->guidance_scale);
    return PD_OK;
}

static pd_status check_scale_of_input(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    if (!info->guidance_is_input) return PD_OK;
    if (!(options->guidance_scale >= info->guidance_scale_min && options->guidance_scale <= info->guidance_scale_max))
        return pd_fail(error, PD_SCALE, PD_NO_OFFSET, "guidance_scale is %g: the network knows %g to %g",
                       (double)options->guidance_scale, (double)info->guidance_scale_min, (double)info->guidance_scale_max);
    return PD_OK;
}

/* Guidance away from no class needs that there is such a class. */
static pd_status check_null_class(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    if (info->has_null_class || info->guidance_is_input || options->negative_label != PD_LABEL_NULL) return PD_OK;
    if (options->guidance_scale != 1.0f)
        return pd_fail(error, PD_SCALE, PD_NO_OFFSET,
                       "guidance_scale is %g, but this network was made without a null class: only 1 is possible",
                       (double)options->guidance_scale);
    if (options->cfg_plus_plus)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "cfg_plus_plus: this network was made without a null class");
    return PD_OK;
}

static pd_status check_mix(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    const int32_t count = options->mix_size;
    if (!options->mix && count == 0) return PD_OK;
    if (!options->mix) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "mix is NULL, but not its size");
    if (count < 2 || count > PD_MAX_MIX)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "mix has %d classes, not 2 to %d", (int64_t)count, (int64_t)PD_MAX_MIX);
    double sum = 0.0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t label = options->mix[i].label;
        const float weight = options->mix[i].weight;
        if (label < 0 || label >= info->class_count)
            return pd_fail(error, PD_LABEL, PD_NO_OFFSET, "mix: label %d is not within 0 and %d", (int64_t)label,
                           (int64_t)info->class_count - 1);
        if (!(weight >= 0.0f && weight <= PD_MAX_MIX_WEIGHT))
            return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "mix: weight %g is not within 0 and %g", (double)weight,
                           (double)PD_MAX_MIX_WEIGHT);
        sum += (double)weight;
    }
    if (sum > 0.0) return PD_OK;
    return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "mix: all weights are 0");
}

pd_status pd_options_check(const pd_model *model, const pd_options *options, pd_error *error)
{
    if (!model) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "model is NULL");
    if (!options) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "options is NULL");
    if (options->struct_size != sizeof(pd_options))
        return pd_fail(error, PD_ABI, PD_NO_OFFSET, "options take %u bytes, this library has %u", (uint64_t)options->struct_size,
                       (uint64_t)sizeof(pd_options));
    for (int32_t i = 0; i < pd_option_count; i++) PD_TRY(check_range(&pd_option_table[i], &model->info, options, error));
    PD_TRY(check_combination(options, error));
    PD_TRY(check_scale_of_input(&model->info, options, error));
    for (int32_t i = 0; i < pd_option_count; i++) PD_TRY(check_needs(&pd_option_table[i], &model->info, options, error));
    PD_TRY(check_null_class(&model->info, options, error));
    PD_TRY(check_mix(&model->info, options, error));
    return pd_edit_check(&model->info, options, error);
}
