/*
 * The log as an interface: one line an event, `key=value` fields, levels. The sink (stderr text or
 * JSON in production, the trace in the simulator) adds time, level and node.
 */
#ifndef KELPIE_BASE_LOG_H
#define KELPIE_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/check.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_ops {
    /* `event` is a fixed snake_case name; `fields` is "key=value key2=\"a b\"" already formatted. */
    void (*write)(void *ctx, enum log_level level, const char *event, const char *fields);
};

struct log {
    const struct log_ops *ops; /* NULL: nothing is logged */
    void *ctx;
    enum log_level min;
};

#define LOG_LINE_MAX 1024

const char *log_level_name(enum log_level level);

/*
 * The format is fields with blanks between, "key=%s other=%d why=\"%s\"", no key twice. A value, that is
 * what stands behind "=" up to the next blank of the format (or in quotes there), is written as it is
 * if nothing in it could be taken for something else, else quoted, whatever the arguments hold: they may
 * come from outside. The fields are at most LOG_LINE_MAX bytes with their NUL; longer ones are cut, at
 * the end of a character. A format "%s" alone takes fields that log_vfields() has made.
 */
void log_event(const struct log *log, enum log_level level, const char *event, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Writes what log_event() hands to the sink; of conversions, %s, %c, %p, and numbers but those of
 * intmax_t and ptrdiff_t. */
void log_vfields(char *out, unsigned long out_size, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);
/* Writes `s` quoted and escaped for a field value; returns out. What does not fit in `out_size`
 * bytes (at least 3) is left out, the closing quote and the NUL never. Bytes that are no UTF-8, and
 * control characters, become \xNN. */
const char *log_quote(const char *s, char *out, unsigned long out_size);

/* One field of a line's, borrowed from it; a value in quotes is with them. */
struct log_field {
    const char *key, *value;
    size_t key_len, value_len;
};
/* The field at *at, which then is behind it; false at the end. */
bool log_field_next(const char **at, struct log_field *f);
bool log_key_twice(const char *fields);

#define log_debug(log, ...) log_event((log), LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_event((log), LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_event((log), LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_event((log), LOG_ERROR, __VA_ARGS__)

#endif
