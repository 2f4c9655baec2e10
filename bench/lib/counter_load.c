#include "counter_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "kelpie/error.h"

#define PAUSE_MS_MAX 20 /* between attempts of one call */
#define SETTLE_MS 60000
#define PATH_MAX_LEN 128

/* An attempt on its way. Calls are answered by whichever attempt is. */
struct attempt {
    struct load_counter *counter;
    size_t endpoint;
    uint64_t sent_ns;
};

static void send_attempt(struct load_counter *c);

/* ---- which nodes are worth asking ---- */

static void on_probed(void *arg, const struct http_response *response)
{
    struct load_endpoint *e = arg;

    e->is_asked = false;
    if (response->error == KELPIE_E_CANCELLED)
        return;
    e->is_ready = response->error == 0 && response->status == 200;
    if (e->load->is_running)
        timer_start(&e->probe, LOAD_PROBE_MS * NS_PER_MS);
}

static void on_probe_due(void *arg)
{
    struct load_endpoint *e = arg;

    e->is_asked = true;
    http_client_send(e->load->nodes->node[e->index].client, "GET", "/readyz", NULL,
                     bytes_of(NULL, 0), LOAD_PROBE_TIMEOUT_MS, on_probed, e);
}

/* The next ready node after the one asked last; any when none is ready. */
static size_t choose(const struct counter_load *load, size_t last)
{
    size_t count = load->nodes->count;

    for (size_t i = 1; i <= count; i++) {
        size_t k = (last + i) % count;

        if (load->endpoints[k].is_ready)
            return k;
    }
    return (last + 1) % count;
}

/* ---- calls ---- */

static void note_error(struct counter_load *load, const char *name)
{
    size_t i = 0;

    while (i < load->error_count && strcmp(load->errors[i].name, name) != 0)
        i++;
    if (i == LOAD_ERRORS_MAX)
        return;
    if (i == load->error_count) {
        load->error_count++;
        (void)snprintf(load->errors[i].name, sizeof load->errors[i].name, "%s", name);
    }
    load->errors[i].count++;
}

static void begin_call(struct load_counter *c)
{
    c->is_busy = true;
    c->call++;
    c->attempt = 0;
    c->has_failed = false;
    c->begun_ns = bench_now_ns(c->load->nodes->b);
    send_attempt(c);
}

static void acknowledge(struct load_counter *c, uint64_t sent_ns, struct bytes body)
{
    struct counter_load *load = c->load;
    char text[32];

    c->acknowledged++;
    load->acknowledged++;
    (void)snprintf(text, sizeof text, "%" PRIu64, c->acknowledged);
    if (!bytes_equal(body, bytes_of_str(text))) {
        load->wrong_replies++;
        (void)fprintf(stderr, "bench: %s call %" PRIu64 ": reply '%.*s', expected '%s'\n", c->id,
                      c->call, (int)(body.len < 40 ? body.len : 40), (const char *)body.data, text);
    }
    if (load->mark_ns && !c->answered_ns && sent_ns > load->mark_ns)
        c->answered_ns = bench_now_ns(load->nodes->b);
    c->is_busy = false;
    if (load->is_running)
        begin_call(c);
}

static void count_failed(struct load_counter *c, const char *why)
{
    if (c->has_failed)
        return;
    c->has_failed = true;
    c->load->failed_calls++;
    (void)fprintf(stderr, "bench: %s call %" PRIu64 " failed: %s\n", c->id, c->call, why);
}

/* Notes what an answer with an error says; true when it may be repeated. */
static bool read_error(struct load_counter *c, const struct http_response *r)
{
    json_t *json = json_loadb((const char *)r->body.data, r->body.len, 0, NULL);
    const char *name = json_string_value(json_object_get(json, "error"));
    bool may_repeat = json_is_true(json_object_get(json, "retry"));
    char why[160];

    c->load->error_answers++;
    note_error(c->load, name ? name : "no_json");
    if (!may_repeat) {
        (void)snprintf(why, sizeof why, "status %d from %s: %.*s", r->status,
                       c->load->nodes->node[c->at].id, (int)(r->body.len < 100 ? r->body.len : 100),
                       (const char *)r->body.data);
        count_failed(c, why);
    }
    json_decref(json);
    return may_repeat;
}

static void on_answer(void *arg, const struct http_response *r)
{
    struct attempt *attempt = arg;
    struct load_counter *c = attempt->counter;
    struct counter_load *load = c->load;
    uint64_t sent_ns = attempt->sent_ns;
    uint64_t pause_ms = 0;

    if (r->error == KELPIE_E_UNREACHABLE)
        load->endpoints[attempt->endpoint].is_ready = false;
    mem_free(load->nodes->b->mem, attempt);
    if (r->error == KELPIE_E_CANCELLED)
        return;
    if (r->error == 0 && r->status == 200) {
        acknowledge(c, sent_ns, r->body);
        return;
    }
    if (r->error)
        note_error(load, r->error == KELPIE_E_TIMEOUT ? "no_answer" : "connection_lost");
    else if (!read_error(c, r))
        pause_ms = PAUSE_MS_MAX; /* it is repeated all the same, to know how it ended */
    if (bench_now_ns(load->nodes->b) - c->begun_ns > LOAD_CALL_S * NS_PER_S)
        count_failed(c, "no success in time");
    c->attempt++;
    load->repeated++;
    if (c->attempt > 1)
        pause_ms = c->attempt < PAUSE_MS_MAX ? c->attempt : PAUSE_MS_MAX;
    timer_start(&c->retry, pause_ms * NS_PER_MS);
}

static void send_attempt(struct load_counter *c)
{
    struct counter_load *load = c->load;
    struct attempt *attempt = MEM_NEW(load->nodes->b->mem, struct attempt);
    char path[PATH_MAX_LEN], request_id[64];

    c->at = choose(load, c->at);
    c->sent_ns = bench_now_ns(load->nodes->b);
    attempt->counter = c;
    attempt->endpoint = c->at;
    attempt->sent_ns = c->sent_ns;
    (void)snprintf(path, sizeof path, "/v1/actors/counter/%s/add?age_ms=%llu", c->id,
                   (unsigned long long)((c->sent_ns - c->begun_ns + NS_PER_MS - 1) / NS_PER_MS));
    (void)snprintf(request_id, sizeof request_id, "%s-%" PRIu64, c->id, c->call);
    http_client_send(load->nodes->node[c->at].client, "POST", path, request_id, bytes_of("1", 1),
                     load->attempt_ms, on_answer, attempt);
}

static void on_retry_due(void *arg)
{
    send_attempt(arg);
}

/* ---- the whole ---- */

void load_init(struct counter_load *load, struct bench_nodes *nodes, size_t count,
               uint64_t attempt_ms)
{
    CHECK(count > 0 && count <= LOAD_COUNTERS_MAX);
    memset(load, 0, sizeof *load);
    load->nodes = nodes;
    load->attempt_ms = attempt_ms;
    load->count = count;
    load->counters = MEM_NEW_ARRAY(nodes->b->mem, struct load_counter, count);
    for (size_t i = 0; i < count; i++) {
        struct load_counter *c = &load->counters[i];

        c->load = load;
        timer_init(&c->retry, nodes->b->timers, "load_retry", on_retry_due, c);
    }
    for (size_t i = 0; i < nodes->count; i++) {
        struct load_endpoint *e = &load->endpoints[i];

        e->load = load;
        e->index = i;
        timer_init(&e->probe, nodes->b->timers, "load_probe", on_probe_due, e);
    }
}

void load_deinit(struct counter_load *load)
{
    for (size_t i = 0; i < load->count; i++)
        timer_stop(&load->counters[i].retry);
    for (size_t i = 0; i < load->nodes->count; i++)
        timer_stop(&load->endpoints[i].probe);
    mem_free(load->nodes->b->mem, load->counters);
}

void load_start(struct counter_load *load, const char *name)
{
    load->is_running = true;
    load->mark_ns = 0;
    for (size_t i = 0; i < load->nodes->count; i++) {
        load->endpoints[i].is_ready = true;
        if (!load->endpoints[i].is_asked)
            timer_start(&load->endpoints[i].probe, 0);
    }
    for (size_t i = 0; i < load->count; i++) {
        struct load_counter *c = &load->counters[i];

        CHECK(!c->is_busy);
        (void)snprintf(c->id, sizeof c->id, "%s-%zu", name, i);
        c->acknowledged = c->applied = c->call = c->answered_ns = 0;
        c->is_settled = c->is_marked = false;
        c->at = i % load->nodes->count;
        begin_call(c);
    }
}

bool load_is_steady(const struct counter_load *load, uint64_t answers)
{
    for (size_t i = 0; i < load->count; i++) {
        if (load->counters[i].acknowledged < answers)
            return false;
    }
    return true;
}

void load_mark(struct counter_load *load)
{
    load->mark_ns = bench_now_ns(load->nodes->b);
}

bool load_marked_answered(const struct counter_load *load)
{
    for (size_t i = 0; i < load->count; i++) {
        if (load->counters[i].is_marked && !load->counters[i].answered_ns)
            return false;
    }
    return true;
}

static bool is_quiet(void *arg)
{
    const struct counter_load *load = arg;

    for (size_t i = 0; i < load->count; i++) {
        if (load->counters[i].is_busy)
            return false;
    }
    return true;
}

static bool read_value(struct counter_load *load, struct load_counter *c)
{
    struct bench_nodes *nodes = load->nodes;
    char path[PATH_MAX_LEN];

    (void)snprintf(path, sizeof path, "/v1/actors/counter/%s/get", c->id);
    for (size_t tries = 0; tries < 10 * nodes->count && !c->is_settled; tries++) {
        struct bench_answer a = bench_request(nodes->b, nodes->node[tries % nodes->count].client,
                                              "POST", path, bytes_of(NULL, 0));

        if (!a.error && a.status == 200 && json_is_integer(a.json)) {
            c->applied = (uint64_t)json_integer_value(a.json);
            c->is_settled = true;
        } else if (!bench_sleep(nodes->b, 50)) {
            tries = 10 * nodes->count;
        }
        json_decref(a.json);
    }
    return c->is_settled;
}

bool load_settle(struct counter_load *load)
{
    bool all;

    load->is_running = false;
    all = bench_wait(load->nodes->b, is_quiet, load, SETTLE_MS);
    for (size_t i = 0; all && i < load->count; i++)
        all = read_value(load, &load->counters[i]);
    return all;
}

struct load_counter *load_find(struct counter_load *load, const char *id)
{
    for (size_t i = 0; i < load->count; i++) {
        if (strcmp(load->counters[i].id, id) == 0)
            return &load->counters[i];
    }
    return NULL;
}

json_t *load_errors_json(const struct counter_load *load)
{
    json_t *out = json_object();

    for (size_t i = 0; i < load->error_count; i++)
        (void)json_object_set_new(out, load->errors[i].name,
                                  json_integer((json_int_t)load->errors[i].count));
    return out;
}
