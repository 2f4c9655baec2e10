#include "bin/kelpied/daemon_say.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/printable.h"
#include "loop/logsink.h"

static size_t as_event(const struct config *c, const char *sentence, char *line)
{
    const struct log_origin from = {.json = true, .node_id = c->node_id, .program = "kelpied"};
    struct timespec now = {0};
    char fields[LOG_LINE_MAX], quoted[LOG_LINE_MAX - 16];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(fields, sizeof(fields), "reason=%s",
                   log_quote(sentence, quoted, sizeof(quoted)));
    return log_line(&from, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, LOG_ERROR,
                    "cannot_run", fields, line);
}

/* The options may not have been understood yet, but this one may be there. */
static bool wants_json(const struct config *c)
{
    const char *format = options_text(&c->options, "log-format");
    return c->log_json || (format && strcmp(format, "json") == 0);
}

void daemon_say(const struct config *config, const char *fmt, ...)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    char sentence[2048], shown[LOG_TEXT_MAX - 16], line[LOG_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    size_t len = wants_json(config) ? as_event(config, sentence, line)
                                    : (size_t)snprintf(line, sizeof(line), "kelpied: %s\n",
                                                       printable(sentence, shown, sizeof(shown)));
    if (poll(&p, 1, LOG_FLUSH_MS) > 0 && (p.revents & POLLOUT) &&
        write(STDERR_FILENO, line, len) < 0)
        return;
}
