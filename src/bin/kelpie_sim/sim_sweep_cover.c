#include "bin/kelpie_sim/sim_sweep_cover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "sim/report/sim_report.h"

#define NEVER_SIZE 128
#define COUNT_SIZE 24

/* ---- what never happened */

static bool fault_was_on(const struct sweep_result *r, enum sim_fault f)
{
    return r->total.faults_on >> f & 1u;
}

void cover_each_missing(const struct sweep_result *r, void (*fn)(void *arg, const char *what),
                        void *arg)
{
    char what[NEVER_SIZE];

    for (size_t i = 0; i < marks_count(); i++)
        if (r->mark_seeds[i] == 0 && !sim_mark_rare(mark_at(i)->name))
            fn(arg, mark_at(i)->name);
    for (unsigned a = 0; a < STEP_ACTION_COUNT; a++) {
        if (r->total.steps[a] || !step_in_spec((enum step_action)a))
            continue;
        (void)snprintf(what, sizeof what, "step %s", step_name((enum step_action)a));
        fn(arg, what);
    }
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        for (unsigned p = 0; p < PHASE_COUNT; p++) {
            if (r->pairs[f][p] || !fault_was_on(r, (enum sim_fault)f) ||
                sim_pair_rare((enum sim_fault)f, (enum sim_phase)p))
                continue;
            (void)snprintf(what, sizeof what, "%s during %s", sim_fault_name((enum sim_fault)f),
                           sim_phase_name((enum sim_phase)p));
            fn(arg, what);
        }
    }
}

static void count_one(void *arg, const char *what)
{
    (void)what;
    ++*(size_t *)arg;
}

size_t cover_missing(const struct sweep_result *r)
{
    size_t count = 0;

    cover_each_missing(r, count_one, &count);
    return count;
}

/* ---- the calm */

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct cover_calm cover_calm_of(const struct sweep_result *r, unsigned fault)
{
    struct cover_calm out = {0};
    uint64_t *ms = calloc(r->calm_count + 1, sizeof *ms);

    CHECK(ms);
    for (size_t i = 0; i < r->calm_count; i++)
        if (fault == FAULT_COUNT || r->calms[i].faults_on >> fault & 1u)
            ms[out.runs++] = r->calms[i].ms;
    if (out.runs > 0) {
        qsort(ms, out.runs, sizeof *ms, compare_u64);
        out.p50_ms = ms[(out.runs - 1) / 2];
        out.p99_ms = ms[(out.runs * 99 - 1) / 100];
        out.max_ms = ms[out.runs - 1];
    }
    free(ms);
    return out;
}

/* ---- text */

/* At most five characters. */
static const char *short_count(uint64_t n, char out[COUNT_SIZE])
{
    if (n < 100000)
        (void)snprintf(out, COUNT_SIZE, "%llu", (unsigned long long)n);
    else if (n < 10000000)
        (void)snprintf(out, COUNT_SIZE, "%lluk", (unsigned long long)(n / 1000));
    else
        (void)snprintf(out, COUNT_SIZE, "%lluM", (unsigned long long)(n / 1000000));
    return out;
}

static void pairs_text(const struct sweep_result *r, struct buf *out)
{
    char number[COUNT_SIZE];

    buf_appendf(out,
                "\nhow often a fault struck, and of that during a phase of the protocol; there "
                "one that lasts\ncounts again every %d ms\n%-24s",
                COVERAGE_LOOK_MS, "");
    buf_appendf(out, " %6s", "struck");
    for (unsigned p = 0; p < PHASE_COUNT; p++)
        buf_appendf(out, " %*s", (int)strlen(sim_phase_name((enum sim_phase)p)) > 5 ? 0 : 5,
                    sim_phase_name((enum sim_phase)p));
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        buf_appendf(out, "\n%-24s %6s", sim_fault_name((enum sim_fault)f),
                    short_count(r->total.faults[f], number));
        for (unsigned p = 0; p < PHASE_COUNT; p++) {
            int width = (int)strlen(sim_phase_name((enum sim_phase)p));
            bool never = sim_pair_rare((enum sim_fault)f, (enum sim_phase)p);
            buf_appendf(out, " %*s", width > 5 ? width : 5,
                        never && !r->pairs[f][p] ? "-" : short_count(r->pairs[f][p], number));
        }
    }
    buf_appendf(out, "\n");
}

static void calm_row(const struct sweep_result *r, unsigned fault, const char *name,
                     struct buf *out)
{
    struct cover_calm c = cover_calm_of(r, fault);

    buf_appendf(out, "%-24s %6zu %7llu %7llu %7llu\n", name, c.runs, (unsigned long long)c.p50_ms,
                (unsigned long long)c.p99_ms, (unsigned long long)c.max_ms);
}

static void calm_text(const struct sweep_result *r, struct buf *out)
{
    buf_appendf(out,
                "\nms of calm until all had converged and answered, in runs that had the fault\n");
    buf_appendf(out, "%-24s %6s %7s %7s %7s\n", "", "runs", "p50", "p99", "max");
    calm_row(r, FAULT_COUNT, "(all runs)", out);
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        calm_row(r, f, sim_fault_name((enum sim_fault)f), out);
}

static void add_line(void *arg, const char *what)
{
    buf_appendf(arg, "never: %s\n", what);
}

void cover_text(const struct sweep_result *r, struct buf *out)
{
    size_t passed = 0;

    pairs_text(r, out);
    calm_text(r, out);
    for (size_t i = 0; i < marks_count(); i++)
        passed += r->mark_seeds[i] > 0;
    if (marks_count() == 0)
        buf_appendf(out, "\nmarks              this build has none (-Dmarks=enabled)\n");
    else
        buf_appendf(out, "\nmarks              %zu of %zu passed; in how many seeds:", passed,
                    marks_count());
    for (size_t i = 0; i < marks_count(); i++)
        buf_appendf(out, " %s=%llu", mark_at(i)->name, (unsigned long long)r->mark_seeds[i]);
    buf_appendf(out, "%s", marks_count() ? "\n" : "");
    buf_appendf(out, "\nsteps of the specification:");
    for (unsigned a = 0; a < STEP_ACTION_COUNT; a++)
        buf_appendf(out, " %s=%llu", step_name((enum step_action)a),
                    (unsigned long long)r->total.steps[a]);
    buf_appendf(out, "\n");
    cover_each_missing(r, add_line, out);
}

/* ---- JSON */

static void add_item(void *arg, const char *what)
{
    struct buf *out = arg;

    if (out->data[out->len - 1] != '[')
        buf_append_u8(out, ',');
    report_json_string(out, what);
}

void cover_json(const struct sweep_result *r, struct buf *out)
{
    buf_appendf(out, "\"marks\":{");
    for (size_t i = 0; i < marks_count(); i++)
        buf_appendf(out, "%s\"%s\":%llu", i ? "," : "", mark_at(i)->name,
                    (unsigned long long)r->mark_seeds[i]);
    buf_appendf(out, "},\"steps\":{");
    for (unsigned a = 0; a < STEP_ACTION_COUNT; a++)
        buf_appendf(out, "%s\"%s\":%llu", a ? "," : "", step_name((enum step_action)a),
                    (unsigned long long)r->total.steps[a]);
    buf_appendf(out, "},\"faults\":{");
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        struct cover_calm c = cover_calm_of(r, f);
        buf_appendf(out, "%s\"%s\":{\"struck\":%llu,\"during\":{", f ? "," : "",
                    sim_fault_name((enum sim_fault)f), (unsigned long long)r->total.faults[f]);
        for (unsigned p = 0; p < PHASE_COUNT; p++)
            buf_appendf(out, "%s\"%s\":%llu", p ? "," : "", sim_phase_name((enum sim_phase)p),
                        (unsigned long long)r->pairs[f][p]);
        buf_appendf(out,
                    "},\"calm\":{\"runs\":%zu,\"p50_ms\":%llu,\"p99_ms\":%llu,\"max_ms\":%llu}}",
                    c.runs, (unsigned long long)c.p50_ms, (unsigned long long)c.p99_ms,
                    (unsigned long long)c.max_ms);
    }
    struct cover_calm all = cover_calm_of(r, FAULT_COUNT);
    buf_appendf(out, "},\"calm\":{\"runs\":%zu,\"p50_ms\":%llu,\"p99_ms\":%llu,\"max_ms\":%llu}",
                all.runs, (unsigned long long)all.p50_ms, (unsigned long long)all.p99_ms,
                (unsigned long long)all.max_ms);
    buf_appendf(out, ",\"never\":[");
    cover_each_missing(r, add_item, out);
    buf_appendf(out, "],");
}
