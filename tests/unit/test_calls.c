/* Actors that call each other, on whole nodes in a small world. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/activation.h"
#include "lib/small_world.h"

/*
 * The class "link". Each message adds 1 to its actor first, but for "get".
 *   walk "b c"     calls walk of b with "c", and so on; replies the chain that was walked
 *   fan "b c"      calls add of each at once; replies how many answered well
 *   twice "b"      calls add of b twice, the same call; replies both answers
 *   pending, forget, finish, early, many, all, bytes: what a class may do wrong
 */
static uint64_t age_seen;
static char told[512]; /* what the first call that failed was told */

static int64_t value(struct kelpie_actor *actor)
{
    const uint8_t *text;
    size_t len;
    char copy[24] = "";

    if (kelpie_state_get(actor, "n", 1, &text, &len))
        memcpy(copy, text, len);
    return strtoll(copy, NULL, 10);
}

static int reply_value(struct kelpie_actor *actor)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value(actor));
    return kelpie_reply_text(actor, text);
}

static int add(struct kelpie_actor *actor)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)value(actor) + 1);
    return kelpie_state_put(actor, "n", 1, text, strlen(text));
}

struct fan {
    unsigned open, well;
    char first[24];
};

static void walked(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                   size_t len)
{
    char text[256];

    assert_null(arg);
    assert_non_null(kelpie_turn_message(actor));
    assert_string_equal(kelpie_turn_message(actor)->method, "walk");
    if (!status) {
        (void)snprintf(text, sizeof text, "%s %.*s", kelpie_actor_id(actor), (int)len,
                       (const char *)reply);
        assert_int_equal(kelpie_reply_text(actor, text), 0);
    }
    if (status && !told[0])
        (void)snprintf(told, sizeof told, "%.*s", (int)len, (const char *)reply);
    assert_int_equal(kelpie_finish(actor, status), 0);
    if (!status)
        assert_int_equal(kelpie_call(actor, "link", "z", "add", "", 0, 0, walked, NULL),
                         KELPIE_E_REFUSED);
}

static int walk(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char to[32] = "";
    size_t len = 0, skip;
    int error;

    age_seen = actor->current->age_ms;
    while (len < m->body_len && m->body[len] != ' ')
        len++;
    if (len == 0)
        return kelpie_reply_text(actor, kelpie_actor_id(actor));
    memcpy(to, m->body, len);
    skip = len < m->body_len ? len + 1 : len;
    error =
        kelpie_call(actor, "link", to, "walk", m->body + skip, m->body_len - skip, 0, walked, NULL);
    return error ? error : KELPIE_PENDING;
}

static void fanned(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                   size_t len)
{
    struct fan *f = arg;
    char text[64];

    f->open--;
    f->well += status == 0;
    if (!f->first[0])
        (void)snprintf(f->first, sizeof f->first, "%.*s", (int)len, (const char *)reply);
    if (f->open > 0)
        return;
    (void)snprintf(text, sizeof text, "%u well, %s", f->well, f->first);
    assert_int_equal(kelpie_reply_text(actor, text), 0);
    assert_int_equal(kelpie_finish(actor, 0), 0);
}

/* Calls each of the ids that the body names, of one letter. */
static int fan(struct kelpie_actor *actor, const struct kelpie_message *m, unsigned times)
{
    struct fan *f = kelpie_turn_alloc(actor, sizeof *f);

    for (size_t i = 0; i < m->body_len; i += 2)
        for (unsigned k = 0; k < times; k++) {
            char to[2] = {(char)m->body[i], '\0'};
            assert_int_equal(kelpie_call(actor, "link", to, "add", "", 0, 0, fanned, f), 0);
            f->open++;
        }
    return KELPIE_PENDING;
}

static void forgets(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                    size_t len)
{
    (void)actor, (void)arg, (void)status, (void)reply, (void)len;
}

static void calls_on(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                     size_t len)
{
    unsigned *made = arg;

    (void)reply, (void)len;
    assert_int_equal(status, 0);
    if (kelpie_call(actor, "echo", "e", "say", "", 0, 0, calls_on, made) == 0) {
        ++*made;
        return;
    }
    assert_int_equal(*made, KELPIE_CALLS_MAX);
    assert_int_equal(kelpie_finish(actor, KELPIE_E_LIMIT), 0);
}

static int call_many(struct kelpie_actor *actor, size_t body_len)
{
    static const char body[KELPIE_BODY_MAX + 1];
    int error = 0;
    unsigned made = 0;

    while (!error) {
        error = kelpie_call(actor, "echo", "e", "say", body, body_len, 0, forgets, NULL);
        made += error == 0;
    }
    assert_int_equal(error, body_len > KELPIE_BODY_MAX ? KELPIE_E_TOO_LARGE : KELPIE_E_LIMIT);
    if (body_len == 0)
        assert_int_equal(made, KELPIE_CALLS_OPEN_MAX);
    return error;
}

static int wrong(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (strcmp(m->method, "forget") == 0) {
        assert_int_equal(kelpie_call(actor, "echo", "e", "say", "", 0, 0, forgets, NULL), 0);
        return KELPIE_PENDING;
    }
    if (strcmp(m->method, "finish") == 0)
        return kelpie_finish(actor, 0);
    if (strcmp(m->method, "early") == 0) {
        assert_int_equal(kelpie_call(actor, "link", "b", "add", "", 0, 0, forgets, NULL), 0);
        return reply_value(actor);
    }
    if (strcmp(m->method, "many") == 0)
        return call_many(actor, 0);
    if (strcmp(m->method, "bytes") == 0)
        return call_many(actor, KELPIE_BODY_MAX);
    if (strcmp(m->method, "large") == 0)
        return call_many(actor, KELPIE_BODY_MAX + 1);
    if (strcmp(m->method, "all") == 0) {
        unsigned *made = kelpie_turn_alloc(actor, sizeof *made);
        *made = 1;
        assert_int_equal(kelpie_call(actor, "echo", "e", "say", "", 0, 0, calls_on, made), 0);
        return KELPIE_PENDING;
    }
    if (strcmp(m->method, "name") == 0)
        return kelpie_call(actor, "link", "", "add", "", 0, 0, forgets, NULL);
    if (strcmp(m->method, "null") == 0)
        return kelpie_call(actor, "link", "b", "add", NULL, 4, 0, forgets, NULL);
    if (strcmp(m->method, "nobody") == 0)
        return kelpie_call(actor, "link", "b", "add", NULL, 0, 0, NULL, NULL);
    return KELPIE_PENDING;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    assert_ptr_equal(kelpie_turn_message(actor), m);
    if (strcmp(m->method, "peek") == 0) {
        assert_int_equal(kelpie_call(actor, "link", "b", "add", "", 0, 0, forgets, NULL),
                         KELPIE_E_REFUSED);
        assert_int_equal(kelpie_finish(actor, 0), KELPIE_E_REFUSED);
        assert_null(kelpie_turn_alloc(actor, 8));
    }
    if (strcmp(m->method, "get") == 0 || strcmp(m->method, "peek") == 0)
        return reply_value(actor);
    assert_int_equal(add(actor), 0);
    if (strcmp(m->method, "add") == 0)
        return reply_value(actor);
    if (strcmp(m->method, "walk") == 0)
        return walk(actor, m);
    if (strcmp(m->method, "fan") == 0)
        return fan(actor, m, 1);
    if (strcmp(m->method, "twice") == 0)
        return fan(actor, m, 2);
    return wrong(actor, m);
}

static int activate(struct kelpie_actor *actor)
{
    assert_int_equal(kelpie_call(actor, "link", "b", "add", "", 0, 0, forgets, NULL),
                     KELPIE_E_REFUSED);
    assert_null(kelpie_turn_message(actor));
    assert_null(kelpie_turn_alloc(actor, 8));
    return 0;
}

static void deactivate(struct kelpie_actor *actor)
{
    assert_int_equal(kelpie_call(actor, "link", "b", "add", "", 0, 0, forgets, NULL),
                     KELPIE_E_REFUSED);
}

static const struct kelpie_method methods[] = {{"peek", KELPIE_METHOD_READ, 0}, {NULL, 0, 0}};
static const struct kelpie_class class_link = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "link",
    .placement = KELPIE_PLACE_ROUND_ROBIN,
    .activate = activate,
    .receive = receive,
    .deactivate = deactivate,
    .methods = methods,
};
static const struct kelpie_class *const classes[] = {&class_link, &kelpie_class_echo, NULL};

static void start(struct small_world *w, size_t node, const char *id, const char *method,
                  const char *request_id, const char *body, struct small_answer *r)
{
    *r = (struct small_answer){.done = false};
    actors_call(node_actors(w->nodes[node].node), "link", id, method, request_id, 100,
                bytes_of_str(body), 2000, small_on_answer, r);
}

static struct small_answer call(struct small_world *w, size_t node, const char *id,
                                const char *method, const char *request_id, const char *body)
{
    struct small_answer r;

    start(w, node, id, method, request_id, body, &r);
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

static void test_a_chain_is_walked_once(void **state)
{
    struct small_world *w = small_world_of(3, classes);

    (void)state;
    EXPECT(call(w, 0, "a", "walk", "r1", "b c d"), 0, "a b c d");
    /* Never younger than what the first one was asked. */
    assert_true(age_seen >= 100);
    EXPECT(call(w, 1, "a", "walk", "r1", "b c d"), 0, "a b c d");
    EXPECT(call(w, 2, "a", "walk", "r2", "b c d"), 0, "a b c d");
    for (const char *id = "abcd"; *id; id++)
        EXPECT(call(w, 0, (char[]){*id, '\0'}, "get", "", ""), 0, "2");
    small_world_free(w);
}

static void test_several_at_once(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    EXPECT(call(w, 0, "a", "fan", "", "b c d"), 0, "3 well, 1");
    EXPECT(call(w, 0, "a", "twice", "r1", "b"), 0, "2 well, 2");
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "3");
    small_world_free(w);
}

static void test_a_cycle_is_refused_and_named(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    EXPECT(call(w, 0, "a", "walk", "", "a"), KELPIE_E_CALL_CYCLE,
           "the call would come back to an actor that waits for it: link/a -> link/a");
    EXPECT(call(w, 0, "a", "walk", "", "b c a"), KELPIE_E_CALL_CYCLE,
           "the call would come back to an actor that waits for it: "
           "link/a -> link/b -> link/c -> link/a");
    /* A turn that fails has no effect. */
    for (const char *id = "abc"; *id; id++)
        EXPECT(call(w, 0, (char[]){*id, '\0'}, "get", "", ""), 0, "0");
    small_world_free(w);
}

static void test_a_chain_is_bounded(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    EXPECT(call(w, 0, "a", "walk", "", "b c d e f g h i"), 0, "a b c d e f g h i");
    EXPECT(call(w, 0, "a", "walk", "", "b c d e f g h i j"), KELPIE_E_CALL_DEPTH,
           "as many actors wait for each other as may; this call would be one more");
    small_world_free(w);
}

static size_t home(struct small_world *w, size_t nodes, const char *id)
{
    for (size_t i = 0; i < nodes; i++)
        if (act_find(node_actors(w->nodes[i].node), "link", id))
            return i;
    return 0;
}

/* Each waits for the other, until the inner deadline; who asked learns of both. */
static void test_crossed_chains_are_named(void **state)
{
    for (size_t nodes = 1; nodes <= 2; nodes++) {
        struct small_world *w = small_world_of(nodes, classes);
        struct small_answer x, y;

        (void)state;
        told[0] = '\0';
        EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
        EXPECT(call(w, 0, "b", "add", "", ""), 0, "1");
        start(w, home(w, nodes, "a"), "a", "walk", "", "b", &x);
        start(w, home(w, nodes, "b"), "b", "walk", "", "a", &y);
        assert_true(small_run_until(w, &x.done, 5000));
        assert_true(small_run_until(w, &y.done, 5000));
        assert_non_null(strstr(told, "two chains of calls cross"));
        assert_non_null(strstr(told, "link/a -> link/b"));
        assert_non_null(strstr(told, "link/b -> link/a"));
        /* A turn that is asked for by another node is asked for again, and may then go through. */
        assert_true(nodes == 2 || (x.status == KELPIE_E_TIMEOUT && strcmp(x.text, told) == 0));
        EXPECT(call(w, 0, "c", "walk", "", "a"), 0, "c a");
        EXPECT(call(w, 0, "c", "walk", "", "b"), 0, "c b");
        small_world_free(w);
    }
}

static void test_what_a_class_does_wrong(void **state)
{
    static const struct {
        const char *method;
        int status;
        const char *text;
    } cases[] = {
        {"pending", KELPIE_E_HANDLER_FAILED,
         "the handler left its turn open without a call to wait for"},
        {"forget", KELPIE_E_HANDLER_FAILED,
         "the handler neither finished its turn nor made another call to wait for"},
        {"finish", KELPIE_E_REFUSED, "a turn is finished within a callback of its calls"},
        {"many", KELPIE_E_HANDLER_FAILED, "a turn waits for at most 16 calls at once"},
        {"all", KELPIE_E_HANDLER_FAILED, "a turn makes at most 256 calls"},
        {"bytes", KELPIE_E_HANDLER_FAILED,
         "the calls that a turn waits for have at most 2097152 bytes together"},
        {"large", KELPIE_E_TOO_LARGE,
         "the body of a call has 1048577 bytes; at most 1048576 are allowed"},
        {"null", KELPIE_E_INVALID, "the body of a call is NULL and has a length"},
        {"nobody", KELPIE_E_INVALID, "a call names no actor, no method or no callback"},
    };
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT(call(w, 0, "a", cases[i].method, "", ""), cases[i].status, cases[i].text);
    assert_int_equal(call(w, 0, "a", "name", "", "").status, KELPIE_E_INVALID);
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "0");
    /* A turn that does not wait gives its calls up. */
    EXPECT(call(w, 0, "a", "early", "", ""), 0, "1");
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "0");
    small_world_free(w);
}

/* ---- the gate */

static unsigned rows_of_a, rows_of_b;

static void count_rows(struct small_world *w, const struct store_req *req)
{
    for (size_t i = 0; i < req->write_count; i++) {
        struct key_parts parts;
        if (key_parse(&w->ks, req->writes[i].key, &parts) == 0 && parts.family == KEY_STATE) {
            rows_of_a += parts.id[0] == 'a';
            rows_of_b += parts.id[0] == 'b';
        }
    }
}

/* While a turn waits for b, what was before it is committed without what it wrote; and b is not asked
 * before that is so. */
static void test_an_open_turn_is_its_own(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct small_answer first, open, behind;

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    rows_of_a = rows_of_b = 0;
    w->before_commit = count_rows;
    w->commit_plan = SMALL_COMMIT_FULL;
    start(w, 0, "a", "add", "r1", "", &first);
    start(w, 0, "a", "walk", "r2", "b", &open);
    start(w, 0, "a", "add", "r3", "", &behind);
    assert_true(small_run_until(w, &first.done, 1000));
    /* The first commit had no room: all runs anew, and b was not asked by a turn that never was. */
    assert_int_equal(first.status, KELPIE_E_STORE_FULL);
    assert_int_equal(rows_of_b, 0);
    assert_true(small_run_until(w, &behind.done, 2000));
    EXPECT(open, 0, "a b");
    EXPECT(behind, 0, "3");
    assert_int_equal(rows_of_b, 1);
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "1");
    small_world_free(w);
}

/* The node of the called one dies with it; the turn ends without effect, and its repeat does what is not
 * done. */
static void test_a_turn_that_runs_again_calls_the_same(void **state)
{
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    EXPECT(call(w, 0, "b", "add", "", ""), 0, "1");
    /* b's commit passes, a's does not. */
    w->commit_plan = SMALL_COMMIT_FULL;
    w->commit_skip = 1;
    EXPECT(call(w, 0, "a", "walk", "r1", "b"), 0, "a b");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "2");
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "2");
    small_world_free(w);
}

/* What it had another do is done: "surely not applied" is not said, however the store refuses. */
static void test_a_refused_commit_after_calls_is_not_surely_nothing(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct small_answer r;

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    EXPECT(call(w, 0, "b", "add", "", ""), 0, "1");
    rows_of_b = 0;
    w->before_commit = count_rows;
    start(w, 0, "a", "walk", "r1", "b", &r);
    while (rows_of_b == 0)
        assert_true(small_step(w));
    w->store_full = true;
    assert_true(small_run_until(w, &r.done, 5000));
    assert_int_equal(r.status, KELPIE_E_UNKNOWN_RESULT);
    w->store_full = false;
    assert_true(small_wait_view(w, 0, 1));
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "2");
    EXPECT(call(w, 0, "a", "walk", "r1", "b"), 0, "a b");
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "2");
    small_world_free(w);
}

/* Turns that change nothing wait at the gate for what they have seen; there is room for so many. */
static void test_unchanged_turns_at_the_gate_are_bounded(void **state)
{
    enum { ROUNDS = 40, EACH = 100 };
    static struct small_answer results[ROUNDS * EACH];
    struct small_world *w = small_world_of(1, classes);
    struct small_answer first;
    const struct kelpie_actor *act;
    unsigned full = 0;

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    act = act_find(node_actors(w->nodes[0].node), "link", "a");
    w->commit_plan = SMALL_COMMIT_LATE;
    start(w, 0, "a", "add", "", "", &first);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < EACH; k++)
            start(w, 0, "a", "get", "", "", &results[i * EACH + k]);
        small_run_ms(w, 1);
    }
    assert_int_equal(act->state, ACT_COMMITTING);
    assert_in_range(act->flying_count, BATCH_TURNS_MAX, BATCH_TURNS_MAX + 1);
    for (unsigned i = 0; i < ROUNDS * EACH; i++)
        full += results[i].done && results[i].status == KELPIE_E_MAILBOX_FULL;
    assert_int_equal(full, ROUNDS * EACH - MAILBOX_MAX - BATCH_TURNS_MAX);
    assert_int_equal(small_land(w), 0);
    assert_true(small_run_until(w, &first.done, 5000));
    small_world_free(w);
}

/* Nobody waits any more: nothing of it is done, and the actor goes on. */
static void test_a_turn_that_nobody_waits_for(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct small_answer r;

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    w->store_cut = true; /* b cannot be placed */
    start(w, 0, "a", "walk", "r1", "b", &r);
    small_run_ms(w, 100);
    /* Beside it, and without it. */
    EXPECT(call(w, 0, "a", "peek", "", ""), 0, "1");
    assert_false(r.done);
    assert_true(small_run_until(w, &r.done, 5000));
    assert_int_not_equal(r.status, 0);
    w->store_cut = false;
    small_run_ms(w, 1000);
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "1");
    small_world_free(w);
}

/* The lease runs out: the activation and its open turn are gone, and whoever asked does not know. */
static void test_a_lapse_ends_an_open_turn(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct small_answer r;

    (void)state;
    EXPECT(call(w, 0, "a", "add", "", ""), 0, "1");
    actors_call(node_actors(w->nodes[0].node), "link", "a", "walk", "r1", 0, bytes_of_str("b"),
                60000, small_on_answer, &r);
    r.done = false;
    w->store_cut = true;
    small_run_ms(w, 100);
    assert_non_null(act_find(node_actors(w->nodes[0].node), "link", "a")->open);
    assert_true(small_run_until(w, &r.done, 20000));
    assert_int_equal(r.status, KELPIE_E_UNKNOWN_RESULT);
    w->store_cut = false;
    small_run_ms(w, 5000);
    EXPECT(call(w, 0, "a", "walk", "r1", "b"), 0, "a b");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "2");
    EXPECT(call(w, 0, "b", "get", "", ""), 0, "1");
    small_world_free(w);
}

static void test_a_drain_waits_for_an_open_turn(void **state)
{
    struct small_world *w = small_world_of(2, classes);
    struct small_answer r;
    char why[128];

    (void)state;
    for (const char *id = "abcd"; *id; id++)
        EXPECT(call(w, 0, (char[]){*id, '\0'}, "add", "", ""), 0, "1");
    start(w, 0, "a", "walk", "", "b c d", &r);
    for (unsigned i = 0; i < 6; i++)
        (void)small_step(w);
    assert_int_equal(node_leave(w->nodes[1].node, false, why, sizeof why), 0);
    assert_true(small_run_until(w, &r.done, 3000));
    EXPECT(r, 0, "a b c d");
    assert_true(small_run_until(w, &w->nodes[1].left, 10000));
    for (const char *id = "abcd"; *id; id++)
        EXPECT(call(w, 0, (char[]){*id, '\0'}, "get", "", ""), 0, "2");
    small_world_free(w);
}

static void test_close_ends_open_turns(void **state)
{
    struct small_world *w = small_world_of(2, classes);
    struct small_answer r;

    (void)state;
    for (unsigned steps = 1; steps < 40; steps += 3) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%u", steps);
        start(w, 0, "a", "walk", id, "b c", &r);
        for (unsigned i = 0; i < steps && !r.done; i++)
            (void)small_step(w);
        assert_true(small_run_until(w, &r.done, 3000));
    }
    start(w, 0, "a", "walk", "", "b c d", &r);
    for (unsigned i = 0; i < 5; i++)
        (void)small_step(w);
    small_node_close(&w->nodes[0]);
    assert_true(r.done);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_chain_is_walked_once),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_a_cycle_is_refused_and_named),
        cmocka_unit_test(test_a_chain_is_bounded),
        cmocka_unit_test(test_crossed_chains_are_named),
        cmocka_unit_test(test_what_a_class_does_wrong),
        cmocka_unit_test(test_an_open_turn_is_its_own),
        cmocka_unit_test(test_a_turn_that_runs_again_calls_the_same),
        cmocka_unit_test(test_a_refused_commit_after_calls_is_not_surely_nothing),
        cmocka_unit_test(test_unchanged_turns_at_the_gate_are_bounded),
        cmocka_unit_test(test_a_turn_that_nobody_waits_for),
        cmocka_unit_test(test_a_lapse_ends_an_open_turn),
        cmocka_unit_test(test_a_drain_waits_for_an_open_turn),
        cmocka_unit_test(test_close_ends_open_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
