/*
 * Bits that flip in what is stored, and stay so until an operator puts the row right, or its owner
 * writes it anew. Nobody wrote them: no version tells, no watch fires.
 */
#ifndef KELPIE_SIM_ROT_H
#define KELPIE_SIM_ROT_H

#include "sim/world/sim_process.h"

#define ROT_ROWS_MAX 16 /* at the same time */

struct rot;

struct rot *rot_new(struct world *w);
void rot_free(struct rot *r);
/* A bit of some row flips; rows of every kind are equally likely. False: not now. */
bool rot_strike(struct world *w);
/* Some row may be rotten. */
bool rot_is_there(const struct world *w);
/* All rows are put right. */
void rot_repair_all(struct world *w);
/* All rows are others: nothing is to be put right. */
void rot_forget(struct world *w);

#endif
