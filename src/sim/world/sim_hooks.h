/* What the world tells the checkers; they change nothing in it. */
#ifndef KELPIE_SIM_HOOKS_H
#define KELPIE_SIM_HOOKS_H

#include "sim/stores/sim_store.h"

/* A commit has just happened. */
void checks_on_commit(struct world *w, const struct commit_seen *seen);
/* A commit is being sent: whoever changes the membership does not depend on anybody's types (check_types.c). */
void checks_on_send(struct world *w, const struct store_req *req);
/* All rows were replaced by these. */
void checks_on_set_back(struct world *w, const struct store_write *rows, size_t count);
/* A process has read a range from the store (asked once per range read that begins with `begin`). */
void checks_on_range_read(struct world *w, const struct process *p, struct bytes begin,
                          struct bytes end);

#endif
