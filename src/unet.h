/* The network: prediction = unet(x_t, t, class). The reference is class Unet of
 * denoising-diffusion-pytorch 2.3.4, classifier_free_guidance.py.
 *
 * What depends on the class alone and on t alone is computed apart from the
 * images, so that a run computes the first once and the second once per step.
 * The weights are read only; the workspace inside the model is overwritten by
 * every call. Nothing allocates. */
#ifndef PD_UNET_H
#define PD_UNET_H

#include "model.h"

/* The class's share of every block's [1 + scale | shift], condition_count
 * floats. label may be PD_LABEL_NULL. A network that takes the guidance scale
 * has rows of a class for several; those next to guidance_scale, which lies
 * within them, are interpolated. Other networks ignore it. */
void pd_unet_embed_class(const pd_unet *unet, int32_t label, float guidance_scale, float *condition);
/* The share of a mixture of class embeddings, with weights that sum to 1; those
 * with weight 0 are left out. */
void pd_unet_embed_mix(const pd_unet *unet, const pd_class_weight *mix, int32_t count, float guidance_scale, float *condition);
/* The timestep's share. */
void pd_unet_embed_time(const pd_unet *unet, int32_t t, float *condition);

/* One batch. x[i]: planar network-space input of image i; class_conditions[i]:
 * from pd_unet_embed_class; predictions[i]: planar output. 1 <= images <=
 * max_images. All images share t. Inputs may repeat. */
void pd_unet_forward(const pd_unet *unet, int32_t images, const float *const *x, const float *time_condition,
                     const float *const *class_conditions, float *const *predictions);

#endif
