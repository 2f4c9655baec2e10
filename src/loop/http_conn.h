/* Private to the HTTP server: connections (http_server.c), exchanges (http_exchange.c) and what of a
 * request evhttp does not look at (http_check.c). */
#ifndef KELPIE_LOOP_HTTP_CONN_H
#define KELPIE_LOOP_HTTP_CONN_H

#include "base/list.h"
#include "base/map.h"
#include "loop/http_server.h"

struct bufferevent;
struct evhttp_connection;
struct evhttp_request;

/* What we know about a connection of evhttp's. */
struct http_conn {
    struct list link;     /* in server->fresh, then in server->conns */
    struct map_node node; /* in server->by_evcon, under `evcon` */
    struct evhttp_connection *evcon;
    struct http_server *server;
    struct bufferevent *bev;
    struct http_exchange *ex; /* has its request, and owes the answer */
    bool in_request;          /* reading one: its first byte is here */
    bool holds_back;          /* reads little, because an answer is under way */
    bool breaking;            /* to be closed from the loop */
    bool closes;              /* after the answer under way */
    uint64_t deadline_ns;     /* of reading */
};

enum exchange_state { EXCHANGE_HANDLING, EXCHANGE_STREAMING };

struct http_exchange {
    struct list link; /* in server->exchanges */
    struct mem mem;
    struct http_server *server; /* NULL: freed meanwhile */
    struct http_conn *conn;     /* NULL: the client is gone, and the request is ours to free */
    struct evhttp_request *req;
    enum exchange_state state;
    const char *method;
    char *path;
    const char *query;  /* behind the '?', or "" */
    struct list values; /* decoded query values */
    struct bytes body;
    void (*on_close)(void *arg);
    void *on_close_arg;
};

struct http_exchange *http_exchange_new(struct http_conn *conn, struct mem mem,
                                        struct evhttp_request *req);
/* The client is gone: says so to who asked for it. The exchange may be freed in it. */
void http_exchange_gone(struct http_exchange *ex);

/* ---- what an exchange does to its connection ---- */
/* Before an answer's headers are written: says in them whether the connection closes behind it;
 * `force` makes it so. */
void http_conn_prepare(struct http_conn *c, struct evhttp_request *req, bool force);
/* Sends a whole answer; with it the request is evhttp's again. */
void http_conn_send(struct http_conn *c, struct evhttp_request *req, int status, struct bytes body);
/* Bytes that the client has not taken yet. */
size_t http_conn_waiting(const struct http_conn *c);
/* Closes it from the loop. */
void http_conn_break(struct http_conn *c);
void http_server_handled(struct http_server *s);
/* What stands behind the status in an answer's first line; NULL: evhttp knows it. */
const char *http_reason(int status);

/* ---- requests (http_check.c) ---- */
const char *http_request_method(const struct evhttp_request *req);
bool http_request_is_http10(const struct evhttp_request *req);
/* Whether there is a body that evhttp left unread: of a HEAD, of an unknown method. */
bool http_request_left_body(struct evhttp_request *req);
#define HTTP_WHY_SIZE 128
/* Returns 0, or the HTTP status to refuse the request with, a sentence, and an error's code. */
int http_request_check(struct evhttp_request *req, char why[HTTP_WHY_SIZE], int *error) MUST_USE;

#endif
