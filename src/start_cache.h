/* The network's predictions at x_T. They depend on the seed, the class and the
 * time, but not on how they are guided: a run that begins as an earlier one did,
 * at another guidance scale for instance, takes them from here. */
#ifndef PD_START_CACHE_H
#define PD_START_CACHE_H

#include "memory.h"

typedef struct pd_start_key {
    uint64_t seed;
    int32_t label; /* or PD_LABEL_NULL */
    int32_t t;
} pd_start_key;

typedef struct pd_start_cache {
    size_t value_count; /* floats of a prediction */
    int32_t capacity, used;
    int32_t next; /* entry that is replaced next: the oldest */
    pd_start_key *keys;
    float *predictions; /* [capacity][value_count] */
} pd_start_cache;

/* Takes the memory of an empty cache, as much as the size of a prediction allows
 * within half a mebibyte; possibly none. value_count is not 0. */
void pd_start_cache_place(pd_arena *arena, pd_start_cache *cache, uint64_t value_count);
/* The prediction, valid until the next pd_start_cache_keep, or NULL. */
const float *pd_start_cache_find(const pd_start_cache *cache, pd_start_key key);
/* Copies the prediction of a key that is not in the cache. */
void pd_start_cache_keep(pd_start_cache *cache, pd_start_key key, const float *prediction);

#endif
