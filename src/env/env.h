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
#include "env/running.h"
#include "env/store.h"
#include "env/timer.h"

/* How the store has answered lately, for whoever tells people of it; the driver of transactions keeps it. By
 * this node's clock, 0: never. */
struct store_news {
    uint64_t answered_ns; /* a read or a commit, with whatever verdict */
    uint64_t failed_ns;   /* one was not answered in time, or could not be asked */
    uint64_t wrote_ns;    /* a commit */
    uint64_t full_ns;     /* a commit was refused because there is no room */
    uint64_t full_count;  /* so often */
};

struct env {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    struct random random;
    struct net net;
    struct store store;
    struct log log;
    struct running_told running;
    struct list *txns; /* transactions under way, for cancel at close; set by env_init */
    struct list txn_list;
    uint64_t *corrupt; /* records that were found not to decode, as often as that was; likewise */
    uint64_t corrupt_count;
    struct store_news *store_news; /* likewise */
    struct store_news store_news_kept;
};

/* Call once the tables are filled in; the env then stays where it is. */
void env_init(struct env *env);

static inline uint64_t env_now_ns(const struct env *env)
{
    return clock_now_ns(env->clock);
}

#endif
