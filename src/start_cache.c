#include "start_cache.h"

#include <string.h>

#define BUDGET_BYTES (512u << 10)
#define MAX_ENTRIES (2 * PD_MAX_PICTURES) /* both predictions of the largest run */

void pd_start_cache_place(pd_arena *arena, pd_start_cache *cache, uint64_t value_count)
{
    const uint64_t fitting = BUDGET_BYTES / (sizeof(float) * value_count);
    cache->value_count = (size_t)value_count;
    cache->capacity = fitting < MAX_ENTRIES ? (int32_t)fitting : MAX_ENTRIES;
    cache->keys = PD_TAKE(arena, pd_start_key, cache->capacity);
    cache->predictions = PD_TAKE(arena, float, (uint64_t)cache->capacity * value_count);
}

const float *pd_start_cache_find(const pd_start_cache *cache, pd_start_key key)
{
    for (int32_t i = 0; i < cache->used; i++) {
        const pd_start_key *each = &cache->keys[i];
        if (each->seed == key.seed && each->label == key.label && each->t == key.t)
            return cache->predictions + (size_t)i * cache->value_count;
    }
    return NULL;
}

void pd_start_cache_keep(pd_start_cache *cache, pd_start_key key, const float *prediction)
{
    if (cache->capacity == 0)
        return;
    cache->keys[cache->next] = key;
    memcpy(cache->predictions + (size_t)cache->next * cache->value_count, prediction, sizeof(float) * cache->value_count);
    cache->next = (cache->next + 1) % cache->capacity;
    if (cache->used < cache->capacity)
        cache->used++;
}
