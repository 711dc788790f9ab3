#include "schedule.h"

#include "elementary.h"

#include <assert.h>

double pd_schedule_alpha_cumprod(const pd_schedule *schedule, int32_t t)
{
    assert(t >= -1 && t < schedule->timesteps);
    return t < 0 ? 1.0 : schedule->alphas_cumprod[t];
}

/* torch.linspace counts from the nearer end, with the step in float32 and one
 * rounding for each value (a fused multiply-add). A product of the step (24
 * bits) and an index (14 bits) is exact in double precision, and so is its sum
 * with an end, which leaves the same single rounding. */
void pd_schedule_time_grid(int32_t timesteps, int32_t steps, int32_t *times)
{
    assert(timesteps >= 1 && timesteps <= PD_MAX_TIMESTEPS && steps >= 1 && steps <= timesteps);
    const float step = (float)timesteps / (float)steps;
    const int32_t halfway = (steps + 1) / 2;
    for (int32_t i = 0; i <= steps; i++) {
        const float time = i < halfway ? (float)(-1.0 + (double)step * i) : (float)((timesteps - 1) - (double)step * (steps - i));
        times[steps - i] = (int32_t)time; /* towards zero */
    }
}

static double round_half_even(double value)
{
    const double below = __builtin_floor(value), rest = value - below;
    const bool odd = below - 2.0 * __builtin_floor(below / 2.0) > 0.5;
    return rest > 0.5 || (rest == 0.5 && odd) ? below + 1.0 : below;
}

/* log k_t */
static double log_noise_ratio(const pd_schedule *schedule, int32_t t)
{
    const double alpha = schedule->alphas_cumprod[t];
    return 0.5 * pd_log((1.0 - alpha) / alpha);
}

/* The fractional t at which log k, which rises with t, has this value. */
static double time_of_log_noise_ratio(const pd_schedule *schedule, double value)
{
    int32_t low = 0, high = schedule->timesteps - 1;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (log_noise_ratio(schedule, middle) <= value) low = middle;
        else high = middle;
    }
    if (low == high) return low;
    const double from = log_noise_ratio(schedule, low), to = log_noise_ratio(schedule, high);
    const double share = (value - from) / (to - from);
    return low + (share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share);
}

static double karras_time(const pd_schedule *schedule, double u)
{
    const double rho = 7.0;
    const double most = pd_exp(log_noise_ratio(schedule, schedule->timesteps - 1) / rho);
    const double least = pd_exp(log_noise_ratio(schedule, 0) / rho);
    return time_of_log_noise_ratio(schedule, rho * pd_log(most + u * (least - most)));
}

void pd_schedule_times(const pd_schedule *schedule, pd_time_grid grid, int32_t steps, int32_t *times)
{
    const int32_t last = schedule->timesteps - 1;
    if (grid == PD_TIME_GRID_LINEAR) {
        pd_schedule_time_grid(schedule->timesteps, steps, times);
        return;
    }
    assert(steps >= 1 && steps <= schedule->timesteps);
    for (int32_t i = 0; i < steps; i++) {
        const double u = steps > 1 ? (double)i / (steps - 1) : 0.0;
        double time;
        switch (grid) {
        case PD_TIME_GRID_QUADRATIC: time = last * (1.0 - u) * (1.0 - u); break;
        case PD_TIME_GRID_TRAILING:
            /* One division, so that halves are found exactly. */
            time = ((double)schedule->timesteps * (steps - i)) / steps;
            break;
        default: time = karras_time(schedule, u); break;
        }
        int32_t t = (int32_t)round_half_even(time) - (grid == PD_TIME_GRID_TRAILING ? 1 : 0);
        const int32_t highest = i > 0 ? times[i - 1] - 1 : last, lowest = steps - 1 - i;
        if (t > highest || i == 0) t = highest;
        times[i] = t < lowest ? lowest : t;
    }
    times[steps] = -1;
}
