/*
 * The run queue: activations that have something to do, in the order in which they came. Every callback
 * of a class begins here, so that a turn of the loop runs them for a slice and not for longer than the
 * last of them takes, and none begins when it could outlast the lease. Those whose turns take more than a
 * slice wait in a queue of their own, of which each turn takes one, behind all others, with a rest after
 * it: who is quick waits for one that is slow, not for all of them. See docs/adr/0012-turns-of-the-loop.md.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static uint64_t heartbeat_ns(const struct actors *a)
{
    return cluster_config_of(a->cluster)->timing.heartbeat_ms * NS_PER_MS;
}

static uint64_t slice_ns(const struct actors *a)
{
    return heartbeat_ns(a) / RUN_SLICES_A_HEARTBEAT;
}

/* Half of the lease is left: a callback may take a quarter, and the heartbeat that is due by then has
 * the other. Without any lease the node is told so by whoever asks whether it may act. */
static bool lease_lets(const struct actors *a)
{
    uint64_t left = cluster_lease_left_ns(a->cluster);

    return left == 0 || MUTANT("overrun") ||
           left >= timing_lease_ns(&cluster_config_of(a->cluster)->timing) / 2;
}

/* It may be gone afterwards. */
static void take_turn(struct kelpie_actor *act)
{
    bool stop = act->stop_due;

    if (stop) {
        act->stop_due = false;
        act->actors->stops_due--;
    }
    if (act->state == ACT_LOADING)
        act_activate(act);
    else if (stop && act->mailbox_count == 0 && !act->open && !act_leaves(act))
        act_stop(act, STOP_RELEASE);
    else
        act_run(act);
}

static void run_in(struct actors *a, uint64_t delay_ns)
{
    a->run_soon = delay_ns == 0;
    timer_start(&a->run_timer, delay_ns);
}

static void average(uint64_t *ns, uint64_t took_ns)
{
    *ns = *ns - *ns / RUN_AVERAGE_OF + took_ns / RUN_AVERAGE_OF;
}

/* The next of the queue, and how long it takes. False when the lease does not let it. */
static bool run_next(struct actors *a, struct list *queue)
{
    struct kelpie_actor *act;
    uint64_t began_ns = env_now_ns(a->env), took_ns;

    if (!lease_lets(a)) {
        SOMETIMES("callbacks-wait-for-the-lease");
        run_in(a, heartbeat_ns(a) / RUN_PAUSES_A_HEARTBEAT);
        return false;
    }
    act = LIST_ENTRY(list_pop(queue), struct kelpie_actor, run_link);
    act_hold(act);
    take_turn(act);
    took_ns = env_now_ns(a->env) - began_ns;
    average(&act->turn_ns, took_ns);
    average(&a->class_turn_ns[class_index_of(a, act->class)], took_ns);
    act_release(act);
    return true;
}

/* One of the slow; then they rest, so that what others wait for comes about: answers of the store and
 * of nodes, and what follows from them. */
static bool run_slow(struct actors *a)
{
    uint64_t began_ns = env_now_ns(a->env), now;

    if (list_empty(&a->slow) || began_ns < a->slow_rests_until_ns)
        return true;
    if (!run_next(a, &a->slow))
        return false;
    now = env_now_ns(a->env);
    a->slow_rests_until_ns = now + (now - began_ns) / RUN_REST_SHARE;
    return true;
}

static void on_run_timer(void *arg)
{
    struct actors *a = arg;
    uint64_t now;

    a->run_soon = false;
    a->slice = slice_begin(a->env->clock, slice_ns(a));
    while (!list_empty(&a->runnable) && !slice_over(&a->slice))
        if (!run_next(a, &a->runnable))
            return;
    if (!run_slow(a))
        return;
    if (list_empty(&a->runnable) && list_empty(&a->slow))
        return;
    SOMETIMES("callbacks-take-turns");
    now = env_now_ns(a->env);
    if (list_empty(&a->runnable) && a->slow_rests_until_ns > now)
        run_in(a, a->slow_rests_until_ns - now);
    else
        run_in(a, 0);
}

void run_queue_init(struct actors *a)
{
    list_init(&a->runnable);
    list_init(&a->slow);
    timer_init(&a->run_timer, a->env->timers, "actors_run", on_run_timer, a);
}

void act_run_later(struct kelpie_actor *act)
{
    struct actors *a = act->actors;

    list_remove(&act->idle_link);
    list_remove(&act->run_link);
    list_append(act->turn_ns > slice_ns(a) ? &a->slow : &a->runnable, &act->run_link);
    if (!a->run_timer.armed || !a->run_soon)
        run_in(a, 0);
}

void act_go_on(struct kelpie_actor *act)
{
    if (act->mailbox_count == 0 && !act_leaves(act))
        idle_begin(act);
    else
        act_run_later(act);
}

void act_stop_later(struct kelpie_actor *act)
{
    if (act->stop_due)
        return;
    act->stop_due = true;
    act->actors->stops_due++;
    if (list_empty(&act->run_link))
        act_run_later(act);
}

bool stops_have_room(const struct actors *a)
{
    return a->stopping + a->stops_due < STOPS_MAX;
}
