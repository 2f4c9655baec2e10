/*
 * What an operator does with one message: a dead letter is sent again, or any message is dropped.
 * docs/adr/0018-messages.md.
 */
#ifndef KELPIE_REGISTRY_RULES_LETTER_H
#define KELPIE_REGISTRY_RULES_LETTER_H

#include "record/message_ref.h"
#include "registry/placement.h"

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
