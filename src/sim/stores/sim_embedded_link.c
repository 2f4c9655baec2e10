/* A process's end of the way to the embedded store: the production client's session, on pipes. */
#include <stdlib.h>

#include "kelpie/error.h"
#include "sim/steps/sim_steps.h"
#include "sim/stores/sim_embedded.h"
#include "sim/world/sim_hooks.h"
#include "store/store_limits.h"
#include "store/store_socket.h"

#define BREAKS_MS_MAX 3000 /* until a connection that carries nothing is given up */
#define RETRY_MS_MAX 100

static void link_later(struct sim_link *l, struct sim_event *e, uint64_t ms_max)
{
    if (!event_queued(e))
        world_after(l->p->world, e, store_below_ms(embedded_of(l->p->world), ms_max));
}

/* What the session could not send is told soon, also that a read has waited too long. */
static void link_wake(struct sim_link *l)
{
    if (session_has_deferred(&l->session) && !event_queued(&l->soon))
        world_after(l->p->world, &l->soon, 0);
    else if (!l->session.up && !list_empty(&l->session.waiting) && !event_queued(&l->soon))
        world_after(l->p->world, &l->soon, SOCKET_WAIT_MS * NS_PER_MS);
}

/* Takes the frames that the session has written; returns the last request. */
static struct sim_msg *link_take(struct sim_link *l)
{
    struct buf *out = &l->session.out;
    struct sim_msg *last = NULL;
    struct store_frame f;

    for (size_t at = 0; at < out->len; at += f.size) {
        struct bytes rest = bytes_of(out->data + at, out->len - at);
        CHECK(store_frame_next(rest, STORE_REQUEST_MAX, &f) == 1);
        if (f.type == STORE_MSG_WATCH)
            sim_watch_send(l->p, &f);
        else if (f.type == STORE_MSG_UNWATCH)
            sim_unwatch_send(l->p, &f);
        else
            last = store_send(l->p, &f, bytes_of(rest.data, f.size));
    }
    buf_clear(out);
    link_wake(l);
    return last;
}

void link_deliver(struct process *p, enum process_event kind, uint64_t digest, struct bytes frame)
{
    struct sim_link *l = p->store_link;
    struct store_frame f;

    CHECK(store_frame_next(frame, STORE_ANSWER_MAX, &f) == 1 && f.size == frame.len);
    process_enter(p, kind, digest);
    CHECK(session_answer(&l->session, &f) == 0);
    process_leave(p);
}

/* ---- the connection */

void link_breaks(struct process *p)
{
    if (p->store_link->session.up)
        link_later(p->store_link, &p->store_link->look, BREAKS_MS_MAX);
}

static void on_look(struct world *w, struct sim_event *e)
{
    struct sim_link *l = CONTAINER_OF(e, struct sim_link, look);
    struct process *p = l->p;
    bool up = l->session.up;

    if (process_hold(p, e))
        return;
    if (!up && embedded_of(w)->cuts[p->node] > 0) {
        link_later(l, e, RETRY_MS_MAX);
        return;
    }
    process_enter(p, PROCESS_STORE, up);
    if (up) {
        link_later(l, e, RETRY_MS_MAX);
        sim_watch_detach(p);
        store_forget_sender(p);
        session_down(&l->session);
        link_wake(l);
    } else {
        session_up(&l->session);
        (void)link_take(l);
    }
    process_leave(p);
}

static void on_soon(struct world *w, struct sim_event *e)
{
    struct sim_link *l = CONTAINER_OF(e, struct sim_link, soon);
    uint64_t wait = SOCKET_WAIT_MS * NS_PER_MS, next;

    (void)w;
    if (process_hold(l->p, e))
        return;
    process_enter(l->p, PROCESS_STORE, 2);
    session_run_deferred(&l->session);
    if (!l->session.up)
        (void)session_expire(&l->session, l->p->world->now_ns - wait, &next);
    link_wake(l);
    process_leave(l->p);
}

/* ---- what nodes call */

static void op_read(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    embedded_of(p->world)->stats.reads++;
    session_read(&p->store_link->session, req, p->world->now_ns);
    (void)link_take(p->store_link);
}

static void op_commit(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    CHECK(req->write_count > 0);
    embedded_of(p->world)->stats.commits++;
    session_commit(&p->store_link->session, req);
    struct sim_msg *m = link_take(p->store_link);
    if (!m)
        return;
    checks_on_send(p->world, req);
    if (p->world->steps)
        steps_on_send(p, m->seen.action, req);
    store_trouble_dooms(embedded_of(p->world), m);
}

static void op_cancel(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    if (!req->backend)
        return;
    LIST_FOREACH(it, &p->store_msgs)
    {
        struct sim_msg *m = LIST_ENTRY(it, struct sim_msg, link);
        m->wanted = m->wanted && m->id != req->id;
    }
    session_cancel(&p->store_link->session, req);
}

static void op_release(void *ctx, struct store_req *req)
{
    struct process *p = ctx;

    if (!req->results)
        return;
    CHECK(p->store_link->results > 0);
    p->store_link->results--;
    mem_free(p->env.mem, req->results);
    req->results = NULL;
}

static void op_watch(void *ctx, struct store_watch *watch)
{
    struct process *p = ctx;
    session_watch(&p->store_link->session, watch);
    (void)link_take(p->store_link);
}

static void op_unwatch(void *ctx, struct store_watch *watch)
{
    struct process *p = ctx;
    session_unwatch(&p->store_link->session, watch);
    (void)link_take(p->store_link);
}

struct store link_client(struct process *p)
{
    static const struct store_ops ops = {
        .read = op_read,
        .commit = op_commit,
        .cancel = op_cancel,
        .release = op_release,
        .watch = op_watch,
        .unwatch = op_unwatch,
    };
    struct sim_link *l = calloc(1, sizeof *l);

    CHECK(l);
    l->p = p;
    event_init(&l->look, on_look);
    event_init(&l->soon, on_soon);
    session_init(&l->session, sim_mem_of(&p->mem), SOCKET_REQUESTS_MAX, SOCKET_OUT_MAX);
    p->store_link = l;
    if (embedded_of(p->world)->cuts[p->node] > 0)
        link_later(l, &l->look, RETRY_MS_MAX);
    else
        session_up(&l->session);
    return (struct store){.ops = &ops, .ctx = p};
}

/* ---- the end */

bool link_closed(struct process *p)
{
    struct sim_link *l = p->store_link;

    if (l->closed)
        return true;
    l->closed = true;
    world_cancel(p->world, &l->look);
    world_cancel(p->world, &l->soon);
    sim_watch_detach(p);
    store_forget_sender(p);
    session_close(&l->session);
    session_deinit(&l->session);
    return true;
}

/* The life is over: what is under way to the store still arrives there, nothing comes back. */
void link_detach(struct process *p)
{
    struct sim_link *l = p->store_link;

    world_cancel(p->world, &l->look);
    world_cancel(p->world, &l->soon);
    sim_watch_detach(p);
    store_forget_sender(p);
    free(l);
    p->store_link = NULL;
}

size_t link_holds(const struct process *p)
{
    return p->store_link->session.used + p->store_link->results;
}
