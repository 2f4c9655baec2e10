/* What strangers on the peers' port can take from members: nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <event2/event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/net_scene.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

#define ROOM 8

static void whose_frames_are_refused_is_closed(void **state)
{
    struct scene *s = *state;
    int fd = stranger(s), other = stranger(s);

    for (int i = 0; i < 2 * NET_TCP_REFUSED_MAX; i++)
        say(s, fd, "rubbish");
    /* One that may be right in between, and the count begins anew. */
    for (int i = 0; i < 2 * NET_TCP_REFUSED_MAX; i++)
        say(s, other, i % 4 ? "rubbish" : "hello");
    run_for(s, 20 * NS_PER_MS);
    assert_true(is_closed(fd));
    assert_false(is_closed(other));
    assert_int_equal(s->ends[1].frames, 3 * NET_TCP_REFUSED_MAX);
    assert_int_equal(net_counts(s->ends[1].net).closed_refused, 1);
    (void)close(fd);
    (void)close(other);
}

/* However many strangers come, who has shown that it is a member stays, and who comes is heard. */
static void strangers_keep_no_member_from_its_place(void **state)
{
    struct scene *s = *state;
    int silent[ROOM], talks, member, newcomer;

    net_tcp_limit(s->ends[1].tcp, ROOM, ROOM);
    member = stranger(s);
    say(s, member, "member");
    talks = stranger(s);
    say(s, talks, "hello");
    for (int i = 0; i < ROOM; i++)
        silent[i] = stranger(s);
    assert_int_equal(net_counts(s->ends[1].net).incoming, ROOM);
    assert_int_equal(net_counts(s->ends[1].net).closed_full, 2);
    assert_false(is_closed(member));
    assert_false(is_closed(talks));
    assert_true(is_closed(silent[0]));
    assert_true(is_closed(silent[1]));
    assert_false(is_closed(silent[2]));

    newcomer = stranger(s);
    say(s, newcomer, "member");
    run_for(s, 5 * NS_PER_MS);
    assert_int_equal(net_counts(s->ends[1].net).members, 2);
    /* Strangers that talk take the place of those that do not, and never a member's. */
    for (int i = 0; i < ROOM; i++) {
        (void)close(silent[i]);
        silent[i] = stranger(s);
        say(s, silent[i], "hello");
    }
    run_for(s, 5 * NS_PER_MS);
    assert_int_equal(net_counts(s->ends[1].net).members, 2);
    assert_false(is_closed(member));
    assert_false(is_closed(newcomer));
    for (int i = 0; i < ROOM; i++)
        (void)close(silent[i]);
    (void)close(member);
    (void)close(talks);
    (void)close(newcomer);
}

/* Answers that a stranger does not read do not pile up: one, and a little. */
static void a_strangers_answers_are_bounded(void **state)
{
    struct scene *s = *state;
    uint8_t *payload = calloc(1, NET_PAYLOAD_MAX);
    int fd = stranger(s), error = 0;
    size_t sent = 0;

    assert_non_null(payload);
    say(s, fd, "hello");
    run_until(s, one_got_one);
    for (; sent < 100 && !error; sent++)
        error = net_answer(s->ends[1].net, s->ends[1].conn, bytes_of(payload, 100000), &s->scratch);
    assert_int_equal(error, KELPIE_E_LIMIT);
    assert_int_equal(sent, NET_TCP_STRANGER_QUEUE_MAX / 100000 + 1);
    assert_int_equal(net_counts(s->ends[1].net).answers_dropped, 1);
    (void)close(fd);
    free(payload);
}

static bool one_got_many(struct scene *s)
{
    return s->ends[1].frames >= 100;
}

/* Four strangers that send without end get a tenth of the time, and a member is not behind them. */
static void strangers_frames_are_dealt_with_in_their_time(void **state)
{
    struct scene *s = *state;
    int fds[4];
    struct buf many;
    uint64_t begin_ns, windows;

    buf_init(&many, loop_mem());
    for (int i = 0; i < 500; i++)
        net_frame_make(&many, bytes_of_str("hello"));
    for (int i = 0; i < 4; i++) {
        fds[i] = stranger(s);
        assert_int_equal(tcp_write(fds[i], many.data, many.len), many.len);
    }
    s->ends[1].burn_ns = NET_TCP_STRANGERS_NS;
    s->ends[1].frames = 0;
    begin_ns = clock_now_ns(loop_clock(s->loop));
    run_for(s, 20 * NET_TCP_STRANGERS_WINDOW_NS);
    windows = (clock_now_ns(loop_clock(s->loop)) - begin_ns) / NET_TCP_STRANGERS_WINDOW_NS;
    assert_in_range(s->ends[1].frames, 1, windows + 1);
    say(s, fds[3], "member");
    s->ends[1].burn_ns = 0;
    run_until(s, one_got_many);
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
    buf_deinit(&many);
}

static bool one_got_two(struct scene *s)
{
    return s->ends[1].frames == 2;
}

static bool one_got_a_member(struct scene *s)
{
    return net_counts(s->ends[1].net).members > 0;
}

static void a_member_is_not_behind_strangers(void **state)
{
    struct scene *s = *state;
    int flood = stranger(s), member;
    size_t frames;
    struct buf many;

    buf_init(&many, loop_mem());
    for (int i = 0; i < 500; i++)
        net_frame_make(&many, bytes_of_str("hello"));
    s->ends[1].burn_ns = NET_TCP_STRANGERS_NS;
    assert_int_equal(tcp_write(flood, many.data, many.len), many.len);
    member = stranger(s);
    say(s, member, "member");
    run_until(s, one_got_a_member);
    frames = s->ends[1].frames;
    assert_in_range(frames, 1, 100);
    for (int i = 0; i < 5; i++)
        say(s, member, "member");
    run_for(s, 20 * NS_PER_MS);
    assert_true(s->ends[1].frames >= frames + 5);
    (void)close(flood);
    (void)close(member);
    buf_deinit(&many);
}

#define BUSY 200                /* events that are always active */
#define BUSY_NS (5 * NS_PER_MS) /* for so long each: a round takes a second */

struct busy {
    struct scene *s;
    struct event *event;
    unsigned *runs;
};

static void on_busy(evutil_socket_t fd, short what, void *arg)
{
    struct busy *b = arg;
    struct clock clock = loop_clock(b->s->loop);
    uint64_t end_ns = clock_now_ns(clock) + BUSY_NS;

    (void)fd;
    (void)what;
    while (clock_now_ns(clock) < end_ns)
        continue;
    ++*b->runs;
    event_active(b->event, EV_TIMEOUT, 0);
}

/* With hundreds of other events before it, a member's ping is read within a look or two. */
static void a_member_is_heard_before_the_rest(void **state)
{
    struct scene *s = *state;
    static struct busy busy[BUSY];
    unsigned runs = 0;
    int member = stranger(s);

    say(s, member, "member");
    run_until_seen(s, one_got_a_member);
    for (size_t i = 0; i < BUSY; i++) {
        busy[i] = (struct busy){.s = s, .runs = &runs};
        busy[i].event = event_new(loop_base(s->loop), -1, EV_TIMEOUT, on_busy, &busy[i]);
        assert_non_null(busy[i].event);
        event_active(busy[i].event, EV_TIMEOUT, 0);
    }
    say(s, member, "member");
    run_until(s, one_got_two);
    for (size_t i = 0; i < BUSY; i++)
        event_free(busy[i].event);
    assert_true(runs < BUSY / 2);
    (void)close(member);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, net_scene_setup, net_scene_teardown)
    const struct CMUnitTest tests[] = {
        T(whose_frames_are_refused_is_closed), T(strangers_keep_no_member_from_its_place),
        T(a_strangers_answers_are_bounded),    T(strangers_frames_are_dealt_with_in_their_time),
        T(a_member_is_not_behind_strangers),   T(a_member_is_heard_before_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
