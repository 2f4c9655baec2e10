#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#define BUF_FIRST_CAP 64

void buf_init(struct buf *b, struct mem mem)
{
    *b = (struct buf){.mem = mem};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->mem, b->data);
    buf_init(b, b->mem);
}

uint8_t *buf_reserve(struct buf *b, size_t extra)
{
    CHECK(b->len <= b->cap);
    if (extra > b->cap - b->len || !b->data) {
        CHECK(extra <= BUF_LEN_MAX - b->len);
        size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;
        while (cap < b->len + extra)
            cap *= 2;
        b->data = mem_resize(b->mem, b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    /* Growing may move the buffer away from under data that lies in it. */
    CHECK((uintptr_t)data - (uintptr_t)b->data >= b->cap);
    memcpy(buf_reserve(b, len), data, len);
    b->len += len;
}

void buf_append_bytes(struct buf *b, struct bytes bytes)
{
    buf_append(b, bytes.data, bytes.len);
}

void buf_append_u8(struct buf *b, uint8_t v)
{
    *buf_reserve(b, 1) = v;
    b->len++;
}

/* The `width` low bytes of `v`, big endian. */
static void append_be(struct buf *b, uint64_t v, size_t width)
{
    uint8_t *p = buf_reserve(b, width);
    for (size_t i = 0; i < width; i++)
        p[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    b->len += width;
}

void buf_append_u16(struct buf *b, uint16_t v)
{
    append_be(b, v, 2);
}

void buf_append_u32(struct buf *b, uint32_t v)
{
    append_be(b, v, 4);
}

void buf_append_u64(struct buf *b, uint64_t v)
{
    append_be(b, v, 8);
}

void buf_append_blob(struct buf *b, struct bytes bytes)
{
    CHECK(bytes.len <= UINT32_MAX);
    buf_append_u32(b, (uint32_t)bytes.len);
    buf_append_bytes(b, bytes);
}

void buf_appendf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    va_start(ap, fmt);
    va_copy(again, ap);
    char *p = (char *)buf_reserve(b, 1);
    size_t room = b->cap - b->len;
    int n = vsnprintf(p, room, fmt, ap);
    CHECK(n >= 0);
    if ((size_t)n >= room) {
        p = (char *)buf_reserve(b, (size_t)n + 1);
        int m = vsnprintf(p, (size_t)n + 1, fmt, again);
        CHECK(m == n);
    }
    b->len += (size_t)n;
    va_end(again);
    va_end(ap);
}

void buf_consume(struct buf *b, size_t len)
{
    CHECK(len <= b->len);
    b->len -= len;
    if (len && b->len)
        memmove(b->data, b->data + len, b->len);
}

struct reader reader_of(struct bytes bytes)
{
    return (struct reader){.rest = bytes, .ok = true};
}

struct bytes reader_raw(struct reader *r, size_t len)
{
    if (!r->ok || len > r->rest.len) {
        r->ok = false;
        return bytes_of(NULL, 0);
    }
    if (len == 0)
        return bytes_of(r->rest.data, 0);
    struct bytes taken = bytes_of(r->rest.data, len);
    r->rest = bytes_of(r->rest.data + len, r->rest.len - len);
    return taken;
}

static uint64_t reader_be(struct reader *r, size_t width)
{
    struct bytes raw = reader_raw(r, width);
    uint64_t v = 0;
    for (size_t i = 0; i < raw.len; i++)
        v = v << 8 | raw.data[i];
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)reader_be(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)reader_be(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)reader_be(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
    return reader_be(r, 8);
}

struct bytes reader_blob(struct reader *r, size_t max)
{
    size_t len = reader_u32(r);
    if (len > max)
        r->ok = false;
    return reader_raw(r, len);
}

bool reader_end(const struct reader *r)
{
    return r->ok && r->rest.len == 0;
}
