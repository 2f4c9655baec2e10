#include "loop/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"
#include "loop/tcp_socket.h"

/* evhttp leaves a body in the connection's input until it is whole. */
#define INPUT_MAX (HTTP_BODY_READ_MAX + 2 * HTTP_HEADERS_MAX)
/* Read ahead while a request is being handled. */
#define AHEAD_MAX (2 * HTTP_HEADERS_MAX)
#define SWEEP_NS NS_PER_S
#define NEVER UINT64_MAX
/* bufferevents move 16 KiB a turn unless told otherwise. */
#define MOVE_MAX (256u * 1024)

struct http_server {
    struct loop *loop;
    struct mem mem;
    struct clock clock;
    struct evhttp *http;
    struct evhttp_bound_socket *bound; /* NULL: draining */
    struct event *adopt;
    char addr[NET_ADDR_SIZE];
    http_handler_fn *fn;
    void *arg;
    struct list fresh; /* accepted in this turn of the loop */
    struct list conns;
    struct map by_evcon;
    size_t conn_count;         /* of both lists */
    struct http_conn *handing; /* to the handler, now */
    struct list exchanges;     /* handed to the handler and not freed */
    size_t pending;
    struct timer sweep;
};

static void set_deadline(struct http_conn *c, uint64_t ns)
{
    c->deadline_ns = clock_now_ns(c->server->clock) + ns;
}

/* ---- what exchanges do to their connection ---- */

void http_conn_prepare(struct http_conn *c, struct evhttp_request *req, bool force)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req);
    const char *asked = evhttp_find_header(in, "Connection");
    bool keeps_10 = asked && evutil_ascii_strncasecmp(asked, "keep-alive", 10) == 0;

    if (!force && !c->closes && c->server->bound && (keeps_10 || !http_request_is_http10(req)))
        return;
    /* What the client asked for would make evhttp add a second, other answer to it. */
    while (evhttp_remove_header(in, "Connection") == 0)
        ;
    CHECK(evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close") == 0);
}

/* Of what evhttp 2.1 has no phrase for. */
const char *http_reason(int status)
{
    switch (status) {
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 507:
        return "Insufficient Storage";
    default:
        return NULL;
    }
}

void http_conn_send(struct http_conn *c, struct evhttp_request *req, int status, struct bytes body)
{
    bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
    bool has_body = status != 204 && status != 304;
    struct evbuffer *out = evbuffer_new();
    struct bufferevent *bev = c->bev;
    char length[32];

    CHECK(out);
    http_conn_prepare(c, req, false);
    /* evhttp would write a body behind any head, and say its length only where it may follow. */
    if (has_body) {
        (void)snprintf(length, sizeof length, "%zu", body.len);
        CHECK(evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", length) ==
              0);
        if (!is_head)
            CHECK(evbuffer_add(out, body.data, body.len) == 0);
    }
    evhttp_send_reply(req, status, http_reason(status), out);
    evbuffer_free(out);
    /* evhttp would take a client that closes its side for one that wants no answer any more. It
     * reads again when the answer is written. */
    (void)bufferevent_disable(bev, EV_READ);
}

size_t http_conn_waiting(const struct http_conn *c)
{
    if (c->breaking)
        return HTTP_OUTPUT_MAX;
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

void http_conn_break(struct http_conn *c)
{
    if (c->breaking)
        return;
    c->breaking = true;
    bufferevent_trigger_event(c->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

void http_server_handled(struct http_server *s)
{
    CHECK(s->pending > 0);
    s->pending--;
}

/* ---- requests ---- */

/* `why` needs no escaping. */
static void refuse(struct http_conn *c, struct evhttp_request *req, int status, int error,
                   const char *why)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    char body[512];

    (void)snprintf(body, sizeof body,
                   "{\"error\":\"%s\",\"message\":\"%s\",\"retry\":false,\"applied\":\"no\"}\n",
                   kelpie_error_name(error), why);
    CHECK(evhttp_add_header(headers, "Content-Type", "application/json") == 0);
    if (status == 405)
        CHECK(evhttp_add_header(headers, "Allow", "GET, POST, PUT, DELETE, HEAD") == 0);
    c->closes = true;
    http_conn_send(c, req, status, bytes_of_str(body));
}

/* The answer is written, and evhttp turns to the next request, or closes. */
static void on_complete(struct evhttp_request *req, void *arg)
{
    struct http_conn *c = arg;

    (void)req;
    if (c->holds_back)
        bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
    c->holds_back = false;
    c->in_request = evbuffer_get_length(bufferevent_get_input(c->bev)) > 0;
    set_deadline(c, (c->in_request ? HTTP_REQUEST_S : HTTP_IDLE_S) * NS_PER_S);
}

/* While a request is handled, evhttp reads nothing, and so does not see its client go; and if it
 * were made to read, what comes would end the process. So it reads, a bounded amount, and calls
 * nobody for it. */
static void watch_client(struct http_conn *c)
{
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_event;
    void *arg;

    bufferevent_getcb(c->bev, NULL, &on_write, &on_event, &arg);
    bufferevent_setcb(c->bev, NULL, on_write, on_event, arg);
    bufferevent_setwatermark(c->bev, EV_READ, 0, AHEAD_MAX);
    c->holds_back = true;
    (void)bufferevent_enable(c->bev, EV_READ);
}

static void hand_over(struct http_conn *c, struct evhttp_request *req)
{
    struct http_server *s = c->server;

    c->ex = http_exchange_new(c, s->mem, req);
    list_append(&s->exchanges, &c->ex->link);
    s->pending++;
    s->handing = c;
    s->fn(s->arg, c->ex);
    if (s->handing && c->ex)
        watch_client(c);
    s->handing = NULL;
}

static void adopt_fresh(struct http_server *s);

static void on_request(struct evhttp_request *req, void *arg)
{
    struct http_server *s = arg;
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    struct map_node *node;
    struct http_conn *c;
    char why[HTTP_WHY_SIZE];
    int error;
    int status;

    adopt_fresh(s);
    node = map_find(&s->by_evcon, bytes_of(&evcon, sizeof evcon));
    c = MAP_ENTRY(node, struct http_conn, node);
    CHECK(c);
    c->deadline_ns = NEVER;
    c->closes = http_request_left_body(req);
    evhttp_request_set_on_complete_cb(req, on_complete, c);
    status = http_request_check(req, why, &error);
    if (status)
        refuse(c, req, status, error, why);
    else
        hand_over(c, req);
}

/* ---- connections ---- */

static struct evconnlistener *listener_of(const struct http_server *s)
{
    return s->bound ? evhttp_bound_socket_get_listener(s->bound) : NULL;
}

static void accept_again(struct http_server *s)
{
    if (s->bound && s->conn_count < HTTP_CONNECTIONS_MAX)
        (void)evconnlistener_enable(listener_of(s));
}

/* Descriptors have run out: the connection stays in the system's queue, and asking again at once
 * would only burn the core. The next sweep asks, or the next connection that closes. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    (void)evconnlistener_disable(listener);
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct http_conn *c = arg;

    (void)input;
    if (!info->n_added || c->in_request || c->deadline_ns == NEVER)
        return;
    c->in_request = true;
    set_deadline(c, HTTP_REQUEST_S * NS_PER_S);
}

static void conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;

    (void)evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
    list_remove(&c->link);
    if (c->evcon)
        map_remove(&s->by_evcon, &c->node);
    if (s->handing == c)
        s->handing = NULL;
    s->conn_count--;
    mem_free(s->mem, c);
    accept_again(s);
}

/* evhttp is about to free the connection. A request that was not answered by then is ours to free:
 * evhttp has let go of it where the client is gone, and lets it be, being owned, where the server
 * closes. */
static void on_conn_close(struct evhttp_connection *evcon, void *arg)
{
    struct http_conn *c = arg;
    struct http_exchange *ex = c->ex;
    bool let_go;

    (void)evcon;
    conn_free(c);
    if (!ex)
        return;
    let_go = evhttp_request_get_connection(ex->req) == NULL;
    evhttp_request_own(ex->req);
    ex->conn = NULL;
    if (let_go)
        http_exchange_gone(ex);
}

/* evhttp makes its connection after it has asked for the bufferevent, and does not tell which it is
 * before the first request. It is what its callbacks get. */
static void adopt(struct http_conn *c)
{
    static const struct timeval write_timeout = {.tv_sec = HTTP_WRITE_S};
    struct http_server *s = c->server;
    void *evcon;

    bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
    c->evcon = evcon;
    if (!evcon) { /* freed again */
        struct bufferevent *bev = c->bev;

        conn_free(c);
        (void)bufferevent_decref(bev);
        return;
    }
    list_remove(&c->link);
    list_append(&s->conns, &c->link);
    CHECK(!map_insert(&s->by_evcon, &c->node, bytes_of(&c->evcon, sizeof c->evcon)));
    evhttp_connection_set_closecb(c->evcon, on_conn_close, c);
    /* Not evhttp's time-out: it would cut streams to which the client has nothing to say. */
    (void)bufferevent_set_timeouts(c->bev, NULL, &write_timeout);
    (void)bufferevent_decref(c->bev);
}

static void adopt_fresh(struct http_server *s)
{
    while (!list_empty(&s->fresh))
        adopt(LIST_ENTRY(s->fresh.next, struct http_conn, link));
}

static void on_adopt(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    adopt_fresh(arg);
}

/* evhttp has accepted a connection. */
static struct bufferevent *on_new_conn(struct event_base *base, void *arg)
{
    struct http_server *s = arg;
    struct http_conn *c = MEM_NEW(s->mem, struct http_conn);

    c->server = s;
    c->bev = bufferevent_socket_new(base, -1, 0);
    CHECK(c->bev);
    bufferevent_incref(c->bev);
    list_append(&s->fresh, &c->link);
    set_deadline(c, HTTP_IDLE_S * NS_PER_S);
    CHECK(evbuffer_add_cb(bufferevent_get_input(c->bev), on_input, c));
    bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
    (void)bufferevent_set_max_single_read(c->bev, MOVE_MAX);
    (void)bufferevent_set_max_single_write(c->bev, MOVE_MAX);
    if (++s->conn_count == HTTP_CONNECTIONS_MAX)
        (void)evconnlistener_disable(listener_of(s));
    event_active(s->adopt, EV_READ, 0);
    return c->bev;
}

static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    uint64_t now = clock_now_ns(s->clock);

    LIST_FOREACH_SAFE(it, next, &s->conns)
    {
        struct http_conn *c = LIST_ENTRY(it, struct http_conn, link);

        if (now >= c->deadline_ns)
            evhttp_connection_free(c->evcon);
    }
    accept_again(s);
    timer_start(&s->sweep, SWEEP_NS);
}

/* ---- the whole ---- */

static bool open_http(struct http_server *s, int fd)
{
    struct event_base *base = loop_base(s->loop);
    struct evconnlistener *listener;

    s->adopt = event_new(base, -1, 0, on_adopt, s);
    s->http = evhttp_new(base);
    if (!s->adopt || !s->http) {
        (void)close(fd);
        return false;
    }
    evhttp_set_max_headers_size(s->http, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(s->http, HTTP_BODY_READ_MAX);
    evhttp_set_default_content_type(s->http, NULL);
    /* All, also what evhttp does not know, so that the refusal is ours. */
    evhttp_set_allowed_methods(s->http, (ev_uint16_t)(0xffffu & ~(unsigned)EVHTTP_REQ_CONNECT));
    evhttp_set_gencb(s->http, on_request, s);
    evhttp_set_bevcb(s->http, on_new_conn, s);
    listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
    if (!listener) {
        (void)close(fd);
        return false;
    }
    evconnlistener_set_error_cb(listener, on_accept_error);
    s->bound = evhttp_bind_listener(s->http, listener);
    CHECK(s->bound);
    return true;
}

struct http_server *http_server_new(struct loop *loop, struct mem mem, const char *addr,
                                    http_handler_fn *fn, void *arg, char *why, size_t why_size)
{
    struct http_server *s = MEM_NEW(mem, struct http_server);
    int fd;

    s->loop = loop;
    s->mem = mem;
    s->clock = loop_clock(loop);
    s->fn = fn;
    s->arg = arg;
    list_init(&s->fresh);
    list_init(&s->conns);
    list_init(&s->exchanges);
    map_init(&s->by_evcon);
    timer_init(&s->sweep, loop_timers(loop), "http_sweep", on_sweep, s);
    fd = tcp_listen_open(addr, s->addr, why, why_size);
    if (fd >= 0 && open_http(s, fd)) {
        timer_start(&s->sweep, SWEEP_NS);
        return s;
    }
    if (fd >= 0)
        (void)snprintf(why, why_size, "cannot listen on %s: the event loop refuses", addr);
    http_server_free(s);
    return NULL;
}

void http_server_drain(struct http_server *s)
{
    if (s->bound)
        evhttp_del_accept_socket(s->http, s->bound);
    s->bound = NULL;
}

size_t http_server_pending(const struct http_server *s)
{
    return s->pending;
}

void http_server_free(struct http_server *s)
{
    struct list *item;

    if (!s)
        return;
    timer_stop(&s->sweep);
    http_server_drain(s);
    adopt_fresh(s);
    if (s->http)
        evhttp_free(s->http);
    while ((item = list_pop(&s->exchanges))) {
        struct http_exchange *ex = LIST_ENTRY(item, struct http_exchange, link);

        ex->server = NULL;
        http_exchange_gone(ex);
    }
    CHECK(s->conn_count == 0);
    if (s->adopt)
        event_free(s->adopt);
    mem_free(s->mem, s);
}

const char *http_server_addr(const struct http_server *s)
{
    return s->addr;
}
