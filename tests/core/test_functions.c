/* Functions of one number (array.h) where they are hardest: far from zero, at it, and on what is no number; against the
 * C library in double precision. Everyday values are compared with PyTorch (test_graph_operations.c). */
#include "array.h"
#include "check.h"

enum { COUNT = 16 };

static double expected(pd_function_kind kind, double a, double x)
{
    switch (kind) {
    case PD_RELU: return x > 0 ? x : 0;
    case PD_LEAKY_RELU: return x > 0 ? x : a * x;
    case PD_SILU: return x / (1 + exp(-x));
    case PD_GELU: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case PD_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case PD_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case PD_SIGMOID: return 1 / (1 + exp(-x));
    case PD_TANH: return tanh(x);
    case PD_MISH: return x * tanh(x > 30 ? x : log1p(exp(x)));
    case PD_SOFTPLUS: return x > 30 ? x : log1p(exp(x));
    case PD_ELU: return x > 0 ? x : a * (exp(x) - 1);
    case PD_EXP: return exp(x < 88 ? x : 88);
    case PD_LOG: return log(x);
    case PD_SQRT: return sqrt(x);
    case PD_SIN: return sin(x);
    case PD_COS: return cos(x);
    case PD_ABS: return fabs(x);
    case PD_SQUARE: return x * x;
    case PD_RECIPROCAL: return 1 / x;
    case PD_FLOOR: return floor(x);
    case PD_ERF: return erf(x);
    case PD_POWER: return pow(x, a);
    case PD_HARD_SWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    default: return x;
    }
}

static void check_function(pd_function_kind kind, float parameter, const float *values, int32_t count)
{
    float in[COUNT] = {0}, out[COUNT] = {0};
    for (int32_t i = 0; i < count; i++) in[i] = values[i];
    const pd_array from = {in, {1, {count}}, COUNT}, to = {out, {1, {count}}, COUNT};
    pd_apply((pd_function){kind, parameter}, &from, NULL, &to);
    for (int32_t i = 0; i < count; i++) {
        const double wanted = expected(kind, (double)parameter, (double)values[i]), made = (double)out[i];
        const int same = isnan(wanted) ? isnan(made) : fabs(made - wanted) <= 2e-5 * fmax(1.0, fabs(wanted)) || (float)wanted == out[i];
        CHECK(same);
        if (!same) fprintf(stderr, "  function %d, parameter %g, of %g: %.9g, not %.9g\n", (int)kind, (double)parameter, (double)values[i], made, wanted);
    }
}

int main(void)
{
    static const float usual[] = {-60.0f, -31.0f, -8.0f, -2.5f, -1.0f, -0.25f, 0.0f, 0.25f, 1.0f, 2.5f, 8.0f, 31.0f, 60.0f};
    static const float positive[] = {1e-30f, 1e-3f, 0.5f, 1.0f, 3.0f, 1e3f, 1e30f};
    static const float far[] = {-1e30f, -1e4f, -400.0f, 400.0f, 1e4f, 1e30f};
    static const pd_function_kind bounded[] = {PD_RELU, PD_SILU, PD_GELU, PD_SIGMOID, PD_TANH, PD_MISH, PD_SOFTPLUS, PD_ELU, PD_ABS, PD_ERF, PD_HARD_SWISH};
    for (int32_t kind = 0; kind < PD_FUNCTION_COUNT; kind++) {
        const bool root = kind == PD_LOG || kind == PD_SQRT || kind == PD_RECIPROCAL;
        if (root) check_function((pd_function_kind)kind, 0.0f, positive, sizeof positive / sizeof positive[0] - 1);
        else check_function((pd_function_kind)kind, kind == PD_POWER ? 2.0f : 0.3f, usual, sizeof usual / sizeof usual[0]);
    }
    for (size_t i = 0; i < sizeof bounded / sizeof bounded[0]; i++) check_function(bounded[i], 0.3f, far, sizeof far / sizeof far[0]);
    static const float exponents[] = {-3.0f, -2.0f, -0.5f, 0.0f, 0.5f, 3.0f};
    static const float bases[] = {-2.0f, 0.0f, 0.5f, 2.0f};
    for (size_t i = 0; i < sizeof exponents / sizeof exponents[0]; i++) check_function(PD_POWER, exponents[i], bases, sizeof bases / sizeof bases[0]);
    check_function(PD_LOG, 0.0f, (float[]){-1.0f}, 1);
    const float none = nanf("");
    static const pd_function_kind passing[] = {PD_GELU, PD_TANH, PD_MISH, PD_SOFTPLUS, PD_ELU, PD_LOG, PD_SIN, PD_COS, PD_FLOOR, PD_ERF, PD_POWER};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) check_function(passing[i], 2.0f, &none, 1);
    return check_result();
}
