/* Turns, from `receive` until they end. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mark.h"
#include "kelpie/error.h"
#include "worker/hub_internal.h"

static int on_answered(struct kelpie_actor *actor, void *arg);
static void on_gone(void *arg);

static void release_result(struct hub_turn *t)
{
    struct worker_result *r = t->result;

    t->result = NULL;
    if (r)
        t->release(r, t->hub->env->mem);
}

static void turn_free(struct hub_turn *t)
{
    struct hub *h = t->hub;

    hub_turn_unlist(t);
    release_result(t);
    h->turn_count--;
    mem_free(h->env->mem, t);
}

void hub_turn_unlist(struct hub_turn *t)
{
    list_remove(&t->link);
    if (t->reserved) {
        t->reserved->alone_for = NULL;
        hub_look_soon(t->hub);
    }
    t->reserved = NULL;
}

/* ---- its beginning */

static int refuse(struct kelpie_actor *actor, int error, const char *why)
{
    outside_why(actor, error, why);
    outside_unreached(actor);
    return error;
}

int hub_receive(struct kelpie_actor *actor, const struct kelpie_message *m)
{
    struct hub_type *type = kelpie_class_arg(actor);
    struct hub *h = type->hub;
    struct outside *o;
    struct hub_turn *t;

    if (type->is_absent || h->closed) {
        char why[HUB_WHY_SIZE];
        (void)snprintf(why, sizeof why, HUB_ABSENT_TEXT, type->is.type);
        return refuse(actor, KELPIE_E_UNAVAILABLE, why);
    }
    if (h->turn_count == HUB_TURNS_MAX) {
        cap_reached(&h->turns_cap, h->env);
        return refuse(actor, KELPIE_E_MAILBOX_FULL, "too many turns wait for workers");
    }
    t = MEM_NEW(h->env->mem, struct hub_turn);
    o = outside_wait(actor, on_answered, on_gone, t);
    CHECK(o != NULL);
    h->turn_count++;
    list_init(&t->link);
    t->hub = h;
    t->type = type;
    t->outside = o;
    t->run = *(const uint64_t *)kelpie_actor_data(actor);
    t->since_ns = env_now_ns(h->env);
    t->number = ++h->last_number;
    t->count = hub_count_of(h, type->is.type, m->method);
    hub_place(t);
    return KELPIE_PENDING;
}

/* ---- its end without an answer */

/* The slot still runs it, and what it answers will be refused. */
static void on_gone(void *arg)
{
    struct hub_turn *t = arg;
    struct hub *h = t->hub;
    struct hub_slot *s = t->slot;

    h->out_count -= t->is == TURN_OUT;
    if (s && s->does == SLOT_CALLS) {
        hub_slot_rests(s);
        s->ops->nothing(s->ctx);
    } else if (s) {
        if (s->worker->alone_for == t) {
            s->worker->alone_for = NULL;
            hub_look_soon(h);
        }
        s->turn = NULL;
    }
    turn_free(t);
}

void hub_turn_fail(struct hub_turn *t, int error, bool unreached, const char *fmt, ...)
{
    va_list args;

    CHECK(!t->slot && t->is != TURN_COMES);
    va_start(args, fmt);
    (void)vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    hub_turn_unlist(t);
    t->failed = error;
    t->unreached = unreached && t->deaths == 0;
    t->is = TURN_COMES;
    outside_answer(t->outside);
}

/* ---- its worker has ended */

static void tell_died(const struct hub_turn *t)
{
    const struct kelpie_message *m = outside_message(t->outside);
    char id[4 * ACTOR_ID_MAX + 3], type[4 * ACTOR_TYPE_MAX + 3], method[4 * KELPIE_METHOD_MAX + 3],
        request[4 * REQUEST_ID_MAX + 3];

    log_warn(&t->hub->env->log, "worker_ended",
             "type=%s id=%s method=%s request=%s deaths=%u alone=%u ms=%llu",
             log_quote(t->type->is.type, type, sizeof type),
             log_quote(kelpie_actor_id(outside_actor(t->outside)), id, sizeof id),
             log_quote(m->method, method, sizeof method),
             log_quote(m->request_id, request, sizeof request), t->deaths, t->alone_deaths,
             (unsigned long long)((env_now_ns(t->hub->env) - t->since_ns) / NS_PER_MS));
}

void hub_turn_died(struct hub_turn *t, bool too_long)
{
    struct hub *h = t->hub;

    if (t->is == TURN_COMES) /* it has answered before */
        return;
    h->out_count -= t->is == TURN_OUT;
    t->deaths++;
    t->alone_deaths += t->alone;
    t->count->deaths++;
    t->count->too_long += too_long;
    tell_died(t);
    if (t->is == TURN_CALLS)
        outside_begin_again(t->outside);
    t->answers = NULL;
    t->is = TURN_WAITS;
    t->since_ns = env_now_ns(h->env);
    if (t->alone_deaths >= HUB_ALONE_DEATHS_MAX) {
        SOMETIMES("turn-ended-its-workers");
        t->count->given_up++;
        hub_turn_fail(t, KELPIE_E_HANDLER_FAILED, false,
                      "%u workers ended, or took too long, one after the other, with this turn "
                      "alone in them",
                      t->alone_deaths);
        return;
    }
    SOMETIMES("worker-died-with-a-turn");
    t->suspect = true;
    list_append(&h->suspects, &t->link);
    outside_hold(t->outside, false);
}

/* ---- what it comes to */

static void on_call_answered(struct kelpie_actor *actor, void *arg, int status,
                             const uint8_t *reply, size_t reply_len)
{
    const struct hub_answer_of *c = arg;
    struct hub_turn *t = c->turn;
    struct hub_slot *s = t->slot;
    uint8_t *copy = kelpie_turn_alloc(actor, reply_len + 1);

    CHECK(t->is == TURN_CALLS && s && s->does == SLOT_CALLS);
    if (reply_len)
        memcpy(copy, reply, reply_len);
    t->answers->list[c->number] =
        (struct worker_answer){.status = status, .reply = bytes_of(copy, reply_len)};
    if (--t->answers->open > 0)
        return;
    hub_slot_runs(s, t);
    s->ops->answers(s->ctx, t->ticket, t->answers->list, t->answers->count);
}

static int make_calls(struct kelpie_actor *actor, struct hub_turn *t)
{
    const struct worker_result *r = t->result;
    struct hub_answers *all = kelpie_turn_alloc(actor, sizeof *all);
    void *args[KELPIE_CALLS_OPEN_MAX];
    int status;

    if (!all) /* a read */
        return worker_apply(actor, r, on_call_answered, args);
    for (size_t i = 0; i < r->call_count; i++) {
        all->calls[i] = (struct hub_answer_of){.turn = t, .number = i};
        args[i] = &all->calls[i];
    }
    all->open = all->count = r->call_count;
    t->answers = all;
    status = worker_apply(actor, r, on_call_answered, args);
    if (status == KELPIE_PENDING) {
        t->is = TURN_CALLS;
        t->outside = outside_wait(actor, on_answered, on_gone, t);
        outside_hold(t->outside, true); /* somebody has it, but not beyond its deadline */
        outside_hold(t->outside, false);
    }
    return status;
}

/* The callback: what the turn's slot has said, or why it says nothing any more. */
static int on_answered(struct kelpie_actor *actor, void *arg)
{
    struct hub_turn *t = arg;
    struct hub_slot *s = t->slot;
    int status = t->failed;

    CHECK(t->is == TURN_COMES);
    t->outside = NULL;
    if (status) {
        outside_why(actor, status, t->why);
        if (t->unreached)
            outside_unreached(actor);
    } else if (t->result->call_count > 0 && s) {
        status = make_calls(actor, t);
    } else if (t->result->call_count > 0) {
        outside_why(actor, KELPIE_E_UNAVAILABLE, "the worker ended while its turn called others");
        status = KELPIE_E_UNAVAILABLE;
    } else {
        status = worker_apply(actor, t->result, NULL, NULL);
    }
    release_result(t);
    if (status == KELPIE_PENDING)
        return status;
    if (s) { /* its calls could not be made */
        t->slot = NULL;
        hub_slot_rests(s);
        s->ops->nothing(s->ctx);
    }
    turn_free(t);
    return status;
}
