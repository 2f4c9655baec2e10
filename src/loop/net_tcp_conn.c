/*
 * One connection, either way round: frames in, frames out.
 *
 * Frames to send gather in the connection's buffer and leave in one write when the events of this
 * turn of the loop have run, so a node that answers many calls in one turn pays for one system call.
 *
 * Frames that were received are dealt with at once, a few of each connection in turn. When the turn's
 * time is over, or the strangers' time of this window, what is left waits in the connection's buffer,
 * and nothing is read from it meanwhile: its peer has to wait, and the loop has not.
 */
#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/net_tcp_conn.h"
#include "loop/tcp_socket.h"

/* A buffer that grew beyond this gives its memory back when it is empty. */
#define BUF_KEEP_MAX (64u * 1024)
#define FRAMES_A_LOOK 8

/* ---- the end ---- */

void conn_free(struct conn *c)
{
    struct net_tcp *net = c->net;

    if (c->rank == RANK_DIALLED)
        map_remove(&net->peers, &c->node);
    room_leave(c);
    list_remove(&c->dirty);
    list_remove(&c->ready);
    timer_stop(&c->connect_timer);
    if (c->readable)
        event_free(c->readable);
    if (c->writable)
        event_free(c->writable);
    if (c->fd >= 0)
        (void)close(c->fd);
    buf_deinit(&c->in);
    buf_deinit(&c->out);
    if (net->dealing == c)
        net->dealing = NULL;
    mem_free(net->mem, c);
}

void conn_close(struct conn *c, const char *cause)
{
    struct net_tcp *net = c->net;
    bool dialled = c->rank == RANK_DIALLED;
    char addr[NET_ADDR_SIZE];

    memcpy(addr, c->addr, sizeof addr);
    log_debug(net->log, "peer_down", "addr=%s dialled=%d cause=%s dropped_bytes=%zu", addr, dialled,
              cause, c->out.len - c->written);
    conn_free(c);
    if (dialled && net->events)
        net->events->down(net->events_arg, addr);
}

static void conn_bad(struct conn *c, int error)
{
    struct net_tcp *net = c->net;
    char addr[NET_ADDR_SIZE];

    memcpy(addr, c->addr, sizeof addr);
    net->counts.closed_refused++;
    conn_close(c, "bad_frame");
    if (net->events)
        net->events->bad(net->events_arg, addr, error);
}

/* ---- out ---- */

static void emptied(struct conn *c)
{
    c->written = 0;
    c->stalled_ns = 0;
    if (c->out.cap > BUF_KEEP_MAX)
        buf_deinit(&c->out);
    else
        buf_clear(&c->out);
    (void)event_del(c->writable);
}

/* Writes what there is; what does not fit waits until the socket is writable. */
static void conn_write(struct conn *c)
{
    long n = tcp_write(c->fd, c->out.data + c->written, c->out.len - c->written);

    if (n == TCP_CLOSED) {
        conn_close(c, "reset");
        return;
    }
    if (n > 0) {
        c->written += (size_t)n;
        c->net->counts.bytes_sent += (size_t)n;
        c->stalled_ns = 0;
        room_queued(c, -n);
        if (c->rank == RANK_DIALLED)
            conn_used(c);
    }
    if (c->written == c->out.len) {
        emptied(c);
        return;
    }
    if (c->stalled_ns == 0)
        c->stalled_ns = clock_now_ns(c->net->clock);
    if (c->written > c->out.len / 2) {
        buf_consume(&c->out, c->written);
        c->written = 0;
    }
    CHECK(event_add(c->writable, NULL) == 0);
}

static void begin_turn(struct net_tcp *net)
{
    if (net->turn_ns)
        return;
    net->turn_ns = clock_now_ns(net->clock);
    event_active(net->turn_end, EV_TIMEOUT, 0);
}

static bool fits(const struct conn *c, size_t len)
{
    const struct net_tcp *net = c->net;
    size_t waits = c->out.len - c->written;

    if (waits + len > NET_TCP_QUEUE_MAX || net->queued + len > NET_TCP_QUEUED_MAX)
        return false;
    if (c->rank >= RANK_MEMBER)
        return true;
    return (waits == 0 || waits + len <= NET_TCP_STRANGER_QUEUE_MAX) &&
           net->strangers_queued + len <= NET_TCP_STRANGERS_MAX;
}

int conn_queue(struct conn *c, struct bytes frame)
{
    if (!fits(c, frame.len))
        return KELPIE_E_LIMIT;
    buf_append_bytes(&c->out, frame);
    room_queued(c, (long)frame.len);
    if ((c->connected || c->fd < 0) && list_empty(&c->dirty)) {
        list_append(&c->net->dirty, &c->dirty);
        begin_turn(c->net);
    }
    return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)what;
    if (!c->connected) {
        if (tcp_connect_result(fd)) {
            conn_close(c, "refused");
            return;
        }
        timer_stop(&c->connect_timer);
        c->connected = true;
        CHECK(event_add(c->readable, NULL) == 0);
    }
    conn_write(c);
}

/* ---- in ---- */

static bool is_strange(const struct conn *c)
{
    return c->rank < RANK_MEMBER;
}

void conn_used(struct conn *c)
{
    c->used_ns = c->net->turn_ns ? c->net->turn_ns : clock_now_ns(c->net->clock);
    list_remove(&c->link);
    list_append(&c->net->ranks[c->rank], &c->link);
}

static void open_window(struct net_tcp *net, uint64_t now)
{
    if (now - net->window_ns < NET_TCP_STRANGERS_WINDOW_NS)
        return;
    net->window_ns = now;
    net->window_left_ns = NET_TCP_STRANGERS_NS;
}

/* There is time for frames of this connection, which has its go since `from_ns`. */
static bool may_deal(const struct conn *c, uint64_t from_ns, uint64_t now)
{
    if (is_strange(c))
        return now - from_ns < c->net->window_left_ns;
    return now - c->net->turn_ns < NET_TCP_TURN_NS;
}

static void spend(struct net_tcp *net, uint64_t from_ns)
{
    uint64_t spent = clock_now_ns(net->clock) - from_ns;

    net->window_left_ns -= spent < net->window_left_ns ? spent : net->window_left_ns;
}

/* What the receiver said of a frame. False: the connection is gone. */
static bool note_standing(struct conn *c, enum net_standing standing)
{
    if (standing == NET_REFUSED) {
        if (++c->refused < NET_TCP_REFUSED_MAX)
            return true;
        c->net->counts.closed_refused++;
        conn_close(c, "refused_frames");
        return false;
    }
    c->refused = 0;
    if (standing == NET_MEMBER && is_strange(c))
        room_rank(c, RANK_MEMBER);
    else if (standing == NET_STRANGER && c->rank == RANK_SILENT)
        room_rank(c, RANK_STRANGER);
    conn_used(c);
    return true;
}

/* One whole frame. False: the connection is gone. */
static bool deal_one(struct conn *c, struct bytes frame)
{
    struct net_tcp *net = c->net;
    struct net_from from = {
        .conn = c->handle,
        .dialled = c->rank == RANK_DIALLED ? c->addr : "",
        .identity = "",
        .somewhere = c->addr,
    };
    enum net_standing standing;

    if (!net->events)
        return true;
    net->dealing = c;
    standing = net->events->frame(net->events_arg, &from, net_frame_payload(frame));
    CHECK(net->dealing == c);
    net->dealing = NULL;
    return note_standing(c, standing);
}

#define GONE (-1)

/* After `count` frames of a go. A member's are looked at by the clock now and then. */
static bool go_is_over(const struct conn *c, unsigned count, uint64_t from_ns)
{
    if (count == 0 || (!is_strange(c) && count % FRAMES_A_LOOK))
        return false;
    return count == NET_TCP_FRAMES_A_GO || !may_deal(c, from_ns, clock_now_ns(c->net->clock));
}

/* Deals with whole frames at the front. Returns how many bytes those were, or GONE. *more: it
 * stopped for their number, or for the time. */
static long deal(struct conn *c, struct bytes bytes, uint64_t from_ns, bool *more)
{
    size_t done = 0;

    *more = false;
    for (unsigned count = 0; done < bytes.len; count++) {
        struct bytes rest = bytes_of(bytes.data + done, bytes.len - done);
        long len;

        if (go_is_over(c, count, from_ns)) {
            *more = true;
            break;
        }
        len = net_frame_scan(rest);
        if (len < 0) {
            conn_bad(c, (int)len);
            return GONE;
        }
        if (len == 0)
            break;
        if (!deal_one(c, bytes_of(rest.data, (size_t)len)))
            return GONE;
        done += (size_t)len;
    }
    return (long)done;
}

/* Reads nothing until it has had its go. */
static void wait_for_go(struct conn *c)
{
    (void)event_del(c->readable);
    list_append(is_strange(c) ? &c->net->ready_strangers : &c->net->ready_members, &c->ready);
}

/* One read, into the area that all share, or on behind the beginning of a frame. Returns what
 * tcp_read does; what came is `*got`, which begins with what there was. */
static long read_some(struct conn *c, struct bytes *got)
{
    size_t size = is_strange(c) ? NET_TCP_STRANGER_READ_SIZE : NET_TCP_READ_SIZE;
    uint8_t *to = c->in.len ? buf_reserve(&c->in, size) : c->net->read_area;
    long n = tcp_read(c->fd, to, size);

    if (n <= 0)
        return n;
    c->net->counts.bytes_received += (size_t)n;
    if (c->in.len) {
        c->in.len += (size_t)n;
        room_unread(c, n);
        *got = buf_bytes(&c->in);
    } else {
        *got = bytes_of(to, (size_t)n);
    }
    return n;
}

/* Keeps what is left of what was read. `fresh`: it lies in the shared area. */
static void keep_rest(struct conn *c, struct bytes got, size_t done, bool fresh)
{
    if (fresh) {
        buf_append(&c->in, got.data + done, got.len - done);
        room_unread(c, (long)(got.len - done));
    } else {
        room_unread(c, -(long)done);
        buf_consume(&c->in, done);
        if (c->in.len == 0 && c->in.cap > BUF_KEEP_MAX)
            buf_deinit(&c->in);
    }
    if (c->in.len && (fresh || done))
        c->frame_ns = clock_now_ns(c->net->clock);
}

static void read_on(struct conn *c)
{
    if (list_empty(&c->ready))
        CHECK(event_add(c->readable, NULL) == 0);
}

/* One read, and what came of it. False: the connection is gone. */
static bool read_and_deal(struct conn *c, uint64_t from_ns)
{
    bool fresh = c->in.len == 0;
    struct bytes got;
    long done, n = read_some(c, &got);

    if (n == TCP_CLOSED) {
        conn_close(c, "closed");
        return false;
    }
    if (n <= 0)
        return true;
    done = deal(c, got, from_ns, &c->has_frames);
    if (done == GONE)
        return false;
    keep_rest(c, got, (size_t)done, fresh);
    if (c->has_frames)
        wait_for_go(c);
    return c->has_frames || room_keeps(c->net, c);
}

/* What was read, and had to wait. */
static void deal_on(struct conn *c, uint64_t from_ns)
{
    struct bytes rest = bytes_of(c->in.data + c->taken, c->in.len - c->taken);
    long done = deal(c, rest, from_ns, &c->has_frames);

    if (done == GONE)
        return;
    c->taken += (size_t)done;
    room_unread(c, -done);
    if (c->has_frames) {
        wait_for_go(c);
        return;
    }
    buf_consume(&c->in, c->taken);
    c->taken = 0;
    if (c->in.len)
        c->frame_ns = clock_now_ns(c->net->clock);
    else if (c->in.cap > BUF_KEEP_MAX)
        buf_deinit(&c->in);
    read_on(c);
}

static void take_go(struct conn *c, uint64_t from_ns)
{
    if (c->has_frames)
        deal_on(c, from_ns);
    else if (read_and_deal(c, from_ns))
        read_on(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct net_tcp *net = c->net;
    bool strange = is_strange(c);
    uint64_t from_ns;

    (void)fd;
    (void)what;
    begin_turn(net);
    from_ns = clock_now_ns(net->clock);
    open_window(net, from_ns);
    if (!may_deal(c, from_ns, from_ns)) {
        wait_for_go(c);
        return;
    }
    (void)read_and_deal(c, from_ns);
    if (strange)
        spend(net, from_ns);
}

static void give_goes(struct net_tcp *net)
{
    uint64_t now = clock_now_ns(net->clock);

    while (!list_empty(&net->ready_members) && now - net->turn_ns < NET_TCP_TURN_NS) {
        take_go(LIST_ENTRY(list_pop(&net->ready_members), struct conn, ready), now);
        now = clock_now_ns(net->clock);
    }
    open_window(net, now);
    while (!list_empty(&net->ready_strangers) && net->window_left_ns > 0) {
        take_go(LIST_ENTRY(list_pop(&net->ready_strangers), struct conn, ready), now);
        spend(net, now);
        now = clock_now_ns(net->clock);
    }
    if (!list_empty(&net->ready_members))
        timer_start(&net->again, 0);
    if (!list_empty(&net->ready_strangers) && !net->later.armed)
        timer_start(&net->later, NET_TCP_STRANGERS_WINDOW_NS);
}

void conns_turn(struct net_tcp *net)
{
    struct list *item;

    if (net->turn_ns == 0)
        net->turn_ns = clock_now_ns(net->clock);
    if (!list_empty(&net->ready_members) || !list_empty(&net->ready_strangers))
        give_goes(net);
    while ((item = list_pop(&net->dirty))) {
        struct conn *c = LIST_ENTRY(item, struct conn, dirty);

        if (c->fd < 0)
            conn_close(c, "no_such_address_or_route");
        else if (c->out.len > c->written)
            conn_write(c);
    }
    net->turn_ns = 0;
}

static struct conn *not_looked(const struct net_tcp *net, enum conn_rank rank)
{
    LIST_FOREACH(l, &net->ranks[rank])
    {
        struct conn *c = LIST_ENTRY(l, struct conn, link);
        if (c->looked != net->looks)
            return c;
    }
    return NULL;
}

void conns_look(struct net_tcp *net)
{
    static const enum conn_rank ranks[] = {RANK_MEMBER, RANK_DIALLED};
    uint64_t now = clock_now_ns(net->clock);
    struct conn *c;

    net->looks++;
    if (net->turn_ns == 0)
        net->turn_ns = now;
    for (size_t i = 0; i < ARRAY_LEN(ranks); i++) {
        while (now - net->turn_ns < NET_TCP_TURN_NS && (c = not_looked(net, ranks[i]))) {
            c->looked = net->looks;
            if (c->connected && list_empty(&c->ready))
                (void)read_and_deal(c, now);
            now = clock_now_ns(net->clock);
        }
    }
    conns_turn(net);
}

/* ---- the beginning ---- */

static void on_connect_timeout(void *arg)
{
    conn_close(arg, "connect_timeout");
}

struct conn *conn_new(struct net_tcp *net, const char *addr, int fd, bool dialled)
{
    struct conn *c = MEM_NEW(net->mem, struct conn);

    c->net = net;
    c->fd = fd;
    c->connected = !dialled;
    (void)snprintf(c->addr, sizeof c->addr, "%s", addr);
    list_init(&c->dirty);
    list_init(&c->ready);
    buf_init(&c->in, net->mem);
    buf_init(&c->out, net->mem);
    timer_init(&c->connect_timer, loop_timers(net->loop), "connect", on_connect_timeout, c);
    c->used_ns = clock_now_ns(net->clock);
    room_enter(c, dialled ? RANK_DIALLED : RANK_SILENT);
    if (dialled)
        CHECK(!map_insert(&net->peers, &c->node, bytes_of_str(c->addr)));
    else
        room_name(c);
    if (fd < 0)
        return c; /* told from the turn's end, not from within the send */
    c->readable = event_new(loop_base(net->loop), fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(loop_base(net->loop), fd, EV_WRITE | EV_PERSIST, on_writable, c);
    CHECK(c->readable && c->writable);
    CHECK(event_add(dialled ? c->writable : c->readable, NULL) == 0);
    if (dialled)
        timer_start(&c->connect_timer, NET_TCP_CONNECT_MS * NS_PER_MS);
    return c;
}
