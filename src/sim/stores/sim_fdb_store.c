#include "sim/stores/sim_fdb_store.h"

#include <stdlib.h>

#include "sim/steps/sim_steps.h"
#include "sim/world/sim_hooks.h"

#define THAW_NS 100000 /* until the loop goes on, if the library's threads are first */
#define WAKE_US_MAX 30 /* until the loop sees the descriptor */

static struct fdb_client *client_of(const struct process *p)
{
    return p->store_client;
}

/* ---- what the cluster asks and tells */

/* Whether the commit leaves its process, or that dies before, on the way or after. */
static bool draw_crash(struct fdb_client *c, struct fdb_note *note)
{
    struct process *p = c->p;
    struct world *w = p->world;
    const struct sim_config *config = &w->config;
    uint32_t rate = config->crash_per_1024;

    if (p->mem.failed)
        return false;
    if (!w->hosts || process_closing(p))
        return true;
    if (world_fault(w, FAULT_CRASH_BEFORE, STREAM_LATER, rate, 1024)) {
        process_doom(p, 0);
        return false;
    }
    if (world_fault(w, FAULT_CRASH_DURING, STREAM_LATER, rate, 1024)) {
        uint64_t us = config->store_delay_us + config->store_jitter_us + config->store_batch_us;
        process_doom(p, world_below(w, STREAM_LATER, 2000ull * us + 1));
    } else {
        note->dooms = world_fault(w, FAULT_CRASH_AFTER, STREAM_LATER, rate, 1024);
    }
    return true;
}

static bool on_commits(void *arg, void *who, void **out)
{
    struct fdb_store *s = arg;
    struct fdb_client *c = who;
    const struct process *p = c->p;
    struct fdb_note *note = MEM_NEW(sim_mem_of(&s->mem), struct fdb_note);

    note->seen =
        (struct commit_seen){.node = p->node,
                             .slot = p->slot,
                             .life = p->life,
                             .boot = p->boot,
                             .sent_ns = s->w->now_ns,
                             .action = (s->w->record || s->w->steps || s->w->turns) && c->sending
                                           ? record_action(p, c->sending)
                                           : NULL};
    note->req = c->sending;
    *out = note;
    if (!draw_crash(c, note))
        return false;
    if (c->sending)
        checks_on_send(s->w, c->sending);
    if (s->w->steps && c->sending)
        steps_on_send(p, note->seen.action, c->sending);
    return true;
}

static struct process *find_life(struct world *w, unsigned life)
{
    LIST_FOREACH(it, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        if (p->life == life)
            return p;
    }
    return NULL;
}

static void on_landed(void *arg, void *who, const void *note, const struct store_write *writes,
                      size_t count)
{
    const struct fdb_store *s = arg;
    const struct fdb_note *n = note;
    struct commit_seen seen = n->seen;
    (void)who; /* may be gone */

    seen.writes = writes;
    seen.write_count = count;
    checks_on_commit(s->w, &seen);
    if (s->w->record)
        fdb_record_landed(s->w, n);
    struct process *p = n->dooms ? find_life(s->w, seen.life) : NULL;
    if (p)
        process_doom(p, 0);
}

static void on_scanned(void *arg, void *who, struct bytes begin, struct bytes end)
{
    const struct fdb_store *s = arg;
    const struct fdb_client *c = who;
    checks_on_range_read(s->w, c->p, begin, end);
}

/* ---- its faults are the configuration's */

static const enum sim_fault fault_of[SIM_FDB_FAULT_COUNT] = {
    [SIM_FDB_CONFLICT] = FAULT_CONFLICT,
    [SIM_FDB_TOO_OLD] = FAULT_TOO_OLD,
    [SIM_FDB_FUTURE_VERSION] = FAULT_STORE_READ_FAIL,
    [SIM_FDB_PROCESS_BEHIND] = FAULT_STORE_READ_FAIL,
    [SIM_FDB_LOCKED] = FAULT_STORE_READ_FAIL,
    [SIM_FDB_MEMORY] = FAULT_STORE_READ_FAIL,
    [SIM_FDB_REFUSED] = FAULT_STORE_WRITE_FAIL,
    [SIM_FDB_THROTTLED] = FAULT_STORE_READ_FAIL,
    [SIM_FDB_UNKNOWN_DONE] = FAULT_UNKNOWN,
    [SIM_FDB_UNKNOWN_LOST] = FAULT_UNKNOWN,
    [SIM_FDB_VERSION_CHANGED] = FAULT_LATE,
    [SIM_FDB_CANCELLED] = FAULT_LATE,
    [SIM_FDB_LATE] = FAULT_LATE,
    [SIM_FDB_SLOW] = FAULT_STORE_SLOW,
    [SIM_FDB_RECOVERY] = FAULT_STORE_RECOVERY,
    [SIM_FDB_WATCH_SPURIOUS] = FAULT_WATCH_SPURIOUS,
    [SIM_FDB_WATCH_MISSES] = FAULT_WATCH_LOST,
    [SIM_FDB_WATCH_ERROR] = FAULT_WATCH_LOST,
    [SIM_FDB_WATCH_SLOW] = FAULT_WATCH_LOST,
    [SIM_FDB_CORRUPTION] = FAULT_CORRUPTION,
};

static void on_drew(void *arg, enum sim_fdb_fault f)
{
    const struct fdb_store *s = arg;
    world_met(s->w, fault_of[f]);
}

/* The configuration counts in 1024ths. */
static uint32_t of_10000(uint32_t per_1024)
{
    return per_1024 * 10000 / 1024;
}

/* Out of 10,000. Where several errors are one fault, they share its rate. */
static void set_rates(const struct sim_config *c, uint16_t rate[SIM_FDB_FAULT_COUNT])
{
    const uint32_t all[SIM_FDB_FAULT_COUNT] = {
        [SIM_FDB_CONFLICT] = of_10000(c->conflict_per_1024),
        [SIM_FDB_TOO_OLD] = of_10000(c->too_old_per_1024) / 2,
        [SIM_FDB_FUTURE_VERSION] = of_10000(c->read_fail_per_1024) / 4,
        [SIM_FDB_PROCESS_BEHIND] = of_10000(c->read_fail_per_1024) / 4,
        [SIM_FDB_LOCKED] = of_10000(c->read_fail_per_1024) / 4,
        [SIM_FDB_MEMORY] = of_10000(c->read_fail_per_1024) / 4,
        [SIM_FDB_REFUSED] = of_10000(c->write_fail_per_1024),
        [SIM_FDB_THROTTLED] = of_10000(c->read_fail_per_1024) / 4,
        [SIM_FDB_UNKNOWN_DONE] = of_10000(c->unknown_per_1024) / 2,
        [SIM_FDB_UNKNOWN_LOST] = of_10000(c->unknown_per_1024) / 2,
        [SIM_FDB_VERSION_CHANGED] = of_10000(c->late_per_1024) / 4,
        [SIM_FDB_CANCELLED] = of_10000(c->late_per_1024) / 4,
        [SIM_FDB_LATE] = of_10000(c->late_per_1024) / 2,
        [SIM_FDB_SLOW] = of_10000(c->slow_per_1024) / 2,
        [SIM_FDB_RECOVERY] = 2,
        [SIM_FDB_WATCH_SPURIOUS] = of_10000(c->watch_spurious_per_16 * 64),
        [SIM_FDB_WATCH_MISSES] = of_10000(c->watch_lost_per_16 * 32),
        [SIM_FDB_WATCH_ERROR] = of_10000(c->watch_lost_per_16 * 16),
        [SIM_FDB_WATCH_SLOW] = of_10000(c->watch_lost_per_16 * 16),
        [SIM_FDB_CORRUPTION] = c->corrupt_per_4096 * 10000 / 4096,
    };
    for (unsigned f = 0; f < SIM_FDB_FAULT_COUNT; f++)
        rate[f] = sim_fault_on(c, fault_of[f]) ? (uint16_t)all[f] : 0;
}

/* ---- in a process */

static void on_wake(struct world *w, struct sim_event *e)
{
    struct fdb_client *c = CONTAINER_OF(e, struct fdb_client, wake);
    struct process *p = c->p;

    (void)w;
    if (process_hold(p, e))
        return;
    process_enter(p, PROCESS_STORE, sim_fdb_database_digest(c->db));
    store_fdb_ready(c->driver);
    process_leave(p);
}

static void client_wake(void *ctx)
{
    struct fdb_client *c = ctx;
    struct world *w = c->p->world;
    if (!event_queued(&c->wake))
        world_after(w, &c->wake, world_below(w, STREAM_STORE, WAKE_US_MAX) * 1000);
}

static struct store driver_of(const struct fdb_client *c)
{
    return store_fdb_store(c->driver);
}

static void op_read(void *ctx, struct store_req *req)
{
    struct fdb_client *c = ctx;
    struct world *w = c->p->world;

    fdb_store_of(w)->reads++;
    if (w->record)
        fdb_record_ask(c, req, false);
    struct store driver = driver_of(c);
    driver.ops->read(driver.ctx, req);
}

static void op_commit(void *ctx, struct store_req *req)
{
    struct fdb_client *c = ctx;
    struct world *w = c->p->world;

    fdb_store_of(w)->commits++;
    if (w->record)
        fdb_record_ask(c, req, true);
    struct store driver = driver_of(c);
    c->sending = req;
    driver.ops->commit(driver.ctx, req);
    c->sending = NULL;
}

static void op_cancel(void *ctx, struct store_req *req)
{
    struct fdb_client *c = ctx;
    struct store driver = driver_of(c);

    if (c->p->world->record)
        fdb_record_cancel(c, req);
    driver.ops->cancel(driver.ctx, req);
}

static void op_release(void *ctx, struct store_req *req)
{
    struct store driver = driver_of(ctx);
    driver.ops->release(driver.ctx, req);
}

static void op_watch(void *ctx, struct store_watch *watch)
{
    struct store driver = driver_of(ctx);
    driver.ops->watch(driver.ctx, watch);
}

static void op_unwatch(void *ctx, struct store_watch *watch)
{
    struct store driver = driver_of(ctx);
    driver.ops->unwatch(driver.ctx, watch);
}

static struct store fdb_store_client(struct process *p)
{
    static const struct store_ops ops = {
        .read = op_read,
        .commit = op_commit,
        .cancel = op_cancel,
        .release = op_release,
        .watch = op_watch,
        .unwatch = op_unwatch,
    };
    struct fdb_store *s = fdb_store_of(p->world);
    struct fdb_client *c = calloc(1, sizeof *c);

    CHECK(c);
    c->p = p;
    event_init(&c->wake, on_wake);
    list_init(&c->asked);
    c->db = sim_fdb_database(s->fdb, c);
    sim_fdb_database_cut(c->db, s->cuts[p->node] > 0);
    const struct store_fdb_env env = {.mem = p->env.mem,
                                      .clock = p->env.clock,
                                      .timers = p->env.timers,
                                      .log = p->env.log,
                                      .wake = {client_wake, c}};
    CHECK(store_fdb_new(&env, sim_fdb_api(), c->db, NULL, &c->driver) == 0);
    p->store_client = c;
    return (struct store){.ops = &ops, .ctx = c};
}

static bool fdb_store_closed(struct process *p)
{
    struct fdb_client *c = client_of(p);

    if (!c->driver)
        return true;
    if (!c->closing)
        store_fdb_close(c->driver);
    c->closing = true;
    if (!store_fdb_idle(c->driver))
        return false;
    world_cancel(p->world, &c->wake);
    store_fdb_free(c->driver);
    c->driver = NULL;
    return true;
}

/* The life is over, and its library with it; what that had sent is on its way. */
static void fdb_store_detach(struct process *p)
{
    struct fdb_client *c = client_of(p);

    world_cancel(p->world, &c->wake);
    sim_fdb_database_kill(c->db);
    fdb_record_end(c);
    free(c);
    p->store_client = NULL;
}

static void fdb_store_freeze(struct process *p)
{
    sim_fdb_database_freeze(client_of(p)->db, true);
}

/* Either its threads are quicker than the loop, or they are not. */
static uint64_t fdb_store_thaw(struct process *p)
{
    sim_fdb_database_freeze(client_of(p)->db, false);
    return world_below(p->world, STREAM_STORE, 2) ? THAW_NS : 0;
}

static size_t fdb_store_holds(const struct process *p)
{
    const struct fdb_client *c = client_of(p);
    return c->driver ? store_fdb_holds(c->driver) : sim_fdb_database_holds(c->db);
}

/* ---- the world's side */

static size_t fdb_store_in_flight(const struct world *w)
{
    return sim_fdb_in_flight(fdb_store_of(w)->fdb);
}

static struct sim_store_stats fdb_store_stats(const struct world *w)
{
    const struct fdb_store *s = fdb_store_of(w);
    const struct sim_fdb_stats *f = sim_fdb_stats(s->fdb);

    return (struct sim_store_stats){
        .reads = s->reads,
        .commits = s->commits,
        .committed = f->landed,
        .conflicts = f->conflicts,
        .unknown = f->unknown,
        .late = f->landed_late,
        .watches_fired = f->watches_fired,
    };
}

static void set_cuts(struct world *w, unsigned node)
{
    LIST_FOREACH(it, &w->processes)
    {
        const struct process *p = LIST_ENTRY(it, struct process, link);
        if (p->node == node)
            sim_fdb_database_cut(client_of(p)->db, fdb_store_of(w)->cuts[node] > 0);
    }
}

static void fdb_store_cut(struct world *w, unsigned node, bool cut)
{
    unsigned *cuts = &fdb_store_of(w)->cuts[node];

    CHECK(cut || *cuts > 0);
    *cuts += cut ? 1u : 0u - 1u;
    set_cuts(w, node);
}

static void fdb_store_recovery(struct world *w, bool reads_too, bool on)
{
    if (on)
        sim_fdb_recovery_begin(fdb_store_of(w)->fdb, !reads_too);
    else
        sim_fdb_recovery_end(fdb_store_of(w)->fdb, !reads_too);
}

static void fdb_store_throttle(struct world *w, bool on)
{
    sim_fdb_throttle(fdb_store_of(w)->fdb, w->config.throttle_ms_max * NS_PER_MS, on);
}

static void fdb_store_full(struct world *w, bool on)
{
    sim_fdb_lock(fdb_store_of(w)->fdb, on);
}

static void fdb_store_process(struct world *w, bool up)
{
    sim_fdb_cut(fdb_store_of(w)->fdb, !up);
}

static void fdb_store_heal(struct world *w)
{
    struct fdb_store *s = fdb_store_of(w);

    sim_fdb_calm(s->fdb);
    for (unsigned n = 0; n < w->config.nodes; n++) {
        s->cuts[n] = 0;
        set_cuts(w, n);
    }
}

static void fdb_store_free(struct world *w)
{
    struct fdb_store *s = fdb_store_of(w);

    sim_fdb_free(s->fdb);
    CHECK(s->mem.count == 0);
    free(s->cuts);
    free(s);
}

static void fdb_store_each(struct world *w, sim_row_fn *fn, void *arg)
{
    sim_fdb_each(fdb_store_of(w)->fdb, fn, arg);
}

static void fdb_store_set_back(struct world *w, const struct store_write *rows, size_t count)
{
    sim_fdb_set_back(fdb_store_of(w)->fdb, rows, count);
}

static void fdb_store_flip(struct world *w, struct bytes key, size_t bit)
{
    sim_fdb_flip(fdb_store_of(w)->fdb, key, bit);
}

static struct sim_fdb *new_cluster(struct fdb_store *s)
{
    struct world *w = s->w;
    const struct sim_config *c = &w->config;
    struct sim_fdb_options o = {
        .mem = sim_mem_of(&s->mem),
        .clock = world_clock(w),
        .timers = world_timers(w),
        .seed = rng_u64(&w->rng[STREAM_STORE]),
        .latency_ns = 1000ull * c->store_delay_us,
        .jitter_ns = 1000ull * c->store_jitter_us,
        .batch_ns = 1000ull * c->store_batch_us,
        .slow_ns_max = c->slow_ms_max * NS_PER_MS,
        .late_ns_max = c->late_ms_max * NS_PER_MS,
    };
    const struct sim_fdb_hooks hooks = {
        .arg = s,
        .commits = on_commits,
        .landed = on_landed,
        .scanned = on_scanned,
        .drew = on_drew,
    };
    set_rates(c, o.rate);
    struct sim_fdb *fdb = sim_fdb_new(&o);
    sim_fdb_hook(fdb, &hooks);
    return fdb;
}

struct sim_store *fdb_store_new(struct world *w)
{
    static const struct sim_store_ops ops = {
        .free = fdb_store_free,
        .client = fdb_store_client,
        .closed = fdb_store_closed,
        .detach = fdb_store_detach,
        .freeze = fdb_store_freeze,
        .thaw = fdb_store_thaw,
        .holds = fdb_store_holds,
        .in_flight = fdb_store_in_flight,
        .stats = fdb_store_stats,
        .cut = fdb_store_cut,
        .recovery = fdb_store_recovery,
        .throttle = fdb_store_throttle,
        .full = fdb_store_full,
        .process = fdb_store_process,
        .heal = fdb_store_heal,
        .each = fdb_store_each,
        .set_back = fdb_store_set_back,
        .flip = fdb_store_flip,
    };
    struct fdb_store *s = calloc(1, sizeof *s);

    CHECK(s);
    s->base.ops = &ops;
    s->w = w;
    s->cuts = calloc(w->config.nodes, sizeof *s->cuts);
    CHECK(s->cuts);
    sim_mem_init(&s->mem);
    s->fdb = new_cluster(s);
    return &s->base;
}
