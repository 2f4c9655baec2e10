#include "bench_loop.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void on_signal(void *arg)
{
    struct bench_loop *b = arg;

    b->interrupted = true;
    loop_stop(b->loop);
}

void bench_loop_init(struct bench_loop *b)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

    memset(b, 0, sizeof *b);
    b->loop = loop_new();
    if (!b->loop) {
        (void)fprintf(stderr, "bench: cannot make an event loop: %s\n", strerror(errno));
        exit(1);
    }
    b->mem = loop_mem();
    b->clock = loop_clock(b->loop);
    b->timers = loop_timers(b->loop);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        CHECK(loop_on_signal(b->loop, signals[i], on_signal, b) == 0);
}

void bench_loop_deinit(struct bench_loop *b)
{
    loop_free(b->loop);
    b->loop = NULL;
}

uint64_t bench_now_ns(const struct bench_loop *b)
{
    return clock_now_ns(b->clock);
}

/* ---- waiting ---- */

struct wait {
    struct bench_loop *b;
    struct timer timer;
    bool (*done)(void *arg);
    void *arg;
    uint64_t end_ns;
    bool is_done;
};

static void on_look(void *arg)
{
    struct wait *w = arg;
    uint64_t now = bench_now_ns(w->b);
    uint64_t left = w->end_ns > now ? w->end_ns - now : 0;

    w->is_done = w->done && w->done(w->arg);
    if (w->is_done || left == 0)
        loop_stop(w->b->loop);
    else
        timer_start(&w->timer, w->done && left > NS_PER_MS ? NS_PER_MS : left);
}

bool bench_wait(struct bench_loop *b, bool (*done)(void *arg), void *arg, uint64_t timeout_ms)
{
    struct wait w = {.b = b, .done = done, .arg = arg};

    if (b->interrupted)
        return false;
    w.end_ns = bench_now_ns(b) + timeout_ms * NS_PER_MS;
    timer_init(&w.timer, b->timers, "bench_wait", on_look, &w);
    timer_start(&w.timer, 0);
    loop_run(b->loop);
    timer_stop(&w.timer);
    return w.is_done && !b->interrupted;
}

bool bench_sleep(struct bench_loop *b, uint64_t ms)
{
    (void)bench_wait(b, NULL, NULL, ms);
    return !b->interrupted;
}

/* ---- requests ---- */

/* Outlives bench_request when that was interrupted. */
struct request {
    struct bench_loop *b;
    struct bench_answer answer;
    const char *metric; /* NULL: the body is JSON */
    double number;
    bool is_done;
    bool is_abandoned;
};

/* The number in the line that begins with `name`; 0: there is none. */
static double number_of(struct bytes body, const char *name)
{
    size_t len = strlen(name);
    double number = 0;

    for (size_t at = 0; at + len < body.len; at++) {
        const char *line = (const char *)body.data + at;
        char text[32];
        size_t n = body.len - at - len - 1;
        if ((at > 0 && line[-1] != '\n') || memcmp(line, name, len) != 0 || line[len] != ' ')
            continue;
        n = n < sizeof text - 1 ? n : sizeof text - 1;
        memcpy(text, line + len + 1, n);
        text[n] = '\0';
        number = strtod(text, NULL);
    }
    return number;
}

static void on_answer(void *arg, const struct http_response *response)
{
    struct request *r = arg;

    if (r->is_abandoned) {
        mem_free(r->b->mem, r);
        return;
    }
    r->is_done = true;
    r->answer.error = response->error;
    r->answer.status = response->status;
    if (r->metric)
        r->number = number_of(response->body, r->metric);
    else if (!response->error && response->body.len)
        r->answer.json = json_loadb((const char *)response->body.data, response->body.len,
                                    JSON_DECODE_ANY, NULL);
    loop_stop(r->b->loop);
}

/* The answer, whose `*number` is that metric's. */
static struct bench_answer ask(struct bench_loop *b, struct http_client *client, const char *method,
                               const char *path, struct bytes body, const char *metric,
                               double *number)
{
    struct request *r = MEM_NEW(b->mem, struct request);
    struct bench_answer answer = {.error = -1};

    r->b = b;
    r->metric = metric;
    http_client_send(client, method, path, NULL, body, BENCH_HTTP_MS, on_answer, r);
    while (!r->is_done && !b->interrupted)
        loop_run(b->loop);
    if (r->is_done) {
        answer = r->answer;
        *number = r->number;
        mem_free(b->mem, r);
    } else {
        r->is_abandoned = true;
    }
    return answer;
}

struct bench_answer bench_request(struct bench_loop *b, struct http_client *client,
                                  const char *method, const char *path, struct bytes body)
{
    double number;

    return ask(b, client, method, path, body, NULL, &number);
}

double bench_metric(struct bench_loop *b, struct http_client *client, const char *name)
{
    double number = 0;

    (void)ask(b, client, "GET", "/metrics", bytes_of(NULL, 0), name, &number);
    return number;
}

json_t *bench_get(struct bench_loop *b, struct http_client *client, const char *path)
{
    struct bench_answer answer = bench_request(b, client, "GET", path, bytes_of(NULL, 0));

    if (answer.error || answer.status != 200) {
        json_decref(answer.json);
        return NULL;
    }
    return answer.json;
}

/* ---- options ---- */

uint64_t bench_number(const char *program, const char *option, const char *text, uint64_t min,
                      uint64_t max)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || v < min || v > max) {
        (void)fprintf(stderr, "%s: %s is a number from %" PRIu64 " to %" PRIu64 ", not '%s'\n",
                      program, option, min, max, text);
        exit(2);
    }
    return v;
}

/* ---- measurements ---- */

void samples_init(struct samples *s, struct mem mem)
{
    memset(s, 0, sizeof *s);
    s->mem = mem;
}

void samples_deinit(struct samples *s)
{
    mem_free(s->mem, s->values);
    samples_init(s, s->mem);
}

void samples_add(struct samples *s, double value)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->values = mem_resize(s->mem, s->values, s->cap * sizeof s->values[0]);
    }
    s->values[s->count++] = value;
    s->sorted = false;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double samples_percentile(struct samples *s, double percent)
{
    double rank = percent / 100.0 * (double)s->count;
    size_t i;

    if (s->count == 0)
        return 0;
    if (!s->sorted)
        qsort(s->values, s->count, sizeof s->values[0], compare);
    s->sorted = true;
    i = (size_t)rank;
    if ((double)i < rank)
        i++;
    i = i ? i - 1 : 0;
    return s->values[i < s->count ? i : s->count - 1];
}

double samples_percentile_from(const struct samples *s, size_t from, double percent)
{
    struct samples part;
    double value;

    CHECK(!s->sorted && from <= s->count);
    samples_init(&part, s->mem);
    for (size_t i = from; i < s->count; i++)
        samples_add(&part, s->values[i]);
    value = samples_percentile(&part, percent);
    samples_deinit(&part);
    return value;
}

/* One digit after the point is plenty for milliseconds. */
static json_t *rounded(double value)
{
    return json_real((double)(long long)(value * 10 + 0.5) / 10);
}

json_t *samples_json(struct samples *s)
{
    if (s->count == 0)
        return json_null();
    return json_pack("{s:o,s:o,s:o,s:o}", "min", rounded(samples_percentile(s, 0)), "median",
                     rounded(samples_percentile(s, 50)), "p95", rounded(samples_percentile(s, 95)),
                     "max", rounded(samples_percentile(s, 100)));
}
