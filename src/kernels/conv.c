/* Convolution: sizes, choice of form, dispatch. */
#include "conv.h"

#include <assert.h>

#include "reference.h"

static bool winograd_fits(const pd_conv_shape *s)
{
    return s->kernel == 3 && s->step == 1 && s->in_channels % 4 == 0;
}

static pd_conv_form choose_form(const pd_conv_shape *s)
{
    if (!winograd_fits(s))
        return PD_CONV_DIRECT;
    return PD_CONV_WINOGRAD_4;
}

void pd_conv_plan_form(pd_conv *conv, const pd_conv_shape *shape, pd_conv_form form)
{
    const int32_t scale = shape->upsample ? 2 : 1;
    assert(shape->out_channels % 4 == 0 && shape->in_channels > 0 && shape->images > 0);
    assert(!shape->upsample || (shape->kernel == 3 && shape->step == 1));
    assert(form == PD_CONV_DIRECT || winograd_fits(shape));
    assert(shape->in_height * scale + 2 * shape->padding >= shape->kernel);
    assert(shape->in_width * scale + 2 * shape->padding >= shape->kernel);
    *conv = (pd_conv){
        .shape = *shape,
        .form = form,
        .out_height = (shape->in_height * scale + 2 * shape->padding - shape->kernel) / shape->step + 1,
        .out_width = (shape->in_width * scale + 2 * shape->padding - shape->kernel) / shape->step + 1,
    };
    if (form == PD_CONV_DIRECT)
        pd_conv_direct_plan(conv);
    else
        pd_conv_winograd_plan(conv);
}

void pd_conv_plan(pd_conv *conv, const pd_conv_shape *shape) { pd_conv_plan_form(conv, shape, choose_form(shape)); }

void pd_conv_pack(const pd_conv *conv, const float *weights, float *packed)
{
    if (pd_reference_in_use)
        pd_reference_conv_pack(conv, weights, packed);
    else if (conv->form == PD_CONV_DIRECT)
        pd_conv_direct_pack(conv, weights, packed);
    else
        pd_conv_winograd_pack(conv, weights, packed);
}

void pd_conv_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch)
{
    assert(in->channels == conv->shape.in_channels && out->channels == conv->shape.out_channels);
    assert(in->height == conv->shape.in_height && in->width == conv->shape.in_width);
    assert(out->height == conv->out_height && out->width == conv->out_width);
    assert(in->images == out->images && in->images <= conv->shape.images);
    if (pd_reference_in_use)
        pd_reference_conv_run(conv, in, residual, out);
    else if (conv->form == PD_CONV_DIRECT)
        pd_conv_direct_run(conv, in, residual, out, scratch);
    else
        pd_conv_winograd_run(conv, in, residual, out, scratch);
}
