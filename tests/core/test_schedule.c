/* Time grids against torch.linspace, for every number of steps, and what a
 * schedule is refused for. */
#include "schedule.h"

#include "check.h"
#include "golden.h"

static int32_t times[PD_MAX_TIMESTEPS + 1];

static void check_falling(int32_t timesteps, int32_t steps)
{
    int falling = times[0] == timesteps - 1 && times[steps] == -1;
    for (int32_t i = 0; i < steps; i++)
        falling &= times[i] > times[i + 1];
    CHECK(falling);
}

/* make_golden.py has the same sum over PyTorch's grids. */
static void test_every_grid(const golden *fixture)
{
    size_t count, sum_count;
    const int *lengths = GOLDEN_I32(fixture, "timesteps", &count);
    const unsigned long long *sums = GOLDEN_U64(fixture, "sums", &sum_count);
    CHECK(count == 9 && sum_count == count);
    for (size_t n = 0; n < count; n++) {
        uint64_t sum = 0;
        for (int32_t steps = 1; steps <= lengths[n]; steps++) {
            pd_schedule_time_grid(lengths[n], steps, times);
            check_falling(lengths[n], steps);
            for (int32_t i = 0; i <= steps; i++)
                sum += (uint64_t)(times[i] + 2) * ((uint64_t)i * 2654435761u + 40503u * (uint64_t)steps + 1u);
        }
        CHECK(sum == sums[n]);
    }
}

static void test_some_grids(const golden *fixture)
{
    static const int32_t cases[][2] = {{7, 3}, {250, 17}, {1000, 20}, {1000, 50}, {1001, 385}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        char name[32];
        size_t count;
        snprintf(name, sizeof name, "grid.%d.%d", cases[n][0], cases[n][1]);
        const int *expected = GOLDEN_I32(fixture, name, &count);
        CHECK(count == (size_t)cases[n][1] + 1);
        pd_schedule_time_grid(cases[n][0], cases[n][1], times);
        for (size_t i = 0; i < count; i++)
            CHECK(times[i] == expected[i]);
    }
}

static void test_grid_limits(void)
{
    pd_schedule_time_grid(PD_MAX_TIMESTEPS, PD_MAX_TIMESTEPS, times);
    for (int32_t i = 0; i <= PD_MAX_TIMESTEPS; i++)
        CHECK(times[i] == PD_MAX_TIMESTEPS - 1 - i);
    for (int32_t steps = 1; steps < PD_MAX_TIMESTEPS; steps += 13) {
        pd_schedule_time_grid(PD_MAX_TIMESTEPS, steps, times);
        check_falling(PD_MAX_TIMESTEPS, steps);
    }
}

static void test_alpha_cumprod(void)
{
    const pd_schedule schedule = {2, (const double[]){0.75, 0.25}};
    CHECK(pd_schedule_alpha_cumprod(&schedule, -1) == 1.0);
    CHECK(pd_schedule_alpha_cumprod(&schedule, 0) == 0.75 && pd_schedule_alpha_cumprod(&schedule, 1) == 0.25);
}

/* What every grid promises, with any number of steps: T - 1 first, -1 last,
 * strictly decreasing. (Their values: tests/parity.) */
static void test_grid_forms(void)
{
    static const int32_t timesteps[] = {1, 2, 3, 10, 37, 100};
    int wrong = 0;
    for (size_t n = 0; n < sizeof timesteps / sizeof timesteps[0]; n++) {
        double table[100];
        for (int32_t t = 0; t < timesteps[n]; t++) table[t] = 1.0 - (t + 1.0) / (timesteps[n] + 1.0);
        const pd_schedule schedule = {timesteps[n], table};
        for (int32_t grid = 0; grid < PD_TIME_GRID_COUNT; grid++)
            for (int32_t steps = 1; steps <= timesteps[n]; steps++) {
                pd_schedule_times(&schedule, (pd_time_grid)grid, steps, times);
                wrong += times[0] != timesteps[n] - 1 || times[steps] != -1;
                for (int32_t i = 0; i < steps; i++) wrong += times[i + 1] >= times[i];
            }
    }
    CHECK(wrong == 0);
}

int main(void)
{
    golden fixture = golden_open("schedule");
    test_every_grid(&fixture);
    test_some_grids(&fixture);
    golden_close(&fixture);
    test_grid_limits();
    test_grid_forms();
    test_alpha_cumprod();
    return check_result();
}
