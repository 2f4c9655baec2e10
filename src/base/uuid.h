/* 128-bit random identities: boot ids, cluster ids, request ids made by a client library. */
#ifndef KELPIE_BASE_UUID_H
#define KELPIE_BASE_UUID_H

#include "base/bytes.h"
#include "base/check.h"

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_SIZE 37

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, 16) == 0;
}
bool uuid_is_zero(struct uuid u);
/* 8-4-4-4-12 lower-case hexadecimal digits and a NUL. */
void uuid_to_text(struct uuid u, char out[UUID_TEXT_SIZE]);
/* Returns 0, or KELPIE_E_INVALID for anything but that form. */
int uuid_from_text(const char *s, struct uuid *out) MUST_USE;

#endif
