#include "image.h"

#include <stddef.h>

/* Not-a-number becomes 0. */
static uint8_t to_8_bits(float value)
{
    const float unit = (value + 1.0f) * 0.5f;
    const float clamped = unit > 0.0f ? (unit < 1.0f ? unit : 1.0f) : 0.0f;
    return (uint8_t)(clamped * 255.0f + 0.5f); /* conversion truncates: floor of a positive number */
}

void pd_image_to_pixels(const float *x, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                        uint8_t *pixels)
{
    const int32_t r = pixel_unshuffle;
    const size_t plane_width = (size_t)(width / r), plane = plane_width * (size_t)(height / r);
    for (int32_t row = 0; row < height; row++) {
        for (int32_t column = 0; column < width; column++) {
            /* Plane (channel r + row mod r) r + column mod r holds this pixel. */
            const size_t offset = (size_t)(row / r) * plane_width + (size_t)(column / r);
            for (int32_t channel = 0; channel < channels; channel++) {
                const size_t index = (size_t)(channel * r + row % r) * (size_t)r + (size_t)(column % r);
                *pixels++ = to_8_bits(x[index * plane + offset]);
            }
        }
    }
}
