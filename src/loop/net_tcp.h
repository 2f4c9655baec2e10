/*
 * env/net.h over TCP. A node sends on one connection a peer address, dialled on first use and kept
 * while used, and its answers come back on it; what peers dial is answered where it came from.
 *
 * Whoever reaches the port may connect, so everything that a stranger can make grow has a bound of
 * its own, and what members need is kept for them: a connection counts as a member's once the
 * receiver said so of a frame on it (enum net_standing), as a stranger's before.
 */
#ifndef KELPIE_LOOP_NET_TCP_H
#define KELPIE_LOOP_NET_TCP_H

#include "env/net.h"
#include "loop/loop.h"

#define NET_TCP_PEERS_MAX 1024    /* dialled connections; then the longest idle one is closed */
#define NET_TCP_INCOMING_MAX 2048 /* accepted ones; then one of a stranger is closed, see the .c */

/* Bytes waiting to be written. What does not fit is dropped. */
#define NET_TCP_QUEUE_MAX (8u * 1024 * 1024)     /* for one peer */
#define NET_TCP_QUEUED_MAX (256u * 1024 * 1024)  /* for all together */
#define NET_TCP_STRANGER_QUEUE_MAX (256u * 1024) /* for a stranger, behind its first answer */
#define NET_TCP_STRANGERS_MAX                                                                      \
    (32u * 1024 * 1024) /* for all strangers; and so much of them unread */

/* Deadlines. */
#define NET_TCP_CONNECT_MS 1000
#define NET_TCP_FIRST_FRAME_S 10   /* from accepting to the end of the first frame */
#define NET_TCP_FRAME_S 20         /* from the first byte of a frame to its last */
#define NET_TCP_STALLED_S 10       /* for a peer that takes nothing of what waits for it */
#define NET_TCP_STRANGER_IDLE_S 60 /* without a frame that may be right */
#define NET_TCP_IDLE_S 120         /* of a dialled connection; who accepts waits twice as long */

/* What one turn of the loop spends on frames, and strangers get of any ten milliseconds. */
#define NET_TCP_TURN_NS (4 * NS_PER_MS)
#define NET_TCP_STRANGERS_NS (1 * NS_PER_MS)
#define NET_TCP_STRANGERS_WINDOW_NS (10 * NS_PER_MS)
/* Where the loop does not come round in that time, members' frames, and so their pings, are read first. */
#define NET_TCP_LOOK_NS (100 * NS_PER_MS)
#define NET_TCP_FRAMES_A_GO 32 /* of one connection, before the next one has its go */
#define NET_TCP_REFUSED_MAX 8  /* refused frames in a row end a connection */

struct net_tcp;

/* Listens on `addr` ("host:port"; port 0: any, see net_tcp_addr). On failure returns NULL with a
 * sentence in `why` that names the address and the cause. */
struct net_tcp *net_tcp_new(struct loop *loop, struct mem mem, const struct log *log,
                            const char *addr, char *why, size_t why_size);
/* Lower bounds than the two above on connections; at least 1 each. Only before the first one. */
void net_tcp_limit(struct net_tcp *net, unsigned outgoing, unsigned incoming);
/* Not from within one of its events. What is queued is dropped, nobody is told. */
void net_tcp_free(struct net_tcp *net);
/* The address really listened on. */
const char *net_tcp_addr(const struct net_tcp *net);
struct net net_tcp_net(struct net_tcp *net);

#endif
