/* PNG files: their frame, their bound, and that the memory set aside for stb
 * is enough for every kind of picture. What they hold is decoded by Pillow in
 * tests/parity/test_png.py. */
#include "pocket_diffusion.h"

#include "check.h"
#include "golden.h"

/* An allocator that fills blocks with a pattern and, when one is released,
 * finds how much of it was written. */
#define HASH 0x59665f4f7aa1cfc2u /* of test_sizes */

#define PATTERN 0xa7
static int blocks, refuse;
static size_t last_size, last_used, most_asked;

static void *allocate(void *context, size_t size)
{
    (void)context;
    if (refuse)
        return NULL;
    unsigned char *block = aligned_alloc(16, (size + 31) / 16 * 16);
    if (!block)
        return NULL;
    memset(block, PATTERN, size + 16);
    memcpy(block, &size, sizeof size);
    blocks++;
    most_asked = size > most_asked ? size : most_asked;
    return block + 16;
}

static void release(void *context, void *pointer)
{
    (void)context;
    if (!pointer)
        return;
    unsigned char *block = (unsigned char *)pointer - 16;
    memcpy(&last_size, block, sizeof last_size);
    for (last_used = last_size; last_used > 0 && block[16 + last_used - 1] == PATTERN;)
        last_used--;
    free(block);
    blocks--;
}

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1u ? (crc >> 1) ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

/* Signature, IHDR of this picture, one IDAT, IEND, each with its checksum, and
 * nothing else. */
static void check_frame(const uint8_t *png, size_t size, int32_t width, int32_t height, int32_t channels)
{
    static const uint8_t colour_types[] = {0, 0, 4, 2, 6};
    CHECK(size > 57 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0);
    size_t position = 8;
    static const char *const names[] = {"IHDR", "IDAT", "IEND"};
    for (int chunk = 0; chunk < 3; chunk++) {
        CHECK(position + 12 <= size);
        const uint8_t *content = png + position;
        const size_t length = big_endian(content);
        CHECK(length <= size - position - 12 && memcmp(content + 4, names[chunk], 4) == 0);
        if (chunk == 0) {
            CHECK(length == 13 && big_endian(content + 8) == (uint32_t)width &&
                  big_endian(content + 12) == (uint32_t)height);
            CHECK(content[16] == 8 && content[17] == colour_types[channels]);
            CHECK(content[18] == 0 && content[19] == 0 && content[20] == 0);
        }
        CHECK(big_endian(content + 8 + length) == crc32_of(content + 4, length + 4));
        position += length + 12;
    }
    CHECK(position == size);
}

enum kind { NOISE, CONSTANT, GRADIENT, WORDS, FAR_WORDS, STEPS, KINDS };

/* WORDS and FAR_WORDS repeat three bytes at a time from near and far: what costs
 * deflate the most bits for each byte. */
static void fill(uint8_t *pixels, size_t count, enum kind kind, int32_t width, int32_t channels)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        if (kind < WORDS || i % 3 == 0)
            state = state * 1664525u + 1013904223u;
        const size_t column = i / (size_t)channels % (size_t)width, row = i / (size_t)channels / (size_t)width;
        switch (kind) {
        case NOISE: pixels[i] = (uint8_t)(state >> 24); break;
        case CONSTANT: pixels[i] = 200; break;
        case GRADIENT: pixels[i] = (uint8_t)(column * 3 + row * 5 + i % (size_t)channels); break;
        case WORDS: pixels[i] = (uint8_t)((state >> 26) * 37 + i % 3 * 11); break;
        case FAR_WORDS: pixels[i] = (uint8_t)((((state >> 19) * 2654435761u) >> (8 * (i % 3))) & 3u); break;
        default: pixels[i] = column % 32 < 16 ? 0 : (uint8_t)(row / 7); break;
        }
    }
}

/* Of the memory beyond stb's hash table, which is the same for every picture. */
static double largest_share;
#define TABLE (16384 * sizeof(void *))

static unsigned long long encode(int32_t width, int32_t height, int32_t channels, enum kind kind)
{
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    const size_t bound = pd_png_bound(width, height, channels);
    uint8_t *pixels = malloc(count), *png = malloc(bound); /* exact, for the sanitizer */
    fill(pixels, count, kind, width, channels);
    size_t written = 0;
    pd_error error = {PD_OK, 0, ""};
    CHECK(bound >= 57);
    CHECK(pd_png_encode(pixels, width, height, channels, png, bound, &written, &error) == PD_OK);
    CHECK(written <= bound && blocks == 0);
    CHECK(last_used < last_size && last_used > TABLE);
    largest_share = fmax(largest_share, (double)(last_used - TABLE) / (double)(last_size - TABLE));
    check_frame(png, written, width, height, channels);
    const unsigned long long hash = golden_hash(GOLDEN_HASH_START, png, written);

    /* The exact length is enough, one byte less is not and changes nothing. */
    size_t again = 77;
    if (count < 100000) {
        png[written - 1] = 0;
        CHECK(pd_png_encode(pixels, width, height, channels, png, written - 1, &again, &error) == PD_BUFFER);
        CHECK(again == 77 && png[written - 1] == 0 && blocks == 0 && error.status == PD_BUFFER && error.message[0]);
        CHECK(pd_png_encode(pixels, width, height, channels, png, written, &again, NULL) == PD_OK);
        CHECK(again == written && golden_hash(GOLDEN_HASH_START, png, written) == hash);
    }
    free(pixels);
    free(png);
    return hash;
}

static void test_sizes(void)
{
    static const int32_t sizes[][2] = {{1, 1},    {1, 2},   {2, 1},    {3, 5},    {1, 300},  {300, 1},   {1, 8192},
                                       {8192, 1}, {32, 32}, {33, 31},  {64, 64},  {128, 96}, {256, 256}, {8192, 8},
                                       {8, 8192}, {1, 4095}, {4095, 2}, {181, 181}};
    unsigned long long hash = GOLDEN_HASH_START;
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++)
        for (int32_t channels = 1; channels <= 4; channels++)
            for (int kind = 0; kind < KINDS; kind++) {
                const unsigned long long file = encode(sizes[n][0], sizes[n][1], channels, (enum kind)kind);
                hash = golden_hash(hash, &file, sizeof file);
            }
    /* The same on every compiler and processor. */
    CHECK(hash == HASH);
    if (hash != HASH)
        fprintf(stderr, "hash is 0x%llx\n", hash);
    encode(1024, 1024, 4, NOISE);
    encode(1024, 1024, 4, FAR_WORDS);
    encode(2048, 1024, 3, GRADIENT);
    printf("largest share of the memory set aside, beside the hash table, that was used: %.2f\n", largest_share);
}

/* Small pictures of every size, where the fixed terms of the bound matter. */
static void test_small_sizes(void)
{
    for (int32_t width = 1; width <= 12; width++)
        for (int32_t height = 1; height <= 12; height++)
            for (int32_t channels = 1; channels <= 4; channels++)
                encode(width, height, channels, (enum kind)((width + height + channels) % KINDS));
}

static void test_refusals(void)
{
    const uint8_t pixels[16] = {0};
    uint8_t png[256];
    size_t written = 77;
    pd_error error;
    CHECK(pd_png_encode(NULL, 2, 2, 1, png, sizeof png, &written, &error) == PD_ARG && error.status == PD_ARG);
    CHECK(pd_png_encode(pixels, 2, 2, 1, NULL, sizeof png, &written, &error) == PD_ARG);
    CHECK(pd_png_encode(pixels, 2, 2, 1, png, sizeof png, NULL, &error) == PD_ARG);
    CHECK(pd_png_encode(pixels, 2, 2, 1, png, 0, &written, &error) == PD_BUFFER);
    static const int32_t unusable[][3] = {{0, 2, 1},    {2, 0, 1},    {-1, 2, 1},        {2, -1, 1},        {8193, 1, 1},
                                          {1, 8193, 1}, {2, 2, 0},    {2, 2, 5},         {2, 2, -1},        {INT32_MAX, 1, 1},
                                          {1, INT32_MIN, 1}, {1, 1, INT32_MAX}};
    for (size_t n = 0; n < sizeof unusable / sizeof *unusable; n++) {
        CHECK(pd_png_bound(unusable[n][0], unusable[n][1], unusable[n][2]) == 0);
        CHECK(pd_png_encode(pixels, unusable[n][0], unusable[n][1], unusable[n][2], png, sizeof png, &written,
                            &error) == PD_BUFFER);
        CHECK(error.status == PD_BUFFER && error.message[0]);
    }
    CHECK(pd_png_bound(8192, 8192, 4) == 0);
    CHECK(pd_png_encode(pixels, 8192, 8192, 4, png, sizeof png, &written, &error) == PD_TOO_BIG);
    CHECK(pd_png_bound(8192, 8192, 1) > 0 && pd_png_bound(4096, 4096, 4) > 0);
    refuse = 1;
    CHECK(pd_png_encode(pixels, 2, 2, 1, png, sizeof png, &written, &error) == PD_MEMORY && error.status == PD_MEMORY);
    refuse = 0;
    CHECK(written == 77 && blocks == 0);
    CHECK(pd_png_encode(pixels, 2, 2, 1, png, sizeof png, &written, &error) == PD_OK && written < sizeof png);
}

static pd_status encode_text(const char *keyword, const char *content, size_t length, uint8_t *png, size_t capacity, size_t *written)
{
    static const uint8_t pixels[] = {1, 2, 3, 4};
    const pd_png_text text = {keyword, content, length};
    pd_error error = {PD_OK, 0, ""};
    const pd_status status = pd_png_encode_with_text(pixels, 2, 2, 1, &text, png, capacity, written, &error);
    CHECK(error.status == status && (status == PD_OK) == (error.message[0] == '\0'));
    CHECK((pd_png_text_bytes(&text) > 0) == (status == PD_OK || status == PD_BUFFER));
    return status;
}

/* One iTXt chunk after the header, and the rest of the file as without it. */
static void check_text(const char *keyword, const char *content, size_t length)
{
    const uint8_t pixels[] = {1, 2, 3, 4};
    uint8_t plain[256];
    size_t plain_size = 0, size = 0;
    CHECK(pd_png_encode(pixels, 2, 2, 1, plain, sizeof plain, &plain_size, NULL) == PD_OK);
    const size_t name = strlen(keyword), chunk = 12 + name + 5 + length;
    CHECK(pd_png_text_bytes(&(pd_png_text){keyword, content, length}) == chunk);
    uint8_t *png = malloc(plain_size + chunk); /* exact, for the sanitizer */
    CHECK(encode_text(keyword, content, length, png, plain_size + chunk - 1, &size) == PD_BUFFER && size == 0);
    CHECK(encode_text(keyword, content, length, png, plain_size + chunk, &size) == PD_OK && size == plain_size + chunk);
    CHECK(memcmp(png, plain, 33) == 0 && memcmp(png + 33 + chunk, plain + 33, plain_size - 33) == 0);
    const uint8_t *found = png + 33;
    CHECK(big_endian(found) == chunk - 12 && memcmp(found + 4, "iTXt", 4) == 0);
    CHECK(memcmp(found + 8, keyword, name) == 0 && memcmp(found + 8 + name, "\0\0\0\0\0", 5) == 0);
    CHECK(memcmp(found + 13 + name, content, length) == 0);
    CHECK(big_endian(found + chunk - 4) == crc32_of(found + 4, chunk - 8));
    free(png);
}

static void test_text(void)
{
    const char *const json = "{\"label\": \"Gr\xc3\xbc\xc3\x9f, \xe7\x8c\xab, \xf0\x9f\x90\x88\"}";
    check_text(PD_RECIPE_KEYWORD, json, strlen(json));
    check_text("a", "", 0);
    char keyword[81] = "";
    memset(keyword, 'k', 79);
    check_text(keyword, "x", 1);
    char *longest = malloc(PD_MAX_PNG_TEXT_BYTES + 1);
    memset(longest, 'y', PD_MAX_PNG_TEXT_BYTES + 1);
    check_text("two words", longest, PD_MAX_PNG_TEXT_BYTES);

    uint8_t png[256];
    size_t written = 77;
    CHECK(encode_text("k", longest, PD_MAX_PNG_TEXT_BYTES + 1, png, sizeof png, &written) == PD_TOO_BIG);
    free(longest);
    keyword[79] = 'k';
    const char *const keywords[] = {"", " k", "k ", " ", "a  b", "a\nb", "\x7f", "\xc3\xbc", keyword};
    for (size_t n = 0; n < sizeof keywords / sizeof *keywords; n++)
        CHECK(encode_text(keywords[n], "x", 1, png, sizeof png, &written) == PD_ARG);
    CHECK(encode_text(NULL, "x", 1, png, sizeof png, &written) == PD_ARG);
    CHECK(encode_text("k", NULL, 0, png, sizeof png, &written) == PD_ARG);
    CHECK(encode_text("k", "a\0b", 3, png, sizeof png, &written) == PD_STRING);
    CHECK(encode_text("k", "\xc3", 1, png, sizeof png, &written) == PD_STRING);
    CHECK(encode_text("k", "\xed\xa0\x80", 3, png, sizeof png, &written) == PD_STRING);
    CHECK(pd_png_text_bytes(NULL) == 0 && written == 77 && blocks == 0);
}

int main(void)
{
    const pd_allocator allocator = {allocate, release, NULL};
    pd_set_allocator(&allocator);
    test_refusals();
    test_text();
    test_small_sizes();
    test_sizes();
    CHECK(blocks == 0 && most_asked < PD_MAX_MEMORY_BYTES);
    pd_set_allocator(NULL);
    return check_result();
}
