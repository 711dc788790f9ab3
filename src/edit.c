#include "edit.h"

#include "elementary.h"
#include "solver.h"
#include "status.h"

/* ---- options ------------------------------------------------------------------ */

static pd_status refuse(pd_error *error, const char *message) { return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "%s", message); }

static pd_status check_size(pd_error *error, const char *name, const void *data, uint64_t size, uint64_t needed)
{
    if (!data && size == 0) return PD_OK;
    if (!data) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "%s is NULL, but not its size", name);
    if (size == needed) return PD_OK;
    return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "%s has %u values, not %u", name, size, needed);
}

static pd_status check_data(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    const uint64_t pixels = (uint64_t)info->width * (uint64_t)info->height;
    const uint64_t values = (uint64_t)info->network_channels * (uint64_t)info->network_width * (uint64_t)info->network_height;
    PD_TRY(check_size(error, "image", options->image, options->image_size, pixels * (uint64_t)info->channels));
    PD_TRY(check_size(error, "mask", options->mask, options->mask_size, pixels));
    PD_TRY(check_size(error, "noise", options->noise, options->noise_size, values));
    for (uint64_t i = 0; i < options->mask_size; i++)
        if (options->mask[i] != 0 && options->mask[i] != 255)
            return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "mask: value %u is %d, neither 0 nor 255", i,
                           (int64_t)options->mask[i]);
    for (uint64_t i = 0; i < options->noise_size; i++)
        if (!(options->noise[i] - options->noise[i] == 0.0f))
            return pd_fail(error, PD_NONFINITE, PD_NO_OFFSET, "noise: value %u is not finite", i);
    return PD_OK;
}

static pd_status check_inversion(const pd_options *options, pd_error *error)
{
    if (!options->inversion) return PD_OK;
    if (!options->image) return refuse(error, "inversion: needs an image");
    if (options->sampler != PD_SAMPLER_DDIM || options->eta != 0.0f)
        return refuse(error, "inversion: only with the sampler ddim and eta 0");
    if (options->mask || options->noise) return refuse(error, "inversion: neither with mask nor with noise");
    if (options->strength != 1.0f || options->variation_strength != 0.0f)
        return refuse(error, "inversion: neither with strength nor with variation_strength");
    if (options->cfg_plus_plus || options->threshold != 0.0f)
        return refuse(error, "inversion: neither with cfg_plus_plus nor with threshold");
    return PD_OK;
}

pd_status pd_edit_check(const pd_model_info *info, const pd_options *options, pd_error *error)
{
    PD_TRY(check_data(info, options, error));
    if (options->strength != 1.0f && !options->image) return refuse(error, "strength: needs an image");
    if (options->mask && !options->image) return refuse(error, "mask: needs an image");
    if (options->resample > 1 && !options->mask) return refuse(error, "resample: needs a mask");
    if (options->resample > 1 && pd_sampler_table[options->sampler].multistep)
        return pd_fail(error, PD_OPTION, PD_NO_OFFSET, "resample: not with the sampler %s, which continues from earlier steps",
                       pd_sampler_table[options->sampler].name);
    return check_inversion(options, error);
}

int32_t pd_edit_steps(const pd_options *options)
{
    /* The nearest float to 0.45 is below it; of ten steps it means 4.5 all the same. */
    return (int32_t)((double)options->strength * (1.0 + 0x1p-23) * (double)options->steps + 0.5);
}

/* ---- noise -------------------------------------------------------------------- */

/* The angle in (0, pi) whose cosine is c, |c| < 1, by Newton's method, which
 * here comes down to the angle from above, however near to 1 |c| is. */
static double angle_of(double c)
{
    const double magnitude = c < 0.0 ? -c : c;
    double angle = 1.57079632679489661923 - magnitude;
    for (int i = 0; i < 40; i++) angle += (pd_cos(angle) - magnitude) / pd_sin(angle);
    return c < 0.0 ? 3.14159265358979323846 - angle : angle;
}

void pd_edit_interpolate(size_t count, const float *a, const float *b, double share, float *out)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    for (size_t i = 0; i < count; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    const double cosine = aa > 0.0 && bb > 0.0 ? ab / (pd_sqrt(aa) * pd_sqrt(bb)) : 1.0;
    double from_a = 1.0 - share, from_b = share;
    if (cosine > -0.9999 && cosine < 0.9999) {
        const double angle = angle_of(cosine), sine = pd_sin(angle);
        from_a = pd_sin((1.0 - share) * angle) / sine;
        from_b = pd_sin(share * angle) / sine;
    }
    for (size_t i = 0; i < count; i++) {
        const float between = (float)(from_a * (double)a[i] + from_b * (double)b[i]);
        out[i] = share <= 0.0 ? a[i] : share >= 1.0 ? b[i] : between;
    }
}

void pd_edit_diffuse(double abar, size_t count, const float *x, const float *noise, float *out)
{
    const float from_x = (float)pd_sqrt(abar), from_noise = (float)pd_sqrt(1.0 - abar);
    for (size_t i = 0; i < count; i++) out[i] = from_x * x[i] + from_noise * noise[i];
}

void pd_edit_restore(size_t count, const uint8_t *keep, const float *known, float *x)
{
    for (size_t i = 0; i < count; i++)
        if (keep[i]) x[i] = known[i];
}
