/*
 * Calls a second and their latency, beside a bare TCP echo on the same event loop in the same run;
 * and the memory of an active actor that idles.
 *
 *   call [--seconds S] [--actors N] [--dir DIR] …
 *
 * Three nodes, and a client over HTTP on connections that it keeps, with 1, 10 and 100 calls in
 * flight, each to an actor of its own:
 *   echo_local     class echo, asked at the node that hosts the actor
 *   echo_remote    class echo, asked at a node that does not
 *   counter_local  class counter, `add`: each answer is durable
 *   counter_hot    the same, all to one actor, with up to 400 in flight: what comes while it commits is
 *                  committed together
 *
 * One JSON line per case: `ratio` is its calls a second over those of the TCP echo with as many in
 * flight; `client_cpu_us` and `node_cpu_us` are the processor time of a call in the client and in
 * the three nodes together. A durable answer waits for the disk: `disk_sync` is what that gives.
 * Targets, with 100 in flight: echo_local at least ECHO_LOCAL_MIN of the TCP echo, echo_remote at least
 * ECHO_REMOTE_MIN; counter_hot at least HOT_MIN of counter_local over as many actors in the same run, with at most
 * HOT_COMMITS_MAX commits for each answer. The last line says whether they were met: "ok". --check: each case for a moment, and of
 * these the counts alone.
 *
 * The memory is measured in a node of its own: RSS after activating N actors, less before, over N.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/bench_nodes.h"
#include "lib/echo_conns.h"
#include "tcp_echo.h"

#define IN_FLIGHT_MAX 100
#define HOT_IN_FLIGHT_MAX 400
#define HOT_MIN 1.0
#define HOT_COMMITS_MAX 0.1
#define ECHO_LOCAL_MIN 0.6
#define ECHO_REMOTE_MIN 0.4
#define CHECK_MS 200
#define CHECK_IN_FLIGHT 10
#define SPREAD 400      /* actors of each class, so that each node hosts IN_FLIGHT_MAX */
#define MESSAGE_LEN 128 /* of the TCP echo: about a request */
#define BODY "0123456789abcdef"
#define WARM_MS 300
#define ANSWER_MS 10000
#define MEMORY_FIRST 1000 /* actors before the measuring */
#define MEMORY_IN_FLIGHT 64

struct options {
    bool check;
    double echo_ratio[2];          /* local, remote: with IN_FLIGHT_MAX in flight */
    double hot_ratio, hot_commits; /* likewise, of counter_hot */
    unsigned seconds;
    unsigned actors;
    const char *dir;
    const char *program;
};

static const unsigned in_flights[] = {1, 10, IN_FLIGHT_MAX};
static const unsigned hot_in_flights[] = {1, 10, IN_FLIGHT_MAX, HOT_IN_FLIGHT_MAX};

static const struct bench_case {
    const char *name;
    const char *type;
    const char *method;
    size_t host;
} cases[] = {
    {"echo_local", "echo", "echo", 0},
    {"echo_remote", "echo", "echo", 1},
    {"counter_local", "counter", "add", 0},
};

static const struct bench_case hot = {"counter_hot", "counter", "add", 0};

struct calls;

struct flight {
    struct calls *calls;
    char path[128];
    uint64_t sent_ns;
};

/* Calls that follow one another, to fixed actors or to ever new ones. */
struct calls {
    struct bench_loop *b;
    struct http_client *client;
    struct flight flights[HOT_IN_FLIGHT_MAX];
    size_t busy;
    struct bytes body;
    bool is_running;
    bool is_measured;
    struct samples latencies;  /* us */
    uint64_t answered, errors; /* with 200, measured or not */
    /* Ever new ones: */
    const char *name; /* NULL: fixed */
    const char *type;
    const char *method;
    unsigned next;
    unsigned end;
};

static void send_call(struct flight *f);

static void on_answer(void *arg, const struct http_response *r)
{
    struct flight *f = arg;
    struct calls *c = f->calls;

    c->busy--;
    c->answered += r->error == 0 && r->status == 200;
    if (r->error || r->status != 200) {
        if (c->errors++ == 0)
            (void)fprintf(stderr, "call: %s: error %d, status %d: %.*s\n", f->path, r->error,
                          r->status, (int)(r->body.len < 100 ? r->body.len : 100),
                          (const char *)r->body.data);
    } else if (c->is_measured) {
        samples_add(&c->latencies, (double)(bench_now_ns(c->b) - f->sent_ns) / 1e3);
    }
    if (c->is_running && c->errors < IN_FLIGHT_MAX)
        send_call(f);
}

static void send_call(struct flight *f)
{
    struct calls *c = f->calls;

    if (c->name) {
        if (c->next == c->end)
            return;
        (void)snprintf(f->path, sizeof f->path, "/v1/actors/%s/%s-%u/%s", c->type, c->name,
                       c->next++, c->method);
    }
    c->busy++;
    f->sent_ns = bench_now_ns(c->b);
    http_client_send(c->client, "POST", f->path, NULL, c->body, ANSWER_MS, on_answer, f);
}

static bool is_quiet(void *arg)
{
    return ((const struct calls *)arg)->busy == 0;
}

static struct bytes body_of(const char *type)
{
    return bytes_of_str(strcmp(type, "echo") == 0 ? BODY : "1");
}

/* One call to each of the actors name-0, name-1, … */
static bool activate(struct calls *c, struct bench_node *node, const char *type, const char *method,
                     const char *name, unsigned from, unsigned to)
{
    c->client = node->client;
    c->type = type;
    c->method = method;
    c->name = name;
    c->next = from;
    c->end = to;
    c->body = body_of(type);
    c->is_running = true;
    c->is_measured = false;
    c->errors = 0;
    for (size_t i = 0; i < MEMORY_IN_FLIGHT; i++)
        send_call(&c->flights[i]);
    return bench_wait(c->b, is_quiet, c, 600000) && c->errors == 0;
}

static void calls_init(struct calls *c, struct bench_loop *b)
{
    memset(c, 0, sizeof *c);
    c->b = b;
    samples_init(&c->latencies, b->mem);
    for (size_t i = 0; i < HOT_IN_FLIGHT_MAX; i++)
        c->flights[i].calls = c;
}

/* ---- processor time ---- */

static double seconds_of(pid_t pid)
{
    struct timespec ts = {0};
    clockid_t id;

    if (clock_getcpuclockid(pid, &id) || clock_gettime(id, &ts))
        return 0;
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double nodes_seconds(const struct bench_nodes *n)
{
    double sum = 0;

    for (size_t i = 0; i < n->count; i++)
        sum += seconds_of(n->node[i].process);
    return sum;
}

/* ---- calls a second ---- */

/* Fills the flights with actors that the case's host runs. */
static bool pick_actors(struct calls *c, struct bench_nodes *n, const struct bench_case *what)
{
    char path[256];
    json_t *answer;
    const json_t *actor;
    size_t i;

    (void)snprintf(path, sizeof path, "/v1/actors?node=%s&type=%s&limit=1000",
                   n->node[what->host].id, what->type);
    answer = bench_get(n->b, n->node[0].client, path);
    json_array_foreach(json_object_get(answer, "actors"), i, actor)
    {
        if (i < IN_FLIGHT_MAX)
            (void)snprintf(c->flights[i].path, sizeof c->flights[i].path, "/v1/actors/%s/%s/%s",
                           what->type, json_string_value(json_object_get(actor, "id")),
                           what->method);
    }
    i = json_array_size(json_object_get(answer, "actors"));
    json_decref(answer);
    if (i < IN_FLIGHT_MAX)
        (void)fprintf(stderr, "call: %s hosts only %zu actors of type %s\n", n->node[what->host].id,
                      i, what->type);
    return i >= IN_FLIGHT_MAX;
}

static bool print_line(json_t *json)
{
    (void)json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)printf("\n");
    (void)fflush(stdout);
    json_decref(json);
    return true;
}

static bool run_case(struct calls *c, struct bench_nodes *n, const struct bench_case *what,
                     unsigned in_flight, double baseline, unsigned ms, double *ratio)
{
    double self, nodes, took, rate, calls;
    uint64_t begun;

    c->client = n->node[0].client;
    c->name = NULL;
    c->body = body_of(what->type);
    c->is_running = true;
    c->is_measured = false;
    c->errors = 0;
    samples_deinit(&c->latencies);
    for (size_t i = 0; i < in_flight; i++)
        send_call(&c->flights[i]);
    if (!bench_sleep(n->b, WARM_MS))
        return false;
    c->is_measured = true;
    begun = bench_now_ns(n->b);
    self = seconds_of(getpid());
    nodes = nodes_seconds(n);
    if (!bench_sleep(n->b, ms))
        return false;
    took = (double)(bench_now_ns(n->b) - begun) / 1e9;
    self = seconds_of(getpid()) - self;
    nodes = nodes_seconds(n) - nodes;
    c->is_measured = c->is_running = false;
    if (!bench_wait(n->b, is_quiet, c, ANSWER_MS))
        return false;
    calls = c->latencies.count ? (double)c->latencies.count : 1;
    rate = calls / took;
    *ratio = rate / baseline;
    return print_line(json_pack("{s:s,s:i,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I}", "case", what->name,
                                "in_flight", (int)in_flight, "calls",
                                (json_int_t)c->latencies.count, "calls_per_s", rate, "p50_us",
                                samples_percentile(&c->latencies, 50), "p95_us",
                                samples_percentile(&c->latencies, 95), "p99_us",
                                samples_percentile(&c->latencies, 99), "ratio", *ratio,
                                "client_cpu_us", self * 1e6 / calls, "node_cpu_us",
                                nodes * 1e6 / calls, "errors", (json_int_t)c->errors)) &&
           c->errors == 0;
}

static bool print_baseline(const char *name, unsigned in_flight, struct samples *us, double took,
                           double *rate)
{
    *rate = (double)us->count / took;
    return print_line(json_pack("{s:s,s:i,s:I,s:f,s:f,s:f,s:f}", "case", name, "in_flight",
                                (int)in_flight, "calls", (json_int_t)us->count, "calls_per_s",
                                *rate, "p50_us", samples_percentile(us, 50), "p95_us",
                                samples_percentile(us, 95), "p99_us", samples_percentile(us, 99)));
}

/* As many connections as calls; and, to compare, one connection for all of them. */
static bool run_echo(struct bench_loop *b, unsigned in_flight, unsigned seconds, double *rate)
{
    struct tcp_echo_result r;
    struct samples us;
    bool ok;

    samples_init(&us, b->mem);
    ok = echo_conns_run(b, in_flight, MESSAGE_LEN, seconds * 1000ull, &us) &&
         print_baseline("tcp_echo", in_flight, &us, seconds, rate);
    samples_deinit(&us);
    if (!ok || in_flight == 1)
        return ok;
    ok = tcp_echo_run(&(struct tcp_echo_options){.in_flight = in_flight,
                                                 .message_len = MESSAGE_LEN,
                                                 .duration_ns = seconds * NS_PER_S},
                      &r);
    return ok && print_line(json_pack("{s:s,s:i,s:I,s:f,s:f,s:f,s:f}", "case",
                                      "tcp_echo_one_connection", "in_flight", (int)in_flight,
                                      "calls", (json_int_t)r.calls, "calls_per_s", r.calls_per_s,
                                      "p50_us", (double)r.p50_ns / 1e3, "p95_us",
                                      (double)r.p95_ns / 1e3, "p99_us", (double)r.p99_ns / 1e3));
}

/* ---- one actor ---- */

/* The commits of all nodes' actors so far. */
static double commits_of(const struct bench_nodes *n)
{
    double sum = 0;

    for (size_t i = 0; i < n->count; i++)
        sum += bench_metric(n->b, n->node[i].client, "kelpie_commits_total");
    return sum;
}

static bool run_hot(struct calls *c, struct bench_nodes *n, unsigned in_flight, double baseline,
                    unsigned ms, double *ratio, double *commits)
{
    double before = commits_of(n);
    bool ok;

    c->answered = 0;
    for (size_t i = 0; i < in_flight; i++)
        (void)snprintf(c->flights[i].path, sizeof c->flights[i].path, "/v1/actors/counter/hot/add");
    ok = run_case(c, n, &hot, in_flight, baseline, ms, ratio);
    *commits = (commits_of(n) - before) / (c->answered ? (double)c->answered : 1);
    return print_line(json_pack("{s:s,s:i,s:I,s:f}", "case", "counter_hot_commits", "in_flight",
                                (int)in_flight, "answers", (json_int_t)c->answered,
                                "commits_per_answer", *commits)) &&
           ok;
}

/* Beside counter_local of the same run: with as many in flight, at most IN_FLIGHT_MAX. */
static bool run_hots(struct calls *c, struct bench_nodes *n, struct options *o, const double *local)
{
    double ratio, commits;
    bool ok = true;

    for (size_t i = 0; ok && i < ARRAY_LEN(hot_in_flights); i++) {
        size_t beside = i < ARRAY_LEN(in_flights) ? i : ARRAY_LEN(in_flights) - 1;
        ok = run_hot(c, n, hot_in_flights[i], local[beside], o->seconds * 1000, &ratio, &commits);
        if (hot_in_flights[i] != IN_FLIGHT_MAX)
            continue;
        o->hot_ratio = ratio;
        o->hot_commits = commits;
    }
    return ok;
}

/* What the disk gives to one writer that waits: a page and fdatasync, again and again. */
static bool run_disk(struct bench_loop *b, const char *dir, unsigned seconds)
{
    char path[BENCH_PATH_MAX + 16], page[4096] = {0};
    uint64_t begun = bench_now_ns(b), now = begun;
    struct samples us;
    double rate;
    bool ok;
    int fd;

    samples_init(&us, b->mem);
    (void)snprintf(path, sizeof path, "%s/disk", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ok = fd >= 0;
    while (ok && now - begun < seconds * NS_PER_S) {
        uint64_t at = bench_now_ns(b);

        page[0]++;
        ok = pwrite(fd, page, sizeof page, (off_t)(us.count % 256) * (off_t)sizeof page) ==
                 (ssize_t)sizeof page &&
             fdatasync(fd) == 0;
        now = bench_now_ns(b);
        samples_add(&us, (double)(now - at) / 1e3);
    }
    if (fd >= 0)
        (void)close(fd);
    if (!ok)
        (void)fprintf(stderr, "call: cannot write %s\n", path);
    ok = ok && print_baseline("disk_sync", 1, &us, (double)(now - begun) / 1e9, &rate);
    samples_deinit(&us);
    return ok;
}

/* Counts alone: every call of every case is answered. */
static bool check_calls(struct options *o, struct bench_loop *b)
{
    struct bench_nodes nodes;
    struct calls *c = MEM_NEW(b->mem, struct calls);
    double ratio;
    bool ok;

    calls_init(c, b);
    bench_nodes_init(&nodes, b, 3, o->dir, o->program);
    ok = bench_nodes_start(&nodes) && bench_nodes_ready(&nodes);
    for (size_t k = 0; ok && k < ARRAY_LEN(cases); k++) {
        for (size_t i = 0; i < CHECK_IN_FLIGHT; i++)
            (void)snprintf(c->flights[i].path, sizeof c->flights[i].path, "/v1/actors/%s/x%zu/%s",
                           cases[k].type, i, cases[k].method);
        ok = run_case(c, &nodes, &cases[k], CHECK_IN_FLIGHT, 1, CHECK_MS, &ratio) && ratio > 0;
    }
    ok = ok && run_hot(c, &nodes, IN_FLIGHT_MAX, 1, CHECK_MS, &ratio, &o->hot_commits) &&
         o->hot_commits > 0 && o->hot_commits <= HOT_COMMITS_MAX;
    c->is_running = false;
    bench_nodes_deinit(&nodes, !ok && !b->interrupted);
    samples_deinit(&c->latencies);
    mem_free(b->mem, c);
    return ok;
}

static bool run_calls(struct options *o, struct bench_loop *b)
{
    struct bench_nodes nodes;
    struct calls *c = MEM_NEW(b->mem, struct calls);
    double rates[ARRAY_LEN(in_flights)], local[ARRAY_LEN(in_flights)] = {0}, ratio = 0;
    bool ok;

    calls_init(c, b);
    bench_nodes_init(&nodes, b, 3, o->dir, o->program);
    ok = bench_nodes_start(&nodes) && bench_nodes_ready(&nodes) &&
         activate(c, &nodes.node[0], "echo", "echo", "e", 0, SPREAD) &&
         activate(c, &nodes.node[0], "counter", "add", "c", 0, SPREAD);
    for (size_t i = 0; ok && i < ARRAY_LEN(in_flights); i++)
        ok = run_echo(b, in_flights[i], o->seconds, &rates[i]);
    ok = ok && run_disk(b, nodes.dir, o->seconds);
    for (size_t k = 0; ok && k < ARRAY_LEN(cases); k++) {
        ok = pick_actors(c, &nodes, &cases[k]);
        for (size_t i = 0; ok && i < ARRAY_LEN(in_flights); i++) {
            ok = run_case(c, &nodes, &cases[k], in_flights[i], rates[i], o->seconds * 1000, &ratio);
            local[i] = ratio * rates[i]; /* of the last case: counter_local */
        }
        if (ok && k < ARRAY_LEN(o->echo_ratio))
            o->echo_ratio[k] = ratio; /* of the last, with IN_FLIGHT_MAX */
    }
    ok = ok && run_hots(c, &nodes, o, local);
    c->is_running = false;
    bench_nodes_deinit(&nodes, !ok && !b->interrupted);
    samples_deinit(&c->latencies);
    mem_free(b->mem, c);
    return ok;
}

/* ---- memory ---- */

static double rss_of(pid_t pid)
{
    char path[64];
    unsigned long total, resident = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%lu %lu", &total, &resident) != 2)
            resident = 0;
        (void)fclose(f);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static bool measure_class(struct calls *c, struct bench_node *node, const char *type,
                          const char *method, unsigned actors)
{
    char name[32];
    double before;

    /* The first ones fill what is made once: code, buffers, connections. */
    (void)snprintf(name, sizeof name, "idle");
    if (!activate(c, node, type, method, name, 0, MEMORY_FIRST) || !bench_sleep(c->b, 500))
        return false;
    before = rss_of(node->process);
    if (!activate(c, node, type, method, name, MEMORY_FIRST, MEMORY_FIRST + actors) ||
        !bench_sleep(c->b, 1000))
        return false;
    (void)snprintf(name, sizeof name, "memory_%s", type);
    return print_line(json_pack("{s:s,s:I,s:f,s:f,s:f}", "case", name, "actors", (json_int_t)actors,
                                "rss_before_mib", before / 1048576, "rss_after_mib",
                                rss_of(node->process) / 1048576, "bytes_per_actor",
                                (rss_of(node->process) - before) / actors));
}

static bool run_memory(const struct options *o, struct bench_loop *b)
{
    static const char *const further[] = {"--idle-ms", "3600000", NULL};
    struct bench_nodes nodes;
    struct calls *c = MEM_NEW(b->mem, struct calls);
    bool ok;

    calls_init(c, b);
    bench_nodes_init(&nodes, b, 1, o->dir, o->program);
    nodes.options = further;
    ok = bench_nodes_start(&nodes) && bench_nodes_ready(&nodes) &&
         measure_class(c, &nodes.node[0], "echo", "echo", o->actors) &&
         measure_class(c, &nodes.node[0], "counter", "add", o->actors);
    c->is_running = false;
    bench_nodes_deinit(&nodes, !ok && !b->interrupted);
    samples_deinit(&c->latencies);
    mem_free(b->mem, c);
    return ok;
}

/* ---- options ---- */

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: call [OPTION]...\n"
                  "\n"
                  "  --seconds N     each case (default 3)\n"
                  "  --actors N      of which the memory is measured (default 20000)\n"
                  "  --dir DIR       where the nodes keep their data (default $TMPDIR, else "
                  "/tmp)\n"
                  "  --kelpied FILE  the program (default: the one of this build)\n"
                  "  --check         each case for a moment: counts alone\n"
                  "  --help\n"
                  "\n"
                  "Prints one JSON line per case, and one last with \"ok\"; exit status 1 when a "
                  "call failed or a target was missed.\n");
}

static void read_options(struct options *o, int argc, char **argv)
{
    enum { SECONDS = 1, ACTORS, DIR_, PROGRAM, CHECK_, HELP };
    static const struct option table[] = {{"seconds", 1, NULL, SECONDS},
                                          {"actors", 1, NULL, ACTORS},
                                          {"dir", 1, NULL, DIR_},
                                          {"kelpied", 1, NULL, PROGRAM},
                                          {"check", 0, NULL, CHECK_},
                                          {"help", 0, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int found;

    *o = (struct options){.seconds = 3, .actors = 20000};
    opterr = 0;
    while ((found = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (found) {
        case SECONDS:
            o->seconds = (unsigned)bench_number("call", "--seconds", optarg, 1, 600);
            break;
        case ACTORS:
            o->actors = (unsigned)bench_number("call", "--actors", optarg, 100, 48000);
            break;
        case DIR_:
            o->dir = optarg;
            break;
        case PROGRAM:
            o->program = optarg;
            break;
        case CHECK_:
            o->check = true;
            break;
        case HELP:
            usage(stdout);
            exit(0);
        default:
            (void)fprintf(stderr,
                          "call: unknown option, or one without its value: '%s'; see call --help\n",
                          argv[optind - 1]);
            exit(2);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "call: unexpected argument '%s'; see call --help\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct bench_loop loop;
    bool ok;

    read_options(&options, argc, argv);
    bench_loop_init(&loop);
    if (options.check) {
        ok = check_calls(&options, &loop);
        (void)print_line(json_pack("{s:s,s:b,s:b}", "bench", "call", "check", 1, "ok", ok));
    } else {
        ok = run_calls(&options, &loop) && run_memory(&options, &loop) &&
             options.echo_ratio[0] >= ECHO_LOCAL_MIN && options.echo_ratio[1] >= ECHO_REMOTE_MIN &&
             options.hot_ratio >= HOT_MIN && options.hot_commits <= HOT_COMMITS_MAX;
        (void)print_line(json_pack("{s:s,s:f,s:f,s:f,s:f,s:b}", "bench", "call", "echo_local_ratio",
                                   options.echo_ratio[0], "echo_remote_ratio",
                                   options.echo_ratio[1], "hot_ratio", options.hot_ratio,
                                   "hot_commits_per_answer", options.hot_commits, "ok", ok));
    }
    bench_loop_deinit(&loop);
    return ok ? 0 : 1;
}
