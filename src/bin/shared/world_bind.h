/* One process's side of the seam: a loop, an env bound to it, and a store. */
#ifndef KELPIE_BIN_WORLD_BIND_H
#define KELPIE_BIN_WORLD_BIND_H

#include "env/env.h"
#include "loop/logsink.h"
#include "loop/loop.h"
#include "store/store_open.h"

struct world_bind {
    struct loop *loop;
    struct env env;
    struct logsink sink;
    struct store_handle *store;
};

struct world_options {
    const char *program;
    const char *node_id; /* "": none */
    bool log_json;
    enum log_level log_level;
    const char *store_url; /* NULL: no store */
    unsigned lease_ms;
    const char *fdb_library;
    bool wait_for_store;
    const char *wait_option;       /* of the program, that says so; NULL: none */
    bool knows_copies, only_reads; /* see struct store_open_options */
};

/* `w` stays where it is. Returns 0, or an error with a sentence. */
int world_bind_init(struct world_bind *w, const struct world_options *o, char *why,
                    size_t why_size) MUST_USE;
/* Harmless on one that is zeroed, or where init failed. */
void world_bind_deinit(struct world_bind *w);
/* Makes a directory with mode 0700, and its parents. Returns 0, or KELPIE_E_IO with a sentence. */
int make_directories(const char *path, char *why, size_t why_size) MUST_USE;
/* "PROGRAM: sentence" on standard error; nothing in it steers a terminal. */
#define SAY_SIZE 4096
void say(const char *program, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
