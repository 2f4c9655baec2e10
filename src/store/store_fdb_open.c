#include "store/store_fdb_open.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/fdb_library.h"
#include "store/store_dir.h"

#define ASK_AGAIN_MS 100 /* after an error, the cluster is asked again */
#define LOOK_MS 5        /* while an answer is due */
#define IDLE_WAIT_MS 2000

struct store_fdb_handle {
    struct mem mem;
    const struct fdb_api *api;
    struct fdb_database *db;
    struct store_fdb *store;
    int fd;
};

/* ---- the cluster file */

static bool is_word(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return len > 0;
}

/* description:id@address:port[,address:port...] */
static bool is_connection_string(const char *s)
{
    size_t len = strcspn(s, "\r\n\t ");
    const char *colon = memchr(s, ':', len), *at = memchr(s, '@', len);
    if (!colon || !at || colon > at || !is_word(s, (size_t)(colon - s)) ||
        !is_word(colon + 1, (size_t)(at - colon - 1)))
        return false;
    const char *addresses = at + 1;
    size_t rest = len - (size_t)(addresses - s);
    return rest > 0 && memchr(addresses, ':', rest) != NULL;
}

static bool is_cluster_file(const char *text)
{
    while (*text) {
        text += strspn(text, " \t\r\n");
        if (*text && *text != '#')
            return is_connection_string(text);
        text += strcspn(text, "\n");
    }
    return false;
}

static int read_whole(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < size - 1) {
        n = read(fd, out + len, size - 1 - len);
        if (n > 0)
            len += (size_t)n;
    }
    int saved = errno;
    close(fd);
    errno = saved;
    out[len] = '\0';
    return n < 0 ? -1 : 0;
}

/* Which file it is, and who said so; a wrong one is an error and no other is tried. */
static int find_cluster_file(struct mem mem, const char *given, const char **path, char *error,
                             size_t error_size)
{
    const char *said = "--store";
    *path = given;
    if (!*path) {
        said = "FDB_CLUSTER_FILE";
        *path = getenv("FDB_CLUSTER_FILE");
    }
    if (!*path) {
        said = "the default";
        *path = FDB_CLUSTER_FILE_DEFAULT;
    }
    char *text = mem_alloc(mem, FDB_CLUSTER_FILE_MAX);
    int err = 0;
    if (read_whole(*path, text, FDB_CLUSTER_FILE_MAX)) {
        store_sentence(error, error_size,
                       "the FoundationDB cluster file '%s' (%s) cannot be read: %s; copy it from a "
                       "machine of the cluster, or name another with --store fdb:FILE",
                       *path, said, strerror(errno));
        err = KELPIE_E_INVALID;
    } else if (!is_cluster_file(text)) {
        store_sentence(error, error_size,
                       "'%s' (%s) is no FoundationDB cluster file: it must hold a line like "
                       "name:id@10.0.0.1:4500; copy it from a machine of the cluster, or name "
                       "another with --store fdb:FILE",
                       *path, said);
        err = KELPIE_E_INVALID;
    }
    mem_free(mem, text);
    return err;
}

/* ---- the first answer */

/* Asks for a read version. Returns 0, the library's error, or -1 when there is no answer in time. */
static int ask_once(const struct store_fdb_handle *h, unsigned ms)
{
    struct fdb_transaction *tr;
    int error = h->api->database_create_transaction(h->db, &tr);
    if (error)
        return error;
    struct fdb_future *f = h->api->transaction_get_read_version(tr);
    unsigned waited = 0;
    for (; !h->api->future_is_ready(f) && waited < ms; waited += LOOK_MS)
        (void)poll(NULL, 0, LOOK_MS);
    error = h->api->future_is_ready(f) ? h->api->future_get_error(f) : -1;
    h->api->future_destroy(f);
    h->api->transaction_destroy(tr);
    return error;
}

static bool is_silence(int error)
{
    return error == -1 || error == FDB_TRANSACTION_TIMED_OUT || error == FDB_TIMED_OUT;
}

/* It can be read, and the library makes nothing of it. */
static int say_useless(const struct store_fdb_handle *h, const char *path, int err, char *error,
                       size_t error_size)
{
    store_sentence(error, error_size,
                   "the FoundationDB cluster file '%s' is of no use: %s (error %d); copy it from a "
                   "machine of the cluster",
                   path, h->api->get_error(err), err);
    return KELPIE_E_INVALID;
}

static int first_answer(const struct store_fdb_handle *h, const struct env *env, const char *path,
                        const struct store_fdb_open_options *o, char *error, size_t error_size)
{
    unsigned open_ms = o->open_ms ? o->open_ms : FDB_OPEN_MS;
    uint64_t start = clock_now_ns(env->clock), waited = 0;
    bool told = false;
    int err;
    /* The last question has the rest of the time. */
    while ((err = ask_once(h, o->wait ? open_ms : open_ms - (unsigned)waited)) != 0) {
        waited = (clock_now_ns(env->clock) - start) / NS_PER_MS;
        if (err == FDB_CONNECTION_STRING_INVALID)
            return say_useless(h, path, err, error, error_size);
        if (!o->wait && waited >= open_ms)
            break;
        if (o->wait && !told && waited >= open_ms) {
            log_warn(&env->log, "store_waits", "error=%d reason=\"the cluster does not answer\"",
                     err);
            told = true;
        }
        if (!is_silence(err))
            (void)poll(NULL, 0, ASK_AGAIN_MS);
    }
    if (!err)
        return 0;
    if (is_silence(err))
        store_sentence(error, error_size,
                       "the FoundationDB cluster of '%s' has not answered for %llu ms; see "
                       "whether it runs (fdbcli -C %s --exec status), whether the file is the same "
                       "as on its servers, and whether this machine reaches it%s%s",
                       path, (unsigned long long)waited, path,
                       o->wait_option ? ", or wait for it with " : "",
                       o->wait_option ? o->wait_option : "");
    else
        store_sentence(error, error_size,
                       "the FoundationDB cluster of '%s' refuses: %s (error %d); fdbcli -C %s "
                       "--exec status may say why",
                       path, h->api->get_error(err), err, path);
    return KELPIE_E_STORE_UNAVAILABLE;
}

/* ---- the handle */

/* On any thread. When the counter is full, the descriptor is readable anyway. */
static void handle_wake(void *ctx)
{
    const struct store_fdb_handle *h = ctx;
    const uint64_t one = 1;
    ssize_t n = write(h->fd, &one, sizeof(one));
    (void)n;
}

void store_fdb_fd_ready(struct store_fdb_handle *h)
{
    uint64_t count;
    ssize_t n = read(h->fd, &count, sizeof(count));
    (void)n;
    store_fdb_ready(h->store);
}

static int make_store(struct store_fdb_handle *h, const struct env *env, const char *path,
                      const struct store_fdb_open_options *o, char *error, size_t error_size)
{
    const struct store_fdb_env store_env = {
        .mem = env->mem,
        .clock = env->clock,
        .timers = env->timers,
        .log = env->log,
        .wake = {handle_wake, h},
    };
    h->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (h->fd < 0) {
        store_sentence(error, error_size, "the system refuses a descriptor for FoundationDB: %s",
                       strerror(errno));
        return KELPIE_E_IO;
    }
    int err = h->api->create_database(path, &h->db);
    if (err)
        h->db = NULL;
    else
        err = store_fdb_new(&store_env, h->api, h->db, o->store, &h->store);
    return err ? say_useless(h, path, err, error, error_size) : 0;
}

int store_fdb_open(const struct env *env, const struct store_fdb_open_options *options,
                   struct store_fdb_handle **out, char *error, size_t error_size)
{
    const struct fdb_api *api;
    const char *path;
    int err = fdb_library_open(options->library, &api, error, error_size);
    if (!err)
        err = find_cluster_file(env->mem, options->cluster_file, &path, error, error_size);
    if (err)
        return err;
    struct store_fdb_handle *h = MEM_NEW(env->mem, struct store_fdb_handle);
    h->mem = env->mem;
    h->api = api;
    h->fd = -1;
    err = make_store(h, env, path, options, error, error_size);
    if (!err)
        err = first_answer(h, env, path, options, error, error_size);
    if (err) {
        store_fdb_shut(h);
        return err;
    }
    *out = h;
    return 0;
}

void store_fdb_shut(struct store_fdb_handle *h)
{
    if (!h)
        return;
    if (h->store) {
        store_fdb_close(h->store);
        struct pollfd p = {.fd = h->fd, .events = POLLIN};
        for (int waited = 0; !store_fdb_idle(h->store) && waited < IDLE_WAIT_MS;
             waited += LOOK_MS) {
            (void)poll(&p, 1, LOOK_MS);
            store_fdb_fd_ready(h);
        }
        /* A callback that does not come may still come: what it would touch stays. */
        if (!store_fdb_idle(h->store))
            return;
        store_fdb_free(h->store);
    }
    if (h->db)
        h->api->database_destroy(h->db);
    if (h->fd >= 0)
        close(h->fd);
    mem_free(h->mem, h);
}

struct store_fdb *store_fdb_of(const struct store_fdb_handle *h)
{
    return h->store;
}

int store_fdb_fd(const struct store_fdb_handle *h)
{
    return h->fd;
}
