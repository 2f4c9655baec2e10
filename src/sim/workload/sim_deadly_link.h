/* Shared by sim_deadly.c (clients and the class) and check_deadly.c. */
#ifndef KELPIE_SIM_DEADLY_LINK_H
#define KELPIE_SIM_DEADLY_LINK_H

#include "sim/checkers/checks.h"
#include "sim/workload/sim_deadly.h"

#define DEADLY_TYPE "deadly"
#define DEADLY_DIES "die"
#define DEADLY_LIVES "live"
#define DEADLY_LIFT_MS 120000 /* a lift may land so long after it was asked for */
#define DEADLY_DEATHS_MAX 256

/* One actor, its client, and what is known of it. */
struct deadly {
    struct world *w;
    struct sim_event event;
    struct deadly_attempt *attempt;
    unsigned number, asked;
    bool whole; /* activate does it: nothing of it is innocent */
    bool well;  /* in the calm it has returned, and what was blamed is forgiven */

    uint64_t placed_ns; /* its last placement has landed */
    bool blamed;        /* there is a row, as this says: */
    struct poison_record row;
    uint64_t row_ns;                        /* it has landed */
    uint64_t lifted_ns;                     /* somebody asked for that; 0: nobody did */
    uint32_t deaths;                        /* of all its life */
    struct uuid dead[DEADLY_DEATHS_MAX];    /* the processes that died of it */
    struct uuid counted[DEADLY_DEATHS_MAX]; /* of these, what rows have told of */
    uint32_t counted_count;
};

struct deadlies {
    struct world *w;
    struct deadly *all;
    unsigned count;
    struct list attempts;
    bool stopped, probing;
};

/* What ends processes begins, in a life that a row may have told of it. */
bool deadly_may_run(struct deadly *d);
/* And ends its process. */
void deadly_dies(struct deadly *d, struct uuid boot);
/* A client was told that. */
void deadly_told_poisoned(struct deadly *d, bool innocent);

#endif
