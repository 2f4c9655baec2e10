#include "loop/logsink.h"

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

/* A line of LOG_LINE_MAX bytes, each of which JSON may write as six, and what stands before it. */
#define TEXT_MAX (6 * LOG_LINE_MAX + 1024)
/* A number of at most so many digits is one in JSON too; a longer one would lose digits there. */
#define JSON_DIGITS_MAX 15

struct text {
    char data[TEXT_MAX];
    size_t len;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void add(struct text *t, const char *s, size_t len)
{
    if (len > sizeof t->data - t->len)
        len = sizeof t->data - t->len;
    memcpy(t->data + t->len, s, len);
    t->len += len;
}

static void add_str(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

static void add_time(struct text *t)
{
    struct timespec ts = {0};
    struct tm tm = {0};
    char out[64];

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    (void)snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(ts.tv_nsec / 1000000));
    add_str(t, out);
}

/* ---- text ---- */

static void add_text_value(struct text *t, const char *value)
{
    char quoted[512];

    if (value[strcspn(value, " \"\\=")] == '\0')
        add_str(t, value);
    else
        add_str(t, log_quote(value, quoted, sizeof quoted));
}

static void text_line(struct text *t, const struct logsink *sink, const char *level,
                      const char *event, const char *fields)
{
    add_time(t);
    add_str(t, " level=");
    add_str(t, level);
    if (sink->node_id[0]) {
        add_str(t, " node=");
        add_text_value(t, sink->node_id);
    } else if (sink->program) {
        add_str(t, " program=");
        add_text_value(t, sink->program);
    }
    add_str(t, " event=");
    add_str(t, event);
    if (fields[0])
        add_str(t, " ");
    add_str(t, fields);
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

/* The character at `s`, which is not empty; returns its length. JSON is UTF-8: what is not, shows
 * as a question mark. */
static size_t add_json_next(struct text *t, struct bytes s)
{
    size_t n = utf8_char_len(s);

    if (n > 1)
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

/* key=value, blank, key=value …; a word without '=' becomes a key that is true. */
static void add_json_fields(struct text *t, const char *s)
{
    for (;;) {
        size_t key_len;

        s += strspn(s, " ");
        if (!*s)
            return;
        key_len = strcspn(s, "= ");
        add_str(t, ",");
        add_json_str(t, s, key_len);
        add_str(t, ":");
        s += key_len;
        if (*s == '=')
            s = add_json_value(t, s + 1);
        else
            add_str(t, "true");
    }
}

static void add_json_pair(struct text *t, const char *key, const char *value)
{
    add_str(t, ",\"");
    add_str(t, key);
    add_str(t, "\":");
    add_json_str(t, value, strlen(value));
}

static void json_line(struct text *t, const struct logsink *sink, const char *level,
                      const char *event, const char *fields)
{
    add_str(t, "{\"time\":\"");
    add_time(t);
    add_str(t, "\"");
    add_json_pair(t, "level", level);
    if (sink->node_id[0])
        add_json_pair(t, "node", sink->node_id);
    if (sink->program)
        add_json_pair(t, "program", sink->program);
    add_json_pair(t, "event", event);
    add_json_fields(t, fields);
    add_str(t, "}");
}

/* One write a line, so that lines of several processes on one descriptor do not mix. */
static void sink_write(void *ctx, enum log_level level, const char *event, const char *fields)
{
    const struct logsink *sink = ctx;
    struct text t;

    t.len = 0;
    CHECK((unsigned)level < ARRAY_LEN(level_names));
    (sink->json ? json_line : text_line)(&t, sink, level_names[level], event, fields);
    if (t.len == sizeof t.data)
        t.len--;
    t.data[t.len++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    if (write(sink->fd, t.data, t.len) < 0)
        return;
}

struct log logsink_log(struct logsink *sink, enum log_level min)
{
    static const struct log_ops ops = {.write = sink_write};

    return (struct log){.ops = &ops, .ctx = sink, .min = min};
}
