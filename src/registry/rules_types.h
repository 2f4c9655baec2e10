/*
 * The types that a node hosts beside those of its node row: they come and go while it runs, in a row of its
 * own (docs/schema.md) that PlaceActor and MigrateActor read of their target. Who elects, joins, leaves or
 * declares a failure reads none of these rows: a node whose types change conflicts with nobody's membership.
 */
#ifndef KELPIE_REGISTRY_RULES_TYPES_H
#define KELPIE_REGISTRY_RULES_TYPES_H

#include "registry/placement.h"

/* HostTypes. `number` grows with each change that this life of the node tries, whether or not it lands: one whose
 * result was not learned is never taken for a later one, even when both want the same types. */
struct host_types_args {
    const struct keyspace *ks;
    struct host self;
    uint64_t number;
    uint32_t count;
    struct hosted_type types[CLASS_COUNT_MAX];
};
rule_fn rule_host_types;
void host_types_txn(struct txn *t, const struct env *env, struct host_types_args *args,
                    txn_fn *done, void *arg);

#endif
