#include <stdio.h>

#include "loop/http_conn.h"

/* Answer headers that a handler may add. */
#define ANSWER_HEADERS_MAX 8192

/* A decoded query value, kept as long as its exchange. */
struct value {
    struct list link;
    char text[];
};

struct http_exchange *http_exchange_new(struct http_conn *conn, struct mem mem, char *text,
                                        const struct http_head *head)
{
    struct http_exchange *ex = MEM_NEW(mem, struct http_exchange);
    size_t path_len = strcspn(head->target, "?");

    ex->mem = mem;
    ex->conn = conn;
    ex->text = text;
    ex->head = *head;
    ex->framing = http_body_of(head);
    ex->is_head = strcmp(head->method, "HEAD") == 0;
    ex->path = mem_strndup(mem, head->target, path_len);
    ex->query = head->target[path_len] == '?' ? head->target + path_len + 1 : "";
    list_init(&ex->link);
    list_init(&ex->values);
    buf_init(&ex->body, mem);
    buf_init(&ex->headers, mem);
    return ex;
}

void http_exchange_free(struct http_exchange *ex)
{
    struct list *item;

    list_remove(&ex->link);
    while ((item = list_pop(&ex->values)))
        mem_free(ex->mem, LIST_ENTRY(item, struct value, link));
    buf_deinit(&ex->body);
    buf_deinit(&ex->headers);
    mem_free(ex->mem, ex->path);
    mem_free(ex->mem, ex->text);
    mem_free(ex->mem, ex);
}

void http_exchange_gone(struct http_exchange *ex)
{
    void (*fn)(void *arg) = ex->on_close;

    ex->conn = NULL;
    if (ex->state == EXCHANGE_READING) {
        http_exchange_free(ex);
        return;
    }
    ex->on_close = NULL;
    if (fn)
        fn(ex->on_close_arg);
}

const char *http_exchange_method(const struct http_exchange *ex)
{
    return ex->head.method;
}

const char *http_exchange_path(const struct http_exchange *ex)
{
    return ex->path;
}

const char *http_exchange_query(struct http_exchange *ex, const char *name)
{
    size_t name_len = strlen(name);
    const char *p = ex->query;

    while (*p) {
        size_t len = strcspn(p, "&");

        if (len >= name_len && memcmp(p, name, name_len) == 0 &&
            (len == name_len || p[name_len] == '=')) {
            struct bytes raw = bytes_of(p + name_len, len - name_len);
            struct value *v = mem_alloc(ex->mem, sizeof *v + len + 1);

            if (raw.len)
                raw = bytes_of(raw.data + 1, raw.len - 1);
            list_append(&ex->values, &v->link);
            /* The head was refused if an escape in it was malformed. */
            CHECK(http_decode(raw, true, v->text));
            return v->text;
        }
        p += len;
        p += *p == '&';
    }
    return NULL;
}

const char *http_exchange_header(const struct http_exchange *ex, const char *name)
{
    return http_head_field(&ex->head, name);
}

struct bytes http_exchange_body(const struct http_exchange *ex)
{
    return buf_bytes(&ex->body);
}

void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg)
{
    ex->on_close = fn;
    ex->on_close_arg = arg;
}

static void append_value(struct buf *out, const char *value)
{
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;

        buf_append_u8(out, (c < ' ' && c != '\t') || c == 0x7f ? '?' : c);
    }
}

void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value)
{
    CHECK(ex->state == EXCHANGE_HANDLING);
    CHECK(ex->headers.len + strlen(name) + strlen(value) + 4 <= ANSWER_HEADERS_MAX);
    buf_append_bytes(&ex->headers, bytes_of_str(name));
    buf_append_bytes(&ex->headers, bytes_of_str(": "));
    append_value(&ex->headers, value);
    buf_append_bytes(&ex->headers, bytes_of_str("\r\n"));
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 417:
        return "Expectation Failed";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "Status";
    }
}

void http_answer_head(struct buf *out, int status, const char *content_type, long long length,
                      struct bytes headers, const char *connection)
{
    buf_appendf(out, "HTTP/1.1 %d %s\r\n", status, reason(status));
    if (content_type)
        buf_appendf(out, "Content-Type: %s\r\n", content_type);
    if (length >= 0)
        buf_appendf(out, "Content-Length: %lld\r\n", length);
    if (connection)
        buf_appendf(out, "Connection: %s\r\n", connection);
    buf_append_bytes(out, headers);
    buf_append_bytes(out, bytes_of_str("\r\n"));
}

static const char *connection_header(struct http_exchange *ex, bool force_close)
{
    if (http_conn_closes(ex->conn, force_close))
        return "close";
    return ex->head.is_http10 ? "keep-alive" : NULL;
}

static void handled(struct http_exchange *ex)
{
    CHECK(ex->state == EXCHANGE_HANDLING);
    if (ex->server)
        http_server_handled(ex->server);
}

void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body)
{
    bool has_body = status != 204 && status != 304;
    struct http_conn *conn = ex->conn;

    handled(ex);
    if (conn) {
        struct buf out;

        buf_init(&out, ex->mem);
        http_answer_head(&out, status, has_body ? content_type : NULL,
                         has_body ? (long long)body.len : -1, buf_bytes(&ex->headers),
                         connection_header(ex, false));
        if (has_body && !ex->is_head)
            buf_append_bytes(&out, body);
        http_conn_write(conn, buf_bytes(&out));
        buf_deinit(&out);
        http_conn_answered(conn);
    }
    http_exchange_free(ex);
}

void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type)
{
    struct buf out;

    handled(ex);
    ex->state = EXCHANGE_STREAMING;
    if (!ex->conn)
        return;
    /* HTTP/1.0 knows the end of a stream only by the end of the connection. */
    ex->is_chunked = !ex->head.is_http10;
    if (ex->is_chunked) {
        buf_append_bytes(&ex->headers, bytes_of_str("Transfer-Encoding: chunked\r\n"));
    }
    buf_init(&out, ex->mem);
    http_answer_head(&out, status, content_type, -1, buf_bytes(&ex->headers),
                     connection_header(ex, !ex->is_chunked));
    http_conn_write(ex->conn, buf_bytes(&out));
    buf_deinit(&out);
}

bool http_exchange_chunk(struct http_exchange *ex, struct bytes data)
{
    char line[32];

    CHECK(ex->state == EXCHANGE_STREAMING);
    if (!ex->conn)
        return false;
    if (data.len == 0 || ex->is_head)
        return true;
    if (http_conn_waiting(ex->conn) + data.len > HTTP_OUTPUT_MAX) {
        http_conn_break(ex->conn);
        return false;
    }
    if (ex->is_chunked) {
        (void)snprintf(line, sizeof line, "%zx\r\n", data.len);
        http_conn_write(ex->conn, bytes_of_str(line));
    }
    http_conn_write(ex->conn, data);
    if (ex->is_chunked)
        http_conn_write(ex->conn, bytes_of_str("\r\n"));
    return true;
}

void http_exchange_end(struct http_exchange *ex)
{
    CHECK(ex->state == EXCHANGE_STREAMING);
    if (ex->conn) {
        if (ex->is_chunked && !ex->is_head)
            http_conn_write(ex->conn, bytes_of_str("0\r\n\r\n"));
        http_conn_answered(ex->conn);
    }
    http_exchange_free(ex);
}
