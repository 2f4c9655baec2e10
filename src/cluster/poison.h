/*
 * Callbacks of actors that end processes of nodes, as rows of the store (docs/adr/0023-quarantine.md): who saw
 * such a death blames what ran, who loads the actor reads that, and what ended two processes is not run for
 * a while. All times are ms of the wall clock: `now_ms` is the writer's.
 */
#ifndef KELPIE_CLUSTER_POISON_H
#define KELPIE_CLUSTER_POISON_H

#include "env/running.h"
#include "env/txn.h"
#include "record/records.h"

#define POISON_ROWS_MAX 16 /* of one actor; one more method, and it is the whole actor */
#define POISON_DEATHS_MIN                                                                          \
    2 /* so many, and it is not run for a while: a unit (timing.quarantine_ms); */
#define POISON_UNITS_MAX 60 /* it doubles with each one more, to this */
#define POISON_UNITS_KEPT                                                                          \
    60 /* so long after its quarantine, or its last death, a row says nothing */
#define POISON_UNITS_FORGIVE 1 /* who returns so long after the last death is forgiven */
#define POISON_UNITS_APART                                                                         \
    1 /* farther ahead than can be, a clock was wrong: the row says nothing */

/* Of whom a death is blamed. */
struct blame {
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[ACTOR_METHOD_MAX + 1]; /* "": all of the actor */
    char callback[CALLBACK_NAME_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1]; /* "": none */
    struct uuid boot; /* of the process that ended: each counts once, however often it is blamed */
    uint64_t now_ms;
    uint32_t unit_ms; /* timing.quarantine_ms */
};

/* What the row says then; all zero: nothing was written. */
struct blamed {
    uint32_t deaths;
    uint64_t until_ms; /* 0: it may run */
    bool whole;        /* so many of the actor's methods do it that all of it is blamed */
};

/* The names of what a process ran when it ended. False when that is no actor's: whatever is in `r` may come from a
 * process that was damaged. The rest is the caller's to fill in. */
bool blame_of(const struct running *r, struct blame *out);

/* As part of another rule, such as DeclareDead: the read, which it adds last, and in the rule the write. Returns the
 * index of the read. Never keeps the other rule from committing. */
size_t blame_read(struct txn *t, const struct keyspace *ks, const struct blame *b);
void blame_write(struct rule_ctx *ctx, size_t read, const struct keyspace *ks,
                 const struct blame *b, struct blamed *out);

/* By itself, for whoever sees a death that DeclareDead does not tell of. */
struct blame_op {
    const struct keyspace *ks;
    struct blame blame;

    struct blamed blamed;

    struct txn txn;
};
void blame_prepare(struct blame_op *op, const struct env *env, txn_fn *done, void *arg);

/* What a row says at that time: it is not run; there might as well be no row. */
bool poison_holds(const struct poison_record *r, uint64_t now_ms, uint32_t unit_ms);
bool poison_is_stale(const struct poison_record *r, uint64_t now_ms, uint32_t unit_ms);
/* A callback of that name, whose row this is, has returned: it goes. */
bool poison_is_forgiven(const struct poison_record *r, const char *callback, uint64_t now_ms,
                        uint32_t unit_ms);

/* Reads an actor's rows again; one of them goes, if it is still the one with that boot id. */
struct forgive_op {
    const struct keyspace *ks;
    const char *type, *id; /* borrowed */
    const char *method;    /* borrowed; NULL: it only reads */
    struct uuid boot;

    bool forgiven;

    struct txn txn; /* its rows are there in `done`: rule_rows(txn, 0), read before that one went */
};
void forgive_prepare(struct forgive_op *op, const struct env *env, txn_fn *done, void *arg);

/* An operator lifts it: of one method, or all rows of the actor. Refused when there is none. */
struct lift_op {
    const struct keyspace *ks;
    const char *type, *id; /* borrowed */
    const char *method;    /* borrowed; NULL: all */

    size_t lifted;
    bool tried; /* an attempt before would have done it */
};
void lift_prepare(struct lift_op *op, struct txn *t, const struct env *env, txn_fn *done,
                  void *arg);

/* Stale rows go, a page at a time. */
#define POISON_PAGE 64
struct sweep_poison_op {
    const struct keyspace *ks;
    struct key cursor, end;
    uint64_t now_ms;
    uint32_t unit_ms;

    struct key next; /* where the next page begins */
    bool at_end;
    size_t held;  /* of this page, so many are not to be run now */
    size_t swept; /* and so many went */

    struct txn txn;
};
void sweep_poison_prepare(struct sweep_poison_op *op, const struct env *env, txn_fn *done,
                          void *arg);

#endif
