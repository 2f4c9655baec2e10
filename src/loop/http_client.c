#include "loop/http_client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "kelpie/error.h"
#include "loop/http_parse.h"
#include "loop/tcp_socket.h"

/* bufferevents move 16 KiB a turn unless told otherwise. */
#define MOVE_MAX (256u * 1024)

struct client_conn;

/* A request from its start to its callback. */
struct call {
    struct list link; /* in client->waiting or client->active */
    struct http_client *client;
    struct client_conn *conn;
    struct buf request;
    bool is_head;
    bool is_repeatable;
    bool wants_fresh; /* its kept connection turned out to be closed: once is enough */
    bool wrote;       /* some of it left for the server */
    int error;        /* decided already; the timer completes it */
    struct timer timer;
    void (*chunk)(void *arg, struct bytes data);
    http_response_fn *fn;
    void *arg;
};

struct client_conn {
    struct list link; /* in client->idle or client->busy */
    struct http_client *client;
    struct bufferevent *bev;
    struct call *call; /* NULL: idle */
    bool is_reused;
    bool has_head;
    char *text; /* of the answer's head */
    struct http_head head;
    struct http_body framing;
    struct buf body;
};

struct http_client {
    struct loop *loop;
    struct mem mem;
    char addr[NET_ADDR_SIZE];
    struct list waiting;
    size_t waiting_count;
    struct list active; /* on a connection, or decided */
    struct list idle;
    struct list busy;
    size_t conn_count;
};

static void start_next(struct http_client *c);

/* ---- connections ---- */

static void conn_free(struct client_conn *conn)
{
    struct http_client *c = conn->client;

    list_remove(&conn->link);
    c->conn_count--;
    bufferevent_free(conn->bev);
    mem_free(c->mem, conn->text);
    buf_deinit(&conn->body);
    mem_free(c->mem, conn);
}

/* Ready for the next request. */
static void conn_reset(struct client_conn *conn)
{
    mem_free(conn->client->mem, conn->text);
    conn->text = NULL;
    conn->has_head = false;
    conn->call = NULL;
    conn->is_reused = true;
    buf_clear(&conn->body);
}

/* A kept connection that the server has closed since is readable: with nothing, or an error. */
static bool conn_is_alive(const struct client_conn *conn)
{
    char byte;

    return recv(bufferevent_getfd(conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* ---- calls ---- */

static void call_free(struct call *call)
{
    list_remove(&call->link);
    timer_stop(&call->timer);
    buf_deinit(&call->request);
    mem_free(call->client->mem, call);
}

static void complete(struct call *call, int error, int status, struct bytes body)
{
    struct http_response response = {.error = error, .status = status, .body = body};
    http_response_fn *fn = call->fn;
    void *arg = call->arg;

    call_free(call);
    fn(arg, &response);
}

/* From within the call that started it: the callback follows from the loop. */
static void settle(struct call *call, int error)
{
    list_remove(&call->link);
    list_append(&call->client->active, &call->link);
    call->error = error;
    timer_start(&call->timer, 0);
}

static void wait_again(struct call *call)
{
    list_remove(&call->link);
    list_append(&call->client->waiting, &call->link);
    call->client->waiting_count++;
    call->conn = NULL;
    call->wants_fresh = true;
    call->wrote = false;
}

/* The connection failed, or what came is not HTTP. */
static void conn_fail(struct client_conn *conn, int error)
{
    struct http_client *c = conn->client;
    struct call *call = conn->call;
    bool is_stale = error == KELPIE_E_UNREACHABLE && conn->is_reused && !conn->has_head &&
                    evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0;

    conn_free(conn);
    if (call) {
        if (is_stale && !call->wants_fresh && (call->is_repeatable || !call->wrote))
            wait_again(call);
        else
            complete(call, error, 0, bytes_of(NULL, 0));
    }
    start_next(c);
}

static void on_timer(void *arg)
{
    struct call *call = arg;
    struct http_client *c = call->client;

    if (call->error) {
        complete(call, call->error, 0, bytes_of(NULL, 0));
        return;
    }
    if (call->conn)
        conn_free(call->conn);
    else
        c->waiting_count--;
    complete(call, KELPIE_E_TIMEOUT, 0, bytes_of(NULL, 0));
    start_next(c);
}

/* ---- reading the answer ---- */

static void conn_done(struct client_conn *conn)
{
    struct http_client *c = conn->client;
    struct call *call = conn->call;
    int status = conn->head.status;
    bool keep = conn->head.keep_alive && conn->head.framing != HTTP_UNTIL_CLOSE &&
                evbuffer_get_length(bufferevent_get_input(conn->bev)) == 0;
    struct buf body = conn->body;

    buf_init(&conn->body, c->mem);
    if (keep) {
        conn_reset(conn);
        list_remove(&conn->link);
        list_append(&c->idle, &conn->link);
    } else {
        conn_free(conn);
    }
    complete(call, 0, status, buf_bytes(&body));
    buf_deinit(&body);
    start_next(c);
}

/* Returns 1 when the head is there, 0 when more is needed, or an error. */
static int read_head(struct client_conn *conn, struct evbuffer *input)
{
    struct http_client *c = conn->client;

    while (!conn->has_head) {
        size_t len = evbuffer_get_length(input);
        const uint8_t *data = len ? evbuffer_pullup(input, -1) : NULL;
        long head_len = http_head_scan(bytes_of(data, len));
        const char *why;

        if (head_len <= 0)
            return head_len ? KELPIE_E_PROTOCOL : 0;
        conn->text = mem_dup(c->mem, data, (size_t)head_len);
        (void)evbuffer_drain(input, (size_t)head_len);
        if (http_response_parse(conn->text, (size_t)head_len, &conn->head, &why))
            return KELPIE_E_PROTOCOL;
        if (conn->head.status >= 200) {
            conn->has_head = true;
        } else { /* 100 Continue: the answer is still to come */
            mem_free(c->mem, conn->text);
            conn->text = NULL;
        }
    }
    if (conn->call->is_head)
        conn->head.framing = HTTP_NO_BODY;
    conn->framing = http_body_of(&conn->head);
    return 1;
}

static int read_body(struct client_conn *conn, struct evbuffer *input)
{
    while (!conn->framing.done) {
        size_t len = evbuffer_get_length(input);
        const uint8_t *data = len ? evbuffer_pullup(input, -1) : NULL;
        struct bytes piece;
        long n = http_body_read(&conn->framing, bytes_of(data, len), &piece);

        if (n < 0 || conn->body.len + piece.len > HTTP_CLIENT_BODY_MAX)
            return KELPIE_E_PROTOCOL;
        if (piece.len && conn->call->chunk)
            conn->call->chunk(conn->call->arg, piece);
        else
            buf_append_bytes(&conn->body, piece);
        (void)evbuffer_drain(input, (size_t)n);
        if (n == 0 && !conn->framing.done)
            return 0;
    }
    return 1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct client_conn *conn = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    int got = 1;

    if (!conn->call) { /* nobody asked */
        conn_fail(conn, KELPIE_E_PROTOCOL);
        return;
    }
    if (!conn->has_head)
        got = read_head(conn, input);
    if (got == 1)
        got = read_body(conn, input);
    if (got == 1)
        conn_done(conn);
    else if (got < 0)
        conn_fail(conn, got);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct client_conn *conn = arg;

    (void)bev;
    if (what & BEV_EVENT_EOF && conn->call && conn->has_head &&
        conn->head.framing == HTTP_UNTIL_CLOSE)
        conn_done(conn);
    else
        conn_fail(conn, KELPIE_E_UNREACHABLE);
}

/* Some of the request left: whether the server acts on it is not known from then on. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct client_conn *conn = arg;

    (void)output;
    if (info->n_deleted && conn->call)
        conn->call->wrote = true;
}

/* ---- starting ---- */

static struct client_conn *conn_open(struct http_client *c)
{
    int fd = tcp_connect(c->addr);
    struct client_conn *conn;
    struct bufferevent *bev;

    if (fd < 0)
        return NULL;
    bev = bufferevent_socket_new(loop_base(c->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    CHECK(bev);
    conn = MEM_NEW(c->mem, struct client_conn);
    conn->client = c;
    conn->bev = bev;
    list_append(&c->idle, &conn->link);
    c->conn_count++;
    buf_init(&conn->body, c->mem);
    bufferevent_setcb(bev, on_read, NULL, on_event, conn);
    (void)bufferevent_set_max_single_write(bev, MOVE_MAX);
    (void)bufferevent_set_max_single_read(bev, MOVE_MAX);
    CHECK(evbuffer_add_cb(bufferevent_get_output(bev), on_output, conn));
    CHECK(bufferevent_enable(bev, EV_READ | EV_WRITE) == 0);
    return conn;
}

/* The kept connection that was used last, if it still lives. */
static struct client_conn *conn_reuse(struct http_client *c)
{
    while (!list_empty(&c->idle)) {
        struct client_conn *conn = LIST_ENTRY(c->idle.prev, struct client_conn, link);

        if (conn_is_alive(conn))
            return conn;
        conn_free(conn);
    }
    return NULL;
}

static void call_begin(struct call *call, struct client_conn *conn)
{
    struct http_client *c = call->client;

    list_remove(&conn->link);
    list_append(&c->busy, &conn->link);
    list_remove(&call->link);
    list_append(&c->active, &call->link);
    conn->call = call;
    call->conn = conn;
    CHECK(bufferevent_write(conn->bev, call->request.data, call->request.len) == 0);
}

/* Gives waiting calls a connection as long as there is room for one. */
static void start_next(struct http_client *c)
{
    while (!list_empty(&c->waiting)) {
        struct call *call = LIST_ENTRY(c->waiting.next, struct call, link);
        struct client_conn *conn = call->wants_fresh ? NULL : conn_reuse(c);

        if (!conn && c->conn_count >= HTTP_CLIENT_CONNECTIONS_MAX) {
            if (list_empty(&c->idle))
                return;
            conn_free(LIST_ENTRY(c->idle.next, struct client_conn, link));
        }
        c->waiting_count--;
        if (!conn)
            conn = conn_open(c);
        if (conn)
            call_begin(call, conn);
        else
            settle(call, KELPIE_E_UNREACHABLE);
    }
}

static bool is_clean(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
            return false;
    }
    return true;
}

static void call_write(struct call *call, const char *method, const char *path,
                       const char *request_id, struct bytes body)
{
    struct buf *out = &call->request;

    buf_append_bytes(out, bytes_of_str(method));
    buf_append_u8(out, ' ');
    buf_append_bytes(out, bytes_of_str(path));
    buf_appendf(out, " HTTP/1.1\r\nHost: %s\r\n", call->client->addr);
    if (request_id) {
        buf_append_bytes(out, bytes_of_str("Kelpie-Request-Id: "));
        buf_append_bytes(out, bytes_of_str(request_id));
        buf_append_bytes(out, bytes_of_str("\r\n"));
    }
    if (body.len || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
        buf_appendf(out, "Content-Length: %zu\r\n", body.len);
    buf_append_bytes(out, bytes_of_str("\r\n"));
    buf_append_bytes(out, body);
}

static struct call *call_new(struct http_client *c, http_response_fn *fn, void *arg)
{
    struct call *call = MEM_NEW(c->mem, struct call);

    CHECK(fn);
    call->client = c;
    call->fn = fn;
    call->arg = arg;
    buf_init(&call->request, c->mem);
    list_init(&call->link);
    timer_init(&call->timer, loop_timers(c->loop), "http_call", on_timer, call);
    return call;
}

static void call_start(struct call *call, const char *method, const char *path,
                       const char *request_id, struct bytes body, uint64_t timeout_ms)
{
    struct http_client *c = call->client;

    call->is_head = strcmp(method, "HEAD") == 0;
    call->is_repeatable = request_id || call->is_head || strcmp(method, "GET") == 0;
    if (path[0] != '/' || !is_clean(path) || !is_clean(method) ||
        (request_id && (!*request_id || !is_clean(request_id)))) {
        settle(call, KELPIE_E_INVALID);
        return;
    }
    if (c->waiting_count >= HTTP_CLIENT_WAITING_MAX) {
        settle(call, KELPIE_E_LIMIT);
        return;
    }
    call_write(call, method, path, request_id, body);
    if (timeout_ms)
        timer_start(&call->timer, timeout_ms * NS_PER_MS);
    list_append(&c->waiting, &call->link);
    c->waiting_count++;
    start_next(c);
}

void http_client_send(struct http_client *c, const char *method, const char *path,
                      const char *request_id, struct bytes body, uint64_t timeout_ms,
                      http_response_fn *fn, void *arg)
{
    call_start(call_new(c, fn, arg), method, path, request_id, body, timeout_ms);
}

void http_client_stream(struct http_client *c, const char *path,
                        void (*chunk)(void *arg, struct bytes data), http_response_fn *fn,
                        void *arg)
{
    struct call *call = call_new(c, fn, arg);

    call->chunk = chunk;
    call_start(call, "GET", path, NULL, bytes_of(NULL, 0), 0);
}

struct http_client *http_client_new(struct loop *loop, struct mem mem, const char *addr)
{
    struct http_client *c = MEM_NEW(mem, struct http_client);

    c->loop = loop;
    c->mem = mem;
    /* An address that does not fit is none: requests end as unreachable. */
    if (strlen(addr) < sizeof c->addr)
        memcpy(c->addr, addr, strlen(addr) + 1);
    list_init(&c->waiting);
    list_init(&c->active);
    list_init(&c->idle);
    list_init(&c->busy);
    return c;
}

static void cancel_all(struct list *calls)
{
    while (!list_empty(calls))
        complete(LIST_ENTRY(calls->next, struct call, link), KELPIE_E_CANCELLED, 0,
                 bytes_of(NULL, 0));
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (!list_empty(&c->idle))
        conn_free(LIST_ENTRY(c->idle.next, struct client_conn, link));
    while (!list_empty(&c->busy))
        conn_free(LIST_ENTRY(c->busy.next, struct client_conn, link));
    cancel_all(&c->active);
    cancel_all(&c->waiting);
    mem_free(c->mem, c);
}
