/* One-shot timers on the node's loop. The caller owns and embeds `struct timer`. */
#ifndef KELPIE_ENV_TIMER_H
#define KELPIE_ENV_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer;

struct timer_ops {
    /* Arms (or arms anew) `t`; its `fn` runs once, from the loop, `delay_ns` from now by the node's
     * clock or later, and never inside this call, also when the delay is 0. */
    void (*start)(void *ctx, struct timer *t, uint64_t delay_ns);
    /* After this `fn` does not run. Harmless on a timer that is not armed. */
    void (*stop)(void *ctx, struct timer *t);
};

struct timers {
    const struct timer_ops *ops;
    void *ctx;
};

struct timer {
    void (*fn)(void *arg);
    void *arg;
    struct timers timers;
    const char *name; /* static; for traces */
    bool urgent;      /* see timer_urgent */
    /* Kept by timer_start and timer_stop; while ops->start runs it still says how it was. A backend
     * clears it before it calls `fn`. */
    bool armed;
    /* For the backend. */
    uint64_t due_ns;
    uint64_t seq;
    size_t heap_index;
};

void timer_init(struct timer *t, struct timers timers, const char *name, void (*fn)(void *arg),
                void *arg);
/* For what a lease depends on: once due it runs before anything that is not urgent. To be said before
 * the timer is started, and only of one whose `fn` is short. */
void timer_urgent(struct timer *t);
void timer_start(struct timer *t, uint64_t delay_ns);
void timer_stop(struct timer *t);

#endif
