/*
 * Who of the voters is heard from, for /v1/status: all node rows are read, a few at a time, by one read
 * after the other, each of which answers a few of those who asked before it began. However many ask, the
 * store and a turn of the loop are asked for no more than that.
 */
#include "http/api_internal.h"

struct api_voters {
    struct api *api;
    struct list waiting;   /* struct voters_ask: for a read that has not begun */
    struct list answering; /* for the one that is under way */
    bool reading;
    struct key_range left; /* of the rows */
    struct voters seen;
};

static void read_on(struct api_voters *v);

static void add_silent(struct api_voters *v, const char *id, const struct node_record *r)
{
    uint64_t ns;
    bool silent;
    (void)cluster_unmoved(node_cluster(v->api->node), id, r->incarnation, r->boot, &ns, &silent);
    v->seen.heard += r->state == NODE_ACTIVE && !silent;
    if (!silent || r->state == NODE_LEFT || r->state == NODE_FAILED)
        return;
    if (v->seen.silent_count++ >= API_STATUS_NODES_MAX)
        return;
    json_t *node = json_object();
    api_set_text(node, "node", id);
    api_set_int(node, "ms", ns / NS_PER_MS);
    CHECK(json_array_append_new(v->seen.silent, node) == 0);
}

static int add_row(struct api_voters *v, const struct store_row *row, struct buf *scratch)
{
    struct node_record r;
    struct key_parts parts;
    int err = key_parse(node_keyspace(v->api->node), row->key, &parts);
    if (!err)
        err = node_record_decode(row->key, row->value, scratch, &r);
    if (err)
        return err;
    v->seen.voters += r.state == NODE_ACTIVE || r.state == NODE_LEAVING || r.state == NODE_FAILED;
    v->seen.active += r.state == NODE_ACTIVE;
    add_silent(v, parts.node_id, &r);
    v->left.begin = key_behind(key_node(node_keyspace(v->api->node), parts.node_id));
    return 0;
}

static void begin(struct api_voters *v)
{
    struct list *l;
    for (size_t i = 0; i < API_STATUS_ANSWERS_A_READ && (l = list_pop(&v->waiting)); i++)
        list_append(&v->answering, l);
    v->reading = !list_empty(&v->answering);
    if (!v->reading)
        return;
    v->seen = (struct voters){.silent = json_array()};
    v->left = keys_nodes(node_keyspace(v->api->node));
    read_on(v);
}

static void answer(struct api_voters *v, int status)
{
    struct list *l;
    while ((l = list_pop(&v->answering))) {
        struct voters_ask *a = LIST_ENTRY(l, struct voters_ask, link);
        v->api->pending--;
        a->done(a, status ? NULL : &v->seen);
    }
    json_decref(v->seen.silent);
    begin(v);
}

static void on_rows(void *arg, int status, const struct store_row *rows, size_t count, bool more)
{
    struct api_voters *v = arg;
    struct buf scratch;
    (void)more;
    v->api->pending--;
    buf_init(&scratch, v->api->env->mem);
    for (size_t i = 0; !status && i < count; i++) {
        buf_clear(&scratch);
        status = add_row(v, &rows[i], &scratch);
    }
    buf_deinit(&scratch);
    if (!status && count == API_LIST_ROWS_A_TURN)
        read_on(v);
    else
        answer(v, status);
}

static void read_on(struct api_voters *v)
{
    v->api->pending++;
    node_read_rows(v->api->node, &v->left, API_LIST_ROWS_A_TURN, on_rows, v);
}

void voters_ask(struct api_voters *v, struct voters_ask *a)
{
    list_append(&v->waiting, &a->link);
    v->api->pending++;
    if (!v->reading)
        begin(v);
}

void voters_leave(struct api_voters *v, struct voters_ask *a)
{
    list_remove(&a->link);
    v->api->pending--;
}

struct api_voters *api_voters_new(struct api *api)
{
    struct api_voters *v = MEM_NEW(api->env->mem, struct api_voters);
    v->api = api;
    list_init(&v->waiting);
    list_init(&v->answering);
    return v;
}

void api_voters_free(struct api_voters *v)
{
    CHECK(!v->reading && list_empty(&v->waiting));
    mem_free(v->api->env->mem, v);
}
