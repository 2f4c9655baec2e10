/*
 * What it costs an actor to remember many requests: memory of its activation, and time of the first new request of
 * one that has just begun.
 *
 *   ids [--ids N] [--rounds N] [--dir DIR] [--kelpied FILE] [--check]
 *
 * One node. One actor is asked N times, each time under an id of its own: RSS of the node after, less before, over N,
 * is what one id takes; the target is at most BYTES_MAX. Then, again and again, all actors are passivated, and the
 * next request goes to that actor and to one that remembers nothing, in turns, each without an age: so all that is
 * remembered is looked at. The median of the first is at most RATIO_MAX times that of the second.
 *
 * The last line is one of JSON; the exit status is 1 when a target was missed, or a request was not applied once.
 * --check: few of each, and counts alone.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bench_nodes.h"

#define IDS_DEFAULT 500000u
#define ROUNDS_DEFAULT 40u
#define IDS_CHECK 2000u
#define ROUNDS_CHECK 2u
#define WARM 5000u /* of the actor's; they fill what is made once */
#define IN_FLIGHT 100u
#define BYTES_MAX 32.0
#define RATIO_MAX 2.0
#define ANSWER_MS 10000
#define REFUSED_MAX 100000u
#define PAUSE_MS 50
#define LOAD_MS_MAX (30u * 60 * 1000)

struct options {
    unsigned ids, rounds;
    const char *dir, *program;
    bool check;
};

struct load {
    struct bench_loop *b;
    struct http_client *client;
    unsigned left, busy, resting; /* resting: refused, and asked again after a pause */
    uint64_t answered, refused, errors;
    struct timer pause;
};

static void send_one(struct load *l);

static void on_pause_over(void *arg)
{
    struct load *l = arg;
    unsigned count = l->resting;

    l->resting = 0;
    l->left += count;
    for (unsigned i = 0; i < count; i++)
        send_one(l);
}

/* A node that is too busy to keep its lease, say. */
static bool surely_not_applied(const struct http_response *r)
{
    static const char says[] = "\"retry\":true,\"applied\":\"no\"";

    return !r->error && r->body.len > 0 && memmem(r->body.data, r->body.len, says, sizeof says - 1);
}

static void on_answer(void *arg, const struct http_response *r)
{
    struct load *l = arg;

    l->busy--;
    if (surely_not_applied(r) && l->refused++ < REFUSED_MAX) {
        l->resting++;
        if (!l->pause.armed)
            timer_start(&l->pause, PAUSE_MS * NS_PER_MS);
        return;
    }
    if (r->error || r->status != 200) {
        if (l->errors++ == 0)
            (void)fprintf(stderr, "ids: error %d, status %d: %.*s\n", r->error, r->status,
                          (int)(r->body.len < 200 ? r->body.len : 200), (const char *)r->body.data);
        return;
    }
    l->answered++;
    send_one(l);
}

static void send_one(struct load *l)
{
    if (l->left == 0)
        return;
    l->left--;
    l->busy++;
    http_client_send(l->client, "POST", "/v1/actors/ids/many/add", NULL, bytes_of(NULL, 0),
                     ANSWER_MS, on_answer, l);
}

static bool is_quiet(void *arg)
{
    const struct load *l = arg;

    return l->busy == 0 && l->resting == 0;
}

/* So many requests, each with an id that its node makes. */
static bool ask_many(struct load *l, unsigned count)
{
    l->left = count;
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        send_one(l);
    return bench_wait(l->b, is_quiet, l, LOAD_MS_MAX) && l->errors == 0;
}

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

struct first {
    bool done, ok, refused;
};

static void on_first(void *arg, const struct http_response *r)
{
    struct first *f = arg;

    f->done = true;
    f->ok = r->error == 0 && r->status == 200;
    f->refused = surely_not_applied(r);
}

static bool is_done(void *arg)
{
    return ((const struct first *)arg)->done;
}

/* The time of one request, under an id of its own and without an age. */
static bool ask_first(struct load *l, const char *actor, unsigned round, struct samples *us)
{
    uint64_t begun;
    char path[128], id[64];
    struct first f;

    (void)snprintf(path, sizeof path, "/v1/actors/ids/%s/add", actor);
    (void)snprintf(id, sizeof id, "first-%s-%u", actor, round);
    do {
        f = (struct first){.done = false};
        begun = bench_now_ns(l->b);
        http_client_send(l->client, "POST", path, id, bytes_of(NULL, 0), ANSWER_MS, on_first, &f);
        if (!bench_wait(l->b, is_done, &f, 2 * ANSWER_MS))
            return false;
    } while (f.refused && l->refused++ < REFUSED_MAX && bench_sleep(l->b, PAUSE_MS));
    if (!f.ok)
        return false;
    samples_add(us, (double)(bench_now_ns(l->b) - begun) / 1e3);
    return true;
}

static uint64_t count_of(struct load *l, const char *actor)
{
    char path[128];
    struct bench_answer a;
    uint64_t count;

    (void)snprintf(path, sizeof path, "/v1/actors/ids/%s/get", actor);
    a = bench_request(l->b, l->client, "POST", path, bytes_of(NULL, 0));
    count = json_is_integer(a.json) ? (uint64_t)json_integer_value(a.json) : 0;
    json_decref(a.json);
    return count;
}

struct figures {
    struct samples many, none; /* us */
    double bytes;
    uint64_t asked, applied;
};

static bool measure(const struct options *o, struct bench_nodes *n, struct load *l,
                    struct figures *f)
{
    double before;
    char fresh[32];

    if (!ask_many(l, o->check ? IDS_CHECK : WARM))
        return false;
    before = rss_of(n->node[0].process);
    if (!ask_many(l, o->ids))
        return false;
    f->bytes = (rss_of(n->node[0].process) - before) / o->ids;
    for (unsigned round = 0; round < o->rounds; round++) {
        (void)snprintf(fresh, sizeof fresh, "fresh-%u", round);
        if (!bench_nodes_idle(n) ||
            !ask_first(l, round % 2 ? "many" : fresh, round, round % 2 ? &f->many : &f->none))
            return false;
        if (!ask_first(l, round % 2 ? fresh : "many", round, round % 2 ? &f->none : &f->many))
            return false;
    }
    f->asked = l->answered + o->rounds;
    f->applied = count_of(l, "many");
    return true;
}

static bool run(const struct options *o, struct bench_loop *b, struct figures *f)
{
    static char classes[BENCH_PATH_MAX];
    static const char *const further[] = {"--actors-in-node", classes, NULL};
    struct bench_nodes nodes;
    struct load l = {.b = b};
    char *slash;
    bool ok;

    timer_init(&l.pause, b->timers, "pause", on_pause_over, &l);
    bench_nodes_init(&nodes, b, 1, o->dir, o->program);
    (void)snprintf(classes, sizeof classes, "%.*s", BENCH_PATH_MAX - 32, nodes.program);
    slash = strrchr(classes, '/');
    CHECK(slash);
    (void)snprintf(slash, sizeof classes - (size_t)(slash - classes), "/bench/ids.so");
    nodes.options = further;
    ok = bench_nodes_start(&nodes) && bench_nodes_ready(&nodes);
    l.client = nodes.node[0].client;
    ok = ok && measure(o, &nodes, &l, f);
    timer_stop(&l.pause);
    bench_nodes_deinit(&nodes, !ok && !b->interrupted);
    return ok;
}

/* ---- options ---- */

static void usage(FILE *to)
{
    (void)fprintf(to,
                  "usage: ids [OPTION]...\n"
                  "\n"
                  "  --ids N         requests that the actor remembers (default 500000)\n"
                  "  --rounds N      first requests of each kind (default 40)\n"
                  "  --dir DIR       where the node keeps its data (default $TMPDIR, else /tmp)\n"
                  "  --kelpied FILE  the program (default: the one of this build)\n"
                  "  --check         few of each: counts alone\n"
                  "  --help\n"
                  "\n"
                  "Prints one line of JSON; exit status 1 when a target was missed.\n");
}

static void read_options(struct options *o, int argc, char **argv)
{
    enum { IDS = 1, ROUNDS, DIR_, PROGRAM, CHECK_, HELP };
    static const struct option table[] = {{"ids", 1, NULL, IDS},      {"rounds", 1, NULL, ROUNDS},
                                          {"dir", 1, NULL, DIR_},     {"kelpied", 1, NULL, PROGRAM},
                                          {"check", 0, NULL, CHECK_}, {"help", 0, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
    int found;

    *o = (struct options){.ids = IDS_DEFAULT, .rounds = ROUNDS_DEFAULT};
    opterr = 0;
    while ((found = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (found) {
        case IDS:
            o->ids = (unsigned)bench_number("ids", "--ids", optarg, 100, 515000);
            break;
        case ROUNDS:
            o->rounds = (unsigned)bench_number("ids", "--rounds", optarg, 1, 1000);
            break;
        case DIR_:
            o->dir = optarg;
            break;
        case PROGRAM:
            o->program = optarg;
            break;
        case CHECK_:
            o->check = true;
            o->ids = IDS_CHECK;
            o->rounds = ROUNDS_CHECK;
            break;
        case HELP:
            usage(stdout);
            exit(0);
        default:
            (void)fprintf(stderr,
                          "ids: unknown option, or one without its value: '%s'; see ids --help\n",
                          argv[optind - 1]);
            exit(2);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "ids: unexpected argument '%s'; see ids --help\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options o;
    struct bench_loop loop;
    struct figures f = {.bytes = 0};
    double many, none;
    bool ok;

    read_options(&o, argc, argv);
    bench_loop_init(&loop);
    samples_init(&f.many, loop.mem);
    samples_init(&f.none, loop.mem);
    ok = run(&o, &loop, &f) && f.applied == f.asked;
    many = samples_percentile(&f.many, 50);
    none = samples_percentile(&f.none, 50);
    if (!o.check)
        ok = ok && f.bytes <= BYTES_MAX && many <= RATIO_MAX * none;
    (void)printf("{\"bench\":\"ids\",\"ids\":%u,\"asked\":%" PRIu64 ",\"applied\":%" PRIu64, o.ids,
                 f.asked, f.applied);
    if (o.check)
        (void)printf(",\"check\":true");
    else
        (void)printf(",\"bytes_an_id\":%.1f,\"first_us\":%.0f,\"first_of_none_us\":%.0f,"
                     "\"first_ratio\":%.2f",
                     f.bytes, many, none, none > 0 ? many / none : 0);
    (void)printf(",\"ok\":%s}\n", ok ? "true" : "false");
    samples_deinit(&f.many);
    samples_deinit(&f.none);
    bench_loop_deinit(&loop);
    return ok ? 0 : 1;
}
