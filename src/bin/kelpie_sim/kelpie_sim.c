/* kelpie-sim: runs the production node in a simulated world, one seed or many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/kelpie_sim/sim_again.h"
#include "bin/kelpie_sim/sim_code.h"
#include "bin/kelpie_sim/sim_compare.h"
#include "bin/kelpie_sim/sim_mutants.h"
#include "bin/kelpie_sim/sim_options.h"
#include "bin/kelpie_sim/sim_page_file.h"
#include "bin/kelpie_sim/sim_shrink.h"
#include "bin/kelpie_sim/sim_sweep.h"
#include "bin/kelpie_sim/sim_sweep_cover.h"
#include "bin/kelpie_sim/sim_usage.h"
#include "bin/shared/process_begin.h"
#include "kelpie/error.h"
#include "sim/report/sim_report.h"
#include "sim/run/sim_case.h"
#include "sim/run/sim_run.h"
#include "sim/steps/sim_steps.h"
#include "sim/steps/sim_turns.h"
#include "sim/world/sim_mem.h"

static void say(const char *line)
{
    puts(line);
}

/* What is said while it runs. */
static void listen(const struct options *o, struct sim_config *c)
{
    c->say = say;
    c->log = o->log;
    c->log_level = o->level;
    c->events_from = o->events_from;
    c->events_to = o->events_to;
}

/* NAME=VALUE, as --set gave it. */
static void set(const char *text, struct sim_config *c)
{
    char name[64], why[256];
    size_t len = strcspn(text, "=");

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1),
                   text);
    if (case_set(c, name, text + len + 1, why, sizeof why))
        bad_usage("--set: %s (see kelpie-sim values)", why);
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
    for (unsigned i = 0; i < o->set_count; i++)
        set(o->sets[i], c);
    listen(o, c);
    if (sim_config_check(c, why, sizeof why))
        bad_usage("%s", why);
}

static void configure(void *arg, uint64_t seed, struct sim_config *c)
{
    const struct options *o = arg;

    sim_config_draw(c, seed);
    c->users_source = o->source;
    if (o->source)
        sim_config_draw_users(c);
    override(o, c);
}

static void print(const struct buf *text)
{
    if (text->len && fwrite(text->data, 1, text->len, stdout) != text->len)
        bad_usage("cannot write the report");
    if (fflush(stdout))
        bad_usage("cannot write the report");
}

static void save(const char *option, const char *path, struct buf *text)
{
    if (text_save(path, buf_bytes(text)))
        bad_usage("%s: cannot write '%s': %s", option, path, strerror(errno));
    buf_deinit(text);
}

static void save_as(const char *option, const char *path, const struct steps *s,
                    void (*to_text)(const struct steps *s, struct buf *out), struct mem mem)
{
    struct buf text;

    if (!path)
        return;
    buf_init(&text, mem);
    to_text(s, &text);
    save(option, path, &text);
}

static void save_turns(const struct options *o, const struct turns *t, struct mem mem)
{
    struct buf text;

    if (!t)
        return;
    if (turns_cut_short(t))
        bad_usage("the run has more than %u steps of turns, too many for a trace (see --duration)",
                  TURN_LINES_MAX);
    buf_init(&text, mem);
    turns_to_tla(t, &text);
    save("--turns-tla", o->turns_tla, &text);
}

static void save_steps(const struct options *o, const struct steps *s, struct mem mem)
{
    if (s && steps_cut_short(s))
        bad_usage("the run has more than %u steps, too many for a trace (see --duration)",
                  STEP_LINES_MAX);
    save_as("--trace", o->trace, s, steps_to_ndjson, mem);
    save_as("--trace-tla", o->trace_tla, s, steps_to_tla, mem);
}

/* Runs it, and says what came of it. */
static int run_one(const struct options *o, struct sim_config *config, const char *reproduce,
                   struct mem mem)
{
    struct sim_result result;
    struct buf text;

    buf_init(&text, mem);
    sim_config_to_text(config, &text);
    buf_append_u8(&text, '\n');
    if (!o->json)
        print(&text);
    config->record = o->report ? record_new() : NULL;
    config->steps = o->trace || o->trace_tla ? steps_new(true) : NULL;
    config->turns = o->turns_tla ? turns_new(o->turns_of) : NULL;
    sim_run_timed(config, &result);
    save_steps(o, config->steps, mem);
    save_turns(o, config->turns, mem);
    if (o->report && page_save(o->report, config->record, config, &result, reproduce, mem))
        bad_usage("--report: cannot write '%s': %s", o->report, strerror(errno));
    record_free(config->record);
    steps_free(config->steps);
    turns_free(config->turns);
    config->record = NULL;
    config->steps = NULL;
    config->turns = NULL;
    buf_clear(&text);
    if (o->json)
        report_run_json(config, &result, reproduce, &text);
    else
        report_run_text(config, &result, reproduce, &text);
    print(&text);
    buf_deinit(&text);
    return result.violation_count ? EXIT_VIOLATION : 0;
}

static int do_run(struct options *o, struct mem mem)
{
    struct sim_config config;
    struct buf line;

    configure(o, o->seed, &config);
    buf_init(&line, mem);
    report_reproduce(o->seed, o->overrides, &line);
    buf_append_u8(&line, 0);
    int status = run_one(o, &config, (const char *)line.data, mem);
    buf_deinit(&line);
    return status;
}

/* Its own, unless the command line names others. */
static void code_of_case(const struct sim_case *c, struct code_options *o)
{
    if (!o->actors && !o->worker && c->actors_file[0])
        o->actors = c->actors_file;
    if (!o->actors && !o->worker && c->worker[0])
        o->worker = c->worker;
    if (!o->workload && c->workload[0])
        o->workload = c->workload;
    if (c->config.users && !o->actors && !o->worker)
        bad_usage(
            "the case has clients of users' actors, and does not say whose: give --actors FILE or --worker");
}

static int do_replay(struct options *o, struct mem mem)
{
    struct sim_case c;
    struct buf line;
    char why[256];

    if (case_load(o->file, &c, why, sizeof why))
        bad_usage("%s: %s", o->file, why);
    if (c.mutant[0])
        parse_mutant(c.mutant);
    code_of_case(&c, &o->code);
    c.config.users_source = o->source = code_open(&o->code);
    listen(o, &c.config);
    buf_init(&line, mem);
    buf_appendf(&line, "kelpie-sim replay %s", o->file);
    buf_append_u8(&line, 0);
    int status = run_one(o, &c.config, (const char *)line.data, mem);
    buf_deinit(&line);
    return status;
}

static void keep_text(char out[CASE_TEXT_MAX], const char *option, const char *value)
{
    if (value && (strlen(value) >= CASE_TEXT_MAX || strchr(value, '\n')))
        bad_usage("%s: a case has room for one line of %d bytes", option, CASE_TEXT_MAX - 1);
    (void)snprintf(out, CASE_TEXT_MAX, "%s", value ? value : "");
}

static void code_to_case(const struct code_options *o, struct sim_case *c)
{
    keep_text(c->actors_file, "--actors", o->actors);
    keep_text(c->worker, "--worker", o->worker);
    keep_text(c->workload, "--workload", o->workload);
}

static int do_shrink(struct options *o, struct mem mem)
{
    struct sim_case c = {.breaks = "nothing"};
    struct shrink_result r;
    struct buf text;
    char own[64];

    (void)snprintf(own, sizeof own, "seed-%llu.case", (unsigned long long)o->seed);
    const char *out = o->out ? o->out : own;
    configure(o, o->seed, &c.config);
    code_to_case(&o->code, &c);
    if (o->mutant)
        (void)snprintf(c.mutant, sizeof c.mutant, "%s", o->mutant);
    if (file_can_be_written(out))
        bad_usage("--out: cannot write '%s': %s", out, strerror(errno));
    c.config.say = NULL;
    int err = sim_shrink(&c, o->seconds, &r);
    if (err == KELPIE_E_NOT_FOUND)
        bad_usage("seed %llu%s breaks nothing: there is nothing to shrink",
                  (unsigned long long)o->seed, o->overrides);
    if (err)
        bad_usage("cannot start a process: %s", strerror(errno));
    buf_init(&text, mem);
    case_to_text(&c, &text);
    if (text_save(out, buf_bytes(&text)))
        bad_usage("--out: cannot write '%s': %s", out, strerror(errno));
    buf_clear(&text);
    report_shrink(&c, &r, out, o->json, &text);
    print(&text);
    buf_deinit(&text);
    return EXIT_VIOLATION;
}

/* With values chosen by hand a checker may well have nothing to do, and a mark not be passed. */
static int sweep_status(const struct options *o, const struct sweep_result *r)
{
    bool as_drawn = !o->overrides[0];
    bool idle = r->idle_check && as_drawn;
    bool covers = o->require_coverage || (as_drawn && r->seeds >= SWEEP_SEEDS_COVER);
    bool missing = covers && cover_missing(r) > 0;

    return r->failed_count || r->not_checked || idle || missing ? EXIT_VIOLATION : 0;
}

static int do_compare(const struct options *o, struct mem mem)
{
    uint64_t first = o->have_seed ? o->seed : o->first_seed;
    uint64_t last = o->have_seed ? o->seed : o->last_seed;
    struct compare_result r;
    char why[512];

    if (sim_compare(first, last, o->with ? o->with : AGAIN_SELF, o->overrides, mem, &r, why,
                    sizeof why))
        bad_usage("%s", why);
    buf_appendf(&r.text, "%llu seeds compared, %llu differ\n", (unsigned long long)r.seeds,
                (unsigned long long)r.differ);
    print(&r.text);
    buf_deinit(&r.text);
    return r.differ ? EXIT_VIOLATION : 0;
}

static int do_sweep(struct options *o, struct mem mem)
{
    struct sweep_options s = {.first = o->first_seed,
                              .last = o->last_seed,
                              .wall_us_max = (uint64_t)(o->minutes * 60e6),
                              .jobs = o->jobs,
                              .twice_percent = o->twice_percent,
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
    result.users = o->source != NULL;
    buf_init(&text, mem);
    if (o->json)
        report_sweep_json(&result, &text);
    else
        report_sweep_text(&result, &text);
    print(&text);
    buf_deinit(&text);
    int status = sweep_status(o, &result);
    sweep_result_free(&result);
    return status;
}

static int list_faults(void)
{
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        printf("%-16s %s\n", sim_fault_name((enum sim_fault)f), sim_fault_text((enum sim_fault)f));
    return 0;
}

static int list_values(struct mem mem)
{
    struct buf text;

    buf_init(&text, mem);
    case_values_to_text(&text);
    print(&text);
    buf_deinit(&text);
    return 0;
}

static int run_command(struct options *o, struct mem mem)
{
    switch (o->command) {
    case SWEEP:
        return do_sweep(o, mem);
    case SHRINK:
        return do_shrink(o, mem);
    case COMPARE:
        return do_compare(o, mem);
    case REPLAY:
        return do_replay(o, mem);
    default:
        return do_run(o, mem);
    }
}

static int sim_main(int argc, char **argv)
{
    struct options o = {.jobs = 1,
                        .seconds = SHRINK_SECONDS_DEFAULT,
                        .twice_percent = SWEEP_TWICE_PERCENT,
                        .first_seed = 1,
                        .last_seed = SWEEP_SEEDS_MAX,
                        .nodes = -1,
                        .actors = -1,
                        .code = {.limit_s = WORKER_LIMIT_S_DEFAULT}};
    struct sim_mem mem;

    if (argc < 2)
        bad_usage(
            "a command is needed: run, sweep, compare, shrink, replay, mutants, faults or values (see kelpie-sim --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(usage_all, stdout);
        return 0;
    }
    if (strcmp(argv[1], "faults") == 0)
        return list_faults();
    if (strcmp(argv[1], "mutants") == 0)
        return sim_mutants_main(argc - 1, argv + 1);
    sim_mem_init(&mem);
    if (strcmp(argv[1], "values") == 0)
        return list_values(sim_mem_of(&mem));
    o.command = command_find(argv[1]);
    if (o.command == COMMAND_COUNT)
        bad_usage("there is no command '%s' (see kelpie-sim --help)", argv[1]);
    parse_options(&o, argc - 1, argv + 1);
    if (o.command != REPLAY)
        o.source = code_open(&o.code);
    return run_command(&o, sim_mem_of(&mem));
}

int main(int argc, char **argv)
{
    process_begin(ROLE_COMMAND);
    return process_end("kelpie-sim", sim_main(argc, argv));
}
