/* What is blamed for the ends of processes (docs/adr/0023-quarantine.md): listed in pages as in api_list.c, and lifted. */
#include <stdio.h>

#include "http/api_internal.h"

#define CURSOR_MAX (3 * (ACTOR_TYPE_MAX + ACTOR_ID_MAX + ACTOR_METHOD_MAX) + 3)

struct poisoned_op {
    struct api_op op;
    uint32_t limit, listed;
    struct key after; /* begins behind it; len 0: at the beginning */
    char next[CURSOR_MAX];
    struct buf out;
};

static void poisoned_read(struct poisoned_op *l);

static void poisoned_end(struct poisoned_op *l)
{
    struct api *api = l->op.api;
    api_list_end(api, &api->message_lists);
    buf_deinit(&l->out);
    mem_free(api->env->mem, l);
}

/* NULL when the row cannot be read. */
static json_t *row_to_json(struct api *api, const struct store_row *row, struct key_parts *parts)
{
    struct cluster *c = node_cluster(api->node);
    struct poison_record r;
    struct buf scratch;
    json_t *m = NULL;
    buf_init(&scratch, api->env->mem);
    if (!key_parse(node_keyspace(api->node), row->key, parts) &&
        !poison_record_decode(row->key, row->value, &scratch, &r)) {
        m = json_object();
        api_set_text(m, "type", parts->type);
        api_set_text(m, "id", parts->id);
        api_set_text(m, "method", parts->method[0] ? parts->method : NULL);
        api_set_text(m, "callback", r.callback);
        api_set_int(m, "deaths", r.deaths);
        api_set_int(m, "died_ms", r.died_ms);
        api_set_int(m, "until_ms", r.until_ms);
        api_set_bool(m, "poisoned",
                     poison_holds(&r, clock_wall_ms(api->env->clock),
                                  cluster_config_of(c)->timing.quarantine_ms));
        api_set_text(m, "request", r.request_id[0] ? r.request_id : NULL);
    }
    buf_deinit(&scratch);
    return m;
}

static bool add_row(struct poisoned_op *l, const struct store_row *row)
{
    struct key_parts parts;
    char *at;
    json_t *m = row_to_json(l->op.api, row, &parts);
    if (!m)
        return false;
    if (l->listed++ > 0)
        buf_append_u8(&l->out, ',');
    api_json_text(m, &l->out);
    json_decref(m);
    at = path_encode(parts.type, l->next);
    *at++ = '/';
    at = path_encode(parts.id, at);
    *at++ = '/';
    path_encode(parts.method, at);
    l->after = key_poison(node_keyspace(l->op.api->node), parts.type, parts.id, parts.method);
    return true;
}

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct poisoned_op *l = arg;
    struct api *api = l->op.api;
    uint32_t wanted = api_list_rows(l->limit, l->listed);
    (void)more;
    for (size_t i = 0; !status && i < count && i < wanted; i++) {
        if (!add_row(l, &rows[i])) {
            api_reply_corrupt(api, &l->op.req, rows[i].key);
            poisoned_end(l);
            return;
        }
    }
    if (!status && count > wanted && l->listed < l->limit) {
        poisoned_read(l);
        return;
    }
    if (status)
        api_reply_error(api, &l->op.req, status, NULL);
    else
        api_list_reply(api, &l->op.req, &l->out, count > wanted ? l->next : NULL);
    poisoned_end(l);
}

static void poisoned_read(struct poisoned_op *l)
{
    struct key_range range = keys_poison_all(node_keyspace(l->op.api->node));
    if (l->after.len)
        range.begin = key_behind(l->after);
    node_read_rows(l->op.api->node, &range, api_list_rows(l->limit, l->listed) + 1, on_rows, l);
}

static bool begin_behind(struct poisoned_op *l, const struct path *path)
{
    char why[API_WHY_SIZE];
    const struct path_part *p = path->parts;
    if (path->count != 3 ||
        id_check("actor type", bytes_of_str(p[0].text), ACTOR_TYPE_MAX, why, sizeof(why)) ||
        id_check("actor id", bytes_of_str(p[1].text), ACTOR_ID_MAX, why, sizeof(why)) ||
        (p[2].len &&
         id_check("method", bytes_of_str(p[2].text), ACTOR_METHOD_MAX, why, sizeof(why))))
        return false;
    l->after = key_poison(node_keyspace(l->op.api->node), p[0].text, p[1].text, p[2].text);
    return true;
}

static bool take_after(struct poisoned_op *l)
{
    char why[API_WHY_SIZE];
    struct path path;
    const char *given = l->op.req.ops->query(l->op.req.ex, "after");
    if (!given || !given[0])
        return true;
    if (!path_parse(given, &path, why, sizeof(why)) && begin_behind(l, &path))
        return true;
    (void)snprintf(why, sizeof(why), "after is '%.100s', but it must be what 'next' said", given);
    api_reply_error(l->op.api, &l->op.req, KELPIE_E_INVALID, why);
    return false;
}

void api_poisoned_list(struct api *api, const struct api_request *req, const struct path *path)
{
    struct poisoned_op *l;
    (void)path;
    if (!api_list_begin(api, req, &api->message_lists))
        return;
    l = MEM_NEW(api->env->mem, struct poisoned_op);
    l->op.api = api;
    l->op.req = *req;
    if (!api_take_limit(api, req, &l->limit) || !take_after(l)) {
        mem_free(api->env->mem, l);
        api_list_end(api, &api->message_lists);
        return;
    }
    buf_init(&l->out, api->env->mem);
    buf_appendf(&l->out, "{\"poisoned\":[");
    poisoned_read(l);
}

/* ---- lifted ---- */

struct lift {
    struct api_op op;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1], method[ACTOR_METHOD_MAX + 1];
};

static void on_lifted(void *arg, int status, const char *why)
{
    struct lift *l = arg;
    struct api *api = l->op.api;
    char type[4 * ACTOR_TYPE_MAX + 3], id[4 * ACTOR_ID_MAX + 3], method[4 * ACTOR_METHOD_MAX + 3];
    if (status) {
        api_reply_error(api, &l->op.req, status, why);
    } else {
        json_t *body = json_object();
        api_set_text(body, "message", why);
        log_info(&api->env->log, "poison_lifted", "type=%s id=%s method=%s by=operator",
                 log_quote(l->type, type, sizeof(type)), log_quote(l->id, id, sizeof(id)),
                 log_quote(l->method, method, sizeof(method)));
        api_reply_json(api, &l->op.req, 200, body);
    }
    api->pending--;
    mem_free(api->env->mem, l);
}

void api_poison_lift(struct api *api, const struct api_request *req, const struct path *path)
{
    struct lift *l = MEM_NEW(api->env->mem, struct lift);
    l->op.api = api;
    l->op.req = *req;
    if (!api_check_id(api, req, "actor type", &path->parts[2], ACTOR_TYPE_MAX) ||
        !api_check_id(api, req, "actor id", &path->parts[3], ACTOR_ID_MAX) ||
        !api_take_id(api, req, "method", "method", ACTOR_METHOD_MAX, l->method)) {
        mem_free(api->env->mem, l);
        return;
    }
    memcpy(l->type, path->parts[2].text, path->parts[2].len + 1);
    memcpy(l->id, path->parts[3].text, path->parts[3].len + 1);
    api->pending++;
    node_lift_poison(api->node, l->type, l->id, l->method[0] ? l->method : NULL, on_lifted, l);
}
