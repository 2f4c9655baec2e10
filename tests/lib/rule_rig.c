#include "lib/rule_rig.h"

#include "kelpie/error.h"

/* ---- rows */

static size_t position(const struct rig *r, struct bytes key)
{
    size_t i = 0;
    while (i < r->row_count && bytes_compare(key_bytes(&r->rows[i].key), key) < 0)
        i++;
    return i;
}

struct rig_row *rig_find(struct rig *r, struct bytes key)
{
    size_t i = position(r, key);
    bool there = i < r->row_count && bytes_equal(key_bytes(&r->rows[i].key), key);
    return there ? &r->rows[i] : NULL;
}

static void put(struct rig *r, struct bytes key, struct bytes value)
{
    struct rig_row *row = rig_find(r, key);
    if (!row) {
        size_t i = position(r, key);
        CHECK(r->row_count < RIG_ROWS_MAX && key.len <= STORE_KEY_MAX);
        memmove(&r->rows[i + 1], &r->rows[i], (r->row_count++ - i) * sizeof(*r->rows));
        row = &r->rows[i];
        memset(row, 0, sizeof(*row));
        row->key.len = key.len;
        memcpy(row->key.data, key.data, key.len);
    }
    uint8_t *copy = malloc(value.len + 1);
    CHECK(copy);
    memcpy(copy, value.data, value.len);
    free(row->value);
    row->value = copy;
    row->len = value.len;
    row->deleted = false;
    row->version = r->version;
}

void rig_put(struct rig *r, struct key key, struct bytes value)
{
    r->version++;
    put(r, key_bytes(&key), value);
}

static bool within(const struct rig_row *row, struct bytes begin, struct bytes end)
{
    struct bytes key = key_bytes(&row->key);
    if (end.len == 0)
        return bytes_equal(key, begin);
    return bytes_compare(key, begin) >= 0 && bytes_compare(key, end) < 0;
}

/* ---- the store */

/* One block: the results, the rows, the bytes. */
static void serve_read(struct rig *r, struct store_req *req)
{
    size_t count = 0, bytes = 0, at = 0;
    for (size_t pass = 0; pass < 2; pass++) {
        struct store_result *results = req->results;
        struct store_row *rows =
            pass ? (struct store_row *)(void *)(results + req->read_count) : NULL;
        uint8_t *data = pass ? (uint8_t *)(void *)(rows + count) : NULL;
        for (size_t i = 0; i < req->read_count; i++) {
            const struct store_read *read = &req->reads[i];
            size_t taken = 0;
            if (pass)
                results[i] = (struct store_result){.rows = rows + at};
            for (size_t k = 0; k < r->row_count; k++) {
                const struct rig_row *row = &r->rows[k];
                if (row->deleted || !within(row, read->key, read->end))
                    continue;
                if (read->limit && taken == read->limit) {
                    if (pass)
                        results[i].more = true;
                    break;
                }
                taken++;
                if (!pass) {
                    count++;
                    bytes += row->key.len + row->len;
                    continue;
                }
                memcpy(data, row->key.data, row->key.len);
                memcpy(data + row->key.len, row->value, row->len);
                rows[at++] = (struct store_row){bytes_of(data, row->key.len),
                                                bytes_of(data + row->key.len, row->len)};
                data += row->key.len + row->len;
                results[i].count++;
            }
        }
        if (!pass)
            req->results = mem_alloc(r->env.mem, req->read_count * sizeof(*results) +
                                                     count * sizeof(*rows) + bytes + 1);
    }
    req->read_version = r->version;
}

static bool conflicts(const struct rig *r, const struct store_req *req)
{
    for (size_t i = 0; i < req->read_count; i++) {
        const struct store_read *read = &req->reads[i];
        if (read->snapshot)
            continue;
        for (size_t k = 0; k < r->row_count; k++)
            if (r->rows[k].version > req->read_version && within(&r->rows[k], read->key, read->end))
                return true;
    }
    return false;
}

static void apply(struct rig *r, struct store_req *req)
{
    r->version++;
    for (size_t i = 0; i < req->write_count; i++) {
        const struct store_write *w = &req->writes[i];
        if (w->kind == STORE_PUT) {
            put(r, w->key, w->value);
            rig_find(r, w->key)->written = true;
            continue;
        }
        struct bytes end = w->kind == STORE_DELETE ? bytes_of(NULL, 0) : w->value;
        for (size_t k = 0; k < r->row_count; k++) {
            struct rig_row *row = &r->rows[k];
            if (row->deleted || !within(row, w->key, end))
                continue;
            row->deleted = true;
            row->written = true;
            row->version = r->version;
        }
    }
    req->commit_version = r->version;
}

static void rig_read_op(void *ctx, struct store_req *req)
{
    struct rig *r = ctx;
    CHECK(!r->reading && !r->committing && !req->results);
    r->reads++;
    r->reading = req;
}

static void rig_commit_op(void *ctx, struct store_req *req)
{
    struct rig *r = ctx;
    CHECK(!r->reading && !r->committing && req->write_count > 0);
    r->commits++;
    r->committing = req;
}

static void rig_cancel_op(void *ctx, struct store_req *req)
{
    struct rig *r = ctx;
    if (r->reading == req)
        r->reading = NULL;
    if (r->committing == req)
        r->committing = NULL;
}

static void rig_release_op(void *ctx, struct store_req *req)
{
    struct rig *r = ctx;
    mem_free(r->env.mem, req->results);
    req->results = NULL;
}

static int fate_error(enum rig_fate fate)
{
    static const int errors[] = {
        [RIG_CONFLICT] = KELPIE_E_CONFLICT,
        [RIG_TOO_OLD] = KELPIE_E_TOO_OLD,
        [RIG_UNAVAILABLE] = KELPIE_E_STORE_UNAVAILABLE,
        [RIG_FULL] = KELPIE_E_STORE_FULL,
        [RIG_LIMIT] = KELPIE_E_LIMIT,
        [RIG_CORRUPT] = KELPIE_E_STORE_CORRUPT,
        [RIG_UNKNOWN_DONE] = KELPIE_E_UNKNOWN_RESULT,
        [RIG_UNKNOWN_NOT] = KELPIE_E_UNKNOWN_RESULT,
        [RIG_SILENT_DONE] = 0,
    };
    return errors[fate];
}

static enum rig_fate next_fate(const enum rig_fate **fates)
{
    if (!*fates || **fates == RIG_OK)
        return RIG_OK;
    return *(*fates)++;
}

static void answer_read(struct rig *r)
{
    struct store_req *req = r->reading;
    enum rig_fate fate = next_fate(&r->read_fates);
    r->reading = NULL;
    if (fate == RIG_SILENT)
        return;
    if (fate == RIG_OK)
        serve_read(r, req);
    req->fn(req, fate_error(fate));
}

static void answer_commit(struct rig *r)
{
    struct store_req *req = r->committing;
    enum rig_fate fate = next_fate(&r->commit_fates);
    void (*before)(struct rig *) = r->before_commit;
    r->before_commit = NULL;
    if (before)
        before(r);
    if (r->committing != req)
        return; /* it was cancelled meanwhile */
    r->committing = NULL;
    bool happens = fate == RIG_OK || fate == RIG_UNKNOWN_DONE || fate == RIG_SILENT_DONE;
    int status = fate_error(fate);
    if (happens && conflicts(r, req))
        status = KELPIE_E_CONFLICT;
    else if (happens)
        apply(r, req);
    if (fate != RIG_SILENT && fate != RIG_SILENT_DONE)
        req->fn(req, status);
}

/* ---- time */

static void rig_timer_stop(void *ctx, struct timer *t)
{
    struct rig *r = ctx;
    for (size_t i = 0; i < r->timer_count; i++)
        if (r->timers[i] == t)
            r->timers[i--] = r->timers[--r->timer_count];
}

static void rig_timer_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct rig *r = ctx;
    rig_timer_stop(ctx, t);
    CHECK(r->timer_count < RIG_TIMERS_MAX);
    t->due_ns = r->now_ns + delay_ns;
    r->timers[r->timer_count++] = t;
}

static uint64_t rig_now(void *ctx)
{
    return ((struct rig *)ctx)->now_ns;
}

static uint64_t rig_random(void *ctx)
{
    (void)ctx;
    return UINT64_MAX / 3;
}

bool rig_step(struct rig *r)
{
    struct timer *next = NULL;
    if (r->reading || r->committing) {
        if (r->reading)
            answer_read(r);
        else
            answer_commit(r);
        return true;
    }
    for (size_t i = 0; i < r->timer_count; i++)
        if (!next || r->timers[i]->due_ns < next->due_ns)
            next = r->timers[i];
    if (!next)
        return false;
    r->now_ns = next->due_ns > r->now_ns ? next->due_ns : r->now_ns;
    rig_timer_stop(r, next);
    next->armed = false;
    next->fn(next->arg);
    return true;
}

void rig_run(struct rig *r)
{
    for (unsigned steps = 0; !r->done && rig_step(r); steps++)
        CHECK(steps < 10000);
}

void rig_init(struct rig *r)
{
    static const struct store_ops store_ops = {.read = rig_read_op,
                                               .commit = rig_commit_op,
                                               .cancel = rig_cancel_op,
                                               .release = rig_release_op};
    static const struct timer_ops timer_ops = {rig_timer_start, rig_timer_stop};
    static const struct clock_ops clock_ops = {rig_now, rig_now};
    static const struct random_ops random_ops = {rig_random};
    memset(r, 0, sizeof(*r));
    r->now_ns = NS_PER_S;
    r->rows = calloc(RIG_ROWS_MAX, sizeof(*r->rows));
    CHECK(r->rows && keyspace_init(&r->ks, "kelpie") == 0);
    r->env.mem = test_mem(&r->held);
    r->env.store = (struct store){&store_ops, r};
    r->env.timers = (struct timers){&timer_ops, r};
    r->env.clock = (struct clock){&clock_ops, r};
    r->env.random = (struct random){&random_ops, r};
    env_init(&r->env);
}

void rig_free(struct rig *r)
{
    CHECK(r->held.held == 0 && r->timer_count == 0);
    for (size_t i = 0; i < r->row_count; i++)
        free(r->rows[i].value);
    free(r->rows);
}

void rig_done(struct txn *t, int status)
{
    struct rig *r = t->arg;
    r->done = true;
    r->completions++;
    r->status = status;
    r->committed = t->committed;
    r->attempts = t->attempts;
    memcpy(r->reason, t->reason, sizeof(r->reason));
    if (r->on_done)
        r->on_done(r, t);
}
