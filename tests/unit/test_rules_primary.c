/*
 * Becoming primary, resigning, and the housekeeping of view changes, as tables. Words:
 * lib/rule_rig.h; a is the candidate.
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
#define LIST_MAX 16

/* ---- ElectPrimary: a1; with: who answered, then after '|' who is silent; flag: the term it knows */

static struct elect_op elect;
static struct silence reached[LIST_MAX], silent[LIST_MAX];

static void start_elect(struct rig *r, const struct rule_case *c)
{
    char answered[256] = "";
    const char *bar = c->with ? strchr(c->with, '|') : NULL;
    if (c->with)
        (void)snprintf(answered, sizeof(answered), "%.*s",
                       (int)(bar ? bar - c->with : (ptrdiff_t)strlen(c->with)), c->with);
    memset(&elect, 0, sizeof(elect));
    elect.ks = &r->ks;
    elect.self = rig_life("a1");
    elect.known_term = (uint64_t)c->flag;
    elect.reached = (struct silences){reached, rig_silences(answered, reached, LIST_MAX)};
    elect.silent = (struct silences){silent, bar ? rig_silences(bar + 1, silent, LIST_MAX) : 0};
    elect_prepare(&elect, &r->env, rig_done, r);
    txn_start(&elect.txn);
}

#define AB "a=A1 a~4/5 b=A1 b~7/5 view=5 term=3 "

static const struct rule_case elect_cases[] = {
    {"alone", "a=A1 a~4/5 view=5 term=3 primary=-/3", NULL, 3, 0, "primary=a/4 term=4"},
    {"no primary row", "a=A1 a~4/5 view=5", NULL, 0, 0, "primary=a/1 term=1"},
    {"vacant", AB "primary=-/3", "b1~7", 3, 0, "primary=a/4 term=4"},
    {"it answered, and has moved since", AB "primary=-/3", "b1~6", 3, 0, "primary=a/4 term=4"},
    {"it answered with what is not there", AB "primary=-/3", "b1~8", 3, REFUSED,
     "no majority: 1 of 2 voters"},
    {"nobody answered", AB "primary=-/3", NULL, 3, REFUSED, "no majority: 1 of 2 voters"},
    {"an earlier life answered", "a=A1 a~4/5 b=A2 b~7/5 view=5 term=3 primary=-/3", "b1~7", 3,
     REFUSED, "no majority"},
    {"the old one is alive", AB "primary=b/3", "b1~7", 3, REFUSED, "node b is primary"},
    {"the old one moves again", AB "c=A1 c~1/5 view=5 primary=b/3", "c1~1|b1~6", 3, REFUSED,
     "node b is primary and alive"},
    {"the old one is silent", AB "c=A1 c~1/5 view=5 primary=b/3", "c1~1|b1~7", 3, 0,
     "view=6(2) b=F1@6 primary=a/4 term=4 -b6"},
    {"a silent one is no vote", AB "c=A1 c~1/5 view=5 primary=b/3", "b1~7|b1~7", 3, REFUSED,
     "no majority: 1 of 3"},
    {"another life of it was silent", AB "c=A1 c~1/5 view=5 primary=b/3", "c1~1|b2~7", 3, REFUSED,
     "node b is primary"},
    {"the old one is Failed", "a=A1 a~4/5 b=F1 c=A1 c~1/5 view=5 term=3 primary=b/3", "c1~1", 3, 0,
     "primary=a/4 term=4"},
    {"the old one is Leaving", "a=A1 a~4/5 b=V1 c=A1 c~1/5 view=5 term=3 primary=b/3", "c1~1", 3, 0,
     "primary=a/4 term=4"},
    {"the old one is Left", "a=A1 a~4/5 b=L1 view=5 term=3 primary=b/3", NULL, 3, 0,
     "primary=a/4 term=4"},
    {"the old one is in its next life", "a=A1 a~4/5 b=A2 b~0/5 view=5 term=3 primary=b#1/3", "b2~0",
     3, 0, "primary=a/4 term=4"},
    {"the old one has no row", "a=A1 a~4/5 view=5 b=L1 primary=b#4/3 term=3", NULL, 3, 0,
     "primary=a/4 term=4"},
    {"it is me without a claim", AB "primary=a/3", "b1~7", 3, 0, "primary=a/4 term=4"},
    {"it is me, no majority", AB "primary=a/3", NULL, 3, REFUSED, "no majority"},
    {"own commit", "a=A1 a~4/5 b=A1 b~7/5 view=5 primary=a/4 term=4", "b1~7", 3, 0, ""},
    {"own commit, majority lost since", "a=A1 b=A1 view=5 primary=a/4 term=4", NULL, 3, 0, ""},
    {"a past life of mine", "a=A1 a~4/5 view=5 term=4 primary=a#7/4", NULL, 3, 0,
     "primary=a/5 term=5"},
    {"a flagged one is no vote", "a=A1 a~4/5 b=A1! b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED,
     "no majority: 1 of 2 voters"},
    {"I am flagged", "a=A1! a~4/5 b=A1 b~7/5 c=A1 c~1/5 view=5 primary=-/3", "b1~7 c1~1", 3,
     REFUSED, "this node is flagged"},
    {"I am Joining", "a=J1 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED,
     "not Active any more"},
    {"I am Leaving", "a=V1 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED,
     "not Active any more"},
    {"I am Failed", "a=F1 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED,
     "not Active any more"},
    {"I am Left", "a=L1 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED, "not Active any more"},
    {"my next life", "a=A2 b=A1 b~7/5 view=5 primary=-/3", "b1~7", 3, REFUSED,
     "not Active any more"},
};

static void elect_primary(void **state)
{
    (void)state;
    RULE_CASES_RUN(elect_cases, start_elect);
}

static void elect_primary_conflicts(void **state)
{
    static const struct rule_case c = {
        "silent",    AB "c=A1 c~1/5 d=J1 view=5 primary=b/3 types:a=1>room.0 types:b=3",
        "c1~1|b1~7", 3,
        0,           ""};
    (void)state;
    rule_conflicts(&c, start_elect, "primary term view a b c d ~b", "~c ~a types:a types:b");
}

/* One letter a node: self; A answers, a Active but silent to us, V Leaving, F Failed, J Joining, L
 * Left. What more than half of the voters is, for one to seven of them. */
static const struct {
    const char *nodes;
    size_t votes, voters;
    bool elected;
} majorities[] = {
    {"s", 1, 1, true},        {"sA", 2, 2, true},       {"sa", 1, 2, false},
    {"sF", 1, 2, false},      {"sV", 1, 2, false},      {"sJ", 1, 1, true},
    {"sL", 1, 1, true},       {"sAA", 3, 3, true},      {"sAa", 2, 3, true},
    {"saa", 1, 3, false},     {"sAF", 2, 3, true},      {"sAV", 2, 3, true},
    {"sFV", 1, 3, false},     {"sJJJ", 1, 1, true},     {"sAaa", 2, 4, false},
    {"sAAa", 3, 4, true},     {"sAFF", 2, 4, false},    {"sAVF", 2, 4, false},
    {"sAAF", 3, 4, true},     {"sAAFL", 3, 4, true},    {"sAAaa", 3, 5, true},
    {"sAaaa", 2, 5, false},   {"sAAFF", 3, 5, true},    {"sAAVF", 3, 5, true},
    {"sAFFVJ", 2, 5, false},  {"sAAaaa", 3, 6, false},  {"sAAAFF", 4, 6, true},
    {"sAAFFF", 3, 6, false},  {"sAAAVFJL", 4, 6, true}, {"sAAAaaa", 4, 7, true},
    {"sAAaaaa", 3, 7, false}, {"sAAAFFF", 4, 7, true},  {"sAAFFFV", 3, 7, false},
    {"sAAAVVV", 4, 7, true},  {"sAAAAAA", 7, 7, true},  {"sFFFFFF", 1, 7, false},
};

static void majority_scene(const char *nodes, char *scene, char *answered)
{
    scene[0] = answered[0] = '\0';
    for (size_t i = 0; nodes[i]; i++) {
        char id = (char)('a' + i);
        char letter = nodes[i] == 's' || nodes[i] == 'a' ? 'A' : nodes[i];
        (void)snprintf(scene + strlen(scene), 24, "%c=%c1 %c~3/5 ", id, letter, id);
        if (nodes[i] == 'A')
            (void)snprintf(answered + strlen(answered), 16, "%c1~3 ", id);
    }
    (void)snprintf(scene + strlen(scene), 32, "view=5 term=3 primary=-/3");
}

static void majorities_of_one_to_seven(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(majorities); i++) {
        char scene[256], answered[128];
        struct rule_case c = {majorities[i].nodes, scene, answered, 3, 0, ""};
        struct rig r;
        majority_scene(majorities[i].nodes, scene, answered);
        rig_init(&r);
        rig_scene(&r, scene);
        start_elect(&r, &c);
        rig_run(&r);
        if (elect.votes != majorities[i].votes || elect.voters != majorities[i].voters ||
            (r.status == 0) != majorities[i].elected)
            fail_msg("%s: %zu of %zu, status %d", c.name, elect.votes, elect.voters, r.status);
        rig_free(&r);
    }
}

/* ---- PrimaryStepDown: a1, term 3 */

static struct step_down_op down;

static void start_down(struct rig *r, const struct rule_case *c)
{
    (void)c;
    memset(&down, 0, sizeof(down));
    down.ks = &r->ks;
    down.self = rig_life("a1");
    down.term = 3;
    step_down_prepare(&down, &r->env, rig_done, r);
    txn_start(&down.txn);
}

static const struct rule_case down_cases[] = {
    {"it is me", "a=A1 b=A1 primary=a/3", NULL, 0, 0, "primary=-/3"},
    {"I am Leaving", "a=V1 b=A1 primary=a/3", NULL, 0, 0, "primary=-/3"},
    {"own commit", "a=A1 primary=-/3", NULL, 0, 0, ""},
    {"a later term of mine", "a=A1 primary=a/4", NULL, 0, 0, ""},
    {"somebody else", "a=A1 b=A1 primary=b/4", NULL, 0, 0, ""},
    {"another life of mine", "a=A2 primary=a/3", NULL, 0, 0, ""},
    {"another boot", "a=A1b2 primary=a/3", NULL, 0, 0, ""},
    {"no primary row", "a=A1", NULL, 0, 0, ""},
};

static void primary_step_down(void **state)
{
    (void)state;
    RULE_CASES_RUN(down_cases, start_down);
    rule_conflicts(&down_cases[0], start_down, "primary", "a b");
}

/* ---- TrimViewChanges: a1, primary of term 3 */

static struct trim_op trim;

static void start_trim(struct rig *r, const struct rule_case *c)
{
    (void)c;
    memset(&trim, 0, sizeof(trim));
    trim.ks = &r->ks;
    trim.self = rig_life("a1");
    trim.term = 3;
    trim_prepare(&trim, &r->env, rig_done, r);
    txn_start(&trim.txn);
}

#define CHANGES "+a1 +b2 -b3 +b4 primary=a/3 "

static const struct rule_case trim_cases[] = {
    {"all acknowledged", "a=A1 a~1/99 b=A1 b~1/99 view=67 " CHANGES, NULL, 0, 0,
     "gone:1 gone:2 gone:3"},
    {"one is behind", "a=A1 a~1/99 b=A1 b~1/1 view=99 " CHANGES, NULL, 0, 0, "gone:1"},
    {"a Failed one is not asked", "a=A1 a~1/99 b=F1 b~1/1 view=66 " CHANGES, NULL, 0, 0,
     "gone:1 gone:2"},
    {"one has acknowledged nothing", "a=A1 a~1/99 b=A1 view=99 " CHANGES, NULL, 0, 0, ""},
    {"the last ones are kept", "a=A1 a~1/99 b=L1 view=64 " CHANGES, NULL, 0, 0, ""},
    {"own commit", "a=A1 a~1/99 b=L1 view=67 +b4 primary=a/3", NULL, 0, 0, ""},
    {"no changes", "a=A1 a~1/99 view=99 primary=a/3", NULL, 0, 0, ""},
    {"vacant", "a=A1 a~1/99 b=L1 view=99 +a1 primary=-/3", NULL, 0, REFUSED, "not the primary"},
    {"another term", "a=A1 a~1/99 b=L1 view=99 +a1 primary=a/4", NULL, 0, REFUSED,
     "not the primary"},
    {"another primary", "a=A1 a~1/99 b=A1 view=99 +a1 primary=b/3", NULL, 0, REFUSED,
     "not the primary"},
};

static void trim_view_changes(void **state)
{
    (void)state;
    RULE_CASES_RUN(trim_cases, start_trim);
    rule_conflicts(&trim_cases[0], start_trim, "primary view +1", "a ~a b ~b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elect_primary),
        cmocka_unit_test(elect_primary_conflicts),
        cmocka_unit_test(majorities_of_one_to_seven),
        cmocka_unit_test(primary_step_down),
        cmocka_unit_test(trim_view_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
