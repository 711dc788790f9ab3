/* Whole model files: configuration, tensors by name and shape, packing. The
 * input is a file without its data section; the last byte of the input says
 * which allocation fails, the one before it which byte of the data is spoilt. */
#include "tiny_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > MOST_MODEL_BYTES / 2) return 0;
    const long fail_at = data[size - 1] % 16;
    size_t full_size;
    uint8_t *bytes = complete_model(data, size - 2, data[size - 2], &full_size);
    pd_model *model = NULL;
    pd_error error = {0};
    fuzz_memory_reset(8u << 20, fail_at);
    const pd_status status = pd_model_load(bytes, full_size, &model, &error);
    free(bytes);
    if (status != PD_OK) {
        REQUIRE(!model && fuzz_memory.live == 0);
        fuzz_require_error(status, &error);
        return 0;
    }
    const pd_model_info *info = pd_model_get_info(model);
    volatile size_t sum = strlen(info->name) + strlen(info->description) + strlen(info->license) + strlen(info->author) +
                          strlen(info->source_url) + strlen(info->schedule_name);
    for (int32_t i = 0; i < info->class_count; i++) sum += strlen(pd_model_class_name(model, i));
    pd_options options;
    REQUIRE(pd_options_init(model, &options) == PD_OK);
    REQUIRE(pd_options_check(model, &options, NULL) == PD_OK); /* what a file recommends can be used */
    pd_model_free(model);
    REQUIRE(fuzz_memory.live == 0);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    const size_t length = seed % 8 ? document_mutate_before_tail(data, size, capacity, 1, seed) : 0;
    return length ? length : LLVMFuzzerMutate(data, size, capacity);
}
