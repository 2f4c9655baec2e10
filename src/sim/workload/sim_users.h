/*
 * Users' actors: their classes in each life of a node, their clients, and what they say must hold
 * (include/kelpie/sim.h). Where classes and workload come from is the program's to say.
 */
#ifndef KELPIE_SIM_USERS_H
#define KELPIE_SIM_USERS_H

#include "kelpie/sim.h"
#include "record/keys.h"
#include "sim/world/world.h"

#define SIM_USER_TYPES_MAX 16

struct sim_users_source {
    size_t type_count;
    const char *types[SIM_USER_TYPES_MAX]; /* the same in each life, in this order */
    /* A life begins: its classes, as many as types, in that order; they are valid until its end. What cannot be had
     * ends the program with a sentence. */
    const struct kelpie_class *const *(*begin)(void *ctx, void **life);
    void (*end)(void *ctx, void *life);
    void *ctx;
    const struct kelpie_sim_workload *workload;
    /* The workload breaks its interface: one sentence, and the end of the program. */
    void (*fault)(const char *sentence);
};

struct kelpie_sim *users_new(struct world *w);
void users_free(struct kelpie_sim *us);
void users_start(struct world *w);
/* No new requests; those under way come to an end. */
void users_stop(struct world *w);
/* All clients have their answers, and no message to a user's actor that is due lies still. */
bool users_settled(struct world *w, char *why, size_t why_size);
/* Then the questions of the end, until all have been answered and what must hold was looked at. */
void users_ask_at_end(struct world *w);
bool users_done(struct world *w, char *why, size_t why_size);
void users_process_gone(struct world *w, const struct process *p);
size_t users_calls_of(const struct world *w, const struct process *p);
/* A row of a commit. */
void users_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
               struct buf *scratch);

/* A turn of a user's actor has said that: an event of the history. */
void users_turn_event(const struct kelpie_actor *actor, int status);

/* The classes of one life: theirs, with ours around each callback. NULL: the run has none. */
struct users_life;
struct users_life *users_life_begin(struct world *w);
void users_life_end(struct users_life *l);
size_t users_life_count(const struct users_life *l);
const struct kelpie_class *users_life_class(const struct users_life *l, size_t i);

#endif
