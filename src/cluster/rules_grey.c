/* FlagGrey: a node that heartbeats, but that most others cannot reach, is told to go. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

enum { FLAG_PRIMARY, FLAG_SELF, FLAG_NODE, FLAG_HEARTBEAT, FLAG_NODES, FLAG_HEARTBEATS };

/* What the rows say of the target's fellows. */
struct fellows {
    size_t voters; /* with those who are out by a flag and try to come back */
    size_t active; /* and not flagged, the target apart: the observers */
    size_t accusers;
    char flagged[NODE_ID_MAX + 1]; /* one whose flag has not run its course; "": none */
};

static bool accuses(const struct heartbeat_record *h, const struct node_record *r,
                    const struct life *target)
{
    if (h->incarnation != r->incarnation || !uuid_equal(h->boot, r->boot))
        return false;
    for (uint32_t i = 0; i < h->unreachable_count; i++)
        if (h->unreachable[i].incarnation == target->incarnation &&
            strcmp(h->unreachable[i].node_id, target->node_id) == 0)
            return true;
    return false;
}

static int look_at_fellows(struct rule_ctx *ctx, const struct flag_op *op, struct fellows *f)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    struct heartbeat_record h;
    size_t at = 0;
    int more;
    memset(f, 0, sizeof(*f));
    while ((more = next_node(ctx, op->ks, FLAG_NODES, &at, id, &r)) > 0) {
        bool returns = r.state == NODE_JOINING && r.flagged;
        if (state_is_voter(r.state) || returns)
            f->voters++;
        if (r.flagged && state_hosts(r.state))
            memcpy(f->flagged, id, sizeof(id));
        if (r.state != NODE_ACTIVE || r.flagged || strcmp(id, op->target.node_id) == 0)
            continue;
        f->active++;
        if (find_heartbeat(ctx, op->ks, FLAG_HEARTBEATS, id, &h) < 0)
            return ctx->error;
        f->accusers += accuses(&h, &r, &op->target);
    }
    return more;
}

static enum verdict flag_rule(struct rule_ctx *ctx, void *arg)
{
    struct flag_op *op = arg;
    struct node_record r;
    struct fellows f;
    enum verdict verdict = primary_holds(ctx, FLAG_PRIMARY, FLAG_SELF, &op->self, op->term);
    if (verdict != RULE_COMMIT)
        return verdict;
    if (load_node(ctx, FLAG_NODE, &r) < 0 || look_at_fellows(ctx, op, &f) < 0)
        return RULE_REFUSE;
    op->accusers = f.accusers;
    op->observers = f.active;
    if (!life_is(&r, &op->target) || r.state != NODE_ACTIVE || r.flagged) {
        SOMETIMES("flag-done-before");
        return RULE_DONE;
    }
    if (f.flagged[0] && !MUTANT("greyseveral")) {
        SOMETIMES("flag-while-another-goes");
        return rule_refuse(ctx, "node %s is flagged, and not out yet", f.flagged);
    }
    if (2 * f.active <= f.voters && !MUTANT("greyhalf")) {
        SOMETIMES("flag-would-leave-too-few");
        return rule_refuse(ctx, "without node %s only %zu of %zu voters would be active",
                           op->target.node_id, f.active, f.voters);
    }
    if (2 * f.accusers <= f.active && !MUTANT("greyquorum")) {
        SOMETIMES("flag-not-most-accuse");
        return rule_refuse(ctx, "%zu of %zu active nodes cannot reach node %s, not most of them",
                           f.accusers, f.active, op->target.node_id);
    }
    SOMETIMES("flag");
    r.flagged = true;
    struct key key = key_node(op->ks, op->target.node_id);
    store_node(ctx, &key, &r);
    return RULE_COMMIT;
}

/* The heartbeats of the others are a snapshot: what they say is evidence, not a claim that must
 * still hold. The target's own conflicts, so that an attempt that lands late, when it may long be
 * reached again, does not land beyond its next heartbeat. */
void flag_prepare(struct flag_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "FlagGrey", flag_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_node(op->ks, op->target.node_id));
    read_key(t, key_heartbeat(op->ks, op->target.node_id));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_range(t, keys_heartbeats(op->ks), 0, true);
}
