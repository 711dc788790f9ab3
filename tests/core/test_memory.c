#include "check.h"
#include "counting_allocator.h"
#include "memory.h"

#include <string.h>

static void test_arithmetic(void)
{
    uint64_t result = 7;
    CHECK(pd_checked_add(2, 3, &result) && result == 5);
    CHECK(pd_checked_add(UINT64_MAX, 0, &result) && result == UINT64_MAX);
    CHECK(pd_checked_add(UINT64_MAX - 1, 1, &result) && result == UINT64_MAX);
    result = 7;
    CHECK(!pd_checked_add(UINT64_MAX, 1, &result) && result == 7);
    CHECK(!pd_checked_add(1, UINT64_MAX, &result) && result == 7);

    CHECK(pd_checked_multiply(0, UINT64_MAX, &result) && result == 0);
    CHECK(pd_checked_multiply(UINT64_MAX, 0, &result) && result == 0);
    CHECK(pd_checked_multiply(UINT64_MAX, 1, &result) && result == UINT64_MAX);
    CHECK(pd_checked_multiply(0xffffffffu, 0x100000001u, &result) && result == UINT64_MAX);
    result = 7;
    CHECK(!pd_checked_multiply((uint64_t)1 << 32, (uint64_t)1 << 32, &result) && result == 7);
    CHECK(!pd_checked_multiply((uint64_t)1 << 62, 4, &result) && result == 7);
    CHECK(!pd_checked_multiply(UINT64_MAX, 2, &result) && result == 7);

    CHECK(pd_checked_align(0, 32, &result) && result == 0);
    CHECK(pd_checked_align(1, 32, &result) && result == 32);
    CHECK(pd_checked_align(32, 32, &result) && result == 32);
    CHECK(pd_checked_align(33, 1, &result) && result == 33);
    CHECK(pd_checked_align(UINT64_MAX - 31, 32, &result) && result == UINT64_MAX - 31);
    result = 7;
    CHECK(!pd_checked_align(UINT64_MAX - 3, 32, &result) && result == 7);
    CHECK(!pd_checked_align(UINT64_MAX, 2, &result) && result == 7);
}

static void test_allocate(void)
{
    for (uint64_t size = 1; size < 200; size += 7) { /* the default allocator */
        void *block = pd_allocate(size);
        CHECK(block && (uintptr_t)block % 16 == 0);
        if (block) memset(block, 1, (size_t)size);
        pd_release(block);
    }
    pd_release(NULL);

    counting_allocator counter;
    counting_install(&counter, 0);
    CHECK(!pd_allocate(0));
    CHECK(!pd_allocate(PD_MAX_MEMORY_BYTES + 1));
    CHECK(!pd_allocate(UINT64_MAX));
    CHECK(!pd_allocate(((uint64_t)1 << 32) + 1)); /* 1 if it were cut to 32 bits */
    CHECK(counter.calls == 0);
    void *block = pd_allocate(100);
    CHECK(block && counter.calls == 1 && counter.live == 1 && counter.largest == 100);
    pd_release(block);
    CHECK(counter.live == 0);
    counting_install(&counter, 1);
    CHECK(!pd_allocate(100) && counter.calls == 1);
    pd_set_allocator(NULL);
    block = pd_allocate(100);
    CHECK(block && counter.calls == 1);
    pd_release(block);
}

typedef struct layout {
    float *weights;
    uint8_t *flag;
    double *table;
    int32_t *nothing;
} layout;

static layout lay_out(pd_arena *arena)
{
    layout l;
    l.weights = PD_TAKE(arena, float, 33);
    l.flag = PD_TAKE(arena, uint8_t, 1);
    l.table = PD_TAKE(arena, double, 100);
    l.nothing = PD_TAKE(arena, int32_t, 0);
    return l;
}

static void test_arena(void)
{
    counting_allocator counter;
    counting_install(&counter, 0);
    pd_arena arena;
    pd_arena_measure(&arena);
    layout l = lay_out(&arena);
    CHECK(!l.weights && !l.flag && !l.table && !arena.overflow);
    /* 132 bytes -> 192, 1 -> 256, 800 -> 1056, then 0 bytes at 1088 */
    CHECK(arena.used == 1088);
    const uint64_t size = arena.used;
    pd_arena_destroy(&arena);
    CHECK(counter.calls == 0);

    pd_error error;
    CHECK(pd_arena_create(&arena, size, &error) == PD_OK && counter.live == 1);
    l = lay_out(&arena);
    CHECK(!arena.overflow && arena.used == size);
    CHECK((uintptr_t)l.weights % 64 == 0 && (uintptr_t)l.flag % 64 == 0 && (uintptr_t)l.table % 64 == 0);
    CHECK((uint8_t *)l.weights == arena.base && l.flag >= (uint8_t *)(l.weights + 33));
    CHECK((uint8_t *)l.table > l.flag && l.nothing);
    bool cleared = true; /* although the allocator gave non-zero bytes */
    for (uint64_t i = 0; i < size; i++) cleared &= arena.base[i] == 0;
    CHECK(cleared);
    memset(arena.base, 1, (size_t)size);

    CHECK(!PD_TAKE(&arena, uint8_t, 1) && arena.overflow); /* full */
    CHECK(!PD_TAKE(&arena, uint8_t, 0));                   /* and it stays so */
    pd_arena_destroy(&arena);
    CHECK(counter.live == 0 && !arena.base);
    pd_arena_destroy(&arena); /* twice does no harm */

    CHECK(pd_arena_create(&arena, 100, NULL) == PD_OK);
    CHECK(PD_TAKE(&arena, uint8_t, 100) && !PD_TAKE(&arena, uint8_t, 1));
    pd_arena_destroy(&arena);
    CHECK(pd_arena_create(&arena, 100, NULL) == PD_OK);
    CHECK(!PD_TAKE(&arena, uint8_t, 101) && arena.overflow);
    pd_arena_destroy(&arena);
    CHECK(pd_arena_create(&arena, 0, NULL) == PD_OK);
    CHECK(!PD_TAKE(&arena, uint8_t, 1));
    pd_arena_destroy(&arena);

    pd_arena_measure(&arena);
    CHECK(!pd_arena_take(&arena, (uint64_t)1 << 62, 8) && arena.overflow);
    pd_arena_measure(&arena);
    pd_arena_take(&arena, UINT64_MAX - 100, 1);
    CHECK(!arena.overflow);
    pd_arena_take(&arena, 200, 1);
    CHECK(arena.overflow);

    pd_arena_measure(&arena);
    pd_arena_take(&arena, UINT64_MAX - 10, 1);
    CHECK(!arena.overflow);
    pd_arena_take(&arena, 1, 1); /* its start would be beyond 64 bits */
    CHECK(arena.overflow);

    CHECK(counter.live == 0);
    CHECK(pd_arena_create(&arena, PD_MAX_MEMORY_BYTES, &error) == PD_TOO_BIG && error.status == PD_TOO_BIG);
    CHECK(pd_arena_create(&arena, UINT64_MAX, &error) == PD_TOO_BIG);
    CHECK(!arena.block && !pd_arena_take(&arena, 1, 1));
    counting_install(&counter, 1);
    CHECK(pd_arena_create(&arena, 1000, &error) == PD_MEMORY && error.status == PD_MEMORY);
    CHECK(strcmp(error.message, "no memory for 1064 bytes") == 0);
    pd_arena_destroy(&arena);
    CHECK(counter.live == 0);
    pd_set_allocator(NULL);
}

int main(void)
{
    test_arithmetic();
    test_allocate();
    test_arena();
    return check_result();
}
