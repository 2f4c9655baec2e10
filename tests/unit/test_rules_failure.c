/*
 * The rules that declare failed and come back from it, as tables. Words: lib/rule_rig.h; a, b, c are
 * nodes, 5 is the view, 3 the term.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash128.h"
#include "kelpie/error.h"
#include "lib/rule_cases.h"

#define REFUSED KELPIE_E_REFUSED
#define SILENT_MAX 128

static struct silence silent[SILENT_MAX];

static struct silences silences(const struct rule_case *c)
{
    return (struct silences){silent, c->with ? rig_silences(c->with, silent, SILENT_MAX) : 0};
}

/* ---- MarkNodeFailed: a, primary of term 3, declares what `with` says; flag: with that term */

static struct mark_failed_op mark;

static void start_mark(struct rig *r, const struct rule_case *c)
{
    mark = (struct mark_failed_op){
        .ks = &r->ks, .self = rig_life("a1"), .term = c->flag ? (uint64_t)c->flag : 3};
    assert_int_equal(rig_silences(c->with, &mark.target, 1), 1);
    mark_failed_prepare(&mark, &r->env, rig_done, r);
    txn_start(&mark.txn);
}

#define PRIMARY_A "a=A1 a~9/5 primary=a/3 term=3 "

static const struct rule_case mark_cases[] = {
    {"Active", PRIMARY_A "b=A1 b~7/5 view=5", "b1~7", 0, 0, "view=6(1) b=F1@6 -b6"},
    {"Leaving", PRIMARY_A "b=V1@5 b~7/4 view=5", "b1~7", 0, 0, "b=F1@5"},
    {"Joining", PRIMARY_A "b=J2@4 b~0/0 view=5", "b2~0", 0, 0, "b=F2@4"},
    {"own commit", PRIMARY_A "b=F1@6 b~7/5 view=6", "b1~7", 0, 0, ""},
    {"Left meanwhile", PRIMARY_A "b=L1@6 b~7/5 view=6", "b1~7", 0, 0, ""},
    {"another incarnation", PRIMARY_A "b=A2 b~7/5 view=5", "b1~7", 0, 0, ""},
    {"another boot", PRIMARY_A "b=A1b9 b~7/5 view=5", "b1~7", 0, 0, ""},
    {"no such row", PRIMARY_A "view=5", "b1~7", 0, 0, ""},
    {"heartbeat moved", PRIMARY_A "b=A1 b~8/5 view=5", "b1~7", 0, REFUSED, "node b has moved"},
    {"heartbeat of another life", PRIMARY_A "b=A1 b~7/5#1b2 view=5", "b1~7", 0, REFUSED, "moved"},
    {"no heartbeat row", PRIMARY_A "b=A1 view=5", "b1~7", 0, REFUSED, "moved"},
    {"an older term of mine", PRIMARY_A "b=A1 b~7/5 view=5", "b1~7", 2, REFUSED, "term 2 any more"},
    {"vacant", "a=A1 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 0, REFUSED, "not the primary"},
    {"no primary row", "a=A1 b=A1 b~7/5 view=5", "b1~7", 0, REFUSED, "not the primary"},
    {"another primary", "a=A1 b=A1 b~7/5 view=5 primary=b/3", "b1~7", 0, REFUSED,
     "not the primary"},
    {"my next life is primary", "a=A2 b=A1 b~7/5 view=5 primary=a/3", "b1~7", 0, REFUSED,
     "not the primary"},
    {"I am Leaving", "a=V1 b=A1 b~7/5 view=5 primary=a/3", "b1~7", 0, REFUSED, "not the primary"},
    {"I am Failed", "a=F1 b=A1 b~7/5 view=5 primary=a/3", "b1~7", 0, REFUSED, "not the primary"},
};

static void mark_node_failed(void **state)
{
    (void)state;
    RULE_CASES_RUN(mark_cases, start_mark);
    assert_int_equal(rule_corruption_found(&mark_cases[0], start_mark), 5);
}

/* What the heartbeat of `b` says is not asked when it fails its checksum; whether it is the same is. */
static int mark_damaged(bool moved)
{
    static const struct rule_case c = {"damaged", PRIMARY_A "b=A1 b~7/5 view=5", "b1~7", 0, 0, ""};
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c.scene);
    struct rig_row *row = rig_row(&r, "~b");
    row->value[row->len / 2] ^= 0x10;
    start_mark(&r, &c);
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of(row->value, row->len));
    mark.target.counter = hash128_value(&h).lo;
    mark.target.damaged = true;
    if (moved)
        row->value[row->len / 2] ^= 0x20;
    rig_run(&r);
    int status = r.status;
    rig_free(&r);
    return status;
}

static void mark_node_failed_damaged(void **state)
{
    (void)state;
    assert_int_equal(mark_damaged(false), 0);
    assert_int_equal(mark_damaged(true), REFUSED);
}

/* Rows that contradict each other end in an error, not in the process's end. */
static void mark_node_failed_without_a_member(void **state)
{
    static const struct rule_case c = {"no member", PRIMARY_A "b=A1 b~7/5 view=5", "b1~7", 0, 0,
                                       ""};
    char text[RIG_TEXT_MAX];
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_scene(&r, c.scene);
    const struct view_record none = {.number = 5};
    struct key key = key_view(&r.ks);
    struct buf value;
    buf_init(&value, r.env.mem);
    view_record_encode(&none, key_bytes(&key), &value);
    rig_put(&r, key, buf_bytes(&value));
    buf_deinit(&value);
    start_mark(&r, &c);
    rig_run(&r);
    assert_int_equal(r.status, KELPIE_E_STORE_CORRUPT);
    assert_string_equal(rig_written(&r, text), "");
    rig_free(&r);
}

static void mark_node_failed_conflicts(void **state)
{
    static const struct rule_case c = {
        "three", PRIMARY_A "b=A1 b~7/5 c=A1 c~1/5 view=5", "b1~7", 0, 0, ""};
    (void)state;
    rule_conflicts(&c, start_mark, "primary a view b ~b", "~a c ~c term");
}

/* ---- MarkDeadAll: d, boot 1, fails the first of `with` */

enum { KNOWS_FORMAT = 2, KNOWS_OTHER = 4 }; /* the cluster id that the process remembers */
static struct mark_dead_all_op dead;

static void start_dead(struct rig *r, const struct rule_case *c)
{
    dead = (struct mark_dead_all_op){
        .ks = &r->ks, .node_id = "d", .boot = rig_boot("d", 1), .silent = silences(c)};
    if (c->flag & KNOWS_FORMAT)
        dead.known_cluster_id = rig_boot("format", 1);
    if (c->flag & KNOWS_OTHER)
        dead.known_cluster_id = rig_boot("other", 1);
    dead.target = silent[0].life;
    mark_dead_all_prepare(&dead, &r->env, rig_done, r);
    txn_start(&dead.txn);
}

static const struct rule_case dead_cases[] = {
    {"I am Joining", "a=A1 a~7/5 d=J1 d~3/0 view=5", "a1~7", 0, 0, "view=6(0) a=F1@6 -a6"},
    {"I am Left", "a=A1 a~7/5 d=L1 view=5", "a1~7", 0, 0, "view=6(0) a=F1@6 -a6"},
    {"I have no row", "a=A1 a~7/5 view=5", "a1~7", 0, 0, "view=6(0) a=F1@6 -a6"},
    {"two silent", "a=A1 a~7/5 b=A2 b~4/5 d=J1 view=5", "b2~4 a1~7", 0, 0, "view=6(1) b=F2@6 -b6"},
    {"a Leaving one", "a=V1@5 a~7/4 d=J1 view=5", "a1~7", 0, 0, "a=F1@5"},
    {"a Leaving one beside a silent Active", "a=V1@5 a~7/4 b=A1 b~2/5 d=J1 view=5", "a1~7 b1~2", 0,
     0, "a=F1@5"},
    {"own commit", "a=F1@6 a~7/5 d=J1 view=6", "a1~7", 0, 0, ""},
    {"its next life", "a=A2 a~0/5 d=J1 view=6", "a1~7", 0, 0, ""},
    {"it moves", "a=A1 a~8/5 d=J1 view=5", "a1~7", 0, REFUSED, "node a is alive"},
    {"another Active moves", "a=A1 a~7/5 b=A1 b~3/5 d=J1 view=5", "a1~7 b1~2", 0, REFUSED,
     "node b is alive"},
    {"another Active was not seen", "a=A1 a~7/5 b=A1 b~3/5 d=J1 view=5", "a1~7", 0, REFUSED,
     "node b is alive"},
    {"an Active of a new life", "a=A1 a~7/5 b=A2 b~3/5 d=J1 view=5", "a1~7 b1~3", 0, REFUSED,
     "node b is alive"},
    {"I am Active", "a=A1 a~7/5 d=A1 d~1/5 view=5", "a1~7", 0, REFUSED, "the node is Active"},
    {"I am Failed", "a=A1 a~7/5 d=F1 view=5", "a1~7", 0, REFUSED, "the node is Failed"},
    {"the epoch known", "format=2 a=A1 a~7/5 d=J1 view=5", "a1~7", KNOWS_FORMAT, 0,
     "view=6(0) a=F1@6 -a6"},
    {"another epoch", "format=2 a=A1 a~7/5 d=J1 view=5", "a1~7", KNOWS_OTHER, REFUSED, "new epoch"},
    {"an empty store", "", "a1~7", KNOWS_FORMAT, REFUSED, "holds no cluster any more"},
};

static void mark_dead_all(void **state)
{
    (void)state;
    RULE_CASES_RUN(dead_cases, start_dead);
}

static void mark_dead_all_conflicts(void **state)
{
    static const struct rule_case c = {
        "", "format=2 a=A1 a~7/5 d=J1 d~3/0 view=5", "a1~7", KNOWS_FORMAT, 0, ""};
    (void)state;
    rule_conflicts(&c, start_dead, "a ~a d ~d view format", "");
}

/* ---- NodeRecover: a, boot 9; flag: the first of `with` is one's own past life, proven silent */

static struct recover_op recover;

static void start_recover(struct rig *r, const struct rule_case *c)
{
    recover = (struct recover_op){
        .ks = &r->ks, .node_id = "a", .boot = rig_boot("a", 9), .silent = silences(c)};
    if (c->flag & 1) {
        recover.proven = true;
        recover.past = silent[0];
    }
    if (c->flag & KNOWS_FORMAT)
        recover.known_cluster_id = rig_boot("format", 1);
    if (c->flag & KNOWS_OTHER)
        recover.known_cluster_id = rig_boot("other", 1);
    recover_prepare(&recover, &r->env, rig_done, r);
    txn_start(&recover.txn);
}

static const struct rule_case recover_cases[] = {
    {"Left already", "a=L1@6 b=A1 b~1/6 view=6", NULL, 0, 0, ""},
    {"no row", "b=A1 b~1/6 view=6", NULL, 0, 0, ""},
    {"acknowledged", "a=F1@6 b=A1 b~1/6 view=6", NULL, 0, 0, "a=L1@6"},
    {"acknowledged later", "a=F1@6 b=A1 b~1/9 view=9", NULL, 0, 0, "a=L1@6"},
    {"nobody is Active", "a=F1@6 b=F1@7 c=V1@5 view=7", NULL, 0, 0, "a=L1@6"},
    {"a Joining one need not", "a=F1@6 b=J1 b~1/0 view=6", NULL, 0, 0, "a=L1@6"},
    {"not acknowledged", "a=F1@6 b=A1 b~1/5 view=6", NULL, 0, REFUSED,
     "node b has not acknowledged view 6"},
    {"one of two has not", "a=F1@6 b=A1 b~1/6 c=A1 c~1/5 view=6", NULL, 0, REFUSED,
     "node c has not"},
    {"an acknowledgement of an earlier life", "a=F1@6 b=A2 b~1/8#1 view=6", NULL, 0, REFUSED,
     "node b has not"},
    {"no heartbeat row", "a=F1@6 b=A1 view=6", NULL, 0, REFUSED, "node b has not"},
    {"excused by silence", "a=F1@6 b=A1 b~1/5 view=6", "b1~1", 0, 0, "a=L1@6"},
    {"silent, but moves again", "a=F1@6 b=A1 b~2/5 view=6", "b1~1", 0, REFUSED, "node b has not"},
    {"an earlier life was silent", "a=F1@6 b=A2 b~1/5 view=6", "b1~1", 0, REFUSED,
     "node b has not"},
    {"past life Active", "a=A1 a~7/5 b=A1 b~1/5 view=5", "a1~7", 1, 0, "view=6(1) a=F1@6 -a6"},
    {"past life Joining", "a=J1 a~7/0 b=A1 b~1/5 view=5", "a1~7", 1, 0, "a=F1"},
    {"past life Leaving", "a=V1@5 a~7/0 b=A1 b~1/4 view=5", "a1~7", 1, 0, "a=F1@5"},
    {"past life was primary", "a=A1 a~7/5 primary=a/3 view=5", "a1~7", 1, 0, NULL},
    {"past life moves", "a=A1 a~8/5 b=A1 b~1/5 view=5", "a1~7", 1, REFUSED,
     "an earlier life of this node may still run at at-a"},
    {"past life not proven", "a=A1 a~7/5 b=A1 b~1/5 view=5", NULL, 0, REFUSED, "may still run"},
    {"another past life", "a=A2 a~7/5 b=A1 b~1/5 view=5", "a1~7", 1, REFUSED, "may still run"},
    {"the epoch known", "format=2 a=F1@6 b=A1 b~1/6 view=6", NULL, KNOWS_FORMAT, 0, "a=L1@6"},
    {"another epoch: Failed", "format=2 a=F1@6 b=A1 b~1/6 view=6", NULL, KNOWS_OTHER, REFUSED,
     "new epoch"},
    {"another epoch: a silent life", "format=2 a=A1 a~7/5 view=5", "a1~7", 1 | KNOWS_OTHER, REFUSED,
     "new epoch"},
    {"another epoch: Left", "format=2 a=L1@6 view=6", NULL, KNOWS_OTHER, REFUSED, "new epoch"},
    {"an empty store", "", NULL, KNOWS_FORMAT, REFUSED, "holds no cluster any more"},
};

/* Failed, then Left in a second attempt of the same operation when that is acknowledged already: so
 * those two are looked at alone. */
static void node_recover(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recover_cases); i++) {
        const struct rule_case *c = &recover_cases[i];
        bool fails = c->expect && strstr(c->expect, "a=F1");
        if (c->expect && !fails)
            rule_cases_run(c, 1, start_recover, false);
    }
}

static const char *recovered(const struct rule_case *c, const enum rig_fate *fates,
                             char out[RIG_TEXT_MAX], int *status)
{
    struct rig r;
    rig_init(&r);
    rig_scene(&r, c->scene);
    r.commit_fates = fates;
    start_recover(&r, c);
    rig_run(&r);
    *status = r.status;
    (void)rig_written(&r, out);
    rig_free(&r);
    return out;
}

static void node_recover_fails_a_past_life(void **state)
{
    static const enum rig_fate done[] = {RIG_UNKNOWN_DONE, RIG_OK};
    static const struct rule_case primary = {
        "was primary", "a=A1 a~7/5 primary=a/3 view=5", "a1~7", 1, 0, ""};
    char out[RIG_TEXT_MAX];
    int status;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recover_cases); i++) {
        const struct rule_case *c = &recover_cases[i];
        if (!c->expect || !strstr(c->expect, "a=F1"))
            continue;
        assert_string_equal(recovered(c, NULL, out, &status), c->expect);
        assert_int_equal(status, 0);
        assert_int_equal(recover.state, NODE_FAILED);
    }
    assert_string_equal(recovered(&primary, NULL, out, &status),
                        "view=6(0) a=F1@6 primary=-/3 -a6");
    /* Its commit unseen: Failed is there, and nobody is left to acknowledge it. */
    assert_string_equal(recovered(&primary, done, out, &status),
                        "view=6(0) a=L1@6 primary=-/3 -a6");
    assert_int_equal(status, 0);
    assert_int_equal(recover.state, NODE_LEFT);
}

static void node_recover_conflicts(void **state)
{
    static const struct rule_case one = {
        "excused", "a=F1@6 b=A1 b~1/5 c=A1 c~9/6 view=6", "b1~1", 0, 0, ""};
    (void)state;
    rule_conflicts(&one, start_recover, "a b c ~b", "~c");
}

/* ---- DeclareDead: boot 1 of a; with: '@' and the cluster that it is of */

static struct declare_dead_op declare;

static void start_declare(struct rig *r, const struct rule_case *c)
{
    memset(&declare, 0, sizeof(declare));
    if (c && c->with)
        declare.home = rig_boot(c->with + 1, 1);
    declare.ks = &r->ks;
    declare.node_id = "a";
    declare.boot = rig_boot("a", 1);
    declare_dead_prepare(&declare, &r->env, rig_done, r);
    txn_start(&declare.txn);
}

/* `flag`: whether that boot is told to be failed. */
static const struct rule_case declare_cases[] = {
    {"Active", "a=A1 view=5", NULL, 1, 0, "view=6(0) a=F1@6^1 -a6"},
    {"Joining", "a=J1 view=5", NULL, 1, 0, "a=F1^1"},
    {"Leaving", "a=V1@5 view=5", NULL, 1, 0, "a=F1@5^1"},
    {"its second incarnation", "a=A2b1 view=5", NULL, 1, 0, "view=6(0) a=F2b1@6^1 -a6"},
    {"Failed already", "a=F1@6 view=6", NULL, 1, 0, "a=F1@6^1"},
    {"Left", "a=L1@6^4 view=6", NULL, 0, 0, "a=L1@6^5"},
    {"the process after it is Active", "a=A2 view=5", NULL, 0, 0, "a=A2^1"},
    {"the process after it is Joining", "a=J2 view=5", NULL, 0, 0, "a=J2^1"},
    {"the process after it is Leaving", "a=V2@5 view=5", NULL, 0, 0, "a=V2@5^1"},
    {"the process after it is Failed", "a=F2@5 view=5", NULL, 0, 0, "a=F2@5^1"},
    {"no row yet: a join may be under way", "b=A1 view=5", NULL, 0, 0, "a=L0^1"},
    {"an empty store", "", NULL, 0, 0, "a=L0^1"},
    {"an empty store in the place of its own", "", "@own", 0, 0, ""},
    {"another cluster's store", "format=2 a=A1 view=5", "@own", 0, 0, ""},
    {"it was primary", "a=A1 view=5 primary=a/3", NULL, 1, 0, "view=6(0) a=F1@6^1 primary=-/3 -a6"},
    {"another is primary", "a=A1 b=A1 view=5 primary=b/3", NULL, 1, 0, "view=6(1) a=F1@6^1 -a6"},
};

static void declare_dead(void **state)
{
    (void)state;
    rule_cases_run(declare_cases, ARRAY_LEN(declare_cases), start_declare, true);
    for (size_t i = 0; i < ARRAY_LEN(declare_cases); i++) {
        struct rig r;
        rig_init(&r);
        rig_scene(&r, declare_cases[i].scene);
        start_declare(&r, &declare_cases[i]);
        rig_run(&r);
        assert_int_equal(declare.failed, declare_cases[i].flag);
        rig_free(&r);
    }
}

/* The first attempt meets the life that died; before it commits that life is failed and gone. */
static void replaced(struct rig *r)
{
    rig_scene(r, "a=A2");
}

static void declare_dead_tells_what_it_did(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_scene(&r, "a=A1 view=5");
    r.before_commit = replaced;
    start_declare(&r, NULL);
    rig_run(&r);
    assert_int_equal(r.commits, 2);
    assert_false(declare.failed);
    rig_free(&r);
}

/* ---- Forget: a, primary of term 3, strikes b1 off */

static struct forget_op forget;

static void start_forget(struct rig *r, const struct rule_case *c)
{
    forget = (struct forget_op){.ks = &r->ks,
                                .self = rig_life("a1"),
                                .term = 3,
                                .target = rig_life("b1"),
                                .silent = silences(c)};
    forget_prepare(&forget, &r->env, rig_done, r);
    txn_start(&forget.txn);
}

static const struct rule_case forget_cases[] = {
    {"Failed", PRIMARY_A "b=F1@5 view=5", NULL, 0, 0, "b=L1@5"},
    {"own commit", PRIMARY_A "b=L1@5 view=5", NULL, 0, 0, ""},
    {"no such row", PRIMARY_A "view=5", NULL, 0, 0, ""},
    {"Active", PRIMARY_A "b=A1 b~1/5 view=5", NULL, 0, REFUSED, "node b is Active: only a failed"},
    {"Joining", PRIMARY_A "b=J1 view=5", NULL, 0, REFUSED, "node b is Joining"},
    {"Leaving", PRIMARY_A "b=V1 view=5", NULL, 0, REFUSED, "node b is Leaving"},
    {"Failed in another life", PRIMARY_A "b=F2@5 view=5", NULL, 0, REFUSED, "only a failed"},
    {"I have not acknowledged", PRIMARY_A "b=F1@6 view=6", NULL, 0, REFUSED,
     "node a has not acknowledged view 6"},
    {"another has not", PRIMARY_A "b=F1@5 c=A1 c~2/4 view=5", NULL, 0, REFUSED, "node c has not"},
    {"it is silent", PRIMARY_A "b=F1@5 c=A1 c~2/4 view=5", "c1~2", 0, 0, "b=L1@5"},
    {"it was silent", PRIMARY_A "b=F1@5 c=A1 c~3/4 view=5", "c1~2", 0, REFUSED, "node c has not"},
    {"not primary", "a=A1 a~1/5 b=F1@5 view=5 primary=-/3", NULL, 0, REFUSED, "not the primary"},
};

static void forget_node(void **state)
{
    static const struct rule_case silent_c = {
        "silent", PRIMARY_A "b=F1@5 c=A1 c~2/4 d=A1 d~4/5 view=5", "c1~2", 0, 0, ""};
    (void)state;
    RULE_CASES_RUN(forget_cases, start_forget);
    rule_conflicts(&silent_c, start_forget, "primary a b c d ~c", "~d view term");
}

/* ---- ForceForget: b */

static struct force_forget_op force;

static void start_force(struct rig *r, const struct rule_case *c)
{
    memset(&force, 0, sizeof(force));
    force.ks = &r->ks;
    force.target = "b";
    force.silent = silences(c);
    force_forget_prepare(&force, &r->env, rig_done, r);
    txn_start(&force.txn);
}

static const struct rule_case force_cases[] = {
    {"Failed, primary vacant", "a=A1 a~1/5 b=F1@5 view=5 primary=-/3", NULL, 0, 0, "b=L1@5"},
    {"Failed, no primary ever", "a=A1 a~1/5 b=F1@5 view=5", NULL, 0, 0, "b=L1@5"},
    {"Failed, it was primary", "a=A1 a~1/5 b=F1@5 view=5 primary=b/3", NULL, 0, 0, "b=L1@5"},
    {"Failed, primary of a life before", "a=A2 a~1/5 b=F1@5 view=5 primary=a#1/3", NULL, 0, 0,
     "b=L1@5"},
    {"Failed, primary Leaving", "a=V1 c=A1 c~1/5 b=F1@5 view=5 primary=a/3", NULL, 0, 0, "b=L1@5"},
    {"Failed, primary silent", "a=A1 a~1/4 b=F1@5 view=5 primary=a/3", "a1~1", 0, 0, "b=L1@5"},
    {"Failed, primary alive", "a=A1 a~2/5 b=F1@5 view=5 primary=a/3", "a1~1", 0, REFUSED,
     "node a is primary and alive: forget without force"},
    {"not acknowledged", "a=A1 a~1/4 b=F1@5 view=5 primary=-/3", NULL, 0, REFUSED,
     "node a has not"},
    {"Left", "a=A1 b=L1@5 view=5 primary=-/3", NULL, 0, 0, ""},
    {"no such node", "a=A1 view=5 primary=-/3", NULL, 0, REFUSED, "there is no node b"},
    {"Active and alive", "a=A1 b=A1 b~3/5 view=5 primary=-/3", NULL, 0, REFUSED,
     "node b is alive (its heartbeat moves): drain it"},
    {"Active, silent before", "a=A1 b=A1 b~4/5 view=5 primary=-/3", "b1~3", 0, REFUSED, "is alive"},
};

static void force_forget(void **state)
{
    (void)state;
    RULE_CASES_RUN(force_cases, start_force);
}

/* In the view: failed first, whatever was acknowledged before; struck off by the next operation. */
static void force_forget_takes_two_steps(void **state)
{
    static const char *const scenes[][3] = {
        {"a=A1 a~1/9 b=A1 b~3/5 view=5 primary=-/3", "b1~3", "view=6(1) b=F1@6 -b6"},
        {"a=A1 a~1/9 b=A1 b~3/5 view=5 primary=b/3", "b1~3", "view=6(1) b=F1@6 primary=-/3 -b6"},
        {"a=A1 a~1/9 b=V1@5 b~3/4 view=5 primary=-/3", "b1~3", "b=F1@5"},
        {"a=A1 a~1/9 b=J1 b~3/0 view=5 primary=-/3", "b1~3", "b=F1"},
        {"a=A1 a~1/4 b=A1 b~3/5 view=5 primary=a/3", "a1~1 b1~3", "view=6(1) b=F1@6 -b6"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
        struct rule_case c = {"first step", scenes[i][0], scenes[i][1], 0, 0, scenes[i][2]};
        char out[RIG_TEXT_MAX];
        struct rig r;
        rig_init(&r);
        rig_scene(&r, c.scene);
        start_force(&r, &c);
        rig_run(&r);
        assert_int_equal(r.status, 0);
        assert_string_equal(rig_written(&r, out), c.expect);
        assert_int_equal(force.voters_after, force.voters_before);
        rig_free(&r);
    }
}

static void force_forget_counts_voters(void **state)
{
    struct rule_case c = {"voters", "a=A1 a~1/5 b=F1@5 c=F1 d=L1 e=J1 f=V1 view=5", NULL, 0, 0, ""};
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_scene(&r, c.scene);
    start_force(&r, &c);
    rig_run(&r);
    assert_int_equal(force.voters_before, 4);
    assert_int_equal(force.voters_after, 3);
    rig_free(&r);
}

/* However many are silent, each of their heartbeats is read so that one that moves conflicts. */
static void many_silent_nodes_all_conflict(void **state)
{
    static char scene[120 * 32 + 64], with[120 * 16];
    struct rule_case c = {"many", scene, with, 0, 0, ""};
    (void)state;
    for (size_t count = 47; count <= 100; count += 53) {
        scene[0] = with[0] = '\0';
        for (size_t i = 0; i < count; i++) {
            char id[3] = {(char)('c' + i / 20), (char)('a' + i % 20), 0};
            (void)snprintf(scene + strlen(scene), 32, "%s=A1 %s~1/4 ", id, id);
            (void)snprintf(with + strlen(with), 16, "%s1~1 ", id);
        }
        (void)snprintf(scene + strlen(scene), 64, "b=A1 b~3/5 view=5 primary=-/3");
        (void)snprintf(with + strlen(with), 16, "b1~3");
        struct rig r;
        rig_init(&r);
        rig_scene(&r, scene);
        start_force(&r, &c);
        rig_run(&r);
        assert_int_equal(r.status, 0);
        rig_free(&r);
        rule_conflicts(&c, start_force, "~b ~ca", "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mark_node_failed),
        cmocka_unit_test(mark_node_failed_conflicts),
        cmocka_unit_test(mark_node_failed_damaged),
        cmocka_unit_test(mark_node_failed_without_a_member),
        cmocka_unit_test(mark_dead_all),
        cmocka_unit_test(mark_dead_all_conflicts),
        cmocka_unit_test(node_recover),
        cmocka_unit_test(node_recover_fails_a_past_life),
        cmocka_unit_test(node_recover_conflicts),
        cmocka_unit_test(declare_dead),
        cmocka_unit_test(declare_dead_tells_what_it_did),
        cmocka_unit_test(forget_node),
        cmocka_unit_test(force_forget),
        cmocka_unit_test(force_forget_takes_two_steps),
        cmocka_unit_test(force_forget_counts_voters),
        cmocka_unit_test(many_silent_nodes_all_conflict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
