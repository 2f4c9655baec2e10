/*
 * Which requests have come on a connection: a network may deliver a frame twice (env/net.h), and a
 * request must be taken once. The copies have one answer: two could say "not applied" of what the
 * other applied. Call ids of a peer count upwards, so a window over the newest of them is enough; what
 * is older than the window counts as seen, which to the peer is a frame that was lost.
 */
#ifndef KELPIE_RPC_RPC_SEEN_H
#define KELPIE_RPC_RPC_SEEN_H

#include "base/list.h"
#include "base/mem.h"
#include "env/net.h"

#define RPC_SEEN_IDS 1024 /* ids of one connection; a power of two */
/* Connections, the one that was quiet for longest goes. As many as the network keeps open. */
#define RPC_SEEN_CONNS_MAX 2048

struct rpc_seen {
    struct list windows; /* by last use, the latest last */
    unsigned count;
};

void rpc_seen_init(struct rpc_seen *s);
void rpc_seen_deinit(struct rpc_seen *s, struct mem mem);
/* True when that id has come on that connection before (or is too old to tell); it has come now. */
bool rpc_seen_before(struct rpc_seen *s, struct mem mem, struct net_conn conn, uint64_t id);

#endif
