/*
 * The store on FoundationDB: `struct store` over the table of the client library's functions
 * (fdb_api.h). One request is one transaction of FoundationDB from its read to its commit, so what
 * conflicts is decided there, and all reads of a request go out together.
 *
 * The library's callbacks come on a thread of its own: they queue what is ready and call `wake`,
 * nothing else. store_fdb_ready() then does the work on the caller's thread. See
 * docs/adr/0006-foundationdb-driver.md for who backs off, what is unknown, and what a watch is.
 */
#ifndef KELPIE_STORE_STORE_FDB_H
#define KELPIE_STORE_STORE_FDB_H

#include "base/log.h"
#include "base/mem.h"
#include "env/clock.h"
#include "env/store.h"
#include "env/timer.h"
#include "store/fdb_api.h"

#define FDB_TIMEOUT_MS 900             /* of a transaction; below TXN_ATTEMPT_TIMEOUT_NS */
#define FDB_RETRIES 1                  /* on_error is asked once for a transaction */
#define FDB_RETRY_DELAY_MS 500         /* the longest back-off of the library */
#define FDB_SIZE_MAX (4 * 1000 * 1000) /* writes and conflict keys of a transaction */
#define FDB_WATCHES_MAX 8192 /* of this store; the library's bound is FDB_LIBRARY_WATCHES */
#define FDB_LIBRARY_WATCHES 10000
#define FDB_WATCH_POLL_NS (500 * NS_PER_MS) /* when a watch cannot be had, it fires after this */
#define FDB_PREFIX_MAX 64

/* Called from any thread, also inside a call of the library: have store_fdb_ready() called soon. */
struct fdb_wake {
    void (*wake)(void *ctx);
    void *ctx;
};

struct store_fdb_options {
    struct bytes prefix; /* before each key; stays out of what is returned. Copied. */
    unsigned timeout_ms; /* 0: FDB_TIMEOUT_MS */
    bool order;          /* fill commit_order, at the cost of a versionstamp for each commit */
};

struct store_fdb_env {
    struct mem mem;
    struct clock clock;
    struct timers timers;
    struct log log;
    struct fdb_wake wake;
};

struct store_fdb;

/* `api` and `db` are borrowed until store_fdb_free; options of the database are set here. Returns
 * 0, or the library's error. `options` may be NULL. */
int store_fdb_new(const struct store_fdb_env *env, const struct fdb_api *api,
                  struct fdb_database *db, const struct store_fdb_options *options,
                  struct store_fdb **out) MUST_USE;
/* Completes what is under way (reads and reads' back-off with STORE_UNAVAILABLE, commits with
 * UNKNOWN_RESULT) and fires the watches, within this call. What these ask for is dropped. */
void store_fdb_close(struct store_fdb *s);
/* After close: whether every callback has come, so that the store may be freed. */
bool store_fdb_idle(const struct store_fdb *s);
void store_fdb_free(struct store_fdb *s);

struct store store_fdb_store(struct store_fdb *s);
/* Completes what the library has answered. On the store's thread. */
void store_fdb_ready(struct store_fdb *s);
/* Requests under way, results and watches that the caller has not given back. */
size_t store_fdb_holds(const struct store_fdb *s);
/* Whether the cluster answered the last time that it was asked, and if not what the library says. */
bool store_fdb_connected(const struct store_fdb *s);
const char *store_fdb_problem(const struct store_fdb *s);

#endif
