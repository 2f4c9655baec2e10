/* What operators and supervisors do: ForceForget, DeclareDead. */
#include <stdio.h>

#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

/* Observation takes a window; acknowledgements may take one more. */
#define FORCE_WINDOWS 3

static void force_finish(struct cluster *c, int status, const char *why)
{
    cluster_op_fn *done = c->force.done;
    c->force.active = false;
    timer_stop(&c->force_timer);
    done(c->force.arg, status, why);
}

/* That the primary in its way has moved since: it lives, and no waiting makes that otherwise. */
static bool primary_moves(struct cluster *c)
{
    const struct primary_record *p = &c->primary;
    struct silence *then = &c->force.primary_then;
    const struct sighting *s = detector_find(&c->detector, p->node_id);
    if (c->claim)
        return true;
    if (!c->primary_known || p->vacant || !s || s->record.damaged ||
        s->record.incarnation != p->incarnation || !uuid_equal(s->record.boot, p->boot))
        return false;
    if (strcmp(then->life.node_id, p->node_id) == 0 && uuid_equal(then->life.boot, p->boot))
        return s->record.counter != then->counter;
    *then = (struct silence){.life = {.incarnation = p->incarnation, .boot = p->boot},
                             .counter = s->record.counter};
    memcpy(then->life.node_id, p->node_id, sizeof(p->node_id));
    return false;
}

static void on_force(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct force_forget_op *op = &c->force_op;
    char why[REASON_SIZE];
    mem_free(c->env->mem, c->force_silences);
    c->force_silences = NULL;
    if (!c->closing)
        failure_settled(c, t, status, &op->failed,
                        "silent for the window, and an operator asked: forget --force");
    if (!c->force.active)
        return;
    if (status == KELPIE_E_REFUSED)
        SOMETIMES("force-forget-tried-again");
    if (c->closing) {
        force_finish(c, KELPIE_E_CANCELLED, kelpie_error_text(KELPIE_E_CANCELLED));
        return;
    }
    uint64_t waited = env_now_ns(c->env) - c->force.since_ns;
    if (status == 0 &&
        (!t->committed || op->voters_after < op->voters_before || MUTANT("halfforget"))) {
        (void)snprintf(why, sizeof(why),
                       "node %s is forgotten; a majority is now more than half of %zu voters, not "
                       "of %zu: when %zu of them are gone there is no primary",
                       c->force.target, op->voters_after, op->voters_before,
                       op->voters_after - op->voters_after / 2);
        tell_forgotten(c, c->force.target, "an operator asked: forget --force");
        force_finish(c, 0, why);
    } else if (status && (status != KELPIE_E_REFUSED || (op->primary_lives && primary_moves(c)) ||
                          waited > FORCE_WINDOWS * timing_window_ns(&c->config.timing))) {
        (void)snprintf(why, sizeof(why), "%s", txn_why(t, status));
        force_finish(c, status, why);
    }
    if (status == 0)
        scan_now(c); /* else the next heartbeat looks again */
}

/* Once a scan: refused attempts are repeated until the windows have passed. */
void step_force_forget(struct cluster *c)
{
    struct force_forget_op *op = &c->force_op;
    if (!c->force.active || !c->scanned || txn_active(&op->txn) ||
        c->force.tried_version == c->scan_version)
        return;
    c->force.tried_version = c->scan_version;
    memset(op, 0, offsetof(struct force_forget_op, txn));
    op->ks = &c->config.ks;
    op->target = c->force.target;
    c->force_silences = collect_silent(c, false, &op->silent.count);
    op->silent.items = c->force_silences;
    force_forget_prepare(op, c->env, on_force, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
    txn_start(&op->txn);
}

/* The next attempt waits for a scan, which a store that is away does not give. */
static void on_force_timer(void *arg)
{
    struct cluster *c = arg;
    CHECK(c->force.active);
    if (txn_active(&c->force_op.txn)) { /* it ends by itself */
        timer_start(&c->force_timer, timing_lease_ns(&c->config.timing));
        return;
    }
    SOMETIMES("force-forget-given-up");
    force_finish(
        c, KELPIE_E_UNKNOWN_RESULT,
        "the store has not said who there is for too long; whether the node is forgotten is "
        "not known");
}

void admin_init(struct cluster *c)
{
    timer_init(&c->force_timer, c->env->timers, "force_forget", on_force_timer, c);
}

void force_forget_begin(struct cluster *c, const char *node_id, cluster_op_fn *done, void *arg)
{
    CHECK(!c->force.active);
    SOMETIMES("force-forget-asked");
    c->force = (struct force_forget){
        .active = true, .since_ns = env_now_ns(c->env), .done = done, .arg = arg};
    (void)memcpy(c->force.target, node_id, strlen(node_id) + 1);
    timer_start(&c->force_timer, (FORCE_WINDOWS + 1) * timing_window_ns(&c->config.timing));
    scan_now(c);
}

void admin_close(struct cluster *c)
{
    if (c->force.active && !txn_active(&c->force_op.txn))
        force_finish(c, KELPIE_E_CANCELLED, kelpie_error_text(KELPIE_E_CANCELLED));
    timer_stop(&c->force_timer);
    txn_cancel(&c->force_op.txn);
}

/* ---- DeclareDead ---- */

struct declare_dead {
    const struct env *env;
    struct keyspace ks;
    char node_id[NODE_ID_MAX + 1];
    struct blame blame;
    struct declare_dead_op op;
    void (*done)(void *arg, int status, const char *why);
    void *arg;
};

static void on_declared(struct txn *t, int status)
{
    struct declare_dead *d = t->arg;
    const char *why = t->reason[0]    ? t->reason
                      : d->op.failed  ? "declared failed"
                      : d->op.foreign ? "nothing: the store is not that of the node's cluster"
                                      : "it was not a member";
    d->done(d->arg, status, why);
}

struct declare_dead *declare_dead_start(const struct env *env, const struct keyspace *ks,
                                        const char *node_id, struct uuid boot, struct uuid home,
                                        const struct blame *blame,
                                        void (*done)(void *arg, int status, const char *why),
                                        void *arg)
{
    struct declare_dead *d = MEM_NEW(env->mem, struct declare_dead);
    d->env = env;
    d->ks = *ks;
    d->done = done;
    d->arg = arg;
    (void)snprintf(d->node_id, sizeof(d->node_id), "%s", node_id);
    d->op.ks = &d->ks;
    d->op.node_id = d->node_id;
    d->op.boot = boot;
    d->op.home = home;
    if (blame) {
        d->blame = *blame;
        d->op.blame = &d->blame;
    }
    declare_dead_prepare(&d->op, env, on_declared, d);
    txn_start(&d->op.txn);
    return d;
}

uint64_t declare_dead_failed(const struct declare_dead *d)
{
    return d->op.failed ? d->op.incarnation : 0;
}

const struct blamed *declare_dead_blamed(const struct declare_dead *d)
{
    return &d->op.blamed;
}

bool declare_dead_found_left(const struct declare_dead *d)
{
    return d->op.left;
}

void declare_dead_free(struct declare_dead *d)
{
    if (d)
        mem_free(d->env->mem, d);
}
