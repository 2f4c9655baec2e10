#include "bin/kelpie_sim/sim_child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kelpie/error.h"

/* _exit() forgets what a build for scripts/coverage counted; and what the parent did is not the child's. */
#ifdef KELPIE_COVERAGE
void __gcov_reset(void);
void __gcov_dump(void);
#define COUNTS_BEGIN() __gcov_reset()
#define COUNTS_END() __gcov_dump()
#else
#define COUNTS_BEGIN() ((void)0)
#define COUNTS_END() ((void)0)
#endif

static bool move_all(int fd, void *data, size_t len, bool out)
{
    char *at = data;
    while (len > 0) {
        ssize_t n = out ? write(fd, at, len) : read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

void sim_child_tell(int record, const void *data, size_t size)
{
    if (!move_all(record, (void *)data, size, true))
        _exit(3);
}

int sim_child_start(struct sim_child *c, void (*run)(void *arg, int record), void *arg)
{
    int ends[2];

    if (pipe(ends))
        return KELPIE_E_IO;
    int said = memfd_create("kelpie-sim-stderr", MFD_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        if (said >= 0 && dup2(said, STDERR_FILENO) < 0)
            _exit(3);
        COUNTS_BEGIN();
        run(arg, ends[1]);
        COUNTS_END();
        _exit(0);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        if (said >= 0)
            (void)close(said);
        return KELPIE_E_IO;
    }
    *c = (struct sim_child){.pid = pid, .record = ends[0], .said = said};
    return 0;
}

/* The line with the failed check, else the last one; "" when nothing was said. Cuts `text` there. */
static const char *telling_line(char *text)
{
    const char *line = "";
    for (char *save = NULL, *at = strtok_r(text, "\n", &save); at;
         at = strtok_r(NULL, "\n", &save)) {
        line = at;
        if (strstr(at, ": check failed: "))
            break;
    }
    while (strncmp(line, "../", 3) == 0) /* as the compiler was told the file's name */
        line += 3;
    return line;
}

static void say_end(const struct sim_child *c, int status, char *why, size_t why_size)
{
    static char text[SIM_CHILD_SAID_MAX + 1];
    off_t end = c->said < 0 ? 0 : lseek(c->said, 0, SEEK_END);
    off_t from = end > SIM_CHILD_SAID_MAX ? end - SIM_CHILD_SAID_MAX : 0;
    ssize_t n = end <= 0 ? 0 : pread(c->said, text, SIM_CHILD_SAID_MAX, from);

    text[n > 0 ? n : 0] = '\0';
    const char *line = telling_line(text);
    (void)snprintf(why, why_size, "%.200s%sthe simulator's process ended with %s %d", line,
                   line[0] ? "; " : "", WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

bool sim_child_take(struct sim_child *c, int status, void *record, size_t size, char *why,
                    size_t why_size)
{
    bool told = move_all(c->record, record, size, false);

    if (!told)
        say_end(c, status, why, why_size);
    (void)close(c->record);
    if (c->said >= 0)
        (void)close(c->said);
    *c = (struct sim_child){.pid = 0, .record = -1, .said = -1};
    return told;
}
