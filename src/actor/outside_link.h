/* Inside of the actor floor: turns that wait for somebody outside (outside.h). */
#ifndef KELPIE_ACTOR_OUTSIDE_LINK_H
#define KELPIE_ACTOR_OUTSIDE_LINK_H

#include "actor/activation.h"
#include "actor/outside.h"

#define OUTSIDE_READS_MAX 8 /* of one actor */
/* While somebody is at a turn, it is looked so often whether he still is. */
#define OUTSIDE_LOOK_NS (600 * NS_PER_S)

struct outside {
    struct kelpie_actor *act;
    struct invocation *inv;
    outside_fn *answered;
    outside_gone_fn *gone;
    void *arg;
    bool is_read, held, was_held, ready;
    struct list link; /* of a read: in act->outside */
};

/* Calls `answered`; it is no more. */
int outside_call(struct outside *o, struct kelpie_actor *act);
/* Calls `gone`; it is no more. NULL: nothing. */
void outside_drop(struct outside *o);

/* The open turn of that request waits for somebody who runs it, and nobody is at it: nothing of it is done. */
bool outside_waits_yet(const struct kelpie_actor *act, struct uuid hash);

/* ---- reads (outside.c) */
/* The read whose `receive` has just run waits outside. */
bool outside_read_stays(const struct kelpie_actor *act, const struct invocation *inv);
/* The first that was answered; NULL: none was. Out of the list. */
struct outside *outside_read_answered(struct kelpie_actor *act);
bool outside_read_ready(const struct kelpie_actor *act);
/* All of them end; their messages are appended to `out`. */
void outside_reads_take(struct kelpie_actor *act, struct list *out);

#endif
