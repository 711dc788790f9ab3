/* Predictions of the network that later runs are likely to need again. Until the
 * first guided call, x_t depends on the seed, the class and the sampler, not on
 * the guidance scale: a run that differs from an earlier one in its scale alone
 * finds its first predictions here. What is asked for is compared as a whole, so
 * a found prediction is the one that the network would make, bit for bit. */
#ifndef PD_PREDICTION_CACHE_H
#define PD_PREDICTION_CACHE_H

#include "memory.h"

/* What a prediction depends on. */
typedef struct pd_prediction_key {
    const float *x; /* [value_count], x_t */
    int32_t label;  /* or PD_LABEL_NULL */
    int32_t t;
} pd_prediction_key;

typedef struct pd_prediction_cache {
    size_t value_count; /* floats of x_t and of a prediction */
    int32_t capacity, used;
    int32_t next; /* entry that is replaced next: the oldest */
    pd_prediction_key *keys;
    float *inputs, *predictions; /* [capacity][value_count]; the keys point into the former */
} pd_prediction_cache;

/* Takes the memory of an empty cache, as many entries as fit into a mebibyte,
 * PD_MAX_PREDICTIONS at most; possibly none. value_count is not 0. */
#define PD_MAX_PREDICTIONS 128
void pd_prediction_cache_place(pd_arena *arena, pd_prediction_cache *cache, uint64_t value_count);
/* The prediction, valid until the next pd_prediction_cache_keep, or NULL. */
const float *pd_prediction_cache_find(const pd_prediction_cache *cache, pd_prediction_key key);
/* Copies x_t and the prediction of a key that is not in the cache. */
void pd_prediction_cache_keep(pd_prediction_cache *cache, pd_prediction_key key, const float *prediction);

#endif
