/*
 * Messages between actors: actors of the class "post" send to each other, at once in fans and cycles, by
 * name and with a time, and with periods; clients ask for it. Each post counts what it has applied, and in
 * which order; the rows are followed by check_messages.c.
 */
#ifndef KELPIE_SIM_POSTS_H
#define KELPIE_SIM_POSTS_H

#include "kelpie/kelpie.h"
#include "sim/checkers/shadow.h"

extern const struct kelpie_class sim_class_post;

struct posts *posts_new(struct world *w);
void posts_free(struct posts *ps);
void posts_start(struct world *w);
/* Nothing new is asked for; what was sent goes on. */
void posts_stop(struct world *w);
/* Nothing that is due lies in an inbox. */
bool posts_settled(struct world *w, char *why, size_t why_size);
/* Or receivers are full, and since this was asked last a message that waited in its sender's order is gone. */
bool posts_moved(struct world *w, char *why, size_t why_size);
void posts_process_gone(struct world *w, const struct process *p);
size_t posts_calls_of(const struct world *w, const struct process *p);

/* Rows of a commit, one after the other, then its end. */
void posts_row(struct world *w, const struct key_parts *parts, const struct store_write *row,
               struct buf *scratch);
void posts_state(struct world *w, const struct key_parts *parts, struct bytes value);
void posts_commit(struct world *w);
/* The store is another; the commit that follows is all that is in it. */
void posts_set_back(struct world *w);

#endif
