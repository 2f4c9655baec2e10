#include "actor/kept_replies.h"

#include "actor/actor.h"
#include "base/hash128.h"

struct kept_reply {
    uint64_t sequence;
    uint64_t generation;
    int32_t status;
    bool reply_kept;
    uint8_t id_len;
    uint32_t reply_len;
    uint8_t data[]; /* request id, then reply */
};

void kept_replies_init(struct kept_replies *k, struct mem mem)
{
    *k = (struct kept_replies){.mem = mem};
}

void kept_replies_deinit(struct kept_replies *k)
{
    for (size_t i = 0; i < k->cap; i++)
        mem_free(k->mem, k->slots[i].reply);
    mem_free(k->mem, k->slots);
    kept_replies_init(k, k->mem);
}

static uint64_t hash_of(struct bytes id)
{
    struct hash128 h = hash128_start();

    hash128_bytes(&h, id);
    return hash128_value(&h).lo;
}

/* Most actors have seen few requests: the table grows as they come. */
static void grow(struct kept_replies *k, size_t need)
{
    size_t cap = k->cap ? k->cap : 4;

    while (cap < need)
        cap *= 2;
    if (cap > REQUESTS_KEPT)
        cap = REQUESTS_KEPT;
    CHECK(need <= cap);
    if (cap == k->cap)
        return;
    k->slots = mem_resize(k->mem, k->slots, cap * sizeof *k->slots);
    memset(k->slots + k->cap, 0, (cap - k->cap) * sizeof *k->slots);
    k->bytes += (cap - k->cap) * sizeof *k->slots;
    k->cap = cap;
}

void kept_replies_add(struct kept_replies *k, const struct request_record *r)
{
    size_t slot = (size_t)(r->sequence % REQUESTS_KEPT);
    struct bytes id = bytes_of_str(r->request_id);
    struct kept_reply *kept, *before;

    CHECK(id.len <= REQUEST_ID_MAX && r->reply.len <= REPLY_KEPT_MAX);
    grow(k, slot + 1);
    before = k->slots[slot].reply;
    if (before && before->sequence > r->sequence)
        return;
    kept = mem_alloc(k->mem, sizeof *kept + id.len + r->reply.len);
    kept->sequence = r->sequence;
    kept->generation = r->generation;
    kept->status = r->status;
    kept->reply_kept = r->reply_kept;
    kept->id_len = (uint8_t)id.len;
    kept->reply_len = (uint32_t)r->reply.len;
    memcpy(kept->data, id.data, id.len);
    if (r->reply.len)
        memcpy(kept->data + id.len, r->reply.data, r->reply.len);
    if (before)
        k->bytes -= sizeof *before + before->id_len + before->reply_len;
    k->bytes += sizeof *kept + id.len + r->reply.len;
    mem_free(k->mem, before);
    k->slots[slot].reply = kept;
    k->slots[slot].hash = hash_of(id);
    if (r->sequence > k->last)
        k->last = r->sequence;
}

bool kept_replies_find(const struct kept_replies *k, const char *request_id,
                       struct request_record *out)
{
    struct bytes id = bytes_of_str(request_id);
    uint64_t hash = k->cap ? hash_of(id) : 0;

    for (size_t i = 0; i < k->cap; i++) {
        const struct kept_reply *r = k->slots[i].reply;
        if (!r || k->slots[i].hash != hash || !bytes_equal(bytes_of(r->data, r->id_len), id))
            continue;
        *out = (struct request_record){
            .sequence = r->sequence,
            .generation = r->generation,
            .status = r->status,
            .reply_kept = r->reply_kept,
            .reply = bytes_of(r->data + r->id_len, r->reply_len),
        };
        memcpy(out->request_id, r->data, r->id_len);
        return true;
    }
    return false;
}
