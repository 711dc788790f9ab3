#include "product.h"

#include <assert.h>
#include <stdbool.h>

/* Walks over the windows in row-major order, image after image. */
typedef struct cursor {
    const float *window, *row, *image;
    int32_t x, y;
} cursor;

PD_INLINE const float *next_window(const pd_windows *a, cursor *at)
{
    const float *window = at->window;
    at->window += a->step;
    if (++at->x == a->width) {
        at->x = 0;
        at->row += a->row_step;
        if (++at->y == a->height) {
            at->y = 0;
            at->image += a->image_step;
            at->row = at->image;
        }
        at->window = at->row;
    }
    return window;
}

PD_INLINE void store_tile(int rows, int vectors, pd_f32x4 sum[][PD_PANEL / 4], const pd_product_target *target,
                          size_t row, int32_t column)
{
    PD_UNROLL
    for (int v = 0; v < vectors; v++) {
        const int32_t c = column + 4 * v;
        if (target->bias) {
            const pd_f32x4 bias = pd_load(target->bias + c);
            PD_UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][v] = pd_add(sum[r][v], bias);
        }
        if (target->addend) {
            const float *addend = target->addend + row * target->addend_stride + (size_t)c;
            PD_UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][v] = pd_add(sum[r][v], pd_load(addend + (size_t)r * target->addend_stride));
        }
        float *out = target->out + row * target->out_stride + (size_t)c;
        PD_UNROLL
        for (int r = 0; r < rows; r++)
            pd_store(out + (size_t)r * target->out_stride, sum[r][v]);
    }
}

/* `rows` rows of A, beginning at row `row`, times one panel. */
PD_INLINE void tile(int rows, int vectors, const pd_windows *a, cursor *at, const float *panel,
                    const pd_product_target *target, size_t row, int32_t column)
{
    const float *windows[PD_TILE_ROWS];
    pd_f32x4 sum[PD_TILE_ROWS][PD_PANEL / 4];
    PD_UNROLL
    for (int r = 0; r < rows; r++)
        windows[r] = next_window(a, at);
    pd_tile_product(rows, vectors, windows, &a->layout, panel, sum);
    store_tile(rows, vectors, sum, target, row, column);
}

PD_INLINE void panel_product(int vectors, const pd_windows *a, int32_t count, const float *panel,
                             const pd_product_target *target, int32_t column)
{
    cursor at = {a->data, a->data, a->data, 0, 0};
    size_t row = 0;
    for (; count >= PD_TILE_ROWS; count -= PD_TILE_ROWS, row += PD_TILE_ROWS)
        tile(PD_TILE_ROWS, vectors, a, &at, panel, target, row, column);
    switch (count) {
#if PD_TILE_ROWS > 5
    case 5: tile(5, vectors, a, &at, panel, target, row, column); break;
#endif
#if PD_TILE_ROWS > 4
    case 4: tile(4, vectors, a, &at, panel, target, row, column); break;
#endif
    case 3: tile(3, vectors, a, &at, panel, target, row, column); break;
    case 2: tile(2, vectors, a, &at, panel, target, row, column); break;
    case 1: tile(1, vectors, a, &at, panel, target, row, column); break;
    default: break;
    }
}

void pd_product(const pd_windows *a, int32_t count, const float *panels, int32_t columns,
                const pd_product_target *target)
{
    assert(columns % 4 == 0);
    const size_t depth = (size_t)a->layout.taps * (size_t)a->layout.run;
    int32_t column = 0;
    for (; column + PD_PANEL <= columns; column += PD_PANEL, panels += PD_PANEL * depth)
        panel_product(2, a, count, panels, target, column);
    if (column < columns)
        panel_product(1, a, count, panels, target, column);
}

void pd_pack_panels(const float *weights, int32_t columns, size_t depth, float *panels)
{
    for (int32_t column = 0; column < columns;) {
        const int32_t width = columns - column < PD_PANEL ? columns - column : PD_PANEL;
        for (size_t k = 0; k < depth; k++)
            for (int32_t j = 0; j < width; j++)
                *panels++ = weights[(size_t)(column + j) * depth + k];
        column += width;
    }
}
