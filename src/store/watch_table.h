/* Who watches which key. Part of the core. */
#ifndef KELPIE_STORE_WATCH_TABLE_H
#define KELPIE_STORE_WATCH_TABLE_H

#include "base/map.h"
#include "base/mem.h"
#include "store/core.h"

struct watch_table {
    struct mem mem;
    struct map keys;    /* struct watch_key by key */
    struct list due;    /* watches that fire at the next chance */
    struct list firing; /* those of the chance that is being taken */
    size_t count;       /* armed, due ones included */
};

void watch_table_init(struct watch_table *t, struct mem mem);
/* Disarms all. */
void watch_table_deinit(struct watch_table *t);
/* Arms `w`: at its key, or as due. */
void watch_table_add(struct watch_table *t, struct core_watch *w, bool due);
void watch_table_remove(struct watch_table *t, struct core_watch *w);
/* Makes the watches of a key, or of all keys in [begin, end), due. */
void watch_table_touch(struct watch_table *t, struct bytes key);
void watch_table_touch_range(struct watch_table *t, struct bytes begin, struct bytes end);
/* The watches that are due now are to fire; those that become due meanwhile are for the next time. */
void watch_table_fire(struct watch_table *t);
/* Takes the next one to fire out, disarmed; NULL when there is none. */
struct core_watch *watch_table_pop(struct watch_table *t);

#endif
