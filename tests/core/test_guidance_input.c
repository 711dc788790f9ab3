/* A network that takes the guidance scale as an input: one evaluation a step, rows of
 * the class table interpolated between scales, options of guidance from two
 * predictions refused. That the numbers are PyTorch's is checked in
 * tests/parity/test_guidance_input.py. */
#include "check.h"
#include "golden.h"
#include "pocket_diffusion.h"

enum { VALUES = 4 * 4 * 4, SCALES = 4 };
static const float scales[SCALES] = {0.5f, 1.0f, 3.0f, 8.0f}; /* of the fixture */

static pd_model *model;

static pd_options defaults(void)
{
    pd_options options;
    CHECK(pd_options_init(model, &options) == PD_OK);
    return options;
}

static pd_run *start(const pd_options *options, int32_t label)
{
    pd_run *run = NULL;
    pd_error error = {0};
    CHECK(pd_run_start(model, options, &(pd_picture){label, 0, 7, 0}, 1, &run, &error) == PD_OK);
    if (!run) fprintf(stderr, "%s\n", error.message);
    return run;
}

static void generate(const pd_options *options, int32_t label, float state[VALUES])
{
    pd_run *run = start(options, label);
    while (pd_run_steps_done(run) < pd_run_steps_total(run)) CHECK(pd_run_step(run, NULL) == PD_OK);
    CHECK(pd_run_state(run, 0, state, VALUES, NULL) == PD_OK);
    pd_run_free(run);
}

static float largest_difference(size_t count, const float *a, const float *b)
{
    float most = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float difference = a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
        if (difference > most) most = difference;
    }
    return most;
}

static void test_info(void)
{
    const pd_model_info *info = pd_model_get_info(model);
    CHECK(info->guidance_is_input && info->class_count == 3);
    CHECK(info->guidance_is_input && !info->has_null_class);
    CHECK(info->guidance_scale_min == 0.5f && info->guidance_scale_max == 8.0f);
    CHECK(info->recommended_sampler == PD_SAMPLER_LCM && info->recommended_steps == 2);
}

/* ---- refusals ------------------------------------------------------------------------ */

#define REFUSED(expected, word, ...)                                                    \
    do {                                                                                \
        pd_options o = defaults();                                                      \
        pd_error error = {0};                                                           \
        __VA_ARGS__;                                                                    \
        CHECK(pd_options_check(model, &o, &error) == expected && strstr(error.message, word)); \
    } while (0)

static void test_refusals(void)
{
    CHECK(pd_options_check(model, &(pd_options){0}, NULL) == PD_ABI);
    REFUSED(PD_OK, "");
    REFUSED(PD_OK, "", o.guidance_scale = 0.5f);
    REFUSED(PD_OK, "", o.guidance_scale = 8.0f);
    REFUSED(PD_SCALE, "the network knows 0.5 to 8", o.guidance_scale = 0.4f);
    REFUSED(PD_SCALE, "the network knows 0.5 to 8", o.guidance_scale = 8.5f);
    REFUSED(PD_SCALE, "guidance_scale", o.guidance_scale = 101.0f);
    REFUSED(PD_OPTION, "rescale", o.rescale = 0.5f);
    REFUSED(PD_OPTION, "projection", o.projection = 1);
    REFUSED(PD_OPTION, "momentum", o.momentum = 0.5f);
    REFUSED(PD_OPTION, "norm_threshold", o.norm_threshold = 2.0f);
    REFUSED(PD_OPTION, "cfg_plus_plus", o.cfg_plus_plus = 1; o.sampler = PD_SAMPLER_DDIM);
    REFUSED(PD_OPTION, "guidance_schedule", o.guidance_schedule = PD_GUIDANCE_COSINE);
    REFUSED(PD_OPTION, "guidance_first", o.guidance_first = 1);
    REFUSED(PD_OPTION, "guidance_last", o.guidance_last = 98);
    REFUSED(PD_OPTION, "negative_label", o.negative_label = 1);
    const float x[VALUES] = {0};
    float prediction[VALUES];
    pd_error error = {0};
    CHECK(pd_model_predict(model, x, 50, PD_LABEL_NULL, prediction, &error) == PD_LABEL && strstr(error.message, "stands for none"));
}

/* ---- what the scale does --------------------------------------------------------------- */

/* One prediction a step, also with all of them kept: there is no null one. */
static void test_one_evaluation(void)
{
    pd_options options = defaults();
    pd_run *run = start(&options, 0);
    CHECK(pd_run_keep_predictions(run, NULL) == PD_OK && pd_run_steps_total(run) == 2);
    CHECK(pd_run_step(run, NULL) == PD_OK);
    CHECK(pd_run_has_plane(run, PD_PLANE_CONDITIONAL) && !pd_run_has_plane(run, PD_PLANE_NULL));
    pd_run_free(run);
}

/* Rows are interpolated: what is drawn goes on evenly through a scale of the table, from either side, and is another
 * picture at the next one. */
static void test_interpolation(void)
{
    float at[VALUES], before[VALUES], after[VALUES], next[VALUES];
    pd_options options = defaults();
    options.steps = 1;
    for (int32_t k = 0; k < SCALES; k++) {
        options.guidance_scale = scales[k];
        generate(&options, 1, at);
        options.guidance_scale = k > 0 ? scales[k] * 0.9999f : scales[k];
        generate(&options, 1, before);
        options.guidance_scale = k + 1 < SCALES ? scales[k] * 1.0001f : scales[k];
        generate(&options, 1, after);
        options.guidance_scale = scales[(k + 1) % SCALES];
        generate(&options, 1, next);
        CHECK(largest_difference(VALUES, at, before) < 1e-3f && largest_difference(VALUES, at, after) < 1e-3f);
        CHECK(largest_difference(VALUES, at, next) > 1e-2f);
    }
}

/* Predictions are kept for runs that differ in their scale alone: not here, where the first one knows it. */
static void test_scale_matters_at_once(void)
{
    float low[VALUES], high[VALUES], again[VALUES];
    pd_options options = defaults();
    options.steps = 1;
    options.guidance_scale = 1.0f;
    generate(&options, 1, low);
    options.guidance_scale = 6.0f;
    generate(&options, 1, high);
    CHECK(largest_difference(VALUES, low, high) > 0.01f);
    options.guidance_scale = 1.0f;
    generate(&options, 1, again);
    CHECK(largest_difference(VALUES, low, again) == 0.0f);
}

/* A mixture of one class with all of the weight is that class. */
static void test_mix(void)
{
    float alone[VALUES], mixed[VALUES];
    const pd_class_weight mix[2] = {{1, 0.0f}, {2, 3.0f}};
    pd_options options = defaults();
    options.guidance_scale = 2.2f;
    generate(&options, 2, alone);
    options.mix = mix;
    options.mix_size = 2;
    for (int32_t mode = 0; mode < PD_MIX_COUNT; mode++) {
        options.mix_mode = mode;
        generate(&options, PD_LABEL_NULL, mixed);
        CHECK(largest_difference(VALUES, alone, mixed) == 0.0f);
    }
}

int main(void)
{
    size_t size = 0;
    char *bytes = golden_read("tiny_guided", "gguf", &size);
    pd_error error = {0};
    CHECK(pd_model_load(bytes, size, &model, &error) == PD_OK);
    if (!model) fprintf(stderr, "%s\n", error.message);
    test_info();
    test_refusals();
    test_one_evaluation();
    test_interpolation();
    test_scale_matters_at_once();
    test_mix();
    pd_model_free(model);
    free(bytes);
    return check_result();
}
