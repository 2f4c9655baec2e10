#include "sim/stores/sim_fdb_rows.h"

#include "base/check.h"

struct fdb_row {
    struct map_node node;
    struct list cells; /* struct fdb_cell, the oldest first */
    uint8_t key[];
};

/* A value from a version on. */
struct fdb_cell {
    struct list link;
    struct list recent;
    struct fdb_row *row;
    uint64_t version;
    bool present;
    size_t len;
    uint8_t value[];
};

void fdb_rows_init(struct fdb_rows *r, struct mem mem)
{
    r->mem = mem;
    map_init(&r->map);
    list_init(&r->recent);
}

static void cell_free(struct fdb_rows *r, struct fdb_cell *cell)
{
    list_remove(&cell->link);
    list_remove(&cell->recent);
    mem_free(r->mem, cell);
}

static void row_free(struct fdb_rows *r, struct fdb_row *row)
{
    while (!list_empty(&row->cells))
        cell_free(r, LIST_ENTRY(row->cells.next, struct fdb_cell, link));
    map_remove(&r->map, &row->node);
    mem_free(r->mem, row);
}

void fdb_rows_deinit(struct fdb_rows *r)
{
    struct map_node *node;
    while ((node = map_first(&r->map)))
        row_free(r, MAP_ENTRY(node, struct fdb_row, node));
}

static void row_add(struct fdb_rows *r, struct fdb_row *row, bool present, struct bytes value,
                    uint64_t version)
{
    struct fdb_cell *cell = mem_alloc(r->mem, sizeof(*cell) + value.len);
    *cell = (struct fdb_cell){.row = row, .version = version, .present = present, .len = value.len};
    if (value.len)
        memcpy(cell->value, value.data, value.len);
    list_append(&row->cells, &cell->link);
    list_append(&r->recent, &cell->recent);
}

static struct fdb_row *row_of(struct fdb_rows *r, struct bytes key)
{
    struct map_node *node = map_find(&r->map, key);
    if (node)
        return MAP_ENTRY(node, struct fdb_row, node);
    struct fdb_row *row = mem_alloc(r->mem, sizeof(*row) + key.len);
    list_init(&row->cells);
    if (key.len)
        memcpy(row->key, key.data, key.len);
    node = map_insert(&r->map, &row->node, bytes_of(row->key, key.len));
    CHECK(!node);
    return row;
}

void fdb_rows_write(struct fdb_rows *r, const struct store_write *w, uint64_t version)
{
    if (w->kind == STORE_PUT) {
        row_add(r, row_of(r, w->key), true, w->value, version);
        return;
    }
    bool range = w->kind == STORE_DELETE_RANGE;
    struct map_node *node = range ? map_lower_bound(&r->map, w->key) : map_find(&r->map, w->key);
    while (node && (!range || bytes_compare(node->key, w->value) < 0)) {
        row_add(r, MAP_ENTRY(node, struct fdb_row, node), false, bytes_of(NULL, 0), version);
        node = range ? map_next(node) : NULL;
    }
}

static bool row_at(const struct fdb_row *row, uint64_t version, struct bytes *value)
{
    for (const struct list *it = row->cells.prev; it != &row->cells; it = it->prev) {
        const struct fdb_cell *cell = LIST_ENTRY(it, const struct fdb_cell, link);
        if (cell->version > version)
            continue;
        *value = bytes_of(cell->value, cell->len);
        return cell->present;
    }
    return false;
}

bool fdb_rows_get(const struct fdb_rows *r, struct bytes key, uint64_t version, struct bytes *value)
{
    struct map_node *node = map_find(&r->map, key);
    return node && row_at(MAP_ENTRY(node, struct fdb_row, node), version, value);
}

void fdb_rows_scan(const struct fdb_rows *r, struct bytes begin, struct bytes end, uint64_t version,
                   fdb_row_fn *fn, void *arg)
{
    struct map_node *node = map_lower_bound(&r->map, begin);
    for (; node && bytes_compare(node->key, end) < 0; node = map_next(node)) {
        struct bytes value;
        if (row_at(MAP_ENTRY(node, struct fdb_row, node), version, &value) &&
            !fn(arg, node->key, value))
            return;
    }
}

void fdb_rows_flip(struct fdb_rows *r, struct bytes key, size_t bit)
{
    struct map_node *node = map_find(&r->map, key);
    CHECK(node);
    struct fdb_row *row = MAP_ENTRY(node, struct fdb_row, node);
    struct fdb_cell *cell = LIST_ENTRY(row->cells.prev, struct fdb_cell, link);
    CHECK(!list_empty(&row->cells) && cell->present && bit / 8 < cell->len);
    cell->value[bit / 8] = (uint8_t)(cell->value[bit / 8] ^ 1u << bit % 8);
}

/* A cell is superfluous once the next one of its row is old enough; a row, once all that is left
 * is that there is none. */
void fdb_rows_trim(struct fdb_rows *r, uint64_t version)
{
    while (!list_empty(&r->recent)) {
        struct fdb_cell *cell = LIST_ENTRY(r->recent.next, struct fdb_cell, recent);
        struct fdb_row *row = cell->row;
        if (cell->version > version)
            return;
        while (row->cells.next != &cell->link)
            cell_free(r, LIST_ENTRY(row->cells.next, struct fdb_cell, link));
        list_remove(&cell->recent);
        if (!cell->present && row->cells.prev == &cell->link)
            row_free(r, row);
    }
}
