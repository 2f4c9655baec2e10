/*
 * The orderly end of an activation: deactivate, then its placement is released (passivation, no
 * room, nobody to hand over to) or handed over (spec: MigrateActor, CommitMove). From the moment the
 * transaction starts the actor does not run here; the messages that come meanwhile wait, and are
 * then told where it is.
 */
#include <stdio.h>

#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void hand_over(struct kelpie_actor *act, const struct excluded *excluded);
static void let_go(struct kelpie_actor *act);

/* The target may load it at once, so that its next call finds it running. */
struct nudge {
    struct rpc_call rpc;
    struct actors *actors;
};

static void on_nudged(struct rpc_call *rpc, int status, struct bytes payload)
{
    struct nudge *n = rpc->arg;

    (void)status;
    (void)payload;
    n->actors->nudges--;
    mem_free(n->actors->env->mem, n);
}

static void nudge(struct actors *a, const struct kelpie_actor *act, const struct placement *p)
{
    uint32_t timeout_ms = cluster_config_of(a->cluster)->timing.rpc_timeout_ms;
    struct actor_request r = {.op = ACTOR_OP_ACTIVATE, .generation = p->record.generation};
    struct nudge *n;

    if (!p->addr[0] || a->closed)
        return;
    n = MEM_NEW(a->env->mem, struct nudge);
    n->actors = a;
    (void)snprintf(r.type, sizeof r.type, "%s", act_type(act));
    (void)snprintf(r.id, sizeof r.id, "%s", act_id(act));
    buf_clear(&a->out);
    actor_request_encode(&a->out, &r);
    a->nudges++;
    rpc_start(a->rpc, &n->rpc, p->addr, p->record.boot, RPC_ACTOR_CALL, buf_bytes(&a->out),
              timeout_ms * NS_PER_MS, on_nudged, n);
}

/* Ended without an answer that says whether it may land: only AbortMigration brings it back. */
static void stopped_unsettled(struct kelpie_actor *act)
{
    struct actors *a = act->actors;
    struct list waiting;

    list_init(&waiting);
    mailbox_take_all(act, &waiting);
    act_set_state(act, ACT_UNSETTLED);
    invocations_answer_all(a, &waiting, KELPIE_E_UNAVAILABLE, "", NULL);
    /* The planted mistake: the source resumes the actor as it was. */
    if (MUTANT("takeback") && act_may_go_on(act))
        act_take_back(act);
}

static void stop_failed(struct kelpie_actor *act, const struct txn *txn, int status)
{
    char why[2 * TXN_REASON_SIZE];

    if (status == KELPIE_E_UNKNOWN_RESULT || status == KELPIE_E_TIMEOUT) {
        SOMETIMES("stop-left-unsettled");
        stopped_unsettled(act);
        return;
    }
    log_error(&act->actors->env->log, "actor_stop_failed", "%s error=%s why=%s", ACT_FIELDS(act),
              kelpie_error_name(status), log_quote(txn->reason, why, sizeof why));
    act_drop(act, status == KELPIE_E_CANCELLED ? KELPIE_E_UNAVAILABLE : status, NULL, txn->reason);
}

static void on_released(struct txn *txn, int status)
{
    struct act_op *op = txn->arg;
    struct kelpie_actor *act = op->act;

    if (act_op_end(op, status))
        return;
    if (status == 0 || status == KELPIE_E_REFUSED) {
        struct placement now = op->args.own.result;
        directory_forget(&op->actors->directory, act_type(act), act_id(act));
        act_drop(act, status ? KELPIE_E_NOT_HERE : act->stop_answer, &now, "");
    } else {
        stop_failed(act, txn, status);
    }
    act_op_free(op);
}

static void on_handed_over(struct txn *txn, int status)
{
    struct act_op *op = txn->arg;
    struct kelpie_actor *act = op->act;
    struct actors *a = op->actors;
    const struct own_args *args = &op->args.own;

    if (act_op_end(op, status))
        return;
    if (status == 0) {
        struct placement now = args->result;
        SOMETIMES("handed-over");
        a->stats.migrations++;
        directory_learn(&a->directory, act_type(act), act_id(act), &now);
        /* What has not run here may be what ends whoever activates it: that is for a call to ask. */
        if (act->has_run)
            nudge(a, act, &now);
        else
            SOMETIMES("handed-over-unheard-of");
        act_drop(act, KELPIE_E_NOT_HERE, &now, "");
    } else if (status == KELPIE_E_REFUSED && args->outcome == PLACE_NOT_MINE) {
        struct placement now = args->result;
        act_drop(act, KELPIE_E_NOT_HERE, &now, "");
    } else if (status == KELPIE_E_REFUSED) {
        SOMETIMES("heir-refused");
        excluded_add(&op->excluded, args->target);
        if (act_may_go_on(act))
            hand_over(act, &op->excluded);
    } else {
        stop_failed(act, txn, status);
    }
    act_op_free(op);
}

static void own_args_fill(struct own_args *args, struct kelpie_actor *act)
{
    *args = (struct own_args){
        .ref = act_ref(act),
        .self = actors_self(act->actors),
        .generation = act->generation,
    };
}

static void let_go(struct kelpie_actor *act)
{
    struct act_op *op = act_op_new(act, OP_RELEASE);

    own_args_fill(&op->args.own, act);
    release_txn(&op->txn, act->actors->env, &op->args.own, on_released, op);
    txn_start(&op->txn);
}

uint64_t actors_member_load(void *arg, const char *node_id)
{
    const struct actors *a = arg;

    return cluster_member_load(a->cluster, node_id);
}

bool actors_member_silent(void *arg, const struct member *m)
{
    const struct actors *a = arg;

    return cluster_member_silent(a->cluster, m);
}

/* Who takes over: the less loaded of two others that have not refused. */
static const struct member *choose_heir(struct actors *a, const struct excluded *excluded)
{
    struct excluded others = excluded ? *excluded : (struct excluded){0};
    const char *self = cluster_config_of(a->cluster)->node_id;
    struct policy_input in = {
        .view = cluster_view(a->cluster),
        .self = self,
        .placement = KELPIE_PLACE_LEAST_LOADED,
        .excluded = &others,
        .load = actors_member_load,
        .load_arg = a,
        .silent = actors_member_silent,
        .silent_arg = a,
        .random = a->env->random,
        .turn = &a->turn,
    };

    if (others.count == EXCLUDED_MAX)
        return NULL;
    excluded_add(&others, self);
    return policy_choose(&in);
}

static void hand_over(struct kelpie_actor *act, const struct excluded *excluded)
{
    struct actors *a = act->actors;
    const struct member *heir = choose_heir(a, excluded);
    struct act_op *op;

    if (!heir) {
        SOMETIMES("nobody-to-hand-over-to");
        let_go(act);
        return;
    }
    op = act_op_new(act, OP_MIGRATE);
    if (excluded)
        op->excluded = *excluded;
    own_args_fill(&op->args.own, act);
    memcpy(op->args.own.target, heir->node_id, sizeof op->args.own.target);
    migrate_txn(&op->txn, a->env, &op->args.own, on_handed_over, op);
    if (MUTANT("takeback"))
        op->txn.give_up_ns = TAKEBACK_AFTER_NS;
    txn_start(&op->txn);
}

void act_stop_placement(struct kelpie_actor *act, enum stop_how how)
{
    CHECK(act->state == ACT_STOPPING && act->generation > 0);
    if (how == STOP_RELEASE)
        SOMETIMES("passivated");
    if (how == STOP_HAND_OVER)
        hand_over(act, NULL);
    else
        let_go(act);
}

void act_stop(struct kelpie_actor *act, enum stop_how how)
{
    struct actors *a = act->actors;

    CHECK(act->state == ACT_IDLE && !act->current && !act->open);
    if (!act_may_go_on(act))
        return;
    if (!act_deactivate(act))
        return;
    a->stats.deactivated++;
    reads_take_back(act);
    act_set_state(act, ACT_STOPPING);
    act_free_memory(act);
    act_stop_placement(act, how);
}
