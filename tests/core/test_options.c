/* Every option of a run: what is refused, and what the papers say must be equal.
 * That the numbers are right is checked against PyTorch and diffusers in
 * tests/parity; here only relations between the core's own runs. */
#include "check.h"
#include "gguf_builder.h"
#include "golden.h"
#include "pocket_diffusion.h"

enum { VALUES = 4 * 8 * 8, PIXELS = 16 * 16, MOST_STEPS = 12 };

static pd_model *model;

static pd_options defaults(void)
{
    pd_options options;
    CHECK(pd_options_init(model, &options) == PD_OK);
    options.steps = 7;
    return options;
}

/* x_0 of one picture; its pixels are written too. */
static void generate(const pd_options *options, float state[VALUES], uint8_t pixels[PIXELS])
{
    pd_run *run = NULL;
    pd_error error = {0};
    CHECK(pd_run_start(model, options, &(pd_picture){1, 0, 7, 0}, 1, &run, &error) == PD_OK);
    if (!run) fprintf(stderr, "%s\n", error.message);
    while (pd_run_steps_done(run) < pd_run_steps_total(run)) {
        CHECK(pd_run_step(run, &error) == PD_OK);
        CHECK(pd_run_preview(run, 0, pixels, PIXELS, NULL) == PD_OK);
    }
    CHECK(pd_run_state(run, 0, state, VALUES, NULL) == PD_OK && pd_run_finish(run, 0, pixels, PIXELS, NULL) == PD_OK);
    pd_run_free(run);
}

static bool same_bytes(const pd_options *a, const pd_options *b)
{
    float first[VALUES], second[VALUES];
    uint8_t pixels[PIXELS], others[PIXELS];
    generate(a, first, pixels);
    generate(b, second, others);
    return memcmp(pixels, others, PIXELS) == 0;
}

/* ---- refusals ------------------------------------------------------------------------ */

static void refuse(const pd_options *options, pd_status expected, const char *word)
{
    pd_error error = {0};
    CHECK(pd_options_check(model, options, &error) == expected && error.status == expected);
    CHECK(strstr(error.message, word));
    if (!strstr(error.message, word)) fprintf(stderr, "  %s: %s\n", word, error.message);
}

#define REFUSED(status, word, ...)          \
    do {                                    \
        pd_options o = defaults();          \
        __VA_ARGS__;                        \
        refuse(&o, status, word);           \
    } while (0)

static void test_combinations(void)
{
    REFUSED(PD_OPTION, "ddpm_mean", o.ddpm_mean = 1);
    REFUSED(PD_OPTION, "ddpm_variance", o.ddpm_variance = 1);
    REFUSED(PD_OPTION, "cfg_plus_plus", o.cfg_plus_plus = 1; o.sampler = PD_SAMPLER_DDPM);
    REFUSED(PD_OPTION, "cfg_plus_plus", o.cfg_plus_plus = 1; o.momentum = 0.1f);
    REFUSED(PD_OPTION, "cfg_plus_plus", o.cfg_plus_plus = 1; o.norm_threshold = 2.0f);
    REFUSED(PD_OPTION, "guidance_schedule", o.guidance_schedule = PD_GUIDANCE_LINEAR; o.guidance_scale = 0.5f);
    REFUSED(PD_OPTION, "guidance_first", o.guidance_first = 50; o.guidance_last = 49);
    REFUSED(PD_OPTION, "guidance_first", o.guidance_first = 100);
    REFUSED(PD_OPTION, "guidance_last", o.guidance_last = -1);
    REFUSED(PD_OPTION, "momentum", o.momentum = 1.5f);
    REFUSED(PD_OPTION, "momentum", o.momentum = -1.5f);
    REFUSED(PD_LABEL, "negative_label", o.negative_label = 3);
    REFUSED(PD_LABEL, "negative_label", o.negative_label = -1);
}

static void test_arguments(void)
{
    pd_options options = defaults();
    pd_run *run = NULL;
    float x[VALUES] = {0};
    uint8_t pixels[PIXELS];
    CHECK(pd_options_init(NULL, &options) == PD_ARG && pd_options_init(model, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &options, &(pd_picture){0, 1, 0, 0}, 1, &run, NULL) == PD_ARG && !run); /* reserved */
    pd_model *none = model;
    CHECK(pd_model_load(NULL, 100, &none, NULL) == PD_ARG && !none);
    CHECK(pd_model_load("GGUF", 4, NULL, NULL) == PD_ARG);
    CHECK(!pd_model_get_info(NULL) && !pd_model_class_name(NULL, 0));
    CHECK(pd_model_predict(NULL, x, 0, 0, x, NULL) == PD_ARG);
    CHECK(pd_model_predict(model, x, 0, 0, NULL, NULL) == PD_ARG);
    CHECK(pd_model_predict(model, x, 0, -1, x, NULL) == PD_LABEL);
    CHECK(pd_run_steps_done(NULL) == 0 && pd_run_steps_total(NULL) == 0 && pd_run_next_timestep(NULL) == -1);
    CHECK(pd_run_state(NULL, 0, x, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_preview(NULL, 0, pixels, PIXELS, NULL) == PD_ARG);
    CHECK(pd_run_finish(NULL, 0, pixels, PIXELS, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 0, 0}, 1, &run, NULL) == PD_OK);
    CHECK(pd_run_state(run, -1, x, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_state(run, 1, x, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_state(run, 0, x, VALUES - 1, NULL) == PD_BUFFER);
    pd_run_free(run);
    pd_run_free(NULL);
    pd_model_free(NULL);
}

/* ---- what a file recommends ------------------------------------------------------------ */

enum { HEADER = 24, ALIGNMENT = 32 };

/* The tiny model with these keys in front of its own; NULL and a first time of -1: without. */
static pd_model *recommending(const char *tiny, size_t size, const char *time_grid, int32_t first, int32_t last)
{
    uint64_t counts[2]; /* of tensors and keys */
    memcpy(counts, tiny + 8, sizeof counts);
    gguf_builder keys = {0}, file = {0};
    if (time_grid) build_value_string(&keys, "pocket-diffusion.sampling.time_grid", time_grid);
    if (first >= 0) {
        build_array(&keys, "pocket-diffusion.sampling.guidance_interval", 4, 2);
        build_u32(&keys, (uint32_t)first);
        build_u32(&keys, (uint32_t)last);
    }
    build_key(&keys, "test.filler", 8); /* keeps the tensors where they were, up to whole steps of the alignment */
    const size_t filler = ALIGNMENT - (keys.size + 8) % ALIGNMENT;
    build_u64(&keys, filler);
    build_fill(&keys, ' ', filler);
    build_header(&file, counts[0], counts[1] + (time_grid != NULL) + (first >= 0) + 1);
    build_bytes(&file, keys.bytes, keys.size);
    build_bytes(&file, tiny + HEADER, size - HEADER);
    pd_model *made = NULL;
    pd_error error = {0};
    CHECK(pd_model_load(file.bytes, file.size, &made, &error) == PD_OK);
    if (!made) fprintf(stderr, "%s\n", error.message);
    build_free(&keys);
    build_free(&file);
    return made;
}

static void test_recommendations(const char *tiny, size_t size)
{
    /* docs/format.md: linear, and all of the 100 timesteps, if absent */
    static const struct {
        const char *time_grid;
        int32_t first, last, expected_grid, expected_first, expected_last;
    } cases[] = {
        {NULL, -1, -1, PD_TIME_GRID_LINEAR, 0, 99},       {"linear", -1, -1, PD_TIME_GRID_LINEAR, 0, 99},
        {"quadratic", 0, 99, PD_TIME_GRID_QUADRATIC, 0, 99}, {"trailing", 0, 0, PD_TIME_GRID_TRAILING, 0, 0},
        {"karras", 10, 60, PD_TIME_GRID_KARRAS, 10, 60},  {NULL, 99, 99, PD_TIME_GRID_LINEAR, 99, 99},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_model *made = recommending(tiny, size, cases[i].time_grid, cases[i].first, cases[i].last);
        if (!made) continue;
        pd_options options;
        CHECK(pd_options_init(made, &options) == PD_OK && pd_options_check(made, &options, NULL) == PD_OK);
        CHECK(options.time_grid == cases[i].expected_grid);
        CHECK(options.guidance_first == cases[i].expected_first && options.guidance_last == cases[i].expected_last);
        CHECK(options.sampler == PD_SAMPLER_DDIM && options.steps == 20); /* the others stay */
        pd_model_free(made);
    }
}

/* ---- relations ------------------------------------------------------------------------- */

/* Pictures that every sampler makes on every grid: whole, and not all the same. */
static void test_samplers(void)
{
    for (int32_t grid = 0; grid < PD_TIME_GRID_COUNT; grid++)
        for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++)
            for (int32_t steps = 1; steps <= MOST_STEPS; steps += 11) {
                pd_options options = defaults();
                float state[VALUES];
                uint8_t pixels[PIXELS];
                options.time_grid = grid;
                options.sampler = sampler;
                options.steps = steps;
                options.eta = sampler == PD_SAMPLER_DDIM ? 0.5f : 0.0f;
                generate(&options, state, pixels);
                double largest = 0;
                for (int i = 0; i < VALUES; i++) largest = fmax(largest, fabs((double)state[i]));
                CHECK(largest > 0.05 && largest < 100);
            }
    for (int32_t mean = 0; mean < PD_DDPM_MEAN_COUNT; mean++)
        for (int32_t variance = 0; variance < PD_DDPM_VARIANCE_COUNT; variance++) {
            pd_options options = defaults();
            float state[VALUES];
            uint8_t pixels[PIXELS];
            options.sampler = PD_SAMPLER_DDPM;
            options.ddpm_mean = mean;
            options.ddpm_variance = variance;
            generate(&options, state, pixels);
            CHECK(fabs((double)state[0]) < 1e6);
        }
}

/* docs/sampling.md: with objective v, euler is ddim with eta 0, and
 * euler-ancestral is ddpm with the posterior's variance; the last step of all
 * others is x = x_0, so with one step they are all the same. */
static void test_equal_samplers(void)
{
    pd_options ddim = defaults(), euler = defaults(), ddpm = defaults(), ancestral = defaults();
    ddim.eta = 0.0f;
    euler.sampler = PD_SAMPLER_EULER;
    ddpm.sampler = PD_SAMPLER_DDPM;
    ancestral.sampler = PD_SAMPLER_EULER_ANCESTRAL;
    CHECK(same_bytes(&ddim, &euler));
    CHECK(same_bytes(&ddpm, &ancestral));
    CHECK(!same_bytes(&ddim, &ddpm));
    ddim.steps = 1;
    for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++) {
        pd_options other = ddim;
        other.sampler = sampler;
        CHECK(same_bytes(&ddim, &other));
    }
}

/* What has no effect where the papers say so, and an effect elsewhere. */
static void test_guidance(void)
{
    const pd_options plain = defaults();
#define EQUAL(expected, ...)                                \
    do {                                                    \
        pd_options a = plain, b = plain;                    \
        __VA_ARGS__;                                        \
        CHECK(same_bytes(&a, &b) == (expected));            \
    } while (0)
    EQUAL(true, a.guidance_scale = 1; b.guidance_scale = 3; b.guidance_first = b.guidance_last = 1);  /* t = 1 is not visited */
    EQUAL(false, b.guidance_first = 30; b.guidance_last = 70);
    EQUAL(true, a.guidance_scale = b.guidance_scale = 1; b.guidance_schedule = PD_GUIDANCE_COSINE);  /* w = 0 */
    EQUAL(false, b.guidance_schedule = PD_GUIDANCE_LINEAR);
    EQUAL(false, b.guidance_schedule = PD_GUIDANCE_COSINE);
    EQUAL(true, b.norm_threshold = 1e6f);
    EQUAL(false, b.norm_threshold = 0.001f);
    EQUAL(false, b.momentum = -0.5f);
    EQUAL(false, b.momentum = -0.5f; b.projection = 1; b.keep_parallel = 0.5f; b.rescale = 0.3f);
    EQUAL(true, b.projection = 1; b.keep_parallel = 1);
    EQUAL(false, b.negative_label = 2);
    EQUAL(true, a.guidance_scale = 1; b.guidance_scale = 1; b.negative_label = 2);
    EQUAL(false, b.cfg_plus_plus = 1);
    EQUAL(true, a.guidance_scale = b.guidance_scale = 0; b.cfg_plus_plus = 1); /* both are the null prediction alone */
    EQUAL(false, b.cfg_plus_plus = 1; b.guidance_scale = 1; a.guidance_scale = 1);
    EQUAL(false, b.threshold = 1.0f);
#undef EQUAL
}

/* Kept are the predictions that a call needs: at scale 1 the conditional one, at 0 the null one. */
static void test_kept_predictions(void)
{
    float values[VALUES];
    uint8_t pixels[1];
    for (int32_t scale = 0; scale < 2; scale++) {
        pd_options options = defaults();
        pd_run *run = NULL;
        options.guidance_scale = (float)scale;
        CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 0, 0}, 1, &run, NULL) == PD_OK);
        CHECK(pd_run_keep_predictions(run, NULL) == PD_OK && pd_run_step(run, NULL) == PD_OK);
        CHECK(pd_run_has_plane(run, PD_PLANE_CONDITIONAL) == (scale == 1));
        CHECK(pd_run_has_plane(run, PD_PLANE_NULL) == (scale == 0));
        CHECK(pd_run_plane(run, 0, PD_PLANE_CONDITIONAL, values, VALUES, NULL) == (scale == 1 ? PD_OK : PD_STATE));
        pd_run_free(run);
    }
    CHECK(pd_model_to_pixels(model, values, NULL, 0, NULL) == PD_ARG);
    CHECK(pd_model_to_pixels(model, values, pixels, sizeof pixels, NULL) == PD_BUFFER);
}

int main(void)
{
    size_t size;
    char *bytes = golden_read("tiny", "gguf", &size);
    CHECK(pd_model_load(bytes, size, &model, NULL) == PD_OK);
    test_combinations();
    test_arguments();
    test_recommendations(bytes, size);
    test_samplers();
    test_equal_samplers();
    test_guidance();
    test_kept_predictions();
    pd_model_free(model);
    free(bytes);
    return check_result();
}
