/* Direct pings: who answered within a lease, and with which heartbeat counter. */
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

/* A peer that refuses at once is not asked in a tight loop. */
#define PINGS_A_BEAT_MAX 8

struct peer *peer_find(const struct cluster *c, const char *node_id)
{
    return MAP_ENTRY(map_find(&c->peers, bytes_of_str(node_id)), struct peer, node);
}

static bool same_life(const struct life *a, const struct life *b)
{
    return a->incarnation == b->incarnation && uuid_equal(a->boot, b->boot);
}

bool peer_fresh(const struct cluster *c, const struct life *life, uint64_t age_ns)
{
    const struct peer *p = peer_find(c, life->node_id);
    return p && p->answered_ns && same_life(&p->life, life) &&
           env_now_ns(c->env) - p->answered_ns < age_ns;
}

static void on_pong(struct rpc_call *call, int status, struct bytes payload)
{
    struct peer *p = call->arg;
    struct cluster *c = p->cluster;
    struct reader r = reader_of(payload);
    uint64_t counter = reader_u64(&r);
    (void)reader_u64(&r); /* the view number it holds */
    CHECK(p->pinging && c->pings_outstanding > 0);
    p->pinging = false;
    c->pings_outstanding--;
    if (c->closing)
        return;
    bool answered = (status == 0 || status == KELPIE_E_UNAVAILABLE) &&
                    uuid_equal(call->from.boot, p->life.boot) &&
                    call->from.incarnation == p->life.incarnation;
    if (status == 0 && reader_end(&r) && answered) {
        p->answered_ns = call->sent_ns;
        p->counter = counter;
    }
    if (answered)
        grey_answered(p);
    else
        grey_missed(p, call->sent_ns);
    /* The primary counts its answers once a heartbeat: a step for each would be all it does. */
    if (c->state == NODE_JOINING || c->elect_phase == ELECT_ASKING || c->elect_phase == ELECT_ASKED)
        step_soon(c);
}

struct peer *peer_get(struct cluster *c, const struct life *life)
{
    struct peer *p = peer_find(c, life->node_id);
    if (p)
        return p;
    CHECK(c->peers.count < 2 * NODES_MAX);
    p = MEM_NEW(c->env->mem, struct peer);
    p->cluster = c;
    p->life = *life;
    (void)map_insert(&c->peers, &p->node, bytes_of_str(p->life.node_id));
    return p;
}

/* A peer of another life starts anew. One ping at a time to each, and not at once again. */
void peer_ping(struct cluster *c, const struct life *life, const char *addr)
{
    struct peer *p = peer_get(c, life);
    uint64_t now = env_now_ns(c->env);
    uint64_t pause_ns = c->config.timing.heartbeat_ms * NS_PER_MS / PINGS_A_BEAT_MAX;
    if (p->pinging || (same_life(&p->life, life) && p->pinged_ns && now - p->pinged_ns < pause_ns))
        return;
    if (!same_life(&p->life, life)) {
        p->life.incarnation = life->incarnation;
        p->life.boot = life->boot;
        p->answered_ns = 0;
        p->failed_since_ns = p->left_since_ns = 0;
        grey_begin_term(p);
        grey_answered(p);
    }
    struct buf payload;
    buf_init(&payload, c->env->mem);
    if (c->claim)
        grey_put_suspects(c, &payload);
    p->pinging = true;
    p->pinged_ns = now;
    c->pings_outstanding++;
    rpc_start(c->rpc, &p->call, addr, life->boot, RPC_PING, buf_bytes(&payload),
              c->config.timing.rpc_timeout_ms * NS_PER_MS, on_pong, p);
    buf_deinit(&payload);
}

bool cluster_knows(const struct cluster *c, const char *node_id, struct uuid boot)
{
    if (uuid_is_zero(boot))
        return false;
    const struct member *m = view_find(&c->view, node_id);
    if (m && uuid_equal(m->boot, boot))
        return true;
    const struct known_node *k = known_find(c, node_id);
    return k && uuid_equal(k->life.boot, boot);
}

static bool knows(void *arg, const struct rpc_identity *who)
{
    return cluster_knows(arg, who->node_id, who->boot);
}

/* The primary alone says who is suspected. */
static bool is_primary(const struct cluster *c, const struct rpc_identity *who)
{
    return c->primary_known && c->primary.node_id[0] && !uuid_is_zero(who->boot) &&
           uuid_equal(who->boot, c->primary.boot);
}

/* Only a node that may act answers: its lease is running. */
static void serve_ping(void *arg, const struct rpc_request *request)
{
    struct cluster *c = arg;
    if (is_primary(c, &request->from))
        c->reached_ns = env_now_ns(c->env);
    if (c->state != NODE_ACTIVE || !cluster_may_act(c)) {
        rpc_reply(c->rpc, request, KELPIE_E_UNAVAILABLE, bytes_of("", 0));
        return;
    }
    struct buf out;
    if (is_primary(c, &request->from))
        grey_take_suspects(c, request->payload);
    buf_init(&out, c->env->mem);
    buf_append_u64(&out, c->sequence);
    buf_append_u64(&out, c->view.number);
    rpc_reply(c->rpc, request, 0, buf_bytes(&out));
    buf_deinit(&out);
}

void peers_init(struct cluster *c)
{
    map_init(&c->peers);
    rpc_set_known(c->rpc, knows, c);
    rpc_serve(c->rpc, RPC_PING, serve_ping, c);
}

void peers_free(struct cluster *c)
{
    struct map_node *n;
    while ((n = map_first(&c->peers))) {
        struct peer *p = MAP_ENTRY(n, struct peer, node);
        CHECK(!p->pinging);
        map_remove(&c->peers, n);
        mem_free(c->env->mem, p);
    }
}
