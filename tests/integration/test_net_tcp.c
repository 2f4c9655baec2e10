/* Frames between two networks in one loop, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "integration/net_scene.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

static bool both_got_three(struct scene *s)
{
    return s->ends[0].frames == 3 && s->ends[1].frames == 3;
}

static void frames_go_both_ways(void **state)
{
    struct scene *s = *state;

    for (int i = 0; i < 3; i++) {
        char text[24];

        (void)snprintf(text, sizeof text, "frame %d", i);
        assert_int_equal(send_text(s, 0, s->ends[1].addr, text), 0);
        assert_int_equal(send_text(s, 1, s->ends[0].addr, text), 0);
    }
    assert_int_equal(s->ends[0].frames, 0);
    run_until(s, both_got_three);
    assert_string_equal(s->ends[0].last, "frame 2");
    assert_string_equal(s->ends[1].last, "frame 2");
    assert_int_equal(net_counts(s->ends[0].net).outgoing, 1);
    assert_int_equal(net_counts(s->ends[0].net).incoming, 1);
}

static bool zero_got_three(struct scene *s)
{
    return s->ends[0].frames == 3;
}

static void answers_come_back_on_the_connection(void **state)
{
    struct scene *s = *state;

    s->ends[1].answers = true;
    for (int i = 0; i < 3; i++)
        assert_int_equal(send_text(s, 0, s->ends[1].addr, "echo"), 0);
    run_until(s, zero_got_three);
    assert_string_equal(s->ends[0].last, "echo");
    assert_string_equal(s->ends[0].answered_from, s->ends[1].addr);
    assert_int_equal(net_counts(s->ends[0].net).incoming, 0);
    assert_int_equal(net_counts(s->ends[1].net).outgoing, 0);
}

static bool one_lost_its_peer(struct scene *s)
{
    return net_counts(s->ends[1].net).incoming == 0;
}

/* A handle names one connection for ever: neither nothing nor the next one in its place. */
static void an_answer_to_a_connection_that_is_gone_is_counted(void **state)
{
    struct scene *s = *state;
    struct net_conn old;

    assert_int_equal(send_text(s, 0, s->ends[1].addr, "x"), 0);
    run_until(s, one_got_one);
    old = s->ends[1].conn;
    net_tcp_free(s->ends[0].tcp);
    run_until_seen(s, one_lost_its_peer);
    open_end(s, &s->ends[0], "127.0.0.1:0");
    assert_int_equal(send_text(s, 0, s->ends[1].addr, "x"), 0);
    s->ends[1].frames = 0;
    run_until(s, one_got_one);
    assert_int_not_equal(old.id, s->ends[1].conn.id);
    assert_int_equal(net_answer(s->ends[1].net, old, bytes_of_str("late"), &s->scratch),
                     KELPIE_E_UNREACHABLE);
    assert_int_equal(
        net_answer(s->ends[1].net, (struct net_conn){0}, bytes_of_str("nobody"), &s->scratch),
        KELPIE_E_UNREACHABLE);
    assert_int_equal(net_counts(s->ends[1].net).answers_gone, 2);
    run_for(s, 10 * NS_PER_MS);
    assert_int_equal(s->ends[0].frames, 0);
}

static bool one_got_all(struct scene *s)
{
    return s->ends[1].bytes == 2u * NET_PAYLOAD_MAX - 100;
}

static void large_frames_arrive_whole(void **state)
{
    struct scene *s = *state;
    uint8_t *payload = calloc(1, NET_PAYLOAD_MAX);

    assert_non_null(payload);
    for (int i = 0; i < 2; i++)
        assert_int_equal(net_send(s->ends[0].net, s->ends[1].addr,
                                  bytes_of(payload, NET_PAYLOAD_MAX - 50), &s->scratch),
                         0);
    run_until(s, one_got_all);
    assert_int_equal(s->ends[1].frames, 2);
    free(payload);
}

static void a_node_can_send_to_itself(void **state)
{
    struct scene *s = *state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(send_text(s, 0, s->ends[0].addr, "me"), 0);
        assert_int_equal(send_text(s, 1, s->ends[1].addr, "me"), 0);
    }
    run_until(s, both_got_three);
}

static bool zero_saw_down(struct scene *s)
{
    return s->ends[0].downs > 0;
}

static void a_restarted_peer_is_reached_again(void **state)
{
    struct scene *s = *state;
    char addr[NET_ADDR_SIZE];

    memcpy(addr, s->ends[1].addr, sizeof addr);
    assert_int_equal(send_text(s, 0, addr, "before"), 0);
    run_until(s, one_got_one);

    net_tcp_free(s->ends[1].tcp);
    memset(&s->ends[1], 0, sizeof s->ends[1]);
    run_until(s, zero_saw_down);
    assert_string_equal(s->ends[0].down_addr, addr);
    assert_int_equal(net_counts(s->ends[0].net).outgoing, 0);

    /* Nobody there: refused. */
    s->ends[0].downs = 0;
    assert_int_equal(send_text(s, 0, addr, "lost"), 0);
    assert_int_equal(s->ends[0].downs, 0);
    run_until(s, zero_saw_down);

    open_end(s, &s->ends[1], addr);
    assert_int_equal(send_text(s, 0, addr, "after"), 0);
    run_until(s, one_got_one);
    assert_string_equal(s->ends[1].last, "after");
}

static void what_is_no_address_is_down(void **state)
{
    static const char *const addrs[] = {"", "nonsense", "127.0.0.1", "[::1", "host.invalid:80"};
    struct scene *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
        s->ends[0].downs = 0;
        assert_int_equal(send_text(s, 0, addrs[i], "x"), 0);
        assert_int_equal(s->ends[0].downs, 0);
        run_until(s, zero_saw_down);
        assert_string_equal(s->ends[0].down_addr, addrs[i]);
    }
}

static bool one_got_the_queue(struct scene *s)
{
    return s->ends[1].frames == NET_TCP_QUEUE_MAX / (1024 * 1024) - 1;
}

/* Nothing runs meanwhile: frames queue up to the bound, then sends are refused. */
static void the_queue_to_a_peer_is_bounded(void **state)
{
    struct scene *s = *state;
    uint8_t *payload = calloc(1, 1024 * 1024);
    size_t sent = 0;
    int error = 0;

    assert_non_null(payload);
    while (sent < 100 && !error) {
        error =
            net_send(s->ends[0].net, s->ends[1].addr, bytes_of(payload, 1024 * 1024), &s->scratch);
        if (!error)
            sent++;
    }
    assert_int_equal(error, KELPIE_E_LIMIT);
    assert_int_equal(sent, NET_TCP_QUEUE_MAX / (1024 * 1024) - 1);
    /* Other peers are not affected, and once it has flowed off, neither is this one. */
    assert_int_equal(send_text(s, 0, s->ends[0].addr, "x"), 0);
    run_until(s, one_got_the_queue);
    assert_int_equal(send_text(s, 0, s->ends[1].addr, "y"), 0);
    free(payload);
}

static bool one_saw_bad(struct scene *s)
{
    return s->ends[1].bads > 0;
}

/* Connects like a stranger, says `text`, and sees the connection closed. */
static void say_garbage(struct scene *s, const void *text, size_t len, int expected)
{
    int fd = tcp_connect(s->ends[1].addr);
    char byte;

    assert_true(fd >= 0);
    run_for(s, 10 * NS_PER_MS);
    assert_int_equal(tcp_connect_result(fd), 0);
    assert_int_equal(tcp_write(fd, text, len), len);
    s->ends[1].bads = 0;
    run_until(s, one_saw_bad);
    assert_int_equal(s->ends[1].bad_error, expected);
    assert_int_equal(tcp_read(fd, &byte, 1), TCP_CLOSED);
    (void)close(fd);
    assert_int_equal(net_counts(s->ends[1].net).incoming, 0);
}

static void garbage_closes_the_connection_and_is_reported(void **state)
{
    struct scene *s = *state;
    struct buf frames;

    say_garbage(s, "GET / HTTP/1.1\r\n\r\n", 18, KELPIE_E_PROTOCOL);
    say_garbage(s, "KLP1\0\1\0\0", 8, KELPIE_E_VERSION);
    /* A good frame, then one that lies: the good one is passed on. */
    buf_init(&frames, loop_mem());
    net_frame_make(&frames, bytes_of_str("good"));
    net_frame_make(&frames, bytes_of_str("evil"));
    frames.data[frames.len - 1] ^= 1;
    say_garbage(s, frames.data, frames.len, KELPIE_E_PROTOCOL);
    assert_string_equal(s->ends[1].last, "good");
    assert_int_equal(s->ends[1].frames, 1);
    buf_deinit(&frames);
}

/* Byte by byte, over several reads. */
static void a_frame_in_pieces_arrives(void **state)
{
    struct scene *s = *state;
    struct buf frames;
    int fd = tcp_connect(s->ends[1].addr);

    assert_true(fd >= 0);
    run_for(s, 10 * NS_PER_MS);
    buf_init(&frames, loop_mem());
    net_frame_make(&frames, bytes_of_str("in pieces"));
    net_frame_make(&frames, bytes_of_str("too"));
    for (size_t i = 0; i < frames.len; i++) {
        assert_int_equal(tcp_write(fd, frames.data + i, 1), 1);
        run_for(s, NS_PER_MS);
    }
    assert_int_equal(s->ends[1].frames, 2);
    assert_string_equal(s->ends[1].last, "too");
    (void)close(fd);
    buf_deinit(&frames);
}

/* While there are no descriptors, connections wait and the core rests; then they are accepted. */
static void running_out_of_descriptors_passes(void **state)
{
    struct scene *s = *state;
    int fd = tcp_connect(s->ends[1].addr);
    struct rlimit before, none = {0, 0};
    struct rusage start, end;
    struct buf frame;

    assert_true(fd >= 0);
    buf_init(&frame, loop_mem());
    net_frame_make(&frame, bytes_of_str("patient"));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &start), 0);
    run_for(s, 150 * NS_PER_MS);
    assert_int_equal(getrusage(RUSAGE_SELF, &end), 0);
    assert_int_equal(net_counts(s->ends[1].net).incoming, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true((end.ru_utime.tv_sec - start.ru_utime.tv_sec) * 1000000 + end.ru_utime.tv_usec -
                    start.ru_utime.tv_usec <
                100000);
    assert_int_equal(tcp_write(fd, frame.data, frame.len), frame.len);
    run_until(s, one_got_one);
    assert_string_equal(s->ends[1].last, "patient");
    (void)close(fd);
    buf_deinit(&frame);
}

static void a_port_in_use_is_named(void **state)
{
    struct scene *s = *state;
    char why[256] = "";

    assert_null(net_tcp_new(s->loop, loop_mem(), &s->log, s->ends[0].addr, why, sizeof why));
    assert_non_null(strstr(why, s->ends[0].addr));
    assert_non_null(strstr(why, "in use"));
    assert_null(net_tcp_new(s->loop, loop_mem(), &s->log, "7101", why, sizeof why));
    assert_non_null(strstr(why, "'7101'"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, net_scene_setup, net_scene_teardown)
    const struct CMUnitTest tests[] = {
        T(frames_go_both_ways),
        T(answers_come_back_on_the_connection),
        T(an_answer_to_a_connection_that_is_gone_is_counted),
        T(large_frames_arrive_whole),
        T(a_node_can_send_to_itself),
        T(a_restarted_peer_is_reached_again),
        T(what_is_no_address_is_down),
        T(the_queue_to_a_peer_is_bounded),
        T(garbage_closes_the_connection_and_is_reported),
        T(a_frame_in_pieces_arrives),
        T(running_out_of_descriptors_passes),
        T(a_port_in_use_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
