#include "store/store_open.h"

#include <errno.h>

#include "kelpie/error.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"
#include "store/store_fdb_open.h"
#include "store/store_memory.h"
#include "store/store_socket.h"

struct store_handle {
    struct mem mem;
    struct store_memory *memory;
    struct store_socket *socket;
    struct store_fdb_handle *fdb;
    struct omap_lmdb *map; /* read in place */
};

static int open_socket(const char *dir, const struct env *env, const struct store_open_options *o,
                       struct store_socket **out, char *error, size_t error_size)
{
    char path[STORE_PATH_MAX];
    int err = store_dir_prepare(dir, path, NULL, error, error_size);
    if (err)
        return err;
    if (o->lease_ms && o->lease_ms < STORE_LEASE_MS_MIN) {
        store_sentence(error, error_size, "a store lease of %u ms is too short: at least %d ms",
                       o->lease_ms, STORE_LEASE_MS_MIN);
        return KELPIE_E_INVALID;
    }
    const struct store_socket_env socket_env = {
        .mem = env->mem,
        .clock = env->clock,
        .timers = env->timers,
        .random = env->random,
        .log = env->log,
    };
    const struct store_socket_options socket_options = {
        .dir = path,
        .executable = o->executable,
        .lease_ms = o->lease_ms,
        .idle_ms = o->idle_ms,
        .map_max = o->map_max,
        .node_id = o->node_id,
        .log_json = o->log_json,
        .knows_copies = o->knows_copies,
    };
    struct store_socket *s;
    err = store_socket_new(&socket_env, &socket_options, &s);
    if (err) {
        store_sentence(error, error_size, "the store in '%s' cannot be opened: %s", path,
                       strerror(errno));
        return err;
    }
    err = store_socket_wait(s, o->open_ms ? o->open_ms : STORE_OPEN_MS, error, error_size);
    if (err) {
        store_socket_free(s);
        return err;
    }
    *out = s;
    return 0;
}

/* *map stays NULL where the store is to be opened in the ordinary way. */
static int open_in_place(const char *dir, const struct env *env, struct store_memory **out,
                         struct omap_lmdb **map, char *error, size_t error_size)
{
    int err = omap_lmdb_in_place(env->mem, dir, map, error, error_size);
    if (err || !*map)
        return err;
    const struct omap table = omap_lmdb_map(*map);
    err = store_memory_over(env->mem, env->timers, &table, out);
    if (err) {
        store_sentence(error, error_size, "the store in '%s' cannot be read", dir);
        omap_lmdb_close(*map);
        *map = NULL;
    }
    return err;
}

static int open_fdb(const char *url, const struct env *env, const struct store_open_options *o,
                    struct store_fdb_handle **out, char *error, size_t error_size)
{
    const struct store_fdb_open_options options = {
        .cluster_file = url[3] == ':' ? url + 4 : NULL,
        .library = o->fdb_library,
        .open_ms = o->open_ms,
        .wait = o->wait_for_store,
        .wait_option = o->wait_option,
        .store = o->fdb,
    };
    return store_fdb_open(env, &options, out, error, error_size);
}

int store_open(const char *url, const struct env *env, const struct store_open_options *options,
               struct store_handle **out, char *error, size_t error_size)
{
    static const struct store_open_options none;
    struct store_memory *memory = NULL;
    struct store_socket *socket = NULL;
    struct store_fdb_handle *fdb = NULL;
    struct omap_lmdb *map = NULL;
    int err = 0;
    if (options && options->only_reads && !strncmp(url, "lmdb:", 5))
        err = open_in_place(url + 5, env, &memory, &map, error, error_size);
    if (err || map) {
        /* that is it */
    } else if (!strcmp(url, "memory:")) {
        memory = store_memory_new(env->mem, env->timers, 0);
    } else if (!strncmp(url, "lmdb:", 5)) {
        err = open_socket(url + 5, env, options ? options : &none, &socket, error, error_size);
    } else if (!strcmp(url, "fdb") || !strncmp(url, "fdb:", 4)) {
        err = open_fdb(url, env, options ? options : &none, &fdb, error, error_size);
    } else {
        store_sentence(
            error, error_size,
            "store '%s' is of no known kind: it must be lmdb:DIR, fdb[:FILE] or memory:", url);
        err = KELPIE_E_INVALID;
    }
    if (err)
        return err;
    struct store_handle *h = MEM_NEW(env->mem, struct store_handle);
    h->mem = env->mem;
    h->memory = memory;
    h->socket = socket;
    h->fdb = fdb;
    h->map = map;
    *out = h;
    return 0;
}

void store_close(struct store_handle *h)
{
    if (!h)
        return;
    store_memory_free(h->memory);
    omap_lmdb_close(h->map);
    store_socket_free(h->socket);
    store_fdb_shut(h->fdb);
    mem_free(h->mem, h);
}

struct store store_handle_store(struct store_handle *h)
{
    if (h->fdb)
        return store_fdb_store(store_fdb_of(h->fdb));
    return h->socket ? store_socket_store(h->socket) : store_memory_store(h->memory);
}

int store_handle_fd(const struct store_handle *h)
{
    if (h->fdb)
        return store_fdb_fd(h->fdb);
    return h->socket ? store_socket_fd(h->socket) : -1;
}

void store_handle_ready(void *arg)
{
    struct store_handle *h = arg;
    if (h->socket)
        store_socket_ready(h->socket);
    if (h->fdb)
        store_fdb_fd_ready(h->fdb);
}

bool store_handle_connected(const struct store_handle *h)
{
    if (h->fdb)
        return store_fdb_connected(store_fdb_of(h->fdb));
    return !h->socket || store_socket_connected(h->socket);
}

const char *store_handle_problem(const struct store_handle *h)
{
    if (h->fdb)
        return store_fdb_problem(store_fdb_of(h->fdb));
    return h->socket ? store_socket_problem(h->socket) : "";
}
