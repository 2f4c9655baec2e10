#include "sim/report/sim_record.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/actor_message.h"
#include "env/txn.h"
#include "rpc/rpc_message.h"
#include "sim/checkers/checks.h"
#include "sim/world/sim_host.h"

#define ASKED_MAX 8192 /* requests remembered, to know what an answer is about */

struct name {
    struct map_node node;
    uint32_t number;
    char text[];
};

/* The bars of one process that are still open, by their place; RECORD_NOWHERE: none. */
struct open_bars {
    uint32_t bar[BAR_COUNT];
    uint64_t lease_end_ns, activations;
    uint32_t *runs; /* bars of activations */
    size_t run_count, run_cap;
};

struct asked {
    uint64_t id;
    uint32_t actor, name;
    unsigned node;
};

struct record {
    struct record_bar *bars;
    size_t bar_count, bar_cap;
    struct record_line *lines;
    size_t line_count, line_cap;
    uint64_t dropped, end_ns;
    struct map names;
    struct name *by_number[RECORD_NAMES_MAX];
    uint32_t name_count;
    struct open_bars open[SIM_NODES_MAX][SIM_SLOTS];
    uint32_t stored_view, stored_primary, state[SIM_NODES_MAX];
    uint32_t trouble[FAULT_COUNT][64]; /* by set of nodes, folded */
    struct asked asked[ASKED_MAX];
};

struct record *record_new(void)
{
    struct record *r = calloc(1, sizeof *r);

    CHECK(r);
    map_init(&r->names);
    r->stored_view = r->stored_primary = RECORD_NOWHERE;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        r->state[n] = RECORD_NOWHERE;
        for (unsigned s = 0; s < SIM_SLOTS; s++)
            for (unsigned b = 0; b < BAR_COUNT; b++)
                r->open[n][s].bar[b] = RECORD_NOWHERE;
    }
    memset(r->trouble, 0xff, sizeof r->trouble);
    return r;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->name_count; i++)
        free(r->by_number[i]);
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        for (unsigned s = 0; s < SIM_SLOTS; s++)
            free(r->open[n][s].runs);
    free(r->bars);
    free(r->lines);
    free(r);
}

/* ---- names, bars, lines */

static uint32_t name_of(struct record *r, const char *text)
{
    size_t len = strlen(text);
    struct map_node *found = map_find(&r->names, bytes_of(text, len));

    if (found)
        return MAP_ENTRY(found, struct name, node)->number;
    if (r->name_count == RECORD_NAMES_MAX)
        return RECORD_NOWHERE;
    struct name *n = calloc(1, sizeof *n + len + 1);
    CHECK(n);
    memcpy(n->text, text, len);
    n->number = r->name_count;
    r->by_number[r->name_count++] = n;
    map_insert(&r->names, &n->node, bytes_of(n->text, len));
    return n->number;
}

static uint32_t actor_of(struct record *r, const char *type, const char *id)
{
    char text[ACTOR_TYPE_MAX + ACTOR_ID_MAX + 2];

    (void)snprintf(text, sizeof text, "%s/%s", type, id);
    return name_of(r, text);
}

static uint32_t bar_begin(struct world *w, const struct record_bar *like)
{
    struct record *r = w->record;

    if (r->bar_count == RECORD_BARS_MAX) {
        r->dropped++;
        return RECORD_NOWHERE;
    }
    if (r->bar_count == r->bar_cap) {
        r->bar_cap = r->bar_cap ? r->bar_cap * 2 : 1024;
        r->bars = realloc(r->bars, r->bar_cap * sizeof *r->bars);
        CHECK(r->bars);
    }
    struct record_bar *b = &r->bars[r->bar_count];
    *b = *like;
    b->from_ns = w->now_ns;
    b->to_ns = RECORD_OPEN;
    return (uint32_t)r->bar_count++;
}

static void bar_end(struct world *w, uint32_t *at, uint64_t now_ns)
{
    struct record *r = w->record;

    if (*at != RECORD_NOWHERE)
        r->bars[*at].to_ns = now_ns < r->bars[*at].from_ns ? r->bars[*at].from_ns : now_ns;
    *at = RECORD_NOWHERE;
}

/* One bar goes on while its value does; 0: there is none. */
static void bar_set(struct world *w, uint32_t *at, const struct record_bar *like)
{
    struct record *r = w->record;

    if (*at != RECORD_NOWHERE && r->bars[*at].value == like->value)
        return;
    bar_end(w, at, w->now_ns);
    if (like->value)
        *at = bar_begin(w, like);
}

static void line_add(struct world *w, const struct record_line *like)
{
    struct record *r = w->record;

    if (r->line_count == RECORD_LINES_MAX) {
        size_t half = r->line_count / 2;
        memmove(r->lines, r->lines + half, (r->line_count - half) * sizeof *r->lines);
        r->line_count -= half;
        r->dropped += half;
    }
    if (r->line_count == r->line_cap) {
        r->line_cap = r->line_cap ? r->line_cap * 2 : 4096;
        r->lines = realloc(r->lines, r->line_cap * sizeof *r->lines);
        CHECK(r->lines);
    }
    struct record_line *l = &r->lines[r->line_count++];
    *l = *like;
    l->to_ns = w->now_ns;
}

/* ---- processes */

static struct open_bars *open_of(const struct process *p)
{
    return &p->world->record->open[p->node][p->slot];
}

static struct record_bar bar_of(const struct process *p, enum record_bar_kind kind, uint64_t value)
{
    return (struct record_bar){.kind = (uint8_t)kind,
                               .node = (uint8_t)p->node,
                               .slot = (uint8_t)p->slot,
                               .actor = RECORD_NOWHERE,
                               .value = value};
}

void record_life_begins(struct process *p)
{
    struct record_bar life = bar_of(p, BAR_LIFE, p->life);
    open_of(p)->bar[BAR_LIFE] = bar_begin(p->world, &life);
}

void record_life_ends(struct process *p)
{
    struct open_bars *o = open_of(p);
    struct world *w = p->world;
    uint64_t now = w->now_ns;

    for (unsigned b = 0; b < BAR_COUNT; b++)
        bar_end(w, &o->bar[b], b == BAR_LEASE && o->lease_end_ns < now ? o->lease_end_ns : now);
    for (size_t i = 0; i < o->run_count; i++)
        bar_end(w, &o->runs[i], now);
    o->run_count = 0;
    o->activations = 0;
}

void record_freeze(const struct process *p, bool frozen)
{
    struct record_bar bar = bar_of(p, BAR_FREEZE, frozen);
    bar_set(p->world, &open_of(p)->bar[BAR_FREEZE], &bar);
}

struct runs {
    struct process *p;
    struct open_bars *o;
    uint32_t *old;
    size_t old_count;
};

static void on_run(void *arg, const char *type, const char *id, uint64_t generation)
{
    struct runs *runs = arg;
    struct open_bars *o = runs->o;
    struct world *w = runs->p->world;
    struct record_bar bar = bar_of(runs->p, BAR_ACTIVATION, generation);
    uint32_t at = RECORD_NOWHERE;

    bar.actor = actor_of(w->record, type, id);
    for (size_t i = 0; i < runs->old_count && at == RECORD_NOWHERE; i++) {
        const struct record_bar *b = &w->record->bars[runs->old[i]];
        if (runs->old[i] == RECORD_NOWHERE || b->actor != bar.actor || b->value != generation)
            continue;
        at = runs->old[i];
        runs->old[i] = RECORD_NOWHERE;
    }
    if (o->run_count == o->run_cap) {
        o->run_cap = o->run_cap ? o->run_cap * 2 : 16;
        o->runs = realloc(o->runs, o->run_cap * sizeof *o->runs);
        CHECK(o->runs);
    }
    o->runs[o->run_count++] = at != RECORD_NOWHERE ? at : bar_begin(w, &bar);
}

static void step_activations(struct process *p, struct open_bars *o)
{
    const struct actors *actors = node_actors(process_node(p));
    const struct actors_stats *s = actors_stats(actors);
    uint64_t sum = s->activated + s->deactivated + s->suspended + (s->activations << 40);
    struct runs runs = {.p = p, .o = o, .old_count = o->run_count};

    if (sum == o->activations)
        return;
    o->activations = sum;
    runs.old = calloc(o->run_count + 1, sizeof *runs.old);
    CHECK(runs.old);
    if (o->run_count)
        memcpy(runs.old, o->runs, o->run_count * sizeof *runs.old);
    o->run_count = 0;
    actors_each(actors, on_run, &runs);
    for (size_t i = 0; i < runs.old_count; i++)
        bar_end(p->world, &runs.old[i], p->world->now_ns);
    free(runs.old);
}

void record_step(struct process *p)
{
    struct node *node = process_node(p);
    struct world *w = p->world;
    struct open_bars *o = open_of(p);

    if (!node)
        return;
    const struct cluster *c = node_cluster(node);
    uint64_t left = cluster_lease_left_ns(c);
    struct record_bar view = bar_of(p, BAR_VIEW, cluster_view(c)->number);
    struct record_bar claim = bar_of(p, BAR_CLAIM, cluster_claim(c));
    struct record_bar lease = bar_of(p, BAR_LEASE, 1);

    bar_set(w, &o->bar[BAR_VIEW], &view);
    bar_set(w, &o->bar[BAR_CLAIM], &claim);
    if (left == 0 || o->lease_end_ns < w->now_ns)
        bar_end(w, &o->bar[BAR_LEASE], o->lease_end_ns < w->now_ns ? o->lease_end_ns : w->now_ns);
    if (left > 0) {
        bar_set(w, &o->bar[BAR_LEASE], &lease);
        o->lease_end_ns = w->now_ns + left;
    }
    step_activations(p, o);
}

/* ---- the world */

void record_trouble(struct world *w, enum sim_fault kind, uint32_t from, uint32_t to, bool on)
{
    struct record *r = w->record;
    enum record_bar_kind bar_kind = kind == FAULT_PARTITION ? BAR_PARTITION
                                    : kind == FAULT_ONE_WAY ? BAR_ONE_WAY
                                                            : BAR_STORE_CUT;
    struct record_bar bar = {
        .kind = (uint8_t)bar_kind, .actor = RECORD_NOWHERE, .value = (uint64_t)from << 16 | to};

    for (size_t i = 0; i < ARRAY_LEN(r->trouble[kind]); i++) {
        uint32_t *at = &r->trouble[kind][i];
        if (on && *at == RECORD_NOWHERE) {
            *at = bar_begin(w, &bar);
            return;
        }
        if (!on && *at != RECORD_NOWHERE && r->bars[*at].value == bar.value) {
            bar_end(w, at, w->now_ns);
            return;
        }
    }
}

void record_commit(struct world *w)
{
    const struct shadow *s = w->shadow;
    struct record *r = w->record;
    struct record_bar view = {
        .kind = BAR_STORED_VIEW, .actor = RECORD_NOWHERE, .value = s->view.number};
    struct record_bar primary = {.kind = BAR_STORED_PRIMARY, .actor = RECORD_NOWHERE};

    if (s->primary_there && !s->primary.vacant)
        primary.value =
            s->primary.term << 8 | (unsigned)(shadow_node_number(s->primary.node_id) + 1);
    bar_set(w, &r->stored_view, &view);
    bar_set(w, &r->stored_primary, &primary);
    for (unsigned n = 0; n < w->config.nodes; n++) {
        struct record_bar state = {.kind = BAR_STATE,
                                   .node = (uint8_t)n,
                                   .actor = RECORD_NOWHERE,
                                   .value = s->nodes[n].there ? s->nodes[n].rec.state : 0};
        bar_set(w, &r->state[n], &state);
    }
}

void record_mark(struct world *w, unsigned node, unsigned slot, const char *name)
{
    struct record_line l = {.kind = LINE_MARK,
                            .from_ns = w->now_ns,
                            .node = (uint8_t)node,
                            .slot = (uint8_t)slot,
                            .peer = (uint8_t)node,
                            .actor = RECORD_NOWHERE,
                            .name = name_of(w->record, name)};
    line_add(w, &l);
}

/* ---- lines */

static void about_rpc(struct record *r, struct record_line *l, const struct rpc_message *m)
{
    static const char *const kinds[] = {"rpc", "ping", "actor call", "admin"};
    unsigned caller = m->is_answer ? l->peer : l->node;
    struct asked *a = &r->asked[(m->id * 31 + caller) % ASKED_MAX];
    struct actor_request request;

    l->status = m->status;
    l->value = m->is_answer;
    if (m->is_answer) {
        bool known = a->id == m->id && a->node == caller;
        l->actor = known ? a->actor : RECORD_NOWHERE;
        l->name = known ? a->name : name_of(r, "answer");
        return;
    }
    l->name = name_of(r, kinds[m->kind < ARRAY_LEN(kinds) ? m->kind : 0]);
    if (m->kind == RPC_ACTOR_CALL && actor_request_decode(m->payload, &request) == 0)
        l->actor = actor_of(r, request.type, request.id);
    *a = (struct asked){.id = m->id, .node = caller, .actor = l->actor, .name = l->name};
}

void record_frame(struct world *w, const struct record_line *about, struct bytes frame)
{
    struct record_line l = *about;
    struct rpc_message m;

    l.kind = LINE_MESSAGE;
    l.actor = RECORD_NOWHERE;
    if (rpc_message_decode(net_frame_payload(frame), &m) == 0)
        about_rpc(w->record, &l, &m);
    else
        l.name = name_of(w->record, "frame");
    line_add(w, &l);
}

const char *record_action(const struct process *p, const struct store_req *req)
{
    const struct list *txns = p->env.txns;

    LIST_FOREACH(it, txns)
    {
        const struct txn *t = LIST_ENTRY(it, struct txn, link);
        if (&t->req == req)
            return t->action;
    }
    return NULL;
}

void record_request(struct world *w, const struct record_line *about, const char *action,
                    struct bytes key)
{
    struct record_line l = *about;
    struct key_parts parts;

    l.actor = RECORD_NOWHERE;
    if (key.len > 0 && key_parse(&w->shadow->ks, key, &parts) == 0 && parts.type[0] && parts.id[0])
        l.actor = actor_of(w->record, parts.type, parts.id);
    l.name = name_of(w->record, action ? action : "request");
    line_add(w, &l);
}

void record_call(struct world *w, const struct record_line *about, const char *method,
                 const char *type, const char *id)
{
    struct record_line l = *about;

    l.kind = LINE_CALL;
    l.actor = actor_of(w->record, type, id);
    l.name = name_of(w->record, method);
    line_add(w, &l);
}

/* ---- the end */

void record_finish(struct world *w)
{
    struct record *r = w->record;

    r->end_ns = w->now_ns;
    LIST_FOREACH(it, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        struct open_bars *o = open_of(p);
        if (o->lease_end_ns < w->now_ns)
            bar_end(w, &o->bar[BAR_LEASE], o->lease_end_ns);
    }
    for (size_t i = 0; i < r->bar_count; i++)
        if (r->bars[i].to_ns == RECORD_OPEN)
            r->bars[i].to_ns = w->now_ns;
}

const struct record_bar *record_bars(const struct record *r, size_t *count)
{
    *count = r->bar_count;
    return r->bars;
}

const struct record_line *record_lines(const struct record *r, size_t *count)
{
    *count = r->line_count;
    return r->lines;
}

const char *record_name(const struct record *r, uint32_t name)
{
    return name < r->name_count ? r->by_number[name]->text : "";
}

size_t record_names(const struct record *r)
{
    return r->name_count;
}

uint64_t record_dropped(const struct record *r)
{
    return r->dropped;
}

uint64_t record_end_ns(const struct record *r)
{
    return r->end_ns;
}

const char *record_bar_name(enum record_bar_kind k)
{
    static const char *const names[BAR_COUNT] = {
#define RECORD_BAR_NAME(NAME, name) name,
        RECORD_BARS(RECORD_BAR_NAME)
#undef RECORD_BAR_NAME
    };
    return names[k];
}
