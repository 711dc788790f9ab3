#include "image.h"

#include <stddef.h>

/* Not-a-number becomes 0. */
static uint8_t to_8_bits(float value)
{
    const float unit = (value + 1.0f) * 0.5f;
    const float clamped = unit > 0.0f ? (unit < 1.0f ? unit : 1.0f) : 0.0f;
    return (uint8_t)(clamped * 255.0f + 0.5f); /* conversion truncates: floor of a positive number */
}

typedef struct layout {
    int32_t width, height, channels, factor;
} layout;

/* Where in network space a channel of a pixel is: in plane (channel r + row mod
 * r) r + column mod r. */
static size_t index_of(const layout *l, int32_t row, int32_t column, int32_t channel)
{
    const int32_t r = l->factor;
    const size_t plane_width = (size_t)(l->width / r), plane = plane_width * (size_t)(l->height / r);
    const int32_t index = (channel * r + row % r) * r + column % r;
    return (size_t)index * plane + (size_t)(row / r) * plane_width + (size_t)(column / r);
}

void pd_image_to_pixels(const float *x, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle, uint8_t *pixels)
{
    const layout l = {width, height, channels, pixel_unshuffle};
    for (int32_t row = 0; row < height; row++)
        for (int32_t column = 0; column < width; column++)
            for (int32_t channel = 0; channel < channels; channel++) *pixels++ = to_8_bits(x[index_of(&l, row, column, channel)]);
}

void pd_image_from_pixels(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                          float *x)
{
    const layout l = {width, height, channels, pixel_unshuffle};
    for (int32_t row = 0; row < height; row++)
        for (int32_t column = 0; column < width; column++)
            for (int32_t channel = 0; channel < channels; channel++)
                x[index_of(&l, row, column, channel)] = (float)*pixels++ / 255.0f * 2.0f - 1.0f;
}

void pd_image_mask_to_keep(const uint8_t *mask, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                           uint8_t *keep)
{
    const layout l = {width, height, channels, pixel_unshuffle};
    for (int32_t row = 0; row < height; row++)
        for (int32_t column = 0; column < width; column++, mask++)
            for (int32_t channel = 0; channel < channels; channel++) keep[index_of(&l, row, column, channel)] = *mask == 0;
}
