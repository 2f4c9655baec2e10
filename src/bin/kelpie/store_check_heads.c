#include "bin/kelpie/store_check_heads.h"

#include <inttypes.h>
#include <stdio.h>

struct suspect {
    struct list link;
    bool has_slots;
    char type[ACTOR_TYPE_MAX + 1];
    char id[ACTOR_ID_MAX + 1];
};

void heads_init(struct heads *h, struct scan *scan)
{
    memset(h, 0, sizeof(*h));
    h->scan = scan;
    buf_init(&h->scratch, scan->world->env.mem);
    list_init(&h->suspects);
}

void heads_deinit(struct heads *h)
{
    struct list *l;
    while ((l = list_pop(&h->suspects)))
        mem_free(h->scan->world->env.mem, LIST_ENTRY(l, struct suspect, link));
    buf_deinit(&h->scratch);
}

static void add_remembered(struct head_sums *s, uint64_t bucket)
{
    for (uint32_t i = 0; s->has_head && !s->unreadable && i < s->head.bucket_count; i++)
        if (s->head.buckets[i].begin == bucket) {
            s->ids[i]++;
            return;
        }
    s->strays++;
}

static void add_row(struct head_sums *s, struct buf *scratch, const struct key_parts *parts,
                    const struct store_row *row)
{
    struct state_record state;
    s->there = true;
    buf_clear(scratch);
    if (parts->family == KEY_HEAD) {
        s->has_head = true;
        s->unreadable |= head_record_decode(row->key, row->value, scratch, &s->head) != 0;
    } else if (parts->family == KEY_STATE) {
        s->rows++;
        if (state_record_decode(row->key, row->value, scratch, &state))
            s->unreadable = true; /* found already */
        else
            s->sum += row_sum(bytes_of(parts->state_key, parts->state_key_len), state.value);
    } else if (parts->family == KEY_REMEMBERED) {
        add_remembered(s, parts->number);
    } else {
        s->has_slots |= parts->family == KEY_REQUEST_SLOT;
    }
}

/* Of an actor of format 1 there are slots and no head row. */
static bool is_wrong(const struct head_sums *s)
{
    if (!s->there || s->unreadable)
        return false;
    if (!s->has_head)
        return s->rows > 0 && !s->has_slots;
    return s->head.rows != s->rows || s->head.sum != s->sum;
}

/* Of the requests that it remembers; `what`: a sentence. */
static bool remembers_wrongly(const struct head_sums *s, char *what, size_t size)
{
    if (!s->there || s->unreadable)
        return false;
    for (uint32_t i = 0; s->has_head && i < s->head.bucket_count; i++) {
        const struct head_bucket *b = &s->head.buckets[i];
        if (b->ids == s->ids[i])
            continue;
        (void)snprintf(what, size,
                       "it counts %" PRIu64 " remembered requests from %" PRIu64
                       " ms on, but there are %" PRIu64,
                       b->ids, b->begin, s->ids[i]);
        return true;
    }
    if (s->strays == 0)
        return false;
    (void)snprintf(what, size, "%s %" PRIu64 " remembered requests",
                   s->has_head ? "it names no bucket of" : "there is none, but", s->strays);
    return true;
}

static void end_actor(struct heads *h)
{
    char what[256];
    if ((is_wrong(&h->at) || remembers_wrongly(&h->at, what, sizeof(what))) &&
        h->suspect_count < SUSPECTS_MAX) {
        struct suspect *s = MEM_NEW(h->scan->world->env.mem, struct suspect);
        s->has_slots = h->at.has_slots;
        memcpy(s->type, h->type, sizeof(s->type));
        memcpy(s->id, h->id, sizeof(s->id));
        list_append(&h->suspects, &s->link);
        h->suspect_count++;
    }
    h->at = (struct head_sums){0};
}

static bool is_actors(enum key_family family)
{
    return family == KEY_HEAD || family == KEY_STATE || family == KEY_REMEMBERED ||
           family == KEY_REQUEST_SLOT;
}

void heads_row(struct heads *h, const struct key_parts *parts, const struct store_row *row)
{
    if (!is_actors(parts->family))
        return;
    if (strcmp(h->type, parts->type) != 0 || strcmp(h->id, parts->id) != 0) {
        end_actor(h);
        memcpy(h->type, parts->type, sizeof(h->type));
        memcpy(h->id, parts->id, sizeof(h->id));
    }
    add_row(&h->at, &h->scratch, parts, row);
}

static void look_again(struct scan *s, void *arg)
{
    struct heads *h = arg;
    struct store_result rows = rule_rows(&s->txn, 0);
    for (size_t i = 0; i < rows.count; i++) {
        struct key_parts parts;
        if (key_parse(&s->ks, rows.rows[i].key, &parts) == 0)
            add_row(&h->at, &h->scratch, &parts, &rows.rows[i]);
    }
}

/* ---- remembered requests, counted again by pages */

#define RECOUNT_PAGE 1024
#define RECOUNT_TRIES_MAX 5 /* of an actor that commits meanwhile */

struct recount {
    struct heads *h;
    struct key head;
    struct key_range left;
    bool first, more, changed;
};

static void recount_page(struct scan *s, void *arg)
{
    struct recount *r = arg;
    struct head_sums *at = &r->h->at;
    struct store_result rows = rule_rows(&s->txn, 1);
    struct head_record head = {0};
    struct bytes value;
    bool has = rule_row(&s->txn, 0, &value);
    buf_clear(&r->h->scratch);
    if (has && head_record_decode(key_bytes(&r->head), value, &r->h->scratch, &head))
        at->unreadable = true;
    if (r->first)
        *at = (struct head_sums){
            .there = true, .has_head = has, .unreadable = at->unreadable, .head = head};
    r->changed = head.number != at->head.number || head.generation != at->head.generation;
    r->first = false;
    r->more = rows.more && rows.count > 0;
    for (size_t i = 0; i < rows.count && !r->changed; i++) {
        struct key_parts parts;
        if (key_parse(&s->ks, rows.rows[i].key, &parts) == 0 && parts.family == KEY_REMEMBERED)
            add_remembered(at, parts.number);
    }
    if (!r->more)
        return;
    struct bytes last = rows.rows[rows.count - 1].key;
    memcpy(r->left.begin.data, last.data, last.len);
    r->left.begin.data[last.len] = 0;
    r->left.begin.len = last.len + 1;
}

static int recount(struct heads *h, const struct suspect *s, heads_problem_fn *fn, void *arg)
{
    struct recount r = {.h = h, .head = key_head(&h->scan->ks, s->type, s->id), .changed = true};
    char what[256];
    for (unsigned tries = 0; r.changed && tries < RECOUNT_TRIES_MAX; tries++) {
        h->at = (struct head_sums){0};
        r.left = keys_remembered(&h->scan->ks, s->type, s->id);
        for (r.first = r.more = true, r.changed = false; r.more && !r.changed;) {
            scan_begin(h->scan, NULL, NULL);
            (void)txn_read(&h->scan->txn, key_bytes(&r.head), true);
            (void)txn_read_range(&h->scan->txn, key_bytes(&r.left.begin), key_bytes(&r.left.end),
                                 RECOUNT_PAGE, true);
            int err = scan_run(h->scan, recount_page, &r);
            if (err)
                return err;
        }
    }
    if (!r.changed && remembers_wrongly(&h->at, what, sizeof(what)))
        fn(arg, key_bytes(&r.head), what);
    return 0;
}

static int check_one(struct heads *h, const struct suspect *s, heads_problem_fn *fn, void *arg)
{
    struct key_range range = keys_head_and_state(&h->scan->ks, s->type, s->id);
    struct key key = key_head(&h->scan->ks, s->type, s->id);
    char what[256];
    h->at = (struct head_sums){.has_slots = s->has_slots};
    scan_begin(h->scan, NULL, NULL);
    (void)txn_read_range(&h->scan->txn, key_bytes(&range.begin), key_bytes(&range.end), 0, true);
    int err = scan_run(h->scan, look_again, h);
    if (err)
        return err;
    if (!is_wrong(&h->at))
        return recount(h, s, fn, arg);
    if (!h->at.has_head)
        (void)snprintf(what, sizeof(what), "there is none, but %" PRIu64 " state rows", h->at.rows);
    else if (h->at.head.rows != h->at.rows)
        (void)snprintf(what, sizeof(what),
                       "it counts %" PRIu64 " state rows, but there are %" PRIu64, h->at.head.rows,
                       h->at.rows);
    else
        (void)snprintf(what, sizeof(what), "its sum is not that of the %" PRIu64 " state rows",
                       h->at.rows);
    fn(arg, key_bytes(&key), what);
    return 0;
}

int heads_check(struct heads *h, heads_problem_fn *fn, void *arg)
{
    int err = 0;
    end_actor(h);
    LIST_FOREACH(l, &h->suspects)
    {
        if (!err)
            err = check_one(h, LIST_ENTRY(l, const struct suspect, link), fn, arg);
    }
    return err;
}
