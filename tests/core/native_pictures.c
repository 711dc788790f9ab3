/* The core as a native program, for tests that compare it with WebAssembly.
 *
 *   native_pictures MODEL < REQUESTS > PIXELS
 *
 * Each line of standard input is one picture, "label=0 seed=7 steps=20 ...":
 * fields of pd_picture and pd_options with their values, those of enumerations
 * as numbers; what is not named keeps its default. "image=1" and "mask=1" stand
 * for those of make_image and make_mask, "mix_label=4 mix_weight=0.5" for a
 * mixture of the label, whose weight is 1, with another. The 8-bit pixels follow
 * on standard output. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

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

/* What options point to. */
typedef struct inputs {
    size_t image_size, mask_size;
    uint8_t *image, *mask;
    pd_class_weight mix[2];
} inputs;

static void make_image(size_t size, uint8_t *image)
{
    for (size_t i = 0; i < size; i++) image[i] = (uint8_t)(i * 37 % 256);
}

static void make_mask(size_t size, uint8_t *mask)
{
    for (size_t i = 0; i < size; i++) mask[i] = i < size / 2 ? 255 : 0;
}

/* 0 if `word` is none of those that stand for data. */
static int set_input(const char *word, const char *value, pd_options *options, inputs *given)
{
    if (strcmp(word, "image") == 0) {
        options->image = given->image;
        options->image_size = given->image_size;
    } else if (strcmp(word, "mask") == 0) {
        options->mask = given->mask;
        options->mask_size = given->mask_size;
    } else if (strcmp(word, "mix_label") == 0) {
        options->mix = given->mix;
        options->mix_size = 2;
        return sscanf(value, "%" SCNd32, &given->mix[1].label);
    } else {
        return strcmp(word, "mix_weight") == 0 && sscanf(value, "%f", &given->mix[1].weight);
    }
    return 1;
}

/* Sets what a word such as "steps=20" says; 0 if there is no such field. */
static int set_field(char *word, pd_options *options, pd_picture *picture, inputs *given)
{
    char *value = strchr(word, '=');
    if (!value) return 0;
    *value++ = 0;
    if (strcmp(word, "label") == 0) return sscanf(value, "%" SCNd32, &picture->label);
    if (strcmp(word, "variation_seed") == 0) return sscanf(value, "%" SCNu64, &picture->variation_seed);
    if (strcmp(word, "seed") == 0) return sscanf(value, "%" SCNu64, &picture->seed);
    for (int32_t i = 0; i < pd_option_count; i++)
        if (strcmp(word, pd_option_table[i].name) == 0)
            return pd_option_set(&pd_option_table[i], options, strtod(value, NULL), NULL) == PD_OK;
    return set_input(word, value, options, given);
}

static int read_line(char *line, const pd_model *model, pd_options *options, pd_picture *picture, inputs *given)
{
    *picture = (pd_picture){0, 0, 0, 0};
    pd_options_init(model, options);
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
        if (!set_field(word, options, picture, given)) return 0;
    if (!options->mix) return 1;
    given->mix[0] = (pd_class_weight){picture->label, 1.0f};
    picture->label = PD_LABEL_NULL;
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
    unsigned char *pixels = malloc(2 * pixel_bytes + mask_bytes);
    if (!pixels) return 1;
    inputs given = {.image_size = pixel_bytes, .mask_size = mask_bytes, .image = pixels + pixel_bytes, .mask = pixels + 2 * pixel_bytes};
    make_image(pixel_bytes, given.image);
    make_mask(mask_bytes, given.mask);

    pd_options options;
    pd_picture picture;
    char line[1024];
    int status = 0;
    while (!status && fgets(line, sizeof line, stdin)) {
        if (!read_line(line, model, &options, &picture, &given)) {
            fprintf(stderr, "native_pictures: unknown field\n");
            return 2;
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
