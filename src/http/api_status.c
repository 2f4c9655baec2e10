/* GET /v1/status, /v1/view, /v1/primary, /livez, /readyz: what this node knows of itself. */
#include <stdio.h>

#include "base/printable.h"
#include "http/api_internal.h"

struct status_op {
    struct api_op op;
    struct voters_ask ask;
    struct timer timer;
};

/* ---- parts ---- */

static json_t *primary_to_json(const struct primary_record *p)
{
    json_t *primary = json_object();
    api_set_text(primary, "node", p->node_id);
    api_set_int(primary, "incarnation", p->incarnation);
    api_set(primary, "boot", api_uuid(p->boot));
    api_set_int(primary, "term", p->term);
    return primary;
}

static json_t *view_names(const struct view *v)
{
    json_t *view = json_object();
    json_t *names = json_array();
    for (size_t i = 0; i < v->count && i < API_STATUS_NODES_MAX; i++)
        CHECK(json_array_append_new(names, api_string(v->members[i].node_id)) == 0);
    api_set_int(view, "number", v->number);
    api_set_int(view, "count", v->count);
    api_set(view, "members", names);
    return view;
}

static void status_process(struct api *api, json_t *body)
{
    const struct cluster_config *config = cluster_config_of(node_cluster(api->node));
    api_set_text(body, "rpc", config->addr);
    api_set_text(body, "http", api->config.http_addr);
    api_set_int(body, "pid", (uint64_t)api->config.pid);
    api_set_int(body, "supervisor_pid", (uint64_t)api->config.supervisor_pid);
    api_set_text(body, "version", api->config.version);
    api_set_int(body, "uptime_ms", (env_now_ns(api->env) - api->started_ns) / NS_PER_MS);
    api_set_text(body, "store", api->config.store_url);
}

static json_t *missing_ms(bool is_missing, uint64_t ns)
{
    return is_missing ? json_integer((json_int_t)(ns / NS_PER_MS)) : json_null();
}

/* What is missing, and in which sentences. */
static void status_health(struct api *api, json_t *body)
{
    struct cluster *c = node_cluster(api->node);
    struct health_report h;
    json_t *troubles = json_array();
    cluster_health(c, &h);
    const char *const sentences[] = {h.majority_why, h.primary_why, h.store_why};
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++)
        if (sentences[i][0])
            CHECK(json_array_append_new(troubles, api_string(sentences[i])) == 0);
    api_set(body, "primary_lives", h.acting ? json_boolean(cluster_led(c)) : json_null());
    api_set(body, "primary_missing_ms", missing_ms(h.primary_missing, h.primary_missing_ns));
    api_set(body, "majority_missing_ms", missing_ms(h.majority_missing, h.majority_missing_ns));
    api_set(body, "troubles", troubles);
}

static void add_type(void *arg, const char *type, uint32_t version, enum type_hosting hosting)
{
    json_t *t = json_object();
    api_set_text(t, "type", type);
    api_set_int(t, "version", version);
    api_set_text(t, "hosting", type_hosting_name(hosting));
    CHECK(json_array_append_new(arg, t) == 0);
}

static void set_types(json_t *body, const struct actors *a)
{
    json_t *types = json_array();
    actors_types_each(a, add_type, types);
    api_set(body, "types", types);
}

static json_t *status_body(struct api *api)
{
    struct cluster *c = node_cluster(api->node);
    const struct cluster_config *config = cluster_config_of(c);
    struct primary_record primary;
    json_t *body = json_object();
    bool acting = cluster_may_act(c);
    api_set_text(body, "node", config->node_id);
    api_set_text(body, "state", node_state_name(cluster_state(c)));
    api_set_bool(body, "acting", acting);
    api_set_text(body, "reason", cluster_reason(c));
    api_set_int(body, "incarnation", cluster_incarnation(c));
    api_set(body, "boot", api_uuid(config->boot));
    api_set(body, "cluster", api_uuid(cluster_id(c)));
    status_process(api, body);
    api_set(body, "view", view_names(cluster_view(c)));
    api_set(body, "primary",
            cluster_primary(c, &primary) ? primary_to_json(&primary) : json_null());
    api_set_bool(body, "is_primary", cluster_claim(c) != 0);
    api_set_int(body, "term", cluster_claim(c));
    api_set_int(body, "lease_ms", config->timing.lease_ms);
    api_set_int(body, "lease_left_ms", cluster_lease_left_ns(c) / NS_PER_MS);
    api_set_int(body, "heartbeat_ms", config->timing.heartbeat_ms);
    api_set_int(body, "activations", actors_stats(node_actors(api->node))->activations);
    set_types(body, node_actors(api->node));
    status_health(api, body);
    return body;
}

/* ---- /v1/status ---- */

/* Rows say Active until somebody may declare otherwise, and without a primary nobody may: so those are
 * counted that are heard. A node that may not act knows of none. `v` NULL: the store did not answer. */
static void status_majority(struct api *api, json_t *body, const struct voters *v)
{
    static const char *const unknown[] = {"voters", "active", "majority", "has_majority",
                                          "tolerates_failures"};
    struct cluster *c = node_cluster(api->node);
    struct health_report h;
    if (!v) {
        for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
            api_set(body, unknown[i], json_null());
        return;
    }
    uint64_t majority = v->voters / 2 + 1;
    cluster_health(c, &h);
    bool has = v->heard >= majority && !h.majority_missing;
    api_set_int(body, "voters", v->voters);
    api_set_int(body, "active", v->active);
    api_set_int(body, "majority", majority);
    api_set(body, "has_majority", h.acting ? json_boolean(has) : json_null());
    api_set_int(body, "tolerates_failures",
                has && h.acting && cluster_led(c) ? v->heard - majority : 0);
}

static void status_answer(struct status_op *s, const struct voters *v)
{
    struct api *api = s->op.api;
    json_t *body = status_body(api);
    timer_stop(&s->timer);
    api_set(body, "silent", v ? json_incref(v->silent) : json_null());
    api_set(body, "heard", v ? json_integer((json_int_t)v->heard) : json_null());
    api_set_bool(body, "store_ok", v != NULL);
    status_majority(api, body, v);
    api_reply_json(api, &s->op.req, 200, body);
    mem_free(api->env->mem, s);
}

static void on_status_late(void *arg)
{
    struct status_op *s = arg;
    voters_leave(s->op.api->voters, &s->ask);
    status_answer(s, NULL);
}

static void on_status_voters(struct voters_ask *a, const struct voters *v)
{
    status_answer(LIST_ENTRY(a, struct status_op, ask), v);
}

void api_status(struct api *api, const struct api_request *req, const struct path *path)
{
    struct status_op *s = MEM_NEW(api->env->mem, struct status_op);
    (void)path;
    cluster_look(node_cluster(api->node));
    s->op.api = api;
    s->op.req = *req;
    s->ask.done = on_status_voters;
    timer_init(&s->timer, api->env->timers, "status", on_status_late, s);
    timer_start(&s->timer, API_STATUS_WAIT_MS * NS_PER_MS);
    voters_ask(api->voters, &s->ask);
}

/* ---- the others ---- */

void api_view(struct api *api, const struct api_request *req, const struct path *path)
{
    const struct view *v = cluster_view(node_cluster(api->node));
    char after[NODE_ID_MAX + 1];
    uint32_t limit;
    size_t i = 0;
    (void)path;
    if (!api_take_limit(api, req, &limit) ||
        !api_take_id(api, req, "after", "node id", NODE_ID_MAX, after))
        return;
    json_t *body = json_object();
    json_t *members = json_array();
    while (i < v->count && strcmp(v->members[i].node_id, after) <= 0)
        i++;
    for (; i < v->count && json_array_size(members) < limit; i++) {
        json_t *m = json_object();
        api_set_text(m, "node", v->members[i].node_id);
        api_set_int(m, "incarnation", v->members[i].incarnation);
        api_set(m, "boot", api_uuid(v->members[i].boot));
        api_set_text(m, "rpc", v->members[i].addr);
        CHECK(json_array_append_new(members, m) == 0);
    }
    bool more = i < v->count;
    api_set_int(body, "number", v->number);
    api_set_int(body, "count", v->count);
    api_set(body, "members", members);
    api_set_text(body, "next", more && i > 0 ? v->members[i - 1].node_id : NULL);
    api_reply_json(api, req, 200, body);
}

void api_primary(struct api *api, const struct api_request *req, const struct path *path)
{
    struct cluster *c = node_cluster(api->node);
    struct primary_record p;
    json_t *body = json_object();
    json_t *primary = json_null();
    (void)path;
    if (cluster_primary(c, &p)) {
        primary = primary_to_json(&p);
        api_set_bool(primary, "here", cluster_claim(c) != 0 && cluster_claim(c) == p.term);
    }
    api_set(body, "primary", primary);
    api_reply_json(api, req, 200, body);
}

void api_livez(struct api *api, const struct api_request *req, const struct path *path)
{
    (void)path;
    api_reply(api, req, 200, "text/plain; charset=utf-8", bytes_of_str("alive\n"));
}

/* Whether `?majority=` asks for one; false: it was refused. */
static bool wants_majority(struct api *api, const struct api_request *req, bool *wants)
{
    const char *given = req->ops->query(req->ex, "majority");
    char why[API_WHY_SIZE], shown[64];
    *wants = given && (strcmp(given, "1") == 0 || strcmp(given, "true") == 0);
    if (!given || *wants || strcmp(given, "0") == 0 || strcmp(given, "false") == 0)
        return true;
    (void)snprintf(why, sizeof(why), "majority is '%s', but it must be 1 or 0",
                   printable(given, shown, sizeof(shown)));
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

/* Its lines with "; " between them, as many as fit. */
static void one_line(char *text, size_t size)
{
    for (char *p = strchr(text, '\n'); p; p = strchr(p, '\n')) {
        size_t rest = strlen(p + 1) + 1;
        *p++ = ';';
        if ((size_t)(p - text) + 1 + rest > size)
            rest = size - (size_t)(p - text) - 1;
        memmove(p + 1, p, rest);
        *p = ' ';
        text[size - 1] = '\0';
    }
}

void api_readyz(struct api *api, const struct api_request *req, const struct path *path)
{
    struct cluster *c = node_cluster(api->node);
    const struct cluster_config *config = cluster_config_of(c);
    struct health_report h;
    char troubles[4 * API_WHY_SIZE], text[5 * API_WHY_SIZE], id[PRINTABLE_FACTOR * NODE_ID_MAX + 1];
    bool majority;
    (void)path;
    if (!wants_majority(api, req, &majority))
        return;
    cluster_health(c, &h);
    if (api->config.workers_due && *api->config.workers_due) {
        api_reply_error(api, req, KELPIE_E_UNAVAILABLE,
                        "the workers of this node's actors (--actors) have not registered yet");
        return;
    }
    if (health_ready(&h, majority, timing_window_ns(&config->timing), troubles, sizeof(troubles))) {
        (void)snprintf(text, sizeof(text), "ready\n%s%s", troubles, troubles[0] ? "\n" : "");
        api_reply(api, req, 200, "text/plain; charset=utf-8", bytes_of_str(text));
        return;
    }
    const char *reason = h.acting && troubles[0] ? troubles : cluster_reason(c);
    (void)snprintf(text, sizeof(text), "node %s is %s%s%s",
                   printable(config->node_id, id, sizeof(id)), node_state_name(cluster_state(c)),
                   reason[0] ? ": " : "", reason);
    one_line(text, sizeof(text));
    api_reply_error(api, req, KELPIE_E_UNAVAILABLE, text);
}
