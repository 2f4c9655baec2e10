/* What a caller is told of its call is true of all the attempts that its node made for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/activation.h"
#include "lib/small_world.h"

static const struct kelpie_class *const both[] = {&kelpie_class_counter, &kelpie_class_echo, NULL};
static const struct kelpie_class *const echo_only[] = {&kelpie_class_echo, NULL};

static void start_for(struct small_world *w, size_t node, const char *method,
                      const char *request_id, uint32_t deadline_ms, struct small_answer *r)
{
    *r = (struct small_answer){.done = false};
    actors_call(node_actors(w->nodes[node].node), "counter", "a", method, request_id,
                REQUEST_AGE_UNKNOWN, bytes_of_str(""), deadline_ms, small_on_answer, r);
}

static void start(struct small_world *w, size_t node, const char *method, const char *request_id,
                  struct small_answer *r)
{
    start_for(w, node, method, request_id, 0, r);
}

static void finish(struct small_world *w, struct small_answer *r)
{
    assert_true(small_run_until(w, &r->done, 20000));
}

static unsigned value(struct small_world *w, size_t node)
{
    struct small_answer r;

    start(w, node, "get", "", &r);
    finish(w, &r);
    assert_int_equal(r.status, 0);
    return (unsigned)strtoul(r.text, NULL, 10);
}

/* It is placed and runs, and has written nothing. */
static void activate(struct small_world *w, size_t node)
{
    struct small_answer r;

    start(w, node, "nosuch", "", &r);
    finish(w, &r);
    assert_int_equal(r.status, KELPIE_E_UNKNOWN_METHOD);
}

/* Node 1 hosts both classes, node 0 those. */
static struct small_world *world_of_two(const struct kelpie_class *const *first)
{
    struct small_world *w = small_world_new();

    (void)small_node_start(w, 0, first, 0, 0);
    assert_true(small_wait_view(w, 0, 1));
    (void)small_node_start(w, 1, both, 0, 0);
    assert_true(small_wait_view(w, 0, 2));
    assert_true(small_wait_view(w, 1, 2));
    return w;
}

static bool writes_state(struct small_world *w, const struct store_req *req)
{
    struct key_parts parts;

    for (size_t i = 0; i < req->write_count; i++)
        if (key_parse(&w->ks, req->writes[i].key, &parts) == 0 && parts.family == KEY_STATE)
            return true;
    return false;
}

#define COMMIT_MS 10

static void commit_slowly(struct small_world *w, const struct store_req *req)
{
    if (writes_state(w, req))
        w->now_ns += COMMIT_MS * NS_PER_MS;
}

/* Many calls by way of one node to an actor on another: attempts that wait for longer than their
 * time-out are repeated, into a mailbox that has been filled again by then. */
static void test_a_refused_call_was_not_applied(void **state)
{
    enum { CALLS = 2 * (MAILBOX_MAX + BATCH_TURNS_MAX) };
    static struct small_answer results[CALLS];
    struct small_world *w = world_of_two(echo_only);
    unsigned applied = 0, refused = 0, late = 0, unknown = 0;

    (void)state;
    w->before_commit = commit_slowly;
    for (unsigned i = 0; i < CALLS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%u", i);
        start(w, 0, "add", id, &results[i]);
        if (i == CALLS / 2)
            small_run_ms(w, ATTEMPT_TIMEOUT_MIN_MS - 10 * COMMIT_MS);
    }
    for (unsigned i = 0; i < CALLS; i++) {
        finish(w, &results[i]);
        applied += results[i].status == 0;
        refused += results[i].status == KELPIE_E_MAILBOX_FULL;
        late += results[i].status == KELPIE_E_TIMEOUT;
        unknown += results[i].status == KELPIE_E_UNKNOWN_RESULT;
    }
    w->before_commit = NULL;
    assert_int_equal(applied + refused + late + unknown, CALLS);
    assert_true(applied >= MAILBOX_MAX);
    assert_true(refused > 0);
    assert_in_range(value(w, 0), applied, applied + unknown);
    /* All of those that were taken had their time: nobody needs not to know. */
    assert_int_equal(unknown, 0);
    assert_true(actors_stats(node_actors(w->nodes[0].node))->retries > MAILBOX_MAX / 2);
    small_world_free(w);
}

static void lose_the_answer(struct small_world *w, const struct store_req *req)
{
    if (writes_state(w, req))
        w->nodes[1].mute = true;
}

/* The only host of the type commits, and is never heard of again: "nobody hosts it" is true, and
 * says nothing of the request. */
static void test_a_host_that_commits_and_dies(void **state)
{
    struct small_world *w = world_of_two(echo_only);
    struct small_answer r, later;

    (void)state;
    w->before_commit = lose_the_answer;
    start_for(w, 0, "add", "r1", 30000, &r);
    small_run_ms(w, 100);
    assert_false(r.done);
    assert_true(w->nodes[1].mute);
    w->before_commit = NULL;
    small_node_close(&w->nodes[1]);
    assert_true(small_run_until(w, &r.done, 40000));
    assert_int_equal(r.status, KELPIE_E_UNKNOWN_RESULT);
    assert_non_null(strstr(r.text, "no active node hosts actors of type counter"));
    /* Another call with the same id knows nothing of that one's attempts. */
    start(w, 0, "add", "r1", &later);
    finish(w, &later);
    assert_int_equal(later.status, KELPIE_E_UNKNOWN_TYPE);
    (void)small_node_start(w, 2, both, 0, 0);
    assert_true(small_wait_view(w, 0, 2));
    assert_int_equal(value(w, 0), 1);
    small_world_free(w);
}

/* More repeats of one request than may wait for its answer: all get that answer in the end. */
static void test_repeats_that_give_their_place_up(void **state)
{
    enum { CALLS = 4 * FOLLOWERS_MAX };
    struct small_world *w = world_of_two(both);
    struct small_answer results[CALLS];
    const struct actors_stats *stats = actors_stats(node_actors(w->nodes[1].node));

    (void)state;
    (void)value(w, 1);
    for (unsigned i = 0; i < CALLS; i++)
        start(w, 1, "add", "r1", &results[i]);
    for (unsigned i = 0; i < CALLS; i++) {
        finish(w, &results[i]);
        assert_int_equal(results[i].status, 0);
        assert_string_equal(results[i].text, "1");
    }
    assert_int_equal(stats->commits + actors_stats(node_actors(w->nodes[0].node))->commits, 1);
    assert_true(actors_caps(node_actors(w->nodes[0].node))[ACTORS_CAP_REPEATS].reached +
                    actors_caps(node_actors(w->nodes[1].node))[ACTORS_CAP_REPEATS].reached >
                0);
    small_world_free(w);
}

/* An actor that remembers as much as it may takes nothing new, says so and counts it; what it knows it answers. */
static void test_an_actor_that_remembers_all_it_may(void **state)
{
    struct small_world *w = world_of_two(echo_only);
    struct small_answer r;
    unsigned taken = 0, refused = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        node_actors(w->nodes[i].node)->remembered_max = 4;
    for (unsigned i = 0; i < 8; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%u", i);
        start(w, 1, "add", id, &r);
        finish(w, &r);
        taken += r.status == 0;
        refused += r.status == KELPIE_E_TOO_MANY;
    }
    assert_int_equal(taken, 4);
    assert_int_equal(refused, 4);
    start(w, 1, "add", "r3", &r);
    finish(w, &r);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.text, "4");
    assert_true(actors_caps(node_actors(w->nodes[0].node))[ACTORS_CAP_REMEMBERED].reached +
                    actors_caps(node_actors(w->nodes[1].node))[ACTORS_CAP_REMEMBERED].reached >=
                4);
    small_world_free(w);
}

/* A full mailbox takes no more, but the repeats of what is in it: under way, or waiting. */
static void test_a_full_mailbox_takes_repeats(void **state)
{
    enum { CALLS = 1 + BATCH_TURNS_MAX + MAILBOX_MAX + 4 };
    static struct small_answer results[CALLS];
    struct small_answer again[3];
    struct small_world *w = world_of_two(echo_only);
    unsigned refused = 0, applied = 0;

    (void)state;
    activate(w, 1);
    w->commit_plan = SMALL_COMMIT_LATE;
    for (unsigned i = 0; i < CALLS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%u", i);
        start(w, 1, "add", id, &results[i]);
        if (i == 0 || i == BATCH_TURNS_MAX)
            small_run_ms(w, 5); /* they have run */
    }
    start(w, 1, "add", "r0", &again[0]);
    start(w, 1, "add", "r7", &again[1]);
    start(w, 1, "add", "r255", &again[2]);
    for (unsigned i = 0; i < CALLS; i++) {
        finish(w, &results[i]);
        refused += results[i].status == KELPIE_E_MAILBOX_FULL;
        applied += results[i].status == 0;
    }
    for (unsigned i = 0; i < 3; i++) {
        finish(w, &again[i]);
        assert_int_equal(again[i].status, 0);
    }
    assert_string_equal(again[1].text, results[7].text);
    /* One is on its way to the store, BATCH_TURNS_MAX have run and are next, MAILBOX_MAX wait. */
    assert_int_equal(refused, 4);
    assert_int_equal(applied, CALLS - refused);
    assert_int_equal(value(w, 1), applied);
    small_world_free(w);
}

/* The first of two is not waited for any longer: it is not applied in its own name. */
static void test_a_repeat_outlives_its_first(void **state)
{
    static struct small_answer before[1 + BATCH_TURNS_MAX];
    struct small_world *w = world_of_two(echo_only);
    struct small_answer first, second;

    (void)state;
    activate(w, 1);
    w->commit_plan = SMALL_COMMIT_LATE;
    /* One is on its way to the store, and as many as may have run meanwhile. */
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "b%zu", i);
        start(w, 1, "add", id, &before[i]);
        if (i == 0)
            small_run_ms(w, 5);
    }
    small_run_ms(w, 5); /* they have run */
    start_for(w, 1, "add", "r1", 100, &first);
    start_for(w, 1, "add", "r1", 5000, &second);
    small_run_ms(w, 200);
    assert_true(first.done);
    assert_int_equal(first.status, KELPIE_E_TIMEOUT);
    assert_false(second.done);
    finish(w, &second);
    assert_int_equal(second.status, 0);
    finish(w, &before[BATCH_TURNS_MAX]);
    assert_int_equal(value(w, 1), 2 + BATCH_TURNS_MAX);
    small_world_free(w);
}

/* Wherever a call is when its node closes, it is told what is true. */
static void test_a_closing_node_says_what_it_knows(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
    unsigned unknown = 0, refused = 0;

    (void)state;
    for (unsigned steps = 0; steps < 60; steps += 3) {
        struct small_world *w = world_of_two(both);
        struct small_answer results[ARRAY_LEN(ids)];

        (void)small_node_start(w, 2, both, 0, 0); /* two that stay are a majority */
        assert_true(small_wait_view(w, 0, 3) && small_wait_view(w, 1, 3));
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            results[i] = (struct small_answer){.done = false};
            actors_call(node_actors(w->nodes[0].node), "counter", ids[i], "add", "", 0,
                        bytes_of_str(""), 0, small_on_answer, &results[i]);
        }
        for (unsigned i = 0; i < steps; i++)
            (void)small_step(w);
        small_node_close(&w->nodes[0]);
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            struct small_answer got = {.done = false};
            assert_true(results[i].done);
            assert_int_not_equal(results[i].status, KELPIE_E_CANCELLED);
            actors_call(node_actors(w->nodes[1].node), "counter", ids[i], "get", "", 0,
                        bytes_of_str(""), 60000, small_on_answer, &got);
            assert_true(small_run_until(w, &got.done, 60000));
            assert_int_equal(got.status, 0);
            switch (kelpie_error_applied(results[i].status)) {
            case KELPIE_APPLIED_NO:
                refused++;
                assert_string_equal(got.text, "0");
                break;
            case KELPIE_APPLIED_YES:
                assert_string_equal(got.text, "1");
                break;
            default:
                unknown++;
            }
        }
        small_world_free(w);
    }
    assert_true(unknown > 0 && refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refused_call_was_not_applied),
        cmocka_unit_test(test_a_host_that_commits_and_dies),
        cmocka_unit_test(test_repeats_that_give_their_place_up),
        cmocka_unit_test(test_an_actor_that_remembers_all_it_may),
        cmocka_unit_test(test_a_full_mailbox_takes_repeats),
        cmocka_unit_test(test_a_repeat_outlives_its_first),
        cmocka_unit_test(test_a_closing_node_says_what_it_knows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
