/* The HTTP server and client in one loop, and raw sockets for what no decent client sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "kelpie/error.h"
#include "loop/http_client.h"
#include "loop/http_server.h"
#include "loop/tcp_socket.h"

struct scene {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct timer deadline;
    bool timed_out;
    size_t waiting; /* answers until the loop stops */

    /* What the server saw. */
    size_t handled;
    char path[128];
    char query[128];
    char request_id[64];
    size_t body_len;
    struct http_exchange *held[600]; /* "/hold": answered later */
    size_t held_count;
    size_t closed;
    size_t refused_chunks;
    struct timer tick;
    size_t ticks;

    /* What the client saw. */
    size_t answers;
    int error;
    int status;
    char body[4096];
    size_t answer_len;
    size_t chunks;
    struct buf streamed;
};

static void on_gone(void *arg)
{
    ((struct scene *)arg)->closed++;
}

static void on_held_gone(void *arg)
{
    struct scene *s = arg;

    s->closed++;
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("too late"));
    s->held_count = 0;
    loop_stop(s->loop);
}

/* Streams three chunks, one a millisecond. */
static void on_tick(void *arg)
{
    struct scene *s = arg;
    char line[32];

    (void)snprintf(line, sizeof line, "data: %zu\n\n", s->ticks);
    assert_true(http_exchange_chunk(s->held[0], bytes_of_str(line)));
    if (++s->ticks < 3)
        timer_start(&s->tick, NS_PER_MS);
    else {
        http_exchange_end(s->held[0]);
        s->held_count = 0;
    }
}

/* Streams as fast as it can, to a client that does not read. */
static void flood(struct scene *s, struct http_exchange *ex)
{
    static const char piece[64 * 1024];
    size_t i = 0;

    http_exchange_on_close(ex, on_gone, s);
    http_exchange_stream(ex, 200, "application/octet-stream");
    while (i < 100 && http_exchange_chunk(ex, bytes_of(piece, sizeof piece)))
        i++;
    assert_true(i > 1 && i < 5);
    s->refused_chunks++;
    assert_false(http_exchange_chunk(ex, bytes_of(piece, 1)));
    s->held[s->held_count++] = ex;
}

static void note(struct scene *s, struct http_exchange *ex)
{
    const char *query = http_exchange_query(ex, "q");
    const char *id = http_exchange_header(ex, "kelpie-request-id");

    s->handled++;
    (void)snprintf(s->path, sizeof s->path, "%s", http_exchange_path(ex));
    (void)snprintf(s->query, sizeof s->query, "%s", query ? query : "(none)");
    (void)snprintf(s->request_id, sizeof s->request_id, "%s", id ? id : "(none)");
    s->body_len = http_exchange_body(ex).len;
}

static void handle(void *arg, struct http_exchange *ex)
{
    struct scene *s = arg;
    const char *path = http_exchange_path(ex);

    note(s, ex);
    if (strcmp(path, "/hold") == 0) {
        s->held[s->held_count++] = ex;
    } else if (strcmp(path, "/hold-closing") == 0) {
        s->held[s->held_count++] = ex;
        http_exchange_on_close(ex, on_held_gone, s);
    } else if (strcmp(path, "/events") == 0) {
        s->held[s->held_count++] = ex;
        http_exchange_stream(ex, 200, "text/event-stream");
        timer_start(&s->tick, NS_PER_MS);
    } else if (strcmp(path, "/flood") == 0) {
        flood(s, ex);
    } else if (strcmp(path, "/big") == 0) {
        char *big = calloc(1, 3 * 1024 * 1024);

        assert_non_null(big);
        http_exchange_reply(ex, 200, "text/plain", bytes_of(big, 3 * 1024 * 1024));
        free(big);
    } else {
        http_exchange_set_header(ex, "X-Echo", "a\r\nb");
        http_exchange_reply(ex, 200, "text/plain", http_exchange_body(ex));
    }
}

static void on_deadline(void *arg)
{
    struct scene *s = arg;

    s->timed_out = true;
    loop_stop(s->loop);
}

static void open_server(struct scene *s, const char *addr)
{
    char why[256] = "";

    s->server = http_server_new(s->loop, loop_mem(), addr, handle, s, why, sizeof why);
    if (!s->server)
        fail_msg("%s", why);
}

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    if (!s)
        return -1;
    s->loop = loop_new();
    buf_init(&s->streamed, loop_mem());
    timer_init(&s->deadline, loop_timers(s->loop), "deadline", on_deadline, s);
    timer_init(&s->tick, loop_timers(s->loop), "tick", on_tick, s);
    open_server(s, "127.0.0.1:0");
    s->client = http_client_new(s->loop, loop_mem(), http_server_addr(s->server));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    timer_stop(&s->deadline);
    timer_stop(&s->tick);
    http_client_free(s->client);
    http_server_free(s->server);
    buf_deinit(&s->streamed);
    loop_free(s->loop);
    free(s);
    return 0;
}

static void run_for(struct scene *s, uint64_t ns)
{
    timer_start(&s->deadline, ns);
    loop_run(s->loop);
}

static void on_answer(void *arg, const struct http_response *r)
{
    struct scene *s = arg;

    s->answers++;
    s->error = r->error;
    s->status = r->status;
    s->answer_len = r->body.len;
    (void)snprintf(s->body, sizeof s->body, "%.*s", (int)(r->body.len < 4000 ? r->body.len : 0),
                   (const char *)r->body.data);
    if (s->waiting && --s->waiting == 0)
        loop_stop(s->loop);
}

static void await(struct scene *s, size_t answers)
{
    s->waiting = answers;
    s->timed_out = false;
    timer_start(&s->deadline, 10 * NS_PER_S);
    loop_run(s->loop);
    timer_stop(&s->deadline);
    assert_false(s->timed_out);
}

static void send_one(struct scene *s, const char *method, const char *path, const char *id,
                     struct bytes body)
{
    size_t before = s->answers;

    http_client_send(s->client, method, path, id, body, 5000, on_answer, s);
    assert_int_equal(s->answers, before);
}

static void request(struct scene *s, const char *method, const char *path, struct bytes body)
{
    send_one(s, method, path, NULL, body);
    await(s, 1);
}

static void a_request_is_answered(void **state)
{
    struct scene *s = *state;

    send_one(s, "POST", "/v1/a%2Fb/c?x=1&q=a%20b+c&y", "id-1", bytes_of_str("hello"));
    await(s, 1);
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
        request(s, methods[i], "/", bytes_of_str("xyz"));
        assert_int_equal(s->error, 0);
        assert_int_equal(s->status, 200);
        assert_int_equal(s->body_len, 3);
        assert_int_equal(s->answer_len, i < 4 ? 3 : 0);
    }
    request(s, "PATCH", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 405);
    assert_non_null(strstr(s->body, "\"error\":\"method_not_allowed\""));
}

static void the_body_has_a_limit(void **state)
{
    struct scene *s = *state;
    uint8_t *body = calloc(1, 8 * HTTP_BODY_MAX);

    assert_non_null(body);
    request(s, "POST", "/", bytes_of(body, HTTP_BODY_MAX));
    assert_int_equal(s->status, 200);
    assert_int_equal(s->answer_len, HTTP_BODY_MAX);
    request(s, "POST", "/", bytes_of(body, HTTP_BODY_MAX + 1));
    assert_int_equal(s->error, 0);
    assert_int_equal(s->status, 413);
    assert_string_equal(s->body,
                        "{\"error\":\"too_large\",\"message\":\"the body is over the limit of "
                        "1048576 bytes\",\"retry\":false}\n");
    request(s, "POST", "/", bytes_of(body, 8 * HTTP_BODY_MAX));
    assert_int_equal(s->status, 413);
    assert_int_equal(s->handled, 1);
    free(body);
}

static void large_answers_arrive(void **state)
{
    struct scene *s = *state;

    request(s, "GET", "/big", bytes_of(NULL, 0));
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

    http_client_stream(s->client, "/events", on_chunk, on_answer, s);
    await(s, 1);
    assert_int_equal(s->status, 200);
    assert_int_equal(s->chunks, 3);
    assert_true(
        bytes_equal(buf_bytes(&s->streamed), bytes_of_str("data: 0\n\ndata: 1\n\ndata: 2\n\n")));
    /* The connection goes on being of use. */
    request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->status, 200);
}

static void many_are_in_flight(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < 500; i++)
        send_one(s, "POST", "/hold", NULL, bytes_of_str("x"));
    while (s->held_count < 500)
        run_for(s, NS_PER_MS);
    assert_int_equal(http_server_pending(s->server), 500);
    for (size_t i = 0; i < 500; i++)
        http_exchange_reply(s->held[i], 200, "text/plain", bytes_of_str("y"));
    assert_int_equal(http_server_pending(s->server), 0);
    await(s, 500);
    assert_int_equal(s->answers, 500);
    assert_int_equal(s->status, 200);
}

static void more_than_the_pool_wait_for_their_turn(void **state)
{
    struct scene *s = *state;

    for (size_t i = 0; i < HTTP_CLIENT_CONNECTIONS_MAX + 300; i++)
        send_one(s, "POST", "/", NULL, bytes_of_str("x"));
    await(s, HTTP_CLIENT_CONNECTIONS_MAX + 300);
    assert_int_equal(s->error, 0);
    assert_int_equal(s->handled, HTTP_CLIENT_CONNECTIONS_MAX + 300);
}

/* The server closes kept connections (here: by being replaced): no request notices. */
static void a_kept_connection_that_was_closed_is_no_error(void **state)
{
    struct scene *s = *state;
    char addr[NET_ADDR_SIZE];

    (void)snprintf(addr, sizeof addr, "%s", http_server_addr(s->server));
    request(s, "POST", "/", bytes_of_str("one"));
    assert_int_equal(s->error, 0);
    http_server_free(s->server);
    open_server(s, addr);
    run_for(s, NS_PER_MS);
    request(s, "POST", "/", bytes_of_str("two"));
    assert_int_equal(s->error, 0);
    assert_string_equal(s->body, "two");

    /* Closed only after the request was sent: repeated if it has an id, else not known. */
    http_server_free(s->server);
    open_server(s, addr);
    send_one(s, "POST", "/", "id-1", bytes_of_str("again"));
    await(s, 1);
    assert_int_equal(s->error, 0);
    assert_string_equal(s->body, "again");
    http_server_free(s->server);
    open_server(s, addr);
    request(s, "POST", "/", bytes_of_str("once"));
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
    http_server_free(s->server);
    s->server = NULL;
    request(s, "POST", "/", bytes_of_str("three"));
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
}

/* The connection breaks while the request is being handled: a repeat is safe only with an id, and
 * here it meets nobody. */
static void a_server_that_dies_is_unreachable(void **state)
{
    struct scene *s = *state;

    send_one(s, "POST", "/hold", NULL, bytes_of_str("x"));
    while (!s->held_count)
        run_for(s, NS_PER_MS);
    http_server_free(s->server);
    s->server = NULL;
    await(s, 1);
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("nobody hears it"));
}

static void a_request_times_out(void **state)
{
    struct scene *s = *state;

    http_client_send(s->client, "GET", "/hold", NULL, bytes_of(NULL, 0), 20, on_answer, s);
    await(s, 1);
    assert_int_equal(s->error, KELPIE_E_TIMEOUT);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of(NULL, 0));
}

static void bad_requests_are_not_sent(void **state)
{
    struct scene *s = *state;

    request(s, "GET", "/a b", bytes_of(NULL, 0));
    assert_int_equal(s->error, KELPIE_E_INVALID);
    send_one(s, "GET", "/", "id\r\nEvil: 1", bytes_of(NULL, 0));
    await(s, 1);
    assert_int_equal(s->error, KELPIE_E_INVALID);
    assert_int_equal(s->handled, 0);
}

static void a_port_in_use_is_named(void **state)
{
    struct scene *s = *state;
    char why[256] = "";

    assert_null(http_server_new(s->loop, loop_mem(), http_server_addr(s->server), handle, s, why,
                                sizeof why));
    assert_non_null(strstr(why, http_server_addr(s->server)));
    assert_non_null(strstr(why, "in use"));
}

static void draining_closes_after_the_next_answer(void **state)
{
    struct scene *s = *state;

    request(s, "GET", "/", bytes_of(NULL, 0));
    send_one(s, "GET", "/hold", NULL, bytes_of(NULL, 0));
    while (!s->held_count)
        run_for(s, NS_PER_MS);
    http_server_drain(s->server);
    http_exchange_reply(s->held[0], 200, "text/plain", bytes_of_str("last"));
    await(s, 1);
    assert_string_equal(s->body, "last");
    request(s, "GET", "/", bytes_of(NULL, 0));
    assert_int_equal(s->error, KELPIE_E_UNREACHABLE);
}

/* ---- raw ---- */

static int raw_open(struct scene *s)
{
    int fd = tcp_connect(http_server_addr(s->server));

    assert_true(fd >= 0);
    run_for(s, 5 * NS_PER_MS);
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
        run_for(s, NS_PER_MS);
    }
    assert_true(until ? strstr(out, until) != NULL : closed);
}

struct raw_case {
    const char *request;
    const char *status; /* how the answer begins */
    const char *part;   /* and what is in it */
    bool closes;
};

static const struct raw_case raw_cases[] = {
    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK", "X-Echo: a??b\r\n", false},
    {"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200", "X-Echo", false},
    {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "Connection: close", true},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "HTTP/1.1 200", "Connection: keep-alive",
     false},
    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HTTP/1.1 200", "Connection: close",
     true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
     "HTTP/1.1 200", "\r\n\r\nabcde", false},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", "\r\n\r\nhi", false},
    {"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 200",
     "Content-Length: 4", false},

    {"nonsense\r\n\r\n", "HTTP/1.1 400", "{\"error\":\"invalid\",\"message\":\"the first line",
     true},
    {"GET /\r\n\r\n", "HTTP/1.1 400", "invalid", true},
    {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505", "HTTP/1.1 are spoken", true},
    {"GET http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /?q=%zz HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET /?q=%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400", "path", true},
    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "HTTP/1.1 400", "Host", true},
    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "HTTP/1.1 400", "malformed", true},
    {"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", "HTTP/1.1 400", "control", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 400",
     "more than once", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 400", "more than once", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400", "number", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 413",
     "too_large", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501", "invalid",
     true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400",
     "the body is not what", true},
    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", "HTTP/1.1 400",
     "the body is not what", true},
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
        run_for(s, NS_PER_MS);
    (void)close(fd);
    await(s, 0);
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
            run_for(s, NS_PER_MS);
    }
    assert_true(len > 3 * 1024 * 1024);
    (void)close(fd);
    free(answer);
}

static void a_stream_that_nobody_reads_is_cut(void **state)
{
    struct scene *s = *state;
    int fd = raw_open(s);
    static const char text[] = "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n";

    assert_int_equal(tcp_write(fd, text, sizeof text - 1), sizeof text - 1);
    while (!s->closed)
        run_for(s, NS_PER_MS);
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
        run_for(s, NS_PER_MS / 4);
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_is_answered),
        T(every_method_goes),
        T(the_body_has_a_limit),
        T(large_answers_arrive),
        T(a_stream_arrives_piece_by_piece),
        T(many_are_in_flight),
        T(more_than_the_pool_wait_for_their_turn),
        T(a_kept_connection_that_was_closed_is_no_error),
        T(a_server_that_dies_is_unreachable),
        T(a_request_times_out),
        T(bad_requests_are_not_sent),
        T(a_port_in_use_is_named),
        T(draining_closes_after_the_next_answer),
        T(raw_requests_get_their_answers),
        T(headers_have_a_limit),
        T(requests_may_be_sent_ahead),
        T(a_client_that_goes_away_is_noticed),
        T(a_client_may_close_its_side),
        T(a_stream_that_nobody_reads_is_cut),
        T(unanswered_streams_outlive_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
