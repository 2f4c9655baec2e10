/* Tests of assertions: runs a function in a process of its own and says whether CHECK ended it. */
#ifndef KELPIE_TESTS_SUPPORT_TEST_DIES_H
#define KELPIE_TESTS_SUPPORT_TEST_DIES_H

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

/* True when `fn` ended in a failed CHECK; what it wrote is in `out` (of `size` bytes, with a NUL). */
static inline bool test_dies_with(void (*fn)(void *arg), void *arg, char *out, size_t size)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* No core file, and no handler of a test library or sanitizer in the way. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        fn(arg);
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    ssize_t n;
    while (len + 1 < size && (n = read(fds[0], out + len, size - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(fds[0]);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
           strstr(out, "check failed") != NULL;
}

static inline bool test_dies(void (*fn)(void *arg), void *arg)
{
    char out[1024];
    return test_dies_with(fn, arg, out, sizeof(out));
}

#endif
