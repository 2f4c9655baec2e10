#include "base/printable.h"

#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"

const char *printable(const char *s, char *out, size_t size)
{
    struct bytes rest = bytes_of_str(s);
    size_t len = 0;
    CHECK(size > 0);
    while (rest.len > 0) {
        size_t n = utf8_char_len(rest), taken = n ? n : 1;
        bool plain = n > 0 && !utf8_steers(rest, n);
        size_t need = plain ? taken : PRINTABLE_FACTOR * taken;
        if (len + need + 1 > size)
            break;
        if (plain)
            memcpy(out + len, rest.data, taken);
        for (size_t i = 0; !plain && i < taken; i++)
            (void)snprintf(out + len + PRINTABLE_FACTOR * i, PRINTABLE_FACTOR + 1, "\\x%02x",
                           rest.data[i]);
        len += need;
        rest = bytes_of(rest.data + taken, rest.len - taken);
    }
    out[len] = '\0';
    return out;
}
