/* What a request asks for. */
#include <stdio.h>

#include "kelpie/error.h"
#include "sim/workload/sim_trial.h"
#include "sim/workload/sim_workload_link.h"

#define AMOUNT_MAX 3

/* What a trial is asked for beyond the ordinary. */
static unsigned draw_what(struct world *w, struct sim_op *op)
{
    static const int errors[] = {
        [TRIAL_FAIL] = KELPIE_E_HANDLER_FAILED, [TRIAL_FAIL_ODDLY] = KELPIE_E_HANDLER_FAILED,
        [TRIAL_INVALID] = KELPIE_E_INVALID,     [TRIAL_NO_METHOD] = KELPIE_E_UNKNOWN_METHOD,
        [TRIAL_REFUSE] = KELPIE_E_DOMAIN,       [TRIAL_REFUSE_IF] = 0};
    static const size_t sizes[] = {100,   REPLY_KEPT_MAX,   REPLY_KEPT_MAX + 1,
                                   50000, KELPIE_REPLY_MAX, KELPIE_REPLY_MAX + 1};
    unsigned what = TRIAL_FAIL + (unsigned)world_below(w, STREAM_TRIAL, TRIAL_COUNT - TRIAL_FAIL);
    bool fails = what < ARRAY_LEN(errors);

    if (w->calm || world_below(w, STREAM_TRIAL, 64) >= w->config.special_per_64 ||
        !sim_fault_on(&w->config, fails ? FAULT_ACTOR_FAILS : FAULT_ACTOR_GROWS) ||
        (op->kind != OP_ADD && what != TRIAL_LONG_REPLY))
        return TRIAL_NOTHING;
    if (what == TRIAL_REFUSE_IF) {
        op->may_refuse = true;
    } else if (fails) {
        op->kind = OP_FAIL;
        op->expect = errors[what];
    } else if (what == TRIAL_LONG_REPLY) {
        op->reply_len = sizes[world_below(w, STREAM_TRIAL, ARRAY_LEN(sizes))];
    }
    world_met(w, fails ? FAULT_ACTOR_FAILS : FAULT_ACTOR_GROWS);
    return what;
}

void op_ask(struct world *w, struct sim_op *op, bool may_be_special)
{
    struct sim_actor *a = op->actor;
    unsigned what = TRIAL_NOTHING;

    if (op->kind == OP_ADD)
        op->amount = 1 + world_below(w, STREAM_WORK, AMOUNT_MAX);
    if (a->trial && may_be_special)
        what = draw_what(w, op);
    if (op->kind == OP_ECHO)
        (void)snprintf(op->body, sizeof op->body, "hello %u", op->serial);
    else if (a->trial)
        (void)snprintf(op->body, sizeof op->body, "%u %u %zu", (unsigned)op->amount, what,
                       op->reply_len);
    else if (op->kind == OP_ADD)
        (void)snprintf(op->body, sizeof op->body, "%u", (unsigned)op->amount);
    if (op->reply_len > KELPIE_REPLY_MAX)
        op->reply_len = 0; /* it gets the value alone */
    if (op->kind == OP_ADD)
        a->issued += op->amount;
}
