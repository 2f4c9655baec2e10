/* The map under the core, which fails now and then, and the lives of the core. */
#include "kelpie/error.h"
#include "sim/stores/sim_embedded.h"

#define GROWS_IN 64      /* writes of which one makes the map grow */
#define UNKNOWN_SHARE 16 /* a batch is unknown less often than a commit */

static bool may(struct sim_map *m, enum sim_fault f, uint64_t num, uint64_t den)
{
    return !m->calm && world_may_strike(m->w, f, STREAM_LATER, num, den);
}

static int map_read_begin(void *ctx)
{
    struct sim_map *m = ctx;
    return m->below.ops->read_begin(m->below.ctx);
}

static void map_read_end(void *ctx)
{
    struct sim_map *m = ctx;
    m->below.ops->read_end(m->below.ctx);
}

static int map_get(void *ctx, struct bytes key, struct bytes *value)
{
    struct sim_map *m = ctx;
    return m->below.ops->get(m->below.ctx, key, value);
}

static int map_scan(void *ctx, struct bytes begin, struct bytes end, omap_row_fn *fn, void *arg)
{
    struct sim_map *m = ctx;
    return m->below.ops->scan(m->below.ctx, begin, end, fn, arg);
}

static int map_batch_begin(void *ctx)
{
    struct sim_map *m = ctx;
    m->grows = false;
    m->happened = false;
    return m->below.ops->batch_begin(m->below.ctx);
}

static int map_put(void *ctx, struct bytes key, struct bytes value)
{
    struct sim_map *m = ctx;

    if (m->is_full && !m->calm)
        return KELPIE_E_STORE_FULL;
    if (may(m, FAULT_STORE_WRITE_FAIL, 1, GROWS_IN))
        return KELPIE_E_LIMIT;
    return m->below.ops->put(m->below.ctx, key, value);
}

static int map_del(void *ctx, struct bytes key)
{
    struct sim_map *m = ctx;
    return m->below.ops->del(m->below.ctx, key);
}

static int map_del_range(void *ctx, struct bytes begin, struct bytes end)
{
    struct sim_map *m = ctx;
    return m->below.ops->del_range(m->below.ctx, begin, end);
}

static int map_mark_put(void *ctx, uint64_t mark)
{
    struct sim_map *m = ctx;
    return m->below.ops->mark_put(m->below.ctx, mark);
}

static void map_batch_abort(void *ctx)
{
    struct sim_map *m = ctx;
    m->below.ops->batch_abort(m->below.ctx);
}

static int map_batch_commit(void *ctx)
{
    struct sim_map *m = ctx;
    uint32_t unknown = m->w->config.unknown_per_1024;

    if (may(m, FAULT_UNKNOWN, unknown, 1024u * UNKNOWN_SHARE)) {
        m->happened = world_below(m->w, STREAM_LATER, 2);
        if (!m->happened)
            map_batch_abort(m);
        else
            CHECK(m->below.ops->batch_commit(m->below.ctx) == 0);
        return KELPIE_E_UNKNOWN_RESULT;
    }
    if (may(m, FAULT_STORE_WRITE_FAIL, m->w->config.write_fail_per_1024, 1024u * UNKNOWN_SHARE)) {
        map_batch_abort(m);
        return KELPIE_E_STORE_UNAVAILABLE;
    }
    return m->below.ops->batch_commit(m->below.ctx);
}

static int map_mark_get(void *ctx, uint64_t *mark)
{
    struct sim_map *m = ctx;
    return m->below.ops->mark_get(m->below.ctx, mark);
}

struct omap sim_map_of(struct embedded_store *s)
{
    static const struct omap_ops ops = {
        .read_begin = map_read_begin,
        .read_end = map_read_end,
        .get = map_get,
        .scan = map_scan,
        .batch_begin = map_batch_begin,
        .put = map_put,
        .del = map_del,
        .del_range = map_del_range,
        .mark_put = map_mark_put,
        .batch_commit = map_batch_commit,
        .batch_abort = map_batch_abort,
        .mark_get = map_mark_get,
    };
    s->faulty.below = omap_memory_map(s->map);
    s->faulty.w = s->w;
    return (struct omap){.ops = &ops, .ctx = &s->faulty};
}

void store_begin_again(struct embedded_store *s)
{
    LIST_FOREACH(it, &s->w->processes)
    {
        link_breaks(LIST_ENTRY(it, struct process, link));
    }
    store_lose_queued(s);
    LIST_FOREACH(it, &s->w->processes)
    {
        sim_watch_lost(LIST_ENTRY(it, struct process, link));
    }
    core_free(s->core);
    CHECK(core_new(sim_mem_of(&s->mem), sim_map_of(s), &s->options, &s->core) == 0);
}
