#include "actor/remember.h"

#include "base/mutant.h"

#define SET_CAP_MIN 8
#define BUCKET_MS_MIN 1000

struct kept {
    struct map_node node; /* by hash */
    struct list link;     /* in `recent`, unless it is of format 1 */
    struct uuid hash;
    uint64_t bucket;
    uint64_t generation;
    struct uuid fingerprint; /* zero: not known */
    int32_t status;
    bool reply_kept;
    size_t reply_len;
    uint8_t reply[];
};

/* ---- sets */

static uint64_t short_hash(struct uuid hash)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | hash.b[i];
    return v ? v : 1; /* 0 is an empty slot */
}

static bool set_has(const struct id_set *s, uint64_t v)
{
    for (size_t i = s->cap ? v & (s->cap - 1) : 0; s->cap && s->slots[i];
         i = (i + 1) & (s->cap - 1))
        if (s->slots[i] == v)
            return true;
    return false;
}

static void set_put(struct id_set *s, uint64_t v)
{
    size_t i = v & (s->cap - 1);

    while (s->slots[i] && s->slots[i] != v)
        i = (i + 1) & (s->cap - 1);
    s->count += s->slots[i] == 0;
    s->slots[i] = v;
}

static void set_free(struct remember *r, struct id_set *s)
{
    r->bytes -= s->cap * sizeof *s->slots;
    mem_free(r->mem, s->slots);
    *s = (struct id_set){0};
}

/* At most three quarters full. */
static void set_add(struct remember *r, struct id_set *s, uint64_t v)
{
    struct id_set old = *s;

    if (4 * (s->count + 1) > 3 * s->cap) {
        s->cap = s->cap ? 2 * s->cap : SET_CAP_MIN;
        s->count = 0;
        s->slots = mem_zalloc(r->mem, s->cap, sizeof *s->slots);
        for (size_t i = 0; i < old.cap; i++)
            if (old.slots[i])
                set_put(s, old.slots[i]);
        r->bytes += (s->cap - old.cap) * sizeof *s->slots;
        mem_free(r->mem, old.slots);
    }
    set_put(s, v);
}

/* ---- replies in memory */

static struct bytes hash_bytes(const struct uuid *hash)
{
    return bytes_of(hash->b, sizeof hash->b);
}

static void kept_free(struct remember *r, struct kept *k)
{
    map_remove(&r->replies, &k->node);
    if (!list_empty(&k->link)) {
        list_remove(&k->link);
        r->recent_count--;
        r->recent_bytes -= k->reply_len;
    }
    r->bytes -= sizeof *k + k->reply_len;
    mem_free(r->mem, k);
}

static struct kept *oldest(const struct remember *r)
{
    return list_empty(&r->recent) ? NULL : LIST_ENTRY(r->recent.next, struct kept, link);
}

static struct kept *keep(struct remember *r, struct uuid hash, struct bytes reply)
{
    struct kept *k = mem_zalloc(r->mem, 1, sizeof *k + reply.len);

    list_init(&k->link);
    k->hash = hash;
    k->reply_len = reply.len;
    if (reply.len)
        memcpy(k->reply, reply.data, reply.len);
    if (map_insert(&r->replies, &k->node, hash_bytes(&k->hash))) {
        mem_free(r->mem, k);
        return NULL;
    }
    r->bytes += sizeof *k + reply.len;
    return k;
}

/* ---- */

void remember_init(struct remember *r, struct mem mem)
{
    memset(r, 0, sizeof *r);
    r->mem = mem;
    r->ids_max = REMEMBERED_IDS_MAX;
    map_init(&r->replies);
    list_init(&r->recent);
}

void remember_deinit(struct remember *r)
{
    struct map_node *n;

    while ((n = map_first(&r->replies)))
        kept_free(r, MAP_ENTRY(n, struct kept, node));
    for (size_t i = 0; r->own && i < HEAD_BUCKETS_MAX; i++)
        set_free(r, &r->own[i]);
    mem_free(r->mem, r->own);
    CHECK(r->bytes == 0);
    remember_init(r, r->mem);
}

void remember_begin(struct remember *r, const struct head_record *head, uint64_t window_ms,
                    uint64_t now_ns)
{
    CHECK(!r->begun && window_ms <= REMEMBER_MS_MAX);
    r->begun = true;
    r->window_ms = window_ms;
    r->distance_ms = window_ms + window_ms / 100 + REMEMBER_SOCKET_MS + REMEMBER_HELD_MS;
    r->started_ns = now_ns;
    if (head)
        r->head = *head;
    else
        r->head.own_ms = r->distance_ms;
    r->base_ms = r->head.own_ms;
    r->loaded = r->head.bucket_count;
}

void remember_slot(struct remember *r, const struct request_record *slot)
{
    struct kept *k = keep(r, request_hash(slot->request_id), slot->reply);

    if (!k)
        return;
    k->generation = slot->generation;
    k->status = slot->status;
    k->reply_kept = slot->reply_kept;
    if (r->head.slots_until_ms == 0)
        r->head.slots_until_ms = r->base_ms;
}

uint64_t remember_own_ms(const struct remember *r, uint64_t now_ns)
{
    return r->base_ms + (now_ns - r->started_ns) / NS_PER_MS;
}

/* How far back the first attempt may be. The clocks that measured it may be slower by 1 %. */
static uint64_t reach_ms(uint64_t age_ms)
{
    return age_ms + age_ms / 100 + REMEMBER_SOCKET_MS;
}

bool remember_reply(const struct remember *r, struct uuid hash, struct remembered_record *out)
{
    const struct kept *k =
        MAP_ENTRY(map_find(&r->replies, hash_bytes(&hash)), const struct kept, node);

    if (!k)
        return false;
    *out = (struct remembered_record){
        .generation = k->generation,
        .fingerprint = k->fingerprint,
        .status = k->status,
        .reply_kept = k->reply_kept,
        .reply = bytes_of(k->reply, k->reply_len),
    };
    return true;
}

size_t remember_where(const struct remember *r, struct uuid hash, uint64_t age_ms, uint64_t now_ns,
                      uint64_t buckets[HEAD_BUCKETS_MAX])
{
    const struct head_record *h = &r->head;
    uint64_t since = remember_need_ms(r, age_ms, now_ns);
    size_t n = 0;

    for (uint32_t i = 0; i < h->bucket_count; i++) {
        bool mine = r->own && set_has(&r->own[i], short_hash(hash));
        bool before = i < r->loaded && since < r->base_ms &&
                      (i + 1 == h->bucket_count || h->buckets[i + 1].begin > since);
        if (mine || before)
            buckets[n++] = h->buckets[i].begin;
    }
    return n;
}

uint64_t remember_need_ms(const struct remember *r, uint64_t age_ms, uint64_t now_ns)
{
    uint64_t own = remember_own_ms(r, now_ns), reach = reach_ms(age_ms);

    return own > reach ? own - reach : 0;
}

bool remember_reaches(const struct remember *r, uint64_t age_ms, uint64_t now_ns)
{
    uint64_t own = remember_own_ms(r, now_ns), horizon = r->head.horizon_ms;

    if (r->flying_horizon_ms > horizon)
        horizon = r->flying_horizon_ms;
    /* The planted mistakes: what the window says now, and an age within this activation's life. */
    if (MUTANT("longwindow"))
        horizon = own > r->distance_ms ? own - r->distance_ms : 0;
    if (MUTANT("lifeisnew") && own >= r->base_ms + reach_ms(age_ms))
        return true;
    return own >= horizon + reach_ms(age_ms);
}

uint64_t remember_full_ms(const struct remember *r, size_t more, uint64_t now_ns)
{
    const struct head_record *h = &r->head;
    uint64_t ids = more, bytes = more * REPLY_KEPT_MAX, own = remember_own_ms(r, now_ns), until;

    for (uint32_t i = 0; i < h->bucket_count; i++) {
        ids += h->buckets[i].ids;
        bytes += h->buckets[i].bytes;
    }
    if (ids < r->ids_max && bytes < REMEMBERED_BYTES_MAX)
        return 0;
    until = h->bucket_count > 1 ? h->buckets[1].begin : own;
    return until + r->distance_ms > own ? until + r->distance_ms - own : 1;
}

/* ---- commits */

/* Requests go to the last bucket, for an eighth of the distance; then one more begins, with what
 * comes after the last commit. */
static void open_bucket(const struct remember *r, struct head_record *h, uint64_t own)
{
    uint64_t width = r->distance_ms / BUCKETS_A_DISTANCE;
    uint32_t n = h->bucket_count;

    if (width < BUCKET_MS_MIN)
        width = BUCKET_MS_MIN;
    if (n > 0 &&
        (own < h->buckets[n - 1].begin + width || own <= h->own_ms || n == HEAD_BUCKETS_MAX))
        return;
    h->buckets[n] = (struct head_bucket){.begin = n > 0 ? h->own_ms + 1 : h->own_ms};
    h->bucket_count++;
}

static void drop_first(struct head_record *h)
{
    h->bucket_count--;
    memmove(&h->buckets[0], &h->buckets[1], h->bucket_count * sizeof h->buckets[0]);
    h->buckets[h->bucket_count] = (struct head_bucket){0};
}

void remember_plan(struct remember *r, uint64_t generation, size_t ids, size_t reply_bytes,
                   uint64_t need_ms, uint64_t now_ns, struct remember_plan *out)
{
    uint64_t own = remember_own_ms(r, now_ns);
    uint64_t limit = own > r->distance_ms ? own - r->distance_ms : 0;
    struct head_record *h = &out->head;

    *out = (struct remember_plan){.head = r->head};
    if (need_ms < limit)
        limit = need_ms;
    if (MUTANT("earlybucket"))
        limit = own > r->distance_ms / 4 ? own - r->distance_ms / 4 : 0;
    open_bucket(r, h, own);
    h->number++;
    h->generation = generation;
    h->own_ms = own > h->own_ms ? own : h->own_ms;
    h->buckets[h->bucket_count - 1].ids += ids;
    h->buckets[h->bucket_count - 1].bytes += reply_bytes;
    if (h->slots_until_ms > 0 && h->slots_until_ms <= limit) {
        out->forget_slots = true;
        h->horizon_ms = h->slots_until_ms > h->horizon_ms ? h->slots_until_ms : h->horizon_ms;
        h->slots_until_ms = 0;
    }
    while (h->bucket_count > 1 && h->buckets[1].begin <= limit &&
           out->forgotten_count < FORGET_BUCKETS_MAX) {
        out->forgotten[out->forgotten_count++] = h->buckets[0].begin;
        drop_first(h);
        if (h->buckets[0].begin > h->horizon_ms && !MUTANT("stillhorizon"))
            h->horizon_ms = h->buckets[0].begin;
    }
    r->flying_horizon_ms = h->horizon_ms;
}

static void forget_replies(struct remember *r, uint64_t bucket)
{
    struct kept *k;

    while ((k = oldest(r)) && k->bucket <= bucket)
        kept_free(r, k);
}

/* Those of format 1: the ones that are not in the list. */
static void forget_slots(struct remember *r)
{
    struct map_node *n, *next;

    for (n = map_first(&r->replies); n; n = next) {
        struct kept *k = MAP_ENTRY(n, struct kept, node);
        next = map_next(n);
        if (list_empty(&k->link))
            kept_free(r, k);
    }
}

void remember_planned(struct remember *r, const struct remember_plan *plan)
{
    if (plan->forget_slots)
        forget_slots(r);
    for (size_t i = 0; i < plan->forgotten_count; i++) {
        forget_replies(r, plan->forgotten[i]);
        if (r->own) {
            set_free(r, &r->own[0]);
            memmove(&r->own[0], &r->own[1], (HEAD_BUCKETS_MAX - 1) * sizeof r->own[0]);
            r->own[HEAD_BUCKETS_MAX - 1] = (struct id_set){0};
        }
        if (r->loaded > 0)
            r->loaded--;
    }
    r->head = plan->head;
}

void remember_applied(struct remember *r, struct uuid hash, const struct remembered_record *record)
{
    const struct head_record *h = &r->head;
    struct kept *k;

    if (!r->own)
        r->own = MEM_NEW_ARRAY(r->mem, struct id_set, HEAD_BUCKETS_MAX);
    set_add(r, &r->own[h->bucket_count - 1], short_hash(hash));
    k = keep(r, hash, record->reply);
    if (!k)
        return;
    k->bucket = h->buckets[h->bucket_count - 1].begin;
    k->generation = record->generation;
    k->fingerprint = record->fingerprint;
    k->status = record->status;
    k->reply_kept = record->reply_kept;
    list_append(&r->recent, &k->link);
    r->recent_count++;
    r->recent_bytes += k->reply_len;
    while (r->recent_count > REPLIES_IN_MEMORY_MAX || r->recent_bytes > REPLY_BYTES_IN_MEMORY_MAX)
        kept_free(r, oldest(r));
}
