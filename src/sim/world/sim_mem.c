#include "sim/world/sim_mem.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

struct block {
    alignas(max_align_t) struct list link;
    size_t size;
};

/* The code goes on as if there were memory, up to the end of its step; but none of it counts: the
 * process ended here. */
static void count_down(struct sim_mem *m)
{
    if (m->fails_in > 0 && --m->fails_in == 0)
        m->failed = true;
}

static void *sim_alloc(void *ctx, size_t size)
{
    struct sim_mem *m = ctx;
    struct block *b = malloc(sizeof *b + size);

    CHECK(b);
    count_down(m);
    b->size = size;
    list_append(&m->blocks, &b->link);
    m->count++;
    m->bytes += size;
    return b + 1;
}

static void sim_release(void *ctx, void *ptr)
{
    struct sim_mem *m = ctx;
    if (!ptr)
        return;
    struct block *b = (struct block *)ptr - 1;
    CHECK(m->count > 0);
    list_remove(&b->link);
    m->count--;
    m->bytes -= b->size;
    free(b);
}

static void *sim_resize(void *ctx, void *ptr, size_t size)
{
    struct sim_mem *m = ctx;
    if (!ptr)
        return sim_alloc(ctx, size);
    struct block *b = (struct block *)ptr - 1;
    count_down(m);
    list_remove(&b->link);
    m->bytes -= b->size;
    b = realloc(b, sizeof *b + size);
    CHECK(b);
    b->size = size;
    m->bytes += size;
    list_append(&m->blocks, &b->link);
    return b + 1;
}

static const struct mem_ops sim_mem_ops = {
    .alloc = sim_alloc,
    .resize = sim_resize,
    .release = sim_release,
};

void sim_mem_init(struct sim_mem *m)
{
    *m = (struct sim_mem){0};
    list_init(&m->blocks);
}

struct mem sim_mem_of(struct sim_mem *m)
{
    return (struct mem){.ops = &sim_mem_ops, .ctx = m};
}

void sim_mem_free_all(struct sim_mem *m)
{
    struct list *item;
    while ((item = list_pop(&m->blocks)))
        free(LIST_ENTRY(item, struct block, link));
    sim_mem_init(m);
}
