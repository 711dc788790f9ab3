/* Coefficients are computed from abar in double precision and rounded to float
 * once, then applied in float, one rounding for each operation: this is what
 * the reference does with its float32 buffers, so that the two stay together
 * over a whole run. DDIM computes its coefficients in float from abar in float,
 * again as the reference does. */
#include "solver.h"

#include "elementary.h"

#include <assert.h>
#include <string.h>

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
static float clip(float value) { return value < -1.0f ? -1.0f : value > 1.0f ? 1.0f : value; }

static float raw_x0(const conversion *c, pd_objective objective, float x, float prediction)
{
    switch (objective) {
    case PD_OBJECTIVE_X0: return prediction;
    case PD_OBJECTIVE_V: return c->sqrt_alpha * x - c->sqrt_one_minus_alpha * prediction;
    default: return c->sqrt_recip * x - c->sqrt_recip_minus_1 * prediction;
    }
}

static float clipped_x0(const conversion *c, pd_objective objective, float x, float prediction)
{
    return clip(raw_x0(c, objective, x, prediction));
}

/* ---- dynamic thresholding ------------------------------------------------------ */

/* The bits of |value|, which as integers have the order of the values; NaN is
 * above all. */
static uint32_t magnitude_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x7fffffffu;
}

/* The magnitude of rank 0 .. count - 1, found byte by byte from the highest. */
static double magnitude_of_rank(size_t count, const float *values, size_t rank)
{
    uint32_t found = 0, mask = 0;
    for (uint32_t shift = 24;; shift -= 8) {
        size_t tally[256] = {0};
        for (size_t i = 0; i < count; i++) {
            const uint32_t bits = magnitude_bits(values[i]);
            if ((bits & mask) == found) tally[bits >> shift & 255u]++;
        }
        uint32_t byte = 0;
        while (rank >= tally[byte]) rank -= tally[byte++];
        found |= byte << shift;
        mask |= 255u << shift;
        if (shift == 0) break;
    }
    float magnitude;
    memcpy(&magnitude, &found, sizeof magnitude);
    return (double)magnitude;
}

/* With linear interpolation between ranks, as torch.quantile. */
static double magnitude_percentile(size_t count, const float *values, double percentile)
{
    const double place = percentile * (double)(count - 1);
    const size_t rank = (size_t)place;
    const double low = magnitude_of_rank(count, values, rank), share = place - (double)rank;
    return share > 0.0 ? low + share * (magnitude_of_rank(count, values, rank + 1) - low) : low;
}

static void estimate_x0(const pd_solver *solver, const conversion *c, size_t count, const float *x, const float *prediction,
                        float *x0)
{
    if (solver->threshold == 0.0) {
        for (size_t i = 0; i < count; i++) x0[i] = clipped_x0(c, solver->objective, x[i], prediction[i]);
        return;
    }
    for (size_t i = 0; i < count; i++) x0[i] = raw_x0(c, solver->objective, x[i], prediction[i]);
    const double percentile = magnitude_percentile(count, x0, solver->threshold);
    const float limit = percentile > 1.0 ? (float)percentile : 1.0f;
    for (size_t i = 0; i < count; i++) x0[i] = x0[i] < -limit ? -1.0f : x0[i] > limit ? 1.0f : x0[i] / limit;
}

/* ---- evaluations ----------------------------------------------------------------- */

static const pd_sampler_traits *traits_of(const pd_solver *solver) { return &pd_sampler_table[solver->kind]; }

int32_t pd_solver_evaluations(const pd_solver *solver)
{
    const int32_t in_step = traits_of(solver)->evaluations;
    return solver->steps > 0 ? in_step * (solver->steps - 1) + 1 : 0;
}

int32_t pd_solver_time(const pd_solver *solver, int32_t evaluation)
{
    assert(evaluation >= 0 && evaluation <= pd_solver_evaluations(solver));
    if (solver->inversion) return evaluation < solver->steps ? solver->times[solver->steps - 1 - evaluation] : -1;
    /* A second evaluation of a step is at the time the next step begins at. */
    const int32_t in_step = traits_of(solver)->evaluations;
    return solver->times[(evaluation + in_step - 1) / in_step];
}

int32_t pd_solver_evaluations_in_step(const pd_solver *solver, int32_t evaluation)
{
    return evaluation + 1 < pd_solver_evaluations(solver) ? traits_of(solver)->evaluations : 1;
}

bool pd_solver_completes_step(const pd_solver *solver, int32_t evaluation)
{
    return evaluation % pd_solver_evaluations_in_step(solver, evaluation) ==
           pd_solver_evaluations_in_step(solver, evaluation) - 1;
}

int32_t pd_solver_history(const pd_solver *solver) { return solver->inversion ? 1 : traits_of(solver)->history; }

bool pd_solver_step_draws_noise(const pd_solver *solver, int32_t evaluation)
{
    assert(evaluation >= 0 && evaluation < pd_solver_evaluations(solver));
    return !solver->inversion && traits_of(solver)->draws_noise && solver->times[evaluation + 1] >= 0;
}

/* What the function of a sampler is given: from x_t, the prediction at t and the estimate of x_0, which is made, to the next x. */
struct pd_solver_evaluation {
    const pd_solver *solver;
    int32_t step, evaluation;
    double alpha_t, alpha_next; /* abar at t, and at the time of the next evaluation */
    conversion conversion; /* at t */
    size_t count;
    const pd_solver_picture *picture;
    const float *prediction, *noise;
};
typedef struct pd_solver_evaluation evaluation;

/* ---- DDIM and DDPM, in the reference's order of operations ------------------------- */

/* x_next = sqrt(abar_next) x_0 + sqrt(1 - abar_next - sigma^2) eps + sigma z */
static void ddim_step(const evaluation *at)
{
    const conversion c = at->conversion;
    float *x = at->picture->x, *x0 = at->picture->x0;
    const float *null = at->picture->null_prediction;
    const float *from = null ? null : at->prediction; /* of eps */
    const float alpha = (float)at->alpha_t, next = (float)at->alpha_next;
    const float sigma = (float)at->solver->eta * pd_sqrtf((1.0f - alpha / next) * (1.0f - next) / (1.0f - alpha));
    /* When abar_t vanishes beside abar_next and eta is 1 the difference is 0,
     * and may come out just below it. */
    const float square = 1.0f - next - sigma * sigma;
    const float towards_noise = square > 0.0f ? pd_sqrtf(square) : 0.0f;
    const float towards_x0 = pd_sqrtf(next);
    for (size_t i = 0; i < at->count; i++) {
        const float eps_x0 = null ? clipped_x0(&c, at->solver->objective, x[i], null[i]) : x0[i];
        const float eps = at->solver->objective == PD_OBJECTIVE_NOISE ? from[i]
                                                                      : (c.sqrt_recip * x[i] - eps_x0) / c.sqrt_recip_minus_1;
        x[i] = x0[i] * towards_x0 + towards_noise * eps + sigma * at->noise[i];
    }
}

/* eps as the prediction says it, clipped nowhere. */
static float raw_eps(const conversion *c, pd_objective objective, float x, float prediction)
{
    switch (objective) {
    case PD_OBJECTIVE_X0: return (c->sqrt_recip * x - prediction) / c->sqrt_recip_minus_1;
    case PD_OBJECTIVE_V: return c->sqrt_alpha * prediction + c->sqrt_one_minus_alpha * x;
    default: return prediction;
    }
}

/* From the noise level alpha_from, whose x is `history`, up to that of alpha_to, of
 * whose x there is an estimate in x: `history` itself at first. */
static void ddim_inversion_step(const pd_solver *solver, double alpha_from, double alpha_to, size_t count,
                                const pd_solver_picture *picture, const float *prediction)
{
    const conversion c = conversion_at(alpha_to);
    const double ratio = pd_sqrt(alpha_to / alpha_from);
    const float from_x = (float)ratio;
    const float from_eps = (float)(pd_sqrt(1.0 - alpha_to) - ratio * pd_sqrt(1.0 - alpha_from));
    const float *start = picture->history;
    float *x = picture->x, *x0 = picture->x0;
    estimate_x0(solver, &c, count, x, prediction, x0);
    for (size_t i = 0; i < count; i++) {
        const float eps = solver->objective == PD_OBJECTIVE_NOISE ? prediction[i]
                                                                  : (c.sqrt_recip * x[i] - x0[i]) / c.sqrt_recip_minus_1;
        x[i] = from_x * start[i] + from_eps * eps;
    }
}

/* x_next = mean + deviation z */
static void ddpm_step(const evaluation *at)
{
    const pd_solver *solver = at->solver;
    const double alpha_t = at->alpha_t, alpha_next = at->alpha_next;
    float *x = at->picture->x;
    const float *x0 = at->picture->x0;
    const double alpha = alpha_t / alpha_next, beta = 1.0 - alpha;
    const float from_x0 = (float)(beta * pd_sqrt(alpha_next) / (1.0 - alpha_t));
    const float from_x = (float)((1.0 - alpha_next) * pd_sqrt(alpha) / (1.0 - alpha_t));
    const float from_eps = (float)(beta / pd_sqrt(1.0 - alpha_t)), scale = (float)(1.0 / pd_sqrt(alpha));
    double variance = solver->variance == PD_DDPM_VARIANCE_BETA ? beta : beta * (1.0 - alpha_next) / (1.0 - alpha_t);
    if (variance < 1e-20) variance = 1e-20;
    /* By way of the logarithm, as the reference stores it. */
    const float deviation = (float)pd_exp((double)(0.5f * (float)pd_log(variance)));
    for (size_t i = 0; i < at->count; i++) {
        const float mean = solver->mean == PD_DDPM_MEAN_NOISE
                               ? (x[i] - from_eps * raw_eps(&at->conversion, solver->objective, x[i], at->prediction[i])) * scale
                               : from_x0 * x0[i] + from_x * x[i];
        x[i] = at->noise ? mean + deviation * at->noise[i] : mean;
    }
}

/* ---- solvers in the half logarithm of the signal-to-noise ratio -------------------- */

typedef struct level {
    double alpha, sigma, lambda; /* sqrt(abar), sqrt(1 - abar), log(alpha / sigma) */
} level;

static level level_at(const pd_solver *solver, int32_t step)
{
    const double alpha = pd_schedule_alpha_cumprod(&solver->schedule, solver->times[step]);
    assert(alpha < 1.0);
    return (level){pd_sqrt(alpha), pd_sqrt(1.0 - alpha), 0.5 * pd_log(alpha / (1.0 - alpha))};
}

/* phi_k(h) = sum over j of h^j / (j + k)!: (e^h - 1) / h for k = 1, and
 * (phi_k-1(h) - 1 / (k - 1)!) / h, which cancels near 0. */
static double phi(int k, double h)
{
    double factorial = 1.0;
    if (h > -1.0 && h < 1.0) {
        for (int j = 2; j <= k; j++) factorial *= j;
        double term = 1.0 / factorial, sum = term;
        for (int j = 1; j <= 20; j++) {
            term *= h / (j + k);
            sum += term;
        }
        return sum;
    }
    double value = (pd_exp(h) - 1.0) / h;
    for (int j = 2; j <= k; j++) {
        factorial *= j - 1;
        value = (value - 1.0 / factorial) / h;
    }
    return value;
}

/* e^h - 1 */
static double expm1_of(double h) { return h * phi(1, h); }

static void copy(size_t count, const float *from, float *to) { memcpy(to, from, count * sizeof *to); }

static void euler_step(const evaluation *at)
{
    const level here = level_at(at->solver, at->step), next = level_at(at->solver, at->step + 1);
    const double ratio = next.sigma / here.sigma;
    const float from_x = (float)ratio, from_x0 = (float)(next.alpha - here.alpha * ratio);
    float *x = at->picture->x;
    const float *x0 = at->picture->x0;
    for (size_t i = 0; i < at->count; i++) x[i] = from_x * x[i] + from_x0 * x0[i];
}

static void euler_ancestral_step(const evaluation *at)
{
    const level here = level_at(at->solver, at->step), next = level_at(at->solver, at->step + 1);
    const double k = here.sigma / here.alpha, k_next = next.sigma / next.alpha;
    const double ratio = k_next * k_next / (k * k); /* k_down / k */
    const float from_x = (float)(next.alpha / here.alpha * ratio), from_x0 = (float)(next.alpha * (1.0 - ratio));
    const float deviation = (float)(next.sigma * pd_sqrt(1.0 - ratio));
    float *x = at->picture->x;
    const float *x0 = at->picture->x0, *noise = at->noise;
    for (size_t i = 0; i < at->count; i++) x[i] = from_x * x[i] + from_x0 * x0[i] + deviation * noise[i];
}

/* The slope is the mean of those at the two ends of the step. history: x and x_0
 * at its beginning. */
static void heun_correction(const evaluation *at)
{
    const level here = level_at(at->solver, at->step), next = level_at(at->solver, at->step + 1);
    const pd_solver_picture *picture = at->picture;
    const float *start = picture->history, *start_x0 = picture->history + at->count;
    const double k = here.sigma / here.alpha, k_next = next.sigma / next.alpha, half = 0.5 * (k_next - k);
    for (size_t i = 0; i < at->count; i++) {
        const double from = (double)start[i] / here.alpha, to = (double)picture->x[i] / next.alpha;
        const double slope = (from - (double)start_x0[i]) / k, slope_next = (to - (double)picture->x0[i]) / k_next;
        picture->x[i] = (float)(next.alpha * (from + half * (slope + slope_next)));
    }
}

static void heun_step(const evaluation *at)
{
    if (at->evaluation % 2) {
        heun_correction(at);
        return;
    }
    copy(at->count, at->picture->x, at->picture->history);
    copy(at->count, at->picture->x0, at->picture->history + at->count);
    euler_step(at);
}

/* history: x_0 of the step before. */
static void dpmpp_2m_step(const evaluation *at)
{
    const int32_t step = at->step;
    const level here = level_at(at->solver, step), next = level_at(at->solver, step + 1);
    const double h = next.lambda - here.lambda;
    const float *noise = at->noise;
    float *previous = at->picture->history, *x = at->picture->x;
    float half_slope = 0.0f; /* 1 / (2 r) */
    if (step > 0) half_slope = (float)(0.5 * h / (here.lambda - level_at(at->solver, step - 1).lambda));
    double from_x = next.sigma / here.sigma, from_x0 = -next.alpha * expm1_of(-h), deviation = 0.0;
    if (noise) {
        const double share = -expm1_of(-2.0 * h);
        from_x *= pd_exp(-h);
        from_x0 = next.alpha * share;
        deviation = next.sigma * pd_sqrt(share);
    }
    for (size_t i = 0; i < at->count; i++) {
        const float x0 = at->picture->x0[i];
        const float estimate = step > 0 ? x0 + half_slope * (x0 - previous[i]) : x0;
        x[i] = (float)from_x * x[i] + (float)from_x0 * estimate;
        if (noise) x[i] += (float)deviation * noise[i];
    }
    copy(at->count, at->picture->x0, previous);
}

/* As in the consistency models' algorithm 1 x_0 is not mixed with x_t: what the step has got wrong is forgotten. */
static void lcm_step(const evaluation *at)
{
    const float from_x0 = (float)pd_sqrt(at->alpha_next), from_noise = (float)pd_sqrt(1.0 - at->alpha_next);
    for (size_t i = 0; i < at->count; i++) at->picture->x[i] = from_x0 * at->picture->x0[i] + from_noise * at->noise[i];
}

/* Order of the predictor of a step, and of the corrector after it. */
static int32_t unipc_order(const pd_solver *solver, int32_t step) { return step == 0 || step == solver->steps - 1 ? 1 : 2; }

/* Replaces x, the prediction of the step before, by what follows from x_0 there
 * as well. history: the x_0 one and two steps before, and x one step before. */
static void unipc_correct(const pd_solver *solver, int32_t step, size_t count, const pd_solver_picture *picture)
{
    const float *m0 = picture->history, *m1 = m0 + count, *from = m1 + count;
    const level here = level_at(solver, step), before = level_at(solver, step - 1);
    const double h = here.lambda - before.lambda, growth = expm1_of(-h);
    double rho = 0.5, rho_1 = 0.0, r = 1.0;
    if (unipc_order(solver, step - 1) == 2) {
        const double b1 = phi(2, -h) / phi(1, -h), b2 = 2.0 * phi(3, -h) / phi(1, -h);
        r = (level_at(solver, step - 2).lambda - before.lambda) / h;
        rho_1 = (b1 - b2) / (1.0 - r);
        rho = b1 - rho_1;
    }
    const double from_x = here.sigma / before.sigma, scale = -here.alpha * growth;
    for (size_t i = 0; i < count; i++) {
        const double base = (double)m0[i];
        double estimate = base + rho * ((double)picture->x0[i] - base);
        if (rho_1 != 0.0) estimate += rho_1 * ((double)m1[i] - base) / r;
        picture->x[i] = (float)(from_x * (double)from[i] + scale * estimate);
    }
}

static void unipc_step(const evaluation *at)
{
    const pd_solver *solver = at->solver;
    const pd_solver_picture *picture = at->picture;
    const size_t count = at->count;
    const int32_t step = at->step;
    float *m0 = picture->history, *m1 = m0 + count, *from = m1 + count;
    if (step > 0) unipc_correct(solver, step, count, picture);
    copy(count, m0, m1);
    copy(count, picture->x0, m0);
    copy(count, picture->x, from);
    const level here = level_at(solver, step), next = level_at(solver, step + 1);
    const double h = next.lambda - here.lambda;
    const bool second = unipc_order(solver, step) == 2;
    const double r = second ? (level_at(solver, step - 1).lambda - here.lambda) / h : 1.0;
    const double from_x = next.sigma / here.sigma, scale = -next.alpha * expm1_of(-h);
    for (size_t i = 0; i < count; i++) {
        double estimate = (double)m0[i];
        if (second) estimate += 0.5 * ((double)m1[i] - estimate) / r;
        picture->x[i] = (float)(from_x * (double)from[i] + scale * estimate);
    }
}

/* ---- the table ------------------------------------------------------------------- */

const pd_sampler_traits pd_sampler_table[PD_SAMPLER_COUNT] = {
    [PD_SAMPLER_DDIM] = {"ddim", ddim_step, .evaluations = 1, .draws_noise = true},
    [PD_SAMPLER_DDPM] = {"ddpm", ddpm_step, .evaluations = 1, .draws_noise = true, .last_step_of_its_own = true},
    [PD_SAMPLER_DPMPP_2M] = {"dpmpp-2m", dpmpp_2m_step, .evaluations = 1, .history = 1, .multistep = true},
    [PD_SAMPLER_DPMPP_2M_SDE] = {"dpmpp-2m-sde", dpmpp_2m_step, .evaluations = 1, .history = 1, .draws_noise = true,
                                 .multistep = true},
    [PD_SAMPLER_EULER] = {"euler", euler_step, .evaluations = 1},
    [PD_SAMPLER_EULER_ANCESTRAL] = {"euler-ancestral", euler_ancestral_step, .evaluations = 1, .draws_noise = true},
    [PD_SAMPLER_HEUN] = {"heun", heun_step, .evaluations = 2, .history = 2},
    [PD_SAMPLER_UNIPC] = {"unipc", unipc_step, .evaluations = 1, .history = 3, .multistep = true},
    [PD_SAMPLER_LCM] = {"lcm", lcm_step, .evaluations = 1, .draws_noise = true},
};

void pd_solver_step(const pd_solver *solver, int32_t evaluation_index, size_t count, const pd_solver_picture *picture,
                    const float *prediction, const float *noise)
{
    assert(pd_solver_step_draws_noise(solver, evaluation_index) == (noise != NULL));
    assert(picture->history || pd_solver_history(solver) == 0);
    const int32_t t = pd_solver_time(solver, evaluation_index), next = pd_solver_time(solver, evaluation_index + 1);
    const double alpha_t = pd_schedule_alpha_cumprod(&solver->schedule, t);
    if (solver->inversion) {
        const int32_t from = solver->times[solver->steps - evaluation_index];
        ddim_inversion_step(solver, pd_schedule_alpha_cumprod(&solver->schedule, from), alpha_t, count, picture, prediction);
        return;
    }
    const pd_sampler_traits *traits = traits_of(solver);
    const evaluation at = {.solver = solver,
                           .step = evaluation_index / traits->evaluations,
                           .evaluation = evaluation_index,
                           .alpha_t = alpha_t,
                           .alpha_next = pd_schedule_alpha_cumprod(&solver->schedule, next),
                           .conversion = conversion_at(alpha_t),
                           .count = count,
                           .picture = picture,
                           .prediction = prediction,
                           .noise = noise};
    estimate_x0(solver, &at.conversion, count, picture->x, prediction, picture->x0);
    if (next < 0 && !traits->last_step_of_its_own) copy(count, picture->x0, picture->x);
    else traits->step(&at);
}
