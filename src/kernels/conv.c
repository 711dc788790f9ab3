/* Convolution: sizes, choice of form, dispatch. */
#include "conv.h"

#include <assert.h>

#include "reference.h"

/* Time of a product with `rows` rows of A, in units of a row in a full register
 * tile of two. A row of its own takes 1.3 of them: with fewer independent sums the
 * additions wait for each other. (Measured in WebAssembly: 22 GFLOP/s with one row,
 * 28 with two or more.) */
static double product_time(int64_t rows) { return (double)rows + (rows % 2 ? 0.3 : 0); }

/* Time to read the weights of one position, in the same units: as much as 4.5
 * rows, if they come at 16 GB/s. In a network they do not stay in the caches from
 * one pass to the next. */
#define TRAFFIC_TIME 4.5

/* A plan is for the two predictions of guided sampling; with more images in a
 * batch, other forms may be somewhat faster, at up to 1.5 times the memory. */
static int32_t planned_images(const pd_conv *conv) { return conv->shape.images < 2 ? conv->shape.images : 2; }

static double position_time(int64_t rows)
{
    const double time = product_time(rows);
    return time > TRAFFIC_TIME ? time : TRAFFIC_TIME;
}

/* A kernel cut into pieces has 6 to 9 times the weights of the direct form, and must
 * be faster by a fifth as planned: 4x4 with step 2 that makes 4x4 maps, planned
 * to take 0.86 of the time, took 1.2 to 1.8. */
#define PIECES_TIME 1.25

/* The most weights of a kernel in pieces, in floats: 4 MiB. Of the widest layer that a
 * model may have they would take 600, more than half of its memory. */
#define MOST_PIECES_WEIGHTS 1048576

static bool winograd_pays(const pd_conv_shape *s)
{
    const int64_t pieces = pd_conv_winograd_pieces(s);
    if (s->kernel < 3 || pieces == 0) return false;
    return pieces == 1 || pieces * pieces * 36 * s->in_channels * s->out_channels <= MOST_PIECES_WEIGHTS;
}

/* Multiplications, as the time they take, and the transforms: a tile is
 * transformed once for all output channels on its way in, once for all input
 * channels on its way out, each at about the price of 7 channels in the product.
 * (Fits the measured 105, 121 and 127 GFLOP/s of F(4x4) at 32, 64 and 128
 * channels within 5 %, and those of F(2x2), of an AMD EPYC with tiles of 4 rows by
 * 8 columns.) */
static double winograd_time(const pd_conv *conv, int32_t m, int32_t n)
{
    const int64_t tiles = (int64_t)((conv->out_height + m - 1) / m) * ((conv->out_width + n - 1) / n);
    const int32_t side = pd_conv_winograd_pieces(&conv->shape), pieces = side * side;
    const double transforms = 7.0 / (pieces * conv->shape.in_channels) + 7.0 / conv->shape.out_channels;
    const double time = pieces * (m + 2) * (n + 2) * position_time(tiles * planned_images(conv)) * (1 + transforms);
    return pieces > 1 ? time * PIECES_TIME : time;
}

/* What comes out: F(4x4) nearly everywhere, on large maps for 7x7 and for 4x4 with
 * step 2 too; F(2x4) for maps of 3x3 and 4x4 in a batch of two, where the many
 * weights of F(4x4) are each used for two tiles only; F(2x2), whose smaller tiles waste
 * less, for 5x5 and 6x6; the direct form for maps of up to 2x2. */
static pd_conv_form choose_form(const pd_conv *conv)
{
    const pd_conv_shape *s = &conv->shape;
    if (!winograd_pays(s)) return PD_CONV_DIRECT;
    const double times[PD_CONV_FORMS] = {
        [PD_CONV_DIRECT] = s->kernel * s->kernel *
                           position_time((int64_t)conv->out_height * conv->out_width * planned_images(conv)),
        [PD_CONV_WINOGRAD_2] = winograd_time(conv, 2, 2),
        [PD_CONV_WINOGRAD_2X4] = winograd_time(conv, 2, 4),
        [PD_CONV_WINOGRAD_4] = winograd_time(conv, 4, 4),
    };
    pd_conv_form best = PD_CONV_DIRECT;
    for (int form = 1; form < PD_CONV_FORMS; form++)
        if (times[form] < times[best]) best = (pd_conv_form)form;
    return best;
}

static void measure(pd_conv *conv, const pd_conv_shape *shape)
{
    const int32_t scale = shape->upsample ? 2 : 1;
    const int32_t height = shape->in_height * scale + 2 * shape->padding;
    const int32_t width = shape->in_width * scale + 2 * shape->padding;
    assert(shape->out_channels % 4 == 0 && shape->in_channels > 0 && shape->images > 0);
    assert(!shape->upsample || (shape->kernel == 3 && shape->step == 1));
    assert(height >= shape->kernel && width >= shape->kernel);
    *conv = (pd_conv){
        .shape = *shape,
        .out_height = (height - shape->kernel) / shape->step + 1,
        .out_width = (width - shape->kernel) / shape->step + 1,
    };
}

void pd_conv_plan_form(pd_conv *conv, const pd_conv_shape *shape, pd_conv_form form)
{
    assert(form == PD_CONV_DIRECT || pd_conv_winograd_pieces(shape));
    measure(conv, shape);
    conv->form = form;
    if (form == PD_CONV_DIRECT) pd_conv_direct_plan(conv);
    else pd_conv_winograd_plan(conv);
}

void pd_conv_plan(pd_conv *conv, const pd_conv_shape *shape)
{
    measure(conv, shape);
    pd_conv_plan_form(conv, shape, choose_form(conv));
}

void pd_conv_pack(const pd_conv *conv, const float *weights, float *packed)
{
    if (pd_reference_in_use) pd_reference_conv_pack(conv, weights, packed);
    else if (conv->form == PD_CONV_DIRECT) pd_conv_direct_pack(conv, weights, packed);
    else pd_conv_winograd_pack(conv, weights, packed);
}

void pd_conv_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch)
{
    assert(in->channels == conv->shape.in_channels && out->channels == conv->shape.out_channels);
    assert(in->height == conv->shape.in_height && in->width == conv->shape.in_width);
    assert(out->height == conv->out_height && out->width == conv->out_width);
    assert(in->images == out->images && in->images <= conv->shape.images);
    if (pd_reference_in_use) pd_reference_conv_run(conv, in, residual, out);
    else if (conv->form == PD_CONV_DIRECT) pd_conv_direct_run(conv, in, residual, out, scratch);
    else pd_conv_winograd_run(conv, in, residual, out, scratch);
}
