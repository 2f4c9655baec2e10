/* Declaring failed, and coming back from it: MarkNodeFailed, MarkDeadAll, NodeRecover, DeclareDead,
 * Forget, ForceForget. Whatever fails a node goes through write_fail (spec: Fail). */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

/* ---- MarkNodeFailed ---- */

enum { MARK_PRIMARY, MARK_SELF, MARK_VIEW, MARK_NODE, MARK_HEARTBEAT };

static enum verdict mark_failed_rule(struct rule_ctx *ctx, void *arg)
{
    struct mark_failed_op *op = arg;
    const char *target = op->target.life.node_id;
    struct node_record r;
    struct view_record view;
    struct heartbeat_record h;
    enum verdict verdict = primary_holds(ctx, MARK_PRIMARY, MARK_SELF, &op->self, op->term);
    if (verdict != RULE_COMMIT)
        return verdict;
    if (load_node(ctx, MARK_NODE, &r) < 0 || load_view(ctx, MARK_VIEW, &view) < 0 ||
        load_heartbeat(ctx, MARK_HEARTBEAT, &h) < 0)
        return RULE_REFUSE;
    if (!life_is(&r, &op->target.life) || !state_is_living(r.state)) {
        SOMETIMES("mark-failed-done-before");
        op->failed = life_is(&r, &op->target.life) && r.state == NODE_FAILED;
        return RULE_DONE;
    }
    if (!still_silent(&h, &op->target) && !MUTANT("moved")) {
        SOMETIMES("mark-failed-heartbeat-moved");
        return rule_refuse(ctx, "the heartbeat of node %s has moved", target);
    }
    write_fail(ctx, op->ks, &view, target, &r);
    return RULE_COMMIT;
}

void mark_failed_prepare(struct mark_failed_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "MarkNodeFailed", mark_failed_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_view(op->ks));
    read_key(t, key_node(op->ks, op->target.life.node_id));
    read_key(t, key_heartbeat(op->ks, op->target.life.node_id));
    if (MUTANT("snapshot"))
        t->reads[MARK_HEARTBEAT].snapshot = true;
}

/* The store is that of the cluster that this process knows. An empty one in its place says of nobody that its life
 * is over, nor does one of another epoch. */
static enum verdict cluster_is(struct rule_ctx *ctx, const struct keyspace *ks, size_t format_read,
                               struct uuid known, bool *other)
{
    struct format_record format;
    int found = load_format(ctx, format_read, &format);
    if (found < 0)
        return RULE_REFUSE;
    *other = found && other_epoch(&format, known);
    if (*other)
        return rule_refuse(ctx, OTHER_EPOCH);
    if (!found && !uuid_is_zero(known))
        return rule_refuse(ctx, NO_CLUSTER, ks->prefix);
    return RULE_COMMIT;
}

/* ---- MarkDeadAll ---- */

enum { DEAD_NODES, DEAD_HEARTBEATS, DEAD_VIEW, DEAD_FORMAT };

static enum verdict mark_dead_all_rule(struct rule_ctx *ctx, void *arg)
{
    struct mark_dead_all_op *op = arg;
    struct node_record r, own, target;
    struct heartbeat_record h;
    struct view_record view;
    char id[NODE_ID_MAX + 1];
    size_t at = 0;
    int more;
    bool other;
    if (cluster_is(ctx, op->ks, DEAD_FORMAT, op->known_cluster_id, &other) != RULE_COMMIT ||
        find_node(ctx, op->ks, DEAD_NODES, op->node_id, &own) < 0 ||
        find_node(ctx, op->ks, DEAD_NODES, op->target.node_id, &target) < 0 ||
        load_view(ctx, DEAD_VIEW, &view) < 0)
        return RULE_REFUSE;
    bool joining = own.state == NODE_JOINING && uuid_equal(own.boot, op->boot);
    if (uuid_equal(own.boot, op->boot) && !joining && own.state != NODE_LEFT) {
        SOMETIMES("dead-all-by-a-failed-life");
        return rule_refuse(ctx, "the node is %s", node_state_name(own.state));
    }
    if (!life_is(&target, &op->target) || !state_hosts(target.state)) {
        SOMETIMES("dead-all-done-before");
        op->failed = life_is(&target, &op->target) && target.state == NODE_FAILED;
        return RULE_DONE;
    }
    while ((more = next_node(ctx, op->ks, DEAD_NODES, &at, id, &r)) > 0) {
        bool is_target = strcmp(id, op->target.node_id) == 0;
        if (r.state != NODE_ACTIVE && !is_target)
            continue;
        const struct silence *s = silence_find(&op->silent, id);
        if (find_heartbeat(ctx, op->ks, DEAD_HEARTBEATS, id, &h) < 0)
            return RULE_REFUSE;
        if (!s || !life_is(&r, &s->life) || !still_silent(&h, s)) {
            SOMETIMES("dead-all-somebody-lives");
            return rule_refuse(ctx, "node %s is alive", id);
        }
    }
    if (more < 0)
        return RULE_REFUSE;
    SOMETIMES("dead-all");
    write_fail(ctx, op->ks, &view, op->target.node_id, &target);
    return RULE_COMMIT;
}

/* All heartbeats with conflict: if anybody moves, nobody is failed here. */
void mark_dead_all_prepare(struct mark_dead_all_op *op, const struct env *env, txn_fn *done,
                           void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "MarkDeadAll", mark_dead_all_rule, op, done, arg);
    read_range(t, keys_nodes(op->ks), 0, false);
    read_range(t, keys_heartbeats(op->ks), 0, false);
    read_key(t, key_view(op->ks));
    read_key(t, key_format(op->ks));
}

/* ---- NodeRecover ---- */

enum {
    RECOVER_NODE,
    RECOVER_HEARTBEAT,
    RECOVER_VIEW,
    RECOVER_PRIMARY,
    RECOVER_FORMAT,
    RECOVER_NODES,
    RECOVER_HEARTBEATS
};

static enum verdict recover_past(struct rule_ctx *ctx, struct recover_op *op,
                                 struct node_record *own)
{
    struct heartbeat_record h;
    struct view_record view;
    struct primary_record primary;
    if (load_heartbeat(ctx, RECOVER_HEARTBEAT, &h) < 0 || load_view(ctx, RECOVER_VIEW, &view) < 0 ||
        load_primary(ctx, RECOVER_PRIMARY, &primary) < 0)
        return RULE_REFUSE;
    bool over = uuid_equal(own->boot, op->boot); /* of this very process, which is Left */
    bool silent = op->proven && life_is(own, &op->past.life) && still_silent(&h, &op->past);
    bool proven = over || silent;
    if (!proven && !MUTANT("twin")) {
        SOMETIMES("recover-past-life-unproven");
        return rule_refuse(ctx, "an earlier life of this node may still run at %s", own->addr);
    }
    bool was_primary = primary_is(&primary, op->node_id, own);
    write_fail(ctx, op->ks, &view, op->node_id, own);
    if (was_primary) {
        SOMETIMES("recover-past-life-was-primary");
        write_vacant(ctx, op->ks, &primary);
    }
    op->state = NODE_FAILED;
    op->failed = op->life;
    return RULE_COMMIT;
}

static enum verdict recover_rule(struct rule_ctx *ctx, void *arg)
{
    struct recover_op *op = arg;
    struct node_record own;
    enum verdict verdict =
        cluster_is(ctx, op->ks, RECOVER_FORMAT, op->known_cluster_id, &op->other_epoch);
    if (op->other_epoch)
        SOMETIMES("recover-in-another-epoch");
    if (verdict != RULE_COMMIT || load_node(ctx, RECOVER_NODE, &own) < 0)
        return RULE_REFUSE;
    op->state = own.state;
    op->life = life_of_row(op->node_id, &own);
    if (!ctx->txn->unknown_pending)
        op->failed = (struct life){0}; /* what conflicted is not done */
    if (own.state == NODE_LEFT) {
        SOMETIMES("recover-left-before");
        return RULE_DONE;
    }
    if (own.state != NODE_FAILED)
        return recover_past(ctx, op, &own);
    int acked =
        acked_by_all(ctx, op->ks, RECOVER_NODES, RECOVER_HEARTBEATS, &op->silent, own.gone_view);
    if (acked <= 0 && !MUTANT("unacked"))
        return RULE_REFUSE;
    state_move(&own.state, NODE_LEFT, false);
    op->state = NODE_LEFT;
    struct key key = key_node(op->ks, op->node_id);
    store_node(ctx, &key, &own);
    return RULE_COMMIT;
}

void recover_prepare(struct recover_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "NodeRecover", recover_rule, op, done, arg);
    read_key(t, key_node(op->ks, op->node_id));
    read_key(t, key_heartbeat(op->ks, op->node_id));
    read_key(t, key_view(op->ks));
    read_key(t, key_primary(op->ks));
    read_key(t, key_format(op->ks));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_heartbeats(t, op->ks, &op->silent);
}

/* ---- DeclareDead ---- */

enum { DECLARE_NODE, DECLARE_VIEW, DECLARE_PRIMARY, DECLARE_FORMAT, DECLARE_FOUNDED };

/* Whether the store is not the one that the node is of; negative: that cannot be read. */
static int is_foreign(struct rule_ctx *ctx, const struct declare_dead_op *op)
{
    struct uuid founded;
    int found;
    if (uuid_is_zero(op->home) || MUTANT("homeless"))
        return 0;
    found = load_home(ctx, DECLARE_FORMAT, DECLARE_FOUNDED, &founded);
    return found < 0 ? found : !found || !uuid_equal(founded, op->home);
}

/* Commits in every case but that of another store: a join of that boot id still in flight read this row and
 * conflicts. */
static enum verdict declare_dead_rule(struct rule_ctx *ctx, void *arg)
{
    struct declare_dead_op *op = arg;
    struct node_record r;
    struct view_record view;
    struct primary_record primary;
    struct key key = key_node(op->ks, op->node_id);
    if (load_node(ctx, DECLARE_NODE, &r) < 0 || load_view(ctx, DECLARE_VIEW, &view) < 0 ||
        load_primary(ctx, DECLARE_PRIMARY, &primary) < 0)
        return RULE_REFUSE;
    int foreign = is_foreign(ctx, op);
    if (foreign < 0)
        return RULE_REFUSE;
    op->foreign = foreign;
    if (foreign) {
        SOMETIMES("declare-dead-in-a-foreign-store");
        op->failed = op->left = false;
        return RULE_DONE;
    }
    if (op->blame)
        blame_write(ctx, op->blame_at, op->ks, op->blame, &op->blamed);
    bool matches = uuid_equal(r.boot, op->boot) || MUTANT("anyboot");
    op->failed = matches && r.state != NODE_LEFT;
    op->incarnation = r.incarnation;
    op->left = matches && r.state == NODE_LEFT;
    r.touched++;
    if (matches && state_is_living(r.state)) {
        bool was_primary = primary_is(&primary, op->node_id, &r);
        SOMETIMES("declare-dead-fails-the-node");
        write_fail(ctx, op->ks, &view, op->node_id, &r);
        if (was_primary) {
            SOMETIMES("declare-dead-of-the-primary");
            write_vacant(ctx, op->ks, &primary);
        }
    } else if (MUTANT("norewrite")) {
        return RULE_DONE;
    } else {
        SOMETIMES("declare-dead-of-another-life");
        store_node(ctx, &key, &r);
    }
    return RULE_COMMIT;
}

void declare_dead_prepare(struct declare_dead_op *op, const struct env *env, txn_fn *done,
                          void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "DeclareDead", declare_dead_rule, op, done, arg);
    read_key(t, key_node(op->ks, op->node_id));
    read_key(t, key_view(op->ks));
    read_key(t, key_primary(op->ks));
    if (!uuid_is_zero(op->home)) {
        read_key(t, key_format(op->ks));
        read_key(t, key_founded(op->ks));
    }
    if (op->blame)
        op->blame_at = blame_read(t, op->ks, op->blame);
}

/* ---- Forget ---- */

enum { FORGET_PRIMARY, FORGET_SELF, FORGET_NODE, FORGET_NODES, FORGET_HEARTBEATS };

static enum verdict forget_rule(struct rule_ctx *ctx, void *arg)
{
    struct forget_op *op = arg;
    struct node_record r;
    enum verdict verdict = primary_holds(ctx, FORGET_PRIMARY, FORGET_SELF, &op->self, op->term);
    if (verdict != RULE_COMMIT)
        return verdict;
    if (load_node(ctx, FORGET_NODE, &r) < 0)
        return RULE_REFUSE;
    if (r.state == NODE_LEFT) {
        SOMETIMES("forget-done-before");
        return RULE_DONE;
    }
    if (r.state != NODE_FAILED || !life_is(&r, &op->target)) {
        SOMETIMES("forget-not-failed");
        return rule_refuse(ctx, "node %s is %s: only a failed node can be forgotten",
                           op->target.node_id, node_state_name(r.state));
    }
    if (acked_by_all(ctx, op->ks, FORGET_NODES, FORGET_HEARTBEATS, &op->silent, r.gone_view) <= 0)
        return RULE_REFUSE;
    state_move(&r.state, NODE_LEFT, false);
    struct key key = key_node(op->ks, op->target.node_id);
    store_node(ctx, &key, &r);
    SOMETIMES("forget");
    return RULE_COMMIT;
}

void forget_prepare(struct forget_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "Forget", forget_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_node(op->ks, op->target.node_id));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_heartbeats(t, op->ks, &op->silent);
}

/* ---- ForceForget ---- */

enum { FORCE_PRIMARY, FORCE_NODE, FORCE_NODES, FORCE_VIEW, FORCE_HEARTBEATS };

/* 1: the life in `r` was silent for the window and still is; 0: not; < 0: corrupt. */
static int is_silent(struct rule_ctx *ctx, struct force_forget_op *op, const char *id,
                     const struct node_record *r)
{
    struct heartbeat_record h;
    const struct silence *s = silence_find(&op->silent, id);
    int found = find_heartbeat(ctx, op->ks, FORCE_HEARTBEATS, id, &h);
    if (found < 0)
        return found;
    return s && life_is(r, &s->life) && still_silent(&h, s);
}

static int force_primary_gone(struct rule_ctx *ctx, struct force_forget_op *op,
                              const struct primary_record *primary)
{
    struct node_record r;
    if (primary->vacant)
        return 1;
    int found = find_node(ctx, op->ks, FORCE_NODES, primary->node_id, &r);
    if (found < 0)
        return found;
    if (!found || r.state != NODE_ACTIVE || !primary_is(primary, primary->node_id, &r))
        return 1;
    return is_silent(ctx, op, primary->node_id, &r);
}

static int count_voters(struct rule_ctx *ctx, struct force_forget_op *op)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    size_t at = 0;
    int more;
    op->voters_before = 0;
    while ((more = next_node(ctx, op->ks, FORCE_NODES, &at, id, &r)) > 0)
        if (state_is_voter(r.state))
            op->voters_before++;
    op->voters_after = op->voters_before;
    return more;
}

static enum verdict force_forget_rule(struct rule_ctx *ctx, void *arg)
{
    struct force_forget_op *op = arg;
    struct node_record r;
    struct primary_record primary;
    struct view_record view;
    int is_there = load_node(ctx, FORCE_NODE, &r);
    op->primary_lives = false;
    if (is_there < 0 || load_primary(ctx, FORCE_PRIMARY, &primary) < 0 ||
        load_view(ctx, FORCE_VIEW, &view) < 0 || count_voters(ctx, op) < 0)
        return RULE_REFUSE;
    if (!is_there) {
        SOMETIMES("force-forget-of-nobody");
        return rule_refuse(ctx, "there is no node %s", op->target);
    }
    if (r.state == NODE_LEFT) {
        SOMETIMES("force-forget-done-before");
        return RULE_DONE;
    }
    int gone = force_primary_gone(ctx, op, &primary);
    if (gone < 0)
        return RULE_REFUSE;
    op->primary_lives = gone == 0;
    if (gone == 0) {
        SOMETIMES("force-forget-primary-lives");
        return rule_refuse(ctx, "node %s is primary and alive: forget without force",
                           primary.node_id);
    }
    bool was_primary = primary_is(&primary, op->target, &r);
    if (!ctx->txn->unknown_pending)
        op->failed = (struct life){0}; /* what conflicted is not done */
    if (state_is_living(r.state)) {
        int silent = is_silent(ctx, op, op->target, &r);
        if (silent < 0)
            return RULE_REFUSE;
        if (silent == 0) {
            SOMETIMES("force-forget-target-lives");
            return rule_refuse(ctx, "node %s is alive (its heartbeat moves): drain it", op->target);
        }
        /* Failed first; what must be acknowledged is the view without it. */
        SOMETIMES("force-forget-fails-first");
        op->failed = life_of_row(op->target, &r);
        write_fail(ctx, op->ks, &view, op->target, &r);
        if (was_primary)
            write_vacant(ctx, op->ks, &primary);
        return RULE_COMMIT;
    }
    if (acked_by_all(ctx, op->ks, FORCE_NODES, FORCE_HEARTBEATS, &op->silent, r.gone_view) <= 0)
        return RULE_REFUSE;
    SOMETIMES("force-forget-strikes-off");
    op->voters_after--;
    state_move(&r.state, NODE_LEFT, false);
    struct key key = key_node(op->ks, op->target);
    store_node(ctx, &key, &r);
    return RULE_COMMIT;
}

void force_forget_prepare(struct force_forget_op *op, const struct env *env, txn_fn *done,
                          void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "ForceForget", force_forget_rule, op, done, arg);
    read_key(t, key_primary(op->ks));
    read_key(t, key_node(op->ks, op->target));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_key(t, key_view(op->ks));
    read_heartbeats(t, op->ks, &op->silent);
}
