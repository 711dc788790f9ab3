/* An allocator for pd_set_allocator that counts, and fails when told to. Its
 * blocks have no more alignment than promised (16 bytes, never 32), end exactly
 * where they should (for AddressSanitizer) and are not cleared. */
#ifndef PD_TEST_COUNTING_ALLOCATOR_H
#define PD_TEST_COUNTING_ALLOCATOR_H

#include "pocket_diffusion.h"

#include <stdlib.h>
#include <string.h>

typedef struct counting_allocator {
    long calls, live; /* allocations asked for; blocks not yet released */
    size_t largest;   /* request so far */
    long fail_at;     /* this call (from 1) and all later ones give NULL; 0: none does */
    bool once;        /* this call alone */
} counting_allocator;

static inline void *counting_allocate(void *context, size_t size)
{
    counting_allocator *counter = context;
    counter->calls++;
    if (size > counter->largest) counter->largest = size;
    if (counter->fail_at && (counter->once ? counter->calls == counter->fail_at : counter->calls >= counter->fail_at)) return NULL;
    void *block;
    if (posix_memalign(&block, 64, size + 16)) return NULL;
    memset(block, 0xa5, size + 16);
    counter->live++;
    return (char *)block + 16;
}

static inline void counting_release(void *context, void *block)
{
    if (!block) return;
    ((counting_allocator *)context)->live--;
    free((char *)block - 16);
}

/* Resets the counts and makes `counter` the allocator of the library. */
static inline void counting_install(counting_allocator *counter, long fail_at)
{
    *counter = (counting_allocator){.fail_at = fail_at};
    pd_set_allocator(&(pd_allocator){counting_allocate, counting_release, counter});
}

#endif
