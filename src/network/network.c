#include "network.h"

#include <assert.h>
#include <string.h>

#include "operations.h"
#include "sources_of_graphs.h"

/* Memory that values may take for the sake of larger batches. */
#define BATCH_BUDGET_BYTES (12u << 20)
#define MAX_BATCH 8

/* ---- load ------------------------------------------------------------------------- */

/* How many images one call takes: two at least (the two predictions of guidance),
 * more where the values are small. */
static int32_t choose_batch(const pd_graph *graph)
{
    const uint64_t images = BATCH_BUDGET_BYTES / sizeof(float) / (pd_graph_work_of_image(graph) + 1);
    return images < 2 ? 2 : images > MAX_BATCH ? MAX_BATCH : (int32_t)images;
}

static void place(pd_network *network, const pd_config *config, pd_arena *arena)
{
    pd_graph *graph = &network->graph;
    float *times = PD_TAKE(arena, float, config->times ? config->timesteps : 0);
    for (int32_t t = 0; times && config->times && t < config->timesteps; t++)
        times[t] = (float)pd_gguf_array_real(config->times, (uint64_t)t);
    network->times = config->times ? times : NULL;
    pd_graph_place(graph, arena);
    network->time_state = PD_TAKE(arena, float, graph->state_count[PD_PHASE_TIME]);
    network->class_state = PD_TAKE(arena, float, graph->state_count[PD_PHASE_CLASS]);
    network->work = PD_TAKE(arena, float, graph->work_count);
    network->scratch = PD_TAKE(arena, float, graph->scratch_count);
}

static pd_status check_tensors(const pd_graph *graph, const pd_gguf *gguf, pd_error *error)
{
    uint8_t *used = pd_allocate(gguf->tensor_count);
    if (!used) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory to check the tensors");
    const pd_status status = pd_graph_check_tensors(graph, gguf, used, error);
    pd_release(used);
    return status;
}

static pd_status plan(pd_graph *graph, pd_error *error)
{
    int32_t *order = pd_allocate((uint64_t)graph->count * sizeof *order);
    if (!order) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "no memory to plan the network");
    graph->images = 1;
    pd_graph_plan(graph, order);
    graph->images = choose_batch(graph);
    pd_graph_plan(graph, order);
    pd_release(order);
    return PD_OK;
}

static pd_status load(const pd_gguf *gguf, const pd_config *config, pd_network *network, pd_error *error)
{
    pd_graph *graph = &network->graph;
    pd_arena measure;
    PD_TRY(config->format_version == 1 ? pd_graph_of_unet(gguf, config, graph, &network->structure, error)
                                       : pd_graph_of_file(gguf, config, graph, &network->structure, error));
    PD_TRY(pd_graph_infer(graph, error));
    PD_TRY(check_tensors(graph, gguf, error));
    PD_TRY(plan(graph, error));
    pd_arena_measure(&measure);
    place(network, config, &measure);
    assert(!measure.overflow); /* every size is bounded by PD_MAX_VALUE_ELEMENTS and the size of the file */
    PD_TRY(pd_arena_create(&network->memory, measure.used, error));
    place(network, config, &network->memory);
    assert(!network->memory.overflow);
    PD_TRY(pd_graph_pack(graph, gguf, error));
    network->max_images = graph->images;
    graph->end = graph->count;
    network->class_count = (size_t)graph->state_count[PD_PHASE_CLASS];
    network->time_count = (size_t)graph->state_count[PD_PHASE_TIME];
    network->memory_bytes = network->structure.size + network->memory.size;
    return PD_OK;
}

pd_status pd_network_load(const pd_gguf *gguf, const pd_config *config, pd_network *network, pd_error *error)
{
    *network = (pd_network){0};
    const pd_status status = load(gguf, config, network, error);
    if (status != PD_OK) pd_network_free(network);
    return status;
}

void pd_network_free(pd_network *network)
{
    if (network->structure.block) pd_arena_destroy(&network->structure);
    if (network->memory.block) pd_arena_destroy(&network->memory);
    *network = (pd_network){0};
}

bool pd_network_has_null(const pd_network *network) { return network->graph.class_count == 0 || network->graph.has_null; }

/* ---- run ------------------------------------------------------------------------------ */

/* What was computed for the first `distinct` images is that of the others too. */
static void replicate(const pd_execution *e, const pd_node *node)
{
    const size_t row = (size_t)node->layout.stored * sizeof(float), stride = (size_t)node->stride;
    const int32_t positions = pd_positions(node);
    for (int32_t image = e->distinct; image < e->images; image++) {
        const float *from = e->work + node->offset + (uint64_t)(image % e->distinct) * node->image_stride;
        float *to = e->work + node->offset + (uint64_t)image * node->image_stride;
        for (int32_t i = 0; i < positions; i++) memcpy(to + (size_t)i * stride, from + (size_t)i * stride, row);
    }
}

static void run_phase(const pd_execution *e, pd_phase phase)
{
    for (int32_t i = 0; i < e->graph->end; i++) {
        const pd_node *node = &e->graph->nodes[i];
        if (node->phase != phase || node->aliased) continue;
        node->operation->run(e, node);
        if (node->replicated && e->distinct < e->images) replicate(e, node);
    }
}

static pd_execution execution_of(const pd_network *network)
{
    return (
        pd_execution){.graph = &network->graph, .images = 1, .distinct = 1, .work = network->work, .scratch = network->scratch};
}

/* NOLINTBEGIN(readability-non-const-parameter): the phase writes the states, of which others only read */
void pd_network_embed_class(const pd_network *network, int32_t label, float *state)
{
    pd_execution e = execution_of(network);
    const float *states = state;
    assert(label == PD_LABEL_NULL ? pd_network_has_null(network) : label >= 0 && label < network->graph.class_count);
    e.label = label;
    e.class_states = &states;
    run_phase(&e, PD_PHASE_CLASS);
}

void pd_network_embed_mix(const pd_network *network, const pd_class_weight *mix, int32_t count, float *state)
{
    pd_execution e = execution_of(network);
    const float *states = state;
    for (int32_t i = 0; i < count; i++) assert(mix[i].label >= 0 && mix[i].label < network->graph.class_count);
    e.mix = mix;
    e.mix_count = count;
    e.class_states = &states;
    run_phase(&e, PD_PHASE_CLASS);
}

void pd_network_embed_time(const pd_network *network, int32_t t, float *state)
{
    pd_execution e = execution_of(network);
    e.t = t;
    e.time = network->times ? network->times[t] : (float)t;
    e.time_state = state;
    run_phase(&e, PD_PHASE_TIME);
}
/* NOLINTEND(readability-non-const-parameter) */

/* The period of the inputs. */
static int32_t count_distinct(int32_t images, const float *const *x)
{
    for (int32_t period = 1; period < images; period++) {
        int32_t i = period;
        while (i < images && x[i] == x[i - period]) i++;
        if (i == images) return period;
    }
    return images;
}

void pd_network_forward(const pd_network *network, int32_t images, const float *const *x, const float *time_state,
                        const float *const *class_states, float *const *predictions)
{
    assert(images >= 1 && images <= network->max_images && network->max_images <= PD_MAX_PICTURES);
    const pd_graph *graph = &network->graph;
    pd_execution e = execution_of(network);
    e.images = images;
    e.distinct = count_distinct(images, x);
    e.x = x;
    e.time_state = time_state;
    e.class_states = class_states;
    run_phase(&e, PD_PHASE_IMAGES);
    const pd_node *last = &graph->nodes[graph->count - 1];
    for (int32_t i = 0; i < images; i++) {
        const pd_array array = {e.work + last->offset + (uint64_t)i * last->image_stride, last->axes, last->stride};
        const pd_view view = {array.data, 1, graph->height, graph->width, last->layout.stored, last->stride};
        pd_to_planar(&view, graph->out_channels, predictions[i]);
    }
}

size_t pd_network_value_count(const pd_network *network, int32_t operation)
{
    const pd_node *node = &network->graph.nodes[operation];
    return (size_t)pd_positions(node) * (size_t)node->layout.real;
}

void pd_network_value(const pd_network *network, int32_t operation, const float *x, float *value)
{
    const pd_node *node = &network->graph.nodes[operation];
    const float *const class_state = network->class_state;
    pd_execution e = execution_of(network);
    e.x = &x;
    e.time_state = network->time_state;
    e.class_states = &class_state;
    assert(network->graph.end == operation + 1);
    if (node->phase == PD_PHASE_IMAGES) run_phase(&e, PD_PHASE_IMAGES);
    const float *from = pd_value(&e, node, 0);
    const int32_t positions = pd_positions(node);
    for (int32_t c = 0; c < node->layout.real; c++) {
        const int32_t stored = pd_stored_channel(&node->layout, c);
        for (int32_t i = 0; i < positions; i++) *value++ = from[(size_t)i * (size_t)node->stride + (size_t)stored];
    }
}
