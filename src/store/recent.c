#include "store/recent.h"

#include "base/check.h"

struct recent_key {
    struct map_node node;
    struct list order_link;
    struct list batch_link;
    uint64_t version;
    uint64_t kept_version; /* as of the last kept batch; 0: the key is new in this one */
    struct recent_key *next_in_bucket;
    uint64_t hash;
    uint8_t key[];
};

struct recent_range {
    struct list link;
    uint64_t version;
    bool kept;
    struct bytes begin;
    struct bytes end;
    uint8_t data[];
};

#define BUCKETS_MIN 64

/* ---- by key */

static uint64_t key_hash(struct bytes key)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ key.len, word;
    size_t i = 0;
    for (; i + 8 <= key.len; i += 8) {
        memcpy(&word, key.data + i, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    for (word = 0; i < key.len; i++)
        word = word << 8 | key.data[i];
    h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static struct recent_key **bucket_of(const struct recent *r, uint64_t hash)
{
    return &r->buckets[hash & (r->bucket_count - 1)];
}

static struct recent_key *recent_find(const struct recent *r, struct bytes key, uint64_t hash)
{
    struct recent_key *k = *bucket_of(r, hash);
    while (k && (k->hash != hash || !bytes_equal(k->node.key, key)))
        k = k->next_in_bucket;
    return k;
}

static void buckets_grow(struct recent *r)
{
    struct recent_key **old = r->buckets;
    size_t count = r->bucket_count;
    r->bucket_count = count ? count * 2 : BUCKETS_MIN;
    r->buckets = MEM_NEW_ARRAY(r->mem, struct recent_key *, r->bucket_count);
    for (size_t i = 0; i < count; i++) {
        for (struct recent_key *k = old[i], *next; k; k = next) {
            next = k->next_in_bucket;
            struct recent_key **b = bucket_of(r, k->hash);
            k->next_in_bucket = *b;
            *b = k;
        }
    }
    mem_free(r->mem, old);
}

static struct recent_key *recent_key_new(struct recent *r, struct bytes key, uint64_t hash)
{
    if (r->key_count >= r->bucket_count)
        buckets_grow(r);
    struct recent_key *k = mem_alloc(r->mem, sizeof(*k) + key.len);
    struct recent_key **b = bucket_of(r, hash);
    *k = (struct recent_key){.hash = hash, .next_in_bucket = *b};
    *b = k;
    memcpy(k->key, key.data, key.len);
    list_init(&k->order_link);
    list_init(&k->batch_link);
    struct map_node *other = map_insert(&r->keys, &k->node, bytes_of(k->key, key.len));
    CHECK(!other);
    r->key_count++;
    return k;
}

static void recent_key_free(struct recent *r, struct recent_key *k)
{
    struct recent_key **b = bucket_of(r, k->hash);
    while (*b != k)
        b = &(*b)->next_in_bucket;
    *b = k->next_in_bucket;
    map_remove(&r->keys, &k->node);
    list_remove(&k->order_link);
    list_remove(&k->batch_link);
    r->key_count--;
    mem_free(r->mem, k);
}

/* ---- */

void recent_init(struct recent *r, struct mem mem, size_t key_max, uint64_t base)
{
    CHECK(key_max > 0);
    *r = (struct recent){.mem = mem, .key_max = key_max, .base = base};
    map_init(&r->keys);
    list_init(&r->order);
    list_init(&r->batch);
    list_init(&r->ranges);
    buckets_grow(r);
}

static void recent_range_free(struct recent *r, struct recent_range *g)
{
    list_remove(&g->link);
    r->range_count--;
    mem_free(r->mem, g);
}

void recent_deinit(struct recent *r)
{
    struct map_node *node;
    while ((node = r->keys.root))
        recent_key_free(r, MAP_ENTRY(node, struct recent_key, node));
    while (!list_empty(&r->ranges))
        recent_range_free(r, LIST_ENTRY(r->ranges.next, struct recent_range, link));
    CHECK(r->key_count == 0 && r->range_count == 0);
    mem_free(r->mem, r->buckets);
}

static bool range_is_key(const struct key_range *range)
{
    return range->closed && bytes_equal(range->begin, range->end);
}

/* True when `key` lies before the end of the range. */
static bool range_before_end(const struct key_range *range, struct bytes key)
{
    int c = bytes_compare(key, range->end);
    return range->closed ? c <= 0 : c < 0;
}

static bool recent_ranges_newer(const struct recent *r, const struct key_range *range,
                                uint64_t version)
{
    for (const struct list *it = r->ranges.prev; it != &r->ranges; it = it->prev) {
        const struct recent_range *g = LIST_ENTRY(it, struct recent_range, link);
        if (g->version <= version)
            return false; /* they are sorted by version */
        if (bytes_compare(range->begin, g->end) < 0 && range_before_end(range, g->begin))
            return true;
    }
    return false;
}

bool recent_newer(const struct recent *r, const struct key_range *range, uint64_t version)
{
    if (range_is_key(range)) {
        const struct recent_key *k = recent_find(r, range->begin, key_hash(range->begin));
        if (k && k->version > version)
            return true;
    } else {
        const struct map_node *node = map_lower_bound(&r->keys, range->begin);
        for (; node && range_before_end(range, node->key); node = map_next(node))
            if (MAP_ENTRY(node, struct recent_key, node)->version > version)
                return true;
    }
    return recent_ranges_newer(r, range, version);
}

void recent_add(struct recent *r, struct bytes key, uint64_t version)
{
    uint64_t hash = key_hash(key);
    struct recent_key *k = recent_find(r, key, hash);
    if (!k)
        k = recent_key_new(r, key, hash);
    CHECK(version >= k->version);
    k->version = version;
    if (list_empty(&k->batch_link))
        list_append(&r->batch, &k->batch_link);
}

void recent_add_range(struct recent *r, struct bytes begin, struct bytes end, uint64_t version)
{
    struct recent_range *g = mem_alloc(r->mem, sizeof(*g) + begin.len + end.len);
    *g = (struct recent_range){.version = version};
    if (begin.len)
        memcpy(g->data, begin.data, begin.len);
    if (end.len)
        memcpy(g->data + begin.len, end.data, end.len);
    g->begin = bytes_of(g->data, begin.len);
    g->end = bytes_of(g->data + begin.len, end.len);
    list_append(&r->ranges, &g->link);
    r->range_count++;
}

void recent_batch_keep(struct recent *r)
{
    struct list *item;
    while ((item = list_pop(&r->batch))) {
        struct recent_key *k = LIST_ENTRY(item, struct recent_key, batch_link);
        k->kept_version = k->version;
        list_remove(&k->order_link);
        list_append(&r->order, &k->order_link);
    }
    for (struct list *it = r->ranges.prev; it != &r->ranges; it = it->prev) {
        struct recent_range *g = LIST_ENTRY(it, struct recent_range, link);
        if (g->kept)
            break;
        g->kept = true;
    }
    /* Within one batch the order is that of first touch, so the base takes the largest seen. */
    while (r->key_count > r->key_max) {
        struct recent_key *k = LIST_ENTRY(r->order.next, struct recent_key, order_link);
        if (k->version > r->base)
            r->base = k->version;
        recent_key_free(r, k);
    }
    while (r->range_count > RECENT_RANGES_MAX) {
        struct recent_range *g = LIST_ENTRY(r->ranges.next, struct recent_range, link);
        if (g->version > r->base)
            r->base = g->version;
        recent_range_free(r, g);
    }
}

void recent_batch_drop(struct recent *r)
{
    struct list *item;
    while ((item = list_pop(&r->batch))) {
        struct recent_key *k = LIST_ENTRY(item, struct recent_key, batch_link);
        k->version = k->kept_version;
        if (k->kept_version == 0)
            recent_key_free(r, k);
    }
    while (!list_empty(&r->ranges)) {
        struct recent_range *g = LIST_ENTRY(r->ranges.prev, struct recent_range, link);
        if (g->kept)
            break;
        recent_range_free(r, g);
    }
}
