/* What a class may do wrong: it is told so, or the process ends, and the caller learns which bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/small_world.h"
#include "support/test_dies.h"

static unsigned activations;
static bool activate_fails;

static int activate(struct kelpie_actor *actor)
{
    (void)kelpie_actor_alloc(actor, 0);
    activations++;
    return activate_fails ? KELPIE_E_HANDLER_FAILED : 0;
}

static int put_until_full(struct kelpie_actor *actor, size_t value_len)
{
    static const char value[KELPIE_STATE_VALUE_MAX];
    int error = 0;

    for (unsigned i = 0; !error; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        error = kelpie_state_put(actor, key, strlen(key), value, value_len);
    }
    return error;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    static const char bytes[KELPIE_STATE_VALUE_MAX + 1];
    const uint8_t *key, *value;
    size_t key_len, value_len;

    if (strcmp(m->method, "alloc") == 0)
        (void)kelpie_actor_alloc(actor, (size_t)-8);
    if (strcmp(m->method, "long_key") == 0)
        return kelpie_state_put(actor, bytes, KELPIE_STATE_KEY_MAX + 1, "", 0);
    if (strcmp(m->method, "empty_key") == 0)
        return kelpie_state_delete(actor, NULL, 0);
    if (strcmp(m->method, "long_value") == 0)
        return kelpie_state_put(actor, "k", 1, bytes, sizeof bytes);
    if (strcmp(m->method, "many_keys") == 0)
        return put_until_full(actor, 0);
    if (strcmp(m->method, "many_bytes") == 0)
        return put_until_full(actor, KELPIE_STATE_VALUE_MAX);
    if (strcmp(m->method, "another_error") == 0)
        return kelpie_state_put(actor, "", 0, "", 0) ? KELPIE_E_STATE_FULL : 0;
    if (strcmp(m->method, "null") == 0) {
        assert_int_equal(kelpie_reply(actor, NULL, 5), KELPIE_E_INVALID);
        assert_int_equal(kelpie_reply(actor, NULL, 0), 0);
        assert_int_equal(kelpie_reply_text(actor, NULL), KELPIE_E_INVALID);
        assert_int_equal(kelpie_state_put(actor, NULL, 5, "", 0), KELPIE_E_INVALID);
        assert_int_equal(kelpie_state_put(actor, "k", 1, NULL, 5), KELPIE_E_INVALID);
        assert_int_equal(kelpie_state_put(actor, "k", 1, NULL, 0), 0);
        assert_int_equal(kelpie_state_delete(actor, NULL, 5), KELPIE_E_INVALID);
        assert_false(kelpie_state_get(actor, NULL, 5, &value, &value_len));
        assert_false(kelpie_state_next(actor, NULL, 5, &key, &key_len, &value, &value_len));
        assert_true(kelpie_state_next(actor, NULL, 0, &key, &key_len, &value, &value_len));
        kelpie_log(actor, NULL);
    }
    return 0;
}

static const struct kelpie_class clumsy = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "clumsy",
    .placement = KELPIE_PLACE_LOCAL,
    .activate = activate,
    .receive = receive,
};
static const struct kelpie_class *const classes[] = {&clumsy, NULL};

static struct small_answer call(struct small_world *w, size_t node, const char *method)
{
    struct small_answer r = {.done = false};

    actors_call(node_actors(w->nodes[node].node), "clumsy", "a", method, "", 0, bytes_of_str(""), 0,
                small_on_answer, &r);
    assert_true(small_run_until(w, &r.done, 10000));
    return r;
}

static struct small_world *world_of(size_t nodes)
{
    struct small_world *w = small_world_of(nodes, classes);

    activate_fails = false;
    return w;
}

static void test_errors_name_the_bound(void **state)
{
    static const struct {
        const char *method;
        int status;
        const char *text;
    } rows[] = {
        {"long_key", KELPIE_E_INVALID, "a state key has 97 bytes; at most 96 are allowed"},
        {"empty_key", KELPIE_E_INVALID, "a state key is empty"},
        {"long_value", KELPIE_E_STATE_FULL,
         "a state value has 32769 bytes; at most 32768 are allowed"},
        {"many_keys", KELPIE_E_STATE_FULL, "the state would have more than 512 keys"},
        {"many_bytes", KELPIE_E_STATE_FULL, "the state would have more than 262144 bytes"},
        {"another_error", KELPIE_E_STATE_FULL, "the actor's state would exceed its bound"},
        {"null", 0, ""},
    };
    struct small_world *w = world_of(1);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct small_answer r = call(w, 0, rows[i].method);
        assert_int_equal(r.status, rows[i].status);
        assert_string_equal(r.text, rows[i].text);
    }
    small_world_free(w);
}

static void allocate_too_much(void *arg)
{
    (void)call(arg, 0, "alloc");
}

static void test_too_much_memory_ends_the_process(void **state)
{
    struct small_world *w = world_of(1);

    (void)state;
    assert_true(test_dies(allocate_too_much, w));
    small_world_free(w);
}

/* An actor that did not come to life here may be what ends whoever activates it. A node that leaves
 * hands it over, and the heir leaves it alone until somebody calls it. */
static void test_a_hand_over_activates_what_has_run(void **state)
{
    char why[256] = "";

    (void)state;
    for (int has_run = 0; has_run <= 1; has_run++) {
        struct small_world *w = world_of(2);
        activate_fails = !has_run;
        assert_int_equal(call(w, 1, "get").status, has_run ? 0 : KELPIE_E_HANDLER_FAILED);
        activations = 0;
        assert_int_equal(node_leave(w->nodes[1].node, false, why, sizeof why), 0);
        assert_true(small_run_until(w, &w->nodes[1].left, 20000));
        small_run_ms(w, 1000);
        assert_int_equal(activations, has_run);
        activate_fails = false;
        assert_int_equal(call(w, 0, "get").status, 0);
        assert_int_equal(activations, 1);
        small_world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_name_the_bound),
        cmocka_unit_test(test_too_much_memory_ends_the_process),
        cmocka_unit_test(test_a_hand_over_activates_what_has_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
