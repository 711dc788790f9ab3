/* What the metadata of a file says about its model, checked number by number
 * before anything is sized by it. Keys and ranges: docs/format.md. */
#ifndef PD_CONFIG_H
#define PD_CONFIG_H

#include "gguf.h"

typedef struct pd_config {
    int32_t format_version; /* 1: a Unet; 2: a graph */
    /* arguments of the reference's Unet; of a graph only channels and class_count */
    int32_t dim, init_dim, out_dim, channels, class_count;
    int32_t level_count, dim_mults[PD_MAX_LEVELS];
    bool fourier_time_embedding; /* learned_sinusoidal_cond or random_fourier_features */
    int32_t fourier_dim;         /* learned_sinusoidal_dim */
    int32_t middle_heads, middle_head_size;
    /* the picture */
    int32_t width, height, image_channels, pixel_unshuffle;
    pd_rendering rendering; /* smooth if absent */
    /* the process */
    int32_t timesteps;
    const pd_gguf_value *alphas_cumprod;
    const pd_gguf_value *class_names; /* NULL: no classes */
    const pd_gguf_value *times;       /* what the network is fed at each timestep; NULL: t */
    pd_objective objective;
    pd_sampler sampler;
    int32_t steps;
    float guidance_scale, eta;
    pd_time_grid time_grid;                /* linear if absent */
    int32_t guidance_first, guidance_last; /* all timesteps if absent */
    float rescale;                         /* 0 if absent */
    bool projection;                       /* no if absent */
    int32_t guidance_row_count;            /* scales that a class has rows of the embedding table for; 0: no input */
    float guidance_scales[PD_MAX_GUIDANCE_ROWS]; /* ascending */
    pd_bytes schedule_name;
    pd_bytes name, description, license, author, source_url; /* empty if absent */
} pd_config;

/* Rows of the embedding table: classes, or classes at each of their guidance scales. */
static inline int32_t pd_config_table_rows(const pd_config *config)
{
    return config->class_count * (config->guidance_row_count ? config->guidance_row_count : 1);
}

/* The pointers in *config point into the table, which must outlive it. */
pd_status pd_config_read(const pd_gguf *gguf, pd_config *config, pd_error *error);

#endif
