/* The cache of first predictions: finds what was kept last, within its bounds. */
#include "check.h"
#include "start_cache.h"

enum { COUNT = 4096 }; /* floats of a prediction: 16 KiB, of which 32 fit */

static void create(pd_arena *arena, pd_start_cache *cache, uint64_t value_count)
{
    pd_arena measure;
    *cache = (pd_start_cache){0};
    pd_arena_measure(&measure);
    pd_start_cache_place(&measure, cache, value_count);
    CHECK(measure.used <= (600u << 10));
    CHECK(pd_arena_create(arena, measure.used + 64, NULL) == PD_OK);
    pd_start_cache_place(arena, cache, value_count);
    CHECK(!arena->overflow);
}

static pd_start_key key_of(int32_t i)
{
    /* Neighbours differ in one field alone. */
    return (pd_start_key){.seed = (uint64_t)(i / 4) << 40, .label = i / 2 % 2 ? PD_LABEL_NULL : 0, .t = i % 2};
}

static void test_oldest_is_replaced(void)
{
    static float prediction[COUNT];
    pd_arena arena;
    pd_start_cache cache;
    create(&arena, &cache, COUNT);
    CHECK(cache.capacity == 32);
    for (int32_t i = 0; i < 100; i++) {
        CHECK(!pd_start_cache_find(&cache, key_of(i)));
        for (int32_t k = 0; k < COUNT; k++) prediction[k] = (float)(i + k);
        pd_start_cache_keep(&cache, key_of(i), prediction);
        for (int32_t j = 0; j <= i; j++) {
            const float *found = pd_start_cache_find(&cache, key_of(j));
            CHECK((found != NULL) == (j > i - 32));
            if (found) CHECK(found[0] == (float)j && found[COUNT - 1] == (float)(j + COUNT - 1));
        }
    }
    pd_arena_destroy(&arena);
}

static void test_sizes(void)
{
    static float large[1 << 18];
    pd_arena arena;
    pd_start_cache cache;
    create(&arena, &cache, 16);
    CHECK(cache.capacity == 2 * PD_MAX_PICTURES);
    pd_arena_destroy(&arena);
    create(&arena, &cache, 1 << 18); /* one prediction is a mebibyte */
    CHECK(cache.capacity == 0);
    pd_start_cache_keep(&cache, key_of(1), large);
    CHECK(!pd_start_cache_find(&cache, key_of(1)));
    pd_arena_destroy(&arena);
}

int main(void)
{
    test_oldest_is_replaced();
    test_sizes();
    return check_result();
}
