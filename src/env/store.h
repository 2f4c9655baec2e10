/*
 * The store as a node sees it, low level: read a set of keys and ranges in one consistent
 * snapshot, commit writes if nothing that was read has changed, watch keys. What retries and what
 * an unknown result means is decided in env/txn.h; nothing else calls these operations.
 *
 * Strictly serializable: a read sees every commit that was acknowledged before the read started.
 */
#ifndef KELPIE_ENV_STORE_H
#define KELPIE_ENV_STORE_H

#include "base/buf.h"
#include "base/list.h"

#define STORE_KEY_MAX 511
#define STORE_VALUE_MAX (96u * 1024)
/* A store that was copied has a row (STORE_COPY_WORD as bytes, prefix) for each prefix in it, until the copy is
 * made an epoch of its own: the tuple element that these keys begin with. */
#define STORE_COPY_WORD "kelpie copy"
#define STORE_COPY_BEGIN "\x01" STORE_COPY_WORD "\0"

#define STORE_READS_MAX 64   /* reads of one transaction */
#define STORE_ROWS_MAX 65536 /* rows a transaction may read */
#define STORE_READ_BYTES_MAX (16u * 1024 * 1024)
#define STORE_WRITES_MAX 1024 /* writes of one transaction */
#define STORE_WRITE_BYTES_MAX (1u * 1024 * 1024)

/* One key (end.len == 0) or the range [key, end), at most `limit` rows from its start (0: all). */
struct store_read {
    struct bytes key;
    struct bytes end;
    uint32_t limit;
    bool snapshot; /* adds no read conflict */
};

struct store_row {
    struct bytes key;
    struct bytes value;
};

/* The rows of one read. */
struct store_result {
    const struct store_row *rows;
    size_t count;
    bool more; /* the limit was reached: there may be more rows, which do not conflict */
};

enum store_write_kind { STORE_PUT, STORE_DELETE, STORE_DELETE_RANGE };

struct store_write {
    enum store_write_kind kind;
    struct bytes key;
    struct bytes value; /* PUT: value; DELETE_RANGE: end of [key, end) */
};

struct store_req;
typedef void store_req_fn(struct store_req *req, int status);

/*
 * One attempt of one transaction. The caller owns it and all that it points to until `fn` ran or
 * cancel returned; `reads`, `writes` and `read_version` must be the same from read to commit.
 */
struct store_req {
    const struct store_read *reads;
    size_t read_count;
    const struct store_write *writes;
    size_t write_count;
    store_req_fn *fn;
    void *arg;

    /* Filled by a successful read. */
    uint64_t read_version;
    struct store_result *results; /* read_count of them; memory of the backend until release */

    /* Filled by a successful commit. */
    uint64_t commit_version;
    uint16_t commit_order; /* among commits of one version, where a store has such; else 0 */

    /* For the backend. */
    struct list link;
    uint64_t id;
    void *backend;
    int state;
};

/* A watch that was set fires at most once: when the key changed after `since_version`, or for no
 * reason, or because the store lost it (then too). It is a hint: read again. */
struct store_watch {
    struct bytes key; /* borrowed until it fired or was cancelled */
    uint64_t since_version;
    void (*fn)(struct store_watch *w);
    void *arg;
    struct list link;
    uint64_t id;
    void *backend;
    bool armed;
};

struct store_ops {
    /* Reads everything in req->reads. Completes with 0 or STORE_UNAVAILABLE, STORE_CORRUPT,
     * LIMIT (too many rows or bytes). */
    void (*read)(void *ctx, struct store_req *req);
    /* Commits req->writes if nothing in req->reads (snapshot reads apart) has changed since
     * req->read_version. Completes with 0, CONFLICT, TOO_OLD, STORE_FULL, LIMIT, STORE_UNAVAILABLE
     * (surely not committed), or UNKNOWN_RESULT (committed, not committed, or still to be). */
    void (*commit)(void *ctx, struct store_req *req);
    /* Detaches a request under way: `fn` will not run. A commit may still land. */
    void (*cancel)(void *ctx, struct store_req *req);
    /* Frees req->results; harmless when there are none. */
    void (*release)(void *ctx, struct store_req *req);
    void (*watch)(void *ctx, struct store_watch *w);
    void (*unwatch)(void *ctx, struct store_watch *w);
};

struct store {
    const struct store_ops *ops;
    void *ctx;
};

#endif
