#include "store/store_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/log_line.h"
#include "kelpie/error.h"
#include "store/core.h"
#include "store/omap_lmdb.h"
#include "store/store_dir.h"
#include "store/store_server.h"

struct process {
    char dir[STORE_PATH_MAX];
    int dir_fd;
    int lock_fd;
    int listen_fd;
    uint64_t idle_ms;
    uint64_t map_max;
    struct mem mem;
    struct log log;
    struct log_origin origin;
    struct log_limit limit;
    size_t log_bytes; /* of the file */
    char crash_line[LOG_TEXT_MAX];
    size_t crash_len;
    struct omap_lmdb *map;
    struct core *core;
    struct store_server *server;
};

static struct process process; /* what a handler of signals finds */

static uint64_t process_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- memory and log */

static void *process_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    void *p = realloc(ptr, size);
    CHECK(p != NULL);
    return p;
}

static void *process_alloc(void *ctx, size_t size)
{
    return process_resize(ctx, NULL, size);
}

static void process_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static void process_open_log(struct process *p);

static size_t process_line(const struct process *p, enum log_level level, const char *event,
                           const char *fields, char *line)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return log_line(&p->origin, (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000, level,
                    event, fields, line);
}

/* A disk that is full takes no line; the store itself says so to its clients. */
static void process_write(struct process *p, const char *line, size_t len)
{
    if (p->log_bytes > STORE_LOG_BYTES_MAX)
        process_open_log(p);
    ssize_t n = write(STDERR_FILENO, line, len);
    p->log_bytes += n > 0 ? (size_t)n : 0;
}

static void process_tell_suppressed(struct process *p, uint64_t now_ns)
{
    const char *event;
    uint64_t lines;
    while (log_limit_take(&p->limit, now_ns, &event, &lines)) {
        char fields[LOG_LINE_MAX], line[LOG_TEXT_MAX];
        snprintf(fields, sizeof(fields), "of=%s lines=%llu", event, (unsigned long long)lines);
        process_write(p, line, process_line(p, LOG_WARN, "log_lines_suppressed", fields, line));
    }
}

static void process_log(void *ctx, enum log_level level, const char *event, const char *fields)
{
    struct process *p = ctx;
    char line[LOG_TEXT_MAX];
    uint64_t now_ns = process_now_ms() * 1000000;
    process_tell_suppressed(p, now_ns);
    if (log_limit_pass(&p->limit, now_ns, level, event, fields))
        process_write(p, line, process_line(p, level, event, fields, line));
}

/* One line to the starter; then nothing more goes there. */
static void process_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void process_tell(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vdprintf(STDOUT_FILENO, fmt, ap);
    va_end(ap);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDOUT_FILENO);
    else
        close(STDOUT_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

static int process_fail(struct process *p, int err, const char *sentence)
{
    char quoted[STORE_ERROR_MAX + 64];
    log_error(&p->log, "store_process_failed", "error=%s reason=%s", kelpie_error_name(err),
              log_quote(sentence, quoted, sizeof(quoted)));
    process_tell("error %d %s\n", err, sentence);
    return 1;
}

/* ---- getting away from whoever started it */

static bool process_detach(void)
{
    /* Started by posix_spawn or fork and exec: this process has one thread. */
    (void)setsid();
    pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid > 0)
        _exit(0);
    (void)prctl(PR_SET_PDEATHSIG, 0);
    umask(077);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDERR_FILENO);
        if (null > STDERR_FILENO)
            close(null);
    }
    return chdir("/") == 0;
}

static volatile sig_atomic_t told_to_end;

/* Whoever stops all of a machine, or all processes of this name, signals this one too; but nodes leave
 * through it. */
static void on_end(int signum)
{
    (void)signum;
    told_to_end = 1;
}

/* What LMDB does with a file that is damaged inside may be any of these signals. The handler calls
 * only what is allowed there. */
static void on_crash(int signum)
{
    static const char line[] =
        "error -23 the store process ended while reading the store: its data.mdb may be damaged; "
        "see store.log beside it\n";
    ssize_t ignored = write(STDOUT_FILENO, line, sizeof(line) - 1);
    ignored = write(STDERR_FILENO, process.crash_line, process.crash_len);
    (void)ignored;
    signal(signum, SIG_DFL);
    raise(signum);
}

static void process_signals(void)
{
    struct sigaction end = {.sa_handler = on_end};
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGBUS, &crash, NULL);
    sigaction(SIGSEGV, &crash, NULL);
    sigaction(SIGABRT, &crash, NULL);
}

/* A handler must not put a line together: this one is ready, but without its time. */
static void process_prepare_crash(struct process *p)
{
    p->crash_len = log_line(&p->origin, 0, LOG_ERROR, "store_process_crashed",
                            "reason=\"signal while reading or writing data.mdb\"", p->crash_line);
}

static void process_open_log(struct process *p)
{
    struct stat st;
    if (fstatat(p->dir_fd, STORE_LOG_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_size > STORE_LOG_BYTES_MAX)
        (void)renameat(p->dir_fd, STORE_LOG_FILE, p->dir_fd, STORE_LOG_FILE ".1");
    int fd = openat(p->dir_fd, STORE_LOG_FILE,
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return; /* a full disk: it works without */
    p->log_bytes = fstat(fd, &st) == 0 ? (size_t)st.st_size : 0;
    dup2(fd, STDERR_FILENO);
    close(fd);
}

/* ---- start */

static bool process_options(struct process *p, int argc, char **argv, const char **dir)
{
    if (argc < 3 || strcmp(argv[1], STORE_PROCESS_ARGUMENT) != 0)
        return false;
    *dir = argv[2];
    for (int i = 3; i < argc; i += 2) {
        if (i + 1 >= argc)
            return false;
        if (!strcmp(argv[i], "--node-id"))
            p->origin.node_id = argv[i + 1];
        if (!strcmp(argv[i], "--log-format"))
            p->origin.json = strcmp(argv[i + 1], "json") == 0;
        if (!strcmp(argv[i], "--node-id") || !strcmp(argv[i], "--log-format"))
            continue;
        char *end;
        uint64_t n = strtoull(argv[i + 1], &end, 10);
        if (*end || end == argv[i + 1])
            return false;
        if (!strcmp(argv[i], "--idle-ms"))
            p->idle_ms = n;
        else if (!strcmp(argv[i], "--map-max"))
            p->map_max = n;
        else
            return false;
    }
    return true;
}

/* 0 with the lock held, 1 when another process has it, or an error. */
static int process_lock(struct process *p, pid_t *holder)
{
    p->lock_fd = store_lock_open(p->dir_fd);
    if (p->lock_fd < 0)
        return errno == ENOSPC || errno == EDQUOT ? KELPIE_E_STORE_FULL : KELPIE_E_IO;
    for (int waited = 0;; waited += 2) {
        int got = store_lock_take(p->lock_fd, holder);
        if (got <= 0)
            return got < 0 ? KELPIE_E_IO : 0;
        if (waited >= STORE_LOCK_WAIT_MS)
            return 1;
        usleep(2000);
    }
}

static int process_open(struct process *p)
{
    char error[STORE_ERROR_MAX];
    const struct omap_lmdb_options o = {.name = p->dir, .map_max = p->map_max};
    int err = omap_lmdb_open(p->mem, p->dir_fd, &o, &p->map, error, sizeof(error));
    if (err)
        return process_fail(p, err, error);
    err = core_new(p->mem, omap_lmdb_map(p->map), NULL, &p->core);
    if (err) {
        store_sentence(error, sizeof(error), "store directory '%s' is corrupt: %s", p->dir,
                       omap_lmdb_last_error(p->map));
        return process_fail(p, err, error);
    }
    p->listen_fd = store_socket_listen(p->dir_fd);
    if (p->listen_fd >= 0)
        p->server = store_server_new(p->mem, &p->log, p->core, p->listen_fd);
    if (!p->server) {
        err = errno == ENOSPC || errno == EDQUOT ? KELPIE_E_STORE_FULL : KELPIE_E_IO;
        store_sentence(error, sizeof(error), "no socket can be made in store directory '%s': %s",
                       p->dir, strerror(errno));
        return process_fail(p, err, error);
    }
    return 0;
}

/* ---- life */

/* False when the directory was removed or replaced under this process. */
static bool process_owns_dir(const struct process *p)
{
    char path[STORE_PATH_MAX + sizeof(STORE_LOCK_FILE) + 1];
    struct stat here, there;
    store_sentence(path, sizeof(path), "%s/%s", p->dir, STORE_LOCK_FILE);
    return fstat(p->lock_fd, &here) == 0 && stat(path, &there) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static void process_note_errors(struct process *p, const char **last)
{
    const char *now = omap_lmdb_last_error(p->map);
    if (now == *last)
        return;
    *last = now;
    char quoted[256];
    log_warn(&p->log, "store_error", "reason=%s map_bytes=%llu",
             log_quote(now, quoted, sizeof(quoted)),
             (unsigned long long)omap_lmdb_map_size(p->map));
}

static const char *process_serve(struct process *p)
{
    const char *last_error = omap_lmdb_last_error(p->map);
    uint64_t used_ms = process_now_ms(), checked_ms = used_ms;
    for (;;) {
        uint64_t now = process_now_ms();
        if (store_server_clients(p->server) > 0)
            used_ms = now;
        else if (now - used_ms >= p->idle_ms)
            return "idle";
        else if (told_to_end)
            return "told to end";
        if (now - checked_ms >= 1000) {
            checked_ms = now;
            if (!process_owns_dir(p))
                return "the directory is gone";
        }
        uint64_t wait_ms = p->idle_ms - (now - used_ms);
        if (store_server_turn(p->server, wait_ms < 1000 ? (int)wait_ms : 1000))
            return "the system refuses to wait";
        process_note_errors(p, &last_error);
        process_tell_suppressed(p, process_now_ms() * 1000000);
        if (core_broken(p->core))
            return "the outcome of a write is unknown";
    }
}

int store_process_main(int argc, char **argv)
{
    static const struct mem_ops mem_ops = {process_alloc, process_resize, process_release};
    static const struct log_ops log_ops = {process_log};
    struct process *p = &process;
    p->mem = (struct mem){.ops = &mem_ops};
    p->log = (struct log){.ops = &log_ops, .ctx = p, .min = LOG_INFO};
    p->origin = (struct log_origin){.node_id = "", .program = "store"};
    p->idle_ms = STORE_IDLE_MS;

    const char *dir;
    char error[STORE_ERROR_MAX];
    if (!process_options(p, argc, argv, &dir)) {
        fprintf(stderr,
                "usage: %s DIR [--idle-ms N] [--map-max BYTES] [--node-id ID] "
                "[--log-format text|json]\n",
                STORE_PROCESS_ARGUMENT);
        return 2;
    }
    int err = store_dir_prepare(dir, p->dir, &p->dir_fd, error, sizeof(error));
    if (err)
        return process_fail(p, err, error);
    if (!process_detach())
        return process_fail(p, KELPIE_E_IO, "the store process cannot detach itself");
    process_prepare_crash(p);
    process_signals();
    pid_t holder = 0;
    err = process_lock(p, &holder);
    if (err > 0) {
        process_tell("busy %d\n", (int)holder);
        return 0;
    }
    if (err) {
        store_sentence(error, sizeof(error), "the lock in store directory '%s' cannot be taken: %s",
                       p->dir, strerror(errno));
        return process_fail(p, err, error);
    }
    process_open_log(p);
    if (process_open(p))
        return 1;
    log_info(&p->log, "store_process_started", "pid=%d version=%llu map_bytes=%llu", (int)getpid(),
             (unsigned long long)core_version(p->core),
             (unsigned long long)omap_lmdb_map_size(p->map));
    process_tell("ok\n");
    const char *why = process_serve(p);
    log_info(&p->log, "store_process_ended", "reason=\"%s\"", why);
    store_server_free(p->server);
    core_free(p->core);
    omap_lmdb_close(p->map);
    return 0;
}
