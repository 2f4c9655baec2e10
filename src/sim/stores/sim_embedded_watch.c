#include <stdlib.h>

#include "sim/stores/sim_embedded.h"

#define SPURIOUS_MS_MAX 2000

static uint64_t key_digest(const struct sim_watch *sw)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of(sw->key, sw->core.key.len));
    return h.lo;
}

static void watch_end(struct sim_watch *sw)
{
    struct world *w = sw->p->world;

    world_cancel(w, &sw->event);
    if (sw->in_core)
        core_unwatch(embedded_of(w)->core, &sw->core);
    list_remove(&sw->link);
    free(sw);
}

/* The news has reached the process. */
static void on_notify(struct world *w, struct sim_event *e)
{
    struct sim_watch *sw = CONTAINER_OF(e, struct sim_watch, event);
    struct process *p = sw->p;
    struct store_watch *watch = sw->watch;

    if (process_hold(p, e))
        return;
    uint64_t digest = key_digest(sw);
    watch_end(sw);
    watch->armed = false;
    watch->backend = NULL;
    embedded_of(w)->stats.watches_fired++;
    process_enter(p, PROCESS_WATCH, digest);
    watch->fn(watch);
    process_leave(p);
}

static void on_core_fired(struct core_watch *core)
{
    struct sim_watch *sw = CONTAINER_OF(core, struct sim_watch, core);
    struct world *w = sw->p->world;

    sw->in_core = false;
    if (embedded_of(w)->cuts[sw->p->node] > 0)
        return;
    if (world_fault(w, FAULT_WATCH_LOST, STREAM_STORE, w->config.watch_lost_per_16, 16))
        return;
    sw->event.fn = on_notify;
    world_after(w, &sw->event, store_delay_ns(embedded_of(w)));
}

/* The watch has reached the store. */
static void on_set(struct world *w, struct sim_event *e)
{
    struct sim_watch *sw = CONTAINER_OF(e, struct sim_watch, event);

    if (embedded_of(w)->cuts[sw->p->node] > 0)
        return;
    sw->in_core = true;
    core_watch(embedded_of(w)->core, &sw->core);
    if (core_pending(embedded_of(w)->core))
        store_wake(embedded_of(w));
    if (world_fault(w, FAULT_WATCH_SPURIOUS, STREAM_STORE, w->config.watch_spurious_per_16, 16)) {
        sw->event.fn = on_notify;
        world_after(w, e, world_below(w, STREAM_STORE, SPURIOUS_MS_MAX) * NS_PER_MS);
    }
}

void sim_watch_fire_all(struct world *w)
{
    LIST_FOREACH(it, &w->processes)
    {
        LIST_FOREACH(at, &LIST_ENTRY(it, struct process, link)->store_watches)
        {
            struct sim_watch *sw = LIST_ENTRY(at, struct sim_watch, link);
            if (!sw->in_core)
                continue;
            core_unwatch(embedded_of(w)->core, &sw->core);
            sw->in_core = false;
            sw->event.fn = on_notify;
            world_after(w, &sw->event, store_delay_ns(embedded_of(w)));
        }
    }
}

void sim_watch_op_watch(void *ctx, struct store_watch *watch)
{
    struct process *p = ctx;
    struct sim_watch *sw = calloc(1, sizeof *sw);

    CHECK(sw && !watch->armed && watch->key.len <= STORE_KEY_MAX);
    memcpy(sw->key, watch->key.data, watch->key.len);
    sw->core = (struct core_watch){
        .key = bytes_of(sw->key, watch->key.len),
        .since_version = watch->since_version,
        .fn = on_core_fired,
    };
    sw->p = p;
    sw->watch = watch;
    watch->backend = sw;
    watch->armed = true;
    list_append(&p->store_watches, &sw->link);
    event_init(&sw->event, on_set);
    world_after(p->world, &sw->event, store_delay_ns(embedded_of(p->world)));
}

void sim_watch_op_unwatch(void *ctx, struct store_watch *watch)
{
    (void)ctx;
    if (!watch->armed)
        return;
    watch_end(watch->backend);
    watch->armed = false;
    watch->backend = NULL;
}

void sim_watch_detach(struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &p->store_watches)
    {
        watch_end(LIST_ENTRY(it, struct sim_watch, link));
    }
}
