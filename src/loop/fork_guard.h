/*
 * An actor's code may fork. What it gets is a copy of the node, with its connections and its lease: it
 * may do its own work and start a program, but never act as the node.
 */
#ifndef KELPIE_LOOP_FORK_GUARD_H
#define KELPIE_LOOP_FORK_GUARD_H

#include <stdbool.h>

/* From then on, in a child of fork(): sockets and whatever the loop waits on are closed, and the child
 * ends with a line as soon as it reads the clock of the loop, which everything does before it acts. */
void fork_guard_install(void);
/* Whether this is such a child. */
bool fork_guard_is_child(void);
/* Ends such a child. */
void fork_guard_check(void);

#endif
