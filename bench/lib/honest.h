/* Clients that mean well: each adds to a counter of its own, is answered, pauses, and adds again. */
#ifndef KELPIE_BENCH_LIB_HONEST_H
#define KELPIE_BENCH_LIB_HONEST_H

#include "bench_loop.h"

#define HONEST_COUNTERS_MAX 100
#define HONEST_SERVERS_MAX 3
#define HONEST_PAUSE_MS 100
#define HONEST_ANSWER_MS 20000

struct honest;

struct honest_counter {
    struct honest *all;
    unsigned number;
    bool is_busy;
    uint64_t sent_ns;
    struct timer pause;
};

struct honest {
    struct bench_loop *b;
    struct http_client *clients[HONEST_SERVERS_MAX];
    size_t client_count;
    size_t count;
    struct honest_counter counters[HONEST_COUNTERS_MAX];
    bool is_running, is_measured;
    /* Of what was answered while it was measured: */
    struct samples latencies; /* ms, of those that were answered with 200 */
    uint64_t ok, failed;
};

/* The clients stay the caller's, who frees them after honest_deinit. */
void honest_init(struct honest *h, struct bench_loop *b, struct http_client *const *clients,
                 size_t client_count, size_t count);
void honest_deinit(struct honest *h);
void honest_start(struct honest *h);
/* Takes down what is answered from now on, or no more. */
void honest_measure(struct honest *h, bool on);
/* Starts no more and waits for what is under way. False when that did not end. */
bool honest_stop(struct honest *h);

#endif
