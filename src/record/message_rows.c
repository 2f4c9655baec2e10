/* Messages between actors, and what leads to them (docs/adr/0018-messages.md). */
#include "base/hash128.h"
#include "kelpie/error.h"
#include "record/record_value.h"
#include "record/records.h"

struct uuid actor_hash(const char *type, const char *id)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of_str(type));
    hash128_bytes(&h, bytes_of_str(id));
    h = hash128_value(&h);
    struct uuid out;
    for (unsigned i = 0; i < 8; i++) {
        out.b[i] = (uint8_t)(h.hi >> (56 - 8 * i));
        out.b[8 + i] = (uint8_t)(h.lo >> (56 - 8 * i));
    }
    return out;
}

uint32_t actor_shard(const char *type, const char *id, uint32_t shards)
{
    struct uuid hash = actor_hash(type, id);
    uint32_t v = 0;
    for (unsigned i = 12; i < 16; i++)
        v = v << 8 | hash.b[i];
    CHECK(shards > 0);
    return v % shards;
}

/* A tuple writes each NUL twice. So that every body fits in a row, one of many NULs is written with
 * another byte as its zero: the least of those that are in it least often. */
#define BODY_NULS_MAX (16u * 1024)

static uint8_t body_shift(struct bytes body)
{
    size_t seen[256] = {0};
    uint8_t least = 0;
    for (size_t i = 0; i < body.len; i++)
        seen[body.data[i]]++;
    if (seen[0] <= BODY_NULS_MAX)
        return 0;
    for (unsigned v = 1; v < 256; v++)
        if (seen[v] < seen[least])
            least = (uint8_t)v;
    return least;
}

static void pack_body(struct buf *out, struct bytes body)
{
    uint8_t shift = body_shift(body);
    struct buf shifted;
    CHECK(body.len <= MESSAGE_BODY_MAX);
    tuple_pack_uint(out, shift);
    if (shift == 0) {
        tuple_pack_bytes(out, body);
        return;
    }
    buf_init(&shifted, out->mem);
    for (size_t i = 0; i < body.len; i++)
        buf_append_u8(&shifted, (uint8_t)(body.data[i] - shift));
    tuple_pack_bytes(out, buf_bytes(&shifted));
    buf_deinit(&shifted);
}

static struct bytes take_body(struct tuple_reader *f, struct buf *scratch)
{
    uint32_t shift = value_take_u32(f);
    struct bytes body = value_take_bytes(f, MESSAGE_BODY_MAX);
    if (!f->ok || shift > 255) {
        f->ok = false;
        return bytes_of(NULL, 0);
    }
    if (shift) {
        uint8_t *at = scratch->data + (body.data - scratch->data);
        for (size_t i = 0; i < body.len; i++)
            at[i] = (uint8_t)(at[i] + shift);
    }
    if (body_shift(body) != shift)
        f->ok = false;
    return body;
}

void message_record_encode(const struct message_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->name_len <= MESSAGE_NAME_MAX);
    value_begin_at(out, 2);
    value_pack_text(out, r->sender_type, 1, ACTOR_TYPE_MAX);
    value_pack_text(out, r->sender_id, 1, ACTOR_ID_MAX);
    value_pack_text(out, r->method, 1, MESSAGE_METHOD_MAX);
    tuple_pack_uint(out, r->sent_ms);
    tuple_pack_uint(out, r->due_ms);
    tuple_pack_uint(out, r->every_ms);
    tuple_pack_uint(out, r->again_ms);
    tuple_pack_uint(out, r->attempts);
    tuple_pack_int(out, r->error);
    tuple_pack_uint(out, r->tried);
    tuple_pack_bytes(out, bytes_of(r->name, r->name_len));
    pack_body(out, r->body);
    value_end(key, out);
}

static int32_t take_error(struct tuple_reader *f)
{
    int64_t error = tuple_next_int(f);
    if (error <= 0 && error >= -KELPIE_ERROR_MAX)
        return (int32_t)error;
    f->ok = false;
    return 0;
}

int message_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                          struct message_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    value_take_text(&f, r->sender_type, 1, ACTOR_TYPE_MAX);
    value_take_text(&f, r->sender_id, 1, ACTOR_ID_MAX);
    value_take_text(&f, r->method, 1, MESSAGE_METHOD_MAX);
    r->sent_ms = tuple_next_uint(&f);
    r->due_ms = tuple_next_uint(&f);
    r->every_ms = tuple_next_uint(&f);
    r->again_ms = tuple_next_uint(&f);
    r->attempts = value_take_u32(&f);
    r->error = take_error(&f);
    r->tried = tuple_next_uint(&f);
    struct bytes name = value_take_bytes(&f, MESSAGE_NAME_MAX);
    r->name_len = name.len;
    if (name.len)
        memcpy(r->name, name.data, name.len);
    r->body = take_body(&f, scratch);
    return value_close(&f);
}

void due_record_encode(const struct due_record *r, struct bytes key, struct buf *out)
{
    value_begin_at(out, 2);
    tuple_pack_uint(out, r->sent_ms);
    value_end(key, out);
}

int due_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                      struct due_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    r->sent_ms = tuple_next_uint(&f);
    return value_close(&f);
}

void named_record_encode(const struct named_record *r, struct bytes key, struct buf *out)
{
    value_begin_at(out, 2);
    value_pack_text(out, r->type, 1, ACTOR_TYPE_MAX);
    value_pack_text(out, r->id, 1, ACTOR_ID_MAX);
    tuple_pack_uint(out, r->at.due_ms);
    tuple_pack_uuid(out, r->at.sender);
    tuple_pack_uint(out, r->at.generation);
    tuple_pack_uint(out, r->at.number);
    value_end(key, out);
}

int named_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                        struct named_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    value_take_text(&f, r->type, 1, ACTOR_TYPE_MAX);
    value_take_text(&f, r->id, 1, ACTOR_ID_MAX);
    r->at.due_ms = tuple_next_uint(&f);
    r->at.sender = tuple_next_uuid(&f);
    r->at.generation = tuple_next_uint(&f);
    r->at.number = tuple_next_uint(&f);
    return value_close(&f);
}
