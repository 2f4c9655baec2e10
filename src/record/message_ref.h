/* How people name one message of an actor, and the row that it is. */
#ifndef KELPIE_RECORD_MESSAGE_REF_H
#define KELPIE_RECORD_MESSAGE_REF_H

#include "record/keys.h"

enum message_place { MESSAGE_WAITING, MESSAGE_LATER, MESSAGE_DEAD, MESSAGE_PLACES };
const char *message_place_name(enum message_place place);

/* One message of an actor, as people name it. */
struct message_ref {
    enum message_place place;
    struct message_at at; /* due_ms: of LATER alone, else 0 */
};

#define MESSAGE_REF_SIZE 112
/* "waiting.GENERATION.NUMBER.SENDER", "dead.…", "later.DUE.GENERATION.NUMBER.SENDER". */
void message_ref_to_text(const struct message_ref *ref, char out[MESSAGE_REF_SIZE]);
/* Returns 0 or KELPIE_E_INVALID. */
int message_ref_from_text(const char *text, struct message_ref *out) MUST_USE;
/* Of the row's key; `parts` is of the family inbox, later or dead. */
struct message_ref message_ref_of(const struct key_parts *parts);
struct key message_ref_key(const struct keyspace *ks, uint32_t shards, const char *type,
                           const char *id, const struct message_ref *ref);

#endif
