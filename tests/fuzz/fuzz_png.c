/* Pictures of any size, also impossible ones. Input: png_request, then pixels,
 * which repeat until the picture is full. */
#include "fuzz.h"

typedef struct png_request {
    int16_t width, height;
    int8_t channels, short_of; /* short_of: bytes that the buffer lacks of the bound */
    uint16_t large;            /* 0x1234: sides times 256 */
} png_request;

enum { MOST_PIXEL_BYTES = 1 << 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    png_request request;
    if (size <= sizeof request) return 0;
    memcpy(&request, data, sizeof request);
    const int32_t scale = request.large == 0x1234 ? 256 : 1;
    const int32_t width = request.width * scale, height = request.height * scale, channels = request.channels;
    const size_t bound = pd_png_bound(width, height, channels);
    const uint64_t count = bound ? (uint64_t)width * (uint64_t)height * (uint64_t)channels : 1;
    if (count > MOST_PIXEL_BYTES) return 0;
    uint8_t *pixels = malloc((size_t)count);
    const size_t capacity = bound > (size_t)(request.short_of & 127) ? bound - (size_t)(request.short_of & 127) : 0;
    uint8_t *png = malloc(capacity ? capacity : 1);
    if (!pixels || !png) abort();
    for (size_t i = 0; i < count; i++) pixels[i] = data[sizeof request + i % (size - sizeof request)];
    size_t written = 12345;
    pd_error error = {0};
    fuzz_memory_reset(SIZE_MAX, request.short_of == -1);
    const pd_status status = pd_png_encode(pixels, width, height, channels, png, capacity, &written, &error);
    if (status == PD_OK) {
        REQUIRE(written <= capacity && written > 57 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0);
        REQUIRE(memcmp(png + written - 8, "IEND\xae\x42\x60\x82", 8) == 0);
    } else {
        REQUIRE(written == 12345);
        fuzz_require_error(status, &error);
    }
    REQUIRE(fuzz_memory.live == 0);
    free(pixels);
    free(png);
    return 0;
}
