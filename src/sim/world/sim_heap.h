/*
 * The one queue of a world: events and timers by (due time, sequence number). What is queued knows
 * its place, so it can be taken out again. Items with equal times come in the order of their
 * numbers, so the order never depends on how the heap happens to lie.
 */
#ifndef KELPIE_SIM_HEAP_H
#define KELPIE_SIM_HEAP_H

#include "env/timer.h"

#define SIM_HEAP_MAX (1u << 22)
#define SIM_NOT_QUEUED SIZE_MAX
#define SIM_HELD (SIZE_MAX - 1) /* its time has come, but its process is frozen */

struct world;
struct sim_event;
typedef void sim_event_fn(struct world *w, struct sim_event *e);

/* Something that the world itself does at a time; embedded by its owner. */
struct sim_event {
    sim_event_fn *fn;
    size_t heap_index;
};

struct sim_item {
    uint64_t due_ns;
    uint64_t seq;
    struct sim_event *event; /* one of the two */
    struct timer *timer;
};

struct sim_heap {
    struct sim_item *items;
    size_t count;
    size_t cap;
};

void sim_heap_deinit(struct sim_heap *h);
void sim_heap_push(struct sim_heap *h, const struct sim_item *item);
/* False when it is empty. */
bool sim_heap_pop(struct sim_heap *h, struct sim_item *out);
void sim_heap_remove(struct sim_heap *h, size_t index);
/* Removes the items for which `drop` says so. */
void sim_heap_filter(struct sim_heap *h, bool (*drop)(void *arg, const struct sim_item *item),
                     void *arg);

#endif
