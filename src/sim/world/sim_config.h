/*
 * What one run is made of. Everything is drawn from the seed ("swarm": most runs have only some
 * kinds of faults, so that no kind hides behind another), then single values may be overridden.
 */
#ifndef KELPIE_SIM_CONFIG_H
#define KELPIE_SIM_CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "cluster/timing.h"

#define SIM_NODES_MIN 1
#define SIM_NODES_MAX 9
#define SIM_GUESTS_MAX 2
#define SIM_SUCCESSORS_MAX 3
#define SIM_TRIALS_MAX 4
#define SIM_SESSIONS_MAX 8
#define SIM_LINKS_MAX 6
#define SIM_POSTS_MAX 6
#define SIM_USERS_MAX 64
#define SIM_DEADLY_MAX 3
#define SIM_ALL_NODES ((1u << SIM_NODES_MAX) - 1)
#define SIM_ACTORS_MAX 10000
#define SIM_CLIENTS_MAX 512
#define SIM_DURATION_MS_DEFAULT 60000
#define SIM_DURATION_MS_MAX (24ull * 3600 * 1000)

/* X(NAME, "name", "what it does") */
#define SIM_FAULTS(X)                                                                              \
    X(CRASH, "crash", "kill -9 of a node's process")                                               \
    X(HOST, "host", "a machine goes down with its supervisor")                                     \
    X(KILL_ALL, "kill-all", "every process is killed at once, and started again")                  \
    X(FREEZE, "freeze", "a process is stopped for a while")                                        \
    X(PARTITION, "partition", "nodes cannot reach each other")                                     \
    X(ONE_WAY, "one-way", "a node's messages to another are lost, not those back")                 \
    X(STORE_CUT, "store-cut", "a node cannot reach the store")                                     \
    X(DELAY, "delay", "messages take longer, some much longer")                                    \
    X(LOSS, "loss", "messages are lost")                                                           \
    X(DUPLICATE, "duplicate", "messages arrive twice")                                             \
    X(REORDER, "reorder", "messages overtake each other")                                          \
    X(STORE_SLOW, "store-slow", "the store takes longer, sometimes much longer")                   \
    X(STORE_READ_FAIL, "store-read-fail", "the store refuses reads")                               \
    X(CONFLICT, "conflict", "commits meet conflicts that are none")                                \
    X(TOO_OLD, "too-old", "read versions are too old")                                             \
    X(UNKNOWN, "unknown", "results of commits are unknown, done or not")                           \
    X(LATE, "late", "commits land after their result was called unknown")                          \
    X(WATCH_LOST, "watch-lost", "watches do not fire")                                             \
    X(WATCH_SPURIOUS, "watch-spurious", "watches fire for no reason")                              \
    X(LEAVE, "leave", "nodes leave in an orderly way, and come back")                              \
    X(TWIN, "twin", "a second process starts with a living node's id")                             \
    X(DRIFT, "drift", "clocks run at different rates, within the bound")                           \
    X(CRASH_BEFORE, "crash-before-write", "a process dies when its commit is about to be sent")    \
    X(CRASH_DURING, "crash-during-transaction", "a process dies while its commit is under way")    \
    X(CRASH_AFTER, "crash-after-write", "a process dies when its commit landed, not answered")     \
    X(SUSPEND, "suspend", "a machine sleeps: nothing reaches it, its clock goes on")               \
    X(WALL_JUMP, "wall-jump", "the wall clock jumps, either way")                                  \
    X(RESET, "reset", "connections break, with what was on them")                                  \
    X(CLOG, "clog", "nothing arrives for a while, then all of it")                                 \
    X(GROUPS, "groups", "the nodes fall into three groups that do not reach each other")           \
    X(FLAP, "flap", "a partition that comes and goes")                                             \
    X(STORE_RECOVERY, "store-recovery", "nobody commits for up to 6 s; reads work, or not")        \
    X(STORE_RESTART, "store-restart", "the store's process dies and comes back")                   \
    X(THROTTLE, "throttle", "the store makes everybody wait, and refuses some")                    \
    X(STORE_FULL, "store-full", "the store's disk is full for a while")                            \
    X(CORRUPTION, "corruption", "a bit of a stored value is read wrong, by one process, once")     \
    X(OUT_OF_MEMORY, "out-of-memory", "the n-th allocation fails: the process ends there")         \
    X(SKEW, "skew", "clocks run far beyond the bound of drift")                                    \
    X(FORGET, "forget", "an operator strikes a node off, also one that lives")                     \
    X(FORCE_FORGET, "force-forget", "the same where there may be no primary")                      \
    X(DRAIN, "drain", "an operator drains a node by way of another")                               \
    X(ROLL, "roll", "an operator restarts all nodes, one after the other")                         \
    X(NEWCOMER, "newcomer", "nodes with new ids join the running cluster, and leave again")        \
    X(ACTOR_FAILS, "actor-fails", "callbacks of actors fail, also after they have written")        \
    X(ACTOR_GROWS, "actor-grows", "actors fill states and replies to their bounds and beyond")     \
    X(ACTOR_SLOW, "actor-slow", "callbacks of actors run for long, also beyond the lease")         \
    X(BURST, "burst", "one actor is sent more at once than its mailbox takes")                     \
    X(COMES_BACK, "comes-back",                                                                    \
      "clients repeat a request long after, or although it was answered")                          \
    X(CLOCK_JUMP, "clock-jump", "machines sleep at once: their clocks are ahead when they wake")   \
    X(RESTORE, "restore", "all is stopped, and the store set back to an older backup")             \
    X(GREY, "grey", "a node reaches the store, but not (or not both ways) most of the others")     \
    X(ROT, "rot", "a bit of a stored value flips, and stays so until the row is put right")        \
    X(STORE_WRITE_FAIL, "store-write-fail", "the store refuses commits")                           \
    X(STRANGER, "stranger", "somebody who is no node says what a node could say")                  \
    X(SOCKETS, "sockets", "requests lie in the sockets of processes that stand still")             \
    X(LATE_REPEATS, "late-repeats",                                                                \
      "clients repeat requests after longer than actors remember them, and reuse ids")             \
    X(REPLACE, "replace", "a machine is gone for good, and one with a new id takes its place")     \
    X(EMPTIED, "emptied", "an empty store in the place of the nodes' own, for a while")

/* X(NAME, "invariants") that a fault suspends while it lasts, and until its effects are over. */
#define SIM_FAULTS_SUSPEND(X)                                                                      \
    X(SKEW, "NoSplitBrain SingleActivation FailedIsOver")                                          \
    X(RESTORE, "Growth NodeTransitions ViewIsActive")

enum sim_fault {
#define SIM_FAULT_ENUM(NAME, name, text) FAULT_##NAME,
    SIM_FAULTS(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        FAULT_COUNT
};

/* What the nodes' store is: FoundationDB under its driver, or the embedded one. */
enum sim_store_kind { SIM_STORE_FDB, SIM_STORE_EMBEDDED, SIM_STORE_KINDS };

const char *sim_store_name(uint32_t kind);
const char *sim_fault_name(enum sim_fault f);
const char *sim_fault_text(enum sim_fault f);
/* Whether an invariant need not hold while this fault lasts. */
bool sim_fault_suspends(enum sim_fault f, const char *invariant);

struct record;
struct steps;
struct turns;
struct sim_users_source;

struct sim_config {
    uint64_t seed;
    unsigned nodes;
    unsigned actors;
    unsigned echo_actors;
    unsigned clients;
    unsigned dead_for_good; /* nodes that never come back in the liveness phase */
    unsigned guests;        /* NEWCOMER: so many of the last nodes come when invited */
    unsigned successors;    /* REPLACE: the very last so many take the places of others */
    uint64_t duration_ms;   /* of the safety phase */
    struct timing timing;
    uint64_t faults;     /* 1 << enum sim_fault */
    uint32_t supervised; /* 1 << node */

    uint32_t drift_ppm_max; /* each clock's rate differs from true time by at most this */
    uint32_t think_ms;      /* a client's pause between calls, on average */
    uint32_t call_deadline_ms;
    uint32_t idle_ms; /* actors are passivated after this long */

    uint32_t net_delay_us, net_jitter_us; /* always */
    uint32_t net_tail_per_1024;           /* DELAY: this many are up to 64 times slower */
    uint32_t loss_per_1024, duplicate_per_1024, reorder_per_1024;

    uint32_t store; /* enum sim_store_kind */
    uint32_t store_delay_us, store_jitter_us, store_batch_us;
    uint32_t slow_per_1024, slow_ms_max;
    uint32_t read_fail_per_1024, write_fail_per_1024;
    uint32_t conflict_per_1024, too_old_per_1024, unknown_per_1024, late_per_1024;
    uint32_t late_ms_max;
    uint32_t watch_lost_per_16, watch_spurious_per_16;

    uint32_t crash_per_1024; /* commits at which their process dies, of each kind of such crash */
    uint32_t throttle_ms_max, corrupt_per_4096;
    uint32_t allocations_log2_max; /* 2^this many at most, until one fails */
    uint32_t skew_ppm_max;
    uint32_t wall_jump_s; /* WALL_JUMP: at most, either way */
    uint32_t order_ms;    /* mean time between two orders of operators */

    uint32_t trial_actors;    /* ACTOR_FAILS, _GROWS, _SLOW: so many actors try their node */
    uint32_t special_per_64;  /* of the messages to these, so many are no plain ones */
    uint32_t slow_handler_ms; /* a slow callback takes up to this */
    uint32_t burst_ms;        /* mean time between two bursts */

    uint32_t aim_per_16;  /* so many of the strikes wait for a phase of the protocol */
    uint32_t room;        /* a node has room for so many actors; 0: for all */
    uint32_t mailbox;     /* messages that wait for one actor; 0: as in production */
    uint32_t trial_hosts; /* 1 << node: it hosts actors that try their node */
    uint32_t links;       /* actors that call each other; 0: none */
    uint32_t posts;       /* actors that send each other messages; 0: none */
    uint32_t waiting;     /* messages that wait for one actor; 0: as in production */
    uint32_t sessions;    /* actors that come and go; 0: none */
    uint32_t deadly;      /* actors with a method that ends processes; 0: none */
    uint32_t slow_in;     /* ACTOR_SLOW: one callback in so many; 0: in some */
    uint32_t remembered;  /* an actor remembers so many young requests; 0: as in production */
    uint32_t windows;     /* 1: every second node remembers trials' requests for longer */
    uint32_t users;       /* clients of users' actors; 0: none */
    uint32_t types_ms;   /* mean time between two changes of the types that a node hosts; 0: none */
    uint32_t linger_ms;  /* a type that nobody wants stays for so long */
    uint32_t version_ms; /* so often a new version of their class comes out; 0: never */
    uint32_t deaf;       /* GREY: 1: some nodes reach the others and are not reached */

    uint32_t disaster_ms;  /* mean time between two faults that hit a node or a link */
    uint32_t restart_ms;   /* a process that nobody supervises comes back after up to this */
    uint32_t fault_ms_max; /* partitions, freezes last up to this */

    const struct sim_users_source *users_source; /* NULL: no actors of users */

    /* What is said while it runs, line by line; NULL: nothing. */
    void (*say)(const char *line);
    enum log_level log_level;
    bool log;                        /* the nodes' logs */
    uint64_t events_from, events_to; /* these events; 0: none */
    struct steps *steps;             /* keeps the steps of the specification; NULL: nobody does */
    struct turns *turns;             /* and those of one actor's turns; likewise */
    struct record *record;           /* keeps what happens for the page; NULL: nobody does */
};

static inline bool sim_fault_on(const struct sim_config *c, enum sim_fault f)
{
    return c->faults >> f & 1u;
}

/* The first of those that take the places of others; they are the last. */
static inline unsigned sim_successor(const struct sim_config *c)
{
    return c->nodes - (sim_fault_on(c, FAULT_REPLACE) ? c->successors : 0);
}

/* The nodes that are there from the beginning. */
static inline unsigned sim_founders(const struct sim_config *c)
{
    return sim_successor(c) - (sim_fault_on(c, FAULT_NEWCOMER) ? c->guests : 0);
}

/* Actors that try their node, if this run has any. */
static inline unsigned sim_trials(const struct sim_config *c)
{
    const uint64_t kinds =
        1ull << FAULT_ACTOR_FAILS | 1ull << FAULT_ACTOR_GROWS | 1ull << FAULT_ACTOR_SLOW;
    return c->actors && c->faults & kinds ? c->trial_actors : 0;
}

/* Roughly how much of a run's time it takes, to begin the longest first: the calls of its clients, and
 * the heartbeats of its nodes. */
uint64_t sim_config_weight(const struct sim_config *c);
/* Draws everything from the seed. */
void sim_config_draw(struct sim_config *c, uint64_t seed);
/* For a run with actors of users: room for them. What they are asked is drawn, our own actors are few, and the
 * store is not set back to older data, of which no workload knows. */
void sim_config_draw_users(struct sim_config *c);
/* Of "none", "all", or names with commas. Returns 0, or KELPIE_E_INVALID with a sentence. */
int sim_faults_parse(const char *list, uint64_t *out, char *why, size_t why_size) MUST_USE;
/* After overriding: bounds. Returns 0, or KELPIE_E_INVALID with a sentence. */
int sim_config_check(struct sim_config *c, char *why, size_t why_size) MUST_USE;
/* "key=value key=value …". */
void sim_config_to_text(const struct sim_config *c, struct buf *out);

#endif
