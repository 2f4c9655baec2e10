/* Passivation: an actor that was idle for its class's time is stopped and released. */
#include "actor/activation.h"

static uint64_t idle_ns(const struct actors *a, size_t class_index)
{
    uint32_t own_ms = a->classes[class_index]->idle_ms;

    return (own_ms ? own_ms : a->idle_ms) * NS_PER_MS;
}

static struct kelpie_actor *longest_idle(const struct actors *a, size_t class_index)
{
    const struct list *l = &a->idle[class_index];

    return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct kelpie_actor, idle_link);
}

struct kelpie_actor *idle_longest(const struct actors *a)
{
    struct kelpie_actor *best = NULL;

    for (size_t i = 0; i < a->class_count; i++) {
        struct kelpie_actor *act = longest_idle(a, i);
        if (act && (!best || act->idle_since_ns < best->idle_since_ns))
            best = act;
    }
    return best;
}

void idle_begin(struct kelpie_actor *act)
{
    struct actors *a = act->actors;

    act->idle_since_ns = env_now_ns(a->env);
    list_remove(&act->idle_link);
    list_append(&a->idle[class_index_of(a, act->class)], &act->idle_link);
    idle_timer_arm(a);
}

void idle_timer_arm(struct actors *a)
{
    uint64_t now = env_now_ns(a->env), soonest = UINT64_MAX;

    if (a->closed)
        return;
    for (size_t i = 0; i < a->class_count; i++) {
        const struct kelpie_actor *act = longest_idle(a, i);
        uint64_t due = act ? act->idle_since_ns + idle_ns(a, i) : UINT64_MAX;
        if (due < soonest)
            soonest = due;
    }
    /* Classes have times of their own: what came last may be due first. */
    if (soonest == UINT64_MAX || (a->idle_timer.armed && a->idle_due_ns <= soonest))
        return;
    timer_stop(&a->idle_timer);
    a->idle_due_ns = soonest;
    timer_start(&a->idle_timer, soonest > now ? soonest - now : 0);
}

void on_idle_timer(void *arg)
{
    struct actors *a = arg;
    unsigned stopped = 0;
    bool more = false;

    for (size_t i = 0; i < a->class_count && !more; i++) {
        struct kelpie_actor *act;
        while ((act = longest_idle(a, i))) {
            if (env_now_ns(a->env) < act->idle_since_ns + idle_ns(a, i))
                break;
            if (!list_empty(&act->outside)) { /* a read takes long */
                idle_begin(act);
                continue;
            }
            more = ++stopped > PASSIVATE_BATCH || !stops_have_room(a);
            if (more)
                break;
            act_stop_later(act);
        }
    }
    if (!more) {
        idle_timer_arm(a);
        return;
    }
    a->idle_due_ns = 0; /* what is left is due: nobody arms it sooner than after the pause */
    timer_stop(&a->idle_timer);
    timer_start(&a->idle_timer, DRAIN_PAUSE_NS);
}
