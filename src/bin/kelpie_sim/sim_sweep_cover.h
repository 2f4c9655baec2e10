/* What a sweep came by, and what it never did: marks, steps of the specification, pairs of fault and
 * phase, times of the calm. */
#ifndef KELPIE_BIN_SIM_SWEEP_COVER_H
#define KELPIE_BIN_SIM_SWEEP_COVER_H

#include "bin/kelpie_sim/sim_sweep.h"

/* How much never happened, of what can: marks, steps, and pairs with a fault that some run had. */
size_t cover_missing(const struct sweep_result *r);
/* "name of a mark", "step NAME", "fault during phase": each handed to `fn`. */
void cover_each_missing(const struct sweep_result *r, void (*fn)(void *arg, const char *what),
                        void *arg);

/* The time that runs with that fault (FAULT_COUNT: any run) needed in the calm. */
struct cover_calm {
    size_t runs;
    uint64_t p50_ms, p99_ms, max_ms;
};
struct cover_calm cover_calm_of(const struct sweep_result *r, unsigned fault);

void cover_text(const struct sweep_result *r, struct buf *out);
/* Fields with their commas: "marks":{…},"pairs":{…},"calm":{…},"never":[…]. */
void cover_json(const struct sweep_result *r, struct buf *out);

#endif
