/* What befalls the simulated FoundationDB as a whole: recoveries, death, throttling, a lock. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define REFUSED_IN 8 /* read versions that a throttling cluster refuses */

static void count(unsigned *n, bool on)
{
    CHECK(on || *n > 0);
    *n += on ? 1u : 0u - 1u;
}

void sim_fdb_calm(struct sim_fdb *c)
{
    c->calm = true;
}

/* ---- recovery */

void sim_fdb_recovery_begin(struct sim_fdb *c, bool reads)
{
    sim_commits_lose(c);
    c->recoveries++;
    c->recoveries_whole += !reads;
    c->stats.recoveries++;
}

/* What was read before is too old from now on. */
void sim_fdb_recovery_end(struct sim_fdb *c, bool reads)
{
    CHECK(c->recoveries > 0 && (reads || c->recoveries_whole > 0));
    c->recoveries--;
    c->recoveries_whole -= !reads;
    c->base += SIM_FDB_JUMP;
    sim_commits_wake(c);
}

static void on_recovered(void *arg)
{
    sim_fdb_recovery_end(arg, false);
}

void sim_fdb_recover(struct sim_fdb *c, uint64_t ns)
{
    if (!c->recovery.armed)
        sim_fdb_recovery_begin(c, false);
    timer_start(&c->recovery, ns);
}

void sim_trouble_init(struct sim_fdb *c)
{
    timer_init(&c->recovery, c->o.timers, "fdb_recovery", on_recovered, c);
}

/* ---- the rest */

void sim_fdb_cut(struct sim_fdb *c, bool cut)
{
    if (cut)
        sim_commits_lose(c);
    count(&c->cuts, cut);
    if (c->cuts > 0 || cut)
        return;
    c->base += SIM_FDB_JUMP;
    sim_watches_fire(c);
    sim_commits_wake(c);
}

void sim_fdb_throttle(struct sim_fdb *c, uint64_t ns_max, bool on)
{
    count(&c->throttles, on);
    c->throttle_ns_max = ns_max;
}

void sim_fdb_lock(struct sim_fdb *c, bool on)
{
    count(&c->locks, on);
}

uint64_t sim_trouble_version_delay(struct sim_fdb *c)
{
    uint64_t more = c->throttles > 0 ? sim_fdb_soon(c, c->throttle_ns_max) : 0;
    return more + sim_fdb_latency_or_slow(c);
}

static int throttled(struct sim_fdb *c)
{
    return rng_chance(&c->rng, 1, 2) ? FDB_TAG_THROTTLED : FDB_BATCH_THROTTLED;
}

int sim_trouble_version_error(struct sim_fdb *c)
{
    if (c->locks > 0 || sim_fdb_draw(c, SIM_FDB_LOCKED))
        return FDB_DATABASE_LOCKED;
    if (c->throttles > 0 && rng_chance(&c->rng, 1, REFUSED_IN))
        return throttled(c);
    if (sim_fdb_draw(c, SIM_FDB_MEMORY))
        return FDB_GRV_MEMORY_LIMIT;
    if (sim_fdb_draw(c, SIM_FDB_THROTTLED))
        return throttled(c);
    if (sim_fdb_draw(c, SIM_FDB_VERSION_CHANGED))
        return FDB_CLUSTER_VERSION_CHANGED;
    return 0;
}
