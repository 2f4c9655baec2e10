#include "actor/type_hosts.h"

#include <stdio.h>

#include "actor/activation.h"
#include "base/mark.h"

static enum verdict read_only(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

static bool has_type(const struct types_record *r, const char *type)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (strcmp(r->types[i].type, type) == 0)
            return true;
    }
    return false;
}

/* A row that cannot be read says nothing. */
static bool hosts(const struct type_hosts *h, const struct store_row *row, struct buf *scratch,
                  struct key_parts *parts)
{
    const struct view *view = cluster_view(h->actors->cluster);
    struct types_record r;
    const struct member *m;

    buf_clear(scratch);
    if (key_parse(h->actors->ks, row->key, parts) ||
        types_record_decode(row->key, row->value, scratch, &r))
        return false;
    m = view ? view_find(view, parts->node_id) : NULL;
    return m && m->incarnation == r.incarnation && uuid_equal(m->boot, r.boot) &&
           has_type(&r, h->type);
}

/* Of more than there is room for, each stays with the same chance. */
static void take(struct type_hosts *h, const char *node_id, size_t seen)
{
    struct excluded *e = &h->nodes;
    size_t at = seen;

    if (e->count < EXCLUDED_MAX) {
        excluded_add(e, node_id);
        return;
    }
    at = (size_t)random_below(h->actors->env->random, seen + 1);
    if (at < EXCLUDED_MAX)
        (void)snprintf(e->node_id[at], sizeof e->node_id[at], "%s", node_id);
}

static void on_read(struct txn *txn, int status)
{
    struct type_hosts *h = txn->arg;
    struct store_result rows = {.count = 0};
    struct key_parts parts;
    struct buf scratch;
    size_t seen = 0;

    if (!status)
        rows = rule_rows(txn, 0);
    buf_init(&scratch, h->actors->env->mem);
    for (size_t i = 0; i < rows.count; i++) {
        if (hosts(h, &rows.rows[i], &scratch, &parts))
            take(h, parts.node_id, seen++);
    }
    buf_deinit(&scratch);
    if (h->nodes.count > 0)
        SOMETIMES("hosts-of-a-type-looked-up");
    h->done(h, status);
}

void type_hosts_start(struct type_hosts *h, uint64_t give_up_ns)
{
    struct key_range range = keys_types(h->actors->ks);

    h->nodes.count = 0;
    txn_init(&h->txn, h->actors->env, "ListTypes", read_only, NULL, on_read, h);
    (void)txn_read_range(&h->txn, key_bytes(&range.begin), key_bytes(&range.end), NODES_MAX, true);
    h->txn.give_up_ns = give_up_ns;
    txn_start(&h->txn);
}
