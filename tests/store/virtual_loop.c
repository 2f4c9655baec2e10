#include "store/virtual_loop.h"

#include <string.h>

static uint64_t virtual_now(void *ctx)
{
    const struct virtual_loop *v = ctx;
    return v->now_ns;
}

static void virtual_stop(void *ctx, struct timer *t)
{
    struct virtual_loop *v = ctx;
    if (t->armed)
        sim_heap_remove(&v->heap, t->heap_index);
}

static void virtual_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct virtual_loop *v = ctx;
    virtual_stop(ctx, t);
    t->due_ns = v->now_ns + delay_ns;
    t->seq = v->seq++;
    const struct sim_item item = {.due_ns = t->due_ns, .seq = t->seq, .timer = t};
    sim_heap_push(&v->heap, &item);
}

void virtual_loop_init(struct virtual_loop *v)
{
    memset(v, 0, sizeof(*v));
    v->now_ns = NS_PER_S;
}

void virtual_loop_deinit(struct virtual_loop *v)
{
    sim_heap_deinit(&v->heap);
}

struct clock virtual_loop_clock(struct virtual_loop *v)
{
    static const struct clock_ops ops = {virtual_now, virtual_now};
    return (struct clock){.ops = &ops, .ctx = v};
}

struct timers virtual_loop_timers(struct virtual_loop *v)
{
    static const struct timer_ops ops = {virtual_start, virtual_stop};
    return (struct timers){.ops = &ops, .ctx = v};
}

bool virtual_loop_step(struct virtual_loop *v)
{
    struct sim_item item;
    if (!sim_heap_pop(&v->heap, &item))
        return false;
    v->now_ns = item.due_ns;
    item.timer->armed = false;
    item.timer->fn(item.timer->arg);
    return true;
}

void virtual_loop_run(struct virtual_loop *v, uint64_t until_ns)
{
    while (v->heap.count > 0 && v->heap.items[0].due_ns <= until_ns)
        (void)virtual_loop_step(v);
    v->now_ns = until_ns;
}
