/*
 * Three nodes under siege: each case attacks them for a while beside 100 honest counters, in turns with a
 * bare libevent server on the machine that the same load hits, so that a disk that is slow for some seconds is slow for
 * both. Where the nodes close connections, as many a second are closed and opened anew beside the bare server, which
 * closes none. The bare server's adds are durable too: it answers those of a turn when a page is on the disk.
 *
 *   siege [--seconds S] [--case NAME] [--dir DIR] [--keep] [--check]
 *
 * A line for each case. What must hold: no lease is lost and no node fails or ends; no node takes more
 * memory than RSS_MAX_MB; /livez and /metrics answer while the attack lasts; and, where no handler
 * takes long, the 99th percentile of honest calls is at most P99_RATIO_MAX times that of the bare
 * server: in the median of the turns, so that a disk that stands still in one of them decides nothing. With 500 clients of a handler of 6 ms as much is answered as with 100, but for a fifth. The
 * last line is one JSON object with "ok"; the exit status is 1 when a target is missed.
 *
 * --check: a few cases, small and short, and of these the counts alone.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/net.h"
#include "lib/attack.h"
#include "lib/attack_requests.h"
#include "lib/bare_load.h"
#include "lib/bench_nodes.h"
#include "lib/honest.h"

#define RSS_MAX_MB 512
#define P99_RATIO_MAX 3.0
#define GOODPUT_RATIO_MIN 0.8
#define AFTER_S                                                                                    \
    30 /* an attack lasts so much longer than what is measured, for what is asked then */
#define PROBE_MS 3000
#define WARM_MS 1000
#define CHECK_MS 250
#define CHECK_WARM_MS 50
#define CHECK_HONEST 10
#define SLICES 5       /* turns of the nodes, and of the bare server */
#define SETTLE_MS 1500 /* of a turn, before it is measured: its connections are there then */
#define ACTORS_LISTED 3000
#define ACTIVATIONS_MAX "4000" /* less than what the nonsense of a case takes */

struct options {
    unsigned seconds;
    const char *only;
    const char *dir;
    bool keep, check;
};

struct siege;

struct siege_case {
    const char *name;
    struct attack attack; /* its addrs are filled in */
    bool rpc;             /* it is for the RPC listeners */
    bool one_node;        /* it is for the first node alone */
    bool is_slow;         /* handlers take long: honest calls wait for them */
    const char *files;    /* ulimit -n of the nodes; NULL: as it is */
    bool (*before)(struct siege *s);
    bool (*after)(struct siege *s); /* while the attack goes on */
    unsigned check_connections;     /* of --check; 0: not in it */
};

struct totals {
    uint64_t suspends, failures, limits;
    pid_t processes[BENCH_NODES_MAX];
};

struct siege {
    const struct options *o;
    const struct siege_case *c;
    struct bench_loop b;
    struct bench_nodes nodes;
    struct honest honest;
    struct bare_load bare;
    json_t *line;
    double rss_mb;
    unsigned again_per_s; /* of the last turn */
};

/* ---- what is asked of the nodes ---- */

struct text {
    struct bench_loop *b;
    char *data;
    bool is_done;
};

static void on_text(void *arg, const struct http_response *r)
{
    struct text *t = arg;

    t->is_done = true;
    if (!r->error && r->status == 200)
        t->data = strndup((const char *)r->body.data, r->body.len);
}

static bool has_text(void *arg)
{
    return ((const struct text *)arg)->is_done;
}

/* NULL when it does not answer with 200 in time. */
static char *get_text(struct siege *s, struct http_client *client, const char *path)
{
    struct text t = {.b = &s->b};

    http_client_send(client, "GET", path, NULL, bytes_of(NULL, 0), PROBE_MS, on_text, &t);
    (void)bench_wait(&s->b, has_text, &t, 2 * PROBE_MS);
    CHECK(t.is_done || s->b.interrupted);
    return t.data;
}

static uint64_t metric(const char *text, const char *name)
{
    uint64_t sum = 0;

    for (const char *at = text; (at = strstr(at, name)); at += strlen(name)) {
        const char *value = strchr(at, ' ');
        if (at > text && at[-1] == '\n' && value)
            sum += strtoull(value + 1, NULL, 10);
    }
    return sum;
}

static bool take_totals(struct siege *s, struct totals *t)
{
    *t = (struct totals){0};
    for (size_t i = 0; i < s->nodes.count; i++) {
        char *text = get_text(s, s->nodes.node[i].client, "/metrics");
        if (!text || bench_node_refresh(&s->nodes.node[i])) {
            free(text);
            return false;
        }
        t->suspends += metric(text, "kelpie_suspends_total");
        t->failures += metric(text, "kelpie_failures_declared_total");
        t->limits += metric(text, "kelpie_limit_reached_total");
        t->processes[i] = s->nodes.node[i].process;
        free(text);
    }
    return true;
}

static void look_at_memory(struct siege *s)
{
    for (size_t i = 0; i < s->nodes.count; i++) {
        char path[64];
        unsigned long all, resident = 0;
        FILE *f;

        (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)s->nodes.node[i].process);
        f = fopen(path, "re");
        if (!f)
            continue;
        if (fscanf(f, "%lu %lu", &all, &resident) != 2)
            resident = 0;
        (void)fclose(f);
        double mb = (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
        s->rss_mb = mb > s->rss_mb ? mb : s->rss_mb;
    }
}

/* ---- the cases ---- */

static bool make_actors(struct siege *s)
{
    volatile struct attack_counts *counts = attack_counts_new();
    struct attack a = {.kind = ATTACK_ASK,
                       .addrs = {s->nodes.node[0].http},
                       .connections = 64,
                       .request = ask_nonsense};
    uint64_t wanted = s->o->check ? 20 : ACTORS_LISTED;
    pid_t pid = counts ? attack_start(&a, 60, counts) : -1;

    while (pid > 0 && counts->ok < wanted && bench_sleep(&s->b, 20))
        continue;
    attack_stop(pid);
    return pid > 0;
}

/* What a newcomer gets while the attack lasts. */
static bool newcomers_answered(struct siege *s)
{
    unsigned answered = 0;

    for (unsigned i = 0; i < 20; i++) {
        char path[64];
        struct bench_answer a;

        (void)snprintf(path, sizeof path, "/v1/actors/counter/newcomer-%u/add", i);
        a = bench_request(&s->b, s->nodes.node[i % 3].client, "POST", path, bytes_of_str("1"));
        answered += !a.error && a.status == 200;
        json_decref(a.json);
    }
    json_object_set_new(s->line, "newcomers_of_20", json_integer(answered));
    return answered == 20;
}

/* A node that is killed comes back while strangers hold connections. */
static bool comes_back(struct siege *s)
{
    bool ok;

    (void)kill(s->nodes.node[2].process, SIGKILL);
    (void)bench_sleep(&s->b, 500);
    ok = bench_nodes_ready(&s->nodes);
    json_object_set_new(s->line, "killed_node_back", json_boolean(ok));
    return ok;
}

/* A node that is told to leave while its actors take long to end. */
static bool drains(struct siege *s)
{
    bool ok;

    (void)kill(s->nodes.node[2].pid, SIGTERM);
    ok = bench_node_wait_end(&s->nodes.node[2], 20000);
    json_object_set_new(s->line, "drained", json_boolean(ok));
    return ok;
}

static bool events_open(struct siege *s)
{
    char request[ATTACK_REQUEST_MAX];
    int status;

    request[ask_events(request, 0, 0)] = '\0';
    status = ask_status(s->nodes.node[0].http, request, PROBE_MS);
    json_object_set_new(s->line, "events_status", json_integer(status));
    return status == 200;
}

static const struct siege_case cases[] = {
    {.name = "nobody", .attack = {.kind = ATTACK_SILENT, .connections = 1}},
    {.name = "lists",
     .attack = {.kind = ATTACK_ASK, .connections = 200, .request = ask_list},
     .before = make_actors,
     .check_connections = 10},
    {.name = "frames",
     .attack = {.kind = ATTACK_FLOOD, .connections = 4, .rate = 59000},
     .rpc = true,
     .check_connections = 4},
    {.name = "slow_150ms",
     .attack = {.kind = ATTACK_ASK, .connections = 40, .request = ask_150_ms},
     .is_slow = true,
     .check_connections = 4},
    {.name = "slow_6ms",
     .attack = {.kind = ATTACK_ASK, .connections = 100, .request = ask_6_ms},
     .is_slow = true},
    {.name = "slow_ends",
     .attack = {.kind = ATTACK_ASK, .connections = 8, .request = ask_slow_end},
     .is_slow = true,
     .after = drains},
    {.name = "idle_rpc",
     .attack = {.kind = ATTACK_SILENT, .connections = 2200},
     .rpc = true,
     .after = comes_back},
    {.name = "silent_http", .attack = {.kind = ATTACK_SILENT, .connections = 4400}},
    {.name = "half_requests",
     .attack = {.kind = ATTACK_HALF, .connections = 250, .request = ask_half, .body_len = 1048575}},
    {.name = "few_files", .attack = {.kind = ATTACK_SILENT, .connections = 1000}, .files = "512"},
    {.name = "event_readers",
     .attack = {.kind = ATTACK_DEAF, .connections = 64, .request = ask_events},
     .one_node = true,
     .after = events_open},
    {.name = "slow_readers",
     .attack = {.kind = ATTACK_SLOW, .connections = 16, .request = ask_large},
     .before = make_actors},
    {.name = "nonsense",
     .attack = {.kind = ATTACK_ASK, .connections = 50, .request = ask_nonsense},
     .after = newcomers_answered},
};

/* ---- one case ---- */

static void aim(const struct siege *s, struct attack *a)
{
    size_t count = s->c->one_node ? 1 : s->c->rpc ? 2 : s->nodes.count;

    for (size_t i = 0; i < count; i++)
        a->addrs[i] = s->c->rpc ? s->nodes.node[i].rpc : s->nodes.node[i].http;
}

/* Lets the honest ones run for a while. */
static void measure(struct siege *s, unsigned ms)
{
    uint64_t end = bench_now_ns(&s->b) + ms * NS_PER_MS;

    honest_measure(&s->honest, true);
    while (bench_now_ns(&s->b) < end && bench_sleep(&s->b, 250))
        look_at_memory(s);
    honest_measure(&s->honest, false);
}

static bool note(struct siege *s, const char *what, bool ok)
{
    if (!ok) {
        json_t *missed = json_object_get(s->line, "missed");
        if (!missed)
            json_object_set_new(s->line, "missed", missed = json_array());
        json_array_append_new(missed, json_string(what));
    }
    return ok;
}

static bool probes_answer(struct siege *s)
{
    static const char *const paths[] = {"/livez", "/readyz", "/metrics"};
    unsigned answered = 0;

    for (size_t i = 0; i < s->nodes.count; i++) {
        for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++) {
            char request[ATTACK_REQUEST_MAX];

            request[ask_path(request, paths[k])] = '\0';
            answered += ask_status(s->nodes.node[i].http, request, PROBE_MS) == 200;
        }
    }
    json_object_set_new(s->line, "probes_answered_of_9", json_integer(answered));
    return answered == 9;
}

static bool judge(struct siege *s, const struct totals *before, bool may_change)
{
    struct totals now;
    bool ok = note(s, "metrics", take_totals(s, &now));

    if (!ok)
        return false;
    json_object_set_new(s->line, "leases_lost",
                        json_integer((json_int_t)(now.suspends - before->suspends)));
    json_object_set_new(s->line, "nodes_failed",
                        json_integer((json_int_t)(now.failures - before->failures)));
    json_object_set_new(s->line, "limits_reached",
                        json_integer((json_int_t)(now.limits - before->limits)));
    ok &= note(s, "leases_lost", now.suspends == before->suspends);
    ok &= note(s, "nodes_failed", now.failures == before->failures);
    for (size_t i = 0; i < s->nodes.count && !may_change; i++)
        ok &= note(s, "node_ended", now.processes[i] == before->processes[i]);
    return ok;
}

static void count_attack(struct siege *s, const volatile struct attack_counts *c)
{
    json_object_set_new(s->line, "attack",
                        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "connected",
                                  (json_int_t)c->connected, "closed", (json_int_t)c->closed, "sent",
                                  (json_int_t)c->sent, "ok", (json_int_t)c->ok, "limited",
                                  (json_int_t)c->limited, "other", (json_int_t)c->other));
    json_object_set_new(s->line, "again_per_s", json_integer((json_int_t)s->again_per_s));
}

/* A wrapper that lowers the number of files a node may open. */
static void limit_files(struct siege *s)
{
    char path[BENCH_PATH_MAX + 32];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/few-files", s->nodes.dir);
    f = fopen(path, "we");
    CHECK(f);
    (void)fprintf(f, "#!/bin/sh\nulimit -n %s\nexec '%s' \"$@\"\n", s->c->files, s->nodes.program);
    (void)fclose(f);
    CHECK(chmod(path, 0700) == 0);
    CHECK(strlen(path) < sizeof s->nodes.program);
    memcpy(s->nodes.program, path, strlen(path) + 1);
}

static void nodes_begin(struct siege *s)
{
    static char actors[BENCH_PATH_MAX + 16];
    static const char *options[] = {"--actors-in-node", actors, "--activations-max",
                                    ACTIVATIONS_MAX, NULL};
    char *slash;

    bench_nodes_init(&s->nodes, &s->b, BENCH_NODES_MAX, s->o->dir, NULL);
    (void)snprintf(actors, sizeof actors, "%s", s->nodes.program);
    slash = strrchr(actors, '/');
    (void)snprintf(slash, sizeof actors - (size_t)(slash - actors), "/bench/busy.so");
    s->nodes.options = options;
    if (s->c->files)
        limit_files(s);
}

static bool goodput(struct siege *s, struct attack *a, unsigned seconds)
{
    static const unsigned clients[] = {100, 500};
    double rate[2];

    for (size_t i = 0; i < 2; i++) {
        volatile struct attack_counts *counts = attack_counts_new();
        pid_t pid;
        uint64_t before;

        a->connections = clients[i];
        pid = attack_start(a, seconds + 10, counts);
        (void)bench_sleep(&s->b, 2000);
        before = counts->ok;
        (void)bench_sleep(&s->b, seconds * 1000);
        rate[i] = (double)(counts->ok - before) / seconds;
        attack_stop(pid);
        (void)bench_sleep(&s->b, 3000);
    }
    json_object_set_new(s->line, "answered_per_s_100", json_real(rate[0]));
    json_object_set_new(s->line, "answered_per_s_500", json_real(rate[1]));
    json_object_set_new(s->line, "goodput_ratio", json_real(rate[0] > 0 ? rate[1] / rate[0] : 0));
    return note(s, "goodput", rate[1] >= GOODPUT_RATIO_MIN * rate[0] && rate[0] > 0);
}

static void report_honest(struct siege *s)
{
    struct samples *of = &s->honest.latencies;

    json_object_set_new(s->line, "honest_p50_ms", json_real(samples_percentile(of, 50)));
    json_object_set_new(s->line, "honest_p99_ms", json_real(samples_percentile(of, 99)));
    json_object_set_new(s->line, "honest_ok", json_integer((json_int_t)s->honest.ok));
    json_object_set_new(s->line, "honest_failed", json_integer((json_int_t)s->honest.failed));
}

/* The nodes' turn; in the last one the attack lasts until all is asked. */
static bool nodes_slice(struct siege *s, const struct attack *a, unsigned ms,
                        volatile struct attack_counts *counts, bool is_last)
{
    uint64_t sent = counts->sent, connected = counts->connected, begun = bench_now_ns(&s->b);
    pid_t pid = attack_start(a, ms / 1000 + AFTER_S, counts);
    bool ok = true;

    honest_start(&s->honest);
    (void)bench_sleep(&s->b, s->o->check ? 0 : SETTLE_MS);
    measure(s, ms);
    s->again_per_s = attack_again_per_s(a, counts->sent - sent, counts->connected - connected,
                                        bench_now_ns(&s->b) - begun);
    if (is_last) {
        ok &= note(s, "probes", probes_answer(s));
        count_attack(s, counts);
        if (s->c->after && !s->o->check)
            ok &= note(s, "after", s->c->after(s));
    }
    ok &= note(s, "honest_quiet", honest_stop(&s->honest));
    attack_stop(pid);
    return ok;
}

static bool judge_p99(struct siege *s, struct samples *ratios)
{
    double median = samples_percentile(ratios, 50);

    json_object_set_new(s->line, "bare_p99_ms",
                        json_real(samples_percentile(&s->bare.honest.latencies, 99)));
    json_object_set_new(s->line, "p99_ratio", json_real(median));
    json_object_set_new(s->line, "p99_ratio_max", json_real(samples_percentile(ratios, 100)));
    return note(s, "p99", ratios->count == SLICES && median <= P99_RATIO_MAX);
}

/* A turn of the nodes, and one of the bare server under as much; adds the ratio of the two. */
static bool slice(struct siege *s, const struct attack *a, unsigned ms,
                  volatile struct attack_counts *counts, bool is_last, struct samples *ratios)
{
    struct samples *honest = &s->honest.latencies, *bare = &s->bare.honest.latencies;
    size_t honest_from = honest->count, bare_from = bare->count;
    struct attack same = *a;
    bool ok = nodes_slice(s, a, ms, counts, is_last);
    double p99;

    same.again_per_s = s->again_per_s;
    ok &= bare_load_attack(&s->bare, &same, s->c->rpc, SETTLE_MS, ms / 2);
    p99 = samples_percentile_from(bare, bare_from, 99);
    if (p99 > 0)
        samples_add(ratios, samples_percentile_from(honest, honest_from, 99) / p99);
    return ok;
}

static bool attacked(struct siege *s, const struct attack *a)
{
    volatile struct attack_counts *counts = attack_counts_new();
    unsigned ms = s->o->check ? CHECK_MS : s->o->seconds * 1000;
    bool alone = s->o->check || s->c->is_slow, ok = true;
    struct samples ratios;

    samples_init(&ratios, s->b.mem);
    if (alone)
        ok &= nodes_slice(s, a, ms, counts, true);
    else
        bare_load_init(&s->bare, &s->b, s->o->dir);
    for (unsigned i = 0; !alone && i < SLICES && !s->b.interrupted; i++)
        ok &= slice(s, a, ms / SLICES, counts, i == SLICES - 1, &ratios);
    report_honest(s);
    ok &= note(s, "honest_answered", s->honest.ok > 0 && s->honest.failed == 0);
    if (!alone) {
        ok &= judge_p99(s, &ratios);
        bare_load_deinit(&s->bare);
    }
    samples_deinit(&ratios);
    return ok;
}

/* On nodes that run. */
static bool siege_nodes(struct siege *s, struct attack a)
{
    struct totals before = {0};
    struct http_client *clients[BENCH_NODES_MAX];
    bool ok = bench_nodes_ready(&s->nodes);

    aim(s, &a);
    for (size_t i = 0; i < s->nodes.count; i++)
        clients[i] = s->nodes.node[i].client;
    honest_init(&s->honest, &s->b, clients, s->nodes.count,
                s->o->check ? CHECK_HONEST : HONEST_COUNTERS_MAX);
    ok = ok && (!s->c->before || s->c->before(s));
    honest_start(&s->honest);
    ok = ok && bench_sleep(&s->b, s->o->check ? CHECK_WARM_MS : WARM_MS) &&
         note(s, "metrics", take_totals(s, &before));
    ok = note(s, "honest_quiet", honest_stop(&s->honest)) && ok;
    if (ok && strcmp(s->c->name, "slow_6ms") == 0)
        ok = goodput(s, &a, s->o->seconds / 2);
    else if (ok)
        ok = attacked(s, &a);
    if (s->c->after == drains && !s->o->check)
        s->nodes.count--; /* the last one has left */
    ok = judge(s, &before, s->c->after == comes_back) && ok;
    honest_deinit(&s->honest);
    json_object_set_new(s->line, "rss_mb", json_real(s->rss_mb));
    return ok & note(s, "memory", s->rss_mb <= RSS_MAX_MB);
}

/* A whole frame that says nothing that a node knows. */
static void flood_with(struct siege *s, struct attack *a, struct buf *frame)
{
    buf_init(frame, s->b.mem);
    net_frame_make(frame, bytes_of_str("nobody knows what this is"));
    a->flood = frame->data;
    a->flood_len = frame->len;
}

static bool run_case(struct siege *s)
{
    struct attack a = s->c->attack;
    struct buf frame;
    bool ok;

    flood_with(s, &a, &frame);
    s->rss_mb = 0;
    nodes_begin(s);
    ok = bench_nodes_start(&s->nodes) && siege_nodes(s, a);
    s->nodes.count = BENCH_NODES_MAX;
    bench_nodes_deinit(&s->nodes, s->o->keep);
    buf_deinit(&frame);
    return ok;
}

static void print_line(const json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(4));

    (void)puts(text);
    (void)fflush(stdout);
    free(text);
}

/* On one set of nodes, one case after the other. */
static unsigned run_checks(const struct options *o, json_t *missed)
{
    unsigned count = 0;
    struct siege s = {.o = o, .c = &cases[0]};
    bool ok;

    bench_loop_init(&s.b);
    nodes_begin(&s);
    ok = bench_nodes_start(&s.nodes);
    for (size_t i = 0; ok && i < sizeof cases / sizeof cases[0]; i++) {
        struct attack a = cases[i].attack;
        struct buf frame;

        if (cases[i].check_connections == 0)
            continue;
        count++;
        s.c = &cases[i];
        s.line = json_object();
        json_object_set_new(s.line, "case", json_string(cases[i].name));
        flood_with(&s, &a, &frame);
        a.connections = cases[i].check_connections;
        ok = siege_nodes(&s, a);
        buf_deinit(&frame);
        json_object_set_new(s.line, "ok", json_boolean(ok));
        if (!ok)
            json_array_append_new(missed, json_string(cases[i].name));
        print_line(s.line);
        json_decref(s.line);
    }
    bench_nodes_deinit(&s.nodes, o->keep);
    bench_loop_deinit(&s.b);
    return count;
}

static int run(const struct options *o)
{
    json_t *summary = json_object(), *missed = json_array(), *ratios = json_object();
    unsigned count = o->check ? run_checks(o, missed) : 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct siege s = {.o = o, .c = &cases[i]};
        bool ok;

        if (o->check || (o->only && strcmp(o->only, cases[i].name) != 0))
            continue;
        count++;
        s.line = json_object();
        json_object_set_new(s.line, "case", json_string(cases[i].name));
        bench_loop_init(&s.b);
        ok = run_case(&s);
        json_object_set_new(s.line, "ok", json_boolean(ok));
        if (!ok)
            json_array_append_new(missed, json_string(cases[i].name));
        if (json_object_get(s.line, "p99_ratio"))
            json_object_set(ratios, cases[i].name, json_object_get(s.line, "p99_ratio"));
        print_line(s.line);
        json_decref(s.line);
        if (s.b.interrupted)
            exit(1);
        bench_loop_deinit(&s.b);
    }
    json_object_set_new(summary, "bench", json_string("siege"));
    json_object_set_new(summary, "seconds", json_integer(o->check ? 0 : o->seconds));
    json_object_set_new(summary, "cases", json_integer(count));
    json_object_set_new(summary, "p99_ratio", ratios);
    json_object_set(summary, "missed", missed);
    json_object_set_new(summary, "ok", json_boolean(count > 0 && json_array_size(missed) == 0));
    print_line(summary);
    bool ok = json_is_true(json_object_get(summary, "ok"));
    json_decref(missed);
    json_decref(summary);
    return ok ? 0 : 1;
}

static void usage(FILE *to)
{
    (void)fputs("usage: siege [--seconds S] [--case NAME] [--dir DIR] [--keep]\n"
                "       siege --check    a few cases, small and short: counts alone\n"
                "cases:",
                to);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        (void)fprintf(to, " %s", cases[i].name);
    (void)fputc('\n', to);
}

int main(int argc, char **argv)
{
    enum { SECONDS, CASE, DIR_, KEEP, CHECK_, HELP };
    static const struct option table[] = {{"seconds", required_argument, NULL, SECONDS},
                                          {"case", required_argument, NULL, CASE},
                                          {"dir", required_argument, NULL, DIR_},
                                          {"keep", no_argument, NULL, KEEP},
                                          {"check", no_argument, NULL, CHECK_},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    struct options o = {.seconds = 20};
    int found;

    while ((found = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        if (found == SECONDS)
            o.seconds = (unsigned)bench_number("siege", "--seconds", optarg, 2, 600);
        else if (found == CASE)
            o.only = optarg;
        else if (found == DIR_)
            o.dir = optarg;
        else if (found == KEEP)
            o.keep = true;
        else if (found == CHECK_)
            o.check = true;
        else {
            usage(found == HELP ? stdout : stderr);
            return found == HELP ? 0 : 2;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return 2;
    }
    return run(&o);
}
