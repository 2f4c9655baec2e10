/* The HTTP server against raw sockets: what no decent client sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "integration/http_scene.h"
#include "loop/tcp_socket.h"

struct raw_case {
    const char *request;
    const char *status; /* how the answer begins */
    const char *part;   /* and what is in it */
    bool closes;
};

/* ---- HTTP's edges, as a table ---- */

#define GET_ "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST_ "POST / HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED POST_ "Transfer-Encoding: chunked\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define REFUSED "\"error\":\"invalid\""

static const struct raw_case raw_cases[] = {
    {GET_ "\r\n", OK, "X-Echo: a??b\r\n", false},
    {GET_ "\r\n", OK, "GMT\r\nContent-Length: 0\r\n", false},
    /* Empty lines where a request should begin are passed over. */
    {"\r\n\r\n" GET_ "\r\n", OK, "X-Echo", false},
    {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", OK, "X-Echo", false},

    /* Versions, and whether the connection is kept. */
    {"GET / HTTP/1.0\r\n\r\n", OK, "Connection: close", true},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", OK, "Connection: keep-alive", false},
    {"GET /events HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", OK,
     "\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n", true},
    {"GET /events HTTP/1.1\r\nHost: h\r\n\r\n", OK, "\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n", false},
    {"HEAD /events HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", OK,
     "Transfer-Encoding: chunked\r\n", true},
    {GET_ "Connection: x, Close\r\n\r\n", OK, "Connection: close", true},
    {GET_ "Connection: close\r\n\r\n" GET_ "\r\n", OK, "Connection: close", true},
    {GET_ "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", OK, "X-Echo", false},
    {GET_ "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" GET_ "Connection: close\r\n\r\n", OK,
     "Connection: close", true},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505", "HTTP/2 is not", true},
    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505", "HTTP/1.1 are spoken", true},
    {"GET / HTTP/0.9\r\nHost: h\r\n\r\n", "HTTP/1.1 505", "HTTP/1.1 are spoken", true},
    {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET / HTTP/11.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},

    /* First lines. */
    {"nonsense\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET /\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"get / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", REFUSED, true},
    {"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /%zz%00?q=%41 HTTP/1.1\r\nHost: h\r\n\r\n", OK, "X-Echo", false},
    {"GET /?q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /?q=%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /?q=%4 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},

    /* Methods. */
    {"BREW / HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n", "HTTP/1.1 405",
     "method_not_allowed", true},
    {"OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405",
     "Allow: GET, POST, PUT, DELETE, HEAD\r\n", true},
    {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405", "method_not_allowed", true},
    {"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd", OK, "Content-Length: 4\r\n",
     false},
    {"HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n", OK, "Content-Length: 3145728", false},

    /* Headers. */
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {GET_ "Host: i\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", OK, "X-Echo", false},
    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ ": x\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X(): y\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X: a\x01z\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X: a\x7fz\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X: a\rz\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X: a\r\n folded\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "X: y\n\r\n", "HTTP/1.1 400", "malformed", true},
    {"GET / HTTP/1.1\nHost: h\n\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "\n", "HTTP/1.1 400", "malformed", true},
    {GET_ "\rX", NULL, NULL, true},
    {GET_ "Expect: magic\r\n\r\n", "HTTP/1.1 417", REFUSED, true},

    /* How long the body is: where two readers could differ, it is refused. */
    {POST_ "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", "HTTP/1.1 400", "more than once",
     true},
    {POST_ "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 400", "more than once",
     true},
    {POST_ "Content-Length: 2, 2\r\n\r\nhi", "HTTP/1.1 400", "number", true},
    {POST_ "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400",
     "more than once", true},
    {POST_ "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", "HTTP/1.1 400",
     "more than once", true},
    {POST_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "HTTP/1.1 400", "more than once", true},
    {POST_ "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501", REFUSED, true},
    {POST_ "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501", REFUSED, true},
    {POST_ "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501", REFUSED, true},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400", "no chunks",
     true},
    {"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n", "HTTP/1.1 400", "number", true},
    {POST_ "Content-Length: -1\r\n\r\n", "HTTP/1.1 400", "number", true},
    {POST_ "Content-Length: 0x2\r\n\r\nhi", "HTTP/1.1 400", "number", true},
    {POST_ "Content-Length:\r\n\r\n", "HTTP/1.1 400", "number", true},
    {POST_ "Content-Length: 1048577\r\n\r\n", "HTTP/1.1 413", "too_large", true},
    {POST_ "Content-Length: 99999999999\r\n\r\n", "HTTP/1.1 413", "too_large", true},
    {POST_ "Content-Length: 99999999999999999999999\r\n\r\n", "HTTP/1.1 400", "\"retry\":false",
     true},
    {POST_ "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nhi", OK, "\r\n\r\nhi", false},
    {POST_ "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 413", "too_large",
     true},

    /* Chunks. */
    {CHUNKED "3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n", OK, "\r\n\r\nabcde", false},
    {CHUNKED "2;x=y;z=\"w\"\r\nde\r\n0;last\r\n\r\n", OK, "\r\n\r\nde", false},
    {CHUNKED "0000000A\r\n0123456789\r\n000\r\n\r\n", OK, "\r\n\r\n0123456789", false},
    {CHUNKED "0\r\n\r\n" GET_ "Connection: close\r\n\r\n", OK, "Connection: close", true},
    {CHUNKED "xyz\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "0x1\r\na\r\n0\r\n\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "-1\r\na\r\n0\r\n\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "1\r\naxy\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "1\r\naxy0\r\n\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "1\na\n0\n\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "1;a\nb\r\na\r\n0\r\n\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "1\r\na\r\n0\r\n\rX", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "0\r\nA: b\n\r\n", "HTTP/1.1 400", "chunk", true},
    {CHUNKED "FFFFFFFFFFFFFFFFF\r\n", "HTTP/1.1 400", "chunk", true},
};

/* Every refusal is JSON, says so, and that nothing was applied. */
static void check_refusal(const char *answer)
{
    if (strncmp(answer, "HTTP/1.1 2", 10) == 0)
        return;
    assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n{\"error\":\""));
    assert_non_null(strstr(answer, ",\"applied\":\"no\"}\n"));
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
}

/* `step` bytes at a time. */
static void check_case(struct scene *s, const struct raw_case *c, size_t step)
{
    int fd = raw_open(s);
    char text[4096];
    const char *answer = text;
    char byte;

    s->held_count = 0;
    s->ticks = 0;
    raw_send(s, fd, bytes_of_str(c->request), step);
    if (!c->status) /* no whole head: nothing is said */
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
    raw_talk(s, fd, bytes_of(NULL, 0), c->closes ? NULL : c->part, text, sizeof text);
    if (strncmp(text, CONTINUE, strlen(CONTINUE)) == 0) /* it came late enough to be told */
        answer += strlen(CONTINUE);
    if (!c->status) {
        assert_int_equal(answer[0], '\0');
    } else {
        assert_int_equal(strncmp(answer, c->status, strlen(c->status)), 0);
        assert_non_null(strstr(answer, c->part));
        check_refusal(answer);
    }
    if (!c->closes)
        assert_int_not_equal(tcp_read(fd, &byte, 1), TCP_CLOSED);
    (void)close(fd);
}

static void raw_requests_get_their_answers(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(raw_cases); i++) {
        print_message("%zu: %.60s\n", i, raw_cases[i].request);
        check_case(*state, &raw_cases[i], 4096);
        check_case(*state, &raw_cases[i], 1);
    }
}

/* A value does not end at a NUL: it is refused. */
static void a_nul_is_refused(void **state)
{
    static const char in_value[] = "POST / HTTP/1.1\r\nHost: h\r\nKelpie-Request-Id: a\0b\r\n\r\n";
    static const char in_name[] = "POST / HTTP/1.1\r\nHost: h\r\nA\0b: c\r\n\r\n";
    static const char in_target[] = "POST /a\0b HTTP/1.1\r\nHost: h\r\n\r\n";
    static const struct bytes texts[] = {{(const uint8_t *)in_value, sizeof in_value - 1},
                                         {(const uint8_t *)in_name, sizeof in_name - 1},
                                         {(const uint8_t *)in_target, sizeof in_target - 1}};
    struct scene *s = *state;
    char answer[1024];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = raw_open(s);

        raw_talk(s, fd, texts[i], NULL, answer, sizeof answer);
        assert_int_equal(strncmp(answer, "HTTP/1.1 400", 12), 0);
        check_refusal(answer);
        (void)close(fd);
    }
    assert_int_equal(s->handled, 0);
}

/* Extensions and trailers are no way around the bounds. */
static void chunks_have_a_bound(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    struct buf text;
    char answer[1024];

    buf_init(&text, loop_mem());
    buf_appendf(&text, CHUNKED "1;");
    while (text.len < HTTP_FRAMING_MAX + 200)
        buf_append_u8(&text, 'x');
    raw_talk(s, fd, buf_bytes(&text), NULL, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 400", 12), 0);
    (void)close(fd);

    fd = raw_open(s);
    buf_clear(&text);
    buf_appendf(&text, CHUNKED);
    for (size_t i = 0; i < HTTP_BODY_MAX / 65536 + 1; i++) {
        buf_appendf(&text, "10000\r\n");
        memset(buf_reserve(&text, 65536), 'x', 65536);
        text.len += 65536;
        buf_appendf(&text, "\r\n");
    }
    raw_send(s, fd, buf_bytes(&text), 32768);
    raw_talk(s, fd, bytes_of(NULL, 0), NULL, answer, sizeof answer);
    assert_int_equal(strncmp(answer, "HTTP/1.1 413", 12), 0);
    check_refusal(answer);
    assert_int_equal(s->handled, 0);
    (void)close(fd);
    buf_deinit(&text);
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
    assert_int_equal(strncmp(answer, "HTTP/1.1 431", 12), 0);
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

/* Also an answer that comes later, and those to what was sent ahead. */
static void a_client_that_closed_its_side_gets_its_answers(void **state)
{
    static const char text[] = "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
                               "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\ntwo"
                               "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nthr";
    struct scene *s = *state;
    int fd = raw_open(s);
    char answer[4096];

    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    scene_run(s, 5 * NS_PER_MS);
    assert_int_equal(s->handled, 1);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("held"));
    raw_talk(s, fd, bytes_of(NULL, 0), NULL, answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\n\r\nheld"));
    assert_non_null(strstr(answer, "\r\n\r\ntwo"));
    assert_int_equal(s->handled, 2);
    (void)close(fd);
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
        T(a_nul_is_refused),
        T(chunks_have_a_bound),
        T(a_client_may_wait_to_be_told_to_continue),
        T(headers_have_a_limit),
        T(requests_may_be_sent_ahead),
        T(a_client_that_goes_away_is_noticed),
        T(a_client_may_close_its_side),
        T(a_client_that_closed_its_side_gets_its_answers),
        T(what_comes_during_a_request_waits),
        T(a_stream_that_nobody_reads_is_cut),
        T(unanswered_streams_outlive_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
