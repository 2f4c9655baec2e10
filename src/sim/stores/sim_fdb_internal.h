/* What the parts of the simulated FoundationDB share. The opaque types of fdb_api.h are defined
 * here: the library that they belong to is the simulated one. */
#ifndef KELPIE_SIM_FDB_INTERNAL_H
#define KELPIE_SIM_FDB_INTERNAL_H

#include "base/buf.h"
#include "base/rng.h"
#include "sim/stores/sim_fdb.h"
#include "sim/stores/sim_fdb_rows.h"
#include "store/recent.h"

#define SIM_FDB_POLL_NS (20 * NS_PER_MS) /* who is cut off tries again */
#define SIM_FDB_STAMP_SIZE 10
/* Errors that the driver has no name for. */
#define SIM_FDB_HOT_SHARD 1235
#define SIM_FDB_RANGE_LOCKED 1242
#define SIM_FDB_NO_VERSION UINT64_MAX

struct sim_fdb {
    struct sim_fdb_options o;
    struct sim_fdb_hooks hooks;
    struct mem mem;
    struct rng rng;
    bool calm;
    unsigned cuts, throttles, locks; /* how many of each last */
    uint64_t throttle_ns_max;
    unsigned recoveries;       /* that last: nothing commits */
    unsigned recoveries_whole; /* of these, those in which there is no read version either */
    struct timer recovery;     /* the end of one of its own */
    struct fdb_rows rows;
    struct recent recent;
    uint64_t base;       /* versions are microseconds since then */
    uint64_t handed;     /* no version is above it yet */
    struct list transit; /* struct sim_commit, anywhere */
    struct list queue;   /* those that wait for a batch, by `queued` */
    struct timer batch;
    struct map watches; /* struct sim_watched, by key */
    size_t databases;
    struct sim_fdb_stats stats;
};

struct fdb_database {
    struct sim_fdb *c;
    void *who;
    bool cut, frozen;
    struct list transactions;
    struct list futures;
    size_t watch_count, future_count, transaction_count;
    uint64_t digest;
    uint64_t timeout_ms, retry_limit, retry_delay_ms_max, size_limit, watches_max;
};

/* A write or a range, with its bytes. */
struct sim_item {
    struct list link;
    struct store_write write;
    struct key_range range;
    uint8_t bytes[];
};

struct fdb_transaction {
    struct fdb_database *db;
    struct list link;
    struct list futures; /* that are not ready; by in_tr */
    struct list writes;
    struct list reads; /* ranges that conflict */
    struct timer timeout;
    struct timer version_timer;
    bool timeout_held, version_held; /* they rang while the process stood still */
    uint64_t version;
    size_t reading; /* futures that say so */
    size_t size;
    int poison;   /* what every use is answered with */
    int deferred; /* what the commit is answered with */
    bool committing;
    void *note; /* of its commit, until that is sent */
    struct sim_commit *commit;
    int64_t committed_version;
    uint64_t backoff_ns;
    uint64_t retries;
};

enum sim_op { OP_VERSION, OP_GET, OP_RANGE, OP_WATCH, OP_COMMIT, OP_STAMP, OP_ON_ERROR };

struct fdb_future {
    struct fdb_database *db;
    struct list link;
    struct list in_tr; /* or of a key's watches */
    struct fdb_transaction *tr;
    enum sim_op op;
    struct timer timer; /* until it is served; then until its callback runs */
    fdb_callback *fn;
    void *arg;
    bool ready, destroyed, called, waits_for_version;
    bool held;    /* its timer rang while the process stood still */
    bool reading; /* its transaction's commit waits for it */
    int error;

    struct sim_watched *watched; /* an armed watch */
    struct sim_item *key;        /* range.begin .. range.end */
    size_t limit;
    bool bounded_bytes, snapshot;

    bool present;
    uint64_t number;
    struct buf value; /* of a key or of all rows */
    struct buf rows;  /* struct fdb_key_value */
    int more;
};

/* A commit on its way, which no longer needs its transaction. */
struct sim_commit {
    struct list link;
    struct list queued;
    struct sim_fdb *c;
    struct fdb_transaction *tr; /* NULL: nobody hears of it */
    void *who;
    void *note;
    struct timer timer;
    struct list writes;
    struct list reads;
    uint64_t read_version;
    bool decided; /* the answer is on its way */
    bool held;    /* or has come while the process stood still */
    int error;
    uint64_t version;
    uint16_t order;
};

/* sim_fdb_cluster.c */
bool sim_fdb_draw(struct sim_fdb *c, enum sim_fdb_fault f);
uint64_t sim_fdb_latency(struct sim_fdb *c);
/* The same, or when it is drawn so much longer. */
uint64_t sim_fdb_latency_or_slow(struct sim_fdb *c);
uint64_t sim_fdb_late(struct sim_fdb *c);
uint64_t sim_fdb_soon(struct sim_fdb *c, uint64_t within_ns);
/* A read version: at least that of every commit so far; later commits are newer. */
uint64_t sim_fdb_version(struct sim_fdb *c);
bool sim_fdb_is_old(struct sim_fdb *c, uint64_t version);
bool sim_fdb_reachable(const struct fdb_database *db);
/* True when the process stands still: then what is due waits for the thaw, and `held` says so. */
bool sim_fdb_frozen(const struct fdb_database *db, bool *held);
/* An error that says neither that a commit happened nor that it did not. */
int sim_fdb_giving_up(struct sim_fdb *c);
struct sim_item *sim_item_new(struct sim_fdb *c, struct bytes a, struct bytes b);
void sim_items_free(struct sim_fdb *c, struct list *items);
/* Sends what the transaction wrote and read; it leaves the transaction. */
void sim_commit_send(struct fdb_transaction *tr);
/* Its transaction ends: it goes on alone, or what was not delivered is lost. */
void sim_commit_orphan(struct sim_commit *m);
/* Whatever is in the queue ends as unknown, done or not; so does what is done and not answered. */
void sim_commits_lose(struct sim_fdb *c);
/* Commits go on, when nothing holds them up any more. */
void sim_commits_wake(struct sim_fdb *c);

/* sim_fdb_trouble.c */
void sim_trouble_init(struct sim_fdb *c);
/* Why a read version is not given: 0, or the library's error. */
int sim_trouble_version_error(struct sim_fdb *c);
uint64_t sim_trouble_version_delay(struct sim_fdb *c);

/* sim_fdb_future.c */
struct fdb_future *sim_future_new(struct fdb_transaction *tr, enum sim_op op);
void sim_future_finish(struct fdb_future *f, int error);
void sim_future_free(struct fdb_future *f);
void sim_future_destroy(struct fdb_future *f);
int sim_future_set_callback(struct fdb_future *f, fdb_callback *fn, void *arg);

/* sim_fdb_watch.c */
void sim_watch_arm(struct fdb_future *f);
void sim_watch_disarm(struct fdb_future *f);
void sim_watch_due(struct fdb_future *f);
void sim_watches_touch(struct sim_fdb *c, const struct store_write *w);
/* Every watch fires. */
void sim_watches_fire(struct sim_fdb *c);

/* sim_fdb_transaction.c */
int sim_transaction_new(struct fdb_database *db, struct fdb_transaction **out);
void sim_transaction_free(struct fdb_transaction *tr);
/* Every future that is not ready fails, and every later use. */
void sim_transaction_poison(struct fdb_transaction *tr, int error);
void sim_transaction_reset(struct fdb_transaction *tr);
/* What the cluster answered to its commit. */
void sim_transaction_committed(struct fdb_transaction *tr, const struct sim_commit *m);
/* Its time has come. */
void sim_future_serve(struct fdb_future *f);
/* The transaction's part of the table. */
void sim_transaction_destroy(struct fdb_transaction *tr);
void sim_transaction_set_read_version(struct fdb_transaction *tr, int64_t version);
struct fdb_future *sim_transaction_get_read_version(struct fdb_transaction *tr);
struct fdb_future *sim_transaction_get(struct fdb_transaction *tr, const uint8_t *key,
                                       int key_length, int snapshot);
struct fdb_future *sim_transaction_get_range(struct fdb_transaction *tr, const uint8_t *begin,
                                             int begin_length, int begin_or_equal, int begin_offset,
                                             const uint8_t *end, int end_length, int end_or_equal,
                                             int end_offset, int limit, int target_bytes, int mode,
                                             int iteration, int snapshot, int reverse);
struct fdb_future *sim_transaction_watch(struct fdb_transaction *tr, const uint8_t *key,
                                         int key_length);
struct fdb_future *sim_transaction_commit(struct fdb_transaction *tr);
struct fdb_future *sim_transaction_get_versionstamp(struct fdb_transaction *tr);
struct fdb_future *sim_transaction_on_error(struct fdb_transaction *tr, int error);

/* sim_fdb_read.c: what a read returns, and what of it conflicts. */
void sim_read_get(struct fdb_future *f);
void sim_read_range(struct fdb_future *f);
const struct fdb_key_value *sim_future_rows(const struct fdb_future *f);
/* One bit of one value, where there is one. */
void sim_read_corrupt(struct fdb_future *f);

/* sim_fdb_error.c */
const char *sim_fdb_error_text(int error);
int sim_fdb_error_predicate(int predicate, int error);

#endif
