/* The loop on the real system: timers in order, work from threads, signals, descriptors, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "loop/logsink.h"
#include "loop/loop.h"

#define TIMERS 200
#define POSTS 1000

struct scene {
    struct loop *loop;
    struct env env;
    struct timer timers[TIMERS];
    struct timer last;
    size_t order[TIMERS];
    size_t fired;
    size_t posts;
    size_t signals;
    int pipe[2];
    char read[8];
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    if (!s)
        return -1;
    s->loop = loop_new();
    assert_non_null(s->loop);
    loop_fill_env(s->loop, &s->env);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    loop_free(s->loop);
    free(s);
    return 0;
}

static void stop(void *arg)
{
    loop_stop(((struct scene *)arg)->loop);
}

static struct scene *ordered_scene;

static void on_ordered(void *arg)
{
    struct scene *s = ordered_scene;
    struct timer *t = arg;

    assert_false(t->armed);
    assert_true(clock_now_ns(s->env.clock) >= t->due_ns);
    s->order[s->fired++] = (size_t)(t - s->timers);
}

/* Started in a scrambled order, some stopped, some moved: they fire by due time, and those due at
 * one time in the order of starting. */
static void timers_fire_in_order(void **state)
{
    struct scene *s = *state;
    size_t expected = 0;

    ordered_scene = s;
    for (size_t i = 0; i < TIMERS; i++)
        timer_init(&s->timers[i], s->env.timers, "t", on_ordered, &s->timers[i]);
    for (size_t i = 0; i < TIMERS; i++) {
        size_t k = i * 77 % TIMERS;

        timer_start(&s->timers[k], NS_PER_S + k * NS_PER_MS / 4);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        if (i % 3 == 0)
            timer_stop(&s->timers[i]);
        else
            timer_start(&s->timers[i], i * NS_PER_MS / 4);
    }
    timer_init(&s->last, s->env.timers, "last", stop, s);
    timer_start(&s->last, 100 * NS_PER_MS);
    loop_run(s->loop);
    for (size_t i = 0; i < TIMERS; i++) {
        if (i % 3)
            assert_int_equal(s->order[expected++], i);
    }
    assert_int_equal(s->fired, expected);
}

static void on_again(void *arg)
{
    struct scene *s = arg;

    s->fired++;
    timer_start(&s->timers[0], 0);
}

/* A timer of no delay that starts itself anew, without end, starves neither sockets nor other
 * timers; and it never runs inside the start. */
static void a_busy_timer_starves_nobody(void **state)
{
    struct scene *s = *state;

    timer_init(&s->timers[0], s->env.timers, "again", on_again, s);
    timer_init(&s->last, s->env.timers, "last", stop, s);
    timer_start(&s->timers[0], 0);
    assert_int_equal(s->fired, 0);
    timer_start(&s->last, 20 * NS_PER_MS);
    loop_run(s->loop);
    assert_true(s->fired > 10);
    timer_stop(&s->timers[0]);
}

static void timers_are_precise(void **state)
{
    struct scene *s = *state;
    uint64_t best = UINT64_MAX;

    timer_init(&s->last, s->env.timers, "last", stop, s);
    for (int i = 0; i < 20; i++) {
        uint64_t start = clock_now_ns(s->env.clock);
        uint64_t late;

        timer_start(&s->last, 2 * NS_PER_MS);
        loop_run(s->loop);
        late = clock_now_ns(s->env.clock) - start - 2 * NS_PER_MS;
        assert_true(late < NS_PER_S);
        best = late < best ? late : best;
    }
    assert_true(best < NS_PER_MS);
}

static void on_post(void *arg)
{
    struct scene *s = arg;

    if (++s->posts == 2 * POSTS)
        loop_stop(s->loop);
}

static void *post_many(void *arg)
{
    struct scene *s = arg;

    for (int i = 0; i < POSTS; i++)
        loop_post(s->loop, on_post, s);
    return NULL;
}

static void threads_post_work(void **state)
{
    struct scene *s = *state;
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, s), 0);
    loop_run(s->loop);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(s->posts, 2 * POSTS);
}

/* What was posted and never ran is freed with the loop. */
static void posts_are_dropped_at_the_end(void **state)
{
    struct scene *s = *state;

    loop_post(s->loop, on_post, s);
    assert_int_equal(s->posts, 0);
}

static void on_signal(void *arg)
{
    struct scene *s = arg;

    if (++s->signals == 2)
        loop_stop(s->loop);
    else
        assert_int_equal(raise(SIGUSR1), 0);
}

static void signals_run_on_the_loop(void **state)
{
    struct scene *s = *state;

    assert_int_equal(loop_on_signal(s->loop, SIGUSR1, on_signal, s), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(s->signals, 0);
    loop_run(s->loop);
    assert_int_equal(s->signals, 2);
}

static void on_pipe(void *arg)
{
    struct scene *s = arg;

    assert_int_equal(read(s->pipe[0], s->read, sizeof s->read), 2);
    assert_int_equal(loop_on_readable(s->loop, s->pipe[0], NULL, NULL), 0);
    loop_stop(s->loop);
}

static void descriptors_are_watched(void **state)
{
    struct scene *s = *state;

    assert_int_equal(pipe(s->pipe), 0);
    assert_int_equal(loop_on_readable(s->loop, s->pipe[0], on_pipe, s), 0);
    assert_int_equal(write(s->pipe[1], "hi", 2), 2);
    loop_run(s->loop);
    assert_string_equal(s->read, "hi");
    assert_int_equal(write(s->pipe[1], "no", 2), 2);
    timer_init(&s->last, s->env.timers, "last", stop, s);
    timer_start(&s->last, NS_PER_MS);
    loop_run(s->loop);
    (void)close(s->pipe[0]);
    (void)close(s->pipe[1]);
}

#define BUSY 40
#define BUSY_NS (3 * NS_PER_MS)

static void spend(struct scene *s)
{
    uint64_t end = clock_now_ns(s->env.clock) + BUSY_NS;

    while (clock_now_ns(s->env.clock) < end)
        ;
    if (++s->fired == BUSY)
        loop_stop(s->loop);
}

static void on_busy(void *arg)
{
    spend(arg);
}

static void on_urgent(void *arg)
{
    struct scene *s = arg;

    s->order[0] = s->fired;
}

/* BUSY timers are due at once, each of which takes its time. What is urgent does not wait for more of
 * them than had begun when it was due, and one turn. */
static void urgent_timers_come_first(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < BUSY; i++) {
        timer_init(&s->timers[i], s->env.timers, "busy", on_busy, s);
        timer_start(&s->timers[i], 0);
    }
    timer_init(&s->last, s->env.timers, "urgent", on_urgent, s);
    timer_urgent(&s->last);
    timer_start(&s->last, 3 * BUSY_NS);
    loop_run(s->loop);
    assert_int_equal(s->fired, BUSY);
    assert_in_range(s->order[0], 1, 3 + 2);
}

static void on_busy_asks(void *arg)
{
    struct scene *s = arg;

    spend(s);
    assert_int_equal(write(s->pipe[1], "a", 1), 1);
}

static void on_told(void *arg)
{
    struct scene *s = arg;
    size_t n = s->fired > BUSY - 1 ? BUSY - 1 : s->fired;

    assert_true(read(s->pipe[0], s->read, sizeof s->read) > 0);
    s->order[s->posts++] = n;
}

/* What the store says is read within a turn, however many timers are due. */
static void descriptors_come_before_timers(void **state)
{
    struct scene *s = *state;

    assert_int_equal(pipe(s->pipe), 0);
    for (size_t i = 0; i < BUSY; i++) {
        timer_init(&s->timers[i], s->env.timers, "busy", on_busy_asks, s);
        timer_start(&s->timers[i], 0);
    }
    assert_int_equal(loop_on_readable(s->loop, s->pipe[0], on_told, s), 0);
    loop_run(s->loop);
    assert_in_range(s->posts, BUSY / 3, BUSY);
    for (size_t i = 1; i < s->posts; i++)
        assert_in_range(s->order[i] - s->order[i - 1], 1, 3);
    assert_int_equal(loop_on_readable(s->loop, s->pipe[0], NULL, NULL), 0);
    (void)close(s->pipe[0]);
    (void)close(s->pipe[1]);
}

/* What was posted takes turns too: a timer is not kept waiting by all of it. */
static void posts_take_turns(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < BUSY; i++)
        loop_post(s->loop, on_busy, s);
    timer_init(&s->last, s->env.timers, "urgent", on_urgent, s);
    timer_urgent(&s->last);
    timer_start(&s->last, 0);
    loop_run(s->loop);
    assert_int_equal(s->fired, BUSY);
    assert_in_range(s->order[0], 0, 1);
}

static void random_numbers_differ(void **state)
{
    struct scene *s = *state;
    struct uuid a = random_uuid(s->env.random), b = random_uuid(s->env.random);

    assert_false(uuid_equal(a, b));
    assert_int_equal(a.b[6] >> 4, 4);
    for (int i = 0; i < 100; i++)
        assert_true(random_below(s->env.random, 10) < 10);
}

/* Writes one event through a sink and reads back what came out, without the time. */
static void log_line(struct logsink *sink, const char *fields, char *out, size_t size)
{
    int fds[2];
    struct log log = logsink_log(sink, LOG_INFO);
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    sink->fd = fds[1];
    assert_int_equal(logsink_open(sink), 0);
    log_debug(&log, "too_low", "x=1");
    log_warn(&log, "something_happened", "%s", fields);
    logsink_close(sink);
    n = read(fds[0], out, size - 1);
    assert_true(n > 0);
    out[n] = '\0';
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void the_log_writes_text(void **state)
{
    struct logsink sink = {.node_id = "n1"};
    char line[4096];

    (void)state;
    log_line(&sink, "a=1 b=\"x y\"", line, sizeof line);
    assert_int_equal(line[10], 'T');
    assert_string_equal(line + 24, " level=warn node=n1 event=something_happened a=1 b=\"x y\"\n");
}

static void the_log_writes_json(void **state)
{
    struct logsink sink = {.node_id = "n \"1\"", .json = true};
    char line[4096];

    (void)state;
    log_line(&sink, "a=1 b=\"x \\\"y\\\" \\x0a\" c=word d=-1.5 e=007 f=true g", line, sizeof line);
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_string_equal(
        line + 33,
        "\",\"level\":\"warn\",\"node\":\"n \\\"1\\\"\",\"event\":\"something_happened\","
        "\"a\":1,\"b\":\"x \\\"y\\\" \\u000a\",\"c\":\"word\",\"d\":-1.5,\"e\":\"007\","
        "\"f\":true,\"g\":true}\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(timers_fire_in_order),
        T(a_busy_timer_starves_nobody),
        T(timers_are_precise),
        T(threads_post_work),
        T(posts_are_dropped_at_the_end),
        T(signals_run_on_the_loop),
        T(descriptors_are_watched),
        T(urgent_timers_come_first),
        T(descriptors_come_before_timers),
        T(posts_take_turns),
        T(random_numbers_differ),
        cmocka_unit_test(the_log_writes_text),
        cmocka_unit_test(the_log_writes_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
