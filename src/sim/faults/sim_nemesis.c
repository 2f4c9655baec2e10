#include "sim/faults/sim_nemesis.h"

#include <stdlib.h>

#include "sim/faults/sim_emptied.h"
#include "sim/faults/sim_restore.h"
#include "sim/faults/sim_rot.h"
#include "sim/report/sim_record.h"
#include "sim/steps/sim_steps.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_host.h"
#include "sim/world/sim_net.h"

#define TROUBLES_MAX 24 /* that last, at the same time */
#define RECOVERY_MS_MAX 6000
#define FLAP_MS_MAX 600
#define GREY_LEASES_MAX 4 /* and a few seconds: longer than it may take until the node is out */
#define GREY_MS_MAX 10000
#define WALL_JUMP_MS_MAX (2ull * 366 * 24 * 3600 * 1000)
#define AIM_MS_MAX 4000 /* a strike waits this long for what it aims at */
#define AIM_LOOK_MS 2
#define KILL_ALL_IN 8 /* the whole cluster dies in one of so many of its turns */

/* One that lasts. */
struct trouble {
    struct sim_event event; /* its end */
    struct nemesis *n;
    bool on;
    enum sim_fault kind;
    uint32_t from, to; /* sets of nodes: cut between them; or whose store is cut */
    uint32_t third;    /* GROUPS: what is in neither set is the third */
    uint64_t until_ns; /* FLAP: it comes and goes until then */
    bool apart;        /* FLAP: it is there now */
    bool reads_too;    /* STORE_RECOVERY */
    bool one_way;      /* GREY */
    bool deaf;         /* GREY: only what is dialled is lost */
    unsigned node, slot, life;
    unsigned asleep[SIM_NODES_MAX * 2]; /* CLOCK_JUMP: the lives on these machines */
    unsigned asleep_count;
};

struct nemesis {
    struct world *w;
    struct sim_event next;
    struct sim_event aim; /* looks whether what the next strike waits for is under way */
    uint64_t aim_end_ns;
    enum sim_phase aim_phase;
    enum sim_fault aim_kind;
    struct trouble troubles[TROUBLES_MAX];
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_FAULT, bound);
}

/* ---- trouble that lasts */

static void cut_way(struct world *w, unsigned from, unsigned to, bool cut)
{
    sim_net_cut(w->net, from, to, cut);
    if (w->steps)
        steps_on_cut(w, from, to, cut);
}

static void cut_between(struct world *w, uint32_t from, uint32_t to, bool back, bool cut)
{
    for (unsigned a = 0; a < w->config.nodes; a++) {
        for (unsigned b = 0; b < w->config.nodes; b++) {
            if (a == b || !(from >> a & 1u) || !(to >> b & 1u))
                continue;
            cut_way(w, a, b, cut);
            if (back)
                cut_way(w, b, a, cut);
        }
    }
}

static void deafen_between(struct world *w, uint32_t from, uint32_t to, bool on)
{
    for (unsigned a = 0; a < w->config.nodes; a++)
        for (unsigned b = 0; b < w->config.nodes; b++)
            if (a != b && (from >> a & 1u) && (to >> b & 1u))
                sim_net_deafen(w->net, a, b, on);
}

static void clog_between(struct world *w, uint32_t from, uint32_t to, bool on)
{
    for (unsigned a = 0; a < w->config.nodes; a++)
        for (unsigned b = 0; b < w->config.nodes; b++)
            if (a != b && (from >> a & 1u) && (to >> b & 1u))
                sim_net_clog(w->net, a, b, on);
}

static void cut_store(struct world *w, uint32_t nodes, bool on)
{
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (nodes >> n & 1u) {
            sim_store_cut(w, n, on);
            if (w->steps)
                steps_on_store_cut(w, n, on);
        }
}

static void freeze(struct world *w, const struct trouble *t, bool on)
{
    struct process *p = host_process(w, t->node, t->slot);
    if (!p || p->life != t->life)
        return;
    if (on)
        process_freeze(p);
    else
        process_thaw(p);
}

/* Those who live there now sleep; later the same ones wake, if they still live. */
static void sleep_all(struct world *w, struct trouble *t, bool on)
{
    if (on)
        t->asleep_count = 0;
    LIST_FOREACH_SAFE(it, tmp, &w->processes)
    {
        struct process *p = LIST_ENTRY(it, struct process, link);
        if (on && t->from >> p->node & 1u && p->slot != SIM_SLOT_SUPERVISOR && !p->frozen) {
            t->asleep[t->asleep_count++] = p->life;
            process_freeze(p);
        }
        for (unsigned i = 0; !on && i < t->asleep_count; i++)
            if (t->asleep[i] == p->life)
                process_thaw(p);
    }
}

static void note(struct world *w, const struct trouble *t, bool on)
{
    static const enum sim_fault shown[FAULT_COUNT] = {
        [FAULT_PARTITION] = FAULT_PARTITION,  [FAULT_GROUPS] = FAULT_PARTITION,
        [FAULT_ONE_WAY] = FAULT_ONE_WAY,      [FAULT_STORE_CUT] = FAULT_STORE_CUT,
        [FAULT_SUSPEND] = FAULT_STORE_CUT,    [FAULT_STORE_RESTART] = FAULT_STORE_CUT,
        [FAULT_CLOCK_JUMP] = FAULT_STORE_CUT, [FAULT_GREY] = FAULT_PARTITION,
    };
    if (w->record && shown[t->kind])
        record_trouble(w, shown[t->kind], t->from, t->to, on);
}

static void apply_to_store(struct world *w, const struct trouble *t, bool on)
{
    switch (t->kind) {
    case FAULT_STORE_RECOVERY:
        sim_store_recovery(w, t->reads_too, on);
        break;
    case FAULT_STORE_RESTART:
        sim_store_process(w, !on);
        break;
    case FAULT_THROTTLE:
        sim_store_throttle(w, on);
        break;
    case FAULT_STORE_FULL:
        sim_store_full(w, on);
        break;
    default:
        cut_store(w, t->from, on);
    }
}

static void apply(struct world *w, struct trouble *t, bool on)
{
    note(w, t, on);
    switch (t->kind) {
    case FAULT_PARTITION:
    case FAULT_ONE_WAY:
        cut_between(w, t->from, t->to, t->kind == FAULT_PARTITION, on);
        break;
    case FAULT_GREY:
        if (t->deaf)
            deafen_between(w, t->to, t->from, on);
        else
            cut_between(w, t->from, t->to, !t->one_way, on);
        break;
    case FAULT_GROUPS:
        cut_between(w, t->from, t->to | t->third, true, on);
        cut_between(w, t->to, t->third, true, on);
        break;
    case FAULT_FLAP:
        if (t->apart != on)
            cut_between(w, t->from, t->to, true, on);
        t->apart = on;
        break;
    case FAULT_CLOG:
        clog_between(w, t->from, t->to, on);
        break;
    case FAULT_SUSPEND:
        cut_between(w, t->from, t->to, true, on);
        cut_store(w, t->from, on);
        freeze(w, t, on);
        break;
    case FAULT_FREEZE:
        freeze(w, t, on);
        break;
    case FAULT_CLOCK_JUMP:
        cut_between(w, t->from, t->to, true, on);
        cut_store(w, t->from, on);
        sleep_all(w, t, on);
        break;
    default:
        apply_to_store(w, t, on);
    }
}

static void on_trouble_ends(struct world *w, struct sim_event *e)
{
    struct trouble *t = CONTAINER_OF(e, struct trouble, event);

    if (t->kind == FAULT_FLAP && w->now_ns < t->until_ns) {
        apply(w, t, !t->apart);
        world_after(w, e, (1 + world_below(w, STREAM_LATER, FLAP_MS_MAX)) * NS_PER_MS);
        return;
    }
    t->on = false;
    apply(w, t, false);
}

static void begin(struct nemesis *n, const struct trouble *like)
{
    struct world *w = n->w;

    for (unsigned i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &n->troubles[i];
        if (t->on)
            continue;
        struct sim_event event = t->event;
        *t = *like;
        t->event = event;
        t->n = n;
        t->on = true;
        apply(w, t, true);
        uint64_t max_ms = w->config.fault_ms_max;
        if (t->kind == FAULT_STORE_RECOVERY && max_ms > RECOVERY_MS_MAX)
            max_ms = RECOVERY_MS_MAX;
        if (t->kind == FAULT_GREY)
            max_ms = GREY_LEASES_MAX * w->config.timing.lease_ms + GREY_MS_MAX;
        uint64_t last_ns = (20 + below(w, max_ms)) * NS_PER_MS;
        t->until_ns = w->now_ns + last_ns;
        world_after(w, &t->event, t->kind == FAULT_FLAP ? 100 * NS_PER_MS : last_ns);
        world_met(w, t->kind);
        return;
    }
}

/* A set of nodes: one, a pair's half, a minority, or (for the store) all. */
static uint32_t some_nodes(struct world *w, unsigned one)
{
    uint32_t set = 1u << one;

    if (below(w, 2) == 0)
        return set;
    for (unsigned n = 0; n < w->config.nodes; n++)
        if (below(w, 2))
            set |= 1u << n;
    return set;
}

static void begin_cut(struct nemesis *n, enum sim_fault kind, unsigned node)
{
    struct world *w = n->w;
    uint32_t all = (1u << w->config.nodes) - 1;
    struct trouble t = {.kind = kind};

    t.from = some_nodes(w, node);
    t.to = all & ~t.from;
    if (below(w, 3) == 0) {
        t.from = 1u << node;
        t.to = 1u << below(w, w->config.nodes);
    }
    if (kind == FAULT_ONE_WAY && below(w, 2)) {
        uint32_t swap = t.from;
        t.from = t.to;
        t.to = swap;
    }
    if (kind == FAULT_STORE_CUT && below(w, 6) == 0)
        t.from = all;
    begin(n, &t);
}

/* One node, cut off from all others or from more than half of them, in one direction or both; or they cannot dial it,
 * though it gets to them, and their answers to it. */
static void begin_grey(struct nemesis *n, unsigned node)
{
    struct world *w = n->w;
    struct trouble t = {.kind = FAULT_GREY, .from = 1u << node};
    bool all = below(w, 2);
    unsigned spared = 0;

    for (unsigned i = 0; i < w->config.nodes; i++) {
        bool spare = !all && 2 * (spared + 1) < w->config.nodes - 1 && below(w, 2);
        if (i == node)
            continue;
        spared += spare;
        t.to |= spare ? 0u : 1u << i;
    }
    t.deaf = w->config.deaf && below(w, 2);
    t.one_way = !t.deaf && below(w, 3) == 0;
    if (t.one_way && below(w, 2)) {
        uint32_t swap = t.from;
        t.from = t.to;
        t.to = swap;
    }
    begin(n, &t);
}

static void begin_groups(struct nemesis *n)
{
    struct world *w = n->w;
    struct trouble t = {.kind = FAULT_GROUPS};
    uint32_t *const groups[] = {&t.from, &t.to, &t.third};

    for (unsigned i = 0; i < w->config.nodes; i++)
        *groups[below(w, ARRAY_LEN(groups))] |= 1u << i;
    begin(n, &t);
}

static void begin_at_store(struct nemesis *n, enum sim_fault kind)
{
    struct world *w = n->w;
    struct trouble t = {.kind = kind, .from = (1u << w->config.nodes) - 1};

    t.reads_too = below(w, 2);
    begin(n, &t);
}

static void begin_freeze(struct nemesis *n, enum sim_fault kind, const struct process *p)
{
    struct trouble t = {.kind = kind,
                        .node = p->node,
                        .slot = p->slot,
                        .life = p->life,
                        .from = 1u << p->node,
                        .to = (1u << n->w->config.nodes) - 1};
    if (!p->frozen)
        begin(n, &t);
}

/* One machine, some, or all of them. */
static void begin_sleep(struct nemesis *n, unsigned node)
{
    struct world *w = n->w;
    struct trouble t = {.kind = FAULT_CLOCK_JUMP, .to = (1u << w->config.nodes) - 1};

    t.from = below(w, 4) == 0 ? t.to : some_nodes(w, node);
    begin(n, &t);
}

/* ---- trouble of a moment */

static void jump_wall(struct world *w, struct process *p)
{
    uint64_t by = below(w, WALL_JUMP_MS_MAX) % (w->config.wall_jump_s * 1000ull + 1);
    world_met(w, FAULT_WALL_JUMP);
    p->wall_jump_ms = below(w, 2) ? (int64_t)by : -(int64_t)by;
}

static void reset_link(struct world *w, unsigned node)
{
    unsigned other = (unsigned)below(w, w->config.nodes);
    if (other == node)
        return;
    world_met(w, FAULT_RESET);
    sim_net_reset(w->net, node, other);
}

/* At `p`, where it strikes a node. */
static void strike_at(struct nemesis *n, enum sim_fault kind, struct process *p)
{
    struct world *w = n->w;

    switch (kind) {
    case FAULT_CRASH:
        world_met(w, kind);
        host_kill(w, p->node, p->slot, HOST_CRASH);
        break;
    case FAULT_HOST:
        world_met(w, kind);
        host_kill(w, p->node, p->slot, HOST_DOWN);
        break;
    case FAULT_KILL_ALL:
        if (below(w, KILL_ALL_IN))
            return;
        world_met(w, kind);
        hosts_kill_all(w);
        break;
    case FAULT_LEAVE:
        if (host_leave(w, p))
            world_met(w, kind);
        break;
    case FAULT_TWIN:
        world_met(w, kind);
        host_twin(w, p->node);
        break;
    case FAULT_FREEZE:
    case FAULT_SUSPEND:
        begin_freeze(n, kind, p);
        break;
    case FAULT_CLOCK_JUMP:
        begin_sleep(n, p->node);
        break;
    case FAULT_RESTORE:
        if (emptied_idle(w))
            restore_turn(w);
        break;
    case FAULT_ROT:
        if (restore_idle(w) && emptied_idle(w) && rot_strike(w))
            world_met(w, kind);
        break;
    case FAULT_REPLACE:
        if (restore_idle(w) && emptied_idle(w) && host_replace(w, p->node))
            world_met(w, kind);
        break;
    case FAULT_EMPTIED:
        if (restore_idle(w) && emptied_strike(w))
            world_met(w, kind);
        break;
    case FAULT_WALL_JUMP:
        jump_wall(w, p);
        break;
    case FAULT_RESET:
        reset_link(w, p->node);
        break;
    case FAULT_GREY:
        begin_grey(n, p->node);
        break;
    case FAULT_GROUPS:
        begin_groups(n);
        break;
    case FAULT_STORE_RECOVERY:
    case FAULT_STORE_RESTART:
    case FAULT_THROTTLE:
    case FAULT_STORE_FULL:
        begin_at_store(n, kind);
        break;
    default:
        begin_cut(n, kind, p->node);
    }
}

static void strike(struct nemesis *n, enum sim_fault kind)
{
    struct process *p = hosts_pick(n->w, STREAM_FAULT, below(n->w, 3) == 0);

    if (p)
        strike_at(n, kind, p);
}

/* Some phases are short and rare: a strike may wait for one, for a while, and hits who is in it. */
static bool aims(struct nemesis *n, enum sim_fault kind)
{
    static const enum sim_phase rare[] = {PHASE_ELECTION, PHASE_ACTIVATION, PHASE_DRAIN,
                                          PHASE_MIGRATION};
    struct world *w = n->w;

    if (world_below(w, STREAM_AIM, 16) >= w->config.aim_per_16)
        return false;
    n->aim_kind = kind;
    n->aim_phase = world_below(w, STREAM_AIM, 2)
                       ? rare[world_below(w, STREAM_AIM, ARRAY_LEN(rare))]
                       : (enum sim_phase)world_below(w, STREAM_AIM, PHASE_COUNT);
    n->aim_end_ns = w->now_ns + AIM_MS_MAX * NS_PER_MS;
    world_after(w, &n->aim, 0);
    return true;
}

static void on_aim(struct world *w, struct sim_event *e)
{
    struct nemesis *n = w->nemesis;

    if (!(coverage_phases(w) >> n->aim_phase & 1u) && w->now_ns < n->aim_end_ns) {
        world_after(w, e, AIM_LOOK_MS * NS_PER_MS);
        return;
    }
    struct process *p =
        coverage_in_phase(w, n->aim_phase, world_below(w, STREAM_AIM, SIM_NODES_MAX));
    if (p)
        strike_at(n, n->aim_kind, p);
    else
        strike(n, n->aim_kind);
    world_after(w, &n->next, (1 + below(w, 2ull * w->config.disaster_ms)) * NS_PER_MS);
}

static void on_next(struct world *w, struct sim_event *e)
{
    static const enum sim_fault kinds[] = {
        FAULT_CRASH,         FAULT_HOST,     FAULT_KILL_ALL,   FAULT_FREEZE,
        FAULT_PARTITION,     FAULT_ONE_WAY,  FAULT_STORE_CUT,  FAULT_LEAVE,
        FAULT_TWIN,          FAULT_SUSPEND,  FAULT_WALL_JUMP,  FAULT_RESET,
        FAULT_CLOG,          FAULT_GROUPS,   FAULT_FLAP,       FAULT_STORE_RECOVERY,
        FAULT_STORE_RESTART, FAULT_THROTTLE, FAULT_STORE_FULL, FAULT_CLOCK_JUMP,
        FAULT_RESTORE,       FAULT_GREY,     FAULT_ROT,        FAULT_REPLACE,
        FAULT_EMPTIED,
    };
    enum sim_fault on[ARRAY_LEN(kinds)];
    size_t count = 0;

    if (w->calm)
        return;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (sim_fault_on(&w->config, kinds[i]))
            on[count++] = kinds[i];
    if (count == 0)
        return;
    enum sim_fault kind = on[below(w, count)];
    if (aims(w->nemesis, kind))
        return;
    strike(w->nemesis, kind);
    world_after(w, e, (1 + below(w, 2ull * w->config.disaster_ms)) * NS_PER_MS);
}

struct nemesis *nemesis_new(struct world *w)
{
    struct nemesis *n = calloc(1, sizeof *n);

    CHECK(n);
    n->w = w;
    event_init(&n->next, on_next);
    event_init(&n->aim, on_aim);
    for (unsigned i = 0; i < TROUBLES_MAX; i++)
        event_init(&n->troubles[i].event, on_trouble_ends);
    return n;
}

void nemesis_free(struct nemesis *n)
{
    free(n);
}

uint64_t nemesis_lasting(const struct world *w)
{
    uint64_t lasting = 0;

    for (unsigned i = 0; i < TROUBLES_MAX; i++)
        if (w->nemesis->troubles[i].on)
            lasting |= 1ull << w->nemesis->troubles[i].kind;
    return lasting;
}

void nemesis_start(struct world *w)
{
    world_after(w, &w->nemesis->next, below(w, 4000) * NS_PER_MS);
}

void nemesis_calm(struct world *w)
{
    struct nemesis *n = w->nemesis;

    w->calm = true;
    world_cancel(w, &n->next);
    world_cancel(w, &n->aim);
    for (unsigned i = 0; i < TROUBLES_MAX; i++) {
        struct trouble *t = &n->troubles[i];
        if (!t->on)
            continue;
        t->on = false;
        world_cancel(w, &t->event);
        apply(w, t, false);
    }
    LIST_FOREACH(it, &w->processes)
    {
        LIST_ENTRY(it, struct process, link)->mem.fails_in = 0;
    }
    sim_net_heal(w->net);
    sim_store_heal(w);
}
