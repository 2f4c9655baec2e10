/*
 * The chain of a call: the actors that wait for it, from the first one that was called to the caller. And
 * the request ids of calls that a turn makes, which follow from its own.
 *
 * A chain is bytes, in memory and on the wire: type NUL id NUL for each of its actors; empty for a call that no
 * actor made.
 */
#ifndef KELPIE_ACTOR_CHAIN_H
#define KELPIE_ACTOR_CHAIN_H

#include "base/buf.h"
#include "base/hash128.h"
#include "kelpie/kelpie.h"
#include "record/keys.h"
#include "record/records.h"

#define CHAIN_BYTES_MAX (KELPIE_CALL_DEPTH_MAX * (ACTOR_TYPE_MAX + ACTOR_ID_MAX + 2))

/* Made of whole names within their bounds, at most KELPIE_CALL_DEPTH_MAX of them. */
bool chain_valid(struct bytes chain);
size_t chain_depth(struct bytes chain);
bool chain_has(struct bytes chain, const char *type, const char *id);
/* The last one, who makes the call, as in the chain; empty: nobody. */
struct bytes chain_caller(struct bytes chain);
void chain_append(struct buf *chain, const char *type, const char *id);
/* "a/1 -> b/2 -> ", for a sentence. */
void chain_to_text(struct bytes chain, struct buf *out);

struct nested {
    const char *origin;    /* the request id of the turn that calls */
    const char *type, *id; /* the caller */
    const char *to_type, *to_id, *method;
    struct bytes body;
};
/* What the call is, whichever of the turn's it is. */
struct hash128 nested_hash(const struct nested *n);
/* The id of the turn's call of that hash before which it made `equals` with the same. */
void nested_request_id(struct hash128 hash, uint64_t equals, char out[REQUEST_ID_MAX + 1]);
/* The origin of the calls that a message's turn makes: applied once for each attempt of the message. */
void message_origin(struct uuid message, uint64_t attempt, char out[REQUEST_ID_MAX + 1]);

#endif
