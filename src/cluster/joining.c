/* From a process that is no member to an Active node: NodeRecover, NodeJoin, NodeJoinComplete, and
 * MarkDeadAll for a cluster in which nobody Active lives any more. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

static void free_silences(struct cluster *c)
{
    mem_free(c->env->mem, c->silences);
    c->silences = NULL;
}

/* ---- past lives ---- */

static void on_recover(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    free_silences(c);
    if (c->closing)
        return;
    failure_settled(c, t, status, &c->recover.failed,
                    c->recover.proven ? "an earlier life of this id, silent for the window"
                                      : "a life of this very process, which it has given up");
    if (status) {
        set_reason(c, "%s", txn_why(t, status));
        if (c->recover.other_epoch)
            tell_other_epoch(c);
        return;
    }
    if (t->committed && c->recover.state == NODE_LEFT)
        cluster_tell(c, LOG_INFO, "recovered", "incarnation=%llu",
                     (unsigned long long)c->recover.life.incarnation);
    if (t->committed && c->recover.proven)
        SOMETIMES("past-life-found-silent");
    c->scanned = false;
    scan_now(c);
}

static void recover_start(struct cluster *c, const struct silence *past)
{
    struct recover_op *op = &c->recover;
    CHECK(c->state == NODE_LEFT && !membership_busy(c));
    memset(op, 0, offsetof(struct recover_op, txn));
    op->ks = &c->config.ks;
    op->node_id = c->config.node_id;
    op->boot = c->config.boot;
    op->known_cluster_id = c->cluster_id;
    if (past) {
        op->proven = true;
        op->past = *past;
    }
    c->silences = collect_silent(c, true, &op->silent.count);
    op->silent.items = c->silences;
    recover_prepare(op, c->env, on_recover, c);
    txn_start(&op->txn);
}

/* One's own id is taken by another life: dead for certain, alive for certain, or not yet known. */
static void step_past_life(struct cluster *c, const struct known_node *own)
{
    struct silence past;
    const struct sighting *seen = detector_find(&c->detector, c->config.node_id);
    if (detector_silent(&c->detector, &own->life, &past)) {
        recover_start(c, &past);
    } else if (MUTANT("twin")) {
        recover_start(c, NULL);
    } else if (seen && seen->moves >= SEEN_ALIVE_MOVES &&
               uuid_equal(seen->record.boot, own->life.boot)) {
        SOMETIMES("twin-sees-the-other-alive");
        set_reason(c, "node id %s is alive at %s", c->config.node_id, own->addr);
        if (!c->twin_told) {
            c->twin_told = true;
            char addr[4 * NET_ADDR_SIZE + 3];
            cluster_tell(c, LOG_ERROR, "twin", "addr=%s", log_quote(own->addr, addr, sizeof(addr)));
            if (c->events.twin)
                c->events.twin(c->arg, own->addr);
        }
    } else {
        set_reason(c, "waiting whether an earlier life of node id %s at %s still runs",
                   c->config.node_id, own->addr);
    }
}

/* ---- nobody Active lives ---- */

static void on_dead_all(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    free_silences(c);
    if (c->closing)
        return;
    c->stats.failures_declared += status == 0 && (t->committed || t->unknown_pending);
    failure_settled(c, t, status, &c->dead_all.target,
                    "every Active node was silent for the window when this one started");
    c->scanned = false;
    if (status)
        set_reason(c, "%s", txn_why(t, status));
    if (status == 0 || status == KELPIE_E_REFUSED)
        scan_now(c); /* else the next heartbeat looks again */
}

/* Starts MarkDeadAll when every Active node was silent for the window. Returns true when it did. */
static bool step_dead_all(struct cluster *c)
{
    const struct known_node *target = NULL;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct silence s;
        bool silent = detector_silent(&c->detector, &k->life, &s);
        if (k->state == NODE_ACTIVE && !silent)
            return false;
        bool own = strcmp(k->life.node_id, c->config.node_id) == 0;
        if (state_hosts(k->state) && silent && !own && !target)
            target = k;
    }
    if (!target)
        return false;
    struct mark_dead_all_op *op = &c->dead_all;
    CHECK(c->state == NODE_JOINING && !membership_busy(c));
    memset(op, 0, offsetof(struct mark_dead_all_op, txn));
    op->ks = &c->config.ks;
    op->node_id = c->config.node_id;
    op->boot = c->config.boot;
    op->known_cluster_id = c->cluster_id;
    op->target = target->life;
    c->silences = collect_silent(c, false, &op->silent.count);
    op->silent.items = c->silences;
    mark_dead_all_prepare(op, c->env, on_dead_all, c);
    txn_start(&op->txn);
    return true;
}

/* ---- NodeJoin ---- */

static void became_active(struct cluster *c)
{
    CHECK(c->state == NODE_ACTIVE && c->incarnation > 0 && !c->acting);
    c->stats.joins++;
    c->left_told = false;
    c->active_since_ns = env_now_ns(c->env);
    cluster_tell(c, LOG_INFO, "active", "incarnation=%llu view=%llu",
                 (unsigned long long)c->incarnation, (unsigned long long)c->view.number);
    resume_if_able(c);
    beat_now(c);
    poll_now(c);
}

static void join_take(struct cluster *c, struct join_op *op)
{
    c->incarnation = op->incarnation;
    c->cluster_id = op->cluster_id;
    c->shards = op->shards;
    c->home = op->founded;
    c->sequence = 0;
    c->sequence_tried = 0;
    c->state = op->state;
    struct rpc_identity id = c->rpc->self;
    id.cluster_id = op->cluster_id;
    id.incarnation = op->incarnation;
    rpc_set_identity(c->rpc, &id);
    if (c->events.at_home)
        c->events.at_home(c->arg, c->home);
    cluster_tell(c, LOG_INFO, "joined", "incarnation=%llu state=%s",
                 (unsigned long long)op->incarnation, node_state_name(op->state));
    /* What it recognised may have been committed by an operation before this one, whose start was
     * earlier: then the first heartbeat brings the lease. */
    c->lease_until_ns = 0;
    if (op->txn.committed)
        lease_begin(c, op->txn.started_ns);
    if (c->state != NODE_ACTIVE)
        return;
    SOMETIMES("joined-as-founder");
    if (view_from_rows(c, &op->txn, 1, op->view_number, true)) {
        forget_self(c, "the view could not be read");
        return;
    }
    if (op->term > c->highest_term)
        c->highest_term = op->term;
    became_active(c);
    if (op->term && c->acting) {
        c->claim = op->term;
        c->majority_seen_ns = env_now_ns(c->env);
        cluster_tell(c, LOG_INFO, "primary_elected", "term=%llu", (unsigned long long)c->claim);
        if (c->events.primary_changed)
            c->events.primary_changed(c->arg, c->claim);
    }
}

static void on_join(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    if (c->closing)
        return;
    if (status == 0)
        join_take(c, &c->join);
    else
        set_reason(c, "%s", txn_why(t, status));
    if (status && c->join.other_epoch)
        tell_other_epoch(c);
    c->scanned = false;
    if (status)
        return; /* the next probe looks again */
    if (c->state == NODE_JOINING) {
        set_reason(c, "joining: waiting for a direct answer of an active node");
        beat_now(c);
    }
    scan_now(c);
}

static void join_start(struct cluster *c)
{
    struct join_op *op = &c->join;
    CHECK(c->state == NODE_LEFT && !c->acting && !membership_busy(c));
    memset(op, 0, offsetof(struct join_op, txn));
    op->ks = &c->config.ks;
    op->self = &c->self;
    op->node_id = c->config.node_id;
    op->known_incarnation = c->incarnation;
    op->new_cluster_id = random_uuid(c->env->random);
    op->known_cluster_id = c->cluster_id;
    op->home = c->home;
    join_prepare(op, c->env, on_join, c);
    txn_start(&op->txn);
}

static void tell_left(struct cluster *c)
{
    if (c->left_told)
        return;
    c->left_told = true;
    if (c->events.left)
        c->events.left(c->arg);
}

/* A life of this very process that is over for it (it gave up joining, or could not read the view)
 * but not yet in the store, is cleared away without waiting: nobody knows better that it is over. */
void step_left(struct cluster *c)
{
    if (membership_busy(c))
        return;
    if (!c->scanned) {
        if (c->leave_wanted && c->incarnation == 0)
            tell_left(c);
        return;
    }
    const struct known_node *own = known_find(c, c->config.node_id);
    bool living = own && state_is_living(own->state);
    bool failed = own && own->state == NODE_FAILED;
    bool mine = own && uuid_equal(own->life.boot, c->config.boot);
    if (c->leave_wanted && (!mine || !(living || failed) || ++c->leave_tries > LEAVE_TRIES_MAX)) {
        tell_left(c);
        return;
    }
    if (living && mine && own->life.incarnation <= c->incarnation)
        SOMETIMES("own-life-cleared-away");
    if (failed ||
        (living && mine && (own->life.incarnation <= c->incarnation || MUTANT("freshover"))))
        recover_start(c, NULL);
    else if (living && !mine && !MUTANT("pastlife"))
        step_past_life(c, own);
    else if (!living || MUTANT("pastlife")) {
        if (own && own->flagged)
            grey_back_off(c);
        join_start(c);
    }
}

/* ---- NodeJoinComplete ---- */

static bool has_answered(const struct cluster *c, const struct known_node *k)
{
    return peer_fresh(c, &k->life, timing_lease_ns(&c->config.timing));
}

static void on_complete(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct join_complete_op *op = &c->complete;
    free_silences(c);
    mem_free(c->env->mem, c->answers);
    c->answers = NULL;
    if (c->closing || c->state != NODE_JOINING || op->self.incarnation != c->incarnation)
        return;
    if (status) {
        set_reason(c, "joining: %s", txn_why(t, status));
        c->scanned = false;
        if (status == KELPIE_E_REFUSED)
            scan_now(c); /* else the next heartbeat looks again */
        return;
    }
    c->state = NODE_ACTIVE;
    if (view_from_rows(c, t, JOIN_COMPLETE_NODES, op->view_number, true)) {
        forget_self(c, "the view could not be read");
        return;
    }
    became_active(c);
    step_soon(c);
}

static void complete_start(struct cluster *c, bool flagged)
{
    struct join_complete_op *op = &c->complete;
    CHECK(c->state == NODE_JOINING && c->incarnation > 0 && !membership_busy(c));
    memset(op, 0, offsetof(struct join_complete_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    c->answers = c->node_count ? MEM_NEW_ARRAY(c->env->mem, struct silence, c->node_count) : NULL;
    for (size_t i = 0; i < c->node_count; i++)
        if (c->nodes[i].state == NODE_ACTIVE && has_answered(c, &c->nodes[i]))
            c->answers[op->answered.count++].life = c->nodes[i].life;
    op->answered.items = c->answers;
    if (flagged)
        c->silences = collect_silent(c, true, &op->silent.count);
    op->silent.items = c->silences;
    join_complete_prepare(op, c->env, on_complete, c);
    if (flagged)
        op->txn.give_up_ns = timing_lease_ns(&c->config.timing); /* the answers grow old */
    txn_start(&op->txn);
}

/* Asks some of the Active nodes, after a grey flag all: that many answers are needed then. */
static void ask_active(struct cluster *c, bool flagged)
{
    size_t pinged = 0, max = flagged ? c->node_count : PINGS_JOINING_MAX;
    uint64_t heartbeat_ns = c->config.timing.heartbeat_ms * NS_PER_MS;
    size_t start = (size_t)random_below(c->env->random, c->node_count);
    for (size_t i = 0; i < c->node_count && pinged < max; i++) {
        const struct known_node *k = &c->nodes[(start + i) % c->node_count];
        const struct peer *p = flagged ? peer_find(c, k->life.node_id) : NULL;
        bool lately = p && env_now_ns(c->env) - p->pinged_ns < heartbeat_ns;
        if (k->state == NODE_ACTIVE && !lately) {
            peer_ping(c, &k->life, k->addr);
            pinged++;
        }
    }
}

/* Of the Active nodes that must answer: how many there are, how many have. */
static void look_for_answers(const struct cluster *c, bool flagged, size_t *awake, size_t *given)
{
    struct silence s;
    *awake = 0;
    *given = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        if (k->state != NODE_ACTIVE || (flagged && detector_silent(&c->detector, &k->life, &s)))
            continue;
        *awake += 1;
        *given += has_answered(c, k);
    }
}

/* After a flag: the way to the others is not enough, for a node may dial where nobody can dial it.
 * The primary, as long as one lives, dials those that join after a flag once a heartbeat. */
static bool is_reached(const struct cluster *c)
{
    uint64_t lease_ns = timing_lease_ns(&c->config.timing);
    const struct known_node *k =
        c->primary_known && !c->primary.vacant ? known_find(c, c->primary.node_id) : NULL;
    struct silence s;
    bool lives = k && k->state == NODE_ACTIVE && uuid_equal(k->life.boot, c->primary.boot) &&
                 !detector_silent(&c->detector, &k->life, &s);
    return !lives || (c->reached_ns && env_now_ns(c->env) - c->reached_ns < lease_ns);
}

void step_joining(struct cluster *c)
{
    size_t active = 0, awake, given;
    if (c->leave_wanted && !membership_busy(c)) {
        SOMETIMES("leave-before-active");
        forget_self(c, "asked to leave before it was Active");
        return;
    }
    if (!c->scanned || membership_busy(c) || !lease_running(c))
        return;
    const struct known_node *own = known_find(c, c->config.node_id);
    bool flagged = own && own->flagged && !MUTANT("greyrejoin");
    for (size_t i = 0; i < c->node_count; i++)
        active += c->nodes[i].state == NODE_ACTIVE;
    look_for_answers(c, flagged, &awake, &given);
    bool reached = !flagged || is_reached(c);
    bool enough = flagged ? 2 * given > awake && reached : given > 0;
    bool waits = flagged && env_now_ns(c->env) < c->rejoin_from_ns;
    if (active == 0)
        SOMETIMES("join-completes-alone");
    if (active == 0 || (enough && !waits) || MUTANT("unasked")) {
        complete_start(c, flagged);
        return;
    }
    if (!MUTANT("nodeadall") && step_dead_all(c))
        return;
    ask_active(c, flagged);
    SOMETIMES("join-unanswered-yet");
    if (waits && enough)
        SOMETIMES("return-waits");
    if (!reached)
        set_reason(c,
                   "joining after a grey failure: the primary has not reached this node directly");
    else if (flagged)
        set_reason(c,
                   "joining after a grey failure: %zu of %zu active nodes have answered directly, "
                   "more than half must%s",
                   given, awake, waits ? ", not before a while is over" : "");
    else
        set_reason(c, "joining: none of %zu active nodes has answered directly yet", active);
}
