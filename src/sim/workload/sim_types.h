/*
 * Types that come and go in a life of a node, as workers would have it: counters, and some that nobody calls. In the calm one node at
 * least hosts counters; what a node does not want any more must have gone from it.
 */
#ifndef KELPIE_SIM_TYPES_H
#define KELPIE_SIM_TYPES_H

#include "sim/world/sim_process.h"

struct actors;
struct types_life;

/* NULL: this run has none. */
struct types_life *types_life_begin(struct process *p);
/* The node is there. Within a dispatch. */
void types_life_start(struct types_life *l, struct actors *a);
/* Its process ends, or is about to. */
void types_life_stop(struct types_life *l);
void types_life_free(struct types_life *l);

/* Types of that life come and go, and `type` is one of them. */
bool types_has(const struct types_life *l, const char *type);
bool types_wants(const struct types_life *l, const char *type);
/* In the calm: each living node hosts what it wants, in the store and by its own word, and nothing else is left of what
 * comes and goes. Else `why`. */
bool check_types(struct world *w, char *why, size_t why_size);

#endif
