/* The face of a network: prediction = network(x_t, t, class), whatever it is made of.
 *
 * What depends on the class alone and on t alone is computed apart from the images,
 * so that a run computes the first once and the second once per step. The weights
 * are read only; the memory inside the network is overwritten by every call.
 * Nothing allocates but pd_network_load. */
#ifndef PD_NETWORK_H
#define PD_NETWORK_H

#include "config.h"
#include "graph.h"

typedef struct pd_network {
    pd_graph graph;
    pd_arena structure; /* operations and their parameters */
    pd_arena memory;    /* layers, weights, values */
    float *work, *scratch;
    float *time_state, *class_state; /* of a single prediction */
    const float *times; /* what the network is fed, [timesteps], or NULL: t */
    int32_t max_images; /* most in a call of pd_network_forward */
    size_t class_count, time_count; /* floats of the states */
    uint64_t memory_bytes;
} pd_network;

/* Checks the network of a file and takes its weights. Nothing of `gguf` is needed
 * afterwards. On failure *network is empty. */
pd_status pd_network_load(const pd_gguf *gguf, const pd_config *config, pd_network *network, pd_error *error);
void pd_network_free(pd_network *network); /* an empty one is allowed */
/* Whether label PD_LABEL_NULL means something to it. */
bool pd_network_has_null(const pd_network *network);

/* What depends on the class, class_count floats. label may be PD_LABEL_NULL where
 * there is such a class, or none at all. */
void pd_network_embed_class(const pd_network *network, int32_t label, float *state);
/* The same of a mixture of classes, with weights that sum to 1; those with weight 0 are left out. */
void pd_network_embed_mix(const pd_network *network, const pd_class_weight *mix, int32_t count, float *state);
/* What depends on the timestep, time_count floats. */
void pd_network_embed_time(const pd_network *network, int32_t t, float *state);

/* One batch. x[i]: planar network-space input of image i; class_states[i]: from
 * pd_network_embed_class; predictions[i]: planar output. 1 <= images <= max_images. All
 * images share t, that of time_state. Inputs may repeat. */
void pd_network_forward(const pd_network *network, int32_t images, const float *const *x, const float *time_state,
                        const float *const *class_states, float *const *predictions);

/* Numbers in the value of an operation. */
size_t pd_network_value_count(const pd_network *network, int32_t operation);
/* The value of an operation, planar, on the way from x to the prediction. The evaluation goes no further, because later
 * operations may take the memory of the value: graph.end is operation + 1, and has been since the network's own states
 * were made, that of the value's phase last. */
void pd_network_value(const pd_network *network, int32_t operation, const float *x, float *value);

#endif
