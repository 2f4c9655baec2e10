#include "env/random.h"

uint64_t random_below(struct random r, uint64_t bound)
{
    CHECK(bound > 0);
    return random_u64(r) % bound;
}

/* In the form of RFC 4122 version 4: never zero, which means "unknown" everywhere. */
struct uuid random_uuid(struct random r)
{
    uint64_t halves[2];
    struct uuid u;

    /* Not in an initialiser, whose order is the compiler's. */
    halves[0] = random_u64(r);
    halves[1] = random_u64(r);
    for (size_t i = 0; i < 16; i++)
        u.b[i] = (uint8_t)(halves[i / 8] >> (56 - 8 * (i % 8)));
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
    u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    return u;
}
