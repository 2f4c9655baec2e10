/*
 * The rules of the cluster: one operation per action of spec/KelpieCluster.tla. An operation is
 * what goes in, what comes out, and the transaction; `X_prepare` sets the transaction up (what is
 * read, which rule), the caller fills in the first group before and calls txn_start after.
 *
 * Every rule is pure and recognises its own earlier commit. docs/protocol.md argues each one.
 */
#ifndef KELPIE_CLUSTER_RULES_H
#define KELPIE_CLUSTER_RULES_H

#include "cluster/poison.h"
#include "cluster/rows.h"
#include "cluster/state.h"
#include "env/txn.h"
#include "record/records.h"

/* One life of a node. */
struct life {
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
};

/* A heartbeat that an observer saw unchanged for the window. */
struct silence {
    struct life life;
    uint64_t counter;
    bool damaged; /* the row did not decode, and its bytes were the same for the window */
};

struct silences {
    const struct silence *items; /* borrowed until the operation completes */
    size_t count;
};

/* ---- NodeJoin ---- */
struct join_op {
    const struct keyspace *ks;
    const struct node_record *self; /* addresses, classes, boot; borrowed */
    const char *node_id;            /* borrowed */
    uint64_t known_incarnation;     /* the last one that this process held; 0: none */
    struct uuid new_cluster_id;     /* used where there is no format row yet */
    struct uuid known_cluster_id;   /* of the lives that this process held; zero: none */
    struct uuid home; /* the cluster, by its founding id, that the node is of; zero: any */

    uint64_t incarnation;
    enum node_state state; /* Joining, or Active for the founder */
    uint64_t view_number;  /* founder */
    uint64_t term;         /* founder */
    struct uuid cluster_id;
    uint32_t shards;
    struct uuid founded; /* the cluster's founding id, which a restore does not change */
    bool other_epoch;    /* refused because the store has another cluster id than the one known */

    struct txn txn;
};
void join_prepare(struct join_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- SweepNode (not in the spec: the row of a node that has left) ---- */
struct sweep_node_op {
    const struct keyspace *ks;
    struct life self; /* the primary */
    uint64_t term;
    struct life target;

    struct txn txn;
};
void sweep_node_prepare(struct sweep_node_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- NodeJoinComplete ---- */
struct join_complete_op {
    const struct keyspace *ks;
    struct life self;
    struct silences answered; /* Active nodes that answered directly within a lease */
    struct silences silent;   /* after a grey flag: those whose answers are not waited for */

    uint64_t view_number;

    struct txn txn;
};
void join_complete_prepare(struct join_complete_op *op, const struct env *env, txn_fn *done,
                           void *arg);
/* Indexes of its reads, for whoever builds the view from them. */
enum { JOIN_COMPLETE_NODES = 0 };

/* ---- NodeLeave ---- */
struct leave_op {
    const struct keyspace *ks;
    struct life self;
    bool even_last; /* also the last active node may leave */

    struct txn txn;
};
void leave_prepare(struct leave_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- NodeLeaveComplete ---- */
struct leave_complete_op {
    const struct keyspace *ks;
    struct life self;
    struct silences silent;

    struct txn txn;
};
void leave_complete_prepare(struct leave_complete_op *op, const struct env *env, txn_fn *done,
                            void *arg);

/* ---- SendHeartbeat ---- */
struct heartbeat_op {
    const struct keyspace *ks;
    struct life self;
    uint64_t sequence;
    uint64_t ack;
    uint64_t load;
    uint64_t wall_ms;
    const struct unreachable_peer *unreachable; /* borrowed until the operation completes */
    uint32_t unreachable_count;
    bool revives;  /* the lease had lapsed: the view is read again and acknowledged */
    uint64_t held; /* revives: the view that the node holds */
    struct uuid cluster_id;

    uint64_t view_number; /* revives: of the view that was read */
    size_t nodes_read;    /* where the node rows are, when it is not the one held; else 0 */
    size_t format_read;   /* for the rule */
    bool not_current;     /* refused because this life is over */
    bool other_epoch;     /* not current, because the store has another cluster id */
    bool healed;          /* one's own row failed its checksum, and was written anew */

    struct txn txn;
};
void heartbeat_prepare(struct heartbeat_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- a process that is no member yet (not in the spec: time only) ---- */
struct probe_op {
    const struct keyspace *ks;
    const char *node_id; /* borrowed */
    struct uuid boot;
    uint64_t sequence;

    struct txn txn;
};
void probe_prepare(struct probe_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- MarkNodeFailed ---- */
struct mark_failed_op {
    const struct keyspace *ks;
    struct life self;
    uint64_t term;
    struct silence target;

    bool failed; /* it was Failed in that life before */

    struct txn txn;
};
void mark_failed_prepare(struct mark_failed_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- FlagGrey (not in the spec: it refuses heartbeats, which may fail to happen) ---- */
struct flag_op {
    const struct keyspace *ks;
    struct life self; /* the primary */
    uint64_t term;
    struct life target;

    size_t accusers, observers; /* Active nodes that say they cannot reach it; that could say so */

    struct txn txn;
};
void flag_prepare(struct flag_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- MarkDeadAll ---- */
struct mark_dead_all_op {
    const struct keyspace *ks;
    const char *node_id; /* borrowed */
    struct uuid boot;
    struct uuid known_cluster_id; /* zero: none */
    struct silences silent;       /* every Active node, and the target */
    struct life target;

    bool failed; /* as above */

    struct txn txn;
};
void mark_dead_all_prepare(struct mark_dead_all_op *op, const struct env *env, txn_fn *done,
                           void *arg);

/* ---- NodeRecover ---- */
struct recover_op {
    const struct keyspace *ks;
    const char *node_id; /* borrowed */
    struct uuid boot;
    struct uuid known_cluster_id; /* zero: none */
    bool proven;                  /* `past` was silent for the window */
    struct silence past;          /* one's own past life */
    struct silences silent;

    enum node_state state; /* after it: Failed or Left */
    struct life life;      /* whose */
    struct life failed;    /* which it has failed, or may have; no id: none */
    bool other_epoch;      /* refused because the store has another cluster id than the one known */

    struct txn txn;
};
void recover_prepare(struct recover_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- DeclareDead ---- */
struct declare_dead_op {
    const struct keyspace *ks;
    const char *node_id; /* borrowed */
    struct uuid boot;
    struct uuid home;          /* the cluster that the node is of; zero: any */
    const struct blame *blame; /* borrowed: of whom the death is blamed; NULL: nobody */

    size_t blame_at; /* its read */
    struct blamed blamed;
    bool failed; /* a life of that boot was declared failed */
    uint64_t incarnation;
    bool left;    /* it had left */
    bool foreign; /* the store is of another cluster, or of none: nothing is written */

    struct txn txn;
};
void declare_dead_prepare(struct declare_dead_op *op, const struct env *env, txn_fn *done,
                          void *arg);

/* ---- Forget ---- */
struct forget_op {
    const struct keyspace *ks;
    struct life self; /* the primary */
    uint64_t term;
    struct life target;
    struct silences silent;

    struct txn txn;
};
void forget_prepare(struct forget_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- ForceForget ---- */
struct force_forget_op {
    const struct keyspace *ks;
    const char *target; /* borrowed */
    struct silences silent;

    bool primary_lives; /* refused because of it */
    size_t voters_before, voters_after;
    struct life failed; /* it was not Failed yet, and is with this commit; else no id */

    struct txn txn;
};
void force_forget_prepare(struct force_forget_op *op, const struct env *env, txn_fn *done,
                          void *arg);

/* ---- ElectPrimary ---- */
struct elect_op {
    const struct keyspace *ks;
    struct life self;
    uint64_t known_term;     /* of the last primary record that this node has seen */
    struct silences silent;  /* the old primary, if it was silent for the window */
    struct silences reached; /* Active nodes that answered within a lease, with their counters */

    uint64_t term;
    size_t voters, votes;
    struct life failed; /* the old primary, which this election failed; no id: none */

    struct txn txn;
};
void elect_prepare(struct elect_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- PrimaryStepDown ---- */
struct step_down_op {
    const struct keyspace *ks;
    struct life self;
    uint64_t term;

    struct txn txn;
};
void step_down_prepare(struct step_down_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- view changes that every Active node has acknowledged are struck (not in the spec) ---- */
struct trim_op {
    const struct keyspace *ks;
    struct life self;
    uint64_t term;

    struct txn txn;
};
#define VIEW_CHANGES_KEPT 64
void trim_prepare(struct trim_op *op, const struct env *env, txn_fn *done, void *arg);

/* ---- an operator raises the store's format (not in the spec) ---- */
struct raise_op {
    const struct keyspace *ks;
    uint64_t target; /* 0: only looks */

    uint64_t format; /* before; 0: there is no cluster */

    struct txn txn;
};
void raise_prepare(struct raise_op *op, const struct env *env, txn_fn *done, void *arg);
enum { RAISE_NODES = 1 }; /* its rows of nodes, there in `done` */

/* ---- shared by the rules (rules_common.c) ---- */

/* What a process remembers holds for another cluster id (`known`; zero: none): the store was restored from a
 * backup, and made a new epoch (docs/adr/0007-restored-store.md). */
#define NO_CLUSTER "the store holds no cluster any more under the prefix '%s'"
#define OTHER_EPOCH "the store was restored from a backup and is a new epoch"
bool other_epoch(const struct format_record *format, struct uuid known);
bool life_is(const struct node_record *r, const struct life *l);
struct life life_of_row(const char *node_id, const struct node_record *r);
/* The primary record names that life. */
bool primary_is(const struct primary_record *p, const char *node_id, const struct node_record *r);
/* The founding id of the cluster that the store holds. 1, or 0 when it holds none, or an error. */
int load_home(struct rule_ctx *ctx, size_t format_read, size_t founded_read,
              struct uuid *home) MUST_USE;
/* Spec Held: the primary row names `self` with that term, and self is Active in that life. COMMIT, or
 * REFUSE. */
enum verdict primary_holds(struct rule_ctx *ctx, size_t primary_read, size_t self_read,
                           const struct life *self, uint64_t term);
/* The next view: with or without `id`; writes the view row and the change row, returns its number. */
uint64_t write_view(struct rule_ctx *ctx, const struct keyspace *ks, const struct view_record *view,
                    enum view_change_kind kind, const char *id, const struct node_record *r);
/* Spec Fail: Failed, and a view without it. */
void write_fail(struct rule_ctx *ctx, const struct keyspace *ks, const struct view_record *view,
                const char *id, struct node_record *r);
void write_vacant(struct rule_ctx *ctx, const struct keyspace *ks, struct primary_record *p);
const struct silence *silence_find(const struct silences *s, const char *node_id);
/* Spec Acked: every Active node has acknowledged a view at or after `gone`, or was silent for the
 * window and its heartbeat has not moved since. 1 yes, 0 no (the reason is set), < 0 corrupt. */
int acked_by_all(struct rule_ctx *ctx, const struct keyspace *ks, size_t nodes_read,
                 size_t heartbeats_read, const struct silences *silent, uint64_t gone) MUST_USE;
/* Adds a read of all heartbeats, as a snapshot, and then conflicting reads of those of the silent
 * nodes, so that one that moves conflicts; when these are too many, of all heartbeats. */
void read_heartbeats(struct txn *t, const struct keyspace *ks, const struct silences *silent);
/* 1 when the heartbeat row is still as it was seen. */
int still_silent(const struct heartbeat_record *h, const struct silence *s);
/* A member's share of the view's hash; the sum over the members is the hash. */
void member_hash(const char *node_id, uint64_t incarnation, uint64_t *hi, uint64_t *lo);

#endif
