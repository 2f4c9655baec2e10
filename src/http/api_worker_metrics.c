/* What /metrics says of workers and their turns; the labels are bounded by HUB_COUNTS_MAX. */
#include <inttypes.h>

#include "http/api_internal.h"

/* One family: a line for each method. */
struct family {
    const char *name, *help;
    uint64_t (*value)(const struct hub_count *c);
    bool seconds; /* the value is in ns */
};

static uint64_t turns(const struct hub_count *c)
{
    return c->turns;
}

static uint64_t results(const struct hub_count *c)
{
    return c->results;
}

static uint64_t errors(const struct hub_count *c)
{
    return c->errors;
}

static uint64_t busy(const struct hub_count *c)
{
    return c->busy_ns;
}

static uint64_t waiting(const struct hub_count *c)
{
    return c->waiting_ns;
}

static uint64_t deaths(const struct hub_count *c)
{
    return c->deaths;
}

static uint64_t too_long(const struct hub_count *c)
{
    return c->too_long;
}

static uint64_t given_up(const struct hub_count *c)
{
    return c->given_up;
}

static const struct family families[] = {
    {"worker_turns_total", "Turns handed out to workers.", turns, false},
    {"worker_results_total", "Turns that workers answered.", results, false},
    {"worker_errors_total", "Of these, with an error, a domain error too.", errors, false},
    {"worker_turn_seconds_total", "From hand-out to answer, all together.", busy, true},
    {"worker_wait_seconds_total", "That turns waited for a worker, all together.", waiting, true},
    {"worker_restarts_total", "Connections of workers that ended with a turn.", deaths, false},
    {"worker_turns_too_long_total", "Of these, because the turn took too long.", too_long, false},
    {"worker_turns_given_up_total", "Turns that ended workers and were given up.", given_up, false},
};

struct writes {
    struct buf *out;
    const struct family *family;
};

static void write_one(void *arg, const struct hub_count *c)
{
    const struct writes *w = arg;
    uint64_t value = w->family->value(c);

    buf_appendf(w->out, "kelpie_%s{type=", w->family->name);
    api_metric_label(w->out, c->type);
    buf_appendf(w->out, ",method=");
    api_metric_label(w->out, c->method);
    if (w->family->seconds)
        buf_appendf(w->out, "} %llu.%06llu\n", value / NS_PER_S, value % NS_PER_S / 1000);
    else
        buf_appendf(w->out, "} %" PRIu64 "\n", value);
}

static void one(struct buf *out, const char *name, const char *type, uint64_t value,
                const char *help)
{
    buf_appendf(out, "# HELP kelpie_%s %s\n# TYPE kelpie_%s %s\nkelpie_%s %" PRIu64 "\n", name,
                help, name, type, name, value);
}

void api_worker_metrics(struct api *api, struct buf *out)
{
    const struct hub *hub = node_hub(api->node);
    struct hub_stats s = hub_stats(hub);

    one(out, "workers", "gauge", s.workers, "Workers that are connected.");
    one(out, "worker_connections", "gauge", s.slots, "Their connections, each for a turn.");
    one(out, "worker_turns_waiting", "gauge", s.turns_waiting, "Turns that wait for a worker.");
    one(out, "worker_turns_out", "gauge", s.turns_out, "Turns that workers are at.");
    one(out, "worker_late_answers_total", "counter", s.refused_late,
        "Answers refused: their turns were over.");
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        struct writes w = {.out = out, .family = &families[i]};
        buf_appendf(out, "# HELP kelpie_%s %s\n# TYPE kelpie_%s counter\n", w.family->name,
                    w.family->help, w.family->name);
        hub_counts_each(hub, write_one, &w);
    }
}
