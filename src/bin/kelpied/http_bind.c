#include "bin/kelpied/http_bind.h"

#include <inttypes.h>

#include "base/buf.h"

static const char *bind_query(void *ex, const char *name)
{
    return http_exchange_query(ex, name);
}

static const char *bind_header(void *ex, const char *name)
{
    return http_exchange_header(ex, name);
}

static uint64_t bind_held_ms(void *ex)
{
    return (http_exchange_held_ns(ex) + NS_PER_MS - 1) / NS_PER_MS;
}

static size_t bind_header_count(void *ex, const char *name)
{
    return http_exchange_header_count(ex, name);
}

static void bind_on_close(void *ex, void (*fn)(void *arg), void *arg)
{
    http_exchange_on_close(ex, fn, arg);
}

static void bind_set_header(void *ex, const char *name, const char *value)
{
    http_exchange_set_header(ex, name, value);
}

static void bind_reply(void *ex, int status, const char *type, struct bytes body)
{
    http_exchange_reply(ex, status, type, body);
}

static void bind_stream(void *ex, int status, const char *type)
{
    http_exchange_stream(ex, status, type);
}

static bool bind_chunk(void *ex, struct bytes data)
{
    return http_exchange_chunk(ex, data);
}

static void bind_end(void *ex)
{
    http_exchange_end(ex);
}

static size_t bind_waiting(void *ex)
{
    return http_exchange_waiting(ex);
}

static void *bind_keep(void *ex, void *kept, void (*gone)(void *kept))
{
    return http_exchange_keep(ex, kept, gone);
}

static void *bind_kept(void *ex)
{
    return http_exchange_kept(ex);
}

static void bind_end_connection(void *connection)
{
    http_connection_end(connection);
}

static const struct api_ops bind_ops = {
    .query = bind_query,
    .header = bind_header,
    .header_count = bind_header_count,
    .held_ms = bind_held_ms,
    .on_close = bind_on_close,
    .set_header = bind_set_header,
    .reply = bind_reply,
    .stream = bind_stream,
    .chunk = bind_chunk,
    .end = bind_end,
    .waiting = bind_waiting,
    .keep = bind_keep,
    .kept = bind_kept,
    .end_connection = bind_end_connection,
};

static void handle(void *arg, struct http_exchange *ex, bool is_local)
{
    static const char starting[] =
        "{\"error\":\"unavailable\",\"message\":\"this node is starting or ending\","
        "\"retry\":true,\"applied\":\"no\"}\n";
    struct api *api = *(struct api **)arg;
    if (!api) {
        http_exchange_reply(ex, 503, "application/json", bytes_of_str(starting));
        return;
    }
    struct api_request req = {
        .ops = &bind_ops,
        .ex = ex,
        .method = http_exchange_method(ex),
        .path = http_exchange_path(ex),
        .body = http_exchange_body(ex),
        .is_local = is_local,
    };
    api_handle(api, &req);
}

void http_bind_handle(void *arg, struct http_exchange *ex)
{
    handle(arg, ex, false);
}

void http_bind_handle_local(void *arg, struct http_exchange *ex)
{
    handle(arg, ex, true);
}

void http_bind_read(void *arg)
{
    struct api *api = *(struct api **)arg;
    if (api)
        api_on_read(api);
}

void http_bind_metrics(void *arg, struct buf *out)
{
    struct http_server_counts c = http_server_counts(arg);
    buf_appendf(out,
                "# HELP kelpie_http_connections HTTP connections open.\n"
                "# TYPE kelpie_http_connections gauge\n"
                "kelpie_http_connections %zu\n"
                "# HELP kelpie_http_connections_max As many as may be open.\n"
                "# TYPE kelpie_http_connections_max gauge\n"
                "kelpie_http_connections_max %zu\n"
                "# HELP kelpie_http_bytes Bytes of HTTP requests under way and answers that wait.\n"
                "# TYPE kelpie_http_bytes gauge\n"
                "kelpie_http_bytes %zu\n"
                "# HELP kelpie_http_limit_reached_total Times that a bound of the HTTP server was "
                "reached.\n"
                "# TYPE kelpie_http_limit_reached_total counter\n",
                c.connections, c.connections_max, c.bytes);
    for (enum http_cap cap = 0; cap < HTTP_CAPS; cap++)
        buf_appendf(out, "kelpie_http_limit_reached_total{limit=\"%s\"} %" PRIu64 "\n",
                    http_cap_name(cap), c.caps[cap]);
}
