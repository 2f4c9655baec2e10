#include <stdlib.h>

#include "sim/checkers/linear.h"
#include "sim/workload/sim_workload_link.h"

/*
 * What the clients of each counter were told, as one history: noted while it happens, judged at
 * the end of the run. Moments are a count of the notes, so that no two are the same.
 */

#define HISTORY_OPS_MAX (1u << 24)

struct history_op {
    struct linear_op op;
    uint64_t asked_ns, answered_ns;
    uint32_t serial;
    unsigned unsure; /* attempts of which nobody said that they were not applied */
    bool refused;    /* for good */
};

struct history {
    struct history_op *ops;
    size_t count, cap;
    uint64_t moment;
};

void history_asked(const struct world *w, struct sim_op *op)
{
    struct sim_actor *a = op->actor;
    struct history *h = a->history;

    if (op->noted)
        a->history->ops[op->noted - 1].unsure++;
    if (!a->counter || op->noted || op->apart || op->kind == OP_FAIL)
        return;
    if (!h) {
        h = a->history = calloc(1, sizeof *h);
        CHECK(h);
    }
    if (h->count == h->cap) {
        CHECK(h->cap < HISTORY_OPS_MAX);
        h->cap = h->cap ? h->cap * 2 : 64;
        h->ops = realloc(h->ops, h->cap * sizeof *h->ops);
        CHECK(h->ops);
    }
    h->ops[h->count++] = (struct history_op){
        .op = {.asked = ++h->moment, .answered = LINEAR_OPEN, .amount = op->amount},
        .asked_ns = w->now_ns,
        .serial = op->serial,
        .unsure = 1,
    };
    op->noted = h->count;
}

void history_answered(const struct world *w, const struct sim_op *op)
{
    struct history *h = op->actor->history;

    if (!op->noted)
        return;
    struct history_op *o = &h->ops[op->noted - 1];
    if (o->op.answered != LINEAR_OPEN)
        return;
    o->op.answered = ++h->moment;
    o->op.value = op->value;
    o->answered_ns = w->now_ns;
}

void history_refused(const struct sim_op *op, bool for_good)
{
    if (!op->noted)
        return;
    op->actor->history->ops[op->noted - 1].unsure--;
    op->actor->history->ops[op->noted - 1].refused |= for_good;
}

void history_free(struct sim_actor *a)
{
    if (a->history)
        free(a->history->ops);
    free(a->history);
    a->history = NULL;
}

static void judge(struct world *w, const struct sim_actor *a)
{
    const struct history *h = a->history;
    struct linear_op *ops = calloc(h->count, sizeof *ops);

    CHECK(ops);
    for (size_t i = 0; i < h->count; i++) {
        ops[i] = h->ops[i].op;
        if (ops[i].answered != LINEAR_OPEN)
            ops[i].value -= a->base;
        else if (h->ops[i].unsure == 0 || h->ops[i].refused)
            ops[i].amount = 0; /* it was not applied: as if it had only asked */
    }
    struct linear_result r = linear_check(ops, h->count, LINEAR_STATES_MAX);
    free(ops);
    w->checks->histories++;
    if (r.verdict == LINEAR_NOT_CHECKED) {
        w->checks->histories_open++;
        return;
    }
    const struct history_op *o = &h->ops[r.op];
    COMPARE(w, CHECK_LINEARIZABLE, r.verdict == LINEAR_OK,
            "%s/%s: no order of its %zu requests explains that r%u (%s %llu, asked at %.6f s, "
            "answered at %.6f s) was told %llu",
            a->type, a->id, h->count, o->serial, o->op.amount ? "add" : "get",
            (unsigned long long)o->op.amount, (double)o->asked_ns / 1e9,
            (double)o->answered_ns / 1e9, (unsigned long long)o->op.value);
}

void check_histories(struct world *w, const struct sim_actor *actors, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (actors[i].history && actors[i].history->count > 0)
            judge(w, &actors[i]);
}
