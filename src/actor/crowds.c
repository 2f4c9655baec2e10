/*
 * The bound on messages that wait for one receiver, or lie with its dead letters (docs/adr/0018-messages.md). Who sends counts what it has sent to
 * whom, in few slots that receivers share by hash; when a slot has counted a part of the bound, the receiver's
 * rows are counted in the store, a page at a time, as snapshots. One that has too many is sent nothing by
 * this node until another count finds room. So the bound is approximate, and costs a commit nothing.
 */
#include "actor/activation.h"
#include "base/mark.h"
#include "base/mutant.h"

#define CROWD_PART 16 /* of the bound, until it is counted again */
#define CROWD_AGAIN_NS NS_PER_S
#define CROWD_COUNTS_MAX 8 /* under way */

struct crowd_count {
    struct list link;
    struct actors *actors;
    struct crowd_slot *slot;
    struct uuid of;
    struct key_range
        ranges[3]; /* in order, with a time, and dead letters, or failures had no bound */
    size_t at, found;
    struct txn txn;
};

static void on_page(struct txn *txn, int status);

/* The range begins behind that key. */
static void go_on_after(struct key_range *r, struct bytes key)
{
    CHECK(key.len < sizeof r->begin.data);
    memcpy(r->begin.data, key.data, key.len);
    r->begin.data[key.len] = 0;
    r->begin.len = key.len + 1;
}

static void read_page(struct crowd_count *c)
{
    count_waiting_txn(&c->txn, c->actors->env, &c->ranges[c->at], on_page, c);
    c->txn.fail_fast = true;
    txn_start(&c->txn);
}

static void count_start(struct actors *a, struct crowd_slot *slot, const char *type, const char *id)
{
    struct crowd_count *c = MEM_NEW(a->env->mem, struct crowd_count);
    uint32_t shard = actor_shard(type, id, cluster_shards(a->cluster));

    c->actors = a;
    c->slot = slot;
    c->of = actor_hash(type, id);
    c->ranges[0] = keys_inbox(a->ks, shard, type, id);
    c->ranges[1] = keys_later(a->ks, type, id);
    c->ranges[2] = keys_dead(a->ks, type, id);
    slot->counting = true;
    list_append(&a->crowds.counts, &c->link);
    a->crowds.count_count++;
    read_page(c);
}

static void count_end(struct crowd_count *c, int status)
{
    struct actors *a = c->actors;
    struct crowd_slot *slot = c->slot;

    slot->counting = false;
    slot->again_ns = env_now_ns(a->env) + CROWD_AGAIN_NS;
    if (status == 0) {
        slot->sent = 0;
        slot->full = c->found >= a->crowds.max;
        slot->of = c->of;
    }
    if (status == 0 && slot->full)
        SOMETIMES("receiver-has-too-many-messages");
    list_remove(&c->link);
    a->crowds.count_count--;
    mem_free(a->env->mem, c);
}

static void on_page(struct txn *txn, int status)
{
    struct crowd_count *c = txn->arg;
    struct store_result rows = {0};

    if (status == 0)
        rows = rule_rows(txn, 0);
    c->found += rows.count;
    if (status || c->found >= c->actors->crowds.max) {
        count_end(c, status);
        return;
    }
    if (rows.more && rows.count > 0)
        go_on_after(&c->ranges[c->at], rows.rows[rows.count - 1].key);
    else if (++c->at == ARRAY_LEN(c->ranges)) {
        count_end(c, 0);
        return;
    }
    read_page(c);
}

static struct crowd_slot *slot_of(struct actors *a, const struct uuid *hash)
{
    return &a->crowds.slots[(hash->b[0] | hash->b[1] << 8) % CROWD_SLOTS];
}

bool crowds_refuse(struct actors *a, const char *type, const char *id)
{
    struct uuid hash = actor_hash(type, id);
    struct crowd_slot *slot = slot_of(a, &hash);
    bool full = slot->full && uuid_equal(slot->of, hash);
    bool due =
        full ? env_now_ns(a->env) >= slot->again_ns : slot->sent >= a->crowds.max / CROWD_PART;

    slot->sent += !full;
    if (due && !slot->counting && !a->closed && a->crowds.count_count < CROWD_COUNTS_MAX)
        count_start(a, slot, type, id);
    if (full)
        cap_reached(&a->caps[ACTORS_CAP_MESSAGES], a->env);
    return full;
}

void crowds_init(struct actors *a, uint32_t max)
{
    a->crowds.max = max ? max : MESSAGES_WAITING_MAX;
    a->caps[ACTORS_CAP_MESSAGES] = (struct cap){.name = "messages", .bound = a->crowds.max};
    list_init(&a->crowds.counts);
}

void crowds_cancel(struct actors *a)
{
    LIST_FOREACH_SAFE(l, tmp, &a->crowds.counts)
    {
        txn_cancel(&LIST_ENTRY(l, struct crowd_count, link)->txn);
    }
}

bool crowds_idle(const struct actors *a)
{
    return a->crowds.count_count == 0;
}
