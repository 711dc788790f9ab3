/* The core as a native program, for tests that compare it with WebAssembly.
 *
 *   native_pictures MODEL < REQUESTS > PIXELS
 *
 * Each line of standard input is one picture, "label seed guidance_scale
 * sampler steps eta" with the sampler's number; its 8-bit pixels follow on
 * standard output. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pocket_diffusion.h"

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    unsigned char *bytes = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        const long length = ftell(file);
        rewind(file);
        if (length >= 0) bytes = malloc((size_t)length + 1);
        if (bytes && fread(bytes, 1, (size_t)length, file) == (size_t)length) *size = (size_t)length;
    }
    fclose(file);
    return bytes;
}

static int fail(const pd_error *error)
{
    fprintf(stderr, "%s: %s\n", pd_status_name(error->status), error->message);
    return 1;
}

int main(int argc, char **argv)
{
    size_t size = 0;
    unsigned char *bytes = argc == 2 ? read_file(argv[1], &size) : NULL;
    if (!bytes) {
        fprintf(stderr, "usage: native_pictures MODEL < requests > pixels\n");
        return 2;
    }
    pd_error error;
    pd_model *model;
    if (pd_model_load(bytes, size, &model, &error) != PD_OK) return fail(&error);
    free(bytes);
    const pd_model_info *info = pd_model_get_info(model);
    const size_t pixel_bytes = (size_t)info->width * (size_t)info->height * (size_t)info->channels;
    unsigned char *pixels = malloc(pixel_bytes);

    pd_options options;
    pd_picture picture = {0, 0, 0, 0};
    pd_options_init(model, &options);
    int status = pixels ? 0 : 1;
    while (!status && scanf("%" SCNd32 " %" SCNu64 " %f %" SCNd32 " %" SCNd32 " %f", &picture.label, &picture.seed,
                            &options.guidance_scale, &options.sampler, &options.steps, &options.eta) == 6) {
        pd_run *run;
        if (pd_run_start(model, &options, &picture, 1, &run, &error) != PD_OK) return fail(&error);
        while (!status && pd_run_steps_done(run) < pd_run_steps_total(run))
            if (pd_run_step(run, &error) != PD_OK) status = fail(&error);
        if (!status && pd_run_finish(run, 0, pixels, pixel_bytes, &error) != PD_OK) status = fail(&error);
        if (!status) fwrite(pixels, 1, pixel_bytes, stdout);
        pd_run_free(run);
    }
    free(pixels);
    pd_model_free(model);
    return status;
}
