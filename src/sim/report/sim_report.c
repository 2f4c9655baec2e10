#include "sim/report/sim_report.h"

#include "sim/checkers/checks.h"

void report_reproduce(uint64_t seed, const char *overrides, struct buf *out)
{
    buf_appendf(out, "kelpie-sim run --seed %llu%s", (unsigned long long)seed, overrides);
}

void report_json_string(struct buf *out, const char *text)
{
    buf_append_u8(out, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            buf_appendf(out, "\\%c", c);
        else if (c < 0x20)
            buf_appendf(out, "\\u%04x", c);
        else
            buf_append_u8(out, c);
    }
    buf_append_u8(out, '"');
}

void report_json_u64(struct buf *out, const char *name, uint64_t value)
{
    buf_appendf(out, "\"%s\":%llu,", name, (unsigned long long)value);
}

struct figure {
    const char *name;
    uint64_t value;
};

#define FIGURES_MAX 64

static size_t figures(const struct sim_result *r, struct figure out[FIGURES_MAX])
{
    const struct figure all[] = {
        {"events", r->events},
        {"sim_ms", r->sim_ms},
        {"wall_ms", r->wall_us / 1000},
        {"cpu_ms", r->cpu_us / 1000},
        {"events_per_s", r->cpu_us ? r->events * 1000000 / r->cpu_us : 0},
        {"terms", r->terms},
        {"elections", r->elections},
        {"failures", r->failures},
        {"placements", r->placements},
        {"views", r->views},
        {"converge_ms", r->converge_ms},
        {"converge_bound_ms", r->converge_bound_ms},
        {"answer_ms", r->answer_ms},
        {"answer_bound_ms", r->answer_bound_ms},
        {"starts", r->starts},
        {"crashes", r->crashes},
        {"leaves", r->leaves},
        {"left", r->left},
        {"twins", r->twins},
        {"twins_ended", r->twins_ended},
        {"declared_dead", r->declared},
        {"watchdog_kills", r->watchdog},
        {"orders", r->orders},
        {"orders_obeyed", r->obeyed},
        {"nodes_rolled", r->rolled},
        {"calls", r->calls},
        {"acknowledged", r->acknowledged},
        {"retries", r->retries},
        {"gave_up", r->gave_up},
        {"failed_as_due", r->failed_as_due},
        {"mailbox_full", r->mailbox_full},
        {"applied_reply_not_kept", r->applied_no_reply},
        {"messages", r->messages},
        {"messages_lost", r->lost},
        {"messages_refused", r->refused},
        {"store_reads", r->reads},
        {"store_commits", r->commits},
        {"store_committed", r->committed},
        {"store_conflicts", r->conflicts},
        {"store_unknown", r->unknown},
        {"store_late", r->late},
        {"histories", r->histories},
        {"not_checked", r->histories_open},
    };
    memcpy(out, all, sizeof all);
    return ARRAY_LEN(all);
}

void report_run_text(const struct sim_config *config, const struct sim_result *r,
                     const char *reproduce, struct buf *out)
{
    struct figure list[FIGURES_MAX];
    size_t n = figures(r, list);
    char hash[33];

    (void)config;
    hash128_to_text(r->trace, hash);
    buf_appendf(out, "trace_hash %s\n", hash);
    for (size_t i = 0; i < n; i++)
        buf_appendf(out, "%-18s %llu\n", list[i].name, (unsigned long long)list[i].value);
    buf_appendf(out, "faults            ");
    for (unsigned f = 0; f < FAULT_COUNT; f++)
        if (r->faults[f])
            buf_appendf(out, " %s=%llu", sim_fault_name((enum sim_fault)f),
                        (unsigned long long)r->faults[f]);
    buf_appendf(out, "\ncompared          ");
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        buf_appendf(out, " %s=%llu", check_name((enum check)c), (unsigned long long)r->compared[c]);
    buf_appendf(out, "\n%-18s %u\n", "violations", r->violation_count);
    for (unsigned i = 0; i < r->violation_count; i++) {
        const struct violation *v = &r->violations[i];
        buf_appendf(out, "VIOLATION %s at %.6f s, event %llu: %s\n", v->check,
                    (double)v->at_ns / 1e9, (unsigned long long)v->event, v->text);
    }
    if (r->violation_count == 0)
        return;
    buf_appendf(out, "reproduce: %s\n", reproduce);
}

static void violations_json(const struct sim_result *r, struct buf *out)
{
    buf_appendf(out, "\"violations\":[");
    for (unsigned i = 0; i < r->violation_count; i++) {
        const struct violation *v = &r->violations[i];
        buf_appendf(
            out, "%s{\"check\":\"%s\",\"at_ms\":%llu,\"event\":%llu,\"text\":", i ? "," : "",
            v->check, (unsigned long long)(v->at_ns / NS_PER_MS), (unsigned long long)v->event);
        report_json_string(out, v->text);
        buf_appendf(out, "}");
    }
    buf_appendf(out, "]");
}

/* After 1, 2, 4, … events: two runs are compared by them. */
static void prefixes_json(const struct sim_result *r, struct buf *out)
{
    char hash[33];

    buf_appendf(out, "\"prefixes\":[");
    for (unsigned i = 0; i < PREFIX_HASHES && r->events >> i; i++) {
        hash128_to_text(r->prefix[i], hash);
        buf_appendf(out, "%s\"%s\"", i ? "," : "", hash);
    }
    buf_appendf(out, "],");
}

void report_run_json(const struct sim_config *config, const struct sim_result *r,
                     const char *reproduce, struct buf *out)
{
    struct figure list[FIGURES_MAX];
    size_t n = figures(r, list);
    char hash[33];
    struct buf text;

    hash128_to_text(r->trace, hash);
    buf_appendf(out, "{\"seed\":%llu,\"trace_hash\":\"%s\",", (unsigned long long)r->seed, hash);
    for (size_t i = 0; i < n; i++)
        report_json_u64(out, list[i].name, list[i].value);
    buf_appendf(out, "\"compared\":{");
    for (unsigned c = 0; c < CHECK_COUNT; c++)
        buf_appendf(out, "%s\"%s\":%llu", c ? "," : "", check_name((enum check)c),
                    (unsigned long long)r->compared[c]);
    buf_appendf(out, "},");
    prefixes_json(r, out);
    violations_json(r, out);
    buf_init(&text, out->mem);
    sim_config_to_text(config, &text);
    buf_append_u8(&text, 0);
    buf_appendf(out, ",\"config\":");
    report_json_string(out, (const char *)text.data);
    if (r->violation_count) {
        buf_appendf(out, ",\"reproduce\":");
        report_json_string(out, reproduce);
    }
    buf_deinit(&text);
    buf_appendf(out, "}\n");
}
