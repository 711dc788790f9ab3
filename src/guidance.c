#include "guidance.h"

#include "elementary.h"

bool pd_guidance_needs_conditional(const pd_guidance *guidance)
{
    return guidance->scale != 0.0f || guidance->projection || guidance->rescale != 0.0f;
}

bool pd_guidance_needs_null(const pd_guidance *guidance) { return guidance->scale != 1.0f; }

/* Unit vector of the conditional prediction, as 1 / max(||cond||, 1e-12), and
 * the length of the update along it. */
typedef struct projection {
    double norm, along;
} projection;

static projection project(size_t count, const float *conditional, const float *null)
{
    double squares = 0.0, along = 0.0;
    for (size_t i = 0; i < count; i++) squares += (double)conditional[i] * (double)conditional[i];
    double norm = pd_sqrt(squares);
    if (norm < 1e-12) norm = 1e-12;
    for (size_t i = 0; i < count; i++) along += (double)(conditional[i] - null[i]) * ((double)conditional[i] / norm);
    return (projection){norm, along};
}

/* With the divisor count - 1. 0 where it is not defined. */
static float standard_deviation(size_t count, const float *values)
{
    if (count < 2) return 0.0f;
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    const double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        const double difference = (double)values[i] - mean;
        squares += difference * difference;
    }
    return (float)pd_sqrt(squares / (double)(count - 1));
}

static void copy(size_t count, const float *from, float *to)
{
    for (size_t i = 0; i < count; i++) to[i] = from[i];
}

void pd_guidance_apply(const pd_guidance *guidance, size_t count, const float *conditional, const float *null, float *guided)
{
    if (!pd_guidance_needs_null(guidance)) {
        copy(count, conditional, guided);
        return;
    }
    if (!pd_guidance_needs_conditional(guidance)) {
        copy(count, null, guided);
        return;
    }
    /* What needs the predictions whole comes before `guided` overwrites one. */
    const float deviation = guidance->rescale != 0.0f ? standard_deviation(count, conditional) : 0.0f;
    /* cond + (s - 1) (cond - null) */
    const float weight = (float)((double)guidance->scale - 1.0);
    if (guidance->projection) {
        const projection p = project(count, conditional, null);
        for (size_t i = 0; i < count; i++) {
            const float update = conditional[i] - null[i];
            const double parallel = p.along * ((double)conditional[i] / p.norm);
            const float orthogonal = (float)((double)update - parallel);
            guided[i] = conditional[i] + (orthogonal + (float)parallel * guidance->keep_parallel) * weight;
        }
    } else {
        for (size_t i = 0; i < count; i++) guided[i] = conditional[i] + (conditional[i] - null[i]) * weight;
    }
    if (guidance->rescale == 0.0f) return;
    const float guided_deviation = standard_deviation(count, guided);
    if (guided_deviation == 0.0f) /* nothing to pull back; the quotient would not be finite */
        return;
    const float ratio = deviation / guided_deviation;
    const float phi = guidance->rescale, rest = (float)(1.0 - (double)guidance->rescale);
    for (size_t i = 0; i < count; i++) guided[i] = (guided[i] * ratio) * phi + guided[i] * rest;
}

bool pd_guidance_process_is_guided(const pd_guidance_process *process, int32_t t)
{
    return t >= process->first_time && t <= process->last_time;
}

pd_guidance pd_guidance_at(const pd_guidance_process *process, int32_t index, int32_t count, int32_t t)
{
    pd_guidance now = process->guidance;
    if (!pd_guidance_process_is_guided(process, t)) {
        now.scale = 1.0f;
        return now;
    }
    const double pi = 3.14159265358979323846, progress = (index + 0.5) / count;
    switch (process->schedule) {
    case PD_GUIDANCE_LINEAR: now.scale = (float)(1.0 + 2.0 * progress * ((double)now.scale - 1.0)); break;
    case PD_GUIDANCE_COSINE: now.scale = (float)(1.0 + (1.0 - pd_cos(pi * progress)) * ((double)now.scale - 1.0)); break;
    default: break;
    }
    return now;
}

static bool shapes_update(const pd_guidance_process *process)
{
    return process->momentum != 0.0f || process->norm_threshold != 0.0f;
}

bool pd_guidance_process_needs_conditional(const pd_guidance_process *process, const pd_guidance *now)
{
    return pd_guidance_needs_conditional(now) || shapes_update(process);
}

bool pd_guidance_process_needs_null(const pd_guidance_process *process, const pd_guidance *now, int32_t t)
{
    return pd_guidance_needs_null(now) || (process->renoise_with_null && pd_guidance_process_is_guided(process, t));
}

void pd_guidance_shape_update(const pd_guidance_process *process, size_t count, const float *conditional, float *null,
                              float *running)
{
    if (!shapes_update(process)) return;
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        running[i] = (conditional[i] - null[i]) + process->momentum * running[i];
        squares += (double)running[i] * (double)running[i];
    }
    const double norm = pd_sqrt(squares), most = (double)process->norm_threshold;
    const float factor = most > 0.0 && norm > most ? (float)(most / norm) : 1.0f;
    for (size_t i = 0; i < count; i++) null[i] = conditional[i] - running[i] * factor;
}
