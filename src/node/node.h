/*
 * A node: cluster + registry + actors + rpc on one env. kelpied, the tests and the simulator all
 * make exactly this object; many of them live in one simulator process.
 */
#ifndef KELPIE_NODE_NODE_H
#define KELPIE_NODE_NODE_H

#include "actor/actor.h"
#include "cluster/cluster.h"
#include "env/env.h"
#include "record/message_ref.h"
#include "worker/hub.h"

struct node;

struct node_config {
    struct cluster_config cluster;
    struct actors_config actors;
    char replaces[NODE_ID_MAX + 1]; /* a node whose place this one takes (replace.h); "": none */
};

struct node_events {
    void (*left)(void *arg);                      /* after node_leave: close it */
    void (*twin)(void *arg, const char *addr);    /* a live node has this id: end the process */
    void (*other_epoch)(void *arg);               /* the store was restored: end, and start anew */
    void (*at_home)(void *arg, struct uuid home); /* see cluster_events */
    void (*alive)(void *arg); /* each turn of the node's heartbeat timer: a sign of
                                                  life for a watchdog */
    /* The lease ran out, or the process stood still for longer than a client's socket may hold a request
     * (REMEMBER_SOCKET_MS): what lies in clients' connections must not be taken for young. Closes them unread,
     * those not yet accepted too, before it returns. */
    void (*drop_clients)(void *arg);
    /* The event feed: `seq` grows by one; fields are key=value pairs. */
    void (*event)(void *arg, uint64_t seq, enum log_level level, const char *name,
                  const char *fields);
    uint64_t (*store_room)(void *arg); /* see struct cluster_events; NULL: not known */
};

/* `env` (initialised) and `events` outlive the node. The config is copied; classes stay valid. */
struct node *node_new(const struct env *env, const struct node_config *config,
                      const struct node_events *events, void *arg);
void node_start(struct node *n);
/* To be called when bytes have come from clients, before they are looked at: the timers that tell of a lease that
 * ran out, and of a process that stood still, may not have had their turn. Calls drop_clients then. */
void node_notice(struct node *n);
/* See cluster_leave. */
int node_leave(struct node *n, bool even_last, char *why, size_t why_size) MUST_USE;
/* Cancels everything; `closed` runs, from the loop, when the node may be freed. */
void node_close(struct node *n, void (*closed)(void *arg), void *arg);
void node_free(struct node *n);

struct cluster *node_cluster(struct node *n);
struct actors *node_actors(struct node *n);
struct hub *node_hub(struct node *n);
struct rpc *node_rpc(struct node *n);
/* Administrative requests from others that are looked up at once. */
const struct cap *node_admin_cap(const struct node *n);
const struct env *node_env(const struct node *n);
const struct keyspace *node_keyspace(const struct node *n);

/* Reads a range of rows once (for listings), at most `limit` rows; `done` runs once. Rows are
 * borrowed for the call. */
typedef void node_rows_fn(void *arg, int status, const struct store_row *rows, size_t count,
                          bool more);
void node_read_rows(struct node *n, const struct key_range *range, uint32_t limit,
                    node_rows_fn *done, void *arg);
/* TendMessage (registry/rules_letter.h): NOT_FOUND when the actor has no such message. `done` runs once, never
 * inside the call. */
void node_tend_message(struct node *n, const char *type, const char *id,
                       const struct message_ref *ref, bool again, cluster_op_fn *done, void *arg);
/* LiftPoison (cluster/poison.h): what is blamed of that method (NULL: of all of the actor) is so no more; NOT_FOUND
 * when nothing is. `done` as above. */
void node_lift_poison(struct node *n, const char *type, const char *id, const char *method,
                      cluster_op_fn *done, void *arg);
/* Strikes a failed node off: by the primary, wherever it is, or (`force`, where there is none) by
 * this node, after a window of watching. `done` runs once, perhaps inside the call, with a sentence. */
void node_forget(struct node *n, const char *node_id, bool force, cluster_op_fn *done, void *arg);
/* node_leave() on another node, by RPC; `done` as above. */
void node_drain_other(struct node *n, const char *node_id, cluster_op_fn *done, void *arg);

#endif
