/*
 * Head rows against the state rows that they count and sum, and the remembered requests that they count by bucket.
 * The rows of an actor may lie in two pages of a scan, each a snapshot of its own: who does not match there is read
 * again, head and state in one; the requests by pages, as long as the head row says that nothing came in between.
 */
#ifndef KELPIE_BIN_STORE_CHECK_HEADS_H
#define KELPIE_BIN_STORE_CHECK_HEADS_H

#include "base/list.h"
#include "bin/shared/store_scan.h"
#include "record/records.h"

#define SUSPECTS_MAX 4096 /* actors; as many more problems of the kind are not told */

/* What the rows of one actor add up to. */
struct head_sums {
    bool there; /* any row of it */
    bool has_head, has_slots, unreadable;
    struct head_record head;
    uint64_t rows, sum;
    uint64_t ids[HEAD_BUCKETS_MAX], strays; /* remembered requests: of each bucket, and of none */
};

struct heads {
    struct scan *scan;
    struct buf scratch;
    struct head_sums at; /* of the actor whose rows come now */
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    struct list suspects;
    size_t suspect_count;
};

void heads_init(struct heads *h, struct scan *scan);
void heads_deinit(struct heads *h);
/* The next row of the scan, in order. */
void heads_row(struct heads *h, const struct key_parts *parts, const struct store_row *row);
/* After the last one: `fn` is told of each head row, or state row without one, that is wrong. */
typedef void heads_problem_fn(void *arg, struct bytes key, const char *what);
int heads_check(struct heads *h, heads_problem_fn *fn, void *arg) MUST_USE;

#endif
