/* Solvers of the reverse process. They know the schedule, never the network:
 * given x_t and the guided prediction at t they produce x at the next time. */
#ifndef PD_SAMPLER_H
#define PD_SAMPLER_H

#include "schedule.h"

typedef struct pd_solver {
    pd_sampler kind;
    pd_objective objective;
    pd_schedule schedule;
    int32_t steps;
    double eta;           /* DDIM */
    const int32_t *times; /* pd_schedule_time_grid, steps + 1 values; not owned */
} pd_solver;

/* Does step i (0 .. steps - 1) consume one draw of noise from the generator?
 * As in the reference: DDIM every step but the last, also at eta 0; DDPM every
 * step but the one at t = 0. */
bool pd_solver_step_draws_noise(const pd_solver *solver, int32_t step);

/* x_t -> x_next in place, `count` values of one picture. `prediction`: guided
 * network output at times[step]. `noise`: standard normal, or NULL where none
 * is drawn. `x0`: receives the clipped estimate of x_0.
 *
 * PD_SAMPLER_DDIM: Song et al. 2021, eq. 12 and 16; x_0 clipped to [-1, 1].
 *   Under the noise objective eps is the prediction itself, under x_0 and v it
 *   is derived from the clipped x_0 (as the reference does).
 * PD_SAMPLER_DDPM: Ho et al. 2020, eq. 6-7 on the time grid: posterior mean of
 *   q(x_next | x_t, clipped x_0) with alpha = abar_t / abar_next, posterior
 *   variance. With steps = T it is the reference's p_sample; with fewer steps
 *   it is the respaced process of Nichol and Dhariwal 2021, section 4. */
void pd_solver_step(const pd_solver *solver, int32_t step, size_t count, float *x, const float *prediction,
                    const float *noise, float *x0);

#endif
