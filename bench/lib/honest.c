#include "honest.h"

#include <stdio.h>
#include <string.h>

static void ask(struct honest_counter *c);

static void on_pause_over(void *arg)
{
    struct honest_counter *c = arg;

    if (c->all->is_running)
        ask(c);
}

static void on_answer(void *arg, const struct http_response *r)
{
    struct honest_counter *c = arg;
    struct honest *h = c->all;

    c->is_busy = false;
    if (h->is_measured && (r->error || r->status != 200)) {
        h->failed++;
    } else if (h->is_measured) {
        h->ok++;
        samples_add(&h->latencies, (double)(bench_now_ns(h->b) - c->sent_ns) / 1e6);
    }
    if (h->is_running)
        timer_start(&c->pause, HONEST_PAUSE_MS * NS_PER_MS);
}

static void ask(struct honest_counter *c)
{
    struct honest *h = c->all;
    char path[64];

    (void)snprintf(path, sizeof path, "/v1/actors/counter/honest-%u/add", c->number);
    c->is_busy = true;
    c->sent_ns = bench_now_ns(h->b);
    http_client_send(h->clients[c->number % h->client_count], "POST", path, NULL, bytes_of_str("1"),
                     HONEST_ANSWER_MS, on_answer, c);
}

void honest_init(struct honest *h, struct bench_loop *b, struct http_client *const *clients,
                 size_t client_count, size_t count)
{
    CHECK(count <= HONEST_COUNTERS_MAX && client_count > 0 && client_count <= HONEST_SERVERS_MAX);
    memset(h, 0, sizeof *h);
    h->b = b;
    h->client_count = client_count;
    h->count = count;
    memcpy(h->clients, clients, client_count * sizeof *clients);
    samples_init(&h->latencies, b->mem);
    for (unsigned i = 0; i < count; i++) {
        h->counters[i].all = h;
        h->counters[i].number = i;
        timer_init(&h->counters[i].pause, b->timers, "honest", on_pause_over, &h->counters[i]);
    }
}

void honest_deinit(struct honest *h)
{
    for (size_t i = 0; i < h->count; i++)
        timer_stop(&h->counters[i].pause);
    samples_deinit(&h->latencies);
}

/* They begin one after the other, not all at once. */
void honest_start(struct honest *h)
{
    h->is_running = true;
    for (size_t i = 0; i < h->count; i++)
        timer_start(&h->counters[i].pause, i * HONEST_PAUSE_MS * NS_PER_MS / h->count);
}

void honest_measure(struct honest *h, bool on)
{
    h->is_measured = on;
}

static bool is_quiet(void *arg)
{
    const struct honest *h = arg;

    for (size_t i = 0; i < h->count; i++)
        if (h->counters[i].is_busy)
            return false;
    return true;
}

bool honest_stop(struct honest *h)
{
    h->is_running = false;
    for (size_t i = 0; i < h->count; i++)
        timer_stop(&h->counters[i].pause);
    return bench_wait(h->b, is_quiet, h, HONEST_ANSWER_MS + 5000);
}
