/*
 * Joining, staying, leaving, as tables. Words: lib/rule_rig.h; a is the node itself, of boot 1
 * unless told.
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

#define REFUSED KELPIE_E_REFUSED
#define SILENT_MAX 8

static struct silence silent[SILENT_MAX];

/* ---- NodeJoin: the process of boot 1 of a; flag: the last incarnation that it held; with: the cluster
 * that it has lived in, after '@' the one that its node is of */

static struct join_op join;
static struct node_record self;

static void start_join(struct rig *r, const struct rule_case *c)
{
    self = (struct node_record){.boot = rig_boot("a", 1), .lease_ms = 2000, .addr = "at-a"};
    memset(&join, 0, sizeof(join));
    join.ks = &r->ks;
    join.self = &self;
    join.node_id = "a";
    join.known_incarnation = (uint64_t)c->flag;
    join.new_cluster_id = rig_boot("cluster", 7);
    if (c->with && c->with[0] == '@')
        join.home = rig_boot(c->with + 1, 1);
    else if (c->with)
        join.known_cluster_id = rig_boot(c->with, 1);
    join_prepare(&join, &r->env, rig_done, r);
    txn_start(&join.txn);
}

static const struct rule_case join_cases[] = {
    {"an empty store", "", NULL, 0, 0, "format=2 a~0/1 view=1(1) a=A1 primary=a/1 term=1 +a1"},
    {"nobody is a member", "format=2 a=L4 b=L2 view=8 term=6 primary=-/6", NULL, 0, 0,
     "a~0/9 view=9(1) a=A5b1 primary=a/7 term=7 +a9"},
    {"an Active node", "format=2 b=A1 b~1/1 view=1 term=1 primary=b/1", NULL, 0, 0, "a~0/0 a=J1"},
    {"a Joining node", "format=2 b=J1 view=1", NULL, 0, 0, "a~0/0 a=J1"},
    {"a Leaving node", "format=2 b=V1 view=1", NULL, 0, 0, "a~0/0 a=J1"},
    {"a Failed node", "format=2 b=F1 view=1", NULL, 0, 0, "a~0/0 a=J1"},
    {"again, after leaving", "format=2 a=L3@5^2 a~7/4 b=A1 view=6", NULL, 3, 0, "a~0/0 a=J4b1@5^2"},
    {"a restored store", "format=2 a=L1b7 b=A1 view=6", NULL, 5, 0, "a~0/0 a=J6b1"},
    {"own commit, Joining", "format=2 a=J1 a~0/0 b=A1 view=1", NULL, 0, 0, ""},
    {"own commit, founder", "format=2 a=A1 a~0/1 view=1 primary=a/1 term=1", NULL, 0, 0, ""},
    {"own commit, second life", "format=2 a=J4b1 a~0/0 b=A1 view=1", NULL, 3, 0, ""},
    {"after a flag", "format=2 a=L3@5! a~7/4 b=A1 view=6", NULL, 3, 0, "a~0/0 a=J4b1@5!"},
    {"after a flag, nobody is a member", "format=2 a=L3@5! view=6 term=2", NULL, 3, 0,
     "a~0/7 view=7(1) a=A4b1@5 primary=a/3 term=3 +a7"},
    {"an incarnation that I held", "format=2 a=J3b1 a~0/0 b=A1 view=1", NULL, 3, REFUSED,
     "an earlier life of this node is still Joining"},
    {"another process, Joining", "format=2 a=J1b2 b=A1 view=1", NULL, 0, REFUSED, "still Joining"},
    {"another process, Active", "format=2 a=A1b2 view=1", NULL, 0, REFUSED, "still Active"},
    {"another process, Leaving", "format=2 a=V1b2 view=1", NULL, 0, REFUSED, "still Leaving"},
    {"another process, Failed", "format=2 a=F1b2 view=1", NULL, 0, REFUSED, "still Failed"},
    {"joined and declared Failed", "format=2 a=F1 b=A1 view=1", NULL, 0, REFUSED, "still Failed"},
    {"a view of nobody", "format=2 view=4(2)", NULL, 0, REFUSED,
     "the stored view 4 has 2 members, but no node is a member"},
    {"again, in the same epoch", "format=2 a=L3 b=A1 view=6", "format", 3, 0, "a~0/0 a=J4b1"},
    {"again, in another epoch", "format=2 a=L1000000000b0 view=1000000000", "past", 3, REFUSED,
     "restored from a backup and is a new epoch"},
    {"of this cluster", "format=2 b=A1 view=1", "@format", 0, 0, "a~0/0 a=J1"},
    {"of this cluster, which was restored", "format=2 founded=first b=A1 view=1", "@first", 0, 0,
     "a~0/0 a=J1"},
    {"of another cluster", "format=2 b=A1 view=1", "@other", 0, REFUSED,
     ", the store of 666f726d-6174-0000-0000-000000000001: correct"},
    {"of a cluster, by the id since its restore", "format=2 founded=first b=A1 view=1", "@format",
     0, REFUSED, "correct --store or --prefix, or take another --data-dir or --found-new"},
    {"of a cluster, and the store is empty", "", "@other", 0, REFUSED,
     "but the store holds none under the prefix 'kelpie': put its store back"},
    {"of a cluster, and the store has only its row", "a=L0^1", "@other", 0, REFUSED,
     "the store holds none"},
    {"a row was swept", "format=2 floor=7 b=A1 view=1", NULL, 0, 0, "a~0/0 a=J8b1"},
    {"a row was swept, and made by DeclareDead", "format=2 floor=7 a=L0^1 b=A1 view=1", NULL, 0, 0,
     "a~0/0 a=J8b1^1"},
    {"rows of others were swept", "format=2 floor=7 a=L3 b=A1 view=1", NULL, 0, 0, "a~0/0 a=J4b1"},
    {"all were swept", "format=2 floor=7 view=8 term=6 primary=-/6", NULL, 0, 0,
     "a~0/9 view=9(1) a=A8b1 primary=a/7 term=7 +a9"},
    {"a newer store", "format=3 b=A1 view=1", NULL, 0, KELPIE_E_STORE_NEWER, "newer version"},
    {"a store of format 1", "format=1 b=A1 b~1/1 view=1 term=1 primary=b/1", NULL, 0, REFUSED,
     "has format 1"},
};

static void node_join(void **state)
{
    (void)state;
    RULE_CASES_RUN(join_cases, start_join);
    for (size_t i = 0; i < ARRAY_LEN(join_cases); i++) {
        struct rig r;
        rig_init(&r);
        rig_scene(&r, join_cases[i].scene);
        start_join(&r, &join_cases[i]);
        rig_run(&r);
        bool other = join_cases[i].with && strcmp(join_cases[i].with, "past") == 0;
        assert_int_equal(join.other_epoch, other);
        rig_free(&r);
    }
    static const struct rule_case swept = {
        "swept", "format=2 founded=first floor=7 b=A1 view=1 types:b=1>room.0", "@first", 0, 0, ""};
    rule_conflicts(&swept, start_join, "format founded floor b view", "types:b");
    rule_conflicts(&join_cases[6], start_join, "format a b view ~a", "");
}

static struct txn *join_in(struct rig *r, const char *scene)
{
    static const struct rule_case c = {"join", "", NULL, 0, 0, ""};
    rig_init(r);
    rig_scene(r, scene);
    start_join(r, &c);
    rig_run(r);
    assert_int_equal(r->status, 0);
    return &join.txn;
}

static void node_join_says_what_it_became(void **state)
{
    struct rig r;
    (void)state;
    (void)join_in(&r, "");
    assert_int_equal(join.state, NODE_ACTIVE);
    assert_int_equal(join.incarnation, 1);
    assert_int_equal(join.view_number, 1);
    assert_int_equal(join.term, 1);
    assert_true(uuid_equal(join.cluster_id, rig_boot("cluster", 7)));
    rig_free(&r);
    (void)join_in(&r, "format=2 a=A1 a~0/1 b=A1 view=2 primary=a/1 term=1");
    assert_int_equal(join.state, NODE_ACTIVE);
    assert_int_equal(join.view_number, 2);
    assert_int_equal(join.term, 1);
    assert_true(uuid_equal(join.cluster_id, rig_boot("format", 1)));
    rig_free(&r);
    (void)join_in(&r, "format=2 a=J1 a~0/0 b=A1 view=2 primary=b/1 term=1");
    assert_int_equal(join.state, NODE_JOINING);
    assert_int_equal(join.view_number, 0);
    assert_int_equal(join.term, 0);
    rig_free(&r);
}

/* As many node rows as a cluster may have: one that is known may join, a further one may not. */
static void node_join_up_to_nodes_max(void **state)
{
    static const struct rule_case c = {"full", "", NULL, 0, 0, ""};
    struct rig r;
    char word[32];
    (void)state;
    for (int known = 0; known <= 1; known++) {
        rig_init(&r);
        rig_scene(&r, known ? "a=L1" : "n=L1");
        for (unsigned i = 1; i < NODES_MAX; i++) {
            (void)snprintf(word, sizeof(word), "n%u=L1", i);
            rig_scene(&r, word);
        }
        start_join(&r, &c);
        rig_run(&r);
        assert_int_equal(r.status, known ? 0 : REFUSED);
        if (!known)
            assert_string_equal(
                r.reason, "the cluster has 1024 node ids already, the most it can have: give this "
                          "node the id of one that has left");
        rig_free(&r);
    }
}

/* ---- SweepNode: b, primary of term 3, strikes a1 */

static struct sweep_node_op sweep;

static void start_sweep(struct rig *r, const struct rule_case *c)
{
    (void)c;
    sweep = (struct sweep_node_op){
        .ks = &r->ks, .self = rig_life("b1"), .term = 3, .target = rig_life("a4")};
    sweep_node_prepare(&sweep, &r->env, rig_done, r);
    txn_start(&sweep.txn);
}

#define PRIMARY_B "b=A1 b~1/5 view=5 primary=b/3 "

static const struct rule_case sweep_cases[] = {
    {"Left", PRIMARY_B "a=L4@5 a~7/5 probe:a=2b1", NULL, 0, 0, "gone:~a floor=4 gone:a gone:?a"},
    {"nothing but its row", PRIMARY_B "a=L4@5", NULL, 0, 0, "floor=4 gone:a"},
    {"above the floor", PRIMARY_B "a=L4@5 floor=3", NULL, 0, 0, "floor=4 gone:a"},
    {"below the floor", PRIMARY_B "a=L4@5 floor=9", NULL, 0, 0, "gone:a"},
    {"own commit", PRIMARY_B "floor=4", NULL, 0, 0, ""},
    {"it has come back", PRIMARY_B "a=J5", NULL, 0, REFUSED, "node a has come back"},
    {"it has come back, and left", PRIMARY_B "a=L5", NULL, 0, REFUSED, "node a has come back"},
    {"Failed", PRIMARY_B "a=F4@5", NULL, 0, REFUSED, "node a has come back"},
    {"an actor is placed there", PRIMARY_B "a=L4@5 placed:a", NULL, 0, REFUSED,
     "actors are still placed on node a"},
    {"not primary", "b=A1 a=L4@5 view=5 primary=-/3", NULL, 0, REFUSED, "not the primary"},
};

static void sweep_node(void **state)
{
    (void)state;
    RULE_CASES_RUN(sweep_cases, start_sweep);
    rule_conflicts(&sweep_cases[2], start_sweep, "primary b a floor", "view ~b");
}

/* ---- NodeJoinComplete: a1; with: who answered, then after '|' who is silent */

static struct join_complete_op complete;
static struct silence answered[SILENT_MAX];

static void start_complete(struct rig *r, const struct rule_case *c)
{
    char who[128];
    memset(&complete, 0, sizeof(complete));
    complete.ks = &r->ks;
    complete.self = rig_life("a1");
    const char *words = c->with ? c->with : "";
    const char *bar = strchr(words, '|');
    size_t len = bar ? (size_t)(bar - words) : strlen(words);
    (void)snprintf(who, sizeof(who), "%.*s", (int)len, words);
    complete.answered = (struct silences){answered, rig_silences(who, answered, SILENT_MAX)};
    if (bar)
        complete.silent = (struct silences){silent, rig_silences(bar + 1, silent, SILENT_MAX)};
    join_complete_prepare(&complete, &r->env, rig_done, r);
    txn_start(&complete.txn);
}

static const struct rule_case complete_cases[] = {
    {"an Active node answered", "a=J1 a~3/0 b=A1 b~9/5 view=5", "b1", 0, 0,
     "a~3/6 view=6(2) a=A1 +a6"},
    {"one of two", "a=J1 a~3/0 b=A1 c=A1 view=5", "c1", 0, 0, "a~3/6 view=6(3) a=A1 +a6"},
    {"alone: nobody is Active", "a=J1 a~3/0 b=F1 c=V1 d=J1 view=5", NULL, 0, 0,
     "a~3/6 view=6(1) a=A1 +a6"},
    {"own commit", "a=A1 a~3/6 b=A1 view=6", "b1", 0, 0, ""},
    {"own commit, and more since", "a=A1 a~3/6 b=A1 c=A1 view=7", NULL, 0, 0, ""},
    {"no heartbeat row", "a=J1 b=A1 view=5", "b1", 0, 0, "a~0/6 view=6(2) a=A1 +a6"},
    {"nobody answered", "a=J1 a~3/0 b=A1 view=5", NULL, 0, REFUSED,
     "no active node has answered directly"},
    {"an earlier life answered", "a=J1 a~3/0 b=A2 view=5", "b1", 0, REFUSED, "no active node has"},
    {"who answered has failed", "a=J1 a~3/0 b=F1 c=A1 view=5", "b1", 0, REFUSED, "no active node"},
    {"flagged: the only one answered", "a=J1! a~3/0 b=A1 view=5", "b1", 0, 0,
     "a~3/6 view=6(2) a=A1 +a6"},
    {"flagged: one of two", "a=J1! a~3/0 b=A1 c=A1 view=5", "c1", 0, REFUSED,
     "1 of 2 active nodes have answered directly, more than half must"},
    {"flagged: two of three", "a=J1! a~3/0 b=A1 c=A1 d=A1 view=5", "c1 d1", 0, 0,
     "a~3/6 view=6(4) a=A1 +a6"},
    {"flagged: two of four", "a=J1! a~3/0 b=A1 c=A1 d=A1 e=A1 view=5", "c1 d1", 0, REFUSED,
     "2 of 4 active"},
    {"flagged: an earlier life of one", "a=J1! a~3/0 b=A1 c=A2 d=A1 view=5", "c1 d1", 0, REFUSED,
     "1 of 3 active"},
    {"flagged: nobody", "a=J1! a~3/0 b=A1 view=5", NULL, 0, REFUSED, "0 of 1 active nodes"},
    {"flagged: one of two, the other is silent", "a=J1! a~3/0 b=A1 b~7/5 c=A1 view=5", "c1|b1~7", 0,
     0, "a~3/6 view=6(3) a=A1 +a6"},
    {"flagged: the silent one moved", "a=J1! a~3/0 b=A1 b~8/5 c=A1 view=5", "c1|b1~7", 0, REFUSED,
     "1 of 2 active"},
    {"flagged: silent was an earlier life", "a=J1! a~3/0 b=A2 b~7/5#1 c=A1 view=5", "c1|b1~7", 0,
     REFUSED, "1 of 2 active"},
    {"flagged: all are silent", "a=J1! a~3/0 b=A1 b~7/5 view=5", "|b1~7", 0, REFUSED,
     "0 of 0 active"},
    {"flagged: nobody is Active", "a=J1! a~3/0 b=F1 view=5", NULL, 0, 0,
     "a~3/6 view=6(1) a=A1 +a6"},
    {"I was failed", "a=F1 a~3/0 b=A1 view=5", "b1", 0, REFUSED, "declared failed"},
    {"I was failed and struck off", "a=L1 a~3/0 b=A1 view=5", "b1", 0, REFUSED, "declared failed"},
    {"my next life", "a=J2 a~3/0 b=A1 view=5", "b1", 0, REFUSED, "declared failed"},
    {"another boot", "a=J1b2 a~3/0 b=A1 view=5", "b1", 0, REFUSED, "declared failed"},
};

static void node_join_complete(void **state)
{
    (void)state;
    RULE_CASES_RUN(complete_cases, start_complete);
    rule_conflicts(&complete_cases[0], start_complete, "a b view ~a", "~b");
    static const struct rule_case excused = {
        "excused", "a=J1! a~3/0 b=A1 b~7/5 c=A1 c~1/5 view=5", "c1|b1~7", 0, 0, ""};
    rule_conflicts(&excused, start_complete, "a b c view ~a ~b", "~c");
}

/* ---- NodeLeave: a1; flag: also the last */

static struct leave_op leave;

static void start_leave(struct rig *r, const struct rule_case *c)
{
    memset(&leave, 0, sizeof(leave));
    leave.ks = &r->ks;
    leave.self = rig_life("a1");
    leave.even_last = c->flag != 0;
    leave_prepare(&leave, &r->env, rig_done, r);
    txn_start(&leave.txn);
}

static const struct rule_case leave_cases[] = {
    {"one of two", "a=A1 b=A1 view=5 primary=b/3", NULL, 0, 0, "view=6(1) a=V1@6 -a6"},
    {"the primary", "a=A1 b=A1 view=5 primary=a/3", NULL, 0, 0, "view=6(1) a=V1@6 primary=-/3 -a6"},
    {"primary in an earlier life", "a=A1 b=A1 view=5 primary=a#7/3", NULL, 0, 0,
     "view=6(1) a=V1@6 -a6"},
    {"the last, which may", "a=A1 b=V1 view=5 primary=a/3", NULL, 1, 0,
     "view=6(0) a=V1@6 primary=-/3 -a6"},
    {"the last, which may not", "a=A1 b=V1 view=5", NULL, 0, REFUSED,
     "it is the last active node: nobody could take its actors"},
    {"own commit", "a=V1@6 b=A1 view=6 primary=-/3", NULL, 0, 0, ""},
    {"Joining", "a=J1 b=A1 view=5", NULL, 0, REFUSED, "the node is Joining, not Active"},
    {"Left", "a=L1 b=A1 view=5", NULL, 0, REFUSED, "the node is Left, not Active"},
    {"Failed", "a=F1 b=A1 view=5", NULL, 0, REFUSED, "the node is Failed, not Active"},
    {"my next life", "a=A2 b=A1 view=5", NULL, 0, REFUSED, "declared failed"},
    {"another boot", "a=A1b2 b=A1 view=5", NULL, 0, REFUSED, "declared failed"},
};

static void node_leave(void **state)
{
    (void)state;
    RULE_CASES_RUN(leave_cases, start_leave);
    rule_conflicts(&leave_cases[1], start_leave, "a view primary", "b");
}

/* ---- NodeLeaveComplete: a1; with: the silent */

static struct leave_complete_op left;

static void start_left(struct rig *r, const struct rule_case *c)
{
    memset(&left, 0, sizeof(left));
    left.ks = &r->ks;
    left.self = rig_life("a1");
    left.silent.items = silent;
    left.silent.count = c->with ? rig_silences(c->with, silent, SILENT_MAX) : 0;
    leave_complete_prepare(&left, &r->env, rig_done, r);
    txn_start(&left.txn);
}

static const struct rule_case left_cases[] = {
    {"acknowledged", "a=V1@6 b=A1 b~4/6 c=A1 c~1/7 view=7", NULL, 0, 0, "a=L1@6"},
    {"alone", "a=V1@6 view=6", NULL, 0, 0, "a=L1@6"},
    {"only Failed and Joining ones", "a=V1@6 b=F1@5 c=J1 view=6", NULL, 0, 0, "a=L1@6"},
    {"own commit", "a=L1@6 b=A1 b~4/6 view=6", NULL, 0, 0, ""},
    {"not acknowledged", "a=V1@6 b=A1 b~4/5 view=6", NULL, 0, REFUSED,
     "node b has not acknowledged view 6 yet"},
    {"excused by silence", "a=V1@6 b=A1 b~4/5 view=6", "b1~4", 0, 0, "a=L1@6"},
    {"silent, and back", "a=V1@6 b=A1 b~5/5 view=6", "b1~4", 0, REFUSED, "node b has not"},
    {"Active", "a=A1 b=A1 b~4/6 view=6", NULL, 0, REFUSED, "declared failed"},
    {"Joining", "a=J1 b=A1 b~4/6 view=6", NULL, 0, REFUSED, "declared failed"},
    {"Failed", "a=F1@6 b=A1 b~4/6 view=6", NULL, 0, REFUSED, "declared failed"},
    {"my next life", "a=V2@6 view=6", NULL, 0, REFUSED, "declared failed"},
    {"its Left", "a=L2@6 view=6", NULL, 0, REFUSED, "declared failed"},
};

static void node_leave_complete(void **state)
{
    static const struct rule_case silent_b = {
        "silent", "a=V1@6 b=A1 b~4/5 c=A1 c~1/7 view=7", "b1~4", 0, 0, ""};
    (void)state;
    RULE_CASES_RUN(left_cases, start_left);
    rule_conflicts(&silent_b, start_left, "a b c ~b", "~c view");
}

static void place(struct rig *r, uint64_t incarnation)
{
    struct key key = key_by_node(&r->ks, "a", incarnation, "counter", "x");
    struct by_node_record by = {.generation = 4};
    struct buf value;
    buf_init(&value, r->env.mem);
    by_node_record_encode(&by, key_bytes(&key), &value);
    rig_put(r, key, buf_bytes(&value));
    buf_deinit(&value);
}

static void place_meanwhile(struct rig *r)
{
    place(r, 1);
}

static void node_leave_complete_waits_for_its_actors(void **state)
{
    static const struct {
        uint64_t placed_in;
        bool meanwhile;
        int status;
    } rows[] = {{1, false, REFUSED}, {1, true, REFUSED}, {2, false, 0}, {11, false, 0}};
    static const struct rule_case c = {"placed", "", NULL, 0, 0, ""};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig r;
        rig_init(&r);
        rig_scene(&r, "a=V1@6 view=6");
        if (rows[i].meanwhile)
            r.before_commit = place_meanwhile;
        else
            place(&r, rows[i].placed_in);
        start_left(&r, &c);
        rig_run(&r);
        assert_int_equal(r.status, rows[i].status);
        if (r.status)
            assert_string_equal(r.reason, "actors are still placed here");
        rig_free(&r);
    }
}

/* ---- SendHeartbeat: a1, sequence 8, holding view 5; flag: it revives the lease; with: whom
 * it cannot reach */

static struct heartbeat_op beat;
static struct unreachable_peer lost;

static void start_beat(struct rig *r, const struct rule_case *c)
{
    memset(&beat, 0, sizeof(beat));
    beat.ks = &r->ks;
    beat.self = rig_life("a1");
    beat.sequence = 8;
    beat.ack = 5;
    beat.held = 5;
    beat.revives = c->flag != 0;
    const char *with = c->with ? c->with : "";
    beat.cluster_id = rig_boot(with[0] && with[0] != '>' ? with : "format", 1);
    if (with[0] == '>') {
        struct life l = rig_life(with + 1);
        lost = (struct unreachable_peer){.incarnation = l.incarnation};
        memcpy(lost.node_id, l.node_id, sizeof(lost.node_id));
        beat.unreachable = &lost;
        beat.unreachable_count = 1;
    }
    heartbeat_prepare(&beat, &r->env, rig_done, r);
    txn_start(&beat.txn);
}

static const struct rule_case beat_cases[] = {
    {"Active", "a=A1 a~7/4 view=6", NULL, 0, 0, "a~8/5"},
    {"Joining", "a=J1 a~7/0 view=6", NULL, 0, 0, "a~8/5"},
    {"Leaving", "a=V1 a~7/5 view=6", NULL, 0, 0, "a~8/5"},
    {"a number was left out", "a=A1 a~5/4 view=6", NULL, 0, 0, "a~8/5"},
    {"an acknowledgement never shrinks", "a=A1 a~7/6 view=6", NULL, 0, 0, "a~8/6"},
    {"revives: the view as read", "a=A1 a~7/4 view=6", NULL, 1, 0, "a~8/6"},
    {"revives a Leaving one: not in it", "a=V1@6 a~7/5 view=6", NULL, 1, 0, "a~8/5"},
    {"revives a Joining one", "a=J1 a~7/0 view=6", NULL, 1, 0, "a~8/5"},
    {"revives: the view as held", "a=A1 a~7/5 b=A1 view=5", NULL, 1, 0, "a~8/5"},
    {"own commit", "a=A1 a~8/5 view=6", NULL, 0, 0, ""},
    {"own commit, reviving", "a=A1 a~8/6 view=6", NULL, 1, 0, ""},
    {"says whom it cannot reach", "a=A1 a~7/4>c3 view=6", ">b2", 0, 0, "a~8/5>b2"},
    {"reaches all again", "a=A1 a~7/4>c3 view=6", NULL, 0, 0, "a~8/5"},
    {"flagged, Active", "a=A1! a~7/4 view=6", NULL, 0, REFUSED, "flagged as a grey failure"},
    {"flagged, reviving", "a=A1! a~7/4 view=6", NULL, 1, REFUSED, "flagged as a grey failure"},
    {"flagged, Leaving", "a=V1@6! a~7/5 view=6", NULL, 0, REFUSED, "flagged as a grey failure"},
    {"joining after a flag", "a=J1! a~7/0 view=6", NULL, 0, 0, "a~8/5"},
    {"own commit, flagged since", "a=A1! a~8/5 view=6", NULL, 0, 0, ""},
    {"no heartbeat row", "a=A1 view=6", NULL, 0, 0, "a~8/5"},
    {"the row of another life", "a=A1 a~30/9#2 view=6", NULL, 0, 0, "a~8/5"},
    {"the counter is ahead", "a=A1 a~9/5 view=6", NULL, 0, REFUSED,
     "another process heartbeats as this life of the node"},
    {"Failed", "format=2 a=F1 a~7/5 view=6", NULL, 0, REFUSED, "declared failed"},
    {"Left", "format=2 a=L1 a~7/5 view=6", NULL, 0, REFUSED, "declared failed"},
    {"no node row", "format=2 b=A1 view=6", NULL, 0, REFUSED, "declared failed"},
    {"the next incarnation", "format=2 a=A2 a~7/5 view=6", NULL, 0, REFUSED, "declared failed"},
    {"another boot", "format=2 a=A1b2 a~7/5 view=6", NULL, 1, REFUSED, "declared failed"},
    {"an empty store", "", NULL, 0, REFUSED, "the store holds no cluster any more"},
    {"Failed, in this epoch", "format=2 a=F1 a~7/5 view=6", NULL, 0, REFUSED, "declared failed"},
    {"a new epoch", "format=2 a=L1000000000b0 view=1000000000", "past", 0, REFUSED,
     "restored from a backup and is a new epoch"},
    {"a new epoch, reviving", "format=2 a=L1000000000b0 view=1000000000", "past", 1, REFUSED,
     "new epoch"},
};

static void send_heartbeat(void **state)
{
    (void)state;
    RULE_CASES_RUN(beat_cases, start_beat);
    for (size_t i = 0; i < ARRAY_LEN(beat_cases); i++) {
        struct rig r;
        rig_init(&r);
        rig_scene(&r, beat_cases[i].scene);
        start_beat(&r, &beat_cases[i]);
        rig_run(&r);
        assert_int_equal(beat.not_current, beat_cases[i].status == REFUSED);
        const char *with = beat_cases[i].with;
        assert_int_equal(beat.other_epoch, with && with[0] != '>');
        bool moved = beat.revives && beat_cases[i].status == 0 && beat.view_number > beat.held;
        if (beat_cases[i].status == 0)
            assert_int_equal(beat.nodes_read != 0, moved);
        rig_free(&r);
    }
}

static void send_heartbeat_conflicts(void **state)
{
    static const struct rule_case plain = {
        "plain", "a=A1 a~7/4 b=A1 b~1/4 view=6 primary=a/3", NULL, 0, 0, ""};
    static const struct rule_case revives = {
        "revives", "a=A1 a~7/4 b=A1 b~1/4 view=6 primary=a/3", NULL, 1, 0, ""};
    (void)state;
    rule_conflicts(&plain, start_beat, "a ~a", "view b ~b primary");
    rule_conflicts(&revives, start_beat, "a ~a view", "b ~b primary");
}

/* ---- Probe: boot 1 of a, counter 4 */

static struct probe_op probe;

static void start_probe(struct rig *r, const struct rule_case *c)
{
    (void)c;
    memset(&probe, 0, sizeof(probe));
    probe.ks = &r->ks;
    probe.node_id = "a";
    probe.boot = rig_boot("a", 1);
    probe.sequence = 4;
    probe_prepare(&probe, &r->env, rig_done, r);
    txn_start(&probe.txn);
}

static const struct rule_case probe_cases[] = {
    {"the first", "", NULL, 0, 0, "probe:a=4b1"},
    {"the next", "probe:a=3b1", NULL, 0, 0, "probe:a=4b1"},
    {"own commit", "probe:a=4b1", NULL, 0, 0, ""},
    {"of another process", "probe:a=4b2", NULL, 0, 0, "probe:a=4b1"},
};

static void probes(void **state)
{
    (void)state;
    RULE_CASES_RUN(probe_cases, start_probe);
    rule_conflicts(&probe_cases[1], start_probe, "probe:a", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_join),
        cmocka_unit_test(node_join_says_what_it_became),
        cmocka_unit_test(node_join_up_to_nodes_max),
        cmocka_unit_test(sweep_node),
        cmocka_unit_test(node_join_complete),
        cmocka_unit_test(node_leave),
        cmocka_unit_test(node_leave_complete),
        cmocka_unit_test(node_leave_complete_waits_for_its_actors),
        cmocka_unit_test(send_heartbeat),
        cmocka_unit_test(send_heartbeat_conflicts),
        cmocka_unit_test(probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
