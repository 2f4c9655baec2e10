/*
 * A client that keeps one `add 1` outstanding on each of some counters, through all nodes, and keeps
 * account of what was acknowledged. A call that fails in a way that may be repeated is repeated with
 * its request id at another node until it is answered.
 *
 * Nodes are probed (/readyz) as a load balancer does: one that refuses, does not answer or says that
 * it is not ready is asked only when none is ready.
 */
#ifndef KELPIE_BENCH_LIB_COUNTER_LOAD_H
#define KELPIE_BENCH_LIB_COUNTER_LOAD_H

#include "bench_nodes.h"

#define LOAD_COUNTERS_MAX 4096
#define LOAD_PROBE_MS 50
#define LOAD_PROBE_TIMEOUT_MS 200
#define LOAD_ERRORS_MAX 32

struct counter_load;

struct load_counter {
    struct counter_load *load;
    char id[48];
    uint64_t acknowledged;
    uint64_t applied; /* what `get` says at the end */
    bool is_settled;  /* applied is known */
    /* The call under way. */
    bool is_busy;
    uint64_t call; /* its number, from 1 */
    unsigned attempt;
    size_t at; /* the node that was asked last */
    uint64_t begun_ns;
    uint64_t sent_ns; /* this attempt */
    bool has_failed;  /* counted in failed_calls */
    struct timer retry;
    /* The first answer to an attempt that was sent after load_mark. */
    bool is_marked;
    uint64_t answered_ns; /* 0: none yet */
};

struct load_endpoint {
    struct counter_load *load;
    size_t index;
    bool is_ready;
    bool is_asked;
    struct timer probe;
};

struct counter_load {
    struct bench_nodes *nodes;
    uint64_t attempt_ms;
    size_t count;
    struct load_counter *counters;
    struct load_endpoint endpoints[BENCH_NODES_MAX];
    bool is_running;
    uint64_t mark_ns; /* of load_mark */
    /* Totals since load_init. */
    uint64_t acknowledged;
    uint64_t repeated;      /* attempts after the first */
    uint64_t failed_calls;  /* an error that may not be repeated, or no answer in LOAD_CALL_S */
    uint64_t wrong_replies; /* not the sum that the acknowledged adds make */
    struct {
        char name[32];
        uint64_t count;
    } errors[LOAD_ERRORS_MAX]; /* what attempts ended with, other than success */
    size_t error_count;
    uint64_t error_answers; /* attempts that a node answered with an error */
};

#define LOAD_CALL_S 30

void load_init(struct counter_load *load, struct bench_nodes *nodes, size_t count,
               uint64_t attempt_ms);
/* After load_settle, or when the loop runs no more and the clients are freed. */
void load_deinit(struct counter_load *load);
/* New counters, named after `name`, begin. */
void load_start(struct counter_load *load, const char *name);
/* Each counter has been answered at least `arg` times. */
bool load_is_steady(const struct counter_load *load, uint64_t answers);
/* From now on answers count for `answered_ns`. */
void load_mark(struct counter_load *load);
bool load_marked_answered(const struct counter_load *load);
/* Starts no more calls, waits until those under way are answered, then asks every counter for its
 * value. False when some did not answer. */
bool load_settle(struct counter_load *load);
struct load_counter *load_find(struct counter_load *load, const char *id);
/* {"unreachable":12,…} */
json_t *load_errors_json(const struct counter_load *load);

#endif
