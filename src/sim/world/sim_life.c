#include <stdio.h>
#include <stdlib.h>

#include "sim/report/sim_record.h"
#include "sim/steps/sim_steps.h"
#include "sim/steps/sim_turns.h"
#include "sim/workload/sim_chains.h"
#include "sim/workload/sim_deadly.h"
#include "sim/workload/sim_operator.h"
#include "sim/workload/sim_posts.h"
#include "sim/workload/sim_sessions.h"
#include "sim/workload/sim_trial.h"
#include "sim/workload/sim_types.h"
#include "sim/workload/sim_users.h"
#include "sim/workload/sim_workload.h"
#include "sim/world/sim_host_link.h"

#define HTTP_PORT 8100
#define DRAIN_EXTRA_MS 2000

struct life_of *life_of(const struct process *p)
{
    return p->slot == SIM_SLOT_SUPERVISOR ? NULL : p->owner;
}

struct node *process_node(const struct process *p)
{
    const struct life_of *l = life_of(p);
    return l ? l->node : NULL;
}

bool process_closing(const struct process *p)
{
    const struct life_of *l = life_of(p);
    return !l || !l->node || l->closing || l->left || l->ends;
}

const struct users_life *process_users(const struct process *p)
{
    const struct life_of *l = life_of(p);
    return l ? l->users : NULL;
}

const struct types_life *process_types(const struct process *p)
{
    const struct life_of *l = life_of(p);
    return l ? l->types : NULL;
}

static uint64_t life_drain_ns(const struct world *w)
{
    return (w->config.timing.drain_deadline_ms + DRAIN_EXTRA_MS) * NS_PER_MS;
}

/* ---- what the node tells; acted on once its code has returned */

static void on_left(void *arg)
{
    struct life_of *l = arg;
    l->left = true;
}

static void on_twin(void *arg, const char *addr)
{
    struct life_of *l = arg;
    (void)addr;
    l->ends = true;
}

static void on_alive(void *arg)
{
    struct life_of *l = arg;
    if (l->p->slot == SIM_SLOT_NODE)
        l->h->alive_ns = l->p->world->now_ns;
}

static void on_event(void *arg, uint64_t seq, enum log_level level, const char *name,
                     const char *fields)
{
    struct life_of *l = arg;
    (void)seq;
    check_told(l->p, level, name, fields);
    if (l->p->world->steps && strcmp(name, "type_over") == 0)
        steps_on_type_over(l->p, fields);
}

static void on_closed(void *arg)
{
    struct life_of *l = arg;
    l->closed = true;
}

static void on_other_epoch(void *arg)
{
    struct life_of *l = arg;
    l->left = true; /* it closes, and another one is started */
}

static void on_at_home(void *arg, struct uuid home)
{
    struct life_of *l = arg;
    l->h->home = home;
}

static void on_drop_clients(void *arg)
{
    struct life_of *l = arg;
    workload_drop_unread(l->p->world, l->p);
}

static const struct node_events node_events = {
    .left = on_left,
    .twin = on_twin,
    .alive = on_alive,
    .drop_clients = on_drop_clients,
    .other_epoch = on_other_epoch,
    .at_home = on_at_home,
    .event = on_event,
};

static void life_after(struct process *p)
{
    struct life_of *l = p->owner;
    struct world *w = p->world;

    checks_on_step(p);
    if (w->record)
        record_step(p);
    if (w->steps)
        steps_on_step(p);
    /* Asked to leave from outside: the deadline is the same. */
    if (l->node && cluster_state(node_cluster(l->node)) == NODE_LEAVING &&
        !event_queued(&l->deadline))
        world_after(w, &l->deadline, life_drain_ns(w));
    if ((l->ends || (l->left && !l->closing) || l->closed) && !event_queued(&l->act))
        world_after(w, &l->act, 0);
}

static const struct process_ops life_ops = {.after = life_after};

void life_end(struct process *p)
{
    struct life_of *l = p->owner;
    struct world *w = p->world;

    process_let_go(p);
    world_cancel(w, &l->act);
    world_cancel(w, &l->deadline);
    world_cancel(w, &l->doom);
    types_life_stop(l->types);
    workload_process_gone(w, p);
    chains_process_gone(w, p);
    posts_process_gone(w, p);
    sessions_process_gone(w, p);
    deadlies_process_gone(w, p);
    users_process_gone(w, p);
    operators_process_gone(w, p);
    checks_on_end(p);
    if (w->steps)
        steps_on_end(p);
    if (w->turns)
        turns_on_end(p);
    l->h->process[p->slot] = NULL;
    process_free(p);
    users_life_end(l->users);
    types_life_free(l->types);
    free(l);
}

static void free_node(struct process *p)
{
    struct life_of *l = p->owner;
    struct node *node = l->node;
    struct world *w = p->world;

    checks_on_end(p);
    if (w->steps)
        steps_on_end(p);
    if (w->turns)
        turns_on_end(p);
    l->node = NULL;
    process_enter(p, PROCESS_ORDER, 3);
    node_free(node);
    process_leave(p);
    COMPARE(w, CHECK_LEAK, sim_store_holds(p) == 0,
            "n%u closed in an orderly way and kept %zu requests or watches", p->node + 1,
            sim_store_holds(p));
    COMPARE(w, CHECK_COMPLETION,
            workload_calls_of(w, p) + chains_calls_of(w, p) + posts_calls_of(w, p) +
                    sessions_calls_of(w, p) + users_calls_of(w, p) + deadlies_calls_of(w, p) ==
                0,
            "n%u closed in an orderly way with %zu calls not completed", p->node + 1,
            workload_calls_of(w, p) + chains_calls_of(w, p) + posts_calls_of(w, p) +
                sessions_calls_of(w, p) + users_calls_of(w, p) + deadlies_calls_of(w, p));
    COMPARE(w, CHECK_COMPLETION, operators_orders_of(w, p) == 0,
            "n%u closed in an orderly way with %zu orders not answered", p->node + 1,
            operators_orders_of(w, p));
}

/* The node is gone, and now its way to the store too. */
static void check_kept(struct process *p)
{
    COMPARE(p->world, CHECK_LEAK,
            p->mem.count == 0 && process_timers(p) == 0 && sim_store_holds(p) == 0,
            "n%u closed in an orderly way and kept %zu blocks (%zu bytes), %zu timers, %zu of the "
            "store's",
            p->node + 1, p->mem.count, p->mem.bytes, process_timers(p), sim_store_holds(p));
}

static void on_act(struct world *w, struct sim_event *e)
{
    struct life_of *l = CONTAINER_OF(e, struct life_of, act);
    struct process *p = l->p;
    struct host *h = l->h;
    unsigned slot = p->slot;

    if (process_hold(p, e))
        return;
    if (l->closed) {
        if (l->node)
            free_node(p);
        if (!sim_store_closed(p)) {
            world_after(w, e, NS_PER_MS);
            return;
        }
        check_kept(p);
        life_end(p);
        host_life_ended(h, slot);
    } else if (l->ends) {
        w->hosts->stats.twins_ended++;
        w->checks->compared[CHECK_TWIN_ENDS]++;
        struct uuid boot = p->boot;
        life_end(p);
        host_life_gave_way(h, slot, boot);
    } else if (l->left && !l->closing) {
        w->hosts->stats.left++;
        life_close(p);
    }
}

static void on_deadline(struct world *w, struct sim_event *e)
{
    struct life_of *l = CONTAINER_OF(e, struct life_of, deadline);
    (void)w;
    host_life_overdue(l->h, l->p->slot);
}

static void on_doom(struct world *w, struct sim_event *e)
{
    struct life_of *l = CONTAINER_OF(e, struct life_of, doom);
    host_kill(w, l->h->number, l->p->slot, HOST_CRASH);
}

void process_doom(struct process *p, uint64_t delay_ns)
{
    world_after(p->world, &life_of(p)->doom, delay_ns);
}

/* A new version comes out each `version_ms`; hosts follow one after the other, at their next start. */
static uint32_t trial_version(const struct world *w, unsigned host)
{
    uint64_t ms = w->config.version_ms, lag = ms * host / SIM_NODES_MAX,
             now = w->now_ns / NS_PER_MS;
    uint64_t version = ms && now > lag ? 1 + (now - lag) / ms : 1;
    return version < TRIAL_VERSIONS_MAX ? (uint32_t)version : TRIAL_VERSIONS_MAX;
}

static const struct kelpie_class *const own_classes[] = {
    &kelpie_class_counter, &kelpie_class_echo, &sim_class_link,  &sim_class_post,
    &sim_class_session,    &sim_class_visit,   &sim_class_deadly};

static void life_class(struct life_of *l, const struct kelpie_class *class)
{
    CHECK(l->class_count < CLASS_COUNT_MAX);
    l->class_names[l->class_count] = class->type;
    l->classes[l->class_count++] = class;
}

/* The classes that a life hosts; its trial is its own. */
static void life_classes(struct life_of *l, bool trials)
{
    const struct sim_config *c = &l->h->w->config;

    l->trial = sim_class_trial;
    if (c->windows && l->h->number % 2)
        l->trial.remember_ms = TRIAL_REMEMBER_LONG_MS;
    l->trial.version = trial_version(l->h->w, l->h->number);
    l->p->class_version = trials ? l->trial.version : 0;
    for (size_t i = 0; i < ARRAY_LEN(own_classes); i++)
        if (!types_has(l->types, own_classes[i]->type))
            life_class(l, own_classes[i]);
    for (size_t i = 0; i < users_life_count(l->users); i++)
        life_class(l, users_life_class(l->users, i));
    if (trials)
        life_class(l, &l->trial);
}

static struct node_config node_config(struct host *h, const struct process *p)
{
    struct world *w = h->w;
    bool trials = w->config.trial_hosts >> h->number & 1u;
    life_classes(life_of(p), trials);
    struct node_config c = {
        .cluster =
            {
                .ks = w->shadow->ks,
                .boot = p->boot,
                .home = h->home,
                .timing = w->config.timing,
                .class_count = life_of(p)->class_count,
                .classes = life_of(p)->class_names,
            },
        .actors =
            {
                .classes = life_of(p)->classes,
                .mailbox_max = w->config.mailbox,
                .remembered_max = w->config.remembered,
                .waiting_max = w->config.waiting,
                .activations_max = w->config.room ? w->config.room : ACTIVATIONS_MAX_DEFAULT,
                .idle_ms = w->config.idle_ms,
                .types_linger_ms = w->config.linger_ms,
            },
    };
    (void)snprintf(c.cluster.node_id, sizeof c.cluster.node_id, "%s", h->id);
    if (h->replaces)
        (void)snprintf(c.replaces, sizeof c.replaces, "%s", h->replaces->id);
    (void)snprintf(c.cluster.addr, sizeof c.cluster.addr, "%s",
                   sim_net_addr(w->net, h->number, p->slot));
    (void)snprintf(c.cluster.http_addr, sizeof c.cluster.http_addr, "10.0.0.%u:%u", h->number + 1,
                   HTTP_PORT + p->slot);
    return c;
}

void life_start(struct host *h, unsigned slot)
{
    struct world *w = h->w;
    struct life_of *l = calloc(1, sizeof *l);

    CHECK(l && !h->process[slot]);
    struct process *p = process_new(w, h->number, slot, &life_ops, l);
    l->p = p;
    l->h = h;
    event_init(&l->act, on_act);
    event_init(&l->deadline, on_deadline);
    event_init(&l->doom, on_doom);
    h->process[slot] = p;
    if (slot == SIM_SLOT_NODE)
        h->alive_ns = w->now_ns;
    w->hosts->stats.starts++;
    l->users = users_life_begin(w);
    l->types = types_life_begin(p);
    struct node_config config = node_config(h, p);
    process_enter(p, PROCESS_START, 0);
    l->node = node_new(&p->env, &config, &node_events, l);
    if (w->turns)
        turns_on_life(p);
    node_start(l->node);
    types_life_start(l->types, node_actors(l->node));
    process_leave(p);
}

void life_close(struct process *p)
{
    struct life_of *l = p->owner;

    if (l->closing)
        return;
    l->closing = true;
    types_life_stop(l->types);
    process_enter(p, PROCESS_ORDER, 2);
    node_close(l->node, on_closed, l);
    process_leave(p);
}

bool life_leave(struct process *p, bool even_last)
{
    struct life_of *l = p->owner;
    char why[256];

    process_enter(p, PROCESS_ORDER, 1);
    int err = node_leave(l->node, even_last, why, sizeof why);
    process_leave(p);
    if (err)
        return false;
    world_after(p->world, &l->deadline, life_drain_ns(p->world));
    return true;
}
