/*
 * What an operator does with one message: a dead letter is sent again, or any message is dropped.
 * docs/adr/0018-messages.md.
 */
#ifndef KELPIE_REGISTRY_RULES_LETTER_H
#define KELPIE_REGISTRY_RULES_LETTER_H

#include "registry/placement.h"

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
struct key message_ref_key(const struct actor_ref *actor, uint32_t shards,
                           const struct message_ref *ref);

/* TendMessage. Refused when there is no such message. One that is `again` is a dead letter; it becomes due at
 * `now_ms` of the wall clock, once, without its name, as if it had not been tried. */
struct tend_args {
    struct actor_ref actor;
    uint32_t shards;
    struct message_ref ref;
    bool again;
    uint64_t now_ms;

    bool tried; /* an attempt before would have done it */
};
rule_fn rule_tend_message;
void tend_txn(struct txn *t, const struct env *env, struct tend_args *args, txn_fn *done,
              void *arg);

#endif
