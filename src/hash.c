#include "hash.h"

#include <string.h>

/* For a fixed word a bijection of `hash`, and the other way round. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    const uint64_t product = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return (product << 29) | (product >> 35);
}

uint64_t pd_hash(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    size_t left = size;
    for (; left >= 8; left -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        hash = mix(hash, word);
    }
    uint64_t rest = 0;
    for (; left > 0; left--) rest = rest << 8 | *next++;
    return mix(mix(hash, rest), size);
}
