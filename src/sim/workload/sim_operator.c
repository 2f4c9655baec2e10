#include "sim/workload/sim_operator.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/report/sim_record.h"
#include "sim/world/sim_host_link.h"

#define LOOK_MS 100
#define ROLL_STEP_MS_MAX 30000 /* then an operator sees what is wrong before he goes on */
#define ASK_AGAIN_MS 1000
/* A forced forget takes three windows, a last attempt a lease, and whoever does it a moment. */
#define FORCE_WINDOWS 4
#define ANSWER_MS_MAX 15000

enum order_kind { ORDER_FORGET, ORDER_FORCE, ORDER_DRAIN };

/* Asked of one process; gone when that process is. */
struct order {
    struct list link;
    struct sim_event due; /* by then it is answered */
    struct process *p;
    enum order_kind kind;
    int target; /* -1: a node that there is not */
    bool roll;
    uint64_t asked_ns;
    uint64_t left_then; /* how often the target had left by then */
    bool was_left;
};

enum roll_step { ROLL_ASK, ROLL_ASKED, ROLL_LEAVES, ROLL_RETURNS };

struct operators {
    struct world *w;
    struct sim_event next;
    struct list orders;
    bool rolling;
    struct sim_event roll;
    enum roll_step step;
    unsigned at, through; /* the node that it is at; how many it was */
    struct uuid boot;
    uint64_t step_end_ns;
    struct operator_stats stats;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_ORDER, bound);
}

/* ---- orders */

static void order_free(struct world *w, struct order *o)
{
    world_cancel(w, &o->due);
    list_remove(&o->link);
    free(o);
}

static const char *order_name(const struct order *o)
{
    static const char *const names[] = {"forget", "forget --force", "drain"};
    return names[o->kind];
}

static void rolls_on(struct operators *os, int status)
{
    if (!os->rolling || os->step != ROLL_ASKED)
        return;
    os->step = status ? ROLL_ASK : ROLL_LEAVES;
    world_after(os->w, &os->roll, (status ? ASK_AGAIN_MS : LOOK_MS) * NS_PER_MS);
}

/* What an operator may be told. */
static void check_answer(const struct order *o, int status, const char *why)
{
    struct world *w = o->p->world;
    const struct shadow_node *n = o->target < 0 ? NULL : &w->shadow->nodes[o->target];

    if (status) {
        COMPARE(w, CHECK_ORDERS, why && why[0], "n%u: %s n%d ends with %s and no sentence",
                o->p->node + 1, order_name(o), o->target + 1, kelpie_error_name(status));
        return;
    }
    COMPARE(w, CHECK_ORDERS, n, "n%u: %s of a node that there is not is said to be done",
            o->p->node + 1, order_name(o));
    if (n && o->kind != ORDER_DRAIN)
        COMPARE(w, CHECK_ORDERS, o->was_left || n->times_left > o->left_then,
                "n%u says that n%d is forgotten (%s), but it has not left since it was asked",
                o->p->node + 1, o->target + 1, order_name(o));
}

static void on_answer(void *arg, int status, const char *why)
{
    struct order *o = arg;
    struct operators *os = o->p->world->operators;

    check_answer(o, status, why);
    if (status)
        os->stats.refused++;
    else
        os->stats.obeyed++;
    if (o->roll)
        rolls_on(os, status);
    order_free(os->w, o);
}

static void on_order_due(struct world *w, struct sim_event *e)
{
    struct order *o = CONTAINER_OF(e, struct order, due);
    uint64_t patience = ANSWER_MS_MAX * NS_PER_MS;
    uint64_t since = o->asked_ns > o->p->thawed_ns ? o->asked_ns : o->p->thawed_ns;

    if (o->kind == ORDER_FORCE)
        patience += FORCE_WINDOWS * timing_window_ns(&w->config.timing);
    if (o->p->frozen || since + patience > w->now_ns) {
        world_after(w, e, patience);
        return;
    }
    COMPARE(w, CHECK_COMPLETION, false, "n%u did not answer %s n%d within %llu ms", o->p->node + 1,
            order_name(o), o->target + 1, (unsigned long long)(patience / NS_PER_MS));
}

static void ask(struct world *w, struct process *p, enum order_kind kind, int target, bool roll)
{
    struct operators *os = w->operators;
    struct order *o = calloc(1, sizeof *o);
    char id[16] = "nobody";

    CHECK(o);
    o->p = p;
    o->kind = kind;
    o->target = target;
    o->roll = roll;
    o->asked_ns = w->now_ns;
    event_init(&o->due, on_order_due);
    if (target >= 0) {
        const struct shadow_node *n = &w->shadow->nodes[target];
        o->left_then = n->times_left;
        o->was_left = (n->there || n->swept) && n->rec.state == NODE_LEFT;
        (void)snprintf(id, sizeof id, "n%d", target + 1);
    }
    list_append(&os->orders, &o->link);
    os->stats.orders++;
    world_after(w, &o->due, ANSWER_MS_MAX * NS_PER_MS);
    if (w->record)
        record_mark(w, p->node, p->slot, order_name(o));
    process_enter(p, PROCESS_ORDER, 16u + kind);
    if (kind == ORDER_DRAIN)
        node_drain_other(process_node(p), id, on_answer, o);
    else
        node_forget(process_node(p), id, kind == ORDER_FORCE, on_answer, o);
    process_leave(p);
}

/* ---- single orders */

/* A sane operator forgets what has failed, and forces it where the machine is down; a foolish one
 * forgets anything, even what there is not. */
static int whom_to_forget(struct world *w, bool force)
{
    unsigned at = (unsigned)below(w, w->config.nodes);

    if (below(w, 3) == 0)
        return (int)below(w, w->config.nodes + 1) - 1;
    for (unsigned i = 0; i < w->config.nodes; i++) {
        unsigned n = (at + i) % w->config.nodes;
        const struct shadow_node *s = &w->shadow->nodes[n];
        if (s->there && (force ? s->rec.state != NODE_LEFT && w->hosts->host[n].away
                               : s->rec.state == NODE_FAILED))
            return (int)n;
    }
    return (int)at;
}

static void invite_or_dismiss(struct world *w)
{
    unsigned founders = sim_founders(&w->config), guests = sim_successor(&w->config) - founders;
    unsigned n = founders + (unsigned)below(w, guests ? guests : 1);

    if (guests == 0)
        return;
    if (host_invite(w, n)) {
        world_met(w, FAULT_NEWCOMER);
        return;
    }
    struct process *p = host_process(w, n, SIM_SLOT_NODE);
    if (p && host_leave(w, p))
        world_met(w, FAULT_NEWCOMER);
}

/* ---- a roll: drain one, wait until it is gone, then until it is back; the next */

static void roll_to(struct operators *os, unsigned node)
{
    os->at = node;
    os->step = ROLL_ASK;
    os->step_end_ns = os->w->now_ns + ROLL_STEP_MS_MAX * NS_PER_MS;
    world_after(os->w, &os->roll, LOOK_MS * NS_PER_MS);
}

static void roll_begin(struct operators *os)
{
    if (os->rolling)
        return;
    os->rolling = true;
    os->through = 0;
    world_met(os->w, FAULT_ROLL);
    roll_to(os, (unsigned)below(os->w, os->w->config.nodes));
}

static void roll_next(struct operators *os)
{
    if (++os->through == os->w->config.nodes) {
        os->stats.rolls++;
        os->rolling = false;
        return;
    }
    roll_to(os, (os->at + 1) % os->w->config.nodes);
}

/* By way of another node; the rolled one must be a member. */
static void roll_ask(struct operators *os)
{
    struct world *w = os->w;
    const struct shadow_node *n = &w->shadow->nodes[os->at];
    struct process *p = hosts_pick(w, STREAM_ORDER, false);

    if (host_is_out(w, os->at)) {
        roll_next(os);
        return;
    }
    if (!p || p->frozen || p->node == os->at || !n->there || n->rec.state != NODE_ACTIVE) {
        world_after(w, &os->roll, ASK_AGAIN_MS * NS_PER_MS);
        return;
    }
    os->boot = n->rec.boot;
    os->step = ROLL_ASKED;
    /* Should the process die with the order, the roll asks again. */
    world_after(w, &os->roll, ANSWER_MS_MAX * NS_PER_MS);
    ask(w, p, ORDER_DRAIN, (int)os->at, true);
}

static void on_roll(struct world *w, struct sim_event *e)
{
    struct operators *os = CONTAINER_OF(e, struct operators, roll);
    const struct shadow_node *n = &w->shadow->nodes[os->at];

    if (w->now_ns > os->step_end_ns) {
        os->rolling = false;
        return;
    }
    if (os->step == ROLL_ASK || os->step == ROLL_ASKED) {
        roll_ask(os);
        return;
    }
    if (os->step == ROLL_LEAVES && !uuid_equal(n->rec.boot, os->boot))
        os->step = ROLL_RETURNS;
    if (os->step == ROLL_RETURNS && n->rec.state == NODE_ACTIVE) {
        os->stats.rolled++;
        roll_next(os);
    } else if (host_is_out(w, os->at)) {
        roll_next(os);
    } else {
        world_after(w, e, LOOK_MS * NS_PER_MS);
    }
}

/* ---- turns */

static void give(struct operators *os, enum sim_fault kind)
{
    struct world *w = os->w;
    struct process *p = hosts_pick(w, STREAM_ORDER, below(w, 2));

    if (kind == FAULT_ROLL) {
        roll_begin(os);
        return;
    }
    if (kind == FAULT_NEWCOMER) {
        invite_or_dismiss(w);
        return;
    }
    if (!p || p->frozen)
        return;
    world_met(w, kind);
    if (kind == FAULT_DRAIN)
        ask(w, p, ORDER_DRAIN, (int)below(w, w->config.nodes + 1) - 1, false);
    else
        ask(w, p, kind == FAULT_FORGET ? ORDER_FORGET : ORDER_FORCE,
            whom_to_forget(w, kind == FAULT_FORCE_FORGET), false);
}

static void on_next(struct world *w, struct sim_event *e)
{
    static const enum sim_fault kinds[] = {FAULT_FORGET, FAULT_FORCE_FORGET, FAULT_DRAIN,
                                           FAULT_ROLL, FAULT_NEWCOMER};
    enum sim_fault on[ARRAY_LEN(kinds)];
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (sim_fault_on(&w->config, kinds[i]))
            on[count++] = kinds[i];
    if (count == 0)
        return;
    give(w->operators, on[below(w, count)]);
    world_after(w, e, (1 + below(w, 2ull * w->config.order_ms)) * NS_PER_MS);
}

struct operators *operators_new(struct world *w)
{
    struct operators *os = calloc(1, sizeof *os);

    CHECK(os);
    os->w = w;
    list_init(&os->orders);
    event_init(&os->next, on_next);
    event_init(&os->roll, on_roll);
    return os;
}

void operators_free(struct operators *os)
{
    if (!os)
        return;
    CHECK(list_empty(&os->orders));
    free(os);
}

void operators_start(struct world *w)
{
    world_after(w, &w->operators->next, (1 + below(w, 2ull * w->config.order_ms)) * NS_PER_MS);
}

void operators_calm(struct world *w)
{
    w->operators->rolling = false;
    world_cancel(w, &w->operators->next);
    world_cancel(w, &w->operators->roll);
}

bool operators_rolling(const struct world *w)
{
    return w->operators->rolling;
}

void operators_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->operators->orders)
    {
        struct order *o = LIST_ENTRY(it, struct order, link);
        bool roll = o->roll;
        if (o->p != p)
            continue;
        order_free(w, o);
        if (roll)
            rolls_on(w->operators, KELPIE_E_UNREACHABLE);
    }
}

size_t operators_orders_of(const struct world *w, const struct process *p)
{
    size_t n = 0;
    LIST_FOREACH(it, &w->operators->orders)
    {
        n += LIST_ENTRY(it, struct order, link)->p == p;
    }
    return n;
}

const struct operator_stats *operators_stats(const struct world *w)
{
    return &w->operators->stats;
}
