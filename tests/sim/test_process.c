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

struct errand {
    struct sim_event event;
    struct process *p;
    unsigned runs;
};

static void run_errand(struct world *w, struct sim_event *e)
{
    struct errand *r = CONTAINER_OF(e, struct errand, event);
    (void)w;
    if (!process_hold(r->p, e))
        r->runs++;
}

/* What waits for the thaw of a life that ends can be cancelled. */
static void what_a_frozen_one_holds_is_let_go(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;

    (void)state;
    rig_begin(&r, &c);
    struct errand e = {.p = rig_process(&r, 0)};
    event_init(&e.event, run_errand);
    world_after(&r.w, &e.event, NS_PER_S);
    process_freeze(e.p);
    world_run(&r.w, 2 * NS_PER_S);
    process_let_go(e.p);
    world_cancel(&r.w, &e.event);
    process_free(e.p);
    world_run(&r.w, 4 * NS_PER_S);
    assert_int_equal(e.runs, 0);
    assert_false(event_queued(&e.event));
    rig_end(&r);
}

/* ---- network */

struct inbox {
    unsigned frames, downs;
    struct net_conn conn;
    char last[32];
};

static enum net_standing on_frame(void *arg, const struct net_from *from, struct bytes payload)
{
    struct inbox *in = arg;
    in->frames++;
    in->conn = from->conn;
    assert_true((from->conn.id == 0) == (from->dialled[0] != '\0'));
    assert_true(payload.len < sizeof in->last);
    memcpy(in->last, payload.data, payload.len);
    in->last[payload.len] = '\0';
    return NET_MEMBER;
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

static int answer(struct process *from, struct net_conn conn, const char *text)
{
    struct buf scratch;
    buf_init(&scratch, from->env.mem);
    int error = net_answer(from->env.net, conn, bytes_of_str(text), &scratch);
    buf_deinit(&scratch);
    return error;
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

/* An answer comes back on the connection of what it answers, or not at all. */
static void answers_go_back_where_they_came_from(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;
    struct inbox in = {0}, back = {0}, again = {0};

    (void)state;
    rig_begin(&r, &c);
    struct process *a = rig_process(&r, 0), *b = rig_process(&r, 1);
    const char *to = sim_net_addr(r.w.net, 1, SIM_SLOT_NODE);
    a->env.net.ops->receive(a->env.net.ctx, &net_events, &back);
    b->env.net.ops->receive(b->env.net.ctx, &net_events, &in);
    tell(a, to, "asks");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(answer(b, in.conn, "answers"), 0);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_string_equal(back.last, "answers");
    assert_int_equal(back.conn.id, 0);
    assert_int_equal(answer(b, (struct net_conn){0}, "to nobody"), KELPIE_E_UNREACHABLE);

    sim_net_reset(r.w.net, 0, 1);
    assert_int_equal(answer(b, in.conn, "too late"), KELPIE_E_UNREACHABLE);
    tell(a, to, "asks");
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    struct net_conn old = in.conn;
    process_free(a);
    a = rig_process(&r, 0);
    a->env.net.ops->receive(a->env.net.ctx, &net_events, &again);
    assert_int_equal(answer(b, old, "to a past life"), 0);
    world_run(&r.w, r.w.now_ns + NS_PER_S);
    assert_int_equal(again.frames, 0);
    rig_end(&r);
}

/* Whoever dials what no node's row names is found out, a real address included. */
static void what_is_in_no_row_is_not_dialled(void **state)
{
    struct sim_config c = rig_config();
    struct rig r;

    (void)state;
    rig_begin(&r, &c);
    struct process *a = rig_process(&r, 0);
    tell(a, sim_net_addr(r.w.net, 0, SIM_SLOT_NODE), "in a row");
    assert_int_equal(r.w.violation_count, 0);
    tell(a, sim_net_addr(r.w.net, 1, SIM_SLOT_NODE), "in none");
    assert_int_equal(r.w.violation_count, 1);
    assert_string_equal(r.w.violations[0].check, "DialsRowsOnly");
    tell(a, "10.66.66.66:6666", "nowhere");
    assert_int_equal(r.w.violation_count, 2);
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
        cmocka_unit_test(what_a_frozen_one_holds_is_let_go),
        cmocka_unit_test(frames_go_where_they_can),
        cmocka_unit_test(answers_go_back_where_they_came_from),
        cmocka_unit_test(what_is_in_no_row_is_not_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
