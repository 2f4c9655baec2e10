/*
 * An ordered map with intrusive nodes (a balanced tree): it iterates in key order, never in an
 * order that depends on addresses or hashes. The caller embeds `struct map_node` and owns it.
 */
#ifndef KELPIE_BASE_MAP_H
#define KELPIE_BASE_MAP_H

#include "base/bytes.h"

struct map_node {
    struct map_node *parent;
    struct map_node *child[2];
    int balance;
    struct bytes key; /* borrowed: stays valid and unchanged while the node is in the map */
};

struct map {
    struct map_node *root;
    size_t count;
};

void map_init(struct map *m);
/* Inserts `node` (whose content before does not matter) under `key`. Returns the node that was there before, and then inserts nothing. */
struct map_node *map_insert(struct map *m, struct map_node *node, struct bytes key);
struct map_node *map_find(const struct map *m, struct bytes key);
/* The first node whose key is >= `key` (map_after: > `key`), or NULL. */
struct map_node *map_lower_bound(const struct map *m, struct bytes key);
struct map_node *map_after(const struct map *m, struct bytes key);
struct map_node *map_first(const struct map *m);
struct map_node *map_last(const struct map *m);
struct map_node *map_next(const struct map_node *node);
struct map_node *map_prev(const struct map_node *node);
/* `node` is in the map; afterwards it is all zero. The next one in an iteration: ask before. */
void map_remove(struct map *m, struct map_node *node);

#define MAP_ENTRY(node, type, member)                                                              \
    ((node) ? (type *)(void *)((char *)(node)-offsetof(type, member)) : (type *)0)

#endif
