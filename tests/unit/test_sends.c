/* What is sent from outside, under a request id; and the bound on what waits for one receiver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actor/activation.h"
#include "lib/small_world.h"

/* "add" counts, "get" tells, "stuck" fails, "fan" sends so many messages that will stay. */
static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const uint8_t *value = NULL;
    size_t len = 0;
    char text[32] = "", count[24] = "";

    (void)snprintf(text, sizeof text, "%.*s", (int)m->body_len, (const char *)m->body);
    (void)kelpie_state_get(actor, "n", 1, &value, &len);
    (void)snprintf(count, sizeof count, "%.*s", (int)len, (const char *)value);
    if (strcmp(m->method, "get") == 0)
        return kelpie_reply_text(actor, count);
    if (strcmp(m->method, "add") == 0) {
        (void)snprintf(count, sizeof count, "%d", atoi(count) + atoi(text));
        return kelpie_state_put(actor, "n", 1, count, strlen(count));
    }
    for (int i = atoi(text), error = 0; i > 0; i--) {
        const struct kelpie_send_options o = {.after_ms = 3600000};
        error = kelpie_send(actor, "box", "full", "add", "1", 1, i % 2 ? &o : NULL);
        if (error)
            return error;
    }
    return strcmp(m->method, "fan") == 0 ? 0 : KELPIE_E_UNKNOWN_METHOD;
}

/* "full" is of another class, which nobody hosts, where nothing is taken. */
static const struct kelpie_class post = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "post",
    .receive = receive,
};
static const struct kelpie_class *const classes[] = {&post, NULL};

static struct small_answer call(struct small_world *w, size_t node, const char *method,
                                const char *id, const char *body)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), "post", "a", method, id, id[0] ? 0 : UINT64_MAX,
                bytes_of_str(body), 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

static struct small_answer sent(struct small_world *w, size_t node, const char *id,
                                const char *body, uint64_t after_ms)
{
    struct small_answer r = {.done = false};

    actors_send(node_actors(w->nodes[node].node), "post", "a", "add", id, 0, bytes_of_str(body),
                after_ms, 0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

static void it_is_applied_once_and_in_time(void **state)
{
    struct small_world *w = small_world_of(3, classes);

    (void)state;
    for (size_t node = 0; node < 3; node++) {
        struct small_answer r = sent(w, node, "s1", "5", 0);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.text, "");
        small_run_ms(w, 100);
        assert_string_equal(call(w, 0, "get", "", "").text, "5");
    }
    for (size_t node = 0; node < 3; node++)
        assert_int_equal(sent(w, node, "s2", "7", 3000).status, 0);
    small_run_ms(w, 2500);
    assert_string_equal(call(w, 1, "get", "", "").text, "5");
    small_run_ms(w, 2500);
    assert_string_equal(call(w, 2, "get", "", "").text, "12");
    small_world_free(w);
}

static void an_id_is_of_one_time(void **state)
{
    struct small_world *w = small_world_of(2, classes);

    (void)state;
    assert_int_equal(sent(w, 0, "s1", "5", 10).status, 0);
    assert_int_equal(sent(w, 1, "s1", "5", 11).status, KELPIE_E_REQUEST_ID_REUSED);
    assert_int_equal(sent(w, 1, "s1", "6", 10).status, KELPIE_E_REQUEST_ID_REUSED);
    assert_int_equal(call(w, 1, "add", "s1", "5").status, KELPIE_E_REQUEST_ID_REUSED);
    assert_int_equal(sent(w, 1, "s1", "5", 10).status, 0);
    assert_int_equal(call(w, 0, "add", "c1", "1").status, 0);
    assert_int_equal(sent(w, 0, "c1", "1", 0).status, KELPIE_E_REQUEST_ID_REUSED);
    small_run_ms(w, 2000);
    assert_string_equal(call(w, 0, "get", "", "").text, "6");
    small_world_free(w);
}

static void its_bounds_are_said(void **state)
{
    static char body[KELPIE_MESSAGE_BODY_MAX + 2];
    struct small_world *w = small_world_of(1, classes);

    (void)state;
    memset(body, '1', sizeof body - 1);
    struct small_answer r = sent(w, 0, "s1", body, 0);
    assert_int_equal(r.status, KELPIE_E_TOO_LARGE);
    assert_string_equal(r.text, "the message has 65537 bytes; at most 65536 are allowed");
    body[KELPIE_MESSAGE_BODY_MAX] = '\0';
    assert_int_equal(sent(w, 0, "s1", body, 3600000).status, 0);
    r = sent(w, 0, "s2", "", KELPIE_SEND_DELAY_MS_MAX + 1);
    assert_int_equal(r.status, KELPIE_E_INVALID);
    assert_string_equal(r.text, "the delay is over 315360000000 ms, ten years");
    small_world_free(w);
}

/* Over the bound the sender is told; nothing is lost, and there is room again when there is. */
static void what_waits_has_a_bound(void **state)
{
    struct small_world *w = small_world_of(1, classes);
    struct actors *a = node_actors(w->nodes[0].node);
    unsigned turns = 0;
    struct small_answer r;

    (void)state;
    a->crowds.max = 64;
    do {
        r = call(w, 0, "fan", "", "8");
        small_run_ms(w, 20);
        turns += r.status == 0;
    } while (r.status == 0 && turns < 100);
    assert_int_equal(r.status, KELPIE_E_MAILBOX_FULL);
    assert_string_equal(r.text,
                        "too many messages wait for box/full, or lie with its dead letters");
    assert_true(a->caps[ACTORS_CAP_MESSAGES].reached > 0);
    assert_in_range(turns, 8, 10);
    assert_int_equal(a->stats.messages_sent, 8 * turns);
    /* Others are not concerned, and time alone makes no room. */
    assert_int_equal(sent(w, 0, "s1", "1", 0).status, 0);
    small_run_ms(w, 5000);
    assert_int_equal(call(w, 0, "fan", "", "8").status, KELPIE_E_MAILBOX_FULL);
    small_run_ms(w, 100);
    a->crowds.max = 1024;
    small_run_ms(w, 5000);
    assert_int_equal(call(w, 0, "fan", "", "8").status, KELPIE_E_MAILBOX_FULL);
    small_run_ms(w, 100);
    assert_int_equal(call(w, 0, "fan", "", "8").status, 0);
    small_world_free(w);
}

/* ---- a method that is declared as a read is called, not sent */

static unsigned reads_run;

static int read_only(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    reads_run += strcmp(m->method, "get") == 0;
    return kelpie_state_put(actor, "n", 1, "1", 1);
}

static int sends_reads(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    return kelpie_send(actor, "desk", "x", m->method, "", 0, NULL);
}

static const struct kelpie_method declared[] = {{"get", KELPIE_METHOD_READ, 0}, {NULL, 0, 0}};
static const struct kelpie_class desk = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "desk",
    .receive = read_only,
    .methods = declared,
};
static const struct kelpie_class clerk = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "clerk",
    .placement = KELPIE_PLACE_LOCAL,
    .receive = sends_reads,
};

static struct small_answer ask_clerk(struct small_world *w, size_t node, const char *id,
                                     const char *method)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), "clerk", id, method, "", 0, bytes_of_str(""), 0,
                small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

/* Told at once where the sender's node knows the class; else it is a dead letter of the receiver. */
static void a_read_is_not_sent(void **state)
{
    static const struct kelpie_class *const without[] = {&clerk, NULL};
    static const struct kelpie_class *const with[] = {&clerk, &desk, NULL};
    static const char *const said = "get of desk is declared as a read: it is called, not sent";
    struct small_world *w = small_world_new();
    struct small_answer r = {.done = false};

    (void)state;
    reads_run = 0;
    (void)small_node_start(w, 0, without, 0, 0);
    assert_true(small_wait_view(w, 0, 1));
    (void)small_node_start(w, 1, with, 0, 0);
    assert_true(small_wait_view(w, 0, 2) && small_wait_view(w, 1, 2));
    r = ask_clerk(w, 1, "b", "get");
    assert_int_equal(r.status, KELPIE_E_REFUSED);
    assert_string_equal(r.text, said);
    r.done = false;
    actors_send(node_actors(w->nodes[0].node), "desk", "x", "get", "s1", 0, bytes_of_str(""), 1000,
                0, small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    assert_int_equal(r.status, KELPIE_E_REFUSED);
    assert_string_equal(r.text, said);
    assert_int_equal(ask_clerk(w, 0, "a", "get").status, 0);
    assert_int_equal(ask_clerk(w, 0, "a", "set").status, 0);
    small_run_ms(w, 3000);
    assert_int_equal(actors_stats(node_actors(w->nodes[1].node))->dead_letters, 1);
    assert_int_equal(actors_stats(node_actors(w->nodes[1].node))->messages_done, 2);
    assert_int_equal(reads_run, 0);
    small_world_free(w);
}

/* ---- names that are too long */

static int names(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    static char text[256];
    struct kelpie_send_options o = {.after_ms = 1000};

    memset(text, 'x', sizeof text - 1);
    text[atoi(strrchr(m->method, '_') + 1)] = '\0';
    if (strncmp(m->method, "unsend", 6) == 0)
        return kelpie_unsend(actor, text);
    o.name = strncmp(m->method, "name", 4) == 0 ? text : NULL;
    return kelpie_send(actor, strncmp(m->method, "type", 4) == 0 ? text : "clerk",
                       strncmp(m->method, "id", 2) == 0 ? text : "y",
                       strncmp(m->method, "method", 6) == 0 ? text : "note", "", 0, &o);
}

static void names_that_are_too_long_are_said(void **state)
{
    static const struct {
        const char *method, *text;
    } cases[] = {
        {"name_96", ""},
        {"name_97", "the message's name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is 97 bytes long; "
                    "give at most 96"},
        {"name_0", "the message's name is empty; give 1 to 96 bytes"},
        {"unsend_97",
         "the message's name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is 97 bytes long; "
         "give at most 96"},
        {"type_65", "actor type \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is 65 bytes long; "
                    "give at most 64"},
        {"id_193", "actor id \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is 193 bytes long; "
                   "give at most 192"},
        {"method_65", "method \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is 65 bytes long; "
                      "give at most 64"},
    };
    static const struct kelpie_class named = {
        .abi = KELPIE_ABI_VERSION,
        .size = sizeof(struct kelpie_class),
        .type = "clerk",
        .receive = names,
    };
    static const struct kelpie_class *const only[] = {&named, NULL};
    struct small_world *w = small_world_of(1, only);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct small_answer r = ask_clerk(w, 0, "a", cases[i].method);
        assert_string_equal(r.text, cases[i].text);
        assert_int_equal(r.status, cases[i].text[0] ? KELPIE_E_INVALID : 0);
    }
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->messages_sent, 1);
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_applied_once_and_in_time),
        cmocka_unit_test(an_id_is_of_one_time),
        cmocka_unit_test(its_bounds_are_said),
        cmocka_unit_test(what_waits_has_a_bound),
        cmocka_unit_test(a_read_is_not_sent),
        cmocka_unit_test(names_that_are_too_long_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
