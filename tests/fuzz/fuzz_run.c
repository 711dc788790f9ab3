/* Options of any bits, then some steps of a generation with one of the models in
 * corpus/model, which another run continues, from bytes that may be changed. Input: pd_options, then fuzz_request. Where the options have a
 * pointer, blocks of exactly the size that stands beside it take its place. */
#include "hash.h"
#include "tiny_model.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

typedef struct fuzz_request {
    uint8_t pictures, calls, fail_at, given; /* given: bits of fuzz_given */
    pd_picture picture; /* the later ones of a run differ from it by their seed */
    uint8_t grey, infinite, huge; /* other than 0: where the mask has a value, and the noise a number, that is refused; and a
                                   * number that the network cannot bear */
    uint8_t model, keep; /* keep: other than 0, predictions are kept from network call `keep` on */
    uint8_t changed; /* other than 0: what a byte of the saved pictures is changed by, with their checksums made right */
    uint16_t place;  /* of that byte, from the beginning; above 32767 from the end */
    pd_class_weight mix[PD_MAX_MIX];
} fuzz_request;

/* `sized`: image, mask and noise have the size that the model wants, whatever the options say. */
enum fuzz_given { GIVEN_MIX = 1, GIVEN_IMAGE = 2, GIVEN_MASK = 4, GIVEN_NOISE = 8, GIVEN_SIZED = 16 };

enum { MOST_DATA_BYTES = 1 << 13, MOST_PICTURES = 3, MOST_CALLS = 4 };

enum { INPUT_BYTES = sizeof(pd_options) + sizeof(fuzz_request) };

/* One of each objective; the last predicts more channels than it takes, and cannot be sampled. */
static const char *const model_names[] = {"plain", "alpha", "fourier", "features"};
enum { MODELS = sizeof model_names / sizeof *model_names };
static pd_model *models[MODELS];

static pd_model *load(const char *name)
{
    static uint8_t bytes[1 << 16];
    char path[sizeof PD_FUZZ_CORPUS + 32];
    snprintf(path, sizeof path, "%s/model/%s", PD_FUZZ_CORPUS, name);
    FILE *file = fopen(path, "rb");
    REQUIRE(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    size_t full_size;
    uint8_t *whole = complete_model(bytes, size - 2, 0, &full_size);
    pd_model *model = NULL;
    pd_error error = {0};
    const pd_status status = pd_model_load(whole, full_size, &model, &error);
    if (status != PD_OK) fprintf(stderr, "%s: %s\n", name, error.message);
    REQUIRE(status == PD_OK);
    free(whole);
    return model;
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    for (size_t i = 0; i < MODELS; i++) models[i] = load(model_names[i]);
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
static void give_data(const pd_model *model, const fuzz_request *request, pd_options *options)
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
        if (request->huge && request->huge < options->noise_size) noise[request->huge] = FLT_MAX;
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

/* A buffer of exactly the size that is needed, or of one element less, which is refused. */
static void read_values(const pd_run *run, int32_t picture, size_t count)
{
    float *values = block_of(count, sizeof *values);
    pd_error error = {0};
    for (int32_t plane = -1; plane <= PD_PLANE_COUNT; plane++) {
        const pd_status status = pd_run_plane(run, picture, plane, values, count, &error);
        REQUIRE((status == PD_OK) == (picture >= 0 && plane >= 0 && plane < PD_PLANE_COUNT && pd_run_has_plane(run, plane)));
        if (status != PD_OK) fuzz_require_error(status, &error);
    }
    REQUIRE(pd_run_state(run, picture, values, count - 1, &error) != PD_OK);
    fuzz_require_error(error.status, &error);
    pd_run_state(run, picture, values, count, NULL);
    free(values);
}

static void read_pixels(const pd_run *run, int32_t picture, size_t count)
{
    uint8_t *pixels = block_of(count, 1);
    REQUIRE(pd_run_preview(run, picture, pixels, count - 1, NULL) != PD_OK);
    pd_run_preview(run, picture, pixels, count, NULL);
    pd_run_finish(run, picture, pixels, count, NULL);
    free(pixels);
}

static void generate(const pd_model *model, pd_run *run, int32_t pictures, const fuzz_request *request)
{
    const pd_model_info *info = pd_model_get_info(model);
    pd_error error = {0};
    for (int32_t call = 1; call <= 1 + request->calls % MOST_CALLS; call++) {
        if (call == request->keep) {
            const pd_status status = pd_run_keep_predictions(run, &error);
            REQUIRE(status == PD_OK || status == PD_MEMORY);
        }
        const pd_status status = pd_run_step(run, &error);
        REQUIRE(pd_run_steps_done(run) <= pd_run_steps_total(run));
        REQUIRE((status == PD_OK && pd_run_next_timestep(run) == -1) <= (pd_run_steps_done(run) == pd_run_steps_total(run)));
        if (status == PD_OK) continue;
        fuzz_require_error(status, &error);
        REQUIRE(status == PD_NONFINITE || status == PD_STATE);
        break;
    }
    const size_t area = (size_t)info->width * (size_t)info->height;
    const size_t values = (size_t)info->network_channels * (size_t)info->network_width * (size_t)info->network_height;
    for (int32_t i = -1; i < pictures; i++) {
        read_values(run, i, values);
        read_pixels(run, i, area * (size_t)info->channels);
    }
}

/* Saves the pictures of `run`, and lets `next`, which has just begun, go on with them. */
static void continue_run(const pd_run *run, pd_run *next, int32_t pictures, const fuzz_request *request)
{
    const size_t each = pd_run_saved_bytes(run), size = each * (size_t)pictures;
    REQUIRE(each > sizeof(uint64_t) && each == pd_run_saved_bytes(next));
    uint8_t *bytes = malloc(size);
    if (!bytes) abort();
    pd_error error = {0};
    pd_status status = PD_OK;
    for (int32_t i = 0; i < pictures && status == PD_OK; i++) {
        REQUIRE(pd_run_save(run, i, bytes + (size_t)i * each, each - 1, NULL) != PD_OK);
        status = pd_run_save(run, i, bytes + (size_t)i * each, each, &error);
    }
    if (status != PD_OK) { /* the run has failed */
        fuzz_require_error(status, &error);
        free(bytes);
        return;
    }
    bytes[request->place < 1u << 15 ? request->place % size : size - 1 - request->place % size] ^= request->changed;
    for (int32_t i = 0; request->changed && i < pictures; i++) {
        uint8_t *saved = bytes + (size_t)i * each;
        const uint64_t checksum = pd_hash(0, saved + sizeof checksum, each - sizeof checksum);
        memcpy(saved, &checksum, sizeof checksum);
    }
    status = pd_run_restore(next, bytes, size, &error);
    REQUIRE(status == PD_OK || status == PD_SAVED || status == PD_NONFINITE);
    REQUIRE(request->changed || status != PD_SAVED);
    REQUIRE(request->changed || status != PD_OK || pd_run_steps_done(next) == pd_run_steps_done(run));
    if (status != PD_OK) {
        fuzz_require_error(status, &error);
        REQUIRE(pd_run_steps_done(next) == 0);
    }
    pd_run_step(next, NULL);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size != INPUT_BYTES) return 0;
    pd_options options;
    fuzz_request request;
    memcpy(&options, data, sizeof options);
    memcpy(&request, data + sizeof options, sizeof request);
    pd_model *model = models[request.model % MODELS];
    const int32_t pictures = request.pictures % (MOST_PICTURES + 1);
    pd_picture list[MOST_PICTURES];
    for (int32_t i = 0; i < MOST_PICTURES; i++) {
        list[i] = request.picture;
        list[i].seed += (uint64_t)i;
    }
    pd_run *run = NULL;
    pd_error error = {0};
    give_data(model, &request, &options);
    fuzz_memory_reset(8u << 20, request.fail_at);
    const pd_status status = pd_run_start(model, &options, list, pictures, &run, &error);
    if (status == PD_OK) {
        pd_run *next = NULL;
        if (pd_run_start(model, &options, list, pictures, &next, NULL) != PD_OK) REQUIRE(!next); /* no memory */
        free_data(&options); /* pd_run_start has copied them */
        generate(model, run, pictures, &request);
        if (next) continue_run(run, next, pictures, &request);
        pd_run_free(run);
        pd_run_free(next);
    } else {
        free_data(&options);
        REQUIRE(!run);
        fuzz_require_error(status, &error);
    }
    REQUIRE(fuzz_memory.live == 0);
    return 0;
}

/* Requests of every kind that a picture can be made of. */
enum request_kind { PLAIN, FROM_IMAGE, FROM_NOISE, VARIATION, INPAINTING, INVERSION, MIXED_EMBEDDINGS, MIXED_PREDICTIONS, REQUEST_KINDS };

static void write_usable_input(uint32_t draw, uint8_t *data)
{
    const enum request_kind kind = draw % REQUEST_KINDS;
    pd_options options;
    fuzz_request request;
    memset(&request, 0, sizeof request);
    REQUIRE(pd_options_init(models[0], &options) == PD_OK);
    if (kind != INVERSION) options.sampler = (int32_t)(draw >> 8) % PD_SAMPLER_COUNT;
    options.steps = 1 + (int32_t)(draw >> 12) % 3;
    request.pictures = (uint8_t)(1 + (draw >> 16) % MOST_PICTURES);
    request.calls = MOST_CALLS - 1;
    request.keep = (uint8_t)((draw >> 20) % 3);
    request.given = GIVEN_SIZED;
    switch (kind) {
    case FROM_IMAGE:
        request.given |= GIVEN_IMAGE;
        options.strength = 0.5f;
        break;
    case FROM_NOISE: request.given |= GIVEN_NOISE; break;
    case VARIATION:
        options.variation_strength = 0.5f;
        request.picture.variation_seed = draw;
        break;
    case INPAINTING:
        request.given |= GIVEN_IMAGE | GIVEN_MASK;
        options.resample = 1 + (int32_t)(draw >> 24) % 3;
        break;
    case INVERSION:
        request.given |= GIVEN_IMAGE;
        options.sampler = PD_SAMPLER_DDIM;
        options.eta = 0.0f;
        options.inversion = 1 + (int32_t)(draw >> 24) % 3;
        break;
    case MIXED_EMBEDDINGS:
    case MIXED_PREDICTIONS:
        request.given |= GIVEN_MIX;
        request.picture.label = PD_LABEL_NULL;
        options.mix_mode = kind == MIXED_PREDICTIONS ? PD_MIX_PREDICTION : PD_MIX_EMBEDDING;
        options.mix_size = 2 + (int32_t)(draw >> 24) % (PD_MAX_MIX - 1);
        for (int32_t i = 0; i < PD_MAX_MIX; i++) request.mix[i] = (pd_class_weight){i % 3, (float)(1 - i % 4 / 3)};
        break;
    case PLAIN:
    case REQUEST_KINDS: break;
    }
    memcpy(data, &options, sizeof options);
    memcpy(data + sizeof options, &request, sizeof request);
}

/* One to three fields of the input, drawn mostly within their range; often of an input that is usable, which then lasts. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    static const uint32_t bits[] = {0, 1, 2, 3, 4, 5, 7, 8, 99, 100, 0x3f800000, 0x3f000000, 0x40400000, 0xbf800000, 0x42c80000, 0x00000001,
                                    0x80000000, 0x7fffffff, 0xffffffff, 0x7f800000, 0x7fc00000, 0x49742400, 0x33333333};
    if (capacity < INPUT_BYTES) return LLVMFuzzerMutate(data, size, capacity);
    uint64_t state = (uint64_t)seed * 0x9e3779b97f4a7c15u;
    if (size != INPUT_BYTES || seed % 32 == 0) write_usable_input((uint32_t)(state >> 32), data);
    for (unsigned left = 1 + seed % 3; left > 0; left--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const size_t field = (size_t)(state >> 33) % (INPUT_BYTES / 4);
        memcpy(data + 4 * field, &bits[(state >> 20) % (sizeof bits / sizeof bits[0])], 4);
    }
    uint8_t *const request = data + sizeof(pd_options);
    if (seed % 8 == 0) request[offsetof(fuzz_request, given)] = (uint8_t)(state >> 40);
    if (seed % 8 == 1) request[offsetof(fuzz_request, model)] = (uint8_t)(state >> 40);
    if (seed % 8 == 2) request[offsetof(fuzz_request, fail_at)] = (uint8_t)(state >> 40) % 8;
    return seed % 16 ? INPUT_BYTES : LLVMFuzzerMutate(data, INPUT_BYTES, INPUT_BYTES);
}
