/* A small HTTP/1.1 client on libevent's evhttp, with kept-alive connections, for the command, benches
 * and tests. */
#ifndef KELPIE_LOOP_HTTP_CLIENT_H
#define KELPIE_LOOP_HTTP_CLIENT_H

#include "base/bytes.h"
#include "loop/loop.h"

#define HTTP_CLIENT_CONNECTIONS_MAX 1024 /* at a time; further requests wait for one */
#define HTTP_CLIENT_WAITING_MAX 65536    /* requests that wait; further ones end with LIMIT */
#define HTTP_CLIENT_BODY_MAX (64u * 1024 * 1024)

struct http_client;

struct http_response {
    int error; /* 0, or KELPIE_E_UNREACHABLE (refused, reset), KELPIE_E_TIMEOUT, KELPIE_E_PROTOCOL */
    int status;        /* HTTP status when error is 0 */
    struct bytes body; /* borrowed for the callback */
};

typedef void http_response_fn(void *arg, const struct http_response *response);

/* For one server, "host:port". */
struct http_client *http_client_new(struct loop *loop, struct mem mem, const char *addr);
/* Completes what is under way with KELPIE_E_CANCELLED. Not from within a callback. */
void http_client_free(struct http_client *c);
/* One request; `request_id` may be NULL, `body` empty; all is copied. `fn` runs once from the loop,
 * never inside the call. Methods: GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS, TRACE. Several may be outstanding: each takes a connection of its own from a
 * pool. `timeout_ms` 0: none.
 *
 * When a kept connection turns out to be closed, the request is sent once more on a fresh one, if
 * that is safe: it has a request id, it only reads (GET, HEAD), or none of it was sent. */
void http_client_send(struct http_client *c, const char *method, const char *path,
                      const char *request_id, struct bytes body, uint64_t timeout_ms,
                      http_response_fn *fn, void *arg);
/* A streamed GET: `chunk` for each piece of the body (a piece comes when it is whole), `fn` (with an empty body) at its end. */
void http_client_stream(struct http_client *c, const char *path,
                        void (*chunk)(void *arg, struct bytes data), http_response_fn *fn,
                        void *arg);

#endif
