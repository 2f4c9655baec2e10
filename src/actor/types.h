/*
 * Types that come and go while the node runs: the classes that actors_host() adds and actors_unhost() takes away.
 * What is hosted stands in a row of its own (registry/rules_types.h), changed at most once a heartbeat.
 */
#ifndef KELPIE_ACTOR_TYPES_H
#define KELPIE_ACTOR_TYPES_H

#include "actor/actor.h"
#include "registry/rules_types.h"

enum slot_state {
    SLOT_FREE,
    SLOT_FIXED,   /* of the node's start; in its node row */
    SLOT_HOSTED,  /* wanted; in the row, or about to be */
    SLOT_LINGERS, /* nobody wants it any more; it stays for a while yet */
    SLOT_GOES,    /* not wanted: out of the row, or about to be; then its actors are handed over */
    SLOT_STATE_COUNT
};

/* A place for a class in the actor floor's table. */
struct type_slot {
    enum slot_state state;
    const struct kelpie_class *given;
    actors_gone_fn *gone;
    void *arg;
    uint64_t until_ns; /* SLOT_LINGERS */
    bool listed;       /* its row says so: committed in this life */
    bool
        maybe; /* its row may say so: tried in this life, and no change without it was committed since */
};

struct types {
    struct type_slot slots[CLASS_COUNT_MAX];
    uint32_t linger_ms;
    uint64_t incarnation; /* of the life that `listed` and `maybe` speak of */
    uint64_t number;      /* of the last change that was tried */
    uint64_t next_ns;     /* not before that: the next one */
    struct host_types_args args;
    struct txn txn;
    struct timer timer;
};

#endif
