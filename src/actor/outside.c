#include <stdio.h>

#include "actor/chain.h"
#include "actor/open_turn.h"
#include "base/mark.h"

static struct mem mem_of(const struct kelpie_actor *act)
{
    return act->actors->env->mem;
}

static struct outside *outside_new(struct kelpie_actor *act, struct invocation *inv,
                                   outside_fn *answered, outside_gone_fn *gone, void *arg)
{
    struct outside *o = MEM_NEW(mem_of(act), struct outside);

    CHECK(answered && gone);
    o->act = act;
    o->inv = inv;
    o->answered = answered;
    o->gone = gone;
    o->arg = arg;
    list_init(&o->link);
    return o;
}

int outside_call(struct outside *o, struct kelpie_actor *act)
{
    outside_fn *answered = o->answered;
    void *arg = o->arg;

    list_remove(&o->link);
    mem_free(mem_of(act), o);
    return answered(act, arg);
}

void outside_drop(struct outside *o)
{
    if (!o)
        return;
    list_remove(&o->link);
    o->gone(o->arg);
    mem_free(mem_of(o->act), o);
}

struct outside *outside_wait(struct kelpie_actor *act, outside_fn *answered, outside_gone_fn *gone,
                             void *arg)
{
    struct outside *o;

    CHECK(act->current && act->in_receive);
    if (act->reading) {
        if (act->outside_count == OUTSIDE_READS_MAX)
            return NULL;
        o = outside_new(act, act->current, answered, gone, arg);
        o->is_read = true;
        list_append(&act->outside, &o->link);
        act->outside_count++;
        return o;
    }
    if (!act->open)
        (void)open_turn_new(act);
    CHECK(act->open->inv == act->current && !act->open->outside);
    o = outside_new(act, act->current, answered, gone, arg);
    act->open->outside = o;
    return o;
}

void outside_answer(struct outside *o)
{
    CHECK(!o->ready);
    o->ready = true;
    act_run_later(o->act);
}

void outside_hold(struct outside *o, bool held)
{
    o->held = held;
    o->was_held = o->was_held || held;
    if (!o->is_read)
        open_turn_arm(o->act->open);
}

bool outside_wanted(const struct outside *o)
{
    uint64_t now = env_now_ns(o->act->actors->env);

    if (o->inv->deadline_ns > now && (o->inv->from_peer || o->inv->call || o->inv->mail))
        return true;
    LIST_FOREACH(l, &o->inv->followers)
    {
        const struct invocation *inv = LIST_ENTRY(l, const struct invocation, link);
        if (inv->deadline_ns > now && (inv->from_peer || inv->call))
            return true;
    }
    return false;
}

bool outside_state_next(const struct outside *o, struct bytes after, struct bytes *key,
                        struct bytes *value)
{
    return actor_state_next(&o->act->values, o->is_read ? STATE_COMMITTED : STATE_AS_IT_WILL_BE,
                            after, key, value);
}

const struct kelpie_message *outside_message(const struct outside *o)
{
    return &o->inv->message;
}

struct bytes outside_chain(const struct outside *o)
{
    return o->inv->chain;
}

uint32_t outside_left_ms(const struct outside *o)
{
    uint64_t now = env_now_ns(o->act->actors->env);

    return o->inv->deadline_ns > now ? (uint32_t)((o->inv->deadline_ns - now) / NS_PER_MS) : 0;
}

struct kelpie_actor *outside_actor(const struct outside *o)
{
    return o->act;
}

void outside_begin_again(struct outside *o)
{
    CHECK(!o->is_read && o->act->open && o->act->open->outside == o && !o->act->current);
    SOMETIMES("turn-begins-again-outside");
    o->act->open->outside = NULL;
    open_turn_begin_again(o->act);
    o->act->open->outside = o;
    o->ready = false;
    open_turn_arm(o->act->open);
}

bool outside_waits_yet(const struct kelpie_actor *act, struct uuid hash)
{
    const struct open_turn *t = act->open;

    return t && t->outside && !t->outside->held && !t->outside->ready &&
           uuid_equal(t->inv->hash, hash);
}

void outside_unreached(struct kelpie_actor *act)
{
    CHECK(act->current);
    act->current->unreached = true;
}

void outside_why(struct kelpie_actor *act, int error, const char *why)
{
    struct actors *a = act->actors;

    a->why_error = error;
    (void)snprintf(a->why, sizeof a->why, "%s", why);
}

/* ---- reads */

bool outside_read_stays(const struct kelpie_actor *act, const struct invocation *inv)
{
    return !list_empty(&act->outside) &&
           LIST_ENTRY(act->outside.prev, const struct outside, link)->inv == inv;
}

static struct outside *first_answered(const struct kelpie_actor *act)
{
    LIST_FOREACH(l, &act->outside)
    {
        struct outside *o = LIST_ENTRY(l, struct outside, link);
        if (o->ready)
            return o;
    }
    return NULL;
}

bool outside_read_ready(const struct kelpie_actor *act)
{
    return first_answered(act) != NULL;
}

struct outside *outside_read_answered(struct kelpie_actor *act)
{
    struct outside *o = first_answered(act);

    if (o) {
        list_remove(&o->link);
        act->outside_count--;
    }
    return o;
}

void outside_reads_take(struct kelpie_actor *act, struct list *out)
{
    struct list *l;

    while ((l = list_pop(&act->outside))) {
        struct outside *o = LIST_ENTRY(l, struct outside, link);
        list_append(out, &o->inv->link);
        outside_drop(o);
    }
    act->outside_count = 0;
}
