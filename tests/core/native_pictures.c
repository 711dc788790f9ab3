/* The core as a native program, for tests that compare it with WebAssembly.
 *
 *   native_pictures MODEL < REQUESTS > PIXELS
 *
 * Each line of standard input is one picture, the numbers of a `request` in
 * their order; its 8-bit pixels follow on standard output. */
#include <inttypes.h>
#include <stdbool.h>
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

/* Numbers of C (pocket_diffusion.h) where JavaScript has names. */
typedef struct request {
    pd_picture picture;
    float guidance_scale;
    int32_t sampler, steps;
    float eta;
    int32_t has_image, has_mask; /* those of make_image and make_mask */
    float strength;
    int32_t resample;
    float variation_strength;
    int32_t other_label, mix_mode;
    float other_weight; /* of a mixture with the picture's label, whose weight is 1; 0: no mixture */
} request;

static bool read_request(request *r)
{
    return scanf("%" SCNd32 " %" SCNu64 " %f %" SCNd32 " %" SCNd32 " %f %" SCNd32 " %" SCNd32 " %f %" SCNd32 " %" SCNu64
                 " %f %" SCNd32 " %" SCNd32 " %f",
                 &r->picture.label, &r->picture.seed, &r->guidance_scale, &r->sampler, &r->steps, &r->eta, &r->has_image,
                 &r->has_mask, &r->strength, &r->resample, &r->picture.variation_seed, &r->variation_strength, &r->other_label,
                 &r->mix_mode, &r->other_weight) == 15;
}

static void make_image(size_t size, uint8_t *image)
{
    for (size_t i = 0; i < size; i++) image[i] = (uint8_t)(i * 37 % 256);
}

static void make_mask(size_t size, uint8_t *mask)
{
    for (size_t i = 0; i < size; i++) mask[i] = i < size / 2 ? 255 : 0;
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
    const size_t mask_bytes = (size_t)info->width * (size_t)info->height, pixel_bytes = mask_bytes * (size_t)info->channels;
    unsigned char *pixels = malloc(2 * pixel_bytes + mask_bytes), *image = pixels + pixel_bytes, *mask = image + pixel_bytes;
    if (!pixels) return 1;
    make_image(pixel_bytes, image);
    make_mask(mask_bytes, mask);

    int status = 0;
    request asked = {.picture = {0, 0, 0, 0}};
    while (!status && read_request(&asked)) {
        pd_options options;
        pd_options_init(model, &options);
        options.guidance_scale = asked.guidance_scale;
        options.sampler = asked.sampler;
        options.steps = asked.steps;
        options.eta = asked.eta;
        options.strength = asked.strength;
        options.resample = asked.resample;
        options.variation_strength = asked.variation_strength;
        if (asked.has_image) {
            options.image = image;
            options.image_size = pixel_bytes;
        }
        if (asked.has_mask) {
            options.mask = mask;
            options.mask_size = mask_bytes;
        }
        pd_picture picture = asked.picture;
        const pd_class_weight mix[] = {{picture.label, 1.0f}, {asked.other_label, asked.other_weight}};
        if (asked.other_weight != 0.0f) {
            options.mix = mix;
            options.mix_size = 2;
            options.mix_mode = asked.mix_mode;
            picture.label = PD_LABEL_NULL;
        }
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
