/* A node that is not yet, or no longer, of the cluster says why: at once when it has lasted, and then
 * again, though not often. */
#include "base/log.h"
#include "cluster/cluster_internal.h"

#define WAIT_QUIET_MS 1000 /* an ordinary join is over by then */
#define WAIT_TELL_MS 10000 /* until the next line */

static bool waits(const struct cluster *c)
{
    return c->state != NODE_ACTIVE;
}

static void tell(struct cluster *c, uint64_t now)
{
    const char *reason = cluster_reason(c);
    char quoted[2 * REASON_SIZE];
    if (!reason[0] || (c->wait_told_ns && now - c->wait_told_ns < WAIT_TELL_MS * NS_PER_MS))
        return;
    c->wait_told_ns = now;
    log_warn(&c->env->log, "waiting", "state=%s since_ms=%llu reason=%s", node_state_name(c->state),
             (unsigned long long)((now - c->wait_since_ns) / NS_PER_MS),
             log_quote(reason, quoted, sizeof(quoted)));
}

static void on_wait_timer(void *arg)
{
    struct cluster *c = arg;
    uint64_t now = env_now_ns(c->env);
    if (!waits(c))
        return;
    tell(c, now);
    timer_start(&c->wait_timer, WAIT_QUIET_MS * NS_PER_MS);
}

void waiting_init(struct cluster *c)
{
    timer_init(&c->wait_timer, c->env->timers, "wait", on_wait_timer, c);
}

void waiting_begin(struct cluster *c)
{
    c->wait_since_ns = env_now_ns(c->env);
    timer_start(&c->wait_timer, WAIT_QUIET_MS * NS_PER_MS);
}
