/* Guidance against forward_with_cond_scale of the reference. */
#include "guidance.h"

#include "check.h"
#include "golden.h"

#define MOST 128

/* Every operation is the same float operation as in the reference; only sums
 * over the picture, in double precision on both sides, are added up in another
 * order. A quotient of two of them may then round to the neighbouring float. */
#define TOLERANCE 2.5e-7

static double largest_error;
static size_t compared, equal;

static void check_guided(const float *guided, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const double size = fmax(1.0, fabs((double)expected[i]));
        const double error = fabs((double)guided[i] - (double)expected[i]) / size;
        CHECK_NEAR(error, 0.0, TOLERANCE);
        largest_error = fmax(largest_error, error);
        equal += guided[i] == expected[i];
    }
    compared += count;
}

static void test_case(const golden *fixture, const pd_guidance *guidance)
{
    size_t count, expected_count;
    const float *conditional = GOLDEN_F32(fixture, "conditional", &count);
    const float *null = GOLDEN_F32(fixture, "null", &count);
    char name[96];
    snprintf(name, sizeof name, "scale%g.rescale%g.projection%d.keep%g", (double)guidance->scale,
             (double)guidance->rescale, guidance->projection, (double)guidance->keep_parallel);
    const float *expected = GOLDEN_F32(fixture, name, &expected_count);
    CHECK(count == expected_count && count <= MOST);

    float guided[MOST], in_place[MOST];
    pd_guidance_apply(guidance, count, pd_guidance_needs_conditional(guidance) ? conditional : NULL,
                      pd_guidance_needs_null(guidance) ? null : NULL, guided);
    check_guided(guided, expected, count);
    memcpy(in_place, conditional, count * sizeof *in_place);
    pd_guidance_apply(guidance, count, in_place, null, in_place);
    CHECK(memcmp(in_place, guided, count * sizeof *guided) == 0);
    memcpy(in_place, null, count * sizeof *in_place);
    pd_guidance_apply(guidance, count, conditional, in_place, in_place);
    CHECK(memcmp(in_place, guided, count * sizeof *guided) == 0);

    if (guidance->scale == 1.0f)
        CHECK(memcmp(guided, conditional, count * sizeof *guided) == 0);
    if (guidance->scale == 0.0f && guidance->rescale == 0.0f && !guidance->projection)
        CHECK(memcmp(guided, null, count * sizeof *guided) == 0);
}

static void test_needs(void)
{
    for (int projection = 0; projection < 2; projection++) {
        for (int rescale = 0; rescale < 2; rescale++) {
            pd_guidance guidance = {0.0f, (float)rescale, 0.0f, projection};
            CHECK(pd_guidance_needs_null(&guidance));
            CHECK(pd_guidance_needs_conditional(&guidance) == (projection || rescale));
            guidance.scale = 1.0f;
            CHECK(!pd_guidance_needs_null(&guidance) && pd_guidance_needs_conditional(&guidance));
            guidance.scale = 3.0f;
            CHECK(pd_guidance_needs_null(&guidance) && pd_guidance_needs_conditional(&guidance));
        }
    }
}

/* With all of the parallel part kept, projection does nothing; with none, the
 * update is at right angles to the conditional prediction. */
static void test_projection(const golden *fixture)
{
    size_t count;
    const float *conditional = GOLDEN_F32(fixture, "conditional", &count);
    const float *null = GOLDEN_F32(fixture, "null", &count);
    float plain[MOST], kept[MOST], removed[MOST];
    pd_guidance_apply(&(pd_guidance){3.0f, 0.0f, 0.0f, false}, count, conditional, null, plain);
    pd_guidance_apply(&(pd_guidance){3.0f, 0.0f, 1.0f, true}, count, conditional, null, kept);
    pd_guidance_apply(&(pd_guidance){3.0f, 0.0f, 0.0f, true}, count, conditional, null, removed);
    double along = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK_NEAR(kept[i], plain[i], 1e-6);
        along += ((double)removed[i] - (double)conditional[i]) * (double)conditional[i];
    }
    CHECK_NEAR(along, 0.0, 1e-5);
}

/* Where the reference divides zero by zero, the guided prediction stays. */
static void test_degenerate(void)
{
    const float zero[4] = {0}, one[4] = {1, 1, 1, 1};
    float guided[4];
    pd_guidance_apply(&(pd_guidance){3.0f, 0.7f, 0.0f, true}, 4, zero, zero, guided);
    for (int i = 0; i < 4; i++)
        CHECK(guided[i] == 0.0f);
    pd_guidance_apply(&(pd_guidance){3.0f, 0.7f, 0.0f, false}, 4, one, zero, guided);
    for (int i = 0; i < 4; i++)
        CHECK(guided[i] == 3.0f);
    pd_guidance_apply(&(pd_guidance){3.0f, 0.7f, 0.0f, false}, 1, one, zero, guided);
    CHECK(guided[0] == 3.0f);
}

int main(void)
{
    static const float scales[] = {0.0f, 1.0f, 3.0f, 6.0f, 0.5f, 2.3f};
    golden fixture = golden_open("guidance");
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
        for (int rescale = 0; rescale < 2; rescale++)
            for (int projection = 0; projection < 2; projection++)
                test_case(&fixture, &(pd_guidance){scales[s], rescale ? 0.7f : 0.0f, 0.0f, projection});
    test_case(&fixture, &(pd_guidance){3.0f, 0.0f, 0.25f, true});
    test_case(&fixture, &(pd_guidance){3.0f, 0.7f, 0.25f, true});
    test_case(&fixture, &(pd_guidance){6.0f, 1.0f, 0.0f, false});
    test_needs();
    test_projection(&fixture);
    test_degenerate();
    golden_close(&fixture);
    CHECK(equal > compared / 100 * 99);
    printf("largest relative difference from the reference: %.3g; %zu of %zu numbers have its bits\n", largest_error,
           equal, compared);
    return check_result();
}
