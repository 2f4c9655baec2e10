/* What a class is given, and what it may say: domain errors, reads, its arg, versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/domain_error.h"
#include "lib/small_world.h"

static unsigned upgrades, deactivations;

static int put(struct kelpie_actor *actor, const char *key, const void *value, size_t len)
{
    return kelpie_state_put(actor, key, strlen(key), value, len);
}

static int reply_value(struct kelpie_actor *actor, const char *key)
{
    const uint8_t *value;
    size_t len;

    if (!kelpie_state_get(actor, key, strlen(key), &value, &len))
        return kelpie_reply_text(actor, "-");
    return kelpie_reply(actor, value, len);
}

/* What it was answered is what the turn ends with. */
static void answered(struct kelpie_actor *actor, void *unused, int status, const uint8_t *reply,
                     size_t len)
{
    (void)unused;
    if (!status)
        assert_int_equal(kelpie_reply(actor, reply, len), 0);
    assert_int_equal(kelpie_finish(actor, status), 0);
}

/* Writes, and asks the actor "b" before it ends. */
static int ask_another(struct kelpie_actor *actor, const char *method)
{
    int error = put(actor, "v", "its own", 7);

    if (!error)
        error = kelpie_call(actor, "desk", "b", method, "", 0, 0, answered, NULL);
    return error ? error : KELPIE_PENDING;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    static char text[KELPIE_FAIL_TEXT_MAX + 3];
    const uint8_t *value;
    size_t len;

    if (strcmp(m->method, "put") == 0)
        return put(actor, "v", m->body, m->body_len);
    if (strcmp(m->method, "get") == 0) {
        assert_int_equal(m->flags, KELPIE_METHOD_READ);
        return reply_value(actor, "v");
    }
    if (strcmp(m->method, "sneak") == 0)
        return put(actor, "v", "sneaked", 7);
    if (strcmp(m->method, "sneak_on") == 0) {
        assert_int_equal(kelpie_state_delete(actor, "v", 1), KELPIE_E_REFUSED);
        return reply_value(actor, "v");
    }
    if (strcmp(m->method, "refuse") == 0) {
        assert_int_equal(put(actor, "v", "must not stay", 13), 0);
        return kelpie_fail(actor, "sold_out", "no seat is left");
    }
    if (strcmp(m->method, "ask_refuse") == 0)
        return ask_another(actor, "refuse");
    if (strcmp(m->method, "ask_put") == 0)
        return ask_another(actor, "put");
    if (strcmp(m->method, "read_and_ask") == 0)
        return kelpie_call(actor, "desk", "b", "put", "", 0, 0, answered, NULL);
    if (strcmp(m->method, "refuse_if") == 0) {
        if (!kelpie_state_get(actor, "v", 1, &value, &len))
            return kelpie_fail(actor, "nothing-yet", NULL);
        return kelpie_reply_text(actor, "there is something");
    }
    if (strcmp(m->method, "refuse_in_a_read") == 0)
        return kelpie_fail(actor, "r-1", "read");
    if (strcmp(m->method, "refuse_and_forget") == 0) {
        (void)kelpie_fail(actor, "forgotten", "its value is not returned");
        return 0;
    }
    if (strcmp(m->method, "refuse_then_reply") == 0) {
        (void)kelpie_fail(actor, "a", "b");
        return kelpie_reply_text(actor, "after all");
    }
    if (strcmp(m->method, "no_code") == 0) {
        assert_int_equal(kelpie_fail(actor, NULL, "x"), KELPIE_E_HANDLER_FAILED);
        assert_int_equal(kelpie_fail(actor, "", "x"), KELPIE_E_HANDLER_FAILED);
        assert_int_equal(kelpie_fail(actor, "Upper", "x"), KELPIE_E_HANDLER_FAILED);
        return KELPIE_E_DOMAIN;
    }
    if (strcmp(m->method, "long") == 0) {
        /* The last character has two bytes, and one of them fits. */
        memset(text, 'x', sizeof text - 1);
        memcpy(text + KELPIE_FAIL_TEXT_MAX - 1, "\xc3\xa4", 2);
        return kelpie_fail(actor, "long", text);
    }
    if (strcmp(m->method, "given") == 0) {
        (void)snprintf(text, sizeof text, "%s %s %d %d", (const char *)kelpie_class_arg(actor),
                       m->request_id, m->remaining_ms > 4000 && m->remaining_ms <= 5000,
                       kelpie_now_ms(actor) > 0 && kelpie_random(actor) != kelpie_random(actor));
        return kelpie_reply_text(actor, text);
    }
    return KELPIE_E_UNKNOWN_METHOD;
}

static int upgrade(struct kelpie_actor *actor, uint32_t from)
{
    char text[64];
    const uint8_t *value;
    size_t len;

    upgrades++;
    assert_true(kelpie_state_get(actor, "v", 1, &value, &len));
    (void)snprintf(text, sizeof text, "%.*s from %u", (int)len, (const char *)value, from);
    return put(actor, "v", text, strlen(text));
}

static void deactivate(struct kelpie_actor *actor)
{
    (void)actor;
    deactivations++;
}

static const struct kelpie_method methods[] = {
    {.name = "get", .flags = KELPIE_METHOD_READ},
    {.name = "sneak", .flags = KELPIE_METHOD_READ},
    {.name = "sneak_on", .flags = KELPIE_METHOD_READ},
    {.name = "refuse_in_a_read", .flags = KELPIE_METHOD_READ},
    {.name = "read_and_ask", .flags = KELPIE_METHOD_READ},
    {.name = "put"},
    {.name = NULL},
};
static char arg[] = "the arg";

#define DESK(version_)                                                                             \
    {                                                                                              \
        .abi = KELPIE_ABI_VERSION, .size = sizeof(struct kelpie_class), .type = "desk",            \
        .placement = KELPIE_PLACE_LOCAL, .receive = receive, .deactivate = deactivate,             \
        .version = (version_), .arg = arg, .methods = methods, .upgrade = upgrade                  \
    }
static const struct kelpie_class desk1 = DESK(1), desk2 = DESK(2);
static const struct kelpie_class *const old_classes[] = {&desk1, NULL};
static const struct kelpie_class *const new_classes[] = {&desk2, NULL};

struct result {
    bool done;
    int status;
    char text[2048];
};

static void on_result(void *result, int status, struct bytes reply)
{
    struct result *r = result;
    struct domain_error e;

    r->done = true;
    r->status = status;
    if (status == KELPIE_E_DOMAIN) {
        assert_true(domain_error_decode(reply, &e));
        (void)snprintf(r->text, sizeof r->text, "%s|%s", e.code, e.text);
    } else {
        (void)snprintf(r->text, sizeof r->text, "%.*s", (int)reply.len,
                       reply.len ? (const char *)reply.data : "");
    }
}

static void start(struct small_world *w, size_t node, const char *id, const char *method,
                  const char *request_id, const char *body, struct result *r)
{
    *r = (struct result){.done = false};
    actors_call(node_actors(w->nodes[node].node), "desk", id, method, request_id,
                REQUEST_AGE_UNKNOWN, bytes_of_str(body), 0, on_result, r);
}

static struct result call(struct small_world *w, size_t node, const char *id, const char *method,
                          const char *request_id, const char *body)
{
    struct result r;

    start(w, node, id, method, request_id, body, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

#define EXPECT(result_, status_, text_)                                                            \
    do {                                                                                           \
        struct result r_ = (result_);                                                              \
        assert_string_equal(r_.text, text_);                                                       \
        assert_int_equal(r_.status, status_);                                                      \
    } while (0)

static const struct actors_stats *stats_of(struct small_world *w, size_t node)
{
    return actors_stats(node_actors(w->nodes[node].node));
}

static struct small_world *world_of(size_t nodes, uint32_t idle_ms)
{
    struct small_world *w = small_world_new();

    upgrades = deactivations = 0;
    for (size_t i = 0; i < nodes; i++) {
        (void)small_node_start(w, i, i ? new_classes : old_classes, 0, idle_ms);
        assert_true(small_wait_view(w, 0, i + 1));
    }
    for (size_t i = 0; i < nodes; i++)
        assert_true(small_wait_view(w, i, nodes));
    return w;
}

static void test_a_domain_error_is_remembered(void **state)
{
    struct small_world *w = world_of(1, 1000);
    const struct actors_stats *stats = stats_of(w, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "refuse_if", "r1", ""), KELPIE_E_DOMAIN, "nothing-yet|");
    assert_int_equal(stats->commits, 1);
    EXPECT(call(w, 0, "a", "put", "r2", "now"), 0, "");
    EXPECT(call(w, 0, "a", "refuse_if", "r3", ""), 0, "there is something");
    /* From memory, and when the actor was somewhere else meanwhile. */
    EXPECT(call(w, 0, "a", "refuse_if", "r1", ""), KELPIE_E_DOMAIN, "nothing-yet|");
    small_run_ms(w, 1500);
    assert_int_equal(stats->activations, 0);
    EXPECT(call(w, 0, "a", "refuse_if", "r1", ""), KELPIE_E_DOMAIN, "nothing-yet|");
    EXPECT(call(w, 0, "a", "refuse_if", "r1", "another body"), KELPIE_E_REQUEST_ID_REUSED,
           kelpie_error_text(KELPIE_E_REQUEST_ID_REUSED));
    assert_int_equal(stats->commits, 2);
    assert_int_equal(stats->replays, 2);
    small_world_free(w);
}

static void test_a_domain_error_writes_nothing_else(void **state)
{
    struct small_world *w = world_of(1, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "before"), 0, "");
    EXPECT(call(w, 0, "a", "refuse", "", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "before");
    EXPECT(call(w, 0, "a", "refuse_and_forget", "", ""), KELPIE_E_DOMAIN,
           "forgotten|its value is not returned");
    EXPECT(call(w, 0, "a", "refuse_then_reply", "", ""), 0, "after all");
    EXPECT(call(w, 0, "a", "no_code", "", ""), KELPIE_E_HANDLER_FAILED,
           kelpie_error_text(KELPIE_E_HANDLER_FAILED));
    assert_int_equal(strlen(call(w, 0, "a", "long", "", "").text), 5 + KELPIE_FAIL_TEXT_MAX - 1);
    small_world_free(w);
}

/* It leaves when it is committed: what the store refuses was never said. */
static void test_a_domain_error_waits_at_the_gate(void **state)
{
    struct small_world *w = world_of(1, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "x"), 0, "");
    w->commit_plan = SMALL_COMMIT_FULL;
    assert_int_equal(call(w, 0, "a", "refuse", "r1", "").status, KELPIE_E_STORE_FULL);
    w->commit_plan = SMALL_COMMIT_UNKNOWN_DONE;
    EXPECT(call(w, 0, "a", "refuse", "r1", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    small_world_free(w);
}

/* A batch that the store refuses for its size runs again one by one: the domain error is said once it is
 * committed, and a read among them stays one. */
static void test_a_refused_batch_keeps_what_each_is(void **state)
{
    struct small_world *w = world_of(1, 0);
    struct result r[4];

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "before"), 0, "");
    w->commit_plan = SMALL_COMMIT_LIMIT;
    w->commit_skip = 1;
    start(w, 0, "a", "put", "", "first", &r[0]);
    start(w, 0, "a", "refuse", "r1", "", &r[1]);
    start(w, 0, "a", "put", "r2", "last", &r[2]);
    while (!r[0].done)
        assert_true(small_step(w));
    start(w, 0, "a", "sneak", "", "", &r[3]);
    for (size_t i = 1; i < 4; i++)
        assert_true(small_run_until(w, &r[i].done, 5000));
    EXPECT(r[1], KELPIE_E_DOMAIN, "sold_out|no seat is left");
    EXPECT(r[2], 0, "");
    EXPECT(r[3], KELPIE_E_REFUSED, "a method that is declared as a read cannot write");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "last");
    EXPECT(call(w, 0, "a", "refuse", "r1", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    small_world_free(w);
}

static void test_a_read_writes_nothing(void **state)
{
    struct small_world *w = world_of(1, 0);
    const struct actors_stats *stats = stats_of(w, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "x"), 0, "");
    EXPECT(call(w, 0, "a", "sneak", "", ""), KELPIE_E_REFUSED,
           "a method that is declared as a read cannot write");
    EXPECT(call(w, 0, "a", "sneak_on", "", ""), 0, "x");
    EXPECT(call(w, 0, "a", "refuse_in_a_read", "r9", ""), KELPIE_E_DOMAIN, "r-1|read");
    /* It is not remembered: its id is free. */
    EXPECT(call(w, 0, "a", "put", "r9", "y"), 0, "");
    EXPECT(call(w, 0, "a", "get", "r9", ""), 0, "y");
    assert_int_equal(stats->commits, 2);
    small_world_free(w);
}

/* The first commit is held back, the second waits behind it: who reads waits for the first alone, and is
 * shown that alone. */
static void test_a_read_is_shown_what_is_committed(void **state)
{
    struct small_world *w = world_of(1, 0);
    struct result first, second, before, after;

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "0"), 0, "");
    start(w, 0, "a", "put", "", "1", &first);
    start(w, 0, "a", "get", "", "", &before);
    while (!before.done)
        assert_true(small_step(w));
    assert_false(first.done);
    EXPECT(before, 0, "0");
    start(w, 0, "a", "get", "", "", &after);
    start(w, 0, "a", "put", "", "2", &second);
    while (!after.done)
        assert_true(small_step(w));
    assert_true(first.done && !second.done);
    EXPECT(after, 0, "1");
    assert_true(small_run_until(w, &second.done, 1000));
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "2");
    small_world_free(w);
}

/* While a turn waits for another actor, reads of its actor go on, and do not see what it has written. */
static void test_a_read_runs_beside_an_open_turn(void **state)
{
    struct small_world *w = world_of(1, 0);
    struct result turn, read;

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "before"), 0, "");
    start(w, 0, "a", "ask_put", "", "", &turn);
    for (unsigned i = 0; i < 3; i++)
        assert_true(small_step(w));
    start(w, 0, "a", "get", "", "", &read);
    while (!read.done)
        assert_true(small_step(w));
    assert_false(turn.done);
    EXPECT(read, 0, "before");
    assert_true(small_run_until(w, &turn.done, 1000));
    EXPECT(turn, 0, "");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "its own");
    EXPECT(call(w, 0, "a", "read_and_ask", "", ""), KELPIE_E_REFUSED,
           "calls are made within a turn that changes state");
    small_world_free(w);
}

static void test_a_domain_error_is_passed_on(void **state)
{
    struct small_world *w = world_of(1, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "before"), 0, "");
    EXPECT(call(w, 0, "a", "ask_refuse", "r1", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    EXPECT(call(w, 0, "a", "ask_refuse", "r1", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "before");
    assert_int_equal(stats_of(w, 0)->replays, 1);
    small_world_free(w);
}

static bool has_row(struct small_world *w, struct key key)
{
    struct buf out;
    bool there;

    buf_init(&out, w->env.mem);
    there = small_get(w, key, &out);
    buf_deinit(&out);
    return there;
}

static void test_reading_what_never_was_leaves_no_row(void **state)
{
    struct small_world *w = world_of(2, 0);
    struct result one, other, third;

    (void)state;
    w->commits = 0;
    start(w, 0, "ghost", "get", "", "", &one);
    start(w, 0, "ghost", "get", "", "", &other);
    assert_true(small_run_until(w, &one.done, 1000) && small_run_until(w, &other.done, 1000));
    EXPECT(one, 0, "-");
    EXPECT(other, 0, "-");
    EXPECT(call(w, 1, "ghost", "refuse_in_a_read", "", ""), KELPIE_E_DOMAIN, "r-1|read");
    EXPECT(call(w, 1, "ghost", "sneak", "", ""), KELPIE_E_REFUSED,
           "a method that is declared as a read cannot write");
    assert_false(has_row(w, key_actor(&w->ks, "desk", "ghost")));
    assert_false(has_row(w, key_head(&w->ks, "desk", "ghost")));
    assert_int_equal(stats_of(w, 0)->activations + stats_of(w, 1)->activations, 0);
    assert_int_equal(stats_of(w, 0)->placements + stats_of(w, 1)->placements, 0);
    assert_true(deactivations >= 3);
    /* One that writes comes with one that reads. */
    start(w, 0, "ghost", "get", "", "", &one);
    start(w, 0, "ghost", "put", "", "here", &third);
    assert_true(small_run_until(w, &one.done, 1000) && small_run_until(w, &third.done, 1000));
    EXPECT(call(w, 1, "ghost", "get", "", ""), 0, "here");
    assert_int_equal(stats_of(w, 0)->placements + stats_of(w, 1)->placements, 1);
    small_world_free(w);
}

/* What the first one is shown is of before the write; the second comes after that was answered. */
static void test_who_reads_nothing_is_not_shown_what_was(void **state)
{
    struct small_world *w = small_world_new();
    struct result first, second;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)small_node_start(w, i, old_classes, 0, 0);
        assert_true(small_wait_view(w, 0, i + 1));
    }
    assert_true(small_wait_view(w, 1, 2));
    w->read_held = true;
    w->read_skip = 2; /* where it is; what it is; then that with whose store it is */
    start(w, 0, "ghost", "get", "", "", &first);
    for (unsigned i = 0; i < 100 && !w->held_answered; i++)
        assert_true(small_step(w));
    assert_true(w->held_answered);
    EXPECT(call(w, 1, "ghost", "put", "", "here"), 0, "");
    start(w, 0, "ghost", "get", "", "", &second);
    for (unsigned i = 0; i < 4; i++)
        assert_true(small_step(w));
    small_read_arrives(w);
    assert_true(small_run_until(w, &first.done, 1000) && small_run_until(w, &second.done, 1000));
    EXPECT(first, 0, "-");
    EXPECT(second, 0, "here");
    small_world_free(w);
}

static void test_what_a_message_is_given(void **state)
{
    struct small_world *w = world_of(1, 0);

    (void)state;
    EXPECT(call(w, 0, "a", "given", "r-77", ""), 0, "the arg r-77 1 1");
    small_world_free(w);
}

static void test_state_is_upgraded(void **state)
{
    struct small_world *w = world_of(2, 1000);
    struct buf out;
    struct head_record head;
    struct key key = key_head(&w->ks, "desk", "a");

    (void)state;
    EXPECT(call(w, 0, "a", "put", "", "old"), 0, "");
    small_run_ms(w, 1500);
    /* What an upgrade has made is not there before it is committed. */
    w->commit_plan = SMALL_COMMIT_FULL;
    w->commit_skip = 1; /* the placement */
    assert_int_equal(call(w, 1, "a", "refuse", "", "").status, KELPIE_E_STORE_FULL);
    small_run_ms(w, 1500);
    upgrades = 0;
    /* Each activation anew, until something is written; who reads is shown the new one. */
    EXPECT(call(w, 1, "a", "get", "", ""), 0, "old from 1");
    small_run_ms(w, 1500);
    EXPECT(call(w, 1, "a", "get", "", ""), 0, "old from 1");
    assert_int_equal(upgrades, 2);
    EXPECT(call(w, 1, "a", "refuse", "", ""), KELPIE_E_DOMAIN, "sold_out|no seat is left");
    small_run_ms(w, 1500);
    EXPECT(call(w, 1, "a", "get", "", ""), 0, "old from 1");
    assert_int_equal(upgrades, 2);
    buf_init(&out, w->env.mem);
    assert_true(small_get(w, key, &out));
    assert_int_equal(head_record_decode(key_bytes(&key), buf_bytes(&out), &out, &head), 0);
    assert_int_equal(head.class_version, 2);
    buf_deinit(&out);
    small_world_free(w);
}

static void test_older_code_is_not_given_newer_state(void **state)
{
    struct small_world *w = world_of(2, 1000);

    (void)state;
    EXPECT(call(w, 1, "a", "put", "", "new"), 0, "");
    small_run_ms(w, 1500);
    /* It is asked of the older node, which would have it; the newer one gets it. */
    EXPECT(call(w, 0, "a", "put", "", "newer"), 0, "");
    assert_int_equal(stats_of(w, 1)->activations, 1);
    EXPECT(call(w, 0, "a", "get", "", ""), 0, "newer");
    small_node_close(&w->nodes[1]);
    small_run_ms(w, 5000);
    EXPECT(call(w, 0, "a", "put", "", "x"), KELPIE_E_CLASS_OLDER,
           kelpie_error_text(KELPIE_E_CLASS_OLDER));
    EXPECT(call(w, 0, "b", "put", "", "x"), 0, "");
    assert_int_equal(upgrades, 0);
    small_world_free(w);
}

static void test_what_is_no_domain_error(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        bool good;
    } rows[] = {
        {"a\0b", 3, true},      {"a\0", 2, true},     {"a-1_z\0text", 10, true},
        {"", 0, false},         {"a", 1, false},      {"\0text", 5, false},
        {"A\0text", 6, false},  {"a b\0t", 5, false}, {"a\0b\0c", 5, false},
        {"a\xff\0t", 4, false},
    };
    static char long_one[KELPIE_FAIL_CODE_MAX + KELPIE_FAIL_TEXT_MAX + 4];
    struct domain_error e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(domain_error_decode(bytes_of(rows[i].body, rows[i].len), &e),
                         rows[i].good);
    memset(long_one, 'a', sizeof long_one);
    long_one[KELPIE_FAIL_CODE_MAX] = '\0';
    assert_true(domain_error_decode(
        bytes_of(long_one, KELPIE_FAIL_CODE_MAX + 1 + KELPIE_FAIL_TEXT_MAX), &e));
    assert_false(domain_error_decode(
        bytes_of(long_one, KELPIE_FAIL_CODE_MAX + 2 + KELPIE_FAIL_TEXT_MAX), &e));
    memset(long_one, 'a', sizeof long_one);
    long_one[KELPIE_FAIL_CODE_MAX + 1] = '\0';
    assert_false(domain_error_decode(bytes_of(long_one, KELPIE_FAIL_CODE_MAX + 4), &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_domain_error_is_remembered),
        cmocka_unit_test(test_a_domain_error_writes_nothing_else),
        cmocka_unit_test(test_a_domain_error_waits_at_the_gate),
        cmocka_unit_test(test_a_refused_batch_keeps_what_each_is),
        cmocka_unit_test(test_a_read_writes_nothing),
        cmocka_unit_test(test_a_read_is_shown_what_is_committed),
        cmocka_unit_test(test_a_read_runs_beside_an_open_turn),
        cmocka_unit_test(test_a_domain_error_is_passed_on),
        cmocka_unit_test(test_reading_what_never_was_leaves_no_row),
        cmocka_unit_test(test_who_reads_nothing_is_not_shown_what_was),
        cmocka_unit_test(test_what_a_message_is_given),
        cmocka_unit_test(test_state_is_upgraded),
        cmocka_unit_test(test_older_code_is_not_given_newer_state),
        cmocka_unit_test(test_what_is_no_domain_error),
    };
    return cmocka_run_group_tests_name("class_interface", tests, NULL, NULL);
}
