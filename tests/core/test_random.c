/* Normal numbers against torch.manual_seed and torch.randn; the generator
 * against the value that the C++ standard gives for mt19937. */
#include "random.h"

#include "check.h"
#include "golden.h"

/* PyTorch's float logarithm, sine and cosine are off by some units in the last
 * place, ours are not; the numbers reach 5.8. */
#define TOLERANCE 2e-6
#define MOST 5000
#define HASH 0xb6654c776c707778u /* of test_bits */

static double largest_error;

static void check_values(const float *actual, const float *expected, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        const double error = fabs((double)actual[i] - (double)expected[i]);
        if (!(error <= largest))
            largest = error;
    }
    CHECK_NEAR(largest, 0.0, TOLERANCE);
    if (largest > largest_error)
        largest_error = largest;
}

/* The fixture holds short draws whole, of long ones every 37th number and the
 * last 48. */
static size_t thin(float *values, size_t count)
{
    if (count <= 48)
        return count;
    size_t kept = 0;
    for (size_t i = 0; i < count - 48; i += 37)
        values[kept++] = values[i];
    memmove(values + kept, values + (count - 48), 48 * sizeof *values);
    return kept + 48;
}

static void test_single_draws(const golden *fixture)
{
    static float values[MOST];
    size_t seed_count, size_count;
    const unsigned long long *seeds = GOLDEN_U64(fixture, "seeds", &seed_count);
    const int *sizes = GOLDEN_I32(fixture, "sizes", &size_count);
    CHECK(seed_count == 20 && size_count > 10);
    for (size_t s = 0; s < seed_count; s++) {
        char name[64];
        size_t count, position = 0;
        snprintf(name, sizeof name, "seed.%llu", seeds[s]);
        const float *expected = GOLDEN_F32(fixture, name, &count);
        for (size_t i = 0; i < size_count; i++) {
            pd_random random;
            pd_random_seed(&random, seeds[s]);
            pd_random_normal(&random, (size_t)sizes[i], values);
            const size_t kept = thin(values, (size_t)sizes[i]);
            CHECK(position + kept <= count);
            check_values(values, expected + position, kept);
            position += kept;
        }
        CHECK(position == count);
    }
}

/* Draws of mixed sizes after one seed: the cached second value of a short draw
 * outlives long draws, and a new seed forgets it. */
static void test_sequences(const golden *fixture)
{
    static float values[MOST];
    pd_random random;
    for (unsigned number = 0; number < 3; number++) {
        char name[64];
        size_t count, draws;
        snprintf(name, sizeof name, "sequence.%u.sizes", number);
        const int *sizes = GOLDEN_I32(fixture, name, &draws);
        snprintf(name, sizeof name, "sequence.%u", number);
        const float *expected = GOLDEN_F32(fixture, name, &count);
        pd_random_seed(&random, 99);
        pd_random_normal(&random, 1, values); /* leaves a cached value behind */
        CHECK(random.has_cached);
        pd_random_seed(&random, number);
        for (size_t i = 0; i < draws; i++) {
            pd_random_normal(&random, (size_t)sizes[i], values);
            check_values(values, expected, (size_t)sizes[i]);
            expected += sizes[i];
        }
    }
}

static void test_generator(void)
{
    pd_random random;
    pd_random_seed(&random, 5489);
    uint32_t last = 0;
    for (int i = 0; i < 10000; i++)
        last = pd_random_bits(&random);
    CHECK(last == 4123659995u); /* C++ standard, [rand.predef] */
    pd_random other;
    pd_random_seed(&random, 7);
    pd_random_seed(&other, ((uint64_t)123 << 32) | 7);
    for (int i = 0; i < 1000; i++)
        CHECK(pd_random_bits(&random) == pd_random_bits(&other));
}

/* Nothing beyond `count` is written, and nothing at all for 0. */
static void test_limits(void)
{
    float values[20];
    pd_random random;
    for (size_t count = 0; count < 19; count++) {
        for (size_t i = 0; i < 20; i++)
            values[i] = 77.0f;
        pd_random_seed(&random, 1);
        pd_random_normal(&random, count, values);
        CHECK(values[count] == 77.0f);
        CHECK(count == 0 || values[count - 1] != 77.0f);
    }
}

/* The same on every compiler and processor. */
static void test_bits(void)
{
    static float values[MOST];
    unsigned long long hash = GOLDEN_HASH_START;
    pd_random random;
    pd_random_seed(&random, 2024);
    for (int i = 0; i < 20; i++) {
        pd_random_normal(&random, MOST - 7, values);
        pd_random_normal(&random, 5, values + MOST - 7);
        hash = golden_hash(hash, values, (MOST - 2) * sizeof *values);
    }
    CHECK(hash == HASH);
    if (hash != HASH)
        fprintf(stderr, "hash is 0x%llx\n", hash);
}

int main(void)
{
    golden fixture = golden_open("random");
    test_single_draws(&fixture);
    test_sequences(&fixture);
    golden_close(&fixture);
    test_generator();
    test_limits();
    test_bits();
    printf("largest difference from torch.randn: %.3g\n", largest_error);
    return check_result();
}
