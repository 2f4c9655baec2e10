#include "scale_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kelpie/error.h"

/* As FoundationDB on a local network: about 1 ms for a set of reads, 2 to 3 for a commit. */
#define NET_DELAY_US 150
#define NET_JITTER_US 100
#define STORE_DELAY_US 400
#define STORE_JITTER_US 200
#define STORE_BATCH_US 2000
#define LEASE_MS 10000
#define HEARTBEAT_MS 1000
#define LOOK_MS 5
#define LOAD_ROWS 1000 /* of one commit */
#define LOAD_MS_MAX 600000
#define YEAR_MS (365ull * 24 * 3600 * 1000)
#define CALL_DEADLINE_MS 60000
#define CALLS_MS_MAX 600000

/* ---- one life of a node */

static void after(struct process *p)
{
    struct scale_node *n = p->owner;
    struct primary_record primary;

    if (!n->node)
        return;
    const struct cluster *c = node_cluster(n->node);
    const struct view *view = cluster_view(c);
    if (view->number != n->view) {
        n->view = view->number;
        n->view_ns = p->world->now_ns;
    }
    uint64_t term = cluster_claim(c);
    if (!term && cluster_primary(c, &primary))
        term = primary.term;
    if (term != n->primary_term) {
        n->primary_term = term;
        n->primary_ns = p->world->now_ns;
    }
    if (n->left && !event_queued(&n->close))
        world_after(p->world, &n->close, 0);
}

static const struct process_ops process_ops = {.after = after};

static void on_left(void *arg)
{
    struct scale_node *n = arg;
    n->left = true;
}

static const struct node_events node_events = {.left = on_left};

static void life_end(struct scale_node *n)
{
    struct process *p = n->p;

    world_cancel(p->world, &n->close);
    n->p = NULL;
    n->node = NULL;
    n->left = false;
    n->view = 0;
    n->primary_term = 0;
    process_free(p);
}

/* It has left: its process ends. */
static void on_close(struct world *w, struct sim_event *e)
{
    struct scale_node *n = CONTAINER_OF(e, struct scale_node, close);
    (void)w;
    life_end(n);
}

static void on_start(struct world *w, struct sim_event *e)
{
    static const struct kelpie_class *const classes[] = {&kelpie_class_counter, NULL};
    static const char *const class_names[] = {SCALE_TYPE};
    struct scale_node *n = CONTAINER_OF(e, struct scale_node, start);

    CHECK(!n->p);
    sim_net_machine(w->net, n->number, true);
    n->p = process_new(w, n->number, SIM_SLOT_NODE, &process_ops, n);
    meter_attach(&n->s->meter, &n->door, n->p, n->number);
    struct node_config c = {
        .cluster = {.ks = n->s->ks,
                    .boot = n->p->boot,
                    .timing = w->config.timing,
                    .class_count = 1,
                    .classes = class_names},
        .actors = {.classes = classes, .idle_ms = IDLE_MS_DEFAULT},
    };
    memcpy(c.cluster.node_id, n->id, sizeof n->id);
    (void)snprintf(c.cluster.addr, sizeof c.cluster.addr, "%s",
                   sim_net_addr(w->net, n->number, SIM_SLOT_NODE));
    (void)snprintf(c.cluster.http_addr, sizeof c.cluster.http_addr, "%s", c.cluster.addr);
    process_enter(n->p, PROCESS_START, 0);
    n->node = node_new(&n->p->env, &c, &node_events, n);
    node_start(n->node);
    process_leave(n->p);
}

void scale_start(struct scale_world *s, size_t i, uint64_t delay_ns)
{
    world_after(&s->w, &s->nodes[i].start, delay_ns);
}

void scale_leave(struct scale_world *s, size_t i)
{
    struct scale_node *n = &s->nodes[i];
    char why[256];

    process_enter(n->p, PROCESS_ORDER, 1);
    int err = node_leave(n->node, false, why, sizeof why);
    process_leave(n->p);
    CHECK(!err);
}

void scale_machine_down(struct scale_world *s, size_t i)
{
    sim_net_machine(s->w.net, (unsigned)i, false);
    life_end(&s->nodes[i]);
}

/* ---- a supervisor */

struct scale_supervisor {
    struct scale_world *s;
    struct process *p;
    struct meter_door door;
    struct declare_dead *declare;
    struct sim_event end;
    bool declared;
};

static void on_declared(void *arg, int status, const char *why)
{
    struct scale_supervisor *v = arg;
    (void)why;
    CHECK(!status);
    v->declared = true;
}

static void supervisor_after(struct process *p)
{
    struct scale_supervisor *v = p->owner;
    if (v->declared && !event_queued(&v->end))
        world_after(p->world, &v->end, 0);
}

static const struct process_ops supervisor_ops = {.after = supervisor_after};

static void on_supervisor_end(struct world *w, struct sim_event *e)
{
    struct scale_supervisor *v = CONTAINER_OF(e, struct scale_supervisor, end);
    (void)w;
    v->s->supervisor = NULL;
    process_free(v->p);
    free(v);
}

void scale_crash(struct scale_world *s, size_t i)
{
    struct scale_supervisor *v = calloc(1, sizeof *v);
    struct scale_node *n = &s->nodes[i];

    CHECK(v && !s->supervisor);
    s->supervisor = v;
    v->s = s;
    event_init(&v->end, on_supervisor_end);
    struct uuid boot = n->p->boot;
    life_end(n);
    v->p = process_new(&s->w, n->number, SIM_SLOT_SUPERVISOR, &supervisor_ops, v);
    meter_attach(&s->meter, &v->door, v->p, n->number);
    process_enter(v->p, PROCESS_START, 1);
    v->declare =
        declare_dead_start(&v->p->env, &s->ks, n->id, boot, (struct uuid){0}, NULL, on_declared, v);
    process_leave(v->p);
}

/* ---- the world */

static struct sim_config config(size_t nodes, enum sim_store_kind store, uint64_t seed)
{
    struct sim_config c = {
        .seed = seed,
        .store = store,
        .nodes = (unsigned)nodes,
        .timing = timing_default(),
        .idle_ms = IDLE_MS_DEFAULT,
        .net_delay_us = NET_DELAY_US,
        .net_jitter_us = NET_JITTER_US,
        .store_delay_us = STORE_DELAY_US,
        .store_jitter_us = STORE_JITTER_US,
        .store_batch_us = STORE_BATCH_US,
    };
    c.timing.lease_ms = LEASE_MS;
    c.timing.heartbeat_ms = HEARTBEAT_MS;
    return c;
}

void scale_init(struct scale_world *s, size_t nodes, enum sim_store_kind store, uint64_t seed)
{
    struct sim_config c = config(nodes, store, seed);

    CHECK(nodes <= SCALE_NODES_MAX);
    *s = (struct scale_world){.node_count = nodes, .nodes = calloc(nodes, sizeof *s->nodes)};
    CHECK(s->nodes && keyspace_init(&s->ks, "kelpie") == 0);
    world_init(&s->w, &c);
    s->w.net = sim_net_new(&s->w);
    s->w.store = sim_store_new(&s->w);
    meter_init(&s->meter, nodes);
    for (size_t i = 0; i < nodes; i++) {
        struct scale_node *n = &s->nodes[i];
        n->s = s;
        n->number = (unsigned)i;
        (void)snprintf(n->id, sizeof n->id, "n%04u", (unsigned)i + 1);
        event_init(&n->start, on_start);
        event_init(&n->close, on_close);
    }
}

void scale_deinit(struct scale_world *s)
{
    for (size_t i = 0; i < s->node_count; i++) {
        world_cancel(&s->w, &s->nodes[i].start);
        if (s->nodes[i].p)
            life_end(&s->nodes[i]);
    }
    sim_store_free(&s->w);
    sim_net_free(s->w.net);
    world_deinit(&s->w);
    meter_deinit(&s->meter);
    free(s->nodes);
}

void scale_run_ms(struct scale_world *s, uint64_t ms)
{
    world_run(&s->w, s->w.now_ns + ms * NS_PER_MS);
}

bool scale_until(struct scale_world *s, bool (*done)(struct scale_world *s), uint64_t ms_max)
{
    for (uint64_t ms = 0; ms < ms_max; ms += LOOK_MS) {
        if (done(s))
            return true;
        scale_run_ms(s, LOOK_MS);
    }
    return done(s);
}

struct scale_node *scale_primary(struct scale_world *s)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].node && cluster_claim(node_cluster(s->nodes[i].node)))
            return &s->nodes[i];
    return NULL;
}

uint64_t scale_view(const struct scale_world *s)
{
    uint64_t best = 0;

    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].view > best)
            best = s->nodes[i].view;
    return best;
}

size_t scale_running(const struct scale_world *s)
{
    size_t running = 0;

    for (size_t i = 0; i < s->node_count; i++)
        running += s->nodes[i].p != NULL;
    return running;
}

bool scale_converged(struct scale_world *s)
{
    const struct scale_node *primary = scale_primary(s);
    size_t running = scale_running(s);

    for (size_t i = 0; primary && i < s->node_count; i++) {
        const struct scale_node *n = &s->nodes[i];
        if (!n->p)
            continue;
        const struct view *view = cluster_view(node_cluster(n->node));
        if (cluster_state(node_cluster(n->node)) != NODE_ACTIVE ||
            cluster_lease_left_ns(node_cluster(n->node)) == 0 || view->count != running ||
            n->view != primary->view || n->primary_term != primary->primary_term)
            return false;
    }
    return primary && !s->supervisor;
}

/* ---- placements as rows */

struct scale_load {
    struct scale_world *s;
    struct process *p;
    struct store_req req;
    struct store_write writes[LOAD_ROWS];
    struct key keys[LOAD_ROWS];
    struct buf values[LOAD_ROWS];
    size_t (*share)(void *arg, size_t i);
    void *arg;
    struct sim_event next;
    size_t node, of_node;     /* whose turn it is, and how many it has */
    size_t timer, timers_end; /* or which timer's, of how many */
    bool done;
};

static void actor_id(char id[16], size_t number)
{
    (void)snprintf(id, 16, "a%07zu", number % 10000000);
}

static void load_put(struct scale_load *l, struct key key)
{
    size_t i = l->req.write_count++;

    l->keys[i] = key;
    l->writes[i] = (struct store_write){
        .kind = STORE_PUT, .key = key_bytes(&l->keys[i]), .value = buf_bytes(&l->values[i])};
}

static void load_actor(struct scale_load *l, struct scale_node *n)
{
    const struct cluster *c = node_cluster(n->node);
    struct placement_record placement = {.placed = true,
                                         .incarnation = cluster_incarnation(c),
                                         .boot = cluster_config_of(c)->boot,
                                         .generation = 1};
    struct by_node_record by_node = {.generation = 1};
    char id[16];

    memcpy(placement.node_id, n->id, sizeof n->id);
    actor_id(id, l->s->placements++);
    struct key key = key_actor(&l->s->ks, SCALE_TYPE, id);
    placement_record_encode(&placement, key_bytes(&key), &l->values[l->req.write_count]);
    load_put(l, key);
    key = key_by_node(&l->s->ks, n->id, placement.incarnation, SCALE_TYPE, id);
    by_node_record_encode(&by_node, key_bytes(&key), &l->values[l->req.write_count]);
    load_put(l, key);
    n->placements++;
}

/* A minute after the one before; the first in a year. */
static void load_timer(struct scale_load *l)
{
    const struct keyspace *ks = &l->s->ks;
    uint64_t now_ms = clock_wall_ms(l->p->env.clock);
    struct message_record m = {.sender_type = SCALE_TYPE, .method = "add", .sent_ms = now_ms};
    struct due_record due = {.sent_ms = now_ms};
    struct message_at at = {.generation = 1, .number = l->timer + 1};
    char id[16];

    actor_id(id, l->timer % l->s->placements);
    memcpy(m.sender_id, id, strlen(id));
    at.sender = actor_hash(SCALE_TYPE, id);
    at.due_ms = m.due_ms = now_ms + YEAR_MS + l->timer * 60000;
    struct key key = key_later(ks, SCALE_TYPE, id, &at);
    message_record_encode(&m, key_bytes(&key), &l->values[l->req.write_count]);
    load_put(l, key);
    key = key_due(ks, actor_shard(SCALE_TYPE, id, SHARDS_DEFAULT), SCALE_TYPE, id, &at);
    due_record_encode(&due, key_bytes(&key), &l->values[l->req.write_count]);
    load_put(l, key);
    l->timer++;
}

/* The rows of one commit. */
static void load_next(struct world *w, struct sim_event *e)
{
    struct scale_load *l = CONTAINER_OF(e, struct scale_load, next);
    struct scale_world *s = l->s;

    (void)w;
    l->req.write_count = 0;
    while (l->node < s->node_count && l->req.write_count + 2 <= LOAD_ROWS) {
        struct scale_node *n = &s->nodes[l->node];
        if (!n->p || l->of_node >= l->share(l->arg, l->node)) {
            l->node++;
            l->of_node = 0;
            continue;
        }
        load_actor(l, n);
        l->of_node++;
    }
    while (l->timer < l->timers_end && l->req.write_count + 2 <= LOAD_ROWS)
        load_timer(l);
    l->done = l->req.write_count == 0;
    if (l->done)
        return;
    process_enter(l->p, PROCESS_ORDER, l->node);
    l->p->env.store.ops->commit(l->p->env.store.ctx, &l->req);
    process_leave(l->p);
}

static void on_loaded(struct store_req *req, int status)
{
    struct scale_load *l = req->arg;
    CHECK(!status);
    world_after(&l->s->w, &l->next, 0);
}

static bool loaded(struct scale_world *s)
{
    return s->load->done;
}

static size_t none(void *arg, size_t i)
{
    (void)arg;
    (void)i;
    return 0;
}

static void load(struct scale_world *s, size_t (*share)(void *arg, size_t i), void *arg,
                 size_t timers)
{
    static const struct process_ops ops = {0};
    struct scale_load *l = calloc(1, sizeof *l);

    CHECK(l);
    s->load = l;
    *l = (struct scale_load){.s = s, .share = share, .arg = arg, .timers_end = timers};
    l->p = process_new(&s->w, 0, SIM_SLOT_SUPERVISOR, &ops, l);
    l->req.writes = l->writes;
    l->req.fn = on_loaded;
    l->req.arg = l;
    for (size_t i = 0; i < LOAD_ROWS; i++)
        buf_init(&l->values[i], l->p->env.mem);
    event_init(&l->next, load_next);
    world_after(&s->w, &l->next, 0);
    CHECK(scale_until(s, loaded, LOAD_MS_MAX));
    process_free(l->p); /* its memory with it */
    free(l);
    s->load = NULL;
}

void scale_place(struct scale_world *s, size_t (*share)(void *arg, size_t i), void *arg)
{
    load(s, share, arg, 0);
}

void scale_timers(struct scale_world *s, size_t count)
{
    CHECK(s->placements > 0);
    load(s, none, NULL, count);
}

/* ---- clients */

struct scale_calls {
    struct scale_world *s;
    size_t next, end;
    size_t in_flight, in_flight_max;
    struct sim_event more;
    uint64_t last_ns;
    bool failed;
};

static void on_answer(void *arg, int status, struct bytes reply)
{
    struct scale_calls *c = arg;

    (void)reply;
    c->failed |= status != 0;
    c->in_flight--;
    c->last_ns = c->s->w.now_ns;
    if (!event_queued(&c->more))
        world_after(&c->s->w, &c->more, 0);
}

static struct scale_node *caller(struct scale_world *s)
{
    for (;;) {
        struct scale_node *n = &s->nodes[world_below(&s->w, STREAM_WORK, s->node_count)];
        if (n->p && cluster_state(node_cluster(n->node)) == NODE_ACTIVE)
            return n;
    }
}

static void calls_more(struct world *w, struct sim_event *e)
{
    struct scale_calls *c = CONTAINER_OF(e, struct scale_calls, more);

    (void)w;
    while (c->next < c->end && c->in_flight < c->in_flight_max) {
        struct scale_node *n = caller(c->s);
        char id[16];
        actor_id(id, c->next++);
        c->in_flight++;
        process_enter(n->p, PROCESS_CALL, c->next);
        actors_call(node_actors(n->node), SCALE_TYPE, id, "get", "", 0, bytes_of("", 0),
                    CALL_DEADLINE_MS, on_answer, c);
        process_leave(n->p);
    }
}

static bool answered(struct scale_world *s)
{
    return s->calls->next == s->calls->end && s->calls->in_flight == 0;
}

uint64_t scale_call(struct scale_world *s, size_t first, size_t count, size_t in_flight)
{
    struct scale_calls c = {
        .s = s, .next = first, .end = first + count, .in_flight_max = in_flight};

    event_init(&c.more, calls_more);
    s->calls = &c;
    world_after(&s->w, &c.more, 0);
    bool all = scale_until(s, answered, CALLS_MS_MAX);
    CHECK(all); /* calls have deadlines that are shorter */
    world_cancel(&s->w, &c.more);
    s->calls = NULL;
    return c.failed ? 0 : c.last_ns;
}
