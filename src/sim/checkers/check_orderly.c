/* In the calm: nobody asks any more, no fault strikes, so all that was begun must come to an end. */
#include <stdio.h>

#include "actor/activation.h"
#include "sim/checkers/checks.h"
#include "sim/world/sim_host.h"

static const struct process *living(struct world *w, unsigned n)
{
    const struct process *p = host_process(w, n, SIM_SLOT_NODE);
    const struct process *other = p ? p : host_process(w, n, SIM_SLOT_TWIN);

    return other && process_node(other) ? other : NULL;
}

/* What an activation has that does not end by itself, while nobody asks. */
static const char *lingering(const struct kelpie_actor *act)
{
    if (act->mailbox_count > 0 || !list_empty(&act->mailbox))
        return "a message in its mailbox";
    if (act->current)
        return "a message that is handled";
    if (act->open)
        return "an open turn";
    if (!list_empty(&act->flying) || !list_empty(&act->pending))
        return "turns that are not committed";
    return act->finds ? "look-ups of requests" : NULL;
}

static bool is_quiet(const struct process *p, char *why, size_t why_size)
{
    const struct actors *a = node_actors(process_node(p));

    for (struct map_node *n = map_first(&a->activations); n; n = map_next(n)) {
        const struct kelpie_actor *act = MAP_ENTRY(n, const struct kelpie_actor, node);
        const char *what = lingering(act);
        if (!what)
            continue;
        (void)snprintf(why, why_size, "%s/%s, %s on n%u, has %s", act_type(act), act_id(act),
                       act_state_name(act->state), p->node + 1, what);
        return false;
    }
    (void)snprintf(
        why, why_size, "n%u has %zu calls, %zu of them given up, %zu finders, %zu look-ups",
        p->node + 1, a->call_count, a->zombie_calls, a->finders.count, a->locates + a->finds);
    return a->call_count + a->zombie_calls + a->finders.count + a->locates + a->finds == 0;
}

bool check_quiet(struct world *w, char *why, size_t why_size)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct process *p = living(w, n);
        if (p && !is_quiet(p, why, why_size))
            return false;
    }
    return true;
}

bool check_drains(struct world *w, char *why, size_t why_size)
{
    for (unsigned n = 0; n < w->config.nodes; n++) {
        const struct process *p = living(w, n);
        if (!p || !node_actors(process_node(p))->drain.on)
            continue;
        (void)snprintf(why, why_size, "n%u drains, and is %s", n + 1,
                       node_state_name(cluster_state(node_cluster(process_node(p)))));
        return false;
    }
    return true;
}

/* Of a life that neither hosts nor leaves. */
static bool is_void(const struct world *w, const struct shadow_by_node *b)
{
    int n = shadow_node_number(b->node_id);
    const struct shadow_node *node = n < 0 ? NULL : &w->shadow->nodes[n];

    return !node || !node->there || node->rec.incarnation != b->incarnation ||
           (node->rec.state != NODE_ACTIVE && node->rec.state != NODE_LEAVING);
}

bool check_swept(struct world *w, char *why, size_t why_size)
{
    for (struct map_node *n = map_first(&w->shadow->by_node); n; n = map_next(n)) {
        const struct shadow_by_node *b = MAP_ENTRY(n, struct shadow_by_node, node);
        if (!is_void(w, b))
            continue;
        (void)snprintf(why, why_size, "%s/%s is placed on %s in incarnation %llu, which is over",
                       b->actor->type, b->actor->id, b->node_id,
                       (unsigned long long)b->incarnation);
        return false;
    }
    return true;
}
