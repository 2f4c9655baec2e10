#include "loop/http_server.h"

#include <event2/event.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"
#include "loop/unix_socket.h"

#define SWEEP_NS (NS_PER_S / 2)

/* ---- turns ---- */

/* Each connection that is ready has its turn, until the time is over; the others go on in the next
 * turn of the loop. */
static void on_work(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval at_once = {0};
    struct http_server *s = arg;
    uint64_t end = clock_now_ns(s->clock) + HTTP_TURN_MS * NS_PER_MS;
    struct list *item;

    (void)fd;
    (void)what;
    s->working = true;
    while (clock_now_ns(s->clock) < end && (item = list_pop(&s->ready)))
        http_conn_turn(LIST_ENTRY(item, struct http_conn, ready));
    s->working = false;
    if (!list_empty(&s->ready))
        CHECK(event_add(s->work, &at_once) == 0);
}

/* ---- places ---- */

static struct http_conn *quietest(struct http_server *s, enum quiet quiet)
{
    struct list *all = &s->quiet[quiet];

    return list_empty(all) ? NULL : LIST_ENTRY(all->next, struct http_conn, quiet);
}

/* The one that goes when a place is needed: what lingers, else a half of the places is for those who
 * asked for something once. NULL: all have requests under way. */
static struct http_conn *expendable(struct http_server *s)
{
    struct http_conn *fresh = quietest(s, QUIET_FRESH), *used = quietest(s, QUIET_USED);

    if (!fresh || (used && used->state == HTTP_LINGERS))
        return used;
    if (!used || fresh->state == HTTP_LINGERS || s->fresh_count > s->places / 2)
        return fresh;
    return used;
}

/* Closing some for others has a pace; who waits to be accepted is served no later than who would be
 * closed for him. */
static void replace(struct http_server *s, struct http_conn *c)
{
    uint64_t now = clock_now_ns(s->clock);

    http_conn_free(c);
    if (now - s->replaced_since_ns >= HTTP_PACE_MS * NS_PER_MS) {
        s->replaced_since_ns = now;
        s->replaced = 0;
    }
    if (++s->replaced >= HTTP_REPLACED_MAX)
        tcp_listener_rest(s->listener, HTTP_PACE_MS * NS_PER_MS);
}

/* Finds a place for a new connection. Returns false when there is none. */
static bool make_place(struct http_server *s, bool *is_spare)
{
    struct http_conn *c;

    *is_spare = false;
    if (s->conn_count < s->places)
        return true;
    c = expendable(s);
    if (c) {
        http_cap_reached(s, HTTP_CAP_CONNECTIONS);
        replace(s, c);
        return true;
    }
    *is_spare = true;
    if (s->conn_count < s->options.connections_max)
        return true;
    http_cap_reached(s, HTTP_CAP_PLACES);
    c = quietest(s, QUIET_SPARE);
    if (c)
        replace(s, c);
    return c != NULL;
}

static void on_accept(void *arg, int fd, const char *from)
{
    struct http_server *s = arg;
    bool is_spare;

    (void)from;
    if (make_place(s, &is_spare))
        http_conn_new(s, fd, is_spare);
    else
        (void)close(fd);
}

/* No descriptor was left for a new connection: it gets one that is in use for nothing. */
static bool on_no_files(void *arg)
{
    struct http_server *s = arg;
    struct http_conn *c = expendable(s);

    http_cap_reached(s, HTTP_CAP_FILES);
    if (c)
        replace(s, c);
    return c != NULL;
}

void http_server_has_read(struct http_server *s)
{
    if (s->options.on_read)
        s->options.on_read(s->options.arg);
}

static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    uint64_t now = clock_now_ns(s->clock);

    http_server_has_read(s); /* what is late because of that gets no answer that says so */
    LIST_FOREACH_SAFE(it, next, &s->conns)
    {
        http_conn_check_time(LIST_ENTRY(it, struct http_conn, link), now);
    }
    http_caps_log(s);
    timer_start(&s->sweep, SWEEP_NS);
}

/* ---- the whole ---- */

static void set_options(struct http_server *s, const struct http_server_options *options)
{
    struct http_server_options *o = &s->options;

    *o = *options;
    CHECK(o->fn);
    if (o->connections_max == 0 || o->connections_max > HTTP_CONNECTIONS_MAX)
        o->connections_max = HTTP_CONNECTIONS_MAX;
    if (o->connections_max < HTTP_CONNECTIONS_MIN)
        o->connections_max = HTTP_CONNECTIONS_MIN;
    s->places = o->connections_max -
                (o->connections_max / 4 < HTTP_SPARE_MAX ? o->connections_max / 4 : HTTP_SPARE_MAX);
    if (o->body_max == 0)
        o->body_max = HTTP_BODY_MAX;
    if (o->bytes_max == 0)
        o->bytes_max = HTTP_BYTES_MAX;
}

static struct tcp_listener *listener_of(struct http_server *s, char *why, size_t why_size)
{
    const struct http_server_options *o = &s->options;

    if (o->listener <= 0)
        return tcp_listen(s->loop, s->mem, o->addr, on_accept, s, why, why_size);
    return tcp_listen_on(s->loop, s->mem, o->listener, o->addr, unix_peer_may, on_accept, s, why,
                         why_size);
}

struct http_server *http_server_new(struct loop *loop, struct mem mem,
                                    const struct http_server_options *options, char *why,
                                    size_t why_size)
{
    struct http_server *s = MEM_NEW(mem, struct http_server);

    s->loop = loop;
    s->mem = mem;
    s->clock = loop_clock(loop);
    set_options(s, options);
    list_init(&s->conns);
    for (enum quiet q = 0; q < QUIETS; q++)
        list_init(&s->quiet[q]);
    list_init(&s->resting);
    list_init(&s->lingering);
    list_init(&s->ready);
    list_init(&s->exchanges);
    s->work = event_new(loop_base(loop), -1, 0, on_work, s);
    CHECK(s->work);
    timer_init(&s->sweep, loop_timers(loop), "http_sweep", on_sweep, s);
    timer_init(&s->rest, loop_timers(loop), "http_rest", http_conns_on_rest, s);
    timer_init(&s->linger, loop_timers(loop), "http_linger", http_conns_on_linger, s);
    s->listener = listener_of(s, why, why_size);
    if (!s->listener) {
        http_server_free(s);
        return NULL;
    }
    tcp_listener_on_no_files(s->listener, on_no_files);
    memcpy(s->addr, tcp_listener_addr(s->listener), sizeof s->addr);
    timer_start(&s->sweep, SWEEP_NS);
    return s;
}

void http_server_drain(struct http_server *s)
{
    tcp_listener_free(s->listener);
    s->listener = NULL;
}

void http_server_drop_unread(struct http_server *s)
{
    LIST_FOREACH(it, &s->conns)
    {
        http_conn_drop_unread(LIST_ENTRY(it, struct http_conn, link));
    }
    if (s->listener)
        tcp_listener_drop_waiting(s->listener);
}

size_t http_server_pending(const struct http_server *s)
{
    return s->pending;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_drain(s);
    timer_stop(&s->sweep);
    timer_stop(&s->rest);
    timer_stop(&s->linger);
    while (!list_empty(&s->conns))
        http_conn_free(LIST_ENTRY(s->conns.next, struct http_conn, link));
    event_free(s->work);
    LIST_FOREACH_SAFE(it, next, &s->exchanges)
    {
        struct http_exchange *ex = LIST_ENTRY(it, struct http_exchange, link);

        ex->server = NULL;
        list_remove(&ex->link);
    }
    mem_free(s->mem, s);
}

const char *http_server_addr(const struct http_server *s)
{
    return s->addr;
}

struct http_server_counts http_server_counts(const struct http_server *s)
{
    struct http_server_counts counts = {.connections = s->conn_count,
                                        .connections_max = s->options.connections_max,
                                        .bytes = s->bytes,
                                        .bytes_max = s->options.bytes_max};

    memcpy(counts.caps, s->caps, sizeof counts.caps);
    return counts;
}
