/*
 * Private to the HTTP server: the server as a whole (http_server.c), its bounds (http_caps.c),
 * connections as they read (http_conn.c) and write (http_write.c), exchanges (http_exchange.c).
 *
 * A connection is only ever freed from the loop, never below a handler: whatever finds it broken
 * marks it and queues it (http_conn_break).
 */
#ifndef KELPIE_LOOP_HTTP_CONN_H
#define KELPIE_LOOP_HTTP_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "loop/http_server.h"
#include "loop/tcp_socket.h"
#include "loop/transport.h"

struct event;

#define HTTP_READ_MAX (64u * 1024) /* of a body, in one read; of heads and ahead: HTTP_SMALL_MAX */

enum http_state {
    HTTP_READS_HEAD,
    HTTP_READS_BODY,
    HTTP_HANDLES, /* the handler owes the answer, or the rest of a stream */
    HTTP_SENDS,   /* what of the answer its reader has not taken yet */
    HTTP_LINGERS  /* has refused and closed its side; drops what comes */
};

struct http_conn {
    struct list link;  /* in server->conns */
    struct list quiet; /* in one of server->quiet while no request is under way, longest first */
    struct list ready; /* in server->ready: wants a turn */
    struct list rest;  /* in server->resting or ->lingering: not read at once */
    struct http_server *server;
    struct transport transport;
    struct event *reads, *writes;
    bool reading, writing;    /* the events are set */
    bool can_read, can_write; /* and have come */
    enum http_state state;
    struct buf in; /* of the next head, or ahead of the answer under way */
    struct http_scan scan;
    struct http_body body;
    struct http_exchange *ex; /* being received, or owes the answer */
    struct buf out;
    size_t out_at;
    uint64_t ahead_ns; /* when the first bytes of `in` came */
    uint64_t full_ns;  /* since when more may lie in the socket than `in` took; 0: nothing does */
    size_t held;       /* bytes of the budget for `in` and `out` */
    bool was_used;     /* for a request */
    bool is_spare;     /* beyond the bound: for what is vital only */
    uint64_t rests_until_ns;
    bool is_10;   /* the request under way is HTTP/1.0 */
    bool keeps;   /* and wants to be kept */
    bool closes;  /* after the answer under way */
    bool lingers; /* before it closes: more may be coming */
    bool client_closed;
    bool turn_over; /* it has handed a request over */
    bool broken;    /* to be freed from the loop */
    void *kept;     /* what a handler has kept with it (http_exchange_keep); NULL: nothing */
    void (*gone)(void *kept);
    uint64_t since_ns; /* the reading under way began */
    uint64_t moved;    /* bytes of a body since */
    uint64_t out_since_ns;
    uint64_t out_moved;
};

/* Connections without a request under way, those that are quiet for longest first. */
enum quiet { QUIET_FRESH, QUIET_USED, QUIET_SPARE, QUIETS };

enum exchange_state { EXCHANGE_RECEIVING, EXCHANGE_HANDLING, EXCHANGE_STREAMING };

struct http_exchange {
    struct list link; /* in server->exchanges, once handed to the handler */
    struct mem mem;
    struct http_server *server; /* NULL: freed meanwhile */
    struct http_conn *conn;     /* NULL: the client is gone */
    enum exchange_state state;
    uint64_t came_ns; /* when its first bytes did, at the latest */
    const char *method;
    char *text; /* the head, cut */
    const char *path;
    const char *query; /* behind the '?', or "" */
    struct http_field *fields;
    size_t field_count;
    struct list values; /* decoded query values */
    struct buf body;
    struct buf headers; /* of the answer */
    size_t held;        /* bytes of the budget */
    bool is_put_off;    /* the answer says Retry-After */
    void (*on_close)(void *arg);
    void *on_close_arg;
};

struct http_server {
    struct loop *loop;
    struct mem mem;
    struct clock clock;
    struct http_server_options options;
    struct tcp_listener *listener; /* NULL: draining */
    char addr[NET_ADDR_SIZE];
    struct list conns;
    struct list quiet[QUIETS];
    size_t fresh_count; /* connections on common places that never asked for anything */
    struct list ready;
    struct list resting;   /* the first is due first */
    struct list lingering; /* the first is read first */
    struct timer rest, linger;
    uint64_t replaced_since_ns; /* closed for new ones since, in HTTP_PACE_MS: */
    unsigned replaced;
    struct event *work; /* gives those that are ready their turns */
    bool working;
    size_t conn_count, places; /* which are there for all; the rest are spare */
    struct list exchanges;     /* handed to the handler and not freed */
    size_t pending;
    size_t bytes;
    struct timer sweep;
    uint64_t caps[HTTP_CAPS];
    uint64_t caps_logged[HTTP_CAPS]; /* how many of them a line has told of */
    uint64_t cap_log_ns[HTTP_CAPS];
    uint64_t date_s;
    char date[40];
    struct http_head head; /* of the request being read; its fields are copied to the exchange */
    char input[HTTP_READ_MAX];
};

/* After bytes have come and before they are looked at: see http_server_options. May break any connection. */
void http_server_has_read(struct http_server *s);

/* ---- bounds (http_caps.c) ---- */
void http_cap_reached(struct http_server *s, enum http_cap cap);
void http_caps_log(struct http_server *s);
/* Counts bytes for the connection or exchange that keeps `held`, as many as it has now. */
void http_budget_set(struct http_server *s, size_t *held, size_t now);
/* Whether a request that holds `held` bytes may hold `total`. */
bool http_budget_has(const struct http_server *s, size_t held, size_t total);
/* Makes room for an answer: of those who do not take theirs, the slowest are cut off. */
void http_budget_make_room(struct http_server *s, const struct http_conn *for_conn);
/* The instant by which a transfer that began at `since` must have moved more than `moved`. */
uint64_t http_transfer_deadline(uint64_t since_ns, uint64_t moved);

/* ---- connections as they read (http_conn.c) ---- */
/* Takes over the descriptor. */
void http_conn_new(struct http_server *s, int fd, bool is_spare);
/* From the loop only. */
void http_conn_free(struct http_conn *c);
/* Frees it from the loop. */
void http_conn_break(struct http_conn *c);
/* Reads no further request: closes, after the answer if one is under way. */
void http_conn_drop_unread(struct http_conn *c);
/* Asks for a turn. */
void http_conn_queue(struct http_conn *c);
/* One turn, for one that is queued no more. May free it. */
void http_conn_turn(struct http_conn *c);
/* Whether it is over its time at `now`; acts on it, and may free it. */
void http_conn_check_time(struct http_conn *c, uint64_t now_ns);
/* Is not read for HTTP_REST_MS: it was told to come back later. */
void http_conn_rest(struct http_conn *c);
void http_conns_on_rest(void *server);
void http_conns_on_linger(void *server);
/* The answer is complete; what waits of it is sent from the loop. */
void http_conn_done(struct http_conn *c);
/* And is taken: turns to the next request, or closes. */
void http_conn_answered(struct http_conn *c);
/* Listens to what its state wants to hear. */
void http_conn_listen(struct http_conn *c);

/* ---- as they write (http_write.c) ---- */
/* A whole answer; `headers` are lines. */
void http_conn_reply(struct http_conn *c, bool is_head, int status, struct bytes headers,
                     struct bytes body);
/* The server's own refusal; the connection closes after it. */
void http_conn_refuse(struct http_conn *c, const struct http_fault *fault);
void http_conn_continue(struct http_conn *c);
void http_conn_stream(struct http_conn *c, int status, struct bytes headers);
/* Sent from the loop. */
void http_conn_chunk(struct http_conn *c, struct bytes data);
void http_conn_end(struct http_conn *c, bool is_head);
size_t http_conn_waiting(const struct http_conn *c);
/* Writes what waits; tells http_conn_answered when all is written. */
void http_conn_flush(struct http_conn *c);

/* ---- exchanges (http_exchange.c) ---- */
/* Copies what it needs. */
struct http_exchange *http_exchange_new(struct http_conn *c, const struct http_head *head,
                                        const char *text, size_t len);
void http_exchange_free(struct http_exchange *ex);
/* The client is gone: says so to who asked for it. The exchange may be freed in it. */
void http_exchange_gone(struct http_exchange *ex);

#endif
