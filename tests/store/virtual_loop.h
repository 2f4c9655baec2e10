/* A clock and timers in virtual time: what is due next is now. For the simulated FoundationDB. */
#ifndef KELPIE_TESTS_STORE_VIRTUAL_LOOP_H
#define KELPIE_TESTS_STORE_VIRTUAL_LOOP_H

#include "env/clock.h"
#include "env/timer.h"
#include "sim/world/sim_heap.h"

struct virtual_loop {
    struct sim_heap heap;
    uint64_t now_ns;
    uint64_t seq;
};

void virtual_loop_init(struct virtual_loop *v);
void virtual_loop_deinit(struct virtual_loop *v);
struct clock virtual_loop_clock(struct virtual_loop *v);
struct timers virtual_loop_timers(struct virtual_loop *v);
/* Runs the timer that is due next; false when there is none. */
bool virtual_loop_step(struct virtual_loop *v);
/* Runs everything up to that time, which it then is. */
void virtual_loop_run(struct virtual_loop *v, uint64_t until_ns);

#endif
