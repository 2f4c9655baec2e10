/* Clocks of a node. */
#ifndef KELPIE_ENV_CLOCK_H
#define KELPIE_ENV_CLOCK_H

#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

struct clock_ops {
    /* Nanoseconds of the local monotonic clock that counts suspend (CLOCK_BOOTTIME), read anew at
     * each call: leases are checked with it. Never compared with a value of another machine. */
    uint64_t (*now_ns)(void *ctx);
    /* Milliseconds since 1970-01-01 UTC, for showing, and for classes that ask; and for when it is
     * looked for messages that are due. No other decision of the node may depend on it. */
    uint64_t (*wall_ms)(void *ctx);
};

struct clock {
    const struct clock_ops *ops;
    void *ctx;
};

static inline uint64_t clock_now_ns(struct clock c)
{
    return c.ops->now_ns(c.ctx);
}

static inline uint64_t clock_wall_ms(struct clock c)
{
    return c.ops->wall_ms(c.ctx);
}

#endif
