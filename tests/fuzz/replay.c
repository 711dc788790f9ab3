/* A fuzz target without libFuzzer, as a test for every compiler: the files given
 * as arguments, and of each a number of mutations that is always the same. */
#include "fuzz.h"

enum { MUTATIONS = 1000, CAPACITY = 1 << 14 };

/* Of libFuzzer; here a change of one byte. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    if (size == 0 && capacity > 0) size = 1;
    if (size) data[(state >> 8) % size] = (uint8_t)(state >> 24);
    return size;
}

/* Targets without their own. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    return 0;
}

__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    (void)seed;
    return LLVMFuzzerMutate(data, size, capacity);
}

/* In a block of exactly its size. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int count, char **arguments)
{
    static uint8_t data[CAPACITY], original[CAPACITY];
    LLVMFuzzerInitialize(&count, &arguments);
    run(data, 0);
    for (int i = 1; i < count || i == 1; i++) {
        FILE *file = count > 1 ? fopen(arguments[i], "rb") : NULL;
        REQUIRE(file || count == 1);
        const size_t size = file ? fread(original, 1, sizeof original, file) : 64;
        REQUIRE(size < sizeof original);
        if (file) fclose(file);
        run(original, size);
        for (unsigned seed = 1; seed <= MUTATIONS; seed++) {
            memcpy(data, original, size);
            run(data, LLVMFuzzerCustomMutator(data, size, sizeof data, seed * 2654435761u));
        }
    }
    return 0;
}
