#include "worker/hub.h"

#include "actor/chain.h"
#include "base/mark.h"
#include "kelpie/error.h"
#include "worker/hub_internal.h"

static bool rests(const struct hub *h, const struct hub_worker *w)
{
    return w->rests_until_ns > env_now_ns(h->env);
}

static void on_look(void *arg)
{
    struct hub *h = arg;
    uint64_t now = env_now_ns(h->env), next = UINT64_MAX;

    hub_look(h);
    LIST_FOREACH(l, &h->workers)
    {
        const struct hub_worker *w = LIST_ENTRY(l, const struct hub_worker, link);
        if (w->rests_until_ns > now && w->rests_until_ns < next)
            next = w->rests_until_ns;
    }
    if (next != UINT64_MAX)
        timer_start(&h->look, next - now);
}

struct hub *hub_new(const struct env *env, struct actors *actors)
{
    struct hub *h = MEM_NEW(env->mem, struct hub);

    h->env = env;
    h->actors = actors;
    list_init(&h->types);
    list_init(&h->workers);
    list_init(&h->waiting);
    list_init(&h->suspects);
    map_init(&h->counters);
    h->others.type = h->others.method = "";
    h->slots_cap = (struct cap){.name = "connections of workers", .bound = HUB_SLOTS_MAX};
    h->workers_cap = (struct cap){.name = "workers", .bound = HUB_WORKERS_MAX};
    h->turns_cap = (struct cap){.name = "turns that wait for workers", .bound = HUB_TURNS_MAX};
    timer_init(&h->look, env->timers, "hub_look", on_look, h);
    return h;
}

void hub_close(struct hub *h)
{
    h->closed = true;
    timer_stop(&h->look);
    hub_types_close(h);
    hub_slots_close(h);
}

void hub_free(struct hub *h)
{
    struct mem mem = h->env->mem;

    CHECK(h->closed && h->turn_count == 0);
    LIST_FOREACH_SAFE(l, tmp, &h->workers)
    {
        struct hub_worker *w = LIST_ENTRY(l, struct hub_worker, link);
        LIST_FOREACH_SAFE(k, tmp2, &w->slots)
        {
            struct hub_slot *s = LIST_ENTRY(k, struct hub_slot, link);
            timer_stop(&s->timer);
            s->hub = NULL;
        }
        mem_free(mem, w);
    }
    hub_types_free(h);
    hub_counts_free(h);
    mem_free(mem, h);
}

/* ---- who gets what */

void hub_worker_rests(struct hub *h, struct hub_worker *w, uint64_t ms)
{
    uint64_t until = env_now_ns(h->env) + ms * NS_PER_MS;

    if (until > w->rests_until_ns)
        w->rests_until_ns = until;
    hub_look_soon(h);
}

void hub_look_soon(struct hub *h)
{
    if (!h->closed)
        timer_start(&h->look, 0);
}

/* A worker that is kept free for a suspect runs what that calls, and so waits for. */
static bool may_have(const struct hub_worker *w, const struct hub_turn *t)
{
    const struct hub_turn *alone = w->alone_for;

    return !alone ||
           (alone->is == TURN_CALLS && chain_has(outside_chain(t->outside), alone->type->is.type,
                                                 kelpie_actor_id(outside_actor(alone->outside))));
}

void hub_place(struct hub_turn *t)
{
    struct hub *h = t->hub;

    LIST_FOREACH(l, &h->waiting)
    {
        struct hub_slot *s = LIST_ENTRY(l, struct hub_slot, waiting);
        if (hub_worker_has(s->worker, t->type) && may_have(s->worker, t) && !rests(h, s->worker)) {
            hub_slot_give(s, t);
            return;
        }
    }
    list_append(&t->type->waiting, &t->link);
}

static bool drop_unwanted(struct hub_turn *t)
{
    if (outside_wanted(t->outside))
        return false;
    hub_turn_fail(t, KELPIE_E_TIMEOUT, true,
                  "the deadline passed while the turn waited for a worker");
    return true;
}

/* The first in line of all that the worker can run, and may. */
static struct hub_turn *next_for(const struct hub_worker *w)
{
    struct hub_turn *best = NULL;

    for (size_t i = 0; i < w->type_count; i++) {
        LIST_FOREACH_SAFE(l, tmp, &w->types[i]->waiting)
        {
            struct hub_turn *t = LIST_ENTRY(l, struct hub_turn, link);
            if (drop_unwanted(t) || !may_have(w, t))
                continue;
            if (!best || t->number < best->number)
                best = t;
            break;
        }
    }
    return best;
}

/* The worker that has least to do is kept free for it. */
static void reserve(struct hub *h, struct hub_turn *t)
{
    struct hub_worker *best = NULL;

    LIST_FOREACH(l, &h->workers)
    {
        struct hub_worker *w = LIST_ENTRY(l, struct hub_worker, link);
        if ((!w->alone_for || w->alone_for->is == TURN_CALLS) && !list_empty(&w->slots) &&
            hub_worker_has(w, t->type) && !rests(h, w) && (!best || w->busy < best->busy))
            best = w;
    }
    if (!best)
        return;
    best->alone_for = t;
    t->reserved = best;
}

static void reserve_all(struct hub *h)
{
    LIST_FOREACH_SAFE(l, tmp, &h->suspects)
    {
        struct hub_turn *t = LIST_ENTRY(l, struct hub_turn, link);
        if (!drop_unwanted(t) && !t->reserved)
            reserve(h, t);
    }
}

bool hub_feed(struct hub_slot *s)
{
    struct hub_worker *w = s->worker;
    struct hub_turn *t = NULL;

    if (rests(s->hub, w))
        return false;
    reserve_all(s->hub);
    if (!w->alone_for || w->alone_for->is == TURN_CALLS)
        t = next_for(w);
    else if (w->alone_for->is == TURN_WAITS && w->busy == 0)
        t = w->alone_for;
    if (!t)
        return false;
    hub_slot_give(s, t);
    return true;
}

void hub_look(struct hub *h)
{
    reserve_all(h);
    LIST_FOREACH_SAFE(l, tmp, &h->waiting)
    {
        (void)hub_feed(LIST_ENTRY(l, struct hub_slot, waiting));
    }
}

/* ---- what is counted */

struct hub_stats hub_stats(const struct hub *h)
{
    return (struct hub_stats){.slots = h->slot_count,
                              .workers = h->worker_count,
                              .turns_waiting = h->turn_count - h->out_count,
                              .turns_out = h->out_count,
                              .refused_late = h->refused_late};
}

struct hub_count *hub_count_of(struct hub *h, const char *type, const char *method)
{
    size_t type_len = strlen(type), len = type_len + strlen(method) + 2;
    char name[ACTOR_TYPE_MAX + KELPIE_METHOD_MAX + 2];
    struct hub_counter *c;
    struct map_node *n;

    CHECK(len <= sizeof name);
    memcpy(name, type, type_len + 1);
    memcpy(name + type_len + 1, method, len - type_len - 1);
    n = map_find(&h->counters, bytes_of(name, len));
    if (n)
        return &MAP_ENTRY(n, struct hub_counter, node)->count;
    if (h->counters.count == HUB_COUNTS_MAX)
        return &h->others;
    c = mem_zalloc(h->env->mem, 1, sizeof *c + len);
    memcpy(c->name, name, len);
    c->name_len = len;
    c->count.type = c->name;
    c->count.method = c->name + type_len + 1;
    CHECK(!map_insert(&h->counters, &c->node, bytes_of(c->name, len)));
    return &c->count;
}

void hub_counts_each(const struct hub *h, void (*fn)(void *arg, const struct hub_count *c),
                     void *arg)
{
    for (struct map_node *n = map_first(&h->counters); n; n = map_next(n))
        fn(arg, &MAP_ENTRY(n, struct hub_counter, node)->count);
    if (h->others.turns > 0)
        fn(arg, &h->others);
}

void hub_counts_free(struct hub *h)
{
    struct map_node *n;

    while ((n = map_first(&h->counters))) {
        struct hub_counter *c = MAP_ENTRY(n, struct hub_counter, node);
        map_remove(&h->counters, n);
        mem_free(h->env->mem, c);
    }
}
