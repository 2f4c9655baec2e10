#include "sim/checkers/checks.h"

/*
 * What each commit may write: transitions of nodes, growth, the fence, the view, the by-node rows.
 */

static bool move_is_legal(enum node_state from, enum node_state to, bool others)
{
    switch (from) {
    case NODE_LEFT:
        return to == NODE_JOINING || (to == NODE_ACTIVE && !others);
    case NODE_JOINING:
        return to == NODE_ACTIVE || to == NODE_FAILED;
    case NODE_ACTIVE:
        return to == NODE_LEAVING || to == NODE_FAILED;
    case NODE_LEAVING:
        return to == NODE_LEFT || to == NODE_FAILED;
    case NODE_FAILED:
        return to == NODE_LEFT;
    }
    return false;
}

void check_node_row(struct shadow *s, struct shadow_change *c, unsigned n,
                    const struct shadow_node *node, const struct node_record *after)
{
    const struct node_record *before = &node->rec;
    uint64_t last = node->row_incarnation;
    bool joins =
        before->state == NODE_LEFT && (after->state == NODE_JOINING || after->state == NODE_ACTIVE);

    if (before->state != after->state)
        COMPARE(s->w, CHECK_TRANSITION,
                move_is_legal(before->state, after->state, c->member_before),
                "node n%u went from %s to %s", n + 1, node_state_name(before->state),
                node_state_name(after->state));
    if (joins && last == 0)
        last = s->floor;
    COMPARE(s->w, CHECK_GROWTH,
            joins ? after->incarnation == last + 1 && after->incarnation > before->incarnation
                  : after->incarnation == last,
            "the incarnation of n%u went from %llu (%s; its row says %llu, the floor %llu) to %llu "
            "(%s)",
            n + 1, (unsigned long long)before->incarnation, node_state_name(before->state),
            (unsigned long long)node->row_incarnation, (unsigned long long)s->floor,
            (unsigned long long)after->incarnation, node_state_name(after->state));
}

void check_placement_row(struct shadow *s, const struct shadow_actor *a,
                         const struct placement_record *after)
{
    const struct placement_record *before = &a->place;
    bool same_host = before->placed && after->placed && uuid_equal(before->boot, after->boot) &&
                     before->incarnation == after->incarnation;

    COMPARE(s->w, CHECK_GROWTH,
            after->generation > before->generation ||
                (after->generation == before->generation && (same_host || !after->placed)),
            "the placement of %s/%s on %s went from generation %llu to %llu on %s", a->type, a->id,
            before->placed ? before->node_id : "none", (unsigned long long)before->generation,
            (unsigned long long)after->generation, after->placed ? after->node_id : "none");
    int n = after->placed ? shadow_node_number(after->node_id) : -1;
    if (n < 0 || after->generation == before->generation)
        return;
    enum node_state state = s->nodes[n].rec.state;
    /* An AbortMigration may land when its node is Leaving, or has failed: it stays where it was. */
    COMPARE(s->w, CHECK_PLACED, state == NODE_ACTIVE || same_host,
            "%s/%s was placed on n%d, which is %s", a->type, a->id, n + 1, node_state_name(state));
    if (!same_host)
        check_hosted(s, a, (unsigned)n);
}

void check_state_row(struct shadow *s, const struct shadow_change *c, const struct shadow_actor *a,
                     const struct head_record *r)
{
    if (!COMPARE(s->w, CHECK_STALE_WRITE, r->generation >= a->loaded,
                 "n%u wrote to %s/%s in generation %llu, after generation %llu had read the state",
                 c->seen->node + 1, a->type, a->id, (unsigned long long)r->generation,
                 (unsigned long long)a->loaded))
        return;
    COMPARE(s->w, CHECK_STALE_WRITE,
            a->place.placed && a->place.generation == r->generation &&
                uuid_equal(a->place.boot, c->seen->boot),
            "n%u wrote to %s/%s in generation %llu, but it is placed on %s in generation %llu",
            c->seen->node + 1, a->type, a->id, (unsigned long long)r->generation,
            a->place.placed ? a->place.node_id : "none", (unsigned long long)a->place.generation);
}

/* Exactly one by-node row for a placed actor, none for a released one. */
static void check_by_node(struct shadow *s, const struct shadow_actor *a)
{
    unsigned rows = 0;
    bool right = true;

    LIST_FOREACH(it, &a->by_node)
    {
        const struct shadow_by_node *b = LIST_ENTRY(it, struct shadow_by_node, link);
        rows++;
        right &= strcmp(b->node_id, a->place.node_id) == 0 &&
                 b->incarnation == a->place.incarnation && b->generation == a->place.generation;
    }
    COMPARE(s->w, CHECK_BY_NODE, rows == (a->place.placed ? 1u : 0u) && (right || rows == 0),
            "%s/%s is placed on %s/%llu in generation %llu and has %u by-node rows%s", a->type,
            a->id, a->place.placed ? a->place.node_id : "none",
            (unsigned long long)a->place.incarnation, (unsigned long long)a->place.generation, rows,
            right ? "" : ", another one");
}

static void note_view(struct shadow *s, const struct view_record *active)
{
    /* After a restore, and with each epoch, the numbers begin elsewhere. */
    if (s->view_count == 0 || s->view.number != s->view_base + s->view_count) {
        s->view_base = s->view.number;
        s->view_count = 0;
    }
    if (s->view_count == s->view_cap) {
        s->view_cap = s->view_cap * 2 + 16;
        s->views = mem_resize(sim_mem_of(&s->mem), s->views, s->view_cap * sizeof *s->views);
    }
    s->views[s->view_count++] = *active;
}

static void check_view(struct shadow *s, const struct shadow_change *c)
{
    struct view_record active = shadow_active(s);

    COMPARE(s->w, CHECK_VIEW_IS_ACTIVE,
            active.count == s->view.count && active.hash_hi == s->view.hash_hi &&
                active.hash_lo == s->view.hash_lo,
            "view %llu has %llu members, but %llu nodes are Active, or others",
            (unsigned long long)s->view.number, (unsigned long long)s->view.count,
            (unsigned long long)active.count);
    if (!c->view)
        return;
    if (COMPARE(s->w, CHECK_GROWTH, s->view.number == c->old_view.number + 1,
                "the view's number went from %llu to %llu", (unsigned long long)c->old_view.number,
                (unsigned long long)s->view.number))
        note_view(s, &active);
}

static void check_term(struct shadow *s, const struct shadow_change *c)
{
    uint64_t old = c->old_primary.term > c->old_term ? c->old_primary.term : c->old_term;

    COMPARE(s->w, CHECK_GROWTH,
            s->term >= c->old_term && s->term <= c->old_term + 1 && s->primary.term <= s->term &&
                s->primary.term >= c->old_primary.term,
            "the term went from %llu (primary's %llu) to %llu (%llu)",
            (unsigned long long)c->old_term, (unsigned long long)c->old_primary.term,
            (unsigned long long)s->term, (unsigned long long)s->primary.term);
    if (c->primary)
        COMPARE(s->w, CHECK_GROWTH,
                s->primary.vacant || s->primary.term > c->old_primary.term ||
                    (!c->old_primary.vacant && uuid_equal(s->primary.boot, c->old_primary.boot)),
                "%s became primary of term %llu, which was another's", s->primary.node_id,
                (unsigned long long)s->primary.term);
    if (s->primary.vacant || s->primary.term == old)
        return;
    s->terms++;
    if (!c->member_before)
        return;
    s->elections++;
    check_majority(s, c);
}

/* An Active node's heartbeat has just landed. */
static bool somebody_beats(const struct shadow *s)
{
    uint64_t within = 2 * s->w->config.timing.heartbeat_ms * NS_PER_MS;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (s->nodes[n].rec.state == NODE_ACTIVE &&
            s->nodes[n].heartbeat_ns + within > s->w->now_ns)
            return true;
    return false;
}

void check_commit(struct shadow *s, struct shadow_change *c)
{
    struct list *item;

    check_floor_covers(s, c);
    if (c->nodes || c->view)
        check_view(s, c);
    if (c->nodes) {
        check_acts(s, c);
        losses_on_commit(s->w);
    }
    check_grey(s, c);
    if (c->primary || c->term)
        check_term(s, c);
    while ((item = list_pop(&c->actors)))
        check_by_node(s, LIST_ENTRY(item, struct shadow_actor, dirty));
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if ((c->nodes >> n & 1u) && s->nodes[n].rec.state == NODE_LEFT &&
            c->before[n] != NODE_LEFT) {
            s->left += somebody_beats(s);
            check_leave_detection(s->w, NULL);
        }
}
