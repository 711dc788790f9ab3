#include "unet.h"

#include <assert.h>
#include <string.h>

#include "elementary.h"

#define PI 3.14159265358979323846

/* ---- embeddings --------------------------------------------------------------- */

/* Exact GELU, x Phi(x), as torch.nn.GELU() (Hendrycks and Gimpel 2016). */
static float gelu(float x) { return (float)(0.5 * (double)x * (1.0 + pd_erf((double)x * 0.70710678118654752440))); }

static pd_view vector_view(const float *data, int32_t channels)
{
    return (pd_view){(float *)(uintptr_t)data, 1, 1, 1, channels, channels};
}

static void linear(const pd_conv *layer, const float *in, float *out, float *scratch)
{
    const pd_view from = vector_view(in, layer->shape.in_channels), to = vector_view(out, layer->shape.out_channels);
    pd_conv_run(layer, &from, NULL, &to, scratch);
}

/* Linear, GELU, Linear, then the SiLU with which every block's mlp begins. */
static void embedding_mlp(const pd_unet *unet, const pd_conv *layer_1, const pd_conv *layer_2, const float *features,
                          float *embedding)
{
    const size_t size = (size_t)unet->embedding_size;
    float *hidden = unet->workspace.hidden_1;
    linear(layer_1, features, hidden, unet->workspace.scratch);
    for (size_t i = 0; i < size; i++) hidden[i] = gelu(hidden[i]);
    linear(layer_2, hidden, embedding, unet->workspace.scratch);
    pd_silu(size, embedding, embedding);
}

typedef struct projection {
    const pd_unet *unet;
    const float *embedding;
    float *condition;
} projection;

static void project_time(void *context, const pd_resnet *block)
{
    const projection *p = context;
    linear(&block->time_projection, p->embedding, p->condition + block->condition_offset, p->unet->workspace.scratch);
}

static void project_class(void *context, const pd_resnet *block)
{
    const projection *p = context;
    linear(&block->class_projection, p->embedding, p->condition + block->condition_offset, p->unet->workspace.scratch);
}

/* Rows of the class table and their weights. */
typedef struct row_sum {
    const float *row[2];
    float weight[2];
} row_sum;

/* The row of a class, or the two that lie next to the guidance scale. */
static row_sum rows_of_class(const pd_unet *unet, int32_t label, float guidance_scale)
{
    const pd_config *config = &unet->config;
    const size_t dim = (size_t)config->dim, rows = config->guidance_row_count ? (size_t)config->guidance_row_count : 1;
    const float *first = unet->class_table + (size_t)label * rows * dim;
    row_sum sum = {{first, NULL}, {1.0f, 0.0f}};
    if (rows == 1) return sum;
    const float *scales = config->guidance_scales;
    size_t low = 0;
    while (low + 2 < rows && scales[low + 1] <= guidance_scale) low++;
    const float share = (guidance_scale - scales[low]) / (scales[low + 1] - scales[low]);
    assert(share >= 0.0f && share <= 1.0f);
    return (row_sum){{first + low * dim, first + (low + 1) * dim}, {1.0f - share, share}};
}

/* sum += weight * rows; the first summand is set, not added. */
static void add_rows(const row_sum *rows, float weight, bool *first, size_t dim, float *sum)
{
    for (int i = 0; i < 2; i++) {
        const float *row = rows->row[i], factor = weight * rows->weight[i];
        if (factor == 0.0f) continue;
        for (size_t k = 0; k < dim; k++) sum[k] = *first ? factor * row[k] : sum[k] + factor * row[k];
        *first = false;
    }
}

void pd_unet_embed_class(const pd_unet *unet, int32_t label, float guidance_scale, float *condition)
{
    assert(label == PD_LABEL_NULL || (label >= 0 && label < unet->config.class_count));
    const pd_class_weight alone = {label, 1.0f};
    if (label != PD_LABEL_NULL && unet->config.guidance_row_count) {
        pd_unet_embed_mix(unet, &alone, 1, guidance_scale, condition);
        return;
    }
    const float *row = label == PD_LABEL_NULL ? unet->null_embedding
                                              : unet->class_table + (size_t)label * (size_t)unet->config.dim;
    projection p = {unet, unet->workspace.hidden_2, condition};
    embedding_mlp(unet, &unet->class_mlp_1, &unet->class_mlp_2, row, unet->workspace.hidden_2);
    pd_unet_each_resnet(unet, project_class, &p);
}

void pd_unet_embed_mix(const pd_unet *unet, const pd_class_weight *mix, int32_t count, float guidance_scale, float *condition)
{
    const size_t dim = (size_t)unet->config.dim;
    float *mixed = unet->workspace.hidden_2;
    bool first = true;
    for (int32_t i = 0; i < count; i++) {
        assert(mix[i].label >= 0 && mix[i].label < unet->config.class_count);
        if (mix[i].weight == 0.0f) continue;
        const row_sum rows = rows_of_class(unet, mix[i].label, guidance_scale);
        add_rows(&rows, mix[i].weight, &first, dim, mixed);
    }
    projection p = {unet, mixed, condition};
    embedding_mlp(unet, &unet->class_mlp_1, &unet->class_mlp_2, mixed, mixed);
    pd_unet_each_resnet(unet, project_class, &p);
}

/* SinusoidalPosEmb of the reference (Vaswani et al. 2017, section 3.5), with
 * its float32 roundings: t times the frequency is rounded before the sine. */
static void sinusoidal_features(int32_t t, int32_t dim, float *features)
{
    const int32_t half = dim / 2;
    const float step = (float)(pd_log(10000.0) / (half - 1));
    for (int32_t i = 0; i < half; i++) {
        const float exponent = (float)i * -step;
        const float angle = (float)t * (float)pd_exp((double)exponent);
        features[i] = (float)pd_sin((double)angle);
        features[half + i] = (float)pd_cos((double)angle);
    }
}

/* RandomOrLearnedSinusoidalPosEmb: [t, sin(2 pi f t), cos(2 pi f t)]. */
static void fourier_features(int32_t t, int32_t half, const float *frequencies, float *features)
{
    features[0] = (float)t;
    for (int32_t i = 0; i < half; i++) {
        const float angle = (float)t * frequencies[i] * 2.0f * (float)PI;
        features[1 + i] = (float)pd_sin((double)angle);
        features[1 + half + i] = (float)pd_cos((double)angle);
    }
}

void pd_unet_embed_time(const pd_unet *unet, int32_t t, float *condition)
{
    float *features = unet->workspace.hidden_2;
    if (unet->frequencies) {
        fourier_features(t, unet->config.fourier_dim / 2, unet->frequencies, features);
    } else {
        sinusoidal_features(t, unet->config.dim, features);
    }
    projection p = {unet, unet->workspace.hidden_2, condition};
    embedding_mlp(unet, &unet->time_mlp_1, &unet->time_mlp_2, features, unet->workspace.hidden_2);
    pd_unet_each_resnet(unet, project_time, &p);
}

/* ---- blocks ------------------------------------------------------------------- */

typedef struct forward_pass {
    const pd_unet *unet;
    const pd_workspace *workspace;
    int32_t images;
    int32_t distinct; /* image i has the input of image i % distinct: the predictions of guidance share theirs */
} forward_pass;

static pd_view view_of(const forward_pass *pass, float *data, int32_t height, int32_t width, int32_t channels)
{
    return (pd_view){data, pass->images, height, width, channels, channels};
}

/* `channels` channels of a view, from `first` on. */
static pd_view channels_of(const pd_view *view, int32_t first, int32_t channels)
{
    pd_view part = *view;
    part.data += first;
    part.channels = channels;
    return part;
}

/* out = convolution(in), where the first `distinct` images of `in` repeat. */
static void convolve_distinct(const forward_pass *pass, const pd_conv *convolution, int32_t distinct, const pd_view *in,
                              const pd_view *out)
{
    pd_view from = *in, to = *out;
    from.images = to.images = distinct;
    pd_conv_run(convolution, &from, NULL, &to, pass->workspace->scratch);
    const size_t stride = (size_t)out->stride, plane = (size_t)out->height * (size_t)out->width;
    const size_t computed = (size_t)distinct * plane, pixels = (size_t)out->images * plane;
    for (size_t i = computed; i < pixels; i++)
        memcpy(out->data + i * stride, out->data + (i - computed) * stride, sizeof(float) * (size_t)out->channels);
}

/* out = resnet(in). `out` is another buffer than `in`. The first `distinct` images
 * of `in` repeat: what does not depend on time and class is computed for these. */
static void resnet(const forward_pass *pass, const pd_resnet *block, int32_t distinct, const pd_view *in,
                   const pd_view *out)
{
    const pd_workspace *workspace = pass->workspace;
    const float *scale[PD_MAX_PICTURES], *shift[PD_MAX_PICTURES];
    for (int32_t i = 0; i < pass->images; i++) {
        scale[i] = workspace->conditions + (size_t)i * (size_t)pass->unet->condition_count + block->condition_offset;
        shift[i] = scale[i] + block->out_channels;
    }
    const pd_view hidden_1 = view_of(pass, workspace->hidden_1, in->height, in->width, block->out_channels);
    const pd_view hidden_2 = view_of(pass, workspace->hidden_2, in->height, in->width, block->out_channels);

    convolve_distinct(pass, &block->convolution_1, distinct, in, &hidden_1);
    pd_rms_norm(&hidden_1, block->gain_1, scale, shift, true, NULL, &hidden_1);
    pd_conv_run(&block->convolution_2, &hidden_1, NULL, &hidden_2, workspace->scratch);
    if (block->has_shortcut) pd_conv_run(&block->shortcut, in, NULL, out, workspace->scratch);
    pd_rms_norm(&hidden_2, block->gain_2, NULL, NULL, true, block->has_shortcut ? out : in, out);
}

/* out = in + attention(norm(in)). `out` is another buffer than `in`. */
static void attention(const forward_pass *pass, const pd_attention_layer *layer, const pd_view *in, const pd_view *out)
{
    const pd_workspace *workspace = pass->workspace;
    const int32_t inner = layer->to_out.shape.in_channels;
    const pd_view normed = view_of(pass, workspace->hidden_1, in->height, in->width, in->channels);
    const pd_view qkv = view_of(pass, workspace->qkv, in->height, in->width, 3 * inner);
    const pd_view attended = view_of(pass, workspace->attended, in->height, in->width, inner);

    pd_rms_norm(in, layer->norm_gain, NULL, NULL, false, NULL, &normed);
    pd_conv_run(&layer->to_qkv, &normed, NULL, &qkv, workspace->scratch);
    pd_attention(&qkv, layer->heads, layer->head_size, &attended, workspace->scratch);
    pd_conv_run(&layer->to_out, &attended, in, out, workspace->scratch);
}

/* ---- forward ------------------------------------------------------------------ */

static void load_conditions(const forward_pass *pass, const float *time_condition, const float *const *class_conditions)
{
    const size_t count = (size_t)pass->unet->condition_count;
    for (int32_t i = 0; i < pass->images; i++) {
        float *condition = pass->workspace->conditions + (size_t)i * count;
        for (size_t k = 0; k < count; k++) condition[k] = class_conditions[i][k] + time_condition[k];
    }
}

/* Skips are written where up_1 and up_2 will read them, behind the channels
 * that will come up. Returns the view in workspace->x that goes on. */
static pd_view go_down(const forward_pass *pass, pd_view x)
{
    for (int32_t i = 0; i < pass->unet->config.level_count; i++) {
        const pd_level *level = &pass->unet->levels[i];
        const int32_t in = level->in_channels, out = level->out_channels;
        const pd_view concat_1 = view_of(pass, level->concat_1, level->height, level->width, out + in);
        const pd_view concat_2 = view_of(pass, level->concat_2, level->height, level->width, out + in);
        const pd_view skip_1 = channels_of(&concat_2, out, in), skip_2 = channels_of(&concat_1, out, in);
        const pd_view y = view_of(pass, pass->workspace->y, level->height, level->width, in);

        resnet(pass, &level->down_1, i > 0 ? pass->images : pass->distinct, &x, &skip_1);
        resnet(pass, &level->down_2, pass->images, &skip_1, &y);
        pd_linear_attention_run(&level->down_attention, &y, &skip_2, pass->workspace->scratch);
        x = view_of(pass, pass->workspace->x, level->downsample.out_height, level->downsample.out_width, out);
        pd_conv_run(&level->downsample, &skip_2, NULL, &x, pass->workspace->scratch);
    }
    return x;
}

/* Reads the bottom level's concat_1, writes the first channels of stem_concat. */
static void go_up(const forward_pass *pass, const pd_view *stem_concat)
{
    for (int32_t i = pass->unet->config.level_count - 1; i >= 0; i--) {
        const pd_level *level = &pass->unet->levels[i];
        const int32_t in = level->in_channels, out = level->out_channels;
        const pd_view concat_1 = view_of(pass, level->concat_1, level->height, level->width, out + in);
        const pd_view concat_2 = view_of(pass, level->concat_2, level->height, level->width, out + in);
        const pd_view x = view_of(pass, pass->workspace->x, level->height, level->width, out);
        const pd_view y = view_of(pass, pass->workspace->y, level->height, level->width, out);
        const pd_view concat_2_head = channels_of(&concat_2, 0, out);

        resnet(pass, &level->up_1, pass->images, &concat_1, &concat_2_head);
        resnet(pass, &level->up_2, pass->images, &concat_2, &y);
        pd_linear_attention_run(&level->up_attention, &y, &x, pass->workspace->scratch);

        pd_view above = *stem_concat;
        if (i > 0) {
            const pd_level *next = level - 1;
            above = view_of(pass, next->concat_1, next->height, next->width, next->out_channels + next->in_channels);
        }
        const pd_view head = channels_of(&above, 0, in);
        pd_conv_run(&level->upsample, &x, NULL, &head, pass->workspace->scratch);
    }
}

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

void pd_unet_forward(const pd_unet *unet, int32_t images, const float *const *x, const float *time_condition,
                     const float *const *class_conditions, float *const *predictions)
{
    assert(images >= 1 && images <= unet->max_images && unet->max_images <= PD_MAX_PICTURES);
    const forward_pass pass = {unet, &unet->workspace, images, count_distinct(images, x)};
    const int32_t height = unet->height, width = unet->width, stem = unet->init_channels;
    const pd_level *bottom = &unet->levels[unet->config.level_count - 1];
    const size_t pixels = (size_t)height * (size_t)width;

    load_conditions(&pass, time_condition, class_conditions);
    for (int32_t i = 0; i < pass.distinct; i++) {
        const pd_view image = {pass.workspace->input + (size_t)i * pixels * (size_t)unet->config.channels, 1, height, width,
                               unet->config.channels, unet->config.channels};
        pd_from_planar(x[i], unet->config.channels, &image);
    }
    const pd_view input = view_of(&pass, pass.workspace->input, height, width, unet->config.channels);
    const pd_view stem_concat = view_of(&pass, pass.workspace->stem_concat, height, width, 2 * stem);
    const pd_view stem_output = channels_of(&stem_concat, stem, stem);
    convolve_distinct(&pass, &unet->stem, pass.distinct, &input, &stem_output);

    const pd_view down = go_down(&pass, stem_output);

    const pd_view y = view_of(&pass, pass.workspace->y, down.height, down.width, down.channels);
    const pd_view bottom_concat = view_of(&pass, bottom->concat_1, bottom->height, bottom->width,
                                          bottom->out_channels + bottom->in_channels);
    const pd_view bottom_head = channels_of(&bottom_concat, 0, bottom->out_channels);
    resnet(&pass, &unet->middle_1, images, &down, &y);
    attention(&pass, &unet->middle_attention, &y, &down);
    resnet(&pass, &unet->middle_2, images, &down, &bottom_head);

    go_up(&pass, &stem_concat);

    const pd_view final_hidden = view_of(&pass, pass.workspace->y, height, width, stem);
    const pd_view output = view_of(&pass, pass.workspace->x, height, width, unet->out_channels);
    resnet(&pass, &unet->final_block, images, &stem_concat, &final_hidden);
    pd_conv_run(&unet->final_convolution, &final_hidden, NULL, &output, pass.workspace->scratch);
    for (int32_t i = 0; i < images; i++) {
        const pd_view image = {output.data + (size_t)i * pixels * (size_t)unet->out_channels, 1, height, width,
                               unet->out_channels, unet->out_channels};
        pd_to_planar(&image, unet->config.out_dim, predictions[i]);
    }
}
