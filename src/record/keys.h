/*
 * Every key of the store is made here (docs/schema.md): FoundationDB tuples under a prefix.
 *
 *   (prefix, "cluster", "format")                         record version, cluster id
 *   (prefix, "cluster", "nodes", id)
 *   (prefix, "cluster", "heartbeats", id)
 *   (prefix, "cluster", "probes", id)
 *   (prefix, "cluster", "membership_view")
 *   (prefix, "cluster", "primary")
 *   (prefix, "cluster", "primary_term")
 *   (prefix, "cluster", "incarnation_floor")              beneath it: of nodes whose rows are gone
 *   (prefix, "cluster", "founded")                        cluster id of before the first restore
 *   (prefix, "cluster", "view_changes", number)
 *   (prefix, "registry", "actors", type, id)
 *   (prefix, "registry", "by_node", id, incarnation, type, id)
 *   (prefix, "registry", "migrations", type, id)
 *   (prefix, "registry", "types", id)                     that a node hosts, of those that come and go
 *   (prefix, "registry", "generation_floor")              beneath it: of actors whose placements are gone
 *   (prefix, "registry", "poison", type, id, method)      ended processes that ran it ("": all of the actor)
 *   (prefix, "state", type, id, "h")                      its head row
 *   (prefix, "state", type, id, "k", key)                 the actor's own state
 *   (prefix, "state", type, id, "q", bucket, hash)        a request id that it remembers
 *   (prefix, "state", type, id, "r", slot)                the same in format 1
 *   (prefix, "inbox", shard, type, id, sender, generation, number)       a message that waits its turn
 *   (prefix, "later", type, id, due, sender, generation, number)         one that has a time
 *   (prefix, "due", shard, due, type, id, sender, generation, number)    points to that one
 *   (prefix, "named", sender's type, id, name)                           where that name's message is
 *   (prefix, "dead", type, id, sender, generation, number)               a dead letter
 */
#ifndef KELPIE_RECORD_KEYS_H
#define KELPIE_RECORD_KEYS_H

#include "base/bytes.h"
#include "base/check.h"
#include "base/uuid.h"
#include "env/store.h"

#define KEY_PREFIX_MAX 16
#define NODE_ID_MAX 128
#define ACTOR_TYPE_MAX 64
#define ACTOR_ID_MAX 192
/* Any bytes. Each NUL takes two in a tuple, so this is what fits a store key whatever the bytes are:
 * KELPIE_STATE_KEY_MAX must not be greater. */
#define STATE_KEY_MAX 96
#define MESSAGE_NAME_MAX STATE_KEY_MAX
#define ACTOR_METHOD_MAX 64

/* A key by value: made on the stack, copied into transactions. */
struct key {
    size_t len;
    uint8_t data[STORE_KEY_MAX];
};

static inline struct bytes key_bytes(const struct key *k)
{
    return bytes_of(k->data, k->len);
}

struct keyspace {
    char prefix[KEY_PREFIX_MAX + 1];
};

/* Returns 0, or KELPIE_E_INVALID for an empty or too long prefix, one with NUL or not UTF-8. */
int keyspace_init(struct keyspace *ks, const char *prefix) MUST_USE;

/* Ids and types are 1..max bytes long and without NUL: asserted here, so test what users give with
 * id_check first. */
struct key key_format(const struct keyspace *ks);
struct key key_node(const struct keyspace *ks, const char *node_id);
struct key key_heartbeat(const struct keyspace *ks, const char *node_id);
struct key key_probe(const struct keyspace *ks, const char *node_id);
struct key key_view(const struct keyspace *ks);
struct key key_primary(const struct keyspace *ks);
struct key key_term(const struct keyspace *ks);
struct key key_incarnation_floor(const struct keyspace *ks);
struct key key_founded(const struct keyspace *ks);
struct key key_view_change(const struct keyspace *ks, uint64_t number);
struct key key_actor(const struct keyspace *ks, const char *type, const char *id);
struct key key_by_node(const struct keyspace *ks, const char *node_id, uint64_t incarnation,
                       const char *type, const char *id);
struct key key_types(const struct keyspace *ks, const char *node_id);
struct key key_generation_floor(const struct keyspace *ks);
struct key key_migration(const struct keyspace *ks, const char *type, const char *id);
/* `method`: 0..ACTOR_METHOD_MAX bytes; "": all of the actor. */
struct key key_poison(const struct keyspace *ks, const char *type, const char *id,
                      const char *method);
/* `state_key`: 1..STATE_KEY_MAX bytes, asserted. */
struct key key_state(const struct keyspace *ks, const char *type, const char *id,
                     struct bytes state_key);
struct key key_head(const struct keyspace *ks, const char *type, const char *id);
/* `bucket`: own time at which it began, in ms; `hash`: request_hash of the id. */
struct key key_remembered(const struct keyspace *ks, const char *type, const char *id,
                          uint64_t bucket, struct uuid hash);
struct key key_request_slot(const struct keyspace *ks, const char *type, const char *id,
                            uint32_t slot);

/* A message's place beside its receiver. */
struct message_at {
    uint64_t due_ms;     /* wall clock; 0: it is in the inbox, in its sender's order */
    struct uuid sender;  /* actor_hash of who sent it */
    uint64_t generation; /* of the sender's placement */
    uint64_t number;     /* of the sender's messages */
};
/* Of an actor's name. */
struct uuid actor_hash(const char *type, const char *id);
/* The one of `shards` that the messages for an actor lie in. */
uint32_t actor_shard(const char *type, const char *id, uint32_t shards);
struct key key_inbox(const struct keyspace *ks, uint32_t shard, const char *type, const char *id,
                     const struct message_at *at);
struct key key_later(const struct keyspace *ks, const char *type, const char *id,
                     const struct message_at *at);
struct key key_due(const struct keyspace *ks, uint32_t shard, const char *type, const char *id,
                   const struct message_at *at);
/* Without the due time. */
struct key key_dead(const struct keyspace *ks, const char *type, const char *id,
                    const struct message_at *at);
/* `name`: 1..MESSAGE_NAME_MAX bytes, asserted. */
struct key key_named(const struct keyspace *ks, const char *type, const char *id,
                     struct bytes name);

/* The mark of a copy that a backup made (env/store.h): beside the prefix, not under it. */
struct key key_copy(const struct keyspace *ks);

/* Ranges [begin, end) of everything under a folder. */
struct key_range {
    struct key begin;
    struct key end;
};

/* The first key behind `k`. */
struct key key_behind(struct key k);
/* `k` alone. */
struct key_range keys_one(struct key k);
struct key_range keys_all(const struct keyspace *ks);
struct key_range keys_nodes(const struct keyspace *ks);
struct key_range keys_heartbeats(const struct keyspace *ks);
struct key_range keys_probes(const struct keyspace *ks);
/* Changes with number > after. */
struct key_range keys_view_changes_after(const struct keyspace *ks, uint64_t after);
/* Changes with number <= last. */
struct key_range keys_view_changes_upto(const struct keyspace *ks, uint64_t last);
struct key_range keys_actors(const struct keyspace *ks);
struct key_range keys_actors_of_type(const struct keyspace *ks, const char *type);
struct key_range keys_by_node_all(const struct keyspace *ks);
struct key_range keys_by_node(const struct keyspace *ks, const char *node_id);
struct key_range keys_by_incarnation(const struct keyspace *ks, const char *node_id,
                                     uint64_t incarnation);
/* Of these, those of a type. */
struct key_range keys_by_incarnation_and_type(const struct keyspace *ks, const char *node_id,
                                              uint64_t incarnation, const char *type);
struct key_range keys_types(const struct keyspace *ks);
struct key_range keys_migrations(const struct keyspace *ks);
struct key_range keys_poison_all(const struct keyspace *ks);
struct key_range keys_poison(const struct keyspace *ks, const char *type, const char *id);
/* One actor's head row and state rows. */
struct key_range keys_head_and_state(const struct keyspace *ks, const char *type, const char *id);
/* Its state rows alone. */
struct key_range keys_state_rows(const struct keyspace *ks, const char *type, const char *id);
/* All requests that it remembers, those of format 1 too; of one bucket; in slots of format 1. */
struct key_range keys_remembered(const struct keyspace *ks, const char *type, const char *id);
struct key_range keys_remembered_in(const struct keyspace *ks, const char *type, const char *id,
                                    uint64_t bucket);
struct key_range keys_request_slots(const struct keyspace *ks, const char *type, const char *id);
/* All of one actor: its head row, state and remembered requests. */
struct key_range keys_state(const struct keyspace *ks, const char *type, const char *id);
/* Messages in all inboxes, in those of a shard, of one actor, and of one sender to it. */
struct key_range keys_inbox_all(const struct keyspace *ks);
struct key_range keys_inbox_shard(const struct keyspace *ks, uint32_t shard);
struct key_range keys_inbox(const struct keyspace *ks, uint32_t shard, const char *type,
                            const char *id);
struct key_range keys_inbox_from(const struct keyspace *ks, uint32_t shard, const char *type,
                                 const char *id, struct uuid sender);
/* One actor's messages that have a time, all of them and those that are due then or before. */
struct key_range keys_later(const struct keyspace *ks, const char *type, const char *id);
struct key_range keys_later_until(const struct keyspace *ks, const char *type, const char *id,
                                  uint64_t until_ms);
struct key_range keys_due_until(const struct keyspace *ks, uint32_t shard, uint64_t until_ms);
struct key_range keys_later_all(const struct keyspace *ks);
struct key_range keys_dead_all(const struct keyspace *ks);
struct key_range keys_dead(const struct keyspace *ks, const char *type, const char *id);

/* Which family a key belongs to, and its parts: for store check, dump, the simulator's checkers. */
enum key_family {
    KEY_UNKNOWN,
    KEY_FORMAT,
    KEY_NODE,
    KEY_HEARTBEAT,
    KEY_PROBE,
    KEY_VIEW,
    KEY_PRIMARY,
    KEY_TERM,
    KEY_INCARNATION_FLOOR,
    KEY_FOUNDED,
    KEY_VIEW_CHANGE,
    KEY_ACTOR,
    KEY_BY_NODE,
    KEY_MIGRATION,
    KEY_TYPES,
    KEY_GENERATION_FLOOR,
    KEY_STATE,
    KEY_HEAD,
    KEY_REMEMBERED,
    KEY_REQUEST_SLOT,
    KEY_POISON,
    KEY_INBOX,
    KEY_LATER,
    KEY_DUE,
    KEY_NAMED,
    KEY_DEAD,
    KEY_FAMILY_COUNT
};

struct key_parts {
    enum key_family family;
    char node_id[NODE_ID_MAX + 1];
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
    char method[ACTOR_METHOD_MAX + 1];
    uint64_t number;  /* incarnation, view number, bucket or slot; of a message */
    struct uuid hash; /* of a remembered request's id, of a message's sender */
    uint32_t shard;
    uint64_t due_ms;
    uint64_t generation;
    size_t state_key_len; /* or of the name of a message */
    uint8_t state_key[STATE_KEY_MAX];
};

/* Returns 0, or KELPIE_E_INVALID for a key that this file does not make under this prefix. */
int key_parse(const struct keyspace *ks, struct bytes key, struct key_parts *out) MUST_USE;
/* Appends the key as a path such as registry/actors/session/42, without the prefix: '/', '%' and
 * what is not printable in an id as %XX. A key that key_parse refuses: its raw tuple. */
void key_to_text(const struct keyspace *ks, struct bytes key, struct buf *out);

/* Ids as users give them: 1..max bytes of UTF-8 without NUL. Returns 0 or KELPIE_E_INVALID with a
 * sentence in `why` that names `what` and the value's fault. */
int id_check(const char *what, struct bytes value, size_t max, char *why, size_t why_size) MUST_USE;

#endif
