/* Opens a store on FoundationDB for a program: library, cluster file, a first answer; and shows its
 * loop one descriptor. */
#ifndef KELPIE_STORE_STORE_FDB_OPEN_H
#define KELPIE_STORE_STORE_FDB_OPEN_H

#include "env/env.h"
#include "store/store_fdb.h"

#define FDB_CLUSTER_FILE_DEFAULT "/etc/foundationdb/fdb.cluster"
#define FDB_CLUSTER_FILE_MAX 65536 /* bytes */
#define FDB_OPEN_MS 4000           /* how long a cluster may take to answer first */

struct store_fdb_handle;

struct store_fdb_open_options {
    const char *cluster_file; /* NULL: FDB_CLUSTER_FILE of the environment, else the default */
    const char *library;      /* NULL: FDB_LIBRARY_DEFAULT */
    unsigned open_ms;         /* 0: FDB_OPEN_MS */
    bool wait;                /* for an answer, however long it takes */
    const char *wait_option;  /* of the program, that makes it wait: for a sentence; NULL: none */
    const struct store_fdb_options *store; /* may be NULL */
};

/* Returns 0, or KELPIE_E_INVALID, IO, STORE_UNAVAILABLE with a sentence. */
int store_fdb_open(const struct env *env, const struct store_fdb_open_options *options,
                   struct store_fdb_handle **out, char *error, size_t error_size) MUST_USE;
/* Completes and fires everything, within this call; then frees it. */
void store_fdb_shut(struct store_fdb_handle *h);
struct store_fdb *store_fdb_of(const struct store_fdb_handle *h);
int store_fdb_fd(const struct store_fdb_handle *h);
/* When the descriptor is readable. */
void store_fdb_fd_ready(struct store_fdb_handle *h);

#endif
