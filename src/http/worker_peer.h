/* The other side of worker_json.h: what a worker is told, and what it says (docs/workers.md). */
#ifndef KELPIE_HTTP_WORKER_PEER_H
#define KELPIE_HTTP_WORKER_PEER_H

#include "http/worker_json.h"

enum worker_told_kind {
    WORKER_TOLD_NOTHING, /* ask again */
    WORKER_TOLD_TURN,
    WORKER_TOLD_ANSWERS, /* of the calls that the turn `turn.ticket` has made */
};

/* All that is borrowed ends with worker_told_free(). */
struct worker_told {
    enum worker_told_kind kind;
    struct worker_turn turn;
    struct worker_entry state[KELPIE_STATE_KEYS_MAX];
    struct worker_answer answers[KELPIE_CALLS_OPEN_MAX];
    size_t answer_count;
    struct buf kept; /* decoded and put together */
    void *root;
};

/* Returns 0, or KELPIE_E_PROTOCOL: what is told is nothing that a worker knows. To be freed in any case. */
int worker_told_decode(struct bytes text, struct mem mem, struct worker_told *out) MUST_USE;
void worker_told_free(struct worker_told *t);

/* One line each, without its end. What is not text is said in base64. Of `r` the counts say what there is. */
void worker_hello_encode(const struct worker_type *types, size_t count, struct buf *out);
void worker_result_encode(const struct worker_result *r, struct buf *out);

#endif
