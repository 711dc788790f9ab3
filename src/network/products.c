/* Linear layers, convolutions, matrix products. */
#include <string.h>

#include "operations.h"
#include "product.h"

/* Of a layer, so that what its kernels count fits in 32 bits. */
#define MAX_LAYER_CHANNELS 16384

static pd_status check_layer_channels(const pd_inference *c, int32_t in, int32_t out)
{
    if (in <= MAX_LAYER_CHANNELS && out >= 1 && out <= MAX_LAYER_CHANNELS) return PD_OK;
    return PD_REFUSE_AS(c, PD_TOO_BIG, "%d channels to %d, more than %d", (int64_t)in, (int64_t)out, (int64_t)MAX_LAYER_CHANNELS);
}

/* What follows a kernel that has not applied them: function and residual, in place. */
static void finish(const pd_execution *e, const pd_node *node, pd_function function, const pd_node *residual, int32_t image)
{
    if (function.kind == PD_IDENTITY && !residual) return;
    const pd_array out = pd_array_of(e, node, image);
    if (!residual) {
        pd_apply(function, &out, NULL, &out);
        return;
    }
    const pd_array addend = pd_array_of(e, residual, image);
    pd_apply(function, &out, &addend, &out);
}

/* Runs a convolution on all images at once, if they lie one behind the other, or one by
 * one; then function and residual. */
static void run_layer(const pd_execution *e, const pd_node *node, const pd_conv *conv, pd_function function,
                      const pd_node *residual)
{
    const pd_node *input = pd_input(e->graph, node, 0);
    const bool fused = function.kind == PD_IDENTITY && residual;
    const bool together = pd_is_batched(e, input) && pd_is_batched(e, node) && (!fused || pd_is_batched(e, residual));
    const int32_t count = pd_images_of(e, node), each = together ? count : 1;
    for (int32_t i = 0; i < count; i += each) {
        const pd_view in = pd_view_of(e, input, i, each), out = pd_view_of(e, node, i, each);
        const pd_view addend = fused ? pd_view_of(e, residual, i, each) : out;
        pd_conv_run(conv, &in, fused ? &addend : NULL, &out, e->scratch);
    }
    for (int32_t i = 0; i < count && !fused; i++) finish(e, node, function, residual, i);
}

/* ---- linear ------------------------------------------------------------------------------ */

static pd_status infer_linear(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    pd_node *node = c->node;
    PD_TRY(check_layer_channels(c, pd_channels(input), node->integers[0]));
    node->axes = input->axes;
    node->axes.length[node->axes.rank - 1] = node->integers[0];
    c->work = pd_work((uint64_t)pd_positions(node), pd_work((uint64_t)pd_channels(input), (uint64_t)node->integers[0]));
    return pd_check_same(c, 1, "residual");
}

static void weight_linear(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    const pd_node *input = pd_input(graph, node, 0);
    if (k == 1) {
        pd_weight_vector(weight, node->layout);
        weight->one_plus = node->flags & PD_ONE_PLUS_FIRST;
        return;
    }
    weight->kind = PD_WEIGHT_PACKED;
    weight->taps = 1;
    weight->in = input->layout;
    weight->out = node->layout;
    weight->rows = (uint64_t)node->layout.real;
    weight->columns = (uint64_t)input->layout.real;
    if (node->flags & (PD_FIRST_COLUMNS | PD_LAST_COLUMNS)) {
        weight->first_column = node->flags & PD_LAST_COLUMNS ? weight->columns : 0;
        weight->columns *= 2;
    }
    weight->convolution = node->layer;
}

/* Plans the layer, takes its memory and that of its weights. */
static void place_layer(pd_graph *graph, pd_node *node, pd_arena *arena, const pd_conv_shape *shape, void *layer)
{
    pd_conv conv;
    pd_conv_plan(&conv, shape);
    float *packed = PD_TAKE(arena, float, conv.packed_count);
    node->data[0] = packed;
    conv.packed = packed;
    conv.bias = pd_has_tensor(node, 1) ? node->data[1] : NULL;
    if (conv.scratch_count > node->scratch_count) node->scratch_count = conv.scratch_count;
    if (layer) *(pd_conv *)layer = conv;
    (void)graph;
}

static void place_linear(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    const pd_node *input = pd_input(graph, node, 0);
    const bool map = node->axes.rank == 3;
    const pd_conv_shape shape = {.in_channels = input->layout.stored,
                                 .out_channels = node->layout.stored,
                                 .in_height = map ? node->axes.length[0] : 1,
                                 .in_width = map ? node->axes.length[1] : pd_positions(node),
                                 .kernel = 1,
                                 .step = 1,
                                 .images = node->phase == PD_PHASE_IMAGES ? graph->images : 1};
    node->layer = PD_TAKE(arena, pd_conv, 1);
    place_layer(graph, node, arena, &shape, node->layer);
}

static void run_linear(const pd_execution *e, const pd_node *node)
{
    run_layer(e, node, node->layer, pd_function_of(node, 1, 0), pd_input(e->graph, node, 1));
}

/* ---- convolution -------------------------------------------------------------------------- */

enum {
    OUT,
    KERNEL_DOWN,
    KERNEL_ACROSS,
    STEP_DOWN,
    STEP_ACROSS,
    TOP,
    LEFT,
    BOTTOM,
    RIGHT,
    PADDING_KIND,
    GROUPS,
    FACTOR,
    FUNCTION,
    CONV_INTEGERS
};

typedef enum conv_kind { CONV_PACKED, CONV_DEPTHWISE, CONV_PLAIN } conv_kind;

typedef struct conv_layer {
    pd_conv conv; /* of CONV_PACKED; first, for weights find it here */
} conv_layer;

static conv_kind kind_of(const pd_node *node, int32_t in_channels)
{
    const int32_t *n = node->integers;
    if (n[GROUPS] == 1 && n[KERNEL_DOWN] == n[KERNEL_ACROSS] && n[STEP_DOWN] == n[STEP_ACROSS]) return CONV_PACKED;
    return n[GROUPS] == in_channels && n[GROUPS] == n[OUT] ? CONV_DEPTHWISE : CONV_PLAIN;
}

/* Whether the packed kernels do the padding and the doubling themselves. */
static bool pads_itself(const pd_node *node, int32_t in_channels)
{
    const int32_t *n = node->integers;
    const bool even = n[TOP] == n[LEFT] && n[TOP] == n[BOTTOM] && n[TOP] == n[RIGHT];
    const bool none = even && n[TOP] == 0;
    if (kind_of(node, in_channels) != CONV_PACKED) return none && n[FACTOR] == 1;
    if (n[FACTOR] == 2) return even && n[TOP] == 1 && n[PADDING_KIND] == PD_PAD_ZEROS && n[KERNEL_DOWN] == 3 && n[STEP_DOWN] == 1;
    return none || (even && n[PADDING_KIND] == PD_PAD_ZEROS);
}

/* The map with its padding. */
static pd_axes padded_axes(const pd_node *node, const pd_node *input)
{
    const int32_t *n = node->integers;
    return (pd_axes){3,
                     {input->axes.length[0] * n[FACTOR] + n[TOP] + n[BOTTOM],
                      input->axes.length[1] * n[FACTOR] + n[LEFT] + n[RIGHT], pd_channels(input)}};
}

static pd_status check_window(const pd_inference *c, int32_t kernel_at, int32_t step_at)
{
    PD_TRY(pd_check_integer(c, kernel_at, "height of the kernel", 1, PD_MAX_KERNEL));
    PD_TRY(pd_check_integer(c, kernel_at + 1, "width of the kernel", 1, PD_MAX_KERNEL));
    PD_TRY(pd_check_integer(c, step_at, "stride down", 1, PD_MAX_KERNEL));
    return pd_check_integer(c, step_at + 1, "stride across", 1, PD_MAX_KERNEL);
}

/* Padding must have something to repeat. */
static pd_status check_padding(const pd_inference *c, int32_t kind, int32_t most, int32_t length)
{
    if (kind == PD_PAD_REFLECT && most >= length)
        return PD_REFUSE(c, "%d rows or columns of %d cannot be reflected", (int64_t)most, (int64_t)length);
    if (kind == PD_PAD_CIRCULAR && most > length)
        return PD_REFUSE(c, "%d rows or columns of %d cannot go round", (int64_t)most, (int64_t)length);
    return PD_OK;
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

static pd_status check_padded(const pd_inference *c, const pd_axes *padded)
{
    const uint64_t count = (uint64_t)padded->length[0] * (uint64_t)padded->length[1] * (uint64_t)pd_round_up_4(padded->length[2]);
    if (count <= PD_MAX_VALUE_ELEMENTS) return PD_OK;
    return PD_REFUSE_AS(c, PD_TOO_BIG, "with its padding the input has more than %u numbers", PD_MAX_VALUE_ELEMENTS);
}

static pd_status infer_conv(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    pd_node *node = c->node;
    const int32_t *n = node->integers;
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(check_layer_channels(c, pd_channels(input), n[OUT]));
    PD_TRY(check_window(c, KERNEL_DOWN, STEP_DOWN));
    for (int32_t k = TOP; k <= RIGHT; k++) PD_TRY(pd_check_integer(c, k, "padding", 0, PD_MAX_KERNEL));
    PD_TRY(pd_check_integer(c, PADDING_KIND, "kind of padding", 0, PD_PADDING_KINDS - 1));
    PD_TRY(pd_check_integer(c, FACTOR, "factor", 1, 2));
    PD_TRY(check_padding(c, n[PADDING_KIND], larger(n[TOP], n[BOTTOM]), input->axes.length[0] * n[FACTOR]));
    PD_TRY(check_padding(c, n[PADDING_KIND], larger(n[LEFT], n[RIGHT]), input->axes.length[1] * n[FACTOR]));
    if (n[GROUPS] < 1 || pd_channels(input) % n[GROUPS] || n[OUT] % n[GROUPS])
        return PD_REFUSE(c, "%d groups do not divide %d channels and %d", (int64_t)n[GROUPS], (int64_t)pd_channels(input),
                         (int64_t)n[OUT]);
    const pd_axes padded = padded_axes(node, input);
    PD_TRY(check_padded(c, &padded));
    if (padded.length[0] < n[KERNEL_DOWN] || padded.length[1] < n[KERNEL_ACROSS])
        return PD_REFUSE(c, "kernel of %d x %d on a map of %d x %d with its padding", (int64_t)n[KERNEL_DOWN],
                         (int64_t)n[KERNEL_ACROSS], (int64_t)padded.length[0], (int64_t)padded.length[1]);
    node->axes = (pd_axes){3,
                           {(padded.length[0] - n[KERNEL_DOWN]) / n[STEP_DOWN] + 1,
                            (padded.length[1] - n[KERNEL_ACROSS]) / n[STEP_ACROSS] + 1, n[OUT]}};
    const uint64_t row = (uint64_t)n[KERNEL_DOWN] * (uint64_t)n[KERNEL_ACROSS] * (uint64_t)(pd_channels(input) / n[GROUPS]);
    c->work = pd_work((uint64_t)pd_positions(node), pd_work(row, (uint64_t)n[OUT]));
    return pd_check_same(c, 1, "residual");
}

static void weight_conv(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    const pd_node *input = pd_input(graph, node, 0);
    const int32_t *n = node->integers;
    const conv_kind kind = kind_of(node, pd_channels(input));
    if (k == 1) {
        pd_weight_vector(weight, node->layout);
        return;
    }
    const int32_t row = input->layout.real / n[GROUPS];
    weight->kind = kind == CONV_PACKED ? PD_WEIGHT_PACKED : PD_WEIGHT_MATRIX;
    weight->taps = n[KERNEL_DOWN] * n[KERNEL_ACROSS];
    weight->in = kind == CONV_PACKED ? input->layout : pd_plain_map(row);
    weight->out = kind == CONV_PACKED ? node->layout : pd_plain_map(n[OUT]);
    weight->rows = (uint64_t)weight->out.real;
    weight->columns = (uint64_t)weight->taps * (uint64_t)row;
    weight->convolution = node->layer;
    weight->transposed = kind == CONV_DEPTHWISE;
    if (kind == CONV_DEPTHWISE) weight->in = pd_exact_map(1);
}

static void place_conv(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    const pd_node *input = pd_input(graph, node, 0);
    const int32_t *n = node->integers;
    const int32_t in_channels = pd_channels(input);
    const bool own_padding = pads_itself(node, in_channels);
    pd_axes padded = padded_axes(node, input);
    node->scratch_count = 0;
    if (kind_of(node, in_channels) == CONV_PACKED) {
        const pd_conv_shape shape = {.in_channels = input->layout.stored,
                                     .out_channels = node->layout.stored,
                                     .in_height = own_padding ? input->axes.length[0] : padded.length[0],
                                     .in_width = own_padding ? input->axes.length[1] : padded.length[1],
                                     .kernel = n[KERNEL_DOWN],
                                     .step = n[STEP_DOWN],
                                     .padding = own_padding ? n[TOP] : 0,
                                     .upsample = own_padding && n[FACTOR] == 2,
                                     .images = own_padding && node->phase == PD_PHASE_IMAGES ? graph->images : 1};
        node->layer = PD_TAKE(arena, conv_layer, 1);
        place_layer(graph, node, arena, &shape, node->layer);
    }
    if (!own_padding)
        node->scratch_count += (uint64_t)padded.length[0] * (uint64_t)padded.length[1] * (uint64_t)pd_round_up_4(in_channels);
}

/* One image, with padding made first or without any. */
static void convolve_one(const pd_execution *e, const pd_node *node, int32_t image)
{
    const pd_node *input = pd_input(e->graph, node, 0);
    const int32_t *n = node->integers;
    const conv_kind kind = kind_of(node, pd_channels(input));
    const pd_array from = pd_array_of(e, input, image), out = pd_array_of(e, node, image);
    pd_array padded = from;
    float *scratch = e->scratch;
    if (!pads_itself(node, pd_channels(input))) {
        padded = (pd_array){scratch, padded_axes(node, input), pd_round_up_4(pd_channels(input))};
        scratch += (size_t)padded.axes.length[0] * (size_t)padded.axes.length[1] * (size_t)padded.stride;
        pd_pad(&from, n[FACTOR], n[TOP], n[LEFT], (pd_padding_kind)n[PADDING_KIND], &padded);
    }
    const pd_window window = {{n[KERNEL_DOWN], n[KERNEL_ACROSS]}, {n[STEP_DOWN], n[STEP_ACROSS]}, {0, 0}};
    if (kind == CONV_PACKED) {
        const pd_view in = {padded.data, 1, padded.axes.length[0], padded.axes.length[1], input->layout.stored, padded.stride};
        const pd_view to = pd_view_of(e, node, image, 1);
        pd_conv_run(node->layer, &in, NULL, &to, scratch);
    } else if (kind == CONV_DEPTHWISE) {
        pd_conv_depthwise(&padded, node->data[0], node->data[1], &window, &out);
    } else {
        pd_conv_plain(&padded, node->data[0], node->data[1], &window, n[GROUPS], &out);
    }
}

static void run_conv(const pd_execution *e, const pd_node *node)
{
    const pd_node *input = pd_input(e->graph, node, 0), *residual = pd_input(e->graph, node, 1);
    const pd_function function = pd_function_of(node, FUNCTION, 0);
    if (kind_of(node, pd_channels(input)) == CONV_PACKED && pads_itself(node, pd_channels(input))) {
        run_layer(e, node, node->layer, function, residual);
        return;
    }
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        convolve_one(e, node, i);
        finish(e, node, function, residual, i);
    }
}

/* ---- transposed convolution ------------------------------------------------------------------ */

enum { T_OUT, T_KERNEL, T_STEP = 3, T_PADDING = 5, T_OUTPUT_PADDING = 7, T_FUNCTION = 9, TRANSPOSE_INTEGERS };
#define TRANSPOSE_BLOCK 32 /* positions of the input whose products are made together */

static pd_status infer_transpose(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    pd_node *node = c->node;
    const int32_t *n = node->integers;
    int32_t side[2];
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(check_layer_channels(c, pd_channels(input), n[T_OUT]));
    PD_TRY(check_window(c, T_KERNEL, T_STEP));
    for (int32_t i = 0; i < 2; i++) {
        PD_TRY(pd_check_integer(c, T_PADDING + i, "padding", 0, n[T_KERNEL + i] - 1));
        PD_TRY(pd_check_integer(c, T_OUTPUT_PADDING + i, "output padding", 0, n[T_STEP + i] - 1));
        const int64_t length = ((int64_t)input->axes.length[i] - 1) * n[T_STEP + i] - 2 * n[T_PADDING + i] + n[T_KERNEL + i] +
                               n[T_OUTPUT_PADDING + i];
        side[i] = length < 1 ? 0 : length > PD_MAX_AXIS ? PD_MAX_AXIS + 1 : (int32_t)length;
    }
    node->axes = (pd_axes){3, {side[0], side[1], n[T_OUT]}};
    const uint64_t taps = (uint64_t)n[T_KERNEL] * (uint64_t)n[T_KERNEL + 1];
    c->work = pd_work((uint64_t)pd_positions(input), pd_work(taps * (uint64_t)pd_channels(input), (uint64_t)n[T_OUT]));
    return pd_check_same(c, 1, "residual");
}

static void weight_transpose(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    const pd_node *input = pd_input(graph, node, 0);
    const int32_t *n = node->integers;
    if (k == 1) {
        pd_weight_vector(weight, node->layout);
        return;
    }
    weight->kind = PD_WEIGHT_MATRIX;
    weight->panels = true;
    weight->taps = 1;
    weight->in = input->layout;
    weight->out = pd_grouped_map(n[T_KERNEL] * n[T_KERNEL + 1], n[T_OUT]);
    weight->rows = (uint64_t)weight->out.real;
    weight->columns = (uint64_t)pd_channels(input);
}

static void place_transpose(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    (void)graph;
    (void)arena;
    const int32_t *n = node->integers;
    node->scratch_count = TRANSPOSE_BLOCK * (uint64_t)(n[T_KERNEL] * n[T_KERNEL + 1]) * (uint64_t)node->layout.stored;
}

/* Adds the products of one position, [kernel][kernel][out], to where they belong. */
static void scatter(const pd_node *node, const pd_array *out, int32_t y, int32_t x, const float *products)
{
    const int32_t *n = node->integers, height = out->axes.length[0], width = out->axes.length[1];
    const size_t stored = (size_t)node->layout.stored;
    for (int32_t i = 0; i < n[T_KERNEL]; i++)
        for (int32_t j = 0; j < n[T_KERNEL + 1]; j++, products += stored) {
            const int32_t row = y * n[T_STEP] - n[T_PADDING] + i, column = x * n[T_STEP + 1] - n[T_PADDING + 1] + j;
            if (row < 0 || column < 0 || row >= height || column >= width) continue;
            float *to = out->data + ((size_t)row * (size_t)width + (size_t)column) * (size_t)out->stride;
            for (size_t c = 0; c < stored; c++) to[c] += products[c];
        }
}

static void transpose_one(const pd_execution *e, const pd_node *node, int32_t image)
{
    const pd_node *input = pd_input(e->graph, node, 0);
    const pd_array in = pd_array_of(e, input, image), out = pd_array_of(e, node, image);
    const int32_t positions = pd_positions(input), width = in.axes.length[1], stored = node->layout.stored;
    const int32_t columns = node->integers[T_KERNEL] * node->integers[T_KERNEL + 1] * stored;
    for (int32_t i = 0; i < pd_positions(node); i++) {
        float *to = out.data + (size_t)i * (size_t)out.stride;
        if (node->data[1]) memcpy(to, node->data[1], (size_t)stored * sizeof(float));
        else memset(to, 0, (size_t)stored * sizeof(float));
    }
    for (int32_t first = 0; first < positions; first += TRANSPOSE_BLOCK) {
        const int32_t count = positions - first < TRANSPOSE_BLOCK ? positions - first : TRANSPOSE_BLOCK;
        const pd_windows rows = {.data = in.data + (size_t)first * (size_t)in.stride,
                                 .width = count,
                                 .height = 1,
                                 .step = (size_t)in.stride,
                                 .layout = {.taps = 1, .run = input->layout.stored}};
        pd_product(&rows, count, node->data[0], PD_PANEL * (size_t)input->layout.stored, columns,
                   &(pd_product_target){.out = e->scratch, .out_stride = (size_t)columns});
        for (int32_t i = 0; i < count; i++)
            scatter(node, &out, (first + i) / width, (first + i) % width, e->scratch + (size_t)i * (size_t)columns);
    }
}

static void run_transpose(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        transpose_one(e, node, i);
        finish(e, node, pd_function_of(node, T_FUNCTION, 0), pd_input(e->graph, node, 1), i);
    }
}

/* ---- products of activations ----------------------------------------------------------------- */

/* Rows and columns of an operand, the other way round if transposed. */
static void matrix_sides(const pd_node *operand, bool transposed, int32_t *rows, int32_t *columns)
{
    const int32_t *last = operand->axes.length + operand->axes.rank - 2;
    *rows = last[transposed ? 1 : 0];
    *columns = last[transposed ? 0 : 1];
}

static pd_status infer_matmul(pd_inference *c)
{
    const pd_node *a = pd_operand(c, 0), *b = pd_operand(c, 1);
    int32_t rows, depth, depth_of_b, columns;
    PD_TRY(pd_check_rank(c, 0, 2, PD_MAX_RANK));
    PD_TRY(pd_check_rank(c, 1, 2, PD_MAX_RANK));
    PD_TRY(pd_check_integer(c, 0, "transpose a", 0, 1));
    PD_TRY(pd_check_integer(c, 1, "transpose b", 0, 1));
    matrix_sides(a, c->node->integers[0], &rows, &depth);
    matrix_sides(b, c->node->integers[1], &depth_of_b, &columns);
    if (depth != depth_of_b) return PD_REFUSE(c, "%d columns times %d rows", (int64_t)depth, (int64_t)depth_of_b);
    pd_axes leading_a = a->axes, leading_b = b->axes;
    for (int32_t i = 1; i <= 2; i++) leading_a.length[leading_a.rank - i] = leading_b.length[leading_b.rank - i] = 1;
    PD_TRY(pd_broadcast(c, &leading_a, &leading_b, &c->node->axes));
    c->node->axes.length[c->node->axes.rank - 2] = rows;
    c->node->axes.length[c->node->axes.rank - 1] = columns;
    uint64_t leading = 1;
    for (int32_t i = 0; i < c->node->axes.rank - 1; i++) leading = pd_work(leading, (uint64_t)c->node->axes.length[i]);
    c->work = pd_work(leading, pd_work((uint64_t)depth, (uint64_t)columns));
    if (pd_work((uint64_t)depth, (uint64_t)pd_round_up_4(columns)) > PD_MAX_VALUE_ELEMENTS)
        return PD_REFUSE_AS(c, PD_TOO_BIG, "a matrix of %d x %d", (int64_t)depth, (int64_t)columns);
    return PD_OK;
}

static void place_matmul(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    int32_t depth, columns;
    (void)arena;
    matrix_sides(pd_input(graph, node, 1), node->integers[1], &depth, &columns);
    node->scratch_count = pd_matmul_scratch(depth, columns);
}

static void matmul_one(const pd_execution *e, const pd_node *node, int32_t image)
{
    const pd_node *a = pd_input(e->graph, node, 0), *b = pd_input(e->graph, node, 1);
    const bool transpose_a = node->integers[0], transpose_b = node->integers[1];
    const pd_array left = pd_array_of(e, a, image), right = pd_array_of(e, b, image), out = pd_array_of(e, node, image);
    int32_t rows, depth, columns;
    matrix_sides(a, transpose_a, &rows, &depth);
    matrix_sides(b, transpose_b, &depth, &columns);
    /* Steps along the leading axes, of both operands as seen by the result. */
    int64_t a_steps[PD_MAX_RANK], b_steps[PD_MAX_RANK];
    pd_array_steps(&left, &node->axes, a_steps);
    pd_array_steps(&right, &node->axes, b_steps);
    const int32_t leading = node->axes.rank - 2;
    int64_t count = 1;
    for (int32_t i = 0; i < leading; i++) count *= node->axes.length[i];
    const size_t a_row = (size_t)left.stride, b_row = (size_t)right.stride;
    for (int64_t index = 0; index < count; index++) {
        int64_t rest = index, a_offset = 0, b_offset = 0;
        for (int32_t i = leading - 1; i >= 0; i--) {
            a_offset += rest % node->axes.length[i] * a_steps[i];
            b_offset += rest % node->axes.length[i] * b_steps[i];
            rest /= node->axes.length[i];
        }
        const pd_matrix x = {left.data + a_offset, transpose_a ? 1 : a_row, transpose_a ? a_row : 1};
        const pd_matrix y = {right.data + b_offset, transpose_b ? 1 : b_row, transpose_b ? b_row : 1};
        pd_matmul(&x, &y, rows, depth, columns, node->reals[0], out.data + (size_t)index * (size_t)rows * (size_t)out.stride,
                  (size_t)out.stride, e->scratch);
    }
}

static void run_matmul(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) matmul_one(e, node, i);
}

/* clang-format off */
const pd_operation pd_product_operations[] = {
    {.name = "linear", .inputs = {1, 2}, .tensors = {1, 2}, .integers = {2, 2}, .function_at = 2, .infer = infer_linear,
     .weight = weight_linear, .place = place_linear, .run = run_linear},
    {.name = "conv", .inputs = {1, 2}, .tensors = {1, 2}, .integers = {CONV_INTEGERS, CONV_INTEGERS}, .function_at = FUNCTION + 1,
     .infer = infer_conv, .weight = weight_conv, .place = place_conv, .run = run_conv},
    {.name = "conv_transpose", .inputs = {1, 2}, .tensors = {1, 2}, .integers = {TRANSPOSE_INTEGERS, TRANSPOSE_INTEGERS},
     .function_at = T_FUNCTION + 1, .infer = infer_transpose, .weight = weight_transpose, .place = place_transpose,
     .run = run_transpose},
    {.name = "matmul", .inputs = {2, 2}, .integers = {2, 2}, .reals = {1, 1}, .infer = infer_matmul, .place = place_matmul,
     .run = run_matmul},
    {0},
};
/* clang-format on */
