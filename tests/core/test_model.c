/* The whole core on a small random network, against what PyTorch made of the
 * same file (tests/parity/make_tiny_model.py describes tiny.bin). */
#include <math.h>
#include <string.h>

#include "check.h"
#include "golden.h"
#include "kernels.h"
#include "model.h"

enum { SIDE = 16, CHANNELS = 1, VALUES = 4 * 8 * 8, PIXELS = SIDE * SIDE * CHANNELS };

static const unsigned char *cursor;

static void take(void *target, size_t size)
{
    memcpy(target, cursor, size);
    cursor += size;
}

static int32_t take_int(void)
{
    int32_t value;
    take(&value, sizeof value);
    return value;
}

static float take_float(void)
{
    float value;
    take(&value, sizeof value);
    return value;
}

static double largest_magnitude(const float *values)
{
    double largest = 0;
    for (int i = 0; i < VALUES; i++) largest = fmax(largest, fabs((double)values[i]));
    return largest;
}

static double largest_difference(const float *a, const float *b)
{
    double largest = 0;
    for (int i = 0; i < VALUES; i++) largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

static void test_forward(pd_model *model)
{
    double worst = 0;
    for (int32_t left = take_int(); left > 0; left--) {
        float x[VALUES], expected[VALUES], prediction[VALUES];
        const int32_t t = take_int(), label = take_int();
        take(x, sizeof x);
        take(expected, sizeof expected);
        CHECK(pd_model_predict(model, x, t, label, prediction, NULL) == PD_OK);
        worst = fmax(worst, largest_difference(prediction, expected) / largest_magnitude(expected));
    }
    printf("forward: largest error %.2g of the largest magnitude\n", worst);
    CHECK(worst < 1e-4);
}

/* What the run made so far, in a run of another model, or of the same. */
static pd_run *handed_over(pd_run *run, pd_model *model, const pd_options *options, const pd_picture *picture)
{
    static uint8_t saved[1 << 14];
    const size_t size = pd_run_saved_bytes(run);
    pd_run *next = NULL;
    CHECK(pd_run_save(run, 0, saved, sizeof saved, NULL) == PD_OK);
    pd_run_free(run);
    CHECK(pd_run_start(model, options, picture, 1, &next, NULL) == PD_OK);
    CHECK(pd_run_restore(next, saved, size, NULL) == PD_OK);
    return next;
}

/* The reference's runs; with another instance of the same model every step in the other one. */
static void test_trajectories(pd_model *model, pd_model *other)
{
    double worst = 0;
    int different = 0, far = 0;
    for (int32_t left = take_int(); left > 0; left--) {
        pd_options options;
        pd_picture picture = {0, 0, 0, 0};
        pd_run *run = NULL;
        CHECK(pd_options_init(model, &options) == PD_OK);
        picture.label = take_int();
        picture.seed = (uint64_t)take_int();
        options.sampler = take_int();
        options.steps = take_int();
        options.projection = take_int();
        options.guidance_scale = take_float();
        options.eta = take_float();
        options.rescale = take_float();
        CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
        if (!run) return;
        CHECK(pd_run_steps_total(run) == options.steps);
        for (int32_t step = 0; step < options.steps; step++) {
            float expected[VALUES], state[VALUES];
            take(expected, sizeof expected);
            CHECK(pd_run_step(run, NULL) == PD_OK);
            CHECK(pd_run_state(run, 0, state, VALUES, NULL) == PD_OK);
            worst = fmax(worst, largest_difference(state, expected));
            if (other) run = handed_over(run, step % 2 ? model : other, &options, &picture);
        }
        uint8_t expected[PIXELS], pixels[PIXELS];
        take(expected, sizeof expected);
        CHECK(pd_run_step(run, NULL) == PD_STATE);
        CHECK(pd_run_next_timestep(run) == -1);
        CHECK(pd_run_finish(run, 0, pixels, PIXELS - 1, NULL) == PD_BUFFER);
        CHECK(pd_run_finish(run, 0, pixels, PIXELS, NULL) == PD_OK);
        for (int i = 0; i < PIXELS; i++) {
            different += pixels[i] != expected[i];
            far += abs(pixels[i] - expected[i]) > 1;
        }
        pd_run_free(run);
    }
    printf("trajectories: largest error %.2g; %d pixels differ\n", worst, different);
    CHECK(worst < 1e-3);
    CHECK(far == 0);
    CHECK(different * 1000 <= 4 * PIXELS);
}

static void generate(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count,
                     uint8_t *pixels)
{
    pd_run *run = NULL;
    CHECK(pd_run_start(model, options, pictures, count, &run, NULL) == PD_OK);
    while (run && pd_run_steps_done(run) < pd_run_steps_total(run)) CHECK(pd_run_step(run, NULL) == PD_OK);
    for (int32_t i = 0; i < count; i++) CHECK(pd_run_finish(run, i, pixels + i * PIXELS, PIXELS, NULL) == PD_OK);
    pd_run_free(run);
}

/* x after every step, [steps][pictures][VALUES]. */
static void follow(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count, float *states)
{
    pd_run *run = NULL;
    CHECK(pd_run_start(model, options, pictures, count, &run, NULL) == PD_OK);
    for (int32_t step = 0; run && step < options->steps; step++) {
        CHECK(pd_run_step(run, NULL) == PD_OK);
        for (int32_t i = 0; i < count; i++, states += VALUES)
            CHECK(pd_run_state(run, i, states, VALUES, NULL) == PD_OK);
    }
    pd_run_free(run);
}

/* A run that begins like an earlier one, wholly or in part, makes the bits that
 * it makes on a model that has made none. */
static void test_repeated_start(const unsigned char *bytes, size_t size)
{
    enum { COUNT = 7, STEPS = 3 };
    static float expected[STEPS * COUNT * VALUES], states[STEPS * COUNT * VALUES];
    static const float scales[] = {2, 5, 0, 1, 7.5f, 2};
    pd_model *used = NULL;
    CHECK(pd_model_load(bytes, size, &used, NULL) == PD_OK);
    for (int32_t turn = 0; turn < 6; turn++) {
        pd_model *fresh = NULL;
        pd_options options;
        pd_picture pictures[COUNT];
        CHECK(pd_model_load(bytes, size, &fresh, NULL) == PD_OK);
        CHECK(pd_options_init(used, &options) == PD_OK);
        options.steps = STEPS;
        options.guidance_scale = scales[turn];
        options.negative_label = turn == 4 ? 1 : PD_LABEL_NULL;
        options.momentum = turn == 4 ? -0.5f : 0.0f;
        for (int32_t i = 0; i < COUNT; i++) /* some as before, some new, one twice */
            pictures[i] = (pd_picture){i % 3, 0, (uint64_t)(i % (COUNT - 1) + turn / 2 * 2), 0};
        follow(fresh, &options, pictures, COUNT, expected);
        follow(used, &options, pictures, COUNT, states);
        CHECK(memcmp(states, expected, sizeof states) == 0);
        pd_model_free(fresh);
    }
    pd_model_free(used);
}

/* The bits of a picture depend neither on its neighbours in a run nor on what
 * the model did before, an unfinished run included. */
static void test_independence(pd_model *model)
{
    enum { COUNT = 11 };
    static uint8_t together[COUNT * PIXELS], alone[PIXELS];
    pd_picture pictures[COUNT];
    pd_options options;
    pd_run *abandoned = NULL;
    CHECK(pd_options_init(model, &options) == PD_OK);
    options.steps = 3;
    for (int32_t i = 0; i < COUNT; i++) pictures[i] = (pd_picture){i % 3, 0, (uint64_t)i * 77u, 0};
    generate(model, &options, pictures, COUNT, together);
    CHECK(pd_run_start(model, &options, pictures, 2, &abandoned, NULL) == PD_OK);
    CHECK(pd_run_step(abandoned, NULL) == PD_OK);
    for (int32_t i = 0; i < COUNT; i++) {
        generate(model, &options, &pictures[i], 1, alone);
        CHECK(memcmp(alone, together + i * PIXELS, PIXELS) == 0);
    }
    pd_run_free(abandoned);
}

static void test_refusals(pd_model *model)
{
    pd_options good, bad;
    pd_error error;
    pd_run *run = NULL;
    const pd_picture picture = {0, 0, 0, 0};
    CHECK(pd_options_init(model, &good) == PD_OK);
#define REFUSED(field, value, expected)                                              \
    do {                                                                             \
        bad = good;                                                                  \
        bad.field = (value);                                                         \
        CHECK(pd_run_start(model, &bad, &picture, 1, &run, &error) == (expected));    \
        CHECK(run == NULL && error.status == (expected) && strlen(error.message) > 0); \
    } while (0)
    REFUSED(struct_size, 4, PD_ABI);
    REFUSED(steps, 0, PD_STEPS);
    REFUSED(steps, -1, PD_STEPS);
    REFUSED(steps, 101, PD_STEPS);
    REFUSED(guidance_scale, NAN, PD_SCALE);
    REFUSED(guidance_scale, INFINITY, PD_SCALE);
    REFUSED(guidance_scale, -0.5f, PD_SCALE);
    REFUSED(guidance_scale, 100.5f, PD_SCALE);
    REFUSED(sampler, PD_SAMPLER_COUNT, PD_SAMPLER);
    REFUSED(sampler, -1, PD_SAMPLER);
    REFUSED(eta, 1.5f, PD_OPTION);
    REFUSED(rescale, NAN, PD_OPTION);
    REFUSED(keep_parallel, -1.0f, PD_OPTION);
    REFUSED(projection, 2, PD_OPTION);
    REFUSED(time_grid, -1, PD_OPTION);
    REFUSED(time_grid, 99, PD_OPTION);
    REFUSED(ddpm_mean, 1, PD_OPTION); /* the sampler is DDIM */
    REFUSED(ddpm_variance, 1, PD_OPTION);
    REFUSED(threshold, 1.5f, PD_OPTION);
    REFUSED(threshold, NAN, PD_OPTION);
    REFUSED(momentum, -1.5f, PD_OPTION);
    REFUSED(momentum, NAN, PD_OPTION);
    REFUSED(norm_threshold, -1.0f, PD_OPTION);
    REFUSED(norm_threshold, INFINITY, PD_OPTION);
    REFUSED(cfg_plus_plus, 2, PD_OPTION);
    REFUSED(guidance_first, -1, PD_OPTION);
    REFUSED(guidance_last, 100, PD_OPTION);
    REFUSED(guidance_schedule, 99, PD_OPTION);
    REFUSED(negative_label, 3, PD_LABEL);
    REFUSED(negative_label, -1, PD_LABEL);
#undef REFUSED
    const int32_t bad_labels[] = {-1, 3, INT32_MIN, PD_LABEL_NULL};
    for (int i = 0; i < 4; i++) {
        const pd_picture wrong = {bad_labels[i], 0, 0, 0};
        CHECK(pd_run_start(model, &good, &wrong, 1, &run, &error) == PD_LABEL);
    }
    CHECK(pd_run_start(NULL, &good, &picture, 1, &run, NULL) == PD_ARG);
    CHECK(pd_run_start(model, NULL, &picture, 1, &run, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &good, NULL, 1, &run, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &good, &picture, 0, &run, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &good, &picture, PD_MAX_PICTURES + 1, &run, NULL) == PD_ARG);
    CHECK(pd_run_start(model, &good, &picture, 1, NULL, NULL) == PD_ARG);
    CHECK(pd_run_step(NULL, NULL) == PD_ARG);

    CHECK(pd_run_start(model, &good, &picture, 1, &run, NULL) == PD_OK);
    uint8_t pixels[PIXELS];
    CHECK(pd_run_finish(run, 0, pixels, PIXELS, &error) == PD_STATE);
    CHECK(pd_run_preview(run, 1, pixels, PIXELS, &error) == PD_ARG);
    CHECK(pd_run_preview(run, 0, NULL, PIXELS, &error) == PD_ARG);
    CHECK(pd_run_preview(run, 0, pixels, PIXELS, &error) == PD_OK);
    pd_run_free(run);

    float x[VALUES] = {0};
    CHECK(pd_model_predict(model, x, -1, 0, x, NULL) == PD_ARG);
    CHECK(pd_model_predict(model, x, 100, 0, x, NULL) == PD_ARG);
    CHECK(pd_model_predict(model, x, 0, 3, x, NULL) == PD_LABEL);
    CHECK(pd_model_predict(model, NULL, 0, 0, x, NULL) == PD_ARG);
}

/* Non-finite numbers are reported, and spoil only their own run. */
static void test_nonfinite(pd_model *model)
{
    float x[VALUES], prediction[VALUES];
    for (int i = 0; i < VALUES; i++) x[i] = i == 9 ? INFINITY : 0.5f;
    CHECK(pd_model_predict(model, x, 3, 0, prediction, NULL) == PD_OK);
    pd_options options;
    const pd_picture picture = {1, 0, 5, 0};
    static uint8_t first[PIXELS], second[PIXELS];
    CHECK(pd_options_init(model, &options) == PD_OK);
    options.steps = 2;
    generate(model, &options, &picture, 1, first);
    CHECK(pd_model_predict(model, x, 3, 0, prediction, NULL) == PD_OK);
    generate(model, &options, &picture, 1, second);
    CHECK(memcmp(first, second, PIXELS) == 0);
}

/* What a run shows of its last call is what pd_model_predict makes of x_t; nothing is kept unless asked for. */
static void test_planes(pd_model *model)
{
    static float x[VALUES], values[VALUES], prediction[VALUES];
    static uint8_t pixels[PIXELS], traced[PIXELS], plain[2 * PIXELS];
    const pd_picture pictures[] = {{1, 0, 5, 0}, {2, 0, 6, 0}};
    const int32_t labels[] = {1, 2};
    pd_options options;
    pd_run *run;
    pd_error error;
    CHECK(pd_options_init(model, &options) == PD_OK);
    options.steps = 3;
    options.momentum = -0.5f; /* changes the null prediction after it was made */
    generate(model, &options, pictures, 2, plain);
    CHECK(pd_run_start(model, &options, pictures, 2, &run, NULL) == PD_OK);
    CHECK(!pd_run_has_plane(run, PD_PLANE_X0) && pd_run_plane(run, 0, PD_PLANE_X0, values, VALUES, &error) == PD_STATE);
    CHECK(pd_run_step(run, NULL) == PD_OK);
    CHECK(pd_run_has_plane(run, PD_PLANE_X0) && !pd_run_has_plane(run, PD_PLANE_NULL));
    CHECK(pd_run_plane(run, 0, PD_PLANE_NULL, values, VALUES, &error) == PD_STATE && error.status == PD_STATE);
    CHECK(pd_run_keep_predictions(run, NULL) == PD_OK && pd_run_keep_predictions(run, NULL) == PD_OK);
    CHECK(!pd_run_has_plane(run, PD_PLANE_CONDITIONAL)); /* of the call before */
    while (pd_run_next_timestep(run) >= 0) {
        const int32_t t = pd_run_next_timestep(run);
        CHECK(pd_run_state(run, 1, x, VALUES, NULL) == PD_OK && pd_run_step(run, NULL) == PD_OK);
        CHECK(pd_run_plane(run, 1, PD_PLANE_CONDITIONAL, values, VALUES, NULL) == PD_OK);
        CHECK(pd_model_predict(model, x, t, labels[1], prediction, NULL) == PD_OK);
        CHECK(memcmp(values, prediction, sizeof values) == 0);
        CHECK(pd_run_plane(run, 1, PD_PLANE_NULL, values, VALUES, NULL) == PD_OK);
        CHECK(pd_model_predict(model, x, t, PD_LABEL_NULL, prediction, NULL) == PD_OK);
        CHECK(memcmp(values, prediction, sizeof values) == 0);
        CHECK(pd_run_plane(run, 1, PD_PLANE_X0, values, VALUES, NULL) == PD_OK);
        CHECK(pd_run_preview(run, 1, pixels, PIXELS, NULL) == PD_OK);
        CHECK(pd_model_to_pixels(model, values, traced, PIXELS, NULL) == PD_OK && memcmp(pixels, traced, PIXELS) == 0);
    }
    for (int32_t i = 0; i < 2; i++) {
        CHECK(pd_run_finish(run, i, pixels, PIXELS, NULL) == PD_OK && memcmp(pixels, plain + i * PIXELS, PIXELS) == 0);
        CHECK(!pd_run_has_plane(run, i == 0 ? -1 : PD_PLANE_COUNT));
    }
    CHECK(pd_run_plane(run, 2, PD_PLANE_X0, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_plane(run, 0, PD_PLANE_COUNT, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_plane(run, 0, -1, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_plane(run, 0, PD_PLANE_X0, values, VALUES - 1, NULL) == PD_BUFFER);
    CHECK(pd_run_plane(run, 0, PD_PLANE_X0, NULL, VALUES, NULL) == PD_ARG);
    CHECK(pd_run_plane(NULL, 0, PD_PLANE_X0, values, VALUES, NULL) == PD_ARG && !pd_run_has_plane(NULL, PD_PLANE_X0));
    CHECK(pd_run_keep_predictions(NULL, &error) == PD_ARG && error.status == PD_ARG);
    CHECK(pd_model_to_pixels(model, values, pixels, PIXELS - 1, NULL) == PD_BUFFER);
    CHECK(pd_model_to_pixels(NULL, values, pixels, PIXELS, NULL) == PD_ARG);
    CHECK(pd_model_to_pixels(model, NULL, pixels, PIXELS, NULL) == PD_ARG);
    pd_run_free(run);
}

/* Every value of the network can be seen, the last one is the prediction, and what is seen changes nothing. */
static void test_activations(pd_model *model)
{
    static float values[1 << 16];
    float x[VALUES], before[VALUES], after[VALUES];
    const int32_t count = model->network.graph.count;
    pd_error error;
    for (int i = 0; i < VALUES; i++) x[i] = sinf((float)i);
    CHECK(pd_model_predict(model, x, 40, 1, before, NULL) == PD_OK);
    for (int32_t i = 0; i < count; i++) {
        const size_t needed = pd_network_value_count(&model->network, i);
        CHECK(needed > 0 && needed + 1 < sizeof values / sizeof *values);
        values[needed] = 12345.0f;
        CHECK(pd_model_activations(model, x, 40, 1, i, values, needed, NULL) == PD_OK);
        for (size_t k = 0; k < needed; k++) CHECK(values[k] - values[k] == 0.0f); /* finite */
        CHECK(values[needed] == 12345.0f);
        CHECK(pd_model_activations(model, x, 40, 1, i, values, needed - 1, &error) == PD_BUFFER && error.status == PD_BUFFER);
        if (i == 0) CHECK(needed == VALUES && memcmp(values, x, sizeof x) == 0);
        if (i == count - 1) CHECK(needed == VALUES && memcmp(values, before, sizeof before) == 0);
    }
    CHECK(pd_model_predict(model, x, 40, 1, after, NULL) == PD_OK && memcmp(before, after, sizeof before) == 0);
    CHECK(pd_model_activations(model, x, 40, 1, count, values, VALUES, &error) == PD_ARG);
    CHECK(strstr(error.message, "operation is") != NULL);
    CHECK(pd_model_activations(model, x, 40, 1, -1, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_model_activations(model, x, 100, 1, 0, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_model_activations(model, x, 40, 3, 0, values, VALUES, NULL) == PD_LABEL);
    CHECK(pd_model_activations(model, NULL, 40, 1, 0, values, VALUES, NULL) == PD_ARG);
    CHECK(pd_model_activations(model, x, 40, 1, 0, NULL, VALUES, NULL) == PD_ARG);
    CHECK(pd_model_activations(NULL, x, 40, 1, 0, values, VALUES, NULL) == PD_ARG);
}

static void test_info(const pd_model *model)
{
    const pd_model_info *info = pd_model_get_info(model);
    CHECK(info->width == SIDE && info->height == SIDE && info->channels == CHANNELS && info->pixel_unshuffle == 2);
    CHECK(info->network_channels == 4 && info->network_out_channels == 4 && info->network_width == 8);
    CHECK(info->class_count == 3 && info->timesteps == 100 && info->objective == PD_OBJECTIVE_V);
    CHECK(strcmp(info->name, "Tiny test model") == 0 && strcmp(info->schedule_name, "cosine") == 0);
    CHECK(strcmp(pd_model_class_name(model, 1), "square") == 0);
    CHECK(pd_model_class_name(model, 3) == NULL && pd_model_class_name(model, -1) == NULL);
    CHECK(info->parameter_count == 167500); /* as counted by PyTorch: sum of numel() over state_dict() */
}

int main(void)
{
    size_t model_size, fixture_size;
    unsigned char *bytes = (unsigned char *)golden_read("tiny", "gguf", &model_size);
    unsigned char *fixture = (unsigned char *)golden_read("tiny", "bin", &fixture_size);

    for (int use_reference = 0; use_reference < 2; use_reference++) {
        printf("%s kernels\n", use_reference ? "reference" : "vectorised");
        pd_kernels_use_reference(use_reference);
        pd_model *model;
        pd_error error;
        const pd_status status = pd_model_load(bytes, model_size, &model, &error);
        if (status != PD_OK) fprintf(stderr, "%s: %s\n", pd_status_name(status), error.message);
        CHECK(status == PD_OK);
        if (status != PD_OK) break;
        cursor = fixture;
        test_info(model);
        test_forward(model);
        if (!use_reference) { /* the specification is too slow for more */
            const unsigned char *const trajectories = cursor;
            test_trajectories(model, NULL);
            CHECK(cursor == fixture + fixture_size);
            pd_model *other = NULL;
            CHECK(pd_model_load(bytes, model_size, &other, NULL) == PD_OK);
            cursor = trajectories;
            test_trajectories(model, other);
            pd_model_free(other);
            test_independence(model);
            test_repeated_start(bytes, model_size);
            test_refusals(model);
            test_nonfinite(model);
            test_planes(model);
            test_activations(model);
        }
        pd_model_free(model);
    }
    pd_kernels_use_reference(false);
    free(bytes);
    free(fixture);
    return check_result();
}
