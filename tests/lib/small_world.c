#include "lib/small_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "env/txn.h"
#include "kelpie/error.h"
#include "lib/small_store.h"

/* ---- memory, clock, timers, randomness ---- */

static void *world_resize(void *ctx, void *ptr, size_t size)
{
    struct small_world *w = ctx;
    void *got = realloc(ptr, size);

    CHECK(got);
    w->memory_held += !ptr;
    return got;
}

static void *world_alloc(void *ctx, size_t size)
{
    return world_resize(ctx, NULL, size);
}

static void world_release(void *ctx, void *ptr)
{
    struct small_world *w = ctx;

    w->memory_held -= ptr != NULL;
    free(ptr);
}

static const struct mem_ops mem_ops = {world_alloc, world_resize, world_release};

static uint64_t now_ns(void *ctx)
{
    return ((struct small_world *)ctx)->now_ns;
}

static uint64_t wall_ms(void *ctx)
{
    return now_ns(ctx) / NS_PER_MS;
}

static const struct clock_ops clock_ops = {now_ns, wall_ms};

static uint64_t random_next(void *ctx)
{
    struct small_world *w = ctx;
    uint64_t z = (w->random += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static const struct random_ops random_ops = {random_next};

static void timer_take_out(struct small_world *w, struct timer *t)
{
    for (size_t i = 0; i < w->timer_count; i++) {
        if (w->timers[i] == t) {
            w->timers[i] = w->timers[--w->timer_count];
            return;
        }
    }
}

static void world_timer_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct small_world *w = ctx;

    timer_take_out(w, t);
    CHECK(w->timer_count < SMALL_TIMERS_MAX);
    t->due_ns = w->now_ns + delay_ns;
    t->seq = w->next_seq++;
    t->armed = true;
    w->timers[w->timer_count++] = t;
}

static void world_timer_stop(void *ctx, struct timer *t)
{
    timer_take_out(ctx, t);
    t->armed = false;
}

static const struct timer_ops timer_ops = {world_timer_start, world_timer_stop};

/* ---- network ---- */

static int net_queue(struct small_node *n, const char *addr, bool is_answer, struct bytes frame)
{
    struct small_world *w = n->world;
    struct small_frame *f = &w->frames[(w->frame_first + w->frame_count) % SMALL_FRAMES_MAX];

    if (n->mute)
        return 0;
    CHECK(w->frame_count++ < SMALL_FRAMES_MAX);
    f->from = n;
    f->is_answer = is_answer;
    (void)snprintf(f->addr, sizeof f->addr, "%s", addr);
    f->data = malloc(frame.len);
    CHECK(f->data);
    memcpy(f->data, frame.data, frame.len);
    f->len = frame.len;
    return 0;
}

static int net_ship(void *ctx, const char *addr, struct bytes frame)
{
    return net_queue(ctx, addr, false, frame);
}

/* A connection is the number of the node that dialled, from 1. */
static int net_ship_back(void *ctx, struct net_conn conn, struct bytes frame)
{
    struct small_node *n = ctx;

    CHECK(conn.id > 0 && conn.id <= SMALL_NODES_MAX);
    return net_queue(n, n->world->nodes[conn.id - 1].addr, true, frame);
}

static void net_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct small_node *n = ctx;

    n->events = events;
    n->events_arg = arg;
}

static const struct net_ops net_ops = {net_ship, net_ship_back, net_receive, NULL};

static void deliver(struct small_world *w)
{
    struct small_frame f = w->frames[w->frame_first];
    struct small_node *to = NULL;

    w->frame_first = (w->frame_first + 1) % SMALL_FRAMES_MAX;
    w->frame_count--;
    for (size_t i = 0; i < SMALL_NODES_MAX; i++) {
        if (w->nodes[i].node && strcmp(w->nodes[i].addr, f.addr) == 0)
            to = &w->nodes[i];
    }
    if (to && to->events) {
        struct net_from from = {.dialled = "", .identity = "", .somewhere = f.from->addr};

        if (f.is_answer)
            from.dialled = f.from->addr;
        else
            from.conn.id = (uint64_t)(f.from - w->nodes) + 1;
        (void)to->events->frame(to->events_arg, &from, net_frame_payload(bytes_of(f.data, f.len)));
    } else if (f.from->events && !f.is_answer) {
        f.from->events->down(f.from->events_arg, f.addr);
    }
    free(f.data);
}

/* ---- store: the memory store, with results planted on the way ---- */

struct planted {
    struct timer timer;
    struct small_world *world;
    struct store_req *req;
    int status;
};

static void planted_fire(void *arg)
{
    struct planted *p = arg;
    struct store_req *req = p->req;
    int status = p->status;

    req->backend = NULL;
    free(p);
    req->fn(req, status);
}

static void answer_later(struct small_world *w, struct store_req *req, int status)
{
    struct planted *p = calloc(1, sizeof *p);

    CHECK(p);
    p->world = w;
    p->req = req;
    p->status = status;
    timer_init(&p->timer, (struct timers){&timer_ops, w}, "planted", planted_fire, p);
    timer_start(&p->timer, 0);
}

/* A commit that happens although its caller is told otherwise: a copy of the request. */
struct shadow {
    struct store_req req;
    struct small_world *world;
    struct store_req *original;
};

static void shadow_done(struct store_req *req, int status)
{
    struct shadow *s = req->arg;
    struct store_req *original = s->original;

    CHECK(status == 0);
    original->backend = NULL;
    free(s);
    original->fn(original, KELPIE_E_UNKNOWN_RESULT);
}

static void commit_in_secret(struct small_world *w, struct store_req *req)
{
    struct shadow *s = calloc(1, sizeof *s);

    CHECK(s);
    s->world = w;
    s->original = req;
    s->req.reads = req->reads;
    s->req.read_count = req->read_count;
    s->req.writes = req->writes;
    s->req.write_count = req->write_count;
    s->req.read_version = req->read_version;
    s->req.fn = shadow_done;
    s->req.arg = s;
    w->store.ops->commit(w->store.ctx, &s->req);
}

/* A request that nobody answers; it ends by cancel. */
static void swallow(struct small_world *w, struct store_req *req)
{
    CHECK(w->swallowed_count < SMALL_SWALLOWED_MAX);
    w->swallowed[w->swallowed_count++] = req;
}

/* A commit under way to the store, longer than whoever sent it waits. */
struct small_late {
    struct store_req req;
    struct store_read reads[STORE_READS_MAX];
    struct store_write writes[STORE_WRITES_MAX];
    struct bytes copies[2 * (STORE_READS_MAX + STORE_WRITES_MAX)];
    size_t copy_count;
    bool done;
    int status;
};

static struct bytes copy_bytes(struct small_late *late, struct bytes b)
{
    uint8_t *data = malloc(b.len + 1);

    CHECK(data);
    if (b.len)
        memcpy(data, b.data, b.len);
    late->copies[late->copy_count++] = bytes_of(data, b.len);
    return bytes_of(data, b.len);
}

static void keep_late(struct small_world *w, const struct store_req *req)
{
    struct small_late *late = calloc(1, sizeof *late);

    CHECK(late && !w->late);
    for (size_t i = 0; i < req->read_count; i++) {
        late->reads[i] = req->reads[i];
        late->reads[i].key = copy_bytes(late, req->reads[i].key);
        late->reads[i].end = copy_bytes(late, req->reads[i].end);
    }
    for (size_t i = 0; i < req->write_count; i++) {
        late->writes[i] = req->writes[i];
        late->writes[i].key = copy_bytes(late, req->writes[i].key);
        late->writes[i].value = copy_bytes(late, req->writes[i].value);
    }
    late->req.reads = late->reads;
    late->req.read_count = req->read_count;
    late->req.writes = late->writes;
    late->req.write_count = req->write_count;
    late->req.read_version = req->read_version;
    w->late = late;
}

static void late_done(struct store_req *req, int status)
{
    struct small_late *late = req->arg;

    late->done = true;
    late->status = status;
}

static void late_free(struct small_world *w)
{
    if (!w->late)
        return;
    for (size_t i = 0; i < w->late->copy_count; i++)
        free((void *)(uintptr_t)w->late->copies[i].data);
    free(w->late);
    w->late = NULL;
}

int small_land(struct small_world *w)
{
    int status;

    CHECK(w->late);
    w->late->req.fn = late_done;
    w->late->req.arg = w->late;
    w->store.ops->commit(w->store.ctx, &w->late->req);
    assert_true(small_run_until(w, &w->late->done, 1000));
    status = w->late->status;
    late_free(w);
    return status;
}

static void on_held_read(struct store_req *req, int status)
{
    struct small_world *w = req->arg;

    req->fn = w->held_fn;
    req->arg = w->held_arg;
    w->held_answered = true;
    w->held_status = status;
}

static void hold_read(struct small_world *w, struct store_req *req)
{
    w->read_held = false;
    w->held = req;
    w->held_fn = req->fn;
    w->held_arg = req->arg;
    req->fn = on_held_read;
    req->arg = w;
}

void small_read_arrives(struct small_world *w)
{
    struct store_req *req = w->held;

    assert_true(req && w->held_answered);
    w->held = NULL;
    req->fn(req, w->held_status);
}

static void store_read_(void *ctx, struct store_req *req)
{
    struct small_world *w = ctx;

    w->requests++;
    if (w->store_cut) {
        swallow(w, req);
        return;
    }
    if (w->read_held && w->read_skip-- == 0)
        hold_read(w, req);
    w->store.ops->read(w->store.ctx, req);
}

static void store_commit_(void *ctx, struct store_req *req)
{
    struct small_world *w = ctx;
    enum small_commit plan = SMALL_COMMIT_PLAIN;

    w->requests++;
    if (w->store_cut) {
        swallow(w, req);
        return;
    }
    if (w->store_full) {
        answer_later(w, req, KELPIE_E_STORE_FULL);
        return;
    }
    w->commits++;
    if (w->before_commit)
        w->before_commit(w, req);
    if (w->commit_plan != SMALL_COMMIT_PLAIN && w->commit_skip-- == 0) {
        plan = w->commit_plan;
        w->commit_plan = SMALL_COMMIT_PLAIN;
        w->commit_skip = 0;
    }
    switch (plan) {
    case SMALL_COMMIT_PLAIN:
        w->store.ops->commit(w->store.ctx, req);
        return;
    case SMALL_COMMIT_UNKNOWN_DONE:
        commit_in_secret(w, req);
        return;
    case SMALL_COMMIT_UNKNOWN_NOT:
        answer_later(w, req, KELPIE_E_UNKNOWN_RESULT);
        return;
    case SMALL_COMMIT_FULL:
        answer_later(w, req, KELPIE_E_STORE_FULL);
        return;
    case SMALL_COMMIT_LIMIT:
        answer_later(w, req, KELPIE_E_LIMIT);
        return;
    case SMALL_COMMIT_LATE:
        keep_late(w, req);
        swallow(w, req);
        return;
    }
}

static void store_cancel_(void *ctx, struct store_req *req)
{
    struct small_world *w = ctx;

    for (size_t i = 0; i < w->swallowed_count; i++) {
        if (w->swallowed[i] == req) {
            w->swallowed[i] = w->swallowed[--w->swallowed_count];
            return;
        }
    }
    w->store.ops->cancel(w->store.ctx, req);
}

static void store_release_(void *ctx, struct store_req *req)
{
    struct small_world *w = ctx;

    w->store.ops->release(w->store.ctx, req);
}

static void store_watch_(void *ctx, struct store_watch *watch)
{
    struct small_world *w = ctx;

    w->store.ops->watch(w->store.ctx, watch);
}

static void store_unwatch_(void *ctx, struct store_watch *watch)
{
    struct small_world *w = ctx;

    w->store.ops->unwatch(w->store.ctx, watch);
}

static const struct store_ops store_ops = {store_read_,    store_commit_, store_cancel_,
                                           store_release_, store_watch_,  store_unwatch_};

/* ---- the world ---- */

static void log_line(void *ctx, enum log_level level, const char *event, const char *fields)
{
    struct small_world *w = ctx;

    (void)level;
    if (getenv("SMALL_WORLD_LOG"))
        (void)fprintf(stderr, "%8llu ms %s %s\n", (unsigned long long)(w->now_ns / NS_PER_MS),
                      event, fields);
}

static const struct log_ops log_ops = {log_line};

static void env_fill(struct small_world *w, struct env *env)
{
    memset(env, 0, sizeof *env);
    env->mem = (struct mem){&mem_ops, w};
    env->clock = (struct clock){&clock_ops, w};
    env->timers = (struct timers){&timer_ops, w};
    env->random = (struct random){&random_ops, w};
    env->store = (struct store){&store_ops, w};
    env->log = (struct log){&log_ops, w, LOG_DEBUG};
    env_init(env);
}

struct small_world *small_world_new(void)
{
    struct small_world *w = calloc(1, sizeof *w);

    CHECK(w);
    w->now_ns = 1000 * NS_PER_S;
    env_fill(w, &w->env);
    CHECK(keyspace_init(&w->ks, "kelpie") == 0);
    w->memory = small_store_new(w->env.mem, w->env.timers, &w->store);
    return w;
}

bool small_step(struct small_world *w)
{
    size_t next = 0;
    struct timer *t;

    if (w->frame_count > 0) {
        deliver(w);
        return true;
    }
    if (w->timer_count == 0)
        return false;
    for (size_t i = 1; i < w->timer_count; i++) {
        const struct timer *a = w->timers[i], *b = w->timers[next];
        if (a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->seq < b->seq))
            next = i;
    }
    t = w->timers[next];
    w->timers[next] = w->timers[--w->timer_count];
    t->armed = false;
    if (t->due_ns > w->now_ns)
        w->now_ns = t->due_ns;
    t->fn(t->arg);
    return true;
}

static uint64_t next_due_ns(const struct small_world *w)
{
    uint64_t due = UINT64_MAX;

    if (w->frame_count > 0)
        return w->now_ns;
    for (size_t i = 0; i < w->timer_count; i++) {
        if (w->timers[i]->due_ns < due)
            due = w->timers[i]->due_ns;
    }
    return due;
}

void small_run_ms(struct small_world *w, uint64_t ms)
{
    uint64_t end = w->now_ns + ms * NS_PER_MS;

    while (next_due_ns(w) <= end)
        (void)small_step(w);
    w->now_ns = end;
}

bool small_run_until(struct small_world *w, const bool *flag, uint64_t ms)
{
    uint64_t end = w->now_ns + ms * NS_PER_MS;

    while (!*flag && next_due_ns(w) <= end)
        (void)small_step(w);
    return *flag;
}

static void on_left(void *arg)
{
    ((struct small_node *)arg)->left = true;
}

static void on_closed(void *arg)
{
    ((struct small_node *)arg)->closed = true;
}

struct small_node *small_node_start(struct small_world *w, size_t index,
                                    const struct kelpie_class *const *classes,
                                    uint32_t activations_max, uint32_t idle_ms)
{
    static const struct node_events events = {.left = on_left};
    struct small_node *n = &w->nodes[index];
    struct node_config config = {
        .cluster = {.ks = w->ks, .timing = timing_default()},
        .actors = {.classes = classes, .activations_max = activations_max, .idle_ms = idle_ms},
    };

    CHECK(index < SMALL_NODES_MAX && !n->node);
    memset(n, 0, sizeof *n);
    n->world = w;
    env_fill(w, &n->env);
    n->env.net = (struct net){&net_ops, n};
    (void)snprintf(n->addr, sizeof n->addr, "127.0.0.1:%zu", 7001 + index);
    (void)snprintf(config.cluster.node_id, sizeof config.cluster.node_id, "n%zu", index + 1);
    memcpy(config.cluster.addr, n->addr, sizeof config.cluster.addr);
    memcpy(config.cluster.http_addr, n->addr, sizeof config.cluster.http_addr);
    config.cluster.boot = random_uuid(n->env.random);
    n->node = node_new(&n->env, &config, &events, n);
    node_start(n->node);
    return n;
}

void small_node_close(struct small_node *n)
{
    node_close(n->node, on_closed, n);
    assert_true(small_run_until(n->world, &n->closed, 60000));
    node_free(n->node);
    n->node = NULL;
}

bool small_wait_view(struct small_world *w, size_t index, size_t count)
{
    for (unsigned i = 0; i < 2000; i++) {
        struct cluster *c = node_cluster(w->nodes[index].node);
        if (cluster_view(c) && cluster_view(c)->count == count && cluster_may_act(c))
            return true;
        small_run_ms(w, 10);
    }
    return false;
}

struct small_world *small_world_of(size_t nodes, const struct kelpie_class *const *classes)
{
    struct small_world *w = small_world_new();

    for (size_t i = 0; i < nodes; i++) {
        (void)small_node_start(w, i, classes, 0, 0);
        CHECK(small_wait_view(w, 0, i + 1));
    }
    for (size_t i = 0; i < nodes; i++)
        CHECK(small_wait_view(w, i, nodes));
    return w;
}

void small_on_answer(void *arg, int status, struct bytes reply)
{
    struct small_answer *r = arg;
    size_t len = reply.len < sizeof r->text - 1 ? reply.len : sizeof r->text - 1;

    CHECK(!r->done);
    r->done = true;
    r->status = status;
    memcpy(r->text, reply.data ? (const char *)reply.data : "", len);
    r->text[len] = '\0';
}

void small_world_free(struct small_world *w)
{
    for (size_t i = 0; i < SMALL_NODES_MAX; i++) {
        if (w->nodes[i].node)
            small_node_close(&w->nodes[i]);
    }
    while (w->frame_count > 0)
        deliver(w);
    late_free(w);
    small_store_free(w->memory);
    assert_int_equal(w->memory_held, 0);
    assert_int_equal(w->timer_count, 0);
    free(w);
}

/* ---- rows ---- */

struct row_op {
    struct txn txn;
    struct key key;
    struct buf *value;
    bool put, found, done;
};

static enum verdict row_rule(struct rule_ctx *ctx, void *arg)
{
    struct row_op *op = arg;
    struct bytes value;

    if (op->put) {
        rule_put(ctx, key_bytes(&op->key), buf_bytes(op->value));
        return RULE_COMMIT;
    }
    op->found = rule_row(ctx->txn, 0, &value);
    if (op->found) {
        buf_clear(op->value);
        buf_append_bytes(op->value, value);
    }
    return RULE_DONE;
}

static void row_done(struct txn *txn, int status)
{
    struct row_op *op = txn->arg;

    assert_int_equal(status, 0);
    op->done = true;
}

static bool row_run(struct small_world *w, struct row_op *op)
{
    void (*hook)(struct small_world *, const struct store_req *) = w->before_commit;
    enum small_commit plan = w->commit_plan;

    w->before_commit = NULL;
    w->commit_plan = SMALL_COMMIT_PLAIN;
    txn_init(&op->txn, &w->env, "Row", row_rule, op, row_done, op);
    (void)txn_read(&op->txn, key_bytes(&op->key), true);
    txn_start(&op->txn);
    assert_true(small_run_until(w, &op->done, 1000));
    w->before_commit = hook;
    w->commit_plan = plan;
    return op->found;
}

void small_put(struct small_world *w, struct key key, struct buf *value)
{
    struct row_op op = {.key = key, .value = value, .put = true};

    (void)row_run(w, &op);
}

bool small_get(struct small_world *w, struct key key, struct buf *out)
{
    struct row_op op = {.key = key, .value = out};

    return row_run(w, &op);
}
