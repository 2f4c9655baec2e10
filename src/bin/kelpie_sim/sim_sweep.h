/* Many seeds, each in a process of its own: one that aborts is a finding, not the end. */
#ifndef KELPIE_BIN_SIM_SWEEP_H
#define KELPIE_BIN_SIM_SWEEP_H

#include "base/buf.h"
#include "sim/run/sim_run.h"

#define SWEEP_JOBS_MAX 64
#define SWEEP_SEEDS_MAX 10000000
#define SWEEP_MINUTES_MAX 10080
#define SWEEP_NOT_CHECKED_PERCENT 1 /* of all histories; more fail the sweep */
#define SWEEP_SEEDS_LONG 100 /* from here on every checker must have had something to compare */
/* From here on every mark must have been passed, and every fault have met every phase. */
#define SWEEP_SEEDS_COVER 2000
#define SWEEP_TWICE_PERCENT 5 /* of the seeds are run twice, unless told otherwise */

/* sim_run(), with the times it took. */
void sim_run_timed(const struct sim_config *config, struct sim_result *out);

struct sweep_options {
    uint64_t first, last;
    uint64_t wall_us_max; /* no seed begins later; 0: until the last */
    unsigned jobs;
    unsigned twice_percent; /* so many of the seeds run again in a new process: same hash */
    bool stop_at_first;     /* failure */
    /* Draws and overrides the configuration of a seed; it is checked already. */
    void (*configure)(void *arg, uint64_t seed, struct sim_config *out);
    void *arg;
    const char *overrides; /* for the line that reproduces */
};

/* How long one clean run needed in the calm until it had converged and every actor had answered. */
struct sweep_calm {
    uint64_t faults_on; /* 1 << enum sim_fault */
    uint64_t ms;
};

struct sweep_result {
    uint64_t seeds;      /* that were run */
    uint64_t violations; /* in all of them */
    uint64_t *failed;    /* seeds, in order */
    size_t failed_count;
    bool users;              /* of users' actors: what our own code came by is not told */
    struct sim_result total; /* sums of the counts */
    uint64_t converge_ms_max;
    bool not_checked;       /* too many histories were (SWEEP_NOT_CHECKED_PERCENT) */
    const char *idle_check; /* of a long sweep: a checker that never compared anything; or NULL */
    uint64_t wall_us;
    struct buf failures; /* a few lines on each failed seed */

    uint64_t twice, differed;                 /* seeds run twice; that had another hash then */
    uint64_t pairs[FAULT_COUNT][PHASE_COUNT]; /* sums (struct sim_coverage) */
    uint64_t mark_seeds[COVERAGE_MARKS_MAX];  /* in how many seeds each was passed */
    struct sweep_calm *calms;
    size_t calm_count, calm_cap;
};

/* Progress goes to stderr when it takes long. Returns 0, or KELPIE_E_IO when no process can be
 * started. The result is freed by the caller in any case. */
int sim_sweep(const struct sweep_options *o, struct mem mem, struct sweep_result *out) MUST_USE;
void sweep_result_free(struct sweep_result *r);

void report_sweep_text(const struct sweep_result *r, struct buf *out);
void report_sweep_json(const struct sweep_result *r, struct buf *out);

#endif
