#include <strings.h>

#include "loop/http_conn.h"

/* Answer headers that a handler may add, all together. */
#define ANSWER_HEADERS_MAX 16384

/* A decoded query value, kept as long as its exchange. */
struct value {
    struct list link;
    char text[];
};

struct http_exchange *http_exchange_new(struct http_conn *c, const struct http_head *head,
                                        const char *text, size_t len)
{
    struct http_server *s = c->server;
    struct http_exchange *ex = MEM_NEW(s->mem, struct http_exchange);
    char *mark;

    ex->mem = s->mem;
    ex->server = s;
    ex->conn = c;
    ex->method = head->method;
    ex->text = mem_strndup(s->mem, text, len);
    ex->fields = mem_dup(s->mem, head->fields, head->field_count * sizeof *head->fields);
    ex->field_count = head->field_count;
    ex->path = ex->text + head->target;
    mark = strchr(ex->text + head->target, '?');
    ex->query = mark ? mark + 1 : "";
    if (mark)
        *mark = '\0';
    list_init(&ex->link);
    list_init(&ex->values);
    buf_init(&ex->body, s->mem);
    buf_init(&ex->headers, s->mem);
    if (!head->chunked && head->length) { /* not more than what was asked for */
        ex->body.cap = (size_t)head->length;
        ex->body.data = mem_alloc(s->mem, ex->body.cap);
    }
    http_budget_set(s, &ex->held, len + ex->body.cap);
    return ex;
}

void http_exchange_free(struct http_exchange *ex)
{
    struct list *item;

    if (ex->server)
        http_budget_set(ex->server, &ex->held, 0);
    list_remove(&ex->link);
    while ((item = list_pop(&ex->values)))
        mem_free(ex->mem, LIST_ENTRY(item, struct value, link));
    buf_deinit(&ex->body);
    buf_deinit(&ex->headers);
    mem_free(ex->mem, ex->fields);
    mem_free(ex->mem, ex->text);
    mem_free(ex->mem, ex);
}

void http_exchange_gone(struct http_exchange *ex)
{
    void (*fn)(void *arg) = ex->on_close;

    ex->on_close = NULL;
    if (fn)
        fn(ex->on_close_arg);
}

/* ---- the request ---- */

const char *http_exchange_method(const struct http_exchange *ex)
{
    return ex->method;
}

const char *http_exchange_path(const struct http_exchange *ex)
{
    return ex->path;
}

static char hex_value(char c)
{
    return (char)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The escapes were checked with the head. */
static const char *decoded(struct http_exchange *ex, const char *from, size_t len)
{
    struct value *v = mem_alloc(ex->mem, sizeof *v + len + 1);
    char *to = v->text;

    for (const char *end = from + len; from < end; from++) {
        if (*from == '%') {
            *to++ = (char)(hex_value(from[1]) << 4 | hex_value(from[2]));
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
    list_append(&ex->values, &v->link);
    return v->text;
}

const char *http_exchange_query(struct http_exchange *ex, const char *name)
{
    size_t name_len = strlen(name);
    const char *p = ex->query;

    while (*p) {
        size_t len = strcspn(p, "&");

        if (len >= name_len && memcmp(p, name, name_len) == 0 &&
            (len == name_len || p[name_len] == '=')) {
            size_t skip = name_len + (len > name_len);

            return decoded(ex, p + skip, len - skip);
        }
        p += len;
        p += *p == '&';
    }
    return NULL;
}

const char *http_exchange_header(const struct http_exchange *ex, const char *name)
{
    for (size_t i = 0; i < ex->field_count; i++) {
        if (strcasecmp(ex->text + ex->fields[i].name, name) == 0)
            return ex->text + ex->fields[i].value;
    }
    return NULL;
}

uint64_t http_exchange_held_ns(const struct http_exchange *ex)
{
    return ex->server ? clock_now_ns(ex->server->clock) - ex->came_ns : 0;
}

size_t http_exchange_header_count(const struct http_exchange *ex, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < ex->field_count; i++)
        n += strcasecmp(ex->text + ex->fields[i].name, name) == 0;
    return n;
}

struct bytes http_exchange_body(const struct http_exchange *ex)
{
    return buf_bytes(&ex->body);
}

const char *http_exchange_peer(const struct http_exchange *ex)
{
    return ex->conn ? transport_peer(&ex->conn->transport) : "";
}

struct http_conn *http_exchange_keep(struct http_exchange *ex, void *kept, void (*gone)(void *kept))
{
    struct http_conn *c = ex->conn;

    if (!c || c->broken)
        return NULL;
    CHECK(kept && gone && !c->kept);
    c->kept = kept;
    c->gone = gone;
    return c;
}

void *http_exchange_kept(const struct http_exchange *ex)
{
    return ex->conn ? ex->conn->kept : NULL;
}

void http_connection_end(struct http_conn *c)
{
    http_conn_break(c);
}

void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg)
{
    ex->on_close = fn;
    ex->on_close_arg = arg;
}

/* ---- the answer ---- */

void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value)
{
    size_t from;

    CHECK(ex->state == EXCHANGE_HANDLING);
    ex->is_put_off = ex->is_put_off || strcasecmp(name, "Retry-After") == 0;
    CHECK(ex->headers.len + strlen(name) + strlen(value) + 4 <= ANSWER_HEADERS_MAX);
    buf_append(&ex->headers, name, strlen(name));
    buf_append(&ex->headers, ": ", 2);
    from = ex->headers.len;
    buf_append(&ex->headers, value, strlen(value));
    for (size_t i = from; i < ex->headers.len; i++) {
        if ((ex->headers.data[i] < ' ' && ex->headers.data[i] != '\t') ||
            ex->headers.data[i] == 0x7f)
            ex->headers.data[i] = '?';
    }
    buf_append(&ex->headers, "\r\n", 2);
}

static bool is_head(const struct http_exchange *ex)
{
    return ex->method[0] == 'H';
}

static void handled(struct http_exchange *ex, int status, const char *content_type)
{
    CHECK(ex->state == EXCHANGE_HANDLING);
    if (ex->server) {
        CHECK(ex->server->pending > 0);
        ex->server->pending--;
    }
    if (content_type && status != 204 && status != 304)
        http_exchange_set_header(ex, "Content-Type", content_type);
}

void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body)
{
    handled(ex, status, content_type);
    if (ex->conn) {
        http_conn_reply(ex->conn, is_head(ex), status, buf_bytes(&ex->headers), body);
        if (ex->is_put_off)
            http_conn_rest(ex->conn);
    }
    http_exchange_free(ex);
}

void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type)
{
    handled(ex, status, content_type);
    ex->state = EXCHANGE_STREAMING;
    if (ex->conn)
        http_conn_stream(ex->conn, status, buf_bytes(&ex->headers));
}

bool http_exchange_chunk(struct http_exchange *ex, struct bytes data)
{
    CHECK(ex->state == EXCHANGE_STREAMING);
    if (!ex->conn || ex->conn->broken)
        return false;
    if (data.len == 0 || is_head(ex))
        return true;
    if (http_conn_waiting(ex->conn) + data.len > HTTP_OUTPUT_MAX) {
        http_conn_break(ex->conn);
        return false;
    }
    http_conn_chunk(ex->conn, data);
    return true;
}

void http_exchange_end(struct http_exchange *ex)
{
    CHECK(ex->state == EXCHANGE_STREAMING);
    if (ex->conn)
        http_conn_end(ex->conn, is_head(ex));
    http_exchange_free(ex);
}

size_t http_exchange_waiting(const struct http_exchange *ex)
{
    return ex->conn ? http_conn_waiting(ex->conn) : 0;
}
