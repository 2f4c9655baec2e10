#include "rpc/rpc_message.h"

#include "base/utf8.h"
#include "kelpie/error.h"

#define FLAG_ANSWER 1

void rpc_id_key(uint64_t id, uint8_t key[8])
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(id >> (56 - 8 * i));
}

uint32_t rpc_remaining_ms(uint64_t timeout_ns)
{
    uint64_t ms = timeout_ns / NS_PER_MS;

    if (ms == 0)
        return 1;
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

void rpc_message_encode(struct buf *out, const struct rpc_message *m)
{
    buf_append_u8(out, m->is_answer ? FLAG_ANSWER : 0);
    buf_append_u8(out, m->kind);
    buf_append_u16(out, (uint16_t)-m->status);
    buf_append_u32(out, m->remaining_ms);
    buf_append_u64(out, m->id);
    buf_append(out, m->from.cluster_id.b, sizeof m->from.cluster_id.b);
    buf_append(out, m->target_boot.b, sizeof m->target_boot.b);
    buf_append(out, m->from.boot.b, sizeof m->from.boot.b);
    buf_append_u64(out, m->from.incarnation);
    buf_append_blob(out, bytes_of_str(m->from.node_id));
    buf_append_blob(out, m->payload);
}

static struct uuid read_uuid(struct reader *r)
{
    struct bytes raw = reader_raw(r, sizeof(struct uuid));
    struct uuid u = {{0}};

    if (r->ok)
        memcpy(u.b, raw.data, sizeof u.b);
    return u;
}

/* A string of at most size - 1 bytes into `out`, NUL-terminated. */
static void read_text(struct reader *r, char *out, size_t size)
{
    struct bytes text = reader_blob(r, size - 1);

    if (!r->ok || !utf8_valid(text)) {
        r->ok = false;
        return;
    }
    if (text.len)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

/* A request has a deadline; an answer has no kind. */
static bool is_consistent(const struct rpc_message *m, uint8_t flags, uint16_t status)
{
    if (flags == FLAG_ANSWER)
        return m->kind == 0 && m->remaining_ms == 0 && status <= RPC_STATUS_MAX;
    return flags == 0 && m->kind > 0 && m->kind < RPC_KIND_COUNT && status == 0 &&
           m->remaining_ms > 0;
}

/* Leaves the reader behind the last fixed place. */
static int read_head(struct reader *r, struct rpc_message *m)
{
    uint8_t flags;
    uint16_t status;

    flags = reader_u8(r);
    m->kind = reader_u8(r);
    status = reader_u16(r);
    m->remaining_ms = reader_u32(r);
    m->id = reader_u64(r);
    m->from.cluster_id = read_uuid(r);
    m->target_boot = read_uuid(r);
    m->from.boot = read_uuid(r);
    m->from.incarnation = reader_u64(r);
    if (!r->ok || !is_consistent(m, flags, status) || m->id == 0 || uuid_is_zero(m->from.boot))
        return KELPIE_E_PROTOCOL;
    m->is_answer = flags == FLAG_ANSWER;
    m->status = -(int)status;
    return 0;
}

int rpc_message_head(struct bytes bytes, struct rpc_message *m)
{
    struct reader r = reader_of(bytes);

    *m = (struct rpc_message){0};
    return read_head(&r, m);
}

int rpc_message_decode(struct bytes bytes, struct rpc_message *m)
{
    struct reader r = reader_of(bytes);

    *m = (struct rpc_message){0};
    if (read_head(&r, m))
        return KELPIE_E_PROTOCOL;
    read_text(&r, m->from.node_id, sizeof m->from.node_id);
    m->payload = reader_blob(&r, NET_PAYLOAD_MAX);
    return reader_end(&r) ? 0 : KELPIE_E_PROTOCOL;
}
