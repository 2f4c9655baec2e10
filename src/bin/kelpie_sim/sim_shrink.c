#include "bin/kelpie_sim/sim_shrink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bin/kelpie_sim/sim_child.h"
#include "bin/kelpie_sim/sim_sweep.h"
#include "kelpie/error.h"
#include "sim/report/sim_report.h"

#define OTHER_SEEDS 12        /* tried with each smaller configuration */
#define LAST_SEEDS_MAX 100000 /* tried with the smallest, for the time that is left */
#define THINK_MS_MAX 4000
#define DISASTER_MS_MIN 50
#define PAST_VIOLATION_MS 100

/* What a child tells. */
struct told {
    bool broken;
    uint64_t events, at_ms;
    char check[CASE_WORD_MAX];
    char text[VIOLATION_TEXT_MAX];
};

struct shrink {
    struct sim_case *best;
    struct told told; /* of the best */
    struct shrink_result *out;
    uint64_t end_s;
    bool improved;
    int error;
};

static uint64_t now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

static void run_in_child(void *arg, int record)
{
    const struct sim_config *config = arg;
    struct sim_result r;
    struct told t = {0};

    sim_run_timed(config, &r);
    t.events = r.events;
    if (r.violation_count > 0) {
        t.broken = true;
        t.at_ms = r.violations[0].at_ns / NS_PER_MS;
        (void)snprintf(t.check, sizeof t.check, "%s", r.violations[0].check);
        (void)snprintf(t.text, sizeof t.text, "%s", r.violations[0].text);
    }
    sim_child_tell(record, &t, sizeof t);
}

static int run_child(struct sim_config *config, struct told *out)
{
    struct sim_child child;
    char why[VIOLATION_TEXT_MAX];
    int status, err = sim_child_start(&child, run_in_child, config);

    if (err)
        return err;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (sim_child_take(&child, status, out, sizeof *out, why, sizeof why))
        return 0;
    *out = (struct told){.broken = true, .check = "Abort", .at_ms = config->duration_ms};
    memcpy(out->text, why, sizeof why);
    return 0;
}

/* How much a person has to look at. */
static uint64_t cost(const struct sim_config *c, const struct told *t)
{
    uint64_t faults = 0;

    for (unsigned f = 0; f < FAULT_COUNT; f++)
        faults += sim_fault_on(c, (enum sim_fault)f);
    return t->events + faults * 50 + c->nodes * 100 + c->actors * 10 + c->clients * 10 +
           c->users * 10;
}

static bool time_is_up(const struct shrink *s)
{
    return s->error || now_s() >= s->end_s;
}

/* True when it breaks the same, and is smaller: then it is the best. */
static bool try(struct shrink *s, const struct sim_config *config)
{
    struct sim_config c = *config;
    struct told told;
    char why[256];

    if (time_is_up(s) || sim_config_check(&c, why, sizeof why))
        return false;
    s->out->runs++;
    s->error = run_child(&c, &told);
    if (s->error || !told.broken || strcmp(told.check, s->best->breaks) != 0 ||
        cost(&c, &told) >= cost(&s->best->config, &s->told))
        return false;
    s->best->config = c;
    s->told = told;
    /* What comes after the violation is never run. */
    if (told.at_ms < c.duration_ms)
        s->best->config.duration_ms = told.at_ms + PAST_VIOLATION_MS;
    s->improved = true;
    return true;
}

/* With its own seed, then with others: a smaller world takes another course. */
static bool try_seeds(struct shrink *s, struct sim_config c)
{
    if (try(s, &c))
        return true;
    for (unsigned i = 1; i <= OTHER_SEEDS; i++) {
        c.seed = i;
        if (try(s, &c))
            return true;
    }
    return false;
}

static void fewer(struct shrink *s, size_t member, uint32_t least)
{
    uint32_t now = *(uint32_t *)(void *)((char *)&s->best->config + member);

    for (uint32_t v = least; v < now; v = v < 4 ? v + 1 : v * 2) {
        struct sim_config c = s->best->config;
        *(uint32_t *)(void *)((char *)&c + member) = v;
        if (try_seeds(s, c))
            return;
    }
}

static void fewer_faults(struct shrink *s)
{
    struct sim_config c = s->best->config;

    c.faults = 0;
    if (c.faults != s->best->config.faults && try_seeds(s, c))
        return;
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        c = s->best->config;
        if (!sim_fault_on(&c, (enum sim_fault)f))
            continue;
        struct sim_config one = {.faults = 1};
        one.faults <<= f;
        c.faults &= ~one.faults;
        (void)try_seeds(s, c);
    }
}

static void shorter(struct shrink *s)
{
    struct sim_config c = s->best->config;

    c.duration_ms = c.duration_ms / 2 + 1;
    (void)try_seeds(s, c);
    c = s->best->config;
    c.think_ms *= 4;
    if (c.think_ms <= THINK_MS_MAX)
        (void)try_seeds(s, c);
    c = s->best->config;
    c.disaster_ms /= 2;
    if (c.disaster_ms >= DISASTER_MS_MIN)
        (void)try_seeds(s, c);
    c = s->best->config;
    c.restart_ms = c.restart_ms / 2 + 1;
    (void)try_seeds(s, c);
}

/* The embedded store has fewer parts; what is the driver's does not break there. */
static void simpler_store(struct shrink *s)
{
    struct sim_config c = s->best->config;

    c.store = SIM_STORE_EMBEDDED;
    if (s->best->config.store != SIM_STORE_EMBEDDED)
        (void)try_seeds(s, c);
}

static void pass(struct shrink *s)
{
    simpler_store(s);
    fewer(s, offsetof(struct sim_config, nodes), SIM_NODES_MIN);
    fewer_faults(s);
    fewer(s, offsetof(struct sim_config, actors), 0);
    fewer(s, offsetof(struct sim_config, echo_actors), 0);
    fewer(s, offsetof(struct sim_config, clients), s->best->config.users ? 0 : 1);
    fewer(s, offsetof(struct sim_config, users), 1);
    fewer(s, offsetof(struct sim_config, dead_for_good), 0);
    shorter(s);
}

int sim_shrink(struct sim_case *c, unsigned seconds, struct shrink_result *out)
{
    struct shrink s = {.best = c, .out = out};
    uint64_t start = now_s();

    *out = (struct shrink_result){.runs = 1};
    s.error = run_child(&c->config, &s.told);
    if (s.error)
        return s.error;
    out->events_before = out->events = s.told.events;
    if (!s.told.broken)
        return KELPIE_E_NOT_FOUND;
    memcpy(c->breaks, s.told.check, sizeof c->breaks);
    if (s.told.at_ms < c->config.duration_ms)
        c->config.duration_ms = s.told.at_ms + PAST_VIOLATION_MS;
    /* A quarter of the time is for other courses of the smallest. */
    s.end_s = start + seconds - seconds / 4;
    do {
        s.improved = false;
        pass(&s);
    } while (s.improved && !time_is_up(&s));
    s.end_s = start + seconds;
    for (uint64_t seed = 1; seed <= LAST_SEEDS_MAX && !time_is_up(&s); seed++) {
        struct sim_config other = c->config;
        other.seed = seed;
        (void)try(&s, &other);
    }
    out->events = s.told.events;
    memcpy(out->text, s.told.text, sizeof out->text);
    return s.error;
}

void report_shrink(const struct sim_case *c, const struct shrink_result *r, const char *file,
                   bool json, struct buf *out)
{
    uint64_t less = r->events_before ? 100 - r->events * 100 / r->events_before : 0;

    if (json) {
        buf_append_u8(out, '{');
        report_json_u64(out, "runs", r->runs);
        report_json_u64(out, "events_before", r->events_before);
        report_json_u64(out, "events", r->events);
        buf_appendf(out, "\"breaks\":\"%s\",\"text\":", c->breaks);
        report_json_string(out, r->text);
        buf_appendf(out, ",\"file\":");
        report_json_string(out, file);
        buf_appendf(out, "}\n");
        return;
    }
    sim_config_to_text(&c->config, out);
    buf_appendf(out, "\nVIOLATION %s: %s\n", c->breaks, r->text);
    buf_appendf(out, "shrunk from %llu to %llu events (%llu%% less) in %llu runs\n",
                (unsigned long long)r->events_before, (unsigned long long)r->events,
                (unsigned long long)less, (unsigned long long)r->runs);
    buf_appendf(out, "reproduce: kelpie-sim replay %s\n", file);
}

int case_load(const char *path, struct sim_case *out, char *why, size_t why_size)
{
    uint8_t *text = malloc(CASE_FILE_MAX + 1);
    FILE *f = fopen(path, "rb");
    int err = KELPIE_E_INVALID;

    CHECK(text);
    size_t len = f ? fread(text, 1, CASE_FILE_MAX + 1, f) : 0;
    if (!f || ferror(f))
        (void)snprintf(why, why_size, "cannot read it: %s", strerror(errno));
    else if (len > CASE_FILE_MAX)
        (void)snprintf(why, why_size, "it is longer than %d bytes", CASE_FILE_MAX);
    else
        err = case_parse(bytes_of(text, len), out, why, why_size);
    if (f)
        (void)fclose(f);
    free(text);
    return err;
}
