/*
 * Users' code in the simulator: classes of a shared object (--actors), of which each life of a node loads a
 * copy, or a worker (--worker), of which each life starts a process; and their workload, in C or as JSON.
 */
#ifndef KELPIE_BIN_SIM_CODE_H
#define KELPIE_BIN_SIM_CODE_H

#include "sim/workload/sim_users.h"

#define WORKER_LIMIT_S_DEFAULT 60 /* of real time, until a worker has answered */
#define WORKER_LIMIT_S_MAX 3600

struct code_options {
    const char *actors, *worker, *workload; /* NULL: not given */
    unsigned limit_s;
};

/* What a run needs of it, for the life of the program; NULL when neither classes nor a worker are given. What is wrong
 * ends the program with a sentence. */
const struct sim_users_source *code_open(const struct code_options *o);

/* sim_worker.c: a source without a workload. */
void worker_open(const char *command, unsigned limit_s, struct sim_users_source *out);

/* sim_workload_json.c: of a file; `types` are the classes that there are. */
const struct kelpie_sim_workload *workload_json_open(const char *file,
                                                     const struct sim_users_source *types);
/* Asks each call once, to see whether the classes have such methods. */
void workload_json_try(const struct sim_users_source *source);

#endif
