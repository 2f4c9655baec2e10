#include "bin/kelpie_sim/sim_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "bin/kelpie_sim/sim_again.h"
#include "bin/kelpie_sim/sim_page_file.h"
#include "bin/kelpie_sim/sim_shrink.h"
#include "bin/kelpie_sim/sim_sweep.h"
#include "bin/kelpie_sim/sim_usage.h"
#include "bin/shared/process_begin.h"
#include "sim/steps/sim_turns.h"

_Noreturn void bad_usage(const char *fmt, ...)
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

/* "A..B", or one number. */
static void parse_range(const char *option, const char *text, uint64_t *first, uint64_t *last)
{
    const char *end;

    *first = *last = parse_number(option, text, &end);
    if (strncmp(end, "..", 2) == 0)
        *last = parse_number(option, end + 2, NULL);
    else if (*end)
        bad_usage("%s needs a range such as 1..200, not '%s'", option, text);
}

static void parse_seeds(struct options *o, const char *text)
{
    parse_range("--seeds", text, &o->first_seed, &o->last_seed);
    if (o->last_seed < o->first_seed || o->last_seed - o->first_seed >= SWEEP_SEEDS_MAX)
        bad_usage("--seeds %s: the range is empty or longer than %d", text, SWEEP_SEEDS_MAX);
    o->have_seeds = true;
}

static void parse_events(struct options *o, const char *text)
{
    o->events_from = 1;
    o->events_to = UINT64_MAX;
    if (strcmp(text, "all") == 0)
        return;
    parse_range("--events", text, &o->events_from, &o->events_to);
    if (o->events_from == 0 || o->events_to < o->events_from)
        bad_usage("--events %s: the range is empty (the first event is 1)", text);
}

static double parse_minutes(const char *text)
{
    char *end;
    double minutes = strtod(text, &end);

    if (*text < '0' || *text > '9' || *end || !(minutes > 0 && minutes <= SWEEP_MINUTES_MAX))
        bad_usage("--minutes must be more than 0 and at most %d, not '%s'", SWEEP_MINUTES_MAX,
                  text);
    return minutes;
}

static enum log_level parse_level(const char *text)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], text) == 0)
            return (enum log_level)i;
    bad_usage("--log needs debug, info, warn or error, not '%s'", text);
}

void parse_mutant(const char *name)
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
    char quoted[OVERRIDES_MAX];

    if (!shell_quote(value, quoted, sizeof quoted))
        bad_usage("--%s: the value is too long", name);
    int n = snprintf(o->overrides + len, sizeof o->overrides - len, " --%s %s", name, quoted);
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
    OPT_SET,
    OPT_MUTANT,
    OPT_LOG,
    OPT_TRACE,
    OPT_TRACE_TLA,
    OPT_TURNS_TLA,
    OPT_TURNS_OF,
    OPT_REPORT,
    OPT_JOBS,
    OPT_OUT,
    OPT_SECONDS,
    OPT_FIRST,
    OPT_MINUTES,
    OPT_TWICE,
    OPT_REQUIRE_COVERAGE,
    OPT_EVENTS,
    OPT_WITH,
    OPT_WORKER,
    OPT_WORKLOAD,
    OPT_WORKER_LIMIT,
    OPT_HELP
};

/* Options that several commands have. */
#define NEEDS(name, option)                                                                        \
    {                                                                                              \
        name, required_argument, NULL, option                                                      \
    }
#define IS(name, option)                                                                           \
    {                                                                                              \
        name, no_argument, NULL, option                                                            \
    }
#define CODE                                                                                       \
    NEEDS("worker", OPT_WORKER), NEEDS("workload", OPT_WORKLOAD),                                  \
        NEEDS("worker-limit", OPT_WORKER_LIMIT)
#define OVERRIDES                                                                                  \
    NEEDS("nodes", OPT_NODES), NEEDS("actors", OPT_ACTORS), NEEDS("duration", OPT_DURATION),       \
        NEEDS("faults", OPT_FAULTS), NEEDS("set", OPT_SET), NEEDS("mutant", OPT_MUTANT), CODE
#define OUTPUTS                                                                                    \
    NEEDS("log", OPT_LOG), NEEDS("events", OPT_EVENTS), NEEDS("trace", OPT_TRACE),                 \
        NEEDS("trace-tla", OPT_TRACE_TLA), NEEDS("turns-tla", OPT_TURNS_TLA),                      \
        NEEDS("turns-of", OPT_TURNS_OF), NEEDS("report", OPT_REPORT)
#define OPTIONS_END IS("help", OPT_HELP), IS(NULL, 0)

static const struct option run_options[] = {
    NEEDS("seed", OPT_SEED),
    OVERRIDES,
    OUTPUTS,
    OPTIONS_END,
};

static const struct option compare_options[] = {
    NEEDS("seed", OPT_SEED),
    NEEDS("seeds", OPT_SEEDS),
    NEEDS("with", OPT_WITH),
    OVERRIDES,
    OPTIONS_END,
};

static const struct option sweep_options[] = {
    NEEDS("seeds", OPT_SEEDS),
    NEEDS("minutes", OPT_MINUTES),
    NEEDS("jobs", OPT_JOBS),
    IS("first", OPT_FIRST),
    NEEDS("twice", OPT_TWICE),
    IS("require-coverage", OPT_REQUIRE_COVERAGE),
    OVERRIDES,
    OPTIONS_END,
};

static const struct option shrink_options[] = {
    NEEDS("seed", OPT_SEED),       OVERRIDES,   NEEDS("out", OPT_OUT),
    NEEDS("seconds", OPT_SECONDS), OPTIONS_END,
};

static const struct option replay_options[] = {
    OUTPUTS,
    NEEDS("actors", OPT_ACTORS),
    CODE,
    OPTIONS_END,
};

static const struct {
    const char *name;
    const struct option *options;
    const char *usage;
} commands[COMMAND_COUNT] = {
    [RUN] = {"run", run_options, usage_run},
    [SWEEP] = {"sweep", sweep_options, usage_sweep},
    [SHRINK] = {"shrink", shrink_options, usage_shrink},
    [REPLAY] = {"replay", replay_options, usage_replay},
    [COMPARE] = {"compare", compare_options, usage_compare},
};

/* How many counters; or a file of classes. */
static void take_actors(struct options *o, const char *value)
{
    if (*value == '-' || value[strspn(value, "0123456789")] == '\0')
        o->actors = parse_small("--actors", value, SIM_ACTORS_MAX);
    else
        o->code.actors = value;
}

static void take_value(struct options *o, int option, const char *value)
{
    switch (option) {
    case OPT_NODES:
        o->nodes = parse_small("--nodes", value, SIM_NODES_MAX);
        keep_override(o, "nodes", value);
        break;
    case OPT_ACTORS:
        take_actors(o, value);
        keep_override(o, "actors", value);
        break;
    case OPT_WORKER:
        o->code.worker = value;
        keep_override(o, "worker", value);
        break;
    case OPT_WORKLOAD:
        o->code.workload = value;
        keep_override(o, "workload", value);
        break;
    case OPT_WORKER_LIMIT:
        o->code.limit_s = (unsigned)parse_small("--worker-limit", value, WORKER_LIMIT_S_MAX);
        if (o->code.limit_s == 0)
            bad_usage("--worker-limit must be at least 1");
        keep_override(o, "worker-limit", value);
        break;
    case OPT_DURATION:
        o->duration_ms = parse_duration(value);
        keep_override(o, "duration", value);
        break;
    case OPT_FAULTS:
        o->faults = value;
        keep_override(o, "faults", value);
        break;
    case OPT_SET:
        if (o->set_count == SETS_MAX)
            bad_usage("--set: at most %d of them", SETS_MAX);
        if (!strchr(value, '='))
            bad_usage("--set needs NAME=VALUE, not '%s'", value);
        o->sets[o->set_count++] = value;
        keep_override(o, "set", value);
        break;
    default:
        parse_mutant(value);
        o->mutant = value;
        keep_override(o, "mutant", value);
    }
}

/* Found before the run, not after it. */
static const char *writable(const char *option, const char *path)
{
    if (file_can_be_written(path))
        bad_usage("%s: cannot write '%s': %s", option, path, strerror(errno));
    return path;
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
    case OPT_OUT:
        o->out = value;
        break;
    case OPT_SECONDS:
        o->seconds = (unsigned)parse_small("--seconds", value, SHRINK_SECONDS_MAX);
        break;
    case OPT_FIRST:
        o->first = true;
        break;
    case OPT_MINUTES:
        o->minutes = parse_minutes(value);
        break;
    case OPT_TWICE:
        o->twice_percent = (unsigned)parse_small("--twice", value, 100);
        break;
    case OPT_REQUIRE_COVERAGE:
        o->require_coverage = true;
        break;
    case OPT_EVENTS:
        parse_events(o, value);
        break;
    case OPT_WITH:
        o->with = value;
        if (access(value, X_OK))
            bad_usage("--with: cannot run '%s': %s", value, strerror(errno));
        break;
    case OPT_LOG:
        o->log = true;
        o->level = parse_level(value);
        break;
    case OPT_REPORT:
        o->report = writable("--report", value);
        break;
    case OPT_TRACE:
        o->trace = writable("--trace", value);
        break;
    case OPT_TRACE_TLA:
        o->trace_tla = writable("--trace-tla", value);
        break;
    case OPT_TURNS_TLA:
        o->turns_tla = writable("--turns-tla", value);
        break;
    case OPT_TURNS_OF:
        o->turns_of = value;
        if (!turns_can_follow(value))
            bad_usage("--turns-of: '%s' is no TYPE/ID", value);
        break;
    case 'w':
        parse_format(o, value);
        break;
    case OPT_HELP:
        fputs(commands[o->command].usage, stdout);
        if (o->command != REPLAY)
            fputs(usage_common, stdout);
        exit(process_end("kelpie-sim", 0));
    default:
        take_value(o, option, value);
    }
}

static void parse_rest(struct options *o, int argc, char **argv)
{
    const char *command = commands[o->command].name, *seed = getenv("DST_SEED");
    bool needs_seed = o->command == RUN || o->command == SHRINK;

    if (o->command == REPLAY && optind < argc)
        o->file = argv[optind++];
    if (optind < argc)
        bad_usage("%s takes no '%s' (see kelpie-sim %s --help)", command, argv[optind], command);
    if (needs_seed && !o->have_seed && seed) {
        o->seed = parse_number("DST_SEED", seed, NULL);
        o->have_seed = true;
    }
    if (needs_seed && !o->have_seed)
        bad_usage("%s needs --seed N, or DST_SEED in the environment", command);
    if (o->command == REPLAY && !o->file)
        bad_usage("replay needs a FILE");
    if (o->command == SWEEP && !o->have_seeds && !(o->minutes > 0))
        bad_usage("sweep needs --seeds A..B, or --minutes N");
    if (o->command == COMPARE && o->have_seed == o->have_seeds)
        bad_usage("compare needs --seed N, or --seeds A..B");
    if (o->command == SWEEP && o->jobs == 0)
        bad_usage("--jobs must be at least 1");
    if (o->command == SHRINK && o->seconds == 0)
        bad_usage("--seconds must be at least 1");
}

void parse_options(struct options *o, int argc, char **argv)
{
    const char *command = commands[o->command].name;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":w:", commands[o->command].options, NULL)) != -1) {
        const char *at = argv[optind - 1];
        if (option == ':')
            bad_usage("option '%s' needs a value", at);
        if (option == '?')
            bad_usage("%s has no option '%s' (see kelpie-sim %s --help)", command, at, command);
        take_option(o, option, optarg);
    }
    parse_rest(o, argc, argv);
}

enum command command_find(const char *name)
{
    unsigned c = 0;

    while (c < COMMAND_COUNT && strcmp(name, commands[c].name) != 0)
        c++;
    return (enum command)c;
}
