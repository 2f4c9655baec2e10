#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* A number of at most so many digits is one in JSON too; a longer one would lose digits there. */
#define JSON_DIGITS_MAX 15
#define TEXT_MAX (LOG_TEXT_MAX - 1) /* and the newline */

struct text {
    char *data;
    size_t len;
};

static const char *const own_keys[] = {"time", "level", "node", "program", "event"};

static void add(struct text *t, const char *s, size_t len)
{
    if (len > TEXT_MAX - t->len)
        len = TEXT_MAX - t->len;
    memcpy(t->data + t->len, s, len);
    t->len += len;
}

static void add_str(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

/* Days since 1970-01-01 as a date of the Gregorian calendar: years begin in March here, so that a leap
 * day is the last of one. */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t shifted = days + 719468; /* from 0000-03-01 */
    uint64_t era = shifted / 146097, of_era = shifted % 146097;
    uint64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    uint64_t m = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
    *month = (unsigned)(m < 10 ? m + 3 : m - 9);
    *year = (unsigned)(y + 400 * era + (*month <= 2));
}

static void add_time(struct text *t, uint64_t wall_ms)
{
    unsigned year, month, day, s = (unsigned)(wall_ms / 1000 % 86400);
    char out[64];

    civil(wall_ms / 86400000, &year, &month, &day);
    (void)snprintf(out, sizeof out, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day,
                   s / 3600, s / 60 % 60, s % 60, (unsigned)(wall_ms % 1000));
    add_str(t, out);
}

static const char *prefix_of(const struct log_field *f)
{
    for (size_t i = 0; i < ARRAY_LEN(own_keys); i++)
        if (strlen(own_keys[i]) == f->key_len && memcmp(own_keys[i], f->key, f->key_len) == 0)
            return "of_";
    return "";
}

/* ---- text ---- */

static void add_text_pair(struct text *t, const char *key, const char *value)
{
    char quoted[600];
    bool is_plain;

    (void)log_quote(value, quoted, sizeof quoted);
    is_plain = value[0] && value[strcspn(value, " =")] == '\0' &&
               strlen(quoted) == strlen(value) + 2; /* nothing had to be escaped */
    add_str(t, " ");
    add_str(t, key);
    add_str(t, "=");
    add_str(t, is_plain ? value : quoted);
}

static void text_line(struct text *t, const struct log_origin *from, uint64_t wall_ms,
                      const char *level, const char *event, const char *fields)
{
    struct log_field f;

    if (wall_ms) {
        add_time(t, wall_ms);
        add_str(t, " ");
    }
    add_str(t, "level=");
    add_str(t, level);
    if (from->node_id[0])
        add_text_pair(t, "node", from->node_id);
    if (from->program)
        add_text_pair(t, "program", from->program);
    add_str(t, " event=");
    add_str(t, event);
    for (const char *at = fields; log_field_next(&at, &f);) {
        add_str(t, " ");
        add_str(t, prefix_of(&f));
        add(t, f.key, (size_t)(at - f.key));
    }
}

/* ---- JSON ---- */

static void add_json_char(struct text *t, unsigned char c)
{
    char escaped[8];

    if (c == '"' || c == '\\') {
        (void)snprintf(escaped, sizeof escaped, "\\%c", c);
        add_str(t, escaped);
    } else if (c < ' ' || c == 0x7f) {
        (void)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
        add_str(t, escaped);
    } else {
        add(t, (const char *)&c, 1);
    }
}

/* A character of two or three bytes. */
static void add_json_escape(struct text *t, struct bytes s, size_t len)
{
    unsigned code = len == 2
                        ? (s.data[0] & 0x1fu) << 6 | (s.data[1] & 0x3fu)
                        : (s.data[0] & 0xfu) << 12 | (s.data[1] & 0x3fu) << 6 | (s.data[2] & 0x3fu);
    char escaped[8];

    (void)snprintf(escaped, sizeof escaped, "\\u%04x", code & 0xffffu);
    add_str(t, escaped);
}

/* The character at `s`, which is not empty; returns its length. JSON is UTF-8: what is not, shows
 * as a question mark. */
static size_t add_json_next(struct text *t, struct bytes s)
{
    size_t n = utf8_char_len(s);

    if (n > 1 && utf8_steers(s, n))
        add_json_escape(t, s, n);
    else if (n > 1)
        add(t, (const char *)s.data, n);
    else
        add_json_char(t, n ? s.data[0] : '?');
    return n ? n : 1;
}

static void add_json_str(struct text *t, const char *s, size_t len)
{
    add_str(t, "\"");
    for (size_t i = 0; i < len;)
        i += add_json_next(t, bytes_of(s + i, len - i));
    add_str(t, "\"");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What log_quote() wrote, from after the opening quote; returns where it ends. A byte that was not
 * text is shown as it was in the log, \xNN, since JSON has no bytes. */
static const char *add_json_quoted(struct text *t, const char *s)
{
    add_str(t, "\"");
    while (*s && *s != '"') {
        if (s[0] == '\\' && (s[1] == '"' || s[1] == '\\')) {
            add_json_char(t, (unsigned char)s[1]);
            s += 2;
        } else if (s[0] == '\\' && s[1] == 'x' && hex_digit(s[2]) >= 0 && hex_digit(s[3]) >= 0) {
            int byte = hex_digit(s[2]) * 16 + hex_digit(s[3]);

            if (byte < 0x80) {
                add_json_char(t, (unsigned char)byte);
            } else {
                add_json_char(t, '\\');
                add(t, s + 1, 3);
            }
            s += 4;
        } else {
            s += add_json_next(t, bytes_of_str(s));
        }
    }
    add_str(t, "\"");
    return *s ? s + 1 : s;
}

static size_t digits(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

static bool is_json_number(const char *s, size_t len)
{
    size_t whole, fraction;

    if (len && *s == '-') {
        s++;
        len--;
    }
    whole = digits(s, len);
    if (whole == 0 || whole > JSON_DIGITS_MAX || (whole > 1 && *s == '0'))
        return false;
    if (whole == len)
        return true;
    fraction = digits(s + whole + 1, len - whole - 1);
    return s[whole] == '.' && fraction > 0 && fraction <= JSON_DIGITS_MAX &&
           whole + 1 + fraction == len;
}

static bool is_json_word(const char *s, size_t len)
{
    return (len == 4 && memcmp(s, "true", 4) == 0) || (len == 5 && memcmp(s, "false", 5) == 0);
}

static const char *add_json_value(struct text *t, const char *s)
{
    size_t len;

    if (*s == '"')
        return add_json_quoted(t, s + 1);
    len = strcspn(s, " ");
    if (is_json_number(s, len) || is_json_word(s, len))
        add(t, s, len);
    else
        add_json_str(t, s, len);
    return s + len;
}

/* A word without '=' becomes a key that is true. */
static void add_json_fields(struct text *t, const char *fields)
{
    struct log_field f;

    for (const char *at = fields; log_field_next(&at, &f);) {
        add_str(t, ",\"");
        add_str(t, prefix_of(&f));
        for (size_t i = 0; i < f.key_len;)
            i += add_json_next(t, bytes_of(f.key + i, f.key_len - i));
        add_str(t, "\":");
        if (f.key[f.key_len] == '=')
            (void)add_json_value(t, f.value);
        else
            add_str(t, "true");
    }
}

static void add_json_pair(struct text *t, const char *key, const char *value)
{
    add_str(t, "\"");
    add_str(t, key);
    add_str(t, "\":");
    add_json_str(t, value, strlen(value));
    add_str(t, ",");
}

static void json_line(struct text *t, const struct log_origin *from, uint64_t wall_ms,
                      const char *level, const char *event, const char *fields)
{
    add_str(t, "{");
    if (wall_ms) {
        add_str(t, "\"time\":\"");
        add_time(t, wall_ms);
        add_str(t, "\",");
    }
    add_json_pair(t, "level", level);
    if (from->node_id[0])
        add_json_pair(t, "node", from->node_id);
    if (from->program)
        add_json_pair(t, "program", from->program);
    add_str(t, "\"event\":");
    add_json_str(t, event, strlen(event));
    add_json_fields(t, fields);
    add_str(t, "}");
}

size_t log_line(const struct log_origin *from, uint64_t wall_ms, enum log_level level,
                const char *event, const char *fields, char *out)
{
    struct text t = {.data = out};

    (from->json ? json_line : text_line)(&t, from, wall_ms, log_level_name(level), event, fields);
    out[t.len] = '\n';
    return t.len + 1;
}
