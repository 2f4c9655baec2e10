/*
 * A run as steps of spec/KelpieCluster.tla: one line for each, with the action's name and the state
 * after it. spec/Trace.tla replays them (docs/simulation.md). Kept while the run goes on, when
 * somebody asked for it (world.steps; NULL costs a branch). It draws nothing and changes nothing: the
 * run has the hash of the one that nobody watched.
 *
 * A transaction is a step when it lands. What a node notices, gains or loses by itself is a step
 * when it does; a lease that runs out, when its clock says so. Some steps are known as such only
 * later: a write that was sent counts once it has landed, a view was read when the store answered,
 * not when the node took it. Their lines are put in their place in advance, and count when it is
 * known that they happened (`live`).
 */
#ifndef KELPIE_SIM_SIM_STEPS_H
#define KELPIE_SIM_SIM_STEPS_H

#include "base/buf.h"
#include "sim/world/sim_process.h"

#define STEP_ACTORS_MAX 3 /* counters a0, a1, … that the lines tell of; the others are left out */
#define STEP_TYPE "counter"
#define STEP_LINES_MAX (1u << 20)

enum { STEP_STORE = 1, STEP_EXTRA = 2 };

/* X(NAME, what): every action of the specification. STORE: by a node that reaches the store. EXTRA:
 * no action there (spec/Trace.tla). */
#define STEP_ACTIONS(X)                                                                            \
    X(NodeJoin, STEP_STORE)                                                                        \
    X(DieJoining, STEP_STORE)                                                                      \
    X(CommitJoin, 0)                                                                               \
    X(NodeJoinComplete, STEP_STORE)                                                                \
    X(NodeLeave, STEP_STORE)                                                                       \
    X(NodeLeaveComplete, STEP_STORE)                                                               \
    X(SendHeartbeat, STEP_STORE)                                                                   \
    X(SyncViews, STEP_STORE)                                                                       \
    X(LeaseExpire, 0)                                                                              \
    X(Notice, 0)                                                                                   \
    X(Twin, 0)                                                                                     \
    X(TwinExpire, 0)                                                                               \
    X(NodeCrash, 0)                                                                                \
    X(MarkNodeFailed, STEP_STORE)                                                                  \
    X(NodeRecover, STEP_STORE)                                                                     \
    X(DeclareDead, 0)                                                                              \
    X(MarkDeadAll, STEP_STORE)                                                                     \
    X(Forget, STEP_STORE)                                                                          \
    X(ForceForget, 0)                                                                              \
    X(ElectPrimary, STEP_STORE)                                                                    \
    X(PrimaryStepDown, STEP_STORE)                                                                 \
    X(PlaceActor, 0)                                                                               \
    X(Activate, STEP_STORE)                                                                        \
    X(Deactivate, 0)                                                                               \
    X(MigrateActor, STEP_STORE)                                                                    \
    X(ReleaseActor, STEP_STORE)                                                                    \
    X(CommitMove, 0)                                                                               \
    X(AbortMove, STEP_STORE)                                                                       \
    X(SendWrite, STEP_STORE)                                                                       \
    X(CommitWrite, 0)                                                                              \
    X(HostTypes, STEP_STORE)                                                                       \
    X(EndType, 0)                                                                                  \
    X(CutStore, 0)                                                                                 \
    X(HealStore, 0)                                                                                \
    X(CreatePartition, 0)                                                                          \
    X(HealPartition, 0)                                                                            \
    X(GiveUp, STEP_EXTRA)                                                                          \
    X(ForceFail, STEP_EXTRA)

enum step_action {
#define STEP_ENUM(NAME, needs) STEP_##NAME,
    STEP_ACTIONS(STEP_ENUM)
#undef STEP_ENUM
        STEP_ACTION_COUNT
};

struct steps;

/* Without `states` only the actions are kept, to be counted. */
struct steps *steps_new(bool states);
void steps_free(struct steps *s);

/* ---- what the world tells; each is called only when world.steps is set */

void steps_start(struct world *w);
/* After a dispatch into a node's code. */
void steps_on_step(struct process *p);
/* A life ends. */
void steps_on_end(struct process *p);
/* A node says that a type is over. */
void steps_on_type_over(struct process *p, const char *fields);
struct store_req;
/* A commit is being sent. */
void steps_on_send(const struct process *p, const char *action, const struct store_req *req);
struct shadow_change;
/* It has landed; the checkers' rows have it already. */
void steps_on_commit(struct world *w, const struct shadow_change *change);
/* Messages from `from` to `to` are lost from now on, or one such cut is taken back; cuts count. */
void steps_on_cut(struct world *w, unsigned from, unsigned to, bool cut);
void steps_on_store_cut(struct world *w, unsigned node, bool cut);

/* ---- what came of it */

const char *step_name(enum step_action a);
/* False: no action of the specification. */
bool step_in_spec(enum step_action a);
/* How often each action occurred. */
void steps_count(const struct steps *s, uint64_t counts[STEP_ACTION_COUNT]);
size_t steps_lines(const struct steps *s);
/* More than STEP_LINES_MAX: the rest is missing. */
bool steps_cut_short(const struct steps *s);
/* One JSON object a line. */
void steps_to_ndjson(const struct steps *s, struct buf *out);
/* The module TraceData for spec/Trace.tla. */
void steps_to_tla(const struct steps *s, struct buf *out);

#endif
