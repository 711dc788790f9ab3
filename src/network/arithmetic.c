/* Number by number, and sums along axes. */
#include "operations.h"

#include <string.h>

static pd_status infer_binary(pd_inference *c)
{
    return pd_broadcast(c, &pd_operand(c, 0)->axes, &pd_operand(c, 1)->axes, &c->node->axes);
}

static void run_binary(const pd_execution *e, const pd_node *node, pd_binary_kind kind)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array a = pd_array_of(e, pd_input(e->graph, node, 0), i), b = pd_array_of(e, pd_input(e->graph, node, 1), i);
        const pd_array out = pd_array_of(e, node, i);
        pd_binary(kind, &a, &b, &out);
    }
}

static void run_add(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_ADD); }
static void run_sub(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_SUB); }
static void run_mul(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_MUL); }
static void run_div(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_DIV); }
static void run_min(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_MIN); }
static void run_max(const pd_execution *e, const pd_node *node) { run_binary(e, node, PD_MAX); }

static pd_status infer_gated_add(pd_inference *c)
{
    c->node->axes = pd_operand(c, 0)->axes;
    if (!pd_broadcasts_to(&pd_operand(c, 2)->axes, &c->node->axes))
        return PD_REFUSE(c, "the gate has %d axes and does not fit", (int64_t)pd_operand(c, 2)->axes.rank);
    return pd_check_same(c, 1, "the second input");
}

static void run_gated_add(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array a = pd_array_of(e, pd_input(e->graph, node, 0), i), b = pd_array_of(e, pd_input(e->graph, node, 1), i);
        const pd_array gate = pd_array_of(e, pd_input(e->graph, node, 2), i), out = pd_array_of(e, node, i);
        pd_gated_add(&a, &b, &gate, &out);
    }
}

static pd_status infer_same(pd_inference *c)
{
    c->node->axes = pd_operand(c, 0)->axes;
    c->node->layout = pd_operand(c, 0)->layout.stored % 4 ? (pd_channel_map){0} : pd_operand(c, 0)->layout;
    return PD_OK;
}

static void run_scale(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_scale(&in, node->reals[0], node->reals[1], &out);
    }
}

static pd_status infer_function(pd_inference *c)
{
    PD_TRY(infer_same(c));
    c->work = pd_work(16 * (uint64_t)pd_positions(c->node), (uint64_t)pd_channels(c->node));
    return PD_OK;
}

static void run_function(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_apply(pd_function_of(node, 0, 0), &in, NULL, &out);
    }
}

static pd_status infer_reduce(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    c->node->axes = input->axes;
    PD_TRY(pd_check_integer(c, 0, "kind", 0, PD_REDUCE_KINDS - 1));
    for (int32_t k = 1; k < c->node->integer_count; k++) {
        PD_TRY(pd_check_integer(c, k, "axis", k > 1 ? c->node->integers[k - 1] + 1 : 0, input->axes.rank - 1));
        c->node->axes.length[c->node->integers[k]] = 1;
    }
    c->work = pd_work(8 * (uint64_t)pd_positions(input), (uint64_t)pd_channels(input));
    return PD_OK;
}

static void run_reduce(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_reduce((pd_reduce_kind)node->integers[0], &in, &out);
    }
}

#define BINARY(name_, run_) {.name = (name_), .inputs = {2, 2}, .in_place = true, .infer = infer_binary, .run = (run_)}

const pd_operation pd_arithmetic_operations[] = {
    BINARY("add", run_add),
    BINARY("sub", run_sub),
    BINARY("mul", run_mul),
    BINARY("div", run_div),
    BINARY("min", run_min),
    BINARY("max", run_max),
    {.name = "gated_add", .inputs = {3, 3}, .in_place = true, .infer = infer_gated_add, .run = run_gated_add},
    {.name = "scale", .inputs = {1, 1}, .reals = {2, 2}, .in_place = true, .infer = infer_same, .run = run_scale},
    {.name = "function",
     .inputs = {1, 1},
     .integers = {1, 1},
     .function_at = 1,
     .in_place = true,
     .infer = infer_function,
     .run = run_function},
    {.name = "reduce", .inputs = {1, 1}, .integers = {2, 1 + PD_MAX_RANK}, .infer = infer_reduce, .run = run_reduce},
    {0},
};
