/* Transactions of the simulated FoundationDB, as the client library has them. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define AT_ONCE_CHANCE 16 /* one answer in so many is there when the call returns */
#define BACKOFF_NS_MIN (10 * NS_PER_MS)

static void on_timeout(void *arg)
{
    struct fdb_transaction *tr = arg;
    if (!sim_fdb_frozen(tr->db, &tr->timeout_held))
        sim_transaction_poison(tr, FDB_TRANSACTION_TIMED_OUT);
}

static void on_version(void *arg);
static void commit_settle(struct fdb_transaction *tr, int error);

int sim_transaction_new(struct fdb_database *db, struct fdb_transaction **out)
{
    struct sim_fdb *c = db->c;
    struct fdb_transaction *tr = MEM_NEW(c->mem, struct fdb_transaction);
    tr->db = db;
    tr->version = SIM_FDB_NO_VERSION;
    tr->committed_version = -1;
    tr->backoff_ns = BACKOFF_NS_MIN;
    list_append(&db->transactions, &tr->link);
    list_init(&tr->futures);
    list_init(&tr->writes);
    list_init(&tr->reads);
    timer_init(&tr->timeout, c->o.timers, "fdb_timeout", on_timeout, tr);
    timer_init(&tr->version_timer, c->o.timers, "fdb_version", on_version, tr);
    if (db->timeout_ms)
        timer_start(&tr->timeout, db->timeout_ms * NS_PER_MS);
    db->transaction_count++;
    *out = tr;
    return 0;
}

void sim_transaction_reset(struct fdb_transaction *tr)
{
    struct sim_fdb *c = tr->db->c;
    if (tr->commit)
        sim_commit_orphan(tr->commit);
    tr->commit = NULL;
    mem_free(c->mem, tr->note);
    tr->note = NULL;
    timer_stop(&tr->version_timer);
    tr->version_held = false;
    sim_items_free(c, &tr->writes);
    sim_items_free(c, &tr->reads);
    tr->version = SIM_FDB_NO_VERSION;
    tr->size = 0;
    tr->deferred = 0;
    tr->committing = false;
}

void sim_transaction_free(struct fdb_transaction *tr)
{
    sim_transaction_reset(tr);
    timer_stop(&tr->timeout);
    list_remove(&tr->link);
    tr->db->transaction_count--;
    mem_free(tr->db->c->mem, tr);
}

void sim_transaction_poison(struct fdb_transaction *tr, int error)
{
    tr->poison = error;
    sim_transaction_reset(tr);
    while (!list_empty(&tr->futures))
        sim_future_finish(LIST_ENTRY(tr->futures.next, struct fdb_future, in_tr), error);
}

void sim_transaction_destroy(struct fdb_transaction *tr)
{
    sim_transaction_poison(tr, FDB_TRANSACTION_CANCELLED);
    sim_transaction_free(tr);
}

/* ---- read version */

static bool is_reader(const struct fdb_future *f)
{
    return f->op == OP_GET || f->op == OP_RANGE || f->op == OP_WATCH;
}

static void version_failed(struct fdb_transaction *tr, int error)
{
    LIST_FOREACH_SAFE(it, tmp, &tr->futures)
    {
        struct fdb_future *f = LIST_ENTRY(it, struct fdb_future, in_tr);
        if (f->waits_for_version && f->op != OP_COMMIT)
            sim_future_finish(f, error);
    }
    if (tr->committing)
        commit_settle(tr, error);
}

static void version_is_known(struct fdb_transaction *tr)
{
    struct sim_fdb *c = tr->db->c;
    LIST_FOREACH_SAFE(it, tmp, &tr->futures)
    {
        struct fdb_future *f = LIST_ENTRY(it, struct fdb_future, in_tr);
        if (!f->waits_for_version)
            continue;
        f->waits_for_version = false;
        if (f->op == OP_VERSION) {
            f->number = tr->version;
            sim_future_finish(f, 0);
            continue;
        }
        timer_start(&f->timer, sim_fdb_latency_or_slow(c));
    }
}

static void on_version(void *arg)
{
    struct fdb_transaction *tr = arg;
    struct sim_fdb *c = tr->db->c;
    if (sim_fdb_frozen(tr->db, &tr->version_held))
        return;
    if (!sim_fdb_reachable(tr->db) || c->recoveries_whole > 0) {
        timer_start(&tr->version_timer, SIM_FDB_POLL_NS);
        return;
    }
    int error = sim_trouble_version_error(c);
    if (error) {
        version_failed(tr, error);
        return;
    }
    tr->version = sim_fdb_version(c);
    version_is_known(tr);
}

void sim_transaction_set_read_version(struct fdb_transaction *tr, int64_t version)
{
    CHECK(tr->version == SIM_FDB_NO_VERSION && !tr->version_timer.armed && version > 0);
    tr->version = (uint64_t)version;
}

static void version_needed(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    struct sim_fdb *c = tr->db->c;
    f->waits_for_version = true;
    if (tr->version != SIM_FDB_NO_VERSION)
        version_is_known(tr);
    else if (tr->version_timer.armed)
        return;
    else if (c->throttles == 0 && rng_chance(&c->rng, 1, AT_ONCE_CHANCE))
        on_version(tr);
    else
        timer_start(&tr->version_timer, sim_trouble_version_delay(c));
}

/* ---- operations */

static struct fdb_future *op_start(struct fdb_transaction *tr, enum sim_op op)
{
    struct fdb_future *f = sim_future_new(tr, op);
    if (tr->poison)
        sim_future_finish(f, tr->poison);
    else if (tr->committing)
        sim_future_finish(f, FDB_USED_DURING_COMMIT);
    return f;
}

static struct fdb_future *reader_start(struct fdb_transaction *tr, enum sim_op op, struct bytes key,
                                       bool snapshot)
{
    struct fdb_future *f = op_start(tr, op);
    f->key = sim_item_new(tr->db->c, key, bytes_of(NULL, 0));
    f->snapshot = snapshot;
    tr->size += key.len;
    if (f->ready)
        return f;
    f->reading = true;
    tr->reading++;
    version_needed(f);
    if (!f->ready && !f->waits_for_version && rng_chance(&tr->db->c->rng, 1, AT_ONCE_CHANCE))
        sim_future_serve(f);
    return f;
}

struct fdb_future *sim_transaction_get_read_version(struct fdb_transaction *tr)
{
    struct fdb_future *f = op_start(tr, OP_VERSION);
    if (!f->ready)
        version_needed(f);
    return f;
}

struct fdb_future *sim_transaction_get(struct fdb_transaction *tr, const uint8_t *key,
                                       int key_length, int snapshot)
{
    return reader_start(tr, OP_GET, bytes_of(key, (size_t)key_length), snapshot);
}

/* Of key selectors those that the driver uses: the first key that is >= or > a key. */
static struct bytes selected(struct sim_fdb *c, struct buf *b, const uint8_t *key, int length,
                             int or_equal, int offset)
{
    CHECK(offset == 1);
    buf_init(b, c->mem);
    buf_append(b, key, (size_t)length);
    if (or_equal)
        buf_append_u8(b, 0);
    return buf_bytes(b);
}

struct fdb_future *sim_transaction_get_range(struct fdb_transaction *tr, const uint8_t *begin,
                                             int begin_length, int begin_or_equal, int begin_offset,
                                             const uint8_t *end, int end_length, int end_or_equal,
                                             int end_offset, int limit, int target_bytes, int mode,
                                             int iteration, int snapshot, int reverse)
{
    struct sim_fdb *c = tr->db->c;
    struct buf from, to;
    CHECK(limit >= 0 && target_bytes == 0 && iteration == 0 && !reverse);
    CHECK(mode == FDB_WANT_ALL || (mode == FDB_EXACT && limit > 0));
    struct bytes b = selected(c, &from, begin, begin_length, begin_or_equal, begin_offset);
    struct bytes e = selected(c, &to, end, end_length, end_or_equal, end_offset);
    struct fdb_future *f = op_start(tr, OP_RANGE);
    f->key = sim_item_new(c, b, e);
    f->snapshot = snapshot;
    f->limit = (size_t)limit;
    f->bounded_bytes = mode == FDB_WANT_ALL;
    tr->size += b.len + e.len;
    buf_deinit(&from);
    buf_deinit(&to);
    if (!f->ready) {
        f->reading = true;
        tr->reading++;
        version_needed(f);
    }
    return f;
}

struct fdb_future *sim_transaction_watch(struct fdb_transaction *tr, const uint8_t *key,
                                         int key_length)
{
    return reader_start(tr, OP_WATCH, bytes_of(key, (size_t)key_length), false);
}

static int read_error(struct sim_fdb *c, const struct fdb_transaction *tr)
{
    if (sim_fdb_is_old(c, tr->version) || sim_fdb_draw(c, SIM_FDB_TOO_OLD))
        return FDB_TOO_OLD;
    if (tr->version > sim_fdb_version(c) || sim_fdb_draw(c, SIM_FDB_FUTURE_VERSION))
        return FDB_FUTURE_VERSION;
    if (sim_fdb_draw(c, SIM_FDB_PROCESS_BEHIND))
        return FDB_PROCESS_BEHIND;
    if (sim_fdb_draw(c, SIM_FDB_VERSION_CHANGED))
        return FDB_CLUSTER_VERSION_CHANGED;
    return sim_fdb_draw(c, SIM_FDB_CANCELLED) ? sim_fdb_giving_up(c) : 0;
}

static void commit_go(struct fdb_transaction *tr);

/* It stays with its transaction, which may commit now. */
static void watch_was_read(struct fdb_future *f)
{
    f->reading = false;
    f->tr->reading--;
}

static void serve_read(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    struct sim_fdb *c = tr->db->c;
    int error = read_error(c, tr);
    c->stats.reads++;
    if (error) {
        sim_future_finish(f, error);
    } else if (f->op == OP_RANGE) {
        sim_read_range(f);
        sim_read_corrupt(f);
        sim_future_finish(f, 0);
    } else {
        sim_read_get(f);
        if (f->op == OP_WATCH) {
            watch_was_read(f);
        } else {
            sim_read_corrupt(f);
            sim_future_finish(f, 0);
        }
    }
    if (tr->committing && tr->reading == 0)
        commit_go(tr);
}

static void serve_on_error(struct fdb_future *f)
{
    sim_transaction_reset(f->tr);
    sim_future_finish(f, 0);
}

void sim_future_serve(struct fdb_future *f)
{
    CHECK(f->tr && !f->ready);
    timer_stop(&f->timer);
    if (f->op == OP_ON_ERROR)
        serve_on_error(f);
    else if (!sim_fdb_reachable(f->db))
        timer_start(&f->timer, SIM_FDB_POLL_NS);
    else if (is_reader(f))
        serve_read(f);
    else if (f->op == OP_COMMIT)
        sim_commit_send(f->tr);
    else
        UNREACHABLE("a future that nothing serves");
}

/* ---- commit */

static struct fdb_future *future_of(struct fdb_transaction *tr, enum sim_op op)
{
    LIST_FOREACH(it, &tr->futures)
    if (LIST_ENTRY(it, struct fdb_future, in_tr)->op == op)
        return LIST_ENTRY(it, struct fdb_future, in_tr);
    return NULL;
}

/* Watches begin with the commit, or fail with it; then the rest hears. */
static void commit_settle(struct fdb_transaction *tr, int error)
{
    struct list watches;
    list_init(&watches);
    struct fdb_future *f;
    while ((f = future_of(tr, OP_WATCH))) {
        if (error)
            sim_future_finish(f, error);
        else
            sim_watch_arm(f);
    }
    tr->committing = false;
    while ((f = future_of(tr, OP_STAMP)))
        sim_future_finish(f, error ? error : tr->committed_version < 0 ? 2021 : 0);
    while ((f = future_of(tr, OP_COMMIT)))
        sim_future_finish(f, error);
}

/* Everything was read: it goes to the cluster, or, when it wrote nothing, has succeeded. */
static void commit_go(struct fdb_transaction *tr)
{
    struct sim_fdb *c = tr->db->c;
    struct fdb_future *f = future_of(tr, OP_COMMIT);
    if (tr->deferred || tr->size > tr->db->size_limit) {
        commit_settle(tr, tr->deferred ? tr->deferred : FDB_TRANSACTION_TOO_LARGE);
    } else if (list_empty(&tr->writes)) {
        commit_settle(tr, 0);
    } else if (!f) {
        return; /* nobody waits for it any more */
    } else if (tr->version != SIM_FDB_NO_VERSION || list_empty(&tr->reads)) {
        timer_start(&f->timer, sim_fdb_soon(c, NS_PER_MS / 20));
    } else {
        version_needed(f);
    }
}

struct fdb_future *sim_transaction_commit(struct fdb_transaction *tr)
{
    struct fdb_future *f = op_start(tr, OP_COMMIT);
    if (f->ready)
        return f;
    tr->committing = true;
    const struct sim_fdb_hooks *h = &tr->db->c->hooks;
    if (!list_empty(&tr->writes) && h->commits && !h->commits(h->arg, tr->db->who, &tr->note))
        return f;
    if (tr->reading == 0)
        commit_go(tr);
    return f;
}

void sim_transaction_committed(struct fdb_transaction *tr, const struct sim_commit *m)
{
    if (!m->error) {
        tr->committed_version = (int64_t)m->version;
        struct fdb_future *f = future_of(tr, OP_STAMP);
        if (f) {
            buf_append_u64(&f->value, m->version);
            buf_append_u16(&f->value, m->order);
        }
    }
    commit_settle(tr, m->error);
}

struct fdb_future *sim_transaction_get_versionstamp(struct fdb_transaction *tr)
{
    return op_start(tr, OP_STAMP);
}

/* ---- trouble */

struct fdb_future *sim_transaction_on_error(struct fdb_transaction *tr, int error)
{
    struct sim_fdb *c = tr->db->c;
    struct fdb_future *f = sim_future_new(tr, OP_ON_ERROR);
    if (tr->poison || !sim_fdb_error_predicate(FDB_RETRYABLE, error) ||
        tr->retries >= tr->db->retry_limit) {
        int said = tr->poison ? tr->poison : error;
        sim_future_finish(f, said);
        sim_transaction_poison(tr, FDB_TRANSACTION_CANCELLED);
        return f;
    }
    tr->retries++;
    uint64_t most = tr->db->retry_delay_ms_max * NS_PER_MS;
    uint64_t delay = BACKOFF_NS_MIN;
    if (error == FDB_CLUSTER_VERSION_CHANGED) {
        delay = 0;
    } else if (error != FDB_TOO_OLD && error != FDB_FUTURE_VERSION) {
        delay = sim_fdb_soon(c, tr->backoff_ns);
        tr->backoff_ns = tr->backoff_ns * 2 < most ? tr->backoff_ns * 2 : most;
    }
    timer_start(&f->timer, delay);
    return f;
}
