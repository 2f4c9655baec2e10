#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "loop/fork_guard.h"
#include "loop/log_writer.h"
#include "loop/logsink.h"
#include "loop/loop.h"

static size_t lost(void *ctx, uint64_t lines, char *out)
{
    (void)ctx;
    return (size_t)snprintf(out, LOG_TEXT_MAX, "lost=%llu\n", (unsigned long long)lines);
}

static const struct log_writer_ops ops = {.lost = lost};

/* Puts lines until the queue has no room, and some more; returns how many. */
static unsigned overflow(struct log_writer *w)
{
    char line[1001];
    memset(line, 'x', 1000);
    line[999] = '\n';
    for (unsigned i = 0; i < 1000; i++)
        log_writer_put(w, line, 1000);
    return 1000;
}

/* Reads until all of `put` lines are there or said to be lost; returns how many are. */
static unsigned long long read_all(int fd, unsigned put, unsigned *whole)
{
    static char text[4 * LOG_QUEUE_BYTES];
    size_t len = 0;
    unsigned long long gone = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (*whole + gone < put && poll(&p, 1, 10000) > 0 && len + 1 < sizeof(text)) {
        ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
        *whole = 0;
        gone = 0;
        for (char *at = text; (at = strstr(at, "xxx\n")); at++)
            ++*whole;
        for (char *at = text; (at = strstr(at, "lost=")); at++)
            gone += strchr(at, '\n') ? strtoull(at + 5, NULL, 10) : 0;
    }
    return gone;
}

static void test_nobody_reads(void **state)
{
    int fds[2];
    unsigned whole = 0;
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct log_writer *w = log_writer_new(fds[1], &ops, NULL);
    assert_non_null(w);
    unsigned put = overflow(w); /* it would hang here */
    assert_false(log_writer_flush(w, 20));
    unsigned long long gone = read_all(fds[0], put, &whole);
    assert_true(gone > 0);
    assert_int_equal(whole + gone, put);
    assert_true(log_writer_free(w, 5000));
    close(fds[0]);
    close(fds[1]);
}

/* A descriptor that somebody else made non-blocking takes all lines, too. */
static void test_non_blocking(void **state)
{
    int fds[2];
    unsigned whole = 0;
    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    struct log_writer *w = log_writer_new(fds[1], &ops, NULL);
    unsigned put = overflow(w);
    unsigned long long gone = read_all(fds[0], put, &whole);
    assert_int_equal(whole + gone, put);
    assert_true(log_writer_free(w, 5000));
    close(fds[0]);
    close(fds[1]);
}

/* A full disk, and a reader that has gone: nothing goes, and nothing else happens. */
static void test_nothing_goes(void **state)
{
    int fds[2], full = open("/dev/full", O_WRONLY);
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_true(full >= 0);
    for (int i = 0; i < 2; i++) {
        struct log_writer *w = log_writer_new(i ? full : fds[1], &ops, NULL);
        log_writer_put(w, "a\n", 2);
        log_writer_put(w, "b\n", 2);
        assert_true(log_writer_free(w, 5000));
    }
    close(fds[1]);
    close(full);
}

/* What strangers cause does not fill the disk, and the log says what it left out. */
static void test_sink_is_bounded(void **state)
{
    char path[] = "/tmp/kelpie-log.XXXXXX", text[4096] = "";
    int fd = mkstemp(path);
    struct logsink sink = {.fd = fd, .node_id = "n1", .program = "test"};
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(logsink_open(&sink), 0);
    struct log log = logsink_log(&sink, LOG_INFO);
    for (int i = 0; i < 200000; i++)
        log_warn(&log, "bad_frame", "from=%s:%d why=\"%s\"", "10.0.0.1", i % 60000,
                 "no such thing");
    for (int i = 0; i < 100 && !strstr(text, "log_lines_suppressed"); i++) {
        struct timespec pause = {.tv_nsec = 100 * 1000000};
        ssize_t n = lseek(fd, -(off_t)sizeof(text) / 2, SEEK_END) < 0 ? 0 : 1;
        (void)nanosleep(&pause, NULL);
        n = n ? read(fd, text, sizeof(text) - 1) : 0;
        text[n > 0 ? n : 0] = '\0';
    }
    assert_non_null(strstr(text, "level=warn node=n1 program=test event=log_lines_suppressed "
                                 "of=bad_frame lines="));
    assert_in_range(lseek(fd, 0, SEEK_END), 1000, 100 * 1000);
    logsink_close(&sink);
    close(fd);
    (void)unlink(path);
}

/* What a child of an actor's code has, and how it ends when it comes back into the loop. */
static void test_forked_child(void **state)
{
    int pair[2], fds[2], status;
    char said[256] = "";
    struct loop *loop = loop_new();
    (void)state;
    assert_non_null(loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(fds), 0);
    fork_guard_install();
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        /* The pipe is still there, the socket and the loop's descriptors are not. */
        bool sockets_gone = fcntl(pair[0], F_GETFD) < 0 && fcntl(pair[1], F_GETFD) < 0;
        if (!fork_guard_is_child() || !sockets_gone || fcntl(fds[0], F_GETFD) < 0)
            _exit(9);
        struct clock clock = loop_clock(loop);
        (void)clock.ops->now_ns(clock.ctx);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_true(read(fds[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "its child came back into the node"));
    assert_false(fork_guard_is_child());
    assert_true(fcntl(pair[0], F_GETFD) >= 0);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(fds[i]);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_reads), cmocka_unit_test(test_non_blocking),
        cmocka_unit_test(test_nothing_goes), cmocka_unit_test(test_sink_is_bounded),
        cmocka_unit_test(test_forked_child),
    };
    return cmocka_run_group_tests_name("log_writer", tests, NULL, NULL);
}
