/* Winograd's minimal filtering F(m x n, 3 x 3), m and n = 2 or 4 (Lavin and Gray
 * 2016, "Fast algorithms for convolutional neural networks"):
 *   Y = A^T [ (G g G'^T) . (B^T d B') ] A'
 * for a tile d of (m + 2) (n + 2) inputs and a kernel g. The product in the middle
 * is one matrix product [tiles][in_channels] x [in_channels][out_channels] for
 * each of the (m + 2) (n + 2) positions of the transformed tile.
 *
 * Blocks of tiles, of all images together, are transformed into V; then, four
 * panels of 4 output channels at a time, all positions are multiplied into M, small
 * enough to stay in the nearest caches, and transformed back. Each panel of the
 * packed weights is read strictly in order: [panel][position][depth][4].
 *
 * A larger kernel is a sum of pieces of up to 3x3, each on an input that is shifted
 * or, with a step of n, made of every n-th pixel. To the product, pieces are more
 * input channels: 7x7 is nine of them, and a tile of 4x4 outputs takes 9 * 36
 * multiplications in place of 49 * 16. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "conv.h"
#include "product.h"

/* Both transforms work on four channels a time; the input's on chunks of so
 * many channels that the intermediate stays in the first-level cache. */
#define CHUNK 32
#define MAX_SIDE 6 /* m + 2 */
#define MAX_POSITIONS (MAX_SIDE * MAX_SIDE)
#define GROUP (PD_TILE_PANELS * PD_PANEL) /* output channels that are multiplied together */
/* Aims for the size of V, 256 KiB, a part of the second-level cache, and of M,
 * 38 KiB. Half as much for M makes no difference beyond the noise. */
#define V_FLOATS 65536
#define MAX_BLOCK_TILES 16 /* of F(4x4); in proportion for F(2x2) */
#define PITCH_PADDING 16 /* keeps the positions out of the same cache sets */
#define BLOCK_TILES(positions) (MAX_BLOCK_TILES * MAX_POSITIONS / (positions))
/* Floats from one position to the next in M: a constant of each form, so that the
 * addresses in its transform are constants too. */
#define M_PITCH(positions) (BLOCK_TILES(positions) * GROUP + PITCH_PADDING)

typedef struct winograd {
    int32_t tile_height, tile_width; /* of the output: m and n */
    int32_t height, width;           /* of the input: m + 2 and n + 2 */
    int32_t positions;
    int32_t pieces; /* of a side of the kernel */
    int32_t depth;  /* channels of all pieces together */
    /* The input is doubled by nearest neighbour and tiles begin one pixel before
     * a pair of equal ones: then row 2 and column 2 of the transformed tile are
     * zero (d1 - d2 + ... with d1 = d2, d3 = d4), and need no product. What is left
     * is as much work as four kernels of 2x2 on the small map. */
    bool doubled;
    int32_t tiles_y, tiles_x, image_tiles;
    int32_t block_tiles;
    size_t v_pitch; /* floats from one position to the next in V */
} winograd;

int32_t pd_conv_winograd_pieces(const pd_conv_shape *s)
{
    if (s->in_channels % 4 != 0) return 0;
    if (s->step == 1) return (s->kernel + 2) / 3;
    return s->kernel <= 3 * s->step ? s->step : 0;
}

static winograd measure(const pd_conv *conv)
{
    const pd_conv_shape *s = &conv->shape;
    winograd w = {
        .tile_height = conv->form == PD_CONV_WINOGRAD_4 ? 4 : 2,
        .tile_width = conv->form == PD_CONV_WINOGRAD_2 ? 2 : 4,
        .doubled = s->upsample && s->padding % 2 == 1,
    };
    w.height = w.tile_height + 2;
    w.width = w.tile_width + 2;
    w.positions = w.height * w.width;
    w.pieces = pd_conv_winograd_pieces(s);
    assert(w.pieces > 0);
    w.depth = w.pieces * w.pieces * s->in_channels;
    w.tiles_y = (conv->out_height + w.tile_height - 1) / w.tile_height;
    w.tiles_x = (conv->out_width + w.tile_width - 1) / w.tile_width;
    w.image_tiles = w.tiles_y * w.tiles_x;
    int32_t most = V_FLOATS / (w.positions * w.depth);
    const int32_t limit = BLOCK_TILES(w.positions);
    most = most < 8 ? 8 : most > limit ? limit : most;
    /* Blocks of equal size, a whole number of register tiles each. */
    const int32_t tiles = w.image_tiles * s->images, blocks = (tiles + most - 1) / most;
    w.block_tiles = (tiles + blocks - 1) / blocks;
    w.block_tiles = (w.block_tiles + PD_MOST_ROWS - 1) / PD_MOST_ROWS * PD_MOST_ROWS;
    assert(w.block_tiles <= BLOCK_TILES(w.positions));
    w.v_pitch = (size_t)w.block_tiles * (size_t)w.depth + PITCH_PADDING;
    return w;
}

/* F(4, 3) is made from polynomials at the points 0, a, -a, b, -b and infinity
 * (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd
 * convolution for deep neural networks"). With the usual 1 and 2, rounding errors
 * grow to 94 times those of a plain sum of products; these two, near sqrt(1/2) and
 * sqrt(2), make it 21, near the least there is. All constants are exact. */
typedef struct interpolation_points {
    float a, b, a2, b2, product, sum; /* a, b, a^2, b^2, a^2 b^2, a^2 + b^2 */
} interpolation_points;

static const interpolation_points *points_of(const winograd *w)
{
    static const interpolation_points accurate = {0.6875f, 1.5f, 0.47265625f, 2.25f, 1.0634765625f, 2.72265625f};
    static const interpolation_points with_one = {1, 2, 1, 4, 4, 5}; /* the zeros of a doubled input need the point 1 */
    return w->doubled ? &with_one : &accurate;
}

/* The same in registers. */
typedef struct point_vectors {
    pd_f32x4 a, b, a2, b2, product, sum;
} point_vectors;

PD_INLINE point_vectors load_points(const interpolation_points *points)
{
    return (point_vectors){pd_load_splat(&points->a),  pd_load_splat(&points->b),       pd_load_splat(&points->a2),
                           pd_load_splat(&points->b2), pd_load_splat(&points->product), pd_load_splat(&points->sum)};
}

/* Whether the transformed tile is zero at this position. */
static bool is_zero(const winograd *w, int32_t position)
{
    return w->doubled && (position / w->width == 2 || position % w->width == 2);
}

static int32_t product_count(const winograd *w) { return w->doubled ? (w->height - 1) * (w->width - 1) : w->positions; }

void pd_conv_winograd_plan(pd_conv *conv)
{
    const winograd w = measure(conv);
    const uint64_t positions = (uint64_t)w.positions;
    conv->packed_count = (uint64_t)product_count(&w) * (uint64_t)conv->shape.out_channels * (uint64_t)w.depth;
    conv->scratch_count = positions * (w.v_pitch + (uint64_t)M_PITCH(w.positions)) + CHUNK;
}

/* ---- weights -------------------------------------------------------------------- */

/* u = G g for one row or column of the kernel, in double precision. */
static void weight_transform_1d(int32_t m, const interpolation_points *points, const double g[3], double *u)
{
    if (m == 2) {
        u[0] = g[0];
        u[1] = (g[0] + g[1] + g[2]) / 2;
        u[2] = (g[0] - g[1] + g[2]) / 2;
        u[3] = g[2];
    } else {
        /* (1 p p^2) over the product of p's differences from the other points. */
        const double a = (double)points->a, b = (double)points->b, difference = a * a - b * b;
        u[0] = g[0] / (a * a * b * b);
        u[1] = (g[0] + a * g[1] + a * a * g[2]) / (2 * a * a * difference);
        u[2] = (g[0] - a * g[1] + a * a * g[2]) / (2 * a * a * difference);
        u[3] = (g[0] + b * g[1] + b * b * g[2]) / (-2 * b * b * difference);
        u[4] = (g[0] - b * g[1] + b * b * g[2]) / (-2 * b * b * difference);
        u[5] = g[2];
    }
}

/* Where a side of the kernel has tap i of a piece; beyond its end, none. */
static int32_t tap_of(const pd_conv_shape *s, int32_t piece, int32_t i)
{
    return s->step == 1 ? 3 * piece + i : piece + s->step * i;
}

void pd_conv_winograd_pack(const pd_conv *conv, const float *weights, float *packed)
{
    const pd_conv_shape *s = &conv->shape;
    const winograd w = measure(conv);
    const interpolation_points *points = points_of(&w);
    const size_t in = (size_t)s->in_channels, depth = (size_t)w.depth;
    for (int32_t o = 0; o < s->out_channels; o++) {
        const int32_t first = o / PD_PANEL * PD_PANEL;
        float *panel = packed + (size_t)first * depth * (size_t)product_count(&w) + (o - first);
        for (size_t c = 0; c < depth; c++) {
            const int32_t piece = (int32_t)(c / in), row = piece / w.pieces, column = piece % w.pieces;
            double columns[3][MAX_SIDE], g[3], u[MAX_SIDE];
            for (int x = 0; x < 3; x++) {
                for (int y = 0; y < 3; y++) {
                    const int32_t ky = tap_of(s, row, y), kx = tap_of(s, column, x);
                    const size_t tap = ((size_t)o * (size_t)s->kernel + (size_t)ky) * (size_t)s->kernel + (size_t)kx;
                    g[y] = ky < s->kernel && kx < s->kernel ? (double)weights[tap * in + c % in] : 0;
                }
                weight_transform_1d(w.tile_height, points, g, columns[x]);
            }
            size_t product = 0;
            for (int32_t y = 0; y < w.height; y++) {
                for (int x = 0; x < 3; x++) g[x] = columns[x][y];
                weight_transform_1d(w.tile_width, points, g, u);
                for (int32_t x = 0; x < w.width; x++)
                    if (!is_zero(&w, y * w.width + x)) panel[(product++ * depth + c) * PD_PANEL] = (float)u[x];
            }
        }
    }
}

/* ---- input: V = B^T d B ------------------------------------------------------------ */

PD_INLINE void input_transform_1d(int m, const point_vectors *k, const pd_f32x4 *d, pd_f32x4 *v)
{
    if (m == 2) {
        v[0] = pd_sub(d[0], d[2]);
        v[1] = pd_add(d[1], d[2]);
        v[2] = pd_sub(d[2], d[1]);
        v[3] = pd_sub(d[1], d[3]);
    } else {
        /* Rows of B^T: (a^2 b^2, 0, -a^2 - b^2, 0, 1, 0), (0, -a b^2, -b^2, a, 1, 0), (0, a b^2, -b^2, -a, 1, 0), the
         * same two with a and b exchanged, (0, a^2 b^2, 0, -a^2 - b^2, 0, 1). */
        const pd_f32x4 even_a = pd_multiply_subtract(d[4], k->b2, d[2]),
                       odd_a = pd_mul(k->a, pd_multiply_subtract(d[3], k->b2, d[1]));
        const pd_f32x4 even_b = pd_multiply_subtract(d[4], k->a2, d[2]),
                       odd_b = pd_mul(k->b, pd_multiply_subtract(d[3], k->a2, d[1]));
        v[0] = pd_add(pd_multiply_subtract(pd_mul(k->product, d[0]), k->sum, d[2]), d[4]);
        v[1] = pd_add(even_a, odd_a);
        v[2] = pd_sub(even_a, odd_a);
        v[3] = pd_add(even_b, odd_b);
        v[4] = pd_sub(even_b, odd_b);
        v[5] = pd_add(pd_multiply_subtract(pd_mul(k->product, d[1]), k->sum, d[3]), d[5]);
    }
}

/* One column of a tile, `count` channels, from where its pixels are to lines
 * `pitch` (a constant) floats apart. A pointer that moves, here and below, so that
 * constant distances become part of the instructions. */
PD_INLINE void transform_column(int m, const point_vectors *k, const float *const *pixels, int32_t count, float *to, size_t pitch)
{
    const float *from[MAX_SIDE];
    PD_UNROLL
    for (int i = 0; i < m + 2; i++) from[i] = pixels[i];
    for (int32_t c = 0; c < count; c += 4, to += 4) {
        pd_f32x4 d[MAX_SIDE], transformed[MAX_SIDE];
        PD_UNROLL
        for (int i = 0; i < m + 2; i++) d[i] = pd_load(from[i] + c);
        input_transform_1d(m, k, d, transformed);
        PD_UNROLL
        for (int i = 0; i < m + 2; i++) pd_store(to + (size_t)i * pitch, transformed[i]);
    }
}

/* One row of the lines that transform_column makes, CHUNK floats from column to column, into lines v_pitch apart. */
PD_INLINE void transform_row(int n, const point_vectors *k, const float *from, int32_t count, float *v, size_t v_pitch)
{
    float *to[MAX_SIDE];
    PD_UNROLL
    for (int i = 0; i < n + 2; i++) to[i] = v + (size_t)i * v_pitch;
    for (int32_t c = 0; c < count; c += 4, from += 4) {
        pd_f32x4 d[MAX_SIDE], transformed[MAX_SIDE];
        PD_UNROLL
        for (int i = 0; i < n + 2; i++) d[i] = pd_load(from + (size_t)i * CHUNK);
        input_transform_1d(n, k, d, transformed);
        PD_UNROLL
        for (int i = 0; i < n + 2; i++) pd_store(to[i] + c, transformed[i]);
    }
}

/* Where the pixels of a tile are: pixel (y, x) at rows[y] + columns[x], or
 * outside the picture if rows[y] is NULL or columns[x] is negative. */
typedef struct tile_source {
    const float *rows[MAX_SIDE];
    int64_t columns[MAX_SIDE];
} tile_source;

static tile_source locate_tile(const pd_conv_shape *s, const winograd *w, const pd_view *in, int32_t tile, int32_t piece)
{
    tile_source source;
    const int32_t image = tile / w->image_tiles, within = tile % w->image_tiles;
    const int32_t top = within / w->tiles_x * w->tile_height * s->step + tap_of(s, piece / w->pieces, 0) - s->padding;
    const int32_t left = within % w->tiles_x * w->tile_width * s->step + tap_of(s, piece % w->pieces, 0) - s->padding;
    const int32_t shift = s->upsample ? 1 : 0; /* nearest neighbour: index / 2 */
    for (int32_t i = 0; i < w->height; i++) {
        const int32_t y = top + i * s->step;
        const size_t row = (size_t)image * (size_t)s->in_height + (size_t)(y >> shift);
        source.rows[i] = y >= 0 && y >> shift < s->in_height ? in->data + row * (size_t)s->in_width * (size_t)in->stride : NULL;
    }
    for (int32_t i = 0; i < w->width; i++) {
        const int32_t x = left + i * s->step;
        source.columns[i] = x >= 0 && x >> shift < s->in_width ? (int64_t)(x >> shift) * in->stride : -1;
    }
    return source;
}

/* One tile, all channels, into v + position * v_pitch. `zeros`: CHUNK floats. */
PD_INLINE void input_transform(int m, int n, const interpolation_points *points, const tile_source *source, int32_t channels,
                               const float *zeros, float *v, size_t v_pitch)
{
    const int height = m + 2, width = n + 2;
    const point_vectors k = load_points(points);
    float lines[MAX_POSITIONS * CHUNK]; /* B^T d: [row][column][CHUNK] */
    for (int32_t first = 0; first < channels; first += CHUNK) {
        const int32_t count = channels - first < CHUNK ? channels - first : CHUNK;
        for (int x = 0; x < width; x++) {
            const float *column[MAX_SIDE];
            for (int y = 0; y < height; y++)
                column[y] = source->rows[y] && source->columns[x] >= 0 ? source->rows[y] + source->columns[x] + first : zeros;
            transform_column(m, &k, column, count, lines + x * CHUNK, (size_t)width * CHUNK);
        }
        for (int y = 0; y < height; y++)
            transform_row(n, &k, lines + y * width * CHUNK, count, v + (size_t)(y * width) * v_pitch + first, v_pitch);
    }
}

typedef void input_function(const interpolation_points *points, const tile_source *source, int32_t channels, const float *zeros,
                            float *v, size_t v_pitch);

#define INPUT_TRANSFORM(m, n) \
    static PD_NOINLINE void input_transform_##m##x##n(const interpolation_points *points, const tile_source *source, \
                                                      int32_t channels, const float *zeros, float *v, size_t v_pitch) \
    { \
        input_transform(m, n, points, source, channels, zeros, v, v_pitch); \
    }
INPUT_TRANSFORM(2, 2)
INPUT_TRANSFORM(2, 4)
INPUT_TRANSFORM(4, 4)

/* ---- product ------------------------------------------------------------------------ */

/* Not pd_product: with its walk over windows, its bias and its addend, called once a
 * position, a convolution takes 1.01 to 1.14 of the time. */
/* `tiles` rows of V times some panels at one position, into rows of GROUP columns. */
PD_INLINE void multiply_rows(int rows, int panels, const float *v, int32_t tiles, int32_t channels, const float *first,
                             size_t panel_step, float *out)
{
    const pd_row_layout layout = {.taps = 1, .run = channels};
    for (; tiles >= rows; tiles -= rows) {
        const float *a[PD_MOST_ROWS];
        pd_f32x4 sum[PD_MOST_ROWS][PD_TILE_PANELS];
        PD_UNROLL
        for (int r = 0; r < rows; r++) a[r] = v + r * channels;
        pd_tile_product(rows, panels, a, &layout, first, panel_step, sum);
        PD_UNROLL
        for (int r = 0; r < rows; r++) {
            PD_UNROLL
            for (int p = 0; p < panels; p++) pd_store(out + GROUP * r + PD_PANEL * p, sum[r][p]);
        }
        v += rows * channels;
        out += GROUP * rows;
    }
}

typedef void multiply_function(const float *v, int32_t tiles, int32_t channels, const float *first, size_t panel_step,
                               float *out);

#define MULTIPLY(rows, panels) \
    static PD_NOINLINE void multiply_##rows##_##panels(const float *v, int32_t tiles, int32_t channels, const float *first, \
                                                       size_t panel_step, float *out) \
    { \
        multiply_rows(rows, panels, v, tiles, channels, first, panel_step, out); \
    }
MULTIPLY(4, 1)
MULTIPLY(4, 2)
MULTIPLY(2, 3)
MULTIPLY(2, 4)
MULTIPLY(1, 1)
MULTIPLY(1, 4)

/* The last rows, too few for a tile, one by one; panel by panel where it is not
 * four of them, which is rare. */
static void last_rows(int32_t panels, const float *v, int32_t rows, int32_t channels, const float *first, size_t panel_step,
                      float *out)
{
    if (panels == PD_TILE_PANELS) multiply_1_4(v, rows, channels, first, panel_step, out);
    else
        for (int32_t p = 0; p < panels; p++)
            multiply_1_1(v, rows, channels, first + (size_t)p * panel_step, panel_step, out + PD_PANEL * p);
}

/* M = V times some panels, at every position. */
static void multiply_panels(int32_t panels, const winograd *w, const float *v, int32_t tiles, const float *first, float *m)
{
    static multiply_function *const full_tiles[PD_TILE_PANELS] = {multiply_4_1, multiply_4_2, multiply_2_3, multiply_2_4};
    const size_t channels = (size_t)w->depth, panel_step = (size_t)product_count(w) * PD_PANEL * channels;
    const int32_t rest = tiles % PD_TILE_ROWS(panels), whole = tiles - rest;
    for (int32_t position = 0; position < w->positions; position++) {
        if (is_zero(w, position)) continue;
        const float *rows = v + (size_t)position * w->v_pitch;
        float *out = m + position * M_PITCH(w->positions);
        if (whole) full_tiles[panels - 1](rows, whole, w->depth, first, panel_step, out);
        if (rest) last_rows(panels, rows + (size_t)whole * channels, rest, w->depth, first, panel_step, out + GROUP * whole);
        first += PD_PANEL * channels;
    }
}

/* ---- output: Y = A^T M A -------------------------------------------------------------- */

PD_INLINE void output_transform_1d(int m, const point_vectors *k, const pd_f32x4 *p, pd_f32x4 *y)
{
    if (m == 2) {
        y[0] = pd_add(pd_add(p[0], p[1]), p[2]);
        y[1] = pd_sub(pd_sub(p[1], p[2]), p[3]);
    } else {
        /* Columns of A^T: the powers 0 to 3 of a point, and (0 0 0 1). */
        const pd_f32x4 even_a = pd_add(p[1], p[2]), odd_a = pd_mul(k->a, pd_sub(p[1], p[2]));
        const pd_f32x4 even_b = pd_add(p[3], p[4]), odd_b = pd_mul(k->b, pd_sub(p[3], p[4]));
        y[0] = pd_add(pd_add(p[0], even_a), even_b);
        y[1] = pd_add(odd_a, odd_b);
        y[2] = pd_multiply_add(pd_mul(k->a2, even_a), k->b2, even_b);
        y[3] = pd_add(pd_multiply_add(pd_mul(k->a2, odd_a), k->b2, odd_b), p[5]);
    }
}

/* Where a tile's result goes. A pixel outside the picture is not written. */
typedef struct tile_target {
    float *out;
    const float *residual; /* or NULL */
    const float *bias;     /* or NULL */
    size_t out_row, out_pixel, residual_row, residual_pixel; /* floats to the next */
    int32_t rows, columns; /* inside the picture */
} tile_target;

/* `columns` channels of one tile, from `channel` of the result on. */
PD_INLINE void output_transform(int m, int n, const interpolation_points *points, const float *tile, int32_t columns,
                                const tile_target *target, int32_t channel)
{
    const int height = m + 2, width = n + 2;
    const point_vectors k = load_points(points);
    const tile_target to = *target; /* a copy, which no store can change */
    float lines[4 * MAX_SIDE * 4];  /* A^T M: [m][width] vectors */
    for (int32_t c = 0; c < columns; c += 4, tile += 4) {
        for (int x = 0; x < width; x++) {
            pd_f32x4 in[MAX_SIDE], y[4];
            PD_UNROLL
            for (int i = 0; i < height; i++) in[i] = pd_load(tile + (i * width + x) * M_PITCH(height * width));
            output_transform_1d(m, &k, in, y);
            PD_UNROLL
            for (int i = 0; i < m; i++) pd_store(lines + (i * width + x) * 4, y[i]);
        }
        const pd_f32x4 bias = to.bias ? pd_load(to.bias + channel + c) : pd_zero();
        const float *residual = to.residual ? to.residual + channel + c : NULL;
        float *out = to.out + channel + c;
        for (int row = 0; row < to.rows; row++) {
            pd_f32x4 in[MAX_SIDE], y[4];
            PD_UNROLL
            for (int x = 0; x < width; x++) in[x] = pd_load(lines + (row * width + x) * 4);
            output_transform_1d(n, &k, in, y);
            PD_UNROLL
            for (int x = 0; x < n; x++) {
                if (x < to.columns) {
                    pd_f32x4 result = pd_add(y[x], bias);
                    if (residual) result = pd_add(result, pd_load(residual + (size_t)x * to.residual_pixel));
                    pd_store(out + (size_t)x * to.out_pixel, result);
                }
            }
            out += to.out_row;
            if (residual) residual += to.residual_row;
        }
    }
}

typedef void output_function(const interpolation_points *points, const float *tile, int32_t columns, const tile_target *target,
                             int32_t channel);

#define OUTPUT_TRANSFORM(m, n) \
    static PD_NOINLINE void output_transform_##m##x##n(const interpolation_points *points, const float *tile, int32_t columns, \
                                                       const tile_target *target, int32_t channel) \
    { \
        output_transform(m, n, points, tile, columns, target, channel); \
    }
OUTPUT_TRANSFORM(2, 2)
OUTPUT_TRANSFORM(2, 4)
OUTPUT_TRANSFORM(4, 4)

static tile_target locate_target(const pd_conv *conv, const winograd *w, const pd_view *residual, const pd_view *out,
                                 int32_t tile)
{
    const int32_t image = tile / w->image_tiles, within = tile % w->image_tiles;
    const int32_t y = within / w->tiles_x * w->tile_height, x = within % w->tiles_x * w->tile_width;
    const size_t pixel = ((size_t)image * (size_t)conv->out_height + (size_t)y) * (size_t)conv->out_width + (size_t)x;
    tile_target target = {
        .out = out->data + pixel * (size_t)out->stride,
        .bias = conv->bias,
        .out_pixel = (size_t)out->stride,
        .out_row = (size_t)out->stride * (size_t)conv->out_width,
        .rows = conv->out_height - y < w->tile_height ? conv->out_height - y : w->tile_height,
        .columns = conv->out_width - x < w->tile_width ? conv->out_width - x : w->tile_width,
    };
    if (residual) {
        target.residual = residual->data + pixel * (size_t)residual->stride;
        target.residual_pixel = (size_t)residual->stride;
        target.residual_row = (size_t)residual->stride * (size_t)conv->out_width;
    }
    return target;
}

/* ---- run --------------------------------------------------------------------------------- */

static void run_block(const pd_conv *conv, const winograd *w, const pd_view *in, const pd_view *residual, const pd_view *out,
                      int32_t first, int32_t count, const float *zeros, float *v, float *m)
{
    static input_function *const inputs[PD_CONV_FORMS] = {NULL, input_transform_2x2, input_transform_2x4, input_transform_4x4};
    static output_function *const outputs[PD_CONV_FORMS] = {NULL, output_transform_2x2, output_transform_2x4,
                                                            output_transform_4x4};
    const pd_conv_shape *s = &conv->shape;
    const interpolation_points *points = points_of(w);
    const int32_t channels = s->in_channels, pieces = w->pieces * w->pieces;
    for (int32_t i = 0; i < count; i++)
        for (int32_t piece = 0; piece < pieces; piece++) {
            const tile_source source = locate_tile(s, w, in, first + i, piece);
            inputs[conv->form](points, &source, channels, zeros, v + i * w->depth + piece * channels, w->v_pitch);
        }
    const float *panel = conv->packed;
    for (int32_t channel = 0; channel < s->out_channels;) {
        const int32_t panels = pd_next_panels((s->out_channels - channel) / PD_PANEL), columns = panels * PD_PANEL;
        multiply_panels(panels, w, v, count, panel, m);
        panel += (size_t)(product_count(w) * columns) * (size_t)w->depth;
        for (int32_t i = 0; i < count; i++) {
            const tile_target target = locate_target(conv, w, residual, out, first + i);
            outputs[conv->form](points, m + i * GROUP, columns, &target, channel);
        }
        channel += columns;
    }
}

void pd_conv_winograd_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch)
{
    const winograd w = measure(conv);
    const int32_t tiles = w.image_tiles * in->images;
    float *zeros = scratch, *v = scratch + CHUNK, *m = v + (size_t)w.positions * w.v_pitch;
    memset(zeros, 0, CHUNK * sizeof(float));
    for (int32_t position = 0; position < w.positions; position++)
        if (is_zero(&w, position)) memset(m + position * M_PITCH(w.positions), 0, (size_t)M_PITCH(w.positions) * sizeof(float));
    for (int32_t first = 0; first < tiles; first += w.block_tiles) {
        const int32_t count = tiles - first < w.block_tiles ? tiles - first : w.block_tiles;
        run_block(conv, &w, in, residual, out, first, count, zeros, v, m);
    }
}
