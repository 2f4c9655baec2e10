/*
 * A simulated cluster of many production nodes without faults and without checkers: the world, its
 * network and its store from src/sim, machines that can be switched on and off, a way to write
 * placements as rows, clients, and a meter on every node.
 */
#ifndef KELPIE_BENCH_LIB_SCALE_WORLD_H
#define KELPIE_BENCH_LIB_SCALE_WORLD_H

#include "node/node.h"
#include "scale_meter.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_net.h"

#define SCALE_TYPE "counter"
#define SCALE_NODES_MAX NODES_MAX

struct scale_node {
    struct scale_world *s;
    unsigned number;
    char id[16];
    struct process *p; /* NULL: it does not run */
    struct node *node;
    struct meter_door door;
    struct sim_event start, close;
    bool left;
    uint64_t view;                     /* as it held it after its last step */
    uint64_t view_ns;                  /* since when */
    uint64_t primary_term, primary_ns; /* of the primary that it knows, and since when */
    size_t placements;                 /* written for it */
};

struct scale_world {
    struct world w;
    struct keyspace ks;
    struct meter meter;
    struct scale_node *nodes;
    size_t node_count;
    size_t placements;
    struct scale_load *load; /* while placements are written */
    struct scale_calls *calls;
    struct scale_supervisor *supervisor;
};

/* `nodes` of them may exist; none runs yet. */
void scale_init(struct scale_world *s, size_t nodes, enum sim_store_kind store, uint64_t seed);
void scale_deinit(struct scale_world *s);

/* Switches a machine on in `delay_ns`; it joins. */
void scale_start(struct scale_world *s, size_t i, uint64_t delay_ns);
/* Tells it to leave; it ends when it has left. */
void scale_leave(struct scale_world *s, size_t i);
/* kill -9 of its process; its supervisor declares it dead at once. One at a time. */
void scale_crash(struct scale_world *s, size_t i);
/* The whole machine is gone: nobody says so. */
void scale_machine_down(struct scale_world *s, size_t i);

void scale_run_ms(struct scale_world *s, uint64_t ms);
/* Runs until `done` says so, which is asked every 5 ms; false when it did not within `ms_max`. */
bool scale_until(struct scale_world *s, bool (*done)(struct scale_world *s), uint64_t ms_max);

/* The node that claims to be primary, or NULL. */
struct scale_node *scale_primary(struct scale_world *s);
/* The greatest view number that any node holds. */
uint64_t scale_view(const struct scale_world *s);
/* Every running node is Active with a lease, holds that view, and knows the primary that claims to be it. */
bool scale_converged(struct scale_world *s);
size_t scale_running(const struct scale_world *s);

/* Writes `count` placements of actors "a0000000", … as rows, on running nodes: node i gets
 * `share(arg, i)` of them, in their order. Returns when the store has them. */
void scale_place(struct scale_world *s, size_t (*share)(void *arg, size_t i), void *arg);
/* Writes `count` messages as rows that placed actors have sent to themselves, due in a year and later, with what points
 * to them; spread over actors and shards. Returns when the store has them. */
void scale_timers(struct scale_world *s, size_t count);
/* Calls `count` actors from number `first` on, from nodes at random, `in_flight` at a time, and
 * returns when all have answered; the virtual time of the last answer, 0: some did not. */
uint64_t scale_call(struct scale_world *s, size_t first, size_t count, size_t in_flight);

#endif
