/*
 * What an activation does with the store: loading its state (spec: Activate), committing a message
 * (spec: CommitWrite), and the primary's sweep of dead incarnations' rows.
 */
#ifndef KELPIE_REGISTRY_RULES_ACTOR_H
#define KELPIE_REGISTRY_RULES_ACTOR_H

#include "registry/placement.h"
#include "registry/rules_message.h"

/* An actor's head row and state rows (the bounds are the actor floor's). */
#define LOAD_ROWS_MAX 1024

/* Activate. Writes nothing: placement and state are read in one snapshot, so the state is no older
 * than the placement. Of the requests that the actor remembers nothing is read, unless they are in
 * slots of format 1. */
struct load_args {
    struct actor_ref ref;
    struct host self;
    uint32_t shards;

    enum place_outcome outcome; /* PLACE_FOUND or PLACE_NOT_MINE */
    struct placement_record placement;
    bool
        never_was; /* PLACE_NOT_MINE: there is no row of the actor, in the store that `self` is a member in */
    bool has_head;
    struct head_record head;
    bool has_slots; /* rule_rows(txn, LOAD_READ_SLOTS) */
    bool has_mail;  /* there is something in its inbox */
};
#define LOAD_READ_STATE 1 /* its rows are there in `done`: rule_rows(txn, LOAD_READ_STATE) */
#define LOAD_READ_INBOX 3
#define LOAD_READ_POISON 4
#define LOAD_READ_SLOTS 5
#define LOAD_READ_SELF 5 /* where the actor is placed nowhere and never was */
rule_fn rule_load_actor;
void load_txn(struct txn *t, const struct env *env, struct load_args *args, txn_fn *done,
              void *arg);

/* One change of the actor's state. */
struct state_write {
    struct bytes key;
    struct bytes value;
    bool present; /* false: the key is deleted */
};

/* A request of the batch; its row goes to the head's last bucket. */
struct commit_request {
    struct uuid hash;
    struct remembered_record record;
};

/* CommitWrite: the turns of one batch. `head` is the head row as it will be; its number is one more
 * than that of the stored one. `outcome`: PLACE_MADE, or PLACE_NOT_MINE when it was fenced. */
struct commit_args {
    struct actor_ref ref;
    struct host self;
    struct head_record head;
    const struct state_write *writes;
    size_t write_count;
    bool whole; /* `writes` are all state rows there are to be: the others are deleted */
    const struct commit_request *requests;
    size_t request_count;
    const uint64_t *forgotten; /* buckets */
    size_t forgotten_count;
    bool forget_slots; /* those of format 1 */
    struct commit_messages messages;
    bool erased; /* by its last turn: there is no state, and what waits for the actor is void */

    enum place_outcome outcome;
};
rule_fn rule_commit_actor;
void commit_txn(struct txn *t, const struct env *env, struct commit_args *args, txn_fn *done,
                void *arg);

/* FindRequest: whether a request is remembered in one of these buckets. Writes nothing. */
struct find_args {
    struct actor_ref ref;
    struct uuid hash; /* of the request id */
    uint64_t buckets[HEAD_BUCKETS_MAX];
    size_t bucket_count;

    bool found;
    uint64_t bucket;
    struct remembered_record record; /* its reply is borrowed: valid in `done` */
};
rule_fn rule_find_request;
void find_txn(struct txn *t, const struct env *env, struct find_args *args, txn_fn *done,
              void *arg);

/* SweepPlacements: one batch of by-node rows, from `cursor` on, before `end`. */
#define SWEEP_ROWS 16
struct sweep_args {
    const struct keyspace *ks;
    struct host self; /* primary with that term */
    uint64_t term;
    struct key cursor, end;

    struct key next; /* where the next batch starts */
    bool at_end;
    uint32_t voided;     /* placements in this batch that named a dead incarnation */
    bool passed_corrupt; /* a row of this batch fails its checksum, and was left as it is */
    bool
        passed_leaving; /* the batch is of a life that is leaving: it hosts, and is about to be over */
    char leaving[NODE_ID_MAX + 1]; /* that one */

    /* What the rule asked for beyond its own reads: the node, then the placement of each row. */
    size_t extra_base;
    struct key asked[SWEEP_ROWS];
    size_t asked_count;
};
rule_fn rule_sweep_placements;
void sweep_txn(struct txn *t, const struct env *env, struct sweep_args *args, txn_fn *done,
               void *arg);

/* Lists the placements of one incarnation (of a type, or NULL: of all): at most `limit` by-node rows from its
 * start, there in `done` as rule_rows(txn, 0). Writes nothing. */
void list_txn(struct txn *t, const struct env *env, const struct keyspace *ks,
              const struct host *host, const char *type, uint32_t limit, txn_fn *done, void *arg);

#endif
