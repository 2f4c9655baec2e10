#include "loop/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"

#define STACK_BYTES (256 * 1024)

struct log_writer {
    int fd;
    const struct log_writer_ops *ops;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* there is work, or the end */
    pthread_cond_t idle; /* nothing waits and nothing is being written */
    bool ending, busy;
    uint64_t lost; /* lines, not told yet */
    bool torn;     /* the last line was not written to its end */
    size_t waiting_len;
    char *waiting, *writing; /* LOG_QUEUE_BYTES each: one is filled while the other is written */
};

static struct timespec after_ms(unsigned ms)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += (long)(ms % 1000) * 1000000;
    ts.tv_sec += (time_t)(ms / 1000) + ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

/* ---- the writer's thread ---- */

/* Someone else may have made the descriptor non-blocking; it is theirs too, and stays as it is. */
static bool write_all(struct log_writer *w, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(w->fd, data, len);

        if (n >= 0) {
            data += n;
            len -= (size_t)n;
            w->torn = len > 0;
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = w->fd, .events = POLLOUT};

            (void)poll(&p, 1, LOG_TICK_MS);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* One write a line, so that lines of several processes on one descriptor do not mix. */
static bool write_line(struct log_writer *w, const char *line, size_t len)
{
    if (w->torn && !write_all(w, "\n", 1))
        return false;
    w->torn = false;
    return write_all(w, line, len);
}

static void write_lines(struct log_writer *w, size_t len)
{
    uint64_t lost = 0, told;
    bool went = false;
    char line[LOG_TEXT_MAX];

    for (size_t at = 0; at < len;) {
        const char *end = memchr(w->writing + at, '\n', len - at);
        size_t n = (size_t)(end - (w->writing + at)) + 1;
        bool ok = write_line(w, w->writing + at, n);

        lost += !ok;
        went = went || ok;
        at += n;
    }
    pthread_mutex_lock(&w->lock);
    w->lost += lost;
    told = went && w->ops->lost ? w->lost : 0;
    pthread_mutex_unlock(&w->lock);
    if (told == 0 || !write_line(w, line, w->ops->lost(w->ctx, told, line)))
        return;
    pthread_mutex_lock(&w->lock);
    w->lost -= told;
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct log_writer *w = arg;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct timespec tick = after_ms(LOG_TICK_MS);
        bool late = false;
        size_t len;
        char *taken;

        while (w->waiting_len == 0 && !w->ending && !late)
            late = pthread_cond_timedwait(&w->wake, &w->lock, &tick) == ETIMEDOUT;
        if (w->waiting_len == 0 && w->ending)
            break;
        taken = w->waiting;
        len = w->waiting_len;
        w->waiting = w->writing;
        w->writing = taken;
        w->waiting_len = 0;
        w->busy = true;
        pthread_mutex_unlock(&w->lock);
        write_lines(w, len);
        if (late && w->ops->tick)
            w->ops->tick(w->ctx);
        pthread_mutex_lock(&w->lock);
        w->busy = false;
        pthread_cond_broadcast(&w->idle);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- everybody else's ---- */

void log_writer_put(struct log_writer *w, const char *line, size_t len)
{
    CHECK(len > 0 && len <= LOG_TEXT_MAX && line[len - 1] == '\n');
    pthread_mutex_lock(&w->lock);
    if (len > LOG_QUEUE_BYTES - w->waiting_len) {
        w->lost++;
    } else {
        memcpy(w->waiting + w->waiting_len, line, len);
        w->waiting_len += len;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
}

bool log_writer_flush(struct log_writer *w, unsigned ms)
{
    struct timespec end = after_ms(ms);
    bool done, late = false;

    pthread_mutex_lock(&w->lock);
    while (!late && (w->waiting_len > 0 || w->busy))
        late = pthread_cond_timedwait(&w->idle, &w->lock, &end) != 0;
    done = w->waiting_len == 0 && !w->busy;
    pthread_mutex_unlock(&w->lock);
    return done;
}

/* Signals are for the thread that has the loop. */
static int start(struct log_writer *w)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int err;

    (void)sigfillset(&all);
    if ((err = pthread_attr_init(&attr)))
        return err;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&w->thread, &attr, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return err;
}

static void destroy(struct log_writer *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->idle);
    free(w->waiting);
    free(w->writing);
    free(w);
}

struct log_writer *log_writer_new(int fd, const struct log_writer_ops *ops, void *ctx)
{
    struct log_writer *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    int err;

    CHECK(w);
    w->fd = fd;
    w->ops = ops;
    w->ctx = ctx;
    w->waiting = malloc(LOG_QUEUE_BYTES);
    w->writing = malloc(LOG_QUEUE_BYTES);
    CHECK(w->waiting && w->writing);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_cond_init(&w->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    err = start(w);
    if (!err)
        return w;
    destroy(w);
    errno = err;
    return NULL;
}

bool log_writer_free(struct log_writer *w, unsigned ms)
{
    bool done;

    if (!w)
        return true;
    done = log_writer_flush(w, ms);
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (!done) {
        pthread_detach(w->thread);
        return false;
    }
    pthread_join(w->thread, NULL);
    destroy(w);
    return true;
}
