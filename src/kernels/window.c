/* What looks at the neighbours of a position: padding, pooling, interpolation, and
 * the convolutions that conv.h has no kernels for. Maps are [height][width][channels]. */
#include <string.h>

#include "array.h"
#include "simd.h"

typedef struct map_size {
    int32_t height, width, channels;
    size_t stored, stride;
} map_size;

static map_size size_of(const pd_array *map)
{
    const int32_t *length = map->axes.length;
    return (map_size){length[0], length[1], length[2], ((size_t)length[2] + 3) & ~(size_t)3, (size_t)map->stride};
}

static float *at(const pd_array *map, int32_t y, int32_t x)
{
    return map->data + ((size_t)y * (size_t)map->axes.length[1] + (size_t)x) * (size_t)map->stride;
}

/* ---- padding ---------------------------------------------------------------------- */

/* Where row `index` of the padded map comes from; -1: from nowhere. `length` is that of the map. */
static int32_t source_of(int32_t index, int32_t length, pd_padding_kind kind)
{
    if (index >= 0 && index < length) return index;
    switch (kind) {
    case PD_PAD_REFLECT: return index < 0 ? -index : 2 * (length - 1) - index;
    case PD_PAD_REPLICATE: return index < 0 ? 0 : length - 1;
    case PD_PAD_CIRCULAR: return index < 0 ? index + length : index - length;
    default: return -1;
    }
}

void pd_pad(const pd_array *in, int32_t factor, int32_t top, int32_t left, pd_padding_kind kind, const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    for (int32_t y = 0; y < to.height; y++) {
        const int32_t row = source_of(y - top, from.height * factor, kind);
        for (int32_t x = 0; x < to.width; x++) {
            const int32_t column = source_of(x - left, from.width * factor, kind);
            if (row < 0 || column < 0) memset(at(out, y, x), 0, to.stored * sizeof(float));
            else memcpy(at(out, y, x), at(in, row / factor, column / factor), to.stored * sizeof(float));
        }
    }
}

/* ---- pooling and interpolation ------------------------------------------------------- */

void pd_average_pool(const pd_array *in, const pd_window *window, bool count_padding, const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    for (int32_t y = 0; y < to.height; y++)
        for (int32_t x = 0; x < to.width; x++) {
            float *sum = at(out, y, x);
            const int32_t top = y * window->step[0] - window->padding[0], left = x * window->step[1] - window->padding[1];
            int32_t inside = 0;
            memset(sum, 0, to.stored * sizeof(float));
            for (int32_t i = top < 0 ? 0 : top; i < top + window->kernel[0] && i < from.height; i++)
                for (int32_t j = left < 0 ? 0 : left; j < left + window->kernel[1] && j < from.width; j++, inside++)
                    for (size_t c = 0; c < to.stored; c++) sum[c] += at(in, i, j)[c];
            /* Without ceil_mode, which the vocabulary does not have, every window is within the padded map. */
            const float count = (float)(count_padding ? window->kernel[0] * window->kernel[1] : inside);
            for (size_t c = 0; c < to.stored; c++) sum[c] /= count;
        }
}

void pd_max_pool(const pd_array *in, const pd_window *window, const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    for (int32_t y = 0; y < to.height; y++)
        for (int32_t x = 0; x < to.width; x++) {
            float *highest = at(out, y, x);
            const int32_t top = y * window->step[0] - window->padding[0], left = x * window->step[1] - window->padding[1];
            bool first = true;
            for (int32_t i = top < 0 ? 0 : top; i < top + window->kernel[0] && i < from.height; i++)
                for (int32_t j = left < 0 ? 0 : left; j < left + window->kernel[1] && j < from.width; j++, first = false)
                    for (size_t c = 0; c < to.stored; c++) {
                        const float value = at(in, i, j)[c];
                        highest[c] = first || value > highest[c] ? value : highest[c];
                    }
        }
}

/* Of one axis: between which two rows of the map a row lies, and how far from the first. */
typedef struct between {
    int32_t low, high;
    float weight;
} between;

static between place_between(int32_t index, int32_t from, int32_t to, bool align_corners)
{
    double at_row = align_corners ? (to > 1 ? (double)index * (from - 1) / (to - 1) : 0)
                                  : ((double)index + 0.5) * from / to - 0.5;
    if (at_row < 0) at_row = 0;
    const int32_t low = (int32_t)at_row < from - 1 ? (int32_t)at_row : from - 1;
    return (between){low, low + 1 < from ? low + 1 : low, (float)(at_row - low)};
}

void pd_bilinear(const pd_array *in, bool align_corners, const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    for (int32_t y = 0; y < to.height; y++) {
        const between row = place_between(y, from.height, to.height, align_corners);
        for (int32_t x = 0; x < to.width; x++) {
            const between column = place_between(x, from.width, to.width, align_corners);
            const float *a = at(in, row.low, column.low), *b = at(in, row.low, column.high);
            const float *c = at(in, row.high, column.low), *d = at(in, row.high, column.high);
            float *target = at(out, y, x);
            for (size_t k = 0; k < to.stored; k++) {
                const float upper = a[k] + column.weight * (b[k] - a[k]), lower = c[k] + column.weight * (d[k] - c[k]);
                target[k] = upper + row.weight * (lower - upper);
            }
        }
    }
}

/* ---- convolutions ---------------------------------------------------------------------- */

void pd_conv_plain(const pd_array *in, const float *weights, const float *bias, const pd_window *window, int32_t groups,
                   const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    const int32_t group_in = from.channels / groups, group_out = to.channels / groups;
    const size_t row = ((size_t)group_in + 3) & ~(size_t)3;
    for (int32_t y = 0; y < to.height; y++)
        for (int32_t x = 0; x < to.width; x++) {
            float *target = at(out, y, x);
            for (int32_t channel = 0; channel < to.channels; channel++) {
                const int32_t first = channel / group_out * group_in;
                const float *weight = weights + (size_t)channel * (size_t)(window->kernel[0] * window->kernel[1]) * row;
                pd_f32x4 sum = pd_zero();
                for (int32_t i = 0; i < window->kernel[0]; i++)
                    for (int32_t j = 0; j < window->kernel[1]; j++, weight += row) {
                        const float *values = at(in, y * window->step[0] + i, x * window->step[1] + j) + first;
                        int32_t c = 0;
                        for (; c + 4 <= group_in; c += 4) sum = pd_multiply_add(sum, pd_load(values + c), pd_load(weight + c));
                        if (c < group_in)
                            sum = pd_multiply_add(sum, pd_load_first(values + c, group_in - c, 0.0f), pd_load(weight + c));
                    }
                target[channel] = pd_sum_lanes(sum) + (bias ? bias[channel] : 0.0f);
            }
        }
    pd_clear_padding(out);
}

/* 4 * vectors channels of one position of the result; a row of the window is `pitch` floats from the next. */
PD_INLINE void depthwise_tile(int vectors, const float *in, size_t stride, size_t pitch, const float *weight, size_t stored,
                              const float *bias, const pd_window *window, float *out)
{
    pd_f32x4 sum[4];
    PD_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = bias ? pd_load(bias + 4 * v) : pd_zero();
    for (int32_t i = 0; i < window->kernel[0]; i++, in += pitch) {
        const float *values = in;
        for (int32_t j = 0; j < window->kernel[1]; j++, weight += stored, values += stride) {
            PD_UNROLL
            for (int v = 0; v < vectors; v++) sum[v] = pd_multiply_add(sum[v], pd_load(values + 4 * v), pd_load(weight + 4 * v));
        }
    }
    PD_UNROLL
    for (int v = 0; v < vectors; v++) pd_store(out + 4 * v, sum[v]);
}

void pd_conv_depthwise(const pd_array *in, const float *weights, const float *bias, const pd_window *window, const pd_array *out)
{
    const map_size from = size_of(in), to = size_of(out);
    const size_t pitch = from.stride * (size_t)from.width;
    for (int32_t y = 0; y < to.height; y++)
        for (int32_t x = 0; x < to.width; x++) {
            const float *values = at(in, y * window->step[0], x * window->step[1]);
            float *target = at(out, y, x);
            size_t c = 0;
            for (; c + 16 <= to.stored; c += 16)
                depthwise_tile(4, values + c, from.stride, pitch, weights + c, to.stored, bias ? bias + c : NULL, window,
                               target + c);
            for (; c < to.stored; c += 4)
                depthwise_tile(1, values + c, from.stride, pitch, weights + c, to.stored, bias ? bias + c : NULL, window,
                               target + c);
        }
}
