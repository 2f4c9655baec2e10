/* A doubly linked intrusive list. */
#ifndef KELPIE_BASE_LIST_H
#define KELPIE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *l, struct list *item)
{
    item->prev = l->prev;
    item->next = l;
    l->prev->next = item;
    l->prev = item;
}

static inline void list_prepend(struct list *l, struct list *item)
{
    list_append(l->next, item);
}

/* Removes the item and leaves it as an empty list, so removing twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

static inline struct list *list_pop(struct list *l)
{
    if (list_empty(l))
        return NULL;
    struct list *item = l->next;
    list_remove(item);
    return item;
}

#define LIST_ENTRY(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))
#define LIST_FOREACH(it, l) for (struct list *it = (l)->next; it != (l); it = it->next)
/* Allows removal of the current item. */
#define LIST_FOREACH_SAFE(it, tmp, l)                                                              \
    for (struct list *it = (l)->next, *tmp = it->next; it != (l); it = tmp, tmp = it->next)

#endif
