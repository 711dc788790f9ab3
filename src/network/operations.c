/* The vocabulary, and what its words share. */
#include "operations.h"

#include <string.h>

static const pd_operation *const families[] = {pd_source_operations,    pd_product_operations,    pd_norm_operations,
                                               pd_attention_operations, pd_arithmetic_operations, pd_shape_operations};

const pd_operation *pd_operation_find(pd_bytes name)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        for (const pd_operation *operation = families[i]; operation->name; operation++)
            if (pd_bytes_equal(name, operation->name)) return operation;
    return NULL;
}

const pd_operation *pd_operation_named(const char *name) { return pd_operation_find((pd_bytes){name, strlen(name)}); }

/* ---- while checking --------------------------------------------------------------------- */

pd_status pd_check_integer(const pd_inference *c, int32_t k, const char *name, int32_t minimum, int32_t maximum)
{
    const int32_t value = c->node->integers[k];
    if (value >= minimum && value <= maximum) return PD_OK;
    return PD_REFUSE(c, "%s is %d, not within %d and %d", name, (int64_t)value, (int64_t)minimum, (int64_t)maximum);
}

static bool axes_equal(const pd_axes *a, const pd_axes *b)
{
    if (a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->length[i] != b->length[i]) return false;
    return true;
}

pd_status pd_check_same(const pd_inference *c, int32_t k, const char *name)
{
    const pd_node *input = pd_operand(c, k);
    if (!input || axes_equal(&input->axes, &c->node->axes)) return PD_OK;
    return PD_REFUSE(c, "%s has not the shape of the value", name);
}

pd_status pd_check_vector(const pd_inference *c, int32_t k, const char *name)
{
    const pd_node *input = pd_operand(c, k);
    if (!input || (input->axes.rank == 1 && pd_channels(input) == pd_channels(c->node))) return PD_OK;
    return PD_REFUSE(c, "%s is no vector of %d numbers", name, (int64_t)pd_channels(c->node));
}

pd_status pd_check_rank(const pd_inference *c, int32_t k, int32_t least, int32_t most)
{
    const pd_node *input = pd_operand(c, k);
    if (!input || (input->axes.rank >= least && input->axes.rank <= most)) return PD_OK;
    return PD_REFUSE(c, "input %d has %d axes, not %d to %d", (int64_t)k, (int64_t)input->axes.rank, (int64_t)least,
                     (int64_t)most);
}

pd_status pd_read_axes(const pd_inference *c, int32_t first)
{
    const int32_t rank = c->node->integer_count - first;
    if (rank < 1 || rank > PD_MAX_RANK) return PD_REFUSE(c, "%d axes, not 1 to %d", (int64_t)rank, (int64_t)PD_MAX_RANK);
    c->node->axes.rank = rank;
    for (int32_t i = 0; i < rank; i++) {
        PD_TRY(pd_check_integer(c, first + i, "an axis", 1, PD_MAX_AXIS));
        c->node->axes.length[i] = c->node->integers[first + i];
    }
    return PD_OK;
}

pd_status pd_broadcast(const pd_inference *c, const pd_axes *a, const pd_axes *b, pd_axes *both)
{
    *both = a->rank >= b->rank ? *a : *b;
    for (int32_t i = 1; i <= both->rank; i++) {
        const int32_t x = i <= a->rank ? a->length[a->rank - i] : 1, y = i <= b->rank ? b->length[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1) return PD_REFUSE(c, "axes of %d and of %d do not go together", (int64_t)x, (int64_t)y);
        both->length[both->rank - i] = x == 1 ? y : x;
    }
    return PD_OK;
}

bool pd_broadcasts_to(const pd_axes *of, const pd_axes *as)
{
    if (of->rank > as->rank) return false;
    for (int32_t i = 1; i <= of->rank; i++) {
        const int32_t length = of->length[of->rank - i];
        if (length != 1 && length != as->length[as->rank - i]) return false;
    }
    return true;
}

uint64_t pd_work(uint64_t a, uint64_t b)
{
    uint64_t product;
    return pd_checked_multiply(a, b, &product) && product <= PD_MAX_WORK ? product : PD_MAX_WORK + 1;
}

pd_function pd_function_of(const pd_node *node, int32_t at, int32_t reals_before)
{
    const pd_function_kind kind = (pd_function_kind)node->integers[at];
    return (pd_function){kind, pd_function_has_parameter((int32_t)kind) ? node->reals[reals_before] : 0.0f};
}

void pd_weight_vector(pd_weight *weight, pd_channel_map map)
{
    weight->kind = PD_WEIGHT_VECTOR;
    weight->rows = 1;
    weight->columns = (uint64_t)map.real;
    weight->out = map;
}

void pd_weight_rows(pd_weight *weight, uint64_t rows, pd_channel_map map)
{
    weight->kind = PD_WEIGHT_ROWS;
    weight->rows = rows;
    weight->columns = (uint64_t)map.real;
    weight->in = map;
}

/* ---- while running ---------------------------------------------------------------------- */

int32_t pd_images_of(const pd_execution *e, const pd_node *node) { return node->depends & PD_ON_CLASS ? e->images : e->distinct; }

float *pd_value(const pd_execution *e, const pd_node *node, int32_t image)
{
    if (node->space == PD_SPACE_FIXED) return (float *)(uintptr_t)e->graph->nodes[node->root].data[0] + node->offset;
    if (node->space == PD_SPACE_WORK)
        return e->work + node->offset + (node->phase == PD_PHASE_IMAGES ? (uint64_t)image * node->image_stride : 0);
    const float *state = node->phase == PD_PHASE_CLASS ? e->class_states[image] : e->time_state;
    return (float *)(uintptr_t)state + node->offset;
}

pd_array pd_array_of(const pd_execution *e, const pd_node *node, int32_t image)
{
    return (pd_array){pd_value(e, node, image), node->axes, node->stride};
}

pd_view pd_view_of(const pd_execution *e, const pd_node *node, int32_t image, int32_t images)
{
    const bool map = node->axes.rank == 3;
    const int32_t height = map ? node->axes.length[0] : 1, width = map ? node->axes.length[1] : pd_positions(node);
    return (pd_view){pd_value(e, node, image), images, height, width, node->layout.stored, node->stride};
}

bool pd_is_batched(const pd_execution *e, const pd_node *node)
{
    (void)e;
    return node->space == PD_SPACE_WORK && node->phase == PD_PHASE_IMAGES &&
           node->image_stride == (uint64_t)pd_positions(node) * (uint64_t)node->stride;
}
