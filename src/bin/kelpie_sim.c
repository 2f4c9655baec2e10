/* kelpie-sim: runs the production node in a simulated world, one seed or many. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mutant.h"
#include "bin/sim_page_file.h"
#include "bin/sim_sweep.h"
#include "sim/sim_mem.h"
#include "sim/sim_report.h"
#include "sim/sim_run.h"

#define OVERRIDES_MAX 1024

enum { EXIT_VIOLATION = 1, EXIT_USAGE = 2 };

static const char usage[] =
    "usage: kelpie-sim run --seed N [options]\n"
    "       kelpie-sim sweep --seeds A..B [options]\n"
    "       kelpie-sim faults\n"
    "\n"
    "Runs the very node that kelpied runs on simulated clocks, network and store, with faults, and\n"
    "checks the invariants of the protocol after every event. The same seed gives the same history.\n"
    "`kelpie-sim run --help` and `kelpie-sim sweep --help` list the options.\n";

static const char common_usage[] =
    "  --nodes N        how many nodes (1 to 9; default: drawn from the seed, 3 to 7)\n"
    "  --actors N       how many counters (default: drawn)\n"
    "  --duration TIME  virtual time with faults, such as 90s, 500ms, 5m (default: 60s)\n"
    "  --faults LIST    none, all, or names with commas (default: drawn; `kelpie-sim faults`)\n"
    "  --mutant NAME    switches a planted mistake on (builds with -Dmutants=true only)\n"
    "  -w FORMAT        table or json\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 no violation, 1 a violation, 2 wrong usage.\n";

static const char run_usage[] =
    "usage: kelpie-sim run --seed N [options]\n"
    "\n"
    "One run. Prints the configuration, then what happened, the hash of the history, and each\n"
    "violation with the line that reproduces it.\n"
    "\n"
    "  --seed N         the seed (default: the environment's DST_SEED)\n"
    "  --log LEVEL      prints the nodes' logs with virtual times: debug, info, warn, error\n"
    "  --trace          prints every event\n"
    "  --report FILE    writes a page that shows the run (docs/simulation.md)\n";

static const char sweep_usage[] =
    "usage: kelpie-sim sweep --seeds A..B [options]\n"
    "\n"
    "Many runs. Prints the sums, and for each violation the line that reproduces it.\n"
    "\n"
    "  --seeds A..B     the first and the last seed\n"
    "  --jobs N         runs at the same time (default: 1)\n"
    "  --first          ends at the first violation\n";

struct options {
    bool sweep, json, first, have_seed, have_seeds;
    uint64_t seed, first_seed, last_seed;
    unsigned jobs;
    int nodes, actors; /* -1: drawn */
    uint64_t duration_ms;
    const char *faults;
    const char *mutant;
    const char *report;
    bool log, trace;
    enum log_level level;
    char overrides[OVERRIDES_MAX];
};

static _Noreturn void bad_usage(const char *fmt, ...) PRINTF_LIKE(1, 2);
static _Noreturn void bad_usage(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fputs("kelpie-sim: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    exit(EXIT_USAGE);
}

static uint64_t parse_number(const char *option, const char *text, const char **end)
{
    char *stop;

    errno = 0;
    unsigned long long v = strtoull(text, &stop, 10);
    if (*text < '0' || *text > '9' || errno)
        bad_usage("%s needs a number, not '%s'", option, text);
    if (end)
        *end = stop;
    else if (*stop)
        bad_usage("%s needs a number, not '%s'", option, text);
    return v;
}

static int parse_small(const char *option, const char *text, int max)
{
    uint64_t v = parse_number(option, text, NULL);
    if (v > (uint64_t)max)
        bad_usage("%s must be at most %d, not %s", option, max, text);
    return (int)v;
}

static uint64_t parse_duration(const char *text)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *end;
    uint64_t v = parse_number("--duration", text, &end);

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        if (v == 0 || v > SIM_DURATION_MS_MAX / units[i].ms)
            bad_usage("--duration must be more than 0 and at most 24h, not '%s'", text);
        return v * units[i].ms;
    }
    bad_usage("--duration needs a time such as 90s, 500ms or 5m, not '%s'", text);
}

static void parse_seeds(struct options *o, const char *text)
{
    const char *end;

    o->first_seed = o->last_seed = parse_number("--seeds", text, &end);
    if (strncmp(end, "..", 2) == 0)
        o->last_seed = parse_number("--seeds", end + 2, NULL);
    else if (*end)
        bad_usage("--seeds needs a range such as 1..200, not '%s'", text);
    if (o->last_seed < o->first_seed || o->last_seed - o->first_seed >= SWEEP_SEEDS_MAX)
        bad_usage("--seeds %s: the range is empty or longer than %d", text, SWEEP_SEEDS_MAX);
    o->have_seeds = true;
}

static enum log_level parse_level(const char *text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], text) == 0)
            return (enum log_level)i;
    bad_usage("--log needs debug, info, warn or error, not '%s'", text);
}

static void parse_mutant(const char *name)
{
#ifdef KELPIE_MUTANTS
    if (!mutant_select(name))
        bad_usage("there is no mutant named '%s'", name);
#else
    bad_usage("--mutant %s: this build has no mutants (scripts/build --mutants)", name);
#endif
}

static void parse_format(struct options *o, const char *text)
{
    o->json = strcmp(text, "json") == 0;
    if (!o->json && strcmp(text, "table") != 0)
        bad_usage("-w needs table or json, not '%s'", text);
}

/* What is repeated in the line that reproduces a run. */
static void keep_override(struct options *o, const char *name, const char *value)
{
    size_t len = strlen(o->overrides);
    int n = snprintf(o->overrides + len, sizeof o->overrides - len, " --%s %s", name, value);
    if (n < 0 || (size_t)n >= sizeof o->overrides - len)
        bad_usage("--%s: the value is too long", name);
}

enum {
    OPT_SEED = 256,
    OPT_SEEDS,
    OPT_NODES,
    OPT_ACTORS,
    OPT_DURATION,
    OPT_FAULTS,
    OPT_MUTANT,
    OPT_LOG,
    OPT_TRACE,
    OPT_REPORT,
    OPT_JOBS,
    OPT_FIRST,
    OPT_HELP
};

static const struct option run_options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"nodes", required_argument, NULL, OPT_NODES},
    {"actors", required_argument, NULL, OPT_ACTORS},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"mutant", required_argument, NULL, OPT_MUTANT},
    {"log", required_argument, NULL, OPT_LOG},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"report", required_argument, NULL, OPT_REPORT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const struct option sweep_options[] = {
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"first", no_argument, NULL, OPT_FIRST},
    {"nodes", required_argument, NULL, OPT_NODES},
    {"actors", required_argument, NULL, OPT_ACTORS},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"mutant", required_argument, NULL, OPT_MUTANT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void take_value(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPT_NODES:
        o->nodes = parse_small("--nodes", value, SIM_NODES_MAX);
        keep_override(o, "nodes", value);
        break;
    case OPT_ACTORS:
        o->actors = parse_small("--actors", value, SIM_ACTORS_MAX);
        keep_override(o, "actors", value);
        break;
    case OPT_DURATION:
        o->duration_ms = parse_duration(value);
        keep_override(o, "duration", value);
        break;
    case OPT_FAULTS:
        o->faults = value;
        keep_override(o, "faults", value);
        break;
    default:
        parse_mutant(value);
        o->mutant = value;
        keep_override(o, "mutant", value);
    }
}

static void take_option(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPT_SEED:
        o->seed = parse_number("--seed", value, NULL);
        o->have_seed = true;
        break;
    case OPT_SEEDS:
        parse_seeds(o, value);
        break;
    case OPT_JOBS:
        o->jobs = (unsigned)parse_small("--jobs", value, SWEEP_JOBS_MAX);
        break;
    case OPT_FIRST:
        o->first = true;
        break;
    case OPT_LOG:
        o->log = true;
        o->level = parse_level(value);
        break;
    case OPT_REPORT:
        o->report = value;
        if (file_can_be_written(value))
            bad_usage("--report: cannot write '%s': %s", value, strerror(errno));
        break;
    case OPT_TRACE:
        o->trace = true;
        break;
    case 'w':
        parse_format(o, value);
        break;
    case OPT_HELP:
        fputs(o->sweep ? sweep_usage : run_usage, stdout);
        fputs(common_usage, stdout);
        exit(0);
    default:
        take_value(o, option, value);
    }
}

static void parse_options(struct options *o, int argc, char **argv)
{
    const struct option *list = o->sweep ? sweep_options : run_options;
    const char *command = o->sweep ? "sweep" : "run";
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:w:", list, NULL)) != -1) {
        const char *at = argv[optind - 1];
        if (option == ':')
            bad_usage("option '%s' needs a value", at);
        if (option == '?')
            bad_usage("%s has no option '%s' (see kelpie-sim %s --help)", command, at, command);
        take_option(o, option, optarg);
    }
    if (optind < argc)
        bad_usage("%s takes no '%s' (see kelpie-sim %s --help)", command, argv[optind], command);
    const char *seed = getenv("DST_SEED");
    if (!o->sweep && !o->have_seed && seed) {
        o->seed = parse_number("DST_SEED", seed, NULL);
        o->have_seed = true;
    }
    if (!o->sweep && !o->have_seed)
        bad_usage("run needs --seed N, or DST_SEED in the environment");
    if (o->sweep && !o->have_seeds)
        bad_usage("sweep needs --seeds A..B");
    if (o->sweep && o->jobs == 0)
        bad_usage("--jobs must be at least 1");
}

static void say(const char *line)
{
    puts(line);
}

static void override(const struct options *o, struct sim_config *c)
{
    char why[256];

    if (o->nodes >= 0)
        c->nodes = (unsigned)o->nodes;
    if (o->actors >= 0)
        c->actors = (unsigned)o->actors;
    if (o->duration_ms)
        c->duration_ms = o->duration_ms;
    if (o->faults && sim_faults_parse(o->faults, &c->faults, why, sizeof why))
        bad_usage("--faults: %s (see kelpie-sim faults)", why);
    c->say = say;
    c->log = o->log;
    c->log_level = o->level;
    c->trace = o->trace;
    if (sim_config_check(c, why, sizeof why))
        bad_usage("%s", why);
}

static void configure(void *arg, uint64_t seed, struct sim_config *c)
{
    sim_config_draw(c, seed);
    override(arg, c);
}

static void print(const struct buf *text)
{
    if (text->len && fwrite(text->data, 1, text->len, stdout) != text->len)
        bad_usage("cannot write the report");
    if (fflush(stdout))
        bad_usage("cannot write the report");
}

static int do_run(struct options *o, struct mem mem)
{
    struct sim_config config;
    struct sim_result result;
    struct buf text;

    configure(o, o->seed, &config);
    buf_init(&text, mem);
    sim_config_to_text(&config, &text);
    buf_append_u8(&text, '\n');
    if (!o->json)
        print(&text);
    config.record = o->report ? record_new() : NULL;
    sim_run_timed(&config, &result);
    if (o->report && page_save(o->report, config.record, &config, &result, o->overrides, mem))
        bad_usage("--report: cannot write '%s': %s", o->report, strerror(errno));
    record_free(config.record);
    config.record = NULL;
    buf_clear(&text);
    if (o->json)
        report_run_json(&config, &result, o->overrides, &text);
    else
        report_run_text(&config, &result, o->overrides, &text);
    print(&text);
    buf_deinit(&text);
    return result.violation_count ? EXIT_VIOLATION : 0;
}

static int do_sweep(struct options *o, struct mem mem)
{
    struct sweep_options s = {.first = o->first_seed,
                              .last = o->last_seed,
                              .jobs = o->jobs,
                              .stop_at_first = o->first,
                              .configure = configure,
                              .arg = o,
                              .overrides = o->overrides};
    struct sweep_result result;
    struct sim_config first;
    struct buf text;

    /* A wrong override is found before anything starts. */
    configure(o, o->first_seed, &first);
    if (sim_sweep(&s, mem, &result))
        bad_usage("cannot start a process: %s", strerror(errno));
    buf_init(&text, mem);
    if (o->json)
        report_sweep_json(&result, &text);
    else
        report_sweep_text(&result, &text);
    print(&text);
    buf_deinit(&text);
    buf_deinit(&result.failures);
    free(result.failed);
    /* With faults chosen by hand a checker may well have nothing to do. */
    bool idle = result.idle_check && !o->faults && o->nodes < 0 && o->actors < 0;
    return result.failed_count || result.not_checked || idle ? EXIT_VIOLATION : 0;
}

static int list_faults(void)
{
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        printf("%-16s %s\n", sim_fault_name((enum sim_fault)f), sim_fault_text((enum sim_fault)f));
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.jobs = 1, .nodes = -1, .actors = -1};
    struct sim_mem mem;

    if (argc < 2)
        bad_usage("a command is needed: run, sweep or faults (see kelpie-sim --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(argv[1], "faults") == 0)
        return list_faults();
    o.sweep = strcmp(argv[1], "sweep") == 0;
    if (!o.sweep && strcmp(argv[1], "run") != 0)
        bad_usage("there is no command '%s' (see kelpie-sim --help)", argv[1]);
    parse_options(&o, argc - 1, argv + 1);
    sim_mem_init(&mem);
    return o.sweep ? do_sweep(&o, sim_mem_of(&mem)) : do_run(&o, sim_mem_of(&mem));
}
