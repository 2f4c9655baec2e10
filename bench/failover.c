/*
 * What callers notice when a node goes: three nodes, a client that keeps one call outstanding on
 * each of 100 counters, and again and again a node that is killed, frozen or drained.
 *
 *   failover --kind crash|host|freeze|drain [--runs N] [--counters N] [--seed N] [--dir DIR] …
 *
 *   crash    kill -9 of the node's process; its supervisor is there
 *   host     the supervisor and the node are killed at once
 *   freeze   SIGSTOP of a node without a supervisor, SIGCONT after the takeover
 *   drain    SIGTERM: the node hands its actors over and leaves
 *
 * unavailable_ms: for each actor that was placed on that node, from the signal to the first answer
 * to an attempt that was sent after it. Every second time it is the primary. A node on which chance has placed none
 * of the counters is passed over.
 *
 * Each run has counters of its own; those of the one before are passivated first, so that every node
 * gets a share. At the end of a run every counter is asked: what it says, less what was acknowledged, was
 * duplicated, or the other way round lost. (No call stays open: each is repeated until answered.)
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "lib/bench_nodes.h"
#include "lib/counter_load.h"
#include "lib/thaw_check.h"
#include "lib/view_watch.h"

#define RUNS_DEFAULT 20
#define CHECK_COUNTERS 8
#define COUNTERS_DEFAULT 100
#define ATTEMPT_MS_DEFAULT 1000
#define STEADY_MS 30000
#define STEADY_ANSWERS 3
#define CALM_MS 500 /* and up to as much again, at random, before the signal */
#define TAKEOVER_MS 30000
#define AFTER_MS 300 /* the calls go on for so long after a takeover */
#define DRAIN_MS 40000
#define IDLE_MS "500" /* of an actor */
#define FURTHER_MAX 32

enum kind { KIND_CRASH, KIND_HOST, KIND_FREEZE, KIND_DRAIN, KINDS };
static const char *const kind_names[KINDS] = {"crash", "host", "freeze", "drain"};

struct options {
    enum kind kind;
    unsigned runs;
    unsigned counters;
    unsigned attempt_ms;
    uint64_t seed;
    const char *dir;
    const char *program;
    bool keep;
    const char *further[FURTHER_MAX]; /* options of kelpied, ends with NULL */
};

struct failover {
    const struct options *options;
    struct bench_loop loop;
    struct bench_nodes nodes;
    struct counter_load load;
    struct view_watch watch;
    struct rng rng;
    unsigned runs; /* done */
    size_t victim;
    bool victim_is_primary;
    size_t marked; /* counters placed on the victim */
    uint64_t killed_ns;
    struct samples unavailable;
    struct samples view_first;
    struct samples view_last;
    struct samples run; /* unavailable, in this run */
    unsigned primary_kills;
    uint64_t applied;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t early_answers; /* of thawed nodes */
    uint64_t stale_answers;
    uint64_t bad_ends;     /* drained, yet the process did not end with status 0 */
    uint64_t drain_errors; /* error answers while a node was drained */
};

/* ---- before the signal ---- */

static bool is_steady(void *arg)
{
    const struct failover *f = arg;

    return load_is_steady(&f->load, STEADY_ANSWERS);
}

/* Notes which counters are placed on the victim. False when that could not be learnt. */
static bool mark_placed(struct failover *f)
{
    struct bench_nodes *n = &f->nodes;
    const struct bench_node *asked = &n->node[(f->victim + 1) % n->count];
    char path[256];
    json_t *answer;
    const json_t *actor;
    size_t i;

    (void)snprintf(path, sizeof path, "/v1/actors?node=%s&type=counter&limit=1000",
                   n->node[f->victim].id);
    answer = bench_get(&f->loop, asked->client, path);
    if (!answer) {
        (void)fprintf(stderr, "failover: %s does not list actors\n", asked->id);
        return false;
    }
    f->marked = 0;
    json_array_foreach(json_object_get(answer, "actors"), i, actor)
    {
        struct load_counter *c =
            load_find(&f->load, json_string_value(json_object_get(actor, "id")));

        if (c && !c->is_marked) {
            c->is_marked = true;
            f->marked++;
        }
    }
    json_decref(answer);
    return true;
}

/* In turn the primary and another node; the next when nothing is placed there, for somewhere each counter is. */
static bool choose_victim(struct failover *f)
{
    int primary = bench_nodes_primary(&f->nodes);
    bool wants_primary = f->runs % 2 == 0;

    if (primary < 0) {
        (void)fprintf(stderr, "failover: no node knows the primary\n");
        return false;
    }
    f->victim = (size_t)primary;
    if (!wants_primary)
        f->victim = (f->victim + 1 + rng_below(&f->rng, f->nodes.count - 1)) % f->nodes.count;
    f->marked = 0;
    for (size_t i = 0; i < f->nodes.count && f->marked == 0; i++) {
        f->victim = (f->victim + (i > 0)) % f->nodes.count;
        if (!mark_placed(f))
            return false;
    }
    if (f->marked == 0)
        (void)fprintf(stderr, "failover: no counter is placed on any node\n");
    f->victim_is_primary = f->victim == (size_t)primary;
    f->primary_kills += f->victim_is_primary;
    return f->marked > 0;
}

static bool prepare(struct failover *f)
{
    char name[32];

    /* Counted down, so that those of this run come first in lists. */
    (void)snprintf(name, sizeof name, "r%05u", 99999 - f->runs);
    if (!bench_nodes_ready(&f->nodes))
        return false;
    load_start(&f->load, name);
    if (!bench_wait(&f->loop, is_steady, f, STEADY_MS)) {
        (void)fprintf(stderr, "failover: not every counter answers\n");
        return false;
    }
    return bench_sleep(&f->loop, CALM_MS + rng_below(&f->rng, CALM_MS)) && choose_victim(f);
}

/* ---- the signal, and what follows ---- */

static void strike(struct failover *f)
{
    const struct bench_node *node = &f->nodes.node[f->victim];

    view_watch_expect(&f->watch, f->victim);
    load_mark(&f->load);
    f->killed_ns = f->load.mark_ns;
    switch (f->options->kind) {
    case KIND_CRASH:
        (void)kill(node->process, SIGKILL);
        break;
    case KIND_HOST: /* the supervisor first: it must not see its child die */
        (void)kill(node->pid, SIGKILL);
        (void)kill(node->process, SIGKILL);
        break;
    case KIND_FREEZE:
        (void)kill(node->pid, SIGSTOP);
        break;
    default:
        (void)kill(node->pid, SIGTERM);
        break;
    }
}

static bool is_taken_over(void *arg)
{
    struct failover *f = arg;

    bench_nodes_reap(&f->nodes);
    return load_marked_answered(&f->load);
}

static bool thaw(struct failover *f)
{
    struct thaw_check t;
    bool ok;

    thaw_check_init(&t, &f->load, &f->nodes.node[f->victim]);
    ok = bench_sleep(&f->loop, AFTER_MS) && thaw_check_run(&t);
    f->early_answers += t.early;
    f->stale_answers += t.stale;
    if (!ok && !f->loop.interrupted)
        (void)fprintf(stderr,
                      "failover: %s was thawed and did not join again (%zu of %zu calls "
                      "answered)\n",
                      t.node->id, t.answered, t.asked);
    thaw_check_deinit(&t);
    return ok;
}

/* Until the process that the supervisor started in place of the killed one answers. */
static bool wait_for_replacement(struct failover *f)
{
    struct bench_node *node = &f->nodes.node[f->victim];
    pid_t before = node->process;
    uint64_t end = bench_now_ns(&f->loop) + BENCH_READY_MS * NS_PER_MS;

    while (bench_now_ns(&f->loop) < end) {
        if (bench_node_refresh(node) == 0 && node->process != before)
            return true;
        bench_nodes_reap(&f->nodes);
        if (!bench_sleep(&f->loop, 20))
            return false;
    }
    (void)fprintf(stderr, "failover: %s was not started again\n", node->id);
    return false;
}

/* The node comes back. */
static bool restore(struct failover *f)
{
    struct bench_node *node = &f->nodes.node[f->victim];
    bool drained = f->options->kind == KIND_DRAIN;

    if (f->options->kind == KIND_FREEZE)
        return thaw(f) && bench_nodes_ready(&f->nodes);
    if (f->options->kind == KIND_CRASH)
        return wait_for_replacement(f) && bench_nodes_ready(&f->nodes);
    if (!bench_node_wait_end(node, DRAIN_MS)) {
        if (!f->loop.interrupted)
            (void)fprintf(stderr, "failover: %s does not end\n", node->id);
        return false;
    }
    if (drained && (!WIFEXITED(node->exit_status) || WEXITSTATUS(node->exit_status) != 0)) {
        (void)fprintf(stderr, "failover: %s ended with wait status %d\n", node->id,
                      node->exit_status);
        f->bad_ends++;
    }
    return bench_node_start(&f->nodes, f->victim) && bench_nodes_ready(&f->nodes);
}

/* ---- the account ---- */

static void add_up(struct failover *f)
{
    uint64_t first = view_watch_first_ns(&f->watch), last = view_watch_last_ns(&f->watch);

    for (size_t i = 0; i < f->load.count; i++) {
        const struct load_counter *c = &f->load.counters[i];

        f->applied += c->applied;
        if (c->acknowledged > c->applied)
            f->lost += c->acknowledged - c->applied;
        else
            f->duplicated += c->applied - c->acknowledged;
        if (c->acknowledged != c->applied)
            (void)fprintf(stderr, "failover: %s has %" PRIu64 ", acknowledged %" PRIu64 "\n", c->id,
                          c->applied, c->acknowledged);
    }
    if (first)
        samples_add(&f->view_first, (double)(first - f->killed_ns) / 1e6);
    if (last)
        samples_add(&f->view_last, (double)(last - f->killed_ns) / 1e6);
}

static void note_unavailable(struct failover *f)
{
    samples_deinit(&f->run);
    for (size_t i = 0; i < f->load.count; i++) {
        const struct load_counter *c = &f->load.counters[i];
        double ms = (double)(c->answered_ns - f->killed_ns) / 1e6;

        if (!c->is_marked)
            continue;
        samples_add(&f->unavailable, ms);
        samples_add(&f->run, ms);
    }
}

static void say(struct failover *f, double seconds)
{
    uint64_t first = view_watch_first_ns(&f->watch);

    (void)fprintf(stderr,
                  "run %u/%u: %s%s, %zu actors, unavailable ms min %.0f median %.0f p95 %.0f max "
                  "%.0f, view after %.0f, %.1f s\n",
                  f->runs, f->options->runs, f->nodes.node[f->victim].id,
                  f->victim_is_primary ? " (primary)" : "", f->marked,
                  samples_percentile(&f->run, 0), samples_percentile(&f->run, 50),
                  samples_percentile(&f->run, 95), samples_percentile(&f->run, 100),
                  first ? (double)(first - f->killed_ns) / 1e6 : -1.0, seconds);
}

static bool one_run(struct failover *f)
{
    uint64_t begun = bench_now_ns(&f->loop);
    uint64_t errors;

    if (!prepare(f))
        return false;
    errors = f->load.error_answers;
    strike(f);
    if (!bench_wait(&f->loop, is_taken_over, f, TAKEOVER_MS)) {
        if (!f->loop.interrupted)
            (void)fprintf(stderr, "failover: not every actor of %s answered within %d ms\n",
                          f->nodes.node[f->victim].id, TAKEOVER_MS);
        return false;
    }
    note_unavailable(f);
    if (!bench_sleep(&f->loop, AFTER_MS) || !restore(f))
        return false;
    if (f->options->kind == KIND_DRAIN)
        f->drain_errors += f->load.error_answers - errors;
    if (!load_settle(&f->load)) {
        (void)fprintf(stderr, "failover: not every call could be settled\n");
        return false;
    }
    add_up(f);
    f->runs++;
    if (f->runs < f->options->runs && !bench_nodes_idle(&f->nodes))
        return false;
    say(f, (double)(bench_now_ns(&f->loop) - begun) / 1e9);
    return true;
}

static bool report(struct failover *f, bool complete)
{
    uint64_t failed = f->load.failed_calls + f->drain_errors;
    json_t *json =
        json_pack("{s:s,s:I,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "kind",
                  kind_names[f->options->kind], "runs", (json_int_t)f->runs, "unavailable_ms",
                  samples_json(&f->unavailable), "acknowledged", (json_int_t)f->load.acknowledged,
                  "applied", (json_int_t)f->applied, "lost", (json_int_t)f->lost, "duplicated",
                  (json_int_t)f->duplicated, "failed_calls", (json_int_t)failed, "wrong_replies",
                  (json_int_t)f->load.wrong_replies, "actors", (json_int_t)f->unavailable.count,
                  "primary_kills", (json_int_t)f->primary_kills, "view_first_ms",
                  samples_json(&f->view_first), "view_last_ms", samples_json(&f->view_last),
                  "repeated", load_errors_json(&f->load));

    if (f->options->kind == KIND_FREEZE) {
        (void)json_object_set_new(json, "early_answers",
                                  json_integer((json_int_t)f->early_answers));
        (void)json_object_set_new(json, "stale_answers",
                                  json_integer((json_int_t)f->stale_answers));
    }
    if (f->options->kind == KIND_DRAIN)
        (void)json_object_set_new(json, "bad_ends", json_integer((json_int_t)f->bad_ends));
    bool ok = complete && !f->lost && !f->duplicated && !failed && !f->load.wrong_replies &&
              !f->early_answers && !f->stale_answers && !f->bad_ends;
    (void)json_object_set_new(json, "ok", json_boolean(ok));
    (void)json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(8));
    (void)printf("\n");
    (void)fflush(stdout);
    json_decref(json);
    return ok;
}

/* ---- options ---- */

static void usage(FILE *to)
{
    (void)fprintf(
        to,
        "usage: failover --kind crash|host|freeze|drain [OPTION]... [-- OPTION OF KELPIED...]\n"
        "\n"
        "  --kind KIND      crash: kill -9 of a node; host: of its supervisor too;\n"
        "                   freeze: SIGSTOP, later SIGCONT; drain: SIGTERM\n"
        "  --runs N         so many times (default %d)\n"
        "  --counters N     counters with a call outstanding (default %d)\n"
        "  --attempt-ms N   the client asks another node after so long (default %d)\n"
        "  --seed N         of the choice of nodes and moments (default: from the clock)\n"
        "  --dir DIR        where the nodes keep their data (default $TMPDIR, else /tmp)\n"
        "  --kelpied FILE   the program (default: the one of this build)\n"
        "  --keep           keep data and logs\n"
        "  --check          one crash of a few counters: counts alone\n"
        "  --help\n"
        "\n"
        "Prints one JSON line; exit status 1 when a call was lost, duplicated or failed.\n",
        RUNS_DEFAULT, COUNTERS_DEFAULT, ATTEMPT_MS_DEFAULT);
}

_Noreturn static void refuse(const char *what, const char *value)
{
    (void)fprintf(stderr, "failover: %s '%s'; see failover --help\n", what, value);
    exit(2);
}

static enum kind kind_of(const char *text)
{
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(text, kind_names[i]) == 0)
            return (enum kind)i;
    }
    refuse("--kind is crash, host, freeze or drain, not", text);
}

static void read_options(struct options *o, int argc, char **argv)
{
    enum { KIND = 1, RUNS, COUNTERS, ATTEMPT, SEED, DIR_, PROGRAM, KEEP, CHECK_, HELP };
    static const struct option table[] = {
        {"kind", 1, NULL, KIND},          {"runs", 1, NULL, RUNS}, {"counters", 1, NULL, COUNTERS},
        {"attempt-ms", 1, NULL, ATTEMPT}, {"seed", 1, NULL, SEED}, {"dir", 1, NULL, DIR_},
        {"kelpied", 1, NULL, PROGRAM},    {"keep", 0, NULL, KEEP}, {"check", 0, NULL, CHECK_},
        {"help", 0, NULL, HELP},          {NULL, 0, NULL, 0}};
    int found;

    *o = (struct options){.kind = KINDS,
                          .runs = RUNS_DEFAULT,
                          .counters = COUNTERS_DEFAULT,
                          .attempt_ms = ATTEMPT_MS_DEFAULT};
    opterr = 0;
    while ((found = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (found) {
        case KIND:
            o->kind = kind_of(optarg);
            break;
        case RUNS:
            o->runs = (unsigned)bench_number("failover", "--runs", optarg, 1, 10000);
            break;
        case COUNTERS:
            o->counters = (unsigned)bench_number("failover", "--counters", optarg, 1, 1000);
            break;
        case ATTEMPT:
            o->attempt_ms = (unsigned)bench_number("failover", "--attempt-ms", optarg, 1, 60000);
            break;
        case SEED:
            o->seed = bench_number("failover", "--seed", optarg, 1, UINT64_MAX);
            break;
        case DIR_:
            o->dir = optarg;
            break;
        case PROGRAM:
            o->program = optarg;
            break;
        case KEEP:
            o->keep = true;
            break;
        case CHECK_:
            o->kind = KIND_CRASH;
            o->runs = 1;
            o->counters = CHECK_COUNTERS;
            break;
        case HELP:
            usage(stdout);
            exit(0);
        default:
            refuse("unknown option, or one without its value:", argv[optind - 1]);
        }
    }
    if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
        refuse("unexpected argument", argv[optind]);
    o->further[0] = "--idle-ms";
    o->further[1] = IDLE_MS;
    for (int i = 2; optind < argc && i + 1 < FURTHER_MAX; i++)
        o->further[i] = argv[optind++];
    if (o->kind == KINDS)
        refuse("there is no", "--kind");
}

int main(int argc, char **argv)
{
    struct options options;
    struct failover f = {.options = &options};
    bool ok;

    read_options(&options, argc, argv);
    bench_loop_init(&f.loop);
    rng_seed(&f.rng, options.seed ? options.seed : bench_now_ns(&f.loop), 0);
    bench_nodes_init(&f.nodes, &f.loop, 3, options.dir, options.program);
    f.nodes.supervised = options.kind != KIND_FREEZE;
    f.nodes.options = options.further;
    load_init(&f.load, &f.nodes, options.counters, options.attempt_ms);
    view_watch_init(&f.watch, &f.nodes);
    samples_init(&f.unavailable, f.loop.mem);
    samples_init(&f.view_first, f.loop.mem);
    samples_init(&f.view_last, f.loop.mem);
    samples_init(&f.run, f.loop.mem);

    ok = bench_nodes_start(&f.nodes);
    while (ok && f.runs < options.runs)
        ok = one_run(&f);
    if (!f.loop.interrupted)
        ok = report(&f, ok);

    f.load.is_running = false;
    view_watch_deinit(&f.watch);
    bench_nodes_deinit(&f.nodes, options.keep || (!ok && !f.loop.interrupted));
    load_deinit(&f.load);
    samples_deinit(&f.unavailable);
    samples_deinit(&f.view_first);
    samples_deinit(&f.view_last);
    samples_deinit(&f.run);
    bench_loop_deinit(&f.loop);
    return ok ? 0 : 1;
}
