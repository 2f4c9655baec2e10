#include "http/worker_peer.h"

#include <string.h>

#include "actor/chain.h"
#include "http/api_internal.h"
#include "http/base64.h"
#include "http/worker_text.h"

/* ---- what it is told */

struct told {
    struct worker_told *out;
    bool ok;
};

static const char *text(struct told *d, json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    if (!s)
        d->ok = false;
    return s ? s : "";
}

static uint64_t number(json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n > 0 ? (uint64_t)n : 0;
}

/* Room for all of them was made before: nothing moves. What is decoded lies there itself, and may be kept once more. */
static struct bytes keep(struct told *d, const void *data, size_t len)
{
    struct buf *kept = &d->out->kept;
    size_t at = kept->len;

    CHECK(len <= kept->cap - at);
    if (len)
        memmove(kept->data + at, data, len);
    kept->len += len;
    return bytes_of(kept->data + at, len);
}

static struct bytes decode(struct told *d, const char *coded, size_t len)
{
    struct buf *kept = &d->out->kept;

    CHECK(BASE64_DECODED_MAX(len) <= kept->cap - kept->len);
    long n = base64_decode(coded, len, kept->data + kept->len);
    if (n < 0) {
        d->ok = false;
        return bytes_of(NULL, 0);
    }
    kept->len += (size_t)n;
    return bytes_of(kept->data + kept->len - n, (size_t)n);
}

static struct bytes plain(json_t *value)
{
    return bytes_of((const uint8_t *)json_string_value(value), json_string_length(value));
}

static struct bytes blob(struct told *d, json_t *o, const char *name, const char *name64)
{
    json_t *coded = json_object_get(o, name64);

    if (json_is_string(coded))
        return decode(d, json_string_value(coded), json_string_length(coded));
    return plain(json_object_get(o, name));
}

static void take_state(struct told *d, json_t *o, bool coded)
{
    struct worker_turn *t = &d->out->turn;
    const char *key;
    json_t *value;

    json_object_foreach(o, key, value)
    {
        if (!json_is_string(value) || t->state_count == ARRAY_LEN(d->out->state)) {
            d->ok = false;
            return;
        }
        d->out->state[t->state_count++] = (struct worker_entry){
            .key = coded ? decode(d, key, strlen(key)) : bytes_of_str(key),
            .value = coded ? decode(d, json_string_value(value), json_string_length(value))
                           : plain(value),
        };
    }
}

/* "type/id" of each; a type has no slash. */
static void take_chain(struct told *d, json_t *list)
{
    struct bytes chain = bytes_of(d->out->kept.data + d->out->kept.len, 0);
    json_t *name;
    size_t i;

    json_array_foreach(list, i, name)
    {
        const char *s = json_string_value(name), *slash = s ? strchr(s, '/') : NULL;
        if (!slash) {
            d->ok = false;
            return;
        }
        (void)keep(d, s, (size_t)(slash - s));
        (void)keep(d, "", 1);
        (void)keep(d, slash + 1, strlen(slash + 1) + 1);
        chain.len += strlen(s) + 1;
    }
    d->ok = d->ok && (chain.len == 0 || chain_valid(chain));
    d->out->turn.chain = chain;
}

static void take_turn(struct told *d, json_t *o)
{
    struct worker_turn *t = &d->out->turn;
    json_t *sender = json_object_get(o, "sender");

    t->run = number(o, "run");
    t->type = text(d, o, "type");
    t->id = text(d, o, "id");
    t->method = text(d, o, "method");
    t->request_id = text(d, o, "request_id");
    t->attempt = (uint32_t)number(o, "attempt");
    t->deadline_ms = (uint32_t)number(o, "deadline_ms");
    t->read = json_is_true(json_object_get(o, "read"));
    if (sender) {
        t->sender_type = text(d, sender, "type");
        t->sender_id = text(d, sender, "id");
    }
    t->due_ms = number(o, "due_ms");
    t->missed = number(o, "missed");
    t->now_ms = number(o, "now_ms");
    t->random = number(o, "random");
    t->body = blob(d, o, "body", "body64");
    take_chain(d, json_object_get(o, "chain"));
    take_state(d, json_object_get(o, "state"), false);
    take_state(d, json_object_get(o, "state64"), true);
    t->state = d->out->state;
}

static void take_answer(struct told *d, json_t *o)
{
    struct worker_answer *a = &d->out->answers[d->out->answer_count++];
    const char *error = json_string_value(json_object_get(o, "error"));

    if (!error) {
        a->reply = blob(d, o, "reply", "reply64");
        return;
    }
    a->status = kelpie_error_from_name(error);
    struct bytes sentence = blob(d, o, "sentence", "sentence64");
    if (a->status == KELPIE_E_DOMAIN) {
        struct bytes code = blob(d, o, "code", "code64");
        a->reply = keep(d, code.data, code.len);
        (void)keep(d, "", 1);
        (void)keep(d, sentence.data, sentence.len);
        a->reply.len += 1 + sentence.len;
    } else {
        a->reply = sentence;
    }
    /* One that this program does not know yet. */
    if (a->status == 0)
        a->status = KELPIE_E_UNKNOWN_RESULT;
}

static void take_answers(struct told *d, json_t *list)
{
    json_t *o;
    size_t i;

    d->ok = d->ok && json_array_size(list) <= KELPIE_CALLS_OPEN_MAX;
    json_array_foreach(list, i, o)
    {
        if (d->ok)
            take_answer(d, o);
    }
}

int worker_told_decode(struct bytes in, struct mem mem, struct worker_told *out)
{
    struct told d = {.out = out, .ok = true};
    json_t *o, *answers;

    memset(out, 0, sizeof *out);
    buf_init(&out->kept, mem);
    out->root = o = json_loadb(in.len ? (const char *)in.data : "", in.len, 0, NULL);
    if (!json_is_object(o))
        return KELPIE_E_PROTOCOL;
    (void)buf_reserve(&out->kept, 2 * in.len + KELPIE_CALLS_OPEN_MAX);
    out->turn.ticket = number(o, "ticket");
    answers = json_object_get(o, "answers");
    if (json_object_get(o, "method"))
        out->kind = WORKER_TOLD_TURN;
    else if (json_is_array(answers))
        out->kind = WORKER_TOLD_ANSWERS;
    if (out->kind == WORKER_TOLD_TURN)
        take_turn(&d, o);
    else if (out->kind == WORKER_TOLD_ANSWERS)
        take_answers(&d, answers);
    return d.ok ? 0 : KELPIE_E_PROTOCOL;
}

void worker_told_free(struct worker_told *t)
{
    json_decref(t->root);
    t->root = NULL;
    buf_deinit(&t->kept);
}

/* ---- what it says */

void worker_hello_encode(const struct worker_type *types, size_t count, struct buf *out)
{
    json_t *o = json_object(), *list = json_array();

    CHECK(o && list);
    api_set_int(o, "worker", WORKER_PROTOCOL);
    for (size_t i = 0; i < count; i++) {
        const struct worker_type *t = &types[i];
        json_t *type = json_object(), *reads = json_array();
        CHECK(type && reads);
        for (size_t k = 0; k < t->read_count; k++)
            CHECK(json_array_append_new(reads, json_string(t->reads[k])) == 0);
        api_set_text(type, "type", t->type);
        api_set_int(type, "version", t->version);
        api_set_int(type, "idle_ms", t->idle_ms);
        api_set_int(type, "remember_ms", t->remember_ms);
        if (t->turn_ms)
            api_set_int(type, "turn_ms", t->turn_ms);
        if (t->placement)
            api_set_text(type, "placement", worker_placement_name(t->placement));
        if (t->expire_after_ms)
            api_set_int(type, "expire_after_ms", t->expire_after_ms);
        api_set(type, "reads", reads);
        CHECK(json_array_append_new(list, type) == 0);
    }
    api_set(o, "types", list);
    worker_write_json(o, out);
}

static void say_puts(json_t *o, const struct worker_result *r, struct mem mem)
{
    json_t *texts = json_object(), *coded = json_object();

    for (size_t i = 0; i < r->put_count; i++) {
        const struct worker_entry *e = &r->puts[i];
        bool is_text = worker_is_text(e->key) && worker_is_text(e->value);
        json_t *key = is_text ? worker_text_json(e->key) : worker_base64_json(e->key, mem);
        api_set(is_text ? texts : coded, json_string_value(key),
                is_text ? worker_text_json(e->value) : worker_base64_json(e->value, mem));
        json_decref(key);
    }
    api_set(o, "puts", texts);
    api_set(o, "puts64", coded);
}

static void say_deletes(json_t *o, const struct worker_result *r, struct mem mem)
{
    json_t *texts = json_array(), *coded = json_array();

    for (size_t i = 0; i < r->delete_count; i++) {
        bool is_text = worker_is_text(r->deletes[i]);
        CHECK(json_array_append_new(is_text ? texts : coded,
                                    is_text ? worker_text_json(r->deletes[i])
                                            : worker_base64_json(r->deletes[i], mem)) == 0);
    }
    api_set(o, "deletes", texts);
    api_set(o, "deletes64", coded);
}

static json_t *to_whom(const char *type, const char *id, const char *method, struct bytes body,
                       struct mem mem)
{
    json_t *o = json_object();

    CHECK(o);
    api_set_text(o, "type", type);
    api_set_text(o, "id", id);
    api_set_text(o, "method", method);
    worker_set_bytes(o, "body", "body64", body, mem);
    return o;
}

static void say_sends(json_t *o, const struct worker_result *r, struct mem mem)
{
    json_t *sends = json_array(), *unsends = json_array();

    for (size_t i = 0; i < r->send_count; i++) {
        const struct worker_send *s = &r->sends[i];
        json_t *one = to_whom(s->type, s->id, s->method, s->body, mem);
        if (s->name)
            api_set_text(one, "name", s->name);
        api_set_int(one, "after_ms", s->after_ms);
        api_set_int(one, "every_ms", s->every_ms);
        CHECK(json_array_append_new(sends, one) == 0);
    }
    for (size_t i = 0; i < r->unsend_count; i++)
        CHECK(json_array_append_new(unsends, json_string(r->unsends[i])) == 0);
    api_set(o, "sends", sends);
    api_set(o, "unsends", unsends);
}

static void say_calls(json_t *o, const struct worker_result *r, struct mem mem)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < r->call_count; i++) {
        const struct worker_call *c = &r->calls[i];
        json_t *one = to_whom(c->type, c->id, c->method, c->body, mem);
        api_set_int(one, "deadline_ms", c->deadline_ms);
        CHECK(json_array_append_new(calls, one) == 0);
    }
    api_set(o, "calls", calls);
}

static void say_failure(json_t *o, const struct worker_result *r)
{
    json_t *where = o;

    if (r->status == KELPIE_E_DOMAIN) {
        where = json_object();
        CHECK(where);
        api_set_text(where, "code", r->code);
        api_set(o, "fail", where);
    } else {
        api_set_text(o, "error", kelpie_error_name(r->status));
    }
    if (r->sentence)
        api_set(where, "sentence", api_string(r->sentence));
}

void worker_result_encode(const struct worker_result *r, struct buf *out)
{
    json_t *o = json_object();

    CHECK(o);
    api_set_int(o, "ticket", r->ticket);
    if (r->status) {
        say_failure(o, r);
        worker_write_json(o, out);
        return;
    }
    if (r->put_count)
        say_puts(o, r, out->mem);
    if (r->delete_count)
        say_deletes(o, r, out->mem);
    if (r->send_count || r->unsend_count)
        say_sends(o, r, out->mem);
    if (r->call_count)
        say_calls(o, r, out->mem);
    if (r->erase)
        api_set_bool(o, "erase", true);
    if (r->has_reply)
        worker_set_bytes(o, "reply", "reply64", r->reply, out->mem);
    worker_write_json(o, out);
}
