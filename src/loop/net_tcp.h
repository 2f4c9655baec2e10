/* env/net.h over TCP: one outgoing connection a peer address, made on first use, kept while used;
 * frames received on any accepted connection. */
#ifndef KELPIE_LOOP_NET_TCP_H
#define KELPIE_LOOP_NET_TCP_H

#include "env/net.h"
#include "loop/loop.h"

#define NET_TCP_QUEUE_MAX (8u * 1024 * 1024) /* bytes waiting for one peer */
#define NET_TCP_PEERS_MAX 1024               /* outgoing connections */
#define NET_TCP_INCOMING_MAX 2048 /* accepted connections; further ones are closed at once */
#define NET_TCP_CONNECT_MS 1000
#define NET_TCP_IDLE_S 60

struct net_tcp;

/* Listens on `addr` ("host:port"; port 0: any, see net_tcp_addr). On failure returns NULL with a
 * sentence in `why` that names the address and the cause. */
struct net_tcp *net_tcp_new(struct loop *loop, struct mem mem, const struct log *log,
                            const char *addr, char *why, size_t why_size);
/* Not from within one of its events. What is queued is dropped, nobody is told. */
void net_tcp_free(struct net_tcp *net);
/* The address really listened on. */
const char *net_tcp_addr(const struct net_tcp *net);
struct net net_tcp_net(struct net_tcp *net);
/* Connections open now, and bytes moved since the start, for metrics. */
struct net_tcp_counts {
    size_t outgoing;
    size_t incoming;
    uint64_t bytes_sent;
    uint64_t bytes_received;
};
struct net_tcp_counts net_tcp_counts(const struct net_tcp *net);

#endif
