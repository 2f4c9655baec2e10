/* Whoever makes the trouble: at random times it hits a node, a machine, a link or the store's. */
#ifndef KELPIE_SIM_NEMESIS_H
#define KELPIE_SIM_NEMESIS_H

#include "sim/world/world.h"

struct nemesis;

struct nemesis *nemesis_new(struct world *w);
void nemesis_free(struct nemesis *n);
void nemesis_start(struct world *w);
/* The kinds of trouble that last, and are on: 1 << enum sim_fault. */
uint64_t nemesis_lasting(const struct world *w);
/* Ends all trouble for good: cuts heal, the frozen thaw. */
void nemesis_calm(struct world *w);

#endif
