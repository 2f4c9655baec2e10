#include <stdlib.h>

#include "sim/checkers/checks.h"
#include "sim/faults/sim_emptied.h"
#include "sim/report/sim_record.h"
#include "sim/steps/sim_steps.h"
#include "sim/steps/sim_turns.h"
#include "sim/workload/sim_posts.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

/*
 * What the nodes hold, after each step of one of them. A conflict between two nodes begins with a
 * gain of one of them (a claim, a lease, an activation, a view), and only a step of its own gives
 * it that: so each step compares what this one gained with what the others hold.
 */

struct seen {
    enum node_state state;
    uint64_t incarnation;
    uint64_t claim;
    uint64_t view_number;
    uint64_t activations;            /* a sum that every change of the set moves */
    uint64_t lease_end_ns;           /* by the local clock */
    uint64_t looked_ns, majority_ns; /* as primary */
    struct shadow_actor **runs;
    size_t run_count, run_cap;
};

struct checks *checks_new(struct world *w)
{
    struct checks *c = calloc(1, sizeof *c);
    CHECK(c);
    (void)w;
    return c;
}

void checks_free(struct checks *c)
{
    free(c);
}

const char *check_name(enum check c)
{
    static const char *const names[CHECK_COUNT] = {
#define SIM_CHECK_NAME(NAME, name) name,
        SIM_CHECKS(SIM_CHECK_NAME)
#undef SIM_CHECK_NAME
    };
    return names[c];
}

static struct cluster *cluster_of(const struct process *p)
{
    struct node *n = process_node(p);
    return n ? node_cluster(n) : NULL;
}

static bool has_lease(const struct process *p)
{
    return cluster_lease_left_ns(cluster_of(p)) > 0;
}

/* ---- views */

static bool view_has(const struct view *v, const char *id)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->members[i].node_id, id) == 0)
            return true;
    return false;
}

static void check_held_view(struct process *p, const struct cluster *c)
{
    struct world *w = p->world;
    const struct view *v = cluster_view(c);
    enum node_state state = cluster_state(c);
    struct view_record sum = {0};

    if (state == NODE_ACTIVE)
        COMPARE(w, CHECK_ATOMICITY, view_has(v, cluster_config_of(c)->node_id),
                "n%u is Active by itself, but not in the view %llu that it holds", p->node + 1,
                (unsigned long long)v->number);
    else if (state == NODE_LEFT || state == NODE_JOINING)
        COMPARE(w, CHECK_ATOMICITY, v->count == 0, "n%u is %s, and holds view %llu", p->node + 1,
                node_state_name(state), (unsigned long long)v->number);
    if (v->count == 0)
        return;
    for (size_t i = 0; i < v->count; i++) {
        uint64_t hi, lo;
        shadow_member_hash(v->members[i].node_id, v->members[i].incarnation, &hi, &lo);
        sum.hash_hi += hi;
        sum.hash_lo += lo;
    }
    const struct shadow *s = w->shadow;
    bool known = v->number >= s->view_base && v->number - s->view_base < s->view_count;
    const struct view_record *stored = known ? &s->views[v->number - s->view_base] : NULL;
    COMPARE(w, CHECK_CONSISTENCY,
            stored && stored->count == v->count && stored->hash_hi == sum.hash_hi &&
                stored->hash_lo == sum.hash_lo,
            "n%u holds a view %llu of %zu members that is not the one stored under that number",
            p->node + 1, (unsigned long long)v->number, v->count);
}

static void check_pair(struct world *w, unsigned left, const struct process *p)
{
    const struct cluster *c = cluster_of(p);
    const struct shadow_node *holder = &w->shadow->nodes[p->node];
    char id[8] = {'n', (char)('1' + left), 0};

    if (!c || holder->rec.state != NODE_ACTIVE || !uuid_equal(holder->rec.boot, p->boot) ||
        holder->rec.incarnation != cluster_incarnation(c) || !has_lease(p))
        return;
    COMPARE(w, CHECK_LEAVE_DETECTION, !view_has(cluster_view(c), id),
            "%s has left, but n%u, Active with a lease, holds view %llu with it", id, p->node + 1,
            (unsigned long long)cluster_view(c)->number);
}

void check_leave_detection(struct world *w, const struct process *only)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        if (!w->shadow->nodes[n].there || w->shadow->nodes[n].rec.state != NODE_LEFT)
            continue;
        if (only) {
            check_pair(w, n, only);
            continue;
        }
        LIST_FOREACH(it, &w->processes)
        {
            check_pair(w, n, LIST_ENTRY(it, struct process, link));
        }
    }
}

/* ---- primary */

static void check_primary(struct process *p, uint64_t claim)
{
    struct world *w = p->world;

    LIST_FOREACH(it, &w->processes)
    {
        const struct process *q = LIST_ENTRY(it, struct process, link);
        const struct cluster *c = cluster_of(q);
        if (q == p || !c)
            continue;
        COMPARE(w, CHECK_SPLIT_BRAIN, claim == 0 || cluster_claim(c) == 0 || !has_lease(q),
                "n%u claims term %llu with a lease, and so does n%u with term %llu", p->node + 1,
                (unsigned long long)claim, q->node + 1, (unsigned long long)cluster_claim(c));
    }
}

#define LOOK_NS (200 * NS_PER_MS)
#define REACH_SLACK_MS 2000

/* A claim outlives the majority by a lease, the intervals until that is noticed, and no more. */
static void check_reach(struct process *p, struct seen *seen, bool anew)
{
    struct world *w = p->world;
    const struct timing *t = &w->config.timing;
    uint64_t bound = 3 * timing_lease_ns(t) + (4ull * t->heartbeat_ms + REACH_SLACK_MS) * NS_PER_MS;

    if (!anew && w->now_ns - seen->looked_ns < LOOK_NS)
        return;
    seen->looked_ns = w->now_ns;
    if (anew || check_reaches(w, p->node))
        seen->majority_ns = w->now_ns;
    COMPARE(w, CHECK_REACH, w->now_ns - seen->majority_ns <= bound,
            "n%u is primary, and has not heard from a majority for %llu ms", p->node + 1,
            (unsigned long long)((w->now_ns - seen->majority_ns) / NS_PER_MS));
}

/* Whoever has a lease again holds the view that was stored when its heartbeat landed, or a later. */
static void check_resumed(const struct process *p, const struct cluster *c)
{
    const struct shadow_node *n = &p->world->shadow->nodes[p->node];

    bool hosts = cluster_state(c) == NODE_ACTIVE || cluster_state(c) == NODE_LEAVING;

    if (!hosts || !uuid_equal(n->heartbeat.boot, p->boot))
        return;
    COMPARE(p->world, CHECK_RESUMES, cluster_view(c)->number >= n->view_then,
            "n%u has a lease again and holds view %llu, but its heartbeat landed in view %llu",
            p->node + 1, (unsigned long long)cluster_view(c)->number,
            (unsigned long long)n->view_then);
}

/* ---- activations */

struct collect {
    struct process *p;
    struct seen *seen;
    struct shadow_actor **runs;
    size_t count, cap;
    bool leased;
};

static void compare_holders(const struct shadow_actor *a, const struct process *p,
                            uint64_t generation)
{
    struct world *w = p->world;

    w->checks->compared[CHECK_SINGLE_ACTIVATION]++;
    for (unsigned i = 0; i < a->holder_count; i++) {
        const struct holder *h = &a->holders[i];
        char me[PROCESS_NAME_SIZE], other[PROCESS_NAME_SIZE];
        if (h->p == p)
            continue;
        COMPARE(
            w, CHECK_SINGLE_ACTIVATION, !has_lease(h->p),
            "%s/%s runs on %s in generation %llu and on %s in generation %llu, both with a lease",
            a->type, a->id, process_name(p, me), (unsigned long long)generation,
            process_name(h->p, other), (unsigned long long)h->generation);
    }
}

static void holder_drop(struct shadow_actor *a, const struct process *p)
{
    for (unsigned i = 0; i < a->holder_count; i++) {
        if (a->holders[i].p == p) {
            a->holders[i] = a->holders[--a->holder_count];
            return;
        }
    }
}

static void on_activation(void *arg, const char *type, const char *id, uint64_t generation)
{
    struct collect *c = arg;
    struct shadow_actor *a = shadow_actor(c->p->world->shadow, type, id);

    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 32;
        c->runs = realloc(c->runs, c->cap * sizeof *c->runs);
        CHECK(c->runs);
    }
    c->runs[c->count++] = a;
    CHECK(a->holder_count < HOLDERS_MAX);
    a->holders[a->holder_count++] = (struct holder){.p = c->p, .generation = generation};
    if (c->leased)
        compare_holders(a, c->p, generation);
}

static void check_activations(struct process *p, struct seen *seen, bool leased)
{
    struct collect c = {.p = p, .seen = seen, .cap = seen->run_cap, .leased = leased};

    for (size_t i = 0; i < seen->run_count; i++)
        holder_drop(seen->runs[i], p);
    c.runs = seen->runs;
    actors_each(node_actors(process_node(p)), on_activation, &c);
    seen->runs = c.runs;
    seen->run_count = c.count;
    seen->run_cap = c.cap;
}

static uint64_t activation_sum(const struct process *p)
{
    const struct actors_stats *s = actors_stats(node_actors(process_node(p)));
    return s->activated + s->deactivated + s->suspended + (s->activations << 40);
}

/* ---- */

/* Nothing is wrong in this run but that callbacks take long, and none longer than a quarter of a lease:
 * whatever they are and however many, no lease runs out over them. */
static void check_lease_kept(struct process *p, const struct cluster *c)
{
    const struct sim_config *config = &p->world->config;

    if (config->faults != 1ull << FAULT_ACTOR_SLOW || p->overslept ||
        2 * config->slow_handler_ms > config->timing.lease_ms / 4) /* twice in a callback */
        return;
    COMPARE(p->world, CHECK_LEASE_KEPT, cluster_stats(c)->suspends == 0,
            "n%u lost its lease though no callback takes more than %u ms of %u", p->node + 1,
            2 * config->slow_handler_ms, config->timing.lease_ms);
}

void checks_on_step(struct process *p)
{
    const struct cluster *c = cluster_of(p);
    if (!c)
        return;
    if (!p->seen) {
        p->seen = calloc(1, sizeof(struct seen));
        CHECK(p->seen);
    }
    struct seen *seen = p->seen;
    uint64_t now = process_clock(p, p->world->now_ns);
    uint64_t left = cluster_lease_left_ns(c), claim = cluster_claim(c);
    uint64_t sum = activation_sum(p);
    bool leased = left > 0, gained = leased && now >= seen->lease_end_ns;
    bool view = cluster_state(c) != seen->state || cluster_incarnation(c) != seen->incarnation ||
                cluster_view(c)->number != seen->view_number;

    check_lease_kept(p, c);
    told_on_step(p);
    losses_on_step(p);
    if (view)
        check_held_view(p, c);
    if (leased && (view || gained))
        check_leave_detection(p->world, p);
    if (leased && (gained || claim != seen->claim))
        check_primary(p, claim);
    if (gained)
        check_resumed(p, c);
    if (leased && claim)
        check_reach(p, seen, gained || claim != seen->claim);
    if (sum != seen->activations || (gained && seen->run_count > 0))
        check_activations(p, seen, leased);
    seen->state = cluster_state(c);
    seen->incarnation = cluster_incarnation(c);
    seen->view_number = cluster_view(c)->number;
    seen->claim = claim;
    seen->activations = sum;
    seen->lease_end_ns = leased ? now + left : 0;
}

void checks_on_end(struct process *p)
{
    struct seen *seen = p->seen;

    told_on_end(p);
    if (!seen)
        return;
    for (size_t i = 0; i < seen->run_count; i++)
        holder_drop(seen->runs[i], p);
    free(seen->runs);
    free(seen);
    p->seen = NULL;
}

void checks_on_commit(struct world *w, const struct commit_seen *commit)
{
    struct shadow_change change = {.seen = commit};

    if (!w->shadow)
        return; /* a world without checkers */
    if (!emptied_idle(w)) {
        emptied_commit(w, commit);
        return;
    }
    shadow_apply(w->shadow, &change);
    check_commit(w->shadow, &change);
    check_old_life(w->shadow, &change);
    if (w->record)
        record_commit(w);
    if (w->steps)
        steps_on_commit(w, &change);
    if (w->turns)
        turns_on_commit(w, &change);
}

/* The rows of a backup, taken in as one commit; what was only in memory of the checkers is kept. */
void checks_on_set_back(struct world *w, const struct store_write *rows, size_t count)
{
    const struct commit_seen commit = {.writes = rows, .write_count = count};
    struct shadow_change change = {.seen = &commit};

    posts_set_back(w);
    shadow_reset(w->shadow);
    w->checks->grey = (struct grey){0};
    memset(w->checks->unnamed, 0, sizeof w->checks->unnamed);
    shadow_apply(w->shadow, &change);
    check_commit(w->shadow, &change);
}

void checks_on_range_read(struct world *w, const struct process *p, struct bytes begin,
                          struct bytes end)
{
    struct shadow_actor *a = w->shadow ? shadow_actor_of_state(w->shadow, begin) : NULL;

    (void)end;
    if (a && a->place.placed && uuid_equal(a->place.boot, p->boot) &&
        a->place.generation > a->loaded)
        a->loaded = a->place.generation;
}
