#include "gguf_document.h"

#include <string.h>

enum { STRING = 8, ARRAY = 9, DEFAULT_ALIGNMENT = 32 };

static const uint8_t value_bytes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* ---- reading ------------------------------------------------------------------ */

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

static const uint8_t *take(input *in, uint64_t count)
{
    if (count > in->left) return NULL;
    const uint8_t *taken = in->bytes;
    in->bytes += count;
    in->left -= (size_t)count;
    return taken;
}

static bool take_number(input *in, size_t width, uint64_t *number)
{
    const uint8_t *bytes = take(in, width);
    *number = 0;
    if (bytes) memcpy(number, bytes, width);
    return bytes != NULL;
}

static bool take_u32(input *in, uint32_t *number)
{
    uint64_t wide;
    const bool taken = take_number(in, 4, &wide);
    *number = (uint32_t)wide;
    return taken;
}

static bool take_string(input *in, const uint8_t **text, size_t *length)
{
    uint64_t count;
    if (!take_number(in, 8, &count) || count > in->left) return false;
    *length = (size_t)count;
    *text = take(in, count);
    return true;
}

static bool read_entry(input *in, document_entry *entry)
{
    if (!take_string(in, &entry->key, &entry->key_length) || !take_u32(in, &entry->type)) return false;
    entry->element = entry->type;
    entry->count = 1;
    if (entry->type == ARRAY && (!take_u32(in, &entry->element) || !take_number(in, 8, &entry->count))) return false;
    if (entry->element > 12 || entry->element == ARRAY || entry->count > in->left) return false;
    entry->data = in->bytes;
    for (uint64_t i = 0; i < entry->count; i++) {
        const uint8_t *text;
        size_t length;
        if (entry->element == STRING ? !take_string(in, &text, &length) : !take(in, value_bytes[entry->element])) return false;
    }
    entry->bytes = (size_t)(in->bytes - entry->data);
    return true;
}

static bool read_row(input *in, document_row *row)
{
    if (!take_string(in, &row->name, &row->name_length) || !take_u32(in, &row->dimensions) || row->dimensions > 4) return false;
    for (uint32_t i = 0; i < 4; i++) {
        row->shape[i] = 1;
        if (i < row->dimensions && !take_number(in, 8, &row->shape[i])) return false;
    }
    return take_u32(in, &row->type) && take_number(in, 8, &row->offset);
}

bool document_read(document *d, const uint8_t *bytes, size_t size)
{
    input in = {bytes, size};
    uint64_t rows, entries;
    if (!take(&in, 8) || !take_number(&in, 8, &rows) || !take_number(&in, 8, &entries)) return false;
    if (rows > MOST_ROWS || entries > MOST_ENTRIES) return false;
    d->row_count = (size_t)rows;
    d->entry_count = (size_t)entries;
    d->alignment = DEFAULT_ALIGNMENT;
    for (size_t i = 0; i < d->entry_count; i++) {
        const document_entry *entry = &d->entries[i];
        if (!read_entry(&in, &d->entries[i])) return false;
        if (entry->key_length == 17 && memcmp(entry->key, "general.alignment", 17) == 0 && entry->bytes >= 2)
            d->alignment = (uint64_t)entry->data[0] | (uint64_t)entry->data[1] << 8;
    }
    if (d->alignment < 8 || (d->alignment & (d->alignment - 1))) d->alignment = DEFAULT_ALIGNMENT;
    for (size_t i = 0; i < d->row_count; i++)
        if (!read_row(&in, &d->rows[i])) return false;
    const size_t padding = (size_t)(-(uint64_t)(in.bytes - bytes) & (d->alignment - 1));
    if (!take(&in, padding)) in.left = 0;
    d->data = in.bytes;
    d->data_bytes = in.left;
    return true;
}

size_t document_tensor_bytes(const document_row *row)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < row->dimensions && i < 4; i++) {
        if (row->shape[i] == 0 || row->shape[i] > 1 << 20) return 0;
        elements *= row->shape[i];
        if (elements > 1 << 20) return 0;
    }
    static const uint8_t block_bytes[9] = {[2] = 18, [3] = 20, [6] = 22, [7] = 24, [8] = 34};
    if (row->type < 9 && block_bytes[row->type]) return (size_t)(elements / 32 * block_bytes[row->type]);
    return (size_t)(row->type == 0 ? elements * 4 : elements * 2);
}

/* ---- writing ------------------------------------------------------------------- */

typedef struct output {
    uint8_t *bytes;
    size_t size, capacity;
    bool full;
    document_fields *fields;
} output;

static void put(output *out, const void *bytes, size_t count)
{
    if (out->full || count > out->capacity - out->size) {
        out->full = true;
        return;
    }
    if (!count) return;
    if (bytes) memmove(out->bytes + out->size, bytes, count);
    else memset(out->bytes + out->size, 0, count);
    out->size += count;
}

static void put_number(output *out, uint64_t number, uint32_t width)
{
    if (out->fields->count < MOST_FIELDS) {
        out->fields->fields[out->fields->count].at = (uint32_t)out->size;
        out->fields->fields[out->fields->count++].width = width;
    }
    put(out, &number, width);
}

static void put_string(output *out, const uint8_t *text, size_t length)
{
    put_number(out, length, 8);
    put(out, text, length);
}

size_t document_write(document *d, bool relocate, bool with_data, uint8_t *bytes, size_t capacity,
                      document_fields *fields)
{
    output out = {bytes, 0, capacity, false, fields};
    uint64_t end = 0;
    fields->count = 0;
    put(&out, "GGUF", 4);
    put_number(&out, 3, 4);
    put_number(&out, d->row_count, 8);
    put_number(&out, d->entry_count, 8);
    for (size_t i = 0; i < d->entry_count; i++) {
        const document_entry *entry = &d->entries[i];
        put_string(&out, entry->key, entry->key_length);
        put_number(&out, entry->type, 4);
        if (entry->type == ARRAY) {
            put_number(&out, entry->element, 4);
            put_number(&out, entry->count, 8);
        }
        put(&out, entry->data, entry->bytes);
    }
    for (size_t i = 0; i < d->row_count; i++) {
        document_row *row = &d->rows[i];
        if (relocate) row->offset = end;
        end += (document_tensor_bytes(row) + d->alignment - 1) & ~(d->alignment - 1);
        put_string(&out, row->name, row->name_length);
        put_number(&out, row->dimensions, 4);
        for (uint32_t k = 0; k < row->dimensions && k < 4; k++) put_number(&out, row->shape[k], 8);
        put_number(&out, row->type, 4);
        put_number(&out, row->offset, 8);
    }
    if (with_data) {
        put(&out, NULL, (size_t)(-(uint64_t)out.size & (d->alignment - 1)));
        const size_t wanted = end > capacity ? capacity : (size_t)end, kept = wanted < d->data_bytes ? wanted : d->data_bytes;
        put(&out, d->data, kept);
        put(&out, NULL, wanted - kept);
    }
    return out.full ? 0 : out.size;
}

/* ---- mutation ------------------------------------------------------------------- */

typedef struct mutation {
    uint64_t state;
    uint8_t text[1 << 14]; /* changed texts and values */
    size_t used;
} mutation;

static uint64_t next(mutation *m) /* SplitMix64 (Steele et al. 2014) */
{
    uint64_t z = m->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(mutation *m, size_t count) { return (size_t)(next(m) % count); }

/* A number that a size, a count or a dimension is likely to be wrong about. */
static uint64_t boundary(mutation *m, uint64_t old)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 1023, 1024, 1025, 4095, 4096, 4097,
                                       65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x3fffffffffffffff,
                                       0x4000000000000000, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff8,
                                       0xfffffffffffffffc, 0xffffffffffffffff, 0x5555555555555556};
    switch (below(m, 6)) {
    case 0: return old + 1;
    case 1: return old - 1;
    case 2: return old << below(m, 3);
    case 3: return next(m);
    default: return numbers[below(m, sizeof numbers / sizeof numbers[0])];
    }
}

/* A copy that may be changed, with room for one byte more. */
static uint8_t *own(mutation *m, const uint8_t *bytes, size_t length)
{
    if (length + 1 > sizeof m->text - m->used) return NULL;
    uint8_t *copy = m->text + m->used;
    m->used += length + 1;
    if (length) memcpy(copy, bytes, length);
    return copy;
}

static void change_text(mutation *m, const uint8_t **text, size_t *length)
{
    uint8_t *copy = own(m, *text, *length);
    if (!copy) return;
    const size_t at = below(m, *length + 1);
    switch (below(m, 3)) {
    case 0: /* another byte */
        if (at < *length) copy[at] = (uint8_t)next(m);
        break;
    case 1: /* one more */
        memmove(copy + at + 1, copy + at, *length - at);
        copy[at] = (uint8_t)(below(m, 4) ? 'a' + below(m, 26) : next(m));
        ++*length;
        break;
    default: /* a shorter one */
        *length = at;
        break;
    }
    *text = copy;
}

static void change_value(mutation *m, document_entry *entry)
{
    const uint32_t element = entry->element;
    if (element == STRING && entry->type == STRING && entry->bytes >= 8) {
        const uint8_t *text = entry->data + 8;
        size_t length = entry->bytes - 8;
        change_text(m, &text, &length);
        uint8_t *value = own(m, entry->data, 8 + length);
        if (!value) return;
        const uint64_t written = length;
        memcpy(value, &written, 8);
        memmove(value + 8, text, length);
        entry->data = value;
        entry->bytes = 8 + length;
    } else if (element <= 12 && value_bytes[element] && entry->count) {
        const size_t width = value_bytes[element], at = below(m, (size_t)entry->count) * width;
        uint8_t *value = own(m, entry->data, entry->bytes);
        if (!value || at + width > entry->bytes) return;
        static const float reals[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 3.0f, 100.0f, 1e38f};
        uint64_t number = 0;
        memcpy(&number, value + at, width);
        number = boundary(m, number);
        const double wide = (double)reals[below(m, 8)];
        const float narrow = (float)wide;
        if (element == 6 && below(m, 2)) memcpy(&number, &narrow, 4);
        if (element == 12 && below(m, 2)) memcpy(&number, &wide, 8);
        memcpy(value + at, &number, width);
        entry->data = value;
    }
}

static void change_entry(mutation *m, document *d)
{
    document_entry *entry = &d->entries[below(m, d->entry_count)], *other = &d->entries[below(m, d->entry_count)];
    const document_entry old = *entry;
    switch (below(m, 8)) {
    case 0: change_text(m, &entry->key, &entry->key_length); break;
    case 1: /* the same bytes as another type */
        if (entry->type != ARRAY) entry->type = entry->element = (uint32_t)below(m, 14);
        else entry->element = (uint32_t)below(m, 14);
        break;
    case 2: /* a longer or shorter array */
        if (entry->type == ARRAY && entry->element <= 12 && value_bytes[entry->element]) {
            entry->count = below(m, entry->bytes / value_bytes[entry->element] + 1);
            entry->bytes = (size_t)entry->count * value_bytes[entry->element];
        }
        break;
    case 3:
        *entry = d->entries[--d->entry_count];
        break;
    case 4:
        *entry = *other;
        *other = old;
        break;
    case 5:
        if (d->entry_count < MOST_ENTRIES) d->entries[d->entry_count++] = *entry;
        break;
    default: change_value(m, entry); break;
    }
}

static void change_row(mutation *m, document *d)
{
    static const uint32_t types[] = {0, 1, 2, 3, 6, 7, 8};
    document_row *row = &d->rows[below(m, d->row_count)], *other = &d->rows[below(m, d->row_count)];
    const document_row old = *row;
    uint64_t *side = &row->shape[below(m, row->dimensions ? row->dimensions : 1)];
    switch (below(m, 8)) {
    case 0: change_text(m, &row->name, &row->name_length); break;
    case 1: row->type = types[below(m, sizeof types / sizeof types[0])]; break;
    case 2: row->dimensions = (uint32_t)below(m, 5); break;
    case 3: *row = d->rows[--d->row_count]; break;
    case 4:
        *row = *other;
        *other = old;
        break;
    case 5:
        if (d->row_count < MOST_ROWS) d->rows[d->row_count++] = *row;
        break;
    case 6: /* as many elements in another shape */
        row->shape[0] = old.shape[1];
        row->shape[1] = old.shape[0];
        break;
    default: *side = boundary(m, *side); break;
    }
}

size_t document_mutate(uint8_t *bytes, size_t size, size_t capacity, bool with_data, uint64_t seed)
{
    static document d;
    static document_fields fields;
    static mutation m;
    static uint8_t written[1 << 17];
    m.state = seed;
    m.used = 0;
    if (!document_read(&d, bytes, size) || capacity > sizeof written) return 0;
    const bool raw = below(&m, 4) == 0; /* numbers of the file as they stand, the rest stays as it is */
    for (size_t left = raw ? 0 : 1 + below(&m, 3); left > 0; left--) {
        if (d.entry_count && (!d.row_count || below(&m, 2))) change_entry(&m, &d);
        else if (d.row_count) change_row(&m, &d);
    }
    size_t length = document_write(&d, !raw, with_data, written, capacity, &fields);
    if (!length) return 0;
    for (size_t left = raw ? 1 + below(&m, 3) : 0; left > 0; left--) {
        const size_t k = below(&m, fields.count), at = fields.fields[k].at, width = fields.fields[k].width;
        uint64_t number = 0;
        memcpy(&number, written + at, width);
        number = boundary(&m, number);
        memcpy(written + at, &number, width);
    }
    if (with_data && below(&m, 16) == 0) written[below(&m, length)] = (uint8_t)next(&m);
    if (below(&m, 32) == 0) length = 1 + below(&m, length);
    memcpy(bytes, written, length);
    return length;
}

size_t document_mutate_before_tail(uint8_t *data, size_t size, size_t capacity, unsigned rare, unsigned seed)
{
    if (size <= 2) return 0;
    const uint8_t tail[2] = {seed >> 8 & rare ? 0 : (uint8_t)(seed >> 16), seed >> 10 & rare ? 0 : (uint8_t)(seed >> 24)};
    const size_t length = document_mutate(data, size - 2, capacity - 2, false, seed);
    if (length == 0) return 0;
    memcpy(data + length, tail, sizeof tail);
    return length + sizeof tail;
}
