/* The rows as the checkers know them, in the words of the specification; and what a node hosts. */
#include "sim/steps/sim_steps_link.h"

/* Its present life hosts counters by its types row. */
static bool hosts(const struct shadow_node *n)
{
    const struct types_record *r = &n->types;

    if (r->incarnation != n->rec.incarnation || !uuid_equal(r->boot, n->rec.boot))
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->types[i].type, STEP_TYPE) == 0)
            return true;
    return false;
}

void step_refresh(struct steps *s)
{
    const struct shadow *sh = s->w->shadow;

    for (unsigned n = 0; n < s->w->config.nodes; n++) {
        const struct shadow_node *from = &sh->nodes[n];
        struct step_node *to = &s->rows[n];
        bool beats = from->heartbeat.incarnation == from->rec.incarnation &&
                     uuid_equal(from->heartbeat.boot, from->rec.boot);
        to->state = from->rec.state;
        to->incarnation = shadow_life(sh, (int)n, from->rec.incarnation);
        to->gone = (uint32_t)from->rec.gone_view;
        to->hosts = hosts(from);
        to->ack = beats ? (uint32_t)from->heartbeat.ack : 0;
    }
    s->store.view = (uint32_t)sh->view.number;
    s->store.members = step_members(s);
    s->store.primary = sh->primary_there && !sh->primary.vacant
                           ? (uint32_t)shadow_node_number(sh->primary.node_id) + 1
                           : 0;
    s->store.primary_incarnation =
        shadow_life(sh, shadow_node_number(sh->primary.node_id), sh->primary.incarnation);
    s->store.term = (uint32_t)sh->term;
    for (unsigned a = 0; a < s->actors; a++) {
        const struct placement_record *r = &s->followed[a]->place;
        s->store.place[a] =
            (struct step_place){.generation = shadow_generation(s->followed[a], r->generation)};
        if (!r->placed)
            continue;
        int node = shadow_node_number(r->node_id);
        s->store.place[a].node = (uint32_t)node + 1;
        s->store.place[a].incarnation = shadow_life(sh, node, r->incarnation);
    }
}

void steps_on_type_over(struct process *p, const char *fields)
{
    struct steps *s = p->world->steps;

    if (s->nodes[p->node].p == p &&
        strncmp(fields, "type=" STEP_TYPE " ", sizeof STEP_TYPE + 5) == 0)
        (void)step_add(s, STEP_EndType, p->node);
}
