#include "env/timer.h"

#include "base/check.h"

void timer_init(struct timer *t, struct timers timers, const char *name, void (*fn)(void *arg),
                void *arg)
{
    CHECK(timers.ops && fn && name);
    *t = (struct timer){.fn = fn, .arg = arg, .timers = timers, .name = name};
}

void timer_urgent(struct timer *t)
{
    CHECK(!t->armed);
    t->urgent = true;
}

/* `armed` still says how it was while the backend runs: an armed timer is moved, not added. */
void timer_start(struct timer *t, uint64_t delay_ns)
{
    CHECK(t->timers.ops && t->fn);
    t->timers.ops->start(t->timers.ctx, t, delay_ns);
    t->armed = true;
}

void timer_stop(struct timer *t)
{
    if (!t->armed)
        return;
    t->timers.ops->stop(t->timers.ctx, t);
    t->armed = false;
}
