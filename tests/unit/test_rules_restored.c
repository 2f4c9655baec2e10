/*
 * A restored store becomes a new epoch: the rules as tables. Words: lib/rule_rig.h. `with` says what
 * the first look saw: heartbeats, then probes behind a bar; the epoch is the first, unless `flag` says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/rule_cases.h"
#include "registry/rules_restored.h"

#define REFUSED KELPIE_E_REFUSED

static struct restored_op op;

static void begin(struct rig *r, const struct rule_case *c)
{
    char heartbeats[256] = "";
    const char *bar = c->with ? strchr(c->with, '|') : NULL;
    memset(&op, 0, sizeof(op));
    op.ks = &r->ks;
    op.epoch = c->flag ? (uint64_t)c->flag : 1;
    op.new_cluster_id = rig_boot("format", 2);
    if (!c->with)
        return;
    (void)snprintf(heartbeats, sizeof(heartbeats), "%.*s",
                   (int)(bar ? bar - c->with : (ptrdiff_t)strlen(c->with)), c->with);
    op.heartbeat_count = rig_silences(heartbeats, op.heartbeats, NODES_MAX);
    if (bar)
        op.probe_count = rig_silences(bar + 1, op.probes, PROBES_MAX);
    for (size_t i = 0; i < op.probe_count; i++)
        op.probes[i].life.incarnation = 0; /* the words have one, probes do not */
}

/* ---- numbers */

static void numbers(void **state)
{
    static const struct {
        uint64_t epoch, last, want;
    } cases[] = {
        {1, 0, 1000000000},          {1, 7, 1000000000},          {1, 999999999, 1000000000},
        {1, 1000000000, 2000000000}, /* more than an epoch hands out: beyond all the same */
        {1, 1000000001, 2000000000}, {2, 1000000007, 2000000000}, {3, 5, 3000000000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(epoch_beyond(cases[i].epoch, cases[i].last), cases[i].want);
}

/* ---- look: flag 1 looks again */

static void start_look(struct rig *r, const struct rule_case *c)
{
    begin(r, c);
    op.again = c->flag == 1;
    restored_look_prepare(&op, &r->env, rig_done, r);
    txn_start(&op.txn);
}

#define CLUSTER "format=1 a=A1 a~7/5 b=F2@4 b~3/4 c=L1 view=5 probe:c=4b9"

static const struct rule_case look_cases[] = {
    {"first", CLUSTER, NULL, 0, 0, ""},
    {"no cluster", "", NULL, 0, REFUSED, "no cluster under the prefix 'kelpie'"},
    {"made, but never joined", "format=1", NULL, 0, 0, ""},
    {"no room", "format=1 view=18446744073709551000", NULL, 0, REFUSED, "no room"},
    {"again", CLUSTER, "a1~7 b2~3|c1b9~4", 1, 0, ""},
    {"a heartbeat moved", CLUSTER, "a1~6 b2~3|c1b9~4", 1, REFUSED, "node a is alive"},
    {"another life's", CLUSTER, "a1~7 b1~3|c1b9~4", 1, REFUSED, "node b is alive"},
    {"another process's", CLUSTER, "a1~7 b2b7~3|c1b9~4", 1, REFUSED, "node b is alive"},
    {"a new one", CLUSTER, "a1~7|c1b9~4", 1, REFUSED, "node b is alive"},
    {"a new one before all", CLUSTER, "b2~3|c1b9~4", 1, REFUSED, "node a is alive"},
    {"one is gone", CLUSTER, "a1~7 aa1~1 b2~3 z1~1|c1b9~4", 1, 0, ""},
    {"a probe moved", CLUSTER, "a1~7 b2~3|c1b9~3", 1, REFUSED, "node c is alive; stop all nodes"},
    {"a probe of another process", CLUSTER, "a1~7 b2~3|c1b8~4", 1, REFUSED, "node c is alive"},
    {"a new probe", CLUSTER, "a1~7 b2~3", 1, REFUSED, "node c is alive"},
};

static void look(void **state)
{
    (void)state;
    RULE_CASES_RUN(look_cases, start_look);
    assert_int_equal(rule_corruption_found(&look_cases[0], start_look), 8);
    struct rig r;
    rig_init(&r);
    rig_scene(&r, CLUSTER);
    start_look(&r, &look_cases[0]);
    rig_run(&r);
    assert_int_equal(op.epoch, 1);
    assert_int_equal(op.lease_ms, 2000);
    assert_true(uuid_equal(op.old_cluster_id, rig_boot("format", 1)));
    assert_int_equal(op.heartbeat_count, 2);
    assert_string_equal(op.heartbeats[1].life.node_id, "b");
    assert_int_equal(op.heartbeats[1].counter, 3);
    assert_int_equal(op.probe_count, 1);
    assert_true(uuid_equal(op.probes[0].life.boot, rig_boot("c", 9)));
    rig_free(&r);
    /* The view's number says which epoch it is. */
    rig_init(&r);
    rig_scene(&r, "format=1 view=2000000003");
    start_look(&r, &look_cases[0]);
    rig_run(&r);
    assert_int_equal(op.epoch, 3);
    rig_free(&r);
}

/* ---- nodes */

static void start_nodes(struct rig *r, const struct rule_case *c)
{
    begin(r, c);
    restored_nodes_prepare(&op, &r->env, rig_done, r);
    txn_start(&op.txn);
}

static const struct rule_case nodes_cases[] = {
    {"every state", "a=A1! b=F2@4 c=L3 d=V4@5 e=J5^2! view=5", NULL, 0, 0,
     "a=L1000000000b0@1000000000^1 b=L1000000000b0@1000000000^1 c=L1000000000b0@1000000000^1 "
     "d=L1000000000b0@1000000000^1 e=L1000000000b0@1000000000^3"},
    {"rewritten before", "a=L1000000000b0@1000000000^1", NULL, 0, 0, ""},
    {"some rewritten before", "a=L1000000000b0@1000000000^1 b=A7", NULL, 0, 0,
     "b=L1000000000b0@1000000000^1"},
    {"of the epoch, but joined", "a=A1000000001", NULL, 0, 0, "a=L2000000000b0@1000000000^1"},
    {"the second epoch", "a=A1000000001 b=L5", NULL, 2, 0,
     "a=L2000000000b0@2000000000^1 b=L2000000000b0@2000000000^1"},
    {"none", "view=5", NULL, 0, 0, ""},
};

static void nodes(void **state)
{
    (void)state;
    RULE_CASES_RUN(nodes_cases, start_nodes);
    assert_int_equal(rule_corruption_found(&nodes_cases[0], start_nodes), 5);
}

/* ---- finish */

static void start_finish(struct rig *r, const struct rule_case *c)
{
    begin(r, c);
    restored_finish_prepare(&op, &r->env, rig_done, r);
    txn_start(&op.txn);
}

#define CLEARED "format=1 a=L1000000000b0 a~7/5#1b1 b=L1000000000b0 probe:b=4b9 "
#define SEEN "a1~7|b1b9~4"

static const struct rule_case finish_cases[] = {
    {"everything", CLEARED "view=5(2) primary=a#1b1/3 term=3 +a4 -b5", SEEN, 0, 0,
     "format=1 founded=format gone:~a floor=1000000000 view=1000000000(0) primary=-/1000000000 "
     "term=1000000000 gone:?b gone:4 gone:5 generations=1000000000"},
    {"nothing was there", "format=1", "", 0, 0,
     "format=1 founded=format floor=1000000000 view=1000000000(0) primary=-/1000000000 "
     "term=1000000000 generations=1000000000"},
    {"the second epoch",
     "format=1 founded=first floor=1000000007 generations=1000000009 a=L2000000000b0 "
     "view=1000000005(1) term=1000000002",
     "", 2, 0,
     "format=1 founded=first floor=2000000000 view=2000000000(0) primary=-/2000000000 "
     "term=2000000000 generations=2000000000"},
    {"no cluster", "", "", 0, REFUSED, "no cluster"},
    {"a node was not cleared", "format=1 a=A1 a~7/5 view=5", "a1~7", 0, REFUSED,
     "node a has come to life"},
    {"a node is Left in its old number", "format=1 a=L3 view=5", "", 0, REFUSED,
     "node a has come to life"},
    {"a node joined", "format=1 a=J1000000001 a~0/0 view=5", "", 0, REFUSED, "has come to life"},
    {"a heartbeat moved", CLEARED "view=5(2)", "a1~6|b1b9~4", 0, REFUSED, "node a is alive"},
    {"a probe moved", CLEARED "view=5(2)", "a1~7|b1b9~3", 0, REFUSED, "node b is alive"},
};

static void finish(void **state)
{
    const struct rule_case *whole = &finish_cases[0];
    struct rig r;
    char text[RIG_TEXT_MAX];
    (void)state;
    RULE_CASES_RUN(finish_cases, start_finish);
    rule_conflicts(whole, start_finish, "format a ~a probe:b view term", "primary +4");
    /* Another cluster id, and its own commit is known by it. */
    rig_init(&r);
    rig_scene(&r, whole->scene);
    start_finish(&r, whole);
    rig_run(&r);
    r.done = false;
    start_look(&r, &look_cases[0]);
    rig_run(&r);
    assert_int_equal(r.status, 0);
    assert_true(uuid_equal(op.old_cluster_id, rig_boot("format", 2)));
    assert_int_equal(op.epoch, 2);
    assert_int_equal(op.heartbeat_count + op.probe_count, 0);
    assert_string_equal(rig_all(&r, text),
                        "format=1 founded=format gone:~a floor=1000000000 view=1000000000(0) "
                        "a=L1000000000b0 b=L1000000000b0 primary=-/1000000000 term=1000000000 "
                        "gone:?b gone:4 gone:5 generations=1000000000");
    rig_free(&r);
}

/* ---- actors: rows that the rig has no words for */

static void put_actor(struct rig *r, const char *id, const char *node, uint64_t generation)
{
    struct key key = key_actor(&r->ks, "counter", id);
    struct placement_record p = {.placed = node != NULL, .generation = generation};
    struct by_node_record by = {.generation = generation};
    struct buf value;
    buf_init(&value, r->env.mem);
    if (node) {
        p.incarnation = 4;
        (void)snprintf(p.node_id, sizeof(p.node_id), "%s", node);
    }
    placement_record_encode(&p, key_bytes(&key), &value);
    rig_put(r, key, buf_bytes(&value));
    key = key_by_node(&r->ks, node ? node : "-", 4, "counter", id);
    by_node_record_encode(&by, key_bytes(&key), &value);
    if (node)
        rig_put(r, key, buf_bytes(&value));
    buf_deinit(&value);
}

static struct placement_record actor(struct rig *r, const char *id)
{
    struct key key = key_actor(&r->ks, "counter", id);
    struct rig_row *row = rig_find(r, key_bytes(&key));
    struct placement_record p;
    struct buf scratch;
    buf_init(&scratch, r->env.mem);
    assert_non_null(row);
    assert_int_equal(
        placement_record_decode(key_bytes(&key), bytes_of(row->value, row->len), &scratch, &p), 0);
    buf_deinit(&scratch);
    return p;
}

static void run_page(struct rig *r, uint64_t epoch, const struct key *cursor)
{
    memset(&op, 0, sizeof(op));
    op.ks = &r->ks;
    op.epoch = epoch;
    op.cursor = *cursor;
    restored_actors_prepare(&op, &r->env, rig_done, r);
    r->done = false;
    txn_start(&op.txn);
    rig_run(r);
    assert_int_equal(r->status, 0);
}

static void actors(void **state)
{
    static const enum rig_fate fates[] = {RIG_UNKNOWN_DONE, RIG_OK};
    const struct key none = {.len = 0};
    struct rig r;
    (void)state;
    rig_init(&r);
    put_actor(&r, "a", "n1", 9);
    put_actor(&r, "b", NULL, 3);
    put_actor(&r, "c", NULL, 1000000000);
    put_actor(&r, "d", "n2", 1000000001);
    r.commit_fates = fates;
    run_page(&r, 1, &none);
    assert_int_equal(r.commits, 1); /* its own commit was recognised */
    assert_true(op.at_end);
    assert_int_equal(op.rows, 4);
    static const struct {
        const char *id;
        uint64_t generation;
    } want[] = {{"a", 1000000000}, {"b", 1000000000}, {"c", 1000000000}, {"d", 2000000000}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct placement_record p = actor(&r, want[i].id);
        assert_false(p.placed);
        assert_int_equal(p.generation, want[i].generation);
    }
    struct key key = key_by_node(&r.ks, "n1", 4, "counter", "a");
    assert_true(rig_find(&r, key_bytes(&key))->deleted);
    rig_free(&r);
}

static void pages(void **state)
{
    enum { COUNT = 2 * RESTORED_PAGE + 1 };
    struct key cursor = {.len = 0};
    struct rig r;
    size_t rows = 0, count = 0;
    (void)state;
    rig_init(&r);
    for (unsigned i = 0; i < COUNT; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "%04u", i);
        put_actor(&r, id, i % 2 ? "n1" : NULL, i + 1);
    }
    do {
        run_page(&r, 1, &cursor);
        cursor = op.next;
        rows += op.rows;
        count++;
    } while (!op.at_end);
    assert_int_equal(rows, COUNT);
    assert_int_equal(count, 3);
    for (unsigned i = 0; i < COUNT; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "%04u", i);
        assert_int_equal(actor(&r, id).generation, 1000000000);
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(look),   cmocka_unit_test(nodes),
        cmocka_unit_test(finish),  cmocka_unit_test(actors), cmocka_unit_test(pages),
    };
    return cmocka_run_group_tests_name("rules_restored", tests, NULL, NULL);
}
