/* Routes, and the life of the API. */
#include "http/api.h"

#include <stdio.h>
#include <string.h>

#include "http/api_internal.h"

enum { GET = 1, POST = 2 };

/* A part "*" takes anything, also what is empty: the handler says what is wrong with it. */
struct route {
    unsigned methods;
    size_t count;
    const char *parts[PATH_PARTS_MAX];
    api_handler_fn *fn;
};

static const struct route routes[] = {
    {GET, 0, {NULL}, api_page},
    {POST, 5, {"v1", "actors", "*", "*", "*"}, api_actor_call},
    {GET, 4, {"v1", "actors", "*", "*"}, api_actor_locate},
    {GET, 6, {"v1", "actors", "*", "*", "show", "*"}, api_actor_show},
    {GET, 2, {"v1", "actors"}, api_actor_list},
    {GET, 2, {"v1", "messages"}, api_message_list},
    {GET, 3, {"v1", "messages", "poisoned"}, api_poisoned_list},
    {POST, 5, {"v1", "messages", "*", "*", "lift"}, api_poison_lift},
    {GET, 4, {"v1", "messages", "*", "*"}, api_message_list},
    {GET, 5, {"v1", "messages", "*", "*", "*"}, api_message_show},
    {POST, 6, {"v1", "messages", "*", "*", "*", "retry"}, api_message_retry},
    {POST, 6, {"v1", "messages", "*", "*", "*", "drop"}, api_message_drop},
    {POST, 3, {"v1", "worker", "next"}, api_worker_next},
    {GET, 2, {"v1", "status"}, api_status},
    {GET, 2, {"v1", "nodes"}, api_nodes},
    {GET, 2, {"v1", "view"}, api_view},
    {GET, 2, {"v1", "primary"}, api_primary},
    {GET, 2, {"v1", "events"}, api_events},
    {POST, 4, {"v1", "nodes", "*", "drain"}, api_drain},
    {POST, 4, {"v1", "nodes", "*", "forget"}, api_forget},
    {GET, 1, {"livez"}, api_livez},
    {GET, 1, {"readyz"}, api_readyz},
    {GET, 1, {"metrics"}, api_metrics},
};

static bool route_takes(const struct route *r, const struct path *path)
{
    if (path->count != r->count)
        return false;
    for (size_t i = 0; i < r->count; i++) {
        const struct path_part *part = &path->parts[i];
        if (strcmp(r->parts[i], "*") != 0 &&
            (strlen(r->parts[i]) != part->len || memcmp(r->parts[i], part->text, part->len) != 0))
            return false;
    }
    return true;
}

static unsigned method_bit(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return GET;
    return strcmp(method, "POST") == 0 ? POST : 0;
}

static void wrong_method(struct api *api, const struct api_request *req, unsigned methods)
{
    char why[API_WHY_SIZE];
    const char *allow = methods == GET ? "GET, HEAD" : "POST";
    (void)snprintf(why, sizeof(why), "%.16s is not for this path; it takes %s", req->method, allow);
    req->ops->set_header(req->ex, "Allow", allow);
    api_reply_error(api, req, KELPIE_E_METHOD_NOT_ALLOWED, why);
}

static void no_such_path(struct api *api, const struct api_request *req, const struct path *path)
{
    char why[API_WHY_SIZE];
    bool is_call = path->count >= 2 && strcmp(path->parts[0].text, "v1") == 0 &&
                   strcmp(path->parts[1].text, "actors") == 0;
    if (is_call)
        (void)snprintf(why, sizeof(why),
                       "a request for an actor is POST /v1/actors/TYPE/ID/METHOD, not %.200s",
                       req->path);
    else
        (void)snprintf(why, sizeof(why), "there is no path %.200s; GET / lists them", req->path);
    api_reply_error(api, req, KELPIE_E_NOT_FOUND, why);
}

void api_handle(struct api *api, const struct api_request *req)
{
    struct path path;
    char why[API_WHY_SIZE] = "";
    unsigned allowed = 0;
    if (!api_guard_origin(api, req))
        return;
    int err = path_parse(req->path, &path, why, sizeof(why));
    if (err == KELPIE_E_INVALID) {
        api_reply_error(api, req, err, why);
        return;
    }
    for (size_t i = 0; !err && i < ARRAY_LEN(routes); i++) {
        const struct route *r = &routes[i];
        if (!route_takes(r, &path))
            continue;
        if (r->methods & method_bit(req->method)) {
            if (r->methods != POST || api_guard_change(api, req, &path))
                r->fn(api, req, &path);
            return;
        }
        allowed |= r->methods;
    }
    if (allowed)
        wrong_method(api, req, allowed);
    else
        no_such_path(api, req, &path);
}

bool api_is_vital(const char *method, const char *path)
{
    static const char *const paths[] = {"/livez",   "/readyz",   "/metrics",   "/v1/status",
                                        "/v1/view", "/v1/nodes", "/v1/primary"};
    (void)method;
    if (strncmp(path, "/v1/nodes/", 10) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (strcmp(path, paths[i]) == 0)
            return true;
    return false;
}

bool api_check_id(struct api *api, const struct api_request *req, const char *what,
                  const struct path_part *part, size_t max)
{
    char why[API_WHY_SIZE];
    int err = id_check(what, bytes_of(part->text, part->len), max, why, sizeof(why));
    if (err)
        api_reply_error(api, req, err, why);
    return !err;
}

bool api_number64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    CHECK(max <= UINT64_MAX / 10 - 1);
    if (!text[0])
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
        if (n > max)
            return false;
    }
    *out = n;
    return n >= min;
}

bool api_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;
    if (!api_number64(text, min, max, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

struct api *api_new(struct node *node, const struct api_config *config)
{
    const struct env *env = node_env(node);
    struct api *api = MEM_NEW(env->mem, struct api);
    api->node = node;
    api->env = env;
    api->config = *config;
    api->started_ns = env_now_ns(env);
    api->is_loopback = api_is_loopback(config->http_addr, strlen(config->http_addr));
    api->actor_lists =
        (struct api_lists){.what = "actors", .cap = {.name = "lists", .bound = API_LISTS_MAX}};
    api->node_lists =
        (struct api_lists){.what = "nodes", .cap = {.name = "node_lists", .bound = API_LISTS_MAX}};
    api->message_lists = (struct api_lists){
        .what = "messages", .cap = {.name = "message_lists", .bound = API_LISTS_MAX}};
    api->voters = api_voters_new(api);
    api->streams_cap = (struct cap){.name = "event_streams", .bound = API_STREAMS_MAX};
    api_events_init(api);
    return api;
}

void api_on_read(struct api *api)
{
    node_notice(api->node);
}

size_t api_pending(const struct api *api)
{
    return api->pending;
}

void api_free(struct api *api)
{
    CHECK(api->pending == 0);
    api_events_deinit(api);
    api_voters_free(api->voters);
    mem_free(api->env->mem, api);
}
