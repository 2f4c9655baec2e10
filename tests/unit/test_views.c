/* The view as a node holds it: sorted, copied, compared with what the store says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/rules.h"
#include "cluster/views.h"
#include "support/test_dies.h"
#include "support/test_mem.h"

static struct test_mem held;

static struct member member_of(const char *id, uint64_t incarnation)
{
    struct member m = {.incarnation = incarnation, .boot = {{(uint8_t)incarnation}}};
    (void)snprintf(m.node_id, sizeof(m.node_id), "%s", id);
    (void)snprintf(m.addr, sizeof(m.addr), "at-%s", id);
    return m;
}

static void add(struct view *v, const char *id, uint64_t incarnation)
{
    struct member m = member_of(id, incarnation);
    view_add(v, &m, test_mem(&held));
}

/* "a1 b2": ids and incarnations, in the order in which the view holds them. */
static void check(const struct view *v, const char *expected)
{
    char text[256] = "";
    for (size_t i = 0; i < v->count; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.8s%u", i ? " " : "",
                       v->members[i].node_id, (unsigned)v->members[i].incarnation);
    assert_string_equal(text, expected);
}

static void members_are_sorted(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    check(&v, "");
    add(&v, "m", 1);
    add(&v, "z", 1);
    add(&v, "a", 1);
    add(&v, "mm", 1);
    check(&v, "a1 m1 mm1 z1");
    add(&v, "m", 2);
    check(&v, "a1 m2 mm1 z1");
    view_remove(&v, "x");
    view_remove(&v, "a");
    view_remove(&v, "z");
    check(&v, "m2 mm1");
    assert_int_equal(view_find(&v, "mm")->incarnation, 1);
    assert_null(view_find(&v, "a"));
    assert_null(view_find(&v, ""));
    view_clear(&v, test_mem(&held));
    assert_null(view_find(&v, "m"));
    assert_int_equal(held.held, 0);
}

static void a_walk_finds_what_is_there(void **state)
{
    struct view v;
    size_t at = 0;
    (void)state;
    view_init(&v);
    assert_null(view_next(&v, &at, "a"));
    add(&v, "b", 1);
    add(&v, "d", 2);
    assert_null(view_next(&v, &at, "a"));
    assert_int_equal(view_next(&v, &at, "b")->incarnation, 1);
    assert_null(view_next(&v, &at, "c"));
    assert_int_equal(view_next(&v, &at, "d")->incarnation, 2);
    assert_null(view_next(&v, &at, "e"));
    view_clear(&v, test_mem(&held));
}

static void copies_are_apart(void **state)
{
    struct view a, b;
    struct mem mem = test_mem(&held);
    (void)state;
    view_init(&a);
    view_init(&b);
    view_copy(&b, &a, mem);
    check(&b, "");
    add(&a, "a", 1);
    a.number = 7;
    view_copy(&b, &a, mem);
    add(&b, "b", 1);
    b.number = 8;
    check(&a, "a1");
    check(&b, "a1 b1");
    view_clear(&a, mem);
    check(&b, "a1 b1");
    assert_int_equal(b.number, 8);
    view_clear(&b, mem);
    view_clear(&b, mem);
    assert_int_equal(held.held, 0);
}

static struct view_record record_of(const char *const *ids, const uint64_t *incarnations,
                                    size_t count)
{
    struct view_record r = {.number = 1, .count = count};
    for (size_t i = 0; i < count; i++) {
        uint64_t hi, lo;
        member_hash(ids[i], incarnations[i], &hi, &lo);
        r.hash_hi += hi;
        r.hash_lo += lo;
    }
    return r;
}

/* Whatever the order of joining was; not another member, incarnation or count. */
static void views_match_their_record(void **state)
{
    static const char *const ids[] = {"c", "a", "b"};
    static const uint64_t first[] = {1, 2, 3}, other[] = {1, 2, 4};
    struct view_record r = record_of(ids, first, 3), same = r, wrong = record_of(ids, other, 3),
                       fewer = record_of(ids, first, 2), none = {.number = 1};
    struct view v;
    (void)state;
    view_init(&v);
    assert_true(view_matches(&v, &none));
    assert_false(view_matches(&v, &r));
    add(&v, "a", 2);
    add(&v, "b", 3);
    add(&v, "c", 1);
    assert_true(view_matches(&v, &r));
    assert_false(view_matches(&v, &wrong));
    assert_false(view_matches(&v, &fewer));
    same.count = 2;
    assert_false(view_matches(&v, &same));
    view_clear(&v, test_mem(&held));
    assert_int_equal(held.held, 0);
}

static void overfill(void *arg)
{
    struct view *v = arg;
    char id[16];
    for (unsigned i = 0; i < NODES_MAX; i++) {
        (void)snprintf(id, sizeof(id), "n%u", i);
        add(v, id, 1);
    }
    if (v->count == NODES_MAX)
        add(v, "n7", 2); /* one that is there may be replaced */
    add(v, "one-more", 1);
}

static void a_view_is_bounded(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    assert_true(test_dies(overfill, &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_sorted), cmocka_unit_test(a_walk_finds_what_is_there),
        cmocka_unit_test(copies_are_apart),   cmocka_unit_test(views_match_their_record),
        cmocka_unit_test(a_view_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
