/* Whole tiny models of both formats, damaged everywhere: every prefix, every byte of
 * the header and every number of the metadata, the list of operations and the tensor
 * table set to what sizes go wrong at. Each file lies in a block of exactly its size; each either loads or
 * is refused with a code, and nothing large is allocated for a refused one. */
#include "check.h"
#include "tiny_model.h"

enum { MIB = 1 << 20 };

static const uint8_t *model;
static size_t model_size;

static pd_status try_load(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    pd_model *loaded = NULL;
    pd_error error = {0};
    if (!block) abort();
    memcpy(block, bytes, size);
    fuzz_memory_reset(64u << 20, 0);
    const pd_status status = pd_model_load(block, size, &loaded, &error);
    free(block);
    if (status == PD_OK) {
        pd_model_free(loaded);
    } else {
        fuzz_require_error(status, &error);
        CHECK(!loaded);
        /* memory may be what the file asks for too much of: then it is sound */
        CHECK(status == PD_MEMORY || fuzz_memory.largest <= size + MIB);
    }
    CHECK(fuzz_memory.live == 0);
    return status;
}

static void test_prefixes(void)
{
    int wrong = 0;
    for (size_t size = 0; size < model_size; size++) {
        const pd_status status = try_load(model, size);
        wrong += status != PD_SHORT && status != PD_COUNT && status != PD_STRING && status != PD_ARRAY;
    }
    CHECK(wrong == 0);
    CHECK(try_load(model, model_size) == PD_OK);
}

static void test_header(uint8_t *damaged)
{
    for (size_t at = 0; at < 24; at++) {
        for (unsigned change = 1; change < 256; change++) {
            damaged[at] = (uint8_t)(model[at] ^ change);
            CHECK(try_load(damaged, model_size) != PD_OK);
        }
        damaged[at] = model[at];
    }
}

/* Every number of a list of operations: the arrays of 32 bits below `graph.`. */
static void add_operands(const document_entry *entry, document_fields *fields)
{
    static const char prefix[] = "pocket-diffusion.graph.";
    if (entry->key_length < sizeof prefix || memcmp(entry->key, prefix, sizeof prefix - 1) != 0 || entry->bytes != 4 * entry->count) return;
    for (uint64_t i = 0; i < entry->count && fields->count < MOST_FIELDS; i++) {
        fields->fields[fields->count].at = (uint32_t)(entry->data - model) + (uint32_t)(4 * i);
        fields->fields[fields->count++].width = 4;
    }
}

/* Of a list of operations more numbers may be anything: reals, sizes of padding, other inputs of the same shape. */
static void test_numbers(uint8_t *damaged, bool list)
{
    static const uint64_t numbers[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
                                       0xfffffffffffffffc, 0xffffffffffffffff};
    static document parts;
    static document_fields fields;
    static uint8_t written[1 << 17];
    CHECK(document_read(&parts, model, model_size));
    CHECK(document_write(&parts, false, true, written, sizeof written, &fields) == model_size && memcmp(written, model, model_size) == 0);
    /* the values of the metadata besides, which are of no interest to the fuzzer's raw changes */
    for (size_t i = 0; i < parts.entry_count && fields.count < MOST_FIELDS; i++) {
        fields.fields[fields.count].at = (uint32_t)(parts.entries[i].data - model);
        fields.fields[fields.count++].width = parts.entries[i].bytes < 8 ? 4 : 8;
        add_operands(&parts.entries[i], &fields);
    }
    CHECK(fields.count > (list ? 150 : 500) && fields.count < MOST_FIELDS);
    int refused = 0, loaded = 0;
    for (size_t i = 0; i < fields.count; i++) {
        const size_t at = fields.fields[i].at, width = fields.fields[i].width;
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            memcpy(damaged + at, &numbers[k], width);
            if (memcmp(damaged, model, model_size) != 0) *(try_load(damaged, model_size) == PD_OK ? &loaded : &refused) += 1;
        }
        memcpy(damaged + at, model + at, width);
    }
    printf("%d files with one number changed: %d refused, %d loaded\n", refused + loaded, refused, loaded);
    CHECK(list ? (refused > 1500 && loaded < refused / 4) : (refused > 5000 && loaded < 200));
}

static void test_model(const char *path, bool list)
{
    static uint8_t seed[1 << 14];
    FILE *file = fopen(path, "rb");
    CHECK(file);
    if (!file) return;
    const size_t size = fread(seed, 1, sizeof seed, file) - 2;
    fclose(file);
    uint8_t *whole = complete_model(seed, size, 0, &model_size), *damaged = malloc(model_size);
    if (!damaged) abort();
    model = whole;
    memcpy(damaged, model, model_size);
    test_prefixes();
    test_header(damaged);
    test_numbers(damaged, list);
    free(damaged);
    free(whole);
}

int main(void)
{
    test_model("fuzz/corpus/model/plain", false);
    test_model("fuzz/corpus/graph/maps", true);
    test_model("fuzz/corpus/graph/tokens", true);
    pd_set_allocator(NULL);
    return check_result();
}
