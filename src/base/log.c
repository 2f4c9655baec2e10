#include "base/log.h"

#include <stdarg.h>

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    CHECK((unsigned)level < sizeof(names) / sizeof(names[0]));
    return names[level];
}

void log_event(const struct log *log, enum log_level level, const char *event, const char *fmt, ...)
{
    if (!log->ops || level < log->min)
        return;
    char fields[LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    log_vfields(fields, sizeof(fields), fmt, ap);
    va_end(ap);
    CHECK(!log_key_twice(fields));
    log->ops->write(log->ctx, level, event, fields);
}
