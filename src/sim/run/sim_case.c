#include "sim/run/sim_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/actor.h"
#include "actor/remember.h"
#include "kelpie/error.h"

#define FIRST_LINE "kelpie-sim case 1"
#define LAST_LINE "end"
#define LINE_MAX_BYTES 512

/* X(name, member, least, most) */
#define CASE_FIELDS(X)                                                                             \
    X("nodes", nodes, SIM_NODES_MIN, SIM_NODES_MAX)                                                \
    X("actors", actors, 0, SIM_ACTORS_MAX)                                                         \
    X("echo", echo_actors, 0, SIM_ACTORS_MAX)                                                      \
    X("clients", clients, 0, SIM_CLIENTS_MAX)                                                      \
    X("dead_for_good", dead_for_good, 0, SIM_NODES_MAX)                                            \
    X("lease_ms", timing.lease_ms, 1, 600000)                                                      \
    X("heartbeat_ms", timing.heartbeat_ms, 1, 600000)                                              \
    X("rpc_ms", timing.rpc_timeout_ms, 1, 600000)                                                  \
    X("forget_ms", timing.forget_after_ms, 1, 86400000)                                            \
    X("left_kept", timing.left_kept, 0, 1024)                                                      \
    X("drain_ms", timing.drain_deadline_ms, 1, 86400000)                                           \
    X("supervised", supervised, 0, (1u << SIM_NODES_MAX) - 1)                                      \
    X("drift_ppm", drift_ppm_max, 0, DRIFT_PERCENT * 10000)                                        \
    X("think_ms", think_ms, 1, 600000)                                                             \
    X("deadline_ms", call_deadline_ms, 1, 600000)                                                  \
    X("idle_ms", idle_ms, 1, 86400000)                                                             \
    X("net_delay_us", net_delay_us, 0, 10000000)                                                   \
    X("net_jitter_us", net_jitter_us, 0, 10000000)                                                 \
    X("net_tail", net_tail_per_1024, 0, 1024)                                                      \
    X("loss", loss_per_1024, 0, 1024)                                                              \
    X("duplicate", duplicate_per_1024, 0, 1024)                                                    \
    X("reorder", reorder_per_1024, 0, 1024)                                                        \
    X("store_delay_us", store_delay_us, 0, 10000000)                                               \
    X("store_jitter_us", store_jitter_us, 0, 10000000)                                             \
    X("store_batch_us", store_batch_us, 0, 10000000)                                               \
    X("slow", slow_per_1024, 0, 1024)                                                              \
    X("slow_ms", slow_ms_max, 1, 600000)                                                           \
    X("read_fail", read_fail_per_1024, 0, 1024)                                                    \
    X("write_fail", write_fail_per_1024, 0, 1024)                                                  \
    X("conflict", conflict_per_1024, 0, 1024)                                                      \
    X("too_old", too_old_per_1024, 0, 1024)                                                        \
    X("unknown", unknown_per_1024, 0, 1024)                                                        \
    X("late", late_per_1024, 0, 1024)                                                              \
    X("late_ms", late_ms_max, 1, 600000)                                                           \
    X("watch_lost", watch_lost_per_16, 0, 16)                                                      \
    X("watch_spurious", watch_spurious_per_16, 0, 16)                                              \
    X("disaster_ms", disaster_ms, 1, 86400000)                                                     \
    X("restart_ms", restart_ms, 1, 86400000)                                                       \
    X("fault_ms", fault_ms_max, 1, 86400000)                                                       \
    X("crash", crash_per_1024, 0, 1024)                                                            \
    X("throttle_ms", throttle_ms_max, 1, 600000)                                                   \
    X("corrupt", corrupt_per_4096, 0, 4096)                                                        \
    X("allocations_log2", allocations_log2_max, 6, 40)                                             \
    X("skew_ppm", skew_ppm_max, 1, 90000)                                                          \
    X("wall_jump_s", wall_jump_s, 0, 1u << 30)                                                     \
    X("guests", guests, 0, SIM_GUESTS_MAX)                                                         \
    X("order_ms", order_ms, 1, 86400000)                                                           \
    X("trials", trial_actors, 0, SIM_TRIALS_MAX)                                                   \
    X("special", special_per_64, 0, 64)                                                            \
    X("slow_handler_ms", slow_handler_ms, 1, 600000)                                               \
    X("burst_ms", burst_ms, 1, 86400000)                                                           \
    X("aim", aim_per_16, 0, 16)                                                                    \
    X("room", room, 0, SIM_ACTORS_MAX)                                                             \
    X("successors", successors, 0, SIM_SUCCESSORS_MAX)                                             \
    X("mailbox", mailbox, 0, MAILBOX_MAX)                                                          \
    X("trial_hosts", trial_hosts, 0, SIM_ALL_NODES)                                                \
    X("posts", posts, 0, SIM_POSTS_MAX)                                                            \
    X("waiting", waiting, 0, 100000)                                                               \
    X("links", links, 0, SIM_LINKS_MAX)                                                            \
    X("sessions", sessions, 0, SIM_SESSIONS_MAX)                                                   \
    X("deadly", deadly, 0, SIM_DEADLY_MAX)                                                         \
    X("quarantine_ms", timing.quarantine_ms, 1, 86400000)                                          \
    X("users", users, 0, SIM_USERS_MAX)                                                            \
    X("deaf", deaf, 0, 1)                                                                          \
    X("slow_in", slow_in, 0, 1024)                                                                 \
    X("remembered", remembered, 0, REMEMBERED_IDS_MAX)                                             \
    X("windows", windows, 0, 1)                                                                    \
    X("types_ms", types_ms, 0, 86400000)                                                           \
    X("linger_ms", linger_ms, 1, 86400000)                                                         \
    X("version_ms", version_ms, 0, 86400000)

struct case_field {
    const char *name;
    size_t at;
    uint64_t least, most;
};

static const struct case_field fields[] = {
#define CASE_FIELD(name, member, least, most)                                                      \
    {name, offsetof(struct sim_config, member), least, most},
    CASE_FIELDS(CASE_FIELD)
#undef CASE_FIELD
};

#define CASE_FIELD(name, member, least, most)                                                      \
    _Static_assert(sizeof(((struct sim_config *)0)->member) == sizeof(uint32_t), name);
CASE_FIELDS(CASE_FIELD)
#undef CASE_FIELD

static uint32_t *field_of(struct sim_config *c, const struct case_field *f)
{
    return (uint32_t *)(void *)((char *)c + f->at);
}

static void text_line(struct buf *out, const char *name, const char *value)
{
    if (value[0])
        buf_appendf(out, "%s=%s\n", name, value);
}

void case_to_text(const struct sim_case *c, struct buf *out)
{
    struct sim_config config = c->config;
    const char *sep = "";

    buf_appendf(out, FIRST_LINE "\n");
    if (c->mutant[0])
        buf_appendf(out, "mutant=%s\n", c->mutant);
    text_line(out, "actors_file", c->actors_file);
    text_line(out, "worker", c->worker);
    text_line(out, "workload", c->workload);
    buf_appendf(out, "breaks=%s\nseed=%llu\nstore=%s\nduration_ms=%llu\nfaults=", c->breaks,
                (unsigned long long)config.seed, sim_store_name(config.store),
                (unsigned long long)config.duration_ms);
    if (!config.faults)
        buf_appendf(out, "none");
    for (unsigned f = 0; f < FAULT_COUNT; f++) {
        if (!sim_fault_on(&config, (enum sim_fault)f))
            continue;
        buf_appendf(out, "%s%s", sep, sim_fault_name((enum sim_fault)f));
        sep = ",";
    }
    buf_append_u8(out, '\n');
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        buf_appendf(out, "%s=%u\n", fields[i].name, *field_of(&config, &fields[i]));
    buf_appendf(out, LAST_LINE "\n");
}

static bool number(const char *text, uint64_t *out)
{
    *out = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return true;
}

static bool take_text(char *out, size_t size, const char *value)
{
    size_t len = strlen(value);

    if (len == 0 || len >= size)
        return false;
    memcpy(out, value, len + 1);
    return true;
}

static int set_store(struct sim_config *c, const char *value, char *why, size_t why_size)
{
    for (uint32_t kind = 0; kind < SIM_STORE_KINDS; kind++) {
        if (strcmp(value, sim_store_name(kind)) != 0)
            continue;
        c->store = kind;
        return 0;
    }
    (void)snprintf(why, why_size, "store must be fdb or embedded, not '%.60s'", value);
    return KELPIE_E_INVALID;
}

int case_set(struct sim_config *c, const char *name, const char *value, char *why, size_t why_size)
{
    uint64_t v;

    if (strcmp(name, "store") == 0)
        return set_store(c, value, why, why_size);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct case_field *f = &fields[i];
        if (strcmp(name, f->name) != 0)
            continue;
        if (!number(value, &v) || v < f->least || v > f->most) {
            (void)snprintf(why, why_size, "%s must be %llu to %llu, not '%.60s'", name,
                           (unsigned long long)f->least, (unsigned long long)f->most, value);
            return KELPIE_E_INVALID;
        }
        *field_of(c, f) = (uint32_t)v;
        return 0;
    }
    (void)snprintf(why, why_size, "there is no value named '%.60s'", name);
    return KELPIE_E_INVALID;
}

void case_values_to_text(struct buf *out)
{
    buf_appendf(out, "%-18s %8s %10s\n", "name", "least", "most");
    buf_appendf(out, "%-18s %8s %10s\n", "store", "fdb", "embedded");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        buf_appendf(out, "%-18s %8llu %10llu\n", fields[i].name,
                    (unsigned long long)fields[i].least, (unsigned long long)fields[i].most);
}

/* One line `name=value`; `seed` comes before what it would draw anew. */
static int take_line(struct sim_case *c, char *line, bool *seeded, char *why, size_t why_size)
{
    char *value = strchr(line, '=');
    bool ok;
    uint64_t seed;

    if (!value) {
        (void)snprintf(why, why_size, "the line '%.60s' is not name=value", line);
        return KELPIE_E_INVALID;
    }
    *value++ = '\0';
    if (strcmp(line, "mutant") == 0) {
        ok = take_text(c->mutant, sizeof c->mutant, value);
    } else if (strcmp(line, "breaks") == 0) {
        ok = take_text(c->breaks, sizeof c->breaks, value);
    } else if (strcmp(line, "actors_file") == 0) {
        ok = take_text(c->actors_file, sizeof c->actors_file, value);
    } else if (strcmp(line, "worker") == 0) {
        ok = take_text(c->worker, sizeof c->worker, value);
    } else if (strcmp(line, "workload") == 0) {
        ok = take_text(c->workload, sizeof c->workload, value);
    } else if (strcmp(line, "seed") == 0) {
        ok = number(value, &seed) && !*seeded;
        if (ok)
            sim_config_draw(&c->config, seed);
        /* As it was when files did not name these yet. */
        c->config.store = SIM_STORE_EMBEDDED;
        c->config.aim_per_16 = c->config.room = c->config.mailbox = c->config.links = 0;
        c->config.successors = c->config.posts = c->config.sessions = c->config.users = 0;
        c->config.deadly = 0;
        c->config.trial_hosts = SIM_ALL_NODES;
        c->config.slow_in = c->config.remembered = c->config.windows = c->config.deaf = 0;
        c->config.types_ms = 0;
        *seeded = true;
    } else if (!*seeded) {
        (void)snprintf(why, why_size, "'%.60s' comes before the seed", line);
        return KELPIE_E_INVALID;
    } else if (strcmp(line, "faults") == 0) {
        return sim_faults_parse(value, &c->config.faults, why, why_size);
    } else if (strcmp(line, "duration_ms") == 0) {
        ok = number(value, &c->config.duration_ms);
    } else {
        return case_set(&c->config, line, value, why, why_size);
    }
    if (ok)
        return 0;
    (void)snprintf(why, why_size, "'%.60s' is not a value of %.60s", value, line);
    return KELPIE_E_INVALID;
}

static bool next_line(struct bytes *text, char line[LINE_MAX_BYTES])
{
    size_t len = 0;

    while (len < text->len && text->data[len] != '\n')
        len++;
    if (len == text->len || len >= LINE_MAX_BYTES)
        return false;
    memcpy(line, text->data, len);
    line[len] = '\0';
    *text = bytes_of(text->data + len + 1, text->len - len - 1);
    return true;
}

/* Whether a later line gives the same name another value. */
static bool comes_again(const char *line, struct bytes rest)
{
    char later[LINE_MAX_BYTES];
    size_t len = strcspn(line, "=");

    while (line[len] && next_line(&rest, later))
        if (strncmp(line, later, len + 1) == 0)
            return true;
    return false;
}

int case_parse(struct bytes text, struct sim_case *c, char *why, size_t why_size)
{
    char line[LINE_MAX_BYTES];
    bool seeded = false, ended = false;

    *c = (struct sim_case){.breaks = "nothing"};
    if (!next_line(&text, line) || strcmp(line, FIRST_LINE) != 0) {
        (void)snprintf(why, why_size, "the first line is not '" FIRST_LINE "'");
        return KELPIE_E_INVALID;
    }
    while (!ended && next_line(&text, line)) {
        ended = strcmp(line, LAST_LINE) == 0;
        if (ended || line[0] == '#' || line[0] == '\0')
            continue;
        if (comes_again(line, text)) {
            (void)snprintf(why, why_size, "it says '%.*s' twice", (int)strcspn(line, "="), line);
            return KELPIE_E_INVALID;
        }
        if (take_line(c, line, &seeded, why, why_size))
            return KELPIE_E_INVALID;
    }
    if (!ended || !seeded || text.len > 0) {
        (void)snprintf(why, why_size, "the file is damaged: %s",
                       !ended    ? "it has no end"
                       : !seeded ? "it has no seed"
                                 : "it goes on");
        return KELPIE_E_INVALID;
    }
    return sim_config_check(&c->config, why, why_size);
}
