/* A picture of an unfinished run as bytes, from which another run finishes it. */
#include <assert.h>
#include <string.h>

#include "hash.h"
#include "run.h"

/* A saved picture is this, then its planes. What a run is asked for, and what
 * follows from that and from the number of calls, is not in it. */
typedef struct saved_picture {
    uint64_t checksum; /* of all that comes after it */
    uint64_t fingerprint;
    double cached; /* this and the following ones: pd_random */
    int32_t has_cached, index;
    uint32_t state[PD_RANDOM_WORDS];
    uint32_t format;
    int32_t step;
} saved_picture;
_Static_assert(sizeof(saved_picture) == 40 + 4 * PD_RANDOM_WORDS, "no padding, whose bytes would be anything");

#define SAVED_FORMAT 0x31734450u /* "PDs1" */

enum { MOST_PLANES = 6 };

/* The arrays of value_count floats that a picture keeps from one step to the next; returns their number. */
static int32_t planes_of(const pd_run *run, const run_picture *picture, float *planes[MOST_PLANES])
{
    int32_t count = 0;
    planes[count++] = picture->x;
    planes[count++] = picture->x0;
    for (int32_t i = 0; i < pd_solver_history(&run->solver); i++)
        planes[count++] = picture->history + (size_t)i * run->value_count;
    if (pd_run_has_running(run)) planes[count++] = picture->running;
    assert(count <= MOST_PLANES);
    return count;
}

static uint64_t checksum_of(const uint8_t *bytes, size_t size)
{
    const size_t first = sizeof(uint64_t);
    return pd_hash(0, bytes + first, size - first);
}

size_t pd_run_saved_bytes(const pd_run *run)
{
    float *planes[MOST_PLANES];
    return run ? sizeof(saved_picture) + (size_t)planes_of(run, run->pictures, planes) * run->value_count * sizeof(float) : 0;
}

pd_status pd_run_save(const pd_run *run, int32_t picture, uint8_t *bytes, size_t capacity, pd_error *error)
{
    const size_t size = pd_run_saved_bytes(run);
    PD_TRY(pd_run_check_picture(run, picture, bytes, capacity, size, error));
    const run_picture *source = &run->pictures[picture];
    saved_picture saved = {.fingerprint = source->fingerprint,
                           .format = SAVED_FORMAT,
                           .step = run->calls,
                           .has_cached = source->random.has_cached,
                           .cached = source->random.cached,
                           .index = source->random.index};
    memcpy(saved.state, source->random.state, sizeof saved.state);
    memcpy(bytes, &saved, sizeof saved);
    float *planes[MOST_PLANES];
    const size_t plane_bytes = run->value_count * sizeof(float);
    const int32_t count = planes_of(run, source, planes);
    for (int32_t i = 0; i < count; i++) memcpy(bytes + sizeof saved + (size_t)i * plane_bytes, planes[i], plane_bytes);
    saved.checksum = checksum_of(bytes, size);
    memcpy(bytes, &saved.checksum, sizeof saved.checksum);
    return PD_OK;
}

/* Whether a saved picture of the right size can take the place of picture `index`. */
static pd_status check_saved(pd_run *run, int32_t index, const uint8_t *bytes, size_t size, pd_error *error)
{
    saved_picture saved;
    memcpy(&saved, bytes, sizeof saved);
    if (saved.checksum != checksum_of(bytes, size) || saved.format != SAVED_FORMAT)
        return pd_fail(error, PD_SAVED, PD_NO_OFFSET, "picture %d: not a saved picture, or damaged", (int64_t)index);
    if (saved.fingerprint != run->pictures[index].fingerprint)
        return pd_fail(error, PD_SAVED, PD_NO_OFFSET,
                       "picture %d: saved from another model, with other options or as another picture", (int64_t)index);
    if (saved.step < 0 || saved.step > pd_run_steps_total(run))
        return pd_fail(error, PD_SAVED, PD_NO_OFFSET, "picture %d: %d steps made of %d", (int64_t)index, (int64_t)saved.step,
                       (int64_t)pd_run_steps_total(run));
    if (saved.index < 0 || saved.index > PD_RANDOM_WORDS || saved.has_cached < 0 || saved.has_cached > 1)
        return pd_fail(error, PD_SAVED, PD_NO_OFFSET, "picture %d: impossible state of the generator", (int64_t)index);
    bool finite = saved.cached - saved.cached == 0.0;
    for (const uint8_t *plane = bytes + sizeof saved; plane < bytes + size; plane += run->value_count * sizeof(float)) {
        memcpy(run->noise, plane, run->value_count * sizeof(float)); /* the bytes may lie at any address */
        finite = finite && pd_all_finite(run->noise, run->value_count);
    }
    return finite ? PD_OK : pd_fail(error, PD_NONFINITE, PD_NO_OFFSET, "picture %d: NaN or infinity", (int64_t)index);
}

static void restore_picture(const pd_run *run, run_picture *picture, const uint8_t *bytes)
{
    saved_picture saved;
    memcpy(&saved, bytes, sizeof saved);
    picture->random = (pd_random){.index = saved.index, .has_cached = saved.has_cached == 1, .cached = saved.cached};
    memcpy(picture->random.state, saved.state, sizeof saved.state);
    float *planes[MOST_PLANES];
    const size_t plane_bytes = run->value_count * sizeof(float);
    const int32_t count = planes_of(run, picture, planes);
    for (int32_t i = 0; i < count; i++) memcpy(planes[i], bytes + sizeof saved + (size_t)i * plane_bytes, plane_bytes);
}

static int32_t saved_step(const uint8_t *bytes)
{
    int32_t step;
    memcpy(&step, bytes + offsetof(saved_picture, step), sizeof step);
    return step;
}

pd_status pd_run_restore(pd_run *run, const uint8_t *bytes, size_t size, pd_error *error)
{
    if (!run) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "run is NULL");
    if (!bytes) return pd_fail(error, PD_ARG, PD_NO_OFFSET, "bytes is NULL");
    if (run->failed || run->calls > 0)
        return pd_fail(error, PD_STATE, PD_NO_OFFSET, "only a run that has not made a step can be restored");
    const size_t each = pd_run_saved_bytes(run), pictures = (size_t)run->picture_count;
    if (size != pictures * each)
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "%u bytes, not %u for each of %u pictures", (uint64_t)size, (uint64_t)each,
                       (uint64_t)pictures);
    const int32_t step = saved_step(bytes);
    for (int32_t i = 0; i < run->picture_count; i++) {
        const uint8_t *saved = bytes + (size_t)i * each;
        PD_TRY(check_saved(run, i, saved, each, error));
        if (saved_step(saved) != step)
            return pd_fail(error, PD_SAVED, PD_NO_OFFSET, "picture %d: %d steps made, but %d of picture 0", (int64_t)i,
                           (int64_t)saved_step(saved), (int64_t)step);
    }
    for (int32_t i = 0; i < run->picture_count; i++) restore_picture(run, &run->pictures[i], bytes + (size_t)i * each);
    while (run->calls < step) pd_run_count_call(run);
    return PD_OK;
}
