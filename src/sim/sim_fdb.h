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

/* How often out of 10,000 each happens. */
#define SIM_FDB_FAULT_LIST(X)                                                                      \
    X(CONFLICT)        /* a commit: 1020 for no reason */                                          \
    X(TOO_OLD)         /* a read or commit: 1007 */                                                \
    X(FUTURE_VERSION)  /* a read: 1009 */                                                          \
    X(PROCESS_BEHIND)  /* a read: 1037 */                                                          \
    X(LOCKED)          /* a read version: 1038 */                                                  \
    X(MEMORY)          /* a read version: 1078, a commit: 1042 */                                  \
    X(THROTTLED)       /* a read version: 1213 or 1051 */                                          \
    X(UNKNOWN_DONE)    /* a commit: 1021, and it happened */                                       \
    X(UNKNOWN_LOST)    /* a commit: 1021, and it did not */                                        \
    X(VERSION_CHANGED) /* anything: 1039; a commit may still land */                               \
    X(CANCELLED)       /* anything: 1101 out of the blue; a commit may still land */               \
    X(LATE)            /* a commit is under way for seconds */                                     \
    X(SLOW)            /* a read version or read takes seconds */                                  \
    X(RECOVERY)        /* a batch: a recovery instead, its commits get 1021, done or not */        \
    X(WATCH_SPURIOUS)  /* a watch fires for nothing */                                             \
    X(WATCH_ERROR)     /* a watch fails */                                                         \
    X(WATCH_SLOW)      /* a watch takes seconds to fire */

enum sim_fdb_fault {
#define SIM_FDB_FAULT_ENUM(NAME) SIM_FDB_##NAME,
    SIM_FDB_FAULT_LIST(SIM_FDB_FAULT_ENUM)
#undef SIM_FDB_FAULT_ENUM
        SIM_FDB_FAULT_COUNT
};

struct sim_fdb_options {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    uint64_t seed;
    uint16_t rate[SIM_FDB_FAULT_COUNT]; /* all 0: nothing goes wrong but by what is done */
};

struct sim_fdb_stats {
    uint64_t reads, commits, landed, landed_late, conflicts, unknown, recoveries, inline_callbacks;
    uint64_t destroyed_callbacks, watches_fired, drawn[SIM_FDB_FAULT_COUNT];
};

struct sim_fdb;

struct sim_fdb *sim_fdb_new(const struct sim_fdb_options *options);
/* No database of it is left. */
void sim_fdb_free(struct sim_fdb *c);
/* Called when a commit happens, before anybody is told. `who` is the client's. */
typedef void sim_fdb_landed_fn(void *arg, void *who, uint64_t version,
                               const struct store_write *writes, size_t count);
void sim_fdb_on_landed(struct sim_fdb *c, sim_fdb_landed_fn *fn, void *arg);
/* Nothing more goes wrong by chance. */
void sim_fdb_calm(struct sim_fdb *c);
/* Makes a recovery begin now: versions jump, nothing commits for `ns`. */
void sim_fdb_recover(struct sim_fdb *c, uint64_t ns);
/* The cluster answers nobody, or does again. */
void sim_fdb_cut(struct sim_fdb *c, bool cut);
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
/* Futures and transactions that were not destroyed. */
size_t sim_fdb_database_holds(const struct fdb_database *db);

#endif
