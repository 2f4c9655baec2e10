/* What operators see of messages and do with them: GET /v1/messages and what lies below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/api_rig.h"
#include "record/message_ref.h"

/* ---- what they are called ---- */

struct name_case {
    const char *text;
    bool ok;
};

static void test_names(void **state)
{
    static const struct name_case cases[] = {
        {"dead.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", true},
        {"waiting.1.0.00000000-0000-0000-0000-000000000001", true},
        {"later.1700000000000.18446744073709551615.2.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", true},
        {"later.0.1.2.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"later.1.2.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead.3.17.0b5c6e0e", false},
        {"dead.3.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead..17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead.-3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead.18446744073709551616.1.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4bx", false},
        {"deadly.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b", false},
        {"dead", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct message_ref ref;
        char text[MESSAGE_REF_SIZE];
        int err = message_ref_from_text(cases[i].text, &ref);
        if ((err == 0) != cases[i].ok)
            fail_msg("'%s': %d", cases[i].text, err);
        if (err)
            continue;
        message_ref_to_text(&ref, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* ---- on a node ---- */

static bool is_mended;

/* "tell" sends to itself what its body says; "hour" does so in an hour, by name; "wrong" fails for good until it
 * is mended. */
static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const struct kelpie_send_options hour = {.after_ms = 3600000, .name = "alarm"};
    char method[KELPIE_METHOD_MAX + 1];
    (void)snprintf(method, sizeof(method), "%.*s", (int)m->body_len, (const char *)m->body);
    if (strcmp(m->method, "tell") == 0)
        return kelpie_send(actor, "post", kelpie_actor_id(actor), method, "a \"body\"", 8, NULL);
    if (strcmp(m->method, "away") == 0)
        return kelpie_send(actor, "nowhere", "x", "knock", "", 0, NULL);
    if (strcmp(m->method, "hour") == 0)
        return kelpie_send(actor, "post", kelpie_actor_id(actor), "fine", "\xff\x01", 2, &hour);
    if (strcmp(m->method, "got") == 0) {
        const uint8_t *value = NULL;
        size_t len = 0;
        (void)kelpie_state_get(actor, "got", 3, &value, &len);
        return kelpie_reply(actor, value, len);
    }
    if (strcmp(m->method, "wrong") == 0 && !is_mended)
        return KELPIE_E_INVALID;
    return kelpie_state_put(actor, "got", 3, m->method, strlen(m->method));
}

static const struct kelpie_class post = {.abi = KELPIE_ABI_VERSION,
                                         .size = sizeof(struct kelpie_class),
                                         .type = "post",
                                         .receive = receive};
static const struct kelpie_class *const classes[] = {&post, NULL};

static int set_up(void **state)
{
    is_mended = false;
    return api_rig_set_up_with(state, classes);
}

/* Asks until the answer has that in it. */
static void wait_for(struct api_rig *f, const char *path, const char *what)
{
    bool never = false;
    for (int i = 0; i < 20; i++) {
        api_ask(f, "GET", path, "");
        if (f->c.status == 200 && strstr(f->c.body, what))
            return;
        (void)small_run_until(f->w, &never, 2000);
    }
    fail_msg("GET %s: %s (wanted: %s)", path, f->c.body, what);
}

/* The path of the message that was listed first, with `action` behind it. */
static void path_of_first(const struct api_rig *f, const char *actor, const char *action, char *out,
                          size_t size)
{
    const char *at = strstr(f->c.body, "\"message\":\"");
    assert_non_null(at);
    at += strlen("\"message\":\"");
    (void)snprintf(out, size, "/v1/messages/%s/%.*s%s", actor, (int)strcspn(at, "\""), at, action);
}

static void test_dead_letters(void **state)
{
    struct api_rig *f = *state;
    char retry[256], show[256], drop[256];
    api_says(f, "/v1/messages", "{\"messages\":[],\"next\":null}");
    api_ask(f, "POST", "/v1/actors/post/a/tell", "wrong");
    assert_int_equal(f->c.status, 200);
    wait_for(f, "/v1/messages", "\"place\":\"dead\",\"method\":\"wrong\",\"sender\":\"post/a\"");
    assert_non_null(strstr(f->c.body, "\"error\":\"invalid\""));
    assert_non_null(strstr(f->c.body, "\"bytes\":8}"));
    path_of_first(f, "post/a", "", show, sizeof(show));
    path_of_first(f, "post/a", "/retry", retry, sizeof(retry));
    path_of_first(f, "post/a", "/drop", drop, sizeof(drop));
    api_says(f, "/v1/messages/post/a", "\"place\":\"dead\"");
    api_says(f, "/v1/messages/post/b", "{\"messages\":[],\"next\":null}");
    api_says(f, show, "\"body\":\"a \\\"body\\\"\"");

    /* It fails again, and is a dead letter again; once mended, it is applied, once. */
    api_ask(f, "POST", retry, "");
    assert_int_equal(f->c.status, 200);
    assert_non_null(strstr(f->c.body, "is sent again"));
    api_refused(f, "POST", retry, KELPIE_E_NOT_FOUND, "the actor has no such message");
    wait_for(f, "/v1/messages", "\"place\":\"dead\"");
    is_mended = true;
    path_of_first(f, "post/a", "/retry", retry, sizeof(retry));
    api_ask(f, "POST", retry, "");
    wait_for(f, "/v1/messages/post/a", "{\"messages\":[],\"next\":null}");
    api_ask(f, "POST", "/v1/actors/post/a/got", "");
    assert_string_equal(f->c.body, "wrong");
    api_refused(f, "POST", drop, KELPIE_E_NOT_FOUND, "the actor has no such message");
}

static void test_dropped(void **state)
{
    struct api_rig *f = *state;
    char path[256];
    api_ask(f, "POST", "/v1/actors/post/a/hour", "");
    api_says(f, "/v1/messages/post/a", "\"place\":\"later\",\"method\":\"fine\"");
    assert_non_null(strstr(f->c.body, "\"name\":\"alarm\""));
    path_of_first(f, "post/a", "", path, sizeof(path));
    api_says(f, path, "\"body_hex\":\"ff01\"");
    api_says(f, "/v1/messages/post/a", "\"place\":\"later\"");
    path_of_first(f, "post/a", "/retry", path, sizeof(path));
    api_refused(f, "POST", path, KELPIE_E_INVALID, "only a dead letter is sent again");
    api_says(f, "/v1/messages/post/a", "\"place\":\"later\"");
    path_of_first(f, "post/a", "/drop", path, sizeof(path));
    api_ask(f, "POST", path, "");
    assert_non_null(strstr(f->c.body, "is dropped"));
    api_says(f, "/v1/messages/post/a", "{\"messages\":[],\"next\":null}");
    /* Its name is free, and the next one of that name is another message. */
    api_ask(f, "POST", "/v1/actors/post/a/hour", "");
    assert_int_equal(f->c.status, 200);
    api_says(f, "/v1/messages/post/a", "\"name\":\"alarm\"");
    api_refused(f, "POST", path, KELPIE_E_NOT_FOUND, "no such message");
}

/* Pages go through all places of an actor, and through all actors' dead letters. */
static void test_pages(void **state)
{
    struct api_rig *f = *state;
    char next[512] = "";
    size_t seen = 0;
    for (char id = 'a'; id < 'd'; id++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/v1/actors/post/%c/tell", id);
        for (int i = 0; i < 2; i++)
            api_ask(f, "POST", path, "wrong");
        (void)snprintf(path, sizeof(path), "/v1/messages/post/%c", id);
        wait_for(f, path, "\"next\":null");
    }
    for (int page = 0; page < 20; page++) {
        const char *at;
        f->c.query_name = "after";
        f->c.query_value = next;
        api_ask(f, "GET", "/v1/messages", "");
        assert_int_equal(f->c.status, 200);
        for (at = f->c.body; (at = strstr(at, "\"place\":")); at++)
            seen++;
        at = strstr(f->c.body, "\"next\":\"");
        if (!at)
            break;
        (void)snprintf(next, sizeof(next), "%.*s", (int)strcspn(at + 8, "\""), at + 8);
    }
    assert_int_equal(seen, 6);
    f->c.query_value = "post/a/waiting.1.0.00000000-0000-0000-0000-000000000001";
    api_refused(f, "GET", "/v1/messages", KELPIE_E_INVALID, "after is 'post/a/waiting");
    f->c.query_value = "dead.1";
    api_refused(f, "GET", "/v1/messages/post/a", KELPIE_E_INVALID, "it must be what 'next' said");
    f->c.query_name = NULL;
    api_refused(f, "GET", "/v1/messages/post/a/dead", KELPIE_E_INVALID, "'dead' is no message");
    api_refused(f, "POST", "/v1/messages/post//dead.1/drop", KELPIE_E_INVALID, "actor id");
}

/* Nobody hosts its receiver: it waits, nothing is tried, and its age is shown. */
static void test_age(void **state)
{
    struct api_rig *f = *state;
    api_ask(f, "POST", "/v1/actors/post/a/away", "");
    assert_int_equal(f->c.status, 200);
    api_says(f, "/v1/messages/nowhere/x", "\"place\":\"waiting\",\"method\":\"knock\"");
    assert_int_equal(atoi(strstr(f->c.body, "\"age_ms\":") + strlen("\"age_ms\":")), 0);
    small_run_ms(f->w, 75000);
    api_says(f, "/v1/messages/nowhere/x", "\"attempts\":0,");
    assert_in_range(atoi(strstr(f->c.body, "\"age_ms\":") + strlen("\"age_ms\":")), 75000, 75500);
    api_says(f, "/v1/messages", "{\"messages\":[],\"next\":null}");
}

int main(void)
{
#define LETTER_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, api_rig_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), LETTER_TEST(test_dead_letters), LETTER_TEST(test_dropped),
        LETTER_TEST(test_pages),      LETTER_TEST(test_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
