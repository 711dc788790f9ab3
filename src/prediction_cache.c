#include "prediction_cache.h"

#include <string.h>

#define BUDGET_BYTES (1u << 20)

void pd_prediction_cache_place(pd_arena *arena, pd_prediction_cache *cache, uint64_t value_count)
{
    const uint64_t fitting = BUDGET_BYTES / (2 * sizeof(float) * value_count);
    cache->value_count = (size_t)value_count;
    cache->capacity = fitting < PD_MAX_PREDICTIONS ? (int32_t)fitting : PD_MAX_PREDICTIONS;
    cache->keys = PD_TAKE(arena, pd_prediction_key, cache->capacity);
    const uint64_t values = value_count * (uint64_t)cache->capacity;
    cache->inputs = PD_TAKE(arena, float, values);
    cache->predictions = PD_TAKE(arena, float, values);
}

const float *pd_prediction_cache_find(const pd_prediction_cache *cache, pd_prediction_key key)
{
    for (int32_t i = 0; i < cache->used; i++) {
        const pd_prediction_key *each = &cache->keys[i];
        if (each->label == key.label && each->t == key.t && memcmp(each->x, key.x, sizeof(float) * cache->value_count) == 0)
            return cache->predictions + (size_t)i * cache->value_count;
    }
    return NULL;
}

void pd_prediction_cache_keep(pd_prediction_cache *cache, pd_prediction_key key, const float *prediction)
{
    if (cache->capacity == 0) return;
    const size_t place = (size_t)cache->next * cache->value_count, bytes = sizeof(float) * cache->value_count;
    memcpy(cache->inputs + place, key.x, bytes);
    memcpy(cache->predictions + place, prediction, bytes);
    key.x = cache->inputs + place;
    cache->keys[cache->next] = key;
    cache->next = (cache->next + 1) % cache->capacity;
    if (cache->used < cache->capacity) cache->used++;
}
