/* Reads of the simulated FoundationDB: the snapshot, with the transaction's own writes over it. */
#include "base/check.h"
#include "sim/stores/sim_fdb_internal.h"

#define BASE_VERSION 1 /* in a merge: what was there, */
#define OWN_VERSION 2  /* and what the transaction wrote */
#define SHORT_CHANCE 8 /* one batch in so many is cut short */

static void read_conflict(struct fdb_transaction *tr, struct bytes begin, struct bytes end,
                          bool closed)
{
    struct sim_item *item = sim_item_new(tr->db->c, begin, end);
    item->range.closed = closed;
    list_append(&tr->reads, &item->link);
}

/* 1: it wrote a value, 0: it wrote nothing there, -1: it removed the row. */
static int own_value(const struct fdb_transaction *tr, struct bytes key, struct bytes *value)
{
    for (const struct list *it = tr->writes.prev; it != &tr->writes; it = it->prev) {
        const struct store_write *w = &LIST_ENTRY(it, const struct sim_item, link)->write;
        if (w->kind == STORE_DELETE_RANGE) {
            if (bytes_compare(w->key, key) <= 0 && bytes_compare(key, w->value) < 0)
                return -1;
        } else if (bytes_equal(w->key, key)) {
            *value = w->value;
            return w->kind == STORE_PUT ? 1 : -1;
        }
    }
    return 0;
}

void sim_read_get(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    struct bytes key = f->key->range.begin, value;
    int own = own_value(tr, key, &value);
    bool present = own ? own > 0 : fdb_rows_get(&tr->db->c->rows, key, tr->version, &value);
    if (own == 0 && !f->snapshot)
        read_conflict(tr, key, key, true);
    f->number = present;
    f->present = present;
    if (present)
        buf_append_bytes(&f->value, value);
}

struct row_place {
    size_t key_at, key_len, value_len;
};

static bool take_row(void *arg, struct bytes key, struct bytes value)
{
    struct fdb_future *f = arg;
    const struct row_place place = {f->value.len, key.len, value.len};
    buf_append_bytes(&f->value, key);
    buf_append_bytes(&f->value, value);
    buf_append(&f->rows, &place, sizeof(place));
    f->number++;
    f->more = (f->limit && f->number == f->limit) ||
              (f->bounded_bytes && f->value.len >= SIM_FDB_BATCH_BYTES);
    return !f->more;
}

static bool merge_row(void *arg, struct bytes key, struct bytes value)
{
    const struct store_write w = {.kind = STORE_PUT, .key = key, .value = value};
    fdb_rows_write(arg, &w, BASE_VERSION);
    return true;
}

static void scan_merged(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    const struct key_range *range = &f->key->range;
    struct fdb_rows merged;
    fdb_rows_init(&merged, tr->db->c->mem);
    fdb_rows_scan(&tr->db->c->rows, range->begin, range->end, tr->version, merge_row, &merged);
    LIST_FOREACH(it, &tr->writes)
    fdb_rows_write(&merged, &LIST_ENTRY(it, struct sim_item, link)->write, OWN_VERSION);
    fdb_rows_scan(&merged, range->begin, range->end, OWN_VERSION, take_row, f);
    fdb_rows_deinit(&merged);
}

/* The places become pointers, now that the bytes stay where they are. The real library aligns its
 * rows to nothing; these begin at an odd address. */
static void place_rows(struct fdb_future *f)
{
    struct buf places = f->rows;
    buf_init(&f->rows, places.mem);
    buf_append_u8(&f->rows, 0);
    for (size_t i = 0; i < f->number; i++) {
        struct row_place p;
        memcpy(&p, places.data + i * sizeof(p), sizeof(p));
        const struct fdb_key_value row = {.key = f->value.data + p.key_at,
                                          .key_length = (int)p.key_len,
                                          .value = f->value.data + p.key_at + p.key_len,
                                          .value_length = (int)p.value_len};
        buf_append(&f->rows, &row, sizeof(row));
    }
    buf_deinit(&places);
}

const struct fdb_key_value *sim_future_rows(const struct fdb_future *f)
{
    return f->rows.len ? (const void *)(f->rows.data + 1) : NULL;
}

void sim_read_range(struct fdb_future *f)
{
    struct fdb_transaction *tr = f->tr;
    struct sim_fdb *c = tr->db->c;
    const struct key_range *range = &f->key->range;
    size_t limit = f->limit;
    if (rng_chance(&c->rng, 1, SHORT_CHANCE)) {
        size_t most = 1 + rng_below(&c->rng, 4);
        f->limit = limit && limit < most ? limit : most;
    }
    if (c->hooks.scanned)
        c->hooks.scanned(c->hooks.arg, f->db->who, range->begin, range->end);
    if (list_empty(&tr->writes))
        fdb_rows_scan(&c->rows, range->begin, range->end, tr->version, take_row, f);
    else
        scan_merged(f);
    place_rows(f);
    if (f->snapshot)
        return;
    if (f->more) {
        const struct fdb_key_value *last = &sim_future_rows(f)[f->number - 1];
        read_conflict(tr, range->begin, bytes_of(last->key, (size_t)last->key_length), true);
    } else {
        read_conflict(tr, range->begin, range->end, false);
    }
}

static void flip(struct sim_fdb *c, const uint8_t *value, size_t len)
{
    uint64_t bit = sim_fdb_soon(c, (uint64_t)len * 8);
    uint8_t *byte = (uint8_t *)value + bit / 8; /* of the future's own copy */
    *byte = (uint8_t)(*byte ^ 1u << bit % 8);
}

void sim_read_corrupt(struct fdb_future *f)
{
    struct sim_fdb *c = f->db->c;
    const struct fdb_key_value *row = NULL;
    if (c->calm || c->o.rate[SIM_FDB_CORRUPTION] == 0)
        return;
    if (f->op == OP_RANGE && f->number > 0)
        row = sim_future_rows(f) + sim_fdb_soon(c, f->number);
    size_t len = f->op == OP_GET ? f->value.len : row ? (size_t)row->value_length : 0;
    if (len > 0 && sim_fdb_draw(c, SIM_FDB_CORRUPTION))
        flip(c, row ? row->value : f->value.data, len);
}
