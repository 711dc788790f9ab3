/* What a run is made of. Private to run_start.c, run.c and run_saving.c. */
#ifndef PD_RUN_H
#define PD_RUN_H

#include "guidance.h"
#include "memory.h"
#include "model.h"
#include "random.h"
#include "solver.h"

typedef struct run_picture {
    float *x, *x0;            /* network space */
    int32_t label;            /* PD_LABEL_NULL in a mix */
    const float *conditions;  /* [part_count][class_count of the network], of its class */
    float *history; /* of the solver */
    float *running; /* guidance update with momentum */
    pd_random random;
    uint64_t fingerprint; /* of what was asked for: model, options, picture */
} run_picture;

struct pd_run {
    pd_model *model;
    pd_arena arena;
    pd_solver solver;
    pd_guidance_process guidance;
    int32_t calls; /* of the network, made; with most solvers one a step */
    int32_t evaluation, pass; /* of the solver, and which time it is made: RePaint goes back */
    int32_t resample; /* how often a step is made, of an inversion too */
    int32_t part_count; /* predictions that make up the conditional one */
    float part_weights[PD_MAX_MIX];
    bool has_mix;
    bool scale_has_entered; /* x_t depends on the guidance scale */
    int32_t negative_label;
    bool failed; /* non-finite values: nothing more can be made of it */
    size_t value_count; /* of one picture in network space */
    int32_t picture_count;
    run_picture *pictures;
    int32_t *times;
    float *class_conditions; /* [picture_count or, if they share a mixture, 1][part_count][class_count of the network] */
    float *null_condition, *time_condition;
    float *predictions; /* [batch_size][value_count] */
    float *image;       /* [value_count] in network space, or NULL */
    uint8_t *is_known;  /* [value_count]: 1 where a mask keeps the image, or NULL */
    float *noise;       /* [value_count] */
    pd_arena predictions_arena;
    float *kept_predictions; /* [2][picture_count][value_count] of the last call: conditional and null, if they are to be kept */
    bool has_kept[2];
};

/* Predictions that one group of pictures has room for. */
int32_t pd_run_batch_size(const pd_run *run);

/* Whether pictures keep a running guidance update from step to step. */
bool pd_run_has_running(const pd_run *run);

/* One more network call has been made. */
void pd_run_count_call(pd_run *run);

/* Of a function that writes `needed` items of a picture into a buffer of `capacity`. */
pd_status pd_run_check_picture(const pd_run *run, int32_t picture, const void *buffer, size_t capacity, size_t needed,
                               pd_error *error);

bool pd_all_finite(const float *values, size_t count);

#endif
