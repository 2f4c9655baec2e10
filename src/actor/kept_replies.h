/*
 * The last REQUESTS_KEPT requests that an actor applied, with their replies: a repeated request id
 * is answered from here instead of being applied again.
 */
#ifndef KELPIE_ACTOR_KEPT_REPLIES_H
#define KELPIE_ACTOR_KEPT_REPLIES_H

#include "base/mem.h"
#include "record/records.h"

struct kept_reply;

struct kept_replies {
    struct mem mem;
    struct kept_slot {
        uint64_t hash; /* of the request id */
        struct kept_reply *reply;
    } * slots; /* by sequence mod REQUESTS_KEPT; `cap` of them */
    size_t cap;
    uint64_t last; /* the highest sequence */
    size_t bytes;  /* memory, roughly */
};

void kept_replies_init(struct kept_replies *k, struct mem mem);
void kept_replies_deinit(struct kept_replies *k);
/* Remembers what was committed; it takes the place of the one REQUESTS_KEPT before. */
void kept_replies_add(struct kept_replies *k, const struct request_record *r);
/* True with the first outcome of that request id; `reply` is borrowed until the next add. */
bool kept_replies_find(const struct kept_replies *k, const char *request_id,
                       struct request_record *out);

#endif
