#include "sim/workload/sim_deadly.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "kelpie/error.h"
#include "sim/workload/sim_deadly_link.h"
#include "sim/world/sim_host.h"

#define THINK_MS 600
#define RETRY_MS_MAX 300
#define PATIENCE_MS 1500 /* beyond the deadline */
#define DIES_NUM 3
#define DIES_OF 4
#define LIFTS_IN 24
#define SENDS_IN 8

struct deadly_attempt {
    struct list link;
    struct deadly *d; /* NULL: nobody waits */
    struct process *p;
    bool dies;
};

/* ---- the class */

static struct process *process_of(const struct kelpie_actor *actor)
{
    return actor->actors->env->clock.ctx;
}

static struct deadly *deadly_of(const struct kelpie_actor *actor)
{
    return &process_of(actor)->world->deadlies->all[kelpie_actor_id(actor)[0] - 'a'];
}

static int may_die(struct deadly *d, struct process *p)
{
    struct world *w = d->w;

    if (p->stopped || !deadly_may_run(d))
        return KELPIE_E_HANDLER_FAILED;
    if (!w->calm && !w->stop && world_chance(w, STREAM_DEADLY, DIES_NUM, DIES_OF)) {
        deadly_dies(d, p->boot);
        host_dies_itself(p);
    }
    return 0;
}

static int activate(struct kelpie_actor *actor)
{
    struct deadly *d = deadly_of(actor);

    return d->whole ? may_die(d, process_of(actor)) : 0;
}

static int receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct deadly *d = deadly_of(actor);
    int error =
        strcmp(m->method, DEADLY_DIES) == 0 && !d->whole ? may_die(d, process_of(actor)) : 0;

    return error ? error : kelpie_reply_text(actor, "well");
}

const struct kelpie_class sim_class_deadly = {
    .abi = KELPIE_ABI_VERSION,
    .size = sizeof(struct kelpie_class),
    .type = DEADLY_TYPE,
    .placement = KELPIE_PLACE_LEAST_LOADED,
    .activate = activate,
    .receive = receive,
};

/* ---- clients */

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_DEADLY, bound);
}

static void next_in(struct deadly *d, uint64_t most_ms)
{
    world_after(d->w, &d->event, (1 + below(d->w, most_ms)) * NS_PER_MS + 1000);
}

static void let_go(struct deadly_attempt *a)
{
    list_remove(&a->link);
    free(a);
}

static void on_done(void *arg, int status, struct bytes reply)
{
    struct deadly_attempt *a = arg;
    struct deadly *d = a->d;
    bool dies = a->dies;
    struct world *w = a->p->world;

    (void)reply;
    w->checks->compared[CHECK_COMPLETION]++;
    let_go(a);
    if (!d)
        return;
    d->attempt = NULL;
    if (status == KELPIE_E_POISONED)
        deadly_told_poisoned(d, !dies);
    if (status == 0 && w->deadlies->probing && dies && !d->blamed)
        d->well = true;
    next_in(d, status && kelpie_error_retry(status) ? RETRY_MS_MAX : THINK_MS);
}

static void on_lifted(void *arg, int status, const char *why)
{
    (void)status;
    (void)why;
    let_go(arg);
}

static struct deadly_attempt *attempt_new(struct deadly *d, struct process *p, bool dies)
{
    struct deadly_attempt *a = calloc(1, sizeof *a);

    CHECK(a);
    a->p = p;
    a->dies = dies;
    list_append(&d->w->deadlies->attempts, &a->link);
    return a;
}

static void ask(struct deadly *d, struct process *p)
{
    struct world *w = d->w;
    bool dies = below(w, 2) == 0 || w->deadlies->probing || d->whole;
    bool sends = below(w, SENDS_IN) == 0 && dies && !w->deadlies->probing;
    const char *method = dies ? DEADLY_DIES : DEADLY_LIVES;
    char id[2] = {(char)('a' + d->number), '\0'}, request[32];
    struct deadly_attempt *a = attempt_new(d, p, dies);

    a->d = d;
    d->attempt = a;
    (void)snprintf(request, sizeof request, "d%u.%u", d->number, ++d->asked);
    world_after(w, &d->event, (w->config.call_deadline_ms + PATIENCE_MS) * NS_PER_MS);
    process_enter(p, PROCESS_CALL, d->number);
    if (sends)
        actors_send(node_actors(process_node(p)), DEADLY_TYPE, id, method, request, 0,
                    bytes_of_str(""), 0, w->config.call_deadline_ms, on_done, a);
    else
        actors_call(node_actors(process_node(p)), DEADLY_TYPE, id, method, request, 0,
                    bytes_of_str(""), w->config.call_deadline_ms, on_done, a);
    process_leave(p);
}

static void lift(struct deadly *d, struct process *p)
{
    char id[2] = {(char)('a' + d->number), '\0'};
    struct deadly_attempt *a = attempt_new(d, p, false);

    d->lifted_ns = d->w->now_ns;
    process_enter(p, PROCESS_ORDER, d->number);
    node_lift_poison(process_node(p), DEADLY_TYPE, id, d->whole ? NULL : DEADLY_DIES, on_lifted, a);
    process_leave(p);
}

static void on_due(struct world *w, struct sim_event *e)
{
    struct deadly *d = CONTAINER_OF(e, struct deadly, event);
    struct process *p = hosts_pick(w, STREAM_DEADLY, false);
    bool lifts = below(w, LIFTS_IN) == 0;

    if (d->attempt)
        d->attempt->d = NULL;
    d->attempt = NULL;
    if (w->deadlies->stopped)
        return;
    if (!p || p->frozen || process_closing(p)) {
        next_in(d, RETRY_MS_MAX);
    } else if (lifts && !w->deadlies->probing) {
        lift(d, p);
        next_in(d, THINK_MS);
    } else {
        ask(d, p);
    }
}

/* ---- the world's side */

struct deadlies *deadlies_new(struct world *w)
{
    struct deadlies *ds = calloc(1, sizeof *ds);

    CHECK(ds);
    ds->w = w;
    list_init(&ds->attempts);
    ds->count = w->config.deadly;
    ds->all = calloc(ds->count + 1, sizeof *ds->all);
    CHECK(ds->all);
    for (unsigned i = 0; i < ds->count; i++) {
        ds->all[i].w = w;
        ds->all[i].number = i;
        ds->all[i].whole = i % 3 == 2;
        event_init(&ds->all[i].event, on_due);
    }
    return ds;
}

void deadlies_free(struct deadlies *ds)
{
    if (!ds)
        return;
    CHECK(list_empty(&ds->attempts));
    free(ds->all);
    free(ds);
}

void deadlies_start(struct world *w)
{
    for (unsigned i = 0; i < w->deadlies->count; i++)
        next_in(&w->deadlies->all[i], 3000);
}

void deadlies_probe(struct world *w)
{
    w->deadlies->probing = true;
}

bool deadlies_settled(struct world *w, char *why, size_t why_size)
{
    for (unsigned i = 0; i < w->deadlies->count; i++) {
        const struct deadly *d = &w->deadlies->all[i];
        if (d->well)
            continue;
        (void)snprintf(why, why_size, "deadly/%c is %s", 'a' + (int)i,
                       d->blamed ? "not forgiven" : "not known to be well");
        return false;
    }
    return true;
}

void deadlies_stop(struct world *w)
{
    w->deadlies->stopped = true;
}

void deadlies_process_gone(struct world *w, const struct process *p)
{
    LIST_FOREACH_SAFE(it, tmp, &w->deadlies->attempts)
    {
        struct deadly_attempt *a = LIST_ENTRY(it, struct deadly_attempt, link);
        struct deadly *d = a->d;
        if (a->p != p)
            continue;
        let_go(a);
        if (!d)
            continue;
        d->attempt = NULL;
        next_in(d, RETRY_MS_MAX);
    }
}

size_t deadlies_calls_of(const struct world *w, const struct process *p)
{
    size_t n = 0;

    LIST_FOREACH(it, &w->deadlies->attempts)
    {
        n += LIST_ENTRY(it, struct deadly_attempt, link)->p == p;
    }
    return n;
}
