#include "guidance.h"

#include "elementary.h"

bool pd_guidance_needs_conditional(const pd_guidance *guidance)
{
    return guidance->scale != 0.0f || guidance->projection || guidance->rescale != 0.0f;
}

bool pd_guidance_needs_null(const pd_guidance *guidance)
{
    return guidance->scale != 1.0f;
}

/* Unit vector of the conditional prediction, as 1 / max(||cond||, 1e-12), and
 * the length of the update along it. */
typedef struct projection {
    double norm, along;
} projection;

static projection project(size_t count, const float *conditional, const float *null)
{
    double squares = 0.0, along = 0.0;
    for (size_t i = 0; i < count; i++)
        squares += (double)conditional[i] * (double)conditional[i];
    double norm = pd_sqrt(squares);
    if (norm < 1e-12)
        norm = 1e-12;
    for (size_t i = 0; i < count; i++)
        along += (double)(conditional[i] - null[i]) * ((double)conditional[i] / norm);
    return (projection){norm, along};
}

/* With the divisor count - 1. 0 where it is not defined. */
static float standard_deviation(size_t count, const float *values)
{
    if (count < 2)
        return 0.0f;
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i];
    const double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        const double difference = (double)values[i] - mean;
        squares += difference * difference;
    }
    return (float)pd_sqrt(squares / (double)(count - 1));
}

static void copy(size_t count, const float *from, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

void pd_guidance_apply(const pd_guidance *guidance, size_t count, const float *conditional, const float *null,
                       float *guided)
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
        for (size_t i = 0; i < count; i++)
            guided[i] = conditional[i] + (conditional[i] - null[i]) * weight;
    }
    if (guidance->rescale == 0.0f)
        return;
    const float guided_deviation = standard_deviation(count, guided);
    if (guided_deviation == 0.0f) /* nothing to pull back; the quotient would not be finite */
        return;
    const float ratio = deviation / guided_deviation;
    const float phi = guidance->rescale, rest = (float)(1.0 - (double)guidance->rescale);
    for (size_t i = 0; i < count; i++)
        guided[i] = (guided[i] * ratio) * phi + guided[i] * rest;
}
