/* From a worker: what it is, and what a turn has come to. */
#include "http/worker_json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/base64.h"
#include "kelpie/error.h"
#include "record/keys.h"
#include "record/records.h"

struct look {
    struct worker_result *out; /* NULL: of a hello */
    char *why;
    size_t why_size;
    bool failed; /* `why` says how */
};

static void fail(struct look *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fail(struct look *r, const char *fmt, ...)
{
    va_list args;

    if (r->failed)
        return;
    r->failed = true;
    va_start(args, fmt);
    (void)vsnprintf(r->why, r->why_size, fmt, args);
    va_end(args);
}

/* ---- members of an object */

static bool check_members(struct look *r, const char *what, json_t *o, const char *const *known)
{
    const char *name;
    json_t *value;

    if (!json_is_object(o)) {
        fail(r, "says %s that is no object", what);
        return false;
    }
    json_object_foreach(o, name, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            fail(r, "says %s with the member '%.60s', which is not known", what, name);
    }
    return !r->failed;
}

static const char *take_name(struct look *r, json_t *o, const char *name, size_t max)
{
    json_t *value = json_object_get(o, name);
    char fault[256];

    if (!json_is_string(value)) {
        fail(r, "says no '%s'", name);
        return "";
    }
    struct bytes text =
        bytes_of((const uint8_t *)json_string_value(value), json_string_length(value));
    if (id_check(name, text, max, fault, sizeof fault))
        fail(r, "says what is no name: %s", fault);
    return json_string_value(value);
}

static uint64_t take_number(struct look *r, json_t *o, const char *name, uint64_t max)
{
    json_t *value = json_object_get(o, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max) {
        fail(r, "says a '%s' that is not 0 to %llu", name, (unsigned long long)max);
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

static struct bytes take_base64(struct look *r, const char *text, size_t len)
{
    struct worker_result *out = r->out;
    uint8_t *at = out->decoded + out->decoded_len;
    long n = base64_decode(text, len, at);

    if (n < 0) {
        fail(r, "says base64 that is none");
        return bytes_of(NULL, 0);
    }
    out->decoded_len += (size_t)n;
    return bytes_of(at, (size_t)n);
}

static struct bytes bytes_value(struct look *r, const char *what, json_t *value, bool base64,
                                size_t max)
{
    struct bytes b = bytes_of(NULL, 0);

    if (!json_is_string(value)) {
        fail(r, "says %s that is no text", what);
        return b;
    }
    b = base64 ? take_base64(r, json_string_value(value), json_string_length(value))
               : bytes_of((const uint8_t *)json_string_value(value), json_string_length(value));
    if (b.len > max)
        fail(r, "says %s of %zu bytes; at most %zu are allowed", what, b.len, max);
    return b;
}

static struct bytes take_bytes(struct look *r, json_t *o, const char *name, const char *name64,
                               size_t max, bool *there)
{
    json_t *text = json_object_get(o, name), *coded = json_object_get(o, name64);

    if (text && coded)
        fail(r, "says both '%s' and '%s'", name, name64);
    *there = text || coded;
    if (!*there || r->failed)
        return bytes_of(NULL, 0);
    return bytes_value(r, name, text ? text : coded, !text, max);
}

/* ---- the parts of a result */

static void take_puts(struct look *r, json_t *o, bool base64)
{
    struct worker_result *out = r->out;
    const char *key;
    json_t *value;

    if (o && !json_is_object(o))
        fail(r, "says 'puts' that is no object");
    json_object_foreach(o, key, value)
    {
        if (out->put_count == KELPIE_STATE_CHANGES_MAX) {
            fail(r, "puts more than %d keys", KELPIE_STATE_CHANGES_MAX);
            return;
        }
        struct worker_entry *e = &out->puts[out->put_count++];
        e->key = base64 ? take_base64(r, key, strlen(key)) : bytes_of_str(key);
        if (e->key.len == 0 || e->key.len > KELPIE_STATE_KEY_MAX)
            fail(r, "puts a key of %zu bytes; 1 to %d are allowed", e->key.len,
                 KELPIE_STATE_KEY_MAX);
        e->value = bytes_value(r, "a value", value, base64, KELPIE_STATE_VALUE_MAX);
        if (r->failed)
            return;
    }
}

static void take_deletes(struct look *r, json_t *list, bool base64)
{
    struct worker_result *out = r->out;
    size_t i;
    json_t *value;

    if (list && !json_is_array(list))
        fail(r, "says 'deletes' that is no list");
    json_array_foreach(list, i, value)
    {
        if (out->delete_count == KELPIE_STATE_CHANGES_MAX) {
            fail(r, "deletes more than %d keys", KELPIE_STATE_CHANGES_MAX);
            return;
        }
        out->deletes[out->delete_count++] =
            bytes_value(r, "a key", value, base64, KELPIE_STATE_KEY_MAX);
        if (r->failed)
            return;
    }
}

static void take_send(struct look *r, json_t *o)
{
    static const char *const known[] = {"type", "id",       "method",   "body", "body64",
                                        "name", "after_ms", "every_ms", NULL};
    struct worker_send *s = &r->out->sends[r->out->send_count++];
    bool there;

    if (!check_members(r, "a send", o, known))
        return;
    s->type = take_name(r, o, "type", ACTOR_TYPE_MAX);
    s->id = take_name(r, o, "id", ACTOR_ID_MAX);
    s->method = take_name(r, o, "method", KELPIE_METHOD_MAX);
    s->name = json_object_get(o, "name") ? take_name(r, o, "name", KELPIE_MESSAGE_NAME_MAX) : NULL;
    s->body = take_bytes(r, o, "body", "body64", KELPIE_MESSAGE_BODY_MAX, &there);
    s->after_ms = take_number(r, o, "after_ms", KELPIE_SEND_DELAY_MS_MAX);
    s->every_ms = take_number(r, o, "every_ms", KELPIE_SEND_DELAY_MS_MAX);
}

static void take_call(struct look *r, json_t *o)
{
    static const char *const known[] = {"type",   "id",          "method", "body",
                                        "body64", "deadline_ms", NULL};
    struct worker_call *c = &r->out->calls[r->out->call_count++];
    bool there;

    if (!check_members(r, "a call", o, known))
        return;
    c->type = take_name(r, o, "type", ACTOR_TYPE_MAX);
    c->id = take_name(r, o, "id", ACTOR_ID_MAX);
    c->method = take_name(r, o, "method", KELPIE_METHOD_MAX);
    c->body = take_bytes(r, o, "body", "body64", KELPIE_BODY_MAX, &there);
    c->deadline_ms = (uint32_t)take_number(r, o, "deadline_ms", UINT32_MAX);
}

static void take_unsend(struct look *r, json_t *value)
{
    struct bytes name = bytes_value(r, "an unsend", value, false, KELPIE_MESSAGE_NAME_MAX);
    char fault[256];

    if (!r->failed && id_check("an unsend", name, KELPIE_MESSAGE_NAME_MAX, fault, sizeof fault))
        fail(r, "says what is no name: %s", fault);
    r->out->unsends[r->out->unsend_count++] = json_string_value(value);
}

static void take_each(struct look *r, json_t *o, const char *name, size_t max,
                      void (*take)(struct look *r, json_t *value))
{
    json_t *list = json_object_get(o, name), *value;
    size_t i;

    if (list && !json_is_array(list)) {
        fail(r, "says '%s' that is no list", name);
        return;
    }
    if (json_array_size(list) > max) {
        fail(r, "has %zu %s in one turn; at most %zu are allowed", json_array_size(list), name,
             max);
        return;
    }
    json_array_foreach(list, i, value)
    {
        if (!r->failed)
            take(r, value);
    }
}

static const char *take_sentence(struct look *r, json_t *o)
{
    json_t *value = json_object_get(o, "sentence");

    if (value)
        (void)bytes_value(r, "a sentence", value, false, KELPIE_FAIL_TEXT_MAX);
    return value ? json_string_value(value) : NULL;
}

/* A domain error, or another that a handler may give. */
static void take_failure(struct look *r, json_t *o)
{
    static const char *const known[] = {"code", "sentence", NULL};
    struct worker_result *out = r->out;
    json_t *f = json_object_get(o, "fail"), *error = json_object_get(o, "error");

    if (f && error)
        fail(r, "says both 'fail' and 'error'");
    if (f && check_members(r, "a 'fail'", f, known)) {
        out->status = KELPIE_E_DOMAIN;
        out->code = take_name(r, f, "code", KELPIE_FAIL_CODE_MAX);
        out->sentence = take_sentence(r, f);
    }
    if (!error)
        return;
    out->status = json_is_string(error) ? kelpie_error_from_name(json_string_value(error)) : 0;
    out->sentence = take_sentence(r, o);
    if (out->status == 0 || out->status == KELPIE_E_DOMAIN)
        fail(
            r,
            "says an 'error' that is none of docs/http-api.md, or is 'domain_error' ('fail' says that)");
}

static void take_result(struct look *r, json_t *o)
{
    static const char *const known[] = {
        "ticket",  "reply", "reply64", "puts", "puts64", "sends",    "deletes", "deletes64",
        "unsends", "calls", "erase",   "fail", "error",  "sentence", "last",    NULL};
    struct worker_result *out = r->out;
    json_t *erase = json_object_get(o, "erase"), *last = json_object_get(o, "last");

    if (!check_members(r, "an answer", o, known))
        return;
    if (!json_object_get(o, "ticket"))
        fail(r, "says no 'ticket'");
    out->ticket = take_number(r, o, "ticket", INT64_MAX);
    out->reply = take_bytes(r, o, "reply", "reply64", KELPIE_REPLY_MAX, &out->has_reply);
    take_puts(r, json_object_get(o, "puts"), false);
    take_puts(r, json_object_get(o, "puts64"), true);
    take_deletes(r, json_object_get(o, "deletes"), false);
    take_deletes(r, json_object_get(o, "deletes64"), true);
    take_each(r, o, "sends", KELPIE_SENDS_MAX, take_send);
    take_each(r, o, "unsends", KELPIE_SENDS_MAX, take_unsend);
    take_each(r, o, "calls", KELPIE_CALLS_OPEN_MAX, take_call);
    if (erase && !json_is_boolean(erase))
        fail(r, "says 'erase' that is not true or false");
    out->erase = json_is_true(erase);
    if (last && !json_is_boolean(last))
        fail(r, "says 'last' that is not true or false");
    out->last = json_is_true(last);
    take_failure(r, o);
    if (out->call_count > 0 && (out->has_reply || out->status))
        fail(r, "says calls and how the turn ends at once");
}

static json_t *load(struct look *r, struct bytes text)
{
    json_error_t error;
    json_t *root;

    if (text.len > WORKER_TEXT_MAX) {
        fail(r, "says more than %u bytes at once", WORKER_TEXT_MAX);
        return NULL;
    }
    root = json_loadb(text.len ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES,
                      &error);
    if (!root)
        fail(r, "says no JSON: %.120s", error.text);
    return root;
}

int worker_result_decode(struct bytes text, struct mem mem, struct worker_result *out, char *why,
                         size_t why_size)
{
    struct look r = {.out = out, .why = why, .why_size = why_size};

    memset(out, 0, sizeof *out);
    out->root = load(&r, text);
    if (out->root) {
        out->decoded = mem_alloc(mem, BASE64_DECODED_MAX(text.len) + 1);
        take_result(&r, out->root);
    }
    return r.failed ? KELPIE_E_INVALID : 0;
}

void worker_result_free(struct worker_result *r, struct mem mem)
{
    json_decref(r->root);
    mem_free(mem, r->decoded);
    r->root = NULL;
    r->decoded = NULL;
}

/* ---- hello */

static void take_placement(struct look *r, struct worker_type *t, json_t *value)
{
    const char *text = json_string_value(value);

    for (int i = KELPIE_PLACE_LEAST_LOADED; text && i <= KELPIE_PLACE_ROUND_ROBIN; i++) {
        if (strcmp(worker_placement_name((enum kelpie_placement)i), text) == 0) {
            t->placement = (enum kelpie_placement)i;
            return;
        }
    }
    if (value)
        fail(r, "says a 'placement' that is not least_loaded, local or round_robin");
}

static void take_type(struct look *r, struct worker_type *t, json_t *o)
{
    static const char *const known[] = {"type",    "version",   "idle_ms",         "remember_ms",
                                        "turn_ms", "placement", "expire_after_ms", "reads",
                                        NULL};
    json_t *reads = json_object_get(o, "reads"), *value;
    char fault[256];
    size_t i;

    if (!check_members(r, "a type", o, known))
        return;
    t->type = take_name(r, o, "type", ACTOR_TYPE_MAX);
    t->version = (uint32_t)take_number(r, o, "version", INT32_MAX);
    t->idle_ms = (uint32_t)take_number(r, o, "idle_ms", INT32_MAX);
    t->remember_ms = (uint32_t)take_number(r, o, "remember_ms", 24u * 3600 * 1000);
    t->turn_ms = (uint32_t)take_number(r, o, "turn_ms", WORKER_TURN_MS_MAX);
    t->expire_after_ms = take_number(r, o, "expire_after_ms", WORKER_EXPIRE_MS_MAX);
    take_placement(r, t, json_object_get(o, "placement"));
    if ((reads && !json_is_array(reads)) || json_array_size(reads) > WORKER_READS_MAX) {
        fail(r, "says 'reads' that is no list of at most %d methods", WORKER_READS_MAX);
        return;
    }
    json_array_foreach(reads, i, value)
    {
        struct bytes name = bytes_value(r, "a method", value, false, KELPIE_METHOD_MAX);
        if (!r->failed && id_check("a method", name, KELPIE_METHOD_MAX, fault, sizeof fault))
            fail(r, "says what is no name: %s", fault);
        t->reads[t->read_count++] = json_string_value(value);
    }
}

int worker_hello_decode(struct bytes text, struct worker_hello *out, char *why, size_t why_size)
{
    static const char *const known[] = {"worker", "types", NULL};
    struct look r = {.why = why, .why_size = why_size};
    json_t *types, *value;
    size_t i;

    memset(out, 0, sizeof *out);
    out->root = load(&r, text);
    if (!out->root || !check_members(&r, "at first", out->root, known))
        return KELPIE_E_INVALID;
    if (take_number(&r, out->root, "worker", INT32_MAX) != WORKER_PROTOCOL)
        fail(&r, "does not say \"worker\":%d, the version of the protocol", WORKER_PROTOCOL);
    types = json_object_get(out->root, "types");
    if (!json_is_array(types) || json_array_size(types) == 0 ||
        json_array_size(types) > WORKER_TYPES_MAX)
        fail(&r, "says no list of 1 to %d 'types'", WORKER_TYPES_MAX);
    json_array_foreach(types, i, value)
    {
        if (r.failed)
            break;
        take_type(&r, &out->types[out->type_count++], value);
        for (size_t k = 0; !r.failed && k < i; k++)
            if (strcmp(out->types[k].type, out->types[i].type) == 0)
                fail(&r, "says the type '%s' twice", out->types[i].type);
    }
    return r.failed ? KELPIE_E_INVALID : 0;
}

void worker_hello_free(struct worker_hello *h)
{
    json_decref(h->root);
    h->root = NULL;
}
