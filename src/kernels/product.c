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

/* Row 0 of the tile goes to `out`; `addend` belongs there, or is NULL. */
PD_INLINE void store_tile(int rows, int vectors, pd_f32x4 sum[][PD_PANEL / 4], const pd_product_target *target,
                          const float *bias, const float *addend, float *out)
{
    if (bias) {
        PD_UNROLL
        for (int v = 0; v < vectors; v++) {
            const pd_f32x4 columns = pd_load(bias + 4 * v);
            PD_UNROLL
            for (int r = 0; r < rows; r++)
                sum[r][v] = pd_add(sum[r][v], columns);
        }
    }
    PD_UNROLL
    for (int r = 0; r < rows; r++) {
        PD_UNROLL
        for (int v = 0; v < vectors; v++) {
            if (addend)
                sum[r][v] = pd_add(sum[r][v], pd_load(addend + (size_t)r * target->addend_stride + 4 * v));
            pd_store(out + (size_t)r * target->out_stride + 4 * v, sum[r][v]);
        }
    }
}

PD_INLINE void next_windows(int rows, const pd_windows *a, cursor *at, const float **windows)
{
    if (at->x + rows < a->width) {
        PD_UNROLL
        for (int r = 0; r < rows; r++)
            windows[r] = at->window + (size_t)r * a->step;
        at->window += (size_t)rows * a->step;
        at->x += rows;
        return;
    }
    PD_UNROLL
    for (int r = 0; r < rows; r++)
        windows[r] = next_window(a, at);
}

/* `tiles` tiles of `rows` rows of A, beginning at row `row`, times one panel.
 * The walk goes on from `at`. */
PD_INLINE void tiles_product(int rows, int vectors, const pd_windows *a, cursor *at, int32_t tiles, const float *panel,
                             const pd_product_target *target, size_t row, int32_t column)
{
    const float *bias = target->bias ? target->bias + column : NULL;
    const float *addend = target->addend ? target->addend + row * target->addend_stride + (size_t)column : NULL;
    const size_t addend_step = addend ? (size_t)rows * target->addend_stride : 0;
    float *out = target->out + row * target->out_stride + (size_t)column;
    for (; tiles > 0; tiles--) {
        const float *windows[PD_TILE_ROWS];
        pd_f32x4 sum[PD_TILE_ROWS][PD_PANEL / 4];
        next_windows(rows, a, at, windows);
        pd_tile_product(rows, vectors, windows, &a->layout, panel, sum);
        store_tile(rows, vectors, sum, target, bias, addend, out);
        out += (size_t)rows * target->out_stride;
        if (addend)
            addend += addend_step;
    }
}

#define TILES(rows, vectors)                                                                                     \
    static PD_NOINLINE void tiles_##rows##_##vectors(const pd_windows *a, cursor *at, int32_t tiles,             \
                                                     const float *panel, const pd_product_target *target,        \
                                                     size_t row, int32_t column)                                 \
    {                                                                                                            \
        tiles_product(rows, vectors, a, at, tiles, panel, target, row, column);                                  \
    }
TILES(4, 2) TILES(3, 2) TILES(2, 2) TILES(1, 2) TILES(4, 1) TILES(3, 1) TILES(2, 1) TILES(1, 1)

typedef void tiles_function(const pd_windows *a, cursor *at, int32_t tiles, const float *panel,
                            const pd_product_target *target, size_t row, int32_t column);

static void panel_product(tiles_function *const functions[PD_TILE_ROWS], const pd_windows *a, int32_t count,
                          const float *panel, const pd_product_target *target, int32_t column)
{
    cursor at = {a->data, a->data, a->data, 0, 0};
    const int32_t tiles = count / PD_TILE_ROWS, rest = count % PD_TILE_ROWS;
    functions[0](a, &at, tiles, panel, target, 0, column);
    if (rest)
        functions[rest](a, &at, 1, panel, target, (size_t)(count - rest), column);
}

void pd_product(const pd_windows *a, int32_t count, const float *panels, int32_t columns,
                const pd_product_target *target)
{
    assert(columns % 4 == 0);
    const size_t depth = (size_t)a->layout.taps * (size_t)a->layout.run;
    static tiles_function *const wide[PD_TILE_ROWS] = {tiles_4_2, tiles_1_2, tiles_2_2, tiles_3_2};
    static tiles_function *const narrow[PD_TILE_ROWS] = {tiles_4_1, tiles_1_1, tiles_2_1, tiles_3_1};
    int32_t column = 0;
    for (; column + PD_PANEL <= columns; column += PD_PANEL, panels += PD_PANEL * depth)
        panel_product(wide, a, count, panels, target, column);
    if (column < columns)
        panel_product(narrow, a, count, panels, target, column);
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
