/* Randomness: back-off, candidates' delays, two random choices, ids. Seeded in the simulator. */
#ifndef KELPIE_ENV_RANDOM_H
#define KELPIE_ENV_RANDOM_H

#include "base/uuid.h"

struct random_ops {
    uint64_t (*u64)(void *ctx);
};

struct random {
    const struct random_ops *ops;
    void *ctx;
};

static inline uint64_t random_u64(struct random r)
{
    return r.ops->u64(r.ctx);
}

/* Uniform in 0 .. bound-1 (bias below 2^-32 for bounds below 2^32); bound > 0. */
uint64_t random_below(struct random r, uint64_t bound);
struct uuid random_uuid(struct random r);

#endif
