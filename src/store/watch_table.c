#include "store/watch_table.h"

struct watch_key {
    struct map_node node;
    struct list watches;
    uint8_t key[];
};

void watch_table_init(struct watch_table *t, struct mem mem)
{
    *t = (struct watch_table){.mem = mem};
    map_init(&t->keys);
    list_init(&t->due);
    list_init(&t->firing);
}

static void watch_key_free(struct watch_table *t, struct watch_key *k)
{
    map_remove(&t->keys, &k->node);
    mem_free(t->mem, k);
}

void watch_table_deinit(struct watch_table *t)
{
    struct map_node *node;
    while ((node = t->keys.root)) {
        struct watch_key *k = MAP_ENTRY(node, struct watch_key, node);
        watch_table_touch(t, bytes_of(k->key, k->node.key.len));
    }
    watch_table_fire(t);
    while (watch_table_pop(t))
        ;
    CHECK(t->count == 0);
}

void watch_table_add(struct watch_table *t, struct core_watch *w, bool due)
{
    CHECK(!w->armed);
    w->armed = true;
    w->at = NULL;
    list_init(&w->link);
    t->count++;
    if (due) {
        list_append(&t->due, &w->link);
        return;
    }
    struct watch_key *k = MAP_ENTRY(map_find(&t->keys, w->key), struct watch_key, node);
    if (!k) {
        k = mem_alloc(t->mem, sizeof(*k) + w->key.len);
        *k = (struct watch_key){.node = {.parent = NULL}};
        list_init(&k->watches);
        memcpy(k->key, w->key.data, w->key.len);
        struct map_node *other = map_insert(&t->keys, &k->node, bytes_of(k->key, w->key.len));
        CHECK(!other);
    }
    w->at = k;
    list_append(&k->watches, &w->link);
}

void watch_table_remove(struct watch_table *t, struct core_watch *w)
{
    if (!w->armed)
        return;
    w->armed = false;
    list_remove(&w->link);
    t->count--;
    if (w->at && list_empty(&w->at->watches))
        watch_key_free(t, w->at);
    w->at = NULL;
}

static void watch_key_due(struct watch_table *t, struct watch_key *k)
{
    struct list *item;
    while ((item = list_pop(&k->watches))) {
        LIST_ENTRY(item, struct core_watch, link)->at = NULL;
        list_append(&t->due, item);
    }
    watch_key_free(t, k);
}

void watch_table_touch(struct watch_table *t, struct bytes key)
{
    struct watch_key *k = MAP_ENTRY(map_find(&t->keys, key), struct watch_key, node);
    if (k)
        watch_key_due(t, k);
}

void watch_table_touch_range(struct watch_table *t, struct bytes begin, struct bytes end)
{
    struct map_node *node = map_lower_bound(&t->keys, begin);
    while (node && bytes_compare(node->key, end) < 0) {
        struct map_node *next = map_next(node);
        watch_key_due(t, MAP_ENTRY(node, struct watch_key, node));
        node = next;
    }
}

void watch_table_fire(struct watch_table *t)
{
    struct list *item;
    while ((item = list_pop(&t->due)))
        list_append(&t->firing, item);
}

struct core_watch *watch_table_pop(struct watch_table *t)
{
    struct list *item = list_pop(&t->firing);
    if (!item)
        return NULL;
    struct core_watch *w = LIST_ENTRY(item, struct core_watch, link);
    w->armed = false;
    t->count--;
    return w;
}
