/* Pictures that one run begins and another one finishes: the same bytes after
 * any step, with any option; and bytes that do not continue a run are refused.
 * That the numbers are the reference's, also with a change of hands after every
 * step, is checked in test_model.c. */
#include "check.h"
#include "golden.h"
#include "hash.h"
#include "pocket_diffusion.h"

enum { VALUES = 4 * 8 * 8, PIXELS = 16 * 16, STEPS = 4, MOST_BYTES = 1 << 14 };

static pd_model *first, *second; /* two instances of the same file */
static uint8_t image[PIXELS], mask[PIXELS];
static float noise[VALUES];
static const pd_class_weight mix[3] = {{0, 1.0f}, {1, 0.0f}, {2, 2.0f}};

static pd_options defaults(void)
{
    pd_options options;
    CHECK(pd_options_init(first, &options) == PD_OK);
    options.steps = STEPS;
    options.guidance_scale = 3.0f;
    return options;
}

static pd_run *start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count)
{
    pd_run *run = NULL;
    pd_error error = {0};
    CHECK(pd_run_start(model, options, pictures, count, &run, &error) == PD_OK);
    if (!run) fprintf(stderr, "%s\n", error.message);
    return run;
}

static void make_steps(pd_run *run, int32_t count)
{
    while (count-- > 0) CHECK(pd_run_step(run, NULL) == PD_OK);
}

static void save(const pd_run *run, int32_t picture, uint8_t bytes[MOST_BYTES])
{
    CHECK(pd_run_saved_bytes(run) <= MOST_BYTES);
    CHECK(pd_run_save(run, picture, bytes, MOST_BYTES, NULL) == PD_OK);
}

static void restore(pd_run *run, const uint8_t *bytes, size_t pictures)
{
    pd_error error = {0};
    CHECK(pd_run_restore(run, bytes, pictures * pd_run_saved_bytes(run), &error) == PD_OK);
    if (error.status != PD_OK) fprintf(stderr, "%s\n", error.message);
}

/* ---- the same bytes -------------------------------------------------------------------- */

/* Everything that a run shows of a picture. */
typedef struct view {
    int32_t step, next_time, has_x0;
    float state[VALUES];
    uint8_t preview[PIXELS];
} view;

static view look(const pd_run *run, int32_t picture)
{
    view seen = {.step = pd_run_steps_done(run), .next_time = pd_run_next_timestep(run), .has_x0 = pd_run_has_plane(run, PD_PLANE_X0)};
    CHECK(pd_run_state(run, picture, seen.state, VALUES, NULL) == PD_OK);
    CHECK(pd_run_preview(run, picture, seen.preview, PIXELS, NULL) == PD_OK);
    return seen;
}

static void check_same(const pd_run *run, int32_t picture, const view *expected)
{
    const view seen = look(run, picture);
    CHECK(memcmp(&seen, expected, sizeof seen) == 0);
}

/* After every number of steps the two pictures of a run go on in another instance of the model: in one run and, every
 * other time, the second by itself. */
static void test_continuing(const char *name, const pd_options *options)
{
    enum { MOST_CALLS = 4 * STEPS };
    static uint8_t saved[MOST_CALLS + 1][2 * MOST_BYTES];
    static view expected[MOST_CALLS + 1][2];
    const pd_picture pictures[2] = {{options->mix ? PD_LABEL_NULL : 1, 0, 7, 3}, {options->mix ? PD_LABEL_NULL : 2, 0, 8, 4}};
    const int failures = check_failures;
    pd_run *whole = start(first, options, pictures, 2);
    const int32_t total = pd_run_steps_total(whole);
    const size_t size = pd_run_saved_bytes(whole);
    CHECK(total <= MOST_CALLS);
    for (int32_t done = 0; done <= total; done++) {
        if (done > 0) make_steps(whole, 1);
        for (int32_t i = 0; i < 2; i++) {
            expected[done][i] = look(whole, i);
            CHECK(pd_run_save(whole, i, saved[done] + (size_t)i * size, size, NULL) == PD_OK);
        }
    }
    for (int32_t done = 0; done <= total; done++) {
        const int32_t alone = done % 2; /* the first one that goes on, 0 or 1 */
        pd_run *run = start(second, options, pictures + alone, 2 - alone);
        restore(run, saved[done] + (size_t)alone * size, (size_t)(2 - alone));
        for (int32_t step = done;; step++) {
            for (int32_t i = alone; i < 2; i++) check_same(run, i - alone, &expected[step][i]);
            if (step == total) break;
            make_steps(run, 1);
        }
        CHECK(pd_run_step(run, NULL) == PD_STATE);
        pd_run_free(run);
    }
    pd_run_free(whole);
    if (check_failures > failures) fprintf(stderr, "  with %s\n", name);
}

#define CONTINUES(...)                        \
    do {                                      \
        pd_options o = defaults();            \
        __VA_ARGS__;                          \
        test_continuing(#__VA_ARGS__, &o);    \
    } while (0)

static void use_mask(pd_options *o)
{
    o->image = image;
    o->mask = mask;
    o->image_size = o->mask_size = PIXELS;
}

static void use_image(pd_options *o)
{
    o->image = image;
    o->image_size = PIXELS;
}

static void use_mix(pd_options *o, int32_t mode)
{
    o->mix = mix;
    o->mix_size = 3;
    o->mix_mode = mode;
}

static void test_all_options(void)
{
    for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++) {
        CONTINUES(o.sampler = sampler; o.eta = 1.0f);
        CONTINUES(o.sampler = sampler; o.guidance_first = 30; o.guidance_last = 70; o.momentum = -0.5f; o.norm_threshold = 2.0f);
        CONTINUES(o.sampler = sampler; o.time_grid = PD_TIME_GRID_TRAILING; use_mask(&o));
    }
    CONTINUES(o.norm_threshold = 2.0f; o.projection = 1; o.rescale = 0.7f);
    CONTINUES(o.guidance_schedule = PD_GUIDANCE_COSINE; o.momentum = 0.5f);
    CONTINUES(o.sampler = PD_SAMPLER_DDIM; o.cfg_plus_plus = 1; o.threshold = 0.9f);
    CONTINUES(o.sampler = PD_SAMPLER_DDPM; o.ddpm_mean = PD_DDPM_MEAN_NOISE; o.ddpm_variance = PD_DDPM_VARIANCE_BETA);
    CONTINUES(o.negative_label = 0; o.variation_strength = 0.5f);
    CONTINUES(o.noise = noise; o.noise_size = VALUES);
    CONTINUES(o.strength = 0.5f; use_image(&o));
    CONTINUES(o.strength = 0.0f; use_image(&o));
    CONTINUES(use_mask(&o); o.sampler = PD_SAMPLER_DDPM; o.resample = 3);
    CONTINUES(use_mask(&o); o.sampler = PD_SAMPLER_HEUN; o.resample = 2);
    CONTINUES(use_image(&o); o.sampler = PD_SAMPLER_DDIM; o.eta = 0.0f; o.inversion = 2);
    CONTINUES(use_mix(&o, PD_MIX_EMBEDDING));
    CONTINUES(use_mix(&o, PD_MIX_PREDICTION); o.sampler = PD_SAMPLER_DDPM);
}

/* Predictions are not saved, but those of later steps can be kept. */
static void test_kept_predictions(void)
{
    static uint8_t saved[MOST_BYTES];
    const pd_picture picture = {1, 0, 7, 0};
    const pd_options options = defaults();
    float kept[VALUES], expected_kept[VALUES];
    pd_run *expected = start(first, &options, &picture, 1), *run = start(second, &options, &picture, 1);
    CHECK(pd_run_keep_predictions(expected, NULL) == PD_OK && pd_run_keep_predictions(run, NULL) == PD_OK);
    make_steps(expected, 2);
    save(expected, 0, saved);
    restore(run, saved, 1);
    CHECK(!pd_run_has_plane(run, PD_PLANE_NULL));
    make_steps(expected, 1);
    make_steps(run, 1);
    CHECK(pd_run_plane(run, 0, PD_PLANE_NULL, kept, VALUES, NULL) == PD_OK);
    CHECK(pd_run_plane(expected, 0, PD_PLANE_NULL, expected_kept, VALUES, NULL) == PD_OK);
    CHECK(memcmp(kept, expected_kept, sizeof kept) == 0);
    pd_run_free(expected);
    pd_run_free(run);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void refuse(pd_run *run, const uint8_t *bytes, size_t size, pd_status expected, const char *word)
{
    pd_error error = {0};
    CHECK(pd_run_restore(run, bytes, size, &error) == expected && error.status == expected);
    CHECK(strstr(error.message, word));
    if (!strstr(error.message, word)) fprintf(stderr, "  %s: %s\n", word, error.message);
    CHECK(pd_run_steps_done(run) == 0);
}

/* From another model, with each option changed, as another picture. */
static void test_foreign(char *file, size_t file_size)
{
    static uint8_t saved[MOST_BYTES];
    const pd_picture picture = {1, 0, 7, 0};
    pd_options options = defaults();
    use_mask(&options);
    options.noise = noise;
    options.noise_size = VALUES;
    pd_run *run = start(first, &options, &picture, 1);
    const size_t size = pd_run_saved_bytes(run);
    make_steps(run, 2);
    save(run, 0, saved);
    pd_run_free(run);

    pd_model *other = NULL;
    file[file_size / 2] ^= 1; /* the lowest bit of a weight */
    CHECK(pd_model_load(file, file_size, &other, NULL) == PD_OK);
    file[file_size / 2] ^= 1;
    run = start(other, &options, &picture, 1);
    refuse(run, saved, size, PD_SAVED, "another model");
    pd_run_free(run);
    pd_model_free(other);

    uint8_t other_image[PIXELS], other_mask[PIXELS];
    float other_noise[VALUES];
    memcpy(other_image, image, sizeof image);
    memcpy(other_mask, mask, sizeof mask);
    memcpy(other_noise, noise, sizeof noise);
    other_image[PIXELS - 1] ^= 1;
    other_mask[PIXELS - 1] ^= 255;
    other_noise[VALUES - 1] += 1.0f;
    const pd_options same = options;
    pd_options changed[8];
    for (size_t i = 0; i < 8; i++) changed[i] = same;
    changed[0].steps++;
    changed[1].guidance_scale = 4.0f;
    changed[2].eta = 0.5f;
    changed[3].sampler = PD_SAMPLER_EULER;
    changed[4].resample = 2;
    changed[5].image = other_image;
    changed[6].mask = other_mask;
    changed[7].noise = other_noise;
    for (size_t i = 0; i < 8; i++) {
        if (i == 4) changed[i].sampler = PD_SAMPLER_DDIM;
        run = start(first, &changed[i], &picture, 1);
        refuse(run, saved, pd_run_saved_bytes(run), pd_run_saved_bytes(run) == size ? PD_SAVED : PD_BUFFER, "");
        pd_run_free(run);
    }
    const pd_picture others[] = {{2, 0, 7, 0}, {1, 0, 8, 0}, {1, 0, 7 + ((uint64_t)1 << 32), 0}, {1, 0, 7, 1}};
    for (size_t i = 0; i < 4; i++) {
        run = start(first, &options, &others[i], 1);
        refuse(run, saved, size, PD_SAVED, "another picture");
        pd_run_free(run);
    }
}

/* A field of the saved bytes, in its place. */
enum { AT_CHECKSUM = 0, AT_FINGERPRINT = 8, AT_CACHED = 16, AT_HAS_CACHED = 24, AT_INDEX = 28, AT_STATE = 32, AT_FORMAT = 32 + 4 * 624,
       AT_STEP = AT_FORMAT + 4, AT_PLANES = AT_STEP + 4 };

/* Bytes that were made by intent: the checksum is right. */
static void forge(const pd_run *run, const uint8_t *saved, size_t at, const void *value, size_t bytes, uint8_t *forged)
{
    const size_t size = pd_run_saved_bytes(run);
    memcpy(forged, saved, size);
    memcpy(forged + at, value, bytes);
    const uint64_t checksum = pd_hash(0, forged + sizeof checksum, size - sizeof checksum);
    memcpy(forged + AT_CHECKSUM, &checksum, sizeof checksum);
}

static void test_forged(void)
{
    static uint8_t saved[MOST_BYTES], forged[MOST_BYTES];
    const pd_picture picture = {1, 0, 7, 0};
    pd_options options = defaults();
    options.sampler = PD_SAMPLER_UNIPC;
    options.momentum = 0.5f;
    pd_run *run = start(first, &options, &picture, 1), *fresh = start(first, &options, &picture, 1);
    const size_t size = pd_run_saved_bytes(run);
    CHECK(size == AT_PLANES + 6 * VALUES * sizeof(float));
    make_steps(run, 3);
    save(run, 0, saved);

    const struct { size_t at; int32_t value; pd_status status; const char *word; } cases[] = {
        {AT_FORMAT, 0, PD_SAVED, "damaged"},
        {AT_FINGERPRINT, 0, PD_SAVED, "another"},
        {AT_STEP, -1, PD_SAVED, "-1 steps"},
        {AT_STEP, INT32_MIN, PD_SAVED, "steps"},
        {AT_STEP, STEPS + 1, PD_SAVED, "5 steps made of 4"},
        {AT_INDEX, -1, PD_SAVED, "generator"},
        {AT_INDEX, 625, PD_SAVED, "generator"},
        {AT_INDEX, INT32_MAX, PD_SAVED, "generator"},
        {AT_HAS_CACHED, -1, PD_SAVED, "generator"},
        {AT_HAS_CACHED, 2, PD_SAVED, "generator"},
        {AT_CACHED + 4, 0x7ff80000, PD_NONFINITE, "NaN"},
        {AT_PLANES, 0x7fc00000, PD_NONFINITE, "NaN"},
        {AT_PLANES + VALUES * 4 + 8, 0x7f800000, PD_NONFINITE, "NaN"},
        {(size_t)AT_PLANES + 6 * VALUES * 4 - 4, INT32_MIN + 0x7f800000, PD_NONFINITE, "NaN"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        forge(run, saved, cases[i].at, &cases[i].value, 4, forged);
        refuse(fresh, forged, size, cases[i].status, cases[i].word);
    }
    /* What is possible is taken, and leads to a picture, of whatever it may be. */
    const int32_t possible[][2] = {{AT_INDEX, 0}, {AT_INDEX, 624}, {AT_HAS_CACHED, 1}, {AT_STEP, STEPS}, {AT_STEP, 0}, {AT_STATE, 0},
                                   {AT_PLANES, 0x7f7fffff}};
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++) {
        pd_run *each = start(first, &options, &picture, 1);
        forge(run, saved, (size_t)possible[i][0], &possible[i][1], 4, forged);
        CHECK(pd_run_restore(each, forged, size, NULL) == PD_OK);
        pd_status status = PD_OK;
        while (status == PD_OK && pd_run_steps_done(each) < STEPS) status = pd_run_step(each, NULL);
        CHECK(status == PD_OK || status == PD_NONFINITE);
        pd_run_free(each);
    }
    pd_run_free(run);
    pd_run_free(fresh);
}

/* Every byte that is damaged is noticed, every other size is refused, and the run is as it was. */
static void test_damaged(void)
{
    static uint8_t saved[MOST_BYTES];
    const pd_picture picture = {1, 0, 7, 0};
    const pd_options options = defaults();
    pd_run *run = start(first, &options, &picture, 1), *fresh = start(first, &options, &picture, 1);
    const size_t size = pd_run_saved_bytes(run);
    make_steps(run, 2);
    save(run, 0, saved);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit += 7) {
            saved[i] ^= (uint8_t)(1 << bit);
            refuse(fresh, saved, size, PD_SAVED, "damaged");
            saved[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t i = 0; i < size; i += i < 100 ? 1 : 37) {
        uint8_t *exact = malloc(i + 1);
        if (!exact) abort();
        memcpy(exact, saved, i + 1);
        if (i + 1 != size) refuse(fresh, exact, i + 1, PD_BUFFER, "bytes");
        free(exact);
    }
    refuse(fresh, saved, 0, PD_BUFFER, "bytes");
    refuse(fresh, saved, SIZE_MAX, PD_BUFFER, "bytes");
    pd_run *other = start(first, &options, &picture, 1);
    make_steps(other, STEPS);
    make_steps(fresh, STEPS);
    const view expected = look(other, 0);
    check_same(fresh, 0, &expected);
    pd_run_free(run);
    pd_run_free(fresh);
    pd_run_free(other);
}

static void test_arguments(void)
{
    static uint8_t saved[2 * MOST_BYTES];
    const pd_picture pictures[2] = {{1, 0, 7, 0}, {2, 0, 8, 0}};
    const pd_options options = defaults();
    pd_error error = {0};
    pd_run *run = start(first, &options, pictures, 2), *fresh = start(first, &options, pictures, 2);
    const size_t size = pd_run_saved_bytes(run);
    CHECK(pd_run_saved_bytes(NULL) == 0);
    CHECK(pd_run_save(NULL, 0, saved, sizeof saved, &error) == PD_ARG && strstr(error.message, "run"));
    CHECK(pd_run_save(run, 0, NULL, sizeof saved, &error) == PD_ARG && strstr(error.message, "buffer"));
    CHECK(pd_run_save(run, -1, saved, sizeof saved, &error) == PD_ARG && pd_run_save(run, 2, saved, sizeof saved, &error) == PD_ARG);
    CHECK(pd_run_save(run, 0, saved, size - 1, &error) == PD_BUFFER);
    CHECK(pd_run_restore(NULL, saved, 2 * size, &error) == PD_ARG && strstr(error.message, "run"));
    CHECK(pd_run_restore(run, NULL, 2 * size, &error) == PD_ARG && strstr(error.message, "bytes"));
    /* Pictures of different numbers of steps, and in the wrong order. */
    make_steps(run, 1);
    save(run, 0, saved);
    make_steps(run, 1);
    CHECK(pd_run_save(run, 1, saved + size, size, NULL) == PD_OK);
    refuse(fresh, saved, 2 * size, PD_SAVED, "picture 1: 2 steps made, but 1 of picture 0");
    CHECK(pd_run_save(run, 1, saved, size, NULL) == PD_OK && pd_run_save(run, 0, saved + size, size, NULL) == PD_OK);
    refuse(fresh, saved, 2 * size, PD_SAVED, "picture 0");
    refuse(fresh, saved, size, PD_BUFFER, "bytes");
    /* Only at the beginning of a run. */
    CHECK(pd_run_restore(run, saved, 2 * size, &error) == PD_STATE && pd_run_steps_done(run) == 2);
    pd_run_free(run);
    pd_run_free(fresh);
}

int main(void)
{
    size_t size;
    char *bytes = golden_read("tiny", "gguf", &size);
    CHECK(pd_model_load(bytes, size, &first, NULL) == PD_OK && pd_model_load(bytes, size, &second, NULL) == PD_OK);
    for (int i = 0; i < PIXELS; i++) {
        image[i] = (uint8_t)(i * 37);
        mask[i] = i < PIXELS / 2 ? 255 : 0;
    }
    for (int i = 0; i < VALUES; i++) noise[i] = (float)(i % 7) - 3.0f;
    test_all_options();
    test_kept_predictions();
    test_foreign(bytes, size);
    test_forged();
    test_damaged();
    test_arguments();
    pd_model_free(first);
    pd_model_free(second);
    free(bytes);
    return check_result();
}
