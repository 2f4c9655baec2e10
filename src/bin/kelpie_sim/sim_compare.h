/* Whether two programs do the same with the same seed, and if not, from which event on. */
#ifndef KELPIE_BIN_SIM_COMPARE_H
#define KELPIE_BIN_SIM_COMPARE_H

#include "base/buf.h"

#define COMPARE_LINE_MAX 512

struct compare_result {
    uint64_t seeds, differ;
    struct buf text; /* what differs, a few lines for each seed */
};

/* Runs each seed by this program and by `with`, each in a process of its own. `overrides` as
 * report_reproduce() takes them. Returns 0, or KELPIE_E_IO (no process can be started, or `why`).
 * The text is freed by the caller in any case. */
int sim_compare(uint64_t first, uint64_t last, const char *with, const char *overrides,
                struct mem mem, struct compare_result *out, char *why, size_t why_size) MUST_USE;

#endif
