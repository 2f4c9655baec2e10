#include "loop/logsink.h"

#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/log_line.h"
#include "kelpie/error.h"
#include "loop/fork_guard.h"
#include "loop/log_writer.h"

struct logsink_state {
    struct logsink *sink;
    struct log_writer *writer;
    pthread_mutex_t lock; /* of the limit */
    struct log_limit limit;
};

/* Libraries and the end of a process know of no sink. */
static struct logsink *of_process;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts = {0};

    (void)clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static size_t line_of(const struct logsink *sink, enum log_level level, const char *event,
                      const char *fields, char *out)
{
    struct log_origin from = {sink->json, sink->node_id, sink->program};

    return log_line(&from, clock_ns(CLOCK_REALTIME) / 1000000, level, event, fields, out);
}

static size_t line_fmt(const struct logsink *sink, enum log_level level, const char *event,
                       char *out, const char *fmt, ...) PRINTF_LIKE(5, 6);
static size_t line_fmt(const struct logsink *sink, enum log_level level, const char *event,
                       char *out, const char *fmt, ...)
{
    char fields[LOG_LINE_MAX];
    va_list ap;

    va_start(ap, fmt);
    log_vfields(fields, sizeof fields, fmt, ap);
    va_end(ap);
    return line_of(sink, level, event, fields, out);
}

/* What was left out and is due. */
static void tell_suppressed(struct logsink_state *s, uint64_t now_ns)
{
    const char *event;
    uint64_t lines;

    for (;;) {
        char line[LOG_TEXT_MAX];
        bool any;

        pthread_mutex_lock(&s->lock);
        any = log_limit_take(&s->limit, now_ns, &event, &lines);
        pthread_mutex_unlock(&s->lock);
        if (!any)
            return;
        log_writer_put(s->writer, line,
                       line_fmt(s->sink, LOG_WARN, "log_lines_suppressed", line, "of=%s lines=%llu",
                                event, (unsigned long long)lines));
    }
}

static void on_tick(void *ctx)
{
    tell_suppressed(ctx, clock_ns(CLOCK_MONOTONIC));
}

static size_t on_lost(void *ctx, uint64_t lines, char *out)
{
    const struct logsink_state *s = ctx;

    return line_fmt(s->sink, LOG_WARN, "log_lines_lost", out,
                    "lines=%llu reason=\"nobody read the log, or it could not be written\"",
                    (unsigned long long)lines);
}

static void sink_write(void *ctx, enum log_level level, const char *event, const char *fields)
{
    struct logsink_state *s = ((const struct logsink *)ctx)->state;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    char line[LOG_TEXT_MAX];
    bool passes;

    if (!s || fork_guard_is_child()) /* whose writer has not come with it */
        return;
    tell_suppressed(s, now_ns);
    pthread_mutex_lock(&s->lock);
    passes = log_limit_pass(&s->limit, now_ns, level, event, fields);
    pthread_mutex_unlock(&s->lock);
    if (passes)
        log_writer_put(s->writer, line, line_of(s->sink, level, event, fields, line));
}

struct log logsink_log(struct logsink *sink, enum log_level min)
{
    static const struct log_ops ops = {.write = sink_write};

    return (struct log){.ops = &ops, .ctx = sink, .min = min};
}

/* ---- libraries, and the end ---- */

static void on_libevent(int severity, const char *text)
{
    struct log log;

    if (!of_process || severity == EVENT_LOG_DEBUG)
        return;
    log = logsink_log(of_process, LOG_DEBUG);
    log_event(&log,
              severity == EVENT_LOG_MSG    ? LOG_INFO
              : severity == EVENT_LOG_WARN ? LOG_WARN
                                           : LOG_ERROR,
              "libevent", "text=\"%s\"", text);
}

/* Of base/check.h. Straight to the descriptor, if that takes it now: what says more is too late. */
void last_words(const char *event, const char *what)
{
    struct pollfd p = {.fd = of_process ? of_process->fd : STDERR_FILENO, .events = POLLOUT};
    char line[LOG_TEXT_MAX];
    size_t len;

    if (of_process) {
        if (!fork_guard_is_child())
            logsink_flush(of_process);
        len = line_fmt(of_process, LOG_ERROR, event, line, "reason=\"%s\"", what);
    } else {
        len = (size_t)snprintf(line, sizeof line, "%s\n", what);
    }
    if (len < sizeof line && poll(&p, 1, 0) > 0 && (p.revents & POLLOUT) &&
        write(p.fd, line, len) < 0)
        return;
}

int logsink_open(struct logsink *sink)
{
    static const struct log_writer_ops ops = {.lost = on_lost, .tick = on_tick};
    struct logsink_state *s = calloc(1, sizeof *s);

    CHECK(s);
    s->sink = sink;
    pthread_mutex_init(&s->lock, NULL);
    s->writer = log_writer_new(sink->fd, &ops, s);
    if (!s->writer) {
        pthread_mutex_destroy(&s->lock);
        free(s);
        return KELPIE_E_IO;
    }
    sink->state = s;
    if (!of_process) {
        of_process = sink;
        event_set_log_callback(on_libevent);
    }
    return 0;
}

void logsink_flush(struct logsink *sink)
{
    if (sink->state)
        (void)log_writer_flush(sink->state->writer, LOG_FLUSH_MS);
}

void logsink_close(struct logsink *sink)
{
    struct logsink_state *s = sink->state;

    if (!s)
        return;
    if (of_process == sink)
        of_process = NULL;
    sink->state = NULL;
    /* A writer that hangs in a write still has its state. */
    if (log_writer_free(s->writer, LOG_FLUSH_MS)) {
        pthread_mutex_destroy(&s->lock);
        free(s);
    }
}
