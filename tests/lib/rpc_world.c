#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kelpie/error.h"
#include "lib/rpc_world.h"

static void *fake_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void *fake_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    return realloc(ptr, size);
}

static void fake_release(void *ctx, void *ptr)
{
    (void)ctx;
    free(ptr);
}

static uint64_t fake_now(void *ctx)
{
    return ((struct world *)ctx)->now_ns;
}

static void fake_timer_stop(void *ctx, struct timer *t)
{
    struct world *w = ctx;

    for (size_t i = 0; i < w->timer_count; i++) {
        if (w->timers[i] == t) {
            w->timers[i] = w->timers[--w->timer_count];
            return;
        }
    }
}

static void fake_timer_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct world *w = ctx;

    fake_timer_stop(ctx, t);
    assert_true(w->timer_count < TIMERS_MAX);
    t->due_ns = w->now_ns + delay_ns;
    t->seq = w->seq++;
    w->timers[w->timer_count++] = t;
}

static uint64_t fake_random(void *ctx)
{
    return ((struct world *)ctx)->random += 0x9e3779b97f4a7c15u;
}

static int fake_ship(struct node *n, struct net_conn conn, const char *addr, struct bytes frame)
{
    struct world *w = n->world;

    if (w->send_error)
        return w->send_error;
    for (int copies = w->duplicate ? 2 : 1; copies > 0; copies--) {
        struct frame *f = &w->frames[w->frame_count++];

        assert_true(w->frame_count < FRAMES_MAX);
        f->from = n;
        f->conn = conn;
        (void)snprintf(f->addr, sizeof f->addr, "%s", addr);
        f->data = malloc(frame.len);
        assert_non_null(f->data);
        memcpy(f->data, frame.data, frame.len);
        f->len = frame.len;
    }
    return 0;
}

static int fake_send(void *ctx, const char *addr, struct bytes frame)
{
    return fake_ship(ctx, (struct net_conn){0}, addr, frame);
}

const char *const addrs[NODES] = {"10.0.0.1:1", "10.0.0.2:2"};

/* A connection is the number of the node that dialled it, from 1. */
static int fake_answer(void *ctx, struct net_conn conn, struct bytes frame)
{
    struct node *n = ctx;

    if (n->world->gone)
        return KELPIE_E_UNREACHABLE;
    assert_true(conn.id > 0 && conn.id <= NODES);
    return fake_ship(n, conn, addrs[conn.id - 1], frame);
}

static void fake_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct node *n = ctx;

    n->events = events;
    n->events_arg = arg;
}

static const struct mem_ops mem_ops = {fake_alloc, fake_resize, fake_release};
static const struct clock_ops clock_ops = {fake_now, fake_now};
static const struct timer_ops timer_ops = {fake_timer_start, fake_timer_stop};
static const struct random_ops random_ops = {fake_random};
static const struct net_ops net_ops = {fake_send, fake_answer, fake_receive, NULL};

static void on_bad(void *arg, const char *from, int error, const char *why)
{
    struct node *n = arg;

    (void)from;
    n->bad_count++;
    n->bad_error = error;
    (void)snprintf(n->bad_why, sizeof n->bad_why, "%s", why);
}

/* Echoes, now or later; "fail" is answered with an error. */
static void on_call(void *arg, const struct rpc_request *request)
{
    struct node *n = arg;

    n->handled++;
    n->last_request = *request;
    (void)snprintf(n->last_payload, sizeof n->last_payload, "%.*s", (int)request->payload.len,
                   (const char *)request->payload.data);
    if (n->answer_later)
        return;
    if (strcmp(n->last_payload, "fail") == 0)
        rpc_reply(&n->rpc, request, KELPIE_E_MAILBOX_FULL, bytes_of(NULL, 0));
    else if (n->answer_len) {
        uint8_t *big = calloc(1, n->answer_len);

        assert_non_null(big);
        rpc_reply(&n->rpc, request, 0, bytes_of(big, n->answer_len));
        free(big);
    } else
        rpc_reply(&n->rpc, request, 0, request->payload);
}

struct uuid uuid_filled(uint8_t v)
{
    struct uuid u;

    memset(u.b, v, sizeof u.b);
    return u;
}

static bool is_known(void *arg, const struct rpc_identity *who)
{
    const struct node *n = arg;

    for (size_t i = 0; i < NODES; i++)
        if (uuid_equal(n->world->nodes[i].rpc.self.boot, who->boot))
            return true;
    return false;
}

/* A frame comes to `n` on that connection, or on one that it dialled. */
enum net_standing arrive(struct node *n, struct net_conn conn, const char *dialled,
                         struct bytes payload)
{
    struct net_from from = {
        .conn = conn, .dialled = dialled, .identity = n->identity, .somewhere = "10.9.9.9:9"};

    return n->events->frame(n->events_arg, &from, payload);
}

/* One that another node sent. */
static enum net_standing arrive_frame(struct node *n, const struct frame *f)
{
    bool is_answer = f->conn.id > 0;
    struct net_conn conn = {is_answer ? 0 : (uint64_t)(f->from - n->world->nodes) + 1};

    return arrive(n, conn, is_answer ? addrs[f->from - n->world->nodes] : "",
                  net_frame_payload(bytes_of(f->data, f->len)));
}

int rpc_world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return -1;
    w->now_ns = 1000;
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->nodes[i];
        struct rpc_identity self = {.cluster_id = uuid_filled(7),
                                    .boot = uuid_filled((uint8_t)(i + 1)),
                                    .incarnation = i + 1};

        n->world = w;
        n->identity = "";
        n->env.mem = (struct mem){&mem_ops, NULL};
        n->env.clock = (struct clock){&clock_ops, w};
        n->env.timers = (struct timers){&timer_ops, w};
        n->env.random = (struct random){&random_ops, w};
        n->env.net = (struct net){&net_ops, n};
        (void)snprintf(self.node_id, sizeof self.node_id, "n%zu", i + 1);
        rpc_init(&n->rpc, &n->env);
        rpc_set_identity(&n->rpc, &self);
        n->rpc.on_bad = on_bad;
        n->rpc.on_bad_arg = n;
        rpc_serve(&n->rpc, RPC_ACTOR_CALL, on_call, n);
        rpc_set_known(&n->rpc, is_known, n);
    }
    *state = w;
    return 0;
}

int rpc_world_teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < NODES; i++)
        rpc_deinit(&w->nodes[i].rpc);
    for (size_t i = 0; i < w->frame_count; i++)
        free(w->frames[i].data);
    assert_int_equal(w->timer_count, 0);
    free(w);
    return 0;
}

/* Delivers what is under way, and what follows from it. */
void deliver(struct world *w)
{
    while (w->frame_count) {
        struct frame f = w->frames[0];

        memmove(&w->frames[0], &w->frames[1], --w->frame_count * sizeof f);
        assert_int_equal(net_frame_scan(bytes_of(f.data, f.len)), f.len);
        for (size_t i = 0; i < NODES; i++) {
            if (strcmp(addrs[i], f.addr) == 0)
                w->nodes[i].standing = arrive_frame(&w->nodes[i], &f);
        }
        free(f.data);
    }
}

void lose_frames(struct world *w)
{
    while (w->frame_count)
        free(w->frames[--w->frame_count].data);
}

/* Time passes; timers run in order. */
void pass(struct world *w, uint64_t ns)
{
    uint64_t end = w->now_ns + ns;

    for (;;) {
        struct timer *first = NULL;

        for (size_t i = 0; i < w->timer_count; i++) {
            struct timer *t = w->timers[i];

            if (t->due_ns <= end && (!first || t->due_ns < first->due_ns ||
                                     (t->due_ns == first->due_ns && t->seq < first->seq)))
                first = t;
        }
        if (!first)
            break;
        w->now_ns = first->due_ns;
        fake_timer_stop(w, first);
        first->armed = false;
        first->fn(first->arg);
    }
    w->now_ns = end;
}

void on_done(struct rpc_call *call, int status, struct bytes payload)
{
    struct outcome *o = call->arg;

    o->count++;
    o->status = status;
    o->payload_len = payload.len;
    (void)snprintf(o->payload, sizeof o->payload, "%.*s", (int)(payload.len < 60 ? payload.len : 0),
                   (const char *)payload.data);
}

void call_boot(struct world *w, struct outcome *o, struct uuid boot, const char *text)
{
    memset(o, 0, sizeof *o);
    rpc_start(&w->nodes[0].rpc, &o->call, addrs[1], boot, RPC_ACTOR_CALL, bytes_of_str(text),
              100 * NS_PER_MS, on_done, o);
    assert_int_equal(o->count, 0);
}

void call_text(struct world *w, struct outcome *o, const char *text)
{
    call_boot(w, o, uuid_filled(2), text);
}
void set_cluster(struct node *n, struct uuid id)
{
    struct rpc_identity self = n->rpc.self;

    self.cluster_id = id;
    rpc_set_identity(&n->rpc, &self);
}
