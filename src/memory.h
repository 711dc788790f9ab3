/* Checked size arithmetic, the one allocation wrapper, and the arena. */
#ifndef PD_MEMORY_H
#define PD_MEMORY_H

#include "pocket_diffusion.h"

/* True and *result set if the result fits in 64 bits, otherwise false. */
bool pd_checked_add(uint64_t a, uint64_t b, uint64_t *result);
bool pd_checked_multiply(uint64_t a, uint64_t b, uint64_t *result);
/* Rounds up to a multiple of `alignment`, a power of two. */
bool pd_checked_align(uint64_t value, uint64_t alignment, uint64_t *result);

/* `size` bytes through the allocator hook, or NULL: when there are none, when
 * size is 0 or over PD_MAX_MEMORY_BYTES. Not cleared. */
void *pd_allocate(uint64_t size);
void pd_release(void *block);

/* An arena hands out pieces of one block, 64-byte aligned, cleared to zero.
 * An arena without a block (after pd_arena_measure) only counts: the code that
 * lays out a structure runs once to measure and once to place, so that the
 * table of sizes is written down once. Pieces of a measuring arena are NULL. */
typedef struct pd_arena {
    uint8_t *block; /* as allocated */
    uint8_t *base;  /* 64-byte aligned */
    uint64_t size, used;
    bool measuring, overflow;
} pd_arena;

void pd_arena_measure(pd_arena *arena);
/* Allocates `size` bytes. PD_MEMORY or PD_TOO_BIG on failure. */
pd_status pd_arena_create(pd_arena *arena, uint64_t size, pd_error *error);
/* count * element bytes. While measuring, and when the sum overflows or the
 * arena is full (overflow is then set), returns NULL. */
void *pd_arena_take(pd_arena *arena, uint64_t count, uint64_t element);
void pd_arena_destroy(pd_arena *arena);

#define PD_TAKE(arena, type, count) ((type *)pd_arena_take((arena), (uint64_t)(count), sizeof(type)))

#endif
