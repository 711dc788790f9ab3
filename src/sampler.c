/* Coefficients are computed from abar in double precision and rounded to float
 * once, then applied in float, one rounding for each operation: this is what
 * the reference does with its float32 buffers, so that the two stay together
 * over a whole run. DDIM computes its coefficients in float from abar in float,
 * again as the reference does. */
#include "sampler.h"

#include "elementary.h"

#include <assert.h>

/* What leads from (x_t, prediction) to x_0 and eps at one timestep. At the noisy
 * end of a cosine schedule abar is about 1e-9 and the reciprocals about 1e4:
 * float has room for that, and x_0 is clipped. */
typedef struct conversion {
    float sqrt_alpha, sqrt_one_minus_alpha; /* sqrt(abar), sqrt(1 - abar) */
    float sqrt_recip, sqrt_recip_minus_1;   /* sqrt(1 / abar), sqrt(1 / abar - 1) */
} conversion;

static conversion conversion_at(double alpha)
{
    return (conversion){
        .sqrt_alpha = (float)pd_sqrt(alpha),
        .sqrt_one_minus_alpha = (float)pd_sqrt(1.0 - alpha),
        .sqrt_recip = (float)pd_sqrt(1.0 / alpha),
        .sqrt_recip_minus_1 = (float)pd_sqrt(1.0 / alpha - 1.0),
    };
}

/* NaN stays NaN, for the caller to find. */
static float clip(float value)
{
    return value < -1.0f ? -1.0f : value > 1.0f ? 1.0f : value;
}

static float clipped_x0(const conversion *c, pd_objective objective, float x, float prediction)
{
    switch (objective) {
    case PD_OBJECTIVE_X0:
        return clip(prediction);
    case PD_OBJECTIVE_V:
        return clip(c->sqrt_alpha * x - c->sqrt_one_minus_alpha * prediction);
    default:
        return clip(c->sqrt_recip * x - c->sqrt_recip_minus_1 * prediction);
    }
}

bool pd_solver_step_draws_noise(const pd_solver *solver, int32_t step)
{
    assert(step >= 0 && step < solver->steps);
    return solver->times[step + 1] >= 0;
}

/* x_next = sqrt(abar_next) x_0 + sqrt(1 - abar_next - sigma^2) eps + sigma z */
static void ddim_step(const pd_solver *solver, double alpha_t, double alpha_next, size_t count, float *x,
                      const float *prediction, const float *noise, float *x0)
{
    const conversion c = conversion_at(alpha_t);
    const float alpha = (float)alpha_t, next = (float)alpha_next;
    const float sigma = (float)solver->eta * pd_sqrtf((1.0f - alpha / next) * (1.0f - next) / (1.0f - alpha));
    /* When abar_t vanishes beside abar_next and eta is 1 the difference is 0,
     * and may come out just below it. */
    const float square = 1.0f - next - sigma * sigma;
    const float towards_noise = square > 0.0f ? pd_sqrtf(square) : 0.0f;
    const float towards_x0 = pd_sqrtf(next);
    for (size_t i = 0; i < count; i++) {
        x0[i] = clipped_x0(&c, solver->objective, x[i], prediction[i]);
        const float eps = solver->objective == PD_OBJECTIVE_NOISE
                              ? prediction[i]
                              : (c.sqrt_recip * x[i] - x0[i]) / c.sqrt_recip_minus_1;
        x[i] = x0[i] * towards_x0 + towards_noise * eps + sigma * noise[i];
    }
}

/* x_next = mean of q(x_next | x_t, x_0) + sqrt(its variance) z */
static void ddpm_step(const pd_solver *solver, double alpha_t, double alpha_next, size_t count, float *x,
                      const float *prediction, const float *noise, float *x0)
{
    const conversion c = conversion_at(alpha_t);
    const double alpha = alpha_t / alpha_next, beta = 1.0 - alpha;
    const float from_x0 = (float)(beta * pd_sqrt(alpha_next) / (1.0 - alpha_t));
    const float from_x = (float)((1.0 - alpha_next) * pd_sqrt(alpha) / (1.0 - alpha_t));
    double variance = beta * (1.0 - alpha_next) / (1.0 - alpha_t);
    if (variance < 1e-20)
        variance = 1e-20;
    /* By way of the logarithm, as the reference stores it. */
    const float deviation = (float)pd_exp((double)(0.5f * (float)pd_log(variance)));
    for (size_t i = 0; i < count; i++) {
        x0[i] = clipped_x0(&c, solver->objective, x[i], prediction[i]);
        const float mean = from_x0 * x0[i] + from_x * x[i];
        x[i] = noise ? mean + deviation * noise[i] : mean;
    }
}

void pd_solver_step(const pd_solver *solver, int32_t step, size_t count, float *x, const float *prediction,
                    const float *noise, float *x0)
{
    assert(pd_solver_step_draws_noise(solver, step) == (noise != NULL));
    const double alpha_t = pd_schedule_alpha_cumprod(&solver->schedule, solver->times[step]);
    const double alpha_next = pd_schedule_alpha_cumprod(&solver->schedule, solver->times[step + 1]);
    if (solver->kind == PD_SAMPLER_DDPM) {
        ddpm_step(solver, alpha_t, alpha_next, count, x, prediction, noise, x0);
    } else if (noise) {
        ddim_step(solver, alpha_t, alpha_next, count, x, prediction, noise, x0);
    } else { /* the last step of DDIM is its estimate of x_0 */
        const conversion c = conversion_at(alpha_t);
        for (size_t i = 0; i < count; i++)
            x[i] = x0[i] = clipped_x0(&c, solver->objective, x[i], prediction[i]);
    }
}
