/*
 * A store that was restored from a backup becomes a new epoch (docs/adr/0007-restored-store.md; not
 * actions of the specification). Numbers that only grow, terms, view numbers, incarnations,
 * generations, may have been handed out beyond what the backup says, by lives that the backup does
 * not know. So no node keeps a life, no actor a placement, and all numbers go on beyond a bound that
 * the lost time cannot have reached.
 *
 * An operator's program runs these in order, with no node alive: look, look again for a window, actors
 * page by page, nodes page by page, finish. Until finish has committed nobody can found: there are no
 * members, but the stored view still counts some. Who begins anew before that comes to the same epoch.
 */
#ifndef KELPIE_REGISTRY_RULES_RESTORED_H
#define KELPIE_REGISTRY_RULES_RESTORED_H

#include "cluster/rules.h"

/* Epoch e begins with the number e × EPOCH_STEP: more than one epoch hands out. */
#define EPOCH_STEP 1000000000u
#define RESTORED_PAGE 256    /* rows rewritten in one transaction; each may delete another */
#define PROBES_MAX NODES_MAX /* processes that were no members when the backup was made */

struct restored_op {
    const struct keyspace *ks;
    struct uuid new_cluster_id;
    bool again; /* look: compares with what was seen, and refuses when something moved */

    /* Seen by the first look. */
    uint64_t epoch; /* the new one */
    struct uuid old_cluster_id;
    uint32_t lease_ms; /* the longest of the nodes' */
    size_t heartbeat_count, probe_count;
    struct silence heartbeats[NODES_MAX];
    struct silence probes[PROBES_MAX]; /* incarnation 0 */

    /* A page: from `cursor` on, which the first page leaves empty. */
    struct key cursor;
    struct key next; /* where the next page starts */
    bool at_end;
    size_t rows; /* in this page */

    struct txn txn;
};

/* The first number of the next page or life: never below the epoch's, and beyond `last`. */
uint64_t epoch_beyond(uint64_t epoch, uint64_t last);

/* Reads who there is. Refused: there is no cluster; a heartbeat or probe moved since the first look. */
void restored_look_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg);
/* Releases the actors of a page, in a generation of the new epoch. */
void restored_actors_prepare(struct restored_op *op, const struct env *env, txn_fn *done,
                             void *arg);
/* Ends the lives of a page of nodes: Left, in an incarnation of the new epoch. */
void restored_nodes_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg);
/* A new cluster id, an empty view, no primary, a term of the new epoch; what belonged to lives is
 * gone. Refused as look, and when a node has come back to life meanwhile. */
void restored_finish_prepare(struct restored_op *op, const struct env *env, txn_fn *done,
                             void *arg);

#endif
