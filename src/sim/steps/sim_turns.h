/*
 * The turns of one actor as steps of spec/KelpieTurns.tla, one line for each; spec/TurnsTrace.tla replays
 * them (docs/simulation.md). Kept while the run goes on, when somebody asked for it (world.turns; NULL
 * costs a branch). It draws nothing and changes nothing.
 *
 * What a node does with a request is said where it does it (act_watch, actor/activation.h), with the age
 * and the own time by which it does; what lands is read from the rows of the commit.
 */
#ifndef KELPIE_SIM_SIM_TURNS_H
#define KELPIE_SIM_SIM_TURNS_H

#include "base/buf.h"
#include "sim/world/sim_process.h"

#define TURN_LINES_MAX (1u << 17)

/* X(NAME): as in spec/TurnsTrace.tla. */
#define TURN_ACTIONS(X)                                                                            \
    X(Tick)                                                                                        \
    X(Send)                                                                                        \
    X(Grant)                                                                                       \
    X(Void)                                                                                        \
    X(Begin)                                                                                       \
    X(Stop)                                                                                        \
    X(End)                                                                                         \
    X(Arrive)                                                                                      \
    X(Find)                                                                                        \
    X(Drop)                                                                                        \
    X(TooLate)                                                                                     \
    X(Erase)                                                                                       \
    X(Turn)                                                                                        \
    X(Commit)                                                                                      \
    X(Land)                                                                                        \
    X(Refuse)                                                                                      \
    X(Learn)                                                                                       \
    X(Reply)                                                                                       \
    X(Look)                                                                                        \
    X(Forget)                                                                                      \
    X(Strike)

enum turn_action {
#define TURN_ENUM(NAME) TURN_##NAME,
    TURN_ACTIONS(TURN_ENUM)
#undef TURN_ENUM
        TURN_ACTION_COUNT
};

struct turns;

/* It is "type/id". */
bool turns_can_follow(const char *actor);
/* Of "type/id"; NULL: the first that tries its node, else the first counter. */
struct turns *turns_new(const char *actor);
void turns_free(struct turns *t);

/* ---- what the world tells; each is called only when world.turns is set */

void turns_start(struct world *w);
/* A life begins: its node is there, and has not started. */
void turns_on_life(struct process *p);
/* A life ends. */
void turns_on_end(const struct process *p);
/* A client asks for the first time. */
void turns_on_send(struct world *w, const char *type, const char *id, const char *request_id);
/* A node has read an attempt, which was sent then, from its socket. */
void turns_on_read(struct world *w, const char *type, const char *id, const char *request_id,
                   uint64_t sent_ns);
struct shadow_change;
/* A commit has landed; the checkers' rows have it already. */
void turns_on_commit(struct world *w, const struct shadow_change *change);

/* ---- what came of it */

size_t turns_lines(const struct turns *t);
/* More than TURN_LINES_MAX: the rest is missing. */
bool turns_cut_short(const struct turns *t);
/* The module TurnsData for spec/TurnsTrace.tla. */
void turns_to_tla(const struct turns *t, struct buf *out);

#endif
