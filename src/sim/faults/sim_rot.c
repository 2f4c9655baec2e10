#include "sim/faults/sim_rot.h"

#include <stdlib.h>

#include "record/keys.h"
#include "sim/checkers/shadow.h"
#include "sim/report/sim_record.h"
#include "sim/stores/sim_store.h"

#define FAMILIES_MAX 32

struct rotten {
    struct sim_event event; /* an operator puts it right */
    struct rot *r;
    bool on;
    size_t bit;
    struct key key;
    uint8_t *value; /* with the wrong bit */
    size_t len;
};

struct rot {
    struct world *w;
    struct rotten rows[ROT_ROWS_MAX];
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_ROT, bound);
}

/* ---- which row */

struct pick {
    struct world *w;
    uint64_t seen[FAMILIES_MAX]; /* rows of each family */
    unsigned family;             /* wanted */
    uint64_t at;                 /* the number of the row within it */
    struct rotten *out;
};

static unsigned family_of(const struct pick *p, struct bytes key)
{
    struct key_parts parts;

    if (key_parse(&p->w->shadow->ks, key, &parts))
        return KEY_UNKNOWN;
    CHECK((unsigned)parts.family < FAMILIES_MAX);
    return (unsigned)parts.family;
}

static bool count_row(void *arg, struct bytes key, struct bytes value)
{
    struct pick *p = arg;
    p->seen[family_of(p, key)] += value.len > 0;
    return true;
}

static bool take_row(void *arg, struct bytes key, struct bytes value)
{
    struct pick *p = arg;

    if (family_of(p, key) != p->family || value.len == 0 || p->at-- > 0)
        return true;
    p->out->key.len = key.len;
    memcpy(p->out->key.data, key.data, key.len);
    p->out->len = value.len;
    p->out->value = malloc(value.len);
    CHECK(p->out->value);
    memcpy(p->out->value, value.data, value.len);
    return false;
}

static bool pick_row(struct world *w, struct rotten *out)
{
    struct pick p = {.w = w, .out = out};
    unsigned families[FAMILIES_MAX], count = 0;

    sim_store_each(w, count_row, &p);
    for (unsigned f = 0; f < FAMILIES_MAX; f++)
        if (p.seen[f] > 0)
            families[count++] = f;
    if (count == 0)
        return false;
    p.family = families[below(w, count)];
    p.at = below(w, p.seen[p.family]);
    sim_store_each(w, take_row, &p);
    return true;
}

/* ---- the flip, and back */

struct look {
    const struct rotten *row;
    bool same;
};

static bool compare_row(void *arg, struct bytes key, struct bytes value)
{
    struct look *l = arg;

    if (!bytes_equal(key, key_bytes(&l->row->key)))
        return true;
    l->same = bytes_equal(value, bytes_of(l->row->value, l->row->len));
    return false;
}

static void end(struct rotten *row)
{
    world_cancel(row->r->w, &row->event);
    free(row->value);
    row->value = NULL;
    row->on = false;
}

/* Unless it was written anew. */
static void repair(struct rotten *row)
{
    struct look l = {.row = row};

    sim_store_each(row->r->w, compare_row, &l);
    if (l.same)
        sim_store_flip(row->r->w, key_bytes(&row->key), row->bit);
    end(row);
}

static void on_repair(struct world *w, struct sim_event *e)
{
    (void)w;
    repair(CONTAINER_OF(e, struct rotten, event));
}

static bool is_rotten(const struct rot *r, const struct key *key)
{
    for (size_t i = 0; i < ROT_ROWS_MAX; i++)
        if (r->rows[i].on && bytes_equal(key_bytes(&r->rows[i].key), key_bytes(key)))
            return true;
    return false;
}

bool rot_strike(struct world *w)
{
    struct rot *r = w->rot;
    struct rotten *row = NULL;

    for (size_t i = 0; i < ROT_ROWS_MAX && !row; i++)
        if (!r->rows[i].on)
            row = &r->rows[i];
    if (!row || !pick_row(w, row))
        return false;
    if (is_rotten(r, &row->key)) {
        end(row);
        return false;
    }
    row->bit = below(w, (uint64_t)row->len * 8);
    row->value[row->bit / 8] = (uint8_t)(row->value[row->bit / 8] ^ 1u << row->bit % 8);
    sim_store_flip(w, key_bytes(&row->key), row->bit);
    row->on = true;
    world_after(w, &row->event, (20 + below(w, w->config.fault_ms_max)) * NS_PER_MS);
    return true;
}

/* ---- the world's side */

struct rot *rot_new(struct world *w)
{
    struct rot *r = calloc(1, sizeof *r);

    CHECK(r);
    r->w = w;
    for (size_t i = 0; i < ROT_ROWS_MAX; i++) {
        r->rows[i].r = r;
        event_init(&r->rows[i].event, on_repair);
    }
    return r;
}

void rot_free(struct rot *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < ROT_ROWS_MAX; i++)
        free(r->rows[i].value);
    free(r);
}

bool rot_is_there(const struct world *w)
{
    for (size_t i = 0; i < ROT_ROWS_MAX; i++)
        if (w->rot->rows[i].on)
            return true;
    return false;
}

void rot_repair_all(struct world *w)
{
    for (size_t i = 0; i < ROT_ROWS_MAX; i++)
        if (w->rot->rows[i].on)
            repair(&w->rot->rows[i]);
}

void rot_forget(struct world *w)
{
    for (size_t i = 0; i < ROT_ROWS_MAX; i++)
        if (w->rot->rows[i].on)
            end(&w->rot->rows[i]);
}
