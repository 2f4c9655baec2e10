/*
 * The checkers: the invariants of spec/KelpieCluster.tla and a few more on the real state, after
 * every event that changed something. They are apart from the code they check, change nothing, and
 * count what they compared: one that compared nothing, where there was something to compare, fails
 * the run.
 */
#ifndef KELPIE_SIM_CHECKS_H
#define KELPIE_SIM_CHECKS_H

#include "sim/checkers/shadow.h"
#include "sim/world/sim_hooks.h"
#include "sim/world/sim_process.h"

/* X(NAME, "name") */
#define SIM_CHECKS(X)                                                                              \
    X(SPLIT_BRAIN, "NoSplitBrain")                                                                 \
    X(CONSISTENCY, "MembershipConsistency")                                                        \
    X(ATOMICITY, "JoinAtomicity")                                                                  \
    X(RESUMES, "ResumesWithStoredView")                                                            \
    X(COVERAGE, "WindowIsCovered")                                                                 \
    X(IN_TERM, "PrimaryActsInTerm")                                                                \
    X(REACH, "PrimaryReachesMajority")                                                             \
    X(LEAVE_DETECTION, "LeaveDetectionWeak")                                                       \
    X(VIEW_IS_ACTIVE, "ViewIsActive")                                                              \
    X(SINGLE_ACTIVATION, "SingleActivation")                                                       \
    X(STALE_WRITE, "NoStaleWrite")                                                                 \
    X(GROWTH, "Growth")                                                                            \
    X(MAJORITY, "GrantedByMajority")                                                               \
    X(TRANSITION, "NodeTransitions")                                                               \
    X(DECODES, "RowsDecode")                                                                       \
    X(PLACED, "PlacedOnActive")                                                                    \
    X(BY_NODE, "ByNodeIsPlacement")                                                                \
    X(APPLIED_ONCE, "AppliedOnce")                                                                 \
    X(APPLIED, "AppliedIsTrue")                                                                    \
    X(WRONGED, "NobodyIsWronged")                                                                  \
    X(REPLIES, "RepliesInOrder")                                                                   \
    X(DURABLE, "AcknowledgedIsDurable")                                                            \
    X(LINEARIZABLE, "Linearizable")                                                                \
    X(COMPLETION, "NoCompletionLost")                                                              \
    X(LEAK, "NothingKept")                                                                         \
    X(TWIN_ENDS, "TwinEnds")                                                                       \
    X(ORDERS, "OrdersAreTrue")                                                                     \
    X(FAILED_IS_OVER, "FailedIsOver")                                                              \
    X(STATE_IS_WHOLE, "StateIsWhole")                                                              \
    X(LEASE_KEPT, "LeaseIsKept")                                                                   \
    X(FAILED_NAMED, "FailuresAreNamed")                                                            \
    X(FAILURES_TOLD, "FailuresAreTold")                                                            \
    X(LOSS_TRUE, "LossesAreTrue")                                                                  \
    X(LOSS_TOLD, "LossesAreTold")                                                                  \
    X(OLD_LIFE, "NoOldLifeRevives")                                                                \
    X(GREY_FAULT, "GreyIsUnreachable")                                                             \
    X(GREY_ONE, "OneGreyAtATime")                                                                  \
    X(GREY_MAJORITY, "GreyLeavesMajority")                                                         \
    X(GREY_BEAT, "FlaggedIsSilent")                                                                \
    X(GREY_OUT, "GreyIsOut")                                                                       \
    X(GREY_RETURN, "GreyReturnsReached")                                                           \
    X(DIALS, "DialsRowsOnly")                                                                      \
    X(STRANGERS, "StrangersAreNobody")                                                             \
    X(MESSAGE_ONCE, "MessageOnce")                                                                 \
    X(ORDER_KEPT, "OrderKept")                                                                     \
    X(PERIODS, "PeriodsAreKept")                                                                   \
    X(NOTHING_LOST, "NothingDueIsLost")                                                            \
    X(CHAINS, "ChainIsWhole")                                                                      \
    X(AGES, "AgesAreUpperBounds")                                                                  \
    X(LEAVES_EARLY, "NothingLeavesEarly")                                                          \
    X(FOUNDS_ONCE, "FoundsNoOther")                                                                \
    X(FORGETS, "EraseForgetsNothingYoung")                                                         \
    X(CONVERGENCE, "EventualMembershipConvergence")                                                \
    X(ANSWERS, "EveryActorAnswers")                                                                \
    X(WRITES, "EveryNodeWrites")                                                                   \
    X(QUIET, "NothingLingers")                                                                     \
    X(DRAIN_OVER, "DrainIsOver")                                                                   \
    X(HOSTED, "PlacedWhereHosted")                                                                 \
    X(TYPES, "TypesAreAsWanted")                                                                   \
    X(TYPES_PACE, "TypesChangeSlowly")                                                             \
    X(TYPES_APART, "TypesConflictWithNobody")                                                      \
    X(SWEPT, "VoidIsSwept")                                                                        \
    X(LEAVE, "LeaveIsLeave")                                                                       \
    X(FRESH_LIFE, "FreshLifeStays")                                                                \
    X(DAMAGE, "DamageIsAFault")                                                                    \
    X(DEATHS, "DeathsAreBounded")                                                                  \
    X(INNOCENT, "InnocentRun")                                                                     \
    X(FORGIVEN, "Forgiven")                                                                        \
    X(USERS, "WhatUsersExpect")

enum check {
#define SIM_CHECK_ENUM(NAME, name) CHECK_##NAME,
    SIM_CHECKS(SIM_CHECK_ENUM)
#undef SIM_CHECK_ENUM
        CHECK_COUNT
};

/* What check_grey.c remembers of a node. */
struct grey_seen {
    uint64_t beat_ns, steady_ns; /* its last heartbeat; since when there was none late */
    uint64_t flagged_ns;
    bool was_flagged; /* and has not been Active in a later life, nor was its row struck */
};

struct grey {
    struct grey_seen nodes[SIM_NODES_MAX];
    uint64_t quiet_ns; /* since when no node and no primary has changed, and the primary acts */
};

/* A failure that a life of a node has committed, and has not named yet. */
struct unnamed {
    unsigned node, life; /* life: of the process that did it; 0: free */
    uint64_t incarnation;
    uint64_t since_ns; /* from then on it could have */
};
#define UNNAMED_MAX (2 * SIM_NODES_MAX)

/* What a life has said to be missing. */
struct losses_said {
    unsigned life;
    bool primary, majority;
    uint64_t acts_ns, looked_ns; /* since when it acts, and is not primary itself */
};

/* When the rows last said that there is a primary, or a majority; and that there is none (check_losses.c). */
struct losses {
    uint64_t led_ns, unled_ns, many_ns, few_ns;
    uint64_t unsure_ns; /* the rows were not those of the cluster, or damaged */
    uint64_t looked_ns;
    struct losses_said said[SIM_NODES_MAX][2];
};

struct checks {
    struct grey grey;
    struct losses losses;
    struct unnamed unnamed[UNNAMED_MAX];
    uint64_t compared[CHECK_COUNT];
    uint64_t histories;      /* of actors, judged at the end */
    uint64_t histories_open; /* of these, too many possible orders: not checked */
};

struct checks *checks_new(struct world *w);
void checks_free(struct checks *c);
const char *check_name(enum check c);

/* Counts one comparison; when it is not `ok` it is a violation (and false is returned). */
#define COMPARE(w, check, ok, ...)                                                                 \
    check_said(((w)->checks->compared[check]++, (ok)) || world_excuses((w), check_name(check)) ||  \
               (world_violation((w), check_name(check), __VA_ARGS__), false))
static inline bool check_said(bool ok)
{
    return ok;
}

/* After a dispatch into a node's code. */
void checks_on_step(struct process *p);
/* A life ends: what it ran no longer counts. */
void checks_on_end(struct process *p);

/* Row by row, from shadow_apply(). */
void check_node_row(struct shadow *s, struct shadow_change *c, unsigned n,
                    const struct shadow_node *node, const struct node_record *after);
void check_placement_row(struct shadow *s, const struct shadow_actor *a,
                         const struct placement_record *after);
/* An actor was placed on that node (check_types.c). */
void check_hosted(struct shadow *s, const struct shadow_actor *a, unsigned n);
/* The types of a node were changed. */
void check_types_row(struct shadow *s, const struct shadow_change *c, unsigned n,
                     const struct types_record *after);
/* The floor of generations grows. */
void check_generations(struct shadow *s, uint64_t floor);
/* A row of a placement is gone. */
void check_struck(struct shadow *s, struct shadow_change *c, const struct shadow_actor *a);
/* A head row was written by a sweep; or not, and then false. */
bool check_forgot(struct shadow *s, const struct shadow_actor *a, const struct head_record *head);
/* At the end of a commit that struck some. */
void check_floor_covers(struct shadow *s, const struct shadow_change *c);
void check_state_row(struct shadow *s, const struct shadow_change *c, const struct shadow_actor *a,
                     const struct head_record *r);
/* The whole of a commit. */
void check_commit(struct shadow *s, struct shadow_change *c);
/* Nodes against the store, after a commit that changed nodes or view, or a step of `p`. */
void check_leave_detection(struct world *w, const struct process *p);
void check_majority(struct shadow *s, const struct shadow_change *c);
/* What a commit does to other nodes (check_acts.c). */
void check_acts(struct shadow *s, const struct shadow_change *c);
/* Whoever lived before the store was set back leaves no trace in it. */
void check_old_life(struct shadow *s, const struct shadow_change *c);
void check_beat(struct shadow *s, unsigned n, struct uuid boot);
/* Flags and what follows (check_grey.c): a commit; a heartbeat that landed. */
void check_grey(struct shadow *s, const struct shadow_change *c);
void check_grey_beat(struct shadow *s, unsigned n, const struct heartbeat_record *before);
/* What a node tells people (check_told.c): a failure of `node` was committed by that life; a step of a life; its end. */
void told_failed(struct world *w, unsigned node, uint64_t incarnation, unsigned by_life);
void told_on_step(struct process *p);
void told_on_end(const struct process *p);
void check_told(struct process *p, enum log_level level, const char *name, const char *fields);
/* What a node says to be missing (check_losses.c): a step of a life; a commit that changed nodes; what it tells. */
void losses_on_step(struct process *p);
void losses_on_commit(struct world *w);
void losses_told(struct process *p, enum log_level level, const char *name, const char *fields);
/* `node` has heard from a majority of the voters within a lease. */
bool check_reaches(struct world *w, unsigned node);

/* In the calm, once clients have stopped (check_orderly.c): nothing lingers in any node, no drain goes on
 * that was called off; no row says that an actor is placed in a life that is over. Else `why`. */
bool check_quiet(struct world *w, char *why, size_t why_size);
bool check_drains(struct world *w, char *why, size_t why_size);
bool check_swept(struct world *w, char *why, size_t why_size);

/* The middle one of the wall clocks of all processes of nodes. */
uint64_t check_median_wall_ms(struct world *w);

/* At the end: did every checker compare something, where it could? */
void checks_finish(struct world *w);

#endif
