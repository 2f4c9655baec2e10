/*
 * The seam: everything a node does to the world goes through these tables. Production binds them
 * to libevent, the system and a store; the simulator binds them to a simulated world.
 */
#ifndef KELPIE_ENV_ENV_H
#define KELPIE_ENV_ENV_H

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "env/clock.h"
#include "env/net.h"
#include "env/random.h"
#include "env/store.h"
#include "env/timer.h"

struct env {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    struct random random;
    struct net net;
    struct store store;
    struct log log;
    struct list *txns; /* transactions under way, for cancel at close; set by env_init */
    struct list txn_list;
    uint64_t *corrupt; /* records that were found not to decode, as often as that was; likewise */
    uint64_t corrupt_count;
};

/* Call once the tables are filled in; the env then stays where it is. */
void env_init(struct env *env);

static inline uint64_t env_now_ns(const struct env *env)
{
    return clock_now_ns(env->clock);
}

#endif
