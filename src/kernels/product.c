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
PD_INLINE void store_tile(int rows, int panels, pd_f32x4 sum[][PD_TILE_PANELS], const pd_product_target *target,
                          const float *bias, const float *addend, float *out)
{
    if (bias) {
        PD_UNROLL
        for (int p = 0; p < panels; p++) {
            const pd_f32x4 columns = pd_load(bias + PD_PANEL * p);
            PD_UNROLL
            for (int r = 0; r < rows; r++) sum[r][p] = pd_add(sum[r][p], columns);
        }
    }
    PD_UNROLL
    for (int r = 0; r < rows; r++) {
        PD_UNROLL
        for (int p = 0; p < panels; p++) {
            if (addend) sum[r][p] = pd_add(sum[r][p], pd_load(addend + (size_t)r * target->addend_stride + PD_PANEL * p));
            pd_store(out + (size_t)r * target->out_stride + PD_PANEL * p, sum[r][p]);
        }
    }
}

PD_INLINE void next_windows(int rows, const pd_windows *a, cursor *at, const float **windows)
{
    if (at->x + rows < a->width) {
        PD_UNROLL
        for (int r = 0; r < rows; r++) windows[r] = at->window + (size_t)r * a->step;
        at->window += (size_t)rows * a->step;
        at->x += rows;
        return;
    }
    PD_UNROLL
    for (int r = 0; r < rows; r++) windows[r] = next_window(a, at);
}

/* B, and where in it a product begins. */
typedef struct panel_group {
    const float *first;
    size_t step;
    int32_t column;
} panel_group;

/* `tiles` tiles of `rows` rows of A, beginning at row `row`, times some panels.
 * The walk goes on from `at`. */
PD_INLINE void tiles_product(int rows, int panels, const pd_windows *a, cursor *at, int32_t tiles, const panel_group *group,
                             const pd_product_target *target, size_t row)
{
    const size_t column = (size_t)group->column;
    const float *bias = target->bias ? target->bias + column : NULL;
    const float *addend = target->addend ? target->addend + row * target->addend_stride + column : NULL;
    const size_t addend_step = addend ? (size_t)rows * target->addend_stride : 0;
    float *out = target->out + row * target->out_stride + column;
    for (; tiles > 0; tiles--) {
        const float *windows[PD_MOST_ROWS];
        pd_f32x4 sum[PD_MOST_ROWS][PD_TILE_PANELS];
        next_windows(rows, a, at, windows);
        pd_tile_product(rows, panels, windows, &a->layout, group->first, group->step, sum);
        store_tile(rows, panels, sum, target, bias, addend, out);
        out += (size_t)rows * target->out_stride;
        if (addend) addend += addend_step;
    }
}

typedef void tiles_function(const pd_windows *a, cursor *at, int32_t tiles, const panel_group *group,
                            const pd_product_target *target, size_t row);

#define TILES(rows, panels) \
    static PD_NOINLINE void tiles_##rows##_##panels(const pd_windows *a, cursor *at, int32_t tiles, const panel_group *group, \
                                                    const pd_product_target *target, size_t row) \
    { \
        tiles_product(rows, panels, a, at, tiles, group, target, row); \
    }
TILES(4, 1)
TILES(4, 2)
TILES(2, 3)
TILES(2, 4)
TILES(1, 1)
TILES(1, 4)

/* The last rows, too few for a tile, one by one; panel by panel where it is not
 * four of them, which is rare. */
static void last_rows(int32_t panels, const pd_windows *a, const cursor *at, int32_t rows, panel_group group,
                      const pd_product_target *target, size_t row)
{
    cursor from = *at;
    if (panels == PD_TILE_PANELS) {
        tiles_1_4(a, &from, rows, &group, target, row);
        return;
    }
    for (; panels > 0; panels--, from = *at) {
        tiles_1_1(a, &from, rows, &group, target, row);
        group.first += group.step;
        group.column += PD_PANEL;
    }
}

void pd_product(const pd_windows *a, int32_t count, const float *panels, size_t panel_step, int32_t columns,
                const pd_product_target *target)
{
    assert(columns % PD_PANEL == 0);
    static tiles_function *const full_tiles[PD_TILE_PANELS] = {tiles_4_1, tiles_4_2, tiles_2_3, tiles_2_4};
    panel_group group = {panels, panel_step, 0};
    while (group.column < columns) {
        const int32_t width = pd_next_panels((columns - group.column) / PD_PANEL);
        const int32_t rest = count % PD_TILE_ROWS(width);
        cursor at = {a->data, a->data, a->data, 0, 0};
        full_tiles[width - 1](a, &at, count / PD_TILE_ROWS(width), &group, target, 0);
        if (rest) last_rows(width, a, &at, rest, group, target, (size_t)(count - rest));
        group.first += (size_t)width * panel_step;
        group.column += width * PD_PANEL;
    }
}

void pd_pack_panels(const float *weights, int32_t columns, size_t depth, float *panels)
{
    for (int32_t column = 0; column < columns; column += PD_PANEL)
        for (size_t k = 0; k < depth; k++)
            for (int32_t j = 0; j < PD_PANEL; j++) *panels++ = weights[(size_t)(column + j) * depth + k];
}
