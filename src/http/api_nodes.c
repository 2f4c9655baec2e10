/* GET /v1/nodes: the node rows beside their heartbeats and what they host now, page by page (api_list.c); and what operators do to nodes. */
#include <stdio.h>

#include "http/api_internal.h"

struct nodes_op {
    struct api_op op;
    uint32_t limit, listed;
    char after[NODE_ID_MAX + 1];  /* the last one that was read; "": none */
    char before[NODE_ID_MAX + 1]; /* the last of the piece before */
    bool more;                    /* there is one behind it */
    json_t *list;                 /* the piece that is being read */
    struct buf out;
};

static void nodes_read(struct nodes_op *n);

static void nodes_end(struct nodes_op *n)
{
    struct api *api = n->op.api;
    json_decref(n->list);
    buf_deinit(&n->out);
    api_list_end(api, &api->node_lists);
    mem_free(api->env->mem, n);
}

static json_t *node_to_json(struct api *api, const char *id, const struct node_record *r)
{
    struct cluster *c = node_cluster(api->node);
    const struct member *m = view_find(cluster_view(c), id);
    struct primary_record p;
    uint64_t unmoved_ns;
    bool silent;
    json_t *node = json_object();
    json_t *classes = json_array();
    for (uint32_t i = 0; i < r->class_count; i++)
        CHECK(json_array_append_new(classes, api_string(r->classes[i])) == 0);
    api_set_text(node, "node", id);
    api_set_text(node, "state", node_state_name(r->state));
    api_set_bool(node, "flagged", r->flagged);
    api_set_int(node, "incarnation", r->incarnation);
    api_set(node, "boot", api_uuid(r->boot));
    api_set_text(node, "rpc", r->addr);
    api_set_text(node, "http", r->http_addr);
    api_set_int(node, "lease_ms", r->lease_ms);
    api_set_int(node, "format_max", r->format_max);
    api_set(node, "classes", classes);
    api_set(node, "types", json_array());
    api_set(node, "heartbeat", json_null());
    api_set(node, "ack", json_null());
    api_set(node, "load", json_null());
    api_set(node, "unreachable", json_null());
    bool stored =
        cluster_primary(c, &p) && strcmp(p.node_id, id) == 0 && p.incarnation == r->incarnation;
    bool known = cluster_unmoved(c, id, r->incarnation, r->boot, &unmoved_ns, &silent);
    bool beats = r->state != NODE_LEFT && r->state != NODE_FAILED;
    api_set(node, "unmoved_ms",
            known && beats ? json_integer((json_int_t)(unmoved_ns / NS_PER_MS)) : json_null());
    api_set_bool(node, "silent", known && beats && silent);
    /* A name that is stored is no primary while its heartbeat stands still. */
    api_set_bool(node, "primary", stored && r->state == NODE_ACTIVE && !silent);
    api_set_bool(node, "in_view", m && m->incarnation == r->incarnation);
    return node;
}

static json_t *find_node(json_t *list, const char *id)
{
    size_t i;
    json_t *node;
    json_array_foreach(list, i, node)
    {
        if (strcmp(json_string_value(json_object_get(node, "node")), id) == 0)
            return node;
    }
    return NULL;
}

static void take_heartbeat(struct nodes_op *n, const struct store_row *row, struct buf *scratch)
{
    struct api *api = n->op.api;
    struct heartbeat_record h;
    struct key_parts parts;
    /* A damaged one says nothing of its node; the event record_corrupt names it. */
    if (key_parse(node_keyspace(api->node), row->key, &parts) != 0 ||
        heartbeat_record_decode(row->key, row->value, scratch, &h) != 0)
        return;
    json_t *node = find_node(n->list, parts.node_id);
    if (!node ||
        json_integer_value(json_object_get(node, "incarnation")) != (json_int_t)h.incarnation)
        return;
    api_set_int(node, "heartbeat", h.counter);
    api_set_int(node, "ack", h.ack);
    api_set_int(node, "load", h.load);
    json_t *unreachable = json_array();
    for (uint32_t k = 0; k < h.unreachable_count; k++)
        CHECK(json_array_append_new(unreachable, api_string(h.unreachable[k].node_id)) == 0);
    api_set(node, "unreachable", unreachable);
}

/* Of those that come and go: its present life hosts them. */
static void take_types(struct nodes_op *n, const struct store_row *row, struct buf *scratch)
{
    struct api *api = n->op.api;
    struct types_record r;
    struct key_parts parts;
    char boot[UUID_TEXT_SIZE];
    if (key_parse(node_keyspace(api->node), row->key, &parts) != 0 ||
        types_record_decode(row->key, row->value, scratch, &r) != 0)
        return;
    json_t *node = find_node(n->list, parts.node_id);
    const char *its_boot = json_string_value(json_object_get(node, "boot"));
    uuid_to_text(r.boot, boot);
    if (!its_boot || strcmp(its_boot, boot) != 0 ||
        json_integer_value(json_object_get(node, "incarnation")) != (json_int_t)r.incarnation)
        return;
    for (uint32_t i = 0; i < r.count; i++) {
        json_t *type = json_object();
        api_set_text(type, "type", r.types[i].type);
        api_set_int(type, "version", r.types[i].version);
        CHECK(json_array_append_new(json_object_get(node, "types"), type) == 0);
    }
}

/* What was read of these goes into the answer; the next rows come in a turn of their own. */
static void write_nodes(struct nodes_op *n)
{
    size_t i;
    json_t *node;
    json_array_foreach(n->list, i, node)
    {
        if (n->listed++ > 0)
            buf_append_u8(&n->out, ',');
        api_json_text(node, &n->out);
    }
    CHECK(json_array_clear(n->list) == 0);
    if (n->more && n->listed < n->limit) {
        nodes_read(n);
        return;
    }
    api_list_reply(n->op.api, &n->op.req, &n->out, n->more ? n->after : NULL);
    nodes_end(n);
}

/* Each of these rows belongs to a node of the piece. False when the answer was an error. */
static bool take_rows(struct nodes_op *n, int status, const struct store_row *rows, size_t count,
                      void (*take)(struct nodes_op *n, const struct store_row *row,
                                   struct buf *scratch))
{
    struct buf scratch;
    if (status) {
        api_reply_error(n->op.api, &n->op.req, status, NULL);
        nodes_end(n);
        return false;
    }
    buf_init(&scratch, n->op.api->env->mem);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&scratch);
        take(n, &rows[i], &scratch);
    }
    buf_deinit(&scratch);
    return true;
}

static void on_types(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct nodes_op *n = arg;
    (void)more;
    if (take_rows(n, status, rows, count, take_types))
        write_nodes(n);
}

static void on_heartbeats(void *arg, int status, const struct store_row *rows, size_t count,
                          bool more)
{
    struct nodes_op *n = arg;
    const struct keyspace *ks = node_keyspace(n->op.api->node);
    struct key_range types = keys_types(ks);
    (void)more;
    if (!take_rows(n, status, rows, count, take_heartbeat))
        return;
    if (n->before[0])
        types.begin = key_behind(key_types(ks, n->before));
    types.end = key_behind(key_types(ks, n->after));
    node_read_rows(n->op.api->node, &types, API_LIST_ROWS_A_TURN, on_types, n);
}

/* Takes a row into the piece. Returns 0 or an error. */
static int take_node(struct nodes_op *n, const struct store_row *row, struct buf *scratch)
{
    struct api *api = n->op.api;
    struct node_record r;
    struct key_parts parts;
    int err = key_parse(node_keyspace(api->node), row->key, &parts);
    if (!err)
        err = node_record_decode(row->key, row->value, scratch, &r);
    if (err)
        return err;
    CHECK(json_array_append_new(n->list, node_to_json(api, parts.node_id, &r)) == 0);
    (void)snprintf(n->after, sizeof(n->after), "%s", parts.node_id);
    return 0;
}

static void on_nodes(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct nodes_op *n = arg;
    struct api *api = n->op.api;
    const struct keyspace *ks = node_keyspace(api->node);
    struct key_range heartbeats = keys_heartbeats(ks);
    struct buf scratch;
    uint32_t wanted = api_list_rows(n->limit, n->listed);
    (void)more;
    memcpy(n->before, n->after, sizeof(n->before));
    if (n->before[0])
        heartbeats.begin = key_behind(key_heartbeat(ks, n->before));
    n->more = count > wanted;
    buf_init(&scratch, api->env->mem);
    for (size_t i = 0; !status && i < count && i < wanted; i++) {
        buf_clear(&scratch);
        status = take_node(n, &rows[i], &scratch);
    }
    buf_deinit(&scratch);
    if (status) {
        api_reply_error(api, &n->op.req, status, NULL);
        nodes_end(n);
        return;
    }
    if (json_array_size(n->list) == 0) {
        write_nodes(n);
        return;
    }
    heartbeats.end = key_behind(key_heartbeat(ks, n->after));
    node_read_rows(api->node, &heartbeats, API_LIST_ROWS_A_TURN, on_heartbeats, n);
}

static void nodes_read(struct nodes_op *n)
{
    const struct keyspace *ks = node_keyspace(n->op.api->node);
    struct key_range nodes = keys_nodes(ks);
    if (n->after[0])
        nodes.begin = key_behind(key_node(ks, n->after));
    node_read_rows(n->op.api->node, &nodes, api_list_rows(n->limit, n->listed) + 1, on_nodes, n);
}

void api_nodes(struct api *api, const struct api_request *req, const struct path *path)
{
    struct nodes_op *n;
    (void)path;
    if (!api_list_begin(api, req, &api->node_lists))
        return;
    n = MEM_NEW(api->env->mem, struct nodes_op);
    n->op.api = api;
    n->op.req = *req;
    if (!api_take_limit(api, req, &n->limit) ||
        !api_take_id(api, req, "after", "node id", NODE_ID_MAX, n->after)) {
        mem_free(api->env->mem, n);
        api_list_end(api, &api->node_lists);
        return;
    }
    cluster_look(node_cluster(api->node));
    n->list = json_array();
    buf_init(&n->out, api->env->mem);
    buf_appendf(&n->out, "{\"nodes\":[");
    nodes_read(n);
}

/* ---- drain and forget ---- */

struct admin_op {
    struct api_op op;
    int status_ok;
    const char *done; /* what to say when nothing else is said; %s: the node */
    char node_id[NODE_ID_MAX + 1];
};

static void on_admin(void *arg, int status, const char *why)
{
    struct admin_op *a = arg;
    struct api *api = a->op.api;
    if (status == 0) {
        char text[API_WHY_SIZE];
        json_t *body = json_object();
        (void)snprintf(text, sizeof(text), "node %s %s", a->node_id, a->done);
        api_set_text(body, "node", a->node_id);
        bool says_more = why && why[0] && strcmp(why, kelpie_error_text(0)) != 0;
        api_set_text(body, "message", says_more ? why : text);
        api_reply_json(api, &a->op.req, a->status_ok, body);
    } else {
        api_reply_error(api, &a->op.req, status, why);
    }
    api->pending--;
    mem_free(api->env->mem, a);
}

static struct admin_op *admin_start(struct api *api, const struct api_request *req,
                                    const struct path_part *id)
{
    if (!api_check_id(api, req, "node id", id, NODE_ID_MAX))
        return NULL;
    struct admin_op *a = MEM_NEW(api->env->mem, struct admin_op);
    a->op.api = api;
    a->op.req = *req;
    memcpy(a->node_id, id->text, id->len + 1);
    api->pending++;
    return a;
}

void api_drain(struct api *api, const struct api_request *req, const struct path *path)
{
    struct admin_op *a = admin_start(api, req, &path->parts[2]);
    if (!a)
        return;
    a->status_ok = 202;
    a->done = "is leaving";
    node_drain_other(api->node, a->node_id, on_admin, a);
}

void api_forget(struct api *api, const struct api_request *req, const struct path *path)
{
    const char *force = req->ops->query(req->ex, "force");
    bool is_forced = force && strcmp(force, "true") == 0;
    if (force && !is_forced && strcmp(force, "false") != 0) {
        char why[API_WHY_SIZE];
        (void)snprintf(why, sizeof(why), "force is '%.40s', but it must be true or false", force);
        api_reply_error(api, req, KELPIE_E_INVALID, why);
        return;
    }
    struct admin_op *a = admin_start(api, req, &path->parts[2]);
    if (!a)
        return;
    a->status_ok = 200;
    a->done = "is forgotten";
    node_forget(api->node, a->node_id, is_forced, on_admin, a);
}
