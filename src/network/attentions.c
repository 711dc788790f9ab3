/* Attention, full and linear, and softmax. */
#include "elementary.h"
#include "operations.h"

/* ---- of three inputs ---------------------------------------------------------------------- */

enum { Q, K, V, MASK };

/* The mask broadcasts to [..., heads, queries, keys]. */
static pd_axes score_axes(const pd_node *q, const pd_node *k, int32_t heads)
{
    pd_axes axes = q->axes;
    const int32_t rank = axes.rank;
    axes.rank = rank + 1;
    axes.length[rank - 2] = heads;
    axes.length[rank - 1] = q->axes.length[rank - 2];
    axes.length[rank] = k->axes.length[rank - 2];
    return axes;
}

static pd_status infer_heads(pd_inference *c)
{
    const pd_node *q = pd_operand(c, Q), *k = pd_operand(c, K), *v = pd_operand(c, V), *mask = pd_operand(c, MASK);
    const int32_t heads = c->node->integers[0], rank = q->axes.rank;
    PD_TRY(pd_check_rank(c, Q, 2, PD_MAX_RANK - 1));
    if (k->axes.rank != rank || v->axes.rank != rank) return PD_REFUSE(c, "q, k and v have not all %d axes", (int64_t)rank);
    for (int32_t i = 0; i < rank - 1; i++)
        if (k->axes.length[i] != v->axes.length[i] || (i < rank - 2 && k->axes.length[i] != q->axes.length[i]))
            return PD_REFUSE(c, "q, k and v do not agree in axis %d", (int64_t)i);
    if (heads < 1 || pd_channels(q) % heads || pd_channels(v) % heads || pd_channels(k) != pd_channels(q))
        return PD_REFUSE(c, "%d heads of %d, %d and %d channels", (int64_t)heads, (int64_t)pd_channels(q),
                         (int64_t)pd_channels(k), (int64_t)pd_channels(v));
    if (mask) {
        const pd_axes scores = score_axes(q, k, heads);
        if (!pd_broadcasts_to(&mask->axes, &scores)) return PD_REFUSE(c, "the mask does not fit %d heads", (int64_t)heads);
    }
    c->node->axes = q->axes;
    c->node->axes.length[rank - 1] = pd_channels(v);
    return PD_OK;
}

static pd_status infer_attention(pd_inference *c)
{
    PD_TRY(infer_heads(c));
    const pd_node *k = pd_operand(c, K);
    const uint64_t width = (uint64_t)pd_channels(k) + (uint64_t)pd_channels(c->node) + 8 * (uint64_t)c->node->integers[0];
    c->work = pd_work((uint64_t)pd_positions(c->node), pd_work((uint64_t)k->axes.length[k->axes.rank - 2], width));
    return PD_OK;
}

static pd_status infer_linear_attention(pd_inference *c)
{
    PD_TRY(infer_heads(c));
    PD_TRY(pd_check_integer(c, 1, "softmax", 0, 1));
    const pd_node *k = pd_operand(c, K);
    const uint64_t positions = (uint64_t)pd_positions(c->node) + (uint64_t)pd_positions(k);
    c->work = pd_work(positions, pd_work((uint64_t)pd_channels(k), (uint64_t)(pd_channels(c->node) / c->node->integers[0])));
    return PD_OK;
}

static void place_attention(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    const pd_node *q = pd_input(graph, node, Q), *k = pd_input(graph, node, K), *v = pd_input(graph, node, V);
    const int32_t heads = node->integers[0], keys = k->axes.length[k->axes.rank - 2];
    (void)arena;
    const int32_t size = pd_channels(q) / heads, value_size = pd_channels(v) / heads;
    node->scratch_count = node->integer_count == 1 ? pd_attend_scratch(keys, size, value_size)
                                                   : pd_linear_attend_scratch(keys, size, value_size);
}

static void attend_image(const pd_execution *e, const pd_node *node, int32_t image)
{
    const pd_node *q = pd_input(e->graph, node, Q), *k = pd_input(e->graph, node, K), *v = pd_input(e->graph, node, V);
    const pd_node *mask = pd_input(e->graph, node, MASK);
    const int32_t heads = node->integers[0], rank = q->axes.rank;
    const int32_t size = pd_channels(q) / heads, value_size = pd_channels(v) / heads;
    const size_t queries = (size_t)q->axes.length[rank - 2], keys = (size_t)k->axes.length[rank - 2];
    const int32_t problems = pd_positions(q) / (int32_t)queries;
    const float *q_data = pd_value(e, q, image), *k_data = pd_value(e, k, image), *v_data = pd_value(e, v, image);
    float *out = pd_value(e, node, image);
    const pd_axes scores = score_axes(q, k, heads);
    int64_t mask_steps[PD_MAX_RANK] = {0};
    pd_array mask_array = {0};
    if (mask) {
        mask_array = pd_array_of(e, mask, image);
        pd_array_steps(&mask_array, &scores, mask_steps);
    }
    for (int32_t problem = 0; problem < problems; problem++) {
        int64_t rest = problem, mask_offset = 0;
        for (int32_t i = rank - 3; i >= 0; i--) {
            mask_offset += rest % q->axes.length[i] * mask_steps[i];
            rest /= q->axes.length[i];
        }
        for (int32_t head = 0; head < heads; head++) {
            const pd_head task = {.q = q_data + (size_t)problem * queries * (size_t)q->stride + head * size,
                                  .k = k_data + (size_t)problem * keys * (size_t)k->stride + head * size,
                                  .v = v_data + (size_t)problem * keys * (size_t)v->stride + head * value_size,
                                  .mask = mask ? mask_array.data + mask_offset + head * mask_steps[rank - 2] : NULL,
                                  .mask_row = mask_steps[rank - 1],
                                  .mask_column = mask_steps[rank],
                                  .q_stride = (size_t)q->stride,
                                  .k_stride = (size_t)k->stride,
                                  .v_stride = (size_t)v->stride,
                                  .queries = (int32_t)queries,
                                  .keys = (int32_t)keys,
                                  .size = size,
                                  .value_size = value_size,
                                  .factor = node->reals[0],
                                  .out = out + (size_t)problem * queries * (size_t)node->stride + head * value_size,
                                  .out_stride = (size_t)node->stride};
            if (node->integer_count == 1) pd_attend(&task, e->scratch);
            else pd_linear_attend(&task, node->integers[1], e->scratch);
        }
    }
    const pd_array array = pd_array_of(e, node, image);
    pd_clear_padding(&array);
}

static void run_attention(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) attend_image(e, node, i);
}

/* ---- a layer of linear attention ------------------------------------------------------------- */

enum { NORM_GAIN, TO_QKV, TO_OUT, OUT_BIAS, OUT_GAIN };

static pd_status infer_block(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    c->node->axes = input->axes;
    PD_TRY(pd_check_integer(c, 0, "heads", 1, 1024));
    PD_TRY(pd_check_integer(c, 1, "size of a head", 8, 1024));
    if (c->node->integers[1] % 8 || (int64_t)c->node->integers[0] * c->node->integers[1] > 4096)
        return PD_REFUSE(c, "%d heads of %d: not a multiple of 8, or more than 4096", (int64_t)c->node->integers[0],
                         (int64_t)c->node->integers[1]);
    if (pd_channels(input) > 16384) return PD_REFUSE_AS(c, PD_TOO_BIG, "%d channels", (int64_t)pd_channels(input));
    if ((uint64_t)pd_positions(input) * (uint64_t)c->node->integers[1] > PD_MAX_VALUE_ELEMENTS) /* keys of a head */
        return PD_REFUSE_AS(c, PD_TOO_BIG, "%d positions with heads of %d", (int64_t)pd_positions(input),
                            (int64_t)c->node->integers[1]);
    const uint64_t inner = (uint64_t)c->node->integers[0] * (uint64_t)c->node->integers[1];
    const uint64_t row = inner * (4 * (uint64_t)pd_channels(input) + 2 * (uint64_t)c->node->integers[1]);
    c->work = pd_work((uint64_t)pd_positions(input), row);
    return PD_OK;
}

static void weight_block(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    (void)graph;
    const int32_t heads = node->integers[0], size = node->integers[1];
    if (k != TO_QKV && k != TO_OUT) {
        pd_weight_vector(weight, node->layout);
        if (k != OUT_BIAS && (node->flags & PD_GAIN_TIMES_ROOT)) weight->factor = pd_sqrtf((float)node->layout.real);
        return;
    }
    const pd_linear_attention *layer = node->layer;
    weight->kind = PD_WEIGHT_PACKED;
    weight->taps = 1;
    weight->in = k == TO_QKV ? node->layout : pd_grouped_map(heads, size);
    weight->out = k == TO_QKV ? pd_grouped_map(3 * heads, size) : node->layout;
    weight->rows = (uint64_t)weight->out.real;
    weight->columns = (uint64_t)weight->in.real;
    weight->convolution = !layer ? NULL : k == TO_QKV ? &layer->to_qkv : &layer->to_out;
}

static void place_block(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    const bool map = node->axes.rank == 3;
    pd_linear_attention plan, *layer = PD_TAKE(arena, pd_linear_attention, 1);
    (void)graph;
    pd_linear_attention_plan(&plan, map ? node->axes.length[0] : 1, map ? node->axes.length[1] : pd_positions(node),
                             node->layout.stored, node->integers[0], node->integers[1]);
    node->data[TO_QKV] = plan.to_qkv.packed = PD_TAKE(arena, float, plan.to_qkv.packed_count);
    node->data[TO_OUT] = plan.to_out.packed = PD_TAKE(arena, float, plan.to_out.packed_count);
    plan.to_out.bias = node->data[OUT_BIAS];
    plan.norm_gain = node->data[NORM_GAIN];
    plan.out_gain = node->data[OUT_GAIN];
    node->scratch_count = plan.scratch_count;
    node->layer = layer;
    if (layer) *layer = plan;
}

static void run_block(const pd_execution *e, const pd_node *node)
{
    const pd_node *input = pd_input(e->graph, node, 0);
    const int32_t images = pd_images_of(e, node), each = pd_is_batched(e, input) && pd_is_batched(e, node) ? images : 1;
    for (int32_t i = 0; i < images; i += each) {
        const pd_view in = pd_view_of(e, input, i, each), out = pd_view_of(e, node, i, each);
        pd_linear_attention_run(node->layer, &in, &out, e->scratch);
    }
}

/* ---- softmax ------------------------------------------------------------------------------------ */

static pd_status infer_softmax(pd_inference *c)
{
    c->node->axes = pd_operand(c, 0)->axes;
    c->work = pd_work(8 * (uint64_t)pd_positions(c->node), (uint64_t)pd_channels(c->node));
    return PD_OK;
}

static void run_softmax(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_array in = pd_array_of(e, pd_input(e->graph, node, 0), i), out = pd_array_of(e, node, i);
        pd_softmax(&in, &out);
    }
}

/* ---- of format 1: q, k and v together, each head by head, with heads rounded up to a multiple of 4 channels ---------- */

static pd_status infer_packed(pd_inference *c)
{
    const pd_node *input = pd_operand(c, 0);
    c->node->axes = input->axes;
    c->node->axes.length[2] /= 3;
    c->work = pd_work((uint64_t)pd_positions(input) * (uint64_t)pd_positions(input), 2 * (uint64_t)pd_channels(c->node));
    return PD_OK;
}

static void place_packed(pd_graph *graph, pd_node *node, pd_arena *arena)
{
    (void)graph;
    (void)arena;
    node->scratch_count = pd_attention_scratch_count(node->axes.length[0], node->axes.length[1], node->integers[0],
                                                     node->integers[1]);
}

static void run_packed(const pd_execution *e, const pd_node *node)
{
    const int32_t images = pd_images_of(e, node);
    const pd_view in = pd_view_of(e, pd_input(e->graph, node, 0), 0, images), out = pd_view_of(e, node, 0, images);
    pd_attention(&in, node->integers[0], node->integers[1], &out, e->scratch);
}

const pd_operation pd_attention_of_unet = {
    .name = "attention", .inputs = {1, 1}, .integers = {2, 2}, .infer = infer_packed, .place = place_packed, .run = run_packed};

/* clang-format off */
const pd_operation pd_attention_operations[] = {
    {.name = "attention", .inputs = {3, 4}, .integers = {1, 1}, .reals = {1, 1}, .infer = infer_attention, .place = place_attention,
     .run = run_attention},
    {.name = "linear_attention", .inputs = {3, 3}, .integers = {2, 2}, .reals = {1, 1}, .infer = infer_linear_attention,
     .place = place_attention, .run = run_attention},
    {.name = "linear_attention_block", .inputs = {1, 1}, .tensors = {5, 5}, .integers = {2, 2}, .infer = infer_block,
     .weight = weight_block, .place = place_block, .run = run_block},
    {.name = "softmax", .inputs = {1, 1}, .in_place = true, .infer = infer_softmax, .run = run_softmax},
    {0},
};
/* clang-format on */
