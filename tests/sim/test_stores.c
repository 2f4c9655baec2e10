/* The way to the store of a simulated process, on both kinds of store: what was sent lands, what is
 * unknown may be either, what is held is known and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "sim/sim_rig.h"

#define TRIALS 40

static struct sim_config config_of(void **state)
{
    struct sim_config c = rig_config();
    c.store = *(const uint32_t *)*state;
    return c;
}

/* A row that no invariant is about: the probe of a node that there is not. */
struct row {
    struct key key;
    struct buf value;
    struct store_write write;
};

static void row_make(struct row *row, struct rig *r, struct process *p, const char *name)
{
    const struct probe_record probe = {.counter = 1};

    row->key = key_probe(&r->w.shadow->ks, name);
    buf_init(&row->value, p->env.mem);
    probe_record_encode(&probe, key_bytes(&row->key), &row->value);
    row->write = (struct store_write){
        .kind = STORE_PUT, .key = key_bytes(&row->key), .value = buf_bytes(&row->value)};
}

struct answer {
    unsigned runs;
    int status;
};

static void on_answer(struct store_req *req, int status)
{
    struct answer *a = req->arg;
    a->runs++;
    a->status = status;
}

/* How many there are, 0 or 1; -1: the store does not say. */
static int rows_once(struct rig *r, struct process *p, const char *key)
{
    struct answer a = {0};
    struct key k = key_probe(&r->w.shadow->ks, key);
    struct store_read read = {.key = key_bytes(&k)};
    struct store_req req = {.reads = &read, .read_count = 1, .fn = on_answer, .arg = &a};

    p->env.store.ops->read(p->env.store.ctx, &req);
    assert_int_equal(sim_store_holds(p), 1);
    world_run(&r->w, r->w.now_ns + 5 * NS_PER_S);
    assert_int_equal(a.runs, 1);
    if (a.status)
        return -1;
    assert_int_equal(sim_store_holds(p), 1);
    int n = (int)req.results[0].count;
    p->env.store.ops->release(p->env.store.ctx, &req);
    assert_null(req.results);
    assert_int_equal(sim_store_holds(p), 0);
    return n;
}

static int rows_of(struct rig *r, struct process *p, const char *key)
{
    int n;
    do
        n = rows_once(r, p, key);
    while (n < 0);
    return n;
}

static int commit(struct rig *r, struct process *p, const char *key)
{
    struct row row;
    int status;

    row_make(&row, r, p, key);
    status = rig_commit(r, p, &row.write, 1);
    buf_deinit(&row.value);
    assert_false(r->w.stop);
    return status;
}

/* "Unknown" is told for commits that are done, for ones that are not, and for ones still to come. */
static void unknown_results_go_both_ways(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    int unknown = 0, done = 0;
    char key[16];

    c.faults = 1u << FAULT_UNKNOWN | 1u << FAULT_LATE;
    c.unknown_per_1024 = 512;
    c.late_per_1024 = 512;
    c.late_ms_max = 500;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        int status = commit(&r, p, key);
        if (status == 0)
            continue;
        assert_int_equal(status, KELPIE_E_UNKNOWN_RESULT);
        unknown++;
        done += rows_of(&r, p, key) == 1;
    }
    assert_in_range(unknown, 20, 95);
    assert_in_range(done, 5, unknown - 5);
    assert_true(sim_store_stats(&r.w).late > 0);
    rig_end(&r);
}

/* A commit that was sent lands, whether its sender takes it back or dies. */
static void what_was_sent_lands(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct answer a = {0};
    struct row sent, dies;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0), *other = rig_process(&r, 1);
    struct store_req req = {.write_count = 1, .fn = on_answer, .arg = &a};
    row_make(&sent, &r, other, "sent");
    row_make(&dies, &r, other, "dies");
    req.writes = &sent.write;
    p->env.store.ops->commit(p->env.store.ctx, &req);
    world_run(&r.w, r.w.now_ns + 60000); /* the library may take as long to send it */
    p->env.store.ops->cancel(p->env.store.ctx, &req);
    assert_int_equal(sim_store_holds(p), 0);
    req.writes = &dies.write;
    p->env.store.ops->commit(p->env.store.ctx, &req);
    world_run(&r.w, r.w.now_ns + 60000);
    process_free(p);
    buf_deinit(&sent.value);
    buf_deinit(&dies.value);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(a.runs, 0);
    assert_int_equal(rows_of(&r, other, "sent"), 1);
    assert_int_equal(rows_of(&r, other, "dies"), 1);
    assert_int_equal(sim_store_in_flight(&r.w), 0);
    rig_end(&r);
}

static void on_watch(struct store_watch *w)
{
    ++*(unsigned *)w->arg;
}

/* Of a version that is none, or long over, a watch fires at once, and then it is over. */
static void watches_fire_once(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    unsigned fired = 0, other = 0;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    assert_int_equal(commit(&r, p, "a"), 0);
    struct key k = key_probe(&r.w.shadow->ks, "a");
    struct store_watch w = {
        .key = key_bytes(&k), .since_version = 1u << 20, .fn = on_watch, .arg = &fired};
    struct store_watch back = {
        .key = key_bytes(&k), .since_version = 1u << 20, .fn = on_watch, .arg = &other};
    p->env.store.ops->watch(p->env.store.ctx, &w);
    p->env.store.ops->watch(p->env.store.ctx, &back);
    assert_int_equal(sim_store_holds(p), 2);
    p->env.store.ops->unwatch(p->env.store.ctx, &back);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(fired, 1);
    assert_int_equal(other, 0);
    assert_false(w.armed);
    assert_int_equal(sim_store_holds(p), 0);
    rig_end(&r);
}

/* Who is cut off gets no answer of any worth; who is not does. */
static void who_is_cut_off_is_alone(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0), *other = rig_process(&r, 1);
    sim_store_cut(&r.w, 0, true);
    assert_int_not_equal(commit(&r, p, "a"), 0);
    assert_int_equal(rows_once(&r, p, "b"), -1);
    assert_int_equal(rows_once(&r, other, "b"), 0);
    assert_int_equal(commit(&r, other, "b"), 0);
    sim_store_cut(&r.w, 0, false);
    assert_int_equal(rows_once(&r, p, "b"), 1);
    assert_int_equal(commit(&r, p, "c"), 0);
    rig_end(&r);
}

/* While the store recovers nobody commits; with or without reads. */
static void a_recovery_ends(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct answer a = {0};
    struct row row;

    for (int reads_too = 0; reads_too < 2; reads_too++) {
        rig_begin(&r, &c);
        struct process *p = rig_process(&r, 0);
        row_make(&row, &r, p, "a");
        struct store_req req = {.writes = &row.write, .write_count = 1, .fn = on_answer, .arg = &a};
        sim_store_recovery(&r.w, reads_too, true);
        p->env.store.ops->commit(p->env.store.ctx, &req);
        world_run(&r.w, r.w.now_ns + NS_PER_S / 2);
        assert_int_equal(sim_store_stats(&r.w).committed, 0);
        p->env.store.ops->cancel(p->env.store.ctx, &req);
        if (!reads_too)
            assert_int_equal(rows_once(&r, p, "a"), 0);
        sim_store_recovery(&r.w, reads_too, false);
        world_run(&r.w, r.w.now_ns + NS_PER_S);
        assert_int_equal(commit(&r, p, "b"), 0);
        assert_int_equal(rows_of(&r, p, "b"), 1);
        buf_deinit(&row.value);
        rig_end(&r);
    }
}

/* What the driver has taken from the process comes back when it is closed, and not before its
 * library has let go. */
static void a_closed_way_keeps_nothing(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct answer a = {0};
    unsigned waited = 0;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    struct key k = key_probe(&r.w.shadow->ks, "a");
    struct store_read read = {.key = key_bytes(&k)};
    struct store_req req = {.reads = &read, .read_count = 1, .fn = on_answer, .arg = &a};
    assert_int_equal(rows_once(&r, p, "a"), 0);
    p->env.store.ops->read(p->env.store.ctx, &req);
    p->env.store.ops->cancel(p->env.store.ctx, &req);
    while (!sim_store_closed(p)) {
        assert_true(++waited < 100);
        world_run(&r.w, r.w.now_ns + NS_PER_MS);
    }
    assert_true(waited > 0 || c.store == SIM_STORE_EMBEDDED);
    assert_int_equal(a.runs, 0);
    assert_int_equal(p->mem.count, 0);
    assert_int_equal(process_timers(p), 0);
    assert_int_equal(sim_store_holds(p), 0);
    rig_end(&r);
}

/* The library of a process that stands still sends nothing; once it goes on, the commit is sent
 * after all, or its time is over before. */
static void a_frozen_library_stands_still(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct row row;
    int landed = 0;
    char key[16];

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0), *other = rig_process(&r, 1);
    for (int i = 0; i < TRIALS; i++) {
        struct answer a = {0};
        (void)snprintf(key, sizeof key, "k%d", i);
        row_make(&row, &r, other, key);
        struct store_req req = {.writes = &row.write, .write_count = 1, .fn = on_answer, .arg = &a};
        p->env.store.ops->commit(p->env.store.ctx, &req);
        process_freeze(p);
        assert_int_equal(rows_of(&r, other, key), 0);
        process_thaw(p);
        world_run(&r.w, r.w.now_ns + NS_PER_S);
        assert_int_equal(a.runs, 1);
        assert_true(a.status == 0 || a.status == KELPIE_E_UNKNOWN_RESULT);
        int there = rows_of(&r, other, key);
        assert_true(there == 1 || a.status != 0);
        landed += there;
        buf_deinit(&row.value);
    }
    assert_in_range(landed, 1, TRIALS - 1);
    rig_end(&r);
}

/* The store's process dies and another one begins over what there is: nothing that was told is lost,
 * and nothing is committed that was read before. */
static void a_store_that_died_knows_its_rows(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct answer a = {0};
    struct row row;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    assert_int_equal(commit(&r, p, "a"), 0);
    struct key k = key_probe(&r.w.shadow->ks, "a");
    struct store_read read = {.key = key_bytes(&k)};
    row_make(&row, &r, p, "b");
    struct store_req req = {.reads = &read, .read_count = 1, .fn = on_answer, .arg = &a};
    p->env.store.ops->read(p->env.store.ctx, &req);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(a.status, 0);
    sim_store_process(&r.w, false);
    world_run(&r.w, r.w.now_ns + 4 * NS_PER_S);
    assert_int_not_equal(commit(&r, p, "c"), 0);
    sim_store_process(&r.w, true);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    req.writes = &row.write;
    req.write_count = 1;
    p->env.store.ops->commit(p->env.store.ctx, &req);
    world_run(&r.w, r.w.now_ns + 5 * NS_PER_S);
    assert_int_equal(a.runs, 2);
    assert_int_equal(a.status, KELPIE_E_TOO_OLD);
    p->env.store.ops->release(p->env.store.ctx, &req);
    assert_int_equal(rows_of(&r, p, "a"), 1);
    assert_int_equal(rows_of(&r, p, "b"), 0);
    assert_int_equal(commit(&r, p, "b"), 0);
    buf_deinit(&row.value);
    rig_end(&r);
}

/* A batch that finds no room is refused, and the next one that does is not. */
static void a_full_store_takes_nothing(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    sim_store_full(&r.w, true);
    assert_int_equal(commit(&r, p, "a"), KELPIE_E_STORE_FULL);
    assert_int_equal(rows_of(&r, p, "a"), 0);
    sim_store_full(&r.w, false);
    assert_int_equal(commit(&r, p, "a"), 0);
    assert_int_equal(rows_of(&r, p, "a"), 1);
    rig_end(&r);
}

/* Over a connection that broke nothing comes back: who waited is told, its watches fire, and over the next
 * one the session goes on. */
static void a_connection_that_breaks_tells_all(void **state)
{
    struct sim_config c = config_of(state);
    struct rig r;
    struct answer a = {0};
    struct row row;
    unsigned fired = 0;

    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    assert_int_equal(commit(&r, p, "a"), 0);
    struct key k = key_probe(&r.w.shadow->ks, "a");
    struct store_read read = {.key = key_bytes(&k)};
    struct store_req first = {.reads = &read, .read_count = 1, .fn = on_answer, .arg = &a};
    p->env.store.ops->read(p->env.store.ctx, &first);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    p->env.store.ops->release(p->env.store.ctx, &first);
    struct store_watch w = {
        .key = key_bytes(&k), .since_version = first.read_version, .fn = on_watch, .arg = &fired};
    p->env.store.ops->watch(p->env.store.ctx, &w);
    row_make(&row, &r, p, "b");
    struct store_req req = {.writes = &row.write, .write_count = 1, .fn = on_answer, .arg = &a};
    sim_store_cut(&r.w, 0, true);
    p->env.store.ops->commit(p->env.store.ctx, &req);
    world_run(&r.w, r.w.now_ns + 5 * NS_PER_S);
    assert_int_equal(a.status, KELPIE_E_UNKNOWN_RESULT);
    assert_int_equal(fired, 1);
    assert_int_equal(sim_store_holds(p), 0);
    assert_int_equal(commit(&r, p, "c"), KELPIE_E_STORE_UNAVAILABLE);
    sim_store_cut(&r.w, 0, false);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(commit(&r, p, "c"), 0);
    buf_deinit(&row.value);
    rig_end(&r);
}

#define BOTH(test) cmocka_unit_test_prestate(test, &fdb), cmocka_unit_test_prestate(test, &embedded)

int main(void)
{
    static uint32_t fdb = SIM_STORE_FDB, embedded = SIM_STORE_EMBEDDED;
    const struct CMUnitTest tests[] = {
        BOTH(unknown_results_go_both_ways),
        BOTH(what_was_sent_lands),
        BOTH(watches_fire_once),
        BOTH(who_is_cut_off_is_alone),
        BOTH(a_recovery_ends),
        BOTH(a_closed_way_keeps_nothing),
        cmocka_unit_test_prestate(a_frozen_library_stands_still, &fdb),
        cmocka_unit_test_prestate(a_store_that_died_knows_its_rows, &embedded),
        cmocka_unit_test_prestate(a_full_store_takes_nothing, &embedded),
        cmocka_unit_test_prestate(a_connection_that_breaks_tells_all, &embedded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
