/*
 * What a run came by: how often each fault struck while each phase of the protocol was under way in
 * some node, and which marks it passed (base/mark.h). Counting draws nothing and changes nothing.
 */
#ifndef KELPIE_SIM_SIM_COVERAGE_H
#define KELPIE_SIM_SIM_COVERAGE_H

#include "sim/world/sim_config.h"

/* X(NAME, "name", "when it is under way") */
#define SIM_PHASES(X)                                                                              \
    X(JOIN, "join", "a node is Joining, or a process clears its past life away or joins")          \
    X(ELECTION, "election", "a candidate's election, or a step-down, is under way")                \
    X(FAILURE, "failure",                                                                          \
      "a node has died, or is being declared failed, and its row says it lives")                   \
    X(VIEW, "view", "a node that hosts holds an older view than the store")                        \
    X(PLACEMENT, "placement", "a place for an actor is being found")                               \
    X(ACTIVATION, "activation", "an actor's state is being loaded")                                \
    X(COMMIT, "commit", "a message's writes are being committed")                                  \
    X(DRAIN, "drain", "a node is Leaving")                                                         \
    X(MIGRATION, "migration", "an actor is being handed over, or taken back")

enum sim_phase {
#define SIM_PHASE_ENUM(NAME, name, text) PHASE_##NAME,
    SIM_PHASES(SIM_PHASE_ENUM)
#undef SIM_PHASE_ENUM
        PHASE_COUNT
};

const char *sim_phase_name(enum sim_phase p);
const char *sim_phase_text(enum sim_phase p);

/* Why a pair need not meet in a long sweep; NULL: it must. */
const char *sim_pair_rare(enum sim_fault f, enum sim_phase p);

/* Why a mark is not demanded of a long sweep; NULL: it is. */
const char *sim_mark_rare(const char *name);
/* The i-th mark with such a reason; NULL after the last. */
const char *sim_rare_mark(size_t i);

/* A strike counts once for each phase under way. A fault that lasts counts again every so often, for
 * as long as it does. */
#define COVERAGE_LOOK_MS 50

struct sim_coverage {
    uint32_t pairs[FAULT_COUNT][PHASE_COUNT];
    uint64_t at_event; /* what `phases` is of; 0: of none */
    uint32_t phases;   /* 1 << enum sim_phase */
};

struct world;

/* The phases under way in some node: 1 << enum sim_phase. */
uint32_t coverage_phases(const struct world *w);
struct process;
/* A node's process in which that phase is under way, of several the `turn`-th; NULL: there is none. */
struct process *coverage_in_phase(const struct world *w, enum sim_phase phase, uint64_t turn);
/* `f` strikes now. */
void coverage_strike(struct world *w, enum sim_fault f);
/* Once every COVERAGE_LOOK_MS: the faults that last. */
void coverage_look(struct world *w);

/* One bit for each mark, in the order of mark_at(). */
#define COVERAGE_MARKS_MAX 512
struct sim_marks {
    uint64_t passed[COVERAGE_MARKS_MAX / 64];
};
/* Those passed since marks_clear(). */
void coverage_marks(struct sim_marks *out);
static inline bool coverage_has_mark(const struct sim_marks *m, size_t i)
{
    return m->passed[i / 64] >> i % 64 & 1u;
}

#endif
