/*
 * SweepPlacements, not an action of the specification: it makes explicit what a failed node's
 * placements already are, void. The primary writes "placed nowhere" over placements of incarnations
 * that host no more, in the same generation, and deletes their by-node rows. Safe because it reads,
 * in the same transaction, each placement that it writes and the node that the placement names: an
 * incarnation that does not host never will again, so such a placement hosts nothing.
 */
#include "base/mark.h"
#include "base/mutant.h"
#include "kelpie/error.h"
#include "registry/rules_actor.h"

#define READ_PRIMARY 0
#define READ_BY_NODE 1
#define OWN_READS 2

/* Rows of one node and incarnation share the node's row; the batch ends where the node changes. */
struct batch {
    struct key_parts first;
    size_t count;
};

static int batch_parse(const struct sweep_args *a, struct store_result rows, struct batch *b,
                       struct key_parts *parts, size_t *bad)
{
    b->count = 0;
    for (size_t i = 0; i < rows.count && i < SWEEP_ROWS; i++) {
        *bad = i;
        if (key_parse(a->ks, rows.rows[i].key, &parts[i]) || parts[i].family != KEY_BY_NODE)
            return KELPIE_E_STORE_CORRUPT;
        if (i == 0)
            b->first = parts[0];
        if (strcmp(parts[i].node_id, b->first.node_id) != 0 || parts[i].number != b->first.number)
            return 0;
        b->count = i + 1;
    }
    return 0;
}

static enum verdict check_primary(struct rule_ctx *ctx, const struct sweep_args *a)
{
    struct key key = key_primary(a->ks);
    struct primary_record primary;
    struct bytes value;
    int error;

    if (!rule_row(ctx->txn, READ_PRIMARY, &value))
        return rule_refuse(ctx, "there is no primary");
    error = primary_record_decode(key_bytes(&key), value, ctx->scratch, &primary);
    if (error)
        return rule_corrupt(ctx, error, key_bytes(&key));
    if (primary.vacant || primary.term != a->term ||
        strcmp(primary.node_id, a->self.node_id) != 0) {
        SOMETIMES("sweep-by-a-stale-primary");
        return rule_refuse(ctx, "this node is not primary in term %llu",
                           (unsigned long long)a->term);
    }
    return RULE_DONE;
}

static struct key row_key(const struct sweep_args *a, const struct key_parts *row)
{
    return key_by_node(a->ks, row->node_id, row->number, row->type, row->id);
}

/* Clears one placement that the batch's node no longer hosts. */
static int sweep_one(struct rule_ctx *ctx, struct sweep_args *a, const struct key_parts *row,
                     size_t index, bool *wrote)
{
    struct actor_ref ref = {.ks = a->ks, .type = row->type, .id = row->id};
    struct key by_node = row_key(a, row);
    struct placement_record p;
    int error = placement_read(ctx, index, &ref, &p);

    if (error)
        return error;
    if (p.placed && strcmp(p.node_id, row->node_id) == 0 && p.incarnation == row->number) {
        struct placement_record voided = {.placed = false, .generation = p.generation};
        if (!MUTANT("sweepforgets"))
            placement_write(ctx, &ref, &voided);
        SOMETIMES("sweep-voids-a-placement");
        a->voided++;
    }
    rule_delete(ctx, key_bytes(&by_node));
    *wrote = true;
    return 0;
}

/* The batch's node hosts in that incarnation: the whole incarnation is skipped. */
static void skip_incarnation(struct sweep_args *a, const struct batch *b)
{
    a->next = keys_by_incarnation(a->ks, b->first.node_id, b->first.number).end;
}

/* One that cannot be read stays, and the next batch begins behind it. */
static void pass_row(struct sweep_args *a, const struct key_parts *row)
{
    struct key key = row_key(a, row);

    CHECK(key.len < sizeof key.data);
    key.data[key.len++] = 0;
    a->next = key;
    a->passed_corrupt = true;
}

static enum verdict ask(struct rule_ctx *ctx, struct sweep_args *a, const struct batch *b,
                        const struct key_parts *parts)
{
    struct key node = key_node(a->ks, b->first.node_id);

    a->extra_base = rule_more(ctx, key_bytes(&node), false);
    for (size_t i = 0; i < b->count; i++) {
        struct key key = key_actor(a->ks, parts[i].type, parts[i].id);
        (void)rule_more(ctx, key_bytes(&key), false);
        a->asked[i] = row_key(a, &parts[i]);
    }
    a->asked_count = b->count;
    return RULE_MORE;
}

static enum verdict sweep_batch(struct rule_ctx *ctx, struct sweep_args *a, const struct batch *b,
                                const struct key_parts *parts)
{
    struct node_record node;
    bool found, wrote = false;
    int error = node_row_read(ctx, a->extra_base, a->ks, b->first.node_id, &node, &found);

    if (error) {
        struct key key = key_node(a->ks, b->first.node_id);
        if (error != KELPIE_E_STORE_CORRUPT)
            return rule_corrupt(ctx, error, key_bytes(&key));
        /* Whether it hosts cannot be told: the others are swept without it. */
        rule_pass_corrupt(ctx, error, key_bytes(&key));
        a->passed_corrupt = true;
        skip_incarnation(a, b);
        return RULE_DONE;
    }
    if (found && (node.state == NODE_ACTIVE || node.state == NODE_LEAVING) &&
        node.incarnation == b->first.number && !MUTANT("sweepliving")) {
        SOMETIMES("sweep-skips-a-living-life");
        a->passed_leaving = node.state == NODE_LEAVING;
        memcpy(a->leaving, b->first.node_id, sizeof a->leaving);
        skip_incarnation(a, b);
        return RULE_DONE;
    }
    for (size_t i = 0; i < b->count; i++) {
        error = sweep_one(ctx, a, &parts[i], a->extra_base + 1 + i, &wrote);
        if (error) {
            struct key key = key_actor(a->ks, parts[i].type, parts[i].id);
            if (error != KELPIE_E_STORE_CORRUPT)
                return rule_corrupt(ctx, error, key_bytes(&key));
            rule_pass_corrupt(ctx, error, key_bytes(&key));
            pass_row(a, &parts[i]);
        }
    }
    return wrote ? RULE_COMMIT : RULE_DONE;
}

/* The batch that the extra reads were asked for is the one that is there now. The driver reads
 * everything again in a new snapshot, so the rows may have changed since. */
static bool same_batch(const struct sweep_args *a, const struct batch *b,
                       const struct key_parts *parts)
{
    if (a->asked_count != b->count)
        return false;
    for (size_t i = 0; i < b->count; i++) {
        struct key key = row_key(a, &parts[i]);
        if (!bytes_equal(key_bytes(&key), key_bytes(&a->asked[i])))
            return false;
    }
    return true;
}

enum verdict rule_sweep_placements(struct rule_ctx *ctx, void *arg)
{
    struct sweep_args *a = arg;
    struct store_result rows = rule_rows(ctx->txn, READ_BY_NODE);
    struct key_parts parts[SWEEP_ROWS];
    struct batch b = {.count = 0};
    size_t bad = 0;
    enum verdict v = check_primary(ctx, a);

    a->voided = 0;
    a->passed_corrupt = a->passed_leaving = false;
    a->at_end = rows.count == 0;
    if (v != RULE_DONE || a->at_end)
        return v;
    if (batch_parse(a, rows, &b, parts, &bad))
        return rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, rows.rows[bad].key);
    a->next = a->cursor;
    if (rule_read_count(ctx) == OWN_READS)
        return ask(ctx, a, &b, parts);
    if (!same_batch(a, &b, parts)) {
        SOMETIMES("sweep-rows-moved");
        return RULE_DONE; /* the next batch starts at the same cursor */
    }
    return sweep_batch(ctx, a, &b, parts);
}

void sweep_txn(struct txn *t, const struct env *env, struct sweep_args *args, txn_fn *done,
               void *arg)
{
    struct key primary = key_primary(args->ks);

    args->extra_base = 0;
    txn_init(t, env, "SweepPlacements", rule_sweep_placements, args, done, arg);
    CHECK(txn_read(t, key_bytes(&primary), false) == READ_PRIMARY);
    /* A snapshot: the rows only say which placements to look at; those are read for real. */
    CHECK(txn_read_range(t, key_bytes(&args->cursor), key_bytes(&args->end), SWEEP_ROWS, true) ==
          READ_BY_NODE);
}
