/*
 * What the benches that start processes share: an event loop that sequential code waits on, HTTP
 * requests with a JSON answer, options, and percentiles.
 */
#ifndef KELPIE_BENCH_LIB_BENCH_LOOP_H
#define KELPIE_BENCH_LIB_BENCH_LOOP_H

#include <jansson.h>

#include "loop/http_client.h"
#include "loop/loop.h"

#define BENCH_HTTP_MS 2000

struct bench_loop {
    struct loop *loop;
    struct mem mem;
    struct clock clock;
    struct timers timers;
    bool interrupted; /* SIGINT, SIGTERM or SIGHUP came: wait no longer */
};

/* Ends the process with a sentence when the system refuses a loop. */
void bench_loop_init(struct bench_loop *b);
/* No timer of the caller's may be armed any more. */
void bench_loop_deinit(struct bench_loop *b);
uint64_t bench_now_ns(const struct bench_loop *b);

/* Lets the loop run for a while. False when it was interrupted. */
bool bench_sleep(struct bench_loop *b, uint64_t ms);
/* Lets the loop run until `done(arg)`, which is asked every millisecond, is true. False when that
 * did not come about in time, or when interrupted. */
bool bench_wait(struct bench_loop *b, bool (*done)(void *arg), void *arg, uint64_t timeout_ms);

struct bench_answer {
    int error;    /* as in struct http_response */
    int status;   /* HTTP */
    json_t *json; /* to be released; NULL when the body is none */
};

/* One request; the loop runs until it is answered. Nothing in `json` when interrupted. */
struct bench_answer bench_request(struct bench_loop *b, struct http_client *client,
                                  const char *method, const char *path, struct bytes body);
/* The JSON of a GET that answered 200, or NULL. */
json_t *bench_get(struct bench_loop *b, struct http_client *client, const char *path);

/* What /metrics says of a metric without labels; 0 when it does not. `name` outlives an interrupted loop. */
double bench_metric(struct bench_loop *b, struct http_client *client, const char *name);

/* The number that an option was given; ends the process with a sentence and status 2 when it is none
 * or out of bounds. */
uint64_t bench_number(const char *program, const char *option, const char *text, uint64_t min,
                      uint64_t max);

/* A growing list of measurements. */
struct samples {
    struct mem mem;
    double *values;
    size_t count;
    size_t cap;
    bool sorted;
};

void samples_init(struct samples *s, struct mem mem);
void samples_deinit(struct samples *s);
void samples_add(struct samples *s, double value);
/* The nearest rank; 0 <= percent <= 100; 0 when there is none. */
double samples_percentile(struct samples *s, double percent);
/* Of those from the one at `from` on, in the order in which they came: before any other percentile is asked. */
double samples_percentile_from(const struct samples *s, size_t from, double percent);
/* {"min":…,"median":…,"p95":…,"max":…}; null when there is none. */
json_t *samples_json(struct samples *s);

#endif
