/* Which nodes host a type, of those that come and go: for who has met one that does not. */
#ifndef KELPIE_ACTOR_TYPE_HOSTS_H
#define KELPIE_ACTOR_TYPE_HOSTS_H

#include "actor/actor.h"
#include "registry/policy.h"

/* Zero it, fill in the first group. `done` runs once: 0, or a txn status, and then nothing is known. */
struct type_hosts {
    struct actors *actors;
    const char *type; /* borrowed */
    void (*done)(struct type_hosts *h, int status);

    struct excluded
        nodes; /* members of the view that do; of more than EXCLUDED_MAX some at random */
    struct txn txn;
};
void type_hosts_start(struct type_hosts *h, uint64_t give_up_ns);

#endif
