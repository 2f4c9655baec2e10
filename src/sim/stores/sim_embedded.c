#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/steps/sim_steps.h"
#include "sim/stores/sim_embedded.h"
#include "sim/world/sim_hooks.h"

#define MSGS_MAX (1u << 20)
#define RESET_MS_MAX 3000 /* until a request that got lost is given up by the link */
#define SLOW_READ_SHARE 4 /* reads are slow for less long */

uint64_t store_delay_ns(struct embedded_store *s)
{
    const struct sim_config *c = &s->w->config;
    return (c->store_delay_us + world_below(s->w, STREAM_STORE, c->store_jitter_us + 1)) * 1000;
}

void store_wake(struct embedded_store *s)
{
    if (event_queued(&s->flush))
        return;
    uint64_t us = s->w->config.store_batch_us;
    world_after(s->w, &s->flush, us ? world_below(s->w, STREAM_STORE, us) * 1000 : 0);
}

/* ---- messages */

static void on_msg_due(struct world *w, struct sim_event *e);

static struct store_msg *msg_new(struct embedded_store *s)
{
    struct store_msg *m = s->free;

    if (m) {
        s->free = m->next_free;
    } else {
        if (s->all_count == s->all_cap) {
            CHECK(s->all_cap < MSGS_MAX);
            s->all_cap = s->all_cap ? s->all_cap * 2 : 256;
            s->all = realloc(s->all, s->all_cap * sizeof *s->all);
            CHECK(s->all);
        }
        m = calloc(1, sizeof *m);
        CHECK(m);
        s->all[s->all_count++] = m;
    }
    m->settled = m->hide = m->lost = m->stale = m->made_wait = m->dooms = false;
    m->status = 0;
    m->landed_ns = 0;
    m->results = NULL;
    m->bytes_len = 0;
    m->read_count = 0;
    event_init(&m->event, on_msg_due);
    list_init(&m->link);
    return m;
}

static void msg_free(struct embedded_store *s, struct store_msg *m)
{
    CHECK(m->stage != MSG_FREE && !event_queued(&m->event));
    if (m->stage == MSG_COMMIT || m->stage == MSG_QUEUED)
        s->in_flight--;
    list_remove(&m->link);
    mem_free(sim_mem_of(&s->mem), m->results);
    m->results = NULL;
    m->stage = MSG_FREE;
    m->p = NULL;
    m->req = NULL;
    m->next_free = s->free;
    s->free = m;
}

static void *grow(void *p, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return p;
    *cap = need + need / 2 + 16;
    p = realloc(p, *cap * size);
    CHECK(p);
    return p;
}

static struct bytes keep(struct store_msg *m, struct bytes b)
{
    CHECK(m->bytes_len + b.len <= m->bytes_cap);
    struct bytes copy = bytes_of(m->bytes + m->bytes_len, b.len);
    if (b.len)
        memcpy(m->bytes + m->bytes_len, b.data, b.len);
    m->bytes_len += b.len;
    return copy;
}

static void keep_reads(struct store_msg *m, const struct store_req *req)
{
    size_t need = 0;
    for (size_t i = 0; i < req->read_count; i++)
        need += req->reads[i].key.len + req->reads[i].end.len;
    m->bytes = grow(m->bytes, &m->bytes_cap, need, 1);
    m->reads = grow(m->reads, &m->read_cap, req->read_count, sizeof *m->reads);
    m->read_count = req->read_count;
    for (size_t i = 0; i < req->read_count; i++) {
        m->reads[i] = req->reads[i];
        m->reads[i].key = keep(m, req->reads[i].key);
        m->reads[i].end = keep(m, req->reads[i].end);
    }
}

static void keep_commit(struct store_msg *m, const struct store_req *req)
{
    size_t n = core_conflicts(req, m->conflicts), need = 0;
    for (size_t i = 0; i < n; i++)
        need += m->conflicts[i].begin.len + m->conflicts[i].end.len;
    for (size_t i = 0; i < req->write_count; i++)
        need += req->writes[i].key.len + req->writes[i].value.len;
    m->bytes = grow(m->bytes, &m->bytes_cap, need, 1);
    m->writes = grow(m->writes, &m->write_cap, req->write_count, sizeof *m->writes);
    for (size_t i = 0; i < n; i++) {
        m->conflicts[i].begin = keep(m, m->conflicts[i].begin);
        m->conflicts[i].end = keep(m, m->conflicts[i].end);
    }
    for (size_t i = 0; i < req->write_count; i++) {
        m->writes[i] = req->writes[i];
        m->writes[i].key = keep(m, req->writes[i].key);
        m->writes[i].value = keep(m, req->writes[i].value);
    }
    m->seen.writes = m->writes;
    m->commit = (struct core_commit){
        .conflicts = m->conflicts,
        .conflict_count = n,
        .writes = m->writes,
        .write_count = req->write_count,
        .read_version = req->read_version,
    };
}

static void answer_after(struct embedded_store *s, struct store_msg *m, int status,
                         uint64_t delay_ns)
{
    if (m->stage == MSG_COMMIT || m->stage == MSG_QUEUED)
        s->in_flight--;
    m->stage = MSG_ANSWER;
    m->status = status;
    if (!m->req)
        msg_free(s, m);
    else
        world_after(s->w, &m->event, delay_ns);
}

void store_answer(struct embedded_store *s, struct store_msg *m, int status)
{
    answer_after(s, m, status, store_delay_ns(s));
}

/* ---- arrival at the store */

static void arrive_read(struct embedded_store *s, struct store_msg *m)
{
    struct world *w = s->w;

    if (!m->req) {
        msg_free(s, m);
        return;
    }
    if (s->cuts[m->seen.node] > 0) {
        answer_after(s, m, KELPIE_E_STORE_UNAVAILABLE, store_below_ms(s, RESET_MS_MAX));
        return;
    }
    if (store_trouble_takes(s, m))
        return;
    if (world_fault(w, FAULT_STORE_READ_FAIL, STREAM_STORE, w->config.read_fail_per_1024, 1024)) {
        store_answer(s, m, KELPIE_E_STORE_UNAVAILABLE);
        return;
    }
    struct core_sink sink = results_builder_sink(&s->builder);
    m->landed_ns = w->now_ns;
    int err = core_read(s->core, m->reads, m->read_count, &sink, &m->version);
    if (!err)
        m->results = results_builder_finish(&s->builder);
    if (!err)
        store_trouble_corrupts(s, m);
    for (size_t i = 0; i < m->read_count; i++)
        if (m->reads[i].end.len > 0 && m->p)
            checks_on_range_read(w, m->p, m->reads[i].key, m->reads[i].end);
    store_answer(s, m, err);
}

/* The sender is told "unknown" (at once, or never: its own time-out says it), and the commit goes
 * on alone. */
static void send_on_alone(struct embedded_store *s, struct store_msg *m, uint64_t delay_ns,
                          bool tell)
{
    struct store_req *req = m->req;

    m->settled = true;
    m->req = NULL;
    s->stats.late++;
    if (req && m->p) {
        struct store_msg *a = msg_new(s);
        a->p = m->p;
        a->req = req;
        a->seen = m->seen;
        a->seen.writes = NULL;
        list_append(&m->p->store_msgs, &a->link);
        answer_after(s, a, KELPIE_E_UNKNOWN_RESULT,
                     tell ? store_delay_ns(s) : store_below_ms(s, RESET_MS_MAX));
    }
    world_after(s->w, &m->event, delay_ns);
}

/* Whether something happens to the commit before the core sees it. */
static bool commit_meets_fault(struct embedded_store *s, struct store_msg *m)
{
    struct world *w = s->w;
    const struct sim_config *c = &w->config;

    if (s->cuts[m->seen.node] > 0) {
        /* It is lost, or sits in a buffer until the network is back. */
        if (!w->calm && world_below(w, STREAM_STORE, 2))
            send_on_alone(s, m, store_below_ms(s, c->fault_ms_max), false);
        else
            answer_after(s, m, KELPIE_E_UNKNOWN_RESULT, store_below_ms(s, RESET_MS_MAX));
    } else if (world_fault(w, FAULT_STORE_WRITE_FAIL, STREAM_STORE, c->write_fail_per_1024, 1024)) {
        store_answer(s, m, KELPIE_E_STORE_UNAVAILABLE);
    } else if (world_fault(w, FAULT_CONFLICT, STREAM_STORE, c->conflict_per_1024, 1024)) {
        store_answer(s, m, KELPIE_E_CONFLICT);
    } else if (world_fault(w, FAULT_TOO_OLD, STREAM_STORE, c->too_old_per_1024, 1024)) {
        store_answer(s, m, KELPIE_E_TOO_OLD);
    } else if (world_fault(w, FAULT_LATE, STREAM_STORE, c->late_per_1024, 1024)) {
        bool tell = world_below(w, STREAM_STORE, 2);
        send_on_alone(s, m, store_below_ms(s, c->late_ms_max), tell);
    } else if (world_fault(w, FAULT_UNKNOWN, STREAM_STORE, c->unknown_per_1024, 1024)) {
        s->stats.unknown++;
        m->hide = world_below(w, STREAM_STORE, 2);
        if (m->hide)
            return false;
        store_answer(s, m, KELPIE_E_UNKNOWN_RESULT);
    } else {
        return false;
    }
    return true;
}

static void on_core_committed(struct core_commit *commit, int status)
{
    struct store_msg *m = CONTAINER_OF(commit, struct store_msg, commit);
    struct embedded_store *s = commit->arg;

    m->landed_ns = s->w->now_ns;
    if (status == 0) {
        s->stats.committed++;
        m->version = commit->version;
        checks_on_commit(s->w, &m->seen);
        if (m->dooms && m->p)
            process_doom(m->p, 0);
    } else if (status == KELPIE_E_CONFLICT) {
        s->stats.conflicts++;
    }
    if (!m->req && status == 0)
        store_record(s, m, END_LATE);
    store_answer(s, m, m->hide ? KELPIE_E_UNKNOWN_RESULT : status);
}

static void arrive_commit(struct embedded_store *s, struct store_msg *m)
{
    if ((!m->settled && commit_meets_fault(s, m)) || store_trouble_takes(s, m))
        return;
    m->stage = MSG_QUEUED;
    m->commit.fn = on_core_committed;
    m->commit.arg = s;
    core_enqueue(s->core, &m->commit);
    store_wake(s);
}

static void on_flush(struct world *w, struct sim_event *e)
{
    (void)e;
    core_flush(embedded_of(w)->core);
    if (core_pending(embedded_of(w)->core))
        store_wake(embedded_of(w));
}

/* ---- arrival at the process */

static void arrive_answer(struct embedded_store *s, struct store_msg *m)
{
    struct store_req *req = m->req;
    struct process *p = m->p;
    int status = m->status;

    if (!req) {
        msg_free(s, m);
        return;
    }
    if (s->cuts[m->seen.node] > 0 && !m->settled) {
        /* The answer is lost; the link finds out some time. */
        m->settled = true;
        m->status = m->seen.write_count ? KELPIE_E_UNKNOWN_RESULT : KELPIE_E_STORE_UNAVAILABLE;
        world_after(s->w, &m->event, store_below_ms(s, RESET_MS_MAX));
        return;
    }
    if (process_hold(p, &m->event))
        return;
    bool read = m->seen.write_count == 0;
    store_record(s, m, END_OK);
    uint64_t digest = m->version << 8 ^ (uint64_t)(int64_t)status;
    if (read && status == 0) {
        req->read_version = m->version;
        req->results = m->results;
        req->backend = m;
        m->stage = MSG_RESULTS;
        m->req = NULL;
    } else {
        req->commit_version = m->version;
        msg_free(s, m);
    }
    process_enter(p, read ? PROCESS_READ_DONE : PROCESS_COMMIT_DONE, digest);
    req->fn(req, status);
    process_leave(p);
}

static void on_msg_due(struct world *w, struct sim_event *e)
{
    struct store_msg *m = CONTAINER_OF(e, struct store_msg, event);

    switch (m->stage) {
    case MSG_READ:
        arrive_read(embedded_of(w), m);
        return;
    case MSG_COMMIT:
        arrive_commit(embedded_of(w), m);
        return;
    case MSG_ANSWER:
        arrive_answer(embedded_of(w), m);
        return;
    default:
        CHECK(false); /* not on its way */
    }
}

/* ---- what nodes call */

static struct store_msg *send(struct process *p, struct store_req *req, enum msg_stage stage,
                              uint64_t slow_ms_max)
{
    struct world *w = p->world;
    struct embedded_store *s = embedded_of(w);
    struct store_msg *m = msg_new(s);
    uint64_t delay = store_delay_ns(s);

    if (world_fault(w, FAULT_STORE_SLOW, STREAM_STORE, w->config.slow_per_1024, 1024))
        delay += store_below_ms(s, slow_ms_max);
    m->p = p;
    m->req = req;
    m->stage = stage;
    m->seen = (struct commit_seen){.node = p->node,
                                   .slot = p->slot,
                                   .life = p->life,
                                   .boot = p->boot,
                                   .sent_ns = w->now_ns,
                                   .write_count = stage == MSG_COMMIT ? req->write_count : 0,
                                   .action = w->record || w->steps ? record_action(p, req) : NULL};
    list_append(&p->store_msgs, &m->link);
    world_after(w, &m->event, delay);
    return m;
}

static void store_op_read(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    CHECK(!req->results && req->fn);
    embedded_of(p->world)->stats.reads++;
    keep_reads(send(p, req, MSG_READ, 1 + p->world->config.slow_ms_max / SLOW_READ_SHARE), req);
}

static void store_op_commit(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    CHECK(req->write_count > 0);
    embedded_of(p->world)->stats.commits++;
    embedded_of(p->world)->in_flight++;
    struct store_msg *m = send(p, req, MSG_COMMIT, p->world->config.slow_ms_max);
    keep_commit(m, req);
    if (p->world->steps)
        steps_on_send(p, m->seen.action, req);
    store_trouble_dooms(embedded_of(p->world), m);
}

static void store_op_cancel(void *ctx, struct store_req *req)
{
    struct process *p = ctx;
    LIST_FOREACH(it, &p->store_msgs)
    {
        struct store_msg *m = LIST_ENTRY(it, struct store_msg, link);
        if (m->req == req)
            m->req = NULL;
    }
}

static void store_op_release(void *ctx, struct store_req *req)
{
    struct process *p = ctx;
    if (!req->results)
        return;
    struct store_msg *m = req->backend;
    CHECK(m->stage == MSG_RESULTS && m->results == req->results && m->p == p);
    msg_free(embedded_of(p->world), m);
    req->results = NULL;
    req->backend = NULL;
}

static struct store embedded_client(struct process *p)
{
    static const struct store_ops ops = {
        .read = store_op_read,
        .commit = store_op_commit,
        .cancel = store_op_cancel,
        .release = store_op_release,
        .watch = sim_watch_op_watch,
        .unwatch = sim_watch_op_unwatch,
    };
    return (struct store){.ops = &ops, .ctx = p};
}

/* ---- the world's side */

static void embedded_free(struct world *w)
{
    struct embedded_store *s = embedded_of(w);

    core_free(s->core);
    sim_mem_free_all(&s->mem);
    for (size_t i = 0; i < s->all_count; i++) {
        free(s->all[i]->bytes);
        free(s->all[i]->reads);
        free(s->all[i]->writes);
        free(s->all[i]);
    }
    free(s->all);
    free(s->cuts);
    free(s);
}

/* The life is over: what is under way to the store still arrives there, nothing comes back. */
static void embedded_detach(struct process *p)
{
    struct embedded_store *s = embedded_of(p->world);

    sim_watch_detach(p);
    LIST_FOREACH_SAFE(it, tmp, &p->store_msgs)
    {
        struct store_msg *m = LIST_ENTRY(it, struct store_msg, link);
        m->p = NULL;
        m->req = NULL;
        list_remove(&m->link);
        if (m->stage == MSG_RESULTS)
            msg_free(s, m);
    }
}

/* The way to it needs no end of its own. */
static bool embedded_closed(struct process *p)
{
    (void)p;
    return true;
}

/* What comes for a process that stands still waits with it. */
static void embedded_freeze(struct process *p)
{
    (void)p;
}

static uint64_t embedded_thaw(struct process *p)
{
    (void)p;
    return 0;
}

static size_t embedded_holds(const struct process *p)
{
    size_t n = 0;
    LIST_FOREACH(it, &p->store_msgs)
    {
        const struct store_msg *m = LIST_ENTRY(it, struct store_msg, link);
        n += m->req != NULL || m->stage == MSG_RESULTS;
    }
    LIST_FOREACH(it, &p->store_watches)
    {
        n++;
    }
    return n;
}

static size_t embedded_in_flight(const struct world *w)
{
    return embedded_of(w)->in_flight;
}

static struct sim_store_stats embedded_stats(const struct world *w)
{
    return embedded_of(w)->stats;
}

struct sim_store *embedded_new(struct world *w)
{
    static const struct sim_store_ops ops = {
        .free = embedded_free,
        .client = embedded_client,
        .closed = embedded_closed,
        .detach = embedded_detach,
        .freeze = embedded_freeze,
        .thaw = embedded_thaw,
        .holds = embedded_holds,
        .in_flight = embedded_in_flight,
        .stats = embedded_stats,
        .cut = embedded_cut,
        .recovery = embedded_recovery,
        .throttle = embedded_throttle,
        .full = embedded_full,
        .process = embedded_process,
        .heal = embedded_heal,
        .each = embedded_each,
        .set_back = embedded_set_back,
        .flip = embedded_flip,
    };
    struct embedded_store *s = calloc(1, sizeof *s);

    CHECK(s);
    s->base.ops = &ops;
    s->w = w;
    s->cuts = calloc(w->config.nodes, sizeof *s->cuts);
    CHECK(s->cuts);
    sim_mem_init(&s->mem);
    s->map = omap_memory_new(sim_mem_of(&s->mem), 0);
    CHECK(core_new(sim_mem_of(&s->mem), omap_memory_map(s->map), NULL, &s->core) == 0);
    results_builder_init(&s->builder, sim_mem_of(&s->mem));
    event_init(&s->flush, on_flush);
    return &s->base;
}
