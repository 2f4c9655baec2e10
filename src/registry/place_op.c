/* Finding or making a placement: PlaceActor run once for one target. */
#include "kelpie/error.h"
#include "registry/placement.h"

static void on_placed(struct txn *txn, int status)
{
    struct place_op *op = txn->arg;

    op->result = op->args.result;
    op->outcome = op->args.outcome;
    op->made = status == 0 && txn->committed;
    if (status == 0 && op->outcome == PLACE_NONE)
        status = KELPIE_E_NOT_FOUND;
    op->done(op, status);
}

void place_start(struct place_op *op, const struct env *env, const struct keyspace *ks)
{
    CHECK(op->done && op->type[0] && op->id[0]);
    op->args = (struct place_args){.ref = {.ks = ks, .type = op->type, .id = op->id}};
    memcpy(op->args.target, op->target, sizeof op->args.target);
    place_txn(&op->txn, env, &op->args, on_placed, op);
    op->txn.give_up_ns = op->give_up_ns;
    op->txn.fail_full = true; /* whoever waits for the place is told so at once */
    txn_start(&op->txn);
}
