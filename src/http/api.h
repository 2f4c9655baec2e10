/*
 * The HTTP API of a node (docs/http-api.md): a request in, an answer out. Knows no sockets: whoever
 * runs a server hands requests over and does what `struct api_ops` asks for.
 *
 * All of it runs on the node's loop. The API borrows the node: it is freed first, when nothing is
 * pending.
 */
#ifndef KELPIE_HTTP_API_H
#define KELPIE_HTTP_API_H

#include "node/node.h"

#define API_VERSION_PATH "v1"
#define API_EVENTS_KEPT 256
#define API_STREAMS_MAX 64
#define API_LIST_DEFAULT 100
#define API_LIST_MAX 1000
#define API_LISTS_MAX 8         /* listings of actors under way: one more is told "limit" */
#define API_LIST_ROWS_A_TURN 64 /* read and written at a time, with turns of the loop between */
#define API_STREAM_IDLE_MS 15000
#define API_STATUS_WAIT_MS 1000
#define API_STATUS_ANSWERS_A_READ 32 /* of the node rows; whoever else asks waits for the next */
#define API_STATUS_NODES_MAX 100 /* named in a status, as members or as silent; /v1/nodes has all */
#define API_RETRY_AFTER_S "1"    /* said with "limit" and "mailbox_full" */
/* Said with "too_many": of a window of a minute, an eighth is forgotten about as often. */
#define API_RETRY_TOO_MANY_S "10"

/* What is done with the exchange that a request came in with. */
struct api_ops {
    /* The decoded value of a query parameter, the value of a header, or NULL; valid until the
     * exchange ends. */
    const char *(*query)(void *ex, const char *name);
    const char *(*header)(void *ex, const char *name);
    /* For how long the request has been coming, in ms. */
    uint64_t (*held_ms)(void *ex);
    /* How often that header is there. */
    size_t (*header_count)(void *ex, const char *name);
    /* `fn` runs at most once, when the client goes away before the answer has ended. */
    void (*on_close)(void *ex, void (*fn)(void *arg), void *arg);
    void (*set_header)(void *ex, const char *name, const char *value);
    /* Ends the exchange. */
    void (*reply)(void *ex, int status, const char *content_type, struct bytes body);
    /* Or: a streamed answer, any number of chunks (false: no more can be sent), and its end. */
    void (*stream)(void *ex, int status, const char *content_type);
    bool (*chunk)(void *ex, struct bytes data);
    void (*end)(void *ex);
    /* Bytes of the stream that its client has not taken. */
    size_t (*waiting)(void *ex);
    /* Of requests that came on the node's own socket only: http_exchange_keep and the like. */
    void *(*keep)(void *ex, void *kept, void (*gone)(void *kept));
    void *(*kept)(void *ex);
    void (*end_connection)(void *connection);
};

struct api_request {
    const struct api_ops *ops;
    void *ex;
    const char *method;
    const char *path; /* percent-encoded, without the query */
    struct bytes body;
    bool is_local; /* it came on the node's Unix socket: from its user */
    /* All valid until the exchange ends. */
};

/* What the API says about the process; copied, the strings and `arg` borrowed. */
struct api_config {
    const char *version;
    const char *store_url;
    const char *http_addr;
    long pid;
    long supervisor_pid; /* 0: none */
    /* While true, the workers of the node's own classes have not registered, and it is not ready; NULL: it has none. */
    const bool *workers_due;
    /* More for /metrics, of what the API does not know; NULL: nothing. */
    void (*metrics)(void *arg, struct buf *out);
    void *arg;
};

struct api;

/* Has to be answered also when there is no room for anything else: what tells of the node's health, and
 * what operators ask. `path` as in struct api_request. */
bool api_is_vital(const char *method, const char *path);

struct api *api_new(struct node *node, const struct api_config *config);
/* Answers the request, now or later. */
void api_handle(struct api *api, const struct api_request *request);
/* Something has come from a client, and nobody has looked at it yet: see node_notice. */
void api_on_read(struct api *api);
/* From node_events.event. */
void api_event(struct api *api, uint64_t seq, enum log_level level, const char *name,
               const char *fields);
/* Ends the event streams and takes no new one. */
void api_close_streams(struct api *api);
/* Requests that are not answered, and operations that still use the node; streams not counted. */
size_t api_pending(const struct api *api);
/* Nothing is pending. Ends the streams. */
void api_free(struct api *api);

#endif
