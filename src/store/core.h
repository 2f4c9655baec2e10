/*
 * The store core: strictly serializable transactions, optimistic, over an ordered map. The same
 * code runs in process (store_memory.h), behind a socket over LMDB (store_server.h) and in the
 * simulator.
 *
 * A transaction reads a set of keys and ranges in one call, hence in one snapshot, and is told the
 * version of that snapshot. Its commit names what it read and that version; it fails with CONFLICT
 * when any of that was written by a newer commit, with TOO_OLD when the core no longer remembers so
 * far back. Commits queue up until core_flush(), which validates them in order, applies those that
 * pass to the map in one batch, and completes them together.
 *
 * Versions grow with each commit that writes, and over restarts: a core starts at a version that no
 * earlier core on the same map has handed out (core_new), so what was read from an earlier life is
 * TOO_OLD, unless that life committed nothing.
 *
 * The core does no I/O of its own, reads no clock, draws no random numbers and takes memory through
 * `struct mem` only. Many cores may live in one process; each belongs to one thread. What it does
 * depends on the order of calls alone.
 */
#ifndef KELPIE_STORE_CORE_H
#define KELPIE_STORE_CORE_H

#include "env/store.h"
#include "store/omap.h"
#include "store/recent.h"

#define CORE_RECENT_MAX 65536           /* keys in the window of recent writes */
#define CORE_BATCH_MAX 1024             /* commits in one batch of the map */
#define CORE_BATCH_BYTES_MAX (8u << 20) /* a batch ends with the commit that reaches this */
#define CORE_GROW_MAX 32                /* times a map may ask for a batch again, to grow */
#define CORE_QUEUE_MAX 65536            /* commits waiting; one more completes with LIMIT */
#define CORE_WATCHES_MAX 65536          /* one more fires at once */
#define CORE_VERSION_STEP (1ull << 32)  /* versions reserved at a time by the map's mark */

struct core;

/* 0 takes the default. */
struct core_options {
    size_t recent_max;  /* CORE_RECENT_MAX */
    size_t watches_max; /* CORE_WATCHES_MAX */
    size_t batch_max;   /* CORE_BATCH_MAX */
};

/* The map is borrowed and outlives the core. Returns 0 and the core, or an error of the map.
 * `options` may be NULL. */
int core_new(struct mem mem, struct omap map, const struct core_options *options,
             struct core **out) MUST_USE;
/* Commits and watches that are still there are forgotten; their callbacks do not run. */
void core_free(struct core *core);

/* The version of the last commit. */
uint64_t core_version(const struct core *core);
/* The map failed in a way that leaves its state unknown: everything is answered with
 * STORE_UNAVAILABLE from then on. Close map and core and open them again. */
bool core_broken(const struct core *core);
/* True when core_flush() has something to do. */
bool core_pending(const struct core *core);

/* ---- reading */

/* Takes the rows of reads[index], in key order, index by index; borrowed for the call. */
struct core_sink {
    void (*row)(void *arg, size_t index, struct bytes key, struct bytes value);
    /* Called once per read, after its rows. */
    void (*end)(void *arg, size_t index, bool more);
    void *arg;
};

/* Reads everything in one snapshot: all commits flushed so far. `*version` is that of the snapshot.
 * Returns 0, KELPIE_E_LIMIT (bounds of env/store.h), or an error of the map; after an error what
 * the sink was given is to be thrown away. The sink must not call the core. */
int core_read(struct core *core, const struct store_read *reads, size_t count,
              const struct core_sink *sink, uint64_t *version) MUST_USE;

/* ---- committing */

struct core_commit;
/* status: 0 (see commit->version), CONFLICT, TOO_OLD, STORE_FULL, LIMIT, STORE_UNAVAILABLE,
 * UNKNOWN_RESULT, as in env/store.h. May call the core, also to queue more. */
typedef void core_commit_fn(struct core_commit *commit, int status);

/* Owned by the caller, with all that it points to, until `fn` ran or core_cancel() returned. Zeroed
 * before its first use. */
struct core_commit {
    const struct key_range *conflicts; /* what was read, snapshot reads left out */
    size_t conflict_count;
    const struct store_write *writes;
    size_t write_count;
    uint64_t read_version;
    core_commit_fn *fn;
    void *arg;

    uint64_t version; /* result: of this commit, or of the snapshot when it wrote nothing */

    struct list link;
    int status;
};

/* Queues a commit. `fn` runs within a later core_flush(), never in this call. A commit without
 * conflicts is a blind write and never meets CONFLICT or TOO_OLD. */
void core_enqueue(struct core *core, struct core_commit *commit);
/* Takes it out again: `fn` will not run. A queued commit then leaves no trace; one that is being
 * completed (seen from another completion of the same flush) has happened. Harmless when it is
 * not queued. */
void core_cancel(struct core *core, struct core_commit *commit);
/* Validates, applies and completes all queued commits, batch by batch, then fires watches. Returns
 * the number of commits completed. Not to be called from a callback of the core. */
size_t core_flush(struct core *core);

/* The conflict ranges of a request: of reads that are not snapshots, and of a range that its limit
 * cut only as far as it was read (from req->results; without them, all of it). Returns how many;
 * `out` has room for STORE_READS_MAX. They borrow from the request. */
size_t core_conflicts(const struct store_req *req, struct key_range *out);

/* ---- watching */

struct core_watch {
    struct bytes key; /* borrowed until it fired or was taken back */
    uint64_t since_version;
    void (*fn)(struct core_watch *w);
    void *arg;

    struct list link;
    struct watch_key *at;
    bool armed;
};

/* `fn` runs once, within a later core_flush(): after the key was written by a commit newer than
 * since_version, or for no good reason (versions too old or from elsewhere, too many watches). */
void core_watch(struct core *core, struct core_watch *w);
/* Takes it back: `fn` will not run. Harmless when it is not armed. */
void core_unwatch(struct core *core, struct core_watch *w);

#endif
