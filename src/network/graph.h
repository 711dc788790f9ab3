/* A network as data: operations in static single assignment, each of which makes
 * one value from earlier ones (docs/graph.md is the vocabulary). Both formats of
 * files become such a graph; what follows knows no architecture.
 *
 * On the way from a file to a picture: graph_file.c or unet_graph.c fills in the
 * operations; pd_graph_infer checks them and finds every shape; pd_graph_check_tensors
 * finds the weights; pd_graph_plan decides when each value is computed and where
 * it lies; pd_graph_place takes the memory; pd_graph_pack fills in the weights. */
#ifndef PD_GRAPH_H
#define PD_GRAPH_H

#include "array.h"
#include "gguf.h"
#include "kernels.h"
#include "memory.h"

enum {
    PD_MAX_OPERATIONS = 4096,
    PD_MAX_INPUTS = 64,
    PD_MAX_TENSORS = 5,
    PD_MAX_AXIS = 1 << 20,
    PD_MAX_KERNEL = 64,
};
#define PD_MAX_VALUE_ELEMENTS ((uint64_t)1 << 24)
#define PD_MAX_WORK ((uint64_t)1 << 37)

/* Where the channels of a tensor of the file are among the stored ones: in groups
 * of `group` that start every `group_stride`, or, for a concatenation of two values,
 * with the channels from `split` on moved to split_start. */
typedef struct pd_channel_map {
    int32_t real, stored;
    int32_t group, group_stride;
    int32_t split, split_start;
} pd_channel_map;

int32_t pd_stored_channel(const pd_channel_map *map, int32_t channel);
/* How many channels from `channel` on are neighbours among the stored ones too. */
int32_t pd_run_of_channels(const pd_channel_map *map, int32_t channel);
pd_channel_map pd_plain_map(int32_t channels);
pd_channel_map pd_exact_map(int32_t channels); /* not rounded up to a multiple of 4 */
pd_channel_map pd_grouped_map(int32_t groups, int32_t size);
pd_channel_map pd_concat_map(int32_t first, int32_t second);

/* What a value depends on. */
enum { PD_ON_CLASS = 1, PD_ON_TIME = 2, PD_ON_X = 4 };

/* When it is computed: once for each class of a run, once for each step, or for
 * each image of each step. */
typedef enum pd_phase { PD_PHASE_CLASS, PD_PHASE_TIME, PD_PHASE_IMAGES, PD_PHASES } pd_phase;

/* Where it lies. */
typedef enum pd_space {
    PD_SPACE_FIXED, /* with the weights */
    PD_SPACE_STATE, /* of its phase: of a class, or of a step */
    PD_SPACE_WORK   /* until it has been read for the last time */
} pd_space;

/* How the weights of format 1 differ from what their operations say. */
enum {
    PD_GAIN_TIMES_ROOT = 1,   /* gains are multiplied by the root of the number of channels */
    PD_FIRST_COLUMNS = 2,     /* the weight is the first half of the tensor's columns, */
    PD_LAST_COLUMNS = 4,      /* or the last one */
    PD_ONE_PLUS_FIRST = 8,    /* the first half of the bias gets 1 added */
    PD_GROUPED_OUTPUT = 16,   /* layout is set beforehand */
};

struct pd_operation;

typedef struct pd_node {
    const struct pd_operation *operation;
    const int32_t *inputs, *integers;
    const float *reals;
    const int32_t *tensors; /* rows of the file's table, -1: absent */
    uint8_t input_count, tensor_count, integer_count, real_count;
    uint8_t flags;   /* of format 1 */
    uint8_t depends, phase, space;
    bool aliased;    /* the value is computed by another operation, or is a part of its input */
    bool replicated; /* computed for images that differ, needed for all */
    pd_axes axes;
    pd_channel_map layout;
    int32_t parent;   /* the value whose memory this one's is a part of; itself if it has its own */
    int32_t root;     /* the last of the parents */
    int32_t first_use, last_use; /* operations: itself, the last that reads it; of a root, of all its parts */
    int32_t rows, columns; /* of the first tensor in the file: tables have their shape from it */
    int32_t stride;   /* floats from a position to the next */
    uint64_t offset, image_stride; /* in floats; offset in the parent until placed, then in the space */
    uint64_t scratch_count;
    const float *data[PD_MAX_TENSORS]; /* packed tensors, NULL: absent */
    void *layer;
} pd_node;

typedef struct pd_graph {
    pd_node *nodes;
    int32_t count;
    int32_t height, width, channels; /* of x */
    int32_t out_channels; /* of the prediction */
    int32_t class_count, timesteps;
    bool has_null;     /* tables have a row for no class */
    bool exact_input;  /* x is stored without rounding up its channels (format 1) */
    int32_t images;    /* most in a call */
    uint64_t work;     /* multiplications of an evaluation of one image, about */
    uint64_t work_count, scratch_count, state_count[PD_PHASES]; /* floats */
    int32_t end;       /* an evaluation stops before it: count, but while a value is looked at */
} pd_graph;

/* What packing a tensor needs to know. */
typedef enum pd_weight_kind {
    PD_WEIGHT_PACKED, /* rows of `taps` times in.real columns, packed by pd_conv_pack; place() takes the memory */
    PD_WEIGHT_MATRIX, /* the same rows as they are or, with `panels`, as pd_pack_panels makes them */
    PD_WEIGHT_VECTOR, /* of out.real */
    PD_WEIGHT_ROWS    /* rows of in.real, each laid out as in */
} pd_weight_kind;

typedef struct pd_weight {
    pd_weight_kind kind;
    uint64_t rows, columns;     /* of the tensor */
    uint64_t first_column;
    int32_t taps;
    pd_channel_map in, out;
    const pd_conv *convolution; /* of a packed one, once it is placed */
    float factor;
    bool one_plus;
    bool panels;
    bool transposed;            /* of a matrix: [taps][out.stored] */
    bool any_shape;             /* of the tensor, if it has as many numbers */
} pd_weight;

/* Checks every operation and fills in shapes, what values depend on, last uses,
 * has_null and work. PD_CONFIG, PD_TYPE or PD_TOO_BIG. */
pd_status pd_graph_infer(pd_graph *graph, pd_error *error);
/* The file has exactly the tensors that are used, of the right shapes. `used`: a byte for each. */
pd_status pd_graph_check_tensors(const pd_graph *graph, const pd_gguf *gguf, uint8_t *used, pd_error *error);
/* Parents, spaces, offsets, sizes of spaces. Needs `images`. `order`: room for graph->count numbers. */
void pd_graph_plan(pd_graph *graph, int32_t *order);
/* Floats of work memory for one image. */
uint64_t pd_graph_work_of_image(const pd_graph *graph);
/* Memory for layers and weights; also finds scratch_count. Runs twice, to measure and to place. */
void pd_graph_place(pd_graph *graph, pd_arena *arena);
pd_status pd_graph_pack(const pd_graph *graph, const pd_gguf *gguf, pd_error *error);

/* ---- operations ---------------------------------------------------------------- */

/* One that is being checked. */
typedef struct pd_inference {
    pd_graph *graph;
    int32_t index;
    pd_node *node;
    pd_error *error;
    uint64_t work; /* set by the operation where it is more than the elements of the value */
} pd_inference;

/* One that is running. */
typedef struct pd_execution {
    const pd_graph *graph;
    int32_t images;
    int32_t distinct; /* image i has the x of image i % distinct */
    float *work, *scratch;
    const float *const *x;             /* planar, of each image */
    const float *const *class_states;  /* of each image */
    const float *time_state;
    int32_t t;
    float time; /* what the network is fed at t */
    int32_t label; /* of the class phase; not read if there is a mix */
    const pd_class_weight *mix;
    int32_t mix_count;
} pd_execution;

/* A word of the vocabulary. The numbers of inputs and so on are the fewest and the most. */
typedef struct pd_operation {
    const char *name;
    uint8_t inputs[2], tensors[2], integers[2], reals[2];
    uint8_t function_at; /* 1 + the integer that is a function, whose real comes after the others; 0: none */
    bool all_inputs;     /* none may be absent */
    bool in_place;       /* the value may take the place of the first input */
    pd_status (*infer)(pd_inference *inference);
    /* Tensor k of the node; NULL: has none. */
    void (*weight)(const pd_graph *graph, const pd_node *node, int32_t k, pd_weight *weight);
    /* Takes the memory of the layer and of packed tensors, when that of the others is there; finds scratch_count. May be NULL. */
    void (*place)(pd_graph *graph, pd_node *node, pd_arena *arena);
    void (*run)(const pd_execution *execution, const pd_node *node);
} pd_operation;

const pd_operation *pd_operation_find(pd_bytes name);
const pd_operation *pd_operation_named(const char *name);

/* Input k, NULL if it is absent. */
static inline const pd_node *pd_input(const pd_graph *graph, const pd_node *node, int32_t k)
{
    return k < node->input_count && node->inputs[k] >= 0 ? &graph->nodes[node->inputs[k]] : NULL;
}
static inline bool pd_has_tensor(const pd_node *node, int32_t k) { return k < node->tensor_count && node->tensors[k] >= 0; }
static inline int32_t pd_channels(const pd_node *node) { return node->axes.length[node->axes.rank - 1]; }
static inline int32_t pd_positions(const pd_node *node)
{
    int32_t count = 1;
    for (int32_t i = 0; i + 1 < node->axes.rank; i++) count *= node->axes.length[i];
    return count;
}

#endif
