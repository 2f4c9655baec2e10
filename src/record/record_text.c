/* Keys and rows for people: one line each, the fields as name=value. */
#include <inttypes.h>
#include <stdio.h>

#include "base/tuple.h"
#include "kelpie/error.h"
#include "record/records.h"

/* More of a state value or reply is not shown; its length is. */
#define SHOWN_MAX 64

static bool plain(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '/' && byte != '%' && byte != '"';
}

/* The bytes of one printable character beyond ASCII at the start of `s`, or 0. */
static size_t printable_beyond_ascii(struct bytes s)
{
    size_t n = utf8_char_len(s);
    bool control = n == 2 && s.data[0] == 0xc2 && s.data[1] < 0xa0;
    return n >= 2 && !control ? n : 0;
}

static void put_escaped(struct buf *out, struct bytes s)
{
    size_t n;
    for (size_t at = 0; at < s.len; at += n) {
        struct bytes rest = bytes_of(s.data + at, s.len - at);
        n = plain(rest.data[0]) ? 1 : printable_beyond_ascii(rest);
        if (n > 0) {
            buf_append(out, rest.data, n);
        } else {
            buf_appendf(out, "%%%02X", rest.data[0]);
            n = 1;
        }
    }
}

static void put_part(struct buf *out, const char *part)
{
    buf_append_u8(out, '/');
    put_escaped(out, bytes_of_str(part));
}

static const char *family_path(enum key_family family)
{
    static const char *const paths[] = {
        [KEY_UNKNOWN] = "",
        [KEY_FORMAT] = "cluster/format",
        [KEY_NODE] = "cluster/nodes",
        [KEY_HEARTBEAT] = "cluster/heartbeats",
        [KEY_PROBE] = "cluster/probes",
        [KEY_VIEW] = "cluster/membership_view",
        [KEY_PRIMARY] = "cluster/primary",
        [KEY_TERM] = "cluster/primary_term",
        [KEY_INCARNATION_FLOOR] = "cluster/incarnation_floor",
        [KEY_FOUNDED] = "cluster/founded",
        [KEY_VIEW_CHANGE] = "cluster/view_changes",
        [KEY_ACTOR] = "registry/actors",
        [KEY_BY_NODE] = "registry/by_node",
        [KEY_MIGRATION] = "registry/migrations",
        [KEY_TYPES] = "registry/types",
        [KEY_GENERATION_FLOOR] = "registry/generation_floor",
        [KEY_STATE] = "state",
        [KEY_HEAD] = "state",
        [KEY_REMEMBERED] = "state",
        [KEY_REQUEST_SLOT] = "state",
        [KEY_POISON] = "registry/poison",
        [KEY_INBOX] = "inbox",
        [KEY_LATER] = "later",
        [KEY_DUE] = "due",
        [KEY_NAMED] = "named",
        [KEY_DEAD] = "dead",
    };
    CHECK((size_t)family < ARRAY_LEN(paths));
    return paths[family];
}

/* What stands before the receiver of a message, or whose name it is. */
static void put_before(const struct key_parts *parts, struct buf *out)
{
    if (parts->family == KEY_INBOX || parts->family == KEY_DUE)
        buf_appendf(out, "/%" PRIu32, parts->shard);
    if (parts->family == KEY_DUE)
        buf_appendf(out, "/%" PRIu64, parts->due_ms);
}

static void put_behind(const struct key_parts *parts, struct buf *out)
{
    char hash[UUID_TEXT_SIZE];
    if (parts->family == KEY_NAMED) {
        buf_append_u8(out, '/');
        put_escaped(out, bytes_of(parts->state_key, parts->state_key_len));
    }
    if (parts->family == KEY_POISON)
        put_part(out, parts->method);
    if (parts->family == KEY_LATER)
        buf_appendf(out, "/%" PRIu64, parts->due_ms);
    if (parts->family < KEY_INBOX || parts->family == KEY_NAMED)
        return;
    uuid_to_text(parts->hash, hash);
    buf_appendf(out, "/%s/%" PRIu64 "/%" PRIu64, hash, parts->generation, parts->number);
}

static void put_path(const struct key_parts *parts, struct buf *out)
{
    bool numbered = parts->family == KEY_VIEW_CHANGE || parts->family == KEY_BY_NODE;
    buf_appendf(out, "%s", family_path(parts->family));
    put_before(parts, out);
    if (parts->node_id[0] != '\0')
        put_part(out, parts->node_id);
    if (numbered)
        buf_appendf(out, "/%" PRIu64, parts->number);
    if (parts->type[0] != '\0') {
        put_part(out, parts->type);
        put_part(out, parts->id);
    }
    put_behind(parts, out);
    if (parts->family == KEY_STATE) {
        buf_appendf(out, "/k/");
        put_escaped(out, bytes_of(parts->state_key, parts->state_key_len));
    } else if (parts->family == KEY_HEAD) {
        buf_appendf(out, "/h");
    } else if (parts->family == KEY_REMEMBERED) {
        char hash[UUID_TEXT_SIZE];
        uuid_to_text(parts->hash, hash);
        buf_appendf(out, "/q/%" PRIu64 "/%s", parts->number, hash);
    } else if (parts->family == KEY_REQUEST_SLOT) {
        buf_appendf(out, "/r/%" PRIu64, parts->number);
    }
}

void key_to_text(const struct keyspace *ks, struct bytes key, struct buf *out)
{
    struct key_parts parts;
    if (key_parse(ks, key, &parts) == 0)
        put_path(&parts, out);
    else
        tuple_to_text(key, out);
}

/* --- fields --------------------------------------------------------------------------------- */

static void put_uint(struct buf *out, const char *name, uint64_t v)
{
    buf_appendf(out, " %s=%" PRIu64, name, v);
}

static void put_bool(struct buf *out, const char *name, bool v)
{
    buf_appendf(out, " %s=%s", name, v ? "true" : "false");
}

static void put_uuid(struct buf *out, const char *name, struct uuid v)
{
    char text[UUID_TEXT_SIZE];
    uuid_to_text(v, text);
    buf_appendf(out, " %s=%s", name, text);
}

static void put_text(struct buf *out, const char *name, const char *s)
{
    buf_appendf(out, " %s=\"", name);
    put_escaped(out, bytes_of_str(s));
    buf_append_u8(out, '"');
}

static void put_data(struct buf *out, const char *name, struct bytes v)
{
    size_t n = v.len < SHOWN_MAX ? v.len : SHOWN_MAX;
    buf_appendf(out, " %s_bytes=%zu %s=\"", name, v.len, name);
    put_escaped(out, bytes_of(v.data, n));
    buf_appendf(out, n < v.len ? "...\"" : "\"");
}

/* --- records -------------------------------------------------------------------------------- */

/* Each decodes a row and appends its fields; returns what decode returns. */
typedef int row_text_fn(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out);

static int format_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct format_record r;
    int rc = format_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "version", r.version);
    put_uuid(out, "cluster_id", r.cluster_id);
    if (r.shards)
        put_uint(out, "shards", r.shards);
    return 0;
}

static int node_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct node_record r;
    int rc = node_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    buf_appendf(out, " state=%s", node_state_name(r.state));
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_uint(out, "gone_view", r.gone_view);
    put_uint(out, "touched", r.touched);
    put_bool(out, "flagged", r.flagged);
    put_text(out, "addr", r.addr);
    put_text(out, "http_addr", r.http_addr);
    put_uint(out, "lease_ms", r.lease_ms);
    put_uint(out, "format_max", r.format_max);
    for (uint32_t i = 0; i < r.class_count; i++)
        put_text(out, "class", r.classes[i]);
    return 0;
}

static int heartbeat_text(struct bytes key, struct bytes value, struct buf *scratch,
                          struct buf *out)
{
    struct heartbeat_record r;
    int rc = heartbeat_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_uint(out, "counter", r.counter);
    put_uint(out, "ack", r.ack);
    put_uint(out, "load", r.load);
    if (r.wall_ms)
        put_uint(out, "wall_ms", r.wall_ms);
    for (uint32_t i = 0; i < r.unreachable_count; i++)
        put_text(out, "unreachable", r.unreachable[i].node_id);
    return 0;
}

static int probe_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct probe_record r;
    int rc = probe_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uuid(out, "boot", r.boot);
    put_uint(out, "counter", r.counter);
    return 0;
}

static int view_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct view_record r;
    int rc = view_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "number", r.number);
    put_uint(out, "count", r.count);
    buf_appendf(out, " hash=%016" PRIx64 "%016" PRIx64, r.hash_hi, r.hash_lo);
    return 0;
}

static int primary_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct primary_record r;
    int rc = primary_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_bool(out, "vacant", r.vacant);
    put_text(out, "node", r.node_id);
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_uint(out, "term", r.term);
    return 0;
}

static int term_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct term_record r;
    int rc = term_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "term", r.term);
    return 0;
}

static int incarnation_floor_text(struct bytes key, struct bytes value, struct buf *scratch,
                                  struct buf *out)
{
    struct incarnation_floor_record r;
    int rc = incarnation_floor_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "incarnation", r.incarnation);
    return 0;
}

static int generation_floor_text(struct bytes key, struct bytes value, struct buf *scratch,
                                 struct buf *out)
{
    struct generation_floor_record r;
    int rc = generation_floor_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "generation", r.generation);
    return 0;
}

static int founded_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct founded_record r;
    int rc = founded_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uuid(out, "cluster_id", r.cluster_id);
    return 0;
}

static int view_change_text(struct bytes key, struct bytes value, struct buf *scratch,
                            struct buf *out)
{
    struct view_change_record r;
    int rc = view_change_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    buf_appendf(out, " kind=%s", r.kind == VIEW_ADD ? "add" : "remove");
    put_text(out, "node", r.node_id);
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_text(out, "addr", r.addr);
    return 0;
}

static int placement_text(struct bytes key, struct bytes value, struct buf *scratch,
                          struct buf *out)
{
    struct placement_record r;
    int rc = placement_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_bool(out, "placed", r.placed);
    put_text(out, "node", r.node_id);
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_uint(out, "generation", r.generation);
    return 0;
}

static int types_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct types_record r;
    int rc = types_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "incarnation", r.incarnation);
    put_uuid(out, "boot", r.boot);
    put_uint(out, "number", r.number);
    for (uint32_t i = 0; i < r.count; i++) {
        put_text(out, "type", r.types[i].type);
        put_uint(out, "type_version", r.types[i].version);
    }
    return 0;
}

static int by_node_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct by_node_record r;
    int rc = by_node_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "generation", r.generation);
    return 0;
}

static int migration_text(struct bytes key, struct bytes value, struct buf *scratch,
                          struct buf *out)
{
    struct migration_record r;
    int rc = migration_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_text(out, "source", r.source);
    put_text(out, "target", r.target);
    put_uint(out, "generation", r.generation);
    return 0;
}

static int state_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct state_record r;
    int rc = state_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_data(out, "value", r.value);
    return 0;
}

static int head_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct head_record r;
    int rc = head_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "number", r.number);
    put_uint(out, "generation", r.generation);
    put_uint(out, "own_ms", r.own_ms);
    put_uint(out, "horizon_ms", r.horizon_ms);
    put_uint(out, "rows", r.rows);
    buf_appendf(out, " sum=%016" PRIx64, r.sum);
    put_uint(out, "class_version", r.class_version);
    put_uint(out, "slots_until_ms", r.slots_until_ms);
    put_uint(out, "sent", r.sent);
    put_uint(out, "expire_ms", r.expire_ms);
    for (uint32_t i = 0; i < r.bucket_count; i++)
        buf_appendf(out, " bucket=%" PRIu64 ":%" PRIu64 ":%" PRIu64, r.buckets[i].begin,
                    r.buckets[i].ids, r.buckets[i].bytes);
    return 0;
}

static int remembered_text(struct bytes key, struct bytes value, struct buf *scratch,
                           struct buf *out)
{
    struct remembered_record r;
    int rc = remembered_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_text(out, "request_id", r.request_id);
    put_uint(out, "number", r.number);
    put_uint(out, "generation", r.generation);
    put_uuid(out, "fingerprint", r.fingerprint);
    buf_appendf(out, " status=%" PRId32, r.status);
    put_bool(out, "reply_kept", r.reply_kept);
    put_data(out, "reply", r.reply);
    return 0;
}

static int request_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct request_record r;
    int rc = request_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_text(out, "request_id", r.request_id);
    put_uint(out, "sequence", r.sequence);
    put_uint(out, "generation", r.generation);
    buf_appendf(out, " status=%" PRId32, r.status);
    put_bool(out, "reply_kept", r.reply_kept);
    put_data(out, "reply", r.reply);
    return 0;
}

static int message_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct message_record r;
    int rc = message_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_text(out, "sender_type", r.sender_type);
    put_text(out, "sender_id", r.sender_id);
    put_text(out, "method", r.method);
    put_uint(out, "sent_ms", r.sent_ms);
    put_uint(out, "due_ms", r.due_ms);
    put_uint(out, "every_ms", r.every_ms);
    put_uint(out, "again_ms", r.again_ms);
    put_uint(out, "attempts", r.attempts);
    buf_appendf(out, " error=%" PRId32, r.error);
    put_uint(out, "tried", r.tried);
    put_data(out, "name", bytes_of(r.name, r.name_len));
    put_data(out, "body", r.body);
    return 0;
}

static int poison_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct poison_record r;
    int rc = poison_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "deaths", r.deaths);
    put_uint(out, "died_ms", r.died_ms);
    put_uint(out, "until_ms", r.until_ms);
    put_uuid(out, "boot", r.boot);
    put_text(out, "callback", r.callback);
    put_text(out, "request_id", r.request_id);
    return 0;
}

static int due_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct due_record r;
    int rc = due_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_uint(out, "sent_ms", r.sent_ms);
    return 0;
}

static int named_text(struct bytes key, struct bytes value, struct buf *scratch, struct buf *out)
{
    struct named_record r;
    int rc = named_record_decode(key, value, scratch, &r);
    if (rc)
        return rc;
    put_text(out, "type", r.type);
    put_text(out, "id", r.id);
    put_uint(out, "due_ms", r.at.due_ms);
    put_uuid(out, "sender", r.at.sender);
    put_uint(out, "generation", r.at.generation);
    put_uint(out, "number", r.at.number);
    return 0;
}

static row_text_fn *const row_texts[] = {
    [KEY_UNKNOWN] = NULL,
    [KEY_FORMAT] = format_text,
    [KEY_NODE] = node_text,
    [KEY_HEARTBEAT] = heartbeat_text,
    [KEY_PROBE] = probe_text,
    [KEY_VIEW] = view_text,
    [KEY_PRIMARY] = primary_text,
    [KEY_TERM] = term_text,
    [KEY_INCARNATION_FLOOR] = incarnation_floor_text,
    [KEY_TYPES] = types_text,
    [KEY_GENERATION_FLOOR] = generation_floor_text,
    [KEY_FOUNDED] = founded_text,
    [KEY_VIEW_CHANGE] = view_change_text,
    [KEY_ACTOR] = placement_text,
    [KEY_BY_NODE] = by_node_text,
    [KEY_MIGRATION] = migration_text,
    [KEY_STATE] = state_text,
    [KEY_HEAD] = head_text,
    [KEY_REMEMBERED] = remembered_text,
    [KEY_REQUEST_SLOT] = request_text,
    [KEY_POISON] = poison_text,
    [KEY_INBOX] = message_text,
    [KEY_LATER] = message_text,
    [KEY_DUE] = due_text,
    [KEY_NAMED] = named_text,
    [KEY_DEAD] = message_text,
};

void record_to_text(const struct keyspace *ks, struct bytes key, struct bytes value,
                    struct buf *out)
{
    struct key_parts parts;
    struct buf scratch;
    key_to_text(ks, key, out);
    int rc = key_parse(ks, key, &parts);
    if (rc == 0) {
        CHECK((size_t)parts.family < ARRAY_LEN(row_texts) && row_texts[parts.family]);
        buf_init(&scratch, out->mem);
        rc = row_texts[parts.family](key, value, &scratch, out);
        buf_deinit(&scratch);
    }
    if (rc) {
        buf_appendf(out, " %s ", rc == KELPIE_E_INVALID ? "unknown" : kelpie_error_name(rc));
        tuple_to_text(value, out);
    }
}
