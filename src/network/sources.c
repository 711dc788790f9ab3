/* Where values come from: the picture, the time, the class, the file. */
#include "elementary.h"
#include "operations.h"

#define PI 3.14159265358979323846

static void vector_axes(pd_node *node, int32_t channels) { node->axes = (pd_axes){1, {channels}}; }

static pd_status infer_x(pd_inference *c)
{
    const pd_graph *graph = c->graph;
    c->node->axes = (pd_axes){3, {graph->height, graph->width, graph->channels}};
    c->node->depends = PD_ON_X;
    if (graph->exact_input) c->node->layout = pd_exact_map(graph->channels);
    return PD_OK;
}

static void run_x(const pd_execution *e, const pd_node *node)
{
    for (int32_t i = 0; i < pd_images_of(e, node); i++) {
        const pd_view view = pd_view_of(e, node, i, 1);
        pd_from_planar(e->x[i], node->layout.real, &view);
    }
}

static pd_status infer_time(pd_inference *c)
{
    for (int32_t i = 0; i < c->index; i++)
        if (c->graph->nodes[i].operation == c->node->operation) return PD_REFUSE(c, "operation %d is one already", (int64_t)i);
    vector_axes(c->node, 1);
    c->node->depends = PD_ON_TIME;
    return PD_OK;
}

static void run_time(const pd_execution *e, const pd_node *node)
{
    const pd_array out = pd_array_of(e, node, 0);
    out.data[0] = e->time;
    pd_clear_padding(&out);
}

/* The number of channels is that of the table's columns, which the loader has put into integers. */
static pd_status infer_table(pd_inference *c, int64_t depends)
{
    const int32_t columns = c->node->columns;
    if (columns < 1 || columns > PD_MAX_AXIS) return PD_REFUSE_AS(c, PD_TENSOR, "a table of %d columns", (int64_t)columns);
    vector_axes(c->node, columns);
    c->node->depends = (uint8_t)depends;
    if (c->graph->exact_input) c->node->layout = pd_exact_map(columns);
    return PD_OK;
}

static pd_status infer_time_row(pd_inference *c) { return infer_table(c, PD_ON_TIME); }

static void weight_time_row(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    (void)k;
    pd_weight_rows(weight, (uint64_t)graph->timesteps, node->layout);
}

static void copy_row(const pd_node *node, const pd_array *out, int32_t row)
{
    const float *from = node->data[0] + (size_t)row * (size_t)node->layout.stored;
    for (int32_t i = 0; i < node->layout.stored; i++) out->data[i] = from[i];
}

static void run_time_row(const pd_execution *e, const pd_node *node)
{
    const pd_array out = pd_array_of(e, node, 0);
    copy_row(node, &out, e->t);
}

/* Rows: one for each class, and perhaps one for none, which format 1 has in a tensor of its own. */
static pd_status infer_class(pd_inference *c)
{
    const pd_graph *graph = c->graph;
    const int32_t rows = c->node->rows;
    const bool own = pd_has_tensor(c->node, 1), has_null = own || rows == graph->class_count + 1;
    if (graph->class_count == 0) return PD_REFUSE(c, "there are no classes, %d of them", (int64_t)0);
    if (rows != graph->class_count && (own || !has_null))
        return PD_REFUSE_AS(c, PD_TENSOR, "a table of %d rows for %d classes", (int64_t)rows, (int64_t)graph->class_count);
    for (int32_t i = 0; i < c->index; i++)
        if (graph->nodes[i].operation == c->node->operation && has_null != graph->has_null)
            return PD_REFUSE_AS(c, PD_TENSOR, "%d rows, but operation %d has another number", (int64_t)rows, (int64_t)i);
    c->graph->has_null = has_null;
    return infer_table(c, PD_ON_CLASS);
}

static void weight_class(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    if (k == 1) pd_weight_vector(weight, node->layout);
    else
        pd_weight_rows(weight, (uint64_t)graph->class_count + (graph->has_null && !pd_has_tensor(node, 1) ? 1 : 0), node->layout);
}

static void run_class(const pd_execution *e, const pd_node *node)
{
    const pd_array out = pd_array_of(e, node, 0);
    const size_t channels = (size_t)node->layout.stored;
    if (!e->mix && e->label == PD_LABEL_NULL && node->data[1]) {
        for (size_t k = 0; k < channels; k++) out.data[k] = node->data[1][k];
        return;
    }
    if (!e->mix) {
        copy_row(node, &out, e->label == PD_LABEL_NULL ? e->graph->class_count : e->label);
        return;
    }
    bool first = true;
    for (int32_t i = 0; i < e->mix_count; i++) {
        const float *row = node->data[0] + (size_t)e->mix[i].label * channels, weight = e->mix[i].weight;
        if (weight == 0.0f) continue;
        for (size_t k = 0; k < channels; k++) out.data[k] = first ? weight * row[k] : out.data[k] + weight * row[k];
        first = false;
    }
}

static pd_status infer_constant(pd_inference *c) { return pd_read_axes(c, 0); }

static void weight_constant(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    (void)graph;
    (void)k;
    pd_weight_rows(weight, (uint64_t)pd_positions(node), node->layout);
    weight->any_shape = true;
}

/* ---- time embeddings of format 1 ------------------------------------------------------ */

/* SinusoidalPosEmb of the reference (Vaswani et al. 2017, section 3.5), with its
 * float32 roundings: t times the frequency is rounded before the sine. */
static pd_status infer_sinusoidal(pd_inference *c)
{
    vector_axes(c->node, c->node->integers[0]);
    c->node->layout = pd_exact_map(c->node->integers[0]);
    return PD_OK;
}

static void run_sinusoidal(const pd_execution *e, const pd_node *node)
{
    float *features = pd_value(e, node, 0);
    const int32_t half = node->integers[0] / 2;
    const float step = (float)(pd_log(10000.0) / (half - 1));
    for (int32_t i = 0; i < half; i++) {
        const float exponent = (float)i * -step;
        const float angle = e->time * (float)pd_exp((double)exponent);
        features[i] = (float)pd_sin((double)angle);
        features[half + i] = (float)pd_cos((double)angle);
    }
}

/* RandomOrLearnedSinusoidalPosEmb: [t, sin(2 pi f t), cos(2 pi f t)]. */
static pd_status infer_fourier(pd_inference *c)
{
    vector_axes(c->node, 2 * c->node->integers[0] + 1);
    c->node->layout = pd_exact_map(2 * c->node->integers[0] + 1);
    return PD_OK;
}

static void weight_fourier(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight)
{
    (void)graph;
    (void)k;
    pd_weight_vector(weight, pd_exact_map(node->integers[0]));
}

static void run_fourier(const pd_execution *e, const pd_node *node)
{
    float *features = pd_value(e, node, 0);
    const int32_t half = node->integers[0];
    features[0] = e->time;
    for (int32_t i = 0; i < half; i++) {
        const float angle = e->time * node->data[0][i] * 2.0f * (float)PI;
        features[1 + i] = (float)pd_sin((double)angle);
        features[1 + half + i] = (float)pd_cos((double)angle);
    }
}

const pd_operation pd_source_operations[] = {
    {.name = "x", .infer = infer_x, .run = run_x},
    {.name = "time", .infer = infer_time, .run = run_time},
    {.name = "time_row", .tensors = {1, 1}, .infer = infer_time_row, .weight = weight_time_row, .run = run_time_row},
    {.name = "class", .tensors = {1, 1}, .infer = infer_class, .weight = weight_class, .run = run_class},
    {.name = "constant", .tensors = {1, 1}, .integers = {1, PD_MAX_RANK}, .infer = infer_constant, .weight = weight_constant},
    {0},
};

/* Of format 1 alone. */
const pd_operation pd_class_of_unet = {
    .name = "class", .tensors = {1, 2}, .infer = infer_class, .weight = weight_class, .run = run_class};
const pd_operation pd_sinusoidal_of_unet = {
    .name = "sinusoidal", .inputs = {1, 1}, .integers = {1, 1}, .infer = infer_sinusoidal, .run = run_sinusoidal};
const pd_operation pd_fourier_of_unet = {.name = "fourier",
                                         .inputs = {1, 1},
                                         .tensors = {1, 1},
                                         .integers = {1, 1},
                                         .infer = infer_fourier,
                                         .weight = weight_fourier,
                                         .run = run_fourier};
