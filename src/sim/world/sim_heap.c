#include "sim/world/sim_heap.h"

#include <stdlib.h>

#include "base/check.h"

#define ARITY 4

static bool item_before(const struct sim_item *a, const struct sim_item *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->seq < b->seq);
}

static void place(struct sim_heap *h, size_t i, const struct sim_item *item)
{
    h->items[i] = *item;
    if (item->timer)
        item->timer->heap_index = i;
    else
        item->event->heap_index = i;
}

static void unplaced(const struct sim_item *item)
{
    if (item->timer)
        item->timer->heap_index = SIM_NOT_QUEUED;
    else
        item->event->heap_index = SIM_NOT_QUEUED;
}

static void sift_up(struct sim_heap *h, size_t i, struct sim_item item)
{
    while (i > 0) {
        size_t parent = (i - 1) / ARITY;
        if (!item_before(&item, &h->items[parent]))
            break;
        place(h, i, &h->items[parent]);
        i = parent;
    }
    place(h, i, &item);
}

static void sift_down(struct sim_heap *h, size_t i, struct sim_item item)
{
    for (;;) {
        size_t first = i * ARITY + 1, best = first;
        if (first >= h->count)
            break;
        for (size_t c = first + 1; c < first + ARITY && c < h->count; c++)
            if (item_before(&h->items[c], &h->items[best]))
                best = c;
        if (!item_before(&h->items[best], &item))
            break;
        place(h, i, &h->items[best]);
        i = best;
    }
    place(h, i, &item);
}

void sim_heap_deinit(struct sim_heap *h)
{
    free(h->items);
    *h = (struct sim_heap){0};
}

void sim_heap_push(struct sim_heap *h, const struct sim_item *item)
{
    if (h->count == h->cap) {
        CHECK(h->cap < SIM_HEAP_MAX);
        h->cap = h->cap ? h->cap * 2 : 256;
        h->items = realloc(h->items, h->cap * sizeof *h->items);
        CHECK(h->items);
    }
    sift_up(h, h->count++, *item);
}

void sim_heap_remove(struct sim_heap *h, size_t index)
{
    CHECK(index < h->count);
    unplaced(&h->items[index]);
    struct sim_item last = h->items[--h->count];
    if (index == h->count)
        return;
    if (index > 0 && item_before(&last, &h->items[(index - 1) / ARITY]))
        sift_up(h, index, last);
    else
        sift_down(h, index, last);
}

bool sim_heap_pop(struct sim_heap *h, struct sim_item *out)
{
    if (h->count == 0)
        return false;
    *out = h->items[0];
    sim_heap_remove(h, 0);
    return true;
}

void sim_heap_filter(struct sim_heap *h, bool (*drop)(void *arg, const struct sim_item *item),
                     void *arg)
{
    size_t old = h->count;
    h->count = 0;
    for (size_t i = 0; i < old; i++) {
        struct sim_item item = h->items[i];
        if (drop(arg, &item))
            unplaced(&item);
        else
            sift_up(h, h->count++, item);
    }
}
