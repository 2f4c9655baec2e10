#include "base/rng.h"

#include "base/check.h"

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

/* The output function of splitmix64: a bijection, and 0 gives 0. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream)
{
    /* Stream 0 is the usual seeding by splitmix64. Another stream starts it far away: were the
     * number only added, seed 1 stream 2 could be seed 2 stream 1. */
    uint64_t x = seed ^ mix(stream);
    for (int i = 0; i < 4; i++) {
        x += 0x9e3779b97f4a7c15u;
        r->s[i] = mix(x);
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    CHECK(bound > 0);
    /* Drop the lowest 2^64 mod bound values: what is left is a multiple of bound. */
    uint64_t dropped = (0 - bound) % bound;
    uint64_t v = rng_u64(r);
    while (v < dropped)
        v = rng_u64(r);
    return v % bound;
}

bool rng_chance(struct rng *r, uint64_t num, uint64_t den)
{
    CHECK(num <= den);
    return rng_below(r, den) < num;
}
