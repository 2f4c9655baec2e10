/* RaiseFormat as a table. Words: lib/rule_rig.h; `flag` is the version that is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/rule_cases.h"

#define REFUSED KELPIE_E_REFUSED

static struct raise_op op;

static void start(struct rig *r, const struct rule_case *c)
{
    op = (struct raise_op){.ks = &r->ks, .target = (uint64_t)c->flag};
    raise_prepare(&op, &r->env, rig_done, r);
    txn_start(&op.txn);
}

static const struct rule_case cases[] = {
    {"all read it", "format=2 a=A1:3 b=J1:4 c=V1:3", NULL, 3, 0, "format=3"},
    {"nobody is there", "format=2", NULL, 3, 0, "format=3"},
    {"two at once", "format=2 a=A1:4", NULL, 4, 0, "format=4"},
    {"raised before", "format=3 a=A1:3", NULL, 3, 0, ""},
    {"higher already", "format=4 a=A1:4", NULL, 3, 0, ""},
    {"only looks", "format=2 a=A1", NULL, 0, 0, ""},
    {"an Active one does not", "format=2 a=A1:3 b=A1", NULL, 3, REFUSED,
     "node b reads records up to version 2, not 3: replace its program"},
    {"a Joining one does not", "format=2 a=A1:3 b=J1", NULL, 3, REFUSED, "node b reads"},
    {"a Leaving one does not", "format=2 a=A1:3 b=V1", NULL, 3, REFUSED, "node b reads"},
    {"who is gone need not", "format=2 a=A1:3 b=F1 c=L1", NULL, 3, 0, "format=3"},
    {"a program of format 1", "format=1 a=A1 b=A1:1", NULL, 2, REFUSED, "node b reads"},
    {"from format 1", "format=1 a=L1:1", NULL, 2, 0, "format=2"},
    {"no cluster", "", NULL, 3, REFUSED, "no cluster under the prefix"},
};

static void raise_format(void **state)
{
    (void)state;
    RULE_CASES_RUN(cases, start);
    assert_int_equal(rule_corruption_found(&cases[0], start), 4);
    rule_conflicts(&cases[0], start, "format a b c", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(raise_format)};
    return cmocka_run_group_tests_name("rules_format", tests, NULL, NULL);
}
