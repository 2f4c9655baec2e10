/* The bounds over all connections: what is counted, said and cut off. */
#include <inttypes.h>

#include "loop/http_conn.h"

const char *http_cap_name(enum http_cap cap)
{
    static const char *const names[HTTP_CAPS] = {"connections", "places", "bytes", "time", "files"};

    CHECK(cap < HTTP_CAPS);
    return names[cap];
}

/* One line at once, and then one for all of the next ten seconds. */
static void cap_log(struct http_server *s, enum http_cap cap, uint64_t now)
{
    uint64_t count = s->caps[cap] - s->caps_logged[cap];

    if (count == 0 || now < s->cap_log_ns[cap])
        return;
    s->cap_log_ns[cap] = now + HTTP_CAP_LOG_S * NS_PER_S;
    s->caps_logged[cap] = s->caps[cap];
    if (s->options.log)
        log_warn(s->options.log, "limit_reached",
                 "limit=http_%s times=%" PRIu64 " connections=%zu bytes=%zu", http_cap_name(cap),
                 count, s->conn_count, s->bytes);
}

void http_cap_reached(struct http_server *s, enum http_cap cap)
{
    s->caps[cap]++;
    cap_log(s, cap, clock_now_ns(s->clock));
}

void http_caps_log(struct http_server *s)
{
    uint64_t now = clock_now_ns(s->clock);

    for (enum http_cap cap = 0; cap < HTTP_CAPS; cap++)
        cap_log(s, cap, now);
}

void http_budget_set(struct http_server *s, size_t *held, size_t now)
{
    CHECK(s->bytes >= *held);
    s->bytes = s->bytes - *held + now;
    *held = now;
}

bool http_budget_has(const struct http_server *s, size_t held, size_t total)
{
    return total <= HTTP_SMALL_MAX || s->bytes - held + total <= s->options.bytes_max;
}

/* Of those whose reader has not taken what waits, the one that waits longest. */
static struct http_conn *slowest_reader(struct http_server *s, const struct http_conn *but)
{
    struct http_conn *slowest = NULL;

    LIST_FOREACH(it, &s->conns)
    {
        struct http_conn *c = LIST_ENTRY(it, struct http_conn, link);

        if (c != but && !c->broken && http_conn_waiting(c) > 0 &&
            (!slowest || c->out_since_ns < slowest->out_since_ns))
            slowest = c;
    }
    return slowest;
}

void http_budget_make_room(struct http_server *s, const struct http_conn *for_conn)
{
    while (s->bytes > s->options.bytes_max) {
        struct http_conn *c = slowest_reader(s, for_conn);

        if (!c)
            return;
        http_conn_break(c);
        http_cap_reached(s, HTTP_CAP_BYTES);
    }
}

uint64_t http_transfer_deadline(uint64_t since_ns, uint64_t moved)
{
    return since_ns + HTTP_TRANSFER_S * NS_PER_S + moved * NS_PER_S / HTTP_TRANSFER_RATE;
}
