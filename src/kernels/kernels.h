/* The arithmetic of the network: what each kernel computes, for whoever calls
 * one. Each exists twice: in reference.c in plain C (the specification) and,
 * vectorised, in the file of its family, written once over simd.h.
 *
 * Activations are float32, interleaved (NHWC): pixel after pixel, the channels
 * of a pixel together. Channel counts are multiples of 4 except where it says
 * otherwise; a caller rounds up and zero-fills weights, gains and biases, which
 * keeps the additional channels zero.
 *
 * Every output is summed in one fixed order that depends neither on the
 * platform nor on the number of images: an image's numbers are the same bits
 * whether it is computed alone or in a batch. No kernel allocates. */
#ifndef PD_KERNELS_H
#define PD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline int32_t pd_round_up_4(int32_t value) { return (value + 3) & ~3; }
/* to: a power of two. */
static inline size_t pd_round_up(size_t count, size_t to) { return (count + to - 1) & ~(to - 1); }

/* `images` pictures of height x width pixels, one after the other. `stride`
 * floats from a pixel to the next (>= channels), so that a view can be a range
 * of the channels of a wider tensor: concatenation costs nothing. */
typedef struct pd_view {
    float *data;
    int32_t images, height, width, channels, stride;
} pd_view;

/* ---- convolution --------------------------------------------------------- */

typedef enum pd_conv_form {
    PD_CONV_DIRECT,     /* any kernel size and step; 1x1 and fully connected layers too */
    /* 3x3, and larger kernels as the sum of such; with a step of n, kernels of up to 3n x 3n. in_channels a multiple of 4. */
    PD_CONV_WINOGRAD_2, /* F(2x2, 3x3), Lavin and Gray 2016 */
    PD_CONV_WINOGRAD_2X4, /* F(2x4, 3x3) */
    PD_CONV_WINOGRAD_4, /* F(4x4, 3x3) */
    PD_CONV_FORMS
} pd_conv_form;

/* Shape of a layer: cross-correlation with zero padding, as torch.nn.Conv2d. */
typedef struct pd_conv_shape {
    int32_t in_channels; /* any number in the direct form */
    int32_t out_channels; /* multiple of 4 */
    int32_t in_height, in_width; /* of the view that is read */
    int32_t kernel; /* side: 1, 3, 4, 7, ... */
    int32_t step; /* stride in pixels */
    int32_t padding; /* zeros on each side */
    bool upsample; /* double the input by nearest neighbour first (3x3 only); the doubled map is never stored */
    int32_t images; /* the most images in one call */
} pd_conv_shape;

typedef struct pd_conv {
    pd_conv_shape shape;
    pd_conv_form form;
    int32_t out_height, out_width;
    uint64_t packed_count; /* floats of packed weights */
    uint64_t scratch_count; /* floats of scratch that pd_conv_run needs */
    const float *packed; /* 64-byte aligned; set by the caller after pd_conv_pack */
    const float *bias; /* out_channels floats, 16-byte aligned, or NULL for none; set by the caller */
} pd_conv;

/* Fills in everything but packed and bias; chooses the form by shape from
 * measured costs. */
void pd_conv_plan(pd_conv *conv, const pd_conv_shape *shape);
/* The same with the form given (tests, benchmarks). The form must fit. */
void pd_conv_plan_form(pd_conv *conv, const pd_conv_shape *shape, pd_conv_form form);
/* weights: [out_channels][kernel][kernel][in_channels]. packed: packed_count
 * floats. */
void pd_conv_pack(const pd_conv *conv, const float *weights, float *packed);
/* out = conv(in) + bias + residual. `residual` may be NULL; it may be `out`.
 * in->images = out->images <= shape.images. out must not overlap in. */
void pd_conv_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch);

/* ---- everything between convolutions --------------------------------------- */

/* RMSNorm over the channels of each pixel, then optionally scale and shift,
 * SiLU and a residual, in one pass:
 *   y = x / max(||x||_2, 1e-12) * gain
 *   y = y * scale[i] + shift[i]            if scale (arrays of one pointer per image; scale holds 1 + scale)
 *   y = y * sigmoid(y)                     if silu
 *   y = y + residual                       if residual
 * gain: already multiplied by sqrt(real channel count). out may be in or
 * residual. */
void pd_rms_norm(const pd_view *in, const float *gain, const float *const *scale, const float *const *shift, bool silu,
                 const pd_view *residual, const pd_view *out);

void pd_silu(size_t count, const float *in, float *out); /* x * sigmoid(x); any count, out may be in */

/* A layer of linear attention (Shen et al. 2021, "Efficient attention"; PreNorm,
 * LinearAttention and Residual of the reference):
 *   q, k, v = to_qkv(norm(in)), each heads * head_size channels, head by head
 *   q = softmax of q over the channels of its head, times head_size^-1/2
 *   context = softmax of k over the pixels, times v^T
 *   out = in + norm(to_out(context^T q))
 * Neither the projections nor their products are stored for a whole batch. */
typedef struct pd_linear_attention {
    int32_t height, width, channels;
    int32_t heads, head_size; /* head_size: multiple of 8 */
    bool folded; /* the way the products are associated, chosen by the plan */
    uint64_t scratch_count;
    pd_conv to_qkv, to_out; /* weights and bias as of any pd_conv, set by the caller */
    const float *norm_gain, *out_gain; /* of the norms, as of pd_rms_norm; set by the caller */
} pd_linear_attention;

/* Fills in everything but weights, bias and gains. A plan that is made while
 * the reference is in force has scratch enough for that too. */
void pd_linear_attention_plan(pd_linear_attention *attention, int32_t height, int32_t width, int32_t channels, int32_t heads,
                              int32_t head_size);
/* out must not overlap in. */
void pd_linear_attention_run(const pd_linear_attention *attention, const pd_view *in, const pd_view *out, float *scratch);

/* Scaled dot-product attention (Vaswani et al. 2017), softmax over pixels. qkv:
 * 3 * heads * head_stride channels, q then k then v, each head by head;
 * head_stride = pd_round_up_4(head_size), the additional channels are zero and
 * stay zero. out: heads * head_stride channels. Scratch, in floats, for one image of
 * height x width. */
uint64_t pd_attention_scratch_count(int32_t height, int32_t width, int32_t heads, int32_t head_size);
void pd_attention(const pd_view *qkv, int32_t heads, int32_t head_size, const pd_view *out, float *scratch);

/* Planar [images][channels][height][width] to a view and back. The view's
 * channels may be any number here; `planar_channels` of them are real, further
 * ones up to view->channels are written as zero. */
void pd_from_planar(const float *planar, int32_t planar_channels, const pd_view *view);
void pd_to_planar(const pd_view *view, int32_t planar_channels, float *planar);

/* ---- testing ------------------------------------------------------------------ */

/* Routes every call above to reference.c (for the whole process). The results
 * then agree within rounding, not bit by bit. The reference reads weights that
 * were packed while it was in force. */
void pd_kernels_use_reference(bool use);

#endif
