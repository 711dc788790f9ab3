/* Planar images to interleaved views and back. */
#include <assert.h>

#include "kernels.h"

void pd_from_planar(const float *planar, int32_t planar_channels, const pd_view *view)
{
    assert(planar_channels <= view->channels && view->channels <= view->stride);
    const size_t pixels = (size_t)view->height * (size_t)view->width, stride = (size_t)view->stride;
    for (int32_t image = 0; image < view->images; image++) {
        float *to = view->data + (size_t)image * pixels * stride;
        const float *from = planar + (size_t)image * pixels * (size_t)planar_channels;
        for (int32_t c = 0; c < view->channels; c++)
            for (size_t i = 0; i < pixels; i++)
                to[i * stride + (size_t)c] = c < planar_channels ? from[(size_t)c * pixels + i] : 0.0f;
    }
}

void pd_to_planar(const pd_view *view, int32_t planar_channels, float *planar)
{
    assert(planar_channels <= view->channels && view->channels <= view->stride);
    const size_t pixels = (size_t)view->height * (size_t)view->width, stride = (size_t)view->stride;
    for (int32_t image = 0; image < view->images; image++) {
        const float *from = view->data + (size_t)image * pixels * stride;
        float *to = planar + (size_t)image * pixels * (size_t)planar_channels;
        for (int32_t c = 0; c < planar_channels; c++)
            for (size_t i = 0; i < pixels; i++) to[(size_t)c * pixels + i] = from[i * stride + (size_t)c];
    }
}
