/* What a sweep says. */
#include <string.h>

#include "bin/kelpie_sim/sim_sweep.h"
#include "bin/kelpie_sim/sim_sweep_cover.h"
#include "sim/checkers/checks.h"
#include "sim/report/sim_report.h"

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
        {"failed_as_due", t->failed_as_due},
        {"mailbox_full", t->mailbox_full},
        {"applied_reply_not_kept", t->applied_no_reply},
        {"histories", t->histories},
        {"not_checked", t->histories_open},
        {"run_twice", r->twice},
        {"hash_differed", r->differed},
        {"not_covered", cover_missing(r)},
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
    if (!r->users)
        cover_text(r, out);
}

void report_sweep_json(const struct sweep_result *r, struct buf *out)
{
    struct sum list[SUMS_MAX];
    size_t n = sums(r, list);

    buf_appendf(out, "{");
    for (size_t i = 0; i < n; i++)
        report_json_u64(out, list[i].name, list[i].value);
    cover_json(r, out);
    buf_appendf(out, "\"failed_seeds\":[");
    for (size_t i = 0; i < r->failed_count; i++)
        buf_appendf(out, "%s%llu", i ? "," : "", (unsigned long long)r->failed[i]);
    buf_appendf(out, "],\"idle_check\":\"%s\"", r->idle_check ? r->idle_check : "");
    buf_appendf(out, ",\"compared\":{");
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        buf_appendf(out, "%s\"%s\":%llu", c ? "," : "", check_name((enum check)c),
                    (unsigned long long)r->total.compared[c]);
    buf_appendf(out, "},\"found\":");
    struct buf text;
    buf_init(&text, out->mem);
    buf_append_bytes(&text, buf_bytes(&r->failures));
    buf_append_u8(&text, 0);
    report_json_string(out, (const char *)text.data);
    buf_deinit(&text);
    buf_appendf(out, "}\n");
}
