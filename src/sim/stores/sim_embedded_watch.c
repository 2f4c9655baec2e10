/* The watches of each process, as the store has them. */
#include <stdlib.h>

#include "sim/stores/sim_embedded.h"

#define SPURIOUS_MS_MAX 2000

static uint64_t key_digest(const struct sim_watch *sw)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of(sw->key, sw->core.key.len));
    return h.lo;
}

static void leave_core(struct sim_watch *sw)
{
    if (sw->in_core)
        core_unwatch(embedded_of(sw->p->world)->core, &sw->core);
    sw->in_core = false;
}

static void watch_end(struct sim_watch *sw)
{
    world_cancel(sw->p->world, &sw->event);
    leave_core(sw);
    list_remove(&sw->link);
    free(sw);
}

/* The news has reached the process. */
static void on_notify(struct world *w, struct sim_event *e)
{
    struct sim_watch *sw = CONTAINER_OF(e, struct sim_watch, event);
    struct process *p = sw->p;
    struct embedded_store *s = embedded_of(w);
    struct buf frame;

    if (process_hold(p, e))
        return;
    buf_init(&frame, sim_mem_of(&s->mem));
    store_encode_number(&frame, STORE_MSG_FIRED, sw->id);
    uint64_t digest = key_digest(sw);
    watch_end(sw);
    s->stats.watches_fired++;
    link_deliver(p, PROCESS_WATCH, digest, buf_bytes(&frame));
    buf_deinit(&frame);
}

static void notify_after(struct sim_watch *sw, uint64_t delay_ns)
{
    sw->event.fn = on_notify;
    world_after(sw->p->world, &sw->event, delay_ns);
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
    notify_after(sw, store_delay_ns(embedded_of(w)));
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
    if (world_fault(w, FAULT_WATCH_SPURIOUS, STREAM_STORE, w->config.watch_spurious_per_16, 16))
        notify_after(sw, world_below(w, STREAM_STORE, SPURIOUS_MS_MAX) * NS_PER_MS);
}

void sim_watch_send(struct process *p, const struct store_frame *f)
{
    struct sim_watch *sw = calloc(1, sizeof *sw);
    struct bytes key;

    CHECK(sw && store_decode_watch(f->body, &sw->id, &sw->core.since_version, &key) == 0);
    CHECK(key.len <= STORE_KEY_MAX);
    memcpy(sw->key, key.data, key.len);
    sw->core.key = bytes_of(sw->key, key.len);
    sw->core.fn = on_core_fired;
    sw->p = p;
    list_append(&p->store_watches, &sw->link);
    event_init(&sw->event, on_set);
    world_after(p->world, &sw->event, store_delay_ns(embedded_of(p->world)));
}

/* News that are on their way back arrive all the same. */
void sim_unwatch_send(struct process *p, const struct store_frame *f)
{
    uint64_t id;

    CHECK(store_decode_number(f->body, &id) == 0);
    LIST_FOREACH_SAFE(it, tmp, &p->store_watches)
    {
        struct sim_watch *sw = LIST_ENTRY(it, struct sim_watch, link);
        if (sw->id != id)
            continue;
        if (event_queued(&sw->event) && sw->event.fn == on_notify)
            leave_core(sw);
        else
            watch_end(sw);
    }
}

void sim_watch_detach(struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &p->store_watches)
    {
        watch_end(LIST_ENTRY(it, struct sim_watch, link));
    }
}

void sim_watch_lost(struct process *p)
{
    LIST_FOREACH(it, &p->store_watches)
    {
        leave_core(LIST_ENTRY(it, struct sim_watch, link));
    }
}
