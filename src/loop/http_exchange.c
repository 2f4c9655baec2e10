#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>

#include "loop/http_conn.h"

/* Answer headers that a handler may add. */
#define ANSWER_HEADER_MAX 8192

/* A decoded query value, kept as long as its exchange. */
struct value {
    struct list link;
    char *text; /* of evhttp_uridecode */
};

struct http_exchange *http_exchange_new(struct http_conn *conn, struct mem mem,
                                        struct evhttp_request *req)
{
    struct http_exchange *ex = MEM_NEW(mem, struct http_exchange);
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(input);
    /* Not evhttp's path: it would take what begins with "//" for a host. */
    const char *target = evhttp_request_get_uri(req);
    size_t path_len = strcspn(target, "?");

    ex->mem = mem;
    ex->conn = conn;
    ex->server = conn->server;
    ex->req = req;
    ex->method = http_request_method(req);
    ex->path = mem_strndup(mem, target, path_len);
    ex->query = target[path_len] == '?' ? target + path_len + 1 : "";
    ex->body = bytes_of(len ? evbuffer_pullup(input, -1) : NULL, len);
    list_init(&ex->link);
    list_init(&ex->values);
    return ex;
}

static void exchange_free(struct http_exchange *ex)
{
    struct list *item;

    list_remove(&ex->link);
    while ((item = list_pop(&ex->values))) {
        struct value *v = LIST_ENTRY(item, struct value, link);

        free(v->text);
        mem_free(ex->mem, v);
    }
    mem_free(ex->mem, ex->path);
    mem_free(ex->mem, ex);
}

void http_exchange_gone(struct http_exchange *ex)
{
    void (*fn)(void *arg) = ex->on_close;

    ex->on_close = NULL;
    if (fn)
        fn(ex->on_close_arg);
}

const char *http_exchange_method(const struct http_exchange *ex)
{
    return ex->method;
}

const char *http_exchange_path(const struct http_exchange *ex)
{
    return ex->path;
}

/* Not evhttp_parse_query_str: it refuses the whole query when one parameter has no '='. */
const char *http_exchange_query(struct http_exchange *ex, const char *name)
{
    size_t name_len = strlen(name);
    const char *p = ex->query;

    while (*p) {
        size_t len = strcspn(p, "&");

        if (len >= name_len && memcmp(p, name, name_len) == 0 &&
            (len == name_len || p[name_len] == '=')) {
            struct value *v = MEM_NEW(ex->mem, struct value);
            size_t skip = name_len + (len > name_len);
            char *raw = mem_strndup(ex->mem, p + skip, len - skip);

            v->text = evhttp_uridecode(raw, 1, NULL);
            CHECK(v->text);
            mem_free(ex->mem, raw);
            list_append(&ex->values, &v->link);
            return v->text;
        }
        p += len;
        p += *p == '&';
    }
    return NULL;
}

const char *http_exchange_header(const struct http_exchange *ex, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(ex->req), name);
}

struct bytes http_exchange_body(const struct http_exchange *ex)
{
    return ex->body;
}

void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg)
{
    ex->on_close = fn;
    ex->on_close_arg = arg;
}

void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value)
{
    size_t len = strlen(value);
    char *clean;

    CHECK(ex->state == EXCHANGE_HANDLING);
    CHECK(strlen(name) + len <= ANSWER_HEADER_MAX);
    clean = mem_strndup(ex->mem, value, len);
    for (char *p = clean; *p; p++) {
        if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
            *p = '?';
    }
    CHECK(evhttp_add_header(evhttp_request_get_output_headers(ex->req), name, clean) == 0);
    mem_free(ex->mem, clean);
}

static void handled(struct http_exchange *ex, int status, const char *content_type)
{
    CHECK(ex->state == EXCHANGE_HANDLING);
    if (ex->server)
        http_server_handled(ex->server);
    if (ex->conn && content_type && status != 204 && status != 304)
        http_exchange_set_header(ex, "Content-Type", content_type);
}

void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body)
{
    handled(ex, status, content_type);
    if (ex->conn) {
        ex->conn->ex = NULL;
        http_conn_send(ex->conn, ex->req, status, body);
    } else {
        evhttp_request_free(ex->req);
    }
    exchange_free(ex);
}

void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type)
{
    handled(ex, status, content_type);
    ex->state = EXCHANGE_STREAMING;
    if (!ex->conn)
        return;
    /* HTTP/1.0 knows the end of a stream only by the end of the connection. */
    http_conn_prepare(ex->conn, ex->req, http_request_is_http10(ex->req));
    evhttp_send_reply_start(ex->req, status, http_reason(status));
}

bool http_exchange_chunk(struct http_exchange *ex, struct bytes data)
{
    struct evbuffer *piece;

    CHECK(ex->state == EXCHANGE_STREAMING);
    if (!ex->conn)
        return false;
    if (data.len == 0 || strcmp(ex->method, "HEAD") == 0)
        return true;
    if (http_conn_waiting(ex->conn) + data.len > HTTP_OUTPUT_MAX) {
        http_conn_break(ex->conn);
        return false;
    }
    piece = evbuffer_new();
    CHECK(piece && evbuffer_add(piece, data.data, data.len) == 0);
    evhttp_send_reply_chunk(ex->req, piece);
    evbuffer_free(piece);
    return true;
}

void http_exchange_end(struct http_exchange *ex)
{
    CHECK(ex->state == EXCHANGE_STREAMING);
    if (ex->conn) {
        ex->conn->ex = NULL;
        evhttp_send_reply_end(ex->req);
    } else {
        evhttp_request_free(ex->req);
    }
    exchange_free(ex);
}
