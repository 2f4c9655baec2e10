/*
 * HostTypes as a table: who may change what a node hosts, and what of its own it recognises. Words: lib/rule_rig.h; with: the
 * life that changes, "/", the number of the change, and the types.
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
#include "registry/rules_types.h"

#define REFUSED KELPIE_E_REFUSED

static struct host_types_args args;
static struct txn change;

static void start_change(struct rig *r, const struct rule_case *c)
{
    char life[32];
    const char *at = strchr(c->with, '/');
    char *end;
    struct life l;

    (void)snprintf(life, sizeof life, "%.*s", (int)(at - c->with), c->with);
    l = rig_life(life);
    args = (struct host_types_args){.ks = &r->ks,
                                    .self = {.incarnation = l.incarnation, .boot = l.boot}};
    memcpy(args.self.node_id, l.node_id, sizeof args.self.node_id);
    args.number = strtoull(at + 1, &end, 10);
    while (*end == '>') {
        struct hosted_type *h = &args.types[args.count++];
        size_t len = strcspn(++end, ".");
        memcpy(h->type, end, len);
        h->version = (uint32_t)strtoul(end + len + 1, &end, 10);
    }
    host_types_txn(&change, &r->env, &args, rig_done, r);
    txn_start(&change);
}

static const struct rule_case cases[] = {
    {"the first", "a=A2", "a2/1>room.1", 0, 0, "types:a=1>room.1"},
    {"one more", "a=A2 types:a=1>room.1", "a2/2>room.1>bar.0", 0, 0, "types:a=2>room.1>bar.0"},
    {"none is left", "a=A2 types:a=2>room.1", "a2/3", 0, 0, "types:a=3"},
    {"its own commit", "a=A2 types:a=3>room.1", "a2/3>room.1", 0, 0, ""},
    {"the same types under another number", "a=A2 types:a=3>room.1", "a2/4>room.1", 0, 0,
     "types:a=4>room.1"},
    {"of a life before", "a=A3 types:a=9#2>room.1", "a3/1", 0, 0, "types:a=1"},
    {"of another process with that number", "a=A3b7 types:a=1#3>room.1", "a3b7/1>bar.0", 0, 0,
     "types:a=1>bar.0"},
    {"a later one has landed", "a=A2 types:a=5>room.1", "a2/4", 0, REFUSED,
     "a later change of the types of node a has landed"},
    {"failed", "a=F2 types:a=1>room.1", "a2/2", 0, REFUSED, "this life of node a is not Active"},
    {"leaving", "a=V2@4", "a2/1>room.1", 0, REFUSED, "this life of node a is not Active"},
    {"joining", "a=J2", "a2/1>room.1", 0, REFUSED, "this life of node a is not Active"},
    {"a newer life", "a=A3", "a2/1>room.1", 0, REFUSED, "this life of node a is not Active"},
    {"another process", "a=A2b9", "a2/1>room.1", 0, REFUSED, "this life of node a is not Active"},
    {"no row", "b=A1", "a2/1>room.1", 0, REFUSED, "this life of node a is not Active"},
};

static void test_host_types(void **state)
{
    (void)state;
    RULE_CASES_RUN(cases, start_change);
    static const struct rule_case among = {
        "among others",
        "a=A2 a~3/5 b=A1 b~1/5 view=5 primary=b/3 term=3 types:a=1 types:b=1>room.0",
        "a2/2>room.1",
        0,
        0,
        ""};
    rule_conflicts(&among, start_change, "a types:a", "b ~a ~b view primary term types:b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_host_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
