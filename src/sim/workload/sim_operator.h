/*
 * Operators: they forget nodes (with and without force, sometimes one that lives), drain a node by
 * way of another, roll through all of them, invite new ones and send them away. They ask through
 * the functions that the HTTP API uses, and are told the truth, or that it was refused.
 */
#ifndef KELPIE_SIM_OPERATOR_H
#define KELPIE_SIM_OPERATOR_H

#include "sim/world/sim_process.h"

struct operators;

struct operator_stats {
    uint64_t orders, obeyed, refused;
    uint64_t rolled; /* nodes that came back on a roll */
    uint64_t rolls;  /* through all of them */
};

struct operators *operators_new(struct world *w);
void operators_free(struct operators *os);
void operators_start(struct world *w);
/* No new orders, and no roll goes on. */
void operators_calm(struct world *w);
/* An operator is on its way through all nodes. */
bool operators_rolling(const struct world *w);
/* A process has died: whoever asked it gets no answer. */
void operators_process_gone(struct world *w, const struct process *p);
/* Orders given to that process that it has not answered. */
size_t operators_orders_of(const struct world *w, const struct process *p);
const struct operator_stats *operators_stats(const struct world *w);

#endif
