/*
 * An HTTP/1.1 server on libevent's evhttp: whole requests in, whole or streamed answers out.
 *
 * What reaches the server's own code and is refused there (a method, a body over its limit, an
 * ambiguous header, …) is answered with
 * {"error":"<name of kelpie/error.h>","message":"<a sentence>","retry":false,
 * "applied":"no"}.
 * What evhttp refuses by itself has a page of HTML: a first line or headers that it cannot parse or
 * that are over HTTP_HEADERS_MAX (400), malformed chunks and bodies over HTTP_BODY_READ_MAX (413),
 * and a CONNECT (501).
 * Its other limits: no extensions of chunks, no body with HEAD (the connection closes after it).
 */
#ifndef KELPIE_LOOP_HTTP_SERVER_H
#define KELPIE_LOOP_HTTP_SERVER_H

#include "base/bytes.h"
#include "base/check.h"
#include "loop/loop.h"

#define HTTP_BODY_MAX (1024u * 1024)
#define HTTP_BODY_READ_MAX (4 * HTTP_BODY_MAX) /* up to here, so that the refusal is ours */
#define HTTP_HEADERS_MAX (32u * 1024)
#define HTTP_FIELDS_MAX 100
#define HTTP_CONNECTIONS_MAX 4096     /* further ones wait in the system's queue */
#define HTTP_OUTPUT_MAX (256u * 1024) /* of a stream: waiting for a client that reads slowly */
#define HTTP_REQUEST_S 30             /* from the first byte of a request to its last */
#define HTTP_IDLE_S 120               /* between requests */
#define HTTP_WRITE_S 30               /* without the client reading anything */

struct http_server;
struct http_exchange; /* one request and its answer; owned by the server until answered */

/* One request has come in whole. The handler must sooner or later, now or from the loop, call
 * http_exchange_reply once, or _stream once and then _end once; the exchange lives until then, also
 * when the client has gone away. */
typedef void http_handler_fn(void *arg, struct http_exchange *ex);

struct http_server *http_server_new(struct loop *loop, struct mem mem, const char *addr,
                                    http_handler_fn *fn, void *arg, char *why, size_t why_size);
/* Stops accepting; open connections get "Connection: close" on their next answer. */
void http_server_drain(struct http_server *s);
/* Exchanges that are not answered yet, streams not counted. */
size_t http_server_pending(const struct http_server *s);
/* Closes everything; on_close runs where it was set. Exchanges still owe their _reply or _end. Not
 * from within a handler. */
void http_server_free(struct http_server *s);
const char *http_server_addr(const struct http_server *s);

const char *http_exchange_method(const struct http_exchange *ex); /* "GET", "POST", … */
/* The raw (still percent-encoded) path without the query. */
const char *http_exchange_path(const struct http_exchange *ex);
/* The decoded value of a query parameter, or the value of a header, or NULL; valid until the
 * exchange ends. */
const char *http_exchange_query(struct http_exchange *ex, const char *name);
const char *http_exchange_header(const struct http_exchange *ex, const char *name);
struct bytes http_exchange_body(const struct http_exchange *ex);
/* The client went away, or closed its side: `fn` runs then, from the loop, at most once, and not
 * after _reply or _end (which may be called in it). */
void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg);
/* Before _reply or _stream. Control characters in the value become '?'. */
void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value);
void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body);
/* Starts a streamed answer (server-sent events); then any number of _chunk, then _end. A chunk
 * returns false when nothing more can be sent: the client is gone, or reads so slowly that its
 * bounded buffer is full; on_close has run then or will run soon. */
void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type);
bool http_exchange_chunk(struct http_exchange *ex, struct bytes data);
void http_exchange_end(struct http_exchange *ex);

#endif
