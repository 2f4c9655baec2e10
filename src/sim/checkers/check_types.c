#include "sim/checkers/checks.h"

/*
 * What nodes host: an actor is placed where its type is hosted at that moment, a node changes its types slowly, and
 * nothing that decides about members depends on them.
 */

static bool hosts(const struct shadow_node *n, const char *type)
{
    const struct types_record *r = &n->types;

    for (uint32_t i = 0; i < n->rec.class_count; i++)
        if (strcmp(n->rec.classes[i], type) == 0)
            return true;
    if (r->incarnation != n->rec.incarnation || !uuid_equal(r->boot, n->rec.boot))
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->types[i].type, type) == 0)
            return true;
    return false;
}

void check_hosted(struct shadow *s, const struct shadow_actor *a, unsigned n)
{
    if (s->w->config.types_ms)
        COMPARE(s->w, CHECK_HOSTED, hosts(&s->nodes[n], a->type),
                "%s/%s was placed on n%u, which does not host its type", a->type, a->id, n + 1);
}

/* A change is tried a heartbeat after the one before was, and lands before the next is tried; what was given up with a
 * lease may land a while later. So of four in a row, the last comes a heartbeat after the first: by the node's
 * clock, which is not looked at where it jumps or is beyond all bounds. */
static void check_pace(struct shadow *s, struct shadow_node *node, unsigned n)
{
    const struct sim_config *c = &s->w->config;
    uint64_t least_ns = c->timing.heartbeat_ms * NS_PER_MS / 10 * 9;
    uint64_t first_ns = node->types_ns[TYPES_KEPT - 1], now_ns = s->w->now_ns;

    if (first_ns && !sim_fault_on(c, FAULT_SKEW) && !sim_fault_on(c, FAULT_CLOCK_JUMP) &&
        !sim_fault_on(c, FAULT_SUSPEND))
        COMPARE(s->w, CHECK_TYPES_PACE, now_ns - first_ns >= least_ns,
                "n%u changed its types %d times within %llu ms, and heartbeats each %u ms", n + 1,
                TYPES_KEPT + 1, (unsigned long long)((now_ns - first_ns) / NS_PER_MS),
                c->timing.heartbeat_ms);
    for (unsigned i = TYPES_KEPT - 1; i > 0; i--)
        node->types_ns[i] = node->types_ns[i - 1];
    node->types_ns[0] = now_ns;
}

void check_types_row(struct shadow *s, const struct shadow_change *c, unsigned n,
                     const struct types_record *after)
{
    struct shadow_node *node = &s->nodes[n];
    const struct types_record *before = &node->types;
    bool same_life =
        before->incarnation == after->incarnation && uuid_equal(before->boot, after->boot);

    if (!c->seen->action && uuid_is_zero(c->seen->boot))
        return; /* the store was set back */
    COMPARE(s->w, CHECK_HOSTED,
            uuid_equal(after->boot, c->seen->boot) && uuid_equal(node->rec.boot, c->seen->boot) &&
                node->rec.incarnation == after->incarnation && node->rec.state == NODE_ACTIVE,
            "the types of n%u were changed for a life of it that is not the Active one", n + 1);
    COMPARE(s->w, CHECK_TYPES, !same_life || after->number > before->number,
            "change %llu of the types of n%u landed behind change %llu",
            (unsigned long long)after->number, n + 1, (unsigned long long)before->number);
    if (!same_life)
        memset(node->types_ns, 0, sizeof node->types_ns);
    check_pace(s, node, n);
}

static bool is_of_members(const struct shadow *s, struct bytes key)
{
    struct key_parts parts;

    if (key_parse(&s->ks, key, &parts))
        return false;
    return parts.family == KEY_NODE || parts.family == KEY_VIEW || parts.family == KEY_PRIMARY ||
           parts.family == KEY_TERM || parts.family == KEY_HEARTBEAT;
}

void checks_on_send(struct world *w, const struct store_req *req)
{
    bool members = false, reads = false;

    if (!w->config.types_ms)
        return;
    struct key_range types = keys_types(&w->shadow->ks);
    for (size_t i = 0; i < req->write_count && !members; i++)
        members = is_of_members(w->shadow, req->writes[i].key);
    for (size_t i = 0; i < req->read_count && members; i++) {
        const struct store_read *r = &req->reads[i];
        struct bytes end = r->end.len ? r->end : r->key;
        reads |= !r->snapshot && bytes_compare(r->key, key_bytes(&types.end)) < 0 &&
                 bytes_compare(end, key_bytes(&types.begin)) >= 0;
    }
    if (members)
        COMPARE(w, CHECK_TYPES_APART, !reads,
                "a commit that changes the membership conflicts with changes of nodes' types");
}
