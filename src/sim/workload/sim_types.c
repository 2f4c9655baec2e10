#include "sim/workload/sim_types.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/activation.h"
#include "base/mark.h"
#include "kelpie/error.h"
#include "sim/checkers/checks.h"
#include "sim/world/sim_host.h"

#define TYPES_COUNT 4       /* "counter" first */
#define BURST_IN 4          /* steps of which one is more than one change, */
#define BURST_MAX 6         /* of so many, close together */
#define OTHER_VERSION_IN 4  /* whoever is hosted is asked for in another version */
#define HOSTS_AT_FIRST_IN 4 /* lives of which one begins without a type */
#define CALM_MS 500

struct come_and_go {
    struct types_life *life;
    struct kelpie_class class, other; /* other: of another version */
    bool wanted;
    bool there; /* taken by the node, and not told to be gone since */
};

struct types_life {
    struct process *p;
    struct actors *actors;
    struct sim_event event;
    bool stopped;
    struct come_and_go types[TYPES_COUNT];
};

static const char *const names[TYPES_COUNT] = {"counter", "whim0", "whim1", "whim2"};

static uint64_t below(struct types_life *l, uint64_t bound)
{
    return world_below(l->p->world, STREAM_TYPES, bound);
}

static const struct come_and_go *find(const struct types_life *l, const char *type)
{
    for (size_t i = 0; l && i < TYPES_COUNT; i++)
        if (strcmp(names[i], type) == 0)
            return &l->types[i];
    return NULL;
}

bool types_has(const struct types_life *l, const char *type)
{
    return find(l, type) != NULL;
}

bool types_wants(const struct types_life *l, const char *type)
{
    const struct come_and_go *t = find(l, type);
    return t && t->wanted;
}

static void host(struct come_and_go *t);

static void on_gone(void *arg, const char *type)
{
    struct come_and_go *t = arg;

    COMPARE(t->life->p->world, CHECK_TYPES, t->there && !t->wanted,
            "n%u was told that nothing is left of %s, which it wants", t->life->p->node + 1, type);
    t->there = false;
}

/* What a node says to a type that it is asked to host, or to one of another version. */
static void expect(const struct come_and_go *t, int status, int wanted, const char *why)
{
    COMPARE(t->life->p->world, CHECK_TYPES, status == wanted,
            "n%u says %s to %s, and should say %s: %s", t->life->p->node + 1,
            kelpie_error_name(status), t->class.type, kelpie_error_name(wanted), why);
}

static void host(struct come_and_go *t)
{
    char why[256] = "";
    int status;

    if (!t->there && t->class.type != names[0])
        t->class.version = (uint32_t)below(t->life, 3);
    status = actors_host(t->life->actors, &t->class, on_gone, t, why, sizeof why);
    expect(t, status, 0, why);
    t->wanted = t->there = true;
}

static void ask_for_another(struct come_and_go *t)
{
    char why[256] = "";
    int status;

    t->other = t->class;
    t->other.version++;
    status = actors_host(t->life->actors, &t->other, on_gone, t, why, sizeof why);
    expect(t, status, t->wanted ? KELPIE_E_REFUSED : KELPIE_E_UNAVAILABLE, why);
}

static void change(struct types_life *l)
{
    struct come_and_go *t = &l->types[below(l, TYPES_COUNT)];

    if (t->there && below(l, OTHER_VERSION_IN) == 0) {
        ask_for_another(t);
    } else if (t->wanted) {
        actors_unhost(l->actors, t->class.type);
        t->wanted = false;
    } else {
        host(t);
    }
}

/* The first that is not away for good; all, where there is not room for everything on one. */
static bool keeps(const struct types_life *l)
{
    struct world *w = l->p->world;
    unsigned n = 0;

    while (n < w->config.nodes && (host_dead_for_good(w, n) || host_is_out(w, n)))
        n++;
    return n == l->p->node || w->config.room;
}

/* Others go on as they are: what they host has gone to the one that keeps, or comes. */
static void be_calm(struct types_life *l)
{
    if (keeps(l) && !l->types[0].wanted)
        host(&l->types[0]);
}

static void on_event(struct world *w, struct sim_event *e)
{
    struct types_life *l = CONTAINER_OF(e, struct types_life, event);
    struct process *p = l->p;
    uint64_t changes = 1, ms;

    if (process_hold(p, e) || l->stopped || process_closing(p))
        return;
    ms = w->calm ? CALM_MS : 1 + below(l, 2 * w->config.types_ms);
    if (!w->calm && below(l, BURST_IN) == 0)
        changes += below(l, BURST_MAX);
    world_after(w, &l->event, ms * NS_PER_MS);
    process_enter(p, PROCESS_ORDER, 5);
    if (w->calm)
        be_calm(l);
    for (uint64_t i = 0; i < changes && !w->calm; i++)
        change(l);
    process_leave(p);
}

struct types_life *types_life_begin(struct process *p)
{
    struct types_life *l;

    if (!p->world->config.types_ms)
        return NULL;
    l = calloc(1, sizeof *l);
    CHECK(l);
    l->p = p;
    event_init(&l->event, on_event);
    for (size_t i = 0; i < TYPES_COUNT; i++) {
        l->types[i].life = l;
        l->types[i].class = i == 0 ? kelpie_class_counter : kelpie_class_echo;
        l->types[i].class.type = names[i];
    }
    return l;
}

void types_life_start(struct types_life *l, struct actors *a)
{
    if (!l)
        return;
    l->actors = a;
    for (size_t i = 0; i < TYPES_COUNT; i++)
        if (below(l, HOSTS_AT_FIRST_IN) > 0)
            host(&l->types[i]);
    world_after(l->p->world, &l->event, (1 + below(l, l->p->world->config.types_ms)) * NS_PER_MS);
}

void types_life_stop(struct types_life *l)
{
    if (!l)
        return;
    l->stopped = true;
    world_cancel(l->p->world, &l->event);
}

void types_life_free(struct types_life *l)
{
    free(l);
}

/* ---- in the calm */

static bool row_has(const struct shadow_node *n, const char *type)
{
    const struct types_record *r = &n->types;

    if (r->incarnation != n->rec.incarnation || !uuid_equal(r->boot, n->rec.boot))
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->types[i].type, type) == 0)
            return true;
    return false;
}

static bool has_activation(const struct actors *a, const char *type)
{
    struct actor_name before = actor_name_of(type, "");
    struct map_node *n = map_after(&a->activations, actor_name_bytes(&before));
    const struct kelpie_actor *act = MAP_ENTRY(n, const struct kelpie_actor, node);

    return act && strcmp(act_type(act), type) == 0;
}

static bool as_wanted(const struct types_life *l, char *why, size_t why_size)
{
    unsigned n = l->p->node;

    for (size_t i = 0; i < TYPES_COUNT; i++) {
        const struct come_and_go *t = &l->types[i];
        enum type_hosting h = actors_type(l->actors, names[i], NULL);
        bool row = row_has(&l->p->world->shadow->nodes[n], names[i]);
        bool acts = has_activation(l->actors, names[i]);
        if (h == (t->wanted ? TYPE_HOSTED : TYPE_UNKNOWN) && row == t->wanted &&
            (t->wanted || (!acts && !t->there)))
            continue;
        (void)snprintf(why, why_size, "n%u %s %s: %s, its row %s, %s activations, %s", n + 1,
                       t->wanted ? "wants" : "does not want", names[i], type_hosting_name(h),
                       row ? "has it" : "does not have it", acts ? "some" : "no",
                       t->there ? "not told to be gone" : "not there");
        return false;
    }
    return true;
}

bool check_types(struct world *w, char *why, size_t why_size)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct process *p = host_process(w, n, SIM_SLOT_NODE);
        const struct types_life *l = p ? process_types(p) : NULL;
        if (l && l->actors && !process_closing(p) && !as_wanted(l, why, why_size))
            return false;
    }
    return true;
}
