/* Borrowed byte ranges. A `struct bytes` owns nothing; who made it says how long it lives. */
#ifndef KELPIE_BASE_BYTES_H
#define KELPIE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){.data = data, .len = len};
}

/* The bytes of a NUL-terminated string, without the NUL. */
static inline struct bytes bytes_of_str(const char *s)
{
    return bytes_of(s, strlen(s));
}

/* Lexicographic order, shorter first: the order of keys in every store. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    if (c)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && bytes_compare(a, b) == 0;
}

static inline bool bytes_start_with(struct bytes a, struct bytes prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}

#endif
