/* The embedded store as processes: started, raced for, killed, frozen, left alone, on a full disk,
 * and on directories that it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/shared/process_begin.h"
#include "kelpie/error.h"
#include "store/heap_mem.h"
#include "store/load.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"
#include "store/store_fixture.h"
#include "store/store_process.h"
#include "store/store_protocol.h"

#define LEASE_MS 400

static struct poll_loop loop;
static struct env env;
static char dir[512];
static char error[1024];

static int set_up(void **state)
{
    (void)state;
    poll_loop_init(&loop, &env, (uint64_t)getpid());
    fixture_make_dir(dir, sizeof(dir));
    error[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char path[600];
    store_sentence(path, sizeof(path), "%s/small", dir);
    (void)umount2(path, MNT_DETACH);
    (void)rmdir(path);
    fixture_remove_dir(dir);
    return 0;
}

static int open_dir(const char *path, const struct store_open_options *o, struct store_handle **h)
{
    char url[600];
    store_sentence(url, sizeof(url), "lmdb:%s", path);
    return store_open(url, &env, o, h, error, sizeof(error));
}

/* Waits until the store process is another one than `pid` (0: is gone). */
static pid_t wait_pid_not(pid_t pid, bool gone, int timeout_ms)
{
    for (int i = 0; i < timeout_ms; i++) {
        pid_t now = fixture_store_pid(dir);
        if (gone ? now == 0 : now > 0 && now != pid)
            return now;
        usleep(1000);
    }
    return -1;
}

static uint64_t longest(const struct load *l)
{
    uint64_t ms = 0;
    for (int i = 0; i < l->count; i++)
        if (l->slots[i].longest_ms > ms)
            ms = l->slots[i].longest_ms;
    return ms;
}

/* Kills the store process again and again; nothing acknowledged is lost, everybody goes on. */
static void test_killed_under_load(void **state)
{
    (void)state;
    struct load l;
    uint64_t worst = 0;
    load_start(&l, dir, 3, 0);
    assert_int_equal(load_progress(&l, 20, -1, 20000), 0);
    for (int i = 0; i < 10; i++) {
        load_reset_longest(&l);
        pid_t pid = fixture_store_pid(dir);
        assert_true(pid > 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(load_progress(&l, 20, -1, 10000), 0);
        assert_true(fixture_store_pid(dir) != pid);
        if (longest(&l) > worst)
            worst = longest(&l);
    }
    assert_int_equal(load_stop(&l), 0);
    print_message("[   note   ] longest pause of a client over 10 kills: %llu ms\n",
                  (unsigned long long)worst);
    assert_true(worst < 5000);
    struct store_handle *h;
    assert_int_equal(open_dir(dir, NULL, &h), 0);
    store_close(h);
}

/* A store process that stands still is killed after the lease, and another takes its place. */
static void test_frozen_store(void **state)
{
    (void)state;
    struct load l;
    load_start(&l, dir, 3, LEASE_MS);
    assert_int_equal(load_progress(&l, 20, -1, 20000), 0);
    load_reset_longest(&l);
    pid_t pid = fixture_store_pid(dir);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(load_progress(&l, 20, -1, 10000), 0);
    assert_true(fixture_store_pid(dir) != pid);
    assert_int_equal(load_stop(&l), 0);
    print_message("[   note   ] longest pause when the store process froze: %llu ms, lease %d ms\n",
                  (unsigned long long)longest(&l), LEASE_MS);
    assert_true(longest(&l) < 5000);
}

/* A client that stands still with writes under way holds up nobody. */
static void test_frozen_client(void **state)
{
    (void)state;
    struct load l;
    load_start(&l, dir, 4, 0);
    assert_int_equal(load_progress(&l, 20, -1, 20000), 0);
    pid_t pid = fixture_store_pid(dir);
    uint64_t worst = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kill(l.pids[0], SIGSTOP), 0);
        load_reset_longest(&l);
        assert_int_equal(load_progress(&l, 50, 0, 10000), 0);
        worst = longest(&l) > worst ? longest(&l) : worst;
        assert_int_equal(kill(l.pids[0], SIGCONT), 0);
        assert_int_equal(load_progress(&l, 5, -1, 10000), 0);
    }
    assert_int_equal(fixture_store_pid(dir), pid);
    assert_int_equal(load_stop(&l), 0);
    print_message("[   note   ] longest pause of the others while a client was frozen: %llu ms\n",
                  (unsigned long long)worst);
    assert_true(worst < 5000);
}

/* It ends when nobody needs it, and what was written is there when somebody does again. */
static void test_idle_end(void **state)
{
    (void)state;
    const struct store_open_options o = {.idle_ms = 100};
    struct store_fixture f = {.loop = {.count = 0}};
    poll_loop_init(&f.loop, &f.env, 3);
    for (int i = 0; i < 2; i++) {
        char url[600];
        store_sentence(url, sizeof(url), "lmdb:%s", dir);
        assert_int_equal(store_open(url, &f.env, &o, &f.handle[0], error, sizeof(error)), 0);
        f.store[0] = store_handle_store(f.handle[0]);
        poll_loop_add(&f.loop, store_handle_fd(f.handle[0]), store_handle_ready, f.handle[0]);
        if (i == 0)
            assert_int_equal(fixture_put(&f, 0, "kept", "1"), 0);
        assert_string_equal(fixture_get(&f, 0, "kept"), "1");
        pid_t pid = fixture_store_pid(dir);
        assert_true(pid > 0);
        /* A session of its own, outside of this one. */
        assert_int_equal(getsid(pid) == getsid(0), 0);
        usleep(300000);
        assert_int_equal(fixture_store_pid(dir), pid); /* a quiet client is a client */
        poll_loop_remove(&f.loop, store_handle_fd(f.handle[0]));
        store_close(f.handle[0]);
        assert_int_equal(wait_pid_not(0, true, 5000), 0);
    }
}

static size_t log_count(const char *what)
{
    char path[600], line[2048];
    store_sentence(path, sizeof(path), "%s/%s", dir, STORE_LOG_FILE);
    FILE *file = fopen(path, "r");
    size_t n = 0;
    while (file && fgets(line, sizeof(line), file))
        n += strstr(line, what) != NULL;
    if (file)
        fclose(file);
    return n;
}

static void test_start_race(void **state)
{
    (void)state;
    struct load l;
    load_start(&l, dir, LOAD_MAX, 0);
    assert_int_equal(load_progress(&l, 5, -1, 20000), 0);
    assert_int_equal(load_stop(&l), 0);
    assert_int_equal(log_count("event=store_process_started"), 1);
}

/* Whoever has the lock but does not serve is killed after the lease. */
static void test_stuck_start(void **state)
{
    (void)state;
    pid_t stuck = fork();
    assert_true(stuck >= 0);
    if (stuck == 0) {
        pid_t holder;
        int fd = open(dir, O_RDONLY | O_DIRECTORY);
        if (store_lock_take(store_lock_open(fd), &holder) == 0)
            for (;;)
                pause();
        _exit(1);
    }
    assert_int_equal(wait_pid_not(0, false, 5000), stuck);
    const struct store_open_options o = {.lease_ms = 100, .idle_ms = 100, .open_ms = 20000};
    struct store_handle *h;
    assert_int_equal(open_dir(dir, &o, &h), 0);
    store_close(h);
    int status;
    assert_int_equal(waitpid(stuck, &status, 0), stuck);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Fills the store until it says that it is full; everything acknowledged is there, and deleting makes
 * room again. */
static void fill_it(const char *where, const struct store_open_options *o)
{
    static uint8_t value[50000];
    static char keys[200][16];
    struct store_fixture f = {.loop = {.count = 0}};
    char url[600];
    poll_loop_init(&f.loop, &f.env, 3);
    store_sentence(url, sizeof(url), "lmdb:%s", where);
    assert_int_equal(store_open(url, &f.env, o, &f.handle[0], error, sizeof(error)), 0);
    f.store[0] = store_handle_store(f.handle[0]);
    poll_loop_add(&f.loop, store_handle_fd(f.handle[0]), store_handle_ready, f.handle[0]);
    size_t n = 0;
    int status = 0;
    for (; n < ARRAY_LEN(keys) && !status; n += !status) {
        snprintf(keys[n], sizeof(keys[n]), "fill/%04zu", n);
        const struct store_write w = {.key = bytes_of_str(keys[n]),
                                      .value = bytes_of(value, sizeof(value))};
        struct store_req req = {.writes = &w, .write_count = 1};
        status = fixture_commit(&f, 0, &req);
    }
    assert_int_equal(status, KELPIE_E_STORE_FULL);
    assert_true(n > 2);
    const struct store_read r = {.key = bytes_of_str("fill/"), .end = bytes_of_str("fill0")};
    struct store_req all = {.reads = &r, .read_count = 1};
    assert_int_equal(fixture_read(&f, 0, &all), 0);
    assert_int_equal(all.results[0].count, n);
    fixture_release(&f, 0, &all);
    const struct store_write del = {.kind = STORE_DELETE_RANGE,
                                    .key = bytes_of_str("fill/"),
                                    .value = bytes_of_str(keys[n / 2])};
    struct store_req clear = {.writes = &del, .write_count = 1};
    assert_int_equal(fixture_commit(&f, 0, &clear), 0);
    assert_int_equal(fixture_put(&f, 0, "fill/after", "1"), 0);
    assert_string_equal(fixture_get(&f, 0, "fill/after"), "1");
    poll_loop_remove(&f.loop, store_handle_fd(f.handle[0]));
    store_close(f.handle[0]);
    print_message("[   note   ] full after %zu rows of %zu bytes\n", n, sizeof(value));
}

static void test_file_limit(void **state)
{
    (void)state;
    /* The store process inherits the limit on the size of its files. */
    struct rlimit was, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 1024 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fill_it(dir, &(struct store_open_options){.idle_ms = 50});
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
}

static void test_map_limit(void **state)
{
    (void)state;
    fill_it(dir, &(struct store_open_options){.idle_ms = 50, .map_max = 1024 * 1024});
}

static void pad_disk(const char *file)
{
    static uint8_t zero[4096];
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    while (write(fd, zero, sizeof(zero)) > 0)
        ;
    close(fd);
}

/* A store that was filled can be opened and read when not one more byte fits on the disk. */
static void reopen_full(const char *where)
{
    static uint8_t value[50000];
    struct store_fixture f = {.loop = {.count = 0}};
    char url[700];
    poll_loop_init(&f.loop, &f.env, 3);
    store_sentence(url, sizeof(url), "lmdb:%s", where);
    const struct store_open_options o = {.idle_ms = 50};
    assert_int_equal(store_open(url, &f.env, &o, &f.handle[0], error, sizeof(error)), 0);
    f.store[0] = store_handle_store(f.handle[0]);
    poll_loop_add(&f.loop, store_handle_fd(f.handle[0]), store_handle_ready, f.handle[0]);
    assert_string_equal(fixture_get(&f, 0, "fill/after"), "1");
    int status = 0;
    for (int i = 0; i < 20 && !status; i++) {
        const char key[] = {'x', (char)('a' + i), '\0'};
        const struct store_write w = {.key = bytes_of_str(key),
                                      .value = bytes_of(value, sizeof(value))};
        struct store_req req = {.writes = &w, .write_count = 1};
        status = fixture_commit(&f, 0, &req);
    }
    assert_int_equal(status, KELPIE_E_STORE_FULL);
    assert_string_equal(fixture_get(&f, 0, "fill/after"), "1");
    store_close(f.handle[0]);
}

static void wait_idle(const char *where)
{
    for (int i = 0; i < 5000 && fixture_store_pid(where) > 0; i++)
        usleep(1000);
}

static void test_full_disk(void **state)
{
    (void)state;
    char path[600], pad[700];
    store_sentence(path, sizeof(path), "%s/small", dir);
    store_sentence(pad, sizeof(pad), "%s/pad", path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=0700")) {
        print_message("[   note   ] no small filesystem can be mounted here: %s\n",
                      strerror(errno));
        return;
    }
    fill_it(path, &(struct store_open_options){.idle_ms = 50});
    wait_idle(path);
    pad_disk(pad);
    reopen_full(path);
    wait_idle(path);
    /* Not even the files of a new store have room. */
    fixture_remove_dir(path);
    unlink(pad);
    pad_disk(pad);
    struct store_handle *h;
    assert_int_equal(open_dir(path, NULL, &h), KELPIE_E_STORE_FULL);
    assert_non_null(strstr(error, "has no room left"));
}

/* ---- what is refused */

static void refused(const char *path, int code, const char *words)
{
    struct store_handle *h;
    int err = open_dir(path, &(struct store_open_options){.idle_ms = 50}, &h);
    if (err != code || !strstr(error, words))
        fail_msg("%s: %s, \"%s\"", path, kelpie_error_name(err), error);
    if (!strstr(error, path))
        fail_msg("\"%s\" does not say which", error);
}

static void write_data(const char *data, size_t len, size_t size)
{
    char path[600];
    store_sentence(path, sizeof(path), "%s/data.mdb", dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    if (len)
        assert_int_equal(pwrite(fd, data, len, 0), len);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

/* What was checked is what is used, though another directory has its name by then. */
static void test_directory_is_the_one_checked(void **state)
{
    (void)state;
    char path[STORE_PATH_MAX], moved[STORE_PATH_MAX + 8], found[STORE_PATH_MAX];
    int fd;
    struct stat st;
    store_sentence(path, sizeof(path), "%s/one", dir);
    store_sentence(moved, sizeof(moved), "%s.moved", path);
    assert_int_equal(store_dir_prepare(path, found, &fd, error, sizeof(error)), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    struct mem heap = env.mem;
    struct omap_lmdb *map;
    const struct omap_lmdb_options o = {.name = path};
    assert_int_equal(omap_lmdb_open(heap, fd, &o, &map, error, sizeof(error)), 0);
    omap_lmdb_close(map);
    int lock = store_lock_open(fd);
    assert_true(lock >= 0);
    close(lock);
    close(fd);
    store_sentence(found, sizeof(found), "%s/data.mdb", moved);
    assert_int_equal(stat(found, &st), 0);
    store_sentence(found, sizeof(found), "%s/lock", moved);
    assert_int_equal(stat(found, &st), 0);
    assert_int_equal(rmdir(path), 0); /* nothing is in it */
    fixture_remove_dir(moved);
}

static void test_bad_directories(void **state)
{
    (void)state;
    char path[700], url[] = "lmdb:";
    struct store_handle *h;
    store_sentence(path, sizeof(path), "%s/none/store", dir);
    refused(path, KELPIE_E_IO, "cannot be created");
    store_sentence(path, sizeof(path), "%s/file", dir);
    close(open(path, O_CREAT | O_WRONLY, 0700));
    refused(path, KELPIE_E_IO, "is not a directory");
    unlink(path);
    assert_int_equal(chmod(dir, 0705), 0);
    refused(dir, KELPIE_E_INVALID, "has mode 0705");
    /* A group that this program is of may, as orchestrators set it. */
    assert_int_equal(chmod(dir, 02770), 0);
    assert_int_equal(store_dir_prepare(dir, path, NULL, error, sizeof(error)), 0);
    assert_string_equal(path, dir);
    if (geteuid() == 0) {
        assert_int_equal(chown(dir, (uid_t)-1, 12345), 0);
        assert_int_equal(chmod(dir, 0770), 0);
        refused(dir, KELPIE_E_INVALID,
                "has mode 0770, and this program is not of its group (12345)");
        assert_int_equal(chown(dir, (uid_t)-1, 0), 0);
    }
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(store_open(url, &env, NULL, &h, error, sizeof(error)), KELPIE_E_INVALID);
    if (geteuid() == 0) {
        assert_int_equal(chown(dir, 12345, (gid_t)-1), 0);
        refused(dir, KELPIE_E_INVALID, "belongs to user 12345");
        assert_int_equal(chown(dir, 0, (gid_t)-1), 0);
    }
    assert_string_equal(store_fs_network(0x6969), "NFS");
    assert_string_equal(store_fs_network((long)0xff534d42), "CIFS");
    assert_non_null(store_fs_network((int)0xff534d42));
    assert_null(store_fs_network(0xef53)); /* ext4 */
    static const char *const urls[] = {"", "lmdb", "fdbx", "memory", "http://x"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        assert_int_equal(store_open(urls[i], &env, NULL, &h, error, sizeof(error)),
                         KELPIE_E_INVALID);
        assert_non_null(strstr(error, urls[i]));
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    char garbage[8192];
    memset(garbage, 0x5a, sizeof(garbage));
    write_data(garbage, sizeof(garbage), sizeof(garbage));
    refused(dir, KELPIE_E_STORE_CORRUPT, "is corrupt");
    char path[600];
    store_sentence(path, sizeof(path), "%s/data.mdb", dir);
    unlink(path);

    struct store_handle *h;
    assert_int_equal(open_dir(dir, &(struct store_open_options){.idle_ms = 50}, &h), 0);
    store_close(h);
    assert_int_equal(wait_pid_not(0, true, 5000), 0);
    write_data("", 0, 3 * 4096);
    refused(dir, KELPIE_E_STORE_CORRUPT, "is shorter than it says");
    write_data("", 0, 100);
    refused(dir, KELPIE_E_STORE_CORRUPT, "is corrupt");
    unlink(path);
    close(open(dir, O_RDONLY));
}

/* Makes an LMDB environment with a database that holds one number of 4 bytes. */
static void make_env(const char *db, const char *key, uint8_t number)
{
    MDB_env *mdb;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint8_t data[4] = {0, 0, 0, number};
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {4, data};
    assert_int_equal(mdb_env_create(&mdb), 0);
    assert_int_equal(mdb_env_set_maxdbs(mdb, 4), 0);
    assert_int_equal(mdb_env_open(mdb, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(mdb, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "rows", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_dbi_open(txn, db, MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(mdb);
}

static void test_other_versions(void **state)
{
    (void)state;
    make_env("meta", "format", 2);
    refused(dir, KELPIE_E_STORE_NEWER, "newer version");
    char path[600];
    store_sentence(path, sizeof(path), "%s/data.mdb", dir);
    unlink(path);
    make_env("other", "x", 1);
    refused(dir, KELPIE_E_STORE_CORRUPT, "is not a store of this program");
}

/* Damage in the middle of the file is found when it is opened, and never ends in silence. */
static void test_damage(void **state)
{
    (void)state;
    struct store_fixture f = {.loop = {.count = 0}};
    char url[600], path[600], key[32];
    store_sentence(url, sizeof(url), "lmdb:%s", dir);
    store_sentence(path, sizeof(path), "%s/data.mdb", dir);
    poll_loop_init(&f.loop, &f.env, 3);
    const struct store_open_options o = {.idle_ms = 50};
    assert_int_equal(store_open(url, &f.env, &o, &f.handle[0], error, sizeof(error)), 0);
    f.store[0] = store_handle_store(f.handle[0]);
    poll_loop_add(&f.loop, store_handle_fd(f.handle[0]), store_handle_ready, f.handle[0]);
    for (int i = 0; i < 300; i++) {
        store_sentence(key, sizeof(key), "damage/%04d", i);
        assert_int_equal(fixture_put(&f, 0, key, "some value that takes a little room"), 0);
    }
    store_close(f.handle[0]);
    assert_int_equal(wait_pid_not(0, true, 5000), 0);
    int fd = open(path, O_RDWR);
    uint8_t junk[4096];
    memset(junk, 0xff, sizeof(junk));
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 2 * 4096; at < size; at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    close(fd);
    struct store_handle *h;
    int err = open_dir(dir, &o, &h);
    assert_int_equal(err, KELPIE_E_STORE_CORRUPT);
}

static void test_long_path(void **state)
{
    (void)state;
    char path[1024];
    store_sentence(path, sizeof(path), "%s/%0150d", dir, 7);
    assert_int_equal(mkdir(path, 0700), 0);
    struct store_handle *h;
    assert_int_equal(open_dir(path, &(struct store_open_options){.idle_ms = 50}, &h), 0);
    store_close(h);
    for (int i = 0; i < 5000 && fixture_store_pid(path) > 0; i++)
        usleep(1000);
    fixture_remove_dir(path);
}

static void test_no_executable(void **state)
{
    (void)state;
    struct store_handle *h;
    const struct store_open_options none = {.executable = "/nonexistent/program"};
    assert_int_equal(open_dir(dir, &none, &h), KELPIE_E_IO);
    assert_non_null(strstr(error, "/nonexistent/program"));
    const struct store_open_options mute = {.executable = "/bin/true"};
    assert_int_equal(open_dir(dir, &mute, &h), KELPIE_E_STORE_UNAVAILABLE);
    assert_non_null(strstr(error, "ended before it was ready"));
}

/* Another program at the socket: answers every connection with these bytes. It listens
   before this returns: at a socket that is only bound, an opener rightly finds nobody and starts
   the true process. */
static pid_t fake_process(const struct buf *answer)
{
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    int listen_fd = store_socket_listen(dir_fd);
    assert_true(listen_fd >= 0);
    close(dir_fd);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(listen_fd);
        return pid;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct pollfd p = {.fd = listen_fd, .events = POLLIN};
        (void)poll(&p, 1, -1);
        int fd = accept(listen_fd, NULL, NULL);
        if (fd >= 0 && send(fd, answer->data, answer->len, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
}

static void fake_process_meets(const struct buf *answer, int code, const char *words)
{
    pid_t pid = fake_process(answer);
    char path[600];
    store_sentence(path, sizeof(path), "%s/%s", dir, STORE_SOCKET_FILE);
    struct store_handle *h;
    const struct store_open_options o = {.open_ms = 300};
    assert_int_equal(open_dir(dir, &o, &h), code);
    if (!strstr(error, words))
        fail_msg("\"%s\"", error);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(path);
}

static void test_other_program(void **state)
{
    (void)state;
    struct buf answer;
    buf_init(&answer, test_mem());
    store_encode_welcome(&answer);
    answer.data[STORE_FRAME_HEAD + 5]++; /* the version's low byte */
    fake_process_meets(&answer, KELPIE_E_VERSION, "speaks protocol version 2, this program 1");
    buf_clear(&answer);
    store_encode_refused(&answer, "the moon is full");
    fake_process_meets(&answer, KELPIE_E_REFUSED, "refuses this program: the moon is full");
    buf_clear(&answer);
    buf_append(&answer, "SSH-2.0-OpenSSH_9.2\r\n", 21);
    fake_process_meets(&answer, KELPIE_E_STORE_UNAVAILABLE, "did not answer within 300 ms");
    buf_deinit(&answer);
}

static void on_watch(struct store_watch *w)
{
    *(bool *)w->arg = true;
}

/* From sending one client's commit to the other's watch. */
static void test_watch_latency(void **state)
{
    (void)state;
    struct store_fixture f = {.loop = {.count = 0}};
    char url[600];
    poll_loop_init(&f.loop, &f.env, 3);
    store_sentence(url, sizeof(url), "lmdb:%s", dir);
    const struct store_open_options o = {.idle_ms = 50};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(store_open(url, &f.env, &o, &f.handle[i], error, sizeof(error)), 0);
        f.store[i] = store_handle_store(f.handle[i]);
        poll_loop_add(&f.loop, store_handle_fd(f.handle[i]), store_handle_ready, f.handle[i]);
    }
    uint64_t longest_ns = 0, total_ns = 0;
    for (int i = 0; i < 100; i++) {
        bool fired = false;
        assert_non_null(i ? fixture_get(&f, 0, "watched") : "");
        const struct store_read r = {.key = bytes_of_str("watched")};
        struct store_req req = {.reads = &r, .read_count = 1};
        assert_int_equal(fixture_read(&f, 0, &req), 0);
        fixture_release(&f, 0, &req);
        struct store_watch w = {
            .key = r.key, .since_version = req.read_version, .fn = on_watch, .arg = &fired};
        f.store[0].ops->watch(f.store[0].ctx, &w);
        uint64_t begin = env_now_ns(&f.env);
        assert_int_equal(fixture_put(&f, 1, "watched", "1"), 0);
        assert_true(poll_loop_until(&f.loop, &fired, 5000));
        uint64_t ns = env_now_ns(&f.env) - begin;
        total_ns += ns;
        longest_ns = ns > longest_ns ? ns : longest_ns;
    }
    print_message(
        "[   note   ] from a commit to another client's watch: mean %llu us, at most %llu "
        "us\n",
        (unsigned long long)(total_ns / 100 / 1000), (unsigned long long)(longest_ns / 1000));
    for (size_t i = 0; i < 2; i++)
        store_close(f.handle[i]);
}

#define PROCESS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], STORE_PROCESS_ARGUMENT))
        return process_store_main(argc, argv);
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(test_killed_under_load), PROCESS_TEST(test_frozen_store),
        PROCESS_TEST(test_frozen_client),     PROCESS_TEST(test_idle_end),
        PROCESS_TEST(test_start_race),        PROCESS_TEST(test_stuck_start),
        PROCESS_TEST(test_file_limit),        PROCESS_TEST(test_map_limit),
        PROCESS_TEST(test_full_disk),         PROCESS_TEST(test_directory_is_the_one_checked),
        PROCESS_TEST(test_bad_directories),   PROCESS_TEST(test_bad_files),
        PROCESS_TEST(test_other_versions),    PROCESS_TEST(test_damage),
        PROCESS_TEST(test_long_path),         PROCESS_TEST(test_no_executable),
        PROCESS_TEST(test_other_program),     PROCESS_TEST(test_watch_latency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
