#include "base/uuid.h"

#include "kelpie/error.h"

bool uuid_is_zero(struct uuid u)
{
    return uuid_equal(u, (struct uuid){{0}});
}

/* Where the text has a dash: after the bytes 4, 6, 8 and 10. */
static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_to_text(struct uuid u, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out;
    for (size_t i = 0; i < sizeof(u.b); i++) {
        if (dash_before(i))
            *p++ = '-';
        *p++ = digits[u.b[i] >> 4];
        *p++ = digits[u.b[i] & 15];
    }
    *p = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int uuid_from_text(const char *s, struct uuid *out)
{
    struct uuid u;
    for (size_t i = 0; i < sizeof(u.b); i++) {
        if (dash_before(i) && *s++ != '-')
            return KELPIE_E_INVALID;
        /* The first test fails at the NUL of a short text, so nothing after it is read. */
        int hi = digit_value(s[0]);
        if (hi < 0)
            return KELPIE_E_INVALID;
        int lo = digit_value(s[1]);
        if (lo < 0)
            return KELPIE_E_INVALID;
        u.b[i] = (uint8_t)(hi << 4 | lo);
        s += 2;
    }
    if (*s != '\0')
        return KELPIE_E_INVALID;
    *out = u;
    return 0;
}
