#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    CHECK((unsigned)level < sizeof(names) / sizeof(names[0]));
    return names[level];
}

/* The length of `s` cut to at most `max` bytes, at the end of a whole character. */
static size_t cut_len(const char *s, size_t max)
{
    size_t len = 0;
    while (len < max && s[len])
        len++;
    if (s[len] == '\0')
        return len;
    size_t end = len;
    while (end > 0 && len - end < 3 && ((unsigned char)s[end] & 0xc0) == 0x80)
        end--;
    return end;
}

void log_event(const struct log *log, enum log_level level, const char *event, const char *fmt, ...)
{
    if (!log->ops || level < log->min)
        return;
    /* One byte more than a line, so that the cut sees how the character at the end begins. */
    char fields[LOG_LINE_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(fields, sizeof(fields), fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    fields[cut_len(fields, LOG_LINE_MAX - 1)] = '\0';
    /* A line stays one line, whatever was given with a plain %s. */
    for (char *p = fields; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
    log->ops->write(log->ctx, level, event, fields);
}

/* Writes the escaped form of the character at `s` to `out` (at least 5 bytes) and its length to
 * `out_len`; returns how many bytes of `s` it stands for. */
static size_t quote_char(struct bytes s, char *out, size_t *out_len)
{
    uint8_t c = s.data[0];
    size_t n = utf8_char_len(s);
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        *out_len = 2;
        return 1;
    }
    if (c < ' ' || c == 0x7f || n == 0) {
        *out_len = (size_t)snprintf(out, 5, "\\x%02x", c);
        return 1;
    }
    memcpy(out, s.data, n);
    *out_len = n;
    return n;
}

const char *log_quote(const char *s, char *out, unsigned long out_size)
{
    CHECK(out_size >= 3);
    struct bytes rest = bytes_of_str(s);
    size_t len = 0;
    out[len++] = '"';
    while (rest.len > 0) {
        char quoted[5];
        size_t quoted_len;
        size_t n = quote_char(rest, quoted, &quoted_len);
        if (len + quoted_len + 2 > out_size)
            break;
        memcpy(out + len, quoted, quoted_len);
        len += quoted_len;
        rest = bytes_of(rest.data + n, rest.len - n);
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}
