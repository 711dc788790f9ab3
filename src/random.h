/* PyTorch's CPU generator: torch.manual_seed(seed) then torch.randn(...).
 * MT19937 (Matsumoto and Nishimura 1998) and Box-Muller as in ATen: 16 numbers
 * at a time for requests of 16 or more, one pair at a time with a cached
 * second value below that. Agrees with PyTorch to about 1e-6. */
#ifndef PD_RANDOM_H
#define PD_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PD_RANDOM_WORDS 624

typedef struct pd_random {
    uint32_t state[PD_RANDOM_WORDS];
    int32_t index; /* of the word that is next, 0 .. PD_RANDOM_WORDS */
    bool has_cached;
    double cached;
} pd_random;

void pd_random_seed(pd_random *random, uint64_t seed); /* like PyTorch, only the low 32 bits matter */
uint32_t pd_random_bits(pd_random *random);
/* Like torch.randn(count): standard normal numbers. */
void pd_random_normal(pd_random *random, size_t count, float *values);

#endif
