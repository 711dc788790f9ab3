#include "memory.h"

#include "status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ALIGNMENT = 16, PIECE_ALIGNMENT = 64 };

_Static_assert(PD_MAX_MEMORY_BYTES <= SIZE_MAX - BLOCK_ALIGNMENT, "what may be asked for fits in a size_t");

bool pd_checked_add(uint64_t a, uint64_t b, uint64_t *result)
{
    if (b > UINT64_MAX - a) return false;
    *result = a + b;
    return true;
}

bool pd_checked_multiply(uint64_t a, uint64_t b, uint64_t *result)
{
    if (a && b > UINT64_MAX / a) return false;
    *result = a * b;
    return true;
}

bool pd_checked_align(uint64_t value, uint64_t alignment, uint64_t *result)
{
    assert(alignment && !(alignment & (alignment - 1)));
    uint64_t raised;
    if (!pd_checked_add(value, alignment - 1, &raised)) return false;
    *result = raised & ~(alignment - 1);
    return true;
}

/* ---- the allocator hook ------------------------------------------------------ */

/* aligned_alloc, because malloc of wasm32 aligns to 8 bytes only; C11 wants the
 * size to be a multiple of the alignment. */
static void *default_allocate(void *context, size_t size)
{
    (void)context;
    return aligned_alloc(BLOCK_ALIGNMENT, (size + BLOCK_ALIGNMENT - 1) & ~(size_t)(BLOCK_ALIGNMENT - 1));
}

static void default_release(void *context, void *block)
{
    (void)context;
    free(block);
}

static const pd_allocator default_allocator = {default_allocate, default_release, NULL};
static pd_allocator current_allocator = {default_allocate, default_release, NULL};

void pd_set_allocator(const pd_allocator *allocator)
{
    assert(!allocator || (allocator->allocate && allocator->release));
    current_allocator = allocator ? *allocator : default_allocator;
}

void *pd_allocate(uint64_t size)
{
    if (size == 0 || size > PD_MAX_MEMORY_BYTES) return NULL;
    void *block = current_allocator.allocate(current_allocator.context, (size_t)size);
    assert((uintptr_t)block % BLOCK_ALIGNMENT == 0);
    return block;
}

void pd_release(void *block)
{
    if (block) current_allocator.release(current_allocator.context, block);
}

/* ---- the arena --------------------------------------------------------------- */

void pd_arena_measure(pd_arena *arena) { *arena = (pd_arena){.size = UINT64_MAX, .measuring = true}; }

pd_status pd_arena_create(pd_arena *arena, uint64_t size, pd_error *error)
{
    *arena = (pd_arena){0};
    uint64_t padded;
    if (!pd_checked_add(size, PIECE_ALIGNMENT, &padded) || padded > PD_MAX_MEMORY_BYTES)
        return pd_fail(error, PD_TOO_BIG, PD_NO_OFFSET, "%u bytes of memory needed, at most %u are allowed", size,
                       PD_MAX_MEMORY_BYTES - PIECE_ALIGNMENT);
    uint8_t *block = pd_allocate(padded);
    if (!block) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory for %u bytes", padded);
    const size_t misaligned = (uintptr_t)block % PIECE_ALIGNMENT;
    arena->block = block;
    arena->base = block + (misaligned ? PIECE_ALIGNMENT - misaligned : 0);
    arena->size = size;
    memset(arena->base, 0, (size_t)size);
    return PD_OK;
}

void *pd_arena_take(pd_arena *arena, uint64_t count, uint64_t element)
{
    uint64_t bytes, start, end;
    if (arena->overflow) return NULL;
    if (!pd_checked_multiply(count, element, &bytes) || !pd_checked_align(arena->used, PIECE_ALIGNMENT, &start) ||
        !pd_checked_add(start, bytes, &end) || end > arena->size) {
        arena->overflow = true;
        return NULL;
    }
    arena->used = end;
    return arena->measuring ? NULL : arena->base + start;
}

void pd_arena_destroy(pd_arena *arena)
{
    pd_release(arena->block);
    *arena = (pd_arena){0};
}
