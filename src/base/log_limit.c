#include "base/log_limit.h"

#include <string.h>

#define NS_PER_MILLI 1000000ull /* a thousandth of a line each, at a line a second */
#define LINE_MILLI 1000ull

static bool take(struct log_bucket *b, uint64_t now_ns, uint64_t burst, uint64_t per_s)
{
    uint64_t passed_ns = now_ns - b->at_ns;
    uint64_t max = burst * LINE_MILLI;
    uint64_t gained = passed_ns / NS_PER_MILLI * per_s;
    if (b->at_ns == 0 || passed_ns / NS_PER_MILLI > max || gained >= max - b->milli) {
        b->milli = max;
        b->at_ns = now_ns;
    } else if (gained > 0) {
        b->milli += gained;
        b->at_ns = now_ns - passed_ns % NS_PER_MILLI;
    }
    if (b->milli < LINE_MILLI)
        return false;
    b->milli -= LINE_MILLI;
    return true;
}

static uint64_t hash(uint64_t h, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3ull;
    return h;
}

static size_t event_index(const struct log_limit *l, const char *event)
{
    size_t i = hash(0xcbf29ce484222325ull, event, strlen(event)) % LOG_EVENTS_MAX;
    for (size_t n = 0; n < LOG_EVENTS_MAX; n++, i = (i + 1) % LOG_EVENTS_MAX)
        if (!l->events[i].event || strcmp(l->events[i].event, event) == 0)
            return i;
    return LOG_EVENTS_MAX - 1;
}

/* The value that says whose line it is; empty if none does. */
static struct log_field source_of(const char *fields)
{
    static const char *const keys[] = {"from", "id", "actor"};
    struct log_field f;
    for (const char *at = fields; log_field_next(&at, &f);) {
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            if (strlen(keys[k]) != f.key_len || memcmp(keys[k], f.key, f.key_len) != 0)
                continue;
            /* HOST:PORT: a stranger has many ports. */
            for (size_t n = f.value_len; k == 0 && n > 0; n--) {
                if (f.value[n - 1] == ':') {
                    f.value_len = n - 1;
                    break;
                }
            }
            return f;
        }
    }
    return (struct log_field){.key = "", .value = ""};
}

static bool source_passes(struct log_limit *l, uint64_t now_ns, const char *event,
                          const char *fields, uint64_t times)
{
    struct log_field source = source_of(fields);
    if (source.value_len == 0)
        return true;
    uint64_t key = hash(0xcbf29ce484222325ull, event, strlen(event));
    key = hash(key, "=", 1);
    key = hash(key, source.value, source.value_len) | 1;
    /* Two that meet in one place throw each other out, and begin anew: the event's bound holds. */
    size_t i = (size_t)((key >> 8) % LOG_SOURCES_MAX);
    if (l->sources[i].key != key) {
        l->sources[i].key = key;
        l->sources[i].bucket = (struct log_bucket){0};
    }
    return take(&l->sources[i].bucket, now_ns, times * LOG_SOURCE_BURST, times * LOG_SOURCE_PER_S);
}

bool log_limit_pass(struct log_limit *l, uint64_t now_ns, enum log_level level, const char *event,
                    const char *fields)
{
    size_t i = event_index(l, event);
    uint64_t times = level == LOG_DEBUG ? LOG_DEBUG_TIMES : 1;
    if (!l->events[i].event)
        l->events[i].event = event;
    if (source_passes(l, now_ns, event, fields, times) &&
        take(&l->events[i].bucket, now_ns, times * LOG_EVENT_BURST, times * LOG_EVENT_PER_S))
        return true;
    if (l->events[i].suppressed++ == 0)
        l->events[i].told_ns = now_ns; /* the first of them, then */
    l->suppressed++;
    return false;
}

bool log_limit_take(struct log_limit *l, uint64_t now_ns, const char **event, uint64_t *lines)
{
    if (l->suppressed == 0)
        return false;
    for (size_t i = 0; i < LOG_EVENTS_MAX; i++) {
        if (l->events[i].suppressed == 0 ||
            now_ns - l->events[i].told_ns < LOG_SUPPRESSED_EVERY_MS * NS_PER_MILLI)
            continue;
        *event = l->events[i].event;
        *lines = l->events[i].suppressed;
        l->suppressed -= l->events[i].suppressed;
        l->events[i].suppressed = 0;
        return true;
    }
    return false;
}
