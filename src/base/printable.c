#include "base/printable.h"

#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"

/* Characters of two and three bytes that do not show but act. */
static bool steers(const unsigned char *c, size_t len)
{
    if (len == 2)
        return c[0] == 0xc2 && c[1] < 0xa0; /* U+0080 to U+009F: the second set of controls */
    if (len != 3 || c[0] != 0xe2)
        return false;
    bool lines = c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9);
    bool marks = c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f);
    bool embeds = c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae;
    bool isolates = c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
    return lines || marks || embeds || isolates;
}

const char *printable(const char *s, char *out, size_t size)
{
    struct bytes rest = bytes_of_str(s);
    size_t len = 0;
    CHECK(size > 0);
    while (rest.len > 0) {
        size_t n = utf8_char_len(rest), taken = n ? n : 1;
        bool plain = n > 0 && rest.data[0] >= ' ' && rest.data[0] != 0x7f && !steers(rest.data, n);
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
