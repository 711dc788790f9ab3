/* Networks of odd shapes: the seeds of the fuzz target `model`, with weights of
 * a pattern. The vectorised kernels against the reference kernels, which follow
 * the definitions; and what a network cannot be sampled for. */
#include "check.h"
#include "kernels.h"
#include "tiny_model.h"

/* Weights that overflow: none; the last layer's (0x7b7b is 61280 as float16) and
 * the bias in front of it (0x7b7b7b7b is 1.3e36); or the last layer's bias. The
 * last four tensors are the shortcut's weight and bias and the last layer's. */
typedef enum overflow { NONE, WEIGHTS, BIAS } overflow;

static pd_model *load(const char *name, overflow where, pd_error *error)
{
    char path[256];
    static uint8_t bytes[1 << 16];
    snprintf(path, sizeof path, "fuzz/corpus/model/%s", name);
    FILE *file = fopen(path, "rb");
    CHECK(file);
    if (!file) exit(EXIT_FAILURE);
    const size_t size = fread(bytes, 1, sizeof bytes, file) - 2;
    fclose(file);
    size_t full_size;
    uint8_t *whole = complete_model(bytes, size, 0, &full_size);
    const float large = 3e38f;
    if (where == BIAS) memcpy(whole + full_size - 32, &large, sizeof large);
    if (where == WEIGHTS) {
        memset(whole + full_size - 64, 0x7b, 4 * sizeof(uint16_t));
        memset(whole + full_size - 96, 0x7b, 4 * sizeof(float));
    }
    pd_model *model = NULL;
    const pd_status status = pd_model_load(whole, full_size, &model, error);
    CHECK(status == PD_OK);
    if (status != PD_OK) fprintf(stderr, "%s: %s\n", name, error->message);
    free(whole);
    return model;
}

static void predict(const char *name, bool reference, float *prediction, size_t *count)
{
    pd_error error = {0};
    pd_kernels_use_reference(reference);
    pd_model *model = load(name, NONE, &error);
    const pd_model_info *info = pd_model_get_info(model);
    const size_t plane = (size_t)info->network_width * (size_t)info->network_height;
    float x[1024];
    for (size_t i = 0; i < plane * (size_t)info->network_channels; i++) x[i] = (float)(i * 37 % 101) / 50 - 1;
    *count = plane * (size_t)info->network_out_channels;
    CHECK(pd_model_predict(model, x, 3, 1, prediction, &error) == PD_OK);
    pd_model_free(model);
    pd_kernels_use_reference(false);
}

static void test_predictions(void)
{
    static const char *const names[] = {"plain", "levels", "fourier", "features", "shrinking", "alpha"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        float fast[1024], slow[1024];
        size_t count, same;
        predict(names[k], false, fast, &count);
        predict(names[k], true, slow, &same);
        double largest = 0, difference = 0;
        for (size_t i = 0; i < count; i++) {
            largest = fmax(largest, fabs((double)slow[i]));
            difference = fmax(difference, fabs((double)slow[i] - (double)fast[i]));
        }
        CHECK(count == same && largest > 0);
        CHECK(difference <= 1e-4 * largest);
        printf("%s: largest error %.2g of the largest magnitude\n", names[k], difference / largest);
    }
}

/* Pictures of one, three and four channels. */
static void expect_sampled(const char *name, int32_t channels)
{
    pd_error error = {0};
    pd_model *model = load(name, NONE, &error);
    const pd_model_info *info = pd_model_get_info(model);
    pd_options options;
    pd_run *run = NULL;
    uint8_t pixels[256];
    CHECK(info->channels == channels && pd_options_init(model, &options) == PD_OK);
    options.steps = 1;
    CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 0, 0}, 1, &run, &error) == PD_OK);
    CHECK(pd_run_step(run, &error) == PD_OK);
    CHECK(pd_run_finish(run, 0, pixels, sizeof pixels, &error) == PD_OK);
    pd_run_free(run);
    pd_model_free(model);
}

static void expect_not_sampled(const char *name, const char *word)
{
    pd_error error = {0};
    pd_model *model = load(name, NONE, &error);
    pd_options options;
    pd_run *run = NULL;
    CHECK(pd_options_init(model, &options) == PD_OK);
    CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 0, 0}, 1, &run, &error) == PD_CONFIG && !run);
    CHECK(strstr(error.message, word));
    pd_model_free(model);
}

/* The prediction is not finite; or it is 3e38, and the picture that the unclipped
 * mean makes of it is not. */
static void test_overflow(void)
{
    for (overflow where = WEIGHTS; where <= BIAS; where++) {
        pd_error error = {0};
        pd_model *model = load("plain", where, &error);
        pd_options options;
        pd_run *run = NULL;
        uint8_t pixels[64];
        float x[64];
        CHECK(pd_options_init(model, &options) == PD_OK);
        options.sampler = PD_SAMPLER_DDPM;
        options.ddpm_mean = where == BIAS ? PD_DDPM_MEAN_NOISE : PD_DDPM_MEAN_X0;
        options.guidance_scale = where == BIAS ? 1.0f : 3.0f;
        options.steps = 1;
        CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 0, 0}, 1, &run, &error) == PD_OK);
        CHECK(pd_run_step(run, &error) == PD_NONFINITE && strstr(error.message, "step 1"));
        CHECK(pd_run_step(run, &error) == PD_STATE && !pd_run_has_plane(run, PD_PLANE_X0));
        CHECK(pd_run_preview(run, 0, pixels, sizeof pixels, &error) == PD_STATE);
        CHECK(pd_run_finish(run, 0, pixels, sizeof pixels, &error) == PD_STATE);
        CHECK(pd_run_state(run, 0, x, 64, &error) == PD_STATE);
        static uint8_t saved[1 << 13];
        CHECK(pd_run_save(run, 0, saved, sizeof saved, &error) == PD_STATE);
        CHECK(pd_run_steps_done(run) == 0 && pd_run_restore(run, saved, pd_run_saved_bytes(run), &error) == PD_STATE);
        pd_run_free(run);
        pd_model_free(model);
    }
}

int main(void)
{
    test_predictions();
    expect_sampled("plain", 1);
    expect_sampled("fourier", 3);
    expect_sampled("alpha", 4);
    expect_not_sampled("features", "predicts 2 channels");
    expect_not_sampled("shrinking", "pictures of 2 channels");
    test_overflow();
    return check_result();
}
