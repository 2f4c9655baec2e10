#include <stdlib.h>

#include "base/rng.h"
#include "env/txn.h"
#include "kelpie/error.h"
#include "sim/steps/sim_steps.h"
#include "sim/stores/sim_embedded.h"
#include "sim/world/sim_hooks.h"

#define MSGS_MAX (1u << 20)
#define RESET_MS_MAX 3000 /* until a request that got lost is given up by the link */
#define SLOW_READ_SHARE 4 /* reads are slow for less long */
#define DRAW_OPTIONS (1ull << 60)
/* Of a store that remembers little. */
#define RECENT_MIN 24
#define RECENT_SPAN 200
#define WATCHES_SPAN 8
#define BATCH_SPAN 8

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

static struct sim_msg *msg_new(struct embedded_store *s)
{
    struct sim_msg *m = s->free;

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
        buf_init(&m->frame, sim_mem_of(&s->mem));
        buf_init(&m->answer, sim_mem_of(&s->mem));
        s->all[s->all_count++] = m;
    }
    m->settled = m->hide = m->lost = m->stale = m->made_wait = m->dooms = m->alone = false;
    m->wanted = true;
    m->status = 0;
    m->version = 0;
    m->landed_ns = 0;
    m->read_count = 0;
    m->commit = (struct core_commit){0};
    buf_clear(&m->frame);
    buf_clear(&m->answer);
    event_init(&m->event, on_msg_due);
    list_init(&m->link);
    return m;
}

static void msg_free(struct embedded_store *s, struct sim_msg *m)
{
    CHECK(m->stage != MSG_FREE && !event_queued(&m->event));
    if (m->stage == MSG_COMMIT || m->stage == MSG_QUEUED)
        s->in_flight--;
    list_remove(&m->link);
    m->stage = MSG_FREE;
    m->p = NULL;
    m->next_free = s->free;
    s->free = m;
}

/* The frame, and what it says. */
static void keep(struct sim_msg *m, const struct store_frame *f, struct bytes whole)
{
    struct store_commit_msg head;

    buf_append_bytes(&m->frame, whole);
    struct bytes body = bytes_of(m->frame.data + STORE_FRAME_HEAD, f->body.len);
    if (m->stage == MSG_READ) {
        CHECK(store_decode_read(body, &m->id, m->reads, &m->read_count) == 0);
        return;
    }
    CHECK(store_decode_commit_head(body, &head) == 0);
    CHECK(store_decode_commit(body, &head, m->conflicts, m->writes) == 0);
    m->id = head.id;
    m->seen.writes = m->writes;
    m->seen.write_count = head.write_count;
    m->commit = (struct core_commit){
        .conflicts = m->conflicts,
        .conflict_count = head.range_count,
        .writes = m->writes,
        .write_count = head.write_count,
        .read_version = head.read_version,
    };
}

static void answer_after(struct embedded_store *s, struct sim_msg *m, int status, uint64_t delay_ns)
{
    if (m->stage == MSG_COMMIT || m->stage == MSG_QUEUED)
        s->in_flight--;
    m->stage = MSG_ANSWER;
    m->status = status;
    if (!m->p || m->alone)
        msg_free(s, m);
    else
        world_after(s->w, &m->event, delay_ns);
}

void store_answer(struct embedded_store *s, struct sim_msg *m, int status)
{
    answer_after(s, m, status, store_delay_ns(s));
}

/* Lost on the way: the connection finds out. */
static void lose(struct embedded_store *s, struct sim_msg *m)
{
    if (m->p)
        link_breaks(m->p);
    msg_free(s, m);
}

/* ---- arrival at the store */

struct rows_sink {
    struct store_rows_writer rows;
    struct embedded_store *s;
};

static void sink_row(void *arg, size_t index, struct bytes key, struct bytes value)
{
    struct rows_sink *sink = arg;

    (void)index;
    store_rows_row(&sink->rows, key, value);
    const struct value_span span = {.at = sink->rows.out->len - value.len, .len = value.len};
    buf_append(&sink->s->values, &span, sizeof span);
}

static void sink_end(void *arg, size_t index, bool more)
{
    struct rows_sink *sink = arg;

    (void)index;
    store_rows_result(&sink->rows, more);
}

/* Writes the rows into the frame of the answer. */
static int read_rows(struct embedded_store *s, struct sim_msg *m)
{
    struct rows_sink rows = {.s = s};
    const struct core_sink sink = {.row = sink_row, .end = sink_end, .arg = &rows};

    buf_clear(&s->values);
    store_rows_begin(&rows.rows, &m->answer, m->id);
    int err = core_read(s->core, m->reads, m->read_count, &sink, &m->version);
    store_rows_end(&rows.rows, err, m->version);
    return err;
}

static void arrive_read(struct embedded_store *s, struct sim_msg *m)
{
    struct world *w = s->w;

    if (!m->p) {
        msg_free(s, m);
        return;
    }
    if (s->cuts[m->seen.node] > 0) {
        lose(s, m);
        return;
    }
    if (store_trouble_takes(s, m))
        return;
    if (world_fault(w, FAULT_STORE_READ_FAIL, STREAM_STORE, w->config.read_fail_per_1024, 1024)) {
        store_answer(s, m, KELPIE_E_STORE_UNAVAILABLE);
        return;
    }
    m->landed_ns = w->now_ns;
    int err = read_rows(s, m);
    if (!err)
        store_trouble_corrupts(s, m);
    for (size_t i = 0; i < m->read_count; i++)
        if (m->reads[i].end.len > 0)
            checks_on_range_read(w, m->p, m->reads[i].key, m->reads[i].end);
    store_answer(s, m, err);
}

/* The sender is told "unknown" (at once, or never: its own time-out says it), and the commit goes
 * on alone. */
static void send_on_alone(struct embedded_store *s, struct sim_msg *m, uint64_t delay_ns, bool tell)
{
    m->settled = m->alone = true;
    s->stats.late++;
    if (m->p) {
        struct sim_msg *a = msg_new(s);
        a->p = m->p;
        a->id = m->id;
        a->wanted = m->wanted;
        a->seen = m->seen;
        a->seen.writes = NULL;
        list_append(&m->p->store_msgs, &a->link);
        answer_after(s, a, KELPIE_E_UNKNOWN_RESULT,
                     tell ? store_delay_ns(s) : store_below_ms(s, RESET_MS_MAX));
    }
    m->wanted = false;
    world_after(s->w, &m->event, delay_ns);
}

/* Whether something happens to the commit before the core sees it. */
static bool commit_meets_fault(struct embedded_store *s, struct sim_msg *m)
{
    struct world *w = s->w;
    const struct sim_config *c = &w->config;

    if (s->cuts[m->seen.node] > 0) {
        /* It is lost, or sits in a buffer until the network is back. */
        if (!w->calm && world_below(w, STREAM_STORE, 2))
            send_on_alone(s, m, store_below_ms(s, c->fault_ms_max), false);
        else
            lose(s, m);
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
    struct sim_msg *m = CONTAINER_OF(commit, struct sim_msg, commit);
    struct embedded_store *s = commit->arg;

    m->landed_ns = s->w->now_ns;
    bool happened = status == 0 || (status == KELPIE_E_UNKNOWN_RESULT && s->faulty.happened);
    if (happened) {
        s->stats.committed++;
        m->version = commit->version;
        checks_on_commit(s->w, &m->seen);
        if (m->dooms && m->p)
            process_doom(m->p, 0);
    } else if (status == KELPIE_E_CONFLICT) {
        s->stats.conflicts++;
    }
    if (!m->wanted && happened)
        store_record(s, m, END_LATE);
    store_answer(s, m, m->hide ? KELPIE_E_UNKNOWN_RESULT : status);
}

static void arrive_commit(struct embedded_store *s, struct sim_msg *m)
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
    struct embedded_store *s = embedded_of(w);
    core_flush(s->core);
    if (core_broken(s->core))
        store_begin_again(s);
    if (core_pending(s->core))
        store_wake(s);
}

/* ---- arrival at the process */

/* The frame of an answer that says no more than its status. */
static void encode_status(struct sim_msg *m)
{
    struct store_rows_writer rows;

    if (m->seen.write_count > 0) {
        store_encode_committed(&m->answer, m->id, m->status, m->version);
        return;
    }
    buf_clear(&m->answer);
    store_rows_begin(&rows, &m->answer, m->id);
    store_rows_end(&rows, m->status, m->version);
}

static void arrive_answer(struct embedded_store *s, struct sim_msg *m)
{
    struct process *p = m->p;

    if (!p) {
        msg_free(s, m);
        return;
    }
    if (s->cuts[m->seen.node] > 0) {
        lose(s, m);
        return;
    }
    if (process_hold(p, &m->event))
        return;
    bool read = m->seen.write_count == 0;
    if (m->wanted)
        store_record(s, m, END_OK);
    uint64_t digest = m->version << 8 ^ (uint64_t)(int64_t)m->status;
    if (m->status || !read)
        encode_status(m);
    p->store_link->results += read && m->status == 0 && m->wanted;
    /* The session may send more while it takes this one: the message is free only then. */
    list_remove(&m->link);
    link_deliver(p, read ? PROCESS_READ_DONE : PROCESS_COMMIT_DONE, digest, buf_bytes(&m->answer));
    msg_free(s, m);
}

static void on_msg_due(struct world *w, struct sim_event *e)
{
    struct sim_msg *m = CONTAINER_OF(e, struct sim_msg, event);

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

/* ---- what the session sends */

static const struct txn *txn_of(const struct process *p, uint64_t id)
{
    LIST_FOREACH(it, p->env.txns)
    {
        const struct txn *t = LIST_ENTRY(it, struct txn, link);
        if (t->req.backend && t->req.id == id)
            return t;
    }
    return NULL;
}

struct sim_msg *store_send(struct process *p, const struct store_frame *f, struct bytes whole)
{
    struct world *w = p->world;
    struct embedded_store *s = embedded_of(w);
    struct sim_msg *m = msg_new(s);
    bool read = f->type == STORE_MSG_READ;
    uint64_t delay = store_delay_ns(s);
    uint64_t slow_ms_max = w->config.slow_ms_max;

    if (world_fault(w, FAULT_STORE_SLOW, STREAM_STORE, w->config.slow_per_1024, 1024))
        delay += store_below_ms(s, read ? 1 + slow_ms_max / SLOW_READ_SHARE : slow_ms_max);
    m->p = p;
    m->stage = read ? MSG_READ : MSG_COMMIT;
    s->in_flight += !read;
    m->seen = (struct commit_seen){
        .node = p->node, .slot = p->slot, .life = p->life, .boot = p->boot, .sent_ns = w->now_ns};
    keep(m, f, whole);
    const struct txn *t = w->record || w->steps || w->turns ? txn_of(p, m->id) : NULL;
    m->seen.action = t ? t->action : NULL;
    list_append(&p->store_msgs, &m->link);
    world_after(w, &m->event, delay);
    return m;
}

void store_forget_sender(struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &p->store_msgs)
    {
        struct sim_msg *m = LIST_ENTRY(it, struct sim_msg, link);
        m->p = NULL;
        m->wanted = false;
        list_remove(&m->link);
    }
}

void store_lose_queued(struct embedded_store *s)
{
    for (size_t i = 0; i < s->all_count; i++) {
        struct sim_msg *m = s->all[i];
        if (m->stage != MSG_QUEUED)
            continue;
        core_cancel(s->core, &m->commit);
        lose(s, m);
    }
}

/* ---- the world's side */

static void embedded_free(struct world *w)
{
    struct embedded_store *s = embedded_of(w);

    core_free(s->core);
    sim_mem_free_all(&s->mem);
    for (size_t i = 0; i < s->all_count; i++)
        free(s->all[i]);
    free(s->all);
    free(s->cuts);
    free(s);
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

static size_t embedded_in_flight(const struct world *w)
{
    return embedded_of(w)->in_flight;
}

static struct sim_store_stats embedded_stats(const struct world *w)
{
    return embedded_of(w)->stats;
}

/* Half of all stores remember little: what was read a while ago is too old. */
static void draw_options(struct embedded_store *s)
{
    struct rng r;

    rng_seed(&r, s->w->config.seed, DRAW_OPTIONS);
    if (!s->w->config.faults || !rng_chance(&r, 1, 2))
        return;
    s->options.recent_max = RECENT_MIN + rng_below(&r, RECENT_SPAN);
    s->options.watches_max = 1 + rng_below(&r, WATCHES_SPAN);
    s->options.batch_max = 1 + rng_below(&r, BATCH_SPAN);
}

struct sim_store *embedded_new(struct world *w)
{
    static const struct sim_store_ops ops = {
        .free = embedded_free,
        .client = link_client,
        .closed = link_closed,
        .detach = link_detach,
        .freeze = embedded_freeze,
        .thaw = embedded_thaw,
        .holds = link_holds,
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
    draw_options(s);
    CHECK(core_new(sim_mem_of(&s->mem), sim_map_of(s), &s->options, &s->core) == 0);
    buf_init(&s->values, sim_mem_of(&s->mem));
    event_init(&s->flush, on_flush);
    return &s->base;
}
