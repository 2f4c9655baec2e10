#include "registry/rules_restored.h"

#include "base/mutant.h"
#include "cluster/state.h"
#include "kelpie/error.h"

uint64_t epoch_beyond(uint64_t epoch, uint64_t last)
{
    uint64_t first = epoch * EPOCH_STEP;
    return last < first ? first : (last / EPOCH_STEP + 1) * EPOCH_STEP;
}

static bool in_epoch(const struct restored_op *op, uint64_t number)
{
    return number >= op->epoch * EPOCH_STEP;
}

/* ---- who is alive */

enum { LOOK_FORMAT, LOOK_VIEW, LOOK_NODES, LOOK_HEARTBEATS, LOOK_PROBES, LOOK_READS };

static void read_look(struct txn *t, const struct keyspace *ks)
{
    read_key(t, key_format(ks));
    read_key(t, key_view(ks));
    read_range(t, keys_nodes(ks), 0, false);
    read_range(t, keys_heartbeats(ks), 0, false);
    read_range(t, keys_probes(ks), 0, false);
}

/* Row `i` of heartbeats, or of probes, as a sighting. 0, or an error that rule_corrupt was told. */
static int sighting_of(struct rule_ctx *ctx, const struct restored_op *op,
                       const struct store_row *row, struct silence *out)
{
    struct key_parts parts;
    struct heartbeat_record h;
    struct probe_record p;
    int err = KELPIE_E_STORE_CORRUPT;
    memset(out, 0, sizeof(*out));
    if (key_parse(op->ks, row->key, &parts) == 0) {
        memcpy(out->life.node_id, parts.node_id, sizeof(out->life.node_id));
        err = parts.family == KEY_PROBE
                  ? probe_record_decode(row->key, row->value, ctx->scratch, &p)
                  : heartbeat_record_decode(row->key, row->value, ctx->scratch, &h);
    }
    if (err) {
        (void)rule_corrupt(ctx, err, row->key);
        return err;
    }
    bool probe = parts.family == KEY_PROBE;
    out->life.incarnation = probe ? 0 : h.incarnation;
    out->life.boot = probe ? p.boot : h.boot;
    out->counter = probe ? p.counter : h.counter;
    return 0;
}

static enum verdict take_sightings(struct rule_ctx *ctx, const struct restored_op *op, size_t read,
                                   struct silence *out, size_t max, size_t *count)
{
    struct store_result rows = rule_rows(ctx->txn, read);
    if (rows.count > max)
        return rule_refuse(ctx, "there are more than %zu rows of heartbeats or probes", max);
    for (*count = 0; *count < rows.count; (*count)++)
        if (sighting_of(ctx, op, &rows.rows[*count], &out[*count]))
            return RULE_REFUSE;
    return RULE_COMMIT;
}

/* Whoever moved since, or is new, is alive. Rows come in the order of their keys, as they did. */
static enum verdict compare_sightings(struct rule_ctx *ctx, const struct restored_op *op,
                                      size_t read, const struct silence *seen, size_t count)
{
    struct store_result rows = rule_rows(ctx->txn, read);
    size_t at = 0;
    for (size_t i = 0; i < rows.count; i++) {
        struct silence now;
        if (sighting_of(ctx, op, &rows.rows[i], &now))
            return RULE_REFUSE;
        while (at < count && strcmp(seen[at].life.node_id, now.life.node_id) < 0)
            at++;
        bool same = at < count && strcmp(seen[at].life.node_id, now.life.node_id) == 0 &&
                    seen[at].life.incarnation == now.life.incarnation &&
                    uuid_equal(seen[at].life.boot, now.life.boot) &&
                    seen[at].counter == now.counter;
        if (!same)
            return rule_refuse(ctx, "node %s is alive; stop all nodes first", now.life.node_id);
    }
    return RULE_COMMIT;
}

static enum verdict nobody_moved(struct rule_ctx *ctx, const struct restored_op *op)
{
    enum verdict v =
        compare_sightings(ctx, op, LOOK_HEARTBEATS, op->heartbeats, op->heartbeat_count);
    return v == RULE_COMMIT ? compare_sightings(ctx, op, LOOK_PROBES, op->probes, op->probe_count)
                            : v;
}

static enum verdict no_cluster(struct rule_ctx *ctx, const struct restored_op *op)
{
    return rule_refuse(ctx, "there is no cluster under the prefix '%s'", op->ks->prefix);
}

static enum verdict look_rule(struct rule_ctx *ctx, void *arg)
{
    struct restored_op *op = arg;
    struct format_record format;
    struct view_record view;
    struct node_record node;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    int found = load_format(ctx, LOOK_FORMAT, &format), more;
    if (found < 0 || load_view(ctx, LOOK_VIEW, &view) < 0)
        return RULE_REFUSE;
    if (op->again) {
        enum verdict same = nobody_moved(ctx, op);
        return same == RULE_COMMIT ? RULE_DONE : same;
    }
    if (!found)
        return no_cluster(ctx, op);
    if (view.number > UINT64_MAX - 2 * (uint64_t)EPOCH_STEP)
        return rule_refuse(ctx, "the view's number leaves no room for another epoch");
    op->old_cluster_id = format.cluster_id;
    op->epoch = view.number / EPOCH_STEP + 1;
    op->lease_ms = 0;
    while ((more = next_node(ctx, op->ks, LOOK_NODES, &at, id, &node)) > 0)
        op->lease_ms = node.lease_ms > op->lease_ms ? node.lease_ms : op->lease_ms;
    if (more < 0)
        return RULE_REFUSE;
    enum verdict v = take_sightings(ctx, op, LOOK_HEARTBEATS, op->heartbeats,
                                    ARRAY_LEN(op->heartbeats), &op->heartbeat_count);
    if (v == RULE_COMMIT)
        v = take_sightings(ctx, op, LOOK_PROBES, op->probes, ARRAY_LEN(op->probes),
                           &op->probe_count);
    return v == RULE_COMMIT ? RULE_DONE : v;
}

void restored_look_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "RestoredLook", look_rule, op, done, arg);
    read_look(&op->txn, op->ks);
}

/* ---- pages: a row that is of the new epoch already was rewritten before */

static void read_page(struct restored_op *op, struct key_range range)
{
    struct key begin = op->cursor.len ? op->cursor : range.begin;
    (void)txn_read_range(&op->txn, key_bytes(&begin), key_bytes(&range.end), RESTORED_PAGE, false);
}

static struct store_result begin_page(struct rule_ctx *ctx, struct restored_op *op)
{
    struct store_result page = rule_rows(ctx->txn, 0);
    op->rows = page.count;
    op->at_end = !page.more || page.count == 0;
    if (page.count > 0) {
        struct bytes last = page.rows[page.count - 1].key;
        CHECK(last.len < sizeof(op->next.data));
        memcpy(op->next.data, last.data, last.len);
        op->next.data[last.len] = 0; /* the first key behind it */
        op->next.len = last.len + 1;
    }
    return page;
}

static enum verdict actors_rule(struct rule_ctx *ctx, void *arg)
{
    struct restored_op *op = arg;
    struct store_result page = begin_page(ctx, op);
    bool rewritten = false;
    for (size_t i = 0; i < page.count; i++) {
        const struct store_row *row = &page.rows[i];
        struct key_parts parts;
        struct placement_record p;
        int err = key_parse(op->ks, row->key, &parts);
        if (!err)
            err = placement_record_decode(row->key, row->value, ctx->scratch, &p);
        if (err)
            return rule_corrupt(ctx, err == KELPIE_E_INVALID ? KELPIE_E_STORE_CORRUPT : err,
                                row->key);
        if ((!p.placed && in_epoch(op, p.generation)) || MUTANT("epochplaces"))
            continue;
        struct key key = key_actor(op->ks, parts.type, parts.id);
        if (p.placed) {
            struct key by_node =
                key_by_node(op->ks, p.node_id, p.incarnation, parts.type, parts.id);
            rule_delete(ctx, key_bytes(&by_node));
        }
        p = (struct placement_record){.generation = epoch_beyond(op->epoch, p.generation)};
        store_placement(ctx, &key, &p);
        rewritten = true;
    }
    return rewritten ? RULE_COMMIT : RULE_DONE;
}

void restored_actors_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "RestoredActors", actors_rule, op, done, arg);
    read_page(op, keys_actors(op->ks));
}

/* No move between states: the life that the row tells of is none of this epoch. */
static enum verdict nodes_rule(struct rule_ctx *ctx, void *arg)
{
    struct restored_op *op = arg;
    struct node_record node;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    bool rewritten = false;
    int more;
    (void)begin_page(ctx, op);
    while ((more = next_node(ctx, op->ks, 0, &at, id, &node)) > 0) {
        if (node.state == NODE_LEFT && in_epoch(op, node.incarnation))
            continue;
        struct key key = key_node(op->ks, id);
        node.state = NODE_LEFT;
        node.incarnation = epoch_beyond(op->epoch, node.incarnation);
        node.boot = (struct uuid){{0}};
        node.gone_view = op->epoch * EPOCH_STEP;
        node.touched++;
        node.flagged = false;
        store_node(ctx, &key, &node);
        rewritten = true;
    }
    if (more < 0)
        return RULE_REFUSE;
    return rewritten ? RULE_COMMIT : RULE_DONE;
}

void restored_nodes_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "RestoredNodes", nodes_rule, op, done, arg);
    read_page(op, keys_nodes(op->ks));
}

/* ---- the end */

enum { FINISH_TERM = LOOK_READS, FINISH_FLOOR, FINISH_FOUNDED, FINISH_GENERATIONS };

static void delete_range(struct rule_ctx *ctx, struct key_range range)
{
    rule_delete_range(ctx, key_bytes(&range.begin), key_bytes(&range.end));
}

static enum verdict finish_rule(struct rule_ctx *ctx, void *arg)
{
    struct restored_op *op = arg;
    const struct keyspace *ks = op->ks;
    struct format_record format;
    struct term_record term;
    struct incarnation_floor_record floor;
    struct generation_floor_record generations;
    struct founded_record founded;
    struct node_record node;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    int found = load_format(ctx, LOOK_FORMAT, &format), more;
    int again = load_founded(ctx, FINISH_FOUNDED, &founded);
    if (found < 0 || again < 0 || load_term(ctx, FINISH_TERM, &term) < 0 ||
        load_incarnation_floor(ctx, FINISH_FLOOR, &floor) < 0 ||
        load_generation_floor(ctx, FINISH_GENERATIONS, &generations) < 0)
        return RULE_REFUSE;
    if (!found)
        return no_cluster(ctx, op);
    if (uuid_equal(format.cluster_id, op->new_cluster_id))
        return RULE_DONE;
    while ((more = next_node(ctx, ks, LOOK_NODES, &at, id, &node)) > 0)
        if (node.state != NODE_LEFT || !in_epoch(op, node.incarnation))
            return rule_refuse(ctx, "node %s has come to life; stop all nodes first", id);
    if (more < 0)
        return RULE_REFUSE;
    enum verdict v = nobody_moved(ctx, op);
    if (v != RULE_COMMIT)
        return v;
    struct view_record view = {.number = op->epoch * EPOCH_STEP};
    struct primary_record primary = {.vacant = true};
    struct key format_key = key_format(ks), view_key = key_view(ks);
    struct key primary_key = key_primary(ks), term_key = key_term(ks);
    struct key floor_key = key_incarnation_floor(ks), founded_key = key_founded(ks);
    struct key generations_key = key_generation_floor(ks);
    if (!again)
        founded.cluster_id = format.cluster_id; /* the first restore */
    format.cluster_id = op->new_cluster_id;
    floor.incarnation = epoch_beyond(op->epoch, floor.incarnation);
    /* Actors that came to be after the backup have no row: they begin beyond all that was. */
    generations.generation = epoch_beyond(op->epoch, generations.generation);
    term.term = epoch_beyond(op->epoch, term.term);
    primary.term = term.term;
    store_format(ctx, &format_key, &format);
    store_view(ctx, &view_key, &view);
    store_primary(ctx, &primary_key, &primary);
    store_term(ctx, &term_key, &term);
    store_incarnation_floor(ctx, &floor_key, &floor);
    store_generation_floor(ctx, &generations_key, &generations);
    store_founded(ctx, &founded_key, &founded);
    struct key copy_key = key_copy(ks);
    rule_delete(ctx, key_bytes(&copy_key));
    delete_range(ctx, keys_types(ks));
    delete_range(ctx, keys_heartbeats(ks));
    delete_range(ctx, keys_probes(ks));
    delete_range(ctx, keys_view_changes_upto(ks, UINT64_MAX));
    delete_range(ctx, keys_by_node_all(ks));
    delete_range(ctx, keys_migrations(ks));
    return RULE_COMMIT;
}

void restored_finish_prepare(struct restored_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "RestoredFinish", finish_rule, op, done, arg);
    read_look(&op->txn, op->ks);
    read_key(&op->txn, key_term(op->ks));
    read_key(&op->txn, key_incarnation_floor(op->ks));
    read_key(&op->txn, key_founded(op->ks));
    read_key(&op->txn, key_generation_floor(op->ks));
}
