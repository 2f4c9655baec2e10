/*
 * The class "deadly": its method "die" ends the process in which it runs, three times of four, until the calm; "live"
 * never does. Of every third actor it is activate that does. Clients ask for both, or send it, by way of any
 * node, and lift now and then what is poisoned. What supervisors blame is what died, nothing runs within its quarantine, nobody innocent is refused, and what has become well is forgiven
 * (DeathsAreBounded, InnocentRun, Forgiven). check_deadly.c keeps account of it by itself.
 */
#ifndef KELPIE_SIM_DEADLY_H
#define KELPIE_SIM_DEADLY_H

#include "cluster/poison.h"
#include "kelpie/kelpie.h"
#include "sim/checkers/shadow.h"

extern const struct kelpie_class sim_class_deadly;

struct deadlies *deadlies_new(struct world *w);
void deadlies_free(struct deadlies *ds);
void deadlies_start(struct world *w);
/* In the calm: they ask on, until all are well. */
void deadlies_probe(struct world *w);
bool deadlies_settled(struct world *w, char *why, size_t why_size);
/* No new requests. */
void deadlies_stop(struct world *w);
void deadlies_process_gone(struct world *w, const struct process *p);
size_t deadlies_calls_of(const struct world *w, const struct process *p);

/* check_deadly.c */
/* A row of a commit. */
void deadlies_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
                  struct buf *scratch);
/* A supervisor has declared its child dead, which had ended so. */
void deadlies_declared(struct world *w, const struct blame *b);

#endif
