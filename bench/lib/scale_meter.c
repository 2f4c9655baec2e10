#include "scale_meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env/txn.h"
#include "kelpie/error.h"

void meter_init(struct meter *m, size_t nodes)
{
    *m = (struct meter){.node_count = nodes, .nodes = calloc(nodes, sizeof *m->nodes)};
    CHECK(m->nodes);
}

void meter_deinit(struct meter *m)
{
    free(m->nodes);
}

void meter_reset(struct meter *m)
{
    memset(m->nodes, 0, m->node_count * sizeof *m->nodes);
}

void meter_add(struct meter_counts *to, const struct meter_counts *from)
{
    to->transactions += from->transactions;
    to->read_rounds += from->read_rounds;
    to->rows += from->rows;
    to->bytes_read += from->bytes_read;
    to->commits += from->commits;
    to->committed += from->committed;
    to->conflicts += from->conflicts;
    to->rows_written += from->rows_written;
    to->bytes_written += from->bytes_written;
    to->frames += from->frames;
    to->frame_bytes += from->frame_bytes;
}

struct meter_counts meter_action(const struct meter *m, const char *action)
{
    struct meter_counts sum = {0};

    for (size_t a = 0; a < m->action_count; a++)
        for (size_t n = 0; n < m->node_count && !strcmp(m->actions[a], action); n++)
            meter_add(&sum, &m->nodes[n].of[a]);
    return sum;
}

static size_t action_index(struct meter *m, const char *action)
{
    for (size_t a = 0; a < m->action_count; a++)
        if (strcmp(m->actions[a], action) == 0)
            return a;
    CHECK(m->action_count < METER_ACTIONS_MAX);
    (void)snprintf(m->actions[m->action_count], METER_NAME_MAX, "%s", action);
    return m->action_count++;
}

/* Every request of a node is part of a transaction (env/store.h). */
static struct txn *txn_of(struct store_req *req)
{
    return CONTAINER_OF(req, struct txn, req);
}

static void count(struct meter_door *d, const struct txn *t, const struct meter_counts *c)
{
    struct meter_node *n = &d->meter->nodes[d->node];

    meter_add(&n->all, c);
    meter_add(&n->of[action_index(d->meter, t->action)], c);
}

static struct meter_door *door_of(const struct store_req *req)
{
    return txn_of((struct store_req *)req)->env->store.ctx;
}

/* ---- answers */

static void on_read(struct store_req *req, int status)
{
    struct meter_door *d = door_of(req);
    struct meter_counts c = {0};

    req->fn = d->read_fn;
    for (size_t i = 0; !status && i < req->read_count; i++) {
        const struct store_result *r = &req->results[i];
        c.rows += r->count;
        for (size_t k = 0; k < r->count; k++)
            c.bytes_read += r->rows[k].key.len + r->rows[k].value.len;
    }
    count(d, txn_of(req), &c);
    req->fn(req, status);
}

static void on_commit(struct store_req *req, int status)
{
    struct meter_door *d = door_of(req);
    struct meter_counts c = {.conflicts = status == KELPIE_E_CONFLICT};

    req->fn = d->commit_fn;
    if (!status) {
        c.committed = 1;
        c.rows_written = req->write_count;
        for (size_t i = 0; i < req->write_count; i++)
            c.bytes_written += req->writes[i].key.len + req->writes[i].value.len;
    }
    count(d, txn_of(req), &c);
    req->fn(req, status);
}

/* ---- what nodes call */

static void meter_read(void *ctx, struct store_req *req)
{
    struct meter_door *d = ctx;
    struct meter_counts c = {.transactions = txn_of(req)->attempts == 1, .read_rounds = 1};

    CHECK(!d->read_fn || d->read_fn == req->fn);
    d->read_fn = req->fn;
    req->fn = on_read;
    count(d, txn_of(req), &c);
    d->store.ops->read(d->store.ctx, req);
}

static void meter_commit(void *ctx, struct store_req *req)
{
    struct meter_door *d = ctx;
    struct meter_counts c = {.commits = 1};

    CHECK(!d->commit_fn || d->commit_fn == req->fn);
    d->commit_fn = req->fn;
    req->fn = on_commit;
    count(d, txn_of(req), &c);
    d->store.ops->commit(d->store.ctx, req);
}

static void meter_cancel(void *ctx, struct store_req *req)
{
    struct meter_door *d = ctx;
    d->store.ops->cancel(d->store.ctx, req);
}

static void meter_release(void *ctx, struct store_req *req)
{
    struct meter_door *d = ctx;
    d->store.ops->release(d->store.ctx, req);
}

static void meter_watch(void *ctx, struct store_watch *w)
{
    struct meter_door *d = ctx;
    d->store.ops->watch(d->store.ctx, w);
}

static void meter_unwatch(void *ctx, struct store_watch *w)
{
    struct meter_door *d = ctx;
    d->store.ops->unwatch(d->store.ctx, w);
}

static const struct store_ops store_ops = {
    .read = meter_read,
    .commit = meter_commit,
    .cancel = meter_cancel,
    .release = meter_release,
    .watch = meter_watch,
    .unwatch = meter_unwatch,
};

static int meter_send(void *ctx, const char *addr, struct bytes frame)
{
    struct meter_door *d = ctx;
    struct meter_counts *all = &d->meter->nodes[d->node].all;

    all->frames++;
    all->frame_bytes += frame.len;
    return d->net.ops->send(d->net.ctx, addr, frame);
}

static int meter_answer(void *ctx, struct net_conn conn, struct bytes frame)
{
    struct meter_door *d = ctx;
    struct meter_counts *all = &d->meter->nodes[d->node].all;

    all->frames++;
    all->frame_bytes += frame.len;
    return d->net.ops->answer(d->net.ctx, conn, frame);
}

static void meter_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct meter_door *d = ctx;
    d->net.ops->receive(d->net.ctx, events, arg);
}

static const struct net_ops net_ops = {
    .send = meter_send, .answer = meter_answer, .receive = meter_receive};

void meter_attach(struct meter *m, struct meter_door *d, struct process *p, unsigned node)
{
    CHECK(node < m->node_count);
    *d = (struct meter_door){.meter = m, .node = node, .store = p->env.store, .net = p->env.net};
    p->env.store = (struct store){.ops = &store_ops, .ctx = d};
    p->env.net = (struct net){.ops = &net_ops, .ctx = d};
}
