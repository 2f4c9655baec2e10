/*
 * The baseline for calls over HTTP: a bare TCP echo on the same event loop, over as many connections
 * as there are calls in flight, one message on each. Nothing is parsed, matched or routed.
 */
#ifndef KELPIE_BENCH_LIB_ECHO_CONNS_H
#define KELPIE_BENCH_LIB_ECHO_CONNS_H

#include "bench_loop.h"

/* The other side runs in a thread. Latencies in us go to `out`. False when the system refuses, or
 * when interrupted. */
bool echo_conns_run(struct bench_loop *b, size_t connections, size_t message_len, uint64_t ms,
                    struct samples *out);

#endif
