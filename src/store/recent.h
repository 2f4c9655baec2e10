/*
 * The writes of the recent past: for each key that was written lately, the version of its last
 * write. This is all that optimistic validation needs. Bounded: what falls out of the window moves
 * `base` up, and whoever read before `base` can no longer be checked ("too old").
 *
 * Writes are added within a batch and become part of the window when the batch is kept; a batch
 * that is dropped leaves no trace. One thread, owned by the core.
 */
#ifndef KELPIE_STORE_RECENT_H
#define KELPIE_STORE_RECENT_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#define RECENT_RANGES_MAX 256 /* range deletions remembered */

/* [begin, end), or [begin, end] when closed. A single key is the closed range from it to it. */
struct key_range {
    struct bytes begin;
    struct bytes end;
    bool closed;
};

struct recent_key;

struct recent {
    struct mem mem;
    struct recent_key **buckets; /* a hash table for single keys; never iterated */
    size_t bucket_count;         /* a power of two */
    struct map keys;             /* the same in order, for ranges */
    struct list order;           /* those of kept batches, by version */
    struct list batch;           /* those touched by the open batch */
    struct list ranges;          /* struct recent_range, by version */
    size_t key_max;
    size_t key_count;
    size_t range_count;
    uint64_t base; /* every write newer than this is known */
};

/* Remembers at least `key_max` keys; nothing is known of writes up to `base`. */
void recent_init(struct recent *r, struct mem mem, size_t key_max, uint64_t base);
void recent_deinit(struct recent *r);
/* True when a write newer than `version` meets `range` (also one of the open batch). */
bool recent_newer(const struct recent *r, const struct key_range *range, uint64_t version);
/* Adds a write to the open batch; versions never fall. Keys are copied. */
void recent_add(struct recent *r, struct bytes key, uint64_t version);
void recent_add_range(struct recent *r, struct bytes begin, struct bytes end, uint64_t version);
/* Ends the batch. Kept, it becomes part of the window; dropped, all is as before it. */
void recent_batch_keep(struct recent *r);
void recent_batch_drop(struct recent *r);

#endif
