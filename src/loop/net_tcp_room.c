/*
 * Who may stay. Of the accepted connections the one goes first that is longest without a frame of
 * any use: first of those that have never sent one, unless they are few, then of strangers, then of
 * members. So strangers, however many and however silent, keep no member from its place; and who
 * has just been accepted has a quarter of the room to say its first word in.
 */
#include "kelpie/error.h"
#include "loop/net_tcp_conn.h"

#define SILENT_PART 4 /* of the room, in which the silent are safe from those who talk */
#define TELL_NS (10 * NS_PER_S)

void room_init(struct net_tcp *net)
{
    net->outgoing_max = NET_TCP_PEERS_MAX;
    net->incoming_max = NET_TCP_INCOMING_MAX;
    for (int rank = 0; rank < RANK_COUNT; rank++)
        list_init(&net->ranks[rank]);
    for (uint32_t i = 0; i < NET_TCP_INCOMING_MAX; i++) {
        net->slots[i].generation = 1;
        net->free_slots[i] = NET_TCP_INCOMING_MAX - 1 - i;
    }
    net->free_slot_count = NET_TCP_INCOMING_MAX;
}

static bool is_strange(const struct conn *c)
{
    return c->rank < RANK_MEMBER;
}

static size_t waiting(const struct conn *c)
{
    return c->out.len - c->written;
}

static size_t unread(const struct conn *c)
{
    return c->in.len - c->taken;
}

void room_enter(struct conn *c, enum conn_rank rank)
{
    c->rank = rank;
    list_append(&c->net->ranks[rank], &c->link);
    c->net->rank_counts[rank]++;
}

void room_rank(struct conn *c, enum conn_rank rank)
{
    struct net_tcp *net = c->net;
    bool was_strange = is_strange(c);

    list_remove(&c->link);
    net->rank_counts[c->rank]--;
    room_enter(c, rank);
    if (was_strange && !is_strange(c)) {
        net->strangers_queued -= waiting(c);
        net->strangers_unread -= unread(c);
    }
}

void room_leave(struct conn *c)
{
    struct net_tcp *net = c->net;

    room_queued(c, -(long)waiting(c));
    room_unread(c, -(long)unread(c));
    list_remove(&c->link);
    net->rank_counts[c->rank]--;
    if (c->handle.id) {
        uint32_t slot = (uint32_t)(c->handle.id & UINT32_MAX) - 1;
        net->slots[slot].conn = NULL;
        net->slots[slot].generation++;
        net->free_slots[net->free_slot_count++] = slot;
    }
}

void room_name(struct conn *c)
{
    struct net_tcp *net = c->net;
    uint32_t slot;

    CHECK(net->free_slot_count > 0);
    slot = net->free_slots[--net->free_slot_count];
    net->slots[slot].conn = c;
    c->handle.id = (uint64_t)net->slots[slot].generation << 32 | (slot + 1);
}

struct conn *room_find(struct net_tcp *net, struct net_conn handle)
{
    uint64_t slot = (handle.id & UINT32_MAX) - 1;

    if (slot >= NET_TCP_INCOMING_MAX || net->slots[slot].generation != handle.id >> 32)
        return NULL;
    return net->slots[slot].conn;
}

void room_queued(struct conn *c, long bytes)
{
    c->net->queued = (size_t)((long)c->net->queued + bytes);
    if (is_strange(c))
        c->net->strangers_queued = (size_t)((long)c->net->strangers_queued + bytes);
}

void room_unread(struct conn *c, long bytes)
{
    if (is_strange(c))
        c->net->strangers_unread = (size_t)((long)c->net->strangers_unread + bytes);
}

/* One line in TELL_NS, however many come. */
static void tell_full(struct net_tcp *net, const struct conn *c)
{
    uint64_t now = clock_now_ns(net->clock);

    net->counts.closed_full++;
    net->told_full++;
    if (net->told_full_ns && now - net->told_full_ns < TELL_NS)
        return;
    log_warn(net->log, "rpc_connections_full",
             "closed=%s more_closed=%llu incoming_max=%u dialled_max=%u", c->addr,
             (unsigned long long)(net->told_full - 1), net->incoming_max, net->outgoing_max);
    net->told_full_ns = now;
    net->told_full = 0;
}

static struct conn *first(const struct net_tcp *net, enum conn_rank rank)
{
    const struct list *l = &net->ranks[rank];

    return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct conn, link);
}

static struct conn *dispensable(const struct net_tcp *net)
{
    struct conn *silent = first(net, RANK_SILENT), *stranger = first(net, RANK_STRANGER);

    if (silent && (!stranger || net->rank_counts[RANK_SILENT] * SILENT_PART > net->incoming_max))
        return silent;
    return stranger ? stranger : first(net, RANK_MEMBER);
}

bool room_for_accepted(struct net_tcp *net)
{
    size_t count = net->rank_counts[RANK_SILENT] + net->rank_counts[RANK_STRANGER] +
                   net->rank_counts[RANK_MEMBER];
    struct conn *c;

    if (count < net->incoming_max)
        return true;
    c = dispensable(net);
    CHECK(c && c != net->dealing);
    tell_full(net, c);
    conn_close(c, "room_for_another");
    return true;
}

bool room_for_dialled(struct net_tcp *net)
{
    if (net->rank_counts[RANK_DIALLED] < net->outgoing_max)
        return true;
    LIST_FOREACH(l, &net->ranks[RANK_DIALLED])
    {
        struct conn *c = LIST_ENTRY(l, struct conn, link);

        if (c == net->dealing || !c->connected || waiting(c) > 0 || !list_empty(&c->dirty))
            continue;
        tell_full(net, c);
        conn_close(c, "room_for_another");
        return true;
    }
    return false;
}

bool room_keeps(struct net_tcp *net, const struct conn *c)
{
    struct conn *most = NULL;

    if (net->strangers_unread <= NET_TCP_STRANGERS_MAX)
        return true;
    for (int rank = RANK_SILENT; rank <= RANK_STRANGER; rank++) {
        LIST_FOREACH(l, &net->ranks[rank])
        {
            struct conn *one = LIST_ENTRY(l, struct conn, link);
            if (!most || unread(one) > unread(most))
                most = one;
        }
    }
    CHECK(most);
    bool keeps = most != c;
    tell_full(net, most);
    conn_close(most, "room_for_bytes");
    return keeps;
}

/* Why it is closed now, or NULL. */
static const char *overdue(struct conn *c, uint64_t now)
{
    uint64_t unused = now - c->used_ns;

    if (c->stalled_ns && now - c->stalled_ns >= NET_TCP_STALLED_S * NS_PER_S)
        return "does_not_read";
    if (unread(c) > 0 && list_empty(&c->ready) && now - c->frame_ns >= NET_TCP_FRAME_S * NS_PER_S)
        return "unfinished_frame";
    if (c->rank == RANK_SILENT && unused >= NET_TCP_FIRST_FRAME_S * NS_PER_S)
        return "no_first_frame";
    if (c->rank == RANK_STRANGER && unused >= NET_TCP_STRANGER_IDLE_S * NS_PER_S)
        return "idle";
    if (c->rank == RANK_MEMBER && unused >= 2 * NET_TCP_IDLE_S * NS_PER_S)
        return "idle";
    if (c->rank == RANK_DIALLED && c->connected && waiting(c) == 0 &&
        unused >= NET_TCP_IDLE_S * NS_PER_S)
        return "idle";
    return NULL;
}

/* Whoever is told of a close only notes it, so the walk goes on. */
void room_sweep(struct net_tcp *net)
{
    uint64_t now = clock_now_ns(net->clock);

    for (int rank = 0; rank < RANK_COUNT; rank++) {
        LIST_FOREACH_SAFE(l, next, &net->ranks[rank])
        {
            struct conn *c = LIST_ENTRY(l, struct conn, link);
            const char *cause = overdue(c, now);
            bool late = cause && strcmp(cause, "idle") != 0;

            if (!cause)
                continue;
            net->counts.closed_late += late;
            conn_close(c, cause);
        }
    }
}
