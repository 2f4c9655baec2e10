/* Many seeds, each in a process of its own: one that aborts is a finding, not the end. */
#ifndef KELPIE_BIN_SIM_SWEEP_H
#define KELPIE_BIN_SIM_SWEEP_H

#include "base/buf.h"
#include "sim/sim_run.h"

#define SWEEP_JOBS_MAX 64
#define SWEEP_SEEDS_MAX 10000000
#define SWEEP_NOT_CHECKED_PERCENT 1 /* of all histories; more fail the sweep */
#define SWEEP_SEEDS_LONG 100 /* from here on every checker must have had something to compare */

/* sim_run(), with the times it took. */
void sim_run_timed(const struct sim_config *config, struct sim_result *out);

struct sweep_options {
    uint64_t first, last;
    unsigned jobs;
    bool stop_at_first; /* failure */
    /* Draws and overrides the configuration of a seed; it is checked already. */
    void (*configure)(void *arg, uint64_t seed, struct sim_config *out);
    void *arg;
    const char *overrides; /* for the line that reproduces */
};

struct sweep_result {
    uint64_t seeds;      /* that were run */
    uint64_t violations; /* in all of them */
    uint64_t *failed;    /* seeds, in order; freed by the caller */
    size_t failed_count;
    struct sim_result total; /* sums of the counts */
    uint64_t converge_ms_max;
    bool not_checked;       /* too many histories were (SWEEP_NOT_CHECKED_PERCENT) */
    const char *idle_check; /* of a long sweep: a checker that never compared anything; or NULL */
    uint64_t wall_us;
    struct buf failures; /* a few lines on each failed seed */
};

/* Progress goes to stderr when it takes long. Returns 0, or KELPIE_E_IO when no process can be
 * started. */
int sim_sweep(const struct sweep_options *o, struct mem mem, struct sweep_result *out) MUST_USE;

void report_sweep_text(const struct sweep_result *r, struct buf *out);
void report_sweep_json(const struct sweep_result *r, struct buf *out);

#endif
