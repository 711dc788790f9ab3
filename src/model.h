/* A loaded model: the network of the reference's Unet with its weights packed
 * for the kernels, and the workspace of a forward pass, in one block of memory.
 *
 * Channel counts here are as stored: rounded up to a multiple of 4. */
#ifndef PD_MODEL_H
#define PD_MODEL_H

#include "config.h"
#include "kernels.h"
#include "memory.h"
#include "pocket_diffusion.h"
#include "prediction_cache.h"

/* ResnetBlock: two 3x3 convolutions, each followed by RMSNorm and SiLU, the
 * first also by the scale and shift that time and class decide; a 1x1 shortcut
 * where the channel counts differ. */
typedef struct pd_resnet {
    pd_conv convolution_1, convolution_2, shortcut;
    const float *gain_1, *gain_2;
    bool has_shortcut;
    int32_t out_channels;
    /* [scale | shift] = time_projection(silu(time)) + class_projection(silu(class)),
     * the two column halves of the reference's mlp.1. */
    pd_conv time_projection, class_projection;
    int32_t condition_offset; /* of [scale | shift] in the condition vector */
} pd_resnet;

/* PreNorm + Attention, with the residual around it. */
typedef struct pd_attention_layer {
    const float *norm_gain;
    pd_conv to_qkv, to_out;
    int32_t heads, head_size;
} pd_attention_layer;

typedef struct pd_level {
    int32_t height, width, in_channels, out_channels;
    pd_resnet down_1, down_2, up_1, up_2;
    pd_linear_attention down_attention, up_attention;
    pd_conv downsample, upsample; /* at the last and first level plain 3x3 */
    /* Inputs of up_1 and up_2: channels coming up, then the skip from down. */
    float *concat_1, *concat_2;
} pd_level;

/* Buffers of a forward pass for max_images images. */
typedef struct pd_workspace {
    float *input;     /* [images][height][width][channels], not rounded up */
    float *stem_concat; /* input of final_block: channels coming up, then the stem's output */
    float *x, *y;     /* running activations, largest level */
    float *hidden_1, *hidden_2;
    float *qkv, *attended; /* of the attention in the middle */
    float *conditions; /* [images][condition_count] */
    float *time_condition, *class_condition; /* of pd_model_predict */
    float *scratch;    /* of the kernels */
} pd_workspace;

typedef struct pd_unet {
    pd_config config; /* its pointers into the file are cleared after loading */
    int32_t height, width; /* of the network's input */
    int32_t init_channels, out_channels, embedding_size, time_features;
    int32_t max_images;
    pd_conv stem, final_convolution;
    pd_level levels[PD_MAX_LEVELS];
    pd_resnet middle_1, middle_2, final_block;
    pd_attention_layer middle_attention;
    pd_conv time_mlp_1, time_mlp_2, class_mlp_1, class_mlp_2;
    const float *frequencies;   /* fourier_dim / 2 values, or NULL */
    const float *class_table;   /* [class_count][guidance_row_count, or 1][dim] */
    const float *null_embedding; /* [dim] */
    int32_t condition_count;    /* floats of scales and shifts of all blocks */
    pd_workspace workspace;
} pd_unet;

struct pd_model {
    pd_model_info info;
    pd_unet unet;
    pd_prediction_cache prediction_cache;
    const char **class_names;
    uint64_t fingerprint; /* of the file */
    pd_arena arena;
};

/* Calls visit(context, block) for each ResnetBlock. */
void pd_unet_each_resnet(const pd_unet *unet, void (*visit)(void *context, const pd_resnet *block), void *context);

#endif
