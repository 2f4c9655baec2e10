/*
 * The directory: a bounded cache of placements, least recently used out first. It may be wrong at
 * any time; a callee that does not run the actor says so, and the caller looks again.
 */
#ifndef KELPIE_REGISTRY_DIRECTORY_H
#define KELPIE_REGISTRY_DIRECTORY_H

#include "base/map.h"
#include "registry/placement.h"

/* Type and id, joined as a map key: in order of (type, id), because neither holds a NUL. */
#define ACTOR_NAME_MAX (ACTOR_TYPE_MAX + 1 + ACTOR_ID_MAX)

struct actor_name {
    size_t len;
    char data[ACTOR_NAME_MAX];
};
struct actor_name actor_name_of(const char *type, const char *id);
static inline struct bytes actor_name_bytes(const struct actor_name *n)
{
    return bytes_of(n->data, n->len);
}

struct directory {
    struct mem mem;
    struct map entries;
    struct list lru; /* least recently used first */
    size_t max;
    uint64_t epoch; /* grows when members left the view */
};

void directory_init(struct directory *d, struct mem mem, size_t max);
void directory_deinit(struct directory *d);
/* Remembers a placement, unless one of a later generation is known. An unplaced one, or one
 * without an address, only takes an older one out. */
void directory_learn(struct directory *d, const char *type, const char *id,
                     const struct placement *p);
/* True with the placement. One that was learned before the last members left the view counts only
 * if its node is in `view` in that boot id. */
bool directory_find(struct directory *d, const struct view *view, const char *type, const char *id,
                    struct placement *out);
void directory_forget(struct directory *d, const char *type, const char *id);
/* Members left the view. */
void directory_members_gone(struct directory *d);
/* Forgets everything. */
void directory_clear(struct directory *d);

#endif
