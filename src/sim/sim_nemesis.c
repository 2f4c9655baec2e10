#include "sim/sim_nemesis.h"

#include <stdlib.h>

#include "sim/sim_host.h"
#include "sim/sim_net.h"
#include "sim/sim_record.h"
#include "sim/sim_store.h"

#define TROUBLES_MAX 24 /* that last, at the same time */
#define KILL_ALL_IN 8   /* the whole cluster dies in one of so many of its turns */

/* One that lasts. */
struct trouble {
    struct sim_event event; /* its end */
    struct nemesis *n;
    bool on;
    enum sim_fault kind;
    uint32_t from, to; /* sets of nodes: cut between them; or whose store is cut */
    unsigned node, slot, life;
};

struct nemesis {
    struct world *w;
    struct sim_event next;
    struct trouble troubles[TROUBLES_MAX];
    uint64_t counts[FAULT_COUNT];
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_FAULT, bound);
}

/* ---- trouble that lasts */

static void cut_links(struct world *w, const struct trouble *t, bool cut)
{
    for (unsigned a = 0; a < w->config.nodes; a++) {
        for (unsigned b = 0; b < w->config.nodes; b++) {
            if (a == b || !(t->from >> a & 1u) || !(t->to >> b & 1u))
                continue;
            sim_net_cut(w->net, a, b, cut);
            if (t->kind == FAULT_PARTITION)
                sim_net_cut(w->net, b, a, cut);
        }
    }
}

static void apply(struct world *w, const struct trouble *t, bool on)
{
    if (w->record && t->kind != FAULT_FREEZE)
        record_trouble(w, t->kind, t->from, t->to, on);
    switch (t->kind) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        cut_links(w, t, on);
        break;
    case FAULT_STORE_CUT:
        for (unsigned n = 0; n < w->config.nodes; n++)
            if (t->from >> n & 1u)
                sim_store_cut(w, n, on);
        break;
    default: {
        struct process *p = host_process(w, t->node, t->slot);
        if (!p || p->life != t->life)
            break;
        if (on)
            process_freeze(p);
        else
            process_thaw(p);
    }
    }
}

static void on_trouble_ends(struct world *w, struct sim_event *e)
{
    struct trouble *t = CONTAINER_OF(e, struct trouble, event);
    t->on = false;
    apply(w, t, false);
}

static void begin(struct nemesis *n, const struct trouble *like)
{
    struct world *w = n->w;

    for (unsigned i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &n->troubles[i];
        if (t->on)
            continue;
        struct sim_event event = t->event;
        *t = *like;
        t->event = event;
        t->n = n;
        t->on = true;
        apply(w, t, true);
        world_after(w, &t->event, (20 + below(w, w->config.fault_ms_max)) * NS_PER_MS);
        n->counts[t->kind]++;
        return;
    }
}

/* A set of nodes: one, a pair's half, a minority, or (for the store) all. */
static uint32_t some_nodes(struct world *w, unsigned one)
{
    uint32_t set = 1u << one;

    if (below(w, 2) == 0)
        return set;
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (below(w, 2))
            set |= 1u << n;
    return set;
}

static void begin_cut(struct nemesis *n, enum sim_fault kind, unsigned node)
{
    struct world *w = n->w;
    uint32_t all = (1u << w->config.nodes) - 1;
    struct trouble t = {.kind = kind};

    t.from = some_nodes(w, node);
    t.to = all & ~t.from;
    if (below(w, 3) == 0) {
        t.from = 1u << node;
        t.to = 1u << below(w, w->config.nodes);
    }
    if (kind == FAULT_ONE_WAY && below(w, 2)) {
        uint32_t swap = t.from;
        t.from = t.to;
        t.to = swap;
    }
    if (kind == FAULT_STORE_CUT && below(w, 6) == 0)
        t.from = all;
    begin(n, &t);
}

static void begin_freeze(struct nemesis *n, const struct process *p)
{
    struct trouble t = {.kind = FAULT_FREEZE, .node = p->node, .slot = p->slot, .life = p->life};
    if (!p->frozen)
        begin(n, &t);
}

/* ---- */

static void strike(struct nemesis *n, enum sim_fault kind)
{
    struct world *w = n->w;
    struct process *p = hosts_pick(w, STREAM_FAULT, below(w, 3) == 0);

    if (!p)
        return;
    switch (kind) {
    case FAULT_CRASH:
        n->counts[kind]++;
        host_kill(w, p->node, p->slot, HOST_CRASH);
        break;
    case FAULT_HOST:
        n->counts[kind]++;
        host_kill(w, p->node, p->slot, HOST_DOWN);
        break;
    case FAULT_KILL_ALL:
        if (below(w, KILL_ALL_IN))
            return;
        n->counts[kind]++;
        hosts_kill_all(w);
        break;
    case FAULT_LEAVE:
        n->counts[kind] += host_leave(w, p);
        break;
    case FAULT_TWIN:
        n->counts[kind]++;
        host_twin(w, p->node);
        break;
    case FAULT_FREEZE:
        begin_freeze(n, p);
        break;
    default:
        begin_cut(n, kind, p->node);
    }
}

static void on_next(struct world *w, struct sim_event *e)
{
    static const enum sim_fault kinds[] = {
        FAULT_CRASH,   FAULT_HOST,      FAULT_KILL_ALL, FAULT_FREEZE, FAULT_PARTITION,
        FAULT_ONE_WAY, FAULT_STORE_CUT, FAULT_LEAVE,    FAULT_TWIN,
    };
    enum sim_fault on[ARRAY_LEN(kinds)];
    size_t count = 0;

    if (w->calm)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (sim_fault_on(&w->config, kinds[i]))
            on[count++] = kinds[i];
    if (count == 0)
        return;
    strike(w->nemesis, on[below(w, count)]);
    world_after(w, e, (1 + below(w, 2ull * w->config.disaster_ms)) * NS_PER_MS);
}

struct nemesis *nemesis_new(struct world *w)
{
    struct nemesis *n = calloc(1, sizeof *n);

    CHECK(n);
    n->w = w;
    event_init(&n->next, on_next);
    for (unsigned i = 0; i < TROUBLES_MAX; i++)
        event_init(&n->troubles[i].event, on_trouble_ends);
    return n;
}

void nemesis_free(struct nemesis *n)
{
    free(n);
}

void nemesis_start(struct world *w)
{
    world_after(w, &w->nemesis->next, below(w, 4000) * NS_PER_MS);
}

void nemesis_calm(struct world *w)
{
    struct nemesis *n = w->nemesis;

    w->calm = true;
    world_cancel(w, &n->next);
    for (unsigned i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &n->troubles[i];
        if (!t->on)
            continue;
        t->on = false;
        world_cancel(w, &t->event);
        apply(w, t, false);
    }
    sim_net_heal(w->net);
    sim_store_heal(w);
}

const uint64_t *nemesis_counts(const struct world *w)
{
    return w->nemesis->counts;
}
