/*
 * A simulated FoundationDB: a cluster with read versions, a window of five seconds, commit batches
 * and recoveries, and a client library for each process that fills the table of fdb_api.h. Under
 * it are rows with their versions and the store core's window of recent writes.
 *
 * Everything happens in timers and inside the library's calls, and is drawn from one seed. What the
 * real library is known to do to its callers is done here too: callbacks inline or later, also for
 * futures that were destroyed; commits that land after their transaction is gone; watches that fire
 * for nothing, fail, or miss a change that was taken back.
 */
#ifndef KELPIE_SIM_FDB_H
#define KELPIE_SIM_FDB_H

#include "base/mem.h"
#include "env/clock.h"
#include "env/store.h"
#include "env/timer.h"
#include "store/fdb_api.h"

#define SIM_FDB_WINDOW 5000000ull        /* versions, a million a second: 5 s */
#define SIM_FDB_JUMP 100000000ull        /* versions that a recovery skips */
#define SIM_FDB_KEY_MAX 10000            /* bytes */
#define SIM_FDB_VALUE_MAX 100000         /* bytes */
#define SIM_FDB_TRANSACTION_MAX 10000000 /* bytes */
#define SIM_FDB_BATCH_BYTES 80000        /* of a range read */
#define SIM_FDB_RECENT_MAX (1u << 20)    /* keys whose last write is remembered */
#define SIM_FDB_LATENCY_NS 50000         /* of a request; and up to this much more, */
#define SIM_FDB_JITTER_NS 500000
#define SIM_FDB_BATCH_NS 1000000   /* a batch begins within this of its first commit */
#define SIM_FDB_LATE_NS 3000000000 /* what is late or slow comes within this */

/* How often out of 10,000 each happens. */
#define SIM_FDB_FAULT_LIST(X)                                                                      \
    X(CONFLICT)        /* a commit: 1020 for no reason */                                          \
    X(TOO_OLD)         /* a read or commit: 1007 */                                                \
    X(FUTURE_VERSION)  /* a read: 1009 */                                                          \
    X(PROCESS_BEHIND)  /* a read: 1037 */                                                          \
    X(LOCKED)          /* a read version: 1038 */                                                  \
    X(MEMORY)          /* a read version: 1078 */                                                  \
    X(REFUSED)         /* a commit: 1042, 1235 or 1242 */                                          \
    X(THROTTLED)       /* a read version: 1213 or 1051 */                                          \
    X(UNKNOWN_DONE)    /* a commit: 1021, and it happened */                                       \
    X(UNKNOWN_LOST)    /* a commit: 1021, and it did not */                                        \
    X(VERSION_CHANGED) /* anything: 1039; a commit may still land */                               \
    X(CANCELLED)       /* anything: 1101, 1025, 1031 or 2017; a commit may still land */           \
    X(LATE)            /* a commit is under way for seconds */                                     \
    X(SLOW)            /* anything takes seconds */                                                \
    X(RECOVERY)        /* a batch: a recovery instead, its commits get 1021, done or not */        \
    X(WATCH_SPURIOUS)  /* a watch fires for nothing */                                             \
    X(WATCH_MISSES)    /* a watch does not see a change */                                         \
    X(WATCH_ERROR)     /* a watch fails */                                                         \
    X(WATCH_SLOW)      /* a watch takes seconds to fire */                                         \
    X(CORRUPTION)      /* a read: one bit of one value is wrong in what is told */

enum sim_fdb_fault {
#define SIM_FDB_FAULT_ENUM(NAME) SIM_FDB_##NAME,
    SIM_FDB_FAULT_LIST(SIM_FDB_FAULT_ENUM)
#undef SIM_FDB_FAULT_ENUM
        SIM_FDB_FAULT_COUNT
};

/* What the world around it wants to know or has to say; each may be NULL. `who` is a database's. */
struct sim_fdb_hooks {
    void *arg;
    /* A commit is asked for. False: it will never leave. What is put into `note` goes with it: it is
     * of the cluster's memory, and the cluster frees it. */
    bool (*commits)(void *arg, void *who, void **note);
    /* A commit happens, before anybody is told; the sender may be gone. */
    void (*landed)(void *arg, void *who, const void *note, const struct store_write *writes,
                   size_t count);
    /* A range is read. */
    void (*scanned)(void *arg, void *who, struct bytes begin, struct bytes end);
    /* Something goes wrong by chance. */
    void (*drew)(void *arg, enum sim_fdb_fault f);
};

struct sim_fdb_options {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    uint64_t seed;
    /* 0: as above. */
    uint64_t latency_ns, jitter_ns, batch_ns, slow_ns_max, late_ns_max;
    uint16_t rate[SIM_FDB_FAULT_COUNT]; /* all 0: nothing goes wrong but by what is done */
};

struct sim_fdb_stats {
    uint64_t reads, commits, landed, landed_late, conflicts, unknown, recoveries, inline_callbacks;
    uint64_t destroyed_callbacks, watches_fired, drawn[SIM_FDB_FAULT_COUNT];
};

struct sim_fdb;

/* Takes a row, borrowed; false ends it. */
typedef bool sim_fdb_row_fn(void *arg, struct bytes key, struct bytes value);
/* Every row, as the last commit left it. */
void sim_fdb_each(struct sim_fdb *c, sim_fdb_row_fn *fn, void *arg);
/* The rows are these, all others are gone, in one version; nobody is told but by watches. */
void sim_fdb_set_back(struct sim_fdb *c, const struct store_write *rows, size_t count);
/* A bit of the last value of that row is another from now on. */
void sim_fdb_flip(struct sim_fdb *c, struct bytes key, size_t bit);

struct sim_fdb *sim_fdb_new(const struct sim_fdb_options *options);
/* Until then there are none. */
void sim_fdb_hook(struct sim_fdb *c, const struct sim_fdb_hooks *hooks);
/* No database of it is left. */
void sim_fdb_free(struct sim_fdb *c);
/* Nothing more goes wrong by chance. */
void sim_fdb_calm(struct sim_fdb *c);
/* Makes a recovery begin now: nothing commits and no read version is given for `ns`, versions jump. */
void sim_fdb_recover(struct sim_fdb *c, uint64_t ns);
/* The same, until it is ended; recoveries count. Where there are reads, read versions are given. */
void sim_fdb_recovery_begin(struct sim_fdb *c, bool reads);
void sim_fdb_recovery_end(struct sim_fdb *c, bool reads);
/* The cluster answers nobody, or does again after a recovery of no length: then every watch fires.
 * These count, as do those below. */
void sim_fdb_cut(struct sim_fdb *c, bool cut);
/* Everybody waits for a read version up to `ns_max` longer, and some are refused. */
void sim_fdb_throttle(struct sim_fdb *c, uint64_t ns_max, bool on);
/* The database is locked: no read versions, no commits. */
void sim_fdb_lock(struct sim_fdb *c, bool on);
/* Commits that may still land. */
size_t sim_fdb_in_flight(const struct sim_fdb *c);
const struct sim_fdb_stats *sim_fdb_stats(const struct sim_fdb *c);

/* The library of one process: its table, and a database handle of it (each a client of its own). */
const struct fdb_api *sim_fdb_api(void);
struct fdb_database *sim_fdb_database(struct sim_fdb *c, void *who);
/* The process has ended: what it held is gone without a callback, what it sent is not. */
void sim_fdb_database_kill(struct fdb_database *db);
/* Cuts one process off, or back on. */
void sim_fdb_database_cut(struct fdb_database *db, bool cut);
/* The process stands still, and no thread of its library runs; or goes on, with whatever was due. */
void sim_fdb_database_freeze(struct fdb_database *db, bool frozen);
/* Futures and transactions that were not destroyed. */
size_t sim_fdb_database_holds(const struct fdb_database *db);
/* Of all that the library has told this process. */
uint64_t sim_fdb_database_digest(const struct fdb_database *db);

#endif
