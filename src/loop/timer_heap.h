/* The loop's timers: a heap ordered by due time, then by order of starting, on one timerfd of the
 * clock that leases are checked with (libevent's own timers run on another one). Urgent ones have a
 * heap of their own, whose event comes first in a turn. */
#ifndef KELPIE_LOOP_TIMER_HEAP_H
#define KELPIE_LOOP_TIMER_HEAP_H

#include "base/check.h"
#include "base/mem.h"
#include "env/clock.h"
#include "env/timer.h"

struct event;
struct event_base;

#define TIMER_SLICE_NS (2 * NS_PER_MS) /* of a turn: what is due beyond it runs in the next one */

struct timer_heap {
    struct timer_heap *urgent; /* where urgent timers go; NULL: here */
    struct mem mem;
    struct clock clock;
    struct timer **items; /* each is armed and owned by its user, whose bound bounds this */
    size_t count;
    size_t cap;
    uint64_t seq;
    int fd;
    struct event *event;
    uint64_t fd_due_ns; /* when the descriptor fires; UINT64_MAX: not set */
    bool running;
};

/* `priority` is that of its event. Returns 0 or KELPIE_E_IO with errno set. */
int timer_heap_init(struct timer_heap *h, struct event_base *base, int priority, struct mem mem,
                    struct clock clock) MUST_USE;
/* Harmless on a zeroed heap. No timer may be armed. */
void timer_heap_deinit(struct timer_heap *h);
struct timers timer_heap_timers(struct timer_heap *h);

#endif
