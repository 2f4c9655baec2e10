/*
 * The JSON that a node and a worker exchange: turns that are handed out, and what comes back
 * (docs/workers.md). Encoded for workers, decoded from bytes that nobody vouches for, with every bound
 * named in the sentence that refuses them.
 */
#ifndef KELPIE_HTTP_WORKER_JSON_H
#define KELPIE_HTTP_WORKER_JSON_H

#include "base/buf.h"
#include "worker/worker_turn.h"

#define WORKER_PROTOCOL 1
#define WORKER_TEXT_MAX (8u * 1024 * 1024) /* one message of a worker */
#define WORKER_WHY_SIZE 320

/* ---- to a worker */

/* One line each, without its end. */
void worker_turn_encode(const struct worker_turn *t, struct buf *out);
void worker_answers_encode(uint64_t ticket, const struct worker_answer *a, size_t count,
                           struct buf *out);

/* As it stands in a hello. */
const char *worker_placement_name(enum kelpie_placement p);

/* ---- from a worker */

/* Both return 0, or KELPIE_E_INVALID with a sentence, which fits behind "the worker": it "says no JSON",
 * "puts more than 1000 keys". To be freed in any case. */
int worker_result_decode(struct bytes text, struct mem mem, struct worker_result *out, char *why,
                         size_t why_size) MUST_USE;
void worker_result_free(struct worker_result *r, struct mem mem);
int worker_hello_decode(struct bytes text, struct worker_hello *out, char *why,
                        size_t why_size) MUST_USE;
void worker_hello_free(struct worker_hello *h);

#endif
