/*
 * FlagGrey as a table. Words: lib/rule_rig.h; a is the primary of term 3, 5 is the view. "b~7/5>d1":
 * b says that it cannot reach d in incarnation 1.
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

/* with: who is to be flagged; flag: with that term */

static struct flag_op flag;

static void start_flag(struct rig *r, const struct rule_case *c)
{
    flag = (struct flag_op){.ks = &r->ks,
                            .self = rig_life("a1"),
                            .term = c->flag ? (uint64_t)c->flag : 3,
                            .target = rig_life(c->with)};
    flag_prepare(&flag, &r->env, rig_done, r);
    txn_start(&flag.txn);
}

#define VIEW "view=5 term=3 primary=a/3"
#define A "a=A1 a~9/5>d1 "
#define B "b=A1 b~9/5>d1 "
#define C "c=A1 c~9/5>d1 "
#define D "d=A1 d~9/5 "
#define C_REACHES "c=A1 c~9/5 "

static const struct rule_case flag_cases[] = {
    {"all of three", A B C D VIEW, "d1", 0, 0, "d=A1!"},
    {"two of three", A B C_REACHES D VIEW, "d1", 0, 0, "d=A1!"},
    {"without the primary", "a=A1 a~9/5 " B C D VIEW, "d1", 0, 0, "d=A1!"},
    {"one of three", A "b=A1 b~9/5 " C_REACHES D VIEW, "d1", 0, REFUSED,
     "1 of 3 active nodes cannot reach node d, not most of them"},
    {"nobody", "a=A1 a~9/5 b=A1 b~9/5 " C_REACHES D VIEW, "d1", 0, REFUSED, "0 of 3 active"},
    {"half of four", A B C_REACHES "e=A1 e~9/5 " D VIEW, "d1", 0, REFUSED, "2 of 4 active nodes"},
    {"the target itself has no say", A "b=A1 b~9/5 d=A1 d~9/5>d1 " VIEW, "d1", 0, REFUSED,
     "1 of 2 active"},
    {"they mean an earlier life", A B C "d=A2 d~9/5 " VIEW, "d2", 0, REFUSED, "0 of 3 active"},
    {"they mean another", "a=A1 a~9/5>b1 b=A1 b~9/5>d1 c=A1 c~9/5>a1 " D VIEW, "d1", 0, REFUSED,
     "1 of 3 active"},
    {"one accuser among more words", "a=A1 a~9/5>b1>d1 b=A1 b~9/5>a1>c1>d1 " C_REACHES D VIEW, "d1",
     0, 0, "d=A1!"},
    {"an accuser of an earlier life", A "b=A2 b~9/5#1>d1 " C_REACHES D VIEW, "d1", 0, REFUSED,
     "1 of 3 active"},
    {"a Leaving accuser", A "b=V1 b~9/5>d1 " C D VIEW, "d1", 0, REFUSED,
     "without node d only 2 of 4 voters would be active"},
    {"a Joining accuser", A B "c=A1 c~9/5 e=J1 e~9/5>d1 " D VIEW, "d1", 0, 0, "d=A1!"},
    {"of two", A D VIEW, "d1", 0, REFUSED, "without node d only 1 of 2 voters would be active"},
    {"of three", A B D VIEW, "d1", 0, 0, "d=A1!"},
    {"of three, one has failed", A B "c=F1 " D VIEW, "d1", 0, REFUSED, "only 2 of 4 voters"},
    {"of four, one has failed", A B C "e=F1 " D VIEW, "d1", 0, 0, "d=A1!"},
    {"of four, one is leaving", A B "e=V1 " D VIEW, "d1", 0, REFUSED, "only 2 of 4 voters"},
    {"of three, one has left", A B "c=L1 " D VIEW, "d1", 0, 0, "d=A1!"},
    {"of three, one returns after a flag", A B "c=J2! " D VIEW, "d1", 0, REFUSED,
     "only 2 of 4 voters"},
    {"of three, one joins", A B "c=J2 " D VIEW, "d1", 0, 0, "d=A1!"},
    {"of three, one left after a flag", A B "c=L2! " D VIEW, "d1", 0, 0, "d=A1!"},
    {"the primary itself", "a=A1 a~9/5 b=A1 b~9/5>a1 c=A1 c~9/5>a1 " VIEW, "a1", 0, 0, "a=A1!"},
    {"the primary itself, of two", "a=A1 a~9/5 b=A1 b~9/5>a1 " VIEW, "a1", 0, REFUSED,
     "without node a only 1 of 2 voters would be active"},
    {"another is flagged", A B C "e=A1! e~9/5 " D VIEW, "d1", 0, REFUSED,
     "node e is flagged, and not out yet"},
    {"another is flagged and Leaving", A B C "e=V1! e~9/5 " D VIEW, "d1", 0, REFUSED,
     "node e is flagged, and not out yet"},
    {"another was flagged and is out", A B C "e=F1! e~9/5 " D VIEW, "d1", 0, 0, "d=A1!"},
    {"own commit", A B C "d=A1! d~9/5 " VIEW, "d1", 0, 0, ""},
    {"Leaving meanwhile", A B C "d=V1 d~9/5 " VIEW, "d1", 0, 0, ""},
    {"Failed meanwhile", A B C "d=F1 d~9/5 " VIEW, "d1", 0, 0, ""},
    {"its next life", A B C "d=A2 d~9/5 " VIEW, "d1", 0, 0, ""},
    {"another boot", A B C "d=A1b2 d~9/5 " VIEW, "d1", 0, 0, ""},
    {"no such row", A B C VIEW, "d1", 0, 0, ""},
    {"an older term of mine", A B C D VIEW, "d1", 2, REFUSED, "not the primary of term 2"},
    {"vacant", A B C D "view=5 primary=-/3", "d1", 0, REFUSED, "not the primary"},
    {"another primary", A B C D "view=5 primary=b/3", "d1", 0, REFUSED, "not the primary"},
    {"I am Leaving", "a=V1 " B C D VIEW, "d1", 0, REFUSED, "not the primary"},
};

static void flag_grey(void **state)
{
    (void)state;
    RULE_CASES_RUN(flag_cases, start_flag);
    assert_true(rule_corruption_found(&flag_cases[0], start_flag) >= 6);
}

/* Somebody's further heartbeat changes nothing; the target's does, and so does any node. */
static void flag_grey_conflicts(void **state)
{
    (void)state;
    rule_conflicts(&flag_cases[0], start_flag, "primary a b c d ~d", "view ~a ~b ~c term");
}

static void flag_grey_says_how_many(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    rig_scene(&r, flag_cases[1].scene);
    start_flag(&r, &flag_cases[1]);
    rig_run(&r);
    assert_int_equal(flag.accusers, 2);
    assert_int_equal(flag.observers, 3);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flag_grey),
        cmocka_unit_test(flag_grey_conflicts),
        cmocka_unit_test(flag_grey_says_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
