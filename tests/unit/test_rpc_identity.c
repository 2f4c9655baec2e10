/* Who is believed: requests and answers of another life, another cluster, by another way. */
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

static void a_request_for_another_life_is_not_handled(void **state)
{
    struct world *w = *state;
    struct outcome o;

    call_boot(w, &o, uuid_filled(9), "old");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_NOT_HERE);
    assert_int_equal(w->nodes[1].handled, 0);
    assert_true(uuid_equal(o.call.from.boot, uuid_filled(2)));
    /* A node of this cluster that still knew that life is no stranger. */
    assert_int_equal(w->nodes[1].standing, NET_MEMBER);
}

/* Zero is nobody's id: not of the life that is asked, nor of a cluster, a sender or a call. */
static void zero_ids_match_nothing(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[1];
    struct outcome o;
    struct rpc_message good = {.kind = RPC_ACTOR_CALL,
                               .remaining_ms = 5,
                               .id = 1,
                               .from = w->nodes[0].rpc.self,
                               .target_boot = uuid_filled(2)};
    const struct {
        struct rpc_message m;
        size_t answers;
    } cases[] = {
        {{0}, 0}, {good, 1}, {good, 1}, {good, 0}, {good, 0},
    };
    struct buf out;

    call_boot(w, &o, uuid_filled(0), "whoever");
    assert_int_equal(w->frame_count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNREACHABLE);

    buf_init(&out, n->env.mem);
    for (size_t i = 1; i < ARRAY_LEN(cases); i++) {
        struct rpc_message m = cases[i].m;

        m.id = i;
        if (i == 1)
            m.target_boot = uuid_filled(0);
        if (i == 2)
            m.from.cluster_id = uuid_filled(0);
        if (i == 3)
            m.from.boot = uuid_filled(0);
        if (i == 4)
            m.id = 0;
        buf_clear(&out);
        rpc_message_encode(&out, &m);
        assert_int_not_equal(arrive(n, (struct net_conn){1}, "", buf_bytes(&out)), NET_STRANGER);
        assert_int_equal(w->frame_count, cases[i].answers);
        lose_frames(w);
    }
    assert_int_equal(n->handled, 0);
    buf_deinit(&out);
}

static void another_cluster_is_refused_and_named(void **state)
{
    struct world *w = *state;
    struct outcome o;

    set_cluster(&w->nodes[0], uuid_filled(0xab));
    call_text(w, &o, "stranger");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_STORE_FOREIGN);
    assert_int_equal(w->nodes[1].handled, 0);
    assert_int_equal(w->nodes[1].bad_error, KELPIE_E_STORE_FOREIGN);
    assert_non_null(strstr(w->nodes[1].bad_why, "abababab-abab-abab-abab-abababababab"));
    assert_non_null(strstr(w->nodes[1].bad_why, "07070707-0707-0707-0707-070707070707"));
    assert_non_null(strstr(w->nodes[1].bad_why, "n1"));

    assert_int_equal(w->nodes[1].standing, NET_REFUSED);
    assert_int_equal(w->nodes[1].rpc.refused, 1);

    /* Who does not know its cluster has none, and who is asked before it knows its own cannot say. */
    set_cluster(&w->nodes[0], uuid_filled(0));
    call_text(w, &o, "newcomer");
    assert_int_equal(w->frame_count, 0);
    pass(w, 1);
    ASSERT_DONE(&o, KELPIE_E_UNAVAILABLE);
    set_cluster(&w->nodes[0], uuid_filled(7));
    set_cluster(&w->nodes[1], uuid_filled(0));
    call_text(w, &o, "too early");
    deliver(w);
    ASSERT_DONE(&o, KELPIE_E_UNAVAILABLE);
    assert_int_equal(w->nodes[1].handled, 0);
}

static void an_answer_from_another_node_is_not_taken(void **state)
{
    struct world *w = *state;
    struct outcome o;
    struct rpc_identity self = w->nodes[1].rpc.self;

    w->nodes[1].answer_later = true;
    call_text(w, &o, "x");
    deliver(w);
    self.boot = uuid_filled(5);
    rpc_set_identity(&w->nodes[1].rpc, &self);
    rpc_reply(&w->nodes[1].rpc, &w->nodes[1].last_request, 0, bytes_of_str("not mine"));
    deliver(w);
    assert_int_equal(o.count, 0);
    assert_int_equal(w->nodes[0].bad_error, KELPIE_E_PROTOCOL);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
}

/* The id of a call is no proof: its answer comes on the connection to the node that was asked, and
 * to whoever asked. */
static void an_answer_by_another_way_is_not_taken(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[0];
    struct outcome o;
    struct rpc_message m = {.is_answer = true, .from = w->nodes[1].rpc.self};
    struct buf out;

    call_text(w, &o, "x");
    lose_frames(w);
    m.id = o.call.id;
    m.target_boot = n->rpc.self.boot;
    buf_init(&out, n->env.mem);
    rpc_message_encode(&out, &m);
    assert_int_equal(arrive(n, (struct net_conn){2}, "", buf_bytes(&out)), NET_REFUSED);
    assert_int_equal(arrive(n, (struct net_conn){0}, "10.0.0.3:3", buf_bytes(&out)), NET_REFUSED);
    n->identity = "n3";
    assert_int_equal(arrive(n, (struct net_conn){0}, addrs[1], buf_bytes(&out)), NET_REFUSED);
    n->identity = "";
    buf_clear(&out);
    m.target_boot = uuid_filled(9);
    rpc_message_encode(&out, &m);
    assert_int_equal(arrive(n, (struct net_conn){0}, addrs[1], buf_bytes(&out)), NET_REFUSED);
    assert_int_equal(o.count, 0);
    buf_clear(&out);
    m.target_boot = n->rpc.self.boot;
    rpc_message_encode(&out, &m);
    assert_int_equal(arrive(n, (struct net_conn){0}, addrs[1], buf_bytes(&out)), NET_MEMBER);
    ASSERT_DONE(&o, 0);
    buf_deinit(&out);
}

static void who_has_proven_a_name_speaks_in_no_other(void **state)
{
    struct world *w = *state;
    struct outcome o;

    w->nodes[1].identity = "n3";
    call_text(w, &o, "as n1");
    deliver(w);
    assert_int_equal(w->nodes[1].handled, 0);
    assert_int_equal(w->nodes[1].bad_count, 1);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
    w->nodes[1].identity = "n1";
    call_text(w, &o, "as n1");
    deliver(w);
    ASSERT_DONE(&o, 0);
}

/* Requests come where a node is dialled, never on a connection that it dialled itself. */
static void a_request_on_the_wrong_side_is_refused(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[1];
    struct outcome o;

    call_text(w, &o, "x");
    assert_int_equal(arrive(n, (struct net_conn){0}, addrs[0],
                            net_frame_payload(bytes_of(w->frames[0].data, w->frames[0].len))),
                     NET_REFUSED);
    assert_int_equal(n->handled, 0);
    deliver(w);
    ASSERT_DONE(&o, 0);
}

static void an_answer_to_a_connection_that_is_gone_is_dropped(void **state)
{
    struct world *w = *state;
    struct outcome o;
    uint64_t dropped = w->nodes[1].rpc.dropped;

    w->gone = true;
    call_text(w, &o, "x");
    deliver(w);
    assert_int_equal(w->nodes[1].handled, 1);
    assert_int_equal(w->nodes[1].rpc.dropped, dropped + 1);
    pass(w, NS_PER_S);
    ASSERT_DONE(&o, KELPIE_E_TIMEOUT);
}

/* Every message that is cut short, or has a byte too many, is dropped and reported. */
static void malformed_messages_are_dropped(void **state)
{
    struct world *w = *state;
    struct node *n = &w->nodes[1];
    struct rpc_message m = {
        .kind = RPC_ACTOR_CALL, .remaining_ms = 5, .payload = bytes_of_str("p")};
    struct net_conn conn = {1};
    struct buf good;

    m.id = 7;
    m.from = w->nodes[0].rpc.self;
    m.target_boot = uuid_filled(2);
    buf_init(&good, n->env.mem);
    rpc_message_encode(&good, &m);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(arrive(n, conn, "", bytes_of(good.data, len)), NET_REFUSED);
    assert_int_equal(n->bad_count, good.len);
    assert_int_equal(n->bad_error, KELPIE_E_PROTOCOL);
    assert_int_equal(n->handled, 0);

    buf_append_u8(&good, 0);
    (void)arrive(n, conn, "", buf_bytes(&good));
    good.len--;
    good.data[1] = RPC_KIND_COUNT;
    (void)arrive(n, conn, "", buf_bytes(&good));
    good.data[1] = RPC_ACTOR_CALL;
    good.data[0] = 0x80;
    (void)arrive(n, conn, "", buf_bytes(&good));
    assert_int_equal(n->handled, 0);
    good.data[0] = 0;
    (void)arrive(n, conn, "", buf_bytes(&good));
    assert_int_equal(n->handled, 1);
    assert_int_equal(n->bad_count, good.len + 3);
    lose_frames(w);
    buf_deinit(&good);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rpc_world_setup, rpc_world_teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_for_another_life_is_not_handled),
        T(zero_ids_match_nothing),
        T(another_cluster_is_refused_and_named),
        T(an_answer_from_another_node_is_not_taken),
        T(an_answer_by_another_way_is_not_taken),
        T(who_has_proven_a_name_speaks_in_no_other),
        T(a_request_on_the_wrong_side_is_refused),
        T(an_answer_to_a_connection_that_is_gone_is_dropped),
        T(malformed_messages_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
