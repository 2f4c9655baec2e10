#include "store/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct model {
    uint32_t value[HISTORY_KEYS]; /* 0: no row */
};

/* At a version first the commit with it, then the reads of that snapshot. */
struct event {
    uint64_t version;
    bool read;
    const struct history_txn *txn;
};

void history_init(struct history *h, size_t cap)
{
    *h = (struct history){.txns = calloc(cap, sizeof(struct history_txn)), .cap = cap};
    CHECK(h->txns != NULL);
}

void history_deinit(struct history *h)
{
    free(h->txns);
}

struct history_txn *history_add(struct history *h)
{
    return h->count < h->cap ? &h->txns[h->count++] : NULL;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0xff51afd7ed558ccdu;
    return h ^ h >> 31;
}

uint64_t history_seen(const struct store_result *r)
{
    uint64_t h = r->more;
    for (size_t i = 0; i < r->count; i++) {
        struct bytes k = r->rows[i].key, v = r->rows[i].value;
        uint64_t value = 0;
        CHECK(k.len >= 2);
        for (size_t j = 0; j < v.len; j++)
            value = value * 10 + (uint64_t)(v.data[j] - '0');
        h = mix(h, (uint64_t)(k.data[k.len - 2] - '0') * 10 + (uint64_t)(k.data[k.len - 1] - '0'));
        h = mix(h, value);
    }
    return h;
}

static uint64_t model_read(const struct model *m, const struct history_read *r)
{
    unsigned end = r->end > r->begin ? r->end : r->begin + 1u, count = 0;
    uint8_t keys[HISTORY_KEYS];
    for (unsigned k = r->begin; k < end && (r->limit == 0 || count < r->limit); k++)
        if (m->value[k])
            keys[count++] = (uint8_t)k;
    uint64_t h = r->end > r->begin && r->limit && count == r->limit;
    for (unsigned i = 0; i < count; i++)
        h = mix(mix(h, keys[i]), m->value[keys[i]]);
    return h;
}

static void model_apply(struct model *m, const struct history_txn *t)
{
    for (size_t i = 0; i < t->write_count; i++) {
        const struct history_write *w = &t->writes[i];
        unsigned end = w->kind == STORE_DELETE_RANGE ? w->end : w->begin + 1u;
        for (unsigned k = w->begin; k < end; k++)
            m->value[k] = w->kind == STORE_PUT ? w->value : 0;
    }
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->version != y->version)
        return x->version < y->version ? -1 : 1;
    if (x->read != y->read)
        return x->read ? 1 : -1;
    if (!x->read && x->txn->commit_order != y->txn->commit_order)
        return x->txn->commit_order < y->txn->commit_order ? -1 : 1;
    return x->txn < y->txn ? -1 : x->txn > y->txn;
}

static const char *fault(const struct history *h, const struct history_txn *t, const char *what)
{
    static char text[200];
    snprintf(text, sizeof(text), "transaction %zu (read at %llu, committed at %llu): %s",
             (size_t)(t - h->txns), (unsigned long long)t->read_version,
             (unsigned long long)t->commit_version, what);
    return text;
}

static const char *check_event(const struct history *h, struct model *m, const struct event *e,
                               size_t *compared)
{
    const struct history_txn *t = e->txn;
    for (size_t i = 0; i < t->read_count; i++) {
        if (!e->read && t->reads[i].snapshot)
            continue;
        ++*compared;
        if (model_read(m, &t->reads[i]) != t->reads[i].seen)
            return fault(h, t,
                         e->read ? "a read did not return the state at its version"
                                 : "what it read had changed before its commit");
    }
    if (!e->read)
        model_apply(m, t);
    return NULL;
}

const char *history_check(const struct history *h, size_t *compared)
{
    struct event *events = calloc(h->count * 2 + 1, sizeof(*events));
    CHECK(events != NULL);
    size_t n = 0;
    const char *wrong = NULL;
    *compared = 0;
    for (size_t i = 0; i < h->count; i++) {
        const struct history_txn *t = &h->txns[i];
        if (t->read_count > 0)
            events[n++] = (struct event){t->read_version, true, t};
        if (t->read_count > 0 && t->read_version < t->floor)
            wrong = fault(h, t, "a stale read: something newer had been acknowledged before");
        if (t->committed && t->write_count > 0)
            events[n++] = (struct event){t->commit_version, false, t};
    }
    qsort(events, n, sizeof(*events), compare_events);
    struct model m = {{0}};
    for (size_t i = 0; i < n && !wrong; i++) {
        if (i > 0 && !events[i].read && !events[i - 1].read &&
            events[i].version == events[i - 1].version &&
            events[i].txn->commit_order == events[i - 1].txn->commit_order)
            wrong = fault(h, events[i].txn, "its commit version is another's too");
        if (!wrong)
            wrong = check_event(h, &m, &events[i], compared);
    }
    free(events);
    return wrong;
}
