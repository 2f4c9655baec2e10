/* One event as one line of text, `key=value` or JSON. */
#ifndef KELPIE_BASE_LOG_LINE_H
#define KELPIE_BASE_LOG_LINE_H

#include <stdint.h>

#include "base/log.h"

/* LOG_LINE_MAX bytes, each of which JSON may write as six, and what stands before them. */
#define LOG_TEXT_MAX (6 * LOG_LINE_MAX + 1024)

/* What is the same in all lines of a process. */
struct log_origin {
    bool json;
    const char *node_id; /* "": none */
    const char *program;
};

/* Writes the line with its newline and without a NUL to `out` (LOG_TEXT_MAX bytes); returns its
 * length. `wall_ms` is milliseconds since 1970, 0: no time. A field whose key is one of the line's own
 * (time, level, node, program, event) gets "of_" before it. */
size_t log_line(const struct log_origin *from, uint64_t wall_ms, enum log_level level,
                const char *event, const char *fields, char *out);

#endif
