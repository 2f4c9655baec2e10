#include "store/heap_mem.h"

#include <stdlib.h>

#include "base/check.h"

static long blocks;

static void *heap_alloc(void *ctx, size_t size)
{
    (void)ctx;
    void *p = malloc(size);
    CHECK(p);
    blocks++;
    return p;
}

static void *heap_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    if (!ptr)
        blocks++;
    void *p = realloc(ptr, size);
    CHECK(p);
    return p;
}

static void heap_release(void *ctx, void *ptr)
{
    (void)ctx;
    if (ptr)
        blocks--;
    free(ptr);
}

struct mem test_mem(void)
{
    static const struct mem_ops ops = {heap_alloc, heap_resize, heap_release};
    return (struct mem){.ops = &ops};
}

long test_mem_used(void)
{
    return blocks;
}
