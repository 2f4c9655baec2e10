/*
 * A turn that is run by somebody outside of the node: `receive` says so, returns KELPIE_PENDING, and the turn
 * stays open until it is answered, as it does for calls of other actors (kelpie/kelpie.h). A read waits
 * beside everything else. Whoever runs it is a hub of workers (worker/hub.h); this floor knows nothing of him.
 */
#ifndef KELPIE_ACTOR_OUTSIDE_H
#define KELPIE_ACTOR_OUTSIDE_H

#include "actor/actor.h"

struct outside;

/* It was answered: runs from the run queue, as a callback of the turn, in which all may be done that `receive` may
 * do. Returns what `receive` returns: KELPIE_PENDING after kelpie_call or outside_wait. */
typedef int outside_fn(struct kelpie_actor *actor, void *arg);
/* It has ended without being answered: nobody waits for it any more, or its activation has ended. Nothing of
 * the actor floor may be called in it. */
typedef void outside_gone_fn(void *arg);

/* In `receive`, or in a callback of an open turn that is to return KELPIE_PENDING; once at a time. One of both
 * runs once, later. The turn may have called others beside it. NULL: it is a read, and as many of the actor are outside as may be (OUTSIDE_READS_MAX). */
struct outside *outside_wait(struct kelpie_actor *actor, outside_fn *answered,
                             outside_gone_fn *gone, void *arg);
/* `answered` runs soon; the wait is over with it. */
void outside_answer(struct outside *o);
/* Somebody is at it: what it does may come to its end though nobody waits for it any more. Not held, it ends when
 * nobody does. */
void outside_hold(struct outside *o, bool held);
/* Whether somebody still waits for what it comes to. */
bool outside_wanted(const struct outside *o);

/* What the turn is shown, until its next callback. As kelpie_state_next. */
bool outside_state_next(const struct outside *o, struct bytes after, struct bytes *key,
                        struct bytes *value);
/* The message, and the actors that wait for it (chain.h); until the turn ends. */
const struct kelpie_message *outside_message(const struct outside *o);
struct bytes outside_chain(const struct outside *o);
/* What is left until its deadline, in ms. */
uint32_t outside_left_ms(const struct outside *o);
struct kelpie_actor *outside_actor(const struct outside *o);

/* Takes back all that the turn did since it began, and gives its calls up: it is to run from its beginning,
 * for who ran it is no more. Not in a callback. */
void outside_begin_again(struct outside *o);
/* In a callback: what the turn failed of has not reached a handler. An attempt of a message does not count. */
void outside_unreached(struct kelpie_actor *actor);
/* In a callback: the sentence that its error is answered with, when there is no reply. */
void outside_why(struct kelpie_actor *actor, int error, const char *why);

#endif
