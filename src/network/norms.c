/* Norms, with what follows them. */
#include "operations.h"

#include "elementary.h"

/* Inputs and tensors of group, layer and RMS norms. */
enum { A, SCALE, SHIFT, RESIDUAL, GAIN = 0, BIAS };

static pd_status infer_norm(pd_inference *c)
{
    c->node->axes = pd_operand(c, A)->axes;
    c->node->layout = pd_operand(c, A)->layout;
    c->work = pd_work(8 * (uint64_t)pd_positions(c->node), (uint64_t)pd_channels(c->node));
    PD_TRY(pd_check_vector(c, SCALE, "scale"));
    PD_TRY(pd_check_vector(c, SHIFT, "shift"));
    if (!(c->node->reals[0] >= 0.0f)) return PD_REFUSE(c, "eps is %g", (double)c->node->reals[0]);
    return pd_check_same(c, RESIDUAL, "residual");
}

static pd_status infer_group_norm(pd_inference *c)
{
    const int32_t groups = c->node->integers[0], channels = pd_channels(pd_operand(c, A));
    if (groups < 1 || channels % groups) return PD_REFUSE(c, "%d groups of %d channels", (int64_t)groups, (int64_t)channels);
    return infer_norm(c);
}

static pd_status infer_rms_norm(pd_inference *c)
{
    PD_TRY(pd_check_integer(c, 0, "kind", 0, PD_RMS_KINDS - 1));
    return infer_norm(c);
}

static void weight_norm(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    (void)graph;
    pd_weight_vector(weight, node->layout);
    if (k == GAIN && (node->flags & PD_GAIN_TIMES_ROOT)) weight->factor = pd_sqrtf((float)node->layout.real);
}

static void place_group_norm(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    (void)graph;
    (void)arena;
    node->scratch_count = 2 * (uint64_t)node->layout.stored;
}

static pd_norm_tail tail_of(const pd_execution *e, const pd_node *node, int32_t image)
{
    const pd_node *scale = pd_input(e->graph, node, SCALE), *shift = pd_input(e->graph, node, SHIFT);
    return (pd_norm_tail){node->data[GAIN], node->data[BIAS], scale ? pd_value(e, scale, image) : NULL,
                          shift ? pd_value(e, shift, image) : NULL};
}

static void finish_norm(const pd_execution *e, const pd_node *node, pd_function function, int32_t image)
{
    const pd_node *residual = pd_input(e->graph, node, RESIDUAL);
    const pd_array out = pd_array_of(e, node, image);
    if (residual) {
        const pd_array addend = pd_array_of(e, residual, image);
        pd_apply(function, &out, &addend, &out);
    } else if (function.kind != PD_IDENTITY) {
        pd_apply(function, &out, NULL, &out);
    }
}

static void run_group_norm(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, A), i), out = pd_array_of(e, node, i);
        const pd_norm_tail tail = tail_of(e, node, i);
        pd_group_norm(&in, node->integers[0], node->reals[0], &tail, &out, e->scratch);
        finish_norm(e, node, pd_function_of(node, 1, 1), i);
    }
}

static void run_layer_norm(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, A), i), out = pd_array_of(e, node, i);
        const pd_norm_tail tail = tail_of(e, node, i);
        pd_layer_norm(&in, node->reals[0], &tail, &out);
        finish_norm(e, node, pd_function_of(node, 0, 1), i);
    }
}

/* pd_rms_norm does all of it in one pass. */
static bool is_fused(const pd_execution *e, const pd_node *node)
{
    const bool scale = pd_input(e->graph, node, SCALE), shift = pd_input(e->graph, node, SHIFT);
    const int32_t function = node->integers[1];
    return node->integers[0] == PD_RMS_OF_NORM && node->reals[0] == 1e-12f && node->data[GAIN] && !node->data[BIAS] &&
           scale == shift && (function == PD_IDENTITY || function == PD_SILU);
}

static void run_fused(const pd_execution *e, const pd_node *node, int32_t first, int32_t images)
{
    const pd_node *input = pd_input(e->graph, node, A), *residual = pd_input(e->graph, node, RESIDUAL);
    const pd_node *scale = pd_input(e->graph, node, SCALE), *shift = pd_input(e->graph, node, SHIFT);
    const float *scales[PD_MAX_PICTURES], *shifts[PD_MAX_PICTURES];
    for (int32_t i = 0; scale && i < images; i++) {
        scales[i] = pd_value(e, scale, first + i);
        shifts[i] = pd_value(e, shift, first + i);
    }
    const pd_view in = pd_view_of(e, input, first, images), out = pd_view_of(e, node, first, images);
    const pd_view addend = residual ? pd_view_of(e, residual, first, images) : out;
    pd_rms_norm(&in, node->data[GAIN], scale ? scales : NULL, scale ? shifts : NULL, node->integers[1] == PD_SILU,
                residual ? &addend : NULL, &out);
}

static void run_rms_norm(const pd_execution *e, const pd_node *node)
{
    const pd_node *input = pd_input(e->graph, node, A), *residual = pd_input(e->graph, node, RESIDUAL);
    const int32_t images = pd_images_of(e, node);
    const bool together = pd_is_batched(e, input) && pd_is_batched(e, node) && (!residual || pd_is_batched(e, residual));
    if (is_fused(e, node)) {
        for (int32_t i = 0, each = together ? images : 1; i < images; i += each) run_fused(e, node, i, each);
        return;
    }
    for (int32_t i = 0; i < images; i++) {
        const pd_array in = pd_array_of(e, input, i), out = pd_array_of(e, node, i);
        const pd_norm_tail tail = tail_of(e, node, i);
        pd_rms_norm_of((pd_rms_kind)node->integers[0], &in, node->reals[0], &tail, &out);
        finish_norm(e, node, pd_function_of(node, 1, 1), i);
    }
}

/* ---- batch norm with its running statistics --------------------------------------------------- */

static pd_status infer_affine(pd_inference *c)
{
    c->node->axes = pd_operand(c, 0)->axes;
    c->node->layout = pd_operand(c, 0)->layout;
    return pd_check_same(c, 1, "residual");
}

static void run_affine(const pd_execution *e, const pd_node *node)
{
    const pd_node *residual = pd_input(e->graph, node, 1);
    const pd_function function = pd_function_of(node, 0, 0);
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_affine(&in, node->data[GAIN], node->data[BIAS], &out);
        if (residual) {
            const pd_array addend = pd_array_of(e, residual, i);
            pd_apply(function, &out, &addend, &out);
        } else if (function.kind != PD_IDENTITY) {
            pd_apply(function, &out, NULL, &out);
        }
    }
}

/* clang-format off */
const pd_operation pd_norm_operations[] = {
    {.name = "group_norm", .inputs = {1, 4}, .tensors = {0, 2}, .integers = {2, 2}, .reals = {1, 1}, .function_at = 2, .in_place = true,
     .infer = infer_group_norm, .weight = weight_norm, .place = place_group_norm, .run = run_group_norm},
    {.name = "layer_norm", .inputs = {1, 4}, .tensors = {0, 2}, .integers = {1, 1}, .reals = {1, 1}, .function_at = 1, .in_place = true,
     .infer = infer_norm, .weight = weight_norm, .run = run_layer_norm},
    {.name = "rms_norm", .inputs = {1, 4}, .tensors = {0, 2}, .integers = {2, 2}, .reals = {1, 1}, .function_at = 2, .in_place = true,
     .infer = infer_rms_norm, .weight = weight_norm, .run = run_rms_norm},
    {.name = "affine", .inputs = {1, 2}, .tensors = {2, 2}, .integers = {1, 1}, .function_at = 1, .in_place = true,
     .infer = infer_affine, .weight = weight_norm, .run = run_affine},
    {0},
};
/* clang-format on */
