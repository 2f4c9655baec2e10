/*
 * Nudges: a word to a receiver, wherever it is, that there is something in its inbox. It carries no message
 * and may be lost: the node of the receiver's shard says it again (shards.c).
 */
#include "actor/activation.h"

/* One that waits for its time. */
struct nudge_timer {
    struct list link;
    struct actors *actors;
    struct timer timer;
    uint64_t until_ms;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
};

static void nudge_timer_free(struct nudge_timer *n)
{
    timer_stop(&n->timer);
    list_remove(&n->link);
    n->actors->nudge_timer_count--;
    mem_free(n->actors->env->mem, n);
}

static void on_time(void *arg)
{
    struct nudge_timer *n = arg;
    struct actors *a = n->actors;

    nudge_now(a, n->type, n->id, n->until_ms);
    nudge_timer_free(n);
}

void nudges_init(struct actors *a)
{
    list_init(&a->nudge_timers);
}

void nudges_stop(struct actors *a)
{
    while (!list_empty(&a->nudge_timers))
        nudge_timer_free(LIST_ENTRY(a->nudge_timers.next, struct nudge_timer, link));
}

bool nudges_idle(const struct actors *a)
{
    return a->nudge_timer_count == 0 && a->nudge_calls == 0 && a->inbox_reads == 0;
}

static void on_nudged(void *arg, int status, struct bytes reply)
{
    struct actors *a = arg;

    (void)status;
    (void)reply;
    a->nudge_calls--;
}

void nudge_now(struct actors *a, const char *type, const char *id, uint64_t until_ms)
{
    struct kelpie_actor *act = act_find(a, type, id);

    if (a->closed || a->suspended)
        return;
    if (act && (act->state == ACT_IDLE || act->state == ACT_COMMITTING)) {
        inbox_note(act, until_ms);
        return;
    }
    if (a->nudge_calls >= NUDGES_MAX)
        return;
    a->nudge_calls++;
    calls_nudge(a, type, id, until_ms, on_nudged, a);
}

void nudge_in(struct actors *a, const char *type, const char *id, uint64_t delay_ms,
              uint64_t until_ms)
{
    struct nudge_timer *n;

    if (a->nudge_timer_count >= NUDGE_TIMERS_MAX || a->closed || a->suspended)
        return;
    n = MEM_NEW(a->env->mem, struct nudge_timer);
    n->actors = a;
    n->until_ms = until_ms;
    memcpy(n->type, type, strlen(type));
    memcpy(n->id, id, strlen(id));
    list_append(&a->nudge_timers, &n->link);
    a->nudge_timer_count++;
    timer_init(&n->timer, a->env->timers, "nudge", on_time, n);
    timer_start(&n->timer, delay_ms * NS_PER_MS);
}
