#include "sim/world/sim_net.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/checkers/checks.h"
#include "sim/faults/sim_stranger.h"
#include "sim/report/sim_record.h"
#include "sim/workload/sim_workload.h"

#define TAIL_FACTOR 64
#define VERY_LATE_IN 1024 /* one in so many frames comes as late as a fault may last */
#define BASE_PORT 7100
#define REORDER_US_MAX 20000
#define DOWN_US_MAX 5000
#define FRAMES_MAX (1u << 20)

/* A frame on its way, or the news that a connection is gone. */
struct flight {
    struct sim_event event;
    struct flight *next_free;
    unsigned from, to; /* endpoints */
    uint64_t sent_ns;
    uint64_t heard_ns; /* the sender had got what its receiver sent then */
    unsigned life;     /* of the sender; a hint is for that life alone */
    unsigned to_life;  /* an answer: of whoever dialled; 0: a frame that is dialled */
    bool broken;       /* its connection was reset */
    struct list waiting;
    size_t len, cap;
    uint8_t *data;
};

struct endpoint {
    struct process *p;
    char addr[NET_ADDR_SIZE];
    bool in_row; /* of a node, now or before */
};

/* One way between two nodes. */
struct way {
    unsigned cuts, clogs;
    unsigned deaf;   /* what is dialled is lost, answers are not */
    unsigned resets; /* of the connections that the one has dialled to the other */
    uint64_t last_ns;
    uint64_t heard_ns; /* of what has arrived, what was sent last was sent then */
    struct sim_echo echo;
};

struct sim_net {
    struct world *w;
    struct endpoint *at; /* two of each node */
    struct way *ways;    /* from each node to each */
    bool *down;          /* of each node */
    struct list waiting; /* for the end of a clog, in order of arrival */
    struct flight *free;
    struct flight **all;
    size_t all_count, all_cap;
    struct sim_net_stats stats;
};

static unsigned node_of(unsigned endpoint)
{
    return endpoint / 2;
}

static unsigned endpoint_of(const struct process *p)
{
    return p->node * 2 + p->slot;
}

static unsigned endpoints(const struct sim_net *n)
{
    return n->w->config.nodes * 2;
}

/* Of two nodes. */
static struct way *way(const struct sim_net *n, unsigned from, unsigned to)
{
    return &n->ways[(size_t)from * n->w->config.nodes + to];
}

static void on_frame_due(struct world *w, struct sim_event *e);
static void on_hint_due(struct world *w, struct sim_event *e);

static struct flight *flight_new(struct sim_net *n, unsigned from, unsigned to, unsigned life)
{
    struct flight *f = n->free;

    if (f) {
        n->free = f->next_free;
    } else {
        if (n->all_count == n->all_cap) {
            CHECK(n->all_cap < FRAMES_MAX);
            n->all_cap = n->all_cap ? n->all_cap * 2 : 256;
            n->all = realloc(n->all, n->all_cap * sizeof *n->all);
            CHECK(n->all);
        }
        f = calloc(1, sizeof *f);
        CHECK(f);
        n->all[n->all_count++] = f;
    }
    f->from = from;
    f->to = to;
    f->life = life;
    f->to_life = 0;
    f->sent_ns = n->w->now_ns;
    f->heard_ns = way(n, node_of(to), node_of(from))->heard_ns;
    f->len = 0;
    f->broken = false;
    list_init(&f->waiting);
    return f;
}

static void flight_release(struct sim_net *n, struct flight *f)
{
    f->next_free = n->free;
    n->free = f;
}

static uint64_t link_delay_ns(struct sim_net *n)
{
    struct world *w = n->w;
    const struct sim_config *c = &w->config;
    uint64_t us = c->net_delay_us + world_below(w, STREAM_NET, c->net_jitter_us + 1);

    if (world_fault(w, FAULT_DELAY, STREAM_NET, c->net_tail_per_1024, 1024))
        us = us * (2 + world_below(w, STREAM_NET, TAIL_FACTOR));
    /* As if its sender had been stopped between deciding and sending. */
    if (world_fault(w, FAULT_DELAY, STREAM_NET, 1, VERY_LATE_IN))
        us += world_below(w, STREAM_NET, c->fault_ms_max * 1000ull);
    if (world_fault(w, FAULT_REORDER, STREAM_NET, c->reorder_per_1024, 1024))
        us += world_below(w, STREAM_NET, REORDER_US_MAX);
    return us * 1000;
}

static bool is_cut(const struct sim_net *n, unsigned from, unsigned to)
{
    return way(n, node_of(from), node_of(to))->cuts > 0;
}

/* `to_life`: as in a flight. */
static bool is_lost(const struct sim_net *n, unsigned from, unsigned to, unsigned to_life)
{
    return n->down[node_of(to)] || is_cut(n, from, to) ||
           (to_life == 0 && way(n, node_of(from), node_of(to))->deaf > 0);
}

/* `to_life`: as in a flight. */
static void launch(struct sim_net *n, const struct process *p, unsigned to, unsigned to_life,
                   struct bytes data)
{
    struct flight *f = flight_new(n, endpoint_of(p), to, p->life);

    f->to_life = to_life;
    if (data.len > f->cap) {
        f->cap = data.len + data.len / 2 + 64;
        free(f->data);
        f->data = malloc(f->cap);
        CHECK(f->data);
    }
    if (data.len)
        memcpy(f->data, data.data, data.len);
    f->len = data.len;
    event_init(&f->event, on_frame_due);
    world_after(n->w, &f->event, link_delay_ns(n));
}

static void hint_down(struct sim_net *n, unsigned gone, unsigned to, unsigned life)
{
    struct flight *f = flight_new(n, gone, to, life);

    event_init(&f->event, on_hint_due);
    uint64_t delay = link_delay_ns(n);
    world_after(n->w, &f->event, delay + world_below(n->w, STREAM_NET, DOWN_US_MAX));
}

/* "10.a.b.c:port", as sim_net_new() made them. */
static int endpoint_find(const struct sim_net *n, const char *addr)
{
    unsigned part[5] = {0}, at = 0;

    for (const char *c = addr; *c && at < 5; c++) {
        if (*c == '.' || *c == ':')
            at++;
        else
            part[at] = part[at] * 10 + (unsigned)(*c - '0');
    }
    unsigned e = ((part[1] << 16 | part[2] << 8 | part[3]) - 1) * 2 + (part[4] - BASE_PORT);
    return e < endpoints(n) && strcmp(n->at[e].addr, addr) == 0 ? (int)e : -1;
}

static void record(const struct sim_net *n, unsigned from, unsigned to, uint64_t sent_ns,
                   enum record_end end, struct bytes frame)
{
    struct record_line l = {.from_ns = sent_ns,
                            .node = (uint8_t)node_of(from),
                            .slot = (uint8_t)(from % 2),
                            .peer = (uint8_t)node_of(to),
                            .end = (uint8_t)end};
    if (n->w->record)
        record_frame(n->w, &l, frame);
}

/* ---- what nodes call */

static int ship(struct process *p, unsigned to, unsigned to_life, struct bytes frame)
{
    struct world *w = p->world;
    struct sim_net *n = w->net;
    unsigned from = endpoint_of(p);

    if (is_lost(n, from, to, to_life)) {
        record(n, from, to, w->now_ns, END_LOST, frame);
        return 0;
    }
    if (world_fault(w, FAULT_LOSS, STREAM_NET, w->config.loss_per_1024, 1024)) {
        n->stats.lost++;
        record(n, from, to, w->now_ns, END_LOST, frame);
        /* A full queue says so; a network does not. */
        return world_below(w, STREAM_NET, 4) == 0 ? KELPIE_E_LIMIT : 0;
    }
    launch(n, p, to, to_life, frame);
    if (world_fault(w, FAULT_DUPLICATE, STREAM_NET, w->config.duplicate_per_1024, 1024)) {
        n->stats.duplicated++;
        launch(n, p, to, to_life, frame);
    }
    return 0;
}

static int net_op_send(void *ctx, const char *addr, struct bytes frame)
{
    struct process *p = ctx;
    struct sim_net *n = p->world->net;
    int to = endpoint_find(n, addr);

    n->stats.sent++;
    if (p->mem.failed)
        return 0;
    if (p->world->shadow && !COMPARE(p->world, CHECK_DIALS, to >= 0 && n->at[to].in_row,
                                     "a node dials %.80s, which is in no row of a node", addr))
        return 0;
    if (to < 0)
        return 0;
    strangers_hear(p, addr, frame);
    workload_sent(p, frame);
    return ship(p, (unsigned)to, 0, frame);
}

/* The connection that an endpoint has dialled to another one, as the other one names it: who
 * dialled, in which life, and how often such connections had been reset before. */
#define CONN_LIFE_BITS 32
#define CONN_RESET_BITS 16

static struct net_conn conn_of(const struct sim_net *n, unsigned dialler, unsigned life,
                               unsigned to)
{
    uint64_t resets = way(n, node_of(dialler), node_of(to))->resets & ((1u << CONN_RESET_BITS) - 1);
    uint64_t who = dialler + 1;

    return (struct net_conn){who << (CONN_LIFE_BITS + CONN_RESET_BITS) | resets << CONN_LIFE_BITS |
                             life};
}

static int net_op_answer(void *ctx, struct net_conn conn, struct bytes frame)
{
    struct process *p = ctx;
    struct sim_net *n = p->world->net;
    uint64_t who = conn.id >> (CONN_LIFE_BITS + CONN_RESET_BITS);
    unsigned life = (unsigned)(conn.id & UINT32_MAX);

    n->stats.sent++;
    if (p->mem.failed)
        return 0;
    if (who == endpoints(n) + 1) {
        strangers_answered(p, life, frame);
        return 0;
    }
    if (who == 0 || who > endpoints(n) ||
        conn.id != conn_of(n, (unsigned)who - 1, life, endpoint_of(p)).id) {
        n->stats.answers_gone++;
        return KELPIE_E_UNREACHABLE;
    }
    return ship(p, (unsigned)who - 1, life, frame);
}

static void net_op_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct process *p = ctx;
    p->net_events = events;
    p->net_arg = arg;
}

static const struct net_ops net_ops = {
    .send = net_op_send, .answer = net_op_answer, .receive = net_op_receive};

/* ---- arrival */

static uint64_t digest(struct bytes data)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, data);
    return h.lo ^ h.hi;
}

/* What arrives tells its receiver what its sender had heard: that is an echo, but of whoever cannot dial the
 * sender: that one has answered, not asked. */
static void note_arrival(struct sim_net *n, const struct flight *f)
{
    struct way *there = way(n, node_of(f->from), node_of(f->to));
    struct way *back = way(n, node_of(f->to), node_of(f->from));
    struct sim_echo *echo = &back->echo;
    uint64_t now = n->w->now_ns;

    there->last_ns = now;
    if (f->sent_ns > there->heard_ns)
        there->heard_ns = f->sent_ns;
    if (f->heard_ns <= echo->sent_ns || back->deaf > 0)
        return;
    if (now - echo->sent_ns >= timing_lease_ns(&n->w->config.timing) * ECHO_GAP_PERCENT / 100)
        echo->gap_end_ns = now;
    echo->sent_ns = f->heard_ns;
}

static void deliver(struct sim_net *n, struct flight *f, struct process *p)
{
    struct bytes frame = bytes_of(f->data, f->len);
    struct net_from from = {.dialled = "", .identity = "", .somewhere = n->at[f->from].addr};

    if (f->to_life)
        from.dialled = n->at[f->from].addr;
    else
        from.conn = conn_of(n, f->from, f->life, f->to);
    n->stats.delivered++;
    note_arrival(n, f);
    p->talked[f->from] = true;
    if (!p->net_events)
        return;
    CHECK(net_frame_scan(frame) == (long)frame.len);
    process_enter(p, PROCESS_FRAME, digest(frame));
    (void)p->net_events->frame(p->net_arg, &from, net_frame_payload(frame));
    process_leave(p);
}

static void on_frame_due(struct world *w, struct sim_event *e)
{
    struct flight *f = CONTAINER_OF(e, struct flight, event);
    struct sim_net *n = w->net;
    struct process *p = n->at[f->to].p;
    struct bytes frame = bytes_of(f->data, f->len);

    if (way(n, node_of(f->from), node_of(f->to))->clogs > 0) {
        list_append(&n->waiting, &f->waiting);
        return;
    }
    if (p && process_hold(p, e))
        return;
    bool gone = f->to_life && (!p || p->life != f->to_life); /* and the connection with it */
    if (f->broken || gone || is_lost(n, f->from, f->to, f->to_life)) {
        n->stats.lost++;
        record(n, f->from, f->to, f->sent_ns, END_LOST, frame);
    } else if (p) {
        record(n, f->from, f->to, f->sent_ns, END_OK, frame);
        deliver(n, f, p);
    } else if (!is_cut(n, f->to, f->from)) {
        n->stats.refused++;
        record(n, f->from, f->to, f->sent_ns, END_REFUSED, frame);
        hint_down(n, f->to, f->from, f->life);
    }
    flight_release(n, f);
}

static void on_hint_due(struct world *w, struct sim_event *e)
{
    struct flight *f = CONTAINER_OF(e, struct flight, event);
    struct sim_net *n = w->net;
    struct process *p = n->at[f->to].p;

    if (p && p->life == f->life && process_hold(p, e))
        return;
    if (p && p->life == f->life && p->net_events && p->net_events->down &&
        !is_cut(n, f->from, f->to)) {
        process_enter(p, PROCESS_DOWN, f->from);
        p->net_events->down(p->net_arg, n->at[f->from].addr);
        process_leave(p);
    }
    flight_release(n, f);
}

enum net_standing sim_net_stranger(struct process *p, uint32_t which, const char *dialled,
                                   struct bytes payload)
{
    uint64_t who = endpoints(p->world->net) + 1;
    struct net_from from = {.dialled = dialled, .identity = "", .somewhere = "10.66.66.66:6666"};
    enum net_standing standing;

    if (!dialled[0])
        from.conn.id = who << (CONN_LIFE_BITS + CONN_RESET_BITS) | which;
    process_enter(p, PROCESS_FRAME, digest(payload));
    standing = p->net_events->frame(p->net_arg, &from, payload);
    process_leave(p);
    return standing;
}

/* ---- the world's side */

void sim_net_note_row(struct sim_net *n, const char *addr)
{
    int e = endpoint_find(n, addr);

    if (e >= 0)
        n->at[e].in_row = true;
}

struct sim_net *sim_net_new(struct world *w)
{
    struct sim_net *n = calloc(1, sizeof *n);

    CHECK(n);
    n->w = w;
    list_init(&n->waiting);
    n->at = calloc(endpoints(n), sizeof *n->at);
    n->ways = calloc((size_t)w->config.nodes * w->config.nodes, sizeof *n->ways);
    n->down = calloc(w->config.nodes, sizeof *n->down);
    CHECK(n->at && n->ways && n->down);
    for (unsigned e = 0; e < endpoints(n); e++) {
        unsigned id = node_of(e) + 1;
        (void)snprintf(n->at[e].addr, sizeof n->at[e].addr, "10.%u.%u.%u:%u", id >> 16,
                       id >> 8 & 255, id & 255, BASE_PORT + e % 2);
    }
    return n;
}

void sim_net_free(struct sim_net *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->all_count; i++) {
        free(n->all[i]->data);
        free(n->all[i]);
    }
    free(n->all);
    free(n->at);
    free(n->ways);
    free(n->down);
    free(n);
}

struct net sim_net_of(struct process *p)
{
    return (struct net){.ops = &net_ops, .ctx = p};
}

void sim_net_attach(struct process *p)
{
    struct sim_net *n = p->world->net;

    if (p->slot == SIM_SLOT_SUPERVISOR)
        return;
    CHECK(!n->at[endpoint_of(p)].p);
    n->at[endpoint_of(p)].p = p;
    p->talked = calloc(endpoints(n), sizeof *p->talked);
    CHECK(p->talked);
}

/* The system closes the connections of a process that ends; whoever had one is told. */
void sim_net_detach(struct process *p)
{
    struct sim_net *n = p->world->net;
    unsigned self = endpoint_of(p);

    if (p->slot == SIM_SLOT_SUPERVISOR)
        return;
    n->at[self].p = NULL;
    free(p->talked);
    for (unsigned e = 0; e < endpoints(n); e++)
        if (n->at[e].p && n->at[e].p->talked[self] && !n->down[p->node])
            hint_down(n, self, e, n->at[e].p->life);
}

const char *sim_net_addr(const struct sim_net *n, unsigned node, unsigned slot)
{
    return n->at[node * 2 + slot].addr;
}

struct process *sim_net_process(const struct sim_net *n, unsigned node, unsigned slot)
{
    return n->at[node * 2 + slot].p;
}

void sim_net_cut(struct sim_net *n, unsigned from, unsigned to, bool cut)
{
    struct way *at = way(n, from, to);

    CHECK(cut || at->cuts > 0);
    at->cuts += cut ? 1u : 0u - 1u;
}

void sim_net_deafen(struct sim_net *n, unsigned from, unsigned to, bool deaf)
{
    struct way *at = way(n, from, to);

    CHECK(deaf || at->deaf > 0);
    at->deaf += deaf ? 1u : 0u - 1u;
}

static void tell_broken(struct sim_net *n, unsigned gone, unsigned to)
{
    const struct process *p = n->at[to].p;
    if (p && p->talked[gone])
        hint_down(n, gone, to, p->life);
}

void sim_net_reset(struct sim_net *n, unsigned a, unsigned b)
{
    for (size_t i = 0; i < n->all_count; i++) {
        struct flight *f = n->all[i];
        unsigned from = node_of(f->from), to = node_of(f->to);
        if ((from == a && to == b) || (from == b && to == a))
            f->broken = true;
    }
    way(n, a, b)->resets++;
    way(n, b, a)->resets++;
    for (unsigned i = 0; i < 4; i++) {
        unsigned one = a * 2 + i / 2, other = b * 2 + i % 2;
        tell_broken(n, one, other);
        tell_broken(n, other, one);
    }
}

void sim_net_clog(struct sim_net *n, unsigned from, unsigned to, bool clog)
{
    struct way *at = way(n, from, to);

    CHECK(clog || at->clogs > 0);
    at->clogs += clog ? 1u : 0u - 1u;
    if (at->clogs > 0)
        return;
    LIST_FOREACH_SAFE(it, tmp, &n->waiting)
    {
        struct flight *f = LIST_ENTRY(it, struct flight, waiting);
        if (node_of(f->from) != from || node_of(f->to) != to)
            continue;
        list_remove(&f->waiting);
        world_after(n->w, &f->event, 0);
    }
}

void sim_net_heal(struct sim_net *n)
{
    for (unsigned from = 0; from < n->w->config.nodes; from++)
        for (unsigned to = 0; to < n->w->config.nodes; to++)
            way(n, from, to)->cuts = way(n, from, to)->deaf = 0;
}

void sim_net_machine(struct sim_net *n, unsigned node, bool up)
{
    n->down[node] = !up;
}

struct sim_echo sim_net_echo(const struct sim_net *n, unsigned from, unsigned to)
{
    return way(n, from, to)->echo;
}

uint64_t sim_net_last_ns(const struct sim_net *n, unsigned from, unsigned to)
{
    return way(n, from, to)->last_ns;
}

const struct sim_net_stats *sim_net_stats(const struct sim_net *n)
{
    return &n->stats;
}
