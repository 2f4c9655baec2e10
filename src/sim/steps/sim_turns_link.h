/* Shared by sim_turns*.c. */
#ifndef KELPIE_SIM_SIM_TURNS_LINK_H
#define KELPIE_SIM_SIM_TURNS_LINK_H

#include "actor/activation.h"
#include "base/map.h"
#include "sim/checkers/shadow.h"
#include "sim/steps/sim_turns.h"
#include "sim/world/world.h"

/* A request id, numbered in the order in which they are first met. */
struct turn_id {
    struct map_node node;
    struct turn_id *next; /* of all */
    uint32_t number;
    uint64_t socket_ms; /* what a socket held an attempt of it, at most */
    bool remembered;    /* there is a row of it: */
    struct key key;
    char request_id[REQUEST_ID_MAX + 1];
};

/* Of the requests that wait, how old each is; of a commit that landed, which were applied (1) and which
 * are forgotten (0). */
struct turn_pair {
    uint32_t number;
    uint64_t value;
};

struct turn_line {
    enum turn_action action;
    bool yes;
    uint32_t generation, number; /* of the request; 0: none */
    uint64_t at_ms, commit, own_ms, horizon_ms, age_ms, socket_ms;
    const char *outcome;
    size_t pairs, pair_count; /* from there on */
};

enum turn_phase { TURN_WAITS, TURN_FOUND, TURN_RAN };

/* A message on a node that hosts the actor. */
struct turn_message {
    const struct process *p;
    const struct invocation *inv;
    struct turn_id *id;
    enum turn_phase phase;
    bool looked;
    uint32_t generation;
    uint64_t at_ms, age_ms, own_ms; /* when its turn began */
};

struct turns {
    struct world *w;
    char type[ACTOR_TYPE_MAX + 1], id[ACTOR_ID_MAX + 1];
    const struct shadow_actor *actor;
    uint64_t window_ms; /* the shortest of the nodes that ran it */

    struct turn_line *lines;
    size_t count, cap;
    struct turn_pair *pairs;
    size_t pair_count, pair_cap;
    bool full;
    uint64_t now_ms; /* as the lines tell */

    struct map by_request_id;
    struct turn_id *ids, **ids_end;
    uint32_t id_count;
    struct turn_message *messages;
    size_t message_count, message_cap;
    struct turns_at {
        const struct process *p; /* NULL: it does not run there */
        uint32_t generation;
    } runs[2 * SIM_NODES_MAX];

    uint32_t generation; /* of the placement, as the lines tell */
    bool placed;
    struct buf scratch;
    struct sim_mem mem;
};

const char *turn_name(enum turn_action a);
/* Valid until the next line. */
struct turn_line *turn_add(struct turns *t, enum turn_action a, uint32_t generation);
void turn_pair_add(struct turns *t, struct turn_line *l, uint32_t number, uint64_t value);
struct turn_id *turn_id_of(struct turns *t, const char *request_id);

#endif
