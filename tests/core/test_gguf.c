/* The loader against files that are right, wrong and damaged. Files are opened
 * in heap blocks of exactly their size, so that AddressSanitizer sees any read
 * beyond them; every open is checked for leaks and for the size of what it
 * allocates. Expected numbers come from the formula in
 * tests/parity/make_gguf_fixture.py and from the definitions of the formats. */
#include "check.h"
#include "counting_allocator.h"
#include "gguf.h"
#include "gguf_builder.h"
#include "golden.h"

#include <string.h>

enum { MIB = 1 << 20 };

/* ---- a small file, and one way to spoil each of its fields --------------------- */

typedef struct tensor_recipe {
    const char *name;
    uint64_t name_length; /* as written */
    uint32_t dimensions;  /* as written; at most 5 are */
    uint64_t shape[5];
    uint32_t type;
    uint64_t offset;
} tensor_recipe;

typedef struct recipe {
    const char *magic;
    uint32_t version;
    uint64_t tensor_count, value_count; /* as written; two tensors and two values always follow */
    gguf_builder value;                 /* the second metadata entry; empty: a uint32 */
    tensor_recipe tensors[2];
    size_t data_bytes; /* with padding */
    size_t spoil_at;   /* if not 0: this byte, from the start of the data section, is set to 1 */
    bool spoil_header_padding;
} recipe;

static recipe sound(void)
{
    return (recipe){
        .magic = "GGUF", .version = 3, .tensor_count = 2, .value_count = 2,
        .tensors = {{"first", 5, 2, {3, 2}, 0, 0}, {"second", 6, 1, {33}, 1, 32}}, /* 24 of 32 and 66 of 96 bytes */
        .data_bytes = 32 + 96};
}

/* Where the fields of a sound file lie. */
enum {
    AT_VERSION = 4, AT_TENSOR_COUNT = 8, AT_VALUE_COUNT = 16,
    AT_KEY = 24 + 8 + 20 + 4 + 8 + 16,         /* of the second entry */
    AT_TABLE = AT_KEY + 8 + 6 + 4 + 4,
    AT_DIMENSIONS = AT_TABLE + 8 + 5, AT_SHAPE = AT_DIMENSIONS + 4, AT_TYPE = AT_SHAPE + 16, AT_OFFSET = AT_TYPE + 4,
    AT_SECOND = AT_OFFSET + 8, /* row of the second tensor */
    TABLE_END = AT_SECOND + 8 + 6 + 4 + 8 + 4 + 8,
    DATA_START = (TABLE_END + 31) / 32 * 32,
    SOUND_SIZE = DATA_START + 128
};

static gguf_builder bake(recipe *r)
{
    gguf_builder b = {0};
    build_bytes(&b, r->magic, 4);
    build_u32(&b, r->version);
    build_u64(&b, r->tensor_count);
    build_u64(&b, r->value_count);
    build_value_string(&b, "general.architecture", "pocket-diffusion");
    if (r->value.size) build_bytes(&b, r->value.bytes, r->value.size);
    else build_value_u32(&b, "answer", 42);
    for (int i = 0; i < 2; i++) {
        const tensor_recipe *t = &r->tensors[i];
        build_u64(&b, t->name_length);
        build_bytes(&b, t->name, t->name_length < 100 ? (size_t)t->name_length : strlen(t->name));
        build_u32(&b, t->dimensions);
        for (uint32_t k = 0; k < (t->dimensions < 5 ? t->dimensions : 5); k++) build_u64(&b, t->shape[k]);
        build_u32(&b, t->type);
        build_u64(&b, t->offset);
    }
    const size_t table_end = b.size;
    build_align(&b, 32);
    if (r->spoil_header_padding) b.bytes[table_end] = 1;
    const size_t start = b.size;
    build_fill(&b, 0, r->data_bytes);
    if (r->spoil_at) b.bytes[start + r->spoil_at] = 1;
    build_free(&r->value);
    return b;
}

/* Opens a copy in a block of exactly `size` bytes; frees all of it again. */
static pd_status open_copy(const uint8_t *bytes, size_t size, pd_error *error)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    if (size) memcpy(copy, bytes, size);
    counting_allocator counter;
    counting_install(&counter, 0);
    pd_gguf gguf;
    memset(error, 0, sizeof *error);
    const pd_status status = pd_gguf_open(&gguf, copy, size, error);
    CHECK(counter.largest <= size + MIB);
    if (status == PD_OK) {
        CHECK(counter.live == 1);
        for (uint64_t i = 0; i < gguf.tensor_count; i++) { /* all of the data is there to be read */
            const pd_gguf_tensor *t = &gguf.tensors[i];
            const uint64_t count = pd_gguf_elements(t);
            float *values = malloc((size_t)count * sizeof *values);
            if (!values) abort();
            pd_gguf_check_finite(t, NULL);
            pd_gguf_dequantize(t, 0, count, values);
            free(values);
        }
    } else {
        CHECK(counter.live == 0 && !gguf.values && !gguf.tensors);
        CHECK(error->status == status);
        CHECK(error->offset == PD_NO_OFFSET || error->offset <= size);
        CHECK(strlen(error->message) > 10 && !strchr(error->message, '\n'));
        CHECK(pd_gguf_open(&gguf, copy, size, NULL) == status);
    }
    pd_gguf_close(&gguf);
    CHECK(counter.live == 0);
    pd_set_allocator(NULL);
    free(copy);
    return status;
}

/* Frees the builder. `offset`: expected in the error, -1: any. */
static void expect_file(const char *what, gguf_builder b, pd_status expected, long offset)
{
    pd_error error;
    const pd_status status = open_copy(b.bytes, b.size, &error);
    CHECK(status == expected);
    CHECK(offset < 0 || error.offset == (uint64_t)offset);
    if (status != expected || (offset >= 0 && error.offset != (uint64_t)offset))
        fprintf(stderr, "  %s: %s, expected %s at %ld; at %lld: %s\n", what, pd_status_name(status),
                pd_status_name(expected), offset, (long long)error.offset, error.message);
    build_free(&b);
}

static void expect(const char *what, recipe r, pd_status expected, long offset)
{
    expect_file(what, bake(&r), expected, offset);
}

/* Changes one field of a sound file. */
#define EXPECT_CHANGED(expected, offset, ...)               \
    do {                                                    \
        recipe r = sound();                                 \
        __VA_ARGS__;                                        \
        expect(#__VA_ARGS__, r, expected, (long)(offset));  \
    } while (0)

/* Replaces the second metadata entry; `v` is its builder. */
#define EXPECT_VALUE(expected, offset, ...)                 \
    do {                                                    \
        recipe r = sound();                                 \
        gguf_builder *v = &r.value;                         \
        __VA_ARGS__;                                        \
        expect(#__VA_ARGS__, r, expected, (long)(offset));  \
    } while (0)

/* The types in blocks of 32 values, as ggml defines them. */
typedef struct block_type {
    pd_gguf_tensor_type type;
    const char *name;
    uint32_t bytes;   /* of a block */
    uint32_t halves;  /* float16 numbers that it begins with: scale, minimum */
    double tolerance; /* of a value of the fixture, whose magnitudes are up to 50/101: see there */
} block_type;

static const block_type block_types[] = {
    {PD_GGUF_TENSOR_Q4_0, "Q4_0", 2 + 16, 1, 1.0 / 8},
    {PD_GGUF_TENSOR_Q4_1, "Q4_1", 2 + 2 + 16, 2, 1.0 / 15},
    {PD_GGUF_TENSOR_Q5_0, "Q5_0", 2 + 4 + 16, 1, 1.0 / 16},
    {PD_GGUF_TENSOR_Q5_1, "Q5_1", 2 + 2 + 4 + 16, 2, 1.0 / 31},
    {PD_GGUF_TENSOR_Q8_0, "Q8_0", 2 + 32, 1, 0.5 / 127},
};
enum { BLOCK_TYPES = sizeof block_types / sizeof block_types[0] };

static const block_type *block_type_of(pd_gguf_tensor_type type)
{
    for (size_t i = 0; i < BLOCK_TYPES; i++)
        if (block_types[i].type == type) return &block_types[i];
    return NULL;
}

/* ---- what is refused -------------------------------------------------------------- */

static void test_arguments(void)
{
    pd_gguf gguf;
    pd_error error;
    CHECK(pd_gguf_open(NULL, "", 0, &error) == PD_ARG);
    CHECK(pd_gguf_open(&gguf, NULL, 10, &error) == PD_ARG);
    CHECK(pd_gguf_open(&gguf, NULL, 0, &error) == PD_SHORT);
    pd_gguf_close(&gguf);
    /* the size is looked at before any byte is */
    CHECK(pd_gguf_open(&gguf, "GGUF", (size_t)PD_MAX_FILE_BYTES + 1, &error) == PD_TOO_BIG);
}

static void expect_magic(const char *bytes, size_t length, const char *guess)
{
    gguf_builder b = {0};
    build_bytes(&b, bytes, length);
    if (b.size < 200) build_fill(&b, ' ', 200 - b.size);
    pd_error error;
    CHECK(open_copy(b.bytes, b.size, &error) == PD_MAGIC && error.offset == 0);
    CHECK(strstr(error.message, guess));
    if (!strstr(error.message, guess)) fprintf(stderr, "  %s\n", error.message);
    build_free(&b);
}

static void test_header(void)
{
    expect("sound", sound(), PD_OK, -1);
    EXPECT_CHANGED(PD_MAGIC, 0, r.magic = "GGUE");
    EXPECT_CHANGED(PD_MAGIC, 0, r.magic = "FUGG");
#define EXPECT_MAGIC(bytes, guess) expect_magic(bytes, sizeof(bytes) - 1, guess)
    EXPECT_MAGIC("<!DOCTYPE html><html><body>404</body></html>", "HTML");
    EXPECT_MAGIC("\xef\xbb\xbf\r\n  <html>", "HTML");
    EXPECT_MAGIC("\x1f\x8b\x08\x00\x00\x00\x00\x00", "gzip");
    EXPECT_MAGIC("PK\x03\x04\x00\x00\x08\x08", "PyTorch");
    EXPECT_MAGIC("\x80\x02\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x19.", "pickle");
    EXPECT_MAGIC("\x58\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}", "safetensors");
    EXPECT_MAGIC("\x7b\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}", "safetensors"); /* 123 bytes: begins with '{' too */
    EXPECT_MAGIC("\x08\x07\x12\x07pytorch\x1a\x05" "2.1.0", "ONNX");
    EXPECT_MAGIC("\x08\x00\x12\x07pytorch", "instead of \"GGUF\"");
    EXPECT_MAGIC("\x08\x40\x12\x07pytorch", "instead of \"GGUF\"");
    EXPECT_MAGIC("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git-lfs");
    EXPECT_MAGIC("{\"error\": \"not found\"}", "JSON");
    EXPECT_MAGIC("\x89PNG\r\n\x1a\n", "instead of \"GGUF\"");

    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = 0);
    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = 1);
    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = 2);
    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = 4);
    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = 0x03000000);
    EXPECT_CHANGED(PD_VERSION, AT_VERSION, r.version = UINT32_MAX);

    static const uint64_t counts[] = {0, 4097, 1u << 31, (uint64_t)1 << 32, ((uint64_t)1 << 32) + 2, (uint64_t)1 << 63,
                                      UINT64_MAX, UINT64_MAX / 33 + 1, UINT64_MAX / 14 + 1, 4096, 40};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        EXPECT_CHANGED(PD_COUNT, AT_TENSOR_COUNT, r.tensor_count = counts[i]);
        EXPECT_CHANGED(PD_COUNT, AT_VALUE_COUNT, r.value_count = counts[i]);
    }
}

static void test_metadata(void)
{
    /* keys */
    static const uint64_t lengths[] = {0, 65536, 10000, (uint64_t)1 << 32, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        EXPECT_VALUE(PD_STRING, AT_KEY, build_value_u32(v, "answer", 1); memcpy(v->bytes, &lengths[i], 8));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 2, build_u64(v, 6); build_bytes(v, "an\0wer", 6); build_u32(v, 0); build_u8(v, 0));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 1, build_value_u32(v, "a\xffrest", 1));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 0, build_value_u32(v, "\xc0\xafhost", 1));      /* overlong */
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 0, build_value_u32(v, "\xed\xa0\x80half", 1));  /* surrogate */
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 4, build_value_u32(v, "last\xe4\xb8", 1));      /* cut */
    EXPECT_VALUE(PD_DUPLICATE, AT_KEY, build_value_u32(v, "general.architecture", 1));
    EXPECT_VALUE(PD_OK, -1, build_value_u32(v, "general.architectur", 1));

    /* types */
    EXPECT_VALUE(PD_TYPE, AT_KEY + 8 + 6, build_key(v, "answer", 13); build_u32(v, 0));
    EXPECT_VALUE(PD_TYPE, AT_KEY + 8 + 6, build_key(v, "answer", UINT32_MAX); build_u32(v, 0));
    EXPECT_VALUE(PD_TYPE, AT_KEY + 8 + 6 + 4, build_array(v, "answer", 9, 1); build_u32(v, 4); build_u64(v, 0));
    EXPECT_VALUE(PD_TYPE, AT_KEY + 8 + 6 + 4, build_array(v, "answer", 9, 0));
    EXPECT_VALUE(PD_TYPE, AT_KEY + 8 + 6 + 4, build_array(v, "answer", 13, 1); build_u32(v, 0));

    /* arrays: element sizes are 1, 2, 4, 8 and, for strings, at least 8 */
    static const uint32_t elements[] = {0, 2, 4, 7, 8, 10};
    static const uint64_t counts[] = {1000, (uint64_t)1 << 61, (uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX,
                                      ((uint64_t)1 << 61) + 1, ((uint64_t)1 << 32) + 1};
    for (size_t e = 0; e < sizeof elements / sizeof elements[0]; e++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            EXPECT_VALUE(PD_ARRAY, AT_KEY + 8 + 6 + 8, build_array(v, "answer", elements[e], counts[i]));
        EXPECT_VALUE(PD_OK, -1, build_array(v, "answer", elements[e], 0));
        EXPECT_VALUE(PD_OK, -1, build_array(v, "answer", elements[e], 1); build_u64(v, 0);
                     v->size -= elements[e] == 0 || elements[e] == 7 ? 7 : elements[e] == 2 ? 6 : elements[e] == 4 ? 4 : 0);
    }

    /* string values, alone and in arrays */
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 4, build_key(v, "answer", 8); build_u64(v, UINT64_MAX));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 4, build_key(v, "answer", 8); build_u64(v, 1000));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 4 + 8, build_value_string(v, "answer", "\xf5"));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 4 + 8, build_key(v, "answer", 8); build_u64(v, 1); build_u8(v, 0));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 16 + 9, build_array(v, "answer", 8, 2); build_string(v, "a");
                 build_u64(v, UINT64_MAX));
    EXPECT_VALUE(PD_STRING, AT_KEY + 8 + 6 + 16 + 9 + 8, build_array(v, "answer", 8, 2); build_string(v, "a");
                 build_string(v, "\x80"));
    EXPECT_VALUE(PD_OK, -1, build_value_string(v, "answer", ""));

    gguf_builder cut = {0}; /* within a number, in a file that could hold all that it promises */
    build_header(&cut, 1, 1);
    build_key(&cut, "a key that is longer than the row of a tensor has to be", 12);
    build_u32(&cut, 0);
    expect_file("cut number", cut, PD_SHORT, 24 + 8 + 55 + 4);

    /* bools */
    EXPECT_VALUE(PD_OK, -1, build_key(v, "answer", 7); build_u8(v, 1));
    EXPECT_VALUE(PD_VALUE, AT_KEY + 8 + 6 + 4, build_key(v, "answer", 7); build_u8(v, 2));
    EXPECT_VALUE(PD_VALUE, AT_KEY + 8 + 6 + 4, build_key(v, "answer", 7); build_u8(v, 255));
    EXPECT_VALUE(PD_VALUE, AT_KEY + 8 + 6 + 16 + 2, build_array(v, "answer", 7, 3); build_u8(v, 1); build_u8(v, 0);
                 build_u8(v, 2));
}

/* A sound file with this alignment in both places. */
static gguf_builder aligned_file(uint32_t alignment)
{
    gguf_builder b = {0};
    build_header(&b, 2, 1);
    build_value_u32(&b, "general.alignment", alignment);
    build_tensor(&b, "a", 1, (uint64_t[]){3}, 0, 0);
    build_tensor(&b, "b", 1, (uint64_t[]){1}, 0, alignment > 12 ? alignment : (12 + alignment - 1) / alignment * alignment);
    build_align(&b, alignment);
    build_fill(&b, 0, 12);
    build_align(&b, alignment);
    build_fill(&b, 0, 4);
    build_align(&b, alignment);
    return b;
}

static void test_alignment(void)
{
    for (uint32_t alignment = 1; alignment <= 16384; alignment *= 2)
        expect_file("alignment", aligned_file(alignment), alignment < 8 || alignment > 4096 ? PD_ALIGN : PD_OK, -1);
    expect_file("alignment", aligned_file(24), PD_ALIGN, -1);
    static const uint32_t values[] = {0, 1, 3, 31, 33, 8192, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        EXPECT_VALUE(PD_ALIGN, AT_KEY + 8 + 17 + 4, build_value_u32(v, "general.alignment", values[i]));
    EXPECT_VALUE(PD_ALIGN, AT_KEY + 8 + 17 + 4, build_key(v, "general.alignment", 10); build_u64(v, 32));
    EXPECT_VALUE(PD_ALIGN, AT_KEY + 8 + 17 + 4, build_key(v, "general.alignment", 5); build_u32(v, 32));
    EXPECT_VALUE(PD_ALIGN, AT_KEY + 8 + 17 + 4, build_value_string(v, "general.alignment", "32"));
    EXPECT_VALUE(PD_ALIGN, -1, build_array(v, "general.alignment", 4, 1); build_u32(v, 32));
    EXPECT_VALUE(PD_ALIGN, AT_KEY + 8 + 17 + 4 + 4, build_value_u32(v, "general.alignment", 32);
                 build_value_u32(v, "general.alignment", 32); r.value_count = 3);
    EXPECT_VALUE(PD_OFFSET, -1, build_value_u32(v, "general.alignment", 64)); /* the file keeps to 32 */
}

static void test_table(void)
{
    /* names */
    static const uint64_t lengths[] = {0, 64, 65, 1u << 31, (uint64_t)1 << 32, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char name[66];
        memset(name, 'n', 65);
        name[65] = '\0';
        EXPECT_CHANGED(PD_NAME, AT_TABLE, r.tensors[0].name = name; r.tensors[0].name_length = lengths[i]);
    }
    EXPECT_CHANGED(PD_OK, -1, r.tensors[0].name = "a.name.of.sixty-three.bytes.which.is.the.longest.one.permitted.";
                   r.tensors[0].name_length = 63);
    EXPECT_CHANGED(PD_NAME, AT_TABLE + 8 + 1, r.tensors[0].name = "f\0rst");
    EXPECT_CHANGED(PD_NAME, AT_TABLE + 8 + 1, r.tensors[0].name = "f\xfcrst");
    EXPECT_CHANGED(PD_NAME, AT_SECOND, r.tensors[1].name = "first"; r.tensors[1].name_length = 5);

    /* dimensions */
    EXPECT_CHANGED(PD_DIMS, AT_DIMENSIONS, r.tensors[0].dimensions = 0);
    EXPECT_CHANGED(PD_DIMS, AT_DIMENSIONS, r.tensors[0].dimensions = 5);
    EXPECT_CHANGED(PD_DIMS, AT_DIMENSIONS, r.tensors[0].dimensions = UINT32_MAX);
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE, r.tensors[0].shape[0] = 0);
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, r.tensors[0].shape[1] = 0);
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE, r.tensors[0].shape[0] = (uint64_t)1 << 63);
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE, r.tensors[0].shape[0] = UINT64_MAX);
#define SHAPE(a, b) r.tensors[0].shape[0] = (a), r.tensors[0].shape[1] = (b)
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, SHAPE((uint64_t)1 << 32, (uint64_t)1 << 32));     /* wraps to 0 */
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, SHAPE((uint64_t)1 << 32, (uint64_t)1 << 31));     /* to a negative number */
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, SHAPE(((uint64_t)1 << 62) + 1, 6));               /* to 6 + 2^63 */
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, SHAPE(0xaaaaaaaaaaaaaaau * 2 + 1, 24));           /* to something small */
    EXPECT_CHANGED(PD_DIMS, AT_SHAPE + 8, SHAPE(((uint64_t)1 << 61) + 1, 8));               /* to 8 */
    /* 3 x 2 modulo 2^64 in four dimensions */
    EXPECT_CHANGED(PD_DIMS, -1, r.tensors[0] = ((tensor_recipe){"first", 5, 4, {3, 2, 0x5555555555555555u, 3}, 0, 0}));
    EXPECT_CHANGED(PD_OK, -1, r.tensors[0] = ((tensor_recipe){"first", 5, 4, {1, 3, 1, 2}, 0, 0}));

    /* types: all of ggml's numbers but the supported ones, and some beyond */
    for (uint32_t type = 0; type < 64; type++) {
        bool supported = type <= 1;
        for (size_t i = 0; i < BLOCK_TYPES; i++) supported |= type == block_types[i].type;
        if (!supported) EXPECT_CHANGED(PD_TYPE, AT_TYPE, r.tensors[0].type = type);
    }
    EXPECT_CHANGED(PD_TYPE, AT_TYPE, r.tensors[0].type = UINT32_MAX);
    EXPECT_CHANGED(PD_TYPE, AT_TYPE, r.tensors[0].type = 0x10000);
    for (size_t i = 0; i < BLOCK_TYPES; i++) {
        const uint32_t type = block_types[i].type, bytes = block_types[i].bytes;
        EXPECT_CHANGED(PD_DIMS, AT_TYPE, SHAPE(3, 32); r.tensors[0].type = type);
        EXPECT_CHANGED(PD_DIMS, AT_TYPE, SHAPE(16, 2); r.tensors[0].type = type);
        EXPECT_CHANGED(PD_DIMS, AT_TYPE, SHAPE(33, 32); r.tensors[0].type = type);
        /* 17 blocks fill no multiple of 32 bytes, whatever their size */
        const uint32_t padded = (17 * bytes + 31) / 32 * 32;
        EXPECT_CHANGED(PD_OK, -1, SHAPE(32, 17); r.tensors[0].type = type; r.tensors[1].offset = padded; r.data_bytes = padded + 96);
        EXPECT_CHANGED(PD_OFFSET, -1, SHAPE(32, 17); r.tensors[0].type = type; r.tensors[1].offset = padded + 32; r.data_bytes = padded + 128);
        EXPECT_CHANGED(PD_OFFSET, -1, SHAPE(32, 17); r.tensors[0].type = type; r.tensors[1].offset = padded - 32; r.data_bytes = padded + 64);
        /* the file ends within the blocks: 2^56 of them, and more bytes than memory has */
        EXPECT_CHANGED(PD_TOO_BIG, -1, SHAPE((uint64_t)1 << 61, 1); r.tensors[0].type = type; r.tensors[1].offset = ((uint64_t)1 << 56) * bytes);
    }
    recipe other = sound();
    other.tensors[0].type = 14;
    gguf_builder file = bake(&other);
    pd_error error;
    CHECK(open_copy(file.bytes, file.size, &error) == PD_TYPE);
    CHECK(strcmp(error.message, "tensor \"first\" has type 14, supported are 0 (F32), 1 (F16), 2 (Q4_0), 3 (Q4_1), 6 (Q5_0), "
                                "7 (Q5_1) and 8 (Q8_0)") == 0);
    build_free(&file);

    /* sizes */
    EXPECT_CHANGED(PD_OVERFLOW, AT_TYPE, SHAPE((uint64_t)1 << 62, 1));
    EXPECT_CHANGED(PD_OVERFLOW, AT_TYPE, SHAPE((uint64_t)1 << 31, (uint64_t)1 << 31));
    EXPECT_CHANGED(PD_OVERFLOW, AT_TYPE, SHAPE(INT64_MAX, 1));
    EXPECT_CHANGED(PD_OVERFLOW, AT_OFFSET, SHAPE(((uint64_t)1 << 62) - 1, 1)); /* 2^64 - 4 bytes: padding wraps */
    EXPECT_CHANGED(PD_OVERFLOW, -1, SHAPE((uint64_t)1 << 61, 1);                /* 2^63 + 2^63: sum wraps */
                   r.tensors[1] = (tensor_recipe){"second", 6, 1, {(uint64_t)1 << 61}, 0, (uint64_t)1 << 63});
    EXPECT_CHANGED(PD_TOO_BIG, -1, SHAPE((uint64_t)1 << 60, 1); r.tensors[1].offset = (uint64_t)1 << 62);
    EXPECT_CHANGED(PD_TOO_BIG, -1, SHAPE((uint64_t)1 << 28, 1); r.tensors[1].offset = (uint64_t)1 << 30);

    /* offsets */
    EXPECT_CHANGED(PD_OFFSET, AT_OFFSET, r.tensors[0].offset = 1);
    EXPECT_CHANGED(PD_OFFSET, AT_OFFSET, r.tensors[0].offset = 32);               /* gap */
    EXPECT_CHANGED(PD_OFFSET, AT_OFFSET, r.tensors[0].offset = UINT64_MAX - 31);  /* wraps */
    EXPECT_CHANGED(PD_OFFSET, AT_OFFSET, r.tensors[0].offset = (uint64_t)1 << 63);
    EXPECT_CHANGED(PD_OFFSET, TABLE_END - 8, r.tensors[1].offset = 0);            /* overlap */
    EXPECT_CHANGED(PD_OFFSET, TABLE_END - 8, r.tensors[1].offset = 24);           /* right behind, not aligned */
    EXPECT_CHANGED(PD_OFFSET, TABLE_END - 8, r.tensors[1].offset = 64);
    EXPECT_CHANGED(PD_OFFSET, TABLE_END - 8, r.tensors[1].offset = ((uint64_t)1 << 32) + 32);
    EXPECT_CHANGED(PD_OFFSET, AT_OFFSET, r.tensors[0].offset = 96; r.tensors[1].offset = 0); /* out of order */
}

static void test_data_section(void)
{
    EXPECT_CHANGED(PD_SHORT, SOUND_SIZE - 1, r.data_bytes--);
    EXPECT_CHANGED(PD_SHORT, SOUND_SIZE - 96, r.data_bytes -= 96);
    EXPECT_CHANGED(PD_SHORT, DATA_START, r.data_bytes = 0);
    EXPECT_CHANGED(PD_TRAILING, SOUND_SIZE, r.data_bytes++);
    EXPECT_CHANGED(PD_TRAILING, SOUND_SIZE, r.data_bytes += 32);
    EXPECT_CHANGED(PD_SHORT, -1, r.tensors[1].shape[0] = 64 - 15 + 32);
    EXPECT_CHANGED(PD_TRAILING, -1, r.tensors[1].shape[0] = 32);
    EXPECT_CHANGED(PD_PADDING, TABLE_END, r.spoil_header_padding = true);
    for (size_t i = 1; i < 128; i++) {
        const bool padding = (i >= 24 && i < 32) || i >= 32 + 66;
        EXPECT_CHANGED(padding ? PD_PADDING : PD_OK, padding ? (long)(DATA_START + i) : -1, r.spoil_at = i);
    }
}

/* ---- damage ------------------------------------------------------------------------ */

static void test_prefixes(void)
{
    recipe r = sound();
    gguf_builder b = bake(&r);
    CHECK(b.size == SOUND_SIZE);
    for (size_t size = 0; size < b.size; size++) {
        pd_error error;
        const pd_status status = open_copy(b.bytes, size, &error);
        if (size < 24) CHECK(status == PD_SHORT);
        else if (size < 24 + 2 * 14 + 2 * 33) CHECK(status == PD_COUNT); /* cannot hold what the header promises */
        else if (size < AT_TABLE) CHECK(status == PD_SHORT || status == PD_STRING);
        else CHECK(status == PD_SHORT);
    }
    pd_error error;
    CHECK(open_copy(b.bytes, b.size, &error) == PD_OK);
    build_free(&b);
}

static void test_flipped_bytes(void)
{
    recipe r = sound();
    gguf_builder b = bake(&r);
    pd_error error;
    for (size_t i = 0; i < b.size; i++) {
        const uint8_t original = b.bytes[i];
        for (unsigned change = 1; change < 256; change++) {
            b.bytes[i] = (uint8_t)(original ^ change);
            const pd_status status = open_copy(b.bytes, b.size, &error);
            if (i < 24) CHECK(status != PD_OK);
            if (i < 4) CHECK(status == PD_MAGIC);
            else if (i < 8) CHECK(status == PD_VERSION);
        }
        b.bytes[i] = original;
    }
    CHECK(open_copy(b.bytes, b.size, &error) == PD_OK);
    build_free(&b);
}

/* Several bytes at once, and 64-bit fields set to numbers that like to wrap. */
static void test_random_damage(const uint8_t *bytes, size_t size, int rounds)
{
    static const uint64_t numbers[] = {0, 1, 8, 32, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                       0x8000000000000000, 0xfffffffffffffffc, 0xffffffffffffffff, 0x5555555555555556};
    uint8_t *copy = malloc(size);
    if (!copy) abort();
    uint64_t state = 20240229;
    int refused = 0;
    for (int round = 0; round < rounds; round++) {
        memcpy(copy, bytes, size);
        for (int k = 0; k < 1 + round % 3; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const size_t at = (size_t)(state >> 33) % (size - 8);
            const uint64_t number = numbers[(state >> 20) % (sizeof numbers / sizeof numbers[0])];
            if (state >> 63) memcpy(copy + at, &number, 8);
            else copy[at] = (uint8_t)(state >> 40);
        }
        pd_error error;
        refused += open_copy(copy, size - (state >> 60 == 0 ? (size_t)(state >> 50) % size : 0), &error) != PD_OK;
    }
    CHECK(refused > rounds / 10 && refused < rounds);
    free(copy);
}

static void test_allocation_failure(void)
{
    recipe r = sound();
    gguf_builder b = bake(&r);
    counting_allocator counter;
    pd_gguf gguf;
    pd_error error;
    pd_status status = PD_MEMORY;
    long k = 1;
    for (; status == PD_MEMORY && k < 100; k++) {
        counting_install(&counter, k);
        status = pd_gguf_open(&gguf, b.bytes, b.size, &error);
        CHECK(status == PD_OK || (status == PD_MEMORY && counter.live == 0 && !gguf.values));
    }
    CHECK(status == PD_OK && k > 2 && counter.live > 0);
    pd_gguf_close(&gguf);
    CHECK(counter.live == 0);
    pd_set_allocator(NULL);
    build_free(&b);
}

/* ---- many entries -------------------------------------------------------------------- */

static gguf_builder many(uint32_t values, uint32_t tensors, uint32_t same_key, uint32_t same_name)
{
    gguf_builder b = {0};
    char name[64];
    build_header(&b, tensors, values);
    for (uint32_t i = 0; i < values; i++) {
        snprintf(name, sizeof name, "key.%u", i == values - 1 ? same_key : i * 2654435761u % 65536);
        build_key(&b, name, 0);
        build_u8(&b, (uint8_t)i);
    }
    for (uint32_t i = 0; i < tensors; i++) {
        snprintf(name, sizeof name, "tensor.%u", i == tensors - 1 ? same_name : i * 2654435761u % 65536);
        build_tensor(&b, name, 1, (uint64_t[]){8}, 0, 32 * i);
    }
    build_align(&b, 32);
    for (uint32_t i = 0; i < tensors * 8; i++) build_f32(&b, (float)(i / 8));
    return b;
}

static void test_many(void)
{
    gguf_builder b = many(4096, 4096, 99999, 99999);
    pd_gguf gguf;
    pd_error error;
    CHECK(open_copy(b.bytes, b.size, &error) == PD_OK);
    CHECK(pd_gguf_open(&gguf, b.bytes, b.size, &error) == PD_OK);
    CHECK(gguf.value_count == 4096 && gguf.tensor_count == 4096);
    char name[64];
    int wrong = 0;
    for (uint32_t i = 0; i < 4095; i++) {
        snprintf(name, sizeof name, "key.%u", i * 2654435761u % 65536);
        int64_t number = -1;
        wrong += pd_gguf_get_integer(&gguf, name, 0, 255, &number, NULL) != PD_OK || number != i % 256;
        snprintf(name, sizeof name, "tensor.%u", i * 2654435761u % 65536);
        const pd_gguf_tensor *tensor = pd_gguf_find_tensor(&gguf, name);
        float value = -1;
        if (tensor) pd_gguf_dequantize(tensor, 7, 1, &value);
        wrong += value != (float)i;
    }
    CHECK(wrong == 0);
    CHECK(pd_gguf_find(&gguf, "key.99999") == &gguf.values[4095]);
    CHECK(!pd_gguf_find(&gguf, "key.") && !pd_gguf_find(&gguf, "") && !pd_gguf_find(&gguf, "key.999999"));
    CHECK(!pd_gguf_find_tensor(&gguf, "key.99999"));
    pd_gguf_close(&gguf);
    build_free(&b);
    expect_file("first and last key", many(4096, 1, 0, 99999), PD_DUPLICATE, -1);
    expect_file("first and last name", many(1, 4096, 0, 0), PD_NAME, -1);
    expect_file("too many keys", many(4097, 1, 99999, 0), PD_COUNT, AT_VALUE_COUNT);
    expect_file("too many names", many(1, 4097, 0, 99999), PD_COUNT, AT_TENSOR_COUNT);
}

/* ---- a file that another program wrote -------------------------------------------------- */

static gguf_builder read_file(const char *path)
{
    gguf_builder b = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file);
    if (!file) return b;
    for (int c; (c = getc(file)) != EOF;) build_u8(&b, (uint8_t)c);
    fclose(file);
    return b;
}

static void check_integer(const pd_gguf *gguf, const char *key, int64_t expected)
{
    int64_t number = 0;
    CHECK(pd_gguf_get_integer(gguf, key, expected, expected, &number, NULL) == PD_OK && number == expected);
    pd_error error;
    number = 5;
    if (expected < INT64_MAX)
        CHECK(pd_gguf_get_integer(gguf, key, expected + 1, INT64_MAX, &number, &error) == PD_CONFIG);
    if (expected > INT64_MIN)
        CHECK(pd_gguf_get_integer(gguf, key, INT64_MIN, expected - 1, &number, &error) == PD_CONFIG);
    CHECK(strstr(error.message, key) && number == 5);
}

static void check_integers(const pd_gguf *gguf, const char *key, pd_gguf_value_type type, const int64_t expected[3])
{
    const pd_gguf_value *array = NULL;
    CHECK(pd_gguf_get_array(gguf, key, type, &array, NULL) == PD_OK && array && array->count == 3);
    for (uint64_t i = 0; array && i < 3; i++) CHECK(pd_gguf_array_integer(array, i) == expected[i]);
}

static void check_reals(const pd_gguf *gguf, const char *key, pd_gguf_value_type type, const double expected[3])
{
    const pd_gguf_value *array = NULL;
    CHECK(pd_gguf_get_array(gguf, key, type, &array, NULL) == PD_OK && array && array->count == 3);
    for (uint64_t i = 0; array && i < 3; i++) CHECK(pd_gguf_array_real(array, i) == expected[i]);
}

static bool equals(pd_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.data, text, strlen(text)) == 0;
}

static void check_fixture_values(const pd_gguf *gguf)
{
    pd_bytes text;
    pd_error error;
    CHECK(gguf->value_count == 26 && equals(gguf->values[0].key, "general.architecture"));
    CHECK(pd_gguf_get_string(gguf, "general.architecture", &text, NULL) == PD_OK && equals(text, "pocket-diffusion-test"));
    CHECK(pd_gguf_get_string(gguf, "test.string", &text, NULL) == PD_OK && equals(text, "Grüße, 世界 🙂"));
    check_integer(gguf, "general.alignment", 64);
    check_integer(gguf, "test.uint8", 200);
    check_integer(gguf, "test.int8", -100);
    check_integer(gguf, "test.uint16", 60000);
    check_integer(gguf, "test.int16", -30000);
    check_integer(gguf, "test.uint32", 4000000000);
    check_integer(gguf, "test.int32", -2000000000);
    check_integer(gguf, "test.int64", INT64_MIN);
    int64_t number;
    CHECK(pd_gguf_get_integer(gguf, "test.uint64", INT64_MIN, INT64_MAX, &number, &error) == PD_CONFIG);
    CHECK(strstr(error.message, "18446744073709551615"));
    CHECK(pd_gguf_array_integer(pd_gguf_find(gguf, "test.uint64"), 0) == INT64_MAX);
    bool flag = false;
    CHECK(pd_gguf_get_bool(gguf, "test.bool", &flag, NULL) == PD_OK && flag);
    double real = 0;
    CHECK(pd_gguf_get_real(gguf, "test.float32", 0, 1, &real, NULL) == PD_OK && real == (double)0.1f);
    CHECK(pd_gguf_get_real(gguf, "test.float64", 0, 1, &real, NULL) == PD_OK && real == 0.1);

    check_integers(gguf, "test.array.uint8", PD_GGUF_UINT8, (int64_t[]){0, 127, 255});
    check_integers(gguf, "test.array.int8", PD_GGUF_INT8, (int64_t[]){-128, 0, 127});
    check_integers(gguf, "test.array.uint16", PD_GGUF_UINT16, (int64_t[]){0, 1, 65535});
    check_integers(gguf, "test.array.int16", PD_GGUF_INT16, (int64_t[]){-32768, -1, 32767});
    check_integers(gguf, "test.array.uint32", PD_GGUF_UINT32, (int64_t[]){0, 1, UINT32_MAX});
    check_integers(gguf, "test.array.int32", PD_GGUF_INT32, (int64_t[]){INT32_MIN, -1, INT32_MAX});
    check_integers(gguf, "test.array.uint64", PD_GGUF_UINT64, (int64_t[]){0, ((int64_t)1 << 53) + 1, INT64_MAX});
    check_integers(gguf, "test.array.int64", PD_GGUF_INT64, (int64_t[]){INT64_MIN, -1, INT64_MAX});
    check_reals(gguf, "test.array.float32", PD_GGUF_FLOAT32, (double[]){-1.5, 0, (double)3.0e38f});
    check_reals(gguf, "test.array.float64", PD_GGUF_FLOAT64, (double[]){-0.25, 1e-300, 1e300});
    const pd_gguf_value *array = NULL;
    CHECK(pd_gguf_get_array(gguf, "test.array.bool", PD_GGUF_BOOL, &array, NULL) == PD_OK);
    CHECK(array->count == 3 && array->data[0] == 1 && array->data[1] == 0 && array->data[2] == 1);
    CHECK(pd_gguf_get_array(gguf, "test.array.string", PD_GGUF_STRING, &array, NULL) == PD_OK && array->count == 3);
    uint64_t cursor = 0;
    CHECK(equals(pd_gguf_array_next_string(array, &cursor), "cat"));
    CHECK(equals(pd_gguf_array_next_string(array, &cursor), ""));
    CHECK(equals(pd_gguf_array_next_string(array, &cursor), "naïve"));
}

/* Getters refuse what is absent, of another type or out of range, with PD_CONFIG and the key. */
static void check_fixture_refusals(const pd_gguf *gguf)
{
    int64_t number;
    double real;
    bool flag;
    pd_bytes text;
    const pd_gguf_value *array;
    pd_error error;
#define REFUSED(call, word)                                                           \
    do {                                                                              \
        CHECK((call) == PD_CONFIG && error.status == PD_CONFIG);                      \
        CHECK(strstr(error.message, word));                                           \
    } while (0)
    REFUSED(pd_gguf_get_integer(gguf, "test.absent", 0, 1, &number, &error), "test.absent");
    CHECK(error.offset == PD_NO_OFFSET);
    REFUSED(pd_gguf_get_real(gguf, "test.absent", 0, 1, &real, &error), "missing");
    REFUSED(pd_gguf_get_bool(gguf, "test.absent", &flag, &error), "missing");
    REFUSED(pd_gguf_get_string(gguf, "test.absent", &text, &error), "missing");
    REFUSED(pd_gguf_get_array(gguf, "test.absent", PD_GGUF_UINT8, &array, &error), "missing");
    static const char *const not_integers[] = {"test.bool", "test.float32", "test.float64", "test.string", "test.array.uint8"};
    for (size_t i = 0; i < 5; i++) {
        REFUSED(pd_gguf_get_integer(gguf, not_integers[i], INT64_MIN, INT64_MAX, &number, &error), not_integers[i]);
        CHECK(error.offset == pd_gguf_find(gguf, not_integers[i])->offset);
    }
    REFUSED(pd_gguf_get_real(gguf, "test.uint8", 0, 1000, &real, &error), "uint8");
    REFUSED(pd_gguf_get_real(gguf, "test.array.float32", -1e39, 1e39, &real, &error), "array of float32");
    REFUSED(pd_gguf_get_real(gguf, "test.float64", 0.11, 1, &real, &error), "0.1");
    REFUSED(pd_gguf_get_real(gguf, "test.float64", 0, 0.09, &real, &error), "0.09");
    REFUSED(pd_gguf_get_bool(gguf, "test.uint8", &flag, &error), "uint8");
    REFUSED(pd_gguf_get_bool(gguf, "test.array.bool", &flag, &error), "array of bool");
    REFUSED(pd_gguf_get_string(gguf, "test.array.string", &text, &error), "array of string");
    REFUSED(pd_gguf_get_string(gguf, "test.int8", &text, &error), "int8");
    REFUSED(pd_gguf_get_array(gguf, "test.array.int32", PD_GGUF_UINT32, &array, &error), "array of int32");
    REFUSED(pd_gguf_get_array(gguf, "test.uint32", PD_GGUF_UINT32, &array, &error), "array of uint32");
}

static double fixture_formula(uint64_t i) { return ((double)(37 * i % 101) - 50) / 101; }

static void check_fixture_tensor(const pd_gguf *gguf, const char *name, pd_gguf_tensor_type type, int32_t dimensions,
                                 const uint64_t shape[4])
{
    const pd_gguf_tensor *t = pd_gguf_find_tensor(gguf, name);
    CHECK(t && t->type == type && t->dimensions == dimensions);
    if (!t) return;
    uint64_t count = 1;
    for (int i = 0; i < 4; i++) {
        CHECK(t->shape[i] == shape[i]);
        count *= shape[i];
    }
    CHECK(t->data_offset % 64 == 0 && t->data == gguf->bytes + t->data_offset);
    const block_type *blocks = block_type_of(type);
    CHECK(t->bytes == (blocks ? count / 32 * blocks->bytes : type == PD_GGUF_TENSOR_F16 ? 2 * count : 4 * count));
    float values[512];
    CHECK(count <= 512 && pd_gguf_check_finite(t, NULL) == PD_OK);
    pd_gguf_dequantize(t, 0, count, values);
    for (uint64_t i = 0; i < count; i++) {
        const double expected = fixture_formula(i);
        if (type == PD_GGUF_TENSOR_F32) CHECK(values[i] == (float)expected);
        else if (type == PD_GGUF_TENSOR_F16) CHECK_NEAR(values[i], expected, fabs(expected) / 2048);
        /* half a step of a block from -50/101 to 50/101; a whole one where the levels are -8 .. 7 or -16 .. 15, and
         * the largest is missing; and the rounding of scale and minimum to float16 */
        else CHECK_NEAR(values[i], expected, 50.0 / 101 * (blocks->tolerance + (double)(blocks->halves + 1) / 2048));
    }
    /* parts of a tensor, also one value past 32 */
    float part[32];
    const uint64_t step = blocks ? 32 : 1;
    for (uint64_t first = 0; first + step <= count; first += step) {
        pd_gguf_dequantize(t, first, step, part);
        CHECK(memcmp(part, values + first, (size_t)step * sizeof *part) == 0);
    }
}

static void test_fixture(void)
{
    gguf_builder b = read_file("golden/small.gguf");
    pd_gguf gguf;
    pd_error error = {0};
    const pd_status status = pd_gguf_open(&gguf, b.bytes, b.size, &error);
    CHECK(status == PD_OK);
    if (status != PD_OK) {
        fprintf(stderr, "  %s\n", error.message);
        build_free(&b);
        return;
    }
    check_fixture_values(&gguf);
    check_fixture_refusals(&gguf);
    CHECK(gguf.tensor_count == 10 && equals(gguf.tensors[5].name, "q8_0.vector"));
    check_fixture_tensor(&gguf, "f32.vector", PD_GGUF_TENSOR_F32, 1, (uint64_t[]){5, 1, 1, 1});
    check_fixture_tensor(&gguf, "f32.block", PD_GGUF_TENSOR_F32, 4, (uint64_t[]){5, 4, 3, 2});
    check_fixture_tensor(&gguf, "f16.vector", PD_GGUF_TENSOR_F16, 1, (uint64_t[]){7, 1, 1, 1});
    check_fixture_tensor(&gguf, "f16.rows", PD_GGUF_TENSOR_F16, 2, (uint64_t[]){33, 3, 1, 1});
    check_fixture_tensor(&gguf, "q8_0.rows", PD_GGUF_TENSOR_Q8_0, 2, (uint64_t[]){96, 4, 1, 1});
    check_fixture_tensor(&gguf, "q8_0.vector", PD_GGUF_TENSOR_Q8_0, 1, (uint64_t[]){32, 1, 1, 1});
    check_fixture_tensor(&gguf, "q4_0.rows", PD_GGUF_TENSOR_Q4_0, 2, (uint64_t[]){64, 2, 1, 1});
    check_fixture_tensor(&gguf, "q4_1.rows", PD_GGUF_TENSOR_Q4_1, 2, (uint64_t[]){64, 2, 1, 1});
    check_fixture_tensor(&gguf, "q5_0.rows", PD_GGUF_TENSOR_Q5_0, 2, (uint64_t[]){64, 2, 1, 1});
    check_fixture_tensor(&gguf, "q5_1.rows", PD_GGUF_TENSOR_Q5_1, 2, (uint64_t[]){64, 2, 1, 1});
    CHECK(!pd_gguf_find_tensor(&gguf, "f32"));
    pd_gguf_close(&gguf);

    for (size_t size = 0; size < b.size; size++) CHECK(open_copy(b.bytes, size, &error) != PD_OK);
    CHECK(open_copy(b.bytes, b.size, &error) == PD_OK);
    test_random_damage(b.bytes, b.size, 20000);
    build_free(&b);
}

/* ---- number formats ------------------------------------------------------------------------ */

static double half_value(uint32_t half) /* IEEE 754-2008, binary16 */
{
    const int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    const double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static pd_gguf_tensor tensor_of(pd_gguf_tensor_type type, uint64_t count, const void *data, uint64_t bytes)
{
    return (pd_gguf_tensor){.name = {"weights", 7}, .dimensions = 1, .shape = {count, 1, 1, 1}, .type = type,
                            .data = data, .bytes = bytes, .data_offset = 1000};
}

/* `count` blocks from `first` on: their elements, and where they lie. */
static pd_gguf_tensor part_of(const pd_gguf_tensor *t, uint64_t first, uint64_t count, uint64_t values, uint64_t bytes)
{
    pd_gguf_tensor part = *t;
    part.shape[0] = count * values;
    part.data += first * bytes;
    part.data_offset += first * bytes;
    part.bytes = count * bytes;
    return part;
}

static void test_f16(void)
{
    static uint8_t data[2 * 65536 + 1];
    static float values[65536];
    for (uint32_t half = 0; half < 65536; half++) memcpy(data + 1 + 2 * half, &half, 2); /* unaligned */
    const pd_gguf_tensor t = tensor_of(PD_GGUF_TENSOR_F16, 65536, data + 1, 2 * 65536);
    pd_gguf_dequantize(&t, 0, 0x7c00, values);
    pd_gguf_dequantize(&t, 0x8000, 0x7c00, values + 0x8000);
    int wrong = 0;
    for (uint32_t half = 0; half < 65536; half++) {
        const bool finite = (half & 0x7fff) < 0x7c00;
        const pd_gguf_tensor one = part_of(&t, half, 1, 1, 2);
        if (finite) wrong += (double)values[half] != half_value(half) || !signbit(values[half]) != !(half & 0x8000);
        wrong += pd_gguf_check_finite(&one, NULL) != (finite ? PD_OK : PD_NONFINITE);
    }
    CHECK(wrong == 0);
    pd_error error;
    const pd_gguf_tensor below = part_of(&t, 0, 0x7c00, 1, 2), most = part_of(&t, 100, 60000, 1, 2), nan = part_of(&t, 0xfc01, 1, 1, 2);
    CHECK(pd_gguf_check_finite(&below, NULL) == PD_OK);
    CHECK(pd_gguf_check_finite(&most, &error) == PD_NONFINITE && error.offset == 1000 + 2 * 0x7c00);
    CHECK(strcmp(error.message, "tensor \"weights\": element 31644 is infinite") == 0);
    CHECK(pd_gguf_check_finite(&nan, &error) == PD_NONFINITE && strstr(error.message, "NaN"));
    pd_gguf_dequantize(&t, 5, 0, NULL);
}

static void test_f32(void)
{
    static const uint32_t finite[] = {0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f800000};
    static const uint32_t others[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff};
    uint32_t bits[40];
    float values[40];
    for (size_t i = 0; i < 40; i++) bits[i] = finite[i % 8];
    const pd_gguf_tensor t = tensor_of(PD_GGUF_TENSOR_F32, 40, bits, sizeof bits);
    CHECK(pd_gguf_check_finite(&t, NULL) == PD_OK);
    pd_gguf_dequantize(&t, 0, 40, values);
    CHECK(memcmp(values, bits, sizeof bits) == 0);
    for (size_t k = 0; k < 5; k++)
        for (size_t i = 0; i < 40; i++) {
            pd_error error;
            for (size_t all = 0; all < 40; all++) bits[all] = finite[all % 8];
            bits[i] = others[k];
            CHECK(pd_gguf_check_finite(&t, &error) == PD_NONFINITE && error.offset == 1000 + 4 * i);
            CHECK(strstr(error.message, k < 2 ? "infinite" : "NaN"));
        }
}

static void test_q8_0(void)
{
    enum { BLOCKS = 8 };
    static const uint16_t scales[BLOCKS] = {0x3c00, 0xbc00, 0x0001, 0x7bff, 0x0000, 0x8000, 0x1234, 0x03ff};
    uint8_t data[BLOCKS * 34];
    float values[BLOCKS * 32];
    for (int block = 0; block < BLOCKS; block++) {
        memcpy(data + 34 * block, &scales[block], 2);
        for (int i = 0; i < 32; i++) data[34 * block + 2 + i] = (uint8_t)(32 * block + i + 112); /* all 256, from 112 */
    }
    const pd_gguf_tensor t = tensor_of(PD_GGUF_TENSOR_Q8_0, BLOCKS * 32, data, sizeof data);
    CHECK(pd_gguf_check_finite(&t, NULL) == PD_OK);
    pd_gguf_dequantize(&t, 0, BLOCKS * 32, values);
    for (int i = 0; i < BLOCKS * 32; i++) {
        const int byte = (i + 112) % 256, quantum = byte < 128 ? byte : byte - 256;
        CHECK((double)values[i] == half_value(scales[i / 32]) * quantum); /* 11 + 8 bits: exact in float */
    }
}

/* Scale and minimum of any block of any type; every block before and behind stays sound. */
static void check_block_finite(const block_type *blocks)
{
    enum { BLOCKS = 8 };
    static const uint16_t others[] = {0x7c00, 0xfc00, 0x7e00, 0xffff};
    static const char *const parts[] = {"scale", "minimum"};
    for (size_t k = 0; k < 4; k++)
        for (uint64_t block = 0; block < BLOCKS; block++)
            for (uint32_t half = 0; half < blocks->halves; half++) {
                uint8_t data[BLOCKS * 34];
                memset(data, 0xff, sizeof data); /* levels are never not finite */
                for (size_t all = 0; all < BLOCKS; all++) memset(data + all * blocks->bytes, 0x7b, 2 * blocks->halves);
                const pd_gguf_tensor t = tensor_of(blocks->type, BLOCKS * 32, data, BLOCKS * blocks->bytes);
                CHECK(pd_gguf_check_finite(&t, NULL) == PD_OK);
                const uint64_t at = block * blocks->bytes + 2 * half;
                memcpy(data + at, &others[k], 2);
                pd_error error;
                char expected[128];
                snprintf(expected, sizeof expected, "tensor \"weights\": the %s of block %d is %s", parts[half], (int)block,
                         k < 2 ? "infinite" : "NaN");
                CHECK(pd_gguf_check_finite(&t, &error) == PD_NONFINITE && error.offset == 1000 + at);
                CHECK(strcmp(error.message, expected) == 0);
                const pd_gguf_tensor before = part_of(&t, 0, block, 32, blocks->bytes);
                const pd_gguf_tensor after = part_of(&t, block + 1, BLOCKS - 1 - block, 32, blocks->bytes);
                CHECK(pd_gguf_check_finite(&before, NULL) == PD_OK && pd_gguf_check_finite(&after, NULL) == PD_OK);
            }
}

/* Bit for bit what PyPI `gguf` makes of random blocks (tests/golden). */
static void check_block_values(const golden *fixture, const block_type *blocks)
{
    char name[32];
    size_t bytes, count;
    snprintf(name, sizeof name, "%s.blocks", blocks->name);
    const uint8_t *data = GOLDEN_U8(fixture, name, &bytes);
    snprintf(name, sizeof name, "%s.values", blocks->name);
    const float *expected = GOLDEN_F32(fixture, name, &count);
    CHECK(count >= 512 && bytes == count / 32 * blocks->bytes);
    const pd_gguf_tensor t = tensor_of(blocks->type, count, data, bytes);
    CHECK(pd_gguf_check_finite(&t, NULL) == PD_OK);
    float *values = malloc(count * sizeof *values);
    if (!values) abort();
    pd_gguf_dequantize(&t, 0, count, values);
    CHECK(memcmp(values, expected, count * sizeof *values) == 0);
    free(values);
}

static void test_block_types(void)
{
    golden fixture = golden_open("quantised");
    for (size_t i = 0; i < BLOCK_TYPES; i++) {
        check_block_finite(&block_types[i]);
        check_block_values(&fixture, &block_types[i]);
    }
    golden_close(&fixture);
}

/* NaN and infinity in metadata are structure no less than 1 is; the getter refuses them. */
static void test_nonfinite_metadata(void)
{
    gguf_builder b = {0};
    build_header(&b, 1, 4);
    build_key(&b, "wide", 10);
    build_u64(&b, INT64_MAX);
    build_key(&b, "nan", 6);
    build_f32(&b, NAN);
    build_key(&b, "infinity", 12);
    build_f64(&b, -(double)INFINITY);
    build_key(&b, "small", 3);
    build_u16(&b, 0xfffe);
    build_tensor(&b, "t", 1, (uint64_t[]){8}, 0, 0);
    build_align(&b, 32);
    build_fill(&b, 0, 32);
    pd_gguf gguf;
    pd_error error;
    CHECK(pd_gguf_open(&gguf, b.bytes, b.size, &error) == PD_OK);
    double real = 5;
    CHECK(pd_gguf_get_real(&gguf, "nan", -INFINITY, INFINITY, &real, &error) == PD_CONFIG && real == 5);
    CHECK(strstr(error.message, "nan is nan"));
    CHECK(pd_gguf_get_real(&gguf, "infinity", -INFINITY, INFINITY, &real, &error) == PD_CONFIG && real == 5);
    CHECK(strstr(error.message, "-inf"));
    int64_t number;
    CHECK(pd_gguf_get_integer(&gguf, "wide", 0, INT64_MAX, &number, &error) == PD_OK && number == INT64_MAX);
    CHECK(pd_gguf_get_integer(&gguf, "small", -2, -2, &number, &error) == PD_OK && number == -2);
    pd_gguf_close(&gguf);
    build_free(&b);
}

int main(void)
{
    test_arguments();
    test_header();
    test_metadata();
    test_alignment();
    test_table();
    test_data_section();
    test_prefixes();
    test_flipped_bytes();
    test_allocation_failure();
    test_many();
    test_fixture();
    test_f16();
    test_f32();
    test_q8_0();
    test_block_types();
    test_nonfinite_metadata();
    return check_result();
}
