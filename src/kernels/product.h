/* The one inner loop of the network: a few rows of A times a panel of B, held
 * in registers. Convolutions, fully connected layers, the products inside
 * Winograd's algorithm and those of attention are all made of it.
 *
 * A row of A is `taps` runs of `run` >= 1 contiguous floats, `pitch` floats apart:
 * in an interleaved image, a row of a convolution window is contiguous. B is
 * packed in panels of 8 columns (4 in the last one where the number of columns
 * is not a multiple of 8): panel after panel, in each one k after k, the
 * columns of a k together. Every sum runs over k in order, in one accumulator
 * that starts at zero, whatever the tile: the result does not depend on how
 * rows are grouped. */
#ifndef PD_PRODUCT_H
#define PD_PRODUCT_H

#include "simd.h"

#include <stddef.h>

/* Rows in a tile: 8 sums. Measured in WebAssembly with 5 and 6 rows as well:
 * these lose a third, because V8 on x86-64 has 15 vector registers and tends to
 * load all operands of a basic block (2 of B, one for each row of A) before it
 * begins to multiply. */
#define PD_TILE_ROWS 4
#define PD_PANEL 8

typedef struct pd_row_layout {
    int32_t taps, run;
    size_t pitch;
} pd_row_layout;

/* sum[r][v] = A rows r times columns 4 v .. 4 v + 3 of the panel. rows and
 * vectors are constants where this is called. */
PD_INLINE void pd_tile_product(int rows, int vectors, const float *const *a, const pd_row_layout *layout,
                               const float *panel, pd_f32x4 sum[][PD_PANEL / 4])
{
    PD_UNROLL
    for (int r = 0; r < rows; r++) {
        PD_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = pd_zero();
    }
    for (int32_t tap = 0; tap < layout->taps; tap++) {
        const float *at[PD_TILE_ROWS];
        PD_UNROLL
        for (int r = 0; r < rows; r++)
            at[r] = a[r] + (size_t)tap * layout->pitch;
/* Step k of a turn; leaves the loop when `left` steps were left. */
#define PD_PRODUCT_STEP(k)                                                          \
    {                                                                               \
        pd_f32x4 column[PD_PANEL / 4];                                              \
        PD_UNROLL                                                                   \
        for (int v = 0; v < vectors; v++)                                           \
            column[v] = pd_load(panel + ((k) * vectors + v) * 4);                   \
        PD_UNROLL                                                                   \
        for (int r = 0; r < rows; r++) {                                            \
            const pd_f32x4 value = pd_load_splat(at[r] + (k));                      \
            PD_UNROLL                                                               \
            for (int v = 0; v < vectors; v++)                                       \
                sum[r][v] = pd_multiply_add(sum[r][v], value, column[v]);           \
        }                                                                           \
        if (left <= (k) + 1)                                                        \
            break;                                                                  \
    }
        /* Eight steps to a turn of the loop, so that the pointers move once in
         * eight. The exits between them also keep each step a basic block of its
         * own, without which V8 would load the operands of several steps first
         * and spill the sums. */
        int32_t left = layout->run;
        for (;; left -= 8) {
            PD_PRODUCT_STEP(0)
            PD_PRODUCT_STEP(1)
            PD_PRODUCT_STEP(2)
            PD_PRODUCT_STEP(3)
            PD_PRODUCT_STEP(4)
            PD_PRODUCT_STEP(5)
            PD_PRODUCT_STEP(6)
            PD_PRODUCT_STEP(7)
            PD_UNROLL
            for (int r = 0; r < rows; r++)
                at[r] += 8;
            panel += 32 * vectors;
        }
        panel += left * 4 * vectors;
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

/* The first `count` rows of A times all `columns` (a multiple of 4) of B. */
void pd_product(const pd_windows *a, int32_t count, const float *panels, int32_t columns,
                const pd_product_target *target);

/* B from rows of weights: column j's row is weights + j * depth. `depth` floats
 * per column in the packed order. */
void pd_pack_panels(const float *weights, int32_t columns, size_t depth, float *panels);

#endif
