/* Requests on FoundationDB: one transaction of it from a request's read to its commit. */
#include <limits.h>

#include "base/mutant.h"
#include "kelpie/error.h"
#include "store/store_fdb_internal.h"
#include "store/store_limits.h"

enum fdb_phase {
    FDB_READING,
    FDB_KEPT, /* read, and neither committed nor released */
    FDB_COMMITTING,
    FDB_BACKING_OFF, /* failed; waits as the library says */
    FDB_DUE,         /* ended inside the call that started it: the timer completes it */
};

/* One read: the futures of its batches, in order. */
struct fdb_part {
    struct fdb_wait *first, *last;
    size_t rows;
};

struct fdb_attempt {
    struct list link;
    struct store_fdb *store;
    struct store_req *req; /* NULL while it is kept: the caller may move it */
    struct fdb_transaction *tr;
    enum fdb_phase phase;
    int status;
    uint64_t started_ns;      /* its phase */
    struct fdb_wait *version; /* of the read; for a commit: its versionstamp */
    struct fdb_wait *whole;   /* commit or back-off */
    size_t waiting;           /* futures that are not ready */
    size_t rows, bytes;       /* that were read */
    size_t part_count;
    struct fdb_part parts[];
};

static void attempt_drop_waits(struct fdb_attempt *a)
{
    for (size_t i = 0; i < a->part_count; i++) {
        while (a->parts[i].first) {
            struct fdb_wait *w = a->parts[i].first;
            a->parts[i].first = w->next;
            fdb_wait_drop(w);
        }
        a->parts[i] = (struct fdb_part){.first = NULL};
    }
    fdb_wait_drop(a->version);
    fdb_wait_drop(a->whole);
    a->version = a->whole = NULL;
    a->waiting = 0;
}

static void attempt_free(struct fdb_attempt *a)
{
    struct store_fdb *s = a->store;
    attempt_drop_waits(a);
    if (a->tr)
        s->api->transaction_destroy(a->tr);
    list_remove(&a->link);
    mem_free(s->mem, a);
}

/* The end, unless the transaction is kept for its commit. */
static void attempt_complete(struct fdb_attempt *a, int status)
{
    struct store_req *req = a->req;
    req->backend = NULL;
    attempt_free(a);
    req->fn(req, status);
}

static struct fdb_attempt *attempt_new(struct store_fdb *s, struct store_req *req,
                                       enum fdb_phase phase, size_t parts)
{
    struct fdb_attempt *a =
        mem_zalloc(s->mem, 1, sizeof(struct fdb_attempt) + parts * sizeof(struct fdb_part));
    a->store = s;
    a->req = req;
    a->phase = phase;
    a->part_count = parts;
    a->started_ns = clock_now_ns(s->clock);
    req->backend = a;
    list_append(&s->attempts, &a->link);
    return a;
}

/* Ends it from the timer: no request is completed inside the call that starts it. */
static void attempt_due(struct fdb_attempt *a, int status)
{
    a->phase = FDB_DUE;
    a->status = status;
    fdb_timer_set(a->store, 0);
}

void fdb_attempts_due(struct store_fdb *s)
{
    struct list due;
    list_init(&due);
    LIST_FOREACH_SAFE(it, tmp, &s->attempts)
    {
        struct fdb_attempt *a = LIST_ENTRY(it, struct fdb_attempt, link);
        if (a->phase != FDB_DUE)
            continue;
        list_remove(&a->link);
        list_append(&due, &a->link);
    }
    while (!list_empty(&due)) {
        struct fdb_attempt *a = LIST_ENTRY(due.next, struct fdb_attempt, link);
        attempt_complete(a, a->status);
    }
}

/* ---- errors */

static bool is_limit(int error)
{
    return error == FDB_TRANSACTION_TOO_LARGE || error == FDB_KEY_TOO_LARGE ||
           error == FDB_VALUE_TOO_LARGE || error == FDB_KEY_OUTSIDE_LEGAL_RANGE;
}

/* What a failure means. Unless the library is sure that a commit did not happen, and nothing of it
 * is under way any more, its result is unknown. */
static int attempt_status(const struct fdb_attempt *a, int error)
{
    const struct fdb_api *api = a->store->api;
    if (is_limit(error))
        return KELPIE_E_LIMIT;
    if (a->phase == FDB_READING)
        return KELPIE_E_STORE_UNAVAILABLE;
    if (error == FDB_NOT_COMMITTED)
        return KELPIE_E_CONFLICT;
    if (error == FDB_TOO_OLD)
        return KELPIE_E_TOO_OLD;
    if (api->error_predicate(FDB_RETRYABLE_NOT_COMMITTED, error) || MUTANT("fdbunknown"))
        return KELPIE_E_STORE_UNAVAILABLE;
    return KELPIE_E_UNKNOWN_RESULT;
}

static void on_backed_off(struct fdb_wait *w)
{
    struct fdb_attempt *a = w->arg;
    attempt_complete(a, a->status);
}

/* A failure. Conflicts and what may have been committed go to the rule at once; where the cluster
 * is in trouble or throttles, the library says how long to wait. */
static void attempt_fail(struct fdb_attempt *a, int error)
{
    struct store_fdb *s = a->store;
    fdb_note(s, error);
    a->status = attempt_status(a, error);
    attempt_drop_waits(a);
    bool wait = error != FDB_NOT_COMMITTED && error != FDB_TOO_OLD &&
                s->api->error_predicate(FDB_RETRYABLE_NOT_COMMITTED, error);
    if (!wait) {
        attempt_complete(a, a->status);
        return;
    }
    a->phase = FDB_BACKING_OFF;
    a->whole = fdb_wait_new(&s->mail, s->api->transaction_on_error(a->tr, error), on_backed_off, a);
}

/* ---- reading */

static struct bytes part_value(const struct store_fdb *s, const struct fdb_wait *w, bool *present,
                               int *error)
{
    const uint8_t *value = NULL;
    int length = 0, there = 0;
    *error = s->api->future_get_value(w->future, &there, &value, &length);
    *present = there != 0;
    return bytes_of(value, (size_t)length);
}

static struct bytes row_key(const struct store_fdb *s, const struct fdb_key_value *row)
{
    size_t len = (size_t)row->key_length;
    CHECK(len >= s->prefix_len);
    return bytes_of(row->key + s->prefix_len, len - s->prefix_len);
}

static void part_give(struct fdb_attempt *a, size_t index, const struct core_sink *sink)
{
    struct store_fdb *s = a->store;
    const struct store_read *read = &a->req->reads[index];
    struct fdb_part *part = &a->parts[index];
    for (struct fdb_wait *w = part->first; w; w = w->next) {
        int error;
        if (read->end.len == 0) {
            bool present;
            struct bytes value = part_value(s, w, &present, &error);
            CHECK(!error);
            if (present)
                sink->row(sink->arg, index, read->key, value);
            continue;
        }
        const struct fdb_key_value *rows;
        int count, more;
        error = s->api->future_get_keyvalue_array(w->future, &rows, &count, &more);
        CHECK(!error);
        for (int i = 0; i < count; i++)
            sink->row(sink->arg, index, row_key(s, &rows[i]),
                      bytes_of(rows[i].value, (size_t)rows[i].value_length));
    }
    sink->end(sink->arg, index, read->end.len > 0 && read->limit && part->rows == read->limit);
}

static void attempt_read_done(struct fdb_attempt *a)
{
    struct store_fdb *s = a->store;
    struct store_req *req = a->req;
    int64_t version;
    int error = s->api->future_get_int64(a->version->future, &version);
    CHECK(!error);
    struct core_sink sink = results_builder_sink(&s->builder);
    for (size_t i = 0; i < a->part_count; i++)
        part_give(a, i, &sink);
    attempt_drop_waits(a);
    req->read_version = (uint64_t)version;
    req->results = results_builder_finish(&s->builder);
    fdb_note(s, 0);
    if (!req->results) {
        attempt_complete(a, 0);
        return;
    }
    a->phase = FDB_KEPT;
    a->req = NULL;
    list_remove(&a->link);
    list_append(&s->kept, &a->link);
    req->fn(req, 0);
}

static void on_part(struct fdb_wait *w);

static void part_ask(struct fdb_attempt *a, size_t index, const struct fdb_key_value *after)
{
    struct store_fdb *s = a->store;
    const struct store_read *read = &a->req->reads[index];
    struct fdb_part *part = &a->parts[index];
    struct fdb_future *f;
    struct bytes key = fdb_key(s, 0, read->key);
    if (read->end.len == 0) {
        f = s->api->transaction_get(a->tr, key.data, (int)key.len,
                                    read->snapshot || MUTANT("fdbsnapshot"));
    } else {
        struct bytes end = fdb_key(s, 1, read->end);
        size_t limit = read->limit ? read->limit - part->rows : 0;
        if (limit > STORE_ROWS_MAX)
            limit = STORE_ROWS_MAX + 1;
        if (after)
            key = bytes_of(after->key, (size_t)after->key_length);
        f = s->api->transaction_get_range(a->tr, key.data, (int)key.len, after != NULL, 1, end.data,
                                          (int)end.len, 0, 1, (int)limit, 0,
                                          limit ? FDB_EXACT : FDB_WANT_ALL, 0, read->snapshot, 0);
    }
    struct fdb_wait *w = fdb_wait_new(&s->mail, f, on_part, a);
    w->index = index;
    if (part->last)
        part->last->next = w;
    else
        part->first = w;
    part->last = w;
    a->waiting++;
}

/* Counts what came; asks for the next batch where there is more. Returns the library's error. */
static int part_take(struct fdb_attempt *a, struct fdb_wait *w)
{
    struct store_fdb *s = a->store;
    const struct store_read *read = &a->req->reads[w->index];
    struct fdb_part *part = &a->parts[w->index];
    int error;
    if (read->end.len == 0) {
        bool present;
        a->bytes += part_value(s, w, &present, &error).len;
        a->rows += present;
        return error;
    }
    const struct fdb_key_value *rows;
    int count, more;
    error = s->api->future_get_keyvalue_array(w->future, &rows, &count, &more);
    if (error)
        return error;
    part->rows += (size_t)count;
    a->rows += (size_t)count;
    for (int i = 0; i < count; i++)
        a->bytes += (size_t)rows[i].key_length - s->prefix_len + (size_t)rows[i].value_length;
    bool over = a->rows > STORE_ROWS_MAX || a->bytes > STORE_READ_BYTES_MAX;
    if (more && count > 0 && !over && (!read->limit || part->rows < read->limit) &&
        !MUTANT("fdbmore"))
        part_ask(a, w->index, &rows[count - 1]);
    return 0;
}

static void on_part(struct fdb_wait *w)
{
    struct fdb_attempt *a = w->arg;
    int error = w->error ? w->error : w == a->version ? 0 : part_take(a, w);
    if (error) {
        attempt_fail(a, error);
        return;
    }
    a->waiting--;
    if (a->rows > STORE_ROWS_MAX || a->bytes > STORE_READ_BYTES_MAX)
        attempt_complete(a, KELPIE_E_LIMIT);
    else if (a->waiting == 0)
        attempt_read_done(a);
}

static bool attempt_begin(struct fdb_attempt *a)
{
    struct store_fdb *s = a->store;
    int error = s->api->database_create_transaction(s->db, &a->tr);
    if (!error)
        return true;
    a->tr = NULL;
    fdb_note(s, error);
    attempt_due(a, KELPIE_E_STORE_UNAVAILABLE);
    return false;
}

void fdb_attempt_read(void *ctx, struct store_req *req)
{
    struct store_fdb *s = ctx;
    CHECK(!req->results && req->fn && req->read_count <= STORE_READS_MAX);
    if (s->closing)
        return;
    struct fdb_attempt *a = attempt_new(s, req, FDB_READING, req->read_count);
    int status = store_check_reads(req->reads, req->read_count);
    if (status) {
        attempt_due(a, status);
        return;
    }
    if (!attempt_begin(a))
        return;
    a->version = fdb_wait_new(&s->mail, s->api->transaction_get_read_version(a->tr), on_part, a);
    a->waiting = 1;
    for (size_t i = 0; i < req->read_count; i++) {
        const struct store_read *r = &req->reads[i];
        if (r->end.len == 0 || bytes_compare(r->key, r->end) < 0)
            part_ask(a, i, NULL);
    }
}

/* ---- committing */

static void on_commit(struct fdb_wait *w)
{
    struct fdb_attempt *a = w->arg;
    struct store_fdb *s = a->store;
    struct store_req *req = a->req;
    if (w == a->whole && w->error) {
        attempt_fail(a, w->error);
        return;
    }
    if (--a->waiting > 0)
        return;
    int64_t version = -1;
    int error = s->api->transaction_get_committed_version(a->tr, &version);
    /* A commit that wrote nothing has no version of its own. */
    req->commit_version = error || version < 0 ? req->read_version : (uint64_t)version;
    req->commit_order = 0;
    const uint8_t *stamp;
    int length;
    if (a->version && !a->version->error &&
        !s->api->future_get_key(a->version->future, &stamp, &length) && length == 10)
        req->commit_order = (uint16_t)(stamp[8] << 8 | stamp[9]);
    fdb_note(s, 0);
    attempt_complete(a, 0);
}

static void attempt_write(struct fdb_attempt *a, const struct store_write *w)
{
    struct store_fdb *s = a->store;
    struct bytes key = fdb_key(s, 0, w->key);
    if (w->kind == STORE_PUT) {
        s->api->transaction_set(a->tr, key.data, (int)key.len, w->value.data, (int)w->value.len);
    } else if (w->kind == STORE_DELETE) {
        s->api->transaction_clear(a->tr, key.data, (int)key.len);
    } else if (bytes_compare(w->key, w->value) < 0) {
        struct bytes end = fdb_key(s, 1, w->value);
        s->api->transaction_clear_range(a->tr, key.data, (int)key.len, end.data, (int)end.len);
    }
}

/* The transaction that the request was read in, or a new one for a blind write. */
static struct fdb_attempt *attempt_to_commit(struct store_fdb *s, struct store_req *req)
{
    struct fdb_attempt *a = req->backend;
    if (a) {
        CHECK(a->phase == FDB_KEPT && a->store == s);
        a->phase = FDB_COMMITTING;
        a->started_ns = clock_now_ns(s->clock);
        a->req = req;
        list_remove(&a->link);
        list_append(&s->attempts, &a->link);
        return a;
    }
    a = attempt_new(s, req, FDB_COMMITTING, 0);
    for (size_t i = 0; i < req->read_count; i++)
        if (!req->reads[i].snapshot) {
            attempt_due(a, KELPIE_E_TOO_OLD); /* what was read was released */
            return NULL;
        }
    return attempt_begin(a) ? a : NULL;
}

void fdb_attempt_commit(void *ctx, struct store_req *req)
{
    struct store_fdb *s = ctx;
    CHECK(req->fn);
    if (s->closing)
        return;
    struct fdb_attempt *a = attempt_to_commit(s, req);
    if (!a)
        return;
    int status = store_check_writes(req->writes, req->write_count);
    if (status) {
        attempt_due(a, status);
        return;
    }
    for (size_t i = 0; i < req->write_count; i++)
        attempt_write(a, &req->writes[i]);
    /* Before the commit, and counted before either can be called back. */
    if (s->order && req->write_count > 0) {
        a->version =
            fdb_wait_new(&s->mail, s->api->transaction_get_versionstamp(a->tr), on_commit, a);
        a->waiting++;
    }
    a->waiting++;
    a->whole = fdb_wait_new(&s->mail, s->api->transaction_commit(a->tr), on_commit, a);
}

void fdb_attempt_cancel(void *ctx, struct store_req *req)
{
    struct store_fdb *s = ctx;
    struct fdb_attempt *a = req->backend;
    if (!a || a->phase == FDB_KEPT)
        return;
    if (clock_now_ns(s->clock) - a->started_ns >= s->timeout_ns)
        fdb_note(s, FDB_TRANSACTION_TIMED_OUT); /* the caller was quicker to see it */
    req->backend = NULL;
    attempt_free(a);
}

void fdb_attempt_release(void *ctx, struct store_req *req)
{
    struct store_fdb *s = ctx;
    struct fdb_attempt *a = req->backend;
    mem_free(s->mem, req->results);
    req->results = NULL;
    if (a && a->phase == FDB_KEPT && !MUTANT("fdbkept")) {
        req->backend = NULL;
        attempt_free(a);
    }
}

void fdb_attempts_close(struct store_fdb *s)
{
    while (!list_empty(&s->attempts)) {
        struct fdb_attempt *a = LIST_ENTRY(s->attempts.next, struct fdb_attempt, link);
        int status = a->phase == FDB_COMMITTING ? KELPIE_E_UNKNOWN_RESULT
                     : a->phase == FDB_READING  ? KELPIE_E_STORE_UNAVAILABLE
                                                : a->status;
        attempt_complete(a, status);
    }
}

void fdb_attempts_free(struct store_fdb *s)
{
    while (!list_empty(&s->kept))
        attempt_free(LIST_ENTRY(s->kept.next, struct fdb_attempt, link));
}
