#include "sim/checkers/shadow.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/checkers/checks.h"
#include "sim/workload/sim_chains.h"
#include "sim/workload/sim_deadly.h"
#include "sim/workload/sim_posts.h"
#include "sim/workload/sim_trial.h"
#include "sim/workload/sim_users.h"
#include "sim/workload/sim_workload.h"
#include "sim/world/sim_net.h"

/* A request id that an actor has applied. */
struct shadow_request {
    struct map_node node;
    struct list link; /* in `applied`, during the commit that applies it */
    const struct shadow_actor *actor;
    const char *request_id; /* in the key */
    uint64_t number;
    int status; /* 0, or a domain error */
    size_t len;
    char key[];
};

static struct mem shadow_mem(struct shadow *s)
{
    return sim_mem_of(&s->mem);
}

struct shadow *shadow_new(struct world *w)
{
    struct shadow *s = calloc(1, sizeof *s);

    CHECK(s && keyspace_init(&s->ks, "kelpie") == 0);
    s->w = w;
    s->primary.vacant = true;
    sim_mem_init(&s->mem);
    map_init(&s->actors);
    map_init(&s->states);
    map_init(&s->by_node);
    map_init(&s->requests);
    list_init(&s->applied);
    buf_init(&s->scratch, shadow_mem(s));
    return s;
}

void shadow_free(struct shadow *s)
{
    if (!s)
        return;
    sim_mem_free_all(&s->mem);
    free(s);
}

void shadow_reset(struct shadow *s)
{
    struct map_node *n;

    for (n = map_first(&s->actors); n; n = map_next(n)) {
        struct shadow_actor *a = MAP_ENTRY(n, struct shadow_actor, node);
        a->place = (struct placement_record){0};
        a->loaded = 0;
        a->gap_count = 0;
        a->struck = false;
        a->head = (struct head_record){.number = 0};
        a->head_ns = 0; /* what was written after the backup never was */
    }
    while ((n = map_first(&s->by_node))) {
        struct shadow_by_node *b = MAP_ENTRY(n, struct shadow_by_node, node);
        map_remove(&s->by_node, n);
        list_remove(&b->link);
        mem_free(shadow_mem(s), b);
    }
    while ((n = map_first(&s->requests))) {
        map_remove(&s->requests, n);
        mem_free(shadow_mem(s), MAP_ENTRY(n, struct shadow_request, node));
    }
    for (unsigned i = 0; i < SIM_NODES_MAX; i++)
        s->nodes[i] = (struct shadow_node){.times_left = s->nodes[i].times_left};
    s->view = (struct view_record){0};
    s->primary = (struct primary_record){.vacant = true};
    s->primary_there = false;
    s->term = 0;
    s->floor = s->generations = 0;
    s->view_count = 0;
}

uint32_t shadow_class_version(struct shadow *s, const char *type, const char *id)
{
    const struct shadow_actor *a = shadow_actor(s, type, id);

    return a->head.rows > 0 ? a->head.class_version : 0;
}

int shadow_node_number(const char *node_id)
{
    if (node_id[0] != 'n' || node_id[1] < '1' || node_id[1] > '0' + SIM_NODES_MAX || node_id[2])
        return -1;
    return node_id[1] - '1';
}

struct shadow_actor *shadow_actor(struct shadow *s, const char *type, const char *id)
{
    char name[ACTOR_TYPE_MAX + ACTOR_ID_MAX + 2];
    size_t type_len = strlen(type), len = type_len + 1 + strlen(id);

    (void)snprintf(name, sizeof name, "%s/%s", type, id);
    struct map_node *found = map_find(&s->actors, bytes_of(name, len));
    if (found)
        return MAP_ENTRY(found, struct shadow_actor, node);
    struct shadow_actor *a = MEM_NEW(shadow_mem(s), struct shadow_actor);
    memcpy(a->name, type, type_len + 1);
    memcpy(a->name + type_len + 1, id, strlen(id) + 1);
    a->type = a->name;
    a->id = a->name + type_len + 1;
    a->name_len = len;
    a->state_begin = keys_head_and_state(&s->ks, type, id).begin;
    list_init(&a->by_node);
    list_init(&a->dirty);
    /* The map's key has '/' where the name has NUL: kept beside it. */
    char *key = mem_dup(shadow_mem(s), name, len);
    map_insert(&s->actors, &a->node, bytes_of(key, len));
    map_insert(&s->states, &a->state, key_bytes(&a->state_begin));
    return a;
}

struct shadow_actor *shadow_actor_of_state(struct shadow *s, struct bytes begin)
{
    struct map_node *found = map_find(&s->states, begin);
    return MAP_ENTRY(found, struct shadow_actor, state);
}

void shadow_member_hash(const char *node_id, uint64_t incarnation, uint64_t *hi, uint64_t *lo)
{
    struct hash128 h = hash128_start();

    hash128_bytes(&h, bytes_of_str(node_id));
    hash128_u64(&h, incarnation);
    h = hash128_value(&h);
    *hi = h.hi;
    *lo = h.lo;
}

struct view_record shadow_active(const struct shadow *s)
{
    struct view_record v = {.number = s->view.number};

    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        char id[8];
        uint64_t hi, lo;
        if (!s->nodes[n].there || s->nodes[n].rec.state != NODE_ACTIVE)
            continue;
        (void)snprintf(id, sizeof id, "n%u", n + 1);
        shadow_member_hash(id, s->nodes[n].rec.incarnation, &hi, &lo);
        v.count++;
        v.hash_hi += hi;
        v.hash_lo += lo;
    }
    return v;
}

/* ---- rows */

static void touch(struct shadow_change *c, struct shadow_actor *a)
{
    if (list_empty(&a->dirty))
        list_append(&c->actors, &a->dirty);
}

static bool decoded(struct shadow *s, const struct store_write *w, int err)
{
    return COMPARE(s->w, CHECK_DECODES, err == 0,
                   "a row of %zu bytes that was just written does not decode: error %d",
                   w->value.len, err);
}

uint32_t shadow_life(const struct shadow *s, int n, uint64_t incarnation)
{
    const struct shadow_node *node = &s->nodes[n < 0 ? 0 : n];
    uint64_t skipped = 0;

    for (unsigned i = 0; n >= 0 && i < node->gap_count; i++)
        if (incarnation >= node->gaps[i].from)
            skipped = node->gaps[i].skipped;
    return (uint32_t)(incarnation - skipped);
}

static void note_gap(struct shadow_node *node, uint64_t incarnation)
{
    uint64_t before = node->gap_count ? node->gaps[node->gap_count - 1].skipped : 0;
    uint64_t skips = incarnation - node->rec.incarnation - 1;

    if (incarnation <= node->rec.incarnation + 1)
        return;
    CHECK(node->gap_count < LIFE_GAPS_MAX);
    node->gaps[node->gap_count++] =
        (struct life_gap){.from = incarnation, .skipped = before + skips};
}

/* SweepNode: what is remembered of the node goes on in the floor alone. */
static void sweep_node(struct shadow *s, unsigned n, const char *id)
{
    struct shadow_node *node = &s->nodes[n];
    bool named = false;

    for (struct map_node *b = map_first(&s->by_node); b && !named; b = map_next(b))
        named = strcmp(MAP_ENTRY(b, struct shadow_by_node, node)->node_id, id) == 0;
    COMPARE(s->w, CHECK_TRANSITION, node->rec.state == NODE_LEFT,
            "the row of node %s was swept, which is %s", id, node_state_name(node->rec.state));
    COMPARE(s->w, CHECK_GROWTH, s->floor >= node->row_incarnation,
            "the row of node %s was swept in incarnation %llu, and the floor is %llu", id,
            (unsigned long long)node->row_incarnation, (unsigned long long)s->floor);
    COMPARE(s->w, CHECK_BY_NODE, !named, "the row of node %s was swept, and a by-node row names it",
            id);
    node->there = false;
    node->swept = true;
    node->row_incarnation = 0;
}

static void apply_node(struct shadow *s, struct shadow_change *c, const struct key_parts *parts,
                       const struct store_write *w)
{
    int n = shadow_node_number(parts->node_id);
    struct node_record rec;

    if (!COMPARE(s->w, CHECK_DECODES, n >= 0, "the row of node %s, unknown", parts->node_id))
        return;
    if (w->kind == STORE_DELETE) {
        sweep_node(s, (unsigned)n, parts->node_id);
        return;
    }
    if (!decoded(s, w, node_record_decode(w->key, w->value, &s->scratch, &rec)))
        return;
    sim_net_note_row(s->w->net, rec.addr);
    check_node_row(s, c, (unsigned)n, &s->nodes[n], &rec);
    s->nodes[n].row_incarnation = rec.incarnation;
    if (s->nodes[n].swept) {
        /* The specification forgets nothing: what a new row does not say is as it was. */
        if (rec.incarnation)
            note_gap(&s->nodes[n], rec.incarnation);
        else
            rec.incarnation = s->nodes[n].rec.incarnation;
        if (rec.gone_view < s->nodes[n].rec.gone_view)
            rec.gone_view = s->nodes[n].rec.gone_view;
    }
    if (rec.state == NODE_FAILED && s->nodes[n].rec.state != NODE_FAILED) {
        s->failures++;
        s->nodes[n].times_failed++;
    }
    /* DeclareDead may make the row of a node that never joined: Left, too. */
    s->nodes[n].times_left +=
        rec.state == NODE_LEFT && (!s->nodes[n].there || s->nodes[n].rec.state != NODE_LEFT);
    s->nodes[n].rec = rec;
    s->nodes[n].there = true;
    c->nodes |= 1u << n;
}

static void apply_heartbeat(struct shadow *s, const struct key_parts *parts,
                            const struct store_write *w)
{
    int n = shadow_node_number(parts->node_id);

    if (n < 0 || w->kind != STORE_PUT)
        return;
    struct heartbeat_record before = s->nodes[n].heartbeat;
    if (decoded(s, w,
                heartbeat_record_decode(w->key, w->value, &s->scratch, &s->nodes[n].heartbeat))) {
        s->nodes[n].heartbeat_ns = s->w->now_ns;
        s->nodes[n].view_then = s->view.number;
        check_beat(s, (unsigned)n, s->nodes[n].heartbeat.boot);
        check_grey_beat(s, (unsigned)n, &before);
    }
}

/* The specification strikes no rows: there this placement is the next of the one before. */
static void note_generation_gap(struct shadow_actor *a, uint64_t from)
{
    uint64_t skipped = a->gap_count ? a->gaps[a->gap_count - 1].skipped : 0;

    a->struck = false;
    if (from == a->place.generation + 1)
        return;
    if (a->gap_count == LIFE_GAPS_MAX)
        memmove(a->gaps, a->gaps + 1, --a->gap_count * sizeof a->gaps[0]);
    a->gaps[a->gap_count++] =
        (struct life_gap){.from = from, .skipped = skipped + from - a->place.generation - 1};
}

uint32_t shadow_generation(const struct shadow_actor *a, uint64_t generation)
{
    uint64_t skipped = 0;

    for (unsigned i = 0; i < a->gap_count; i++)
        if (generation >= a->gaps[i].from)
            skipped = a->gaps[i].skipped;
    return (uint32_t)(generation - skipped);
}

static void apply_placement(struct shadow *s, struct shadow_change *c,
                            const struct key_parts *parts, const struct store_write *w)
{
    struct shadow_actor *a = shadow_actor(s, parts->type, parts->id);
    struct placement_record rec;

    if (w->kind == STORE_DELETE) {
        check_struck(s, c, a);
        a->head = (struct head_record){.number = 0};
        a->head_ns = 0;
        a->struck = true;
        return;
    }
    if (!decoded(s, w, placement_record_decode(w->key, w->value, &s->scratch, &rec)))
        return;
    check_placement_row(s, a, &rec);
    if (a->struck)
        note_generation_gap(a, rec.generation);
    s->placements += rec.generation > a->place.generation;
    a->place = rec;
    touch(c, a);
}

static void by_node_drop(struct shadow *s, struct shadow_change *c, struct shadow_by_node *b)
{
    touch(c, b->actor);
    map_remove(&s->by_node, &b->node);
    list_remove(&b->link);
    mem_free(shadow_mem(s), b);
}

static void apply_by_node(struct shadow *s, struct shadow_change *c, const struct key_parts *parts,
                          const struct store_write *w)
{
    struct by_node_record rec;
    struct map_node *found = map_find(&s->by_node, w->key);
    struct shadow_by_node *b = MAP_ENTRY(found, struct shadow_by_node, node);

    if (w->kind == STORE_DELETE) {
        if (b)
            by_node_drop(s, c, b);
        return;
    }
    if (!decoded(s, w, by_node_record_decode(w->key, w->value, &s->scratch, &rec)))
        return;
    if (!b) {
        b = MEM_NEW(shadow_mem(s), struct shadow_by_node);
        b->actor = shadow_actor(s, parts->type, parts->id);
        memcpy(b->node_id, parts->node_id, sizeof b->node_id);
        b->incarnation = parts->number;
        b->key.len = w->key.len;
        memcpy(b->key.data, w->key.data, w->key.len);
        map_insert(&s->by_node, &b->node, key_bytes(&b->key));
        list_append(&b->actor->by_node, &b->link);
    }
    b->generation = rec.generation;
    touch(c, b->actor);
}

static void applied_once(struct shadow *s, const struct shadow_actor *a,
                         const struct remembered_record *r)
{
    size_t len = a->name_len + 1 + strlen(r->request_id);
    struct shadow_request *q = mem_zalloc(shadow_mem(s), 1, sizeof *q + len + 1);

    q->number = r->number;
    q->status = r->status;
    q->len = len;
    memcpy(q->key, a->name, a->name_len);
    memcpy(q->key + a->name_len + 1, r->request_id, strlen(r->request_id));
    struct map_node *old = map_insert(&s->requests, &q->node, bytes_of(q->key, len));
    const struct shadow_request *before = MAP_ENTRY(old, struct shadow_request, node);
    COMPARE(s->w, CHECK_APPLIED_ONCE, !before || before->number == r->number,
            "%s/%s applied request %s twice: as its commits %llu and %llu", a->type, a->id,
            r->request_id, before ? (unsigned long long)before->number : 0,
            (unsigned long long)r->number);
    s->applied_count++;
    if (before) {
        mem_free(shadow_mem(s), q);
        return;
    }
    q->actor = a;
    q->request_id = q->key + a->name_len + 1;
    list_append(&s->applied, &q->link);
}

/* Now that the whole commit is seen. */
static void tell_applied(struct shadow *s)
{
    struct list *l;

    while ((l = list_pop(&s->applied))) {
        const struct shadow_request *q = LIST_ENTRY(l, struct shadow_request, link);
        workload_decided(s->w, q->actor->type, q->actor->id, q->request_id, q->status,
                         s->applied_count == 1 ? s->applied_by : 0);
    }
}

/* A trial says which attempt of a request it was. */
static void note_attempt(struct shadow *s, const struct key_parts *parts,
                         const struct state_record *state)
{
    if (strcmp(parts->type, sim_class_trial.type) != 0 ||
        !bytes_equal(bytes_of(parts->state_key, parts->state_key_len), bytes_of_str(TRIAL_ATTEMPT)))
        return;
    s->applied_by = 0;
    for (size_t i = 0; i < state->value.len; i++)
        s->applied_by = s->applied_by * 10 + (unsigned)(state->value.data[i] - '0');
}

static void take_head(struct shadow *s, const struct shadow_change *c, struct shadow_actor *a,
                      const struct head_record *head)
{
    if (!check_forgot(s, a, head)) {
        check_state_row(s, c, a, head);
        a->head_ns = s->w->now_ns;
        COMPARE(s->w, CHECK_GROWTH,
                head->class_version >= a->head.class_version || a->head.rows == 0,
                "the state of %s/%s went from version %u of its class to %u", a->type, a->id,
                a->head.class_version, head->class_version);
    }
    a->head = *head;
}

static void note_state(struct shadow *s, const struct key_parts *parts,
                       const struct state_record *state)
{
    note_attempt(s, parts, state);
    posts_state(s->w, parts, state->value);
    if (strcmp(parts->type, sim_class_link.type) == 0)
        chains_row(s->w, parts->id, bytes_of(parts->state_key, parts->state_key_len), state->value);
}

static void apply_state(struct shadow *s, const struct shadow_change *c,
                        const struct key_parts *parts, const struct store_write *w)
{
    struct shadow_actor *a = shadow_actor(s, parts->type, parts->id);
    struct remembered_record applied;
    struct head_record head;
    struct state_record state;

    if (w->kind != STORE_PUT)
        return;
    if (parts->family == KEY_STATE) {
        if (decoded(s, w, state_record_decode(w->key, w->value, &s->scratch, &state)))
            note_state(s, parts, &state);
    } else if (parts->family == KEY_HEAD) {
        if (decoded(s, w, head_record_decode(w->key, w->value, &s->scratch, &head)))
            take_head(s, c, a, &head);
    } else if (parts->family == KEY_REMEMBERED) {
        if (decoded(s, w, remembered_record_decode(w->key, w->value, &s->scratch, &applied)))
            applied_once(s, a, &applied);
    }
}

static void apply_message(struct shadow *s, const struct key_parts *parts,
                          const struct store_write *w)
{
    struct message_record message;
    struct named_record named;
    struct due_record due;

    if (w->kind != STORE_PUT)
        return;
    if (parts->family == KEY_DUE)
        (void)decoded(s, w, due_record_decode(w->key, w->value, &s->scratch, &due));
    else if (parts->family == KEY_NAMED)
        (void)decoded(s, w, named_record_decode(w->key, w->value, &s->scratch, &named));
    else
        (void)decoded(s, w, message_record_decode(w->key, w->value, &s->scratch, &message));
}

static void apply_primary(struct shadow *s, struct shadow_change *c, const struct store_write *w)
{
    if (w->kind == STORE_DELETE ||
        decoded(s, w, primary_record_decode(w->key, w->value, &s->scratch, &s->primary)))
        c->primary = true;
    s->primary_there = w->kind == STORE_PUT;
}

static void check_floor(struct shadow *s, uint64_t floor)
{
    COMPARE(s->w, CHECK_GROWTH, floor > s->floor,
            "the floor of incarnations went from %llu to %llu", (unsigned long long)s->floor,
            (unsigned long long)floor);
    s->floor = floor;
}

static void apply_single(struct shadow *s, struct shadow_change *c, const struct key_parts *parts,
                         const struct store_write *w)
{
    struct term_record term;
    struct view_change_record change;
    struct probe_record probe;
    struct migration_record migration;
    struct format_record format;
    struct incarnation_floor_record floor;
    struct generation_floor_record generations;
    struct founded_record founded;
    struct poison_record poison;

    if (w->kind != STORE_PUT)
        return;
    switch (parts->family) {
    case KEY_TERM:
        if (decoded(s, w, term_record_decode(w->key, w->value, &s->scratch, &term)))
            s->term = term.term;
        c->term = true;
        break;
    case KEY_INCARNATION_FLOOR:
        if (decoded(s, w, incarnation_floor_record_decode(w->key, w->value, &s->scratch, &floor)))
            check_floor(s, floor.incarnation);
        break;
    case KEY_GENERATION_FLOOR:
        if (decoded(s, w,
                    generation_floor_record_decode(w->key, w->value, &s->scratch, &generations)))
            check_generations(s, generations.generation);
        break;
    case KEY_FOUNDED:
        decoded(s, w, founded_record_decode(w->key, w->value, &s->scratch, &founded));
        break;
    case KEY_VIEW:
        decoded(s, w, view_record_decode(w->key, w->value, &s->scratch, &s->view));
        c->view = true;
        break;
    case KEY_VIEW_CHANGE:
        decoded(s, w, view_change_record_decode(w->key, w->value, &s->scratch, &change));
        break;
    case KEY_PROBE:
        if (decoded(s, w, probe_record_decode(w->key, w->value, &s->scratch, &probe)) &&
            shadow_node_number(parts->node_id) >= 0)
            check_beat(s, (unsigned)shadow_node_number(parts->node_id), probe.boot);
        break;
    case KEY_POISON:
        decoded(s, w, poison_record_decode(w->key, w->value, &s->scratch, &poison));
        break;
    case KEY_MIGRATION:
        decoded(s, w, migration_record_decode(w->key, w->value, &s->scratch, &migration));
        break;
    default:
        decoded(s, w, format_record_decode(w->key, w->value, &s->scratch, &format));
    }
}

static void apply_types(struct shadow *s, struct shadow_change *c, const struct key_parts *parts,
                        const struct store_write *w)
{
    struct types_record after = {.count = 0};
    int n = shadow_node_number(parts->node_id);

    if (n < 0 || (w->kind == STORE_PUT &&
                  !decoded(s, w, types_record_decode(w->key, w->value, &s->scratch, &after))))
        return;
    if (w->kind == STORE_PUT)
        check_types_row(s, c, (unsigned)n, &after);
    s->nodes[n].types = after;
}

static void apply_one(struct shadow *s, struct shadow_change *c, const struct store_write *w)
{
    struct key_parts parts;
    struct key copy = key_copy(&s->ks);
    int err = key_parse(&s->ks, w->key, &parts);

    if (w->kind == STORE_DELETE && bytes_equal(w->key, key_bytes(&copy)))
        return; /* the mark of a copy, which no simulated store has */
    if (!COMPARE(s->w, CHECK_DECODES, err == 0 && parts.family != KEY_UNKNOWN,
                 "a key of %zu bytes that no rule makes was written", w->key.len))
        return;
    posts_row(s->w, &parts, w, &s->scratch);
    users_row(s->w, &parts, w, &s->scratch);
    deadlies_row(s->w, &parts, w, &s->scratch);
    switch (parts.family) {
    case KEY_INBOX:
    case KEY_LATER:
    case KEY_DEAD:
    case KEY_DUE:
    case KEY_NAMED:
        apply_message(s, &parts, w);
        break;
    case KEY_NODE:
        apply_node(s, c, &parts, w);
        break;
    case KEY_HEARTBEAT:
        apply_heartbeat(s, &parts, w);
        break;
    case KEY_TYPES:
        apply_types(s, c, &parts, w);
        break;
    case KEY_ACTOR:
        apply_placement(s, c, &parts, w);
        break;
    case KEY_BY_NODE:
        apply_by_node(s, c, &parts, w);
        break;
    case KEY_STATE:
    case KEY_HEAD:
    case KEY_REMEMBERED:
    case KEY_REQUEST_SLOT:
        apply_state(s, c, &parts, w);
        break;
    case KEY_PRIMARY:
        apply_primary(s, c, w);
        break;
    default:
        apply_single(s, c, &parts, w);
    }
}

static void apply_range(struct shadow *s, struct shadow_change *c, const struct store_write *w)
{
    struct map_node *n = map_lower_bound(&s->by_node, w->key);
    while (n && bytes_compare(n->key, w->value) < 0) {
        struct shadow_by_node *b = MAP_ENTRY(n, struct shadow_by_node, node);
        n = map_next(n);
        by_node_drop(s, c, b);
    }
}

void shadow_apply(struct shadow *s, struct shadow_change *c)
{
    list_init(&c->actors);
    s->applied_count = s->applied_by = 0;
    c->old_view = s->view;
    c->old_primary = s->primary;
    c->old_term = s->term;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        c->before[n] = s->nodes[n].rec.state;
        c->flagged_before |= (uint32_t)s->nodes[n].rec.flagged << n;
        c->member_before |= c->before[n] != NODE_LEFT;
    }
    for (size_t i = 0; i < c->seen->write_count; i++) {
        buf_clear(&s->scratch);
        if (c->seen->writes[i].kind == STORE_DELETE_RANGE)
            apply_range(s, c, &c->seen->writes[i]);
        else
            apply_one(s, c, &c->seen->writes[i]);
    }
    tell_applied(s);
    posts_commit(s->w);
}
