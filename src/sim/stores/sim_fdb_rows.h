/* Rows with their versions of the last five seconds: what a simulated FoundationDB reads from. */
#ifndef KELPIE_SIM_FDB_ROWS_H
#define KELPIE_SIM_FDB_ROWS_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "env/store.h"

struct fdb_rows {
    struct mem mem;
    struct map map;     /* struct fdb_row */
    struct list recent; /* struct fdb_cell, those that another one may have made superfluous */
};

/* Takes a row; false ends the scan. */
typedef bool fdb_row_fn(void *arg, struct bytes key, struct bytes value);

void fdb_rows_init(struct fdb_rows *r, struct mem mem);
void fdb_rows_deinit(struct fdb_rows *r);
void fdb_rows_write(struct fdb_rows *r, const struct store_write *w, uint64_t version);
/* As of `version`, which no trim has passed. The value is borrowed until the next write or trim. */
bool fdb_rows_get(const struct fdb_rows *r, struct bytes key, uint64_t version,
                  struct bytes *value);
void fdb_rows_scan(const struct fdb_rows *r, struct bytes begin, struct bytes end, uint64_t version,
                   fdb_row_fn *fn, void *arg);
/* One bit of the last value of a row; there must be one. */
void fdb_rows_flip(struct fdb_rows *r, struct bytes key, size_t bit);
/* Nobody reads below `version` any more. */
void fdb_rows_trim(struct fdb_rows *r, uint64_t version);

#endif
