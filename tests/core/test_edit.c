/* Editing: its arithmetic, and on the small network what must be exact and what
 * must be refused. The trajectories are compared with PyTorch in
 * tests/parity/test_editing.py. */
#include <string.h>

#include "check.h"
#include "edit.h"
#include "image.h"
#include "pocket_diffusion.h"
#include "random.h"

enum { SIDE = 16, VALUES = 4 * 8 * 8, PIXELS = SIDE * SIDE };

/* ---- arithmetic --------------------------------------------------------------- */

static void test_interpolation(void)
{
    enum { COUNT = 100 };
    float a[COUNT], b[COUNT], between[COUNT];
    pd_random random;
    pd_random_seed(&random, 1);
    pd_random_normal(&random, COUNT, a);
    pd_random_normal(&random, COUNT, b);
    for (int i = 0; i < COUNT; i++) b[i] += 0.5f * a[i];
    a[3] = -0.0f;
    pd_edit_interpolate(COUNT, a, b, 0.0, between);
    CHECK(memcmp(between, a, sizeof a) == 0);
    pd_edit_interpolate(COUNT, a, b, 1.0, between);
    CHECK(memcmp(between, b, sizeof b) == 0);

    double aa = 0, bb = 0, ab = 0;
    for (int i = 0; i < COUNT; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    const double angle = acos(ab / sqrt(aa * bb));
    for (int step = 1; step < 20; step++) {
        const double share = step / 20.0;
        pd_edit_interpolate(COUNT, a, b, share, between);
        for (int i = 0; i < COUNT; i++) {
            const double expected = (sin((1 - share) * angle) * (double)a[i] + sin(share * angle) * (double)b[i]) / sin(angle);
            CHECK(fabs((double)between[i] - expected) < 1e-6);
        }
    }
    /* Two numbers in the plane, at any angle: the length stays. */
    for (int degrees = 2; degrees < 179; degrees++) {
        const float x[2] = {1.0f, 0.0f}, y[2] = {(float)cos(degrees * 0.01745329252), (float)sin(degrees * 0.01745329252)};
        pd_edit_interpolate(2, x, y, 0.3, between);
        CHECK(fabs(hypot((double)between[0], (double)between[1]) - 1.0) < 1e-5);
        CHECK(fabs(atan2((double)between[1], (double)between[0]) - 0.3 * degrees * 0.01745329252) < 1e-4);
    }
    /* Where there is no arc, along the chord. */
    const float same[2] = {2.0f, 1.0f}, opposite[2] = {-2.0f, -1.0f}, nothing[2] = {0.0f, 0.0f};
    pd_edit_interpolate(2, same, same, 0.4, between);
    CHECK(fabs((double)between[0] - 2.0) < 1e-6 && fabs((double)between[1] - 1.0) < 1e-6);
    pd_edit_interpolate(2, same, opposite, 0.75, between);
    CHECK(fabs((double)between[0] + 1.0) < 1e-6);
    pd_edit_interpolate(2, nothing, same, 0.5, between);
    CHECK(fabs((double)between[0] - 1.0) < 1e-6);
    pd_edit_interpolate(2, same, nothing, 0.25, between);
    CHECK(fabs((double)between[0] - 1.5) < 1e-6 && fabs((double)between[1] - 0.75) < 1e-6);
}

/* Decimal halves go up, although floats are nearly always beside them. */
static void test_step_rounding(void)
{
    for (int32_t steps = 1; steps <= 10000; steps += steps < 50 ? 1 : 331)
        for (int32_t per_mille = 0; per_mille <= 1000; per_mille++) {
            const pd_options options = {.steps = steps, .strength = (float)(per_mille / 1000.0)};
            CHECK(pd_edit_steps(&options) == (per_mille * steps + 500) / 1000);
        }
}

static void test_diffusion(void)
{
    const float x[3] = {1.0f, -0.5f, 0.0f}, noise[3] = {0.25f, 2.0f, -1.0f}, known[3] = {9.0f, 8.0f, 7.0f};
    const uint8_t keep[3] = {0, 1, 0};
    float out[3];
    pd_edit_diffuse(0.36, 3, x, noise, out);
    for (int i = 0; i < 3; i++) CHECK(fabs((double)out[i] - (0.6 * (double)x[i] + 0.8 * (double)noise[i])) < 1e-6);
    pd_edit_diffuse(1.0, 3, x, noise, out);
    CHECK(memcmp(out, x, sizeof x) == 0);
    pd_edit_restore(3, keep, known, out);
    CHECK(out[0] == x[0] && out[1] == 8.0f && out[2] == x[2]);
}

/* ---- a run ---------------------------------------------------------------------- */

static pd_model *open_model(void)
{
    FILE *file = fopen("golden/tiny.gguf", "rb");
    if (!file) exit(EXIT_FAILURE);
    unsigned char *bytes = malloc(1 << 20);
    const size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    pd_model *model = NULL;
    CHECK(pd_model_load(bytes, size, &model, NULL) == PD_OK);
    free(bytes);
    return model;
}

static void generate(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count, uint8_t *pixels)
{
    pd_run *run = NULL;
    pd_error error;
    const pd_status status = pd_run_start(model, options, pictures, count, &run, &error);
    if (status != PD_OK) fprintf(stderr, "%s\n", error.message);
    CHECK(status == PD_OK);
    while (run && pd_run_steps_done(run) < pd_run_steps_total(run)) CHECK(pd_run_step(run, NULL) == PD_OK);
    CHECK(pd_run_step(run, NULL) == (run ? PD_STATE : PD_ARG));
    for (int32_t i = 0; i < count; i++) CHECK(pd_run_finish(run, i, pixels + i * PIXELS, PIXELS, NULL) == PD_OK);
    pd_run_free(run);
}

static uint8_t image[PIXELS], mask[PIXELS];

static pd_options some_options(const pd_model *model)
{
    pd_options options;
    CHECK(pd_options_init(model, &options) == PD_OK);
    options.steps = 3;
    return options;
}

static void test_exactness(pd_model *model)
{
    static uint8_t plain[PIXELS], edited[PIXELS], three[3 * PIXELS];
    const pd_picture one = {1, 0, 5, 0}, other = {1, 0, 6, 0};
    pd_options options = some_options(model);
    generate(model, &options, &one, 1, plain);

    const pd_class_weight mix[] = {{0, 0.0f}, {1, 3.5f}, {2, 0.0f}};
    options.mix = mix;
    options.mix_size = 3;
    const pd_picture mixed = {PD_LABEL_NULL, 0, 5, 0};
    for (options.mix_mode = 0; options.mix_mode < PD_MIX_COUNT; options.mix_mode++) {
        generate(model, &options, &mixed, 1, edited);
        CHECK(memcmp(edited, plain, PIXELS) == 0); /* one class alone has a weight */
    }

    options = some_options(model);
    options.variation_strength = 1.0f;
    generate(model, &options, &(pd_picture){1, 0, 6, 5}, 1, edited);
    CHECK(memcmp(edited, plain, PIXELS) == 0);
    float noise[VALUES];
    pd_random random;
    pd_random_seed(&random, 5);
    pd_random_normal(&random, VALUES, noise);
    options = some_options(model);
    options.noise = noise;
    options.noise_size = VALUES;
    generate(model, &options, &other, 1, edited);
    CHECK(memcmp(edited, plain, PIXELS) == 0);

    options = some_options(model);
    options.image = image;
    options.image_size = PIXELS;
    options.strength = 0.0f;
    generate(model, &options, &one, 1, edited);
    CHECK(memcmp(edited, image, PIXELS) == 0);
    options.strength = 1.0f;
    options.mask = mask;
    options.mask_size = PIXELS;
    const pd_picture pictures[3] = {{0, 0, 1, 2}, {1, 0, 5, 2}, {2, 0, 3, 2}};
    for (options.sampler = 0; options.sampler < PD_SAMPLER_COUNT; options.sampler++) {
        generate(model, &options, pictures, 3, three);
        generate(model, &options, &pictures[1], 1, edited);
        CHECK(memcmp(edited, three + PIXELS, PIXELS) == 0);
        int changed = 0;
        for (int i = 0; i < PIXELS; i++) {
            CHECK(mask[i] || edited[i] == image[i]);
            changed += mask[i] && edited[i] != image[i];
        }
        CHECK(changed > 0);
    }
}

/* More classes than pictures fit into one batch of the network. */
static void test_large_mix(pd_model *model)
{
    static uint8_t alone[PIXELS], together[5 * PIXELS];
    const pd_class_weight mix[] = {{0, 1}, {1, 2}, {2, 3}, {0, 4}, {1, 5}, {2, 6}, {0, 7}, {1, 8}};
    pd_options options = some_options(model);
    options.mix = mix;
    options.mix_size = 8;
    options.mix_mode = PD_MIX_PREDICTION;
    pd_picture pictures[5];
    for (int i = 0; i < 5; i++) pictures[i] = (pd_picture){PD_LABEL_NULL, 0, (uint64_t)i, 0};
    generate(model, &options, pictures, 5, together);
    for (int i = 0; i < 5; i++) {
        generate(model, &options, &pictures[i], 1, alone);
        CHECK(memcmp(alone, together + i * PIXELS, PIXELS) == 0);
    }
}

static void test_step_counts(pd_model *model)
{
    static const int32_t expected[][3] = {{PD_SAMPLER_DDIM, 1, 4}, {PD_SAMPLER_DDIM, 3, 10}, {PD_SAMPLER_HEUN, 1, 7}, {PD_SAMPLER_HEUN, 2, 13}};
    const pd_picture picture = {0, 0, 0, 0};
    pd_options options = some_options(model);
    options.steps = 8;
    options.image = image;
    options.image_size = PIXELS;
    options.mask = mask;
    options.mask_size = PIXELS;
    options.strength = 0.5f;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        pd_run *run = NULL;
        options.sampler = expected[i][0];
        options.resample = expected[i][1];
        CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
        CHECK(pd_run_steps_total(run) == expected[i][2]);
        CHECK(pd_run_next_timestep(run) == 49); /* T = 100 */
        pd_run_free(run);
    }
}

/* Where a run starts (pd_run_start), at the times 49 and 99 of 100. */
static void test_starts(pd_model *model)
{
    static const struct {
        float strength;
        bool masked;
        int32_t t; /* -1: x_T alone */
    } cases[] = {{0.5f, false, 49}, {1.0f, false, 99}, {0.5f, true, 49}, {1.0f, true, -1}};
    static float noise[VALUES], values[VALUES], state[VALUES];
    const double *abar = pd_model_get_info(model)->alphas_cumprod;
    const pd_picture picture = {0, 0, 11, 0};
    pd_random random;
    pd_random_seed(&random, picture.seed);
    pd_random_normal(&random, VALUES, noise);
    pd_image_from_pixels(image, SIDE, SIDE, 1, 2, values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_options options = some_options(model);
        pd_run *run = NULL;
        options.steps = 8;
        options.image = image;
        options.image_size = PIXELS;
        options.strength = cases[i].strength;
        options.mask = cases[i].masked ? mask : NULL;
        options.mask_size = cases[i].masked ? PIXELS : 0;
        CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
        CHECK(pd_run_state(run, 0, state, VALUES, NULL) == PD_OK);
        const double known = cases[i].t < 0 ? 0.0 : abar[cases[i].t];
        for (int k = 0; k < VALUES; k++)
            CHECK_NEAR(state[k], sqrt(known) * (double)values[k] + sqrt(1.0 - known) * (double)noise[k], 1e-6);
        pd_run_free(run);
    }
}

/* RePaint (Lugmayr et al. 2022, algorithm 1) with DDIM's step (Song et al. 2021,
 * eq. 12 and 16), written down again in double precision around the network alone. */
static void test_resampling(pd_model *model)
{
    enum { STEPS = 4, PASSES = 3 };
    static const int32_t times[STEPS + 1] = {99, 74, 49, 24, -1};
    static float x[VALUES], v[VALUES], drawn[3][VALUES], values[VALUES], state[VALUES];
    static uint8_t keep[VALUES];
    const double *abar = pd_model_get_info(model)->alphas_cumprod;
    const pd_picture picture = {1, 0, 5, 0};
    pd_options options = some_options(model);
    options.sampler = PD_SAMPLER_DDIM;
    options.steps = STEPS;
    options.eta = 0.5f;
    options.guidance_scale = 1.0f;
    options.image = image;
    options.image_size = PIXELS;
    options.mask = mask;
    options.mask_size = PIXELS;
    options.resample = PASSES;
    pd_run *run = NULL;
    pd_random random;
    pd_random_seed(&random, picture.seed);
    pd_random_normal(&random, VALUES, x);
    pd_image_from_pixels(image, SIDE, SIDE, 1, 2, values);
    pd_image_mask_to_keep(mask, SIDE, SIDE, 1, 2, keep);
    CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
    for (int step = 0; step < STEPS; step++)
        for (int pass = 0; pass < (step == STEPS - 1 ? 1 : PASSES); pass++) {
            const bool last = step == STEPS - 1, back = !last && pass < PASSES - 1;
            const double a = abar[times[step]], next = last ? 1.0 : abar[times[step + 1]];
            const double deviation = 0.5 * sqrt((1 - a / next) * (1 - next) / (1 - a));
            CHECK(pd_run_next_timestep(run) == times[step]);
            CHECK(pd_model_predict(model, x, times[step], picture.label, v, NULL) == PD_OK);
            for (int i = 0; i < (last ? 0 : back ? 3 : 2); i++) pd_random_normal(&random, VALUES, drawn[i]);
            for (int k = 0; k < VALUES; k++) {
                const double x0 = fmax(-1, fmin(1, sqrt(a) * (double)x[k] - sqrt(1 - a) * (double)v[k]));
                const double eps = ((double)x[k] - sqrt(a) * x0) / sqrt(1 - a);
                double made = sqrt(next) * x0 + sqrt(1 - next - deviation * deviation) * eps + deviation * (double)drawn[0][k];
                if (keep[k]) made = sqrt(next) * (double)values[k] + sqrt(1 - next) * (double)drawn[1][k];
                if (back) made = sqrt(a / next) * made + sqrt(1 - a / next) * (double)drawn[2][k];
                x[k] = (float)made;
            }
            CHECK(pd_run_step(run, NULL) == PD_OK && pd_run_state(run, 0, state, VALUES, NULL) == PD_OK);
            for (int k = 0; k < VALUES; k++) CHECK_NEAR(state[k], x[k], 1e-4);
        }
    CHECK(pd_run_next_timestep(run) == -1);
    pd_run_free(run);
}

/* Heun's steps are two calls, and go back only as a whole. */
static void test_resampling_of_heun(pd_model *model)
{
    static const int32_t times[] = {99, 49, 99, 49, 49, -1};
    static uint8_t once[PIXELS], twice[PIXELS];
    const pd_picture picture = {1, 0, 5, 0};
    pd_options options = some_options(model);
    options.sampler = PD_SAMPLER_HEUN;
    options.steps = 2;
    options.image = image;
    options.image_size = PIXELS;
    options.mask = mask;
    options.mask_size = PIXELS;
    generate(model, &options, &picture, 1, once);
    options.resample = 2;
    pd_run *run = NULL;
    CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
    for (int step = 0; step < 5; step++) CHECK(pd_run_next_timestep(run) == times[step] && pd_run_step(run, NULL) == PD_OK);
    CHECK(pd_run_next_timestep(run) == times[5] && pd_run_finish(run, 0, twice, PIXELS, NULL) == PD_OK);
    CHECK(memcmp(once, twice, PIXELS) != 0);
    for (int i = 0; i < PIXELS; i++) CHECK(mask[i] || twice[i] == image[i]);
    pd_run_free(run);
}

static void test_inversion(pd_model *model)
{
    static float noise[VALUES];
    const pd_picture picture = {2, 0, 0, 0};
    pd_options options = some_options(model);
    options.guidance_scale = 1.0f;
    options.steps = 5;
    options.image = image;
    options.image_size = PIXELS;
    options.inversion = 2;
    pd_run *run = NULL;
    CHECK(pd_run_start(model, &options, &picture, 1, &run, NULL) == PD_OK);
    CHECK(pd_run_steps_total(run) == 10);
    static const int32_t times[] = {19, 19, 39, 39, 59, 59, 79, 79, 99, 99, -1};
    for (int step = 0; step < 10; step++) {
        CHECK(pd_run_next_timestep(run) == times[step]);
        CHECK(pd_run_step(run, NULL) == PD_OK);
    }
    CHECK(pd_run_next_timestep(run) == -1 && pd_run_step(run, NULL) == PD_STATE);
    CHECK(pd_run_state(run, 0, noise, VALUES, NULL) == PD_OK);
    pd_run_free(run);
}

/* ---- refusals --------------------------------------------------------------------- */

static void test_refusals(pd_model *model)
{
    static float noise[VALUES];
    static uint8_t grey[PIXELS];
    static float infinite[VALUES];
    grey[7] = 128;
    infinite[9] = INFINITY;
    const pd_class_weight mix[9] = {{0, 1}, {1, 1}, {2, 1}}, zero[2] = {{0, 0}, {1, 0}}, negative[2] = {{0, -1}, {1, 3}};
    const pd_class_weight unknown[2] = {{0, 1}, {3, 1}}, not_a_number[2] = {{0, NAN}, {1, 1}};
    const pd_class_weight below[2] = {{0, 1}, {-1, 1}}, heavy[2] = {{0, 1}, {1, 1e7f}};
    pd_options good = some_options(model), bad;
    const pd_picture picture = {0, 0, 0, 0}, none = {PD_LABEL_NULL, 0, 0, 0};
    pd_error error;
    pd_run *run = NULL;
    good.image = image;
    good.image_size = PIXELS;
#define REFUSED(status, name, ...)                                                       \
    do {                                                                                 \
        bad = good;                                                                      \
        __VA_ARGS__;                                                                     \
        CHECK(pd_run_start(model, &bad, &picture, 1, &run, &error) == (status) && !run); \
        CHECK(strncmp(error.message, name, strlen(name)) == 0);                          \
    } while (0)
    REFUSED(PD_OPTION, "strength", bad.strength = 1.5f);
    REFUSED(PD_OPTION, "strength", bad.strength = NAN);
    REFUSED(PD_OPTION, "strength", (bad.strength = 0.5f, bad.image = NULL, bad.image_size = 0));
    REFUSED(PD_BUFFER, "image", bad.image_size = PIXELS - 1);
    REFUSED(PD_ARG, "image", bad.image = NULL);
    REFUSED(PD_BUFFER, "mask", (bad.mask = mask, bad.mask_size = 4 * PIXELS));
    REFUSED(PD_OPTION, "mask: value 7 is 128", (bad.mask = grey, bad.mask_size = PIXELS));
    REFUSED(PD_OPTION, "mask", (bad.mask = mask, bad.mask_size = PIXELS, bad.image = NULL, bad.image_size = 0));
    REFUSED(PD_OPTION, "resample", bad.resample = 0);
    REFUSED(PD_OPTION, "resample", bad.resample = PD_MAX_RESAMPLE + 1);
    REFUSED(PD_OPTION, "resample: needs a mask", bad.resample = 2);
    for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++)
        if (sampler == PD_SAMPLER_DPMPP_2M || sampler == PD_SAMPLER_DPMPP_2M_SDE || sampler == PD_SAMPLER_UNIPC)
            REFUSED(PD_OPTION, "resample: not with",
                    (bad.sampler = sampler, bad.resample = 2, bad.mask = mask, bad.mask_size = PIXELS));
    REFUSED(PD_BUFFER, "noise", (bad.noise = noise, bad.noise_size = VALUES + 1));
    REFUSED(PD_NONFINITE, "noise: value 9", (bad.noise = infinite, bad.noise_size = VALUES));
    REFUSED(PD_OPTION, "variation_strength", bad.variation_strength = -0.1f);
    REFUSED(PD_OPTION, "variation_strength", bad.variation_strength = NAN);
    REFUSED(PD_OPTION, "mix_mode", bad.mix_mode = PD_MIX_COUNT);
    REFUSED(PD_OPTION, "mix", (bad.mix = mix, bad.mix_size = 1));
    REFUSED(PD_OPTION, "mix", (bad.mix = mix, bad.mix_size = 9));
    REFUSED(PD_OPTION, "mix", (bad.mix = mix, bad.mix_size = -1));
    REFUSED(PD_ARG, "mix", bad.mix_size = 2);
    REFUSED(PD_OPTION, "mix: all weights", (bad.mix = zero, bad.mix_size = 2));
    REFUSED(PD_OPTION, "mix: weight -1", (bad.mix = negative, bad.mix_size = 2));
    REFUSED(PD_OPTION, "mix: weight", (bad.mix = not_a_number, bad.mix_size = 2));
    REFUSED(PD_OPTION, "mix: weight 1e+07", (bad.mix = heavy, bad.mix_size = 2));
    REFUSED(PD_LABEL, "mix: label -1", (bad.mix = below, bad.mix_size = 2));
    REFUSED(PD_LABEL, "mix: label 3", (bad.mix = unknown, bad.mix_size = 2));
    REFUSED(PD_LABEL, "label 0", (bad.mix = mix, bad.mix_size = 3));
    REFUSED(PD_OPTION, "inversion", bad.inversion = -1);
    REFUSED(PD_OPTION, "inversion", bad.inversion = PD_MAX_INVERSION + 1);
    REFUSED(PD_OPTION, "inversion: needs an image", (bad.inversion = 1, bad.image = NULL, bad.image_size = 0));
    REFUSED(PD_OPTION, "inversion: only with", (bad.inversion = 1, bad.sampler = PD_SAMPLER_EULER));
    REFUSED(PD_OPTION, "inversion: only with", (bad.inversion = 1, bad.eta = 0.5f));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.mask = mask, bad.mask_size = PIXELS));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.noise = noise, bad.noise_size = VALUES));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.strength = 0.5f));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.variation_strength = 0.5f));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.threshold = 0.5f));
    REFUSED(PD_OPTION, "inversion: neither", (bad.inversion = 1, bad.cfg_plus_plus = 1));
#undef REFUSED
    CHECK(pd_run_start(model, &good, &none, 1, &run, &error) == PD_LABEL && !run);
}

int main(void)
{
    test_interpolation();
    test_step_rounding();
    test_diffusion();
    for (int i = 0; i < PIXELS; i++) {
        image[i] = (uint8_t)i; /* every level */
        mask[i] = i % SIDE > 4 && i / SIDE > 6 ? 255 : 0;
    }
    pd_model *model = open_model();
    test_exactness(model);
    test_large_mix(model);
    test_step_counts(model);
    test_starts(model);
    test_resampling(model);
    test_resampling_of_heun(model);
    test_inversion(model);
    test_refusals(model);
    pd_model_free(model);
    return check_result();
}
