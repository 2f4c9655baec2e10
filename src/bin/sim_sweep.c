#include "bin/sim_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "sim/checks.h"
#include "sim/sim_report.h"

#define PROGRESS_S 10

struct job {
    pid_t pid; /* 0: free */
    int fd;
    uint64_t seed;
};

struct sweep {
    const struct sweep_options *o;
    struct sweep_result *r;
    struct job jobs[SWEEP_JOBS_MAX];
    unsigned running;
    uint64_t next;
    uint64_t started_us, told_us;
};

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
    sum->late += r->late;
    sum->unknown += r->unknown;
    sum->histories += r->histories;
    sum->histories_open += r->histories_open;
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        sum->faults[f] += r->faults[f];
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        sum->compared[c] += r->compared[c];
}

static void note_failure(struct sweep *s, const struct sim_result *r)
{
    struct sweep_result *out = s->r;

    out->violations += r->violation_count;
    out->failed = realloc(out->failed, (out->failed_count + 1) * sizeof *out->failed);
    CHECK(out->failed);
    out->failed[out->failed_count++] = r->seed;
    for (unsigned i = 0; i < r->violation_count; i++)
        buf_appendf(&out->failures, "seed %llu: %s at %.3f s: %s\n", (unsigned long long)r->seed,
                    r->violations[i].check, (double)r->violations[i].at_ns / 1e9,
                    r->violations[i].text);
    fprintf(stderr, "kelpie-sim: seed %llu: %s\n", (unsigned long long)r->seed,
            r->violations[0].check);
    buf_appendf(&out->failures, "reproduce: ");
    report_reproduce(r->seed, s->o->overrides, &out->failures);
    buf_appendf(&out->failures, "\n");
}

static void take(struct sweep *s, const struct sim_result *r)
{
    s->r->seeds++;
    add_counts(&s->r->total, r);
    if (r->converge_ms > s->r->converge_ms_max)
        s->r->converge_ms_max = r->converge_ms;
    if (r->violation_count)
        note_failure(s, r);
}

static bool write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *data, size_t len)
{
    char *at = data;
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static int job_start(struct sweep *s, struct job *j, uint64_t seed)
{
    int ends[2];

    if (pipe(ends))
        return KELPIE_E_IO;
    pid_t pid = fork();
    if (pid < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return KELPIE_E_IO;
    }
    if (pid == 0) {
        struct sim_config config;
        struct sim_result result;
        (void)close(ends[0]);
        s->o->configure(s->o->arg, seed, &config);
        sim_run_timed(&config, &result);
        _exit(write_all(ends[1], &result, sizeof result) ? 0 : 3);
    }
    (void)close(ends[1]);
    *j = (struct job){.pid = pid, .fd = ends[0], .seed = seed};
    s->running++;
    return 0;
}

/* A result is smaller than a pipe's buffer, so whoever has exited has written all of it. */
static void job_end(struct sweep *s, struct job *j, int status)
{
    struct sim_result r;

    if (!read_all(j->fd, &r, sizeof r)) {
        r = (struct sim_result){.seed = j->seed, .violation_count = 1};
        r.violations[0].check = "Abort";
        (void)snprintf(r.violations[0].text, sizeof r.violations[0].text,
                       "the simulator's process ended with %s %d",
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    (void)close(j->fd);
    j->pid = 0;
    s->running--;
    take(s, &r);
}

static void reap(struct sweep *s)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);

    for (unsigned i = 0; i < SWEEP_JOBS_MAX; i++)
        if (pid > 0 && s->jobs[i].pid == pid)
            job_end(s, &s->jobs[i], status);
    if (now_us() - s->told_us < PROGRESS_S * 1000000ull)
        return;
    s->told_us = now_us();
    fprintf(stderr, "kelpie-sim: %llu of %llu seeds, %zu failed, %llu s\n",
            (unsigned long long)s->r->seeds, (unsigned long long)(s->o->last - s->o->first + 1),
            s->r->failed_count, (unsigned long long)((s->told_us - s->started_us) / 1000000));
}

static int compare_seeds(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int sim_sweep(const struct sweep_options *o, struct mem mem, struct sweep_result *out)
{
    struct sweep s = {.o = o, .r = out, .next = o->first};
    int err = 0;

    *out = (struct sweep_result){0};
    buf_init(&out->failures, mem);
    s.started_us = s.told_us = now_us();
    for (;;) {
        bool more = !err && s.next <= o->last && !(o->stop_at_first && out->failed_count);
        for (unsigned i = 0; i < o->jobs && more && s.next <= o->last; i++) {
            if (s.jobs[i].pid)
                continue;
            err = job_start(&s, &s.jobs[i], s.next);
            if (err)
                break;
            s.next++;
        }
        if (s.running == 0)
            break;
        reap(&s);
    }
    out->wall_us = now_us() - s.started_us;
    out->not_checked =
        out->total.histories_open * 100 > out->total.histories * SWEEP_NOT_CHECKED_PERCENT;
    for (unsigned c = 0; c < CHECK_COUNT && out->seeds >= SWEEP_SEEDS_LONG; c++)
        if (out->total.compared[c] == 0)
            out->idle_check = check_name((enum check)c);
    if (out->failed_count)
        qsort(out->failed, out->failed_count, sizeof *out->failed, compare_seeds);
    return err;
}

/* ---- what it says */

static uint64_t per(uint64_t count, uint64_t us)
{
    return us ? count * 1000000 / us : 0;
}

#define SUMS_MAX 32

struct sum {
    const char *name;
    uint64_t value;
};

static size_t sums(const struct sweep_result *r, struct sum out[SUMS_MAX])
{
    const struct sim_result *t = &r->total;
    const struct sum all[] = {
        {"seeds", r->seeds},
        {"violations", r->violations},
        {"events", t->events},
        {"events_per_s", per(t->events, t->cpu_us)},
        {"sim_s_per_wall_s", per(t->sim_ms / 1000, r->wall_us)},
        {"wall_ms", r->wall_us / 1000},
        {"cpu_ms", t->cpu_us / 1000},
        {"sim_ms", t->sim_ms},
        {"converge_ms_max", r->converge_ms_max},
        {"elections", t->elections},
        {"failures", t->failures},
        {"placements", t->placements},
        {"starts", t->starts},
        {"crashes", t->crashes},
        {"left", t->left},
        {"twins", t->twins},
        {"twins_ended", t->twins_ended},
        {"orders", t->orders},
        {"orders_obeyed", t->obeyed},
        {"nodes_rolled", t->rolled},
        {"calls", t->calls},
        {"acknowledged", t->acknowledged},
        {"histories", t->histories},
        {"not_checked", t->histories_open},
    };
    memcpy(out, all, sizeof all);
    return ARRAY_LEN(all);
}

void report_sweep_text(const struct sweep_result *r, struct buf *out)
{
    struct sum list[SUMS_MAX];
    size_t n = sums(r, list);

    buf_append_bytes(out, buf_bytes(&r->failures));
    if (r->not_checked)
        buf_appendf(out, "more than %d%% of the histories were not checked\n",
                    SWEEP_NOT_CHECKED_PERCENT);
    if (r->idle_check)
        buf_appendf(out, "the checker %s compared nothing in any run\n", r->idle_check);
    for (size_t i = 0; i < n; i++)
        buf_appendf(out, "%-18s %llu\n", list[i].name, (unsigned long long)list[i].value);
    buf_appendf(out, "failed_seeds      ");
    for (size_t i = 0; i < r->failed_count; i++)
        buf_appendf(out, " %llu", (unsigned long long)r->failed[i]);
    buf_appendf(out, "%s\n", r->failed_count ? "" : " none");
    buf_appendf(out, "compared          ");
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        buf_appendf(out, " %s=%llu", check_name((enum check)c),
                    (unsigned long long)r->total.compared[c]);
    buf_appendf(out, "\n");
}

void report_sweep_json(const struct sweep_result *r, struct buf *out)
{
    struct sum list[SUMS_MAX];
    size_t n = sums(r, list);

    buf_appendf(out, "{");
    for (size_t i = 0; i < n; i++)
        report_json_u64(out, list[i].name, list[i].value);
    buf_appendf(out, "\"failed_seeds\":[");
    for (size_t i = 0; i < r->failed_count; i++)
        buf_appendf(out, "%s%llu", i ? "," : "", (unsigned long long)r->failed[i]);
    buf_appendf(out, "],\"idle_check\":\"%s\"", r->idle_check ? r->idle_check : "");
    buf_appendf(out, ",\"compared\":{");
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        buf_appendf(out, "%s\"%s\":%llu", c ? "," : "", check_name((enum check)c),
                    (unsigned long long)r->total.compared[c]);
    buf_appendf(out, "},\"failures\":");
    struct buf text;
    buf_init(&text, out->mem);
    buf_append_bytes(&text, buf_bytes(&r->failures));
    buf_append_u8(&text, 0);
    report_json_string(out, (const char *)text.data);
    buf_deinit(&text);
    buf_appendf(out, "}\n");
}
