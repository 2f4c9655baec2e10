/* A growable byte buffer with a bound. */
#ifndef KELPIE_BASE_BUF_H
#define KELPIE_BASE_BUF_H

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"

/* A buffer holds at most this much. Whoever fills one from outside has a bound of its own, far
 * below, and an error for it; reaching this one is a bug and asserts. */
#define BUF_LEN_MAX ((size_t)1 << 30)

struct buf {
    struct mem mem;
    uint8_t *data;
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b, struct mem mem);
/* Frees the memory; the buffer may be used again (empty). */
void buf_deinit(struct buf *b);
/* Empties it, keeps the memory. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}
/* Room for `extra` bytes more; returns where they begin (never NULL). Does not change len. What
 * was in the buffer may move. */
uint8_t *buf_reserve(struct buf *b, size_t extra);
/* `data` is not part of this buffer. */
void buf_append(struct buf *b, const void *data, size_t len);
void buf_append_bytes(struct buf *b, struct bytes bytes);
void buf_append_u8(struct buf *b, uint8_t v);
/* Big endian. */
void buf_append_u16(struct buf *b, uint16_t v);
void buf_append_u32(struct buf *b, uint32_t v);
void buf_append_u64(struct buf *b, uint64_t v);
/* u32 length, then the bytes. */
void buf_append_blob(struct buf *b, struct bytes bytes);
void buf_appendf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Removes the first `len` bytes (len <= b->len). */
void buf_consume(struct buf *b, size_t len);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data, b->len);
}

/* Reads what buf_append_* wrote, from bytes that nobody vouches for. After the first short or
 * wrong read `ok` is false, every further read returns 0 or empty, so one check at the end does. */
struct reader {
    struct bytes rest;
    bool ok;
};
struct reader reader_of(struct bytes bytes);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* `len` raw bytes, borrowed from the input. */
struct bytes reader_raw(struct reader *r, size_t len);
/* A blob of at most `max` bytes, borrowed from the input. */
struct bytes reader_blob(struct reader *r, size_t max);
/* True when everything was read and nothing is left. */
bool reader_end(const struct reader *r);

#endif
