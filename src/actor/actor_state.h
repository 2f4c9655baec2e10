/*
 * An actor's state in memory: a small ordered map. Changes of one message are made in place and can
 * be taken back; what is not in the store yet is known as `unsaved`.
 */
#ifndef KELPIE_ACTOR_ACTOR_STATE_H
#define KELPIE_ACTOR_ACTOR_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "kelpie/kelpie.h"
#include "registry/rules_actor.h"

struct actor_state {
    struct mem mem;
    struct map entries;
    struct list touched; /* changed by the message that runs */
    struct list aside;   /* of the open turn, which waits: as before it, its own values beside */
    struct list unsaved; /* changed since the last commit was taken */
    struct list based;   /* differ from what is committed, or did when that was taken */
    bool aside_erased;
    bool erased; /* by the message that runs, or is the last to be written */
    size_t unsaved_count;
    size_t touched_count;
    uint64_t sum; /* of row_sum of those that are present, modulo 2^64 */
    size_t keys;  /* that are present */
    size_t bytes; /* of their keys and values */
};

void actor_state_init(struct actor_state *s, struct mem mem);
void actor_state_deinit(struct actor_state *s);
/* A row as loaded: saved, untouched. Returns 0, or KELPIE_E_STORE_CORRUPT: no actor can have written
 * rows over the bounds. */
int actor_state_load(struct actor_state *s, struct bytes key, struct bytes value) MUST_USE;

/* What a callback is shown: the state as it will be when all that ran is committed, or what is. */
enum state_view { STATE_AS_IT_WILL_BE, STATE_COMMITTED };

bool actor_state_get(const struct actor_state *s, enum state_view view, struct bytes key,
                     struct bytes *value);
int actor_state_put(struct actor_state *s, struct bytes key, struct bytes value) MUST_USE;
int actor_state_delete(struct actor_state *s, struct bytes key) MUST_USE;
/* The sentence for a put (or a delete: no value) that has just failed, with the bound that it met. */
void actor_state_why(const struct actor_state *s, struct bytes key, struct bytes value, char *out,
                     size_t size);
bool actor_state_next(const struct actor_state *s, enum state_view view, struct bytes after,
                      struct bytes *key, struct bytes *value);

/* Deletes all there is, whatever the bounds; the message changes nothing any more. */
void actor_state_erase(struct actor_state *s);
/* What it erased was nothing, and is not committed. */
void actor_state_not_erased(struct actor_state *s);

/* The message changed something. */
bool actor_state_touched(const struct actor_state *s);
/* Takes the message's changes back. */
void actor_state_rollback(struct actor_state *s);
/* Keeps the message's changes, still unsaved. */
void actor_state_keep(struct actor_state *s);
/* The open turn waits: the state is as before it, and can be written to the store (not changed), until it is
 * taken up again. */
void actor_state_lay_aside(struct actor_state *s);
void actor_state_take_up(struct actor_state *s);
/* Keeps those of `activate`, unsaved until the first commit; who reads is shown them too. */
void actor_state_begin(struct actor_state *s);
/* So many changes are written as the whole state, which has fewer rows. */
#define STATE_WRITES_MAX KELPIE_STATE_KEYS_MAX
/* What has to be written, copied into *block (one piece of memory, the caller's): the changed rows,
 * or all of them (*whole). Nothing is unsaved after that. Returns how many. */
size_t actor_state_take(struct actor_state *s, struct state_write **block, bool *whole);
/* What was taken is committed. */
void actor_state_committed(struct actor_state *s, const struct state_write *writes, size_t count,
                           bool whole);

#endif
