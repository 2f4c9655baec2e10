/* What the parts of the driver for FoundationDB share. */
#ifndef KELPIE_STORE_STORE_FDB_INTERNAL_H
#define KELPIE_STORE_STORE_FDB_INTERNAL_H

#include "base/buf.h"
#include "store/fdb_wait.h"
#include "store/store_results.h"

#define FDB_PROBLEM_SIZE 192
#define FDB_TELL_NS (10 * NS_PER_S)

struct store_fdb {
    struct mem mem;
    struct clock clock;
    struct log log;
    const struct fdb_api *api;
    struct fdb_database *db;
    struct fdb_mail mail;
    struct results_builder builder;
    struct buf keys[2]; /* the prefixed key, or both ends of a range, that a call is made with */
    uint8_t prefix[FDB_PREFIX_MAX];
    size_t prefix_len;
    bool order;
    uint64_t timeout_ns;
    struct list attempts; /* struct fdb_attempt, under way */
    struct list kept;     /* those between read and commit */
    struct list watches;  /* struct fdb_watch, armed */
    struct list overdue;  /* those that failed, by the time when they fire */
    size_t watch_count;
    uint64_t timer_due_ns;
    struct timer timer; /* for attempts that ended inside a call, and for what is overdue */
    bool connected;
    bool told; /* that it is not, in the log */
    uint64_t quiet_until_ns;
    bool closing;
    char problem[FDB_PROBLEM_SIZE];
};

/* The key as the database has it; valid until the next call with the same `which` (0, 1). */
struct bytes fdb_key(struct store_fdb *s, int which, struct bytes key);
/* Notes how the cluster answered: 0 or the library's error. */
void fdb_note(struct store_fdb *s, int error);
/* Has fdb_attempts_due() and fdb_watches_due() called. */
void fdb_timer_set(struct store_fdb *s, uint64_t delay_ns);

/* fdb_attempt.c */
void fdb_attempt_read(void *ctx, struct store_req *req);
void fdb_attempt_commit(void *ctx, struct store_req *req);
void fdb_attempt_cancel(void *ctx, struct store_req *req);
void fdb_attempt_release(void *ctx, struct store_req *req);
void fdb_attempts_due(struct store_fdb *s);
void fdb_attempts_close(struct store_fdb *s);
void fdb_attempts_free(struct store_fdb *s);

/* fdb_watch.c */
void fdb_watch_set(void *ctx, struct store_watch *w);
void fdb_watch_unset(void *ctx, struct store_watch *w);
void fdb_watches_due(struct store_fdb *s);
void fdb_watches_close(struct store_fdb *s);

#endif
