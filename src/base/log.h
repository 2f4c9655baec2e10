/*
 * The log as an interface: one line an event, `key=value` fields, levels. The sink (stderr text or
 * JSON in production, the trace in the simulator) adds time, level and node.
 */
#ifndef KELPIE_BASE_LOG_H
#define KELPIE_BASE_LOG_H

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

/* The fields of one event are at most LOG_LINE_MAX bytes with their NUL; longer ones are cut, at
 * the end of a character. Control characters become '?'. Values with blanks or quotes: use %s of
 * a log_quote()d string. */
void log_event(const struct log *log, enum log_level level, const char *event, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Writes `s` quoted and escaped for a field value; returns out. What does not fit in `out_size`
 * bytes (at least 3) is left out, the closing quote and the NUL never. Bytes that are no UTF-8
 * become \xNN. */
const char *log_quote(const char *s, char *out, unsigned long out_size);

#define log_debug(log, ...) log_event((log), LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_event((log), LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_event((log), LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) log_event((log), LOG_ERROR, __VA_ARGS__)

#endif
