/* Memory for tests: malloc, with a count of what is still held. */
#ifndef KELPIE_TESTS_SUPPORT_TEST_MEM_H
#define KELPIE_TESTS_SUPPORT_TEST_MEM_H

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"

/* Zeroed to begin with. */
struct test_mem {
    size_t held;  /* allocations that were not released yet */
    size_t calls; /* allocations and resizes so far */
};

static inline void *test_mem_resize(void *ctx, void *ptr, size_t size)
{
    struct test_mem *t = ctx;
    CHECK(size > 0);
    void *got = realloc(ptr, size);
    CHECK(got);
    t->calls++;
    if (!ptr)
        t->held++;
    return got;
}

static inline void *test_mem_alloc(void *ctx, size_t size)
{
    return test_mem_resize(ctx, NULL, size);
}

static inline void test_mem_release(void *ctx, void *ptr)
{
    struct test_mem *t = ctx;
    if (!ptr)
        return;
    CHECK(t->held > 0);
    t->held--;
    free(ptr);
}

static inline struct mem test_mem(struct test_mem *t)
{
    static const struct mem_ops ops = {
        .alloc = test_mem_alloc,
        .resize = test_mem_resize,
        .release = test_mem_release,
    };
    return (struct mem){.ops = &ops, .ctx = t};
}

#endif
