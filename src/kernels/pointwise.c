/* Number by number: functions, sums and products with broadcasting. */
#include <assert.h>
#include <string.h>

#include "elementary.h"
#include "array.h"
#include "exponential.h"

static int32_t channels_of(const pd_array *array) { return array->axes.length[array->axes.rank - 1]; }

static size_t positions_of(const pd_array *array)
{
    size_t count = 1;
    for (int32_t i = 0; i + 1 < array->axes.rank; i++) count *= (size_t)array->axes.length[i];
    return count;
}

void pd_clear_padding(const pd_array *out)
{
    const size_t channels = (size_t)channels_of(out), padding = (4 - channels % 4) % 4, positions = positions_of(out);
    float *at = out->data + channels;
    /* Of a constant size each, for calls would take longer than the few numbers. */
    switch (padding) {
    case 1:
        for (size_t i = 0; i < positions; i++, at += out->stride) at[0] = 0;
        break;
    case 2:
        for (size_t i = 0; i < positions; i++, at += out->stride) memset(at, 0, 2 * sizeof(float));
        break;
    case 3:
        for (size_t i = 0; i < positions; i++, at += out->stride) memset(at, 0, 3 * sizeof(float));
        break;
    default: break;
    }
}

/* ---- functions ------------------------------------------------------------------- */

/* Those without a vector form, in double precision. */
static double of_one(pd_function function, double x)
{
    const double a = (double)function.parameter, limited = x < 700 ? (x > -700 ? x : -700) : 700;
    if (x != x) return x;
    switch (function.kind) {
    case PD_GELU: return 0.5 * x * (1.0 + pd_erf(x * 0.70710678118654752440));
    case PD_TANH: {
        const double e = pd_exp(limited < 350 ? (limited > -350 ? 2 * limited : -700) : 700);
        return (e - 1) / (e + 1);
    }
    case PD_MISH: { /* tanh(ln(1 + e)) = ((1 + e)^2 - 1) / ((1 + e)^2 + 1) */
        const double e = pd_exp(limited < 300 ? limited : 300), n = e * (e + 2);
        return x * (n / (n + 2));
    }
    case PD_SOFTPLUS: return x > 30 ? x : pd_log(1 + pd_exp(limited));
    case PD_ELU: return x > 0 ? x : a * (pd_exp(limited) - 1);
    case PD_LOG: return x > 0 && x <= 3.5e38 ? pd_log(x) : x > 0 ? x : __builtin_nan("");
    case PD_SIN: return x >= -1e6 && x <= 1e6 ? pd_sin(x) : __builtin_nan("");
    case PD_COS: return x >= -1e6 && x <= 1e6 ? pd_cos(x) : __builtin_nan("");
    case PD_FLOOR: return __builtin_floor(x);
    case PD_ERF: return pd_erf(x);
    case PD_POWER: {
        if (x > 0 && x <= 3.5e38) {
            const double exponent = a * pd_log(x);
            return pd_exp(exponent < 700 ? exponent : 700);
        }
        const double whole = __builtin_floor(a);
        if (x == 0) return a > 0 ? 0 : a == 0 ? 1 : __builtin_inf();
        if (a != whole || !(x >= -3.5e38)) return __builtin_nan("");
        const double exponent = a * pd_log(-x), power = pd_exp(exponent < 700 ? exponent : 700);
        return whole - 2 * __builtin_floor(whole / 2) != 0 ? -power : power;
    }
    default: return x;
    }
}

PD_INLINE pd_f32x4 sigmoid_lanes(const pd_vector_table *table, pd_f32x4 x)
{
    x = pd_max(x, pd_entry(table, 0));
    return pd_div(pd_entry(table, 10), pd_add(pd_entry(table, 10), pd_exp_lanes(table, pd_sub(pd_zero(), x))));
}

/* Phi(x), the standard normal distribution: Abramowitz and Stegun 1964, 7.1.26, whose
 * error is 1.5e-7 at most. */
PD_INLINE pd_f32x4 normal_lanes(const pd_vector_table *table, pd_f32x4 x)
{
    const pd_f32x4 one = pd_entry(table, 10), z = pd_mul(pd_max(x, pd_sub(pd_zero(), x)), pd_splat(0.70710678f));
    const pd_f32x4 t = pd_div(one, pd_multiply_add(one, z, pd_splat(0.3275911f)));
    pd_f32x4 p = pd_multiply_add(pd_splat(-1.453152027f), t, pd_splat(1.061405429f));
    p = pd_multiply_add(pd_splat(1.421413741f), t, p);
    p = pd_multiply_add(pd_splat(-0.284496736f), t, p);
    p = pd_mul(pd_multiply_add(pd_splat(0.254829592f), t, p), t);
    const pd_f32x4 tail = pd_mul(pd_mul(pd_splat(0.5f), p), pd_exp_lanes(table, pd_sub(pd_zero(), pd_mul(z, z))));
    /* tail for x < 0, 1 - tail from 0 on: s + (1 - 2 s) tail with s = 1 for x >= 0. */
    const pd_f32x4 big = pd_splat(1e30f);
    const pd_f32x4 s = pd_min(pd_max(pd_multiply_add(one, x, big), pd_zero()), one);
    return pd_multiply_add(s, pd_multiply_subtract(one, pd_splat(2.0f), s), tail);
}

/* Four numbers; false if the function has no such form. `kind` is a constant where this is called. */
PD_INLINE pd_f32x4 of_four(pd_function_kind kind, float parameter, const pd_vector_table *table, pd_f32x4 x)
{
    switch (kind) {
    case PD_RELU: return pd_max(x, pd_zero());
    case PD_LEAKY_RELU: return pd_multiply_add(pd_max(x, pd_zero()), pd_min(x, pd_zero()), pd_splat(parameter));
    case PD_SILU: return pd_silu_lanes(table, x);
    case PD_GELU: return pd_mul(x, normal_lanes(table, x));
    case PD_GELU_TANH: {
        const pd_f32x4 cubic = pd_multiply_add(x, pd_mul(pd_splat(0.044715f), x), pd_mul(x, x));
        return pd_mul(x, sigmoid_lanes(table, pd_mul(pd_splat(1.5957691216f), cubic)));
    }
    case PD_QUICK_GELU: return pd_mul(x, sigmoid_lanes(table, pd_mul(pd_splat(1.702f), x)));
    case PD_SIGMOID: return sigmoid_lanes(table, x);
    case PD_EXP: return pd_exp_lanes(table, pd_min(x, pd_splat(88.0f)));
    case PD_SQRT: return pd_root(x);
    case PD_ABS: return pd_max(x, pd_sub(pd_zero(), x));
    case PD_SQUARE: return pd_mul(x, x);
    case PD_RECIPROCAL: return pd_div(pd_splat(1.0f), x);
    case PD_HARD_SWISH: {
        const pd_f32x4 gate = pd_min(pd_max(pd_add(x, pd_splat(3.0f)), pd_zero()), pd_splat(6.0f));
        return pd_mul(x, pd_mul(gate, pd_splat(1.0f / 6.0f)));
    }
    default: return x;
    }
}

typedef void four_function(float parameter, const float *in, float *out, size_t count);

#define FOUR(kind) \
    static PD_NOINLINE void four_##kind(float parameter, const float *in, float *out, size_t count) \
    { \
        const pd_vector_table *const table = pd_table(pd_exp_table); \
        for (size_t i = 0; i < count; i += 4) pd_store(out + i, of_four(kind, parameter, table, pd_load(in + i))); \
    }
FOUR(PD_RELU)
FOUR(PD_LEAKY_RELU)
FOUR(PD_SILU)
FOUR(PD_GELU)
FOUR(PD_GELU_TANH)
FOUR(PD_QUICK_GELU)
FOUR(PD_SIGMOID)
FOUR(PD_EXP)
FOUR(PD_SQRT)
FOUR(PD_ABS)
FOUR(PD_SQUARE)
FOUR(PD_RECIPROCAL)
FOUR(PD_HARD_SWISH)
FOUR(PD_IDENTITY)

/* NULL: has no vector form. */
static four_function *const four_functions[PD_FUNCTION_COUNT] = {
    [PD_IDENTITY] = four_PD_IDENTITY,
    [PD_RELU] = four_PD_RELU,
    [PD_LEAKY_RELU] = four_PD_LEAKY_RELU,
    [PD_SILU] = four_PD_SILU,
    [PD_GELU] = four_PD_GELU,
    [PD_GELU_TANH] = four_PD_GELU_TANH,
    [PD_QUICK_GELU] = four_PD_QUICK_GELU,
    [PD_SIGMOID] = four_PD_SIGMOID,
    [PD_EXP] = four_PD_EXP,
    [PD_SQRT] = four_PD_SQRT,
    [PD_ABS] = four_PD_ABS,
    [PD_SQUARE] = four_PD_SQUARE,
    [PD_RECIPROCAL] = four_PD_RECIPROCAL,
    [PD_HARD_SWISH] = four_PD_HARD_SWISH,
};

static void apply_row(pd_function function, const float *in, const float *residual, float *out, size_t count)
{
    four_function *const four = four_functions[function.kind];
    if (four && !residual) {
        four(function.parameter, in, out, count);
        return;
    }
    float block[64]; /* the function of a part, before the residual, which may be out */
    for (size_t first = 0; first < count; first += 64) {
        const size_t part = count - first < 64 ? count - first : 64;
        if (four) four(function.parameter, in + first, block, part);
        else
            for (size_t i = 0; i < part; i++) block[i] = (float)of_one(function, (double)in[first + i]);
        for (size_t i = 0; i < part; i++) out[first + i] = residual ? block[i] + residual[first + i] : block[i];
    }
}

void pd_apply(pd_function function, const pd_array *in, const pd_array *residual, const pd_array *out)
{
    const size_t positions = positions_of(out), channels = (size_t)channels_of(out), stored = (channels + 3) & ~(size_t)3;
    /* A single position, as an embedding is, is worth more digits; it is not what takes time. */
    if (function.kind == PD_GELU && positions == 1) {
        for (size_t i = 0; i < stored; i++) {
            const float value = (float)of_one(function, (double)in->data[i]);
            out->data[i] = residual ? value + residual->data[i] : value;
        }
        return;
    }
    const bool dense = in->stride == (int32_t)stored && out->stride == in->stride &&
                       (!residual || residual->stride == in->stride);
    if (dense) apply_row(function, in->data, residual ? residual->data : NULL, out->data, positions * stored);
    for (size_t i = 0; i < positions && !dense; i++)
        apply_row(function, in->data + i * (size_t)in->stride, residual ? residual->data + i * (size_t)residual->stride : NULL,
                  out->data + i * (size_t)out->stride, stored);
    pd_clear_padding(out);
}

void pd_scale(const pd_array *in, float factor, float addend, const pd_array *out)
{
    const size_t positions = positions_of(out), channels = (size_t)channels_of(out);
    for (size_t i = 0; i < positions; i++) {
        const float *from = in->data + i * (size_t)in->stride;
        float *to = out->data + i * (size_t)out->stride;
        for (size_t c = 0; c < channels; c++) to[c] = factor * from[c] + addend;
    }
    pd_clear_padding(out);
}

void pd_affine(const pd_array *in, const float *gain, const float *bias, const pd_array *out)
{
    const size_t positions = positions_of(out), stored = ((size_t)channels_of(out) + 3) & ~(size_t)3;
    for (size_t i = 0; i < positions; i++) {
        const float *from = in->data + i * (size_t)in->stride;
        float *to = out->data + i * (size_t)out->stride;
        for (size_t c = 0; c < stored; c += 4)
            pd_store(to + c, pd_multiply_add(pd_load(bias + c), pd_load(from + c), pd_load(gain + c)));
    }
}

/* ---- two operands ---------------------------------------------------------------------- */

void pd_array_steps(const pd_array *of, const pd_axes *as, int64_t steps[PD_MAX_RANK])
{
    const int32_t missing = as->rank - of->axes.rank;
    int64_t step = 1;
    assert(missing >= 0);
    for (int32_t i = as->rank - 1; i >= 0; i--) {
        const int32_t own = i - missing, length = own < 0 ? 1 : of->axes.length[own];
        steps[i] = length == 1 ? 0 : step;
        step = own == of->axes.rank - 1 ? of->stride : step * length;
    }
}

/* Counts through the leading axes; moves the addresses along. */
typedef struct walk {
    int32_t at[PD_MAX_RANK];
} walk;

static void move(walk *w, const pd_axes *axes, const int64_t *steps, const float **address, int operands)
{
    for (int32_t axis = axes->rank - 2; axis >= 0; axis--) {
        w->at[axis]++;
        for (int k = 0; k < operands; k++) address[k] += steps[k * PD_MAX_RANK + axis];
        if (w->at[axis] < axes->length[axis]) return;
        for (int k = 0; k < operands; k++) address[k] -= steps[k * PD_MAX_RANK + axis] * axes->length[axis];
        w->at[axis] = 0;
    }
}

#define EACH_CHANNEL(expression) \
    if (a_step == 1 && b_step == 1) \
        for (size_t i = 0; i < count; i++) { \
            const float x = a[i], y = b[i]; \
            out[i] = expression; \
        } \
    else \
        for (size_t i = 0; i < count; i++) { \
            const float x = a[(int64_t)i * a_step], y = b[(int64_t)i * b_step]; \
            out[i] = expression; \
        } \
    break

static void binary_row(pd_binary_kind kind, const float *a, int64_t a_step, const float *b, int64_t b_step, float *out,
                       size_t count)
{
    switch (kind) {
    case PD_ADD: EACH_CHANNEL(x + y);
    case PD_SUB: EACH_CHANNEL(x - y);
    case PD_MUL: EACH_CHANNEL(x * y);
    case PD_DIV: EACH_CHANNEL(x / y);
    case PD_MIN: EACH_CHANNEL(x < y ? x : y);
    default: EACH_CHANNEL(x > y ? x : y);
    }
}

void pd_binary(pd_binary_kind kind, const pd_array *a, const pd_array *b, const pd_array *out)
{
    int64_t steps[2 * PD_MAX_RANK];
    const float *address[2] = {a->data, b->data};
    const size_t positions = positions_of(out), channels = (size_t)channels_of(out);
    const int32_t last = out->axes.rank - 1;
    walk w = {0};
    pd_array_steps(a, &out->axes, steps);
    pd_array_steps(b, &out->axes, steps + PD_MAX_RANK);
    for (size_t i = 0; i < positions; i++) {
        binary_row(kind, address[0], steps[last], address[1], steps[PD_MAX_RANK + last], out->data + i * (size_t)out->stride,
                   channels);
        move(&w, &out->axes, steps, address, 2);
    }
    pd_clear_padding(out);
}

void pd_gated_add(const pd_array *a, const pd_array *b, const pd_array *gate, const pd_array *out)
{
    int64_t steps[PD_MAX_RANK];
    const float *address[1] = {gate->data};
    const size_t positions = positions_of(out), channels = (size_t)channels_of(out);
    walk w = {0};
    pd_array_steps(gate, &out->axes, steps);
    for (size_t i = 0; i < positions; i++) {
        const float *x = a->data + i * (size_t)a->stride, *y = b->data + i * (size_t)b->stride, *g = address[0];
        float *to = out->data + i * (size_t)out->stride;
        const int64_t step = steps[out->axes.rank - 1];
        if (step == 1)
            for (size_t c = 0; c < channels; c++) to[c] = x[c] + g[c] * y[c];
        else
            for (size_t c = 0; c < channels; c++) to[c] = x[c] + g[0] * y[c];
        move(&w, &out->axes, steps, address, 1);
    }
    pd_clear_padding(out);
}

/* ---- rearranging ------------------------------------------------------------------------- */

/* What is copied: axes from the outermost to the innermost, with the steps of both sides. */
typedef struct copy {
    pd_axes axes;
    int64_t steps[2 * PD_MAX_RANK]; /* of the source, of the target */
} copy;

/* Without axes of one, and with those joined along which both sides go on as along
 * one; two at least. The longer of the two innermost comes last, unless both sides
 * are contiguous along the last. */
static copy plan_copy(const pd_axes *axes, const int64_t *in_steps, const int64_t *out_steps)
{
    copy plan = {0};
    int32_t rank = 0, *length = plan.axes.length;
    int64_t *from = plan.steps, *to = plan.steps + PD_MAX_RANK;
    for (int32_t i = 0; i < axes->rank; i++) {
        const int32_t count = axes->length[i];
        if (count == 1) continue;
        const bool joined = rank > 0 && from[rank - 1] == in_steps[i] * count && to[rank - 1] == out_steps[i] * count;
        if (joined) length[rank - 1] *= count;
        else length[rank++] = count;
        from[rank - 1] = in_steps[i];
        to[rank - 1] = out_steps[i];
    }
    for (; rank < 2; rank++) { /* an axis of one in front of what there is */
        length[1] = length[0], from[1] = from[0], to[1] = to[0];
        length[0] = 1, from[0] = to[0] = 0;
    }
    plan.axes.rank = rank;
    const int32_t a = rank - 2, b = rank - 1;
    if (length[a] > length[b] && !(from[b] == 1 && to[b] == 1)) {
        const int32_t other_length = length[a];
        const int64_t other_from = from[a], other_to = to[a];
        length[a] = length[b], from[a] = from[b], to[a] = to[b];
        length[b] = other_length, from[b] = other_from, to[b] = other_to;
    }
    return plan;
}

void pd_copy_axes(const pd_axes *axes, const float *in, const int64_t *in_steps, float *out, const int64_t *out_steps)
{
    const copy plan = plan_copy(axes, in_steps, out_steps);
    const int32_t last = plan.axes.rank - 1;
    const int64_t *from_steps = plan.steps, *to_steps = plan.steps + PD_MAX_RANK;
    const int64_t from_step = from_steps[last], to_step = to_steps[last];
    const int64_t rows = plan.axes.length[last - 1], count = plan.axes.length[last];
    /* `move` counts through the axes before the last: of these the innermost is counted here. */
    pd_axes outer = plan.axes;
    outer.rank = last;
    const float *address[2] = {in, out};
    size_t planes = 1;
    walk w = {0};
    for (int32_t i = 0; i < last - 1; i++) planes *= (size_t)plan.axes.length[i];
    for (size_t i = 0; i < planes; i++) {
        const float *from = address[0];
        float *to = out + (address[1] - out);
        for (int64_t row = 0; row < rows; row++, from += from_steps[last - 1], to += to_steps[last - 1]) {
            if (from_step == 1 && to_step == 1) memcpy(to, from, (size_t)count * sizeof(float));
            else
                for (int64_t c = 0; c < count; c++) to[c * to_step] = from[c * from_step];
        }
        move(&w, &outer, plan.steps, address, 2);
    }
}

void pd_reshape(const pd_array *in, const pd_array *out)
{
    const size_t in_channels = (size_t)channels_of(in), out_channels = (size_t)channels_of(out), positions = positions_of(out);
    const float *from = in->data;
    size_t left = in_channels;
    for (size_t i = 0; i < positions; i++) {
        float *to = out->data + i * (size_t)out->stride;
        for (size_t c = 0, count; c < out_channels; c += count) {
            count = out_channels - c < left ? out_channels - c : left;
            memcpy(to + c, from, count * sizeof(float));
            from += count;
            left -= count;
            if (left == 0) {
                from += (size_t)in->stride - in_channels;
                left = in_channels;
            }
        }
    }
    pd_clear_padding(out);
}
