/* The two ways from a file to a graph. Both take the memory of the operations, in
 * an arena of their own, and find the rows of the tensors; pd_graph_infer checks the rest. */
#ifndef PD_SOURCES_OF_GRAPHS_H
#define PD_SOURCES_OF_GRAPHS_H

#include "config.h"
#include "graph.h"

/* Format 2: docs/graph.md. */
pd_status pd_graph_of_file(const pd_gguf *gguf, const pd_config *config, pd_graph *graph, pd_arena *arena, pd_error *error);
/* Format 1: the reference's Unet. */
pd_status pd_graph_of_unet(const pd_gguf *gguf, const pd_config *config, pd_graph *graph, pd_arena *arena, pd_error *error);

#endif
