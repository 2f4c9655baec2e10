#include "store/store_memory.h"

#include "kelpie/error.h"
#include "store/omap_memory.h"
#include "store/store_results.h"

enum memory_req_state { MEMORY_IDLE, MEMORY_READ, MEMORY_COMMIT };

/* What a commit needs beside the caller's request. */
struct memory_commit {
    struct core_commit core;
    struct store_req *req;
    struct key_range conflicts[];
};

struct memory_watch {
    struct core_watch core;
    struct store_watch *watch;
    struct store_memory *store;
    struct list link;
};

struct store_memory {
    struct mem mem;
    struct omap_memory *map; /* its own; NULL: the caller's */
    struct core *core;
    struct results_builder builder;
    struct list queue;   /* requests in order of arrival */
    struct list turn;    /* those of the turn that runs */
    struct list watches; /* struct memory_watch */
    struct timer timer;
    bool closing; /* nothing new is taken */
};

static void memory_wake(struct store_memory *s)
{
    if (!s->timer.armed)
        timer_start(&s->timer, 0);
}

static void memory_complete(struct store_req *req, int status)
{
    req->state = MEMORY_IDLE;
    req->fn(req, status);
}

static void memory_run_read(struct store_memory *s, struct store_req *req)
{
    struct core_sink sink = results_builder_sink(&s->builder);
    uint64_t version;
    int err = core_read(s->core, req->reads, req->read_count, &sink, &version);
    if (!err) {
        req->read_version = version;
        req->results = results_builder_finish(&s->builder);
    }
    memory_complete(req, err);
}

static void memory_committed(struct core_commit *core, int status)
{
    struct store_memory *s = core->arg;
    struct memory_commit *c = CONTAINER_OF(core, struct memory_commit, core);
    struct store_req *req = c->req;
    if (!status)
        req->commit_version = core->version;
    req->backend = NULL;
    mem_free(s->mem, c);
    memory_complete(req, status);
}

static void memory_run_commit(struct store_memory *s, struct store_req *req)
{
    struct memory_commit *c =
        mem_alloc(s->mem, sizeof(*c) + STORE_READS_MAX * sizeof(*c->conflicts));
    *c = (struct memory_commit){.req = req};
    c->core = (struct core_commit){
        .conflicts = c->conflicts,
        .conflict_count = core_conflicts(req, c->conflicts),
        .writes = req->writes,
        .write_count = req->write_count,
        .read_version = req->read_version,
        .fn = memory_committed,
        .arg = s,
    };
    req->backend = c;
    core_enqueue(s->core, &c->core);
}

static void memory_turn(void *arg)
{
    struct store_memory *s = arg;
    struct list *item;
    while ((item = list_pop(&s->queue)))
        list_append(&s->turn, item);
    while ((item = list_pop(&s->turn))) {
        struct store_req *req = LIST_ENTRY(item, struct store_req, link);
        if (req->state == MEMORY_READ)
            memory_run_read(s, req);
        else
            memory_run_commit(s, req);
    }
    core_flush(s->core);
    if (core_pending(s->core) || !list_empty(&s->queue))
        memory_wake(s);
}

static void memory_start(struct store_memory *s, struct store_req *req, int state)
{
    CHECK(req->state == MEMORY_IDLE && req->fn);
    CHECK(req->read_count <= STORE_READS_MAX);
    if (s->closing)
        return;
    req->state = state;
    req->backend = NULL;
    list_append(&s->queue, &req->link);
    memory_wake(s);
}

static void memory_read(void *ctx, struct store_req *req)
{
    CHECK(!req->results);
    memory_start(ctx, req, MEMORY_READ);
}

static void memory_commit(void *ctx, struct store_req *req)
{
    memory_start(ctx, req, MEMORY_COMMIT);
}

static void memory_cancel(void *ctx, struct store_req *req)
{
    struct store_memory *s = ctx;
    if (req->state == MEMORY_IDLE)
        return;
    struct memory_commit *c = req->backend;
    if (c) {
        core_cancel(s->core, &c->core);
        mem_free(s->mem, c);
        req->backend = NULL;
    } else {
        list_remove(&req->link);
    }
    req->state = MEMORY_IDLE;
}

static void memory_release(void *ctx, struct store_req *req)
{
    struct store_memory *s = ctx;
    mem_free(s->mem, req->results);
    req->results = NULL;
}

static void memory_watch_end(struct memory_watch *mw)
{
    mw->watch->armed = false;
    mw->watch->backend = NULL;
    list_remove(&mw->link);
    mem_free(mw->store->mem, mw);
}

static void memory_fired(struct core_watch *core)
{
    struct memory_watch *mw = CONTAINER_OF(core, struct memory_watch, core);
    struct store_watch *w = mw->watch;
    memory_watch_end(mw);
    w->fn(w);
}

static void memory_watch(void *ctx, struct store_watch *w)
{
    struct store_memory *s = ctx;
    CHECK(!w->armed && w->fn);
    if (s->closing)
        return;
    struct memory_watch *mw = MEM_NEW(s->mem, struct memory_watch);
    mw->watch = w;
    mw->store = s;
    mw->core = (struct core_watch){
        .key = w->key, .since_version = w->since_version, .fn = memory_fired, .arg = s};
    w->backend = mw;
    w->armed = true;
    list_append(&s->watches, &mw->link);
    core_watch(s->core, &mw->core);
    if (core_pending(s->core))
        memory_wake(s);
}

static void memory_unwatch(void *ctx, struct store_watch *w)
{
    struct store_memory *s = ctx;
    if (!w->armed)
        return;
    struct memory_watch *mw = w->backend;
    core_unwatch(s->core, &mw->core);
    memory_watch_end(mw);
}

struct store_memory *store_memory_new(struct mem mem, struct timers timers, uint64_t bytes_max)
{
    struct omap_memory *own = omap_memory_new(mem, bytes_max);
    const struct omap map = omap_memory_map(own);
    struct store_memory *s;
    int err = store_memory_over(mem, timers, &map, &s);
    CHECK(!err);
    s->map = own;
    return s;
}

int store_memory_over(struct mem mem, struct timers timers, const struct omap *map,
                      struct store_memory **out)
{
    struct core *core;
    int err = core_new(mem, *map, NULL, &core);
    if (err)
        return err;
    struct store_memory *s = MEM_NEW(mem, struct store_memory);
    s->mem = mem;
    s->core = core;
    results_builder_init(&s->builder, mem);
    list_init(&s->queue);
    list_init(&s->turn);
    list_init(&s->watches);
    timer_init(&s->timer, timers, "store_memory", memory_turn, s);
    *out = s;
    return 0;
}

void store_memory_free(struct store_memory *s)
{
    if (!s)
        return;
    s->closing = true;
    struct list *item;
    /* Outside of a turn the core's queue is empty: all that is under way is in ours. */
    while ((item = list_pop(&s->queue)))
        memory_complete(LIST_ENTRY(item, struct store_req, link), KELPIE_E_STORE_UNAVAILABLE);
    while (!list_empty(&s->watches)) {
        struct memory_watch *mw = LIST_ENTRY(s->watches.next, struct memory_watch, link);
        core_unwatch(s->core, &mw->core);
        memory_fired(&mw->core);
    }
    timer_stop(&s->timer);
    core_free(s->core);
    results_builder_deinit(&s->builder);
    if (s->map)
        omap_memory_free(s->map);
    mem_free(s->mem, s);
}

struct store store_memory_store(struct store_memory *s)
{
    static const struct store_ops ops = {
        .read = memory_read,
        .commit = memory_commit,
        .cancel = memory_cancel,
        .release = memory_release,
        .watch = memory_watch,
        .unwatch = memory_unwatch,
    };
    return (struct store){.ops = &ops, .ctx = s};
}
