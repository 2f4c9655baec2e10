/* Where an actor is placed that is placed nowhere: a choice among the members of the view. */
#ifndef KELPIE_REGISTRY_POLICY_H
#define KELPIE_REGISTRY_POLICY_H

#include "cluster/cluster.h"
#include "kelpie/kelpie.h"

/* Nodes that a search has found unable to host; more than this are not remembered. */
#define EXCLUDED_MAX 16

struct excluded {
    size_t count;
    char node_id[EXCLUDED_MAX][NODE_ID_MAX + 1];
};

void excluded_add(struct excluded *e, const char *node_id);
bool excluded_has(const struct excluded *e, const char *node_id);

/* What the choice goes by. */
struct policy_input {
    const struct view *view;
    const char *self;
    enum kelpie_placement placement;
    const struct excluded *excluded; /* may be NULL */
    const struct excluded *only;     /* nobody else is chosen; NULL: anybody may be */
    /* Load of a member; 0 when not known. */
    uint64_t (*load)(void *arg, const char *node_id);
    void *load_arg;
    /* Nothing is heard of that member: it is not chosen. NULL: all are. */
    bool (*silent)(void *arg, const struct member *m);
    void *silent_arg;
    struct random random;
    uint64_t *turn; /* round robin: counts on */
};

/* The chosen member, or NULL when every member is excluded or silent (or there is none). */
const struct member *policy_choose(const struct policy_input *in);

#endif
