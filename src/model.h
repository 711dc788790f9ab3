/* A loaded model: what its file says of it, and its network. */
#ifndef PD_MODEL_H
#define PD_MODEL_H

#include "memory.h"
#include "network.h"
#include "pocket_diffusion.h"
#include "prediction_cache.h"

struct pd_model {
    pd_model_info info;
    pd_network network;
    int32_t guidance_row_count; /* rows of a class in the network's table, one for each of guidance_scales; 0: one for all */
    float guidance_scales[PD_MAX_GUIDANCE_ROWS];
    pd_prediction_cache prediction_cache;
    const char **class_names;
    uint64_t fingerprint; /* of the file */
    pd_arena arena;       /* of all but the network */
};

#endif
