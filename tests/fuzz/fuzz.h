/* What every fuzz target shares: an allocator that counts, may be told to fail
 * and refuses what is large; and a check that stops at the first wrong thing. */
#ifndef PD_FUZZ_FUZZ_H
#define PD_FUZZ_FUZZ_H

#include "pocket_diffusion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's interface (https://llvm.org/docs/LibFuzzer.html). */
int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

#define REQUIRE(condition)                                                       \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);      \
            abort();                                                             \
        }                                                                        \
    } while (0)

typedef struct fuzz_allocator {
    long calls, live, fail_at; /* fail_at: this call (from 1) gives NULL; 0: none does */
    size_t largest, cap;       /* larger requests give NULL */
} fuzz_allocator;

static fuzz_allocator fuzz_memory;

static inline void *fuzz_allocate(void *context, size_t size)
{
    fuzz_allocator *memory = context;
    if (size > memory->largest) memory->largest = size;
    if (++memory->calls == memory->fail_at || size > memory->cap) return NULL;
    void *block = aligned_alloc(16, (size + 15) & ~(size_t)15);
    memory->live += block != NULL;
    return block;
}

static inline void fuzz_release(void *context, void *block)
{
    ((fuzz_allocator *)context)->live -= block != NULL;
    free(block);
}

static inline void fuzz_memory_reset(size_t cap, long fail_at)
{
    static const pd_allocator allocator = {fuzz_allocate, fuzz_release, &fuzz_memory};
    fuzz_memory = (fuzz_allocator){.cap = cap, .fail_at = fail_at};
    pd_set_allocator(&allocator);
}

/* A refusal has a known code and one line of text, and changes nothing else. */
static inline void fuzz_require_error(pd_status status, const pd_error *error)
{
    REQUIRE(status != PD_OK && error->status == status && strcmp(pd_status_name(status), "UNKNOWN") != 0);
    REQUIRE(memchr(error->message, 0, sizeof error->message) && error->message[0] && !strchr(error->message, '\n'));
}

#endif
