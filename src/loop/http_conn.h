/* Private to the HTTP server: connections (http_server.c) and exchanges (http_exchange.c). */
#ifndef KELPIE_LOOP_HTTP_CONN_H
#define KELPIE_LOOP_HTTP_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "loop/http_server.h"

struct bufferevent;
struct http_conn;

enum exchange_state { EXCHANGE_READING, EXCHANGE_HANDLING, EXCHANGE_STREAMING };

struct http_exchange {
    struct list link; /* in server->exchanges */
    struct mem mem;
    struct http_server *server; /* NULL: freed meanwhile */
    struct http_conn *conn;     /* NULL: the client is gone */
    enum exchange_state state;
    char *text; /* what `head` points into */
    struct http_head head;
    struct http_body framing;
    struct buf body;
    char *path;
    const char *query;  /* behind the '?', or "" */
    struct list values; /* decoded query values */
    struct buf headers; /* of the answer */
    bool is_head;
    bool is_chunked; /* the streamed answer */
    void (*on_close)(void *arg);
    void *on_close_arg;
};

/* Takes over `text`, of which `head` was parsed. */
struct http_exchange *http_exchange_new(struct http_conn *conn, struct mem mem, char *text,
                                        const struct http_head *head);
void http_exchange_free(struct http_exchange *ex);
/* The client is gone: says so to who asked for it. The exchange may be freed in it. */
void http_exchange_gone(struct http_exchange *ex);

/* What an exchange does to its connection. */
void http_conn_write(struct http_conn *c, struct bytes data);
/* Bytes that the client has not taken yet. */
size_t http_conn_waiting(const struct http_conn *c);
/* Whether the connection closes after the answer under way; `force` makes it so. */
bool http_conn_closes(struct http_conn *c, bool force);
/* The answer is complete. */
void http_conn_answered(struct http_conn *c);
/* Closes it from the loop. */
void http_conn_break(struct http_conn *c);
void http_server_handled(struct http_server *s);

/* The status line and headers of an answer. `length` < 0: not known. */
void http_answer_head(struct buf *out, int status, const char *content_type, long long length,
                      struct bytes headers, const char *connection);

#endif
