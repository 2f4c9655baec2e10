/*
 * The run queue: activations that have something to do, in the order in which they came. Every callback
 * of a class begins here, so that a turn of the loop runs them for a slice and not for longer than the
 * last of them takes, and none begins when it could outlast the lease: docs/adr/0012-turns-of-the-loop.md.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

static uint64_t heartbeat_ns(const struct actors *a)
{
    return cluster_config_of(a->cluster)->timing.heartbeat_ms * NS_PER_MS;
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
    else if (stop && list_empty(&act->mailbox) && !act->actors->drain.on)
        act_stop(act, STOP_RELEASE);
    else
        act_run(act);
}

static void on_run_timer(void *arg)
{
    struct actors *a = arg;
    struct list *l;

    a->slice = slice_begin(a->env->clock, heartbeat_ns(a) / RUN_SLICES_A_HEARTBEAT);
    while (!list_empty(&a->runnable)) {
        if (!lease_lets(a)) {
            SOMETIMES("callbacks-wait-for-the-lease");
            timer_start(&a->run_timer, heartbeat_ns(a) / RUN_PAUSES_A_HEARTBEAT);
            return;
        }
        l = list_pop(&a->runnable);
        take_turn(LIST_ENTRY(l, struct kelpie_actor, run_link));
        if (slice_over(&a->slice) && !MUTANT("endless"))
            break;
    }
    if (!list_empty(&a->runnable)) {
        SOMETIMES("callbacks-take-turns");
        timer_start(&a->run_timer, 0);
    }
}

void run_queue_init(struct actors *a)
{
    list_init(&a->runnable);
    timer_init(&a->run_timer, a->env->timers, "actors_run", on_run_timer, a);
}

void act_run_later(struct kelpie_actor *act)
{
    struct actors *a = act->actors;

    list_remove(&act->idle_link);
    list_remove(&act->run_link);
    list_append(&a->runnable, &act->run_link);
    if (!a->run_timer.armed)
        timer_start(&a->run_timer, 0);
}

void act_go_on(struct kelpie_actor *act)
{
    if (list_empty(&act->mailbox) && !act->actors->drain.on)
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
