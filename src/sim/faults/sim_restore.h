/*
 * A store that is set back to an older backup, as an operator does it: all machines go down, the
 * rows are those of the backup, `kelpie store restored` makes them a new epoch, the nodes start.
 * Now and then a machine lives on, cut off from everybody, and comes back into the new epoch.
 */
#ifndef KELPIE_SIM_RESTORE_H
#define KELPIE_SIM_RESTORE_H

#include "sim/world/sim_process.h"

struct restore;

struct restore *restore_new(struct world *w);
void restore_free(struct restore *r);
/* A turn of the nemesis: a backup is made, or the one that there is is restored. */
void restore_turn(struct world *w);
/* Nothing of it is under way. */
bool restore_idle(const struct world *w);
/* It goes on to its end, and none begins any more. */
void restore_calm(struct world *w);
/* Whether an invariant need not hold: the rows are being replaced, or the epoch has not begun. */
bool restore_excuses(const struct world *w, const char *check);
/* The rows have been set back at least once. */
bool restore_has_been(const struct world *w);
/* A life that began before the rows were set back. */
bool restore_is_old_life(const struct world *w, unsigned life);

#endif
