#include "schedule.h"

#include "status.h"

#include <assert.h>

pd_status pd_schedule_check(const pd_schedule *schedule, pd_error *error)
{
    if (schedule->timesteps < 1 || schedule->timesteps > PD_MAX_TIMESTEPS)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "schedule: %d timesteps, not in 1 .. %d",
                       (int64_t)schedule->timesteps, (int64_t)PD_MAX_TIMESTEPS);
    double previous = 1.0;
    for (int32_t t = 0; t < schedule->timesteps; t++) {
        const double current = schedule->alphas_cumprod[t];
        if (!(current > 0.0 && current < previous)) /* false for NaN */
            return pd_fail(error, PD_CONFIG, PD_NO_OFFSET,
                           "schedule: alphas_cumprod[%d] is %g, not in (0, %g): the table must fall strictly",
                           (int64_t)t, current, previous);
        previous = current;
    }
    return PD_OK;
}

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
        const float time = i < halfway ? (float)(-1.0 + (double)step * i)
                                       : (float)((timesteps - 1) - (double)step * (steps - i));
        times[steps - i] = (int32_t)time; /* towards zero */
    }
}
