/* Whole nodes in a small world: actors are placed, called, moved, and keep what they were told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/small_world.h"

static const struct kelpie_class *const builtin[] = {&kelpie_class_counter, &kelpie_class_echo,
                                                     NULL};

static void start(struct small_world *w, size_t node, const char *type, const char *id,
                  const char *method, const char *request_id, const char *body,
                  struct small_answer *r)
{
    *r = (struct small_answer){.done = false};
    actors_call(node_actors(w->nodes[node].node), type, id, method, request_id, REQUEST_AGE_UNKNOWN,
                bytes_of_str(body), 0, small_on_answer, r);
    assert_false(r->done);
}

static struct small_answer call(struct small_world *w, size_t node, const char *type,
                                const char *id, const char *method, const char *request_id,
                                const char *body)
{
    struct small_answer r;

    start(w, node, type, id, method, request_id, body, &r);
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

static void test_counter_counts(void **state)
{
    struct small_world *w = small_world_of(1, builtin);

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, "0");
    EXPECT(call(w, 0, "counter", "a", "add", "", ""), 0, "1");
    EXPECT(call(w, 0, "counter", "a", "add", "", "41"), 0, "42");
    EXPECT(call(w, 0, "counter", "a", "add", "", "-50"), 0, "-8");
    EXPECT(call(w, 0, "counter", "b", "get", "", ""), 0, "0");
    EXPECT(call(w, 0, "echo", "e", "any", "", "what goes in"), 0, "what goes in");
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->activations, 2);
    small_world_free(w);
}

static void test_wrong_arguments_are_answered(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    char long_id[ACTOR_ID_MAX + 2];

    (void)state;
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    assert_int_equal(call(w, 0, "", "a", "get", "", "").status, KELPIE_E_INVALID);
    assert_int_equal(call(w, 0, "counter", "", "get", "", "").status, KELPIE_E_INVALID);
    assert_int_equal(call(w, 0, "counter", long_id, "get", "", "").status, KELPIE_E_INVALID);
    assert_int_equal(call(w, 0, "counter", "a\xff", "get", "", "").status, KELPIE_E_INVALID);
    assert_int_equal(call(w, 0, "counter", "a", "add", "", "7x").status, KELPIE_E_INVALID);
    EXPECT(call(w, 0, "counter", "a", "add", "", "9223372036854775807"), 0, "9223372036854775807");
    EXPECT(call(w, 0, "counter", "a", "add", "", "1"), KELPIE_E_INVALID,
           "the sum does not fit 64 bits; nothing was added");
    EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, "9223372036854775807");
    EXPECT(call(w, 0, "counter", "a", "pop", "", ""), KELPIE_E_UNKNOWN_METHOD,
           "a counter has the methods add and get");
    EXPECT(call(w, 0, "nobody", "a", "get", "", ""), KELPIE_E_UNKNOWN_TYPE,
           "no active node hosts actors of type nobody");
    small_world_free(w);
}

static void test_a_repeated_request_is_applied_once(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    struct small_answer first, second, third;

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "add", "r1", "5"), 0, "5");
    EXPECT(call(w, 0, "counter", "a", "add", "r2", "1"), 0, "6");
    EXPECT(call(w, 0, "counter", "a", "add", "r1", "5"), 0, "5");
    EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, "6");
    /* Also while the first is on its way. */
    start(w, 0, "counter", "a", "add", "r3", "10", &first);
    start(w, 0, "counter", "a", "add", "r3", "10", &second);
    start(w, 0, "counter", "a", "add", "r4", "1", &third);
    assert_true(small_run_until(w, &third.done, 1000));
    EXPECT(first, 0, "16");
    EXPECT(second, 0, "16");
    EXPECT(third, 0, "17");
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->commits, 4);
    small_world_free(w);
}

static void test_an_unknown_commit_is_applied_once(void **state)
{
    static const enum small_commit plans[] = {SMALL_COMMIT_UNKNOWN_DONE, SMALL_COMMIT_UNKNOWN_NOT};
    struct small_world *w = small_world_of(1, builtin);
    struct small_answer r;

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "add", "", "1"), 0, "1");
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        char expected[8];
        w->commit_plan = plans[i];
        start(w, 0, "counter", "a", "add", "", "1", &r);
        assert_true(small_run_until(w, &r.done, 3000));
        (void)snprintf(expected, sizeof expected, "%zu", 2 + i);
        EXPECT(r, 0, expected);
        EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, expected);
    }
    small_world_free(w);
}

static void fail_actor_commits(struct small_world *w, const struct store_req *req)
{
    for (size_t i = 0; i < req->write_count; i++) {
        struct key_parts parts;
        if (key_parse(&w->ks, req->writes[i].key, &parts) == 0 && parts.family == KEY_STATE) {
            w->commit_plan = SMALL_COMMIT_FULL;
            w->commit_skip = 0;
        }
    }
}

/* An actor that is placed nowhere yet: its caller learns at once that there is no room, not by its deadline
 * that time has passed. */
static void test_a_full_store_is_an_answer_to_who_needs_a_place(void **state)
{
    struct small_world *w = small_world_of(1, builtin);

    (void)state;
    w->store_full = true;
    uint64_t before = w->now_ns;
    assert_int_equal(call(w, 0, "counter", "a", "add", "r", "4").status, KELPIE_E_STORE_FULL);
    assert_true(w->now_ns - before < 100 * NS_PER_MS);
    w->store_full = false;
    EXPECT(call(w, 0, "counter", "a", "add", "r", "4"), 0, "4");
    small_world_free(w);
}

static void test_a_full_store_is_an_answer(void **state)
{
    struct small_world *w = small_world_of(1, builtin);

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "add", "", "3"), 0, "3");
    w->before_commit = fail_actor_commits;
    assert_int_equal(call(w, 0, "counter", "a", "add", "r", "4").status, KELPIE_E_STORE_FULL);
    w->before_commit = NULL;
    EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, "3");
    EXPECT(call(w, 0, "counter", "a", "add", "r", "4"), 0, "7");
    small_world_free(w);
}

/* The store refuses what writes that value, or more than one request. */
static const char *guilty;

static void limit_batches(struct small_world *w, const struct store_req *req)
{
    struct buf scratch;
    size_t requests = 0;
    bool is_guilty = false;

    buf_init(&scratch, w->env.mem);
    for (size_t i = 0; i < req->write_count; i++) {
        const struct store_write *write = &req->writes[i];
        struct remembered_record r;
        struct key_parts parts;
        if (key_parse(&w->ks, write->key, &parts) || parts.family != KEY_REMEMBERED)
            continue;
        requests++;
        buf_clear(&scratch);
        assert_int_equal(remembered_record_decode(write->key, write->value, &scratch, &r), 0);
        is_guilty |= strcmp(r.request_id, guilty) == 0;
    }
    buf_deinit(&scratch);
    if (requests > 1 || is_guilty) {
        w->commit_plan = SMALL_COMMIT_LIMIT;
        w->commit_skip = 0;
    }
}

static void test_a_batch_over_the_bounds_runs_one_a_commit(void **state)
{
    static const char *const ids[] = {"r0", "r1", "r2", "r3", "r4"};
    struct small_world *w = small_world_of(1, builtin);
    const struct actors_stats *stats = actors_stats(node_actors(w->nodes[0].node));
    struct small_answer r[5];
    uint64_t before;

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "add", "", "1"), 0, "1");
    before = stats->commits;
    guilty = "r3";
    w->before_commit = limit_batches;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        start(w, 0, "counter", "a", "add", ids[i], "1", &r[i]);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_true(small_run_until(w, &r[i].done, 10000));
    EXPECT(r[0], 0, "2");
    EXPECT(r[1], 0, "3");
    EXPECT(r[2], 0, "4");
    assert_int_equal(r[3].status, KELPIE_E_STATE_FULL);
    EXPECT(r[4], 0, "5");
    assert_int_equal(stats->commits - before, 4);
    w->before_commit = NULL;
    EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, "5");
    /* What is refused is not remembered; the others are. */
    EXPECT(call(w, 0, "counter", "a", "add", "r2", "1"), 0, "4");
    EXPECT(call(w, 0, "counter", "a", "add", "r3", "1"), 0, "6");
    small_world_free(w);
}

static void test_idle_actors_are_passivated(void **state)
{
    struct small_world *w = small_world_new();
    const struct actors_stats *stats;

    (void)state;
    (void)small_node_start(w, 0, builtin, 0, 1000);
    assert_true(small_wait_view(w, 0, 1));
    stats = actors_stats(node_actors(w->nodes[0].node));
    EXPECT(call(w, 0, "counter", "a", "add", "r1", "3"), 0, "3");
    EXPECT(call(w, 0, "counter", "b", "add", "", "4"), 0, "4");
    assert_int_equal(stats->activations, 2);
    small_run_ms(w, 1500);
    assert_int_equal(stats->activations, 0);
    assert_int_equal(stats->deactivated, 2);
    /* It comes back with its state, and remembers what it has applied. */
    EXPECT(call(w, 0, "counter", "a", "add", "r1", "3"), 0, "3");
    EXPECT(call(w, 0, "counter", "a", "add", "r2", "3"), 0, "6");
    small_world_free(w);
}

/* Nothing of what an actor remembers is loaded: the first new request of an activation looks once, in the
 * buckets that its age reaches. */
static size_t asked_by_the_first(const char *id, unsigned remembered)
{
    struct small_world *w = small_world_new();
    char request[32];
    size_t before, asked;

    (void)small_node_start(w, 0, builtin, 0, 1000);
    assert_true(small_wait_view(w, 0, 1));
    assert_int_equal(call(w, 0, "counter", id, "get", "", "").status, 0);
    for (unsigned i = 0; i < remembered; i++) {
        (void)snprintf(request, sizeof request, "r%u", i);
        assert_int_equal(call(w, 0, "counter", id, "add", request, "1").status, 0);
    }
    small_run_ms(w, 1500);
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->activations, 0);
    before = w->requests;
    assert_int_equal(call(w, 0, "counter", id, "add", "new", "1").status, 0);
    asked = w->requests - before;
    small_world_free(w);
    return asked;
}

static void test_what_is_remembered_is_not_loaded(void **state)
{
    size_t none = asked_by_the_first("a", 0), much = asked_by_the_first("b", 5000);

    (void)state;
    print_message("store requests of the first new request: %zu, with 5000 remembered %zu\n", none,
                  much);
    assert_true(none >= 2 && much <= none + 1 && much <= 2 * none);
}

/* Though one of a class that stays longer was called before, and its time runs. */
static void test_each_class_has_its_idle_time(void **state)
{
    static struct kelpie_class brief;
    static const struct kelpie_class *const classes[] = {&kelpie_class_counter, &brief, NULL};
    struct small_world *w = small_world_new();
    const struct actors_stats *stats;

    (void)state;
    brief = kelpie_class_echo;
    brief.idle_ms = 200;
    (void)small_node_start(w, 0, classes, 0, 60000);
    assert_true(small_wait_view(w, 0, 1));
    stats = actors_stats(node_actors(w->nodes[0].node));
    EXPECT(call(w, 0, "counter", "a", "add", "", "3"), 0, "3");
    EXPECT(call(w, 0, "echo", "a", "say", "", "x"), 0, "x");
    small_run_ms(w, 500);
    assert_int_equal(stats->activations, 1);
    small_world_free(w);
}

static void test_calls_reach_other_nodes(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    uint64_t forwarded = 0;
    size_t hosts = 0;

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i / 3);
        assert_int_equal(call(w, i % 3, "counter", id, "add", "", "1").status, 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i);
        EXPECT(call(w, 0, "counter", id, "get", "", ""), 0, "3");
    }
    for (size_t i = 0; i < 3; i++) {
        forwarded += actors_stats(node_actors(w->nodes[i].node))->calls_forwarded;
        hosts += actors_stats(node_actors(w->nodes[i].node))->activations > 0;
    }
    assert_true(forwarded > 0);
    assert_true(hosts > 1);
    small_world_free(w);
}

static void test_a_full_node_sends_actors_elsewhere(void **state)
{
    struct small_world *w = small_world_new();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)small_node_start(w, i, builtin, i == 0 ? 2 : 20, 0);
        assert_true(small_wait_view(w, 0, i + 1));
    }
    assert_true(small_wait_view(w, 1, 2));
    for (unsigned i = 0; i < 12; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i);
        EXPECT(call(w, i % 2, "counter", id, "add", "", "1"), 0, "1");
    }
    assert_true(actors_stats(node_actors(w->nodes[0].node))->activations <= 2);
    assert_true(actors_stats(node_actors(w->nodes[1].node))->activations >= 10);
    small_world_free(w);
}

static void test_every_node_full(void **state)
{
    struct small_world *w = small_world_new();

    (void)state;
    (void)small_node_start(w, 0, builtin, 2, 0);
    assert_true(small_wait_view(w, 0, 1));
    EXPECT(call(w, 0, "counter", "a", "add", "", "1"), 0, "1");
    EXPECT(call(w, 0, "counter", "b", "add", "", "1"), 0, "1");
    assert_int_equal(call(w, 0, "counter", "c", "add", "", "1").status, KELPIE_E_NODE_FULL);
    EXPECT(call(w, 0, "counter", "b", "add", "", "1"), 0, "2");
    small_world_free(w);
}

/* Nonsense ids fill a node, but do not keep it full: the one that is idle for longest goes. */
static void test_the_longest_idle_makes_room(void **state)
{
    struct small_world *w = small_world_new();
    const struct actors_stats *stats;

    (void)state;
    (void)small_node_start(w, 0, builtin, 4, 0);
    assert_true(small_wait_view(w, 0, 1));
    stats = actors_stats(node_actors(w->nodes[0].node));
    EXPECT(call(w, 0, "counter", "honest", "add", "", "1"), 0, "1");
    for (unsigned i = 0; i < 30; i++) {
        char id[16], sum[16];
        (void)snprintf(id, sizeof id, "nonsense-%u", i);
        (void)snprintf(sum, sizeof sum, "%u", i + 2);
        EXPECT(call(w, 0, "counter", id, "add", "", "7"), 0, "7");
        small_run_ms(w, 400);
        EXPECT(call(w, 0, "counter", "honest", "add", "", "1"), 0, sum);
        assert_true(stats->activations <= 4);
    }
    assert_int_equal(stats->activated, 31); /* the one in use stayed */
    small_world_free(w);
}

static void test_leaving_fails_no_call(void **state)
{
    struct small_world *w = small_world_of(3, builtin);
    struct small_answer results[30];
    unsigned added[30] = {0};
    char why[256] = "";

    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 30; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "c%u", i);
            start(w, i % 2, "counter", id, "add", "", "1", &results[i]);
            added[i]++;
        }
        if (round == 5)
            assert_int_equal(node_leave(w->nodes[2].node, false, why, sizeof why), 0);
        for (unsigned i = 0; i < 30; i++) {
            char expected[16];
            (void)snprintf(expected, sizeof expected, "%u", added[i]);
            assert_true(small_run_until(w, &results[i].done, 10000));
            EXPECT(results[i], 0, expected);
        }
        if (w->nodes[2].left && round > 40)
            break;
    }
    assert_true(small_run_until(w, &w->nodes[2].left, 10000));
    assert_int_equal(actors_stats(node_actors(w->nodes[2].node))->activations, 0);
    assert_true(actors_stats(node_actors(w->nodes[2].node))->migrations > 0);
    small_world_free(w);
}

static void test_the_last_node_releases_its_actors(void **state)
{
    struct small_world *w = small_world_of(1, builtin);
    char why[256] = "";

    (void)state;
    EXPECT(call(w, 0, "counter", "a", "add", "", "3"), 0, "3");
    assert_int_equal(node_leave(w->nodes[0].node, true, why, sizeof why), 0);
    assert_true(small_run_until(w, &w->nodes[0].left, 20000));
    small_node_close(&w->nodes[0]);
    (void)small_node_start(w, 1, builtin, 0, 0);
    assert_true(small_wait_view(w, 1, 1));
    EXPECT(call(w, 1, "counter", "a", "get", "", ""), 0, "3");
    small_world_free(w);
}

static bool acts(struct small_world *w, size_t node)
{
    return cluster_may_act(node_cluster(w->nodes[node].node));
}

static void plan_late(struct small_world *w, const struct store_req *req)
{
    for (size_t i = 0; i < req->write_count; i++) {
        struct key_parts parts;
        if (key_parse(&w->ks, req->writes[i].key, &parts) == 0 && parts.family == KEY_STATE) {
            w->before_commit = NULL;
            w->commit_plan = SMALL_COMMIT_LATE;
            w->commit_skip = 0;
            w->store_cut = true; /* from the next request on */
        }
    }
}

/* The store is away for longer than the lease while a commit is under way to it. The node comes
 * back as itself, and the commit lands before it has looked, after it, or never. */
static void test_a_commit_that_outlives_the_lease(void **state)
{
    enum { BEFORE, AFTER, NEVER, CASES };

    (void)state;
    for (int when = 0; when < CASES; when++) {
        struct small_world *w = small_world_of(1, builtin);
        struct small_answer r;

        EXPECT(call(w, 0, "counter", "a", "add", "r1", "1"), 0, "1");
        w->before_commit = plan_late;
        start(w, 0, "counter", "a", "add", "r2", "1", &r);
        for (unsigned i = 0; i < 600 && acts(w, 0); i++)
            small_run_ms(w, 10);
        assert_false(acts(w, 0));
        assert_non_null(w->late);
        assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->activations, 0);
        small_run_ms(w, 10);
        /* It is not tried again when the node acts again: that is for whoever asked. */
        EXPECT(r, KELPIE_E_UNKNOWN_RESULT,
               "the node's lease ran out; whether the request was applied is not known");
        EXPECT(call(w, 0, "counter", "a", "add", "r0", "1"), KELPIE_E_UNAVAILABLE,
               "the node's lease ran out");
        w->store_cut = false;
        if (when == BEFORE)
            assert_int_equal(small_land(w), 0);
        for (unsigned i = 0; i < 600 && !acts(w, 0); i++)
            small_run_ms(w, 10);
        if (when == AFTER) {
            EXPECT(call(w, 0, "counter", "a", "add", "r3", "5"), 0, "6");
            assert_int_equal(small_land(w), KELPIE_E_CONFLICT);
        }
        EXPECT(call(w, 0, "counter", "a", "add", "r2", "1"), 0, when == AFTER ? "7" : "2");
        EXPECT(call(w, 0, "counter", "a", "get", "", ""), 0, when == AFTER ? "7" : "2");
        small_world_free(w);
    }
}

static void test_close_answers_every_call(void **state)
{
    struct small_world *w = small_world_of(2, builtin);
    struct small_answer results[20];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", i);
        start(w, 0, "counter", id, "add", "", "1", &results[i]);
    }
    for (unsigned i = 0; i < 12; i++)
        (void)small_step(w);
    small_node_close(&w->nodes[0]);
    for (unsigned i = 0; i < 20; i++)
        assert_true(results[i].done);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_counts),
        cmocka_unit_test(test_wrong_arguments_are_answered),
        cmocka_unit_test(test_a_repeated_request_is_applied_once),
        cmocka_unit_test(test_an_unknown_commit_is_applied_once),
        cmocka_unit_test(test_a_full_store_is_an_answer),
        cmocka_unit_test(test_a_batch_over_the_bounds_runs_one_a_commit),
        cmocka_unit_test(test_a_full_store_is_an_answer_to_who_needs_a_place),
        cmocka_unit_test(test_idle_actors_are_passivated),
        cmocka_unit_test(test_what_is_remembered_is_not_loaded),
        cmocka_unit_test(test_each_class_has_its_idle_time),
        cmocka_unit_test(test_calls_reach_other_nodes),
        cmocka_unit_test(test_a_full_node_sends_actors_elsewhere),
        cmocka_unit_test(test_every_node_full),
        cmocka_unit_test(test_the_longest_idle_makes_room),
        cmocka_unit_test(test_leaving_fails_no_call),
        cmocka_unit_test(test_the_last_node_releases_its_actors),
        cmocka_unit_test(test_a_commit_that_outlives_the_lease),
        cmocka_unit_test(test_close_answers_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
