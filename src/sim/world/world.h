/*
 * A world: one thread, one queue ordered by (virtual time, sequence), all randomness from one seed
 * in streams of their own, and a running hash of everything that happened.
 *
 * An event is one dispatch into node code: a message, a timer, a completion, an operator's or a
 * client's request. process_enter() and process_leave() (sim_process.h) bracket each of them.
 */
#ifndef KELPIE_SIM_WORLD_H
#define KELPIE_SIM_WORLD_H

#include "base/check.h"
#include "base/hash128.h"
#include "base/list.h"
#include "base/rng.h"
#include "env/clock.h"
#include "sim/run/sim_coverage.h"
#include "sim/world/sim_config.h"
#include "sim/world/sim_heap.h"

/* Streams only ever grow at the end; 0 is the configuration's. */
enum sim_stream {
    STREAM_CONFIG,
    STREAM_CLOCK,
    STREAM_NET,
    STREAM_STORE,
    STREAM_FAULT,
    STREAM_WORK,
    STREAM_LIFE,
    STREAM_LATER, /* of the faults from CRASH_BEFORE on */
    STREAM_ORDER, /* of operators */
    STREAM_TRIAL, /* of actors that try their node, and of clients that do */
    STREAM_AIM,   /* of strikes that wait for a phase of the protocol */
    STREAM_RESTORE,
    STREAM_ROT,
    STREAM_STRANGER,
    STREAM_AGES, /* of clients: how old requests are, what lies in sockets */
    STREAM_LINK, /* of chains of calls */
    STREAM_EXCHANGE,
    STREAM_POST, /* of messages between actors */
    STREAM_SESSION,
    STREAM_USERS, /* of users' clients and actors */
    STREAM_TYPES, /* of types that come and go */
    STREAM_DEADLY,
    STREAM_COUNT
};

#define VIOLATIONS_MAX 8
#define VIOLATION_TEXT_MAX 320
#define PREFIX_HASHES 48

struct violation {
    const char *check;
    uint64_t at_ns;
    uint64_t event;
    char text[VIOLATION_TEXT_MAX];
};

struct world {
    struct sim_config config;
    uint64_t now_ns;
    uint64_t seq;
    uint64_t events;
    struct sim_heap heap;
    struct hash128 trace;
    struct hash128 prefix[PREFIX_HASHES]; /* the hash after 2^i events */
    struct rng rng[STREAM_COUNT];
    struct list processes; /* struct process */
    unsigned lives;
    unsigned skewed;              /* living processes whose clocks are beyond the bound */
    uint64_t skew_end_ns;         /* when the last such one ended */
    uint64_t met[FAULT_COUNT];    /* how often each fault happened */
    struct sim_coverage coverage; /* and while what was under way */
    bool calm;                    /* no fault happens any more */
    bool stop;                    /* after a violation */
    const char *about;            /* whom the event that is folded is of; NULL: the line says it */

    struct violation violations[VIOLATIONS_MAX];
    unsigned violation_count;

    struct sim_net *net;
    struct sim_store *store;
    struct shadow *shadow;
    struct checks *checks;
    struct hosts *hosts;
    struct nemesis *nemesis;
    struct workload *work;
    struct chains *chains;
    struct posts *posts;
    struct sessions *sessions;
    struct deadlies *deadlies;
    struct kelpie_sim *users;
    struct operators *operators;
    struct restore *restore;
    struct rot *rot;
    struct strangers *strangers;
    struct emptied *emptied;
    struct record *record; /* NULL: nobody keeps what happens (sim_record.h) */
    struct steps *steps;   /* likewise, as steps of the specification (sim_steps.h) */
    struct turns *turns;   /* and of one actor (sim_turns.h) */
};

void world_init(struct world *w, const struct sim_config *config);
/* The parts are freed by their owners before. */
void world_deinit(struct world *w);

void event_init(struct sim_event *e, sim_event_fn *fn);
static inline bool event_queued(const struct sim_event *e)
{
    return e->heap_index != SIM_NOT_QUEUED;
}
/* Queues `e` (again, when it was queued). One that waits for a thaw goes on waiting. */
void world_at(struct world *w, struct sim_event *e, uint64_t due_ns);
void world_after(struct world *w, struct sim_event *e, uint64_t delay_ns);
void world_cancel(struct world *w, struct sim_event *e);
/* At the end: none of them comes. Timers stay, and are stopped by whoever started them. */
void world_drop_events(struct world *w);
void world_push_timer(struct world *w, struct timer *t, uint64_t due_ns);
/* Of the world itself, for what belongs to no process. */
struct clock world_clock(struct world *w);
struct timers world_timers(struct world *w);

/* Runs what is due up to and including `until_ns`, or until a violation stops it. */
void world_run(struct world *w, uint64_t until_ns);

/* Folds one event into the trace. */
void world_fold(struct world *w, uint64_t who, uint64_t digest);

/* A broken invariant: recorded, and the run stops. */
void world_violation(struct world *w, const char *check, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Whether a fault that lasts, or has just ended, excuses it. */
bool world_excuses(const struct world *w, const char *check);

static inline uint64_t world_below(struct world *w, enum sim_stream s, uint64_t bound)
{
    return rng_below(&w->rng[s], bound);
}

static inline bool world_chance(struct world *w, enum sim_stream s, uint64_t num, uint64_t den)
{
    return rng_chance(&w->rng[s], num, den);
}

/* A fault strikes: it is counted. */
void world_met(struct world *w, enum sim_fault f);

/* True when that fault exists in this run, may happen now, and its rate says so. */
bool world_may_strike(struct world *w, enum sim_fault f, enum sim_stream s, uint64_t num,
                      uint64_t den);
/* Likewise, and then it strikes. */
bool world_fault(struct world *w, enum sim_fault f, enum sim_stream s, uint64_t num, uint64_t den);

#endif
