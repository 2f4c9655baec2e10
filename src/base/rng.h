/* A small deterministic generator (xoshiro256**), for streams split from one seed. */
#ifndef KELPIE_BASE_RNG_H
#define KELPIE_BASE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Streams of one seed with different numbers are independent. */
void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
/* Uniform in 0 .. bound-1; bound > 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* True in `num` of `den` cases; num <= den, den > 0. */
bool rng_chance(struct rng *r, uint64_t num, uint64_t den);

#endif
