/* What holds for every operation: checks, phases, places, weights. */
#include "graph.h"

#include <assert.h>
#include <string.h>

#include "product.h"

/* ---- channels -------------------------------------------------------------------- */

int32_t pd_stored_channel(const pd_channel_map *map, int32_t channel)
{
    if (map->split && channel >= map->split) return map->split_start + channel - map->split;
    return channel / map->group * map->group_stride + channel % map->group;
}

int32_t pd_run_of_channels(const pd_channel_map *map, int32_t channel)
{
    int32_t end = (channel / map->group + 1) * map->group;
    if (map->split) end = channel < map->split ? map->split : map->real;
    return (end < map->real ? end : map->real) - channel;
}

pd_channel_map pd_plain_map(int32_t channels)
{
    const int32_t stored = pd_round_up_4(channels);
    return (pd_channel_map){channels, stored, channels, stored, 0, 0};
}

pd_channel_map pd_exact_map(int32_t channels) { return (pd_channel_map){channels, channels, channels, channels, 0, 0}; }

pd_channel_map pd_grouped_map(int32_t groups, int32_t size)
{
    const int32_t stride = pd_round_up_4(size);
    return (pd_channel_map){groups * size, groups * stride, size, stride, 0, 0};
}

pd_channel_map pd_concat_map(int32_t first, int32_t second)
{
    const int32_t start = pd_round_up_4(first);
    return (pd_channel_map){first + second, start + pd_round_up_4(second), first, start, first, start};
}

/* ---- checks ------------------------------------------------------------------------- */

static pd_status check_count(const pd_inference *c, const char *what, int32_t count, const uint8_t limits[2])
{
    if (count >= limits[0] && count <= limits[1]) return PD_OK;
    return pd_fail(c->error, PD_CONFIG, PD_NO_OFFSET, "operation %d (%s) has %d %s, not %d to %d", (int64_t)c->index,
                   c->node->operation->name, (int64_t)count, what, (int64_t)limits[0], (int64_t)limits[1]);
}

/* The real of a function comes after the others. */
static pd_status check_function(const pd_inference *c)
{
    const pd_operation *operation = c->node->operation;
    uint8_t reals[2] = {operation->reals[0], operation->reals[1]};
    if (operation->function_at) {
        const int32_t kind = c->node->integers[operation->function_at - 1];
        if (kind < 0 || kind >= PD_FUNCTION_COUNT)
            return pd_fail(c->error, PD_TYPE, PD_NO_OFFSET, "operation %d (%s): no function %d", (int64_t)c->index,
                           operation->name, (int64_t)kind);
        if (pd_function_has_parameter(kind)) {
            reals[0]++;
            reals[1]++;
        }
    }
    PD_TRY(check_count(c, "reals", c->node->real_count, reals));
    for (int32_t i = 0; i < c->node->real_count; i++)
        if (!(c->node->reals[i] - c->node->reals[i] == 0.0f))
            return pd_fail(c->error, PD_NONFINITE, PD_NO_OFFSET, "operation %d (%s): a real is not finite", (int64_t)c->index,
                           operation->name);
    return PD_OK;
}

static pd_status check_operands(const pd_inference *c)
{
    const pd_node *node = c->node;
    const pd_operation *operation = node->operation;
    PD_TRY(check_count(c, "inputs", node->input_count, operation->inputs));
    PD_TRY(check_count(c, "tensors", node->tensor_count, operation->tensors));
    PD_TRY(check_count(c, "integers", node->integer_count, operation->integers));
    for (int32_t k = 0; k < node->input_count; k++) {
        const int32_t least = k < operation->inputs[0] || operation->all_inputs ? 0 : -1;
        if (node->inputs[k] < least || node->inputs[k] >= c->index)
            return pd_fail(c->error, PD_CONFIG, PD_NO_OFFSET, "operation %d (%s): input %d is %d, not within %d and %d",
                           (int64_t)c->index, operation->name, (int64_t)k, (int64_t)node->inputs[k], (int64_t)least,
                           (int64_t)c->index - 1);
    }
    for (int32_t k = 0; k < operation->tensors[0]; k++)
        if (node->tensors[k] < 0)
            return pd_fail(c->error, PD_TENSOR, PD_NO_OFFSET, "operation %d (%s) lacks tensor %d", (int64_t)c->index,
                           operation->name, (int64_t)k);
    return check_function(c);
}

static pd_status check_value(const pd_inference *c)
{
    const pd_node *node = c->node;
    uint64_t elements = (uint64_t)node->layout.stored;
    for (int32_t i = 0; i < node->axes.rank; i++) {
        const int32_t length = node->axes.length[i];
        if (length < 1 || length > PD_MAX_AXIS)
            return pd_fail(c->error, PD_CONFIG, PD_NO_OFFSET, "operation %d (%s): axis %d would be %d long, not 1 to %d",
                           (int64_t)c->index, node->operation->name, (int64_t)i, (int64_t)length, (int64_t)PD_MAX_AXIS);
        if (i + 1 < node->axes.rank) elements *= (uint64_t)length;
        if (elements > PD_MAX_VALUE_ELEMENTS)
            return pd_fail(c->error, PD_TOO_BIG, PD_NO_OFFSET, "operation %d (%s): a value of more than %u numbers",
                           (int64_t)c->index, node->operation->name, PD_MAX_VALUE_ELEMENTS);
    }
    return PD_OK;
}

static pd_status infer_node(pd_graph *graph, int32_t index, pd_error *error)
{
    pd_node *node = &graph->nodes[index];
    pd_inference c = {graph, index, node, error, 0};
    PD_TRY(check_operands(&c));
    if ((index == 0) != (strcmp(node->operation->name, "x") == 0))
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, index ? "operation %d is a second x" : "operation %d is not x",
                       (int64_t)index);
    PD_TRY(node->operation->infer(&c));
    if (!node->layout.real)
        node->layout = pd_plain_map(pd_channels(node) > 0 && pd_channels(node) <= PD_MAX_AXIS ? pd_channels(node) : 1);
    PD_TRY(check_value(&c));
    const uint64_t elements = (uint64_t)pd_positions(node) * (uint64_t)node->layout.stored;
    uint64_t work = c.work > elements ? c.work : elements;
    if (!pd_checked_add(graph->work, work, &work) || work > PD_MAX_WORK)
        return pd_fail(error, PD_TOO_BIG, PD_NO_OFFSET, "operation %d (%s): more than %u multiplications", (int64_t)index,
                       node->operation->name, PD_MAX_WORK);
    graph->work = work;
    for (int32_t k = 0; k < node->input_count; k++) {
        if (node->inputs[k] < 0) continue;
        pd_node *input = &graph->nodes[node->inputs[k]];
        input->last_use = index;
        node->depends |= input->depends;
    }
    const bool both = (node->depends & PD_ON_CLASS) && (node->depends & PD_ON_TIME);
    node->phase = (node->depends & PD_ON_X) || both ? PD_PHASE_IMAGES
                  : node->depends & PD_ON_CLASS     ? PD_PHASE_CLASS
                                                    : PD_PHASE_TIME;
    return PD_OK;
}

static pd_status check_prediction(const pd_graph *graph, pd_error *error)
{
    const int32_t index = graph->count - 1;
    const pd_node *last = &graph->nodes[index];
    const int32_t *length = last->axes.length;
    if (last->axes.rank != 3 || length[0] != graph->height || length[1] != graph->width || length[2] < graph->out_channels)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET,
                       "operation %d (%s), the last one, does not make %d x %d x %d numbers, but %d axes, %d x %d x %d",
                       (int64_t)index, last->operation->name, (int64_t)graph->height, (int64_t)graph->width,
                       (int64_t)graph->out_channels, (int64_t)last->axes.rank, (int64_t)length[0], (int64_t)length[1],
                       (int64_t)length[2]);
    if (!(last->depends & PD_ON_X))
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "operation %d (%s), the last one, does not depend on x", (int64_t)index,
                       last->operation->name);
    return PD_OK;
}

pd_status pd_graph_infer(pd_graph *graph, pd_error *error)
{
    bool has_class = false;
    graph->work = 0;
    graph->has_null = false;
    for (int32_t i = 0; i < graph->count; i++) {
        PD_TRY(infer_node(graph, i, error));
        has_class = has_class || strcmp(graph->nodes[i].operation->name, "class") == 0;
    }
    for (int32_t i = 0; i + 1 < graph->count; i++)
        if (graph->nodes[i].last_use == 0)
            return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "operation %d (%s): nothing reads its value", (int64_t)i,
                           graph->nodes[i].operation->name);
    if (graph->class_count > 0 && !has_class)
        return pd_fail(error, PD_CONFIG, PD_NO_OFFSET, "there are %d classes, but no operation reads them",
                       (int64_t)graph->class_count);
    return check_prediction(graph, error);
}

/* A matrix may be stored as a single row of all its values, which makes whole blocks of them where its rows would not. */
static bool has_shape(const pd_gguf_tensor *tensor, const pd_weight *expected)
{
    if (expected->any_shape) return pd_gguf_elements(tensor) == expected->rows * expected->columns;
    if (tensor->dimensions == 1) return tensor->shape[0] == expected->rows * expected->columns;
    return tensor->dimensions == 2 && expected->kind != PD_WEIGHT_VECTOR && tensor->shape[0] == expected->columns &&
           tensor->shape[1] == expected->rows;
}

pd_status pd_graph_check_tensors(const pd_graph *graph, const pd_gguf *gguf, uint8_t *used, pd_error *error)
{
    memset(used, 0, (size_t)gguf->tensor_count);
    for (int32_t i = 0; i < graph->count; i++) {
        const pd_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->tensor_count; k++) {
            if (!pd_has_tensor(node, k)) continue;
            const pd_gguf_tensor *tensor = &gguf->tensors[node->tensors[k]];
            pd_weight expected = {.factor = 1.0f};
            node->operation->weight(graph, node, k, &expected);
            if (!has_shape(tensor, &expected))
                return pd_fail(error, PD_TENSOR, tensor->offset, "tensor %q is %u x %u (%d dimensions), expected %u x %u",
                               &tensor->name, tensor->shape[1], tensor->shape[0], (int64_t)tensor->dimensions, expected.rows,
                               expected.columns);
            used[node->tensors[k]] = 1;
        }
    }
    for (uint64_t k = 0; k < gguf->tensor_count; k++)
        if (!used[k])
            return pd_fail(error, PD_TENSOR, gguf->tensors[k].offset, "tensor %q does not belong to this network",
                           &gguf->tensors[k].name);
    for (uint64_t k = 0; k < gguf->tensor_count; k++) PD_TRY(pd_gguf_check_finite(&gguf->tensors[k], error));
    return PD_OK;
}

/* ---- places ------------------------------------------------------------------------ */

static bool is(const pd_node *node, const char *name) { return strcmp(node->operation->name, name) == 0; }

static bool same_axes(const pd_node *a, const pd_node *b) { return memcmp(&a->axes, &b->axes, sizeof a->axes) == 0; }

static bool same_layout(const pd_node *a, const pd_node *b) { return memcmp(&a->layout, &b->layout, sizeof a->layout) == 0; }

static bool is_last_axis(const pd_node *node, int32_t axis) { return axis == node->axes.rank - 1; }

/* Inputs of a concatenation of channels that are made for it are written where it begins. */
static void place_in_concatenation(pd_graph *graph, int32_t index)
{
    pd_node *whole = &graph->nodes[index];
    int32_t first = 0;
    if (!is_last_axis(whole, whole->integers[0])) return;
    for (int32_t k = 0; k < whole->input_count; k++) {
        pd_node *part = &graph->nodes[whole->inputs[k]];
        const int32_t channels = pd_channels(part);
        const bool fits = first % 4 == 0 && (channels % 4 == 0 || k + 1 == whole->input_count);
        const bool is_made = !is(part, "reshape") && !is(part, "slice") && !is(part, "constant") && part->layout.stored % 4 == 0;
        if (fits && is_made && part->parent == whole->inputs[k] && part->phase == whole->phase) {
            part->parent = index;
            part->offset = (uint64_t)first;
        }
        first += channels;
    }
}

/* Whether the numbers lie one after the other without gaps between positions. */
static bool is_dense(const pd_graph *graph, const pd_node *node)
{
    const pd_node *root = node;
    while (root->parent != (int32_t)(root - graph->nodes)) {
        const pd_node *parent = &graph->nodes[root->parent];
        if (parent->layout.stored != root->layout.stored && !is(root, "reshape")) return false;
        root = parent;
    }
    return true;
}

static bool reshape_is_view(const pd_graph *graph, const pd_node *node, const pd_node *input)
{
    if (pd_channels(node) == pd_channels(input)) return true;
    const bool whole = pd_channels(node) % 4 == 0 && pd_channels(input) % 4 == 0;
    return whole && input->layout.stored == pd_channels(input) && is_dense(graph, input);
}

/* The offset of a slice in its input; false if it must be copied. */
static bool slice_is_view(const pd_node *node, const pd_node *input, uint64_t *offset)
{
    const int32_t axis = node->integers[0], first = node->integers[1], length = node->integers[2];
    if (is_last_axis(input, axis)) {
        *offset = (uint64_t)first;
        return first % 4 == 0 && (length % 4 == 0 || first + length == pd_channels(input)) && input->layout.stored % 4 == 0;
    }
    for (int32_t i = 0; i < axis; i++)
        if (input->axes.length[i] > 1) return false;
    uint64_t positions = (uint64_t)first;
    for (int32_t i = axis + 1; i + 1 < input->axes.rank; i++) positions *= (uint64_t)input->axes.length[i];
    *offset = positions; /* times the stride, which is not known yet */
    return true;
}

static void place_as_view(pd_graph *graph, int32_t index)
{
    pd_node *node = &graph->nodes[index];
    if (node->parent != index || node->input_count == 0) return;
    pd_node *input = &graph->nodes[node->inputs[0]];
    uint64_t offset = 0;
    if (is(node, "reshape") ? reshape_is_view(graph, node, input) : is(node, "slice") && slice_is_view(node, input, &offset)) {
        node->parent = node->inputs[0];
        node->offset = offset;
        node->aliased = true;
        if (is(node, "reshape") && pd_channels(node) == pd_channels(input)) node->layout = input->layout;
        return;
    }
    /* In place of the first input, if that is read for the last time, and is no part of anything. */
    const bool own = input->parent == node->inputs[0] && input->space != PD_SPACE_FIXED;
    if (node->operation->in_place && own && input->last_use == index && input->first_use == node->inputs[0] &&
        input->phase == node->phase && same_axes(node, input) && same_layout(node, input)) {
        bool again = false; /* as another operand */
        for (int32_t k = 1; k < node->input_count; k++) again = again || node->inputs[k] == node->inputs[0];
        if (!again) node->parent = node->inputs[0];
    }
}

/* Offsets from the root, strides. Parents of parts of concatenations come after them, those of views before. */
static void resolve(pd_graph *graph, int32_t index)
{
    pd_node *node = &graph->nodes[index];
    const pd_node *parent = &graph->nodes[node->parent];
    if (node->parent == index) {
        node->root = index;
        node->stride = node->layout.stored;
        node->image_stride = (uint64_t)pd_positions(node) * (uint64_t)node->stride;
        return;
    }
    node->root = parent->root;
    const bool same_rows = node->parent > index || pd_channels(node) == pd_channels(parent) || is(node, "slice");
    node->stride = same_rows ? parent->stride : node->layout.stored;
    node->image_stride = parent->image_stride;
    if (is(node, "slice") && node->parent < index && !is_last_axis(parent, node->integers[0]))
        node->offset *= (uint64_t)parent->stride;
    node->offset += parent->offset;
}

static void find_parents(pd_graph *graph)
{
    for (int32_t i = 0; i < graph->count; i++) {
        pd_node *node = &graph->nodes[i];
        node->parent = i;
        node->offset = 0;
        node->aliased = is(node, "constant");
        node->first_use = i;
        node->replicated = false;
        node->space = is(node, "constant") ? PD_SPACE_FIXED : PD_SPACE_WORK;
    }
    graph->nodes[graph->count - 1].last_use = graph->count;
    for (int32_t i = 0; i < graph->count; i++)
        if (is(&graph->nodes[i], "concat")) place_in_concatenation(graph, i);
    for (int32_t i = 0; i < graph->count; i++) {
        place_as_view(graph, i);
        const pd_node *node = &graph->nodes[i];
        /* A part keeps its whole from being overwritten in place. */
        if (node->parent != i) graph->nodes[node->parent].first_use = -1;
    }
    for (int32_t i = graph->count - 1; i >= 0; i--)
        if (graph->nodes[i].parent >= i) resolve(graph, i);
    for (int32_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].parent < i) resolve(graph, i);
}

/* Which values are read outside their phase, and by what depends on the class. */
static void find_readers(pd_graph *graph)
{
    for (int32_t i = 0; i < graph->count; i++) {
        const pd_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->input_count; k++) {
            if (node->inputs[k] < 0) continue;
            pd_node *input = &graph->nodes[node->inputs[k]];
            pd_node *root = &graph->nodes[input->root];
            if (input->phase != node->phase && root->space == PD_SPACE_WORK) root->space = PD_SPACE_STATE;
            if (node->depends & PD_ON_CLASS) input->replicated = true;
        }
    }
    graph->nodes[graph->count - 1].replicated = true;
    for (int32_t i = graph->count - 1; i >= 0; i--) {
        const pd_node *node = &graph->nodes[i];
        if (node->aliased && node->replicated && node->input_count) graph->nodes[node->inputs[0]].replicated = true;
    }
    for (int32_t i = 0; i < graph->count; i++) {
        pd_node *node = &graph->nodes[i];
        if (node->phase != PD_PHASE_IMAGES || (node->depends & PD_ON_CLASS)) node->replicated = false;
        pd_node *root = &graph->nodes[node->root];
        if (i == node->root) root->first_use = i;
    }
    for (int32_t i = 0; i < graph->count; i++) {
        const pd_node *node = &graph->nodes[i];
        pd_node *root = &graph->nodes[node->root];
        if (i < root->first_use) root->first_use = i;
        if (node->last_use > root->last_use) root->last_use = node->last_use;
    }
}

static uint64_t floats_of(const pd_graph *graph, const pd_node *root)
{
    const uint64_t count = root->image_stride * (uint64_t)(root->phase == PD_PHASE_IMAGES ? graph->images : 1);
    return (count + 15) & ~(uint64_t)15; /* whole cache lines */
}

/* The largest first, each at the lowest place that is free as long as it is needed. */
static void place_work(pd_graph *graph, pd_phase phase, int32_t *order)
{
    pd_node *nodes = graph->nodes;
    int32_t count = 0;
    for (int32_t i = 0; i < graph->count; i++)
        if (nodes[i].root == i && nodes[i].space == PD_SPACE_WORK && nodes[i].phase == phase) {
            int32_t at = count++;
            for (; at > 0 && floats_of(graph, &nodes[order[at - 1]]) < floats_of(graph, &nodes[i]); at--)
                order[at] = order[at - 1];
            order[at] = i;
        }
    /* `order` is that of sizes up to `next`, of places before it. */
    for (int32_t next = 0; next < count; next++) {
        const int32_t index = order[next];
        pd_node *value = &nodes[index];
        const uint64_t size = floats_of(graph, value);
        uint64_t offset = 0;
        for (int32_t k = 0; k < next; k++) {
            const pd_node *other = &nodes[order[k]];
            if (other->first_use > value->last_use || value->first_use > other->last_use) continue;
            if (other->offset >= offset + size) break;
            const uint64_t end = other->offset + floats_of(graph, other);
            offset = end > offset ? end : offset;
        }
        value->offset = offset;
        if (offset + size > graph->work_count) graph->work_count = offset + size;
        int32_t at = next;
        for (; at > 0 && nodes[order[at - 1]].offset > offset; at--) order[at] = order[at - 1];
        order[at] = index;
    }
}

static void place_state(pd_graph *graph, pd_phase phase)
{
    for (int32_t i = 0; i < graph->count; i++) {
        pd_node *node = &graph->nodes[i];
        if (node->root != i || node->space != PD_SPACE_STATE || node->phase != phase) continue;
        node->offset = graph->state_count[phase];
        graph->state_count[phase] += (node->image_stride + 3) & ~(uint64_t)3;
    }
}

void pd_graph_plan(pd_graph *graph, int32_t *order)
{
    find_parents(graph);
    find_readers(graph);
    graph->work_count = 0;
    for (int phase = 0; phase < PD_PHASES; phase++) {
        graph->state_count[phase] = 0;
        place_work(graph, (pd_phase)phase, order);
        place_state(graph, (pd_phase)phase);
    }
    for (int32_t i = 0; i < graph->count; i++) {
        pd_node *node = &graph->nodes[i];
        if (node->root == i) continue;
        node->space = graph->nodes[node->root].space;
        node->offset += graph->nodes[node->root].offset;
    }
}

uint64_t pd_graph_work_of_image(const pd_graph *graph) { return graph->work_count / (uint64_t)graph->images; }

/* ---- weights ------------------------------------------------------------------------- */

static uint64_t floats_of_weight(const pd_weight *w)
{
    if (w->kind == PD_WEIGHT_VECTOR) return (uint64_t)w->out.stored;
    if (w->kind == PD_WEIGHT_ROWS) return w->rows * (uint64_t)w->in.stored;
    return (uint64_t)w->out.stored * (uint64_t)w->taps * (uint64_t)w->in.stored;
}

void pd_graph_place(pd_graph *graph, pd_arena *arena)
{
    graph->scratch_count = 0;
    for (int32_t i = 0; i < graph->count; i++) {
        pd_node *node = &graph->nodes[i];
        node->scratch_count = 0;
        for (int32_t k = 0; k < node->tensor_count; k++) {
            if (!pd_has_tensor(node, k)) continue;
            pd_weight w = {.factor = 1.0f};
            node->operation->weight(graph, node, k, &w);
            if (w.kind != PD_WEIGHT_PACKED) node->data[k] = PD_TAKE(arena, float, floats_of_weight(&w));
        }
        if (node->operation->place) node->operation->place(graph, node, arena);
        if (node->scratch_count > graph->scratch_count) graph->scratch_count = node->scratch_count;
    }
}

static void copy_channels(const pd_channel_map *map, const float *from, float *to)
{
    for (int32_t c = 0, count; c < map->real; c += count) {
        count = pd_run_of_channels(map, c);
        memcpy(to + pd_stored_channel(map, c), from + c, sizeof(float) * (size_t)count);
    }
}

/* The columns [first_column, first_column + taps * in.real) of every row, moved to
 * stored channels: [out.stored][taps][in.stored]. Returns `spread`, or `rows` if they
 * are like that already. */
static const float *spread_channels(const pd_weight *w, const float *rows, float *spread)
{
    const bool dense = w->columns == (uint64_t)w->taps * (uint64_t)w->in.real;
    if (dense && w->in.real == w->in.stored && w->out.real == w->out.stored) return rows;
    memset(spread, 0, sizeof(float) * (size_t)floats_of_weight(w));
    for (int32_t out = 0; out < w->out.real; out++) {
        const float *row = rows + (uint64_t)out * w->columns + w->first_column;
        float *target = spread + (size_t)pd_stored_channel(&w->out, out) * (size_t)w->taps * (size_t)w->in.stored;
        for (int32_t tap = 0; tap < w->taps; tap++, row += w->in.real, target += w->in.stored) copy_channels(&w->in, row, target);
    }
    return spread;
}

static void pack_weight(const pd_weight *w, const float *values, float *spread, float *target)
{
    if (w->kind == PD_WEIGHT_VECTOR) {
        for (int32_t i = 0; i < w->out.real; i++) {
            const float one = w->one_plus && i < w->out.real / 2 ? 1.0f : 0.0f;
            target[pd_stored_channel(&w->out, i)] = one + values[i] * w->factor;
        }
    } else if (w->kind == PD_WEIGHT_ROWS) {
        for (uint64_t row = 0; row < w->rows; row++)
            copy_channels(&w->in, values + row * w->columns, target + row * (uint64_t)w->in.stored);
    } else if (w->transposed) {
        for (int32_t i = 0; i < w->out.real; i++)
            for (int32_t tap = 0; tap < w->taps; tap++) target[tap * w->out.stored + i] = values[i * w->taps + tap];
    } else {
        const float *rows = spread_channels(w, values, spread);
        if (w->kind == PD_WEIGHT_PACKED) pd_conv_pack(w->convolution, rows, target);
        else if (w->panels) pd_pack_panels(rows, w->out.stored, (size_t)w->taps * (size_t)w->in.stored, target);
        else memcpy(target, rows, sizeof(float) * (size_t)floats_of_weight(w));
    }
}

/* Calls for each tensor of each operation; values: NULL to find the largest. */
static void each_weight(const pd_graph *graph, const pd_gguf *gguf, float *values, float *spread, uint64_t *largest,
                        uint64_t *largest_spread)
{
    for (int32_t i = 0; i < graph->count; i++) {
        const pd_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->tensor_count; k++) {
            if (!pd_has_tensor(node, k)) continue;
            pd_weight w = {.factor = 1.0f};
            node->operation->weight(graph, node, k, &w);
            const uint64_t count = w.rows * w.columns,
                           spread_count = w.kind == PD_WEIGHT_PACKED || w.kind == PD_WEIGHT_MATRIX ? floats_of_weight(&w) : 0;
            if (count > *largest) *largest = count;
            if (spread_count > *largest_spread) *largest_spread = spread_count;
            if (!values) continue;
            pd_gguf_dequantize(&gguf->tensors[node->tensors[k]], 0, count, values);
            pack_weight(&w, values, spread, (float *)(uintptr_t)node->data[k]);
        }
    }
}

pd_status pd_graph_pack(const pd_graph *graph, const pd_gguf *gguf, pd_error *error)
{
    uint64_t largest = 0, largest_spread = 0;
    each_weight(graph, gguf, NULL, NULL, &largest, &largest_spread);
    if (!largest) return PD_OK;
    float *values = pd_allocate((largest + largest_spread) * sizeof(float));
    if (!values) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory to unpack the weights");
    each_weight(graph, gguf, values, values + largest, &largest, &largest_spread);
    pd_release(values);
    return PD_OK;
}
