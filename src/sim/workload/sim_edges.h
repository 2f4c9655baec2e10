/*
 * What a class may not do: each call that kelpie.h says is refused, is, and changes nothing. The sessions'
 * classes try it now and then; a refusal that is missing ends the process by a check.
 */
#ifndef KELPIE_SIM_EDGES_H
#define KELPIE_SIM_EDGES_H

#include "kelpie/kelpie.h"

/* In `activate` and `deactivate`: no message is there. */
void edges_outside(struct kelpie_actor *actor);
/* In a method that is declared as a read. */
void edges_in_read(struct kelpie_actor *actor);
/* In any other; what the turn replies is to be said after it. */
void edges_in_turn(struct kelpie_actor *actor, const struct kelpie_message *m);

#endif
