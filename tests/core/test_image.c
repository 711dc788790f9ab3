/* Pixels against torch.nn.functional.pixel_shuffle and rounding in PyTorch. */
#include "image.h"

#include "check.h"
#include "golden.h"

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
    return check_result();
}
