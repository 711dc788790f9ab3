/* Format 2: from the arrays of a file to operations (docs/graph.md). */
#include "sources_of_graphs.h"

#include <string.h>

#define PREFIX "pocket-diffusion.graph."
#define VOCABULARY_VERSION 1

typedef enum list_kind { INPUTS, TENSORS, INTEGERS, REALS, LISTS } list_kind;

typedef struct lists {
    const pd_gguf_value *operations, *counts, *values[LISTS];
    uint64_t totals[LISTS];
} lists;

/* An absent list is empty. */
static pd_status find_list(const pd_gguf *gguf, const char *key, pd_gguf_value_type element, const pd_gguf_value **list,
                           pd_error *error)
{
    *list = NULL;
    return pd_gguf_find(gguf, key) ? pd_gguf_get_array(gguf, key, element, list, error) : PD_OK;
}

static pd_status find_lists(const pd_gguf *gguf, lists *l, pd_error *error)
{
    static const char *const names[LISTS] = {PREFIX "inputs", PREFIX "tensors", PREFIX "integers", PREFIX "reals"};
    static const pd_gguf_value_type types[LISTS] = {PD_GGUF_INT32, PD_GGUF_STRING, PD_GGUF_INT32, PD_GGUF_FLOAT32};
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "operations", PD_GGUF_STRING, &l->operations, error));
    PD_TRY(pd_gguf_get_array(gguf, PREFIX "counts", PD_GGUF_UINT32, &l->counts, error));
    if (l->operations->count < 1 || l->operations->count > PD_MAX_OPERATIONS)
        return pd_fail(error, PD_CONFIG, l->operations->offset, PREFIX "operations has %u names, not 1 to %d",
                       l->operations->count, (int64_t)PD_MAX_OPERATIONS);
    if (l->counts->count != LISTS * l->operations->count)
        return pd_fail(error, PD_CONFIG, l->counts->offset, PREFIX "counts has %u numbers for %u operations", l->counts->count,
                       l->operations->count);
    for (uint64_t i = 0; i < l->counts->count; i++) l->totals[i % LISTS] += (uint64_t)pd_gguf_array_integer(l->counts, i);
    for (int k = 0; k < LISTS; k++) {
        PD_TRY(find_list(gguf, names[k], types[k], &l->values[k], error));
        const uint64_t count = l->values[k] ? l->values[k]->count : 0;
        if (count != l->totals[k])
            return pd_fail(error, PD_CONFIG, l->values[k] ? l->values[k]->offset : l->counts->offset,
                           "%s has %u entries, but the counts make %u", names[k], count, l->totals[k]);
    }
    return PD_OK;
}

/* Where the lists are kept. */
typedef struct copies {
    int32_t *inputs, *tensors, *integers;
    float *reals;
} copies;

static void place(pd_arena *arena, const lists *l, pd_graph *graph, copies *c)
{
    graph->nodes = PD_TAKE(arena, pd_node, l->operations->count);
    c->inputs = PD_TAKE(arena, int32_t, l->totals[INPUTS]);
    c->tensors = PD_TAKE(arena, int32_t, l->totals[TENSORS]);
    c->integers = PD_TAKE(arena, int32_t, l->totals[INTEGERS]);
    c->reals = PD_TAKE(arena, float, l->totals[REALS]);
}

static pd_status copy_tensors(const pd_gguf *gguf, const lists *l, int32_t *tensors, pd_error *error)
{
    uint64_t cursor = 0;
    for (uint64_t i = 0; i < l->totals[TENSORS]; i++) {
        const pd_bytes name = pd_gguf_array_next_string(l->values[TENSORS], &cursor);
        tensors[i] = -1;
        if (name.length == 0) continue;
        const pd_gguf_tensor *tensor = pd_gguf_find_tensor_named(gguf, name);
        if (!tensor) return pd_fail(error, PD_TENSOR, l->values[TENSORS]->offset, "tensor %q is missing", &name);
        tensors[i] = (int32_t)(tensor - gguf->tensors);
    }
    return PD_OK;
}

static pd_status fill_node(const pd_gguf *gguf, const lists *l, uint64_t index, pd_bytes name, copies *c, pd_node *node,
                           pd_error *error)
{
    uint64_t counts[LISTS];
    static const char *const what[LISTS] = {"inputs", "tensors", "integers", "reals"};
    *node = (pd_node){.operation = pd_operation_find(name)};
    if (!node->operation)
        return pd_fail(error, PD_TYPE, l->operations->offset, "operation %u is %q, which is not known", index, &name);
    for (int k = 0; k < LISTS; k++) {
        counts[k] = (uint64_t)pd_gguf_array_integer(l->counts, LISTS * index + (uint64_t)k);
        if (counts[k] > PD_MAX_INPUTS || (k == TENSORS && counts[k] > PD_MAX_TENSORS))
            return pd_fail(error, PD_CONFIG, l->counts->offset, "operation %u (%q) has %u %s", index, &name, counts[k], what[k]);
    }
    node->input_count = (uint8_t)counts[INPUTS];
    node->tensor_count = (uint8_t)counts[TENSORS];
    node->integer_count = (uint8_t)counts[INTEGERS];
    node->real_count = (uint8_t)counts[REALS];
    node->inputs = c->inputs;
    node->tensors = c->tensors;
    node->integers = c->integers;
    node->reals = c->reals;
    c->inputs += counts[INPUTS];
    c->tensors += counts[TENSORS];
    c->integers += counts[INTEGERS];
    c->reals += counts[REALS];
    if (node->tensor_count && node->tensors[0] >= 0) {
        const pd_gguf_tensor *tensor = &gguf->tensors[node->tensors[0]];
        if (tensor->dimensions == 2 && tensor->shape[0] <= INT32_MAX && tensor->shape[1] <= INT32_MAX) {
            node->columns = (int32_t)tensor->shape[0];
            node->rows = (int32_t)tensor->shape[1];
        }
    }
    return PD_OK;
}

pd_status pd_graph_of_file(const pd_gguf *gguf, const pd_config *config, pd_graph *graph, pd_arena *arena, pd_error *error)
{
    lists l = {0};
    copies c;
    pd_arena measure;
    int64_t version = 0;
    PD_TRY(pd_gguf_get_integer(gguf, PREFIX "version", 1, VOCABULARY_VERSION, &version, error));
    PD_TRY(find_lists(gguf, &l, error));
    pd_arena_measure(&measure);
    place(&measure, &l, graph, &c);
    PD_TRY(pd_arena_create(arena, measure.used, error));
    place(arena, &l, graph, &c);
    PD_TRY(copy_tensors(gguf, &l, c.tensors, error));
    for (uint64_t i = 0; i < l.totals[INPUTS]; i++) c.inputs[i] = (int32_t)pd_gguf_array_integer(l.values[INPUTS], i);
    for (uint64_t i = 0; i < l.totals[INTEGERS]; i++) c.integers[i] = (int32_t)pd_gguf_array_integer(l.values[INTEGERS], i);
    for (uint64_t i = 0; i < l.totals[REALS]; i++) c.reals[i] = (float)pd_gguf_array_real(l.values[REALS], i);

    graph->count = (int32_t)l.operations->count;
    graph->height = config->height / config->pixel_unshuffle;
    graph->width = config->width / config->pixel_unshuffle;
    graph->channels = graph->out_channels = config->channels;
    graph->class_count = config->class_count;
    graph->timesteps = config->timesteps;
    uint64_t cursor = 0;
    for (uint64_t i = 0; i < l.operations->count; i++) {
        const pd_bytes name = pd_gguf_array_next_string(l.operations, &cursor);
        PD_TRY(fill_node(gguf, &l, i, name, &c, &graph->nodes[i], error));
    }
    return PD_OK;
}
