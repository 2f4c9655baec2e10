#include "store/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "store/fdb_fixture.h"
#include "store/fdb_library.h"
#include "store/heap_mem.h"
#include "store/store_dir.h"

void fixture_make_dir(char *out, size_t size)
{
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(out, size, "%s/kelpie-test-XXXXXX", parent);
    CHECK(mkdtemp(out) != NULL);
}

void fixture_remove_dir(const char *dir)
{
    static const char *const names[] = {"data.mdb", "lock.mdb",  "lock",
                                        "socket",   "store.log", "store.log.1"};
    pid_t pid = fixture_store_pid(dir);
    if (pid > 0)
        kill(pid, SIGKILL);
    char path[512];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        store_sentence(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

pid_t fixture_store_pid(const char *dir)
{
    char path[512];
    store_sentence(path, sizeof(path), "%s/%s", dir, STORE_LOCK_FILE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    pid_t pid = store_lock_holder(fd);
    close(fd);
    return pid > 0 ? pid : 0;
}

/* ---- backends */

static void open_url(struct store_fixture *f, size_t clients, const char *url)
{
    const struct store_open_options o = {
        .idle_ms = 1000, .fdb_library = getenv("KELPIE_FDB_LIBRARY"), .fdb = &f->fdb_options};
    char error[1024];
    for (size_t i = 0; i < clients; i++) {
        int err = store_open(url, &f->env, &o, &f->handle[i], error, sizeof(error));
        if (err)
            fprintf(stderr, "%s\n", error);
        CHECK(!err);
        f->store[i] = store_handle_store(f->handle[i]);
        poll_loop_add(&f->loop, store_handle_fd(f->handle[i]), store_handle_ready, f->handle[i]);
    }
}

static void close_handles(struct store_fixture *f)
{
    for (size_t i = 0; i < FIXTURE_CLIENTS; i++) {
        if (f->handle[i])
            poll_loop_remove(&f->loop, store_handle_fd(f->handle[i]));
        store_close(f->handle[i]);
    }
}

static void open_memory(struct store_fixture *f)
{
    open_url(f, 1, "memory:");
    f->store[1] = f->store[0];
}

static void open_lmdb(struct store_fixture *f)
{
    char url[300];
    fixture_make_dir(f->dir, sizeof(f->dir));
    store_sentence(url, sizeof(url), "lmdb:%s", f->dir);
    open_url(f, FIXTURE_CLIENTS, url);
}

static void close_lmdb(struct store_fixture *f)
{
    close_handles(f);
    fixture_remove_dir(f->dir);
}

/* The real FoundationDB, below a random prefix of this process; each test begins and ends without a
 * row there. */
static const char *fdb_prefix(void)
{
    static char prefix[48];
    uint64_t number[2];
    if (prefix[0])
        return prefix;
    CHECK(getrandom(number, sizeof(number), 0) == (ssize_t)sizeof(number));
    snprintf(prefix, sizeof(prefix), "\x15\x02kt/%016llx%016llx/", (unsigned long long)number[0],
             (unsigned long long)number[1]);
    return prefix;
}

static void clear_all(struct store_fixture *f)
{
    static const uint8_t end[] = {0xff, 0xff, 0xff};
    const struct store_write w = {
        .kind = STORE_DELETE_RANGE, .key = bytes_of("", 0), .value = bytes_of(end, sizeof(end))};
    struct store_req req = {.writes = &w, .write_count = 1};
    CHECK(fixture_commit(f, 0, &req) == 0);
}

static bool usable_fdb(void)
{
    return getenv("FDB_CLUSTER_FILE") != NULL;
}

static bool fdb_used;

static void open_fdb(struct store_fixture *f)
{
    fdb_used = true;
    f->fdb_options = (struct store_fdb_options){
        .prefix = bytes_of_str(fdb_prefix()), .order = true, .timeout_ms = FIXTURE_WAIT_MS / 2};
    open_url(f, FIXTURE_CLIENTS, "fdb");
    clear_all(f);
}

static void close_fdb(struct store_fixture *f)
{
    if (!f->busy)
        clear_all(f);
    close_handles(f);
}

static void restart_lmdb(struct store_fixture *f)
{
    pid_t pid = fixture_store_pid(f->dir);
    CHECK(pid > 0);
    CHECK(kill(pid, SIGKILL) == 0);
    uint64_t end = poll_loop_now_ms() + FIXTURE_WAIT_MS;
    pid_t now = pid;
    while ((now == pid || now == 0 || !store_handle_connected(f->handle[0]) ||
            !store_handle_connected(f->handle[1])) &&
           poll_loop_now_ms() < end) {
        poll_loop_once(&f->loop, 5);
        now = fixture_store_pid(f->dir);
    }
    CHECK(now != pid && now > 0);
}

const struct store_backend store_backends[] = {
    {"memory", open_memory, close_handles, NULL, NULL},
    {"lmdb", open_lmdb, close_lmdb, restart_lmdb, NULL},
    {"fdb_sim", fdb_fixture_open, fdb_fixture_close, fdb_fixture_restart, NULL},
    {"fdb", open_fdb, close_fdb, NULL, usable_fdb},
};
const size_t store_backend_count = ARRAY_LEN(store_backends);

void fixture_open(struct store_fixture *f, const struct store_backend *backend)
{
    memset(f, 0, sizeof(*f));
    f->backend = backend;
    poll_loop_init(&f->loop, &f->env, 7);
    backend->open(f);
}

void fixture_close(struct store_fixture *f)
{
    f->backend->close(f);
    CHECK(f->shares_memory || test_mem_used() == 0);
    CHECK(f->loop.count == 0);
}

/* What a test that failed has left is cleared here. */
void fixtures_end(void)
{
    static struct store_fixture f;
    if (fdb_used) {
        poll_loop_init(&f.loop, &f.env, 7);
        open_fdb(&f);
        close_fdb(&f);
    }
    fdb_library_stop();
}

/* ---- operations that wait */

struct waiting {
    bool done;
    int status;
};

static void on_done(struct store_req *req, int status)
{
    struct waiting *w = req->arg;
    CHECK(!w->done);
    w->done = true;
    w->status = status;
}

static int fixture_wait(struct store_fixture *f, struct store_req *req,
                        void (*op)(void *ctx, struct store_req *req), void *ctx)
{
    struct waiting w = {.done = false};
    req->fn = on_done;
    req->arg = &w;
    op(ctx, req);
    CHECK(!w.done); /* never inside the call */
    CHECK(poll_loop_until(&f->loop, &w.done, FIXTURE_WAIT_MS));
    return w.status;
}

int fixture_read(struct store_fixture *f, size_t client, struct store_req *req)
{
    return fixture_wait(f, req, f->store[client].ops->read, f->store[client].ctx);
}

int fixture_commit(struct store_fixture *f, size_t client, struct store_req *req)
{
    return fixture_wait(f, req, f->store[client].ops->commit, f->store[client].ctx);
}

void fixture_release(struct store_fixture *f, size_t client, struct store_req *req)
{
    f->store[client].ops->release(f->store[client].ctx, req);
}

int fixture_put(struct store_fixture *f, size_t client, const char *key, const char *value)
{
    const struct store_write w = {
        .kind = STORE_PUT, .key = bytes_of_str(key), .value = bytes_of_str(value)};
    struct store_req req = {.writes = &w, .write_count = 1};
    return fixture_commit(f, client, &req);
}

const char *fixture_get(struct store_fixture *f, size_t client, const char *key)
{
    static char value[256];
    const struct store_read r = {.key = bytes_of_str(key)};
    struct store_req req = {.reads = &r, .read_count = 1};
    CHECK(fixture_read(f, client, &req) == 0);
    bool found = req.results[0].count == 1;
    if (found) {
        struct bytes v = req.results[0].rows[0].value;
        CHECK(v.len < sizeof(value));
        memcpy(value, v.data, v.len);
        value[v.len] = '\0';
    }
    fixture_release(f, client, &req);
    return found ? value : NULL;
}
