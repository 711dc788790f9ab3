/* Memory that gives out: the k-th allocation fails, for every k, once or from
 * then on, while a model is loaded, while a picture is made with each sampler and
 * each kind of editing, and while it is written as PNG. After each failure: PD_MEMORY with one line of
 * text, nothing leaked, nothing changed, and the next try gives the bytes that
 * came out before. Prints the table of docs/trust.md. */
#include "check.h"
#include "counting_allocator.h"
#include "golden.h"

enum { SIDE = 16, PIXELS = SIDE * SIDE, STEPS = 3, MOST_ALLOCATIONS = 1000 };

static const char *fixture;
static size_t fixture_size;
static counting_allocator counter;

/* ---- what can fail --------------------------------------------------------------- */

/* Each does its work once and leaves nothing behind but `picture`. */
typedef enum editing { NO_EDITING, INPAINTING, INVERSION, MIXTURE } editing;

typedef struct work {
    pd_model *model; /* for runs */
    int32_t sampler;
    editing editing;
    const pd_png_text *text;
    uint8_t picture[PIXELS];
    uint8_t png[4096];
    size_t png_bytes;
} work;

static void edit(editing how, pd_options *options)
{
    static uint8_t image[PIXELS], mask[PIXELS];
    static const pd_class_weight mix[] = {{0, 1.0f}, {1, 2.0f}, {2, 0.5f}};
    for (int i = 0; i < PIXELS; i++) {
        image[i] = (uint8_t)(i * 37);
        mask[i] = i % 3 ? 255 : 0;
    }
    if (how == INPAINTING || how == INVERSION) {
        options->image = image;
        options->image_size = sizeof image;
    }
    if (how == INPAINTING) {
        options->mask = mask;
        options->mask_size = sizeof mask;
        options->resample = 2;
    }
    if (how == INVERSION) options->inversion = 2;
    if (how == MIXTURE) {
        options->mix = mix;
        options->mix_size = 3;
        options->mix_mode = PD_MIX_PREDICTION;
    }
}

/* With momentum and kept predictions, so that every buffer a run can have is there. */
static pd_status do_run(work *w, pd_error *error)
{
    pd_options options;
    const pd_picture picture = {w->editing == MIXTURE ? PD_LABEL_NULL : 1, 0, 42, 0};
    pd_run *run = (pd_run *)w; /* not NULL: must be set to it */
    CHECK(pd_options_init(w->model, &options) == PD_OK);
    options.sampler = w->sampler;
    options.steps = STEPS;
    options.momentum = -0.5f;
    edit(w->editing, &options);
    pd_status status = pd_run_start(w->model, &options, &picture, 1, &run, error);
    CHECK((status == PD_OK) == (run != NULL));
    if (status == PD_OK) status = pd_run_keep_predictions(run, error);
    while (status == PD_OK && pd_run_steps_done(run) < pd_run_steps_total(run)) status = pd_run_step(run, error);
    if (status == PD_OK) status = pd_run_finish(run, 0, w->picture, sizeof w->picture, error);
    pd_run_free(run);
    return status;
}

static pd_status do_load(work *w, pd_error *error)
{
    pd_model *model = (pd_model *)w;
    pd_status status = pd_model_load(fixture, fixture_size, &model, error);
    CHECK((status == PD_OK) == (model != NULL));
    if (status == PD_OK) { /* what was loaded makes the picture */
        w->model = model;
        status = do_run(w, error);
        w->model = NULL;
    }
    pd_model_free(model);
    return status;
}

static pd_status do_png(work *w, pd_error *error)
{
    size_t written = 77;
    const pd_status status = pd_png_encode_with_text(w->picture, SIDE, SIDE, 1, w->text, w->png, sizeof w->png, &written, error);
    CHECK(status == PD_OK || written == 77);
    if (status == PD_OK) w->png_bytes = written;
    return status;
}

/* ---- the faults -------------------------------------------------------------------- */

typedef struct totals {
    int injected, clean, recovered;
    long leaked;
} totals;

static unsigned long long result_of(const work *w)
{
    const unsigned long long hash = golden_hash(GOLDEN_HASH_START, w->picture, sizeof w->picture);
    return golden_hash(hash, w->png, w->png_bytes);
}

static totals inject(const char *what, work *w, pd_status (*run)(work *, pd_error *), unsigned long long expected)
{
    totals sum = {0};
    for (int once = 0; once < 2; once++) {
        pd_status status = PD_MEMORY;
        for (long k = 1; k < MOST_ALLOCATIONS && status != PD_OK; k++) {
            const work before = *w;
            pd_error error = {0};
            counter.calls = 0;
            counter.fail_at = k;
            counter.once = once;
            const long live = counter.live;
            status = run(w, &error);
            counter.fail_at = 0;
            if (counter.calls < k) { /* fewer allocations than that: nothing failed */
                CHECK(status == PD_OK && k > 1);
                break;
            }
            sum.injected++;
            sum.leaked += counter.live - live;
            sum.clean += status == PD_MEMORY && error.status == PD_MEMORY && error.message[0] && !strchr(error.message, '\n') &&
                         memcmp(before.png, w->png, sizeof w->png) == 0;
            sum.recovered += run(w, &error) == PD_OK && result_of(w) == expected && counter.live == live;
            status = PD_MEMORY;
        }
    }
    CHECK(sum.injected > 0 && sum.clean == sum.injected && sum.recovered == sum.injected && sum.leaked == 0);
    printf("| %s | %d | %d | %ld | %d |\n", what, sum.injected, sum.clean, sum.leaked, sum.recovered);
    return sum;
}

int main(void)
{
    static const char *const samplers[PD_SAMPLER_COUNT] = {
        "run, ddim", "run, ddpm", "run, dpmpp-2m", "run, dpmpp-2m-sde", "run, euler", "run, euler-ancestral", "run, heun", "run, unipc",
        "run, lcm"};
    char *bytes = golden_read("tiny", "gguf", &fixture_size);
    fixture = bytes;
    counting_install(&counter, 0);
    pd_model *model = NULL;
    CHECK(pd_model_load(fixture, fixture_size, &model, NULL) == PD_OK);
    printf("| what | allocations that failed | clean error | blocks leaked | right picture at the next try |\n|---|---|---|---|---|\n");

    static work loading, running;
    loading.sampler = PD_SAMPLER_DDIM;
    CHECK(do_load(&loading, NULL) == PD_OK);
    inject("load", &loading, do_load, result_of(&loading));
    for (int32_t sampler = 0; sampler < PD_SAMPLER_COUNT; sampler++) {
        running = (work){.model = model, .sampler = sampler};
        CHECK(do_run(&running, NULL) == PD_OK);
        if (sampler == PD_SAMPLER_DDIM) CHECK(result_of(&running) == result_of(&loading));
        inject(samplers[sampler], &running, do_run, result_of(&running));
    }
    static const char *const edits[] = {"", "run, inpainting", "run, inversion", "run, mixture"};
    for (editing how = INPAINTING; how <= MIXTURE; how++) {
        running = (work){.model = model, .sampler = PD_SAMPLER_DDIM, .editing = how};
        CHECK(do_run(&running, NULL) == PD_OK && result_of(&running) != result_of(&loading));
        inject(edits[how], &running, do_run, result_of(&running));
    }
    CHECK(do_png(&running, NULL) == PD_OK && running.png_bytes > 57);
    inject("PNG", &running, do_png, result_of(&running));
    running.text = &(pd_png_text){PD_RECIPE_KEYWORD, "{}", 2};
    CHECK(do_png(&running, NULL) == PD_OK);
    inject("PNG with a text", &running, do_png, result_of(&running));

    pd_model_free(model);
    CHECK(counter.live == 0);
    pd_set_allocator(NULL);
    free(bytes);
    return check_result();
}
