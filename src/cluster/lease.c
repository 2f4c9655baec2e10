/* Heartbeats and probes, the lease they carry, and what happens when it ends. */
#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

bool lease_running(const struct cluster *c)
{
    return env_now_ns(c->env) < c->lease_until_ns;
}

static void lease_extend(struct cluster *c, uint64_t until_ns)
{
    uint64_t now = env_now_ns(c->env);
    if (until_ns > c->lease_until_ns)
        c->lease_until_ns = until_ns;
    if (c->lease_until_ns > now)
        timer_start(&c->lease_timer, c->lease_until_ns - now);
}

void lease_begin(struct cluster *c, uint64_t from_ns)
{
    CHECK(from_ns <= env_now_ns(c->env));
    c->lease_until_ns = 0;
    lease_extend(c, from_ns + timing_lease_ns(&c->config.timing));
}

void clear_claim(struct cluster *c)
{
    if (c->claim == 0)
        return;
    SOMETIMES("primary-resigns");
    cluster_tell(c, LOG_INFO, "primary_resigned", "term=%llu", (unsigned long long)c->claim);
    c->claim = 0;
    if (c->events.primary_changed)
        c->events.primary_changed(c->arg, 0);
}

/* Spec Notice: the claim and all that runs is given up; the store is told nothing. */
void suspend(struct cluster *c, const char *why)
{
    if (!c->acting)
        return;
    SOMETIMES("lease-lapsed");
    c->acting = false;
    c->stats.suspends++;
    grey_clear(c);
    set_reason(c, "%s", why);
    if (!MUTANT("keepclaim"))
        clear_claim(c);
    char quoted[WHY_QUOTED_SIZE];
    cluster_tell(c, LOG_WARN, "suspended", "reason=%s", quote_why(why, quoted));
    if (c->events.suspend)
        c->events.suspend(c->arg);
}

void resume_if_able(struct cluster *c)
{
    if (c->acting || !state_hosts(c->state) || !lease_running(c))
        return;
    CHECK(c->incarnation > 0);
    SOMETIMES("resumed");
    c->acting = true;
    c->reason[0] = '\0';
    cluster_tell(c, LOG_INFO, "resumed", "state=%s incarnation=%llu view=%llu",
                 node_state_name(c->state), (unsigned long long)c->incarnation,
                 (unsigned long long)c->view.number);
    if (c->events.resume)
        c->events.resume(c->arg);
    if (c->state == NODE_LEAVING && !c->drained && c->events.drain)
        c->events.drain(c->arg);
}

bool cluster_may_act(struct cluster *c)
{
    if (c->acting && !lease_running(c) && !MUTANT("lapse"))
        suspend(c, "the lease ran out");
    return c->acting;
}

bool cluster_may_host(struct cluster *c)
{
    return cluster_may_act(c) && c->state == NODE_ACTIVE;
}

uint64_t cluster_lease_left_ns(const struct cluster *c)
{
    uint64_t now = env_now_ns(c->env);
    return now < c->lease_until_ns ? c->lease_until_ns - now : 0;
}

/* This life is over (spec: SendHeartbeat of a node that is not current): everything is forgotten,
 * and the process starts over as a new incarnation. */
void forget_self(struct cluster *c, const char *why)
{
    if (c->state == NODE_LEFT)
        return;
    SOMETIMES("life-forgotten");
    char quoted[WHY_QUOTED_SIZE];
    cluster_tell(c, LOG_WARN, "life_ended", "incarnation=%llu reason=%s",
                 (unsigned long long)c->incarnation, quote_why(why, quoted));
    c->lease_until_ns = 0;
    timer_stop(&c->lease_timer);
    suspend(c, why);
    clear_claim(c);
    set_reason(c, "%s", why);
    c->state = NODE_LEFT;
    waiting_begin(c);
    c->sequence = 0;
    c->sequence_tried = 0;
    c->drained = false;
    view_clear(&c->view, c->env->mem);
    c->scanned = false;
    beat_now(c);
}

/* Numbers and ids that this process remembers may come again and mean something else: it should end,
 * and another one begin with nothing. */
void tell_other_epoch(struct cluster *c)
{
    if (c->epoch_told)
        return;
    c->epoch_told = true;
    cluster_tell(c, LOG_WARN, "other_epoch", "incarnation=%llu",
                 (unsigned long long)c->incarnation);
    if (c->events.other_epoch)
        c->events.other_epoch(c->arg);
}

static void heartbeat_take(struct cluster *c, struct heartbeat_op *op)
{
    uint64_t now = env_now_ns(c->env);
    uint64_t until = op->txn.started_ns + timing_lease_ns(&c->config.timing);
    bool lapsed = now >= c->lease_until_ns;
    c->sequence = op->sequence;
    c->stats.heartbeats++;
    if (MUTANT("answertime"))
        until = now + timing_lease_ns(&c->config.timing);
    c->stats.heartbeat_retries += op->txn.attempts - 1;
    if (!op->revives) {
        if (!lapsed || MUTANT("lapsed"))
            lease_extend(c, until);
        else
            SOMETIMES("heartbeat-answered-after-the-lapse");
        return;
    }
    /* While a leave is under way its outcome decides which view is right. */
    if (now >= until || txn_active(&c->leave.txn)) {
        SOMETIMES("reviving-heartbeat-too-late");
        return;
    }
    SOMETIMES("lease-revived");
    if (state_hosts(c->state) && op->view_number > c->view.number && !MUTANT("oldview")) {
        SOMETIMES("revived-with-a-newer-view");
        CHECK(op->nodes_read); /* the view held has not become an older one */
        if (view_from_rows(c, &op->txn, op->nodes_read, op->view_number, false))
            return;
    }
    lease_extend(c, until);
    resume_if_able(c);
}

static void on_heartbeat(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct heartbeat_op *op = &c->heartbeat;
    if (c->closing)
        return;
    bool same_life = c->state != NODE_LEFT && op->self.incarnation == c->incarnation;
    if (status == 0 && same_life) {
        detector_cover(&c->detector, env_now_ns(c->env));
        if (op->healed)
            report_corrupt(c, t, KELPIE_E_STORE_CORRUPT);
        heartbeat_take(c, op);
    } else if (same_life && op->not_current) {
        forget_self(c, t->reason);
        if (op->other_epoch)
            tell_other_epoch(c);
    } else if (status && same_life) {
        set_reason(c, "%s", txn_why(t, status));
        report_corrupt(c, t, status);
    }
    beat_schedule(c);
    if (state_hosts(c->state) && !MUTANT("watchonly"))
        poll_now(c);
    if (c->state != NODE_ACTIVE || c->claim || c->force.active || c->untold_count ||
        missing_wants_scan(c))
        scan_now(c);
    if (c->claim)
        primary_beat(c);
    else
        grey_ping(c);
    step_soon(c);
}

/* Each operation takes a number of its own: the lease runs from its first attempt, so a number whose
 * commit may still land must not be taken up again by a later operation. */
static void heartbeat_start(struct cluster *c)
{
    struct heartbeat_op *op = &c->heartbeat;
    (void)cluster_may_act(c); /* a lapse is noticed before it is repaired */
    memset(op, 0, offsetof(struct heartbeat_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->sequence = ++c->sequence_tried;
    op->cluster_id = c->cluster_id;
    op->ack = c->view.number + (MUTANT("earlyack") ? 1 : 0);
    op->load = c->events.load ? c->events.load(c->arg) : 0;
    op->wall_ms = clock_wall_ms(c->env->clock);
    op->unreachable = c->unreachable;
    op->unreachable_count = grey_unreachable(c);
    op->held = c->view.number;
    op->revives = !lease_running(c) || (state_hosts(c->state) && !c->acting);
    heartbeat_prepare(op, c->env, on_heartbeat, c);
    op->txn.backoff_max_ns = c->config.timing.heartbeat_ms * NS_PER_MS / 2;
    txn_start(&op->txn);
}

static void on_probe(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    if (c->closing)
        return;
    if (status == 0) {
        c->probe_sequence = c->probe.sequence;
        detector_cover(&c->detector, env_now_ns(c->env));
    } else {
        set_reason(c, "%s", txn_why(t, status));
        report_corrupt(c, t, status);
    }
    beat_schedule(c);
    if (c->state == NODE_LEFT)
        scan_now(c);
    step_soon(c);
}

static void probe_start(struct cluster *c)
{
    struct probe_op *op = &c->probe;
    memset(op, 0, offsetof(struct probe_op, txn));
    op->ks = &c->config.ks;
    op->node_id = c->config.node_id;
    op->boot = c->config.boot;
    op->sequence = c->probe_sequence + 1;
    probe_prepare(op, c->env, on_probe, c);
    op->txn.backoff_max_ns = c->config.timing.heartbeat_ms * NS_PER_MS / 2;
    txn_start(&op->txn);
}

/* The earliest moment at which a window that this node waits for ends, 0 when there is none ahead:
 * one extra heartbeat then covers it. */
static uint64_t next_window_end(const struct cluster *c, uint64_t now)
{
    uint64_t best = 0;
    if (state_hosts(c->state) && !c->claim && !c->force.active) {
        if (primary_held_by_other(c))
            best = detector_window_end_ns(&c->detector, c->primary.node_id);
        return best > now ? best : 0;
    }
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        if (!state_is_living(k->state))
            continue;
        uint64_t end = detector_window_end_ns(&c->detector, k->life.node_id);
        if (end > now && (best == 0 || end < best))
            best = end;
    }
    return best;
}

/* The next heartbeat: one interval after the last began, or when a window ends. */
void beat_schedule(struct cluster *c)
{
    uint64_t now = env_now_ns(c->env);
    uint64_t due = c->beat_started_ns + c->config.timing.heartbeat_ms * NS_PER_MS;
    uint64_t window_end = next_window_end(c, now);
    if (window_end && window_end < due)
        due = window_end;
    if (state_hosts(c->state) && !c->acting && !c->heartbeat.revives)
        due = now; /* the one that revives the lease */
    timer_start(&c->beat_timer, due > now ? due - now : 0);
}

/* One heartbeat, or one probe, is under way at a time; the next waits for it. */
void beat_now(struct cluster *c)
{
    if (c->closing || !c->started || txn_active(&c->heartbeat.txn) || txn_active(&c->probe.txn))
        return;
    timer_stop(&c->beat_timer);
    c->beat_started_ns = env_now_ns(c->env);
    c->beats++;
    if (c->state == NODE_LEFT)
        probe_start(c);
    else
        heartbeat_start(c);
}
