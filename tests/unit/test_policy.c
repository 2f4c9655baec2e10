/* Choosing a host among the members of a view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "registry/policy.h"

static uint64_t random_state;

static uint64_t random_next(void *ctx)
{
    (void)ctx;
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 11 | random_state << 53;
}

static const struct random_ops random_ops = {random_next};

static const uint64_t *loads;

static uint64_t load_of(void *arg, const char *node_id)
{
    (void)arg;
    return loads[node_id[1] - '1'];
}

static struct member members[] = {{.node_id = "n1"}, {.node_id = "n2"}, {.node_id = "n3"}};
static const struct view three = {.number = 1, .count = 3, .members = members};

static struct policy_input input(enum kelpie_placement placement, uint64_t *turn)
{
    static const uint64_t none[3];

    loads = none;
    return (struct policy_input){
        .view = &three,
        .self = "n2",
        .placement = placement,
        .load = load_of,
        .random = {&random_ops, NULL},
        .turn = turn,
    };
}

static void test_local(void **state)
{
    uint64_t turn = 0;
    struct policy_input in = input(KELPIE_PLACE_LOCAL, &turn);
    struct excluded excluded = {0};

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_string_equal(policy_choose(&in)->node_id, "n2");
    /* It cannot host: somebody else does. */
    excluded_add(&excluded, "n2");
    in.excluded = &excluded;
    for (unsigned i = 0; i < 10; i++)
        assert_string_not_equal(policy_choose(&in)->node_id, "n2");
    in.excluded = NULL;
    in.self = "n9";
    assert_non_null(policy_choose(&in));
}

static bool all_but_n3_silent(void *arg, const struct member *m)
{
    (void)arg;
    return strcmp(m->node_id, "n3") != 0;
}

static void test_silent(void **state)
{
    uint64_t turn = 0;
    struct excluded excluded = {0};
    (void)state;
    for (enum kelpie_placement p = KELPIE_PLACE_LEAST_LOADED; p <= KELPIE_PLACE_ROUND_ROBIN; p++) {
        struct policy_input in = input(p, &turn);
        in.silent = all_but_n3_silent;
        for (unsigned i = 0; i < 10; i++)
            assert_string_equal(policy_choose(&in)->node_id, "n3");
        excluded_add(&excluded, "n3");
        in.excluded = &excluded;
        assert_null(policy_choose(&in));
    }
}

static void test_round_robin(void **state)
{
    uint64_t turn = 0;
    struct policy_input in = input(KELPIE_PLACE_ROUND_ROBIN, &turn);

    (void)state;
    for (unsigned i = 0; i < 9; i++)
        assert_ptr_equal(policy_choose(&in), &members[i % 3]);
}

static void test_least_loaded_of_two(void **state)
{
    static const uint64_t uneven[] = {5, 9, 7};
    uint64_t turn = 0;
    struct policy_input in = input(KELPIE_PLACE_LEAST_LOADED, &turn);
    unsigned chosen[3] = {0};

    (void)state;
    loads = uneven;
    for (unsigned i = 0; i < 600; i++)
        chosen[policy_choose(&in) - members]++;
    /* The most loaded loses against both others; the least loaded is in two pairs of three. */
    assert_int_equal(chosen[1], 0);
    assert_true(chosen[0] > 330 && chosen[2] > 120);
    input(KELPIE_PLACE_LEAST_LOADED, &turn);
    memset(chosen, 0, sizeof chosen);
    for (unsigned i = 0; i < 600; i++)
        chosen[policy_choose(&in) - members]++;
    for (unsigned i = 0; i < 3; i++)
        assert_true(chosen[i] > 120);
}

static void test_excluded(void **state)
{
    uint64_t turn = 0;
    struct policy_input in = input(KELPIE_PLACE_LEAST_LOADED, &turn);
    struct excluded excluded = {0};
    static const struct view empty;

    (void)state;
    in.excluded = &excluded;
    excluded_add(&excluded, "n1");
    excluded_add(&excluded, "n1");
    assert_int_equal(excluded.count, 1);
    excluded_add(&excluded, "n3");
    for (unsigned i = 0; i < 10; i++)
        assert_string_equal(policy_choose(&in)->node_id, "n2");
    excluded_add(&excluded, "n2");
    assert_null(policy_choose(&in));
    in.excluded = NULL;
    in.view = &empty;
    assert_null(policy_choose(&in));
    in.view = NULL;
    assert_null(policy_choose(&in));
}

static void test_excluded_has_a_bound(void **state)
{
    struct excluded excluded = {0};

    (void)state;
    for (unsigned i = 0; i < 2 * EXCLUDED_MAX; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "m%u", i);
        excluded_add(&excluded, id);
    }
    assert_int_equal(excluded.count, EXCLUDED_MAX);
    assert_true(excluded_has(&excluded, "m15"));
    assert_false(excluded_has(&excluded, "m16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local),       cmocka_unit_test(test_silent),
        cmocka_unit_test(test_round_robin), cmocka_unit_test(test_least_loaded_of_two),
        cmocka_unit_test(test_excluded),    cmocka_unit_test(test_excluded_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
