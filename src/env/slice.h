/*
 * A share of a turn of the loop. Whoever has much to do at once stops when its slice is over and goes
 * on in a later turn, so that the lease, its heartbeats and everybody else come in between.
 */
#ifndef KELPIE_ENV_SLICE_H
#define KELPIE_ENV_SLICE_H

#include <stdbool.h>

#include "env/clock.h"

struct slice {
    struct clock clock;
    uint64_t end_ns;
};

static inline struct slice slice_begin(struct clock clock, uint64_t ns)
{
    return (struct slice){.clock = clock, .end_ns = clock_now_ns(clock) + ns};
}

static inline bool slice_over(const struct slice *s)
{
    return clock_now_ns(s->clock) >= s->end_ns;
}

#endif
