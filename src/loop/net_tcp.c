#include "loop/net_tcp.h"

#include <event2/event.h>
#include <unistd.h>

#include "kelpie/error.h"
#include "loop/net_tcp_conn.h"
#include "loop/tcp_socket.h"

#define SWEEP_NS (1 * NS_PER_S)

/* ---- sending ---- */

static struct conn *peer_get(struct net_tcp *net, const char *addr)
{
    struct conn *c = MAP_ENTRY(map_find(&net->peers, bytes_of_str(addr)), struct conn, node);

    if (c)
        return c;
    if (strlen(addr) >= sizeof c->addr || !room_for_dialled(net))
        return NULL;
    return conn_new(net, addr, tcp_connect(addr), true);
}

static int tcp_net_send(void *ctx, const char *addr, struct bytes frame)
{
    struct conn *c = peer_get(ctx, addr);

    return c ? conn_queue(c, frame) : KELPIE_E_LIMIT;
}

static int tcp_net_answer(void *ctx, struct net_conn conn, struct bytes frame)
{
    struct net_tcp *net = ctx;
    struct conn *c = room_find(net, conn);
    int error;

    if (!c) {
        net->counts.answers_gone++;
        return KELPIE_E_UNREACHABLE;
    }
    error = conn_queue(c, frame);
    net->counts.answers_dropped += error != 0;
    return error;
}

/* ---- accepting ---- */

static void on_accept(void *arg, int fd, const char *from)
{
    struct net_tcp *net = arg;

    if (!room_for_accepted(net)) {
        (void)close(fd);
        return;
    }
    tcp_set_outgoing(fd);
    (void)conn_new(net, from, fd, false);
}

/* ---- the whole ---- */

static void on_turn_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conns_turn(arg);
}

static void on_again(void *arg)
{
    struct net_tcp *net = arg;

    event_active(net->turn_end, EV_TIMEOUT, 0);
}

static void on_sweep(void *arg)
{
    struct net_tcp *net = arg;

    room_sweep(net);
    timer_start(&net->sweep, SWEEP_NS);
}

static void on_come_round(evutil_socket_t fd, short what, void *arg)
{
    struct net_tcp *net = arg;

    (void)fd;
    (void)what;
    net->is_behind = false;
}

/* A node that does not answer pings for a while is taken for one that is cut off. */
static void on_look(void *arg)
{
    struct net_tcp *net = arg;

    if (net->is_behind) {
        conns_look(net);
    } else {
        net->is_behind = true;
        event_active(net->come_round, EV_TIMEOUT, 0);
    }
    timer_start(&net->look, NET_TCP_LOOK_NS);
}

static void tcp_net_receive(void *ctx, const struct net_events *events, void *arg)
{
    struct net_tcp *net = ctx;

    net->events = events;
    net->events_arg = arg;
}

static struct net_counts tcp_net_counts(void *ctx)
{
    const struct net_tcp *net = ctx;
    struct net_counts counts = net->counts;

    counts.outgoing = net->rank_counts[RANK_DIALLED];
    counts.members = net->rank_counts[RANK_MEMBER];
    counts.incoming =
        net->rank_counts[RANK_SILENT] + net->rank_counts[RANK_STRANGER] + counts.members;
    counts.bytes_queued = net->queued;
    return counts;
}

struct net_tcp *net_tcp_new(struct loop *loop, struct mem mem, const struct log *log,
                            const char *addr, char *why, size_t why_size)
{
    struct net_tcp *net = MEM_NEW(mem, struct net_tcp);
    struct timers timers = loop_timers(loop);

    net->loop = loop;
    net->mem = mem;
    net->log = log;
    net->clock = loop_clock(loop);
    map_init(&net->peers);
    list_init(&net->dirty);
    list_init(&net->ready_members);
    list_init(&net->ready_strangers);
    room_init(net);
    net->turn_end = event_new(loop_base(loop), -1, EV_TIMEOUT, on_turn_end, net);
    net->come_round = event_new(loop_base(loop), -1, EV_TIMEOUT, on_come_round, net);
    CHECK(net->turn_end && net->come_round);
    timer_init(&net->again, timers, "net_again", on_again, net);
    timer_init(&net->later, timers, "net_later", on_again, net);
    timer_init(&net->sweep, timers, "net_sweep", on_sweep, net);
    timer_init(&net->look, timers, "net_look", on_look, net);
    timer_urgent(&net->look);
    net->listener = tcp_listen(loop, mem, addr, on_accept, net, why, why_size);
    if (!net->listener) {
        net_tcp_free(net);
        return NULL;
    }
    timer_start(&net->sweep, SWEEP_NS);
    timer_start(&net->look, NET_TCP_LOOK_NS);
    return net;
}

void net_tcp_limit(struct net_tcp *net, unsigned outgoing, unsigned incoming)
{
    CHECK(outgoing > 0 && incoming > 0);
    if (outgoing < net->outgoing_max)
        net->outgoing_max = outgoing;
    if (incoming < net->incoming_max)
        net->incoming_max = incoming;
}

void net_tcp_free(struct net_tcp *net)
{
    if (!net)
        return;
    tcp_listener_free(net->listener);
    timer_stop(&net->sweep);
    timer_stop(&net->look);
    timer_stop(&net->again);
    timer_stop(&net->later);
    for (int rank = 0; rank < RANK_COUNT; rank++)
        while (!list_empty(&net->ranks[rank]))
            conn_free(LIST_ENTRY(net->ranks[rank].next, struct conn, link));
    event_free(net->turn_end);
    event_free(net->come_round);
    mem_free(net->mem, net);
}

const char *net_tcp_addr(const struct net_tcp *net)
{
    return tcp_listener_addr(net->listener);
}

struct net net_tcp_net(struct net_tcp *net)
{
    static const struct net_ops ops = {
        .send = tcp_net_send,
        .answer = tcp_net_answer,
        .receive = tcp_net_receive,
        .counts = tcp_net_counts,
    };

    return (struct net){.ops = &ops, .ctx = net};
}
