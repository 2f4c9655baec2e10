#include "base/hash128.h"

/* Odd constants with irregular bits: the golden ratio, and two of splitmix64's. */
#define MUL_LO 0x9e3779b97f4a7c15u
#define MUL_HI 0xbf58476d1ce4e5b9u
#define MUL_END 0x94d049bb133111ebu

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

struct hash128 hash128_start(void)
{
    /* The first hexadecimal digits of pi. */
    return (struct hash128){.hi = 0x243f6a8885a308d3u, .lo = 0x13198a2e03707344u};
}

void hash128_u64(struct hash128 *h, uint64_t v)
{
    /* For a given v this is a bijection of the state, so no input ever loses what came before; and
     * two inputs that differ in v leave `hi` different, whatever the next value does to `lo`. */
    uint64_t lo = (h->lo ^ v) * MUL_LO;
    lo ^= lo >> 32;
    uint64_t hi = (rotl(h->hi, 29) ^ lo) * MUL_HI;
    hi ^= hi >> 29;
    h->lo = lo + hi;
    h->hi = hi;
}

static uint64_t load_le(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static uint64_t load_le64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

void hash128_bytes(struct hash128 *h, struct bytes bytes)
{
    const uint8_t *p = bytes.data;
    size_t len = bytes.len;
    /* The length first: "ab","c" is not "a","bc", and the padding of the tail is no input. */
    hash128_u64(h, len);
    for (; len >= 8; p += 8, len -= 8)
        hash128_u64(h, load_le64(p));
    if (len)
        hash128_u64(h, load_le(p, len));
}

static uint64_t finish(uint64_t v)
{
    v = (v ^ v >> 30) * MUL_HI;
    v = (v ^ v >> 27) * MUL_END;
    return v ^ v >> 31;
}

struct hash128 hash128_value(const struct hash128 *h)
{
    uint64_t lo = finish(h->lo ^ rotl(h->hi, 32));
    uint64_t hi = finish(h->hi + lo);
    return (struct hash128){.hi = hi, .lo = lo + hi};
}

void hash128_to_text(struct hash128 h, char out[33])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[i] = digits[h.hi >> (60 - 4 * i) & 15];
        out[16 + i] = digits[h.lo >> (60 - 4 * i) & 15];
    }
    out[32] = '\0';
}
