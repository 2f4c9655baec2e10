/* A connection as it reads: one request after the other, one read and one request in a turn. */
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "kelpie/error.h"
#include "loop/http_conn.h"

/* The system keeps no more than this for a reader that does not read: what waits, waits where it is
 * counted. */
#define UNSENT_MAX (128 * 1024)
/* Dropped after a refusal, before the connection is closed whatever comes. */
#define LINGER_MAX (16ull * 1024 * 1024)

/* ---- what it listens to, and its turns ---- */

void http_conn_queue(struct http_conn *c)
{
    struct http_server *s = c->server;

    if (!list_empty(&c->ready))
        return;
    if (list_empty(&s->ready) && !s->working)
        event_active(s->work, EV_TIMEOUT, 0);
    list_append(&s->ready, &c->ready);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct http_conn *c = arg;

    (void)fd;
    c->can_read = c->can_read || (what & EV_READ);
    c->can_write = c->can_write || (what & EV_WRITE);
    http_conn_queue(c);
}

static void set_event(struct event *event, bool *is_set, bool wanted)
{
    if (*is_set == wanted)
        return;
    *is_set = wanted;
    CHECK((wanted ? event_add(event, NULL) : event_del(event)) == 0);
}

void http_conn_listen(struct http_conn *c)
{
    bool is_busy = c->state == HTTP_HANDLES || c->state == HTTP_SENDS;

    if (c->broken)
        return;
    set_event(c->reads, &c->reading,
              !c->client_closed && list_empty(&c->rest) &&
                  (!is_busy || c->in.len < HTTP_SMALL_MAX));
    set_event(c->writes, &c->writing, http_conn_waiting(c) > 0);
}

/* ---- its beginning and its end ---- */

static struct list *quiet_of(const struct http_conn *c)
{
    return &c->server->quiet[c->is_spare ? QUIET_SPARE : c->was_used ? QUIET_USED : QUIET_FRESH];
}

/* One that is kept is never the one that goes. */
static void be_quiet(struct http_conn *c)
{
    list_remove(&c->quiet);
    if (!c->kept)
        list_append(quiet_of(c), &c->quiet);
}

static bool is_fresh(const struct http_conn *c)
{
    return !c->was_used && !c->is_spare;
}

void http_conn_new(struct http_server *s, int fd, bool is_spare)
{
    struct http_conn *c = MEM_NEW(s->mem, struct http_conn);
    struct event_base *base = loop_base(s->loop);
    int unsent = UNSENT_MAX;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    c->server = s;
    c->transport = transport_plain(fd);
    c->is_spare = is_spare;
    c->since_ns = clock_now_ns(s->clock);
    buf_init(&c->in, s->mem);
    buf_init(&c->out, s->mem);
    list_init(&c->quiet);
    list_init(&c->ready);
    list_init(&c->rest);
    list_append(&s->conns, &c->link);
    s->conn_count++;
    s->fresh_count += is_fresh(c);
    be_quiet(c);
    c->reads = event_new(base, fd, EV_READ | EV_PERSIST, on_event, c);
    c->writes = event_new(base, fd, EV_WRITE | EV_PERSIST, on_event, c);
    CHECK(c->reads && c->writes);
    http_conn_listen(c);
}

static void stop_listening(struct http_conn *c)
{
    set_event(c->reads, &c->reading, false);
    set_event(c->writes, &c->writing, false);
}

void http_conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_exchange *ex = c->ex;
    void (*gone)(void *kept) = c->kept ? c->gone : NULL;
    void *kept = c->kept;

    event_free(c->reads);
    event_free(c->writes);
    transport_close(&c->transport);
    list_remove(&c->link);
    list_remove(&c->quiet);
    list_remove(&c->ready);
    list_remove(&c->rest);
    s->fresh_count -= is_fresh(c);
    http_budget_set(s, &c->held, 0);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    s->conn_count--;
    mem_free(s->mem, c);
    if (ex)
        ex->conn = NULL;
    if (ex && ex->state == EXCHANGE_RECEIVING)
        http_exchange_free(ex);
    else if (ex)
        http_exchange_gone(ex);
    if (gone)
        gone(kept);
}

void http_conn_break(struct http_conn *c)
{
    if (c->broken)
        return;
    stop_listening(c);
    c->broken = true;
    buf_deinit(&c->out);
    c->out_at = 0;
    http_budget_set(c->server, &c->held, c->in.cap);
    http_conn_queue(c);
}

void http_conn_drop_unread(struct http_conn *c)
{
    if (c->broken || c->state == HTTP_LINGERS)
        return;
    if (c->state == HTTP_READS_HEAD || c->state == HTTP_READS_BODY) {
        http_conn_break(c);
        return;
    }
    /* What comes until the answer is taken is dropped: else the close would take the answer with it. */
    c->closes = c->lingers = true;
    buf_deinit(&c->in);
    http_budget_set(c->server, &c->held, c->out.cap);
}

/* ---- from one request to the next ---- */

static void linger(struct http_conn *c)
{
    transport_shut(&c->transport);
    c->state = HTTP_LINGERS;
    c->since_ns = clock_now_ns(c->server->clock);
    c->moved = 0;
    buf_deinit(&c->in);
    http_budget_set(c->server, &c->held, 0);
    /* The first to go when a place is needed. */
    list_remove(&c->quiet);
    list_append(quiet_of(c)->next, &c->quiet);
    list_remove(&c->rest);
    list_append(&c->server->lingering, &c->rest);
    if (!c->server->linger.armed)
        timer_start(&c->server->linger, HTTP_PACE_MS * NS_PER_MS);
}

void http_conn_answered(struct http_conn *c)
{
    CHECK(c->state == HTTP_SENDS && http_conn_waiting(c) == 0);
    if (!c->closes && !c->client_closed) {
        c->state = HTTP_READS_HEAD;
        c->since_ns = clock_now_ns(c->server->clock);
        if (c->in.len)
            http_conn_queue(c);
    } else if (c->client_closed && c->in.len && !c->closes) {
        c->state = HTTP_READS_HEAD; /* requests sent ahead, and then the end */
        http_conn_queue(c);
    } else if (c->lingers && !c->client_closed) {
        linger(c);
    } else {
        http_conn_break(c);
    }
}

void http_conn_done(struct http_conn *c)
{
    c->ex = NULL;
    c->state = HTTP_SENDS;
    be_quiet(c);
    if (http_conn_waiting(c) == 0)
        http_conn_answered(c);
    http_conn_listen(c);
}

static void refuse(struct http_conn *c, int status, int error, const char *why)
{
    struct http_fault fault = {.status = status, .error = error, .why = why};

    http_conn_refuse(c, &fault);
}

static void refuse_for_bytes(struct http_conn *c)
{
    http_cap_reached(c->server, HTTP_CAP_BYTES);
    refuse(c, 503, KELPIE_E_LIMIT, "this node has no room for the request now");
}

static void hand_over(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_exchange *ex = c->ex;

    list_remove(&c->quiet);
    c->state = HTTP_HANDLES;
    s->fresh_count -= is_fresh(c);
    c->was_used = true;
    c->turn_over = true;
    ex->state = EXCHANGE_HANDLING;
    list_append(&s->exchanges, &ex->link);
    s->pending++;
    s->options.fn(s->options.arg, ex);
}

/* ---- heads ---- */

static bool is_welcome(const struct http_conn *c)
{
    const struct http_server_options *o = &c->server->options;

    return !c->is_spare || (o->is_vital && o->is_vital(c->ex->method, c->ex->path));
}

/* When what is read now came, at the latest: it may have waited behind what filled `in`. */
static uint64_t came_ns(const struct http_conn *c)
{
    return c->full_ns ? c->full_ns : clock_now_ns(c->server->clock);
}

static void begin_request(struct http_conn *c, const struct http_head *h, const char *text,
                          size_t len, bool is_more_here)
{
    struct http_server *s = c->server;
    bool has_body = h->chunked || h->length > 0;

    c->is_10 = h->minor == 0;
    c->keeps = h->keeps;
    c->closes = h->closes || (c->is_10 && !h->keeps);
    c->lingers = false;
    if (!http_budget_has(s, 0, len + (size_t)h->length)) {
        refuse_for_bytes(c);
        return;
    }
    c->ex = http_exchange_new(c, h, text, len);
    c->ex->came_ns = c->in.len ? c->ahead_ns : came_ns(c);
    if (!is_welcome(c)) {
        http_cap_reached(s, HTTP_CAP_PLACES);
        refuse(c, 503, KELPIE_E_LIMIT, "this node has no room for another request now");
        return;
    }
    http_body_begin(&c->body, h);
    c->state = HTTP_READS_BODY;
    c->since_ns = clock_now_ns(s->clock);
    c->moved = 0;
    if (!has_body)
        hand_over(c);
    else if (h->expects && !c->is_10 && !is_more_here)
        http_conn_continue(c);
}

/* Returns how much was taken; 0: there must be more first, or it was refused. */
static size_t take_head(struct http_conn *c, char *text, size_t len)
{
    struct http_head *head = &c->server->head;
    long n = http_head_scan(&c->scan, bytes_of(text, len));
    struct http_fault fault;

    if (n == 0 && len <= HTTP_HEADERS_MAX)
        return 0;
    c->scan = (struct http_scan){0};
    if (n == 2)
        return 2;
    if (n == HTTP_SCAN_BAD)
        refuse(c, 400, KELPIE_E_INVALID, "a line of the head is malformed");
    else if (n == 0 || n > (long)HTTP_HEADERS_MAX)
        refuse(c, 431, KELPIE_E_TOO_LARGE, "the head of the request is too long");
    else if (!http_head_parse(text, (size_t)n, c->server->options.body_max, head, &fault))
        http_conn_refuse(c, &fault);
    else {
        begin_request(c, head, text, (size_t)n, (size_t)n < len);
        return (size_t)n;
    }
    return 0;
}

/* ---- bodies ---- */

/* Returns false when it was refused. */
static bool add_to_body(struct http_conn *c, struct bytes data)
{
    struct http_exchange *ex = c->ex;
    size_t total = ex->body.len + data.len;
    size_t base = ex->held - ex->body.cap;

    if (total > c->server->options.body_max) {
        struct http_fault fault = http_body_too_long(c->server->options.body_max);
        http_conn_refuse(c, &fault);
        return false;
    }
    if (total > ex->body.cap && !http_budget_has(c->server, ex->held, base + total)) {
        refuse_for_bytes(c);
        return false;
    }
    buf_append_bytes(&ex->body, data);
    http_budget_set(c->server, &ex->held, base + ex->body.cap);
    c->moved += data.len;
    return true;
}

static size_t take_body(struct http_conn *c, const char *text, size_t len)
{
    size_t used;
    struct bytes data;
    enum http_body_outcome outcome = http_body_feed(&c->body, bytes_of(text, len), &used, &data);

    if (outcome == HTTP_BODY_BAD) {
        refuse(c, 400, KELPIE_E_INVALID, "a chunk of the body is malformed");
        return 0;
    }
    if (data.len && !add_to_body(c, data))
        return 0;
    if (outcome == HTTP_BODY_DONE)
        hand_over(c);
    return used;
}

/* ---- reading ---- */

/* Takes what it can of a request, one at most. Returns how much that was. */
static size_t consume(struct http_conn *c, char *text, size_t len)
{
    size_t at = 0, n = 1;

    c->turn_over = false;
    while (n > 0 && at < len && !c->turn_over && !c->broken) {
        if (c->state == HTTP_READS_HEAD)
            n = take_head(c, text + at, len - at);
        else if (c->state == HTTP_READS_BODY)
            n = take_body(c, text + at, len - at);
        else
            n = 0;
        at += n;
    }
    return at;
}

/* What was read and not consumed. */
static void keep_rest(struct http_conn *c, const char *text, size_t len)
{
    if (c->broken || c->state == HTTP_LINGERS)
        return;
    if (len && c->in.len == 0 && c->state == HTTP_READS_HEAD)
        c->since_ns = clock_now_ns(c->server->clock);
    if (len && c->in.len == 0)
        c->ahead_ns = came_ns(c);
    if (len)
        buf_append(&c->in, text, len);
    else if (c->in.len == 0)
        buf_deinit(&c->in);
    if (c->in.len >= HTTP_SMALL_MAX && c->full_ns == 0)
        c->full_ns = clock_now_ns(c->server->clock);
    http_budget_set(c->server, &c->held, c->in.cap + c->out.cap);
}

/* Whether bytes wait in `in` that nobody has looked at. */
static bool has_unseen(const struct http_conn *c)
{
    return c->state == HTTP_READS_HEAD && list_empty(&c->rest) && c->scan.at < c->in.len;
}

static void consume_kept(struct http_conn *c)
{
    size_t used;

    http_server_has_read(c->server);
    if (c->broken)
        return;
    used = consume(c, (char *)c->in.data, c->in.len);
    /* A connection that was refused has let go of it. */
    if (c->in.len)
        buf_consume(&c->in, used);
    keep_rest(c, NULL, 0);
}

static bool is_reading(const struct http_conn *c)
{
    return c->state == HTTP_READS_HEAD || c->state == HTTP_READS_BODY;
}

static void on_client_closed(struct http_conn *c)
{
    c->client_closed = true;
    if (c->state == HTTP_HANDLES)
        http_exchange_gone(c->ex);
    else if (c->state != HTTP_SENDS)
        http_conn_break(c);
}

/* How much is read now: what is kept for later is little, or it is counted first. */
static size_t room_for(const struct http_conn *c)
{
    if (c->state == HTTP_READS_BODY || c->state == HTTP_LINGERS)
        return HTTP_READ_MAX;
    if (c->state == HTTP_READS_HEAD)
        return HTTP_SMALL_MAX;
    return c->in.len < HTTP_SMALL_MAX ? HTTP_SMALL_MAX - c->in.len : 0;
}

static void receive(struct http_conn *c)
{
    struct http_server *s = c->server;
    size_t room = room_for(c);
    long n = room ? transport_read(&c->transport, s->input, room) : TCP_AGAIN;
    size_t used;

    if (n == TCP_AGAIN)
        return;
    http_server_has_read(s);
    if (c->broken)
        return;
    if (n == TCP_CLOSED) {
        on_client_closed(c);
    } else if (c->state == HTTP_LINGERS) {
        c->moved += (uint64_t)n;
        if (c->moved > LINGER_MAX)
            http_conn_break(c);
    } else if (c->state == HTTP_READS_HEAD &&
               !http_budget_has(s, c->in.cap, c->in.len + (size_t)n)) {
        refuse_for_bytes(c); /* a long head that comes in pieces */
    } else if (c->in.len || c->state == HTTP_HANDLES || c->state == HTTP_SENDS) {
        keep_rest(c, s->input, (size_t)n);
        if (has_unseen(c))
            consume_kept(c);
    } else {
        used = consume(c, s->input, (size_t)n);
        keep_rest(c, s->input + used, (size_t)n - used);
    }
    if ((size_t)n < room) /* that was all; TCP_AGAIN and TCP_CLOSED have left */
        c->full_ns = 0;
}

void http_conn_turn(struct http_conn *c)
{
    bool is_read = list_empty(&c->rest);

    if (!c->broken && c->can_write) {
        c->can_write = false;
        http_conn_flush(c);
    }
    if (!c->broken && has_unseen(c)) {
        consume_kept(c);
    } else if (!c->broken && c->can_read && is_read) {
        c->can_read = false;
        receive(c);
    } else if (!c->broken && c->client_closed && is_reading(c) && is_read) {
        http_conn_break(c); /* what it sent ahead is no whole request */
    }
    if (c->broken) {
        http_conn_free(c);
        return;
    }
    if (has_unseen(c) || (c->client_closed && is_reading(c) && list_empty(&c->rest)))
        http_conn_queue(c);
    http_conn_listen(c);
}

/* ---- who is not read at once ---- */

void http_conn_rest(struct http_conn *c)
{
    struct http_server *s = c->server;

    if (c->broken || c->state == HTTP_LINGERS || !list_empty(&c->rest))
        return;
    c->rests_until_ns = clock_now_ns(s->clock) + HTTP_REST_MS * NS_PER_MS;
    list_append(&s->resting, &c->rest);
    if (!s->rest.armed)
        timer_start(&s->rest, HTTP_REST_MS * NS_PER_MS);
    http_conn_listen(c);
}

void http_conns_on_rest(void *server)
{
    struct http_server *s = server;
    uint64_t now = clock_now_ns(s->clock);

    LIST_FOREACH_SAFE(it, next, &s->resting)
    {
        struct http_conn *c = LIST_ENTRY(it, struct http_conn, rest);

        if (c->rests_until_ns > now) {
            timer_start(&s->rest, c->rests_until_ns - now);
            return;
        }
        list_remove(&c->rest);
        http_conn_listen(c);
        http_conn_queue(c);
    }
}

void http_conns_on_linger(void *server)
{
    struct http_server *s = server;

    for (unsigned i = 0; i < HTTP_LINGERERS_READ && !list_empty(&s->lingering); i++) {
        struct http_conn *c = LIST_ENTRY(list_pop(&s->lingering), struct http_conn, rest);

        list_append(&s->lingering, &c->rest);
        if (!c->broken)
            receive(c);
    }
    if (!list_empty(&s->lingering))
        timer_start(&s->linger, HTTP_PACE_MS * NS_PER_MS);
}

/* ---- deadlines ---- */

static void give_up(struct http_conn *c)
{
    http_cap_reached(c->server, HTTP_CAP_TIME);
    http_conn_free(c);
}

static void refuse_slow(struct http_conn *c)
{
    http_cap_reached(c->server, HTTP_CAP_TIME);
    refuse(c, 408, KELPIE_E_TIMEOUT, "the request does not come in time");
}

void http_conn_check_time(struct http_conn *c, uint64_t now_ns)
{
    uint64_t waited_ns = now_ns - c->since_ns;

    if (c->broken) {
        return;
    } else if (http_conn_waiting(c) > 0) {
        if (now_ns >= http_transfer_deadline(c->out_since_ns, c->out_moved))
            give_up(c);
    } else if (c->state == HTTP_READS_HEAD && c->in.len) {
        if (waited_ns >= HTTP_HEAD_S * NS_PER_S)
            refuse_slow(c);
    } else if (c->state == HTTP_READS_HEAD) {
        if (!c->kept && waited_ns >= (c->was_used ? HTTP_IDLE_S : HTTP_FIRST_S) * NS_PER_S)
            http_conn_free(c);
    } else if (c->state == HTTP_READS_BODY) {
        if (now_ns >= http_transfer_deadline(c->since_ns, c->moved))
            refuse_slow(c);
    } else if (c->state == HTTP_LINGERS && waited_ns >= HTTP_LINGER_S * NS_PER_S) {
        http_conn_free(c);
    }
}
