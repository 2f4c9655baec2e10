/* Types that come and go while a node runs: its types row, who is placed where, and how a type ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/small_world.h"
#include "registry/rules_types.h"

static const struct kelpie_class *const builtin[] = {&kelpie_class_counter, &kelpie_class_echo,
                                                     NULL};

/* Counts what it is told, as the built-in counter does. */
static struct kelpie_class purse_of(const char *type, uint32_t version)
{
    struct kelpie_class c = kelpie_class_counter;

    c.type = type;
    c.version = version;
    return c;
}

struct ends {
    size_t count;
    bool over;
};

static void on_gone(void *arg, const char *type)
{
    struct ends *e = arg;

    assert_non_null(type);
    e->count++;
    e->over = true;
}

static int host(struct small_world *w, size_t node, const struct kelpie_class *class,
                struct ends *e, char why[256])
{
    return actors_host(node_actors(w->nodes[node].node), class, on_gone, e, why, 256);
}

static void host_now(struct small_world *w, size_t node, const struct kelpie_class *class,
                     struct ends *e)
{
    char why[256];

    assert_int_equal(host(w, node, class, e, why), 0);
    small_run_ms(w, 2000);
    assert_int_equal(actors_type(node_actors(w->nodes[node].node), class->type, NULL), TYPE_HOSTED);
}

static void unhost(struct small_world *w, size_t node, const char *type)
{
    actors_unhost(node_actors(w->nodes[node].node), type);
}

static struct small_answer call(struct small_world *w, size_t node, const char *type,
                                const char *id, const char *method)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), type, id, method, "", REQUEST_AGE_UNKNOWN,
                bytes_of_str(""), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

#define EXPECT(result_, status_, text_)                                                            \
    do {                                                                                           \
        struct small_answer r_ = (result_);                                                        \
        if (r_.status != (status_))                                                                \
            print_error("%s: %s\n", kelpie_error_name(r_.status), r_.text);                        \
        assert_int_equal(r_.status, status_);                                                      \
        assert_string_equal(r_.text, text_);                                                       \
    } while (0)

static struct types_record row_of(struct small_world *w, const char *node)
{
    struct key key = key_types(&w->ks, node);
    struct types_record r = {.count = 0};
    struct buf value, scratch;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    if (small_get(w, key, &value))
        assert_int_equal(types_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &r), 0);
    buf_deinit(&value);
    buf_deinit(&scratch);
    return r;
}

static void placed_on(struct small_world *w, const char *type, const char *id, const char *node)
{
    struct key key = key_actor(&w->ks, type, id);
    struct placement_record p;
    struct buf value, scratch;

    buf_init(&value, w->env.mem);
    buf_init(&scratch, w->env.mem);
    assert_true(small_get(w, key, &value));
    assert_int_equal(placement_record_decode(key_bytes(&key), buf_bytes(&value), &scratch, &p), 0);
    assert_string_equal(p.placed ? p.node_id : "", node);
    buf_deinit(&value);
    buf_deinit(&scratch);
}

static void test_a_type_comes(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    struct kelpie_class purse = purse_of("purse", 7);
    struct ends e = {0};
    struct types_record r;
    uint32_t version;

    (void)state;
    EXPECT(call(w, 1, "purse", "a", "add"), KELPIE_E_UNKNOWN_TYPE,
           "no active node hosts actors of type purse");
    assert_int_equal(row_of(w, "n1").count, 0);
    host_now(w, 0, &purse, &e);
    r = row_of(w, "n1");
    assert_int_equal(r.count, 1);
    assert_string_equal(r.types[0].type, "purse");
    assert_int_equal(r.types[0].version, 7);
    assert_int_equal(actors_type(node_actors(w->nodes[0].node), "purse", &version), TYPE_HOSTED);
    assert_int_equal(version, 7);
    assert_int_equal(actors_type(node_actors(w->nodes[1].node), "purse", NULL), TYPE_UNKNOWN);
    for (size_t i = 0; i < 3; i++) {
        char id[8], text[8];
        (void)snprintf(id, sizeof id, "a%zu", i);
        EXPECT(call(w, i, "purse", id, "add"), 0, "1");
        placed_on(w, "purse", id, "n1");
        (void)snprintf(text, sizeof text, "%zu", i + 1);
        EXPECT(call(w, i, "purse", "same", "add"), 0, text);
    }
    EXPECT(call(w, 2, "counter", "c", "add"), 0, "1");
    assert_int_equal(e.count, 0);
    small_world_free(w);
    assert_int_equal(e.count, 0);
}

static void test_a_type_goes_to_another_node(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    struct kelpie_class one = purse_of("purse", 0), two = purse_of("purse", 0);
    struct ends e = {0}, other = {0};
    char id[8];

    (void)state;
    host_now(w, 0, &one, &e);
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "a%zu", i);
        EXPECT(call(w, i % 3, "purse", id, "add"), 0, "1");
    }
    host_now(w, 1, &two, &other);
    unhost(w, 0, "purse");
    small_run_ms(w, 1000);
    /* It lingers: calls reach it. */
    assert_int_equal(actors_type(node_actors(w->nodes[0].node), "purse", NULL), TYPE_LINGERS);
    placed_on(w, "purse", "a7", "n1");
    EXPECT(call(w, 2, "purse", "a7", "add"), 0, "2");
    assert_int_equal(row_of(w, "n1").count, 1);
    assert_true(small_run_until(w, &e.over, TYPES_LINGER_MS + 2000));
    assert_int_equal(row_of(w, "n1").count, 0);
    assert_int_equal(actors_type(node_actors(w->nodes[0].node), "purse", NULL), TYPE_UNKNOWN);
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(id, sizeof id, "a%zu", i);
        placed_on(w, "purse", id, "n2");
        EXPECT(call(w, i % 3, "purse", id, "get"), 0, i == 7 ? "2" : "1");
    }
    small_run_ms(w, 5000);
    assert_int_equal(e.count, 1);
    assert_int_equal(other.count, 0);
    small_world_free(w);
}

/* Calls all the time, while the type goes from one node to another. */
static void test_calls_travel_along(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    struct kelpie_class one = purse_of("purse", 0), two = purse_of("purse", 0);
    struct small_answer r[40] = {{.done = false}};
    struct ends e = {0}, other = {0};

    (void)state;
    host_now(w, 0, &one, &e);
    host_now(w, 1, &two, &other);
    for (size_t i = 0; i < ARRAY_LEN(r); i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "a%zu", i % 4);
        if (i == 4)
            unhost(w, 0, "purse");
        actors_call(node_actors(w->nodes[i % 2].node), "purse", id, "add", "", REQUEST_AGE_UNKNOWN,
                    bytes_of_str(""), 0, small_on_answer, &r[i]);
        small_run_ms(w, TYPES_LINGER_MS / 20);
    }
    small_run_ms(w, 2000);
    for (size_t i = 0; i < ARRAY_LEN(r); i++)
        assert_true(r[i].done && r[i].status == 0);
    assert_true(e.over);
    for (size_t i = 0; i < 4; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "a%zu", i);
        EXPECT(call(w, 0, "purse", id, "get"), 0, "10");
        placed_on(w, "purse", id, "n2");
    }
    small_world_free(w);
}

/* Nobody else has it: its actors are released, keep what they were told, and wait for the type. */
static void test_the_last_type_goes_and_comes_again(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    struct kelpie_class one = purse_of("purse", 0), again = purse_of("purse", 1);
    struct ends e = {0};

    (void)state;
    host_now(w, 0, &one, &e);
    EXPECT(call(w, 1, "purse", "a", "add"), 0, "1");
    unhost(w, 0, "purse");
    assert_true(small_run_until(w, &e.over, TYPES_LINGER_MS + 2000));
    placed_on(w, "purse", "a", "");
    EXPECT(call(w, 1, "purse", "a", "add"), KELPIE_E_UNKNOWN_TYPE,
           "no active node hosts actors of type purse");
    EXPECT(call(w, 0, "purse", "a", "add"), KELPIE_E_UNKNOWN_TYPE,
           "no active node hosts actors of type purse");
    host_now(w, 0, &again, &e);
    EXPECT(call(w, 1, "purse", "a", "add"), 0, "2");
    assert_int_equal(e.count, 1);
    small_world_free(w);
}

static void test_a_type_comes_back_in_time(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    struct kelpie_class purse = purse_of("purse", 0);
    struct ends e = {0};
    char why[256];
    uint64_t number;

    (void)state;
    host_now(w, 0, &purse, &e);
    EXPECT(call(w, 1, "purse", "a", "add"), 0, "1");
    number = row_of(w, "n1").number;
    unhost(w, 0, "purse");
    small_run_ms(w, TYPES_LINGER_MS - 100);
    assert_int_equal(host(w, 0, &purse, &e, why), 0);
    small_run_ms(w, 3 * TYPES_LINGER_MS);
    assert_int_equal(row_of(w, "n1").number, number); /* nothing was written */
    placed_on(w, "purse", "a", "n1");
    /* Also while its row is on its way, and while its actors are. */
    for (uint64_t ms = 0; ms < 400; ms += 7) {
        unhost(w, 0, "purse");
        small_run_ms(w, TYPES_LINGER_MS - 20 + ms);
        if (e.over) {
            assert_int_equal(host(w, 0, &purse, &e, why), 0);
            e.over = false;
        } else {
            assert_int_equal(host(w, 0, &purse, &e, why), 0);
        }
        small_run_ms(w, 3000);
        assert_int_equal(actors_type(node_actors(w->nodes[0].node), "purse", NULL), TYPE_HOSTED);
        assert_int_equal(row_of(w, "n1").count, 1);
        assert_int_equal(call(w, 1, "purse", "a", "add").status, 0);
    }
    assert_true(e.count > 10);
    small_world_free(w);
}

static void test_changes_are_merged(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    struct kelpie_class classes[8];
    char types[8][8], why[256];
    struct ends e = {0};
    uint64_t number;
    uint64_t heartbeat_ms;

    (void)state;
    heartbeat_ms = cluster_config_of(node_cluster(w->nodes[0].node))->timing.heartbeat_ms;
    small_run_ms(w, 3000);
    for (size_t i = 0; i < 8; i++) {
        (void)snprintf(types[i], sizeof types[i], "t%zu", i);
        classes[i] = purse_of(types[i], (uint32_t)i);
        assert_int_equal(host(w, 0, &classes[i], &e, why), 0);
        small_run_ms(w, heartbeat_ms / 8);
    }
    small_run_ms(w, heartbeat_ms);
    assert_int_equal(row_of(w, "n1").count, 8);
    number = row_of(w, "n1").number;
    assert_true(number >= 2 && number <= 3);
    for (size_t i = 0; i < 8; i++)
        unhost(w, 0, types[i]);
    small_run_ms(w, TYPES_LINGER_MS + 2000);
    assert_int_equal(row_of(w, "n1").count, 0);
    assert_int_equal(row_of(w, "n1").number, number + 1);
    assert_int_equal(e.count, 8);
    small_world_free(w);
}

static void test_what_is_refused(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    struct kelpie_class one = purse_of("purse", 1), two = purse_of("purse", 2),
                        deaf = purse_of("deaf", 0), other = purse_of("counter", 0),
                        rooms[CLASS_COUNT_MAX];
    char types[CLASS_COUNT_MAX][8], name[ACTOR_TYPE_MAX + 2], why[256];
    struct ends e = {0};

    (void)state;
    assert_int_equal(host(w, 0, &other, &e, why), KELPIE_E_REFUSED);
    assert_string_equal(why,
                        "type counter is built in, or of a class that is loaded into the node; "
                        "choose another name");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    other.type = name;
    assert_int_equal(host(w, 0, &other, &e, why), KELPIE_E_INVALID);
    assert_non_null(strstr(why, "is 65 bytes long; give at most 64"));
    other.type = "";
    assert_int_equal(host(w, 0, &other, &e, why), KELPIE_E_INVALID);
    assert_string_equal(why, "actor type is empty; give 1 to 64 bytes");
    other.type = "a\xff";
    assert_int_equal(host(w, 0, &other, &e, why), KELPIE_E_INVALID);
    other.type = NULL;
    assert_int_equal(host(w, 0, &other, &e, why), KELPIE_E_INVALID);
    deaf.receive = NULL;
    assert_int_equal(host(w, 0, &deaf, &e, why), KELPIE_E_INVALID);

    host_now(w, 0, &one, &e);
    assert_int_equal(host(w, 0, &two, &e, why), KELPIE_E_REFUSED);
    assert_string_equal(why, "this node hosts version 1 of type purse; version 2 is refused until "
                             "that has ended");
    unhost(w, 0, "purse");
    small_run_ms(w, 100);
    assert_int_equal(host(w, 0, &two, &e, why), KELPIE_E_UNAVAILABLE);
    assert_string_equal(why, "version 1 of type purse is on its way out of this node; version 2 is "
                             "to try again soon");
    /* Which it has hastened. */
    assert_true(small_run_until(w, &e.over, TYPES_LINGER_MS / 2));
    host_now(w, 0, &two, &e);
    assert_int_equal(row_of(w, "n1").types[0].version, 2);

    for (size_t i = 3; i < CLASS_COUNT_MAX; i++) {
        (void)snprintf(types[i], sizeof types[i], "t%zu", i);
        rooms[i] = purse_of(types[i], 0);
        assert_int_equal(host(w, 0, &rooms[i], &e, why), 0);
    }
    assert_int_equal(host(w, 0, &deaf, &e, why), KELPIE_E_INVALID);
    deaf = purse_of("one_more", 0);
    assert_int_equal(host(w, 0, &deaf, &e, why), KELPIE_E_LIMIT);
    assert_string_equal(why, "this node hosts 32 types, and there is no room for one_more");
    small_world_free(w);
}

/* Its life ends: the next one says anew what it hosts. */
static void test_another_life(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    struct kelpie_class purse = purse_of("purse", 0);
    struct ends e = {0};
    struct types_record before, after;

    (void)state;
    host_now(w, 0, &purse, &e);
    EXPECT(call(w, 1, "purse", "a", "add"), 0, "1");
    before = row_of(w, "n1");
    w->nodes[0].mute = true;
    w->store_cut = true;
    small_run_ms(w, 30000);
    w->store_cut = false;
    w->nodes[0].mute = false;
    small_run_ms(w, 30000);
    after = row_of(w, "n1");
    assert_int_equal(after.incarnation, cluster_incarnation(node_cluster(w->nodes[0].node)));
    assert_int_equal(after.count, 1);
    assert_true(after.incarnation >= before.incarnation);
    EXPECT(call(w, 1, "purse", "a", "add"), 0, "2");
    unhost(w, 0, "purse");
    assert_true(small_run_until(w, &e.over, TYPES_LINGER_MS + 2000));
    small_world_free(w);
}

/* A change whose result is not learned, and one that lands late: the row is what is wanted last. */
static void test_a_change_that_lands_late(void **state)
{
    static const enum small_commit plans[] = {SMALL_COMMIT_UNKNOWN_DONE, SMALL_COMMIT_UNKNOWN_NOT};
    struct small_world *w = small_world_of(1, builtin);
    struct kelpie_class purse = purse_of("purse", 0);
    struct ends e = {0};
    char why[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        e.over = false;
        assert_int_equal(host(w, 0, &purse, &e, why), 0);
        w->commit_plan = plans[i];
        small_run_ms(w, 3000);
        assert_int_equal(row_of(w, "n1").count, 1);
        EXPECT(call(w, 0, "purse", "a", "add"), 0, i ? "2" : "1");
        unhost(w, 0, "purse");
        assert_true(small_run_until(w, &e.over, TYPES_LINGER_MS + 2000));
        assert_int_equal(row_of(w, "n1").count, 0);
    }
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_type_comes),
        cmocka_unit_test(test_a_type_goes_to_another_node),
        cmocka_unit_test(test_calls_travel_along),
        cmocka_unit_test(test_the_last_type_goes_and_comes_again),
        cmocka_unit_test(test_a_type_comes_back_in_time),
        cmocka_unit_test(test_changes_are_merged),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_another_life),
        cmocka_unit_test(test_a_change_that_lands_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
