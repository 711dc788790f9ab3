/* A GGUF file taken apart for mutation, and written again. Knows the format on
 * its own, apart from the loader under test: nothing is checked beyond what
 * keeps this parser within the bytes. */
#ifndef PD_FUZZ_GGUF_DOCUMENT_H
#define PD_FUZZ_GGUF_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_ENTRIES = 64, MOST_ROWS = 256, MOST_FIELDS = 1024 };

typedef struct document_entry {
    const uint8_t *key, *data;
    size_t key_length, bytes; /* bytes: of the value, of all elements of an array */
    uint32_t type, element;
    uint64_t count;
} document_entry;

typedef struct document_row {
    const uint8_t *name;
    size_t name_length;
    uint32_t dimensions, type;
    uint64_t shape[4], offset;
} document_row;

typedef struct document {
    document_entry entries[MOST_ENTRIES];
    document_row rows[MOST_ROWS];
    size_t entry_count, row_count;
    uint64_t alignment;
    const uint8_t *data; /* the data section */
    size_t data_bytes;
} document;

/* Numbers of the written file: where they are and how wide. */
typedef struct document_fields {
    struct {
        uint32_t at, width;
    } fields[MOST_FIELDS];
    size_t count;
} document_fields;

/* False if the bytes are too broken to be taken apart. The document points into them. */
bool document_read(document *d, const uint8_t *bytes, size_t size);
/* Bytes that the tensor takes without padding; 0 if that is unknown or absurd. */
size_t document_tensor_bytes(const document_row *row);
/* The length of the file, 0 if it does not fit. With `relocate` the offsets of
 * tensors are made right. With `with_data` the old data section follows, cut or
 * filled up with zeros to what the table asks for. */
size_t document_write(document *d, bool relocate, bool with_data, uint8_t *bytes, size_t capacity,
                      document_fields *fields);
/* Changes one to three things in the file of `size` bytes in place; returns the
 * new length, 0 if the file could not be taken apart. */
size_t document_mutate(uint8_t *bytes, size_t size, size_t capacity, bool with_data, uint64_t seed);

/* The same where two bytes follow the document, each of which becomes 0, or in one
 * case of `rare` + 1 (1 or 3) anything. 0 if nothing could be changed. */
size_t document_mutate_before_tail(uint8_t *data, size_t size, size_t capacity, unsigned rare, unsigned seed);

#endif
