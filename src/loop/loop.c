#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "env/slice.h"
#include "kelpie/error.h"
#include "loop/fork_guard.h"
#include "loop/timer_heap.h"

/* Of events, as libevent counts them: the least comes first. What has no other has PRIORITY_REST. */
enum { PRIORITY_URGENT, PRIORITY_REST, PRIORITY_COUNT };

#define POSTS_SLICE_NS (2 * NS_PER_MS)

/* A signal or descriptor that is waited for. */
struct watch {
    struct list link;
    struct loop *loop;
    struct event *event;
    int fd; /* -1: a signal */
    void (*fn)(void *arg);
    void *arg;
};

struct post {
    struct list link;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct timer_heap timers;
    struct timer_heap urgent_timers;
    struct rng rng;
    struct list watches;
    size_t watch_count;
    bool stopped;
    pthread_t thread;

    /* Work from other threads. */
    pthread_mutex_t post_lock;
    pthread_cond_t post_room;
    struct list posts;
    size_t post_count;
    int post_fd;
    struct event *post_event;
};

_Noreturn static void out_of_memory(size_t size)
{
    char text[64];

    (void)snprintf(text, sizeof text, "out of memory (%zu bytes asked for)", size);
    last_words("out_of_memory", text);
    abort();
}

static void *heap_alloc(void *ctx, size_t size)
{
    void *p = malloc(size);

    (void)ctx;
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

static void *heap_resize(void *ctx, void *ptr, size_t size)
{
    void *p = realloc(ptr, size);

    (void)ctx;
    if (!p) {
        out_of_memory(size);
    }
    return p;
}

static void heap_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

struct mem loop_mem(void)
{
    static const struct mem_ops ops = {
        .alloc = heap_alloc, .resize = heap_resize, .release = heap_release};

    return (struct mem){.ops = &ops};
}

static uint64_t now_ns(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    fork_guard_check();
    CHECK(clock_gettime(CLOCK_BOOTTIME, &ts) == 0);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t wall_ms(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

struct clock loop_clock(struct loop *loop)
{
    static const struct clock_ops ops = {.now_ns = now_ns, .wall_ms = wall_ms};

    return (struct clock){.ops = &ops, .ctx = loop};
}

static uint64_t random_next(void *ctx)
{
    return rng_u64(&((struct loop *)ctx)->rng);
}

struct timers loop_timers(struct loop *loop)
{
    return timer_heap_timers(&loop->timers);
}

void loop_fill_env(struct loop *loop, struct env *env)
{
    static const struct random_ops random_ops = {.u64 = random_next};

    env->clock = loop_clock(loop);
    env->timers = loop_timers(loop);
    env->random = (struct random){.ops = &random_ops, .ctx = loop};
    env->mem = loop_mem();
}

/* 128 bits from the system: boot ids and cluster ids are as unlikely to collide as those are. */
static bool seed(struct loop *loop)
{
    uint64_t words[2];
    ssize_t n;

    do {
        n = getrandom(words, sizeof words, 0);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof words)
        return false;
    rng_seed(&loop->rng, words[0], words[1]);
    return true;
}

static bool take_post(struct loop *loop, struct post *out)
{
    struct list *item;

    pthread_mutex_lock(&loop->post_lock);
    item = list_pop(&loop->posts);
    if (item && loop->post_count-- == LOOP_POSTS_MAX)
        pthread_cond_broadcast(&loop->post_room);
    pthread_mutex_unlock(&loop->post_lock);
    if (!item)
        return false;
    *out = *LIST_ENTRY(item, struct post, link);
    mem_free(loop_mem(), LIST_ENTRY(item, struct post, link));
    return true;
}

/* Runs what was posted until now, as far as the slice goes; the rest, and what that posts, comes in
 * the next turn. */
static void on_posts(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct slice slice = slice_begin(loop_clock(loop), POSTS_SLICE_NS);
    struct post post;
    uint64_t count, one = 1;
    size_t left;

    (void)what;
    if (read(fd, &count, sizeof count) < 0)
        CHECK(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&loop->post_lock);
    left = loop->post_count;
    pthread_mutex_unlock(&loop->post_lock);
    for (; left > 0 && take_post(loop, &post); left--) {
        post.fn(post.arg);
        if (slice_over(&slice))
            break;
    }
    if (left > 1 && write(fd, &one, sizeof one) < 0)
        CHECK(errno == EAGAIN); /* the counter is full: it is readable anyway */
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct post *post = MEM_NEW(loop_mem(), struct post);
    uint64_t one = 1;

    post->fn = fn;
    post->arg = arg;
    pthread_mutex_lock(&loop->post_lock);
    while (loop->post_count >= LOOP_POSTS_MAX) {
        CHECK(!pthread_equal(pthread_self(), loop->thread));
        pthread_cond_wait(&loop->post_room, &loop->post_lock);
    }
    list_append(&loop->posts, &post->link);
    loop->post_count++;
    pthread_mutex_unlock(&loop->post_lock);
    if (write(loop->post_fd, &one, sizeof one) < 0)
        CHECK(errno == EAGAIN); /* the counter is full: the loop is awake anyway */
}

static bool open_posts(struct loop *loop)
{
    pthread_mutex_init(&loop->post_lock, NULL);
    pthread_cond_init(&loop->post_room, NULL);
    loop->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->post_fd < 0)
        return false;
    loop->post_event = event_new(loop->base, loop->post_fd, EV_READ | EV_PERSIST, on_posts, loop);
    return loop->post_event && event_priority_set(loop->post_event, PRIORITY_URGENT) == 0 &&
           event_add(loop->post_event, NULL) == 0;
}

/* The turns of loop.h. libevent begins a new turn when what is urgent has run, or when the time for the
 * rest is over; what is active then stays so, in its order.
 * What a turn changes in what is waited for goes to the system once, at its end: much of it is undone
 * within the turn. (It does not go with descriptors that are duplicates of others; none is here.) */
static struct event_base *open_base(void)
{
    const struct timeval turn = {.tv_usec = LOOP_TURN_NS / 1000};
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0 &&
        event_config_set_max_dispatch_interval(config, &turn, -1, PRIORITY_REST) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (base && event_base_priority_init(base, PRIORITY_COUNT)) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

static bool open_timers(struct loop *loop)
{
    struct mem mem = loop_mem();
    struct clock clock = loop_clock(loop);

    if (timer_heap_init(&loop->timers, loop->base, PRIORITY_REST, mem, clock) ||
        timer_heap_init(&loop->urgent_timers, loop->base, PRIORITY_URGENT, mem, clock))
        return false;
    loop->timers.urgent = &loop->urgent_timers;
    return true;
}

struct loop *loop_new(void)
{
    struct loop *loop = MEM_NEW(loop_mem(), struct loop);
    int error;

    list_init(&loop->watches);
    list_init(&loop->posts);
    loop->post_fd = -1;
    loop->thread = pthread_self();
    (void)signal(SIGPIPE, SIG_IGN);
    loop->base = open_base();
    if (loop->base && seed(loop) && open_timers(loop) && open_posts(loop))
        return loop;
    error = errno;
    loop_free(loop);
    errno = error ? error : ENOMEM;
    return NULL;
}

static void watch_free(struct watch *w)
{
    list_remove(&w->link);
    w->loop->watch_count--;
    event_free(w->event);
    mem_free(loop_mem(), w);
}

void loop_free(struct loop *loop)
{
    struct list *item;

    if (!loop)
        return;
    LIST_FOREACH_SAFE(it, next, &loop->watches)
    watch_free(LIST_ENTRY(it, struct watch, link));
    while ((item = list_pop(&loop->posts)))
        mem_free(loop_mem(), LIST_ENTRY(item, struct post, link));
    if (loop->post_event)
        event_free(loop->post_event);
    if (loop->post_fd >= 0)
        (void)close(loop->post_fd);
    timer_heap_deinit(&loop->timers);
    timer_heap_deinit(&loop->urgent_timers);
    if (loop->base)
        event_base_free(loop->base);
    pthread_mutex_destroy(&loop->post_lock);
    pthread_cond_destroy(&loop->post_room);
    mem_free(loop_mem(), loop);
}

void loop_run(struct loop *loop)
{
    loop->thread = pthread_self();
    while (!loop->stopped)
        CHECK(event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) == 0);
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    (void)event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    struct watch *w = arg;

    (void)fd;
    (void)what;
    w->fn(w->arg);
}

static int watch_add(struct loop *loop, int number, short what, void (*fn)(void *arg), void *arg)
{
    struct watch *w;

    if (loop->watch_count >= LOOP_WATCHES_MAX)
        return KELPIE_E_LIMIT;
    w = MEM_NEW(loop_mem(), struct watch);
    w->loop = loop;
    w->fd = what & EV_SIGNAL ? -1 : number;
    w->fn = fn;
    w->arg = arg;
    w->event = event_new(loop->base, number, (short)(what | EV_PERSIST), on_watch, w);
    if (!w->event || event_priority_set(w->event, PRIORITY_URGENT) || event_add(w->event, NULL)) {
        if (w->event)
            event_free(w->event);
        mem_free(loop_mem(), w);
        return KELPIE_E_IO;
    }
    list_append(&loop->watches, &w->link);
    loop->watch_count++;
    return 0;
}

int loop_on_signal(struct loop *loop, int signum, void (*fn)(void *arg), void *arg)
{
    CHECK(fn);
    return watch_add(loop, signum, EV_SIGNAL, fn, arg);
}

int loop_on_readable(struct loop *loop, int fd, void (*fn)(void *arg), void *arg)
{
    CHECK(fd >= 0);
    LIST_FOREACH_SAFE(it, next, &loop->watches)
    {
        struct watch *w = LIST_ENTRY(it, struct watch, link);

        if (w->fd == fd)
            watch_free(w);
    }
    return fn ? watch_add(loop, fd, EV_READ, fn, arg) : 0;
}
