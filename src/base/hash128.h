/* A running 128-bit hash (not cryptographic), for traces and views: same input, same value on
 * every machine and compiler. */
#ifndef KELPIE_BASE_HASH128_H
#define KELPIE_BASE_HASH128_H

#include "base/bytes.h"

struct hash128 {
    uint64_t hi;
    uint64_t lo;
};

struct hash128 hash128_start(void);
void hash128_u64(struct hash128 *h, uint64_t v);
/* The length counts too: "ab" then "c" is not "a" then "bc". */
void hash128_bytes(struct hash128 *h, struct bytes bytes);
/* The value with its last mixing applied; `h` goes on unchanged. */
struct hash128 hash128_value(const struct hash128 *h);
/* 32 lower-case hexadecimal digits and a NUL. */
void hash128_to_text(struct hash128 h, char out[33]);

#endif
