/* Classifier-free guidance: how the conditional and the null prediction become
 * one (Ho and Salimans 2022, eq. 6). Works on raw network outputs, one picture
 * at a time; sums over the picture are made in double precision. */
#ifndef PD_GUIDANCE_H
#define PD_GUIDANCE_H

#include "pocket_diffusion.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct pd_guidance {
    float scale;         /* s >= 0 */
    float rescale;       /* phi in [0, 1], Lin et al. 2024, eq. 15-16: standard deviation pulled back to the conditional one */
    float keep_parallel; /* with projection: share of the parallel part kept */
    bool projection;     /* remove the part of the update (cond - null) parallel to cond (Sadat et al. 2024, APG) */
} pd_guidance;

/* Which predictions are needed: at scale 1 the null one is not, at scale 0
 * without projection and rescale the conditional one is not. */
bool pd_guidance_needs_conditional(const pd_guidance *guidance);
bool pd_guidance_needs_null(const pd_guidance *guidance);
/* `guided` may be `conditional` or `null`. A prediction that is not needed may
 * be NULL. Same arithmetic, in the same order, as forward_with_cond_scale of
 * the reference; at scale 1 guided = conditional exactly (whatever the
 * rescale), at scale 0 without projection and rescale guided = null exactly. */
void pd_guidance_apply(const pd_guidance *guidance, size_t count, const float *conditional, const float *null, float *guided);

/* Guidance over a whole run: what changes from one network call to the next. */
typedef struct pd_guidance_process {
    pd_guidance guidance; /* at a constant scale */
    pd_guidance_schedule schedule;
    int32_t first_time, last_time; /* guided are the calls at first_time <= t <= last_time */
    float momentum, norm_threshold;
    bool renoise_with_null; /* CFG++ */
} pd_guidance_process;

/* Whether t lies within the interval. */
bool pd_guidance_process_is_guided(const pd_guidance_process *process, int32_t t);
/* Guidance of network call `index` of `count`, at time t. Outside the interval
 * the scale is 1 (Kynkaanniemi et al. 2024). Within, with p = (index + 1/2)
 * / count, it is 1 + f(p) (s - 1): f = 1, 2 p, or 1 - cos(pi p) (Wang et al.
 * 2024, table 1), whose mean over all calls is 1 exactly. */
pd_guidance pd_guidance_at(const pd_guidance_process *process, int32_t index, int32_t count, int32_t t);
/* Which predictions this call needs. */
bool pd_guidance_process_needs_conditional(const pd_guidance_process *process, const pd_guidance *now);
bool pd_guidance_process_needs_null(const pd_guidance_process *process, const pd_guidance *now, int32_t t);
/* Momentum and norm threshold of adaptive projected guidance (Sadat et al. 2024,
 * algorithm 1): the update u = cond - null becomes u + momentum * running, which
 * is the new `running` (count floats, zero at first), and is shortened to the
 * length norm_threshold. `null` is replaced by cond - u, so that
 * pd_guidance_apply does the rest. */
void pd_guidance_shape_update(const pd_guidance_process *process, size_t count, const float *conditional, float *null,
                              float *running);

#endif
