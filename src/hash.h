/* A 64-bit hash that tells inputs apart which differ by accident, not by intent. */
#ifndef PD_HASH_H
#define PD_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Of `size` bytes after what `hash` stands for, which is 0 at first. Two inputs
 * that differ in one aligned group of eight bytes never share it. */
uint64_t pd_hash(uint64_t hash, const void *bytes, size_t size);

#endif
