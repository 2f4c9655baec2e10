#include "bin/kelpie_sim/sim_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bin/kelpie_sim/sim_again.h"
#include "bin/kelpie_sim/sim_child.h"
#include "kelpie/error.h"
#include "sim/checkers/checks.h"
#include "sim/report/sim_report.h"

#define ABORT "Abort"
#define PROGRESS_S 10
#define SWEEP_ORDERED_MAX 1000000u
#define TERMINAL_US 500000

struct job {
    struct sim_child child; /* pid 0: free, or it runs again */
    uint64_t seed;
    struct again again; /* the second run of the seed */
    struct hash128 first;
};

struct sweep {
    const struct sweep_options *o;
    struct sweep_result *r;
    struct job jobs[SWEEP_JOBS_MAX];
    unsigned running;
    uint64_t next;
    struct sweep_seed *order; /* NULL: as they come */
    uint64_t started_us, told_us;
    bool terminal; /* progress is one line that is written over */
};

/* The longest begin first, so that none runs on alone at the end. Where the time or the first failure
 * ends the sweep the seeds come in their order: else it would try the longest only. */
struct sweep_seed {
    uint64_t seed, weight;
};

static int heavier_first(const void *a, const void *b)
{
    const struct sweep_seed *x = a, *y = b;

    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return x->seed < y->seed ? -1 : x->seed > y->seed;
}

static struct sweep_seed *order_of(const struct sweep_options *o)
{
    uint64_t count = o->last - o->first + 1;

    if (o->wall_us_max || o->stop_at_first || count > SWEEP_ORDERED_MAX)
        return NULL;
    struct sweep_seed *order = calloc(count, sizeof *order);
    CHECK(order);
    for (uint64_t i = 0; i < count; i++) {
        struct sim_config config;
        o->configure(o->arg, o->first + i, &config);
        order[i] = (struct sweep_seed){o->first + i, sim_config_weight(&config)};
    }
    qsort(order, count, sizeof *order, heavier_first);
    return order;
}

static uint64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

void sim_run_timed(const struct sim_config *config, struct sim_result *out)
{
    uint64_t wall = now_us(), cpu = cpu_us();

    sim_run(config, out);
    out->wall_us = now_us() - wall;
    out->cpu_us = cpu_us() - cpu;
}

static void add_counts(struct sim_result *sum, const struct sim_result *r)
{
    sum->events += r->events;
    sum->sim_ms += r->sim_ms;
    sum->wall_us += r->wall_us;
    sum->cpu_us += r->cpu_us;
    sum->elections += r->elections;
    sum->failures += r->failures;
    sum->placements += r->placements;
    sum->starts += r->starts;
    sum->crashes += r->crashes;
    sum->left += r->left;
    sum->twins += r->twins;
    sum->twins_ended += r->twins_ended;
    sum->orders += r->orders;
    sum->obeyed += r->obeyed;
    sum->rolled += r->rolled;
    sum->calls += r->calls;
    sum->acknowledged += r->acknowledged;
    sum->failed_as_due += r->failed_as_due;
    sum->mailbox_full += r->mailbox_full;
    sum->applied_no_reply += r->applied_no_reply;
    sum->late += r->late;
    sum->unknown += r->unknown;
    sum->histories += r->histories;
    sum->histories_open += r->histories_open;
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        sum->faults[f] += r->faults[f];
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        sum->compared[c] += r->compared[c];
    for (unsigned a = 0; a < STEP_ACTION_COUNT; a++)
        sum->steps[a] += r->steps[a];
    sum->faults_on |= r->faults_on;
}

static void add_coverage(struct sweep_result *out, const struct sim_result *r)
{
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        for (unsigned p = 0; p < PHASE_COUNT; p++)
            out->pairs[f][p] += r->pairs[f][p];
    for (size_t i = 0; i < COVERAGE_MARKS_MAX; i++)
        out->mark_seeds[i] += coverage_has_mark(&r->marks, i);
    if (r->violation_count)
        return;
    if (out->calm_count == out->calm_cap) {
        out->calm_cap = out->calm_cap ? out->calm_cap * 2 : 256;
        out->calms = realloc(out->calms, out->calm_cap * sizeof *out->calms);
        CHECK(out->calms);
    }
    out->calms[out->calm_count++] =
        (struct sweep_calm){.faults_on = r->faults_on, .ms = r->converge_ms + r->answer_ms};
}

static void keep_failed(struct sweep_result *out, uint64_t seed)
{
    for (size_t i = 0; i < out->failed_count; i++)
        if (out->failed[i] == seed)
            return;
    out->failed = realloc(out->failed, (out->failed_count + 1) * sizeof *out->failed);
    CHECK(out->failed);
    out->failed[out->failed_count++] = seed;
}

static void tell_failed(const struct sweep *s, uint64_t seed, const char *check)
{
    fprintf(stderr, "%skelpie-sim: seed %llu: %s\n", s->terminal ? "\r\033[K" : "",
            (unsigned long long)seed, check);
}

/* One that aborted told nobody when. */
static void note_violation(struct sweep_result *out, uint64_t seed, const struct violation *v)
{
    buf_appendf(&out->failures, "seed %llu: %s at ", (unsigned long long)seed, v->check);
    if (strcmp(v->check, ABORT) == 0)
        buf_appendf(&out->failures, "an unknown time: %s\n", v->text);
    else
        buf_appendf(&out->failures, "%.3f s: %s\n", (double)v->at_ns / 1e9, v->text);
}

static void note_failure(struct sweep *s, const struct sim_result *r)
{
    struct sweep_result *out = s->r;

    out->violations += r->violation_count;
    keep_failed(out, r->seed);
    for (unsigned i = 0; i < r->violation_count; i++)
        note_violation(out, r->seed, &r->violations[i]);
    tell_failed(s, r->seed, r->violations[0].check);
    buf_appendf(&out->failures, "reproduce: ");
    report_reproduce(r->seed, s->o->overrides, &out->failures);
    buf_appendf(&out->failures, "\n");
}

static void take(struct sweep *s, const struct sim_result *r)
{
    s->r->seeds++;
    add_counts(&s->r->total, r);
    add_coverage(s->r, r);
    if (r->converge_ms > s->r->converge_ms_max)
        s->r->converge_ms_max = r->converge_ms;
    if (r->violation_count)
        note_failure(s, r);
}

struct run_in_child {
    const struct sweep_options *o;
    uint64_t seed;
};

static void run_in_child(void *arg, int record)
{
    const struct run_in_child *run = arg;
    struct sim_config config;
    struct sim_result result;

    run->o->configure(run->o->arg, run->seed, &config);
    config.steps = steps_new(false);
    sim_run_timed(&config, &result);
    sim_child_tell(record, &result, sizeof result);
}

static int job_start(struct sweep *s, struct job *j, uint64_t seed)
{
    struct run_in_child run = {.o = s->o, .seed = seed};
    struct job started = {.seed = seed};
    int err = sim_child_start(&started.child, run_in_child, &run);

    if (err)
        return err;
    *j = started;
    s->running++;
    return 0;
}

/* ---- the same seed twice */

/* Spread evenly over the seeds. */
static bool runs_twice(const struct sweep *s, uint64_t seed)
{
    uint64_t percent = s->o->twice_percent, n = seed % 100;

    return percent > 0 && (n + 1) * percent / 100 > n * percent / 100;
}

static void start_again(struct sweep *s, struct job *j, const struct sim_result *r)
{
    struct again_run run = {
        .program = AGAIN_SELF, .seed = j->seed, .overrides = s->o->overrides, .disturbed = true};

    /* One that aborted has no hash. */
    if (r->events == 0 || again_start(&run, &j->again))
        return;
    j->first = r->trace;
    s->running++;
}

static void again_end(struct sweep *s, struct job *j)
{
    struct sweep_result *out = s->r;
    struct again_hashes second;
    char hashes[2][33] = {"", "none"};

    s->running--;
    out->twice++;
    hash128_to_text(j->first, hashes[0]);
    if (again_finish(&j->again, &second))
        hash128_to_text(second.trace, hashes[1]);
    if (strcmp(hashes[0], hashes[1]) == 0)
        return;
    out->differed++;
    keep_failed(out, j->seed);
    tell_failed(s, j->seed, "Determinism");
    buf_appendf(&out->failures,
                "seed %llu: Determinism: the hash was %s, in a second process %s\n"
                "find the first event that differs: kelpie-sim compare --seed %llu%s\n",
                (unsigned long long)j->seed, hashes[0], hashes[1], (unsigned long long)j->seed,
                s->o->overrides);
}

static void job_end(struct sweep *s, struct job *j, int status)
{
    struct sim_result r;
    char why[VIOLATION_TEXT_MAX];

    if (!sim_child_take(&j->child, status, &r, sizeof r, why, sizeof why)) {
        r = (struct sim_result){.seed = j->seed, .violation_count = 1};
        r.violations[0].check = ABORT;
        memcpy(r.violations[0].text, why, sizeof why);
    }
    s->running--;
    take(s, &r);
    if (runs_twice(s, j->seed))
        start_again(s, j, &r);
}

static void tell(struct sweep *s)
{
    const struct sweep_options *o = s->o;
    const struct sweep_result *r = s->r;
    uint64_t now = now_us(), cpu = r->total.cpu_us;
    char of[64] = "";

    s->told_us = now;
    if (!o->wall_us_max)
        (void)snprintf(of, sizeof of, " of %llu", (unsigned long long)(o->last - o->first + 1));
    fprintf(stderr, "%skelpie-sim: %llu%s seeds, %zu failed, %llu events/s a core, %llu",
            s->terminal ? "\r" : "", (unsigned long long)r->seeds, of, r->failed_count,
            (unsigned long long)(cpu ? r->total.events * 1000000 / cpu : 0),
            (unsigned long long)((now - s->started_us) / 1000000));
    if (o->wall_us_max)
        fprintf(stderr, " of %llu", (unsigned long long)(o->wall_us_max / 1000000));
    fprintf(stderr, " s%s", s->terminal ? "\033[K" : "\n");
}

static void reap(struct sweep *s)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);

    for (unsigned i = 0; i < SWEEP_JOBS_MAX && pid > 0; i++) {
        struct job *j = &s->jobs[i];
        if (j->child.pid == pid)
            job_end(s, j, status);
        else if (j->again.pid == pid)
            again_end(s, j);
    }
    if (now_us() - s->told_us >= (s->terminal ? TERMINAL_US : PROGRESS_S * 1000000ull))
        tell(s);
}

static int compare_seeds(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int sim_sweep(const struct sweep_options *o, struct mem mem, struct sweep_result *out)
{
    struct sweep s = {.o = o,
                      .r = out,
                      .next = o->first,
                      .order = order_of(o),
                      .terminal = isatty(STDERR_FILENO)};
    int err = 0;

    *out = (struct sweep_result){0};
    buf_init(&out->failures, mem);
    s.started_us = s.told_us = now_us();
    for (;;) {
        bool more = !err && !(o->stop_at_first && out->failed_count) &&
                    (!o->wall_us_max || now_us() - s.started_us < o->wall_us_max);
        for (unsigned i = 0; i < o->jobs && more && s.next <= o->last; i++) {
            if (s.jobs[i].child.pid || s.jobs[i].again.pid)
                continue;
            err = job_start(&s, &s.jobs[i], s.order ? s.order[s.next - o->first].seed : s.next);
            if (err)
                break;
            s.next++;
        }
        if (s.running == 0)
            break;
        reap(&s);
    }
    free(s.order);
    out->wall_us = now_us() - s.started_us;
    if (s.terminal && s.told_us > s.started_us)
        fprintf(stderr, "\r\033[K");
    out->not_checked =
        out->total.histories_open * 100 > out->total.histories * SWEEP_NOT_CHECKED_PERCENT;
    for (unsigned c = 0; c < CHECK_COUNT && out->seeds >= SWEEP_SEEDS_LONG; c++)
        if (out->total.compared[c] == 0 && c != CHECK_USERS)
            out->idle_check = check_name((enum check)c);
    if (out->failed_count)
        qsort(out->failed, out->failed_count, sizeof *out->failed, compare_seeds);
    return err;
}

void sweep_result_free(struct sweep_result *r)
{
    buf_deinit(&r->failures);
    free(r->failed);
    free(r->calms);
    r->failed = NULL;
    r->calms = NULL;
}
