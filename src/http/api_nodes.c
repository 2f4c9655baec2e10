/* GET /v1/nodes: the node rows beside their heartbeats; and what operators do to nodes. */
#include <stdio.h>

#include "http/api_internal.h"

struct nodes_op {
    struct api_op op;
    json_t *list;
};

static void nodes_end(struct nodes_op *n)
{
    struct api *api = n->op.api;
    json_decref(n->list);
    api->pending--;
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

static void on_heartbeats(void *arg, int status, const struct store_row *rows, size_t count,
                          bool more)
{
    struct nodes_op *n = arg;
    struct api *api = n->op.api;
    struct buf scratch;
    (void)more;
    buf_init(&scratch, api->env->mem);
    for (size_t i = 0; !status && i < count; i++) {
        struct heartbeat_record h;
        struct key_parts parts;
        buf_clear(&scratch);
        status = key_parse(node_keyspace(api->node), rows[i].key, &parts);
        /* A damaged one says nothing of its node; the event record_corrupt names it. */
        if (!status && heartbeat_record_decode(rows[i].key, rows[i].value, &scratch, &h) != 0)
            continue;
        json_t *node = status ? NULL : find_node(n->list, parts.node_id);
        if (!node ||
            json_integer_value(json_object_get(node, "incarnation")) != (json_int_t)h.incarnation)
            continue;
        api_set_int(node, "heartbeat", h.counter);
        api_set_int(node, "ack", h.ack);
        api_set_int(node, "load", h.load);
        json_t *unreachable = json_array();
        for (uint32_t k = 0; k < h.unreachable_count; k++)
            CHECK(json_array_append_new(unreachable, api_string(h.unreachable[k].node_id)) == 0);
        api_set(node, "unreachable", unreachable);
    }
    buf_deinit(&scratch);
    if (status) {
        api_reply_error(api, &n->op.req, status, NULL);
    } else {
        json_t *body = json_object();
        api_set(body, "nodes", json_incref(n->list));
        api_reply_json(api, &n->op.req, 200, body);
    }
    nodes_end(n);
}

static void on_nodes(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct nodes_op *n = arg;
    struct api *api = n->op.api;
    struct key_range heartbeats = keys_heartbeats(node_keyspace(api->node));
    struct buf scratch;
    (void)more;
    buf_init(&scratch, api->env->mem);
    for (size_t i = 0; !status && i < count; i++) {
        struct node_record r;
        struct key_parts parts;
        buf_clear(&scratch);
        status = key_parse(node_keyspace(api->node), rows[i].key, &parts);
        if (!status)
            status = node_record_decode(rows[i].key, rows[i].value, &scratch, &r);
        if (!status)
            CHECK(json_array_append_new(n->list, node_to_json(api, parts.node_id, &r)) == 0);
    }
    buf_deinit(&scratch);
    if (status) {
        api_reply_error(api, &n->op.req, status, NULL);
        nodes_end(n);
        return;
    }
    node_read_rows(api->node, &heartbeats, NODES_MAX, on_heartbeats, n);
}

void api_nodes(struct api *api, const struct api_request *req, const struct path *path)
{
    struct nodes_op *n = MEM_NEW(api->env->mem, struct nodes_op);
    struct key_range nodes = keys_nodes(node_keyspace(api->node));
    (void)path;
    cluster_look(node_cluster(api->node));
    n->op.api = api;
    n->op.req = *req;
    n->list = json_array();
    api->pending++;
    node_read_rows(api->node, &nodes, NODES_MAX, on_nodes, n);
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
