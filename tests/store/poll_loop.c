#include "store/poll_loop.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/heap_mem.h"

static uint64_t loop_now(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t poll_loop_now_ms(void)
{
    return loop_now(NULL) / NS_PER_MS;
}

static void loop_timer_stop(void *ctx, struct timer *t)
{
    struct poll_loop *loop = ctx;
    if (!t->armed)
        return;
    t->armed = false;
    loop->due[t->heap_index] = loop->due[--loop->count];
    loop->due[t->heap_index]->heap_index = t->heap_index;
}

static void loop_timer_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct poll_loop *loop = ctx;
    loop_timer_stop(ctx, t);
    CHECK(loop->count < ARRAY_LEN(loop->due));
    t->due_ns = loop_now(NULL) + delay_ns;
    t->seq = loop->seq++;
    t->heap_index = loop->count;
    t->armed = true;
    loop->due[loop->count++] = t;
}

static uint64_t loop_random(void *ctx)
{
    struct poll_loop *loop = ctx;
    return rng_u64(&loop->rng);
}

static void loop_log(void *ctx, enum log_level level, const char *event, const char *fields)
{
    (void)ctx;
    (void)level;
    if (getenv("STORE_TEST_LOG"))
        fprintf(stderr, "%llu %s %s\n", (unsigned long long)poll_loop_now_ms(), event, fields);
}

void poll_loop_init(struct poll_loop *loop, struct env *env, uint64_t seed)
{
    static const struct timer_ops timer_ops = {loop_timer_start, loop_timer_stop};
    static const struct clock_ops clock_ops = {loop_now, loop_now};
    static const struct random_ops random_ops = {loop_random};
    static const struct log_ops log_ops = {loop_log};
    memset(loop, 0, sizeof(*loop));
    memset(env, 0, sizeof(*env));
    rng_seed(&loop->rng, seed, 0);
    env->mem = test_mem();
    env->clock = (struct clock){.ops = &clock_ops};
    env->timers = (struct timers){.ops = &timer_ops, .ctx = loop};
    env->random = (struct random){.ops = &random_ops, .ctx = loop};
    env->log = (struct log){.ops = &log_ops};
    env_init(env);
}

void poll_loop_add(struct poll_loop *loop, int fd, void (*fn)(void *arg), void *arg)
{
    if (fd < 0)
        return;
    CHECK(loop->fds < ARRAY_LEN(loop->fd));
    loop->fd[loop->fds] = fd;
    loop->fn[loop->fds] = fn;
    loop->arg[loop->fds++] = arg;
}

void poll_loop_remove(struct poll_loop *loop, int fd)
{
    for (size_t i = 0; i < loop->fds; i++) {
        if (loop->fd[i] != fd)
            continue;
        loop->fds--;
        loop->fd[i] = loop->fd[loop->fds];
        loop->fn[i] = loop->fn[loop->fds];
        loop->arg[i] = loop->arg[loop->fds];
    }
}

/* The timer that is due first, or NULL. */
static struct timer *loop_first(struct poll_loop *loop)
{
    struct timer *first = NULL;
    for (size_t i = 0; i < loop->count; i++) {
        struct timer *t = loop->due[i];
        if (!first || t->due_ns < first->due_ns ||
            (t->due_ns == first->due_ns && t->seq < first->seq))
            first = t;
    }
    return first;
}

void poll_loop_once(struct poll_loop *loop, int timeout_ms)
{
    struct pollfd p[ARRAY_LEN(loop->fd)];
    size_t n = loop->fds;
    for (size_t i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = loop->fd[i], .events = POLLIN};
    struct timer *t = loop_first(loop);
    uint64_t now = loop_now(NULL);
    int wait = timeout_ms;
    if (t && t->due_ns <= now)
        wait = 0;
    else if (t && (int)((t->due_ns - now) / NS_PER_MS) < wait)
        wait = (int)((t->due_ns - now) / NS_PER_MS) + 1;
    int ready = poll(p, n, wait);
    for (size_t i = 0; ready > 0 && i < n; i++)
        if (p[i].revents && i < loop->fds && loop->fd[i] == p[i].fd)
            loop->fn[i](loop->arg[i]);
    uint64_t until = loop_now(NULL), seq = loop->seq;
    while ((t = loop_first(loop)) && t->due_ns <= until && t->seq < seq) {
        loop_timer_stop(loop, t);
        t->fn(t->arg);
    }
}

bool poll_loop_until(struct poll_loop *loop, const bool *flag, int timeout_ms)
{
    uint64_t end = poll_loop_now_ms() + (uint64_t)timeout_ms;
    while (!*flag && poll_loop_now_ms() < end)
        poll_loop_once(loop, 50);
    return *flag;
}
