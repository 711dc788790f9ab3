/* Private to the convolution's files: the forms behind pd_conv_*. Each has a
 * plan (sizes), a packing and a run. */
#ifndef PD_CONV_H
#define PD_CONV_H

#include "kernels.h"

void pd_conv_direct_plan(pd_conv *conv);
void pd_conv_direct_pack(const pd_conv *conv, const float *weights, float *packed);
void pd_conv_direct_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch);

/* Pieces of up to 3x3 that a side of the kernel is cut into; 0 where the forms of Winograd do not fit. */
int32_t pd_conv_winograd_pieces(const pd_conv_shape *shape);
void pd_conv_winograd_plan(pd_conv *conv);
void pd_conv_winograd_pack(const pd_conv *conv, const float *weights, float *packed);
void pd_conv_winograd_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch);

#endif
