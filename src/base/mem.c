#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"

void *mem_alloc(struct mem mem, size_t size)
{
    return mem_resize(mem, NULL, size);
}

void *mem_zalloc(struct mem mem, size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / size);
    void *ptr = mem_alloc(mem, count * size);
    memset(ptr, 0, count * size);
    return ptr;
}

void *mem_resize(struct mem mem, void *ptr, size_t size)
{
    CHECK(mem.ops);
    /* A backend never sees 0, so nobody has to know what that would mean there. */
    size_t asked = size ? size : 1;
    void *got = ptr ? mem.ops->resize(mem.ctx, ptr, asked) : mem.ops->alloc(mem.ctx, asked);
    CHECK(got);
    return got;
}

void mem_free(struct mem mem, void *ptr)
{
    if (!ptr)
        return;
    CHECK(mem.ops);
    mem.ops->release(mem.ctx, ptr);
}

char *mem_strndup(struct mem mem, const char *s, size_t len)
{
    CHECK(len < SIZE_MAX);
    char *copy = mem_alloc(mem, len + 1);
    if (len)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void *mem_dup(struct mem mem, const void *data, size_t len)
{
    void *copy = mem_alloc(mem, len);
    if (len)
        memcpy(copy, data, len);
    return copy;
}
