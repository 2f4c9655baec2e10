/*
 * Frames to send gather in the peer's buffer and leave in one write when the events of this turn of
 * the loop have run, so a node that answers many calls in one turn pays for one system call.
 *
 * Outgoing connections only send: the other side answers on an outgoing connection of its own. So
 * they are read for one thing alone, the end of the stream.
 */
#include "loop/net_tcp.h"

#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#include "base/list.h"
#include "base/map.h"
#include "kelpie/error.h"
#include "loop/tcp_socket.h"

#define READ_SIZE (256u * 1024)
/* A buffer that grew beyond this gives its memory back when it is empty. */
#define BUF_KEEP_MAX (64u * 1024)
#define SWEEP_NS (10 * NS_PER_S)
/* The side that sends closes first, so that no frame meets a closing connection. */
#define INCOMING_IDLE_NS (2 * NET_TCP_IDLE_S * NS_PER_S)
#define OUTGOING_IDLE_NS (NET_TCP_IDLE_S * NS_PER_S)

/* An outgoing connection; it exists as long as its socket. */
struct peer {
    struct map_node node;
    struct list dirty; /* in net->dirty: has something to write or to tell */
    struct net_tcp *net;
    char addr[NET_ADDR_SIZE];
    int fd; /* negative: could not even begin to connect */
    bool connected;
    struct event *readable;
    struct event *writable;
    struct timer connect_timer;
    struct buf out;
    size_t written; /* of `out` */
    uint64_t used_ns;
};

struct incoming {
    struct list link;
    struct net_tcp *net;
    char from[NET_ADDR_SIZE];
    int fd;
    struct event *readable;
    struct buf in;
    uint64_t used_ns;
};

struct net_tcp {
    struct loop *loop;
    struct mem mem;
    const struct log *log;
    struct clock clock;
    struct tcp_listener *listener;
    const struct net_events *events;
    void *events_arg;
    struct map peers;
    struct list dirty;
    struct event *flush;
    struct list incoming;
    size_t incoming_count;
    struct timer sweep;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint8_t read_area[READ_SIZE];
};

/* ---- outgoing ---- */

static void peer_free(struct peer *p)
{
    map_remove(&p->net->peers, &p->node);
    list_remove(&p->dirty);
    timer_stop(&p->connect_timer);
    if (p->readable)
        event_free(p->readable);
    if (p->writable)
        event_free(p->writable);
    if (p->fd >= 0)
        (void)close(p->fd);
    buf_deinit(&p->out);
    mem_free(p->net->mem, p);
}

static void peer_down(struct peer *p, const char *cause)
{
    struct net_tcp *net = p->net;
    char addr[NET_ADDR_SIZE];

    memcpy(addr, p->addr, sizeof addr);
    log_debug(net->log, "peer_down", "addr=%s cause=%s dropped_bytes=%zu", addr, cause,
              p->out.len - p->written);
    peer_free(p);
    if (net->events)
        net->events->down(net->events_arg, addr);
}

static void peer_emptied(struct peer *p)
{
    p->written = 0;
    if (p->out.cap > BUF_KEEP_MAX)
        buf_deinit(&p->out);
    else
        buf_clear(&p->out);
    (void)event_del(p->writable);
}

/* Writes what there is; what does not fit waits until the socket is writable. */
static void peer_write(struct peer *p)
{
    long n = tcp_write(p->fd, p->out.data + p->written, p->out.len - p->written);

    if (n == TCP_CLOSED) {
        peer_down(p, "reset");
        return;
    }
    if (n > 0) {
        p->written += (size_t)n;
        p->net->bytes_sent += (size_t)n;
        p->used_ns = clock_now_ns(p->net->clock);
    }
    if (p->written == p->out.len) {
        peer_emptied(p);
        return;
    }
    if (p->written > p->out.len / 2) {
        buf_consume(&p->out, p->written);
        p->written = 0;
    }
    CHECK(event_add(p->writable, NULL) == 0);
}

static void on_peer_writable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;

    (void)what;
    if (!p->connected) {
        if (tcp_connect_result(fd)) {
            peer_down(p, "refused");
            return;
        }
        timer_stop(&p->connect_timer);
        p->connected = true;
        CHECK(event_add(p->readable, NULL) == 0);
    }
    peer_write(p);
}

static void on_peer_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peer *p = arg;
    char byte;
    long n = tcp_read(fd, &byte, sizeof byte);

    (void)what;
    if (n == TCP_CLOSED)
        peer_down(p, "closed");
    else if (n > 0)
        peer_down(p, "talks_on_the_wrong_side");
}

static void on_connect_timeout(void *arg)
{
    peer_down(arg, "connect_timeout");
}

static void peer_connect(struct peer *p)
{
    struct net_tcp *net = p->net;

    p->fd = tcp_connect(p->addr);
    if (p->fd < 0)
        return; /* told from the flush, not from within the send */
    p->readable = event_new(loop_base(net->loop), p->fd, EV_READ | EV_PERSIST, on_peer_readable, p);
    p->writable =
        event_new(loop_base(net->loop), p->fd, EV_WRITE | EV_PERSIST, on_peer_writable, p);
    CHECK(p->readable && p->writable && event_add(p->writable, NULL) == 0);
    timer_start(&p->connect_timer, NET_TCP_CONNECT_MS * NS_PER_MS);
}

static struct peer *peer_get(struct net_tcp *net, const char *addr)
{
    struct peer *p = MAP_ENTRY(map_find(&net->peers, bytes_of_str(addr)), struct peer, node);

    if (p || net->peers.count >= NET_TCP_PEERS_MAX || strlen(addr) >= sizeof p->addr)
        return p;
    p = MEM_NEW(net->mem, struct peer);
    p->net = net;
    memcpy(p->addr, addr, strlen(addr) + 1);
    list_init(&p->dirty);
    buf_init(&p->out, net->mem);
    timer_init(&p->connect_timer, loop_timers(net->loop), "connect", on_connect_timeout, p);
    p->used_ns = clock_now_ns(net->clock);
    CHECK(!map_insert(&net->peers, &p->node, bytes_of_str(p->addr)));
    peer_connect(p);
    return p;
}

static int tcp_net_send(void *ctx, const char *addr, struct bytes frame)
{
    struct net_tcp *net = ctx;
    struct peer *p = peer_get(net, addr);

    if (!p || p->out.len - p->written + frame.len > NET_TCP_QUEUE_MAX)
        return KELPIE_E_LIMIT;
    buf_append_bytes(&p->out, frame);
    if ((p->connected || p->fd < 0) && list_empty(&p->dirty)) {
        list_append(&net->dirty, &p->dirty);
        event_active(net->flush, EV_TIMEOUT, 0);
    }
    return 0;
}

/* Runs after the events that are active now. */
static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct net_tcp *net = arg;
    struct list *item;

    (void)fd;
    (void)what;
    while ((item = list_pop(&net->dirty))) {
        struct peer *p = LIST_ENTRY(item, struct peer, dirty);

        if (p->fd < 0)
            peer_down(p, "no_such_address_or_route");
        else if (p->out.len > p->written)
            peer_write(p);
    }
}

/* ---- incoming ---- */

static void incoming_free(struct incoming *c)
{
    list_remove(&c->link);
    c->net->incoming_count--;
    if (c->readable)
        event_free(c->readable);
    (void)close(c->fd);
    buf_deinit(&c->in);
    mem_free(c->net->mem, c);
}

static void incoming_bad(struct incoming *c, int error)
{
    struct net_tcp *net = c->net;
    char from[NET_ADDR_SIZE];

    memcpy(from, c->from, sizeof from);
    incoming_free(c);
    if (net->events)
        net->events->bad(net->events_arg, from, error);
}

/* Passes on every whole frame at the front of `bytes`. Returns how much that was, or a negative
 * error after which the connection is gone. */
static long incoming_frames(struct incoming *c, struct bytes bytes)
{
    struct net_tcp *net = c->net;
    size_t done = 0;

    while (done < bytes.len) {
        struct bytes rest = bytes_of(bytes.data + done, bytes.len - done);
        long len = net_frame_scan(rest);

        if (len < 0) {
            incoming_bad(c, (int)len);
            return len;
        }
        if (len == 0)
            break;
        if (net->events)
            net->events->frame(net->events_arg,
                               net_frame_payload(bytes_of(rest.data, (size_t)len)));
        done += (size_t)len;
    }
    return (long)done;
}

/* Reads into the area that all connections share; only the beginning of a frame is kept. */
static long incoming_read_fresh(struct incoming *c)
{
    uint8_t *area = c->net->read_area;
    long n = tcp_read(c->fd, area, READ_SIZE);
    long done;

    if (n <= 0)
        return n;
    done = incoming_frames(c, bytes_of(area, (size_t)n));
    if (done >= 0)
        buf_append(&c->in, area + done, (size_t)(n - done));
    return done < 0 ? done : n;
}

/* Reads on behind the beginning of a frame. The buffer never holds more than one frame and one
 * read. */
static long incoming_read_on(struct incoming *c)
{
    long n = tcp_read(c->fd, buf_reserve(&c->in, READ_SIZE), READ_SIZE);
    long done;

    if (n <= 0)
        return n;
    c->in.len += (size_t)n;
    done = incoming_frames(c, buf_bytes(&c->in));
    if (done < 0)
        return done;
    buf_consume(&c->in, (size_t)done);
    if (c->in.len == 0 && c->in.cap > BUF_KEEP_MAX)
        buf_deinit(&c->in);
    return n;
}

static void on_incoming_readable(evutil_socket_t fd, short what, void *arg)
{
    struct incoming *c = arg;
    struct net_tcp *net = c->net;
    /* Below TCP_CLOSED: a bad frame, and `c` is gone. */
    long n = c->in.len ? incoming_read_on(c) : incoming_read_fresh(c);

    (void)fd;
    (void)what;
    if (n == TCP_CLOSED) {
        incoming_free(c);
    } else if (n > 0) {
        net->bytes_received += (size_t)n;
        c->used_ns = clock_now_ns(net->clock);
    }
}

static void on_accept(void *arg, int fd, const char *from)
{
    struct net_tcp *net = arg;
    struct incoming *c;

    if (net->incoming_count >= NET_TCP_INCOMING_MAX) {
        log_warn(net->log, "connection_refused", "from=%s cause=limit limit=%u", from,
                 NET_TCP_INCOMING_MAX);
        (void)close(fd);
        return;
    }
    c = MEM_NEW(net->mem, struct incoming);
    c->net = net;
    c->fd = fd;
    (void)snprintf(c->from, sizeof c->from, "%s", from);
    buf_init(&c->in, net->mem);
    c->used_ns = clock_now_ns(net->clock);
    list_append(&net->incoming, &c->link);
    net->incoming_count++;
    c->readable =
        event_new(loop_base(net->loop), fd, EV_READ | EV_PERSIST, on_incoming_readable, c);
    CHECK(c->readable);
    if (event_add(c->readable, NULL))
        incoming_free(c);
}

/* ---- the whole ---- */

static void on_sweep(void *arg)
{
    struct net_tcp *net = arg;
    uint64_t now = clock_now_ns(net->clock);
    struct map_node *next;

    for (struct map_node *n = map_first(&net->peers); n; n = next) {
        struct peer *p = MAP_ENTRY(n, struct peer, node);

        next = map_next(n);
        if (p->connected && p->out.len == 0 && now - p->used_ns >= OUTGOING_IDLE_NS)
            peer_free(p);
    }
    LIST_FOREACH_SAFE(it, after, &net->incoming)
    {
        struct incoming *c = LIST_ENTRY(it, struct incoming, link);

        if (now - c->used_ns >= INCOMING_IDLE_NS)
            incoming_free(c);
    }
    timer_start(&net->sweep, SWEEP_NS);
}

static void tcp_net_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct net_tcp *net = ctx;

    net->events = events;
    net->events_arg = arg;
}

struct net_tcp *net_tcp_new(struct loop *loop, struct mem mem, const struct log *log,
                            const char *addr, char *why, size_t why_size)
{
    struct net_tcp *net = MEM_NEW(mem, struct net_tcp);

    net->loop = loop;
    net->mem = mem;
    net->log = log;
    net->clock = loop_clock(loop);
    map_init(&net->peers);
    list_init(&net->dirty);
    list_init(&net->incoming);
    net->flush = event_new(loop_base(loop), -1, EV_TIMEOUT, on_flush, net);
    CHECK(net->flush);
    timer_init(&net->sweep, loop_timers(loop), "net_sweep", on_sweep, net);
    net->listener = tcp_listen(loop, mem, addr, on_accept, net, why, why_size);
    if (!net->listener) {
        net_tcp_free(net);
        return NULL;
    }
    timer_start(&net->sweep, SWEEP_NS);
    return net;
}

void net_tcp_free(struct net_tcp *net)
{
    struct map_node *n;

    if (!net)
        return;
    tcp_listener_free(net->listener);
    timer_stop(&net->sweep);
    while ((n = map_first(&net->peers)))
        peer_free(MAP_ENTRY(n, struct peer, node));
    LIST_FOREACH_SAFE(it, next, &net->incoming)
    incoming_free(LIST_ENTRY(it, struct incoming, link));
    event_free(net->flush);
    mem_free(net->mem, net);
}

const char *net_tcp_addr(const struct net_tcp *net)
{
    return tcp_listener_addr(net->listener);
}

struct net net_tcp_net(struct net_tcp *net)
{
    static const struct net_ops ops = {.send = tcp_net_send, .receive = tcp_net_receive};

    return (struct net){.ops = &ops, .ctx = net};
}

struct net_tcp_counts net_tcp_counts(const struct net_tcp *net)
{
    return (struct net_tcp_counts){
        .outgoing = net->peers.count,
        .incoming = net->incoming_count,
        .bytes_sent = net->bytes_sent,
        .bytes_received = net->bytes_received,
    };
}
