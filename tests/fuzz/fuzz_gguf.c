/* Any bytes through the GGUF reader: refused with a code, or every entry and
 * every tensor can be read to its end. */
#include "fuzz.h"
#include "gguf.h"
#include "gguf_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pd_gguf gguf;
    pd_error error = {0};
    fuzz_memory_reset(SIZE_MAX, 0);
    const pd_status status = pd_gguf_open(&gguf, data, size, &error);
    REQUIRE(fuzz_memory.largest <= size + (1u << 20));
    if (status != PD_OK) {
        fuzz_require_error(status, &error);
        REQUIRE(!gguf.values && !gguf.tensors && fuzz_memory.live == 0);
        return 0;
    }
    volatile uint64_t sum = 0; /* all of it is there to be read */
    for (uint64_t i = 0; i < gguf.value_count; i++) {
        const pd_gguf_value *value = &gguf.values[i];
        const bool text = value->element == PD_GGUF_STRING;
        const bool real = value->element == PD_GGUF_FLOAT32 || value->element == PD_GGUF_FLOAT64;
        uint64_t cursor = 0;
        for (uint64_t k = 0; k < value->count; k++) {
            if (text) {
                const pd_bytes string = pd_gguf_array_next_string(value, &cursor);
                if (string.length) sum += (uint8_t)string.data[string.length - 1];
            } else if (real) {
                sum += pd_gguf_array_real(value, k) > 0;
            } else if (value->element != PD_GGUF_BOOL) {
                sum += (uint64_t)pd_gguf_array_integer(value, k);
            }
        }
    }
    for (uint64_t i = 0; i < gguf.tensor_count; i++) {
        const pd_gguf_tensor *tensor = &gguf.tensors[i];
        const uint64_t row = tensor->shape[0], rows = tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
        static float values[4096];
        REQUIRE(tensor->data >= data && tensor->bytes <= size - (size_t)(tensor->data - data));
        const pd_status finite = pd_gguf_check_finite(tensor, &error);
        if (finite != PD_OK) fuzz_require_error(finite, &error);
        for (uint64_t k = 0; k < rows && row <= 4096; k++) pd_gguf_dequantize(tensor, k * row, row, values);
    }
    REQUIRE(fuzz_memory.live == 1);
    pd_gguf_close(&gguf);
    REQUIRE(fuzz_memory.live == 0);
    return 0;
}

/* Three in four times a change of the file's parts, otherwise one of its bytes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    const size_t length = seed % 4 ? document_mutate(data, size, capacity, true, seed) : 0;
    return length ? length : LLVMFuzzerMutate(data, size, capacity);
}
