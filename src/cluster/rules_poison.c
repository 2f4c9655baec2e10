/* Blame, and what becomes of it (docs/adr/0023-quarantine.md). */
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/poison.h"
#include "cluster/rows.h"
#include "kelpie/error.h"

/* ---- what a row says ---- */

static uint64_t last_ms(const struct poison_record *r)
{
    return r->until_ms > r->died_ms ? r->until_ms : r->died_ms;
}

bool poison_is_stale(const struct poison_record *r, uint64_t now_ms, uint32_t unit_ms)
{
    uint64_t last = last_ms(r);
    if (last > now_ms)
        return last - now_ms > (POISON_UNITS_MAX + POISON_UNITS_APART) * (uint64_t)unit_ms;
    return now_ms - last > POISON_UNITS_KEPT * (uint64_t)unit_ms;
}

bool poison_holds(const struct poison_record *r, uint64_t now_ms, uint32_t unit_ms)
{
    return r->until_ms > now_ms && !poison_is_stale(r, now_ms, unit_ms);
}

/* One that returns soon after the death says little: another body of the same method may be what kills. */
bool poison_is_forgiven(const struct poison_record *r, const char *callback, uint64_t now_ms,
                        uint32_t unit_ms)
{
    uint64_t least_ms = MUTANT("forgivesoon") ? 0 : POISON_UNITS_FORGIVE * (uint64_t)unit_ms;
    return strcmp(r->callback, callback) == 0 && !poison_holds(r, now_ms, unit_ms) &&
           (now_ms < r->died_ms || now_ms - r->died_ms >= least_ms) && !MUTANT("unforgiven");
}

/* ---- blame ---- */

static bool take_name(const char *what, const char *from, size_t max, char *out)
{
    char why[160];
    struct bytes name = bytes_of_str(from);
    if (id_check(what, name, max, why, sizeof(why)))
        return false;
    (void)memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    return true;
}

bool blame_of(const struct running *r, struct blame *out)
{
    bool whole = r->method[0] == '\0';
    *out = (struct blame){.now_ms = 0};
    return take_name("type", r->type, ACTOR_TYPE_MAX, out->type) &&
           take_name("id", r->id, ACTOR_ID_MAX, out->id) &&
           take_name("callback", r->callback, CALLBACK_NAME_MAX, out->callback) &&
           (whole || take_name("method", r->method, ACTOR_METHOD_MAX, out->method)) &&
           (r->request_id[0] == '\0' ||
            take_name("request", r->request_id, REQUEST_ID_MAX, out->request_id));
}

size_t blame_read(struct txn *t, const struct keyspace *ks, const struct blame *b)
{
    struct key_range rows = keys_poison(ks, b->type, b->id);
    return txn_read_range(t, key_bytes(&rows.begin), key_bytes(&rows.end), POISON_ROWS_MAX + 1,
                          false);
}

/* 1: it is there, 0: it is not, or says nothing that can be read. */
static int find_poison(struct rule_ctx *ctx, size_t read, const struct key *key,
                       struct poison_record *r)
{
    struct store_result rows = rule_rows(ctx->txn, read);
    memset(r, 0, sizeof(*r));
    for (size_t i = 0; i < rows.count; i++) {
        if (!bytes_equal(rows.rows[i].key, key_bytes(key)))
            continue;
        int err = poison_record_decode(rows.rows[i].key, rows.rows[i].value, ctx->scratch, r);
        if (!err)
            return 1;
        rule_pass_corrupt(ctx, err, rows.rows[i].key);
        memset(r, 0, sizeof(*r));
        return 0;
    }
    return 0;
}

static uint64_t quarantine_ms(const struct blame *b, uint32_t deaths)
{
    uint64_t units = 1;
    for (uint32_t i = POISON_DEATHS_MIN; i < deaths && units < POISON_UNITS_MAX; i++)
        units *= MUTANT("poisonsame") ? 1 : 2;
    return (units < POISON_UNITS_MAX ? units : POISON_UNITS_MAX) * b->unit_ms;
}

static void put_poison(struct rule_ctx *ctx, const struct key *key, const struct poison_record *r)
{
    struct buf value;
    buf_init(&value, ctx->txn->env->mem);
    poison_record_encode(r, key_bytes(key), &value);
    rule_put(ctx, key_bytes(key), buf_bytes(&value));
    buf_deinit(&value);
}

void blame_write(struct rule_ctx *ctx, size_t read, const struct keyspace *ks,
                 const struct blame *b, struct blamed *out)
{
    const char *method = MUTANT("blameall") ? "" : b->method;
    struct key key = key_poison(ks, b->type, b->id, method);
    struct poison_record r;
    *out = (struct blamed){.whole = method[0] == '\0'};
    if (MUTANT("noblame"))
        return;
    if (!find_poison(ctx, read, &key, &r) && rule_rows(ctx->txn, read).count >= POISON_ROWS_MAX &&
        !out->whole) {
        SOMETIMES("poison-of-the-whole-actor");
        out->whole = true;
        key = key_poison(ks, b->type, b->id, "");
        (void)find_poison(ctx, read, &key, &r);
    }
    if (r.deaths > 0 && uuid_equal(r.boot, b->boot)) { /* an earlier attempt, or another witness */
        out->deaths = r.deaths;
        out->until_ms = r.until_ms;
        return;
    }
    if (r.deaths > 0 && poison_is_stale(&r, b->now_ms, b->unit_ms))
        r.deaths = 0;
    r.deaths += r.deaths < UINT32_MAX;
    r.died_ms = b->now_ms;
    r.until_ms = r.deaths >= POISON_DEATHS_MIN ? b->now_ms + quarantine_ms(b, r.deaths) : 0;
    r.boot = b->boot;
    (void)snprintf(r.callback, sizeof(r.callback), "%s", b->callback);
    (void)snprintf(r.request_id, sizeof(r.request_id), "%s", b->request_id);
    put_poison(ctx, &key, &r);
    out->deaths = r.deaths;
    out->until_ms = r.until_ms;
}

static enum verdict blame_rule(struct rule_ctx *ctx, void *arg)
{
    struct blame_op *op = arg;
    blame_write(ctx, 0, op->ks, &op->blame, &op->blamed);
    return ctx->txn->write_count > 0 ? RULE_COMMIT : RULE_DONE;
}

void blame_prepare(struct blame_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "Blame", blame_rule, op, done, arg);
    CHECK(blame_read(&op->txn, op->ks, &op->blame) == 0);
}

/* ---- it goes: forgiven, lifted, stale ---- */

static enum verdict forgive_rule(struct rule_ctx *ctx, void *arg)
{
    struct forgive_op *op = arg;
    struct poison_record r;
    op->forgiven = false;
    if (!op->method)
        return RULE_DONE;
    struct key key = key_poison(op->ks, op->type, op->id, op->method);
    if (!find_poison(ctx, 0, &key, &r) || !uuid_equal(r.boot, op->boot))
        return RULE_DONE;
    rule_delete(ctx, key_bytes(&key));
    op->forgiven = true;
    return RULE_COMMIT;
}

void forgive_prepare(struct forgive_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "Forgive", forgive_rule, op, done, arg);
    read_range(&op->txn, keys_poison(op->ks, op->type, op->id), POISON_ROWS_MAX + 1,
               op->method == NULL);
}

static enum verdict lift_rule(struct rule_ctx *ctx, void *arg)
{
    struct lift_op *op = arg;
    struct store_result rows = rule_rows(ctx->txn, 0);
    struct key one = key_poison(op->ks, op->type, op->id, op->method ? op->method : "");
    size_t found = 0;
    for (size_t i = 0; i < rows.count; i++) {
        if (op->method && !bytes_equal(rows.rows[i].key, key_bytes(&one)))
            continue;
        rule_delete(ctx, rows.rows[i].key);
        found++;
    }
    if (found == 0 && op->tried)
        return RULE_DONE;
    if (found == 0)
        return rule_refuse(ctx, "nothing of the actor is blamed for a death");
    op->lifted = found;
    op->tried = true;
    return RULE_COMMIT;
}

void lift_prepare(struct lift_op *op, struct txn *t, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(t, env, "LiftPoison", lift_rule, op, done, arg);
    read_range(t, keys_poison(op->ks, op->type, op->id), POISON_ROWS_MAX + 1, false);
}

static enum verdict sweep_poison_rule(struct rule_ctx *ctx, void *arg)
{
    struct sweep_poison_op *op = arg;
    struct store_result rows = rule_rows(ctx->txn, 0);
    struct poison_record r;
    op->held = op->swept = 0;
    op->at_end = !rows.more;
    op->next = op->cursor;
    for (size_t i = 0; i < rows.count; i++) {
        struct bytes key = rows.rows[i].key;
        CHECK(key.len < sizeof(op->next.data));
        memcpy(op->next.data, key.data, key.len);
        op->next.len = key.len;
        op->next = key_behind(op->next);
        int err = poison_record_decode(key, rows.rows[i].value, ctx->scratch, &r);
        if (err) {
            rule_pass_corrupt(ctx, err, key);
            continue;
        }
        op->held += poison_holds(&r, op->now_ms, op->unit_ms);
        if (!poison_is_stale(&r, op->now_ms, op->unit_ms))
            continue;
        SOMETIMES("poison-swept");
        rule_delete(ctx, key);
        op->swept++;
    }
    return op->swept ? RULE_COMMIT : RULE_DONE;
}

void sweep_poison_prepare(struct sweep_poison_op *op, const struct env *env, txn_fn *done,
                          void *arg)
{
    struct key_range page = {.begin = op->cursor, .end = op->end};
    txn_init(&op->txn, env, "SweepPoison", sweep_poison_rule, op, done, arg);
    read_range(&op->txn, page, POISON_PAGE, false);
}
