/*
 * What passive actors remember, and actors that are over (docs/adr/0021-erase-and-expiry.md). The primary goes
 * over the placements, page by page. Of an actor that is placed nowhere it notes when it first saw it so, by
 * its own clock. One that it finds unchanged after longer than its memory reaches is swept: its remembered
 * requests go, and, when it has no state any more or its class lets it expire, all of it. What was noted is in
 * memory alone: another primary begins to watch anew.
 */
#include "actor/activation.h"
#include "base/hash128.h"
#include "base/mark.h"
#include "base/mutant.h"

struct seen {
    struct map_node node;
    struct uuid name;
    uint64_t generation, number;
    uint64_t since_ns; /* it has not changed since */
    uint64_t pass;     /* it was met in */
};

static void look_next(struct actors *a);

static struct uuid name_hash(const char *type, const char *id)
{
    struct actor_name name = actor_name_of(type, id);
    struct uuid u;
    struct hash128 h = hash128_start();

    hash128_bytes(&h, actor_name_bytes(&name));
    h = hash128_value(&h);
    memcpy(u.b, &h.hi, 8);
    memcpy(u.b + 8, &h.lo, 8);
    return u;
}

static struct seen *seen_find(const struct passive_sweep *s, const struct uuid *name)
{
    return MAP_ENTRY(map_find(&s->seen, bytes_of(name->b, sizeof name->b)), struct seen, node);
}

static void seen_drop(struct actors *a, struct seen *seen)
{
    map_remove(&a->passive.seen, &seen->node);
    mem_free(a->env->mem, seen);
}

static void seen_clear(struct actors *a, bool all)
{
    struct map_node *n, *next;

    for (n = map_first(&a->passive.seen); n; n = next) {
        struct seen *seen = MAP_ENTRY(n, struct seen, node);
        next = map_next(n);
        if (all || seen->pass != a->passive.pass)
            seen_drop(a, seen);
    }
}

/* ---- who is watched, and for how long */

/* There is something to let go of, now or when it expires. */
static bool is_of_interest(const struct passive *p)
{
    const struct head_record *h = &p->head;

    return !p->damaged && (!p->has_head || h->rows == 0 || h->bucket_count > 0 ||
                           h->slots_until_ms > 0 || h->expire_ms > 0);
}

/* Longer than what the actor remembers: the distance of its horizon, and what two clocks may differ by. */
static uint64_t distance_ms(const struct actors *a, const struct passive *p)
{
    uint64_t ms = timing_window_ns(&cluster_config_of(a->cluster)->timing) / NS_PER_MS;

    if (p->has_head && p->head.own_ms > p->head.horizon_ms + ms)
        ms = p->head.own_ms - p->head.horizon_ms;
    if (MUTANT("sweepearly"))
        return ms / 8;
    return ms + ms / 100 + 1000;
}

/* The sighting of an actor that is placed nowhere, which was so when the page was read. */
static struct seen *note(struct actors *a, const struct passive *p)
{
    struct passive_sweep *s = &a->passive;
    struct uuid name = name_hash(p->type, p->id);
    struct seen *seen = seen_find(s, &name);
    uint64_t number = p->head.number;

    if (!seen && s->seen.count >= PASSIVE_SEEN_MAX)
        return NULL; /* others first */
    if (!seen) {
        seen = MEM_NEW(a->env->mem, struct seen);
        seen->name = name;
        CHECK(!map_insert(&s->seen, &seen->node, bytes_of(seen->name.b, sizeof seen->name.b)));
    }
    if (seen->since_ns == 0 || seen->generation != p->generation || seen->number != number) {
        seen->generation = p->generation;
        seen->number = number;
        seen->since_ns = env_now_ns(a->env);
    }
    s->noted += seen->pass != s->pass;
    seen->pass = s->pass;
    return seen;
}

/* ---- one actor */

static bool may_sweep(const struct actors *a)
{
    return !a->closed && a->passive.term > 0 && !a->suspended;
}

static void on_swept(struct txn *txn, int status)
{
    struct passive_slot *slot = txn->arg;
    const struct sweep_actor_args *args = &slot->args;
    struct actors *a = slot->actors;
    struct passive_sweep *s = &a->passive;
    struct seen *seen;
    struct uuid name;

    if (!may_sweep(a) || status == KELPIE_E_CANCELLED)
        return;
    name = name_hash(args->ref.type, args->ref.id);
    seen = seen_find(s, &name);
    if (status == 0 && seen && args->outcome == PASSIVE_STRUCK) {
        s->struck += txn->committed;
        seen_drop(a, seen);
    } else if (status == 0 && seen && args->outcome == PASSIVE_FORGOT) {
        /* Our own doing: it goes on being unused since then. */
        s->forgot += txn->committed;
        seen->number = args->number_now;
    } else if (status == KELPIE_E_STORE_CORRUPT || status == KELPIE_E_STORE_NEWER) {
        char why[2 * TXN_REASON_SIZE];
        log_error(&a->env->log, "passive_sweep_failed", "error=%s why=%s",
                  kelpie_error_name(status), log_quote(txn->reason, why, sizeof why));
    }
    look_next(a);
}

static struct passive_slot *free_slot(struct passive_sweep *s)
{
    for (size_t i = 0; i < PASSIVE_SWEEPS_MAX; i++)
        if (!txn_active(&s->slots[i].txn))
            return &s->slots[i];
    return NULL;
}

static bool is_sweeping(const struct passive_sweep *s)
{
    for (size_t i = 0; i < PASSIVE_SWEEPS_MAX; i++)
        if (txn_active(&s->slots[i].txn))
            return true;
    return false;
}

/* It goes, now or not yet, by a slot that is free. */
static void sweep_one(struct actors *a, const struct passive *p, struct passive_slot *slot)
{
    const struct head_record *h = &p->head;
    struct seen *seen = is_of_interest(p) ? note(a, p) : NULL;
    uint64_t ms;
    bool expired;

    if (!seen)
        return;
    ms = (env_now_ns(a->env) - seen->since_ns) / NS_PER_MS;
    expired = h->expire_ms > 0 && ms >= h->expire_ms;
    if (ms < distance_ms(a, p) ||
        (p->has_head && h->rows > 0 && h->bucket_count == 0 && h->slots_until_ms == 0 && !expired))
        return;
    if (expired && h->rows > 0)
        SOMETIMES("passive-actor-expires");
    slot->actors = a;
    slot->args = (struct sweep_actor_args){
        .ref = {.ks = a->ks, .type = p->type, .id = p->id},
        .generation = p->generation,
        .number = h->number,
        .waited_ms = ms,
        .expired = expired,
    };
    sweep_actor_txn(&slot->txn, a->env, &slot->args, on_swept, slot);
    slot->txn.give_up_ns = timing_lease_ns(&cluster_config_of(a->cluster)->timing);
    txn_start(&slot->txn);
}

/* ---- pages and passes */

static void begin_pass(struct passive_sweep *s, const struct keyspace *ks, uint64_t now)
{
    struct key_range all = keys_actors(ks);

    s->pass++;
    s->pass_ns = now;
    s->noted = 0;
    s->look.cursor = all.begin;
    s->look.end = all.end;
}

static void look_next(struct actors *a)
{
    struct passive_sweep *s = &a->passive;
    uint64_t now = env_now_ns(a->env), pause = PASSIVE_PAGE_PAUSE_NS;

    for (; s->at < s->look.count; s->at++) {
        struct passive_slot *slot = free_slot(s);
        if (!slot)
            return;
        sweep_one(a, &s->look.found[s->at], slot);
    }
    if (is_sweeping(s))
        return;
    if (s->look.at_end) {
        seen_clear(a, false);
        CHECK(s->seen.count <= s->noted); /* who was not met is forgotten */
        if (now < s->pass_ns + PASSIVE_PASS_NS)
            pause = s->pass_ns + PASSIVE_PASS_NS - now;
        begin_pass(s, a->ks, now + pause);
    } else {
        s->look.cursor = s->look.next;
    }
    timer_start(&s->timer, pause);
}

static void on_looked(struct txn *txn, int status)
{
    struct actors *a = txn->arg;

    if (!may_sweep(a) || status == KELPIE_E_CANCELLED)
        return;
    a->passive.at = 0;
    if (status) {
        a->passive.look.count = 0;
        a->passive.look.next = a->passive.look.cursor;
        a->passive.look.at_end = false;
    }
    look_next(a);
}

static void on_timer(void *arg)
{
    struct actors *a = arg;
    struct passive_sweep *s = &a->passive;

    if (!passive_idle(a) || !cluster_may_act(a->cluster) || !may_sweep(a))
        return;
    s->look.ks = a->ks;
    look_txn(&s->txn, a->env, &s->look, on_looked, a);
    s->txn.give_up_ns = timing_lease_ns(&cluster_config_of(a->cluster)->timing);
    txn_start(&s->txn);
}

void passive_init(struct actors *a)
{
    map_init(&a->passive.seen);
    timer_init(&a->passive.timer, a->env->timers, "actors_passive", on_timer, a);
}

void passive_start(struct actors *a, uint64_t term)
{
    struct passive_sweep *s = &a->passive;

    if (s->term == term)
        return;
    passive_cancel(a);
    s->term = term;
    if (term == 0)
        return;
    begin_pass(s, a->ks, env_now_ns(a->env));
    timer_start(&s->timer, PASSIVE_PASS_NS);
}

void passive_cancel(struct actors *a)
{
    struct passive_sweep *s = &a->passive;

    s->term = 0;
    timer_stop(&s->timer);
    txn_cancel(&s->txn);
    for (size_t i = 0; i < PASSIVE_SWEEPS_MAX; i++)
        txn_cancel(&s->slots[i].txn);
    seen_clear(a, true);
}

bool passive_idle(const struct actors *a)
{
    return !txn_active(&a->passive.txn) && !is_sweeping(&a->passive);
}
