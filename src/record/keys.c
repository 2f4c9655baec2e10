/*
 * Keys are packed straight into a struct key: they have a bound and no memory of their own. What
 * comes out is byte for byte what base/tuple.h packs (tests/unit/test_keys.c compares them).
 *
 * The longest key, state with all maxima and a key of NULs only, takes 482 of STORE_KEY_MAX bytes;
 * so the checks below fail for no id or state key within its bound.
 */
#include "record/keys.h"

#include "base/tuple.h"
#include "kelpie/error.h"

#define CODE_BYTES 0x01
#define CODE_STRING 0x02
#define CODE_INT_ZERO 0x14
#define CODE_UUID 0x30
#define CODE_ESCAPE 0xff

static void put_u8(struct key *k, uint8_t v)
{
    CHECK(k->len < sizeof(k->data));
    k->data[k->len++] = v;
}

/* A string of up to max bytes; a C string has no NUL inside, so nothing is escaped. */
static void put_text(struct key *k, const char *s, size_t max)
{
    size_t len = strlen(s);
    CHECK(len <= max);
    CHECK(sizeof(k->data) - k->len >= len + 2);
    put_u8(k, CODE_STRING);
    memcpy(k->data + k->len, s, len);
    k->len += len;
    put_u8(k, 0);
}

/* One that is not empty. */
static void put_string(struct key *k, const char *s, size_t max)
{
    CHECK(s[0] != '\0');
    put_text(k, s, max);
}

/* A word of this file's own: a folder or a mark. */
static void put_word(struct key *k, const char *word)
{
    put_string(k, word, STORE_KEY_MAX);
}

static void put_bytes(struct key *k, struct bytes v)
{
    put_u8(k, CODE_BYTES);
    for (size_t i = 0; i < v.len; i++) {
        put_u8(k, v.data[i]);
        if (v.data[i] == 0)
            put_u8(k, CODE_ESCAPE);
    }
    put_u8(k, 0);
}

static void put_uint(struct key *k, uint64_t v)
{
    unsigned count = 0;
    while (count < 8 && v >> (8 * count) != 0)
        count++;
    put_u8(k, (uint8_t)(CODE_INT_ZERO + count));
    for (unsigned i = count; i > 0; i--)
        put_u8(k, (uint8_t)(v >> (8 * (i - 1))));
}

static void put_uuid(struct key *k, struct uuid v)
{
    put_u8(k, CODE_UUID);
    CHECK(sizeof(k->data) - k->len >= sizeof(v.b));
    memcpy(k->data + k->len, v.b, sizeof(v.b));
    k->len += sizeof(v.b);
}

/* (prefix, top) or (prefix, top, sub). */
static struct key folder(const struct keyspace *ks, const char *top, const char *sub)
{
    struct key k;
    k.len = 0;
    put_string(&k, ks->prefix, KEY_PREFIX_MAX);
    if (top)
        put_word(&k, top);
    if (sub)
        put_word(&k, sub);
    return k;
}

static struct key with_node(struct key k, const char *node_id)
{
    put_string(&k, node_id, NODE_ID_MAX);
    return k;
}

static struct key with_uint(struct key k, uint64_t v)
{
    put_uint(&k, v);
    return k;
}

static struct key with_actor(struct key k, const char *type, const char *id)
{
    put_string(&k, type, ACTOR_TYPE_MAX);
    put_string(&k, id, ACTOR_ID_MAX);
    return k;
}

static struct key with_end(struct key k, uint8_t end)
{
    put_u8(&k, end);
    return k;
}

/* tuple.range(): what is longer than the tuple `k` by at least one element. */
static struct key_range children(struct key k)
{
    return (struct key_range){.begin = with_end(k, 0), .end = with_end(k, TUPLE_RANGE_END)};
}

int keyspace_init(struct keyspace *ks, const char *prefix)
{
    size_t len = strlen(prefix);
    memset(ks, 0, sizeof(*ks));
    if (len == 0 || len > KEY_PREFIX_MAX || !utf8_valid(bytes_of(prefix, len)))
        return KELPIE_E_INVALID;
    memcpy(ks->prefix, prefix, len);
    return 0;
}

struct key key_format(const struct keyspace *ks)
{
    return folder(ks, "cluster", "format");
}

struct key key_node(const struct keyspace *ks, const char *node_id)
{
    return with_node(folder(ks, "cluster", "nodes"), node_id);
}

struct key key_heartbeat(const struct keyspace *ks, const char *node_id)
{
    return with_node(folder(ks, "cluster", "heartbeats"), node_id);
}

struct key key_probe(const struct keyspace *ks, const char *node_id)
{
    return with_node(folder(ks, "cluster", "probes"), node_id);
}

struct key key_view(const struct keyspace *ks)
{
    return folder(ks, "cluster", "membership_view");
}

struct key key_primary(const struct keyspace *ks)
{
    return folder(ks, "cluster", "primary");
}

struct key key_term(const struct keyspace *ks)
{
    return folder(ks, "cluster", "primary_term");
}

struct key key_copy(const struct keyspace *ks)
{
    struct key k;
    k.len = 0;
    put_bytes(&k, bytes_of_str(STORE_COPY_WORD));
    put_string(&k, ks->prefix, KEY_PREFIX_MAX);
    return k;
}

struct key key_incarnation_floor(const struct keyspace *ks)
{
    return folder(ks, "cluster", "incarnation_floor");
}

struct key key_founded(const struct keyspace *ks)
{
    return folder(ks, "cluster", "founded");
}

struct key key_view_change(const struct keyspace *ks, uint64_t number)
{
    return with_uint(folder(ks, "cluster", "view_changes"), number);
}

struct key key_actor(const struct keyspace *ks, const char *type, const char *id)
{
    return with_actor(folder(ks, "registry", "actors"), type, id);
}

struct key key_by_node(const struct keyspace *ks, const char *node_id, uint64_t incarnation,
                       const char *type, const char *id)
{
    struct key node = with_node(folder(ks, "registry", "by_node"), node_id);
    return with_actor(with_uint(node, incarnation), type, id);
}

struct key key_types(const struct keyspace *ks, const char *node_id)
{
    return with_node(folder(ks, "registry", "types"), node_id);
}

struct key key_poison(const struct keyspace *ks, const char *type, const char *id,
                      const char *method)
{
    struct key k = with_actor(folder(ks, "registry", "poison"), type, id);
    put_text(&k, method, ACTOR_METHOD_MAX);
    return k;
}

struct key key_generation_floor(const struct keyspace *ks)
{
    return folder(ks, "registry", "generation_floor");
}

struct key key_migration(const struct keyspace *ks, const char *type, const char *id)
{
    return with_actor(folder(ks, "registry", "migrations"), type, id);
}

/* What one actor has under `mark`. */
static struct key of_actor(const struct keyspace *ks, const char *type, const char *id,
                           const char *mark)
{
    struct key k = with_actor(folder(ks, "state", NULL), type, id);
    put_word(&k, mark);
    return k;
}

struct key key_state(const struct keyspace *ks, const char *type, const char *id,
                     struct bytes state_key)
{
    CHECK(state_key.len >= 1 && state_key.len <= STATE_KEY_MAX);
    struct key k = of_actor(ks, type, id, "k");
    put_bytes(&k, state_key);
    return k;
}

struct key key_head(const struct keyspace *ks, const char *type, const char *id)
{
    return of_actor(ks, type, id, "h");
}

struct key key_remembered(const struct keyspace *ks, const char *type, const char *id,
                          uint64_t bucket, struct uuid hash)
{
    struct key k = with_uint(of_actor(ks, type, id, "q"), bucket);
    put_uuid(&k, hash);
    return k;
}

struct key key_request_slot(const struct keyspace *ks, const char *type, const char *id,
                            uint32_t slot)
{
    return with_uint(of_actor(ks, type, id, "r"), slot);
}

static struct key with_message(struct key k, const struct message_at *at)
{
    put_uuid(&k, at->sender);
    put_uint(&k, at->generation);
    put_uint(&k, at->number);
    return k;
}

struct key key_inbox(const struct keyspace *ks, uint32_t shard, const char *type, const char *id,
                     const struct message_at *at)
{
    CHECK(at->due_ms == 0);
    return with_message(with_actor(with_uint(folder(ks, "inbox", NULL), shard), type, id), at);
}

static struct key later_at(const struct keyspace *ks, const char *type, const char *id,
                           uint64_t due_ms)
{
    return with_uint(with_actor(folder(ks, "later", NULL), type, id), due_ms);
}

struct key key_later(const struct keyspace *ks, const char *type, const char *id,
                     const struct message_at *at)
{
    return with_message(later_at(ks, type, id, at->due_ms), at);
}

struct key key_due(const struct keyspace *ks, uint32_t shard, const char *type, const char *id,
                   const struct message_at *at)
{
    struct key k = with_uint(with_uint(folder(ks, "due", NULL), shard), at->due_ms);
    return with_message(with_actor(k, type, id), at);
}

struct key key_dead(const struct keyspace *ks, const char *type, const char *id,
                    const struct message_at *at)
{
    return with_message(with_actor(folder(ks, "dead", NULL), type, id), at);
}

struct key key_named(const struct keyspace *ks, const char *type, const char *id, struct bytes name)
{
    CHECK(name.len >= 1 && name.len <= MESSAGE_NAME_MAX);
    struct key k = with_actor(folder(ks, "named", NULL), type, id);
    put_bytes(&k, name);
    return k;
}

struct key_range keys_all(const struct keyspace *ks)
{
    return children(folder(ks, NULL, NULL));
}

struct key_range keys_nodes(const struct keyspace *ks)
{
    return children(folder(ks, "cluster", "nodes"));
}

struct key_range keys_heartbeats(const struct keyspace *ks)
{
    return children(folder(ks, "cluster", "heartbeats"));
}

struct key_range keys_probes(const struct keyspace *ks)
{
    return children(folder(ks, "cluster", "probes"));
}

struct key key_behind(struct key k)
{
    return with_end(k, 0);
}

struct key_range keys_one(struct key k)
{
    return (struct key_range){.begin = k, .end = key_behind(k)};
}

struct key_range keys_view_changes_after(const struct keyspace *ks, uint64_t after)
{
    struct key_range range = children(folder(ks, "cluster", "view_changes"));
    range.begin = key_behind(key_view_change(ks, after));
    return range;
}

struct key_range keys_view_changes_upto(const struct keyspace *ks, uint64_t last)
{
    struct key_range range = children(folder(ks, "cluster", "view_changes"));
    range.end = key_behind(key_view_change(ks, last));
    return range;
}

struct key_range keys_actors(const struct keyspace *ks)
{
    return children(folder(ks, "registry", "actors"));
}

struct key_range keys_actors_of_type(const struct keyspace *ks, const char *type)
{
    struct key k = folder(ks, "registry", "actors");
    put_string(&k, type, ACTOR_TYPE_MAX);
    return children(k);
}

struct key_range keys_by_node_all(const struct keyspace *ks)
{
    return children(folder(ks, "registry", "by_node"));
}

struct key_range keys_by_node(const struct keyspace *ks, const char *node_id)
{
    return children(with_node(folder(ks, "registry", "by_node"), node_id));
}

struct key_range keys_by_incarnation(const struct keyspace *ks, const char *node_id,
                                     uint64_t incarnation)
{
    struct key node = with_node(folder(ks, "registry", "by_node"), node_id);
    return children(with_uint(node, incarnation));
}

struct key_range keys_by_incarnation_and_type(const struct keyspace *ks, const char *node_id,
                                              uint64_t incarnation, const char *type)
{
    struct key node = with_node(folder(ks, "registry", "by_node"), node_id);
    struct key k = with_uint(node, incarnation);
    put_string(&k, type, ACTOR_TYPE_MAX);
    return children(k);
}

struct key_range keys_types(const struct keyspace *ks)
{
    return children(folder(ks, "registry", "types"));
}

struct key_range keys_poison_all(const struct keyspace *ks)
{
    return children(folder(ks, "registry", "poison"));
}

struct key_range keys_poison(const struct keyspace *ks, const char *type, const char *id)
{
    return children(with_actor(folder(ks, "registry", "poison"), type, id));
}

struct key_range keys_migrations(const struct keyspace *ks)
{
    return children(folder(ks, "registry", "migrations"));
}

struct key_range keys_head_and_state(const struct keyspace *ks, const char *type, const char *id)
{
    return (struct key_range){.begin = of_actor(ks, type, id, "h"),
                              .end = with_end(of_actor(ks, type, id, "k"), TUPLE_RANGE_END)};
}

struct key_range keys_state_rows(const struct keyspace *ks, const char *type, const char *id)
{
    return children(of_actor(ks, type, id, "k"));
}

struct key_range keys_remembered(const struct keyspace *ks, const char *type, const char *id)
{
    return (struct key_range){.begin = of_actor(ks, type, id, "q"),
                              .end = with_end(of_actor(ks, type, id, "r"), TUPLE_RANGE_END)};
}

struct key_range keys_remembered_in(const struct keyspace *ks, const char *type, const char *id,
                                    uint64_t bucket)
{
    return children(with_uint(of_actor(ks, type, id, "q"), bucket));
}

struct key_range keys_request_slots(const struct keyspace *ks, const char *type, const char *id)
{
    return children(of_actor(ks, type, id, "r"));
}

struct key_range keys_state(const struct keyspace *ks, const char *type, const char *id)
{
    return children(with_actor(folder(ks, "state", NULL), type, id));
}

struct key_range keys_inbox_all(const struct keyspace *ks)
{
    return children(folder(ks, "inbox", NULL));
}

struct key_range keys_inbox_shard(const struct keyspace *ks, uint32_t shard)
{
    return children(with_uint(folder(ks, "inbox", NULL), shard));
}

struct key_range keys_inbox(const struct keyspace *ks, uint32_t shard, const char *type,
                            const char *id)
{
    return children(with_actor(with_uint(folder(ks, "inbox", NULL), shard), type, id));
}

struct key_range keys_inbox_from(const struct keyspace *ks, uint32_t shard, const char *type,
                                 const char *id, struct uuid sender)
{
    struct key k = with_actor(with_uint(folder(ks, "inbox", NULL), shard), type, id);
    put_uuid(&k, sender);
    return children(k);
}

struct key_range keys_later(const struct keyspace *ks, const char *type, const char *id)
{
    return children(with_actor(folder(ks, "later", NULL), type, id));
}

struct key_range keys_later_until(const struct keyspace *ks, const char *type, const char *id,
                                  uint64_t until_ms)
{
    struct key_range range = keys_later(ks, type, id);
    range.end = with_end(later_at(ks, type, id, until_ms), TUPLE_RANGE_END);
    return range;
}

struct key_range keys_due_until(const struct keyspace *ks, uint32_t shard, uint64_t until_ms)
{
    struct key k = with_uint(folder(ks, "due", NULL), shard);
    struct key_range range = children(k);
    range.end = with_end(with_uint(k, until_ms), TUPLE_RANGE_END);
    return range;
}

struct key_range keys_later_all(const struct keyspace *ks)
{
    return children(folder(ks, "later", NULL));
}

struct key_range keys_dead_all(const struct keyspace *ks)
{
    return children(folder(ks, "dead", NULL));
}

struct key_range keys_dead(const struct keyspace *ks, const char *type, const char *id)
{
    return children(with_actor(folder(ks, "dead", NULL), type, id));
}
