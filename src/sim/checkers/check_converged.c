#include <stdio.h>

#include "sim/workload/sim_workload.h"
#include "sim/world/sim_host_link.h"

/* EventualMembershipConvergence: what must be so at the end, once faults have stopped. */

static bool node_converged(struct world *w, unsigned n, char *why, size_t why_size)
{
    const struct host *h = &w->hosts->host[n];
    const struct shadow_node *row = &w->shadow->nodes[n];
    const struct process *p = h->process[0] ? h->process[0] : h->process[1];

    if (!p || !process_node(p)) {
        (void)snprintf(why, why_size, "%s has no process", h->id);
        return false;
    }
    if (h->process[0] && h->process[1]) {
        (void)snprintf(why, why_size, "%s has two processes", h->id);
        return false;
    }
    const struct cluster *c = node_cluster(process_node(p));
    if (cluster_state(c) != NODE_ACTIVE || row->rec.state != NODE_ACTIVE ||
        !uuid_equal(row->rec.boot, p->boot)) {
        (void)snprintf(why, why_size, "%s is %s, in the store %s%s: %s", h->id,
                       node_state_name(cluster_state(c)), node_state_name(row->rec.state),
                       uuid_equal(row->rec.boot, p->boot) ? "" : " as another life",
                       cluster_reason(c));
        return false;
    }
    if (cluster_lease_left_ns(c) == 0 || cluster_view(c)->number != w->shadow->view.number) {
        (void)snprintf(why, why_size, "%s holds view %llu of %llu, lease %s", h->id,
                       (unsigned long long)cluster_view(c)->number,
                       (unsigned long long)w->shadow->view.number,
                       cluster_lease_left_ns(c) ? "running" : "lapsed");
        return false;
    }
    if (cluster_misses(c)) {
        (void)snprintf(why, why_size, "%s says that a primary or a majority is missing", h->id);
        return false;
    }
    return true;
}

/* What its health page would say. */
static bool node_is_ready(const struct host *h, char *why, size_t why_size)
{
    struct process *p = h->process[0] ? h->process[0] : h->process[1];
    struct cluster *c = node_cluster(process_node(p));
    struct health_report report;
    char said[3 * HEALTH_WHY_SIZE];

    process_enter(p, PROCESS_ORDER, 4);
    cluster_health(c, &report);
    process_leave(p);
    if (!health_ready(&report, true, timing_window_ns(&h->w->config.timing), said, sizeof said) ||
        said[0]) {
        (void)snprintf(why, why_size, "%s is not ready: %.200s", h->id, said);
        return false;
    }
    return true;
}

/* Whoever says of another that it cannot reach it may yet have it flagged: that is of the faults that were. */
static const char *accused_by(const struct shadow_node *n)
{
    bool counts = n->there && n->rec.state == NODE_ACTIVE && n->heartbeat.unreachable_count > 0 &&
                  uuid_equal(n->heartbeat.boot, n->rec.boot);

    return counts ? n->heartbeat.unreachable[0].node_id : NULL;
}

bool hosts_converged(struct world *w, char *why, size_t why_size)
{
    unsigned living = 0, primaries = 0;

    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct host *h = &w->hosts->host[n];
        if (h->gone && host_is_voter(h)) {
            (void)snprintf(why, why_size, "%s is gone for good and still a voter", h->id);
            return false;
        }
        if ((h->dead || h->gone) && w->shadow->nodes[n].rec.state == NODE_LEAVING) {
            (void)snprintf(why, why_size, "%s is dead, and its placements hold: it is Leaving",
                           h->id);
            return false;
        }
        if (h->dead || h->out || h->gone)
            continue;
        living++;
        const char *accused = accused_by(&w->shadow->nodes[n]);
        if (accused) {
            (void)snprintf(why, why_size, "%s says that it cannot reach %s", h->id, accused);
            return false;
        }
        if (!node_converged(w, n, why, why_size) || !node_is_ready(h, why, why_size))
            return false;
        const struct process *p = h->process[0] ? h->process[0] : h->process[1];
        const struct cluster *c = node_cluster(process_node(p));
        primaries += cluster_claim(c) > 0 && cluster_claim(c) == w->shadow->primary.term &&
                     !w->shadow->primary.vacant && strcmp(w->shadow->primary.node_id, h->id) == 0;
    }
    if (coverage_phases(w) >> PHASE_MIGRATION & 1u) {
        (void)snprintf(why, why_size, "an actor is still being handed over");
        return false;
    }
    if (w->shadow->view.count != living) {
        (void)snprintf(why, why_size, "the view has %llu members, %u nodes live",
                       (unsigned long long)w->shadow->view.count, living);
        return false;
    }
    if (primaries != 1) {
        (void)snprintf(why, why_size, "the stored primary is %s of term %llu, and does not act",
                       w->shadow->primary.vacant ? "vacant" : w->shadow->primary.node_id,
                       (unsigned long long)w->shadow->primary.term);
        return false;
    }
    return true;
}

/* ---- did the checkers have anything to do? */

/* The counters' type comes and goes: in the calm it may be hosted nowhere, so that nobody answers for one. */
static bool goes(const struct world *w)
{
    return w->config.types_ms > 0;
}

static bool had_to_compare(const struct world *w, enum check c)
{
    switch (c) {
    case CHECK_SPLIT_BRAIN:
        return sim_founders(&w->config) > 1;
    case CHECK_LEAVE_DETECTION:
        return w->shadow->left > 2; /* who beats may be dead, or late, once or twice */
    case CHECK_MAJORITY:
        return w->shadow->elections > 0;
    case CHECK_SINGLE_ACTIVATION:
    case CHECK_PLACED:
    case CHECK_BY_NODE:
        return w->shadow->placements > 0;
    case CHECK_STALE_WRITE:
    case CHECK_APPLIED_ONCE:
    case CHECK_APPLIED:
        return workload_stats(w)->acknowledged_adds > 0;
    case CHECK_DURABLE:
        return w->config.actors > 0 && w->config.remembered == 0 && !goes(w);
    case CHECK_WRITES:
        return w->config.actors > 0 && !goes(w);
    case CHECK_REPLIES:
    case CHECK_ANSWERS:
        return w->config.actors > 0;
    case CHECK_LINEARIZABLE:
        return w->checks->histories > w->checks->histories_open;
    case CHECK_COMPLETION:
        return true;
    case CHECK_USERS:
        return w->config.users_source != NULL;
    case CHECK_TWIN_ENDS:
    case CHECK_COVERAGE:
    case CHECK_RESUMES:
    case CHECK_REACH:
    case CHECK_IN_TERM:
    case CHECK_ORDERS:
    case CHECK_FAILED_IS_OVER:
    case CHECK_STATE_IS_WHOLE:
    case CHECK_LEASE_KEPT:
    case CHECK_LEAVE:      /* a lone node's life is no leave that others see */
    case CHECK_FRESH_LIFE: /* hardly any is in doubt */
    case CHECK_DAMAGE:
    case CHECK_FAILED_NAMED:
    case CHECK_FAILURES_TOLD:
    case CHECK_LOSS_TRUE:
    case CHECK_LOSS_TOLD:
    case CHECK_OLD_LIFE:
    case CHECK_WRONGED:
    case CHECK_GREY_FAULT:
    case CHECK_GREY_ONE:
    case CHECK_GREY_MAJORITY:
    case CHECK_GREY_OUT:
    case CHECK_GREY_RETURN:
    case CHECK_DIALS: /* who is alone dials nobody */
    case CHECK_STRANGERS:
    case CHECK_CHAINS:
    case CHECK_MESSAGE_ONCE:
    case CHECK_ORDER_KEPT:
    case CHECK_PERIODS:
    case CHECK_AGES:
    case CHECK_LEAVES_EARLY:
    case CHECK_FOUNDS_ONCE:
    case CHECK_FORGETS:
    case CHECK_TYPES_PACE:
    case CHECK_DEATHS:
    case CHECK_INNOCENT:
    case CHECK_FORGIVEN:
        return false;
    case CHECK_HOSTED:
        return w->config.types_ms > 0 && w->shadow->placements > 0;
    case CHECK_TYPES:
    case CHECK_TYPES_APART:
        return w->config.types_ms > 0;
    default:
        return true;
    }
}

void checks_finish(struct world *w)
{
    for (unsigned c = 0; c < CHECK_COUNT && !w->stop; c++)
        if (w->checks->compared[c] == 0 && had_to_compare(w, (enum check)c))
            world_violation(w, check_name((enum check)c), "this checker compared nothing");
}
