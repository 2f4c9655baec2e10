/*
 * Processes that load a store, for the tests that hurt it: each counts up a row of its own, settles
 * unknown results by reading again, finds nothing of what was refused, and tells in shared memory what was
 * acknowledged.
 */
#ifndef KELPIE_TESTS_STORE_LOAD_H
#define KELPIE_TESTS_STORE_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#define LOAD_MAX 8

struct load_slot {
    volatile uint64_t acknowledged; /* the row's value, as last known committed */
    volatile uint64_t attempted;    /* the largest value sent */
    volatile uint64_t longest_ms;   /* the longest time between two acknowledgements */
    volatile uint64_t unknown;      /* commits whose result was unknown */
    volatile uint64_t kills;        /* store processes this client killed */
    volatile int stop;
    volatile int stopped; /* it has settled everything and ends */
    volatile int failed;
};

struct load {
    struct load_slot *slots; /* shared with the processes */
    pid_t pids[LOAD_MAX];
    int count;
};

/* Starts `count` clients of the store in `dir`. */
void load_start(struct load *l, const char *dir, int count, unsigned lease_ms);
/* Waits until every client (or, if >= 0, all but `except`) has `more` further acknowledgements. */
int load_progress(struct load *l, uint64_t more, int except, unsigned timeout_ms);
void load_reset_longest(struct load *l);
/* Stops them, waits for them, and forgets them. Returns 0 when all ended well. */
int load_stop(struct load *l);

#endif
