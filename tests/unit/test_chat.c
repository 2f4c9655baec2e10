/* The worked example under examples/chat: its rooms do what its README says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/small_world.h"

/* The file itself: as a shared object it would look for its functions in the program. */
#include "../../examples/chat/chat.c"

struct answer {
    bool done;
    int status;
    char text[8192];
};

static void on_answer(void *arg, int status, struct bytes reply)
{
    struct answer *a = arg;

    a->done = true;
    a->status = status;
    (void)snprintf(a->text, sizeof a->text, "%.*s", (int)reply.len,
                   reply.data ? (const char *)reply.data : "");
}

static struct answer ask(struct small_world *w, const char *method, const char *body)
{
    struct answer a = {.done = false};

    actors_call(node_actors(w->nodes[0].node), "chat", "lobby", method, "", 0, bytes_of_str(body),
                0, on_answer, &a);
    assert_true(small_run_until(w, &a.done, 6000));
    return a;
}

static void expect(struct small_world *w, const char *method, const char *body, int status,
                   const char *text)
{
    struct answer a = ask(w, method, body);

    assert_int_equal(a.status, status);
    if (text)
        assert_string_equal(a.text, text);
}

static struct small_world *one_node(void)
{
    struct small_world *w = small_world_new();

    (void)small_node_start(w, 0, kelpie_classes, 0, 0);
    assert_true(small_wait_view(w, 0, 1));
    return w;
}

static void test_a_conversation(void **state)
{
    struct small_world *w = one_node();

    (void)state;
    expect(w, "history", "", 0, "");
    expect(w, "join", "ann", 0, "welcome, ann; 1 here");
    expect(w, "join", "bob", 0, "welcome, bob; 2 here");
    expect(w, "join", "ann", 0, "welcome, ann; 2 here");
    expect(w, "say", "ann: hello", 0, "1");
    expect(w, "say", "bob: hello, ann", 0, "2");
    expect(w, "history", "", 0, "1 ann: hello\n2 bob: hello, ann\n");
    /* Passivated after a minute, and back with what was said. */
    small_run_ms(w, 61000);
    assert_int_equal(actors_stats(node_actors(w->nodes[0].node))->activations, 0);
    expect(w, "history", "", 0, "1 ann: hello\n2 bob: hello, ann\n");
    small_world_free(w);
}

static void test_what_a_room_refuses(void **state)
{
    struct small_world *w = one_node();

    (void)state;
    expect(w, "join", "", KELPIE_E_INVALID, NULL);
    expect(w, "join", "a:b", KELPIE_E_INVALID, NULL);
    expect(w, "say", "ann: hello", KELPIE_E_REFUSED, NULL);
    expect(w, "join", "ann", 0, NULL);
    expect(w, "say", "anne: hello", KELPIE_E_REFUSED, NULL);
    expect(w, "say", "no name", KELPIE_E_REFUSED, NULL);
    expect(w, "say", "ann: two\nlines", KELPIE_E_INVALID, NULL);
    expect(w, "shout", "", KELPIE_E_UNKNOWN_METHOD, NULL);
    expect(w, "history", "", 0, "");
    small_world_free(w);
}

static void test_the_last_fifty_lines_are_kept(void **state)
{
    struct small_world *w = one_node();
    struct answer a;

    (void)state;
    expect(w, "join", "ann", 0, NULL);
    for (unsigned i = 1; i <= 120; i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%u", i);
        expect(w, "say", "ann: again", 0, number);
    }
    a = ask(w, "history", "");
    assert_int_equal(strncmp(a.text, "71 ann: again\n", 14), 0);
    assert_non_null(strstr(a.text, "120 ann: again\n"));
    small_world_free(w);
}

static void test_a_room_has_a_bound(void **state)
{
    struct small_world *w = one_node();

    (void)state;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%u", i);
        expect(w, "join", name, 0, NULL);
    }
    expect(w, "join", "one more", KELPIE_E_REFUSED, NULL);
    expect(w, "join", "m7", 0, "welcome, m7; 100 here");
    small_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_conversation),
        cmocka_unit_test(test_what_a_room_refuses),
        cmocka_unit_test(test_the_last_fifty_lines_are_kept),
        cmocka_unit_test(test_a_room_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
