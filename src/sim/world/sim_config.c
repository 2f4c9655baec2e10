#include "sim/world/sim_config.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "kelpie/error.h"

/* The store's attempts time out after a second; a lease that is not longer is not asked for. */
#define LEASE_MS_MIN 1500
/* On FoundationDB a lease outlasts a recovery, a heartbeat's interval, and what one transaction may
 * take: time-out and back-off. */
#define FDB_ATTEMPT_MS 1400
#define FDB_RECOVERY_MS_MIN 500
#define FDB_RECOVERY_MS_MAX 5000
#define EMBEDDED_IN 8 /* runs of which one is on the embedded store */
#define CALL_TAKES_MS 15
#define AT_ONCE 6 /* troubles, or the store is away all the time */
/* Groups of draws with streams of their own. */
#define DRAW_STORE (1ull << 41)
#define DRAW_TRIALS (1ull << 42)
#define WALL_JUMP_S_MAX (2u * 366 * 24 * 3600)
#define DRAW_ORDERS (1ull << 40)
#define DRAW_AIM (1ull << 43)
#define DRAW_LAST_FAULTS (1ull << 44)
#define DRAW_HOSTING (1ull << 45)
#define DRAW_AGES (1ull << 46)
#define DRAW_LINKS (1ull << 47)
#define DRAW_EXCHANGES (1ull << 48)
#define DRAW_POSTS (1ull << 49)
#define DRAW_SESSIONS (1ull << 50)
#define USERS_DURATION_MS 20000
#define DRAW_USERS (1ull << 51)
#define DRAW_TYPES (1ull << 52)
#define DRAW_DEAF (1ull << 53)
#define DRAW_DEADLY (1ull << 54)
#define UNIT_MS_MAX 1200 /* of a quarantine */
#define CROWD_CALLS_A_SECOND 100
/* With the least, one tenth: 24 hours of it still fit (process_clock). */
#define SKEW_PPM_MAX 90000

static const struct {
    const char *name;
    const char *text;
} faults[FAULT_COUNT] = {
#define SIM_FAULT_ROW(NAME, name, text) {name, text},
    SIM_FAULTS(SIM_FAULT_ROW)
#undef SIM_FAULT_ROW
};

const char *sim_fault_name(enum sim_fault f)
{
    return faults[f].name;
}

bool sim_fault_suspends(enum sim_fault f, const char *invariant)
{
    static const char *const lists[FAULT_COUNT] = {
#define SIM_FAULT_LIST(NAME, list) [FAULT_##NAME] = list,
        SIM_FAULTS_SUSPEND(SIM_FAULT_LIST)
#undef SIM_FAULT_LIST
    };
    return lists[f] && strstr(lists[f], invariant);
}

const char *sim_store_name(uint32_t kind)
{
    static const char *const names[SIM_STORE_KINDS] = {
        [SIM_STORE_FDB] = "fdb", [SIM_STORE_EMBEDDED] = "embedded"};
    CHECK(kind < SIM_STORE_KINDS);
    return names[kind];
}

const char *sim_fault_text(enum sim_fault f)
{
    return faults[f].text;
}

/* Uniform in low .. high. */
static uint32_t draw(struct rng *r, uint32_t low, uint32_t high)
{
    return low + (uint32_t)rng_below(r, (uint64_t)high - low + 1);
}

/* Mostly small, sometimes up to `high`. */
static uint32_t draw_skewed(struct rng *r, uint32_t low, uint32_t high)
{
    return draw(r, low, draw(r, low, high));
}

static void draw_timing(struct sim_config *c, struct rng *r)
{
    c->timing = timing_default();
    /* Half of all runs are as in production. */
    bool other = rng_chance(r, 1, 2);
    uint32_t heartbeat = draw(r, 150, 500);
    uint32_t lease = heartbeat * draw(r, 4, 8);
    uint32_t rpc = draw(r, 100, 800);
    bool forgets = rng_chance(r, 1, 3);
    uint32_t forget = draw(r, 0, 5000);
    if (forgets)
        c->timing.forget_after_ms = c->timing.lease_ms + forget;
    if (!other)
        return;
    c->timing.heartbeat_ms = heartbeat;
    c->timing.lease_ms = lease < LEASE_MS_MIN ? LEASE_MS_MIN : lease;
    c->timing.rpc_timeout_ms = rpc;
    c->timing.drain_deadline_ms = 10000;
    if (forgets)
        c->timing.forget_after_ms = c->timing.lease_ms + forget;
}

static void draw_faults(struct sim_config *c, struct rng *r)
{
    bool calm = rng_chance(r, 1, 32);
    for (unsigned f = 0; f <= FAULT_DRIFT; f++)
        if (rng_chance(r, 1, 2))
            c->faults |= 1u << f;
    if (calm)
        c->faults = 0;
    c->drift_ppm_max = draw(r, 0, DRIFT_PERCENT * 5000);
    c->disaster_ms = draw(r, 400, 4000);
    c->fault_ms_max = c->timing.lease_ms * draw(r, 1, 5);
    c->restart_ms = draw(r, 100, 6000);
}

static void draw_rates(struct sim_config *c, struct rng *r)
{
    c->net_delay_us = draw_skewed(r, 30, 2000);
    c->net_jitter_us = draw_skewed(r, 10, 2000);
    c->net_tail_per_1024 = draw(r, 1, 60);
    c->loss_per_1024 = draw_skewed(r, 1, 120);
    c->duplicate_per_1024 = draw_skewed(r, 1, 120);
    c->reorder_per_1024 = draw_skewed(r, 1, 200);
    c->store_delay_us = draw_skewed(r, 50, 4000);
    c->store_jitter_us = draw_skewed(r, 20, 3000);
    c->store_batch_us = rng_chance(r, 1, 2) ? 0 : draw(r, 100, 3000);
    c->slow_per_1024 = draw_skewed(r, 1, 40);
    c->slow_ms_max = draw(r, 50, 2500);
    c->read_fail_per_1024 = draw_skewed(r, 1, 60);
    c->conflict_per_1024 = draw_skewed(r, 1, 100);
    c->too_old_per_1024 = draw_skewed(r, 1, 60);
    c->unknown_per_1024 = draw_skewed(r, 1, 120);
    c->late_per_1024 = draw(r, 1, 120);
    c->late_ms_max = draw_skewed(r, 50, 8000);
    c->watch_lost_per_16 = draw(r, 1, 14);
    c->watch_spurious_per_16 = draw(r, 1, 8);
}

/* What came later: half of all runs have none of it, and none shifts what was drawn before. */
static void draw_later_faults(struct sim_config *c, struct rng *r)
{
    bool some = rng_chance(r, 1, 2) && c->faults;

    for (unsigned f = FAULT_CRASH_BEFORE; f <= FAULT_CORRUPTION; f++)
        if (rng_chance(r, 1, 3) && some)
            c->faults |= 1ull << f;
    c->crash_per_1024 = draw_skewed(r, 1, 16);
    c->throttle_ms_max = draw_skewed(r, 10, 1500);
    c->corrupt_per_4096 = draw_skewed(r, 1, 16);
    for (unsigned f = FAULT_OUT_OF_MEMORY; f <= FAULT_SKEW; f++)
        if (rng_chance(r, 1, f == FAULT_SKEW ? 16 : 3) && some)
            c->faults |= 1ull << f;
    c->allocations_log2_max = draw(r, 8, 20);
    c->skew_ppm_max = draw_skewed(r, 1000, SKEW_PPM_MAX);
}

/* What operators do: half of all runs have some of it. */
static void draw_orders(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_ORDERS);
    bool some = rng_chance(&r, 1, 2) && c->faults;
    for (unsigned f = FAULT_FORGET; f <= FAULT_NEWCOMER; f++)
        if (rng_chance(&r, 1, 3) && some)
            c->faults |= 1ull << f;
    c->order_ms = draw_skewed(&r, 500, 8000);
    c->guests = draw(&r, 1, SIM_GUESTS_MAX);
    uint32_t kept = draw(&r, 0, 1);
    if (rng_chance(&r, 1, 3))
        c->timing.left_kept = kept; /* rows of nodes that have left are swept soon */
    if (sim_fault_on(c, FAULT_NEWCOMER))
        c->nodes += c->guests;
}

/* Most runs on FoundationDB have shorter times than production's: more happens in them. Half of
 * those count on short recoveries. */
static void draw_fdb_timing(struct sim_config *c, struct rng *r)
{
    bool as_production = rng_chance(r, 1, 6), brief = rng_chance(r, 1, 2);
    uint32_t heartbeat = draw(r, 150, 600);
    uint32_t recovery = draw_skewed(r, 200, brief ? FDB_RECOVERY_MS_MIN : FDB_RECOVERY_MS_MAX);
    uint32_t lease = recovery + heartbeat + FDB_ATTEMPT_MS + draw_skewed(r, 0, brief ? 200 : 2000);
    uint32_t leases = draw(r, 1, 4);

    c->timing.heartbeat_ms = as_production ? timing_fdb().heartbeat_ms : heartbeat;
    c->timing.lease_ms = as_production ? timing_fdb().lease_ms : lease;
    c->timing.drain_deadline_ms = 3 * timing_fdb().lease_ms;
    if (c->timing.forget_after_ms < c->timing.lease_ms)
        c->timing.forget_after_ms += c->timing.lease_ms;
    c->fault_ms_max = c->timing.lease_ms * (as_production ? 1 + leases / 2 : leases);
    if (c->disaster_ms < c->fault_ms_max / AT_ONCE)
        c->disaster_ms = c->fault_ms_max / AT_ONCE;
}

static void draw_store(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_STORE);
    c->store = rng_chance(&r, 1, EMBEDDED_IN) ? SIM_STORE_EMBEDDED : SIM_STORE_FDB;
    if (c->store == SIM_STORE_FDB)
        draw_fdb_timing(c, &r);
}

/* What actors and their clients do beyond the ordinary: half of all runs have some of it. */
static void draw_trials(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_TRIALS);
    bool some = rng_chance(&r, 1, 2) && c->faults;
    for (unsigned f = FAULT_ACTOR_FAILS; f <= FAULT_COMES_BACK; f++)
        if (rng_chance(&r, 1, f == FAULT_ACTOR_SLOW ? 6 : 3) && some)
            c->faults |= 1ull << f;
    if (rng_chance(&r, 1, 6) && c->faults)
        c->faults |= 1ull << FAULT_CLOCK_JUMP;
    c->wall_jump_s = WALL_JUMP_S_MAX;
    if (rng_chance(&r, 1, 6) && c->faults)
        c->faults |= 1ull << FAULT_RESTORE;
    c->trial_actors = draw(&r, 1, SIM_TRIALS_MAX);
    c->special_per_64 = draw_skewed(&r, 1, 32);
    c->slow_handler_ms = draw_skewed(&r, 5, 3 * c->timing.lease_ms);
    c->burst_ms = draw(&r, 2000, 20000);
    if (rng_chance(&r, 1, 6) && c->faults)
        c->faults |= 1ull << FAULT_ROT;
}

/* How many actors there are for each node that is never away for good. */
static uint32_t share(const struct sim_config *c)
{
    uint32_t actors =
        c->actors + c->echo_actors + SIM_TRIALS_MAX + c->links + c->posts + c->sessions;
    uint32_t nodes = sim_founders(c) - c->dead_for_good;

    return (actors + nodes - 1) / nodes;
}

static void draw_aim(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_AIM);
    c->aim_per_16 = draw(&r, 0, 8);
    bool narrow = rng_chance(&r, 1, 6);
    uint32_t spare = draw_skewed(&r, 1, 8);
    if (narrow && c->faults)
        c->room = share(c) + spare;
}

static void draw_last_faults(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_LAST_FAULTS);
    if (rng_chance(&r, 1, 3) && c->faults)
        c->faults |= 1ull << FAULT_GREY;
    if (rng_chance(&r, 1, 2) && c->faults)
        c->faults |= 1ull << FAULT_STORE_WRITE_FAIL;
    c->write_fail_per_1024 = draw_skewed(&r, 1, 60);
    /* What may land after all, or has, is where mistakes hide: some runs have much of it. */
    if (rng_chance(&r, 1, 6)) {
        c->late_per_1024 *= 4;
        c->unknown_per_1024 *= 4;
    }
    if (rng_chance(&r, 1, 3) && c->faults)
        c->faults |= 1ull << FAULT_STRANGER;
}

/* Small mailboxes, much that arrives twice, and a class that only some nodes host (which they may all be
 * without room for). */
static void draw_hosting(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_HOSTING);
    c->trial_hosts = SIM_ALL_NODES;
    if (rng_chance(&r, 1, 3) && c->faults)
        c->mailbox = draw_skewed(&r, 1, 16);
    if (rng_chance(&r, 1, 3) && c->faults)
        c->trial_hosts = draw(&r, 1, SIM_ALL_NODES);
    if (rng_chance(&r, 1, 3))
        c->duplicate_per_1024 = draw(&r, 100, 600);
    if (rng_chance(&r, 1, 3) && c->faults)
        c->version_ms = draw(&r, 5000, 60000);
}

static bool is_slow_alone(const struct sim_config *c)
{
    return c->seed % 40 == 17;
}

/* Many clients of few actors, as often together as few are alone. */
static void draw_crowd(struct sim_config *c, struct rng *r)
{
    c->actors = draw(r, 1, 2);
    c->clients = draw(r, 100, 400);
    c->mailbox = 0;
    c->think_ms = c->clients * 1000 / CROWD_CALLS_A_SECOND;
}

/* So long, and with so little else, that repeats come later than what actors remember. */
static void draw_late(struct sim_config *c, struct rng *r)
{
    bool queue = rng_chance(r, 1, 4), long_faults = rng_chance(r, 1, 2),
         differ = rng_chance(r, 1, 2);
    uint32_t deadline = draw(r, 20000, 60000), fault = draw(r, 30000, 80000);
    uint32_t clients = draw(r, 20, 60), remembered = draw(r, 16, 128);
    bool few = rng_chance(r, 1, 4);

    c->faults |= 1ull << FAULT_LATE_REPEATS | 1ull << FAULT_ACTOR_FAILS | 1ull << FAULT_COMES_BACK;
    c->duration_ms = 150000;
    c->links = c->posts = 0;
    c->actors = 1;
    c->clients = clients;
    c->think_ms = 1000;
    c->windows = differ;
    if (few)
        c->remembered = remembered;
    if (long_faults) {
        /* Who stands still for so long is not killed for it. */
        c->faults |= 1ull << FAULT_FREEZE | 1ull << FAULT_SOCKETS;
        c->supervised = 0;
        c->call_deadline_ms = deadline;
        c->fault_ms_max = fault;
        if (c->disaster_ms < fault / AT_ONCE)
            c->disaster_ms = fault / AT_ONCE;
    }
    if (!queue)
        return;
    /* What waits, waits in the mailbox of one actor. */
    c->faults = 1ull << FAULT_LATE_REPEATS | 1ull << FAULT_ACTOR_SLOW;
    c->trial_actors = 1;
    c->call_deadline_ms = 60000;
    c->mailbox = 0;
    c->slow_in = 1;
    c->clients *= 2;
    /* Twice in a callback: its node answers others between two of them. */
    c->slow_handler_ms = c->timing.rpc_timeout_ms / 2;
}

/* What clients' sockets hold, repeats of all ages, and many clients at once. */
static void draw_ages(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_AGES);
    if (rng_chance(&r, 1, 3) && c->faults)
        c->faults |= 1ull << FAULT_SOCKETS;
    bool crowd = rng_chance(&r, 1, 16), late = rng_chance(&r, 1, 8);
    if (crowd && !late)
        draw_crowd(c, &r);
    if (late && c->faults && !is_slow_alone(c))
        draw_late(c, &r);
}

/* Half of the runs have chains of calls. */
static void draw_links(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_LINKS);
    bool some = rng_chance(&r, 1, 2) && c->actors;
    uint32_t links = draw(&r, 2, SIM_LINKS_MAX);
    c->links = some ? links : 0;
}

/* Machines and stores that are exchanged: a sixth of the seeds, each. Without a spare majority nobody is dead for
 * good besides. */
static void draw_exchanges(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_EXCHANGES);
    bool replace = rng_chance(&r, 1, 6) && c->faults && c->nodes < SIM_NODES_MAX;
    bool emptied = rng_chance(&r, 1, 6) && c->faults;
    unsigned successors = draw(&r, 1, SIM_SUCCESSORS_MAX);
    if (sim_fault_on(c, FAULT_LATE_REPEATS))
        return; /* little else happens there */
    if (emptied)
        c->faults |= 1ull << FAULT_EMPTIED;
    if (!replace)
        return;
    c->faults |= 1ull << FAULT_REPLACE;
    c->successors = successors;
    if (c->successors > SIM_NODES_MAX - c->nodes)
        c->successors = SIM_NODES_MAX - c->nodes;
    c->nodes += c->successors;
    c->dead_for_good = 0;
}

/* Half of those that have grey failures. */
static void draw_deaf(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_DEAF);
    c->deaf = rng_chance(&r, 1, 2) && sim_fault_on(c, FAULT_GREY);
}

/* A third of the runs have actors that send each other messages. */
static void draw_posts(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_POSTS);
    bool some = rng_chance(&r, 1, 3) && c->actors;
    uint32_t posts = draw(&r, 2, SIM_POSTS_MAX);
    bool few = rng_chance(&r, 1, 4);
    uint32_t waiting = draw(&r, 4, 40);
    c->posts = some ? posts : 0;
    c->waiting = some && few ? waiting : 0;
}

/* One in eight is long enough for actors to be forgotten, and has some that are. */
static void draw_sessions(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_SESSIONS);
    uint32_t sessions = draw(&r, 2, SIM_SESSIONS_MAX);
    if (!rng_chance(&r, 1, 8) || !c->actors || is_slow_alone(c) ||
        sim_fault_on(c, FAULT_LATE_REPEATS))
        return;
    c->sessions = sessions;
    c->duration_ms = 180000;
    c->clients = c->clients < 3 ? c->clients : 3;
    c->think_ms = c->think_ms > 400 ? c->think_ms : 400;
}

/* In a sixth of the runs nodes' types come and go; in half of these all the time, with actors that seldom stay. */
static void draw_types(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_TYPES);
    bool some = rng_chance(&r, 1, 6) && c->faults && !is_slow_alone(c);
    uint32_t ms = draw_skewed(&r, 200, 20000), linger = draw_skewed(&r, 1, 5000);
    bool often = rng_chance(&r, 1, 2);
    uint32_t idle = draw(&r, 500, 2000);
    c->types_ms = some ? ms : 0;
    c->linger_ms = linger;
    if (!some || !often)
        return;
    c->types_ms = 200 + ms / 20;
    c->linger_ms = 1 + linger / 100;
    c->idle_ms = idle;
}

/* The account of actors that end processes is exact where clocks are right, and rows are as they were written. */
static void fit_deadly(struct sim_config *c)
{
    const uint64_t unfit = 1ull << FAULT_WALL_JUMP | 1ull << FAULT_RESTORE | 1ull << FAULT_EMPTIED |
                           1ull << FAULT_ROT | 1ull << FAULT_CORRUPTION;

    if (!c->deadly)
        return;
    c->faults &= ~unfit;
    if (c->timing.quarantine_ms > UNIT_MS_MAX) /* as in production: a run would last for hours */
        c->timing.quarantine_ms = UNIT_MS_MAX;
}

/* One in eight has some. */
static void draw_deadly(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_DEADLY);
    bool some = rng_chance(&r, 1, 8) && c->faults && c->actors;
    uint32_t deadly = draw(&r, 1, SIM_DEADLY_MAX);
    uint32_t unit_ms = draw(&r, UNIT_MS_MAX / 4, UNIT_MS_MAX);
    if (!some || is_slow_alone(c) || sim_fault_on(c, FAULT_LATE_REPEATS) || c->room)
        return;
    c->deadly = deadly;
    c->timing.quarantine_ms = unit_ms;
    fit_deadly(c);
}

/* One seed in forty has nothing but callbacks that take up to a quarter of the lease (twice an eighth), of
 * many actors at once: they must cost nobody its lease. */
static void draw_slow_alone(struct sim_config *c)
{
    if (!is_slow_alone(c))
        return;
    c->faults = 1ull << FAULT_ACTOR_SLOW;
    c->links = c->posts = 0;
    c->slow_handler_ms = c->timing.lease_ms / 8;
    c->trial_actors = c->trial_actors > 4 ? c->trial_actors : 4;
    c->special_per_64 = 64;
}

void sim_config_draw(struct sim_config *c, uint64_t seed)
{
    struct rng r;

    *c = (struct sim_config){.seed = seed, .duration_ms = SIM_DURATION_MS_DEFAULT};
    rng_seed(&r, seed, 0);
    c->nodes = draw(&r, 3, 7);
    c->actors = draw_skewed(&r, 1, 60);
    c->echo_actors = draw(&r, 0, 4);
    c->clients = draw(&r, 1, 10);
    c->think_ms = draw_skewed(&r, 5, 400);
    c->call_deadline_ms = draw(&r, 1000, 5000);
    c->idle_ms = rng_chance(&r, 1, 2) ? 300000 : draw(&r, 500, 5000);
    c->dead_for_good = (unsigned)rng_below(&r, (c->nodes - 1) / 2 + 1);
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (rng_chance(&r, 3, 4))
            c->supervised |= 1u << n;
    draw_timing(c, &r);
    draw_faults(c, &r);
    draw_rates(c, &r);
    draw_later_faults(c, &r);
    draw_orders(c);
    draw_store(c);
    draw_trials(c);
    draw_links(c);
    draw_posts(c);
    draw_sessions(c);
    draw_aim(c);
    draw_last_faults(c);
    draw_hosting(c);
    draw_ages(c);
    draw_exchanges(c);
    draw_types(c);
    draw_slow_alone(c);
    draw_deaf(c);
    draw_deadly(c);
}

void sim_config_draw_users(struct sim_config *c)
{
    struct rng r;

    rng_seed(&r, c->seed, DRAW_USERS);
    c->users = draw(&r, 1, 5);
    c->duration_ms = USERS_DURATION_MS;
    c->actors = c->actors < 2 ? c->actors : 2;
    c->clients = c->clients < 2 ? c->clients : 2;
    c->echo_actors = c->trial_actors = c->links = c->posts = c->sessions = c->deadly = 0;
    c->waiting = 0;
    c->types_ms = 0;
    c->faults &= ~(1ull << FAULT_RESTORE);
}

uint64_t sim_config_weight(const struct sim_config *c)
{
    uint64_t call_ms = c->think_ms + CALL_TAKES_MS;
    uint64_t calls = c->actors ? c->clients * c->duration_ms / call_ms : 0;

    return calls + c->nodes * c->duration_ms / c->timing.heartbeat_ms;
}

static int fault_find(const char *name, size_t len)
{
    for (int f = 0; f < FAULT_COUNT; f++)
        if (strlen(faults[f].name) == len && memcmp(faults[f].name, name, len) == 0)
            return f;
    return -1;
}

int sim_faults_parse(const char *list, uint64_t *out, char *why, size_t why_size)
{
    *out = 0;
    if (strcmp(list, "none") == 0)
        return 0;
    if (strcmp(list, "all") == 0) {
        *out = (1ull << FAULT_COUNT) - 1;
        return 0;
    }
    for (const char *at = list;;) {
        size_t len = strcspn(at, ",");
        int f = fault_find(at, len);
        if (f < 0) {
            (void)snprintf(why, why_size, "there is no fault named '%.*s'", (int)len, at);
            return KELPIE_E_INVALID;
        }
        *out |= 1ull << f;
        if (!at[len])
            return 0;
        at += len + 1;
    }
}

int sim_config_check(struct sim_config *c, char *why, size_t why_size)
{
    fit_deadly(c);
    if (c->nodes < SIM_NODES_MIN || c->nodes > SIM_NODES_MAX)
        (void)snprintf(why, why_size, "--nodes must be %d to %d, not %u", SIM_NODES_MIN,
                       SIM_NODES_MAX, c->nodes);
    else if (c->actors > SIM_ACTORS_MAX)
        (void)snprintf(why, why_size, "--actors must be 0 to %d, not %u", SIM_ACTORS_MAX,
                       c->actors);
    else if (c->duration_ms == 0 || c->duration_ms > SIM_DURATION_MS_MAX)
        (void)snprintf(why, why_size, "--duration must be more than 0 and at most 24 h");
    else if (timing_check(&c->timing, why, why_size) == 0) {
        if (c->successors >= c->nodes)
            c->successors = c->nodes - 1;
        if (c->guests >= sim_successor(c))
            c->guests = sim_successor(c) - 1;
        if (sim_fault_on(c, FAULT_REPLACE))
            c->dead_for_good = 0;
        if (c->dead_for_good > (sim_founders(c) - 1) / 2)
            c->dead_for_good = (sim_founders(c) - 1) / 2;
        if (c->room && c->room <= share(c))
            c->room = share(c) + 1; /* else some actor finds none in the calm */
        if (c->room)
            c->trial_hosts = SIM_ALL_NODES; /* likewise */
        if (c->room)
            c->version_ms = 0; /* likewise */
        return 0;
    }
    return KELPIE_E_INVALID;
}

static void faults_to_text(const struct sim_config *c, struct buf *out)
{
    const char *sep = "";
    buf_appendf(out, " faults=");
    if (!c->faults)
        buf_appendf(out, "none");
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        if (!sim_fault_on(c, f))
            continue;
        buf_appendf(out, "%s%s", sep, faults[f].name);
        sep = ",";
    }
}

void sim_config_to_text(const struct sim_config *c, struct buf *out)
{
    buf_appendf(out, "seed=%llu store=%s nodes=%u actors=%u echo=%u clients=%u duration_ms=%llu",
                (unsigned long long)c->seed, sim_store_name(c->store), c->nodes, c->actors,
                c->echo_actors, c->clients, (unsigned long long)c->duration_ms);
    buf_appendf(out, " lease_ms=%u heartbeat_ms=%u rpc_ms=%u forget_ms=%u left_kept=%u",
                c->timing.lease_ms, c->timing.heartbeat_ms, c->timing.rpc_timeout_ms,
                c->timing.forget_after_ms, c->timing.left_kept);
    buf_appendf(out, " supervised=0x%x dead_for_good=%u", c->supervised & ((1u << c->nodes) - 1),
                c->dead_for_good);
    faults_to_text(c, out);
    buf_appendf(out, " drift_ppm=%u disaster_ms=%u fault_ms=%u restart_ms=%u", c->drift_ppm_max,
                c->disaster_ms, c->fault_ms_max, c->restart_ms);
    buf_appendf(out, " think_ms=%u deadline_ms=%u idle_ms=%u", c->think_ms, c->call_deadline_ms,
                c->idle_ms);
    buf_appendf(out, " net_us=%u+%u tail=%u loss=%u dup=%u reorder=%u", c->net_delay_us,
                c->net_jitter_us, c->net_tail_per_1024, c->loss_per_1024, c->duplicate_per_1024,
                c->reorder_per_1024);
    buf_appendf(out, " store_us=%u+%u batch_us=%u slow=%u/%ums read_fail=%u conflict=%u too_old=%u",
                c->store_delay_us, c->store_jitter_us, c->store_batch_us, c->slow_per_1024,
                c->slow_ms_max, c->read_fail_per_1024, c->conflict_per_1024, c->too_old_per_1024);
    buf_appendf(out, " unknown=%u late=%u/%ums watch_lost=%u/16 watch_spurious=%u/16",
                c->unknown_per_1024, c->late_per_1024, c->late_ms_max, c->watch_lost_per_16,
                c->watch_spurious_per_16);
    buf_appendf(out, " crash=%u throttle_ms=%u corrupt=%u/4096 allocations=2^%u skew_ppm=%u",
                c->crash_per_1024, c->throttle_ms_max, c->corrupt_per_4096, c->allocations_log2_max,
                c->skew_ppm_max);
    buf_appendf(out, " guests=%u order_ms=%u trials=%u special=%u/64 slow_handler_ms=%u", c->guests,
                c->order_ms, c->trial_actors, c->special_per_64, c->slow_handler_ms);
    buf_appendf(out, " burst_ms=%u wall_jump_s=%u aim=%u/16 room=%u", c->burst_ms, c->wall_jump_s,
                c->aim_per_16, c->room);
    buf_appendf(out,
                " mailbox=%u trial_hosts=0x%x slow_in=%u remembered=%u windows=%u version_ms=%u"
                " links=%u successors=%u posts=%u waiting=%u sessions=%u",
                c->mailbox, c->trial_hosts, c->slow_in, c->remembered, c->windows, c->version_ms,
                c->links, c->successors, c->posts, c->waiting, c->sessions);
    if (c->types_ms)
        buf_appendf(out, " types_ms=%u linger_ms=%u", c->types_ms, c->linger_ms);
    if (c->deaf)
        buf_appendf(out, " deaf=1");
    if (c->deadly)
        buf_appendf(out, " deadly=%u quarantine_ms=%u", c->deadly, c->timing.quarantine_ms);
    if (c->users)
        buf_appendf(out, " users=%u", c->users);
}
