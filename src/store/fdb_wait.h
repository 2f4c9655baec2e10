/*
 * Futures that are waited for. Their callbacks may come on another thread, inside the call that set
 * them, or after the future was destroyed; each only puts its wait on a stack and wakes the store's
 * thread, which takes them all. Part of the driver for FoundationDB.
 */
#ifndef KELPIE_STORE_FDB_WAIT_H
#define KELPIE_STORE_FDB_WAIT_H

#include <stdatomic.h>

#include "base/mem.h"
#include "store/store_fdb.h"

struct fdb_wait;
typedef void fdb_wait_fn(struct fdb_wait *w);

struct fdb_mail {
    struct mem mem;
    const struct fdb_api *api;
    struct fdb_wake wake;
    _Atomic(struct fdb_wait *) stack; /* called back, the last one first */
    _Atomic unsigned pushing;         /* callbacks that are running */
    size_t waiting;                   /* whose callback was not taken yet */
};

struct fdb_wait {
    struct fdb_mail *mail;
    struct fdb_wait *below;    /* on the stack */
    struct fdb_future *future; /* NULL: dropped, the callback is still to come */
    fdb_wait_fn *fn;
    void *arg;
    int error; /* the future's, once `fn` runs */
    bool called;

    /* For the owner. */
    struct fdb_wait *next;
    size_t index;
};

void fdb_mail_init(struct fdb_mail *mail, struct mem mem, const struct fdb_api *api,
                   struct fdb_wake wake);
/* True when no callback is to come or running. */
bool fdb_mail_idle(const struct fdb_mail *mail);
/* Runs `fn` of those that were called back, in the order of their callbacks. */
void fdb_mail_take(struct fdb_mail *mail);
/* Owns the future from here on. `fn` runs at most once, in fdb_mail_take. */
struct fdb_wait *fdb_wait_new(struct fdb_mail *mail, struct fdb_future *future, fdb_wait_fn *fn,
                              void *arg);
/* Destroys future and wait; `fn` will not run. `w` may be NULL. */
void fdb_wait_drop(struct fdb_wait *w);

#endif
