/* Every malformed file of tests/bad/table.txt (tests/bad/make_bad_files.py says
 * what its lines mean) is refused with its code, at its offset, without a large
 * allocation and without a leak. */
#include "check.h"
#include "counting_allocator.h"
#include "golden.h"

enum { MIB = 1 << 20 };

static const uint8_t *base;
static size_t base_size;

static uint8_t byte_of(const char *hexadecimal)
{
    const char digits[3] = {hexadecimal[0], hexadecimal[1], 0};
    return (uint8_t)strtoul(digits, NULL, 16);
}

/* The fixture with these edits, in a block of exactly *size bytes. */
static uint8_t *apply(char *edits, size_t *size)
{
    uint8_t *made = malloc(base_size + strlen(edits));
    size_t from = 0, length = 0, cut = SIZE_MAX;
    if (!made) abort();
    for (char *edit = strtok(edits, " "); edit; edit = strtok(NULL, " ")) {
        if (*edit == '=') {
            cut = strtoull(edit + 1, NULL, 10);
            continue;
        }
        const size_t at = strtoull(edit, &edit, 10), count = strtoull(edit + 1, &edit, 10);
        memcpy(made + length, base + from, at - from);
        length += at - from;
        from = at + count;
        for (const char *hexadecimal = edit + 1; *hexadecimal; hexadecimal += 2) made[length++] = byte_of(hexadecimal);
    }
    memcpy(made + length, base + from, base_size - from);
    length += base_size - from;
    *size = cut == SIZE_MAX ? length : cut;
    uint8_t *block = calloc(*size ? *size : 1, 1);
    if (!block) abort();
    memcpy(block, made, length < *size ? length : *size);
    free(made);
    return block;
}

static void expect_refusal(char *line)
{
    char name[128], code[32], offset[32];
    int edits = 0;
    CHECK(sscanf(line, "%127s %31s %31s%n", name, code, offset, &edits) == 3);
    size_t size;
    uint8_t *bytes = apply(line + edits, &size);
    counting_allocator counter;
    counting_install(&counter, 0);
    pd_error error = {0};
    pd_model *model = NULL;
    const pd_status status = pd_model_load(bytes, size, &model, &error);
    CHECK(!model && counter.live == 0 && counter.largest <= size + MIB);
    const bool same_offset = *offset == '*'   ? true
                             : *offset == '-' ? error.offset == PD_NO_OFFSET
                                              : error.offset == strtoull(offset, NULL, 10);
    const bool as_expected = strcmp(pd_status_name(status), code) == 0 && error.status == status && same_offset;
    CHECK(as_expected && strlen(error.message) > 10 && !strchr(error.message, '\n'));
    if (!as_expected)
        fprintf(stderr, "  %s: %s at %lld (%s), expected %s at %s\n", name, pd_status_name(status), (long long)error.offset,
                error.message, code, offset);
    pd_model_free(model);
    pd_set_allocator(NULL);
    free(bytes);
}

int main(void)
{
    size_t table_size;
    char *table = golden_read("../bad/table", "txt", &table_size), *rest = table;
    char *fixture = golden_read("tiny", "gguf", &base_size);
    base = (const uint8_t *)fixture;
    int files = 0;
    for (char *end; (end = strchr(rest, '\n')) != NULL; rest = end + 1, files++) {
        *end = '\0';
        expect_refusal(rest);
    }
    CHECK(files > 200 && *rest == '\0');
    printf("%d malformed files\n", files);
    free(table);
    free(fixture);
    return check_result();
}
