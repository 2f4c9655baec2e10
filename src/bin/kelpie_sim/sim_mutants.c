#include "bin/kelpie_sim/sim_mutants.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mutant.h"
#include "bin/kelpie_sim/sim_sweep.h"
#include "sim/world/sim_mem.h"

enum { EXIT_SURVIVED = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: kelpie-sim mutants [options]\n"
    "\n"
    "Switches on each planted mistake in turn and runs seeds until a checker finds it. Needs a build\n"
    "with -Dmutants=true (scripts/build --mutants).\n"
    "\n"
    "  --seeds A..B     the first and the last seed to try (default: 1..100000)\n"
    "  --cpu-seconds N  give up on one after so much (default: 120)\n"
    "  --only NAMES     these, with commas (default: all)\n"
    "  --list           only says what there is\n"
    "  -w FORMAT        table or json\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 each one was found, 1 one survived, 2 wrong usage.\n";

#ifdef KELPIE_MUTANTS

#define MUTANTS_MAX 256
#define CHECK_NAME_SIZE 64
#define FIRST_SEED 1
#define LAST_SEED 100000
#define CPU_S 120
#define LATE_PER_1024 500
#define UNKNOWN_PER_1024 300
#define CPU_S_MAX 86400

struct found {
    const struct mutant_info *mutant;
    bool found;
    uint64_t seed, seeds, cpu_us;
    char check[CHECK_NAME_SIZE];
};

struct options {
    uint64_t first, last, cpu_us;
    const char *only;
    bool json, list;
};

struct summary {
    unsigned found, survived, equivalent;
    uint64_t median_us, p95_us;
};

/* Half of the seeds are on the embedded store: some mistakes are in it alone. A quarter has much that
 * lands late, or of which nobody says whether it landed. */
static void configure(void *arg, uint64_t seed, struct sim_config *out)
{
    (void)arg;
    sim_config_draw(out, seed);
    if (seed % 2 == 0)
        out->store = SIM_STORE_EMBEDDED;
    if (seed % 4 == 3) {
        out->late_per_1024 = LATE_PER_1024;
        out->unknown_per_1024 = UNKNOWN_PER_1024;
    }
}

/* Of "seed 7: NoSplitBrain at …": the name. */
static void take_check(struct found *f, const struct buf *failures)
{
    struct bytes text = buf_bytes(failures);
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    size_t n = 0;

    for (const uint8_t *at = colon ? colon + 2 : NULL;
         at && at<text.data + text.len && * at> ' ' && n + 1 < sizeof f->check; at++)
        f->check[n++] = (char)*at;
    f->check[n] = '\0';
}

static int run_seed(uint64_t seed, struct mem mem, struct sweep_result *r)
{
    struct sweep_options s = {
        .first = seed, .last = seed, .jobs = 1, .configure = configure, .overrides = ""};
    return sim_sweep(&s, mem, r);
}

/* Whether the seed breaks something without the mistake too: then it shows nothing of it. */
static int fails_anyway(const struct mutant_info *m, uint64_t seed, struct mem mem, bool *fails)
{
    struct sweep_result r;

    CHECK(mutant_select(NULL));
    int err = run_seed(seed, mem, &r);
    *fails = r.failed_count > 0;
    sweep_result_free(&r);
    CHECK(mutant_select(m->name));
    if (*fails)
        fprintf(stderr, "kelpie-sim: seed %llu breaks without '%s' too; it does not count\n",
                (unsigned long long)seed, m->name);
    return err;
}

static int hunt(const struct options *o, const struct mutant_info *m, struct mem mem,
                struct found *out)
{
    *out = (struct found){.mutant = m};
    CHECK(mutant_select(m->name));
    for (uint64_t seed = o->first; seed <= o->last && out->cpu_us < o->cpu_us; seed++) {
        struct sweep_result r;
        bool anyway = false;
        int err = run_seed(seed, mem, &r);
        out->seeds++;
        out->cpu_us += r.total.cpu_us;
        if (!err && r.failed_count)
            err = fails_anyway(m, seed, mem, &anyway);
        if (r.failed_count && !anyway) {
            out->found = true;
            out->seed = seed;
            take_check(out, &r.failures);
        }
        sweep_result_free(&r);
        if (err || out->found)
            return err;
    }
    return 0;
}

static void print_one(const struct options *o, const struct found *f, bool first)
{
    double cpu_s = (double)f->cpu_us / 1e6;
    const struct mutant_info *m = f->mutant;

    if (o->json)
        printf("%s{\"name\":\"%s\",\"found\":%s,\"equivalent\":%s,\"seed\":%llu,\"seeds\":%llu,"
               "\"cpu_s\":%.2f,\"violated\":\"%s\"}",
               first ? "" : ",\n", m->name, f->found ? "true" : "false",
               m->equivalent ? "true" : "false", (unsigned long long)f->seed,
               (unsigned long long)f->seeds, cpu_s, f->check);
    else
        printf("%-14s %-10s %6llu %8.2f  %s\n", m->name,
               f->found        ? "found"
               : m->equivalent ? "equivalent"
                               : "SURVIVED",
               (unsigned long long)f->seeds, cpu_s, f->found ? f->check : m->mistake);
    (void)fflush(stdout);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Survivors count with what was spent on them; equivalent ones do not count. */
static struct summary sum_up(const struct found *all, size_t count)
{
    struct summary s = {0};
    uint64_t cpu[MUTANTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (!all[i].found && all[i].mutant->equivalent) {
            s.equivalent++;
            continue;
        }
        s.found += all[i].found;
        s.survived += !all[i].found;
        cpu[n++] = all[i].cpu_us;
    }
    if (n == 0)
        return s;
    qsort(cpu, n, sizeof cpu[0], compare_u64);
    s.median_us = cpu[n / 2];
    s.p95_us = cpu[(n * 95 - 1) / 100];
    return s;
}

static void print_summary(const struct options *o, const struct summary *s)
{
    double median_s = (double)s->median_us / 1e6, p95_s = (double)s->p95_us / 1e6;

    if (o->json)
        printf("],\"found\":%u,\"survived\":%u,\"equivalent\":%u,\"median_cpu_s\":%.2f,"
               "\"p95_cpu_s\":%.2f}\n",
               s->found, s->survived, s->equivalent, median_s, p95_s);
    else
        printf("found %u, survived %u, equivalent %u; CPU seconds: median %.2f, p95 %.2f\n",
               s->found, s->survived, s->equivalent, median_s, p95_s);
}

static bool is_wanted(const char *only, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = only; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return !only;
}

static int run(const struct options *o)
{
    static struct found all[MUTANTS_MAX];
    struct sim_mem mem;
    size_t count = 0;

    sim_mem_init(&mem);
    if (o->json)
        printf("{\"mutants\":[");
    else
        printf("%-14s %-10s %6s %8s  %s\n", "mutant", "", "seeds", "cpu_s", "violated");
    for (const struct mutant_info *m = mutant_table; m->name && count < MUTANTS_MAX; m++) {
        if (!is_wanted(o->only, m->name))
            continue;
        if (hunt(o, m, sim_mem_of(&mem), &all[count])) {
            fprintf(stderr, "kelpie-sim: cannot start a process: %s\n", strerror(errno));
            return EXIT_USAGE;
        }
        print_one(o, &all[count], count == 0);
        count++;
    }
    struct summary s = sum_up(all, count);
    print_summary(o, &s);
    return s.survived ? EXIT_SURVIVED : 0;
}

static int list(void)
{
    for (const struct mutant_info *m = mutant_table; m->name; m++)
        printf("%-14s %s\n%-14s breaks: %s%s%s\n", m->name, m->mistake, "", m->breaks,
               m->equivalent ? "; equivalent: " : "", m->equivalent ? m->equivalent : "");
    return 0;
}

/* 0, or a sentence was said. */
static int parse_u64(const char *option, const char *text, char until, uint64_t *out,
                     const char **end)
{
    char *stop;

    errno = 0;
    *out = strtoull(text, &stop, 10);
    if (*text < '0' || *text > '9' || errno || (*stop && *stop != until)) {
        fprintf(stderr, "kelpie-sim: %s: '%s' is no number\n", option, text);
        return EXIT_USAGE;
    }
    *end = stop;
    return 0;
}

static int parse_seeds(struct options *o, const char *text)
{
    const char *end;

    if (parse_u64("--seeds", text, '.', &o->first, &end))
        return EXIT_USAGE;
    o->last = o->first;
    if (strncmp(end, "..", 2) == 0 && parse_u64("--seeds", end + 2, '\0', &o->last, &end))
        return EXIT_USAGE;
    if (*end == '\0' && o->last >= o->first)
        return 0;
    fprintf(stderr, "kelpie-sim: --seeds needs a range such as 1..200, not '%s'\n", text);
    return EXIT_USAGE;
}

/* Each name of the list must be one of the table. */
static int parse_only(struct options *o, const char *text)
{
    for (const char *at = text;; at += strcspn(at, ",") + 1) {
        size_t len = strcspn(at, ",");
        const struct mutant_info *m = mutant_table;
        while (m->name && (strlen(m->name) != len || memcmp(m->name, at, len) != 0))
            m++;
        if (!m->name) {
            fprintf(stderr, "kelpie-sim: there is no mutant named '%.*s'\n", (int)len, at);
            return EXIT_USAGE;
        }
        if (!at[len])
            break;
    }
    o->only = text;
    return 0;
}

static int take_option(struct options *o, int option, const char *value)
{
    const char *end;
    uint64_t s;

    switch (option) {
    case 's':
        return parse_seeds(o, value);
    case 'o':
        return parse_only(o, value);
    case 'l':
        o->list = true;
        return 0;
    case 'c':
        if (parse_u64("--cpu-seconds", value, '\0', &s, &end))
            return EXIT_USAGE;
        if (s < 1 || s > CPU_S_MAX) {
            fprintf(stderr, "kelpie-sim: --cpu-seconds must be 1 to %d\n", CPU_S_MAX);
            return EXIT_USAGE;
        }
        o->cpu_us = s * 1000000;
        return 0;
    default:
        o->json = strcmp(value, "json") == 0;
        if (o->json || strcmp(value, "table") == 0)
            return 0;
        fprintf(stderr, "kelpie-sim: -w needs table or json, not '%s'\n", value);
        return EXIT_USAGE;
    }
}

int sim_mutants_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'}, {"cpu-seconds", required_argument, NULL, 'c'},
        {"only", required_argument, NULL, 'o'},  {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    struct options o = {.first = FIRST_SEED, .last = LAST_SEED, .cpu_us = CPU_S * 1000000ull};
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:w:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == ':' || option == '?') {
            fprintf(stderr, "kelpie-sim: mutants: option '%s' %s\n", argv[optind - 1],
                    option == ':' ? "needs a value" : "does not exist");
            return EXIT_USAGE;
        }
        int err = take_option(&o, option, optarg);
        if (err)
            return err;
    }
    if (optind < argc) {
        fprintf(stderr, "kelpie-sim: mutants takes no '%s'\n", argv[optind]);
        return EXIT_USAGE;
    }
    return o.list ? list() : run(&o);
}

#else

int sim_mutants_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    fputs("kelpie-sim: mutants: this build has no mutants (scripts/build --mutants)\n", stderr);
    return EXIT_USAGE;
}

#endif
