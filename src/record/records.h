/*
 * The values of the store's rows: tuples with a record version first and a CRC-32C (over key and
 * the rest of the value) last, so a flipped bit and a value under the wrong key are both found when
 * the record is read, and never acted on.
 *
 * decode functions return 0, KELPIE_E_STORE_CORRUPT, or KELPIE_E_STORE_NEWER.
 */
#ifndef KELPIE_RECORD_RECORDS_H
#define KELPIE_RECORD_RECORDS_H

#include "base/buf.h"
#include "base/uuid.h"
#include "env/net.h"
#include "record/keys.h"

/* The newest version of records that this program reads, and the format that it gives to a new store.
 * Format 2 has head rows and requests remembered by time; all other records are as in 1, and what an
 * actor has of format 1 is read and rewritten as it is used. A node joins no store of a format before
 * FORMAT_MIN: an operator raises it (kelpie store format --raise; docs/adr/0017-turns.md). */
#define RECORD_VERSION 2
#define FORMAT_MIN 2
#define CLASS_COUNT_MAX 32 /* actor classes of one node */
#define NODES_MAX 1024     /* rows under nodes/ that one cluster may have */

enum node_state { NODE_LEFT, NODE_JOINING, NODE_ACTIVE, NODE_LEAVING, NODE_FAILED };

/* "Left", "Joining", … as the specification spells them. */
const char *node_state_name(enum node_state s);

#define SHARDS_DEFAULT 64u /* of the messages of a new store */
#define SHARDS_MAX 64u

struct format_record {
    uint64_t version;
    struct uuid cluster_id;
    uint32_t shards; /* 0: not said, SHARDS_DEFAULT */
};

struct node_record {
    enum node_state state;
    uint64_t incarnation;
    struct uuid boot;
    uint64_t gone_view; /* number of the view that dropped it (spec: gone) */
    uint64_t touched;   /* grows with each rewrite by DeclareDead, so that the row changes */
    bool flagged;       /* a grey failure: out, until most Active nodes answer it directly */
    char addr[NET_ADDR_SIZE];
    char http_addr[NET_ADDR_SIZE];
    uint32_t lease_ms;
    uint32_t format_max;  /* RECORD_VERSION of its program */
    uint32_t class_count; /* actor types that it hosts from its start to its end */
    char classes[CLASS_COUNT_MAX][ACTOR_TYPE_MAX + 1];
};

#define UNREACHABLE_MAX 8 /* peers that one heartbeat names */

/* A peer, in the life that was asked in vain. */
struct unreachable_peer {
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
};

struct heartbeat_record {
    uint64_t incarnation;
    struct uuid boot;
    uint64_t counter;
    uint64_t ack;               /* number of the view it holds (spec: ack); 0: none */
    uint64_t load;              /* activations */
    uint64_t wall_ms;           /* its wall clock; 0: not said */
    uint32_t unreachable_count; /* peers that it cannot reach; what follows them is zero */
    struct unreachable_peer unreachable[UNREACHABLE_MAX];
    bool damaged; /* not in the row: the row does not decode, and `counter` stands for its bytes */
};

struct probe_record {
    struct uuid boot;
    uint64_t counter;
};

struct view_record {
    uint64_t number;
    uint64_t count;            /* members */
    uint64_t hash_hi, hash_lo; /* of the sorted member ids and incarnations */
};

struct primary_record {
    bool vacant;
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
    uint64_t term;
};

struct term_record {
    uint64_t term;
};

/* No incarnation of a node whose row was swept is greater. */
struct incarnation_floor_record {
    uint64_t incarnation;
};

/* The cluster id of before the first restore; no row: the format's. */
struct founded_record {
    struct uuid cluster_id;
};

enum view_change_kind { VIEW_ADD, VIEW_REMOVE };

struct view_change_record {
    enum view_change_kind kind;
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
    char addr[NET_ADDR_SIZE];
};

struct placement_record {
    bool placed; /* false: released, nothing hosts it */
    char node_id[NODE_ID_MAX + 1];
    uint64_t incarnation;
    struct uuid boot;
    uint64_t generation;
};

struct hosted_type {
    char type[ACTOR_TYPE_MAX + 1];
    uint32_t version; /* of its class */
};

/* What a life of a node hosts beside what its node row says: types that come and go while it runs. */
struct types_record {
    uint64_t incarnation;
    struct uuid boot;
    uint64_t number; /* of the change; grows while the life lasts */
    uint32_t count;
    struct hosted_type types[CLASS_COUNT_MAX];
};

/* No placement whose row was swept had a greater generation. */
struct generation_floor_record {
    uint64_t generation;
};

struct by_node_record {
    uint64_t generation;
};

struct migration_record {
    char source[NODE_ID_MAX + 1];
    char target[NODE_ID_MAX + 1];
    uint64_t generation;
};

struct state_record {
    struct bytes value; /* borrowed from the decoder's scratch */
};

/* One bucket of remembered requests: those applied from `begin` on, until the next one's. */
struct head_bucket {
    uint64_t begin; /* own time, ms */
    uint64_t ids;
    uint64_t bytes; /* of kept replies */
};

#define HEAD_BUCKETS_MAX 24

/* What every commit of an actor reads and writes. Own time is the sum of the times for which its
 * activations ran, in ms; everything that it applied since `horizon` is remembered. */
struct head_record {
    uint64_t number;     /* of the last commit */
    uint64_t generation; /* of the placement that made it */
    uint64_t own_ms;
    uint64_t horizon_ms;
    uint64_t rows; /* state rows */
    uint64_t sum;  /* of their row_sum, modulo 2^64 */
    uint32_t class_version;
    uint64_t
        slots_until_ms; /* requests of format 1 are remembered until the horizon is here; 0: none */
    uint64_t sent;      /* number of the last message sent; 0 so far */
    uint64_t expire_ms; /* its class lets it go when nobody has used it for so long; 0: never */
    uint32_t bucket_count;
    struct head_bucket buckets[HEAD_BUCKETS_MAX]; /* in order; what follows them is zero */
};

#define REPLY_KEPT_MAX (16u * 1024)
#define REQUEST_ID_MAX 64

/* A request that was applied. */
struct remembered_record {
    char request_id[REQUEST_ID_MAX + 1];
    uint64_t number; /* of the commit */
    uint64_t generation;
    struct uuid fingerprint; /* of caller, method and body */
    int32_t status;
    bool reply_kept;
    struct bytes reply; /* borrowed from the decoder's scratch */
};

/* The same in format 1: the last REQUESTS_KEPT, in a ring. */
#define REQUESTS_KEPT 256
struct request_record {
    char request_id[REQUEST_ID_MAX + 1];
    uint64_t sequence; /* of the actor's commits; slot = sequence mod REQUESTS_KEPT */
    uint64_t generation;
    int32_t status;
    bool reply_kept;
    struct bytes reply; /* borrowed from the decoder's scratch */
};

#define MESSAGE_BODY_MAX (64u * 1024)
#define MESSAGE_METHOD_MAX ACTOR_METHOD_MAX

/* A message for an actor: in its inbox, one that has a time, or a dead letter. Times are ms of the
 * wall clock since 1970. */
struct message_record {
    char sender_type[ACTOR_TYPE_MAX + 1];
    char sender_id[ACTOR_ID_MAX + 1];
    char method[MESSAGE_METHOD_MAX + 1];
    uint64_t sent_ms;
    uint64_t due_ms;   /* as it was sent; 0: at once */
    uint64_t every_ms; /* its period; 0: once */
    uint64_t again_ms; /* not before, for the last attempt failed; 0: none did */
    uint32_t attempts; /* that failed */
    int32_t error;     /* of the last one */
    uint64_t tried; /* the generation in which it is tried, and has not come to an end; 0: none */
    size_t name_len;
    uint8_t name[MESSAGE_NAME_MAX];
    struct bytes body; /* borrowed from the decoder's scratch */
};

#define CALLBACK_NAME_MAX 15

/* A callback that ended processes of nodes (docs/adr/0023-quarantine.md). Times are ms of the wall clock. */
struct poison_record {
    uint32_t deaths;   /* one after the other, each alone */
    uint64_t died_ms;  /* the last of them */
    uint64_t until_ms; /* it is not run before; 0: it may run */
    struct uuid boot;  /* of the process that ended last */
    char callback[CALLBACK_NAME_MAX + 1];
    char request_id[REQUEST_ID_MAX + 1]; /* "": none */
};

/* Points to a message that is due. */
struct due_record {
    uint64_t sent_ms;
};

/* Where the message of a name is. */
struct named_record {
    char type[ACTOR_TYPE_MAX + 1]; /* the receiver */
    char id[ACTOR_ID_MAX + 1];
    struct message_at at; /* its sender is the row's own */
};

/* encode: clears `out`, writes the value. `key` is the row's key, covered by the checksum. What
 * decode would refuse is asserted: strings within their bounds, UTF-8, not empty where the record
 * must name something, enums within range.
 * decode: strings are copied into the record; struct bytes are borrowed from `scratch`, which is
 * appended to: they stay until it is cleared or grows, as it may in the next decode. After an error
 * the record holds nothing to be used. */
#define RECORD_CODEC(name)                                                                         \
    void name##_encode(const struct name *r, struct bytes key, struct buf *out);                   \
    int name##_decode(struct bytes key, struct bytes value, struct buf *scratch, struct name *r)   \
        MUST_USE;

RECORD_CODEC(format_record)
RECORD_CODEC(node_record)
RECORD_CODEC(heartbeat_record)
RECORD_CODEC(probe_record)
RECORD_CODEC(view_record)
RECORD_CODEC(primary_record)
RECORD_CODEC(term_record)
RECORD_CODEC(incarnation_floor_record)
RECORD_CODEC(founded_record)
RECORD_CODEC(view_change_record)
RECORD_CODEC(placement_record)
RECORD_CODEC(types_record)
RECORD_CODEC(generation_floor_record)
RECORD_CODEC(by_node_record)
RECORD_CODEC(migration_record)
RECORD_CODEC(state_record)
RECORD_CODEC(head_record)
RECORD_CODEC(remembered_record)
RECORD_CODEC(request_record)
RECORD_CODEC(message_record)
RECORD_CODEC(poison_record)
RECORD_CODEC(due_record)
RECORD_CODEC(named_record)

/* What a state row adds to its head row's sum. */
uint64_t row_sum(struct bytes state_key, struct bytes value);
/* The hash under which a request id is remembered. */
struct uuid request_hash(const char *request_id);
/* Of what a request asks, and who: a repeat has the same. Never zero. */
/* `after_ms`: of one that is to be sent; NULL: it is called. */
struct uuid request_fingerprint(struct bytes caller, const char *method, struct bytes body,
                                const uint64_t *after_ms);

/* The checksum and version alone, whatever the record: for store check. */
int record_verify(struct bytes key, struct bytes value) MUST_USE;
/* Appends a readable line of a row of known family, or of its raw tuple: for store dump. */
void record_to_text(const struct keyspace *ks, struct bytes key, struct bytes value,
                    struct buf *out);

#endif
