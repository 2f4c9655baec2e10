/* System calls that fail under the embedded store's directory, start and map: this program puts itself before
 * libc, so that one call of its choice fails. What was told is so, and nothing is kept. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "store/core.h"
#include "store/heap_mem.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"
#include "store/store_fixture.h"
#include "store/store_start.h"

#define LMDB_CALLS_MAX 6 /* of one kind in one commit, and some beyond */

/* The so-many-th of these calls fails. */
static struct {
    const char *call; /* NULL: none */
    int at, error;
    int met;
} fault;

static void fail_at(const char *call, int at, int error)
{
    fault.at = at;
    fault.error = error;
    fault.met = 0;
    fault.call = call;
}

static bool strikes(const char *call)
{
    if (!fault.call || strcmp(fault.call, call) != 0 || ++fault.met != fault.at)
        return false;
    errno = fault.error;
    return true;
}

/* Defines libc's `symbol`, of which `call` is the name without the width of its offsets. */
#define SHIM(type, symbol, call, params, args)                                                     \
    type shim_##symbol params __asm__(#symbol) __attribute__((visibility("default")));             \
    type shim_##symbol params                                                                      \
    {                                                                                              \
        type(*next) params;                                                                        \
        void *found = dlsym(RTLD_NEXT, #symbol);                                                   \
        memcpy(&next, &found, sizeof next);                                                        \
        return strikes(call) ? (type)-1 : next args;                                               \
    }

SHIM(int, fdatasync, "fdatasync", (int fd), (fd))
SHIM(int, fsync, "fsync", (int fd), (fd))
SHIM(ssize_t, pwrite, "pwrite", (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SHIM(ssize_t, pwrite64, "pwrite", (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SHIM(ssize_t, writev, "writev", (int fd, const struct iovec *v, int n), (fd, v, n))
SHIM(int, ftruncate, "ftruncate", (int fd, off_t len), (fd, len))
SHIM(int, ftruncate64, "ftruncate", (int fd, off_t len), (fd, len))
SHIM(int, open64, "open", (const char *path, int flags, mode_t mode), (path, flags, mode))
SHIM(int, openat64, "openat", (int dir, const char *path, int flags, mode_t mode),
     (dir, path, flags, mode))
SHIM(int, fstatfs64, "fstatfs", (int fd, void *out), (fd, out))
SHIM(int, mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))
SHIM(ssize_t, readlink, "readlink", (const char *path, char *out, size_t n), (path, out, n))
SHIM(int, fcntl64, "fcntl", (int fd, int what, void *arg), (fd, what, arg))
SHIM(int, socket, "socket", (int domain, int type, int protocol), (domain, type, protocol))
SHIM(int, bind, "bind", (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
SHIM(int, listen, "listen", (int fd, int n), (fd, n))
SHIM(int, connect, "connect", (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
SHIM(int, pipe2, "pipe2", (int fds[2], int flags), (fds, flags))
SHIM(int, posix_spawn, "posix_spawn",
     (pid_t * pid, const char *path, const posix_spawn_file_actions_t *files,
      const posix_spawnattr_t *attr, char *const argv[], char *const env[]),
     (pid, path, files, attr, argv, env))

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- the directory */

static void a_directory_that_cannot_be_had_is_refused(void **state)
{
    static const struct {
        const char *call;
        int at, error, status;
    } cases[] = {
        {"mkdir", 1, EACCES, KELPIE_E_IO},
        {"mkdir", 1, ENOSPC, KELPIE_E_STORE_FULL},
        {"open", 1, EMFILE, KELPIE_E_IO},
        {"fstatfs", 1, EIO, KELPIE_E_IO},
        {"readlink", 1, EACCES, KELPIE_E_IO},
        /* The parent's name on disk is more than anybody may ask for. */
        {"open", 2, EACCES, 0},
        {"fsync", 1, EIO, 0},
    };
    char base[256], dir[300], path[STORE_PATH_MAX], error[STORE_ERROR_MAX];

    (void)state;
    fixture_make_dir(base, sizeof base);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = -1, before = open_files();
        (void)snprintf(dir, sizeof dir, "%s/d%zu", base, i);
        error[0] = '\0';
        fail_at(cases[i].call, cases[i].at, cases[i].error);
        int status = store_dir_prepare(dir, path, &fd, error, sizeof error);
        assert_true(fault.met >= fault.at);
        fail_at(NULL, 0, 0);
        assert_int_equal(status, cases[i].status);
        assert_true(status == 0 || strstr(error, dir));
        if (status == 0)
            close(fd);
        assert_int_equal(open_files(), before);
    }
    fixture_remove_dir(base);
}

static void sockets_and_locks_that_fail_keep_nothing(void **state)
{
    static const char *const listening[] = {"socket", "bind", "listen"};
    char base[256], path[STORE_PATH_MAX], error[STORE_ERROR_MAX];
    int dir_fd, before;
    pid_t holder;

    (void)state;
    fixture_make_dir(base, sizeof base);
    assert_int_equal(store_dir_prepare(base, path, &dir_fd, error, sizeof error), 0);
    before = open_files();
    for (size_t i = 0; i < ARRAY_LEN(listening); i++) {
        fail_at(listening[i], 1, ENOBUFS);
        assert_int_equal(store_socket_listen(dir_fd), -1);
        assert_int_equal(errno, ENOBUFS);
    }
    fail_at("connect", 1, EAGAIN);
    assert_int_equal(store_socket_connect(dir_fd), -1);
    assert_int_equal(errno, EAGAIN);
    fail_at("openat", 1, EMFILE);
    assert_int_equal(store_lock_open(dir_fd), -1);
    fail_at(NULL, 0, 0);
    int lock = store_lock_open(dir_fd);
    assert_true(lock >= 0);
    fail_at("fcntl", 1, ENOLCK);
    assert_int_equal(store_lock_take(lock, &holder), -1);
    fail_at("fcntl", 1, ENOLCK);
    assert_int_equal(store_lock_holder(lock), -1);
    fail_at(NULL, 0, 0);
    assert_int_equal(store_lock_take(lock, &holder), 0);
    close(lock);
    assert_int_equal(open_files(), before);
    close(dir_fd);
    fixture_remove_dir(base);
}

static void a_start_that_fails_says_so(void **state)
{
    static const char *const calls[] = {"pipe2", "posix_spawn"};
    const struct store_start_options o = {.executable = "/bin/true", .dir = "/"};
    struct store_starter s;

    (void)state;
    store_starter_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        int before = open_files();
        fail_at(calls[i], 1, EAGAIN);
        assert_int_equal(store_starter_start(&s, &o), KELPIE_E_IO);
        fail_at(NULL, 0, 0);
        assert_int_equal(s.state, STORE_START_NONE);
        assert_int_equal(s.fd, -1);
        assert_true(s.sentence[0]);
        assert_int_equal(open_files(), before);
    }
    store_starter_deinit(&s);
}

/* ---- the map */

struct opened {
    struct omap_lmdb *map;
    struct core *core;
};

static void map_open(struct opened *o, int dir_fd)
{
    const struct omap_lmdb_options options = {.name = "the store"};
    char error[STORE_ERROR_MAX];

    assert_int_equal(omap_lmdb_open(test_mem(), dir_fd, &options, &o->map, error, sizeof error), 0);
    assert_int_equal(core_new(test_mem(), omap_lmdb_map(o->map), NULL, &o->core), 0);
}

static void map_close(struct opened *o)
{
    core_free(o->core);
    omap_lmdb_close(o->map);
}

static void on_committed(struct core_commit *c, int status)
{
    *(int *)c->arg = status;
}

static int commit(struct opened *o, const char *key)
{
    const struct store_write put = {
        .kind = STORE_PUT, .key = bytes_of(key, strlen(key)), .value = bytes_of(key, strlen(key))};
    int status = 1;
    struct core_commit c = {.writes = &put, .write_count = 1, .fn = on_committed, .arg = &status};

    core_enqueue(o->core, &c);
    (void)core_flush(o->core);
    assert_true(status <= 0);
    return status;
}

static void count_row(void *arg, size_t index, struct bytes key, struct bytes value)
{
    (void)index, (void)key, (void)value;
    ++*(int *)arg;
}

static void ended(void *arg, size_t index, bool more)
{
    (void)arg, (void)index, (void)more;
}

static int rows(struct opened *o, const char *key)
{
    const struct store_read read = {.key = bytes_of(key, strlen(key))};
    int n = 0;
    uint64_t version;
    const struct core_sink sink = {.row = count_row, .end = ended, .arg = &n};

    assert_int_equal(core_read(o->core, &read, 1, &sink, &version), 0);
    return n;
}

/* Returns whether the call was made so often. */
static bool commit_meets(const char *call, int at, int error, int *told)
{
    char base[256], path[STORE_PATH_MAX], why[STORE_ERROR_MAX];
    struct opened o;
    int dir_fd;

    fixture_make_dir(base, sizeof base);
    assert_int_equal(store_dir_prepare(base, path, &dir_fd, why, sizeof why), 0);
    map_open(&o, dir_fd);
    assert_int_equal(commit(&o, "before"), 0);
    fail_at(call, at, error);
    int status = commit(&o, "meets");
    bool met = fault.met >= at;
    fail_at(NULL, 0, 0);
    assert_int_equal(core_broken(o.core), status == KELPIE_E_UNKNOWN_RESULT);
    if (!core_broken(o.core)) {
        assert_int_equal(rows(&o, "meets"), status == 0);
        assert_int_equal(commit(&o, "goes on"), 0);
    }
    map_close(&o);
    map_open(&o, dir_fd);
    assert_int_equal(rows(&o, "before"), 1);
    if (status != KELPIE_E_UNKNOWN_RESULT)
        assert_int_equal(rows(&o, "meets"), status == 0);
    assert_int_equal(commit(&o, "after"), 0);
    map_close(&o);
    close(dir_fd);
    fixture_remove_dir(base);
    told[0] += status != 0;
    told[1] += status == KELPIE_E_UNKNOWN_RESULT;
    told[2] += status == KELPIE_E_STORE_FULL;
    return met;
}

/* Whichever write or sync of a commit fails: what is told of it is so, now and when the store is opened again,
 * and "unknown" ends the core. */
static void a_commit_is_what_was_told_of_it(void **state)
{
    static const char *const calls[] = {"pwrite", "writev", "fdatasync"};
    static const int errors[] = {EIO, ENOSPC};
    int told[3] = {0};

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(calls); c++)
        for (size_t e = 0; e < ARRAY_LEN(errors); e++)
            for (int at = 1; at <= LMDB_CALLS_MAX; at++)
                if (!commit_meets(calls[c], at, errors[e], told))
                    break;
    assert_true(told[0] >= 4); /* refused, or not known */
    assert_true(told[1] >= 1); /* the page that makes it valid */
    assert_true(told[2] + told[1] >= 2);
    assert_int_equal(test_mem_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_that_cannot_be_had_is_refused),
        cmocka_unit_test(sockets_and_locks_that_fail_keep_nothing),
        cmocka_unit_test(a_start_that_fails_says_so),
        cmocka_unit_test(a_commit_is_what_was_told_of_it),
    };
    return cmocka_run_group_tests_name("store_calls", tests, NULL, NULL);
}
