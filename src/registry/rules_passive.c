#include "registry/rules_passive.h"

#include "base/mark.h"
#include "base/mutant.h"
#include "cluster/rows.h"
#include "kelpie/error.h"

/* ---- LookPassive */

static void key_after(struct key *k)
{
    CHECK(k->len < sizeof k->data);
    k->data[k->len++] = 0;
}

/* Those of the page that are placed nowhere. A row that cannot be read is nobody's business here. */
static size_t take_page(struct rule_ctx *ctx, struct look_args *a)
{
    struct store_result rows = rule_rows(ctx->txn, 0);

    a->count = 0;
    a->at_end = !rows.more;
    a->next = a->cursor;
    for (size_t i = 0; i < rows.count && i < PASSIVE_ROWS; i++) {
        struct passive *p = &a->found[a->count];
        struct placement_record r;
        struct key_parts parts;
        a->next.len = rows.rows[i].key.len;
        memcpy(a->next.data, rows.rows[i].key.data, a->next.len);
        key_after(&a->next);
        if (key_parse(a->ks, rows.rows[i].key, &parts) ||
            placement_record_decode(rows.rows[i].key, rows.rows[i].value, ctx->scratch, &r) ||
            r.placed)
            continue;
        *p = (struct passive){.generation = r.generation};
        memcpy(p->type, parts.type, sizeof p->type);
        memcpy(p->id, parts.id, sizeof p->id);
        a->count++;
    }
    return a->count;
}

/* The driver reads anew: the page may be another by now. */
static bool same_page(const struct look_args *a)
{
    if (a->asked_count != a->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        struct key key = key_head(a->ks, a->found[i].type, a->found[i].id);
        if (!bytes_equal(key_bytes(&key), key_bytes(&a->asked[i])))
            return false;
    }
    return true;
}

enum verdict rule_look_passive(struct rule_ctx *ctx, void *arg)
{
    struct look_args *a = arg;

    if (take_page(ctx, a) == 0)
        return RULE_DONE;
    if (rule_read_count(ctx) == 1) {
        for (size_t i = 0; i < a->count; i++) {
            struct key key = key_head(a->ks, a->found[i].type, a->found[i].id);
            size_t index = rule_more(ctx, key_bytes(&key), true);
            if (i == 0)
                a->extra_base = index;
            a->asked[i] = key;
        }
        a->asked_count = a->count;
        return RULE_MORE;
    }
    if (!same_page(a)) {
        a->count = 0;
        a->next = a->cursor;
        a->at_end = false;
        return RULE_DONE;
    }
    for (size_t i = 0; i < a->count; i++) {
        struct passive *p = &a->found[i];
        struct bytes value;
        if (!rule_row(ctx->txn, a->extra_base + i, &value))
            continue;
        p->has_head = true;
        p->damaged =
            head_record_decode(key_bytes(&a->asked[i]), value, ctx->scratch, &p->head) != 0;
    }
    return RULE_DONE;
}

void look_txn(struct txn *t, const struct env *env, struct look_args *args, txn_fn *done, void *arg)
{
    txn_init(t, env, "LookPassive", rule_look_passive, args, done, arg);
    CHECK(txn_read_range(t, key_bytes(&args->cursor), key_bytes(&args->end), PASSIVE_ROWS, true) ==
          0);
}

/* ---- SweepActor */

enum { SWEEP_PLACEMENT, SWEEP_HEAD, SWEEP_FIRST, SWEEP_FLOOR };

static void delete_range(struct rule_ctx *ctx, struct key_range range)
{
    rule_delete_range(ctx, key_bytes(&range.begin), key_bytes(&range.end));
}

static enum verdict strike(struct rule_ctx *ctx, struct sweep_actor_args *a,
                           const struct placement_record *p)
{
    struct key key = key_actor(a->ref.ks, a->ref.type, a->ref.id);
    struct key floor_key = key_generation_floor(a->ref.ks);
    struct generation_floor_record floor;

    if (load_generation_floor(ctx, SWEEP_FLOOR, &floor) < 0)
        return RULE_REFUSE;
    delete_range(ctx, keys_state(a->ref.ks, a->ref.type, a->ref.id));
    rule_delete(ctx, key_bytes(&key));
    if (p->generation > floor.generation && !MUTANT("floorkept")) {
        floor.generation = p->generation;
        store_generation_floor(ctx, &floor_key, &floor);
    }
    SOMETIMES("passive-actor-struck");
    a->outcome = PASSIVE_STRUCK;
    return RULE_COMMIT;
}

/* All, or the oldest buckets as far as one sweep goes. The number grows by two: no commit of the activation
 * that was can take this one for its own. */
static enum verdict forget(struct rule_ctx *ctx, struct sweep_actor_args *a, struct head_record *h)
{
    struct key key = key_head(a->ref.ks, a->ref.type, a->ref.id);
    uint64_t ids = 0;
    uint32_t gone = 0;

    while (gone < h->bucket_count && (gone == 0 || ids + h->buckets[gone].ids <= SWEEP_IDS_MAX)) {
        delete_range(ctx,
                     keys_remembered_in(a->ref.ks, a->ref.type, a->ref.id, h->buckets[gone].begin));
        ids += h->buckets[gone++].ids;
    }
    h->bucket_count -= gone;
    if (h->bucket_count > 0) {
        SOMETIMES("passive-actor-forgets-in-pages");
        memmove(h->buckets, h->buckets + gone, h->bucket_count * sizeof h->buckets[0]);
        h->horizon_ms = h->buckets[0].begin;
    } else {
        delete_range(ctx, keys_remembered(a->ref.ks, a->ref.type, a->ref.id));
        h->slots_until_ms = 0;
        h->horizon_ms = h->own_ms + 1; /* behind the last of them */
    }
    memset(h->buckets + h->bucket_count, 0,
           (HEAD_BUCKETS_MAX - h->bucket_count) * sizeof h->buckets[0]);
    /* What the sweeper waited is time that no activation ran; after the first page it is counted. The last that
     * is forgotten lies before the horizon, and is at least as old. */
    if (h->own_ms < h->horizon_ms - 1 + a->waited_ms)
        h->own_ms = h->horizon_ms - 1 + a->waited_ms;
    h->number = a->number + 2;
    store_head(ctx, &key, h);
    SOMETIMES("passive-actor-forgets");
    a->number_now = h->number;
    a->outcome = PASSIVE_FORGOT;
    return RULE_COMMIT;
}

static uint64_t ids_of(const struct head_record *h)
{
    uint64_t ids = 0;

    for (uint32_t i = 0; i < h->bucket_count; i++)
        ids += h->buckets[i].ids;
    return ids;
}

static enum verdict sweep_known(struct rule_ctx *ctx, struct sweep_actor_args *a,
                                const struct placement_record *p, struct head_record *h)
{
    if (h->number == a->number + 2) {
        a->number_now = h->number;
        a->outcome = PASSIVE_FORGOT;
        return RULE_DONE;
    }
    if (h->number != a->number)
        return RULE_DONE;
    if (ids_of(h) <= SWEEP_IDS_MAX && (h->rows == 0 || a->expired))
        return strike(ctx, a, p);
    if (h->bucket_count == 0 && h->slots_until_ms == 0)
        return RULE_DONE;
    return forget(ctx, a, h);
}

/*
 * All with conflict: an activation has to place the actor first, which writes the placement. A row of the
 * placement that is gone is our own earlier commit, or another sweeper's.
 */
enum verdict rule_sweep_actor(struct rule_ctx *ctx, void *arg)
{
    struct sweep_actor_args *a = arg;
    struct placement_record p;
    struct head_record head;
    int found = load_placement(ctx, SWEEP_PLACEMENT, &p);
    int known = load_head(ctx, SWEEP_HEAD, &head);

    a->outcome = PASSIVE_CHANGED;
    if (found < 0 || known < 0)
        return RULE_REFUSE;
    if (!found) {
        a->outcome = PASSIVE_STRUCK;
        return RULE_DONE;
    }
    if ((p.placed && !MUTANT("sweepplacedactor")) || p.generation != a->generation) {
        SOMETIMES("passive-actor-came-back");
        return RULE_DONE;
    }
    if (known)
        return sweep_known(ctx, a, &p, &head);
    if (rule_rows(ctx->txn, SWEEP_FIRST).count > 0) {
        a->outcome = PASSIVE_LEFT;
        return RULE_DONE;
    }
    return a->number == 0 ? strike(ctx, a, &p) : RULE_DONE;
}

void sweep_actor_txn(struct txn *t, const struct env *env, struct sweep_actor_args *args,
                     txn_fn *done, void *arg)
{
    const struct actor_ref *ref = &args->ref;
    bool snapshot = MUTANT("sweepsnapshot");
    struct key placement = key_actor(ref->ks, ref->type, ref->id);
    struct key head = key_head(ref->ks, ref->type, ref->id);

    txn_init(t, env, "SweepActor", rule_sweep_actor, args, done, arg);
    CHECK(txn_read(t, key_bytes(&placement), snapshot) == SWEEP_PLACEMENT);
    CHECK(txn_read(t, key_bytes(&head), snapshot) == SWEEP_HEAD);
    read_range(t, keys_state(ref->ks, ref->type, ref->id), 1, snapshot);
    read_key(t, key_generation_floor(ref->ks));
}
