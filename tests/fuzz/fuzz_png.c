/* Pictures of any size, also impossible ones, with and without a text of any
 * bytes. Input: png_request, then keyword, text and pixels; these repeat until
 * the picture is full. */
#include "fuzz.h"

typedef struct png_request {
    int16_t width, height;
    uint16_t text_length;
    int8_t channels;
    uint8_t keyword_length, short_of, fail_at; /* short_of: bytes that the buffer lacks of the bound */
    uint8_t kind, spare;                       /* kind: bits of png_kind */
} png_request;

enum png_kind { PNG_TEXT = 1, PNG_LARGE = 2 /* sides times 256 */, PNG_NO_KEYWORD = 4, PNG_NO_TEXT = 8, PNG_LONG_TEXT = 16 };

enum { MOST_PIXEL_BYTES = 1 << 12, BEFORE_TEXT = 8 + 25 };

/* The next `count` bytes of the input, and `extra` zeros, in a block of exactly that size. */
static void *take(const uint8_t **data, size_t *size, size_t count, size_t extra)
{
    if (count > *size) count = *size;
    uint8_t *block = calloc(count + extra ? count + extra : 1, 1);
    if (!block) abort();
    memcpy(block, *data, count);
    *data += count;
    *size -= count;
    return block;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* PNG specification, annex D, bit by bit. */
static uint32_t crc(const uint8_t *bytes, size_t size)
{
    uint32_t value = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        value ^= bytes[i];
        for (int k = 0; k < 8; k++) value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
    }
    return ~value;
}

/* Chunks that fill the file, in order, each with its checksum. */
static void require_chunks(const uint8_t *png, size_t size, bool text)
{
    static const char *const types[] = {"IHDR", "iTXt", "IDAT", "IEND"};
    REQUIRE(size > 57 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0);
    size_t at = 8;
    for (int i = 0; i < 4; i++) {
        if (i == 1 && !text) continue;
        REQUIRE(size - at >= 12);
        const size_t length = big_endian(png + at);
        REQUIRE(length <= size - at - 12 && memcmp(png + at + 4, types[i], 4) == 0);
        REQUIRE(big_endian(png + at + 8 + length) == crc(png + at + 4, 4 + length));
        at += 12 + length;
    }
    REQUIRE(at == size);
}

/* What keywords are (PNG specification, 11.3.3.1), of ASCII. */
static bool is_keyword(const char *keyword)
{
    const size_t length = strlen(keyword);
    if (length < 1 || length > 79 || keyword[0] == ' ' || keyword[length - 1] == ' ' || strstr(keyword, "  ")) return false;
    for (size_t i = 0; i < length; i++)
        if (keyword[i] < 32 || keyword[i] > 126) return false;
    return true;
}

typedef struct image {
    const uint8_t *pixels;
    int32_t width, height, channels;
} image;

/* The text stands behind the header, and the file is otherwise what it is without. */
static void require_text(const uint8_t *png, size_t size, const pd_png_text *text, const image *picture)
{
    REQUIRE(text->keyword && text->text && is_keyword(text->keyword) && memchr(text->text, 0, text->length) == NULL);
    const size_t keyword = strlen(text->keyword), added = pd_png_text_bytes(text);
    const uint8_t *content = png + BEFORE_TEXT + 8;
    REQUIRE(added == 12 + keyword + 5 + text->length);
    REQUIRE(memcmp(content, text->keyword, keyword) == 0 && memcmp(content + keyword, "\0\0\0\0\0", 5) == 0);
    REQUIRE(memcmp(content + keyword + 5, text->text, text->length) == 0);
    size_t plain_size = 0;
    uint8_t *plain = malloc(size - added);
    if (!plain) abort();
    REQUIRE(pd_png_encode(picture->pixels, picture->width, picture->height, picture->channels, plain, size - added, &plain_size, NULL) == PD_OK);
    REQUIRE(plain_size == size - added && memcmp(png, plain, BEFORE_TEXT) == 0);
    REQUIRE(memcmp(png + BEFORE_TEXT + added, plain + BEFORE_TEXT, plain_size - BEFORE_TEXT) == 0);
    free(plain);
}

static void encode(const png_request *request, const image *picture, const pd_png_text *text)
{
    const int32_t width = picture->width, height = picture->height, channels = picture->channels;
    const size_t most = pd_png_bound(width, height, channels) + pd_png_text_bytes(text);
    const size_t capacity = most > request->short_of ? most - request->short_of : 0;
    uint8_t *png = malloc(capacity ? capacity : 1);
    if (!png) abort();
    size_t written = 12345;
    pd_error error = {0};
    fuzz_memory_reset(SIZE_MAX, request->fail_at);
    const pd_status status = pd_png_encode_with_text(picture->pixels, width, height, channels, text, png, capacity, &written, &error);
    fuzz_memory.fail_at = 0;
    if (status == PD_OK) {
        REQUIRE(written <= capacity);
        require_chunks(png, written, text != NULL);
        if (text) require_text(png, written, text, picture);
    } else {
        REQUIRE(written == 12345);
        fuzz_require_error(status, &error);
    }
    REQUIRE(fuzz_memory.live == 0);
    free(png);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    png_request request;
    if (size <= sizeof request) return 0;
    memcpy(&request, data, sizeof request);
    data += sizeof request;
    size -= sizeof request;
    const int32_t scale = request.kind & PNG_LARGE ? 256 : 1;
    image picture = {NULL, request.width * scale, request.height * scale, request.channels};
    const size_t bound = pd_png_bound(picture.width, picture.height, picture.channels);
    const uint64_t count = bound ? (uint64_t)picture.width * (uint64_t)picture.height * (uint64_t)picture.channels : 1;
    if (count > MOST_PIXEL_BYTES) return 0;
    char *keyword = take(&data, &size, request.keyword_length, 1);
    const size_t before = size;
    char *bytes = take(&data, &size, request.text_length, 0);
    pd_png_text text = {keyword, bytes, before - size};
    if (request.kind & PNG_NO_KEYWORD) text.keyword = NULL;
    if (request.kind & PNG_NO_TEXT) text.text = NULL;
    if (request.kind & PNG_LONG_TEXT) text.length = PD_MAX_PNG_TEXT_BYTES + 1; /* refused before a byte is read */
    uint8_t *pixels = calloc((size_t)count, 1);
    if (!pixels) abort();
    for (size_t i = 0; size > 0 && i < count; i++) pixels[i] = data[i % size];
    picture.pixels = pixels;
    encode(&request, &picture, request.kind & PNG_TEXT ? &text : NULL);
    free(keyword);
    free(bytes);
    free(pixels);
    return 0;
}

/* Mostly the change of a byte; often, and where the width is 0, of a picture that is usable, with a text that is. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned seed)
{
    static const char content[] = "pocket-diffusion{\"label\": \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8c\", \"seed\": 7}";
    const png_request usable = {.width = (int16_t)(1 + seed % 9), .height = (int16_t)(1 + seed / 16 % 9),
                                .channels = (int8_t)(1 + seed / 256 % 4), .keyword_length = 16,
                                .text_length = (uint16_t)(sizeof content - 1 - 16), .kind = seed / 1024 % 4 ? PNG_TEXT : 0};
    if (capacity < sizeof usable + sizeof content) return LLVMFuzzerMutate(data, size, capacity);
    if (size <= sizeof usable || seed % 32 == 0 || (data[0] | data[1]) == 0) {
        memcpy(data, &usable, sizeof usable);
        memcpy(data + sizeof usable, content, sizeof content);
        size = sizeof usable + sizeof content;
    }
    if (seed % 4 == 1) data[seed / 4 % sizeof usable] = (uint8_t)(seed >> 20);
    return LLVMFuzzerMutate(data, size, capacity);
}
