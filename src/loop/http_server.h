/* An HTTP/1.1 server on libevent's evhttp: whole requests in, whole or streamed responses out. */
#ifndef KELPIE_LOOP_HTTP_SERVER_H
#define KELPIE_LOOP_HTTP_SERVER_H

#include "base/bytes.h"
#include "loop/loop.h"

#define HTTP_BODY_MAX (1024u * 1024)
#define HTTP_HEADERS_MAX (32u * 1024)
#define HTTP_CONNECTIONS_MAX 4096

struct http_server;
struct http_exchange; /* one request and its answer; owned by the server until answered */

/* `path` is the raw (still percent-encoded) path without the query. Every handler must sooner or
 * later call http_exchange_reply or _stream exactly once. */
typedef void http_handler_fn(void *arg, struct http_exchange *ex);

struct http_server *http_server_new(struct loop *loop, struct mem mem, const char *addr,
                                    http_handler_fn *fn, void *arg, char *why, size_t why_size);
/* Stops accepting; open connections get "Connection: close" on their next answer. */
void http_server_drain(struct http_server *s);
/* Exchanges that are not answered yet, streams not counted. */
size_t http_server_pending(const struct http_server *s);
void http_server_free(struct http_server *s);
const char *http_server_addr(const struct http_server *s);

const char *http_exchange_method(const struct http_exchange *ex); /* "GET", "POST", … */
const char *http_exchange_path(const struct http_exchange *ex);
/* The decoded value of a query parameter or a header, or NULL; valid until the exchange ends. */
const char *http_exchange_query(const struct http_exchange *ex, const char *name);
const char *http_exchange_header(const struct http_exchange *ex, const char *name);
struct bytes http_exchange_body(const struct http_exchange *ex);
/* The client went away: `fn` runs then (at most once, and not after the answer). */
void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg);
void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value);
void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body);
/* Starts a streamed answer (server-sent events); then any number of _chunk, then _end. A chunk
 * returns false when the client is gone or its bounded buffer is full (the stream is then ended and
 * on_close has run or will run). */
void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type);
bool http_exchange_chunk(struct http_exchange *ex, struct bytes data);
void http_exchange_end(struct http_exchange *ex);

#endif
