/*
 * Leaving: every activation is stopped and handed over, a bounded number at a time, then the
 * placements of this incarnation that have no activation, until the store lists none.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void on_timer(void *arg);

void drain_init(struct actors *a)
{
    timer_init(&a->drain.timer, a->env->timers, "actors_drain", on_timer, a);
}

bool drain_idle(const struct actors *a)
{
    return !txn_active(&a->drain.list);
}

void drain_cancel(struct actors *a)
{
    timer_stop(&a->drain.timer);
    txn_cancel(&a->drain.list);
}

/* Tells one activation to stop. Those that load, commit or wait for answers of others stop
 * by themselves when that is done. */
static void stop_one(struct kelpie_actor *act)
{
    if (act->state == ACT_IDLE && !act->current && !act->open) {
        act_stop_later(act); /* a turn of a node that drains hands it over */
    } else if (act->state == ACT_UNSETTLED) {
        /* A hand-over of the same generation excludes whatever may still land. */
        SOMETIMES("drain-of-an-unsettled-actor");
        act_set_state(act, ACT_STOPPING);
        act_stop_placement(act, STOP_HAND_OVER);
    }
}

/* Walks on through the table; true when there is nothing left to tell. */
static bool stop_some(struct actors *a)
{
    struct drain *d = &a->drain;

    while (stops_have_room(a)) {
        struct map_node *n = map_after(&a->activations, actor_name_bytes(&d->cursor));
        struct kelpie_actor *act = MAP_ENTRY(n, struct kelpie_actor, node);

        if (!act)
            return true;
        memcpy(d->cursor.data, act->name, act->name_len);
        d->cursor.len = act->name_len;
        if (act->taken_back)
            continue;
        stop_one(act);
        if (!cluster_may_act(a->cluster))
            return false;
    }
    return false;
}

static void on_listed(struct txn *txn, int status)
{
    struct actors *a = txn->arg;
    struct store_result rows;

    if (a->closed || !a->drain.on)
        return;
    if (status || !cluster_may_act(a->cluster)) {
        timer_start(&a->drain.timer, DRAIN_PAUSE_NS);
        return;
    }
    rows = rule_rows(txn, 0);
    if ((rows.count == 0 || MUTANT("drain")) && a->activations.count == 0) {
        a->drain.drained = true;
        cluster_drained(a->cluster);
        return;
    }
    for (size_t i = 0; i < rows.count && a->stopping < STOPS_MAX; i++) {
        struct key_parts parts;
        struct by_node_record row;
        struct buf scratch;
        const struct kelpie_class *class;
        int error = key_parse(a->ks, rows.rows[i].key, &parts);

        buf_init(&scratch, a->env->mem);
        if (!error)
            error = by_node_record_decode(rows.rows[i].key, rows.rows[i].value, &scratch, &row);
        buf_deinit(&scratch);
        class = error ? NULL : actors_class(a, parts.type);
        if (class && row.generation > 0 && !act_find(a, parts.type, parts.id)) {
            struct kelpie_actor *act = act_new(a, class, parts.id, ACT_STOPPING);
            SOMETIMES("drain-of-a-placement-without-activation");
            act->generation = row.generation;
            act_stop_placement(act, STOP_HAND_OVER);
        }
    }
    timer_start(&a->drain.timer, DRAIN_PAUSE_NS);
}

static void drain_step(struct actors *a)
{
    struct drain *d = &a->drain;
    struct host self = actors_self(a);

    if (!d->on || d->drained || a->closed || txn_active(&d->list))
        return;
    if (!cluster_may_act(a->cluster))
        return; /* actors_resume goes on */
    if (!stop_some(a)) {
        if (a->stopping == 0)
            timer_start(&d->timer, DRAIN_PAUSE_NS);
        return;
    }
    if (a->activations.count > 0) {
        /* Some are still on their way: look at all of them again in a while. */
        d->cursor.len = 0;
        if (!d->timer.armed)
            timer_start(&d->timer, DRAIN_PAUSE_NS);
        return;
    }
    timer_stop(&d->timer);
    list_txn(&d->list, a->env, a->ks, &self, STOPS_MAX, on_listed, a);
    txn_start(&d->list);
}

static void on_timer(void *arg)
{
    drain_step(arg);
}

void drain_soon(struct actors *a)
{
    if (a->drain.on && !a->drain.drained && !a->closed)
        timer_start(&a->drain.timer, 0);
}

/* Also called again when the store still lists something that is placed here. */
void actors_drain(struct actors *a)
{
    if (a->closed)
        return;
    a->drain.on = true;
    a->drain.drained = false;
    a->drain.cursor.len = 0;
    timer_start(&a->drain.timer, 0);
}

void drain_resume(struct actors *a)
{
    struct drain *d = &a->drain;

    if (!d->on)
        return;
    if (cluster_state(a->cluster) != NODE_LEAVING && !MUTANT("drainstays")) {
        d->on = false; /* another life, or the leave was called off */
        timer_stop(&d->timer);
        txn_cancel(&d->list);
        return;
    }
    d->cursor.len = 0;
    if (!d->drained)
        timer_start(&d->timer, 0);
}
