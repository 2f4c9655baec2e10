/* The fields of a line: `key=value` with blanks between. Every value is quoted here, if it needs it. */
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "base/utf8.h"

#define SPEC_SIZE 24

struct writer {
    char *out;
    size_t size, len;
    bool full;

    /* The value that is being put together, in case it has to be quoted. */
    bool in_value, in_quotes, was_quoted;
    char value[LOG_LINE_MAX];
    size_t value_len;

    va_list args;
};

/* The length of `s` cut to at most `max` bytes, at the end of a whole character. */
static size_t cut_len(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t end = max;
    while (end > 0 && max - end < 3 && ((unsigned char)s[end] & 0xc0) == 0x80)
        end--;
    return end;
}

/* ---- quoting ---- */

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
    if (n == 0 || utf8_steers(s, n)) { /* byte by byte: the rest of it is no character */
        *out_len = (size_t)snprintf(out, 5, "\\x%02x", c);
        return 1;
    }
    memcpy(out, s.data, n);
    *out_len = n;
    return n;
}

static size_t quote(struct bytes rest, char *out, size_t out_size)
{
    CHECK(out_size >= 3);
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
    return len;
}

const char *log_quote(const char *s, char *out, unsigned long out_size)
{
    (void)quote(bytes_of_str(s), out, out_size);
    return out;
}

/* Nothing in it could be taken for anything else. */
static bool is_plain(struct bytes s)
{
    char quoted[5];
    size_t quoted_len, n;
    if (s.len == 0)
        return false;
    for (; s.len > 0; s = bytes_of(s.data + n, s.len - n)) {
        n = quote_char(s, quoted, &quoted_len);
        if (n != quoted_len || s.data[0] == ' ' || s.data[0] == '=')
            return false;
    }
    return true;
}

/* It is what log_quote() writes. */
static bool is_quoted(struct bytes s)
{
    if (s.len < 2 || s.data[0] != '"' || s.data[s.len - 1] != '"')
        return false;
    for (size_t i = 1; i < s.len - 1;) {
        char quoted[5];
        size_t quoted_len, n = quote_char(bytes_of(s.data + i, s.len - i), quoted, &quoted_len);
        if (s.data[i] == '\\' && i + 2 < s.len && strchr("\"\\x", s.data[i + 1]))
            i += 2;
        else if (n != quoted_len)
            return false;
        else
            i += n;
    }
    return true;
}

/* ---- writing ---- */

static void put(struct writer *w, const char *s, size_t len)
{
    size_t room = w->size - 1 - w->len;
    size_t n = w->full ? 0 : cut_len(s, len, room);
    memcpy(w->out + w->len, s, n);
    /* A line stays one line. */
    for (char *p = w->out + w->len; p < w->out + w->len + n; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    w->len += n;
    w->full = w->full || n < len;
}

static void add(struct writer *w, const char *s, size_t len)
{
    if (!w->in_value) {
        put(w, s, len);
        return;
    }
    size_t n = cut_len(s, len, sizeof(w->value) - w->value_len);
    memcpy(w->value + w->value_len, s, n);
    w->value_len += n;
}

static void end_value(struct writer *w)
{
    struct bytes value = bytes_of(w->value, w->value_len);
    size_t room = w->size - w->len;
    if (!w->in_value)
        return;
    w->in_value = false;
    if (!w->was_quoted && (is_plain(value) || (is_quoted(value) && value.len < room)))
        put(w, w->value, w->value_len);
    else if (!w->full && room >= 3)
        w->len += quote(value, w->out + w->len, room);
}

/* What the format itself says. */
static void add_literal(struct writer *w, char c)
{
    if (c == '"' && w->in_value) {
        w->in_quotes = !w->in_quotes;
        w->was_quoted = true;
        return;
    }
    if (c == ' ' && !w->in_quotes)
        end_value(w);
    add(w, &c, 1);
    if (c == '=' && !w->in_value) {
        w->in_value = true;
        w->was_quoted = false;
        w->value_len = 0;
    }
}

/* ---- conversions ---- */

struct spec {
    char text[SPEC_SIZE]; /* with the width in digits, for snprintf */
    size_t len;
    int precision; /* of %s; -1: none */
    int longs;     /* 0 int, 1 long, 2 long long, 3 size_t; intmax_t and ptrdiff_t are not used */
    char kind;
};

static void spec_add(struct spec *s, char c)
{
    CHECK(s->len + 1 < sizeof(s->text));
    s->text[s->len++] = c;
    s->text[s->len] = '\0';
}

/* Reads "%…d" at `fmt`; returns what follows. */
static const char *spec_read(struct writer *w, struct spec *s, const char *fmt)
{
    memset(s, 0, sizeof(*s));
    s->precision = -1;
    spec_add(s, *fmt++);
    for (; *fmt && strchr("-+ #0123456789.*hlz", *fmt); fmt++) {
        if (*fmt == '*') {
            s->precision = va_arg(w->args, int);
            s->len +=
                (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%d", s->precision);
            CHECK(s->len < sizeof(s->text));
            continue;
        }
        if (*fmt == '.' && fmt[1] >= '0' && fmt[1] <= '9') {
            s->precision = 0;
            for (const char *d = fmt + 1; *d >= '0' && *d <= '9'; d++)
                s->precision = s->precision * 10 + (*d - '0');
        }
        if (*fmt == 'l')
            s->longs++;
        if (*fmt == 'z')
            s->longs = 3;
        spec_add(s, *fmt);
    }
    s->kind = *fmt;
    spec_add(s, *fmt);
    return fmt + 1;
}

static void add_text(struct writer *w, const struct spec *s)
{
    const char *text = va_arg(w->args, const char *);
    size_t len = 0, max = s->precision >= 0 ? (size_t)s->precision : 4 * (size_t)LOG_LINE_MAX;
    while (len < max && text[len])
        len++;
    add(w, text, len);
}

static int format_number(struct writer *w, const struct spec *s, char *out, size_t size)
{
    bool is_signed = s->kind == 'd' || s->kind == 'i';
    if (s->kind == 'f' || s->kind == 'g' || s->kind == 'e')
        return snprintf(out, size, s->text, va_arg(w->args, double));
    if (s->kind == 'p')
        return snprintf(out, size, s->text, va_arg(w->args, void *));
    CHECK(is_signed || s->kind == 'c' || s->kind == 'u' || s->kind == 'x' || s->kind == 'X');
    switch (s->longs) {
    case 0:
        return is_signed ? snprintf(out, size, s->text, va_arg(w->args, int))
                         : snprintf(out, size, s->text, va_arg(w->args, unsigned));
    case 1:
        return is_signed ? snprintf(out, size, s->text, va_arg(w->args, long))
                         : snprintf(out, size, s->text, va_arg(w->args, unsigned long));
    case 2:
        return is_signed ? snprintf(out, size, s->text, va_arg(w->args, long long))
                         : snprintf(out, size, s->text, va_arg(w->args, unsigned long long));
    default:
        return snprintf(out, size, s->text, va_arg(w->args, size_t));
    }
}

void log_vfields(char *out, unsigned long out_size, const char *fmt, va_list args)
{
    struct writer w = {.out = out, .size = out_size};
    CHECK(out_size > 0);
    va_copy(w.args, args);
    while (*fmt) {
        struct spec spec;
        char number[400]; /* a double in %f */
        if (*fmt != '%' || fmt[1] == '%') {
            fmt += *fmt == '%';
            add_literal(&w, *fmt++);
            continue;
        }
        fmt = spec_read(&w, &spec, fmt);
        if (spec.kind == 's') {
            add_text(&w, &spec);
            continue;
        }
        int n = format_number(&w, &spec, number, sizeof(number));
        CHECK(n >= 0 && (size_t)n < sizeof(number));
        add(&w, number, (size_t)n);
    }
    end_value(&w);
    va_end(w.args);
    out[w.len] = '\0';
}

/* ---- reading ---- */

bool log_field_next(const char **at, struct log_field *f)
{
    const char *s = *at + strspn(*at, " ");
    if (!*s)
        return false;
    f->key = s;
    f->key_len = strcspn(s, "= ");
    s += f->key_len;
    f->value = s;
    f->value_len = 0;
    if (*s == '=') {
        f->value = ++s;
        if (*s == '"') {
            for (s++; *s && *s != '"'; s++)
                s += *s == '\\' && s[1];
            s += *s == '"';
        } else {
            s += strcspn(s, " ");
        }
        f->value_len = (size_t)(s - f->value);
    }
    *at = s;
    return true;
}

bool log_key_twice(const char *fields)
{
    struct log_field f, g;
    for (const char *at = fields; log_field_next(&at, &f);) {
        for (const char *rest = at; log_field_next(&rest, &g);)
            if (f.key_len == g.key_len && memcmp(f.key, g.key, f.key_len) == 0)
                return true;
    }
    return false;
}
