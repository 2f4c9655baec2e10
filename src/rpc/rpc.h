/*
 * Calls between nodes: request matching, deadlines, and the identity of who speaks.
 *
 * Every message carries the sender's cluster id, node id, incarnation and boot id, and the boot id
 * it is meant for; never an address. A request goes to an address that the caller has read from the
 * store, its answer comes back on the connection that the request went out on. Nothing that a
 * message says of its sender is believed further than that: an answer counts when it comes on the
 * connection to the node that was asked and names the life that was asked. A request that reaches
 * another life of a node is answered NOT_HERE, one of another cluster STORE_FOREIGN; a zero id
 * matches nothing. A request is taken once, though the network brings it twice. Messages are best effort (env/net.h): a call ends with an answer, at its
 * deadline, or when a view without the target says it is gone; what it did there is then not known,
 * and callers repeat it with the same request id.
 */
#ifndef KELPIE_RPC_RPC_H
#define KELPIE_RPC_RPC_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "env/cap.h"
#include "env/env.h"
#include "rpc/rpc_seen.h"

#define RPC_NODE_ID_MAX 128
#define RPC_CALLS_MAX 65536 /* outstanding calls of one node */

/* Who a node is, or says it is; set again when it joins as a new incarnation. */
struct rpc_identity {
    struct uuid cluster_id; /* zero until known: matches nothing */
    struct uuid boot;
    uint64_t incarnation; /* 0: not joined */
    char node_id[RPC_NODE_ID_MAX + 1];
};

enum rpc_kind { RPC_PING = 1, RPC_ACTOR_CALL = 2, RPC_ADMIN = 3, RPC_KIND_COUNT = 8 };

struct rpc;
struct rpc_call;
/* status: 0 with the answer's payload (borrowed), the error code that the handler replied with,
 * KELPIE_E_TIMEOUT, KELPIE_E_UNREACHABLE, KELPIE_E_CANCELLED, KELPIE_E_LIMIT (too much is queued for
 * that peer, or RPC_CALLS_MAX), KELPIE_E_TOO_LARGE (the request or the answer does not fit a frame);
 * from the other side's rpc: KELPIE_E_NOT_HERE, KELPIE_E_STORE_FOREIGN, KELPIE_E_UNAVAILABLE (nobody
 * serves that kind there yet, or one of the two does not know its cluster yet). After LIMIT, TOO_LARGE of the request, NOT_HERE, STORE_FOREIGN and
 * UNAVAILABLE nothing was done; after TIMEOUT, UNREACHABLE and CANCELLED that is not known. */
typedef void rpc_done_fn(struct rpc_call *call, int status, struct bytes payload);

/* Owned by the caller, from rpc_start until `done` ran (in which it may be freed or started again).
 * Zeroed before its first use, if rpc_cancel may be called on it before rpc_start. */
struct rpc_call {
    rpc_done_fn *done;
    void *arg;
    /* Filled in before `done` when an answer came: who answered. */
    struct rpc_identity from;
    uint64_t sent_ns;

    /* Private. */
    struct rpc *rpc;
    uint64_t id;
    struct map_node node;
    uint8_t id_key[8];
    struct uuid target_boot;
    char addr[NET_ADDR_SIZE];
    struct timer timer;
    int status;
};

/* A request to answer, once, now or later. */
struct rpc_request {
    struct rpc_identity from;
    struct net_conn conn; /* that it came on: its answer goes there */
    uint64_t id;
    uint64_t deadline_ns; /* on this node's clock: receipt + what the caller still had */
    struct bytes payload; /* borrowed until the handler returns */
};

typedef void rpc_handler_fn(void *arg, const struct rpc_request *request);

struct rpc {
    const struct env *env;
    struct rpc_identity self;
    struct map calls;
    uint64_t next_id;
    struct rpc_seen seen;
    struct {
        rpc_handler_fn *fn;
        void *arg;
    } handlers[RPC_KIND_COUNT];
    struct buf out;
    struct buf scratch;
    /* A frame or message was dropped or refused; `why` is a sentence. May be NULL. */
    void (*on_bad)(void *arg, const char *from, int error, const char *why);
    void *on_bad_arg;
    /* Whether the store knows that life. May be NULL: nobody is known. */
    bool (*knows)(void *arg, const struct rpc_identity *who);
    void *knows_arg;
    uint64_t sent, received, dropped; /* messages, for metrics */
    uint64_t refused;                 /* of those received: nonsense, or not meant for this node */
    uint64_t foreign_told_ns;         /* when another cluster was last named; 0: never */
    struct cap calls_cap;             /* RPC_CALLS_MAX */
    struct cap queue_cap;             /* the network has no room for what waits to be sent */
};

/* Registers itself as the receiver of env->net. `rpc` stays where it is until rpc_deinit. */
void rpc_init(struct rpc *rpc, const struct env *env);
/* All outstanding calls must have completed (rpc_cancel_all, then a turn of the loop). */
void rpc_deinit(struct rpc *rpc);
void rpc_set_identity(struct rpc *rpc, const struct rpc_identity *self);
void rpc_serve(struct rpc *rpc, enum rpc_kind kind, rpc_handler_fn *fn, void *arg);
void rpc_set_known(struct rpc *rpc, bool (*knows)(void *arg, const struct rpc_identity *who),
                   void *arg);

/* Sends a request to `addr`, which the caller has read from the store, meant for the process with
 * `target_boot` (zero: nobody, it ends as UNREACHABLE). `done` runs exactly once, from the loop, never inside this call. A zero timeout is an error of
 * the caller (asserted). */
void rpc_start(struct rpc *rpc, struct rpc_call *call, const char *addr, struct uuid target_boot,
               enum rpc_kind kind, struct bytes payload, uint64_t timeout_ns, rpc_done_fn *done,
               void *arg);
/* Completes `call` soon with KELPIE_E_CANCELLED; harmless when it is not under way. */
void rpc_cancel(struct rpc_call *call);
void rpc_cancel_all(struct rpc *rpc);
/* Completes (soon) every call outstanding to that boot id as UNREACHABLE (a view without it). */
void rpc_fail_boot(struct rpc *rpc, struct uuid boot);
size_t rpc_outstanding(const struct rpc *rpc);

/* Answers a request: status 0 or an error code, payload borrowed. The request may be a copy that
 * outlived its handler (its payload may not). Answers after the deadline, and those whose connection
 * is gone, are not sent. */
void rpc_reply(struct rpc *rpc, const struct rpc_request *request, int status,
               struct bytes payload);

#endif
