#include "base/utf8.h"

/* What a first byte says: the length, and the range of the second byte. All the others are
 * 0x80..0xbf. */
struct lead {
    size_t len;
    uint8_t second_min;
    uint8_t second_max;
};

static struct lead lead_of(uint8_t c)
{
    if (c < 0x80)
        return (struct lead){1, 0, 0};
    if (c < 0xc2) /* a continuation byte, or an overlong form of ASCII */
        return (struct lead){0, 0, 0};
    if (c < 0xe0)
        return (struct lead){2, 0x80, 0xbf};
    if (c == 0xe0) /* below 0xa0: overlong */
        return (struct lead){3, 0xa0, 0xbf};
    if (c == 0xed) /* from 0xa0: surrogates */
        return (struct lead){3, 0x80, 0x9f};
    if (c < 0xf0)
        return (struct lead){3, 0x80, 0xbf};
    if (c == 0xf0) /* below 0x90: overlong */
        return (struct lead){4, 0x90, 0xbf};
    if (c < 0xf4)
        return (struct lead){4, 0x80, 0xbf};
    if (c == 0xf4) /* from 0x90: above U+10FFFF */
        return (struct lead){4, 0x80, 0x8f};
    return (struct lead){0, 0, 0};
}

size_t utf8_char_len(struct bytes s)
{
    if (s.len == 0)
        return 0;
    struct lead lead = lead_of(s.data[0]);
    if (lead.len > s.len)
        return 0;
    if (lead.len >= 2 && (s.data[1] < lead.second_min || s.data[1] > lead.second_max))
        return 0;
    for (size_t i = 2; i < lead.len; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
    }
    return lead.len;
}

bool utf8_valid(struct bytes s)
{
    while (s.len > 0) {
        size_t n = utf8_char_len(s);
        if (n == 0 || s.data[0] == 0)
            return false;
        s = bytes_of(s.data + n, s.len - n);
    }
    return true;
}

bool utf8_steers(struct bytes s, size_t len)
{
    const uint8_t *c = s.data;
    if (len == 1)
        return c[0] < ' ' || c[0] == 0x7f;
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
