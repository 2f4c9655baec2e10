/*
 * Chains of calls: actors of the class "link" that call each other, and clients that ask for it. Each request
 * has a number and a path of links; each link on it marks the number in its state before it calls the
 * next, and finishes when that has answered well. Beside chains there are fans (one calls several at
 * once) and paths that come back to themselves, which must be refused.
 */
#ifndef KELPIE_SIM_CHAINS_H
#define KELPIE_SIM_CHAINS_H

#include "kelpie/kelpie.h"
#include "sim/checkers/shadow.h"

extern const struct kelpie_class sim_class_link;

struct chains *chains_new(struct world *w);
void chains_free(struct chains *cs);
void chains_start(struct world *w);
/* No new requests. */
void chains_stop(struct world *w);
/* Asks every link until it answers. */
void chains_probe(struct world *w);
bool chains_probed(const struct world *w, char *why, size_t why_size);
/* A process has died. */
void chains_process_gone(struct world *w, const struct process *p);
size_t chains_calls_of(const struct world *w, const struct process *p);
/* The store is another: what was asked for before counts no more. */
void chains_set_back(struct world *w);

/* A row of a link's state has landed. */
void chains_row(struct world *w, const char *id, struct bytes key, struct bytes value);

#endif
