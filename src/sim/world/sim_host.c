#include "sim/world/sim_host.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/faults/sim_emptied.h"
#include "sim/report/sim_record.h"
#include "sim/workload/sim_deadly.h"
#include "sim/world/sim_host_link.h"

#define WAITPID_MS_MAX 10 /* until a supervisor knows that its child is dead */
#define BACKOFF_MS 100    /* until it starts another */
#define RETRY_MS 1500     /* a process that another one made end is tried again */
#define CALM_START_MS 300 /* within this all come back in the calm */
#define WATCHDOG_LEASES 2 /* without a sign of life; then the supervisor kills its child */

static uint64_t below_ms(struct world *w, uint64_t ms)
{
    return (1 + world_below(w, STREAM_FAULT, ms ? ms : 1)) * NS_PER_MS;
}

static void restart_within(struct host *h, uint64_t ms)
{
    if (h->w->calm && ms > CALM_START_MS)
        ms = CALM_START_MS;
    world_after(h->w, &h->restart, below_ms(h->w, ms));
}

static bool lives(const struct host *h)
{
    return h->process[0] || h->process[1];
}

/* ---- supervisor */

/* What its child is known to have died of. */
static bool blames(const struct host *h)
{
    return h->blame.type[0] && uuid_equal(h->blame.boot, h->dead_boot);
}

static void on_declared(void *arg, int status, const char *why)
{
    struct host *h = arg;
    (void)why;
    h->declared = true;
    if (status == 0 && blames(h))
        deadlies_declared(h->w, &h->blame);
}

static void supervisor_after(struct process *p)
{
    struct host *h = p->owner;
    if (h->declared && !event_queued(&h->supervise))
        world_after(h->w, &h->supervise, 0);
}

static const struct process_ops supervisor_ops = {.after = supervisor_after};

static void on_waitpid(struct world *w, struct sim_event *e)
{
    struct host *h = CONTAINER_OF(e, struct host, waitpid);

    CHECK(!h->supervisor);
    h->declared = false;
    h->supervisor = process_new(w, h->number, SIM_SLOT_SUPERVISOR, &supervisor_ops, h);
    process_enter(h->supervisor, PROCESS_START, 1);
    h->blame.now_ms = clock_wall_ms(h->supervisor->env.clock);
    h->blame.unit_ms = w->config.timing.quarantine_ms;
    h->declare = declare_dead_start(&h->supervisor->env, &w->shadow->ks, h->id, h->dead_boot,
                                    h->home, blames(h) ? &h->blame : NULL, on_declared, h);
    process_leave(h->supervisor);
}

static void supervisor_end(struct host *h)
{
    struct world *w = h->w;

    world_cancel(w, &h->waitpid);
    world_cancel(w, &h->supervise);
    world_cancel(w, &h->watchdog);
    if (h->supervisor)
        process_free(h->supervisor);
    h->supervisor = NULL;
    h->declare = NULL;
}

static void on_supervise(struct world *w, struct sim_event *e)
{
    struct host *h = CONTAINER_OF(e, struct host, supervise);
    struct process *p = h->supervisor;

    h->declared = false;
    if (h->declare) {
        process_enter(p, PROCESS_ORDER, 0);
        declare_dead_free(h->declare);
        process_leave(p);
        h->declare = NULL;
    }
    if (!sim_store_closed(p)) {
        world_after(w, e, NS_PER_MS);
        return;
    }
    w->hosts->stats.declared++;
    COMPARE(w, CHECK_LEAK, p->mem.count == 0 && process_timers(p) == 0 && sim_store_holds(p) == 0,
            "the supervisor of n%u kept %zu blocks, %zu timers, %zu requests", h->number + 1,
            p->mem.count, process_timers(p), sim_store_holds(p));
    supervisor_end(h);
    restart_within(h, BACKOFF_MS);
}

/* A child that gives no sign of life is killed. */
static void on_watchdog(struct world *w, struct sim_event *e)
{
    struct host *h = CONTAINER_OF(e, struct host, watchdog);
    uint64_t limit = WATCHDOG_LEASES * timing_lease_ns(&w->config.timing);

    if (!h->process[SIM_SLOT_NODE])
        return;
    if (h->alive_ns + limit <= w->now_ns) {
        w->hosts->stats.watchdog++;
        host_kill(w, h->number, SIM_SLOT_NODE, HOST_CRASH);
        return;
    }
    world_at(w, e, h->alive_ns + limit);
}

/* ---- machines */

static void on_restart(struct world *w, struct sim_event *e)
{
    struct host *h = CONTAINER_OF(e, struct host, restart);

    if (w->hosts->closing || w->hosts->held || h->dead || h->gone || (h->away && !w->calm) ||
        h->out)
        return;
    if (uuid_is_zero(h->home) && !emptied_idle(w)) {
        restart_within(h, RETRY_MS); /* it would found a cluster, and rightly */
        return;
    }
    if (!h->up) {
        h->up = true;
        sim_net_machine(w->net, h->number, true);
    }
    if (lives(h) || h->supervisor || event_queued(&h->waitpid))
        return;
    h->away = false;
    life_start(h, SIM_SLOT_NODE);
    if (h->supervised)
        world_after(w, &h->watchdog, WATCHDOG_LEASES * timing_lease_ns(&w->config.timing));
}

/* A guest has left: nobody starts it again before it is invited. */
static bool has_gone(const struct host *h)
{
    const struct world *w = h->w;

    return h->number >= sim_founders(&w->config) && !h->replaces && !lives(h) &&
           w->shadow->nodes[h->number].rec.state == NODE_LEFT;
}

void host_life_ended(struct host *h, unsigned slot)
{
    (void)slot;
    h->out = has_gone(h);
    if (!h->process[SIM_SLOT_NODE])
        world_cancel(h->w, &h->watchdog);
    if (!lives(h) && !event_queued(&h->restart))
        restart_within(h, RETRY_MS);
}

void host_life_gave_way(struct host *h, unsigned slot, struct uuid boot)
{
    bool declares =
        slot == SIM_SLOT_NODE && h->supervised && !h->supervisor && !event_queued(&h->waitpid);

    host_life_ended(h, slot);
    if (!declares)
        return;
    h->dead_boot = boot;
    world_after(h->w, &h->waitpid, below_ms(h->w, WAITPID_MS_MAX));
}

void host_life_overdue(struct host *h, unsigned slot)
{
    host_kill(h->w, h->number, slot, HOST_CRASH);
}

static void machine_down(struct host *h)
{
    h->up = false;
    sim_net_machine(h->w->net, h->number, false);
    supervisor_end(h);
    world_cancel(h->w, &h->restart);
    for (unsigned slot = 0; slot < 2; slot++) {
        if (h->process[slot] && h->process[slot]->depth > 0)
            process_stop(h->process[slot]);
        else if (h->process[slot])
            life_end(h->process[slot]);
    }
}

void host_dies_itself(struct process *p)
{
    struct host *h = &p->world->hosts->host[p->node];

    if (p->slot == SIM_SLOT_NODE) {
        CHECK(blame_of(&p->running, &h->blame));
        h->blame.boot = p->boot;
    }
    process_stop(p);
}

void host_kill(struct world *w, unsigned node, unsigned slot, enum host_end how)
{
    struct host *h = &w->hosts->host[node];

    w->hosts->stats.crashes++;
    if (w->record)
        record_mark(w, node, slot, how == HOST_DOWN ? "machine down" : "killed");
    if (how == HOST_DOWN) {
        machine_down(h);
        restart_within(h, w->config.restart_ms);
        return;
    }
    struct process *p = h->process[slot];
    if (p && p->depth > 0)
        process_stop(p); /* and then it is killed */
    if (!p || p->depth > 0)
        return;
    struct uuid boot = p->boot;
    life_end(p);
    if (slot != SIM_SLOT_NODE) {
        host_life_ended(h, slot);
        return;
    }
    world_cancel(w, &h->watchdog);
    if (h->supervisor || event_queued(&h->waitpid))
        return; /* it starts the next one when it is through */
    if (h->supervised) {
        h->dead_boot = boot;
        world_after(w, &h->waitpid, below_ms(w, WAITPID_MS_MAX));
    } else {
        restart_within(h, w->config.restart_ms);
    }
}

void hosts_kill_all(struct world *w)
{
    unsigned nodes = sim_founders(&w->config), away = (nodes - 1) / 2;

    for (unsigned n = 0; n < w->config.nodes; n++)
        host_kill(w, n, 0, HOST_DOWN);
    away = (unsigned)world_below(w, STREAM_FAULT, away + 1);
    while (away-- > 0)
        w->hosts->host[world_below(w, STREAM_FAULT, nodes)].away = true;
}

bool host_leave(struct world *w, struct process *p)
{
    bool even_last = world_below(w, STREAM_FAULT, 2);
    if (p->frozen || process_closing(p))
        return false;
    if (!life_leave(p, even_last))
        return false;
    w->hosts->stats.leaves++;
    if (w->record)
        record_mark(w, p->node, p->slot, "told to leave");
    return true;
}

bool host_is_out(const struct world *w, unsigned node)
{
    return w->hosts->host[node].out || w->hosts->host[node].gone;
}

bool host_is_voter(const struct host *h)
{
    const struct shadow_node *row = &h->w->shadow->nodes[h->number];

    return row->there && row->rec.state != NODE_LEFT;
}

/* One at a time: its place is taken before the next one goes. */
static bool may_replace(struct world *w, unsigned node)
{
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (w->hosts->host[n].gone && host_is_voter(&w->hosts->host[n]))
            return false;
    return !w->hosts->held && (node < sim_founders(&w->config) || w->hosts->host[node].replaces);
}

bool host_replace(struct world *w, unsigned node)
{
    struct host *h = &w->hosts->host[node];

    if (!may_replace(w, node))
        return false;
    for (unsigned n = sim_successor(&w->config); n < w->config.nodes; n++) {
        struct host *s = &w->hosts->host[n];
        if (s->replaces)
            continue;
        s->replaces = h;
        s->out = false;
        h->gone = true;
        host_kill(w, node, SIM_SLOT_NODE, HOST_DOWN);
        restart_within(s, w->config.restart_ms);
        return true;
    }
    return false;
}

bool host_invite(struct world *w, unsigned node)
{
    struct host *h = &w->hosts->host[node];

    if (!h->out)
        return false;
    h->out = false;
    restart_within(h, 1);
    return true;
}

void host_twin(struct world *w, unsigned node)
{
    struct host *h = &w->hosts->host[node];

    if (!h->up || !h->process[SIM_SLOT_NODE] == !h->process[SIM_SLOT_TWIN])
        return;
    w->hosts->stats.twins++;
    life_start(h, h->process[SIM_SLOT_NODE] ? SIM_SLOT_TWIN : SIM_SLOT_NODE);
}

struct process *host_process(struct world *w, unsigned node, unsigned slot)
{
    return w->hosts->host[node].process[slot];
}

struct process *hosts_pick(struct world *w, enum sim_stream stream, bool primary)
{
    unsigned slots = w->config.nodes * 2, at = (unsigned)world_below(w, stream, slots);
    struct process *living = NULL;

    for (unsigned i = 0; i < slots; i++) {
        unsigned k = (at + i) % slots;
        struct process *p = w->hosts->host[k / 2].process[k % 2];
        if (!p || process_closing(p))
            continue;
        if (!primary || cluster_claim(node_cluster(process_node(p))))
            return p;
        living = p;
    }
    return living;
}

/* ---- all of them */

struct hosts *hosts_new(struct world *w)
{
    struct hosts *hs = calloc(1, sizeof *hs);

    CHECK(hs);
    hs->w = w;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        struct host *h = &hs->host[n];
        h->w = w;
        h->number = n;
        h->up = true;
        h->supervised = w->config.supervised >> n & 1u;
        h->out = n >= sim_founders(&w->config);
        (void)snprintf(h->id, sizeof h->id, "n%u", n + 1);
        event_init(&h->waitpid, on_waitpid);
        event_init(&h->supervise, on_supervise);
        event_init(&h->restart, on_restart);
        event_init(&h->watchdog, on_watchdog);
    }
    return hs;
}

void hosts_free(struct hosts *hs)
{
    if (!hs)
        return;
    for (unsigned n = 0; n < hs->w->config.nodes; n++)
        machine_down(&hs->host[n]);
    free(hs);
}

void hosts_start(struct world *w, uint64_t spread_ms)
{
    for (unsigned n = 0; n < sim_founders(&w->config); n++)
        restart_within(&w->hosts->host[n], spread_ms);
}

void hosts_hold(struct world *w, bool hold)
{
    w->hosts->held = hold;
    for (unsigned n = 0; n < w->config.nodes && !hold; n++)
        if (!lives(&w->hosts->host[n]))
            restart_within(&w->hosts->host[n], w->config.restart_ms);
}

void hosts_calm(struct world *w)
{
    unsigned nodes = w->config.nodes;

    for (unsigned left = w->config.dead_for_good; left > 0;) {
        struct host *h = &w->hosts->host[world_below(w, STREAM_FAULT, sim_founders(&w->config))];
        if (h->dead || h->gone)
            continue;
        h->dead = true;
        machine_down(h);
        left--;
    }
    for (unsigned n = 0; n < nodes; n++) {
        struct host *h = &w->hosts->host[n];
        if (!h->dead)
            restart_within(h, CALM_START_MS);
    }
}

int hosts_leave_one(struct world *w)
{
    unsigned founders = sim_founders(&w->config);
    unsigned at = (unsigned)world_below(w, STREAM_FAULT, founders);

    for (unsigned i = 0; i < founders; i++) {
        struct host *h = &w->hosts->host[(at + i) % founders];
        struct process *p = h->process[0] ? h->process[0] : h->process[1];
        if (!p || process_closing(p))
            continue;
        struct uuid boot = p->boot;
        if (!life_leave(p, true))
            continue;
        w->hosts->leaving = h;
        w->hosts->left_boot = boot;
        return (int)h->number;
    }
    return -1;
}

bool hosts_one_is_back(struct world *w, char *why, size_t why_size)
{
    const struct host *h = w->hosts->leaving;
    const struct node_record *r = &w->shadow->nodes[h->number].rec;

    (void)snprintf(why, why_size, "%s was asked to leave and is %s%s", h->id,
                   node_state_name(r->state),
                   uuid_equal(r->boot, w->hosts->left_boot) ? "" : " in its next life");
    return !uuid_equal(r->boot, w->hosts->left_boot) && r->state == NODE_ACTIVE;
}

bool host_dead_for_good(const struct world *w, unsigned node)
{
    return w->hosts->host[node].dead;
}

void hosts_close(struct world *w)
{
    w->hosts->closing = true;
    for (unsigned n = 0; n < w->config.nodes; n++)
        for (unsigned slot = 0; slot < 2; slot++)
            if (w->hosts->host[n].process[slot])
                life_close(w->hosts->host[n].process[slot]);
}

bool hosts_closed(const struct world *w)
{
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (lives(&w->hosts->host[n]))
            return false;
    return true;
}

const struct hosts_stats *hosts_stats(const struct world *w)
{
    return &w->hosts->stats;
}
