/* What moves numbers: most of it costs nothing where the plan makes a view of it. */
#include "operations.h"

#include <string.h>

static uint64_t elements(const pd_node *node) { return (uint64_t)pd_positions(node) * (uint64_t)pd_channels(node); }

/* ---- reshape ---------------------------------------------------------------------------- */

static pd_status infer_reshape(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    uint64_t count = 1;
    PD_TRY(pd_read_axes(c, 0));
    for (int32_t i = 0; i < c->node->axes.rank; i++) count = pd_work(count, (uint64_t)c->node->axes.length[i]);
    if (count != elements(input)) return PD_REFUSE(c, "%u numbers from %u", count, elements(input));
    if (pd_channels(c->node) == pd_channels(input)) c->node->layout = input->layout;
    return PD_OK;
}

static void run_reshape(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_reshape(&in, &out);
    }
}

/* ---- copies along axes ------------------------------------------------------------------------ */

static pd_status infer_permute(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    const int32_t rank = input->axes.rank;
    uint32_t seen = 0;
    if (c->node->integer_count != rank) return PD_REFUSE(c, "%d axes of %d", (int64_t)c->node->integer_count, (int64_t)rank);
    c->node->axes.rank = rank;
    for (int32_t i = 0; i < rank; i++) {
        PD_TRY(pd_check_integer(c, i, "an axis", 0, rank - 1));
        seen |= 1u << c->node->integers[i];
        c->node->axes.length[i] = input->axes.length[c->node->integers[i]];
    }
    return seen == (1u << rank) - 1 ? PD_OK : PD_REFUSE(c, "an axis of %d is missing", (int64_t)rank);
}

static void run_permute(const pd_execution *e, const pd_node *node)
{
    for (int32_t image = 0; image < pd_images_of(e, node); image++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), image), out = pd_array_of(e, node, image);
        int64_t in_steps[PD_MAX_RANK], steps[PD_MAX_RANK], out_steps[PD_MAX_RANK];
        pd_array_steps(&in, &in.axes, in_steps);
        pd_array_steps(&out, &out.axes, out_steps);
        for (int32_t i = 0; i < node->axes.rank; i++) steps[i] = in_steps[node->integers[i]];
        pd_copy_axes(&node->axes, in.data, steps, out.data, out_steps);
        pd_clear_padding(&out);
    }
}

static pd_status infer_expand(pd_inference *c)
{
    PD_TRY(pd_read_axes(c, 0));
    if (!pd_broadcasts_to(&pd_operand(c, 0)->axes, &c->node->axes))
        return PD_REFUSE(c, "%d axes do not broadcast to it", (int64_t)pd_operand(c, 0)->axes.rank);
    return PD_OK;
}

static void run_expand(const pd_execution *e, const pd_node *node)
{
    for (int32_t image = 0; image < pd_images_of(e, node); image++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), image), out = pd_array_of(e, node, image);
        int64_t in_steps[PD_MAX_RANK], out_steps[PD_MAX_RANK];
        pd_array_steps(&in, &out.axes, in_steps);
        pd_array_steps(&out, &out.axes, out_steps);
        pd_copy_axes(&node->axes, in.data, in_steps, out.data, out_steps);
        pd_clear_padding(&out);
    }
}

static pd_status infer_concat(pd_inference *c)
{
    pd_axes axes = pd_operand(c, 0)->axes;
    const int32_t axis = c->node->integers[0];
    PD_TRY(pd_check_integer(c, 0, "axis", 0, axes.rank - 1));
    for (int32_t k = 1; k < c->node->input_count; k++) {
        const pd_axes *other = &pd_operand(c, k)->axes;
        if (other->rank != axes.rank)
            return PD_REFUSE(c, "input %d has %d axes, not %d", (int64_t)k, (int64_t)other->rank, (int64_t)axes.rank);
        for (int32_t i = 0; i < axes.rank; i++)
            if (i != axis && other->length[i] != axes.length[i])
                return PD_REFUSE(c, "input %d differs in axis %d", (int64_t)k, (int64_t)i);
        axes.length[axis] += other->length[axis];
    }
    c->node->axes = axes;
    return PD_OK;
}

/* What the plan has not placed here is copied. */
static void run_concat(const pd_execution *e, const pd_node *node)
{
    const int32_t axis = node->integers[0], index = (int32_t)(node - e->graph->nodes);
    for (int32_t image = 0; image < pd_images_of(e, node); image++) {
        const pd_array out = pd_array_of(e, node, image);
        int64_t out_steps[PD_MAX_RANK], first = 0;
        /* Of an axis of length 1 in the result, which has one input along it then, the step is not needed. */
        pd_array_steps(&out, &out.axes, out_steps);
        bool copied = false;
        for (int32_t k = 0; k < node->input_count; k++) {
            const pd_node *input = pd_input(e->graph, node, k);
            if (input->parent != index) {
                const pd_array in = pd_array_of(e, input, image);
                int64_t in_steps[PD_MAX_RANK];
                pd_array_steps(&in, &in.axes, in_steps);
                pd_copy_axes(&in.axes, in.data, in_steps, out.data + first * out_steps[axis], out_steps);
                copied = true;
            }
            first += input->axes.length[axis];
        }
        if (copied) pd_clear_padding(&out);
    }
}

static pd_status infer_slice(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    PD_TRY(pd_check_integer(c, 0, "axis", 0, input->axes.rank - 1));
    const int32_t length = input->axes.length[c->node->integers[0]];
    PD_TRY(pd_check_integer(c, 1, "first", 0, length - 1));
    PD_TRY(pd_check_integer(c, 2, "length", 1, length - c->node->integers[1]));
    c->node->axes = input->axes;
    c->node->axes.length[c->node->integers[0]] = c->node->integers[2];
    if (c->node->integers[0] != input->axes.rank - 1) c->node->layout = input->layout;
    return PD_OK;
}

static void run_slice(const pd_execution *e, const pd_node *node)
{
    for (int32_t image = 0; image < pd_images_of(e, node); image++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), image), out = pd_array_of(e, node, image);
        int64_t in_steps[PD_MAX_RANK], out_steps[PD_MAX_RANK];
        pd_array_steps(&in, &in.axes, in_steps);
        pd_array_steps(&out, &out.axes, out_steps);
        pd_copy_axes(&node->axes, in.data + node->integers[1] * in_steps[node->integers[0]], in_steps, out.data, out_steps);
        pd_clear_padding(&out);
    }
}

static pd_status infer_flip(pd_inference *c)
{
    c->node->axes = pd_operand(c, 0)->axes;
    return pd_check_integer(c, 0, "axis", 0, c->node->axes.rank - 1);
}

static void run_flip(const pd_execution *e, const pd_node *node)
{
    const int32_t axis = node->integers[0];
    for (int32_t image = 0; image < pd_images_of(e, node); image++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), image), out = pd_array_of(e, node, image);
        int64_t in_steps[PD_MAX_RANK], out_steps[PD_MAX_RANK];
        pd_array_steps(&in, &in.axes, in_steps);
        pd_array_steps(&out, &out.axes, out_steps);
        const float *last = in.data + (node->axes.length[axis] - 1) * in_steps[axis];
        in_steps[axis] = -in_steps[axis];
        pd_copy_axes(&node->axes, last, in_steps, out.data, out_steps);
        pd_clear_padding(&out);
    }
}

/* ---- maps --------------------------------------------------------------------------------------- */

static pd_status map_axes(pd_inference *c, int64_t height, int64_t width, int64_t channels)
{
    if (height > PD_MAX_AXIS || width > PD_MAX_AXIS || channels > PD_MAX_AXIS)
        return PD_REFUSE_AS(c, PD_TOO_BIG, "a map of %d x %d x %d", height, width, channels);
    c->node->axes = (pd_axes){3, {(int32_t)height, (int32_t)width, (int32_t)channels}};
    return PD_OK;
}

enum { TOP, LEFT, BOTTOM, RIGHT, PADDING_KIND };

static pd_status infer_pad(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    const int32_t *n = c->node->integers;
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(pd_check_integer(c, PADDING_KIND, "kind of padding", 0, PD_PADDING_KINDS - 1));
    const int32_t kind = n[PADDING_KIND];
    for (int32_t k = TOP; k <= RIGHT; k++) {
        const int32_t length = input->axes.length[k % 2];
        const int32_t most = kind == PD_PAD_REFLECT ? length - 1 : kind == PD_PAD_CIRCULAR ? length : PD_MAX_AXIS;
        PD_TRY(pd_check_integer(c, k, "padding", 0, most));
    }
    return map_axes(c, (int64_t)input->axes.length[0] + n[TOP] + n[BOTTOM], (int64_t)input->axes.length[1] + n[LEFT] + n[RIGHT],
                    pd_channels(input));
}

static void run_pad(const pd_execution *e, const pd_node *node)
{
    const int32_t *n = node->integers;
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_pad(&in, 1, n[TOP], n[LEFT], (pd_padding_kind)n[PADDING_KIND], &out);
    }
}

static pd_status infer_nearest(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(pd_check_integer(c, 0, "factor down", 1, 64));
    PD_TRY(pd_check_integer(c, 1, "factor across", 1, 64));
    return map_axes(c, (int64_t)input->axes.length[0] * c->node->integers[0],
                    (int64_t)input->axes.length[1] * c->node->integers[1], pd_channels(input));
}

/* A map of [height][y][width][x][channels], where y and x are parts of the positions, or of the channels of the other one. */
static void run_nearest(const pd_execution *e, const pd_node *node)
{
    const int32_t down = node->integers[0], across = node->integers[1];
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        const int64_t width = in.axes.length[1], in_row = width * in.stride, out_row = (int64_t)out.axes.length[1] * out.stride;
        const pd_axes axes = {5, {in.axes.length[0], down, in.axes.length[1], across, in.axes.length[2]}};
        const int64_t in_steps[PD_MAX_RANK] = {in_row, 0, in.stride, 0, 1};
        const int64_t out_steps[PD_MAX_RANK] = {down * out_row, out_row, (int64_t)across * out.stride, out.stride, 1};
        pd_copy_axes(&axes, in.data, in_steps, out.data, out_steps);
        pd_clear_padding(&out);
    }
}

static pd_status infer_shuffle(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(pd_check_integer(c, 0, "factor", 1, 64));
    const int32_t r = c->node->integers[0];
    if (pd_channels(input) % (r * r))
        return PD_REFUSE(c, "%d channels, not a multiple of %d", (int64_t)pd_channels(input), (int64_t)(r * r));
    return map_axes(c, (int64_t)input->axes.length[0] * r, (int64_t)input->axes.length[1] * r, pd_channels(input) / (r * r));
}

static pd_status infer_unshuffle(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(pd_check_integer(c, 0, "factor", 1, 64));
    const int32_t r = c->node->integers[0];
    if (input->axes.length[0] % r || input->axes.length[1] % r)
        return PD_REFUSE(c, "a map of %d x %d is no multiple of %d", (int64_t)input->axes.length[0],
                         (int64_t)input->axes.length[1], (int64_t)r);
    return map_axes(c, input->axes.length[0] / r, input->axes.length[1] / r, (int64_t)pd_channels(input) * r * r);
}

/* [height][y][width][x][channel] of the wide map is [height][width][channel][y][x] of the deep one. */
static void shuffle(const pd_array *wide, const pd_array *deep, int32_t r, bool to_wide)
{
    const pd_axes axes = {5, {deep->axes.length[0], r, deep->axes.length[1], r, wide->axes.length[2]}};
    const int64_t wide_row = (int64_t)wide->axes.length[1] * wide->stride,
                  deep_row = (int64_t)deep->axes.length[1] * deep->stride;
    const int64_t wide_steps[PD_MAX_RANK] = {r * wide_row, wide_row, (int64_t)r * wide->stride, wide->stride, 1};
    const int64_t deep_steps[PD_MAX_RANK] = {deep_row, r, deep->stride, 1, (int64_t)r * r};
    if (to_wide) pd_copy_axes(&axes, deep->data, deep_steps, wide->data, wide_steps);
    else pd_copy_axes(&axes, wide->data, wide_steps, deep->data, deep_steps);
    pd_clear_padding(to_wide ? wide : deep);
}

static void run_shuffle(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        shuffle(&out, &in, node->integers[0], true);
    }
}

static void run_unshuffle(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        shuffle(&in, &out, node->integers[0], false);
    }
}

static pd_status infer_bilinear(pd_inference *c)
{
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    PD_TRY(pd_check_integer(c, 0, "height", 1, PD_MAX_AXIS));
    PD_TRY(pd_check_integer(c, 1, "width", 1, PD_MAX_AXIS));
    PD_TRY(pd_check_integer(c, 2, "align corners", 0, 1));
    return map_axes(c, c->node->integers[0], c->node->integers[1], pd_channels(pd_operand(c, 0)));
}

static void run_bilinear(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_bilinear(&in, node->integers[2], &out);
    }
}

/* Padding of at most half a window, as torch has it: no window lies in the padding alone. */
static pd_status infer_pool(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    const int32_t *n = c->node->integers;
    int64_t side[2];
    PD_TRY(pd_check_rank(c, 0, 3, 3));
    for (int32_t i = 0; i < 2; i++) {
        PD_TRY(pd_check_integer(c, i, "a side of the window", 1, PD_MAX_KERNEL));
        PD_TRY(pd_check_integer(c, 2 + i, "stride", 1, PD_MAX_KERNEL));
        PD_TRY(pd_check_integer(c, 4 + i, "padding", 0, n[i] / 2));
        const int32_t padded = input->axes.length[i] + 2 * n[4 + i];
        if (padded < n[i]) return PD_REFUSE(c, "a window of %d over %d", (int64_t)n[i], (int64_t)padded);
        side[i] = (padded - n[i]) / n[2 + i] + 1;
    }
    PD_TRY(map_axes(c, side[0], side[1], pd_channels(input)));
    c->work = pd_work((uint64_t)pd_positions(c->node), pd_work((uint64_t)n[0] * (uint64_t)n[1], (uint64_t)pd_channels(input)));
    return c->node->integer_count > 6 ? pd_check_integer(c, 6, "count the padding", 0, 1) : PD_OK;
}

static void run_pool(const pd_execution *e, const pd_node *node)
{
    const int32_t *n = node->integers;
    const pd_window window = {{n[0], n[1]}, {n[2], n[3]}, {n[4], n[5]}};
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        if (node->integer_count > 6) pd_average_pool(&in, &window, n[6], &out);
        else pd_max_pool(&in, &window, &out);
    }
}

const pd_operation pd_shape_operations[] = {
    {.name = "reshape", .inputs = {1, 1}, .integers = {1, PD_MAX_RANK}, .infer = infer_reshape, .run = run_reshape},
    {.name = "permute", .inputs = {1, 1}, .integers = {1, PD_MAX_RANK}, .infer = infer_permute, .run = run_permute},
    {.name = "expand", .inputs = {1, 1}, .integers = {1, PD_MAX_RANK}, .infer = infer_expand, .run = run_expand},
    {.name = "concat",
     .inputs = {2, PD_MAX_INPUTS},
     .integers = {1, 1},
     .all_inputs = true,
     .infer = infer_concat,
     .run = run_concat},
    {.name = "slice", .inputs = {1, 1}, .integers = {3, 3}, .infer = infer_slice, .run = run_slice},
    {.name = "flip", .inputs = {1, 1}, .integers = {1, 1}, .infer = infer_flip, .run = run_flip},
    {.name = "pad", .inputs = {1, 1}, .integers = {5, 5}, .infer = infer_pad, .run = run_pad},
    {.name = "nearest", .inputs = {1, 1}, .integers = {2, 2}, .infer = infer_nearest, .run = run_nearest},
    {.name = "bilinear", .inputs = {1, 1}, .integers = {3, 3}, .infer = infer_bilinear, .run = run_bilinear},
    {.name = "average_pool", .inputs = {1, 1}, .integers = {7, 7}, .infer = infer_pool, .run = run_pool},
    {.name = "max_pool", .inputs = {1, 1}, .integers = {6, 6}, .infer = infer_pool, .run = run_pool},
    {.name = "pixel_shuffle", .inputs = {1, 1}, .integers = {1, 1}, .infer = infer_shuffle, .run = run_shuffle},
    {.name = "pixel_unshuffle", .inputs = {1, 1}, .integers = {1, 1}, .infer = infer_unshuffle, .run = run_unshuffle},
    {0},
};
