/*
 * What a cluster costs its store, by the number of nodes: simulated clusters of production nodes,
 * every transaction metered. One run is one size of cluster; the phases are those of
 * docs/scale.md. Times are virtual, so a run says the same on every machine.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/bench_loop.h"
#include "lib/scale_phase.h"

#define NODES_MIN 6
#define PLACEMENTS_MAX 2000000
#define TIMERS_STORED_MAX 5000000
#define SMALL_ACTORS 1000
#define LARGE_ACTORS 10000
#define START_APART_MS 5
#define FORM_MS_MAX 600000
#define EVENT_MS_MAX 120000
#define SETTLE_MS 2000 /* acknowledgements, and the heartbeats that they moved */
#define REST_MS 20000
#define OUTAGE_MS 15000 /* longer than a lease */
#define SWEEP_QUIET_MS 500
#define SWEEP_MS_MAX 1800000
#define CALLS_IN_FLIGHT 256
#define TIMERS_MAX 1.05 /* of what rest costs with timers stored, to what it costs without */
#define TIMERS_CHECK 20000
#define TIMERS_PLACED 400 /* few, so that what goes over placements is over and comes again alike */
#define FEW_NODES 10
#define MANY_NODES 40
#define FAILING_ROWS_MAX 4 /* the node, the view, its change, the primary */

struct options {
    size_t nodes, placements, timers;
    uint64_t seed;
    enum sim_store_kind store;
    bool json, check;
};

enum phase_name {
    FORM,
    REST,
    REST_TIMERS, /* with timers stored, with --timers alone */
    JOIN,
    LEAVE,
    DRAIN,
    CRASH,
    CRASH_AGAIN, /* its actors are placed again */
    HOST,
    HOST_AGAIN,
    OUTAGE,
    ELECT,
    PHASES
};

struct scale {
    const struct options *o;
    struct scale_world s;
    struct phase phase[PHASES];
    size_t guest; /* joins and leaves */
    size_t drains, crashes, dies;
    size_t few, many;
    struct {
        size_t mean, max, primary;
    } memory;
};

/* ---- output */

static void print_counts(const char *who, const struct phase_group *g, double seconds)
{
    const struct meter_counts *c = &g->sum;

    if (g->nodes)
        printf("  %-9s %5zu %9.2f %10.2f %11.0f %11.0f %9.2f %9llu\n", who, g->nodes,
               phase_rate(g, c->transactions, seconds), phase_rate(g, c->rows, seconds),
               phase_rate(g, c->bytes_read, seconds), phase_rate(g, c->bytes_written, seconds),
               phase_rate(g, c->frames, seconds), (unsigned long long)g->rows_max);
}

static void print_phase(const struct phase *p)
{
    printf("%s: %.2f s%s\n", p->name, p->seconds, p->ok ? "" : " (did not come about in time)");
    printf("  %-9s %5s %9s %10s %11s %11s %9s %9s\n", "a second", "nodes", "txns", "rows", "B read",
           "B written", "messages", "rows max");
    print_counts("ordinary", &p->ordinary, p->seconds);
    print_counts("primary", &p->primary, p->seconds);
    print_counts("itself", &p->about, p->seconds);
    printf("  all: %llu transactions, %llu rows, %llu B read, %llu B written\n",
           (unsigned long long)p->all.transactions, (unsigned long long)p->all.rows,
           (unsigned long long)p->all.bytes_read, (unsigned long long)p->all.bytes_written);
    if (p->view_ms > 0)
        printf("  view everywhere after %.0f ms\n", p->view_ms);
    if (p->primary_ms > 0)
        printf("  primary known everywhere after %.0f ms\n", p->primary_ms);
    if (p->failing)
        printf("  failed by %llu transaction(s) of %llu rows\n", (unsigned long long)p->failing,
               (unsigned long long)p->failing_rows_max);
    if (p->replaced_ms > 0)
        printf("  %zu actors placed again within %.0f ms\n", p->actors, p->replaced_ms);
}

static void report(struct scale *b, enum phase_name which)
{
    const struct phase *p = &b->phase[which];

    if (b->o->check)
        return;
    if (!b->o->json) {
        print_phase(p);
        (void)fflush(stdout);
        return;
    }
    json_t *line = phase_json(p, which > REST ? &b->phase[REST] : NULL, &b->s);
    CHECK(line);
    (void)json_object_set_new(line, "size", json_integer((json_int_t)b->o->nodes));
    if (which == REST)
        (void)json_object_set_new(line, "memory",
                                  json_pack("{sI sI sI}", "mean", (json_int_t)b->memory.mean, "max",
                                            (json_int_t)b->memory.max, "primary",
                                            (json_int_t)b->memory.primary));
    (void)json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
    json_decref(line);
    printf("\n");
    (void)fflush(stdout);
}

/* ---- phases */

static bool event_over(struct scale_world *s)
{
    return scale_converged(s);
}

/* Until all agree, and a little longer. */
static void event_wait(struct scale *b, struct phase *p, uint64_t ms_max)
{
    p->ok &= scale_until(&b->s, event_over, ms_max);
    scale_run_ms(&b->s, SETTLE_MS);
}

static void form(struct scale *b)
{
    struct phase *p = &b->phase[FORM];

    phase_begin(p, &b->s, "form", PHASE_NOBODY);
    for (size_t i = 0; i < b->o->nodes; i++)
        scale_start(&b->s, i, i * START_APART_MS * NS_PER_MS);
    scale_run_ms(&b->s, b->o->nodes * START_APART_MS);
    event_wait(b, p, FORM_MS_MAX);
    phase_end(p, &b->s);
    report(b, FORM);
}

/* The last nodes that are not primary; everybody else has an equal share of the placements. */
static size_t share(void *arg, size_t i)
{
    const struct scale *b = arg;
    size_t special = b->few * 2 + b->many, others = b->o->nodes - 3;

    if (i == b->dies)
        return b->many;
    if (i == b->drains || i == b->crashes)
        return b->few;
    if (i >= b->o->nodes)
        return 0;
    return (b->o->placements - special) / others + (i < (b->o->placements - special) % others);
}

static void choose(struct scale *b)
{
    size_t *which[] = {&b->drains, &b->crashes, &b->dies};
    size_t at = b->o->nodes;

    for (size_t k = 0; k < ARRAY_LEN(which); k++) {
        at--;
        if (&b->s.nodes[at] == scale_primary(&b->s))
            at--;
        *which[k] = at;
    }
    b->guest = b->o->nodes;
    b->few = b->o->placements / 8 < SMALL_ACTORS ? b->o->placements / 8 : SMALL_ACTORS;
    b->many = b->o->placements / 4 < LARGE_ACTORS ? b->o->placements / 4 : LARGE_ACTORS;
}

static void measure_memory(struct scale *b)
{
    const struct scale_node *primary = scale_primary(&b->s);
    size_t sum = 0, nodes = 0;

    for (size_t i = 0; i < b->s.node_count; i++) {
        const struct scale_node *n = &b->s.nodes[i];
        if (!n->p)
            continue;
        size_t bytes = n->p->mem.bytes;
        if (n == primary) {
            b->memory.primary = bytes;
            continue;
        }
        sum += bytes;
        nodes++;
        if (bytes > b->memory.max)
            b->memory.max = bytes;
    }
    b->memory.mean = nodes ? sum / nodes : 0;
}

static void rest(struct scale *b)
{
    struct phase *p = &b->phase[REST];

    scale_run_ms(&b->s, SETTLE_MS);
    phase_begin(p, &b->s, "rest", PHASE_NOBODY);
    scale_run_ms(&b->s, REST_MS);
    phase_end(p, &b->s);
    measure_memory(b);
    report(b, REST);
}

static void rest_with_timers(struct scale *b)
{
    struct phase *p = &b->phase[REST_TIMERS];

    scale_timers(&b->s, b->o->timers);
    scale_run_ms(&b->s, SETTLE_MS);
    phase_begin(p, &b->s, "rest_with_timers", PHASE_NOBODY);
    scale_run_ms(&b->s, REST_MS);
    phase_end(p, &b->s);
    report(b, REST_TIMERS);
}

static void join(struct scale *b)
{
    struct phase *p = &b->phase[JOIN];

    phase_begin(p, &b->s, "join", b->guest);
    scale_start(&b->s, b->guest, 0);
    scale_run_ms(&b->s, 1);
    event_wait(b, p, EVENT_MS_MAX);
    phase_end(p, &b->s);
    report(b, JOIN);
}

static void leave(struct scale *b, enum phase_name which, const char *name, size_t i)
{
    struct phase *p = &b->phase[which];

    phase_begin(p, &b->s, name, i);
    p->actors = b->s.nodes[i].placements;
    scale_leave(&b->s, i);
    scale_run_ms(&b->s, 1);
    event_wait(b, p, EVENT_MS_MAX);
    phase_end(p, &b->s);
    report(b, which);
}

/* The number of the first actor that was placed there. */
static size_t first_actor(struct scale *b, size_t node)
{
    size_t first = 0;

    for (size_t i = 0; i < node; i++)
        first += b->s.nodes[i].placements;
    return first;
}

/* Lets the primary's sweep come to its end. */
static bool sweep_wait(struct scale *b)
{
    uint64_t before, now = meter_action(&b->s.meter, "SweepPlacements").transactions;

    for (uint64_t ms = 0; ms < SWEEP_MS_MAX; ms += SWEEP_QUIET_MS) {
        before = now;
        scale_run_ms(&b->s, SWEEP_QUIET_MS);
        now = meter_action(&b->s.meter, "SweepPlacements").transactions;
        if (now == before)
            return true;
    }
    return false;
}

static void fail(struct scale *b, enum phase_name which, const char *name, size_t i,
                 void (*how)(struct scale_world *s, size_t i))
{
    struct phase *p = &b->phase[which];

    phase_begin(p, &b->s, name, i);
    p->actors = b->s.nodes[i].placements;
    how(&b->s, i);
    event_wait(b, p, EVENT_MS_MAX);
    phase_end(p, &b->s);
    report(b, which);
}

/* Every actor of a node that was failed is called, as after a restart of all clients. */
static void place_again(struct scale *b, enum phase_name which, const char *name, size_t i)
{
    struct phase *p = &b->phase[which];
    uint64_t last_ns;

    phase_begin(p, &b->s, name, PHASE_NOBODY);
    p->actors = b->s.nodes[i].placements;
    last_ns = scale_call(&b->s, first_actor(b, i), p->actors, CALLS_IN_FLIGHT);
    p->ok = last_ns != 0;
    p->replaced_ms = p->ok ? (double)(last_ns - p->begin_ns) / 1e6 : 0;
    p->ok &= sweep_wait(b);
    phase_end(p, &b->s);
    report(b, which);
}

/* The store answers nobody until all leases are over; then all are back at once. */
static void outage(struct scale *b)
{
    struct phase *p = &b->phase[OUTAGE];

    sim_store_process(&b->s.w, false);
    scale_run_ms(&b->s, OUTAGE_MS);
    phase_begin(p, &b->s, "outage", PHASE_NOBODY);
    p->ok = scale_primary(&b->s) == NULL;
    sim_store_process(&b->s.w, true);
    event_wait(b, p, EVENT_MS_MAX);
    phase_end(p, &b->s);
    report(b, OUTAGE);
}

static void run(struct scale *b, const struct options *o)
{
    *b = (struct scale){.o = o};
    scale_init(&b->s, o->nodes + 1, o->store, o->seed);
    form(b);
    choose(b);
    scale_place(&b->s, share, b);
    rest(b);
    join(b);
    leave(b, LEAVE, "leave", b->guest);
    leave(b, DRAIN, "leave_with_actors", b->drains);
    (void)sweep_wait(b);
    fail(b, CRASH, "fail_small", b->crashes, scale_crash);
    place_again(b, CRASH_AGAIN, "place_again_small", b->crashes);
    fail(b, HOST, "fail_large", b->dies, scale_machine_down);
    place_again(b, HOST_AGAIN, "place_again_large", b->dies);
    outage(b);
    fail(b, ELECT, "election", scale_primary(&b->s)->number, scale_machine_down);
    scale_deinit(&b->s);
}

static double share_of(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : 0;
}

/* Timers that are stored cost nothing until they are due: transactions and rows of all nodes at rest. */
static bool run_timers(struct scale *b, const struct options *o)
{
    const struct meter_counts *with = &b->phase[REST_TIMERS].all, *without = &b->phase[REST].all;
    double transactions, rows;
    bool ok;

    *b = (struct scale){.o = o};
    scale_init(&b->s, o->nodes + 1, o->store, o->seed);
    form(b);
    choose(b);
    scale_place(&b->s, share, b);
    rest(b);
    rest_with_timers(b);
    scale_deinit(&b->s);
    transactions = share_of(with->transactions, without->transactions);
    rows = share_of(with->rows, without->rows);
    ok = b->phase[FORM].ok && transactions > 0 && transactions <= TIMERS_MAX && rows > 0 &&
         rows <= TIMERS_MAX;
    printf("{\"bench\":\"scale\",\"timers\":%zu,\"nodes\":%zu,\"placements\":%zu,"
           "\"transactions_ratio\":%.3f,\"rows_ratio\":%.3f,\"ok\":%s}\n",
           o->timers, o->nodes, o->placements, transactions, rows, ok ? "true" : "false");
    return ok;
}

/* ---- the demands, as counts */

static bool demand(bool holds, const char *what, double few, double many)
{
    printf("%s: %s: %.2f with %d nodes, %.2f with %d\n", holds ? "ok" : "FAILED", what, few,
           FEW_NODES, many, MANY_NODES);
    return holds;
}

static bool near(double a, double b, double share_max)
{
    double d = a > b ? a - b : b - a;
    return d <= share_max * (a > b ? a : b);
}

static bool check_rest(const struct phase *a, const struct phase *b)
{
    const struct meter_counts *ca = &a->ordinary.sum, *cb = &b->ordinary.sum;
    bool ok = true;

#define RATE_CHECK(field)                                                                          \
    ok &= demand(near(phase_rate(&a->ordinary, ca->field, a->seconds),                             \
                      phase_rate(&b->ordinary, cb->field, b->seconds), 0.1),                       \
                 "at rest, " #field " of an ordinary node a second",                               \
                 phase_rate(&a->ordinary, ca->field, a->seconds),                                  \
                 phase_rate(&b->ordinary, cb->field, b->seconds))
    RATE_CHECK(transactions);
    RATE_CHECK(rows);
    RATE_CHECK(bytes_read);
    RATE_CHECK(bytes_written);
    RATE_CHECK(frames);
#undef RATE_CHECK
    return ok;
}

#define APART_MAX 14 /* rows of two heartbeats and polls, far from one for each node */

/* Rows that an ordinary node reads for one view change, beyond what it reads anyhow. */
static bool check_view_change(const struct scale *a, const struct scale *b, enum phase_name which)
{
    const struct phase *pa = &a->phase[which], *pb = &b->phase[which];
    const struct phase *ra = &a->phase[REST], *rb = &b->phase[REST];
    double rows_a = phase_beyond(&pa->ordinary, pa->ordinary.rows_max * pa->ordinary.nodes,
                                 pa->seconds, &ra->ordinary, ra->ordinary.sum.rows, ra->seconds);
    double rows_b = phase_beyond(&pb->ordinary, pb->ordinary.rows_max * pb->ordinary.nodes,
                                 pb->seconds, &rb->ordinary, rb->ordinary.sum.rows, rb->seconds);
    char view[128], what[128];

    (void)snprintf(view, sizeof view, "%s: milliseconds until all hold the new view", pa->name);
    (void)snprintf(what, sizeof what, "%s: rows beyond rest of the ordinary node that read most",
                   pa->name);
    bool ok = demand(pa->ok && pb->ok && pa->view_ms > 0 && pb->view_ms > 0, view, pa->view_ms,
                     pb->view_ms);
    return demand(rows_b < rows_a + APART_MAX, what, rows_a, rows_b) && ok;
}

/* Who is a candidate asks all; not every node is one. */
static bool check_election(const struct scale *a, const struct scale *b)
{
    const struct phase *pa = &a->phase[ELECT], *pb = &b->phase[ELECT];
    double frames_a = phase_rate(&pa->ordinary, pa->ordinary.sum.frames, 1);
    double frames_b = phase_rate(&pb->ordinary, pb->ordinary.sum.frames, 1);

    bool ok = demand(pa->ok && pb->ok && pa->primary_ms > 0 && pb->primary_ms > 0,
                     "election: milliseconds until all know the new primary", pa->primary_ms,
                     pb->primary_ms);
    return demand(frames_b < frames_a + APART_MAX, "election: messages of an ordinary node",
                  frames_a, frames_b) &&
           ok;
}

#define BEAT_ROWS_MAX 6 /* node, heartbeat, view; more where the view has moved on */

/* All revive at once: each reads few rows, not all nodes. */
static bool check_outage(const struct scale *a, const struct scale *b)
{
    const struct phase *pa = &a->phase[OUTAGE], *pb = &b->phase[OUTAGE];

    return demand(pa->ok && pb->ok && pa->beat_rows < BEAT_ROWS_MAX &&
                      pb->beat_rows < BEAT_ROWS_MAX,
                  "an outage is over: rows that a heartbeat reads", pa->beat_rows, pb->beat_rows);
}

static bool check_voiding(const struct scale *a, const struct scale *b, enum phase_name which)
{
    const struct phase *pa = &a->phase[which], *pb = &b->phase[which];
    char once[128], rows[128];

    (void)snprintf(once, sizeof once, "%s: transactions that void %zu placements", pa->name,
                   pa->actors);
    (void)snprintf(rows, sizeof rows, "%s: rows that it writes", pa->name);
    bool ok = demand(pa->ok && pb->ok && pa->failing == 1 && pb->failing == 1, once,
                     (double)pa->failing, (double)pb->failing);
    return demand(pa->failing_rows_max <= FAILING_ROWS_MAX &&
                      pb->failing_rows_max <= FAILING_ROWS_MAX,
                  rows, (double)pa->failing_rows_max, (double)pb->failing_rows_max) &&
           ok;
}

static int check(struct options *o)
{
    static const enum phase_name changes[] = {JOIN, LEAVE, CRASH, HOST};
    static struct scale few, many;
    bool ok;

    o->nodes = FEW_NODES;
    run(&few, o);
    o->nodes = MANY_NODES;
    run(&many, o);
    ok = check_rest(&few.phase[REST], &many.phase[REST]);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        ok &= check_view_change(&few, &many, changes[i]);
    ok &= check_voiding(&few, &many, CRASH);
    ok &= check_voiding(&few, &many, HOST);
    ok &= check_election(&few, &many);
    ok &= check_outage(&few, &many);
    o->nodes = FEW_NODES;
    o->timers = TIMERS_CHECK;
    o->placements = TIMERS_PLACED;
    ok &= run_timers(&few, o);
    printf("{\"bench\":\"scale\",\"check\":true,\"ok\":%s}\n", ok ? "true" : "false");
    return ok ? 0 : 1;
}

/* ---- the command line */

static void usage(FILE *to)
{
    (void)fprintf(
        to,
        "usage: scale [--nodes N] [--placements N] [--seed N] [--store fdb|embedded] [-w json]\n"
        "       scale --timers N [...]    rest with and without so many timers stored\n"
        "       scale --check    counts of 10 and of 40 nodes against what must hold\n");
}

static enum sim_store_kind store_kind(const char *name)
{
    for (unsigned k = 0; k < SIM_STORE_KINDS; k++)
        if (strcmp(sim_store_name(k), name) == 0)
            return (enum sim_store_kind)k;
    (void)fprintf(stderr, "scale: there is no store named '%s'\n", name);
    exit(2);
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"nodes", required_argument, NULL, 'n'},
        {"placements", required_argument, NULL, 'p'},
        {"seed", required_argument, NULL, 's'},
        {"check", no_argument, NULL, 'c'},
        {"timers", required_argument, NULL, 't'},
        {"store", required_argument, NULL, 'S'},
        {"write", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "w:h", known, NULL)) != -1) {
        switch (c) {
        case 'n':
            o->nodes = bench_number("scale", "--nodes", optarg, NODES_MIN, SCALE_NODES_MAX - 1);
            break;
        case 'p':
            o->placements = bench_number("scale", "--placements", optarg, 16, PLACEMENTS_MAX);
            break;
        case 't':
            o->timers = bench_number("scale", "--timers", optarg, 1, TIMERS_STORED_MAX);
            break;
        case 's':
            o->seed = bench_number("scale", "--seed", optarg, 0, UINT64_MAX);
            break;
        case 'S':
            o->store = store_kind(optarg);
            break;
        case 'c':
            o->check = true;
            break;
        case 'w':
            o->json = strcmp(optarg, "json") == 0;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    static struct scale b;
    struct options o = {.nodes = 10, .placements = 0, .seed = 1};

    read_options(&o, argc, argv);
    if (!o.placements)
        o.placements = o.check ? 4000 : o.timers ? TIMERS_PLACED : 1000000;
    if (o.check)
        return check(&o);
    if (o.timers)
        return run_timers(&b, &o) ? 0 : 1;
    run(&b, &o);
    return 0;
}
