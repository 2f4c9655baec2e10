/*
 * How fast the simulator is, beside its own queue and hash without any node, in the same run.
 *
 *   sim [--seeds A..B] [--hours H]
 *   sim --check
 *
 *   bare   events that do nothing: queued, taken out, folded into the hash; as many pending as a
 *          cluster of five has
 *   rest   5 nodes, 100 placed actors at rest (no calls), no faults: hours of virtual time, with the
 *          timing that a node has by default on that store
 *   sweep  the runs of `kelpie-sim sweep` with these seeds: drawn faults, all checkers
 *
 *   busy   those seeds, up to 16 of them, with one actor that ten clients keep busy; `calm` is the same
 *          with 20 actors. A busy actor must not cost the simulator more: at least 0.7 of the events/s
 *
 * `rest` once on each store: the simulated FoundationDB under its driver, the embedded one.
 *
 * One JSON line per case: events and virtual seconds by processor second of the one core that is
 * used; `ratio` is the events a second over those of `bare`. The hash and the checkers are on. The last
 * line says whether the target was met; `--check` counts, in seconds, how many requests the clients of a
 * busy actor look at for each call.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/checkers/checks.h"
#include "sim/run/sim_run.h"
#include "sim/workload/sim_workload.h"
#include "sim/world/sim_host.h"

#define REST_NODES 5
#define REST_ACTORS 100
#define BARE_PENDING 100
#define BARE_EVENTS 5000000
#define BOUND_S 60 /* of virtual time until all is placed */
#define HOURS_MAX 500
#define ROUNDS 3
#define BUSY_SEEDS 16
#define BUSY_CLIENTS 10
#define CALM_ACTORS 20
#define BUSY_TARGET 0.7
#define CHECK_S 20

struct options {
    uint64_t first, last, hours;
    bool check;
};

struct figure {
    uint64_t events, sim_ms;
    double cpu_s;
};

static double cpu_s(void)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- bare */

static void on_bare(struct world *w, struct sim_event *e)
{
    world_fold(w, 1, w->seq);
    world_after(w, e, 1 + world_below(w, STREAM_NET, NS_PER_MS));
}

static struct figure bare(void)
{
    static struct sim_event events[BARE_PENDING];
    struct sim_config config = {.seed = 1, .nodes = 1};
    struct world w;

    world_init(&w, &config);
    for (unsigned i = 0; i < BARE_PENDING; i++) {
        event_init(&events[i], on_bare);
        world_after(&w, &events[i], i);
    }
    double begun = cpu_s();
    while (w.events < BARE_EVENTS)
        world_run(&w, w.now_ns + NS_PER_S);
    struct figure f = {
        .events = w.events, .sim_ms = w.now_ns / NS_PER_MS, .cpu_s = cpu_s() - begun};
    for (unsigned i = 0; i < BARE_PENDING; i++)
        world_cancel(&w, &events[i]);
    world_deinit(&w);
    return f;
}

/* ---- at rest */

static void until(struct world *w, bool (*holds)(struct world *w, char *why, size_t why_size))
{
    char why[256] = "";
    uint64_t end = w->now_ns + BOUND_S * NS_PER_S;

    while (!w->stop && !holds(w, why, sizeof why)) {
        if (w->now_ns >= end) {
            (void)fprintf(stderr, "sim: not within %d s of virtual time: %s\n", BOUND_S, why);
            exit(1);
        }
        world_run(w, w->now_ns + NS_PER_MS * 20);
    }
}

static bool probed(struct world *w, char *why, size_t why_size)
{
    return workload_probed(w, why, why_size);
}

static bool closed(struct world *w, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "a node does not close");
    return hosts_closed(w);
}

static void check_ran_well(const struct world *w, uint64_t placed)
{
    if (w->violation_count) {
        (void)fprintf(stderr, "sim: %s: %s\n", w->violations[0].check, w->violations[0].text);
        exit(1);
    }
    if (placed != REST_ACTORS) {
        (void)fprintf(stderr, "sim: %" PRIu64 " actors were placed, not %d\n", placed, REST_ACTORS);
        exit(1);
    }
}

static struct figure rest(enum sim_store_kind store, uint64_t hours)
{
    struct sim_config config;
    struct world w;

    sim_config_draw(&config, 1);
    config.faults = 0;
    config.nodes = REST_NODES;
    config.actors = REST_ACTORS;
    config.echo_actors = 0;
    config.clients = 0;
    config.dead_for_good = 0;
    config.store = store;
    config.timing = store == SIM_STORE_FDB ? timing_fdb() : timing_default();
    config.idle_ms = UINT32_MAX; /* 49 days: nobody is passivated */
    sim_build(&w, &config);
    hosts_start(&w, 1000);
    until(&w, hosts_converged);
    workload_probe(&w);
    until(&w, probed);
    workload_probe_writes(&w); /* who only reads places nobody */
    until(&w, probed);

    uint64_t events = w.events, sim_ns = w.now_ns;
    double begun = cpu_s();
    world_run(&w, w.now_ns + hours * 3600 * NS_PER_S);
    struct figure f = {.events = w.events - events,
                       .sim_ms = (w.now_ns - sim_ns) / NS_PER_MS,
                       .cpu_s = cpu_s() - begun};
    check_ran_well(&w, w.shadow->placements);
    hosts_close(&w);
    until(&w, closed);
    sim_tear_down(&w);
    return f;
}

/* ---- a sweep's runs */

static void keep_busy(struct sim_config *c, unsigned actors)
{
    c->actors = actors;
    c->echo_actors = c->trial_actors = c->room = 0;
    c->clients = BUSY_CLIENTS;
    c->think_ms = 1;
}

/* Requests looked at for each call, when one actor gets all of them. */
static bool check(void)
{
    struct sim_config config;
    struct world w;

    sim_config_draw(&config, 1);
    config.faults = 0;
    config.dead_for_good = 0;
    keep_busy(&config, 1);
    sim_build(&w, &config);
    hosts_start(&w, 1000);
    until(&w, hosts_converged);
    workload_start(&w);
    world_run(&w, w.now_ns + CHECK_S * NS_PER_S);
    struct workload_stats stats = *workload_stats(&w);
    workload_stop(&w);
    hosts_close(&w);
    until(&w, closed);
    sim_tear_down(&w);
    bool ok = stats.calls > 1000 && stats.looked <= 2 * stats.calls;
    printf("{\"bench\":\"sim\",\"calls\":%" PRIu64 ",\"looked_at\":%" PRIu64 ",\"ok\":%s}\n",
           stats.calls, stats.looked, ok ? "true" : "false");
    return ok;
}

static struct figure sweep(const struct options *o, uint64_t last, unsigned actors)
{
    struct figure f = {0};
    struct sim_config config;
    struct sim_result r;

    for (uint64_t seed = o->first; seed <= last; seed++) {
        sim_config_draw(&config, seed);
        if (actors)
            keep_busy(&config, actors);
        double begun = cpu_s();
        sim_run(&config, &r);
        f.cpu_s += cpu_s() - begun;
        f.events += r.events;
        f.sim_ms += r.sim_ms;
        if (r.violation_count) {
            (void)fprintf(stderr, "sim: seed %" PRIu64 ": %s: %s\n", seed, r.violations[0].check,
                          r.violations[0].text);
            exit(1);
        }
    }
    return f;
}

/* ---- */

static void say(const char *name, const struct figure *f, double bare_per_s)
{
    double per_s = (double)f->events / f->cpu_s;

    printf("{\"case\":\"%s\",\"events\":%" PRIu64 ",\"sim_s\":%.0f,\"cpu_s\":%.2f,"
           "\"events_per_cpu_s\":%.0f,\"sim_s_per_cpu_s\":%.0f,\"ratio\":%.3f}\n",
           name, f->events, (double)f->sim_ms / 1e3, f->cpu_s, per_s,
           (double)f->sim_ms / 1e3 / f->cpu_s, per_s / bare_per_s);
    if (fflush(stdout))
        exit(1);
}

static _Noreturn void usage(int status)
{
    (void)fputs("usage: sim [--seeds A..B] [--hours H]\n"
                "       sim --check\n"
                "\n"
                "  --seeds A..B  the seeds of the sweep (default: 1..100)\n"
                "  --hours H     virtual hours at rest (default: 5, at most 500)\n",
                status ? stderr : stdout);
    exit(status);
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"seeds", required_argument, NULL, 's'},
                                          {"hours", required_argument, NULL, 't'},
                                          {"check", no_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    char rest[2];

    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 'h')
            usage(0);
        o->check |= option == 'c';
        if (option == 's' &&
            (sscanf(optarg, "%" SCNu64 "..%" SCNu64 "%1s", &o->first, &o->last, rest) != 2 ||
             o->first > o->last)) {
            (void)fprintf(stderr, "sim: --seeds needs a range such as 1..100, not '%s'\n", optarg);
            exit(2);
        }
        if (option == 't' && (sscanf(optarg, "%" SCNu64 "%1s", &o->hours, rest) != 1 ||
                              o->hours == 0 || o->hours > HOURS_MAX)) {
            (void)fprintf(stderr, "sim: --hours must be 1 to %d, not '%s'\n", HOURS_MAX, optarg);
            exit(2);
        }
        if (option == '?')
            usage(2);
    }
    if (optind < argc)
        usage(2);
}

/* The machine is shared: what counts is the ratio within a round. */
int main(int argc, char **argv)
{
    struct options o = {.first = 1, .last = 100, .hours = 5};

    double busy_ratio = 0;

    parse(&o, argc, argv);
    if (o.check)
        return check() ? 0 : 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct figure b = bare(), s = sweep(&o, o.last, 0);
        uint64_t last = o.last < o.first + BUSY_SEEDS - 1 ? o.last : o.first + BUSY_SEEDS - 1;
        struct figure busy = sweep(&o, last, 1), calm = sweep(&o, last, CALM_ACTORS);
        struct figure fdb = rest(SIM_STORE_FDB, o.hours);
        struct figure embedded = rest(SIM_STORE_EMBEDDED, o.hours);
        double per_s = (double)b.events / b.cpu_s;
        say("bare", &b, per_s);
        say("rest_fdb", &fdb, per_s);
        say("rest_embedded", &embedded, per_s);
        say("sweep", &s, per_s);
        say("busy", &busy, per_s);
        say("calm", &calm, per_s);
        double ratio = (double)busy.events / busy.cpu_s / ((double)calm.events / calm.cpu_s);
        if (ratio > busy_ratio)
            busy_ratio = ratio;
    }
    bool ok = busy_ratio >= BUSY_TARGET;
    printf("{\"bench\":\"sim\",\"busy_over_calm\":%.2f,\"target\":%.2f,\"ok\":%s}\n", busy_ratio,
           BUSY_TARGET, ok ? "true" : "false");
    return ok ? 0 : 1;
}
