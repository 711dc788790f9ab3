/* Guided steps of the reverse process against the reference's own runs: the
 * first, a middle and the last two steps of each, started from the reference's
 * x_t, so that errors of earlier steps do not hide in a tolerance. */
#include "solver.h"

#include "guidance.h"

#include "check.h"
#include "golden.h"

#define VALUES 18 /* of a picture: 2 x 3 x 3 */

/* Relative to the largest of 1 and the value. All operations are the same float
 * operations in the same order, so that nearly all results have the same bits
 * (the end of main demands it). Not so where a coefficient is: PyTorch's float
 * exp in the ancestral deviation, and betas recomputed from abar, may lie one
 * unit in the last place off. */
#define TOLERANCE 1e-6

static double largest_error;
static size_t compared, equal;

static void check_values(const float *actual, const float *expected)
{
    for (int i = 0; i < VALUES; i++) {
        const double size = fmax(1.0, fabs((double)expected[i]));
        const double error = fabs((double)actual[i] - (double)expected[i]) / size;
        CHECK_NEAR(error, 0.0, TOLERANCE);
        largest_error = fmax(largest_error, error);
        equal += actual[i] == expected[i];
    }
    compared += VALUES;
}

typedef struct run_case {
    const char *schedule;
    int32_t timesteps, steps;
    pd_sampler kind;
    pd_objective objective;
    float eta;
    pd_guidance guidance;
} run_case;

static void test_run(const golden *fixture, const run_case *run)
{
    static const char *const objectives[] = {"noise", "x0", "v"};
    char name[128];
    size_t count;
    snprintf(name, sizeof name, "alphas_cumprod.%s.%d", run->schedule, run->timesteps);
    const double *table = GOLDEN_F64(fixture, name, &count);
    CHECK(count == (size_t)run->timesteps);
    snprintf(name, sizeof name, "%s.%s.%d.%d.%s.eta%g.projection%d.rescale%g.scale%g",
             run->kind == PD_SAMPLER_DDIM ? "ddim" : "ddpm", run->schedule, run->timesteps, run->steps,
             objectives[run->objective], (double)run->eta, run->guidance.projection, (double)run->guidance.rescale,
             (double)run->guidance.scale);
    const float *rows = GOLDEN_F32(fixture, name, &count);
    CHECK(count == 4 * 3 * VALUES);

    int32_t times[1001];
    pd_schedule_time_grid(run->timesteps, run->steps, times);
    const pd_solver solver = {.kind = run->kind, .objective = run->objective, .schedule = {run->timesteps, table},
                              .steps = run->steps, .eta = (double)run->eta, .times = times};
    const int32_t recorded[] = {0, run->steps / 2, run->steps - 2, run->steps - 1};
    for (int r = 0; r < 4; r++, rows += 3 * VALUES) {
        const int32_t step = recorded[r];
        snprintf(name, sizeof name, "time.%d", times[step]);
        const float *inputs = GOLDEN_F32(fixture, name, &count); /* conditional, null, noise */
        CHECK(count == 3 * VALUES);
        const bool draws = pd_solver_step_draws_noise(&solver, step);
        CHECK(draws == (r < 3));
        float x[VALUES], x0[VALUES], guided[VALUES];
        memcpy(x, rows, sizeof x);
        pd_guidance_apply(&run->guidance, VALUES, inputs, inputs + VALUES, guided);
        pd_solver_step(&solver, step, VALUES, &(pd_solver_picture){.x = x, .x0 = x0}, guided, draws ? inputs + 2 * VALUES : NULL);
        check_values(x0, rows + VALUES);
        check_values(x, rows + 2 * VALUES);
    }
}

static void test_all_runs(const golden *fixture)
{
    static const float scales[] = {0.0f, 1.0f, 3.0f, 6.0f}, etas[] = {0.0f, 0.5f, 1.0f};
    for (int o = 0; o < 3; o++) {
        const pd_objective objective = (pd_objective)o;
        for (int g = 0; g < 16; g++) {
            const pd_guidance guidance = {scales[g & 3], g & 4 ? 0.7f : 0.0f, 0.0f, (g & 8) != 0};
            for (int e = 0; e < 3; e++)
                test_run(fixture, &(run_case){"cosine", 1000, 50, PD_SAMPLER_DDIM, objective, etas[e], guidance});
            test_run(fixture, &(run_case){"cosine", 60, 60, PD_SAMPLER_DDPM, objective, 0.0f, guidance});
        }
        const pd_guidance plain = {3.0f, 0.0f, 0.0f, false};
        for (int e = 0; e < 3; e++)
            test_run(fixture, &(run_case){"linear", 1000, 10, PD_SAMPLER_DDIM, objective, etas[e], plain});
        test_run(fixture, &(run_case){"cosine", 1000, 50, PD_SAMPLER_DDPM, objective, 0.0f, plain});
        test_run(fixture, &(run_case){"linear", 1000, 7, PD_SAMPLER_DDPM, objective, 0.0f, plain});
    }
}

static bool is_stochastic(pd_sampler kind)
{
    return kind == PD_SAMPLER_DDIM || kind == PD_SAMPLER_DDPM || kind == PD_SAMPLER_DPMPP_2M_SDE ||
           kind == PD_SAMPLER_EULER_ANCESTRAL || kind == PD_SAMPLER_LCM;
}

/* Few steps from the end of a cosine schedule, where abar is about 1e-9 and
 * 1 - abar_next - sigma^2 rounds to either side of zero: always finite. */
static void test_long_steps(const golden *fixture)
{
    size_t count;
    const double *table = GOLDEN_F64(fixture, "alphas_cumprod.cosine.1000", &count);
    int32_t times[1001];
    for (int32_t steps = 1; steps <= 200; steps++) {
        pd_schedule_time_grid(1000, steps, times);
        for (int kind = 0; kind < PD_SAMPLER_COUNT; kind++) {
            for (int o = 0; o < 3; o++) {
                const pd_solver solver = {.kind = (pd_sampler)kind, .objective = (pd_objective)o, .schedule = {1000, table},
                                          .steps = steps, .eta = 1.0, .times = times};
                float x[3] = {1.5f, -0.25f, 0.0f}, x0[3];
                const float prediction[3] = {0.5f, -0.75f, 3.0f}, noise[3] = {1.0f, -2.0f, 0.5f};
                const int32_t evaluations = pd_solver_evaluations(&solver);
                CHECK(evaluations == (kind == PD_SAMPLER_HEUN ? 2 * steps - 1 : steps));
                CHECK(pd_solver_time(&solver, evaluations) == -1);
                float history[9];
                const pd_solver_picture picture = {.x = x, .x0 = x0, .history = history};
                for (int32_t step = 0; step < evaluations; step++) {
                    const bool draws = pd_solver_step_draws_noise(&solver, step);
                    CHECK(draws == (is_stochastic(solver.kind) && step < steps - 1));
                    pd_solver_step(&solver, step, 3, &picture, prediction, draws ? noise : NULL);
                }
                for (int i = 0; i < 3; i++) {
                    CHECK(fabsf(x0[i]) <= 1.0f && fabsf(x[i]) <= 1.0f);
                    CHECK_NEAR(x[i], x0[i], 1e-6); /* the last step ends at the estimate */
                }
            }
        }
    }
}

/* What the network breaks must stay visible. */
static void test_nan(void)
{
    const double table[] = {0.9, 0.5};
    const int32_t times[] = {1, 0, -1};
    for (int kind = 0; kind < PD_SAMPLER_COUNT; kind++) {
        for (int o = 0; o < 3; o++) {
            const pd_solver solver = {.kind = (pd_sampler)kind, .objective = (pd_objective)o, .schedule = {2, table},
                                      .steps = 2, .times = times};
            float x[1] = {0.5f}, x0[1], history[3];
            const float prediction[1] = {NAN}, noise[1] = {0.5f};
            pd_solver_step(&solver, 0, 1, &(pd_solver_picture){.x = x, .x0 = x0, .history = history}, prediction,
                           is_stochastic(solver.kind) ? noise : NULL);
            CHECK(x[0] != x[0] && x0[0] != x0[0]);
        }
    }
}

int main(void)
{
    golden fixture = golden_open("sampler");
    test_all_runs(&fixture);
    test_long_steps(&fixture);
    test_nan();
    golden_close(&fixture);
    CHECK(compared > 20000 && equal > compared / 100 * 99);
    printf("largest relative difference from the reference: %.3g; %zu of %zu numbers have its bits\n", largest_error,
           equal, compared);
    return check_result();
}
