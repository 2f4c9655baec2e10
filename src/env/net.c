#include "env/net.h"

#include "base/crc32c.h"
#include "kelpie/error.h"

static const uint8_t magic[4] = {'K', 'L', 'P', '1'};

/* Bytes before the checksum, which covers them. */
#define CHECKED_SIZE 12

static void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)(v >> 16));
    put_u16(p + 2, (uint16_t)v);
}

static uint32_t frame_checksum(const uint8_t *header, struct bytes payload)
{
    return crc32c_extend(crc32c(bytes_of(header, CHECKED_SIZE)), payload);
}

void net_frame_make(struct buf *out, struct bytes payload)
{
    uint8_t header[NET_HEADER_SIZE] = {0};

    CHECK(payload.len <= NET_PAYLOAD_MAX);
    memcpy(header, magic, sizeof magic);
    put_u16(header + 4, NET_VERSION);
    put_u32(header + 8, (uint32_t)payload.len);
    put_u32(header + CHECKED_SIZE, frame_checksum(header, payload));
    buf_append(out, header, sizeof header);
    buf_append_bytes(out, payload);
}

/* Says "wrong" as early as the bytes allow, so that a peer that speaks something else is not
 * waited for; and "other version" before anything whose meaning depends on the version. */
long net_frame_scan(struct bytes received)
{
    struct reader r = reader_of(received);
    struct bytes payload;
    uint32_t len, checksum;
    uint16_t version, reserved;
    size_t known = received.len < sizeof magic ? received.len : sizeof magic;

    if (known && memcmp(received.data, magic, known) != 0)
        return KELPIE_E_PROTOCOL;
    (void)reader_raw(&r, sizeof magic);
    version = reader_u16(&r);
    if (!r.ok)
        return 0;
    if (version != NET_VERSION)
        return KELPIE_E_VERSION;
    reserved = reader_u16(&r);
    len = reader_u32(&r);
    if (!r.ok)
        return 0;
    if (reserved || len > NET_PAYLOAD_MAX)
        return KELPIE_E_PROTOCOL;
    checksum = reader_u32(&r);
    payload = reader_raw(&r, len);
    if (!r.ok)
        return 0;
    if (frame_checksum(received.data, payload) != checksum)
        return KELPIE_E_PROTOCOL;
    return NET_HEADER_SIZE + (long)len;
}

struct bytes net_frame_payload(struct bytes frame)
{
    CHECK(frame.len >= NET_HEADER_SIZE);
    return bytes_of(frame.data + NET_HEADER_SIZE, frame.len - NET_HEADER_SIZE);
}

int net_send(struct net net, const char *addr, struct bytes payload, struct buf *scratch)
{
    if (payload.len > NET_PAYLOAD_MAX)
        return KELPIE_E_TOO_LARGE;
    buf_clear(scratch);
    net_frame_make(scratch, payload);
    return net.ops->send(net.ctx, addr, buf_bytes(scratch));
}

int net_answer(struct net net, struct net_conn conn, struct bytes payload, struct buf *scratch)
{
    if (payload.len > NET_PAYLOAD_MAX)
        return KELPIE_E_TOO_LARGE;
    buf_clear(scratch);
    net_frame_make(scratch, payload);
    return net.ops->answer(net.ctx, conn, buf_bytes(scratch));
}

struct net_counts net_counts(struct net net)
{
    return net.ops->counts ? net.ops->counts(net.ctx) : (struct net_counts){0};
}
