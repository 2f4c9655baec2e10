/*
 * What an actor remembers of the requests that it applied, by its own time (docs/adr/0017-turns.md).
 * The rows are in the store, in buckets of own time that the head row names; in memory are the ids
 * that this activation has applied, a few bytes each, and the last replies.
 *
 * No I/O and no clock: `now_ns` is the node's monotonic clock. Own time is in ms.
 */
#ifndef KELPIE_ACTOR_REMEMBER_H
#define KELPIE_ACTOR_REMEMBER_H

#include "actor/actor.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "registry/rules_actor.h"

#define REMEMBER_MS_DEFAULT 60000
#define REMEMBER_SOCKET_MS 10000   /* what a client's socket may hold, and nobody counts */
#define REMEMBER_HELD_MS 20000     /* for how long nodes may hold a request without an age */
#define REMEMBERED_IDS_MAX 524288u /* of one actor */
#define REMEMBERED_BYTES_MAX (64u * 1024 * 1024) /* of their replies, in the store */
#define REPLIES_IN_MEMORY_MAX 1024               /* of one activation: the last ones */
#define REPLY_BYTES_IN_MEMORY_MAX (256u * 1024)
#define BUCKETS_A_DISTANCE 8
#define FORGET_BUCKETS_MAX 8 /* in one commit */

/* A set of ids by 64 bits of their hash: at most 22 bytes each. */
struct id_set {
    uint64_t *slots;
    size_t cap, count;
};

struct remember {
    struct mem mem;
    bool begun;
    uint64_t ids_max; /* young ones: then new requests are refused */
    uint64_t window_ms;
    uint64_t distance_ms;
    uint64_t started_ns;        /* when this activation's own time began to run */
    uint64_t base_ms;           /* own time then */
    struct head_record head;    /* as last committed; number 0: never */
    uint64_t flying_horizon_ms; /* of the commit under way: the store may have forgotten already */
    uint32_t loaded;            /* so many of its buckets were there when the activation began */
    struct id_set *own;         /* applied by this activation, by bucket; NULL: nothing yet */
    struct map replies;         /* of requests of this activation, and of format 1 */
    struct list recent;         /* those that may go when there are too many */
    size_t recent_count, recent_bytes;
    size_t bytes; /* memory, roughly */
};

void remember_init(struct remember *r, struct mem mem);
void remember_deinit(struct remember *r);
/* The activation begins, with the stored head row, or NULL: there is none. */
void remember_begin(struct remember *r, const struct head_record *head, uint64_t window_ms,
                    uint64_t now_ns);
/* A request that a program of format 1 remembered. */
void remember_slot(struct remember *r, const struct request_record *slot);

uint64_t remember_own_ms(const struct remember *r, uint64_t now_ns);
/* The reply to a repeat that is in memory; borrowed until the next commit. */
bool remember_reply(const struct remember *r, struct uuid hash, struct remembered_record *out);
/* The buckets that must be looked at in the store before a request of that age is known to be new;
 * how many. */
size_t remember_where(const struct remember *r, struct uuid hash, uint64_t age_ms, uint64_t now_ns,
                      uint64_t buckets[HEAD_BUCKETS_MAX]);
/* Whatever a request of that age can have done is remembered. */
bool remember_reaches(const struct remember *r, uint64_t age_ms, uint64_t now_ns);
/* The own time behind which the horizon must not move while a request of that age waits. */
uint64_t remember_need_ms(const struct remember *r, uint64_t age_ms, uint64_t now_ns);
/* Ms until a new request may come again; 0: now. `more`: those that run already. */
uint64_t remember_full_ms(const struct remember *r, size_t more, uint64_t now_ns);

/* A commit: the head row as it will be (its sums are the caller's), and what it forgets. From now on
 * requests are judged by its horizon: the store may have forgotten already. */
struct remember_plan {
    struct head_record head;
    uint64_t forgotten[FORGET_BUCKETS_MAX];
    size_t forgotten_count;
    bool forget_slots;
};
/* `need_ms`: the least remember_need_ms of the requests that wait; UINT64_MAX: none do. */
void remember_plan(struct remember *r, uint64_t generation, size_t ids, size_t reply_bytes,
                   uint64_t need_ms, uint64_t now_ns, struct remember_plan *out);
/* It was committed. */
void remember_planned(struct remember *r, const struct remember_plan *plan);
void remember_applied(struct remember *r, struct uuid hash, const struct remembered_record *record);

#endif
