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

/* Of a mixture of classes, or one class alone, at a guidance scale. Where that is an input of the network, a class is a
 * mixture itself: of the rows for the two scales next to it. */
void pd_model_embed_mix(const pd_model *model, const pd_class_weight *mix, int32_t count, float guidance_scale, float *condition);
void pd_model_embed_class(const pd_model *model, int32_t label, float guidance_scale, float *condition);

/* Bytes of a finished picture. */
size_t pd_model_pixel_bytes(const pd_model *model);

#endif
