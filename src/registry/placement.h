/*
 * Placements: which node hosts an actor, in which generation. The rules (spec: PlaceActor,
 * ReleaseActor, MigrateActor, AbortMigration) and the choice of a host.
 */
#ifndef KELPIE_REGISTRY_PLACEMENT_H
#define KELPIE_REGISTRY_PLACEMENT_H

#include "cluster/cluster.h"
#include "env/txn.h"
#include "record/records.h"

/* A valid placement as found or made. */
struct placement {
    struct placement_record record;
    char addr[NET_ADDR_SIZE]; /* of the node that hosts it */
};

struct place_op;
typedef void place_fn(struct place_op *op, int status);

/* PlaceActor: finds the valid placement, or places the actor on `target`. Zero it, fill in the
 * first group, call place_start. status: 0, KELPIE_E_REFUSED (target not Active: choose another;
 * sentence in txn.reason), or a txn status. */
struct place_op {
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char target[NODE_ID_MAX + 1]; /* empty: look up only; NOT_FOUND when there is none */
    place_fn *done;
    void *arg;
    uint64_t give_up_ns;

    struct placement result;
    bool made; /* this operation placed it */

    const struct keyspace *ks;
    struct txn txn;
    int rule_status;
};
void place_start(struct place_op *op, const struct env *env, const struct keyspace *ks);

#endif
