/*
 * Strangers: somebody who has no place in the cluster connects to nodes and says what a node could
 * say, in the name of nobody, of another cluster, of a life that was, of a member that it is not; it
 * hears the network and knows call ids. Each message says beforehand what may follow from it.
 */
#ifndef KELPIE_SIM_STRANGER_H
#define KELPIE_SIM_STRANGER_H

#include "sim/world/sim_process.h"

struct strangers;

struct strangers *strangers_new(struct world *w);
void strangers_free(struct strangers *s);
void strangers_start(struct world *w);

/* From the network: a frame that `p` sends to `addr`; an answer to the stranger's message number
 * `which`. */
void strangers_hear(const struct process *p, const char *addr, struct bytes frame);
void strangers_answered(const struct process *p, uint32_t which, struct bytes frame);

#endif
