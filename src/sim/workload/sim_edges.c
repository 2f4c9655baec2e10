#include "sim/workload/sim_edges.h"

#include <string.h>

#include "base/check.h"
#include "kelpie/error.h"

#define EDGES_IN 8 /* turns of which one tries them */

static bool is_time(const struct kelpie_actor *actor)
{
    CHECK(strlen(kelpie_actor_type(actor)) > 0 && strlen(kelpie_actor_id(actor)) > 0);
    CHECK(!kelpie_class_arg(actor) && kelpie_now_ms(actor) > 0);
    return kelpie_random(actor) % EDGES_IN == 0;
}

static void nothing(struct kelpie_actor *actor, void *arg, int status, const uint8_t *reply,
                    size_t len)
{
    (void)actor, (void)arg, (void)status, (void)reply, (void)len;
    UNREACHABLE("a call that was refused has no answer");
}

static int put(struct kelpie_actor *actor, const char *key)
{
    return kelpie_state_put(actor, key, strlen(key), "", 0);
}

static int send(struct kelpie_actor *actor, const struct kelpie_send_options *o)
{
    return kelpie_send(actor, "visit", "nobody", "add", NULL, 0, o);
}

static int call(struct kelpie_actor *actor, const char *type, const char *method)
{
    return kelpie_call(actor, type, "nobody", method, NULL, 0, 0, nothing, NULL);
}

static void no_turn(struct kelpie_actor *actor)
{
    CHECK(send(actor, NULL) == KELPIE_E_REFUSED && kelpie_unsend(actor, "x") == KELPIE_E_REFUSED);
    CHECK(call(actor, "visit", "add") == KELPIE_E_REFUSED);
    CHECK(kelpie_finish(actor, 0) == KELPIE_E_REFUSED && kelpie_erase(actor) == KELPIE_E_REFUSED);
    CHECK(!kelpie_turn_alloc(actor, 1));
}

void edges_outside(struct kelpie_actor *actor)
{
    if (!is_time(actor))
        return;
    no_turn(actor);
    CHECK(!kelpie_turn_message(actor) && kelpie_reply_text(actor, "to nobody") == 0);
    CHECK(kelpie_fail(actor, "nobody", NULL) == KELPIE_E_HANDLER_FAILED);
}

void edges_in_read(struct kelpie_actor *actor)
{
    if (!is_time(actor))
        return;
    no_turn(actor);
    CHECK(put(actor, "n") == KELPIE_E_REFUSED);
    CHECK(kelpie_state_delete(actor, "n", 1) == KELPIE_E_REFUSED);
}

static void edges_of_state(struct kelpie_actor *actor)
{
    static const char large[KELPIE_STATE_VALUE_MAX + 1];
    const uint8_t *key, *value;
    size_t key_len, value_len;

    CHECK(kelpie_state_put(actor, NULL, 1, "", 0) == KELPIE_E_INVALID);
    CHECK(kelpie_state_put(actor, "k", 1, NULL, 1) == KELPIE_E_INVALID);
    CHECK(put(actor, "") != 0);
    CHECK(kelpie_state_put(actor, large, KELPIE_STATE_KEY_MAX + 1, "", 0) != 0);
    CHECK(kelpie_state_put(actor, "k", 1, large, sizeof large) != 0);
    CHECK(kelpie_state_delete(actor, NULL, 1) == KELPIE_E_INVALID);
    CHECK(kelpie_state_delete(actor, "", 0) != 0);
    CHECK(!kelpie_state_get(actor, NULL, 1, &value, &value_len));
    CHECK(!kelpie_state_get(actor, "k", 1, &value, &value_len));
    CHECK(!kelpie_state_next(actor, NULL, 1, &key, &key_len, &value, &value_len));
}

static void edges_of_sends(struct kelpie_actor *actor)
{
    char long_name[KELPIE_MESSAGE_NAME_MAX + 2];
    static const char body[KELPIE_MESSAGE_BODY_MAX + 1];
    const struct kelpie_send_options late = {.after_ms = KELPIE_SEND_DELAY_MS_MAX + 1},
                                     often = {.every_ms = 1, .name = "x"},
                                     rare = {.every_ms = KELPIE_SEND_DELAY_MS_MAX + 1, .name = "x"},
                                     nameless = {.every_ms = KELPIE_SEND_PERIOD_MS_MIN},
                                     unnamed = {.name = ""}, far = {.name = long_name};

    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    CHECK(send(actor, &late) && send(actor, &often) && send(actor, &rare) &&
          send(actor, &nameless));
    CHECK(send(actor, &unnamed) && send(actor, &far));
    CHECK(kelpie_send(actor, NULL, "x", "add", NULL, 0, NULL));
    CHECK(kelpie_send(actor, "visit", "", "add", NULL, 0, NULL));
    CHECK(kelpie_send(actor, "visit", "x", NULL, NULL, 0, NULL));
    CHECK(kelpie_send(actor, "visit", "x", "add", NULL, 1, NULL));
    CHECK(kelpie_send(actor, "visit", "x", "add", body, sizeof body, NULL));
    CHECK(kelpie_unsend(actor, NULL) && kelpie_unsend(actor, "") &&
          kelpie_unsend(actor, long_name));
}

static void edges_of_replies(struct kelpie_actor *actor)
{
    static const char euro[] = "\xe2\x82\xac";
    char sentence[KELPIE_FAIL_TEXT_MAX + 8], code[KELPIE_FAIL_CODE_MAX + 2];

    /* Its last letter would have to be cut in two. */
    memset(sentence, 'a', sizeof sentence);
    memcpy(sentence + KELPIE_FAIL_TEXT_MAX - 1, euro, sizeof euro);
    memset(code, 'c', sizeof code - 1);
    code[sizeof code - 1] = '\0';
    CHECK(kelpie_reply(actor, NULL, 1) == KELPIE_E_INVALID);
    CHECK(kelpie_reply_text(actor, NULL) == KELPIE_E_INVALID);
    CHECK(kelpie_reply(actor, sentence, KELPIE_REPLY_MAX + 1) == KELPIE_E_TOO_LARGE);
    CHECK(kelpie_fail(actor, NULL, NULL) == KELPIE_E_HANDLER_FAILED);
    CHECK(kelpie_fail(actor, "", NULL) == KELPIE_E_HANDLER_FAILED);
    CHECK(kelpie_fail(actor, code, NULL) == KELPIE_E_HANDLER_FAILED);
    CHECK(kelpie_fail(actor, "No code", NULL) == KELPIE_E_HANDLER_FAILED);
    /* Good ones; the reply that follows takes their place. */
    CHECK(kelpie_fail(actor, "a-code_9", NULL) == KELPIE_E_DOMAIN);
    CHECK(kelpie_fail(actor, "cut-short", sentence) == KELPIE_E_DOMAIN);
}

void edges_in_turn(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    if (!is_time(actor))
        return;
    CHECK(kelpie_turn_message(actor) == m);
    edges_of_state(actor);
    edges_of_sends(actor);
    edges_of_replies(actor);
    CHECK(call(actor, NULL, "add") && call(actor, "visit", NULL) && call(actor, "", "add"));
    CHECK(kelpie_finish(actor, 0) == KELPIE_E_REFUSED);
    kelpie_log(actor, NULL);
}
