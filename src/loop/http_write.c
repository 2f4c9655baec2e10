/* A connection as it writes: answers at once as far as the system takes them, the rest when it does. */
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"

#define FLUSH_MAX (256u * 1024) /* in one turn */
#define FIRST_LINES_MAX 512

size_t http_conn_waiting(const struct http_conn *c)
{
    return c->out.len - c->out_at;
}

/* ---- bytes ---- */

static void wait_with(struct http_conn *c, const struct iovec *parts, int count, size_t skip)
{
    struct http_server *s = c->server;

    if (http_conn_waiting(c) == 0) {
        c->out_since_ns = clock_now_ns(s->clock);
        c->out_moved = 0;
    }
    for (int i = 0; i < count; i++) {
        size_t n = parts[i].iov_len < skip ? parts[i].iov_len : skip;

        if (parts[i].iov_len > n)
            buf_append(&c->out, (const char *)parts[i].iov_base + n, parts[i].iov_len - n);
        skip -= n;
    }
    http_budget_set(s, &c->held, c->in.cap + c->out.cap);
    if (http_conn_waiting(c))
        http_budget_make_room(s, c);
}

/* Writes what the system takes, keeps the rest. */
static void send_parts(struct http_conn *c, const struct iovec *parts, int count)
{
    long n = 0;

    if (http_conn_waiting(c) == 0) {
        n = transport_write(&c->transport, parts, count);
        if (n == TCP_CLOSED) {
            http_conn_break(c);
            return;
        }
    }
    wait_with(c, parts, count, n > 0 ? (size_t)n : 0);
}

void http_conn_flush(struct http_conn *c)
{
    size_t waiting = http_conn_waiting(c);
    struct iovec part = {.iov_base = c->out.data + c->out_at,
                         .iov_len = waiting < FLUSH_MAX ? waiting : FLUSH_MAX};
    long n = waiting ? transport_write(&c->transport, &part, 1) : TCP_AGAIN;

    if (n == TCP_CLOSED) {
        http_conn_break(c);
        return;
    }
    if (n <= 0)
        return;
    c->out_at += (size_t)n;
    c->out_moved += (uint64_t)n;
    if (http_conn_waiting(c) > 0)
        return;
    buf_deinit(&c->out);
    c->out_at = 0;
    http_budget_set(c->server, &c->held, c->in.cap);
    if (c->state == HTTP_SENDS)
        http_conn_answered(c);
}

/* ---- heads of answers ---- */

static const char *date_of(struct http_server *s)
{
    time_t now = (time_t)(clock_wall_ms(s->clock) / 1000);
    struct tm tm;

    if ((uint64_t)now != s->date_s || !s->date[0]) {
        s->date_s = (uint64_t)now;
        (void)gmtime_r(&now, &tm);
        (void)strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return s->date;
}

/* Status, date, and whether the connection closes; `length` says how long the body is, or nothing. */
static size_t first_lines(struct http_conn *c, char out[FIRST_LINES_MAX], int status,
                          const char *length)
{
    struct http_server *s = c->server;
    const char *keeps = c->is_10 ? "Connection: keep-alive\r\n" : "";
    int n;

    c->closes = c->closes || !s->listener;
    n = snprintf(out, FIRST_LINES_MAX, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s", status,
                 http_reason(status), date_of(s), length,
                 c->closes ? "Connection: close\r\n" : keeps);
    CHECK(n > 0 && n < FIRST_LINES_MAX);
    return (size_t)n;
}

static struct iovec part_of(const void *data, size_t len)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
}

/* ---- answers ---- */

void http_conn_reply(struct http_conn *c, bool is_head, int status, struct bytes headers,
                     struct bytes body)
{
    char first[FIRST_LINES_MAX], length[48] = "";
    struct iovec parts[4];
    bool has_body = status != 204 && status != 304;

    if (c->broken) {
        c->ex = NULL;
        return;
    }
    if (has_body)
        (void)snprintf(length, sizeof length, "Content-Length: %zu\r\n", body.len);
    parts[0] = part_of(first, first_lines(c, first, status, length));
    parts[1] = part_of(headers.data, headers.len);
    parts[2] = part_of("\r\n", 2);
    parts[3] = part_of(body.data, has_body && !is_head ? body.len : 0);
    send_parts(c, parts, 4);
    http_conn_done(c);
}

void http_conn_refuse(struct http_conn *c, const struct http_fault *fault)
{
    struct http_exchange *ex = c->ex;
    const char *name = kelpie_error_name(fault->error);
    char body[512], headers[256];
    int body_len, headers_len;

    if (ex)
        http_exchange_free(ex);
    c->ex = NULL;
    c->closes = c->lingers = true;
    body_len = snprintf(body, sizeof body,
                        "{\"error\":\"%s\",\"message\":\"%s\",\"retry\":%s,\"applied\":\"no\"}\n",
                        name, fault->why, kelpie_error_retry(fault->error) ? "true" : "false");
    headers_len =
        snprintf(headers, sizeof headers,
                 "Content-Type: application/json\r\nCache-Control: no-store\r\n"
                 "Kelpie-Error: %s\r\n%s",
                 name, fault->status == 405 ? "Allow: GET, POST, PUT, DELETE, HEAD\r\n" : "");
    if (fault->error == KELPIE_E_LIMIT)
        headers_len += snprintf(headers + headers_len, sizeof headers - (size_t)headers_len,
                                "Retry-After: %d\r\n", HTTP_RETRY_AFTER_S);
    http_conn_reply(c, false, fault->status, bytes_of(headers, (size_t)headers_len),
                    bytes_of(body, (size_t)body_len));
}

void http_conn_continue(struct http_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = part_of(text, sizeof text - 1);

    send_parts(c, &part, 1);
}

/* ---- streams ---- */

void http_conn_stream(struct http_conn *c, int status, struct bytes headers)
{
    char first[FIRST_LINES_MAX];
    struct iovec parts[3];

    if (c->broken)
        return;
    /* HTTP/1.0 knows the end of a stream only by the end of the connection. */
    c->closes = c->closes || c->is_10;
    parts[0] = part_of(
        first, first_lines(c, first, status, c->is_10 ? "" : "Transfer-Encoding: chunked\r\n"));
    parts[1] = part_of(headers.data, headers.len);
    parts[2] = part_of("\r\n", 2);
    send_parts(c, parts, 3);
    http_conn_listen(c);
}

void http_conn_chunk(struct http_conn *c, struct bytes data)
{
    char length[32];
    int n = snprintf(length, sizeof length, "%zx\r\n", data.len);
    struct iovec chunked[3] = {part_of(length, (size_t)n), part_of(data.data, data.len),
                               part_of("\r\n", 2)};

    if (c->is_10)
        wait_with(c, chunked + 1, 1, 0);
    else
        wait_with(c, chunked, 3, 0);
    http_conn_listen(c);
}

void http_conn_end(struct http_conn *c, bool is_head)
{
    struct iovec part = part_of("0\r\n\r\n", 5);

    if (c->broken) {
        c->ex = NULL;
        return;
    }
    if (!c->is_10 && !is_head)
        send_parts(c, &part, 1);
    http_conn_done(c);
}
