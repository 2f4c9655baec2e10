/*
 * Memory of one simulated process: everything it holds is known, so that a process that is killed
 * gives all of it back at once without running a line of its own, and one that closes in an
 * orderly way is found out when it kept something.
 */
#ifndef KELPIE_SIM_MEM_H
#define KELPIE_SIM_MEM_H

#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"

struct sim_mem {
    struct list blocks;
    size_t count; /* blocks held */
    size_t bytes;
    uint64_t fails_in; /* the so-many-th allocation from now fails; 0: none does */
    bool failed;       /* it has: what the process does from then on does not happen */
};

void sim_mem_init(struct sim_mem *m);
struct mem sim_mem_of(struct sim_mem *m);
/* Frees whatever is still held. */
void sim_mem_free_all(struct sim_mem *m);

#endif
