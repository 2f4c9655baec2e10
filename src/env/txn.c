#include "env/txn.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "base/tuple.h"
#include "kelpie/error.h"

enum txn_state {
    TXN_IDLE,
    TXN_READING,
    TXN_COMMITTING,
    TXN_BACKING_OFF,
    TXN_COMPLETING, /* the timer will run `done` */
};

static void read_again(struct txn *t);
static void attempt_anew(struct txn *t);
static void on_timer(void *arg);
static void on_give_up(void *arg);

void txn_init(struct txn *t, const struct env *env, const char *action, rule_fn *rule,
              void *rule_arg, txn_fn *done, void *arg)
{
    memset(t, 0, sizeof(*t));
    t->action = action;
    t->env = env;
    t->rule = rule;
    t->rule_arg = rule_arg;
    t->done = done;
    t->arg = arg;
    t->backoff_ns = TXN_BACKOFF_MIN_NS;
    t->backoff_max_ns = TXN_BACKOFF_MAX_NS;
    t->state = TXN_IDLE;
    buf_init(&t->keys, env->mem);
    buf_init(&t->write_bytes, env->mem);
    timer_init(&t->timer, env->timers, "txn", on_timer, t);
    timer_init(&t->give_up, env->timers, "txn_give_up", on_give_up, t);
    list_init(&t->link);
}

static size_t keep(struct buf *b, struct bytes bytes)
{
    size_t at = b->len;
    buf_append_bytes(b, bytes);
    return at;
}

/* The bytes of the keys may have moved. */
static void rebase_reads(struct txn *t)
{
    for (size_t i = 0; i < t->read_count; i++) {
        t->reads[i].key.data = t->keys.data + t->key_at[i];
        t->reads[i].end.data = t->keys.data + t->end_at[i];
    }
}

static size_t add_read(struct txn *t, struct bytes begin, struct bytes end, uint32_t limit,
                       bool snapshot)
{
    CHECK(t->read_count < STORE_READS_MAX);
    CHECK(begin.len > 0 && begin.len <= STORE_KEY_MAX && end.len <= STORE_KEY_MAX);
    size_t i = t->read_count++;
    t->key_at[i] = keep(&t->keys, begin);
    t->end_at[i] = keep(&t->keys, end);
    t->reads[i] = (struct store_read){
        .key.len = begin.len, .end.len = end.len, .limit = limit, .snapshot = snapshot};
    rebase_reads(t);
    return i;
}

size_t txn_read(struct txn *t, struct bytes key, bool snapshot)
{
    CHECK(t->state == TXN_IDLE);
    return add_read(t, key, bytes_of(NULL, 0), 0, snapshot);
}

size_t txn_read_range(struct txn *t, struct bytes begin, struct bytes end, uint32_t limit,
                      bool snapshot)
{
    CHECK(t->state == TXN_IDLE && end.len > 0);
    return add_read(t, begin, end, limit, snapshot);
}

bool txn_active(const struct txn *t)
{
    return t->state != TXN_IDLE;
}

static void release_rows(struct txn *t)
{
    if (!t->req.results)
        return;
    t->env->store.ops->release(t->env->store.ctx, &t->req);
    t->req.results = NULL;
    t->asked_count = 0;
}

/* Runs `done`. It may free or reuse the operation that embeds the transaction: what belongs to the
 * run is moved out first, and freed when `done` has returned. */
static void complete(struct txn *t)
{
    struct env *env = (struct env *)t->env;
    timer_stop(&t->give_up);
    list_remove(&t->link);
    t->state = TXN_IDLE;
    struct store_req req = t->req;
    struct buf keys = t->keys, *scratch = t->scratch, write_bytes = t->write_bytes;
    struct store_write *writes = t->writes;
    struct txn_write_at *write_at = t->write_at;

    t->done(t, t->status);

    if (req.results)
        env->store.ops->release(env->store.ctx, &req);
    buf_deinit(&keys);
    buf_deinit(scratch);
    mem_free(env->mem, scratch);
    buf_deinit(&write_bytes);
    mem_free(env->mem, writes);
    mem_free(env->mem, write_at);
}

/* From inside a callback of the store or a timer: completing here is "from the loop". What the rule
 * says settles earlier attempts whose result is unknown (see txn.h); an error does not. */
static void finish(struct txn *t, int status)
{
    bool settled = status == 0 || status == KELPIE_E_REFUSED;
    if (t->unknown_pending && status == 0 && !t->committed)
        SOMETIMES("unknown-result-recognised-as-done");
    if (t->unknown_pending && t->committed)
        SOMETIMES("unknown-result-committed-again");
    if (t->unknown_pending && !settled)
        SOMETIMES("unknown-result-stays-unknown");
    timer_stop(&t->timer);
    t->status = t->unknown_pending && !settled ? KELPIE_E_UNKNOWN_RESULT : status;
    complete(t);
}

static void back_off(struct txn *t)
{
    uint64_t bound = t->backoff_ns < t->backoff_max_ns ? t->backoff_ns : t->backoff_max_ns;
    t->backoff_ns = bound * 2;
    t->state = TXN_BACKING_OFF;
    timer_start(&t->timer, bound / 2 + random_below(t->env->random, bound / 2 + 1));
}

/* Conflicts mean progress elsewhere: read again at once the first times. */
#define TXN_CONFLICTS_AT_ONCE 3

static void retry(struct txn *t, int status)
{
    release_rows(t);
    t->attempt_error = status;
    if (status == KELPIE_E_CONFLICT && t->attempts <= TXN_CONFLICTS_AT_ONCE)
        attempt_anew(t);
    else
        back_off(t);
}

/* What an attempt's outcome says of the store. */
static void note_store(const struct txn *t, int status)
{
    struct store_news *news = t->env->store_news;
    uint64_t now = env_now_ns(t->env);
    bool failed = status == KELPIE_E_STORE_UNAVAILABLE || status == KELPIE_E_UNKNOWN_RESULT ||
                  status == KELPIE_E_TIMEOUT;
    *(failed ? &news->failed_ns : &news->answered_ns) = now;
    if (status == KELPIE_E_STORE_FULL) {
        news->full_ns = now;
        news->full_count++;
    } else if (status == 0 && t->state == TXN_COMMITTING) {
        news->wrote_ns = now;
    }
}

/* A refusal that its owner does not wait out, when surely nothing was committed. */
static bool ends_it(const struct txn *t, int refusal)
{
    return !t->unknown_pending &&
           (t->fail_fast || (t->fail_full && refusal == KELPIE_E_STORE_FULL));
}

static void on_commit(struct store_req *req, int status)
{
    struct txn *t = req->arg;
    CHECK(t->state == TXN_COMMITTING);
    timer_stop(&t->timer);
    note_store(t, status);
    switch (status) {
    case 0:
        t->committed = true;
        t->commit_version = req->commit_version;
        finish(t, 0);
        return;
    case KELPIE_E_UNKNOWN_RESULT:
        if (MUTANT("unknownfailed") || MUTANT("unknowndone")) {
            t->committed = MUTANT("unknowndone");
            finish(t, t->committed ? 0 : KELPIE_E_STORE_UNAVAILABLE);
            return;
        }
        t->unknown_pending = true;
        retry(t, status);
        return;
    case KELPIE_E_LIMIT:
        finish(t, status);
        return;
    case KELPIE_E_STORE_FULL:
    case KELPIE_E_STORE_UNAVAILABLE:
        if (ends_it(t, status)) {
            finish(t, status);
            return;
        }
        break;
    default:
        break;
    }
    retry(t, status);
}

static void rebase_writes(struct txn *t)
{
    for (size_t i = 0; i < t->write_count; i++) {
        t->writes[i].key.data = t->write_bytes.data + t->write_at[i].key_at;
        t->writes[i].value.data = t->write_bytes.data + t->write_at[i].value_at;
    }
}

static void commit(struct txn *t)
{
    CHECK(t->write_count > 0 && !t->committed);
    /* A process that was stopped may get the rows before its own timer: what it read them for is
     * then as old as the stop (a majority that answered, say). */
    if (t->give_up_ns && env_now_ns(t->env) - t->started_ns >= t->give_up_ns) {
        SOMETIMES("txn-rows-too-old-to-act-on");
        finish(t, KELPIE_E_TIMEOUT);
        return;
    }
    rebase_writes(t);
    t->req.writes = t->writes;
    t->req.write_count = t->write_count;
    t->req.fn = on_commit;
    t->state = TXN_COMMITTING;
    timer_start(&t->timer, TXN_ATTEMPT_TIMEOUT_NS);
    t->env->store.ops->commit(t->env->store.ctx, &t->req);
}

static void run_rule(struct txn *t)
{
    struct rule_ctx ctx = {.txn = t, .scratch = t->scratch};
    buf_clear(t->scratch);
    buf_clear(&t->write_bytes);
    t->write_count = 0;
    t->reason[0] = '\0';
    t->asked_count = t->read_count;
    enum verdict verdict = t->rule(&ctx, t->rule_arg);
    CHECK(verdict == RULE_MORE || t->read_count == t->asked_count);
    switch (verdict) {
    case RULE_COMMIT:
        if (ctx.error)
            finish(t, ctx.error);
        else
            commit(t);
        return;
    case RULE_DONE:
        finish(t, 0);
        return;
    case RULE_REFUSE:
        finish(t, ctx.error ? ctx.error : KELPIE_E_REFUSED);
        return;
    case RULE_MORE:
        CHECK(t->read_count > t->asked_count);
        release_rows(t);
        read_again(t);
        return;
    }
    UNREACHABLE("a rule returns a verdict");
}

static void on_read(struct store_req *req, int status)
{
    struct txn *t = req->arg;
    CHECK(t->state == TXN_READING);
    timer_stop(&t->timer);
    note_store(t, status);
    if (status == 0) {
        t->read_version = req->read_version;
        t->read_at_ns = env_now_ns(t->env);
        run_rule(t);
        return;
    }
    if (status == KELPIE_E_LIMIT || status == KELPIE_E_STORE_CORRUPT ||
        (status == KELPIE_E_STORE_UNAVAILABLE && ends_it(t, status))) {
        finish(t, status);
        return;
    }
    retry(t, status);
}

static void send_read(struct txn *t)
{
    t->req.reads = t->reads;
    t->req.read_count = t->read_count;
    t->req.writes = NULL;
    t->req.write_count = 0;
    t->req.fn = on_read;
    t->req.arg = t;
    t->state = TXN_READING;
    timer_start(&t->timer, TXN_ATTEMPT_TIMEOUT_NS);
    t->env->store.ops->read(t->env->store.ctx, &t->req);
}

/* The next round of the same attempt, with the reads that the rule asked for. */
static void read_again(struct txn *t)
{
    t->attempts++;
    send_read(t);
}

/* A new attempt forgets what the rule asked for on top: other rows may lead elsewhere. */
static void attempt_anew(struct txn *t)
{
    if (MUTANT("lastattempt"))
        t->started_ns = env_now_ns(t->env);
    t->read_count = t->own_read_count;
    t->keys.len = t->own_keys_len;
    read_again(t);
}

void txn_start(struct txn *t)
{
    txn_start_in(t, 0);
}

void txn_start_in(struct txn *t, uint64_t delay_ns)
{
    CHECK(t->state == TXN_IDLE && t->read_count > 0);
    t->own_read_count = t->read_count;
    t->own_keys_len = t->keys.len;
    t->started_ns = env_now_ns(t->env);
    t->scratch = MEM_NEW(t->env->mem, struct buf);
    buf_init(t->scratch, t->env->mem);
    list_append(t->env->txns, &t->link);
    if (t->give_up_ns)
        timer_start(&t->give_up, t->give_up_ns);
    if (delay_ns == 0) {
        attempt_anew(t);
        return;
    }
    t->state = TXN_BACKING_OFF;
    timer_start(&t->timer, delay_ns);
}

static void detach(struct txn *t)
{
    if (t->state == TXN_READING || t->state == TXN_COMMITTING)
        t->env->store.ops->cancel(t->env->store.ctx, &t->req);
    if (t->state == TXN_COMMITTING && !MUTANT("cancelled"))
        t->unknown_pending = true;
}

static void on_timer(void *arg)
{
    struct txn *t = arg;
    switch (t->state) {
    case TXN_READING:
    case TXN_COMMITTING:
        note_store(t, KELPIE_E_TIMEOUT);
        detach(t);
        if (ends_it(t, KELPIE_E_STORE_UNAVAILABLE)) {
            finish(t, KELPIE_E_STORE_UNAVAILABLE);
            return;
        }
        SOMETIMES("txn-attempt-timed-out");
        retry(t, KELPIE_E_TIMEOUT);
        return;
    case TXN_BACKING_OFF:
        attempt_anew(t);
        return;
    case TXN_COMPLETING:
        complete(t);
        return;
    default:
        UNREACHABLE("a timer of an idle transaction");
    }
}

static void on_give_up(void *arg)
{
    struct txn *t = arg;
    if (t->state == TXN_COMPLETING)
        return;
    SOMETIMES("txn-given-up");
    detach(t);
    finish(t, t->attempt_error == KELPIE_E_STORE_FULL ? KELPIE_E_STORE_FULL : KELPIE_E_TIMEOUT);
}

void txn_cancel(struct txn *t)
{
    if (t->state == TXN_IDLE || t->state == TXN_COMPLETING)
        return;
    detach(t);
    if (t->unknown_pending)
        SOMETIMES("txn-cancelled-while-it-may-land");
    t->status = t->unknown_pending ? KELPIE_E_UNKNOWN_RESULT : KELPIE_E_CANCELLED;
    t->state = TXN_COMPLETING;
    timer_start(&t->timer, 0);
}

/* ---- for rules ---- */

bool rule_row(const struct txn *t, size_t i, struct bytes *value)
{
    CHECK(i < t->asked_count && t->reads[i].end.len == 0);
    const struct store_result *r = &t->req.results[i];
    if (r->count == 0)
        return false;
    *value = r->rows[0].value;
    return true;
}

struct store_result rule_rows(const struct txn *t, size_t i)
{
    CHECK(i < t->asked_count && t->reads[i].end.len > 0);
    return t->req.results[i];
}

size_t rule_more(struct rule_ctx *ctx, struct bytes key, bool snapshot)
{
    return add_read(ctx->txn, key, bytes_of(NULL, 0), 0, snapshot);
}

size_t rule_more_range(struct rule_ctx *ctx, struct bytes begin, struct bytes end, uint32_t limit,
                       bool snapshot)
{
    CHECK(end.len > 0);
    return add_read(ctx->txn, begin, end, limit, snapshot);
}

struct rule_ctx txn_look(struct txn *t)
{
    return (struct rule_ctx){.txn = t, .scratch = t->scratch};
}

size_t rule_read_count(const struct rule_ctx *ctx)
{
    return ctx->txn->asked_count;
}

static void add_write(struct txn *t, enum store_write_kind kind, struct bytes key,
                      struct bytes value)
{
    CHECK(t->write_count < STORE_WRITES_MAX);
    CHECK(key.len > 0 && key.len <= STORE_KEY_MAX && value.len <= STORE_VALUE_MAX);
    if (t->write_count == t->write_cap) {
        t->write_cap = t->write_cap ? t->write_cap * 2 : 8;
        t->writes = mem_resize(t->env->mem, t->writes, t->write_cap * sizeof(*t->writes));
        t->write_at = mem_resize(t->env->mem, t->write_at, t->write_cap * sizeof(*t->write_at));
    }
    size_t i = t->write_count++;
    t->write_at[i].key_at = keep(&t->write_bytes, key);
    t->write_at[i].value_at = keep(&t->write_bytes, value);
    t->writes[i] = (struct store_write){.kind = kind, .key.len = key.len, .value.len = value.len};
}

void rule_put(struct rule_ctx *ctx, struct bytes key, struct bytes value)
{
    add_write(ctx->txn, STORE_PUT, key, value);
}

void rule_delete(struct rule_ctx *ctx, struct bytes key)
{
    add_write(ctx->txn, STORE_DELETE, key, bytes_of(NULL, 0));
}

void rule_delete_range(struct rule_ctx *ctx, struct bytes begin, struct bytes end)
{
    add_write(ctx->txn, STORE_DELETE_RANGE, begin, end);
}

enum verdict rule_refuse(struct rule_ctx *ctx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(ctx->txn->reason, sizeof(ctx->txn->reason), fmt, ap);
    va_end(ap);
    return RULE_REFUSE;
}

enum verdict rule_corrupt(struct rule_ctx *ctx, int error, struct bytes key)
{
    struct buf text;
    buf_init(&text, ctx->txn->env->mem);
    tuple_to_text(key, &text);
    (void)snprintf(ctx->txn->reason, sizeof(ctx->txn->reason), "the record at %.*s %s",
                   (int)text.len, (const char *)text.data,
                   error == KELPIE_E_STORE_NEWER ? "was written by a newer version"
                                                 : "fails its checksum or cannot be decoded");
    buf_deinit(&text);
    SOMETIMES("record-found-corrupt");
    (*ctx->txn->env->corrupt)++;
    ctx->error = error;
    return RULE_REFUSE;
}

void rule_pass_corrupt(struct rule_ctx *ctx, int error, struct bytes key)
{
    int before = ctx->error;
    (void)rule_corrupt(ctx, error, key);
    ctx->error = before;
}
