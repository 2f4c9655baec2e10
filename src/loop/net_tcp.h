/* env/net.h over TCP: one outgoing connection a peer address, made on first use, kept while used;
 * frames received on any accepted connection. */
#ifndef KELPIE_LOOP_NET_TCP_H
#define KELPIE_LOOP_NET_TCP_H

#include "env/net.h"
#include "loop/loop.h"

#define NET_TCP_QUEUE_MAX (8u * 1024 * 1024) /* bytes waiting for one peer */
#define NET_TCP_PEERS_MAX 1024
#define NET_TCP_IDLE_S 60

struct net_tcp;

/* Listens on `addr` ("host:port"; port 0: any, see net_tcp_addr). On failure returns NULL with a
 * sentence in `why` that names the address and the cause. */
struct net_tcp *net_tcp_new(struct loop *loop, struct mem mem, const struct log *log,
                            const char *addr, char *why, size_t why_size);
void net_tcp_free(struct net_tcp *net);
/* The address really listened on. */
const char *net_tcp_addr(const struct net_tcp *net);
struct net net_tcp_net(struct net_tcp *net);

#endif
