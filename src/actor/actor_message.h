/*
 * What travels as payload of RPC_ACTOR_CALL. Big endian; blobs are u32 length and bytes.
 *
 * Request: op u8; type, id (blobs); generation u64 as the sender knows it (0: not known); and for
 * ACTOR_OP_CALL also: remaining milliseconds of the whole call u32, method, request id, body
 * (blobs). Answer: flags u8 (1 = a hint follows); hint: placed u8, node id, incarnation u64, boot
 * id 16, generation u64; then the body (blob): the reply, or a sentence. A hint names a life of a
 * node; where that lives, the receiver knows from the store or asks it.
 */
#ifndef KELPIE_ACTOR_ACTOR_MESSAGE_H
#define KELPIE_ACTOR_ACTOR_MESSAGE_H

#include "kelpie/kelpie.h"
#include "registry/placement.h"

enum actor_op {
    ACTOR_OP_CALL = 1,
    ACTOR_OP_ACTIVATE = 2, /* a hint that the actor was handed over: load it, answer at once */
};

struct actor_request {
    enum actor_op op;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    uint64_t generation;
    uint32_t remaining_ms;
    char method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    struct bytes body; /* borrowed */
};

struct actor_answer {
    bool has_hint;
    struct placement hint; /* its address is not sent, and empty when received */
    struct bytes body;     /* borrowed */
};

void actor_request_encode(struct buf *out, const struct actor_request *r);
/* Returns 0 or KELPIE_E_PROTOCOL: every field is within its bounds, ids are ids. */
int actor_request_decode(struct bytes payload, struct actor_request *r) MUST_USE;
void actor_answer_encode(struct buf *out, const struct actor_answer *a);
int actor_answer_decode(struct bytes payload, struct actor_answer *a) MUST_USE;

#endif
