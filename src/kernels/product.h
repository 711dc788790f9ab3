/* The one inner loop of the network: a few rows of A times a panel of B, held
 * in registers. Convolutions, fully connected layers, the products inside
 * Winograd's algorithm and those of attention are all made of it.
 *
 * A row of A is `taps` runs of `run` >= 1 contiguous floats, `pitch` floats apart:
 * in an interleaved image, a row of a convolution window is contiguous. B is
 * packed in panels of 4 columns: panel after panel, in each one k after k, the
 * columns of a k together. Every sum runs over k in order, in one accumulator
 * that starts at zero, whatever the tile: the result does not depend on how
 * rows are grouped. */
#ifndef PD_PRODUCT_H
#define PD_PRODUCT_H

#include "simd.h"

#include <stddef.h>

/* Columns of a panel: one vector. */
#define PD_PANEL 4

/* A tile is 2 rows by 4 panels, 8 sums; of panels that are left, 2 rows by 3 or 4
 * rows by 1 or 2; rows that are left go one by one. More sums would not fit: V8 on x86-64 has 15 vector registers and
 * tends to load all operands of a basic block before it begins to multiply.
 * Panels, not rows, because weights that come from memory come faster in four
 * streams than in one: the hardware fetches ahead in each, but only to the end of
 * its page. A 3x3 layer on a 4x4 map took 0.69 of the time of tiles of 4 rows by
 * one panel of 8 columns, on 8x8 0.83, on 16x16 with all in the cache 0.94. */
#define PD_TILE_PANELS 4
#define PD_TILE_ROWS(panels) ((panels) > 2 ? 2 : 4)
#define PD_MOST_ROWS 4 /* of any tile */

/* Panels of the next tile, of `left` > 0. Of five, 3: one alone makes 4 sums only,
 * and the additions wait for each other. */
PD_INLINE int32_t pd_next_panels(int32_t left)
{
    if (left == PD_TILE_PANELS + 1) return PD_TILE_PANELS - 1;
    return left < PD_TILE_PANELS ? left : PD_TILE_PANELS;
}

typedef struct pd_row_layout {
    int32_t taps, run;
    size_t pitch;
} pd_row_layout;

/* sum[r][p] = A rows r times panel p, which is at panels + p * panel_step. rows and
 * count are constants where this is called.
 *
 * Eight steps to a turn of the loop, so that the pointers move once in eight; four in
 * tiles of fewer panels, for less code. PD_PRODUCT_STEP is step k of a turn, and leaves
 * the loop when `left` steps were left: these exits also keep each step a basic block of
 * its own, without which V8 would load the operands of several steps first and spill the
 * sums. */
PD_INLINE void pd_tile_product(int rows, int count, const float *const *a, const pd_row_layout *layout, const float *panels,
                               size_t panel_step, pd_f32x4 sum[][PD_TILE_PANELS])
{
    const float *panel[PD_TILE_PANELS];
    PD_UNROLL
    for (int p = 0; p < count; p++) {
        panel[p] = panels + (size_t)p * panel_step;
        PD_UNROLL
        for (int r = 0; r < rows; r++) sum[r][p] = pd_zero();
    }
#define PD_PRODUCT_STEP(k) \
    { \
        pd_f32x4 columns[PD_TILE_PANELS]; \
        PD_UNROLL \
        for (int p = 0; p < count; p++) columns[p] = pd_load(panel[p] + (k) * PD_PANEL); \
        PD_UNROLL \
        for (int r = 0; r < rows; r++) { \
            const pd_f32x4 value = pd_load_splat(at[r] + (k)); \
            PD_UNROLL \
            for (int p = 0; p < count; p++) sum[r][p] = pd_multiply_add(sum[r][p], value, columns[p]); \
        } \
        if (left <= (k) + 1) break; \
    }
    for (int32_t tap = 0; tap < layout->taps; tap++) {
        const float *at[PD_MOST_ROWS];
        PD_UNROLL
        for (int r = 0; r < rows; r++) at[r] = a[r] + (size_t)tap * layout->pitch;
        const int turn = count == PD_TILE_PANELS ? 8 : 4;
        int32_t left = layout->run;
        for (;; left -= turn) {
            PD_PRODUCT_STEP(0)
            PD_PRODUCT_STEP(1)
            PD_PRODUCT_STEP(2)
            PD_PRODUCT_STEP(3)
            if (turn == 8) {
                PD_PRODUCT_STEP(4)
                PD_PRODUCT_STEP(5)
                PD_PRODUCT_STEP(6)
                PD_PRODUCT_STEP(7)
            }
            PD_UNROLL
            for (int r = 0; r < rows; r++) at[r] += turn;
            PD_UNROLL
            for (int p = 0; p < count; p++) panel[p] += turn * PD_PANEL;
        }
        PD_UNROLL
        for (int p = 0; p < count; p++) panel[p] += left * PD_PANEL;
#undef PD_PRODUCT_STEP
    }
}

/* Rows of A as windows of an image stack: `width` windows in a row, `step`
 * floats apart; rows row_step, images image_step floats apart. */
typedef struct pd_windows {
    const float *data;
    int32_t width, height;
    size_t step, row_step, image_step;
    pd_row_layout layout;
} pd_windows;

/* What becomes of the sums: out = sum + bias + addend, row i of A at
 * out + i * out_stride. bias and addend may be NULL; addend may be out. */
typedef struct pd_product_target {
    float *out;
    size_t out_stride;
    const float *addend;
    size_t addend_stride;
    const float *bias;
} pd_product_target;

/* The first `count` rows of A times all `columns` (a multiple of 4) of B, whose
 * panels are panel_step floats apart. */
void pd_product(const pd_windows *a, int32_t count, const float *panels, size_t panel_step, int32_t columns,
                const pd_product_target *target);

/* B from rows of weights: column j's row is weights + j * depth; columns a multiple
 * of 4. The panels are 4 * depth floats apart. */
void pd_pack_panels(const float *weights, int32_t columns, size_t depth, float *panels);

#endif
