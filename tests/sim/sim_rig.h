/* A world without nodes: processes whose code is the test's. */
#ifndef KELPIE_TESTS_SIM_RIG_H
#define KELPIE_TESTS_SIM_RIG_H

#include "sim/checkers/checks.h"
#include "sim/stores/sim_store.h"
#include "sim/world/sim_net.h"
#include "sim/world/sim_process.h"

struct rig {
    struct world w;
    struct sim_config config;
};

/* `faults` as in sim_config; rates are set by the test before. */
void rig_begin(struct rig *r, const struct sim_config *config);
/* Ends all processes and frees the world. */
void rig_end(struct rig *r);
struct process *rig_process(struct rig *r, unsigned node);
/* A plain configuration: no faults, fixed delays. */
struct sim_config rig_config(void);

/* Blind commit of `count` writes by `p`; returns its status, or 1 when a violation ended the run. */
int rig_commit(struct rig *r, struct process *p, const struct store_write *writes, size_t count);

#endif
