#include <stdlib.h>

#include "sim/steps/sim_steps_link.h"
#include "sim/world/sim_host.h"

static const struct {
    const char *name;
    unsigned needs;
} actions[STEP_ACTION_COUNT] = {
#define STEP_ROW(NAME, needs) {#NAME, needs},
    STEP_ACTIONS(STEP_ROW)
#undef STEP_ROW
};

const char *step_name(enum step_action a)
{
    return actions[a].name;
}

bool step_in_spec(enum step_action a)
{
    return !(actions[a].needs & STEP_EXTRA);
}

struct steps *steps_new(bool states)
{
    struct steps *s = calloc(1, sizeof *s);

    CHECK(s);
    s->states = states;
    sim_mem_init(&s->mem);
    buf_init(&s->scratch, sim_mem_of(&s->mem));
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        struct step_tracked *t = &s->nodes[n];
        t->crash_line = t->expire_line = t->notice_line = t->revive_line = STEP_NOWHERE;
        t->lent_line = STEP_NOWHERE;
        t->die_line = t->declare_line = STEP_NOWHERE;
    }
    return s;
}

void steps_free(struct steps *s)
{
    if (!s)
        return;
    sim_mem_free_all(&s->mem);
    free(s->lines);
    free(s);
}

void steps_start(struct world *w)
{
    struct steps *s = w->steps;

    s->w = w;
    s->actors = w->config.actors < STEP_ACTORS_MAX ? w->config.actors : STEP_ACTORS_MAX;
    for (unsigned a = 0; a < s->actors; a++) {
        const char id[] = {'a', (char)('0' + a), 0};
        s->followed[a] = shadow_actor(w->shadow, STEP_TYPE, id);
    }
}

int step_actor(const struct steps *s, const char *type, const char *id)
{
    int a = id[0] == 'a' && id[1] && !id[2] ? id[1] - '0' : -1;

    return strcmp(type, STEP_TYPE) == 0 && a >= 0 && (unsigned)a < s->actors ? a : -1;
}

bool step_runs_any(const struct step_model *m)
{
    for (unsigned a = 0; a < STEP_ACTORS_MAX; a++)
        if (m->runs[a])
            return true;
    return false;
}

uint32_t step_members(const struct steps *s)
{
    uint32_t set = 0;

    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (s->rows[n].state == NODE_ACTIVE)
            set |= 1u << n;
    return set;
}

/* ---- the state after a step */

static const struct cluster *cluster_of(const struct process *p)
{
    struct node *n = p ? process_node(p) : NULL;
    return n ? node_cluster(n) : NULL;
}

/* Its incarnation, as the specification counts. */
static uint32_t life_now(const struct step_tracked *t, const struct cluster *c)
{
    return shadow_life(t->p->world->shadow, (int)t->p->node, cluster_incarnation(c));
}

/* What its own transaction has done to its row, the process learns with the answer. */
static bool behind(const struct step_model *m, const struct cluster *c, uint32_t incarnation)
{
    enum node_state state = cluster_state(c);

    switch (m->me) {
    case NODE_JOINING:
        return state == NODE_LEFT && incarnation < m->incarnation;
    case NODE_ACTIVE:
        return (state == NODE_LEFT && incarnation < m->incarnation) ||
               (state == NODE_JOINING && incarnation == m->incarnation);
    case NODE_LEAVING:
        return state == NODE_ACTIVE && incarnation == m->incarnation;
    default:
        return state == NODE_LEAVING && incarnation == m->incarnation;
    }
}

static uint32_t held_members(const struct view *v)
{
    uint32_t set = 0;

    for (size_t i = 0; i < v->count; i++)
        set |= 1u << shadow_node_number(v->members[i].node_id);
    return set;
}

static void look_at(const struct step_tracked *t, struct step_node *out)
{
    const struct cluster *c = cluster_of(t->p);
    uint32_t incarnation = c ? life_now(t, c) : 0;

    out->me = NODE_LEFT;
    out->known = c ? !behind(&t->model, c, incarnation) : t->model.me == NODE_LEFT;
    if (!c || !out->known)
        return;
    out->me = cluster_state(c);
    out->me_incarnation = incarnation;
    out->view = (uint32_t)cluster_view(c)->number;
    out->members = held_members(cluster_view(c));
    out->claim = (uint32_t)cluster_claim(c);
    out->lease = cluster_lease_left_ns(c) > 0;
    memcpy(out->runs, t->ran, sizeof out->runs);
}

static void look(const struct steps *s, struct step *l)
{
    l->store = s->store;
    memcpy(l->nodes, s->rows, sizeof l->nodes);
    for (unsigned n = 0; n < s->w->config.nodes; n++)
        look_at(&s->nodes[n], &l->nodes[n]);
    if (s->stepping)
        l->nodes[s->stepping - 1].known = false;
}

static size_t append(struct steps *s, enum step_action a, unsigned node)
{
    if (s->count == STEP_LINES_MAX) {
        s->full = true;
        s->count--;
    }
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->lines = realloc(s->lines, s->cap * sizeof *s->lines);
        CHECK(s->lines);
    }
    struct step *l = &s->lines[s->count];
    l->action = a;
    l->live = true;
    l->implied = false;
    l->at_ns = s->w->now_ns;
    l->node = node + 1;
    l->other = l->actor = l->number = l->with = 0;
    if (s->states)
        look(s, l);
    return s->count++;
}

static void lapse(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];
    bool two = host_process(s->w, node, SIM_SLOT_NODE) && host_process(s->w, node, SIM_SLOT_TWIN);

    t->expired = t->model;
    t->model.lease = false;
    t->expire_line = append(s, STEP_LeaseExpire, node);
    t->notice_line = STEP_NOWHERE;
    /* Perhaps that was the end of an older process, seen from the one that follows it. */
    if (two)
        s->lines[append(s, STEP_TwinExpire, node)].live = false;
}

static bool has_lease(const struct process *p)
{
    const struct cluster *c = cluster_of(p);
    return c && cluster_lease_left_ns(c) > 0;
}

/* Leases end without an event: what has ended since the last line is said before the next. */
static void expire_due(struct steps *s)
{
    if (s->expiring)
        return;
    s->expiring = true;
    for (unsigned n = 0; n < s->w->config.nodes; n++) {
        struct step_tracked *t = &s->nodes[n];
        const struct cluster *c = cluster_of(t->p);
        if (t->twin && !has_lease(t->twin_p)) {
            t->twin = 0;
            append(s, STEP_TwinExpire, n);
        }
        if (c && t->model.lease && !behind(&t->model, c, life_now(t, c)) && !has_lease(t->p))
            lapse(s, n);
    }
    s->expiring = false;
}

void step_prepare(struct steps *s, enum step_action a, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];

    expire_due(s);
    if (!(actions[a].needs & STEP_STORE) || !t->cut_off)
        return;
    t->cut_off = false;
    append(s, STEP_HealStore, node);
}

size_t step_add(struct steps *s, enum step_action a, unsigned node)
{
    step_prepare(s, a, node);
    return append(s, a, node);
}

size_t step_reserve(struct steps *s, enum step_action a, unsigned node)
{
    step_prepare(s, a, node);
    size_t at = append(s, a, node);
    s->lines[at].live = false;
    return at;
}

void step_doubt(struct steps *s, size_t from, unsigned node)
{
    for (size_t i = from; s->states && i < s->count; i++)
        s->lines[i].nodes[node].known = false;
}

void step_expire(struct steps *s, unsigned node)
{
    const struct step_tracked *t = &s->nodes[node];

    if (t->model.lease && !has_lease(t->p))
        lapse(s, node);
}

void step_no_member(struct step_tracked *t)
{
    t->model = (struct step_model){.me = NODE_LEFT, .incarnation = t->model.incarnation};
    t->p = NULL;
    t->activations = 0;
    memset(t->ran, 0, sizeof t->ran);
    t->expire_line = t->notice_line = t->revive_line = t->lent_line = STEP_NOWHERE;
}

void step_gone(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];

    step_prepare(s, STEP_NodeCrash, node);
    t->dead = t->model.owner;
    t->p = NULL;
    t->was = t->model;
    t->crash_line = STEP_NOWHERE;
    step_no_member(t);
    if (t->was.me != NODE_LEFT)
        t->crash_line = step_add(s, STEP_NodeCrash, node);
}

/* ---- what a node does by itself */

struct looked {
    const struct steps *s;
    uint32_t *ran;
};

static void on_activation(void *arg, const char *type, const char *id, uint64_t generation)
{
    const struct looked *l = arg;
    int a = step_actor(l->s, type, id);

    if (a >= 0)
        l->ran[a] = shadow_generation(l->s->followed[a], generation);
}

static void look_at_activations(struct steps *s, struct step_tracked *t)
{
    const struct actors *actors = node_actors(process_node(t->p));
    const struct actors_stats *stats = actors_stats(actors);
    uint64_t sum =
        stats->activated + stats->deactivated + stats->suspended + (stats->activations << 40);
    struct looked l = {.s = s, .ran = t->ran};

    if (sum == t->activations)
        return;
    t->activations = sum;
    memset(t->ran, 0, sizeof t->ran);
    actors_each(actors, on_activation, &l);
}

/* Its own life is over for it: declared failed, or given up by itself. */
static void forgot(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];
    const struct step_node *row = &s->rows[node];
    bool current = row->incarnation == t->model.incarnation && row->state == t->model.me;

    step_no_member(t);
    step_add(s, current ? STEP_NodeCrash : STEP_SendHeartbeat, node);
}

/* That heartbeat read the view: what the node took since, without a lease, is no news. */
static void read_with_lease(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];

    for (size_t i = t->revive_line + 1; i < s->count; i++) {
        struct step *l = &s->lines[i];
        if (l->action == STEP_SyncViews && l->node == node + 1 && l->number <= t->revive_view)
            l->live = false;
    }
    if (t->model.view < t->revive_view)
        t->model.view = t->revive_view;
}

/* The heartbeat that renewed the lease stands where it landed. */
static void revived(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];

    if (t->revive_line == STEP_NOWHERE) {
        step_add(s, STEP_SendHeartbeat, node);
    } else {
        s->lines[t->revive_line].live = true;
        if (t->lent_line != STEP_NOWHERE && t->lent_line > t->revive_line)
            s->lines[t->lent_line].live = false;
        if (t->model.me == NODE_ACTIVE)
            read_with_lease(s, node);
    }
    t->model.lease = true;
    t->expire_line = t->notice_line = t->revive_line = t->lent_line = STEP_NOWHERE;
}

/* The node took a view: it read it when it was the stored one. */
static void took_view(struct steps *s, unsigned node, uint32_t view)
{
    struct step_tracked *t = &s->nodes[node];

    t->model.view = view;
    for (unsigned i = 0; i < STEP_VIEWS_MAX && view < s->store.view; i++) {
        if (t->read_at[i].view != view)
            continue;
        s->lines[t->read_at[i].line].live = true;
        step_doubt(s, t->read_at[i].line, node);
        return;
    }
    size_t at = step_add(s, STEP_SyncViews, node);
    s->lines[at].number = view;
}

static void stopped(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];
    struct step_model *m = &t->model;
    bool runs = false;

    for (unsigned a = 0; a < s->actors; a++)
        runs |= t->ran[a] != 0;
    if (!m->lease && !runs && cluster_claim(cluster_of(t->p)) == 0 &&
        (m->claim || step_runs_any(m))) {
        m->claim = 0;
        memset(m->runs, 0, sizeof m->runs);
        t->notice_line = step_add(s, STEP_Notice, node);
        return;
    }
    for (unsigned a = 0; a < s->actors; a++) {
        if (!m->runs[a] || t->ran[a] == m->runs[a])
            continue;
        size_t at = step_add(s, STEP_Deactivate, node);
        s->lines[at].actor = a + 1;
        s->lines[at].number = m->runs[a];
        m->runs[a] = 0;
    }
}

static void started(struct steps *s, unsigned node)
{
    struct step_tracked *t = &s->nodes[node];

    for (unsigned a = 0; a < s->actors; a++) {
        if (!t->ran[a] || t->model.runs[a])
            continue;
        size_t at = step_add(s, STEP_Activate, node);
        s->lines[at].actor = a + 1;
        s->lines[at].number = t->ran[a];
        t->model.runs[a] = t->ran[a];
    }
}

static void step_of(struct steps *s, struct process *p, const struct cluster *c)
{
    struct step_tracked *t = &s->nodes[p->node];

    if (cluster_state(c) == NODE_LEFT) {
        if (t->model.me != NODE_LEFT)
            forgot(s, p->node);
        return;
    }
    if (has_lease(p) && !t->model.lease)
        revived(s, p->node);
    if (!has_lease(p) && t->model.lease)
        lapse(s, p->node);
    if (cluster_state(c) == NODE_ACTIVE && cluster_view(c)->number > t->model.view)
        took_view(s, p->node, (uint32_t)cluster_view(c)->number);
    stopped(s, p->node);
    started(s, p->node);
}

/* What the process believes now is the state after the last of its steps, not after each. */
void steps_on_step(struct process *p)
{
    struct steps *s = p->world->steps;
    struct step_tracked *t = &s->nodes[p->node];
    const struct cluster *c = cluster_of(p);
    size_t from = s->count;

    if (t->p != p || !c)
        return;
    look_at_activations(s, t);
    if (behind(&t->model, c, life_now(t, c)))
        return;
    s->stepping = p->node + 1;
    step_of(s, p, c);
    s->stepping = 0;
    for (size_t i = s->count; s->states && i-- > from;) {
        if (!s->lines[i].live)
            continue;
        look_at(t, &s->lines[i].nodes[p->node]);
        return;
    }
}

void steps_on_end(struct process *p)
{
    struct steps *s = p->world->steps;
    struct step_tracked *t = &s->nodes[p->node];

    if (t->twin && t->twin_p == p) {
        t->twin = 0;
        step_add(s, STEP_TwinExpire, p->node);
    }
    if (t->p == p)
        step_gone(s, p->node);
    if (t->joining == p->life && s->rows[p->node].state == NODE_LEFT) {
        t->die_life = p->life;
        t->die_line = step_reserve(s, STEP_DieJoining, p->node);
        t->declare_line = STEP_NOWHERE;
    }
    if (t->joining == p->life)
        t->joining = 0;
}

/* ---- the network */

void steps_on_cut(struct world *w, unsigned from, unsigned to, bool cut)
{
    struct steps *s = w->steps;
    unsigned both = s->cuts[from][to] + s->cuts[to][from];

    s->cuts[from][to] += cut ? 1u : 0u - 1u;
    if ((cut && both > 0) || (!cut && both > 1))
        return;
    size_t at = step_add(s, cut ? STEP_CreatePartition : STEP_HealPartition, from);
    s->lines[at].other = to + 1;
}

void steps_on_store_cut(struct world *w, unsigned node, bool cut)
{
    struct step_tracked *t = &w->steps->nodes[node];

    t->store_cuts += cut ? 1u : 0u - 1u;
    if ((t->store_cuts > 0) == t->cut_off)
        return;
    if (t->cut_off || cut) {
        step_add(w->steps, cut ? STEP_CutStore : STEP_HealStore, node);
        t->cut_off = cut;
    }
}
