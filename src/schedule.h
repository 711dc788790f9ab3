/* Noise schedules. The table abar_t is all that defines one; everything else
 * follows from it. Knows neither networks nor guidance. */
#ifndef PD_SCHEDULE_H
#define PD_SCHEDULE_H

#include "pocket_diffusion.h"

typedef struct pd_schedule {
    int32_t timesteps;            /* T */
    const double *alphas_cumprod; /* abar_t, T values; not owned */
} pd_schedule;

/* abar_t, and 1 for t = -1. */
double pd_schedule_alpha_cumprod(const pd_schedule *schedule, int32_t t);
/* The reference's DDIM grid: torch.linspace(-1, T - 1, steps + 1) in float32,
 * truncated to integers, from the noisy end: times[0] = T - 1, times[steps] =
 * -1; strictly decreasing. 1 <= steps <= T. With steps = T: T-1, T-2, ..., -1. */
void pd_schedule_time_grid(int32_t timesteps, int32_t steps, int32_t *times);
/* Any grid, in the same form: times[0] = T - 1, times[steps] = -1, strictly
 * decreasing. Between them, with u = i / (steps - 1) counted from the noisy end
 * and k_t = sqrt((1 - abar_t) / abar_t):
 *   linear     as above
 *   quadratic  (T - 1) (1 - u)^2 (Song et al. 2021, appendix D.3, here up to T - 1)
 *   trailing   T - i T / steps - 1 (Lin et al. 2024, table 2)
 *   karras     the t whose log k_t is nearest, by linear interpolation, to log k of
 *              (k_max^(1/7) + u (k_min^(1/7) - k_max^(1/7)))^7 (Karras et al. 2022, eq. 5)
 * rounded to whole numbers, halves to even ones; a time that another has is
 * moved to the next free one towards t = 0, or as little away from it as leaves
 * room for those that follow. */
void pd_schedule_times(const pd_schedule *schedule, pd_time_grid grid, int32_t steps, int32_t *times);

#endif
