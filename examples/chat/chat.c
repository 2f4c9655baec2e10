/*
 * A worked example of an actor class: a chat room.
 *
 *   join     body: a name            -> "welcome, NAME; N here"
 *   say      body: "NAME: text"      -> the number of the line
 *   history  body: empty             -> the last lines, oldest first, one "NUMBER NAME: text" each
 *
 * Every room is an actor of type "chat"; its id is the room's name. Kelpie runs each room on one
 * node at a time and gives it one message at a time, so nothing here needs a lock. What a handler
 * changes in the room's state is committed together with its reply: when a caller has the number of
 * its line, the line is there, whatever happens to the node.
 *
 * See README.md in this folder for how to build and try it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kelpie/kelpie.h>

#define LINES_KEPT 50     /* a room forgets older ones */
#define LINE_LEN_MAX 1000 /* name, text and what is between */
#define NAME_LEN_MAX 40
#define MEMBERS_MAX 100

/*
 * The state is a small ordered map of keys and values, of the room's own. Here it holds
 *
 *   next             how many lines were ever said
 *   line/00000042    a line, as said; the digits keep them in order
 *   who/NAME         a member (the value is empty)
 */
#define KEY_NEXT "next"
#define KEY_LINE "line/"
#define KEY_WHO "who/"
#define KEY_SIZE 64

/* Sets the sentence that the caller gets with an error, and returns the error. */
static int refuse(struct kelpie_actor *actor, int error, const char *sentence)
{
    int too_large = kelpie_reply_text(actor, sentence);

    return too_large ? too_large : error;
}

/* A line's key: as many digits as any 64-bit number may need, so that they sort as numbers do. */
static void line_key(char key[KEY_SIZE], uint64_t number)
{
    (void)snprintf(key, KEY_SIZE, KEY_LINE "%020" PRIu64, number);
}

static uint64_t lines_said(struct kelpie_actor *actor)
{
    const uint8_t *value;
    size_t len;
    char text[24] = "";

    /* Values are bytes and end where their length says, not with a NUL. */
    if (kelpie_state_get(actor, KEY_NEXT, strlen(KEY_NEXT), &value, &len) && len < sizeof text)
        memcpy(text, value, len);
    return strtoull(text, NULL, 10);
}

/* Counts the keys that begin with `prefix`: walks them in order, from the first one after it. */
static unsigned count_keys(struct kelpie_actor *actor, const char *prefix)
{
    const uint8_t *key = (const uint8_t *)prefix, *value;
    size_t key_len = strlen(prefix), value_len;
    unsigned count = 0;

    while (kelpie_state_next(actor, key, key_len, &key, &key_len, &value, &value_len) &&
           key_len > strlen(prefix) && memcmp(key, prefix, strlen(prefix)) == 0)
        count++;
    return count;
}

static int join(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char key[KEY_SIZE], reply[128];
    const uint8_t *value;
    size_t len;
    unsigned here = count_keys(actor, KEY_WHO);
    int error;

    if (m->body_len == 0 || m->body_len > NAME_LEN_MAX || memchr(m->body, ':', m->body_len) ||
        memchr(m->body, '\n', m->body_len))
        return refuse(actor, KELPIE_E_INVALID,
                      "join takes a name of 1 to 40 bytes without colon and newline");
    (void)snprintf(key, sizeof key, KEY_WHO "%.*s", (int)m->body_len, (const char *)m->body);
    /* Who is here already changes nothing: a message that writes nothing commits nothing. */
    if (!kelpie_state_get(actor, key, strlen(key), &value, &len)) {
        if (here >= MEMBERS_MAX)
            return refuse(actor, KELPIE_E_REFUSED, "the room is full: it has 100 members");
        error = kelpie_state_put(actor, key, strlen(key), "", 0);
        if (error)
            return error;
        here++;
    }
    (void)snprintf(reply, sizeof reply, "welcome, %.*s; %u here", (int)m->body_len,
                   (const char *)m->body, here);
    return kelpie_reply_text(actor, reply);
}

/* The name in front of the first colon is a member's. */
static int is_member(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    const uint8_t *colon = memchr(m->body, ':', m->body_len), *value;
    size_t name_len = colon ? (size_t)(colon - m->body) : 0, len;
    char key[KEY_SIZE];

    if (name_len == 0 || name_len > NAME_LEN_MAX)
        return 0;
    (void)snprintf(key, sizeof key, KEY_WHO "%.*s", (int)name_len, (const char *)m->body);
    return kelpie_state_get(actor, key, strlen(key), &value, &len);
}

static int say(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    char key[KEY_SIZE], number[24];
    uint64_t said = lines_said(actor);
    int error;

    if (m->body_len > LINE_LEN_MAX || memchr(m->body, '\n', m->body_len))
        return refuse(actor, KELPIE_E_INVALID, "say takes one line of at most 1000 bytes");
    if (!is_member(actor, m))
        return refuse(actor, KELPIE_E_REFUSED,
                      "say takes \"NAME: text\" of a name that has joined");
    said++;
    line_key(key, said);
    error = kelpie_state_put(actor, key, strlen(key), m->body, m->body_len);
    if (error)
        return error;
    if (said > LINES_KEPT) {
        line_key(key, said - LINES_KEPT);
        error = kelpie_state_delete(actor, key, strlen(key));
        if (error)
            return error;
    }
    (void)snprintf(number, sizeof number, "%" PRIu64, said);
    error = kelpie_state_put(actor, KEY_NEXT, strlen(KEY_NEXT), number, strlen(number));
    /* Should anything have failed on the way, all that this message wrote is taken back. */
    return error ? error : kelpie_reply_text(actor, number);
}

static int history(struct kelpie_actor *actor)
{
    static const size_t digits_at = sizeof KEY_LINE - 1;
    const uint8_t *key = (const uint8_t *)KEY_LINE, *value;
    size_t key_len = digits_at, value_len, len = 0;
    /* Memory of the activation: it ends with it, however that ends. Taken once, in activate. */
    char *text = kelpie_actor_data(actor);

    while (kelpie_state_next(actor, key, key_len, &key, &key_len, &value, &value_len) &&
           key_len > digits_at && memcmp(key, KEY_LINE, digits_at) == 0) {
        char number[24] = "";
        if (key_len - digits_at >= sizeof number || value_len > LINE_LEN_MAX)
            return refuse(actor, KELPIE_E_HANDLER_FAILED, "a stored line is not one");
        memcpy(number, key + digits_at, key_len - digits_at);
        len += (size_t)snprintf(text + len, LINE_LEN_MAX + 32, "%llu %.*s\n",
                                strtoull(number, NULL, 10), (int)value_len, (const char *)value);
    }
    return kelpie_reply(actor, text, len);
}

/* Runs when a node begins to run the room, with its state loaded: at the first message, after it
 * was idle for long, on another node after the first one died. */
static int activate(struct kelpie_actor *actor)
{
    kelpie_actor_set_data(actor, kelpie_actor_alloc(actor, LINES_KEPT * (LINE_LEN_MAX + 32) + 1));
    return 0;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *message)
{
    if (strcmp(message->method, "join") == 0)
        return join(actor, message);
    if (strcmp(message->method, "say") == 0)
        return say(actor, message);
    if (strcmp(message->method, "history") == 0)
        return history(actor);
    return refuse(actor, KELPIE_E_UNKNOWN_METHOD, "a room has the methods join, say and history");
}

static const struct kelpie_class chat = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "chat",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .idle_ms = 60 * 1000,
    .activate = activate,
    .receive = receive,
};

/* What `kelpied --actors` looks for. */
const struct kelpie_class *const kelpie_classes[] = {&chat, NULL};
