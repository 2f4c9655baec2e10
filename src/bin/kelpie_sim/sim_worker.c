#include "bin/kelpie_sim/sim_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bin/kelpie_sim/sim_options.h"
#include "http/worker_json.h"

#define READ_SIZE 65536
#define END_MS 100 /* for a worker whose output has ended, until it has too */

static _Noreturn void child(const char *command, int in, int out)
{
    if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) || dup2(in, STDIN_FILENO) < 0 ||
        dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setenv("KELPIE_WORKER", "pipes", 1);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

void worker_process_start(struct worker_process *p)
{
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        bad_usage("cannot start the worker: %s", strerror(errno));
    p->pid = fork();
    if (p->pid == 0)
        child(p->command, in[0], out[1]);
    if (p->pid < 0)
        bad_usage("cannot start the worker: %s", strerror(errno));
    (void)close(in[0]);
    (void)close(out[1]);
    p->in = in[1];
    p->out = out[0];
    set_nonblocking(p->in);
    set_nonblocking(p->out);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Its output has ended. */
static _Noreturn void end_of(struct worker_process *p, const char *about)
{
    int status = 0;
    pid_t ended = 0;

    for (unsigned i = 0; i < END_MS && ended == 0; i++) {
        ended = waitpid(p->pid, &status, WNOHANG);
        if (ended == 0)
            (void)poll(NULL, 0, 1);
    }
    if (ended != p->pid)
        bad_usage("the worker closed its output at %s", about);
    bad_usage("the worker ended with %s %d at %s", WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), about);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static void take_more(struct worker_process *p, const char *about)
{
    ssize_t n = read(p->out, buf_reserve(&p->said, READ_SIZE), READ_SIZE);

    if (n > 0)
        p->said.len += (size_t)n;
    else if (n == 0 || !would_block())
        end_of(p, about);
    if (p->said.len > WORKER_TEXT_MAX)
        bad_usage("the worker says more than %u bytes at once, at %s", WORKER_TEXT_MAX, about);
}

static void give_more(struct worker_process *p, struct bytes *line, const char *about)
{
    ssize_t n = write(p->in, line->data, line->len);

    if (n > 0)
        *line = bytes_of(line->data + n, line->len - (size_t)n);
    else if (n < 0 && !would_block())
        end_of(p, about);
}

/* Whichever comes first: it may say much before it has read all. */
static void move(struct worker_process *p, struct bytes *line, uint64_t end_ms, const char *about)
{
    uint64_t now = now_ms();
    struct pollfd fds[2] = {{.fd = p->out, .events = POLLIN},
                            {.fd = line->len ? p->in : -1, .events = POLLOUT}};

    if (now >= end_ms)
        bad_usage("the worker has not answered within %u s, at %s (see --worker-limit)", p->limit_s,
                  about);
    if (poll(fds, 2, (int)(end_ms - now)) < 0 && errno != EINTR)
        bad_usage("cannot wait for the worker: %s", strerror(errno));
    if (fds[0].revents)
        take_more(p, about);
    if (fds[1].revents)
        give_more(p, line, about);
}

struct bytes worker_process_ask(struct worker_process *p, struct bytes line, const char *about)
{
    uint64_t end_ms = now_ms() + p->limit_s * 1000ull;
    const uint8_t *nl = NULL;
    size_t looked = 0;

    if (line.len && p->said.len)
        bad_usage("the worker says something that it was not asked for, at %s", about);
    while (line.len || !nl) {
        move(p, &line, end_ms, about);
        nl = memchr(p->said.data + looked, '\n', p->said.len - looked);
        looked = nl ? 0 : p->said.len;
    }
    return bytes_of(p->said.data, (size_t)(nl - p->said.data));
}

void worker_process_taken(struct worker_process *p, struct bytes line)
{
    buf_consume(&p->said, line.len + 1);
}

void worker_process_end(struct worker_process *p)
{
    int status;

    if (!p->pid)
        return;
    (void)kill(-p->pid, SIGKILL);
    (void)kill(p->pid, SIGKILL); /* it may not have its own group yet */
    (void)close(p->in);
    (void)close(p->out);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}
