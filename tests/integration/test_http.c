/* The HTTP server and client against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "integration/http_scene.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

static void a_request_is_answered(void **state)
{
    struct scene *s = *state;

    scene_send(s, "POST", "/v1/a%2Fb/c?x=1&q=a%20b+c&y", "id-1", bytes_of_str("hello"));
    scene_await(s, 1);
    assert_int_equal(s->error, 0);
    assert_int_equal(s->status, 200);
    assert_string_equal(s->body, "hello");
    assert_string_equal(s->path, "/v1/a%2Fb/c");
    assert_string_equal(s->query, "a b c");
    assert_string_equal(s->request_id, "id-1");
    assert_int_equal(http_server_pending(s->server), 0);
}

static void every_method_goes(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD"};
    struct scene *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        scene_request(s, methods[i], "/", bytes_of_str("xyz"));
        assert_int_equal(s->error, 0);
        assert_int_equal(s->status, 200);
        assert_int_equal(s->body_len, 3);
        assert_int_equal(s->answer_len, i < 4 ? 3 : 0);
    }
    scene_request(s, "PATCH", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 405);
    assert_non_null(strstr(s->body, "\"error\":\"method_not_allowed\""));
}

static void the_body_has_a_limit(void **state)
{
    struct scene *s = *state;
    uint8_t *body = calloc(1, 8 * HTTP_BODY_MAX);

    assert_non_null(body);
    scene_request(s, "POST", "/", bytes_of(body, HTTP_BODY_MAX));
    assert_int_equal(s->status, 200);
    assert_int_equal(s->answer_len, HTTP_BODY_MAX);
    scene_request(s, "POST", "/", bytes_of(body, HTTP_BODY_MAX + 1));
    assert_int_equal(s->error, 0);
    assert_int_equal(s->status, 413);
    assert_string_equal(s->body,
                        "{\"error\":\"too_large\",\"message\":\"the body is over the limit of "
                        "1048576 bytes\",\"retry\":false,\"applied\":\"no\"}\n");
    scene_request(s, "POST", "/", bytes_of(body, 8 * HTTP_BODY_MAX));
    assert_int_equal(s->status, 413);
    assert_int_equal(s->handled, 1);
    free(body);
}

static void large_answers_arrive(void **state)
{
    struct scene *s = *state;

    scene_request(s, "GET", "/big", bytes_of(NULL, 0));
    assert_int_equal(s->status, 200);
    assert_int_equal(s->answer_len, 3 * 1024 * 1024);
}

static void on_chunk(void *arg, struct bytes data)
{
    struct scene *s = arg;

    s->chunks++;
    buf_append_bytes(&s->streamed, data);
}

static void a_stream_arrives_piece_by_piece(void **state)
{
    struct scene *s = *state;

    http_client_stream(s->client, "/events", on_chunk, scene_on_answer, s);
    scene_await(s, 1);
    assert_int_equal(s->status, 200);
    assert_int_equal(s->chunks, 3);
    assert_true(
        bytes_equal(buf_bytes(&s->streamed), bytes_of_str("data: 0\n\ndata: 1\n\ndata: 2\n\n")));
    /* The connection goes on being of use. */
    scene_request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 200);
}

static void many_are_in_flight(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < 500; i++)
        scene_send(s, "POST", "/hold", NULL, bytes_of_str("x"));
    while (s->held_count < 500)
        scene_run(s, NS_PER_MS);
    assert_int_equal(http_server_pending(s->server), 500);
    for (size_t i = 0; i < 500; i++)
        http_exchange_reply(s->held[i], 200, "text/plain", bytes_of_str("y"));
    assert_int_equal(http_server_pending(s->server), 0);
    scene_await(s, 500);
    assert_int_equal(s->answers, 500);
    assert_int_equal(s->status, 200);
}

static void more_than_the_pool_wait_for_their_turn(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < HTTP_CLIENT_CONNECTIONS_MAX + 300; i++)
        scene_send(s, "POST", "/", NULL, bytes_of_str("x"));
    scene_await(s, HTTP_CLIENT_CONNECTIONS_MAX + 300);
    assert_int_equal(s->error, 0);
    assert_int_equal(s->handled, HTTP_CLIENT_CONNECTIONS_MAX + 300);
}

/* The server closes kept connections (here: by being replaced): no request notices. */
static void a_kept_connection_that_was_closed_is_no_error(void **state)
{
    struct scene *s = *state;
    char addr[NET_ADDR_SIZE];

    (void)snprintf(addr, sizeof addr, "%s", http_server_addr(s->server));
    scene_request(s, "POST", "/", bytes_of_str("one"));
    assert_int_equal(s->error, 0);
    http_server_free(s->server);
    scene_open_server(s, addr);
    scene_run(s, NS_PER_MS);
    scene_request(s, "POST", "/", bytes_of_str("two"));
    assert_int_equal(s->error, 0);
    assert_string_equal(s->body, "two");

    http_server_free(s->server);
    s->server = NULL;
    scene_request(s, "POST", "/", bytes_of_str("three"));
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
}

/* A kept connection breaks after the request was sent: it is repeated on a fresh one if it has an
 * id, else not known. */
static void a_kept_connection_may_break_later(void **state)
{
    static const char *const ids[] = {"id-1", NULL};
    struct scene *s = *state;
    char addr[NET_ADDR_SIZE];

    (void)snprintf(addr, sizeof addr, "%s", http_server_addr(s->server));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        scene_request(s, "POST", "/", bytes_of_str("first"));
        assert_int_equal(s->error, 0);
        scene_send(s, "POST", "/hold", ids[i], bytes_of_str("x"));
        while (!s->held_count)
            scene_run(s, NS_PER_MS);
        http_server_free(s->server);
        http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("nobody hears it"));
        s->held_count = 0;
        scene_open_server(s, addr);
        if (ids[i]) {
            while (!s->held_count)
                scene_run(s, NS_PER_MS);
            http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("again"));
            s->held_count = 0;
        }
        scene_await(s, 1);
        assert_int_equal(s->error, ids[i] ? 0 : KELPIE_E_UNREACHABLE);
        assert_string_equal(s->body, ids[i] ? "again" : "");
    }
}

/* The connection breaks while the request is being handled: a repeat is safe only with an id, and
 * here it meets nobody. */
static void a_server_that_dies_is_unreachable(void **state)
{
    struct scene *s = *state;

    scene_send(s, "POST", "/hold", NULL, bytes_of_str("x"));
    while (!s->held_count)
        scene_run(s, NS_PER_MS);
    http_server_free(s->server);
    s->server = NULL;
    scene_await(s, 1);
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("nobody hears it"));
}

static void a_request_times_out(void **state)
{
    struct scene *s = *state;

    http_client_send(s->client, "GET", "/hold", NULL, bytes_of(NULL, 0), 20, scene_on_answer, s);
    scene_await(s, 1);
    assert_int_equal(s->error, KELPIE_E_TIMEOUT);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of(NULL, 0));
}

static void bad_requests_are_not_sent(void **state)
{
    struct scene *s = *state;

    scene_request(s, "GET", "/a b", bytes_of(NULL, 0));
    assert_int_equal(s->error, KELPIE_E_INVALID);
    scene_send(s, "GET", "/", "id\r\nEvil: 1", bytes_of(NULL, 0));
    scene_await(s, 1);
    assert_int_equal(s->error, KELPIE_E_INVALID);
    assert_int_equal(s->handled, 0);
}

static void a_port_in_use_is_named(void **state)
{
    struct scene *s = *state;
    char why[256] = "";

    struct http_server_options o = {.addr = http_server_addr(s->server), .fn = scene_handle};

    assert_null(http_server_new(s->loop, loop_mem(), &o, why, sizeof why));
    assert_non_null(strstr(why, http_server_addr(s->server)));
    assert_non_null(strstr(why, "in use"));
}

static void draining_closes_after_the_next_answer(void **state)
{
    struct scene *s = *state;

    scene_request(s, "GET", "/", bytes_of(NULL, 0));
    scene_send(s, "GET", "/hold", NULL, bytes_of(NULL, 0));
    while (!s->held_count)
        scene_run(s, NS_PER_MS);
    http_server_drain(s->server);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("last"));
    scene_await(s, 1);
    assert_string_equal(s->body, "last");
    scene_request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
}

/* ---- how fast: printed, not asserted ---- */

#define RATE_REQUESTS 4000

struct rate {
    struct scene *scene;
    size_t to_send;
};

static void on_rate_answer(void *arg, const struct http_response *r)
{
    struct rate *rate = arg;

    scene_on_answer(rate->scene, r);
    assert_int_equal(r->status, 200);
    if (rate->to_send) {
        rate->to_send--;
        http_client_send(rate->scene->client, "POST", "/", NULL, bytes_of_str("x"), 0,
                         on_rate_answer, rate);
    }
}

/* Server and client in one thread. */
static void requests_per_second_are_printed(void **state)
{
    static const size_t in_flight[] = {1, 10, 100};
    struct scene *s = *state;
    struct clock clock = loop_clock(s->loop);

    for (size_t i = 0; i < ARRAY_LEN(in_flight); i++) {
        struct rate rate = {.scene = s, .to_send = RATE_REQUESTS};
        uint64_t begin = clock_now_ns(clock);

        for (size_t n = 0; n < in_flight[i]; n++, rate.to_send--)
            http_client_send(s->client, "POST", "/", NULL, bytes_of_str("x"), 0, on_rate_answer,
                             &rate);
        scene_await(s, RATE_REQUESTS);
        print_message("%zu in flight: %.0f requests/s\n", in_flight[i],
                      RATE_REQUESTS * 1e9 / (double)(clock_now_ns(clock) - begin));
    }
}

/* A request is as old as its first byte: while its body comes, and while it waits behind another one. */
static void a_request_is_as_old_as_its_first_byte(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    struct scene *s = *state;
    char answer[4096];
    int fd = raw_open(s);

    raw_talk(s, fd, bytes_of_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "\r\n\r\n", answer,
             sizeof answer);
    assert_true(s->held_ns < 50 * NS_PER_MS);
    raw_send(s, fd, bytes_of_str(head), 20);
    scene_run(s, 60 * NS_PER_MS);
    raw_talk(s, fd, bytes_of_str("abc"), "abc", answer, sizeof answer);
    assert_true(s->held_ns >= 60 * NS_PER_MS);
    raw_send(s, fd, bytes_of_str("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"), 100);
    raw_send(s, fd, bytes_of_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 100);
    scene_run(s, 60 * NS_PER_MS);
    assert_int_equal(s->held_count, 1);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("first"));
    scene_run(s, 20 * NS_PER_MS);
    assert_int_equal(s->handled, 4);
    assert_true(s->held_ns >= 60 * NS_PER_MS);
    (void)close(fd);
}

/* Connections that have brought nothing, or half a request, or wait to be accepted, close unread; one whose
 * request is under way gets its answer first. */
static void what_is_unread_is_dropped(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct scene *s = *state;
    char answer[4096];
    int quiet = raw_open(s), half = raw_open(s), waits;

    scene_send(s, "POST", "/hold", NULL, bytes_of_str("x"));
    raw_send(s, half, bytes_of_str("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"),
             100);
    while (s->held_count < 1)
        scene_run(s, NS_PER_MS);
    waits = tcp_connect(http_server_addr(s->server));
    assert_true(waits >= 0);
    assert_int_equal(tcp_write(quiet, request, strlen(request)), strlen(request));
    http_server_drop_unread(s->server);
    raw_talk(s, quiet, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_string_equal(answer, "");
    raw_talk(s, half, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_string_equal(answer, "");
    raw_talk(s, waits, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_string_equal(answer, "");
    assert_int_equal(s->handled, 1);
    (void)close(quiet);
    (void)close(half);
    (void)close(waits);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("y"));
    scene_await(s, 1);
    assert_int_equal(s->status, 200);
    /* It goes on with new connections. */
    scene_request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 200);
    for (int i = 0; i < RAW_PATIENCE_MS && http_server_counts(s->server).connections > 1; i++)
        scene_run(s, NS_PER_MS);
    assert_int_equal(http_server_counts(s->server).connections, 1);
}

/* Whoever stood still has sockets to read and timers that are due, and may be told of the sockets first. */
static void who_stood_still_answers_nothing_of_before(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct scene *s = *state;
    char answer[4096];
    int used, half, ahead;

    used = raw_open(s);
    half = raw_open(s);
    ahead = raw_open(s);
    raw_talk(s, used, bytes_of_str(request), "\r\n\r\n", answer, sizeof answer);
    raw_send(s, half, bytes_of(request, 20), 20);
    raw_send(s, ahead, bytes_of_str("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"), 100);
    while (s->held_count < 1)
        scene_run(s, NS_PER_MS);
    assert_int_equal(s->handled, 2);
    assert_int_equal(tcp_write(used, request, strlen(request)), strlen(request));
    assert_int_equal(tcp_write(half, request, strlen(request)), strlen(request));
    assert_int_equal(tcp_write(ahead, request, strlen(request)), strlen(request));
    s->stood_still = true;
    raw_talk(s, used, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_string_equal(answer, "");
    raw_talk(s, half, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_string_equal(answer, "");
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("y"));
    raw_talk(s, ahead, bytes_of_str(""), NULL, answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\n\r\ny"));
    assert_null(strstr(answer + 1, "HTTP/1.1")); /* and nothing behind it */
    assert_int_equal(s->handled, 2);
    (void)close(used);
    (void)close(half);
    (void)close(ahead);
    s->held_count = 0;
    scene_request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_is_answered),
        T(every_method_goes),
        T(the_body_has_a_limit),
        T(large_answers_arrive),
        T(a_stream_arrives_piece_by_piece),
        T(many_are_in_flight),
        T(more_than_the_pool_wait_for_their_turn),
        T(a_kept_connection_that_was_closed_is_no_error),
        T(a_kept_connection_may_break_later),
        T(a_server_that_dies_is_unreachable),
        T(a_request_times_out),
        T(bad_requests_are_not_sent),
        T(a_port_in_use_is_named),
        T(a_request_is_as_old_as_its_first_byte),
        T(what_is_unread_is_dropped),
        T(who_stood_still_answers_nothing_of_before),
        T(draining_closes_after_the_next_answer),
        T(requests_per_second_are_printed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
