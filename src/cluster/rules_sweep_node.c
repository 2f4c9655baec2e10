/*
 * SweepNode, not an action of the specification: the row of a node that has left is struck, so that ids
 * may come and go for ever though there are never more than NODES_MAX rows. What it remembered is its
 * incarnation, and of that the floor keeps enough: NodeJoin goes on from the floor where it finds no
 * incarnation, so an id's incarnations still only grow. docs/protocol.md argues it.
 */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

enum { SWEEP_PRIMARY, SWEEP_SELF, SWEEP_NODE, SWEEP_FLOOR, SWEEP_PLACED };

static void strike(struct rule_ctx *ctx, const struct sweep_node_op *op)
{
    const char *id = op->target.node_id;
    struct key rows[] = {key_node(op->ks, id), key_heartbeat(op->ks, id), key_probe(op->ks, id),
                         key_types(op->ks, id)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rule_delete(ctx, key_bytes(&rows[i]));
}

static enum verdict sweep_node_rule(struct rule_ctx *ctx, void *arg)
{
    struct sweep_node_op *op = arg;
    struct node_record r;
    struct incarnation_floor_record floor;
    enum verdict verdict = primary_holds(ctx, SWEEP_PRIMARY, SWEEP_SELF, &op->self, op->term);
    if (verdict != RULE_COMMIT)
        return verdict;
    int found = load_node(ctx, SWEEP_NODE, &r);
    if (found < 0 || load_incarnation_floor(ctx, SWEEP_FLOOR, &floor) < 0)
        return RULE_REFUSE;
    if (!found) {
        SOMETIMES("sweep-node-done-before");
        return RULE_DONE;
    }
    if (r.state != NODE_LEFT || !life_is(&r, &op->target)) {
        SOMETIMES("sweep-node-came-back");
        return rule_refuse(ctx, "node %s has come back", op->target.node_id);
    }
    if (rule_rows(ctx->txn, SWEEP_PLACED).count > 0 && !MUTANT("sweepplaced")) {
        SOMETIMES("sweep-node-still-named");
        return rule_refuse(ctx, "actors are still placed on node %s", op->target.node_id);
    }
    if (r.incarnation > floor.incarnation && !MUTANT("floorstays")) {
        struct key key = key_incarnation_floor(op->ks);
        floor.incarnation = r.incarnation;
        store_incarnation_floor(ctx, &key, &floor);
    }
    SOMETIMES("sweep-node");
    strike(ctx, op);
    return RULE_COMMIT;
}

/* All with conflict: who joins under that id, and who is placed there, reads or writes what this does. */
void sweep_node_prepare(struct sweep_node_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "SweepNode", sweep_node_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_node(op->ks, op->target.node_id));
    read_key(t, key_incarnation_floor(op->ks));
    read_range(t, keys_by_node(op->ks, op->target.node_id), 1, false);
}
