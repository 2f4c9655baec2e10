/*
 * Memory as an interface: the simulator counts, limits and reclaims what each node holds.
 *
 * Allocation never returns NULL. A backend that has no memory left does not return: production
 * logs and ends the process (the supervisor starts it again), the simulator ends that node.
 * Every structure that can grow has a named bound, so running out is a broken machine and not a
 * load (docs/adr/0004).
 */
#ifndef KELPIE_BASE_MEM_H
#define KELPIE_BASE_MEM_H

#include <stddef.h>

struct mem_ops {
    /* Returns `size` bytes, not zeroed; `size` > 0. */
    void *(*alloc)(void *ctx, size_t size);
    /* Like realloc: `ptr` may be NULL, `size` > 0. */
    void *(*resize)(void *ctx, void *ptr, size_t size);
    /* `ptr` may be NULL. */
    void (*release)(void *ctx, void *ptr);
};

/* A small value; copied freely. */
struct mem {
    const struct mem_ops *ops;
    void *ctx;
};

/* All of these take a size of 0 and still return a pointer that is not NULL, to be freed. */
void *mem_alloc(struct mem mem, size_t size);
/* Zeroed. Asserts that count * size does not overflow. */
void *mem_zalloc(struct mem mem, size_t count, size_t size);
void *mem_resize(struct mem mem, void *ptr, size_t size);
/* `ptr` may be NULL. */
void mem_free(struct mem mem, void *ptr);
/* A NUL-terminated copy of `len` bytes. */
char *mem_strndup(struct mem mem, const char *s, size_t len);
void *mem_dup(struct mem mem, const void *data, size_t len);

#define MEM_NEW(mem, type) ((type *)mem_zalloc((mem), 1, sizeof(type)))
#define MEM_NEW_ARRAY(mem, type, count) ((type *)mem_zalloc((mem), (count), sizeof(type)))

#endif
