/* Full attention of one head; matrix products of two activations. */
#include <assert.h>
#include <string.h>

#include "array.h"
#include "exponential.h"
#include "kernels.h"
#include "product.h"
#include "reference.h"

/* Query rows of full attention that are worked on together: a block of scores
 * stays in the cache, and scratch does not grow with the square of the pixels. */
#define QUERY_BLOCK 16

static float inverse_sqrt(int32_t head_size) { return PD_LANE(pd_div(pd_splat(1.0f), pd_root(pd_splat((float)head_size))), 0); }

/* First pixel of an image, from channel `channel` on. */
static float *channels_of(const pd_view *view, int32_t image, int32_t channel)
{
    const size_t pixels = (size_t)view->height * (size_t)view->width;
    return view->data + (size_t)image * pixels * (size_t)view->stride + (size_t)channel;
}

/* Floats from one row of scores to the next: not a power of two, or all rows
 * would share the same few lines of the first-level cache. */
static size_t score_pitch(size_t padded) { return padded + 16; }

/* Replaces x[0 .. count - 1] by exp(x - max x) and returns the sum of these.
 * Values up to the next multiple of 8 become zero. */
static PD_NOINLINE float exponentials(float *x, int32_t count)
{
    const pd_vector_table *const table = pd_table(pd_softmax_table);
    for (int32_t i = count; i % 8 != 0; i++) x[i] = x[0];
    pd_f32x4 even = pd_load(x), odd = pd_load(x + 4);
    for (int32_t i = 8; i < count; i += 8) {
        even = pd_max(even, pd_load(x + i));
        odd = pd_max(odd, pd_load(x + i + 4));
    }
    const pd_f32x4 maximum = pd_max_across(pd_max(even, odd)), highest[2] = {maximum, maximum};
    pd_f32x4 sum = pd_zero();
    for (int32_t i = 0; i < count; i += 8) {
        pd_f32x4 value[2] = {pd_load(x + i), pd_load(x + i + 4)};
        pd_softmax_lanes(table, 2, value, highest);
        if (count - i < 8) {
            const int32_t rest = count - i;
            pd_store(x + i, value[0]);
            pd_store(x + i + 4, value[1]);
            value[0] = pd_load_first(x + i, rest < 4 ? rest : 4, 0.0f);
            value[1] = pd_load_first(x + i + 4, rest < 4 ? 0 : rest - 4, 0.0f);
        }
        sum = pd_add(sum, pd_add(value[0], value[1]));
        pd_store(x + i, value[0]);
        pd_store(x + i + 4, value[1]);
    }
    return pd_sum_lanes(sum);
}

/* ---- packing ------------------------------------------------------------------ */

/* Rows of `size` floats as the B of a product with their transpose: panels of 4
 * rows, `padded` rows and pd_round_up(size, PD_PANEL) columns of them, filled up with zeros. */
static void pack_keys(const float *k, size_t k_stride, size_t keys, size_t padded, size_t size, float *panels)
{
    const size_t depth = pd_round_up(size, PD_PANEL);
    size_t first = 0;
    for (; first + PD_PANEL <= keys && depth == size; first += PD_PANEL) {
        const float *row[PD_PANEL] = {k + first * k_stride, k + (first + 1) * k_stride, k + (first + 2) * k_stride,
                                      k + (first + 3) * k_stride};
        for (size_t d = 0; d < depth; d++, panels += PD_PANEL)
            for (size_t i = 0; i < PD_PANEL; i++) panels[i] = row[i][d];
    }
    for (; first < padded; first += PD_PANEL)
        for (size_t d = 0; d < depth; d++)
            for (size_t i = first; i < first + PD_PANEL; i++) *panels++ = i < keys && d < size ? k[i * k_stride + d] : 0.0f;
}

/* Rows of `size` floats as the B of a product with them: panels of 4 columns. */
static void pack_values(const float *v, size_t v_stride, size_t rows, size_t size, float *panels)
{
    for (size_t e = 0; e < size; e += PD_PANEL)
        for (size_t i = 0; i < rows; i++, panels += PD_PANEL) {
            const float *from = v + i * v_stride + e;
            if (size - e >= PD_PANEL) memcpy(panels, from, sizeof(float) * PD_PANEL);
            else pd_store(panels, pd_load_first(from, (int32_t)(size - e), 0.0f));
        }
}

static pd_windows contiguous_rows(const float *data, int32_t rows, int32_t length, size_t pitch)
{
    return (pd_windows){.data = data, .width = rows, .height = 1, .step = pitch, .layout = {.taps = 1, .run = length}};
}

/* ---- full attention ------------------------------------------------------------ */

/* k and v as panels; a block of scores, of queries and of results. */
uint64_t pd_attend_scratch(int32_t keys, int32_t size, int32_t value_size)
{
    const uint64_t padded = pd_round_up((size_t)keys, 8), row = pd_round_up((size_t)size, PD_PANEL),
                   value_row = pd_round_up((size_t)value_size, PD_PANEL);
    return padded * (row + value_row) + QUERY_BLOCK * (score_pitch((size_t)padded) + row + value_row);
}

static void add_mask(const pd_head *head, int32_t first, int32_t rows, float *scores, size_t pitch)
{
    for (int32_t i = 0; head->mask && i < rows; i++)
        for (int32_t j = 0; j < head->keys; j++)
            scores[(size_t)i * pitch + (size_t)j] += head->mask[(first + i) * head->mask_row + j * head->mask_column];
}

void pd_attend(const pd_head *head, float *scratch)
{
    if (pd_reference_in_use) {
        pd_reference_attend(head);
        return;
    }
    const size_t keys = (size_t)head->keys, padded = pd_round_up(keys, 8), pitch = score_pitch(padded);
    const size_t size = (size_t)head->size, row = pd_round_up(size, PD_PANEL);
    const size_t value_size = (size_t)head->value_size, value_row = pd_round_up(value_size, PD_PANEL);
    float *key_panels = scratch, *value_panels = key_panels + padded * row, *scores = value_panels + padded * value_row;
    float *queries = scores + QUERY_BLOCK * pitch, *results = queries + QUERY_BLOCK * row;
    const bool direct = value_size == value_row;
    pack_keys(head->k, head->k_stride, keys, padded, size, key_panels);
    pack_values(head->v, head->v_stride, keys, value_size, value_panels);
    memset(queries, 0, QUERY_BLOCK * row * sizeof(float));
    for (int32_t first = 0; first < head->queries; first += QUERY_BLOCK) {
        const int32_t rows = head->queries - first < QUERY_BLOCK ? head->queries - first : QUERY_BLOCK;
        for (int32_t i = 0; i < rows; i++) {
            memcpy(queries + (size_t)i * row, head->q + (size_t)(first + i) * head->q_stride, size * sizeof(float));
            pd_scale_row(queries + (size_t)i * row, row, head->factor);
        }
        const pd_windows query_rows = contiguous_rows(queries, rows, (int32_t)row, row);
        pd_product(&query_rows, rows, key_panels, PD_PANEL * row, (int32_t)padded,
                   &(pd_product_target){.out = scores, .out_stride = pitch});
        add_mask(head, first, rows, scores, pitch);
        float sums[QUERY_BLOCK];
        for (int32_t i = 0; i < rows; i++) sums[i] = exponentials(scores + (size_t)i * pitch, head->keys);
        const pd_windows score_rows = contiguous_rows(scores, rows, head->keys, pitch);
        float *out = head->out + (size_t)first * head->out_stride, *to = direct ? out : results;
        const size_t to_stride = direct ? head->out_stride : value_row;
        pd_product(&score_rows, rows, value_panels, PD_PANEL * keys, (int32_t)value_row,
                   &(pd_product_target){.out = to, .out_stride = to_stride});
        for (int32_t i = 0; i < rows; i++) {
            pd_scale_row(to + (size_t)i * to_stride, value_row, 1.0f / sums[i]);
            if (!direct) memcpy(out + (size_t)i * head->out_stride, to + (size_t)i * to_stride, value_size * sizeof(float));
        }
    }
}

uint64_t pd_attention_scratch_count(int32_t height, int32_t width, int32_t heads, int32_t head_size)
{
    (void)heads;
    const int32_t size = pd_round_up_4(head_size);
    return pd_attend_scratch(height * width, size, size);
}

void pd_attention(const pd_view *qkv, int32_t heads, int32_t head_size, const pd_view *out, float *scratch)
{
    const int32_t head_stride = pd_round_up_4(head_size), part = heads * head_stride, pixels = qkv->height * qkv->width;
    assert(qkv->channels == 3 * heads * head_stride && out->channels == heads * head_stride);
    assert(qkv->images == out->images && qkv->height == out->height && qkv->width == out->width);
    const size_t stride = (size_t)qkv->stride;
    for (int32_t image = 0; image < qkv->images; image++)
        for (int32_t head = 0; head < heads; head++) {
            const float *q = channels_of(qkv, image, head * head_stride);
            const pd_head task = {.q = q,
                                  .k = q + part,
                                  .v = q + 2 * part,
                                  .q_stride = stride,
                                  .k_stride = stride,
                                  .v_stride = stride,
                                  .queries = pixels,
                                  .keys = pixels,
                                  .size = head_stride,
                                  .value_size = head_stride,
                                  .factor = inverse_sqrt(head_size),
                                  .out = channels_of(out, image, head * head_stride),
                                  .out_stride = (size_t)out->stride};
            pd_attend(&task, scratch);
        }
}

/* ---- products of two activations --------------------------------------------------- */

/* b as panels, a block of rows of a. */
uint64_t pd_matmul_scratch(int32_t depth, int32_t columns)
{
    return (uint64_t)depth * pd_round_up((size_t)columns, PD_PANEL) + QUERY_BLOCK * (uint64_t)depth;
}

void pd_matmul(const pd_matrix *a, const pd_matrix *b, int32_t rows, int32_t depth, int32_t columns, float factor, float *out,
               size_t out_stride, float *scratch)
{
    const size_t stored = pd_round_up((size_t)columns, PD_PANEL), deep = (size_t)depth;
    float *panels = scratch, *block = scratch + deep * stored, *panel = panels;
    for (size_t first = 0; first < stored; first += PD_PANEL)
        for (size_t k = 0; k < deep; k++)
            for (size_t j = first; j < first + PD_PANEL; j++)
                *panel++ = j < (size_t)columns ? b->data[k * b->row_step + j * b->column_step] * factor : 0.0f;
    for (int32_t first = 0; first < rows; first += QUERY_BLOCK) {
        const int32_t count = rows - first < QUERY_BLOCK ? rows - first : QUERY_BLOCK;
        const float *from = a->data + (size_t)first * a->row_step;
        for (size_t i = 0; i < (size_t)count && a->column_step != 1; i++)
            for (size_t k = 0; k < deep; k++) block[i * deep + k] = from[i * a->row_step + k * a->column_step];
        const pd_windows windows = a->column_step == 1 ? contiguous_rows(from, count, depth, a->row_step)
                                                       : contiguous_rows(block, count, depth, deep);
        pd_product(&windows, count, panels, PD_PANEL * deep, (int32_t)stored,
                   &(pd_product_target){.out = out + (size_t)first * out_stride, .out_stride = out_stride});
    }
}
