/* The cluster of the simulated FoundationDB: versions, commits in batches, recoveries. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define RECOVERY_NS_MAX (4 * NS_PER_S) /* how long one lasts, when drawn */
#define RECOVERY_NS_MIN (200 * NS_PER_MS)
#define TAIL_CHANCE 100 /* one in so many takes ten times as long */

static void on_batch(void *arg);

struct sim_fdb *sim_fdb_new(const struct sim_fdb_options *options)
{
    struct sim_fdb *c = MEM_NEW(options->mem, struct sim_fdb);
    c->o = *options;
    c->mem = options->mem;
    rng_seed(&c->rng, options->seed, 0);
    fdb_rows_init(&c->rows, c->mem);
    c->base = 2 * SIM_FDB_WINDOW;
    c->handed = c->base;
    recent_init(&c->recent, c->mem, SIM_FDB_RECENT_MAX, 0);
    list_init(&c->transit);
    list_init(&c->queue);
    map_init(&c->watches);
    timer_init(&c->batch, options->timers, "fdb_batch", on_batch, c);
    c->o.latency_ns = options->latency_ns ? options->latency_ns : SIM_FDB_LATENCY_NS;
    c->o.jitter_ns = options->jitter_ns ? options->jitter_ns : SIM_FDB_JITTER_NS;
    c->o.batch_ns = options->batch_ns ? options->batch_ns : SIM_FDB_BATCH_NS;
    c->o.slow_ns_max = options->slow_ns_max ? options->slow_ns_max : SIM_FDB_LATE_NS;
    c->o.late_ns_max = options->late_ns_max ? options->late_ns_max : SIM_FDB_LATE_NS;
    sim_trouble_init(c);
    return c;
}

void sim_fdb_hook(struct sim_fdb *c, const struct sim_fdb_hooks *hooks)
{
    c->hooks = *hooks;
}

static void commit_free(struct sim_commit *m)
{
    struct sim_fdb *c = m->c;
    if (m->tr)
        m->tr->commit = NULL;
    timer_stop(&m->timer);
    list_remove(&m->link);
    list_remove(&m->queued);
    sim_items_free(c, &m->writes);
    sim_items_free(c, &m->reads);
    mem_free(c->mem, m->note);
    mem_free(c->mem, m);
}

void sim_fdb_free(struct sim_fdb *c)
{
    if (!c)
        return;
    CHECK(c->databases == 0);
    while (!list_empty(&c->transit))
        commit_free(LIST_ENTRY(c->transit.next, struct sim_commit, link));
    timer_stop(&c->batch);
    timer_stop(&c->recovery);
    fdb_rows_deinit(&c->rows);
    recent_deinit(&c->recent);
    mem_free(c->mem, c);
}

bool sim_fdb_draw(struct sim_fdb *c, enum sim_fdb_fault f)
{
    if (c->calm || c->o.rate[f] == 0 || !rng_chance(&c->rng, c->o.rate[f], 10000))
        return false;
    c->stats.drawn[f]++;
    if (c->hooks.drew)
        c->hooks.drew(c->hooks.arg, f);
    return true;
}

uint64_t sim_fdb_soon(struct sim_fdb *c, uint64_t within_ns)
{
    return rng_below(&c->rng, within_ns);
}

uint64_t sim_fdb_latency(struct sim_fdb *c)
{
    uint64_t ns = c->o.latency_ns + rng_below(&c->rng, c->o.jitter_ns);
    return rng_chance(&c->rng, 1, TAIL_CHANCE) ? 10 * ns : ns;
}

uint64_t sim_fdb_latency_or_slow(struct sim_fdb *c)
{
    return sim_fdb_draw(c, SIM_FDB_SLOW) ? sim_fdb_soon(c, c->o.slow_ns_max) : sim_fdb_latency(c);
}

uint64_t sim_fdb_late(struct sim_fdb *c)
{
    return sim_fdb_soon(c, c->o.late_ns_max);
}

static uint64_t version_by_clock(const struct sim_fdb *c)
{
    return c->base + clock_now_ns(c->o.clock) / 1000;
}

uint64_t sim_fdb_version(struct sim_fdb *c)
{
    uint64_t now = version_by_clock(c);
    if (now > c->handed)
        c->handed = now;
    return c->handed;
}

bool sim_fdb_is_old(struct sim_fdb *c, uint64_t version)
{
    return version + SIM_FDB_WINDOW < sim_fdb_version(c);
}

bool sim_fdb_reachable(const struct fdb_database *db)
{
    return !db->cut && db->c->cuts == 0;
}

bool sim_fdb_frozen(const struct fdb_database *db, bool *held)
{
    *held = db->frozen;
    return db->frozen;
}

int sim_fdb_giving_up(struct sim_fdb *c)
{
    static const int errors[] = {FDB_OPERATION_CANCELLED, FDB_TRANSACTION_CANCELLED,
                                 FDB_TRANSACTION_TIMED_OUT, FDB_USED_DURING_COMMIT};
    return errors[rng_below(&c->rng, ARRAY_LEN(errors))];
}

struct sim_item *sim_item_new(struct sim_fdb *c, struct bytes a, struct bytes b)
{
    struct sim_item *item = mem_alloc(c->mem, sizeof(*item) + a.len + b.len);
    memset(item, 0, sizeof(*item));
    list_init(&item->link);
    if (a.len)
        memcpy(item->bytes, a.data, a.len);
    if (b.len)
        memcpy(item->bytes + a.len, b.data, b.len);
    item->range.begin = item->write.key = bytes_of(item->bytes, a.len);
    item->range.end = item->write.value = bytes_of(item->bytes + a.len, b.len);
    return item;
}

void sim_items_free(struct sim_fdb *c, struct list *items)
{
    struct list *it;
    while ((it = list_pop(items)))
        mem_free(c->mem, LIST_ENTRY(it, struct sim_item, link));
}

/* ---- what no client does */

static const uint8_t last_key[] = {0xff};

void sim_fdb_each(struct sim_fdb *c, sim_fdb_row_fn *fn, void *arg)
{
    fdb_rows_scan(&c->rows, bytes_of("", 0), bytes_of(last_key, 1), UINT64_MAX, fn, arg);
}

void sim_fdb_set_back(struct sim_fdb *c, const struct store_write *rows, size_t count)
{
    const struct store_write all = {
        .kind = STORE_DELETE_RANGE, .key = bytes_of("", 0), .value = bytes_of(last_key, 1)};
    uint64_t version = sim_fdb_version(c) + 1;

    c->handed = version;
    recent_add_range(&c->recent, all.key, all.value, version);
    fdb_rows_write(&c->rows, &all, version);
    for (size_t i = 0; i < count; i++)
        fdb_rows_write(&c->rows, &rows[i], version);
    sim_watches_touch(c, &all);
}

void sim_fdb_flip(struct sim_fdb *c, struct bytes key, size_t bit)
{
    fdb_rows_flip(&c->rows, key, bit);
}

/* ---- commits */

static int commit_check(struct sim_fdb *c, const struct sim_commit *m)
{
    if (list_empty(&m->reads))
        return 0;
    if (m->read_version < c->recent.base || sim_fdb_is_old(c, m->read_version))
        return FDB_TOO_OLD;
    LIST_FOREACH(it, &m->reads)
    if (recent_newer(&c->recent, &LIST_ENTRY(it, struct sim_item, link)->range, m->read_version))
        return FDB_NOT_COMMITTED;
    return 0;
}

static void commit_apply(struct sim_fdb *c, struct sim_commit *m, uint64_t version)
{
    struct store_write writes[STORE_WRITES_MAX];
    size_t n = 0;
    LIST_FOREACH(it, &m->writes)
    {
        const struct store_write *w = &LIST_ENTRY(it, struct sim_item, link)->write;
        if (w->kind == STORE_DELETE_RANGE)
            recent_add_range(&c->recent, w->key, w->value, version);
        else
            recent_add(&c->recent, w->key, version);
        fdb_rows_write(&c->rows, w, version);
        sim_watches_touch(c, w);
        if (n < STORE_WRITES_MAX)
            writes[n++] = *w;
    }
    m->version = version;
    c->stats.landed++;
    c->stats.landed_late += m->tr == NULL;
    if (c->hooks.landed)
        c->hooks.landed(c->hooks.arg, m->who, m->note, writes, n);
}

static void commit_answer(struct sim_commit *m, int error)
{
    m->decided = true;
    m->error = error;
    list_remove(&m->queued);
    timer_start(&m->timer, sim_fdb_latency_or_slow(m->c));
}

/* Its transaction hears of an error at once, and it goes on without it, and may land later. */
static void commit_abandon(struct sim_commit *m, int error)
{
    struct sim_fdb *c = m->c;
    struct fdb_transaction *tr = m->tr;
    m->error = error;
    if (tr) {
        sim_transaction_committed(tr, m);
        tr->commit = NULL;
    }
    m->tr = NULL;
    m->error = 0;
    list_remove(&m->queued);
    timer_start(&m->timer, sim_fdb_late(c));
}

void sim_commit_orphan(struct sim_commit *m)
{
    struct sim_fdb *c = m->c;
    bool delivered = m->decided || !list_empty(&m->queued);
    bool reachable = sim_fdb_reachable(m->tr->db);
    m->tr = NULL;
    if (m->held)
        timer_start(&m->timer, 0);
    if (delivered || reachable)
        return;
    if (c->calm || rng_chance(&c->rng, 1, 2))
        commit_free(m);
    else
        timer_start(&m->timer, sim_fdb_late(c));
}

/* Why a commit proxy takes no commit. */
static int refusal(struct sim_fdb *c)
{
    static const int errors[] = {FDB_PROXY_MEMORY_LIMIT, SIM_FDB_HOT_SHARD, SIM_FDB_RANGE_LOCKED};
    return errors[rng_below(&c->rng, ARRAY_LEN(errors))];
}

static void commit_decide(struct sim_fdb *c, struct sim_commit *m, uint64_t version)
{
    int error = 0;
    if (m->tr && sim_fdb_draw(c, SIM_FDB_VERSION_CHANGED)) {
        commit_abandon(m, FDB_CLUSTER_VERSION_CHANGED);
        return;
    }
    if (m->tr && sim_fdb_draw(c, SIM_FDB_CANCELLED)) {
        commit_abandon(m, sim_fdb_giving_up(c));
        return;
    }
    if (c->locks > 0)
        error = FDB_DATABASE_LOCKED;
    else if (sim_fdb_draw(c, SIM_FDB_CONFLICT) && !list_empty(&m->reads))
        error = FDB_NOT_COMMITTED;
    else if (sim_fdb_draw(c, SIM_FDB_TOO_OLD) && !list_empty(&m->reads))
        error = FDB_TOO_OLD;
    else if (sim_fdb_draw(c, SIM_FDB_REFUSED))
        error = refusal(c);
    else if (sim_fdb_draw(c, SIM_FDB_UNKNOWN_LOST))
        error = FDB_COMMIT_UNKNOWN_RESULT;
    else
        error = commit_check(c, m);
    c->stats.conflicts += error == FDB_NOT_COMMITTED;
    if (!error) {
        commit_apply(c, m, version);
        if (sim_fdb_draw(c, SIM_FDB_UNKNOWN_DONE))
            error = FDB_COMMIT_UNKNOWN_RESULT;
    }
    c->stats.unknown += error == FDB_COMMIT_UNKNOWN_RESULT;
    commit_answer(m, error);
}

/* What was in the queue: some of it was logged, some was not, and nobody can say which. */
static void commit_lose(struct sim_fdb *c, struct sim_commit *m, uint64_t version)
{
    if (rng_chance(&c->rng, 1, 2) && !commit_check(c, m))
        commit_apply(c, m, version);
    c->stats.unknown++;
    commit_answer(m, FDB_COMMIT_UNKNOWN_RESULT);
}

/* All that wait become one batch, of one version. */
static void batch(struct sim_fdb *c,
                  void (*decide)(struct sim_fdb *, struct sim_commit *, uint64_t))
{
    uint64_t version = sim_fdb_version(c) + 1;
    c->handed = version;
    uint16_t order = 0;
    for (struct list *it = c->queue.next, *next; it != &c->queue; it = next) {
        next = it->next;
        struct sim_commit *m = LIST_ENTRY(it, struct sim_commit, queued);
        m->order = order++;
        decide(c, m, version);
    }
    recent_batch_keep(&c->recent);
    fdb_rows_trim(&c->rows, version - SIM_FDB_WINDOW);
}

/* Whoever was to answer is gone: half of what is on its way back never arrives. */
static void answers_lose(struct sim_fdb *c)
{
    LIST_FOREACH(it, &c->transit)
    {
        struct sim_commit *m = LIST_ENTRY(it, struct sim_commit, link);
        if (!m->decided || m->error || !m->tr || !rng_chance(&c->rng, 1, 2))
            continue;
        m->error = FDB_COMMIT_UNKNOWN_RESULT;
        c->stats.unknown++;
    }
}

void sim_commits_lose(struct sim_fdb *c)
{
    answers_lose(c);
    if (!list_empty(&c->queue))
        batch(c, commit_lose);
}

static bool held_up(const struct sim_fdb *c)
{
    return c->cuts > 0 || c->recoveries > 0;
}

void sim_commits_wake(struct sim_fdb *c)
{
    if (!held_up(c) && !c->batch.armed && !list_empty(&c->queue))
        timer_start(&c->batch, sim_fdb_soon(c, c->o.batch_ns));
}

static void on_batch(void *arg)
{
    struct sim_fdb *c = arg;
    if (held_up(c))
        return;
    if (sim_fdb_draw(c, SIM_FDB_RECOVERY))
        sim_fdb_recover(c, RECOVERY_NS_MIN + sim_fdb_soon(c, RECOVERY_NS_MAX - RECOVERY_NS_MIN));
    else
        batch(c, commit_decide);
}

/* One that comes while the cluster recovers: its sender is told at once that nobody knows, or waits
 * for the end. */
static void meet_recovery(struct sim_commit *m)
{
    struct sim_fdb *c = m->c;
    if (m->tr && rng_chance(&c->rng, 1, 4)) {
        c->stats.unknown++;
        commit_answer(m, FDB_COMMIT_UNKNOWN_RESULT);
    } else {
        list_append(&c->queue, &m->queued);
    }
}

/* It arrives, or its answer does. */
static void on_commit(void *arg)
{
    struct sim_commit *m = arg;
    struct sim_fdb *c = m->c;
    if (m->tr && !sim_fdb_reachable(m->tr->db)) {
        timer_start(&m->timer, SIM_FDB_POLL_NS);
        return;
    }
    if (m->decided) {
        if (m->tr && sim_fdb_frozen(m->tr->db, &m->held))
            return;
        if (m->tr)
            sim_transaction_committed(m->tr, m);
        commit_free(m);
        return;
    }
    if (c->recoveries > 0) {
        meet_recovery(m);
        return;
    }
    list_append(&c->queue, &m->queued);
    sim_commits_wake(c);
}

static void take_items(struct list *to, struct list *from)
{
    struct list *it;
    list_init(to);
    while ((it = list_pop(from)))
        list_append(to, it);
}

void sim_commit_send(struct fdb_transaction *tr)
{
    struct sim_fdb *c = tr->db->c;
    struct sim_commit *m = MEM_NEW(c->mem, struct sim_commit);
    m->c = c;
    m->tr = tr;
    m->who = tr->db->who;
    m->note = tr->note;
    tr->note = NULL;
    m->read_version = tr->version;
    take_items(&m->writes, &tr->writes);
    take_items(&m->reads, &tr->reads);
    list_init(&m->queued);
    list_append(&c->transit, &m->link);
    timer_init(&m->timer, c->o.timers, "fdb_commit", on_commit, m);
    tr->commit = m;
    c->stats.commits++;
    timer_start(&m->timer,
                sim_fdb_draw(c, SIM_FDB_LATE) ? sim_fdb_late(c) : sim_fdb_latency_or_slow(c));
}

size_t sim_fdb_in_flight(const struct sim_fdb *c)
{
    size_t n = 0;
    LIST_FOREACH(it, &c->transit)
    n += !LIST_ENTRY(it, const struct sim_commit, link)->decided;
    return n;
}

const struct sim_fdb_stats *sim_fdb_stats(const struct sim_fdb *c)
{
    return &c->stats;
}
