#include "loop/http_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"
#include "loop/tcp_socket.h"

/* Read ahead while a request is being handled; more than a head, or heads would not fit. */
#define INPUT_MAX (2 * HTTP_HEADERS_MAX)
#define SWEEP_NS NS_PER_S
/* How long a refused client may go on sending before it is cut off: an early close would make its
 * system throw the refusal away. */
#define LINGER_NS (2 * NS_PER_S)
#define NEVER UINT64_MAX
/* bufferevents move 16 KiB a turn unless told otherwise. */
#define MOVE_MAX (256u * 1024)

enum conn_state {
    CONN_HEAD,     /* reading, or waiting for, a head */
    CONN_BODY,     /* reading a body */
    CONN_ANSWER,   /* the handler has the exchange, or streams */
    CONN_LAST,     /* the last answer is being written */
    CONN_LINGER,   /* it was a refusal: waiting until the client has heard it */
    CONN_BREAKING, /* to be closed from the loop */
};

struct http_conn {
    struct list link;
    struct http_server *server;
    struct bufferevent *bev;
    enum conn_state state;
    struct http_exchange *ex; /* CONN_BODY, CONN_ANSWER; else NULL */
    bool in_request;          /* CONN_HEAD: its first byte is here */
    bool closes;              /* after the answer under way */
    bool lingers;
    bool advancing;
    uint64_t deadline_ns;
};

struct http_server {
    struct loop *loop;
    struct mem mem;
    struct clock clock;
    struct tcp_listener *listener;
    char addr[NET_ADDR_SIZE];
    http_handler_fn *fn;
    void *arg;
    struct list conns;
    size_t conn_count;
    struct list exchanges; /* handed to the handler and not freed */
    size_t pending;
    bool draining;
    struct timer sweep;
    struct buf scratch;
};

static void conn_advance(struct http_conn *c);

static void conn_free(struct http_conn *c)
{
    struct http_exchange *ex = c->ex;

    list_remove(&c->link);
    c->server->conn_count--;
    bufferevent_free(c->bev);
    mem_free(c->server->mem, c);
    if (ex)
        http_exchange_gone(ex);
}

static void set_deadline(struct http_conn *c, uint64_t ns)
{
    c->deadline_ns = clock_now_ns(c->server->clock) + ns;
}

/* ---- what exchanges do to their connection ---- */

void http_conn_write(struct http_conn *c, struct bytes data)
{
    CHECK(bufferevent_write(c->bev, data.data, data.len) == 0);
}

size_t http_conn_waiting(const struct http_conn *c)
{
    if (c->state == CONN_BREAKING)
        return HTTP_OUTPUT_MAX;
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

bool http_conn_closes(struct http_conn *c, bool force)
{
    if (force || c->server->draining)
        c->closes = true;
    return c->closes;
}

void http_conn_break(struct http_conn *c)
{
    if (c->state == CONN_BREAKING)
        return;
    c->state = CONN_BREAKING;
    bufferevent_trigger_event(c->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

void http_conn_answered(struct http_conn *c)
{
    c->ex = NULL;
    if (c->state == CONN_BREAKING)
        return;
    c->state = c->closes ? CONN_LAST : CONN_HEAD;
    c->in_request = false;
    c->deadline_ns = NEVER;
    if (c->closes) {
        /* Nothing left to write, so nothing would tell that it was written. */
        if (http_conn_waiting(c) == 0)
            http_conn_break(c);
        return;
    }
    set_deadline(c, HTTP_IDLE_S * NS_PER_S);
    /* The next request may be here already; nothing else would wake us for it. */
    if (!c->advancing && evbuffer_get_length(bufferevent_get_input(c->bev)))
        bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

void http_server_handled(struct http_server *s)
{
    CHECK(s->pending > 0);
    s->pending--;
}

/* ---- reading ---- */

static const char *error_name(int status)
{
    switch (status) {
    case 405:
        return kelpie_error_name(KELPIE_E_METHOD_NOT_ALLOWED);
    case 413:
    case 431:
        return kelpie_error_name(KELPIE_E_TOO_LARGE);
    case 503:
        return kelpie_error_name(KELPIE_E_LIMIT);
    default:
        return kelpie_error_name(KELPIE_E_INVALID);
    }
}

/* Answers a request that no handler sees, and closes when the client has heard it. `why` needs no
 * escaping. */
static void refuse(struct http_conn *c, int status, const char *why)
{
    struct buf *out = &c->server->scratch;
    char body[512];

    (void)snprintf(body, sizeof body, "{\"error\":\"%s\",\"message\":\"%s\",\"retry\":%s}\n",
                   error_name(status), why, status == 503 ? "true" : "false");
    buf_clear(out);
    http_answer_head(out, status, "application/json", (long long)strlen(body),
                     status == 405 ? bytes_of_str("Allow: GET, POST, PUT, DELETE, HEAD\r\n")
                                   : bytes_of(NULL, 0),
                     "close");
    buf_append_bytes(out, bytes_of_str(body));
    http_conn_write(c, buf_bytes(out));
    if (c->ex)
        http_exchange_free(c->ex);
    c->ex = NULL;
    c->state = CONN_LAST;
    c->deadline_ns = NEVER;
    c->lingers = true;
}

static bool method_is_known(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD"};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(method, methods[i]) == 0)
            return true;
    }
    return false;
}

static void refuse_body(struct http_conn *c)
{
    char why[64];

    (void)snprintf(why, sizeof why, "the body is over the limit of %u bytes", HTTP_BODY_MAX);
    refuse(c, 413, why);
}

static void begin_exchange(struct http_conn *c, char *text, size_t len)
{
    struct http_server *s = c->server;
    struct http_head head;
    const char *why = "";
    int status = http_request_parse(text, len, &head, &why);

    if (!status && !method_is_known(head.method)) {
        status = 405;
        why = "only GET, POST, PUT, DELETE and HEAD are understood here";
    }
    if (status) {
        refuse(c, status, why);
        mem_free(s->mem, text);
        return;
    }
    c->ex = http_exchange_new(c, s->mem, text, &head);
    c->ex->server = s;
    c->closes = !head.keep_alive;
    c->state = CONN_BODY;
    if (head.framing == HTTP_LENGTH && head.length > HTTP_BODY_MAX)
        refuse_body(c);
    else if (head.expects_continue && !c->ex->framing.done)
        http_conn_write(c, bytes_of_str("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* Returns false when more bytes are needed. */
static bool read_head(struct http_conn *c, struct evbuffer *input)
{
    size_t len = evbuffer_get_length(input);
    const uint8_t *data = len ? evbuffer_pullup(input, -1) : NULL;
    long head_len;
    char *text;

    /* Empty lines before a request are tolerated (RFC 9112, 2.2). */
    while (len >= 2 && data[0] == '\r' && data[1] == '\n') {
        (void)evbuffer_drain(input, 2);
        len -= 2;
        data = len ? evbuffer_pullup(input, -1) : NULL;
    }
    if (len == 0)
        return false;
    if (!c->in_request)
        set_deadline(c, HTTP_REQUEST_S * NS_PER_S);
    c->in_request = true;
    head_len = http_head_scan(bytes_of(data, len));
    if (head_len < 0)
        refuse(c, 431, "the headers are over the limit of 32768 bytes");
    if (head_len <= 0)
        return false;
    text = mem_dup(c->server->mem, data, (size_t)head_len);
    (void)evbuffer_drain(input, (size_t)head_len);
    begin_exchange(c, text, (size_t)head_len);
    return true;
}

/* Returns false when more bytes are needed. */
static bool read_body(struct http_conn *c, struct evbuffer *input)
{
    struct http_exchange *ex = c->ex;

    while (!ex->framing.done) {
        size_t len = evbuffer_get_length(input);
        const uint8_t *data = len ? evbuffer_pullup(input, -1) : NULL;
        struct bytes piece;
        long n = http_body_read(&ex->framing, bytes_of(data, len), &piece);

        if (n < 0) {
            refuse(c, 400, "the body is not what its headers say");
            return false;
        }
        if (ex->body.len + piece.len > HTTP_BODY_MAX) {
            refuse_body(c);
            return false;
        }
        buf_append_bytes(&ex->body, piece);
        (void)evbuffer_drain(input, (size_t)n);
        if (n == 0 && !ex->framing.done)
            return false;
    }
    return true;
}

static void hand_over(struct http_conn *c)
{
    struct http_server *s = c->server;

    c->state = CONN_ANSWER;
    c->deadline_ns = NEVER;
    c->ex->state = EXCHANGE_HANDLING;
    list_append(&s->exchanges, &c->ex->link);
    s->pending++;
    s->fn(s->arg, c->ex);
}

/* Goes as far as the bytes that are here allow. A client that sends request after request without
 * reading the answers waits until it has. */
static void conn_advance(struct http_conn *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    bool more = true;

    c->advancing = true;
    while (more) {
        switch (c->state) {
        case CONN_HEAD:
            more = http_conn_waiting(c) < HTTP_OUTPUT_MAX && read_head(c, input);
            break;
        case CONN_BODY:
            more = read_body(c, input);
            if (more)
                hand_over(c);
            break;
        case CONN_LAST:
        case CONN_LINGER:
            (void)evbuffer_drain(input, evbuffer_get_length(input));
            more = false;
            break;
        default:
            more = false;
        }
    }
    c->advancing = false;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)bev;
    conn_advance(arg);
}

/* Everything was written. */
static void on_write(struct bufferevent *bev, void *arg)
{
    struct http_conn *c = arg;

    if (c->state != CONN_LAST) {
        conn_advance(c);
    } else if (c->lingers) {
        (void)shutdown(bufferevent_getfd(bev), SHUT_WR);
        c->state = CONN_LINGER;
        set_deadline(c, LINGER_NS);
    } else {
        conn_free(c);
    }
}

/* The end of the stream, an error, or nothing written for HTTP_WRITE_S. A client that sends its
 * requests and then closes its side still gets what was answered already. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct http_conn *c = arg;

    if (what & BEV_EVENT_EOF && !c->ex && c->state != CONN_LINGER && http_conn_waiting(c) &&
        c->state != CONN_BREAKING) {
        c->state = CONN_LAST;
        c->lingers = false;
        (void)bufferevent_disable(bev, EV_READ);
        return;
    }
    conn_free(c);
}

/* ---- the whole ---- */

/* Best effort: it fits the socket's buffer, or the client just sees the end. */
static void refuse_connection(int fd)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Type: application/json\r\n"
        "Connection: close\r\n\r\n"
        "{\"error\":\"limit\",\"message\":\"this node has too many connections\",\"retry\":true}\n";
    long n = tcp_write(fd, answer, sizeof answer - 1);

    (void)n;
    (void)close(fd);
}

static void on_accept(void *arg, int fd, const char *from)
{
    static const struct timeval write_timeout = {.tv_sec = HTTP_WRITE_S};
    struct http_server *s = arg;
    struct http_conn *c;
    struct bufferevent *bev = NULL;

    (void)from;
    if (s->conn_count < HTTP_CONNECTIONS_MAX)
        bev = bufferevent_socket_new(loop_base(s->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        refuse_connection(fd);
        return;
    }
    c = MEM_NEW(s->mem, struct http_conn);
    c->server = s;
    c->bev = bev;
    list_append(&s->conns, &c->link);
    s->conn_count++;
    set_deadline(c, HTTP_IDLE_S * NS_PER_S);
    bufferevent_setcb(bev, on_read, on_write, on_event, c);
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
    (void)bufferevent_set_max_single_write(bev, MOVE_MAX);
    (void)bufferevent_set_timeouts(bev, NULL, &write_timeout);
    if (bufferevent_enable(bev, EV_READ | EV_WRITE))
        conn_free(c);
}

static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    uint64_t now = clock_now_ns(s->clock);

    LIST_FOREACH_SAFE(it, next, &s->conns)
    {
        struct http_conn *c = LIST_ENTRY(it, struct http_conn, link);

        bool is_reading = c->state == CONN_HEAD && http_conn_waiting(c) > 0;

        if (now >= c->deadline_ns && !is_reading)
            conn_free(c);
    }
    timer_start(&s->sweep, SWEEP_NS);
}

struct http_server *http_server_new(struct loop *loop, struct mem mem, const char *addr,
                                    http_handler_fn *fn, void *arg, char *why, size_t why_size)
{
    struct http_server *s = MEM_NEW(mem, struct http_server);

    s->loop = loop;
    s->mem = mem;
    s->clock = loop_clock(loop);
    s->fn = fn;
    s->arg = arg;
    list_init(&s->conns);
    list_init(&s->exchanges);
    buf_init(&s->scratch, mem);
    timer_init(&s->sweep, loop_timers(loop), "http_sweep", on_sweep, s);
    s->listener = tcp_listen(loop, mem, addr, on_accept, s, why, why_size);
    if (!s->listener) {
        http_server_free(s);
        return NULL;
    }
    (void)snprintf(s->addr, sizeof s->addr, "%s", tcp_listener_addr(s->listener));
    timer_start(&s->sweep, SWEEP_NS);
    return s;
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    tcp_listener_free(s->listener);
    s->listener = NULL;
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
    tcp_listener_free(s->listener);
    timer_stop(&s->sweep);
    while (!list_empty(&s->conns))
        conn_free(LIST_ENTRY(s->conns.next, struct http_conn, link));
    while ((item = list_pop(&s->exchanges)))
        LIST_ENTRY(item, struct http_exchange, link)->server = NULL;
    buf_deinit(&s->scratch);
    mem_free(s->mem, s);
}

const char *http_server_addr(const struct http_server *s)
{
    return s->addr;
}
