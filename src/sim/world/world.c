#include "sim/world/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/faults/sim_restore.h"
#include "sim/world/sim_process.h"

#define SKEW_WINDOWS 2 /* until the leases that a wrong clock decided on are over */

void world_init(struct world *w, const struct sim_config *config)
{
    *w = (struct world){.config = *config,
                        .record = config->record,
                        .steps = config->steps,
                        .turns = config->turns};
    w->trace = hash128_start();
    for (unsigned s = 0; s < STREAM_COUNT; s++)
        rng_seed(&w->rng[s], config->seed, s);
    list_init(&w->processes);
}

void world_deinit(struct world *w)
{
    CHECK(list_empty(&w->processes));
    sim_heap_deinit(&w->heap);
}

void event_init(struct sim_event *e, sim_event_fn *fn)
{
    e->fn = fn;
    e->heap_index = SIM_NOT_QUEUED;
}

void world_at(struct world *w, struct sim_event *e, uint64_t due_ns)
{
    CHECK(due_ns >= w->now_ns);
    if (e->heap_index == SIM_HELD)
        return;
    world_cancel(w, e);
    struct sim_item item = {.due_ns = due_ns, .seq = w->seq++, .event = e};
    sim_heap_push(&w->heap, &item);
}

void world_after(struct world *w, struct sim_event *e, uint64_t delay_ns)
{
    world_at(w, e, w->now_ns + delay_ns);
}

void world_cancel(struct world *w, struct sim_event *e)
{
    CHECK(e->heap_index != SIM_HELD);
    if (event_queued(e))
        sim_heap_remove(&w->heap, e->heap_index);
}

static bool is_event(void *arg, const struct sim_item *item)
{
    (void)arg;
    return item->event != NULL;
}

void world_drop_events(struct world *w)
{
    sim_heap_filter(&w->heap, is_event, NULL);
}

void world_push_timer(struct world *w, struct timer *t, uint64_t due_ns)
{
    struct sim_item item = {.due_ns = due_ns, .seq = w->seq++, .timer = t};
    sim_heap_push(&w->heap, &item);
}

static uint64_t clock_now(void *ctx)
{
    const struct world *w = ctx;
    return w->now_ns;
}

struct clock world_clock(struct world *w)
{
    static const struct clock_ops ops = {.now_ns = clock_now};
    return (struct clock){.ops = &ops, .ctx = w};
}

static void timers_stop(void *ctx, struct timer *t)
{
    struct world *w = ctx;
    sim_heap_remove(&w->heap, t->heap_index);
}

static void timers_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct world *w = ctx;
    if (t->armed)
        timers_stop(ctx, t);
    world_push_timer(w, t, w->now_ns + delay_ns);
}

struct timers world_timers(struct world *w)
{
    static const struct timer_ops ops = {.start = timers_start, .stop = timers_stop};
    return (struct timers){.ops = &ops, .ctx = w};
}

static void timer_due(struct world *w, const struct sim_item *item)
{
    struct timer *t = item->timer;
    if (t->timers.ctx != w) {
        process_timer_due(item);
        return;
    }
    t->armed = false;
    t->fn(t->arg);
}

void world_run(struct world *w, uint64_t until_ns)
{
    struct sim_item item;

    while (!w->stop && w->heap.count > 0 && w->heap.items[0].due_ns <= until_ns) {
        CHECK(sim_heap_pop(&w->heap, &item));
        CHECK(item.due_ns >= w->now_ns);
        w->now_ns = item.due_ns;
        if (item.timer)
            timer_due(w, &item);
        else
            item.event->fn(w, item.event);
    }
    if (!w->stop && w->now_ns < until_ns)
        w->now_ns = until_ns;
}

static void say_event(const struct world *w, uint64_t who, uint64_t digest)
{
    char line[512], name[PROCESS_WHO_SIZE];

    (void)snprintf(line, sizeof line, "%15.9f event=%llu %s seq=%llu digest=%016llx%s%s",
                   (double)w->now_ns / 1e9, (unsigned long long)w->events, process_who(who, name),
                   (unsigned long long)w->seq, (unsigned long long)digest, w->about ? " of " : "",
                   w->about ? w->about : "");
    w->config.say(line);
}

void world_fold(struct world *w, uint64_t who, uint64_t digest)
{
    w->events++;
    hash128_u64(&w->trace, w->now_ns);
    hash128_u64(&w->trace, w->seq);
    hash128_u64(&w->trace, who);
    hash128_u64(&w->trace, digest);
    if ((w->events & (w->events - 1)) == 0) {
        unsigned i = 0;
        while (i + 1 < PREFIX_HASHES && w->events >> (i + 1))
            i++;
        w->prefix[i] = hash128_value(&w->trace);
    }
    const struct sim_config *c = &w->config;
    if (c->say && w->events >= c->events_from && w->events <= c->events_to)
        say_event(w, who, digest);
}

bool world_excuses(const struct world *w, const char *check)
{
    if (restore_excuses(w, check))
        return true;
    uint64_t after_ns = SKEW_WINDOWS * timing_window_ns(&w->config.timing);
    bool lasts = w->skewed > 0 || (w->skew_end_ns > 0 && w->now_ns < w->skew_end_ns + after_ns);

    return lasts && sim_fault_suspends(FAULT_SKEW, check);
}

void world_violation(struct world *w, const char *check, const char *fmt, ...)
{
    va_list args;

    w->stop = true;
    if (w->violation_count >= VIOLATIONS_MAX)
        return;
    struct violation *v = &w->violations[w->violation_count++];
    v->check = check;
    v->at_ns = w->now_ns;
    v->event = w->events;
    va_start(args, fmt);
    (void)vsnprintf(v->text, sizeof v->text, fmt, args);
    va_end(args);
}

void world_met(struct world *w, enum sim_fault f)
{
    w->met[f]++;
    coverage_strike(w, f);
}

bool world_may_strike(struct world *w, enum sim_fault f, enum sim_stream s, uint64_t num,
                      uint64_t den)
{
    return !w->calm && sim_fault_on(&w->config, f) && world_chance(w, s, num, den);
}

bool world_fault(struct world *w, enum sim_fault f, enum sim_stream s, uint64_t num, uint64_t den)
{
    if (!world_may_strike(w, f, s, num, den))
        return false;
    world_met(w, f);
    return true;
}
