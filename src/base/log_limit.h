/*
 * Bounds what a log takes of one event, and of one source of it, such as a stranger's address: so many
 * lines at once and so many a second. What is more is counted and told.
 */
#ifndef KELPIE_BASE_LOG_LIMIT_H
#define KELPIE_BASE_LOG_LIMIT_H

#include <stdint.h>

#include "base/log.h"

#define LOG_EVENTS_MAX 128 /* kinds of events; further ones share the last place */
#define LOG_SOURCES_MAX 256
#define LOG_EVENT_BURST 200
#define LOG_EVENT_PER_S 50
#define LOG_SOURCE_BURST 50
#define LOG_SOURCE_PER_S 5
#define LOG_DEBUG_TIMES 20           /* who asks for debug lines wants them */
#define LOG_SUPPRESSED_EVERY_MS 5000 /* at most one line for each event says what was left out */

struct log_bucket {
    uint64_t milli; /* of lines that may still pass */
    uint64_t at_ns;
};

/* Zeroed at first. */
struct log_limit {
    struct {
        const char *event;
        struct log_bucket bucket;
        uint64_t suppressed, told_ns;
    } events[LOG_EVENTS_MAX];
    struct {
        uint64_t key;
        struct log_bucket bucket;
    } sources[LOG_SOURCES_MAX];
    uint64_t suppressed; /* of all events, not told yet */
};

/* Whether the line is written. `event` is a string that stays. The source is the value of the first
 * field `from`, `id` or `actor`; of an address only the host. */
bool log_limit_pass(struct log_limit *l, uint64_t now_ns, enum log_level level, const char *event,
                    const char *fields);
/* An event of which lines were left out and that is due to be told, and how many; then they count as
 * told. False: none. */
bool log_limit_take(struct log_limit *l, uint64_t now_ns, const char **event, uint64_t *lines);

#endif
