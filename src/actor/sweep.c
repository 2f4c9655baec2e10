/*
 * The primary's background work: rows of dead incarnations are cleared in batches, a little at a
 * time. It starts when this node becomes primary and whenever members left, and ends by itself. The
 * rows of one member that left are looked at alone; else those of all nodes, where each living one
 * costs a transaction. One that is leaving hosts still, and no view says when it is over: its rows are looked
 * at again until it is.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void batch_start(struct actors *a);

static void on_timer(void *arg)
{
    batch_start(arg);
}

void sweep_init(struct actors *a)
{
    timer_init(&a->sweep.timer, a->env->timers, "actors_sweep", on_timer, a);
}

bool sweep_idle(const struct actors *a)
{
    return !txn_active(&a->sweep.txn);
}

void sweep_cancel(struct actors *a)
{
    a->sweep.term = 0;
    a->sweep.running = false;
    timer_stop(&a->sweep.timer);
    txn_cancel(&a->sweep.txn);
}

static void begin_in(struct actors *a, const struct key_range *rows, uint64_t delay_ns)
{
    struct sweep *s = &a->sweep;

    s->again = false;
    s->broken_off = false;
    s->running = true;
    s->leaving_count = 0;
    s->args.cursor = rows->begin;
    s->args.end = rows->end;
    timer_start(&s->timer, delay_ns);
}

static void begin(struct actors *a, const struct key_range *rows)
{
    begin_in(a, rows, SWEEP_PAUSE_NS);
}

static void begin_all(struct actors *a)
{
    struct key_range all = keys_by_node_all(a->ks);
    begin(a, &all);
}

/* The rows of those that were leaving, after a rest. */
static void look_again(struct actors *a)
{
    struct sweep *s = &a->sweep;
    struct key_range rows =
        s->leaving_count == 1 ? keys_by_node(a->ks, s->leaving) : keys_by_node_all(a->ks);

    SOMETIMES("sweep-of-a-life-that-is-leaving");
    begin_in(a, &rows, SWEEP_AGAIN_NS);
}

static void note_leaving(struct sweep *s)
{
    if (!s->args.passed_leaving || MUTANT("sweepleaving"))
        return;
    if (s->leaving_count == 0 || strcmp(s->leaving, s->args.leaving) != 0)
        s->leaving_count++;
    memcpy(s->leaving, s->args.leaving, sizeof s->leaving);
}

static void on_batch(struct txn *txn, int status)
{
    struct actors *a = txn->arg;
    struct sweep *s = &a->sweep;

    if (a->closed || s->term == 0)
        return;
    if (!s->running) {
        if (s->again)
            begin_all(a); /* primary again while the batch of the last term was cancelled */
        return;
    }
    if (status == KELPIE_E_REFUSED || status == KELPIE_E_CANCELLED ||
        (status && MUTANT("sweeponce"))) {
        /* The claim is gone, and primary_changed will say so. */
        s->running = false;
        s->broken_off = true;
        return;
    }
    if (status) {
        SOMETIMES("sweep-tried-again");
        log_warn(&a->env->log, "sweep_stopped", "error=%s", kelpie_error_name(status));
        timer_start(&s->timer, SWEEP_AGAIN_NS);
        return;
    }
    a->stats.swept += txn->committed ? s->args.voided : 0;
    if (s->args.passed_corrupt) {
        char why[2 * TXN_REASON_SIZE];
        log_error(&a->env->log, "sweep_passed_corrupt", "why=%s",
                  log_quote(txn->reason, why, sizeof why));
    }
    note_leaving(s);
    if (!s->args.at_end) {
        s->args.cursor = s->args.next;
        timer_start(&s->timer, SWEEP_PAUSE_NS);
    } else if (s->again) {
        begin_all(a);
    } else if (s->leaving_count > 0) {
        look_again(a);
    } else {
        s->running = false;
    }
}

static void batch_start(struct actors *a)
{
    struct sweep *s = &a->sweep;

    if (a->closed || s->term == 0 || txn_active(&s->txn))
        return;
    CHECK(s->running);
    if (!cluster_may_act(a->cluster) || s->term == 0) {
        s->running = false;
        s->broken_off = true;
        return;
    }
    s->args.ks = a->ks;
    s->args.self = actors_self(a);
    s->args.term = s->term;
    sweep_txn(&s->txn, a->env, &s->args, on_batch, a);
    txn_start(&s->txn);
}

void sweep_start(struct actors *a, uint64_t term)
{
    if (term == 0) {
        sweep_cancel(a);
        return;
    }
    a->sweep.term = term;
    sweep_again(a);
}

void sweep_again(struct actors *a)
{
    if (a->sweep.term == 0 || a->closed)
        return;
    if (a->sweep.running || txn_active(&a->sweep.txn))
        a->sweep.again = true;
    else
        begin_all(a);
}

void sweep_gone(struct actors *a, const struct member *gone, size_t count)
{
    struct sweep *s = &a->sweep;

    if (s->term == 0 || a->closed)
        return;
    if (count != 1 || s->broken_off || s->running || txn_active(&s->txn)) {
        sweep_again(a);
        return;
    }
    struct key_range rows = keys_by_node(a->ks, gone->node_id);
    SOMETIMES("sweep-of-one-node");
    begin(a, &rows);
}
