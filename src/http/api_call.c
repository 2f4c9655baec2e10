/* Calls to actors, and where they are. */
#include <stdio.h>

#include "base/utf8.h"
#include "http/api_internal.h"

struct call_op {
    struct api_op op;
    bool sends;
    char request_id[REQUEST_ID_MAX + 1];
};

static void on_called(void *arg, int status, struct bytes reply)
{
    struct call_op *c = arg;
    struct api *api = c->op.api;
    const struct api_request *req = &c->op.req;
    req->ops->set_header(req->ex, "Kelpie-Request-Id", c->request_id);
    if (status == 0) {
        api_reply(api, req, c->sends ? 202 : 200,
                  utf8_valid(reply) ? "text/plain; charset=utf-8" : "application/octet-stream",
                  reply);
    } else if (status == KELPIE_E_DOMAIN) {
        api_reply_domain_error(api, req, reply);
    } else {
        char why[API_WHY_SIZE];
        (void)snprintf(why, sizeof(why), "%.*s", (int)(reply.len < 400 ? reply.len : 400),
                       reply.len ? (const char *)reply.data : "");
        api_reply_error(api, req, status, why);
    }
    api->pending--;
    mem_free(api->env->mem, c);
}

/* What a client says of its request, it says once: of two, nobody knows which is meant. */
static bool said_once(struct api *api, const struct api_request *req)
{
    static const char *const names[] = {"Kelpie-Request-Id", "Kelpie-Request-Age-Ms",
                                        "Kelpie-Deadline-Ms"};
    char why[API_WHY_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (req->ops->header_count(req->ex, names[i]) <= 1)
            continue;
        (void)snprintf(why, sizeof(why), "the request has the header %s more than once", names[i]);
        api_reply_error(api, req, KELPIE_E_INVALID, why);
        return false;
    }
    return true;
}

/* The caller's request id, or a new one. False: answered. */
static bool take_request_id(struct api *api, const struct api_request *req,
                            char out[REQUEST_ID_MAX + 1])
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->header(req->ex, "Kelpie-Request-Id");
    if (!given) {
        uuid_to_text(random_uuid(api->env->random), out);
        return true;
    }
    int err = id_check("Kelpie-Request-Id", bytes_of_str(given), REQUEST_ID_MAX, why, sizeof(why));
    if (err) {
        api_reply_error(api, req, err, why);
        return false;
    }
    (void)snprintf(out, REQUEST_ID_MAX + 1, "%s", given);
    return true;
}

static bool take_deadline(struct api *api, const struct api_request *req, uint32_t *out)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->header(req->ex, "Kelpie-Deadline-Ms");
    if (!given)
        given = req->ops->query(req->ex, "deadline_ms");
    *out = CALL_DEADLINE_MS_DEFAULT;
    if (!given || api_number(given, 1, CALL_DEADLINE_MS_MAX, out))
        return true;
    (void)snprintf(why, sizeof(why),
                   "the deadline (Kelpie-Deadline-Ms) is '%.40s', but it must be 1 to %d", given,
                   CALL_DEADLINE_MS_MAX);
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

/* How long ago the client first sent the request, at most: what it says it said when it began to send. */
static bool take_age(struct api *api, const struct api_request *req, uint64_t *out)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->header(req->ex, "Kelpie-Request-Age-Ms");
    uint32_t age_ms;
    if (!given)
        given = req->ops->query(req->ex, "age_ms");
    *out = REQUEST_AGE_UNKNOWN;
    if (!given || strcmp(given, "unknown") == 0)
        return true;
    if (!api_number(given, 0, REQUEST_AGE_MS_MAX, &age_ms)) {
        (void)snprintf(
            why, sizeof(why),
            "the age (Kelpie-Request-Age-Ms) is '%.40s', but it must be 'unknown' or 0 to "
            "%d, a day",
            given, REQUEST_AGE_MS_MAX);
        api_reply_error(api, req, KELPIE_E_INVALID, why);
        return false;
    }
    *out = age_ms + req->ops->held_ms(req->ex);
    return true;
}

/* After how long what is sent is due; without it the actor is called. */
static bool take_after(struct api *api, const struct api_request *req, bool *sends,
                       uint64_t *after_ms)
{
    char why[API_WHY_SIZE];
    const char *given = req->ops->query(req->ex, "after_ms");
    *sends = given != NULL;
    *after_ms = 0;
    if (!given || api_number64(given, 0, KELPIE_SEND_DELAY_MS_MAX, after_ms))
        return true;
    (void)snprintf(why, sizeof(why), "after_ms is '%.40s', but it must be 0 to %llu, ten years",
                   given, (unsigned long long)KELPIE_SEND_DELAY_MS_MAX);
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

void api_actor_call(struct api *api, const struct api_request *req, const struct path *path)
{
    char request_id[REQUEST_ID_MAX + 1];
    uint32_t deadline_ms;
    uint64_t age_ms, after_ms;
    bool sends;
    const struct path_part *type = &path->parts[2], *id = &path->parts[3];
    const struct path_part *method = &path->parts[4];
    if (!api_check_id(api, req, "actor type", type, ACTOR_TYPE_MAX) ||
        !api_check_id(api, req, "actor id", id, ACTOR_ID_MAX) ||
        !api_check_id(api, req, "method", method, KELPIE_METHOD_MAX) || !said_once(api, req) ||
        !take_request_id(api, req, request_id) || !take_deadline(api, req, &deadline_ms) ||
        !take_age(api, req, &age_ms) || !take_after(api, req, &sends, &after_ms))
        return;
    if (req->body.len > KELPIE_BODY_MAX) {
        char why[API_WHY_SIZE];
        (void)snprintf(why, sizeof(why), "the body has %zu bytes, over the limit of %u",
                       req->body.len, KELPIE_BODY_MAX);
        api_reply_error(api, req, KELPIE_E_TOO_LARGE, why);
        return;
    }
    struct call_op *c = MEM_NEW(api->env->mem, struct call_op);
    c->op.api = api;
    c->op.req = *req;
    memcpy(c->request_id, request_id, sizeof(request_id));
    c->sends = sends;
    api->pending++;
    if (sends)
        actors_send(node_actors(api->node), type->text, id->text, method->text, request_id, age_ms,
                    req->body, after_ms, deadline_ms, on_called, c);
    else
        actors_call(node_actors(api->node), type->text, id->text, method->text, request_id, age_ms,
                    req->body, deadline_ms, on_called, c);
}

bool api_is_hosted(struct api *api, const char *node_id, uint64_t incarnation)
{
    struct cluster *cluster = node_cluster(api->node);
    const struct member *m = view_find(cluster_view(cluster), node_id);
    return m && m->incarnation == incarnation;
}

struct locate_op {
    struct api_op op;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
};

static void on_located(void *arg, int status, const struct placement_record *p)
{
    struct locate_op *l = arg;
    struct api *api = l->op.api;
    if (status == 0 && p->generation > 0) {
        json_t *body = json_object();
        api_set_text(body, "type", l->type);
        api_set_text(body, "id", l->id);
        api_set_text(body, "node", p->placed ? p->node_id : NULL);
        api_set_int(body, "incarnation", p->placed ? p->incarnation : 0);
        api_set_int(body, "generation", p->generation);
        api_set_bool(body, "hosted", p->placed && api_is_hosted(api, p->node_id, p->incarnation));
        api_reply_json(api, &l->op.req, 200, body);
    } else if (status == 0 || status == KELPIE_E_NOT_FOUND) {
        char why[API_WHY_SIZE];
        (void)snprintf(why, sizeof(why), "actor %s/%s is placed nowhere; its next call places it",
                       l->type, l->id);
        api_reply_error(api, &l->op.req, KELPIE_E_NOT_FOUND, why);
    } else {
        api_reply_error(api, &l->op.req, status, NULL);
    }
    api->pending--;
    mem_free(api->env->mem, l);
}

void api_actor_locate(struct api *api, const struct api_request *req, const struct path *path)
{
    const struct path_part *type = &path->parts[2], *id = &path->parts[3];
    if (!api_check_id(api, req, "actor type", type, ACTOR_TYPE_MAX) ||
        !api_check_id(api, req, "actor id", id, ACTOR_ID_MAX))
        return;
    struct locate_op *l = MEM_NEW(api->env->mem, struct locate_op);
    l->op.api = api;
    l->op.req = *req;
    memcpy(l->type, type->text, type->len + 1);
    memcpy(l->id, id->text, id->len + 1);
    api->pending++;
    actors_locate(node_actors(api->node), l->type, l->id, on_located, l);
}
