#include "store/conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "env/txn.h"
#include "kelpie/error.h"

static struct bytes str(const char *s)
{
    return bytes_of_str(s);
}

/* As many writes, bytes of them and rows read as a transaction may have; one more is LIMIT, and
 * nothing of it is there. */
void conformance_bounds(struct store_fixture *f)
{
    static char keys[STORE_WRITES_MAX + 1][16];
    static uint8_t value[STORE_VALUE_MAX];
    static struct store_write w[STORE_WRITES_MAX + 1];
    struct store_req req = {.writes = w};
    for (size_t made = 0; made <= STORE_ROWS_MAX; made += STORE_WRITES_MAX) {
        for (size_t i = 0; i < ARRAY_LEN(w); i++) {
            snprintf(keys[i], sizeof(keys[i]), "n/%06zu", made + i);
            w[i] = (struct store_write){.key = str(keys[i]), .value = bytes_of(value, 1)};
        }
        req.write_count = STORE_WRITES_MAX + 1;
        assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_LIMIT);
        assert_null(fixture_get(f, 1, keys[0]));
        req.write_count = made < STORE_ROWS_MAX ? STORE_WRITES_MAX : 1;
        assert_int_equal(fixture_commit(f, 0, &req), 0);
    }
    struct store_read r = {.key = str("n/"), .end = str("n/065536")};
    struct store_req get = {.reads = &r, .read_count = 1};
    assert_int_equal(fixture_read(f, 1, &get), 0);
    assert_int_equal(get.results[0].count, STORE_ROWS_MAX);
    fixture_release(f, 1, &get);
    r.end = str("n0");
    assert_int_equal(fixture_read(f, 1, &get), KELPIE_E_LIMIT);

    size_t values = STORE_WRITE_BYTES_MAX / (8 + STORE_VALUE_MAX);
    for (size_t i = 0; i <= values; i++) {
        snprintf(keys[i], sizeof(keys[i]), "n/%06zu", i);
        w[i] = (struct store_write){.key = str(keys[i]), .value = bytes_of(value, sizeof(value))};
    }
    w[values].value.len = STORE_WRITE_BYTES_MAX - values * (8 + STORE_VALUE_MAX) - 8 + 1;
    req.write_count = values + 1;
    assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_LIMIT);
    w[values].value.len--;
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    r.limit = (uint32_t)values + 2;
    assert_int_equal(fixture_read(f, 1, &get), 0);
    assert_int_equal(get.results[0].rows[values - 1].value.len, STORE_VALUE_MAX);
    assert_int_equal(get.results[0].rows[values].value.len, w[values].value.len);
    assert_int_equal(get.results[0].rows[values + 1].value.len, 1);
    fixture_release(f, 1, &get);
}

/* ---- a rule that asks for more reads, while another client writes what it reads */

#define MORE_TXNS 50

struct more {
    struct store_fixture *f;
    struct txn txn;
    char want[8]; /* what this transaction writes to m/count */
    unsigned rounds, torn;
    bool done;
    int status;
    /* The other client: m/a, m/b and a row of m/r/ get one new value together, again and again. */
    struct store_req req;
    struct store_write writes[3];
    char value[12], key[16];
    unsigned commits;
    bool stop, stopped;
};

static void more_write(struct more *m)
{
    snprintf(m->value, sizeof(m->value), "%u", m->commits);
    snprintf(m->key, sizeof(m->key), "m/r/%u", m->commits % 4);
    m->writes[0] = (struct store_write){.key = str("m/a"), .value = str(m->value)};
    m->writes[1] = (struct store_write){.key = str("m/b"), .value = str(m->value)};
    m->writes[2] = (struct store_write){.key = str(m->key), .value = str(m->value)};
    m->f->store[1].ops->commit(m->f->store[1].ctx, &m->req);
}

static void more_written(struct store_req *req, int status)
{
    struct more *m = req->arg;
    m->commits += status == 0;
    m->stopped = m->stop;
    if (!m->stop)
        more_write(m);
}

/* Each round is a snapshot of its own, of all that was asked for so far. */
static enum verdict more_rule(struct rule_ctx *ctx, void *arg)
{
    struct more *m = arg;
    struct bytes count, a, b;
    m->rounds++;
    if (rule_row(ctx->txn, 0, &count) && bytes_equal(count, str(m->want)))
        return RULE_DONE;
    if (rule_read_count(ctx) == 1) {
        assert_int_equal(rule_more(ctx, str("m/a"), false), 1);
        return RULE_MORE;
    }
    if (rule_read_count(ctx) == 2) {
        assert_int_equal(rule_more(ctx, str("m/b"), true), 2);
        assert_int_equal(rule_more_range(ctx, str("m/r/"), str("m/r0"), 0, true), 3);
        return RULE_MORE;
    }
    bool has_a = rule_row(ctx->txn, 1, &a), has_b = rule_row(ctx->txn, 2, &b), found = false;
    struct store_result rows = rule_rows(ctx->txn, 3);
    for (size_t i = 0; i < rows.count; i++)
        found = found || (has_a && bytes_equal(rows.rows[i].value, a));
    m->torn += has_a != has_b || has_a != found || (has_a && !bytes_equal(a, b));
    rule_put(ctx, str("m/count"), str(m->want));
    return RULE_COMMIT;
}

static void more_done(struct txn *t, int status)
{
    struct more *m = t->arg;
    m->status = status;
    m->done = true;
}

void conformance_more(struct store_fixture *f)
{
    static struct more m;
    m = (struct more){.f = f, .req = {.write_count = 3, .fn = more_written, .arg = &m}};
    m.req.writes = m.writes;
    f->env.store = f->store[0];
    more_write(&m);
    for (unsigned i = 1; i <= MORE_TXNS; i++) {
        snprintf(m.want, sizeof(m.want), "%u", i);
        m.done = false;
        m.stop = i % 5 == 0; /* else it might never get through */
        txn_init(&m.txn, &f->env, "More", more_rule, &m, more_done, &m);
        assert_int_equal(txn_read(&m.txn, str("m/count"), false), 0);
        txn_start(&m.txn);
        if (!m.stop) {
            for (int turn = 0; turn < 20 && !m.done; turn++)
                poll_loop_once(&f->loop, 1);
            m.stop = true;
        }
        assert_true(poll_loop_until(&f->loop, &m.done, FIXTURE_WAIT_MS));
        assert_int_equal(m.status, 0);
        assert_string_equal(fixture_get(f, 1, "m/count"), m.want);
        assert_true(poll_loop_until(&f->loop, &m.stopped, FIXTURE_WAIT_MS));
        m.stop = m.stopped = false;
        more_write(&m);
    }
    m.stop = true;
    assert_true(poll_loop_until(&f->loop, &m.stopped, FIXTURE_WAIT_MS));
    assert_int_equal(m.torn, 0);
    assert_true(m.rounds >= 3 * MORE_TXNS);
    assert_true(m.commits >= MORE_TXNS);
}

/* ---- close with transactions under way */

struct ended {
    const struct store *store;
    struct store_req req;
    unsigned times;
    int status;
};

static void on_ended(struct store_req *req, int status)
{
    struct ended *e = req->arg;
    e->times++;
    e->status = status;
    if (status == 0)
        e->store->ops->release(e->store->ctx, req);
}

static void on_fired(struct store_watch *w)
{
    ++*(unsigned *)w->arg;
}

/* Each completes exactly once, at the latest within the close; a watch fires. */
void conformance_close(struct store_fixture *f)
{
    for (int turns = 0; turns < 6; turns++) {
        struct ended e[4];
        struct store_watch watch[FIXTURE_CLIENTS];
        unsigned fired[FIXTURE_CLIENTS] = {0};
        const struct store_read r = {.key = str("y/"), .end = str("y0")};
        const struct store_write w = {.key = str("y/k"), .value = str("1")};
        assert_int_equal(fixture_put(f, 0, "y/k", "0"), 0);
        struct store_req now = {.reads = &r, .read_count = 1};
        assert_int_equal(fixture_read(f, 0, &now), 0);
        fixture_release(f, 0, &now);
        for (size_t i = 0; i < FIXTURE_CLIENTS; i++) {
            watch[i] = (struct store_watch){.key = str("y/w"),
                                            .since_version = now.read_version,
                                            .fn = on_fired,
                                            .arg = &fired[i]};
            f->store[i].ops->watch(f->store[i].ctx, &watch[i]);
        }
        for (size_t i = 0; i < ARRAY_LEN(e); i++) {
            const struct store *s = &f->store[i / 2];
            e[i] = (struct ended){.store = s, .req = {.fn = on_ended}};
            e[i].req.arg = &e[i];
            if (i % 2) {
                e[i].req.writes = &w;
                e[i].req.write_count = 1;
                s->ops->commit(s->ctx, &e[i].req);
            } else {
                e[i].req.reads = &r;
                e[i].req.read_count = 1;
                s->ops->read(s->ctx, &e[i].req);
            }
        }
        for (int i = 0; i < turns; i++)
            poll_loop_once(&f->loop, 0);
        f->busy = true;
        fixture_close(f); /* which looks that no memory is left */
        for (size_t i = 0; i < ARRAY_LEN(e); i++) {
            assert_int_equal(e[i].times, 1);
            assert_true(e[i].status == 0 ||
                        e[i].status ==
                            (i % 2 ? KELPIE_E_UNKNOWN_RESULT : KELPIE_E_STORE_UNAVAILABLE) ||
                        e[i].status == KELPIE_E_STORE_UNAVAILABLE);
        }
        for (size_t i = 0; i < FIXTURE_CLIENTS; i++)
            assert_int_equal(fired[i], 1);
        fixture_open(f, f->backend);
    }
}
