/* The actor floor's object: made, told what the cluster says, closed. */
#include "actor/activation.h"
#include "base/mutant.h"

struct actors *actors_new(const struct env *env, struct rpc *rpc, struct cluster *cluster,
                          const struct actors_config *config)
{
    struct actors *a = MEM_NEW(env->mem, struct actors);

    a->env = env;
    a->rpc = rpc;
    a->cluster = cluster;
    a->ks = &cluster_config_of(cluster)->ks;
    a->remembered_max = config->remembered_max ? config->remembered_max : REMEMBERED_IDS_MAX;
    a->mailbox_max = config->mailbox_max ? config->mailbox_max : MAILBOX_MAX;
    a->activations_max =
        config->activations_max ? config->activations_max : ACTIVATIONS_MAX_DEFAULT;
    a->idle_ms = config->idle_ms ? config->idle_ms : IDLE_MS_DEFAULT;
    a->caps[ACTORS_CAP_CALLS] = (struct cap){.name = "calls", .bound = CALLS_MAX};
    a->caps[ACTORS_CAP_MAILBOX] = (struct cap){.name = "mailbox", .bound = a->mailbox_max};
    a->caps[ACTORS_CAP_ACTIVATIONS] =
        (struct cap){.name = "activations", .bound = a->activations_max};
    a->caps[ACTORS_CAP_REMEMBERED] = (struct cap){.name = "remembered", .bound = a->remembered_max};
    a->caps[ACTORS_CAP_REPEATS] = (struct cap){.name = "repeats", .bound = FOLLOWERS_MAX};
    map_init(&a->activations);
    map_init(&a->finders);
    map_init(&a->peer_clocks);
    list_init(&a->op_pool);
    list_init(&a->calls);
    timer_init(&a->idle_timer, env->timers, "actors_idle", on_idle_timer, a);
    run_queue_init(a);
    types_init(a, config);
    directory_init(&a->directory, env->mem, DIRECTORY_MAX);
    buf_init(&a->out, env->mem);
    drain_init(a);
    sweep_init(a);
    nudges_init(a);
    shards_init(a);
    crowds_init(a, config->waiting_max);
    passive_init(a);
    quarantine_init(a);
    rpc_serve(rpc, RPC_ACTOR_CALL, actors_on_rpc, a);
    return a;
}

void actors_free(struct actors *a)
{
    struct mem mem = a->env->mem;
    struct list *l;

    CHECK(actors_idle(a));
    while ((l = list_pop(&a->op_pool)))
        mem_free(mem, LIST_ENTRY(l, struct act_op, link));
    directory_deinit(&a->directory);
    peer_clocks_free(a);
    buf_deinit(&a->out);
    mem_free(mem, a);
}

bool actors_idle(const struct actors *a)
{
    return a->closed && a->activations.count == 0 && a->ops == 0 && a->call_count == 0 &&
           a->zombie_calls == 0 && a->finders.count == 0 && a->nudges == 0 && a->locates == 0 &&
           a->finds == 0 && drain_idle(a) && sweep_idle(a) && nudges_idle(a) && shards_idle(a) &&
           passive_idle(a) && crowds_idle(a) && types_idle(a) && quarantine_idle(a);
}

/* Drops every activation. Some have a transaction under way; they leave the table when it ends. */
static void drop_all(struct actors *a, int status, const char *text)
{
    struct list orphans;
    struct map_node *n, *next;

    list_init(&orphans);
    for (n = map_first(&a->activations); n; n = next) {
        next = map_next(n);
        act_suspend(MAP_ENTRY(n, struct kelpie_actor, node), &orphans);
    }
    invocations_answer_all(a, &orphans, status, text, NULL);
}

/* Entries of which something may land are of no use to a life that ends. */
static void drop_unsettled(struct actors *a, bool all)
{
    struct map_node *n, *next;

    for (n = map_first(&a->activations); n; n = next) {
        struct kelpie_actor *act = MAP_ENTRY(n, struct kelpie_actor, node);
        next = map_next(n);
        if (act->state == ACT_UNSETTLED &&
            (all || act->incarnation != cluster_incarnation(a->cluster)))
            act_drop(act, KELPIE_E_UNAVAILABLE, NULL, "");
    }
}

void actors_close(struct actors *a)
{
    if (a->closed)
        return;
    a->closed = true;
    a->drain.on = false;
    timer_stop(&a->idle_timer);
    timer_stop(&a->run_timer);
    nudges_stop(a);
    shards_stop(a);
    drop_all(a, KELPIE_E_UNAVAILABLE, "the node is closing");
    drop_unsettled(a, true);
    calls_close(a);
    finders_close(a);
    drain_cancel(a);
    sweep_cancel(a);
    passive_cancel(a);
    quarantine_cancel(a);
    crowds_cancel(a);
    types_close(a);
}

void actors_suspend(struct actors *a)
{
    a->suspended = true;
    timer_stop(&a->run_timer);
    timer_stop(&a->idle_timer);
    nudges_stop(a);
    shards_stop(a);
    types_suspend(a);
    if (!MUTANT("keepactors"))
        drop_all(a, KELPIE_E_UNAVAILABLE, "the node's lease ran out");
    calls_suspend(a);
}

void actors_resume(struct actors *a)
{
    a->suspended = false;
    if (a->closed)
        return;
    drop_unsettled(a, false);
    drain_resume(a);
    types_resume(a);
    shards_start(a);
}

void actors_view_changed(struct actors *a, const struct view *view, const struct member *gone,
                         size_t gone_count)
{
    (void)view;
    if (a->closed)
        return;
    if (gone_count > 0) {
        directory_members_gone(&a->directory);
        sweep_gone(a, gone, gone_count);
    }
    calls_view_changed(a);
    shards_start(a);
}

void actors_primary_changed(struct actors *a, uint64_t term)
{
    if (a->closed)
        return;
    sweep_start(a, term);
    passive_start(a, term);
    quarantine_sweep(a, term);
}

const struct cap *actors_caps(const struct actors *a)
{
    return a->caps;
}

const struct actors_stats *actors_stats(const struct actors *a)
{
    return &a->stats;
}

void actors_each(const struct actors *a,
                 void (*fn)(void *arg, const char *type, const char *id, uint64_t generation),
                 void *arg)
{
    for (struct map_node *n = map_first(&a->activations); n; n = map_next(n)) {
        const struct kelpie_actor *act = MAP_ENTRY(n, const struct kelpie_actor, node);
        if (act->state == ACT_IDLE || act->state == ACT_COMMITTING)
            fn(arg, act_type(act), act_id(act), act->generation);
    }
}
