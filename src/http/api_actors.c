/* GET /v1/actors: placements, page by page (api_list.c). Of one node: its by-node rows; else the placements. */
#include <stdio.h>

#include "http/api_internal.h"

#define CURSOR_MAX (3 * (ACTOR_TYPE_MAX + ACTOR_ID_MAX) + 2)

struct list_op {
    struct api_op op;
    uint32_t limit;
    char node_id[NODE_ID_MAX + 1]; /* "": any */
    char type[ACTOR_TYPE_MAX + 1]; /* "": any */
    char after_type[ACTOR_TYPE_MAX + 1];
    char after_id[ACTOR_ID_MAX + 1];
    uint64_t incarnation;
    uint32_t listed;
    struct buf out;
};

static void list_read(struct list_op *l);

static void list_end(struct list_op *l)
{
    struct api *api = l->op.api;
    api_list_end(api, &api->actor_lists);
    buf_deinit(&l->out);
    mem_free(api->env->mem, l);
}

/* The greatest id there can be: so many times the greatest character. */
static void greatest_id(char out[ACTOR_ID_MAX + 1])
{
    for (size_t i = 0; i < ACTOR_ID_MAX; i += 4)
        memcpy(out + i, "\xf4\x8f\xbf\xbf", 4);
    out[ACTOR_ID_MAX] = '\0';
}

static struct key row_key(const struct keyspace *ks, const struct list_op *l, const char *type,
                          const char *id)
{
    return l->node_id[0] ? key_by_node(ks, l->node_id, l->incarnation, type, id)
                         : key_actor(ks, type, id);
}

static struct key_range list_range(const struct keyspace *ks, const struct list_op *l)
{
    struct key_range range =
        l->node_id[0] ? keys_by_incarnation(ks, l->node_id, l->incarnation) : keys_actors(ks);
    if (l->type[0]) {
        char last[ACTOR_ID_MAX + 1];
        greatest_id(last);
        range.begin = row_key(ks, l, l->type, "\x01");
        range.end = key_behind(row_key(ks, l, l->type, last));
    }
    if (l->after_type[0]) {
        struct key behind = key_behind(row_key(ks, l, l->after_type, l->after_id));
        if (bytes_compare(key_bytes(&behind), key_bytes(&range.begin)) > 0)
            range.begin = behind;
    }
    return range;
}

/* One row as an object, or NULL when it cannot be read. */
static json_t *row_to_json(struct list_op *l, const struct store_row *row, struct key_parts *parts)
{
    struct api *api = l->op.api;
    struct placement_record p = {0};
    struct by_node_record by_node;
    struct buf scratch;
    int err = key_parse(node_keyspace(api->node), row->key, parts);
    buf_init(&scratch, api->env->mem);
    if (!err && l->node_id[0]) {
        err = by_node_record_decode(row->key, row->value, &scratch, &by_node);
        p.placed = true;
        p.incarnation = l->incarnation;
        p.generation = err ? 0 : by_node.generation;
        (void)snprintf(p.node_id, sizeof(p.node_id), "%s", l->node_id);
    } else if (!err) {
        err = placement_record_decode(row->key, row->value, &scratch, &p);
    }
    buf_deinit(&scratch);
    if (err)
        return NULL;
    json_t *actor = json_object();
    api_set_text(actor, "type", parts->type);
    api_set_text(actor, "id", parts->id);
    api_set_text(actor, "node", p.placed ? p.node_id : NULL);
    api_set_int(actor, "incarnation", p.placed ? p.incarnation : 0);
    api_set_int(actor, "generation", p.generation);
    api_set_bool(actor, "hosted", p.placed && api_is_hosted(api, p.node_id, p.incarnation));
    return actor;
}

/* Adds the row to the page; where the next read begins is behind it. False when it cannot be read. */
static bool add_row(struct list_op *l, const struct store_row *row)
{
    struct key_parts parts;
    json_t *actor = row_to_json(l, row, &parts);
    if (!actor)
        return false;
    if (l->listed++ > 0)
        buf_append_u8(&l->out, ',');
    api_json_text(actor, &l->out);
    json_decref(actor);
    (void)snprintf(l->after_type, sizeof(l->after_type), "%s", parts.type);
    (void)snprintf(l->after_id, sizeof(l->after_id), "%s", parts.id);
    return true;
}

static void list_answer(struct list_op *l, bool more)
{
    char cursor[CURSOR_MAX];
    if (more) {
        char *at = path_encode(l->after_type, cursor);
        *at++ = '/';
        path_encode(l->after_id, at);
    }
    api_list_reply(l->op.api, &l->op.req, &l->out, more ? cursor : NULL);
    list_end(l);
}

static void on_actors(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct list_op *l = arg;
    uint32_t wanted = api_list_rows(l->limit, l->listed);
    (void)more;
    if (status) {
        api_reply_error(l->op.api, &l->op.req, status, NULL);
        list_end(l);
        return;
    }
    for (size_t i = 0; i < count && i < wanted; i++) {
        if (!add_row(l, &rows[i])) {
            api_reply_corrupt(l->op.api, &l->op.req, rows[i].key);
            list_end(l);
            return;
        }
    }
    if (count > wanted && l->listed < l->limit)
        list_read(l);
    else
        list_answer(l, count > wanted);
}

static void list_read(struct list_op *l)
{
    struct key_range range = list_range(node_keyspace(l->op.api->node), l);
    node_read_rows(l->op.api->node, &range, api_list_rows(l->limit, l->listed) + 1, on_actors, l);
}

/* The node's row, for its present incarnation. */
static void on_node(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct list_op *l = arg;
    struct api *api = l->op.api;
    struct node_record r;
    struct buf scratch;
    (void)more;
    if (!status && count == 0) {
        char why[API_WHY_SIZE];
        (void)snprintf(why, sizeof(why), "there is no node %s", l->node_id);
        api_reply_error(api, &l->op.req, KELPIE_E_NOT_FOUND, why);
        list_end(l);
        return;
    }
    buf_init(&scratch, api->env->mem);
    if (!status)
        status = node_record_decode(rows[0].key, rows[0].value, &scratch, &r);
    buf_deinit(&scratch);
    if (status) {
        api_reply_error(api, &l->op.req, status, NULL);
        list_end(l);
        return;
    }
    l->incarnation = r.incarnation;
    list_read(l);
}

/* ---- parameters ---- */

static bool take_after(struct api *api, const struct api_request *req, struct list_op *l)
{
    char why[API_WHY_SIZE];
    struct path path;
    const char *given = req->ops->query(req->ex, "after");
    if (!given || !given[0])
        return true;
    int err = path_parse(given, &path, why, sizeof(why));
    if (!err && path.count == 2 &&
        !id_check("actor type", bytes_of(path.parts[0].text, path.parts[0].len), ACTOR_TYPE_MAX,
                  why, sizeof(why)) &&
        !id_check("actor id", bytes_of(path.parts[1].text, path.parts[1].len), ACTOR_ID_MAX, why,
                  sizeof(why))) {
        memcpy(l->after_type, path.parts[0].text, path.parts[0].len + 1);
        memcpy(l->after_id, path.parts[1].text, path.parts[1].len + 1);
        return true;
    }
    (void)snprintf(why, sizeof(why), "after is '%.100s', but it must be what 'next' said", given);
    api_reply_error(api, req, KELPIE_E_INVALID, why);
    return false;
}

void api_actor_list(struct api *api, const struct api_request *req, const struct path *path)
{
    struct list_op *l;
    (void)path;
    if (!api_list_begin(api, req, &api->actor_lists))
        return;
    l = MEM_NEW(api->env->mem, struct list_op);
    l->op.api = api;
    l->op.req = *req;
    if (!api_take_limit(api, req, &l->limit) ||
        !api_take_id(api, req, "node", "node id", NODE_ID_MAX, l->node_id) ||
        !api_take_id(api, req, "type", "actor type", ACTOR_TYPE_MAX, l->type) ||
        !take_after(api, req, l)) {
        mem_free(api->env->mem, l);
        api_list_end(api, &api->actor_lists);
        return;
    }
    buf_init(&l->out, api->env->mem);
    buf_appendf(&l->out, "{\"actors\":[");
    if (l->node_id[0]) {
        struct key_range row = keys_one(key_node(node_keyspace(api->node), l->node_id));
        node_read_rows(api->node, &row, 1, on_node, l);
    } else {
        list_read(l);
    }
}
