/* Pixels against torch.nn.functional.pixel_shuffle and rounding in PyTorch. */
#include "image.h"

#include "check.h"
#include "golden.h"

#include <string.h>

static void test_case(const golden *fixture, int32_t factor, int32_t width, int32_t height, int32_t channels)
{
    char name[64];
    size_t count, pixel_count;
    snprintf(name, sizeof name, "%d.%d.%d.%d.x", factor, width, height, channels);
    const float *x = GOLDEN_F32(fixture, name, &count);
    snprintf(name, sizeof name, "%d.%d.%d.%d.pixels", factor, width, height, channels);
    const uint8_t *expected = GOLDEN_U8(fixture, name, &pixel_count);
    CHECK(count == pixel_count && count == (size_t)(width * height * channels));
    uint8_t *pixels = malloc(count); /* exact, for the sanitizer */
    pd_image_to_pixels(x, width, height, channels, factor, pixels);
    for (size_t i = 0; i < count; i++)
        CHECK(pixels[i] == expected[i]);
    free(pixels);
}

/* Every level comes back, halves go up, and what is outside is clamped. */
static void test_levels(void)
{
    for (int level = 0; level < 256; level++) {
        const float x = (float)level / 255.0f * 2.0f - 1.0f;
        uint8_t pixel = 0;
        pd_image_to_pixels(&x, 1, 1, 1, 1, &pixel);
        CHECK(pixel == level);
    }
    static const float outside[] = {-1.0f, -2.0f, -HUGE_VALF, 1.0f, 1.0001f, 3e38f, HUGE_VALF, NAN};
    static const uint8_t expected[] = {0, 0, 0, 255, 255, 255, 255, 0};
    uint8_t pixels[8];
    pd_image_to_pixels(outside, 8, 1, 1, 1, pixels);
    for (int i = 0; i < 8; i++)
        CHECK(pixels[i] == expected[i]);
}

/* Pixels, and where a mask is 0, go to the same place as they come from. */
static void test_way_back(int32_t factor, int32_t width, int32_t height, int32_t channels)
{
    const size_t pixels = (size_t)(width * height), count = pixels * (size_t)channels;
    uint8_t *image = malloc(count), *again = malloc(count), *mask = malloc(pixels), *keep = malloc(count);
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++) image[i] = (uint8_t)(i * 37 + i / 256);
    for (size_t i = 0; i < pixels; i++) mask[i] = i % 7 < 3 ? 255 : 0;
    pd_image_from_pixels(image, width, height, channels, factor, x);
    pd_image_to_pixels(x, width, height, channels, factor, again);
    CHECK(memcmp(image, again, count) == 0);
    pd_image_mask_to_keep(mask, width, height, channels, factor, keep);
    for (size_t i = 0; i < count; i++) x[i] = keep[i] ? 1.0f : -1.0f;
    pd_image_to_pixels(x, width, height, channels, factor, again);
    for (size_t i = 0; i < count; i++) CHECK(again[i] == 255 - mask[i / (size_t)channels]);
    free(image);
    free(again);
    free(mask);
    free(keep);
    free(x);
}

int main(void)
{
    golden fixture = golden_open("image");
    test_case(&fixture, 1, 5, 3, 3);
    test_case(&fixture, 1, 7, 2, 1);
    test_case(&fixture, 2, 6, 4, 1);
    test_case(&fixture, 3, 9, 6, 3);
    test_case(&fixture, 4, 8, 12, 4);
    golden_close(&fixture);
    test_levels();
    test_way_back(1, 16, 16, 1);
    test_way_back(1, 5, 3, 3);
    test_way_back(2, 18, 16, 1);
    test_way_back(3, 9, 6, 3);
    test_way_back(4, 8, 12, 4);
    return check_result();
}
