/* The specification: every function of kernels.h in plain C, as simple as can
 * be. Sums are made in double precision. */
#ifndef PD_REFERENCE_H
#define PD_REFERENCE_H

#include "array.h"
#include "kernels.h"

/* Set by pd_kernels_use_reference; each kernel looks at it first. The reference is
 * for tests, which run natively: a WebAssembly module does without it. */
#ifdef __wasm__
#define pd_reference_in_use false
#else
extern bool pd_reference_in_use;
#endif

void pd_reference_conv_pack(const pd_conv *conv, const float *weights, float *packed);
void pd_reference_conv_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out);
void pd_reference_rms_norm(const pd_view *in, const float *gain, const float *const *scale, const float *const *shift,
                           bool activate, const pd_view *residual, const pd_view *out);
void pd_reference_silu(size_t count, const float *in, float *out);
uint64_t pd_reference_linear_attention_scratch_count(const pd_linear_attention *attention);
void pd_reference_linear_attention(const pd_linear_attention *attention, const pd_view *in, const pd_view *out, float *scratch);
void pd_reference_attend(const pd_head *head);

#endif
