/*
 * Placements: which node hosts an actor, in which generation. The rules (spec: PlaceActor,
 * ReleaseActor, MigrateActor/CommitMove, AbortMove) and finding or making a placement.
 *
 * A rule's arguments are one struct: what the caller fills in, and what the rule found out. Each
 * has a function that sets up its transaction; the caller sets options and starts it.
 */
#ifndef KELPIE_REGISTRY_PLACEMENT_H
#define KELPIE_REGISTRY_PLACEMENT_H

#include "cluster/cluster.h"
#include "env/txn.h"
#include "record/records.h"

/* A valid placement as found or made. */
struct placement {
    struct placement_record record;
    char addr[NET_ADDR_SIZE]; /* of the node that hosts it; "" when not known */
};

/* Which actor. Strings are borrowed and outlive the transaction. */
struct actor_ref {
    const struct keyspace *ks;
    const char *type;
    const char *id;
};

/* One life of a node, as a placement names it. */
struct host {
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
};

bool host_equal(const struct host *a, const struct host *b);
/* The placement is placed, and on exactly that life of that node. */
bool placement_is_on(const struct placement_record *p, const struct host *host);
struct host placement_host(const struct placement_record *p);
/* The node of that row hosts in the placement's incarnation and boot id (spec: Hosting). */
bool node_hosts(const struct node_record *node, const struct placement_record *p);
/* That life of a node hosts actors of the type: from its start, or at present by its types row (spec:
 * Types); a row of another life of the node says nothing. */
bool node_has_type(const struct node_record *node, const struct types_record *types,
                   const char *type);

enum place_outcome {
    PLACE_UNDECIDED,
    PLACE_FOUND,       /* there is a valid placement: `result` */
    PLACE_MADE,        /* placed on the target: `result` */
    PLACE_NONE,        /* looked up only, and there is none */
    PLACE_TARGET_GONE, /* the target is not Active */
    PLACE_NO_CLASS,    /* the target does not host actors of this type */
    PLACE_NOT_MINE,    /* the placement is elsewhere, or void: `result` is what it is */
};

/* PlaceActor. */
struct place_args {
    struct actor_ref ref;
    char target[NODE_ID_MAX + 1]; /* empty: look up only */

    enum place_outcome outcome;
    struct placement result;

    char asked_node[NODE_ID_MAX + 1]; /* whose row the rule asked for */
    size_t asked_index;
};
rule_fn rule_place_actor;
void place_txn(struct txn *t, const struct env *env, struct place_args *args, txn_fn *done,
               void *arg);

/* ReleaseActor, MigrateActor (spec: CommitMove) and AbortMigration (spec: AbortMove): what a host
 * does with a placement of its own, in that generation. */
struct own_args {
    struct actor_ref ref;
    struct host self;
    uint64_t generation;
    char target[NODE_ID_MAX + 1]; /* MigrateActor only */

    enum place_outcome outcome;
    struct placement result; /* the placement as it is now */
};
rule_fn rule_release_actor;
rule_fn rule_migrate_actor;
rule_fn rule_abort_migration;
void release_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done,
                 void *arg);
void migrate_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done,
                 void *arg);
void abort_txn(struct txn *t, const struct env *env, struct own_args *args, txn_fn *done,
               void *arg);

/* For rules: reads the placement row of read `index`. A row that is not there is generation 0, not
 * placed. Returns 0 or the decoder's error. */
int placement_read(struct rule_ctx *ctx, size_t index, const struct actor_ref *ref,
                   struct placement_record *out) MUST_USE;
void placement_write(struct rule_ctx *ctx, const struct actor_ref *ref,
                     const struct placement_record *p);
/* The same for a node's row; *found says whether there is one. */
int node_row_read(struct rule_ctx *ctx, size_t index, const struct keyspace *ks,
                  const char *node_id, struct node_record *out, bool *found) MUST_USE;

/* And for its types row, absent or of an earlier life alike: zero. */
int types_row_read(struct rule_ctx *ctx, size_t index, const struct keyspace *ks,
                   const char *node_id, struct types_record *out) MUST_USE;

struct place_op;
typedef void place_fn(struct place_op *op, int status);

/* Finds the valid placement, or places the actor on `target`. Zero it, fill in the first group,
 * call place_start. status: 0; KELPIE_E_NOT_FOUND (looked up only); KELPIE_E_REFUSED (the target
 * cannot host it: choose another; why in `outcome` and txn.reason); or a txn status. */
struct place_op {
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char target[NODE_ID_MAX + 1]; /* empty: look up only */
    place_fn *done;
    void *arg;
    uint64_t give_up_ns;

    struct placement result;
    enum place_outcome outcome;
    bool made; /* this operation placed it */

    struct place_args args;
    struct txn txn;
};
void place_start(struct place_op *op, const struct env *env, const struct keyspace *ks);

#endif
