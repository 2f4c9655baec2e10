/* Makes a failing run small: fewer faults, nodes, actors, clients, calls, shorter, another seed. */
#ifndef KELPIE_BIN_SIM_SHRINK_H
#define KELPIE_BIN_SIM_SHRINK_H

#include "sim/run/sim_case.h"
#include "sim/run/sim_run.h"

#define SHRINK_SECONDS_DEFAULT 60
#define SHRINK_SECONDS_MAX 86400

struct shrink_result {
    uint64_t runs;
    uint64_t events_before, events; /* up to the violation */
    char text[VIOLATION_TEXT_MAX];  /* what the smallest case breaks, in words */
};

/* Starts from `c->config`; leaves the smallest case found in `c`, with what it breaks. Each run is
 * a process of its own. Returns 0, KELPIE_E_NOT_FOUND when the run breaks nothing, or KELPIE_E_IO
 * when no process can be started. */
int sim_shrink(struct sim_case *c, unsigned seconds, struct shrink_result *out) MUST_USE;

/* What came of it, as text or JSON; `file` is where the case was written. */
void report_shrink(const struct sim_case *c, const struct shrink_result *r, const char *file,
                   bool json, struct buf *out);

/* Reads a case. Returns 0, or KELPIE_E_INVALID with a sentence. */
int case_load(const char *path, struct sim_case *out, char *why, size_t why_size) MUST_USE;

#endif
