/* Network space to 8-bit pixels, and back. */
#ifndef PD_IMAGE_H
#define PD_IMAGE_H

#include <stdint.h>

/* `x`: planar [channels * r * r][height / r][width / r] in [-1, 1]. `pixels`:
 * interleaved rows [height][width][channels]. Undoes
 * torch.nn.functional.pixel_unshuffle(image, r), then maps to 8 bits as
 * floor(clamp((x + 1) / 2) * 255 + 0.5). */
void pd_image_to_pixels(const float *x, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                        uint8_t *pixels);
/* The way back: pixel / 255 * 2 - 1, pixel-unshuffled. pd_image_to_pixels gives
 * the same pixels again. */
void pd_image_from_pixels(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                          float *x);
/* `mask`: rows [height][width]. keep: as x above, 1 where the mask is 0 and
 * 0 elsewhere, for every channel. */
void pd_image_mask_to_keep(const uint8_t *mask, int32_t width, int32_t height, int32_t channels, int32_t pixel_unshuffle,
                           uint8_t *keep);

#endif
