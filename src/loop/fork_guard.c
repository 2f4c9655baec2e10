#include "loop/fork_guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

static volatile bool is_child;

/* Sockets, and what has no kind in the filesystem: epoll, eventfd, timerfd. Pipes and files, which an
 * actor's code may have opened for its child, stay. */
static bool is_of_the_loop(int fd)
{
    struct stat st;

    return fd > STDERR_FILENO && fstat(fd, &st) == 0 &&
           (S_ISSOCK(st.st_mode) || (st.st_mode & S_IFMT) == 0);
}

/* Only what is allowed in the child of a process with threads. */
static void on_child(void)
{
    uint64_t room[512];
    char *entries = (char *)room;
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n;

    is_child = true;
    while (dir >= 0 && (n = syscall(SYS_getdents64, dir, entries, sizeof room)) > 0) {
        for (long at = 0; at < n;) {
            const struct dirent64 *d = (const struct dirent64 *)(void *)(entries + at);
            int fd = atoi(d->d_name);

            if (fd != dir && is_of_the_loop(fd))
                (void)close(fd);
            at += d->d_reclen;
        }
    }
    if (dir >= 0)
        (void)close(dir);
}

void fork_guard_install(void)
{
    static bool installed;

    if (!installed)
        CHECK(pthread_atfork(NULL, NULL, on_child) == 0);
    installed = true;
}

bool fork_guard_is_child(void)
{
    return is_child;
}

void fork_guard_check(void)
{
    if (!is_child)
        return;
    last_words("forked_child_ended",
               "an actor's code forked, and its child came back into the node");
    _exit(1);
}
