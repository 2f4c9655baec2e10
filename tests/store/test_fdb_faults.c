/*
 * The driver for FoundationDB under everything that the simulated one can do to it: workers count
 * up rows in transactions of env/txn.h and watch them, with every fault at once, while the cluster
 * recovers and is cut off. Each step must land exactly once, however often it was tried; in the end
 * nothing is under way or held; and a seed's run is the same each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "env/txn.h"
#include "kelpie/error.h"
#include "store/fdb_fixture.h"
#include "store/heap_mem.h"
#include "store/store_fdb.h"

#define WORKERS 12
#define COUNTERS 3
#define STORM_NS (120 * NS_PER_S) /* of virtual time */
#define CALM_NS (60 * NS_PER_S)   /* by then everything that was begun is done */
#define SEEDS 12
#define PREFIX "\x15\x01"

struct swarm;

struct worker {
    struct swarm *swarm;
    struct txn txn;
    struct store_watch watch;
    char marker[16], counter[16];
    uint64_t seq; /* of the step under way */
    uint64_t landed;
    bool busy;
    bool unsettled; /* a try of this step ended as unknown */
    size_t gave_up, fired;
};

struct swarm {
    struct fdb_fixture fdb;
    struct env env[FIXTURE_CLIENTS];
    struct rng rng;
    struct worker workers[WORKERS];
    bool storm;
    size_t done, landings;
};

static uint64_t number_of(struct bytes b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n = n * 10 + (uint64_t)(b.data[i] - '0');
    return n;
}

static void put_number(struct rule_ctx *ctx, const char *key, uint64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    rule_put(ctx, bytes_of_str(key), bytes_of(text, (size_t)len));
}

/* One step: the worker's marker goes to `seq`, a counter up by one. */
static enum verdict rule_step(struct rule_ctx *ctx, void *arg)
{
    const struct worker *w = arg;
    struct bytes value;
    uint64_t marker = rule_row(ctx->txn, 0, &value) ? number_of(value) : 0;
    if (marker >= w->seq)
        return RULE_DONE;
    assert_int_equal(marker + 1, w->seq);
    uint64_t count = rule_row(ctx->txn, 1, &value) ? number_of(value) : 0;
    struct store_result all = rule_rows(ctx->txn, 2);
    assert_true(all.count <= WORKERS);
    put_number(ctx, w->marker, w->seq);
    put_number(ctx, w->counter, count + 1);
    return RULE_COMMIT;
}

static void worker_go(struct worker *w);

static void on_step(struct txn *t, int status)
{
    struct worker *w = t->arg;
    w->busy = false;
    if (status == 0) {
        assert_true(w->landed >= w->seq);
        w->seq++;
        w->unsettled = false;
        w->swarm->done++;
    } else {
        assert_true(status == KELPIE_E_UNKNOWN_RESULT || status == KELPIE_E_TIMEOUT);
        /* "Surely not committed" must be true, if no earlier try is unsettled. */
        w->unsettled |= status == KELPIE_E_UNKNOWN_RESULT;
        assert_true(w->unsettled || w->landed + 1 == w->seq);
        w->gave_up++;
    }
    if (w->swarm->storm || status)
        worker_go(w);
}

static void worker_go(struct worker *w)
{
    struct swarm *s = w->swarm;
    struct env *env = &s->env[(size_t)(w - s->workers) % FIXTURE_CLIENTS];
    (void)snprintf(w->counter, sizeof(w->counter), "c/%u", (unsigned)rng_below(&s->rng, COUNTERS));
    txn_init(&w->txn, env, "Step", rule_step, w, on_step, w);
    if (rng_chance(&s->rng, 1, 3))
        w->txn.give_up_ns = (50 + rng_below(&s->rng, 3000)) * NS_PER_MS;
    (void)txn_read(&w->txn, bytes_of_str(w->marker), false);
    (void)txn_read(&w->txn, bytes_of_str(w->counter), false);
    (void)txn_read_range(&w->txn, bytes_of_str("m/"), bytes_of_str("m0"), 0,
                         rng_chance(&s->rng, 1, 2));
    w->busy = true;
    txn_start(&w->txn);
}

static void on_watch(struct store_watch *watch)
{
    struct worker *w = watch->arg;
    struct store *store = &w->swarm->env[0].store;
    w->fired++;
    if (w->swarm->storm)
        store->ops->watch(store->ctx, watch);
}

/* The truth: every step lands once, in its order. */
static void on_landed(void *arg, void *who, const void *note, const struct store_write *writes,
                      size_t count)
{
    struct swarm *s = arg;
    (void)who;
    (void)note;
    assert_int_equal(count, 2);
    struct bytes key = writes[0].key;
    size_t i = (size_t)(key.data[key.len - 1] - 'a');
    assert_true(i < WORKERS);
    assert_int_equal(number_of(writes[0].value), s->workers[i].landed + 1);
    s->workers[i].landed++;
    s->landings++;
}

static uint64_t swarm_random(void *ctx)
{
    return rng_u64(ctx);
}

static void swarm_open(struct swarm *s, uint64_t seed)
{
    static const struct random_ops random_ops = {swarm_random};
    memset(s, 0, sizeof(*s));
    rng_seed(&s->rng, seed, 1);
    uint16_t rate[SIM_FDB_FAULT_COUNT];
    for (size_t i = 0; i < SIM_FDB_FAULT_COUNT; i++)
        rate[i] = (uint16_t)(i == SIM_FDB_RECOVERY ? 10 : 20 + rng_below(&s->rng, 300));
    rate[SIM_FDB_CORRUPTION] = 0; /* these rows have no checksums */
    struct env log_only = {.mem = test_mem()};
    fdb_fixture_init(&s->fdb, &log_only, seed, rate, bytes_of_str(PREFIX));
    const struct sim_fdb_hooks hooks = {.arg = s, .landed = on_landed};
    sim_fdb_hook(s->fdb.sim, &hooks);
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++) {
        struct env *env = &s->env[i];
        env->mem = test_mem();
        env->clock = virtual_loop_clock(&s->fdb.time);
        env->timers = virtual_loop_timers(&s->fdb.time);
        env->random = (struct random){.ops = &random_ops, .ctx = &s->rng};
        env->store = store_fdb_store(s->fdb.client[i].store);
        env_init(env);
    }
}

static void swarm_begin(struct swarm *s)
{
    s->storm = true;
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s->workers[i];
        w->swarm = s;
        w->seq = 1;
        (void)snprintf(w->marker, sizeof(w->marker), "m/%c", (char)('a' + i));
        w->watch = (struct store_watch){.key = bytes_of_str(w->marker), .fn = on_watch, .arg = w};
        s->env[0].store.ops->watch(s->env[0].store.ctx, &w->watch);
        worker_go(w);
    }
}

static void run_for(struct swarm *s, uint64_t ns)
{
    virtual_loop_run(&s->fdb.time, s->fdb.time.now_ns + ns);
}

static void swarm_storm(struct swarm *s)
{
    uint64_t end = s->fdb.time.now_ns + STORM_NS;
    while (s->fdb.time.now_ns < end) {
        run_for(s, rng_below(&s->rng, 10 * NS_PER_S));
        if (rng_chance(&s->rng, 1, 2))
            sim_fdb_recover(s->fdb.sim, rng_below(&s->rng, 5 * NS_PER_S));
        struct fdb_database *db = s->fdb.client[rng_below(&s->rng, FIXTURE_CLIENTS)].db;
        sim_fdb_database_cut(db, true);
        run_for(s, rng_below(&s->rng, 3 * NS_PER_S));
        sim_fdb_database_cut(db, false);
    }
    s->storm = false;
    sim_fdb_calm(s->fdb.sim);
    run_for(s, CALM_NS);
}

static struct sim_fdb_stats swarm_run(uint64_t seed)
{
    static struct swarm s;
    swarm_open(&s, seed);
    swarm_begin(&s);
    swarm_storm(&s);
    size_t fired = 0, gave_up = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *w = &s.workers[i];
        assert_false(w->busy);
        assert_int_equal(w->landed + 1, w->seq);
        fired += w->fired;
        gave_up += w->gave_up;
        s.env[0].store.ops->unwatch(s.env[0].store.ctx, &w->watch);
    }
    assert_int_equal(sim_fdb_in_flight(s.fdb.sim), 0);
    assert_true(s.done > WORKERS * 20 && fired > WORKERS * 5 && gave_up > 0);
    assert_int_equal(s.landings, s.done);
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++)
        assert_true(store_fdb_connected(s.fdb.client[i].store));
    struct sim_fdb_stats stats = *sim_fdb_stats(s.fdb.sim);
    stats.watches_fired += s.fdb.time.seq << 20; /* the whole course of events */
    fdb_fixture_deinit(&s.fdb);
    assert_int_equal(test_mem_used(), 0);
    return stats;
}

static void test_every_step_lands_once(void **state)
{
    (void)state;
    struct sim_fdb_stats all = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_fdb_stats one = swarm_run(seed);
        all.commits += one.commits;
        all.landed += one.landed;
        all.landed_late += one.landed_late;
        all.unknown += one.unknown;
        all.recoveries += one.recoveries;
        all.inline_callbacks += one.inline_callbacks;
        all.destroyed_callbacks += one.destroyed_callbacks;
        for (size_t i = 0; i < SIM_FDB_FAULT_COUNT; i++)
            all.drawn[i] += one.drawn[i];
    }
    print_message("[   note   ] %llu commits sent, %llu landed, %llu of them late, %llu unknown, "
                  "%llu recoveries, callbacks: %llu inline, %llu of destroyed futures\n",
                  (unsigned long long)all.commits, (unsigned long long)all.landed,
                  (unsigned long long)all.landed_late, (unsigned long long)all.unknown,
                  (unsigned long long)all.recoveries, (unsigned long long)all.inline_callbacks,
                  (unsigned long long)all.destroyed_callbacks);
    assert_true(all.landed_late > 0 && all.unknown > 0 && all.recoveries > 0);
    assert_true(all.inline_callbacks > 0 && all.destroyed_callbacks > 0);
    for (size_t i = 0; i < SIM_FDB_FAULT_COUNT; i++)
        assert_true(all.drawn[i] > 0 || i == SIM_FDB_CORRUPTION);
}

static void test_deterministic(void **state)
{
    (void)state;
    struct sim_fdb_stats a = swarm_run(5), b = swarm_run(5), c = swarm_run(6);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &c, sizeof(a));
}

static void on_destroyed(struct fdb_future *f, void *arg)
{
    (void)f;
    ++*(size_t *)arg;
}

/* A pending future that is destroyed calls back: inside the call, as the real library does with
 * further clients loaded, or later. */
static void test_destroyed_futures(void **state)
{
    static struct fdb_fixture fdb;
    const struct fdb_api *api = sim_fdb_api();
    const struct env log_only = {.mem = test_mem()};
    struct fdb_transaction *tr;
    size_t calls = 0, inside = 0, futures = 200;
    (void)state;
    fdb_fixture_init(&fdb, &log_only, 3, NULL, bytes_of_str(PREFIX));
    assert_int_equal(api->database_create_transaction(fdb.client[0].db, &tr), 0);
    sim_fdb_database_cut(fdb.client[0].db, true);
    for (size_t i = 0; i < futures; i++) {
        struct fdb_future *f = api->transaction_get_read_version(tr);
        size_t before = calls;
        assert_int_equal(api->future_set_callback(f, on_destroyed, &calls), 0);
        assert_int_equal(calls, before);
        api->future_destroy(f);
        inside += calls - before;
    }
    assert_in_range(inside, 1, futures - 1);
    virtual_loop_run(&fdb.time, fdb.time.now_ns + 10 * NS_PER_MS);
    assert_int_equal(calls, futures);
    api->transaction_destroy(tr);
    fdb_fixture_deinit(&fdb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step_lands_once),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_destroyed_futures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
