/*
 * A small ordered map under the store core: rows sorted by key, changed a whole batch at a time.
 * Implemented over memory (omap_memory.h) and LMDB (omap_lmdb.h); the simulator puts faults into
 * either. One thread.
 */
#ifndef KELPIE_STORE_OMAP_H
#define KELPIE_STORE_OMAP_H

#include "base/bytes.h"
#include "base/check.h"

/* A row of a scan; both are borrowed for the call. Returns false to end the scan. */
typedef bool omap_row_fn(void *arg, struct bytes key, struct bytes value);

/* Errors of all: KELPIE_E_STORE_CORRUPT, KELPIE_E_STORE_UNAVAILABLE (nothing was changed). */
struct omap_ops {
    /* Everything between begin and end reads one snapshot: all batches committed so far. Returns 0
     * or an error. Not nested, and not while a batch is open. */
    int (*read_begin)(void *ctx);
    void (*read_end)(void *ctx);
    /* 1 and the value (borrowed until read_end), 0 when there is no such row, or an error. */
    int (*get)(void *ctx, struct bytes key, struct bytes *value);
    /* Calls `fn` for the rows in [begin, end), in order. Returns 0 or an error. */
    int (*scan)(void *ctx, struct bytes begin, struct bytes end, omap_row_fn *fn, void *arg);

    /* A batch of changes: begin, any number of changes in order, then commit or abort. Each of these
     * may also return KELPIE_E_STORE_FULL, or KELPIE_E_LIMIT when the map has to be made larger,
     * which the next begin does: then apply the same batch again. After an error only abort may
     * follow, after an error of begin nothing. */
    int (*batch_begin)(void *ctx);
    int (*put)(void *ctx, struct bytes key, struct bytes value);
    int (*del)(void *ctx, struct bytes key); /* no such row: 0 */
    int (*del_range)(void *ctx, struct bytes begin, struct bytes end);
    /* Sets the version mark, a number beside the rows. */
    int (*mark_put)(void *ctx, uint64_t mark);
    /* Makes the whole batch durable, or nothing of it. Ends the batch in every case. Returns 0, an
     * error as above (nothing was changed), or KELPIE_E_UNKNOWN_RESULT when it cannot be said
     * what is on disk: then the map must be closed. */
    int (*batch_commit)(void *ctx);
    void (*batch_abort)(void *ctx);

    /* Reads the version mark; 0 when it was never set. Outside of reads and batches. */
    int (*mark_get)(void *ctx, uint64_t *mark);
};

struct omap {
    const struct omap_ops *ops;
    void *ctx;
};

#endif
