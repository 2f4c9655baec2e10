#include "http/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buf *out, struct bytes data)
{
    for (size_t i = 0; i < data.len; i += 3) {
        size_t n = data.len - i < 3 ? data.len - i : 3;
        uint32_t v = (uint32_t)data.data[i] << 16;
        if (n > 1)
            v |= (uint32_t)data.data[i + 1] << 8;
        if (n > 2)
            v |= data.data[i + 2];
        for (unsigned k = 0; k < 4; k++)
            buf_append_u8(out, k <= n ? (uint8_t)digits[v >> (18 - 6 * k) & 63u] : '=');
    }
}

static int digit(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

long base64_decode(const char *text, size_t len, uint8_t *out)
{
    long size = 0;

    if (len % 4)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        unsigned n = 4;
        uint32_t v = 0;
        while (i + 4 == len && n > 2 && text[i + n - 1] == '=')
            n--;
        for (unsigned k = 0; k < n; k++) {
            int d = digit(text[i + k]);
            if (d < 0)
                return -1;
            v |= (uint32_t)d << (18 - 6 * k);
        }
        if (n < 4 && v & (n == 2 ? 0xffffu : 0xffu))
            return -1; /* other text for the same bytes */
        for (unsigned k = 0; k + 1 < n; k++)
            out[size++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return size;
}
