/* Pocket Diffusion: class-conditional image generation by denoising diffusion
 * with classifier-free guidance.
 *
 * This header is the manual of the C core. The core knows no file system, no
 * clock, no thread and no locale: bytes of a model go in, pixels come out.
 *
 * Conventions
 *   - Forward process: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps with
 *     t = 0 .. T-1 (Ho, Jain, Abbeel 2020, eq. 4). Images lie in [-1, 1].
 *   - Guidance scale s: null + s (cond - null) (Ho and Salimans 2022, eq. 6,
 *     with their w = s - 1).
 *   - Tensors in "network space" are float32, planar [channels][height][width],
 *     one picture after the other; network space is what the network sees,
 *     after pixel unshuffle.
 *   - Every function that can fail returns a pd_status. A pd_error pointer may
 *     be NULL where a function takes one; otherwise it receives one line that
 *     says what was wrong and where.
 *   - A failed call changes nothing that the caller can see. */
#ifndef POCKET_DIFFUSION_H
#define POCKET_DIFFUSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PD_VERSION_STRING "0.1.0"

/* ---- errors ------------------------------------------------------------- */

/* Number, name, meaning. A number is never used again for something else. */
#define PD_STATUS_TABLE(X) \
    X(0, OK, "no error") \
    X(1, SHORT, "the file ends too early") \
    X(2, MAGIC, "not a GGUF file") \
    X(3, VERSION, "unsupported GGUF version") \
    X(4, COUNT, "impossible number of tensors or metadata entries") \
    X(5, TOO_BIG, "larger than this build accepts") \
    X(6, TRAILING, "bytes after the last tensor") \
    X(7, STRING, "malformed string") \
    X(8, DUPLICATE, "the same key twice") \
    X(9, TYPE, "unknown or unsupported type") \
    X(10, ARRAY, "malformed array") \
    X(11, VALUE, "value outside its type") \
    X(12, CONFIG, "the metadata does not describe a usable model") \
    X(13, ALIGN, "unusable alignment") \
    X(14, NAME, "malformed tensor name") \
    X(15, DIMS, "unusable tensor dimensions") \
    X(16, OVERFLOW, "a size does not fit in 64 bits") \
    X(17, OFFSET, "tensor data is misplaced") \
    X(18, TENSOR, "a tensor is missing, unexpected or of another shape") \
    X(19, NONFINITE, "NaN or infinity") \
    X(20, PADDING, "padding that is not zero") \
    X(21, ARG, "invalid argument") \
    X(22, ABI, "structure of another size: header and library differ") \
    X(23, LABEL, "no such class") \
    X(24, STEPS, "number of steps out of range") \
    X(25, SCALE, "guidance scale out of range") \
    X(26, SAMPLER, "unknown sampler") \
    X(27, BUFFER, "buffer too small, or picture size unusable") \
    X(28, CLOSED, "used after it was closed") \
    X(29, BUSY, "already in use") \
    X(30, MEMORY, "out of memory") \
    X(31, ABORTED, "stopped by the caller") \
    X(32, OPTION, "option out of range") \
    X(33, STATE, "not possible in this state of the run") \
    X(34, SAVED, "not a saved picture that continues this run")

typedef enum pd_status {
#define PD_STATUS_ENUM(number, name, text) PD_##name = (number),
    PD_STATUS_TABLE(PD_STATUS_ENUM)
#undef PD_STATUS_ENUM
} pd_status;

/* Upper-case name of a status ("MAGIC"); "UNKNOWN" for a number not listed. */
const char *pd_status_name(pd_status status);
/* The meaning, one line without a full stop. */
const char *pd_status_text(pd_status status);

#define PD_NO_OFFSET UINT64_MAX

typedef struct pd_error {
    pd_status status;
    uint64_t offset;   /* byte offset in the file, or PD_NO_OFFSET */
    char message[256]; /* one line of UTF-8, NUL-terminated; names field and value */
} pd_error;

/* ---- limits (all are refused with a status, never asserted) -------------- */

#define PD_MAX_FILE_BYTES (256u << 20)
#define PD_MAX_MEMORY_BYTES ((uint64_t)1 << 30) /* packed weights and workspace */
#define PD_MAX_LEVELS 6
#define PD_MAX_CHANNELS 1024     /* of any layer, and of network input or output */
#define PD_MAX_CLASSES 65536
#define PD_MAX_SIDE 1024         /* of the picture, in pixels */
#define PD_MAX_TIMESTEPS 10000
#define PD_MAX_PICTURES 64       /* in one run */
#define PD_MAX_GUIDANCE_SCALE 100.0f
#define PD_MAX_GUIDANCE_ROWS 64  /* guidance scales that a class has an embedding for */
#define PD_MAX_NORM_THRESHOLD 1e6f
#define PD_MAX_MIX 8             /* classes in one mixture */
#define PD_MAX_MIX_WEIGHT 1e6f
#define PD_MAX_RESAMPLE 100
#define PD_MAX_INVERSION 100

/* ---- models ---------------------------------------------------------------- */

typedef enum pd_objective { PD_OBJECTIVE_NOISE = 0, PD_OBJECTIVE_X0 = 1, PD_OBJECTIVE_V = 2 } pd_objective;
/* Formulas and papers: solver.h. */
typedef enum pd_sampler {
    PD_SAMPLER_DDIM = 0,
    PD_SAMPLER_DDPM = 1,
    PD_SAMPLER_DPMPP_2M = 2,        /* DPM-Solver++(2M) */
    PD_SAMPLER_DPMPP_2M_SDE = 3,    /* its SDE form */
    PD_SAMPLER_EULER = 4,
    PD_SAMPLER_EULER_ANCESTRAL = 5,
    PD_SAMPLER_HEUN = 6,            /* two network calls a step, one in the last */
    PD_SAMPLER_UNIPC = 7,           /* UniPC-2, B_2(h) */
    PD_SAMPLER_LCM = 8,             /* multistep consistency sampling: x_0 with new noise */
    PD_SAMPLER_COUNT
} pd_sampler;

/* Which timesteps a run of fewer than T steps visits (pd_schedule_times). */
typedef enum pd_time_grid {
    PD_TIME_GRID_LINEAR = 0, /* of the reference */
    PD_TIME_GRID_QUADRATIC = 1,
    PD_TIME_GRID_TRAILING = 2,
    PD_TIME_GRID_KARRAS = 3,
    PD_TIME_GRID_COUNT
} pd_time_grid;

/* What the mean of a DDPM step is made from. */
typedef enum pd_ddpm_mean { PD_DDPM_MEAN_X0 = 0, PD_DDPM_MEAN_NOISE = 1, PD_DDPM_MEAN_COUNT } pd_ddpm_mean;
typedef enum pd_ddpm_variance {
    PD_DDPM_VARIANCE_POSTERIOR = 0,
    PD_DDPM_VARIANCE_BETA = 1,
    PD_DDPM_VARIANCE_COUNT
} pd_ddpm_variance;

/* How the guidance weight w = s - 1 changes from the first to the last network
 * call; its mean over them is w for each. */
typedef enum pd_guidance_schedule {
    PD_GUIDANCE_CONSTANT = 0,
    PD_GUIDANCE_LINEAR = 1, /* from 0 to 2 w */
    PD_GUIDANCE_COSINE = 2, /* (1 - cos(pi p)) w */
    PD_GUIDANCE_SCHEDULE_COUNT
} pd_guidance_schedule;

/* What of several classes is mixed. */
typedef enum pd_mix_mode {
    PD_MIX_EMBEDDING = 0,  /* their embeddings, before the class MLP: one network call as with one class */
    PD_MIX_PREDICTION = 1, /* their predictions: one network call for each class (Liu et al. 2022) */
    PD_MIX_COUNT
} pd_mix_mode;

typedef struct pd_class_weight {
    int32_t label;
    float weight; /* in [0, PD_MAX_MIX_WEIGHT] */
} pd_class_weight;

typedef struct pd_model pd_model;

/* What the pictures are, for those who enlarge them; no pixel made here depends
 * on it. */
typedef enum pd_rendering {
    PD_RENDERING_SMOOTH = 0, /* photographs, and all else */
    PD_RENDERING_INK = 1,    /* dark lines on white paper, one channel */
    PD_RENDERING_PIXEL = 2,  /* pixel art: every pixel a block */
    PD_RENDERING_COUNT
} pd_rendering;

/* All strings are NUL-terminated UTF-8 and live as long as the model. They come
 * from the file: show them as text, never as markup. */
typedef struct pd_model_info {
    const char *name, *description, *license, *author, *source_url; /* "" if absent */
    const char *schedule_name;                          /* "linear", "cosine", ... */
    int32_t width, height, channels; /* of the picture, after pixel shuffle; 1 grey, 3 RGB, 4 RGBA */
    int32_t pixel_unshuffle;         /* factor r; network side = picture side / r */
    pd_rendering rendering;          /* how pictures are best enlarged */
    int32_t network_width, network_height;
    int32_t network_channels;        /* channels of x_t = image channels * r * r */
    int32_t network_out_channels;    /* of a prediction; sampling needs it equal to network_channels */
    int32_t class_count;             /* 0: an unconditional network */
    int32_t timesteps;               /* T */
    const double *alphas_cumprod;    /* abar_t, T values, strictly decreasing in (0, 1) */
    pd_objective objective;
    pd_sampler recommended_sampler;
    int32_t recommended_steps;
    float recommended_guidance_scale;
    float recommended_eta;
    pd_time_grid recommended_time_grid;
    int32_t recommended_guidance_first, recommended_guidance_last; /* timesteps, both included */
    float recommended_rescale;
    int32_t recommended_projection;  /* 0 or 1 */
    bool has_null_class;             /* without, and without a negative_label, the only guidance scale is 1, unless: */
    bool guidance_is_input;          /* the network takes the scale beside the class: one evaluation is a guided one */
    float guidance_scale_min, guidance_scale_max; /* 0 and PD_MAX_GUIDANCE_SCALE if it does not */
    int32_t format_version;          /* of the file */
    uint64_t multiplications;        /* of one evaluation of the network for one image, about */
    uint64_t parameter_count;
    uint64_t file_bytes;
    uint64_t memory_bytes;           /* held by the model now, workspace included */
} pd_model_info;

/* Checks `size` bytes of a GGUF v3 file and packs its weights. The bytes are
 * not needed afterwards. On success *model must be freed with pd_model_free.
 * On failure *model is NULL. Nothing larger than the file plus 1 MiB is
 * allocated before the whole file has been validated. */
pd_status pd_model_load(const void *bytes, size_t size, pd_model **model, pd_error *error);
void pd_model_free(pd_model *model); /* NULL is allowed; all its runs must be freed before */
const pd_model_info *pd_model_get_info(const pd_model *model);
/* Name of class 0 <= label < class_count, or NULL. */
const char *pd_model_class_name(const pd_model *model, int32_t label);

/* The null class of classifier-free guidance, accepted by pd_model_predict and
 * as pd_options.negative_label. */
#define PD_LABEL_NULL INT32_MAX

/* One forward pass of the network. `x`: network_channels * network_height *
 * network_width floats; `prediction`: as many with network_out_channels.
 * `t`: 0 <= t < timesteps. A network that takes the guidance scale gets the
 * recommended one. */
pd_status pd_model_predict(pd_model *model, const float *x, int32_t t, int32_t label, float *prediction, pd_error *error);
/* The value that one operation of the network makes on the way to that prediction: of a convolution, for example, its
 * activations. `operation`: its number (docs/graph.md), PD_ARG if there is none; `values`: `capacity` floats, as many as
 * its channels times its positions or more (PD_BUFFER), channel by channel. The evaluation ends there. */
pd_status pd_model_activations(pd_model *model, const float *x, int32_t t, int32_t label, int32_t operation, float *values,
                               size_t capacity, pd_error *error);

/* Network space to 8-bit pixels, interleaved rows: undoes the pixel unshuffle and
 * maps -1 .. 1 to 0 .. 255, rounded. `x`: network_channels * network_height *
 * network_width floats; `capacity`: width * height * channels bytes or more. */
pd_status pd_model_to_pixels(const pd_model *model, const float *x, uint8_t *pixels, size_t capacity, pd_error *error);

/* ---- one generation ----------------------------------------------------------- */

typedef struct pd_options {
    uint32_t struct_size;  /* sizeof(pd_options), set by pd_options_init */
    int32_t sampler;       /* a pd_sampler */
    int32_t steps;         /* 1 .. timesteps */
    float guidance_scale;  /* s in [0, PD_MAX_GUIDANCE_SCALE]; 1 = conditional model alone. Where it is an input of the
                            * network (pd_model_info.guidance_is_input): from guidance_scale_min to guidance_scale_max;
                            * there is no null prediction then, and nothing of what changes how guidance is made from
                            * it, from rescale to negative_label, may differ from its default */
    float eta;             /* DDIM stochasticity in [0, 1] (Song et al. 2021, eq. 16) */
    float rescale;         /* phi in [0, 1] of rescaled guidance (Lin et al. 2024, eq. 15-16) */
    float keep_parallel;   /* with projection: share of the parallel part kept, in [0, 1] */
    int32_t projection;    /* 0 or 1: remove the part of the guidance update parallel to the conditional prediction */
    int32_t time_grid;     /* a pd_time_grid */
    int32_t ddpm_mean;     /* a pd_ddpm_mean; other than 0 with PD_SAMPLER_DDPM alone */
    int32_t ddpm_variance; /* a pd_ddpm_variance; other than 0 with PD_SAMPLER_DDPM alone */
    float
        threshold; /* percentile of dynamic thresholding in [0, 1] (Saharia et al. 2022, section 2.3); 0: x_0 is clipped to [-1, 1] */
    float momentum; /* of the guidance update, in [-1, 1] (Sadat et al. 2024, APG); 0: none */
    float norm_threshold; /* longest guidance update in [0, PD_MAX_NORM_THRESHOLD] (APG); 0: any */
    int32_t cfg_plus_plus; /* 0 or 1: CFG++ (Chung et al. 2024), which renoises with the null prediction;
                            * with PD_SAMPLER_DDIM alone, and neither with momentum nor with norm_threshold */
    int32_t guidance_first; /* guided are the network calls at guidance_first <= t <= guidance_last, both in 0 .. T - 1 */
    int32_t guidance_last; /* (Kynkaanniemi et al. 2024); elsewhere the conditional prediction is used alone */
    int32_t guidance_schedule; /* a pd_guidance_schedule; other than 0 needs a guidance scale of 1 or more */
    int32_t negative_label; /* class to guide away from, or PD_LABEL_NULL: the null class */
    int32_t mix_mode; /* a pd_mix_mode */
    float strength; /* SDEdit (Meng et al. 2022), in [0, 1]: the last round(strength * steps) steps of the grid are
                               * made, from the image with the noise of the first of them; 0 returns the image. Other
                               * than 1 needs an image */
    int32_t resample; /* RePaint (Lugmayr et al. 2022): every step but the last is made this often, 1 .. PD_MAX_RESAMPLE;
                               * other than 1 needs a mask, and a sampler without memory of earlier steps */
    float variation_strength; /* in [0, 1]: x_T is this far on the arc from the noise of seed to that of variation_seed */
    int32_t inversion; /* DDIM inversion, see pd_run_start: iterations of each step, 1 .. PD_MAX_INVERSION; 0: none */
    /* Data, copied by pd_run_start, the same for all pictures of a run; NULL and 0: none. */
    const pd_class_weight *mix; /* 2 .. PD_MAX_MIX classes in the place of the pictures' labels, which are PD_LABEL_NULL
                                 * then; the weights are divided by their sum */
    int32_t mix_size;
    const uint8_t *image; /* 8-bit pixels, interleaved rows: width * height * channels */
    size_t image_size;
    const uint8_t *mask; /* rows of width * height: 255 make anew, 0 keep. Needs an image; kept pixels come back exactly */
    size_t mask_size;
    const float *noise; /* x_T in network space, instead of that of seed */
    size_t noise_size;
} pd_options;

/* Fills in the defaults: plain guidance with the model's recommended sampler,
 * steps, time grid, scale, interval, rescale, projection and eta. */
pd_status pd_options_init(const pd_model *model, pd_options *options);
/* PD_OK, or what is wrong with the options for this model. */
pd_status pd_options_check(const pd_model *model, const pd_options *options, pd_error *error);

/* What differs between the pictures of one run. Noise equals that of
 * torch.manual_seed(seed) followed by torch.randn(1, C, H, W) on the CPU. The
 * generator of seed draws, in this order: x_T, also where pd_options.noise
 * replaces it; then in every step the noise of the sampler, with a mask that of
 * the kept pixels, and with resampling that of the way back. */
typedef struct pd_picture {
    int32_t label;
    uint32_t reserved; /* 0 */
    uint64_t seed;
    uint64_t variation_seed; /* without effect at variation_strength 0 */
} pd_picture;

typedef struct pd_run pd_run;

/* Begins a run of 1 .. PD_MAX_PICTURES pictures that advance together. A
 * picture's pixels do not depend on the others of its run. The model keeps what
 * the first network calls of the last runs predicted: a run without editing that
 * begins like one of these, with the same seeds and classes, has one call less
 * to make.
 *
 * Where a run starts (abar at the first time of the steps that are made):
 *   x_T                                          without an image, and with a mask at strength 1
 *   sqrt(abar) image + sqrt(1 - abar) x_T        with an image (SDEdit)
 * With a mask the kept pixels are replaced after every step by the image with the
 * noise of the next time, and after the last one by the image itself (RePaint,
 * algorithm 1, with `resample` as its U).
 *
 * With `inversion` the run goes from the image to noise, which pd_run_state
 * gives at the end (DDIM inversion: Song et al. 2021, section 4.3; Dhariwal and
 * Nichol 2021, appendix F). Every step makes eps from the x that it starts from;
 * further iterations make it from their own result, which is more exact (Pan et
 * al. 2023). Needs an image, PD_SAMPLER_DDIM and eta 0; goes with
 * guidance, time_grid and mix, but with no other kind of editing, CFG++ or
 * threshold. Labels have their meaning, seeds none. */
pd_status pd_run_start(pd_model *model, const pd_options *options, const pd_picture *pictures, int32_t count, pd_run **run,
                       pd_error *error);
/* One batched network call and what follows from it: a step of the reverse
 * process, with PD_SAMPLER_HEUN one half of a step. PD_STATE when
 * every step has been made. PD_NONFINITE if the network produced NaN or
 * infinity; the run can then only be freed. */
pd_status pd_run_step(pd_run *run, pd_error *error);
int32_t pd_run_steps_done(const pd_run *run);
/* Network calls of the whole run: options.steps, with PD_SAMPLER_HEUN
 * 2 * options.steps - 1; with strength those of the steps that are made, which
 * may be none; with resampling `resample` times as many but for the last step; with
 * inversion options.steps * options.inversion. */
int32_t pd_run_steps_total(const pd_run *run);
/* Timestep t that the next pd_run_step evaluates the network at, -1 when done. */
int32_t pd_run_next_timestep(const pd_run *run);
/* x_t of one picture (network space) into `state`, `capacity` floats. */
pd_status pd_run_state(const pd_run *run, int32_t picture, float *state, size_t capacity, pd_error *error);

/* What the last network call has left beside x_t, in network space. */
typedef enum pd_plane {
    PD_PLANE_X0 = 0, /* the estimate of the picture that the solver used */
    PD_PLANE_CONDITIONAL = 1, /* the network's output for the class of the picture */
    PD_PLANE_NULL = 2, /* its output for the null class, or for options.negative_label */
    PD_PLANE_COUNT
} pd_plane;

/* From the next step on the run keeps both predictions as the network made
 * them, before guidance: 8 more bytes for each value of each picture. */
pd_status pd_run_keep_predictions(pd_run *run, pd_error *error);
/* Whether there is one: none before the first step, no prediction that was not
 * kept, or that the last call did not need (at s = 1 the null one). */
bool pd_run_has_plane(const pd_run *run, int32_t plane);
/* A pd_plane of one picture into `values`, `capacity` floats. PD_STATE where
 * pd_run_has_plane is false. */
pd_status pd_run_plane(const pd_run *run, int32_t picture, int32_t plane, float *values, size_t capacity, pd_error *error);
/* 8-bit pixels, interleaved rows, of the current x_0 estimate (before the
 * first step: of what the run starts from). Needs width * height * channels bytes. */
pd_status pd_run_preview(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error);
/* The finished picture, with inversion the noise as one; PD_STATE before the last step. */
pd_status pd_run_finish(const pd_run *run, int32_t picture, uint8_t *pixels, size_t capacity, pd_error *error);

/* A picture of an unfinished run as bytes, to be finished by another run, of
 * another instance of the library too: the pixels are those of the run that goes
 * on. The bytes are for the same version of this library on processors with the
 * same order of bytes; they hold no kept predictions.
 *
 * Bytes of one picture; 0 for NULL. */
size_t pd_run_saved_bytes(const pd_run *run);
pd_status pd_run_save(const pd_run *run, int32_t picture, uint8_t *bytes, size_t capacity, pd_error *error);
/* Puts a run that has not made a step where its pictures were saved: they may
 * come from different runs, but all after as many steps. `bytes`: one picture
 * after the other. The run must have been started with the same model, options,
 * labels and seeds. PD_BUFFER for another size, PD_SAVED for bytes that are
 * damaged, or saved from something else, PD_NONFINITE for NaN and infinity. */
pd_status pd_run_restore(pd_run *run, const uint8_t *bytes, size_t size, pd_error *error);
void pd_run_free(pd_run *run); /* NULL is allowed; may be called at any time */

/* ---- pictures ---------------------------------------------------------------------- */

/* Upper bound of the bytes pd_png_encode writes; 0 for a size it refuses. */
size_t pd_png_bound(int32_t width, int32_t height, int32_t channels);
/* PNG of 8-bit interleaved rows. channels: 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA;
 * sides 1 .. 8192. *written receives the length. */
pd_status pd_png_encode(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, uint8_t *png, size_t capacity,
                        size_t *written, pd_error *error);

#define PD_MAX_PNG_TEXT_BYTES (1u << 20)
/* Keyword of the text that says how a picture was made (docs/recipe.md). */
#define PD_RECIPE_KEYWORD "pocket-diffusion"

/* Text that travels in a PNG file, in an iTXt chunk between header and pixels. */
typedef struct pd_png_text {
    const char *keyword; /* NUL-terminated, 1 .. 79 printable ASCII characters; spaces alone and inside only */
    const char *text; /* UTF-8 without NUL, `length` bytes */
    size_t length; /* 0 .. PD_MAX_PNG_TEXT_BYTES */
} pd_png_text;

/* Bytes that a text adds to a file; 0 for NULL and for a text that
 * pd_png_encode_with_text refuses. */
size_t pd_png_text_bytes(const pd_png_text *text);
/* As pd_png_encode, which is the same with a `text` of NULL. Needs
 * pd_png_bound + pd_png_text_bytes bytes at most. */
pd_status pd_png_encode_with_text(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, const pd_png_text *text,
                                  uint8_t *png, size_t capacity, size_t *written, pd_error *error);

/* ---- memory ------------------------------------------------------------------------- */

typedef struct pd_allocator {
    void *(*allocate)(void *context, size_t size); /* NULL when there is none; 16-byte aligned */
    void (*release)(void *context, void *block); /* block may be NULL */
    void *context;
} pd_allocator;

/* Replaces malloc and free for everything allocated from now on; NULL restores
 * them. Not to be changed while anything is allocated. */
void pd_set_allocator(const pd_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
