/* What a worker's turn has come to, done to its actor. */
#ifndef KELPIE_WORKER_WORKER_APPLY_H
#define KELPIE_WORKER_WORKER_APPLY_H

#include "worker/worker_turn.h"

/* Within `receive` or a callback of its turn. Returns what that returns: KELPIE_PENDING when others were called;
 * `answered` is then given args[i] for the call of that number. */
int worker_apply(struct kelpie_actor *actor, const struct worker_result *r, kelpie_call_fn answered,
                 void *const args[]);

#endif
