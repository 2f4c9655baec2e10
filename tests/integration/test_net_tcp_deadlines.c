/*
 * The deadlines of the peers' port, by a clock that the test sets, and the bounds on bytes over all
 * connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "integration/net_scene.h"
#include "kelpie/error.h"
#include "loop/net_tcp_conn.h"
#include "loop/tcp_socket.h"

#define HALF 100 /* bytes of a frame, of which so many come */

struct ahead {
    struct clock real;
    uint64_t by_ns;
};

static uint64_t ahead_now(void *ctx)
{
    const struct ahead *a = ctx;
    return clock_now_ns(a->real) + a->by_ns;
}

static const struct clock_ops ahead_ops = {.now_ns = ahead_now};

/* From now on the second end's clock is `by_ns` ahead. */
static void set_ahead(struct scene *s, struct ahead *a)
{
    *a = (struct ahead){.real = loop_clock(s->loop)};
    s->ends[1].tcp->clock = (struct clock){.ops = &ahead_ops, .ctx = a};
}

static void say_half(struct scene *s, int fd)
{
    uint8_t payload[2 * HALF] = {0};

    buf_clear(&s->scratch);
    net_frame_make(&s->scratch, bytes_of(payload, sizeof payload));
    assert_int_equal(tcp_write(fd, s->scratch.data, HALF), HALF);
}

/* An answer of which the peer takes what the system holds for it, and no more. */
static void answer_much(struct scene *s, int fd)
{
    uint8_t *payload = calloc(1, NET_PAYLOAD_MAX);

    (void)fd;
    assert_non_null(payload);
    assert_int_equal(net_answer(s->ends[1].net, s->ends[1].conn, bytes_of(payload, NET_PAYLOAD_MAX),
                                &s->scratch),
                     0);
    free(payload);
}

/* What a connection says, what it does then, and after how long it is closed, as late or as idle. */
static void whoever_is_late_is_closed(void **state)
{
    static const struct {
        const char *name, *says;
        void (*then)(struct scene *s, int fd);
        uint64_t after_s;
        bool late;
    } rows[] = {
        {"silent", NULL, NULL, NET_TCP_FIRST_FRAME_S, true},
        {"half a first frame", NULL, say_half, NET_TCP_FIRST_FRAME_S, true},
        {"a stranger's half frame", "hello", say_half, NET_TCP_FRAME_S, true},
        {"a member's half frame", "member", say_half, NET_TCP_FRAME_S, true},
        {"a stranger that does not read", "hello", answer_much, NET_TCP_STALLED_S, true},
        {"a member that does not read", "member", answer_much, NET_TCP_STALLED_S, true},
        {"a stranger that is quiet", "hello", NULL, NET_TCP_STRANGER_IDLE_S, false},
        {"a member that is quiet", "member", NULL, 2 * NET_TCP_IDLE_S, false},
    };
    struct scene *s = *state;
    struct net_tcp *net = s->ends[1].tcp;
    struct ahead a;

    set_ahead(s, &a);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t late = net_counts(s->ends[1].net).closed_late;
        int fd;

        a.by_ns = 0;
        fd = stranger(s);
        if (rows[i].says)
            say(s, fd, rows[i].says);
        run_for(s, 20 * NS_PER_MS);
        if (rows[i].then)
            rows[i].then(s, fd);
        run_for(s, 50 * NS_PER_MS);
        a.by_ns = rows[i].after_s * NS_PER_S - NS_PER_S / 2;
        room_sweep(net);
        if (net_counts(s->ends[1].net).incoming != 1)
            fail_msg("%s: closed before its time", rows[i].name);
        a.by_ns = rows[i].after_s * NS_PER_S + NS_PER_S / 2;
        room_sweep(net);
        if (net_counts(s->ends[1].net).incoming != 0)
            fail_msg("%s: not closed", rows[i].name);
        if (net_counts(s->ends[1].net).closed_late - late != rows[i].late)
            fail_msg("%s: counted wrongly", rows[i].name);
        (void)close(fd);
    }
}

/* So much of the frame as is taken: until all was read, or it is closed. */
static void write_some(struct scene *s, int fd, const struct buf *frame, size_t len)
{
    uint64_t begun = net_counts(s->ends[1].net).bytes_received;
    size_t at = 0;

    for (int i = 0; i < 2000 && net_counts(s->ends[1].net).bytes_received - begun < len; i++) {
        long n = at < len ? tcp_write(fd, frame->data + at, len - at) : 0;
        if (n == TCP_CLOSED || (at == len && is_closed(fd)))
            return;
        at += n > 0 ? (size_t)n : 0;
        run_for(s, 2 * NS_PER_MS);
    }
}

/* Half frames of strangers fill their share and no more: the one that holds most goes; a member stays. */
static void what_strangers_leave_unread_is_bounded(void **state)
{
    enum { STRANGERS = NET_TCP_STRANGERS_MAX / NET_PAYLOAD_MAX + 3 };
    struct scene *s = *state;
    struct net_tcp *net = s->ends[1].tcp;
    uint8_t *payload = calloc(1, NET_PAYLOAD_MAX);
    int fds[STRANGERS], member = stranger(s);
    struct buf frame;
    unsigned closed = 0;

    assert_non_null(payload);
    buf_init(&frame, loop_mem());
    net_frame_make(&frame, bytes_of(payload, NET_PAYLOAD_MAX));
    say(s, member, "member");
    run_for(s, 20 * NS_PER_MS);
    write_some(s, member, &frame, frame.len - 1);
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = stranger(s);
        write_some(s, fds[i], &frame, frame.len - 1);
        assert_true(net->strangers_unread <= NET_TCP_STRANGERS_MAX);
    }
    for (size_t i = 0; i < STRANGERS; i++) {
        closed += is_closed(fds[i]);
        (void)close(fds[i]);
    }
    if (closed == 0 || closed == STRANGERS)
        fail_msg("%u closed, %zu unread", closed, net->strangers_unread);
    assert_int_equal(net_counts(s->ends[1].net).closed_full, closed);
    assert_false(is_closed(member));
    (void)close(member);
    buf_deinit(&frame);
    free(payload);
}

/* What waits for all together is bounded, and for strangers below that; there is always room for members. */
static void what_waits_for_all_is_bounded(void **state)
{
    struct scene *s = *state;
    struct net_tcp *net = s->ends[1].tcp;
    uint8_t payload[1000] = {0};
    int fd = stranger(s);

    say(s, fd, "hello");
    run_until(s, one_got_one);
    net->strangers_queued += NET_TCP_STRANGERS_MAX - sizeof payload;
    assert_int_equal(
        net_answer(s->ends[1].net, s->ends[1].conn, bytes_of(payload, sizeof payload), &s->scratch),
        KELPIE_E_LIMIT);
    assert_int_equal(send_text(s, 1, s->ends[0].addr, "to a node"), 0);
    net->strangers_queued -= NET_TCP_STRANGERS_MAX - sizeof payload;
    net->queued += NET_TCP_QUEUED_MAX - sizeof payload;
    assert_int_equal(
        net_send(s->ends[1].net, s->ends[0].addr, bytes_of(payload, sizeof payload), &s->scratch),
        KELPIE_E_LIMIT);
    net->queued -= NET_TCP_QUEUED_MAX - sizeof payload;
    assert_int_equal(
        net_send(s->ends[1].net, s->ends[0].addr, bytes_of(payload, sizeof payload), &s->scratch),
        0);
    (void)close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, net_scene_setup, net_scene_teardown)
    const struct CMUnitTest tests[] = {
        T(whoever_is_late_is_closed),
        T(what_strangers_leave_unread_is_bounded),
        T(what_waits_for_all_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
