/* The checkers find what they are there for, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "sim/sim_rows.h"
#include "sim/workload/sim_workload_link.h"

/* What a node tells; NULL: no checker speaks. */
static void tells(struct fixture *f, const char *name, const char *fields, const char *check)
{
    struct world *w = &f->r.w;
    check_told(f->p, LOG_WARN, name, fields);
    assert_int_equal(w->violation_count, check ? 1 : 0);
    assert_string_equal(check ? w->violations[0].check : "", check ? check : "");
    w->stop = false;
    w->violation_count = 0;
}

static void failures_are_named(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    const char *named = "who=\"n2\" incarnation=1 by=\"n1\" reason=\"silent\"";
    tells(&f, "node_failed", named, "FailuresAreNamed"); /* nobody has failed it */
    struct batch b = batch_of(&f.r, f.p);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 1,
        .boot = f.p->boot);
    commits(&b, NULL);
    tells(&f, "node_failed", named, "FailuresAreNamed"); /* it is Joining */
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_FAILED, .incarnation = 1,
        .boot = f.p->boot, .gone_view = 1);
    commits(&b, NULL);
    tells(&f, "node_failed", named, NULL);
    tells(&f, "node_flagged", "who=\"n2\"", NULL);
    tells(&f, "node_failed", "who=\"n2\" incarnation=1 by=\"n1\"", "FailuresAreNamed");
    tells(&f, "node_failed", "who=\"n2\" incarnation=1 by=\"n3\" reason=\"silent\"",
          "FailuresAreNamed");
    rig_end(&f.r);
}

static void moves_of_nodes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 1);
    commits(&b, NULL);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_LEAVING, .incarnation = 1);
    commits(&b, "NodeTransitions");
    PUT(&b, node_record, key_node(KS, "n3"), .state = NODE_ACTIVE, .incarnation = 1);
    commits(&b, "NodeTransitions");
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_FAILED, .incarnation = 1);
    commits(&b, "ViewIsActive"); /* because of n3, which is Active and in no view */
    rig_end(&f.r);
}

static void incarnations_grow_with_joins(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 1);
    commits(&b, NULL);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 2);
    commits(&b, "Growth");
    PUT(&b, node_record, key_node(KS, "n3"), .state = NODE_JOINING, .incarnation = 0);
    commits(&b, "Growth");
    rig_end(&f.r);
}

static void the_view_is_the_active_nodes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);
    struct view_record v = f.v;

    add_member(&v, "n2", 1);
    PUT(&b, view_record, key_view(KS), .number = v.number, .count = v.count, .hash_hi = v.hash_hi,
        .hash_lo = v.hash_lo);
    commits(&b, "ViewIsActive");
    PUT(&b, view_record, key_view(KS), .number = 2, .count = 1, .hash_hi = f.v.hash_hi,
        .hash_lo = f.v.hash_lo);
    commits(&b, "Growth"); /* 2 again */
    PUT(&b, view_record, key_view(KS), .number = 3, .count = 1, .hash_hi = f.v.hash_hi,
        .hash_lo = f.v.hash_lo);
    commits(&b, NULL);
    PUT(&b, view_record, key_view(KS), .number = 5, .count = 1, .hash_hi = f.v.hash_hi,
        .hash_lo = f.v.hash_lo);
    commits(&b, "Growth");
    rig_end(&f.r);
}

static void a_term_needs_a_majority(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    /* n1 alone is a majority of one voter. */
    PUT(&b, term_record, key_term(KS), .term = 2);
    PUT(&b, primary_record, key_primary(KS), .node_id = "n1", .incarnation = 1, .term = 2);
    commits(&b, NULL);
    /* n2 is Active as well, but has neither heartbeat nor answered. */
    struct view_record v = f.v;
    add_member(&v, "n2", 1);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 1);
    commits(&b, NULL);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_ACTIVE, .incarnation = 1);
    PUT(&b, view_record, key_view(KS), .number = v.number, .count = v.count, .hash_hi = v.hash_hi,
        .hash_lo = v.hash_lo);
    commits(&b, NULL);
    PUT(&b, term_record, key_term(KS), .term = 3);
    PUT(&b, primary_record, key_primary(KS), .node_id = "n1", .incarnation = 1, .term = 3);
    commits(&b, "GrantedByMajority");
    PUT(&b, term_record, key_term(KS), .term = 5);
    PUT(&b, primary_record, key_primary(KS), .node_id = "n1", .incarnation = 1, .term = 5);
    commits(&b, "Growth");
    rig_end(&f.r);
}

static void put_placement(struct batch *pb, uint64_t generation, bool placed)
{
    struct batch b = *pb;
    PUT(&b, placement_record, key_actor(KS, "counter", "a"), .placed = placed, .node_id = "n1",
        .incarnation = 1, .boot = b.p->boot, .generation = generation);
    *pb = b;
}

static void placements_and_their_index(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    put_placement(&b, 3, true);
    commits(&b, "ByNodeIsPlacement");
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 3);
    commits(&b, NULL);
    PUT(&b, by_node_record, key_by_node(KS, "n2", 1, "counter", "a"), .generation = 3);
    commits(&b, "ByNodeIsPlacement");
    put_placement(&b, 2, true);
    commits(&b, "Growth");
    rig_end(&f.r);
}

/* A new place is an Active node. An AbortMigration that lands when its node has failed is none. */
static void placements_are_on_active_nodes(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    put_placement(&b, 3, true);
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 3);
    PUT(&b, node_record, key_node(KS, "n2"), .state = NODE_JOINING, .incarnation = 1);
    commits(&b, NULL);
    PUT(&b, node_record, key_node(KS, "n1"), .state = NODE_FAILED, .incarnation = 1,
        .boot = f.p->boot, .gone_view = f.v.number + 1);
    PUT(&b, view_record, key_view(KS), .number = f.v.number + 1);
    commits(&b, NULL);
    put_placement(&b, 4, true);
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 4);
    commits(&b, NULL);
    PUT(&b, placement_record, key_actor(KS, "counter", "b"), .placed = true, .node_id = "n2",
        .incarnation = 1, .generation = 1);
    PUT(&b, by_node_record, key_by_node(KS, "n2", 1, "counter", "b"), .generation = 1);
    commits(&b, "PlacedOnActive");
    rig_end(&f.r);
}

static void put_request(struct batch *pb, const char *id, uint64_t at, uint64_t n, uint64_t g)
{
    struct batch b = *pb;
    struct remembered_record q = {.number = n, .generation = g};
    struct key key = key_remembered(KS, "counter", "a", at, request_hash(id));
    PUT(&b, head_record, key_head(KS, "counter", "a"), .number = n, .generation = g);
    (void)snprintf(q.request_id, sizeof q.request_id, "%s", id);
    remembered_record_encode(&q, key_bytes(&key), row(&b, key));
    *pb = b;
}

/* The activation of generation 3 runs at n1; n2 reads the state in generation 4. */
static void writes_are_fenced(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    put_placement(&b, 3, true);
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 3);
    commits(&b, NULL);
    put_request(&b, "r1", 1, 1, 3);
    commits(&b, NULL);
    put_request(&b, "r2", 2, 2, 2);
    commits(&b, "NoStaleWrite"); /* not the placement's generation */

    struct process *other = rig_process(&f.r, 1);
    struct batch ob = batch_of(&f.r, other);
    put_request(&ob, "r3", 3, 3, 3);
    commits(&ob, "NoStaleWrite"); /* not the placement's process */

    struct key_range range = keys_head_and_state(KS, "counter", "a");
    put_placement(&b, 4, true);
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 4);
    commits(&b, NULL);
    checks_on_range_read(&f.r.w, f.p, key_bytes(&range.begin), key_bytes(&range.end));
    assert_int_equal(shadow_actor(f.r.w.shadow, "counter", "a")->loaded, 4);
    put_request(&b, "r4", 4, 4, 3);
    commits(&b, "NoStaleWrite");
    rig_end(&f.r);
}

static void a_request_is_applied_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    put_placement(&b, 1, true);
    PUT(&b, by_node_record, key_by_node(KS, "n1", 1, "counter", "a"), .generation = 1);
    put_request(&b, "r1", 1, 1, 1);
    put_request(&b, "r2", 2, 2, 1);
    commits(&b, NULL);
    put_request(&b, "r2", 2, 2, 1); /* the same commit, seen again */
    commits(&b, NULL);
    put_request(&b, "r1", 3, 3, 1);
    commits(&b, "AppliedOnce");
    rig_end(&f.r);
}

static void rows_decode(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    struct batch b = batch_of(&f.r, f.p);

    PUT(&b, heartbeat_record, key_heartbeat(KS, "n1"), .incarnation = 1);
    b.values[0].data[b.values[0].len / 2] ^= 1;
    commits(&b, "RowsDecode");
    buf_append_u8(row(&b, key_probe(KS, "n1")), 1);
    b.keys[0].data[b.keys[0].len - 1] ^= 0x40;
    commits(&b, "RowsDecode");
    rig_end(&f.r);
}

/* ---- what clients are told */

static struct sim_op op_of(struct sim_actor *a, enum op_kind kind, uint32_t serial, uint64_t amount)
{
    struct sim_op op = {
        .actor = a, .kind = kind, .serial = serial, .amount = amount, .floor = a->floor};
    (void)snprintf(op.request_id, sizeof op.request_id, "r%u", serial);
    a->issued += amount;
    return op;
}

static void told(struct fixture *f, struct sim_op *op, const char *reply, const char *check)
{
    struct world *w = &f->r.w;

    assert_int_equal(check_reply(w, op, bytes_of_str(reply)), check == NULL);
    if (check)
        assert_string_equal(w->violations[0].check, check);
    w->violation_count = 0;
    w->stop = false;
}

static void replies_are_in_order(void **state)
{
    struct fixture f;
    struct sim_actor a = {.type = "counter", .id = "a", .counter = true};
    (void)state;
    begin(&f);
    struct sim_op one = op_of(&a, OP_ADD, 1, 2), two = op_of(&a, OP_ADD, 2, 3);

    told(&f, &one, "2", NULL);
    told(&f, &one, "2", NULL); /* repeated */
    told(&f, &one, "5", "RepliesInOrder");
    told(&f, &two, "2", "RepliesInOrder"); /* that was one's */
    told(&f, &two, "x", "RepliesInOrder");
    told(&f, &two, "6", "RepliesInOrder"); /* more than all together */
    told(&f, &two, "5", NULL);
    struct sim_op get = op_of(&a, OP_GET, 3, 0);
    told(&f, &get, "4", "RepliesInOrder"); /* 5 was told before */
    told(&f, &get, "5", NULL);
    struct sim_op three = op_of(&a, OP_ADD, 4, 1);
    told(&f, &three, "5", "RepliesInOrder");
    assert_int_equal(a.acknowledged, 5);

    get.acknowledged = a.acknowledged;
    get.value = 4;
    check_final(&f.r.w, &get);
    assert_string_equal(f.r.w.violations[0].check, "AcknowledgedIsDurable");
    f.r.w.violation_count = 0;
    get.value = 6;
    check_final(&f.r.w, &get); /* 5 acknowledged, one more asked for */
    assert_int_equal(f.r.w.violation_count, 0);
    free(a.by_value);
    rig_end(&f.r);
}

/* A request that was said to be surely not applied, in all of its attempts, explains nothing. */
static void what_timed_out_was_not_applied(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    for (unsigned refused = 0; refused <= 2; refused++) {
        struct sim_actor a = {.type = "counter", .id = "a", .counter = true};
        struct sim_op add = op_of(&a, OP_ADD, 1, 2), get = op_of(&a, OP_GET, 2, 0);

        history_asked(&f.r.w, &add);
        history_asked(&f.r.w, &add);
        for (unsigned i = 0; i < refused; i++)
            history_refused(&add, false);
        history_asked(&f.r.w, &get);
        get.value = 2;
        history_answered(&f.r.w, &get);
        check_histories(&f.r.w, &a, 1);
        assert_int_equal(f.r.w.violation_count, refused == 2);
        history_free(&a);
    }
    assert_string_equal(f.r.w.violations[0].check, "Linearizable");
    rig_end(&f.r);
}

/* What the table of errors says of a status, against what happened: of all attempts together, and of
 * the one that is known to have been applied. */
static void what_is_said_of_a_request_is_true(void **state)
{
    static const struct {
        unsigned attempts;
        int told[2];     /* the first of them; 0: nothing yet */
        bool is_applied; /* then */
        unsigned by;
        int told_after[2];
        const char *check;
    } rows[] = {
        {1, {KELPIE_E_MAILBOX_FULL}, false, 0, {0}, NULL},
        {1, {0}, true, 0, {KELPIE_E_UNKNOWN_RESULT}, NULL},
        {1, {0}, true, 0, {KELPIE_E_UNKNOWN_TYPE}, "AppliedIsTrue"},
        {1, {KELPIE_E_TIMEOUT}, true, 0, {0}, "AppliedIsTrue"},
        {2, {KELPIE_E_TIMEOUT}, true, 0, {0}, NULL}, /* the other one was */
        {2, {KELPIE_E_TIMEOUT}, true, 2, {0}, NULL},
        {2, {KELPIE_E_TIMEOUT}, true, 1, {0}, "AppliedIsTrue"},
        {2, {0}, true, 2, {KELPIE_E_NODE_FULL}, NULL},
        {2, {0}, true, 1, {KELPIE_E_NODE_FULL}, "AppliedIsTrue"},
        {2, {0}, true, 0, {KELPIE_E_LIMIT, KELPIE_E_LIMIT}, "AppliedIsTrue"},
        {2, {0}, true, 0, {KELPIE_E_LIMIT, KELPIE_E_UNREACHABLE}, NULL},
        {1, {KELPIE_E_APPLIED_NO_REPLY}, false, 0, {0}, "AppliedIsTrue"},
        {1, {0}, true, 0, {KELPIE_E_APPLIED_NO_REPLY}, NULL},
    };
    struct fixture f;
    (void)state;
    begin(&f);
    struct world *w = &f.r.w;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_actor a = {.type = "trial", .id = "a", .counter = true, .trial = true};
        struct sim_op op = op_of(&a, OP_ADD, 1, 2);
        op.open = rows[i].attempts;
        for (unsigned k = 0; k < 2 && rows[i].told[k]; k++)
            (void)check_outcome(w, &op, k + 1, false, rows[i].told[k]);
        if (rows[i].is_applied)
            check_applied(w, &op, rows[i].by);
        for (unsigned k = 0; k < 2 && rows[i].told_after[k]; k++)
            (void)check_outcome(w, &op, k + 1, false, rows[i].told_after[k]);
        (void)check_outcome(w, &op, 9, true, KELPIE_E_MAILBOX_FULL); /* it began too late */
        assert_int_equal(w->violation_count, rows[i].check != NULL);
        if (rows[i].check)
            assert_string_equal(w->violations[0].check, rows[i].check);
        w->violation_count = 0;
        w->stop = false;
    }
    struct sim_actor a = {.type = "counter", .id = "a", .counter = true};
    struct sim_op get = op_of(&a, OP_GET, 1, 0);
    get.open = 1;
    check_applied(w, &get, 0);
    assert_int_equal(w->violation_count, 1);
    rig_end(&f.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_of_nodes),
        cmocka_unit_test(failures_are_named),
        cmocka_unit_test(incarnations_grow_with_joins),
        cmocka_unit_test(the_view_is_the_active_nodes),
        cmocka_unit_test(a_term_needs_a_majority),
        cmocka_unit_test(placements_and_their_index),
        cmocka_unit_test(placements_are_on_active_nodes),
        cmocka_unit_test(writes_are_fenced),
        cmocka_unit_test(a_request_is_applied_once),
        cmocka_unit_test(rows_decode),
        cmocka_unit_test(what_is_said_of_a_request_is_true),
        cmocka_unit_test(replies_are_in_order),
        cmocka_unit_test(what_timed_out_was_not_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
