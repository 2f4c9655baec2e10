#include "store/store_start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "store/store_process.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

extern char **environ;

void store_starter_init(struct store_starter *s)
{
    memset(s, 0, sizeof(*s));
    s->fd = -1;
}

/* The started process leaves at once, its child goes on; so this wait is over soon. A program that
 * waits for all its children may have been faster. */
static void starter_reap(struct store_starter *s)
{
    if (s->pid > 0 && waitpid(s->pid, NULL, WNOHANG) == 0)
        return;
    s->pid = 0;
}

void store_starter_deinit(struct store_starter *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    starter_reap(s);
    s->state = STORE_START_NONE;
}

static int starter_spawn(struct store_starter *s, const struct store_start_options *o, int out)
{
    const char *program = o->executable ? o->executable : "/proc/self/exe";
    char idle[24], map[24];
    snprintf(idle, sizeof(idle), "%u", o->idle_ms ? o->idle_ms : (unsigned)STORE_IDLE_MS);
    snprintf(map, sizeof(map), "%llu", o->map_max);
    static char name[] = "kelpie-store";
    char *argv[] = {name,
                    (char *)(uintptr_t)STORE_PROCESS_ARGUMENT,
                    (char *)(uintptr_t)o->dir,
                    (char *)(uintptr_t) "--idle-ms",
                    idle,
                    (char *)(uintptr_t) "--map-max",
                    map,
                    (char *)(uintptr_t) "--node-id",
                    (char *)(uintptr_t)(o->node_id ? o->node_id : ""),
                    (char *)(uintptr_t) "--log-format",
                    (char *)(uintptr_t)(o->log_json ? "json" : "text"),
                    NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawn_file_actions_init(&files);
    if (rc)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc) {
        posix_spawn_file_actions_destroy(&files);
        return rc;
    }
    rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_RDWR, 0);
    if (!rc)
        rc = posix_spawnattr_setsigmask(&attr, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(&attr, &all);
    if (!rc)
        rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                 POSIX_SPAWN_SETSIGDEF);
    if (!rc)
        rc = posix_spawn(&s->pid, program, &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

int store_starter_start(struct store_starter *s, const struct store_start_options *o)
{
    CHECK(s->state == STORE_START_NONE && s->fd < 0);
    int fds[2];
    starter_reap(s);
    int rc = pipe2(fds, O_CLOEXEC | O_NONBLOCK) ? errno : 0;
    if (!rc) {
        /* The new process writes without O_NONBLOCK being in its way: one line fits the pipe. */
        rc = starter_spawn(s, o, fds[1]);
        close(fds[1]);
        if (rc)
            close(fds[0]);
    }
    if (rc) {
        s->pid = 0;
        s->error = KELPIE_E_IO;
        store_sentence(s->sentence, sizeof(s->sentence),
                       "the store process for '%s' cannot be started from '%s': %s", o->dir,
                       o->executable ? o->executable : "/proc/self/exe", strerror(rc));
        return KELPIE_E_IO;
    }
    s->fd = fds[0];
    s->line_len = 0;
    s->state = STORE_START_RUNNING;
    return 0;
}

static enum store_start_outcome starter_parse(struct store_starter *s)
{
    s->line[s->line_len] = '\0';
    char *end = strchr(s->line, '\n');
    if (end)
        *end = '\0';
    if (!strcmp(s->line, "ok"))
        return STORE_START_OK;
    if (!strncmp(s->line, "busy ", 5)) {
        s->holder = (pid_t)strtol(s->line + 5, NULL, 10);
        return STORE_START_BUSY;
    }
    char *rest = NULL;
    long code = strncmp(s->line, "error ", 6) ? 0 : strtol(s->line + 6, &rest, 10);
    if (code < 0 && code > -255 && *rest == ' ') {
        s->error = (int)code;
        memcpy(s->sentence, rest + 1, strnlen(rest + 1, sizeof(s->sentence) - 1) + 1);
        s->sentence[sizeof(s->sentence) - 1] = '\0';
        return STORE_START_FAILED;
    }
    s->error = KELPIE_E_STORE_UNAVAILABLE;
    store_sentence(s->sentence, sizeof(s->sentence),
                   "the store process ended before it was ready; see store.log in its directory");
    return STORE_START_FAILED;
}

enum store_start_outcome store_starter_poll(struct store_starter *s)
{
    starter_reap(s);
    if (s->state != STORE_START_RUNNING)
        return STORE_START_PENDING;
    for (;;) {
        size_t room = sizeof(s->line) - 1 - s->line_len;
        ssize_t n = room ? read(s->fd, s->line + s->line_len, room) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return STORE_START_PENDING;
        if (n > 0)
            s->line_len += (size_t)n;
        if (n <= 0 || memchr(s->line, '\n', s->line_len))
            break;
    }
    close(s->fd);
    s->fd = -1;
    s->state = STORE_START_NONE;
    return starter_parse(s);
}

/* ---- killing */

static int kill_pidfd(int pidfd)
{
    long rc = syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u);
    int saved = errno;
    close(pidfd);
    errno = saved;
    return rc ? -1 : 0;
}

int store_kill_peer(int socket_fd)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
        return -1;
    if (cred.pid <= 1) { /* of another pid namespace */
        errno = ESRCH;
        return -1;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0u);
    if (pidfd < 0)
        return -1;
    /* The pidfd names whoever had the pid just now. If our peer still has its end open, that was
     * still our peer. */
    struct pollfd p = {.fd = socket_fd, .events = POLLRDHUP};
    if (poll(&p, 1, 0) < 0 || (p.revents & (POLLHUP | POLLRDHUP | POLLERR))) {
        close(pidfd);
        errno = ESRCH;
        return -1;
    }
    return kill_pidfd(pidfd);
}

int store_kill_holder(int dir_fd, pid_t holder)
{
    if (holder <= 1) {
        errno = ESRCH;
        return -1;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, holder, 0u);
    if (pidfd < 0)
        return -1;
    int lock_fd = store_lock_open(dir_fd);
    pid_t now = lock_fd < 0 ? -1 : store_lock_holder(lock_fd);
    if (lock_fd >= 0)
        close(lock_fd);
    if (now != holder) {
        close(pidfd);
        errno = ESRCH;
        return -1;
    }
    return kill_pidfd(pidfd);
}
