/* The sweep of passive actors, by the primary (passive.c). */
#ifndef KELPIE_ACTOR_PASSIVE_H
#define KELPIE_ACTOR_PASSIVE_H

#include "base/map.h"
#include "env/txn.h"
#include "registry/rules_passive.h"

#define PASSIVE_SEEN_MAX 32768u /* actors that are watched at a time */
#define PASSIVE_PAGE_PAUSE_NS (100 * NS_PER_MS)
#define PASSIVE_SWEEPS_MAX 8 /* actors that are swept at a time */
#define PASSIVE_PASS_NS                                                                            \
    (10 * NS_PER_S) /* from one pass over all placements to the next, at least */

/* One actor that is swept. */
struct passive_slot {
    struct actors *actors;
    struct sweep_actor_args args; /* its name is one of look.found */
    struct txn txn;
};

struct passive_sweep {
    uint64_t term; /* 0: not primary */
    uint64_t pass;
    uint64_t pass_ns; /* when it began */
    struct map seen;  /* by a hash of the name */
    size_t noted;     /* in this pass */
    struct look_args look;
    size_t at; /* of look.found: those before are passed by, or under way, or swept */
    struct txn txn;
    struct passive_slot slots[PASSIVE_SWEEPS_MAX];
    struct timer timer;
    uint64_t forgot, struck; /* so often */
};

#endif
