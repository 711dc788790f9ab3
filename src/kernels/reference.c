#include "reference.h"

#include <math.h>
#include <string.h>

#ifndef __wasm__
bool pd_reference_in_use = false;

void pd_kernels_use_reference(bool use) { pd_reference_in_use = use; }
#endif

static float *pixel(const pd_view *view, int32_t image, int32_t y, int32_t x)
{
    return view->data +
           (((size_t)image * (size_t)view->height + (size_t)y) * (size_t)view->width + (size_t)x) * (size_t)view->stride;
}

void pd_reference_conv_pack(const pd_conv *conv, const float *weights, float *packed)
{
    const pd_conv_shape *s = &conv->shape;
    memcpy(packed, weights,
           sizeof(float) * (size_t)s->out_channels * (size_t)s->kernel * (size_t)s->kernel * (size_t)s->in_channels);
}

static double window_sum(const pd_conv *conv, const pd_view *in, int32_t image, int32_t oy, int32_t ox, int32_t channel)
{
    const pd_conv_shape *s = &conv->shape;
    const int32_t scale = s->upsample ? 2 : 1;
    const float *weight = conv->packed + (size_t)channel * (size_t)(s->kernel * s->kernel) * (size_t)s->in_channels;
    double sum = 0;
    for (int32_t ky = 0; ky < s->kernel; ky++)
        for (int32_t kx = 0; kx < s->kernel; kx++, weight += s->in_channels) {
            const int32_t y = oy * s->step - s->padding + ky, x = ox * s->step - s->padding + kx;
            if (y < 0 || x < 0 || y >= s->in_height * scale || x >= s->in_width * scale) continue;
            const float *from = pixel(in, image, y / scale, x / scale);
            for (int32_t c = 0; c < s->in_channels; c++) sum += (double)from[c] * (double)weight[c];
        }
    return sum;
}

void pd_reference_conv_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out)
{
    for (int32_t image = 0; image < out->images; image++)
        for (int32_t y = 0; y < conv->out_height; y++)
            for (int32_t x = 0; x < conv->out_width; x++)
                for (int32_t c = 0; c < conv->shape.out_channels; c++) {
                    double sum = window_sum(conv, in, image, y, x, c);
                    if (conv->bias) sum += (double)conv->bias[c];
                    if (residual) sum += (double)pixel(residual, image, y, x)[c];
                    pixel(out, image, y, x)[c] = (float)sum;
                }
}

static double silu(double x) { return x / (1 + exp(-x)); }

void pd_reference_silu(size_t count, const float *in, float *out)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)silu((double)in[i]);
}

void pd_reference_rms_norm(const pd_view *in, const float *gain, const float *const *scale, const float *const *shift,
                           bool activate, const pd_view *residual, const pd_view *out)
{
    for (int32_t image = 0; image < in->images; image++)
        for (int32_t i = 0; i < in->height * in->width; i++) {
            const float *x = pixel(in, image, 0, i);
            double sum = 0;
            for (int32_t c = 0; c < in->channels; c++) sum += (double)x[c] * (double)x[c];
            const double norm = fmax(sqrt(sum), 1e-12);
            for (int32_t c = 0; c < in->channels; c++) {
                double y = (double)x[c] / norm * (double)gain[c];
                if (scale) y = y * (double)scale[image][c] + (double)shift[image][c];
                if (activate) y = silu(y);
                if (residual) y += (double)pixel(residual, image, 0, i)[c];
                pixel(out, image, 0, i)[c] = (float)y;
            }
        }
}

/* Channel c of a head of q (part 0), k (1) or v (2) at pixel i. */
static double part_of(const pd_view *qkv, int32_t image, int32_t i, int32_t part, int32_t heads, int32_t head, int32_t head_size,
                      int32_t c)
{
    return (double)pixel(qkv, image, 0, i)[(part * heads + head) * pd_round_up_4(head_size) + c];
}

/* Weight of query channel d at pixel i, softmax over the channels, times
 * head_size^-1/2, divided by the sum over all pixels of exp(k - max). */
static double linear_weight(const pd_view *qkv, int32_t image, int32_t i, int32_t heads, int32_t head, int32_t head_size,
                            int32_t d, double key_sum)
{
    double sum = 0, highest = -HUGE_VAL;
    for (int32_t c = 0; c < head_size; c++) highest = fmax(highest, part_of(qkv, image, i, 0, heads, head, head_size, c));
    for (int32_t c = 0; c < head_size; c++) sum += exp(part_of(qkv, image, i, 0, heads, head, head_size, c) - highest);
    return exp(part_of(qkv, image, i, 0, heads, head, head_size, d) - highest) / sum / sqrt((double)head_size) / key_sum;
}

static void linear_attention_core(const pd_view *qkv, int32_t heads, int32_t head_size, const pd_view *out)
{
    const int32_t pixels = qkv->height * qkv->width, head_stride = pd_round_up_4(head_size);
    for (int32_t image = 0; image < qkv->images; image++)
        for (int32_t i = 0; i < pixels; i++) memset(pixel(out, image, 0, i), 0, sizeof(float) * (size_t)(heads * head_stride));
    /* Rounded to float after every d: at most head_size roundings. */
    for (int32_t image = 0; image < qkv->images; image++)
        for (int32_t head = 0; head < heads; head++)
            for (int32_t d = 0; d < head_size; d++) {
                double highest = -HUGE_VAL, sum = 0;
                for (int32_t i = 0; i < pixels; i++)
                    highest = fmax(highest, part_of(qkv, image, i, 1, heads, head, head_size, d));
                for (int32_t i = 0; i < pixels; i++) sum += exp(part_of(qkv, image, i, 1, heads, head, head_size, d) - highest);
                for (int32_t e = 0; e < head_size; e++) {
                    double context = 0;
                    for (int32_t i = 0; i < pixels; i++)
                        context += exp(part_of(qkv, image, i, 1, heads, head, head_size, d) - highest) *
                                   part_of(qkv, image, i, 2, heads, head, head_size, e);
                    for (int32_t i = 0; i < pixels; i++) {
                        float *to = pixel(out, image, 0, i) + head * head_stride + e;
                        *to = (float)((double)*to + context * linear_weight(qkv, image, i, heads, head, head_size, d, sum));
                    }
                }
            }
}

/* Input after the norm, q k v, what came of them, and its projection, of one image. */
uint64_t pd_reference_linear_attention_scratch_count(const pd_linear_attention *attention)
{
    const uint64_t inner = (uint64_t)attention->heads * (uint64_t)attention->head_size;
    return (uint64_t)attention->height * (uint64_t)attention->width * (4 * inner + 2 * (uint64_t)attention->channels);
}

void pd_reference_linear_attention(const pd_linear_attention *a, const pd_view *in, const pd_view *out, float *scratch)
{
    const int32_t inner = a->heads * a->head_size, pixels = a->height * a->width;
    const pd_view normed = {scratch, 1, a->height, a->width, a->channels, a->channels};
    const pd_view projected = {normed.data + pixels * a->channels, 1, a->height, a->width, a->channels, a->channels};
    const pd_view qkv = {projected.data + pixels * a->channels, 1, a->height, a->width, 3 * inner, 3 * inner};
    const pd_view attended = {qkv.data + pixels * 3 * inner, 1, a->height, a->width, inner, inner};
    for (int32_t image = 0; image < in->images; image++) {
        pd_view from = *in, to = *out;
        from.images = to.images = 1;
        from.data = pixel(in, image, 0, 0);
        to.data = pixel(out, image, 0, 0);
        pd_reference_rms_norm(&from, a->norm_gain, NULL, NULL, false, NULL, &normed);
        pd_reference_conv_run(&a->to_qkv, &normed, NULL, &qkv);
        linear_attention_core(&qkv, a->heads, a->head_size, &attended);
        pd_reference_conv_run(&a->to_out, &attended, NULL, &projected);
        pd_reference_rms_norm(&projected, a->out_gain, NULL, NULL, false, &from, &to);
    }
}

/* One query at a time; the scores twice, for none is kept. */
static double score_of(const pd_head *head, int32_t i, int32_t j)
{
    double score = 0;
    for (int32_t c = 0; c < head->size; c++)
        score += (double)head->q[(size_t)i * head->q_stride + (size_t)c] *
                 (double)head->k[(size_t)j * head->k_stride + (size_t)c];
    return score * (double)head->factor + (head->mask ? (double)head->mask[i * head->mask_row + j * head->mask_column] : 0);
}

void pd_reference_attend(const pd_head *head)
{
    for (int32_t i = 0; i < head->queries; i++) {
        double highest = -HUGE_VAL, total = 0;
        for (int32_t j = 0; j < head->keys; j++) highest = fmax(highest, score_of(head, i, j));
        for (int32_t j = 0; j < head->keys; j++) total += exp(score_of(head, i, j) - highest);
        for (int32_t c = 0; c < head->value_size; c++) {
            double sum = 0;
            for (int32_t j = 0; j < head->keys; j++)
                sum += exp(score_of(head, i, j) - highest) / total * (double)head->v[(size_t)j * head->v_stride + (size_t)c];
            head->out[(size_t)i * head->out_stride + (size_t)c] = (float)sum;
        }
    }
}
