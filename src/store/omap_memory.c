#include "store/omap_memory.h"

#include "base/list.h"
#include "base/map.h"
#include "kelpie/error.h"

struct memory_row {
    struct map_node node;
    size_t value_len;
    uint8_t data[]; /* key, value */
};

enum memory_op_kind { MEMORY_PUT, MEMORY_DEL, MEMORY_DEL_RANGE };

/* A change of the open batch. The map is touched at commit only, so an abort has nothing to undo. */
struct memory_op {
    struct list link;
    enum memory_op_kind kind;
    struct memory_row *row; /* PUT: the row to be */
    struct bytes begin;
    struct bytes end;
    uint8_t data[];
};

struct omap_memory {
    struct mem mem;
    struct map rows;
    uint64_t bytes;
    uint64_t bytes_max;
    uint64_t mark;

    struct list ops;
    uint64_t ops_bytes; /* what the batch may add */
    uint64_t ops_mark;
    bool in_batch;
    bool in_read;
};

struct omap_memory *omap_memory_new(struct mem mem, uint64_t bytes_max)
{
    struct omap_memory *m = MEM_NEW(mem, struct omap_memory);
    m->mem = mem;
    m->bytes_max = bytes_max ? bytes_max : OMAP_MEMORY_BYTES_MAX;
    map_init(&m->rows);
    list_init(&m->ops);
    return m;
}

static void memory_row_remove(struct omap_memory *m, struct memory_row *row)
{
    m->bytes -= row->node.key.len + row->value_len;
    map_remove(&m->rows, &row->node);
    mem_free(m->mem, row);
}

static void memory_ops_drop(struct omap_memory *m)
{
    struct list *item;
    while ((item = list_pop(&m->ops))) {
        struct memory_op *op = LIST_ENTRY(item, struct memory_op, link);
        mem_free(m->mem, op->row);
        mem_free(m->mem, op);
    }
}

void omap_memory_free(struct omap_memory *m)
{
    if (!m)
        return;
    memory_ops_drop(m);
    struct map_node *node;
    while ((node = m->rows.root))
        memory_row_remove(m, MAP_ENTRY(node, struct memory_row, node));
    CHECK(m->bytes == 0);
    mem_free(m->mem, m);
}

size_t omap_memory_rows(const struct omap_memory *m)
{
    return m->rows.count;
}

uint64_t omap_memory_bytes(const struct omap_memory *m)
{
    return m->bytes;
}

static int memory_read_begin(void *ctx)
{
    struct omap_memory *m = ctx;
    CHECK(!m->in_batch && !m->in_read);
    m->in_read = true;
    return 0;
}

static void memory_read_end(void *ctx)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_read);
    m->in_read = false;
}

static struct bytes memory_row_value(const struct memory_row *row)
{
    return bytes_of(row->data + row->node.key.len, row->value_len);
}

static int memory_get(void *ctx, struct bytes key, struct bytes *value)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_read);
    struct memory_row *row = MAP_ENTRY(map_find(&m->rows, key), struct memory_row, node);
    if (!row)
        return 0;
    *value = memory_row_value(row);
    return 1;
}

static int memory_scan(void *ctx, struct bytes begin, struct bytes end, omap_row_fn *fn, void *arg)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_read);
    struct map_node *node = map_lower_bound(&m->rows, begin);
    for (; node && bytes_compare(node->key, end) < 0; node = map_next(node)) {
        const struct memory_row *row = MAP_ENTRY(node, struct memory_row, node);
        if (!fn(arg, node->key, memory_row_value(row)))
            break;
    }
    return 0;
}

static int memory_batch_begin(void *ctx)
{
    struct omap_memory *m = ctx;
    CHECK(!m->in_batch && !m->in_read);
    m->in_batch = true;
    m->ops_bytes = 0;
    m->ops_mark = m->mark;
    return 0;
}

static int memory_put(void *ctx, struct bytes key, struct bytes value)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_batch);
    m->ops_bytes += key.len + value.len;
    if (m->bytes + m->ops_bytes > m->bytes_max)
        return KELPIE_E_STORE_FULL;
    struct memory_row *row = mem_alloc(m->mem, sizeof(*row) + key.len + value.len);
    *row = (struct memory_row){.value_len = value.len};
    memcpy(row->data, key.data, key.len);
    if (value.len)
        memcpy(row->data + key.len, value.data, value.len);
    row->node.key = bytes_of(row->data, key.len);
    struct memory_op *op = MEM_NEW(m->mem, struct memory_op);
    op->kind = MEMORY_PUT;
    op->row = row;
    list_append(&m->ops, &op->link);
    return 0;
}

static void memory_add_del(struct omap_memory *m, enum memory_op_kind kind, struct bytes begin,
                           struct bytes end)
{
    CHECK(m->in_batch);
    struct memory_op *op = mem_alloc(m->mem, sizeof(*op) + begin.len + end.len);
    *op = (struct memory_op){.kind = kind};
    if (begin.len)
        memcpy(op->data, begin.data, begin.len);
    if (end.len)
        memcpy(op->data + begin.len, end.data, end.len);
    op->begin = bytes_of(op->data, begin.len);
    op->end = bytes_of(op->data + begin.len, end.len);
    list_append(&m->ops, &op->link);
}

static int memory_del(void *ctx, struct bytes key)
{
    memory_add_del(ctx, MEMORY_DEL, key, (struct bytes){.data = NULL});
    return 0;
}

static int memory_del_range(void *ctx, struct bytes begin, struct bytes end)
{
    memory_add_del(ctx, MEMORY_DEL_RANGE, begin, end);
    return 0;
}

static int memory_mark_put(void *ctx, uint64_t mark)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_batch);
    m->ops_mark = mark;
    return 0;
}

static void memory_apply(struct omap_memory *m, struct memory_op *op)
{
    struct map_node *node;
    switch (op->kind) {
    case MEMORY_PUT:
        node = map_find(&m->rows, op->row->node.key);
        if (node)
            memory_row_remove(m, MAP_ENTRY(node, struct memory_row, node));
        node = map_insert(&m->rows, &op->row->node, op->row->node.key);
        CHECK(!node);
        m->bytes += op->row->node.key.len + op->row->value_len;
        op->row = NULL;
        break;
    case MEMORY_DEL:
        node = map_find(&m->rows, op->begin);
        if (node)
            memory_row_remove(m, MAP_ENTRY(node, struct memory_row, node));
        break;
    case MEMORY_DEL_RANGE:
        node = map_lower_bound(&m->rows, op->begin);
        while (node && bytes_compare(node->key, op->end) < 0) {
            struct map_node *next = map_next(node);
            memory_row_remove(m, MAP_ENTRY(node, struct memory_row, node));
            node = next;
        }
        break;
    }
}

static int memory_batch_commit(void *ctx)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_batch);
    m->in_batch = false;
    LIST_FOREACH(it, &m->ops)
    memory_apply(m, LIST_ENTRY(it, struct memory_op, link));
    m->mark = m->ops_mark;
    memory_ops_drop(m);
    return 0;
}

static void memory_batch_abort(void *ctx)
{
    struct omap_memory *m = ctx;
    CHECK(m->in_batch);
    m->in_batch = false;
    memory_ops_drop(m);
}

static int memory_mark_get(void *ctx, uint64_t *mark)
{
    const struct omap_memory *m = ctx;
    *mark = m->mark;
    return 0;
}

struct omap omap_memory_map(struct omap_memory *m)
{
    static const struct omap_ops ops = {
        .read_begin = memory_read_begin,
        .read_end = memory_read_end,
        .get = memory_get,
        .scan = memory_scan,
        .batch_begin = memory_batch_begin,
        .put = memory_put,
        .del = memory_del,
        .del_range = memory_del_range,
        .mark_put = memory_mark_put,
        .batch_commit = memory_batch_commit,
        .batch_abort = memory_batch_abort,
        .mark_get = memory_mark_get,
    };
    return (struct omap){.ops = &ops, .ctx = m};
}
