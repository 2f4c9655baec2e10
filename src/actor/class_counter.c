/*
 * The built-in class "counter": a number that survives its node. `add` takes a decimal integer
 * (empty: 1) and returns the new value, `get` returns the value.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actor/actor.h"

#define VALUE_KEY "value"
#define DIGITS_MAX 20 /* of an int64_t, with its sign */

/* Reads a whole decimal integer; false for anything else, or one that does not fit. */
static bool parse(const uint8_t *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t v = 0;

    if (i == len || len > DIGITS_MAX)
        return false;
    for (; i < len; i++) {
        int digit = text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
            (negative ? __builtin_sub_overflow(v, digit, &v)
                      : __builtin_add_overflow(v, digit, &v)))
            return false;
    }
    *out = v;
    return true;
}

static int reply_value(struct kelpie_actor *actor, int64_t v)
{
    char text[DIGITS_MAX + 1];

    (void)snprintf(text, sizeof text, "%" PRId64, v);
    return kelpie_reply_text(actor, text);
}

static int fail(struct kelpie_actor *actor, int status, const char *sentence)
{
    int error = kelpie_reply_text(actor, sentence);

    return error ? error : status;
}

static bool load(struct kelpie_actor *actor, int64_t *v)
{
    const uint8_t *text;
    size_t len;

    *v = 0;
    return !kelpie_state_get(actor, VALUE_KEY, strlen(VALUE_KEY), &text, &len) ||
           parse(text, len, v);
}

static int add(struct kelpie_actor *actor, const struct kelpie_message *m, int64_t v)
{
    char text[DIGITS_MAX + 1];
    int64_t by = 1;
    int error;

    if (m->body_len > 0 && !parse(m->body, m->body_len, &by))
        return fail(
            actor, KELPIE_E_INVALID,
            "the body of add is a decimal integer between -2^63 and 2^63-1, or empty for 1");
    if (__builtin_add_overflow(v, by, &v))
        return fail(actor, KELPIE_E_INVALID, "the sum does not fit 64 bits; nothing was added");
    (void)snprintf(text, sizeof text, "%" PRId64, v);
    error = kelpie_state_put(actor, VALUE_KEY, strlen(VALUE_KEY), text, strlen(text));
    return error ? error : reply_value(actor, v);
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    int64_t v;

    if (!load(actor, &v))
        return fail(actor, KELPIE_E_HANDLER_FAILED, "the stored value is not a number");
    if (strcmp(m->method, "add") == 0)
        return add(actor, m, v);
    if (strcmp(m->method, "get") == 0)
        return reply_value(actor, v);
    return fail(actor, KELPIE_E_UNKNOWN_METHOD, "a counter has the methods add and get");
}

static const struct kelpie_method methods[] = {{.name = "get", .flags = KELPIE_METHOD_READ},
                                               {.name = NULL}};

const struct kelpie_class kelpie_class_counter = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = "counter",
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .receive = receive,
    .methods = methods,
};
