/*
 * Leaving, of the node or of a type that it does not host any more: every activation is stopped and handed over, a
 * bounded number at a time, then the placements of this incarnation that have no activation, until the store
 * lists none.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static void on_timer(void *arg);

static void init(struct drain *d, struct actors *a, const char *name)
{
    d->actors = a;
    timer_init(&d->timer, a->env->timers, name, on_timer, d);
}

void drain_init(struct actors *a)
{
    init(&a->drain, a, "actors_drain");
    init(&a->types_drain, a, "types_drain");
}

bool drain_idle(const struct actors *a)
{
    return !txn_active(&a->drain.list) && !txn_active(&a->types_drain.list);
}

static void stop(struct drain *d)
{
    d->on = false;
    timer_stop(&d->timer);
    txn_cancel(&d->list);
}

void drain_cancel(struct actors *a)
{
    stop(&a->drain);
    stop(&a->types_drain);
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

/* The next activation behind `at` of that class, or of any (NULL); NULL: there is none. */
static struct kelpie_actor *next_one(const struct actors *a, const struct kelpie_class *class,
                                     const struct actor_name *at)
{
    struct map_node *n = map_after(&a->activations, actor_name_bytes(at));
    struct kelpie_actor *act = MAP_ENTRY(n, struct kelpie_actor, node);

    /* Those of a type lie together. */
    return act && (!class || act->class == class) ? act : NULL;
}

/* Before the first of these. */
static struct actor_name before_all(const struct kelpie_class *class)
{
    return class ? actor_name_of(class->type, "") : (struct actor_name){.len = 0};
}

static bool some_left(const struct drain *d)
{
    struct actor_name start = before_all(d->class);

    return next_one(d->actors, d->class, &start) != NULL;
}

/* Walks on through the table; true when there is nothing left to tell. */
static bool stop_some(struct drain *d)
{
    struct actors *a = d->actors;

    while (stops_have_room(a)) {
        struct kelpie_actor *act = next_one(a, d->class, &d->cursor);

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

/* A placement that the store lists and that nothing here answers for. */
static void stop_listed(struct actors *a, struct store_row listed)
{
    struct key_parts parts;
    struct by_node_record row;
    struct buf scratch;
    const struct kelpie_class *class;
    struct kelpie_actor *act;
    int error = key_parse(a->ks, listed.key, &parts);

    buf_init(&scratch, a->env->mem);
    if (!error)
        error = by_node_record_decode(listed.key, listed.value, &scratch, &row);
    buf_deinit(&scratch);
    class = error ? NULL : actors_class(a, parts.type);
    if (!class || row.generation == 0 || act_find(a, parts.type, parts.id))
        return;
    act = act_new(a, class, parts.id, ACT_STOPPING);
    SOMETIMES("drain-of-a-placement-without-activation");
    act->generation = row.generation;
    act_stop_placement(act, STOP_HAND_OVER);
}

static void finish(struct drain *d)
{
    const struct kelpie_class *class = d->class;

    d->drained = true;
    if (!class) {
        cluster_drained(d->actors->cluster);
        return;
    }
    d->on = false;
    d->class = NULL;
    types_over(d->actors, class);
}

static void on_listed(struct txn *txn, int status)
{
    struct drain *d = txn->arg;
    struct actors *a = d->actors;
    struct store_result rows;

    if (a->closed || !d->on)
        return;
    if (status || !cluster_may_act(a->cluster)) {
        timer_start(&d->timer, DRAIN_PAUSE_NS);
        return;
    }
    rows = rule_rows(txn, 0);
    if ((rows.count == 0 || MUTANT("drain")) && !some_left(d)) {
        finish(d);
        return;
    }
    for (size_t i = 0; i < rows.count && a->stopping < STOPS_MAX; i++)
        stop_listed(a, rows.rows[i]);
    timer_start(&d->timer, DRAIN_PAUSE_NS);
}

static void drain_step(struct drain *d)
{
    struct actors *a = d->actors;
    struct host self = actors_self(a);

    if (!d->on || d->drained || a->closed || txn_active(&d->list))
        return;
    if (!cluster_may_act(a->cluster))
        return; /* actors_resume goes on */
    if (!stop_some(d)) {
        if (a->stopping == 0)
            timer_start(&d->timer, DRAIN_PAUSE_NS);
        return;
    }
    if (some_left(d)) {
        /* Some are still on their way: look at all of them again in a while. */
        d->cursor = before_all(d->class);
        if (!d->timer.armed)
            timer_start(&d->timer, DRAIN_PAUSE_NS);
        return;
    }
    timer_stop(&d->timer);
    list_txn(&d->list, a->env, a->ks, &self, d->class ? d->class->type : NULL, STOPS_MAX, on_listed,
             d);
    txn_start(&d->list);
}

static void on_timer(void *arg)
{
    drain_step(arg);
}

static void start(struct drain *d, const struct kelpie_class *class)
{
    d->on = true;
    d->drained = false;
    d->class = class;
    d->cursor = before_all(d->class);
    timer_start(&d->timer, 0);
}

void drain_soon(struct actors *a)
{
    struct drain *both[] = {&a->drain, &a->types_drain};

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (both[i]->on && !both[i]->drained && !a->closed)
            timer_start(&both[i]->timer, 0);
    }
}

/* Also called again when the store still lists something that is placed here. */
void actors_drain(struct actors *a)
{
    if (!a->closed)
        start(&a->drain, NULL);
}

void drain_type(struct actors *a, const struct kelpie_class *class)
{
    CHECK(!a->types_drain.on && !a->closed);
    start(&a->types_drain, class);
}

void drain_type_stop(struct actors *a)
{
    stop(&a->types_drain);
    a->types_drain.class = NULL;
}

static void resume(struct drain *d)
{
    d->cursor = before_all(d->class);
    if (d->on && !d->drained)
        timer_start(&d->timer, 0);
}

void drain_resume(struct actors *a)
{
    resume(&a->types_drain);
    if (!a->drain.on)
        return;
    if (cluster_state(a->cluster) != NODE_LEAVING && !MUTANT("drainstays")) {
        stop(&a->drain); /* another life, or the leave was called off */
        return;
    }
    resume(&a->drain);
}
