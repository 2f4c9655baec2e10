/* The cache of placements: what it keeps, what it believes, what it drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "registry/directory.h"
#include "support/test_mem.h"

static struct placement on(const char *node, unsigned boot, uint64_t generation)
{
    struct placement p = {.record = {.placed = node[0] != 0, .generation = generation}};

    p.record.boot.b[0] = (uint8_t)boot;
    (void)snprintf(p.record.node_id, sizeof p.record.node_id, "%s", node);
    if (p.record.placed)
        (void)snprintf(p.addr, sizeof p.addr, "addr-%s", node);
    return p;
}

static bool knows(struct directory *d, const struct view *v, const char *id, const char *node)
{
    struct placement p;

    return directory_find(d, v, "t", id, &p) && strcmp(p.record.node_id, node) == 0;
}

static void learn(struct directory *d, const char *id, struct placement p)
{
    directory_learn(d, "t", id, &p);
}

static void test_newer_generations_win(void **state)
{
    struct test_mem mem = {0};
    struct directory d;

    (void)state;
    directory_init(&d, test_mem(&mem), 10);
    learn(&d, "a", on("n1", 1, 3));
    assert_true(knows(&d, NULL, "a", "n1"));
    learn(&d, "a", on("n2", 2, 2));
    assert_true(knows(&d, NULL, "a", "n1"));
    learn(&d, "a", on("n2", 2, 4));
    assert_true(knows(&d, NULL, "a", "n2"));
    /* Released: nobody knows. An older release says nothing. */
    learn(&d, "a", on("", 0, 3));
    assert_true(knows(&d, NULL, "a", "n2"));
    learn(&d, "a", on("", 0, 4));
    assert_false(knows(&d, NULL, "a", "n2"));
    directory_deinit(&d);
    assert_int_equal(mem.held, 0);
}

static void test_a_placement_without_address_is_not_kept(void **state)
{
    struct test_mem mem = {0};
    struct directory d;
    struct placement p = on("n1", 1, 3);

    (void)state;
    directory_init(&d, test_mem(&mem), 10);
    p.addr[0] = '\0';
    learn(&d, "a", p);
    assert_false(knows(&d, NULL, "a", "n1"));
    learn(&d, "a", on("n1", 1, 3));
    learn(&d, "a", p);
    assert_true(knows(&d, NULL, "a", "n1"));
    p.record.generation = 4;
    learn(&d, "a", p);
    assert_false(knows(&d, NULL, "a", "n1"));
    directory_deinit(&d);
}

static void test_bound_drops_least_recently_used(void **state)
{
    struct test_mem mem = {0};
    struct directory d;

    (void)state;
    directory_init(&d, test_mem(&mem), 3);
    learn(&d, "a", on("n1", 1, 1));
    learn(&d, "b", on("n1", 1, 1));
    learn(&d, "c", on("n1", 1, 1));
    assert_true(knows(&d, NULL, "a", "n1"));
    learn(&d, "d", on("n1", 1, 1));
    assert_true(knows(&d, NULL, "a", "n1"));
    assert_false(knows(&d, NULL, "b", "n1"));
    assert_true(knows(&d, NULL, "c", "n1"));
    assert_true(knows(&d, NULL, "d", "n1"));
    assert_int_equal(d.entries.count, 3);
    directory_forget(&d, "t", "a");
    directory_forget(&d, "t", "never");
    assert_int_equal(d.entries.count, 2);
    directory_clear(&d);
    assert_int_equal(mem.held, 0);
    directory_deinit(&d);
}

static void test_members_that_left_are_not_believed(void **state)
{
    struct test_mem mem = {0};
    struct member members[2] = {{.node_id = "n1"}, {.node_id = "n2"}};
    struct view view = {.number = 7, .count = 2, .members = members};
    struct directory d;

    (void)state;
    members[0].boot.b[0] = 1;
    members[1].boot.b[0] = 99; /* another life of n2 */
    directory_init(&d, test_mem(&mem), 10);
    learn(&d, "a", on("n1", 1, 1));
    learn(&d, "b", on("n2", 2, 1));
    learn(&d, "c", on("n3", 3, 1));
    directory_members_gone(&d);
    assert_true(knows(&d, &view, "a", "n1"));
    assert_false(knows(&d, &view, "b", "n2"));
    assert_false(knows(&d, &view, "c", "n3"));
    /* Learned since: a leaving node is in no view, and hosts still. */
    learn(&d, "c", on("n3", 3, 1));
    assert_true(knows(&d, &view, "c", "n3"));
    directory_deinit(&d);
    assert_int_equal(mem.held, 0);
}

static void test_names_keep_type_and_id_apart(void **state)
{
    struct actor_name ab_c = actor_name_of("ab", "c"), a_bc = actor_name_of("a", "bc");
    struct actor_name a_z = actor_name_of("a", "z");

    (void)state;
    assert_false(bytes_equal(actor_name_bytes(&ab_c), actor_name_bytes(&a_bc)));
    assert_true(bytes_compare(actor_name_bytes(&a_bc), actor_name_bytes(&a_z)) < 0);
    assert_true(bytes_compare(actor_name_bytes(&a_z), actor_name_bytes(&ab_c)) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_generations_win),
        cmocka_unit_test(test_a_placement_without_address_is_not_kept),
        cmocka_unit_test(test_bound_drops_least_recently_used),
        cmocka_unit_test(test_members_that_left_are_not_believed),
        cmocka_unit_test(test_names_keep_type_and_id_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
