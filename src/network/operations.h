/* What the files of operations share. */
#ifndef PD_OPERATIONS_H
#define PD_OPERATIONS_H

#include "graph.h"

/* A refusal that begins with the number and the name of the operation. */
#define PD_REFUSE_AS(c, status, format, ...) \
    pd_fail((c)->error, status, PD_NO_OFFSET, "operation %d (%s): " format, (int64_t)(c)->index, (c)->node->operation->name, \
            __VA_ARGS__)
#define PD_REFUSE(c, format, ...) PD_REFUSE_AS(c, PD_CONFIG, format, __VA_ARGS__)

/* ---- while checking --------------------------------------------------------------- */

static inline const pd_node *pd_operand(const pd_inference *c, int32_t k) { return pd_input(c->graph, c->node, k); }
/* Integer k of the operation, named in the refusal if it is out of range. */
pd_status pd_check_integer(const pd_inference *c, int32_t k, const char *name, int32_t minimum, int32_t maximum);
/* Input k, if there, has the axes of the node; is a vector of as many channels. */
pd_status pd_check_same(const pd_inference *c, int32_t k, const char *name);
pd_status pd_check_vector(const pd_inference *c, int32_t k, const char *name);
pd_status pd_check_rank(const pd_inference *c, int32_t k, int32_t least, int32_t most);
/* The axes of the integers from `first` on. */
pd_status pd_read_axes(const pd_inference *c, int32_t first);
/* The node gets the axes that both broadcast to. */
pd_status pd_broadcast(const pd_inference *c, const pd_axes *a, const pd_axes *b, pd_axes *both);
/* Whether `of` broadcasts to `as`. */
bool pd_broadcasts_to(const pd_axes *of, const pd_axes *as);
/* a * b, at most PD_MAX_WORK + 1. */
uint64_t pd_work(uint64_t a, uint64_t b);
pd_function pd_function_of(const pd_node *node, int32_t at, int32_t reals_before);

void pd_weight_vector(pd_weight *weight, pd_channel_map map);
void pd_weight_rows(pd_weight *weight, uint64_t rows, pd_channel_map map);

/* ---- while running ------------------------------------------------------------------ */

/* Images that the operation is computed for. */
int32_t pd_images_of(const pd_execution *e, const pd_node *node);
float *pd_value(const pd_execution *e, const pd_node *node, int32_t image);
pd_array pd_array_of(const pd_execution *e, const pd_node *node, int32_t image);
/* `images` of them from `image` on as a map: of three axes as it is, else one row of positions. */
pd_view pd_view_of(const pd_execution *e, const pd_node *node, int32_t image, int32_t images);
/* Whether the images lie one behind the other. */
bool pd_is_batched(const pd_execution *e, const pd_node *node);

extern const pd_operation pd_source_operations[], pd_product_operations[], pd_norm_operations[], pd_attention_operations[],
    pd_arithmetic_operations[], pd_shape_operations[];

#endif
