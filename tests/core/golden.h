/* Reads the fixtures of tests/golden: NAME.bin holds arrays of little-endian
 * numbers, each line of NAME.txt says "array type byte-offset count". A fixture
 * or array that is missing ends the test. */
#ifndef PD_TEST_GOLDEN_H
#define PD_TEST_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
    char *text, *data;
    size_t size;
} golden;

static inline char *golden_read(const char *name, const char *extension, size_t *size)
{
    char path[128];
    snprintf(path, sizeof path, "golden/%s.%s", name, extension);
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "cannot open %s (tests run in the folder tests/)\n", path);
        exit(EXIT_FAILURE);
    }
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *content = malloc(*size + 1);
    if (!content || fread(content, 1, *size, file) != *size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(EXIT_FAILURE);
    }
    content[*size] = '\0';
    fclose(file);
    return content;
}

static inline golden golden_open(const char *name)
{
    golden fixture;
    size_t text_size;
    fixture.text = golden_read(name, "txt", &text_size);
    fixture.data = golden_read(name, "bin", &fixture.size);
    return fixture;
}

static inline void golden_close(golden *fixture)
{
    free(fixture->text);
    free(fixture->data);
}

/* The array of that name; `type` is f32, f64, i32, u32, u64 or u8. */
static inline const void *golden_array(const golden *fixture, const char *name, const char *type, size_t element,
                                       size_t *count)
{
    const size_t length = strlen(name);
    for (const char *line = fixture->text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char found_type[8];
        size_t offset;
        if (strncmp(line, name, length) != 0 || line[length] != ' ' ||
            sscanf(line + length, "%7s %zu %zu", found_type, &offset, count) != 3)
            continue;
        if (strcmp(found_type, type) != 0 || offset > fixture->size || *count > (fixture->size - offset) / element)
            break;
        return fixture->data + offset;
    }
    fprintf(stderr, "no array %s of type %s in the fixture\n", name, type);
    exit(EXIT_FAILURE);
}

#define GOLDEN_F32(fixture, name, count) ((const float *)golden_array((fixture), (name), "f32", 4, (count)))
#define GOLDEN_F64(fixture, name, count) ((const double *)golden_array((fixture), (name), "f64", 8, (count)))
#define GOLDEN_I32(fixture, name, count) ((const int *)golden_array((fixture), (name), "i32", 4, (count)))
#define GOLDEN_U64(fixture, name, count) ((const unsigned long long *)golden_array((fixture), (name), "u64", 8, (count)))
#define GOLDEN_U8(fixture, name, count) ((const unsigned char *)golden_array((fixture), (name), "u8", 1, (count)))

/* FNV-1a, to compare bits between compilers and processors. */
static inline unsigned long long golden_hash(unsigned long long hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}
#define GOLDEN_HASH_START 0xcbf29ce484222325u

#endif
