/*
 * The network between nodes: frames to addresses, best effort. A frame may be lost, delayed,
 * duplicated or overtaken; it is never cut, joined or (the checksum sees to it) altered.
 *
 * On the wire a frame is: magic "KLP1" (4), protocol version u16, reserved u16, payload length
 * u32, CRC-32C of the 12 bytes before and of the payload u32, payload; big endian. The front door
 * adds and checks this header; backends move whole frames, and cut streams with net_frame_scan().
 */
#ifndef KELPIE_ENV_NET_H
#define KELPIE_ENV_NET_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#define NET_VERSION 1
#define NET_HEADER_SIZE 16
#define NET_PAYLOAD_MAX (4u * 1024 * 1024)
/* "host:port", numeric host. */
#define NET_ADDR_SIZE 64

/* What the network tells its one receiver; all run from the loop. */
struct net_events {
    /* A payload whose frame was whole; borrowed until the call returns. */
    void (*frame)(void *arg, struct bytes payload);
    /* Hint: the peer at `addr` refused, reset or closed the connection. Frames sent to it may or
     * may not have arrived. */
    void (*down)(void *arg, const char *addr);
    /* A frame was dropped: `error` is KELPIE_E_PROTOCOL or KELPIE_E_VERSION, `from` says where it
     * came from as far as known. The connection it came on is closed. */
    void (*bad)(void *arg, const char *from, int error);
};

struct net_ops {
    /* Queues a whole frame (header and payload, borrowed for the call) to `addr`. Returns 0, or
     * KELPIE_E_LIMIT when the bounded queue to that peer is full (the frame is dropped). */
    int (*send)(void *ctx, const char *addr, struct bytes frame);
    /* Sets who receives; `events` stays valid until replaced. NULL: frames are dropped. */
    void (*receive)(void *ctx, const struct net_events *events, void *arg);
};

struct net {
    const struct net_ops *ops;
    void *ctx;
};

/* Frames `payload` and sends it. Returns 0, KELPIE_E_LIMIT (queue full), KELPIE_E_TOO_LARGE. The
 * scratch buffer is cleared and used. */
int net_send(struct net net, const char *addr, struct bytes payload, struct buf *scratch) MUST_USE;

/* For backends. Looks at the bytes received so far: 0 = more bytes are needed, > 0 = the length of
 * the whole frame at the front (header included, checksum right), < 0 = KELPIE_E_PROTOCOL or
 * KELPIE_E_VERSION. */
long net_frame_scan(struct bytes received) MUST_USE;
/* The payload of a frame that net_frame_scan() accepted. */
struct bytes net_frame_payload(struct bytes frame);
/* Appends the frame of `payload` to `out`. */
void net_frame_make(struct buf *out, struct bytes payload);

#endif
