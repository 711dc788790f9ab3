/* The cache of predictions: finds what was kept last, for the very same input alone, within its bounds; and runs that
 * begin alike share their first predictions and nothing else. */
#include "check.h"
#include "golden.h"
#include "model.h"
#include "prediction_cache.h"

enum { COUNT = 4096 }; /* floats of a prediction: 32 KiB with its input, of which 32 fit */

static void create(pd_arena *arena, pd_prediction_cache *cache, uint64_t value_count)
{
    pd_arena measure;
    *cache = (pd_prediction_cache){0};
    pd_arena_measure(&measure);
    pd_prediction_cache_place(&measure, cache, value_count);
    CHECK(measure.used <= (1100u << 10));
    CHECK(pd_arena_create(arena, measure.used + 64, NULL) == PD_OK);
    pd_prediction_cache_place(arena, cache, value_count);
    CHECK(!arena->overflow);
}

/* Neighbours differ in one thing alone: the last value of x, the label or the time. */
static pd_prediction_key key_of(int32_t i, float *x)
{
    for (int32_t k = 0; k < COUNT; k++) x[k] = (float)k;
    x[COUNT - 1] = (float)(i / 4);
    return (pd_prediction_key){.x = x, .label = i / 2 % 2 ? PD_LABEL_NULL : 0, .t = i % 2};
}

static void test_oldest_is_replaced(void)
{
    static float prediction[COUNT], x[COUNT];
    pd_arena arena;
    pd_prediction_cache cache;
    create(&arena, &cache, COUNT);
    CHECK(cache.capacity == 32);
    for (int32_t i = 0; i < 100; i++) {
        CHECK(!pd_prediction_cache_find(&cache, key_of(i, x)));
        for (int32_t k = 0; k < COUNT; k++) prediction[k] = (float)(i + k);
        pd_prediction_cache_keep(&cache, key_of(i, x), prediction);
        for (int32_t j = 0; j <= i; j++) {
            const float *found = pd_prediction_cache_find(&cache, key_of(j, x));
            CHECK((found != NULL) == (j > i - 32));
            if (found) CHECK(found[0] == (float)j && found[COUNT - 1] == (float)(j + COUNT - 1));
        }
    }
    pd_arena_destroy(&arena);
}

static void test_sizes(void)
{
    static float large[1 << 18];
    const pd_prediction_key key = {.x = large, .label = 0, .t = 1};
    pd_arena arena;
    pd_prediction_cache cache;
    create(&arena, &cache, 16);
    CHECK(cache.capacity == PD_MAX_PREDICTIONS);
    pd_arena_destroy(&arena);
    create(&arena, &cache, 1 << 18); /* one prediction is a mebibyte */
    CHECK(cache.capacity == 0);
    pd_prediction_cache_keep(&cache, key, large);
    CHECK(!pd_prediction_cache_find(&cache, key));
    pd_arena_destroy(&arena);
}

enum { PIXELS = 16 * 16, STEPS = 7 };

static void generate(pd_model *model, const pd_options *options, uint8_t pixels[2][PIXELS])
{
    const pd_picture pictures[2] = {{1, 0, 7, 0}, {2, 0, 8, 0}};
    pd_run *run = NULL;
    CHECK(pd_run_start(model, options, pictures, 2, &run, NULL) == PD_OK);
    while (pd_run_steps_done(run) < pd_run_steps_total(run)) CHECK(pd_run_step(run, NULL) == PD_OK);
    for (int32_t i = 0; i < 2; i++) CHECK(pd_run_finish(run, i, pixels[i], PIXELS, NULL) == PD_OK);
    pd_run_free(run);
}

/* Calls of a picture whose t lies above and within the guided interval, of the time grid of `options`. */
static void count_calls(pd_model *model, const pd_options *options, int32_t *above, int32_t *first_guided)
{
    pd_run *run = NULL;
    *above = *first_guided = 0;
    CHECK(pd_run_start(model, options, &(pd_picture){1, 0, 7, 0}, 1, &run, NULL) == PD_OK);
    while (pd_run_steps_done(run) < pd_run_steps_total(run)) {
        const int32_t t = pd_run_next_timestep(run);
        if (*first_guided == 0 && t > options->guidance_last) ++*above;
        if (t >= options->guidance_first && t <= options->guidance_last) *first_guided = 1;
        CHECK(pd_run_step(run, NULL) == PD_OK);
    }
    pd_run_free(run);
}

/* The second of two runs that differ in their scales makes no call before the first guided step, and the bytes that a
 * model makes which has never drawn before. */
static void test_runs(const char *bytes, size_t size)
{
    for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++) {
        pd_model *used = NULL, *fresh = NULL;
        pd_options options;
        uint8_t first[2][PIXELS], again[2][PIXELS], expected[2][PIXELS];
        int32_t above, first_guided;
        CHECK(pd_model_load(bytes, size, &used, NULL) == PD_OK && pd_model_load(bytes, size, &fresh, NULL) == PD_OK);
        CHECK(pd_options_init(used, &options) == PD_OK);
        options.sampler = sampler;
        options.steps = STEPS;
        options.guidance_first = used->info.timesteps / 4;
        options.guidance_last = used->info.timesteps * 3 / 4;
        options.guidance_scale = 6.0f;
        generate(fresh, &options, expected);
        count_calls(fresh, &options, &above, &first_guided);
        CHECK(above >= 2 && first_guided == 1);
        options.guidance_scale = 2.0f;
        generate(used, &options, first);
        CHECK(used->prediction_cache.used == 2 * (above + 2)); /* and both predictions of the first guided call */
        options.guidance_scale = 6.0f;
        generate(used, &options, again);
        CHECK(used->prediction_cache.used == 2 * (above + 2)); /* all were found */
        CHECK(memcmp(again, expected, sizeof again) == 0 && memcmp(first, expected, sizeof first) != 0);
        pd_model_free(used);
        pd_model_free(fresh);
    }
}

/* What a mix of classes predicts is no class's prediction. */
static void test_mix(const char *bytes, size_t size)
{
    const pd_class_weight mix[2] = {{0, 1.0f}, {1, 1.0f}};
    pd_model *model = NULL;
    pd_options options;
    pd_run *run = NULL;
    CHECK(pd_model_load(bytes, size, &model, NULL) == PD_OK && pd_options_init(model, &options) == PD_OK);
    options.mix = mix;
    options.mix_size = 2;
    CHECK(pd_run_start(model, &options, &(pd_picture){PD_LABEL_NULL, 0, 7, 0}, 1, &run, NULL) == PD_OK);
    CHECK(pd_run_step(run, NULL) == PD_OK);
    CHECK(model->prediction_cache.used == 1); /* the null prediction */
    pd_run_free(run);
    pd_model_free(model);
}

int main(void)
{
    size_t size;
    char *bytes = golden_read("tiny", "gguf", &size);
    test_oldest_is_replaced();
    test_sizes();
    test_runs(bytes, size);
    test_mix(bytes, size);
    free(bytes);
    return check_result();
}
