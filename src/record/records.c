/*
 * One encode and one decode a record; docs/schema.md lists the fields in this order. A change here
 * is a change of RECORD_VERSION.
 */
#include "record/records.h"

#include "base/hash128.h"
#include "kelpie/error.h"
#include "record/record_value.h"

const char *node_state_name(enum node_state s)
{
    static const char *const names[] = {
        [NODE_LEFT] = "Left",       [NODE_JOINING] = "Joining", [NODE_ACTIVE] = "Active",
        [NODE_LEAVING] = "Leaving", [NODE_FAILED] = "Failed",
    };
    CHECK((size_t)s < ARRAY_LEN(names));
    return names[s];
}

void format_record_encode(const struct format_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->shards <= SHARDS_MAX);
    value_begin_at(out, r->shards ? 2 : 1);
    tuple_pack_uint(out, r->version);
    tuple_pack_uuid(out, r->cluster_id);
    if (r->shards)
        tuple_pack_uint(out, r->shards);
    value_end(key, out);
}

int format_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                         struct format_record *r)
{
    struct tuple_reader f;
    uint64_t version;
    int rc = value_open_any(key, value, scratch, &f, &version);
    if (rc)
        return rc;
    r->version = tuple_next_uint(&f);
    r->cluster_id = tuple_next_uuid(&f);
    r->shards = version > 1 ? value_take_u32(&f) : 0;
    if (version > 1 && (r->shards == 0 || r->shards > SHARDS_MAX))
        return KELPIE_E_STORE_CORRUPT;
    return value_close(&f);
}

void node_record_encode(const struct node_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->state <= NODE_FAILED);
    CHECK(r->class_count <= CLASS_COUNT_MAX);
    value_begin(out);
    tuple_pack_uint(out, r->state);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->gone_view);
    tuple_pack_uint(out, r->touched);
    tuple_pack_bool(out, r->flagged);
    value_pack_text(out, r->addr, 0, sizeof(r->addr) - 1);
    value_pack_text(out, r->http_addr, 0, sizeof(r->http_addr) - 1);
    tuple_pack_uint(out, r->lease_ms);
    tuple_pack_uint(out, r->format_max);
    tuple_pack_uint(out, r->class_count);
    for (uint32_t i = 0; i < r->class_count; i++)
        value_pack_text(out, r->classes[i], 1, ACTOR_TYPE_MAX);
    value_end(key, out);
}

int node_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                       struct node_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->state = value_take_enum(&f, NODE_FAILED);
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    r->gone_view = tuple_next_uint(&f);
    r->touched = tuple_next_uint(&f);
    r->flagged = tuple_next_bool(&f);
    value_take_text(&f, r->addr, 0, sizeof(r->addr) - 1);
    value_take_text(&f, r->http_addr, 0, sizeof(r->http_addr) - 1);
    r->lease_ms = value_take_u32(&f);
    r->format_max = value_take_u32(&f);
    r->class_count = value_take_u32(&f);
    if (r->class_count > CLASS_COUNT_MAX)
        return KELPIE_E_STORE_CORRUPT;
    memset(r->classes, 0, sizeof(r->classes));
    for (uint32_t i = 0; i < r->class_count; i++)
        value_take_text(&f, r->classes[i], 1, ACTOR_TYPE_MAX);
    return value_close(&f);
}

void heartbeat_record_encode(const struct heartbeat_record *r, struct bytes key, struct buf *out)
{
    value_begin_at(out, r->wall_ms ? 2 : 1);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->counter);
    tuple_pack_uint(out, r->ack);
    tuple_pack_uint(out, r->load);
    if (r->wall_ms)
        tuple_pack_uint(out, r->wall_ms);
    CHECK(r->unreachable_count <= UNREACHABLE_MAX);
    tuple_pack_uint(out, r->unreachable_count);
    for (uint32_t i = 0; i < r->unreachable_count; i++) {
        value_pack_text(out, r->unreachable[i].node_id, 1, NODE_ID_MAX);
        tuple_pack_uint(out, r->unreachable[i].incarnation);
    }
    value_end(key, out);
}

int heartbeat_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                            struct heartbeat_record *r)
{
    struct tuple_reader f;
    uint64_t version;
    int rc = value_open_any(key, value, scratch, &f, &version);
    if (rc)
        return rc;
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    r->counter = tuple_next_uint(&f);
    r->ack = tuple_next_uint(&f);
    r->load = tuple_next_uint(&f);
    r->wall_ms = version > 1 ? tuple_next_uint(&f) : 0;
    if (version > 1 && r->wall_ms == 0)
        return KELPIE_E_STORE_CORRUPT;
    r->damaged = false;
    r->unreachable_count = value_take_u32(&f);
    if (r->unreachable_count > UNREACHABLE_MAX)
        return KELPIE_E_STORE_CORRUPT;
    memset(r->unreachable, 0, sizeof(r->unreachable));
    for (uint32_t i = 0; i < r->unreachable_count; i++) {
        value_take_text(&f, r->unreachable[i].node_id, 1, NODE_ID_MAX);
        r->unreachable[i].incarnation = tuple_next_uint(&f);
    }
    return value_close(&f);
}

void probe_record_encode(const struct probe_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->counter);
    value_end(key, out);
}

int probe_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                        struct probe_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->boot = tuple_next_uuid(&f);
    r->counter = tuple_next_uint(&f);
    return value_close(&f);
}

void view_record_encode(const struct view_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_uint(out, r->number);
    tuple_pack_uint(out, r->count);
    tuple_pack_uint(out, r->hash_hi);
    tuple_pack_uint(out, r->hash_lo);
    value_end(key, out);
}

int view_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                       struct view_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->number = tuple_next_uint(&f);
    r->count = tuple_next_uint(&f);
    r->hash_hi = tuple_next_uint(&f);
    r->hash_lo = tuple_next_uint(&f);
    return value_close(&f);
}

/* A vacant row may keep who held it last. */
void primary_record_encode(const struct primary_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_bool(out, r->vacant);
    value_pack_text(out, r->node_id, r->vacant ? 0 : 1, NODE_ID_MAX);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->term);
    value_end(key, out);
}

int primary_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                          struct primary_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->vacant = tuple_next_bool(&f);
    value_take_text(&f, r->node_id, r->vacant ? 0 : 1, NODE_ID_MAX);
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    r->term = tuple_next_uint(&f);
    return value_close(&f);
}

void term_record_encode(const struct term_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_uint(out, r->term);
    value_end(key, out);
}

int term_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                       struct term_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->term = tuple_next_uint(&f);
    return value_close(&f);
}

void incarnation_floor_record_encode(const struct incarnation_floor_record *r, struct bytes key,
                                     struct buf *out)
{
    value_begin(out);
    tuple_pack_uint(out, r->incarnation);
    value_end(key, out);
}

int incarnation_floor_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                                    struct incarnation_floor_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->incarnation = tuple_next_uint(&f);
    return value_close(&f);
}

void founded_record_encode(const struct founded_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_uuid(out, r->cluster_id);
    value_end(key, out);
}

int founded_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                          struct founded_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->cluster_id = tuple_next_uuid(&f);
    return value_close(&f);
}

void view_change_record_encode(const struct view_change_record *r, struct bytes key,
                               struct buf *out)
{
    CHECK(r->kind <= VIEW_REMOVE);
    value_begin(out);
    tuple_pack_uint(out, r->kind);
    value_pack_text(out, r->node_id, 1, NODE_ID_MAX);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    value_pack_text(out, r->addr, 0, sizeof(r->addr) - 1);
    value_end(key, out);
}

int view_change_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                              struct view_change_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->kind = value_take_enum(&f, VIEW_REMOVE);
    value_take_text(&f, r->node_id, 1, NODE_ID_MAX);
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    value_take_text(&f, r->addr, 0, sizeof(r->addr) - 1);
    return value_close(&f);
}

/* A released placement may keep which node had it. */
void placement_record_encode(const struct placement_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_bool(out, r->placed);
    value_pack_text(out, r->node_id, r->placed ? 1 : 0, NODE_ID_MAX);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->generation);
    value_end(key, out);
}

int placement_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                            struct placement_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->placed = tuple_next_bool(&f);
    value_take_text(&f, r->node_id, r->placed ? 1 : 0, NODE_ID_MAX);
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    r->generation = tuple_next_uint(&f);
    return value_close(&f);
}

void types_record_encode(const struct types_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->count <= CLASS_COUNT_MAX);
    value_begin(out);
    tuple_pack_uint(out, r->incarnation);
    tuple_pack_uuid(out, r->boot);
    tuple_pack_uint(out, r->number);
    tuple_pack_uint(out, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        value_pack_text(out, r->types[i].type, 1, ACTOR_TYPE_MAX);
        tuple_pack_uint(out, r->types[i].version);
    }
    value_end(key, out);
}

int types_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                        struct types_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->incarnation = tuple_next_uint(&f);
    r->boot = tuple_next_uuid(&f);
    r->number = tuple_next_uint(&f);
    r->count = value_take_u32(&f);
    if (r->count > CLASS_COUNT_MAX)
        return KELPIE_E_STORE_CORRUPT;
    memset(r->types, 0, sizeof(r->types));
    for (uint32_t i = 0; i < r->count; i++) {
        value_take_text(&f, r->types[i].type, 1, ACTOR_TYPE_MAX);
        r->types[i].version = value_take_u32(&f);
    }
    return value_close(&f);
}

void generation_floor_record_encode(const struct generation_floor_record *r, struct bytes key,
                                    struct buf *out)
{
    value_begin(out);
    tuple_pack_uint(out, r->generation);
    value_end(key, out);
}

int generation_floor_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                                   struct generation_floor_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->generation = tuple_next_uint(&f);
    return value_close(&f);
}

void by_node_record_encode(const struct by_node_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_uint(out, r->generation);
    value_end(key, out);
}

int by_node_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                          struct by_node_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->generation = tuple_next_uint(&f);
    return value_close(&f);
}

void migration_record_encode(const struct migration_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    value_pack_text(out, r->source, 1, NODE_ID_MAX);
    value_pack_text(out, r->target, 1, NODE_ID_MAX);
    tuple_pack_uint(out, r->generation);
    value_end(key, out);
}

int migration_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                            struct migration_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    value_take_text(&f, r->source, 1, NODE_ID_MAX);
    value_take_text(&f, r->target, 1, NODE_ID_MAX);
    r->generation = tuple_next_uint(&f);
    return value_close(&f);
}

void state_record_encode(const struct state_record *r, struct bytes key, struct buf *out)
{
    value_begin(out);
    tuple_pack_bytes(out, r->value);
    value_end(key, out);
}

int state_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                        struct state_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    r->value = value_take_bytes(&f, STORE_VALUE_MAX);
    return value_close(&f);
}

void head_record_encode(const struct head_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->bucket_count <= HEAD_BUCKETS_MAX);
    value_begin_at(out, 2);
    tuple_pack_uint(out, r->number);
    tuple_pack_uint(out, r->generation);
    tuple_pack_uint(out, r->own_ms);
    tuple_pack_uint(out, r->horizon_ms);
    tuple_pack_uint(out, r->rows);
    tuple_pack_uint(out, r->sum);
    tuple_pack_uint(out, r->class_version);
    tuple_pack_uint(out, r->slots_until_ms);
    tuple_pack_uint(out, r->sent);
    tuple_pack_uint(out, r->expire_ms);
    tuple_pack_uint(out, r->bucket_count);
    for (uint32_t i = 0; i < r->bucket_count; i++) {
        tuple_pack_uint(out, r->buckets[i].begin);
        tuple_pack_uint(out, r->buckets[i].ids);
        tuple_pack_uint(out, r->buckets[i].bytes);
    }
    value_end(key, out);
}

int head_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                       struct head_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    r->number = tuple_next_uint(&f);
    r->generation = tuple_next_uint(&f);
    r->own_ms = tuple_next_uint(&f);
    r->horizon_ms = tuple_next_uint(&f);
    r->rows = tuple_next_uint(&f);
    r->sum = tuple_next_uint(&f);
    r->class_version = value_take_u32(&f);
    r->slots_until_ms = tuple_next_uint(&f);
    r->sent = tuple_next_uint(&f);
    r->expire_ms = tuple_next_uint(&f);
    r->bucket_count = value_take_u32(&f);
    if (r->bucket_count > HEAD_BUCKETS_MAX)
        return KELPIE_E_STORE_CORRUPT;
    memset(r->buckets, 0, sizeof(r->buckets));
    for (uint32_t i = 0; i < r->bucket_count; i++) {
        struct head_bucket *b = &r->buckets[i];
        b->begin = tuple_next_uint(&f);
        b->ids = tuple_next_uint(&f);
        b->bytes = tuple_next_uint(&f);
        if (i > 0 && b->begin <= b[-1].begin)
            return KELPIE_E_STORE_CORRUPT;
    }
    return value_close(&f);
}

void remembered_record_encode(const struct remembered_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->reply.len <= REPLY_KEPT_MAX);
    CHECK(r->reply_kept || r->reply.len == 0);
    value_begin_at(out, 2);
    value_pack_text(out, r->request_id, 1, REQUEST_ID_MAX);
    tuple_pack_uint(out, r->number);
    tuple_pack_uint(out, r->generation);
    tuple_pack_uuid(out, r->fingerprint);
    tuple_pack_int(out, r->status);
    tuple_pack_bool(out, r->reply_kept);
    tuple_pack_bytes(out, r->reply);
    value_end(key, out);
}

static int32_t take_status(struct tuple_reader *f)
{
    int64_t status = tuple_next_int(f);
    /* 0, or an error. */
    if (status <= 0 && status >= -KELPIE_ERROR_MAX)
        return (int32_t)status;
    f->ok = false;
    return 0;
}

int remembered_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                             struct remembered_record *r)
{
    struct tuple_reader f;
    int rc = value_open_at(key, value, scratch, &f, 2);
    if (rc)
        return rc;
    value_take_text(&f, r->request_id, 1, REQUEST_ID_MAX);
    r->number = tuple_next_uint(&f);
    r->generation = tuple_next_uint(&f);
    r->fingerprint = tuple_next_uuid(&f);
    r->status = take_status(&f);
    r->reply_kept = tuple_next_bool(&f);
    r->reply = value_take_bytes(&f, r->reply_kept ? REPLY_KEPT_MAX : 0);
    return value_close(&f);
}

uint64_t row_sum(struct bytes state_key, struct bytes value)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, state_key);
    hash128_bytes(&h, value);
    return hash128_value(&h).lo;
}

static struct uuid uuid_of_hash(const struct hash128 *h)
{
    struct hash128 v = hash128_value(h);
    struct uuid out;
    for (unsigned i = 0; i < 8; i++) {
        out.b[i] = (uint8_t)(v.hi >> (56 - 8 * i));
        out.b[8 + i] = (uint8_t)(v.lo >> (56 - 8 * i));
    }
    return out;
}

struct uuid request_hash(const char *request_id)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, bytes_of_str(request_id));
    return uuid_of_hash(&h);
}

struct uuid request_fingerprint(struct bytes caller, const char *method, struct bytes body,
                                const uint64_t *after_ms)
{
    struct hash128 h = hash128_start();
    hash128_bytes(&h, caller);
    hash128_bytes(&h, bytes_of_str(method));
    hash128_bytes(&h, body);
    if (after_ms)
        hash128_u64(&h, *after_ms);
    struct uuid out = uuid_of_hash(&h);
    out.b[15] |= uuid_is_zero(out);
    return out;
}

void request_record_encode(const struct request_record *r, struct bytes key, struct buf *out)
{
    CHECK(r->reply.len <= REPLY_KEPT_MAX);
    CHECK(r->reply_kept || r->reply.len == 0);
    value_begin(out);
    value_pack_text(out, r->request_id, 1, REQUEST_ID_MAX);
    tuple_pack_uint(out, r->sequence);
    tuple_pack_uint(out, r->generation);
    tuple_pack_int(out, r->status);
    tuple_pack_bool(out, r->reply_kept);
    tuple_pack_bytes(out, r->reply);
    value_end(key, out);
}

int request_record_decode(struct bytes key, struct bytes value, struct buf *scratch,
                          struct request_record *r)
{
    struct tuple_reader f;
    int rc = value_open(key, value, scratch, &f);
    if (rc)
        return rc;
    value_take_text(&f, r->request_id, 1, REQUEST_ID_MAX);
    r->sequence = tuple_next_uint(&f);
    r->generation = tuple_next_uint(&f);
    r->status = take_status(&f);
    r->reply_kept = tuple_next_bool(&f);
    r->reply = value_take_bytes(&f, r->reply_kept ? REPLY_KEPT_MAX : 0);
    return value_close(&f);
}

int record_verify(struct bytes key, struct bytes value)
{
    struct tuple_reader fields;
    uint64_t version;
    return value_open_any(key, value, NULL, &fields, &version);
}
