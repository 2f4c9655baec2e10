/* One run: a safety phase with faults, then calm in which the cluster must become whole. */
#ifndef KELPIE_SIM_RUN_H
#define KELPIE_SIM_RUN_H

#include "base/hash128.h"
#include "sim/steps/sim_steps.h"
#include "sim/world/world.h"

#define SIM_START_MS_MAX 2000 /* bounded start-up, on top of the windows */
#define SIM_CHECKS_MAX 80     /* checkers that a result has room for */
#define SIM_WINDOWS_MAX 4     /* within so many windows the cluster converges */

struct sim_result {
    uint64_t seed;
    struct hash128 trace;
    struct hash128 prefix[PREFIX_HASHES];
    uint64_t events, sim_ms, wall_us, cpu_us;
    uint64_t converge_ms, converge_bound_ms; /* until hosts_converged() */
    uint64_t answer_ms, answer_bound_ms;     /* and from then on, until every actor answered */
    uint64_t faults_on;                      /* 1 << enum sim_fault: existed in this run */
    uint64_t terms, elections, failures, placements, views;
    uint64_t starts, crashes, leaves, left, twins, twins_ended, watchdog, declared;
    uint64_t orders, obeyed, rolled;
    uint64_t calls, acknowledged, retries, gave_up;
    uint64_t failed_as_due, mailbox_full, applied_no_reply;
    uint64_t messages, lost, refused;
    uint64_t reads, commits, committed, conflicts, unknown, late;
    uint64_t histories, histories_open; /* judged for linearizability; of these not checked */
    uint64_t compared[SIM_CHECKS_MAX];
    uint64_t faults[FAULT_COUNT];
    uint32_t pairs[FAULT_COUNT][PHASE_COUNT]; /* struct sim_coverage */
    struct sim_marks marks;
    uint64_t steps[STEP_ACTION_COUNT]; /* where somebody kept them */
    unsigned violation_count;
    struct violation violations[VIOLATIONS_MAX];
};

/* The configuration is checked. The times it took (wall_us, cpu_us) are the caller's to measure. */
void sim_run(const struct sim_config *config, struct sim_result *out);

/* The world of such a run with all its parts; nothing in it has started yet. For whoever wants
 * another course of events than sim_run()'s. */
void sim_build(struct world *w, const struct sim_config *config);
void sim_tear_down(struct world *w);

#endif
