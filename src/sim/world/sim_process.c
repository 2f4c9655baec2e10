#include "sim/world/sim_process.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/report/sim_record.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_net.h"

#define PPM 1000000
#define SKEW_PPM_MIN (DRIFT_PERCENT * 10000)
#define TIMER_LATE_NS (60 * 1000)             /* usual lateness of a timer */
#define TIMER_VERY_LATE_NS (20 * 1000 * 1000) /* of one in 256, when messages are slow too */
#define WALL_START_MS 1700000000000ull

/* ---- clock */

uint64_t process_clock(const struct process *p, uint64_t now_ns)
{
    /* Exact within 24 hours of virtual time: 8.64e13 ns x 5000 ppm is below 2^63. */
    return p->clock_offset_ns + now_ns + (uint64_t)((int64_t)now_ns * p->drift_ppm / PPM);
}

static uint64_t clock_now(void *ctx)
{
    const struct process *p = ctx;
    return process_clock(p, p->world->now_ns);
}

uint64_t process_wall_ms(const struct world *w)
{
    return WALL_START_MS + w->now_ns / NS_PER_MS;
}

static uint64_t clock_wall(void *ctx)
{
    const struct process *p = ctx;
    return process_wall_ms(p->world) + (uint64_t)p->wall_jump_ms;
}

static const struct clock_ops clock_ops = {.now_ns = clock_now, .wall_ms = clock_wall};

/* ---- timers */

/* The first virtual time (or a little later, never earlier) at which the local clock has gone on by
 * `delay_ns`. */
static uint64_t delay_to_due(const struct process *p, uint64_t delay_ns)
{
    uint64_t now = p->world->now_ns;
    uint64_t target = process_clock(p, now) + delay_ns;
    uint64_t rate = (uint64_t)(PPM + p->drift_ppm);
    uint64_t due = now + delay_ns / rate * PPM + delay_ns % rate * PPM / rate;

    while (process_clock(p, due) < target)
        due += target - process_clock(p, due);
    return due;
}

static void timers_stop(void *ctx, struct timer *t)
{
    struct process *p = ctx;
    sim_heap_remove(&p->world->heap, t->heap_index);
}

static void timers_start(void *ctx, struct timer *t, uint64_t delay_ns)
{
    struct process *p = ctx;
    struct world *w = p->world;

    if (t->armed)
        timers_stop(ctx, t);
    uint64_t late = rng_u64(&p->rng) % TIMER_LATE_NS;
    if (!w->calm && sim_fault_on(&w->config, FAULT_DELAY) && rng_u64(&p->rng) % 256 == 0)
        late = rng_u64(&p->rng) % TIMER_VERY_LATE_NS;
    world_push_timer(w, t, delay_to_due(p, delay_ns) + (delay_ns ? late : 0));
}

static const struct timer_ops timer_ops = {.start = timers_start, .stop = timers_stop};

static void hold(struct process *p, const struct sim_item *item)
{
    if (p->held_count == p->held_cap) {
        p->held_cap = p->held_cap ? p->held_cap * 2 : 64;
        p->held = realloc(p->held, p->held_cap * sizeof *p->held);
        CHECK(p->held);
    }
    p->held[p->held_count++] = *item;
}

bool process_hold(struct process *p, struct sim_event *e)
{
    if (!p->frozen)
        return false;
    e->heap_index = SIM_HELD;
    struct sim_item item = {.seq = p->world->seq++, .event = e};
    hold(p, &item);
    return true;
}

static uint64_t digest_name(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return h;
}

void process_timer_due(const struct sim_item *item)
{
    struct timer *t = item->timer;
    struct process *p = t->timers.ctx;

    if (p->frozen) {
        hold(p, item);
        return;
    }
    if (p->world->record)
        record_mark(p->world, p->node, p->slot, t->name);
    process_enter(p, PROCESS_TIMER, digest_name(t->name));
    t->armed = false;
    t->fn(t->arg);
    process_leave(p);
}

/* ---- what runs */

static void running_begin(void *ctx, const struct running *what)
{
    struct process *p = ctx;
    p->running = *what;
}

static void running_end(void *ctx)
{
    struct process *p = ctx;
    p->running.callback[0] = '\0';
}

/* ---- randomness and log */

static uint64_t random_next(void *ctx)
{
    struct process *p = ctx;
    return rng_u64(&p->rng);
}

static const struct random_ops random_ops = {.u64 = random_next};

static void log_write(void *ctx, enum log_level level, const char *event, const char *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const struct process *p = ctx;
    char name[PROCESS_NAME_SIZE], line[LOG_LINE_MAX + 128];

    (void)snprintf(line, sizeof line, "%12.6f %-5s %-4s %s %s", (double)p->world->now_ns / 1e9,
                   names[level], process_name(p, name), event, fields);
    p->world->config.say(line);
}

static const struct log_ops log_ops = {.write = log_write};

/* ---- lives */

static void draw_skew(struct process *p)
{
    struct world *w = p->world;

    if (!world_fault(w, FAULT_SKEW, STREAM_LATER, 1, 4))
        return;
    int64_t ppm = SKEW_PPM_MIN + (int64_t)world_below(w, STREAM_LATER, w->config.skew_ppm_max);
    p->drift_ppm = world_below(w, STREAM_LATER, 2) ? ppm : -ppm;
    p->skewed = true;
    w->skewed++;
}

/* Counts from here on: a life of a node, not of a supervisor, may find no memory. */
static uint64_t draw_allocations(struct process *p)
{
    struct world *w = p->world;
    uint32_t log2_max = w->config.allocations_log2_max - 5;

    if (w->calm || p->slot == SIM_SLOT_SUPERVISOR || !sim_fault_on(&w->config, FAULT_OUT_OF_MEMORY))
        return 0;
    if (world_below(w, STREAM_LATER, 3))
        return 0;
    return 1 + world_below(w, STREAM_LATER, 1ull << (6 + world_below(w, STREAM_LATER, log2_max)));
}

struct process *process_new(struct world *w, unsigned node, unsigned slot,
                            const struct process_ops *ops, void *owner)
{
    struct process *p = calloc(1, sizeof *p);

    CHECK(p && slot < SIM_SLOTS);
    p->world = w;
    p->node = node;
    p->slot = slot;
    p->life = ++w->lives;
    p->ops = ops;
    p->owner = owner;
    rng_seed(&p->rng, w->config.seed, STREAM_LIFE + ((uint64_t)p->life << 8));
    if (sim_fault_on(&w->config, FAULT_DRIFT) && w->config.drift_ppm_max > 0)
        p->drift_ppm = (int64_t)world_below(w, STREAM_CLOCK, w->config.drift_ppm_max * 2 + 1) -
                       (int64_t)w->config.drift_ppm_max;
    if (p->drift_ppm)
        world_met(w, FAULT_DRIFT);
    draw_skew(p);
    p->clock_offset_ns = world_below(w, STREAM_CLOCK, 1000000) * NS_PER_S;
    sim_mem_init(&p->mem);
    list_init(&p->store_msgs);
    list_init(&p->store_watches);
    p->env.mem = sim_mem_of(&p->mem);
    p->env.clock = (struct clock){.ops = &clock_ops, .ctx = p};
    p->env.timers = (struct timers){.ops = &timer_ops, .ctx = p};
    p->env.random = (struct random){.ops = &random_ops, .ctx = p};
    p->env.net = sim_net_of(p);
    p->env.running = (struct running_told){.begin = running_begin, .end = running_end, .ctx = p};
    if (w->config.log && w->config.say)
        p->env.log = (struct log){.ops = &log_ops, .ctx = p, .min = w->config.log_level};
    p->env.store = sim_store_of(p);
    env_init(&p->env);
    p->boot = random_uuid(p->env.random);
    p->mem.fails_in = draw_allocations(p);
    list_append(&w->processes, &p->link);
    sim_net_attach(p);
    if (w->record)
        record_life_begins(p);
    return p;
}

static bool is_timer_of(void *arg, const struct sim_item *item)
{
    return item->timer && item->timer->timers.ctx == arg;
}

size_t process_timers(const struct process *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->world->heap.count; i++) {
        const struct timer *t = p->world->heap.items[i].timer;
        n += t && t->timers.ctx == p;
    }
    return n;
}

static void release_held(struct process *p, uint64_t delay_ns)
{
    struct world *w = p->world;

    for (size_t i = 0; i < p->held_count; i++) {
        struct sim_item *item = &p->held[i];
        item->due_ns = w->now_ns + delay_ns;
        item->seq = w->seq++;
        sim_heap_push(&w->heap, item);
    }
    p->held_count = 0;
}

void process_let_go(struct process *p)
{
    release_held(p, 0);
}

void process_free(struct process *p)
{
    struct world *w = p->world;

    CHECK(p->depth == 0);
    if (w->record)
        record_life_ends(p);
    p->frozen = false;
    release_held(p, 0);
    sim_heap_filter(&w->heap, is_timer_of, p);
    if (p->skewed) {
        w->skewed--;
        w->skew_end_ns = w->now_ns;
    }
    sim_net_detach(p);
    sim_store_detach(p);
    list_remove(&p->link);
    sim_mem_free_all(&p->mem);
    free(p->held);
    free(p->seen);
    free(p);
}

void process_freeze(struct process *p)
{
    p->frozen = true;
    sim_store_freeze(p);
    if (p->world->record)
        record_freeze(p, true);
}

void process_thaw(struct process *p)
{
    if (!p->frozen)
        return;
    p->frozen = false;
    if (p->world->record)
        record_freeze(p, false);
    p->thawed_ns = p->world->now_ns;
    release_held(p, sim_store_thaw(p));
}

void process_pause(struct process *p, uint64_t ns)
{
    struct world *w = p->world;

    CHECK(p->depth == 1);
    if (p->stopped || w->stop)
        return;
    uint64_t end_ns = w->now_ns + ns;
    process_freeze(p);
    world_run(w, end_ns);
    p->overslept |= w->now_ns > end_ns;
    process_thaw(p);
}

void process_stop(struct process *p)
{
    CHECK(p->depth > 0);
    p->stopped = true;
    p->mem.failed = true;
}

void process_enter(struct process *p, enum process_event kind, uint64_t digest)
{
    CHECK(p->depth == 0 && !p->frozen);
    p->depth++;
    world_fold(p->world, process_event(p, kind), digest);
}

void process_leave(struct process *p)
{
    CHECK(p->depth == 1);
    p->depth--;
    if (p->mem.failed) {
        p->mem.failed = false;
        if (!p->stopped)
            world_met(p->world, FAULT_OUT_OF_MEMORY);
        p->frozen = true; /* no further step */
        process_doom(p, 0);
    } else if (p->ops->after) {
        p->ops->after(p);
    }
}

static const char *const slot_marks[SIM_SLOTS] = {"", "'", "s"};

const char *process_who(uint64_t who, char out[PROCESS_WHO_SIZE])
{
    static const char *const kinds[PROCESS_EVENT_COUNT] = {
#define PROCESS_EVENT_NAME(NAME, name) name,
        PROCESS_EVENTS(PROCESS_EVENT_NAME)
#undef PROCESS_EVENT_NAME
    };
    unsigned kind = who & 63u, slot = who >> 6 & 3u, node = who >> 8 & 255u;

    CHECK(kind < PROCESS_EVENT_COUNT && slot < SIM_SLOTS);
    (void)snprintf(out, PROCESS_WHO_SIZE, "n%u%s %s life=%llu", node + 1, slot_marks[slot],
                   kinds[kind], (unsigned long long)(who >> 16));
    return out;
}

const char *process_name(const struct process *p, char out[PROCESS_NAME_SIZE])
{
    (void)snprintf(out, PROCESS_NAME_SIZE, "n%u%s", p->node + 1, slot_marks[p->slot]);
    return out;
}
