/* To a worker: turns, and the answers that its calls were given. */
#include "http/worker_json.h"

#include <string.h>

#include "base/utf8.h"
#include "http/api_internal.h"
#include "http/base64.h"
#include "http/worker_text.h"
#include "kelpie/error.h"
#include "record/keys.h"

bool worker_is_text(struct bytes b)
{
    return utf8_valid(b);
}

json_t *worker_text_json(struct bytes b)
{
    json_t *s = json_stringn(b.len ? (const char *)b.data : "", b.len);

    CHECK(s);
    return s;
}

json_t *worker_base64_json(struct bytes b, struct mem mem)
{
    struct buf text;
    json_t *s;

    buf_init(&text, mem);
    base64_append(&text, b);
    s = worker_text_json(buf_bytes(&text));
    buf_deinit(&text);
    return s;
}

void worker_set_bytes(json_t *o, const char *name, const char *name64, struct bytes b,
                      struct mem mem)
{
    if (worker_is_text(b))
        api_set(o, name, worker_text_json(b));
    else
        api_set(o, name64, worker_base64_json(b, mem));
}

const char *worker_placement_name(enum kelpie_placement p)
{
    static const char *const names[] = {
        [KELPIE_PLACE_LEAST_LOADED] = "least_loaded",
        [KELPIE_PLACE_LOCAL] = "local",
        [KELPIE_PLACE_ROUND_ROBIN] = "round_robin",
    };

    return names[p];
}

static void set_state(json_t *o, const struct worker_turn *t, struct mem mem)
{
    json_t *state = json_object(), *state64 = json_object();

    for (size_t i = 0; i < t->state_count; i++) {
        const struct worker_entry *e = &t->state[i];
        bool text = worker_is_text(e->key) && worker_is_text(e->value);
        json_t *key = text ? worker_text_json(e->key) : worker_base64_json(e->key, mem);
        api_set(text ? state : state64, json_string_value(key),
                text ? worker_text_json(e->value) : worker_base64_json(e->value, mem));
        json_decref(key);
    }
    api_set(o, "state", state);
    if (json_object_size(state64) > 0)
        api_set(o, "state64", state64);
    else
        json_decref(state64);
}

/* "type/id" of each actor that waits for it. */
static json_t *chain_json(struct bytes chain, struct mem mem)
{
    json_t *list = json_array();
    const char *at = (const char *)chain.data, *end = at + chain.len;
    struct buf name;

    buf_init(&name, mem);
    while (chain.len && at < end) {
        const char *id = at + strlen(at) + 1;
        buf_clear(&name);
        buf_appendf(&name, "%s/%s", at, id);
        CHECK(json_array_append_new(list, worker_text_json(buf_bytes(&name))) == 0);
        at = id + strlen(id) + 1;
    }
    buf_deinit(&name);
    return list;
}

static void set_caller(json_t *o, const struct worker_turn *t, struct mem mem)
{
    if (t->sender_type) {
        json_t *sender = json_object();
        api_set_text(sender, "type", t->sender_type);
        api_set_text(sender, "id", t->sender_id);
        api_set(o, "sender", sender);
        if (t->due_ms)
            api_set_int(o, "due_ms", t->due_ms);
        if (t->missed)
            api_set_int(o, "missed", t->missed);
    }
    if (t->chain.len)
        api_set(o, "chain", chain_json(t->chain, mem));
}

void worker_write_json(json_t *o, struct buf *out)
{
    CHECK(json_dump_callback(o, api_append_json, out, JSON_COMPACT) == 0);
    json_decref(o);
}

void worker_turn_encode(const struct worker_turn *t, struct buf *out)
{
    json_t *o = json_object();

    CHECK(o);
    api_set_int(o, "ticket", t->ticket);
    api_set_int(o, "run", t->run);
    api_set_text(o, "type", t->type);
    api_set_text(o, "id", t->id);
    api_set_text(o, "method", t->method);
    api_set_text(o, "request_id", t->request_id);
    api_set_int(o, "attempt", t->attempt);
    api_set_int(o, "deadline_ms", t->deadline_ms);
    if (t->read)
        api_set_bool(o, "read", true);
    set_caller(o, t, out->mem);
    worker_set_bytes(o, "body", "body64", t->body, out->mem);
    set_state(o, t, out->mem);
    api_set_int(o, "now_ms", t->now_ms);
    api_set_int(o, "random", t->random);
    worker_write_json(o, out);
}

static json_t *answer_json(const struct worker_answer *a, struct mem mem)
{
    json_t *o = json_object();
    struct bytes said = a->reply;
    const uint8_t *nul = said.len ? memchr(said.data, '\0', said.len) : NULL;

    CHECK(o);
    if (a->status == 0) {
        worker_set_bytes(o, "reply", "reply64", said, mem);
        return o;
    }
    api_set_text(o, "error", kelpie_error_name(a->status));
    api_set_text(o, "applied", kelpie_applied_name(kelpie_error_applied(a->status)));
    /* Of a domain error the code, NUL and the sentence. */
    if (a->status == KELPIE_E_DOMAIN) {
        size_t code = nul ? (size_t)(nul - said.data) : said.len;
        worker_set_bytes(o, "code", "code64", bytes_of(said.data, code), mem);
        said = nul ? bytes_of(nul + 1, said.len - code - 1) : bytes_of(NULL, 0);
    }
    worker_set_bytes(o, "sentence", "sentence64", said, mem);
    return o;
}

void worker_answers_encode(uint64_t ticket, const struct worker_answer *a, size_t count,
                           struct buf *out)
{
    json_t *o = json_object(), *list = json_array();

    CHECK(o && list);
    api_set_int(o, "ticket", ticket);
    for (size_t i = 0; i < count; i++)
        CHECK(json_array_append_new(list, answer_json(&a[i], out->mem)) == 0);
    api_set(o, "answers", list);
    worker_write_json(o, out);
}
