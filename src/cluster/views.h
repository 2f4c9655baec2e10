/* The view as a node holds it: built from node rows or by the changes since the one it holds. */
#ifndef KELPIE_CLUSTER_VIEWS_H
#define KELPIE_CLUSTER_VIEWS_H

#include "cluster/cluster.h"

void view_init(struct view *v);
/* Frees the members and empties it (spec: NoView). */
void view_clear(struct view *v, struct mem mem);
void view_copy(struct view *to, const struct view *from, struct mem mem);
/* Adds a member, replacing one of that id; removes one, if there. */
void view_add(struct view *v, const struct member *m, struct mem mem);
void view_remove(struct view *v, const char *node_id);
/* The member of that id, for a walk through ids in their order: `at` starts at 0 and goes along. */
const struct member *view_next(const struct view *v, size_t *at, const char *node_id);
/* True when count and hash of the record are those of the view. */
bool view_matches(const struct view *v, const struct view_record *r);

#endif
