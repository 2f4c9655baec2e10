#include "sim/report/sim_page.h"

#include "kelpie/error.h"
#include "sim/report/sim_report.h"

#define DATA_HERE "/*DATA*/" /* where the template takes the data */

/* Text that stands in a script: JSON, and no "</" that would end it. */
static void text(struct buf *out, const char *s)
{
    size_t from = out->len;

    report_json_string(out, s);
    for (size_t i = from; i < out->len; i++)
        if (out->data[i] == '<')
            out->data[i] = ' ';
}

static void field(struct buf *out, const char *name, const char *value)
{
    buf_appendf(out, "\"%s\":", name);
    text(out, value);
    buf_append_u8(out, ',');
}

static void put_head(struct buf *out, const struct record *r, const struct sim_config *config,
                     const struct sim_result *result, const char *reproduce)
{
    struct buf scratch;
    char hash[33];

    buf_init(&scratch, out->mem);
    sim_config_to_text(config, &scratch);
    buf_append_u8(&scratch, 0);
    field(out, "config", (const char *)scratch.data);
    buf_deinit(&scratch);
    field(out, "reproduce", reproduce);
    hash128_to_text(result->trace, hash);
    field(out, "hash", hash);
    report_json_u64(out, "nodes", config->nodes);
    report_json_u64(out, "events", result->events);
    report_json_u64(out, "calm_us", config->duration_ms * 1000);
    report_json_u64(out, "end_us", record_end_ns(r) / 1000);
    report_json_u64(out, "dropped", record_dropped(r));
}

static void put_names(struct buf *out, const struct record *r)
{
    buf_appendf(out, "\"names\":[");
    for (size_t i = 0; i < record_names(r); i++) {
        if (i)
            buf_append_u8(out, ',');
        text(out, record_name(r, (uint32_t)i));
    }
    buf_appendf(out, "],\"bar_kinds\":[");
    for (unsigned k = 0; k < BAR_COUNT; k++)
        buf_appendf(out, "%s\"%s\"", k ? "," : "", record_bar_name((enum record_bar_kind)k));
    buf_appendf(out, "],\"violations\":[");
}

static void put_violations(struct buf *out, const struct sim_result *result)
{
    for (unsigned i = 0; i < result->violation_count; i++) {
        const struct violation *v = &result->violations[i];
        buf_appendf(out, "%s{\"at_us\":%llu,\"event\":%llu,", i ? "," : "",
                    (unsigned long long)(v->at_ns / 1000), (unsigned long long)v->event);
        field(out, "check", v->check);
        buf_appendf(out, "\"text\":");
        text(out, v->text);
        buf_appendf(out, "}");
    }
    buf_appendf(out, "],");
}

static long long place(uint32_t name)
{
    return name == RECORD_NOWHERE ? -1 : (long long)name;
}

/* kind, from, length, node, slot, actor, value: seven numbers a bar. */
static void put_bars(struct buf *out, const struct record *r)
{
    size_t count;
    const struct record_bar *bars = record_bars(r, &count);

    buf_appendf(out, "\"bars\":[");
    for (size_t i = 0; i < count; i++) {
        const struct record_bar *b = &bars[i];
        buf_appendf(out, "%s%u,%llu,%llu,%u,%u,%lld,%llu", i ? "," : "", b->kind,
                    (unsigned long long)(b->from_ns / 1000),
                    (unsigned long long)((b->to_ns - b->from_ns) / 1000), b->node, b->slot,
                    place(b->actor), (unsigned long long)b->value);
    }
    buf_appendf(out, "],");
}

/* kind, from, length, when it landed after `from` (-1: never), node, slot, peer, end, actor, name,
 * status, value: twelve numbers a line. */
static void put_lines(struct buf *out, const struct record *r)
{
    size_t count;
    const struct record_line *lines = record_lines(r, &count);

    buf_appendf(out, "\"lines\":[");
    for (size_t i = 0; i < count; i++) {
        const struct record_line *l = &lines[i];
        buf_appendf(out, "%s%u,%llu,%llu,%lld,%u,%u,%u,%u,%lld,%lld,%d,%llu", i ? "," : "", l->kind,
                    (unsigned long long)(l->from_ns / 1000),
                    (unsigned long long)((l->to_ns - l->from_ns) / 1000),
                    l->at_ns ? (long long)(l->at_ns - l->from_ns) / 1000 : -1, l->node, l->slot,
                    l->peer, l->end, place(l->actor), place(l->name), l->status,
                    (unsigned long long)l->value);
    }
    buf_appendf(out, "]");
}

static bool put(FILE *out, const void *data, size_t len)
{
    return len == 0 || fwrite(data, 1, len, out) == len;
}

int page_write(FILE *out, const struct record *r, const struct sim_config *config,
               const struct sim_result *result, const char *reproduce, struct mem mem)
{
    const char *here = strstr(page_template, DATA_HERE);
    struct buf data;

    CHECK(here);
    const char *rest = here + strlen(DATA_HERE);
    buf_init(&data, mem);
    buf_append_u8(&data, '{');
    put_head(&data, r, config, result, reproduce);
    put_names(&data, r);
    put_violations(&data, result);
    put_bars(&data, r);
    put_lines(&data, r);
    buf_append_u8(&data, '}');
    bool ok = put(out, page_template, (size_t)(here - page_template)) &&
              put(out, data.data, data.len) && put(out, rest, strlen(rest));
    buf_deinit(&data);
    return ok ? 0 : KELPIE_E_IO;
}
