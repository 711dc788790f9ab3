/* Norms, softmax and sums along axes. */
#include <string.h>

#include "array.h"
#include "exponential.h"

static size_t channels_of(const pd_array *array) { return (size_t)array->axes.length[array->axes.rank - 1]; }

static size_t positions_of(const pd_array *array)
{
    size_t count = 1;
    for (int32_t i = 0; i + 1 < array->axes.rank; i++) count *= (size_t)array->axes.length[i];
    return count;
}

static size_t stored_of(const pd_array *array) { return (channels_of(array) + 3) & ~(size_t)3; }

/* y = (x - mean) * factor, then gain, bias, scale and shift. Channels in vectors
 * of four; mean and factor of each. */
PD_INLINE pd_f32x4 finish(pd_f32x4 y, const pd_norm_tail *tail, size_t c)
{
    if (tail->gain) y = pd_mul(y, pd_load(tail->gain + c));
    if (tail->bias) y = pd_add(y, pd_load(tail->bias + c));
    if (tail->scale) y = pd_mul(y, pd_load(tail->scale + c));
    return tail->shift ? pd_add(y, pd_load(tail->shift + c)) : y;
}

/* ---- group norm ---------------------------------------------------------------------- */

/* Of 4 * vectors channels: the sums of x, or of (x - mean)^2 if `mean`. */
PD_INLINE void sum_vectors(int vectors, const float *x, size_t positions, size_t stride, const float *mean, float *sums)
{
    pd_f32x4 sum[4], middle[4];
    PD_UNROLL
    for (int v = 0; v < vectors; v++) {
        sum[v] = pd_zero();
        middle[v] = mean ? pd_load(mean + 4 * v) : pd_zero();
    }
    for (size_t i = 0; i < positions; i++, x += stride) {
        PD_UNROLL
        for (int v = 0; v < vectors; v++) {
            const pd_f32x4 value = pd_load(x + 4 * v), difference = pd_sub(value, middle[v]);
            sum[v] = mean ? pd_multiply_add(sum[v], difference, difference) : pd_add(sum[v], value);
        }
    }
    PD_UNROLL
    for (int v = 0; v < vectors; v++) pd_store(sums + 4 * v, sum[v]);
}

static PD_NOINLINE void sum_plain(const float *x, size_t positions, size_t stride, float *sums)
{
    sum_vectors(4, x, positions, stride, NULL, sums);
}

static PD_NOINLINE void sum_squares(const float *x, size_t positions, size_t stride, const float *mean, float *sums)
{
    sum_vectors(4, x, positions, stride, mean, sums);
}

/* sums[c] = sum over the positions of x, or of (x - mean[c])^2. */
static void sum_channels(const pd_array *in, const float *mean, float *sums)
{
    const size_t positions = positions_of(in), stored = stored_of(in), stride = (size_t)in->stride;
    /* 16 channels at a time stay in registers; the rows that are passed are few cache lines wide. */
    size_t c = 0;
    for (; c + 16 <= stored; c += 16) {
        if (mean) sum_squares(in->data + c, positions, stride, mean + c, sums + c);
        else sum_plain(in->data + c, positions, stride, sums + c);
    }
    for (; c < stored; c += 4) sum_vectors(1, in->data + c, positions, stride, mean ? mean + c : NULL, sums + c);
}

static double sum_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    return sum;
}

void pd_group_norm(const pd_array *in, int32_t groups, float eps, const pd_norm_tail *tail, const pd_array *out, float *sums)
{
    const size_t positions = positions_of(in), channels = channels_of(in), stored = stored_of(in),
                 size = channels / (size_t)groups;
    const double numbers = (double)positions * (double)size;
    float *mean = sums, *factor = sums + stored;
    sum_channels(in, NULL, factor);
    memset(mean, 0, stored * sizeof(float));
    for (size_t first = 0; first < channels; first += size) {
        const float middle = (float)(sum_of(factor + first, size) / numbers);
        for (size_t c = first; c < first + size; c++) mean[c] = middle;
    }
    sum_channels(in, mean, factor);
    for (size_t first = 0; first < channels; first += size) {
        const float inverse = (float)(1.0 / __builtin_sqrt(sum_of(factor + first, size) / numbers + (double)eps));
        for (size_t c = first; c < first + size; c++) factor[c] = inverse;
    }
    for (size_t i = 0; i < positions; i++) {
        const float *x = in->data + i * (size_t)in->stride;
        float *to = out->data + i * (size_t)out->stride;
        for (size_t c = 0; c < stored; c += 4)
            pd_store(to + c, finish(pd_mul(pd_sub(pd_load(x + c), pd_load(mean + c)), pd_load(factor + c)), tail, c));
    }
    pd_clear_padding(out);
}

/* ---- norms of each position --------------------------------------------------------------- */

/* The sum of x, or of (x - middle)^2, of one position; the padding is not counted. */
static float sum_position(const float *x, size_t channels, const float *middle)
{
    const pd_f32x4 m = pd_splat(middle ? *middle : 0.0f);
    pd_f32x4 even = pd_zero(), odd = pd_zero();
    size_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        const pd_f32x4 a = pd_sub(pd_load(x + c), m), b = pd_sub(pd_load(x + c + 4), m);
        even = middle ? pd_multiply_add(even, a, a) : pd_add(even, a);
        odd = middle ? pd_multiply_add(odd, b, b) : pd_add(odd, b);
    }
    for (; c < channels; c += 4) {
        const int32_t rest = channels - c < 4 ? (int32_t)(channels - c) : 4;
        const pd_f32x4 a = pd_sub(rest == 4 ? pd_load(x + c) : pd_load_first(x + c, rest, middle ? *middle : 0.0f), m);
        even = middle ? pd_multiply_add(even, a, a) : pd_add(even, a);
    }
    return pd_sum_lanes(pd_add(even, odd));
}

static void write_position(const float *x, float middle, float factor, const pd_norm_tail *tail, float *to, size_t stored)
{
    const pd_f32x4 m = pd_splat(middle), f = pd_splat(factor);
    for (size_t c = 0; c < stored; c += 4) pd_store(to + c, finish(pd_mul(pd_sub(pd_load(x + c), m), f), tail, c));
}

void pd_layer_norm(const pd_array *in, float eps, const pd_norm_tail *tail, const pd_array *out)
{
    const size_t positions = positions_of(in), channels = channels_of(in), stored = stored_of(in);
    for (size_t i = 0; i < positions; i++) {
        const float *x = in->data + i * (size_t)in->stride;
        const float mean = sum_position(x, channels, NULL) / (float)channels;
        const float variance = sum_position(x, channels, &mean) / (float)channels;
        write_position(x, mean, 1.0f / __builtin_sqrtf(variance + eps), tail, out->data + i * (size_t)out->stride, stored);
    }
    pd_clear_padding(out);
}

void pd_rms_norm_of(pd_rms_kind kind, const pd_array *in, float eps, const pd_norm_tail *tail, const pd_array *out)
{
    const size_t positions = positions_of(in), channels = channels_of(in), stored = stored_of(in);
    static const float zero = 0.0f;
    for (size_t i = 0; i < positions; i++) {
        const float *x = in->data + i * (size_t)in->stride;
        const float squares = sum_position(x, channels, &zero);
        const float norm = __builtin_sqrtf(squares);
        const float divisor = kind == PD_RMS_OF_NORM   ? (norm > eps ? norm : eps)
                              : kind == PD_RMS_OF_MEAN ? __builtin_sqrtf(squares / (float)channels + eps)
                                                       : eps + norm / __builtin_sqrtf((float)channels);
        write_position(x, 0.0f, 1.0f / divisor, tail, out->data + i * (size_t)out->stride, stored);
    }
    pd_clear_padding(out);
}

/* ---- softmax -------------------------------------------------------------------------------- */

void pd_softmax(const pd_array *in, const pd_array *out)
{
    const pd_vector_table *const table = pd_table(pd_softmax_table);
    const size_t positions = positions_of(in), channels = channels_of(in), whole = channels & ~(size_t)3;
    for (size_t i = 0; i < positions; i++) {
        const float *x = in->data + i * (size_t)in->stride;
        float *to = out->data + i * (size_t)out->stride;
        const int32_t rest = (int32_t)(channels - whole);
        pd_f32x4 maximum = pd_splat(x[0]);
        for (size_t c = 0; c < whole; c += 4) maximum = pd_max(maximum, pd_load(x + c));
        if (rest) maximum = pd_max(maximum, pd_load_first(x + whole, rest, x[0]));
        maximum = pd_max_across(maximum);
        const pd_f32x4 highest[2] = {maximum, maximum};
        pd_f32x4 sum = pd_zero();
        size_t c = 0;
        for (; c + 8 <= whole; c += 8) {
            pd_f32x4 value[2] = {pd_load(x + c), pd_load(x + c + 4)};
            pd_softmax_lanes(table, 2, value, highest);
            pd_store(to + c, value[0]);
            pd_store(to + c + 4, value[1]);
            sum = pd_add(pd_add(sum, value[0]), value[1]);
        }
        for (; c < channels; c += 4) {
            pd_f32x4 value = c < whole ? pd_load(x + c) : pd_load_first(x + c, rest, PD_LANE(maximum, 0));
            pd_softmax_lanes(table, 1, &value, &maximum);
            pd_store(to + c, value);
            sum = pd_add(sum, value);
        }
        const float surplus = (float)((4 - rest) % 4); /* numerators of 1 in the padding */
        const pd_f32x4 factor = pd_splat(1.0f / (pd_sum_lanes(sum) - surplus));
        for (c = 0; c < channels; c += 4) pd_store(to + c, pd_mul(pd_load(to + c), factor));
    }
    pd_clear_padding(out);
}

/* ---- along any axes ------------------------------------------------------------------------------ */

typedef struct span {
    int32_t rank;
    int32_t length[PD_MAX_RANK];
    int64_t step[PD_MAX_RANK];
} span;

static int64_t numbers_of(const span *s)
{
    int64_t count = 1;
    for (int32_t i = 0; i < s->rank; i++) count *= s->length[i];
    return count;
}

/* Number `index` of a span, counted in row-major order, as floats from its first. */
static int64_t offset_of(const span *s, int64_t index)
{
    int64_t offset = 0;
    for (int32_t i = s->rank - 1; i >= 0; i--) {
        offset += index % s->length[i] * s->step[i];
        index /= s->length[i];
    }
    return offset;
}

static double reduce_span(pd_reduce_kind kind, const float *x, const span *s)
{
    const int64_t count = numbers_of(s);
    double sum = 0, squares = 0, highest = (double)x[0];
    for (int64_t i = 0; i < count; i++) {
        const double value = (double)x[offset_of(s, i)];
        sum += value;
        squares += value * value;
        highest = value > highest ? value : highest;
    }
    if (kind == PD_MEAN) return sum / (double)count;
    if (kind == PD_MAXIMUM) return highest;
    if (kind == PD_L2_NORM) return __builtin_sqrt(squares);
    if (kind == PD_SUM) return sum;
    const double mean = sum / (double)count;
    double deviations = 0;
    for (int64_t i = 0; i < count; i++) {
        const double deviation = (double)x[offset_of(s, i)] - mean;
        deviations += deviation * deviation;
    }
    return deviations / (double)count;
}

void pd_reduce(pd_reduce_kind kind, const pd_array *in, const pd_array *out)
{
    int64_t in_steps[PD_MAX_RANK], out_steps[PD_MAX_RANK];
    span kept = {0}, reduced = {0}, target = {0};
    pd_array_steps(in, &in->axes, in_steps);
    pd_array_steps(out, &in->axes, out_steps);
    for (int32_t i = 0; i < in->axes.rank; i++) {
        span *s = out->axes.length[i] == in->axes.length[i] ? &kept : &reduced;
        if (s == &kept) {
            target.length[target.rank] = in->axes.length[i];
            target.step[target.rank++] = out_steps[i];
        }
        s->length[s->rank] = in->axes.length[i];
        s->step[s->rank++] = in_steps[i];
    }
    const int64_t count = numbers_of(&kept);
    for (int64_t i = 0; i < count; i++)
        out->data[offset_of(&target, i)] = (float)reduce_span(kind, in->data + offset_of(&kept, i), &reduced);
    pd_clear_padding(out);
}
