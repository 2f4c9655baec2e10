/* Private to the API: what its files share. */
#ifndef KELPIE_HTTP_API_INTERNAL_H
#define KELPIE_HTTP_API_INTERNAL_H

#include <jansson.h>

#include "http/api.h"
#include "http/api_path.h"
#include "kelpie/error.h"

#define API_WHY_SIZE 512
#define API_STATUS_CLASSES 6

struct api_kept_event {
    uint64_t seq; /* 0: none */
    uint64_t time_ms;
    enum log_level level;
    char *name;
    char *fields;
};

/* Listings of one kind. */
struct api_lists {
    const char *what;
    size_t under_way;
    struct cap cap;
};

struct api_voters;

struct api {
    struct node *node;
    const struct env *env;
    struct api_config config;
    uint64_t started_ns;
    size_t pending;
    struct api_lists actor_lists, node_lists, message_lists;
    struct api_voters *voters;
    struct cap streams_cap;
    uint64_t answers[API_STATUS_CLASSES]; /* by status / 100 */

    struct api_kept_event events[API_EVENTS_KEPT];
    uint64_t last_seq;
    char boot_prefix[9];
    struct list streams;
    size_t stream_count;
    bool broadcasting, streams_closed;
    bool is_loopback; /* its listener */
    struct timer idle_timer;
};

/* A request under way. Each kind of operation begins with one. */
struct api_op {
    struct api *api;
    struct api_request req;
    bool answered;
};

/* ---- answers (api_answer.c) ---- */
void api_reply(struct api *api, const struct api_request *req, int status, const char *type,
               struct bytes body);
/* Takes over `json`. */
void api_reply_json(struct api *api, const struct api_request *req, int status, json_t *json);
/* An error of the table; `why` NULL or "": its own sentence. */
void api_reply_error(struct api *api, const struct api_request *req, int error, const char *why);
/* A domain error, as the actor's class gave it. */
void api_reply_domain_error(struct api *api, const struct api_request *req, struct bytes error);
/* A string; what is not UTF-8 becomes '?'. NULL: null. */
json_t *api_string(const char *s);
json_t *api_uuid(struct uuid u);
void api_set(json_t *object, const char *name, json_t *value);
void api_set_text(json_t *object, const char *name, const char *value);
void api_set_int(json_t *object, const char *name, uint64_t value);
void api_set_bool(json_t *object, const char *name, bool value);
/* For json_dump_callback: appends to the struct buf. */
int api_append_json(const char *text, size_t len, void *buf);
void api_json_text(const json_t *json, struct buf *out);

/* ---- input ---- */
/* Checks an id from the path; answers the request and returns false when it is none. */
bool api_check_id(struct api *api, const struct api_request *req, const char *what,
                  const struct path_part *part, size_t max);
/* A decimal number from `text` within min..max. */
bool api_number64(const char *text, uint64_t min, uint64_t max, uint64_t *out);
bool api_number(const char *text, uint32_t min, uint32_t max, uint32_t *out);

/* ---- metrics ---- */
/* A label's value in quotes: backslash, quote and line feed are escaped. */
void api_metric_label(struct buf *out, const char *value);
void api_worker_metrics(struct api *api, struct buf *out);

/* ---- listings (api_list.c) ---- */
/* One more is under way, until api_list_end; or it is refused as `limit`, and false. */
bool api_list_begin(struct api *api, const struct api_request *req, struct api_lists *lists);
void api_list_end(struct api *api, struct api_lists *lists);
/* Ends the array in `out`, says where the next page begins (NULL: there is none), and answers with it. */
void api_list_reply(struct api *api, const struct api_request *req, struct buf *out,
                    const char *next);
/* The row at `key` cannot be read. */
void api_reply_corrupt(struct api *api, const struct api_request *req, struct bytes key);
/* So many rows of the next read belong to the page; one more tells whether there is a next. */
uint32_t api_list_rows(uint32_t limit, uint32_t listed);
/* The parameter `name` as an id of `max` bytes at most ("": it is not given); `limit`. False: it was refused. */
bool api_take_id(struct api *api, const struct api_request *req, const char *name, const char *what,
                 size_t max, char *out);
bool api_take_limit(struct api *api, const struct api_request *req, uint32_t *out);

/* ---- who is heard (api_voters.c) ---- */
struct voters {
    uint64_t voters, active, heard; /* of the voters Active; of these not silent for the window */
    uint64_t silent_count;
    json_t *silent; /* API_STATUS_NODES_MAX of them */
};

/* `done` runs once, never inside voters_ask(); `v` NULL: the store did not answer. */
struct voters_ask {
    struct list link;
    void (*done)(struct voters_ask *a, const struct voters *v);
};

struct api_voters *api_voters_new(struct api *api);
void api_voters_free(struct api_voters *v);
void voters_ask(struct api_voters *v, struct voters_ask *a);
/* Before `done` has run: it does not. */
void voters_leave(struct api_voters *v, struct voters_ask *a);

/* ---- who may ask (api_guard.c) ---- */
bool api_is_loopback(const char *host, size_t len);
/* Where a request comes from; answers it and returns false when it is not taken from there. */
bool api_guard_origin(struct api *api, const struct api_request *req);
/* Whether a page in a browser can have made this request that changes something; likewise. */
bool api_guard_change(struct api *api, const struct api_request *req, const struct path *path);

/* ---- the handlers; `path` is decoded ---- */
typedef void api_handler_fn(struct api *api, const struct api_request *req,
                            const struct path *path);
api_handler_fn api_actor_call, api_actor_locate, api_actor_list, api_actor_show;
api_handler_fn api_message_list, api_message_show, api_message_retry, api_message_drop;
api_handler_fn api_poisoned_list, api_poison_lift;
api_handler_fn api_status, api_nodes, api_view, api_primary;
api_handler_fn api_drain, api_forget;
api_handler_fn api_worker_next;
api_handler_fn api_events, api_livez, api_readyz, api_metrics, api_page;

/* A placement is on a member of the view in that life. */
bool api_is_hosted(struct api *api, const char *node_id, uint64_t incarnation);

void api_events_init(struct api *api);
void api_events_deinit(struct api *api);

#endif
