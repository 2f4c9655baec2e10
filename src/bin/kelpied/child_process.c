#include "bin/kelpied/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bin/kelpied/node_main.h"
#include "bin/shared/process_begin.h"
#include "kelpie/error.h"

#define FLAGS_SIZE (4 * CONFIG_PATH_MAX + 2 * OPTION_LIST_MAX * 512)
#define FLAGS_MAX (OPTIONS_MAX + 2 * OPTION_LIST_MAX)
#define SELF "/proc/self/exe"

/* What the child needs between fork and exec, made before: there only calls that are safe in the
 * child of any process are allowed. */
struct launch {
    char fd[16], page[16], boot[UUID_TEXT_SIZE], pid[24];
    char flags[FLAGS_SIZE];
    char *argv[NODE_PROCESS_WORDS + FLAGS_MAX + 1];
};

static struct launch *launch_new(const struct config *config, struct uuid boot, int fd, int page)
{
    static char program[] = PROCESS_NODE_NAME, process[] = NODE_PROCESS_ARGUMENT;
    struct launch *l = calloc(1, sizeof(*l));
    CHECK(l != NULL);
    (void)snprintf(l->fd, sizeof(l->fd), "%d", fd);
    (void)snprintf(l->page, sizeof(l->page), "%d", page);
    (void)snprintf(l->pid, sizeof(l->pid), "%ld", (long)getpid());
    uuid_to_text(boot, l->boot);
    l->argv[0] = program;
    l->argv[1] = process;
    l->argv[2] = l->fd;
    l->argv[3] = l->page;
    l->argv[4] = l->boot;
    l->argv[5] = l->pid;
    (void)config_flags(config, l->flags, sizeof(l->flags), l->argv + NODE_PROCESS_WORDS, FLAGS_MAX);
    return l;
}

_Noreturn static void become_node(const struct launch *l, int fd, int page)
{
    /* A session of its own before the program is: a signal to the supervisor's group, such as a
     * terminal's, never reaches the node. The rest is process_begin()'s. */
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)fcntl(fd, F_SETFD, 0);
    (void)fcntl(page, F_SETFD, 0);
    (void)execv(SELF, l->argv);
    _exit(EXIT_STATUS_REFUSED);
}

/* A page that stays as long as it is: whoever has it cannot cut it off under the other. */
static int page_new(struct node_page **page)
{
    int fd = memfd_create("kelpie-running", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *at = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)sizeof(**page)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        at = mmap(NULL, sizeof(**page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0 && at == MAP_FAILED) {
        int err = errno;
        (void)close(fd);
        errno = err;
        return -1;
    }
    *page = at;
    return fd;
}

static pid_t launch(const struct config *config, struct uuid boot, int fd, int page)
{
    struct launch *l = launch_new(config, boot, fd, page);
    pid_t pid = fork();
    if (pid == 0)
        become_node(l, fd, page);
    int err = errno;
    free(l);
    errno = err;
    return pid;
}

int child_process_start(struct child_process *p, const struct config *config, struct uuid boot,
                        char *why, size_t why_size)
{
    int ends[2], page = -1;
    pid_t pid = -1;
    *p = (struct child_process){.life_fd = -1, .verdict = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends)) {
        (void)snprintf(why, why_size, "the system refuses a socket: %s", strerror(errno));
        return KELPIE_E_IO;
    }
    p->life_fd = ends[0];
    page = page_new(&p->page);
    if (page >= 0)
        pid = launch(config, boot, ends[1], page);
    if (pid < 0)
        (void)snprintf(why, why_size, "the system refuses %s: %s",
                       page < 0 ? "shared memory" : "a process", strerror(errno));
    (void)close(ends[1]);
    if (page >= 0)
        (void)close(page);
    if (pid < 0) {
        child_process_close(p);
        return KELPIE_E_IO;
    }
    p->pid = pid;
    return 0;
}

void child_process_kill(const struct child_process *p)
{
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
        (void)kill(p->pid, SIGKILL); /* if it has not got its group yet */
    }
}

bool child_process_is_stopped(const struct child_process *p)
{
    char path[48], text[256];
    const char *state;
    size_t n = 0;
    FILE *f;
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)p->pid);
    f = p->pid > 0 ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    state = strrchr(text, ')'); /* its name may have brackets too */
    return state && strlen(state) > 2 && (state[2] == 'T' || state[2] == 't');
}

bool child_process_reap(struct child_process *p, int *wait_status)
{
    siginfo_t info = {0};
    if (p->pid <= 0 || waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
        info.si_pid != p->pid)
        return false;
    /* Not waited for yet, so the number is still its own: nobody else's group is killed. */
    (void)kill(-p->pid, SIGKILL);
    CHECK(waitpid(p->pid, wait_status, 0) == p->pid);
    p->pid = 0;
    return true;
}

void child_process_close(struct child_process *p)
{
    if (p->life_fd >= 0)
        (void)close(p->life_fd);
    p->life_fd = -1;
    if (p->page)
        (void)munmap(p->page, sizeof(*p->page));
    p->page = NULL;
}

bool child_process_signs(struct child_process *p)
{
    char bytes[256];
    bool any = false;
    ssize_t n;
    while (p->life_fd >= 0 && (n = read(p->life_fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] == NODE_SAYS_ALIVE)
                any = true;
            else
                p->verdict = bytes[i] - NODE_SAYS_STATUS;
        }
    }
    return any;
}

void child_process_tell(const struct child_process *p, char what)
{
    /* Few bytes ever go there. A node that is gone is about to be found dead. */
    if (p->life_fd >= 0 && write(p->life_fd, &what, 1) < 0)
        return;
}

void child_process_how(const struct child_process *p, int wait_status, char *out, size_t size)
{
    if (WIFSIGNALED(wait_status))
        (void)snprintf(out, size, "signal %d (%s)", WTERMSIG(wait_status),
                       strsignal(WTERMSIG(wait_status)));
    else
        (void)snprintf(out, size, "exit status %d%s", WEXITSTATUS(wait_status),
                       p->verdict < 0 ? ", which is not the node's own word" : "");
}
