/* Options of any bits, then a step or two of a generation with the model in
 * corpus/model/plain. Input: pd_options, then fuzz_request. Where the options have
 * a pointer, blocks of exactly the size that stands beside it take its place. */
#include "tiny_model.h"

#include <math.h>
#include <stddef.h>

typedef struct fuzz_request {
    uint8_t pictures, steps, fail_at, given; /* given: bits of fuzz_given */
    pd_picture picture; /* the later ones of a run differ from it by their seed */
    uint8_t grey, infinite; /* other than 0: where the mask has a value, and the noise a number, that is refused */
    uint8_t spare[6];
    pd_class_weight mix[PD_MAX_MIX];
} fuzz_request;

/* `sized`: image, mask and noise have the size that the model wants, whatever the options say. */
enum fuzz_given { GIVEN_MIX = 1, GIVEN_IMAGE = 2, GIVEN_MASK = 4, GIVEN_NOISE = 8, GIVEN_SIZED = 16 };

enum { MOST_DATA_BYTES = 1 << 13 };

enum { INPUT_BYTES = sizeof(pd_options) + sizeof(fuzz_request) };

static pd_model *model;

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    static uint8_t bytes[1 << 16];
    FILE *file = fopen(PD_FUZZ_CORPUS "/model/plain", "rb");
    REQUIRE(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    size_t full_size;
    uint8_t *whole = complete_model(bytes, size - 2, 0, &full_size);
    pd_error error = {0};
    const pd_status status = pd_model_load(whole, full_size, &model, &error);
    if (status != PD_OK) fprintf(stderr, "%s\n", error.message);
    REQUIRE(status == PD_OK);
    free(whole);
    return 0;
}

/* `count` elements, or as many as are worth a block: sizes other than the model's are refused before anything is read. */
static void *block_of(size_t count, size_t size)
{
    const size_t most = MOST_DATA_BYTES / size;
    void *block = malloc((count < most ? count : most) * size + (count == 0));
    if (!block) abort();
    return block;
}

/* What the pointers of the options lead to, until the run has begun. */
static void give_data(const fuzz_request *request, pd_options *options)
{
    const pd_model_info *info = pd_model_get_info(model);
    const size_t area = (size_t)info->width * (size_t)info->height, values = area * (size_t)info->channels;
    const unsigned given = request->given;
    options->mix = NULL;
    options->image = options->mask = NULL;
    options->noise = NULL;
    if (given & GIVEN_SIZED) {
        options->image_size = given & GIVEN_IMAGE ? values : 0;
        options->mask_size = given & GIVEN_MASK ? area : 0;
        options->noise_size = given & GIVEN_NOISE ? values : 0;
    }
    if (given & GIVEN_MIX) {
        const size_t count = options->mix_size < 0 ? 0 : options->mix_size > PD_MAX_MIX ? PD_MAX_MIX : (size_t)options->mix_size;
        pd_class_weight *mix = block_of(count, sizeof *mix);
        memcpy(mix, request->mix, count * sizeof *mix);
        options->mix = mix;
    }
    if (given & GIVEN_IMAGE) {
        uint8_t *image = block_of(options->image_size, 1);
        for (size_t i = 0; i < options->image_size && i < MOST_DATA_BYTES; i++) image[i] = (uint8_t)(i * 37 + request->picture.seed);
        options->image = image;
    }
    if (given & GIVEN_MASK) {
        uint8_t *mask = block_of(options->mask_size, 1);
        for (size_t i = 0; i < options->mask_size && i < MOST_DATA_BYTES; i++) mask[i] = i % 3 ? 255 : 0;
        if (request->grey && request->grey < options->mask_size) mask[request->grey] = request->grey;
        options->mask = mask;
    }
    if (given & GIVEN_NOISE) {
        float *noise = block_of(options->noise_size, sizeof *noise);
        for (size_t i = 0; i < options->noise_size && i < MOST_DATA_BYTES / sizeof *noise; i++) noise[i] = (float)(i % 7) - 3.0f;
        if (request->infinite && request->infinite < options->noise_size) noise[request->infinite] = INFINITY;
        options->noise = noise;
    }
}

static void free_data(const pd_options *options)
{
    free((void *)(uintptr_t)options->mix);
    free((void *)(uintptr_t)options->image);
    free((void *)(uintptr_t)options->mask);
    free((void *)(uintptr_t)options->noise);
}

static void generate(pd_run *run, int32_t pictures, int32_t steps)
{
    const pd_model_info *info = pd_model_get_info(model);
    const size_t pixel_bytes = (size_t)info->width * (size_t)info->height * (size_t)info->channels;
    uint8_t *pixels = malloc(pixel_bytes);
    pd_error error = {0};
    if (!pixels) abort();
    for (int32_t step = 0; step < steps; step++) {
        const pd_status status = pd_run_step(run, &error);
        REQUIRE(pd_run_steps_done(run) <= pd_run_steps_total(run));
        if (status == PD_OK) continue;
        fuzz_require_error(status, &error);
        REQUIRE(status == PD_NONFINITE || status == PD_STATE);
        break;
    }
    for (int32_t i = 0; i < pictures; i++) {
        pd_run_preview(run, i, pixels, pixel_bytes, NULL);
        pd_run_finish(run, i, pixels, pixel_bytes, NULL);
    }
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size != INPUT_BYTES) return 0;
    pd_options options;
    fuzz_request request;
    memcpy(&options, data, sizeof options);
    memcpy(&request, data + sizeof options, sizeof request);
    const int32_t pictures = request.pictures % 6, steps = 1 + request.steps % 3;
    pd_picture list[6];
    for (int32_t i = 0; i < 6; i++) {
        list[i] = request.picture;
        list[i].seed += (uint64_t)i;
    }
    pd_run *run = NULL;
    pd_error error = {0};
    give_data(&request, &options);
    fuzz_memory_reset(8u << 20, request.fail_at);
    const pd_status status = pd_run_start(model, &options, list, pictures, &run, &error);
    free_data(&options); /* pd_run_start has copied them */
    if (status == PD_OK) {
        generate(run, pictures, steps);
        pd_run_free(run);
    } else {
        REQUIRE(!run);
        fuzz_require_error(status, &error);
    }
    REQUIRE(fuzz_memory.live == 0);
    return 0;
}

/* One to three fields of the input; what is drawn is mostly within its range. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    static const uint32_t bits[] = {0, 1, 2, 3, 4, 5, 7, 8, 99, 100, 0x3f800000, 0x3f000000, 0x40400000, 0xbf800000, 0x42c80000, 0x00000001,
                                    0x80000000, 0x7fffffff, 0xffffffff, 0x7f800000, 0x7fc00000, 0x49742400, 0x33333333};
    if (capacity < INPUT_BYTES) return LLVMFuzzerMutate(data, size, capacity);
    if (size != INPUT_BYTES || seed % 64 == 0) {
        pd_options options;
        pd_options_init(model, &options);
        memset(data, 0, INPUT_BYTES);
        memcpy(data, &options, sizeof options);
        data[sizeof options] = 1;
    }
    uint64_t state = (uint64_t)seed * 0x9e3779b97f4a7c15u;
    for (unsigned left = 1 + seed % 3; left > 0; left--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const size_t field = (size_t)(state >> 33) % (INPUT_BYTES / 4);
        memcpy(data + 4 * field, &bits[(state >> 20) % (sizeof bits / sizeof bits[0])], 4);
    }
    if (seed % 8 == 0) data[sizeof(pd_options) + offsetof(fuzz_request, given)] = (uint8_t)(state >> 40);
    return seed % 16 ? INPUT_BYTES : LLVMFuzzerMutate(data, INPUT_BYTES, INPUT_BYTES);
}
