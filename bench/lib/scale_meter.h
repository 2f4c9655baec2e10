/*
 * Counts what nodes do to their store and network: every transaction that passes, by node and by
 * action, with the rows and bytes that it read and wrote. It stands between a simulated process and
 * its store, whichever that is.
 */
#ifndef KELPIE_BENCH_LIB_SCALE_METER_H
#define KELPIE_BENCH_LIB_SCALE_METER_H

#include "sim/world/sim_process.h"

#define METER_ACTIONS_MAX 40
#define METER_NAME_MAX 32

struct meter_counts {
    uint64_t transactions; /* begun */
    uint64_t
        read_rounds; /* sets of reads sent, a round trip each; more than one: it was repeated */
    uint64_t rows, bytes_read;
    uint64_t commits, committed, conflicts;
    uint64_t rows_written, bytes_written; /* of what was committed */
    uint64_t frames, frame_bytes;         /* messages to other nodes */
};

struct meter_node {
    struct meter_counts all;
    struct meter_counts of[METER_ACTIONS_MAX];
};

struct meter {
    char actions[METER_ACTIONS_MAX][METER_NAME_MAX];
    size_t action_count;
    struct meter_node *nodes;
    size_t node_count;
};

/* The doors of one process. Belongs to whoever holds the process; outlives its env. */
struct meter_door {
    struct meter *meter;
    unsigned node; /* whose account */
    struct store store;
    struct net net;
    store_req_fn *read_fn, *commit_fn;
};

void meter_init(struct meter *m, size_t nodes);
void meter_deinit(struct meter *m);
/* All counts are zero again. */
void meter_reset(struct meter *m);
/* Everything that `p` sends passes through `d` from now on. Before the process does anything. */
void meter_attach(struct meter *m, struct meter_door *d, struct process *p, unsigned node);
void meter_add(struct meter_counts *to, const struct meter_counts *from);
/* By all nodes. Zero for an action that never happened. */
struct meter_counts meter_action(const struct meter *m, const char *action);

#endif
