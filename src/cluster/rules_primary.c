/* The primary: ElectPrimary, PrimaryStepDown, and its housekeeping of view changes. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

/* ---- ElectPrimary ---- */

enum { ELECT_PRIMARY, ELECT_TERM, ELECT_VIEW, ELECT_NODES, ELECT_HEARTBEATS };

/* More than half of the voters are Active, with this node, and heartbeat no less than when they
 * answered. 1 yes, 0 no (the reason is set), < 0 corrupt. */
static int majority(struct rule_ctx *ctx, struct elect_op *op, const char *except)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    struct heartbeat_record h;
    size_t at = 0;
    int more;
    op->voters = 0;
    op->votes = 0;
    while ((more = next_node(ctx, op->ks, ELECT_NODES, &at, id, &r)) > 0) {
        if (!state_is_voter(r.state) || (MUTANT("countview") && r.state != NODE_ACTIVE))
            continue;
        op->voters++;
        if (r.state != NODE_ACTIVE || r.flagged || strcmp(id, except) == 0)
            continue;
        const struct silence *answer = silence_find(&op->reached, id);
        bool self = strcmp(id, op->self.node_id) == 0;
        if (!self && (!answer || !life_is(&r, &answer->life)))
            continue;
        if (find_heartbeat(ctx, op->ks, ELECT_HEARTBEATS, id, &h) < 0)
            return ctx->error;
        if (self || (!h.damaged && h.counter >= answer->counter))
            op->votes++;
    }
    if (more < 0)
        return more;
    if (2 * op->votes > op->voters || MUTANT("noquorum") ||
        (2 * op->votes == op->voters && MUTANT("half")))
        return 1;
    SOMETIMES("elect-no-majority");
    (void)rule_refuse(ctx, "no majority: %zu of %zu voters are with this node", op->votes,
                      op->voters);
    return 0;
}

/* 1: the old primary `old` (which holds) was silent for the window and still is. */
static int old_primary_silent(struct rule_ctx *ctx, struct elect_op *op,
                              const struct primary_record *old, const struct node_record *r)
{
    struct heartbeat_record h;
    const struct silence *s = silence_find(&op->silent, old->node_id);
    if (!s || !life_is(r, &s->life)) {
        SOMETIMES("elect-primary-not-silent");
        (void)rule_refuse(ctx, "node %s is primary", old->node_id);
        return 0;
    }
    int found = find_heartbeat(ctx, op->ks, ELECT_HEARTBEATS, old->node_id, &h);
    if (found < 0)
        return found;
    if (still_silent(&h, s) || MUTANT("usurp"))
        return 1;
    SOMETIMES("elect-primary-lives");
    (void)rule_refuse(ctx, "node %s is primary and alive", old->node_id);
    return 0;
}

static enum verdict elect_write(struct rule_ctx *ctx, struct elect_op *op, struct term_record *term)
{
    op->term = MUTANT("sameterm") ? term->term : ++term->term;
    struct primary_record next = {
        .incarnation = op->self.incarnation, .boot = op->self.boot, .term = term->term};
    memcpy(next.node_id, op->self.node_id, sizeof(next.node_id));
    struct key primary_key = key_primary(op->ks), term_key = key_term(op->ks);
    store_primary(ctx, &primary_key, &next);
    store_term(ctx, &term_key, term);
    return RULE_COMMIT;
}

static enum verdict elect_rule(struct rule_ctx *ctx, void *arg)
{
    struct elect_op *op = arg;
    struct primary_record old;
    struct term_record term;
    struct view_record view;
    struct node_record own, r = {0};
    if (load_primary(ctx, ELECT_PRIMARY, &old) < 0 || load_term(ctx, ELECT_TERM, &term) < 0 ||
        load_view(ctx, ELECT_VIEW, &view) < 0 ||
        find_node(ctx, op->ks, ELECT_NODES, op->self.node_id, &own) < 0)
        return RULE_REFUSE;
    if (!life_is(&own, &op->self) || own.state != NODE_ACTIVE) {
        SOMETIMES("elect-by-a-failed-node");
        return rule_refuse(ctx, "this life of the node is not Active any more");
    }
    if (own.flagged) {
        SOMETIMES("elect-by-a-flagged-node");
        return rule_refuse(ctx, "this node is flagged as a grey failure");
    }
    if (primary_is(&old, op->self.node_id, &own) && old.term > op->known_term) {
        SOMETIMES("elect-recognised-as-done");
        op->term = old.term;
        return RULE_DONE;
    }
    if (!ctx->txn->unknown_pending)
        op->failed = (struct life){0}; /* what conflicted is not done */
    bool other = !old.vacant && !primary_is(&old, op->self.node_id, &own);
    if (other && find_node(ctx, op->ks, ELECT_NODES, old.node_id, &r) < 0)
        return RULE_REFUSE;
    bool held = other && r.state == NODE_ACTIVE && primary_is(&old, old.node_id, &r);
    if (held && old_primary_silent(ctx, op, &old, &r) <= 0)
        return RULE_REFUSE;
    if (majority(ctx, op, held ? old.node_id : "") <= 0)
        return RULE_REFUSE;
    if (held) {
        SOMETIMES("elect-fails-the-old-primary");
        op->failed = life_of_row(old.node_id, &r);
        write_fail(ctx, op->ks, &view, old.node_id, &r);
    } else {
        op->failed = (struct life){0};
    }
    return elect_write(ctx, op, &term);
}

/* Only the other voters' heartbeats are a snapshot: their counters only grow within a life, so what
 * was true of them stays true; the old primary's is read with conflict, as are all node rows. */
void elect_prepare(struct elect_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "ElectPrimary", elect_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_term(op->ks));
    read_key(t, key_view(op->ks));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_heartbeats(t, op->ks, &op->silent);
}

/* ---- PrimaryStepDown ---- */

static enum verdict step_down_rule(struct rule_ctx *ctx, void *arg)
{
    struct step_down_op *op = arg;
    struct primary_record p;
    if (load_primary(ctx, 0, &p) < 0)
        return RULE_REFUSE;
    bool mine = !p.vacant && strcmp(p.node_id, op->self.node_id) == 0 &&
                p.incarnation == op->self.incarnation && uuid_equal(p.boot, op->self.boot);
    if (!mine || p.term != op->term) {
        SOMETIMES("step-down-too-late");
        return RULE_DONE;
    }
    SOMETIMES("step-down");
    write_vacant(ctx, op->ks, &p);
    return RULE_COMMIT;
}

void step_down_prepare(struct step_down_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "PrimaryStepDown", step_down_rule, op, done, arg);
    read_key(&op->txn, key_primary(op->ks));
}

/* ---- view changes ---- */

enum { TRIM_PRIMARY, TRIM_VIEW, TRIM_NODES, TRIM_HEARTBEATS, TRIM_CHANGES };

/* The number up to which every Active node has acknowledged; 0 with *err set when corrupt. */
static uint64_t acknowledged(struct rule_ctx *ctx, struct trim_op *op, uint64_t number, int *err)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    struct heartbeat_record h;
    size_t at = 0;
    int more;
    while ((more = next_node(ctx, op->ks, TRIM_NODES, &at, id, &r)) > 0) {
        if (r.state != NODE_ACTIVE)
            continue;
        more = find_heartbeat(ctx, op->ks, TRIM_HEARTBEATS, id, &h);
        if (more < 0)
            break;
        if (h.ack < number)
            number = h.ack;
    }
    *err = more < 0 ? more : 0;
    return number;
}

static enum verdict trim_rule(struct rule_ctx *ctx, void *arg)
{
    struct trim_op *op = arg;
    struct primary_record p;
    struct view_record view;
    int err;
    if (load_primary(ctx, TRIM_PRIMARY, &p) < 0 || load_view(ctx, TRIM_VIEW, &view) < 0)
        return RULE_REFUSE;
    if (p.vacant || p.term != op->term || !uuid_equal(p.boot, op->self.boot)) {
        SOMETIMES("trim-by-a-stale-primary");
        return rule_refuse(ctx, "this node is not the primary any more");
    }
    if (rule_rows(ctx->txn, TRIM_CHANGES).count == 0 || view.number <= VIEW_CHANGES_KEPT)
        return RULE_DONE;
    uint64_t last = acknowledged(ctx, op, view.number - VIEW_CHANGES_KEPT, &err);
    if (err)
        return RULE_REFUSE;
    struct key_range range = keys_view_changes_upto(op->ks, last);
    struct bytes first = rule_rows(ctx->txn, TRIM_CHANGES).rows[0].key;
    if (bytes_compare(first, key_bytes(&range.end)) >= 0)
        return RULE_DONE;
    SOMETIMES("view-changes-trimmed");
    rule_delete_range(ctx, key_bytes(&range.begin), key_bytes(&range.end));
    return RULE_COMMIT;
}

void trim_prepare(struct trim_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "TrimViewChanges", trim_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_view(op->ks));
    read_range(t, keys_nodes(op->ks), 0, true);
    read_range(t, keys_heartbeats(op->ks), 0, true);
    read_range(t, keys_view_changes_after(op->ks, 0), 1, false);
}
