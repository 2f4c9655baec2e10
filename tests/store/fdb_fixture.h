/* The simulated FoundationDB with drivers over it, in virtual time; and the real one where there
 * is a cluster file. */
#ifndef KELPIE_TESTS_STORE_FDB_FIXTURE_H
#define KELPIE_TESTS_STORE_FDB_FIXTURE_H

#include "sim/stores/sim_fdb.h"
#include "store/store_fixture.h"
#include "store/virtual_loop.h"

struct fdb_client {
    struct fdb_database *db;
    struct store_fdb *store;
    struct timer wake;
};

struct fdb_fixture {
    struct virtual_loop time;
    struct timer pump; /* of the real loop: runs the virtual time */
    struct sim_fdb *sim;
    struct fdb_client client[FIXTURE_CLIENTS];
};

/* Fills `f`; `rates` may be NULL (no faults). The log of `env` is used. */
void fdb_fixture_init(struct fdb_fixture *f, const struct env *env, uint64_t seed,
                      const uint16_t *rates, struct bytes prefix);
void fdb_fixture_deinit(struct fdb_fixture *f);

void fdb_fixture_open(struct store_fixture *f);
void fdb_fixture_close(struct store_fixture *f);
void fdb_fixture_restart(struct store_fixture *f);

#endif
