/*
 * Opens the store that a URL names, for a program that starts:
 *
 *   lmdb:DIR      the embedded store in a directory, shared by the processes of one machine
 *   memory:       in this process only, gone with it
 *   fdb[:FILE]    FoundationDB; FILE is the cluster file
 *
 * Every failure is one sentence that says what was wrong and with what value.
 */
#ifndef KELPIE_STORE_STORE_OPEN_H
#define KELPIE_STORE_STORE_OPEN_H

#include "env/env.h"

#define STORE_OPEN_MS 5000
#define STORE_LEASE_MS_MIN 50

struct store_fdb_options;

struct store_open_options {
    const char *executable;     /* that can be the store process; NULL: this program */
    unsigned lease_ms;          /* a store process silent for so long is killed; 0: 2000 */
    unsigned idle_ms;           /* it ends after so long without a client; 0: 10000 */
    unsigned open_ms;           /* how long store_open waits for it; 0: STORE_OPEN_MS */
    unsigned long long map_max; /* bound of the file in bytes; 0: 64 GiB */
    const char *node_id; /* for the log of the process; borrowed until it is closed; NULL: none */
    bool log_json;       /* how that log is written */
    const char *fdb_library; /* the client library; NULL: libfdb_c.so */
    bool wait_for_store;     /* for FoundationDB to answer, however long it takes */
    const char *wait_option; /* of the program, that says so; NULL: none */
    bool knows_copies;       /* also opens a copy that a backup made: no node does */
    bool only_reads;         /* and commits nothing: where no process serves lmdb:DIR and none
                                            ever has, or can, it is read in place and nothing touched */
    const struct store_fdb_options *fdb; /* of FoundationDB; may be NULL */
};

struct store_handle;

/* Opens it with mem, clock, timers, random and log of `env`, which are copied; the caller puts
 * store_handle_store() into env->store. Waits until the store answers, before the loop runs. Returns
 * 0, or KELPIE_E_INVALID (the URL, the directory), IO, STORE_FULL, STORE_CORRUPT, STORE_NEWER,
 * VERSION, STORE_UNAVAILABLE with a sentence. `options` may be NULL. */
int store_open(const char *url, const struct env *env, const struct store_open_options *options,
               struct store_handle **out, char *error, size_t error_size) MUST_USE;
/* Completes and fires everything, within this call, then frees it. Not from a completion. */
void store_close(struct store_handle *h);
struct store store_handle_store(struct store_handle *h);

/* For the loop: when the descriptor (-1: there is none) is readable, store_handle_ready(h). */
int store_handle_fd(const struct store_handle *h);
void store_handle_ready(void *h);

/* Whether requests reach the store now, and if not why ("" when not known). */
bool store_handle_connected(const struct store_handle *h);
const char *store_handle_problem(const struct store_handle *h);

#endif
