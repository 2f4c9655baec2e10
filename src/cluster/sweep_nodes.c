/* Rows of nodes that have left: the primary strikes them in time, and every node forgets what it knew of
 * ids that have no row any more. */
#include "base/mark.h"
#include "cluster/cluster_internal.h"
#include "kelpie/error.h"

static void on_sweep_node(struct txn *t, int status)
{
    struct cluster *c = t->arg;
    struct peer *p = peer_find(c, c->sweep_node.target.node_id);
    if (c->closing)
        return;
    if (status == 0 && t->committed) {
        c->stats.nodes_swept++;
        log_info(&c->env->log, "node_row_struck", "of=%s incarnation=%llu",
                 c->sweep_node.target.node_id,
                 (unsigned long long)c->sweep_node.target.incarnation);
    } else if (status && p) {
        p->left_since_ns = env_now_ns(c->env); /* others first */
    }
}

/* The node that this primary has read as Left for longest, of how many. */
static const struct known_node *longest_left(struct cluster *c, size_t *left, uint64_t *since_ns)
{
    const struct known_node *longest = NULL;
    uint64_t now = env_now_ns(c->env);
    *left = 0;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct known_node *k = &c->nodes[i];
        struct peer *p = peer_get(c, &k->life);
        if (k->state != NODE_LEFT) {
            p->left_since_ns = 0;
            continue;
        }
        if (p->left_since_ns == 0)
            p->left_since_ns = now;
        *left += 1;
        if (longest && p->left_since_ns >= *since_ns)
            continue;
        longest = k;
        *since_ns = p->left_since_ns;
    }
    return longest;
}

void sweep_left(struct cluster *c)
{
    struct sweep_node_op *op = &c->sweep_node;
    uint64_t since_ns = 0;
    size_t left;
    CHECK(c->claim > 0);
    if (txn_active(&op->txn) || c->swept_version == c->scan_version)
        return;
    const struct known_node *k = longest_left(c, &left, &since_ns);
    uint64_t age_ns = env_now_ns(c->env) - since_ns;
    /* Its supervisor looks in the row whether it has left. */
    if (!k || age_ns < timing_window_ns(&c->config.timing) ||
        (left <= c->config.timing.left_kept &&
         age_ns < c->config.timing.forget_after_ms * NS_PER_MS))
        return;
    c->swept_version = c->scan_version;
    memset(op, 0, offsetof(struct sweep_node_op, txn));
    op->ks = &c->config.ks;
    op->self = self_life(c);
    op->term = c->claim;
    op->target = k->life;
    sweep_node_prepare(op, c->env, on_sweep_node, c);
    op->txn.give_up_ns = timing_lease_ns(&c->config.timing);
    txn_start(&op->txn);
}

/* A member that was seen since the last scan is known too. */
static bool is_known(void *arg, const char *node_id)
{
    const struct cluster *c = arg;
    return known_find(c, node_id) || view_find(&c->view, node_id);
}

void forget_unknown(struct cluster *c)
{
    struct map_node *n = map_first(&c->peers);
    if (c->detector.seen.count > c->node_count)
        detector_retain(&c->detector, is_known, c);
    while (c->peers.count > c->node_count && n) {
        struct peer *p = MAP_ENTRY(n, struct peer, node);
        n = map_next(n);
        if (p->pinging || is_known(c, p->life.node_id))
            continue;
        SOMETIMES("peer-of-a-struck-node-forgotten");
        map_remove(&c->peers, &p->node);
        mem_free(c->env->mem, p);
    }
}
