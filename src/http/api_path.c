#include "http/api_path.h"

#include <stdio.h>

#include "kelpie/error.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One character of `raw` at *at, decoded; -1 for a malformed escape. */
static int next_char(const char *raw, size_t *at)
{
    if (raw[*at] != '%')
        return (unsigned char)raw[(*at)++];
    int high = hex_value(raw[*at + 1]);
    int low = high < 0 ? -1 : hex_value(raw[*at + 2]);
    if (low < 0)
        return -1;
    *at += 3;
    return high * 16 + low;
}

int path_parse(const char *raw, struct path *out, char *why, size_t why_size)
{
    size_t at = 0;
    out->count = 0;
    if (raw[0] == '/')
        at = 1;
    if (raw[at] == '\0')
        return 0;
    for (;;) {
        if (out->count == PATH_PARTS_MAX)
            return KELPIE_E_NOT_FOUND;
        struct path_part *part = &out->parts[out->count++];
        part->len = 0;
        while (raw[at] && raw[at] != '/') {
            int c = next_char(raw, &at);
            if (c < 0) {
                (void)snprintf(why, why_size, "the path has a malformed escape at '%.3s'",
                               raw + at);
                return KELPIE_E_INVALID;
            }
            /* One byte more than any id may have, so that a longer one is seen to be too long. */
            if (part->len < PATH_PART_MAX)
                part->text[part->len++] = (char)c;
        }
        part->text[part->len] = '\0';
        if (raw[at] == '\0')
            return 0;
        at++;
    }
}

char *path_encode(const char *text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char plain[] = "-._~";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || strchr(plain, c) != NULL;
        if (is_plain) {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
    return out;
}
