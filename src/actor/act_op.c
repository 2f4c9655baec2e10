/* Transactions of activations: their memory, and what becomes of one whose activation was dropped. */
#include "actor/activation.h"

#include "base/mark.h"

struct act_op *act_op_new(struct kelpie_actor *act, enum act_op_kind kind)
{
    struct actors *a = act->actors;
    struct list *pooled = list_pop(&a->op_pool);
    struct act_op *op;

    CHECK(!act->op);
    if (pooled) {
        op = LIST_ENTRY(pooled, struct act_op, link);
        a->op_pool_count--;
    } else {
        op = mem_alloc(a->env->mem, sizeof *op);
    }
    memset(op, 0, offsetof(struct act_op, txn));
    op->kind = kind;
    op->actors = a;
    op->act = act;
    list_init(&op->link);
    list_init(&op->sends);
    act->op = op;
    a->ops++;
    return op;
}

void act_op_free(struct act_op *op)
{
    struct actors *a = op->actors;

    CHECK(!op->act);
    messages_free(op);
    mem_free(a->env->mem, op->writes);
    mem_free(a->env->mem, op->requests);
    op->writes = NULL;
    op->requests = NULL;
    a->ops--;
    if (a->op_pool_count < OPS_POOLED_MAX && !a->closed) {
        list_append(&a->op_pool, &op->link);
        a->op_pool_count++;
    } else {
        mem_free(a->env->mem, op);
    }
}

/* Whether something of this operation may land after its transaction ended so. Loading writes
 * nothing. An AbortMigration that may land only takes one generation more. */
static bool may_land(const struct act_op *op, int status)
{
    return op->kind != OP_LOAD && status == KELPIE_E_UNKNOWN_RESULT;
}

/* Messages came while it settled: start over with them. */
static void settled(struct kelpie_actor *act, bool lands)
{
    struct actors *a = act->actors;
    bool same_life = act->incarnation == cluster_incarnation(a->cluster);

    if (lands && same_life && !a->closed) {
        SOMETIMES("suspended-with-a-commit-that-may-land");
        act_set_state(act, ACT_UNSETTLED);
        if (act->mailbox_count > 0 && act_may_go_on(act))
            act_take_back(act);
    } else if (act->mailbox_count == 0 || a->closed || !same_life) {
        act_drop(act, KELPIE_E_UNAVAILABLE, NULL, "the node was suspended");
    } else if (act_may_go_on(act)) {
        act_set_state(act, ACT_LOADING);
        act_load(act);
    }
}

bool act_op_end(struct act_op *op, int status)
{
    struct kelpie_actor *act = op->act;

    CHECK(act && act->op == op);
    act->op = NULL;
    op->act = NULL;
    if (act->state != ACT_SETTLING)
        return false;
    settled(act, may_land(op, status));
    act_op_free(op);
    return true;
}
