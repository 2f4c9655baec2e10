/* The connections of net_tcp.h, each way, and the room that they share; for src/loop only. */
#ifndef KELPIE_LOOP_NET_TCP_CONN_H
#define KELPIE_LOOP_NET_TCP_CONN_H

#include "base/list.h"
#include "base/map.h"
#include "loop/net_tcp.h"

#define NET_TCP_READ_SIZE (256u * 1024)
#define NET_TCP_STRANGER_READ_SIZE (16u * 1024)

struct event;
struct tcp_listener;

/* Who is behind a connection, as far as its frames have said. */
enum conn_rank {
    RANK_SILENT,   /* accepted, and no frame yet that may be right */
    RANK_STRANGER, /* one that may be right */
    RANK_MEMBER,   /* one of a life that the store knows */
    RANK_DIALLED,  /* not accepted: this node dialled an address that it has read */
    RANK_COUNT
};

struct conn {
    struct net_tcp *net;
    struct map_node node; /* dialled: in net->peers */
    struct list link;     /* in net->ranks[rank]: the longest without a useful frame first */
    struct list dirty;    /* in net->dirty: has something to write or to tell */
    struct list ready;    /* in one of net->ready: reads nothing until it has had its go */
    enum conn_rank rank;
    char addr[NET_ADDR_SIZE]; /* dialled, or where it came from */
    struct net_conn handle;   /* accepted */
    uint64_t looked;          /* net->looks when it was read out of turn */
    int fd;                   /* negative: could not even begin to connect */
    bool connected;
    bool has_frames;  /* `in` may begin with a whole one: dealing stopped there */
    unsigned refused; /* frames in a row */
    struct event *readable;
    struct event *writable;
    struct timer connect_timer;
    struct buf in; /* read, from `taken` on not dealt with yet */
    size_t taken;
    struct buf out; /* from `written` on still to write */
    size_t written;
    uint64_t used_ns;  /* since then no useful frame either way; when accepted, before the first */
    uint64_t frame_ns; /* since then the frame at the end of `in` is not whole */
    uint64_t stalled_ns; /* since then the peer has taken nothing of `out`; 0: nothing waits */
};

struct conn_slot {
    struct conn *conn;
    uint32_t generation;
};

struct net_tcp {
    struct loop *loop;
    struct mem mem;
    const struct log *log;
    struct clock clock;
    struct tcp_listener *listener;
    const struct net_events *events;
    void *events_arg;

    struct map peers; /* dialled, by address */
    struct list ranks[RANK_COUNT];
    size_t rank_counts[RANK_COUNT];
    unsigned outgoing_max, incoming_max;
    struct conn_slot slots[NET_TCP_INCOMING_MAX];
    uint32_t free_slots[NET_TCP_INCOMING_MAX];
    uint32_t free_slot_count;

    struct list dirty;
    struct list ready_members, ready_strangers;
    struct event *turn_end;  /* runs after the events that are active now */
    struct timer again;      /* members' frames go on in the next turn */
    struct timer later;      /* strangers' frames go on in the next window */
    uint64_t turn_ns;        /* when this turn's first frame came; 0: none yet */
    uint64_t window_ns;      /* when the strangers' window began */
    uint64_t window_left_ns; /* of their time in it */
    struct conn *dealing;    /* whose frame is being handled */
    struct timer sweep;
    struct timer look;        /* urgent: has the loop come round? */
    struct event *come_round; /* behind all that was active at the last look */
    bool is_behind;           /* it has not run since */
    uint64_t looks;           /* so often members were read out of turn */

    size_t queued, strangers_queued, strangers_unread; /* bytes */
    struct net_counts counts;
    uint64_t told_full_ns; /* when it was last said that there is no room; 0: never */
    uint64_t told_full;    /* connections closed since then */
    uint8_t read_area[NET_TCP_READ_SIZE];
};

/* net_tcp_conn.c */
/* Of a descriptor that is connected, or connecting (`dialled`), or negative. */
struct conn *conn_new(struct net_tcp *net, const char *addr, int fd, bool dialled);
/* Nobody is told. */
void conn_free(struct conn *c);
/* And whoever dialled it is told. */
void conn_close(struct conn *c, const char *cause);
/* Queues a frame; it leaves at the end of the turn. Returns 0 or KELPIE_E_LIMIT. */
int conn_queue(struct conn *c, struct bytes frame) MUST_USE;
/* Useful just now. */
void conn_used(struct conn *c);
/* The end of a turn: every connection that has frames left has its go, then what waits is written. */
void conns_turn(struct net_tcp *net);

/* Reads what members have sent, out of turn, and writes what came of it. */
void conns_look(struct net_tcp *net);

/* net_tcp_room.c */
void room_init(struct net_tcp *net);
void room_enter(struct conn *c, enum conn_rank rank);
void room_leave(struct conn *c);
void room_rank(struct conn *c, enum conn_rank rank);
/* A handle for an accepted connection; room_leave() takes it back. */
void room_name(struct conn *c);
struct conn *room_find(struct net_tcp *net, struct net_conn handle);
/* Closes a connection where the bound is reached, so that there is room for another one. False: for a
 * dialled one there is none. */
bool room_for_accepted(struct net_tcp *net);
bool room_for_dialled(struct net_tcp *net);
/* `bytes` more wait to be written to, or to be understood of, `c`; or so many fewer. */
void room_queued(struct conn *c, long bytes);
void room_unread(struct conn *c, long bytes);
/* What strangers hold is within its bound: else the one that holds most is closed (not `c`: true). */
bool room_keeps(struct net_tcp *net, const struct conn *c);
/* Closes what has passed a deadline. */
void room_sweep(struct net_tcp *net);

#endif
