/*
 * Watches on FoundationDB: a transaction of its own at the version since when the caller wants to
 * know, so that a change between that and now is seen too. Where a watch cannot be had, it fires
 * after FDB_WATCH_POLL_NS, which makes its owner look again.
 */
#include "store/store_fdb_internal.h"
#include "store/store_limits.h"

struct fdb_watch {
    struct list link;
    struct store_fdb *store;
    struct store_watch *watch;
    struct fdb_transaction *tr; /* until it is committed */
    struct fdb_wait *commit;
    struct fdb_wait *change;
    uint64_t due_ns;
};

static void watch_drop(struct fdb_watch *fw)
{
    fdb_wait_drop(fw->change);
    fdb_wait_drop(fw->commit);
    if (fw->tr)
        fw->store->api->transaction_destroy(fw->tr);
    fw->change = fw->commit = NULL;
    fw->tr = NULL;
}

static void watch_end(struct fdb_watch *fw)
{
    struct store_fdb *s = fw->store;
    watch_drop(fw);
    fw->watch->armed = false;
    fw->watch->backend = NULL;
    list_remove(&fw->link);
    s->watch_count--;
    mem_free(s->mem, fw);
}

static void watch_fire(struct fdb_watch *fw)
{
    struct store_watch *w = fw->watch;
    watch_end(fw);
    w->fn(w);
}

static void watch_delay(struct fdb_watch *fw, uint64_t delay_ns)
{
    struct store_fdb *s = fw->store;
    watch_drop(fw);
    fw->due_ns = clock_now_ns(s->clock) + delay_ns;
    list_remove(&fw->link);
    list_append(&s->overdue, &fw->link);
    fdb_timer_set(s, delay_ns);
}

static void on_watch(struct fdb_wait *w)
{
    struct fdb_watch *fw = w->arg;
    if (!w->error && w == fw->commit) {
        fw->store->api->transaction_destroy(fw->tr);
        fw->tr = NULL;
        return;
    }
    /* Too old: it is not known what changed since. */
    if (!w->error || w->error == FDB_TOO_OLD)
        watch_fire(fw);
    else
        watch_delay(fw, FDB_WATCH_POLL_NS);
}

void fdb_watch_set(void *ctx, struct store_watch *w)
{
    struct store_fdb *s = ctx;
    CHECK(!w->armed && w->fn);
    if (s->closing)
        return;
    struct fdb_watch *fw = MEM_NEW(s->mem, struct fdb_watch);
    fw->store = s;
    fw->watch = w;
    w->backend = fw;
    w->armed = true;
    list_append(&s->watches, &fw->link);
    if (++s->watch_count > FDB_WATCHES_MAX || store_check_key(w->key) ||
        s->api->database_create_transaction(s->db, &fw->tr)) {
        fw->tr = NULL;
        watch_delay(fw, FDB_WATCH_POLL_NS);
        return;
    }
    if (w->since_version)
        s->api->transaction_set_read_version(fw->tr, (int64_t)w->since_version);
    struct bytes key = fdb_key(s, 0, w->key);
    fw->change = fdb_wait_new(&s->mail, s->api->transaction_watch(fw->tr, key.data, (int)key.len),
                              on_watch, fw);
    fw->commit = fdb_wait_new(&s->mail, s->api->transaction_commit(fw->tr), on_watch, fw);
}

void fdb_watch_unset(void *ctx, struct store_watch *w)
{
    (void)ctx;
    if (w->armed)
        watch_end(w->backend);
}

void fdb_watches_due(struct store_fdb *s)
{
    uint64_t now = clock_now_ns(s->clock);
    size_t most = s->watch_count; /* what these set anew is for the next time */
    while (most-- > 0 && !list_empty(&s->overdue)) {
        struct fdb_watch *fw = LIST_ENTRY(s->overdue.next, struct fdb_watch, link);
        if (fw->due_ns > now) {
            fdb_timer_set(s, fw->due_ns - now);
            return;
        }
        watch_fire(fw);
    }
}

void fdb_watches_close(struct store_fdb *s)
{
    while (!list_empty(&s->watches))
        watch_fire(LIST_ENTRY(s->watches.next, struct fdb_watch, link));
    while (!list_empty(&s->overdue))
        watch_fire(LIST_ENTRY(s->overdue.next, struct fdb_watch, link));
}
