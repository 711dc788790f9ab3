/* Pictures as the start of a run: SDEdit, inpainting, mixtures of noises. Works on
 * planes of network space, one picture at a time; knows no networks,
 * and of solvers the table of samplers. */
#ifndef PD_EDIT_H
#define PD_EDIT_H

#include "pocket_diffusion.h"

/* PD_OK, or what is wrong with image, mask, noise and the options that go with
 * them. The sampler has been checked before. */
pd_status pd_edit_check(const pd_model_info *info, const pd_options *options, pd_error *error);
/* How many of the options' steps are made: strength * steps, rounded, halves up. */
int32_t pd_edit_steps(const pd_options *options);

/* Spherical interpolation (Shoemake 1985) from a to b, whose angle is w:
 * sin((1 - share) w) / sin w a + sin(share w) / sin w b. Exactly a at share 0 and
 * b at 1; along the chord where the angle is too near 0 or pi. `out` may be a. */
void pd_edit_interpolate(size_t count, const float *a, const float *b, double share, float *out);

/* The forward process (Ho et al. 2020, eq. 4): out = sqrt(abar) x + sqrt(1 - abar)
 * noise. With abar_t / abar_s in the place of abar it leads from x_s to x_t.
 * `out` may be x or noise. */
void pd_edit_diffuse(double abar, size_t count, const float *x, const float *noise, float *out);

/* x = known where keep is not 0. */
void pd_edit_restore(size_t count, const uint8_t *keep, const float *known, float *x);

#endif
