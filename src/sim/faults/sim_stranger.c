#include "sim/faults/sim_stranger.h"

#include <stdio.h>
#include <stdlib.h>

#include "kelpie/error.h"
#include "rpc/rpc_message.h"
#include "sim/checkers/checks.h"
#include "sim/world/sim_net.h"

#define PAUSE_MS_MAX 400
#define ASKED_MAX 256                  /* messages whose answers are still known */
#define PAYLOAD_DRAIN 1                /* node.c's request to drain */
#define FORGED_NODE "10.66.66.66:6666" /* a node id that is an address: nobody dials what is said */

enum strike {
    STRIKE_ZERO_TARGET,
    STRIKE_ZERO_CLUSTER,
    STRIKE_ZERO_SENDER,
    STRIKE_ZERO_CALL,
    STRIKE_OTHER_CLUSTER,
    STRIKE_OTHER_LIFE, /* of the node that is asked */
    STRIKE_COMMAND,    /* all is right, but nobody knows who commands */
    STRIKE_PING,       /* and that is all it wants */
    STRIKE_NONSENSE,
    STRIKE_ANSWER,   /* to a call that is under way, on a connection of the stranger's own */
    STRIKE_SQUATTER, /* the same from the address that was asked: its node is not there */
    STRIKE_COUNT
};

/* The last request that a process has sent, as whoever listens knows it. */
struct heard {
    bool is;
    unsigned life;
    char addr[NET_ADDR_SIZE];
    struct rpc_message m;
};

struct strangers {
    struct world *w;
    struct sim_event next;
    struct heard *heard; /* of each endpoint */
    struct uuid cluster, old_boot;
    uint32_t count;
    enum strike asked[ASKED_MAX];
    struct buf payload;
};

static uint64_t below(struct world *w, uint64_t bound)
{
    return world_below(w, STREAM_STRANGER, bound);
}

static struct uuid some_uuid(struct world *w)
{
    struct uuid u;

    for (size_t i = 0; i < sizeof u.b; i++)
        u.b[i] = (uint8_t)(1 + below(w, 255));
    return u;
}

static struct heard *heard_of(const struct process *p)
{
    return &p->world->strangers->heard[p->node * 2 + p->slot];
}

void strangers_hear(const struct process *p, const char *addr, struct bytes frame)
{
    struct strangers *s = p->world->strangers;
    struct heard *h;

    if (!s || !sim_fault_on(&p->world->config, FAULT_STRANGER))
        return;
    h = heard_of(p);
    h->is = rpc_message_head(net_frame_payload(frame), &h->m) == 0;
    h->life = p->life;
    (void)snprintf(h->addr, sizeof h->addr, "%s", addr);
    if (h->is && below(p->world, 8) == 0)
        s->old_boot = h->m.target_boot;
    if (h->is)
        s->cluster = h->m.from.cluster_id;
}

/* Whatever is wrong with it, nothing was done; without a fault in its head it may be too early. */
static bool may_answer(enum strike strike, int status)
{
    switch (strike) {
    case STRIKE_ZERO_CLUSTER:
    case STRIKE_OTHER_CLUSTER:
        return status == KELPIE_E_STORE_FOREIGN || status == KELPIE_E_UNAVAILABLE;
    case STRIKE_ZERO_TARGET:
    case STRIKE_OTHER_LIFE:
        return status == KELPIE_E_NOT_HERE || status == KELPIE_E_UNAVAILABLE ||
               status == KELPIE_E_STORE_FOREIGN;
    case STRIKE_COMMAND:
    case STRIKE_NONSENSE: /* what was cut off may be the payload alone */
        return status != 0;
    case STRIKE_PING:
        return true;
    default:
        return false;
    }
}

void strangers_answered(const struct process *p, uint32_t which, struct bytes frame)
{
    struct world *w = p->world;
    struct strangers *s = w->strangers;
    struct rpc_message m;
    char name[PROCESS_NAME_SIZE];

    if (s->count - which > ASKED_MAX || rpc_message_decode(net_frame_payload(frame), &m))
        return;
    (void)COMPARE(w, CHECK_STRANGERS, may_answer(s->asked[which % ASKED_MAX], m.status),
                  "%s answered a stranger's message of kind %d with %s", process_name(p, name),
                  (int)s->asked[which % ASKED_MAX], m.status ? kelpie_error_name(m.status) : "ok");
}

/* What is said to `p`. */
static struct rpc_message compose(struct strangers *s, const struct process *p, enum strike strike)
{
    struct world *w = s->w;
    /* Drawn one after the other: the order within an initializer is the compiler's. */
    uint64_t id = 1 + below(w, UINT32_MAX);
    struct uuid boot = some_uuid(w);
    struct rpc_message m = {
        .kind = strike == STRIKE_PING ? RPC_PING : RPC_ADMIN,
        .remaining_ms = 1000,
        .id = id,
        .from = {.cluster_id = s->cluster, .boot = boot, .incarnation = 1},
        .target_boot = p->boot,
    };

    (void)snprintf(m.from.node_id, sizeof m.from.node_id, "%s", FORGED_NODE);
    if (below(w, 2))
        (void)snprintf(m.from.node_id, sizeof m.from.node_id, "n%u",
                       (unsigned)below(w, w->config.nodes) + 1);
    if (strike == STRIKE_ZERO_TARGET)
        m.target_boot = (struct uuid){0};
    if (strike == STRIKE_ZERO_CLUSTER)
        m.from.cluster_id = (struct uuid){0};
    if (strike == STRIKE_ZERO_SENDER)
        m.from.boot = (struct uuid){0};
    if (strike == STRIKE_ZERO_CALL)
        m.id = 0;
    if (strike == STRIKE_OTHER_CLUSTER)
        m.from.cluster_id = some_uuid(w);
    if (strike == STRIKE_OTHER_LIFE)
        m.target_boot = uuid_equal(s->old_boot, p->boot) ? some_uuid(w) : s->old_boot;
    buf_clear(&s->payload);
    if (m.kind == RPC_ADMIN)
        buf_append_u8(&s->payload, PAYLOAD_DRAIN);
    m.payload = buf_bytes(&s->payload);
    return m;
}

/* An answer to the call that `p` was heard to make. */
static struct rpc_message compose_answer(struct strangers *s, const struct process *p,
                                         enum strike strike)
{
    const struct heard *h = heard_of(p);
    struct rpc_message m = {
        .is_answer = true,
        .id = h->m.id,
        .from = {.cluster_id = s->cluster, .boot = some_uuid(s->w), .incarnation = 1},
        .target_boot = p->boot,
    };

    /* On a way of its own it may know the very life that was asked. */
    if (strike == STRIKE_ANSWER && below(s->w, 2))
        m.from.boot = h->m.target_boot;
    (void)snprintf(m.from.node_id, sizeof m.from.node_id, "%s", FORGED_NODE);
    buf_clear(&s->payload);
    buf_append_u64(&s->payload, 1);
    buf_append_u64(&s->payload, 1);
    m.payload = buf_bytes(&s->payload);
    return m;
}

static void say(struct strangers *s, struct process *p, enum strike strike)
{
    struct world *w = s->w;
    struct buf out;
    struct rpc_message m;
    bool answers = strike == STRIKE_ANSWER || strike == STRIKE_SQUATTER;
    char name[PROCESS_NAME_SIZE];

    world_met(w, FAULT_STRANGER);
    m = answers ? compose_answer(s, p, strike) : compose(s, p, strike);
    buf_init(&out, s->payload.mem);
    rpc_message_encode(&out, &m);
    if (strike == STRIKE_NONSENSE)
        out.len = (size_t)below(w, out.len);
    s->asked[s->count % ASKED_MAX] = strike;
    (void)process_name(p, name);
    enum net_standing standing = sim_net_stranger(
        p, s->count++, strike == STRIKE_SQUATTER ? heard_of(p)->addr : "", buf_bytes(&out));
    buf_deinit(&out);
    (void)COMPARE(w, CHECK_STRANGERS, standing != NET_MEMBER,
                  "%s took a stranger's message of kind %d for a member's", name, (int)strike);
}

/* A process that can hear, chosen by number. */
static struct process *somebody(struct world *w)
{
    unsigned node = (unsigned)below(w, w->config.nodes);
    bool is_first = below(w, 8) > 0;
    struct process *p = sim_net_process(w->net, node, is_first ? SIM_SLOT_NODE : SIM_SLOT_TWIN);

    return p && p->net_events && !p->frozen && !process_closing(p) ? p : NULL;
}

static void on_next(struct world *w, struct sim_event *e)
{
    struct strangers *s = w->strangers;
    struct process *p = somebody(w);
    enum strike strike = (enum strike)below(w, STRIKE_COUNT);
    bool answers = strike == STRIKE_ANSWER || strike == STRIKE_SQUATTER;

    if (w->calm)
        return;
    world_after(w, e, (1 + below(w, PAUSE_MS_MAX)) * NS_PER_MS);
    if (!p || uuid_is_zero(s->cluster))
        return;
    if (answers && (!heard_of(p)->is || heard_of(p)->life != p->life))
        return;
    say(s, p, strike);
}

struct strangers *strangers_new(struct world *w)
{
    struct strangers *s = calloc(1, sizeof *s);

    CHECK(s);
    s->w = w;
    s->heard = calloc((size_t)w->config.nodes * 2, sizeof *s->heard);
    CHECK(s->heard);
    event_init(&s->next, on_next);
    buf_init(&s->payload, w->shadow->scratch.mem);
    return s;
}

void strangers_free(struct strangers *s)
{
    buf_deinit(&s->payload);
    free(s->heard);
    free(s);
}

void strangers_start(struct world *w)
{
    if (sim_fault_on(&w->config, FAULT_STRANGER))
        world_after(w, &w->strangers->next, below(w, PAUSE_MS_MAX) * NS_PER_MS);
}
