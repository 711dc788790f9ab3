/* PNG by stb_image_write, whose failure handling is unsafe: it writes through
 * the NULL of a failed allocation. So all its memory comes from one block that
 * is sized for the worst case before it starts; then no allocation of its can
 * fail. Nothing is ever given back to the block, which goes as a whole. */
#include "memory.h"
#include "status.h"

#include <assert.h>
#include <string.h>

typedef struct bump_arena {
    uint8_t *block;
    size_t size, used;
} bump_arena;

/* stb passes no context to its allocator. Set only while it runs. */
static _Thread_local bump_arena *current_arena;

#define ARENA_ALIGNMENT 16u

static void *bump_allocate(size_t size)
{
    const size_t rounded = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded < size || rounded > current_arena->size - current_arena->used)
        __builtin_trap(); /* the bound below would be wrong; going on would corrupt memory */
    void *piece = current_arena->block + current_arena->used;
    current_arena->used += rounded;
    return piece;
}

static void *bump_reallocate(const void *old, size_t old_size, size_t size)
{
    void *piece = bump_allocate(size);
    if (old) memcpy(piece, old, old_size);
    return piece;
}

#define STBIW_MALLOC(size) bump_allocate((size_t)(size))
#define STBIW_REALLOC_SIZED(old, old_size, size) bump_reallocate((old), (size_t)(old_size), (size_t)(size))
#define STBIW_FREE(piece) ((void)(piece))
#define STBIW_ASSERT(condition) assert(condition)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
/* It declares more than it defines without stdio; gcc reports that at the end
 * of the file, even for a system header. */
#pragma GCC diagnostic ignored "-Wunused-function"
#if __has_include("stb/stb_image_write.h")
#include "stb/stb_image_write.h"
#else
#include "stb_image_write.h"
#endif

#define MAX_SIDE 8192
/* stb's default. A match list holds up to twice as many entries. */
#define COMPRESSION_LEVEL 8

#define DEFLATE_BLOCK 32767u /* stb's stored blocks */
#define HASH_BUCKETS 16384u
/* Signature, IHDR, IDAT without its data, IEND. */
#define PNG_FRAME (8u + (12u + 13u) + 12u + 12u)
#define BEFORE_TEXT (8u + (12u + 13u)) /* signature and IHDR */
#define MAX_KEYWORD 79u

static bool size_usable(int32_t width, int32_t height, int32_t channels)
{
    return width >= 1 && width <= MAX_SIDE && height >= 1 && height <= MAX_SIDE && channels >= 1 && channels <= 4;
}

/* Each row has one byte in front that names its filter. */
static uint64_t filtered_bytes(int32_t width, int32_t height, int32_t channels)
{
    return ((uint64_t)width * (uint64_t)channels + 1) * (uint64_t)height;
}

/* stb stores the data as it is where deflate makes it longer than 2 bytes of
 * header and 5 for each block; a checksum of 4 bytes follows. */
static uint64_t png_bytes(uint64_t filtered)
{
    return PNG_FRAME + 2 + filtered + (filtered + DEFLATE_BLOCK - 1) / DEFLATE_BLOCK * 5 + 4;
}

/* Everything stb ever allocates for `filtered` bytes, old copies of grown
 * arrays included. */
static uint64_t arena_bytes(uint64_t filtered)
{
    /* Match lists, one for each hash of three bytes. A list has 1 .. 16 entries
     * (twice the level) and grows through capacities 2, 5, 11, 23 when it gets
     * its 1st, 2nd, 5th, 11th entry; with 8 bytes before the entries and in
     * multiples of 16 that is 32 + 48 + 96 + 192 bytes for 8-byte pointers,
     * at most 40 for each entry and 368 for each list. At most one entry is
     * made for each byte. */
    const uint64_t list_bytes = 32 + 48 + 96 + 192;
    const uint64_t by_entries = filtered * 40, by_lists = HASH_BUCKETS * list_bytes;
    /* The compressed bytes. Fixed Huffman codes: at most 9 bits for a byte and
     * 8 + 5 + 5 + 13 = 31 for a match of 3 bytes or more, that is 31/24 of the
     * data, and 16 bytes for header, end and checksum. Capacities c_1 = 2 and
     * c_k+1 = 2 c_k + 1 <= 2 (bytes + 1) + 1 sum up to less than twice the last;
     * 24 of them at most differ by alignment and count words. */
    const uint64_t compressed = filtered * 31 / 24 + 16;
    const uint64_t growth = 2 * (2 * compressed + 3) + 32 * (8 + ARENA_ALIGNMENT);
    const uint64_t table = HASH_BUCKETS * sizeof(void *);
    return 2 * filtered /* filtered data, one row */ + table + (by_entries < by_lists ? by_entries : by_lists) + growth +
           png_bytes(filtered) + 4 * ARENA_ALIGNMENT;
}

size_t pd_png_bound(int32_t width, int32_t height, int32_t channels)
{
    if (!size_usable(width, height, channels)) return 0;
    const uint64_t filtered = filtered_bytes(width, height, channels);
    return arena_bytes(filtered) <= PD_MAX_MEMORY_BYTES ? (size_t)png_bytes(filtered) : 0;
}

/* ---- text --------------------------------------------------------------------- */

/* Printable ASCII, spaces alone and inside only (PNG specification, 11.3.3.1). */
static bool keyword_usable(const char *keyword)
{
    size_t length = 0;
    for (; keyword[length]; length++) {
        const char c = keyword[length];
        const bool double_space = c == ' ' && (length == 0 || keyword[length - 1] == ' ');
        if (length == MAX_KEYWORD || c < ' ' || c > '~' || double_space) return false;
    }
    return length > 0 && keyword[length - 1] != ' ';
}

static bool text_usable(const char *text, size_t length)
{
    uint32_t code_point = 0;
    for (size_t i = 0; i < length;) {
        const uint32_t count = pd_utf8_decode(text + i, length - i, &code_point);
        if (count == 0 || code_point == 0) return false;
        i += count;
    }
    return true;
}

static pd_status check_text(const pd_png_text *text, pd_error *error)
{
    if (!text->keyword || !text->text)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "png text: %s is NULL", text->keyword ? "text" : "keyword");
    if (!keyword_usable(text->keyword))
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "png text: the keyword is not 1 to %u printable characters",
                       (uint64_t)MAX_KEYWORD);
    if (text->length > PD_MAX_PNG_TEXT_BYTES)
        return pd_fail(error, PD_TOO_BIG, PD_NO_OFFSET, "png text: %u bytes, at most %u are accepted", (uint64_t)text->length,
                       (uint64_t)PD_MAX_PNG_TEXT_BYTES);
    if (!text_usable(text->text, text->length)) return pd_fail(error, PD_STRING, PD_NO_OFFSET, "png text: not UTF-8 without NUL");
    return PD_OK;
}

/* Compression flag and method, and the ends of keyword, language and translated keyword. */
#define TEXT_FIELDS 5u

size_t pd_png_text_bytes(const pd_png_text *text)
{
    if (!text || check_text(text, NULL) != PD_OK) return 0;
    return 12u + strlen(text->keyword) + TEXT_FIELDS + text->length;
}

static void write_big_endian(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* An iTXt chunk (PNG specification, 11.3.3.4) of `size` bytes in all, uncompressed, in no particular language. */
static void write_text_chunk(uint8_t *chunk, size_t size, const pd_png_text *text)
{
    static const uint8_t type[4] = {'i', 'T', 'X', 't'};
    const size_t keyword = strlen(text->keyword);
    write_big_endian(chunk, (uint32_t)(size - 12));
    memcpy(chunk + 4, type, sizeof type);
    memcpy(chunk + 8, text->keyword, keyword); /* NOLINT(bugprone-not-null-terminated-result): the NUL is of TEXT_FIELDS */
    memset(chunk + 8 + keyword, 0, TEXT_FIELDS);
    memcpy(chunk + 8 + keyword + TEXT_FIELDS, text->text, text->length);
    write_big_endian(chunk + size - 4, stbiw__crc32(chunk + 4, (int)(size - 8)));
}

/* ---- files --------------------------------------------------------------------- */

pd_status pd_png_encode(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, uint8_t *png, size_t capacity,
                        size_t *written, pd_error *error)
{
    return pd_png_encode_with_text(pixels, width, height, channels, NULL, png, capacity, written, error);
}

pd_status pd_png_encode_with_text(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, const pd_png_text *text,
                                  uint8_t *png, size_t capacity, size_t *written, pd_error *error)
{
    if (!pixels || !png || !written)
        return pd_fail(error, PD_ARG, PD_NO_OFFSET, "png: %s is NULL", !pixels ? "pixels" : !png ? "png" : "written");
    if (!size_usable(width, height, channels))
        return pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "png: %d x %d pixels of %d channels, not in 1 .. %d and 1 .. 4",
                       (int64_t)width, (int64_t)height, (int64_t)channels, (int64_t)MAX_SIDE);
    PD_TRY(text ? check_text(text, error) : PD_OK);
    const uint64_t needed = arena_bytes(filtered_bytes(width, height, channels));
    if (needed > PD_MAX_MEMORY_BYTES)
        return pd_fail(error, PD_TOO_BIG, PD_NO_OFFSET, "png: %d x %d pixels of %d channels need %u bytes of memory",
                       (int64_t)width, (int64_t)height, (int64_t)channels, needed);
    bump_arena arena = {pd_allocate(needed), (size_t)needed, 0};
    if (!arena.block) return pd_fail(error, PD_MEMORY, PD_NO_OFFSET, "png: no %u bytes of memory", needed);

    assert(stbi_write_png_compression_level == COMPRESSION_LEVEL); /* arena_bytes counts on it */
    current_arena = &arena;
    int length = 0;
    const unsigned char *file = stbi_write_png_to_mem(pixels, 0, width, height, channels, &length);
    current_arena = NULL;

    pd_status status = PD_OK;
    const size_t text_bytes = pd_png_text_bytes(text), total = (size_t)length + text_bytes;
    if (total > capacity) {
        status = pd_fail(error, PD_BUFFER, PD_NO_OFFSET, "png: %u bytes do not fit into %u", (uint64_t)total, (uint64_t)capacity);
    } else {
        memcpy(png, file, BEFORE_TEXT);
        if (text) write_text_chunk(png + BEFORE_TEXT, text_bytes, text);
        memcpy(png + BEFORE_TEXT + text_bytes, file + BEFORE_TEXT, (size_t)length - BEFORE_TEXT);
        *written = total;
    }
    pd_release(arena.block);
    return status;
}
