/*
 * The same seeded sequence of interleaved transactions on two stores; every row, every `more`, and
 * the class of every result must be the same. Between the embedded store and the simulated
 * FoundationDB, and between that and a real one where FDB_CLUSTER_FILE is set.
 *
 * STORE_TEST_TXNS says how many transactions (default 100000; fewer with sanitizers).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "bin/shared/process_begin.h"
#include "kelpie/error.h"
#include "store/store_fixture.h"
#include "store/store_process.h"

#define SLOTS 8 /* transactions under way at a time */
#define KEYS 24 /* a small space, so that they meet */
#define PARTS 4 /* reads, and writes, of one transaction */
#define STORES 2

#if defined(__SANITIZE_ADDRESS__)
#define TXNS_DEFAULT 20000
#else
#define TXNS_DEFAULT 100000
#endif

struct slot {
    bool open; /* read, not committed */
    struct store_read reads[PARTS];
    struct store_write writes[PARTS];
    size_t read_count, write_count;
    uint8_t value[PARTS][40];
    struct store_req req[STORES];
};

struct pair {
    struct store_fixture store[STORES];
    struct rng rng;
    struct slot slots[SLOTS];
    size_t txns, commits, conflicts, limits, rows, explained;
};

static uint8_t key_bytes_of[KEYS + 1][4];

static struct bytes key(uint64_t i)
{
    return bytes_of(key_bytes_of[i], 2 + i % 3);
}

/* Bytes at the edges, in order. */
static void make_keys(void)
{
    for (size_t i = 0; i <= KEYS; i++) {
        key_bytes_of[i][0] = 'd';
        key_bytes_of[i][1] = (uint8_t)(i < KEYS ? i * 11 : 255);
        key_bytes_of[i][2] = (uint8_t)(i % 2 ? 0xff : 0);
    }
}

static void draw_read(struct pair *p, struct store_read *r)
{
    uint64_t from = rng_below(&p->rng, KEYS);
    *r = (struct store_read){.key = key(from), .snapshot = rng_chance(&p->rng, 1, 5)};
    if (rng_chance(&p->rng, 1, 2)) {
        r->end = key(rng_below(&p->rng, KEYS + 1)); /* may be before the key */
        r->limit = (uint32_t)rng_below(&p->rng, 5);
    }
}

static void draw_write(struct pair *p, struct slot *s, size_t i)
{
    struct store_write *w = &s->writes[i];
    /* A range may be empty, and a commit that writes nothing always succeeds on FoundationDB, so
     * the first write is of a key. */
    uint64_t kind = rng_below(&p->rng, i == 0 ? 18 : 20);
    *w = (struct store_write){.key = key(rng_below(&p->rng, KEYS))};
    w->kind = kind < 14 ? STORE_PUT : kind < 18 ? STORE_DELETE : STORE_DELETE_RANGE;
    if (w->kind == STORE_PUT) {
        size_t len = rng_below(&p->rng, sizeof(s->value[i]));
        for (size_t k = 0; k < len; k++)
            s->value[i][k] = (uint8_t)rng_below(&p->rng, 256);
        w->value = bytes_of(s->value[i], len);
    } else if (w->kind == STORE_DELETE_RANGE) {
        w->value = key(rng_below(&p->rng, KEYS + 1));
    }
    if (rng_chance(&p->rng, 1, 500)) { /* over a bound */
        static uint8_t large[STORE_VALUE_MAX + 1];
        w->kind = STORE_PUT;
        w->value = bytes_of(large, sizeof(large));
    }
}

static void compare_results(struct pair *p, const struct slot *s)
{
    for (size_t i = 0; i < s->read_count; i++) {
        const struct store_result *a = &s->req[0].results[i], *b = &s->req[1].results[i];
        assert_int_equal(a->count, b->count);
        assert_int_equal(a->more, b->more);
        for (size_t k = 0; k < a->count; k++) {
            assert_true(bytes_equal(a->rows[k].key, b->rows[k].key));
            assert_true(bytes_equal(a->rows[k].value, b->rows[k].value));
        }
        p->rows += a->count;
    }
}

static void slot_begin(struct pair *p, struct slot *s)
{
    s->read_count = 1 + rng_below(&p->rng, PARTS);
    s->write_count = 1 + rng_below(&p->rng, PARTS);
    for (size_t i = 0; i < s->read_count; i++)
        draw_read(p, &s->reads[i]);
    for (size_t i = 0; i < s->write_count; i++)
        draw_write(p, s, i);
    for (size_t i = 0; i < STORES; i++) {
        s->req[i] = (struct store_req){.reads = s->reads,
                                       .read_count = s->read_count,
                                       .writes = s->writes,
                                       .write_count = s->write_count};
        assert_int_equal(fixture_read(&p->store[i], 0, &s->req[i]), 0);
    }
    compare_results(p, s);
    s->open = true;
}

/* A range read whose limit was reached exactly where its rows end: FoundationDB may then have read
 * to the end of the range, and conflict there too. */
static bool may_conflict_further(const struct slot *s)
{
    for (size_t i = 0; i < s->read_count; i++)
        if (s->req[0].results[i].more && !s->reads[i].snapshot)
            return true;
    return false;
}

static void slot_end(struct pair *p, struct slot *s, bool real)
{
    int status[STORES];
    for (size_t i = 0; i < STORES; i++)
        status[i] = fixture_commit(&p->store[i], 0, &s->req[i]);
    if (real && status[0] == 0 && status[1] == KELPIE_E_CONFLICT && may_conflict_further(s)) {
        struct store_req again = {.writes = s->writes, .write_count = s->write_count};
        status[1] = fixture_commit(&p->store[1], 0, &again);
        p->explained++;
    }
    assert_int_equal(status[0], status[1]);
    p->commits += status[0] == 0;
    p->conflicts += status[0] == KELPIE_E_CONFLICT;
    p->limits += status[0] == KELPIE_E_LIMIT;
    for (size_t i = 0; i < STORES; i++)
        fixture_release(&p->store[i], 0, &s->req[i]);
    s->open = false;
    p->txns++;
}

static const struct store_backend *backend(const char *name)
{
    for (size_t i = 0; i < store_backend_count; i++)
        if (!strcmp(store_backends[i].name, name))
            return &store_backends[i];
    return NULL;
}

static void run_pair(const char *a, const char *b)
{
    static struct pair p;
    const char *asked = getenv("STORE_TEST_TXNS");
    size_t txns = asked ? strtoul(asked, NULL, 10) : TXNS_DEFAULT;
    bool real = !strcmp(b, "fdb");
    memset(&p, 0, sizeof(p));
    make_keys();
    rng_seed(&p.rng, 77, 0);
    fixture_open(&p.store[0], backend(a));
    fixture_open(&p.store[1], backend(b));
    while (p.txns < txns) {
        struct slot *s = &p.slots[rng_below(&p.rng, SLOTS)];
        if (s->open)
            slot_end(&p, s, real);
        else
            slot_begin(&p, s);
    }
    for (size_t i = 0; i < SLOTS; i++)
        if (p.slots[i].open)
            slot_end(&p, &p.slots[i], real);
    print_message(
        "[   note   ] %s and %s: %zu transactions, %zu commits, %zu conflicts, %zu over a "
        "bound, %zu rows compared, %zu conflicts explained\n",
        a, b, p.txns, p.commits, p.conflicts, p.limits, p.rows, p.explained);
    assert_true(p.commits > txns / 10 && p.conflicts > txns / 50 && p.rows > txns);
    p.store[0].shares_memory = true;
    fixture_close(&p.store[0]);
    fixture_close(&p.store[1]);
}

static void test_lmdb_fdb_sim(void **state)
{
    (void)state;
    run_pair("lmdb", "fdb_sim");
}

static void test_fdb_sim_fdb(void **state)
{
    (void)state;
    if (!backend("fdb")->usable()) {
        print_message("[   note   ] skipped: FDB_CLUSTER_FILE is not set\n");
        skip();
    }
    run_pair("fdb_sim", "fdb");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], STORE_PROCESS_ARGUMENT))
        return process_store_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lmdb_fdb_sim),
        cmocka_unit_test(test_fdb_sim_fdb),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixtures_end();
    return failed;
}
