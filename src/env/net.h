/*
 * The network between nodes: frames to addresses, and answers on the connection that a frame came
 * on, best effort. A frame may be lost, delayed, duplicated or overtaken; it is never cut, joined or
 * (the checksum sees to it) altered. What is dialled is an address that the caller vouches for;
 * where a peer that dialled this node lives, nobody needs to know.
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

#define NET_VERSION 2
#define NET_HEADER_SIZE 16
#define NET_PAYLOAD_MAX (4u * 1024 * 1024)
/* "host:port", numeric host. */
#define NET_ADDR_SIZE 64

/* Names a connection that a peer opened, within this life of this process: never used again, and
 * once the connection is gone it names nothing. 0: none. */
struct net_conn {
    uint64_t id;
};

/* Where a frame came from; borrowed for the call. */
struct net_from {
    struct net_conn conn;  /* the peer opened it: net_answer() answers there */
    const char *dialled;   /* or this node opened it, to that address; else "" */
    const char *identity;  /* what the peer has proven to be; "" in clear text */
    const char *somewhere; /* for people: the other end as the system names it */
};

/* What the receiver says of a frame. The network keeps its room for members, and closes a
 * connection on which frame after frame is refused. */
enum net_standing {
    NET_REFUSED,  /* it is not meant for this node, or nonsense */
    NET_STRANGER, /* it may be right, and its sender is not known */
    NET_MEMBER,   /* its sender names a life that the store knows */
};

/* What the network tells its one receiver; all run from the loop. */
struct net_events {
    /* A payload whose frame was whole; borrowed until the call returns. */
    enum net_standing (*frame)(void *arg, const struct net_from *from, struct bytes payload);
    /* Hint: the connection dialled to `addr` was refused, reset or closed. Frames sent to it may or
     * may not have arrived, and no answer comes on it any more. */
    void (*down)(void *arg, const char *addr);
    /* A frame was dropped: `error` is KELPIE_E_PROTOCOL or KELPIE_E_VERSION, `from` says where it
     * came from as far as known. The connection it came on is closed. */
    void (*bad)(void *arg, const char *from, int error);
};

/* For metrics. Connections open now, bytes waiting now; the others since the start. */
struct net_counts {
    size_t outgoing, incoming, members; /* members: of the incoming, those of known lives */
    uint64_t bytes_queued;
    uint64_t bytes_sent, bytes_received;
    uint64_t answers_gone;    /* answers whose connection was gone */
    uint64_t answers_dropped; /* answers that a full queue dropped */
    uint64_t closed_full;     /* connections closed to make room for others */
    uint64_t closed_refused;  /* because of what they sent */
    uint64_t closed_late; /* no first frame, a frame never finished, or answers not read in time */
};

struct net_ops {
    /* Queues a whole frame (header and payload, borrowed for the call) to `addr`, dialling it when
     * there is no connection. Returns 0, or KELPIE_E_LIMIT when a bound is reached (the frame is
     * dropped). */
    int (*send)(void *ctx, const char *addr, struct bytes frame);
    /* Queues a whole frame on a connection that a peer opened. Returns 0, KELPIE_E_LIMIT, or
     * KELPIE_E_UNREACHABLE when that connection is gone. */
    int (*answer)(void *ctx, struct net_conn conn, struct bytes frame);
    /* Sets who receives; `events` stays valid until replaced. NULL: frames are dropped. */
    void (*receive)(void *ctx, const struct net_events *events, void *arg);
    /* May be NULL: nothing is counted. */
    struct net_counts (*counts)(void *ctx);
};

struct net {
    const struct net_ops *ops;
    void *ctx;
};

/* Frames `payload` and sends it. Returns 0, KELPIE_E_LIMIT (queue full), KELPIE_E_TOO_LARGE. The
 * scratch buffer is cleared and used. */
int net_send(struct net net, const char *addr, struct bytes payload, struct buf *scratch) MUST_USE;
/* The same on the connection that something came on; also KELPIE_E_UNREACHABLE (it is gone). */
int net_answer(struct net net, struct net_conn conn, struct bytes payload,
               struct buf *scratch) MUST_USE;
struct net_counts net_counts(struct net net);

/* For backends. Looks at the bytes received so far: 0 = more bytes are needed, > 0 = the length of
 * the whole frame at the front (header included, checksum right), < 0 = KELPIE_E_PROTOCOL or
 * KELPIE_E_VERSION. */
long net_frame_scan(struct bytes received) MUST_USE;
/* The payload of a frame that net_frame_scan() accepted. */
struct bytes net_frame_payload(struct bytes frame);
/* Appends the frame of `payload` to `out`. */
void net_frame_make(struct buf *out, struct bytes payload);

#endif
