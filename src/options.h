/* The numbers of pd_options, one row each: whatever lists options reads this
 * table (their check, the WebAssembly interface, the native test program). */
#ifndef PD_OPTIONS_H
#define PD_OPTIONS_H

#include "pocket_diffusion.h"

/* Of what the range depends, beside the table itself. */
typedef enum pd_option_range {
    PD_RANGE_FIXED,     /* minimum to maximum */
    PD_RANGE_STEPS,     /* 1 to T */
    PD_RANGE_TIMESTEP,  /* 0 to T - 1 */
    PD_RANGE_LABEL      /* 0 to the number of classes - 1, and PD_LABEL_NULL */
} pd_option_range;

/* What it needs where it is not at its neutral value; bits. */
typedef enum pd_option_needs {
    PD_NEEDS_NOTHING = 0,
    PD_NEEDS_DDIM = 1,
    PD_NEEDS_DDPM = 2,
    PD_NEEDS_TWO_PREDICTIONS = 4 /* guidance made from two predictions, not by the network */
} pd_option_needs;

typedef struct pd_option {
    const char *name;        /* that of the field */
    double minimum, maximum; /* with PD_RANGE_FIXED */
    uint32_t offset;         /* in pd_options */
    pd_option_range range;
    pd_status status;        /* of a value outside the range */
    uint8_t needs;           /* pd_option_needs */
    bool whole;              /* int32_t, otherwise float */
} pd_option;

extern const pd_option pd_option_table[];
extern const int32_t pd_option_count;

/* Stores `value` in the field. PD_OPTION if it is no whole number where one is
 * needed; the range is checked by pd_options_check. */
pd_status pd_option_set(const pd_option *option, pd_options *options, double value, pd_error *error);

#endif
