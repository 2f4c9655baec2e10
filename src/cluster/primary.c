/* Being a candidate, being primary: ElectPrimary, PrimaryStepDown, MarkNodeFailed, Forget. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

/* As far as this node knows, somebody else is primary: named, and in the view it holds. */
bool primary_held_by_other(const struct cluster *c)
{
    if (!c->primary_known || c->primary.vacant ||
        (strcmp(c->primary.node_id, c->config.node_id) == 0 && !MUTANT("unclaimed")))
        return false;
    const struct member *m = view_find(&c->view, c->primary.node_id);
    return m && m->incarnation == c->primary.incarnation && uuid_equal(m->boot, c->primary.boot);
}

static struct life primary_life(const struct cluster *c)
{
    struct life l = {.incarnation = c->primary.incarnation, .boot = c->primary.boot};
    memcpy(l.node_id, c->primary.node_id, sizeof(l.node_id));
    return l;
}

bool primary_lives(const struct cluster *c)
{
    struct life life = primary_life(c);
    struct silence silent;
    return c->claim != 0 ||
           (primary_held_by_other(c) && !detector_silent(&c->detector, &life, &silent));
}

static struct life member_life(const struct member *m)
{
    struct life l = {.incarnation = m->incarnation, .boot = m->boot};
    memcpy(l.node_id, m->node_id, sizeof(l.node_id));
    return l;
}

static void ping_members(struct cluster *c)
{
    for (size_t i = 0; i < c->view.count; i++) {
        const struct member *m = &c->view.members[i];
        struct life life = member_life(m);
        if (strcmp(m->node_id, c->config.node_id) != 0)
            peer_ping(c, &life, m->addr);
    }
}

/* ---- election ---- */

static void free_elect(struct cluster *c)
{
    mem_free(c->env->mem, c->elect_silences);
    mem_free(c->env->mem, c->elect_reached);
    c->elect_silences = NULL;
    c->elect_reached = NULL;
}

/* A candidate that lost or was refused waits about half a heartbeat before it tries again. */
static void elect_back_off(struct cluster *c)
{
    uint64_t beat_ns = c->config.timing.heartbeat_ms * NS_PER_MS;
    c->elect_phase = ELECT_BACKOFF;
    timer_start(&c->elect_timer, beat_ns / 4 + random_below(c->env->random, beat_ns / 2));
}

static void step_down(struct cluster *c, uint64_t term);

/* Stored as primary without claiming, and no majority for a lease: it resigns too (spec: RESIGNED),
 * else the operator's way out stays shut while this node is alive. */
static bool unclaimed_step_down(struct cluster *c)
{
    const struct primary_record *p = &c->primary;
    if (!c->primary_known || p->vacant || c->claim || c->state != NODE_ACTIVE ||
        strcmp(p->node_id, c->config.node_id) != 0 || p->incarnation != c->incarnation ||
        !uuid_equal(p->boot, c->config.boot) || c->elect.voters == 0 ||
        2 * c->elect.votes > c->elect.voters ||
        env_now_ns(c->env) - c->majority_seen_ns < timing_lease_ns(&c->config.timing))
        return false;
    SOMETIMES("unclaimed-primary-steps-down");
    step_down(c, p->term);
    return true;
}

static void on_elect(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct elect_op *op = &c->elect;
    free_elect(c);
    if (c->closing)
        return;
    failure_settled(c, t, status, &op->failed,
                    "it was primary and silent for the window: another is elected");
    if (status) {
        set_reason(c, "%s", txn_why(t, status));
        elect_back_off(c);
        if (!unclaimed_step_down(c))
            poll_now(c);
        return;
    }
    if (op->term > c->highest_term)
        c->highest_term = op->term;
    if (c->state != NODE_ACTIVE || op->self.incarnation != c->incarnation ||
        txn_active(&c->leave.txn) || (!cluster_may_act(c) && !MUTANT("lateclaim"))) {
        SOMETIMES("elected-too-late");
        return;
    }
    c->claim = op->term;
    c->stats.elections_won++;
    c->majority_seen_ns = env_now_ns(c->env);
    c->reason[0] = '\0';
    for (struct map_node *n = map_first(&c->peers); n; n = map_next(n)) {
        MAP_ENTRY(n, struct peer, node)->failed_since_ns = 0;
        grey_begin_term(MAP_ENTRY(n, struct peer, node));
    }
    cluster_tell(c, LOG_INFO, "primary_elected", "term=%llu votes=%zu voters=%zu",
                 (unsigned long long)op->term, op->votes, op->voters);
    if (c->events.primary_changed)
        c->events.primary_changed(c->arg, c->claim);
    poll_now(c);
    scan_now(c);
}

/* Answers count while they and the election together fit in a lease. */
static uint64_t elect_age_ns(const struct cluster *c)
{
    return timing_lease_ns(&c->config.timing) * (MUTANT("oldanswer") ? 8 : 1) / 2;
}

static size_t collect_reached(struct cluster *c)
{
    size_t count = 0;
    c->elect_reached = MEM_NEW_ARRAY(c->env->mem, struct silence, c->view.count);
    for (size_t i = 0; i < c->view.count; i++) {
        struct life life = member_life(&c->view.members[i]);
        if (!peer_fresh(c, &life, elect_age_ns(c)))
            continue;
        c->elect_reached[count].life = life;
        c->elect_reached[count++].counter = peer_find(c, life.node_id)->counter;
    }
    return count;
}

static void elect_start(struct cluster *c, const struct silence *old)
{
    struct elect_op *op = &c->elect;
    CHECK(c->state == NODE_ACTIVE && c->claim == 0 && !txn_active(&op->txn));
    memset(op, 0, offsetof(struct elect_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->known_term = c->highest_term;
    if (old) {
        c->elect_silences = mem_dup(c->env->mem, old, sizeof(*old));
        op->silent = (struct silences){.items = c->elect_silences, .count = 1};
    }
    op->reached.count = collect_reached(c);
    op->reached.items = c->elect_reached;
    c->stats.elections_tried++;
    elect_prepare(op, c->env, on_elect, c);
    op->txn.give_up_ns = elect_age_ns(c);
    txn_start(&op->txn);
}

/* How many members of the view come before this node; the old primary apart. */
static size_t rank(const struct cluster *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->view.count; i++) {
        if (strcmp(c->view.members[i].node_id, c->config.node_id) == 0)
            break;
        if (strcmp(c->view.members[i].node_id, c->primary.node_id) != 0)
            n++;
    }
    return n;
}

/* How many members have answered lately, this node among them. */
static size_t count_fresh(const struct cluster *c)
{
    size_t fresh = 1;
    for (size_t i = 0; i < c->view.count; i++) {
        struct life m = member_life(&c->view.members[i]);
        fresh += peer_fresh(c, &m, elect_age_ns(c));
    }
    return fresh;
}

/* Whether it is time to try. A majority of the members it knows is not yet one of the voters, among
 * whom are Failed nodes: so the answers of all are waited for, though not for long. */
static bool elect_ripe(const struct cluster *c, bool held)
{
    size_t fresh = count_fresh(c), all = c->view.count - (held ? 1 : 0);
    if (c->elect_phase == ELECT_ASKED && 2 * fresh > c->view.count)
        return true;
    return fresh >= all || c->pings_outstanding == 0;
}

/* When its turn has come the candidate asks everybody, and tries when enough have answered: the rule
 * counts the voters. Not before its turn: most elections are over by then, and all asking all is the
 * square of the nodes. */
static void step_candidate(struct cluster *c)
{
    struct silence old;
    struct life life = primary_life(c);
    bool held = primary_held_by_other(c);
    bool silent = held && detector_silent(&c->detector, &life, &old);
    if (!c->primary_known || (held && !silent)) {
        if (c->elect_phase != ELECT_BACKOFF)
            c->elect_phase = ELECT_IDLE;
        return;
    }
    if (c->elect_phase == ELECT_IDLE) {
        c->elect_phase = ELECT_RANKED;
        timer_start(&c->elect_timer, rank(c) * ELECT_RANK_DELAY_MS * NS_PER_MS +
                                         random_below(c->env->random, 5 * NS_PER_MS));
    }
    if (c->elect_phase == ELECT_DUE) {
        c->elect_phase = ELECT_ASKING;
        timer_start(&c->elect_timer, ELECT_ANSWERS_MS * NS_PER_MS);
        ping_members(c);
    }
    if ((c->elect_phase != ELECT_ASKING && c->elect_phase != ELECT_ASKED) || !elect_ripe(c, held))
        return;
    c->elect_phase = ELECT_IDLE;
    elect_start(c, silent ? &old : NULL);
}

/* ---- the primary's work ---- */

static void on_step_down(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    (void)status;
    if (!c->closing)
        poll_now(c);
}

static void step_down(struct cluster *c, uint64_t term)
{
    struct step_down_op *op = &c->step_down;
    if (txn_active(&op->txn))
        return;
    CHECK(term > 0);
    memset(op, 0, offsetof(struct step_down_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->term = term;
    c->stats.step_downs++;
    c->stepped_down = true;
    cluster_tell(c, LOG_WARN, "primary_steps_down",
                 "term=%llu reason=\"no majority reached for a lease\"", (unsigned long long)term);
    clear_claim(c);
    elect_back_off(c);
    step_down_prepare(op, c->env, on_step_down, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
    txn_start(&op->txn);
}

bool majority_reached(const struct cluster *c)
{
    size_t voters = c->nodes_unread, reached = 0;
    uint64_t lease_ns = timing_lease_ns(&c->config.timing);
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        if (!state_is_voter(k->state))
            continue;
        voters++;
        bool own = strcmp(k->life.node_id, c->config.node_id) == 0;
        if (k->state == NODE_ACTIVE && !k->flagged && (own || peer_fresh(c, &k->life, lease_ns)))
            reached++;
    }
    return 2 * reached > voters;
}

/* Who joins after a flag hears by that that others get to it, and not only it to them. */
static void ping_flagged(struct cluster *c)
{
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        if (k->state == NODE_JOINING && k->flagged)
            peer_ping(c, &k->life, k->addr);
    }
}

void primary_beat(struct cluster *c)
{
    uint64_t now = env_now_ns(c->env);
    CHECK(c->claim > 0 && c->state == NODE_ACTIVE);
    ping_members(c);
    ping_flagged(c);
    if (!c->scanned || majority_reached(c))
        c->majority_seen_ns = now;
    else if (now - c->majority_seen_ns >= timing_lease_ns(&c->config.timing) &&
             !MUTANT("nostepdown")) {
        SOMETIMES("primary-without-majority");
        step_down(c, c->claim);
    }
}

static void on_mark_failed(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    if (c->closing)
        return;
    c->stats.failures_declared += status == 0 && (t->committed || t->unknown_pending);
    failure_settled(c, t, status, &c->mark_failed.target.life,
                    "silent for the window, as the primary saw");
    if (status && status != KELPIE_E_REFUSED)
        return; /* the next heartbeat looks again */
    poll_now(c);
    scan_now(c);
}

static bool mark_failed(struct cluster *c)
{
    struct mark_failed_op *op = &c->mark_failed;
    struct silence silent;
    if (txn_active(&op->txn))
        return true;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        if (!state_is_living(k->state) || strcmp(k->life.node_id, c->config.node_id) == 0 ||
            !detector_silent(&c->detector, &k->life, &silent))
            continue;
        memset(op, 0, offsetof(struct mark_failed_op, txn));
        op->ks = &c->config.ks;
        op->self = self_life(c);
        op->term = c->claim;
        op->target = silent;
        mark_failed_prepare(op, c->env, on_mark_failed, c);
        op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
        txn_start(&op->txn);
        return true;
    }
    return false;
}

static void on_forget(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    cluster_op_fn *done = c->forget_done;
    mem_free(c->env->mem, c->forget_silences);
    c->forget_silences = NULL;
    c->forget_done = NULL;
    if (status == 0 && t->committed)
        tell_forgotten(c, c->forget.target.node_id,
                       done ? "an operator asked: forget" : "failed for longer than forget_after");
    if (done)
        done(c->forget_arg, status, txn_why(t, status));
    if (!c->closing && status == 0)
        scan_now(c); /* else the next heartbeat looks again */
}

static void forget_start(struct cluster *c, const struct life *target)
{
    struct forget_op *op = &c->forget;
    memset(op, 0, offsetof(struct forget_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->term = c->claim;
    op->target = *target;
    c->forget_silences = collect_silent(c, true, &op->silent.count);
    op->silent.items = c->forget_silences;
    forget_prepare(op, c->env, on_forget, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
    txn_start(&op->txn);
}

/* Failed nodes are struck off `forget_after` after this primary first read them so. */
static void forget_old(struct cluster *c)
{
    uint64_t now = env_now_ns(c->env);
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct peer *p = peer_get(c, &k->life);
        if (k->state != NODE_FAILED) {
            p->failed_since_ns = 0;
            continue;
        }
        if (p->failed_since_ns == 0)
            p->failed_since_ns = now;
        if (now - p->failed_since_ns >= c->config.timing.forget_after_ms * NS_PER_MS &&
            !txn_active(&c->forget.txn)) {
            SOMETIMES("forget-by-age");
            forget_start(c, &k->life);
        }
    }
}

static void on_trim(struct txn *t, int status)
{
    (void)t;
    (void)status;
}

static void trim(struct cluster *c)
{
    struct trim_op *op = &c->trim;
    if (c->beats - c->trimmed_at_beat < TRIM_INTERVAL_BEATS || txn_active(&op->txn))
        return;
    c->trimmed_at_beat = c->beats;
    memset(op, 0, offsetof(struct trim_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->term = c->claim;
    trim_prepare(op, c->env, on_trim, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
    txn_start(&op->txn);
}

void step_active(struct cluster *c)
{
    if (!cluster_may_act(c))
        return;
    /* An election that may still succeed would bring a claim after the leave gave it up. */
    if (c->leave_wanted && !membership_busy(c) && !txn_active(&c->elect.txn)) {
        leave_start(c);
        return;
    }
    if (c->claim == 0) {
        if (!txn_active(&c->elect.txn) && !txn_active(&c->leave.txn))
            step_candidate(c);
        return;
    }
    if (!c->scanned || mark_failed(c))
        return;
    forget_old(c);
    sweep_left(c);
    trim(c);
}

void cluster_forget(struct cluster *c, const char *node_id, bool force, cluster_op_fn *done,
                    void *arg)
{
    const struct known_node *k = known_find(c, node_id);
    if (strlen(node_id) - 1 >= NODE_ID_MAX) {
        done(arg, KELPIE_E_NOT_FOUND, "there is no node of that id");
        return;
    }
    if (force) {
        if (c->force.active) {
            done(arg, KELPIE_E_REFUSED, "another forced forget is under way");
            return;
        }
        force_forget_begin(c, node_id, done, arg);
        return;
    }
    if (c->claim == 0 || !cluster_may_act(c))
        done(arg, KELPIE_E_REFUSED, "this node is not the primary");
    else if (!k || !c->scanned)
        done(arg, KELPIE_E_NOT_FOUND, "there is no node of that id");
    else if (txn_active(&c->forget.txn))
        done(arg, KELPIE_E_REFUSED, "another forget is under way: try again");
    else {
        SOMETIMES("forget-asked");
        c->forget_done = done;
        c->forget_arg = arg;
        forget_start(c, &k->life);
    }
}
