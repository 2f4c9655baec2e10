/*
 * What every store must do, run against each (store_fixture.c): examples of every operation, and
 * random concurrent transactions whose history is checked for strict serializability.
 *
 * STORE_TEST_TXNS says how many random transactions (default 100000; fewer with sanitizers).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bin/shared/process_begin.h"
#include "kelpie/error.h"
#include "store/conformance.h"
#include "store/history.h"
#include "store/store_fixture.h"
#include "store/store_process.h"

static struct store_fixture fixture;

static struct bytes str(const char *s)
{
    return bytes_of_str(s);
}

/* ---- examples */

static void test_rows(struct store_fixture *f)
{
    assert_null(fixture_get(f, 0, "row"));
    assert_int_equal(fixture_put(f, 0, "row", "1"), 0);
    assert_string_equal(fixture_get(f, 0, "row"), "1");
    assert_string_equal(fixture_get(f, 1, "row"), "1");
    assert_int_equal(fixture_put(f, 1, "row", ""), 0);
    assert_string_equal(fixture_get(f, 0, "row"), "");
    const struct store_write w = {.kind = STORE_DELETE, .key = str("row")};
    struct store_req req = {.writes = &w, .write_count = 1};
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    assert_null(fixture_get(f, 1, "row"));
}

/* Every byte, at the beginning and at the end of keys, in the order of bytes. */
static void test_every_byte(struct store_fixture *f)
{
    static uint8_t keys[512][2];
    struct store_write w[512];
    for (unsigned i = 0; i < 256; i++) {
        keys[i][0] = (uint8_t)i;
        keys[i + 256][0] = (uint8_t)i;
        keys[i + 256][1] = (uint8_t)(255 - i);
        w[i] = (struct store_write){.key = bytes_of(keys[i], 1), .value = bytes_of(keys[i], 1)};
        w[i + 256] = (struct store_write){.key = bytes_of(keys[i + 256], 2),
                                          .value = bytes_of(keys[i + 256], 2)};
    }
    struct store_req req = {.writes = w, .write_count = ARRAY_LEN(w)};
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    static const uint8_t end[] = {0xff, 0xff};
    const struct store_read r[] = {{.key = bytes_of("", 0), .end = bytes_of(end, 2)},
                                   {.key = bytes_of(keys[0], 1)},
                                   {.key = bytes_of(keys[255], 1)}};
    struct store_req all = {.reads = r, .read_count = 3};
    assert_int_equal(fixture_read(f, 1, &all), 0);
    assert_int_equal(all.results[0].count, 512);
    assert_int_equal(all.results[1].count, 1);
    assert_int_equal(all.results[2].count, 1);
    for (size_t i = 0; i < 512; i++) {
        const struct store_row *row = &all.results[0].rows[i];
        assert_int_equal(row->key.len, 1 + i % 2);
        assert_int_equal(row->key.data[0], i / 2);
        assert_true(bytes_equal(row->key, row->value));
    }
    fixture_release(f, 1, &all);
}

static void test_sizes(struct store_fixture *f)
{
    static uint8_t data[STORE_VALUE_MAX + 1];
    memset(data, 0xab, sizeof(data));
    struct store_write w = {.key = bytes_of(data, STORE_KEY_MAX),
                            .value = bytes_of(data, STORE_VALUE_MAX)};
    struct store_req req = {.writes = &w, .write_count = 1};
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    const struct store_read r = {.key = w.key};
    struct store_req get = {.reads = &r, .read_count = 1};
    assert_int_equal(fixture_read(f, 1, &get), 0);
    assert_int_equal(get.results[0].count, 1);
    assert_true(bytes_equal(get.results[0].rows[0].value, w.value));
    fixture_release(f, 1, &get);

    w.value.len++;
    assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_LIMIT);
    w.value.len = 0;
    w.key.len++;
    assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_LIMIT);
    w.key.len = 0;
    assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_LIMIT);
    const struct store_read over = {.key = bytes_of(data, STORE_KEY_MAX + 1)};
    get.reads = &over;
    assert_int_equal(fixture_read(f, 0, &get), KELPIE_E_LIMIT);
    assert_null(get.results);
}

/* As many rows, and bytes, as one read may return; one more is LIMIT. */
static void test_bulk(struct store_fixture *f)
{
    static char keys[STORE_WRITES_MAX][16];
    static uint8_t value[17000];
    struct store_write w[STORE_WRITES_MAX];
    size_t made = 0, per = 50;
    size_t rows = STORE_READ_BYTES_MAX / (sizeof(value) + 11);
    for (; made <= rows; made += per) {
        for (size_t i = 0; i < per; i++) {
            snprintf(keys[i], sizeof(keys[i]), "bulk/%06zu", made + i);
            w[i] =
                (struct store_write){.key = str(keys[i]), .value = bytes_of(value, sizeof(value))};
        }
        struct store_req put = {.writes = w, .write_count = per};
        assert_int_equal(fixture_commit(f, 0, &put), 0);
    }
    struct store_read r = {.key = str("bulk/"), .end = str("bulk0"), .limit = (uint32_t)rows};
    struct store_req get = {.reads = &r, .read_count = 1};
    assert_int_equal(fixture_read(f, 1, &get), 0);
    assert_int_equal(get.results[0].count, rows);
    assert_true(get.results[0].more);
    fixture_release(f, 1, &get);
    r.limit = 0;
    assert_int_equal(fixture_read(f, 1, &get), KELPIE_E_LIMIT);
    const struct store_write del = {
        .kind = STORE_DELETE_RANGE, .key = str("bulk/"), .value = str("bulk0")};
    struct store_req clear = {.writes = &del, .write_count = 1};
    assert_int_equal(fixture_commit(f, 0, &clear), 0);
    assert_int_equal(fixture_read(f, 1, &get), 0);
    assert_int_equal(get.results[0].count, 0);
    fixture_release(f, 1, &get);
}

static void test_ranges(struct store_fixture *f)
{
    static const char *const names[] = {"r/a", "r/b", "r/c", "r/d"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fixture_put(f, i % 2, names[i], names[i]), 0);
    const struct store_read r[] = {
        {.key = str("r/a"), .end = str("r/d")},
        {.key = str("r/"), .end = str("r0"), .limit = 2},
        {.key = str("r/"), .end = str("r0"), .limit = 4},
        {.key = str("r/"), .end = str("r0"), .limit = 5},
        {.key = str("r/e"), .end = str("r0")},
        {.key = str("r/c"), .end = str("r/b")},
        {.key = str("r/c")},
        {.key = str("r")},
    };
    static const size_t counts[] = {3, 2, 4, 4, 0, 0, 1, 0};
    static const bool more[] = {false, true, true, false, false, false, false, false};
    struct store_req req = {.reads = r, .read_count = ARRAY_LEN(r)};
    assert_int_equal(fixture_read(f, 0, &req), 0);
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        assert_int_equal(req.results[i].count, counts[i]);
        assert_int_equal(req.results[i].more, more[i]);
        for (size_t j = 1; j < req.results[i].count; j++)
            assert_true(bytes_compare(req.results[i].rows[j - 1].key, req.results[i].rows[j].key) <
                        0);
    }
    fixture_release(f, 0, &req);
    fixture_release(f, 0, &req); /* twice is harmless */
}

static void test_conflict(struct store_fixture *f)
{
    const struct store_read r[] = {{.key = str("c/k")},
                                   {.key = str("c/s"), .snapshot = true},
                                   {.key = str("c/x"), .end = str("c/y")}};
    const struct store_write w = {.key = str("c/w"), .value = str("1")};
    struct store_req req = {.reads = r, .read_count = 3, .writes = &w, .write_count = 1};
    static const struct {
        const char *key;
        int status;
    } cases[] = {
        {"c/other", 0}, {"c/s", 0}, {"c/k", KELPIE_E_CONFLICT}, {"c/x9", KELPIE_E_CONFLICT}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(fixture_read(f, 0, &req), 0);
        assert_int_equal(fixture_put(f, 1, cases[i].key, "2"), 0);
        assert_int_equal(fixture_commit(f, 0, &req), cases[i].status);
        fixture_release(f, 0, &req);
    }
    /* What is committed has a newer version than what was read, and a later read sees it. */
    assert_int_equal(fixture_read(f, 0, &req), 0);
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    uint64_t version = req.commit_version;
    assert_true(version > req.read_version);
    fixture_release(f, 0, &req);
    assert_int_equal(fixture_read(f, 1, &req), 0);
    assert_true(req.read_version >= version);
    fixture_release(f, 1, &req);
}

struct fired {
    struct store_watch watch;
    bool fired;
};

static void on_fired(struct store_watch *w)
{
    struct fired *fw = w->arg;
    assert_false(fw->fired);
    assert_false(w->armed);
    fw->fired = true;
}

static void watch_set(struct store_fixture *f, size_t client, struct fired *fw, const char *key,
                      uint64_t since)
{
    *fw = (struct fired){
        .watch = {.key = str(key), .since_version = since, .fn = on_fired, .arg = fw}};
    f->store[client].ops->watch(f->store[client].ctx, &fw->watch);
    assert_true(fw->watch.armed);
    assert_false(fw->fired);
}

static void unwatch(struct store_fixture *f, size_t client, struct fired *fw)
{
    f->store[client].ops->unwatch(f->store[client].ctx, &fw->watch);
    assert_false(fw->watch.armed);
}

static uint64_t version_now(struct store_fixture *f, size_t client)
{
    const struct store_read r = {.key = str("any")};
    struct store_req req = {.reads = &r, .read_count = 1};
    assert_int_equal(fixture_read(f, client, &req), 0);
    fixture_release(f, client, &req);
    return req.read_version;
}

static void test_watches(struct store_fixture *f)
{
    struct fired a, b, late, gone;
    assert_int_equal(fixture_put(f, 0, "w/b", "1"), 0); /* some stores tell only of what differs */
    uint64_t v = version_now(f, 0);
    watch_set(f, 0, &a, "w/a", v);
    watch_set(f, 0, &b, "w/b", v);
    watch_set(f, 1, &gone, "w/a", v);
    unwatch(f, 1, &gone);
    unwatch(f, 1, &gone);
    assert_int_equal(fixture_put(f, 1, "w/other", "1"), 0);
    for (int i = 0; i < 5; i++)
        poll_loop_once(&f->loop, 5);
    assert_false(a.fired);
    assert_int_equal(fixture_put(f, 1, "w/a", "1"), 0);
    assert_true(poll_loop_until(&f->loop, &a.fired, FIXTURE_WAIT_MS));
    assert_false(b.fired);
    assert_false(gone.fired);
    watch_set(f, 0, &late, "w/a", v); /* it changed since */
    assert_true(poll_loop_until(&f->loop, &late.fired, FIXTURE_WAIT_MS));
    const struct store_write del = {
        .kind = STORE_DELETE_RANGE, .key = str("w/"), .value = str("w0")};
    struct store_req clear = {.writes = &del, .write_count = 1};
    assert_int_equal(fixture_commit(f, 1, &clear), 0);
    assert_true(poll_loop_until(&f->loop, &b.fired, FIXTURE_WAIT_MS));
}

static void on_never(struct store_req *req, int status)
{
    (void)status;
    *(bool *)req->arg = true;
}

static void test_cancel(struct store_fixture *f)
{
    bool completed = false;
    const struct store_read r = {.key = str("x/k")};
    const struct store_write w = {.key = str("x/k"), .value = str("1")};
    struct store_req req = {.reads = &r,
                            .read_count = 1,
                            .writes = &w,
                            .write_count = 1,
                            .fn = on_never,
                            .arg = &completed};
    const struct store *s = &f->store[0];
    for (int i = 0; i < 3; i++) {
        s->ops->read(s->ctx, &req);
        if (i == 1) /* sent, but not answered */
            poll_loop_once(&f->loop, 0);
        if (!completed)
            s->ops->cancel(s->ctx, &req);
        completed = false;
        s->ops->release(s->ctx, &req);
        s->ops->commit(s->ctx, &req);
        s->ops->cancel(s->ctx, &req);
        s->ops->cancel(s->ctx, &req);
    }
    for (int i = 0; i < 5; i++)
        poll_loop_once(&f->loop, 2);
    assert_false(completed);
    (void)version_now(f, 0); /* the store goes on */
}

static void test_too_old(struct store_fixture *f)
{
    if (!f->backend->restart) {
        print_message("[   note   ] %s has no restart: TOO_OLD is in test_core\n",
                      f->backend->name);
        return;
    }
    const struct store_read r = {.key = str("o/k")};
    const struct store_write w = {.key = str("o/k"), .value = str("2")};
    struct store_req req = {.reads = &r, .read_count = 1, .writes = &w, .write_count = 1};
    assert_int_equal(fixture_put(f, 0, "o/k", "1"), 0);
    assert_int_equal(fixture_read(f, 0, &req), 0);
    uint64_t version = req.read_version;
    struct fired watch;
    watch_set(f, 1, &watch, "o/k", version);
    f->backend->restart(f);
    assert_true(poll_loop_until(&f->loop, &watch.fired, FIXTURE_WAIT_MS));
    assert_int_equal(fixture_commit(f, 0, &req), KELPIE_E_TOO_OLD);
    fixture_release(f, 0, &req);
    assert_string_equal(fixture_get(f, 1, "o/k"), "1");
    assert_int_equal(fixture_read(f, 0, &req), 0);
    assert_true(req.read_version > version);
    assert_int_equal(fixture_commit(f, 0, &req), 0);
    fixture_release(f, 0, &req);
    assert_string_equal(fixture_get(f, 1, "o/k"), "2");
}

/* ---- random transactions */

#define WORKERS 32
#define KEY_PREFIX "h/k"

enum breakage { WHOLE, NO_CONFLICTS, NO_RANGES };

struct run;

struct worker {
    struct run *run;
    size_t client;
    struct history_txn *txn; /* of the attempt under way; NULL: none is left to do */
    struct store_req req;
    struct store_read reads[HISTORY_PARTS];
    struct store_write writes[HISTORY_PARTS];
    char values[HISTORY_PARTS][12];
};

struct run {
    struct store_fixture *f;
    enum breakage breakage; /* what is wrong with the store, to test the checker */
    struct history history;
    struct rng rng;
    struct worker workers[WORKERS];
    size_t idle;
    bool done;
    uint64_t acknowledged; /* largest commit version so far */
    uint32_t values;
    size_t commits, conflicts, too_old;
};

static char key_names[HISTORY_KEYS + 1][8];

static struct bytes key_name(unsigned i)
{
    return bytes_of_str(key_names[i]);
}

static void worker_next(struct worker *w);

static void worker_end(struct worker *w)
{
    w->run->f->store[w->client].ops->release(w->run->f->store[w->client].ctx, &w->req);
    worker_next(w);
}

static void worker_committed(struct store_req *req, int status)
{
    struct worker *w = req->arg;
    struct run *run = w->run;
    w->txn->committed = status == 0;
    w->txn->commit_version = req->commit_version;
    w->txn->commit_order = req->commit_order;
    if (status == 0 && req->commit_version > run->acknowledged)
        run->acknowledged = req->commit_version;
    run->commits += status == 0;
    run->conflicts += status == KELPIE_E_CONFLICT;
    run->too_old += status == KELPIE_E_TOO_OLD;
    assert_true(status == 0 || status == KELPIE_E_CONFLICT || status == KELPIE_E_TOO_OLD);
    worker_end(w);
}

static void worker_commit(struct worker *w)
{
    const struct store *s = &w->run->f->store[w->client];
    w->req.fn = worker_committed;
    s->ops->commit(s->ctx, &w->req);
}

static void worker_read(struct store_req *req, int status)
{
    struct worker *w = req->arg;
    assert_int_equal(status, 0);
    w->txn->read_version = req->read_version;
    for (size_t i = 0; i < req->read_count; i++)
        w->txn->reads[i].seen = history_seen(&req->results[i]);
    if (w->txn->write_count == 0)
        worker_end(w);
    else
        worker_commit(w);
}

static void worker_draw_read(struct worker *w, size_t i)
{
    struct rng *rng = &w->run->rng;
    struct history_read *h = &w->txn->reads[i];
    h->begin = (uint8_t)rng_below(rng, HISTORY_KEYS);
    h->snapshot = rng_chance(rng, 1, 5);
    if (rng_chance(rng, 1, 2)) {
        h->end = (uint8_t)(h->begin + 1 + rng_below(rng, HISTORY_KEYS - h->begin));
        h->limit = (uint8_t)rng_below(rng, 4);
    }
    w->reads[i] = (struct store_read){.key = key_name(h->begin), .snapshot = h->snapshot};
    if (h->end > h->begin) {
        w->reads[i].end = key_name(h->end);
        w->reads[i].limit = h->limit;
    }
    enum breakage breakage = w->run->breakage;
    w->reads[i].snapshot |=
        breakage == NO_CONFLICTS || (breakage == NO_RANGES && h->end > h->begin);
}

static void worker_draw_write(struct worker *w, size_t i)
{
    struct rng *rng = &w->run->rng;
    struct history_write *h = &w->txn->writes[i];
    uint64_t kind = rng_below(rng, 10);
    h->kind = kind < 7 ? STORE_PUT : kind < 9 ? STORE_DELETE : STORE_DELETE_RANGE;
    h->begin = (uint8_t)rng_below(rng, HISTORY_KEYS);
    w->writes[i] = (struct store_write){.kind = h->kind, .key = key_name(h->begin)};
    if (h->kind == STORE_PUT) {
        h->value = ++w->run->values;
        snprintf(w->values[i], sizeof(w->values[i]), "%u", h->value);
        w->writes[i].value = bytes_of_str(w->values[i]);
    } else if (h->kind == STORE_DELETE_RANGE) {
        uint64_t most = HISTORY_KEYS - h->begin;
        h->end = (uint8_t)(h->begin + 1 + rng_below(rng, most < 3 ? most : 3));
        w->writes[i].value = key_name(h->end);
    }
}

static void worker_next(struct worker *w)
{
    struct run *run = w->run;
    w->txn = history_add(&run->history);
    if (!w->txn) {
        run->done = ++run->idle == WORKERS;
        return;
    }
    w->txn->read_count = (uint8_t)rng_below(&run->rng, HISTORY_PARTS + 1);
    w->txn->write_count = (uint8_t)rng_below(&run->rng, HISTORY_PARTS);
    if (w->txn->read_count + w->txn->write_count == 0)
        w->txn->write_count = 1;
    for (size_t i = 0; i < w->txn->read_count; i++)
        worker_draw_read(w, i);
    for (size_t i = 0; i < w->txn->write_count; i++)
        worker_draw_write(w, i);
    w->txn->floor = run->acknowledged;
    w->req = (struct store_req){.reads = w->reads,
                                .read_count = w->txn->read_count,
                                .writes = w->writes,
                                .write_count = w->txn->write_count,
                                .fn = worker_read,
                                .arg = w};
    const struct store *s = &run->f->store[w->client];
    if (w->txn->read_count > 0)
        s->ops->read(s->ctx, &w->req);
    else
        worker_commit(w);
}

/* Returns what the checker found. */
static const char *random_run(struct store_fixture *f, size_t txns, enum breakage breakage)
{
    static struct run run;
    memset(&run, 0, sizeof(run));
    run.f = f;
    run.breakage = breakage;
    history_init(&run.history, txns);
    rng_seed(&run.rng, 42 + (uint64_t)breakage, 0);
    for (unsigned i = 0; i <= HISTORY_KEYS; i++)
        snprintf(key_names[i], sizeof(key_names[i]), KEY_PREFIX "%02u", i);
    const struct store_write del = {
        .kind = STORE_DELETE_RANGE, .key = str(KEY_PREFIX), .value = str(KEY_PREFIX "z")};
    struct store_req clear = {.writes = &del, .write_count = 1};
    assert_int_equal(fixture_commit(f, 0, &clear), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        run.workers[i].run = &run;
        run.workers[i].client = i % FIXTURE_CLIENTS;
        worker_next(&run.workers[i]);
    }
    assert_true(poll_loop_until(&f->loop, &run.done, 110000));
    size_t compared;
    const char *wrong = history_check(&run.history, &compared);
    if (breakage == WHOLE)
        print_message("[   note   ] %s: %zu transactions, %zu commits, %zu conflicts, %zu too old, "
                      "%zu reads compared\n",
                      f->backend->name, run.history.count, run.commits, run.conflicts, run.too_old,
                      compared);
    assert_true(wrong || (run.commits > txns / 10 && compared > txns));
    assert_true(breakage == NO_CONFLICTS || run.conflicts > txns / 20);
    history_deinit(&run.history);
    return wrong;
}

#if defined(__SANITIZE_ADDRESS__)
#define TXNS_DEFAULT 20000
#else
#define TXNS_DEFAULT 100000
#endif

static void test_random(struct store_fixture *f)
{
    const char *asked = getenv("STORE_TEST_TXNS");
    size_t txns = asked ? strtoul(asked, NULL, 10) : TXNS_DEFAULT;
    const char *wrong = random_run(f, txns, WHOLE);
    if (wrong)
        fail_msg("%s", wrong);
    /* The checker is worth something: stores with one mistake each are found out. */
    assert_non_null(random_run(f, 3000, NO_CONFLICTS));
    assert_non_null(random_run(f, 3000, NO_RANGES));
}

/* ---- all of it, for every store */

static const struct {
    const char *name;
    void (*fn)(struct store_fixture *f);
} cases[] = {
    {"rows", test_rows},        {"every_byte", test_every_byte},
    {"sizes", test_sizes},      {"bulk", test_bulk},
    {"ranges", test_ranges},    {"conflict", test_conflict},
    {"watches", test_watches},  {"cancel", test_cancel},
    {"too_old", test_too_old},  {"bounds", conformance_bounds},
    {"more", conformance_more}, {"close", conformance_close},
    {"random", test_random},
};

struct run_case {
    size_t backend;
    size_t at;
};

static void run_case(void **state)
{
    const struct run_case *c = *state;
    const struct store_backend *backend = &store_backends[c->backend];
    if (backend->usable && !backend->usable()) {
        print_message("[   note   ] %s skipped: FDB_CLUSTER_FILE is not set\n", backend->name);
        skip();
    }
    fixture_open(&fixture, backend);
    cases[c->at].fn(&fixture);
    fixture_close(&fixture);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], STORE_PROCESS_ARGUMENT))
        return process_store_main(argc, argv);
    size_t n = store_backend_count * ARRAY_LEN(cases);
    struct CMUnitTest *tests = calloc(n, sizeof(*tests));
    struct run_case *what = calloc(n, sizeof(*what));
    char(*names)[64] = calloc(n, sizeof(*names));
    CHECK(tests && what && names);
    for (size_t i = 0; i < n; i++) {
        what[i] = (struct run_case){i / ARRAY_LEN(cases), i % ARRAY_LEN(cases)};
        snprintf(names[i], sizeof(names[i]), "%s_%s", store_backends[what[i].backend].name,
                 cases[what[i].at].name);
        tests[i] =
            (struct CMUnitTest){.name = names[i], .test_func = run_case, .initial_state = &what[i]};
    }
    int failed = _cmocka_run_group_tests("conformance", tests, n, NULL, NULL);
    free(tests);
    free(what);
    free(names);
    fixtures_end();
    return failed;
}
