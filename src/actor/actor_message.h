/*
 * What travels as payload of RPC_ACTOR_CALL. Big endian; blobs are u32 length and bytes.
 *
 * Request: op u8; type, id (blobs); generation u64 as the sender knows it (0: not known); and for
 * ACTOR_OP_CALL also: remaining milliseconds of the whole call u32, flags u8 (1 = the age is known, 2 = an actor
 * calls, 4 = it is sent),
 * age in ms u64, what the receiver's clock last said to the sender u64 (0: nothing yet), the caller's
 * identity, method, request id, body (blobs), and with flag 2 the chain (chain.h), with flag 4 after how many ms it is due u64. A program that does not know a flag
 * refuses the request as KELPIE_E_PROTOCOL: of a call of an actor there, nothing is done. Answer: flags u8 (1 = a hint follows), clock u64; hint:
 * placed u8, node id, incarnation u64, boot id 16, generation u64; then the body (blob): the reply, or a
 * sentence. ACTOR_OP_NUDGE: also remaining milliseconds u32, and until when messages are due u64. A hint names a life of a node; where that lives, the receiver knows from the store or asks it.
 */
#ifndef KELPIE_ACTOR_ACTOR_MESSAGE_H
#define KELPIE_ACTOR_ACTOR_MESSAGE_H

#include "actor/chain.h"
#include "registry/placement.h"

#define CALLER_MAX 128
#define AGE_MS_MAX (48ull * 3600 * 1000) /* of a request, with what nodes held it */

enum actor_op {
    ACTOR_OP_CALL = 1,
    ACTOR_OP_ACTIVATE = 2, /* a hint that the actor was handed over: load it, answer at once */
    ACTOR_OP_NUDGE = 3,    /* there is something in its inbox */
};

struct actor_request {
    enum actor_op op;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    uint64_t generation;
    uint32_t remaining_ms;
    uint64_t until_ms; /* of a nudge: what has a time is due until then, wall clock */
    bool age_known;
    uint64_t age_ms;  /* since the first attempt, at most; not known: since it came to a node */
    uint64_t echo_ns; /* of the receiver's clock; 0: the sender has heard nothing from it */
    char caller[CALLER_MAX + 1]; /* who asks; empty: nobody has said so */
    char method[KELPIE_METHOD_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1];
    bool send; /* the receiver sends it to itself */
    uint64_t after_ms;
    struct bytes body;  /* borrowed */
    struct bytes chain; /* likewise; empty: no actor calls */
};

struct actor_answer {
    bool has_hint;
    uint64_t clock_ns;     /* the sender's */
    struct placement hint; /* its address is not sent, and empty when received */
    struct bytes body;     /* borrowed */
};

void actor_request_encode(struct buf *out, const struct actor_request *r);
/* Returns 0 or KELPIE_E_PROTOCOL: every field is within its bounds, ids are ids. */
int actor_request_decode(struct bytes payload, struct actor_request *r) MUST_USE;
void actor_answer_encode(struct buf *out, const struct actor_answer *a);
int actor_answer_decode(struct bytes payload, struct actor_answer *a) MUST_USE;

#endif
