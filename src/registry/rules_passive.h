/*
 * Actors that are placed nowhere: what they remember is let go in time, and those that have no state any
 * more, or whose class says so, go with all their rows (docs/adr/0021-erase-and-expiry.md).
 */
#ifndef KELPIE_REGISTRY_RULES_PASSIVE_H
#define KELPIE_REGISTRY_RULES_PASSIVE_H

#include "registry/placement.h"

#define PASSIVE_ROWS 40      /* placements in one look */
#define SWEEP_IDS_MAX 16384u /* remembered requests that one sweep deletes, if it can choose */

/* An actor that is placed nowhere, as one look saw it. */
struct passive {
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    uint64_t generation;
    bool has_head, damaged;  /* damaged: the head row cannot be read */
    struct head_record head; /* zero without */
};

/* LookPassive: a page of placements from `cursor` on; of those that are placed nowhere, the head rows. Writes
 * nothing; snapshots, for each is looked at again before anything is done about it. */
struct look_args {
    const struct keyspace *ks;
    struct key cursor, end;

    struct key next;
    bool at_end;
    struct passive found[PASSIVE_ROWS];
    size_t count;

    size_t extra_base;
    struct key asked[PASSIVE_ROWS];
    size_t asked_count;
};
rule_fn rule_look_passive;
void look_txn(struct txn *t, const struct env *env, struct look_args *args, txn_fn *done,
              void *arg);

enum passive_outcome {
    PASSIVE_CHANGED, /* it is not as it was seen: nothing is done */
    PASSIVE_LEFT,    /* there are rows of format 1, or ones that cannot be: nothing is done */
    PASSIVE_FORGOT,  /* some or all of what it remembers is gone */
    PASSIVE_STRUCK,  /* it is gone */
};

/* SweepActor. The caller has seen it placed nowhere in that generation, with that number in its head row (0:
 * none), and nothing else, for `waited_ms` by its own clock: longer than the distance of the horizon. */
struct sweep_actor_args {
    struct actor_ref ref;
    uint64_t generation, number;
    uint64_t waited_ms;
    bool expired; /* also if it has state */

    enum passive_outcome outcome;
    uint64_t number_now;
};
rule_fn rule_sweep_actor;
void sweep_actor_txn(struct txn *t, const struct env *env, struct sweep_actor_args *args,
                     txn_fn *done, void *arg);

#endif
