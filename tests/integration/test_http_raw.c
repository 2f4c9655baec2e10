/* The HTTP server against raw sockets: what no decent client sends. */
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

#include "integration/http_scene.h"
#include "loop/tcp_socket.h"

static int raw_open(struct scene *s)
{
    int fd = tcp_connect(http_server_addr(s->server));

    assert_true(fd >= 0);
    scene_run(s, 5 * NS_PER_MS);
    return fd;
}

#define RAW_PATIENCE_MS 5000

/* Sends `text` and returns what comes until `until` is in it (NULL: until the end comes). */
static void raw_talk(struct scene *s, int fd, struct bytes text, const char *until, char *out,
                     size_t size)
{
    size_t len = 0;
    bool closed = false;

    assert_int_equal(tcp_write(fd, text.data, text.len), text.len);
    for (int i = 0; i < RAW_PATIENCE_MS; i++) {
        long n = tcp_read(fd, out + len, size - 1 - len);

        if (n > 0)
            len += (size_t)n;
        closed = n == TCP_CLOSED;
        out[len] = '\0';
        if (closed || (until && strstr(out, until)))
            break;
        scene_run(s, NS_PER_MS);
    }
    assert_true(until ? strstr(out, until) != NULL : closed);
}

struct raw_case {
    const char *request;
    const char *status; /* how the answer begins */
    const char *part;   /* and what is in it */
    bool closes;
};

/* What evhttp answers by itself, in HTML. */
#define ITS_OWN "</HTML>"

static const struct raw_case raw_cases[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK", "X-Echo: a??b\r\n", false},
    /* evhttp answers in the version of the request. */
    {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200", "Connection: close", true},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "HTTP/1.0 200", "Connection: keep-alive",
     false},
    {"GET /events HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "HTTP/1.0 200",
     "Connection: close\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n", true},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 200", "Connection: close",
     true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
     "HTTP/1.1 200", "\r\n\r\nabcde", false},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi",
     "HTTP/1.1 200", "\r\n\r\nhi", false},
    /* evhttp leaves the body of a HEAD unread. */
    {"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 200",
     "Connection: close", true},
    {"HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200", "Content-Length: 3145728", false},

    {"nonsense\r\n\r\n", "HTTP/1.1 400", ITS_OWN, true},
    {"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", ITS_OWN, true},
    {"GET /\r\n\r\n", "HTTP/1.1 400", ITS_OWN, true},
    {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 400", ITS_OWN, true},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", "HTTP/0.9 505", "HTTP/1.1 are spoken", true},
    {"BREW / HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n", "HTTP/1.1 405",
     "method_not_allowed", true},
    {"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405",
     "Allow: GET, POST, PUT, DELETE, HEAD\r\n", true},
    /* evhttp says that it closes, but does not. */
    {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 501", ITS_OWN, false},
    {"GET http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /%zz%00?q=%41 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200", "X-Echo", false},
    {"GET /?q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /?q=%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {"GET / HTTP/1.1\r\nHost: h\r\nX: a\x01z\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    /* evhttp joins folded lines, and takes a bare LF for the end of a line; both may be done. */
    {"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "HTTP/1.1 200", "X-Echo", false},
    {"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", "HTTP/1.1 200", "X-Echo", false},
    /* Refused by evhttp at the head, or where it is older by us, then with the body read. */
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
     "HTTP/1.1 400", "Connection: close", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\n",
     "HTTP/1.1 400", "Connection: close", true},
    {"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n", "HTTP/1.1 400",
     "Connection: close", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nhi", "HTTP/1.1 400", "number", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400", ITS_OWN, true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 413", ITS_OWN,
     true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501", "invalid",
     true},
    /* For evhttp malformed chunks are too long ones, and so are extensions of chunks. */
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 413",
     ITS_OWN, true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naxy\r\n", "HTTP/1.1 413",
     ITS_OWN, true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n0\r\n\r\n",
     "HTTP/1.1 413", ITS_OWN, true},
    {"GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", "HTTP/1.1 417", "invalid", true},
};

static void raw_requests_get_their_answers(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(raw_cases); i++) {
        const struct raw_case *c = &raw_cases[i];
        int fd = raw_open(s);
        char answer[4096];
        char byte;

        s->held_count = 0;
        s->ticks = 0;
        print_message("%.40s\n", c->request);
        raw_talk(s, fd, bytes_of_str(c->request), c->closes ? NULL : c->part, answer,
                 sizeof answer);
        assert_int_equal(strncmp(answer, c->status, strlen(c->status)), 0);
        assert_non_null(strstr(answer, c->part));
        if (!c->closes)
            assert_int_not_equal(tcp_read(fd, &byte, 1), TCP_CLOSED);
        (void)close(fd);
    }
}

static void a_client_may_wait_to_be_told_to_continue(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    char answer[1024];

    raw_talk(s, fd,
             bytes_of_str("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                          "Expect: 100-continue\r\n\r\n"),
             "HTTP/1.1 100 Continue\r\n\r\n", answer, sizeof answer);
    raw_talk(s, fd, bytes_of_str("hi"), "\r\n\r\nhi", answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    (void)close(fd);
}

/* By their length evhttp refuses them itself, with 400; by their number we do, with 431. */
static void headers_have_a_limit(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    struct buf request_text;
    char answer[1024];

    buf_init(&request_text, loop_mem());
    buf_appendf(&request_text, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    while (request_text.len < HTTP_HEADERS_MAX + 10)
        buf_append_u8(&request_text, 'x');
    raw_talk(s, fd, buf_bytes(&request_text), NULL, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 400", 12), 0);
    (void)close(fd);

    fd = raw_open(s);
    buf_clear(&request_text);
    buf_appendf(&request_text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        buf_appendf(&request_text, "X: y\r\n");
    buf_appendf(&request_text, "\r\n");
    raw_talk(s, fd, buf_bytes(&request_text), NULL, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 431", 12), 0);
    (void)close(fd);
    buf_deinit(&request_text);
}

static void requests_may_be_sent_ahead(void **state)
{
    static const char text[] = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
                               "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
                               "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
                               "POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nfour";
    struct scene *s = *state;
    int fd = raw_open(s);
    char answer[4096];

    raw_talk(s, fd, bytes_of(text, sizeof text - 1), "\r\n\r\ntwo", answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\n\r\none"));
    assert_int_equal(s->handled, 3);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("held"));
    raw_talk(s, fd, bytes_of(NULL, 0), "\r\n\r\nfour", answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\n\r\nheld"));
    assert_int_equal(s->handled, 4);
    (void)close(fd);
}

/* A client that goes away while its request is handled: the handler hears of it. */
static void a_client_that_goes_away_is_noticed(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    static const char text[] = "GET /hold-closing HTTP/1.1\r\nHost: h\r\n\r\n";

    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    while (!http_server_pending(s->server))
        scene_run(s, NS_PER_MS);
    (void)close(fd);
    scene_await(s, 0);
    assert_int_equal(s->closed, 1);
    assert_int_equal(http_server_pending(s->server), 0);
}

/* Sends its request and shuts its side down: what was answered by then still arrives. */
static void a_client_may_close_its_side(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    static const char text[] = "GET /big HTTP/1.1\r\nHost: h\r\n\r\n";
    char *answer = malloc(4 * 1024 * 1024);
    size_t len = 0;
    long n = TCP_AGAIN;

    assert_non_null(answer);
    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < RAW_PATIENCE_MS && n != TCP_CLOSED; i++) {
        n = tcp_read(fd, answer + len, 4 * 1024 * 1024 - len);
        if (n > 0)
            len += (size_t)n;
        else
            scene_run(s, NS_PER_MS);
    }
    assert_true(len > 3 * 1024 * 1024);
    (void)close(fd);
    free(answer);
}

/* The system's queue holds those over the bound until one of the others closes. */
static void connections_have_a_bound(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    struct scene *s = *state;
    struct rlimit files;
    int *fds;
    int extra;
    char answer[1024];
    char byte;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 3 * HTTP_CONNECTIONS_MAX)
        skip();
    files.rlim_cur = 3 * HTTP_CONNECTIONS_MAX;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    fds = calloc(HTTP_CONNECTIONS_MAX, sizeof *fds);
    assert_non_null(fds);
    for (size_t i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        fds[i] = tcp_connect(http_server_addr(s->server));
        assert_true(fds[i] >= 0);
        if (i % 256 == 0)
            scene_run(s, NS_PER_MS);
    }
    raw_talk(s, fds[HTTP_CONNECTIONS_MAX - 1], bytes_of_str(text), "X-Echo", answer, sizeof answer);
    extra = raw_open(s);
    assert_int_equal(tcp_write(extra, text, sizeof text - 1), sizeof text - 1);
    scene_run(s, 50 * NS_PER_MS);
    assert_int_equal(tcp_read(extra, &byte, 1), TCP_AGAIN);
    (void)close(fds[0]);
    raw_talk(s, extra, bytes_of(NULL, 0), "X-Echo", answer, sizeof answer);
    for (size_t i = 1; i < HTTP_CONNECTIONS_MAX; i++)
        (void)close(fds[i]);
    (void)close(extra);
    free(fds);
}

/* A client that goes on sending while its request is handled: what it sends waits, and its answers
 * come in order. */
static void what_comes_during_a_request_waits(void **state)
{
    static const char first[] = "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char second[] = "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo";
    struct scene *s = *state;
    int fd = raw_open(s);
    char answer[4096];

    assert_int_equal(tcp_write(fd, first, sizeof first - 1), sizeof first - 1);
    while (!s->held_count)
        scene_run(s, NS_PER_MS);
    assert_int_equal(tcp_write(fd, second, sizeof second - 1), sizeof second - 1);
    scene_run(s, 5 * NS_PER_MS);
    assert_int_equal(s->handled, 1);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("held"));
    raw_talk(s, fd, bytes_of(NULL, 0), "\r\n\r\ntwo", answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\n\r\nheld"));
    (void)close(fd);
}

static void a_stream_that_nobody_reads_is_cut(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    static const char text[] = "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n";

    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    while (!s->closed)
        scene_run(s, NS_PER_MS);
    assert_int_equal(s->refused_chunks, 1);
    assert_false(http_exchange_chunk(s->held[0], bytes_of_str("x")));
    http_exchange_end(s->held[0]);
    (void)close(fd);
}

static void unanswered_streams_outlive_the_server(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    static const char text[] = "GET /events HTTP/1.1\r\nHost: h\r\n\r\n";

    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    while (!s->held_count)
        scene_run(s, NS_PER_MS / 4);
    timer_stop(&s->tick);
    if (s->held_count) {
        http_server_free(s->server);
        s->server = NULL;
        http_exchange_end(s->held[0]);
    }
    (void)close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        T(raw_requests_get_their_answers),
        T(a_client_may_wait_to_be_told_to_continue),
        T(headers_have_a_limit),
        T(requests_may_be_sent_ahead),
        T(a_client_that_goes_away_is_noticed),
        T(a_client_may_close_its_side),
        T(connections_have_a_bound),
        T(what_comes_during_a_request_waits),
        T(a_stream_that_nobody_reads_is_cut),
        T(unanswered_streams_outlive_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
