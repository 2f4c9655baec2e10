#include "bin/shared/store_scan.h"

#include <stdio.h>

#include "kelpie/error.h"

void scan_init(struct scan *s, struct world_bind *world, const struct keyspace *ks)
{
    s->world = world;
    s->ks = *ks;
}

static enum verdict just_read(struct rule_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return RULE_DONE;
}

static void on_read(struct txn *t, int status)
{
    struct scan *s = t->arg;
    s->status = status;
    (void)snprintf(s->reason, sizeof(s->reason), "%s",
                   t->reason[0] ? t->reason : kelpie_error_text(status));
    if (status == 0)
        s->look(s, s->arg);
    loop_stop(s->world->loop);
}

void scan_begin(struct scan *s, rule_fn *rule, void *rule_arg)
{
    txn_init(&s->txn, &s->world->env, "Check", rule ? rule : just_read, rule_arg, on_read, s);
    s->txn.give_up_ns = SCAN_GIVE_UP_MS * NS_PER_MS;
}

int scan_run(struct scan *s, void (*look)(struct scan *s, void *arg), void *arg)
{
    s->look = look;
    s->arg = arg;
    txn_start(&s->txn);
    loop_run(s->world->loop);
    return s->status;
}

struct range_scan {
    struct key_range range; /* what is still to be read */
    scan_row_fn *fn;
    void *arg;
    bool more;
};

static void look_at_page(struct scan *s, void *arg)
{
    struct range_scan *r = arg;
    struct store_result page = rule_rows(&s->txn, 0);
    for (size_t i = 0; i < page.count; i++)
        r->fn(r->arg, &page.rows[i]);
    r->more = page.more && page.count > 0;
    if (!r->more)
        return;
    struct bytes last = page.rows[page.count - 1].key;
    CHECK(last.len < STORE_KEY_MAX);
    memcpy(r->range.begin.data, last.data, last.len);
    r->range.begin.data[last.len] = 0;
    r->range.begin.len = last.len + 1;
}

int scan_range(struct scan *s, struct key_range range, scan_row_fn *fn, void *arg)
{
    struct range_scan r = {.range = range, .fn = fn, .arg = arg};
    int err;
    do {
        scan_begin(s, NULL, NULL);
        (void)txn_read_range(&s->txn, key_bytes(&r.range.begin), key_bytes(&r.range.end),
                             SCAN_PAGE_ROWS, true);
        err = scan_run(s, look_at_page, &r);
    } while (!err && r.more);
    return err;
}
