/* exp, log, sin, cos and erf against mpmath with 50 digits, and their bits. */
#include "elementary.h"

#include "check.h"
#include "golden.h"

#define HASH 0x37f6637d7828b956u /* of test_bits */

/* The largest error: relative where asked for, otherwise absolute. */
static double largest_error(const golden *fixture, const char *name, double (*function)(double), int relative)
{
    char array[32];
    size_t count, expected_count;
    snprintf(array, sizeof array, "%s.x", name);
    const double *x = GOLDEN_F64(fixture, array, &count);
    snprintf(array, sizeof array, "%s.y", name);
    const double *y = GOLDEN_F64(fixture, array, &expected_count);
    CHECK(count == expected_count && count > 50);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double error = fabs(function(x[i]) - y[i]);
        /* A subnormal result has fewer bits. */
        if (relative && fabs(y[i]) >= 0x1p-1022)
            error /= fabs(y[i]);
        if (!(error <= largest))
            largest = error;
    }
    printf("%s: largest %s error %.3g at %zu points\n", name, relative ? "relative" : "absolute", largest, count);
    return largest;
}

static void test_special_values(void)
{
    CHECK(pd_exp(0.0) == 1.0);
    CHECK(pd_exp(-746.0) == 0.0 && pd_exp(-1e308) == 0.0 && pd_exp(-HUGE_VAL) == 0.0);
    CHECK(pd_exp(-745.0) > 0.0);
    CHECK(pd_exp(709.782) < HUGE_VAL && pd_exp(709.79) == HUGE_VAL && pd_exp(HUGE_VAL) == HUGE_VAL);
    CHECK(pd_exp(NAN) != pd_exp(NAN));
    CHECK(pd_log(1.0) == 0.0);
    CHECK(pd_sin(0.0) == 0.0 && pd_cos(0.0) == 1.0);
    CHECK(pd_erf(0.0) == 0.0 && pd_erf(HUGE_VAL) == 1.0 && pd_erf(-HUGE_VAL) == -1.0 && pd_erf(NAN) != pd_erf(NAN));
    CHECK(pd_sqrt(2.0) == 0x1.6a09e667f3bcdp+0 && pd_sqrtf(2.0f) == 0x1.6a09e6p+0f);
}

/* No fixture can have every argument: the functions' own laws, over many. */
static void test_identities(void)
{
    double inverse = 0, circle = 0, symmetry = 0;
    for (int i = -7000; i <= 7000; i++) {
        const double x = i * 0.1;
        inverse = fmax(inverse, fabs(pd_log(pd_exp(x)) - x));
        const double s = pd_sin(x * 1428.0), c = pd_cos(x * 1428.0);
        circle = fmax(circle, fabs(s * s + c * c - 1.0));
        symmetry = fmax(symmetry, fabs(pd_erf(x * 0.01) + pd_erf(-x * 0.01)) + fabs(pd_sin(x) + pd_sin(-x)) +
                                      fabs(pd_cos(x) - pd_cos(-x)));
    }
    CHECK_NEAR(inverse, 0.0, 3e-13); /* half an ulp of 700 and the error of exp */
    CHECK_NEAR(circle, 0.0, 1e-15);
    CHECK(symmetry == 0.0);
}

/* The same on every compiler and processor. */
static void test_bits(void)
{
    unsigned long long hash = GOLDEN_HASH_START;
    for (int i = 1; i < 20000; i++) {
        const double x = i * 0x1.5555555555555p-9;
        const double values[] = {pd_exp(x), pd_exp(-x), pd_log(x), pd_sin(x * 1000), pd_cos(x * 1000), pd_erf(x)};
        hash = golden_hash(hash, values, sizeof values);
    }
    CHECK(hash == HASH);
    if (hash != HASH)
        fprintf(stderr, "hash is 0x%llx\n", hash);
}

int main(void)
{
    golden fixture = golden_open("elementary");
    CHECK_NEAR(largest_error(&fixture, "exp", pd_exp, 1), 0.0, 1e-15);
    CHECK_NEAR(largest_error(&fixture, "log", pd_log, 1), 0.0, 1e-15);
    CHECK_NEAR(largest_error(&fixture, "sin", pd_sin, 0), 0.0, 1e-15);
    CHECK_NEAR(largest_error(&fixture, "cos", pd_cos, 0), 0.0, 1e-15);
    CHECK_NEAR(largest_error(&fixture, "erf", pd_erf, 0), 0.0, 1e-14);
    golden_close(&fixture);
    test_special_values();
    test_identities();
    test_bits();
    return check_result();
}
