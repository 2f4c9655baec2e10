#include "bin/kelpied/worker_start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/kelpied/worker_children.h"
#include "bin/shared/actors_load.h"
#include "kelpie/error.h"

#define PAGES_SIZE (WORKER_SLOTS_MAX * sizeof(struct worker_page))

int worker_program(char *out, size_t size, char *why, size_t why_size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    if (!slash || (size_t)(slash - out) + sizeof "/" WORKER_PROGRAM > size) {
        (void)snprintf(why, why_size, "where this program lies cannot be told: %s",
                       strerror(errno));
        return KELPIE_E_IO;
    }
    memcpy(slash + 1, WORKER_PROGRAM, sizeof WORKER_PROGRAM);
    if (access(out, X_OK) == 0)
        return 0;
    (void)snprintf(why, why_size,
                   "%s, in which actor classes run, is not beside this program: %s; "
                   "--actors-in-node runs them without it",
                   out, strerror(errno));
    return KELPIE_E_IO;
}

/* Pages that stay as long as they are: whoever has them cannot cut them off under the other. */
static int pages_new(struct worker_page **pages)
{
    int fd = memfd_create("kelpie-worker", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)PAGES_SIZE) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        at = mmap(NULL, PAGES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        int err = errno;
        if (fd >= 0)
            (void)close(fd);
        errno = err;
        return -1;
    }
    *pages = at;
    return fd;
}

/* What the child needs between fork and exec, made before: there only calls that are safe in the child of any process are
 * allowed. */
struct launch {
    const char *program;
    char fd[16], pages[16], level[16];
    char *argv[WORKER_PROCESS_WORDS + 1];
    int tell_fd, pages_fd, null_fd;
    struct rlimit memory;
};

_Noreturn static void become_worker(const struct launch *l)
{
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)!nice(WORKER_NICE);
    /* A sanitizer has more than any bound. */
    if (ACTORS_OWN_NAMES_FIRST)
        (void)setrlimit(RLIMIT_DATA, &l->memory);
    (void)dup2(l->null_fd, STDIN_FILENO);
    (void)dup2(l->null_fd, STDOUT_FILENO);
    (void)fcntl(l->tell_fd, F_SETFD, 0);
    (void)fcntl(l->pages_fd, F_SETFD, 0);
    (void)execv(l->program, l->argv);
    _exit(127);
}

static pid_t launch(struct launch *l, const struct config *c, const char *file, const char *socket)
{
    static char name[] = WORKER_PROGRAM, text[] = "text", json[] = "json";
    char *file_copy = strdup(file), *socket_copy = strdup(socket), *node = strdup(c->node_id);
    pid_t pid;

    CHECK(file_copy && socket_copy && node);
    (void)snprintf(l->fd, sizeof l->fd, "%d", l->tell_fd);
    (void)snprintf(l->pages, sizeof l->pages, "%d", l->pages_fd);
    (void)snprintf(l->level, sizeof l->level, "%d", (int)c->log_level);
    char *const words[] = {name,        l->fd, l->pages, file_copy,
                           socket_copy, node,  l->level, c->log_json ? json : text};
    memcpy(l->argv, words, sizeof words);
    l->memory.rlim_cur = l->memory.rlim_max =
        (rlim_t)c->actor_memory_mb * 1024 * 1024 + WORKER_SLOTS_MAX * WORKER_STACK_BYTES;
    pid = fork();
    if (pid == 0)
        become_worker(l);
    int err = errno;
    free(file_copy);
    free(socket_copy);
    free(node);
    errno = err;
    return pid;
}

int actors_process_start(struct actors_process *p, const struct config *config, const char *program,
                         const char *file, const char *socket, char *why, size_t why_size)
{
    struct launch l = {.program = program, .pages_fd = -1, .null_fd = -1};
    int ends[2];
    pid_t pid = -1;

    *p = (struct actors_process){.told_fd = -1};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
        (void)snprintf(why, why_size, "the system refuses a pipe: %s", strerror(errno));
        return KELPIE_E_IO;
    }
    p->told_fd = ends[0];
    l.tell_fd = ends[1];
    l.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    l.pages_fd = pages_new(&p->pages);
    if (l.null_fd >= 0 && l.pages_fd >= 0)
        pid = launch(&l, config, file, socket);
    if (pid < 0)
        (void)snprintf(why, why_size, "the system refuses a process: %s", strerror(errno));
    (void)close(ends[1]);
    if (l.null_fd >= 0)
        (void)close(l.null_fd);
    if (l.pages_fd >= 0)
        (void)close(l.pages_fd);
    if (pid < 0) {
        actors_process_close(p);
        return KELPIE_E_IO;
    }
    p->pid = pid;
    p->watched = true;
    return 0;
}

void actors_process_kill(const struct actors_process *p)
{
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
        (void)kill(p->pid, SIGKILL); /* if it has not got its group yet */
    }
}

static void say_how(int status, char *how, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(how, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)snprintf(how, size, "exit status %d", WEXITSTATUS(status));
}

bool actors_process_reap(struct actors_process *p, char *how, size_t how_size)
{
    siginfo_t info = {0};
    int status = 0;

    if (p->pid <= 0)
        return false;
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (info.si_pid != p->pid)
            return false;
        /* Not waited for yet, so the number is still its own: nobody else's group is killed. */
        (void)kill(-p->pid, SIGKILL);
        CHECK(waitpid(p->pid, &status, 0) == p->pid);
        say_how(status, how, how_size);
        return true;
    }
    /* Process 1 waits for all there are, and was quicker. */
    (void)snprintf(how, how_size, "nobody knows how");
    return errno == ECHILD;
}

void actors_process_forget(struct actors_process *p, struct loop *loop)
{
    if (p->watched)
        (void)!loop_on_readable(loop, p->told_fd, NULL, NULL);
    p->watched = false;
}

void actors_process_close(struct actors_process *p)
{
    if (p->told_fd >= 0)
        (void)close(p->told_fd);
    if (p->pages)
        (void)munmap(p->pages, PAGES_SIZE);
    *p = (struct actors_process){.told_fd = -1};
}
