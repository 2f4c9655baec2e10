/*
 * What the specification has no invariant for, since nothing there goes wrong without it: that nobody
 * is failed needlessly, and that a primary acts in its term and has a majority.
 */
#include "sim/checkers/checks.h"
#include "sim/faults/sim_restore.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

static bool is_voter(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING || s == NODE_FAILED;
}

static bool recent(uint64_t at_ns, uint64_t now_ns, uint64_t within_ns)
{
    return at_ns > 0 && at_ns + within_ns >= now_ns;
}

void check_beat(struct shadow *s, unsigned n, struct uuid boot)
{
    struct shadow_node *node = &s->nodes[n];
    uint64_t now = s->w->now_ns, lease = timing_lease_ns(&s->w->config.timing);

    if (!uuid_equal(node->beat_boot, boot))
        node->gap_end_ns = 0;
    else if (now - node->beat_ns > 2 * lease + lease / 2)
        node->gap_end_ns = now;
    node->beat_boot = boot;
    node->beat_ns = now;
}

/* The window counts only while the observer itself commits: after a long gap it begins anew. What an
 * Active node decided before its lease ended, it gives up a lease later: not beyond such a gap. But
 * ForceForget, by whoever is no primary, needs no lease: it may be decided within the gap, by a window
 * before it. */
static void check_coverage(struct shadow *s, const struct shadow_change *c, unsigned failed)
{
    const struct commit_seen *by = c->seen;
    bool primary = !c->old_primary.vacant && uuid_equal(c->old_primary.boot, by->boot);
    const struct shadow_node *node = &s->nodes[by->node];
    uint64_t window = timing_window_ns(&s->w->config.timing);

    if ((!primary && !c->term) || node->gap_end_ns == 0 || by->sent_ns < node->gap_end_ns ||
        node->rec.state != NODE_ACTIVE || !uuid_equal(node->rec.boot, by->boot) ||
        !uuid_equal(node->beat_boot, by->boot))
        return;
    COMPARE(s->w, CHECK_COVERAGE, s->w->now_ns - node->gap_end_ns >= window / 2,
            "n%u failed n%u %llu ms after a gap in its own commits of more than two leases",
            by->node + 1, failed + 1,
            (unsigned long long)((s->w->now_ns - node->gap_end_ns) / NS_PER_MS));
}

/* An Active node fails or forgets others as primary, by election, or when there is no primary. */
static void check_in_term(struct shadow *s, const struct shadow_change *c, unsigned n)
{
    const struct commit_seen *by = c->seen;
    const struct primary_record *primary = &c->old_primary;
    int q = primary->vacant ? -1 : shadow_node_number(primary->node_id);
    uint64_t lease = timing_lease_ns(&s->w->config.timing);

    if (c->primary || c->before[by->node] != NODE_ACTIVE ||
        !uuid_equal(s->nodes[by->node].rec.boot, by->boot))
        return;
    if (q < 0 || c->before[q] != NODE_ACTIVE || !uuid_equal(s->nodes[q].rec.boot, primary->boot) ||
        !recent(s->nodes[q].heartbeat_ns, s->w->now_ns, lease))
        return;
    COMPARE(s->w, CHECK_IN_TERM, (unsigned)q == by->node,
            "n%u made n%u %s, but n%d is primary of term %llu", by->node + 1, n + 1,
            node_state_name(s->nodes[n].rec.state), q + 1, (unsigned long long)primary->term);
}

/* A life is failed when its lease is over, or its process. */
static void check_is_over(struct shadow *s, const struct commit_seen *by, unsigned failed)
{
    const struct node_record *rec = &s->nodes[failed].rec;

    LIST_FOREACH(it, &s->w->processes)
    {
        const struct process *p = LIST_ENTRY(it, struct process, link);
        struct node *node = process_node(p);
        if (!node || !uuid_equal(p->boot, rec->boot) ||
            cluster_incarnation(node_cluster(node)) != rec->incarnation)
            continue;
        COMPARE(s->w, CHECK_FAILED_IS_OVER, cluster_lease_left_ns(node_cluster(node)) == 0,
                "n%u failed n%u, which has a lease for %llu ms more", by->node + 1, failed + 1,
                (unsigned long long)(cluster_lease_left_ns(node_cluster(node)) / NS_PER_MS));
    }
}

/* A process throws lives of its own away that it knows to be over; never one that it has not yet heard of:
 * that is the one it is about to live. */
static void check_own(struct shadow *s, unsigned n)
{
    const struct node_record *rec = &s->nodes[n].rec;

    LIST_FOREACH(it, &s->w->processes)
    {
        const struct process *p = LIST_ENTRY(it, struct process, link);
        struct node *node = process_node(p);
        if (!node || !uuid_equal(p->boot, rec->boot))
            continue;
        COMPARE(s->w, CHECK_FRESH_LIFE, rec->incarnation <= cluster_incarnation(node_cluster(node)),
                "n%u failed its own incarnation %llu before it knew of it (it knew of %llu)", n + 1,
                (unsigned long long)rec->incarnation,
                (unsigned long long)cluster_incarnation(node_cluster(node)));
    }
}

void check_acts(struct shadow *s, const struct shadow_change *c)
{
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        enum node_state before = c->before[n], after = s->nodes[n].rec.state;
        if (!(c->nodes >> n & 1u) || before == after)
            continue;
        if (after == NODE_FAILED && !uuid_equal(s->nodes[n].rec.boot, c->seen->boot))
            check_coverage(s, c, n);
        if (after == NODE_FAILED)
            check_is_over(s, c->seen, n);
        if (after == NODE_FAILED && n == c->seen->node &&
            uuid_equal(s->nodes[n].rec.boot, c->seen->boot))
            check_own(s, n);
        if (after == NODE_FAILED && c->seen->slot != SIM_SLOT_SUPERVISOR)
            told_failed(s->w, n, s->nodes[n].rec.incarnation, c->seen->life);
        if (n != c->seen->node && (after == NODE_FAILED || after == NODE_LEFT))
            check_in_term(s, c, n);
    }
}

void check_old_life(struct shadow *s, const struct shadow_change *c)
{
    const struct commit_seen *by = c->seen;
    struct key_parts parts;

    if (by->slot == SIM_SLOT_SUPERVISOR || !restore_has_been(s->w))
        return;
    for (size_t i = 0; i < by->write_count; i++) {
        /* A probe says of nobody but its process that it is there. */
        if (key_parse(&s->ks, by->writes[i].key, &parts) == 0 && parts.family == KEY_PROBE)
            continue;
        COMPARE(s->w, CHECK_OLD_LIFE, !restore_is_old_life(s->w, by->life),
                "a process of n%u that lived before the store was set back wrote to it",
                by->node + 1);
    }
}

bool check_reaches(struct world *w, unsigned node)
{
    const struct timing *t = &w->config.timing;
    uint64_t within = timing_lease_ns(t) + t->rpc_timeout_ms * NS_PER_MS;
    unsigned voters = 0, with = 0;

    for (unsigned n = 0; n < w->config.nodes; n++) {
        enum node_state state = w->shadow->nodes[n].rec.state;
        if (!w->shadow->nodes[n].there || !is_voter(state))
            continue;
        voters++;
        with += n == node || (state == NODE_ACTIVE &&
                              recent(sim_net_last_ns(w->net, n, node), w->now_ns, within));
    }
    return 2 * with > voters;
}
