/*
 * The `memory:` store: a store core over a map in memory, in this process, for a single node and
 * for tests. All is lost with the process. Works on the loop's thread only; completions run from a
 * timer.
 */
#ifndef KELPIE_STORE_STORE_MEMORY_H
#define KELPIE_STORE_STORE_MEMORY_H

#include "env/store.h"
#include "env/timer.h"
#include "store/core.h"

struct store_memory;

/* `bytes_max` bounds keys and values (0: OMAP_MEMORY_BYTES_MAX); beyond it commits complete with
 * STORE_FULL. Memory and timers are borrowed until store_memory_free. */
struct store_memory *store_memory_new(struct mem mem, struct timers timers, uint64_t bytes_max);
/* The same over a map that the caller keeps until after store_memory_free. Returns 0, or an error of the
 * map. */
struct omap;
int store_memory_over(struct mem mem, struct timers timers, const struct omap *map,
                      struct store_memory **out) MUST_USE;
/* Completes what is under way with STORE_UNAVAILABLE (commits too: none of them happened) and
 * fires the armed watches, all in this call; then frees it. What these callbacks ask of the store is
 * dropped. Not to be called from a completion. */
void store_memory_free(struct store_memory *s);
/* The table for env->store; valid until store_memory_free. */
struct store store_memory_store(struct store_memory *s);

#endif
