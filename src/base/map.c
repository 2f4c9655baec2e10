/*
 * An AVL tree with parent links. `balance` is the height of child[1] minus that of child[0], and
 * is -1, 0 or 1 between calls. A direction is an index into `child`; `sign` makes 0/1 into -1/+1.
 */
#include "base/map.h"

#include "base/check.h"

static int sign(int dir)
{
    return dir ? 1 : -1;
}

static int dir_of(const struct map_node *parent, const struct map_node *child)
{
    return parent->child[1] == child;
}

/* Puts `with` (which may be NULL) where `node` hangs under `parent` (NULL: the root). */
static void replace_child(struct map *m, struct map_node *parent, struct map_node *node,
                          struct map_node *with)
{
    if (parent)
        parent->child[dir_of(parent, node)] = with;
    else
        m->root = with;
    if (with)
        with->parent = parent;
}

/* Lifts the child on the side of `dir` above `node`. Leaves the balances alone. */
static struct map_node *rotate(struct map *m, struct map_node *node, int dir)
{
    struct map_node *up = node->child[dir];
    struct map_node *moved = up->child[!dir];
    replace_child(m, node->parent, node, up);
    up->child[!dir] = node;
    node->parent = up;
    node->child[dir] = moved;
    if (moved)
        moved->parent = node;
    return up;
}

/* `node` is two too high on the side of `dir`. Returns what is in its place then. */
static struct map_node *rebalance(struct map *m, struct map_node *node, int dir)
{
    int s = sign(dir);
    struct map_node *up = node->child[dir];
    if (up->balance != -s) {
        rotate(m, node, dir);
        /* `up` was even only in a removal: then the height stays and both still lean. */
        bool even = up->balance == 0;
        node->balance = even ? s : 0;
        up->balance = even ? -s : 0;
        return up;
    }
    struct map_node *middle = up->child[!dir];
    rotate(m, up, !dir);
    rotate(m, node, dir);
    node->balance = middle->balance == s ? -s : 0;
    up->balance = middle->balance == -s ? s : 0;
    middle->balance = 0;
    return middle;
}

/* The subtree under `node` became one higher: goes up until no height changes any more. */
static void grew(struct map *m, struct map_node *node)
{
    while (node->parent) {
        struct map_node *parent = node->parent;
        int dir = dir_of(parent, node);
        if (parent->balance == sign(dir)) {
            rebalance(m, parent, dir);
            return;
        }
        parent->balance += sign(dir);
        if (parent->balance == 0)
            return;
        node = parent;
    }
}

/* The subtree of `node` on the side of `dir` became one lower. */
static void shrank(struct map *m, struct map_node *node, int dir)
{
    while (node) {
        if (node->balance == -sign(dir)) {
            node = rebalance(m, node, !dir);
            if (node->balance != 0)
                return;
        } else {
            node->balance -= sign(dir);
            if (node->balance != 0)
                return;
        }
        struct map_node *parent = node->parent;
        if (parent)
            dir = dir_of(parent, node);
        node = parent;
    }
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

struct map_node *map_insert(struct map *m, struct map_node *node, struct bytes key)
{
    struct map_node *parent = NULL;
    int dir = 0;
    for (struct map_node *at = m->root; at; at = at->child[dir]) {
        int c = bytes_compare(key, at->key);
        if (c == 0)
            return at;
        parent = at;
        dir = c > 0;
    }
    *node = (struct map_node){.parent = parent, .key = key};
    if (parent)
        parent->child[dir] = node;
    else
        m->root = node;
    m->count++;
    grew(m, node);
    return NULL;
}

struct map_node *map_find(const struct map *m, struct bytes key)
{
    struct map_node *at = m->root;
    while (at) {
        int c = bytes_compare(key, at->key);
        if (c == 0)
            return at;
        at = at->child[c > 0];
    }
    return NULL;
}

struct map_node *map_lower_bound(const struct map *m, struct bytes key)
{
    struct map_node *found = NULL;
    for (struct map_node *at = m->root; at;) {
        bool below = bytes_compare(at->key, key) < 0;
        if (!below)
            found = at;
        at = at->child[below];
    }
    return found;
}

struct map_node *map_after(const struct map *m, struct bytes key)
{
    struct map_node *found = NULL;
    for (struct map_node *at = m->root; at;) {
        bool above = bytes_compare(at->key, key) > 0;
        if (above)
            found = at;
        at = at->child[!above];
    }
    return found;
}

/* The last node under `node` on the side of `dir`. */
static struct map_node *outermost(struct map_node *node, int dir)
{
    while (node && node->child[dir])
        node = node->child[dir];
    return node;
}

struct map_node *map_first(const struct map *m)
{
    return outermost(m->root, 0);
}

struct map_node *map_last(const struct map *m)
{
    return outermost(m->root, 1);
}

static struct map_node *neighbour(const struct map_node *node, int dir)
{
    if (node->child[dir])
        return outermost(node->child[dir], !dir);
    struct map_node *parent = node->parent;
    while (parent && dir_of(parent, node) == dir) {
        node = parent;
        parent = node->parent;
    }
    return parent;
}

struct map_node *map_next(const struct map_node *node)
{
    return neighbour(node, 1);
}

struct map_node *map_prev(const struct map_node *node)
{
    return neighbour(node, 0);
}

/* Takes out a node that has at most one child. */
static void remove_simple(struct map *m, struct map_node *node)
{
    struct map_node *parent = node->parent;
    int dir = parent ? dir_of(parent, node) : 0;
    replace_child(m, parent, node, node->child[0] ? node->child[0] : node->child[1]);
    shrank(m, parent, dir);
}

/* Puts `with`, which is in no tree, exactly where `node` is. */
static void take_place(struct map *m, struct map_node *node, struct map_node *with)
{
    with->balance = node->balance;
    replace_child(m, node->parent, node, with);
    for (int dir = 0; dir < 2; dir++) {
        with->child[dir] = node->child[dir];
        if (with->child[dir])
            with->child[dir]->parent = with;
    }
}

void map_remove(struct map *m, struct map_node *node)
{
    CHECK(m->count > 0);
    CHECK(node->parent ? node->parent->child[dir_of(node->parent, node)] == node : m->root == node);
    m->count--;
    if (node->child[0] && node->child[1]) {
        struct map_node *next = outermost(node->child[1], 0);
        remove_simple(m, next);
        take_place(m, node, next);
    } else {
        remove_simple(m, node);
    }
    *node = (struct map_node){0};
}
