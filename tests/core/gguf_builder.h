/* Writes GGUF files into memory, well-formed or not: nothing is checked. */
#ifndef PD_TEST_GGUF_BUILDER_H
#define PD_TEST_GGUF_BUILDER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct gguf_builder {
    uint8_t *bytes;
    size_t size, capacity;
} gguf_builder;

static inline void build_bytes(gguf_builder *b, const void *bytes, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size);
        b->bytes = realloc(b->bytes, b->capacity);
        if (!b->bytes) abort();
    }
    if (size) memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static inline void build_u8(gguf_builder *b, uint8_t value) { build_bytes(b, &value, sizeof value); }
static inline void build_u16(gguf_builder *b, uint16_t value) { build_bytes(b, &value, sizeof value); }
static inline void build_u32(gguf_builder *b, uint32_t value) { build_bytes(b, &value, sizeof value); }
static inline void build_u64(gguf_builder *b, uint64_t value) { build_bytes(b, &value, sizeof value); }
static inline void build_f32(gguf_builder *b, float value) { build_bytes(b, &value, sizeof value); }
static inline void build_f64(gguf_builder *b, double value) { build_bytes(b, &value, sizeof value); }

static inline void build_fill(gguf_builder *b, uint8_t value, size_t count)
{
    while (count--) build_u8(b, value);
}

static inline void build_string(gguf_builder *b, const char *text)
{
    build_u64(b, strlen(text));
    build_bytes(b, text, strlen(text));
}

static inline void build_header(gguf_builder *b, uint64_t tensors, uint64_t values)
{
    build_bytes(b, "GGUF", 4);
    build_u32(b, 3);
    build_u64(b, tensors);
    build_u64(b, values);
}

/* The value follows. */
static inline void build_key(gguf_builder *b, const char *key, uint32_t type)
{
    build_string(b, key);
    build_u32(b, type);
}

static inline void build_value_u32(gguf_builder *b, const char *key, uint32_t value)
{
    build_key(b, key, 4);
    build_u32(b, value);
}

static inline void build_value_string(gguf_builder *b, const char *key, const char *value)
{
    build_key(b, key, 8);
    build_string(b, value);
}

/* The elements follow. */
static inline void build_array(gguf_builder *b, const char *key, uint32_t element, uint64_t count)
{
    build_key(b, key, 9);
    build_u32(b, element);
    build_u64(b, count);
}

static inline void build_tensor(gguf_builder *b, const char *name, uint32_t dimensions, const uint64_t *shape,
                                uint32_t type, uint64_t offset)
{
    build_string(b, name);
    build_u32(b, dimensions);
    for (uint32_t i = 0; i < dimensions; i++) build_u64(b, shape[i]);
    build_u32(b, type);
    build_u64(b, offset);
}

static inline void build_align(gguf_builder *b, size_t alignment)
{
    while (b->size % alignment) build_u8(b, 0);
}

static inline void build_free(gguf_builder *b)
{
    free(b->bytes);
    *b = (gguf_builder){0};
}

#endif
