/* Joining, leaving, staying: NodeJoin, NodeJoinComplete, NodeLeave, NodeLeaveComplete,
 * SendHeartbeat, and the probe of a process that is no member yet. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rules.h"
#include "kelpie/error.h"

/* ---- NodeJoin ---- */

enum {
    JOIN_FORMAT,
    JOIN_NODES,
    JOIN_VIEW,
    JOIN_PRIMARY,
    JOIN_TERM,
    JOIN_HEARTBEAT,
    JOIN_FOUNDED,
    JOIN_FLOOR
};

struct membership {
    struct node_record own; /* zeroed when absent */
    bool known;             /* there is a row of one's own */
    size_t rows;
    size_t members;
};

/* One pass over all node rows. */
static int look_around(struct rule_ctx *ctx, const struct keyspace *ks, const char *node_id,
                       struct membership *m)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    size_t at = 0;
    int more;
    memset(m, 0, sizeof(*m));
    while ((more = next_node(ctx, ks, JOIN_NODES, &at, id, &r)) > 0) {
        m->rows++;
        if (state_is_member(r.state))
            m->members++;
        if (strcmp(id, node_id) == 0) {
            m->own = r;
            m->known = true;
        }
    }
    return more;
}

static void join_write(struct rule_ctx *ctx, struct join_op *op, struct node_record *next,
                       bool founds)
{
    struct key node_key = key_node(op->ks, op->node_id);
    struct key heartbeat_key = key_heartbeat(op->ks, op->node_id);
    struct heartbeat_record h = {.incarnation = next->incarnation, .boot = next->boot};
    if (founds)
        h.ack = op->view_number;
    store_node(ctx, &node_key, next);
    store_heartbeat(ctx, &heartbeat_key, &h);
}

static int join_found(struct rule_ctx *ctx, struct join_op *op, const struct node_record *next)
{
    struct view_record view;
    struct primary_record primary;
    struct term_record term;
    if (load_view(ctx, JOIN_VIEW, &view) < 0 || load_primary(ctx, JOIN_PRIMARY, &primary) < 0 ||
        load_term(ctx, JOIN_TERM, &term) < 0)
        return ctx->error;
    if (view.count != 0) {
        (void)rule_refuse(ctx, "the stored view %llu has %llu members, but no node is a member",
                          (unsigned long long)view.number, (unsigned long long)view.count);
        return KELPIE_E_REFUSED;
    }
    SOMETIMES("join-founds-the-cluster");
    op->view_number = write_view(ctx, op->ks, &view, VIEW_ADD, op->node_id, next);
    op->term = ++term.term;
    primary = (struct primary_record){
        .incarnation = next->incarnation, .boot = next->boot, .term = term.term};
    memcpy(primary.node_id, op->node_id, strlen(op->node_id) + 1);
    struct key primary_key = key_primary(op->ks), term_key = key_term(op->ks);
    store_primary(ctx, &primary_key, &primary);
    store_term(ctx, &term_key, &term);
    return 0;
}

/* An earlier attempt of this operation has committed: what did it do? */
static enum verdict join_done(struct rule_ctx *ctx, struct join_op *op,
                              const struct node_record *own)
{
    struct view_record view;
    struct primary_record primary;
    if (load_view(ctx, JOIN_VIEW, &view) < 0 || load_primary(ctx, JOIN_PRIMARY, &primary) < 0)
        return RULE_REFUSE;
    op->incarnation = own->incarnation;
    op->state = own->state;
    op->view_number = own->state == NODE_ACTIVE ? view.number : 0;
    op->term = primary_is(&primary, op->node_id, own) ? primary.term : 0;
    return RULE_DONE;
}

/* A node of one cluster founds no other, and joins none, because somebody put another store, or an
 * empty one, in the place of its own. */
static enum verdict check_home(struct rule_ctx *ctx, const struct join_op *op, bool is_there)
{
    char home[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];
    if (uuid_is_zero(op->home) || (is_there && uuid_equal(op->home, op->founded)) ||
        MUTANT("homeless"))
        return RULE_COMMIT;
    uuid_to_text(op->home, home);
    uuid_to_text(op->founded, other);
    SOMETIMES("join-of-a-foreign-store");
    if (is_there)
        return rule_refuse(ctx,
                           "this node is of cluster %s, the store of %s: correct --store or "
                           "--prefix, or take another --data-dir or --found-new",
                           home, other);
    return rule_refuse(ctx,
                       "this node is of cluster %s, but the store holds none under the prefix "
                       "'%s': put its store back, or take --found-new",
                       home, op->ks->prefix);
}

#define OLD_FORMAT                                                                                  \
    "the store has format %llu, which this program only raises: stop all nodes, then kelpie store " \
    "format --raise"

static enum verdict join_format(struct rule_ctx *ctx, struct join_op *op)
{
    struct format_record format;
    struct key key = key_format(op->ks);
    int found = load_format(ctx, JOIN_FORMAT, &format);
    if (found < 0 || load_home(ctx, JOIN_FORMAT, JOIN_FOUNDED, &op->founded) < 0)
        return RULE_REFUSE;
    if (found && format.version > RECORD_VERSION)
        return rule_corrupt(ctx, KELPIE_E_STORE_NEWER, key_bytes(&key));
    if (found && format.version < FORMAT_MIN)
        return rule_refuse(ctx, OLD_FORMAT, (unsigned long long)format.version);
    if (!found)
        format = (struct format_record){
            .version = RECORD_VERSION, .cluster_id = op->new_cluster_id, .shards = SHARDS_DEFAULT};
    op->cluster_id = format.cluster_id;
    op->shards = format.shards ? format.shards : SHARDS_DEFAULT;
    if (!found)
        op->founded = format.cluster_id;
    if (check_home(ctx, op, found) != RULE_COMMIT)
        return RULE_REFUSE;
    if (!found)
        store_format(ctx, &key, &format);
    op->other_epoch = other_epoch(&format, op->known_cluster_id);
    return op->other_epoch ? rule_refuse(ctx, OTHER_EPOCH) : RULE_COMMIT;
}

/* What no incarnation of this node has reached, nor one of a row of its id that was swept: the row that
 * is there may have been made since, by DeclareDead, and then none stands in it. */
static int join_incarnation(struct rule_ctx *ctx, const struct join_op *op,
                            const struct node_record *own, uint64_t *out)
{
    struct incarnation_floor_record floor;
    uint64_t last = own->incarnation;
    if (load_incarnation_floor(ctx, JOIN_FLOOR, &floor) < 0)
        return ctx->error;
    if (last == 0 && floor.incarnation > 0 && !MUTANT("nofloor")) {
        SOMETIMES("join-above-the-floor");
        last = floor.incarnation;
    }
    /* A restored store may hand out less than this process has held: its own commit is told by that. */
    if (op->known_incarnation > last)
        last = op->known_incarnation;
    *out = last + (MUTANT("incarnation") ? 0 : 1);
    return 0;
}

static enum verdict join_rule(struct rule_ctx *ctx, void *arg)
{
    struct join_op *op = arg;
    struct membership m;
    op->view_number = 0;
    op->term = 0;
    enum verdict verdict = join_format(ctx, op);
    if (verdict != RULE_COMMIT || look_around(ctx, op->ks, op->node_id, &m) < 0)
        return RULE_REFUSE;
    if (m.own.state != NODE_LEFT && !MUTANT("pastlife")) {
        bool mine = uuid_equal(m.own.boot, op->self->boot);
        if (mine && m.own.incarnation > op->known_incarnation && state_is_living(m.own.state)) {
            SOMETIMES("join-recognised-as-done");
            return join_done(ctx, op, &m.own);
        }
        SOMETIMES("join-past-life-in-the-way");
        return rule_refuse(ctx, "an earlier life of this node is still %s",
                           node_state_name(m.own.state));
    }
    if (!m.known && m.rows >= NODES_MAX)
        return rule_refuse(ctx,
                           "the cluster has %u node ids already, the most it can have: give "
                           "this node the id of one that has left",
                           NODES_MAX);
    if (ctx->txn->attempts > 1 && m.own.touched > 0)
        SOMETIMES("join-again-after-declare-dead");
    bool founds = m.members == 0;
    struct node_record next = *op->self;
    if (join_incarnation(ctx, op, &m.own, &next.incarnation))
        return RULE_REFUSE;
    next.touched = m.own.touched;
    next.gone_view = m.own.gone_view;
    next.flagged = m.own.flagged && !founds && !MUTANT("greyforgotten");
    next.state = NODE_LEFT;
    state_move(&next.state, founds ? NODE_ACTIVE : NODE_JOINING, founds);
    if (founds && join_found(ctx, op, &next))
        return RULE_REFUSE;
    op->incarnation = next.incarnation;
    op->state = next.state;
    join_write(ctx, op, &next, founds);
    return RULE_COMMIT;
}

void join_prepare(struct join_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "NodeJoin", join_rule, op, done, arg);
    read_key(t, key_format(op->ks));
    read_range(t, keys_nodes(op->ks), 0, false);
    read_key(t, key_view(op->ks));
    read_key(t, key_primary(op->ks));
    read_key(t, key_term(op->ks));
    read_key(t, key_heartbeat(op->ks, op->node_id));
    read_key(t, key_founded(op->ks));
    read_key(t, key_incarnation_floor(op->ks));
}

/* A heartbeat row that is missing, damaged, or of another life (a restored store), starts anew. */
static void own_heartbeat(struct heartbeat_record *h, const struct life *self)
{
    if (!h->damaged && h->incarnation == self->incarnation && uuid_equal(h->boot, self->boot))
        return;
    *h = (struct heartbeat_record){.incarnation = self->incarnation, .boot = self->boot};
}

/* ---- NodeJoinComplete ---- */

enum { COMPLETE_NODES, COMPLETE_VIEW, COMPLETE_HEARTBEAT, COMPLETE_HEARTBEATS };

/* What the Active nodes have to say to a newcomer. */
struct answers {
    size_t active; /* nodes */
    size_t awake;  /* of them, those that were not silent for the window */
    size_t given;  /* by those */
};

static int count_answers(struct rule_ctx *ctx, struct join_complete_op *op, struct answers *n)
{
    char id[NODE_ID_MAX + 1];
    struct node_record r;
    struct heartbeat_record h;
    size_t at = 0;
    int more;
    memset(n, 0, sizeof(*n));
    while ((more = next_node(ctx, op->ks, COMPLETE_NODES, &at, id, &r)) > 0) {
        if (r.state != NODE_ACTIVE)
            continue;
        n->active++;
        const struct silence *s = silence_find(&op->silent, id);
        if (s && find_heartbeat(ctx, op->ks, COMPLETE_HEARTBEATS, id, &h) < 0)
            return ctx->error;
        if (s && life_is(&r, &s->life) && still_silent(&h, s))
            continue;
        n->awake++;
        const struct silence *answer = silence_find(&op->answered, id);
        if (answer && life_is(&r, &answer->life))
            n->given++;
    }
    return more;
}

/* One answer will do; after a grey flag more than half. COMMIT, or REFUSE with the reason. */
static enum verdict judge_answers(struct rule_ctx *ctx, const struct answers *n, bool flagged)
{
    if (flagged && n->active > 0 && 2 * n->given <= n->awake && !MUTANT("greyrejoin")) {
        SOMETIMES("join-complete-flagged-unanswered");
        return rule_refuse(ctx,
                           "after a grey failure: %zu of %zu active nodes have answered directly, "
                           "more than half must",
                           n->given, n->awake);
    }
    if ((n->active > 0 || MUTANT("coldstart")) && n->given == 0) {
        SOMETIMES("join-complete-unanswered");
        return rule_refuse(ctx, "no active node has answered directly");
    }
    return RULE_COMMIT;
}

static enum verdict join_complete_rule(struct rule_ctx *ctx, void *arg)
{
    struct join_complete_op *op = arg;
    struct node_record own;
    struct view_record view;
    struct heartbeat_record h;
    struct answers answers;
    if (find_node(ctx, op->ks, COMPLETE_NODES, op->self.node_id, &own) < 0 ||
        load_view(ctx, COMPLETE_VIEW, &view) < 0 || load_heartbeat(ctx, COMPLETE_HEARTBEAT, &h) < 0)
        return RULE_REFUSE;
    if (!life_is(&own, &op->self) || !state_is_living(own.state)) {
        SOMETIMES("join-complete-of-a-failed-life");
        return rule_refuse(ctx, "this life of the node was declared failed");
    }
    op->view_number = view.number;
    if (own.state == NODE_ACTIVE) {
        SOMETIMES("join-complete-recognised-as-done");
        return RULE_DONE;
    }
    if (count_answers(ctx, op, &answers) < 0 ||
        judge_answers(ctx, &answers, own.flagged) != RULE_COMMIT)
        return RULE_REFUSE;
    state_move(&own.state, NODE_ACTIVE, false);
    own.flagged = false;
    op->view_number = write_view(ctx, op->ks, &view, VIEW_ADD, op->self.node_id, &own);
    own_heartbeat(&h, &op->self);
    h.ack = op->view_number;
    struct key node_key = key_node(op->ks, op->self.node_id);
    struct key heartbeat_key = key_heartbeat(op->ks, op->self.node_id);
    store_node(ctx, &node_key, &own);
    store_heartbeat(ctx, &heartbeat_key, &h);
    return RULE_COMMIT;
}

/* The heartbeats of those who need not answer conflict: whoever moves must. */
void join_complete_prepare(struct join_complete_op *op, const struct env *env, txn_fn *done,
                           void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "NodeJoinComplete", join_complete_rule, op, done, arg);
    read_range(t, keys_nodes(op->ks), 0, false);
    read_key(t, key_view(op->ks));
    read_key(t, key_heartbeat(op->ks, op->self.node_id));
    if (op->silent.count > 0)
        read_heartbeats(t, op->ks, &op->silent);
}

/* ---- NodeLeave ---- */

enum { LEAVE_NODE, LEAVE_VIEW, LEAVE_PRIMARY };

static enum verdict leave_rule(struct rule_ctx *ctx, void *arg)
{
    struct leave_op *op = arg;
    struct node_record own;
    struct view_record view;
    struct primary_record primary;
    if (load_node(ctx, LEAVE_NODE, &own) < 0 || load_view(ctx, LEAVE_VIEW, &view) < 0 ||
        load_primary(ctx, LEAVE_PRIMARY, &primary) < 0)
        return RULE_REFUSE;
    if (!life_is(&own, &op->self)) {
        SOMETIMES("leave-by-another-life");
        return rule_refuse(ctx, "this life of the node was declared failed");
    }
    if (own.state == NODE_LEAVING) {
        SOMETIMES("leave-recognised-as-done");
        return RULE_DONE;
    }
    if (own.state != NODE_ACTIVE) {
        SOMETIMES("leave-by-a-failed-node");
        return rule_refuse(ctx, "the node is %s, not Active", node_state_name(own.state));
    }
    if (view.count == 1 && !op->even_last) {
        SOMETIMES("leave-of-the-last-node");
        return rule_refuse(ctx, "it is the last active node: nobody could take its actors "
                                "(SIGTERM stops it)");
    }
    state_move(&own.state, NODE_LEAVING, false);
    own.gone_view = write_view(ctx, op->ks, &view, VIEW_REMOVE, op->self.node_id, &own);
    struct key key = key_node(op->ks, op->self.node_id);
    store_node(ctx, &key, &own);
    if (primary_is(&primary, op->self.node_id, &own)) {
        SOMETIMES("leave-of-the-primary");
        write_vacant(ctx, op->ks, &primary);
    }
    return RULE_COMMIT;
}

void leave_prepare(struct leave_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "NodeLeave", leave_rule, op, done, arg);
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_view(op->ks));
    read_key(t, key_primary(op->ks));
}

/* ---- NodeLeaveComplete ---- */

enum { LEFT_NODE, LEFT_PLACED, LEFT_NODES, LEFT_HEARTBEATS };

static enum verdict leave_complete_rule(struct rule_ctx *ctx, void *arg)
{
    struct leave_complete_op *op = arg;
    struct node_record own;
    if (load_node(ctx, LEFT_NODE, &own) < 0)
        return RULE_REFUSE;
    if (life_is(&own, &op->self) && own.state == NODE_LEFT) {
        SOMETIMES("left-recognised-as-done");
        return RULE_DONE;
    }
    if (!life_is(&own, &op->self) || own.state != NODE_LEAVING) {
        SOMETIMES("leave-complete-of-a-failed-node");
        return rule_refuse(ctx, "this life of the node was declared failed");
    }
    if (rule_rows(ctx->txn, LEFT_PLACED).count > 0 && !MUTANT("leaveplaced"))
        return rule_refuse(ctx, "actors are still placed here");
    if (!MUTANT("noack")) {
        int acked =
            acked_by_all(ctx, op->ks, LEFT_NODES, LEFT_HEARTBEATS, &op->silent, own.gone_view);
        if (acked <= 0)
            return RULE_REFUSE;
    }
    state_move(&own.state, NODE_LEFT, false);
    struct key key = key_node(op->ks, op->self.node_id);
    store_node(ctx, &key, &own);
    return RULE_COMMIT;
}

/* Heartbeats as a snapshot: an acknowledgement only grows within a life, and a node that becomes
 * Active later holds a later view. Those excused for silence are read with conflict. */
void leave_complete_prepare(struct leave_complete_op *op, const struct env *env, txn_fn *done,
                            void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "NodeLeaveComplete", leave_complete_rule, op, done, arg);
    read_key(t, key_node(op->ks, op->self.node_id));
    read_range(t, keys_by_incarnation(op->ks, op->self.node_id, op->self.incarnation), 1, false);
    read_range(t, keys_nodes(op->ks), 0, false);
    read_heartbeats(t, op->ks, &op->silent);
}

/* ---- SendHeartbeat ---- */

enum { BEAT_NODE, BEAT_HEARTBEAT, BEAT_VIEW };

/* This life is over: declared failed, or ended with its epoch. The format row is read only here. */
static enum verdict life_is_over(struct rule_ctx *ctx, struct heartbeat_op *op)
{
    struct format_record format;
    if (!op->format_read) {
        struct key key = key_format(op->ks);
        op->format_read = rule_more(ctx, key_bytes(&key), true);
        return RULE_MORE;
    }
    int found = load_format(ctx, op->format_read, &format);
    if (found < 0)
        return RULE_REFUSE;
    op->not_current = true;
    if (!found)
        return rule_refuse(ctx, NO_CLUSTER, op->ks->prefix);
    op->other_epoch = other_epoch(&format, op->cluster_id);
    return rule_refuse(ctx,
                       op->other_epoch ? OTHER_EPOCH : "this life of the node was declared failed");
}

/* Only where the view has moved on: after an outage all nodes revive at once. As a snapshot: the view
 * row, which is read with conflict, changes with its members. */
static enum verdict read_all_nodes(struct rule_ctx *ctx, struct heartbeat_op *op)
{
    struct key_range nodes = keys_nodes(op->ks);
    op->nodes_read = rule_more_range(ctx, key_bytes(&nodes.begin), key_bytes(&nodes.end), 0, true);
    return RULE_MORE;
}

static enum verdict heartbeat_rule(struct rule_ctx *ctx, void *arg)
{
    struct heartbeat_op *op = arg;
    struct node_record own;
    struct heartbeat_record h;
    struct view_record view = {0};
    op->not_current = op->other_epoch = op->healed = false;
    if (rule_read_count(ctx) == ctx->txn->own_read_count)
        op->nodes_read = op->format_read = 0; /* a new attempt */
    if (load_node(ctx, BEAT_NODE, &own) < 0 || load_heartbeat(ctx, BEAT_HEARTBEAT, &h) < 0)
        return RULE_REFUSE;
    if (op->revives && load_view(ctx, BEAT_VIEW, &view) < 0)
        return RULE_REFUSE;
    if ((!life_is(&own, &op->self) || !state_is_living(own.state)) && !MUTANT("deadbeat")) {
        SOMETIMES("heartbeat-of-a-failed-life");
        return life_is_over(ctx, op);
    }
    op->view_number = view.number;
    if (op->revives && view.number > op->held && !op->nodes_read)
        return read_all_nodes(ctx, op);
    op->healed = h.damaged;
    own_heartbeat(&h, &op->self);
    if (h.counter == op->sequence) {
        SOMETIMES("heartbeat-recognised-as-done");
        return RULE_DONE;
    }
    if (own.flagged && state_hosts(own.state) && !MUTANT("greybeat")) {
        SOMETIMES("heartbeat-flagged");
        op->not_current = true;
        return rule_refuse(ctx, "flagged as a grey failure: most active nodes cannot reach it");
    }
    if (h.counter > op->sequence) {
        op->not_current = true;
        return rule_refuse(ctx, "another process heartbeats as this life of the node");
    }
    h.counter = op->sequence;
    h.load = op->load;
    h.wall_ms = op->wall_ms;
    memset(h.unreachable, 0, sizeof(h.unreachable));
    h.unreachable_count = op->unreachable_count;
    if (op->unreachable_count)
        memcpy(h.unreachable, op->unreachable, op->unreachable_count * sizeof(*op->unreachable));
    h.ack = op->ack > h.ack ? op->ack : h.ack;
    if (op->revives && own.state == NODE_ACTIVE)
        h.ack = view.number;
    struct key key = key_heartbeat(op->ks, op->self.node_id);
    store_heartbeat(ctx, &key, &h);
    return RULE_COMMIT;
}

void heartbeat_prepare(struct heartbeat_op *op, const struct env *env, txn_fn *done, void *arg)
{
    struct txn *t = &op->txn;
    txn_init(t, env, "SendHeartbeat", heartbeat_rule, op, done, arg);
    read_key(t, key_node(op->ks, op->self.node_id));
    read_key(t, key_heartbeat(op->ks, op->self.node_id));
    if (op->revives)
        read_key(t, key_view(op->ks));
}

/* ---- probe ---- */

static enum verdict probe_rule(struct rule_ctx *ctx, void *arg)
{
    struct probe_op *op = arg;
    struct probe_record p;
    int found = load_probe(ctx, 0, &p);
    if (found < 0 && found != KELPIE_E_STORE_CORRUPT)
        return RULE_REFUSE;
    ctx->error = 0; /* a damaged one is written anew, as heartbeats are */
    if (found < 0)
        memset(&p, 0, sizeof(p));
    if (uuid_equal(p.boot, op->boot) && p.counter == op->sequence) {
        SOMETIMES("probe-recognised-as-done");
        return RULE_DONE;
    }
    p = (struct probe_record){.boot = op->boot, .counter = op->sequence};
    struct key key = key_probe(op->ks, op->node_id);
    store_probe(ctx, &key, &p);
    return RULE_COMMIT;
}

void probe_prepare(struct probe_op *op, const struct env *env, txn_fn *done, void *arg)
{
    txn_init(&op->txn, env, "Probe", probe_rule, op, done, arg);
    read_key(&op->txn, key_probe(op->ks, op->node_id));
}
