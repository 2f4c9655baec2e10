/* Slots, and the workers that they are of. */
#include <stdio.h>
#include <string.h>

#include "kelpie/error.h"
#include "worker/hub_internal.h"

static uint64_t now_ns(const struct hub_slot *s)
{
    return env_now_ns(s->hub->env);
}

/* ---- what it waits for */

static void answer_nothing(struct hub_slot *s)
{
    list_remove(&s->waiting);
    timer_stop(&s->timer);
    s->does = SLOT_RESTS;
    s->ops->nothing(s->ctx);
}

static void tell_too_long(const struct hub_slot *s)
{
    const struct hub_turn *t = s->turn;
    const struct kelpie_message *m = t ? outside_message(t->outside) : NULL;
    char worker[UUID_TEXT_SIZE], id[4 * ACTOR_ID_MAX + 3], type[4 * ACTOR_TYPE_MAX + 3],
        method[4 * KELPIE_METHOD_MAX + 3], request[4 * REQUEST_ID_MAX + 3];

    uuid_to_text(s->worker->id, worker);
    if (!t) {
        log_warn(&s->hub->env->log, "worker_turn_too_long",
                 "worker=%s ticket=%llu reason=\"nobody waits for it any more\"", worker,
                 (unsigned long long)s->ticket);
        return;
    }
    log_warn(&s->hub->env->log, "worker_turn_too_long",
             "type=%s id=%s method=%s request=%s worker=%s ms=%llu",
             log_quote(t->type->is.type, type, sizeof type),
             log_quote(kelpie_actor_id(outside_actor(t->outside)), id, sizeof id),
             log_quote(m->method, method, sizeof method),
             log_quote(m->request_id, request, sizeof request), worker,
             (unsigned long long)((now_ns(s) - s->since_ns) / NS_PER_MS));
}

static void on_timer(void *arg)
{
    struct hub_slot *s = arg;

    if (s->does == SLOT_ASKS) {
        answer_nothing(s);
        return;
    }
    s->too_long = true;
    tell_too_long(s);
    s->ops->end(s->ctx);
}

void hub_slot_asks(struct hub_slot *s)
{
    struct hub *h = s->hub;

    s->turn = NULL;
    s->does = SLOT_ASKS;
    if (h->closed) {
        answer_nothing(s);
        return;
    }
    list_append(&h->waiting, &s->waiting);
    timer_start(&s->timer, HUB_ASK_MS * NS_PER_MS);
    (void)hub_feed(s);
}

static void give_turn(struct hub_slot *s, struct hub_turn *t)
{
    struct outside *o = t->outside;
    const struct kelpie_message *m = outside_message(o);
    struct kelpie_actor *actor = outside_actor(o);
    struct hub *h = s->hub;
    struct bytes key = bytes_of(NULL, 0), value;
    struct worker_turn w = {
        .ticket = t->ticket,
        .run = t->run,
        .type = kelpie_actor_type(actor),
        .id = kelpie_actor_id(actor),
        .method = m->method,
        .request_id = m->request_id,
        .attempt = (m->attempt ? m->attempt : 1) + t->deaths,
        .deadline_ms = outside_left_ms(o),
        .read = (m->flags & KELPIE_METHOD_READ) != 0,
        .sender_type = m->sender_type,
        .sender_id = m->sender_id,
        .due_ms = m->due_ms,
        .missed = m->missed,
        .chain = outside_chain(o),
        .body = bytes_of(m->body, m->body_len),
        .now_ms = kelpie_now_ms(actor),
        .state = h->state,
    };

    w.random = kelpie_random(actor) >> 11;
    while (w.state_count < KELPIE_STATE_KEYS_MAX && outside_state_next(o, key, &key, &value))
        h->state[w.state_count++] = (struct worker_entry){key, value};
    s->ops->turn(s->ctx, &w);
}

void hub_slot_runs(struct hub_slot *s, struct hub_turn *t)
{
    struct hub_worker *w = s->worker;

    LIST_FOREACH(l, &w->slots)
    {
        struct hub_slot *other = LIST_ENTRY(l, struct hub_slot, link);
        if (other->turn && other->turn != t)
            other->turn->alone = false;
    }
    t->alone = w->busy++ == 0;
    t->is = TURN_OUT;
    s->does = SLOT_RUNS;
    s->since_ns = now_ns(s);
    s->hub->out_count++;
    outside_hold(t->outside, true);
    timer_start(&s->timer, hub_type_turn_ns(t->type));
}

void hub_slot_give(struct hub_slot *s, struct hub_turn *t)
{
    struct hub *h = s->hub;
    uint64_t now = now_ns(s);

    CHECK(s->does == SLOT_ASKS && t->is == TURN_WAITS);
    hub_turn_unlist(t);
    list_remove(&s->waiting);
    if (t->suspect)
        s->worker->alone_for = t;
    t->count->turns++;
    t->count->waiting_ns += now - t->since_ns;
    t->since_ns = now;
    t->slot = s;
    t->ticket = s->ticket = ++h->last_ticket;
    s->turn = t;
    hub_slot_runs(s, t);
    give_turn(s, t);
}

bool hub_worker_has(const struct hub_worker *w, const struct hub_type *t)
{
    for (size_t i = 0; i < w->type_count; i++)
        if (w->types[i] == t)
            return true;
    return false;
}

/* ---- workers come and go */

static struct hub_worker *find_worker(const struct hub *h, struct uuid id)
{
    LIST_FOREACH(l, &h->workers)
    {
        struct hub_worker *w = LIST_ENTRY(l, struct hub_worker, link);
        if (uuid_equal(w->id, id))
            return w;
    }
    return NULL;
}

static bool says_the_same(const struct hub_worker *w, const struct worker_hello *hello)
{
    if (w->type_count != hello->type_count)
        return false;
    for (size_t i = 0; i < w->type_count; i++)
        if (!hub_type_is(w->types[i], &hello->types[i]))
            return false;
    return true;
}

static void worker_free(struct hub_worker *w, struct hub *h)
{
    list_remove(&w->link);
    h->worker_count--;
    CHECK(w->busy == 0);
    if (w->alone_for)
        w->alone_for->reserved = NULL;
    for (size_t i = 0; i < w->type_count; i++)
        hub_type_left(w->types[i]);
    mem_free(h->env->mem, w);
}

static struct hub_worker *worker_new(struct hub *h, struct uuid id,
                                     const struct worker_hello *hello, int *error, char *why,
                                     size_t why_size)
{
    struct hub_worker *w = MEM_NEW(h->env->mem, struct hub_worker);

    w->id = id;
    list_init(&w->slots);
    list_append(&h->workers, &w->link);
    h->worker_count++;
    for (size_t i = 0; i < hello->type_count; i++) {
        struct hub_type *t = hub_type_of(h, &hello->types[i], error, why, why_size);
        if (!t) {
            worker_free(w, h);
            return NULL;
        }
        hub_type_joined(t);
        w->types[w->type_count++] = t;
    }
    return w;
}

static int limit(struct hub *h, struct cap *cap, char *why, size_t why_size)
{
    cap_reached(cap, h->env);
    (void)snprintf(why, why_size, "the node has no room for more than %llu %s",
                   (unsigned long long)cap->bound, cap->name);
    return KELPIE_E_LIMIT;
}

static struct hub_worker *worker_of(struct hub *h, struct uuid id, const struct worker_hello *hello,
                                    int *error, char *why, size_t why_size)
{
    struct hub_worker *w = find_worker(h, id);

    *error = 0;
    if (h->closed) {
        *error = KELPIE_E_UNAVAILABLE;
        (void)snprintf(why, why_size, "the node is ending");
    } else if (h->slot_count == HUB_SLOTS_MAX) {
        *error = limit(h, &h->slots_cap, why, why_size);
    } else if (w && !says_the_same(w, hello)) {
        *error = KELPIE_E_REFUSED;
        (void)snprintf(why, why_size,
                       "other connections of this worker (Kelpie-Worker) have said other types");
    } else if (!w && h->worker_count == HUB_WORKERS_MAX) {
        *error = limit(h, &h->workers_cap, why, why_size);
    } else if (!w) {
        w = worker_new(h, id, hello, error, why, why_size);
    }
    return *error ? NULL : w;
}

/* ---- what its connection says */

struct hub_slot *hub_join(struct hub *h, struct uuid worker, const struct worker_hello *hello,
                          const struct hub_slot_ops *ops, void *ctx, int *error, char *why,
                          size_t why_size)
{
    struct hub_worker *w = worker_of(h, worker, hello, error, why, why_size);
    struct hub_slot *s;

    if (!w)
        return NULL;
    if (h->last_run == 0) /* no worker takes a run of this node's life for one of another */
        h->last_run = random_u64(h->env->random) >> 12;
    s = MEM_NEW(h->env->mem, struct hub_slot);
    s->hub = h;
    s->mem = h->env->mem;
    s->worker = w;
    s->ops = ops;
    s->ctx = ctx;
    list_init(&s->waiting);
    list_append(&w->slots, &s->link);
    h->slot_count++;
    timer_init(&s->timer, h->env->timers, "hub_slot", on_timer, s);
    hub_slot_asks(s);
    return s;
}

static void refuse(struct hub_slot *s, int error, const char *why)
{
    s->ops->refuse(s->ctx, error, why);
}

static bool is_over(struct hub_slot *s)
{
    if (s->hub)
        return false;
    refuse(s, KELPIE_E_UNAVAILABLE, "the node is ending");
    return true;
}

void hub_ask(struct hub_slot *s, bool last)
{
    char why[HUB_WHY_SIZE];

    if (is_over(s))
        return;
    CHECK(s->does == SLOT_RESTS || s->does == SLOT_RUNS);
    if (s->does == SLOT_RESTS && last) {
        s->ops->nothing(s->ctx);
        return;
    }
    if (s->does == SLOT_RESTS) {
        hub_slot_asks(s);
        return;
    }
    (void)snprintf(why, sizeof why,
                   "the connection owes the answer to ticket %llu, and asks for another turn",
                   (unsigned long long)s->ticket);
    refuse(s, KELPIE_E_REFUSED, why);
}

void hub_slot_rests(struct hub_slot *s)
{
    struct hub_worker *w = s->worker;

    timer_stop(&s->timer);
    if (s->does == SLOT_RUNS) {
        CHECK(w->busy > 0);
        w->busy--;
    }
    if (w->alone_for)
        hub_look_soon(s->hub);
    if (w->alone_for && w->alone_for == s->turn)
        w->alone_for = NULL;
    s->turn = NULL;
    s->does = SLOT_RESTS;
}

/* Why an answer with that ticket is not taken, or NULL. */
static const char *unasked_for(const struct hub_slot *s, uint64_t ticket, char *why, size_t size)
{
    const char *text = NULL;

    if (ticket == 0 || ticket > s->hub->last_ticket)
        text = "is none that was handed out";
    else if (ticket != s->ticket)
        text = "is none that this connection holds";
    else if (s->does == SLOT_RESTS)
        text = "was answered already";
    else if (!s->turn)
        text =
            "is of an earlier run: the activation is gone, or nobody waits for the turn any more";
    if (text)
        (void)snprintf(why, size, "the ticket %llu %s", (unsigned long long)ticket, text);
    return text;
}

static void count_result(struct hub_slot *s, bool error)
{
    struct hub_count *c = s->turn->count;

    c->results++;
    c->errors += error;
    c->busy_ns += now_ns(s) - s->since_ns;
}

void hub_answer(struct hub_slot *s, struct worker_result *r,
                void (*release)(struct worker_result *r, struct mem mem))
{
    char why[HUB_WHY_SIZE];
    struct hub_turn *t = s->turn;
    bool last = r->last && r->call_count == 0;

    if (is_over(s)) {
        release(r, s->mem);
        return;
    }
    CHECK(s->does == SLOT_RESTS || s->does == SLOT_RUNS);
    if (unasked_for(s, r->ticket, why, sizeof why)) {
        s->hub->refused_late++;
        release(r, s->mem);
        /* It was given nothing else meanwhile, so it owes nothing any more. */
        if (s->does == SLOT_RUNS && !t)
            hub_slot_rests(s);
        refuse(s, KELPIE_E_REFUSED, why);
        return;
    }
    count_result(s, r->status != 0);
    t->result = r;
    t->release = release;
    t->is = TURN_COMES;
    s->hub->out_count--;
    outside_answer(t->outside);
    if (r->call_count > 0) {
        timer_stop(&s->timer);
        s->does = SLOT_CALLS;
        s->worker->busy--;
        if (s->worker->alone_for)
            hub_look_soon(s->hub);
        return;
    }
    t->slot = NULL;
    hub_slot_rests(s);
    if (last)
        s->ops->nothing(s->ctx);
    else
        hub_slot_asks(s);
}

void hub_bad_answer(struct hub_slot *s, const char *why)
{
    struct hub_turn *t = s->turn;

    if (is_over(s))
        return;
    CHECK(s->does == SLOT_RESTS || s->does == SLOT_RUNS);
    if (s->does == SLOT_RUNS) {
        if (t) {
            count_result(s, true);
            t->slot = NULL;
            s->hub->out_count--;
            hub_turn_fail(t, KELPIE_E_HANDLER_FAILED, false, "the worker %s", why);
        }
        hub_slot_rests(s);
    }
    refuse(s, KELPIE_E_INVALID, why);
}

void hub_leave(struct hub_slot *s)
{
    struct hub *h = s->hub;
    struct hub_worker *w = s->worker;
    struct hub_turn *t = s->turn;

    if (!h) {
        mem_free(s->mem, s);
        return;
    }
    timer_stop(&s->timer);
    list_remove(&s->waiting);
    list_remove(&s->link);
    h->slot_count--;
    hub_worker_rests(h, w, s->too_long ? HUB_ENDING_MS : HUB_REST_MS);
    if (s->does == SLOT_RUNS)
        w->busy--;
    if (t && w->alone_for == t)
        w->alone_for = NULL;
    if (t) {
        t->slot = NULL;
        hub_turn_died(t, s->too_long);
    }
    mem_free(s->mem, s);
    if (list_empty(&w->slots))
        worker_free(w, h);
    hub_look(h);
}

void hub_slots_close(struct hub *h)
{
    LIST_FOREACH_SAFE(l, tmp, &h->waiting)
    {
        answer_nothing(LIST_ENTRY(l, struct hub_slot, waiting));
    }
}
