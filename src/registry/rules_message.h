/*
 * Messages in the commit of their turn (docs/adr/0018-messages.md): what its turns sent, and the rows that
 * they consumed. Part of CommitWrite; and looking for messages, as an actor and as the node of a shard.
 */
#ifndef KELPIE_REGISTRY_RULES_MESSAGE_H
#define KELPIE_REGISTRY_RULES_MESSAGE_H

#include "registry/placement.h"

/* A row whose turn has run. */
struct commit_taken {
    struct message_at at;
    const struct message_record *record; /* as it was read */
    bool dead;                           /* it goes to the dead letters, as it says: */
    int32_t error;
    uint32_t attempts;
    bool again; /* it is written anew, at `again_at` */
    struct message_at again_at;
    struct message_record again_record;
};

/* A message for another actor, or for itself. One with a name takes the place of the last of that name. */
struct commit_sent {
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    struct message_at at;
    struct message_record record;
    bool withdraw; /* nothing takes its place */
};

/* Of one batch. At most one in `sent` has the same name. */
struct commit_messages {
    uint32_t shards;
    struct commit_taken *const *taken;
    size_t taken_count;
    struct commit_sent *const *sent;
    size_t sent_count;

    bool voided; /* refused: a row that a turn consumed was replaced or withdrawn */
};

/* The reads of the messages, behind the commit's own. */
void messages_read(struct txn *t, const struct actor_ref *ref, const struct commit_messages *m);
/* RULE_COMMIT, RULE_REFUSE (m->voided), or the verdict for a row that does not decode. `first`: the
 * index of the first of their reads. */
enum verdict messages_put(struct rule_ctx *ctx, const struct actor_ref *ref,
                          struct commit_messages *m, size_t first, struct buf *value);

/* ReadInbox: rows of an actor's inbox from a key on, and those of its own time that are due. */
#define INBOX_PAGE 32
enum { INBOX_READ_ORDERED, INBOX_READ_DUE };
void read_inbox_txn(struct txn *t, const struct env *env, const struct actor_ref *ref,
                    const struct key_range *ordered, uint64_t until_ms, txn_fn *done, void *arg);

/* CountWaiting: a page of a receiver's messages. */
#define WAITING_PAGE 128
void count_waiting_txn(struct txn *t, const struct env *env, const struct key_range *range,
                       txn_fn *done, void *arg);

/* LookAtShards: what is due in some shards, and the inboxes from a key on. */
#define SHARDS_A_LOOK 28
#define SHARD_DUE_PAGE 128
#define SHARD_INBOX_PAGE 4
struct shard_look {
    uint32_t shard;
    struct key_range due, inbox; /* an empty begin: not looked at */
};
void look_shards_txn(struct txn *t, const struct env *env, const struct shard_look *looks,
                     size_t count, txn_fn *done, void *arg);

#endif
