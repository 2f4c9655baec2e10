/*
 * An HTTP/1.1 server: whole requests in, whole or streamed answers out. Parsing is libhttp-parser's
 * (http_parse.h); connections, bounds and fairness are here (docs/adr/0011-http-server.md).
 *
 * What the server refuses by itself is answered as JSON like every other error:
 * {"error":"<name of kelpie/error.h>","message":"<a sentence>","retry":…,"applied":"no"}.
 *
 * Everything that clients can make grow has a bound:
 *  - connections: at their bound one without a request under way is closed for a new one: of those that
 *    never asked for anything, if they have more than their half of the places, else of those that did; the one that
 *    is quiet for longest. When all have requests under way, a few spare places are left, on which only
 *    what the options call vital is answered. Closing some for others has a pace; newer ones wait in the
 *    system's queue.
 *  - bytes: of heads, bodies and answers that wait, over all connections. A request that does not
 *    fit is refused by its Content-Length, before its body is read. Small ones always fit.
 *  - time: for a first byte, a head, a body, and for an answer that its reader does not take.
 *  - work: a connection gets one read and one request in its turn; the turn as a whole has a time. One
 *    that was told to come back later (Retry-After) is not read for a moment, whatever it sends; what
 *    comes after a refusal that closes is read and dropped slowly.
 */
#ifndef KELPIE_LOOP_HTTP_SERVER_H
#define KELPIE_LOOP_HTTP_SERVER_H

#include "base/bytes.h"
#include "base/check.h"
#include "loop/http_parse.h"
#include "loop/loop.h"

#define HTTP_CONNECTIONS_MAX 4096 /* the options may ask for fewer */
#define HTTP_CONNECTIONS_MIN 4
#define HTTP_LOCAL_MAX 512 /* on the Unix socket: of workers, and some of other programs */
#define HTTP_SPARE_MAX 32  /* of them, but a quarter at most: for what is vital */
#define HTTP_BYTES_MAX (64u * 1024 * 1024) /* of requests and answers, all connections together */
#define HTTP_SMALL_MAX (8u * 1024)         /* a request up to here fits always */
#define HTTP_OUTPUT_MAX (256u * 1024)      /* of a stream: waiting for a client that reads slowly */
#define HTTP_FIRST_S 30                    /* to the first byte of the first request */
#define HTTP_IDLE_S 120                    /* between requests */
#define HTTP_HEAD_S 10                     /* from the first byte of a head to its last */
/* A body that comes, an answer that goes: a while, and then at least this many bytes a second. */
#define HTTP_TRANSFER_S 10
#define HTTP_TRANSFER_RATE (16u * 1024)
#define HTTP_LINGER_S 2  /* after a refusal, for what was under way already */
#define HTTP_REST_MS 250 /* not read after a Retry-After */
#define HTTP_PACE_MS                                                                               \
    10 /* in which so many are closed for new ones, and so many that linger are read: */
#define HTTP_REPLACED_MAX 10
#define HTTP_LINGERERS_READ 4
#define HTTP_TURN_MS 2       /* of work in one turn of the loop */
#define HTTP_RETRY_AFTER_S 1 /* said in refusals for lack of room */
#define HTTP_CAP_LOG_S 10    /* at most one line for each bound in this time */

struct http_server;
struct http_conn;     /* a connection */
struct http_exchange; /* one request and its answer; owned by the server until answered */

/* One request has come in whole. The handler must sooner or later, now or from the loop, call
 * http_exchange_reply once, or _stream once and then _end once; the exchange lives until then, also
 * when the client has gone away. */
typedef void http_handler_fn(void *arg, struct http_exchange *ex);

/* Copied; what is 0 or NULL has a default. */
struct http_server_options {
    const char *addr; /* where a port is; */
    int listener; /* or, if not 0, a descriptor of unix_listen_open(), which is taken over; `addr` is only shown */
    size_t body_max; /* HTTP_BODY_MAX, or _LOCAL */
    http_handler_fn *fn;
    void *arg;
    const struct log *log;  /* of bounds that are reached; NULL: none. Outlives the server. */
    size_t connections_max; /* HTTP_CONNECTIONS_MIN to _MAX */
    size_t bytes_max;
    /* Runs when something was read and before any of it is looked at: has this process stood still, since what
     * lay in the sockets came? It may call http_server_drop_unread. NULL: nobody asks. */
    void (*on_read)(void *arg);
    /* Is answered on the spare places too. NULL: nothing is. */
    bool (*is_vital)(const char *method, const char *path);
};

/* On failure returns NULL with a sentence in `why`. */
struct http_server *http_server_new(struct loop *loop, struct mem mem,
                                    const struct http_server_options *options, char *why,
                                    size_t why_size);
/* Stops accepting; open connections get "Connection: close" on their next answer. */
void http_server_drain(struct http_server *s);
/* Nobody knows for how long requests have lain in the connections: they are not read. Connections whose
 * request is under way close after their answer, all others at once, those not yet accepted too. May be
 * called from within a handler. */
void http_server_drop_unread(struct http_server *s);
/* Exchanges that are not answered yet, streams not counted. */
size_t http_server_pending(const struct http_server *s);
/* Closes everything; on_close runs where it was set. Exchanges still owe their _reply or _end. Not
 * from within a handler. */
void http_server_free(struct http_server *s);
const char *http_server_addr(const struct http_server *s);

/* Bounds that were reached, by what was done about it. */
enum http_cap {
    HTTP_CAP_CONNECTIONS, /* a quiet connection was closed for a new one */
    HTTP_CAP_PLACES,      /* all had requests under way: refused, or closed at once */
    HTTP_CAP_BYTES,       /* refused, or a reader that did not read was cut off */
    HTTP_CAP_TIME,        /* too slow: refused or closed */
    HTTP_CAP_FILES,       /* the system had no descriptor left */
    HTTP_CAPS
};
const char *http_cap_name(enum http_cap cap);
struct http_server_counts {
    size_t connections, connections_max;
    size_t bytes, bytes_max;
    uint64_t caps[HTTP_CAPS];
};
struct http_server_counts http_server_counts(const struct http_server *s);

const char *http_exchange_method(const struct http_exchange *ex); /* "GET", "POST", … */
/* The raw (still percent-encoded) path without the query. */
const char *http_exchange_path(const struct http_exchange *ex);
/* The decoded value of a query parameter, or the value of a header, or NULL; valid until the
 * exchange ends. */
const char *http_exchange_query(struct http_exchange *ex, const char *name);
const char *http_exchange_header(const struct http_exchange *ex, const char *name);
/* For how long its connection has had it: since the first bytes of its head came. */
uint64_t http_exchange_held_ns(const struct http_exchange *ex);
size_t http_exchange_header_count(const struct http_exchange *ex, const char *name);
struct bytes http_exchange_body(const struct http_exchange *ex);
/* The authenticated identity of who asks: "" in clear. */
const char *http_exchange_peer(const struct http_exchange *ex);
/* Keeps something with the exchange's connection, once: it is not closed for being quiet, or for others, any more, and
 * `gone` runs when it has ended, from the loop or in http_server_free. Returns the connection, for
 * http_connection_end, until then; NULL when the client is gone already: nothing is kept. */
struct http_conn *http_exchange_keep(struct http_exchange *ex, void *kept,
                                     void (*gone)(void *kept));
/* What is kept with its connection; NULL: nothing. */
void *http_exchange_kept(const struct http_exchange *ex);
/* Ends it, from the loop, with what is under way on it. */
void http_connection_end(struct http_conn *c);
/* The client went away, or closed its side: `fn` runs then, from the loop, at most once, and not
 * after _reply or _end (which may be called in it; a client that closed its side gets the answer). */
void http_exchange_on_close(struct http_exchange *ex, void (*fn)(void *arg), void *arg);
/* Before _reply or _stream. Control characters in the value become '?'. */
void http_exchange_set_header(struct http_exchange *ex, const char *name, const char *value);
void http_exchange_reply(struct http_exchange *ex, int status, const char *content_type,
                         struct bytes body);
/* Starts a streamed answer (server-sent events); then any number of _chunk, then _end. A chunk
 * returns false when nothing more can be sent: the client is gone, or reads so slowly that its
 * bounded buffer is full; on_close has run then or will run soon. To HEAD only the head is sent. */
void http_exchange_stream(struct http_exchange *ex, int status, const char *content_type);
bool http_exchange_chunk(struct http_exchange *ex, struct bytes data);
void http_exchange_end(struct http_exchange *ex);
/* Bytes of a stream that its client has not taken yet. */
size_t http_exchange_waiting(const struct http_exchange *ex);

#endif
