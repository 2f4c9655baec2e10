#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "sim/sim_rig.h"

/* ---- the queue */

static void nothing(struct world *w, struct sim_event *e)
{
    (void)w;
    (void)e;
}

static void heap_sorts(void **state)
{
    enum { COUNT = 2000 };
    static struct sim_event events[COUNT];
    struct sim_heap h = {0};
    struct sim_item item;
    struct rng r;
    uint64_t due = 0, seq = 0;
    size_t left = 0;

    (void)state;
    rng_seed(&r, 7, 1);
    for (size_t i = 0; i < COUNT; i++) {
        event_init(&events[i], nothing);
        sim_heap_push(
            &h, &(struct sim_item){.due_ns = rng_below(&r, 300), .seq = i, .event = &events[i]});
    }
    for (size_t i = 0; i < COUNT; i += 3)
        sim_heap_remove(&h, events[i].heap_index);
    while (sim_heap_pop(&h, &item)) {
        assert_true(item.due_ns > due || (item.due_ns == due && (left == 0 || item.seq > seq)));
        assert_false(event_queued(item.event));
        due = item.due_ns;
        seq = item.seq;
        left++;
    }
    assert_int_equal(left, COUNT - (COUNT + 2) / 3);
    sim_heap_deinit(&h);
}

/* ---- clocks and timers */

struct alarm {
    struct process *p;
    struct timer timer;
    uint64_t set_ns, due_ns, rang_ns;
    unsigned rings;
};

static void ring(void *arg)
{
    struct alarm *a = arg;
    a->rings++;
    a->rang_ns = env_now_ns(&a->p->env);
}

static void set(struct alarm *a, struct process *p, uint64_t delay_ns)
{
    *a = (struct alarm){.p = p};
    timer_init(&a->timer, p->env.timers, "alarm", ring, a);
    a->set_ns = env_now_ns(&p->env);
    a->due_ns = a->set_ns + delay_ns;
    timer_start(&a->timer, delay_ns);
}

/* By the local clock a timer is never early, and hardly late; clocks differ within the bound. */
static void timers_go_by_the_local_clock(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct alarm a[3];
    bool differ = false;

    (void)state;
    c.faults = 1u << FAULT_DRIFT;
    c.drift_ppm_max = 5000;
    rig_begin(&r, &c);
    for (unsigned n = 0; n < 3; n++) {
        struct process *p = rig_process(&r, n);
        assert_in_range(p->drift_ppm + 5000, 0, 10000);
        differ |= p->drift_ppm != 0;
    }
    for (uint64_t delay = 0; delay < 100 * NS_PER_S; delay = delay * 3 + 1) {
        unsigned n = 0;
        LIST_FOREACH(it, &r.w.processes)
        {
            set(&a[n++], LIST_ENTRY(it, struct process, link), delay);
        }
        world_run(&r.w, r.w.now_ns + delay + delay / 100 + NS_PER_MS);
        for (n = 0; n < 3; n++) {
            assert_int_equal(a[n].rings, 1);
            assert_true(a[n].rang_ns >= a[n].due_ns);
            assert_true(a[n].rang_ns <= a[n].due_ns + NS_PER_MS);
        }
    }
    assert_true(differ);
    rig_end(&r);
}

static void a_stopped_timer_does_not_ring(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct alarm a;

    (void)state;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    set(&a, p, NS_PER_S);
    timer_start(&a.timer, 2 * NS_PER_S);
    world_run(&r.w, NS_PER_S + NS_PER_S / 2);
    assert_int_equal(a.rings, 0);
    assert_int_equal(process_timers(p), 1);
    timer_stop(&a.timer);
    world_run(&r.w, 4 * NS_PER_S);
    assert_int_equal(a.rings, 0);
    assert_int_equal(process_timers(p), 0);
    rig_end(&r);
}

static void the_frozen_wait(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct alarm a, b;

    (void)state;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    set(&a, p, NS_PER_S);
    set(&b, rig_process(&r, 1), NS_PER_S);
    process_freeze(p);
    world_run(&r.w, 5 * NS_PER_S);
    assert_int_equal(a.rings, 0);
    assert_int_equal(b.rings, 1);
    process_thaw(p);
    world_run(&r.w, 5 * NS_PER_S);
    assert_int_equal(a.rings, 1);
    assert_true(a.rang_ns >= a.set_ns + 5 * NS_PER_S);
    rig_end(&r);
}

/* A life that is killed gives everything back, and nothing of it runs again. */
static void the_killed_are_gone(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct alarm a;

    (void)state;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    (void)mem_alloc(p->env.mem, 1000);
    (void)mem_resize(p->env.mem, mem_alloc(p->env.mem, 10), 100000);
    assert_int_equal(p->mem.count, 2);
    set(&a, p, NS_PER_S);
    process_freeze(p);
    world_run(&r.w, 2 * NS_PER_S);
    process_free(p);
    world_run(&r.w, 4 * NS_PER_S);
    assert_int_equal(a.rings, 0);
    rig_end(&r);
}

/* ---- network */

struct inbox {
    unsigned frames, downs;
    char last[32];
};

static void on_frame(void *arg, struct bytes payload)
{
    struct inbox *in = arg;
    in->frames++;
    assert_true(payload.len < sizeof in->last);
    memcpy(in->last, payload.data, payload.len);
    in->last[payload.len] = '\0';
}

static void on_down(void *arg, const char *addr)
{
    struct inbox *in = arg;
    (void)addr;
    in->downs++;
}

static const struct net_events net_events = {.frame = on_frame, .down = on_down};

static void tell(struct process *from, const char *addr, const char *text)
{
    struct buf scratch;
    buf_init(&scratch, from->env.mem);
    assert_int_equal(net_send(from->env.net, addr, bytes_of_str(text), &scratch), 0);
    buf_deinit(&scratch);
}

static void frames_go_where_they_can(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct inbox in = {0}, back = {0};

    (void)state;
    rig_begin(&r, &c);
    struct process *a = rig_process(&r, 0), *b = rig_process(&r, 1);
    const char *to = sim_net_addr(r.w.net, 1, SIM_SLOT_NODE);
    a->env.net.ops->receive(a->env.net.ctx, &net_events, &back);
    b->env.net.ops->receive(b->env.net.ctx, &net_events, &in);
    tell(a, to, "one");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(in.frames, 1);
    assert_string_equal(in.last, "one");

    sim_net_cut(r.w.net, 0, 1, true);
    tell(a, to, "lost");
    tell(b, sim_net_addr(r.w.net, 0, SIM_SLOT_NODE), "comes");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(in.frames, 1);
    assert_string_equal(back.last, "comes");
    sim_net_cut(r.w.net, 0, 1, false);

    /* Whoever had a connection learns that it is gone; one to nobody is refused. */
    process_free(b);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(back.downs, 1);
    tell(a, to, "nobody");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(back.downs, 2);
    sim_net_machine(r.w.net, 1, false);
    tell(a, to, "silence");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(back.downs, 2);
    rig_end(&r);
}

/* ---- store */

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

static size_t rows_of(struct rig *r, struct process *p, const char *key)
{
    struct answer a = {0};
    struct key k = key_probe(&r->w.shadow->ks, key);
    struct store_read read = {.key = key_bytes(&k)};
    struct store_req req = {.reads = &read, .read_count = 1, .fn = on_answer, .arg = &a};
    size_t n;

    p->env.store.ops->read(p->env.store.ctx, &req);
    world_run(&r->w, r->w.now_ns + 10 * NS_PER_S);
    assert_int_equal(a.runs, 1);
    assert_int_equal(a.status, 0);
    n = req.results[0].count;
    p->env.store.ops->release(p->env.store.ctx, &req);
    assert_null(req.results);
    assert_int_equal(sim_store_holds(p), 0);
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
    struct sim_config c = rig_config();
    struct rig r;
    unsigned unknown = 0, done = 0;
    char key[16];

    (void)state;
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
    struct sim_config c = rig_config();
    struct rig r;
    struct answer a = {0};
    struct row sent, dies;

    (void)state;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0), *other = rig_process(&r, 1);
    struct store_req req = {.write_count = 1, .fn = on_answer, .arg = &a};
    row_make(&sent, &r, other, "sent");
    row_make(&dies, &r, other, "dies");
    req.writes = &sent.write;
    p->env.store.ops->commit(p->env.store.ctx, &req);
    p->env.store.ops->cancel(p->env.store.ctx, &req);
    assert_int_equal(sim_store_holds(p), 0);
    req.writes = &dies.write;
    p->env.store.ops->commit(p->env.store.ctx, &req);
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

static void watches_fire_once(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    unsigned fired = 0, other = 0;

    (void)state;
    rig_begin(&r, &c);
    struct process *p = rig_process(&r, 0);
    assert_int_equal(commit(&r, p, "a"), 0);
    struct key k = key_probe(&r.w.shadow->ks, "a");
    struct store_watch w = {
        .key = key_bytes(&k), .since_version = 1u << 20, .fn = on_watch, .arg = &fired};
    struct store_watch back = {
        .key = key_bytes(&k), .since_version = 1u << 20, .fn = on_watch, .arg = &other};
    /* A version that no core has given fires at once: for no good reason, and then it is over. */
    p->env.store.ops->watch(p->env.store.ctx, &w);
    p->env.store.ops->watch(p->env.store.ctx, &back);
    p->env.store.ops->unwatch(p->env.store.ctx, &back);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(fired, 1);
    assert_int_equal(other, 0);
    assert_false(w.armed);
    assert_int_equal(sim_store_holds(p), 0);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_sorts),
        cmocka_unit_test(timers_go_by_the_local_clock),
        cmocka_unit_test(a_stopped_timer_does_not_ring),
        cmocka_unit_test(the_frozen_wait),
        cmocka_unit_test(the_killed_are_gone),
        cmocka_unit_test(frames_go_where_they_can),
        cmocka_unit_test(unknown_results_go_both_ways),
        cmocka_unit_test(what_was_sent_lands),
        cmocka_unit_test(watches_fire_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
