/* Inputs of the targets that load whole models are files without their data
 * section: the weights of even a tiny network would be most of the bytes and
 * the least interesting ones. */
#ifndef PD_FUZZ_TINY_MODEL_H
#define PD_FUZZ_TINY_MODEL_H

#include "fuzz.h"
#include "gguf_document.h"

enum { MOST_MODEL_BYTES = 1 << 18 };

/* The bytes followed by the data section that their tensor table asks for, with
 * numbers of magnitude below 1, in a block of exactly *full_size bytes. With
 * `spoil`, one byte of the data (from the end) becomes 0xff: a NaN here and
 * there, or padding that is not zero. */
static inline uint8_t *complete_model(const uint8_t *data, size_t size, size_t spoil, size_t *full_size)
{
    static document d;
    static uint8_t file[MOST_MODEL_BYTES];
    memcpy(file, data, size);
    *full_size = size;
    if (document_read(&d, data, size)) {
        size_t at = (size + (size_t)d.alignment - 1) & ~((size_t)d.alignment - 1);
        if (at < sizeof file) memset(file + size, 0, at - size);
        for (size_t i = 0; i < d.row_count; i++) {
            const size_t bytes = document_tensor_bytes(&d.rows[i]), padding = -bytes & ((size_t)d.alignment - 1);
            if (at + bytes + padding > sizeof file) break;
            for (size_t k = 0; k < bytes; k += 2) { /* 0x20..0x2f: a float16 or the upper half of a float32 that is small */
                file[at + k] = (uint8_t)(k * 37 + i);
                file[at + k + 1] = (uint8_t)(((k * 11 + i) & 0x80) | (0x20 + (k * 7 + i) % 16));
            }
            memset(file + at + bytes, 0, padding);
            at += bytes + padding;
        }
        if (at <= sizeof file) *full_size = at;
        if (spoil && spoil <= *full_size - size) file[*full_size - spoil] = 0xff;
    }
    uint8_t *block = malloc(*full_size ? *full_size : 1);
    if (!block) abort();
    memcpy(block, file, *full_size);
    return block;
}

#endif
