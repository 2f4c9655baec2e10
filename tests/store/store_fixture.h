/*
 * The stores under test: a row of the table for each. To add one, add a row to store_backends[]
 * that opens it.
 */
#ifndef KELPIE_TESTS_STORE_STORE_FIXTURE_H
#define KELPIE_TESTS_STORE_STORE_FIXTURE_H

#include <sys/types.h>

#include "env/store.h"
#include "store/poll_loop.h"
#include "store/store_fdb.h"
#include "store/store_open.h"

#define FIXTURE_CLIENTS 2
#define FIXTURE_WAIT_MS 20000

struct store_fixture;
struct fdb_fixture;

struct store_backend {
    const char *name;
    /* Fills store[] (the clients may be one and the same). */
    void (*open)(struct store_fixture *f);
    void (*close)(struct store_fixture *f);
    /* Makes the store forget its past: versions handed out before are too old. NULL: cannot. */
    void (*restart)(struct store_fixture *f);
    /* Whether it can be had here. NULL: always. */
    bool (*usable)(void);
};

struct store_fixture {
    const struct store_backend *backend;
    struct poll_loop loop;
    struct env env;
    struct store store[FIXTURE_CLIENTS];
    struct store_handle *handle[FIXTURE_CLIENTS];
    char dir[256];
    struct fdb_fixture *fdb;
    struct store_fdb_options fdb_options;
    bool busy;          /* closed with requests under way: rows stay until the next open */
    bool shares_memory; /* with another one that is open: what is left is counted later */
};

extern const struct store_backend store_backends[];
extern const size_t store_backend_count;

void fixture_open(struct store_fixture *f, const struct store_backend *backend);
void fixture_close(struct store_fixture *f);
/* At the end of a program, whatever its tests came to: a real FoundationDB keeps no row of them, and its
 * library is stopped. */
void fixtures_end(void);
/* A fresh directory for a store, in memory where there is such a filesystem; and its removal. */
void fixture_make_dir(char *out, size_t size);
void fixture_remove_dir(const char *dir);
/* The pid of the store process of a directory, 0 when there is none. */
pid_t fixture_store_pid(const char *dir);

/* Start an operation and run the loop until it is completed; its status. */
int fixture_read(struct store_fixture *f, size_t client, struct store_req *req);
int fixture_commit(struct store_fixture *f, size_t client, struct store_req *req);
void fixture_release(struct store_fixture *f, size_t client, struct store_req *req);
/* A blind write of one row. */
int fixture_put(struct store_fixture *f, size_t client, const char *key, const char *value);
/* The value of a row, NUL-terminated, in a buffer that the next call reuses; NULL: no such row. */
const char *fixture_get(struct store_fixture *f, size_t client, const char *key);

#endif
