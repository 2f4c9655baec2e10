#include "cluster/rows.h"

#include "base/hash128.h"
#include "base/mutant.h"
#include "kelpie/error.h"

static struct bytes key_of_read(const struct rule_ctx *ctx, size_t i)
{
    return ctx->txn->reads[i].key;
}

#define ROW_LOAD_AS(load, name)                                                                    \
    int load(struct rule_ctx *ctx, size_t i, struct name##_record *r)                              \
    {                                                                                              \
        struct bytes value;                                                                        \
        memset(r, 0, sizeof(*r));                                                                  \
        if (!rule_row(ctx->txn, i, &value))                                                        \
            return 0;                                                                              \
        int err = name##_record_decode(key_of_read(ctx, i), value, ctx->scratch, r);               \
        if (MUTANT("badsum") && value.len && value.data[value.len - 1] == 0)                       \
            err = KELPIE_E_STORE_CORRUPT;                                                          \
        if (err)                                                                                   \
            (void)rule_corrupt(ctx, err, key_of_read(ctx, i));                                     \
        return err ? err : 1;                                                                      \
    }

#define ROW_STORE(name)                                                                            \
    void store_##name(struct rule_ctx *ctx, const struct key *key, const struct name##_record *r)  \
    {                                                                                              \
        struct buf value;                                                                          \
        buf_init(&value, ctx->txn->env->mem);                                                      \
        name##_record_encode(r, key_bytes(key), &value);                                           \
        rule_put(ctx, key_bytes(key), buf_bytes(&value));                                          \
        buf_deinit(&value);                                                                        \
    }

#define ROW_DEFINE(name) ROW_LOAD_AS(load_##name, name) ROW_STORE(name)

ROW_DEFINE(format)
ROW_DEFINE(node)
ROW_DEFINE(probe)
ROW_DEFINE(view)
ROW_DEFINE(term)
ROW_DEFINE(incarnation_floor)
ROW_DEFINE(founded)
ROW_DEFINE(view_change)
ROW_DEFINE(placement)
ROW_DEFINE(by_node)
ROW_DEFINE(migration)
ROW_DEFINE(types)
ROW_DEFINE(generation_floor)
ROW_DEFINE(head)

static int load_heartbeat_row(struct rule_ctx *ctx, size_t i, struct heartbeat_record *r);
ROW_LOAD_AS(load_heartbeat_row, heartbeat)
ROW_STORE(heartbeat)

int heartbeat_damaged(struct rule_ctx *ctx, int err, struct bytes value, struct heartbeat_record *r)
{
    if (err != KELPIE_E_STORE_CORRUPT)
        return err;
    struct hash128 h = hash128_start();
    hash128_bytes(&h, value);
    h = hash128_value(&h);
    ctx->error = 0;
    memset(r, 0, sizeof(*r));
    r->counter = h.lo;
    r->damaged = true;
    return 1;
}

int load_heartbeat(struct rule_ctx *ctx, size_t i, struct heartbeat_record *r)
{
    struct bytes value;
    int found = load_heartbeat_row(ctx, i, r);
    return found < 0 && rule_row(ctx->txn, i, &value) ? heartbeat_damaged(ctx, found, value, r)
                                                      : found;
}

static int load_primary_row(struct rule_ctx *ctx, size_t i, struct primary_record *r);
ROW_LOAD_AS(load_primary_row, primary)
ROW_STORE(primary)

/* No row names nobody: vacant. */
int load_primary(struct rule_ctx *ctx, size_t i, struct primary_record *r)
{
    int found = load_primary_row(ctx, i, r);
    if (found == 0)
        r->vacant = true;
    return found;
}

void read_key(struct txn *t, struct key key)
{
    (void)txn_read(t, key_bytes(&key), false);
}

void read_range(struct txn *t, struct key_range range, uint32_t limit, bool snapshot)
{
    (void)txn_read_range(t, key_bytes(&range.begin), key_bytes(&range.end), limit, snapshot);
}

static int key_node_id(struct rule_ctx *ctx, const struct keyspace *ks, struct bytes key,
                       char id[NODE_ID_MAX + 1])
{
    struct key_parts parts;
    if (key_parse(ks, key, &parts)) {
        (void)rule_corrupt(ctx, KELPIE_E_STORE_CORRUPT, key);
        return KELPIE_E_STORE_CORRUPT;
    }
    memcpy(id, parts.node_id, sizeof(parts.node_id));
    return 0;
}

int next_node(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, size_t *at,
              char id[NODE_ID_MAX + 1], struct node_record *r)
{
    struct store_result rows = rule_rows(ctx->txn, i);
    if (*at >= rows.count)
        return 0;
    const struct store_row *row = &rows.rows[(*at)++];
    int err = key_node_id(ctx, ks, row->key, id);
    if (err)
        return err;
    memset(r, 0, sizeof(*r));
    err = node_record_decode(row->key, row->value, ctx->scratch, r);
    if (err)
        (void)rule_corrupt(ctx, err, row->key);
    return err ? err : 1;
}

/* Rows come in key order. */
static const struct store_row *find_row(struct store_result rows, struct bytes key)
{
    size_t lo = 0, hi = rows.count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = bytes_compare(rows.rows[mid].key, key);
        if (c == 0)
            return &rows.rows[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

#define ROW_FIND_AS(find, name)                                                                    \
    int find(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, const char *node_id,       \
             struct name##_record *r)                                                              \
    {                                                                                              \
        struct key key = key_##name(ks, node_id);                                                  \
        const struct store_row *row = find_row(rule_rows(ctx->txn, i), key_bytes(&key));           \
        memset(r, 0, sizeof(*r));                                                                  \
        if (!row)                                                                                  \
            return 0;                                                                              \
        int err = name##_record_decode(row->key, row->value, ctx->scratch, r);                     \
        if (err)                                                                                   \
            (void)rule_corrupt(ctx, err, row->key);                                                \
        return err ? err : 1;                                                                      \
    }

static int find_heartbeat_row(struct rule_ctx *ctx, const struct keyspace *ks, size_t i,
                              const char *node_id, struct heartbeat_record *r);
ROW_FIND_AS(find_heartbeat_row, heartbeat)
ROW_FIND_AS(find_node, node)

int find_heartbeat(struct rule_ctx *ctx, const struct keyspace *ks, size_t i, const char *node_id,
                   struct heartbeat_record *r)
{
    struct key key = key_heartbeat(ks, node_id);
    int found = find_heartbeat_row(ctx, ks, i, node_id, r);
    if (found >= 0)
        return found;
    return heartbeat_damaged(ctx, found, find_row(rule_rows(ctx->txn, i), key_bytes(&key))->value,
                             r);
}
