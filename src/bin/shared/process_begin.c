#include "bin/shared/process_begin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "bin/shared/world_bind.h"
#include "store/store_process.h"

#define STORE_FILES 4096

static const char *const names[] = {
    [ROLE_COMMAND] = NULL,
    [ROLE_SUPERVISOR] = NULL,
    [ROLE_NODE] = PROCESS_NODE_NAME,
    [ROLE_STORE] = PROCESS_STORE_NAME,
};

/* A descriptor that is opened later must not become standard output by chance. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            CHECK(open("/dev/null", O_RDWR) == fd);
}

static void on_ignored(int signum)
{
    (void)signum;
}

static void act(int signum, void (*fn)(int signum))
{
    struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART};
    (void)sigaction(signum, &action, NULL);
}

/* A sanitizer has handlers for them. */
bool process_is_fault(int signum)
{
    return signum == SIGSEGV || signum == SIGBUS || signum == SIGFPE || signum == SIGILL ||
           signum == SIGTRAP;
}

static void set_actions(enum process_role role)
{
    static const int harmless[] = {SIGHUP,  SIGUSR1, SIGUSR2,   SIGALRM, SIGVTALRM,
                                   SIGPROF, SIGPOLL, SIGSTKFLT, SIGPWR,  SIGXCPU};
    static const int supervised[] = {SIGTERM, SIGINT};
    sigset_t none;
    for (int signum = 1; signum < NSIG; signum++)
        if (!process_is_fault(signum))
            act(signum, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    act(SIGXFSZ, SIG_IGN);
    if (role == ROLE_COMMAND)
        return;
    act(SIGPIPE, SIG_IGN);
    /* A terminal that stops whoever writes to it from the background would stop the log. */
    act(SIGTTOU, SIG_IGN);
    act(SIGTTIN, SIG_IGN);
    /* A function that does nothing, so that what a class starts has the default again. */
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        act(harmless[i], on_ignored);
    for (size_t i = 0; role == ROLE_NODE && i < ARRAY_LEN(supervised); i++)
        act(supervised[i], on_ignored);
}

void process_begin(enum process_role role)
{
    open_standard();
    set_actions(role);
    if (names[role])
        (void)prctl(PR_SET_NAME, names[role]);
    if (role == ROLE_NODE || role == ROLE_STORE)
        (void)setsid();
}

void process_close_others(int keep)
{
    unsigned first = STDERR_FILENO + 1;
    if (keep >= (int)first) {
        if (keep > (int)first)
            (void)close_range(first, (unsigned)keep - 1, 0);
        first = (unsigned)keep + 1;
    }
    (void)close_range(first, ~0u, 0);
}

void process_reap(pid_t but)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 &&
           info.si_pid != but)
        (void)waitpid(info.si_pid, NULL, WNOHANG);
}

int process_store_main(int argc, char **argv)
{
    process_begin(ROLE_STORE);
    process_close_others(-1);
    (void)process_allow_files(STORE_FILES);
    return store_process_main(argc, argv);
}

unsigned process_allow_files(unsigned wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return 0;
    if (files.rlim_cur < wanted) {
        struct rlimit more = files;
        more.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            files = more;
    }
    return files.rlim_cur < ~0u ? (unsigned)files.rlim_cur : ~0u;
}

/* Of standard output, the first time. */
static int output_error;

bool process_flush(void)
{
    errno = EIO; /* for a failure that stdio has kept to itself until now */
    if ((fflush(stdout) || ferror(stdout)) && !output_error)
        output_error = errno;
    return output_error == 0;
}

int process_end(const char *program, int status)
{
    if (process_flush() && close(STDOUT_FILENO) && errno != EBADF)
        output_error = errno;
    if (!output_error)
        return status;
    if (output_error != EPIPE)
        say(program, "standard output cannot be written: %s", strerror(output_error));
    return status ? status : 1;
}
