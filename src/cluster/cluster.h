/*
 * The cluster floor: this node's membership, its lease, the view, the primary.
 *
 * All of it runs on the node's loop. The rules are pure functions (rules.h); this object decides
 * when to run them, and what the node may do: cluster_may_act() is the one question that the floors
 * above ask before anything leaves the node.
 */
#ifndef KELPIE_CLUSTER_CLUSTER_H
#define KELPIE_CLUSTER_CLUSTER_H

#include "base/list.h"
#include "cluster/health.h"
#include "cluster/poison.h"
#include "cluster/timing.h"
#include "env/env.h"
#include "record/keys.h"
#include "record/records.h"
#include "rpc/rpc.h"

struct cluster;

/* A member of the view, as this node holds it. */
struct member {
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
    char addr[NET_ADDR_SIZE];
};

struct view {
    uint64_t number; /* 0: none */
    size_t count;
    struct member *members; /* sorted by id */
};

struct cluster_config {
    struct keyspace ks;
    char node_id[NODE_ID_MAX + 1];
    char addr[NET_ADDR_SIZE];
    char http_addr[NET_ADDR_SIZE];
    struct uuid boot;
    struct uuid
        home; /* the cluster that the node was of, by its founding id: it joins and founds no
                         other; zero: any */
    struct timing timing;
    uint32_t class_count;
    const char *const *classes;
};

/* What the cluster tells the floors above; runs on the loop. Any may be NULL. */
struct cluster_events {
    /* The lease ran out or this life was declared failed: stop acting now, drop every activation
     * without a word to the store (spec: Notice; NodeRecover follows when it was failed). */
    void (*suspend)(void *arg);
    /* The node may act (again): it is Active or Leaving with a running lease. */
    void (*resume)(void *arg);
    /* The view changed. `gone`: boot ids that are no longer in it. */
    void (*view_changed)(void *arg, const struct view *view, const struct member *gone,
                         size_t gone_count);
    /* This node became primary with that term, or (term 0) stopped being it. */
    void (*primary_changed)(void *arg, uint64_t term);
    /* The node is Leaving: hand over the actors, then call cluster_drained(). */
    void (*drain)(void *arg);
    /* The node has left for good (after cluster_leave): it can be closed. */
    void (*left)(void *arg);
    /* Another live process has this node's id; `addr` says where. The process should end. */
    void (*twin)(void *arg, const char *addr);
    /* The store was restored from a backup: it is another epoch than this process has lived in. The
     * process should end, and another one be started. */
    void (*other_epoch)(void *arg);
    /* For the event feed and the log: how grave it is, a snake_case name and key=value fields. */
    void (*event)(void *arg, enum log_level level, const char *name, const char *fields);
    /* Bytes free where the store lies, UINT64_MAX when it is not known. */
    uint64_t (*store_room)(void *arg);
    /* The node is of that cluster (its founding id, which a restore does not change) from now on: said
     * with each join, to be remembered for config.home. */
    void (*at_home)(void *arg, struct uuid home);
    /* The load written into heartbeats. */
    uint64_t (*load)(void *arg);
};

struct cluster *cluster_new(const struct env *env, struct rpc *rpc,
                            const struct cluster_config *config,
                            const struct cluster_events *events, void *arg);
/* Starts joining; from then on the node does by itself whatever makes it Active. */
void cluster_start(struct cluster *c);
/* Leaves: Active -> Leaving, `drain`, … `left`. Refused (REFUSED, sentence in why) for the last
 * active node unless `even_last`: then its actors are released. */
int cluster_leave(struct cluster *c, bool even_last, char *why, size_t why_size) MUST_USE;
/* The floors above have nothing placed here any more. */
void cluster_drained(struct cluster *c);
/* Cancels what is under way; `cluster_idle` is true once all completions have run. */
void cluster_close(struct cluster *c);
bool cluster_idle(const struct cluster *c);
void cluster_free(struct cluster *c);

/* True when this node, by a clock read inside this call, holds its lease and is Active or Leaving.
 * When the lease has just run out this call itself suspends the node (events->suspend). */
bool cluster_may_act(struct cluster *c);
/* Also Active: may become host of further actors. */
bool cluster_may_host(struct cluster *c);

enum node_state cluster_state(const struct cluster *c);
uint64_t cluster_incarnation(const struct cluster *c);
const struct view *cluster_view(const struct cluster *c);
const struct cluster_config *cluster_config_of(const struct cluster *c);
struct uuid cluster_id(const struct cluster *c);
/* Of messages (docs/schema.md); as the store says since this node has joined. */
uint32_t cluster_shards(const struct cluster *c);
/* The term that this node claims, 0 when it is not primary. */
uint64_t cluster_claim(const struct cluster *c);
/* The primary as last read: false when vacant or unknown. */
bool cluster_primary(const struct cluster *c, struct primary_record *out);
/* Nanoseconds of lease left, 0 when it is not running. */
uint64_t cluster_lease_left_ns(const struct cluster *c);
/* Why the node is not Active or may not act, or why there is no primary that lives: the last refusal;
 * "" when all is well. */
const char *cluster_reason(const struct cluster *c);
/* Once a heartbeat interval, whether the store answers or not: looks at what may be missing (a primary, a
 * majority, the store, its room), and tells once when it goes and once when it is back. */
void cluster_tick(struct cluster *c);
/* What is missing, as last told. */
void cluster_health(struct cluster *c, struct health_report *out);
/* While a loss is told, and nobody can declare anything: that member was silent for its window. */
bool cluster_member_silent(const struct cluster *c, const struct member *m);
/* A loss of primary or majority was told, and no return yet. */
bool cluster_misses(const struct cluster *c);
/* There is a living primary, as far as this node knows now. */
bool cluster_led(struct cluster *c);
/* For how long that life's heartbeat was seen not to move, and whether that is its window. False: it is
 * not known, since nothing was read of it twice. */
bool cluster_unmoved(const struct cluster *c, const char *node_id, uint64_t incarnation,
                     struct uuid boot, uint64_t *ns, bool *silent);
/* Reads all heartbeats anew, at most once a heartbeat interval: somebody wants to know. */
void cluster_look(struct cluster *c);
/* Bytes free where the store lies, UINT64_MAX: not known; whether it is full, as last told. */
uint64_t cluster_store_room(const struct cluster *c);
bool cluster_store_full(const struct cluster *c);
/* An event of a floor above, into the log and the feed. */
void cluster_tell(struct cluster *c, enum log_level level, const char *name, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Latest load of a member as read from its heartbeat; 0 when unknown. */
uint64_t cluster_member_load(const struct cluster *c, const char *node_id);
const struct member *view_find(const struct view *v, const char *node_id);
/* That life is in the view, or in the rows of nodes as this node last read them. */
bool cluster_knows(const struct cluster *c, const char *node_id, struct uuid boot);

/* Operators' actions, run by this node against the store. `done` runs once with 0 or an error and a
 * sentence. */
typedef void cluster_op_fn(void *arg, int status, const char *why);
void cluster_forget(struct cluster *c, const char *node_id, bool force, cluster_op_fn *done,
                    void *arg);

struct cluster_stats {
    uint64_t heartbeats, heartbeat_retries, elections_won, elections_tried, step_downs, suspends,
        joins, failures_declared, nodes_flagged, nodes_swept, view_changes_seen;
};
const struct cluster_stats *cluster_stats(const struct cluster *c);

/*
 * DeclareDead, for a supervisor: one transaction, tried until it succeeds. It knows that the
 * process with `boot` is dead. In a store of another cluster than `home` (zero: any), or of none, it
 * writes nothing. Works on an env of its own; no cluster object is needed. With `blame` (copied; NULL: nobody is
 * blamed) what the process ended in is noted in the same transaction, so whoever may run it next knows.
 */
struct declare_dead;
struct declare_dead *declare_dead_start(const struct env *env, const struct keyspace *ks,
                                        const char *node_id, struct uuid boot, struct uuid home,
                                        const struct blame *blame,
                                        void (*done)(void *arg, int status, const char *why),
                                        void *arg);
/* From `done` on: the incarnation that was declared failed, by this or before; 0: none. */
uint64_t declare_dead_failed(const struct declare_dead *d);
/* Likewise: what became of the blame. */
const struct blamed *declare_dead_blamed(const struct declare_dead *d);
/* That life had left the cluster before, in an orderly way. */
bool declare_dead_found_left(const struct declare_dead *d);
void declare_dead_free(struct declare_dead *d); /* after done */

#endif
