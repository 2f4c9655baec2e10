#include "registry/policy.h"

#include <stdio.h>

void excluded_add(struct excluded *e, const char *node_id)
{
    if (e->count == EXCLUDED_MAX || excluded_has(e, node_id))
        return;
    (void)snprintf(e->node_id[e->count++], sizeof e->node_id[0], "%s", node_id);
}

bool excluded_has(const struct excluded *e, const char *node_id)
{
    for (size_t i = 0; i < e->count; i++) {
        if (strcmp(e->node_id[i], node_id) == 0)
            return true;
    }
    return false;
}

static bool is_candidate(const struct policy_input *in, const struct member *m)
{
    if (in->silent && in->silent(in->silent_arg, m))
        return false;
    if (in->only && !excluded_has(in->only, m->node_id))
        return false;
    return !in->excluded || !excluded_has(in->excluded, m->node_id);
}

static size_t candidate_count(const struct policy_input *in)
{
    size_t n = 0;

    for (size_t i = 0; i < in->view->count; i++)
        n += is_candidate(in, &in->view->members[i]);
    return n;
}

static const struct member *candidate_at(const struct policy_input *in, size_t index)
{
    for (size_t i = 0; i < in->view->count; i++) {
        if (is_candidate(in, &in->view->members[i]) && index-- == 0)
            return &in->view->members[i];
    }
    return NULL;
}

/* Two different candidates at random, the less loaded of them; the first on a tie. */
static const struct member *least_loaded(const struct policy_input *in, size_t count)
{
    size_t i = (size_t)random_below(in->random, count);
    size_t j;
    const struct member *a = candidate_at(in, i), *b;

    if (count == 1)
        return a;
    j = (size_t)random_below(in->random, count - 1);
    b = candidate_at(in, j < i ? j : j + 1);
    return in->load(in->load_arg, b->node_id) < in->load(in->load_arg, a->node_id) ? b : a;
}

const struct member *policy_choose(const struct policy_input *in)
{
    size_t count = in->view ? candidate_count(in) : 0;
    const struct member *self;

    if (count == 0)
        return NULL;
    switch (in->placement) {
    case KELPIE_PLACE_LOCAL:
        self = view_find(in->view, in->self);
        if (self && is_candidate(in, self))
            return self;
        break;
    case KELPIE_PLACE_ROUND_ROBIN:
        return candidate_at(in, (size_t)((*in->turn)++ % count));
    case KELPIE_PLACE_LEAST_LOADED:
        break;
    }
    return least_loaded(in, count);
}
