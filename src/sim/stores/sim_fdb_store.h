/* What the parts of the simulated way to FoundationDB share: in each process the driver, over the
 * simulated library, over one simulated cluster. */
#ifndef KELPIE_SIM_FDB_STORE_H
#define KELPIE_SIM_FDB_STORE_H

#include "sim/report/sim_record.h"
#include "sim/stores/sim_fdb.h"
#include "sim/stores/sim_store.h"
#include "store/store_fdb.h"

struct fdb_store {
    struct sim_store base;
    struct world *w;
    struct sim_mem mem;
    struct sim_fdb *fdb;
    unsigned *cuts; /* of each node */
    uint64_t reads, commits;
};

/* One process's. */
struct fdb_client {
    struct process *p;
    struct fdb_database *db;
    struct store_fdb *driver; /* NULL: closed */
    struct sim_event wake;    /* the library has something for the driver */
    bool closing;
    const struct store_req *sending; /* a commit that is just being handed over */
    struct list asked;               /* struct fdb_asked, where somebody records */
};

/* What goes with a commit. */
struct fdb_note {
    struct commit_seen seen;
    const struct store_req *req; /* only to be compared */
    bool dooms;                  /* its process dies when it has landed */
};

static inline struct fdb_store *fdb_store_of(const struct world *w)
{
    return CONTAINER_OF(w->store, struct fdb_store, base);
}

/* sim_fdb_record.c; only where somebody records. */
void fdb_record_ask(struct fdb_client *c, struct store_req *req, bool commit);
void fdb_record_landed(struct world *w, const struct fdb_note *note);
void fdb_record_cancel(struct fdb_client *c, const struct store_req *req);
void fdb_record_end(struct fdb_client *c);

#endif
