/* Solvers of the reverse process, one for each sampler, and the table of
 * samplers: name, function and traits in a row each. They know the schedule, never the network:
 * given x_t and the guided prediction at t they produce the x at which the
 * network is to be evaluated next.
 *
 * A run is a sequence of network evaluations 0 .. pd_solver_evaluations - 1.
 * Most solvers make one of them a step; Heun's method makes two, the second at
 * a provisional x, and one in the last step. */
#ifndef PD_SOLVER_H
#define PD_SOLVER_H

#include "schedule.h"

struct pd_solver_evaluation;

typedef struct pd_solver {
    pd_sampler kind;
    pd_objective objective;
    pd_schedule schedule;
    int32_t steps;
    double eta;           /* DDIM */
    const int32_t *times; /* pd_schedule_times, steps + 1 values; not owned */
    pd_ddpm_mean mean;         /* DDPM */
    pd_ddpm_variance variance; /* DDPM */
    double threshold; /* percentile of dynamic thresholding in (0, 1], or 0: clip */
    bool inversion;   /* DDIM from x_0 to x_T, over the same times */
} pd_solver;

/* One sampler. Whatever lists samplers reads the table. */
typedef struct pd_sampler_traits {
    const char *name; /* in files and in every interface */
    void (*step)(const struct pd_solver_evaluation *evaluation);
    int32_t evaluations;       /* of the network in a step; the last step has one */
    int32_t history;           /* arrays kept from earlier evaluations */
    bool draws_noise;          /* in every step but the last */
    bool multistep;            /* continues from earlier steps: no step can be made again (RePaint) */
    bool last_step_of_its_own; /* otherwise that is x = x_0 */
} pd_sampler_traits;

extern const pd_sampler_traits pd_sampler_table[PD_SAMPLER_COUNT]; /* by pd_sampler */

/* What a solver works on, of one picture: arrays of `count` floats, not owned. */
typedef struct pd_solver_picture {
    float *x;       /* x_t, replaced by the next one */
    float *x0;      /* receives the estimate of x_0, clipped or thresholded */
    float *history; /* [pd_solver_history][count], kept from one evaluation to the next; for inversion the
                     * caller puts x there before the first evaluation of a step */
    const float *null_prediction; /* DDIM with CFG++: what eps is derived from instead; otherwise NULL */
} pd_solver_picture;

int32_t pd_solver_evaluations(const pd_solver *solver);
/* t of an evaluation; -1 for the one after the last. */
int32_t pd_solver_time(const pd_solver *solver, int32_t evaluation);
/* Evaluations of the step that this one belongs to, 1 or 2, and whether it is the last of them. */
int32_t pd_solver_evaluations_in_step(const pd_solver *solver, int32_t evaluation);
bool pd_solver_completes_step(const pd_solver *solver, int32_t evaluation);
/* Number of arrays that the solver keeps of earlier evaluations, 0 to 3. */
int32_t pd_solver_history(const pd_solver *solver);
/* Does this evaluation consume one draw of noise from the generator? As in the
 * reference: DDIM every step but the last, also at eta 0; DDPM every step but
 * the one at t = 0. The other stochastic solvers: every step but the last. */
bool pd_solver_step_draws_noise(const pd_solver *solver, int32_t evaluation);

/* Consumes the guided prediction of one evaluation. `noise`: standard normal,
 * or NULL where none is drawn.
 *
 * x_0 is derived from x_t and the prediction, then clipped to [-1, 1], or with
 * dynamic thresholding clipped to [-s, s] and divided by s, s the percentile of
 * |x_0| in this picture, at least 1 (Saharia et al. 2022, section 2.3).
 *
 * Below: alpha = sqrt(abar), sigma = sqrt(1 - abar), k = sigma / alpha, lambda =
 * -log k, h = lambda_next - lambda; all solvers but DDIM and DDPM take the
 * prediction in the form of x_0, and their last step, to t = -1, is x = x_0.
 *
 * DDIM: Song et al. 2021, eq. 12 and 16. Under the noise objective eps is the
 *   prediction itself, under x_0 and v it is derived from the clipped x_0 (as
 *   the reference does). With CFG++ (Chung et al. 2024, algorithm 2) eps comes
 *   from the null prediction.
 * DDIM inversion: the step of DDIM from t to t_next solved for x_t = alpha /
 *   alpha_next (x_next - sigma_next eps) + sigma eps, where eps, derived as in
 *   DDIM, is that of x_next and t instead of x_t and t (Song et al. 2021, section
 *   4.3; Dhariwal and Nichol 2021, appendix F). Made again from its own result,
 *   this is a fixed-point iteration (Pan et al. 2023). The network is never
 *   evaluated at t = -1.
 * DDPM: Ho et al. 2020, on the time grid (respaced as in Nichol and Dhariwal
 *   2021, section 4), with alpha_t = abar / abar_next and beta_t = 1 - alpha_t.
 *   Mean from the clipped x_0 (eq. 7) or from eps, where nothing is clipped
 *   (eq. 11); variance of the posterior or beta_t (section 3.2).
 * Euler: x / alpha on the ODE of Karras et al. 2022, eq. 4 with sigma = k.
 *   This is DDIM with eta 0, eps being derived from the clipped x_0 always.
 * Euler ancestral: k_down = k_next^2 / k, k_up = sqrt(k_next^2 - k_down^2). The
 *   same distribution as DDPM with the posterior's variance.
 * Heun: Karras et al. 2022, algorithm 1.
 * DPM-Solver++(2M): Lu et al. 2022b, algorithm 2; first step of first order.
 * SDE-DPM-Solver++(2M): Lu et al. 2022b.
 * LCM: x_next = alpha_next x_0 + sigma_next z (Song et al. 2023, Consistency
 *   models, algorithm 1; Luo et al. 2023, algorithm 3). Right for networks whose
 *   x_0 is a whole picture already; DDPM's mean of pictures is not one.
 * UniPC: Zhao et al. 2023, order 2, B(h) = e^h - 1, data
 *   prediction; first and last step of first order. */
void pd_solver_step(const pd_solver *solver, int32_t evaluation, size_t count, const pd_solver_picture *picture,
                    const float *prediction, const float *noise);

#endif
