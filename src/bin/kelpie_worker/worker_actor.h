/*
 * An actor as a worker process has it: for one turn. The class sees an activation that begins before the message and
 * ends behind it, which it must expect at any time (kelpie/kelpie.h); what it changes is told to the node,
 * which alone makes it true.
 */
#ifndef KELPIE_BIN_WORKER_ACTOR_H
#define KELPIE_BIN_WORKER_ACTOR_H

#include "actor/actor_state.h"
#include "base/log.h"
#include "http/worker_peer.h"

#define WHY_SIZE 384

enum actor_where { IN_NOTHING, IN_ACTIVATE, IN_RECEIVE, IN_ANSWERED, IN_DEACTIVATE };

struct actor_block {
    struct actor_block *next;
    max_align_t data[];
};

/* A call that the turn has made and that was not answered yet. */
struct actor_calls {
    kelpie_call_fn answered[KELPIE_CALLS_OPEN_MAX];
    void *arg[KELPIE_CALLS_OPEN_MAX];
    size_t bytes; /* of their bodies */
    size_t made;  /* in the whole turn */
};

struct kelpie_actor {
    const struct kelpie_class *class;
    const struct worker_turn *turn;
    const struct log *log;
    uint64_t began_ns;
    enum actor_where where;
    struct kelpie_message message;
    struct actor_state values, told; /* as the class sees them, as the node knows them */
    bool wrote; /* the message changed something; of what `activate` wrote nothing is told before */
    struct worker_result *result;         /* what is told next; its texts lie in `turn_blocks` */
    size_t sends, send_names, send_bytes; /* of the whole turn */
    struct actor_calls calls;
    struct buf reply; /* or the sentence of an error, or a domain error: code, NUL, sentence */
    bool has_reply, failed, finished;
    int finish_status;
    int why_error; /* what the last write or call of the callback failed with, and a sentence */
    char why[WHY_SIZE];
    uint64_t random;
    void *data;
    struct actor_block *blocks, *turn_blocks;
};

/* actor_api.c's part for the other files: */
void *block_new(struct actor_block **list, size_t size);
void blocks_free(struct actor_block **list);
/* Notes what is wrong, for who passes the error on; returns it. */
int actor_refuse(struct kelpie_actor *actor, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The message runs, and may write. */
bool actor_in_turn(const struct kelpie_actor *actor);

#endif
