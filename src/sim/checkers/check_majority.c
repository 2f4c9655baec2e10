#include <stdio.h>

#include "sim/checkers/checks.h"
#include "sim/world/sim_net.h"

/*
 * GrantedByMajority: when the term goes up, more than half of the voters are with the candidate:
 * each of them Active at the commit, its answer to a ping seen within a lease of the moment the
 * candidate sent the commit, its heartbeat within two: it answers while its own lease runs. Whom it
 * counted is not asked; whom it can have counted is.
 */

#define AGES_MAX 160
#define SLACK_MS 1000 /* on top of intervals: requests and answers under way */

static bool is_voter(enum node_state s)
{
    return s == NODE_ACTIVE || s == NODE_LEAVING || s == NODE_FAILED;
}

static bool recent(uint64_t at_ns, uint64_t now_ns, uint64_t within_ns)
{
    return at_ns > 0 && at_ns + within_ns >= now_ns;
}

static void add_age(char *ages, unsigned n, uint64_t now_ns, uint64_t beat_ns, uint64_t ping_ns)
{
    size_t len = strlen(ages);
    (void)snprintf(ages + len, AGES_MAX - len, " n%u %lld, %lld", n + 1,
                   (long long)(now_ns - beat_ns) / (long long)NS_PER_MS,
                   (long long)(now_ns - ping_ns) / (long long)NS_PER_MS);
}

void check_majority(struct shadow *s, const struct shadow_change *c)
{
    const struct timing *t = &s->w->config.timing;
    uint64_t lease = timing_lease_ns(t) + timing_lease_ns(t) * 2 * DRIFT_PERCENT / 100;
    uint64_t ping = lease + t->rpc_timeout_ms * NS_PER_MS;
    uint64_t beat = 2 * lease + (2 * t->heartbeat_ms + SLACK_MS) * NS_PER_MS;
    uint64_t now = c->seen->sent_ns;
    unsigned self = c->seen->node, voters = 0, with = 0;
    char ages[AGES_MAX] = "";

    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        if (!is_voter(c->before[n]))
            continue;
        voters++;
        if (c->before[n] != NODE_ACTIVE)
            continue;
        uint64_t beat_ns = s->nodes[n].heartbeat_ns;
        uint64_t ping_ns = sim_net_last_ns(s->w->net, n, self);
        with += n == self || (recent(beat_ns, now, beat) && recent(ping_ns, now, ping));
        add_age(ages, n, now, beat_ns, ping_ns);
    }
    COMPARE(
        s->w, CHECK_MAJORITY, 2 * with > voters,
        "n%u became primary of term %llu with %u of %u voters at most; it sent the commit %llu ms "
        "before; heartbeat and message of Active ones, ms before that:%s",
        self + 1, (unsigned long long)s->primary.term, with, voters,
        (unsigned long long)((s->w->now_ns - now) / NS_PER_MS), ages);
}
