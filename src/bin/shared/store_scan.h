/* Reading a whole store from a program without a node: page by page, each page in one snapshot. */
#ifndef KELPIE_BIN_STORE_SCAN_H
#define KELPIE_BIN_STORE_SCAN_H

#include "bin/shared/world_bind.h"
#include "env/txn.h"
#include "record/keys.h"

#define SCAN_PAGE_ROWS 128
#define SCAN_GIVE_UP_MS 10000

struct scan {
    struct world_bind *world;
    struct keyspace ks;
    struct txn txn;

    /* Of the read under way. */
    rule_fn *rule;
    void (*look)(struct scan *s, void *arg);
    void *arg;
    int status;
    char reason[TXN_REASON_SIZE];
};

/* `world` has a store, and a loop that nobody else runs meanwhile. */
void scan_init(struct scan *s, struct world_bind *world, const struct keyspace *ks);
/* One read-only transaction: call scan_begin, add reads to s->txn, call scan_run. `look` runs with
 * the rows there. `rule` NULL: nothing more is read. Returns 0 or an error, then s->reason says
 * more. */
void scan_begin(struct scan *s, rule_fn *rule, void *rule_arg);
int scan_run(struct scan *s, void (*look)(struct scan *s, void *arg), void *arg) MUST_USE;

/* Every row of a range, in order, in pages of at most SCAN_PAGE_ROWS. */
typedef void scan_row_fn(void *arg, const struct store_row *row);
int scan_range(struct scan *s, struct key_range range, scan_row_fn *fn, void *arg) MUST_USE;

#endif
