/*
 * Inside of an open turn: what its calls, their answers and its end (open_turn.c), what classes call
 * (turn_api.c) and who waits for somebody outside (outside.c) share.
 */
#ifndef KELPIE_ACTOR_OPEN_TURN_H
#define KELPIE_ACTOR_OPEN_TURN_H

#include "actor/activation.h"
#include "actor/outside_link.h"
#include "base/hash128.h"

/* A call of the turn. */
struct nested_call {
    struct list link; /* in one of the turn's lists */
    struct open_turn *turn;
    struct actor_call *call; /* under way */
    kelpie_call_fn answered;
    void *arg;
    uint64_t deadline_ns; /* UINT64_MAX: none of its own */
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    int status;
    struct buf reply;
    size_t body_len;
    uint8_t body[];
};

struct turn_block {
    struct turn_block *next;
    max_align_t data[];
};

struct open_turn {
    struct kelpie_actor *act;
    struct invocation *inv;
    struct timer timer; /* nobody waits for it any more; or for a message behind it */
    struct list waiting, flying, answered;
    size_t unanswered, bytes; /* calls that wait or fly, and their bodies */
    struct outside *outside;  /* it waits for somebody outside; NULL: it does not */
    size_t made;
    struct hash128 *hashes; /* of the calls made, KELPIE_CALLS_MAX of them; NULL: none yet */
    bool in_callback;
    bool finished;
    int status;
    struct turn_block *blocks;
};

static inline struct mem open_turn_mem(const struct open_turn *t)
{
    return t->act->actors->env->mem;
}

/* Of the actor's current message. */
struct open_turn *open_turn_new(struct kelpie_actor *act);
/* Looks anew until when somebody waits for it. */
void open_turn_arm(struct open_turn *t);

#endif
