/* Linear attention: of one head, whose queries, keys and values are there already,
 * and as a layer of its own, image by image and, as far as its softmaxes allow,
 * block by block, so that what passes between the products stays in the
 * first-level cache.
 *
 * With X the normalised input [pixels][channels], the layer of one head is
 *   context = softmax(X K)^T (X V)   [head_size][head_size]
 *   Y       = softmax(X Q) context W [pixels][channels], summed over the heads.
 * Matrix products are associative. "Folded", context = (softmax(X K)^T X) V and
 * context W are made first: then neither the values nor the attended pixels are
 * ever computed, each of which takes pixels * heads * head_size^2
 * multiplications, in exchange for products of channels * heads * head_size^2.
 * That is less work where there are more pixels than channels. */
#include <assert.h>
#include <float.h>
#include <string.h>

#include "array.h"
#include "exponential.h"
#include "kernels.h"
#include "product.h"
#include "reference.h"

/* Pixels whose queries are worked on together. */
#define QUERY_BLOCK 32

typedef struct sizes {
    size_t pixels, channels, head_size, inner; /* inner = heads * head_size */
} sizes;

static sizes measure(const pd_linear_attention *a)
{
    return (sizes){(size_t)a->height * (size_t)a->width, (size_t)a->channels, (size_t)a->head_size,
                   (size_t)a->heads * (size_t)a->head_size};
}

typedef struct workspace {
    float *x;        /* [pixels][channels]: the input after the norm */
    float *keys;     /* [pixels][head_size] */
    float *values;   /* plain: [pixels][head_size]; folded: keys^T x, [head_size][channels] */
    float *sums;     /* of keys [head_size]; of queries [QUERY_BLOCK][heads][4] */
    float *context;  /* plain: panels of [head_size][head_size] for each head; folded: rows of one head */
    float *product;  /* folded: context W of one head, [head_size][channels] */
    float *folded;   /* panels of context W: [heads * head_size][channels] */
    float *queries;  /* [QUERY_BLOCK][inner] */
    float *attended; /* plain: [QUERY_BLOCK][inner] */
    float *projected; /* [QUERY_BLOCK][channels] */
    uint64_t count;
} workspace;

static workspace lay_out(const pd_linear_attention *a, float *scratch)
{
    const sizes n = measure(a);
    const size_t counts[] = {
        n.pixels * n.channels,
        n.pixels * n.head_size,
        (a->folded ? n.channels : n.pixels) * n.head_size,
        n.head_size + (size_t)(4 * QUERY_BLOCK * a->heads),
        (a->folded ? n.head_size : n.inner) * n.head_size,
        a->folded ? n.head_size * n.channels : 0,
        a->folded ? n.inner * n.channels : 0,
        QUERY_BLOCK * n.inner,
        a->folded ? 0 : QUERY_BLOCK * n.inner,
        QUERY_BLOCK * n.channels,
    };
    workspace w = {0};
    float **const pieces[] = {&w.x,       &w.keys,   &w.values,  &w.sums,     &w.context,
                              &w.product, &w.folded, &w.queries, &w.attended, &w.projected};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        *pieces[i] = scratch ? scratch + w.count : NULL;
        w.count += counts[i];
    }
    return w;
}

void pd_linear_attention_plan(pd_linear_attention *attention, int32_t height, int32_t width, int32_t channels, int32_t heads,
                              int32_t head_size)
{
    assert(head_size % 8 == 0 && channels % PD_PANEL == 0);
    const int32_t inner = heads * head_size;
    *attention = (pd_linear_attention){
        .height = height,
        .width = width,
        .channels = channels,
        .heads = heads,
        .head_size = head_size,
        .folded = (int64_t)height * width > channels,
    };
    pd_conv_shape shape = {
        .in_channels = channels,
        .out_channels = 3 * inner,
        .in_height = height,
        .in_width = width,
        .kernel = 1,
        .step = 1,
        .images = 1,
    };
    pd_conv_plan_form(&attention->to_qkv, &shape, PD_CONV_DIRECT);
    shape.in_channels = inner;
    shape.out_channels = channels;
    pd_conv_plan_form(&attention->to_out, &shape, PD_CONV_DIRECT);
    attention->scratch_count = lay_out(attention, NULL).count;
    if (pd_reference_in_use && attention->scratch_count < pd_reference_linear_attention_scratch_count(attention))
        attention->scratch_count = pd_reference_linear_attention_scratch_count(attention);
}

/* out[i] = rows[i] B + bias: `count` rows of `depth` floats, `pitch` floats apart.
 * The panels of B are panel_depth rows deep, of which it may be some. */
static void multiply(const float *rows, size_t count, size_t depth, size_t pitch, const float *panels, size_t panel_depth,
                     size_t columns, const float *bias, float *out, size_t out_pitch)
{
    const pd_windows windows = {
        .data = rows,
        .width = (int32_t)count,
        .height = 1,
        .step = pitch,
        .layout = {.taps = 1, .run = (int32_t)depth},
    };
    pd_product(&windows, (int32_t)count, panels, PD_PANEL * panel_depth, (int32_t)columns,
               &(pd_product_target){.out = out, .out_stride = out_pitch, .bias = bias});
}

/* ---- keys, values and context -------------------------------------------------------------- */

/* keys = exp(keys - max over the pixels), sums = their sums over the pixels:
 * eight channels of all pixels. */
static PD_NOINLINE void key_exponentials(float *keys, size_t pixels, size_t pitch, float *sums)
{
    const pd_vector_table *const table = pd_table(pd_softmax_table);
    pd_f32x4 highest[2] = {pd_load(keys), pd_load(keys + 4)}, sum[2] = {pd_zero(), pd_zero()};
    for (size_t i = 1; i < pixels; i++) {
        highest[0] = pd_max(highest[0], pd_load(keys + i * pitch));
        highest[1] = pd_max(highest[1], pd_load(keys + i * pitch + 4));
    }
    for (size_t i = 0; i < pixels; i++, keys += pitch) {
        pd_f32x4 value[2] = {pd_load(keys), pd_load(keys + 4)};
        pd_softmax_lanes(table, 2, value, highest);
        PD_UNROLL
        for (int v = 0; v < 2; v++) {
            sum[v] = pd_add(sum[v], value[v]);
            pd_store(keys + 4 * v, value[v]);
        }
    }
    pd_store(sums, sum[0]);
    pd_store(sums + 4, sum[1]);
}

/* Where a matrix of rows, or of panels, has its vectors: that of row d and columns
 * 4 p .. 4 p + 3 at data + d * row_step + p * panel_step. */
typedef struct vectors_at {
    float *data;
    size_t row_step, panel_step;
} vectors_at;

/* out[d][e] = sum over the pixels of keys[i][d] * v[i][e], divided by divisors[d],
 * for two d and 4 * panels e. */
PD_INLINE void context_tile(int panels, const float *keys, size_t key_pitch, const float *v, size_t v_pitch, size_t pixels,
                            const float *divisors, vectors_at out)
{
    pd_f32x4 sum[2][PD_TILE_PANELS];
    PD_UNROLL
    for (int p = 0; p < panels; p++) sum[0][p] = sum[1][p] = pd_zero();
    for (size_t i = 0; i < pixels; i++) {
        pd_f32x4 value[PD_TILE_PANELS];
        PD_UNROLL
        for (int p = 0; p < panels; p++) value[p] = pd_load(v + PD_PANEL * p);
        PD_UNROLL
        for (int d = 0; d < 2; d++) {
            const pd_f32x4 key = pd_load_splat(keys + d);
            PD_UNROLL
            for (int p = 0; p < panels; p++) sum[d][p] = pd_multiply_add(sum[d][p], key, value[p]);
        }
        keys += key_pitch;
        v += v_pitch;
    }
    PD_UNROLL
    for (int d = 0; d < 2; d++) {
        const pd_f32x4 divisor = pd_load_splat(divisors + d);
        PD_UNROLL
        for (int p = 0; p < panels; p++)
            pd_store(out.data + (size_t)d * out.row_step + (size_t)p * out.panel_step, pd_div(sum[d][p], divisor));
    }
}

typedef void context_tile_function(const float *keys, size_t key_pitch, const float *v, size_t v_pitch, size_t pixels,
                                   const float *divisors, vectors_at out);

#define CONTEXT_TILE(panels) \
    static PD_NOINLINE void context_tile_##panels(const float *keys, size_t key_pitch, const float *v, size_t v_pitch, \
                                                  size_t pixels, const float *divisors, vectors_at out) \
    { \
        context_tile(panels, keys, key_pitch, v, v_pitch, pixels, divisors, out); \
    }
CONTEXT_TILE(1)
CONTEXT_TILE(2)
CONTEXT_TILE(3)
CONTEXT_TILE(4)

/* out = keys^T v / divisors, `columns` of v, whose rows are v_pitch floats apart. */
static void multiply_transposed(const float *keys, size_t head_size, const float *v, size_t v_pitch, size_t columns,
                                size_t pixels, const float *divisors, vectors_at out)
{
    static context_tile_function *const functions[PD_TILE_PANELS] = {context_tile_1, context_tile_2, context_tile_3,
                                                                     context_tile_4};
    for (size_t e = 0; e < columns;) {
        const size_t panels = (size_t)pd_next_panels((int32_t)((columns - e) / PD_PANEL));
        context_tile_function *const tile = functions[panels - 1];
        for (size_t d = 0; d < head_size; d += 2)
            tile(keys + d, head_size, v + e, v_pitch, pixels, divisors + d,
                 (vectors_at){out.data + d * out.row_step, out.row_step, out.panel_step});
        e += panels * PD_PANEL;
        out.data += panels * out.panel_step;
    }
}

/* Panels of columns first .. of to_qkv. */
static const float *panels_from(const pd_linear_attention *a, size_t first)
{
    return a->to_qkv.packed + first * (size_t)a->channels;
}

/* Keys or values of one head: `first` of the columns of to_qkv on. */
static void project(const pd_linear_attention *a, const float *x, size_t first, float *out)
{
    const sizes n = measure(a);
    multiply(x, n.pixels, n.channels, n.channels, panels_from(a, first), n.channels, n.head_size, NULL, out, n.head_size);
}

static void head_context(const pd_linear_attention *a, size_t head, const workspace *w)
{
    const sizes n = measure(a);
    const size_t first = head * n.head_size, first_value = 2 * n.inner + first;
    const pd_f32x4 root = pd_root(pd_splat((float)n.head_size));
    project(a, w->x, n.inner + first, w->keys);
    for (size_t d = 0; d < n.head_size; d += 8) key_exponentials(w->keys + d, n.pixels, n.head_size, w->sums + d);
    /* The factor head_size^-1/2 of the queries is applied here. */
    for (size_t d = 0; d < n.head_size; d += 4) pd_store(w->sums + d, pd_mul(pd_load(w->sums + d), root));
    if (!a->folded) {
        project(a, w->x, first_value, w->values);
        multiply_transposed(w->keys, n.head_size, w->values, n.head_size, n.head_size, n.pixels, w->sums,
                            (vectors_at){w->context + first * n.head_size, PD_PANEL, n.head_size * PD_PANEL});
        return;
    }
    multiply_transposed(w->keys, n.head_size, w->x, n.channels, n.channels, n.pixels, w->sums,
                        (vectors_at){w->values, n.channels, PD_PANEL});
    multiply(w->values, n.head_size, n.channels, n.channels, panels_from(a, first_value), n.channels, n.head_size, NULL,
             w->context, n.head_size);
    multiply(w->context, n.head_size, n.head_size, n.head_size, a->to_out.packed + first * PD_PANEL, n.inner, n.channels, NULL,
             w->product, n.channels);
    for (size_t d = 0; d < n.head_size; d++)
        for (size_t c = 0; c < n.channels; c += PD_PANEL)
            pd_store(w->folded + c * n.inner + (first + d) * PD_PANEL, pd_load(w->product + d * n.channels + c));
}

/* ---- queries ------------------------------------------------------------------------------- */

/* Softmax of each `count` (a multiple of 8) numbers in place, head after head of
 * a block of pixels. In three passes, so that the maxima and sums, which are
 * chains of dependent operations, overlap with those of other heads; the last one
 * multiplies by `numerator`, too. */
static PD_NOINLINE void softmax_maxima(const float *x, size_t heads, size_t count, float *maxima)
{
    for (size_t head = 0; head < heads; head++, x += count) {
        pd_f32x4 even = pd_load(x), odd = pd_load(x + 4);
        for (size_t i = 8; i < count; i += 8) {
            even = pd_max(even, pd_load(x + i));
            odd = pd_max(odd, pd_load(x + i + 4));
        }
        pd_store(maxima + 4 * head, pd_max_across(pd_max(even, odd)));
    }
}

static PD_NOINLINE void softmax_exponentials(float *x, size_t heads, size_t count, float *maxima)
{
    const pd_vector_table *const table = pd_table(pd_softmax_table);
    for (size_t head = 0; head < heads; head++, x += count) {
        const pd_f32x4 maximum = pd_load(maxima + 4 * head), highest[2] = {maximum, maximum};
        pd_f32x4 sum = pd_zero();
        for (size_t i = 0; i < count; i += 8) {
            pd_f32x4 value[2] = {pd_load(x + i), pd_load(x + i + 4)};
            pd_softmax_lanes(table, 2, value, highest);
            sum = pd_add(sum, pd_add(value[0], value[1]));
            pd_store(x + i, value[0]);
            pd_store(x + i + 4, value[1]);
        }
        pd_store(maxima + 4 * head, sum);
    }
}

static PD_NOINLINE void softmax_divide(float *x, size_t heads, size_t count, float numerator, const float *sums)
{
    for (size_t head = 0; head < heads; head++, x += count) {
        const pd_f32x4 factor = pd_div(pd_splat(numerator), pd_sum_across(pd_load(sums + 4 * head)));
        for (size_t i = 0; i < count; i += 4) pd_store(x + i, pd_mul(pd_load(x + i), factor));
    }
}

/* projected = to_out(attention) of `count` pixels at x. */
static void query_block(const pd_linear_attention *a, const float *x, size_t count, const workspace *w)
{
    const sizes n = measure(a);
    multiply(x, count, n.channels, n.channels, panels_from(a, 0), n.channels, n.inner, NULL, w->queries, n.inner);
    const size_t heads = count * (size_t)a->heads;
    softmax_maxima(w->queries, heads, n.head_size, w->sums);
    softmax_exponentials(w->queries, heads, n.head_size, w->sums);
    softmax_divide(w->queries, heads, n.head_size, 1.0f, w->sums);
    if (a->folded) {
        multiply(w->queries, count, n.inner, n.inner, w->folded, n.inner, n.channels, a->to_out.bias, w->projected, n.channels);
        return;
    }
    for (size_t first = 0; first < n.inner; first += n.head_size)
        multiply(w->queries + first, count, n.head_size, n.inner, w->context + first * n.head_size, n.head_size, n.head_size,
                 NULL, w->attended + first, n.inner);
    multiply(w->attended, count, n.inner, n.inner, a->to_out.packed, n.inner, n.channels, a->to_out.bias, w->projected,
             n.channels);
}

/* ---- run ------------------------------------------------------------------------------------ */

/* `width` pixels in a row of a view's image, from pixel `first` of the view on. */
static pd_view pixels_of(const pd_view *view, size_t first, size_t width)
{
    return (pd_view){view->data + first * (size_t)view->stride, 1, 1, (int32_t)width, view->channels, view->stride};
}

void pd_linear_attention_run(const pd_linear_attention *attention, const pd_view *in, const pd_view *out, float *scratch)
{
    const sizes n = measure(attention);
    assert(in->channels == attention->channels && out->channels == attention->channels && in->images == out->images);
    assert(in->height == attention->height && in->width == attention->width);
    assert(out->height == attention->height && out->width == attention->width);
    if (pd_reference_in_use) {
        pd_reference_linear_attention(attention, in, out, scratch);
        return;
    }
    const workspace w = lay_out(attention, scratch);
    const int32_t channels = attention->channels;
    for (size_t image = 0; image < (size_t)in->images; image++) {
        const pd_view from = pixels_of(in, image * n.pixels, n.pixels);
        const pd_view normed = {w.x, 1, 1, (int32_t)n.pixels, channels, channels};
        pd_rms_norm(&from, attention->norm_gain, NULL, NULL, false, NULL, &normed);
        for (size_t head = 0; head < (size_t)attention->heads; head++) head_context(attention, head, &w);
        for (size_t first = 0; first < n.pixels; first += QUERY_BLOCK) {
            const size_t count = n.pixels - first < QUERY_BLOCK ? n.pixels - first : QUERY_BLOCK;
            query_block(attention, w.x + first * n.channels, count, &w);
            const pd_view projected = {w.projected, 1, 1, (int32_t)count, channels, channels};
            const pd_view residual = pixels_of(in, image * n.pixels + first, count);
            const pd_view to = pixels_of(out, image * n.pixels + first, count);
            pd_rms_norm(&projected, attention->out_gain, NULL, NULL, false, &residual, &to);
        }
    }
}

/* ---- of one head ------------------------------------------------------------------------------ */

typedef struct head_workspace {
    float *keys;    /* [keys][row], row: the size of the head rounded up to a multiple of 8 */
    float *values;  /* [keys][value_row], where rows of v do not end with a vector */
    float *sums;    /* of keys [row]; of queries [QUERY_BLOCK][4] */
    float *context; /* panels of [row][value_row] */
    float *queries; /* [QUERY_BLOCK][row] */
    float *results; /* [QUERY_BLOCK][value_row] */
    uint64_t count;
} head_workspace;

static head_workspace lay_out_head(size_t keys, size_t size, size_t value_size, float *scratch)
{
    const size_t row = pd_round_up(size, 8), value_row = pd_round_up(value_size, PD_PANEL);
    const size_t counts[] = {
        keys * row,
        value_row == value_size ? 0 : keys * value_row,
        row + 4 * QUERY_BLOCK,
        row * value_row,
        QUERY_BLOCK * row,
        QUERY_BLOCK * value_row,
    };
    head_workspace w = {0};
    float **const pieces[] = {&w.keys, &w.values, &w.sums, &w.context, &w.queries, &w.results};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        *pieces[i] = scratch ? scratch + w.count : NULL;
        w.count += counts[i];
    }
    return w;
}

uint64_t pd_linear_attend_scratch(int32_t keys, int32_t size, int32_t value_size)
{
    return lay_out_head((size_t)keys, (size_t)size, (size_t)value_size, NULL).count;
}

/* `count` rows of `size` floats, `pitch` apart, one behind the other, each filled up to `row` floats. */
static void gather(const float *from, size_t pitch, size_t count, size_t size, float fill, float *to, size_t row)
{
    for (size_t i = 0; i < count; i++, from += pitch, to += row) {
        memcpy(to, from, size * sizeof(float));
        for (size_t d = size; d < row; d++) to[d] = fill;
    }
}

/* The context of a head: keys, after their softmax over all keys of each channel or as they are, times the values. */
static void context_of_head(const pd_head *head, bool softmax, const head_workspace *w)
{
    const size_t count = (size_t)head->keys, size = (size_t)head->size, row = pd_round_up(size, 8);
    const size_t value_size = (size_t)head->value_size, value_row = pd_round_up(value_size, PD_PANEL);
    gather(head->k, head->k_stride, count, size, 0.0f, w->keys, row);
    for (size_t d = 0; softmax && d < row; d += 8) key_exponentials(w->keys + d, count, row, w->sums + d);
    for (size_t d = 0; !softmax && d < row; d++) w->sums[d] = 1.0f;
    const bool whole = value_row == value_size;
    if (!whole) gather(head->v, head->v_stride, count, value_size, 0.0f, w->values, value_row);
    multiply_transposed(w->keys, row, whole ? head->v : w->values, whole ? head->v_stride : value_row, value_row, count, w->sums,
                        (vectors_at){w->context, PD_PANEL, row * PD_PANEL});
}

void pd_linear_attend(const pd_head *head, bool softmax, float *scratch)
{
    const size_t size = (size_t)head->size, row = pd_round_up(size, 8), queries = (size_t)head->queries;
    const size_t value_size = (size_t)head->value_size, value_row = pd_round_up(value_size, PD_PANEL);
    const head_workspace w = lay_out_head((size_t)head->keys, size, value_size, scratch);
    const bool whole = value_row == value_size;
    float *const query_sums = w.sums + row;
    context_of_head(head, softmax, &w);
    for (size_t first = 0; first < queries; first += QUERY_BLOCK) {
        const size_t count = queries - first < QUERY_BLOCK ? queries - first : QUERY_BLOCK;
        /* What fills rows up adds nothing to sums that are 1 and more: its numerators are 2^-126. */
        gather(head->q + first * head->q_stride, head->q_stride, count, size, softmax ? -FLT_MAX : 0.0f, w.queries, row);
        if (softmax) {
            softmax_maxima(w.queries, count, row, query_sums);
            softmax_exponentials(w.queries, count, row, query_sums);
            softmax_divide(w.queries, count, row, head->factor, query_sums);
        } else pd_scale_row(w.queries, count * row, head->factor);
        float *const out = head->out + first * head->out_stride, *const to = whole ? out : w.results;
        multiply(w.queries, count, size, row, w.context, row, value_row, NULL, to, whole ? head->out_stride : value_row);
        for (size_t i = 0; !whole && i < count; i++)
            memcpy(out + i * head->out_stride, w.results + i * value_row, value_size * sizeof(float));
    }
}
