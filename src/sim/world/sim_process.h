/*
 * One life of a simulated process: an env of its own (clock with its own rate, timers, randomness,
 * memory, network endpoint, link to the store, log), and the node or the supervisor's work in it.
 */
#ifndef KELPIE_SIM_PROCESS_H
#define KELPIE_SIM_PROCESS_H

#include "base/uuid.h"
#include "env/env.h"
#include "sim/world/sim_mem.h"
#include "sim/world/world.h"

#define SIM_SLOT_NODE 0       /* the node's process */
#define SIM_SLOT_TWIN 1       /* a second process with the same id */
#define SIM_SLOT_SUPERVISOR 2 /* no network */
#define SIM_SLOTS 3

/* X(NAME, "name") */
#define PROCESS_EVENTS(X)                                                                          \
    X(START, "start")                                                                              \
    X(TIMER, "timer")                                                                              \
    X(FRAME, "message")                                                                            \
    X(DOWN, "connection-down")                                                                     \
    X(READ_DONE, "read-done")                                                                      \
    X(COMMIT_DONE, "commit-done")                                                                  \
    X(WATCH, "watch")                                                                              \
    X(CALL, "call")                                                                                \
    X(ORDER, "order") /* leave, close, free */                                                     \
    X(STORE, "store") /* FoundationDB's library has answered something */                          \
    X(TURN, "turn")   /* within another: of a user's actor, when it has returned */

enum process_event {
#define PROCESS_EVENT_ENUM(NAME, name) PROCESS_##NAME,
    PROCESS_EVENTS(PROCESS_EVENT_ENUM)
#undef PROCESS_EVENT_ENUM
        PROCESS_EVENT_COUNT
};

struct fdb_client;
struct sim_link;
struct process;
struct process_ops {
    /* After each dispatch; may end (and free) the process. */
    void (*after)(struct process *p);
};

struct process {
    struct world *world;
    struct list link;
    unsigned node; /* number, from 0 */
    unsigned slot;
    unsigned life; /* a number that no other life of this world has */
    struct uuid boot;
    struct env env;
    struct sim_mem mem;
    struct rng rng;
    int64_t drift_ppm;
    bool skewed;            /* it is beyond the bound */
    uint32_t class_version; /* of the trials that it hosts; 0: it hosts none */
    uint64_t clock_offset_ns;
    int64_t wall_jump_ms;

    bool frozen;
    uint64_t thawed_ns;    /* when it was last thawed */
    bool overslept;        /* a pause lasted longer than asked, for others began within it */
    struct sim_item *held; /* what came due while frozen */
    size_t held_count, held_cap;
    unsigned depth;         /* > 0 while node code runs */
    bool stopped;           /* killed while it ran */
    struct running running; /* what of an actor does; callback "": nothing */

    const struct net_events *net_events;
    void *net_arg;
    bool *talked; /* of each endpoint: frames came from it; NULL without a network */

    struct list store_msgs; /* of the embedded store */
    struct list store_watches;
    struct sim_link *store_link;
    struct fdb_client *store_client; /* of FoundationDB */

    const struct process_ops *ops;
    void *owner;
    void *seen; /* the checkers' memory of this life */
};

/* A new life, bound to the world's network (unless a supervisor) and store; its env is ready. */
struct process *process_new(struct world *w, unsigned node, unsigned slot,
                            const struct process_ops *ops, void *owner);
/* The end of a life without a further step of its own: all that it holds is gone, what it sent is
 * not. Also the last step after an orderly close. */
void process_free(struct process *p);

/* Whose event it is, and of which kind, as process_enter() folds it. */
static inline uint64_t process_event(const struct process *p, enum process_event kind)
{
    return (uint64_t)p->life << 16 | p->node << 8 | p->slot << 6 | kind;
}

/* What the wall clock of a process says that did not jump. */
uint64_t process_wall_ms(const struct world *w);
/* Brackets each dispatch into the code of `p`; after process_leave() it may be gone. */
void process_enter(struct process *p, enum process_event kind, uint64_t digest);
void process_leave(struct process *p);

/* The process stands still for a while in the midst of its own code, and the world goes on. */
void process_pause(struct process *p, uint64_t ns);
/* It is killed in the midst of its own code: nothing that it does from there on happens. */
void process_stop(struct process *p);
void process_freeze(struct process *p);
void process_thaw(struct process *p);
/* What waits for the thaw is queued again: it can be cancelled. */
void process_let_go(struct process *p);
/* True when frozen: then the event, whose time has come, waits for the thaw. */
bool process_hold(struct process *p, struct sim_event *e);
/* For the world: a timer's time has come. */
void process_timer_due(const struct sim_item *item);

/* It ends by itself soon, or is no node's at all. */
bool process_closing(const struct process *p);
/* kill -9 of a node's process in `delay_ns`, for whatever it did just now (it may be doing it). */
void process_doom(struct process *p, uint64_t delay_ns);
/* The local clock at virtual time `now_ns`. */
uint64_t process_clock(const struct process *p, uint64_t now_ns);
/* Armed timers of this life. */
size_t process_timers(const struct process *p);

/* What process_enter() folded as `who`: "n2' timer life=7". Writes into `out`. */
#define PROCESS_WHO_SIZE 64
const char *process_who(uint64_t who, char out[PROCESS_WHO_SIZE]);

/* "n1", "n2'" (a twin), "n3s" (a supervisor). Static storage is none: writes into `out`. */
#define PROCESS_NAME_SIZE 16
const char *process_name(const struct process *p, char out[PROCESS_NAME_SIZE]);

#endif
