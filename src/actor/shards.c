/*
 * The node of a shard: it nudges whoever has a message that has become due, or that lies longer than it
 * should (spec: Nudge). Each shard is one Active node's, by rendezvous hashing over the view; while two
 * views are held, or none, it is nobody's or two's, which does no harm. The wall clock decides here when
 * somebody looks, and nowhere whether a message is applied.
 */
#include "actor/activation.h"
#include "base/hash128.h"
#include "base/mark.h"
#include "base/mutant.h"

#define STALE_MS 1000

/* ---- whose shard */

static uint64_t weight(const struct member *m, uint32_t shard)
{
    struct hash128 h = hash128_start();

    hash128_bytes(&h, bytes_of_str(m->node_id));
    hash128_u64(&h, shard);
    return hash128_value(&h).hi;
}

static bool is_mine(const struct actors *a, uint32_t shard)
{
    const struct view *view = cluster_view(a->cluster);
    const struct member *best = NULL;

    for (size_t i = 0; i < view->count; i++)
        if (!cluster_member_silent(a->cluster, &view->members[i]) &&
            (!best || weight(&view->members[i], shard) > weight(best, shard)))
            best = &view->members[i];
    return best && strcmp(best->node_id, cluster_config_of(a->cluster)->node_id) == 0;
}

static void begin_round(struct actors *a)
{
    struct shards *s = &a->shards;
    uint32_t count = cluster_shards(a->cluster);
    uint64_t until_ms = actors_wall_ms(a) + SHARDS_AHEAD_MS;

    s->count = s->pages = 0;
    s->all = s->anew;
    s->anew = false;
    s->clocks = s->rounds++ % WALL_ROUNDS == 0;
    for (uint32_t i = 0; i < count && i < SHARDS_MAX; i++) {
        if (MUTANT("shardleft") ? !s->mine_first[i] : !is_mine(a, i))
            continue;
        s->looks[s->count++] = (struct shard_look){
            .shard = i,
            .due = keys_due_until(a->ks, i, until_ms),
            .inbox = keys_inbox_shard(a->ks, i),
        };
    }
}

/* ---- a page */

/* The end of the range is its begin: there is nothing more to see. */
static void close_range(struct key_range *r)
{
    r->begin = r->end;
}

static void go_on_behind(struct key_range *r, struct bytes key)
{
    r->begin.len = key.len + 1;
    memcpy(r->begin.data, key.data, key.len);
    r->begin.data[key.len] = 0;
}

static bool same_actor(const struct key_parts *a, const struct key_parts *b)
{
    return strcmp(a->type, b->type) == 0 && strcmp(a->id, b->id) == 0;
}

static void nudge_due(struct actors *a, const struct key_parts *p)
{
    uint64_t now = actors_wall_ms(a);

    if (p->due_ms <= now)
        nudge_now(a, p->type, p->id, now);
    else
        nudge_in(a, p->type, p->id, p->due_ms - now, p->due_ms);
}

/* One nudge for all that the page has of a receiver, or that are due at one time. */
static void see_due(struct actors *a, struct shard_look *look, struct store_result rows)
{
    struct key_parts last = {.family = KEY_UNKNOWN}, p;
    uint64_t now = actors_wall_ms(a);

    for (size_t i = 0; i < rows.count; i++) {
        if (key_parse(a->ks, rows.rows[i].key, &p) || p.family != KEY_DUE)
            continue;
        if (last.family && (!same_actor(&last, &p) || (p.due_ms > now && p.due_ms > last.due_ms)))
            nudge_due(a, &last);
        last = p;
    }
    if (last.family)
        nudge_due(a, &last);
    if (rows.more && rows.count > 0)
        go_on_behind(&look->due, rows.rows[rows.count - 1].key);
    else
        close_range(&look->due);
}

static bool is_stale(const struct actors *a, const struct store_row *row, struct buf *scratch)
{
    struct message_record r;
    uint64_t now = actors_wall_ms(a);

    buf_clear(scratch);
    if (message_record_decode(row->key, row->value, scratch, &r))
        return false;
    if (r.again_ms > now && r.again_ms - now <= MESSAGE_BACKOFF_MAX_MS)
        return false;
    return r.sent_ms > now || now - r.sent_ms >= STALE_MS;
}

static void see_inbox(struct actors *a, struct shard_look *look, struct store_result rows)
{
    struct key_parts last = {.family = KEY_UNKNOWN}, p;
    struct buf scratch;

    buf_init(&scratch, a->env->mem);
    for (size_t i = 0; i < rows.count && !MUTANT("nudgeonly"); i++) {
        if (key_parse(a->ks, rows.rows[i].key, &p) || p.family != KEY_INBOX)
            continue;
        if (last.family && same_actor(&last, &p))
            continue;
        last = p;
        if (a->shards.all || is_stale(a, &rows.rows[i], &scratch)) {
            SOMETIMES("message-lies-longer");
            nudge_now(a, p.type, p.id, 0);
        }
    }
    buf_deinit(&scratch);
    if (rows.more && last.family)
        look->inbox.begin = keys_inbox(a->ks, look->shard, last.type, last.id).end;
    else
        close_range(&look->inbox);
}

static bool has_more(const struct key_range *r)
{
    return !bytes_equal(key_bytes(&r->begin), key_bytes(&r->end));
}

/* The next page of those that have one. */
static void go_on(struct actors *a)
{
    struct shards *s = &a->shards;
    size_t left = 0;

    for (size_t i = 0; i < s->count; i++)
        if (i >= s->asked || has_more(&s->looks[i].due) || has_more(&s->looks[i].inbox))
            s->looks[left++] = s->looks[i];
    s->count = left;
    if (left > 0 && ++s->pages < SHARDS_PAGES_MAX) {
        SOMETIMES("shards-of-many-pages");
        timer_start(&s->timer, SHARDS_PAGE_PAUSE_NS);
    } else {
        s->count = 0;
        timer_start(&s->timer, SHARDS_LOOK_MS * NS_PER_MS);
    }
}

static void on_looked(struct txn *txn, int status)
{
    struct actors *a = txn->arg;
    struct shards *s = &a->shards;

    if (a->closed || !s->on)
        return;
    if (s->anew) {
        SOMETIMES("shards-looked-at-anew");
        s->count = 0;
        timer_start(&s->timer, 0);
        return;
    }
    if (status || !cluster_may_act(a->cluster)) {
        s->count = 0;
        if (s->on)
            timer_start(&s->timer, SHARDS_LOOK_MS * NS_PER_MS);
        return;
    }
    if (s->clocks)
        wall_take(a, txn, 2 * s->asked);
    s->clocks = false;
    for (size_t i = 0; i < s->asked; i++) {
        see_due(a, &s->looks[i], rule_rows(txn, 2 * i));
        see_inbox(a, &s->looks[i], rule_rows(txn, 2 * i + 1));
    }
    go_on(a);
}

static void on_timer(void *arg)
{
    struct actors *a = arg;
    struct shards *s = &a->shards;

    if (a->closed || !s->on || txn_active(&s->txn))
        return;
    if (!cluster_may_host(a->cluster)) {
        if (s->on)
            timer_start(&s->timer, SHARDS_LOOK_MS * NS_PER_MS);
        return;
    }
    if (s->count == 0)
        begin_round(a);
    if (s->count == 0 && !s->clocks) {
        timer_start(&s->timer, SHARDS_LOOK_MS * NS_PER_MS);
        return;
    }
    s->asked = s->count < SHARDS_A_LOOK ? s->count : SHARDS_A_LOOK;
    look_shards_txn(&s->txn, a->env, s->looks, s->asked, on_looked, a);
    if (s->clocks)
        wall_ask(a, &s->txn);
    if (s->txn.read_count == 0) { /* nobody else's clock is to be had either */
        timer_start(&s->timer, SHARDS_LOOK_MS * NS_PER_MS);
        return;
    }
    s->txn.fail_fast = true;
    txn_start(&s->txn);
}

void shards_init(struct actors *a)
{
    timer_init(&a->shards.timer, a->env->timers, "shards", on_timer, a);
}

void shards_start(struct actors *a)
{
    struct shards *s = &a->shards;

    if (a->closed || a->suspended)
        return;
    if (!s->on && MUTANT("shardleft"))
        for (uint32_t i = 0; i < SHARDS_MAX; i++)
            s->mine_first[i] = is_mine(a, i);
    s->on = s->anew = true;
    if (txn_active(&s->txn))
        return;
    s->count = 0;
    timer_start(&s->timer, 0);
}

void shards_stop(struct actors *a)
{
    struct shards *s = &a->shards;

    s->on = s->anew = false;
    s->count = 0;
    timer_stop(&s->timer);
    txn_cancel(&s->txn);
}

bool shards_idle(const struct actors *a)
{
    return !txn_active(&a->shards.txn);
}
