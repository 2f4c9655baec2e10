/* Leaving: NodeLeave, the drain by the floors above, NodeLeaveComplete. */
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

static void on_leave(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    if (c->closing || c->state != NODE_ACTIVE || c->leave.self.incarnation != c->incarnation)
        return;
    if (status) {
        c->leave_wanted = false;
        set_reason(c, "%s", txn_why(t, status));
        SOMETIMES("leave-refused");
        char quoted[WHY_QUOTED_SIZE];
        cluster_tell(c, LOG_WARN, "leave_refused", "reason=%s", quote_why(c->reason, quoted));
        return;
    }
    c->state = NODE_LEAVING;
    waiting_begin(c);
    c->drained = false;
    if (MUTANT("leaveclaim"))
        clear_claim(c);
    cluster_tell(c, LOG_INFO, "leaving", "incarnation=%llu", (unsigned long long)c->incarnation);
    if (c->acting && c->events.drain)
        c->events.drain(c->arg);
    poll_now(c);
}

void leave_start(struct cluster *c)
{
    struct leave_op *op = &c->leave;
    CHECK(c->state == NODE_ACTIVE && !membership_busy(c));
    memset(op, 0, offsetof(struct leave_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->even_last = c->leave_even_last;
    /* The commit vacates `primary` for others to take, and its answer may be slow: the claim goes
     * before it, not with the answer. */
    if (!MUTANT("leaveclaim"))
        clear_claim(c);
    leave_prepare(op, c->env, on_leave, c);
    txn_start(&op->txn);
}

int cluster_leave(struct cluster *c, bool even_last, char *why, size_t why_size)
{
    if (c->state == NODE_ACTIVE && c->view.count == 1 && !even_last) {
        (void)snprintf(why, why_size,
                       "node %s is the last active node: nobody could take its actors (SIGTERM "
                       "stops it)",
                       c->config.node_id);
        return KELPIE_E_REFUSED;
    }
    c->leave_wanted = true;
    c->leave_even_last = even_last;
    step_soon(c);
    return 0;
}

void cluster_drained(struct cluster *c)
{
    c->drained = true;
    step_soon(c);
}

static void left(struct cluster *c)
{
    CHECK(c->state == NODE_LEAVING && c->claim == 0);
    c->state = NODE_LEFT;
    c->acting = false;
    c->lease_until_ns = 0;
    timer_stop(&c->lease_timer);
    view_clear(&c->view, c->env->mem);
    cluster_tell(c, LOG_INFO, "left", "incarnation=%llu", (unsigned long long)c->incarnation);
    step_soon(c);
}

static void on_leave_complete(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    mem_free(c->env->mem, c->silences);
    c->silences = NULL;
    if (c->closing || c->state != NODE_LEAVING ||
        c->leave_complete.self.incarnation != c->incarnation)
        return;
    if (status == 0) {
        left(c);
        return;
    }
    set_reason(c, "leaving: %s", txn_why(t, status));
    if (status == KELPIE_E_REFUSED && rule_rows(t, 1).count > 0 && c->acting) {
        c->drained = false;
        if (c->events.drain)
            c->events.drain(c->arg);
    }
}

/* Tried once a heartbeat, until every active node has acknowledged. */
void step_leaving(struct cluster *c)
{
    if (!c->drained || membership_busy(c) || !cluster_may_act(c))
        return;
    struct leave_complete_op *op = &c->leave_complete;
    memset(op, 0, offsetof(struct leave_complete_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    if (MUTANT("leaveonce"))
        c->drained = false;
    c->silences = collect_silent(c, true, &op->silent.count);
    op->silent.items = c->silences;
    leave_complete_prepare(op, c->env, on_leave_complete, c);
    txn_start(&op->txn);
}
