#include "actor/actor_message.h"

#include "base/utf8.h"

#define FLAG_HINT 1
#define FLAG_AGE 1
#define FLAG_CHAIN 2
#define FLAG_SEND 4

void actor_request_encode(struct buf *out, const struct actor_request *r)
{
    buf_append_u8(out, (uint8_t)r->op);
    buf_append_blob(out, bytes_of_str(r->type));
    buf_append_blob(out, bytes_of_str(r->id));
    buf_append_u64(out, r->generation);
    if (r->op == ACTOR_OP_ACTIVATE)
        return;
    buf_append_u32(out, r->remaining_ms);
    if (r->op == ACTOR_OP_NUDGE) {
        buf_append_u64(out, r->until_ms);
        return;
    }
    buf_append_u8(out, (uint8_t)((r->age_known ? FLAG_AGE : 0) | (r->chain.len ? FLAG_CHAIN : 0) |
                                 (r->send ? FLAG_SEND : 0)));
    buf_append_u64(out, r->age_ms);
    buf_append_u64(out, r->echo_ns);
    buf_append_blob(out, bytes_of_str(r->caller));
    buf_append_blob(out, bytes_of_str(r->method));
    buf_append_blob(out, bytes_of_str(r->request_id));
    buf_append_blob(out, r->body);
    if (r->chain.len)
        buf_append_blob(out, r->chain);
    if (r->send)
        buf_append_u64(out, r->after_ms);
}

/* Text of min..max bytes of UTF-8 without NUL, into a field of max + 1. */
static void read_text(struct reader *r, size_t min, size_t max, char *out)
{
    struct bytes text = reader_blob(r, max);

    if (text.len < min || !utf8_valid(text))
        r->ok = false;
    if (!r->ok) {
        out[0] = '\0';
        return;
    }
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

/* Returns the flags. */
static uint8_t read_age(struct reader *in, struct actor_request *r)
{
    uint8_t flags = reader_u8(in);

    r->age_known = (flags & FLAG_AGE) != 0;
    r->age_ms = reader_u64(in);
    r->echo_ns = reader_u64(in);
    if ((flags & ~(FLAG_AGE | FLAG_CHAIN | FLAG_SEND)) || r->age_ms > AGE_MS_MAX)
        in->ok = false;
    return flags;
}

static void read_chain(struct reader *in, struct actor_request *r)
{
    r->chain = reader_blob(in, CHAIN_BYTES_MAX);
    if (r->chain.len == 0 || !chain_valid(r->chain))
        in->ok = false;
}

/* No turn of another actor sends in this way. */
static void read_send(struct reader *in, struct actor_request *r)
{
    r->send = true;
    r->after_ms = reader_u64(in);
    if (r->chain.len || r->after_ms > KELPIE_SEND_DELAY_MS_MAX ||
        r->body.len > KELPIE_MESSAGE_BODY_MAX)
        in->ok = false;
}

int actor_request_decode(struct bytes payload, struct actor_request *r)
{
    struct reader in = reader_of(payload);
    uint8_t op = reader_u8(&in);

    memset(r, 0, sizeof *r);
    if (op < ACTOR_OP_CALL || op > ACTOR_OP_NUDGE)
        return KELPIE_E_PROTOCOL;
    r->op = op;
    read_text(&in, 1, ACTOR_TYPE_MAX, r->type);
    read_text(&in, 1, ACTOR_ID_MAX, r->id);
    r->generation = reader_u64(&in);
    if (op != ACTOR_OP_ACTIVATE)
        r->remaining_ms = reader_u32(&in);
    if (op == ACTOR_OP_NUDGE)
        r->until_ms = reader_u64(&in);
    if (op == ACTOR_OP_CALL) {
        uint8_t flags = read_age(&in, r);
        read_text(&in, 0, CALLER_MAX, r->caller);
        read_text(&in, 1, KELPIE_METHOD_MAX, r->method);
        read_text(&in, 1, REQUEST_ID_MAX, r->request_id);
        r->body = reader_blob(&in, KELPIE_BODY_MAX);
        if (flags & FLAG_CHAIN)
            read_chain(&in, r);
        if (flags & FLAG_SEND)
            read_send(&in, r);
    }
    return reader_end(&in) ? 0 : KELPIE_E_PROTOCOL;
}

static void encode_hint(struct buf *out, const struct placement *p)
{
    buf_append_u8(out, p->record.placed ? 1 : 0);
    buf_append_blob(out, bytes_of_str(p->record.node_id));
    buf_append_u64(out, p->record.incarnation);
    buf_append(out, p->record.boot.b, sizeof p->record.boot.b);
    buf_append_u64(out, p->record.generation);
}

static void decode_hint(struct reader *in, struct placement *p)
{
    uint8_t placed = reader_u8(in);
    struct bytes boot;

    if (placed > 1)
        in->ok = false;
    p->record.placed = placed == 1;
    read_text(in, p->record.placed ? 1 : 0, NODE_ID_MAX, p->record.node_id);
    p->record.incarnation = reader_u64(in);
    boot = reader_raw(in, sizeof p->record.boot.b);
    if (in->ok)
        memcpy(p->record.boot.b, boot.data, sizeof p->record.boot.b);
    p->record.generation = reader_u64(in);
}

void actor_answer_encode(struct buf *out, const struct actor_answer *a)
{
    buf_append_u8(out, a->has_hint ? FLAG_HINT : 0);
    buf_append_u64(out, a->clock_ns);
    if (a->has_hint)
        encode_hint(out, &a->hint);
    buf_append_blob(out, a->body);
}

int actor_answer_decode(struct bytes payload, struct actor_answer *a)
{
    struct reader in = reader_of(payload);
    uint8_t flags = reader_u8(&in);

    memset(a, 0, sizeof *a);
    if (flags & ~FLAG_HINT)
        return KELPIE_E_PROTOCOL;
    a->has_hint = (flags & FLAG_HINT) != 0;
    a->clock_ns = reader_u64(&in);
    if (a->has_hint)
        decode_hint(&in, &a->hint);
    a->body = reader_blob(&in, KELPIE_REPLY_MAX);
    return reader_end(&in) ? 0 : KELPIE_E_PROTOCOL;
}
