/* The ordered map in memory, for the `memory:` store and the simulator. */
#ifndef KELPIE_STORE_OMAP_MEMORY_H
#define KELPIE_STORE_OMAP_MEMORY_H

#include "base/mem.h"
#include "store/omap.h"

#define OMAP_MEMORY_BYTES_MAX (1ull << 30) /* keys and values; beyond it: STORE_FULL */

struct omap_memory;

/* `bytes_max` bounds the sum of keys and values; 0: OMAP_MEMORY_BYTES_MAX. */
struct omap_memory *omap_memory_new(struct mem mem, uint64_t bytes_max);
void omap_memory_free(struct omap_memory *m);
/* The table to give to a core; valid until omap_memory_free. */
struct omap omap_memory_map(struct omap_memory *m);
/* Rows in the map, and the sum of their keys and values. */
size_t omap_memory_rows(const struct omap_memory *m);
uint64_t omap_memory_bytes(const struct omap_memory *m);

#endif
