/* The five states of a node and the moves between them, in one place. */
#ifndef KELPIE_CLUSTER_STATE_H
#define KELPIE_CLUSTER_STATE_H

#include <stdbool.h>

#include "record/records.h"

/* Left -> Joining -> Active -> Leaving -> Left; Joining, Active, Leaving -> Failed -> Left; and
 * Left -> Active for the founder of a cluster that has no member. Staying is no move. */
bool state_may_move(enum node_state from, enum node_state to, bool founds);
/* Asserts that the move is allowed, and makes it. */
void state_move(enum node_state *state, enum node_state to, bool founds);
/* A member is any node that is not Left. */
bool state_is_member(enum node_state s);
/* Voters are counted for a majority: Active, Leaving, Failed. */
bool state_is_voter(enum node_state s);
/* Actors may run: Active, Leaving. */
bool state_hosts(enum node_state s);
/* Lives that heartbeat, and that can be declared failed: Joining, Active, Leaving. */
bool state_is_living(enum node_state s);

#endif
