/* Files of format 2: a graph is read, checked, planned and, if it does not take long,
 * run. The input is a file without its data section; the last byte says which
 * allocation fails, the one before it which byte of the data is spoilt. */
#include "model.h"
#include "tiny_model.h"

/* What a run may take: the elements and multiplications of an evaluation. */
#define MOST_WORK 4000000

/* Every value can be seen, in a buffer of exactly its size. */
static void look_into(pd_model *model, uint64_t work)
{
    const pd_network *network = &model->network;
    const int32_t label = model->info.class_count ? 0 : PD_LABEL_NULL;
    float *x = calloc((size_t)network->graph.nodes[0].axes.length[0] * (size_t)network->graph.nodes[0].axes.length[1],
                      sizeof(float) * (size_t)model->info.network_channels);
    REQUIRE(x);
    for (int32_t i = 0; i < network->graph.count && (uint64_t)i * work < MOST_WORK; i++) {
        const size_t count = pd_network_value_count(network, i);
        float *values = malloc(count * sizeof(float));
        REQUIRE(values);
        REQUIRE(pd_model_activations(model, x, 0, label, i, values, count, NULL) == PD_OK);
        free(values);
    }
    free(x);
}

static void run_model(pd_model *model)
{
    const pd_model_info *info = pd_model_get_info(model);
    pd_options options;
    pd_error error = {0};
    REQUIRE(pd_options_init(model, &options) == PD_OK);
    REQUIRE(pd_options_check(model, &options, NULL) == PD_OK); /* what a file recommends can be used */
    if (info->multiplications > MOST_WORK || (info->channels != 1 && info->channels != 3 && info->channels != 4)) return;
    look_into(model, info->multiplications);
    options.steps = 1;
    const pd_picture picture = {.label = info->class_count ? 0 : PD_LABEL_NULL, .seed = 1};
    pd_run *run = NULL;
    const pd_status started = pd_run_start(model, &options, &picture, 1, &run, &error);
    if (started != PD_OK) {
        fuzz_require_error(started, &error);
        return;
    }
    const pd_status status = pd_run_step(run, &error);
    REQUIRE(status == PD_OK || status == PD_NONFINITE);
    pd_run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MOST_MODEL_BYTES / 2) return 0;
    const long fail_at = data[size - 1] % 32;
    size_t full_size;
    uint8_t *bytes = complete_model(data, size - 2, data[size - 2], &full_size);
    pd_model *model = NULL;
    pd_error error = {0};
    fuzz_memory_reset(32u << 20, fail_at);
    const pd_status status = pd_model_load(bytes, full_size, &model, &error);
    free(bytes);
    if (status == PD_OK) run_model(model);
    else fuzz_require_error(status, &error);
    REQUIRE(status == PD_OK || !model);
    pd_model_free(model);
    REQUIRE(fuzz_memory.live == 0);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    const size_t length = seed % 16 ? document_mutate_before_tail(data, size, capacity, 3, seed) : 0;
    return length ? length : LLVMFuzzerMutate(data, size, capacity);
}
