/*
 * Transactions as data: what is read, a pure rule, a completion. One TLA+ action = one rule.
 *
 * The driver reads everything in one snapshot, calls the rule, commits what it wrote, and on a
 * conflict, a too old read version or an unknown result reads again and calls the rule again. A
 * rule may therefore run several times and must recognise its own earlier commit ("done").
 *
 * An attempt whose result is unknown may land later. It is excluded once a key that it read (not as
 * a snapshot) was committed anew: by a later attempt of the same transaction, because every rule
 * reads a key that it also writes, or by whatever change made the rule refuse, because a pure rule
 * that answers differently has read something that differs.
 */
#ifndef KELPIE_ENV_TXN_H
#define KELPIE_ENV_TXN_H

#include "base/check.h"
#include "env/env.h"
#include "env/store.h"
#include "env/timer.h"

enum verdict {
    RULE_COMMIT, /* commit what was written */
    RULE_DONE, /* nothing to write: the goal is reached, perhaps by an earlier attempt of this one */
    RULE_REFUSE, /* the state does not allow it: rule_refuse() said why */
    RULE_MORE,   /* rule_more*() named further reads: read all of them and call again */
};

struct txn;

/* What a rule sees and says. Rows are borrowed for the call; writes and refusal are copied. */
struct rule_ctx {
    struct txn *txn;
    struct buf *scratch; /* cleared before each run of the rule; lives until the next run */
    int error;           /* set by rule_corrupt */
};

/* Pure: rows and `arg` in, verdict and writes out; no clock, no randomness, no I/O. */
typedef enum verdict rule_fn(struct rule_ctx *ctx, void *arg);

/* status: 0 (committed or done), KELPIE_E_REFUSED (see txn->reason), KELPIE_E_STORE_CORRUPT (see
 * txn->reason, which names the key), KELPIE_E_STORE_NEWER, KELPIE_E_TIMEOUT (given up, surely not
 * committed; STORE_FULL if that was why), KELPIE_E_UNKNOWN_RESULT (given up, may have committed or
 * still commit), KELPIE_E_CANCELLED, KELPIE_E_STORE_FULL, KELPIE_E_LIMIT. */
typedef void txn_fn(struct txn *txn, int status);

#define TXN_REASON_SIZE 192

/* Embedded in the caller's operation. Zeroed and set up by txn_init; reused after completion by
 * another txn_init. */
struct txn {
    const char *action; /* the spec action's name, static */
    const struct env *env;
    rule_fn *rule;
    void *rule_arg;
    txn_fn *done;
    void *arg;

    /* Options, to be set between txn_init and txn_start. */
    uint64_t give_up_ns;     /* after this long: TIMEOUT or UNKNOWN_RESULT; 0: never */
    uint64_t backoff_max_ns; /* default TXN_BACKOFF_MAX_NS */
    bool fail_fast;          /* STORE_UNAVAILABLE and STORE_FULL end it instead of a retry */
    bool fail_full;          /* STORE_FULL alone does */

    /* Results, for `done`. */
    bool committed;        /* this run committed (false: the rule said done) */
    bool unknown_pending;  /* what became of an attempt before is not known */
    uint64_t read_version; /* of the last read */
    uint64_t commit_version;
    uint64_t started_ns; /* when txn_start was called */
    uint64_t read_at_ns; /* when the last read's answer was received */
    unsigned attempts;
    int attempt_error; /* of the last attempt that has ended and is tried again; 0: none */
    char reason[TXN_REASON_SIZE]; /* why it was refused, a sentence without a final stop */

    /* Private. */
    struct store_req req;
    struct store_read reads[STORE_READS_MAX];
    size_t key_at[STORE_READS_MAX]; /* where in `keys` each read's key and end begin */
    size_t end_at[STORE_READS_MAX];
    size_t read_count;
    size_t asked_count;     /* reads whose rows are in hand; the rest the rule has just asked for */
    size_t own_read_count;  /* those asked for before start; the rest came from rule_more */
    size_t own_keys_len;    /* of `keys`, likewise */
    struct buf keys;        /* bytes of the keys of reads */
    struct buf *scratch;    /* of the run: from txn_start until `done` has returned */
    struct buf write_bytes; /* keys and values of the writes */
    struct txn_write_at {
        size_t key_at, value_at; /* where in `write_bytes` they begin */
    } * write_at;
    struct store_write *writes;
    size_t write_count, write_cap;
    struct timer timer; /* attempt time-out, or back-off, or deferred completion */
    struct timer give_up;
    int state;
    int status;
    uint64_t backoff_ns;
    struct list link; /* in env->txns: what is under way */
};

#define TXN_ATTEMPT_TIMEOUT_NS (1000 * NS_PER_MS)
#define TXN_BACKOFF_MIN_NS (2 * NS_PER_MS)
#define TXN_BACKOFF_MAX_NS (500 * NS_PER_MS)

void txn_init(struct txn *t, const struct env *env, const char *action, rule_fn *rule,
              void *rule_arg, txn_fn *done, void *arg);
/* Adds a read and returns its index; the key is copied. */
size_t txn_read(struct txn *t, struct bytes key, bool snapshot);
size_t txn_read_range(struct txn *t, struct bytes begin, struct bytes end, uint32_t limit,
                      bool snapshot);
/* Starts it. `done` runs exactly once, from the loop, never inside this call; in it, rows and
 * writes are still there; after it all memory of the transaction is free. */
void txn_start(struct txn *t);
/* The same, with the first attempt after a while. */
void txn_start_in(struct txn *t, uint64_t delay_ns);
/* Asks it to end: `done` runs soon with KELPIE_E_CANCELLED, or UNKNOWN_RESULT when a commit was
 * sent. Harmless when it is not under way. */
void txn_cancel(struct txn *t);
bool txn_active(const struct txn *t);

/* For rules, and for `done` to look at what was read last, when the rule has run on it: with status
 * 0, REFUSED, STORE_CORRUPT or STORE_NEWER and a reason. */
/* The value of point read `i`; false when there is no such row. */
bool rule_row(const struct txn *t, size_t i, struct bytes *value);
/* The rows of range read `i`. */
struct store_result rule_rows(const struct txn *t, size_t i);
/* Point read of a row again when the rule run needs it: returns the new read's index. */
size_t rule_more(struct rule_ctx *ctx, struct bytes key, bool snapshot);
size_t rule_more_range(struct rule_ctx *ctx, struct bytes begin, struct bytes end, uint32_t limit,
                       bool snapshot);
/* For `done` with status 0: the context with which loaders of rows look at what was read last. */
struct rule_ctx txn_look(struct txn *t);
/* How many reads there are now: a rule finds out in which round it is. */
size_t rule_read_count(const struct rule_ctx *ctx);

void rule_put(struct rule_ctx *ctx, struct bytes key, struct bytes value);
void rule_delete(struct rule_ctx *ctx, struct bytes key);
void rule_delete_range(struct rule_ctx *ctx, struct bytes begin, struct bytes end);
/* Sets the reason and returns RULE_REFUSE. */
enum verdict rule_refuse(struct rule_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A record at `key` could not be decoded: ends the transaction with `error` (STORE_CORRUPT or
 * STORE_NEWER); nothing is acted on. */
enum verdict rule_corrupt(struct rule_ctx *ctx, int error, struct bytes key);
/* The same of a record that the transaction can do without: it is counted, and goes on. */
void rule_pass_corrupt(struct rule_ctx *ctx, int error, struct bytes key);

#endif
