#include <stdio.h>
#include <stdlib.h>

#include "sim/checkers/checks.h"
#include "sim/faults/sim_restore.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

/*
 * Grey failures (docs/adr/0008-grey-failure.md), from what the network carried: two nodes are apart
 * while nothing that one sends is followed by anything that comes back (sim_net_echo).
 *
 * GreyIsUnreachable: whoever is flagged was apart from more than half of the other Active nodes for
 * nearly a lease, until now or a moment ago; so nobody else is flagged.
 * GreyIsOut: whoever is apart from more than half of them, while it and they heartbeat, one primary
 * acts and reaches a majority, nobody comes or goes, and the flag may be set, is flagged within the
 * bound; and whoever is flagged is not Active after a window.
 */

#define SLACK_MS 3000 /* requests to the store that take long */

static const struct timing *timing_of(const struct shadow *s)
{
    return &s->w->config.timing;
}

static uint64_t lease_of(const struct shadow *s)
{
    return timing_lease_ns(timing_of(s));
}

static bool is_voter(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING || s == NODE_FAILED;
}

static bool is_hosting(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING;
}

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Active and not flagged, as the rows are now. */
static bool counts(const struct shadow *s, unsigned n)
{
    return s->nodes[n].there && s->nodes[n].rec.state == NODE_ACTIVE && !s->nodes[n].rec.flagged;
}

/* ---- a flag is set */

/* No echo now, or none until a moment ago: what was said then may still be weighed. */
static bool was_apart(const struct shadow *s, unsigned observer, unsigned n)
{
    struct sim_echo e = sim_net_echo(s->w->net, observer, n);
    uint64_t now = s->w->now_ns, lease = lease_of(s);
    uint64_t ago = lease + lease / 2 + (SLACK_MS + 2ull * timing_of(s)->rpc_timeout_ms) * NS_PER_MS;

    /* Where every callback outlasts the wait for a ping's answer, all of them may come too late. */
    if (s->w->config.slow_in == 1 &&
        2 * s->w->config.slow_handler_ms > timing_of(s)->rpc_timeout_ms)
        return true;
    return now - e.sent_ns >= lease * ECHO_GAP_PERCENT / 100 ||
           (e.gap_end_ns > 0 && now - e.gap_end_ns <= ago);
}

#define AGES_MAX 160

static void add_ages(const struct shadow *s, char *ages, unsigned observer, unsigned n)
{
    struct sim_echo e = sim_net_echo(s->w->net, observer, n);
    size_t len = strlen(ages);

    (void)snprintf(ages + len, AGES_MAX - len, " n%u %llu, %llu", observer + 1,
                   (unsigned long long)((s->w->now_ns - e.sent_ns) / NS_PER_MS),
                   (unsigned long long)((s->w->now_ns - e.gap_end_ns) / NS_PER_MS));
}

/* Callbacks outlast a ping's time: their node answers, and too late for whoever asks whether it is there. */
static bool answers_late(const struct sim_config *c)
{
    return sim_fault_on(c, FAULT_ACTOR_SLOW) && 2 * c->slow_handler_ms > c->timing.rpc_timeout_ms;
}

static void check_flag(struct shadow *s, const struct shadow_change *c, unsigned n)
{
    unsigned observers = 0, apart = 0, voters = 0, others = 0;
    char ages[AGES_MAX] = "";

    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        bool flagged = c->flagged_before >> i & 1u;
        enum node_state state = c->before[i];
        voters += is_voter(state) || (state == NODE_JOINING && flagged);
        others += flagged && is_hosting(state);
        if (state != NODE_ACTIVE || flagged || i == n)
            continue;
        observers++;
        apart += was_apart(s, i, n);
        add_ages(s, ages, i, n);
    }
    COMPARE(s->w, CHECK_GREY_ONE, others == 0, "n%u was flagged while %u other nodes are", n + 1,
            others);
    COMPARE(s->w, CHECK_GREY_MAJORITY, 2 * observers > voters,
            "n%u was flagged, which leaves %u of %u voters Active", n + 1, observers, voters);
    if (answers_late(&s->w->config))
        return;
    COMPARE(
        s->w, CHECK_GREY_FAULT, 2 * apart > observers,
        "n%u was flagged, but was apart from %u of %u other Active nodes only; ms since the last "
        "echo, and since the last gap, of:%s",
        n + 1, apart, observers, ages);
}

/* More than half of those that were heard of within a window have heard of it. */
static void check_return(struct shadow *s, const struct shadow_change *c, unsigned n)
{
    uint64_t sent = c->seen->sent_ns, lease = lease_of(s), window = timing_window_ns(timing_of(s));
    uint64_t fresh = 2 * lease + lease / 10 + timing_of(s)->rpc_timeout_ms * NS_PER_MS;
    unsigned awake = 0, echoes = 0;

    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        if (c->before[i] != NODE_ACTIVE || i == n)
            continue;
        awake += s->nodes[i].heartbeat_ns + window - window / 20 >= sent;
        echoes += sim_net_echo(s->w->net, n, i).sent_ns + fresh >= sent;
    }
    COMPARE(s->w, CHECK_GREY_RETURN, 2 * echoes > awake || awake == 0,
            "n%u is Active again after a flag, but only %u of %u Active nodes can have answered it",
            n + 1, echoes, awake);
}

void check_grey(struct shadow *s, const struct shadow_change *c)
{
    struct grey *g = &s->w->checks->grey;
    bool changed = c->primary || c->term;

    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        const struct node_record *rec = &s->nodes[n].rec;
        bool flagged = c->flagged_before >> n & 1u;
        /* A row that is struck takes its flag along (docs/protocol.md, section 10): the next join of that
         * id reads none, and needs one answer. What a join drops of a row that is there is still found. */
        if (!s->nodes[n].there)
            g->nodes[n].was_flagged = false;
        if (!(c->nodes >> n & 1u))
            continue;
        changed |= rec->state != c->before[n] || rec->flagged != flagged;
        if (rec->flagged && !flagged) {
            if (c->before[n] == NODE_ACTIVE)
                check_flag(s, c, n); /* else it is a backup's */
            g->nodes[n].flagged_ns = s->w->now_ns;
            g->nodes[n].was_flagged = true;
        }
        if (restore_has_been(s->w) && rec->state == NODE_LEFT && uuid_is_zero(rec->boot))
            g->nodes[n].was_flagged = false; /* a new epoch knows no lives, and no flags */
        if (rec->state != NODE_ACTIVE || c->before[n] == NODE_ACTIVE)
            continue;
        if (g->nodes[n].was_flagged && c->before[n] == NODE_JOINING)
            check_return(s, c, n);
        g->nodes[n].was_flagged = false;
    }
    if (changed)
        g->quiet_ns = s->w->now_ns;
}

/* ---- nobody stays who should go */

/* Since when node `n` is apart from more than half of the others that heartbeat steadily. */
static uint64_t apart_since(const struct shadow *s, unsigned n)
{
    uint64_t since[SIM_NODES_MAX] = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        const struct grey_seen *seen = &s->w->checks->grey.nodes[i];
        if (i == n || !counts(s, i))
            continue;
        bool steady = s->w->now_ns - seen->beat_ns <= lease_of(s) / 3;
        uint64_t at = latest(sim_net_echo(s->w->net, i, n).sent_ns, seen->steady_ns);
        if (!steady)
            at = s->w->now_ns;
        unsigned k = count++;
        for (; k > 0 && since[k - 1] > at; k--)
            since[k] = since[k - 1];
        since[k] = at;
    }
    return count ? since[count / 2] : s->w->now_ns;
}

/* A flag may be set, and the primary certainly knows of a majority. */
static bool may_flag(const struct shadow *s, unsigned primary)
{
    unsigned active = 0, voters = 0, with = 0;

    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        const struct node_record *rec = &s->nodes[i].rec;
        if (!s->nodes[i].there)
            continue;
        if (rec->flagged && is_hosting(rec->state))
            return false;
        voters += is_voter(rec->state) || (rec->state == NODE_JOINING && rec->flagged);
        active += rec->state == NODE_ACTIVE;
        with += rec->state == NODE_ACTIVE &&
                (i == primary ||
                 s->w->now_ns - sim_net_echo(s->w->net, primary, i).sent_ns <= lease_of(s) / 2);
    }
    return 2 * (active - 1) > voters && 2 * with > voters;
}

static bool acts(const struct shadow *s, unsigned primary)
{
    struct process *p = NULL;

    for (unsigned slot = SIM_SLOT_NODE; s->w->hosts && slot <= SIM_SLOT_TWIN; slot++) {
        struct process *q = host_process(s->w, primary, slot);
        if (q && uuid_equal(q->boot, s->primary.boot))
            p = q;
    }
    return p && process_node(p) && !p->frozen &&
           cluster_claim(node_cluster(process_node(p))) == s->primary.term &&
           cluster_lease_left_ns(node_cluster(process_node(p))) > 0;
}

static void check_stays(const struct shadow *s, unsigned n, uint64_t since)
{
    const struct timing *t = timing_of(s);
    uint64_t pings = 4ull * (t->heartbeat_ms + t->rpc_timeout_ms);
    uint64_t unreachable = pings > t->lease_ms ? pings : t->lease_ms;
    uint64_t bound = unreachable + 2ull * t->rpc_timeout_ms +
                     (s->w->config.nodes + 7ull) * t->heartbeat_ms + SLACK_MS;
    uint64_t apart = (s->w->now_ns - latest(since, apart_since(s, n))) / NS_PER_MS;

    if (2 * apart >= bound)
        COMPARE(s->w, CHECK_GREY_OUT, apart <= bound,
                "n%u is apart from more than half of the Active nodes for %llu ms, and not flagged",
                n + 1, (unsigned long long)apart);
}

static void check_leaves(const struct shadow *s, unsigned n, uint64_t since)
{
    const struct timing *t = timing_of(s);
    const struct grey_seen *seen = &s->w->checks->grey.nodes[n];
    uint64_t bound = timing_window_ns(t) + timing_window_ns(t) / 20 +
                     (3ull * t->heartbeat_ms + SLACK_MS) * NS_PER_MS;

    COMPARE(s->w, CHECK_GREY_OUT, s->w->now_ns - latest(since, seen->flagged_ns) <= bound,
            "n%u was flagged %llu ms ago, and is %s", n + 1,
            (unsigned long long)((s->w->now_ns - seen->flagged_ns) / NS_PER_MS),
            node_state_name(s->nodes[n].rec.state));
}

/* At each heartbeat of the primary. */
static void judge(struct shadow *s, unsigned primary)
{
    struct grey *g = &s->w->checks->grey;
    uint64_t steady = g->nodes[primary].steady_ns;

    if (!acts(s, primary)) {
        g->quiet_ns = s->w->now_ns;
        return;
    }
    bool may = may_flag(s, primary);
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        const struct grey_seen *seen = &g->nodes[n];
        uint64_t since = latest(steady, latest(g->quiet_ns, seen->steady_ns));
        bool steadily = s->w->now_ns - seen->beat_ns <= lease_of(s) / 3;
        if (!s->nodes[n].there)
            continue;
        if (counts(s, n) && steadily && may)
            check_stays(s, n, since);
        if (s->nodes[n].rec.flagged && is_hosting(s->nodes[n].rec.state))
            check_leaves(s, n, latest(steady, g->quiet_ns));
    }
    if (!may)
        g->quiet_ns = s->w->now_ns;
}

void check_grey_beat(struct shadow *s, unsigned n, const struct heartbeat_record *before)
{
    struct grey_seen *seen = &s->w->checks->grey.nodes[n];
    const struct shadow_node *node = &s->nodes[n];
    const struct heartbeat_record *h = &node->heartbeat;

    COMPARE(s->w, CHECK_GREY_BEAT,
            !node->rec.flagged || !is_hosting(node->rec.state) || h->counter == before->counter ||
                !uuid_equal(h->boot, node->rec.boot) || h->incarnation != node->rec.incarnation,
            "n%u is flagged, and its heartbeat moved from %llu to %llu", n + 1,
            (unsigned long long)before->counter, (unsigned long long)h->counter);
    if (s->w->now_ns - seen->beat_ns > lease_of(s) / 3 || !uuid_equal(h->boot, before->boot))
        seen->steady_ns = s->w->now_ns;
    seen->beat_ns = s->w->now_ns;
    if (s->primary_there && !s->primary.vacant && node->rec.state == NODE_ACTIVE &&
        uuid_equal(s->primary.boot, node->rec.boot))
        judge(s, n);
}
