/* Classifier-free guidance: how the conditional and the null prediction become
 * one (Ho and Salimans 2022, eq. 6). Works on raw network outputs, one picture
 * at a time; sums over the picture are made in double precision. */
#ifndef PD_GUIDANCE_H
#define PD_GUIDANCE_H

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
void pd_guidance_apply(const pd_guidance *guidance, size_t count, const float *conditional, const float *null,
                       float *guided);

#endif
