/*
 * An empty store in the place of the one that the nodes run on, as a volume that is not mounted makes it, and
 * after a while their own again. Who has been of a cluster founds and joins no other: nothing is written there but
 * probes, and what the nodes' own store promised goes on when it is back.
 */
#ifndef KELPIE_SIM_EMPTIED_H
#define KELPIE_SIM_EMPTIED_H

#include "sim/stores/sim_store.h"
#include "sim/world/sim_process.h"

struct emptied;

struct emptied *emptied_new(struct world *w);
void emptied_free(struct emptied *e);
/* A turn of the nemesis; false when somebody lives that does not know its cluster yet. */
bool emptied_strike(struct world *w);
/* The nodes have their own store. */
bool emptied_idle(const struct world *w);
/* They have it again now. */
void emptied_calm(struct world *w);
/* A commit while it is away. */
void emptied_commit(struct world *w, const struct commit_seen *commit);

#endif
