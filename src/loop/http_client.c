#include "loop/http_client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/list.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

/* bufferevents move 16 KiB a turn unless told otherwise. */
#define MOVE_MAX (256u * 1024)
#define HEADERS_MAX (32u * 1024)
#define INPUT_MAX (HTTP_CLIENT_BODY_MAX + 2 * HEADERS_MAX + MOVE_MAX)
/* evhttp's own time-outs have a default; calls have a timer each. */
#define NEVER_S (10 * 365 * 24 * 3600)

struct client_conn;

/* A request from its start to its callback. */
struct call {
    struct list link; /* in client->waiting or client->active */
    struct http_client *client;
    struct client_conn *conn;
    enum evhttp_cmd_type method;
    char *path;
    char *request_id; /* or NULL */
    struct bytes body;
    bool is_repeatable;
    bool wants_fresh; /* its kept connection turned out to be closed: once is enough */
    bool starting;    /* evhttp may fail it at once, but the callback comes from the loop */
    bool wrote;       /* some of it left for the server */
    bool heard;       /* some of an answer came */
    bool too_much;    /* of it */
    int http_error;   /* what evhttp said */
    int error;        /* decided already; the timer completes it */
    struct timer timer;
    void (*chunk)(void *arg, struct bytes data);
    http_response_fn *fn;
    void *arg;
};

/* A connection of evhttp's. It connects when it gets its first request. */
struct client_conn {
    struct list link; /* in client->idle or client->busy */
    struct http_client *client;
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    struct call *call; /* NULL: idle */
    bool is_open;
    bool is_reused; /* by the call: it was open before */
};

struct http_client {
    struct loop *loop;
    struct mem mem;
    char addr[NET_ADDR_SIZE];
    char host[NET_ADDR_SIZE];
    uint16_t port; /* 0: the address is none */
    struct list waiting;
    size_t waiting_count;
    struct list active; /* on a connection, or decided */
    struct list idle;
    struct list busy;
    size_t conn_count;
};

static void start_next(struct http_client *c);

/* ---- connections ---- */

/* Its request, if it has one, ends without a callback. */
static void conn_free(struct client_conn *conn)
{
    struct http_client *c = conn->client;

    list_remove(&conn->link);
    c->conn_count--;
    conn->call = NULL;
    evhttp_connection_free(conn->evcon);
    mem_free(c->mem, conn);
}

/* The call has its outcome. */
static void conn_release(struct client_conn *conn)
{
    conn->call = NULL;
    list_remove(&conn->link);
    list_append(&conn->client->idle, &conn->link);
}

/* A kept connection that the server has closed since is readable: with nothing, or an error. */
static bool conn_is_alive(const struct client_conn *conn)
{
    char byte;

    return recv(bufferevent_getfd(conn->bev), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* evhttp closes the descriptor. */
static void on_conn_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    ((struct client_conn *)arg)->is_open = false;
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct client_conn *conn = arg;

    if (!info->n_added || !conn->call)
        return;
    conn->call->heard = true;
    /* evhttp waits for whole bodies, and for whole chunks of streams. */
    if (evbuffer_get_length(input) > INPUT_MAX && !conn->call->too_much) {
        conn->call->too_much = true;
        bufferevent_trigger_event(conn->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
    }
}

/* Some of the request left: whether the server acts on it is not known from then on. (evhttp also
 * empties the buffer when it has closed.) */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct client_conn *conn = arg;

    (void)output;
    if (info->n_added && !conn->is_open) {
        conn->is_open = true;
        tcp_set_outgoing(bufferevent_getfd(conn->bev));
    } else if (info->n_deleted && conn->is_open && conn->call) {
        conn->call->wrote = true;
    }
}

static struct client_conn *conn_new(struct http_client *c)
{
    struct client_conn *conn = MEM_NEW(c->mem, struct client_conn);
    struct event_base *base = loop_base(c->loop);

    conn->client = c;
    conn->bev = bufferevent_socket_new(base, -1, 0);
    CHECK(conn->bev);
    CHECK(evbuffer_add_cb(bufferevent_get_input(conn->bev), on_input, conn));
    CHECK(evbuffer_add_cb(bufferevent_get_output(conn->bev), on_output, conn));
    (void)bufferevent_set_max_single_write(conn->bev, MOVE_MAX);
    (void)bufferevent_set_max_single_read(conn->bev, MOVE_MAX);
    conn->evcon = evhttp_connection_base_bufferevent_new(base, NULL, conn->bev, c->host, c->port);
    CHECK(conn->evcon);
    evhttp_connection_set_closecb(conn->evcon, on_conn_close, conn);
    evhttp_connection_set_timeout(conn->evcon, NEVER_S);
    evhttp_connection_set_max_headers_size(conn->evcon, HEADERS_MAX);
    /* A server that refuses a long body answers before it has read it, and closes. */
    CHECK(evhttp_connection_set_flags(conn->evcon, EVHTTP_CON_READ_ON_WRITE_ERROR) == 0);
    list_append(&c->idle, &conn->link);
    c->conn_count++;
    return conn;
}

/* ---- the ends of calls ---- */

static void call_free(struct call *call)
{
    struct mem mem = call->client->mem;

    list_remove(&call->link);
    timer_stop(&call->timer);
    mem_free(mem, call->path);
    mem_free(mem, call->request_id);
    mem_free(mem, (void *)(uintptr_t)call->body.data);
    mem_free(mem, call);
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
    call->conn = NULL;
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

/* ---- what evhttp tells ---- */

static void fail(struct call *call)
{
    struct client_conn *conn = call->conn;
    struct http_client *c = call->client;
    int error = call->too_much     ? KELPIE_E_PROTOCOL
                : call->http_error ? call->http_error
                                   : KELPIE_E_UNREACHABLE;
    bool is_stale = error == KELPIE_E_UNREACHABLE && conn->is_reused && !call->heard;

    conn_release(conn);
    if (is_stale && !call->wants_fresh && (call->is_repeatable || !call->wrote))
        wait_again(call);
    else if (call->starting) {
        settle(call, error);
        return; /* into start_next */
    } else
        complete(call, error, 0, bytes_of(NULL, 0));
    start_next(c);
}

/* The request is done. Without an answer evhttp gives none, or one without a status. */
static void on_done(struct evhttp_request *req, void *arg)
{
    struct call *call = arg;
    struct http_client *c = call->client;
    int status = req ? evhttp_request_get_response_code(req) : 0;
    struct evbuffer *input;
    size_t len;

    if (!status) {
        fail(call);
        return;
    }
    conn_release(call->conn);
    input = evhttp_request_get_input_buffer(req);
    len = call->chunk ? 0 : evbuffer_get_length(input);
    complete(call, 0, status, bytes_of(len ? evbuffer_pullup(input, -1) : NULL, len));
    start_next(c);
}

static void on_http_error(enum evhttp_request_error error, void *arg)
{
    struct call *call = arg;

    call->http_error = error == EVREQ_HTTP_INVALID_HEADER || error == EVREQ_HTTP_DATA_TOO_LONG
                           ? KELPIE_E_PROTOCOL
                           : KELPIE_E_UNREACHABLE;
}

static void on_chunk(struct evhttp_request *req, void *arg)
{
    struct call *call = arg;
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(input);

    call->chunk(call->arg, bytes_of(evbuffer_pullup(input, -1), len));
}

/* ---- starting ---- */

/* A kept connection: the one used last, if it still lives. */
static struct client_conn *conn_reuse(struct http_client *c)
{
    while (!list_empty(&c->idle)) {
        struct client_conn *conn = LIST_ENTRY(c->idle.prev, struct client_conn, link);

        if (conn->is_open && conn_is_alive(conn))
            return conn;
        conn_free(conn);
    }
    return NULL;
}

static void add_header(struct evhttp_request *req, const char *name, const char *value)
{
    CHECK(evhttp_add_header(evhttp_request_get_output_headers(req), name, value) == 0);
}

static struct evhttp_request *request_new(struct call *call)
{
    struct evhttp_request *req = evhttp_request_new(on_done, call);
    char length[32];

    CHECK(req);
    evhttp_request_set_error_cb(req, on_http_error);
    if (call->chunk)
        evhttp_request_set_chunked_cb(req, on_chunk);
    add_header(req, "Host", call->client->addr);
    add_header(req, "Kelpie-Request", "1"); /* not sent by a page in a browser */
    if (call->request_id)
        add_header(req, "Kelpie-Request-Id", call->request_id);
    /* evhttp says the length only where a body is usual. */
    if (call->body.len) {
        (void)snprintf(length, sizeof length, "%zu", call->body.len);
        add_header(req, "Content-Length", length);
        CHECK(evbuffer_add(evhttp_request_get_output_buffer(req), call->body.data,
                           call->body.len) == 0);
    }
    return req;
}

static void call_begin(struct call *call, struct client_conn *conn)
{
    struct http_client *c = call->client;

    list_remove(&conn->link);
    list_append(&c->busy, &conn->link);
    list_remove(&call->link);
    list_append(&c->active, &call->link);
    conn->is_reused = conn->is_open;
    conn->call = call;
    call->conn = conn;
    call->heard = false;
    call->http_error = 0;
    /* Of a stream evhttp would count all that ever came. */
    evhttp_connection_set_max_body_size(conn->evcon,
                                        call->chunk ? -1 : (ev_ssize_t)HTTP_CLIENT_BODY_MAX);
    call->starting = true;
    CHECK(evhttp_make_request(conn->evcon, request_new(call), call->method, call->path) == 0);
    call->starting = false;
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
        call_begin(call, conn ? conn : conn_new(c));
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

static bool method_of(const char *name, enum evhttp_cmd_type *out)
{
    static const struct {
        const char *name;
        enum evhttp_cmd_type type;
    } methods[] = {{"GET", EVHTTP_REQ_GET},         {"POST", EVHTTP_REQ_POST},
                   {"PUT", EVHTTP_REQ_PUT},         {"DELETE", EVHTTP_REQ_DELETE},
                   {"HEAD", EVHTTP_REQ_HEAD},       {"PATCH", EVHTTP_REQ_PATCH},
                   {"OPTIONS", EVHTTP_REQ_OPTIONS}, {"TRACE", EVHTTP_REQ_TRACE}};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(name, methods[i].name) == 0) {
            *out = methods[i].type;
            return true;
        }
    }
    return false;
}

static struct call *call_new(struct http_client *c, http_response_fn *fn, void *arg)
{
    struct call *call = MEM_NEW(c->mem, struct call);

    CHECK(fn);
    call->client = c;
    call->fn = fn;
    call->arg = arg;
    list_init(&call->link);
    timer_init(&call->timer, loop_timers(c->loop), "http_call", on_timer, call);
    return call;
}

static void call_start(struct call *call, const char *method, const char *path,
                       const char *request_id, struct bytes body, uint64_t timeout_ms)
{
    struct http_client *c = call->client;

    if (path[0] != '/' || !is_clean(path) || !method_of(method, &call->method) ||
        (request_id && (!*request_id || !is_clean(request_id)))) {
        settle(call, KELPIE_E_INVALID);
        return;
    }
    if (c->waiting_count >= HTTP_CLIENT_WAITING_MAX) {
        settle(call, KELPIE_E_LIMIT);
        return;
    }
    if (!c->port) {
        settle(call, KELPIE_E_UNREACHABLE);
        return;
    }
    call->is_repeatable =
        request_id || call->method == EVHTTP_REQ_HEAD || call->method == EVHTTP_REQ_GET;
    call->path = mem_strndup(c->mem, path, strlen(path));
    call->request_id = request_id ? mem_strndup(c->mem, request_id, strlen(request_id)) : NULL;
    if (body.len)
        call->body = bytes_of(mem_dup(c->mem, body.data, body.len), body.len);
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
    /* An address that is none: requests end as unreachable. */
    if (strlen(addr) < sizeof c->addr && tcp_addr_split(addr, c->host, &c->port) == 0)
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
