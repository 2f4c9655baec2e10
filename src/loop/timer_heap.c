#include "loop/timer_heap.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "env/slice.h"
#include "kelpie/error.h"

#define NOT_SET UINT64_MAX

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

static void place(struct timer_heap *h, struct timer *t, size_t i)
{
    h->items[i] = t;
    t->heap_index = i;
}

static void sift_up(struct timer_heap *h, struct timer *t, size_t i)
{
    while (i > 0 && is_before(t, h->items[(i - 1) / 2])) {
        place(h, h->items[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(h, t, i);
}

static void sift_down(struct timer_heap *h, struct timer *t, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count && is_before(h->items[child + 1], h->items[child]))
            child++;
        if (!is_before(h->items[child], t))
            break;
        place(h, h->items[child], i);
        i = child;
    }
    place(h, t, i);
}

static void heap_insert(struct timer_heap *h, struct timer *t)
{
    if (h->count == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 64;
        h->items = mem_resize(h->mem, h->items, h->cap * sizeof(struct timer *));
    }
    h->count++;
    sift_up(h, t, h->count - 1);
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
    size_t i = t->heap_index;
    struct timer *last;

    CHECK(i < h->count && h->items[i] == t);
    last = h->items[--h->count];
    if (last == t)
        return;
    if (i > 0 && is_before(last, h->items[(i - 1) / 2]))
        sift_up(h, last, i);
    else
        sift_down(h, last, i);
}

static void set_fd(struct timer_heap *h, uint64_t due_ns)
{
    struct itimerspec spec = {
        .it_value = {.tv_sec = (time_t)(due_ns / NS_PER_S), .tv_nsec = (long)(due_ns % NS_PER_S)}};

    h->fd_due_ns = due_ns;
    CHECK(timerfd_settime(h->fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
}

/* Sees to it that the descriptor fires no later than the first timer is due. It may fire earlier,
 * for a timer that was stopped since: cheaper than setting it at each stop. */
static void wake_in_time(struct timer_heap *h)
{
    if (h->count && !h->running && h->items[0]->due_ns < h->fd_due_ns)
        set_fd(h, h->items[0]->due_ns);
}

/* Runs what is due as far as the slice goes, but not what was started meanwhile: sockets get their
 * turn in between. */
static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct timer_heap *h = arg;
    uint64_t now = clock_now_ns(h->clock);
    struct slice slice = slice_begin(h->clock, TIMER_SLICE_NS);
    uint64_t seq_end = h->seq;
    uint64_t expirations;

    (void)what;
    if (read(fd, &expirations, sizeof expirations) > 0)
        h->fd_due_ns = NOT_SET;
    else
        CHECK(errno == EAGAIN || errno == EINTR); /* wake_in_turn, or set anew since */
    h->running = true;
    while (h->count && h->items[0]->due_ns <= now && h->items[0]->seq < seq_end) {
        struct timer *t = h->items[0];

        heap_remove(h, t);
        t->armed = false;
        t->fn(t->arg);
        if (slice_over(&slice))
            break;
    }
    h->running = false;
    if (h->urgent && h->count && h->items[0]->due_ns <= clock_now_ns(h->clock))
        event_active(h->event, EV_READ, 0); /* behind what waits already; the turn's end stops it */
    else
        wake_in_time(h);
}

/* For a timer that is due at once: this turn of the loop still runs it, and no system call is needed.
 * One that was started by a timer waits for the next turn, so that sockets are never kept waiting. */
static void wake_in_turn(struct timer_heap *h)
{
    if (!h->running)
        event_active(h->event, EV_READ, 0);
}

static struct timer_heap *heap_of(struct timer_heap *h, const struct timer *t)
{
    return t->urgent && h->urgent ? h->urgent : h;
}

static void heap_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct timer_heap *h = heap_of(ctx, t);
    uint64_t now = clock_now_ns(h->clock);

    if (t->armed)
        heap_remove(h, t);
    /* A century is as good as never, and keeps the system's time types from overflowing. */
    if (delay_ns > 100ull * 366 * 24 * 3600 * NS_PER_S)
        delay_ns = 100ull * 366 * 24 * 3600 * NS_PER_S;
    t->due_ns = now + delay_ns;
    t->seq = h->seq++;
    heap_insert(h, t);
    if (delay_ns == 0)
        wake_in_turn(h);
    else
        wake_in_time(h);
}

static void heap_stop(void *ctx, struct timer *t)
{
    heap_remove(heap_of(ctx, t), t);
}

struct timers timer_heap_timers(struct timer_heap *h)
{
    static const struct timer_ops ops = {.start = heap_start, .stop = heap_stop};

    return (struct timers){.ops = &ops, .ctx = h};
}

int timer_heap_init(struct timer_heap *h, struct event_base *base, int priority, struct mem mem,
                    struct clock clock)
{
    *h = (struct timer_heap){.mem = mem, .clock = clock, .fd_due_ns = NOT_SET};
    h->fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (h->fd < 0)
        return KELPIE_E_IO;
    h->event = event_new(base, h->fd, EV_READ | EV_PERSIST, on_due, h);
    if (h->event && event_priority_set(h->event, priority) == 0 && event_add(h->event, NULL) == 0)
        return 0;
    return KELPIE_E_IO;
}

void timer_heap_deinit(struct timer_heap *h)
{
    if (!h->mem.ops)
        return;
    CHECK(h->count == 0);
    if (h->event)
        event_free(h->event);
    if (h->fd >= 0)
        (void)close(h->fd);
    mem_free(h->mem, h->items);
    *h = (struct timer_heap){0};
}
