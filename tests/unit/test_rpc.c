/* Calls between two nodes: what completes, when, with what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/rpc_world.h"
#include "rpc/rpc_message.h"

static void an_answer_finds_its_call(void **state)
{
    struct world *w = *state;
    struct outcome a, b;

    call_text(w, &a, "first");
    call_text(w, &b, "second");
    assert_int_equal(rpc_outstanding(&w->nodes[0].rpc), 2);
    deliver(w);
    ASSERT_DONE(&a, 0);
    ASSERT_DONE(&b, 0);
    assert_string_equal(a.payload, "first");
    assert_string_equal(b.payload, "second");
    assert_string_equal(a.call.from.node_id, "n2");
    assert_int_equal(a.call.from.incarnation, 2);
    assert_true(uuid_equal(a.call.from.boot, uuid_filled(2)));
    assert_string_equal(w->nodes[1].last_request.from.node_id, "n1");
    assert_int_equal(w->nodes[1].last_request.deadline_ns, w->now_ns + 100 * NS_PER_MS);
    assert_int_equal(rpc_outstanding(&w->nodes[0].rpc), 0);
}

static void an_error_is_an_answer(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_text(w, &o, "fail");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_MAILBOX_FULL);
}

static void what_arrives_twice_is_taken_once(void **state)
{
    struct world *w = *state;
    struct outcome o;

    w->duplicate = true;
    call_text(w, &o, "twice");
    deliver(w);
    ASSERT_DONE(&o, 0);
    assert_int_equal(w->nodes[1].handled, 1);
    assert_int_equal(w->nodes[1].rpc.dropped, 1);
    assert_int_equal(w->nodes[0].rpc.dropped, 1);
    assert_int_equal(w->nodes[0].bad_count, 0);
}

/* The network may overtake, and call ids pass zero. */
static void a_window_tells_ids_that_came_from_those_that_did_not(void **state)
{
    static const struct {
        uint64_t conn, id;
        bool before;
    } t[] = {
        {1, 100, false},
        {1, 100, true},
        {1, 99, false},
        {1, 99, true},
        {2, 99, false}, /* of another connection */
        {1, 110, false},
        {1, 105, false},
        {1, 105, true},
        {1, 100, true},
        {1, 110 + RPC_SEEN_IDS - 6, false},
        {1, 105, true},
        {1, 106, false},
        {1, 103, true}, /* never came, and too old to tell */
        {1, 10 * RPC_SEEN_IDS, false},
        {1, 10 * RPC_SEEN_IDS - 1, false},
        {1, 110, true},
        {3, UINT64_MAX, false},
        {3, 1, false},
        {3, UINT64_MAX, true},
        {3, UINT64_MAX - 1, false},
        {3, 1, true},
    };
    struct world *w = *state;
    struct mem mem = w->nodes[0].rpc.env->mem;
    struct rpc_seen s;

    rpc_seen_init(&s);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
        assert_int_equal(rpc_seen_before(&s, mem, (struct net_conn){t[i].conn}, t[i].id),
                         t[i].before);
    for (uint64_t c = 4; c < 2 * RPC_SEEN_CONNS_MAX; c++)
        assert_false(rpc_seen_before(&s, mem, (struct net_conn){c}, 7));
    assert_int_equal(s.count, RPC_SEEN_CONNS_MAX);
    assert_true(rpc_seen_before(&s, mem, (struct net_conn){2 * RPC_SEEN_CONNS_MAX - 1}, 7));
    rpc_seen_deinit(&s, mem);
}

static void a_call_ends_at_its_deadline_and_a_late_answer_is_dropped(void **state)
{
    struct world *w = *state;
    struct outcome o;

    w->nodes[1].answer_later = true;
    call_text(w, &o, "slow");
    deliver(w);
    pass(w, 99 * NS_PER_MS);
    assert_int_equal(o.count, 0);
    /* Sent in time, arrives late. */
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("late"));
    pass(w, NS_PER_MS);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
    /* After the deadline nothing is sent at all. */
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("too late"));
    assert_int_equal(w->frame_count, 0);
}

static void a_cancelled_call_completes_soon_and_once(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_text(w, &o, "never mind");
    rpc_cancel(&o.call);
    rpc_cancel(&o.call);
    assert_int_equal(o.count, 0);
    deliver(w);
    assert_int_equal(o.count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_CANCELLED);
    rpc_cancel(&o.call);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_CANCELLED);
}

static void a_boot_that_is_gone_fails_its_calls_alone(void **state)
{
    struct world *w = *state;
    struct outcome a, b, c;

    call_boot(w, &a, uuid_filled(2), "a");
    call_boot(w, &b, uuid_filled(9), "b");
    call_boot(w, &c, uuid_filled(8), "c");
    lose_frames(w);
    rpc_fail_boot(&w->nodes[0].rpc, uuid_filled(0));
    rpc_fail_boot(&w->nodes[0].rpc, uuid_filled(9));
    pass(w, 1);
    assert_int_equal(a.count, 0);
    ASSERT_DONE(&b, KELPIE_E_UNREACHABLE);
    assert_int_equal(c.count, 0);
    rpc_cancel_all(&w->nodes[0].rpc);
    pass(w, 1);
    ASSERT_DONE(&a, KELPIE_E_CANCELLED);
    ASSERT_DONE(&c, KELPIE_E_CANCELLED);
}

static void a_broken_connection_fails_the_calls_on_it(void **state)
{
    struct world *w = *state;
    struct outcome o, other;
    struct node *n = &w->nodes[0];

    call_text(w, &o, "x");
    memset(&other, 0, sizeof other);
    rpc_start(&n->rpc, &other.call, "10.0.0.3:3", uuid_filled(3), RPC_PING, bytes_of(NULL, 0),
              NS_PER_S, on_done, &other);
    lose_frames(w);
    n->events->down(n->events_arg, addrs[1]);
    assert_int_equal(o.count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNREACHABLE);
    assert_int_equal(other.count, 0);
    pass(w, NS_PER_S);
    ASSERT_DONE(&other, KELPIE_E_TIMEOUT);
}

static void what_cannot_be_sent_fails_soon(void **state)
{
    struct world *w = *state;
    struct outcome o;
    struct rpc *rpc = &w->nodes[0].rpc;
    char long_addr[NET_ADDR_SIZE + 10];

    w->send_error = KELPIE_E_LIMIT;
    call_text(w, &o, "queue full");
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_LIMIT);
    assert_int_equal(rpc->queue_cap.reached, 1);
    w->send_error = 0;

    memset(long_addr, 'x', sizeof long_addr - 1);
    long_addr[sizeof long_addr - 1] = '\0';
    memset(&o, 0, sizeof o);
    rpc_start(rpc, &o.call, long_addr, uuid_filled(2), RPC_PING, bytes_of(NULL, 0), NS_PER_S,
              on_done, &o);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNREACHABLE);
    assert_int_equal(w->frame_count, 0);
}

static void payloads_have_a_bound_both_ways(void **state)
{
    struct world *w = *state;
    struct outcome o;
    uint8_t *big = calloc(1, RPC_PAYLOAD_MAX + 1);

    assert_non_null(big);
    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ACTOR_CALL,
              bytes_of(big, RPC_PAYLOAD_MAX + 1), NS_PER_S, on_done, &o);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_TOO_LARGE);

    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ACTOR_CALL,
              bytes_of(big, RPC_PAYLOAD_MAX), NS_PER_S, on_done, &o);
    deliver(w);
    ASSERT_DONE(&o, 0);
    assert_int_equal(o.payload_len, RPC_PAYLOAD_MAX);

    w->nodes[1].answer_len = RPC_PAYLOAD_MAX + 1;
    call_text(w, &o, "give me too much");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_TOO_LARGE);
    free(big);
}

static void a_kind_that_nobody_serves_is_unavailable(void **state)
{
    struct world *w = *state;
    struct outcome o;

    memset(&o, 0, sizeof o);
    rpc_start(&w->nodes[0].rpc, &o.call, addrs[1], uuid_filled(2), RPC_ADMIN, bytes_of(NULL, 0),
              NS_PER_S, on_done, &o);
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_UNAVAILABLE);
}

static void bad_frames_are_passed_on(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[0];

    n->events->bad(n->events_arg, "10.9.9.9:9", KELPIE_E_VERSION);
    assert_int_equal(n->bad_count, 1);
    assert_int_equal(n->bad_error, KELPIE_E_VERSION);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rpc_world_setup, rpc_world_teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_finds_its_call),
        T(an_error_is_an_answer),
        T(what_arrives_twice_is_taken_once),
        T(a_window_tells_ids_that_came_from_those_that_did_not),
        T(a_call_ends_at_its_deadline_and_a_late_answer_is_dropped),
        T(a_cancelled_call_completes_soon_and_once),
        T(a_boot_that_is_gone_fails_its_calls_alone),
        T(a_broken_connection_fails_the_calls_on_it),
        T(what_cannot_be_sent_fails_soon),
        T(payloads_have_a_bound_both_ways),
        T(a_kind_that_nobody_serves_is_unavailable),
        T(bad_frames_are_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
